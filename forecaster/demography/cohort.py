"""The cohort-component projection at single ages, for one path or thousands of draws.

One step is one calendar year from 1 January, age being age at the last birthday (United Nations' convention for WPP
2024; ``data/demography/README.md`` has the evidence):

    survivors(x+1) = population(x) * L(x+1) / L(x)                        x = 0..98
    survivors(100) = (population(99) + population(100)) * T(100) / (L(99) + T(100))
    births         = sum over x of asfr(x) * (women(x) + surviving women(x)) / 2
    survivors(0)   = births of the sex * L(0) / l(0)
    next 1 January = survivors + net migrants of the year, by age on 31 December

so the migrants of a year neither die nor bear children in that year. Of a cell at most 80% can leave in one year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecaster.demography.kernels import FIRST_FERTILE_AGE, project_draws
from forecaster.errors import Fault, FaultyInput

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PopulationPath:
    """Projected people of every draw.

    Attributes
    ----------
    years
        Calendar years of the flows, ``(n_years,)``.
    population
        Persons on 1 January of ``years[0]..years[-1] + 1`` (stock), ``(draw, n_years + 1, 2, age)``.
    births, deaths, net_migration
        Persons in the year (flow) by sex, ``(draw, n_years, 2)``. Net migration is what was applied: asked-for outflow
        beyond 80% of a cell is cut.
    """

    years: NDArray[np.int64]
    population: Array
    births: Array
    deaths: Array
    net_migration: Array

    @property
    def population_years(self) -> NDArray[np.int64]:
        """Years whose 1 January the axis 1 of ``population`` stands for."""
        return np.append(self.years, self.years[-1] + 1)

    def mid_year(self) -> Array:
        """Persons on 1 July of ``years``: the mean of the neighbouring 1 Januaries, ``(draw, n_years, 2, age)``."""
        return 0.5 * (self.population[:, :-1] + self.population[:, 1:])

    def balance_gap(self) -> Array:
        """Opening + births - deaths + net migration - closing by sex in persons, ``(draw, n_years, 2)``; zero but for
        rounding."""
        stock = self.population.sum(axis=-1)
        return stock[:, :-1] + self.births - self.deaths + self.net_migration - stock[:, 1:]


def project_population(
    start_population: ArrayLike,
    mx: ArrayLike,
    asfr: ArrayLike,
    srb: ArrayLike,
    net_migration: ArrayLike,
    *,
    start_year: int,
) -> PopulationPath:
    """Project a population year by year.

    Every argument may lack the draw axis or have it with length 1; it then serves all draws without being copied.

    Parameters
    ----------
    start_population
        Persons on 1 January of ``start_year``, ``([draw,] 2, age)``, sexes ``(m, f)``, the last age open.
    mx
        Central death rates per person-year, ``([draw,] year, 2, age)``.
    asfr
        Births per woman-year, ``([draw,] year, fertile age)`` from age 10 on.
    srb
        Male births per female birth, ``([draw,] year)``.
    net_migration
        Net migrants of the year by age on 31 December, persons (flow), ``([draw,] year, 2, age)``.
    start_year
        First calendar year.

    Returns
    -------
    PopulationPath
        Stocks and flows of every draw.

    Raises
    ------
    FaultyInput
        Names every argument whose shape does not fit or whose values are impossible.
    """
    faults: list[Fault] = []
    start = _with_draws("start_population", start_population, 2, faults)
    rates = _with_draws("mx", mx, 3, faults)
    fertility = _with_draws("asfr", asfr, 2, faults)
    boys = _with_draws("srb", srb, 1, faults)
    migrants = _with_draws("net_migration", net_migration, 3, faults)
    if faults:
        raise FaultyInput("population projection", faults)
    inputs = {"start_population": start, "mx": rates, "asfr": fertility, "srb": boys, "net_migration": migrants}
    n_draws = max(values.shape[0] for values in inputs.values())
    n_years, _, n_ages = rates.shape[1:]
    wanted = {
        "start_population": (2, n_ages),
        "mx": (n_years, 2, n_ages),
        "asfr": (n_years, fertility.shape[2]),
        "srb": (n_years,),
        "net_migration": (n_years, 2, n_ages),
    }
    for name, values in inputs.items():
        if values.shape[0] not in (1, n_draws) or values.shape[1:] != wanted[name]:
            faults.append(
                Fault(
                    name,
                    f"shape {values.shape}",
                    f"{(n_draws, *wanted[name])} or {(1, *wanted[name])} (draw first)",
                    "give all arguments the same draws, years, sexes and ages",
                )
            )
    if n_ages < FIRST_FERTILE_AGE + fertility.shape[2]:
        faults.append(
            Fault(
                "asfr",
                f"{fertility.shape[2]} ages from {FIRST_FERTILE_AGE}",
                f"ages below {n_ages}",
                "end fertility before the open age group",
            )
        )
    for name, values in inputs.items():
        faults.extend(_impossible(name, values))
    if faults:
        raise FaultyInput("population projection", faults)

    population = np.empty((n_draws, n_years + 1, 2, n_ages))
    births, deaths, moved = (np.empty((n_draws, n_years, 2)) for _ in range(3))
    project_draws(start, rates, fertility, boys, migrants, population, births, deaths, moved)
    years = np.arange(start_year, start_year + n_years)
    return PopulationPath(years, population, births, deaths, moved)


def _with_draws(name: str, values: ArrayLike, n_axes: int, faults: list[Fault]) -> Array:
    """Contiguous float array with a leading draw axis; copies only what is of another kind."""
    array: NDArray[Any] = np.require(values, dtype=np.float64, requirements=["C", "W"])
    if array.ndim == n_axes:
        array = array[np.newaxis]
    if array.ndim != n_axes + 1 or 0 in array.shape:
        faults.append(
            Fault(
                name,
                f"shape {np.shape(values)}",
                f"{n_axes} axes, or {n_axes + 1} with draws first, none empty",
                "put the axes in the order draw, year, sex, age",
            )
        )
    return array


def _impossible(name: str, values: Array) -> list[Fault]:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        return [Fault(name, f"values from {low} to {high}", "finite numbers", "fill the gaps before projecting")]
    if name != "net_migration" and low < 0:
        return [Fault(name, f"lowest value {low}", "not below zero", "correct the negative values")]
    if name == "mx" and float(values[..., -1].min()) <= 0:
        return [Fault("mx of the open age group", "zero", "above zero", "give the open group a death rate")]
    return []
