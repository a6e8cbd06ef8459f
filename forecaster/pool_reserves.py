"""Whether the reserves of a pool's accounts follow from their flows, and which figure is off where they do not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from forecaster.errors import Fault
from forecaster.pool_accounts import FLOWS, TOLERANCE, Accounts, Array

# Share of the outgo by which a reserve may be off where a flow before it is missing and taken from the years around,
# and at least so many standard deviations of what the missing flows leave open.
LARGEST_MISS, _UNLIKELY = 0.3, 3.0
# What a slipped digit or another unit makes of a figure.
_SLIPS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)
# A reserve is taken for slipped when it is so many standard deviations off the flows on its sides, and when what it
# would be without the slip leaves no more than that share of the squared misfit, and so many a side.
_LEAST_MISFIT, _LEFT, _MOST_LEFT = 3.0, 0.25, 5.0
# Rounding and late bookings between known flows, as a share of the outgo: at least, and where too few years tell.
_LEAST_ERROR, _USUAL_ERROR = 0.0005, TOLERANCE / 3.0
# Standard deviation of a flow's yearly log steps: at least, and where too few years tell.
_LEAST_STEP, _USUAL_STEP = 0.01, 0.05
# Standard deviation of the log of a reserve over the known one before, where nothing else tells.
_MULTIPLE = 0.8


@dataclass(frozen=True)
class Span:
    """Two known reserves with none between.

    Attributes
    ----------
    before, after
        Places of the two years.
    gained
        What flows and declared adjustments since the first add to it, in the pool's money; a missing flow is taken
        from the years around.
    outgo
        Outgo of the years between, in the pool's money.
    spread
        Standard deviation of ``gained`` that missing flows leave; 0 where all are known.
    """

    before: int
    after: int
    gained: float
    outgo: float
    spread: float

    @property
    def whole(self) -> bool:
        """Whether all flows are known."""
        return self.spread == 0.0

    def off(self, reserve: Array) -> float:
        """By how much the later reserve is not the earlier one and what was gained."""
        return float(reserve[self.after] - reserve[self.before] - self.gained)

    def misfit(self, reserve: Array, error: float) -> float:
        """Squared standard deviations by which two reserves do not meet; where flows are missing also those by which
        the one is no usual multiple of the other."""
        flows = self.off(reserve) ** 2 / (self.spread**2 + (error * self.outgo) ** 2)
        ratio = reserve[self.after] / reserve[self.before] if reserve[self.before] else 0.0
        return float(flows + (0.0 if self.whole or ratio <= 0.0 else (np.log(ratio) / _MULTIPLE) ** 2))

    def broken(self, reserve: Array) -> bool:
        """Whether known flows do not lead from one to the other."""
        return self.whole and abs(self.off(reserve)) > TOLERANCE * self.outgo


def spans(accounts: Accounts) -> list[Span]:
    """Pairs of neighbouring reserves and what moved the fund between them."""
    flows = {name: getattr(accounts, name) for name in FLOWS}
    if not all(np.isfinite(series).any() for series in flows.values()):
        return []
    filled = {name: _filled(series) for name, series in flows.items()}
    errors = {name: _covariance(series) * np.outer(filled[name], filled[name]) for name, series in flows.items()}
    found = []
    for before, after in pairwise(np.flatnonzero(np.isfinite(accounts.reserve)).tolist()):
        between = slice(before + 1, after + 1)
        gained = (filled["income"] - filled["outgo"] + accounts.adjustment)[between].sum()
        spread = np.sqrt(sum(error[between, between].sum() for error in errors.values()))
        found.append(Span(before, after, float(gained), float(filled["outgo"][between].sum()), float(spread)))
    return found


def _filled(flow: Array) -> Array:
    """A flow with its missing years from those around, at the usual growth before and after all of them."""
    at, every = np.flatnonzero(np.isfinite(flow)), np.arange(len(flow))
    logs = np.log(flow[at])
    growth = np.median(np.diff(logs) / np.diff(at)) if len(at) > 1 else 0.0
    beyond = np.minimum(every - at[0], 0) + np.maximum(every - at[-1], 0)
    return np.where(np.isfinite(flow), flow, np.exp(np.interp(every, at, logs) + growth * beyond))


def _covariance(flow: Array) -> Array:
    """Covariance of the logs of a flow's missing years, given the known ones: a random walk, ``(year, year)``.

    Between known years ``a`` and ``b`` it is ``s^2 (i - a)(b - j) / (b - a)`` for ``i <= j``, beyond the last known one
    ``s^2 (i - a)``: the Brownian bridge and the Brownian motion, with ``s`` from the walk's own bends.
    """
    at, every = np.flatnonzero(np.isfinite(flow)), np.arange(len(flow))
    gap = np.searchsorted(at, every, side="right")
    low, high = np.minimum.outer(every, every), np.maximum.outer(every, every)
    left = np.concatenate(([-np.inf], at.astype(float)))[gap]
    right = np.concatenate((at.astype(float), [np.inf]))[gap]
    with np.errstate(invalid="ignore"):
        within = (low - left) * (right - high) / (right - left)
    one = np.where(gap == 0, right - high, np.where(gap == len(at), low - left, within))
    return np.where(gap[:, None] == gap, one, 0.0) * _step(flow, at) ** 2


def _step(flow: Array, at: Array) -> float:
    """Standard deviation of a flow's yearly log steps, from how far each figure is off the line between its two
    neighbours; a middle figure, which single odd ones do not move."""
    if len(at) < 4:
        return _USUAL_STEP
    logs, left, right = np.log(flow[at]), np.diff(at)[:-1], np.diff(at)[1:]
    line = (logs[:-2] * right + logs[2:] * left) / (left + right)
    bends = np.abs(logs[1:-1] - line) / np.sqrt(left * right / (left + right))
    return max(_LEAST_STEP, 1.48 * float(np.median(bends)))


# --- one figure that is off -------------------------------------------------------------------------------------------
def slipped(accounts: Accounts, sure: Collection[str] = ()) -> dict[int, float]:
    """Reserves that fit the flows on their sides far better with a digit moved.

    Parameters
    ----------
    sure
        Figures that the user has confirmed, as ``reserve 2009``.

    Returns
    -------
    dict
        Place of the reserve's year to the factor by which it would fit.
    """
    every = spans(accounts)
    reserve, found = accounts.reserve.copy(), dict[int, float]()
    open_ = {k for k in np.flatnonzero(np.isfinite(reserve)).tolist() if f"reserve {accounts.years[k]}" not in sure}
    error = _usual_error(every, reserve)
    while best := max((_slip(every, reserve, k, error) for k in sorted(open_ - found.keys())), default=None):
        gain, k, factor = best
        if gain <= 0.0:
            break
        found[k] = factor
        reserve[k] *= factor
    return found


def _usual_error(every: Sequence[Span], reserve: Array) -> float:
    """Share of the outgo by which reserves are usually off known flows."""
    shares = [abs(span.off(reserve)) / span.outgo for span in every if span.whole]
    if len(shares) < 4:
        return _USUAL_ERROR
    return float(np.clip(1.48 * np.median(shares), _LEAST_ERROR, _USUAL_ERROR))


def _slip(every: Sequence[Span], reserve: Array, k: int, error: float) -> tuple[float, int, float]:
    """By how much the squared misfit around a reserve shrinks with the best of the slips; 0 when it explains little."""
    beside = [span for span in every if k in (span.before, span.after)]

    def misfit(factor: float) -> float:
        tried = reserve.copy()
        tried[k] *= factor
        return sum(span.misfit(tried, error) for span in beside)

    stands = misfit(1.0)
    best = min(_SLIPS, key=misfit)
    left = misfit(best)
    if stands < _LEAST_MISFIT**2 or left > min(_LEFT * stands, _MOST_LEFT**2 * len(beside)):
        return 0.0, k, best
    return stands - left, k, best


# --- faults -----------------------------------------------------------------------------------------------------------
def reserve_faults(accounts: Accounts, sure: Collection[str] = ()) -> list[Fault]:
    """Every reserve that does not follow from its flows and is not declared, one fault a cause.

    Parameters
    ----------
    sure
        Figures that the user has confirmed, as ``reserve 2009``; slips and likely flows do not doubt them, known flows
        do.
    """
    every = spans(accounts)
    if factor := _other_unit(every, accounts.reserve):
        return [_unit_fault(factor)]
    moved = slipped(accounts, sure)
    reserve = accounts.reserve.copy()
    for k, factor in moved.items():
        reserve[k] *= factor
    held = replace(accounts, reserve=reserve)
    faults = {k: _slip_fault(accounts, reserve, k) for k in moved}
    alone: set[int] = set()
    for i, span in enumerate(every):
        following = every[i + 1] if i + 1 < len(every) else None
        if span.broken(reserve) and span.before not in alone:
            single = following is not None and following.broken(reserve) and _cancel(span, following, reserve)
            alone |= {span.after} if single else set()
            faults.setdefault(span.after, _broken_fault(held, span, following if single else None))
        elif not span.whole and _unreachable(span, reserve) and f"reserve {accounts.years[span.after]}" not in sure:
            faults.setdefault(span.after, _unreachable_fault(held, span))
    return [faults[k] for k in sorted(faults)]


def _other_unit(every: Sequence[Span], reserve: Array) -> float | None:
    """Factor by which all reserves follow from their flows, where as they stand hardly any does."""
    whole = [span for span in every if span.whole]

    def sound(factor: float) -> int:
        return sum(not span.broken(reserve * factor) for span in whole)

    best = max(_SLIPS, key=sound)
    return best if len(whole) >= 4 and sound(best) >= 0.8 * len(whole) and sound(1.0) <= 0.2 * len(whole) else None


def _cancel(span: Span, following: Span, reserve: Array) -> bool:
    """Whether the reserve between two spans is off and those on its sides are not."""
    return abs(span.off(reserve) + following.off(reserve)) <= TOLERANCE * (span.outgo + following.outgo)


def _unreachable(span: Span, reserve: Array) -> bool:
    return abs(span.off(reserve)) > max(LARGEST_MISS * span.outgo, _UNLIKELY * span.spread)


def _unit_fault(factor: float) -> Fault:
    words = f"reserves that follow from their flows only {_times(factor)}"
    return Fault("columns reserve, income and outgo", words, "one unit", "state all in the unit that pool.toml names")


def _times(factor: float) -> str:
    return f"times {factor:g}" if factor > 1.0 else f"divided by {1.0 / factor:g}"


def _slip_fault(accounts: Accounts, reserve: Array, k: int) -> Fault:
    year, stands = int(accounts.years[k]), float(accounts.reserve[k])
    words = f"{stands:g}, but flows and the reserves beside it fit {reserve[k]:.6g}: {_times(reserve[k] / stands)}"
    mend = (
        "correct the digit or the unit; if the figure is true, write in pool.toml: "
        f'confirmed = ["reserve {year}"], and declare what moved it'
    )
    return Fault(accounts.place(year, "reserve"), words, "a reserve that its flows lead to", mend)


def _broken_fault(accounts: Accounts, span: Span, following: Span | None) -> Fault:
    """A reserve that known flows do not lead to; ``following`` where the next one fits the one before."""
    before, year = (int(accounts.years[k]) for k in (span.before, span.after))
    stands = float(accounts.reserve[span.after])
    expected = stands - span.off(accounts.reserve)
    amount = stands - expected + float(accounts.adjustment[span.after])
    declare = f'declare it in pool.toml: [[adjustments]] with year = {year}, amount = {amount:.6g}, reason = "..."'
    words = f"{stands:g}, but the reserve of {before} and the flows since give {expected:.6g}"
    wrong = "correct the figure"
    if following is not None:
        later = int(accounts.years[following.after])
        back = following.off(accounts.reserve) + float(accounts.adjustment[following.after])
        words += f", from which the reserve of {later} follows"
        wrong = "correct the figure, most likely this one alone is wrong"
        declare += f", and year = {later}, amount = {back:.6g}"
    mend = f"{wrong}; or, if something else moved the reserve (a loan, a transfer, a revaluation), {declare}"
    return Fault(accounts.place(year, "reserve"), words, f"a difference of at most {TOLERANCE:.0%} of the outgo", mend)


def _unreachable_fault(accounts: Accounts, span: Span) -> Fault:
    before, year = (int(accounts.years[k]) for k in (span.before, span.after))
    stands = float(accounts.reserve[span.after])
    words = (
        f"{stands:g}, but from {accounts.reserve[span.before]:g} in {before} flows like those of the years around "
        f"lead to about {stands - span.off(accounts.reserve):.3g}"
    )
    mend = (
        "correct the digit or the unit of this reserve or the one before; if something else moved it, declare it "
        f'as [[adjustments]]; if both are true, write in pool.toml: confirmed = ["reserve {year}"]'
    )
    return Fault(accounts.place(year, "reserve"), words, f"within {LARGEST_MISS:.0%} of the outgo between", mend)
