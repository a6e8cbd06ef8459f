"""Futures of a population: the fitted models' draws carried forward, one future per draw, without PyMC.

With h years after the jump-off year T, e standard normal and u Student-t with the draw's degrees of freedom:

    pace(T+h)    = memory pace(T+h-1) + pace_sd sqrt(1 - memory^2) e
    level(T+h)   = level(T+h-1) + drift_mean + regime_shift + pace(T+h) + level_sd e
    level(T)     = K(T) + level_offset + base_error
    log m(s, x)  = log m(s, x, T) + B(x) (level(T+h) + noise_sd e - K(T) + g(s) (k(T+h) - k(T)))
    k(T+h)       = gap_mean + gap_rho (k(T+h-1) - gap_mean) + gap_sd e
    log TFR(T+h) = mean' + rho (log TFR(T+h-1) - mean') + sd u + pace 0.9^(h-1)  mean' = mean + regime_shift
    log TFR(T)   = log of the estimate + base_error
    rate(T+h)    = mean' + rho (rate(T+h-1) - mean') + sd u,                     mean' = mean + policy_shift
    net migrants = people on 1 January * churn(s, x) + rate(T+h) * profile(s, x) * (people on 1 January if some come,
                   if some leave those of the first year times people(s, x) now over people(s, x) then)
    log people(T+1, x) = log of the estimate + base_error + base_error_old min(1, max(0, (x - 50) / 20))

and each year the step of ``cohort``; the age pattern of fertility is the last one, moved with the mean age of
childbearing, an AR(1). B, k, the profile and the churn are explained in ``patterns``. Random numbers are drawn year by
year from one stream per quantity: the same seed and draws give the same bits, and a later ``end_year`` leaves the
earlier years as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecaster.demography.kernels import simulate_draws
from forecaster.demography.patterns import (
    PACE_MEMORY,
    SEX_SIGN,
    fertility_history,
    future_churn,
    future_sex_ratio,
    migration_history,
    mortality_history,
)
from forecaster.demography.tables import N_AGES, WppTables
from forecaster.errors import Fault, FaultyInput

Array = NDArray[np.float64]

POSTERIOR_NAMES: tuple[str, ...] = (
    "mortality_level_offset",
    "mortality_drift_mean",
    "mortality_regime_shift",
    "mortality_pace_end",
    "mortality_pace_sd",
    "mortality_level_sd",
    "mortality_noise_sd",
    "mortality_gap_mean",
    "mortality_gap_rho",
    "mortality_gap_sd",
    "mortality_base_error",
    "fertility_mean",
    "fertility_regime_shift",
    "fertility_rho",
    "fertility_sd",
    "fertility_nu",
    "fertility_age_limit",
    "fertility_age_rho",
    "fertility_age_sd",
    "fertility_base_error",
    "fertility_pace",
    "migration_mean",
    "migration_policy_shift",
    "migration_rho",
    "migration_sd",
    "migration_nu",
    "migration_base_error",
    "migration_base_error_old",
)
BANDS: tuple[tuple[int, int], ...] = ((0, 100), (0, 14), (15, 64), (65, 100), (80, 100))
# How far the error of the old's number bears on people of an age at the jump-off: not below 50, wholly from 70 on.
OLD_AGES: Array = np.clip((np.arange(N_AGES) - 50.0) / 20.0, 0.0, 1.0)
# What is left of the pace of fertility a year later.
FERTILITY_FADING = 0.9
# No total fertility below this, as in the UN's own projections (bayesTFR): no country has been seen there, and a people
# that all but dies out by the end of the century is what a normal law says of its tail, not what anyone knows.
LEAST_TFR = 0.5
# Draws that are carried at once: 128 x 76 years x 202 cells are 16 MB.
CHUNK = 128
# Heavy-tailed shocks are cut at this many scale units; beyond lies a shock of more than half of fertility in one year.
LARGEST_SHOCK = 10.0


@dataclass(frozen=True)
class PopulationFutures:
    """People of every future, collapsed to what later stages use; draws last, for the engine.

    Attributes
    ----------
    place
        ISO 3166 three-letter code.
    years
        Calendar years, ``(n_years,)``.
    collapsed
        Weighted persons on 1 July (stock), ``(k, n_years, draw)``, one row per row of the weights.
    population
        Persons on 1 July (stock), ``(n_years, draw)``.
    births, deaths, net_migration
        Persons in the year (flow), ``(n_years, draw)``.
    tfr
        Children per woman, ``(n_years, draw)``.
    e0
        Life expectancy at birth in years, ``(2, n_years, draw)``, sexes ``(m, f)``.
    pyramids
        Persons on 1 July by sex and age of chosen years, ``{year: (draw, 2, 101)}``.
    full_paths
        Persons on 1 January of ``years[0]..years[-1] + 1`` of chosen draws, ``{draw: (n_years + 1, 2, 101)}``.
    """

    place: str
    years: NDArray[np.int64]
    collapsed: Array
    population: Array
    births: Array
    deaths: Array
    net_migration: Array
    tfr: Array
    e0: Array
    pyramids: dict[int, Array]
    full_paths: dict[int, Array]

    def pyramid_quantiles(self, year: int, probabilities: ArrayLike) -> Array:
        """Quantiles over draws of persons by sex and age on 1 July of ``year``, ``(probability, 2, 101)``.

        Raises
        ------
        FaultyInput
            When the simulation was not asked to keep that year.
        """
        if year not in self.pyramids:
            kept = ", ".join(str(held) for held in self.pyramids) or "none"
            raise FaultyInput(
                "pyramid", [Fault("year", str(year), kept, "name the year in pyramid_years of the simulation")]
            )
        return np.asarray(np.quantile(self.pyramids[year], np.asarray(probabilities), axis=0))


def age_band_weights(bands: Sequence[tuple[int, int]] = BANDS, *, by_sex: bool = False) -> Array:
    """Weights that count people in age bands, both ends included, 100 standing for 100 and over.

    Returns
    -------
    numpy.ndarray
        ``(k, 2, 101)``; with ``by_sex`` men and women of each band follow each other.
    """
    rows: list[Array] = []
    for first, last in bands:
        row = np.zeros((2, N_AGES))
        row[:, first : last + 1] = 1.0
        rows.extend([row * [[1.0], [0.0]], row * [[0.0], [1.0]]] if by_sex else [row])
    return np.stack(rows)


def observed_people(tables: WppTables, weights: ArrayLike, start_year: int, end_year: int) -> Array:
    """Weighted persons on 1 July as published, estimates to 2023 and medium variant after, ``(k, n_years)``."""
    people = tables.population_1july[tables.year_slice(start_year, end_year)]
    counted: Array = np.einsum("ksa,tsa->kt", np.asarray(weights, dtype=np.float64), people)
    return counted


def simulate_population(
    posterior: Mapping[str, ArrayLike],
    tables: WppTables,
    start_year: int,
    end_year: int,
    seed: int,
    *,
    weights: ArrayLike | None = None,
    pyramid_years: Sequence[int] = (),
    keep_draws: Sequence[int] = (),
) -> PopulationFutures:
    """Draw one future of the population per posterior draw.

    Parameters
    ----------
    posterior
        ``(draw,)`` arrays of the names ``POSTERIOR_NAMES``, chains flattened, fitted up to ``start_year - 1``. Further
        names are left alone.
    tables
        Tables of the place that was fitted.
    start_year, end_year
        First and last calendar year; the first is the year after the jump-off.
    seed
        Seed of the innovations; with the same posterior it fixes every bit of the result.
    weights
        ``(k, 2, 101)`` weights of persons by sex ``(m, f)`` and age; :func:`age_band_weights` where none are given
        (all, 0-14, 15-64, 65 and over, 80 and over).
    pyramid_years
        Years of which all ages are kept.
    keep_draws
        Draws whose whole path is kept.

    Raises
    ------
    FaultyInput
        Names each missing or misshapen posterior variable, wrong years, weights or draws.
    """
    weight_rows = age_band_weights() if weights is None else np.asarray(weights, dtype=np.float64)
    draws = _checked(posterior, tables, start_year, end_year, weight_rows, pyramid_years, keep_draws)
    last_year = start_year - 1
    n_draws, n_years = draws["fertility_mean"].size, end_year - start_year + 1
    mortality, fertility = mortality_history(tables, last_year), fertility_history(tables, last_year)
    migration = migration_history(tables, last_year)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7)]
    normal = [stream.standard_normal((n_years, n_draws)) for stream in streams[:5]]

    index = _mortality_index(draws, float(mortality.gap[-1]), normal[:4])
    start_log = float(fertility.log_tfr[-1])
    shocks = _student(streams[5], draws["fertility_nu"], n_years)
    mean_log = draws["fertility_mean"] + draws["fertility_regime_shift"]
    push = draws["fertility_pace"] * FERTILITY_FADING ** np.arange(n_years)[:, np.newaxis]
    start = start_log + draws["fertility_base_error"]
    tfr = np.maximum(np.exp(_auto_regression(draws, "fertility", start, mean_log, shocks, push)), LEAST_TFR)
    start_age = float(fertility.mean_age[-1])
    age = _auto_regression(draws, "fertility_age", start_age, draws["fertility_age_limit"], normal[4])
    shocks = _student(streams[6], draws["migration_nu"], n_years)
    mean_rate = draws["migration_mean"] + draws["migration_policy_shift"]
    rate = _auto_regression(draws, "migration", float(migration.rate[-1]), mean_rate, shocks)

    base = tables.population_at(start_year)
    churn = future_churn(tables, start_year, end_year)
    sex_ratio = future_sex_ratio(tables, start_year, end_year)
    slopes = np.ascontiguousarray(np.broadcast_to(mortality.slope, mortality.log_rates.shape))
    flat_weights = np.concatenate([np.ones((1, 2 * N_AGES)), weight_rows.reshape(len(weight_rows), -1)]).T.copy()

    stocks = np.empty((len(weight_rows) + 1, n_years, n_draws))
    births, deaths, moved = (np.empty((n_years, n_draws)) for _ in range(3))
    e0 = np.empty((2, n_years, n_draws))
    pyramids = {year: np.empty((n_draws, 2, N_AGES)) for year in pyramid_years}
    full_paths: dict[int, Array] = {}
    for first in range(0, n_draws, CHUNK):
        part = slice(first, min(first + CHUNK, n_draws))
        size = part.stop - part.start
        common, old = (draws[f"migration_base_error{which}"][part, np.newaxis, np.newaxis] for which in ("", "_old"))
        start = base * np.exp(common + old * OLD_AGES)
        population = np.empty((size, n_years + 1, 2, N_AGES))
        flows = [np.empty((size, n_years)) for _ in range(3)]
        expectancy = np.empty((size, n_years, 2))
        simulate_draws(
            start,
            mortality.log_rates,
            slopes,
            np.ascontiguousarray(index[:, :, part].transpose(2, 1, 0)),
            fertility.shape,
            np.ascontiguousarray(tfr[:, part].T),
            np.ascontiguousarray(age[:, part].T - start_age),
            sex_ratio,
            np.ascontiguousarray(rate[:, part].T),
            migration.profile,
            churn,
            population,
            *flows,
            expectancy,
        )
        january = population.reshape(size, n_years + 1, -1) @ flat_weights
        stocks[:, :, part] = (0.5 * (january[:, :-1] + january[:, 1:])).transpose(2, 1, 0)
        births[:, part], deaths[:, part], moved[:, part] = (flow.T for flow in flows)
        e0[:, :, part] = expectancy.transpose(2, 1, 0)
        for year, cells in pyramids.items():
            at = year - start_year
            cells[part] = 0.5 * (population[:, at] + population[:, at + 1])
        for draw in keep_draws:
            if part.start <= draw < part.stop:
                full_paths[draw] = population[draw - part.start].copy()
    return PopulationFutures(
        place=tables.place,
        years=np.arange(start_year, end_year + 1),
        collapsed=stocks[1:],
        population=stocks[0],
        births=births,
        deaths=deaths,
        net_migration=moved,
        tfr=tfr,
        e0=e0,
        pyramids=pyramids,
        full_paths=full_paths,
    )


def _mortality_index(draws: Mapping[str, Array], start_gap: float, normal: Sequence[Array]) -> Array:
    """Change of each sex's mortality index since the jump-off, ``(2, n_years, draw)``."""
    unit = {"pace_rho": np.full(normal[0].shape[1], PACE_MEMORY)}
    unit["pace_sd"] = draws["mortality_pace_sd"] * np.sqrt(1.0 - PACE_MEMORY**2)
    pace = _auto_regression(unit, "pace", draws["mortality_pace_end"], np.zeros(1), normal[0])
    drift = draws["mortality_drift_mean"] + draws["mortality_regime_shift"]
    level = np.cumsum(drift + pace + draws["mortality_level_sd"] * normal[1], axis=0)
    offset = draws["mortality_level_offset"] + draws["mortality_base_error"]
    common = offset + level + draws["mortality_noise_sd"] * normal[2]
    gap = _auto_regression(draws, "mortality_gap", start_gap, draws["mortality_gap_mean"], normal[3]) - start_gap
    return common + SEX_SIGN[:, np.newaxis, np.newaxis] * gap


def _auto_regression(
    draws: Mapping[str, Array],
    prefix: str,
    start: float | Array,
    centre: Array,
    shocks: Array,
    push: Array | None = None,
) -> Array:
    """AR(1) path after ``start`` for every draw, ``(n_years, draw)``; ``push`` is added to its yearly change."""
    rho, sd = draws[f"{prefix}_rho"], draws[f"{prefix}_sd"]
    path = np.empty(shocks.shape)
    value = np.broadcast_to(np.asarray(start, dtype=np.float64), shocks.shape[1:])
    for year in range(shocks.shape[0]):
        value = centre + rho * (value - centre) + sd * shocks[year]
        if push is not None:
            value = value + push[year]
        path[year] = value
    return path


def _student(stream: np.random.Generator, nu: Array, n_years: int) -> Array:
    return np.clip(stream.standard_t(nu, size=(n_years, nu.size)), -LARGEST_SHOCK, LARGEST_SHOCK)


def _checked(
    posterior: Mapping[str, ArrayLike],
    tables: WppTables,
    start_year: int,
    end_year: int,
    weights: Array,
    pyramid_years: Sequence[int],
    keep_draws: Sequence[int],
) -> dict[str, Array]:
    faults = []
    draws: dict[str, Array] = {}
    if "migration_base_error" in posterior:
        # Older fits lack these.
        nothing = np.zeros_like(np.asarray(posterior["migration_base_error"], dtype=np.float64))
        names = ("migration_base_error_old", "mortality_base_error", "fertility_base_error", "fertility_pace")
        posterior = {**dict.fromkeys(names, nothing), **posterior}
    for name in POSTERIOR_NAMES:
        if name not in posterior:
            faults.append(
                Fault(name, "nothing", "one value per draw", "pass the draws of all three demographic blocks")
            )
            continue
        draws[name] = np.asarray(posterior[name], dtype=np.float64)
    sizes = {name: values.shape for name, values in draws.items()}
    common = max(sizes.values(), key=lambda shape: list(sizes.values()).count(shape), default=(0,))
    for name, shape in sizes.items():
        if shape != common or len(shape) != 1 or shape[0] == 0:
            faults.append(
                Fault(name, f"shape {shape}", f"{common}, draws only", "flatten the chains, same draws in each")
            )
        elif not np.isfinite(draws[name]).all():
            faults.append(Fault(name, "values that are not finite", "finite numbers", "use an accepted fit"))
    latest = int(tables.years[-1])
    if not start_year <= end_year <= latest or start_year > tables.last_estimate_year + 1:
        faults.append(
            Fault(
                "start_year, end_year",
                f"{start_year}, {end_year}",
                f"start not after {tables.last_estimate_year + 1}, end from start to {latest}",
                "start in the year after the last estimate of the fit",
            )
        )
    if weights.ndim != 3 or weights.shape[1:] != (2, N_AGES) or not np.isfinite(weights).all():
        faults.append(
            Fault("weights", f"shape {weights.shape}", f"(k, 2, {N_AGES}), finite", "order the axes k, sex, age")
        )
    outside = [year for year in pyramid_years if not start_year <= year <= end_year]
    if outside:
        faults.append(Fault("pyramid_years", str(outside), f"{start_year}..{end_year}", "name simulated years"))
    strange = [draw for draw in keep_draws if not 0 <= draw < common[0]]
    if strange:
        faults.append(Fault("keep_draws", str(strange), f"0..{common[0] - 1}", "name draws of the posterior"))
    if faults:
        raise FaultyInput("population futures", faults)
    return draws
