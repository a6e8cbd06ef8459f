"""Theories of how spending grows, averaged: which draws of a basis follow which, with the weights of the backtest.

A fit leaves the draws of its fund block under each theory; here they are put together. No model is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from forecaster.errors import ForecasterError

Array = np.ndarray
# Of a theory: ``rows``, which draws of the fit's posterior it takes, and by name what it puts in their place.
Theory = Mapping[str, Array]

# The theory that leaves every source of growth open, the fund block's own priors, and those that close some.
OPEN = "theory_open"
THEORIES = {
    OPEN: "income, an excess and a drift, all learnt",
    "theory_income": "income alone, with an elasticity",
    "theory_excess": "GDP and a constant excess",
    "theory_returning": "GDP and an excess that fades",
    "theory_trend": "a trend of its own, whatever income does",
}
ROWS = "rows"
WEIGHED = "Growth of cost: theories averaged with the weights of the backtest; forecaster theories shows them."
UNWEIGHED = "Growth of cost: theories averaged with equal weights, for no backtest has weighed them (assumed)."
# Outcomes below which weights would be read from noise: the theories then weigh the same.
LEAST_OUTCOMES = 10
# Records as they might have been, over which weights are averaged.
RESAMPLED = 500
_SEED = 20261122
_GOLDEN = (5.0**0.5 - 1.0) / 2.0


@dataclass(frozen=True)
class Weighting:
    """Weights of theories by name, which sum to 1, and the sentence that goes with what is made by them."""

    weights: dict[str, float]
    remark: str


def weighting(names: list[str], judged: Mapping[str, Any] | None, chosen: str | None = None) -> Weighting:
    """Weights of the theories that a fit holds.

    Parameters
    ----------
    names
        The theories of the fit.
    judged
        What the certificate says of theories: ``weights`` by name and the number of ``outcomes`` behind them. None
        without a backtest.
    chosen
        The only one to follow.

    Raises
    ------
    ForecasterError
        When the chosen one is not among them.
    """
    if chosen is not None:
        if chosen not in names:
            held = ", ".join(names) or "none: its cost is one line of yearly accounts"
            raise ForecasterError(f"theory {chosen!r} is not one of this fit's; it holds {held}")
        return Weighting({chosen: 1.0}, f"Growth of cost: {THEORIES[chosen]}; the other theories were set aside.")
    told = judged if judged is not None and judged["outcomes"] >= LEAST_OUTCOMES else {"weights": {}}
    known = {name: float(told["weights"].get(name, 0.0)) for name in names}
    total = sum(known.values())
    if total <= 0.0:
        return Weighting(equal_weights(names), UNWEIGHED)
    return Weighting({name: weight / total for name, weight in known.items()}, WEIGHED)


def equal_weights(names: list[str]) -> dict[str, float]:
    """The same weight for each."""
    return dict.fromkeys(names, 1.0 / len(names))


def assigned(weights: Mapping[str, float], n: int) -> Array:
    """Which theory each draw follows, as an index into ``weights``, shape ``(n,)``.

    By the golden ratio's multiples, so that every stretch of draws holds each theory nearly in proportion.
    """
    share = np.cumsum(list(weights.values()))
    place = np.mod((np.arange(n) + 0.5) * _GOLDEN, 1.0) * share[-1]
    return np.minimum(np.searchsorted(share, place, side="right"), len(share) - 1)


def averaged(
    posterior: Mapping[str, Array], theories: Mapping[str, Theory], weights: Mapping[str, float]
) -> dict[str, Array]:
    """Draws of a fit that follow the theories in proportion to their weights.

    Parameters
    ----------
    posterior
        Kept variables of a fit, draw first; the open theory.
    theories
        The others by name.
    weights
        By name, :data:`OPEN` among them or not; a theory without a weight is left out.
    """
    n = len(next(iter(posterior.values())))
    whose = assigned(weights, n)
    rows = np.arange(n)
    for i, name in enumerate(weights):
        if name in theories:
            rows[whose == i] = theories[name][ROWS][whose == i]
    found = {name: values[rows] for name, values in posterior.items()}
    for i, name in enumerate(weights):
        for variable, values in theories.get(name, {}).items():
            if variable != ROWS:
                found[variable][whose == i] = values[whose == i]
    return found


def stored_theories(theories: Mapping[str, Theory]) -> dict[str, tuple[str, Array]]:
    """Theories' draws as variables beside those of a posterior, ``theory.variable``, along ``sample``."""
    return {
        f"{theory}.{name}": ("sample", values) for theory, draws in theories.items() for name, values in draws.items()
    }


def parted(stored: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, dict[str, Array]]]:
    """Posterior and theories of what :func:`stored_theories` put together."""
    posterior: dict[str, Array] = {}
    theories: dict[str, dict[str, Array]] = {}
    for name, values in stored.items():
        theory, _, variable = name.rpartition(".")
        if theory:
            theories.setdefault(theory, {})[variable] = values
        else:
            posterior[name] = values
    return posterior, theories


@dataclass(frozen=True)
class Distances:
    r"""How far forecasts of several theories lay from what came and from each other, by outcome, relative to it.

    With *X* of theory *k* and *y* what came, the CRPS of the theories' average with weights *w* is

    .. math:: \sum_k w_k E|X_k - y| - \tfrac12 \sum_{kl} w_k w_l E|X_k - X_l|

    convex in the weights (Gneiting and Raftery, 2007, on the energy form).

    Parameters
    ----------
    off
        :math:`E|X_k - y| / y` by theory, shape ``(outcome, theory)``.
    apart
        :math:`E|X_k - X_l| / y`, shape ``(outcome, theory, theory)``.
    """

    names: list[str]
    off: Array
    apart: Array

    def crps(self, weights: Mapping[str, float]) -> float:
        """Mean CRPS of the average with these weights, relative to the outcome."""
        w = np.array([weights.get(name, 0.0) for name in self.names])
        return float((self.off @ w - 0.5 * self.apart @ w @ w).mean())


def distances(forecasts: Mapping[str, list[Array]], outcomes: list[float]) -> Distances:
    """Distances of theories' forecasts.

    Parameters
    ----------
    forecasts
        By theory, a forecast's draws for each outcome; all theories have equally many of one outcome.
    outcomes
        What came, positive; at least one.
    """
    off, apart = [], []
    for i, came in enumerate(outcomes):
        draws = [np.asarray(each[i], float) / came for each in forecasts.values()]
        off.append([np.abs(own - 1.0).mean() for own in draws])
        apart.append([[_apart(own, other) for other in draws] for own in draws])
    return Distances(list(forecasts), np.array(off), np.array(apart))


def _apart(one: Array, other: Array) -> float:
    """Mean distance of the draws of two forecasts, without the pairs at the same place.

    Those of a forecast with itself are the same draw, and those of two theories share what is drawn for the future.
    """
    n = len(one)
    across = _between_all(np.concatenate([one, other])) - _between_all(one) - _between_all(other)
    return float((across - np.abs(one - other).sum()) / (n * (n - 1)))


def _between_all(values: Array) -> float:
    """Sum of the distances of all pairs, by the places that values have in their order."""
    n = len(values)
    return float((2.0 * np.arange(n) - n + 1.0) @ np.sort(values))


def stacked_weights(
    forecasts: Mapping[str, list[Array]], outcomes: list[float], origins: list[int], targets: list[int]
) -> dict[str, float]:
    """Weights whose average of the theories would have forecast best, as far as these outcomes can tell.

    Stacking of predictive distributions (Yao and others, 2018): least mean CRPS, by :class:`Distances`. Few outcomes
    that overlap would put all weight on whichever theory came first by luck; so the weights are the mean over
    :data:`RESAMPLED` records as they might have been, in which each origin and each target year counts at random
    (a Bayesian bootstrap by both, Owen and Eckles, 2012). The more outcomes, the nearer to plain stacking. Fewer than
    :data:`LEAST_OUTCOMES` say nothing, and all theories weigh the same.

    Parameters
    ----------
    forecasts, outcomes
        As :func:`distances` takes them.
    origins, targets
        Year at whose end each outcome was forecast, and its own year.
    """
    names = list(forecasts)
    if len(outcomes) < LEAST_OUTCOMES:
        return equal_weights(names)
    told = distances(forecasts, outcomes)
    rng = np.random.default_rng(_SEED)
    found = np.zeros(len(names))
    for _ in range(RESAMPLED):
        counts = np.ones(len(outcomes))
        for years in (origins, targets):
            each, place = np.unique(years, return_inverse=True)
            counts *= rng.standard_exponential(len(each))[place]
        counts /= counts.sum()
        found += _best(counts @ told.off, np.tensordot(counts, told.apart, axes=1))
    found = (found / RESAMPLED).round(4)
    return {name: float(weight) for name, weight in zip(names, found / found.sum(), strict=True)}


def _best(off: Array, apart: Array) -> Array:
    """Weights of least CRPS."""
    scale = off.min()
    solved = minimize(
        lambda w: (w @ off - 0.5 * w @ apart @ w) / scale,
        np.full(len(off), 1.0 / len(off)),
        jac=lambda w: (off - apart @ w) / scale,
        bounds=[(0.0, 1.0)] * len(off),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 500},
    )
    found: Array = np.clip(solved.x, 0.0, None)
    return found / found.sum()


def thinned(values: Array, n: int) -> Array:
    """At most so many draws, evenly spread."""
    return values if len(values) <= n else values[np.linspace(0, len(values) - 1, n).round().astype(int)]
