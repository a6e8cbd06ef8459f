"""Who pays: by category, by income, by cohort; worked by hand where it can be, identities elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from forecaster.basis import Basis
from forecaster.demography.tables import load_wpp
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.who_pays import (
    birth_cohorts,
    by_age,
    by_category,
    charged_mean,
    concentration,
    incidence_of,
    income_groups,
    level_of,
    spread_of,
)
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
GIVEN = incidence_of("tw_nhi")


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
    def counted(z: float) -> float:
        return min(max(np.exp(10.5 + 0.7 * z), 29500.0), 219500.0) * norm.pdf(z)

    kinks = [(np.log(x) - 10.5) / 0.7 for x in (29500.0, 219500.0)]
    expected = quad(counted, -9.0, 9.0, points=kinks, limit=200)[0]
    assert charged_mean(10.5, 0.7, 29500.0, 219500.0) == pytest.approx(expected, rel=1e-8)
    assert level_of(expected, 0.7, 29500.0, 219500.0) == pytest.approx(10.5, abs=1e-8)


def test_spread_and_level_are_found_again() -> None:
    mean = charged_mean(10.6, 0.65, 29500.0, 313000.0)
    share = float(norm.sf((np.log(219500.0) - 10.6) / 0.65))
    assert spread_of(mean, 29500.0, 313000.0, 219500.0, share) == pytest.approx(0.65, abs=1e-6)
    with pytest.raises(ForecasterError, match=r"no lognormal distribution has a charged mean of 300,000"):
        spread_of(300000.0, 29500.0, 313000.0, 219500.0, 0.01)


def test_concentration_by_hand() -> None:
    # Incomes 1 and 3 at ranks 1/4 and 3/4: their covariance is 1 x 1/4, so 2 x 1/4 over the mean of 2 is 1/4.
    income = np.array([1.0, 3.0])
    assert concentration(income, income) == pytest.approx(0.25)
    assert concentration(np.array([1.0, 1.0]), income) == pytest.approx(0.0)
    assert concentration(np.array([0.0, 1.0]), income) == pytest.approx(0.5)
    # Gini's index of a lognormal distribution is 2 Phi(s / sqrt 2) - 1.
    points = np.exp(0.8 * norm.ppf((np.arange(20000) + 0.5) / 20000))
    assert concentration(points, points) == pytest.approx(2.0 * norm.cdf(0.8 / np.sqrt(2.0)) - 1.0, abs=1e-3)


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


def test_a_higher_lowest_step_falls_on_those_below_it() -> None:
    basis = fund()
    before, after = (
        income_groups(basis, p, project(basis, p), 2027, GIVEN) for p in (LAW, under("grading_floor=34000@2027-01-01"))
    )
    rise = after.table()["general"] - before.table()["general"]
    assert rise[0] > 1.0
    assert rise[4] == pytest.approx(0.0, abs=1e-9)
    assert after.payments["general"].mean() > before.payments["general"].mean()
    assert after.progressivity()["general"] < before.progressivity()["general"]


def test_a_higher_rate_moves_no_index() -> None:
    basis = fund()
    found = [
        income_groups(basis, p, project(basis, p), 2027, GIVEN).progressivity()
        for p in (LAW, under("general_premium_rate=0.055@2027-01-01", "supplementary_premium_rate=0.0211@2027-01-01"))
    ]
    for name in ("gini", "general", "supplementary"):
        assert found[1][name] == pytest.approx(found[0][name], abs=1e-12)


def test_income_groups_without_people_or_a_table_are_refused() -> None:
    basis = random_basis(5, 2)
    with pytest.raises(ForecasterError, match="there is no population in the basis"):
        income_groups(basis, LAW, project(basis, LAW), 2027, GIVEN)
    with pytest.raises(ForecasterError, match="not known for the pool made_up; it is for: tw_nhi"):
        incidence_of("made_up")


# --- cohorts ----------------------------------------------------------------------------------------------------------


def test_bands_of_age() -> None:
    found = by_age([{"from": 0, "weight": 1.0}, {"from": 20, "weight": 2.0}, {"from": 65, "weight": 0.5}])
    assert found[[0, 19, 20, 64, 65, 100]].tolist() == [1.0, 1.0, 2.0, 2.0, 0.5, 0.5]


def test_two_years_of_a_cohort_by_hand() -> None:
    # Those born in 1996 are 30 in 2026 and 31 in 2027. Of the insured's payments a head of 20 to 64 bears 1 part and
    # one of 65 and over 0.29; the second year's money is worth 1/1.03 of its amount, 1/1.02 of that at 2% of discount.
    basis = fund(2)
    result = project(basis, LAW)
    wpp = load_wpp("twn")
    people = wpp.population_1july[wpp.year_slice(2026, 2027)].sum(axis=1)
    heads = people[:, 20:65].sum(axis=1) + 0.29 * people[:, 65:].sum(axis=1)
    paid = result.by_payer()["insured"].mean(axis=1) * 1e9
    expected = paid[0] / heads[0] + paid[1] / heads[1] / 1.03 / 1.02 * people[1, 31] / people[0, 30]
    found = birth_cohorts(basis, result, GIVEN, [1996], "twn", discount=0.02)
    assert found.payments["insured"].mean() == pytest.approx(expected)
    assert found.net == pytest.approx(found.benefits - sum(found.payments.values()))


def test_all_cohorts_together_pay_what_the_payers_paid() -> None:
    basis = fund(1)
    result = project(basis, LAW)
    births = range(1927, 2027)  # ages 0 to 99; the open group of 100 and over is followed no further
    found = birth_cohorts(basis, result, GIVEN, births, "twn")
    wpp = load_wpp("twn")
    alive = wpp.population_1july[wpp.year_slice(2026, 2026)].sum(axis=1)[0]
    of_the_oldest = GIVEN.benefits[100] * alive[100] / (GIVEN.benefits @ alive)
    total = alive[np.array([2026 - birth for birth in births])] @ found.benefits
    assert total == pytest.approx(result.outgo[0] * 1e9 * (1.0 - of_the_oldest))


def test_a_cohort_that_is_not_born_yet_and_a_basis_without_people_are_refused() -> None:
    basis = fund(2)
    with pytest.raises(ForecasterError, match="birth cohort 2030: allowed is up to 2026"):
        birth_cohorts(basis, project(basis, LAW), GIVEN, [1990, 2030], "twn")
    bare = random_basis(5, 2)
    with pytest.raises(ForecasterError, match="birth cohorts need gdp_nominal, population in the basis"):
        birth_cohorts(bare, project(bare, LAW), GIVEN, [1990], "twn")
