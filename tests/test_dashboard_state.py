"""The levers' link: what it holds comes back, what it should not hold is dropped aloud."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.policy import Change, Policy, Reform
from forecaster.schemes import load_scheme
from forecaster_dashboards import language, references, state, words
from forecaster_dashboards.state import GENERAL, SUPPLEMENTARY, Levers

LAW = Policy(load_scheme("tw_nhi_2g"))
PRESETS = references.presets_of(LAW.scheme, 2026)
NAMES = state.lever_names(LAW.scheme, tuple(preset.reform for preset in PRESETS))
FIT = "0123456789ab" + "c" * 52
HORIZONS, YEARS = (2035, 2045, 2060), (2026, 2060)
START = dt.date(2027, 1, 1)
DEFAULT = state.todays_law(LAW, NAMES, START, 2035)


def read(text: str, fit: str = FIT) -> tuple[Levers, list[str]]:
    return state.from_link(text, LAW, NAMES, fit, YEARS, HORIZONS, DEFAULT)


def moved(**values: float) -> Levers:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return state.with_tie(LAW, replace(DEFAULT, horizon=2045, values={**DEFAULT.values, **named}))


def test_levers_are_those_that_the_scheme_or_a_known_plan_offers():
    offered = {name for name, p in LAW.scheme.parameters.items() if p.lever}
    planned = {change.name for preset in PRESETS for change in preset.reform.changes}
    companions = {"review_target_months", "review_return_years"}
    assert set(NAMES) == offered | planned | companions
    assert {GENERAL, SUPPLEMENTARY, "supplementary_settlement_yield", "yearly_review"} <= set(NAMES)


def test_known_plans_are_those_that_still_lie_ahead():
    assert {"supplementary_plan_2025_high", "yearly_review", "budget_growth_lower"} <= {p.name for p in PRESETS}
    assert not {"law_2021_rate", "committee_2020_option_1"} & {p.name for p in PRESETS}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_levers_of_a_known_plan_make_exactly_its_reform(preset):
    levers = state.levers_of(LAW, NAMES, preset.reform, START, 2035)
    assert state.reform_of(LAW, levers) == preset.reform


def test_steps_and_days_of_their_own_come_back_from_reform_and_link():
    settings = ["general_premium_rate=0.0547@2027-01-01", "general_premium_rate=0.0577@2030-01-01"]
    settings += ["supplementary_ceiling=50000000@2028-07-01", "yearly_review=on@2032-01-01"]
    reform = Reform.parse(settings)
    levers = state.levers_of(LAW, NAMES, reform, START, 2045)
    assert state.reform_of(LAW, levers) == reform
    assert levers.days == {"supplementary_ceiling": dt.date(2028, 7, 1), "yearly_review": dt.date(2032, 1, 1)}
    assert levers.later == (Change(GENERAL, dt.date(2030, 1, 1), 0.0577),)
    assert levers.tied
    text = state.to_link(LAW, levers, FIT)
    assert read(text) == (levers, [])
    assert "~yearly_review:on@2032-01-01" in text


def test_todays_law_makes_no_reform():
    assert state.reform_of(LAW, DEFAULT) == Reform()


def test_general_rate_alone_is_one_change_and_the_policy_moves_the_other():
    reform = state.reform_of(LAW, moved(general_premium_rate=0.0557))
    assert reform.token == "general_premium_rate=0.0557@2027-01-01"
    # NHI Act Art. 33: 2.11% x 5.57 / 5.17 = 2.27%.
    assert moved(general_premium_rate=0.0557).values[SUPPLEMENTARY] == pytest.approx(0.0227, abs=1e-12)
    assert LAW.reform(reform).path(SUPPLEMENTARY, [2027])[0] == pytest.approx(0.0227, abs=1e-12)


def test_untied_rate_is_a_change_of_its_own():
    levers = replace(DEFAULT, values={**DEFAULT.values, GENERAL: 0.0557, SUPPLEMENTARY: 0.0211}, tied=False)
    assert state.reform_of(LAW, levers).changes == (
        Change(GENERAL, START, 0.0557),
        Change(SUPPLEMENTARY, START, 0.0211),
    )


def test_link_restores_every_moved_lever_and_says_nothing():
    levers = moved(general_premium_rate=0.0557, supplementary_ceiling=5e7, budget_growth_adjustment=-0.005)
    text = state.to_link(LAW, levers, FIT)
    assert read(text) == (levers, [])
    assert text.endswith("~budget_growth_adjustment:-0.005~general_premium_rate:0.0557~supplementary_ceiling:50000000")
    assert len(text) < 200


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
    default = state.todays_law(LAW, NAMES, start, horizon)
    values = {**default.values, GENERAL: rate, SUPPLEMENTARY: free}
    values |= {"supplementary_threshold.rent": threshold, "budget_growth_adjustment": growth}
    levers = state.with_tie(LAW, replace(default, values=values, tied=tied))
    found, said = read(state.to_link(LAW, levers, FIT))
    assert state.reform_of(LAW, found) == state.reform_of(LAW, levers)
    assert (found.start, found.horizon, found.tied) == (start, horizon, tied)
    assert said == []


@given(
    text=st.text(max_size=300)
    | st.from_regex(r"\A2~tw_nhi_2g~[0-9a-f]{8}~[0-9a-f]{8}~\d{4}-\d\d-\d\d~\d{4}~tied(~.{0,30}){1,6}\Z")
)
def test_no_text_breaks_it_and_what_comes_out_is_lawful(text):
    levers, said = read(text)
    Policy(LAW.scheme, state.reform_of(LAW, levers))
    assert said
    assert levers.horizon in HORIZONS
    assert YEARS[0] <= levers.start.year <= YEARS[1]


GOOD = state.to_link(LAW, moved(general_premium_rate=0.0557), FIT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "could not be read"),
        ("gASVKAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjA1lY2hvIGhlbGxvlIWUUpQu", "could not be read"),
        ("2~" + "a" * 3000, "could not be read"),
        (GOOD + "~rent:1" * 70, "could not be read"),
        (GOOD.replace("2~", "1~", 1), "another law or version"),
        (GOOD.replace("tw_nhi_2g", "tw_nhi_1g"), "another law or version"),
    ],
)
def test_unusable_link_leaves_todays_law_and_says_so(text, told):
    levers, said = read(text)
    assert levers == DEFAULT
    assert len(said) == 1
    assert told in said[0]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (":0.0557", ":5.57", "General premium rate: 557.00% lies outside 0.00% to 6.00%"),
        (":0.0557", ":0.07", "NHI Act Art. 18"),
        ("general_premium_rate:", "general_premium:", "Not taken from the link: “general_premium:0.0557”"),
        (":0.0557", ":nan", "Not taken from the link: “nan”"),
        (":0.0557", ":0.0557~general_premium_rate:0.05", "Not taken from the link: “general_premium_rate:0.05”"),
        (":0.0557", ":0.0557@1999-01-01", "Not taken from the link: “general_premium_rate:0.0557@1999-01-01”"),
        (":0.0557", ":0.0557~yearly_review:maybe", "Not taken from the link: “maybe”"),
        ("~2045~", "~2050~", "Not taken from the link: “2050”"),
        ("2027-01-01", "2027-02-30", "Not taken from the link: “2027-02-30”"),
        ("2027-01-01", "2013-01-01", "Not taken from the link: “2013-01-01”"),
        ("01234567~", "fedcba98~", "made with the fit fedcba98; the figures here come from the fit 01234567"),
        (LAW.scheme.content_hash[:8], "abcdef01", "The law's file has changed"),
        (":0.0557", ":0.055701", "the lever's nearest step 5.57% is used"),
    ],
)
def test_each_piece_that_is_not_taken_is_said(before, after, text):
    assert before in GOOD
    _, said = read(GOOD.replace(before, after, 1))
    assert any(text in sentence for sentence in said), said


def test_a_tampered_link_is_answered_in_the_readers_language():
    with language.speaking("zh_TW"):
        _, said = read(GOOD.replace(":0.0557", ":0.07"))
        _, unread = read("~~")
    assert said == [
        "未採用連結中的一項：一般保險費率：7.00% 不在 0.00% 至 6.00% 之間（全民健康保險法第 18 條：6% 為上限）。"
    ]
    assert unread == ["連結中的情境無法讀取，因此所有政策工具均為現行法。"]


def test_a_dropped_rate_leaves_the_law_and_the_rest_of_the_link():
    link = state.to_link(LAW, moved(general_premium_rate=0.0557, supplementary_ceiling=5e7), FIT)
    levers, _ = read(link.replace("general_premium_rate:0.0557", "general_premium_rate:0.08"))
    assert levers.values[GENERAL] == DEFAULT.values[GENERAL]
    assert levers.values["supplementary_ceiling"] == 5e7
    assert levers.horizon == 2045


def test_frequencies_never_claim_certainty():
    assert words.frequency(0.17, 4000) == "in 17 of 100 simulated futures"
    assert words.frequency(0.0, 4000) == "in none of the 4,000 simulated futures"
    assert words.frequency(0.002, 4000) == "in fewer than 1 of 100 simulated futures"
    assert words.frequency(0.998, 4000) == "in more than 99 of 100 simulated futures"
    assert words.frequency(1.0, 4000) == "in every one of the 4,000 simulated futures"
