"""What the benchmarks share: how long a piece of work takes, and how fast the machine is in this minute."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def timed(work: Callable[[int], object], repeats: int, *, threads: bool = False) -> tuple[float, float]:
    """Median wall time and median processor time, milliseconds; on a busy machine only the second is the work's own.

    The processor time is that of the calling thread or, with ``threads``, of all threads of the process.
    """
    clock = time.process_time if threads else time.thread_time
    wall, own = [], []
    for i in range(repeats):
        start = time.perf_counter(), clock()
        work(i)
        wall.append(time.perf_counter() - start[0])
        own.append(clock() - start[1])
    return 1e3 * statistics.median(wall), 1e3 * statistics.median(own)


def plain_loop() -> float:
    """Seconds that ten million additions in a plain loop take: what figures of other machines and days compare by."""
    start, total = time.perf_counter(), 0
    for i in range(10_000_000):
        total += i
    return time.perf_counter() - start


def say_speed(when: str = "") -> None:
    """Print :func:`plain_loop`."""
    print(f"this machine{when}: ten million additions in a plain loop take {plain_loop():.2f} s", flush=True)
