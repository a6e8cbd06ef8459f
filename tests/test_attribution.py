"""Attribution: sums that are exact in every draw, and shares worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster import attribution
from forecaster.attribution import attribute, by_lever, frozen_population, idle_levers, spending_growth
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from funds import random_basis
from test_engine import EVERY_LEVER
from test_rules import plain_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
FIVE = EVERY_LEVER[:5]


def under(*settings_: str) -> Policy:
    return LAW.reform(Reform.parse(settings_))


def whole(basis, first, second):
    a, b = project(basis, first), project(basis, second)
    return {
        "total_income": b.total_income - a.total_income,
        "outgo": b.outgo - a.outgo,
        "reserve": b.closing - a.closing,
        "reserve_months": b.reserve_months - a.reserve_months,
    }


@pytest.mark.parametrize(("first", "second"), [((), FIVE), (FIVE[:3], FIVE[2:]), (EVERY_LEVER[:1], EVERY_LEVER)])
def test_the_parts_sum_to_the_whole_in_every_draw(first, second):
    basis = random_basis(25, 8)
    found = attribute(basis, under(*first), under(*second))
    assert found.order_free is (len(found.parts) <= attribution.MOST_LEVERS)
    for line, difference in whole(basis, under(*first), under(*second)).items():
        assert sum(part[line] for part in found.parts.values()) == pytest.approx(difference, abs=1e-9)


def test_before_a_levers_day_its_part_is_nothing_at_all():
    found = attribute(random_basis(25, 8), LAW, under(*FIVE))
    assert all((part[line][0] == 0.0).all() for part in found.parts.values() for line in attribution.LINES)


def test_two_levers_by_hand():
    # Rate 5.17% -> 6% and outgo 700 -> 700 - 70 by co-payments; no floor. Income and outgo do not interact: 83 and 70.
    basis = plain_basis([700.0], 100.0)
    law = under("government_floor_share=0@2026-01-01")
    both = under(
        "government_floor_share=0@2026-01-01",
        "general_premium_rate=0.06@2026-01-01",
        "copayment_reform_yield=70@2026-01-01",
    )
    found = attribute(basis, law, both).parts
    assert set(found) == {"general_premium_rate", "copayment_reform_yield"}
    assert found["general_premium_rate"]["reserve"].item() == pytest.approx(83.0)
    assert found["copayment_reform_yield"]["outgo"].item() == pytest.approx(-70.0)
    # Months do interact: the mean over both orders of what the rate adds.
    months = {
        name: 12 * reserve / outgo
        for name, reserve, outgo in (("", -83.0, 700.0), ("r", 0.0, 700.0), ("c", -13.0, 630.0), ("rc", 70.0, 630.0))
    }
    rate = 0.5 * (months["r"] - months[""] + months["rc"] - months["c"])
    assert found["general_premium_rate"]["reserve_months"].item() == pytest.approx(rate)


def test_the_order_does_not_matter_and_equal_levers_share_alike():
    basis = random_basis(10, 6)
    thresholds = [f"supplementary_threshold.{item}=5000@2027-01-01" for item in ("fees", "rent")]
    alike = replace(basis, supplementary_base={**basis.supplementary_base, "rent": basis.supplementary_base["fees"]})
    found = attribute(alike, LAW, under(*thresholds, "general_premium_rate=0.055@2027-01-01")).parts
    first, second = (found[f"supplementary_threshold.{item}"]["reserve"] for item in ("fees", "rent"))
    assert first == pytest.approx(second, rel=1e-9)


def test_shares_of_a_category_are_one_lever():
    moved = ["premium_share.c2.insured=0.5@2027-01-01", "premium_share.c2.government=0.5@2027-01-01"]
    assert list(by_lever(Reform.parse(moved))) == ["premium_share.c2"]
    assert set(attribute(random_basis(5, 4), LAW, under(*moved)).parts) == {"premium_share.c2"}


def test_levers_that_do_nothing_are_found():
    basis = random_basis(10, 5)
    policy = under(
        "general_premium_rate=0.055@2027-01-01",
        "late_fee_daily=0.002@2027-01-01",
        "supplementary_ceiling=50000000@2040-01-01",
        "average_dependants=0.56@2027-01-01",
    )
    assert idle_levers(basis, LAW, policy) == ("average_dependants", "late_fee_daily", "supplementary_ceiling")
    assert idle_levers(basis, LAW, LAW) == ()
    assert idle_levers(basis, policy, policy) == ()
    # It moves no money of the fund, only who pays: no idle lever.
    moved = ["premium_share.c2.insured=0.5@2027-01-01", "premium_share.c2.government=0.5@2027-01-01"]
    assert idle_levers(basis, LAW, under(*moved)) == ()


def test_the_same_policy_twice_is_refused():
    with pytest.raises(ForecasterError, match="no difference to attribute"):
        attribute(random_basis(3, 3), LAW, LAW)


def with_drivers(n_draws=30, n_years=10, seed=0):
    basis = random_basis(n_draws, n_years, seed=seed)
    rng = np.random.default_rng(seed)
    shape = basis.outlay.shape
    people = 23e6 * np.exp(np.cumsum(rng.normal(-0.003, 0.001, shape), axis=0))
    need = np.exp(np.cumsum(rng.normal(0.01, 0.002, shape), axis=0))
    gdp = 28000 * np.exp(np.cumsum(rng.normal(0.03, 0.02, shape), axis=0))
    return replace(basis, drivers={"population": people, "need_index": need / need[0], "gdp_nominal": gdp})


@given(seed=st.integers(0, 50), growth=st.floats(-0.02, 0.02))
@settings(max_examples=20, deadline=None)
def test_drivers_sum_to_the_growth_of_outgo_in_every_draw(seed, growth):
    basis = with_drivers(seed=seed)
    policy = under(f"budget_growth_adjustment={growth}@2027-01-01")
    outgo = project(basis, policy).outgo
    parts = spending_growth(basis, policy)
    assert set(parts) == {"people", "ageing", "income", "excess", "policy"}
    assert sum(parts.values()) == pytest.approx(outgo - outgo[0], abs=1e-8)
    assert (np.sign(parts["policy"][-1]) == np.sign(growth)).all() or abs(growth) < 1e-12


def test_drivers_by_hand_when_only_one_moves():
    basis = plain_basis([600.0, 600.0 * np.exp(0.02)], 100.0)
    ones = np.ones((2, 1))
    drivers = {
        "population": ones,
        "need_index": np.array([[1.0], [np.exp(0.02)]]),
        "gdp_nominal": ones,
    }
    parts = spending_growth(replace(basis, drivers=drivers), LAW)
    assert parts["ageing"][1, 0] == pytest.approx(600.0 * np.expm1(0.02))
    assert all(parts[name][1, 0] == pytest.approx(0.0, abs=1e-9) for name in ("people", "income", "excess", "policy"))


def test_a_frozen_population_takes_out_need_alone():
    basis = with_drivers()
    frozen = frozen_population(basis)
    need = basis.drivers["need_index"]
    assert frozen.outlay * need / need[0] == pytest.approx(basis.outlay)
    assert np.array_equal(frozen.general_base, basis.general_base)
    assert "need of the people of 2026" in frozen.label
    with pytest.raises(ForecasterError, match="carries no need_index"):
        frozen_population(random_basis(2, 2))
