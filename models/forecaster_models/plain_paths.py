"""The states of a plain pool: their Gaussian prior, and the figures as measurements of them.

NumPy only: the PyMC model takes these matrices and adds what multiplies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from scipy.linalg.lapack import dpotri

from forecaster.errors import Fault, FaultyInput
from forecaster.plain_futures import DRIFT_PERSISTENCE, past_people
from forecaster.pool_accounts import TOLERANCE, Accounts
from forecaster.pools import Break
from forecaster_models.priors import Priors

Array = np.ndarray

# Priors that enter the paths linearly and are integrated out with them.
LINEAR = ("growth", "cost_excess", "base_excess", "cost_start", "base_start", "ageing")
# The last states: of these priors the future needs the values.
LASTING = ("growth", "cost_excess", "base_excess", "ageing")
# Standard deviation of the first level around the first figure: wide, the figures settle it.
LEVEL_SD = 1.0


@dataclass(frozen=True)
class PlainData:
    """What the model is conditioned on; money nominal, in the pool's unit.

    Attributes
    ----------
    accounts
        The accounts themselves.
    log_flows
        Logs of outgo and of the contribution base (premium income by premium rate), NaN where not known, outgo first,
        ``(2 year,)``.
    log_per_base
        Log of income a unit of base: the rate, by the share of income that is premium, ``(year,)``.
    head_step, age_step, worker_step
        Yearly log change of members, of need a member, and of those who pay, ``(year - 1,)``.
    breaks
        Years whose figures stand on another footing.
    """

    accounts: Accounts
    log_flows: Array
    log_per_base: Array
    head_step: Array
    age_step: Array
    worker_step: Array
    breaks: tuple[Break, ...] = ()

    @property
    def footing(self) -> Array:
        """Whether a flow stands on the footing of a break, outgo first, ``(break, 2 year)``."""
        years = self.accounts.years
        none = np.zeros_like(years, dtype=bool)
        rows = []
        for item in self.breaks:
            within = (years >= item.first) & (years <= item.last)
            rows.append(np.concatenate([within, none] if item.line == "outgo" else [none, within]))
        return np.array(rows, dtype=float).reshape(len(self.breaks), 2 * len(years))

    @property
    def reserve_footing(self) -> Array:
        """The same of the flows that the reserve follows: an estimate that is off moves no reserve."""
        kinds = np.array([item.kind == "perimeter" for item in self.breaks], dtype=float)
        return self.footing * kinds[:, None]


@dataclass(frozen=True)
class Weights:
    """How much a year counts: 1 in an ordinary one, near 0 where a shock or a figure stands apart.

    Attributes
    ----------
    shocks
        Of the yearly shocks of outgo and base, ``(2, year - 1)``.
    booked
        Of the booked flows, outgo first, ``(2 year,)``.
    centre
        Smoothed log paths of outgo and base as the reserve follows them, ``(2 year,)``.
    """

    shocks: Array
    booked: Array
    centre: Array


@dataclass(frozen=True)
class Prior:
    """The states, Gaussian given the scales, in the order of :func:`state_names`.

    Attributes
    ----------
    mean
        Prior mean, ``(state,)``.
    fixed
        Their covariance that hangs on no scale, ``(state, state)``.
    terms
        Covariances for scales of one, ``(6, state, state)``, in the order of :func:`coefficients`.
    """

    mean: Array
    fixed: Array
    terms: Array


@dataclass(frozen=True)
class Evidence:
    """Figures as noisy linear measurements of the states: ``value = matrix @ states + error``.

    Attributes
    ----------
    matrix, value
        Shapes ``(figure, state)`` and ``(figure,)``.
    noise
        Variance for a noise scale of one: the inverse weight of a booked flow, 0 for a sum that reserves tell.
    error
        Standard deviation beside the noise, ``(figure,)``.
    """

    matrix: Array
    value: Array
    noise: Array
    error: Array


def plain_data(
    accounts: Accounts,
    place: str,
    other_income_share: float = 0.0,
    people: Array | None = None,
    breaks: tuple[Break, ...] = (),
) -> PlainData:
    """Arrays of a pool's accounts, with its members or else the population of its country.

    Parameters
    ----------
    place
        ISO 3166 three-letter code.
    other_income_share
        Share of income that the premium rate does not move.
    people
        Members, those who pay, and members by the cost of their age, ``(3, year)``; the country's people when left out.
    breaks
        Years whose figures stand on another footing.
    """
    if people is None:
        people = past_people(place, int(accounts.years[0]), int(accounts.years[-1]))[[0, 1, 3]]
    total, working, need = people
    log_per_base = np.log(accounts.rate_filled / (1.0 - other_income_share))
    return PlainData(
        accounts=accounts,
        log_flows=np.concatenate([np.log(accounts.outgo), np.log(accounts.income) - log_per_base]),
        log_per_base=log_per_base,
        head_step=np.diff(np.log(total)),
        age_step=np.diff(np.log(need / total)),
        worker_step=np.diff(np.log(working)),
        breaks=breaks,
    )


def state_names(data: PlainData) -> tuple[slice, slice, slice, slice, dict[str, int]]:
    """Where the states stand: paths of log outgo and log base, drifts of both by step, and :data:`LASTING`."""
    n = len(data.accounts.years)
    drifts = slice(2 * n, 3 * n - 1), slice(3 * n - 1, 4 * n - 2)
    return slice(0, n), slice(n, 2 * n), *drifts, {name: 4 * n - 2 + i for i, name in enumerate(LASTING)}


def break_states(data: PlainData) -> slice:
    """Where the logs of the figures over those on today's footing stand, after all other states."""
    first = 4 * len(data.accounts.years) - 2 + len(LASTING)
    return slice(first, first + len(data.breaks))


def on_footing(data: PlainData, footing: Array) -> Array:
    """Paths of log outgo and log base as a footing has them, from the states, ``(2 year, state)``."""
    rows = np.eye(2 * len(data.accounts.years), break_states(data).stop)
    rows[:, break_states(data)] = footing.T
    return rows


def prior_of(data: PlainData, priors: Priors, weights: Weights) -> Prior:
    """Prior of the states, shocks widened in the years whose weight says that they stand apart."""
    n = len(data.accounts.years)
    mean, sd = linear_priors(priors)
    cost, base, cost_drift, base_drift, lasting = state_names(data)
    size = break_states(data).stop
    cumulated = np.tril(np.ones((n, n - 1)), -1)
    expected = np.zeros(size)
    for rows, step in ((cost, data.head_step), (base, data.worker_step)):
        first = np.flatnonzero(np.isfinite(data.log_flows[rows]))[0]
        path = cumulated @ step
        expected[rows] = data.log_flows[rows][first] + path - path[first]
    loadings = {name: np.zeros(size) for name in (*LINEAR, "cost_level", "base_level")}
    loadings["growth"][: 2 * n] = np.tile(cumulated.sum(axis=1), 2)
    loadings["ageing"][cost] = cumulated @ data.age_step
    fading = DRIFT_PERSISTENCE ** np.arange(n - 1)
    memory = np.linalg.cholesky(DRIFT_PERSISTENCE ** np.abs(np.subtract.outer(np.arange(n - 1), np.arange(n - 1))))
    # Shocks and drifts as loadings on independent units, one a year.
    shock, drift = np.zeros((2, size, n - 1)), np.zeros((2, size, n - 1))
    for i, (name, rows, own) in enumerate((("cost", cost, cost_drift), ("base", base, base_drift))):
        loadings[f"{name}_excess"][rows] = cumulated.sum(axis=1)
        loadings[f"{name}_start"][rows] = cumulated @ fading
        loadings[f"{name}_start"][own] = fading
        loadings[f"{name}_level"][rows] = 1.0
        shock[i, rows] = cumulated / np.sqrt(weights.shocks[i])
        drift[i, rows] = cumulated @ memory
        drift[i, own] = memory
    for name, state in lasting.items():
        loadings[name][state] = 1.0
    fixed = LEVEL_SD**2 * sum(np.outer(loadings[k], loadings[k]) for k in ("cost_level", "base_level"))
    for i, item in enumerate(data.breaks):
        at = break_states(data).start + i
        expected[at], fixed[at, at] = item.size, item.spread**2
    for name in LINEAR:
        expected = expected + mean[name] * loadings[name]
        fixed = fixed + sd[name] ** 2 * np.outer(loadings[name], loadings[name])
    terms = []
    for first, second in (shock, drift):
        crossed = first @ second.T
        terms += [first @ first.T, second @ second.T, crossed + crossed.T]
    return Prior(expected, fixed, np.array(terms))


def coefficients(scales: Mapping[str, Any]) -> list[Any]:
    """What multiplies the terms of :class:`Prior`: variances and covariances of shocks, then of drifts."""
    cost, base = scales["cost_sd"], scales["base_sd"]
    cost_drift, base_drift = scales["cost_drift_sd"], scales["base_drift_sd"]
    return [
        cost**2,
        base**2,
        scales["correlation"] * cost * base,
        cost_drift**2,
        base_drift**2,
        scales["drift_correlation"] * cost_drift * base_drift,
    ]


def linear_priors(priors: Priors) -> tuple[dict[str, float], dict[str, float]]:
    """Means and standard deviations of the priors that are integrated out.

    Raises
    ------
    FaultyInput
        When one of them is neither normal nor fixed.
    """
    faults = [
        Fault(f"plain.{name}", priors[name]["distribution"], "Normal or Fixed", "it is integrated out in closed form")
        for name in LINEAR
        if priors[name]["distribution"] not in {"Normal", "Fixed"}
    ]
    if faults:
        raise FaultyInput("priors of the plain block", faults)
    fixed = {name: priors[name]["distribution"] == "Fixed" for name in LINEAR}
    mean = {name: float(priors[name]["value" if fixed[name] else "mu"]) for name in LINEAR}
    return mean, {name: 0.0 if fixed[name] else float(priors[name]["sigma"]) for name in LINEAR}


def evidence(data: PlainData, weights: Weights) -> Evidence:
    """Booked flows, and the sums of flows that reserves tell where a flow between two of them is missing."""
    accounts, n = data.accounts, len(data.accounts.years)
    known = np.flatnonzero(np.isfinite(data.log_flows))
    rows, values = [on_footing(data, data.footing)[known]], [data.log_flows[known]]
    true = on_footing(data, data.reserve_footing)
    noise, errors = [1.0 / weights.booked[known]], [np.zeros(len(known))]
    reserves = np.flatnonzero(np.isfinite(accounts.reserve))
    money = np.exp(weights.centre + np.concatenate([np.zeros(n), data.log_per_base]))
    for before, after in pairwise(reserves):
        between = np.arange(before + 1, after + 1)
        estimated = (data.footing != data.reserve_footing).any(axis=0)
        if np.isfinite(accounts.income[between] + accounts.outgo[between]).all() and not (
            estimated[between].any() or estimated[n + between].any()
        ):
            continue  # the flows tell it better
        sign = np.zeros(2 * n)
        sign[between], sign[n + between] = -1.0, 1.0
        told = accounts.reserve[after] - accounts.reserve[before] - accounts.adjustment[between].sum()
        # Linear in the logs around the smoothed paths, in units of the outgo of the time.
        scale = money[between].mean()
        row = sign * money / scale
        rows.append((row @ true)[None, :])
        values.append([(told - sign @ money) / scale + row @ weights.centre])
        noise.append([0.0])
        errors.append([TOLERANCE * np.sqrt(len(between))])
    return Evidence(np.vstack(rows), np.concatenate(values), np.concatenate(noise), np.concatenate(errors))


@dataclass(frozen=True)
class LinearSystem:
    """The law of figures and wanted states as a sum of matrices, one a coefficient.

    Attributes
    ----------
    gap
        Figures less their prior mean, ``(figure,)``.
    mean
        Prior mean of the wanted states, ``(wanted,)``.
    figures, across, own
        Covariance of figures, of wanted states with figures, and of wanted states for every coefficient, with what
        hangs on none at the end: ``(8, figure, figure)``, ``(8, wanted, figure)``, ``(8, wanted, wanted)``.
    """

    gap: Array
    mean: Array
    figures: Array
    across: Array
    own: Array

    def log_density(self, by_scale: Array) -> tuple[float, Array]:
        """Log density of the figures, and its slope by each coefficient, ``(7,)``.

        Minus infinity, which the sampler takes for a step too long, where scales are so far apart that rounding leaves
        no positive covariance.
        """
        try:
            inverse, half_log = self._solved(by_scale)
        except LinAlgError:
            return -np.inf, np.zeros(len(by_scale))
        pull = inverse @ self.gap
        slope = self.figures[:-1].reshape(len(self.figures) - 1, -1) @ (np.outer(pull, pull) - inverse).ravel()
        return float(-0.5 * self.gap @ pull - half_log), 0.5 * slope

    def states(self, by_scale: Array, unit: Array) -> Array:
        """Wanted states drawn from their law given the figures, ``unit`` standard normal, ``(wanted,)``."""
        across, own = (self._summed(part, by_scale) for part in (self.across, self.own))
        gain = across @ self._solved(by_scale)[0]
        left = own - gain @ across.T
        spread, rotation = np.linalg.eigh(0.5 * (left + left.T))
        drawn: Array = self.mean + gain @ self.gap + rotation @ (np.sqrt(np.maximum(spread, 0.0)) * unit)
        return drawn

    def _solved(self, by_scale: Array) -> tuple[Array, float]:
        """Inverse of the figures' covariance and half the log of its determinant."""
        root = cholesky(self._summed(self.figures, by_scale), lower=True, check_finite=False)
        lower = dpotri(root, lower=1)[0]
        inverse = lower + np.tril(lower, -1).T
        return inverse, float(np.log(np.diag(root)).sum())

    @staticmethod
    def _summed(parts: Array, by_scale: Array) -> Array:
        total: Array = (by_scale @ parts[:-1].reshape(len(by_scale), -1)).reshape(parts[-1].shape) + parts[-1]
        return total


def linear_system(prior: Prior, seen: Evidence, wanted: Array) -> LinearSystem:
    """Figures and wanted states by coefficient: the six of :func:`coefficients`, then the variance of the noise."""
    measured = seen.matrix
    nothing = np.zeros_like(prior.fixed)
    states = np.array([*prior.terms, nothing, prior.fixed])
    figures = measured @ states @ measured.T
    figures[-2] += np.diag(seen.noise)
    figures[-1] += np.diag(seen.error**2)
    return LinearSystem(
        gap=seen.value - measured @ prior.mean,
        mean=prior.mean[wanted],
        figures=figures,
        across=states[:, wanted] @ measured.T,
        own=states[:, wanted][:, :, wanted],
    )


def reserve_terms(reserve: Array, adjustment: Array) -> tuple[Array, Array]:
    """Reserve of every year as ``constant + matrix @ (income - outgo)``, from the last known one, else the next one."""
    n = len(reserve)
    constant, matrix = np.zeros(n), np.zeros((n, n))
    known = np.flatnonzero(np.isfinite(reserve))
    for t in range(n):
        before = known[known <= t]
        anchor = before[-1] if before.size else known[0]
        between = np.arange(anchor + 1, t + 1) if anchor <= t else np.arange(t + 1, anchor + 1)
        sign = 1.0 if anchor <= t else -1.0
        constant[t] = reserve[anchor] + sign * adjustment[between].sum()
        matrix[t, between] = sign
    return constant, matrix
