"""Income lines of a pool: base from the basis, rate and shares from the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import betainc

from forecaster.basis import Basis
from forecaster.charged_payments import charged_base
from forecaster.errors import ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.schemes import PAYERS

Array = np.ndarray
# Levers of the supplementary premium whose gain is an official estimate, TWD bn a year.
ESTIMATED_GAINS = ("supplementary_settlement_yield", "supplementary_bonus_yield")


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
    grown = grading_factor(basis, policy)
    weights = {
        payer: grown * payer_weights(policy, categories, basis.years, basis.reference_dependants, payer)
        for payer in PAYERS
    }
    of_state = category_flags(policy, categories, "employer_is_government")
    with_employer = category_flags(policy, categories, "announced_dependants") @ basis.category_mix
    supplementary_rate = np.zeros(len(basis.years))
    charged = {payer: np.zeros_like(basis.outlay[:1]) for payer in ("insured", "employer")}
    if basis.supplementary_base:
        supplementary_rate = policy.path("supplementary_premium_rate", basis.years)
        charged = {payer: charged_base(basis, policy, payer) for payer in charged}
        bonuses = bonus_factor(basis, policy)
        if "bonus" in basis.supplementary_base and (bonuses != 1.0).any():
            charged["insured"] = charged["insured"] + (bonuses - 1.0) * basis.supplementary_base["bonus"]
        estimated = estimated_factor(basis, policy)
        if (estimated != 1.0).any():
            charged["insured"] = charged["insured"] * estimated
    return PremiumTerms(
        rate=policy.path("general_premium_rate", basis.years),
        weights={payer: _mixed(weights[payer], basis.category_mix) for payer in PAYERS},
        state_employer=_mixed(weights["employer"] * of_state, basis.category_mix),
        supplementary_rate=supplementary_rate,
        charged=charged,
        state_part=(of_state @ basis.category_mix) / np.maximum(with_employer, 1e-12),
    )


def grading_factor(basis: Basis, policy: Policy) -> Array:
    r"""What other ends of the grading table make of all general premiums, ``(year or 1, 1)``.

    Above the highest step the insured amounts are taken to have a Pareto tail with exponent *a*, so that a rise from
    *c* to *c'* gains :math:`c^{1-a} - c'^{1-a}` in some unit. The official effect *Y* of the law's last rise, taken at
    the level of the first projected year, sets the unit. A rise of the lowest step gains in proportion to the official
    effect of its last rise, as if no more people were reached. All payers' premiums move alike, and the tail's share of
    the base stays as it is: wages that outgrow the table are not modelled, nor the payroll gap that a higher step
    closes.
    """
    law = policy.reform(Reform())
    gain = _ceiling_gain(basis, policy, law) + _floor_gain(basis, policy, law)
    if not gain.any():
        return np.ones((1, 1))
    premium = law.path("general_premium_rate", basis.years)[0] * basis.general_base[0].mean()
    return (1.0 + gain / premium)[:, None]


def _ceiling_gain(basis: Basis, policy: Policy, law: Policy) -> Array:
    """General premium gained by another highest step, at the first projected year's level, ``(year or 1,)``."""
    if not policy.has("grading_step_yield"):
        return np.zeros(1)
    now, before = (p.path("grading_ceiling", basis.years) for p in (policy, law))
    worth, exponent = (policy.path(name, basis.years) for name in ("grading_step_yield", "grading_tail_exponent"))
    _hold_least_ratio(policy, now, basis.years)
    if np.array_equal(now, before):
        return np.zeros(1)
    low, high = _last_rise(law, "grading_ceiling", "grading_step_yield")

    def tail(step: Array | float) -> Array:
        return np.asarray(step) ** (1.0 - exponent)

    return worth * (tail(before) - tail(now)) / (tail(low) - tail(high))


def _hold_least_ratio(policy: Policy, ceiling: Array, years: Array) -> None:
    """Refuse a highest step that is less than so many times the lowest one (Art. 19), where both are known."""
    if not (policy.has("grading_least_ratio") and policy.has("grading_floor")):
        return
    known = years >= policy.dated("grading_floor")[0][0].year
    ratio, floor = (policy.path(name, years[known]) for name in ("grading_least_ratio", "grading_floor"))
    short = ceiling[known] < ratio * floor - 1e-6
    if short.any():
        year, least = years[known][short][0], (ratio * floor)[short][0]
        raise ForecasterError(
            f"grading_ceiling: {ceiling[known][short][0]:,.0f} in {year}; allowed is {least:,.0f} or more, "
            f"{ratio[short][0]:g} times the lowest step (Art. 19); to mend: raise it, or set grading_least_ratio too"
        )


def _floor_gain(basis: Basis, policy: Policy, law: Policy) -> Array:
    """The same of another lowest step, in proportion to the last rise; ``(year or 1,)``."""
    if not (policy.has("grading_floor_yield") and law.has("grading_floor")):
        return np.zeros(1)
    worth = policy.path("grading_floor_yield", basis.years)
    if policy.dated("grading_floor") == law.dated("grading_floor"):  # its values begin late, so no path is asked for
        return np.zeros(1)
    low, high = _last_rise(law, "grading_floor", "grading_floor_yield")
    return worth * (policy.path("grading_floor", basis.years) - law.path("grading_floor", basis.years)) / (high - low)


def _last_rise(law: Policy, step: str, worth: str) -> tuple[float, float]:
    steps = [value for _, value in law.dated(step)]
    if len(steps) < 2:
        raise ForecasterError(
            f"{law.scheme.id}: {worth} is the gain of the last rise of {step}, but there is one value only; give the "
            "step before it as well"
        )
    return steps[-2], steps[-1]


def estimated_factor(basis: Basis, policy: Policy) -> Array:
    """What levers known only by their official gain make of the insured's supplementary base, ``(year or 1, 1)``.

    Yearly settlement and another threshold for bonuses; their gains hold at the first projected year's level.
    """
    items = tuple(k for k in basis.supplementary_base if policy.scheme.supplementary_items[k].payer == "insured")
    gain = sum((policy.path(name, basis.years) for name in ESTIMATED_GAINS if policy.has(name)), np.zeros(1))
    if not gain.any() or not items:
        return np.ones((1, 1))
    rate = policy.reform(Reform()).path("supplementary_premium_rate", basis.years)[0]
    return (1.0 + gain / (rate * basis.supplementary_sum(items)[0].mean()))[:, None]


def late_fee_share(policy: Policy, years: Array) -> Array:
    r"""Late fees as a share of the general premium, ``(year,)``.

    .. math::
        \lambda \min(f D, c)

    with the share :math:`\lambda` of premiums that is late, the fee *f* a day (Art. 35), *D* days and the limit *c*;
    nothing under a law that does not say.
    """
    if not policy.has("late_payment_share"):
        return np.zeros(len(years))
    names = ("late_payment_share", "late_fee_daily", "late_payment_days", "late_fee_cap")
    share, daily, days, cap = (policy.path(name, years) for name in names)
    return share * np.minimum(daily * days, cap)


@dataclass(frozen=True)
class Premiums:
    """Premium income by payer, TWD bn nominal a year, flow; arrays ``(year, draw)``, computed when asked for.

    ``rate`` and ``supplementary_rate`` are the rates in force, ``(year, 1)``; ``(year, draw)`` where a rule sets them.
    """

    basis: Basis
    terms: PremiumTerms
    rate: Array
    supplementary_rate: Array

    @cached_property
    def general(self) -> dict[str, Array]:
        """General premium by payer, the state as employer under ``employer``."""
        assessed = self.rate * self.basis.general_base
        return {payer: assessed * weight for payer, weight in self.terms.weights.items()}

    @cached_property
    def supplementary(self) -> dict[str, Array]:
        """Supplementary premium by payer, the state as employer under ``employer``."""
        rate = np.broadcast_to(self.supplementary_rate, self.basis.outlay.shape)
        return {payer: rate * base for payer, base in self.terms.charged.items()}

    @cached_property
    def government_as_employer(self) -> Array:
        """What the state pays as employer, general and supplementary; it counts towards its floor (Rules Art. 45)."""
        assessed = self.rate * self.basis.general_base
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
    r"""Share of each category's premium that the payer bears, dependants in; ``(year or 1, category)``.

    The announced average of dependants scales the employer and government shares of the categories it applies to (Art.
    29), another cap on own dependants the insured's (Art. 18, 23; :func:`own_dependants_factor`), another amount that
    is set for a whole category all of its shares (:func:`set_amount_factor`).
    """
    weights = np.stack([policy.path(f"premium_share.{c}.{payer}", years) for c in categories], axis=1)
    announced = category_flags(policy, categories, "announced_dependants")
    if payer != "insured" and announced.any():
        dependants = (1.0 + policy.path("average_dependants", years)) / (1.0 + reference_dependants)
        weights = weights * (1.0 + announced * (dependants[:, None] - 1.0))
    if payer == "insured":
        weights = weights * own_dependants_factor(policy, categories, years)
    weights = weights * set_amount_factor(policy, categories, years)
    # One row serves all years when the law does not change, which spares most of the work below.
    return weights[:1] if (weights == weights[0]).all() else weights


def charged_dependants(mean: Array, shape: Array, cap: Array) -> Array:
    r"""Mean number of dependants that an insured person pays for, of those that he has up to a cap.

    .. math::
        E[\min(K, m)] = \sum_{j=0}^{\lfloor m \rfloor - 1} P(K > j) + (m - \lfloor m \rfloor) P(K > \lfloor m \rfloor)

    with *K* negative binomial of mean :math:`\bar k` and shape *s* (1: geometric; large: Poisson), variance
    :math:`\bar k + \bar k^2 / s`, so that :math:`P(K > j) = I_{\bar k / (\bar k + s)}(j + 1, s)` by the regularised
    incomplete beta function.

    Parameters
    ----------
    mean, shape, cap
        Persons, a number, persons; each ``(year,)``.
    """
    counted = np.arange(int(np.ceil(cap.max())))[:, None]
    more = betainc(counted + 1.0, shape, mean / (mean + shape))
    return np.asarray((np.clip(cap - counted, 0.0, 1.0) * more).sum(axis=0))


def own_dependants_factor(policy: Policy, categories: tuple[str, ...], years: Array) -> Array:
    """What another cap on the dependants charged makes of the insured's own shares, ``(year or 1, category)``.

    The law's own announced average is taken as the mean of the dependants that people have in every category whose
    dependants are charged; employers and government pay for that average or for actual heads and feel no cap.
    """
    # A law kept by an earlier run may know the cap and not the spread.
    if not policy.has("own_dependants_shape"):
        return np.ones((1, 1))
    law = policy.reform(Reform())
    names = ("charged_dependants_cap", "own_dependants_shape")
    if all(policy.dated(name) == law.dated(name) for name in names):
        return np.ones((1, 1))
    mean, shape = law.path("average_dependants", years), policy.path("own_dependants_shape", years)
    now, before = (charged_dependants(mean, shape, p.path("charged_dependants_cap", years)) for p in (policy, law))
    kinds = [policy.scheme.categories[c].own_dependants for c in categories]
    of_kind = {"none": np.ones(len(years)), "beside": (1.0 + now) / (1.0 + before), "alone": now / before}
    return np.stack([of_kind[kind] for kind in kinds], axis=1)


def set_amount_factor(policy: Policy, categories: tuple[str, ...], years: Array) -> Array:
    """What another insured amount or average premium that is set for a whole category makes of its premium.

    In proportion to the law's own amount; ``(year or 1, category)``.
    """
    law, names = policy.reform(Reform()), [policy.scheme.categories[c].amount for c in categories]
    moved = [n for n in dict.fromkeys(names) if n and policy.has(n) and policy.dated(n) != law.dated(n)]
    if not moved:
        return np.ones((1, 1))
    factor = np.ones((len(years), len(categories)))
    for i, name in enumerate(names):
        if name in moved:
            factor[:, i] = policy.path(name, years) / law.path(name, years)
    return factor


def bonus_factor(basis: Basis, policy: Policy) -> Array:
    r"""What another multiple of the insured amount makes of the bonuses charged, ``(year or 1, 1)``.

    The value of bonuses above a multiple *m* of the month's insured amount goes with :math:`m^{-a}`: bonuses
    themselves have a Pareto tail with exponent :math:`a + 1`.
    """
    if not policy.has("supplementary_bonus_tail"):
        return np.ones((1, 1))
    now, law = (p.path("supplementary_bonus_multiple", basis.years) for p in (policy, policy.reform(Reform())))
    tail = policy.path("supplementary_bonus_tail", basis.years)
    return ((now / law) ** -tail)[:, None]
