r"""What the law then requires: solving for a lever, constant or as a path, so that the reserve keeps to a goal.

Each draw's reserve moves one way with a lever. For rates and amounts of money it moves in a straight line (up to the
rounding of the tied supplementary rate and a floor that starts or stops to bind), so the value that each draw needs
follows from two projections and the answer is a quantile over draws. Every answer is checked by full projections at
itself and one step short of itself; where they do not agree with the line, the search goes on by halving. An answer is
therefore exact on its grid whatever the lever's shape, as long as the reserve moves one way with it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Change, Policy, Reform

Array = np.ndarray
RATE = "general_premium_rate"
# Grid on which an answer stands, by unit: rates in hundredths of a percent, as the law's tables are.
STEPS = {
    "share": 1e-4,
    "persons": 1e-2,
    "TWD": 100.0,
    "TWD per month": 100.0,
    "TWD bn per year": 0.1,
    "CNY": 100.0,
    "CNY per person-year": 1.0,
    "months": 0.1,
    "days": 1.0,
    "years": 0.25,
    "times": 0.1,
}
_MET = -1e-9


@dataclass(frozen=True)
class Goal:
    """A reserve that is wanted.

    Attributes
    ----------
    months
        Reserve wanted, months of the year's outgo.
    year
        Year through whose end (``throughout``) or at whose end it is wanted.
    start
        Day from which the lever is moved; the years that count begin with its year.
    probability
        Share of draws that must meet it; with a deterministic basis any value gives the same answer.
    """

    months: float
    year: int
    start: dt.date
    probability: float = 0.5
    throughout: bool = True


@dataclass(frozen=True)
class Required:
    """Answer of :func:`required_value` and :func:`required_rate`.

    Attributes
    ----------
    exact
        Value before rounding, in the lever's unit; may lie beyond the limit. Infinite when out of reach for a lever
        that the reserve does not follow in a straight line.
    rounded
        The mildest value on the lever's grid that meets the goal (a rate is rounded up to a hundredth of a percent, as
        the law's tables are); None when even the limit does not.
    limit
        The bound of the lever towards which the reserve rises, with its source in ``limit_source``.
    reached
        Share of draws that meet the goal at the rounded value (at the limit, when that is not enough), re-projected.
    lever, unit
        Name and unit of the parameter solved for.
    raises
        Whether a higher value raises the reserve; if not, the answer is the highest value that meets the goal.
    always
        Whether even the bound farthest from the limit meets the goal, so that every value does.
    """

    exact: float
    rounded: float | None
    limit: float
    limit_source: str
    reached: float
    lever: str = RATE
    unit: str = "share"
    raises: bool = True
    always: bool = False

    @property
    def words(self) -> str:
        """The answer as a reader wants it."""
        if self.rounded is not None:
            return in_unit(self.rounded, self.unit)
        if self.lever == RATE:
            return f"above the legal limit of {100 * self.limit:g}%"
        return f"out of reach: even {in_unit(self.limit, self.unit)} is not enough"


def in_unit(value: float, unit: str) -> str:
    """A value for readers: shares as percent, other units by their grid."""
    if unit == "share":
        return f"{100 * value:.2f}%"
    digits = max(0, -math.floor(math.log10(STEPS[unit]) + 1e-9))
    return f"{value:,.{digits}f} {unit}"


def with_values(policy: Policy, lever: str, values: dict[dt.date, float]) -> Policy:
    """The policy with these values of a lever; its own changes of it from the first of these days on are dropped."""
    kept = [c for c in policy.change.changes if not (c.name == lever and c.start >= min(values))]
    return policy.reform(Reform((*kept, *(Change(lever, day, value) for day, value in values.items()))))


def with_rate(policy: Policy, rate: float, start: dt.date) -> Policy:
    """The policy with this general rate from that day on; its own changes of the rate from then on are dropped."""
    return with_values(policy, RATE, {start: rate})


def required_rate(
    basis: Basis,
    policy: Policy,
    *,
    months: float,
    year: int,
    start: dt.date,
    probability: float = 0.5,
    throughout: bool = True,
) -> Required:
    """Constant general rate from ``start`` on that meets the :class:`Goal` of these figures."""
    return required_value(basis, policy, RATE, Goal(months, year, start, probability, throughout))


def required_value(basis: Basis, policy: Policy, lever: str, goal: Goal) -> Required:
    """Mildest constant value of a lever from ``goal.start`` on that meets the goal.

    Parameters
    ----------
    lever
        Any parameter with a number as value: a rate, a threshold, a ceiling, budget growth, co-payments.

    Raises
    ------
    ForecasterError
        When the parameter is a choice of words, or does not move the reserve in the years that count.
    """
    return _Search(basis, policy, lever, goal).answer()


def required_by_draw(basis: Basis, policy: Policy, lever: str, goal: Goal) -> Array:
    """Value of a lever that each draw by itself needs to meet the goal, shape ``(draw,)``, in the lever's unit.

    Each reserve is followed along a straight line through two projections, as an answer's exact value is, and the
    values may lie beyond the lever's bounds. ``goal.probability`` plays no part.

    Raises
    ------
    ForecasterError
        When the reserve does not follow the lever in a straight line, or as :func:`required_value`.
    """
    search = _Search(basis, policy, lever, goal)
    if not search.straight:
        raise ForecasterError(
            f"{lever}: the reserve does not follow it in a straight line, so that no draw's own value can be told; "
            "choose a rate or an amount of money"
        )
    return search.each_on_a_line(*search.line)


@dataclass
class _Search:
    """One question to the solver; values are held as effort, of which more always raises the reserve."""

    basis: Basis
    policy: Policy
    lever: str
    goal: Goal
    _met: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parameter = self.policy.scheme.parameter(self.lever)
        if parameter.bounds is None:
            words = ", ".join(parameter.choices)
            raise ForecasterError(f"{self.lever} is a choice of words ({words}) and cannot be solved for")
        if self.lever.startswith("premium_share."):
            raise ForecasterError(
                f"{self.lever} cannot be solved for by itself: the payers' shares of a category sum to 1; try some "
                "with --set, all three of the category together"
            )
        self.parameter, (self.low, self.high) = parameter, parameter.bounds
        self.step = STEPS[parameter.unit]
        self.cut = self.basis.until(self.goal.year)
        years = self.cut.years
        self.counted = years >= self.goal.start.year if self.goal.throughout else years == self.goal.year
        at_low, at_high = self.margin(self.low), self.margin(self.high)
        if np.array_equal(at_low, at_high):
            why = self.policy.scheme.parameter(self.lever).why_idle
            raise ForecasterError(
                f"{self.lever} does not move the reserve through {self.goal.year}: nothing in the basis "
                f"{self.basis.label!r} answers to it{f'; {why}' if why else ''}. forecaster check lists the parameters "
                "that no projection reads"
            )
        self.sign = 1.0 if at_high.mean() > at_low.mean() else -1.0
        self.limit, other = (self.high, at_low) if self.sign > 0 else (self.low, at_high)
        at_limit = at_high if self.sign > 0 else at_low
        middle = 0.5 * (self.low + self.high)
        at_middle = self.margin(middle)
        bend = np.abs(at_middle - 0.5 * (at_limit + other)).mean()
        self.straight = bool(bend <= 2e-3 * self.cut.outlay.mean())
        self.line = (middle, at_middle), (self.limit, at_limit)
        ends = sorted((self.sign * self.low, self.sign * self.high))
        self.least, self.most = math.ceil(ends[0] / self.step - 1e-9), math.floor(ends[1] / self.step + 1e-9)
        if self.value(self.most) == self.limit:
            self._met[self.most] = share_met(at_limit)

    def margin(self, value: float) -> Array:
        """Reserve less the reserve wanted in the years that count, ``(year, draw)``, TWD bn."""
        return self.margins({self.goal.start: value})

    def margins(self, values: dict[dt.date, float]) -> Array:
        """The same under several dated values."""
        result = project(self.cut, with_values(self.policy, self.lever, values))
        return (result.closing - self.goal.months * result.outgo / 12.0)[self.counted]

    def value(self, effort: int) -> float:
        """Value of the lever at so many steps of effort, zero without a sign."""
        return round(self.sign * effort * self.step, 10) + 0.0

    def reached(self, effort: int) -> float:
        """Share of draws that meet the goal there."""
        if effort not in self._met:
            self._met[effort] = share_met(self.margin(self.value(effort)))
        return self._met[effort]

    def on_a_line(self, near: tuple[float, Array], far: tuple[float, Array]) -> float:
        """Value needed in the wanted share of draws if each reserve lies on the line through two known ones."""
        return self.sign * enough_for(self.sign * self.each_on_a_line(near, far), self.goal.probability)

    def each_on_a_line(self, near: tuple[float, Array], far: tuple[float, Array]) -> Array:
        """Value that each draw needs if its reserve lies on the line through two known ones, ``(draw,)``."""
        effort = self.sign * near[0], self.sign * far[0]
        need = needed((far[1] - near[1]) / (effort[1] - effort[0]), near[1])
        return self.sign * (effort[0] + need)

    def answer(self) -> Required:
        """The least effort that is enough, searched from where the straight line points."""
        exact = self.on_a_line(*self.line)
        wanted = self.goal.probability
        guess = math.ceil(self.sign * exact / self.step - 1e-9) if math.isfinite(exact) else self.most
        guess = min(max(guess, self.least), self.most)
        enough = None
        if self.reached(self.most) >= wanted:
            enough = least(lambda effort: self.reached(effort) >= wanted, self.least, self.most, guess)
        if enough is None:
            return self._answer(exact if self.straight else math.inf * self.sign, None)
        if enough == self.least and not self.straight:
            exact = self.value(enough)
        elif abs(exact - self.value(enough)) > 2 * self.step and enough > self.least:
            here, short = self.value(enough), self.value(enough - 1)
            exact = self.on_a_line((short, self.margin(short)), (here, self.margin(here)))
        return self._answer(exact, enough)

    def _answer(self, exact: float, enough: int | None) -> Required:
        return Required(
            exact,
            None if enough is None else self.value(enough),
            self.limit,
            self.parameter.bounds_source,
            self.reached(self.most if enough is None else enough),
            self.lever,
            self.parameter.unit,
            self.sign > 0,
            enough == self.least,
        )


def share_met(margin: Array) -> float:
    """Share of draws whose reserve keeps to the goal in every year that counts."""
    return float((margin >= _MET).all(axis=0).mean())


def needed(slope: Array, margin: Array) -> Array:
    """Effort that lifts each draw's margins to zero in all years; infinite where none does; shape ``(draw,)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        need = np.where(slope > 0.0, -margin / slope, np.where(margin >= _MET, -np.inf, np.inf))
    return need.max(axis=0)


def enough_for(need: Array, probability: float) -> float:
    """Least effort that is enough for at least that share of the draws."""
    count = max(1, math.ceil(probability * len(need) - 1e-9))
    return float(np.partition(need, count - 1)[count - 1])


def least(enough: Callable[[int], bool], low: int, high: int, guess: int) -> int | None:
    """Least whole number from ``low`` to ``high`` that is enough, all above it being so; None when none is.

    Steps of doubling width away from the guess, then halving: two questions suffice when the guess is the answer.
    """
    short, width = low - 1, 1
    if enough(guess):
        found = guess
        while found - width > short:
            if not enough(found - width):
                short = found - width
                break
            found, width = found - width, 2 * width
    else:
        short, found = guess, high + 1
        while short + width < found:
            if enough(short + width):
                found = short + width
                break
            short, width = short + width, 2 * width
    while found - short > 1:
        middle = (short + found) // 2
        if enough(middle):
            found = middle
        else:
            short = middle
    return found if found <= high else None


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
    search = _Search(basis, policy, lever, goal)
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


def _responses(search: _Search, days: list[dt.date], efforts: Array) -> tuple[Array, Array, Array]:
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


def _lower(efforts: Array, slopes: Array, margin: Array, costs: Array, search: _Search) -> Array:
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
