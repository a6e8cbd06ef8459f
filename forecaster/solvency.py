"""Measures of solvency, from the accounts of :func:`forecaster.engine.project`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import FundProjection
from forecaster.policy import Policy

Array = np.ndarray
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


def quantiles(values: Array, probabilities: tuple[float, ...] = QUANTILES) -> Array:
    """Quantiles over draws by linear interpolation between order statistics, as ``numpy.quantile`` gives, faster.

    Parameters
    ----------
    values
        Shape ``(year, draw)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(len(probabilities), year)``.
    """
    ordered = np.sort(values, axis=1)
    position = np.asarray(probabilities) * (values.shape[1] - 1)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, values.shape[1] - 1)
    weight = position - low
    return (ordered[:, low] * (1.0 - weight) + ordered[:, high] * weight).T


def first_year(condition: Array, years: Array) -> Array:
    """First year in which the condition holds in each draw, 0 where it never does; shape ``(draw,)``."""
    return np.where(condition.any(axis=0), years[condition.argmax(axis=0)], 0)


@dataclass(frozen=True)
class YearDistribution:
    """Distribution of a first year over draws.

    Attributes
    ----------
    years, probability
        Calendar years and the share of draws in which each is the first; shape ``(year,)``.
    not_within_horizon
        Share of draws in which it does not happen by the last year.
    in_year
        Share of draws in which it is so in each year, the first time or again; shape ``(year,)``.
    """

    years: Array
    probability: Array
    not_within_horizon: float
    in_year: Array

    @property
    def by_year(self) -> Array:
        """Chance that it has happened by the end of each year, shape ``(year,)``."""
        return np.cumsum(self.probability)

    def quantile(self, p: float) -> int | None:
        """First year by which it has happened with chance *p*; None when that is not within the horizon."""
        reached = self.by_year >= p - 1e-12
        return int(self.years[reached.argmax()]) if reached.any() else None


def _distribution(condition: Array, years: Array) -> YearDistribution:
    first = first_year(condition, years)
    counts = np.bincount(np.where(first > 0, first - years[0] + 1, 0), minlength=len(years) + 1)
    share = counts / condition.shape[1]
    return YearDistribution(years, share[1:], float(share[0]), condition.mean(axis=1))


def depletion(projection: FundProjection) -> YearDistribution:
    """First year that ends with a reserve below zero."""
    return _distribution(projection.closing < 0.0, projection.years)


def below_months(projection: FundProjection, months: float) -> YearDistribution:
    """First year that ends with a reserve of fewer months of outgo than given (Art. 26 and 78: one)."""
    return _distribution(projection.reserve_months < months, projection.years)


def limit_binds(projection: FundProjection) -> YearDistribution:
    """First year in which the yearly review wants a higher general rate than the law allows (Art. 18)."""
    return _distribution(projection.limit_binds, projection.years)


def limit_falls_short(basis: Basis, policy: Policy, projection: FundProjection) -> YearDistribution | None:
    """First year whose outgo even the law's highest general rate would not cover, the reserve left out (Art. 24).

    The Act has the budget negotiated anew then. Whether the rate is that high does not matter. None where the law has
    no such limit: the bounds of its rate are assumed.
    """
    rate = policy.scheme.parameter("general_premium_rate")
    if rate.bounds is None or rate.bounds_source.startswith("assumed"):
        return None
    limit = rate.bounds[1]
    return _distribution(pay_as_you_go_rate(basis, policy, projection) > limit + 1e-12, projection.years)


def first_deficit(projection: FundProjection) -> YearDistribution:
    """First year whose outgo exceeds its income."""
    return _distribution(projection.balance < 0.0, projection.years)


def share_below(projection: FundProjection, months: float) -> Array:
    """Chance that the reserve stands below so many months at the end of each year itself, shape ``(year,)``."""
    return (projection.reserve_months < months).mean(axis=1)


def pay_as_you_go_rate(basis: Basis, policy: Policy, projection: FundProjection) -> Array:
    r"""General rate that would balance each year's income without yield against its outgo, a share, ``(year, draw)``.

    The supplementary rate moves in proportion (Art. 33). Injections and the reserve are left out, other income is in.
    With the floor measured on income all premium income *P* + top-up *T* moves with the rate *r*:
    :math:`r^* = r\,(C - O)/(P + T)`. Where the floor is measured on outlay and binds, the government's total is fixed:
    :math:`r^* = r\,(C - O)(1-\varphi)/(P - G^{gov})`, unless the government's own shares then exceed the floor.
    """
    paid = projection.premiums
    need = projection.outgo - projection.income["earmarked_and_other"]
    scale = need / (paid.total + projection.top_up_owed)
    if policy.has("government_floor_share"):
        words = policy.word("government_floor_basis", basis.years)
        on_outlay = np.array([word == "outlay" for word in words])[:, None]
        if on_outlay.any():
            floor = policy.path("government_floor_share", basis.years)[:, None]
            fixed = need * (1.0 - floor) / (paid.total - paid.government)
            binding = fixed * paid.government <= floor * need
            scale = np.where(on_outlay, np.where(binding, fixed, need / paid.total), scale)
    return paid.rate * scale
