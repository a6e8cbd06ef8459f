r"""Levers of the mainland's schemes that move who pays and who costs, laid over a basis draw by draw.

A basis stands under its law. Under a policy, with contributors *W*, pensioners *R*, late payers *L* (pensioners who
still make up years) and members weighted by the cost of their age *N* (of pensioners :math:`N^R`), all by
:mod:`forecaster.members`, primes for the policy:

.. math::
    \frac{B'}{B} &= \frac{W'}{W}\,\frac{e'(1-a')}{e(1-a)}\,\frac{E[f' \le w \le g']}{E[f \le w \le g]}
        + \frac{p' \kappa R' / r' + f' L' - f L}{W} \\
    \frac{C'}{C} &= \left(\frac{N' + s N'^R}{N + s N^R} + \frac{d' k W' n}{N + s N^R}\right)
        \left(1 + o\,\Bigl(\frac{\omega'}{\omega} - 1\Bigr)\right)

*e* the employers' rate, *a* the part of it that goes to personal accounts, *p* the pensioners' rate on pensions of
:math:`\kappa` mean bases, *r* the pool's rate, :math:`E[f \le w \le g]` the mean of lognormal wages *w* held between
base floor *f* and ceiling *g*, *s* by how much more the pool pays of a pensioner's bill, *d* family members per
contributor at the cost *k* of one (*n*), *o* the part of outlay that goes to outpatient care, :math:`\omega` its
reimbursement. Levers on a residents' scheme go through take-up (:mod:`forecaster.enrolment`),
months of waiting (:mod:`forecaster.continuity`) and capacity (:mod:`forecaster.supply`). Flexible workers who wait
after a gap lower :math:`C'/C` by the part of the contributors' cost for which they wait; people who pass from one pool
to the other move both (:mod:`forecaster.passing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from forecaster import continuity
from forecaster.basis import Basis
from forecaster.continuity import FLEXIBLE, covered_months, flexible_wait, worth_of_joining
from forecaster.cover import Cover
from forecaster.enrolment import resident_factors
from forecaster.fund_need import HOUSEHOLD_MEASURES, CoverOfYear, household_bands
from forecaster.fund_stack import CarePaid, LawWithStack, care_paid, outgo_factor
from forecaster.members import (
    AGES,
    RETIREMENT_AGES,
    MemberPeople,
    cost_by_age,
    employee_heads,
    law_ages,
)
from forecaster.passing import FAMILY, MOVERS, SHARED, passed, residents_kept, with_movers
from forecaster.policy import Policy, Reform
from forecaster.supply import supply_factor

Array = np.ndarray

# Years of contributing at retirement, normal: assumed, no table of careers was found.
CAREER_MEAN, CAREER_SD = 27.0, 8.0
# Age of mothers, normal within these ages: assumed, and asked for only by the children of more or fewer births.
CHILDBEARING_MEAN, CHILDBEARING_SD, CHILDBEARING_AGES = 29.0, 5.0, (15, 50)
BIRTHS = "births_factor"
# Take-up is found by halving: a factor nearer to 1 than this is 1.
_ROUNDING = 1e-11
EMPLOYEE_LEVERS = (
    *RETIREMENT_AGES,
    "minimum_contribution_years",
    "retiree_contribution_rate",
    "pension_to_base",
    "employer_contribution_rate",
    "account_share_of_employer",
    "outpatient_reimbursement",
    "outpatient_outlay_share",
    "retiree_benefit_extra",
    FAMILY,
    "dependant_cost",
    "base_floor",
    "base_ceiling",
    "wage_spread",
    MOVERS,
    BIRTHS,
    *FLEXIBLE,
)
# Those by which the fund pays more of the same bills.
_OUTPATIENT = ("outpatient_reimbursement", "outpatient_outlay_share")
_SHIFTING = (*_OUTPATIENT, "retiree_benefit_extra")

TAKE_UP_LEVERS = (
    "own_premium_growth_adjustment",
    "subsidy_growth_adjustment",
    "enrolment_drive",
    "claim_at_counter",
)
ELASTICITIES = ("capacity_use_elasticity", "capacity_cost_elasticity", "capacity_elasticity_spread")
CAPACITY_LEVERS = ("rural_capacity_growth", *ELASTICITIES)
RESIDENT_LEVERS = (*TAKE_UP_LEVERS, *continuity.LEVERS, *CAPACITY_LEVERS, BIRTHS, *SHARED)


def under_policy(basis: Basis, policy: Policy) -> Basis:
    """The basis with base and outlay as the policy's levers on members and benefits move them; itself where none is."""
    moved, paid = _members_moved(basis, policy), outgo_factor(basis, policy)
    return moved if paid is None else replace(moved, outlay=moved.outlay * paid)


def care_payers(basis: Basis, policy: Policy, outgo: Array) -> CarePaid | None:
    """Who pays for the members' care in a projection; None where the law has no benefit stack.

    Parameters
    ----------
    outgo
        The fund's in the projection, ``(year, draw)``.
    """
    people, shifted = basis.members, np.zeros((1, 1))
    if people is not None and people.kind == "employees":
        small, old = _better_paid(people, policy, basis.years)
        # Members who wait pay for their care themselves.
        shifted = 1.0 - 1.0 / ((small * old)[:, None] * _flexible_covered(people, policy, basis))
    elif people is not None and _touched(policy, (*TAKE_UP_LEVERS, *continuity.LEVERS)):
        shifted = 1.0 - 1.0 / _taken_up(people, policy, basis).covered
    return care_paid(basis, policy, outgo, shifted)


def households_in_need(
    basis: Basis,
    policy: Policy,
    years: Sequence[int],
    places: Sequence[str] = ("all",),
    measures: Sequence[str] = HOUSEHOLD_MEASURES,
) -> Mapping[tuple[int, str, str], Array]:
    """Households in need after all payers, by draw: (year, place, measure) to shares of households, ``(draw,)``.

    The stack's terms move them, and of the fund's levers those that change cover: take-up and months of waiting,
    outpatient care and pensioners' bills, accounts, people who pass from one scheme to the other, and rural capacity,
    with the care itself. Who joins a residents' scheme that had not is not among the simulated; premiums are no
    payment for care.

    Raises
    ------
    ForecasterError
        When the stack of the law is none of the households' file.
    """
    covers = {int(year): cover_of_year(basis, policy, int(year - basis.years[0])) for year in years}
    return household_bands(basis, policy, years, places, covers, measures)


def cover_of_year(basis: Basis, policy: Policy, at: int) -> CoverOfYear:
    """What the fund's levers make of its members' cover in the ``at``-th year."""
    people = basis.members
    if people is None:
        return CoverOfYear()
    joining, moving = _passing(people, policy, basis.years, at)
    if people.kind != "employees":
        found = _taken_up(people, policy, basis)
        # Under the law too there are members who wait.
        under_law = covered_months(policy.reform(Reform()), basis.years, np.ones_like(found.covered))
        lost = np.maximum(0.0, 1.0 - (found.costing * found.covered * under_law)[at])
        care = _supplied(policy, basis)[at] if _touched(policy, CAPACITY_LEVERS) else np.ones(1)
        return CoverOfYear(Cover(joining=joining, moving=moving), lost, care=care)
    small, _ = _better_paid(people, policy, basis.years)
    extra, law = (p.path("retiree_benefit_extra", basis.years)[at] for p in (policy, policy.reform(Reform())))
    more_for_old = float((1.0 + extra) / (1.0 + law) - 1.0)
    cover = Cover(small=float(small[at]) - 1.0, old=more_for_old, joining=joining, moving=moving)
    return CoverOfYear(cover, _flexible_waits(people, policy, basis)[at])


def _passing(people: MemberPeople, policy: Policy, years: Array, at: int) -> tuple[float, float]:
    """Family members and movers who pass to the employees' scheme by the ``at``-th year, share of its insured."""
    if not _touched(policy, SHARED):
        return 0.0, 0.0
    found = passed(policy, int(people.years[0]), years)
    return float(found.family[at] / found.insured[at]), float(found.movers[at].sum() / found.insured[at])


def _better_paid(people: MemberPeople, policy: Policy, years: Array) -> tuple[Array, Array]:
    """By what factor the fund pays more of the same bills: outpatient care, and pensioners' bills; each ``(year,)``."""
    if not any(policy.has(name) for name in _SHIFTING) or not _touched(policy, _SHIFTING):
        return np.ones(len(years)), np.ones(len(years))
    costs = []
    for left_out in ((), _OUTPATIENT, _SHIFTING):
        kept = tuple(c for c in policy.change.changes if c.name not in left_out)
        costs.append(employee_factors(people, policy.reform(Reform(kept)), years)[1])
    return costs[0] / costs[1], costs[1] / costs[2]


def _flexible_waits(people: MemberPeople, policy: Policy, basis: Basis) -> Array:
    """Part of the members' care for which flexible workers wait, ``(year, draw)``; by heads and costs of the law."""
    law, years = policy.reform(Reform()), basis.years
    span = people.years[: len(years) + 1]
    heads = employee_heads(replace(people, years=span, persons=people.persons[: len(span)]), law_ages(law, span))
    extra = 1.0 + law.path("retiree_benefit_extra", years)
    contributors = heads.need[1:] - heads.need_retired[1:]
    part: Array = (contributors / (contributors + extra * heads.need_retired[1:]))[:, None]
    return part * flexible_wait(policy, years, basis.n_draws)


def _flexible_covered(people: MemberPeople, policy: Policy, basis: Basis) -> Array:
    """Care that the fund pays for under a policy on flexible workers' waiting against the law's, ``(year, draw)``."""
    if not _touched(policy, FLEXIBLE):
        return np.ones((1, 1))
    now, before = (_flexible_waits(people, p, basis) for p in (policy, policy.reform(Reform())))
    covered: Array = (1.0 - now) / (1.0 - before)
    return covered


def _touched(policy: Policy, names: Sequence[str]) -> bool:
    return any(change.name in names for change in policy.change.changes)


def _members_moved(basis: Basis, policy: Policy) -> Basis:
    people = basis.members
    if people is None:
        return basis
    levers = [n for n in (EMPLOYEE_LEVERS if people.kind == "employees" else RESIDENT_LEVERS) if policy.has(n)]
    for name in levers:
        policy.dated(name)  # what a projection reads is told, also where the law alone stands
    touched = tuple(c for c in policy.change.changes if c.name in levers)
    if not touched:
        return basis
    # A retiree's contribution is an addition to the base at the pool's rate, which may be a lever too.
    rates = tuple(c for c in policy.change.changes if c.name == "general_premium_rate")

    def made() -> Basis:
        if people.kind == "employees":
            paying, costing = (factor[:, None] for factor in employee_factors(people, policy, basis.years))
            costing = costing * _flexible_covered(people, policy, basis)
        else:
            paying, costing = (_unmoved_exactly(factor) for factor in _resident_factors(people, policy, basis))
        return replace(basis, general_base=basis.general_base * paying, outlay=basis.outlay * costing)

    moved: Basis = basis.kept_last("members under a policy", (policy.scheme.content_hash, touched, rates), made)
    return moved


@dataclass(frozen=True)
class _TakenUp:
    """What levers on take-up make of a residents' scheme, factors on those of the law, each ``(year, draw)``."""

    paying: Array
    costing: Array
    covered: Array


def _taken_up(people: MemberPeople, policy: Policy, basis: Basis) -> _TakenUp:
    """Income, cost of those who are members, and part of their year that is covered."""
    names = (*TAKE_UP_LEVERS, *continuity.LEVERS)
    touched = tuple(c for c in policy.change.changes if c.name in names)

    def made() -> _TakenUp:
        assert people.joining is not None  # residents have one
        years, start, law = basis.years, people.joining, policy.reform(Reform())
        own_share = policy.path(f"premium_share.{basis.categories[0]}.insured", years)
        levers = {name: policy.path(name, years) for name in TAKE_UP_LEVERS}
        stack = policy.scheme.stack if isinstance(policy.scheme, LawWithStack) else None
        benefit = float(np.mean(start.state.benefit))
        now, before = (worth_of_joining(p, years, start.share, benefit, stack) for p in (policy, law))
        paying, costing, heads = resident_factors(start, basis.n_draws, own_share, levers, now / before)
        covered = covered_months(policy, years, heads) / covered_months(law, years, np.ones_like(heads))
        return _TakenUp(paying, costing, covered)

    found: _TakenUp = basis.kept_last("take-up under a policy", (policy.scheme.content_hash, touched), made)
    return found


def _resident_factors(people: MemberPeople, policy: Policy, basis: Basis) -> tuple[Array, Array]:
    found = _taken_up(people, policy, basis)
    paying, costing = found.paying, found.costing * found.covered
    costing = costing * _supplied(policy, basis)
    before = people.persons[1 : len(basis.years) + 1].sum(axis=1)
    now = before * cohort_factors(policy.path(BIRTHS, basis.years)) if policy.has(BIRTHS) else before
    now = residents_kept(people, policy, basis.years, now)
    more_heads, more_need = (((now @ w) / (before @ w))[:, None] for w in (np.ones(len(AGES)), cost_by_age()))
    return paying * more_heads, costing * more_need


def _unmoved_exactly(factor: Array) -> Array:
    """The factor, 1 where it is that but for rounding: what no lever moves is the law's to the last bit."""
    exact: Array = np.where(np.abs(factor - 1.0) < _ROUNDING, 1.0, factor)
    return exact


def _supplied(policy: Policy, basis: Basis) -> Array:
    """Members' care under a policy on rural capacity against that of the law, ``(year, draw)``."""
    use, cost, spread = (float(policy.path(name, basis.years)[-1]) for name in ELASTICITIES)
    return supply_factor(policy.path(CAPACITY_LEVERS[0], basis.years), use, cost, spread, basis.n_draws)


def employee_factors(people: MemberPeople, policy: Policy, years: Array) -> tuple[Array, Array]:
    """What a policy makes of contribution base and outlay, as factors on those of the law, each ``(year,)``.

    Parameters
    ----------
    people
        Whom the members follow from; its first year is the one before ``years[0]``.
    years
        Projected calendar years.
    """
    law = policy.reform(Reform())
    span = people.years[: len(years) + 1]
    people = replace(people, years=span, persons=people.persons[: len(span)])
    before = employee_heads(people, law_ages(law, span))
    if policy.has(BIRTHS):
        born = np.vstack([np.ones(len(AGES)), cohort_factors(policy.path(BIRTHS, years))])
        people = replace(people, persons=people.persons * born[:, None, :])
    if policy.has(MOVERS):
        people = with_movers(people, policy.path(MOVERS, years), law_ages(law, span))
    now = employee_heads(people, law_ages(policy, span))
    late = [
        late_payers(heads.entering[1:], p.path("minimum_contribution_years", years))
        for heads, p in ((now, policy), (before, law))
    ]

    def path(name: str) -> Array:
        return policy.path(name, years)

    def pooled(p: Policy) -> Array:
        return p.path("employer_contribution_rate", years) * (1.0 - p.path("account_share_of_employer", years))

    workers, law_workers = now.workers[1:], before.workers[1:]
    rate = path("general_premium_rate")
    by_retired = path("retiree_contribution_rate") * path("pension_to_base") * now.retired[1:]
    added = np.divide(by_retired, rate, out=np.zeros_like(rate), where=rate > 0.0)
    paying = workers / law_workers * pooled(policy) / pooled(law) * _held_wages(policy, law, years)
    at_floor = path("base_floor") * late[0] - law.path("base_floor", years) * late[1]
    paying = paying + (added + at_floor) / law_workers
    extra, law_extra = path("retiree_benefit_extra"), law.path("retiree_benefit_extra", years)
    whole = before.need[1:] + law_extra * before.need_retired[1:]
    one = (before.need[1:] - before.need_retired[1:]) / law_workers
    costing = (now.need[1:] + extra * now.need_retired[1:]) / whole
    costing = costing + path("dependants_per_contributor") * path("dependant_cost") * workers * one / whole
    care = path("outpatient_reimbursement") / law.path("outpatient_reimbursement", years) - 1.0
    # Where the rate is cut away, what late payers no longer pay is none of what is left.
    return np.maximum(paying, 0.0), costing * (1.0 + path("outpatient_outlay_share") * care)


def cohort_factors(births: Array) -> Array:
    r"""People by single age against those without a change of births, ``(year, 101)``.

    A cohort born in year *c* has the factor :math:`F_c = b_c \sum_x w_x F_{c-x}`, 1 before the first year: more
    children of today have more children themselves. *w* is the density of the mother's age.

    Parameters
    ----------
    births
        Births at given mothers against the forecast's own, :math:`b`, ``(year,)``.
    """
    first, last = CHILDBEARING_AGES
    weight = np.exp(-0.5 * ((AGES - CHILDBEARING_MEAN) / CHILDBEARING_SD) ** 2) * np.isin(AGES, np.arange(first, last))
    weight = weight / weight.sum()
    born = np.ones(len(AGES) + len(births))  # the last ones are the projected years' cohorts
    for t, factor in enumerate(births):
        at = len(AGES) + t
        # Written so that no change gives exactly 1.
        born[at] = factor * (1.0 + weight @ (born[at - AGES] - 1.0))
    return np.stack([born[len(AGES) + t - AGES] for t in range(len(births))])


def _held_wages(policy: Policy, law: Policy, years: Array) -> Array:
    """Mean of wages held between floor and ceiling under a policy against the law, ``(year,)``."""
    if not policy.has("wage_spread"):  # a law kept by an earlier run, in which neither is a lever
        return np.ones(len(years))
    means = []
    for p in (policy, law):
        spread = p.path("wage_spread", years)
        low, high = (_limited_wage(p.path(name, years), spread) for name in ("base_floor", "base_ceiling"))
        means.append(p.path("base_floor", years) + high - low)
    ratio: Array = means[0] / means[1]
    return ratio


def _limited_wage(limit: Array, spread: Array) -> Array:
    """Mean of the lesser of a lognormal wage of mean 1 and a limit."""
    at = (np.log(np.maximum(limit, 1e-12)) + 0.5 * spread**2) / spread
    mean: Array = ndtr(at - spread) + limit * (1.0 - ndtr(at))
    return mean


def late_payers(entering: Array, minimum: Array) -> Array:
    r"""Pensioners who still make up years, million, ``(year,)``: :math:`L_t = \sum_{c \le t} E_c P(Y < m_c - (t - c))`.

    Parameters
    ----------
    entering
        New pensioners by year, million.
    minimum
        Years wanted of those who retire in the year.
    """
    years = np.arange(len(entering))
    since = years[:, None] - years[None, :]
    short = ndtr((minimum[None, :] - since - CAREER_MEAN) / CAREER_SD)
    late: Array = np.where(since >= 0, short, 0.0) @ entering
    return late
