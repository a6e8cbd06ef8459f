"""Populations of other countries: the UN's files in their layout and one's own tables, up to a pool that has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.demography.own import tables_of
from forecaster.demography.own_files import read_given
from forecaster.demography.tables import WppTables, load_wpp
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.fitted import input_hashes
from forecaster.plain_futures import past_people
from forecaster.pools import find_pool
from wpp_files import _FRONT, write_workbook, write_wpp, write_wpp_workbooks

FIRST, LAST = 1979, 2030


@pytest.fixture(scope="module")
def german() -> WppTables:
    return load_wpp("DEU")


@pytest.fixture(scope="module")
def files(german, tmp_path_factory) -> list[Path]:
    """Germany's figures of 1979 to 2030 as the UN would print them for a country of another name."""
    folder = tmp_path_factory.mktemp("wpp")
    return write_wpp(folder, german, "FRA", "France", np.arange(FIRST, LAST + 1))


@pytest.fixture(scope="module")
def french(files) -> WppTables:
    return tables_of(read_given(files, "FRA", None))[0]


def run(*words: object):
    return CliRunner().invoke(app, ["pool", *map(str, words)])


# --- what comes back --------------------------------------------------------------------------------------------------
def test_the_uns_files_give_the_tables_that_ship(german, french):
    at = slice(FIRST - german.years[0], LAST - german.years[0])
    n = LAST - FIRST
    assert (french.years[0], french.years[-1], french.last_estimate_year) == (FIRST, 2100, 2023)
    assert french.population_1jan[: n + 1] == pytest.approx(german.population_1jan[FIRST - 1950 : LAST + 1 - 1950])
    assert french.mx[:n] == pytest.approx(german.mx[at])
    assert french.e0[:n] == pytest.approx(german.e0[at], abs=1e-6)
    assert french.tfr[:n] == pytest.approx(german.tfr[at], abs=2e-3), "births below 15 and above 49 are left out"
    assert french.srb[:n] == pytest.approx(german.srb[at])
    assert french.births[:n] == pytest.approx(german.births[at], rel=0.01)
    assert french.deaths[:n] == pytest.approx(german.deaths[at], rel=0.04)  # 2021 by the pattern of five years


def test_net_migrants_by_age_come_out_as_the_un_publish_them(german, french):
    """The residual method against the only ages that are published, 2024 on; 2023 takes a mean of five years."""
    ours, theirs = french.net_migration_by_age[1:7], german.net_migration_by_age[1:7]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
    at = slice(2005 - FIRST, 2023 - FIRST)
    published = german.net_migration[2005 - 1950 : 2023 - 1950]
    assert np.abs(french.net_migration[at] - published).max() < 0.0005 * 83e6
    profile = french.net_migration_by_age[0]
    five = [french.population_at(y + 1) - closed(french, y) for y in range(2018, 2023)]
    assert profile == pytest.approx(np.mean(five, axis=0), abs=1e-6)


def closed(tables: WppTables, year: int) -> np.ndarray:
    """People at the end of a year had nobody moved, by the projection itself."""
    from forecaster.demography.cohort import project_population

    at = slice(year - tables.years[0], year - tables.years[0] + 1)
    nobody = np.zeros((1, 2, 101))
    rates = tables.mx[at], tables.asfr[at], tables.srb[at]
    return project_population(tables.population_at(year), *rates, nobody, start_year=year).population[0, 1]


def test_births_deaths_and_migrants_explain_every_change(french):
    stock = french.population_1jan.sum(axis=(1, 2))
    assert stock[1:] == pytest.approx(stock[:-1] + french.births - french.deaths + french.net_migration, rel=1e-9)
    later = french.years > LAST
    assert (french.mx[later] == french.mx[LAST - FIRST]).all()
    assert np.ptp(french.net_migration[later]) == pytest.approx(0.0, abs=1e-3)


def test_mid_year_populations_serve_where_there_are_no_others(german, tmp_path):
    written = write_wpp(tmp_path, german, "FRA", "France", np.arange(1978, 2027), july=True)
    tables, notes = tables_of(read_given(written, "FRA", None))
    assert "means of the neighbouring 1 Julys" in notes[0]
    year = 2010
    assert tables.population_at(year) == pytest.approx(
        german.population_1july[year - 1951 : year - 1949].mean(axis=0), rel=1e-9
    )
    assert tables.population_1july[year - tables.years[0]] == pytest.approx(german.population_1july[year - 1950])


def test_the_uns_workbooks_say_what_its_csv_files_say(german, tmp_path):
    years = np.arange(2021, 2026)
    books = write_wpp_workbooks(tmp_path, german, "FRA", years)
    theirs = read_given(write_wpp(tmp_path, german, "FRA", "France", years, july=True), "FRA", None)
    ours = read_given(books, "FRA", None)
    for name in ("january", "july", "mx", "asfr", "srb"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-12, nan_ok=True), name
    assert np.isfinite(ours.july).sum() == 5 * 2 * 101
    assert (ours.name, ours.last_estimate_year) == ("France", 2023)
    with pytest.raises(FaultyInput, match="no rows of ITA"):
        read_given(books, "ITA", None)


def test_workbooks_that_do_not_serve_say_why(german, tmp_path):
    deaths, ages = {2020: [[1.0] * 101]}, [*range(100), "100+"]
    paths = [
        write_workbook(tmp_path / name, title, "FRA", ages, deaths)
        for name, title in (
            ("WPP2024_MORT_F01_2_DEATHS_SINGLE_AGE_MALE.xlsx", "Male deaths by single age"),
            ("WPP2024_POP_F01_1_POPULATION_SINGLE_AGE_BOTH_SEXES.xlsx", "Population by single age, both sexes"),
        )
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wpp_files._FRONT", ["Jahr" if title == "Year" else title for title in _FRONT])
        name = "WPP2024_POP_F01_2_POPULATION_SINGLE_AGE_MALE.xlsx"
        paths.append(write_workbook(tmp_path / name, "Male population by single age", "FRA", ages, deaths))
    own = tmp_path / "own.xlsx"
    pd.DataFrame({"year": [2001, 2002], "boys": [1.05, 1.06]}).to_excel(own, index=False, engine="xlsxwriter")
    (tmp_path / "torn.xlsx").write_bytes(paths[0].read_bytes()[:900])
    with pytest.raises(FaultyInput) as caught:
        read_given([*paths, own, tmp_path / "torn.xlsx", tmp_path / "none.xlsx"], "FRA", 2023)
    told = str(caught.value)
    assert "DEATHS_SINGLE_AGE_MALE.xlsx: found a workbook of the UN that is not needed: give people (POP_F01_2" in told
    assert "BOTH_SEXES.xlsx: found both sexes together: give the files of men and of women" in told
    assert "SINGLE_AGE_MALE.xlsx: found it lacks the column 'Year' of the UN's workbooks; keep the heading row" in told
    assert "own.xlsx: found its columns are of no known kind" in told
    assert "torn.xlsx: found it cannot be read as a workbook" in told
    assert "none.xlsx: found there is no such file" in told


def test_tables_of_ones_own_need_no_projection(german, tmp_path):
    """Rates a person counts himself, to the last estimate only."""
    by_age, by_year = own_tables(tmp_path, german)
    tables, notes = tables_of(read_given([by_age, by_year], "FRA", 2019))
    assert "no projection is given" in notes[-1]
    assert (tables.years[0], tables.years[-1], tables.last_estimate_year) == (1980, 2100, 2019)
    assert tables.tfr[0] == pytest.approx(german.tfr[30], abs=1e-6)
    with pytest.raises(ForecasterError, match="--last-estimate"):
        read_given([by_age, by_year], "FRA", None)
    pd.read_csv(by_year).to_excel(tmp_path / "years.xlsx", index=False, engine="xlsxwriter")
    again = read_given([tmp_path / "years.xlsx"], "FRA", 2019)
    assert again.srb == pytest.approx(read_given([by_year], "FRA", 2019).srb, nan_ok=True)


def own_tables(folder: Path, tables: WppTables, **factors: float) -> tuple[Path, Path]:
    """``ages.csv`` and ``years.csv`` of 1980 to 2019, each column times a factor."""
    years, span = np.arange(1980, 2020), slice(30, 70)
    asfr = np.full((40, 2, 101), np.nan)
    asfr[:, 1, 10:55] = tables.asfr[span]
    columns = {"population": tables.population_1jan[30:70], "mx": tables.mx[span], "asfr": asfr}
    index = pd.MultiIndex.from_product([years, ["m", "f"], range(101)], names=["year", "sex", "age"])
    frame = pd.DataFrame({k: v.ravel() * factors.get(k, 1.0) for k, v in columns.items()}, index=index)
    frame.to_csv(folder / "ages.csv")
    srb = tables.srb[span] * factors.get("srb", 1.0)
    pd.DataFrame({"year": years, "srb": srb}).to_csv(folder / "years.csv", index=False)
    return folder / "ages.csv", folder / "years.csv"


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ({"population": 1e-5}, "people: found 778"),
        ({"asfr": 1000.0}, "births per woman-year. To mend: divide rates per 1,000 women by 1,000"),
        ({"srb": 100.0}, "male births per female birth. To mend: divide a ratio per 100 by 100"),
        ({"mx": 0.0}, "found 0 in 1980"),
        ({"mx": 8.0}, "people and rates: found a change of"),
        ({"asfr": 3.0}, "fertility model is not made for this country"),
    ],
)
def test_another_unit_or_another_country_is_told(german, tmp_path, factors, told):
    paths = own_tables(tmp_path, german, **factors)
    with pytest.raises(FaultyInput) as caught:
        tables_of(read_given(paths, "FRA", 2019))
    assert told in str(caught.value)


def test_files_that_do_not_serve_are_named_one_by_one(files, tmp_path):
    (tmp_path / "letter.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FaultyInput) as caught:
        read_given([files[0], files[0], tmp_path / "letter.csv", tmp_path / "nothing.csv"], "FRA", 2023)
    text = str(caught.value)
    assert "cells that stand twice" in text
    assert "letter.csv: found its columns are of no known kind (UN population by single age: ISO3_code" in text
    assert "nothing.csv: found there is no such file" in text
    with pytest.raises(FaultyInput, match="no rows of ITA, variant Medium"):
        read_given(files, "ITA", None)
    abridged = [f"FRA,France,Medium,Male,2000,{age},0.01" for age in (0, 1, 5, 10)]
    head = "ISO3_code,Location,Variant,Sex,Time,AgeGrpStart,mx"
    (tmp_path / "abridged.csv").write_text("\n".join([head, *abridged]))
    with pytest.raises(FaultyInput, match=r"abridged\.csv: found its ages stand in groups of five years"):
        read_given([tmp_path / "abridged.csv"], "FRA", 2023)
    lacking = read_given(files[:2] + files[3:], "FRA", None)
    with pytest.raises(FaultyInput, match="sex ratio at birth: found none"):
        tables_of(lacking)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ISO3_code,Location,Variant,Time,SRB\n", "no rows of FRA, variant Medium"),
        ("year,srb\n", "no rows below its headings"),
        ("year,srb\n,1.05\n", "year left empty or age 0 is not one that can be held"),
        ("year,srb\n2000.5,1.05\n", "year 2000.5 or age 0"),
        ("year,sex,age,population,mx,asfr\n2000,male,0,1,1,1\n", "sex 'male', neither m nor f"),
        ("", "it cannot be read as CSV"),
    ],
)
def test_files_without_figures_or_with_odd_years_are_told(tmp_path, text, told):
    (tmp_path / "figures.csv").write_text(text)
    with pytest.raises(FaultyInput) as caught:
        read_given([tmp_path / "figures.csv"], "FRA", 2023)
    assert f"figures.csv: found {told}" in str(caught.value)


def test_a_revision_that_ends_too_early_is_refused(files):
    with pytest.raises(FaultyInput, match=r"found 1979 to 2030; allowed: 1980 or earlier to the last estimate, 2040"):
        tables_of(read_given(files, "FRA", 2040))


# --- a pool that stands on them ---------------------------------------------------------------------------------------
def test_a_pool_of_another_country_stands_on_imported_people(files, french, tmp_path):
    folder = tmp_path / "assurance"
    assert run("new", folder, "--country", "FRA").exit_code == 0
    assert 'currency = "EUR"' in (folder / "pool.toml").read_text("utf-8")
    rows = [f"{year},{100 + year - 2000},{100 + year - 2000},50,0.13," for year in range(2000, 2012)]
    (folder / "accounts.csv").write_text("\n".join(["year,income,outgo,reserve,rate,note", *rows]), "utf-8")
    told = run("check", folder)
    assert told.exit_code == 2
    assert "its population is not shipped" in told.stderr
    assert f"forecaster pool population {folder} FILE" in told.stderr
    before, comments = input_hashes(find_pool(folder), []), (folder / "pool.toml").read_text("utf-8").count("#")

    shown = run("population", folder, *files)
    assert shown.exit_code == 0, shown.stderr
    assert "France, estimates of 1979 to 2023, then a projection to 2100" in shown.stdout
    assert run("check", folder).exit_code == 0
    pool = find_pool(folder)
    assert pool.people == str(folder / "population.nc")
    assert (folder / "pool.toml").read_text("utf-8").count("#") == comments + 1
    held = load_wpp(pool.people)
    for name in ("population_1jan", "mx", "asfr", "net_migration_by_age", "e0"):
        assert (getattr(held, name) == getattr(french, name)).all(), name
    weighted = past_people(pool.people, 2000, 2025)
    assert weighted[0] == pytest.approx(french.population_1july[2000 - FIRST : 2026 - FIRST].sum(axis=(1, 2)))
    assert input_hashes(pool, [])["observations"] != before["observations"], "a fit on other people is stale"
    assert folder / "population.nc" in pool.files, "a kept run takes them along"

    bytes_before = (folder / "population.nc").read_bytes()
    assert run("population", folder, *files, "--json").exit_code == 0
    assert (folder / "population.nc").read_bytes() == bytes_before
    (folder / "population.nc").write_bytes(b"CDF")
    assert "no population tables in" in run("check", folder).stderr
    (folder / "population.nc").unlink()
    assert "make it again: forecaster pool population" in run("check", folder).stderr
