r"""What rules on joining late and on staying come to: months without cover, a higher ceiling, and what both are worth.

A share :math:`\lambda` of the members has come back after a gap, more where take-up rises; each of them waits for
benefits. With *w* the months of waiting, *v* the months for each of *g* years missed and *j* those who joined, of all
members:

.. math::
    W_t = \min\bigl(1, (w_t + v_t\,g) / 12\bigr), \qquad \text{covered person-months} = 1 - W_t\, j_t

Whoever stays gets a higher ceiling of serious-illness insurance: :math:`b_t` for each continuous year beyond *n*, and
:math:`a_t` after a year without claims, which *q* of the members have; both together up to the share *m* of the
ceiling *M*. Of those who are members in year *t*, :math:`(1 - \lambda)^k` have been so for *k* years more, none before
the rules began, *T* years ago:

.. math::
    B_t = \min\Bigl(m M,\ \sum_{k=n}^{T} b_{t-k+n} (1 - \lambda)^k + q \sum_{k=1}^{T} a_{t-k} (1 - \lambda)^k\Bigr)

Both enter what a person expects who thinks of joining. With *p* the take-up, *c* the benefit of a year, *u* what the
higher ceiling pays a member in the mean and :math:`\alpha` how much of what comes later counts:

.. math::
    \frac{c'_t}{c_t} = 1 - (1 - p)\, W_t + \alpha\,\Bigl(p\, W_t + \frac{u_t}{c_t}\Bigr)

Outsiders lose the months of waiting at once; members would lose them when they come back. Comings and goings, years
missed and :math:`\alpha` are assumed: no figure of them was found.

Flexible workers of the employees' scheme wait after a gap too. With *f* their part of the contributors,
:math:`\lambda^f` of whom come back in a year and wait :math:`w^f` months, :math:`f \lambda^f w^f / 12` of all
contributors' person-months are without benefits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from forecaster.benefits import composition, fitted_severity
from forecaster.enrolment import Joining, resident_factors
from forecaster.layers import Layer, Stack
from forecaster.policy import Change, Policy, Reform

Array = np.ndarray

WAITING = ("waiting_months_late", "waiting_months_a_year_missed", "years_missed", "lapse_share", "lapse_spread")
BONUS = ("continuity_bonus", "continuity_bonus_after", "no_claim_bonus", "bonus_limit", "lapse_share")
LEVERS = tuple(dict.fromkeys((*WAITING, *BONUS, "continuity_awareness")))
FLEXIBLE = ("waiting_months_flexible", "flexible_share", "flexible_lapse_share", "flexible_lapse_spread")
SEED = 20261122


def _path(policy: Policy, name: str, years: Array) -> Array:
    """A parameter's path, 0 before it began or where the law has none."""
    if not policy.has(name):
        return np.zeros(len(years))
    first = policy.dated(name)[0][0].year
    return np.where(years < first, 0.0, policy.path(name, np.maximum(years, first)))


def waiting_share(policy: Policy, years: Array) -> Array:
    """Part of the year that whoever joins late or after a gap goes without benefits, ``(year,)``."""
    months = _path(policy, "waiting_months_late", years)
    months = months + _path(policy, "waiting_months_a_year_missed", years) * _path(policy, "years_missed", years)
    share: Array = np.minimum(months / 12.0, 1.0)
    return share


def came_back(policy: Policy, years: Array, n_draws: int) -> Array:
    """Share of the members who have come back after a gap, ``(year, draw)``; one draw stands at the middle."""
    return _around(policy, ("lapse_share", "lapse_spread"), years, n_draws)


def _around(policy: Policy, names: tuple[str, str], years: Array, n_draws: int) -> Array:
    """A share drawn around its middle with a spread on the logarithm, ``(year, draw)``."""
    middle, spread = (_path(policy, name, years)[:, None] for name in names)
    units = np.random.default_rng(SEED).standard_normal(n_draws) if n_draws > 1 else np.zeros(1)
    share: Array = np.minimum(middle * np.exp(spread * units), 1.0)
    return share


def flexible_wait(policy: Policy, years: Array, n_draws: int) -> Array:
    """Part of all contributors' person-months that flexible workers wait after a gap, ``(year, draw)``."""
    months, flexible = (_path(policy, name, years)[:, None] for name in FLEXIBLE[:2])
    return flexible * np.minimum(months / 12.0, 1.0) * _around(policy, (FLEXIBLE[2], FLEXIBLE[3]), years, n_draws)


def covered_months(policy: Policy, years: Array, heads: Array) -> Array:
    """Person-months with benefits of all that members pay for, a share, ``(year, draw)``.

    Parameters
    ----------
    heads
        Members against those of the law, ``(year, draw)``: whoever comes in beyond those who always do waits too.
    """
    before = np.vstack([np.ones_like(heads[:1]), heads[:-1]])
    joined = came_back(policy, years, heads.shape[1]) + np.maximum(0.0, 1.0 - before / heads)
    covered: Array = 1.0 - waiting_share(policy, years)[:, None] * np.minimum(joined, 1.0)
    return covered


def mean_bonus(policy: Policy, years: Array, ceiling: Array, without_claims: float) -> Array:
    """Mean rise of the serious-illness ceiling over the members, CNY nominal, ``(year,)``.

    Parameters
    ----------
    ceiling
        The ceiling without it, CNY nominal, ``(year,)``.
    without_claims
        Share of the members whom the scheme pays nothing in a year.
    """
    if not policy.has("continuity_bonus"):
        return np.zeros(len(years))
    begun = min(policy.dated(name)[0][0].year for name in ("continuity_bonus", "no_claim_bonus"))
    span = np.arange(begun, max(int(years[-1]), begun) + 1)
    staying, idle, after, lapsed = (
        _path(policy, name, span)
        for name in ("continuity_bonus", "no_claim_bonus", "continuity_bonus_after", "lapse_share")
    )
    limit = _path(policy, "bonus_limit", years) * ceiling
    found = np.zeros(len(years))
    for i, year in enumerate(years):
        t = int(year) - begun
        if t < 0:
            continue
        before = np.arange(t + 1)  # whole years as a member before this one
        stayed = (1.0 - lapsed[t]) ** before
        long = before >= after[t]
        # The first year beyond the threshold earned its rise first: the newest of them is this year's.
        for_staying = staying[np.minimum(t - before + int(np.ceil(after[t])), t)]
        earned = (for_staying * stayed)[long].sum()
        saved = without_claims * (idle[t - before] * stayed)[1:].sum()
        found[i] = min(earned + saved, limit[i])
    return found


@lru_cache(maxsize=8)
def claim_facts(stack: Stack) -> tuple[float, float]:
    """Share of the insured whom the basic layer pays nothing, and share whose serious illness reaches the ceiling.

    Both at the spending and under the law of the severity's year, for those without other terms than everybody's.
    """
    law, severity = Policy(stack.law), fitted_severity(stack).best
    paid = composition(stack, law, severity.year)
    kinds = [layer.kind for layer in stack.layers]
    basic, serious = kinds.index("basic"), kinds.index("serious_illness")
    first = paid.first_paid(basic)
    idle = 1.0 - float(severity.people @ severity.above(first)[:, 0])
    paying = np.flatnonzero(paid.slopes[serious] > 0.0)
    end = paid.kinks[paying[-1] + 1] if paying[-1] + 1 < len(paid.kinks) else np.inf
    reached = float(severity.people @ severity.above(end)[:, 0]) if np.isfinite(end) else 0.0
    return idle, reached


def worth_of_joining(policy: Policy, years: Array, take_up: float, benefit: float, stack: Stack | None) -> Array:
    """What a person expects of a premium against the benefit of a whole covered year, a factor, ``(year,)``.

    Parameters
    ----------
    benefit
        What a person of mean cost may expect back in a whole year, CNY of the last year known.
    stack
        Layers whose ceiling rises for those who stay; None counts no such rise.
    """
    waits, aware = waiting_share(policy, years), _path(policy, "continuity_awareness", years)
    higher = np.zeros(len(years))
    layer = None if stack is None else serious_illness(stack)
    if stack is not None and layer is not None:
        idle, reached = claim_facts(stack)
        ceiling = _path(policy, f"{layer.id}.ceiling", years)
        higher = reached * mean_bonus(policy, years, ceiling, idle) / benefit
    factor: Array = 1.0 - (1.0 - take_up) * waits + aware * (take_up * waits + higher)
    return factor


def serious_illness(stack: Stack) -> Layer | None:
    """The stack's serious-illness layer, if it has one with a ceiling in plain money."""
    found = (layer for layer in stack.layers if layer.kind == "serious_illness" and "ceiling" in layer.parameters)
    return next(found, None)


def rules_told(policy: Policy, stack: Stack, start: Joining, years: Array) -> list[dict[str, float | list[float]]]:
    """What the rules come to by year, and what of members and outlay is theirs: against the same law without them.

    Bands are 10%, 50% and 90% quantiles over the draws of take-up and of comings and goings.
    """
    n = start.takeup.n_draws
    none = without_rules(policy)
    benefit = float(np.mean(start.state.benefit))
    now, before = (worth_of_joining(p, years, start.share, benefit, stack) for p in (policy, none))
    own_share = np.zeros(len(years))  # of the funding, which is not asked for here
    still = dict.fromkeys(
        ("own_premium_growth_adjustment", "subsidy_growth_adjustment", "enrolment_drive", "claim_at_counter"),
        np.zeros(len(years)),
    )
    _, costing, heads = resident_factors(start, n, own_share, still, now / before)
    covered = covered_months(policy, years, heads)
    layer = serious_illness(stack)
    ceiling = np.zeros(len(years)) if layer is None else _path(policy, f"{layer.id}.ceiling", years)
    rises = mean_bonus(policy, years, ceiling, claim_facts(stack)[0])

    def band(values: Array) -> list[float]:
        return [round(float(q), 5) for q in np.quantile(values, (0.1, 0.5, 0.9))]

    return [
        {
            "year": int(year),
            "months_of_waiting": 12.0 * float(waiting_share(policy, years)[t]),
            "covered_person_months": band(covered[t]),
            "rise_of_ceiling": round(float(rises[t]), 1),
            "worth_of_joining": round(float(now[t] / before[t]), 5),
            "members": band(heads[t]),
            "outlay": band((costing * covered)[t]),
        }
        for t, year in enumerate(years)
    ]


def without_rules(policy: Policy) -> Policy:
    """The policy without waiting months and without rises of the ceiling, for comparison."""
    names = ("waiting_months_late", "waiting_months_a_year_missed", "continuity_bonus", "no_claim_bonus")
    kept = tuple(change for change in policy.change.changes if change.name not in names)
    gone = tuple(Change(name, policy.dated(name)[0][0], 0.0) for name in names if policy.has(name))
    return policy.reform(Reform((*kept, *gone)))
