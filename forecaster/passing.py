r"""People who pass from the residents' to the employees' scheme by levers that stand in both laws.

Movers to towns, and family members who join with a contributor, come to the one pool and leave the other. With
:math:`\Delta` the movers insured as employees by age, *P* the people outside the employees' scheme, *d* family members
per contributor and *W* the contributors, the residents' scheme keeps, of its members and of their cost *c*,

.. math::
    \frac{\sum_x c_x (P_x - \Delta_x)}{\sum_x c_x P_x}\,\Bigl(1 - \frac{d\,W}{N}\Bigr)

at the take-up that it has (*c* = 1 for heads); those who pass as family are taken to cost what its *N* members cost in
the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecaster.errors import ForecasterError
from forecaster.members import (
    AGES,
    FIRST_WORKING_AGE,
    MemberPeople,
    employee_heads,
    law_ages,
    members_ahead,
    retired_shares,
)
from forecaster.policy import Policy
from forecaster.pools import find_pool

Array = np.ndarray

EMPLOYEES, RESIDENTS = "cn_uebmi", "cn_urrbmi"
MOVERS, FAMILY = "movers_to_towns", "dependants_per_contributor"
SHARED = (MOVERS, FAMILY)
# Ages at which people move to towns, evenly: assumed.
MOVING_AGES = (20, 40)


def moved_in(people: MemberPeople, share: Array, ages: Array) -> Array:
    """People of the country who stand for movers to towns who join, million by sex and age, ``(year + 1, 2, 101)``.

    A mover is a contributor like others of the age; they grow old, die and retire as all do, both sexes alike.

    Parameters
    ----------
    share
        Movers a year, share of the contributors of the first year, ``(year,)``.
    ages
        Retirement ages by year end, as :func:`forecaster.members.employee_heads` takes them.
    """
    first, last = MOVING_AGES
    arriving = np.isin(AGES, np.arange(first, last)) / (2.0 * (last - first))
    # As many people of the country as contributors stand for: of them a part contributes, of movers all do.
    working = (people.persons[0] * (1.0 - retired_shares(ages[:1])[0]))[:, AGES >= FIRST_WORKING_AGE].sum()
    found = np.zeros_like(people.persons)
    for t in range(1, len(found)):
        before, now = people.persons[t - 1][:, :-1], people.persons[t][:, 1:]
        staying = np.minimum(np.divide(now, before, out=np.ones_like(now), where=before > 0.0), 1.0)
        found[t, :, 1:] = found[t - 1, :, :-1] * staying
        found[t] += share[t - 1] * working * arriving
    return found


def with_movers(people: MemberPeople, share: Array, ages: Array) -> MemberPeople:
    """People of an employees' scheme with the movers among them; the same object where none move.

    Raises
    ------
    ForecasterError
        When more people of an age would have left than there are.
    """
    if not share.any():
        return people
    moved = replace(people, persons=people.persons + moved_in(people, share, ages))
    gone = (moved.persons < 0.0).any(axis=(1, 2))
    if gone.any():
        raise ForecasterError(
            f"{MOVERS}: by {people.years[gone.argmax()]} more people of an age would have left than there are; allowed "
            "is a smaller outflow or an earlier horizon"
        )
    return moved


@dataclass(frozen=True)
class Passed:
    """Who passes between the schemes, against their laws.

    Attributes
    ----------
    movers
        Members of the employees' scheme more than without movers, million by single age, ``(year, 101)``.
    family
        Family members who join there, million, ``(year,)``.
    insured
        Members of the employees' scheme under its law, million, ``(year,)``.
    """

    movers: Array
    family: Array
    insured: Array


def passed(policy: Policy, first: int, years: Array) -> Passed:
    """Who passes to the employees' scheme under a policy of either pool, whose law has the levers.

    Parameters
    ----------
    first
        Year end of the last counts.
    years
        Projected calendar years.
    """
    pool = find_pool(EMPLOYEES)
    people = members_ahead(pool, first, int(years[-1]))
    assert people is not None  # the shipped file counts its members
    ages = law_ages(Policy(pool.law), people.years)
    usual = employee_heads(people, ages)
    moved = with_movers(people, _path(policy, MOVERS, years), ages)
    heads = usual if moved is people else employee_heads(moved, ages)
    return Passed(
        movers=(heads.by_age - usual.by_age)[1:].sum(axis=1),
        family=_path(policy, FAMILY, years) * heads.workers[1:],
        insured=usual.by_age[1:].sum(axis=(1, 2)),
    )


def _path(policy: Policy, name: str, years: Array) -> Array:
    """A lever's path; nothing under a law kept by an earlier run, in which it is none."""
    return policy.path(name, years) if policy.has(name) else np.zeros(len(years))


def residents_kept(people: MemberPeople, policy: Policy, years: Array, before: Array) -> Array:
    """People outside the employees' scheme who stay outside it, by single age, million, ``(year, 101)``.

    Parameters
    ----------
    people
        Of the residents' scheme.
    before
        The same people without the levers.

    Raises
    ------
    ForecasterError
        When more would pass than there are.
    """
    moving = [name for name in SHARED if _path(policy, name, years).any()]
    if not moving:
        return before
    found = passed(policy, int(people.years[0]), years)
    kept = before - found.movers
    members = people.workers / people.persons[0].sum() * kept.sum(axis=1)
    staying = 1.0 - found.family / members
    lacking = (kept < 0.0).any(axis=1) | (staying <= 0.0)
    if lacking.any():
        raise ForecasterError(
            f"{', '.join(moving)}: by {years[lacking.argmax()]} more people would have passed to the employees' scheme "
            "than residents there are; allowed is less of it, or an earlier horizon"
        )
    return kept * staying[:, None]


def other_pool_told(policy: Policy) -> list[str]:
    """What a projection of one pool alone leaves out: the other pool, which the same levers move; one line each."""
    if policy.scheme.pool not in (EMPLOYEES, RESIDENTS):
        return []
    other = RESIDENTS if policy.scheme.pool == EMPLOYEES else EMPLOYEES
    moved = ("come from", "residents") if other == RESIDENTS else ("go to", "employees")
    return [
        f"{name} moves this fund's own members; they {moved[0]} the {moved[1]}' scheme, which is not projected here. "
        f"The same lever stands in its law (forecaster project {other}); both funds together: forecaster transplant "
        f"merge --from {RESIDENTS} --to {EMPLOYEES}, with the same --set"
        for name in SHARED
        if any(change.name == name for change in policy.change.changes)
    ]
