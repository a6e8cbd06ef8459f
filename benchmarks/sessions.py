"""Many readers at once: synthetic sessions over the dashboard's own websocket, each moving the general rate.

A session opens the fund's page, then moves the slider after every pause of two to five seconds, and waits for the
server to have run the page. Prints median and 95th percentile of that time, errors, and what the server's memory has
grown by for a session; beside it the machine's own figure, what one session alone takes.

    python benchmarks/sessions.py [--sessions 50] [--moves 8]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from pathlib import Path

from _server import APP, processor_seconds, served
from _timing import say_speed
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

SLIDER = "General premium rate"
PATIENCE = 240.0


def memory(pid: int) -> float:
    """Resident memory of a process, MB; Linux only, else NaN."""
    path = Path(f"/proc/{pid}/statm")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if path.is_file() else float("nan")


async def received(stream: ClientConnection) -> ForwardMsg:
    """The next message of the server."""
    found = ForwardMsg()
    found.ParseFromString(await asyncio.wait_for(stream.recv(), PATIENCE))  # type: ignore[arg-type]
    return found


class Reader:
    """One session: its connection, where its slider is, and the times that the server took."""

    def __init__(self, stream: ClientConnection, seed: int):
        self.stream, self.chance = stream, random.Random(seed)
        self.slider, self.fragment = "", ""
        self.times: list[float] = []
        self.errors = 0

    async def run(self, value: float | None = None) -> None:
        """Ask for a run, with the slider at a value if there is one, and wait for its end."""
        message = BackMsg()
        message.rerun_script.query_string = ""
        if value is not None:
            message.rerun_script.fragment_id = self.fragment
            state = message.rerun_script.widget_states.widgets.add()
            state.id = self.slider
            state.double_array_value.data.append(value)
        begun = time.perf_counter()
        await self.stream.send(message.SerializeToString())
        while True:
            found = await received(self.stream)
            kind = found.WhichOneof("type")
            if kind == "delta" and found.delta.WhichOneof("type") == "new_element":
                self._look(found)
            if kind == "script_finished":
                break
        if value is not None:
            self.times.append(1000.0 * (time.perf_counter() - begun))

    def _look(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        if element.WhichOneof("type") == "slider" and element.slider.label.startswith(SLIDER):
            self.slider, self.fragment = element.slider.id, message.delta.fragment_id
        self.errors += element.WhichOneof("type") == "exception"

    async def move(self, moves: int, hurry: bool) -> None:
        """Move the slider so many times."""
        for _ in range(moves):
            await asyncio.sleep(0.2 if hurry else self.chance.uniform(2.0, 5.0))
            await self.run(round(self.chance.uniform(4.5, 6.0), 2))


async def read(address: str, sessions: int, moves: int, *, hurry: bool = False) -> list[Reader]:
    """Open so many sessions and let all of them move."""
    readers = []
    for i in range(sessions):
        stream = await connect(address, subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item]
        reader = Reader(stream, i)
        await reader.run()
        if not reader.slider:
            raise SystemExit("the page showed no slider; is there a fit?")
        readers.append(reader)
    await asyncio.gather(*(reader.move(moves, hurry) for reader in readers))
    for reader in readers:
        await reader.stream.close()
    return readers


def said(name: str, readers: list[Reader], work: float) -> None:
    """Print what the server took, and its processor time for one move, opening the page included."""
    times = sorted(t for reader in readers for t in reader.times)
    late = times[int(0.95 * (len(times) - 1))]
    errors = sum(reader.errors for reader in readers)
    middle, moves = statistics.median(times), len(times)
    print(
        f"{name:<14} median {middle:6.0f} ms   95% {late:6.0f} ms   {errors} errors, {moves} moves, "
        f"server busy {1000 * work / moves:.0f} ms a move"
    )


def main(script: Path, sessions: int, moves: int) -> None:
    """One reader alone, then all."""
    say_speed()
    with served(script) as (place, pid):
        address = f"ws://{place}/_stcore/stream"
        # The fit is loaded and everything compiled before anything is counted.
        asyncio.run(read(address, 1, 1, hurry=True))
        for count, times, hurry in ((1, 20, True), (sessions, moves, False)):
            before, spent = memory(pid), processor_seconds(pid)
            readers = asyncio.run(read(address, count, times, hurry=hurry))
            name = "one session" if count == 1 else f"{count} sessions"
            said(name, readers, processor_seconds(pid) - spent)
        say_speed(" afterwards")
        print(f"memory         {before:.0f} MB before, {(memory(pid) - before) / sessions:+.2f} MB a session")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--moves", type=int, default=8)
    parser.add_argument("--script", type=Path, default=APP)
    chosen = parser.parse_args()
    sys.exit(main(chosen.script, chosen.sessions, chosen.moves))
