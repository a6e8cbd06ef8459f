"""Yearly steps of two paths, spending and contribution base, whose drifts wander: the drifts integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


def joint_steps(prefix: str, cost_gap: Any, base_gap: Any, scales: StepScales, ends: tuple[int, int]) -> None:
    r"""Density of both paths' steps beyond what is expected of them, and the drifts at their ends.

    .. math::
        g^C_t = d^C_t + e^C_t, \quad g^B_t = d^B_t + e^B_t, \qquad
        \operatorname{cov} d_t, d_s = \tau^2 \rho^{|t-s|}, \quad \rho = 0.9

    with the innovations *e* of one year correlated between the paths. In the eigenvectors of the drifts' covariance,
    the same for both, the modes are independent pairs with covariance

    .. math::
        \begin{pmatrix} \tau_C^2 \lambda_k + \sigma_C^2 & \kappa \sigma_C \sigma_B \\
        \cdot & \tau_B^2 \lambda_k + \sigma_B^2 \end{pmatrix}

    so that no drift has to be sampled. Given the gaps the drifts are Gaussian: ``prefix_cost_drift_end`` and
    ``prefix_base_drift_end`` are drawn from that, by two standard normals of their own.

    Parameters
    ----------
    cost_gap, base_gap
        Step less its expectation without the drift, log changes a year, shape ``(step,)``; both of the same years.
    ends
        Step at which the drift of cost and of base is handed on, negative from the end.
    """
    n = int(cost_gap.type.shape[0])
    value, vector = drift_modes(n)
    cost, base = pt.dot(vector.T, cost_gap), pt.dot(vector.T, base_gap)
    cost_drift, base_drift = scales.cost_drift_sd**2 * value, scales.base_drift_sd**2 * value
    cost_var, base_var = cost_drift + scales.cost_sd**2, base_drift + scales.base_sd**2
    shared = scales.correlation * scales.cost_sd * scales.base_sd
    determinant = cost_var * base_var - shared**2
    # The inverse covariance times the gaps, mode by mode.
    cost_pull = (base_var * cost - shared * base) / determinant
    base_pull = (cost_var * base - shared * cost) / determinant
    pm.Potential(
        f"{prefix}_steps",
        -0.5 * (pt.log(determinant) + cost * cost_pull + base * base_pull).sum() - n * np.log(2 * np.pi),
    )
    at_cost, at_base = vector[ends[0]], vector[ends[1]]
    unit = pm.Normal(f"{prefix}_drift_units", 0.0, 1.0, shape=2)
    cost_spread = pt.sqrt((at_cost**2 * (cost_drift - cost_drift**2 * base_var / determinant)).sum())
    across = (at_cost * at_base * cost_drift * base_drift * shared / determinant).sum()
    base_variance = (at_base**2 * (base_drift - base_drift**2 * cost_var / determinant)).sum()
    pm.Deterministic(f"{prefix}_cost_drift_end", (at_cost * cost_drift * cost_pull).sum() + cost_spread * unit[0])
    own = pt.sqrt(base_variance - (across / cost_spread) ** 2)
    pm.Deterministic(
        f"{prefix}_base_drift_end",
        (at_base * base_drift * base_pull).sum() + across / cost_spread * unit[0] + own * unit[1],
    )
