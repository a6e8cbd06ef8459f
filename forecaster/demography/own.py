"""Populations of other countries: tables imported from the UN's files or one's own, as one file in a pool's folder.

What is not given is derived from what is, by the step of :mod:`forecaster.demography.cohort`:

    people on 1 January   mean of the neighbouring 1 Julys, where only those are given, and the other way round
    net migrants by age   people of the next 1 January less the survivors of this one and the newborn
    life expectancy       of the death rates by single age
    after the last year   its rates, and the mean net migrants by age of the last five years

so that births, deaths and migrants explain every change of the stocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecaster.demography.cohort import project_population
from forecaster.demography.lifetable import life_expectancy
from forecaster.demography.patterns import FIRST_YEAR, REPLACEMENT_TFR
from forecaster.demography.tables import FERTILE_AGES, N_AGES, WppTables
from forecaster.errors import Fault, FaultyInput, ForecasterError

Array = NDArray[np.float64]

# Years that given figures are laid out on before the common ones are taken.
ALL_YEARS: NDArray[np.int64] = np.arange(1900, 2151)
LAST_YEAR = 2100
PROFILE_YEARS = 5
# Net migrants beyond this share of the people in a year mean that stocks and rates do not belong together.
LARGEST_NET_MIGRATION = 0.05


@dataclass(frozen=True)
class Given:
    """Figures as given, on :data:`ALL_YEARS`, NaN where there are none.

    Attributes
    ----------
    place, name
        ISO 3166 three-letter code of the country and what its tables call it.
    january, july
        Persons by sex ``(m, f)`` and age 0..100 on 1 January or July (stock), ``(year, 2, 101)``.
    mx
        Central death rate per person-year, ``(year, 2, 101)``.
    asfr
        Births per woman-year at ages 10..54, ``(year, 45)``.
    srb
        Male births per female birth, ``(year,)``.
    last_estimate_year
        Last year that is an estimate; later ones are a projection.
    sources
        Names and SHA-256 of the files.
    """

    place: str
    name: str
    january: Array
    july: Array
    mx: Array
    asfr: Array
    srb: Array
    last_estimate_year: int
    sources: tuple[str, ...]


def tables_of(given: Given) -> tuple[WppTables, tuple[str, ...]]:
    """Tables as the models read them, to 2100, and what of them was derived, in words.

    Raises
    ------
    FaultyInput
        Naming missing years and figures that cannot be true or do not fit each other.
    """
    notes = []
    stocks = given.january
    if np.isnan(stocks).all():
        notes.append("people on 1 January: means of the neighbouring 1 Julys")
        stocks = np.full_like(given.july, np.nan)
        stocks[1:] = (given.july[:-1] + given.july[1:]) / 2.0
    first, last = _common_years(given, stocks)
    span = slice(first - ALL_YEARS[0], last - ALL_YEARS[0] + 1)
    parts = {"people": stocks[span], "mx": given.mx[span], "asfr": given.asfr[span], "srb": given.srb[span]}
    _refuse(given, first, parts)
    start, mx, asfr, srb = parts.values()
    moved = _residual(start, mx, asfr, srb)
    notes.append("net migrants by age: what births and deaths leave unexplained of the yearly change")
    _refuse_moves(given, first, start, moved)
    recent = moved[max(0, given.last_estimate_year - first - PROFILE_YEARS) : given.last_estimate_year - first]
    usual = recent.mean(axis=0)
    ahead = LAST_YEAR - last + 1
    notes.append(f"age pattern of migrants: the mean of the {PROFILE_YEARS} years before {given.last_estimate_year}")
    if ahead > 1:
        notes.append(
            f"{last} to {LAST_YEAR}: the rates of {last} and the migrants of those years, for no projection is given"
        )
    path = project_population(
        start[-1],
        np.repeat(mx[-1:], ahead, axis=0),
        np.repeat(asfr[-1:], ahead, axis=0),
        np.repeat(srb[-1:], ahead),
        np.repeat(usual[np.newaxis], ahead, axis=0),
        start_year=last,
    )
    later = ahead - 1
    stocks = np.concatenate([start, path.population[0, 1:]])
    mx, asfr = (np.concatenate([rates, np.repeat(rates[-1:], later, axis=0)]) for rates in (mx, asfr))
    srb = np.append(srb, np.repeat(srb[-1], later))
    moved = np.concatenate([moved, np.repeat(usual[np.newaxis], ahead, axis=0)])
    years = np.arange(first, LAST_YEAR + 1)
    whole = project_population(
        stocks[:-1], mx[:, None], asfr[:, None], srb[:, None], np.zeros_like(moved)[:, None], start_year=first
    )
    known = given.last_estimate_year - first
    profile = moved[known:].copy()
    profile[0] = usual
    july = given.july[first - ALL_YEARS[0] :][: len(years)]
    tables = WppTables(
        place=given.place,
        years=years,
        population_years=np.append(years, LAST_YEAR + 1),
        population_1jan=stocks,
        population_1july=np.where(np.isnan(july), (stocks[:-1] + stocks[1:]) / 2.0, july),
        mx=mx,
        asfr=asfr,
        tfr=asfr.sum(axis=1),
        srb=srb,
        e0=life_expectancy(mx),
        e0_both=life_expectancy(mx).mean(axis=1),
        births=whole.births.sum(axis=(1, 2)),
        deaths=whole.deaths.sum(axis=(1, 2)),
        net_migration=moved.sum(axis=(1, 2)),
        migration_years=years[known:],
        net_migration_by_age=profile,
        last_estimate_year=given.last_estimate_year,
    )
    if tables.tfr[known] >= REPLACEMENT_TFR:
        notes.append(
            f"fertility of {given.last_estimate_year} is {tables.tfr[known]:.2f} children: its model is made for "
            f"places below {REPLACEMENT_TFR}; read data/priors/demography.toml before you trust the far years"
        )
    return tables, tuple(notes)


def _common_years(given: Given, stocks: Array) -> tuple[int, int]:
    """First and last year of which everything is known."""
    series: Mapping[str, Array] = {
        "population by single age and sex": stocks,
        "death rates by single age and sex": given.mx,
        "fertility by single age": given.asfr,
        "sex ratio at birth": given.srb,
    }
    faults, known = [], []
    for name, values in series.items():
        flat = ~np.isnan(values.reshape(len(ALL_YEARS), -1))
        whole = flat.all(axis=1)
        partly = ALL_YEARS[flat.any(axis=1) & ~whole]
        if partly.size:
            found = f"ages missing in {partly[0]}" + (f" and {partly.size - 1} more years" if partly.size > 1 else "")
            faults.append(Fault(name, found, "ages 0 to 100 (fertility: 15 to 49)", "complete the file"))
        elif not whole.any():
            faults.append(Fault(name, "none", "a file that holds it", "give that file too (docs/pools.md lists them)"))
        known.append(whole)
    if faults:
        raise FaultyInput(f"population of {given.place}", faults)
    together = np.logical_and.reduce(known)
    held = ALL_YEARS[together]
    if not held.size or held[0] > FIRST_YEAR or held[-1] < given.last_estimate_year:
        found = f"{held[0]} to {held[-1]}" if held.size else "no year that all files share"
        allowed = f"{FIRST_YEAR} or earlier to the last estimate, {given.last_estimate_year}, or later"
        faults.append(Fault("years", found, allowed, "give the files of all years"))
    elif held.size != held[-1] - held[0] + 1:
        gap = held[:-1][np.diff(held) > 1][0] + 1
        faults.append(Fault("years", f"nothing whole of {gap}", "every year", "give the files of all years"))
    if faults:
        raise FaultyInput(f"population of {given.place}", faults)
    return int(held[0]), int(held[-1])


def _refuse(given: Given, first: int, parts: Mapping[str, Array]) -> None:
    """Figures that cannot be true: mostly another unit."""
    bounds = {
        "people": (0.0, 1e8, "persons of one age", "count persons, not thousands of them"),
        "mx": (1e-7, 5.0, "deaths per person-year, none zero", "give rates, smoothed where nobody died"),
        "asfr": (0.0, 1.0, "births per woman-year", "divide rates per 1,000 women by 1,000"),
        "srb": (0.9, 1.3, "male births per female birth", "divide a ratio per 100 by 100"),
    }
    faults = []
    for name, (low, high, what, mend) in bounds.items():
        odd = (parts[name] < low) | (parts[name] > high)
        if odd.any():
            at = np.argwhere(odd)[0]
            found = f"{parts[name][tuple(at)]:g} in {first + at[0]}"
            faults.append(Fault(name, found, f"{low:g} to {high:g}, {what}", mend))
    if not faults:
        total = parts["people"].sum(axis=(1, 2))
        children = parts["asfr"].sum(axis=1)
        if total.min() < 1e4:
            found = f"{total.min():g} in all"
            faults.append(Fault("people", found, "10,000 persons or more", "count persons, not thousands of them"))
        if children.max() > 10.0 or children.min() < 0.3:
            found = f"{children.min():.2f} to {children.max():.2f} children per woman"
            faults.append(Fault("asfr", found, "0.3 to 10", "check unit and ages of the rates"))
        if (children >= REPLACEMENT_TFR).all():
            allowed = f"below {REPLACEMENT_TFR} in some year, or by a projection"
            mend = "the fertility model is not made for this country; give a projection, or use a basis (docs/bases.md)"
            faults.append(Fault("asfr", f"never below {children.min():.2f} children", allowed, mend))
    if faults:
        raise FaultyInput(f"population of {given.place}", faults)


def _refuse_moves(given: Given, first: int, people: Array, moved: Array) -> None:
    share = np.abs(moved.sum(axis=(1, 2))) / people[:-1].sum(axis=(1, 2))
    odd = np.flatnonzero(share > LARGEST_NET_MIGRATION)
    if odd.size:
        found = f"a change of {share[odd[0]]:.1%} in {first + odd[0]} that births and deaths do not explain"
        allowed = f"net migration of at most {LARGEST_NET_MIGRATION:.0%} of the people"
        mend = "check that all files are of one country, one variant and in the units stated"
        raise FaultyInput(f"population of {given.place}", [Fault("people and rates", found, allowed, mend)])


def _residual(people: Array, mx: Array, asfr: Array, srb: Array) -> Array:
    """Net migrants of each year but the last by sex and age on 31 December, ``(year, 2, 101)``; years as draws."""
    nobody = np.zeros((len(people) - 1, 1, 2, N_AGES))
    closed = project_population(people[:-1], mx[:-1, None], asfr[:-1, None], srb[:-1, None], nobody, start_year=0)
    moved: Array = people[1:] - closed.population[:, 1]
    return moved


_STORED = (
    "population_1jan",
    "population_1july",
    "mx",
    "asfr",
    "srb",
    "net_migration",
    "net_migration_by_age",
    "births",
    "deaths",
)


def stored_bytes(tables: WppTables, name: str, sources: Sequence[str], notes: Sequence[str]) -> bytes:
    """The tables as a NetCDF 3 file, the same bytes for the same tables."""
    import xarray as xr

    axes = {
        "population_1jan": ("population_year", "sex", "age"),
        "population_1july": ("year", "sex", "age"),
        "mx": ("year", "sex", "age"),
        "asfr": ("year", "fertile_age"),
        "net_migration_by_age": ("migration_year", "sex", "age"),
    }
    data = {key: (axes.get(key, ("year",)), getattr(tables, key)) for key in _STORED}
    coords = {
        "year": tables.years,
        "population_year": tables.population_years,
        "migration_year": tables.migration_years,
        "fertile_age": FERTILE_AGES,
    }
    attrs = {
        "place": tables.place,
        "name": name,
        "last_estimate_year": tables.last_estimate_year,
        "sources": " | ".join(sources),
        "notes": " | ".join(notes),
    }
    content = xr.Dataset(data, coords=coords, attrs=attrs).to_netcdf(engine="scipy", format="NETCDF3_64BIT")
    return bytes(content)


def read_own(path: Path) -> WppTables:
    """Imported tables from their file.

    Raises
    ------
    ForecasterError
        When the file is missing or was not made by ``forecaster pool population``.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, LookupError, ValueError, TypeError) as error:
        again = f"make it again: forecaster pool population {path.parent} FILE..."
        raise ForecasterError(f"no population tables in {path} ({type(error).__name__}); {again}") from None


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> WppTables:
    import xarray as xr

    with xr.open_dataset(path, engine="scipy") as stored:
        held = stored.load()
    arrays = {key: np.ascontiguousarray(held[key].values, dtype=np.float64) for key in _STORED}
    e0 = life_expectancy(arrays["mx"])
    tables = WppTables(
        place=str(held.attrs["place"]),
        years=held["year"].values.astype(np.int64),
        population_years=held["population_year"].values.astype(np.int64),
        tfr=arrays["asfr"].sum(axis=1),
        e0=e0,
        e0_both=e0.mean(axis=1),
        migration_years=held["migration_year"].values.astype(np.int64),
        last_estimate_year=int(held.attrs["last_estimate_year"]),
        **arrays,
    )
    for value in vars(tables).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return tables
