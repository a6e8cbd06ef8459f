r"""Whose heads a plain pool covers: contributors and pensioners of an employees' scheme, residents, or the country.

A cohort keeps the coverage with which it retires. With *P* the people of an age at the end of a year (published
estimates, then the United Nations' medium variant), *r* the share of an age that is retired, *a* the share of people of
working age who contribute and *q* the share of retiring contributors with years enough to stay insured for nothing:

.. math::
    W_t &= a \sum_x (1 - r_{x,t})\, P_{x,t}, \qquad R_t = \sum_x r_{x,t}\, c_{x,t}\, P_{x,t} \\
    c_{x,t}\, r_{x,t} &= c_{x-1,t-1}\, r_{x-1,t-1} + q\, a\, (r_{x,t} - r_{x-1,t-1})

Nobody goes back to work: the share retired of a cohort never falls, so a later age holds for those who still work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq

from forecaster.demography.tables import N_AGES, load_wpp
from forecaster.enrolment import Joining, State, shipped_takeup
from forecaster.errors import ForecasterError
from forecaster.policy import Policy
from forecaster.pools import Pool, find_pool, observed_series

Array = np.ndarray

# Parameters of the law: the ages of men, and of women in works and in offices, who are taken to be half of all each.
RETIREMENT_AGES = ("retirement_age_men", "retirement_age_women_workers", "retirement_age_women_staff")
AGES_BEFORE = (60.0, 50.0, 55.0)
FIRST_WORKING_AGE = 20
# Share of retiring contributors who stay insured: with it the pensioners of 2024 follow from the heads of 2018.
QUALIFYING_SHARE = 0.9
# What a pensioner costs of what a contributor costs: admissions of 2021, 39.5 and 9.9 of 100 (CN-MEDVALLEY_NHSA_2021).
PENSIONER_COST = 39.5 / 9.9
# First ages of five-year groups, the last one open, and the cost of a person in each against one of 40 to 44: assumed,
# in the round shape that health spending has in rich countries. An employees' scheme raises it to the power at which
# a pensioner costs what is observed.
PROFILE_AGES = np.arange(0, 90, 5)
PROFILE = np.array(
    [1.0, 0.5, 0.5, 0.6, 0.6, 0.75, 0.85, 0.9, 1.0, 1.15, 1.4, 1.7, 2.1, 2.6, 3.2, 3.8, 4.2, 4.5],
)
AGES = np.arange(N_AGES)
MILLION = 1e6
# Mean wage that a premium is held against.
WAGE = "average_wage_urban_units"


def cost_by_age() -> Array:
    """Cost of a person by single age against one of 40 to 44, assumed, ``(101,)``."""
    cost: Array = PROFILE[np.searchsorted(PROFILE_AGES, AGES, side="right") - 1]
    return cost


@dataclass(frozen=True)
class Heads:
    """Members of an employees' scheme at year ends; million persons, stock, ``(year,)`` unless said.

    Attributes
    ----------
    workers, retired
        Contributors, and pensioners who pay nothing.
    need, need_retired
        Members, and pensioners alone, weighted by the cost of their age.
    entering
        New pensioners of the year, flow; 0 in the first.
    by_age
        All members, ``(year, 2, 101)``.
    """

    workers: Array
    retired: Array
    need: Array
    need_retired: Array
    entering: Array
    by_age: Array


@dataclass(frozen=True)
class MemberPeople:
    """What members follow from, without a law: it is laid over by :func:`employee_heads`.

    Attributes
    ----------
    kind
        ``employees`` or ``residents``.
    years
        Year ends, the first one that of the counts, ``(year,)``.
    persons
        People of the country by sex and age, million, stock, ``(year, 2, 101)``.
    workers, retired
        Counts of the first year, million; of residents the insured and 0.
    joining
        What levers on take-up start from; None for employees.
    """

    kind: str
    years: Array
    persons: Array
    workers: float
    retired: float
    joining: Joining | None = None


def retired_shares(ages: Array) -> Array:
    """Share retired by age, ``(year, 2, 101)``, under retirement ages ``(year, 3)`` in the order of the parameters."""

    def above(age: Array) -> Array:
        return np.clip(AGES + 1.0 - age[:, None], 0.0, 1.0)

    women = 0.5 * (above(ages[:, 1]) + above(ages[:, 2]))
    shares = np.stack([above(ages[:, 0]), women], axis=1)
    for t in range(1, len(shares)):
        shares[t, :, 1:] = np.maximum(shares[t, :, 1:], shares[t - 1, :, :-1])
    return shares


def employee_heads(people: MemberPeople, ages: Array) -> Heads:
    """Contributors and pensioners under a path of retirement ages.

    Parameters
    ----------
    ages
        Years of age by year end of ``people.years``, ``(year, 3)``, in the order of :data:`RETIREMENT_AGES`. The first
        row tells who has retired when the counts were made.
    """
    shares, persons = retired_shares(ages), people.persons
    working = (1.0 - shares) * (AGES >= FIRST_WORKING_AGE)
    contributing = people.workers / (working[0] * persons[0]).sum()
    covered = _first_coverage(people, shares[0], contributing, ages[0])
    entering = np.zeros(len(persons))
    pensioners = np.empty_like(persons)
    pensioners[0] = covered * persons[0]
    for t in range(1, len(persons)):
        before = np.zeros_like(covered)
        before[:, 1:] = covered[:, :-1]
        before[:, -1] = covered[:, -1]
        left = np.zeros_like(shares[t])
        left[:, 1:] = shares[t - 1, :, :-1]
        left[:, -1] = 1.0
        fresh = QUALIFYING_SHARE * contributing * np.maximum(shares[t] - left, 0.0)
        covered = before + fresh
        entering[t] = (fresh * persons[t]).sum()
        pensioners[t] = covered * persons[t]
    contributors = contributing * working * persons
    cost = _employee_cost(people, contributors[0], pensioners[0])
    return Heads(
        workers=contributors.sum(axis=(1, 2)),
        retired=pensioners.sum(axis=(1, 2)),
        need=((contributors + pensioners) * cost).sum(axis=(1, 2)),
        need_retired=(pensioners * cost).sum(axis=(1, 2)),
        entering=entering,
        by_age=contributors + pensioners,
    )


def _first_coverage(people: MemberPeople, shares: Array, contributing: float, ages: Array) -> Array:
    """Covered share of every age as pensioners, ``(2, 101)``: falling with the years since retirement to the count."""
    start = np.array([ages[0], 0.5 * (ages[1] + ages[2])])[:, None]
    since = np.clip(AGES - start, 0.0, None)

    def counted(fall: float) -> float:
        return float((shares * np.exp(-fall * since) * people.persons[0]).sum() * contributing - people.retired)

    fall = brentq(counted, -0.2, 2.0)
    coverage: Array = contributing * shares * np.exp(-fall * since)
    return coverage


def _employee_cost(people: MemberPeople, contributors: Array, pensioners: Array) -> Array:
    """Cost by age, steep enough that a pensioner of the first year costs :data:`PENSIONER_COST` contributors."""

    def ratio(power: float) -> float:
        cost = cost_by_age() ** power
        mean = [(heads * cost).sum() / heads.sum() for heads in (contributors, pensioners)]
        return float(mean[1] / mean[0] - PENSIONER_COST)

    power = brentq(ratio, 0.1, 5.0)
    steep: Array = cost_by_age() ** power
    return steep


@cache
def year_end_people(place: str, first: int, last: int) -> Array:
    """People by sex and age on 31 December of ``first`` to ``last``, million, ``(year, 2, 101)``, read-only."""
    wpp = load_wpp(place)
    people: Array = np.stack([wpp.population_at(year + 1) for year in range(first, last + 1)]) / MILLION
    people.flags.writeable = False
    return people


def _counted(place: str, series: str, years: Array) -> Array:
    """Heads at the year ends, straight on the log scale between the observed ones; ``(year,)``."""
    known = observed_series(place, series)
    at = np.array(sorted(known))
    if years[0] < at[0] - 3 or years[-1] > at[-1] + 3:
        span = f"{years[0]} to {years[-1]}"
        raise ForecasterError(f"{series} is observed from {at[0]} to {at[-1]}; the accounts of {span} reach beyond it")
    counted: Array = np.exp(np.interp(years, at, np.log([known[int(year)] for year in at])))
    return counted


def past_members(pool: Pool, years: Array) -> Array | None:
    """Members, those who pay, and members by the cost of their age, million, ``(3, year)``; None without a series.

    Of residents everyone pays, and a head costs what one of the country does by age.
    """
    if pool.members is None:
        return None
    total = _counted(pool.place, pool.members.total, years)
    if pool.members.kind == "employees":
        workers = _counted(pool.place, str(pool.members.workers), years)
        return np.stack([total, workers, workers + PENSIONER_COST * (total - workers)])
    people = year_end_people(pool.place, int(years[0]), int(years[-1])).sum(axis=1)
    return np.stack([total, total, total * (people @ cost_by_age()) / people.sum(axis=1)])


def members_ahead(pool: Pool, first: int, last: int) -> MemberPeople | None:
    """What the members of a pool follow from after ``first``, the year end of the last counts used; None without."""
    if pool.members is None or pool.members.kind == "country":
        return None
    years = np.arange(first, last + 1)
    total = float(_counted(pool.place, pool.members.total, years[:1])[0])
    paying = total
    if pool.members.kind == "employees":
        paying = float(_counted(pool.place, str(pool.members.workers), years[:1])[0])
    persons = year_end_people(pool.place, first, last)
    if pool.members.kind == "employees":
        return MemberPeople("employees", years, persons, paying, total - paying)
    persons = persons - _employed(first, last)
    return MemberPeople("residents", years, persons, total, 0.0, _joining(pool, years[:1], total, persons[0].sum()))


def _joining(pool: Pool, years: Array, members: float, eligible: float) -> Joining:
    """State of those who may join at the year end of the last counts."""
    spent = float(_counted(pool.place, f"pool_outgo|{pool.name}", years)[0])
    own = float(Policy(pool.law).path("own_premium", years)[0])
    wage = float(_counted(pool.place, WAGE, years)[0])
    # Billions over millions of heads is thousands a head.
    return Joining(shipped_takeup(), State(1000.0 * spent / members, own, wage), members / eligible)


def _employed(first: int, last: int) -> Array:
    """Members of the employees' scheme of the mainland under today's law, million, ``(year, 2, 101)``."""
    pool = find_pool("cn_uebmi")
    people = members_ahead(pool, first, last)
    assert people is not None  # the shipped file counts its members
    return employee_heads(people, law_ages(Policy(pool.law), people.years)).by_age


def law_ages(policy: Policy, years: Array) -> Array:
    """Retirement ages in force at the year ends, ``(year, 3)``; those before any reform where the law dates none."""
    columns = []
    for name, before in zip(RETIREMENT_AGES, AGES_BEFORE, strict=True):
        path = np.full(len(years), before)
        if policy.has(name):  # the law as it was known in an earlier year may not
            begun = policy.dated(name)[0][0].year
            path[years >= begun] = policy.path(name, years[years >= begun])
        columns.append(path)
    return np.stack(columns, axis=1)


def member_steps(people: MemberPeople, policy: Policy) -> tuple[Array, Array, Array]:
    """Yearly log changes of members, of those who pay, and of need a member, ``(year - 1,)``, by the law."""
    if people.kind == "employees":
        heads = employee_heads(people, law_ages(policy, people.years))
        total = heads.workers + heads.retired
        workers, need = heads.workers, heads.need / total
    else:
        by_age = people.persons.sum(axis=1)
        total = workers = by_age.sum(axis=1)
        need = by_age @ cost_by_age() / total
    return np.diff(np.log(total)), np.diff(np.log(workers)), np.diff(np.log(need))
