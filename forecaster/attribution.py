r"""What makes a difference: between two policies lever by lever, between two years driver by driver.

Both splits sum exactly, draw by draw.

**Levers.** With *v(S)* a line of the accounts when the levers *S* stand as in the second policy and the others as in
the first, lever *i* of *n* is credited with its mean effect over all orders of introduction (its Shapley value):

.. math::
    \phi_i = \sum_{S \not\ni i} \frac{|S|!\,(n - |S| - 1)!}{n!} \bigl(v(S \cup i) - v(S)\bigr)

More than :data:`MOST_LEVERS` levers are introduced one after the other in alphabetical order instead.

**Drivers of spending.** Outgo is *people x need per head x GDP per head x excess x policy*; a product's growth from
year 0 to *t* is split by logarithmic means: driver *x* is credited with :math:`\frac{C_t - C_0}{\ln C_t - \ln C_0}
(\ln x_t - \ln x_0)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import FundProjection, project
from forecaster.errors import ForecasterError
from forecaster.outlay import guaranteed_outlay, outlay_factor
from forecaster.policy import Change, Policy, Reform

Array = np.ndarray
MOST_LEVERS = 6
LINES = ("total_income", "outgo", "reserve", "reserve_months")
# Series of the basis that a split of spending needs.
SPENDING_DRIVERS = ("population", "need_index", "gdp_nominal")


def by_lever(reform: Reform) -> dict[str, tuple[Change, ...]]:
    """Changes of a reform by lever: a parameter, or the shares of one category, which move only together."""
    found: dict[str, tuple[Change, ...]] = {}
    for change in reform.changes:
        parts = change.name.split(".")
        lever = ".".join(parts[:2]) if parts[0] == "premium_share" else change.name
        found[lever] = (*found.get(lever, ()), change)
    return found


def idle_levers(basis: Basis, law: Policy, reform: Policy) -> tuple[str, ...]:
    """Levers of a reform without which every draw's accounts, payers and value of a point would be the same.

    Nor is a lever idle that moves the least reserve which the answers are held against. Changes that the law of the
    basis has too are no levers of the reform.
    """
    given = set(law.change.changes)
    levers = {name: changes for name, changes in by_lever(reform.change).items() if not set(changes) <= given}
    if not levers:
        return ()
    whole = [*_accounts(project(basis, reform)), _least_months(reform, basis)]
    found = []
    for name, changes in levers.items():
        kept = [change for change in reform.change.changes if change not in changes or change in given]
        without = law.reform(Reform(tuple(kept)))
        if all(map(np.array_equal, whole, [*_accounts(project(basis, without)), _least_months(without, basis)])):
            found.append(name)
    return tuple(found)


def _least_months(policy: Policy, basis: Basis) -> Array:
    name = "reserve_floor_months"
    return policy.path(name, basis.years[:1]) if policy.has(name) else np.zeros(1)


def _accounts(result: FundProjection) -> list[Array]:
    points = [] if result.point_value is None else [result.point_value]
    return [result.closing, *result.by_payer().values(), result.government.paid, *points]


def same_accounts(one: FundProjection, other: FundProjection) -> bool:
    """Whether every draw's reserve, payers and value of a point are the same in two projections."""
    return all(map(np.array_equal, _accounts(one), _accounts(other)))


@dataclass(frozen=True)
class Attribution:
    """Difference of two projections by lever.

    Attributes
    ----------
    parts
        Lever to line (:data:`LINES`) to its part of second less first, ``(year, draw)``; the parts of a line sum to its
        whole difference.
    order_free
        Whether every order of introduction was weighed; if not, the levers came one after the other.
    """

    parts: dict[str, dict[str, Array]]
    order_free: bool


def attribute(basis: Basis, first: Policy, second: Policy) -> Attribution:
    """Split the difference between two policies on the same draws by lever.

    Raises
    ------
    ForecasterError
        When the two policies do not differ.
    """
    before, after = by_lever(first.change), by_lever(second.change)
    levers = tuple(name for name in sorted({*before, *after}) if before.get(name) != after.get(name))
    if not levers:
        raise ForecasterError("the two policies are the same: there is no difference to attribute")
    same = [change for name, changes in after.items() if name not in levers for change in changes]

    def lines(moved: frozenset[str]) -> Array:
        changes = [c for name in levers for c in (after if name in moved else before).get(name, ())]
        result = project(basis, first.reform(Reform((*same, *changes))))
        return np.stack([result.total_income, result.outgo, result.closing, result.reserve_months])

    none = lines(frozenset())

    def moved_by(moved: frozenset[str]) -> Array:
        # Less the first policy's own, so that years before every lever's day hold zeros and not rounding.
        return lines(moved) - none

    order_free = len(levers) <= MOST_LEVERS
    found = _shapley(levers, moved_by) if order_free else _in_turn(levers, moved_by)
    return Attribution({name: dict(zip(LINES, part, strict=True)) for name, part in found.items()}, order_free)


def _shapley(levers: tuple[str, ...], moved_by: Callable[[frozenset[str]], Array]) -> dict[str, Array]:
    n = len(levers)
    parts: dict[str, Array] = {}
    for size in range(1, n + 1):
        for moved in map(frozenset, combinations(levers, size)):
            value = moved_by(moved)
            for name in levers:
                inside = name in moved
                others = size - inside
                weight = math.factorial(others) * math.factorial(n - others - 1) / math.factorial(n)
                parts[name] = parts.get(name, 0.0) + (weight if inside else -weight) * value
    return parts


def _in_turn(levers: tuple[str, ...], moved_by: Callable[[frozenset[str]], Array]) -> dict[str, Array]:
    moved = [moved_by(frozenset(levers[: i + 1])) for i in range(len(levers))]
    return dict(zip(levers, [moved[0], *(after - before for before, after in pairwise(moved))], strict=True))


def spending_growth(basis: Basis, policy: Policy) -> dict[str, Array]:
    """Growth of outgo since the first projected year by driver, TWD bn nominal, ``(year, draw)``; summing exactly.

    Returns
    -------
    dict
        ``people`` (number of inhabitants), ``ageing`` (need per head at a fixed cost of each age), ``income`` (nominal
        GDP per head, prices in), ``excess`` (what cost per unit of need grew beyond GDP per head), ``policy`` (budget
        growth and co-payments).

    Raises
    ------
    ForecasterError
        When the basis carries no population, need and GDP.
    """
    _need_drivers(basis, SPENDING_DRIVERS)
    people, need, gdp = (np.log(basis.drivers[name]) for name in SPENDING_DRIVERS)
    by_policy = outlay_factor(basis, policy)
    factor = np.log(by_policy[:, None] * guaranteed_outlay(basis, policy, by_policy) / basis.outlay)
    outlay = np.log(basis.outlay)
    logs = {
        "people": people,
        "ageing": need - people,
        "income": gdp - people,
        "excess": outlay - need - (gdp - people),
        "policy": factor,
    }
    total = outlay + factor
    rise = total - total[0]
    outgo = np.exp(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(np.abs(rise) < 1e-12, outgo, (outgo - outgo[0]) / rise)
    return {name: mean * (log - log[0]) for name, log in logs.items()}


def frozen_population(basis: Basis) -> Basis:
    """The basis with the need of the first year's people in every year: what spending would be without their change.

    Only outlay is changed; the contribution base keeps the people it was drawn with.

    Raises
    ------
    ForecasterError
        When the basis carries no need.
    """
    _need_drivers(basis, ("need_index",))
    need = basis.drivers["need_index"]
    label = f"{basis.label}, need of the people of {basis.years[0]}"
    return replace(basis, label=label, outlay=basis.outlay * need[0] / need)


def _need_drivers(basis: Basis, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in basis.drivers]
    if missing:
        raise ForecasterError(
            f"basis {basis.label!r} carries no {', '.join(missing)}: spending can be split by driver only on a fitted "
            "basis that knows its people"
        )
