"""Actuarial measures: a three-year fund worked by hand, and the identities that tie them to the ledger."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from forecaster.basis import Basis
from forecaster.drivers import expected_loss, importance
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.measures import expected_shortfall, fund_ratio, periods, valuation
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solve import RATE, Goal, required_by_draw, with_values
from forecaster.solvency import (
    below_months,
    depletion,
    first_deficit,
    limit_falls_short,
    pay_as_you_go_rate,
    quantiles,
    share_below,
)
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))


def three_years(n: int = 3) -> Basis:
    """Base 1000, 1100, 1200, outgo 60, 70, 90 (then 100), other income 5, opening reserve 20, yield 10%."""
    shape = (n, 1)

    def column(values: list[float]) -> np.ndarray:
        return np.array(values[:n]).reshape(shape)

    return Basis(
        label="three years by hand",
        years=np.arange(2026, 2026 + n),
        opening_reserve=np.array([20.0]),
        general_base=column([1000.0, 1100.0, 1200.0, 1300.0]),
        category_mix=np.ones((1, 1)),
        categories=("c14",),
        reference_dependants=0.56,
        supplementary_base={},
        other_income={"other": np.full(shape, 5.0)},
        outlay=column([60.0, 70.0, 90.0, 100.0]),
        investment_yield=np.full(shape, 0.1),
        payment_sizes={},
        payment_size_index=np.ones(shape),
        law_thresholds={},
        law_ceiling=np.full(n, 1e7),
        drivers={},
    )


def law(rate: float = 0.05) -> Policy:
    return LAW.reform(
        Reform.parse([f"general_premium_rate={rate!r}@2026-01-01", "government_floor_share=0@2026-01-01"])
    )


# Middle of the year at 10%: 1.05 x 1/1.1, 1/1.21, 1/1.331.
V = (1 / 1.1, 1 / 1.21, 1 / 1.331)
PV_BASE = 1.05 * (1000 * V[0] + 1100 * V[1] + 1200 * V[2])
PV_INCOME = 1.05 * (55 * V[0] + 60 * V[1] + 65 * V[2])
PV_COST = 1.05 * (60 * V[0] + 70 * V[1] + 90 * V[2])


def test_three_years_by_hand() -> None:
    # At 5% premiums are 50, 55, 60; with 5 of other income 55, 60, 65.
    basis, policy = three_years(), law()
    result = project(basis, policy)
    found = valuation(basis, policy, result, 3)
    assert found.base[0] == pytest.approx(PV_BASE)
    assert found.income_rate[0] == pytest.approx((20 + PV_INCOME) / PV_BASE)
    assert found.cost_rate[0] == pytest.approx((PV_COST + 90 * V[2]) / PV_BASE)
    assert found.balance[0] == pytest.approx((20 + PV_INCOME - PV_COST - 90 * V[2]) / PV_BASE)
    assert found.unfunded_obligation[0] == pytest.approx(PV_COST - PV_INCOME - 20)
    # The figures themselves, so that a slip in the formulas above would show.
    assert found.income_rate[0] == pytest.approx(0.061575, abs=1e-6)
    assert found.cost_rate[0] == pytest.approx(0.089866, abs=1e-6)
    assert found.unfunded_obligation[0] == pytest.approx(13.1724, abs=1e-4)
    # Other income of 5 does not move with the rate.
    others = 1.05 * 5 * sum(V)
    assert found.level_rate[0] == pytest.approx((PV_COST + 90 * V[2] - 20 - others) / PV_BASE)
    assert fund_ratio(result)[0, 0] == pytest.approx(20 / 60)
    # Opening of the second year: 20 x 1.1 - 5 x 1.05 = 16.75, of the third: 16.75 x 1.1 - 10 x 1.05 = 7.925.
    assert fund_ratio(result)[1:, 0] == pytest.approx([16.75 / 70, 7.925 / 90])


def test_solvency_of_the_three_years_by_hand() -> None:
    # 20 - 5 + 10% of (20 - 2.5) = 16.75; then less 10 with 10% of 11.75; then less 25 with 10% of -4.575.
    basis, policy = three_years(), law()
    result = project(basis, policy)
    assert result.closing[:, 0] == pytest.approx([16.75, 7.925, -17.5325])
    assert result.reserve_months[:, 0] == pytest.approx([3.35, 7.925 / 70 * 12, -17.5325 / 90 * 12])
    assert (depletion(result).quantile(0.5), below_months(result, 2.0).quantile(0.5)) == (2028, 2027)
    assert (first_deficit(result).quantile(0.5), share_below(result, 0.0).tolist()) == (2026, [0.0, 0.0, 1.0])
    # What is not covered by other income, over the base.
    rates = pay_as_you_go_rate(basis, policy, result)[:, 0]
    assert rates == pytest.approx([55 / 1000, 65 / 1100, 85 / 1200])
    # 5.5 and 5.9% lie within the law's 6%, 7.1% does not, whatever the rate in force.
    for rate in (0.05, 0.06):
        short = limit_falls_short(basis, law(rate), project(basis, law(rate)))
        assert (short.by_year.tolist(), short.in_year.tolist()) == ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    parameters = dict(policy.scheme.parameters)
    open_ended = parameters["general_premium_rate"].model_copy(update={"bounds_source": "assumed: localities set it"})
    parameters["general_premium_rate"] = open_ended
    without = Policy(policy.scheme.model_copy(update={"parameters": parameters}))
    assert limit_falls_short(basis, without, result) is None
    assert expected_shortfall(result.closing, 0.2) == pytest.approx([16.75, 7.925, -17.5325])


def four_futures(times: int = 1) -> Basis:
    """The same three years without yield in four futures: 21 or 41 at first, 80 or 90 of outgo in the last year."""
    one, shape = three_years(), (3, 4 * times)
    opening, last = np.tile([21.0, 21.0, 41.0, 41.0], times), np.tile([80.0, 90.0, 80.0, 90.0], times)
    wide = {name: np.repeat(getattr(one, name), 4 * times, axis=1) for name in ("general_base", "category_mix")}
    return replace(
        one,
        opening_reserve=opening,
        other_income={"other": np.full(shape, 5.0)},
        outlay=np.stack([np.full(4 * times, 60.0), np.full(4 * times, 70.0), last]),
        investment_yield=np.zeros(shape),
        payment_size_index=np.ones(shape),
        **wide,
    )


def test_chances_quantiles_and_shortfall_of_three_years_by_hand() -> None:
    # At 5% the reserve ends at 16 or 36, then 6 or 26, then 6 + 65 - 80 and so on: -9, -19, 11, 1.
    result = project(four_futures(), law())
    assert result.closing[2] == pytest.approx([-9.0, -19.0, 11.0, 1.0])
    assert depletion(result).by_year.tolist() == [0.0, 0.0, 0.5]
    assert share_below(result, 0.0).tolist() == [0.0, 0.0, 0.5]
    # One month of 80 is 6.7, of 70 5.8: only the reserve of 11 is more than that, and in 2027 every one is.
    assert below_months(result, 1.0).by_year.tolist() == [0.0, 0.0, 0.75]
    # In order -19, -9, 1, 11: halfway between the middle two, and three quarters of the way from the first to the next.
    assert quantiles(result.closing, (0.25, 0.5))[:, 2] == pytest.approx([-11.5, -4.0])
    assert expected_shortfall(result.closing, 0.5)[2] == pytest.approx(-14.0)
    assert expected_shortfall(result.closing, 0.25)[2] == pytest.approx(-19.0)
    # 75 and 85 to be covered by 1200 of base: both more than the law's 6%; the years before are not.
    assert limit_falls_short(four_futures(), law(), result).by_year.tolist() == [0.0, 0.0, 1.0]


def test_what_carries_the_risk_of_three_years_by_hand() -> None:
    # The opening reserve moves the last one by 20, the last outgo by 10: 4/5 and 1/5 of the variance.
    basis, goal = four_futures(100), Goal(0.0, 2028, dt.date(2026, 1, 1), 0.5, throughout=False)
    reserve = project(basis, law()).closing[2]
    # What each future needs: 165 of premiums at 5% and what is missing, over 3300 of base.
    needs = required_by_draw(basis, law(), RATE, goal)
    assert needs[:4] == pytest.approx(np.array([174.0, 184.0, 154.0, 164.0]) / 3300.0)
    groups = {"opening": basis.opening_reserve[:, None], "outgo": basis.outlay[2][:, None]}
    found = importance(groups, reserve, needs, 0.5)
    assert [found[name].share for name in groups] == pytest.approx([0.8, 0.2], abs=1e-2)
    # One rate for all, 169 over 3300, is wrong by 15, 5, 5 and 15, half of which counts: 5. Knowing the opening it is
    # wrong by 5 alone, so 2.5 are saved; knowing the outgo by 10, which saves nothing.
    assert expected_loss(needs, 0.5) == pytest.approx(5.0 / 3300.0)
    assert found["opening"].worth == pytest.approx(2.5 / 3300.0, rel=1e-2)
    assert found["outgo"].worth == pytest.approx(0.0, abs=1e-5)


def test_the_target_is_the_outgo_of_the_year_after_where_it_is_projected() -> None:
    basis, policy = three_years(4), law()
    found = valuation(basis, policy, project(basis, policy), 3)
    assert found.cost_rate[0] == pytest.approx((PV_COST + 100 * V[2]) / PV_BASE)
    half = valuation(basis, policy, project(basis, policy), 3, target_months=6.0)
    assert half.cost_rate[0] == pytest.approx((PV_COST + 50 * V[2]) / PV_BASE)


def test_another_rate_of_discount() -> None:
    basis, policy = three_years(), law()
    found = valuation(basis, policy, project(basis, policy), 3, discount=np.zeros((3, 1)))
    assert found.income_rate[0] == pytest.approx((20 + 180) / 3300)
    assert found.cost_rate[0] == pytest.approx((220 + 90) / 3300)


@pytest.mark.parametrize(
    "more", [[], ["yearly_review=on@2028-01-01"], ["government_top_up_payment=year_after@2027-01-01"]]
)
def test_the_balance_is_the_present_value_of_the_last_reserve_less_the_target(more: list[str]) -> None:
    basis = random_basis(100, 30, seed=2)
    policy = LAW.reform(Reform.parse([*more, "government_injection=7@2027-01-01"]))
    result = project(basis, policy)
    found = valuation(basis, policy, result, 25)
    discounted = np.prod(1 / (1 + basis.investment_yield[:25]), axis=0)
    assert found.balance * found.base == pytest.approx(discounted * (result.closing[24] - result.outgo[25]), rel=1e-9)
    assert found.unfunded_obligation == pytest.approx(-discounted * result.closing[24], rel=1e-9)


@pytest.mark.parametrize("floor_basis", ["income", "outlay"])
def test_at_the_level_rate_the_balance_is_zero(floor_basis: str) -> None:
    # One draw, for each draw has a level rate of its own; outlay is taken down to stay under the law's limit.
    basis = random_basis(1, 26, seed=4)
    basis = replace(basis, outlay=0.9 * basis.outlay)
    law_ = LAW.reform(Reform.parse([f"government_floor_basis={floor_basis}@2026-01-01"]))
    level = float(valuation(basis, law_, project(basis, law_), 25).level_rate[0])
    assert 0.02 < level < 0.06
    policy = with_values(law_, "general_premium_rate", {dt.date(2026, 1, 1): level})
    # The tied rate is rounded by law; here both move exactly.
    policy = with_values(policy, "supplementary_premium_rate", {dt.date(2026, 1, 1): 0.0211 * level / 0.0517})
    found = valuation(basis, policy, project(basis, policy), 25)
    assert found.balance[0] == pytest.approx(0.0, abs=2e-5)
    assert found.level_rate[0] == pytest.approx(level, rel=1e-9 if floor_basis == "income" else 1e-2)


def test_periods_and_a_period_that_is_too_long() -> None:
    assert periods(random_basis(2, 30)) == (25,)
    assert periods(random_basis(2, 75)) == (25, 50, 75)
    assert periods(three_years()) == (3,)
    basis = three_years()
    with pytest.raises(ForecasterError, match="4 years: the projection of 'three years by hand' has 3"):
        valuation(basis, law(), project(basis, law()), 4)


def test_expected_shortfall_is_the_mean_of_the_worst() -> None:
    values = np.array([[5.0, 1.0, 3.0, 2.0, 4.0], [-1.0, -2.0, -3.0, -4.0, -5.0]])
    assert expected_shortfall(values, 0.4) == pytest.approx([1.5, -4.5])
    # Half of five draws: two and a half, the third counted in half.
    assert expected_shortfall(values, 0.5) == pytest.approx([(1 + 2 + 1.5) / 2.5, (-5 - 4 - 1.5) / 2.5])
    assert expected_shortfall(values, 1.0) == pytest.approx(values.mean(axis=1))
    with pytest.raises(ForecasterError, match="above 0 up to 1"):
        expected_shortfall(values, 0.0)
