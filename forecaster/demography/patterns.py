"""What the tables say about the past: age patterns and the yearly indices that the models are fitted to.

Mortality follows Li and Lee (2005, Demography 42): both sexes share the age pattern B(x) and a common index K(t) that
trends, and the sexes' deviation k(t) is stationary:

    log m(s, x, t) = a(s, x) + B(x) * (K(t) + g(s) * k(t))        g = +1 for men, -1 for women

B is the first singular vector of the two sexes' mean centred log rates in the years without a pandemic, scaled to a
mean of 1 over ages 0..100, so a step of -0.02 in K is a fall of death rates by 2% on average. The deviation acts
through the same pattern (Li and Lee give it one of its own): in these places their second pattern changes sign over age
and does not settle life expectancy, while this one has exactly one K(t) and k(t) at which the life expectancy of both
sexes is the published one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecaster.demography.lifetable import life_expectancy
from forecaster.demography.tables import FERTILE_AGES, WppTables
from forecaster.errors import Fault, FaultyInput

Array = NDArray[np.float64]

FIRST_YEAR = 1980
PANDEMIC_YEARS: tuple[int, ...] = (2020, 2021, 2022)
REPLACEMENT_TFR = 2.1
SEX_SIGN: Array = np.array([1.0, -1.0])
# Share of a deviation of mortality's pace that is left a year later: half of it after ten years.
PACE_MEMORY = 0.93
# The index answers life expectancies within this many logs of the mean level.
WIDEST_INDEX = 6.0


@dataclass(frozen=True)
class MortalityHistory:
    """Indices of mortality and what is needed to turn them back into rates.

    Attributes
    ----------
    years
        ``(n,)``, the last being the jump-off year.
    common
        Common index K(t) in mean log rate, ``(n,)``.
    gap
        Half the difference of the sexes' indices k(t), men above women, ``(n,)``.
    pandemic
        True in years whose level is an outlier, ``(n,)``.
    slope
        Age pattern B(x), mean 1, ``(101,)``.
    log_rates
        Log central death rates of the jump-off year, ``(2, 101)``.
    """

    years: NDArray[np.int64]
    common: Array
    gap: Array
    pandemic: NDArray[np.bool_]
    slope: Array
    log_rates: Array


@dataclass(frozen=True)
class FertilityHistory:
    """Total fertility and its age pattern.

    Attributes
    ----------
    years
        ``(n,)``, from the first year with a total below replacement on, the last being the jump-off year.
    log_tfr
        Log of children per woman, ``(n,)``.
    mean_age
        Mean age of childbearing in years, ``(n,)``.
    shape
        Share of total fertility by age 10..54 in the jump-off year, ``(45,)``.
    """

    years: NDArray[np.int64]
    log_tfr: Array
    mean_age: Array
    shape: Array


@dataclass(frozen=True)
class MigrationHistory:
    """Net migration in each year.

    Attributes
    ----------
    years
        ``(n,)``, the last being the jump-off year.
    rate
        Net migrants of the year per person alive on 1 January (share), ``(n,)``.
    profile
        Share of the net migrants by sex and age on 31 December, ``(2, 101)``, summing to 1: that of 2023, the only
        estimate that the United Nations publish by age.
    """

    years: NDArray[np.int64]
    rate: Array
    profile: Array


def check_origin(tables: WppTables, last_year: int | None, first_year: int = FIRST_YEAR) -> int:
    """Jump-off year: ``last_year``, or the last estimate where none is asked for.

    Raises
    ------
    FaultyInput
        When the year is no estimate or leaves fewer than 15 years to learn from.
    """
    year = tables.last_estimate_year if last_year is None else last_year
    earliest = first_year + 15
    if not earliest <= year <= tables.last_estimate_year:
        raise FaultyInput(
            "jump-off year",
            [
                Fault(
                    "last_year",
                    str(year),
                    f"{earliest}..{tables.last_estimate_year}",
                    "choose a year with 15 years of estimates before it",
                )
            ],
        )
    return year


def mortality_history(
    tables: WppTables,
    last_year: int | None = None,
    first_year: int = FIRST_YEAR,
    pandemic_years: tuple[int, ...] = PANDEMIC_YEARS,
) -> MortalityHistory:
    """Indices of mortality of ``first_year..last_year``; see the module for the equations."""
    last = check_origin(tables, last_year, first_year)
    span = tables.year_slice(first_year, last)
    years = tables.years[span]
    pandemic = np.isin(years, pandemic_years)
    log_rates = np.log(tables.mx[span])
    level = log_rates[~pandemic].mean(axis=0)
    centred = (log_rates[~pandemic] - level).mean(axis=1)
    _, _, right = np.linalg.svd(centred, full_matrices=False)
    slope = right[0] * np.sign(right[0].sum())
    slope = _smooth(slope / slope.mean())
    slope = np.maximum(slope, 0.1)
    slope /= slope.mean()
    index = _index_of(tables.e0[span], level, slope)
    return MortalityHistory(
        years=years,
        common=index.mean(axis=1),
        gap=(index[:, 0] - index[:, 1]) / 2.0,
        pandemic=pandemic,
        slope=slope,
        log_rates=log_rates[-1],
    )


def fertility_history(
    tables: WppTables, last_year: int | None = None, first_year: int = FIRST_YEAR
) -> FertilityHistory:
    """Total fertility since it first fell below 2.1 children (or ``first_year`` if later) up to ``last_year``."""
    last = check_origin(tables, last_year, first_year)
    below = tables.years[tables.tfr < REPLACEMENT_TFR]
    # Fertility that has only lately fallen still leaves ten years to learn from.
    first = min(max(first_year, int(below[0])), last - 10)
    span = tables.year_slice(first, last)
    asfr = tables.asfr[span]
    shape = asfr / asfr.sum(axis=1, keepdims=True)
    return FertilityHistory(
        years=tables.years[span],
        log_tfr=np.log(tables.tfr[span]),
        mean_age=shape @ (FERTILE_AGES + 0.5),
        shape=shape[-1],
    )


def migration_history(
    tables: WppTables, last_year: int | None = None, first_year: int = FIRST_YEAR
) -> MigrationHistory:
    """Net migration rates of ``first_year..last_year`` and the age profile of 2023."""
    last = check_origin(tables, last_year, first_year)
    span = tables.year_slice(first_year, last)
    people = tables.population_1jan[:-1][span].sum(axis=(1, 2))
    estimate = np.abs(tables.net_migration_by_age[0])
    return MigrationHistory(tables.years[span], tables.net_migration[span] / people, estimate / estimate.sum())


def future_churn(tables: WppTables, start_year: int, end_year: int) -> Array:
    """Medium variant's net migrants by age beyond total x profile, per person, ``(year, 2, 101)``; sums to 0 each year.

    Where people of one age come and others go, the total says little of the ages: this part stays when the total is
    drawn. For a jump-off before the United Nations' own it is zero, as the medium variant was not known then, and for
    earlier revisions too, of which none is held.
    """
    n_years = end_year - start_year + 1
    if start_year <= max(tables.last_estimate_year, int(tables.migration_years[0])):
        return np.zeros((n_years, 2, tables.population_1jan.shape[2]))
    by_age = tables.migration_between(start_year, end_year)
    total = by_age.sum(axis=(1, 2), keepdims=True)
    people = tables.population_1jan[:-1][tables.year_slice(start_year, end_year)].sum(axis=(1, 2))
    churn: Array = (by_age - total * migration_history(tables).profile) / people[:, np.newaxis, np.newaxis]
    return churn


def future_sex_ratio(tables: WppTables, start_year: int, end_year: int) -> Array:
    """Male births per female birth, ``(year,)``: medium variant, or the jump-off year's if that was not known then."""
    if start_year <= tables.last_estimate_year:
        last = tables.year_slice(start_year - 1, start_year - 1).start
        return np.full(end_year - start_year + 1, tables.srb[last])
    return tables.srb[tables.year_slice(start_year, end_year)].copy()


def _smooth(values: Array) -> Array:
    """Mean of five neighbouring ages; the two ages at either end, where the pattern is steep, stay."""
    out = values.copy()
    out[2:-2] = np.convolve(values, np.full(5, 0.2), mode="valid")
    return out


def _index_of(e0: Array, level: Array, slope: Array) -> Array:
    """Index at which ``exp(level + slope * index)`` has the life expectancy ``e0`` ``(n, 2)``, by bisection."""
    low = np.full(e0.shape, -WIDEST_INDEX)
    high = np.full(e0.shape, WIDEST_INDEX)
    for _ in range(60):
        middle = (low + high) / 2.0
        too_long = life_expectancy(np.minimum(np.exp(level + slope * middle[..., np.newaxis]), 1.9)) > e0
        low = np.where(too_long, middle, low)
        high = np.where(too_long, high, middle)
    return (low + high) / 2.0
