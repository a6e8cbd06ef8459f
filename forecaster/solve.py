"""The rate that the law then requires: solving for the general premium rate."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.policy import Change, Policy, Reform

RATE = "general_premium_rate"


@dataclass(frozen=True)
class RequiredRate:
    """Answer of :func:`required_rate`.

    Attributes
    ----------
    exact
        Rate before rounding, a share; may lie above the legal limit.
    rounded
        Rounded up to a hundredth of a percent, as the law's tables are; None when the limit is exceeded.
    limit
        Highest rate the law allows, with its source in ``limit_source``.
    reached
        Share of draws that meet the target at the rounded rate (at the limit, when it is exceeded), re-projected.
    """

    exact: float
    rounded: float | None
    limit: float
    limit_source: str
    reached: float


def with_rate(policy: Policy, rate: float, start: dt.date) -> Policy:
    """The policy with this general rate from that day on; its own changes of the rate from then on are dropped."""
    kept = [c for c in policy.change.changes if not (c.name == RATE and c.start >= start)]
    return policy.reform(Reform((*kept, Change(RATE, start, rate))))


def required_rate(
    basis: Basis,
    policy: Policy,
    *,
    months: float,
    year: int,
    start: dt.date,
    probability: float = 0.5,
    throughout: bool = True,
) -> RequiredRate:
    """Constant general rate from ``start`` on that keeps the reserve at ``months`` of outgo with the chance wanted.

    Parameters
    ----------
    months
        Reserve wanted, months of the year's outgo.
    year
        Year through whose end (``throughout``) or at whose end it is wanted; the years that count begin with
        ``start``'s.
    probability
        Share of draws that must meet it; with a deterministic basis any value gives the same answer.

    Notes
    -----
    Each draw's reserve is close to linear in the rate (exactly so up to the rounding of the tied supplementary rate and
    a floor that starts or stops to bind), so the rate each draw needs follows from two projections. The quantile over
    draws is then checked by a full projection and moved by hundredths of a percent until it holds exactly.
    """
    cut = basis.until(year)
    parameter = policy.scheme.parameter(RATE)
    limit = float(parameter.bounds[1])  # type: ignore[index]  # a number has bounds
    wanted = cut.years >= start.year if throughout else cut.years == year

    def margin(rate: float) -> np.ndarray:
        result = project(cut, with_rate(policy, rate, start))
        return (result.closing - months * result.outgo / 12.0)[wanted]

    def reached(rate: float) -> float:
        return float((margin(rate) >= -1e-9).all(axis=0).mean())

    low, high = 0.5 * limit, limit
    at_low, at_high = margin(low), margin(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        need = np.where(at_high > at_low, low - at_low * (high - low) / (at_high - at_low), np.inf).max(axis=0)
    exact = float(np.quantile(need, probability, method="higher"))
    if not math.isfinite(exact) or exact > limit + 1e-12:
        return RequiredRate(exact, None, limit, parameter.bounds_source, reached(limit))
    step = 1e-4
    rounded = max(0.0, round(math.ceil(exact / step - 1e-9) * step, 4))
    while rounded <= limit and reached(rounded) < probability:
        rounded = round(rounded + step, 4)
    while rounded >= step and reached(round(rounded - step, 4)) >= probability:
        rounded = round(rounded - step, 4)
    if rounded > limit:
        return RequiredRate(exact, None, limit, parameter.bounds_source, reached(limit))
    return RequiredRate(exact, rounded, limit, parameter.bounds_source, reached(rounded))
