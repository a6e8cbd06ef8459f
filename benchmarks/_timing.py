"""What the benchmarks share: how long a piece of work takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def timed(work: Callable[[int], object], repeats: int) -> tuple[float, float]:
    """Median wall time and median processor time, milliseconds; on a busy machine only the second is the work's own."""
    wall, own = [], []
    for i in range(repeats):
        start = time.perf_counter(), time.thread_time()
        work(i)
        wall.append(time.perf_counter() - start[0])
        own.append(time.thread_time() - start[1])
    return 1e3 * statistics.median(wall), 1e3 * statistics.median(own)
