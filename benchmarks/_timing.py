"""What the benchmarks share: how long a piece of work takes."""

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
