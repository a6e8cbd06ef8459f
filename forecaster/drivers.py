r"""Which uncertainty matters: shares of the variance of an outcome, and what knowing a driver would be worth.

**Groups.** The paths of a basis fall into groups that together make its accounts: people, economy, cost beyond both,
contribution base beyond GDP, other bases, and what is left (opening reserve, other income, yield). Each group is told
by the mean of its log series through the year in question and by its value in that year. Beside them stand the named
quantities of the posterior, of which those with many entries are told by their first principal components.

**Variance.** With the outcome *T* regressed on a group's terms (the terms, their squares and products),
:math:`R^2_S` estimates :math:`\mathrm{Var}\,E[T \mid X_S] / \mathrm{Var}\,T` for groups *S*, less what as many terms of
pure chance would explain. *Alone* is :math:`R^2` of one group; *share* is its mean gain over all orders of adding the
groups (Shapley), so that the shares and what stays unexplained sum to one.

**Value of information.** A rate that is to be enough with probability *p* is the *p* quantile of the rates *R* that the
draws need. It is the decision with the least expected loss when a point too little costs *p* and one too much
:math:`1 - p`,

.. math::
    \ell(r) = E\left[p\,(R - r)^+ + (1 - p)\,(r - R)^+\right]

What is left of it at the best *r* is the value of knowing everything; what it falls by when the best *r* may depend on
a group is the expected value of knowing that group (partial perfect information; by regression, Strong, Oakley and
Brennan 2014): :math:`r(X) = m(X) + Q_p(R - m(X))` with the regression *m*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from forecaster.basis import Basis

Array = np.ndarray
# Most terms of a group before principal components take their place.
MOST_TERMS = 5
# Least share of the spread of a column by which it counts as a number that differs between draws.
_SAME = 1e-12


@dataclass(frozen=True)
class Importance:
    """What a group of uncertain quantities does to an outcome.

    Attributes
    ----------
    alone
        Share of the variance that the group explains by itself.
    share
        Its part when all groups are credited; None for quantities that are not split.
    worth
        Expected value of knowing the group for the choice of the rate, in the rate's unit.
    """

    alone: float
    share: float | None
    worth: float


def path_groups(basis: Basis, year: int) -> dict[str, Array]:
    """Terms of each group of paths through a year, ``(draw, term)``; groups that do not vary are left out."""
    t = int(year - basis.years[0]) + 1
    drivers, outlay, base = basis.drivers, basis.outlay, basis.general_base
    others = {"opening reserve, other income, yield": [basis.opening_reserve[None], basis.other_income_total]}
    others["opening reserve, other income, yield"].append(basis.investment_yield)
    if {"population", "need_index", "gdp_nominal", "population_20_to_64"} <= set(drivers):
        need, gdp, people = drivers["need_index"], drivers["gdp_nominal"], drivers["population"]
        groups = {
            "people: need and working age": [np.log(need), np.log(drivers["population_20_to_64"])],
            "economy: GDP per person of working age": [np.log(gdp / drivers["population_20_to_64"])],
            "cost beyond need and GDP per head": [np.log(outlay / need / (gdp / people))],
            "contribution base against GDP": [np.log(base / gdp)],
        }
        reference = gdp
    else:
        groups = {"cost": [np.log(outlay)], "contribution base": [np.log(base)]}
        reference = np.ones_like(outlay)
    if basis.supplementary_base:
        bases = basis.supplementary_sum(tuple(basis.supplementary_base))
        groups["supplementary base against GDP"] = [np.log(np.maximum(bases, 1e-12) / reference)]
    found = {}
    for name, series in {**groups, **others}.items():
        terms = [values[:t].mean(axis=0) for values in series] + [values[:t][-1] for values in series]
        if (kept := varying(np.stack(terms, axis=1))).shape[1]:
            found[name] = kept
    return found


def posterior_groups(posterior: Mapping[str, Array]) -> dict[str, Array]:
    """Terms of each named quantity, ``(draw, term)``: itself, or its first principal components."""
    found = {}
    for name, values in posterior.items():
        terms = varying(np.asarray(values, dtype=float).reshape(len(values), -1))
        if terms.shape[1] > MOST_TERMS:
            u, s, _ = np.linalg.svd(terms - terms.mean(axis=0), full_matrices=False)
            terms = u[:, :MOST_TERMS] * s[:MOST_TERMS]
        if terms.shape[1]:
            found[name] = terms
    return found


def varying(terms: Array) -> Array:
    """Columns that differ between draws, standardised; repeated ones once."""
    sd = terms.std(axis=0)
    kept = terms[:, sd > _SAME * np.maximum(1.0, np.abs(terms).max(axis=0, initial=0.0))]
    if not kept.shape[1]:
        return kept
    scaled = (kept - kept.mean(axis=0)) / kept.std(axis=0)
    _, first = np.unique(scaled.round(9), axis=1, return_index=True)
    return scaled[:, np.sort(first)]


@dataclass(frozen=True)
class _Design:
    """Terms, their squares and products as standardised columns, with all their inner products over the draws.

    Attributes
    ----------
    columns
        Shape ``(draw, column)``.
    factors
        The one or two terms that each column is made of.
    """

    columns: Array
    factors: tuple[frozenset[int], ...]
    products: Array

    @classmethod
    def of(cls, terms: Array) -> _Design:
        """Design of some terms, ``(draw, term)``."""
        n = terms.shape[1]
        pairs = [(i, j) for i in range(n) for j in range(i, n)]
        raw = np.column_stack([terms, *(terms[:, i] * terms[:, j] for i, j in pairs)])
        raw = raw - raw.mean(axis=0)
        sd = raw.std(axis=0)
        columns = raw / np.where(sd > _SAME, sd, 1.0)
        factors = [frozenset({i}) for i in range(n)] + [frozenset(pair) for pair in pairs]
        return cls(columns, tuple(factors), columns.T @ columns / len(columns))

    def along(self, outcome: Array) -> Array:
        """Covariance of each column with an outcome, shape ``(column,)``."""
        return self.columns.T @ (outcome - outcome.mean()) / len(outcome)

    def fit(self, along: Array, chosen: frozenset[int] | None = None) -> tuple[Array, int]:
        """Coefficients, zero for columns not chosen, and how many are independent, the constant counted."""
        used = np.array([chosen is None or made <= chosen for made in self.factors], dtype=bool)
        coefficients = np.zeros(len(used))
        values, vectors = np.linalg.eigh(self.products[np.ix_(used, used)])
        kept = values > 1e-9 * values.max(initial=1.0)
        coefficients[used] = vectors[:, kept] @ ((vectors[:, kept].T @ along[used]) / values[kept])
        return coefficients, int(kept.sum()) + 1

    def explained(self, along: Array, variance: float, chosen: frozenset[int] | None = None) -> float:
        """Share of the variance explained, less what chance explains with as many columns; never below zero."""
        if variance == 0.0:
            return 0.0
        coefficients, rank = self.fit(along, chosen)
        n = len(self.columns)
        left = 1.0 - float(coefficients @ along) / variance
        return max(0.0, 1.0 - left * (n - 1.0) / max(n - rank, 1.0))


def shapley_shares(groups: Mapping[str, Array], outcome: Array) -> dict[str, float]:
    """Each group's mean gain in explained variance over all orders; they sum to what all explain together."""
    names = tuple(groups)
    n, ends = len(names), np.cumsum([0, *(terms.shape[1] for terms in groups.values())])
    places = {name: frozenset(range(ends[i], ends[i + 1])) for i, name in enumerate(names)}
    design = _Design.of(np.column_stack(list(groups.values())))
    along, variance = design.along(outcome), float(outcome.var())
    shares = dict.fromkeys(names, 0.0)
    for size in range(n + 1):
        for chosen in combinations(names, size):
            value = design.explained(along, variance, frozenset().union(*(places[name] for name in chosen)))
            for name in names:
                inside = name in chosen
                others = size - inside
                weight = math.factorial(others) * math.factorial(n - others - 1) / math.factorial(n)
                shares[name] += (weight if inside else -weight) * value
    return shares


def expected_loss(needs: Array, probability: float) -> float:
    """Least expected loss of one value for all draws; the best value is the quantile."""
    short = needs - np.quantile(needs, probability)
    return float(np.mean(np.where(short > 0.0, probability * short, (probability - 1.0) * short)))


def worth_of_knowing(terms: Array, needs: Array, probability: float) -> float:
    """By how much the expected loss falls when the value may depend on the terms; never below zero."""
    design = _Design.of(terms)
    coefficients, rank = design.fit(design.along(needs))
    n = len(needs)
    residual = (needs - needs.mean() - design.columns @ coefficients) * math.sqrt(n / max(n - rank, 1))
    return max(0.0, expected_loss(needs, probability) - expected_loss(residual, probability))


def importance(
    groups: Mapping[str, Array], outcome: Array, needs: Array, probability: float, *, split: bool = True
) -> dict[str, Importance]:
    """Every group's importance for an outcome and for the choice of a rate, most important first.

    Parameters
    ----------
    groups
        Name to terms, ``(draw, term)``.
    outcome, needs
        Outcome, and rate that each draw needs, ``(draw,)``.
    split
        Whether to credit the groups jointly, which takes a regression for each of their subsets.
    """
    shares = shapley_shares(groups, outcome) if split else {}
    found = {}
    for name, terms in groups.items():
        design = _Design.of(terms)
        alone = design.explained(design.along(outcome), float(outcome.var()))
        found[name] = Importance(alone, shares.get(name), worth_of_knowing(terms, needs, probability))
    return dict(sorted(found.items(), key=lambda item: -max(item[1].alone, item[1].share or 0.0)))
