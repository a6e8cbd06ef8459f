"""Importance of drivers against outcomes whose shares and worth are known, and on a fund."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from forecaster.drivers import (
    expected_loss,
    importance,
    path_groups,
    posterior_groups,
    shapley_shares,
    varying,
    worth_of_knowing,
)
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.policy import Policy
from forecaster.schemes import load_scheme
from forecaster.solve import RATE, Goal, required_by_draw, required_value, with_rate
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
N = 20000


@pytest.fixture(scope="module")
def known() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal((N, 1)) for name in ("big", "small", "none")}


def test_shares_of_a_sum_are_its_variances(known: dict[str, np.ndarray]) -> None:
    # 2 x big + small: four fifths and one fifth of the variance; what has no part is credited with none.
    outcome = (2.0 * known["big"] + known["small"])[:, 0]
    found = importance(known, outcome, outcome, 0.8)
    assert list(found)[:2] == ["big", "small"]
    assert [found[name].alone for name in known] == pytest.approx([0.8, 0.2, 0.0], abs=0.02)
    shares = [found[name].share for name in known]
    assert shares == pytest.approx([0.8, 0.2, 0.0], abs=0.02)
    assert sum(share or 0.0 for share in shares) == pytest.approx(1.0, abs=1e-6)


def test_worth_of_knowing_one_of_two_normals(known: dict[str, np.ndarray]) -> None:
    # The least expected loss of a normal need is its standard deviation times phi(z_p): sqrt 5 with nothing known, 1
    # where the big one is, 2 where the small one is.
    needs = (2.0 * known["big"] + known["small"])[:, 0]
    phi = float(norm.pdf(norm.ppf(0.8)))
    assert expected_loss(needs, 0.8) == pytest.approx(np.sqrt(5.0) * phi, rel=0.02)
    worth = [worth_of_knowing(known[name], needs, 0.8) for name in known]
    assert worth == pytest.approx([(np.sqrt(5.0) - 1.0) * phi, (np.sqrt(5.0) - 2.0) * phi, 0.0], abs=0.02)


def test_a_square_and_a_product_are_seen(known: dict[str, np.ndarray]) -> None:
    x, y = known["big"], known["small"]
    found = importance({"x": x}, (x**2)[:, 0], (x**2)[:, 0], 0.5)
    assert found["x"].alone == pytest.approx(1.0)
    # A product explains nothing alone and everything together: half is credited to each.
    shares = shapley_shares({"x": x, "y": y}, (x * y)[:, 0])
    assert [shares["x"], shares["y"]] == pytest.approx([0.5, 0.5], abs=0.02)


def test_what_is_shared_is_credited_to_both(known: dict[str, np.ndarray]) -> None:
    shares = shapley_shares({"x": known["big"], "same": known["big"] * 3.0, "none": known["none"]}, known["big"][:, 0])
    assert [shares["x"], shares["same"], shares["none"]] == pytest.approx([0.5, 0.5, 0.0], abs=1e-3)


def test_chance_alone_explains_nothing_and_is_worth_nothing() -> None:
    # Five terms of pure chance in 500 draws make twenty columns; taken at face value they would explain 4% and be worth
    # 2% of the loss, 0.007.
    rng = np.random.default_rng(5)
    alone, worth = [], []
    for _ in range(10):
        noise = rng.standard_normal(500)
        found = importance({"noise": rng.standard_normal((500, 5))}, noise, noise, 0.8)["noise"]
        alone.append(found.alone)
        worth.append(found.worth)
    assert np.mean(alone) < 0.01
    assert np.mean(worth) < 0.004


def test_columns_that_do_not_vary_or_repeat_are_left_out() -> None:
    x = np.linspace(0.0, 1.0, 50)
    found = varying(np.stack([x, np.full(50, 3.0), 2.0 * x + 1.0], axis=1))
    assert found.shape[1] == 1
    groups = posterior_groups(
        {"one": x, "still": np.zeros(50), "many": np.random.default_rng(1).normal(size=(50, 4, 3))}
    )
    assert {name: terms.shape[1] for name, terms in groups.items()} == {"one": 1, "many": 5}


def test_each_draws_own_rate_leaves_it_just_what_is_wanted() -> None:
    basis = random_basis(40, 10)
    goal = Goal(1.0, 2032, dt.date(2027, 1, 1), 0.8)
    needs = required_by_draw(basis, LAW, RATE, goal)
    assert needs.shape == (40,)
    # The supplementary rate is rounded with it, so that the line is met up to that.
    for d in (0, 7, 23):
        if not 0.0 < needs[d] < 0.06:
            continue
        result = project(basis.until(2032), with_rate(LAW, float(needs[d]), goal.start))
        assert result.reserve_months[1:, d].min() == pytest.approx(1.0, abs=0.1)
    assert required_value(basis, LAW, RATE, goal).exact == pytest.approx(np.sort(needs)[31])


def test_the_paths_of_a_fund_explain_its_reserve() -> None:
    rng = np.random.default_rng(2)
    basis = random_basis(600, 8)
    people = np.full((8, 600), 2.3e7)
    need = np.exp(np.cumsum(rng.normal(0.02, 0.005, (8, 600)), axis=0))
    gdp = 28000.0 * np.exp(np.cumsum(rng.normal(0.03, 0.02, (8, 600)), axis=0))
    known_by = {"population": people, "need_index": need, "gdp_nominal": gdp, "population_20_to_64": 0.6 * people}
    basis = replace(basis, drivers=known_by)
    reserve = project(basis, LAW).closing[-1]
    groups = path_groups(basis, 2033)
    shares = shapley_shares(groups, reserve)
    assert 0.9 < sum(shares.values()) <= 1.0 + 1e-9
    # People who are the same in every draw but for their need, and a still yield: each group holds what varies.
    assert groups["people: need and working age"].shape[1] == 2
    bare = path_groups(random_basis(50, 4), 2029)
    assert {"cost", "contribution base"} <= set(bare)


def test_a_lever_off_the_line_has_no_value_by_draw() -> None:
    basis = random_basis(30, 6)
    with pytest.raises(ForecasterError, match=r"supplementary_threshold\.rent: the reserve does not follow it"):
        required_by_draw(basis, LAW, "supplementary_threshold.rent", Goal(1.0, 2031, dt.date(2027, 1, 1)))
