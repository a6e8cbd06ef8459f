"""The dashboard in Chromium, served as `forecaster dashboard` serves it, on a made-up fund."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import pandas as pd
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, TimeoutError, ViewportSize, expect

from dashboard_server import CHARTS, PATIENCE, served, stands_still
from forecaster.export import forecast_table, run_scenarios
from forecaster.policy import Reform
from forecaster_dashboards import fund_page, main, state
from made_up_dashboard import made_up_reference
from ports import free_port

pytestmark = pytest.mark.browser

TABLES = "[data-testid=stDataFrame], .sheet table"
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
TODAY = 0.0517
# Milliseconds in which a page has followed its window's size, on a busy machine too.
SETTLED = 60_000
expect.set_options(timeout=PATIENCE)
# What the pictures of all charts hold, to be compared in the browser.
PICTURES = f"[...document.querySelectorAll('{CHARTS}')]"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard's server."""
    port = free_port()
    with served(tmp_path_factory.mktemp("dashboard"), port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """One browser for all tests, so that the dashboard's scripts are loaded once; every page in it is a new session."""
    # The tests evaluate expressions, which the page itself may not.
    made = browser.new_context(viewport=WIDE, accept_downloads=True, bypass_csp=True)
    made.set_default_timeout(PATIENCE)
    heard = Heard(made)
    yield made
    made.close()
    heard.nothing_amiss(address)


class Heard:
    """What the pages of a browser have logged, and whom they have asked."""

    def __init__(self, context: BrowserContext):
        self.said: list[str] = []
        self.asked: list[str] = []
        context.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        context.on("weberror", lambda found: self.said.append(f"Error: {found.error}"))
        context.on("request", lambda request: self.asked.append(request.url))

    def nothing_amiss(self, address: str) -> None:
        """No error and no warning; nobody but the server was asked, and no request went astray."""
        assert [line for line in self.said if line.startswith(("error", "warning")) or "Error" in line] == []
        assert self.asked
        own = (address, address.replace("http", "ws"), "data:", "blob:")
        assert [url for url in self.asked if not url.startswith(own)] == []


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


def opened(page: Page, url: str) -> Page:
    """The page with the fund's page in it, drawn to its end."""
    page.goto(url)
    drawn(page)
    return page


def drawn(page: Page) -> None:
    """Wait until the fund's page stands still: chart there, no run under way, and the address has the slider's rate.

    The chart is drawn before the levers, so a page with a chart may have no slider yet.
    """
    expect(page.locator(CHARTS)).to_have_count(1)
    rate = round(float(general_rate(page).input_value()) / 100, 4)
    moved = "^(?!.*general_premium_rate)" if rate == TODAY else f"general_premium_rate(:|%3A){rate}"
    expect(page).to_have_url(re.compile(moved))
    stands_still(page)


def general_rate(page: Page) -> Locator:
    """The general rate's slider, by its name: while a page is loading, another may be drawn before it."""
    return page.get_by_role("slider", name="General premium rate, %")


def card(page: Page, name: str) -> str:
    return page.locator(f".card.{name}").inner_text()


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
    page.get_by_text("Share and repeat").click()
    return page.locator("code", has_text="?s=").inner_text().strip()


def test_fund_page_follows_the_slider_loses_nothing_answers_the_keyboard_and_prints(page):
    page.evaluate(f"window.kept = {PICTURES}; window.before = kept.map(e => e.innerHTML)")
    today = card(page, "today")
    press(page, 4)
    page.wait_for_function(f"{PICTURES}.every((e, i) => e.innerHTML !== window.before[i])")
    assert card(page, "today") == today
    expect(general_rate(page)).to_have_value("5.21")
    # The browser has replaced the data and built no chart anew: what keeps a move quick.
    assert page.evaluate(f"{PICTURES}.every((e, i) => e === window.kept[i])")
    # The address has followed, so that a reload loses nothing.
    expect(page).to_have_url(re.compile("general_premium_rate(:|%3A)0.0521"))
    kept = card(page, "reform")
    # A visit to another page, and a reload there, lose nothing either.
    page.get_by_role("link", name="Evidence", exact=True).click()
    expect(page.get_by_text("Known limits", exact=True)).to_be_visible()
    stands_still(page)
    fits(page, "evidence")
    page.reload()
    expect(page.get_by_text("Known limits", exact=True)).to_be_visible()
    page.get_by_role("link", name="Fund", exact=True).click()
    drawn(page)
    expect(general_rate(page)).to_have_value("5.21")
    assert card(page, "reform") == kept
    answers_the_keyboard(page)
    prints_whole(page)


def answers_the_keyboard(page: Page) -> None:
    """Tab leads to every page, lever, switch and chart; none is for the mouse alone."""
    wanted = {*main.page_titles().values(), "General premium rate, %", "year, The reform starts on", "Show until"}
    wanted |= {"Show the whole past", "Today's law", "Undo", "Balance", "Share and repeat: link and command line"}
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        if wanted <= reached:
            break
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if focus.count():
            reached |= set((focus.get_attribute("aria-label") or "").splitlines())
            reached |= {line.strip() for line in focus.inner_text().splitlines()}
            if focus.get_attribute("role") == "radio":
                # The arrow keys lead on from here.
                reached |= set(focus.locator("xpath=..").inner_text().splitlines())
    assert wanted - reached == set()


def prints_whole(page: Page) -> None:
    """On paper there are headline and chart and no levers, and nothing is cut off at the window's height."""
    page.emulate_media(media="print")
    expect(page.locator(".st-key-panel")).to_be_hidden()
    expect(page.locator(CHARTS)).to_be_visible()
    expect(page.locator(".meter")).to_be_visible()
    whole = "e => [getComputedStyle(e).overflowY, e.clientHeight > innerHeight]"
    assert page.locator("[data-testid=stMain]").evaluate(whole) == ["visible", True]
    page.emulate_media(media="screen")


def test_shared_link_restores_the_scenario_in_another_browser_in_chinese_and_shares_no_levers(page, browser, address):
    press(page, 2)
    link, before = link_of(page), card(page, "reform")
    # Under the server's policy for its pages, which the other tests' browser is excused from.
    context = browser.new_context(viewport=WIDE, locale="zh-TW")
    context.set_default_timeout(PATIENCE)
    heard, other = Heard(context), context.new_page()
    other.goto(link)
    expect(other.get_by_text("政策工具已依連結設定。")).to_be_visible()
    slider = other.get_by_role("slider", name="一般保險費率（%）")
    expect(slider).to_have_value("5.19")
    expect(other.locator("html")).to_have_attribute("lang", "zh-Hant-TW")
    expect(other).to_have_title("健保基金預測")
    stands_still(other)
    slider.press("ArrowRight")
    expect(other).to_have_url(re.compile("general_premium_rate(:|%3A)0.052"))
    expect(other.locator(CHARTS)).to_have_count(1)
    stands_still(other)
    # The menu leads to the same levers, in the same language; today's law is back in the units of Chinese.
    other.get_by_role("link", name="政策工具").click()
    expect(other.get_by_text("已知方案", exact=True)).to_be_visible()
    stands_still(other)
    expect(slider).to_have_value("5.2")
    ceiling = other.get_by_role("spinbutton", name=re.compile("單次給付扣費上限（萬元）"))
    expect(ceiling).to_have_value("1000")
    other.get_by_role("button", name="現行法").click()
    expect(other).not_to_have_url(re.compile("general_premium_rate"))
    stands_still(other)
    expect(slider).to_have_value("5.17")
    expect(ceiling).to_have_value("1000")
    # Tables too, on a page opened by its own address: it finds its server at once.
    other.goto(f"{address}/evidence")
    expect(other.get_by_text("已知限制", exact=True)).to_be_visible()
    stands_still(other)
    expect(general_rate(page)).to_have_value("5.19")
    assert card(page, "reform") == before
    context.close()
    heard.nothing_amiss(address)


def test_downloads_hold_the_engines_figures(context, address, tmp_path):
    ref, reform = made_up_reference(), Reform.parse(["general_premium_rate=0.0527@2027-01-01"])
    levers = state.levers_of(ref.law, ref.levers, reform, dt.date(2027, 1, 1), 2035)
    page = context.new_page()
    shown(page, address, f"export?s={state.to_link(ref.law, levers, ref.fit_hash)}")
    files = {}
    for name in ("Forecast table (CSV)", "Workbook (XLSX)", "Picture (PNG)", "Picture (SVG)", "Reform (TOML)"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        files[name] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[name])
    assert files["Picture (PNG)"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert files["Picture (SVG)"].read_bytes().startswith(b"<svg")
    assert files["Workbook (XLSX)"].read_bytes()[:2] == b"PK"
    page.close()
    assert Reform.read(files["Reform (TOML)"]) == reform
    wanted = forecast_table(run_scenarios(ref.basis.until(2035), ref.law, ref.law.reform(reform)))
    found = pd.read_csv(files["Forecast table (CSV)"])
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", [NARROW], ids=["390"])
def test_on_a_telephone_nothing_is_wider_than_the_window_and_the_rate_stays_in_sight(page):
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
    for name, charts in (("risk", 2), ("difference", 0)):
        page.get_by_role("radio", name=fund_page.chart_names()[name], exact=True).click()
        expect(page.locator(CHARTS)).to_have_count(charts)
        expect(page.locator(TABLES).first).to_be_visible()
        stands_still(page)
        fits(page, name)
    for name in ("levers", "solve", "schemes"):
        page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_role("link", name=main.page_titles()[name], exact=True).click()
        # The menu that lay over the page folds itself away.
        expect(page.locator("[data-testid=stSidebar][data-collapsed=true]")).to_have_count(1)
        whole(page, name)
        fits(page, name)


def shown(page: Page, address: str, name: str) -> None:
    """A page by its own address, drawn to its end."""
    page.goto(f"{address}/{name}")
    whole(page, name)


def whole(page: Page, name: str) -> None:
    """Wait until a page is drawn to its end."""
    title = main.page_titles()[name.partition("?")[0]]
    expect(page.get_by_role("heading", name=title, exact=True).first).to_be_visible()
    expect(page.get_by_text("simulated futures from the end of")).to_be_visible()
    stands_still(page)


def fits(page: Page, where: str) -> None:
    """Neither page nor chart is wider than the window, once both have followed its size."""
    widest = (
        "Math.max(document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollWidth, "
        f"...{PICTURES}.map(e => e.getBoundingClientRect().right))"
    )
    try:
        page.wait_for_function(f"{widest} <= innerWidth", timeout=SETTLED)
    except TimeoutError:
        assert page.evaluate(widest) <= page.evaluate("innerWidth"), where
