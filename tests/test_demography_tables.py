"""The shipped demographic tables and the life tables made from them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from forecaster.demography.lifetable import life_expectancy, life_table, mean_infant_time, remaining_life
from forecaster.demography.tables import PLACES, SEXES, load_wpp, wpp_bounds
from forecaster.errors import FaultyInput
from forecaster.resources import data_dir


@pytest.mark.parametrize("place", sorted(PLACES))
def test_tables_agree_with_each_other(place):
    tables = load_wpp(place.lower())
    assert tables.place == place
    mid_year = (tables.population_1jan[:-1] + tables.population_1jan[1:]) / 2
    by_sex = mid_year.sum(axis=2)[30:]
    np.testing.assert_allclose(by_sex, tables.population_1july.sum(axis=2)[30:], rtol=1e-4)
    np.testing.assert_allclose(life_expectancy(tables.mx), tables.e0, atol=1e-5)
    np.testing.assert_allclose(tables.asfr.sum(axis=1), tables.tfr, rtol=1e-5)
    by_age = tables.net_migration_by_age.sum(axis=(1, 2))
    np.testing.assert_allclose(by_age, tables.net_migration[2023 - 1950 :], atol=100)


def test_published_figures_of_taiwan():
    tables = load_wpp("TWN")
    at = 2023 - 1950
    assert tables.tfr[at] == pytest.approx(0.87)
    assert tables.e0[at] == pytest.approx([77.6279, 83.6073])
    assert tables.births[at] == pytest.approx(132_404)
    assert tables.net_migration[2021 - 1950] == pytest.approx(-145_743)
    assert tables.name == "Taiwan"


def test_remaining_life_against_the_uns_complete_tables():
    limits = {"TWN": 0.065, "CHN": 0.095, "KOR": 0.105}
    worst = dict.fromkeys(limits, 0.0)
    with (data_dir() / "demography" / "ex_2026_reference.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ours = remaining_life(load_wpp(row["iso3"]).mx[2026 - 1950])
            gap = abs(ours[SEXES.index(row["sex"]), int(row["age"])] - float(row["ex"]))
            worst[row["iso3"]] = max(worst[row["iso3"]], gap)
    for place, limit in limits.items():
        assert 0 < worst[place] <= limit


def test_life_table_by_hand():
    mx = np.array([[0.02, 0.1, 0.5], [0.02, 0.1, 0.5]])
    table = life_table(mx)
    a0 = 0.14929 - 1.99545 * 0.02
    q0 = 0.02 / (1 + (1 - a0) * 0.02)
    q1 = 0.1 / 1.05
    lived = [1 - q0 + a0 * q0, (1 - q0) * (1 - q1 / 2), (1 - q0) * (1 - q1) / 0.5]
    assert table.person_years[0] == pytest.approx(lived, rel=1e-12)
    assert table.e0[0] == pytest.approx(sum(lived), rel=1e-12)
    leading = life_table(np.broadcast_to(mx, (4, 3, 2, 3)))
    assert leading.e0.shape == (4, 3, 2)
    np.testing.assert_array_equal(leading.e0[2, 1], table.e0)


def test_infant_time_on_each_piece():
    low, middle, high = mean_infant_time([[0.01, 0.01], [0.05, 0.05], [0.2, 0.2]])
    assert low == pytest.approx([0.1293355, 0.1284773])
    assert middle == pytest.approx([0.1913305, 0.2407145])
    assert high == pytest.approx([0.29915, 0.31411])


def test_bounds_are_ordered_and_the_published_ones():
    years, values = wpp_bounds("TWN", "e0", "f")
    assert values[list(years).index(2050)] == pytest.approx([82.865, 84.300, 87.0674, 89.827, 91.375], abs=1e-3)
    assert (np.diff(values, axis=1) > 0).all()
    with pytest.raises(FaultyInput, match="no full set of bounds"):
        wpp_bounds("TWN", "tfr", "f")


def test_refusals_name_the_choice():
    with pytest.raises(FaultyInput, match=r"found 'ATL'; allowed: TWN \(Taiwan\)"):
        load_wpp("ATL")
    with pytest.raises(FaultyInput, match=r"found 2099\.\.2103; allowed: 1950\.\.2100"):
        load_wpp("TWN").year_slice(2099, 2103)
    with pytest.raises(FaultyInput, match="open age group"):
        life_table(np.zeros((2, 101)))
    with pytest.raises(FaultyInput, match="sexes"):
        life_table(np.zeros(101))
    with pytest.raises(ValueError, match="read-only"):
        load_wpp("TWN").mx[0, 0, 0] = 1.0


def test_every_table_has_a_source_and_the_attribution_stands():
    folder = data_dir() / "demography"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.parquet"):
        assert f"`{path.name}`" in text
        assert path.stat().st_size < 2_000_000
    joined = " ".join(text.split())
    assert "the UN does not endorse these changes." in joined
    assert "Department of Economic and Social Affairs, Population Division. World Population Prospects 2024" in joined
    with (folder / "sources.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(all(row.values()) for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
