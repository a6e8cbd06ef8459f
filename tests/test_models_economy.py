"""Pandemic years in the economy: shock and rebound, not trend."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pytensor.compile.mode import Mode

from forecaster.futures import _economy, macro_steps
from forecaster.resources import data_dir
from forecaster_models.economy import EconomyData, economy_block, economy_data, economy_model
from forecaster_models.priors import read_priors

PRIORS = read_priors(data_dir() / "priors" / "economy.toml", "TWN")["economy"]
UNIT = "economy_pandemic_unit"


def density(data: EconomyData, apart: float) -> float:
    """Log density at the start with output of 2020 off its course by ``apart``, without the prior of that shock."""
    model = economy_model(data, PRIORS)
    size = PRIORS["pandemic_sd"]["value"]
    point = {**model.initial_point(), UNIT: np.array([apart / size, 0.0, 0.0])}
    others = [variable for variable in model.basic_RVs if variable.name != UNIT]
    # Evaluated once: compiling would take far longer.
    return float(model.compile_logp(vars=others, mode=Mode(linker="py", optimizer=None))(point))


def test_what_is_lost_in_one_pandemic_year_and_regained_in_the_next_is_no_trend() -> None:
    data = economy_data("twn")
    at = int(np.flatnonzero(data.years == 2020)[0])
    growth = data.growth.copy()
    growth[at] -= 0.05
    growth[at + 1] += 0.05
    slump = dataclasses.replace(data, growth=growth)
    assert density(slump, -0.05) == pytest.approx(density(data, 0.0), rel=1e-9)
    assert density(slump, 0.0) < density(data, 0.0) - 2.0


def test_the_same_swing_in_other_years_counts() -> None:
    data = economy_data("twn")
    at = int(np.flatnonzero(data.years == 2016)[0])
    growth = data.growth.copy()
    growth[at] -= 0.05
    growth[at + 1] += 0.05
    swing = dataclasses.replace(data, growth=growth)
    assert density(swing, 0.0) < density(data, 0.0) - 2.0
    without = economy_model(economy_data("twn", last_year=2019, outlook=False), PRIORS)
    assert UNIT not in {variable.name for variable in without.free_RVs}


@pytest.mark.parametrize(("last_year", "owed"), [(2019, False), (2021, True), (2024, False)])
def test_what_has_not_come_back_yet_is_handed_on(last_year: int, owed: bool) -> None:
    block = economy_block("twn", PRIORS, last_year=last_year, outlook=False)
    named = {variable.name for variable in block.build().unobserved_RVs}
    assert set(block.keep) <= named
    assert ("economy_rebound" in block.keep) == owed == ("economy_rebound" in named)


def test_the_rebound_comes_in_the_first_year_ahead() -> None:
    draws = 5
    scalars = {"mean": 0.02, "mean_sd": 0.003, "sd": 0.01, "phi": 0.1, "last_gap": 0.0}
    posterior = {f"economy_{s}_{k}": np.full(draws, v) for s in ("growth", "inflation") for k, v in scalars.items()}
    posterior |= {f"economy_{s}_ahead": np.full((draws, 1), 0.02) for s in ("growth", "inflation")}
    posterior["economy_inflation_loading"] = np.zeros(draws)
    ahead = np.arange(2022, 2030)
    plain, prices = _economy(posterior, macro_steps("twn"), 2021, ahead, 7)
    back, same = _economy({**posterior, "economy_rebound": np.full(draws, 0.03)}, macro_steps("twn"), 2021, ahead, 7)
    np.testing.assert_allclose(back - plain, np.where(ahead == 2022, 0.03, 0.0)[:, None] * np.ones(draws), atol=1e-15)
    np.testing.assert_array_equal(prices, same)
