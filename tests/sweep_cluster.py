"""A small Dask cluster on 127.0.0.1: one worker in this process, one in a process of its own that may be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import LocalCluster

# The worker's own process ends by itself when its scheduler is gone for so long, whatever became of the test.
LONELY_S = "60"


@contextmanager
def cluster() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address of the scheduler and the process of the second worker, both workers with one thread."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        scheduler_port=0,
        dashboard_address=None,
        memory_limit=0,
    ) as local:
        options = [
            "--no-nanny",
            "--nthreads",
            "1",
            "--no-dashboard",
            "--death-timeout",
            LONELY_S,
            "--host",
            "127.0.0.1",
        ]
        command = [sys.executable, "-m", "distributed.cli.dask_worker", local.scheduler_address, *options]
        nowhere = subprocess.DEVNULL
        worker = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        try:
            local.wait_for_workers(2, timeout=300)
            yield local.scheduler_address, worker
        finally:
            worker.kill()
            worker.wait(timeout=30)
