"""Readers on their whole way: every page of three funds in three languages, levers moved, all downloads fetched.

Each opens the fund's page, moves its first slider twice, goes through the menu page by page, moves the levers' first
slider, asks for every file of the page of downloads and fetches it. Prints what the server took by kind of step, what
went wrong (a run that ended in an exception or an error on the page, a file that could not be made or was gone), and
the server's memory.

    python benchmarks/readers.py [--readers 30]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path

from _server import APP, served
from _timing import say_speed
from sessions import PATIENCE, memory, received
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

# In the menu's order; the first is open when a reader comes.
FIRST, *PAGES = "fund", "levers", "solve", "payers", "drivers", "protection", "schemes", "evidence", "export"
# Address of each kind of reader: his language, and his fund where it is not the first.
READERS = ("lang=en", "lang=zh_TW&pool=cn_uebmi", "lang=zh_CN&pool=cn_urrbmi")


class Way:
    """One reader: where his pages, his slider and his files are."""

    def __init__(self, stream: ClientConnection, place: str, seed: int, times: dict[str, list[float]], faults: Counter):
        self.stream, self.place, self.query = stream, place, READERS[seed % len(READERS)]
        self.chance, self.times, self.faults = random.Random(seed), times, faults
        self.session = self.slider = self.fragment = ""
        self.bounds = (0.0, 1.0)
        self.pages: dict[str, str] = {}
        self.files: list[str] = []

    async def ask(self, step: str, message: BackMsg) -> ForwardMsg:
        """Send a message and wait for the end of what it asks for; gives the last answer."""
        begun = time.perf_counter()
        await self.stream.send(message.SerializeToString())
        while True:
            found = await received(self.stream)
            kind = found.WhichOneof("type")
            if kind == "navigation":
                self.pages = {page.page_name: page.page_script_hash for page in found.navigation.app_pages}
                self.pages |= {page.url_pathname: page.page_script_hash for page in found.navigation.app_pages}
                self.pages[FIRST] = found.navigation.app_pages[0].page_script_hash
            elif kind == "new_session":
                self.session = found.new_session.initialize.session_id
            elif kind == "delta":
                self._look(step, found.delta)
            elif kind in {"script_finished", "backend_operation_response"}:
                self.times[step].append(1000.0 * (time.perf_counter() - begun))
                return found

    def _look(self, step: str, delta: Delta) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception" or (kind == "alert" and element.alert.format == element.alert.ERROR):
            self.faults[f"{step}: {(element.exception.message or element.alert.body)[:100]}"] += 1
        elif kind == "slider" and not self.slider:
            self.slider, self.fragment = element.slider.id, delta.fragment_id
            self.bounds = element.slider.min, element.slider.max
        elif kind == "download_button":
            self.files.append(element.download_button.deferred_file_id)

    def message(self) -> BackMsg:
        """What asks for a run at the reader's address."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        return message

    async def open(self, name: str = "") -> None:
        """Open a page by the menu, or come."""
        message = self.message()
        if name:
            message.rerun_script.page_script_hash = self.pages[name]
        self.slider, self.files = "", []
        await self.ask(name or "coming", message)

    async def move(self) -> None:
        """Move the page's first slider somewhere in its upper part."""
        low, high = self.bounds
        message = self.message()
        message.rerun_script.fragment_id = self.fragment
        state = message.rerun_script.widget_states.widgets.add()
        state.id = self.slider
        state.double_array_value.data.append(round(low + self.chance.uniform(0.6, 0.95) * (high - low), 1))
        await self.ask("a move", message)

    async def fetch(self) -> None:
        """Ask for each file of the page, and fetch it."""
        for name in self.files:
            message = BackMsg()
            message.backend_operation_request.request_id = name
            message.backend_operation_request.session_id = self.session
            message.backend_operation_request.deferred_file.file_id = name
            answer = (await self.ask("a file", message)).backend_operation_response
            if answer.error_msg:
                self.faults[f"a file: {answer.error_msg[:100]}"] += 1
                continue
            try:
                await asyncio.to_thread(_get, f"http://{self.place}{answer.deferred_file.url}")
            except OSError as error:
                self.faults[f"a file that was made: {error}"] += 1

    async def go(self) -> None:
        """The whole way, with a few seconds to read on each page."""
        await asyncio.sleep(self.chance.uniform(0.0, 8.0))
        await self.open()
        for _ in range(2):
            await self.read()
            await self.move()
        for name in (*PAGES, FIRST):
            await self.read()
            await self.open(name)
            if name == "levers":
                await self.move()
            elif name == "export":
                await self.fetch()

    async def read(self) -> None:
        """Look at the page for a while."""
        await asyncio.sleep(self.chance.uniform(1.0, 4.0))


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return bytes(answer.read())


async def all_ways(place: str, readers: int, times: dict[str, list[float]], faults: Counter) -> None:
    """So many readers at once."""

    async def one(seed: int) -> None:
        address = f"ws://{place}/_stcore/stream"
        async with connect(address, subprotocols=["streamlit"], max_size=None) as stream:  # type: ignore[list-item]
            await Way(stream, place, seed, times, faults).go()

    for ended in await asyncio.gather(*map(one, range(readers)), return_exceptions=True):
        if isinstance(ended, BaseException):
            faults[f"{type(ended).__name__}: {str(ended)[:100]}"] += 1


def main(script: Path, readers: int) -> int:
    """One reader of each kind, so that everything is loaded, then all; exit code 1 when anything went wrong."""
    say_speed()
    faults: Counter = Counter()
    with served(script) as (place, pid):
        asyncio.run(all_ways(place, len(READERS), defaultdict(list), faults))
        before, times = memory(pid), defaultdict(list)
        asyncio.run(all_ways(place, readers, times, faults))
        after = memory(pid)
    for step, taken in times.items():
        late = sorted(taken)[int(0.95 * (len(taken) - 1))]
        print(f"{step:<12} median {statistics.median(taken):6.0f} ms   95% {late:6.0f} ms   of {len(taken)}")
    say_speed(" afterwards")
    print(f"memory       {before:.0f} MB before, {after:.0f} after {readers} readers")
    print(f"faults       {dict(faults) or 'none'}")
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=30)
    parser.add_argument("--script", type=Path, default=APP)
    chosen = parser.parse_args()
    sys.exit(main(chosen.script, chosen.readers))
