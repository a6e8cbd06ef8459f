"""Income lines of a pool: base from the basis, rate and shares from the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr

from forecaster.basis import Basis, PaymentSizes
from forecaster.policy import Policy
from forecaster.schemes import PAYERS

Array = np.ndarray


@dataclass(frozen=True)
class PremiumTerms:
    r"""What multiplies the bases: small arrays that a lever changes, before anything of size year x draw is computed.

    .. math::
        G_{p,t} = r_t B_t w_{p,t}, \quad w_{p,t} = \sum_c m_c\, s_{c,p,t}\, d_{c,p,t}, \quad
        d = \frac{1 + \bar k_t}{1 + \bar k_{ref}}, \qquad S_{p,t} = q_t\, Z_{p,t}

    *d* applies to the employer and government shares of the categories charged on the announced average number of
    dependants (Art. 29) and is 1 elsewhere.

    Attributes
    ----------
    rate, supplementary_rate
        General and supplementary premium rate, shares, shape ``(year,)``.
    weights
        Payer to its share of the general premium, shape ``(year or 1, draw)``; they sum to 1 at the reference
        dependants.
    state_employer
        The part of the employers' weight that the state bears as employer, same shape.
    state_part
        Share of the employers' supplementary premium that falls on the state as employer: its share in the insured
        amounts of categories 1.1 to 1.3; shape ``(draw,)``.
    charged
        Payer to the supplementary base under the policy's thresholds, TWD bn nominal a year, ``(year, draw)``.
    """

    rate: Array
    weights: Mapping[str, Array]
    state_employer: Array
    supplementary_rate: Array
    charged: Mapping[str, Array]
    state_part: Array


def premium_terms(basis: Basis, policy: Policy) -> PremiumTerms:
    """Rates, payers' weights and charged bases under a policy."""
    categories = basis.categories
    weights = {
        payer: payer_weights(policy, categories, basis.years, basis.reference_dependants, payer) for payer in PAYERS
    }
    of_state = category_flags(policy, categories, "employer_is_government")
    with_employer = category_flags(policy, categories, "announced_dependants") @ basis.category_mix
    supplementary_rate = np.zeros(len(basis.years))
    charged = {payer: np.zeros_like(basis.outlay[:1]) for payer in ("insured", "employer")}
    if basis.supplementary_base:
        supplementary_rate = policy.path("supplementary_premium_rate", basis.years)
        charged = {payer: _charged_base(basis, policy, payer) for payer in charged}
    return PremiumTerms(
        rate=policy.path("general_premium_rate", basis.years),
        weights={payer: _mixed(weights[payer], basis.category_mix) for payer in PAYERS},
        state_employer=_mixed(weights["employer"] * of_state, basis.category_mix),
        supplementary_rate=supplementary_rate,
        charged=charged,
        state_part=(of_state @ basis.category_mix) / np.maximum(with_employer, 1e-12),
    )


@dataclass(frozen=True)
class Premiums:
    """Premium income by payer, TWD bn nominal a year, flow; arrays ``(year, draw)``, computed when asked for."""

    basis: Basis
    terms: PremiumTerms

    @cached_property
    def general(self) -> dict[str, Array]:
        """General premium by payer, the state as employer under ``employer``."""
        assessed = self.terms.rate[:, None] * self.basis.general_base
        return {payer: assessed * weight for payer, weight in self.terms.weights.items()}

    @cached_property
    def supplementary(self) -> dict[str, Array]:
        """Supplementary premium by payer, the state as employer under ``employer``."""
        rate = np.broadcast_to(self.terms.supplementary_rate[:, None], self.basis.outlay.shape)
        return {payer: rate * base for payer, base in self.terms.charged.items()}

    @cached_property
    def government_as_employer(self) -> Array:
        """What the state pays as employer, general and supplementary; it counts towards its floor (Rules Art. 45)."""
        assessed = self.terms.rate[:, None] * self.basis.general_base
        return assessed * self.terms.state_employer + self.supplementary["employer"] * self.terms.state_part

    @property
    def total(self) -> Array:
        """General and supplementary premium of all payers."""
        return sum(self.general.values()) + sum(self.supplementary.values())  # type: ignore[return-value]

    @property
    def government(self) -> Array:
        """What the government pays by category and as employer, before any top-up."""
        return self.general["government"] + self.government_as_employer


def _mixed(weights: Array, mix: Array) -> Array:
    """Weights over the mix of each draw, year by year: a year's result hangs on no other year's law."""
    return np.stack([row @ mix for row in weights])


def category_flags(policy: Policy, categories: tuple[str, ...], name: str) -> Array:
    """Attribute of the categories as 0 and 1, shape ``(category,)``."""
    return np.array([getattr(policy.scheme.categories[c], name) for c in categories], dtype=float)


def payer_weights(
    policy: Policy, categories: tuple[str, ...], years: Array, reference_dependants: float, payer: str
) -> Array:
    """Share of each category's premium that the payer bears, dependants in; ``(year or 1, category)``.

    The announced average of dependants scales the employer and government shares of the categories it applies to (Art.
    29).
    """
    weights = np.stack([policy.path(f"premium_share.{c}.{payer}", years) for c in categories], axis=1)
    if payer != "insured":
        dependants = (1.0 + policy.path("average_dependants", years)) / (1.0 + reference_dependants)
        announced = category_flags(policy, categories, "announced_dependants")
        weights = weights * (1.0 + announced * (dependants[:, None] - 1.0))
    # One row serves all years when the law does not change, which spares most of the work below.
    return weights[:1] if (weights == weights[0]).all() else weights


def _charged_base(basis: Basis, policy: Policy, payer: str) -> Array:
    """Base that one payer's supplementary premium is charged on, under the policy's thresholds and ceiling."""
    items = tuple(k for k in basis.supplementary_base if policy.scheme.supplementary_items[k].payer == payer)
    total = basis.supplementary_sum(items)
    ceiling = policy.path("supplementary_ceiling", basis.years)
    for item in (i for i in items if i in basis.payment_sizes):
        threshold = policy.path(f"supplementary_threshold.{item}", basis.years)
        law = basis.law_thresholds[item]
        moved = (threshold != law) | (ceiling != basis.law_ceiling)
        if moved.any():
            sizes, index = basis.payment_sizes[item], basis.payment_size_index[moved]
            now = charged_share(sizes, index, threshold[moved][:, None], ceiling[moved][:, None])
            before = charged_share(sizes, index, law[moved][:, None], basis.law_ceiling[moved][:, None])
            total = total.copy()
            total[moved] += basis.supplementary_base[item][moved] * (now / before - 1.0)
    return total


def charged_share(sizes: PaymentSizes, index: Array, threshold: Array, ceiling: Array) -> Array:
    r"""Share of all value paid that is charged: in payments of at least the threshold, each counted up to the ceiling.

    With sizes lognormal by value, median *M*, spread *s*: value in payments above *x* is
    :math:`\bar V(x) = \Phi((\ln M - \ln x)/s)` of the total, and the payments above *x*, counted at *x* each, are
    :math:`x\,\bar N(x) = \Phi((\ln M - s^2 - \ln x)/s)\,e^{\ln x - \ln M + s^2/2}` of it, so

    .. math::
        \Lambda = \bar V(\theta) - \bar V(c) + c\,\bar N(c)

    Parameters
    ----------
    index
        Growth of sizes since the reference year, ``(year, draw)``.
    threshold, ceiling
        TWD, broadcastable to ``(year, draw)``.
    """
    log_median = np.log(sizes.median * index)
    spread = sizes.spread
    # A threshold of zero charges everything; the floor keeps its logarithm finite and changes nothing.
    value_above_threshold = ndtr((log_median - np.log(np.maximum(threshold, 1e-3))) / spread)
    value_above_ceiling = ndtr((log_median - np.log(ceiling)) / spread)
    count_above_ceiling = ndtr((log_median - spread**2 - np.log(ceiling)) / spread)
    capped = np.exp(np.log(ceiling) - log_median + spread**2 / 2) * count_above_ceiling
    return value_above_threshold - value_above_ceiling + capped
