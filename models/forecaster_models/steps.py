"""Yearly steps of two paths, spending and contribution base, whose drifts wander: the drifts integrated out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt

from forecaster.futures import DRIFT_PERSISTENCE

Array = np.ndarray


@dataclass(frozen=True)
class StepScales:
    """Standard deviations of the innovations and of the drifts of both paths, and the innovations' correlation."""

    cost_sd: Any
    base_sd: Any
    cost_drift_sd: Any
    base_drift_sd: Any
    correlation: Any


def drift_modes(n: int) -> tuple[Array, Array]:
    """Eigenvalues ``(mode,)`` and eigenvectors ``(step, mode)`` of a stationary AR(1) drift of unit variance."""
    lags = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.linalg.eigh(DRIFT_PERSISTENCE**lags)


@numba.njit(cache=True)
def steps_density(cost_gap, base_gap, cost_sd, base_sd, cost_drift_sd, base_drift_sd, correlation, value, vector):  # type: ignore[no-untyped-def]
    r"""Log density of both paths' steps beyond what is expected of them, and its slopes.

    .. math::
        g^C_t = d^C_t + e^C_t, \quad g^B_t = d^B_t + e^B_t, \qquad
        \operatorname{cov} d_t, d_s = \tau^2 \rho^{|t-s|}, \quad \rho = 0.9

    with the innovations *e* of one year correlated between the paths. In the eigenvectors of the drifts' covariance,
    the same for both, the modes are independent pairs with covariance

    .. math::
        \begin{pmatrix} \tau_C^2 \lambda_k + \sigma_C^2 & \kappa \sigma_C \sigma_B \\
        \cdot & \tau_B^2 \lambda_k + \sigma_B^2 \end{pmatrix}

    so that no drift has to be sampled.

    Parameters
    ----------
    cost_gap, base_gap
        Step less its expectation without the drift, log changes a year, shape ``(step,)``; both of the same years.
    value, vector
        Of :func:`drift_modes`.

    Returns
    -------
    tuple
        Density; slopes by both gaps, ``(step,)``; slopes by the five scales, in their order here.
    """
    n = len(cost_gap)
    cost, base = cost_gap @ vector, base_gap @ vector
    shared = correlation * cost_sd * base_sd
    density, by_shared = -n * np.log(2.0 * np.pi), 0.0
    pull_cost, pull_base, by_scale = np.empty(n), np.empty(n), np.zeros(5)
    for k in range(n):
        cost_var, base_var = cost_drift_sd**2 * value[k] + cost_sd**2, base_drift_sd**2 * value[k] + base_sd**2
        determinant = cost_var * base_var - shared * shared
        pull_cost[k] = (base_var * cost[k] - shared * base[k]) / determinant
        pull_base[k] = (cost_var * base[k] - shared * cost[k]) / determinant
        density -= 0.5 * (np.log(determinant) + cost[k] * pull_cost[k] + base[k] * pull_base[k])
        by_cost_var = 0.5 * (pull_cost[k] ** 2 - base_var / determinant)
        by_base_var = 0.5 * (pull_base[k] ** 2 - cost_var / determinant)
        by_shared += pull_cost[k] * pull_base[k] + shared / determinant
        by_scale[0] += 2.0 * cost_sd * by_cost_var
        by_scale[1] += 2.0 * base_sd * by_base_var
        by_scale[2] += 2.0 * cost_drift_sd * value[k] * by_cost_var
        by_scale[3] += 2.0 * base_drift_sd * value[k] * by_base_var
    by_scale[0] += by_shared * correlation * base_sd
    by_scale[1] += by_shared * correlation * cost_sd
    by_scale[4] = by_shared * cost_sd * base_sd
    return density, -(vector @ pull_cost), -(vector @ pull_base), by_scale


def name_drift_ends(prefix: str, cost_gap: Any, base_gap: Any, scales: StepScales, ends: tuple[int, int]) -> None:
    """Name the drifts of cost and base at the steps ``ends``, drawn from their Gaussian law given the gaps.

    ``prefix_cost_drift_end`` and ``prefix_base_drift_end``, by two standard normals of their own; the law is that of
    :func:`steps_density`. To be called within a model.

    Parameters
    ----------
    cost_gap, base_gap
        As there, of known length.
    ends
        Step at which the drift of cost and of base is handed on, negative from the end.
    """
    value, vector = drift_modes(int(cost_gap.type.shape[0]))
    cost, base = pt.dot(vector.T, cost_gap), pt.dot(vector.T, base_gap)
    unit = pm.Normal(f"{prefix}_drift_units", 0.0, 1.0, shape=2)
    found = drift_ends(cost, base, scales, value, (vector[ends[0]], vector[ends[1]]), unit, pt.sqrt)
    for name, drift in zip(("cost", "base"), found, strict=True):
        pm.Deterministic(f"{prefix}_{name}_drift_end", drift)


def drift_ends(
    cost: Any,
    base: Any,
    scales: StepScales,
    value: Array,
    at: tuple[Array, Array],
    unit: Any,
    sqrt: Callable[[Any], Any],
) -> tuple[Any, Any]:
    """Drifts of cost and base at two steps from their Gaussian law given the gaps.

    Parameters
    ----------
    cost, base
        Gaps in the drifts' eigenvectors, mode last.
    scales
        Scalars, or arrays that go with the gaps mode by mode.
    value, at
        Eigenvalues, and the eigenvectors' entries at the two steps, ``(mode,)`` each.
    unit
        Two standard normals, scalars or an array over the draws each.
    sqrt
        Square root of such numbers.
    """
    cost_drift, base_drift = scales.cost_drift_sd**2 * value, scales.base_drift_sd**2 * value
    cost_var, base_var = cost_drift + scales.cost_sd**2, base_drift + scales.base_sd**2
    shared = scales.correlation * scales.cost_sd * scales.base_sd
    determinant = cost_var * base_var - shared**2
    # The inverse covariance times the gaps, mode by mode.
    cost_pull = (base_var * cost - shared * base) / determinant
    base_pull = (cost_var * base - shared * cost) / determinant
    at_cost, at_base = at
    cost_spread = sqrt((at_cost**2 * (cost_drift - cost_drift**2 * base_var / determinant)).sum(axis=-1))
    across = (at_cost * at_base * cost_drift * base_drift * shared / determinant).sum(axis=-1)
    base_variance = (at_base**2 * (base_drift - base_drift**2 * cost_var / determinant)).sum(axis=-1)
    # A drift that never moves leaves nothing across.
    tied = across / (cost_spread + 1e-300)
    cost_end = (at_cost * cost_drift * cost_pull).sum(axis=-1) + cost_spread * unit[0]
    base_end = (at_base * base_drift * base_pull).sum(axis=-1) + tied * unit[0]
    return cost_end, base_end + sqrt(base_variance - tied**2) * unit[1]
