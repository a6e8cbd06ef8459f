"""From the press of a key on the slider to the redrawn chart, in headless Chromium; and the picture for the docs.

Beside it stands what an empty page of the same library takes on the same machine in the same minute: a slider and a
number. Prints median and 95th percentile in milliseconds. The redraw is the first frame after the key in which the
first chart's drawing is another one.

Before that both pages are opened: the dashboard's once right after the server's start (cold), then each by people who
have never been here (warm server, empty caches) and by somebody who comes again (warm server, own caches). The time is
from the address to the first frame with the first chart (or the empty page's slider), by the page's own clock; the cold
one is counted from the start of the server's process too. What the plain loop takes stands before and after.

    python benchmarks/dashboard.py [--moves 40] [--script FILE]
    python benchmarks/dashboard.py --screenshot docs/dashboard.png
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from _opening import Chromium, chromium_alone
from _server import APP, served
from _timing import say_speed
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

OPENINGS = 5
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


def busy(session: CDPSession) -> float:
    """Milliseconds of processor time that the page's main thread has taken."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000.0 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def redraws(page: Page, selector: str, slider: str, moves: int) -> tuple[list[float], float]:
    """Milliseconds from key to change for so many moves of a slider, and of processor time for one in the browser."""
    page.evaluate(WATCH, selector)
    page.get_by_role("slider", name=slider).focus()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    found = []
    for move in range(moves + 5):
        if move == 5:
            before = busy(session)
        page.keyboard.press("ArrowRight" if move // 20 % 2 == 0 else "ArrowLeft")
        page.wait_for_function("window.changed > 0", timeout=20000)
        if move >= 5:
            found.append(page.evaluate("window.changed - window.pressed"))
        page.wait_for_timeout(250)
    return found, (busy(session) - before) / moves


def said(name: str, measured: tuple[list[float], float]) -> tuple[float, float]:
    """Print median and 95th percentile, and the browser's own work."""
    times, work = measured
    ordered = sorted(times)
    median, late = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"{name:<34} median {median:6.0f} ms   95% {late:6.0f} ms   of {len(times)} moves, browser busy {work:.0f} ms"
    )
    return median, work


def window(browser: Browser, height: int = 900) -> Page:
    """A window in which the benchmark may evaluate its own expressions."""
    return browser.new_page(viewport={"width": 1280, "height": height}, bypass_csp=True)


def openings(browser: Chromium, name: str, url: str, selector: str) -> None:
    """Print how long a page takes on the warm server: for new visitors, and for one who comes again."""
    new, again, known = [], [], browser.visitor()
    browser.opening(browser.tab(known), url, selector)
    for _ in range(OPENINGS):
        new.append(browser.opening(browser.tab(browser.visitor()), url, selector))
        again.append(browser.opening(browser.tab(known), url, selector))
    for who, times in (("a new visitor", new), ("one who comes again", again)):
        each = ", ".join(f"{seconds:.1f}" for seconds in times)
        print(f"{name}, warm, {who}: median {statistics.median(times):.2f} s of {each}", flush=True)


def first_pages(script: Path, empty: Path) -> None:
    """Open both pages with nothing else running."""
    with chromium_alone(chromium()) as browser:
        tab = browser.tab(browser.visitor())
        begun = time.perf_counter()
        with served(script) as (address, _pid):
            answering = time.perf_counter() - begun
            seconds = browser.opening(tab, f"http://{address}", CHART)
            print(
                f"first page, cold: {answering + seconds:.1f} s from the server's start, "
                f"{seconds:.1f} s after it began to answer"
            )
            # The first frame is not the end of the first page: leave it to its work.
            time.sleep(3)
            openings(browser, "first page", f"http://{address}", CHART)
        with served(empty) as (address, _pid):
            openings(browser, "empty page", f"http://{address}", "[data-testid=stSlider]")


def measure(script: Path, moves: int) -> None:
    """Both pages, one after the other, in one browser."""
    say_speed()
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY, encoding="utf-8")
        first_pages(script, empty)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            with served(empty) as (address, _pid):
                page = window(browser)
                page.goto(f"http://{address}")
                page.get_by_text("number 3.00").wait_for(timeout=60000)
                moved = redraws(page, "[data-testid=stMarkdown]", "slider", moves)
                reference = said("empty page, slider to number", moved)
                page.close()
            with served(script) as (address, _pid):
                page = window(browser)
                page.goto(f"http://{address}")
                page.locator(CHART).first.wait_for(timeout=120000)
                page.wait_for_timeout(3000)
                moved = redraws(page, CHART, "General premium rate, %", moves)
                dashboard = said("dashboard, slider to redrawn chart", moved)
            browser.close()
    ratios = [f"{mine / other:.1f}" for mine, other in zip(dashboard, reference, strict=True)]
    print(f"{'dashboard over empty page':<34} {ratios[0]} in time, {ratios[1]} in the browser's work")
    say_speed(" afterwards")


def screenshot(script: Path, target: Path) -> None:
    """A picture of the fund's page with a general rate of 30 steps above today's."""
    with sync_playwright() as playwright, served(script) as (address, _pid):
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = window(browser, 1250)
        page.goto(f"http://{address}")
        page.locator(CHART).first.wait_for(timeout=120000)
        # By its name: while the page is loading, another slider may be drawn before it.
        slider = page.get_by_role("slider", name="General premium rate, %")
        slider.focus()
        for _step in range(30):
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
    parser.add_argument("--script", type=Path, default=APP)
    parser.add_argument("--screenshot", type=Path, default=None)
    chosen = parser.parse_args()
    if chosen.screenshot:
        screenshot(chosen.script, chosen.screenshot)
    else:
        measure(chosen.script, chosen.moves)
