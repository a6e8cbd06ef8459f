"""Reading what a user brings on a country's people: the UN's World Population Prospects, or tables of one's own.

Each file is recognised by its columns. Only the country's rows are kept while a file is read, so that the UN's files,
which hold the whole world, may be given as they are downloaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forecaster.demography.own import ALL_YEARS, Given
from forecaster.demography.own_kinds import Kind, kind_of
from forecaster.demography.own_workbooks import read_workbook
from forecaster.demography.tables import FERTILE_AGES, N_AGES, SEXES
from forecaster.errors import Fault, FaultyInput, ForecasterError

# Last estimate of the UN's revisions, by the beginning of their files' names.
UN_LAST_ESTIMATE = {"WPP2022": 2021, "WPP2024": 2023}


def read_given(paths: Sequence[Path], place: str, last_estimate: int | None) -> Given:
    """Figures of one country out of files of known kinds.

    Parameters
    ----------
    paths
        CSV files, as they are or compressed by gzip, or XLSX files: of the UN (population by single age and sex on 1
        January or 1 July, complete life tables of either sex, fertility by single age, demographic indicators), or
        ``year, sex, age, population, mx, asfr`` and ``year, srb`` of one's own (persons on 1 January, rates per
        person-year and woman-year, male births per female birth).
    place
        ISO 3166 three-letter code.
    last_estimate
        Last year that is an estimate; for the UN's revisions of 2022 and 2024 it is known from the files' names.

    Raises
    ------
    FaultyInput
        Naming each file that is of no known kind, that lacks the country or holds a cell twice.
    """
    years = len(ALL_YEARS)
    people = {day: np.full((years, 2, N_AGES), np.nan) for day in ("january", "july")}
    mx = np.full((years, 2, N_AGES), np.nan)
    asfr, srb = np.full((years, len(FERTILE_AGES)), np.nan), np.full(years, np.nan)
    faults: list[Fault] = []
    names: list[str] = []
    sources: list[str] = []
    for path in paths:
        try:
            kind, rows = _rows(path, place)
            names += list(rows.get("Location", ()))[:1]
            if kind.name == "UN population by single age":
                day = "january" if "1January" in path.name else "july"
                for sex, column in enumerate(("PopMale", "PopFemale")):
                    _lay(people[day][:, sex], rows["Time"], rows["AgeGrpStart"], rows[column] * 1000.0)
            elif kind.name == "UN complete life table":
                for sex, word in enumerate(("male", "female")):
                    own = np.char.lower(rows["Sex"].astype(str)) == word
                    _lay(mx[:, sex], rows["Time"][own], rows["AgeGrpStart"][own], rows["mx"][own])
            elif kind.name == "UN fertility by single age":
                _lay(asfr, rows["Time"], rows["AgeGrpStart"] - FERTILE_AGES[0], rows["ASFR"] / 1000.0)
            elif kind.name == "UN demographic indicators":
                _lay(srb[:, None], rows["Time"], np.zeros(len(rows["Time"])), rows["SRB"] / 100.0)
            elif kind.name == "own table by age":
                for sex, word in enumerate(SEXES):
                    own = rows["sex"].astype(str) == word
                    at = rows["year"][own], rows["age"][own]
                    _lay(people["january"][:, sex], *at, rows["population"][own])
                    _lay(mx[:, sex], *at, rows["mx"][own])
                    if word == "f":
                        fertile = np.isin(rows["age"][own], FERTILE_AGES)
                        at = at[0][fertile], at[1][fertile] - FERTILE_AGES[0]
                        _lay(asfr, *at, rows["asfr"][own][fertile])
            else:
                _lay(srb[:, None], rows["year"], np.zeros(len(rows["year"])), rows["srb"])
        except ForecasterError as error:
            faults.append(Fault(path.name, str(error), "a file that docs/pools.md lists", "correct or leave it out"))
            continue
        sources.append(f"{path.name} SHA-256 {_file_hash(path)}")
    if faults:
        raise FaultyInput(f"population of {place}", faults)
    # Ages of which a table of fertility says nothing have none: the UN's begins at 15 and ends at 49.
    told = ~np.isnan(asfr).all(axis=1)
    asfr[told] = np.nan_to_num(asfr[told], nan=0.0)
    return Given(
        place=place,
        name=names[0] if names else place,
        january=people["january"],
        july=people["july"],
        mx=mx,
        asfr=asfr,
        srb=srb,
        last_estimate_year=_last_estimate(paths, last_estimate),
        sources=tuple(sources),
    )


def _last_estimate(paths: Sequence[Path], stated: int | None) -> int:
    if stated is not None:
        return stated
    found = {UN_LAST_ESTIMATE.get(match[0]) if (match := re.match(r"WPP\d{4}", p.name)) else None for p in paths}
    if len(found) == 1 and (only := found.pop()) is not None:
        return only
    raise ForecasterError("which year is the last estimate, and which are a projection? Say --last-estimate 2023")


def _rows(path: Path, place: str) -> tuple[Kind, dict[str, Any]]:
    """Kind of a file and its columns, only the country's rows of the medium variant.

    Raises
    ------
    ForecasterError
        When it cannot be read, is of no known kind or holds no row of the country.
    """
    kind, columns = read_workbook(path, place) if path.suffix.lower() == ".xlsx" else _read_csv(path, place)
    if not len(columns[kind.numbers[0]]):
        raise ForecasterError(f"no rows of {place}, variant Medium" if kind.many else "no rows below its headings")
    if kind.many and "AgeGrpStart" in columns and set(columns["AgeGrpStart"]) <= {0.0, 1.0, *range(5, N_AGES, 5)}:
        raise ForecasterError("its ages stand in groups of five years; give the file of single ages")
    if odd := sorted({str(word) for word in columns.get("sex", ())} - set(SEXES)):
        raise ForecasterError(f"sex {odd[0]!r}, neither m nor f")
    return kind, columns


def _read_csv(path: Path, place: str) -> tuple[Kind, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    try:
        with csv.open_csv(path) as head:
            kind = kind_of(head.schema.names)
        types = {name: pa.float64() for name in kind.numbers} | {name: pa.string() for name in kind.texts}
        options = csv.ConvertOptions(include_columns=list(kind.columns), column_types=types)
        batches = []
        with csv.open_csv(path, convert_options=options) as reader:
            schema = reader.schema
            for batch in reader:
                if kind.many:
                    wanted = pc.and_(pc.equal(batch["ISO3_code"], place), pc.equal(batch["Variant"], "Medium"))
                    batch = batch.filter(wanted)
                batches.append(batch)
    except FileNotFoundError:
        raise ForecasterError("there is no such file") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise ForecasterError(f"it cannot be read as CSV: {error}") from None
    table = pa.Table.from_batches(batches, schema)
    return kind, {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}


def _lay(target: np.ndarray, years: np.ndarray, ages: np.ndarray, values: np.ndarray) -> None:
    """Put values where they belong; every cell once, whole years and ages that are held."""
    told = ~np.isnan(values)
    rows, columns = years[told] - ALL_YEARS[0], ages[told]
    inside = (rows >= 0) & (rows < target.shape[0]) & (rows == np.floor(rows))
    inside &= (columns >= 0) & (columns < target.shape[1]) & (columns == np.floor(columns))
    if not inside.all():
        odd = np.argmin(inside)
        at = [f"{value:g}" if np.isfinite(value) else "left empty" for value in (years[told][odd], ages[told][odd])]
        raise ForecasterError(f"year {at[0]} or age {at[1]} is not one that can be held")
    rows, columns = rows.astype(int), columns.astype(int)
    if not np.isnan(target[rows, columns]).all() or len(set(zip(rows, columns, strict=True))) < len(rows):
        raise ForecasterError("cells that stand twice, in it or in a file before it")
    target[rows, columns] = values[told]


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
