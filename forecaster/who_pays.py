r"""Who pays: by payer and category, and by income group; how progressive the premiums are; who bears what by age.

**Income groups.** Of the charged heads the share *p*, published people over those insured, has the grading table's
lowest step *f* as insured amount *y*. Those of the others are lognormal above it; level and spread are such that the
published number of people lies above a published step, and that the amounts charged up to the table's highest step *c*
have the mean of the projection,

.. math::
    p f + (1 - p)\, E[\min(y, c) \mid y > f] = \bar a

in the first projected year; later all amounts and the table grow alike, as they do in the ledger. Other income on which
the supplementary premium is charged is :math:`s(y) \propto y^{\beta}`, scaled to the projection's charged base. What
other ends of the table bring in (:func:`forecaster.revenue.grading_factor`) falls on those whom it reaches.

**Progressivity.** With ranks *R* of income *x = y + s(y)*, the concentration index of payments *p* and Kakwani's index

.. math::
    C_p = \frac{2\,\mathrm{cov}(p, R)}{\bar p}, \qquad K_p = C_p - C_x

above zero where the better-off pay more than in proportion to income. (Kakwani, 1977.)

What people of an age pay and cost is read here too; lifetimes are made of it in :mod:`forecaster.lifetimes`. Sources
and assumptions: ``data/incidence``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from forecaster.basis import Basis
from forecaster.demography.tables import N_AGES
from forecaster.engine import FundProjection
from forecaster.errors import ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.resources import data_dir
from forecaster.revenue import grading_factor, payer_weights
from forecaster.schemes import PAYERS

Array = np.ndarray
# Points of the income distribution, each the middle of an equal share of the people.
N_POINTS = 20000
GROUPS = 5
_PAYER_NAMES = {"insured": "insured", "employer": "employers", "government": "government"}


@dataclass(frozen=True)
class Incidence:
    """Who bears what, from ``data/incidence``.

    Attributes
    ----------
    step, people
        Insured amount a month and the people above it.
    exponent
        Power of the insured amount with which other income grows.
    payments
        Payer (``insured``, ``employers``, ``public``) to relative payment by single age, shape ``(101,)``.
    benefits
        Relative cost by single age, shape ``(101,)``.
    lowest_step_people
        People at the lowest step: those whom its last rise concerned.
    ninth_decile
        Published figure that incomes are held against: ninth decile of employees' wages, TWD a month.
    past
        Payer to the dated shares of all income that it bore, each from a year on, oldest first.
    notes
        What is assumed or approximate, to be shown with every table.
    """

    step: float
    people: float
    exponent: float
    payments: Mapping[str, Array]
    benefits: Array
    lowest_step_people: float
    ninth_decile: float
    past: Mapping[str, tuple[tuple[int, float], ...]]
    notes: tuple[str, ...]


def incidence_of(pool: str) -> Incidence:
    """Incidence of a pool.

    Raises
    ------
    ForecasterError
        When none is known for the pool.
    """
    path = data_dir() / "incidence" / f"{pool}.toml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.toml")))
        raise ForecasterError(f"who bears what is not known for the pool {pool}; it is for: {known}")
    raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = ("insured_amounts", "supplementary", "ages", "cost", "payers")
    return Incidence(
        step=raw["insured_amounts"]["step"],
        people=raw["insured_amounts"]["people"],
        exponent=raw["supplementary"]["exponent"],
        payments={payer: by_age(bands) for payer, bands in raw["payments"].items()},
        benefits=by_age(raw["benefits"]),
        lowest_step_people=raw["insured_amounts"]["lowest_step_people"],
        ninth_decile=raw["checks"]["ninth_decile"],
        past={payer: tuple((row["from"], row[payer]) for row in raw["past"]) for payer in raw["payments"]},
        notes=tuple(raw[table]["note"] for table in tables),
    )


def by_age(bands: Sequence[Mapping[str, float]]) -> Array:
    """Weights of age bands, each from an age up to the next one's, at the single ages 0 to 100."""
    starts = [band["from"] for band in bands]
    weights = np.array([band["weight"] for band in bands])
    return weights[np.searchsorted(starts, np.arange(N_AGES), side="right") - 1]


# --- by payer and category --------------------------------------------------------------------------------------------


def by_category(projection: FundProjection, policy: Policy) -> dict[tuple[str, str], Array]:
    """General premium by category and payer, nominal money a year, flow; ``(year, draw)`` each.

    The employer of a category whose employer is the state counts as government. The sum is the general premium.
    """
    premiums = projection.premiums
    basis, rate = premiums.basis, premiums.rate
    # All payers' weights carry the grading table's factor alike; it is read off the sum over categories.
    found: dict[tuple[str, str], Array] = {}
    for payer in PAYERS:
        weights = payer_weights(policy, basis.categories, basis.years, basis.reference_dependants, payer)
        charged = premiums.terms.weights[payer]
        plain = np.broadcast_to(weights @ basis.category_mix, charged.shape)
        factor = np.divide(charged, plain, out=np.ones_like(charged), where=plain > 0.0)
        for i, category in enumerate(basis.categories):
            amount = rate * basis.general_base * factor * weights[:, i : i + 1] * basis.category_mix[i]
            of_state = payer == "employer" and policy.scheme.categories[category].employer_is_government
            key = (category, "government" if of_state else _PAYER_NAMES[payer])
            found[key] = found.get(key, 0.0) + amount
    return found


# --- by income group --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InsuredAmounts:
    """Insured amounts a month per charged head: some at the lowest step, the others lognormal above it.

    Attributes
    ----------
    floor
        Lowest step of the grading table.
    at_floor
        Share of the heads that stand there.
    log_median, spread
        Of the lognormal distribution whose part above the floor the others have.
    """

    floor: float
    at_floor: float
    log_median: float
    spread: float

    def above(self, step: float) -> float:
        """Share of all heads above a step that is not below the floor."""
        beyond, whole = (ndtr((self.log_median - np.log(x)) / self.spread) for x in (step, self.floor))
        return float((1.0 - self.at_floor) * beyond / whole)

    def mean(self, ceiling: float) -> float:
        r"""Mean of the amounts, each counted up to a ceiling.

        Above the floor, with :math:`z_x = (\ln x - \mu) / s` and :math:`\bar\Phi = 1 - \Phi`,
        :math:`\left(e^{\mu + s^2/2} (\bar\Phi(z_f - s) - \bar\Phi(z_c - s)) + c\,\bar\Phi(z_c)\right) / \bar\Phi(z_f)`.
        """
        low, high = ((np.log(x) - self.log_median) / self.spread for x in (self.floor, ceiling))
        between = ndtr(self.spread - low) - ndtr(self.spread - high)
        whole = np.exp(self.log_median + 0.5 * self.spread**2) * between + ceiling * ndtr(-high)
        return float(self.at_floor * self.floor + (1.0 - self.at_floor) * whole / ndtr(-low))

    def at(self, ranks: Array) -> Array:
        """Amounts at ranks between 0 and 1, the floor up to the share that stands there."""
        among = np.clip((ranks - self.at_floor) / (1.0 - self.at_floor), 0.0, 1.0)
        whole = ndtr((self.log_median - np.log(self.floor)) / self.spread)
        return np.asarray(np.exp(self.log_median - self.spread * ndtri(whole * (1.0 - among))))


def amounts_of(mean: float, floor: float, ceiling: float, at_floor: float, step: float, share: float) -> InsuredAmounts:
    """Insured amounts whose charged mean is ``mean`` and of which ``share`` lie above ``step``.

    Raises
    ------
    ForecasterError
        When no lognormal distribution above the floor has both.
    """

    def with_tail(spread: float) -> InsuredAmounts:
        def gap(log_median: float) -> float:
            return InsuredAmounts(floor, at_floor, log_median, spread).above(step) - share

        # Far below the floor the part above it nears a Pareto distribution; its logs hold to thirty spreads.
        low, high = np.log(floor) - 30.0 * spread, np.log(step) + 8.0 * spread
        return InsuredAmounts(floor, at_floor, float(brentq(gap, low, high, xtol=1e-13)), spread)

    def beyond(spread: float) -> float:
        return with_tail(spread).mean(ceiling) - mean

    narrow, wide = 0.05, 4.0
    if share >= 1.0 - at_floor or beyond(narrow) < 0.0 or beyond(wide) > 0.0:
        raise ForecasterError(
            f"no lognormal distribution above the lowest step of {floor:,.0f} gives a charged mean of {mean:,.0f} with "
            f"{at_floor:.1%} of the heads at that step and {share:.2%} above {step:,.0f}: look at the figures of "
            "data/incidence"
        )
    return with_tail(float(brentq(beyond, narrow, wide, xtol=1e-10)))


def concentration(payments: Array, income: Array) -> float:
    """Concentration index of payments over people ranked by income, equal shares of people each; Gini's of income."""
    order = np.argsort(income, kind="stable")
    rank = (np.arange(len(income)) + 0.5) / len(income)
    paid = payments[order]
    return float(2.0 * np.cov(paid, rank, bias=True)[0, 1] / paid.mean())


@dataclass(frozen=True)
class IncomeGroups:
    """Monthly amounts per charged head over the people ordered by income, nominal; shape ``(point,)``.

    Attributes
    ----------
    income
        Insured amount before floor and ceiling, and other income charged.
    payments
        ``general`` (the insured's own), ``supplementary`` (the insured's own), ``employers`` (general and
        supplementary of employers, the state among them).
    """

    income: Array
    payments: Mapping[str, Array]

    def table(self) -> pd.DataFrame:
        """One row a group of equally many people: income, payments, and own payments as a share of income."""
        parts = [np.array_split(values, GROUPS) for values in (self.income, *self.payments.values())]
        names = ("income", *self.payments)
        means = {name: [part.mean() for part in split] for name, split in zip(names, parts, strict=True)}
        frame = pd.DataFrame({"group": [f"{i + 1} of {GROUPS}" for i in range(GROUPS)], **means})
        frame["own_share_of_income"] = (frame["general"] + frame["supplementary"]) / frame["income"]
        return frame

    def progressivity(self) -> dict[str, float]:
        """Gini index of income, and Kakwani's index of each payment and of the insured's own together."""
        gini = concentration(self.income, self.income)
        own = self.payments["general"] + self.payments["supplementary"]
        found = {**self.payments, "own": own}
        return {"gini": gini, **{name: concentration(paid, self.income) - gini for name, paid in found.items()}}


def income_groups(
    basis: Basis, policy: Policy, projection: FundProjection, year: int, given: Incidence
) -> IncomeGroups:
    """Income and payments over the people in one year, from means over draws.

    Raises
    ------
    ForecasterError
        When the scheme has no grading table, or the basis does not know its people.
    """
    missing = [name for name in ("grading_floor", "grading_ceiling") if not policy.has(name)]
    if missing or "population" not in basis.drivers:
        lacking = ", ".join(missing) or "population in the basis"
        raise ForecasterError(f"income groups need a grading table and people; there is no {lacking}")
    t = int(year - basis.years[0])
    grown = np.broadcast_to(grading_factor(basis, policy)[:, 0], len(basis.years))
    law = policy.reform(Reform())
    people = basis.drivers["population"].mean(axis=1)
    amounts = insured_amounts(basis, law, given)
    ranks = (np.arange(N_POINTS) + 0.5) / N_POINTS
    amount, at_floor = amounts.at(ranks), ranks <= amounts.at_floor
    by_law, ends = (
        tuple(p.path(name, basis.years)[t] for name in ("grading_floor", "grading_ceiling")) for p in (law, policy)
    )
    charged = _charged_amounts(amount, at_floor, by_law, ends, grown[t])
    premiums = projection.premiums
    per_head = 1e9 / 12.0 / people[t]
    monthly = basis.general_base.mean(axis=1) / people
    other = amount**given.exponent
    # What people earn besides is the law's charged base; a reform's thresholds move what is charged of it, not it.
    earned = sum(basis.supplementary_base[i].mean(axis=1)[t] for i in _insured_items(basis, policy))
    paid = {
        "general": (premiums.general["insured"], charged),
        "supplementary": (premiums.supplementary["insured"], other),
        "employers": (premiums.general["employer"] + premiums.supplementary["employer"], charged),
    }
    payments = {name: total.mean(axis=1)[t] * per_head * key / key.mean() for name, (total, key) in paid.items()}
    return IncomeGroups(amount * monthly[t] / monthly[0] + earned * per_head * other / other.mean(), payments)


def insured_amounts(basis: Basis, law: Policy, given: Incidence) -> InsuredAmounts:
    """Insured amounts per charged head a month in the first projected year, TWD nominal, from means over draws."""
    monthly = float(basis.general_base[0].mean() * 1e9 / 12.0 / basis.drivers["population"][0].mean())
    floor, ceiling = (float(law.path(name, basis.years[:1])[0]) for name in ("grading_floor", "grading_ceiling"))
    heads = insured_heads(basis, law)
    return amounts_of(monthly, floor, ceiling, given.lowest_step_people / heads, given.step, given.people / heads)


def insured_heads(basis: Basis, law: Policy) -> float:
    """People who are not someone's dependant in the first projected year, by the announced average of dependants."""
    people = float(basis.drivers["population"][0].mean())
    return people / (1.0 + float(law.path("average_dependants", basis.years[:1])[0]))


def income_check(basis: Basis, law: Policy, given: Incidence) -> tuple[float, float]:
    """Ninth decile of insured amounts, first year, and of employees' wages as published; TWD a month, nominal.

    The one was not fitted to the other; wages are of employees alone, of their year, with bonuses.
    """
    return float(insured_amounts(basis, law, given).at(np.array([0.9]))[0]), given.ninth_decile


def _charged_amounts(
    amount: Array, at_floor: Array, law: tuple[float, ...], ends: tuple[float, ...], grown: float
) -> Array:
    """Amounts charged under other ends of the table: those they reach bear what the ledger has of it, ``grown``.

    Whoever stands at the lowest step goes with it.
    """
    by_law, moved = (np.where(at_floor, low, np.clip(amount, low, high)) for low, high in (law, ends))
    reached = moved - by_law
    if grown == 1.0 or not reached.any():
        return by_law
    return by_law + reached * (grown - 1.0) * by_law.mean() / reached.mean()


def _insured_items(basis: Basis, policy: Policy) -> tuple[str, ...]:
    return tuple(k for k in basis.supplementary_base if policy.scheme.supplementary_items[k].payer == "insured")
