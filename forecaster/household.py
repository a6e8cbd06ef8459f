r"""Households before and after each payer: catastrophic spending, impoverishment, care forgone, who is left behind.

A made-up population of households draws its ages, scheme, income and each member's spending; every claim is paid by the
rules themselves (:func:`forecaster.benefits.settle`). With consumption *C*, subsistence *S* and own payments *O* of a
household, capacity to pay is

.. math::
    Y = \max(C - S\,n^{0.56},\ \kappa\,C), \qquad
    S = \text{food share} \times \text{median over households of } C / n^{0.56}

(Xu et al. 2003: food an equivalent person of middling households) and spending is catastrophic when :math:`O >
0.4\,Y`. Surveys differ in whether the year's payments are within the consumption they record. Both readings are
given: ``usual`` takes *C* as a usual year's; ``recorded`` takes usual consumption without its care, a published
share *c*, and adds the year's payments, :math:`Y - c\,C + O`, which makes fewer households catastrophic. A
household is made poor when :math:`C \ge S n^{0.56}` but :math:`C - O` is not. Care is taken to be forgone when what
a household would have to pay exceeds its reach, a number *r* of years of capacity to pay; it is still counted as
catastrophic. Overshoot is the mean of :math:`\min(O, r\,Y)/Y - 0.4` over the catastrophic (usual reading): nobody
pays beyond their reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecaster.benefits import cost_path, fitted_severity, settle
from forecaster.cover import AS_IT_IS, LOST, Cover, relieved
from forecaster.errors import ForecasterError
from forecaster.household_people import STAGES, HouseholdFile, Households, first_age, homes_of, is_employees
from forecaster.layers import Stack, income_path, load_stack, stack_terms
from forecaster.policy import Policy

Array = np.ndarray
ALL = "all"
BEFORE = "before any payer"
THRESHOLD = 0.4
MEASURES = {
    "catastrophic_usual": "own payments over 40% of capacity to pay, usual consumption",
    "catastrophic_recorded": "own payments over 40% of capacity to pay, consumption with the year's payments",
    "over_10_percent": "own payments over 10% of consumption",
    "over_25_percent": "own payments over 25% of consumption",
    "overshoot": "own payments within reach over capacity to pay, less 40%: mean over the catastrophic",
    "impoverished": "pushed below subsistence by own payments",
    "forgone": "own payments beyond the household's reach: care is taken to be forgone",
}


@dataclass(frozen=True)
class HouseholdResult:
    """What the payers leave to households.

    Attributes
    ----------
    measures
        ``place``, ``stage`` (what has paid so far), ``measure``, ``value``, ``standard_error``.
    left_behind
        Households still catastrophic after all payers, by income fifth, age of the oldest and registered poverty:
        ``by``, ``group``, ``households`` (share of all), ``catastrophic`` (share of the group),
        ``of_all_catastrophic``, ``registered_poor`` (share of the catastrophic in the group), ``forgone`` (share of the
        group).
    targeting
        ``poorest_missed``: share of the poorest, as many as are registered, who are not registered;
        ``registered_not_poorest``; ``concentration``: index of catastrophic spending by income, negative when the poor
        bear more; ``burden_registered_before``: share of the catastrophic before assistance who are registered.
    """

    year: int
    n_households: int
    measures: pd.DataFrame
    left_behind: pd.DataFrame
    targeting: dict[str, float]


def household_measures(
    file: HouseholdFile,
    laws: Mapping[str, tuple[Stack, Policy]],
    year: int,
    n: int = 40000,
    seed: int = 0,
    orders: Mapping[str, Sequence[str]] | None = None,
    cost: Mapping[str, float] | None = None,
    cover: Mapping[str, Cover] | None = None,
) -> HouseholdResult:
    """Measures of the whole nation's households before and after each payer.

    Parameters
    ----------
    laws
        For each stack of the file, the stack and the policy it stands under.
    year
        Calendar year; income and consumption of the file's year grow with the stacks' income per head.
    n, seed
        Households drawn; the same seed draws the same households under every policy.
    orders
        For a stack, its layers in another order of payment.
    cost
        For a stack, spending at unchanged ages against its severity's year; its own assumed growth by default.
    cover
        For a stack, what levers of its fund make of the cover of its insured; nothing by default.

    Raises
    ------
    ForecasterError
        When a stack of the file is missing.
    """
    if missing := sorted(set(file.stacks) - set(laws)):
        raise ForecasterError(f"households/{file.id}.toml needs the stacks {', '.join(missing)} too")
    homes = homes_of(file, tuple(laws[name][0] for name in file.stacks), n, seed)
    first = next(iter(laws.values()))
    growth = _growth(first[1], file.year, year)
    mean = {name: file.places[name].income_mean * growth for name in ("urban", "rural")}
    consumption_mean = {name: file.places[name].consumption_mean * growth for name in ("urban", "rural")}
    income = homes.income * np.where(homes.urban, mean["urban"], mean["rural"])
    consumption = _consumption(file, homes, consumption_mean)
    poor = _registered(file, laws, homes, income, year)
    stages = _stages(laws, orders or {})
    left = _left(file, laws, homes, income, poor, year, stages, orders or {}, cost or {}, cover or {})

    n_homes = len(homes.size)
    own = np.array([np.bincount(homes.home, weights=row, minlength=n_homes) for row in left])
    total = consumption * homes.size
    flags, over = in_need(file, total, homes.size, own)
    places = {ALL: np.ones(n_homes, dtype=bool), "urban": homes.urban, "rural": ~homes.urban}
    rows = []
    for place, chosen in places.items():
        for s, stage in enumerate((BEFORE, *stages)):
            for measure in MEASURES:
                if measure == "overshoot":
                    values = over[s][chosen & flags["catastrophic_usual"][s]]
                else:
                    values = flags[measure][s][chosen].astype(float)
                value = float(values.mean()) if len(values) else 0.0
                error = float(values.std() / np.sqrt(len(values))) if len(values) else 0.0
                rows.append((place, stage, measure, value, error))
    measures = pd.DataFrame(rows, columns=["place", "stage", "measure", "value", "standard_error"])
    final = flags["catastrophic_usual"][-1]
    behind = _left_behind(homes, income, poor, final, flags["forgone"][-1], next(iter(laws.values()))[0])
    before_assistance = flags["catastrophic_usual"][stages.index("assistance")]
    targeting = _targeting(homes, income, poor, final, before_assistance)
    return HouseholdResult(year, n_homes, measures, behind, targeting)


def capacity_to_pay(file: HouseholdFile, total: Array, size: Array) -> tuple[Array, Array]:
    """Capacity to pay and subsistence of households, CNY nominal a year, ``(household,)`` each.

    Parameters
    ----------
    total
        Consumption of each household, all members together, CNY nominal a year.
    size
        Members.
    """
    equivalent = size ** file.figure("size_power")
    subsistence = file.figure("food_share") * np.median(total / equivalent) * equivalent
    return np.maximum(total - subsistence, file.figure("least_capacity") * total), subsistence


def in_need(file: HouseholdFile, total: Array, size: Array, own: Array) -> tuple[dict[str, Array], Array]:
    """Which households own payments leave in need, by measure, and how far payments within reach go over 40%.

    Parameters
    ----------
    total, size
        Of each household, as in :func:`capacity_to_pay`.
    own
        Own payments of each household, CNY nominal a year, ``(stage, household)``.

    Returns
    -------
    tuple
        Measures of :data:`MEASURES` but the overshoot, and that of every household, ``(stage, household)`` each.
    """
    capacity, subsistence = capacity_to_pay(file, total, size)
    # A household that records less than its usual care still has some capacity.
    recorded = np.maximum(capacity + own - file.figure("care_share") * total, 1e-9 * total)
    flags = {
        "catastrophic_usual": own > THRESHOLD * capacity,
        "catastrophic_recorded": own > THRESHOLD * recorded,
        "over_10_percent": own > 0.10 * total,
        "over_25_percent": own > 0.25 * total,
        "impoverished": (total >= subsistence) & (total - own < subsistence),
        "forgone": own > file.figure("reach") * capacity,
    }
    return flags, np.minimum(own / capacity, file.figure("reach")) - THRESHOLD


def _growth(law: Policy, from_year: int, to_year: int) -> float:
    # The stacks' path gives the year before each year.
    path = income_path(law, np.array([from_year + 1, to_year + 1]))[:, 0]
    return float(path[1] / path[0])


def _consumption(file: HouseholdFile, homes: Households, mean: Mapping[str, float]) -> Array:
    """Consumption per head of each household; its mean in each place is the published one, grown."""
    shape = homes.income ** file.figure("consumption_elasticity")
    result = np.empty_like(shape)
    for chosen, name in ((homes.urban, "urban"), (~homes.urban, "rural")):
        result[chosen] = shape[chosen] * mean[name] / np.average(shape[chosen], weights=homes.size[chosen])
    return result


def _registered(
    file: HouseholdFile, laws: Mapping[str, tuple[Stack, Policy]], homes: Households, income: Array, year: int
) -> Array:
    """Households on the registers of the poor: the lowest incomes as the registers see them, as many as stacks have."""
    seen = np.log(income) + file.figure("targeting_noise") * homes.seen
    people = sum(
        file.stacks[name] * laws[name][1].path(f"share.{laws[name][0].groups[0]}", np.array([year]))[0]
        for name in file.stacks
    )
    share = people / sum(file.stacks.values())
    order = np.argsort(seen)
    covered = np.cumsum(homes.size[order]) / homes.size.sum()
    poor = np.zeros(len(income), dtype=bool)
    poor[order[covered <= share]] = True
    return poor


def _stages(laws: Mapping[str, tuple[Stack, Policy]], orders: Mapping[str, Sequence[str]]) -> list[str]:
    """Kinds of layer as they pay; a stack in another order moves its own kinds among the places they hold."""
    stages: list[str] = list(STAGES)
    for name, order in orders.items():
        kinds = [layer.kind for layer in laws[name][0].ordered(order)]
        for place, kind in zip(sorted(STAGES.index(kind) for kind in kinds), kinds, strict=True):
            stages[place] = kind
    return stages


def _left(
    file: HouseholdFile,
    laws: Mapping[str, tuple[Stack, Policy]],
    homes: Households,
    income: Array,
    poor: Array,
    year: int,
    stages: list[str],
    orders: Mapping[str, Sequence[str]],
    costs: Mapping[str, float],
    covers: Mapping[str, Cover],
) -> Array:
    """What each member still has to pay after each stage, ``(stage + 1, member)``."""
    left = np.empty((len(STAGES) + 1, len(homes.home)))
    claims = _claims(file, laws, homes, income, year, costs)
    employees = homes.employee | _passing(homes, covers, next(iter(laws.values()))[0])
    is_poor = poor[homes.home]
    for stack, law in laws.values():
        order, cover = orders.get(stack.id), covers.get(stack.id, AS_IT_IS)
        kinds = [layer.kind for layer in stack.ordered(order)]
        of_stack = employees == is_employees(stack)
        parts = []
        for group, in_group in ((stack.groups[0], is_poor), (stack.groups[-1], ~is_poor)):
            terms = stack_terms(stack, law, np.array([year]), group, order=order)
            members = np.flatnonzero(of_stack & in_group)
            draws = homes.draw[[STAGES.index(kind) for kind in kinds]][:, members]
            covered = draws < terms.coverage[:, :1]
            if cover.lost > 0.0 and group != stack.groups[0]:
                gone = homes.chance[0, members] < cover.lost / max(1.0 - is_poor[of_stack].mean(), 1e-9)
                covered &= ~(np.isin(kinds, LOST)[:, None] & gone)
            parts.append((terms, members, covered))
        for terms, members, covered in relieved(parts, kinds, cover, claims, homes.band >= _first_old(stack)):
            # Relief of small bills stands as one more layer, before the basic one and of its kind.
            own = kinds if len(terms.base) == len(kinds) else ["basic", *kinds]
            paid = settle(terms, claims[members], covered=covered)
            by_stage = np.zeros((len(stages) + 1, len(members)))
            by_stage[0] = claims[members]
            for i, kind in enumerate(own):
                by_stage[stages.index(kind) + 1] -= paid[i]
            left[:, members] = np.cumsum(by_stage, axis=0)
    return np.maximum(left, 0.0)


def _claims(
    file: HouseholdFile,
    laws: Mapping[str, tuple[Stack, Policy]],
    homes: Households,
    income: Array,
    year: int,
    costs: Mapping[str, float],
) -> Array:
    """Each member's spending of the year, by the severity of the scheme that it comes from, ``(member,)``."""
    claims = np.empty(len(homes.home))
    of_income = (income ** file.figure("spending_elasticity"))[homes.home]
    for stack, law in laws.values():
        members = np.flatnonzero(homes.employee == is_employees(stack))
        severity = fitted_severity(stack).best
        cost = costs.get(stack.id)
        cost = cost_path(stack, law, np.array([year]), severity.year)[0, 0] if cost is None else cost
        factor = of_income[members] / of_income[members].mean()
        claims[members] = severity.quantile(homes.rank[members], homes.band[members]) * factor * cost
    return claims


def _passing(homes: Households, covers: Mapping[str, Cover], stack: Stack) -> Array:
    """Members who pass to the employees' scheme: with someone of their household, or as movers, ``(member,)``."""
    insured = homes.employee.sum()
    family, movers = (sum(getattr(cover, name) for cover in covers.values()) for name in ("joining", "moving"))
    able = np.bincount(homes.home, weights=homes.employee, minlength=len(homes.size))[homes.home] > 0.0
    able &= ~homes.employee
    joins: Array = able & (homes.chance[1] * max(able.sum(), 1) < family * insured)
    first_ages = np.array([first_age(label) for label in fitted_severity(stack).best.bands])
    able = ~homes.employee & ~joins & ((first_ages >= 15) & (first_ages < 60))[homes.band]
    return joins | (able & ((1.0 - homes.chance[1]) * max(able.sum(), 1) < movers * insured))


def _first_old(stack: Stack) -> int:
    """First age band of people of 60 and over."""
    return next(i for i, label in enumerate(fitted_severity(stack).best.bands) if first_age(label) >= 60)


def _left_behind(
    homes: Households, income: Array, poor: Array, final: Array, forgone: Array, stack: Stack
) -> pd.DataFrame:
    order = np.argsort(np.argsort(income)) / len(income)
    oldest = np.zeros(len(income), dtype=int)
    np.maximum.at(oldest, homes.home, homes.band)
    labels = fitted_severity(stack).best.bands
    cuts: list[tuple[str, str, Array]] = [
        ("income fifth", f"{i + 1}", (order >= i / 5) & (order < (i + 1) / 5)) for i in range(5)
    ]
    cuts += [("oldest member", label, oldest == i) for i, label in enumerate(labels)]
    cuts += [("registered poor", "yes", poor), ("registered poor", "no", ~poor)]
    rows = []
    for by, group, chosen in cuts:
        if not chosen.any():
            continue
        hit = chosen & final
        rows.append(
            {
                "by": by,
                "group": group,
                "households": chosen.mean(),
                "catastrophic": final[chosen].mean(),
                "of_all_catastrophic": hit.sum() / max(final.sum(), 1),
                "registered_poor": poor[hit].mean() if hit.any() else 0.0,
                "forgone": forgone[chosen].mean(),
            }
        )
    return pd.DataFrame(rows)


def _targeting(homes: Households, income: Array, poor: Array, final: Array, before: Array) -> dict[str, float]:
    n_poor = int(poor.sum())
    poorest = np.zeros(len(income), dtype=bool)
    poorest[np.argsort(income)[:n_poor]] = True
    rank = (np.argsort(np.argsort(income)) + 0.5) / len(income)
    mean = final.mean()
    concentration = 2.0 * np.cov(final.astype(float), rank)[0, 1] / mean if mean > 0.0 else 0.0
    return {
        "poorest_missed": float((poorest & ~poor).sum() / max(n_poor, 1)),
        "registered_not_poorest": float((poor & ~poorest).sum() / max(n_poor, 1)),
        "concentration": float(concentration),
        "burden_registered_before": float((before & poor).sum() / max(before.sum(), 1)),
    }


def shipped_laws(file: HouseholdFile, changed: Mapping[str, tuple[Stack, Policy]]) -> dict[str, tuple[Stack, Policy]]:
    """The stacks of a household file under their own law, some of them replaced."""
    result = {}
    for name in file.stacks:
        stack = changed[name][0] if name in changed else load_stack(name)
        result[name] = changed.get(name, (stack, Policy(stack.law)))
    return result
