"""The solver against brute force: every value of the grid, or every path on it, projected in full."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solve import Goal, enough_for, in_unit, least, required_value, share_met, with_values
from forecaster.solve_path import required_path
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
START = dt.date(2027, 1, 1)


def reached(basis, lever, values, goal, policy=LAW):
    result = project(basis.until(goal.year), with_values(policy, lever, values))
    counted = result.years >= goal.start.year if goal.throughout else result.years == goal.year
    return float((result.reserve_months[counted] >= goal.months - 1e-12).all(axis=0).mean())


# Lever, spacing of its grid, a goal that lies within its reach on the fund of seed 5, and whether more of it helps.
CASES = (
    ("general_premium_rate", 1e-4, Goal(1.0, 2032, START, 0.8), True),
    ("supplementary_premium_rate", 1e-4, Goal(2.0, 2028, START, 0.7), True),
    ("government_injection", 0.1, Goal(2.0, 2031, START, 0.9), True),
    ("government_floor_share", 1e-4, Goal(2.0, 2029, START, 0.5), True),
    ("copayment_reform_yield", 0.1, Goal(1.0, 2030, START, 0.6), True),
    ("budget_growth_adjustment", 1e-4, Goal(2.0, 2032, START, 0.6, throughout=False), False),
    ("supplementary_threshold.dividends", 100.0, Goal(1.5, 2028, START, 0.22), False),
    ("supplementary_ceiling", 100.0, Goal(1.5, 2028, START, 0.2), True),
    ("grading_ceiling", 100.0, Goal(1.0, 2028, START, 0.38), True),
    ("copayment_rate.centre", 1e-4, Goal(1.0, 2028, START, 0.42), True),
    ("average_dependants", 1e-2, Goal(2.0, 2028, START, 0.5), True),
    ("charged_dependants_cap", 1e-2, Goal(1.0, 2028, START, 0.36), True),
)


@pytest.mark.parametrize(("lever", "step", "goal", "raises"), CASES, ids=[case[0] for case in CASES])
def test_the_answer_is_the_mildest_value_of_the_grid_that_meets_the_goal(lever, step, goal, raises):
    basis = random_basis(150, 10, seed=5)
    answer = required_value(basis, LAW, lever, goal)
    assert answer.raises is raises
    assert answer.rounded is not None
    assert answer.reached == reached(basis, lever, {START: answer.rounded}, goal) >= goal.probability
    milder = round(answer.rounded + (-step if raises else step), 10)
    assert reached(basis, lever, {START: milder}, goal) < goal.probability
    # The value before rounding lies between the two.
    assert min(milder, answer.rounded) - step <= answer.exact <= max(milder, answer.rounded) + step


def test_every_rate_of_the_grid_agrees_with_the_answer():
    basis, goal = random_basis(60, 6, seed=5), Goal(1.5, 2030, START, 0.75)
    answer = required_value(basis, LAW, "general_premium_rate", goal)
    found = round(answer.rounded * 1e4)
    # Every hundredth of a point beside the answer, every tenth elsewhere.
    grid = sorted({*range(0, 601, 10), *range(found - 12, found + 13)})
    enough = [n for n in grid if reached(basis, "general_premium_rate", {START: n / 1e4}, goal) >= 0.75]
    assert 400 < min(enough) == found
    assert enough == [n for n in grid if n >= found]


def test_what_is_out_of_reach_names_the_limit_and_its_article():
    basis = random_basis(50, 20)
    answer = required_value(basis, LAW, "general_premium_rate", Goal(30.0, 2040, START, 0.9))
    assert answer.rounded is None
    assert answer.words == "above the legal limit of 6%"
    assert "Art. 18" in answer.limit_source
    assert replace(answer, limit=0.2, limit_source="assumed: localities set the rate").words == (
        "above 20%, the highest rate that may be set here (assumed)"
    )
    answer = required_value(basis, LAW, "supplementary_threshold.rent", Goal(30.0, 2040, START, 0.9))
    assert answer.rounded is None
    assert answer.words == "out of reach: even 0 TWD is not enough"
    assert answer.exact == -np.inf
    # A straight line says nothing of a lever that hardly moves the reserve: no figure far beyond all bounds.
    answer = required_value(basis, LAW, "supplementary_bonus_yield", Goal(30.0, 2030, START, 0.9))
    assert answer.rounded is None
    assert answer.exact == np.inf


def test_a_goal_that_every_value_meets_is_said_to_be():
    basis = random_basis(20, 4)
    met = required_value(basis, LAW, "supplementary_threshold.rent", Goal(-50.0, 2028, START, 0.9))
    assert (met.rounded, met.always) == (1000000.0, True)
    assert not required_value(basis, LAW, "general_premium_rate", Goal(1.0, 2028, START, 0.9)).always


def test_a_lever_that_moves_nothing_is_an_error():
    with pytest.raises(ForecasterError, match="late_fee_daily does not move the reserve through 2030"):
        required_value(random_basis(5, 6), LAW, "late_fee_daily", Goal(1.0, 2030, START))
    with pytest.raises(ForecasterError, match=r"choice of words \(income, outlay\)"):
        required_value(random_basis(5, 6), LAW, "government_floor_basis", Goal(1.0, 2030, START))


def test_values_are_worded_in_their_unit():
    assert in_unit(0.05423, "share") == "5.42%"
    assert in_unit(19300.0, "TWD") == "19,300 TWD"
    assert in_unit(12.34, "TWD bn per year") == "12.3 TWD bn per year"


@given(low=st.integers(-50, 50), width=st.integers(0, 400), at=st.integers(-60, 500), guess=st.integers(0, 400))
@settings(max_examples=200)
def test_the_search_finds_the_first_number_that_is_enough(low, width, at, guess):
    high = low + width
    found = least(lambda n: n >= at, low, high, min(low + guess, high))
    expected = min((n for n in range(low, high + 1) if n >= at), default=None)
    assert found == expected


def test_enough_for_a_share_is_enough_for_every_draw_counted():
    need = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert [enough_for(need, p) for p in (0.0, 0.2, 0.21, 0.5, 0.8, 1.0)] == [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert enough_for(np.array([-np.inf, 1.0, np.inf]), 0.9) == np.inf


def payment(basis, values, goal):
    """Payment of a path by its definition, beyond a rate of zero."""
    cut = basis.until(goal.year)

    def paid(dated):
        result = project(cut, with_values(LAW, "general_premium_rate", dated))
        return (result.total_income - result.income["investment_income"] - result.outgo).mean(axis=1)

    return float(((paid(values) - paid({goal.start: 0.0})) / cut.general_base.mean(axis=1)).sum())


@pytest.mark.parametrize(("draws", "probability"), [(1, 0.5), (60, 0.8)])
def test_no_path_of_a_coarse_grid_is_cheaper(draws, probability):
    basis, goal = random_basis(draws, 8, seed=9), Goal(1.0, 2033, START, probability)
    path = required_path(basis, LAW, "general_premium_rate", goal, every=3)
    assert path.values is not None
    assert list(path.values) == [dt.date(2027, 1, 1), dt.date(2030, 1, 1), dt.date(2033, 1, 1)]
    assert reached(basis, "general_premium_rate", path.values, goal) == path.reached >= probability
    assert path.payment == pytest.approx(payment(basis, path.values, goal), rel=5e-3)
    assert path.payment <= path.constant_payment
    assert draws == 1 or path.payment < path.constant_payment - 1e-3
    # The payment is linear in the rates. A higher rate never lowers a reserve (tests of the engine), so that of the
    # cheaper paths of the grid only those need to be tried of which none has higher rates throughout.
    least = payment(basis, dict.fromkeys(path.values, 0.05), goal)
    unit = [payment(basis, {**dict.fromkeys(path.values, 0.05), day: 0.06}, goal) for day in path.values]
    weights = (np.array(unit) - least) / 0.01
    grid = np.array(list(itertools.product(np.round(np.arange(0.05, 0.0601, 0.00125), 5), repeat=3)))
    cheaper = grid[least + (grid - 0.05) @ weights < path.payment / 1.001]
    above = (cheaper[None, :] >= cheaper[:, None]).all(axis=2).sum(axis=1)
    tried = cheaper[above == 1]
    assert len(tried) > 10
    for rates in tried:
        values = dict(zip(path.values, rates.tolist(), strict=True))
        assert reached(basis, "general_premium_rate", values, goal) < probability


def test_a_path_out_of_reach_says_so_and_one_change_is_the_constant_rate():
    basis = random_basis(40, 8, seed=9)
    path = required_path(basis, LAW, "general_premium_rate", Goal(30.0, 2033, START, 0.8), every=2)
    assert path.values is None
    assert path.constant.rounded is None
    goal = Goal(1.0, 2033, START, 0.8)
    path = required_path(basis, LAW, "general_premium_rate", goal, every=7)
    assert path.values == {START: path.constant.rounded}
    with pytest.raises(ForecasterError, match="from 1 on"):
        required_path(basis, LAW, "general_premium_rate", goal, every=0)


def test_meeting_a_goal_means_every_year():
    margin = np.array([[1.0, 1.0, -1.0], [0.0, -0.1, 5.0]])
    assert share_met(margin) == pytest.approx(1 / 3)


def test_a_reform_of_other_levers_stands_while_one_is_solved_for():
    basis, goal = random_basis(60, 8, seed=5), Goal(1.0, 2030, START, 0.8)
    helped = LAW.reform(Reform.parse(["government_injection=30@2027-01-01"]))
    alone = required_value(basis, LAW, "general_premium_rate", goal).exact
    assert required_value(basis, helped, "general_premium_rate", goal).exact < alone


def test_every_number_of_the_law_is_solved_for_or_refused_by_name() -> None:
    # Warnings are errors here: no bound may lead the search where a figure is not defined.
    basis, answers, refused = random_basis(20, 4), {}, {}
    for name in (name for name, parameter in LAW.scheme.parameters.items() if parameter.bounds):
        try:
            answers[name] = required_value(basis, LAW, name, Goal(1.0, 2029, START, 0.6))
        except ForecasterError as error:
            refused[name] = str(error)
    assert "knows no points of providers" in refused.pop("point_value_guarantee")
    shares = {name: refused.pop(name) for name in [*refused] if name.startswith("premium_share.")}
    assert all("the payers' shares of a category sum to 1" in words for words in shares.values())
    assert all(f"{name} does not move the reserve" in words for name, words in refused.items())
    assert {"general_premium_rate", "grading_ceiling", "copayment_cap_stay", "supplementary_ceiling"} <= set(answers)
    # This fund tells no late fees apart; the others say what they act with, or why nothing reads them.
    assert {"late_fee_daily", "own_dependants_shape", "supplementary_threshold_vulnerable"} <= set(refused)
    assert "it acts only together with charged_dependants_cap" in refused["own_dependants_shape"]
    assert "no projection reads it: no figure was found" in refused["supplementary_threshold_vulnerable"]
    assert all(not np.isnan(answer.exact) for answer in answers.values())
