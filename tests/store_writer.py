"""Writers of a run store in processes of their own: many at once, or each killed at another moment.

    python store_writer.py ADDRESS crowd WRITERS RUNS
    python store_writer.py ADDRESS kill MOMENTS

``kill`` counts the function calls of one publication, then publishes again and again in a child that ends itself by
SIGKILL at a later call each time, and looks at the store after every death. One line of JSON is the answer.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from forecaster.store import Store, open_store

FILES = {"a.csv": b"x\n1\n", "b.nc": bytes(20_000)}


def publish(store: Store, why: str) -> None:
    files = {**FILES, "why.txt": why.encode()}
    store.publish("projection", "made_up", "a" * 64, {"why": why}, files, why=why)


def in_child(work) -> int:
    """Do it in a child; its exit status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def crowd(address: str, writers: int, runs: int) -> dict[str, object]:
    children = []
    for writer in range(writers):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store = open_store(address)
                for number in range(runs):
                    publish(store, f"{writer}-{number}")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    store = open_store(address)
    return {"ends": ends, "whys": sorted(run.why for run in store.runs()), "faults": store.faults()}


def kill(address: str, moments: int) -> dict[str, object]:
    store = open_store(address)
    calls = 0

    def count(frame, event, argument) -> None:
        nonlocal calls
        calls += 1

    publish(store, "so that nothing is compiled for the first time")
    sys.setprofile(count)
    publish(store, "counted")
    sys.setprofile(None)
    whole, died, kept, faults = calls, 0, [], []
    for moment in range(1, moments + 1):
        last, before = whole * moment // (moments + 1), len(store.runs())

        def dying(last: int = last, moment: int = moment) -> None:
            seen = 0

            def strike(frame, event, argument) -> None:
                nonlocal seen
                seen += 1
                if seen == last:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(strike)
            publish(store, str(moment))

        end = in_child(dying)
        assert end in {0, signal.SIGKILL}  # the last moment may come after the last call
        died += end == signal.SIGKILL
        kept.append(len(store.runs()) - before)
        faults += store.faults()
    publish(store, "after all")
    return {
        "calls": whole,
        "died": died,
        "kept": kept,
        "faults": faults + store.faults(),
        "newest": store.runs()[0].why,
    }


if __name__ == "__main__":
    address, what, *numbers = sys.argv[1:]
    print(json.dumps({"crowd": crowd, "kill": kill}[what](address, *map(int, numbers))))
