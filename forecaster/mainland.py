r"""Levers of the mainland's schemes that move who pays and who costs, laid over a basis draw by draw.

A basis stands under its law. Under a policy, with contributors *W*, pensioners *R*, late payers *L* (pensioners who
still make up years) and members weighted by the cost of their age *N* (of pensioners :math:`N^R`), all by
:mod:`forecaster.members`, primes for the policy:

.. math::
    \frac{B'}{B} &= \frac{W'}{W}\,\frac{e'(1-a')}{e(1-a)} + \frac{p' \kappa R' / r' + f (L' - L)}{W} \\
    \frac{C'}{C} &= \left(\frac{N' + s N'^R}{N + s N^R} + \frac{d' k W' n}{N + s N^R}\right)
        \left(1 + o\,\Bigl(\frac{\omega'}{\omega} - 1\Bigr)\right)

*e* the employers' rate, *a* the part of it that goes to personal accounts, *p* the pensioners' rate on pensions of
:math:`\kappa` mean bases, *r* the pool's rate, *f* the base floor, *s* by how much more the pool pays of a pensioner's
bill, *d* family members per contributor at the cost *k* of one (*n*), *o* the part of outlay that goes to outpatient
care, :math:`\omega` its reimbursement. Levers on a residents' scheme go through take-up (:mod:`forecaster.enrolment`)
and capacity (:mod:`forecaster.supply`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from forecaster.basis import Basis
from forecaster.enrolment import resident_factors
from forecaster.fund_stack import CarePaid, care_paid, outgo_factor
from forecaster.members import AGES, RETIREMENT_AGES, MemberPeople, cost_by_age, employee_heads, law_ages
from forecaster.policy import Policy, Reform
from forecaster.supply import supply_factor

Array = np.ndarray

# Years of contributing at retirement, normal: assumed, no table of careers was found.
CAREER_MEAN, CAREER_SD = 27.0, 8.0
# Age of mothers, normal within these ages: assumed, and asked for only by the children of more or fewer births.
CHILDBEARING_MEAN, CHILDBEARING_SD, CHILDBEARING_AGES = 29.0, 5.0, (15, 50)
BIRTHS = "births_factor"
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
    "dependants_per_contributor",
    "dependant_cost",
    "base_floor",
    BIRTHS,
)
# Those by which the fund pays more of the same bills.
_SHIFTING = ("outpatient_reimbursement", "outpatient_outlay_share", "retiree_benefit_extra")


TAKE_UP_LEVERS = (
    "own_premium_growth_adjustment",
    "subsidy_growth_adjustment",
    "enrolment_drive",
    "claim_at_counter",
)
ELASTICITIES = ("capacity_use_elasticity", "capacity_cost_elasticity", "capacity_elasticity_spread")
RESIDENT_LEVERS = (*TAKE_UP_LEVERS, "rural_capacity_growth", *ELASTICITIES, BIRTHS)


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
    if people is not None and people.kind == "employees" and any(policy.has(name) for name in _SHIFTING):
        others = tuple(c for c in policy.change.changes if c.name not in _SHIFTING)
        whole, of_care = (employee_factors(people, p, basis.years)[1] for p in (policy, policy.reform(Reform(others))))
        shifted = 1.0 - (of_care / whole)[:, None]
    return care_paid(basis, policy, outgo, shifted)


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
        else:
            paying, costing = _resident_factors(people, policy, basis)
        return replace(basis, general_base=basis.general_base * paying, outlay=basis.outlay * costing)

    moved: Basis = basis.kept_last("members under a policy", (policy.scheme.content_hash, touched, rates), made)
    return moved


def _resident_factors(people: MemberPeople, policy: Policy, basis: Basis) -> tuple[Array, Array]:
    assert people.joining is not None  # residents have one
    own_share = policy.path(f"premium_share.{basis.categories[0]}.insured", basis.years)
    levers = {name: policy.path(name, basis.years) for name in TAKE_UP_LEVERS}
    paying, costing = resident_factors(people.joining, basis.n_draws, own_share, levers)
    use, cost, spread = (float(policy.path(name, basis.years)[-1]) for name in ELASTICITIES)
    growth = policy.path("rural_capacity_growth", basis.years)
    costing = costing * supply_factor(growth, use, cost, spread, basis.n_draws)
    if not policy.has(BIRTHS):
        return paying, costing
    before = people.persons[1 : len(basis.years) + 1].sum(axis=1)
    now = before * cohort_factors(policy.path(BIRTHS, basis.years))
    more_heads, more_need = (((now @ w) / (before @ w))[:, None] for w in (np.ones(len(AGES)), cost_by_age()))
    return paying * more_heads, costing * more_need


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
    paying = workers / law_workers * pooled(policy) / pooled(law)
    paying = paying + (added + path("base_floor") * (late[0] - late[1])) / law_workers
    extra, law_extra = path("retiree_benefit_extra"), law.path("retiree_benefit_extra", years)
    whole = before.need[1:] + law_extra * before.need_retired[1:]
    one = (before.need[1:] - before.need_retired[1:]) / law_workers
    costing = (now.need[1:] + extra * now.need_retired[1:]) / whole
    costing = costing + path("dependants_per_contributor") * path("dependant_cost") * workers * one / whole
    care = path("outpatient_reimbursement") / law.path("outpatient_reimbursement", years) - 1.0
    return paying, costing * (1.0 + path("outpatient_outlay_share") * care)


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
