"""The projection engine against the UN's own projection, by hand, and in its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.demography import kernels
from forecaster.demography.cohort import project_population
from forecaster.demography.lifetable import survival
from forecaster.demography.tables import PLACES, load_wpp
from forecaster.errors import FaultyInput


def wpp_projection(place):
    """The place's own projection from 1 January 2024 to 2101 from WPP's rates alone."""
    tables = load_wpp(place)
    span = tables.year_slice(2024, 2100)
    path = project_population(
        tables.population_at(2024),
        tables.mx[span],
        tables.asfr[span],
        tables.srb[span],
        tables.migration_between(2024, 2100),
        start_year=2024,
    )
    return tables, span, path


@pytest.mark.parametrize("place", sorted(PLACES))
def test_projection_meets_wpp_2024(place, capsys):
    tables, span, path = wpp_projection(place)
    ours, theirs = path.mid_year()[0], tables.population_1july[span]

    def percent(a, b):
        return 100 * (a / b - 1)

    total = percent(ours.sum((1, 2)), theirs.sum((1, 2)))
    old = percent(ours[:, :, 65:].sum((1, 2)), theirs[:, :, 65:].sum((1, 2)))
    cells = np.abs(percent(ours[:, :, :80], theirs[:, :, :80]))
    births = np.abs(percent(path.births[0].sum(axis=1), tables.births[span]))
    at_2050, at_2100 = 2050 - 2024, 2100 - 2024
    with capsys.disabled():
        print(
            f"\n{place}  errors in %: total 2050 {total[at_2050]:+.3f}  2100 {total[at_2100]:+.3f}   "
            f"65+ 2050 {old[at_2050]:+.3f}  2100 {old[at_2100]:+.3f}  worst {np.abs(old).max():.3f}   "
            f"worst age 0-79 {cells.max():.3f}   worst births {births.max():.3f}",
            end="",
        )
    assert abs(total[at_2050]) <= 0.05
    assert abs(total[at_2100]) <= 0.15
    assert np.abs(old).max() <= 0.2
    assert cells.max() <= 0.55
    assert births.max() <= 0.5
    asked = tables.migration_between(2024, 2100).sum(axis=2)
    np.testing.assert_allclose(path.net_migration[0], asked, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", ["TWN", "CHN"])
def test_people_balance(place):
    _, _, path = wpp_projection(place)
    people = path.population[:, :-1].sum(axis=-1)
    assert np.abs(path.balance_gap() / people).max() < 1e-12
    assert np.abs(path.balance_gap()).max() < 1e-9 * people.max()
    assert list(path.population_years[[0, -1]]) == [2024, 2101]


def tiny_inputs():
    """101 ages, but people at ages 0, 20, 99 and 100 only, so one year can be worked by hand."""
    start = np.zeros((2, 101))
    start[1, 20], start[0, 20] = 1000.0, 900.0
    start[:, 99] = 50.0
    start[:, 100] = 10.0
    mx = np.full((1, 2, 101), 0.01)
    mx[0, :, 100] = 0.5
    asfr = np.zeros((1, 45))
    asfr[0, 20 - 10] = 0.1
    asfr[0, 21 - 10] = 0.2
    migration = np.zeros((1, 2, 101))
    migration[0, 1, 21] = 7.0
    migration[0, 0, 21] = -3.0
    return start, mx, asfr, np.array([1.05]), migration


def test_one_year_by_hand():
    start, mx, asfr, srb, migration = tiny_inputs()
    path = project_population(start, mx, asfr, srb, migration, start_year=2030)
    q = 0.01 / 1.005
    keep = 1 - q  # with one rate at ages 20-22, L(x+1) / L(x) is 1 - q
    women_end, men_end = 1000 * keep, 900 * keep
    births = 0.1 * (1000 + 0) / 2 + 0.2 * (0 + women_end) / 2
    boys, girls = births * 1.05 / 2.05, births / 2.05
    a_boys, a_girls = 0.14929 - 1.99545 * 0.01, 0.14903 - 2.05527 * 0.01
    first_year = {}
    for sex, a0 in (("m", a_boys), ("f", a_girls)):
        q0 = 0.01 / (1 + (1 - a0) * 0.01)
        first_year[sex] = (1 - q0) + a0 * q0
    l100_per_l99 = 1 - q
    lived_99 = l100_per_l99 + 0.5 * q
    lived_100 = l100_per_l99 / 0.5
    open_share = lived_100 / (lived_99 + lived_100)
    end = path.population[0, 1]
    assert end[1, 21] == pytest.approx(women_end + 7, rel=1e-12)
    assert end[0, 21] == pytest.approx(men_end - 3, rel=1e-12)
    assert end[0, 100] == pytest.approx(60 * open_share, rel=1e-12)
    assert path.births[0, 0] == pytest.approx([boys, girls], rel=1e-12)
    assert end[0, 0] == pytest.approx(boys * first_year["m"], rel=1e-12)
    assert end[1, 0] == pytest.approx(girls * first_year["f"], rel=1e-12)
    men_dead = 900 * q + 60 * (1 - open_share) + boys * (1 - first_year["m"])
    assert path.deaths[0, 0, 0] == pytest.approx(men_dead, rel=1e-10)
    assert path.net_migration[0, 0] == pytest.approx([-3, 7])


def test_kernel_survival_equals_the_readable_life_table():
    mx = load_wpp("CHN").mx[[0, 40, 150]]  # 1950 has infant rates on the upper pieces of a(0)
    wanted = survival(mx)
    for year in range(3):
        for sex in range(2):
            ratio, work, lived = np.empty(101), np.empty(101), np.empty(101)
            newborn, _ = kernels.survival_row(mx[year, sex].copy(), sex, work, lived, ratio)
            np.testing.assert_allclose(ratio, wanted.ratio[year, sex], rtol=1e-12)
            assert newborn == pytest.approx(wanted.newborn[year, sex], rel=1e-12)


def test_draw_axis_of_one_serves_all_draws():
    start, mx, asfr, srb, migration = tiny_inputs()
    many = np.stack([mx, 2 * mx, 0.5 * mx])
    together = project_population(start, many, asfr, srb, migration, start_year=2030)
    for draw in range(3):
        alone = project_population(start, many[draw], asfr, srb, migration, start_year=2030)
        np.testing.assert_array_equal(together.population[draw], alone.population[0])


def test_no_more_than_four_fifths_of_a_cell_leave():
    start, mx, asfr, srb, migration = tiny_inputs()
    migration[0, 1, 21] = -5000.0
    path = project_population(start, mx, asfr, srb, migration, start_year=2030)
    left = 1000 * (1 - 0.01 / 1.005)
    assert path.population[0, 1, 1, 21] == pytest.approx(0.2 * left)
    assert path.net_migration[0, 0, 1] == pytest.approx(-0.8 * left)
    assert np.abs(path.balance_gap()).max() < 1e-9


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100))
def test_never_negative_balanced_and_scaling(seed, scale):
    rng = np.random.default_rng(seed)
    draws, years = 2, 6
    start = rng.uniform(0, 1e5, (draws, 2, 101)) * rng.integers(0, 2, (draws, 2, 101))
    mx = np.exp(rng.uniform(-10, 0.5, (draws, years, 2, 101)))
    asfr = rng.uniform(0, 0.3, (1, years, 45))
    srb = rng.uniform(0.9, 1.2, (draws, years))
    migration = rng.normal(0, 3e4, (draws, years, 2, 101))
    path = project_population(start, mx, asfr, srb, migration, start_year=2000)
    assert path.population.min() >= 0
    assert path.deaths.min() >= -1e-6
    assert np.abs(path.balance_gap()).max() <= 1e-9 * max(1.0, path.population.sum(axis=-1).max())
    bigger = project_population(scale * start, mx, asfr, srb, scale * migration, start_year=2000)
    np.testing.assert_allclose(bigger.population, scale * path.population, rtol=1e-9, atol=1e-9)


def test_faults_are_told_together():
    start, mx, asfr, srb, migration = tiny_inputs()
    mx[0, 0, 3] = np.nan
    with pytest.raises(FaultyInput) as caught:
        project_population(-start, mx, asfr, np.array([1.0, 1.0]), migration, start_year=2030)
    told = str(caught.value)
    assert "start_population: found lowest value -1000.0; allowed: not below zero" in told
    assert "srb: found shape (1, 2); allowed: (1, 1)" in told
    assert "mx: found values from nan" in told
    with pytest.raises(FaultyInput, match="mx: found shape"):
        project_population(start, mx[0, 0], asfr, srb, migration, start_year=2030)


def test_compiling_without_a_cache_folder(monkeypatch):
    """Read-only installs without a user cache: the compiler refuses to cache and the fallback compiles in memory."""
    calls = []

    def njit(**options):
        calls.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(kernels.numba, "njit", njit)
    assert kernels.compiled(abs)(-3) == 3
    assert [options.get("cache", False) for options in calls] == [True, False]
