"""Outcomes, the effective number of forecasts, the naive rules, and the officials' table; scores: test_backtest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster import scores
from forecaster.officials import official_table
from forecaster.pools import find_pool
from forecaster_models.rivals import MIN_FIGURES, rival_draws

ACTUALS = pd.DataFrame(
    [
        ("income", 2001, 110.0, "A"),
        ("outgo", 2001, 100.0, "A"),
        ("outgo", 2003, 121.0, "B"),
        ("reserve", 2001, 50.0, "A+C"),
        ("reserve", 2002, 44.0, "D"),
        ("reserve", 2003, 60.5, "B"),
    ],
    columns=["line", "year", "value", "source"],
)


def outcome(table: pd.DataFrame, line: str, year: int) -> pd.Series:
    return table[(table["line"] == line) & (table["year"] == year)].iloc[0]


# --- outcomes ---------------------------------------------------------------------------------------------------------
def test_balance_is_flows_where_both_are_known_else_the_step_of_the_reserve():
    table = scores.outcome_table(ACTUALS)
    assert outcome(table, "balance", 2001)["value"] == pytest.approx(10.0)
    assert outcome(table, "balance", 2002)["value"] == pytest.approx(-6.0)
    assert outcome(table, "balance", 2002)["source"] == "D+A+C"
    assert outcome(table, "balance", 2003)["value"] == pytest.approx(16.5)
    assert set(table[table["line"] == "balance"]["kind"]) == {"derived"}


def test_months_of_reserve_and_the_scale_between_published_years():
    table = scores.outcome_table(ACTUALS)
    assert outcome(table, "reserve_months", 2003)["value"] == pytest.approx(12 * 60.5 / 121)
    assert table[table["line"] == "reserve_months"]["year"].tolist() == [2001, 2003]
    # The straight line of logs from 100 to 121 over two years passes 110.
    assert outcome(table, "reserve", 2002)["scale"] == pytest.approx(110.0)


def test_a_reading_near_the_years_end_counts_only_where_there_is_no_other():
    near = pd.DataFrame({"year": [2003, 2004], "value": [1.0, 70.0], "source": ["E", "E"]})
    table = scores.outcome_table(ACTUALS, near)
    assert outcome(table, "reserve", 2003)["value"] == 60.5
    last = outcome(table, "reserve", 2004)
    assert (last["value"], last["kind"], last["scale"]) == (70.0, "near the year's end", pytest.approx(121.0))
    assert 2004 not in table[table["line"] == "balance"]["year"].tolist()


def test_own_estimates_are_not_scored_and_the_balance_of_their_year_comes_from_the_reserves():
    table = scores.outcome_table(ACTUALS, estimated={("outgo", 2001), ("outgo", 2003)})
    assert outcome(table, "income", 2001)["kind"] == scores.PUBLISHED
    assert outcome(table, "outgo", 2003)["kind"] == scores.ESTIMATED
    assert outcome(table, "reserve_months", 2003)["kind"] == scores.ESTIMATED
    # No reserve of 2000: what is left for 2001 is the estimate.
    assert (outcome(table, "balance", 2001)["value"], outcome(table, "balance", 2001)["kind"]) == (
        10.0,
        scores.ESTIMATED,
    )
    assert (outcome(table, "balance", 2003)["value"], outcome(table, "balance", 2003)["kind"]) == (16.5, scores.DERIVED)
    draws = {line: np.full((1, 20), 100.0) for line in ("outgo", "reserve", "balance")}
    rows = {row["line"]: row for row in scores.forecast_rows("drift", 2002, draws, table)}
    assert {line: "crps" in row for line, row in rows.items()} == {"outgo": False, "reserve": True, "balance": True}
    assert np.isnan(rows["outgo"]["outcome"])
    assert rows["outgo"]["outcome_kind"] == "own estimate, not scored"
    flows = ACTUALS[ACTUALS["line"] != "reserve"]
    both = pd.concat(
        [flows, pd.DataFrame([("reserve", 2000, 42.0, "F"), ("reserve", 2001, 50.0, "A")], columns=flows.columns)]
    )
    table = scores.outcome_table(both, estimated={("income", 2001)})
    assert (outcome(table, "balance", 2001)["value"], outcome(table, "balance", 2001)["kind"]) == (8.0, scores.DERIVED)


# --- how much evidence ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("origins", "horizons", "expected"),
    [
        ([2000, 2001, 2002], [1, 1, 1], 3.0),  # no year is shared
        ([2000, 2001], [2, 2], 4 / 3),  # each shares half its years with the other: 4 / (2 + 2 * 0.5)
        ([2000, 2000], [1, 2], 4 / (2 + 2 / np.sqrt(2))),
        ([2000, 2000], [3, 3], 1.0),  # the same forecast twice
        ([], [], 0.0),
    ],
)
def test_effective_number_by_hand(origins, horizons, expected):
    assert scores.effective_number(np.array(origins), np.array(horizons)) == pytest.approx(expected)


def test_many_origins_in_a_row_are_worth_about_one_for_each_horizon():
    origins = np.arange(1000)
    assert scores.effective_number(origins, np.full(1000, 5)) == pytest.approx(200.0, rel=0.01)


@given(st.lists(st.tuples(st.integers(2000, 2020), st.integers(1, 10)), min_size=1, max_size=30))
def test_effective_number_lies_between_one_and_the_number_of_forecasts(pairs):
    found = scores.effective_number(*np.array(pairs).T)
    assert 1.0 - 1e-9 <= found <= len(set(pairs)) + 1e-9


# --- naive rules ------------------------------------------------------------------------------------------------------
def steady(years, growth=0.05, wobble=0.0, seed=1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    years = np.asarray(years)
    outgo = 100 * np.exp(growth * (years - 2000) + wobble * rng.normal(size=len(years)).cumsum())
    rows = [("outgo", int(y), v, "S") for y, v in zip(years, outgo, strict=True)]
    rows += [("income", int(y), 1.1 * v, "S") for y, v in zip(years, outgo, strict=True)]
    return scores.outcome_table(pd.DataFrame(rows, columns=["line", "year", "value", "source"]))


def test_a_random_walk_with_drift_goes_on_from_the_last_figure_by_the_mean_growth():
    table = steady(range(2000, 2012), wobble=0.03)
    outgo = table[table["line"] == "outgo"].set_index("year")["value"]
    found = rival_draws(table, 2010, 3)["drift"]["outgo"]
    growth = np.log(outgo[2010] / outgo[2000]) / 10
    expected = outgo[2010] * np.exp(growth * np.arange(1, 4))
    assert np.median(found, axis=1) == pytest.approx(expected, rel=1e-4)
    spread = np.log(np.quantile(found, 0.9, axis=1) / np.quantile(found, 0.1, axis=1))
    assert spread[0] < spread[1] < spread[2]


def test_steady_growth_is_carried_on_over_gaps_by_every_rule_of_growth():
    found = rival_draws(steady([*range(2000, 2005), *range(2008, 2011)]), 2010, 2)
    for rule in ("last_growth", "drift", "smoothing"):
        assert np.median(found[rule]["outgo"], axis=1) == pytest.approx(100 * np.exp([0.55, 0.6]), rel=1e-3), rule
        # The balance is a tenth of outgo, this year and always.
        assert np.median(found[rule]["balance"], axis=1) == pytest.approx(10 * np.exp([0.55, 0.6]), rel=1e-3), rule


def test_a_constant_share_of_gdp_grows_as_gdp_does():
    gdp = {year: 1000 * 1.02 ** (year - 2000) for year in range(1995, 2025)}
    found = rival_draws(steady(range(2000, 2011)), 2010, 1, gdp)["gdp_share"]["outgo"]
    assert np.median(found) == pytest.approx(100 * np.exp(0.5) * 1.02, rel=1e-3)


def test_rules_read_nothing_after_the_origin():
    gdp = {year: 1000.0 + year for year in range(1995, 2025)}
    table = steady(range(2000, 2016), wobble=0.03)
    later = table["year"] > 2010
    other = table.assign(value=table["value"].where(~later, 1e6), scale=table["scale"].where(~later, 1.0))
    one, two = (rival_draws(t, 2010, 2, g) for t, g in ((table, gdp), (other, {**gdp, 2011: 1e9})))
    assert one.keys() == two.keys() == {"last_growth", "drift", "smoothing", "gdp_share"}
    for rule, lines in one.items():
        for line, draws in lines.items():
            assert np.array_equal(draws, two[rule][line]), (rule, line)


def test_rules_are_left_out_where_figures_are_too_few():
    assert rival_draws(steady(range(2000, 2000 + MIN_FIGURES - 1)), 2010, 2) == {}
    assert "gdp_share" not in rival_draws(steady(range(2000, 2010)), 2010, 2)


# --- officials --------------------------------------------------------------------------------------------------------
def test_officials_are_met_from_the_year_before_and_under_the_law_they_assumed():
    rows = []
    for rule, middle in (("forecast", 100.0), ("model", 200.0)):
        for origin in range(2013, 2025):
            for step in range(1, 11):
                for line in scores.MEASURES:
                    row = {"rule": rule, "line": line, "origin": origin, "target": origin + step, "horizon": step}
                    rows.append(row | {"q10": 0.0, "q50": middle + origin - 2000, "q90": 1e3})
    table = official_table(find_pool("tw_nhi"), pd.DataFrame(rows)).set_index(["made", "target", "line"])
    # 5.17% has held since 2021, 4.69% had not been left when the forecast of 2018 was made.
    known = table.loc[("2020-11-26", 2021, "income")]
    assert (known["question"], known["origin"], known["ours"]) == ("model", 2019, 219.0)
    assert (known["official"], known["later"]) == (701.5, 709.9)
    assert known["official_error"] == pytest.approx(-8.4)
    assert known["our_error"] == pytest.approx(219.0 - 709.9)
    before = table.loc[("2018-02", 2021, "balance")]
    assert (before["question"], before["origin"], before["ours"]) == ("forecast", 2017, 117.0)
    # A range counts by its middle; what was only bounded, or is no line of ours, is left out.
    assert table.loc[("2022-11", 2023, "reserve_months"), "official"] == pytest.approx((1.05 + 1.24) / 2)
    assert ("2020-04", 2021, "reserve_months") not in table.index
    assert set(table.index.get_level_values("line")) <= set(scores.MEASURES)
