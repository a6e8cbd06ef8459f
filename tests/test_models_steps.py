"""The joint density of two paths' steps against the same written out in full; quantities read off the draws."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pymc as pm
import pytest
from scipy import stats
from scipy.optimize._numdiff import approx_derivative

from forecaster.futures import DRIFT_PERSISTENCE
from forecaster_models.priors import draw_scalars
from forecaster_models.sampling import named_quantities
from forecaster_models.steps import StepScales, drift_modes, name_drift_ends, steps_density

N = 7
SCALES = StepScales(cost_sd=0.02, base_sd=0.015, cost_drift_sd=0.012, base_drift_sd=0.007, correlation=0.4)


def _written_out() -> tuple[np.ndarray, np.ndarray]:
    """Covariance of the drifts and of the gaps, cost first."""
    memory = DRIFT_PERSISTENCE ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    none = np.zeros((N, N))
    drifts = np.block([[SCALES.cost_drift_sd**2 * memory, none], [none, SCALES.base_drift_sd**2 * memory]])
    shared = SCALES.correlation * SCALES.cost_sd * SCALES.base_sd
    pair = np.array([[SCALES.cost_sd**2, shared], [shared, SCALES.base_sd**2]])
    return drifts, drifts + np.kron(pair, np.eye(N))


def _model(gaps: np.ndarray, ends: tuple[int, int] = (-1, -2)) -> pm.Model:
    with pm.Model() as model:
        # A shift of nothing gives the gaps as tensors of known shape.
        moved = pm.Flat("shift", shape=2 * N) + gaps
        name_drift_ends("made_up", moved[:N], moved[N:], SCALES, ends)
    return model


def _density(gaps: np.ndarray, scales: np.ndarray) -> tuple[float, np.ndarray]:
    density, by_cost, by_base, by_scale = steps_density(gaps[:N], gaps[N:], *scales, *drift_modes(N))
    return density, np.concatenate([by_cost, by_base, by_scale])


def test_density_is_that_of_the_full_covariance() -> None:
    _, covariance = _written_out()
    gaps = np.random.default_rng(4).multivariate_normal(np.zeros(2 * N), covariance)
    density, _ = _density(gaps, np.array(astuple(SCALES)))
    assert density == pytest.approx(stats.multivariate_normal(np.zeros(2 * N), covariance).logpdf(gaps))


def test_slopes_of_the_steps_density_are_its_differences() -> None:
    point = np.concatenate([np.random.default_rng(4).normal(0.0, 0.02, 2 * N), astuple(SCALES)])
    _, slope = _density(point[: 2 * N], point[2 * N :])
    differences = approx_derivative(lambda x: _density(x[: 2 * N], x[2 * N :])[0], point, method="3-point")
    np.testing.assert_allclose(slope, differences.ravel(), rtol=1e-5, atol=1e-4)


def test_drifts_at_the_ends_are_those_given_the_gaps() -> None:
    drifts, covariance = _written_out()
    gaps = np.random.default_rng(5).multivariate_normal(np.zeros(2 * N), covariance)
    picked = [N - 1, 2 * N - 2]  # last of cost, last but one of base
    gain = drifts[picked] @ np.linalg.inv(covariance)
    mean, spread = gain @ gaps, drifts[np.ix_(picked, picked)] - gain @ drifts[:, picked]
    units = np.random.default_rng(6).standard_normal((200_000, 2))
    drawn = named_quantities(_model(gaps), np.concatenate([np.zeros((len(units), 2 * N)), units], axis=1))
    ends = np.stack([drawn["made_up_cost_drift_end"], drawn["made_up_base_drift_end"]])
    assert ends.mean(axis=1) == pytest.approx(mean, abs=1e-4)
    assert np.cov(ends) == pytest.approx(spread, rel=0.02, abs=1e-7)


def test_scalars_drawn_together_have_their_own_priors() -> None:
    priors = {
        "spread": {"distribution": "LogNormal", "mu": -3.0, "sigma": 0.5, "why": "made up"},
        "level": {"distribution": "Normal", "mu": 2.0, "sigma": 0.1, "why": "made up"},
        "pace": {"distribution": "Gamma", "alpha": 4.0, "beta": 400.0, "why": "made up"},
        "known": {"distribution": "Fixed", "value": 7.0, "why": "made up"},
        "mix": {"distribution": "Dirichlet", "a": [1.0, 2.0], "why": "made up"},
        "other": {"distribution": "Normal", "mu": -1.0, "sigma": 3.0, "why": "made up"},
    }
    with pm.Model() as model:
        drawn = draw_scalars("made_up", priors)
        names = ("spread", "level", "pace", "other")
        draws = pm.draw([drawn[name] for name in names], draws=4000, random_seed=1, mode="FAST_COMPILE")
    assert drawn["known"] == 7.0
    assert "mix" not in drawn
    laws = (stats.lognorm(0.5, scale=np.exp(-3.0)), stats.norm(2.0, 0.1), stats.gamma(4.0, scale=1 / 400.0))
    for values, law in zip(draws, (*laws, stats.norm(-1.0, 3.0)), strict=True):
        assert stats.kstest(values, law.cdf).pvalue > 0.001
    assert {"made_up_spread", "made_up_level", "made_up_pace", "made_up_other"} <= set(model.named_vars)
    # The density over the vectors is the one over the scalars: what is named is what was drawn.
    point = np.array([0.3, -1.2, 0.5, np.log(0.01)])
    named = named_quantities(model, point[None])
    assert named["made_up_level"][0] == pytest.approx(2.0 + 0.1 * 0.3)
    assert named["made_up_other"][0] == pytest.approx(-1.0 - 3.0 * 1.2)
    assert named["made_up_spread"][0] == pytest.approx(np.exp(-3.0 + 0.5 * 0.5))
    assert named["made_up_pace"][0] == pytest.approx(0.01)
