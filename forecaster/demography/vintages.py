"""What the United Nations' earlier revisions said: the tables of one place as they stood in an earlier year.

Of the revisions of 2012 to 2019 five-year figures are held, of that of 2022 yearly ones too. They are laid over the
single years and ages of WPP 2024: with V the earlier figure of a five-year cell and W that of WPP 2024,

    people by age    W(age, year) * V / W of the age group, the ratio on straight lines between the years published
    death rates      likewise with the ratio of logs, then one factor a year and sex for the life expectancy
    life expectancy  W(year) + (V - W of the five years), on straight lines between the middles of the periods
    total fertility, sex ratio at birth, yearly net migration
                     as life expectancy; the age pattern of fertility as people

with the ratio or difference of the ends held beyond them, and the differences moved until the means of the five years
are the published ones. So the levels are those of the revision, while the course
within five years is what became known of it later: the yearly figures of the time are not published in one place. After
the last estimate the people are the revision's own medium variant.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecaster.demography.lifetable import life_expectancy
from forecaster.demography.tables import (
    FERTILE_AGES,
    N_AGES,
    SEXES,
    VINTAGE,
    WppTables,
    central_indicators,
    check_place,
    load_wpp,
    read_columns,
)
from forecaster.errors import Fault, FaultyInput
from forecaster.resources import data_dir

Array = NDArray[np.float64]

# Revision to the year in which it was published (June or July) and the last calendar year that it estimates.
PUBLISHED: dict[str, int] = {
    "WPP2012": 2013,
    "WPP2015": 2015,
    "WPP2017": 2017,
    "WPP2019": 2019,
    "WPP2022": 2022,
    "WPP2024": 2024,
}
LAST_ESTIMATE: dict[str, int] = {
    "WPP2012": 2009,
    "WPP2015": 2014,
    "WPP2017": 2014,
    "WPP2019": 2019,
    "WPP2022": 2021,
    "WPP2024": 2023,
}
# Largest factor by which death rates are moved to meet a life expectancy.
WIDEST_FACTOR = 3.0
# Steps in which the means of the periods are met.
ROUNDS = 20


def vintage_at(year: int) -> str:
    """Latest revision published by the end of ``year``, ``WPP2012`` to ``WPP2024``.

    Raises
    ------
    FaultyInput
        For years before 2013, of which no revision is held.
    """
    known = [name for name, published in PUBLISHED.items() if published <= year]
    if not known:
        fault = Fault("year", str(year), f"{min(PUBLISHED.values())} or later", "choose a later year")
        raise FaultyInput("revision of the population", [fault])
    return known[-1]


def load_vintage(place: str, vintage: str) -> WppTables:
    """Tables of one place as the revision ``vintage`` has them; see the module for what is derived.

    Parameters
    ----------
    place
        ISO 3166 three-letter code; of imported tables their path, which have no earlier revisions than ``WPP2024``.
    vintage
        ``WPP2012``, ``WPP2015``, ``WPP2017``, ``WPP2019``, ``WPP2022`` or ``WPP2024``.

    Returns
    -------
    WppTables
        With ``last_estimate_year`` of the revision. Births and deaths stay those of WPP 2024: nothing reads them.

    Raises
    ------
    FaultyInput
        When place or revision is unknown.
    """
    if vintage not in PUBLISHED:
        raise FaultyInput(
            "revision of the population",
            [Fault("vintage", repr(vintage), ", ".join(PUBLISHED), "use one of these names")],
        )
    if vintage == VINTAGE:
        return load_wpp(place)
    return _load(check_place(place), vintage, data_dir() / "demography")


@cache
def _load(place: str, vintage: str, folder: Path) -> WppTables:
    latest = load_wpp(place)
    yearly = (
        _yearly_indicators(latest, vintage) if vintage == "WPP2022" else _carried_indicators(latest, vintage, folder)
    )
    ages, ratio = _people_ratio(latest, vintage, folder)
    earlier = replace(
        latest,
        population_1jan=latest.population_1jan * _at(ages, latest.population_years, ratio),
        population_1july=latest.population_1july * _at(ages, latest.years + 0.5, ratio),
        mx=_death_rates(latest, vintage, folder, yearly["e0"]),
        asfr=_fertility(latest, vintage, folder, yearly["tfr"]),
        tfr=yearly["tfr"],
        srb=yearly["srb"],
        e0=yearly["e0"],
        e0_both=yearly["e0_both"],
        net_migration=yearly["net_migration"],
        last_estimate_year=LAST_ESTIMATE[vintage],
    )
    for value in vars(earlier).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return earlier


def five_year_bounds(place: str, indicator: str, sex: str, time: str, vintage: str) -> Array:
    """Prediction intervals of a revision before 2022: 95% lower, 80% lower, median, 80% upper, 95% upper.

    Parameters
    ----------
    indicator
        ``tfr``, ``e0`` (five-year means) or ``pop_1july`` (thousands; its median is not held and NaN).
    time
        A period, or for people a year.

    Raises
    ------
    FaultyInput
        When no interval is held for the combination; where only some of the bounds are, the others are NaN.
    """
    rows = _rows(
        data_dir() / "demography",
        "indicators_5y_by_vintage",
        check_place(place),
        vintage,
        ["time", "indicator", "sex", "stat", "value"],
    )
    own = (rows["indicator"] == indicator) & (rows["sex"] == sex) & (rows["time"] == time)
    found = dict(zip(rows["stat"][own], rows["value"][own], strict=True))
    if not found:
        fault = Fault(f"{vintage}, {indicator}, {sex}, {time}", "no interval", "tfr, e0, pop_1july", "choose another")
        raise FaultyInput("published intervals", [fault])
    return np.array([float(found.get(stat, np.nan)) for stat in ("95l", "80l", "median", "80u", "95u")])


def _middle(period: str) -> float:
    """Middle of a period named by two years, which runs from 1 July to 30 June: 2010-2015 is 2013.0."""
    return int(period[:4]) + 3.0


def over_period(years: NDArray[np.int64], values: Array, period: str) -> Array:
    """Mean of yearly values over a five-year period from 1 July to 30 June, along the first axis.

    Parameters
    ----------
    years
        ``(year,)``, without gaps; they hold both years that name the period.
    values
        ``(year, ...)``.
    period
        Such as ``2010-2015``.
    """
    first = int(period[:4]) - int(years[0])
    weights = np.array([0.5, 1.0, 1.0, 1.0, 1.0, 0.5]) / 5.0
    mean: Array = np.tensordot(weights, values[first : first + 6], axes=1)
    return mean


def _at(known: Array, wanted: ArrayLike, values: Array) -> Array:
    """Values on straight lines between ``known`` times, level beyond them, along the first axis."""
    times = np.asarray(wanted, dtype=np.float64)
    flat = values.reshape(len(known), -1)
    found = np.stack([np.interp(times, known, column) for column in flat.T], axis=1)
    return found.reshape(len(times), *values.shape[1:])


def _rows(folder: Path, name: str, place: str, vintage: str, columns: list[str]) -> dict[str, NDArray[Any]]:
    return read_columns(folder / f"{name}.parquet", columns, [("iso3", "==", place), ("vintage", "==", vintage)])


def _estimates(folder: Path, place: str, vintage: str, indicator: str, sex: str) -> tuple[list[str], Array]:
    """Periods estimated by a revision and the values, summed over the sexes where only they are published."""
    rows = _rows(folder, "indicators_5y_by_vintage", place, vintage, ["time", "indicator", "sex", "stat", "value"])
    last = f"{LAST_ESTIMATE[vintage] - 4}"
    wanted = (rows["indicator"] == indicator) & np.isin(rows["stat"], ["estimate", "median"])
    chosen = wanted & (rows["sex"] == sex)
    found: dict[str, float] = {}
    for row in np.flatnonzero(chosen if chosen.any() else wanted):
        period = str(rows["time"][row])
        if period[:4] <= last and (rows["stat"][row] == "estimate" or not _has_estimates(indicator)):
            found[period] = found.get(period, 0.0) + float(rows["value"][row])
    periods = sorted(found)
    return periods, np.array([found[period] for period in periods])


def _has_estimates(indicator: str) -> bool:
    """Past and future of migration and sex ratio stand under one name, the medium variant."""
    return indicator in {"tfr", "e0"}


def _carried_indicators(latest: WppTables, vintage: str, folder: Path) -> dict[str, Array]:
    years = latest.years

    def carried(indicator: str, sex: str, series: Array, unit: float = 1.0) -> Array:
        periods, values = _estimates(folder, latest.place, vintage, indicator, sex)
        middles = np.array([_middle(period) for period in periods])
        found, gap = series, np.zeros(len(periods))
        # Straight lines between the middles round off a bend, so the means of the periods are met in steps.
        for _ in range(ROUNDS):
            gap = gap + values * unit - [over_period(years, found, period) for period in periods]
            found = series + _at(middles, years + 0.5, gap)
        return found

    e0 = np.stack([carried("e0", sex, latest.e0[:, i]) for i, sex in enumerate(SEXES)], axis=1)
    return {
        "tfr": carried("tfr", "b", latest.tfr),
        "srb": carried("srb", "b", latest.srb),
        "e0": e0,
        "e0_both": latest.e0_both + (e0 - latest.e0).mean(axis=1),
        # Thousands in five years.
        "net_migration": carried("net_migration", "b", latest.net_migration, 200.0),
    }


def _yearly_indicators(latest: WppTables, vintage: str) -> dict[str, Array]:
    own = central_indicators(latest.place, vintage)
    return {
        "tfr": own["tfr", "b"],
        "srb": own["srb", "b"],
        "e0": np.stack([own["e0", "m"], own["e0", "f"]], axis=1),
        "e0_both": own["e0", "b"],
        "net_migration": 1000.0 * own["net_migration", "b"],
    }


def _people_ratio(latest: WppTables, vintage: str, folder: Path) -> tuple[Array, Array]:
    """Times of the revision's populations by age group and their ratio to WPP 2024's, ``(time, 2, 101)``."""
    rows = _rows(folder, "population_5x5_by_vintage", latest.place, vintage, ["year", "sex", "age_start", "pop"])
    years = np.unique(rows["year"]).astype(int)
    groups = np.zeros((len(years), 2, 21))
    sex = (rows["sex"] == SEXES[1]).astype(int)
    groups[np.searchsorted(years, rows["year"]), sex, rows["age_start"] // 5] = rows["pop"]
    later = np.add.reduceat(latest.population_1july[years - latest.years[0]], np.arange(0, N_AGES, 5), axis=-1)
    # A group without anybody, at the highest ages of small places, has no ratio.
    ratio = np.divide(groups, later, out=np.ones_like(groups), where=later > 0)
    return years + 0.5, np.repeat(ratio, 5, axis=-1)[..., :N_AGES]


def _group_of_age(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.searchsorted(starts, np.arange(N_AGES), side="right") - 1
    return found


def _death_rates(latest: WppTables, vintage: str, folder: Path, e0: Array) -> Array:
    """Rates by single age that have the revision's age pattern and the life expectancy ``e0``, ``(year, 2)``."""

    def published(name: str) -> tuple[list[str], NDArray[np.int64], Array]:
        rows = _rows(folder, "mx_5x5_by_vintage", latest.place, name, ["period", "sex", "age_start", "mx"])
        own = rows["sex"] != "b"
        periods, starts = np.unique(rows["period"][own].astype(str)), np.unique(rows["age_start"]).astype(int)
        table = np.empty((len(periods), 2, len(starts)))
        where = (
            np.searchsorted(periods, rows["period"][own].astype(str)),
            (rows["sex"][own] == SEXES[1]).astype(int),
            np.searchsorted(starts, rows["age_start"][own]),
        )
        table[where] = rows["mx"][own]
        return list(periods), starts, table

    periods, starts, earlier = published(vintage)
    _, _, later = published(VINTAGE)
    known = [i for i, period in enumerate(periods) if int(period[:4]) <= LAST_ESTIMATE[vintage] - 1]
    gap = np.log(earlier[known] / later[known])[..., _group_of_age(starts)]
    log_rates = np.log(latest.mx) + _at(np.array([_middle(periods[i]) for i in known]), latest.years + 0.5, gap)
    low, high = np.full(e0.shape, -np.log(WIDEST_FACTOR)), np.full(e0.shape, np.log(WIDEST_FACTOR))
    for _ in range(50):
        middle = (low + high) / 2.0
        too_long = life_expectancy(np.minimum(np.exp(log_rates + middle[..., np.newaxis]), 1.9)) > e0
        low, high = np.where(too_long, middle, low), np.where(too_long, high, middle)
    rates: Array = np.minimum(np.exp(log_rates + ((low + high) / 2.0)[..., np.newaxis]), 1.9)
    return rates


def _fertility(latest: WppTables, vintage: str, folder: Path, tfr: Array) -> Array:
    """Births per woman by age, ``(year, 45)``, of the revision's total and, where it is held, age pattern."""
    shape = latest.asfr / latest.asfr.sum(axis=1, keepdims=True)
    rows = _rows(folder, "pasfr_5x5_by_vintage", latest.place, vintage, ["period", "age_start", "pasfr"])
    known = [p for p in np.unique(rows["period"].astype(str)) if int(p[:4]) <= LAST_ESTIMATE[vintage] - 1]
    if known:
        starts = np.arange(15, 50, 5)
        group = np.clip(np.searchsorted(starts, FERTILE_AGES, side="right") - 1, 0, len(starts) - 1)
        ratio = np.empty((len(known), len(starts)))
        for i, period in enumerate(known):
            own = rows["period"] == period
            shares = rows["pasfr"][own][np.argsort(rows["age_start"][own])] / 100.0
            later = np.bincount(group, over_period(latest.years, shape, period))
            ratio[i] = (shares + 1e-4) / (later + 1e-4)
        shape = shape * _at(np.array([_middle(p) for p in known]), latest.years + 0.5, ratio)[:, group]
        shape = shape / shape.sum(axis=1, keepdims=True)
    rates: Array = shape * tfr[:, np.newaxis]
    return rates
