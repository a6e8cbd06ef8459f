"""Tables of earlier revisions: the levels are the published ones, the year of publication decides what is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from forecaster.demography.lifetable import life_expectancy
from forecaster.demography.tables import load_wpp
from forecaster.demography.vintages import (
    LAST_ESTIMATE,
    PUBLISHED,
    five_year_bounds,
    load_vintage,
    over_period,
    vintage_at,
)
from forecaster.errors import FaultyInput
from forecaster.resources import data_dir

FIVE_YEARLY = ("WPP2012", "WPP2015", "WPP2017", "WPP2019")


@cache
def shipped(name: str) -> pd.DataFrame:
    return pd.read_parquet(data_dir() / "demography" / f"{name}.parquet")


def published(name: str, vintage: str, place: str) -> pd.DataFrame:
    table = shipped(name)
    return table[(table["vintage"] == vintage) & (table["iso3"] == place)]


@pytest.mark.parametrize(
    ("year", "vintage"), [(2013, "WPP2012"), (2016, "WPP2015"), (2021, "WPP2019"), (2030, "WPP2024")]
)
def test_the_latest_revision_published_by_the_end_of_a_year(year: int, vintage: str) -> None:
    assert vintage_at(year) == vintage


def test_a_year_before_the_revisions_held_is_refused() -> None:
    with pytest.raises(FaultyInput, match="found 2012; allowed: 2013 or later"):
        vintage_at(2012)
    with pytest.raises(FaultyInput, match="found 'WPP2010'"):
        load_vintage("TWN", "WPP2010")


def test_the_present_revision_is_the_table_itself() -> None:
    assert load_vintage("twn", "WPP2024") is load_wpp("TWN")


@pytest.mark.parametrize("place", ["TWN", "CHN", "SGP"])
@pytest.mark.parametrize("vintage", FIVE_YEARLY)
def test_levels_are_those_of_the_revision(place: str, vintage: str) -> None:
    tables = load_vintage(place, vintage)
    rows = published("indicators_5y_by_vintage", vintage, place)
    first = LAST_ESTIMATE[vintage] - 4
    for indicator, sex, series, tolerance in (
        ("tfr", "b", tables.tfr, 1e-3),
        ("e0", "m", tables.e0[:, 0], 0.01),
        ("e0", "f", tables.e0[:, 1], 0.01),
    ):
        known = rows[(rows["indicator"] == indicator) & (rows["sex"] == sex) & (rows["stat"] == "estimate")]
        for start in (first - 10, first - 5, first):
            period = f"{start}-{start + 5}"
            value = float(known.loc[known["time"] == period, "value"].iloc[0])
            assert over_period(tables.years, series, period) == pytest.approx(value, abs=tolerance), (indicator, period)
    own = published("population_5x5_by_vintage", vintage, place)
    for year in (LAST_ESTIMATE[vintage] + 1, 2030):
        at = own[own["year"] == year]
        july = tables.population_1july[tables.year_slice(year, year)][0]
        assert july.sum() == pytest.approx(at["pop"].sum(), rel=1e-9)
        assert july[1, 65:].sum() == pytest.approx(
            at[(at["age_start"] >= 65) & (at["sex"] == "f")]["pop"].sum(), rel=1e-9
        )


def test_the_revision_of_2022_has_its_own_yearly_figures() -> None:
    tables = load_vintage("KOR", "WPP2022")
    own = published("indicators_annual", "WPP2022", "KOR").query("year == 2021")
    tfr = float(own[(own["indicator"] == "tfr") & (own["stat"] == "estimate")]["value"].iloc[0])
    assert tables.tfr[71] == pytest.approx(tfr)
    assert tables.last_estimate_year == 2021


@pytest.mark.parametrize("vintage", sorted(PUBLISHED))
def test_rates_by_age_give_the_totals(vintage: str) -> None:
    tables = load_vintage("CHN", vintage)
    span = tables.year_slice(1980, tables.last_estimate_year)
    np.testing.assert_allclose(life_expectancy(tables.mx[span]), tables.e0[span], atol=1e-5)
    np.testing.assert_allclose(tables.asfr.sum(axis=1), tables.tfr, rtol=1e-6)
    assert (tables.asfr >= 0).all()
    with pytest.raises(ValueError, match="read-only"):
        tables.mx[0, 0, 0] = 1.0


def test_intervals_of_a_revision_are_in_order() -> None:
    bounds = five_year_bounds("TWN", "tfr", "b", "2020-2025", "WPP2012")
    assert bounds.tolist() == [0.69, 0.84, 1.278, 1.60, 1.72]
    with pytest.raises(FaultyInput, match="no interval"):
        five_year_bounds("TWN", "births", "b", "2020-2025", "WPP2012")
