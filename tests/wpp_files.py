"""The UN's files of World Population Prospects 2024 in their layout, written from tables: a stand-in for downloads."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from forecaster.demography.tables import FERTILE_AGES, N_AGES, WppTables

STEM = "WPP2024"
_HEAD = ["SortOrder", "LocID", "Notes", "ISO3_code", "ISO2_code", "SDMX_code", "LocTypeID", "LocTypeName", "ParentID"]


def _rows(code: str, name: str, years: np.ndarray, ages: np.ndarray, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows as the UN's files have them: the place, the variant, year and age, then figures ``(year, age)``."""
    n = len(years) * len(ages)
    head = dict.fromkeys(_HEAD, "")
    head |= {"ISO3_code": code, "LocTypeName": "Country/Area", "Location": name, "VarID": 2, "Variant": "Medium"}
    at = {"Time": np.repeat(years, len(ages)), "AgeGrpStart": np.tile(ages, len(years))}
    frame = pd.DataFrame({**head, **at, "AgeGrpSpan": 1, **{k: v.ravel() for k, v in columns.items()}}, index=range(n))
    return frame.replace({"ISO3_code": {"": np.nan}})


def _write(path: Path, frame: pd.DataFrame) -> Path:
    """With what else such a file holds: the world, another country, another variant, and the mark of UTF-8."""
    world = frame.iloc[:2].assign(ISO3_code=np.nan, Location="World")
    other = frame.iloc[:2].assign(ISO3_code="ZZZ", Location="Elsewhere")
    low = frame.iloc[-2:].assign(Variant="Low")
    text = pd.concat([world, other, frame, low]).to_csv(index=False)
    with gzip.open(path, "wt", encoding="utf-8-sig", newline="", compresslevel=1) as stream:
        stream.write(text)
    return path


def write_wpp(
    folder: Path, tables: WppTables, code: str, name: str, years: np.ndarray, *, july: bool = False
) -> list[Path]:
    """Population, life tables of both sexes, fertility and indicators of some years; their paths."""
    at = years - tables.years[0]
    ages = np.arange(N_AGES)
    stocks = tables.population_1july if july else tables.population_1jan
    men, women = (stocks[at][:, sex] / 1000.0 for sex in (0, 1))
    day = "Population" if july else "Population1January"
    span = f"{years[0]}-{years[-1]}"
    fertile = (FERTILE_AGES >= 15) & (FERTILE_AGES < 50)
    rates = 1000.0 * tables.asfr[at][:, fertile]
    indicators = {"TFR": tables.tfr[at][:, None], "SRB": 100.0 * tables.srb[at][:, None]}
    written = [
        _write(
            folder / f"{STEM}_{day}BySingleAgeSex_Medium_{span}.csv.gz",
            _rows(code, name, years, ages, {"PopMale": men, "PopFemale": women, "PopTotal": men + women}),
        ),
        _write(
            folder / f"{STEM}_Fertility_by_Age1.csv.gz",
            _rows(code, name, years, FERTILE_AGES[fertile], {"ASFR": rates, "Births": rates}),
        ),
        _write(
            folder / f"{STEM}_Demographic_Indicators_Medium.csv.gz",
            _rows(code, name, years, np.array([0]), indicators),
        ),
    ]
    for sex, word in enumerate(("Male", "Female")):
        frame = _rows(code, name, years, ages, {"mx": tables.mx[at][:, sex], "qx": tables.mx[at][:, sex]})
        path = folder / f"{STEM}_Life_Table_Complete_Medium_{word}_{span}.csv.gz"
        written.append(_write(path, frame.assign(SexID=sex + 1, Sex=word)))
    return written


_TITLES = ("United Nations", "Population Division", "Department of Economic and Social Affairs", "World Population")
_FRONT = ["Index", "Variant", "Region, subregion, country or area *", "Notes", "Location code", "ISO3 Alpha-code"]
_FRONT += ["ISO2 Alpha-code", "SDMX code**", "Type", "Parent code", "Year"]
_LIFE = ["Age (x)", "Age interval (n)", "Central death rate m(x,n)", "Probability of dying q(x,n)"]
_SRB = "Sex Ratio at Birth (males per 100 female births)"


def write_workbook(
    path: Path, title: str, code: str, headings: list[object], rows: dict[int, list[list[float]]]
) -> Path:
    """A workbook in the UN's layout: titles, headings in row 17, estimates to 2023, later years in sheets of variants.

    Parameters
    ----------
    rows
        By year, the figures below ``headings``; several rows a year in life tables.
    """
    with xlsxwriter.Workbook(path) as book:
        for sheet, variant in (("Estimates", "Estimates"), ("Medium variant", "Medium"), ("High variant", "High")):
            page = book.add_worksheet(sheet)
            for at, line in enumerate((*_TITLES, title)):
                page.write(3 + at, 4, line)
            page.write_row(16, 0, [*_FRONT, *headings])
            page.write_row(17, 0, [1, variant, "WORLD", "", 900, "", "", 1, "World", 0, 1990, *["..."] * len(headings)])
            lines = [
                [at, variant, "France", "a", 250, code, "FR", 250, "Country/Area", 926, year, *figures]
                for at, (year, table) in enumerate(rows.items())
                if (year <= 2023) == (variant == "Estimates")
                for figures in table
            ]
            for at, line in enumerate(lines):
                page.write_row(18 + at, 0, line)
        book.add_worksheet("NOTES").write(0, 0, "Notes")
    return path


def write_wpp_workbooks(folder: Path, tables: WppTables, code: str, years: np.ndarray) -> list[Path]:
    """What :func:`write_wpp` writes with the people of 1 July, in the UN's workbooks; their paths."""
    at = {int(year): int(year - tables.years[0]) for year in years}
    ages = [*range(100), "100+"]
    written = []
    for sex, word in enumerate(("Male", "Female")):
        people = {year: [(tables.population_1july[i, sex] / 1000.0).tolist()] for year, i in at.items()}
        title = f"File POP/01: {word} population by single age, region, subregion and country, annually (thousands)"
        name = f"{STEM}_POP_F01_{sex + 2}_POPULATION_SINGLE_AGE_{word.upper()}.xlsx"
        written.append(write_workbook(folder / name, title, code, ages, people))
        lives = {year: [[x, 1, tables.mx[i, sex, x], 0.5] for x in range(N_AGES)] for year, i in at.items()}
        title = f"File MORT/06: Single age life tables, {word.lower()}s"
        name = f"{STEM}_MORT_F06_{sex + 2}_SINGLE_AGE_LIFE_TABLE_ESTIMATES_{word.upper()}.xlsx"
        written.append(write_workbook(folder / name, title, code, list(_LIFE), lives))
    fertile = (FERTILE_AGES >= 15) & (FERTILE_AGES < 50)
    births = {year: [(1000.0 * tables.asfr[i, fertile]).tolist()] for year, i in at.items()}
    name = f"{STEM}_FERT_F01_FERTILITY_RATES_BY_SINGLE_AGE_OF_MOTHER.xlsx"
    title = "File FERT/01: Fertility rates by single age of mother (births per 1,000 women)"
    written.append(write_workbook(folder / name, title, code, FERTILE_AGES[fertile].tolist(), births))
    ratio = {year: [[83000.0, 100.0 * tables.srb[i]]] for year, i in at.items()}
    name = f"{STEM}_GEN_F01_DEMOGRAPHIC_INDICATORS_COMPACT.xlsx"
    headings = ["Total Population, as of 1 January (thousands)", _SRB]
    written.append(write_workbook(folder / name, "File GEN/01: Demographic indicators", code, headings, ratio))
    return written
