"""The dashboard in Chromium, served as `forecaster dashboard` serves it, on a made-up fund."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from forecaster.cli.dashboard import streamlit_command
from forecaster.export import forecast_table, run_scenarios
from forecaster.policy import Reform
from forecaster_dashboards import texts
from made_up_dashboard import made_up_reference

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parent
CHARTS = "[data-testid=stVegaLiteChart] svg"
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
# Milliseconds: a busy machine may be slow, and no test is about time.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
# What the pictures of all charts hold, to be compared in the browser.
PICTURES = f"[...document.querySelectorAll('{CHARTS}')]"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard's server, stopped by its own handle at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rooms = os.pathsep.join(str(TESTS.parent / room) for room in (".", "models", "dashboards", "tests"))
    log = tmp_path_factory.mktemp("dashboard") / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            streamlit_command(TESTS / "made_up_dashboard.py", "127.0.0.1", port, True),
            env=os.environ | {"PYTHONPATH": rooms},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)
    assert "Traceback" not in log.read_text(errors="replace")


def _wait_for(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            urllib.request.urlopen(health, timeout=2).close()
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"the server did not answer\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One browser for all tests, so that the dashboard's scripts are loaded once; every page in it is a new session."""
    made = browser.new_context(viewport=WIDE, accept_downloads=True)
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.fixture
def window() -> ViewportSize:
    """Size of the window; a test's parameter replaces it."""
    return WIDE


@pytest.fixture
def page(context: BrowserContext, address: str, window: ViewportSize) -> Iterator[Page]:
    """The fund's page, drawn to its end."""
    made = context.new_page()
    made.set_viewport_size(window)
    yield opened(made, address)
    made.close()


@pytest.fixture
def fresh(browser: Browser) -> Iterator[Page]:
    """An empty page of another browser, which knows nothing of the first."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def opened(page: Page, url: str) -> Page:
    """The page with the fund's page in it, drawn to its end."""
    page.goto(url)
    drawn(page)
    return page


def drawn(page: Page) -> None:
    """Wait until the fund's page stands still: charts there, no run under way, and the link has the slider's rate.

    Charts are drawn before levers and the link last, so a page with charts may have no slider yet.
    """
    expect(page.locator(CHARTS)).to_have_count(4)
    rate = float(general_rate(page).input_value())
    expect(page.locator("code", has_text="?s=")).to_contain_text(f"general_premium_rate:{round(rate / 100, 4)}~")
    stands_still(page)


def stands_still(page: Page) -> None:
    """Wait until the server has run the page to its end."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def general_rate(page: Page) -> Locator:
    """The general rate's slider, by its name: while a page is loading, another may be drawn before it."""
    return page.get_by_role("slider", name="General premium rate, %")


def card(page: Page, name: str) -> str:
    return (
        page.get_by_text(texts.SCENARIOS[name], exact=True)
        .first.locator("xpath=ancestor::*[@data-testid='stMarkdown']")
        .inner_text()
    )


def press(page: Page, keys: int) -> None:
    """Move the general rate by so many steps to the right and wait until the page has followed."""
    slider = general_rate(page)
    wanted = float(slider.input_value()) + 0.01 * keys
    slider.focus()
    for _ in range(keys):
        slider.press("ArrowRight")
    expect(slider).to_have_value(f"{wanted:.4g}")
    drawn(page)


def link_of(page: Page) -> str:
    return page.locator("code", has_text="?s=").inner_text().strip()


def test_page_loads_without_errors_and_asks_nobody_else(fresh, address):
    said, asked = [], []
    fresh.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    fresh.on("pageerror", lambda error: said.append(f"Error: {error}"))
    fresh.context.on("request", lambda request: asked.append(request.url))
    opened(fresh, address)
    press(fresh, 3)
    assert [line for line in said if line.startswith(("error", "warning")) or "Error" in line] == []
    away = [url for url in asked if not url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))]
    assert asked
    assert away == []


def test_slider_moves_the_reforms_charts_and_leaves_todays_law(page):
    page.evaluate(f"window.kept = {PICTURES}; window.before = kept.map(e => e.innerHTML)")
    today = card(page, "today")
    press(page, 10)
    page.wait_for_function(f"{PICTURES}.every((e, i) => e.innerHTML !== window.before[i])")
    assert card(page, "today") == today
    expect(general_rate(page)).to_have_value("5.27")
    # The browser has replaced the data and built no chart anew: what keeps a move quick.
    assert page.evaluate(f"{PICTURES}.every((e, i) => e === window.kept[i])")


def test_shared_link_restores_the_scenario_in_a_fresh_browser(page, fresh):
    press(page, 5)
    opened(fresh, link_of(page))
    assert card(fresh, "reform") == card(page, "reform") != card(fresh, "today")
    expect(general_rate(fresh)).to_have_value("5.22")
    expect(fresh.get_by_text(texts.LINK_RESTORED)).to_be_visible()


def test_two_browsers_do_not_share_levers(page, fresh, address):
    opened(fresh, address)
    before = card(fresh, "reform")
    press(page, 8)
    press(fresh, 3)
    expect(general_rate(fresh)).to_have_value("5.2")
    expect(general_rate(page)).to_have_value("5.25")
    assert len({before, card(fresh, "reform"), card(page, "reform")}) == 3


def test_downloads_hold_the_engines_figures(page, tmp_path):
    press(page, 10)
    page.get_by_role("tab", name=texts.TABS["download"]).click()
    files = {}
    for name in ("forecast", "months"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=texts.DOWNLOADS[name]).click()
        files[name] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[name])
    assert files["months"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    ref = made_up_reference()
    policy = ref.law.reform(Reform.parse(["general_premium_rate=0.0527@2027-01-01"]))
    wanted = forecast_table(run_scenarios(ref.basis.until(2035), ref.law, policy))
    pd.testing.assert_frame_equal(pd.read_csv(files["forecast"]), wanted, check_dtype=False, rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", [WIDE, NARROW], ids=["1280", "390"])
def test_nothing_is_wider_than_the_window(page, address, tmp_path):
    width = page.evaluate("innerWidth")
    for tab in texts.TABS.values():
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        stands_still(page)
        widest = page.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollWidth)"
        )
        assert widest <= width, tab
        edges = page.evaluate(f"[...document.querySelectorAll('{CHARTS}')].map(e => e.getBoundingClientRect().right)")
        assert edges == [] or max(edges) <= width, tab
    page.get_by_role("tab", name=texts.TABS["risk"]).click()
    picture = page.screenshot(path=tmp_path / "page.png")
    assert len(picture) > 10_000
    page.goto(f"{address}/evidence")
    expect(page.get_by_text(texts.LIMITS, exact=True)).to_be_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


@pytest.mark.parametrize("window", [NARROW], ids=["390"])
def test_on_a_telephone_the_rate_stays_in_sight_above_the_chart(page):
    page.locator(CHARTS).first.scroll_into_view_if_needed()
    start = page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    page.mouse.move(200, 600)
    page.mouse.wheel(0, 200)
    page.wait_for_function(f"document.querySelector('[data-testid=stMain]').scrollTop >= {start} + 200")
    slider = general_rate(page).bounding_box()
    chart = page.locator(CHARTS).first.bounding_box()
    assert slider is not None
    assert chart is not None
    assert 0 < slider["y"] < chart["y"] + chart["height"] < NARROW["height"] + chart["height"] / 2


def test_levers_survive_a_visit_to_the_other_page(page):
    press(page, 5)
    kept = card(page, "reform")
    page.get_by_role("link", name=texts.PAGE_EVIDENCE).click()
    expect(page.get_by_text(texts.LIMITS, exact=True)).to_be_visible()
    page.get_by_role("link", name=re.compile(f"^{texts.PAGE_FUND}$")).click()
    drawn(page)
    assert card(page, "reform") == kept
