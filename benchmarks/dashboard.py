"""From the press of a key on the slider to the redrawn chart, in headless Chromium; and the picture for the docs.

Beside it stands what an empty page of the same library takes on the same machine in the same minute: a slider and a
number. Prints median and 95th percentile in milliseconds. The redraw is the first frame after the key in which the
first chart's drawing is another one.

    python benchmarks/dashboard.py [--moves 40] [--script FILE]
    python benchmarks/dashboard.py --screenshot docs/dashboard.png
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parent.parent
CHART = "[data-testid=stVegaLiteChart] svg"
EMPTY = """
import streamlit as st

@st.fragment
def body():
    st.markdown(f"number {st.slider('slider', 0.0, 6.0, 3.0, 0.01):.2f}")

body()
"""
# Counts a change only when the drawing (or, on the empty page, the text) is really another one.
WATCH = """
(selector) => {
  const look = () => {
    const e = document.querySelector(selector);
    return e === null ? '' : e.tagName === 'svg' ? e.innerHTML : e.innerText;
  };
  window.pressed = 0; window.changed = 0;
  const press = () => { window.before = look(); window.pressed = performance.now(); window.changed = 0; };
  addEventListener('keydown', press, true);
  const frame = () => {
    if (window.pressed && !window.changed && look() !== window.before) window.changed = performance.now();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
"""


def chromium() -> str:
    """The installed Chromium or Chrome."""
    named = os.environ.get("FORECASTER_CHROMIUM")
    for name in (named,) if named else ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if name and (found := shutil.which(name)):
            return found
    raise SystemExit("no Chromium found; install it, or name it in FORECASTER_CHROMIUM")


@contextmanager
def served(script: Path) -> Iterator[str]:
    """Address of a Streamlit server on that script, with the dashboard's settings; stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "runner.postScriptGC": "false",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{k}={v}" for k, v in flags.items())]
    rooms = os.pathsep.join(str(REPOSITORY / room) for room in (".", "models", "dashboards"))
    environment = os.environ | {"PYTHONPATH": rooms, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment.setdefault("NUMBA_CACHE_DIR", str(REPOSITORY / ".cache" / "numba"))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def redraws(page: Page, selector: str, moves: int) -> list[float]:
    """Milliseconds from key to change for so many moves of the first slider."""
    page.evaluate(WATCH, selector)
    page.get_by_role("slider").first.focus()
    found = []
    for move in range(moves + 5):
        page.keyboard.press("ArrowRight" if move // 20 % 2 == 0 else "ArrowLeft")
        page.wait_for_function("window.changed > 0", timeout=20000)
        if move >= 5:
            found.append(page.evaluate("window.changed - window.pressed"))
        page.wait_for_timeout(250)
    return found


def said(name: str, times: list[float]) -> float:
    """Print median and 95th percentile."""
    ordered = sorted(times)
    median, late = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]
    print(f"{name:<34} median {median:6.0f} ms   95% {late:6.0f} ms   of {len(times)} moves")
    return median


def measure(script: Path, moves: int) -> None:
    """Both pages, one after the other, in one browser."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY, encoding="utf-8")
        with served(empty) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.get_by_text("number 3.00").wait_for(timeout=60000)
            reference = said("empty page, slider to number", redraws(page, "[data-testid=stMarkdown]", moves))
            page.close()
        with served(script) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.locator(CHART).first.wait_for(timeout=120000)
            page.wait_for_timeout(3000)
            dashboard = said(
                "dashboard, slider to redrawn chart", redraws(page, "[data-testid=stVegaLiteChart] svg", moves)
            )
        browser.close()
    print(f"{'dashboard over empty page':<34} {dashboard / reference:13.1f}")


def screenshot(script: Path, target: Path) -> None:
    """A picture of the fund's page with a general rate of 30 steps above today's."""
    with sync_playwright() as playwright, served(script) as address:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 1250})
        page.goto(address)
        page.locator(CHART).first.wait_for(timeout=120000)
        # By its name: while the page is loading, another slider may be drawn before it.
        slider = page.get_by_role("slider", name="General premium rate, %")
        slider.focus()
        for _ in range(30):
            page.keyboard.press("ArrowRight")
        page.wait_for_timeout(2500)
        slider.blur()
        page.wait_for_timeout(1500)
        page.screenshot(path=str(target))
        browser.close()
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--script", type=Path, default=REPOSITORY / "dashboards" / "app.py")
    parser.add_argument("--screenshot", type=Path, default=None)
    chosen = parser.parse_args()
    if chosen.screenshot:
        screenshot(chosen.script, chosen.screenshot)
    else:
        measure(chosen.script, chosen.moves)
