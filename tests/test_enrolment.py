"""Voluntary enrolment: thirds by hand, habit, premium and cost at rest or in a spiral, and the shipped fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.enrolment import (
    THIRDS,
    Joining,
    State,
    TakeUp,
    calibrated,
    cost_ratio,
    course,
    fit_folder,
    fixed_point,
    resident_factors,
    shipped_takeup,
    wanted_by_third,
)

STATE = State(benefit=1000.0, own=400.0, wage=100_000.0)


def takeup(n: int = 2, **changed: float) -> TakeUp:
    values = {"level": 1.0, "benefit": 1.0, "burden": 0.5, "habit": 0.5, "drive": 0.4, "counter": 0.1} | changed
    return TakeUp(*(np.full(n, value) for value in values.values()))


def test_take_up_of_the_thirds_by_hand():
    """1 + log(k x 1000 / 400) - 0.5 x 4: for the sick third log 4.5 less 1."""
    found = wanted_by_third(takeup(), STATE)
    assert found[2, 0] == pytest.approx(1.0 / (1.0 + np.exp(1.0 - np.log(4.5))))
    assert (np.diff(found, axis=0) > 0.0).all()
    shares = np.array([[0.5], [0.5], [1.0]])
    assert cost_ratio(shares)[0] == pytest.approx((0.5 * 0.4 + 0.5 * 0.8 + 1.8) / 2.0)
    assert cost_ratio(np.ones((3, 1)))[0] == pytest.approx(1.0)
    assert THIRDS.mean() == pytest.approx(1.0)


def test_a_drive_and_a_counter_bring_people_in():
    base = wanted_by_third(takeup(), STATE).mean(axis=0)
    driven = wanted_by_third(takeup(), State(1000.0, 400.0, 100_000.0, drive=1.0)).mean(axis=0)
    counted = wanted_by_third(takeup(), State(1000.0, 400.0, 100_000.0, counter=1.0)).mean(axis=0)
    assert (driven > counted).all()
    assert (counted > base).all()


def test_calibrated_take_up_stays_where_it_is():
    resting = calibrated(takeup(), STATE, 0.91)
    found = course(resting, [STATE] * 3, 0.91)
    np.testing.assert_allclose(found.share, 0.91, rtol=1e-9)


def test_habit_lets_take_up_move_half_of_the_way_on_the_logit_scale():
    resting = calibrated(takeup(habit=0.5), STATE, 0.5)
    wanted = wanted_by_third(resting, State(1000.0, 800.0, 100_000.0)).mean(axis=0)[0]
    found = course(resting, [State(1000.0, 800.0, 100_000.0)], 0.5).share[0, 0]
    assert np.log(found / (1 - found)) == pytest.approx(0.5 * np.log(wanted / (1 - wanted)))


def test_premium_and_cost_come_to_rest_where_the_subsidy_carries_them():
    found = fixed_point(calibrated(takeup(), STATE, 0.9), STATE, 700.0)
    assert found.outcome.tolist() == ["at rest"] * 2
    # At rest the premium is what the subsidy leaves of the cost, and take-up is what that premium draws.
    np.testing.assert_allclose(found.own, found.cost - 700.0, rtol=1e-6)
    at = State(1000.0, found.own, 100_000.0)
    drawn = wanted_by_third(calibrated(takeup(), STATE, 0.9), at).mean(axis=0)
    np.testing.assert_allclose(found.share, drawn, rtol=1e-4)


def test_a_pool_without_subsidy_spirals_where_selection_is_steep():
    steep = calibrated(takeup(benefit=2.0, burden=1.5), STATE, 0.9)
    found = fixed_point(steep, STATE, 0.0)
    assert found.outcome.tolist() == ["spiral"] * 2
    assert (found.share < 0.1).all()
    assert (np.diff(found.path[: found.rounds[0] + 1, 0]) < 0.0).all()
    assert (found.cost > 1300.0).all()


def test_levers_change_nothing_when_they_stand_at_zero():
    none = dict.fromkeys(
        ("own_premium_growth_adjustment", "subsidy_growth_adjustment", "enrolment_drive", "claim_at_counter"),
        np.zeros(4),
    )
    start = Joining(takeup(), STATE, 0.9)
    for factor in resident_factors(start, 5, np.full(4, 0.36), none):
        assert factor.shape == (4, 5)
        np.testing.assert_allclose(factor, 1.0, rtol=1e-9)
    more = none | {"subsidy_growth_adjustment": np.array([0.0, 0.1, 0.0, 0.0])}
    funding, outlay, heads = resident_factors(start, 5, np.full(4, 0.36), more)
    np.testing.assert_allclose(funding[:, 0], [1.0, 1.064, 1.064, 1.064])
    np.testing.assert_allclose(outlay, 1.0, rtol=1e-9)
    np.testing.assert_allclose(heads, 1.0, rtol=1e-9)


# --- the shipped fit --------------------------------------------------------------------------------------------------
def test_the_shipped_fit_was_accepted_and_is_of_today():
    from forecaster_models.enrolment import current_inputs

    manifest = json.loads((fit_folder() / "manifest.json").read_text())
    assert manifest["verdict"]["accepted"]
    assert manifest["inputs"] == current_inputs(), "fit again: forecaster enrolment --fit"


def test_the_shipped_fit_follows_what_was_seen():
    """One year ahead most observations lie within the 80% band, and selection agrees with the survey's 9.6%."""
    import csv

    rows = list(csv.DictReader((fit_folder() / "fitted.csv").read_text().splitlines()))
    within = [float(r["q10"]) <= float(r["observed"]) <= float(r["q90"]) for r in rows]
    assert len(rows) == 14
    assert sum(within) >= 10
    takeup_ = shipped_takeup()
    assert 0.5 < np.median(takeup_.benefit) < 2.0
    # At 71% take-up members cost about a tenth more than everybody.
    at_71 = calibrated(takeup_, STATE, 0.71)
    assert np.median(cost_ratio(wanted_by_third(at_71, STATE))) - 1.0 == pytest.approx(0.096, abs=0.03)


def test_observed_take_up_is_that_of_the_report():
    from forecaster_models.enrolment import samples

    rural, residents = samples()
    assert (rural.share[0], rural.share[-1]) == (0.757, 0.987)
    # Heads fell every year since 2018, take-up of who is outside the employees' scheme only after 2021.
    assert residents.years[residents.share.argmax()] == 2021
    assert residents.share[-1] == pytest.approx(0.912, abs=0.001)


def test_the_command_tells_response_and_spiral():
    result = CliRunner().invoke(app, ["enrolment", "--json"])
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    premiums = [row["take_up"]["10"][1] for row in answer["at_premiums"]]
    assert premiums == sorted(premiums, reverse=True)
    apart = [row["outcomes"]["spiral"] for row in answer["at_subsidies"]]
    assert apart[0] == 0 < apart[-1]
    rules = answer["rules"]
    assert [row["year"] for row in rules] == [2025, 2030, 2035, 2040, 2045]
    assert rules[0]["months_of_waiting"] == 4.5
    assert rules[0]["rise_of_ceiling"] == 0.0 < rules[1]["rise_of_ceiling"]
    assert 0.97 < rules[0]["covered_person_months"][1] < 1.0
    assert all(row["members"][1] > 1.0 for row in rules)
    refused = CliRunner().invoke(app, ["enrolment", "cn_uebmi"])
    assert refused.exit_code == 2
    assert "nobody chooses to join it" in refused.stderr
