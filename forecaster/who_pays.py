r"""Who pays: by payer and category, and by income group; how progressive the premiums are; who bears what by age.

**Income groups.** Insured amounts *y* per charged head are lognormal before the grading table's floor *f* and ceiling
*c*; their spread is such that the published number of people lies above a published step, their level such that the
charged amounts :math:`a(y) = \min(\max(y, f), c)` have the mean of the projection. Other income on which the
supplementary premium is charged is :math:`s(y) \propto y^{\beta}`, scaled to the projection's charged base. What
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
from scipy.stats import norm

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
    lowest_step_people, ninth_decile
        Published figures that incomes are held against: people concerned by the last rise of the lowest step, and the
        ninth decile of employees' wages over their median.
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
        lowest_step_people=raw["checks"]["lowest_step_people"],
        ninth_decile=raw["checks"]["ninth_decile_over_median"],
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


def spread_of(mean: float, floor: float, ceiling: float, step: float, share: float) -> float:
    """Standard deviation of log amounts whose charged mean is ``mean`` and of which ``share`` lie above ``step``.

    Raises
    ------
    ForecasterError
        When no lognormal has both.
    """
    z = float(norm.ppf(1.0 - share))

    def gap(spread: float) -> float:
        return charged_mean(np.log(step) - z * spread, spread, floor, ceiling) - mean

    low, high = 0.05, z - 1e-6
    if gap(low) * gap(high) > 0.0:
        raise ForecasterError(
            f"no lognormal distribution has a charged mean of {mean:,.0f} and {share:.2%} above {step:,.0f}: look at "
            "the figures of data/incidence"
        )
    return float(brentq(gap, low, high, xtol=1e-10))


def charged_mean(log_median: float, spread: float, floor: float, ceiling: float) -> float:
    r"""Mean of lognormal amounts counted from a floor up to a ceiling.

    :math:`f\,\Phi(z_f) + e^{\mu + s^2/2} (\Phi(z_c - s) - \Phi(z_f - s)) + c\,(1 - \Phi(z_c))` with
    :math:`z_x = (\ln x - \mu) / s`.
    """
    low, high = ((np.log(max(x, 1e-9)) - log_median) / spread for x in (floor, ceiling))
    middle = np.exp(log_median + 0.5 * spread**2) * (norm.cdf(high - spread) - norm.cdf(low - spread))
    return float(floor * norm.cdf(low) + middle + ceiling * (1.0 - norm.cdf(high)))


def level_of(mean: float, spread: float, floor: float, ceiling: float) -> float:
    """Log median at which the charged mean is that of the projection; the mean must lie between floor and ceiling."""

    def gap(log_median: float) -> float:
        return charged_mean(log_median, spread, floor, ceiling) - mean

    return float(brentq(gap, np.log(mean) - 20.0, np.log(mean) + 20.0, xtol=1e-12))


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
    floor, ceiling = (law.path(name, basis.years) for name in ("grading_floor", "grading_ceiling"))
    people = basis.drivers["population"].mean(axis=1)
    spread, monthly = _spread(basis, law, given)
    log_median = level_of(monthly[t], spread, floor[t], ceiling[t])
    points = norm.ppf((np.arange(N_POINTS) + 0.5) / N_POINTS)
    amount = np.exp(log_median + spread * points)
    ends = (policy.path(name, basis.years)[t] for name in ("grading_floor", "grading_ceiling"))
    charged = _charged_amounts(amount, (floor[t], ceiling[t]), tuple(ends), grown[t])
    premiums = projection.premiums
    per_head = 1e9 / 12.0 / people[t]
    other = np.exp(given.exponent * spread * points)
    # What people earn besides is the law's charged base; a reform's thresholds move what is charged of it, not it.
    earned = sum(basis.supplementary_base[i].mean(axis=1)[t] for i in _insured_items(basis, policy))
    paid = {
        "general": (premiums.general["insured"], charged),
        "supplementary": (premiums.supplementary["insured"], other),
        "employers": (premiums.general["employer"] + premiums.supplementary["employer"], charged),
    }
    payments = {name: total.mean(axis=1)[t] * per_head * key / key.mean() for name, (total, key) in paid.items()}
    return IncomeGroups(amount + earned * per_head * other / other.mean(), payments)


def _spread(basis: Basis, law: Policy, given: Incidence) -> tuple[float, Array]:
    """Spread of the logs of insured amounts, and their mean per charged head a month, TWD nominal, ``(year,)``."""
    people = basis.drivers["population"].mean(axis=1)
    monthly = basis.general_base.mean(axis=1) * 1e9 / 12.0 / people
    floor, ceiling = (float(law.path(name, basis.years[:1])[0]) for name in ("grading_floor", "grading_ceiling"))
    return spread_of(monthly[0], floor, ceiling, given.step, given.people / insured_heads(basis, law)), monthly


def insured_heads(basis: Basis, law: Policy) -> float:
    """People who are not someone's dependant in the first projected year, by the announced average of dependants."""
    people = float(basis.drivers["population"][0].mean())
    return people / (1.0 + float(law.path("average_dependants", basis.years[:1])[0]))


def income_checks(basis: Basis, law: Policy, given: Incidence) -> dict[str, tuple[float, float]]:
    """What the assumed incomes say of figures that they were not fitted to, and what is published, first year.

    Returns
    -------
    dict
        ``lowest_step``: share of the insured at or below the lowest step; published are those whom its last rise
        concerned. ``ninth_decile``: of insured amounts over their median; published is that of employees' wages.
    """
    spread, monthly = _spread(basis, law, given)
    floor, ceiling = (float(law.path(name, basis.years[:1])[0]) for name in ("grading_floor", "grading_ceiling"))
    below = norm.cdf((np.log(floor) - level_of(monthly[0], spread, floor, ceiling)) / spread)
    tenth = np.exp(spread * norm.ppf(0.9))
    published = given.lowest_step_people / insured_heads(basis, law)
    return {"lowest_step": (float(below), published), "ninth_decile": (float(tenth), given.ninth_decile)}


def _charged_amounts(amount: Array, law: tuple[float, ...], ends: tuple[float, ...], grown: float) -> Array:
    """Amounts charged under other ends of the table: those they reach bear what the ledger has of it, ``grown``."""
    by_law = np.clip(amount, law[0], law[1])
    reached = np.clip(amount, ends[0], ends[1]) - by_law
    if grown == 1.0 or not reached.any():
        return by_law
    return by_law + reached * (grown - 1.0) * by_law.mean() / reached.mean()


def _insured_items(basis: Basis, policy: Policy) -> tuple[str, ...]:
    return tuple(k for k in basis.supplementary_base if policy.scheme.supplementary_items[k].payer == "insured")
