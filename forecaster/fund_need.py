"""Households in need after all payers of a fund's members, draw by draw: the household end of a projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.cover import AS_IT_IS, Cover
from forecaster.errors import ForecasterError
from forecaster.fund_stack import in_terms, stack_at_law
from forecaster.household import household_measures, shipped_laws
from forecaster.household_people import read_households
from forecaster.policy import Policy

Array = np.ndarray
# Cost scales at which households are simulated; between them incidence is read off straight in the scale's logarithm.
_KNOTS, HOUSEHOLDS = 4, 8_000
HOUSEHOLD_MEASURES = ("catastrophic_usual", "impoverished", "forgone")


@dataclass(frozen=True)
class CoverOfYear:
    """What a fund's levers and rules make of its members' cover in a year.

    Attributes
    ----------
    cover
        The same in every draw.
    lost
        Claims without cover, see :class:`forecaster.cover.Cover`, ``(draw,)`` or one for all.
    every
        What the basic layer pays more of everybody's bill, as a share of what it pays, ``(draw,)`` or one for all.
    care
        The members' care against that of the law, a factor, ``(draw,)`` or one for all.
    """

    cover: Cover = AS_IT_IS
    lost: Array = field(default_factory=lambda: np.zeros(1))
    every: Array = field(default_factory=lambda: np.zeros(1))
    care: Array = field(default_factory=lambda: np.ones(1))


def household_bands(
    basis: Basis,
    policy: Policy,
    years: Sequence[int],
    places: Sequence[str] = ("all",),
    covers: Mapping[int, CoverOfYear] | None = None,
    measures: Sequence[str] = HOUSEHOLD_MEASURES,
) -> Mapping[tuple[int, str, str], Array]:
    """Households in need after all payers, by draw: (year, place, measure) to shares of households, ``(draw,)``.

    The nation's households are simulated at a few cost scales of the stack's insured; those of other stacks follow
    their own assumed growth. Incomes follow the stack's assumption in every draw.

    Parameters
    ----------
    covers
        By year what levers and rules make of cover beside the layers' terms; nothing by default, see
        :func:`forecaster.mainland.households_in_need`.
    measures
        Of :data:`forecaster.household.MEASURES`.

    Raises
    ------
    ForecasterError
        When the stack is none of the households' file.
    """
    stack = policy.scheme.stack  # type: ignore[attr-defined]  # asked for under a law with a stack only
    file = read_households()
    if stack.id not in file.stacks:
        raise ForecasterError(f"households/{file.id}.toml does not know the stack {stack.id}")
    cost = stack_at_law(basis, policy, stack).cost
    assert basis.members is not None  # those of the law were told
    laws = shipped_laws(file, {stack.id: (stack, in_terms(policy, stack, basis.years, basis.members))})
    found: dict[tuple[int, str, str], Array] = {}
    for year in years:
        of_year = (covers or {}).get(int(year), CoverOfYear())
        log_cost = np.log(cost[int(year - basis.years[0])] * of_year.care)
        axes = _axes(log_cost, of_year)
        tables = {
            at: household_measures(
                file, laws, int(year), HOUSEHOLDS, cost={stack.id: float(np.exp(at[0]))},
                cover={stack.id: replace(of_year.cover, lost=at[1], every=at[2])},
            ).measures
            for at in product(*(knots for _, knots in axes))
        }  # fmt: skip
        last = next(iter(tables.values()))["stage"].iloc[-1]
        for place, measure in product(places, measures):
            values = [_value(table, place, last, measure) for table in tables.values()]
            grid = np.array(values).reshape([len(knots) for _, knots in axes])
            found[int(year), place, measure] = _read_off(grid, axes, basis.n_draws)
    return found


def _axes(log_cost: Array, of_year: CoverOfYear) -> list[tuple[Array, Array]]:
    """Where every draw stands on cost, cover lost and rates raised, and the knots at which households are simulated."""
    lost, every = of_year.lost, of_year.every
    if np.any(every):
        # Both together would take long, and what is lost under the law differs little from draw to draw.
        lost = np.median(lost, keepdims=True)
        of_lost, of_every = lost, np.unique(np.append(np.quantile(every, (0.0, 0.5, 1.0)), 0.0))
    else:
        # What is lost moves the shares of households straight, so that without and with the most of it are enough.
        of_lost, of_every = np.unique([0.0, lost.max()]), np.zeros(1)
    of_cost = np.unique(np.quantile(log_cost, np.linspace(0.0, 1.0, _KNOTS)))
    return [(log_cost, of_cost), (lost, of_lost), (every, of_every)]


def _read_off(grid: Array, axes: Sequence[tuple[Array, Array]], n_draws: int) -> Array:
    """Value of every draw, straight between the knots of each axis, ``(draw,)``."""
    found = np.zeros(n_draws)
    weights = [_weights(np.broadcast_to(at, n_draws), knots) for at, knots in axes]
    for place in np.ndindex(*grid.shape):
        weight = np.prod([of_axis[k] for of_axis, k in zip(weights, place, strict=True)], axis=0)
        found += weight * grid[place]
    return found


def _weights(at: Array, knots: Array) -> Array:
    """Weight of each knot for each draw, ``(knot, draw)``; they sum to one."""
    return np.stack([np.interp(at, knots, row) for row in np.eye(len(knots))])


def _value(table: pd.DataFrame, place: str, stage: str, measure: str) -> float:
    rows = table[(table["place"] == place) & (table["stage"] == stage) & (table["measure"] == measure)]
    return float(rows["value"].iloc[0])
