"""Simulation-based calibration of the smaller blocks: the posterior ranks what made the data evenly.

Parameters are drawn from the priors, data from the parameters, the posterior from the data. If model, simulation and
sampler mean the same, the true value's rank among the posterior's draws is uniform, for every parameter.
Cook, Gelman and Rubin 2006; Talts and others 2018.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import nutpie
import pytensor
import pytest

from forecaster.demography.patterns import PACE_MEMORY, FertilityHistory, MigrationHistory, MortalityHistory
from forecaster.futures import ECONOMY_NU, MEAN_PERSISTENCE
from forecaster.resources import data_dir
from forecaster_models.checks import marginals
from forecaster_models.demography import demography_priors, fertility_model, migration_model, mortality_model
from forecaster_models.economy import EconomyData, economy_model
from forecaster_models.priors import read_priors

pytestmark = pytest.mark.slow

YEARS = 40
DRAWS, THINNED_TO, BINS = 500, 99, 10
# Chi-squared of nine degrees of freedom exceeds this once in ten thousand.
UNEVEN = 33.7

Truth = dict[str, float]
Series = dict[str, np.ndarray]


def shared(name: str) -> pytensor.compile.SharedVariable:
    """A series that the compiled model reads anew for every made-up history."""
    return pytensor.shared(np.zeros(YEARS), name=name, shape=(YEARS,))


def auto_regression(rng, start, mean, rho, shocks):
    values = [start]
    for shock in shocks:
        values.append(mean + rho * (values[-1] - mean) + shock)
    return np.array(values)


def made_up_fertility(truth: Truth, rng: np.random.Generator) -> Series:
    steps = truth["sd"] * rng.standard_t(4.0 + truth["nu_above_four"], YEARS - 1)
    ages = truth["age_sd"] * rng.standard_normal(YEARS - 1)
    return {
        "log_tfr": auto_regression(rng, 0.4, truth["mean"], truth["rho"], steps),
        "mean_age": auto_regression(rng, 28.0, truth["age_limit"], truth["age_rho"], ages),
    }


def made_up_migration(truth: Truth, rng: np.random.Generator) -> Series:
    steps = truth["sd"] * rng.standard_t(2.0 + truth["nu_above_two"], YEARS - 1)
    return {"rate": auto_regression(rng, 0.001, truth["mean"], truth["rho"], steps)}


def made_up_mortality(truth: Truth, rng: np.random.Generator) -> Series:
    """Backwards from the last year, as the model is written."""
    pace_sd = demography_priors("TWN")["mortality"]["pace_sd_ratio"]["value"] * truth["level_sd"]
    level, pace, path = 0.0, pace_sd * rng.standard_normal(), []
    for _ in range(YEARS):
        path.append(level + truth["noise_sd"] * rng.standard_normal())
        level -= truth["drift_mean"] + pace + truth["level_sd"] * rng.standard_normal()
        pace = PACE_MEMORY * pace + pace_sd * np.sqrt(1.0 - PACE_MEMORY**2) * rng.standard_normal()
    steps = truth["gap_sd"] * rng.standard_normal(YEARS - 1)
    return {
        "common": np.array(path[::-1]),
        "gap": auto_regression(rng, 0.02, truth["gap_mean"], truth["gap_rho"], steps),
    }


def made_up_economy(truth: Truth, rng: np.random.Generator) -> Series:
    found, growth_shocks = {}, np.zeros(YEARS)
    for name, first in (("growth", 0.04), ("inflation", 0.02)):
        long_run, mean = truth[f"{name}_mean"], truth[f"{name}_start"]
        values, gap = [first], first - mean
        for t in range(1, YEARS):
            mean = long_run + MEAN_PERSISTENCE * (mean - long_run) + truth[f"{name}_mean_sd"] * rng.standard_normal()
            shock = truth[f"{name}_sd"] * rng.standard_t(ECONOMY_NU)
            if name == "growth":
                growth_shocks[t] = shock
            else:
                shock += truth["inflation_loading"] * growth_shocks[t]
            gap = truth[f"{name}_phi"] * gap + shock
            values.append(mean + gap)
        found[name] = np.array(values)
    return found


def fertility():
    history = FertilityHistory(np.arange(YEARS), shared("log_tfr"), shared("mean_age"), np.ones(35))
    priors = demography_priors("TWN")["fertility"]
    return fertility_model(history, priors), priors, made_up_fertility


def migration():
    priors = demography_priors("TWN")["migration"]
    history = MigrationHistory(np.arange(YEARS), shared("rate"), np.ones((2, 101)))
    return migration_model(history, priors), priors, made_up_migration


def mortality():
    priors = demography_priors("TWN")["mortality"]
    calm, ages = np.zeros(YEARS, dtype=bool), np.ones(101)
    history = MortalityHistory(np.arange(YEARS), shared("common"), shared("gap"), calm, ages, np.ones((2, 101)))
    return mortality_model(history, priors), priors, made_up_mortality


def economy():
    priors = read_priors(data_dir() / "priors" / "economy.toml", "TWN")["economy"]
    data = EconomyData(np.arange(YEARS), shared("growth"), shared("inflation"), np.zeros(0), np.zeros(0))
    return economy_model(data, priors), priors, made_up_economy


@pytest.mark.parametrize(
    ("block", "replications"), [(mortality, 100), (fertility, 200), (migration, 200), (economy, 60)]
)
def test_true_values_rank_evenly_among_the_draws(block: Callable[[], tuple], replications: int) -> None:
    model, priors, make_up = block()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(model)
    # Not those that this shape of the data leaves unused, such as the level of a jump-off year within a pandemic.
    drawn = {variable.name for variable in model.free_RVs}
    names = [name for name in priors if f"{block.__name__}_{name}" in drawn and marginals(priors[name])]
    assert len(names) >= 5
    rng = np.random.default_rng(20261122)
    ranks = {name: np.empty(replications) for name in names}
    for i in range(replications):
        truth = {name: float(marginals(priors[name])[0].rvs(random_state=rng)) for name in names}
        result = nutpie.sample(
            compiled.with_data(**make_up(truth, rng)),
            draws=DRAWS,
            tune=DRAWS,
            chains=2,
            cores=2,
            seed=i,
            target_accept=0.95,
            progress_bar=False,
        )
        posterior = result["posterior"].dataset
        for name in names:
            draws = posterior[f"{block.__name__}_{name}"].values.reshape(-1)
            kept = draws[np.linspace(0, len(draws) - 1, THINNED_TO).round().astype(int)]
            ranks[name][i] = (kept < truth[name]).sum()
    expected = replications / BINS
    uneven = {}
    for name, found in ranks.items():
        counts = np.histogram(found, bins=BINS, range=(0, THINNED_TO + 1))[0]
        uneven[name] = float(((counts - expected) ** 2 / expected).sum())
    assert {name: value for name, value in uneven.items() if value > UNEVEN} == {}, uneven
