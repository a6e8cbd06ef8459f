"""Waiting months and rises of the ceiling by hand; cover that levers of a fund change, down to the household."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from forecaster.benefits import fitted_severity, load_stack, pay_claims, settle
from forecaster.continuity import (
    came_back,
    claim_facts,
    covered_months,
    mean_bonus,
    waiting_share,
    without_rules,
    worth_of_joining,
)
from forecaster.cover import Cover, relieved
from forecaster.engine import project
from forecaster.fund_stack import CarePaid, idle_terms, law_with_stack
from forecaster.household import household_measures, shipped_laws
from forecaster.household_people import read_households
from forecaster.layers import stack_terms
from forecaster.mainland import care_payers, households_in_need
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from funds import few_households, mainland_basis

RESIDENTS, EMPLOYEES = "cn_urrbmi", "cn_uebmi"
YEARS = np.arange(2025, 2036)
HIGH = np.full(len(YEARS), 1e6)


def law(*settings: str, pool: str = RESIDENTS) -> Policy:
    return Policy(law_with_stack(load_scheme(pool)), Reform.parse(settings))


# --- the rules by hand ------------------------------------------------------------------------------------------------
def test_months_of_waiting_by_hand():
    # Three months, and one for each of a year and a half.
    np.testing.assert_allclose(waiting_share(law(), np.array([2020, 2024, 2025])), [0.0, 2.0 / 12.0, 4.5 / 12.0])
    long = law("waiting_months_late=12@2026-01-01")
    np.testing.assert_allclose(waiting_share(long, YEARS)[:2], [0.375, 1.0])


def test_whoever_joined_waits_and_so_do_those_who_come_in_beyond():
    policy = law("lapse_share=0.08@2025-01-01", "lapse_spread=0@2025-01-01")
    heads = np.array([[1.0], [1.25], [1.25]])
    found = covered_months(policy, YEARS[:3], heads)[:, 0]
    # Of a quarter more members one fifth is new.
    np.testing.assert_allclose(found, [1.0 - 0.375 * 0.08, 1.0 - 0.375 * 0.28, 1.0 - 0.375 * 0.08])
    drawn = came_back(law(), YEARS[:1], 4000)[0]
    assert np.median(drawn) == pytest.approx(0.03, rel=0.05)
    assert np.log(drawn).std() == pytest.approx(0.5, rel=0.05)


def test_the_ceiling_rises_for_who_stays_by_hand():
    """One of ten leaves a gap every year; half have no claims."""
    lapse = "lapse_share=0.1@2025-01-01"
    staying = mean_bonus(law(lapse, "no_claim_bonus=0@2025-01-01"), YEARS, HIGH, 0.5)
    # Nothing in the first four years, in the fifth for those who were there in the four before.
    np.testing.assert_allclose(staying[:6], [0, 0, 0, 0, 656.1, 656.1 + 590.49])
    idle = mean_bonus(law(lapse, "continuity_bonus=0@2025-01-01"), YEARS, HIGH, 0.5)
    np.testing.assert_allclose(idle[:3], [0.0, 450.0, 450.0 + 405.0])
    np.testing.assert_allclose(mean_bonus(law(lapse), YEARS, HIGH, 0.5), staying + idle)
    doubled = law(lapse, "no_claim_bonus=0@2025-01-01", "continuity_bonus=2000@2030-01-01")
    np.testing.assert_allclose(mean_bonus(doubled, YEARS, HIGH, 0.5)[5], 2000 * 0.6561 + 590.49)
    # Both together no higher than a fifth of the ceiling.
    np.testing.assert_allclose(mean_bonus(law(lapse), YEARS, np.full(len(YEARS), 2000.0), 0.5)[-1], 400.0)
    np.testing.assert_allclose(mean_bonus(law(lapse), YEARS, np.full(len(YEARS), 7000.0), 0.5)[4], 1400.0)


def test_what_the_rules_are_worth_by_hand():
    found = worth_of_joining(law(), YEARS, 0.9, 1000.0, None)
    np.testing.assert_allclose(found, 1.0 - 0.1 * 0.375 + 0.5 * 0.9 * 0.375)
    stack = load_stack("cn_residents")
    idle, reached = claim_facts(stack)
    more = worth_of_joining(law(), YEARS, 0.9, 1000.0, stack) - found
    rise = mean_bonus(law(), YEARS, np.full(len(YEARS), 300_000.0), idle)
    np.testing.assert_allclose(more, 0.5 * reached * rise / 1000.0, atol=1e-15)
    none = without_rules(law("waiting_months_late=6@2027-01-01"))
    np.testing.assert_allclose(worth_of_joining(none, YEARS, 0.9, 1000.0, stack), 1.0)
    np.testing.assert_allclose(covered_months(none, YEARS, np.ones((len(YEARS), 2))), 1.0)


def test_who_claims_nothing_and_who_reaches_the_ceiling():
    """The shares against payments of claims at even ranks, the dearest hundredth of them in finer steps."""
    stack = load_stack("cn_residents")
    severity = fitted_severity(stack).best

    def share(low: float, paid_to: Callable[[np.ndarray], np.ndarray]) -> float:
        found = 0.0
        for band, people in enumerate(severity.people):
            ranks = low + (1.0 - low) * (np.arange(20_000) + 0.5) / 20_000
            paid = pay_claims(stack, Policy(stack.law), severity.year, severity.quantile(ranks, np.int64(band)))
            found += people * (1.0 - low) * paid_to(paid).mean()
        return found

    idle, reached = claim_facts(stack)
    assert share(0.0, lambda paid: paid[0] == 0.0) == pytest.approx(idle, abs=1e-4)
    assert share(0.99, lambda paid: paid[1] >= 300_000.0 - 1e-6) == pytest.approx(reached, rel=0.03)


# --- small bills, the old ---------------------------------------------------------------------------------------------
def test_more_of_small_bills_is_paid_to_the_yuan_and_nothing_else_of_the_basic_layer():
    stack = load_stack("cn_employees")
    terms = stack_terms(stack, Policy(stack.law), np.array([2030]), "other")
    kinds = [layer.kind for layer in stack.layers]
    deductible = terms.deductible[0, 0, 0]
    claims = np.array([0.0, 0.3, 0.8, 2.0, 20.0, 400.0]) * deductible / terms.allowed[0]
    everybody, covered = np.arange(len(claims)), np.ones((len(kinds), len(claims)), dtype=bool)
    before = settle(terms, claims, covered=covered)
    none = np.zeros(len(claims), dtype=bool)
    [(found, members, on)] = [
        part for part in relieved([(terms, everybody, covered)], kinds, Cover(small=0.02), claims, none) if len(part[1])
    ]
    after = settle(found, claims[members], covered=on)
    np.testing.assert_allclose(after.sum(axis=0), claims, rtol=1e-12)
    np.testing.assert_allclose(after[1], before[0], rtol=1e-9)
    assert after[0].sum() == pytest.approx(0.02 * before[0].sum())
    # By the part of each bill that lies below the deductible.
    small = np.array([0.0, 0.3, 0.8, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(after[0], after[0].sum() * small / small.sum(), rtol=1e-9)
    assert (after[-1] <= before[-1] + 1e-9).all()


def test_pensioners_bills_alone_are_paid_better():
    stack = load_stack("cn_employees")
    terms = stack_terms(stack, Policy(stack.law), np.array([2023]), "other")
    kinds, claims = [layer.kind for layer in stack.layers], np.full(4, 30_000.0)
    covered, old = np.ones((len(kinds), 4), dtype=bool), np.array([True, False, True, False])
    before = settle(terms, claims, covered=covered)[0]
    paid = np.empty(4)
    for part, members, on in relieved([(terms, np.arange(4), covered)], kinds, Cover(old=0.05), claims, old):
        paid[members] = settle(part, claims[members], covered=on)[0]
    np.testing.assert_allclose(paid, before * np.where(old, 1.05, 1.0))


# --- the household ----------------------------------------------------------------------------------------------------
def catastrophic(place: str, **covers: Cover) -> dict[str, float]:
    """Catastrophic incidence by stage."""
    file = read_households()
    rows = household_measures(file, shipped_laws(file, {}), 2023, 4000, cover=covers).measures
    rows = rows[(rows.place == place) & (rows.measure == "catastrophic_usual")]
    return dict(zip(rows.stage, rows.value, strict=True))


def test_cover_that_is_lost_reaches_households_in_proportion():
    none, half, whole = (catastrophic("rural", cn_residents=Cover(lost=lost)) for lost in (0.0, 0.4, 0.8))
    assert none["account"] < half["account"] < whole["account"]
    gained = whole["account"] - none["account"]
    assert half["account"] - none["account"] == pytest.approx(gained / 2.0, rel=0.2)
    # In the country all are residents: with everybody's cover gone basic insurance pays the registered poor alone.
    gone = catastrophic("rural", cn_residents=Cover(lost=1.0))
    assert none["basic"] < 0.8 * gone["basic"]
    assert gone["before any payer"] == none["before any payer"]


def test_family_who_join_the_employees_scheme_are_better_covered():
    law_, joined = (catastrophic("urban", cn_employees=Cover(joining=share)) for share in (0.0, 0.4))
    assert joined["account"] < law_["account"]
    assert joined["before any payer"] == law_["before any payer"]
    assert catastrophic("rural", cn_employees=Cover(joining=0.4)) == catastrophic("rural")


# --- inside a projection ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def residents():
    return mainland_basis(RESIDENTS, YEARS[:8])


@pytest.fixture(scope="module")
def employees():
    return mainland_basis(EMPLOYEES, YEARS[:8])


@pytest.fixture(scope="module", autouse=True)
def small():
    with few_households():
        yield


def in_need(basis, policy: Policy) -> dict[tuple[int, str, str], np.ndarray]:
    return dict(households_in_need(basis, policy, [2030], ("all", "urban", "rural")))


def ruined(place: str) -> tuple[int, str, str]:
    return (2030, place, "catastrophic_usual")


@pytest.fixture(scope="module")
def residents_in_need(residents, small):
    return in_need(residents, law())


@pytest.fixture(scope="module")
def employees_in_need(employees, small):
    return in_need(employees, law(pool=EMPLOYEES))


def paid(basis, policy: Policy) -> tuple[np.ndarray, CarePaid]:
    outgo = project(basis, policy).outgo
    found = care_payers(basis, policy, outgo)
    assert found is not None
    return outgo, found


def test_members_who_wait_pay_themselves(residents, residents_in_need):
    """More come and go: take-up is not moved (but for a hair of the ceiling), the fund pays for fewer months."""
    before, usual = paid(residents, law())
    policy = law("lapse_share=0.2@2028-01-01", "lapse_spread=0@2028-01-01")
    after, more = paid(residents, policy)
    share = 1.0 - 0.375 * 0.2
    of_law = covered_months(law(), residents.years, np.ones_like(before))
    np.testing.assert_allclose(after[3:] / before[3:], share / of_law[3:], rtol=2e-4)
    np.testing.assert_allclose(after[:3], before[:3], rtol=1e-9)
    np.testing.assert_allclose(more.spending, usual.spending, rtol=2e-4)
    np.testing.assert_allclose(more.amounts[-1] - usual.amounts[-1], before - after, rtol=0.01, atol=0.05)
    assert (in_need(residents, policy)[ruined("all")] > residents_in_need[ruined("all")]).all()


def test_a_longer_wait_keeps_members_in_and_a_dearer_premium_drives_them_out(residents, residents_in_need):
    policies = law(), law("waiting_months_late=12@2027-01-01"), law("own_premium_growth_adjustment=0.3@2027-01-01")
    usual, longer, dearer = (project(residents, policy) for policy in policies)
    assert (longer.total_income[4:] > usual.total_income[4:]).all()  # more members, each with his premium
    assert (in_need(residents, policies[2])[ruined("rural")] > residents_in_need[ruined("rural")]).all()
    assert (dearer.outgo[-1] < usual.outgo[-1]).all()


def test_rises_of_the_ceiling_cost_the_fund_what_the_household_saves(residents):
    before, usual = paid(residents, law())
    after, higher = paid(residents, law("continuity_bonus=50000@2025-01-01", "bonus_limit=10@2025-01-01"))
    np.testing.assert_allclose(after[:4], before[:4], rtol=1e-6)
    assert (after[4:] > before[4:]).all()
    np.testing.assert_allclose(higher.spending, usual.spending, rtol=1e-4)
    serious = higher.payers.index("cn_serious_illness")
    assert (higher.amounts[serious, 4:] > usual.amounts[serious, 4:]).all()


def test_more_rural_capacity_means_more_care_to_pay_for(residents, residents_in_need):
    policy = law("rural_capacity_growth=0.2@2026-01-01", "capacity_elasticity_spread=0@2026-01-01")
    assert (in_need(residents, policy)[ruined("rural")] > residents_in_need[ruined("rural")]).all()


def test_who_passes_to_the_employees_scheme_is_better_covered(residents, residents_in_need):
    policy = law("dependants_per_contributor=1@2027-01-01")
    assert (in_need(residents, policy)[ruined("urban")] < residents_in_need[ruined("urban")]).all()


def test_money_of_accounts_is_the_households(employees):
    before, usual = paid(employees, law(pool=EMPLOYEES))
    policy = law("account_share_of_employer=0.3@2028-01-01", pool=EMPLOYEES)
    after, richer = paid(employees, policy)
    np.testing.assert_array_equal(after, before)
    account = richer.payers.index("cn_personal_account")
    gained = richer.amounts[account] - usual.amounts[account]
    np.testing.assert_allclose(gained[:3], 0.0, atol=1e-9)
    assert (gained[3:] > 0.1 * usual.amounts[account, 3:]).all()
    np.testing.assert_allclose(usual.amounts[-1] - richer.amounts[-1], gained, rtol=1e-6, atol=1e-6)


def test_levers_that_reach_a_layer_alone_are_not_refused_as_idle(employees):
    policy = law(
        "employee_contribution_rate=0.04@2028-01-01", "commercial_supplement.premium=50@2028-01-01", pool=EMPLOYEES
    )
    names = tuple(change.name for change in policy.change.changes)
    assert idle_terms(employees, policy, names) == ("commercial_supplement.premium",)


@pytest.mark.parametrize(
    "setting",
    [
        "account_share_of_employer=0.3@2028-01-01",
        "outpatient_reimbursement=0.8@2028-01-01",
        "retiree_benefit_extra=0.2@2028-01-01",
        "dependants_per_contributor=0.5@2028-01-01",
        "movers_to_towns=0.03@2026-01-01",
    ],
)
def test_levers_that_cover_more_reach_the_employees_households(employees, employees_in_need, setting):
    better = in_need(employees, law(setting, pool=EMPLOYEES))
    key = (2030, "urban", "catastrophic_usual")
    assert (better[key] < employees_in_need[key]).all()


def test_levers_that_cover_nobody_better_leave_households_alone(employees, employees_in_need):
    policy = law("retirement_age_men=65@2027-01-01", "employer_contribution_rate=0.05@2027-01-01", pool=EMPLOYEES)
    for key, shares in in_need(employees, policy).items():
        np.testing.assert_array_equal(shares, employees_in_need[key])
