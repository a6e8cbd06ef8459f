"""Measures and the rate solver, on funds whose answers are known."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from forecaster.engine import project
from forecaster.measures import valuation
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solve import required_rate, with_rate
from forecaster.solvency import (
    below_months,
    depletion,
    first_deficit,
    pay_as_you_go_rate,
    quantiles,
    share_below,
)
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
START = dt.date(2027, 1, 1)


def test_quantiles_agree_with_numpy() -> None:
    values = np.random.default_rng(0).normal(size=(7, 501))
    assert quantiles(values, (0.1, 0.5, 0.975)) == pytest.approx(np.quantile(values, [0.1, 0.5, 0.975], axis=1))


def test_depletion_counts_the_first_year_and_keeps_never_apart() -> None:
    result = project(random_basis(400, 25, seed=3), LAW)
    found = depletion(result)
    assert 0.0 < found.not_within_horizon < 1.0
    assert found.probability.sum() + found.not_within_horizon == pytest.approx(1.0)
    for i in (5, 15, 24):
        assert found.by_year[i] == pytest.approx((result.closing[: i + 1] < 0).any(axis=0).mean())
    median = found.quantile(0.5)
    if median is not None:
        at = int(median - result.years[0])
        assert found.by_year[at] >= 0.5 > (found.by_year[at - 1] if at else 0.0)
    assert found.quantile(1.0) is None


def test_below_one_month_comes_no_later_than_depletion() -> None:
    result = project(random_basis(300, 25, seed=3), LAW)
    assert (below_months(result, 1.0).by_year >= depletion(result).by_year).all()
    assert (share_below(result, 1.0) <= below_months(result, 1.0).by_year + 1e-12).all()
    assert first_deficit(result).by_year[-1] >= depletion(result).by_year[-1]


@pytest.mark.parametrize("floor_basis", ["income", "outlay"])
def test_the_pay_as_you_go_rate_balances_the_year(floor_basis: str) -> None:
    basis = random_basis(6, 4)
    policy = LAW.reform(Reform.parse([f"government_floor_basis={floor_basis}@2026-01-01"]))
    rates = pay_as_you_go_rate(basis, policy, project(basis, policy))
    for t, year in enumerate(basis.years[:2]):
        # The tied rate is rounded by law; here it must move exactly, so the premiums are scaled by hand.
        scale = rates[t, 0] / 0.0517
        result = project(basis, policy)
        premium = result.premiums.total[t, 0] * scale
        government = result.premiums.government[t, 0] * scale
        other = result.income["earmarked_and_other"][t, 0]
        if floor_basis == "income":
            top_up = max(0.0, (0.36 * premium - government) / 0.64)
        else:
            top_up = max(0.0, 0.36 * (result.outgo[t, 0] - other) - government)
        assert premium + top_up + other == pytest.approx(result.outgo[t, 0], rel=1e-9), year


def test_a_year_without_a_premium_still_has_a_rate_that_would_balance_it() -> None:
    """The supplementary rate stands to the general one as in the law, also in a year in which nothing is charged."""
    basis = random_basis(5, 4)
    none = LAW.reform(Reform.parse(["general_premium_rate=0@2028-01-01", "general_premium_rate=0.0517@2029-01-01"]))
    charged, free = project(basis, LAW), project(basis, none)
    assert (free.income["general_premium"][2] == 0.0).all()
    assert (free.income["supplementary_premium"][2] == 0.0).all()
    # The tie holds again from the day on which a rate is charged again.
    np.testing.assert_allclose(free.total_income[3] - free.income["investment_income"][3],
                               charged.total_income[3] - charged.income["investment_income"][3])  # fmt: skip
    np.testing.assert_allclose(
        pay_as_you_go_rate(basis, none, free), pay_as_you_go_rate(basis, LAW, charged), rtol=1e-9
    )
    levels = [valuation(basis, policy, result, 4).level_rate for policy, result in ((none, free), (LAW, charged))]
    np.testing.assert_allclose(*levels, rtol=1e-9)


def test_no_rate_balances_a_fund_that_charges_nobody() -> None:
    basis = random_basis(5, 4)
    nobody = replace(basis, general_base=np.zeros_like(basis.general_base), supplementary_base={})
    rates = pay_as_you_go_rate(nobody, LAW, project(nobody, LAW))
    assert (rates == np.inf).all()
    assert (quantiles(rates, (0.1, 0.5, 1.0)) == np.inf).all()


def test_the_required_rate_is_the_least_hundredth_of_a_percent_that_holds() -> None:
    basis = random_basis(300, 15, seed=5)
    for probability in (0.5, 0.8):
        answer = required_rate(basis, LAW, months=1.0, year=2032, start=START, probability=probability)
        assert answer.rounded is not None

        def reached(rate: float) -> float:
            result = project(basis.until(2032), with_rate(LAW, rate, START))
            return float((result.reserve_months[1:] >= 1.0).all(axis=0).mean())

        assert reached(answer.rounded) >= probability > reached(round(answer.rounded - 1e-4, 4))
        assert answer.reached == pytest.approx(reached(answer.rounded))


def test_a_rate_above_the_limit_is_said_to_be_out_of_reach() -> None:
    answer = required_rate(random_basis(100, 30), LAW, months=30.0, year=2050, start=START, probability=0.99)
    assert answer.rounded is None
    assert answer.exact > answer.limit == 0.06
    assert answer.reached < 0.99
    assert "Art. 18" in answer.limit_source


def test_more_certainty_never_costs_less() -> None:
    basis = random_basis(200, 12, seed=2)
    rates = [
        required_rate(basis, LAW, months=1.0, year=2033, start=START, probability=p).exact
        for p in (0.2, 0.5, 0.8, 0.95)
    ]
    assert rates == sorted(rates)
