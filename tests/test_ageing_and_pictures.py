"""The readings of ageing as a command, and the pictures of a fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.errors import ForecasterError
from forecaster.fitted import load_fit, make_basis
from forecaster.need import SpendingOptions
from forecaster.policy import Policy
from forecaster.pools import find_pool


def test_readings_of_ageing_lower_outgo_and_the_rate_alike() -> None:
    answer = CliRunner().invoke(app, ["ageing", "tw_nhi_2g", "--horizon", "2040", "--draws", "40", "--json"])
    assert answer.exit_code == 0, answer.output
    rows = json.loads(answer.output)["readings"]
    own, half, whole, dying, both = rows
    assert [row["options"] for row in rows[:2]] == [[], ["healthy_ageing=0.5"]]
    assert own["outgo"] > half["outgo"] > whole["outgo"]
    assert own["rate"] > half["rate"] > whole["rate"]
    assert own["outgo"] > dying["outgo"] > both["outgo"]


def test_options_leave_the_first_year_and_everything_but_spending_alone() -> None:
    fit = load_fit("tw_nhi")
    plain, healthy = fit.basis(2035, 20), fit.basis(2035, 20, SpendingOptions(healthy_ageing=1.0))
    np.testing.assert_array_equal(plain.outlay[0], healthy.outlay[0])
    np.testing.assert_array_equal(plain.general_base, healthy.general_base)
    np.testing.assert_array_equal(plain.drivers["population"], healthy.drivers["population"])
    ratio = np.log(healthy.outlay / plain.outlay) - np.log(healthy.drivers["need_index"] / plain.drivers["need_index"])
    np.testing.assert_allclose(ratio, 0.0, atol=1e-12)
    assert any(text.startswith("Healthy ageing") for text in healthy.assumptions)
    assert plain.hash == fit.basis(2035, 20, SpendingOptions()).hash != healthy.hash


def test_a_pool_without_cost_by_age_refuses_options() -> None:
    pool = find_pool("cn_urrbmi")
    with pytest.raises(ForecasterError, match="has no cost by age"):
        make_basis(
            pool,
            {},
            Policy(pool.law),
            last_year=None,
            horizon=2030,
            seed=1,
            label="t",
            options=SpendingOptions(healthy_ageing=0.5),
        )


def test_draws_are_laid_out_as_the_chains_they_came_from() -> None:
    from forecaster_models.pictures import as_chains, block_tree

    laid = as_chains(np.arange(12.0).reshape(12, 1), 4, "a pool")
    assert laid.sel(chain=2).values.ravel().tolist() == [6.0, 7.0, 8.0]
    with pytest.raises(ForecasterError, match="holds 10 draws, which are not 4 chains"):
        as_chains(np.zeros(10), 4, "a pool")
    fit = load_fit("tw_nhi")
    tree = block_tree(fit, "migration")
    assert {"mean", "rho", "sd"} <= set(tree["posterior"].data_vars) == set(tree["prior"].data_vars)
    np.testing.assert_allclose(tree["posterior"]["rho"].values.ravel(), fit.posterior["migration_rho"], rtol=1e-6)
    # The prior of rho is Beta(3, 2), whose mean is 0.6.
    assert abs(float(tree["prior"]["rho"].mean()) - 0.6) < 0.02


def test_the_predicted_past_is_one_step_from_each_year() -> None:
    from forecaster_models.pictures import one_step

    draws = {"x_mean": np.full(4, 2.0), "x_rho": np.full(4, 0.5), "x_sd": np.zeros(4), "x_nu": np.full(4, 5.0)}
    made = one_step(draws, "x", np.array([0.0, 4.0, 2.0]), np.random.default_rng(1))
    np.testing.assert_allclose(made, [[1.0, 3.0]] * 4)


@pytest.mark.slow
def test_pictures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forecaster_models import pictures

    monkeypatch.setattr(pictures, "BLOCKS", {"nhi": ("migration",)})
    told: list[str] = []
    written = pictures.draw_pictures(load_fit("tw_nhi"), tmp_path / "p", lambda share, name: told.append(name))
    assert [path.stem for path in written] == told
    assert told[:3] == ["migration_trace", "migration_rank", "migration_prior_posterior"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
