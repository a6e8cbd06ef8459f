"""The United Nations' World Population Prospects 2024 for one place, as labelled NumPy arrays.

The files and their conventions are described in ``data/demography/README.md``. Loading a place reads only its rows; the
result is kept, its arrays are read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecaster.errors import Fault, FaultyInput
from forecaster.resources import data_dir

Array = NDArray[np.float64]

PLACES: dict[str, str] = {
    "TWN": "Taiwan",
    "CHN": "China (mainland)",
    "KOR": "Republic of Korea",
    "JPN": "Japan",
    "USA": "United States",
    "DEU": "Germany",
    "SGP": "Singapore",
}
SEXES: tuple[str, str] = ("m", "f")
N_AGES = 101
FERTILE_AGES: NDArray[np.int64] = np.arange(10, 55)
VINTAGE = "WPP2024"
LAST_ESTIMATE_YEAR = 2023
# Of the files that hold a user's own tables.
OWN_SUFFIX = ".nc"


@dataclass(frozen=True)
class WppTables:
    """World Population Prospects 2024 of one place: estimates to 2023, medium variant after.

    Ages are 0..99 in completed years and 100 for 100 and over; the sex axis is ``(m, f)``.

    Attributes
    ----------
    place
        ISO 3166 three-letter code.
    years
        Calendar years 1950..2100 of the flows and of the 1 July stocks.
    population_years
        Years 1950..2101 of the 1 January stocks.
    population_1jan
        Persons on 1 January, ``(152, 2, 101)``, derived (see the README of the data).
    population_1july
        Persons on 1 July as published, ``(151, 2, 101)``.
    mx
        Central death rate per person-year, ``(151, 2, 101)``, derived.
    asfr
        Births per woman-year at ages 10..54, ``(151, 45)``, derived.
    tfr
        Total fertility, children per woman, ``(151,)``.
    srb
        Male births per female birth, ``(151,)``.
    e0
        Life expectancy at birth in years, ``(151, 2)``; ``e0_both`` for the sexes together, ``(151,)``.
    births, deaths, net_migration
        Persons in the calendar year (flow), ``(151,)``.
    migration_years
        Years 2023..2100 with net migrants by age.
    net_migration_by_age
        Net migrants in the year by age on 31 December, persons (flow), ``(78, 2, 101)``.
    last_estimate_year
        Last year that is an estimate; later years are the medium variant.
    """

    place: str
    years: NDArray[np.int64]
    population_years: NDArray[np.int64]
    population_1jan: Array
    population_1july: Array
    mx: Array
    asfr: Array
    tfr: Array
    srb: Array
    e0: Array
    e0_both: Array
    births: Array
    deaths: Array
    net_migration: Array
    migration_years: NDArray[np.int64]
    net_migration_by_age: Array
    last_estimate_year: int = LAST_ESTIMATE_YEAR

    @property
    def name(self) -> str:
        """English name of the place, of an imported one its code."""
        return PLACES.get(self.place, self.place)

    def year_slice(self, start_year: int, end_year: int) -> slice:
        """Positions of ``start_year..end_year`` (both included) on the axis ``years``.

        Raises
        ------
        FaultyInput
            When the years are not held or stand in the wrong order.
        """
        return _positions("years", self.years, start_year, end_year)

    def population_at(self, year: int) -> Array:
        """Persons on 1 January of ``year``, ``(2, 101)``, axis order sex, age."""
        where = _positions("population_years", self.population_years, year, year)
        people: Array = self.population_1jan[where.start]
        return people

    def migration_between(self, start_year: int, end_year: int) -> Array:
        """Net migrants of ``start_year..end_year`` by age, persons per year, ``(year, 2, 101)``."""
        return self.net_migration_by_age[_positions("migration_years", self.migration_years, start_year, end_year)]


def _positions(name: str, years: NDArray[np.int64], start_year: int, end_year: int) -> slice:
    first, last = int(years[0]), int(years[-1])
    if not first <= start_year <= end_year <= last:
        raise FaultyInput(
            f"table {name}",
            [
                Fault(
                    "years",
                    f"{start_year}..{end_year}",
                    f"{first}..{last}, the first not after the last",
                    "ask for years that the table holds",
                )
            ],
        )
    return slice(start_year - first, end_year - first + 1)


def check_place(place: str) -> str:
    """Return the ISO code of ``place`` in capitals.

    Raises
    ------
    FaultyInput
        When the project holds no tables for it.
    """
    code = place.upper()
    if code not in PLACES:
        known = ", ".join(f"{key} ({name})" for key, name in PLACES.items())
        raise FaultyInput("place", [Fault("place", repr(place), known, "use one of these three-letter codes")])
    return code


def load_wpp(place: str) -> WppTables:
    """Read the tables of one place.

    Parameters
    ----------
    place
        ISO 3166 three-letter code, capitals or not: TWN, CHN, KOR, JPN, USA, DEU or SGP. Or the path of tables that
        ``forecaster pool population`` has imported (:mod:`forecaster.demography.own`).

    Raises
    ------
    FaultyInput
        When the place is unknown, or a file lacks cells or holds impossible ones.
    """
    if place.endswith(OWN_SUFFIX):
        from forecaster.demography.own import read_own

        return read_own(Path(place))
    return _load(check_place(place), data_dir() / "demography")


def population_origin(place: str, last_year: int | None) -> int:
    """Last year whose population estimate is known at the end of ``last_year``: the year before, for they come late.

    Without a ``last_year`` it is the last estimate there is.
    """
    latest = load_wpp(place).last_estimate_year
    return latest if last_year is None else min(last_year - 1, latest)


@cache
def _load(place: str, folder: Path) -> WppTables:
    years = np.arange(1950, 2101)
    stock_years = np.arange(1950, 2102)
    migration_years = np.arange(2023, 2101)
    ages = np.arange(N_AGES)
    by_sex_age = {"sex": SEXES, "age": ages}
    population_1jan = _dense(folder, "population_1jan_derived", place, "pop", {"year": stock_years, **by_sex_age})
    population_1july = _dense(folder, "population_1july", place, "pop", {"year": years, **by_sex_age})
    mx = _dense(folder, "mx_1x1_derived", place, "mx", {"year": years, **by_sex_age})
    asfr = _dense(folder, "asfr_1y_derived", place, "asfr", {"year": years, "age": FERTILE_AGES})
    migration = _dense(
        folder,
        "net_migration_single_age",
        place,
        "net_migration",
        {"year": migration_years, **by_sex_age},
        may_be_negative=True,
    )
    central = _central_indicators(folder, place, years)
    return WppTables(
        place=place,
        years=_frozen(years),
        population_years=_frozen(stock_years),
        population_1jan=population_1jan,
        population_1july=population_1july,
        mx=mx,
        asfr=asfr,
        tfr=central["tfr", "b"],
        srb=central["srb", "b"],
        e0=_frozen(np.stack([central["e0", "m"], central["e0", "f"]], axis=1)),
        e0_both=central["e0", "b"],
        births=_frozen(1000.0 * central["births", "b"]),
        deaths=_frozen(1000.0 * central["deaths", "b"]),
        net_migration=_frozen(1000.0 * central["net_migration", "b"]),
        migration_years=_frozen(migration_years),
        net_migration_by_age=migration,
    )


def wpp_bounds(place: str, indicator: str, sex: str = "b", vintage: str = VINTAGE) -> tuple[NDArray[np.int64], Array]:
    """Published probabilistic bounds of one indicator.

    Parameters
    ----------
    place
        ISO 3166 three-letter code.
    indicator
        ``tfr`` (children per woman), ``e0`` (years), ``births``, ``deaths``, ``net_migration`` or ``pop_31dec``
        (thousands; the last a stock on 31 December).
    sex
        ``b`` for both; ``m`` or ``f`` exist for ``e0``.
    vintage
        ``WPP2024`` or ``WPP2022``.

    Returns
    -------
    tuple
        Years ``(n,)`` and values ``(n, 5)`` in the order 95% lower, 80% lower, median, 80% upper, 95% upper.

    Raises
    ------
    FaultyInput
        When nothing is published for the combination.
    """
    code = check_place(place)
    filters = [("iso3", "==", code), ("indicator", "==", indicator), ("sex", "==", sex), ("vintage", "==", vintage)]
    columns = read_columns(data_dir() / "demography" / "indicators_annual.parquet", ["year", "stat", "value"], filters)
    stats = ("95l", "80l", "median", "80u", "95u")
    found = {stat: columns["stat"] == stat for stat in stats}
    counts = {int(np.sum(mask)) for mask in found.values()}
    if len(counts) != 1 or counts == {0}:
        raise FaultyInput(
            "published bounds",
            [
                Fault(
                    f"{vintage}, {code}, {indicator}, {sex}",
                    "no full set of bounds",
                    "tfr, e0 (b, m, f), births, deaths, net_migration, pop_31dec of WPP2022 or WPP2024",
                    "choose one of these",
                )
            ],
        )
    years = np.sort(columns["year"][found["median"]].astype(np.int64))
    values = np.empty((years.size, len(stats)))
    for column, stat in enumerate(stats):
        order = np.argsort(columns["year"][found[stat]], kind="stable")
        values[:, column] = columns["value"][found[stat]][order]
    return years, values


def read_columns(path: Path, names: list[str], filters: list[tuple[str, str, Any]]) -> dict[str, NDArray[Any]]:
    """Some columns of a shipped table as arrays, only the rows that pass the filters.

    Raises
    ------
    FaultyInput
        When the file is missing.
    """
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FaultyInput(
            f"data/demography/{path.name}",
            [Fault("file", "nothing", "the table shipped with the project", "restore the file from the project")],
        )
    table = pq.read_table(path, columns=names, filters=filters)
    return {name: np.asarray(table.column(name).to_numpy()) for name in names}


def _dense(
    folder: Path,
    name: str,
    place: str,
    value: str,
    axes: dict[str, Any],
    *,
    may_be_negative: bool = False,
) -> Array:
    """One value column as a full array over ``axes``; every cell must stand in the file exactly once."""
    subject = f"data/demography/{name}.parquet"
    columns = read_columns(folder / f"{name}.parquet", [*axes, value], [("iso3", "==", place)])
    faults: list[Fault] = []
    shape = tuple(len(labels) for labels in axes.values())
    index = np.zeros(columns[value].shape, dtype=np.int64)
    inside = np.ones(columns[value].shape, dtype=bool)
    for axis, labels in axes.items():
        labels = np.asarray(labels)
        column = columns[axis].astype(labels.dtype)
        order = np.argsort(labels, kind="stable")
        position = np.minimum(np.searchsorted(labels[order], column), labels.size - 1)
        code = order[position]
        inside &= labels[code] == column
        index = index * labels.size + code
    counts = np.bincount(index[inside], minlength=int(np.prod(shape)))
    missing, double = int(np.sum(counts == 0)), int(np.sum(counts > 1))
    if not inside.all() or missing or double:
        faults.append(
            Fault(
                f"rows of {place}",
                f"{int(np.sum(~inside))} foreign, {missing} missing and {double} repeated cells",
                "each combination of " + ", ".join(axes) + " once",
                "restore the file from the project",
            )
        )
    values = columns[value].astype(np.float64)
    wrong = ~np.isfinite(values) if may_be_negative else ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        faults.append(
            Fault(
                f"column {value} of {place}",
                f"{int(wrong.sum())} values such as {values[wrong][0]}",
                "finite numbers" if may_be_negative else "finite numbers not below zero",
                "restore the file from the project",
            )
        )
    if faults:
        raise FaultyInput(subject, faults)
    dense = np.empty(int(np.prod(shape)))
    dense[index] = values
    return _frozen(dense.reshape(shape))


def central_indicators(place: str, vintage: str = VINTAGE) -> dict[tuple[str, str], Array]:
    """Estimates, then medium variant, of the yearly indicators as published (thousands, years, children), 1950..2100.

    Parameters
    ----------
    place
        ISO 3166 three-letter code in capitals.
    vintage
        ``WPP2024`` or ``WPP2022``.

    Returns
    -------
    dict
        Indicator and sex to ``(151,)``.

    Raises
    ------
    FaultyInput
        When a year is missing or stands twice.
    """
    return _central_indicators(data_dir() / "demography", place, np.arange(1950, 2101), vintage)


def _central_indicators(
    folder: Path, place: str, years: NDArray[np.int64], vintage: str = VINTAGE
) -> dict[tuple[str, str], Array]:
    wanted = {(name, "b") for name in ("tfr", "srb", "e0", "births", "deaths", "net_migration")} | {
        ("e0", "m"),
        ("e0", "f"),
    }
    filters = [("iso3", "==", place), ("vintage", "==", vintage), ("stat", "in", ["estimate", "median"])]
    columns = read_columns(folder / "indicators_annual.parquet", ["year", "indicator", "sex", "value"], filters)
    out: dict[tuple[str, str], Array] = {}
    faults: list[Fault] = []
    for indicator, sex in sorted(wanted):
        mask = (columns["indicator"] == indicator) & (columns["sex"] == sex)
        held = columns["year"][mask].astype(np.int64)
        order = np.argsort(held, kind="stable")
        if not np.array_equal(held[order], years):
            faults.append(
                Fault(
                    f"{indicator}, {sex} of {place}",
                    f"{held.size} years",
                    f"each of {years[0]}..{years[-1]} once",
                    "restore the file from the project",
                )
            )
        else:
            out[indicator, sex] = _frozen(columns["value"][mask][order].astype(np.float64))
    if faults:
        raise FaultyInput("data/demography/indicators_annual.parquet", faults)
    return out


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    values.setflags(write=False)
    return values
