"""Who pays: by category and by income; worked by hand where it can be, identities elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.observations import load_observations
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.who_pays import (
    IncomeGroups,
    InsuredAmounts,
    amounts_of,
    by_age,
    by_category,
    concentration,
    incidence_of,
    income_check,
    income_groups,
    insured_amounts,
)
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
GIVEN = incidence_of("tw_nhi")
CONCERNED = ("employees", "unions", "farmers")


def under(*texts: str) -> Policy:
    return LAW.reform(Reform.parse(texts))


def fund(n_years: int = 5, growth: float = 0.03) -> Basis:
    """A random fund that knows its people, and GDP per head that grows evenly."""
    basis = random_basis(20, n_years)
    people = np.full((n_years, 20), 2.3e7)
    gdp = 28000.0 * (1.0 + growth) ** np.arange(n_years)[:, None] * np.ones(20)
    return replace(basis, drivers={"population": people, "gdp_nominal": gdp})


# --- categories -------------------------------------------------------------------------------------------------------


def test_categories_and_payers_sum_to_the_general_premium() -> None:
    basis = fund()
    for policy in (LAW, under("grading_ceiling=400000@2027-01-01", "average_dependants=0.4@2027-01-01")):
        result = project(basis, policy)
        found = by_category(result, policy)
        assert sum(found.values()) == pytest.approx(result.income["general_premium"])
        # The state as employer of civil servants counts as government.
        assert ("c11", "employers") not in found
        government = sum(amount for (_, payer), amount in found.items() if payer == "government")
        of_state = result.premiums.government_as_employer - result.premiums.supplementary["employer"] * (
            result.premiums.terms.state_part
        )
        assert government == pytest.approx(result.premiums.general["government"] + of_state)


def test_one_category_by_hand() -> None:
    # Employees alone, 10,000 bn at 5.17% and the announced dependants of the base: 30, 60 and 10 percent of 517 bn.
    basis = replace(
        fund(1),
        general_base=np.full((1, 20), 10000.0),
        category_mix=np.ones((1, 20)),
        categories=("c12",),
        reference_dependants=0.56,
    )
    found = by_category(project(basis, LAW), LAW)
    assert {key: float(amount[0, 0]) for key, amount in found.items()} == pytest.approx(
        {("c12", "insured"): 155.1, ("c12", "employers"): 310.2, ("c12", "government"): 51.7}
    )


# --- income -----------------------------------------------------------------------------------------------------------


def test_the_charged_mean_is_the_integral() -> None:
    # Half at the floor; the others lognormal above it: their density over its mass there.
    amounts = InsuredAmounts(29500.0, 0.5, 10.5, 0.7)
    low, high = ((np.log(x) - 10.5) / 0.7 for x in (29500.0, 219500.0))

    def counted(z: float) -> float:
        return min(np.exp(10.5 + 0.7 * z), 219500.0) * norm.pdf(z)

    above = quad(counted, low, 9.0, points=[high], limit=200)[0] / norm.sf(low)
    assert amounts.mean(219500.0) == pytest.approx(0.5 * 29500.0 + 0.5 * above, rel=1e-8)
    # So are the amounts at even ranks, half of which are the floor.
    found = amounts.at((np.arange(200000) + 0.5) / 200000)
    assert np.minimum(found, 219500.0).mean() == pytest.approx(amounts.mean(219500.0), rel=1e-4)
    assert (found <= 29500.0 * (1.0 + 1e-12)).mean() == pytest.approx(0.5)
    assert (found > 100000.0).mean() == pytest.approx(amounts.above(100000.0), abs=1e-5)


@pytest.mark.parametrize(("at_floor", "log_median", "spread"), [(0.53, 10.9, 0.6), (0.2, 10.0, 1.2), (0.0, 11.0, 0.3)])
def test_level_and_spread_are_found_again(at_floor: float, log_median: float, spread: float) -> None:
    known = InsuredAmounts(29500.0, at_floor, log_median, spread)
    found = amounts_of(known.mean(313000.0), 29500.0, 313000.0, at_floor, 219500.0, known.above(219500.0))
    assert (found.log_median, found.spread) == pytest.approx((log_median, spread), abs=1e-6)


@pytest.mark.parametrize(("mean", "at_floor"), [(300000.0, 0.5), (31000.0, 0.5), (60000.0, 0.995)])
def test_amounts_that_nobody_can_have_are_refused(mean: float, at_floor: float) -> None:
    with pytest.raises(ForecasterError, match=f"no lognormal distribution above .* a charged mean of {mean:,.0f}"):
        amounts_of(mean, 29500.0, 313000.0, at_floor, 219500.0, 0.01)


def test_concentration_by_hand() -> None:
    # Incomes 1 and 3 at ranks 1/4 and 3/4: their covariance is 1 x 1/4, so 2 x 1/4 over the mean of 2 is 1/4.
    income = np.array([1.0, 3.0])
    assert concentration(income, income) == pytest.approx(0.25)
    assert concentration(np.array([1.0, 1.0]), income) == pytest.approx(0.0)
    assert concentration(np.array([0.0, 1.0]), income) == pytest.approx(0.5)
    # Gini's index of a lognormal distribution is 2 Phi(s / sqrt 2) - 1.
    points = np.exp(0.8 * norm.ppf((np.arange(20000) + 0.5) / 20000))
    assert concentration(points, points) == pytest.approx(2.0 * norm.cdf(0.8 / np.sqrt(2.0)) - 1.0, abs=1e-3)


def test_kakwanis_index_by_hand() -> None:
    # Incomes 1 and 3: Gini 1/4. A head tax has a concentration of 0, what the richer pays alone 1/2, both alike 1/4.
    parts = {"general": np.array([1.0, 1.0]), "supplementary": np.array([0.0, 2.0]), "employers": np.array([2.0, 6.0])}
    found = IncomeGroups(np.array([1.0, 3.0]), parts).progressivity()
    assert found == pytest.approx({"gini": 0.25, "general": -0.25, "supplementary": 0.25, "employers": 0.0, "own": 0.0})


def test_groups_pay_what_the_ledger_has_and_a_higher_step_falls_on_those_it_reaches() -> None:
    basis = fund()
    reform = under("grading_ceiling=500000@2027-01-01")
    before, after = (income_groups(basis, p, project(basis, p), 2027, GIVEN) for p in (LAW, reform))
    for policy, groups in ((LAW, before), (reform, after)):
        paid = project(basis, policy).premiums
        per_head = 1e9 / 12.0 / 2.3e7
        assert groups.payments["general"].mean() == pytest.approx(paid.general["insured"][1].mean() * per_head)
        assert groups.payments["supplementary"].mean() == pytest.approx(
            paid.supplementary["insured"][1].mean() * per_head
        )
    rise = after.table()["general"] - before.table()["general"]
    assert rise[:4].abs().max() < 1e-9
    assert rise[4] > 1.0
    assert after.progressivity()["general"] > before.progressivity()["general"]
    # A ceiling makes payments regressive at the top, so below proportion; other income is earned by the better-off.
    assert before.progressivity()["general"] < 0.0 < before.progressivity()["supplementary"]
    assert np.array_equal(before.income, after.income)


def test_another_lowest_step_falls_on_those_who_stand_there() -> None:
    basis = fund()
    law, higher, lower = (
        income_groups(basis, p, project(basis, p), 2027, GIVEN)
        for p in (LAW, under("grading_floor=34000@2027-01-01"), under("grading_floor=27000@2027-01-01"))
    )
    for other, sign in ((higher, 1.0), (lower, -1.0)):
        rise = sign * (other.table()["general"] - law.table()["general"])
        assert rise[0] > 1.0
        assert rise[4] == pytest.approx(0.0, abs=1e-9)
        assert sign * (other.payments["general"].mean() - law.payments["general"].mean()) > 0.0
        assert sign * (other.progressivity()["general"] - law.progressivity()["general"]) < 0.0


def test_a_higher_rate_moves_no_index() -> None:
    basis = fund()
    found = [
        income_groups(basis, p, project(basis, p), 2027, GIVEN).progressivity()
        for p in (LAW, under("general_premium_rate=0.055@2027-01-01", "supplementary_premium_rate=0.0211@2027-01-01"))
    ]
    for name in ("gini", "general", "supplementary"):
        assert found[1][name] == pytest.approx(found[0][name], abs=1e-12)


def test_incomes_have_the_published_margins() -> None:
    basis = fund()
    amounts = insured_amounts(basis, LAW, GIVEN)
    # 7.83 million of 23 million people over 1.56 a head stand at the lowest step, 100,000 of them above 219,500.
    heads = 2.3e7 / 1.56
    assert amounts.at_floor == pytest.approx(7.83e6 / heads)
    assert amounts.above(219500.0) == pytest.approx(1e5 / heads)
    assert amounts.mean(313000.0) == pytest.approx(basis.general_base[0].mean() * 1e9 / 12.0 / 2.3e7)
    groups = income_groups(basis, LAW, project(basis, LAW), 2026, GIVEN)
    least = groups.payments["general"] <= groups.payments["general"].min() * (1.0 + 1e-9)
    assert least.mean() == pytest.approx(amounts.at_floor, abs=1e-4)
    observed = load_observations("twn")
    concerned = [float(observed.series(f"insured_at_lowest_step|{k}")["value"].iloc[0]) for k in CONCERNED]
    assert GIVEN.lowest_step_people == pytest.approx(sum(concerned) * 1e6)
    # Held against employees' wages, to which nothing was fitted.
    decile, wages = income_check(basis, LAW, GIVEN)
    assert amounts.above(decile) == pytest.approx(0.1)
    assert wages == pytest.approx(observed.series("wages_of_employees|decile_9")["value"].iloc[0] / 12.0, abs=1.0)


def test_income_groups_without_people_or_a_table_are_refused() -> None:
    basis = random_basis(5, 2)
    with pytest.raises(ForecasterError, match="there is no population in the basis"):
        income_groups(basis, LAW, project(basis, LAW), 2027, GIVEN)
    with pytest.raises(ForecasterError, match="not known for the pool made_up; it is for: tw_nhi"):
        incidence_of("made_up")


def test_bands_of_age() -> None:
    found = by_age([{"from": 0, "weight": 1.0}, {"from": 20, "weight": 2.0}, {"from": 65, "weight": 0.5}])
    assert found[[0, 19, 20, 64, 65, 100]].tolist() == [1.0, 1.0, 2.0, 2.0, 0.5, 0.5]


def test_shares_of_past_payers_are_whole() -> None:
    for at in range(2):
        assert sum(dated[at][1] for dated in GIVEN.past.values()) == pytest.approx(1.0)
    assert {payer: dated[-1] for payer, dated in GIVEN.past.items()} == {
        "insured": (2013, 0.34), "employers": (2013, 0.30), "public": (2013, 0.36)
    }  # fmt: skip
