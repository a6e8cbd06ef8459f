"""Theories of cost growth, each from the same fit: the fund block's draws carried over to other priors of growth.

A theory closes some of the ways in which cost may grow, see ``data/priors/theories.toml``. It meets the data only
through the steps of cost. So no theory is sampled anew: draws of the fund block are weighed by how much better the
theory explains their steps than the block's own priors do, and what drives the steps is drawn anew given them. Both
are exact but for a grid over two scales. :class:`Carried` says how far the draws could be carried.
"""

# mypy: disable-error-code="no-untyped-def"
# Compiled functions: their argument types are Numba's.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from arviz_stats.base import array_stats

from forecaster.errors import Fault, FaultyInput
from forecaster.theories import ROWS
from forecaster_models.priors import Priors, marginals
from forecaster_models.steps import StepScales, drift_ends, drift_modes

Array = np.ndarray

# What drives the steps of cost: linear in the steps, and the two scales.
LINEAR = ("income_elasticity", "cost_surprise", "cost_drift")
SCALES = ("cost_sd", "cost_drift_sd")
_SCALE_PRIORS = ("LogNormal", "Gamma", "HalfNormal", "Exponential", "Fixed")
# Points of the grid over the innovation's scale and over the drift's, between these quantiles of their priors.
GRID = (28, 16)
OUTER = (0.0005, 0.9995)
# Pareto shape of the weights above which they cannot be trusted, and draws that they must be worth.
MOST_SHAPE, LEAST_WORTH = 0.7, 400.0


@dataclass(frozen=True)
class StepEvidence:
    """The steps that a theory has to explain, draws of the fund block first.

    Attributes
    ----------
    cost_step
        Log change of cost beyond age, prices and pandemics, ``(draw, step)``.
    growth
        Log change of real GDP per head, ``(draw, step)``.
    surprise
        Growth surprise, ``(step,)``.
    base_gap
        Step of the contribution base less its expectation, ``(draw, step)``.
    base_sd, base_drift_sd, correlation
        Scales of the base's steps and correlation of the innovations, ``(draw,)``.
    """

    cost_step: Array
    growth: Array
    surprise: Array
    base_gap: Array
    base_sd: Array
    base_drift_sd: Array
    correlation: Array


class _Modes(NamedTuple):
    """The evidence in the eigenvectors of the drifts, draw first: steps, what explains them ``(draw, driver, mode)``,
    gaps of the base; and the base's scales."""

    step: Array
    by: Array
    base: Array
    base_sd: Array
    base_drift_sd: Array
    correlation: Array

    def taken(self, rows: Array) -> _Modes:
        return _Modes(*(values[rows] for values in self))


@dataclass(frozen=True)
class Carried:
    """Draws under a theory, and how well they could be carried over to it.

    Attributes
    ----------
    draws
        ``rows``, the fund block's draws that are taken, and by name what stands in their place, draw first.
    shape
        Pareto shape of the weights; above 0.7 they cannot be trusted.
    worth
        Number of equally weighted draws that the weights are worth.
    """

    draws: dict[str, Array]
    shape: float
    worth: float

    @property
    def accepted(self) -> bool:
        """Whether the theory may be used."""
        return self.shape <= MOST_SHAPE and self.worth >= LEAST_WORTH

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {"accepted": self.accepted, "pareto_shape": round(self.shape, 3), "worth": round(self.worth, 1)}


def check_priors(priors: Mapping[str, Priors]) -> None:
    """Refuse priors under which no draws can be carried over.

    Raises
    ------
    FaultyInput
        Naming each prior of what drives cost that is of another kind than the formulas here know.
    """
    faults = [
        Fault(f"{block}.{name}", str(own[name]["distribution"]), ", ".join(allowed), "choose one of these")
        for block, own in priors.items()
        for names, allowed in ((LINEAR, ("Normal", "Fixed")), (SCALES, tuple(_SCALE_PRIORS)))
        for name in names
        if name in own and own[name]["distribution"] not in allowed
    ]
    if faults:
        raise FaultyInput("the priors of what drives cost", faults)


def carry_over(evidence: StepEvidence, own: Priors, theories: Mapping[str, Priors], seed: int) -> dict[str, Carried]:
    """The fund block's draws under theories, by name.

    Parameters
    ----------
    own
        Priors of the fund block, under which the evidence was drawn.
    theories
        By name those that a theory lays over them.
    """
    before = _explained(evidence, own).evidence
    return {
        name: _carried(evidence, before, {**own, **laid}, [seed, *name.encode()]) for name, laid in theories.items()
    }


def _carried(evidence: StepEvidence, before: Array, priors: Priors, seed: list[int]) -> Carried:
    rng = np.random.default_rng(seed)
    explained = _explained(evidence, priors)
    better = explained.evidence - before
    # The library takes what the weights divide by; and the smoothing of their tail knows no tail of equals.
    smoothed, shape = array_stats.psislw(-better) if np.ptp(better) > 1e-9 else (better, 0.0)
    weight = np.exp(np.asarray(smoothed) - np.max(smoothed))
    weight /= weight.sum()
    n = len(weight)
    # Systematic resampling: a draw of weight w is taken n w times, rounded up or down.
    rows = np.searchsorted(np.cumsum(weight), (np.arange(n) + rng.random()) / n).clip(max=n - 1)
    drawn = _drawn(evidence, explained, rows, rng)
    return Carried({ROWS: rows.astype(np.int32), **drawn}, float(shape), float(1.0 / (weight**2).sum()))


@dataclass(frozen=True)
class _Explained:
    """Log evidence of each draw's steps ``(draw,)``, and the posterior over the grid of scales, ``(draw, cell)``."""

    evidence: Array
    cells: Array
    grid: tuple[Array, Array]
    priors: Priors


def _explained(evidence: StepEvidence, priors: Priors) -> _Explained:
    grid = (_grid(priors["cost_sd"], GRID[0]), _grid(priors["cost_drift_sd"], GRID[1]))
    own, wander = grid
    log_prior = (_log_mass(priors["cost_sd"], own)[:, None] + _log_mass(priors["cost_drift_sd"], wander)).ravel()
    value, vector = drift_modes(len(evidence.surprise))
    log_density = _over_grid(_in_modes(evidence, vector), value, *grid, *_free(priors))
    total = log_density + log_prior
    top = total.max(axis=1, keepdims=True)
    mass = np.exp(total - top)
    return _Explained(top[:, 0] + np.log(mass.sum(axis=1)), mass / mass.sum(axis=1, keepdims=True), grid, priors)


def _grid(prior: Mapping[str, Any], n: int) -> Array:
    if prior["distribution"] == "Fixed":
        return np.array([float(prior["value"])])
    low, high = marginals(prior)[0].ppf(OUTER)
    return np.geomspace(low, high, n)


def _log_mass(prior: Mapping[str, Any], grid: Array) -> Array:
    """Log prior mass of cells of equal width in logs."""
    if len(grid) == 1:
        return np.zeros(1)
    found: Array = marginals(prior)[0].logpdf(grid) + np.log(grid) + np.log(np.log(grid[1] / grid[0]))
    return found


def _free(priors: Priors) -> tuple[Array, Array]:
    """Mean and standard deviation of the linear drivers' normal priors; 0 for the latter of a fixed one."""
    fixed = [priors[name]["distribution"] == "Fixed" for name in LINEAR]
    mean = [float(priors[name]["value" if held else "mu"]) for name, held in zip(LINEAR, fixed, strict=True)]
    sd = [0.0 if held else float(priors[name]["sigma"]) for name, held in zip(LINEAR, fixed, strict=True)]
    return np.array(mean), np.array(sd)


def _in_modes(evidence: StepEvidence, vector: Array) -> _Modes:
    n = len(evidence.cost_step)
    ones = np.ones(vector.shape[0])
    by = [evidence.growth @ vector, np.tile(evidence.surprise @ vector, (n, 1)), np.tile(ones @ vector, (n, 1))]
    return _Modes(
        evidence.cost_step @ vector,
        np.ascontiguousarray(np.stack(by, axis=1)),
        evidence.base_gap @ vector,
        evidence.base_sd,
        evidence.base_drift_sd,
        evidence.correlation,
    )


@numba.njit(cache=True)
def _normal_equations(modes, d, value, own, wander, mean, sd):
    """Log density of draw ``d``'s steps of cost given those of the base, the linear drivers integrated out.

    Returns it with the drivers' posterior, scaled by their prior: mean of the scaled drivers ``(3,)`` and the Cholesky
    factor of their precision ``(3, 3)``.
    """
    step, by, base = modes.step[d], modes.by[d], modes.base[d]
    base_sd, base_drift_sd = modes.base_sd[d], modes.base_drift_sd[d]
    precision, pull = np.eye(3), np.zeros(3)
    shared = modes.correlation[d] * own * base_sd
    density = 0.0
    for k in range(len(value)):
        base_var = base_drift_sd * base_drift_sd * value[k] + base_sd * base_sd
        var = wander * wander * value[k] + own * own - shared * shared / base_var
        off = step[k] - shared / base_var * base[k]
        for i in range(3):
            off -= by[i, k] * mean[i]
        density -= 0.5 * (off * off / var + np.log(var))
        for i in range(3):
            scaled = by[i, k] * sd[i]
            pull[i] += scaled * off / var
            for j in range(i + 1):
                precision[i, j] += scaled * by[j, k] * sd[j] / var
    for i in range(3):
        for j in range(i + 1):
            left = precision[i, j]
            for k in range(j):
                left -= precision[i, k] * precision[j, k]
            precision[i, j] = np.sqrt(left) if i == j else left / precision[j, j]
    half = np.zeros(3)
    for i in range(3):
        left = pull[i]
        for k in range(i):
            left -= precision[i, k] * half[k]
        half[i] = left / precision[i, i]
        density += 0.5 * half[i] * half[i] - np.log(precision[i, i])
    return density - 0.5 * len(value) * np.log(2.0 * np.pi), half, precision


@numba.njit(cache=True)
def _over_grid(modes, value, own, wander, mean, sd):
    """Log density of each draw's steps at each cell, ``(draw, cell)``."""
    draws = len(modes.step)
    found = np.empty((draws, len(own) * len(wander)))
    for d in range(draws):
        for i in range(len(own)):
            for j in range(len(wander)):
                cell = _normal_equations(modes, d, value, own[i], wander[j], mean, sd)
                found[d, i * len(wander) + j] = cell[0]
    return found


@numba.njit(cache=True)
def _linear_drivers(modes, value, own, wander, mean, sd, unit):
    """The linear drivers of each draw given its scales, from standard normals ``(draw, 3)``."""
    found = np.empty_like(unit)
    for d in range(len(unit)):
        _, half, root = _normal_equations(modes, d, value, own[d], wander[d], mean, sd)
        for i in range(2, -1, -1):
            left = half[i] + unit[d, i]
            for k in range(i + 1, 3):
                left -= root[k, i] * found[d, k]
            found[d, i] = left / root[i, i]
        for i in range(3):
            found[d, i] = mean[i] + sd[i] * found[d, i]
    return found


def _drawn(evidence: StepEvidence, explained: _Explained, rows: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Scales, linear drivers and last drifts of the draws taken, by the names of the fund block."""
    n = len(rows)
    chosen = (np.cumsum(explained.cells[rows], axis=1) < rng.random((n, 1))).sum(axis=1)
    chosen = np.minimum(chosen, explained.cells.shape[1] - 1)
    own_grid, wander_grid = explained.grid
    own = _within(own_grid, chosen // len(wander_grid), rng)
    wander = _within(wander_grid, chosen % len(wander_grid), rng)
    value, vector = drift_modes(len(evidence.surprise))
    modes = _in_modes(evidence, vector).taken(rows)
    mean, sd = _free(explained.priors)
    unit = rng.standard_normal((n, 3))
    linear = _linear_drivers(modes, value, own, wander, mean, sd, unit)
    gap = modes.step - np.einsum("di,dik->dk", linear, modes.by)
    scales = (own, modes.base_sd, wander, modes.base_drift_sd, modes.correlation)
    columns = StepScales(*(np.asarray(scale)[:, None] for scale in scales))
    ends = drift_ends(gap, modes.base, columns, value, (vector[-1], vector[-2]), rng.standard_normal((2, n)), np.sqrt)
    found = {f"fund_{name}": linear[:, i] for i, name in enumerate(LINEAR)}
    found |= {"fund_cost_sd": own, "fund_cost_drift_sd": wander}
    found |= {"fund_cost_drift_end": ends[0], "fund_base_drift_end": ends[1]}
    return {name: values.astype(np.float32) for name, values in found.items()}


def _within(grid: Array, cell: Array, rng: np.random.Generator) -> Array:
    """A value within each cell, spread evenly in logs."""
    if len(grid) == 1:
        return np.full(len(cell), grid[0])
    found: Array = grid[cell] * (grid[1] / grid[0]) ** (rng.random(len(cell)) - 0.5)
    return found
