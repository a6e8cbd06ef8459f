"""What the charts and tables of the dashboard hold: the engine's figures, in specifications that Vega-Lite accepts."""

from __future__ import annotations

import json

import altair as alt
import numpy as np
import pytest
from jsonschema import ValidationError

from forecaster.engine import project
from forecaster.export import Scenario
from forecaster.policy import Reform
from forecaster.solvency import below_months, depletion, pay_as_you_go_rate
from forecaster_dashboards import charts, figures, frames, look, service, words
from forecaster_dashboards.charts import parts
from forecaster_dashboards.frames import Outcome, history_of
from made_up_dashboard import made_up_reference

LIMIT, TODAY_RATE = 0.06, 0.0517
REFORM = Reform.parse(["general_premium_rate=0.0557@2027-01-01", "budget_growth_adjustment=-0.002@2028-01-01"])
LINES = ("reserve", "reserve_months", "total_income", "outgo", "balance")


@pytest.fixture(scope="module")
def ref():
    return made_up_reference(n_draws=300)


@pytest.fixture(scope="module")
def today(ref):
    basis = ref.basis.until(2035)
    return Outcome(Scenario("baseline", basis, ref.law, project(basis, ref.law)))


@pytest.fixture(scope="module")
def reform(ref, today):
    policy = ref.law.reform(REFORM)
    return Outcome(Scenario("reform", today.basis, policy, project(today.basis, policy)))


def specs(ref, today, reform):
    fan = {line: frames.fan_columns(history_of(ref.history, line), today, reform, line) for line in LINES[:2]}
    balance = frames.fan_columns(history_of(ref.history, "balance"), today, reform, "balance")
    official = [{"year": 2024, "median": 1.5, "made": "2022-01", "text": "TW-S01"}]
    lines = [
        {"series": name, "year": int(year), "median": float(value)}
        for name, outcome in (("today", today), ("A", reform))
        for year, value in zip(outcome.years, outcome.median("reserve_months"), strict=True)
    ]
    payers = [
        {"series": row["payer"], "year": row["year"], "value": row["value"]}
        for row in frames.payers_by_year(reform).to_dict("records")
    ]
    chance = np.linspace(0.1, 0.9, 6).reshape(2, 3) + 0.01 * reform.median("reserve_months")[-1]
    ends = reform.median("reserve_months")[-1]
    people = [
        {"sex": sex, "age": age, "now": 9.0, "low": ends, "median": ends, "high": ends}
        for sex in "mf"
        for age in range(101)
    ]
    risk, spread = frames.risk_columns(today, reform), frames.depletion_columns(today, reform)
    rates = frames.pay_as_you_go_columns(today, reform)
    return {
        "months": charts.fan_chart(fan["reserve_months"], title="m", digits=2, band=(1.0, 3.0)),
        "reserve": charts.fan_chart(fan["reserve"], title="r", digits=1),
        "dots": charts.fan_chart(fan["reserve"], title="o", digits=1, officials=official, zero=False),
        "balance": charts.fan_chart(balance, title="b", digits=1),
        "waterfall": charts.waterfall_chart([("x", ends), ("y", -0.5)], title="w", unit="u", start=("law", 1.0)),
        "frontier": charts.frontier_chart(
            (0.05, 0.0517, 0.06), (0.02, 0.03), chance, title="f", today=(0.0517, 0.02), wanted=0.5
        ),
        "lines": charts.lines_chart(lines, {"today": "law", "A": "plan"}, title="l", digits=2),
        "stacked": charts.stacked_chart(payers, words.payers(), title="s", unit="u"),
        "bars": charts.bars_chart([{"name": "x", "value": ends}, {"name": "y", "value": -1.0}], title="q", unit="u"),
        "pyramid": charts.pyramid_chart(people, title="p", years=(2026, 2035)),
        "risk": charts.risk_chart(risk, title="p"),
        "depletion": charts.depletion_chart(spread, title="d", horizon=2035),
        "rates": charts.rate_chart(rates, title="q", limit=LIMIT, today=TODAY_RATE),
    }


@pytest.fixture(scope="module")
def specs_of(ref, today, reform):
    """Every chart without and with a reform."""
    return {"today": specs(ref, today, today), "reform": specs(ref, today, reform)}


KINDS = [
    *(
        "months",
        "reserve",
        "dots",
        "balance",
        "risk",
        "depletion",
        "rates",
        "waterfall",
        "frontier",
        "lines",
        "stacked",
    ),
    *("bars", "pyramid"),
]


@pytest.mark.parametrize("name", KINDS)
def test_every_chart_is_valid_vega_lite(specs_of, name):
    assert alt.Chart.from_dict(specs_of["reform"][name], validate=True) is not None


def test_a_chart_that_is_not_vega_lite_is_found(specs_of):
    with pytest.raises(ValidationError, match="not of type"):
        alt.Chart.from_dict({**specs_of["reform"]["bars"], "config": {"view": 3}}, validate=True)


@pytest.mark.parametrize("name", KINDS)
def test_only_the_data_change_with_the_levers(specs_of, name):
    one, other = (dict(specs_of[scenario][name]) for scenario in ("today", "reform"))
    assert one.pop("datasets") != other.pop("datasets")
    assert one == other


def test_fans_hold_the_engines_quantiles(ref, today, reform):
    direct = project(ref.basis.until(2035), ref.law.reform(REFORM))
    for line in LINES:
        values = direct.closing if line == "reserve" else getattr(direct, line)
        wanted = np.quantile(values, (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975), axis=1)
        np.testing.assert_allclose(reform.fan(line), wanted, rtol=0, atol=1e-9)
    columns = frames.fan_columns(history_of(ref.history, "reserve"), today, reform, "reserve")
    mine = columns["series"] == frames.REFORMED
    at = np.isin(columns["year"], today.years) & mine
    np.testing.assert_allclose(columns["median"][at], np.quantile(direct.closing, 0.5, axis=1), rtol=0, atol=1e-9)
    assert columns["year"][mine][0] == 2025


def test_chart_rounds_for_the_eye_and_no_further(ref, today, reform):
    spec = specs(ref, today, reform)["months"]
    rows = [r for r in spec["datasets"][charts.ROWS] if r["series"] == frames.REFORMED and r["year"] >= 2026]
    shown = np.array([[row[name] for name in frames.QUANTILE_NAMES] for row in rows]).T
    np.testing.assert_allclose(shown, reform.fan("reserve_months"), rtol=0, atol=0.005 + 1e-12)
    assert np.array_equal(np.round(shown, 2), shown)


def test_published_past_is_the_sourced_figure_and_gaps_are_marked(ref, today, reform):
    columns = frames.fan_columns(history_of(ref.history, "reserve"), today, reform, "reserve", first_year=2015)
    past = ref.history[(ref.history["line"] == "reserve") & (ref.history["year"] >= 2015)].set_index("year")
    for kind in (frames.PUBLISHED, frames.ESTIMATED):
        at = columns["series"] == kind
        assert columns["year"][at].tolist() == past.index[past["kind"] == kind].tolist()
        assert columns["median"][at].tolist() == past.loc[past["kind"] == kind, "q50"].tolist()
    published = columns["series"] == frames.PUBLISHED
    assert (columns["low95"][published] == columns["high95"][published]).all()


def test_past_months_are_reserve_over_outgo_and_published_only_when_both_are(ref):
    history = ref.history.copy()
    alone = (history["line"] == "outgo") & (history["year"] == 2022)
    history.loc[alone, "kind"] = frames.ESTIMATED
    months = history_of(history, "reserve_months")
    wide = history.pivot(index="year", columns="line", values="q50")
    np.testing.assert_allclose(months.values[:, frames.MEDIAN], 12 * wide["reserve"] / wide["outgo"], rtol=1e-12)
    assert months.kinds[months.years.tolist().index(2022)] == frames.ESTIMATED
    assert months.kinds[months.years.tolist().index(2023)] == frames.PUBLISHED


def test_risk_and_depletion_are_the_solvency_measures(today, reform):
    risk = frames.risk_columns(today, reform)
    for name, outcome in ((frames.TODAY, today), (frames.REFORMED, reform)):
        at = risk["series"] == name
        np.testing.assert_array_equal(risk["below"][at], below_months(outcome.projection, 1.0).by_year)
        np.testing.assert_array_equal(risk["depleted"][at], depletion(outcome.projection).by_year)
        now = (outcome.projection.closing / outcome.projection.outgo * 12 < 1).mean(axis=1)
        np.testing.assert_array_equal(risk["below_in_year"][at], now)
    spread = frames.depletion_columns(today, reform)
    mine = spread["series"] == frames.TODAY
    assert spread["probability"][mine].sum() == pytest.approx(1.0, abs=1e-12)
    never = (today.projection.closing >= 0).all(axis=0).mean()
    assert spread["probability"][mine & (spread["year"] == 0)][0] == pytest.approx(never, abs=1e-12)
    assert 0.0 < never < 1.0


def test_balancing_rate_is_the_engines(today, reform):
    columns = frames.pay_as_you_go_columns(today, reform)
    wanted = np.quantile(pay_as_you_go_rate(reform.basis, reform.policy, reform.projection), 0.5, axis=1)
    np.testing.assert_allclose(columns["median"][columns["series"] == frames.REFORMED], wanted, rtol=0, atol=1e-9)


def test_differences_are_the_draws_own_and_nothing_before_the_reform(today, reform):
    frame = frames.difference_frame(today, reform)
    change = reform.projection.closing - today.projection.closing
    rows = frame[frame["line"] == "reserve"].set_index("year")
    np.testing.assert_allclose(rows["difference"], change.mean(axis=1), rtol=0, atol=1e-9)
    np.testing.assert_allclose(rows["high80"], np.quantile(change, 0.9, axis=1), rtol=0, atol=1e-9)
    assert (frame.loc[frame["year"] == 2026, ["difference", "low80", "high80"]] == 0.0).all(axis=None)
    assert rows.loc[2035, "difference"] > 0.0


def test_payers_add_up_to_all_income(today, reform):
    frame = frames.payer_frame(today, reform, 2027, 2030).set_index("payer")
    years = (today.years >= 2027) & (today.years <= 2030)
    for name, outcome in (("today", today), ("reform", reform)):
        income = outcome.projection.total_income[years].mean(axis=1).sum()
        assert frame.loc["total", name] == pytest.approx(income, abs=1e-9)
        assert frame[name].drop("total").sum() == pytest.approx(income, abs=1e-9)
    assert set(frame.index) == set(words.payers())


def contrast(one: str, other: str) -> float:
    """Ratio of the luminances of two colours, as the Web Content Accessibility Guidelines 2.2 define it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_letters_and_marks_stand_out_in_the_light_and_in_the_dark():
    """Level AA: 4.5 for letters, 3 for lines and dots. Black on white is 21."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    letters, marks = (parts.INK, parts.GREY, parts.BLUE, parts.BAND, parts.ORANGE), (parts.PLUM, parts.HOLLOW)
    for shown in (lambda colour: colour, parts.DARK.__getitem__):
        paper = shown(parts.PAPER)
        assert min(contrast(shown(colour), paper) for colour in letters) >= 4.5
        assert min(contrast(shown(colour), paper) for colour in marks) >= 3.0
    for theme in (look.LIGHT, look.DARK):
        assert min(contrast(theme[name], theme["paper"]) for name in ("ink", "faint", "today", "reform")) >= 4.5


def test_dark_theme_changes_colours_and_nothing_else(ref, today, reform):
    spec = specs(ref, today, reform)["months"]
    dark = charts.in_look(spec, True)
    assert dark["datasets"] is spec["datasets"]
    assert charts.in_look(spec, False) is spec
    text = json.dumps({**dark, "datasets": {}})
    assert not [colour for colour in charts.DARK if colour in text and colour != charts.PAPER]
    assert json.loads(text).keys() == spec.keys()


def test_waterfall_ends_where_its_parts_lead():
    spec = charts.waterfall_chart([("x", 2.0), ("y", -0.5)], title="w", unit="u", start=("law", 1.0))
    rows = spec["datasets"][charts.ROWS]
    assert [(row["low"], row["high"]) for row in rows] == [(0.0, 1.0), (1.0, 3.0), (3.0, 2.5), (0.0, 2.5)]


def test_shares_of_the_spread_sum_to_one_and_outlay_has_its_part(ref):
    shares = service.spread_shares(ref, 2035, REFORM)
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-9)
    assert set(shares) - {"rest"} <= set(figures.driver_names())
    assert shares["cost"] > 0.05


def test_chance_of_staying_above_is_the_engines(today):
    months = today.projection.closing / today.projection.outgo * 12
    assert frames.stays_above(today, 2031) == pytest.approx((months[:6] >= 1.0).all(axis=0).mean(), abs=1e-12)


def test_picture_is_made_without_browser(ref, today, reform):
    picture = charts.png(specs(ref, today, reform)["months"], width=400, scale=1.0)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20]) >= 400
    assert charts.svg(specs(ref, today, reform)["waterfall"], width=400).startswith(b"<svg")
