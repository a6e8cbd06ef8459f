"""Futures: what the forward simulation must keep whatever the posterior, on draws made by hand."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from forecaster.demography.cohort import project_population
from forecaster.demography.futures import (
    CHUNK,
    LEAST_TFR,
    POSTERIOR_NAMES,
    age_band_weights,
    observed_people,
    simulate_population,
)
from forecaster.demography.lifetable import life_expectancy
from forecaster.demography.patterns import (
    PANDEMIC_YEARS,
    fertility_history,
    future_churn,
    future_sex_ratio,
    migration_history,
    mortality_history,
)
from forecaster.demography.tables import FERTILE_AGES, PLACES, load_wpp
from forecaster.errors import FaultyInput

# Near the centre of Taiwan's fit, as plain numbers.
CENTRE = {
    "mortality_level_offset": 0.0,
    "mortality_drift_mean": -0.02,
    "mortality_regime_shift": 0.0,
    "mortality_pace_end": 0.0,
    "mortality_pace_sd": 0.008,
    "mortality_level_sd": 0.010,
    "mortality_noise_sd": 0.012,
    "mortality_gap_mean": 0.03,
    "mortality_gap_rho": 0.95,
    "mortality_gap_sd": 0.012,
    "mortality_base_error": 0.0,
    "fertility_mean": -0.13,
    "fertility_regime_shift": 0.0,
    "fertility_rho": 0.965,
    "fertility_sd": 0.05,
    "fertility_nu": 13.0,
    "fertility_age_limit": 34.0,
    "fertility_age_rho": 0.976,
    "fertility_age_sd": 0.1,
    "fertility_base_error": 0.0,
    "fertility_pace": 0.0,
    "migration_mean": -0.0004,
    "migration_policy_shift": 0.0,
    "migration_rho": 0.77,
    "migration_sd": 0.0007,
    "migration_nu": 4.0,
    "migration_base_error": 0.0,
    "migration_base_error_old": 0.0,
}
SPREADS = [name for name in CENTRE if name.endswith("_sd")]


def posterior(n_draws, **changes):
    """``n_draws`` equal draws of the centre with some values changed."""
    return {name: np.full(n_draws, value) for name, value in {**CENTRE, **changes}.items()}


def test_names_are_those_of_the_models():
    assert set(CENTRE) == set(POSTERIOR_NAMES)


@pytest.mark.parametrize("place", sorted(PLACES))
def test_index_gives_back_the_published_life_expectancy(place):
    tables = load_wpp(place)
    history = mortality_history(tables)
    span = tables.year_slice(1980, 2023)
    calm = ~np.isin(tables.years[span], PANDEMIC_YEARS)
    level = np.log(tables.mx[span])[calm].mean(axis=0)
    index = np.stack([history.common + history.gap, history.common - history.gap], axis=1)
    rates = np.exp(level + history.slope * index[:, :, np.newaxis])
    np.testing.assert_allclose(life_expectancy(rates), tables.e0[span], atol=1e-6)
    assert history.slope.mean() == pytest.approx(1.0)
    assert history.slope.min() > 0
    assert history.common[0] > history.common[39]  # death rates fell
    np.testing.assert_array_equal(np.exp(history.log_rates), np.exp(np.log(tables.mx[2023 - 1950])))


def test_histories_end_at_the_origin_and_peek_no_further():
    tables = load_wpp("TWN")
    early = mortality_history(tables, 2010)
    assert early.years[-1] == 2010
    assert not early.pandemic.any()
    assert fertility_history(tables, 2010).log_tfr[-1] == pytest.approx(np.log(tables.tfr[60]))
    assert fertility_history(tables).years[0] == 1984  # first year below replacement
    moves = migration_history(tables)
    assert moves.rate[-3] == pytest.approx(-145_743 / tables.population_at(2021).sum())
    assert moves.profile.sum() == pytest.approx(1.0)
    assert not future_churn(tables, 2011, 2020).any()
    assert set(future_sex_ratio(tables, 2011, 2020)) == {tables.srb[60]}
    churn = future_churn(tables, 2024, 2050)
    assert np.abs(churn.sum(axis=(1, 2))).max() < 1e-15
    assert np.abs(churn).max() > 1e-5
    for year in (1990, 2024):
        with pytest.raises(FaultyInput, match="allowed: 1995"):
            mortality_history(tables, year)


def test_without_spread_a_future_is_the_plain_projection():
    tables = load_wpp("TWN")
    still = dict.fromkeys(SPREADS, 0.0)
    start, end = 2024, 2035
    futures = simulate_population(posterior(3, **still), tables, start, end, 1, keep_draws=(1,), pyramid_years=(2030,))
    deaths, births = mortality_history(tables), fertility_history(tables)
    moves = migration_history(tables)
    ahead = np.arange(1, end - start + 2)

    def towards(last, mean, rho):
        return mean + (last - mean) * rho**ahead

    gap = towards(deaths.gap[-1], 0.03, 0.95) - deaths.gap[-1]
    index = np.stack([-0.02 * ahead + gap, -0.02 * ahead - gap], axis=1)
    mx = np.exp(deaths.log_rates + deaths.slope * index[:, :, np.newaxis])
    tfr = np.exp(towards(births.log_tfr[-1], -0.13, 0.965))
    later = towards(births.mean_age[-1], 34.0, 0.976) - births.mean_age[-1]
    ages = np.arange(births.shape.size)
    points, values = np.arange(-1, ages.size + 1), np.pad(births.shape, 1)
    shapes = np.stack([np.interp(ages - by, points, values) for by in later])
    asfr = tfr[:, np.newaxis] * shapes / shapes.sum(axis=1, keepdims=True)
    rate = towards(moves.rate[-1], -0.0004, 0.77)
    churn = future_churn(tables, start, end)

    assert (rate < 0.0).all()
    people = first = tables.population_at(start)
    for year in range(ahead.size):
        leavers = rate[year] * moves.profile * first.sum() * people / first
        migrants = leavers + people.sum() * churn[year]
        step = project_population(
            people,
            mx[[year]],
            asfr[[year]],
            tables.srb[[start - 1950 + year]],
            migrants[np.newaxis],
            start_year=start + year,
        )
        closing = step.population[0, 1]
        np.testing.assert_allclose(futures.full_paths[1][year + 1], closing, rtol=1e-9)
        assert futures.population[year, 0] == pytest.approx((people.sum() + closing.sum()) / 2, rel=1e-12)
        assert futures.births[year, 2] == pytest.approx(step.births.sum(), rel=1e-9)
        assert futures.deaths[year, 2] == pytest.approx(step.deaths.sum(), rel=1e-9)
        if start + year == 2030:
            np.testing.assert_allclose(futures.pyramids[2030][0], (people + closing) / 2, rtol=1e-9)
        people = closing
    np.testing.assert_allclose(futures.tfr[:, 0], tfr, rtol=1e-12)
    np.testing.assert_allclose(futures.e0[:, :, 0].T, life_expectancy(mx), rtol=1e-9)
    mean_age = (asfr * (FERTILE_AGES + 0.5)).sum(axis=1) / asfr.sum(axis=1)
    assert (np.diff(mean_age) > 0).all()


def test_who_comes_is_a_share_of_all_people_and_who_leaves_one_of_their_age():
    still = dict.fromkeys(SPREADS, 0.0) | {"migration_rho": 0.01}

    def people(rate: float) -> np.ndarray:
        draws = posterior(1, **still, migration_mean=rate)
        return simulate_population(draws, load_wpp("TWN"), 2024, 2100, 1, keep_draws=(0,)).full_paths[0]

    coming, none, leaving = (people(rate) for rate in (0.01, 0.0, -0.01))
    assert coming[2].sum() > none[2].sum() > leaving[2].sum()
    # However long they leave, no age of work is emptied: each year takes the same share of those who are left.
    working = [paths[:, :, 20:65].sum(axis=(1, 2)) / paths.sum(axis=(1, 2)) for paths in (none, leaving)]
    assert working[0].min() == pytest.approx(0.40, abs=0.02)
    assert working[1].min() > 0.25


def test_same_seed_same_bits_and_horizon_leaves_earlier_years():
    tables = load_wpp("TWN")
    draws = posterior(CHUNK + 9)
    once = simulate_population(draws, tables, 2024, 2045, 7)
    again = simulate_population(draws, tables, 2024, 2045, 7)
    for name in ("collapsed", "births", "deaths", "net_migration", "tfr", "e0", "population"):
        assert getattr(once, name).tobytes() == getattr(again, name).tobytes()
    longer = simulate_population(draws, tables, 2024, 2060, 7)
    np.testing.assert_array_equal(longer.tfr[:22], once.tfr)
    np.testing.assert_allclose(longer.collapsed[:, :22], once.collapsed, rtol=1e-12)
    other = simulate_population(draws, tables, 2024, 2045, 8)
    assert (other.tfr != once.tfr).all()


def test_people_balance_and_bands_add_up():
    tables = load_wpp("JPN")
    bands = [(0, 14), (15, 64), (65, 100)]
    futures = simulate_population(
        posterior(40), tables, 2024, 2080, 3, weights=age_band_weights(bands, by_sex=True), keep_draws=range(40)
    )
    np.testing.assert_allclose(futures.collapsed.sum(axis=0), futures.population, rtol=1e-12)
    stock = np.stack([futures.full_paths[draw].sum(axis=(1, 2)) for draw in range(40)], axis=1)
    closing = stock[:-1] + futures.births - futures.deaths + futures.net_migration
    np.testing.assert_allclose(closing, stock[1:], rtol=1e-12)
    men = np.stack([futures.full_paths[draw][:, 0, 65:].sum(axis=1) for draw in range(40)], axis=1)
    np.testing.assert_allclose(futures.collapsed[4], (men[:-1] + men[1:]) / 2, rtol=1e-12)


def test_levers_of_the_posterior_act_in_their_direction():
    tables = load_wpp("TWN")

    def run(**changes):
        return simulate_population(posterior(64, **changes), tables, 2024, 2050, 5)

    base = run()
    assert (run(fertility_regime_shift=0.3).births[-1] > base.births[-1]).all()
    assert (run(mortality_regime_shift=-0.01).e0[:, -1] > base.e0[:, -1]).all()
    assert (run(migration_policy_shift=0.003).population[-1] > base.population[-1]).all()
    assert (run(mortality_base_error=0.03).e0[:, 0] < base.e0[:, 0]).all()
    # An error of the level fades with rho; a pace of 0.02 adds 0.02 in the first year and 0.018 in the second.
    rho = CENTRE["fertility_rho"]
    off = np.log(run(fertility_base_error=0.05).tfr / base.tfr)
    np.testing.assert_allclose(off[:3], 0.05 * rho ** np.array([1, 2, 3])[:, None] * np.ones((1, 64)), rtol=1e-9)
    paced = np.log(run(fertility_pace=0.02).tfr / base.tfr)
    np.testing.assert_allclose(paced[:2, 0], [0.02, 0.02 * rho + 0.018], rtol=1e-9)
    # However low its long-run level, fertility stops where the UN's own projections do.
    assert run(fertility_regime_shift=-3.0).tfr.min() == LEAST_TFR == 0.5
    bigger = run(migration_base_error=0.01)
    np.testing.assert_allclose(bigger.population, base.population * np.exp(0.01), rtol=1e-9)
    # All of 70 and over are alive at the jump-off for the first thirty years; those under 50 are as before.
    older = simulate_population(posterior(2, migration_base_error_old=0.01), tables, 2024, 2024, 5, keep_draws=(0,))
    plain = simulate_population(posterior(2), tables, 2024, 2024, 5, keep_draws=(0,))
    ratio = older.full_paths[0][0] / plain.full_paths[0][0]
    np.testing.assert_allclose(
        np.log(ratio[:, [0, 49, 50, 60, 70, 100]]), [[0, 0, 0, 0.005, 0.01, 0.01]] * 2, atol=1e-12
    )


def test_observed_people_are_the_published_ones():
    tables = load_wpp("TWN")
    counted = observed_people(tables, age_band_weights([(0, 100), (65, 100)]), 2020, 2023)
    assert counted.shape == (2, 4)
    assert counted[0, -1] == pytest.approx(tables.population_1july[73].sum())
    assert 0.16 < counted[1, -1] / counted[0, -1] < 0.20


def test_pyramid_quantiles():
    tables = load_wpp("TWN")
    futures = simulate_population(posterior(30), tables, 2024, 2030, 1, pyramid_years=(2030,))
    low, middle, high = futures.pyramid_quantiles(2030, [0.1, 0.5, 0.9])
    assert middle.shape == (2, 101)
    assert (low <= middle).all()
    assert (low[:, :6] < high[:, :6]).all()
    with pytest.raises(FaultyInput, match="name the year in pyramid_years"):
        futures.pyramid_quantiles(2029, [0.5])


def test_faults_are_told_together():
    tables = load_wpp("TWN")
    draws = posterior(4)
    del draws["fertility_rho"]
    draws["migration_sd"] = np.array([1.0, np.nan, 1.0, 1.0])
    draws["migration_nu"] = np.ones(3)
    with pytest.raises(FaultyInput) as caught:
        simulate_population(
            draws, tables, 2026, 2120, 1, weights=np.ones((2, 101)), pyramid_years=(2010,), keep_draws=(4,)
        )
    told = str(caught.value)
    for words in (
        "fertility_rho: found nothing",
        "migration_sd: found values that are not finite",
        "migration_nu: found shape (3,); allowed: (4,)",
        "start not after 2024, end from start to 2100",
        "weights: found shape (2, 101)",
        "pyramid_years: found [2010]",
        "keep_draws: found [4]; allowed: 0..3",
    ):
        assert words in told
    with pytest.raises(FaultyInput, match="mortality_level_offset: found nothing"):
        simulate_population({}, tables, 2024, 2030, 1)


def test_simulation_needs_no_sampler():
    code = "import sys, forecaster.demography.futures; print({'pymc', 'arviz', 'pandas'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "set()"
