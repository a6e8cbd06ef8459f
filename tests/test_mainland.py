"""The mainland's pools: accounts as derived, members by hand, levers, the published study, breaks, transplants."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from forecaster.adjustment import AdjustmentRule, Cities, adjust, need_index, read_cities
from forecaster.attribution import idle_levers
from forecaster.basis import Basis, read_basis
from forecaster.cli import app
from forecaster.engine import project
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.fitted import load_fit
from forecaster.fund_stack import law_with_stack, pool_stack, stack_named
from forecaster.mainland import care_payers, cover_of_year, employee_factors, late_payers, under_policy
from forecaster.members import (
    AGES_BEFORE,
    QUALIFYING_SHARE,
    MemberPeople,
    employee_heads,
    law_ages,
    members_ahead,
    past_members,
    retired_shares,
)
from forecaster.observations import load_observations
from forecaster.passing import moved_in, other_pool_told, passed
from forecaster.policy import Change, Policy, Reform
from forecaster.pool_doubts import doubts
from forecaster.pools import Break, find_pool, known_accounts, observed_series, pool_names
from forecaster.resources import data_dir
from forecaster.schemes import load_scheme
from forecaster.studies import Ours, beside_study, study_projection
from forecaster.supply import supply_factor
from forecaster.transplant import EFFECTIVE_RATE, benefit_steps, graft, held_to_base, shared_terms, transplant
from forecaster.transplant_need import BORNE, CUT, WITH, WITHOUT, households, own_payments
from forecaster_models.plain_paths import (
    break_states,
    plain_data,
)
from forecaster_models.plain_weights import FIRST_SCALES, robust_weights, smoothed
from forecaster_models.priors import read_priors
from funds import few_households
from funds import mainland_basis as basis_of

EMPLOYEES, RESIDENTS, RURAL = "cn_uebmi", "cn_urrbmi", "cn_nrcms"
YEARS = np.arange(2025, 2061)


def law(pool: str = EMPLOYEES, *settings: str) -> Policy:
    return Policy(load_scheme(pool), Reform.parse(settings))


@pytest.fixture(scope="module")
def people() -> MemberPeople:
    found = members_ahead(find_pool(EMPLOYEES), 2024, 2060)
    assert found is not None
    return found


# --- accounts ---------------------------------------------------------------------------------------------------------
def test_the_mainland_pools_are_shipped():
    assert {EMPLOYEES, RESIDENTS, RURAL} <= set(pool_names())
    for name, first, money in ((EMPLOYEES, 2025, "CNY bn"), (RESIDENTS, 2025, "CNY bn"), (RURAL, 2014, "CNY bn")):
        pool = find_pool(name)
        accounts = known_accounts(pool)
        assert (pool.model, pool.first_year, pool.money) == ("plain", first, money)
        assert accounts.years[-1] == first - 1
        assert doubts(accounts, pool.confirmed) == []


def test_the_pooled_accounts_follow_from_the_published_figures():
    """The split of 2010 on totals, the difference of scheme and residents, and the last bulletin as printed."""
    table = load_observations("chn").table

    def one(series: str, year: int, source: str) -> float:
        rows = table[(table["series"] == series) & (table["year"] == year) & table["source"].str.contains(source)]
        assert len(rows) == 1
        return float(rows["value"].iloc[0])

    income, outgo, reserve = (observed_series("chn", f"pool_{n}|{EMPLOYEES}") for n in ("income", "outgo", "reserve"))
    bulletin = "CN-MOHRSS_SI2010"
    for line, known in (("income", income), ("expenditure", outgo)):
        split = one(f"fund_{line}_pooled|uebmi", 2010, bulletin) / one(f"fund_{line}|uebmi", 2010, bulletin)
        assert known[2018] == pytest.approx(split * one(f"fund_{line}|uebmi", 2018, "PD_NHSA_2018"), abs=0.06)
        assert known[2024] == one(f"fund_{line}_pooled|uebmi", 2024, "NHSA_BUL2024")
    all_2023 = one("fund_expenditure_pooled|all_bmi", 2023, "CAIXIN_2023")
    assert outgo[2022] == pytest.approx(all_2023 / 1.166 - one("fund_expenditure|urrbmi", 2022, "PD_NHSA"), abs=0.06)
    assert reserve[2024] - reserve[2023] == pytest.approx(income[2024] - outgo[2024], abs=0.01)
    # Personal accounts are the members' own: the reserve of the pool is the pooled balance alone.
    accounts = one("cumulative_balance_personal_accounts|uebmi", 2024, "NHSA_BUL2024")
    assert reserve[2024] < 3100.0 < reserve[2024] + accounts


def test_active_per_retiree_and_admissions_of_the_report():
    active, retired = (observed_series("chn", f"insured_{name}|uebmi") for name in ("active", "retired"))
    printed = {1994: 14.6, 1998: 4.1, 2000: 3.1, 2009: 2.97, 2014: 2.90, 2019: 2.78, 2021: 2.80, 2022: 2.76, 2024: 2.63}
    for year, ratio in printed.items():
        assert active[year] / retired[year] == pytest.approx(ratio, abs=0.05 if ratio > 3.05 else 0.006)
    rates = [observed_series("chn", f"hospitalisation_rate_{name}|uebmi")[2021] for name in ("retired", "active")]
    assert rates == [0.395, 0.099]


# --- members ----------------------------------------------------------------------------------------------------------
def test_retired_shares_by_hand():
    ages = np.array([[60.0, 50.0, 55.0], [60.5, 50.0, 55.0], [63.0, 50.0, 55.0]])
    men, women = retired_shares(ages)[:, 0], retired_shares(ages)[:, 1]
    assert men[0, [59, 60]].tolist() == [0.0, 1.0]
    # Half of those of 60 reach 60.5 within the year; who had retired stays so a year older.
    assert men[1, [60, 61]].tolist() == [0.5, 1.0]
    # The age jumps to 63: half of those now 61 retired at 60 before it, none of those now 60.
    assert men[2, [60, 61, 62]].tolist() == [0.0, 0.5, 1.0]
    assert women[0, [49, 50, 54, 55]].tolist() == [0.0, 0.5, 0.5, 1.0]


def test_heads_by_hand():
    """One age a sex: 100 men of 30 contribute; a year later those of 59 turned 60 and nine tenths stay insured."""
    persons = np.zeros((2, 2, 101))
    persons[0, 0, [30, 59, 65]] = 60.0, 40.0, 20.0
    persons[1, 0, [31, 60, 66]] = 60.0, 39.0, 19.0
    people = MemberPeople("employees", np.array([2024, 2025]), persons, 50.0, 5.0)
    heads = employee_heads(people, np.tile(AGES_BEFORE, (2, 1)))
    # 50 contributors of 100 people of working age: half. 5 pensioners of 20: a quarter.
    np.testing.assert_allclose(heads.workers, [50.0, 0.5 * 60.0])
    np.testing.assert_allclose(heads.retired, [5.0, 0.25 * 19.0 + QUALIFYING_SHARE * 0.5 * 39.0])
    np.testing.assert_allclose(heads.entering, [0.0, QUALIFYING_SHARE * 0.5 * 39.0])


def test_pensioners_of_2024_follow_from_the_heads_of_2018():
    """A forecast that never saw the answer: contributors were 233.1 and pensioners 83.7 million."""
    past = members_ahead(find_pool(EMPLOYEES), 2018, 2024)
    heads = employee_heads(past, law_ages(law(), past.years))
    assert heads.retired[-1] == pytest.approx(104.6, rel=0.02)


def test_heads_of_today_and_the_law_ahead(people):
    heads = employee_heads(people, law_ages(law(), people.years))
    assert heads.workers[0] / heads.retired[0] == pytest.approx(2.63, abs=0.005)
    assert (np.diff(heads.workers / heads.retired) < 0.0).all()
    worker = (heads.need[0] - heads.need_retired[0]) / heads.workers[0]
    assert heads.need_retired[0] / heads.retired[0] / worker == pytest.approx(39.5 / 9.9)
    before = employee_heads(people, np.tile(AGES_BEFORE, (len(people.years), 1)))
    assert (before.retired[2:] > heads.retired[2:]).all()


def test_past_members_of_each_kind():
    years = np.arange(2018, 2025)
    total, paying, need = past_members(find_pool(EMPLOYEES), years)
    assert (total[-1], paying[-1]) == pytest.approx((379.4834, 274.9184))
    assert need[-1] == pytest.approx(274.9184 + 39.5 / 9.9 * (379.4834 - 274.9184))
    total, paying, need = past_members(find_pool(RESIDENTS), years)
    assert total[-1] == paying[-1] == pytest.approx(947.1374)
    assert (np.diff(need / total) > 0.0).all()
    assert past_members(find_pool("tw_nhi"), years) is None
    with pytest.raises(
        ForecasterError, match="is observed from 1994 to 2024; the accounts of 1980 to 1985 reach beyond"
    ):
        past_members(find_pool(EMPLOYEES), np.arange(1980, 1986))


# --- levers on members ------------------------------------------------------------------------------------------------
def test_the_law_itself_moves_nothing(people):
    for factor in employee_factors(people, law(), YEARS):
        np.testing.assert_array_equal(factor, 1.0)


def test_employer_rate_and_account_share_scale_the_base(people):
    settings = ("employer_contribution_rate=0.05@2027-01-01", "account_share_of_employer=0.3@2030-01-01")
    paying, costing = employee_factors(people, law(EMPLOYEES, *settings), YEARS)
    np.testing.assert_allclose(paying[[0, 1, 2, 5]], [1.0, 1.0, 5 / 6, 5 / 6 * 0.7])
    np.testing.assert_array_equal(costing, 1.0)


def test_pensioners_who_pay_by_hand(people):
    policy = law(EMPLOYEES, "retiree_contribution_rate=0.02@2027-01-01")
    heads = employee_heads(people, law_ages(law(), people.years))
    paying, _ = employee_factors(people, policy, YEARS)
    # 2% of a pension of 0.45 bases, in units of the pool's 5.85% on contributors' bases.
    expected = 0.02 * 0.45 / 0.0585 * heads.retired[3] / heads.workers[3]
    assert paying[2] - 1.0 == pytest.approx(expected)
    assert paying[1] == 1.0


def test_later_retirement_brings_contributors_and_never_pulls_back(people):
    policy = law(EMPLOYEES, *(f"retirement_age_{who}=65@2030-01-01" for who in ("men", "women_workers", "women_staff")))
    paying, costing = employee_factors(people, policy, YEARS)
    np.testing.assert_array_equal(paying[:5], 1.0)
    assert (paying[5:] > 1.0).all()
    assert paying[5] < 1.05 < paying[20]
    np.testing.assert_allclose(costing, 1.0, atol=0.01)


def test_outpatient_care_and_family_members_cost(people):
    policy = law(EMPLOYEES, "outpatient_reimbursement=0.6@2027-01-01")
    assert employee_factors(people, policy, YEARS)[1][[1, 2]] == pytest.approx([1.0, 1.0 + 0.15 * 0.2])
    policy = law(EMPLOYEES, "dependants_per_contributor=0.5@2027-01-01")
    paying, costing = employee_factors(people, policy, YEARS)
    heads = employee_heads(people, law_ages(law(), people.years))
    worker = heads.need[3] - heads.need_retired[3]
    assert costing[2] - 1.0 == pytest.approx(0.5 * 1.2 * worker / (heads.need[3] + 0.06 * heads.need_retired[3]))
    np.testing.assert_array_equal(paying, 1.0)


def test_late_payers_by_hand():
    """Careers are normal, 27 years on average: half of all lack years at a minimum of 27, and 8 years later 15.9%."""
    entering = np.array([2.0] + [0.0] * 8)
    late = late_payers(entering, np.full(9, 27.0))
    assert late[[0, 8]] == pytest.approx([1.0, 2.0 * 0.158655], rel=1e-5)
    assert late_payers(np.array([1.0, 1.0]), np.array([0.0, 27.0]))[1] == pytest.approx(0.5, abs=1e-3)


def test_more_years_bring_late_payers_at_the_base_floor(people):
    paying, costing = employee_factors(people, law(EMPLOYEES, "minimum_contribution_years=30@2027-01-01"), YEARS)
    heads = employee_heads(people, law_ages(law(), people.years))
    # Who retires in 2027: at 30 years instead of 20 wanted, P(Y < 30) - P(Y < 20) of them pay on six tenths of a base.
    more = 0.6461698 - 0.1907870
    assert paying[:2].tolist() == [1.0, 1.0]
    assert paying[2] - 1.0 == pytest.approx(0.6 * more * heads.entering[3] / heads.workers[3], rel=1e-5)
    np.testing.assert_array_equal(costing, 1.0)


def test_movers_to_towns_pay_long_before_they_cost(people):
    years = people.years[1:]
    paying, costing = employee_factors(people, law(EMPLOYEES, "movers_to_towns=0.01@2026-01-01"), years)
    np.testing.assert_array_equal(paying[years < 2026], 1.0)
    ahead = employee_heads(people, law_ages(law(), people.years)).workers[1:]
    at = int(np.flatnonzero(years == 2026)[0])
    # One of a hundred of the first year's contributors more; after ten years ten, less the few who died.
    assert paying[at] == pytest.approx(1.0 + 0.01 * people.workers / ahead[at], rel=1e-6)
    assert paying[at + 9] == pytest.approx(1.0 + 0.10 * people.workers / ahead[at + 9], rel=0.003)
    assert (costing[at:] - 1.0 < paying[at:] - 1.0)[:20].all()
    employee_factors(people, law(EMPLOYEES, "movers_to_towns=-0.005@2026-01-01"), years)
    parameters = dict(law().scheme.parameters)
    parameters["movers_to_towns"] = parameters["movers_to_towns"].model_copy(update={"bounds": (-0.1, 0.1)})
    wider = Policy(law().scheme.model_copy(update={"parameters": parameters}))
    emptied = wider.reform(Reform((Change("movers_to_towns", dt.date(2026, 1, 1), -0.05),)))
    with pytest.raises(ForecasterError, match=r"movers_to_towns: by 20\d\d more people of an age would have left than"):
        employee_factors(people, emptied, years)


def test_a_law_kept_before_floor_and_ceiling_were_levers_still_serves(people):
    years = people.years[1:]
    reform = Reform((Change("retirement_age_men", dt.date(2030, 1, 1), 64.0),))
    kept = {name: own for name, own in law().scheme.parameters.items() if name != "wage_spread"}
    older = Policy(law().scheme.model_copy(update={"parameters": kept})).reform(reform)
    for before, now in zip(
        employee_factors(people, older, years), employee_factors(people, law().reform(reform), years), strict=True
    ):
        np.testing.assert_array_equal(before, now)


def test_base_floor_and_ceiling_hold_wages_by_simulation(people):
    years = people.years[1:]
    drawn = np.exp(0.6 * np.random.default_rng(3).standard_normal(2_000_000) - 0.18)
    for setting, low, high in (
        ("base_floor=0.8", 0.8, 3.0),
        ("base_ceiling=2", 0.6, 2.0),
        ("base_ceiling=5", 0.6, 5.0),
    ):
        moved = law(EMPLOYEES, f"{setting}@2025-01-01", "minimum_contribution_years=0@1999-01-01")
        paying, _ = employee_factors(people, moved, years)
        still, _ = employee_factors(people, law(EMPLOYEES, "minimum_contribution_years=0@1999-01-01"), years)
        wanted = drawn.clip(low, high).mean() / drawn.clip(0.6, 3.0).mean()
        np.testing.assert_allclose((paying / still)[years >= 2025], wanted, rtol=0.003)


def test_the_engine_lays_levers_over_the_basis():
    basis, base_law = basis_of(EMPLOYEES), law()
    assert under_policy(basis, base_law) is basis
    setting = "retiree_contribution_rate=0.02@2030-01-01"
    reform = law(EMPLOYEES, setting)
    moved = project(basis, reform).closing - project(basis, base_law).closing
    np.testing.assert_array_equal(moved[:5], 0.0)
    assert (moved[5:] > 0.0).all()
    # The same lever again is not computed again; another one is.
    assert under_policy(basis, reform) is under_policy(
        basis, law(EMPLOYEES, "retiree_contribution_rate=0.02@2030-01-01")
    )
    other = under_policy(basis, law(EMPLOYEES, "retiree_contribution_rate=0.03@2030-01-01"))
    assert other is not under_policy(basis, reform)


def test_levers_on_residents_go_through_take_up():
    basis, base_law = basis_of(RESIDENTS), law(RESIDENTS)
    dearer = under_policy(basis, law(RESIDENTS, "own_premium_growth_adjustment=0.1@2027-01-01"))
    np.testing.assert_allclose(dearer.outlay[:2], basis.outlay[:2], rtol=1e-9)
    income = dearer.general_base / basis.general_base
    own = base_law.path("premium_share.residents.insured", YEARS)[2]
    assert (income[2] < 1.0 + 0.1 * own).all()  # some stay away
    assert (dearer.outlay[10] < basis.outlay[10]).all()
    cost_per_head = (
        dearer.outlay / basis.outlay / (income / (1.0 - own + own * 1.1 ** np.maximum(0, YEARS - 2026))[:, None])
    )
    assert (cost_per_head[10] > 1.0).all()  # the healthy leave first
    driven = under_policy(basis, law(RESIDENTS, "enrolment_drive=1@2027-01-01"))
    assert (driven.general_base[5] > basis.general_base[5]).all()


def test_capacity_by_hand():
    """Two years of 10% at elasticities of 0.3 and -0.1 without spread: 1.21 to the power of 0.2."""
    found = supply_factor(np.array([0.1, 0.1]), 0.3, -0.1, 0.0, 2)
    np.testing.assert_allclose(found, [[1.1**0.2] * 2, [1.21**0.2] * 2])
    basis = basis_of(RESIDENTS)
    more = under_policy(basis, law(RESIDENTS, "rural_capacity_growth=0.05@2027-01-01"))
    np.testing.assert_allclose(more.outlay[:2], basis.outlay[:2], rtol=1e-9)
    np.testing.assert_allclose(more.general_base, basis.general_base, rtol=1e-9)
    assert len(np.unique((more.outlay / basis.outlay)[10])) == 3  # each draw its own elasticity


# --- breaks -----------------------------------------------------------------------------------------------------------
def test_a_declared_break_is_found_and_is_not_growth():
    """Ten years of flows that lack a tenth: the break takes it up and the path stays straight."""
    pool = find_pool(EMPLOYEES)
    accounts = known_accounts(pool)
    n = len(accounts.years)
    path = 1000.0 * 1.06 ** np.arange(n)
    booked = np.where(accounts.years <= 2018, 0.9 * path, path)
    reserve = 500.0 + np.cumsum(1.1 * booked - booked)
    exact = replace(
        accounts, income=1.1 * booked, outgo=booked, reserve=reserve, rate=np.full(n, 0.05),
        adjustment=np.zeros(n), rates={int(accounts.years[0]): 0.05},
    )  # fmt: skip
    breaks = tuple(
        Break(line=line, first=2010, last=2018, size=0.0, spread=0.1, kind="perimeter", reason="-", source="-")
        for line in ("outgo", "income")
    )
    priors = read_priors(data_dir() / "priors" / "plain.toml")["plain"]

    def last_of_old(data) -> tuple[float, np.ndarray]:
        mean, _ = smoothed(data, priors, FIRST_SCALES, robust_weights(data, priors))
        return float(np.exp(mean[8])), mean[break_states(data)]

    told, size = last_of_old(plain_data(exact, "chn", breaks=breaks))
    assert told == pytest.approx(path[8], rel=0.03)
    assert size == pytest.approx([np.log(0.9)] * 2, abs=0.03)
    untold, none = last_of_old(plain_data(exact, "chn"))
    assert untold == pytest.approx(booked[8], rel=0.01)
    assert none.size == 0


def test_an_estimate_that_is_off_is_corrected_by_the_reserve():
    """Outgo derived 5% too high for six years: the reserve says so, and only an estimate is corrected by it."""
    accounts = known_accounts(find_pool(EMPLOYEES))
    n = len(accounts.years)
    path = 1000.0 * 1.06 ** np.arange(n)
    off = np.where((accounts.years >= 2012) & (accounts.years <= 2017), 1.05 * path, path)
    reserve = 500.0 + np.cumsum(0.1 * path)
    exact = replace(
        accounts, income=1.1 * path, outgo=off, reserve=reserve, rate=np.full(n, 0.05),
        adjustment=np.zeros(n), rates={int(accounts.years[0]): 0.05},
    )  # fmt: skip
    one = Break(line="outgo", first=2012, last=2017, spread=0.04, kind="estimate", reason="-", source="-")
    data = plain_data(exact, "chn", breaks=(one,))
    priors = read_priors(data_dir() / "priors" / "plain.toml")["plain"]
    mean, _ = smoothed(data, priors, FIRST_SCALES, robust_weights(data, priors))
    assert float(mean[break_states(data)][0]) == pytest.approx(np.log(1.05), abs=0.012)
    np.testing.assert_allclose(np.exp(mean[:n]), path, rtol=0.02)


# --- the published study ----------------------------------------------------------------------------------------------
def test_the_study_of_2021_is_reproduced_from_its_own_parameters():
    table = load_observations("chn").table
    rows = table[table["series"] == "cumulative_balance|urrbmi|one_child"]
    printed = dict(zip(rows["year"].astype(int), rows["value"].astype(float), strict=True))
    result = project(read_basis("cn_urrbmi_study_2021"), law(RESIDENTS))
    assert len(printed) == 10
    for year, balance in printed.items():
        near = {"abs": 0.02} if year <= 2025 else {"rel": 0.007}
        assert result.closing[year - 2021, 0] == pytest.approx(balance, **near)
    assert int(result.years[(result.closing[:, 0] < 0.0).argmax()]) == 2027  # as published
    flow = result.total_income[:, 0] - result.income["investment_income"][:, 0] - result.outgo[:, 0]
    assert int(result.years[(flow < 0.0).argmax()]) == 2021  # its first current deficit


def test_the_study_stands_beside_ours_and_what_came():
    told = study_projection(load_scheme(RESIDENTS))
    past = [{"target": 2024, "line": "outgo", "ours": 1200.0, "q10": 1000.0, "q90": 1500.0, "later": 1066.149}]
    rows = {(row.year, row.line): row for row in beside_study(told, basis_of(RESIDENTS), law(RESIDENTS), past)}
    assert (rows[2024, "outgo"].study, rows[2024, "outgo"].came) == (1478.187, 1066.149)
    assert rows[2024, "outgo"].ours == Ours(1200.0, 1000.0, 1500.0)
    assert rows[2024, "income"].ours is None
    assert rows[2025, "income"].study == 1527.287
    assert rows[2025, "income"].ours.middle == pytest.approx(1000.0)
    assert rows[2025, "income"].came is None
    assert study_projection(load_scheme(EMPLOYEES)) is None


def test_the_urban_residents_accounts_by_hand():
    """Both residents' schemes less the rural one in 2011 and 2013; the printed balance of 2012."""
    result = project(read_basis("cn_urbmi_2011"), law("cn_urbmi"))
    known = {name: observed_series("chn", name) for name in ("pool_income|cn_urrbmi", "pool_income|cn_nrcms")}
    both, rural = known.values()
    outgo = [observed_series("chn", f"pool_outgo|{pool}") for pool in (RESIDENTS, RURAL)]
    for year in (2011, 2013):
        assert result.total_income[year - 2011, 0] == pytest.approx(both[year] - rural[year], abs=0.06)
        assert result.outgo[year - 2011, 0] == pytest.approx(outgo[0][year] - outgo[1][year], abs=0.06)
    assert result.closing[1, 0] == pytest.approx(observed_series("chn", "cumulative_balance|urbmi")[2012], abs=0.05)
    told = CliRunner().invoke(app, ["project", "cn_urbmi"])
    assert told.exit_code == 2
    assert "a law without a fund" in told.stderr
    assert "forecaster project cn_urbmi --basis cn_urbmi_2011" in told.stderr
    told = CliRunner().invoke(app, ["stack", "cn_urbmi"])
    assert told.exit_code == 2
    assert "no benefit stack stands behind cn_urbmi" in told.stderr
    assert stack_named(EMPLOYEES) is pool_stack(EMPLOYEES)
    assert stack_named("cn_employees").id == stack_named(EMPLOYEES).id == "cn_employees"
    assert stack_named(RESIDENTS).id == "cn_residents"


# --- several pools ----------------------------------------------------------------------------------------------------
def cities() -> Cities:
    """Two cities, one year: premiums of 10 and 30, costs of 12 and 20."""
    return Cities(
        names=("old", "young"),
        years=np.array([2025]),
        base=np.array([[100.0], [300.0]]),
        compliance=np.ones((2, 1)),
        cost=np.array([[12.0], [20.0]]),
        insured=np.array([[1.0], [3.0]]),
        need=np.array([[1.5], [0.5]]),
        opening=np.array([0.0, 5.0]),
        rate=np.array([0.1]),
    )


def test_the_adjustment_fund_by_hand():
    """A fifth is paid in, 2 and 6; gaps are 4 and 0; needs 1.5 and 1.5: by halves the old city gets 4 + 2 of 8."""
    rule = AdjustmentRule(0.2, by_gap=0.5, eta_income=0.0, eta_cost=0.0)
    found = adjust(cities(), rule)
    np.testing.assert_allclose(found.pay_in[:, 0], [2.0, 6.0])
    np.testing.assert_allclose(found.pay_out[:, 0], [6.0, 2.0])
    np.testing.assert_allclose(found.reserve[:, 0], [0.0 + 10.0 - 2.0 + 6.0 - 12.0, 5.0 + 30.0 - 6.0 + 2.0 - 20.0])
    kept = adjust(cities(), replace(rule, administration=0.25))
    assert kept.pay_out.sum() == pytest.approx(0.75 * 8.0)


def test_effort_answers_to_pooling():
    found = adjust(cities(), AdjustmentRule(1.0))
    np.testing.assert_allclose(found.income[:, 0], [10.0 * 0.885, 30.0 * 0.885])
    np.testing.assert_allclose(found.cost[:, 0], [12.0 * 1.186, 20.0 * 1.186])
    alone = adjust(cities(), AdjustmentRule(0.0))
    np.testing.assert_allclose(alone.reserve[:, 0], [-2.0, 15.0])


def test_need_index_is_one_in_the_mean():
    heads, cost = np.array([[10.0, 0.0], [10.0, 20.0]]), np.array([1.0, 3.0])
    index = need_index(heads, cost)
    np.testing.assert_allclose(index, [1.0 / 2.0, (70.0 / 30.0) / 2.0])
    assert (index * heads.sum(axis=1)).sum() / heads.sum() == pytest.approx(1.0)


def test_faulty_cities_are_told_at_once(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "years = [2025, 2026]\n"
        "[city.a]\nbase = [1.0]\ncompliance = 1.2\ncost = [1, 2, 3]\nneed = 1\nopening = 0\nodd = 1\n"
    )
    with pytest.raises(FaultyInput) as caught:
        read_cities(path)
    for words in (
        "rate: found nothing",
        "city.a.insured",
        "city.a.odd: found unknown key",
        "allowed: 0 to 1",
        "3 values; allowed: one, or 2",
    ):
        assert words in str(caught.value)
    with pytest.raises(FaultyInput, match="pay_in: found 20; allowed: 0 to 1"):
        AdjustmentRule(20.0)


def test_the_command_shows_the_made_up_cities():
    result = CliRunner().invoke(app, ["adjustment", "--pay-in", "0.2", "--json"])
    assert result.exit_code == 0
    assert '"city": "old_industrial"' in result.stdout


def test_no_contribution_base_is_below_nothing():
    """Without the employers' rate and the floor, late payers' part of the law's base is none of what is left."""
    basis = basis_of(EMPLOYEES, YEARS[:12])
    levers = ("employer_contribution_rate=0@2027-01-01", "base_floor=0@2027-01-01")
    assert (under_policy(basis, law(EMPLOYEES, *levers)).general_base[2:] == 0.0).all()


# --- transplants ------------------------------------------------------------------------------------------------------
START = dt.date(2030, 1, 1)


def nothing() -> Basis:
    raise AssertionError("this rule needs no basis of the donor")


def test_a_government_floor_in_the_employees_scheme():
    basis = basis_of(EMPLOYEES)
    found = transplant("government_floor", law("tw_nhi_2g"), law(), basis, START, nothing)
    before, after = project(basis, law()), project(found.with_basis, found.with_policy)
    np.testing.assert_array_equal(after.closing[:5], before.closing[:5])
    # 36% of all income where the government paid nothing: 36/64 of the premium.
    premium = before.income["general_premium"]
    np.testing.assert_allclose(after.income["government_top_up"][5:], 0.36 / 0.64 * premium[5:])
    np.testing.assert_allclose(after.by_payer()["employers"], before.by_payer()["employers"])


def test_a_yearly_review_keeps_proportions_over_the_pools_own_floor():
    scheme = graft(load_scheme(EMPLOYEES), load_scheme("tw_nhi_2g"), "yearly_review", START)
    donor = load_scheme("tw_nhi_2g")
    for name in ("reserve_ceiling_months", "review_target_months"):
        assert scheme.parameter(name).in_force()[-1][1] == 6.0 * donor.parameter(name).in_force()[-1][1]
    assert Policy(scheme).word("yearly_review", np.array([2029, 2030])) == ("off", "on")


def test_a_supplementary_premium_brings_the_donors_items():
    basis = basis_of(EMPLOYEES)
    donor_law = law("tw_nhi_2g")
    items = {"dividends": 0.02 * basis.general_base}
    donor = replace(basis, categories=("c12",), category_mix=np.ones((1, 3)), supplementary_base=items, members=None)
    found = transplant("supplementary_premium", donor_law, law(), basis, START, lambda: donor)
    after = project(found.with_basis, found.with_policy)
    rate = donor_law.path("supplementary_premium_rate", np.array([2030]))[0]
    np.testing.assert_array_equal(after.income["supplementary_premium"][:5], 0.0)
    np.testing.assert_allclose(after.income["supplementary_premium"][5:], rate * 0.02 * basis.general_base[5:])


def test_a_budget_holds_outlay_to_the_base():
    basis = basis_of(EMPLOYEES)
    held = held_to_base(basis, 2030)
    np.testing.assert_array_equal(held.outlay[:5], basis.outlay[:5])
    np.testing.assert_allclose(held.outlay[5:] / basis.outlay[4], basis.general_base[5:] / basis.general_base[4])
    with pytest.raises(ForecasterError, match="allowed: 2026 to 2060"):
        held_to_base(basis, 2025)
    # Patients bear what the fund does not pay, or their own payments shrink with the care.
    found = transplant("global_budget", law("tw_nhi_2g"), Policy(law_with_stack(law().scheme)), basis, START, nothing)
    change = own_payments("global_budget", found, basis.outlay, held.outlay)
    np.testing.assert_allclose(change[BORNE], basis.outlay - held.outlay)
    own = care_payers(basis, found.policy, basis.outlay).amounts[-1]
    np.testing.assert_allclose(change[CUT], own * (held.outlay / basis.outlay - 1.0))
    assert (change[CUT][5:] < 0.0).all()
    assert own_payments("global_budget", replace(found, policy=law()), basis.outlay, held.outlay) is None


def test_merging_adds_both_funds_up():
    basis, other = basis_of(EMPLOYEES), basis_of(RESIDENTS, n_draws=2)
    found = transplant("merge", law(RESIDENTS), law(), basis, START, lambda: other)
    apart, one = project(found.basis, found.policy), project(found.with_basis, found.with_policy)
    own = [project(b, law(p)) for b, p in ((basis, EMPLOYEES), (other, RESIDENTS))]
    np.testing.assert_allclose(apart.closing, own[0].closing[:, :2] + own[1].closing, rtol=1e-9)
    np.testing.assert_allclose(apart.total_income, own[0].total_income[:, :2] + own[1].total_income, rtol=1e-9)
    # By payer it is exact in the first year only.
    paid = own[0].by_payer()["employers"][0, :2] + own[1].by_payer()["employers"][0]
    np.testing.assert_allclose(apart.by_payer()["employers"][0], paid)
    np.testing.assert_allclose((one.outgo - apart.outgo)[5:], (0.756 / 0.597 - 1.0) * own[1].outgo[5:], rtol=1e-9)
    # Whichever joins: the residents' benefits rise.
    other_way = transplant("merge", law(), law(RESIDENTS), other, START, lambda: basis)
    np.testing.assert_allclose(other_way.with_basis.outlay, found.with_basis.outlay, rtol=1e-12)
    # Bills stay what they are: what the fund pays more, patients pay less.
    change = own_payments("merge", found, apart.outgo, one.outgo)
    np.testing.assert_allclose(change[WITH], apart.outgo - one.outgo)
    with pytest.raises(ForecasterError, match="merge pools of one country"):
        transplant("merge", law(RESIDENTS), law(), basis, START, lambda: replace(other, money="TWD bn"))


def replaced_pool(policy: Policy) -> Policy:
    """The law as if it were another pool's."""
    return Policy(policy.scheme.model_copy(update={"pool": "another"}))


def test_unknown_rules_and_donors_without_the_rule_are_told():
    with pytest.raises(ForecasterError, match="there are: government_floor, yearly_review"):
        graft(load_scheme(EMPLOYEES), load_scheme("tw_nhi_2g"), "soup", START)
    with pytest.raises(ForecasterError, match="cn_urrbmi does not have the rule government_floor"):
        graft(load_scheme(EMPLOYEES), load_scheme(RESIDENTS), "government_floor", START)
    for arguments, words in (
        (["soup"], "no rule 'soup'"),
        (["soup"], "parameters of both laws: budget_growth_adjustment, general_premium_rate, reserve_floor_months"),
        (["government_floor", "--to", RURAL], "nothing of cn_nrcms is projected after 2018"),
        (["merge", "--from", RESIDENTS, "--set", "general_premium_rate=0.07@2027-01-01"], "levers on members"),
        (["reserve_floor_months"], "which changes nothing through 2050"),
        (["global_budget", "--from", RESIDENTS], "cn_urrbmi does not have the rule global_budget: it pays providers"),
        (["global_budget", "--from", EMPLOYEES, "--to", "tw_nhi"], "cn_uebmi does not have the rule global_budget"),
        (["supplementary_premium", "--to", RESIDENTS], "members of cn_urrbmi pay a sum a head"),
        (["government_floor", "--to", RESIDENTS], "the government pays 64% of the premiums there, the floor wants 36%"),
        (["merge", "--from", EMPLOYEES], "cn_uebmi and cn_uebmi are one pool"),
    ):
        result = CliRunner().invoke(app, ["transplant", *arguments, "--draws", "10"])
        assert result.exit_code == 2, arguments
        assert words in " ".join(result.stderr.split())
    with pytest.raises(ForecasterError, match="tw_nhi_2g has one; budget_growth_adjustment moves its growth"):
        transplant(
            "global_budget", replaced_pool(law("tw_nhi_2g")), law("tw_nhi_2g"), basis_of(EMPLOYEES), START, nothing
        )


def with_stack(pool: str, *settings: str) -> Policy:
    return Policy(law_with_stack(load_scheme(pool)), Reform.parse(settings))


def test_any_parameter_or_layer_of_one_law_in_another():
    target, donor = with_stack(RESIDENTS).scheme, with_stack(EMPLOYEES).scheme
    [rate] = shared_terms(law().scheme, law("tw_nhi_2g").scheme, "general_premium_rate", START)
    assert rate == Change("general_premium_rate", START, 0.0517)
    terms = {change.name: change.value for change in shared_terms(target, donor, "cn_basic_employees", START)}
    assert terms == {  # the residents' layer has no wage in its ceiling
        "cn_basic_residents.deductible": 5200.0,
        "cn_basic_residents.tranche.1.to": 20000.0,
        "cn_basic_residents.tranche.1.rate": 0.874,
        "cn_basic_residents.tranche.2.rate": 0.835,
    }
    [one] = shared_terms(target, donor, "cn_basic_employees.tranche.1.rate", START)
    assert one.name == "cn_basic_residents.tranche.1.rate"
    # Later steps of the donor's law come too: an age that rises by the year.
    ages = shared_terms(law().scheme, law().scheme, "retirement_age_men", START)
    assert [change.start.year for change in ages] == list(range(2030, 2040))
    for name, words in (
        ("cn_personal_account", "cn_urrbmi has no layer of the kind account"),
        ("cn_basic_employees.premium", "not a term that cn_basic_residents has too"),
    ):
        with pytest.raises(ForecasterError, match=words):
            shared_terms(target, donor, name, START)
    with pytest.raises(ForecasterError, match="has no value on 2010-01-01; its first is from 2025-01-01"):
        shared_terms(law().scheme, law().scheme, "retirement_age_men", dt.date(2010, 1, 1))


def test_households_before_and_after_a_rule():
    """Bills that the fund pays less of ruin more, care that is cut fewer; a merger spares some; premiums do nothing."""
    years = YEARS[:10]
    own = basis_of(EMPLOYEES, years, 1), with_stack(EMPLOYEES)
    other = basis_of(RESIDENTS, years, 1), with_stack(RESIDENTS)
    donor = law("tw_nhi_2g")
    at = (2034, "all", "over_10_percent")
    with few_households():
        budget = transplant("global_budget", donor, own[1], own[0], START, nothing)
        told = households("global_budget", budget, own, [2034], 2030)
        assert (told[BORNE][at] > told[WITHOUT][at]).all()
        assert (told[CUT][at] < told[WITHOUT][at]).all()
        merger = transplant("merge", other[1], own[1], own[0], START, lambda: other[0])
        told = households("merge", merger, own, [2034], 2030, other)
        for measure in ("catastrophic_usual", "over_10_percent", "over_25_percent", "impoverished"):
            assert (told[WITH][2034, "all", measure] < told[WITHOUT][2034, "all", measure]).all()
        layer = transplant("cn_basic_employees.tranche.1.rate", own[1], other[1], other[0], START, nothing)
        told = households("cn_basic_employees.tranche.1.rate", layer, other, [2034], 2030)
        assert (told[WITH][at] < told[WITHOUT][at]).all()
        floor = transplant("government_floor", donor, own[1], own[0], START, nothing)
        told = households("government_floor", floor, own, [2034], 2030)
        np.testing.assert_array_equal(told[WITH][at], told[WITHOUT][at])
    with pytest.raises(ForecasterError, match="no benefit stack stands behind cn_uebmi"):
        households("global_budget", budget, (own[0], law()), [2034], 2030)
    with pytest.raises(ForecasterError, match="what cn_uebmi and cn_nrcms pay of a bill in effect is not held"):
        households("merge", merger, own, [2034], 2030, (own[0], law(RURAL)))
    assert benefit_steps(RESIDENTS, EMPLOYEES) == pytest.approx((0.756 / 0.597, 1.0))
    effective = {
        pool: observed_series("chn", f"inpatient_reimbursement_rate_effective|{pool.removeprefix('cn_')}")[2019]
        for pool in EFFECTIVE_RATE
    }
    assert effective == EFFECTIVE_RATE


def test_the_command_tells_households_or_why_not():
    with few_households():
        levers = ("--set", "movers_to_towns=0.01@2027-01-01")  # in both laws
        merged = ("merge", "--from", RESIDENTS, *levers, "--draws", "5", "--horizon", "2028", "--json")
        done = CliRunner().invoke(app, ["transplant", *merged])
    assert done.exit_code == 0, done.output + done.stderr
    need = json.loads(done.stdout)["households"]
    assert need["readings"] == [WITH]
    assert [(row["year"], row["measure"]) for row in need["rows"][:2]] == [
        (2027, "catastrophic_usual"),
        (2027, "over_10_percent"),
    ]
    assert all(row[WITH][0] <= row[WITHOUT][0] for row in need["rows"])
    taiwan = ("general_premium_rate", "--from", EMPLOYEES, "--to", "tw_nhi", "--draws", "5", "--horizon", "2028")
    done = CliRunner().invoke(app, ["transplant", *taiwan])
    assert done.exit_code == 0, done.output + done.stderr
    assert "households: no benefit stack stands behind tw_nhi" in done.output


@pytest.mark.parametrize(
    "setting",
    ["subsidy_growth_adjustment=0@2027-01-01", "bonus_limit=0.3@2027-01-01", "capacity_use_elasticity=0.5@2027-01-01"],
)
def test_a_residents_lever_that_moves_nothing_is_idle_to_the_last_bit(setting):
    """Take-up is found by halving; what it leaves of rounding must not pass for a move, nor stand before a day."""
    basis, under = basis_of(RESIDENTS, YEARS[:12], 60), law(RESIDENTS, setting)
    assert idle_levers(basis, law(RESIDENTS), under) == (setting.partition("=")[0],)
    later = project(basis, law(RESIDENTS, "own_premium_growth_adjustment=0.05@2030-01-01"))
    np.testing.assert_array_equal(later.closing[:5], project(basis, law(RESIDENTS)).closing[:5])
    assert (later.closing[5:] != project(basis, law(RESIDENTS)).closing[5:]).all()


# --- passing between the pools ----------------------------------------------------------------------------------------
def test_who_joins_the_employees_leaves_the_residents(people):
    """Movers and family come to the one pool and leave the other, as far as they were members there."""
    basis, settings = (
        basis_of(RESIDENTS),
        ("movers_to_towns=0.01@2027-01-01", "dependants_per_contributor=0.2@2030-01-01"),
    )
    policy = law(RESIDENTS, *settings)
    factor = under_policy(basis, policy).general_base / basis.general_base
    np.testing.assert_allclose(factor[:2], 1.0, rtol=1e-12)
    found = passed(policy, 2024, YEARS)
    heads = employee_heads(people, law_ages(law(), people.years))
    moved = employee_heads(
        replace(
            people,
            persons=people.persons
            + moved_in(people, policy.path("movers_to_towns", YEARS), law_ages(law(), people.years)),
        ),
        law_ages(law(), people.years),
    )
    np.testing.assert_allclose(found.movers, (moved.by_age - heads.by_age)[1:].sum(axis=1))
    assert found.movers[2].sum() == pytest.approx(0.01 * people.workers, rel=1e-6)
    np.testing.assert_allclose(found.family[5:], 0.2 * moved.workers[6:])
    outside = basis.members.persons[1:].sum(axis=(1, 2))
    staying = 1.0 - found.movers.sum(axis=1) / outside
    members = basis.members.workers / basis.members.persons[0].sum() * outside * staying
    np.testing.assert_allclose(factor[:, 0], staying * (1.0 - found.family / members), rtol=1e-9)
    [first, second] = other_pool_told(policy)
    assert first.startswith("movers_to_towns moves this fund's own members; they go to the employees' scheme, which")
    assert "forecaster project cn_uebmi" in second
    assert other_pool_told(law(RESIDENTS, "enrolment_drive=1@2027-01-01")) == []
    # Movers are young: the residents who stay cost more a head.
    cost = under_policy(basis, law(RESIDENTS, settings[0])).outlay / basis.outlay
    assert (cost[3:] > under_policy(basis, law(RESIDENTS, settings[0])).general_base[3:] / basis.general_base[3:]).all()


def test_more_people_pass_than_there_are(people):
    parameters = dict(law(RESIDENTS).scheme.parameters)
    wider = parameters["dependants_per_contributor"].model_copy(update={"bounds": (0.0, 9.0)})
    scheme = law(RESIDENTS).scheme.model_copy(
        update={"parameters": {**parameters, "dependants_per_contributor": wider}}
    )
    policy = Policy(scheme, Reform.parse(["dependants_per_contributor=4@2027-01-01"]))
    with pytest.raises(ForecasterError, match="by 2027 more people would have passed to the employees' scheme than"):
        under_policy(basis_of(RESIDENTS), policy)


def test_flexible_workers_who_wait_longer_by_hand(people):
    """A tenth of 17.4% of contributors come back a year; six months instead of two: a third of a year more without."""
    basis, policy = basis_of(EMPLOYEES, YEARS[:8], 1), with_stack(EMPLOYEES, "waiting_months_flexible=6@2027-01-01")
    heads = employee_heads(people, law_ages(law(), people.years))
    contributors = heads.need - heads.need_retired
    part = (contributors / (contributors + 1.06 * heads.need_retired))[3]
    before, after = project(basis, policy.reform(Reform())), project(basis, policy)
    factor = (after.outgo / before.outgo)[:, 0]
    np.testing.assert_array_equal(factor[:2], 1.0)
    assert factor[2] == pytest.approx((1.0 - part * 0.0174 * 6.0 / 12.0) / (1.0 - part * 0.0174 * 2.0 / 12.0), rel=1e-9)
    np.testing.assert_array_equal(after.total_income, before.total_income)
    # What the fund does not pay they pay themselves, and more of their households are ruined; under the law some wait.
    usual, waiting = (care_payers(basis, p, r.outgo) for p, r in ((policy.reform(Reform()), before), (policy, after)))
    np.testing.assert_allclose(waiting.spending, usual.spending, rtol=1e-9)
    np.testing.assert_allclose(
        waiting.amounts[-1] - usual.amounts[-1], before.outgo - after.outgo, rtol=1e-6, atol=1e-9
    )
    lost = [cover_of_year(basis, p, 2).lost for p in (policy.reform(Reform()), policy)]
    assert lost[0] == pytest.approx(part * 0.0174 * 2.0 / 12.0)
    assert lost[1] == pytest.approx(3.0 * lost[0])


# --- the shipped fits -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [EMPLOYEES, RESIDENTS, RURAL])
def test_the_shipped_fits_load_and_are_of_today(name):
    from forecaster_models.fit import current_inputs

    fit = load_fit(name)
    assert fit.manifest["accepted"]
    stale = [key for key, now in current_inputs(name).items() if fit.manifest["inputs"][key] != now]
    assert stale == [], f"fit again: forecaster fit {name}"
    basis = fit.basis(find_pool(name).first_year + 3, draws=200)
    published = fit.history[fit.history["kind"] == "published"].set_index(["line", "year"])["mean"]
    last = find_pool(name).first_year - 1
    # The first year lies around the last one: nothing jumps where the forecast begins.
    assert 0.95 < np.median(basis.outlay[0]) / published["outgo", last] < 1.25
