"""Years of a plain pool that stand apart: shocks and figures weighed under heavy tails before the chains run.

NumPy only, as :mod:`forecaster_models.plain_paths`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forecaster.plain_futures import SHOCK_NU
from forecaster_models.plain_paths import (
    PlainData,
    Weights,
    break_states,
    coefficients,
    evidence,
    on_footing,
    prior_of,
    state_names,
)
from forecaster_models.priors import Priors

Array = np.ndarray

# Student-t degrees of freedom of what a booked year differs from its path by: low, so that one wrong figure is left
# standing alone rather than followed.
NOISE_NU = 3.0
# Scales at which the years that stand apart are first looked for; those of shocks and noise then follow the data, held
# by as many years of the first scale.
FIRST_SCALES = {
    "cost_sd": 0.017,
    "base_sd": 0.017,
    "noise_sd": 0.006,
    "cost_drift_sd": 0.017,
    "base_drift_sd": 0.017,
    "correlation": 0.15,
    "drift_correlation": 0.6,
}
HELD_BY = 4.0
# A year stands apart if its weight is below this: a shock of more than four scales.
APART = 0.25


def smoothed(data: PlainData, priors: Priors, scales: Mapping[str, float], weights: Weights) -> tuple[Array, Array]:
    """Mean and covariance of the states given the evidence, for known scales."""
    prior, seen = prior_of(data, priors, weights), evidence(data, weights)
    covariance = prior.fixed + np.tensordot(coefficients(scales), prior.terms, axes=1)
    across = seen.matrix @ covariance
    error = np.diag(scales["noise_sd"] ** 2 * seen.noise + seen.error**2)
    gain = np.linalg.solve(across @ seen.matrix.T + error, across).T
    return prior.mean + gain @ (seen.value - seen.matrix @ prior.mean), covariance - gain @ across


def robust_weights(data: PlainData, priors: Priors) -> Weights:
    """Weights of shocks and booked flows under Student-t tails, by expectation and maximisation.

    A t variable is normal given its weight; the weights' expectations given the smoothed states are taken as they are,
    so that the states stay Gaussian. Figures that stand alone between their neighbours begin with no weight: else the
    path would go through them and come back.
    """
    n = len(data.accounts.years)
    cost, base, cost_drift, base_drift, lasting = state_names(data)
    weights = Weights(np.ones((2, n - 1)), _lone_figures(data), _filled_paths(data))
    scales = dict(FIRST_SCALES)
    rows = np.zeros((2, n - 1, break_states(data).stop))
    booked_rows, true_rows = on_footing(data, data.footing), on_footing(data, data.reserve_footing)
    every = np.arange(n - 1)
    for i, (name, path, drift) in enumerate((("cost", cost, cost_drift), ("base", base, base_drift))):
        rows[i, every, path.start + every + 1] = 1.0
        rows[i, every, path.start + every] = -1.0
        rows[i, every, drift.start + every] = -1.0
        rows[i, :, lasting["growth"]] = rows[i, :, lasting[f"{name}_excess"]] = -1.0
    rows[0, :, lasting["ageing"]] = -data.age_step
    volume = np.stack([data.head_step, data.worker_step])
    known = np.isfinite(data.log_flows)
    for _ in range(40):
        mean, covariance = smoothed(data, priors, scales, weights)
        shock = (rows @ mean - volume) ** 2 + np.einsum("ijk,kl,ijl->ij", rows, covariance, rows)
        spread = np.einsum("ij,jk,ik->i", booked_rows, covariance, booked_rows)
        booked = (data.log_flows - booked_rows @ mean) ** 2 + spread
        own = np.array([[scales["cost_sd"]], [scales["base_sd"]]])
        shocks = (SHOCK_NU + 1.0) / (SHOCK_NU + shock / own**2)
        noise = np.where(known, (NOISE_NU + 1.0) / (NOISE_NU + booked / scales["noise_sd"] ** 2), 1.0)
        for i, name in enumerate(("cost_sd", "base_sd")):
            scales[name] = _scale(shocks[i] * shock[i], FIRST_SCALES[name])
        scales["noise_sd"] = _scale((noise * booked)[known], FIRST_SCALES["noise_sd"])
        weights = Weights(shocks, noise, true_rows @ mean)
    return weights


def _scale(squares: Array, first: float) -> float:
    return float(np.sqrt((squares.sum() + HELD_BY * first**2) / (squares.size + HELD_BY)))


def _filled_paths(data: PlainData) -> Array:
    """The flows with straight lines across gaps and their usual growth before and after."""
    n = len(data.accounts.years)
    every, parts = np.arange(n), []
    for series in (data.log_flows[:n], data.log_flows[n:]):
        at = np.flatnonzero(np.isfinite(series))
        growth = np.median(np.diff(series[at]) / np.diff(at))
        outside = np.minimum(every - at[0], 0) + np.maximum(every - at[-1], 0)
        parts.append(np.interp(every, at, series[at]) + growth * outside)
    return np.concatenate(parts)


def _lone_figures(data: PlainData) -> Array:
    """First weights of the booked flows: next to none for a figure far off the line between its neighbours."""
    n = len(data.accounts.years)
    weights = np.ones(2 * n)
    for start in (0, n):
        series = data.log_flows[start : start + n]
        at = np.flatnonzero(np.isfinite(series))
        while len(at) > 4:
            before, here, after = at[:-2], at[1:-1], at[2:]
            share = (here - before) / (after - before)
            off = np.abs(series[here] - (1.0 - share) * series[before] - share * series[after])
            worst = int(off.argmax())
            if off[worst] < max(0.15, 8.0 * np.median(off)):
                break
            weights[start + here[worst]] = NOISE_NU * (FIRST_SCALES["noise_sd"] / off[worst]) ** 2
            at = np.delete(at, worst + 1)
    return weights


def standing_apart(data: PlainData, weights: Weights) -> dict[str, list[int]]:
    """Years whose figure stands alone, and years whose step stands apart, by line."""
    n, years = len(data.accounts.years), data.accounts.years
    found: dict[str, list[int]] = {}
    for i, name in enumerate(("outgo", "income")):
        found[f"{name} figure"] = years[weights.booked[i * n : (i + 1) * n] < APART].tolist()
        found[f"{name} step"] = years[1:][weights.shocks[i] < APART].tolist()
    return {name: value for name, value in found.items() if value}
