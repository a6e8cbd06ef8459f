"""Need by age and its options: hand-worked cases, and what may not change when they are off."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.demography.tables import load_wpp
from forecaster.errors import FaultyInput
from forecaster.need import (
    AGE_GROUPS,
    LEAST_SURVIVING,
    PROFILE_YEAR,
    SHIFTED_FROM,
    SpendingOptions,
    cost_of_dying,
    in_age_groups,
    log_need,
    moved_up,
)

GROUPS = len(AGE_GROUPS)
DOUBLING = np.log(2.0) * np.arange(GROUPS)  # cost doubles from one group to the next


def people_of(years: int = 3, e0: tuple[float, ...] = (80.0, 80.0, 80.0), deaths: float = 0.0) -> dict[str, np.ndarray]:
    """One person in every group, in one draw."""
    return {
        "groups": np.ones((GROUPS, years, 1)),
        "e0": np.array(e0)[:, None],
        "deaths": np.full((years, 1), deaths),
    }


def need(
    people: dict[str, np.ndarray], profile: np.ndarray = DOUBLING, tilt: float = 0.0, **options: float
) -> np.ndarray:
    return log_need(
        profile[:, None],
        np.array([tilt]),
        people,
        load_wpp("TWN"),
        last_seen=PROFILE_YEAR,
        first_year=PROFILE_YEAR + 1,
        options=SpendingOptions(**options),
    )[:, 0]


def test_need_is_persons_times_cost() -> None:
    np.testing.assert_allclose(need(people_of()), np.log(2.0**GROUPS - 1.0))


def test_the_tilt_raises_the_old_and_fades() -> None:
    found = np.exp(need(people_of(), profile=np.zeros(GROUPS), tilt=0.1))
    old = int((AGE_GROUPS >= 65).sum())
    young = GROUPS - old
    expected = [GROUPS, young + old * np.exp(0.1), young + old * np.exp(0.1 + 0.1 * 0.933)]
    np.testing.assert_allclose(found, expected)


def test_five_years_gained_move_the_profile_by_one_group() -> None:
    cost = np.exp(DOUBLING)[:, None, None] * np.ones((1, 3, 1))
    moved = moved_up(cost, np.array([[0.0], [5.0], [-2.5]]))[:, :, 0]
    first = int(np.searchsorted(AGE_GROUPS, SHIFTED_FROM))
    np.testing.assert_allclose(moved[:, 0], cost[:, 0, 0])
    np.testing.assert_allclose(moved[:first, 1], cost[:first, 0, 0])
    np.testing.assert_allclose(moved[first:, 1], cost[first - 1 : -1, 0, 0])
    # Half a group down the profile is the geometric mean of neighbours; the last group has none beyond it.
    np.testing.assert_allclose(moved[first:-1, 2], cost[first:-1, 0, 0] * np.sqrt(2.0))
    assert moved[-1, 2] == pytest.approx(cost[-1, 0, 0])


def test_healthy_ageing_takes_its_share_of_the_years_gained() -> None:
    gained = people_of(e0=(80.0, 85.0, 90.0))
    assert need(gained, healthy_ageing=0.5)[2] == pytest.approx(need(gained, healthy_ageing=1.0)[1])
    assert need(gained, healthy_ageing=0.5)[0] == pytest.approx(need(gained)[0])
    assert (np.diff(need(gained, healthy_ageing=1.0)) < 0).all()


def test_deaths_at_the_rates_of_the_profile_year_change_nothing() -> None:
    wpp = load_wpp("TWN")
    at = wpp.year_slice(PROFILE_YEAR, PROFILE_YEAR)
    by_age = wpp.population_1july[at][0]
    persons = in_age_groups(by_age.sum(axis=0))
    deaths = (wpp.mx[at][0] * by_age).sum()
    profile = np.linspace(0.0, 3.0, GROUPS)
    people = {"groups": persons[:, None, None], "e0": np.array([[80.0]]), "deaths": np.array([[deaths]])}
    assert need(people, profile, last_year_of_life=0.112) == pytest.approx(need(people, profile), rel=1e-12)
    fewer = {**people, "deaths": np.array([[0.5 * deaths]])}
    share = 1.0 - np.exp(need(fewer, profile, last_year_of_life=0.112) - need(people, profile))
    # Half of the deaths of that year save half of what deaths cost.
    assert share == pytest.approx(0.056, rel=1e-6)


def test_survivors_keep_a_part_of_the_cost_of_their_age() -> None:
    wpp = load_wpp("TWN")
    profile = np.zeros(GROUPS)
    of_deaths, _ = cost_of_dying(np.exp(profile)[:, None], wpp, 0.3)
    assert of_deaths[-1, 0] > 1.0  # with a flat profile the dying would cost more than all of their age
    people = people_of()
    floor = np.maximum(1.0 - of_deaths[:, 0], LEAST_SURVIVING).sum()
    assert np.exp(need(people, profile, last_year_of_life=0.3)[0]) == pytest.approx(floor)


def test_options_are_read_and_refused_in_words() -> None:
    options = SpendingOptions.parse(["healthy_ageing=0.5", "last_year_of_life = 0.112"])
    assert options == SpendingOptions(0.5, 0.112)
    assert SpendingOptions().words == ()
    assert "0.5 years for each year" in options.words[0]
    assert "11.2% of spending follows deaths" in options.words[1]
    with pytest.raises(FaultyInput, match="allowed: healthy_ageing, last_year_of_life") as caught:
        SpendingOptions.parse(["helthy=1", "healthy_ageing=half"])
    assert "found the value 'half'" in str(caught.value)
    with pytest.raises(FaultyInput, match=r"found 1\.5; allowed: 0 to 1"):
        SpendingOptions(healthy_ageing=1.5)
    with pytest.raises(FaultyInput, match="found nan"):
        SpendingOptions.parse(["last_year_of_life=nan"])
