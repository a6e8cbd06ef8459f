"""A Streamlit server for a benchmark, started as `forecaster dashboard` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forecaster.cli.dashboard import ENVIRONMENT, streamlit_command

REPOSITORY = Path(__file__).resolve().parent.parent
APP = REPOSITORY / "dashboards" / "app.py"


@contextmanager
def served(script: Path) -> Iterator[tuple[str, int]]:
    """Address of a server on that script and its process number; stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = ENVIRONMENT | os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment.setdefault("NUMBA_CACHE_DIR", str(REPOSITORY / ".cache" / "numba"))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            streamlit_command(script, "127.0.0.1", port, True), env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = f"127.0.0.1:{port}"
            _wait_for(f"http://{address}/_stcore/health", process)
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(health: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(health, timeout=1).close()
            return
        except OSError:
            time.sleep(0.025)
    raise SystemExit("the dashboard's server did not answer")


def processor_seconds(pid: int) -> float:
    """Processor time that a process has taken, seconds; Linux only, else NaN."""
    path = Path(f"/proc/{pid}/stat")
    if not path.is_file():
        return float("nan")
    # User and system time stand eleven and twelve places behind the name, which may hold spaces itself.
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
