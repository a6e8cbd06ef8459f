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
from forecaster_dashboards import fund_page, main
from made_up_dashboard import made_up_reference

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parent
CHARTS = "[data-testid=stVegaLiteChart] svg"
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
# Milliseconds: a busy machine may be slow, and no test is about time.
PATIENCE = 60_000
TODAY = 0.0517
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
    expect(page.locator(CHARTS)).to_have_count(2)
    rate = round(float(general_rate(page).input_value()) / 100, 4)
    code = page.locator("code", has_text="?s=")
    if rate == TODAY:
        expect(code).not_to_contain_text("general_premium_rate")
    else:
        expect(code).to_contain_text(f"general_premium_rate:{rate}")
    stands_still(page)


def stands_still(page: Page) -> None:
    """Wait until the server has run the page to its end."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def general_rate(page: Page) -> Locator:
    """The general rate's slider, by its name: while a page is loading, another may be drawn before it."""
    return page.get_by_role("slider", name="General premium rate, %")


def card(page: Page, name: str) -> str:
    return page.locator(f".st-key-card_{name}").inner_text()


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


def test_slider_moves_the_reforms_charts_and_the_address_and_leaves_todays_law(page):
    page.evaluate(f"window.kept = {PICTURES}; window.before = kept.map(e => e.innerHTML)")
    today = card(page, "today")
    press(page, 10)
    page.wait_for_function(f"{PICTURES}.every((e, i) => e.innerHTML !== window.before[i])")
    assert card(page, "today") == today
    expect(general_rate(page)).to_have_value("5.27")
    # The browser has replaced the data and built no chart anew: what keeps a move quick.
    assert page.evaluate(f"{PICTURES}.every((e, i) => e === window.kept[i])")
    # The address has followed, so that a reload loses nothing.
    expect(page).to_have_url(re.compile("general_premium_rate(:|%3A)0.0527"))
    kept = card(page, "reform")
    page.reload()
    drawn(page)
    expect(general_rate(page)).to_have_value("5.27")
    assert card(page, "reform") == kept


def test_shared_link_restores_the_scenario_in_a_fresh_browser_in_chinese(page, browser):
    press(page, 5)
    address = link_of(page)
    context = browser.new_context(viewport=WIDE, locale="zh-TW")
    context.set_default_timeout(PATIENCE)
    other = context.new_page()
    other.goto(address)
    expect(other.get_by_text("政策工具已依連結設定。")).to_be_visible()
    expect(other.get_by_role("slider", name="一般保險費率（%）")).to_have_value("5.22")
    expect(other.locator("html")).to_have_attribute("lang", "zh-Hant-TW")
    assert other.title() == "健保基金預測"
    context.close()


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
    page.get_by_role("link", name="Export", exact=True).click()
    files = {}
    for name in ("Forecast table (CSV)", "Workbook (XLSX)", "Picture (PNG)", "Picture (SVG)", "Reform (TOML)"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        files[name] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[name])
    assert files["Picture (PNG)"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert files["Picture (SVG)"].read_bytes().startswith(b"<svg")
    assert files["Workbook (XLSX)"].read_bytes()[:2] == b"PK"
    reform = Reform.parse(["general_premium_rate=0.0527@2027-01-01"])
    assert Reform.read(files["Reform (TOML)"]) == reform
    ref = made_up_reference()
    wanted = forecast_table(run_scenarios(ref.basis.until(2035), ref.law, ref.law.reform(reform)))
    found = pd.read_csv(files["Forecast table (CSV)"])
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", [NARROW], ids=["390"])
def test_on_a_telephone_nothing_is_wider_than_the_window_and_the_rate_stays_in_sight(page, address):
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
    for tab in (fund_page.tab_names()[name] for name in ("risk", "difference")):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        stands_still(page)
        fits(page, tab)
    for name in ("levers", "solve", "schemes"):
        page.goto(f"{address}/{name}")
        expect(page.get_by_role("heading", name=main.page_titles()[name], exact=True).first).to_be_visible()
        expect(page.get_by_text("simulated futures from the end of")).to_be_visible()
        stands_still(page)
        fits(page, name)


def fits(page: Page, where: str) -> None:
    """Neither page nor chart is wider than the window."""
    width = page.evaluate("innerWidth")
    widest = page.evaluate(
        "Math.max(document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollWidth)"
    )
    assert widest <= width, where
    edges = page.evaluate(f"[...document.querySelectorAll('{CHARTS}')].map(e => e.getBoundingClientRect().right)")
    assert edges == [] or max(edges) <= width, where


def test_levers_survive_a_visit_to_the_other_page(page):
    press(page, 5)
    kept = card(page, "reform")
    page.get_by_role("link", name="Evidence", exact=True).click()
    expect(page.get_by_text("Known limits", exact=True)).to_be_visible()
    fits(page, "evidence")
    page.get_by_role("link", name="Fund", exact=True).click()
    drawn(page)
    assert card(page, "reform") == kept
