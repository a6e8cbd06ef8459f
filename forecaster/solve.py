r"""What the law then requires: solving for a lever so that the reserve keeps to a goal.

Each draw's reserve moves one way with a lever. For rates and amounts of money it moves in a straight line (up to the
rounding of the tied supplementary rate and a floor that starts or stops to bind), so the value that each draw needs
follows from two projections and the answer is a quantile over draws. Every answer is checked by full projections at
itself and one step short of itself; where they do not agree with the line, the search goes on by halving. An answer is
therefore exact on its grid whatever the lever's shape, as long as the reserve moves one way with it. Values that change
from time to time: :mod:`forecaster.solve_path`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Change, Policy, Reform
from forecaster.rules import REVIEWED, yearly_review

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
# So many spans between a lever's bounds beyond the limit a straight line tells nothing any more.
_FAR = 10.0


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

    Raises
    ------
    ForecasterError
        When the share of draws is not above 0 and up to 1.
    """

    months: float
    year: int
    start: dt.date
    probability: float = 0.5
    throughout: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.probability <= 1.0:
            raise ForecasterError(
                f"a reserve wanted in {self.probability:g} of the draws: allowed is a share above 0 up to 1"
            )


@dataclass(frozen=True)
class Required:
    """Answer of :func:`required_value` and :func:`required_rate`.

    Attributes
    ----------
    exact
        Value before rounding, in the lever's unit; may lie beyond the limit. Infinite when out of reach for a lever
        that the reserve does not follow in a straight line, or hardly at all.
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
            if self.limit_source.startswith("assumed"):
                return f"above {100 * self.limit:g}%, the highest rate that may be set here (assumed)"
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
    return Search(basis, policy, lever, goal).answer()


def required_by_draw(basis: Basis, policy: Policy, lever: str, goal: Goal) -> Array:
    """Value of a lever that each draw by itself needs to meet the goal, shape ``(draw,)``, in the lever's unit.

    Each reserve is followed along a straight line through two projections, as an answer's exact value is, and the
    values may lie beyond the lever's bounds. ``goal.probability`` plays no part.

    Raises
    ------
    ForecasterError
        When the reserve does not follow the lever in a straight line, or as :func:`required_value`.
    """
    search = Search(basis, policy, lever, goal)
    if not search.straight:
        raise ForecasterError(
            f"{lever}: the reserve does not follow it in a straight line, so that no draw's own value can be told; "
            "choose a rate or an amount of money"
        )
    return search.each_on_a_line(*search.line)


@dataclass
class Search:
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
            if self.lever in REVIEWED and yearly_review(self.policy, years).on[self.counted].any():
                raise ForecasterError(
                    f"{self.lever}: the yearly review sets it by {self.goal.year}; leave the review out, or solve for "
                    "what it goes by, as with --lever review_target_months"
                )
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
            told = self.straight and abs(exact - self.limit) <= _FAR * (self.high - self.low)
            return self._answer(exact if told else math.inf * self.sign, None)
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
