"""The three Bayesian blocks: short fits on made-up histories with known truth, and the shape of what they hand on."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from pytensor.compile.mode import Mode

from forecaster.demography.futures import POSTERIOR_NAMES, simulate_population
from forecaster.demography.patterns import (
    PACE_MEMORY,
    FertilityHistory,
    MigrationHistory,
    MortalityHistory,
)
from forecaster.demography.tables import load_wpp, wpp_bounds
from forecaster.errors import FaultyInput
from forecaster.resources import data_dir
from forecaster_models.demography import (
    FERTILITY_KEEP,
    MIGRATION_KEEP,
    MORTALITY_KEEP,
    demography_blocks,
    demography_priors,
    fertility_model,
    migration_model,
    mortality_model,
    walk_covariance,
)
from forecaster_models.priors import read_priors
from forecaster_models.sampling import SamplingSettings, judge, sample_block

SHORT = SamplingSettings(draws=400, tune=400, chains=2, cores=1)
# For a density that is evaluated once: to compile it would take a hundred times as long.
UNCOMPILED = Mode(linker="py", optimizer=None)


def fitted(model, names):
    """Posterior draws, chains flattened."""
    posterior = sample_block(model, SHORT, seed=3)["posterior"]
    return {name: np.asarray(posterior[name]).reshape(-1) for name in names}


def assert_covered(draws, truth):
    """Every truth lies within its 99% interval and at most one outside its 90%: honest intervals miss now and then."""
    missed, lost = {}, {}
    for name, value in truth.items():
        for outside, edge in ((missed, 0.05), (lost, 0.005)):
            low, high = np.quantile(draws[name], [edge, 1.0 - edge])
            if not low <= value <= high:
                outside[name] = (value, low, high)
    assert not lost
    assert len(missed) <= 1, missed


def auto_regression(rng, n, mean, rho, sd, start, nu=None):
    values = [start]
    for _ in range(n - 1):
        shock = rng.standard_normal() if nu is None else rng.standard_t(nu)
        values.append(mean + rho * (values[-1] - mean) + sd * shock)
    return np.array(values)


def made_up_mortality(rng, n, pandemic):
    drift, level_sd, noise_sd = -0.021, 0.012, 0.008
    pace_sd = 0.8 * level_sd
    pace = auto_regression(rng, n, 0.0, PACE_MEMORY, pace_sd * np.sqrt(1 - PACE_MEMORY**2), 0.0)
    level = np.cumsum(drift + pace + level_sd * rng.standard_normal(n))
    common = level + noise_sd * rng.standard_normal(n) + 0.15 * pandemic
    gap = auto_regression(rng, n, 0.02, 0.9, 0.01, 0.0)
    history = MortalityHistory(
        years=np.arange(2024 - n, 2024),
        common=common,
        gap=gap,
        pandemic=pandemic,
        slope=np.ones(101),
        log_rates=np.full((2, 101), -5.0),
    )
    truth = {
        "mortality_drift_mean": drift,
        "mortality_level_sd": level_sd,
        "mortality_noise_sd": noise_sd,
        "mortality_pace_sd": pace_sd,
        "mortality_level_offset": level[-1] - common[-1],
        "mortality_pace_end": pace[-1],
        "mortality_gap_mean": 0.02,
        "mortality_gap_rho": 0.9,
        "mortality_gap_sd": 0.01,
    }
    return history, truth


def test_walk_covariance_is_that_of_made_up_paths():
    """Backward distances of simulated forward paths are distributed as the closed form says."""
    rng = np.random.default_rng(1)
    n_paths, n, ratio = 4000, 40, 0.8
    pace = np.empty((n, n_paths))
    pace[0] = ratio * rng.standard_normal(n_paths)
    for year in range(1, n):
        shock = np.sqrt(1 - PACE_MEMORY**2) * ratio * rng.standard_normal(n_paths)
        pace[year] = PACE_MEMORY * pace[year - 1] + shock
    level = np.cumsum(pace + rng.standard_normal((n, n_paths)), axis=0)
    back = level[-1] - level[-2::-1]  # one year ago first
    rest = back - np.cumsum(PACE_MEMORY ** np.arange(n - 1))[:, np.newaxis] * pace[-1]
    covariance = walk_covariance(n - 1, ratio)
    distances = (rest * np.linalg.solve(covariance, rest)).sum(axis=0)
    # chi-squared with n - 1 degrees of freedom: mean and variance within four standard errors
    assert distances.mean() == pytest.approx(n - 1, abs=4 * np.sqrt(2 * (n - 1) / n_paths))
    assert distances.var() == pytest.approx(2 * (n - 1), rel=4 * np.sqrt(2 / n_paths) * 1.2)
    np.testing.assert_allclose(np.diag(rest @ rest.T / n_paths), np.diag(covariance), rtol=0.12)


def test_mortality_recovers_what_made_the_series():
    pandemic = np.zeros(60, dtype=bool)
    pandemic[-4:-1] = True
    history, truth = made_up_mortality(np.random.default_rng(7), 60, pandemic)
    draws = fitted(mortality_model(history, demography_priors("TWN")["mortality"]), MORTALITY_KEEP)
    assert_covered(draws, truth)
    assert draws["mortality_drift_mean"].std() < 0.008  # the prior's is 0.010
    assert abs(draws["mortality_regime_shift"].mean()) < 0.002  # no data inform it


def test_a_pandemic_does_not_bend_the_drift():
    pandemic = np.zeros(60, dtype=bool)
    pandemic[-4:-1] = True
    history, _ = made_up_mortality(np.random.default_rng(5), 60, pandemic)
    worse = history.common.copy()
    worse[-4:-1] += 0.5
    shifted = MortalityHistory(history.years, worse, history.gap, pandemic, history.slope, history.log_rates)
    priors = demography_priors("TWN")["mortality"]
    point = mortality_model(history, priors).initial_point()

    def density(seen):
        return mortality_model(seen, priors).compile_logp(mode=UNCOMPILED)(point)

    plain = density(history)
    assert density(shifted) == pytest.approx(plain, rel=1e-12)
    early = history.common.copy()
    early[10] += 0.5
    bent = MortalityHistory(history.years, early, history.gap, pandemic, history.slope, history.log_rates)
    assert density(bent) < plain - 10


def test_fertility_recovers_what_made_the_series():
    rng = np.random.default_rng(11)
    n = 120
    log_tfr = auto_regression(rng, n, 0.05, 0.93, 0.05, 0.7, nu=8)
    mean_age = auto_regression(rng, n, 33.5, 0.96, 0.1, 28.0)
    history = FertilityHistory(np.arange(2024 - n, 2024), log_tfr, mean_age, np.full(45, 1 / 45))
    draws = fitted(fertility_model(history, demography_priors("TWN")["fertility"]), FERTILITY_KEEP)
    truth = {
        "fertility_mean": 0.05,
        "fertility_rho": 0.93,
        "fertility_sd": 0.05,
        "fertility_nu": 8.0,
        "fertility_age_limit": 33.5,
        "fertility_age_rho": 0.96,
        "fertility_age_sd": 0.1,
    }
    assert_covered(draws, truth)
    assert draws["fertility_mean"].std() < 0.2
    assert 0.3 < draws["fertility_regime_shift"].std() < 0.45


def test_migration_recovers_what_made_the_series():
    rng = np.random.default_rng(2)
    n = 120
    rate = auto_regression(rng, n, 0.001, 0.6, 0.0008, 0.0, nu=3.5)
    history = MigrationHistory(np.arange(2024 - n, 2024), rate, np.full((2, 101), 1 / 202))
    draws = fitted(migration_model(history, demography_priors("TWN")["migration"]), MIGRATION_KEEP)
    truth = {"migration_mean": 0.001, "migration_rho": 0.6, "migration_sd": 0.0008, "migration_nu": 3.5}
    assert_covered(draws, truth)
    assert draws["migration_mean"].std() < 0.0006


def test_blocks_hand_on_what_the_simulation_reads():
    blocks = demography_blocks("twn", 2015)
    assert [block.name for block in blocks] == ["mortality", "fertility", "migration"]
    kept = [name for block in blocks for name in block.keep]
    assert sorted(kept) == sorted(POSTERIOR_NAMES)
    assert len(set(kept)) == len(kept)
    for block in blocks:
        model = block.build()
        assert set(block.keep) <= {variable.name for variable in model.unobserved_RVs}


@pytest.mark.slow
def test_taiwan_is_accepted_and_not_surer_than_wpp(capsys):
    """The whole fit: gates of acceptance, and 80% bands at 25 years against WPP 2024's own."""
    draws = {}
    for block in demography_blocks("TWN"):
        result = sample_block(block.build(), SamplingSettings(), seed=1)
        assert judge(result).accepted, judge(result).reasons
        draws.update({name: np.asarray(result["posterior"][name]).reshape(-1) for name in block.keep})
    futures = simulate_population(draws, load_wpp("TWN"), 2024, 2050, 1)
    year = 2049
    at = year - 2024
    on_31_december = (futures.population[at] + futures.population[at + 1]) / 2000
    ours = {
        ("tfr", "b"): futures.tfr[at],
        ("e0", "m"): futures.e0[0, at],
        ("e0", "f"): futures.e0[1, at],
        ("pop_31dec", "b"): on_31_december,
    }
    for (indicator, sex), values in ours.items():
        years, bounds = wpp_bounds("TWN", indicator, sex)
        low, high = bounds[list(years).index(year)][[1, 3]]
        ours_low, ours_high = np.quantile(values, [0.1, 0.9])
        ratio = (ours_high - ours_low) / (high - low)
        with capsys.disabled():
            print(
                f"\n{indicator} {sex} {year}: {ours_low:.2f}..{ours_high:.2f}, WPP {low:.2f}..{high:.2f}, {ratio:.2f}",
                end="",
            )
        assert ratio >= 0.97  # 1 less the sampling error of 4,000 draws


@pytest.mark.parametrize("last_year", [2019, 2021])
def test_other_origins_have_finite_densities(last_year):
    for block in demography_blocks("KOR", last_year):
        model = block.build()
        density = model.compile_fn(model.logp(), mode=UNCOMPILED)
        assert np.isfinite(density(model.initial_point()))


def test_place_priors_lie_over_the_defaults():
    default, usa = demography_priors("TWN"), demography_priors("USA")
    assert default["fertility"]["mean"]["mu"] == 0.10
    assert usa["fertility"]["mean"]["mu"] == 0.53
    assert usa["fertility"]["rho"] == default["fertility"]["rho"]
    with (data_dir() / "priors" / "demography.toml").open("rb") as file:
        assert all(len(prior["why"]) > 20 for prior in tomllib.load(file)["mortality"].values())


def test_faulty_priors_are_told_together(tmp_path):
    path = tmp_path / "priors.toml"
    path.write_text(
        '[a.b]\ndistribution = "Cauchy"\n[a.c]\ndistribution = "Normal"\nmu = 0\nscale = 1\nwhy = "x"\n'
        '[place.TWN.a.d]\ndistribution = "HalfNormal"\nsigma = 1.0\nwhy = "x"\n',
        encoding="utf-8",
    )
    with pytest.raises(FaultyInput) as caught:
        read_priors(path, "TWN")
    told = str(caught.value)
    assert "a.b: found distribution 'Cauchy'" in told
    assert "a.c: found mu, scale, why; allowed: mu, sigma, why" in told
    assert "place.TWN.a.d: found no default of that name" in told
