"""The levers' link: what it holds comes back, what it should not hold is dropped aloud."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.policy import Change, Policy, Reform
from forecaster.schemes import load_scheme
from forecaster_dashboards import state, texts
from forecaster_dashboards.state import GENERAL, SUPPLEMENTARY, Levers

LAW = Policy(load_scheme("tw_nhi_2g"))
FIT = "0123456789ab" + "c" * 52
HORIZONS, YEARS = (2035, 2045, 2060), (2026, 2060)
START = dt.date(2027, 1, 1)
DEFAULT = state.todays_law(LAW, START, 2035)


def read(text: str, fit: str = FIT) -> tuple[Levers, list[str]]:
    return state.from_link(text, LAW, fit, YEARS, HORIZONS, DEFAULT)


def moved(**values: float) -> Levers:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return state.with_tie(LAW, Levers(START, 2045, {**DEFAULT.values, **named}))


def test_levers_are_those_that_the_scheme_file_offers():
    offered = {name for name, p in LAW.scheme.parameters.items() if p.lever and p.unit != "choice"}
    assert set(state.lever_names(LAW.scheme)) == offered
    assert {GENERAL, SUPPLEMENTARY, "supplementary_ceiling", "government_floor_share"} <= offered


def test_todays_law_makes_no_reform():
    assert state.reform_of(LAW, DEFAULT) == Reform()


def test_general_rate_alone_is_one_change_and_the_policy_moves_the_other():
    reform = state.reform_of(LAW, moved(general_premium_rate=0.0557))
    assert reform.token == "general_premium_rate=0.0557@2027-01-01"
    # NHI Act Art. 33: 2.11% x 5.57 / 5.17 = 2.27%.
    assert moved(general_premium_rate=0.0557).values[SUPPLEMENTARY] == pytest.approx(0.0227, abs=1e-12)
    assert LAW.reform(reform).path(SUPPLEMENTARY, [2027])[0] == pytest.approx(0.0227, abs=1e-12)


def test_untied_rate_is_a_change_of_its_own():
    levers = Levers(START, 2035, {**DEFAULT.values, GENERAL: 0.0557, SUPPLEMENTARY: 0.0211}, tied=False)
    assert state.reform_of(LAW, levers).changes == (
        Change(GENERAL, START, 0.0557),
        Change(SUPPLEMENTARY, START, 0.0211),
    )


def test_link_restores_every_lever_and_says_nothing():
    levers = moved(general_premium_rate=0.0557, supplementary_ceiling=5e7, budget_growth_adjustment=-0.005)
    text = state.to_link(LAW, levers, FIT)
    assert read(text) == (levers, [])
    assert all(f"~{name}:" in text for name in state.lever_names(LAW.scheme))


@given(
    rate=st.integers(0, 600).map(lambda n: n / 10000),
    free=st.integers(0, 600).map(lambda n: n / 10000),
    threshold=st.integers(0, 1000).map(lambda n: 1000.0 * n),
    growth=st.integers(-100, 100).map(lambda n: n / 1000),
    tied=st.booleans(),
    start=st.dates(dt.date(2026, 1, 1), dt.date(2060, 12, 31)),
    horizon=st.sampled_from(HORIZONS),
)
def test_any_position_of_the_levers_comes_back(rate, free, threshold, growth, tied, start, horizon):
    values = {**state.todays_law(LAW, start, horizon).values, GENERAL: rate, SUPPLEMENTARY: free}
    values |= {"supplementary_threshold.rent": threshold, "budget_growth_adjustment": growth}
    levers = state.with_tie(LAW, Levers(start, horizon, values, tied))
    assert read(state.to_link(LAW, levers, FIT)) == (levers, [])


@given(
    text=st.text(max_size=300)
    | st.from_regex(r"\A1~tw_nhi_2g~[0-9a-f]{12}~\d{4}-\d\d-\d\d~\d{4}~tied(~.{0,30}){0,6}\Z")
)
def test_no_text_breaks_it_and_what_comes_out_is_lawful(text):
    levers, said = read(text)
    Policy(LAW.scheme, state.reform_of(LAW, levers))
    assert said
    assert levers.horizon in HORIZONS
    assert YEARS[0] <= levers.start.year <= YEARS[1]


GOOD = state.to_link(LAW, moved(general_premium_rate=0.0557), FIT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "could not be read"),
        ("gASVKAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjA1lY2hvIGhlbGxvlIWUUpQu", "could not be read"),
        ("1~" + "a" * 3000, "could not be read"),
        (GOOD.replace("1~", "2~", 1), "another law or version"),
        (GOOD.replace("tw_nhi_2g", "tw_nhi_1g"), "another law or version"),
    ],
)
def test_unusable_link_leaves_todays_law_and_says_so(text, words):
    levers, said = read(text)
    assert levers == DEFAULT
    assert len(said) == 1
    assert words in said[0]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("general_premium_rate:0.0557", "general_premium_rate:5.57", "a rate is a share: 0.0557, not 5.57"),
        ("general_premium_rate:0.0557", "general_premium_rate:0.07", "NHI Act Art. 18"),
        ("general_premium_rate:", "general_premium:", "Not taken from the link: lever 'general_premium:0.0557'"),
        (
            "average_dependants:0.56",
            "average_dependants:nan",
            "Not taken from the link: lever 'average_dependants:nan'",
        ),
        ("~average_dependants:0.56", "", "Not in the link, so at today's law: Announced average number of dependants"),
        ("~2045~", "~2050~", "Not taken from the link: horizon '2050'"),
        ("2027-01-01", "2027-02-30", "Not taken from the link: start '2027-02-30'"),
        ("2027-01-01", "2013-01-01", "Not taken from the link: start '2013-01-01'"),
        (
            "0123456789ab",
            "fedcba987654",
            "made with the fit fedcba987654; the figures here come from the fit 0123456789ab",
        ),
        ("supplementary_premium_rate:0.0227", "supplementary_premium_rate:0.03", "the tie is off"),
        ("general_premium_rate:0.0557", "general_premium_rate:0.055701", "the lever's nearest step 0.0557 is used"),
    ],
)
def test_each_piece_that_is_not_taken_is_said(before, after, words):
    assert before in GOOD
    _, said = read(GOOD.replace(before, after, 1))
    assert any(words in sentence for sentence in said), said


def test_a_dropped_rate_leaves_the_law_and_the_rest_of_the_link():
    link = state.to_link(LAW, moved(general_premium_rate=0.0557, supplementary_ceiling=5e7), FIT)
    levers, _ = read(link.replace("general_premium_rate:0.0557", "general_premium_rate:0.08"))
    assert levers.values[GENERAL] == DEFAULT.values[GENERAL]
    assert levers.values["supplementary_ceiling"] == 5e7
    assert levers.horizon == 2045


def test_frequencies_never_claim_certainty():
    assert texts.frequency(0.17, 4000) == "in 17 of 100 simulated futures"
    assert texts.frequency(0.0, 4000) == "in none of the 4,000 simulated futures"
    assert texts.frequency(0.002, 4000) == "in fewer than 1 of 100 simulated futures"
    assert texts.frequency(0.998, 4000) == "in more than 99 of 100 simulated futures"
    assert texts.frequency(1.0, 4000) == "in every one of the 4,000 simulated futures"
