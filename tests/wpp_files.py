"""The UN's files of World Population Prospects 2024 in their layout, written from tables: a stand-in for downloads."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

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
