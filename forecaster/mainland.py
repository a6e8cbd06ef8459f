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
from forecaster.members import RETIREMENT_AGES, MemberPeople, employee_heads, law_ages
from forecaster.policy import Policy, Reform
from forecaster.supply import supply_factor

Array = np.ndarray

# Years of contributing at retirement, normal: assumed, no table of careers was found.
CAREER_MEAN, CAREER_SD = 27.0, 8.0
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
)


TAKE_UP_LEVERS = (
    "own_premium_growth_adjustment",
    "subsidy_growth_adjustment",
    "enrolment_drive",
    "claim_at_counter",
)
ELASTICITIES = ("capacity_use_elasticity", "capacity_cost_elasticity", "capacity_elasticity_spread")
RESIDENT_LEVERS = (*TAKE_UP_LEVERS, "rural_capacity_growth", *ELASTICITIES)


def under_policy(basis: Basis, policy: Policy) -> Basis:
    """The basis with base and outlay as the policy's levers on members move them; itself where none is touched."""
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
    return paying, costing * supply_factor(growth, use, cost, spread, basis.n_draws)


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
    now, before = (employee_heads(people, law_ages(p, span)) for p in (policy, law))
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
