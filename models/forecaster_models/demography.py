"""Bayesian models of mortality, fertility and migration: three small graphs, one per block.

Each function takes the history and the priors and returns a ``pm.Model``; nothing else is hidden in it. Paths that are
Gaussian are integrated out in closed form; what goes forward are scalars (the ``*_KEEP`` tuples), from which
``forecaster.demography.futures`` draws the future without PyMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pymc as pm
from numpy.typing import NDArray

from forecaster.demography.patterns import (
    PACE_MEMORY,
    FertilityHistory,
    MigrationHistory,
    MortalityHistory,
    fertility_history,
    migration_history,
    mortality_history,
)
from forecaster.demography.tables import VINTAGE
from forecaster.demography.vintages import load_vintage
from forecaster.resources import data_dir
from forecaster_models.blocks import Block
from forecaster_models.priors import Priors, draw_prior, read_priors

MORTALITY_KEEP = (
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
)
FERTILITY_KEEP = (
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
)
MIGRATION_KEEP = (
    "migration_mean",
    "migration_policy_shift",
    "migration_rho",
    "migration_sd",
    "migration_nu",
    "migration_base_error",
    "migration_base_error_old",
)


def demography_priors(place: str) -> dict[str, dict[str, dict[str, object]]]:
    """Priors of the three blocks for one place, from ``data/priors/demography.toml``."""
    return read_priors(data_dir() / "priors" / "demography.toml", place)


def walk_covariance(n_years: int, pace_sd_ratio: float) -> NDArray[np.float64]:
    """Covariance of the common index 1..n years from a year whose level and pace are known, if level_sd is 1.

    Level shocks add up once, deviations of the pace twice; see :func:`mortality_model`.
    """
    ago = np.arange(1, n_years + 1)
    apart = np.abs(np.subtract.outer(ago, ago))
    remainder = PACE_MEMORY**apart - PACE_MEMORY ** (np.add.outer(ago, ago) - 2)
    twice: NDArray[np.float64] = remainder.cumsum(axis=0).cumsum(axis=1)
    return np.minimum.outer(ago, ago) + pace_sd_ratio**2 * twice


def mortality_model(data: MortalityHistory, priors: Priors) -> pm.Model:
    """Common index: random walk whose pace wanders about a mean drift; gap of the sexes: AR(1).

    With A the last year before a pandemic (or the jump-off year T where there was none), u the pace's deviation, AR(1)
    with ``patterns.PACE_MEMORY``, and everything written backwards from A (both processes read the same in either
    direction)::

        K(A - j) = level(A) - sum over i < j of (drift_mean + u(A - i)) + level_sd * W(j) + noise_sd * e(j)
        cov W(j, j') = min(j, j')        u(A - i) = memory^i u(A) + a remainder of covariance
                                         pace_sd^2 (memory^|i - i'| - memory^(i + i'))
        k(t) = gap_mean + gap_rho (k(t-1) - gap_mean) + gap_sd * e(t)

    so mean drift and pace of A are two scalars and the path is integrated out: pace_sd is a fixed multiple of level_sd,
    hence in the eigenvectors of the walk's covariance the likelihood is a set of independent normals. Noise keeps
    single bad winters out of level and pace. A pandemic is an outlier, not trend: neither its years nor the step across
    them bear on drift and pace; what it leaves behind is in the level of the jump-off year,
    ``K(T) + mortality_level_offset``. ``regime_shift`` is added to the mean drift in the future only, ``base_error`` to
    the level of the jump-off year, whose estimate will be revised; no data inform them and they keep their priors.

    Parameters
    ----------
    data
        Indices of ``patterns.mortality_history``.
    priors
        ``[mortality.*]`` of the priors file.
    """
    ratio = draw_prior("mortality", "pace_sd_ratio", priors)
    anchor = int(np.argmax(data.pandemic)) - 1 if data.pandemic.any() else data.years.size - 1
    path = data.common[: anchor + 1][::-1]
    ago = np.arange(1, anchor + 1)
    # A flat level at A says level = K(A) + noise and no more, so K(A) conditions the others instead of being observed.
    spread, rotation = np.linalg.eigh(walk_covariance(anchor, ratio))
    rotated = rotation.T @ (path[1:] - path[0])
    years_since = data.years.size - 1 - anchor
    carried = PACE_MEMORY**years_since
    with pm.Model() as model:
        drift = draw_prior("mortality", "drift_mean", priors)
        draw_prior("mortality", "regime_shift", priors)
        draw_prior("mortality", "base_error", priors)
        level_sd = draw_prior("mortality", "level_sd", priors)
        noise_sd = draw_prior("mortality", "noise_sd", priors)
        pace_sd = pm.Deterministic("mortality_pace_sd", ratio * level_sd)
        pace = pace_sd * pm.Normal("mortality_pace_unit", 0.0, 1.0)
        anchor_offset = noise_sd * pm.Normal("mortality_anchor_unit", 0.0, 1.0)
        expected = (
            anchor_offset * rotation.sum(axis=0)
            - drift * (rotation.T @ ago)
            - pace * (rotation.T @ np.cumsum(PACE_MEMORY ** (ago - 1)))
        )
        scale = (level_sd**2 * np.maximum(spread, 0.0) + noise_sd**2) ** 0.5
        pm.Normal("mortality_common", mu=expected, sigma=scale, observed=rotated)
        if years_since == 0:
            pm.Deterministic("mortality_pace_end", pace)
            pm.Deterministic("mortality_level_offset", anchor_offset)
        else:
            since = pm.Normal("mortality_pace_since_unit", 0.0, 1.0)
            pm.Deterministic("mortality_pace_end", carried * pace + (1.0 - carried**2) ** 0.5 * pace_sd * since)
            if data.pandemic[-1]:
                draw_prior("mortality", "level_offset", priors)
            else:
                end_unit = pm.Normal("mortality_level_unit", 0.0, 1.0)
                pm.Deterministic("mortality_level_offset", noise_sd * end_unit)
        mean = draw_prior("mortality", "gap_mean", priors)
        rho = draw_prior("mortality", "gap_rho", priors)
        sd = draw_prior("mortality", "gap_sd", priors)
        expected = mean + rho * (data.gap[:-1] - mean)
        pm.Normal("mortality_gap", mu=expected, sigma=sd, observed=data.gap[1:])
    return model


def fertility_model(data: FertilityHistory, priors: Priors) -> pm.Model:
    """Log total fertility and mean age of childbearing, each an AR(1) towards its own long-run value.

    ::

        log TFR(t) = mean + rho (log TFR(t-1) - mean) + sd * Student-t(nu)
        age(t)     = age_limit + age_rho (age(t-1) - age_limit) + age_sd * e(t)

    Three quantities that no data inform keep their priors: ``regime_shift`` is added to the mean in the future only,
    ``base_error`` to the jump-off year's log TFR, whose estimate will be revised, and ``pace`` to the yearly change of
    the future, fading by a tenth a year: falls and recoveries last longer than independent shocks would have them.

    Parameters
    ----------
    data
        Series of ``patterns.fertility_history``.
    priors
        ``[fertility.*]`` of the priors file.
    """
    with pm.Model() as model:
        mean = draw_prior("fertility", "mean", priors)
        for name in ("regime_shift", "base_error", "pace"):
            draw_prior("fertility", name, priors)
        rho = draw_prior("fertility", "rho", priors)
        sd = draw_prior("fertility", "sd", priors)
        nu = pm.Deterministic("fertility_nu", 4.0 + draw_prior("fertility", "nu_above_four", priors))
        expected = mean + rho * (data.log_tfr[:-1] - mean)
        pm.StudentT("fertility_log_tfr", nu=nu, mu=expected, sigma=sd, observed=data.log_tfr[1:])
        limit = draw_prior("fertility", "age_limit", priors)
        age_rho = draw_prior("fertility", "age_rho", priors)
        age_sd = draw_prior("fertility", "age_sd", priors)
        expected_age = limit + age_rho * (data.mean_age[:-1] - limit)
        pm.Normal("fertility_mean_age", mu=expected_age, sigma=age_sd, observed=data.mean_age[1:])
    return model


def migration_model(data: MigrationHistory, priors: Priors) -> pm.Model:
    """Net migrants per person: AR(1) with heavy tails; and three quantities that no data inform.

    ::

        rate(t) = mean + rho (rate(t-1) - mean) + sd * Student-t(nu)

    ``policy_shift`` is added to the mean in the future only, ``base_error`` is the log error of the base population and
    ``base_error_old`` that of its old beyond it; they keep their priors.

    Parameters
    ----------
    data
        Series of ``patterns.migration_history``.
    priors
        ``[migration.*]`` of the priors file.
    """
    with pm.Model() as model:
        mean = draw_prior("migration", "mean", priors)
        rho = draw_prior("migration", "rho", priors)
        sd = draw_prior("migration", "sd", priors)
        nu = pm.Deterministic("migration_nu", 2.0 + draw_prior("migration", "nu_above_two", priors))
        expected = mean + rho * (data.rate[:-1] - mean)
        pm.StudentT("migration_rate", nu=nu, mu=expected, sigma=sd, observed=data.rate[1:])
        draw_prior("migration", "policy_shift", priors)
        draw_prior("migration", "base_error", priors)
        draw_prior("migration", "base_error_old", priors)
    return model


def demography_blocks(
    place: str,
    last_year: int | None = None,
    priors: Mapping[str, Priors] | None = None,
    vintage: str = VINTAGE,
) -> list[Block]:
    """The three blocks of one place.

    Parameters
    ----------
    place
        ISO 3166 three-letter code.
    last_year
        Jump-off year, the last one whose estimate is used; the last estimate (2023) where none is given.
    priors
        Priors by block and name; the place's defaults where none are given.
    vintage
        Revision of the United Nations' figures, as in :func:`forecaster.demography.vintages.load_vintage`.

    Raises
    ------
    FaultyInput
        When the place is unknown, the year is no estimate, or the priors file is faulty.
    """
    tables = load_vintage(place, vintage)
    priors = demography_priors(place) if priors is None else priors
    deaths = mortality_history(tables, last_year)
    births = fertility_history(tables, last_year)
    moves = migration_history(tables, last_year)
    return [
        Block("mortality", partial(mortality_model, deaths, priors["mortality"]), MORTALITY_KEEP),
        Block("fertility", partial(fertility_model, births, priors["fertility"]), FERTILITY_KEEP),
        Block("migration", partial(migration_model, moves, priors["migration"]), MIGRATION_KEEP),
    ]
