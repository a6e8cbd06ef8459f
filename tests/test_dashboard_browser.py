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
from playwright.sync_api import Browser, BrowserContext, Page, expect

from forecaster.cli.dashboard import streamlit_command
from forecaster.export import forecast_table, run_scenarios
from forecaster.policy import Reform
from forecaster_dashboards import texts
from made_up_dashboard import made_up_reference

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parent
CHARTS = "[data-testid=stVegaLiteChart] svg"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 30_000


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


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A fresh browser, as wide as the test's parameter says."""
    made = browser.new_context(viewport=getattr(request, "param", WIDE), accept_downloads=True)
    yield made
    made.close()


def opened(context: BrowserContext, url: str) -> Page:
    """The fund's page with its charts drawn."""
    page = context.new_page()
    page.goto(url)
    expect(page.locator(CHARTS)).to_have_count(4, timeout=PATIENCE)
    return page


def card(page: Page, name: str) -> str:
    return (
        page.get_by_text(texts.SCENARIOS[name], exact=True)
        .first.locator("xpath=ancestor::*[@data-testid='stMarkdown']")
        .inner_text()
    )


def press(page: Page, keys: int) -> None:
    """Move the general rate by so many steps to the right and wait until the page has followed."""
    slider = page.get_by_role("slider").first
    wanted = float(slider.input_value()) + 0.01 * keys
    slider.focus()
    for _ in range(keys):
        slider.press("ArrowRight")
    # The link stands last on the page: when it has the new rate, all above it has.
    expect(page.locator("code", has_text="?s=")).to_contain_text(f"general_premium_rate:{round(wanted / 100, 4)}~")
    page.wait_for_timeout(500)


def link_of(page: Page) -> str:
    return page.locator("code", has_text="?s=").inner_text().strip()


def test_page_loads_without_errors_and_asks_nobody_else(context, address):
    said, asked = [], []
    context.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    page = opened(context, address)
    press(page, 3)
    assert [line for line in said if line.startswith(("error", "warning")) or "Error" in line] == []
    away = [url for url in asked if not url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))]
    assert away == []


def test_slider_moves_the_reforms_chart_and_leaves_todays_law(context, address):
    page = opened(context, address)
    months = page.locator(CHARTS).first
    page.evaluate("window.kept = [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')]")
    before, today = months.inner_html(), card(page, "today")
    press(page, 10)
    assert months.inner_html() != before
    assert card(page, "today") == today
    assert page.get_by_role("slider").first.input_value() == "5.27"
    # The browser has replaced the data and built no chart anew: what keeps a move quick.
    same = "[...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].every((e, i) => e === window.kept[i])"
    assert page.evaluate(same)


def test_shared_link_restores_the_scenario_in_a_fresh_browser(browser, context, address):
    page = opened(context, address)
    press(page, 5)
    other = browser.new_context(viewport=WIDE)
    try:
        restored = opened(other, link_of(page))
        assert card(restored, "reform") == card(page, "reform") != card(restored, "today")
        assert restored.get_by_role("slider").first.input_value() == "5.22"
        expect(restored.get_by_text(texts.LINK_RESTORED)).to_be_visible()
    finally:
        other.close()


def test_two_browsers_do_not_share_levers(browser, context, address):
    page = opened(context, address)
    other = browser.new_context(viewport=WIDE)
    try:
        second = opened(other, address)
        before = card(second, "reform")
        press(page, 8)
        press(second, 3)
        assert second.get_by_role("slider").first.input_value() == "5.2"
        assert page.get_by_role("slider").first.input_value() == "5.25"
        assert len({before, card(second, "reform"), card(page, "reform")}) == 3
    finally:
        other.close()


def test_downloads_hold_the_engines_figures(context, address, tmp_path):
    page = opened(context, address)
    press(page, 10)
    page.get_by_role("tab", name=texts.TABS["download"]).click()
    files = {}
    for name in ("forecast", "months"):
        with page.expect_download(timeout=PATIENCE) as waiting:
            page.get_by_role("button", name=texts.DOWNLOADS[name]).click()
        files[name] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[name])
    assert files["months"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    ref = made_up_reference()
    policy = ref.law.reform(Reform.parse(["general_premium_rate=0.0527@2027-01-01"]))
    wanted = forecast_table(run_scenarios(ref.basis.until(2035), ref.law, policy))
    pd.testing.assert_frame_equal(pd.read_csv(files["forecast"]), wanted, check_dtype=False, rtol=0, atol=1e-9)


@pytest.mark.parametrize("context", [WIDE, NARROW], ids=["1280", "390"], indirect=True)
def test_nothing_is_wider_than_the_window(context, address, tmp_path):
    page = opened(context, address)
    width = page.evaluate("innerWidth")
    for tab in texts.TABS.values():
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(700)
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
    expect(page.get_by_text(texts.LIMITS, exact=True)).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


@pytest.mark.parametrize("context", [NARROW], ids=["390"], indirect=True)
def test_on_a_telephone_the_rate_stays_in_sight_above_the_chart(context, address):
    page = opened(context, address)
    page.locator(CHARTS).first.scroll_into_view_if_needed()
    page.mouse.move(200, 600)
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(500)
    slider = page.get_by_role("slider").first.bounding_box()
    chart = page.locator(CHARTS).first.bounding_box()
    assert slider is not None
    assert chart is not None
    assert 0 < slider["y"] < chart["y"] + chart["height"] < NARROW["height"] + chart["height"] / 2


def test_levers_survive_a_visit_to_the_other_page(context, address):
    page = opened(context, address)
    press(page, 5)
    kept = card(page, "reform")
    page.get_by_role("link", name=texts.PAGE_EVIDENCE).click()
    expect(page.get_by_text(texts.LIMITS, exact=True)).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name=re.compile(f"^{texts.PAGE_FUND}$")).click()
    expect(page.locator(CHARTS)).to_have_count(4, timeout=PATIENCE)
    assert card(page, "reform") == kept
