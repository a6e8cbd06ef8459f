"""Paths of a lever, changed from time to time, that keep the reserve to a goal at the least total payment."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Policy
from forecaster.solve import Goal, Required, Search, enough_for, needed, share_met, with_values

Array = np.ndarray


@dataclass(frozen=True)
class Path:
    """Answer of :func:`required_path`.

    Attributes
    ----------
    values
        Day to value of the lever from then on; None when even the limit held throughout does not meet the goal.
    reached
        Share of draws that meet the goal under the path, re-projected.
    payment, constant_payment
        What the path and the best constant value bring in beyond the mildest bound of the lever, mean over draws, as a
        sum of yearly shares of the contribution base.
    constant
        The best constant value.
    """

    values: dict[dt.date, float] | None
    reached: float
    payment: float
    constant_payment: float
    constant: Required


def required_path(basis: Basis, policy: Policy, lever: str, goal: Goal, *, every: int) -> Path:
    r"""Path of a lever, changed at most once in ``every`` years, that meets the goal at the least total payment.

    The lever may change on ``goal.start`` and on every ``every``-th anniversary of it. The payment of a path with
    values :math:`v_j` is

    .. math::
        \sum_t \frac{\overline{P_t(v)} - \overline{P_t(v^0)}}{\bar B_t}

    with *P* the year's income without yield less outgo, *B* the contribution base, the bar a mean over draws and
    :math:`v^0` the lever's mildest bound: yearly payments as shares of what people then earn. (Counted at their present
    value at the reserve's own yield all paths that end with the same reserve cost the same.)

    Starting from the best constant value, each value in turn is moved by ever smaller steps and the others set to the
    least that the goal then allows, as long as the payment falls; reserves are followed along straight lines through
    full projections. The result is re-projected, and moved back towards the limit where the lines were too hopeful. It
    is a local search: a slightly cheaper path may exist.

    Raises
    ------
    ForecasterError
        As :func:`required_value`, and when ``every`` is less than a year.
    """
    if every < 1:
        raise ForecasterError(f"every {every} years: allowed is a whole number of years from 1 on")
    search = Search(basis, policy, lever, goal)
    constant = search.answer()
    if constant.rounded is None:
        return Path(None, constant.reached, math.nan, math.nan, constant)
    days = [_anniversary(goal.start, n) for n in range(0, goal.year - goal.start.year + 1, every)]
    efforts = np.full(len(days), round(search.sign * constant.rounded / search.step))
    slopes, margin, costs = _responses(search, days, efforts)
    lowered = _lower(efforts.copy(), slopes, margin, costs, search)

    def values(found: Array) -> dict[dt.date, float]:
        return {day: search.value(int(effort)) for day, effort in zip(days, found, strict=True)}

    while (reached := share_met(search.margins(values(lowered)))) < goal.probability:
        lowered = np.minimum(lowered + 1, search.most)
    paid, paid_constant = (float(costs @ (found - search.least)) for found in (lowered, efforts))
    if paid >= paid_constant:
        lowered, paid, reached = efforts, paid_constant, constant.reached
    return Path(values(lowered), reached, paid, paid_constant, constant)


def _anniversary(day: dt.date, years: int) -> dt.date:
    return dt.date(day.year + years, day.month, min(day.day, 28) if day.month == 2 else day.day)


def _responses(search: Search, days: list[dt.date], efforts: Array) -> tuple[Array, Array, Array]:
    """What one step of effort on each day does: slopes ``(day, year, draw)``, margin at the start, payment by day."""
    goal, cut = search.goal, search.cut
    away = 100 if efforts[0] + 100 <= search.most else -min(100, int(efforts[0] - search.least))

    def run(moved: int | None) -> tuple[Array, Array]:
        found = efforts + [away * (moved == j) for j in range(len(days))]
        values = {day: search.value(int(effort)) for day, effort in zip(days, found, strict=True)}
        result = project(cut, with_values(search.policy, search.lever, values))
        paid = result.total_income - result.income["investment_income"] - result.outgo
        margin = (result.closing - goal.months * result.outgo / 12.0)[search.counted]
        return margin, paid.mean(axis=1) / cut.general_base.mean(axis=1)

    margin, paid = run(None)
    if away == 0:
        return np.zeros((len(days), *margin.shape)), margin, np.zeros(len(days))
    moved = [run(j) for j in range(len(days))]
    slopes = np.stack([(found - margin) / away for found, _ in moved])
    return slopes, margin, np.array([(cost - paid).sum() / away for _, cost in moved])


def _lower(efforts: Array, slopes: Array, margin: Array, costs: Array, search: Search) -> Array:
    """Efforts that cost less while the margins on the line still meet the goal.

    Each value in turn is moved by ever smaller steps, either way; the others, first to last or last to first, are then
    set to the least that the goal allows.
    """
    wanted, count = search.goal.probability, len(efforts)

    def settled(found: Array, margin: Array, order: list[int]) -> tuple[Array, Array]:
        for j in order:
            need = enough_for(needed(slopes[j], margin), wanted)
            more = math.ceil(min(max(need - 1e-9, search.least - found[j]), search.most - found[j]))
            found = found + more * (np.arange(count) == j)
            margin = margin + more * slopes[j]
        return found, margin

    efforts, margin = settled(efforts, margin, list(range(count)))
    size = max(1, int(search.most - search.least) // 4)
    while size:
        moved = False
        for i in range(count):
            others = [j for j in range(count) if j != i]
            for step, order in itertools.product((-size, size), (others, others[::-1])):
                if not search.least <= efforts[i] + step <= search.most:
                    continue
                start = efforts + step * (np.arange(count) == i)
                found, left = settled(start, margin + step * slopes[i], order)
                if costs @ found < costs @ efforts - 1e-12 and share_met(left) >= wanted:
                    efforts, margin, moved = found, left, True
        if not moved:
            size //= 2
    return efforts
