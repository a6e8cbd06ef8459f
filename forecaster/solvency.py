"""Measures of solvency, from the accounts of :func:`forecaster.engine.project`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import FundProjection
from forecaster.policy import Policy, Reform

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
    below, above, weight = ordered[:, low], ordered[:, high], position - low
    with np.errstate(invalid="ignore"):  # an infinite rate times nothing
        between = below * (1.0 - weight) + above * weight
    return np.where((below == above) | (weight == 0.0), below, between).T


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


def premiums_per_rate(policy: Policy, projection: FundProjection) -> tuple[Array, Array]:
    """Premiums of all payers, and the government's own, per unit of the general rate, the supplementary with it.

    Where no rate is charged the supplementary one stands to it as it does in the law (Art. 33).

    Returns
    -------
    tuple
        Nominal money a year for a rate of 1, flow, ``(year, draw)`` each.
    """
    paid = projection.premiums
    rate = np.broadcast_to(paid.rate, projection.outgo.shape)
    charged = rate > 0.0
    found = []
    for amount, base in ((paid.total, "all"), (paid.government, "government")):
        by_law = np.ones(rate.shape) if charged.all() else _assessed(policy, projection, base)
        found.append(np.divide(amount, rate, out=by_law, where=charged))
    return found[0], found[1]


def _assessed(policy: Policy, projection: FundProjection, payer: str) -> Array:
    """Premiums at a general rate of 1 and the supplementary rate in the law's proportion to it, ``(year, draw)``."""
    basis, terms = projection.premiums.basis, projection.premiums.terms
    share = np.zeros((len(basis.years), 1))
    if basis.supplementary_base:
        law = policy.reform(Reform())
        names = ("supplementary_premium_rate", "general_premium_rate")
        other, general = (law.path(name, basis.years)[:, None] for name in names)
        share = np.divide(other, general, out=share, where=general > 0.0)
    by_employer = share * terms.charged["employer"]
    if payer == "government":
        of_state = terms.weights["government"] + terms.state_employer
        return basis.general_base * of_state + by_employer * terms.state_part
    return basis.general_base * sum(terms.weights.values()) + share * terms.charged["insured"] + by_employer


def pay_as_you_go_rate(basis: Basis, policy: Policy, projection: FundProjection) -> Array:
    r"""General rate that would balance each year's income without yield against its outgo, a share, ``(year, draw)``.

    The supplementary rate moves in proportion (Art. 33). Injections and the reserve are left out, other income is in.
    With premiums *P* and the government's own :math:`G^{gov}` per unit of the rate and the floor :math:`\varphi`
    measured on income, the top-up moves with the rate: :math:`r^* = (C - O) / (P + \max(0, \varphi P - G^{gov}) /
    (1 - \varphi))`. Where the floor is measured on outlay and binds, the government's total is fixed:
    :math:`r^* = (C - O)(1-\varphi)/(P - G^{gov})`, unless the government's own shares then exceed the floor. Infinite
    where nothing is charged however high the rate.
    """
    total, government = premiums_per_rate(policy, projection)
    need = projection.outgo - projection.income["earmarked_and_other"]
    if not policy.has("government_floor_share"):
        return _over(need, total)
    floor = policy.path("government_floor_share", basis.years)[:, None]
    rate = _over(need, total + np.maximum(0.0, floor * total - government) / (1.0 - floor))
    on_outlay = np.array([word == "outlay" for word in policy.word("government_floor_basis", basis.years)])[:, None]
    if on_outlay.any():
        fixed = _over(need * (1.0 - floor), total - government)
        rate = np.where(on_outlay, np.where(fixed * government <= floor * need, fixed, _over(need, total)), rate)
    return rate


def _over(need: Array, per_rate: Array) -> Array:
    """Rate that brings what is needed, infinite where none does."""
    return np.divide(need, per_rate, out=np.full(np.broadcast(need, per_rate).shape, np.inf), where=per_rate > 0.0)
