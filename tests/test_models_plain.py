"""The plain pool's model: linear algebra against brute force, known truths recovered, wrong figures left standing."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.cli.fit import apart_lines
from forecaster.plain_futures import DRIFT_PERSISTENCE, _paths, past_people
from forecaster.pool_accounts import Accounts
from forecaster.resources import data_dir
from forecaster_models.plain import KEEP, _handed_on, _wanted, plain_block
from forecaster_models.plain_paths import (
    LINEAR,
    coefficients,
    evidence,
    linear_priors,
    linear_system,
    plain_data,
    prior_of,
    reserve_terms,
)
from forecaster_models.plain_weights import FIRST_SCALES, robust_weights, smoothed, standing_apart
from forecaster_models.priors import read_priors
from forecaster_models.settings import SamplingSettings

PRIORS = read_priors(data_dir() / "priors" / "plain.toml")["plain"]
FIRST, LAST = 1995, 2020
TRUTH = {"growth": 0.034, "cost_excess": 0.012, "base_excess": -0.002, "ageing": 1.0}
SCALES = {"cost_sd": 0.015, "base_sd": 0.012, "noise_sd": 0.003, "cost_drift_sd": 0.015, "base_drift_sd": 0.012}


def accounts_of(outgo: np.ndarray, income: np.ndarray, rate: float = 0.15) -> Accounts:
    n = len(outgo)
    years = np.arange(FIRST, FIRST + n)
    reserve = 500.0 + np.cumsum(income - outgo)
    return Accounts(years, income, outgo, reserve, np.full(n, rate), np.zeros(n), {FIRST: rate}, {})


def synthetic(seed: int, last: int = LAST) -> tuple[Accounts, dict[str, np.ndarray]]:
    """Accounts of Germany simulated from the model itself, and the drifts behind them."""
    rng = np.random.default_rng(seed)
    _, working, _, need = past_people("deu", FIRST, last)
    n = last - FIRST
    drifts = {name: np.zeros(n) for name in ("cost", "base")}
    for name, drift in drifts.items():
        sd = SCALES[f"{name}_drift_sd"]
        drift[0] = sd * rng.standard_normal()
        for t in range(1, n):
            fresh = sd * np.sqrt(1.0 - DRIFT_PERSISTENCE**2)
            drift[t] = DRIFT_PERSISTENCE * drift[t - 1] + fresh * rng.standard_normal()
    volume = {"cost": np.diff(np.log(need)), "base": np.diff(np.log(working))}
    booked = {}
    for name in drifts:
        step = volume[name] + TRUTH["growth"] + TRUTH[f"{name}_excess"] + drifts[name]
        step = step + SCALES[f"{name}_sd"] * rng.standard_t(4.0, n)
        path = np.concatenate([[np.log(150.0 if name == "cost" else 1000.0)], np.zeros(n)])
        path[1:] = path[0] + np.cumsum(step)
        booked[name] = np.exp(path + SCALES["noise_sd"] * rng.standard_normal(n + 1))
    return accounts_of(booked["cost"], 0.15 * booked["base"]), drifts


def blanked(accounts: Accounts, **gaps: tuple[int, ...]) -> Accounts:
    parts = {name: getattr(accounts, name).copy() for name in ("income", "outgo", "reserve")}
    for name, years in gaps.items():
        parts[name][[year - FIRST for year in years]] = np.nan
    return Accounts(
        accounts.years, **parts, rate=accounts.rate, adjustment=accounts.adjustment, rates=accounts.rates, rows={}
    )


def drawn(accounts: Accounts, seed: int, n: int = 400) -> dict[str, np.ndarray]:
    """Draws of the states at the true scales: what the model makes of accounts whose scales are known."""
    data = plain_data(accounts, "deu")
    weights = robust_weights(data, PRIORS)
    system = linear_system(prior_of(data, PRIORS, weights), evidence(data, weights), _wanted(data))
    scales = SCALES | {"correlation": 0.0, "drift_correlation": 0.0}
    by_scale = np.array([*coefficients(scales), scales["noise_sd"] ** 2])
    rng = np.random.default_rng(seed)
    wanted = _wanted(data)
    states = np.array([system.states(by_scale, rng.standard_normal(len(wanted))) for _ in range(n)])
    at = {int(state): i for i, state in enumerate(wanted)}
    found = {f"plain_{name}": states[:, at[state]] for name, state in _handed_on(data).items()}
    return found | {f"plain_{name}": np.full(n, value) for name, value in scales.items()}


# --- linear algebra ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def gappy() -> Accounts:
    return blanked(synthetic(1)[0], outgo=(2003, 2004, 2010), income=(1998, 2010), reserve=(1996, 2011))


def test_the_density_of_the_figures_is_the_normal_one_and_its_slope_is_right(gappy):
    from scipy.stats import multivariate_normal

    data = plain_data(gappy, "deu")
    weights = robust_weights(data, PRIORS)
    prior, seen = prior_of(data, PRIORS, weights), evidence(data, weights)
    system = linear_system(prior, seen, _wanted(data))
    by_scale = np.array([*coefficients(FIRST_SCALES), FIRST_SCALES["noise_sd"] ** 2])
    states = prior.fixed + np.tensordot(by_scale[:-1], prior.terms, axes=1)
    errors = np.diag(by_scale[-1] * seen.noise + seen.error**2)
    covariance = seen.matrix @ states @ seen.matrix.T + errors
    value, slope = system.log_density(by_scale)
    expected = multivariate_normal.logpdf(seen.value, seen.matrix @ prior.mean, covariance)
    assert value - 0.5 * len(seen.value) * np.log(2.0 * np.pi) == pytest.approx(expected, rel=1e-9)
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-5 * abs(by_scale[k])
        numeric = (system.log_density(by_scale + step)[0] - system.log_density(by_scale - step)[0]) / (2.0 * step[k])
        assert slope[k] == pytest.approx(numeric, rel=1e-3)
    # Scales so far apart that rounding leaves no covariance, as first steps may propose: a step too long, no crash.
    far = by_scale * np.array([1e22, *np.ones(6)])
    value, slope = system.log_density(far)
    assert value == -np.inf
    assert not slope.any()


def test_the_drawn_states_have_the_law_of_the_smoothed_ones(gappy):
    data = plain_data(gappy, "deu")
    weights = robust_weights(data, PRIORS)
    wanted = _wanted(data)
    system = linear_system(prior_of(data, PRIORS, weights), evidence(data, weights), wanted)
    by_scale = np.array([*coefficients(FIRST_SCALES), FIRST_SCALES["noise_sd"] ** 2])
    mean, covariance = smoothed(data, PRIORS, FIRST_SCALES, weights)
    units = np.eye(len(wanted))
    middle = system.states(by_scale, np.zeros(len(wanted)))
    root = np.array([system.states(by_scale, unit) - middle for unit in units]).T
    assert middle == pytest.approx(mean[wanted], abs=1e-8)
    assert root @ root.T == pytest.approx(covariance[np.ix_(wanted, wanted)], abs=1e-8)


def test_a_missing_flow_follows_from_the_reserves(gappy):
    full = synthetic(1)[0]
    data = plain_data(gappy, "deu")
    mean, covariance = smoothed(data, PRIORS, FIRST_SCALES, robust_weights(data, PRIORS))
    n = len(full.years)
    for year in (2003, 2004):
        at = year - FIRST
        assert mean[at] == pytest.approx(np.log(full.outgo[at]), abs=3.0 * np.sqrt(covariance[at, at]))
        assert np.sqrt(covariance[at, at]) < 0.011
    # In 2010 both flows are missing and the reserve of 2011 too: only their difference is told.
    assert np.sqrt(covariance[2010 - FIRST, 2010 - FIRST]) > 0.009
    assert mean[n + 2010 - FIRST] == pytest.approx(np.log(full.income[2010 - FIRST] / 0.15), abs=0.08)


def test_reserves_of_years_without_one_by_hand():
    reserve = np.array([np.nan, 10.0, np.nan, np.nan, 40.0])
    adjustment = np.array([0.0, 1.0, 0.0, 5.0, 0.0])
    constant, matrix = reserve_terms(reserve, adjustment)
    flow = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    # Before: 10 - (1 + 2) = 7. After: 10 + 3 = 13, then 13 + 4 + 5 = 22. The last one is given.
    assert (constant + matrix @ flow).tolist() == [7.0, 10.0, 13.0, 22.0, 40.0]


# --- figures that are wrong -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("factor", [10.0, 0.1, 1.5])
def test_one_wrong_figure_is_left_standing_alone(factor):
    accounts = synthetic(2)[0]
    wrong = accounts.outgo.copy()
    wrong[12] *= factor
    spoilt = Accounts(
        accounts.years,
        accounts.income,
        wrong,
        *(accounts.reserve, accounts.rate, accounts.adjustment),
        accounts.rates,
        {},
    )
    data, weights = plain_data(spoilt, "deu"), robust_weights(plain_data(spoilt, "deu"), PRIORS)
    apart = plain_block(spoilt, "deu", PRIORS).apart
    assert FIRST + 12 in apart["outgo figure"]
    # The fit names the year to whoever made it.
    (line,) = (line for line in apart_lines({"plain": {"apart": apart}, "mortality": {}}) if "outgo figure" in line)
    assert line.startswith("Counted for little, since it stands apart from the other years: outgo figure of ")
    assert str(FIRST + 12) in line
    sound, ill = drawn(accounts, 3), drawn(spoilt, 3)
    for name in ("plain_log_cost_end", "plain_cost_drift_end", "plain_growth"):
        assert abs(ill[name].mean() - sound[name].mean()) < 0.35 * sound[name].std(), name
    mean, _ = smoothed(data, PRIORS, FIRST_SCALES, weights)
    assert mean[12] == pytest.approx(np.log(accounts.outgo[12]), abs=0.06)


def test_sound_accounts_have_few_years_apart():
    counts = [sum(len(years) for years in _apart(seed).values()) for seed in range(8)]
    assert np.mean(counts) < 6


def _apart(seed: int) -> dict[str, list[int]]:
    data = plain_data(synthetic(seed)[0], "deu")
    return standing_apart(data, robust_weights(data, PRIORS))


# --- known truths -----------------------------------------------------------------------------------------------------
def test_states_cover_their_truth_as_often_as_they_say():
    hits: dict[str, list[bool]] = {}
    for seed in range(16):
        accounts, drifts = synthetic(100 + seed)
        found = drawn(accounts, seed)
        truth = {"plain_cost_drift_end": drifts["cost"][-1] + TRUTH["growth"] + TRUTH["cost_excess"]}
        truth["plain_base_drift_end"] = drifts["base"][-1] + TRUTH["growth"] + TRUTH["base_excess"]
        for name, value in truth.items():
            line = name.removeprefix("plain_").removesuffix("_drift_end")
            sample = found[name] + found["plain_growth"] + found[f"plain_{line}_excess"]
            low, high = np.quantile(sample, [0.1, 0.9])
            hits.setdefault(name, []).append(bool(low <= value <= high))
    for name, hit in hits.items():
        assert 0.6 <= np.mean(hit) <= 0.97, name


def test_forecasts_of_a_known_pool_cover_what_comes():
    """Five years ahead, from accounts with gaps: 80% bands hold between 65 and 92% of what comes."""
    inside: list[bool] = []
    for seed in range(20):
        whole, _ = synthetic(200 + seed, LAST)
        n = len(whole.years) - 5
        cut = blanked(whole.until(LAST - 5), outgo=(2001, 2007), income=(2007,), reserve=(2002,))
        draws = drawn(cut, seed)
        total, working, _, need = past_people("deu", LAST - 5, LAST)
        heads, workers, ageing = (np.diff(np.log(row))[:, None] for row in (total, working, need / total))
        outgo, base = _paths(draws, heads + draws["plain_ageing"] * ageing, workers + 0.0 * draws["plain_ageing"], seed)
        for path, truth in ((outgo, whole.outgo[n:]), (base, whole.income[n:] / 0.15)):
            low, high = np.quantile(path, [0.1, 0.9], axis=1)
            inside += ((low <= truth) & (truth <= high)).tolist()
    assert 0.65 <= np.mean(inside) <= 0.92


def test_a_short_real_fit_recovers_the_scales():
    from forecaster_models.sampling import judge, sample_block

    accounts, _ = synthetic(4)
    block = plain_block(blanked(accounts, outgo=(2003,), reserve=(LAST,)), "deu", PRIORS)
    assert set(KEEP) < set(block.keep)
    assert block.integrated == LINEAR
    result = sample_block(block.build(), SamplingSettings(draws=300, tune=300, chains=2, target_accept=0.9), 5)
    verdict = judge(result)
    assert verdict.divergences == 0
    assert verdict.max_rhat < 1.05
    posterior = result["posterior"].dataset
    for name, truth in SCALES.items():
        low, high = np.quantile(posterior[f"plain_{name}"], [0.005, 0.995])
        assert low < truth < high, name
    assert np.quantile(posterior["plain_outgo"], 0.5) == pytest.approx(accounts.outgo[2003 - FIRST], rel=0.03)
    end = posterior["plain_reserve_end"]
    assert float(end.mean()) == pytest.approx(accounts.reserve[-1], abs=4.0 * float(end.std()))


# --- priors -----------------------------------------------------------------------------------------------------------
def test_priors_that_are_integrated_out_must_be_normal():
    from forecaster.errors import FaultyInput

    odd = {**PRIORS, "growth": {"distribution": "LogNormal", "mu": -3.0, "sigma": 0.5, "why": "x"}}
    with pytest.raises(FaultyInput, match=r"plain\.growth: found LogNormal; allowed: Normal or Fixed"):
        linear_priors(odd)
    fixed = {**PRIORS, "growth": {"distribution": "Fixed", "value": 0.02, "why": "x"}}
    mean, sd = linear_priors(fixed)
    assert (mean["growth"], sd["growth"]) == (0.02, 0.0)
