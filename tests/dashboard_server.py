"""Starts the dashboard on the made-up fund as a server, for the tests in a browser."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from forecaster.cli.dashboard import streamlit_command

TESTS = Path(__file__).resolve().parent
CHARTS = "[data-testid=stVegaLiteChart] svg"
# Milliseconds: a busy machine may be slow, the first page waits until Numba has compiled, and no test is about time.
PATIENCE = 180_000


@contextmanager
def served(folder: Path, port: int, **environment: str) -> Iterator[Path]:
    """Run the server from ``folder``, stopped by its own handle at the end; gives its log."""
    rooms = os.pathsep.join(str(TESTS.parent / room) for room in (".", "models", "dashboards", "tests"))
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            streamlit_command(TESTS / "made_up_server.py", "127.0.0.1", port, True),
            env=os.environ | {"PYTHONPATH": rooms} | environment,
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
            yield log
        finally:
            process.terminate()
            process.wait(PATIENCE / 1000)
    assert "Traceback" not in log.read_text(errors="replace")


def stands_still(page: Page) -> None:
    """Wait until the server has run the page to its end: what is not there then is not to come.

    First wait for something that only the new page has, or it is the old one that stands still.
    """
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def _wait_for(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(PATIENCE // 250):
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            urllib.request.urlopen(health, timeout=2).close()
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"the server did not answer\n{log.read_text(errors='replace')}")
