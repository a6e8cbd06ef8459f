"""What the supplementary premium is charged on: payments from their threshold up, each counted up to the ceiling."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np

from forecaster.basis import Basis, PaymentSizes, read_only
from forecaster.normal import normal
from forecaster.policy import Policy, Reform

Array = np.ndarray
# Where the law charges less of the payments than this, an item's base says nothing about the rest of them: the response
# to another threshold is then measured against this share, lest a vanishing one blow it up.
LEAST_CHARGED = 0.01


def charged_base(basis: Basis, policy: Policy, payer: str) -> Array:
    """Base that one payer's supplementary premium is charged on, under the policy's thresholds and ceiling.

    Kept with the basis until the next thresholds, ceiling or splitting: they stand still while a rate is moved.

    Parameters
    ----------
    payer
        ``insured`` or ``employer``: whose items are summed.

    Returns
    -------
    ndarray
        Billions of the pool's currency, nominal, a year, shape ``(year, draw)``; kept with the basis, so not to be
        written to.
    """
    items = tuple(k for k in basis.supplementary_base if policy.scheme.supplementary_items[k].payer == payer)
    now, by_law = _charging(basis, policy), _charging(basis, policy.reform(Reform()), policy)
    by_law = replace(by_law, ceiling=basis.law_ceiling)
    # Items of the same payment sizes and thresholds respond alike, so their bases move together.
    alike: dict[tuple[int, bytes, bytes], list[str]] = {}
    for item in (i for i in items if i in basis.payment_sizes):
        threshold, law = policy.path(f"supplementary_threshold.{item}", basis.years), basis.law_thresholds[item]
        if (threshold != law).any() or now.token != by_law.token:
            alike.setdefault((id(basis.payment_sizes[item]), threshold.tobytes(), law.tobytes()), []).append(item)

    def responded() -> Array:
        total = basis.supplementary_sum(items)
        total = total.copy() if alike else total
        for group in alike.values():
            threshold = policy.path(f"supplementary_threshold.{group[0]}", basis.years)
            sizes, law = basis.payment_sizes[group[0]], basis.law_thresholds[group[0]]
            above, excess = _charged_parts(basis, group[0], threshold, now)
            key = ("charged by law", id(sizes), law.tobytes(), by_law.token)
            before = basis.kept(key, lambda: np.subtract(*_charged_parts(basis, group[0], law, by_law)))  # noqa: B023
            _respond(total, *map(read_only, (basis.supplementary_sum(tuple(group)), above, excess, before)))
        return total

    token = (tuple((*key[1:], *group) for key, group in alike.items()), now.token, by_law.token)
    return basis.kept_last(("charged base", payer), token, responded)


@dataclass(frozen=True)
class _Charging:
    """Ceiling of one payment, share of payments split that could be, up to which multiple; all ``(year,)``."""

    ceiling: Array
    split: Array
    reach: Array

    @property
    def token(self) -> tuple[bytes, ...]:
        return self.ceiling.tobytes(), self.split.tobytes(), self.reach.tobytes()


def _charging(basis: Basis, policy: Policy, behaviour: Policy | None = None) -> _Charging:
    """How payments are charged under a policy, split as in ``behaviour``, by default the policy itself.

    Of a payment that reaches the threshold *x* but not *k x*, with elasticity *e* and supplementary rate *q*, the
    share :math:`1 - (1 - q)^e` is split into payments below *x*, on which nothing is charged.
    """
    years = basis.years
    ceiling, nothing = policy.path("supplementary_ceiling", years), np.zeros(len(years))
    behaviour = behaviour or policy
    if not behaviour.has("supplementary_splitting_elasticity"):
        return _Charging(ceiling, nothing, nothing)
    elasticity = behaviour.path("supplementary_splitting_elasticity", years)
    reach = behaviour.path("supplementary_splitting_reach", years)
    rate = policy.path("supplementary_premium_rate", years)
    return _Charging(ceiling, 1.0 - (1.0 - rate) ** elasticity, reach)


def _charged_parts(basis: Basis, item: str, threshold: Array, charging: _Charging) -> tuple[Array, Array]:
    """Share of an item's value at or above the threshold and not split, and the part of it over the ceiling."""
    sizes = basis.payment_sizes[item]
    above = _above(basis, item, threshold)
    excess = _excess(basis, sizes, charging.ceiling)
    if not charging.split.any():
        return above, excess
    beyond = _above_size(_log_index(basis), sizes, threshold * charging.reach)
    return above - charging.split[:, None] * (above - beyond), excess


def _above(basis: Basis, item: str, threshold: Array) -> Array:
    """Share of an item's value at or above a threshold; the law's own and the last other one are kept."""
    sizes, law = basis.payment_sizes[item], basis.law_thresholds[item]

    def above() -> Array:
        return _above_size(_log_index(basis), sizes, threshold)

    if np.array_equal(threshold, law):
        return basis.kept(("above", id(sizes), law.tobytes()), above)
    return basis.kept_last(("above", item), threshold.tobytes(), above)


def _excess(basis: Basis, sizes: PaymentSizes, ceiling: Array) -> Array:
    """Share of value over a ceiling; the law's own and the last other one are kept with the basis."""

    def over() -> Array:
        return _over_size(basis.payment_size_index, _log_index(basis), sizes, ceiling)

    if np.array_equal(ceiling, basis.law_ceiling):
        return basis.kept(("excess", id(sizes)), over)
    return basis.kept_last(("other excess", id(sizes)), ceiling.tobytes(), over)


def _log_index(basis: Basis) -> Array:
    return basis.kept("log of payment_size_index", lambda: np.log(basis.payment_size_index))


def charged_share(sizes: PaymentSizes, index: Array, threshold: Array, ceiling: Array) -> Array:
    r"""Share of all value paid that is charged: in payments of at least the threshold, each counted up to the ceiling.

    With sizes lognormal by value, median *M*, spread *s*: value in payments above *x* is
    :math:`\bar V(x) = \Phi((\ln M - \ln x)/s)` of the total, and the payments above *x*, counted at *x* each, are
    :math:`x\,\bar N(x) = \Phi((\ln M - s^2 - \ln x)/s)\,e^{\ln x - \ln M + s^2/2}` of it, so

    .. math::
        \Lambda = \bar V(\theta) - \left(\bar V(c) - c\,\bar N(c)\right)

    The normal distribution function is read from a table, which moves the share by less than 1e-10.

    Parameters
    ----------
    index
        Growth of sizes since the reference year, ``(year, draw)``.
    threshold, ceiling
        TWD, shape ``(year,)``.
    """
    log_index = np.log(index)
    return _above_size(log_index, sizes, threshold) - _over_size(index, log_index, sizes, ceiling)


def _above_size(log_index: Array, sizes: PaymentSizes, size: Array) -> Array:
    return _value_above(*map(read_only, (log_index, sizes.median, sizes.spread, size)))


def _over_size(index: Array, log_index: Array, sizes: PaymentSizes, size: Array) -> Array:
    return _excess_above(*map(read_only, (index, log_index, sizes.median, sizes.spread, size)))


@numba.njit(cache=True, error_model="numpy")
def _value_above(log_index, median, spread, size):  # type: ignore[no-untyped-def]
    """Share of value in payments of at least that size, ``(year, draw)``."""
    result = np.empty(log_index.shape)
    log_median, scale = np.log(median), 1.0 / spread
    for t in range(log_index.shape[0]):
        # A threshold of zero charges everything; the floor keeps its logarithm finite and changes nothing.
        log_size = np.log(max(size[t], 1e-3))
        for d in range(log_index.shape[1]):
            result[t, d] = normal((log_median[d] + log_index[t, d] - log_size) * scale[d])
    return result


@numba.njit(cache=True, error_model="numpy")
def _excess_above(index, log_index, median, spread, size):  # type: ignore[no-untyped-def]
    """Share of value that lies above that size within payments that exceed it, ``(year, draw)``."""
    result = np.empty(index.shape)
    log_median, scale, per_unit = np.log(median), 1.0 / spread, np.exp(0.5 * spread**2) / median
    for t in range(index.shape[0]):
        log_size = np.log(size[t])
        for d in range(index.shape[1]):
            z = (log_median[d] + log_index[t, d] - log_size) * scale[d]
            counted = size[t] * per_unit[d] / index[t, d] * normal(z - spread[d])
            result[t, d] = normal(z) - counted
    return result


@numba.njit(cache=True, error_model="numpy")
def _respond(total, base, above, excess, before):  # type: ignore[no-untyped-def]
    """Add to a total, in place, what some items' base grows by from the share charged before to that charged now."""
    for t in range(total.shape[0]):
        for d in range(total.shape[1]):
            grown = (above[t, d] - excess[t, d] - before[t, d]) / max(before[t, d], LEAST_CHARGED)
            total[t, d] += base[t, d] * grown
