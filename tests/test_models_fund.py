"""The economy and fund models: they build, their start is finite, and (slow) they find a known truth again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize._numdiff import approx_derivative

from forecaster.basis import PaymentSizes
from forecaster.charged_payments import charged_share
from forecaster.errors import ForecasterError
from forecaster.resources import data_dir
from forecaster_models.economy import EconomyData, economy_data, economy_model
from forecaster_models.fund import (
    _in_proportion,
    fund_block,
    path_geometry,
    profile_geometry,
    supplementary_line,
)
from forecaster_models.fund_arrays import SCALARS, THRESHOLD_ITEMS, fund_arrays
from forecaster_models.fund_density import density
from forecaster_models.fund_evidence import fund_data
from forecaster_models.priors import read_priors
from forecaster_models.sampling import named_quantities


def _priors(name: str) -> dict[str, dict[str, object]]:
    return read_priors(data_dir() / "priors" / f"{name}.toml", "twn")[name]


def test_the_outlook_can_be_switched_off() -> None:
    with_outlook, without = economy_data("twn"), economy_data("twn", outlook=False)
    assert with_outlook.years[-1] == 2030
    assert without.years[-1] == 2024
    assert len(without.outlook_growth) == 0
    names = {variable.name for variable in economy_model(without, _priors("economy")).observed_RVs}
    assert names == {"growth_seen", "inflation_seen"}


def test_growth_and_inflation_make_up_nominal_growth() -> None:
    from forecaster.futures import macro_steps

    macro = macro_steps("twn")
    heads_and_real = macro.nominal - macro.price
    # Real growth is the same whether it is told per worker or per head plus that population's growth.
    assert np.abs(heads_and_real - macro.per_head).max() < 0.02
    assert macro.years[macro.observed][-1] == 2024


def _simulated(rng: np.random.Generator, truth: dict[str, float]) -> EconomyData:
    n = 90
    series = {}
    shock_of_growth = np.zeros(n)
    for name in ("growth", "inflation"):
        mean, path, gap = truth[f"{name}_mean"], np.empty(n), 0.0
        for t in range(n):
            own = truth[f"{name}_mean"]
            mean = own + 0.95 * (mean - own) + 0.003 * rng.standard_normal()
            shock = truth[f"{name}_sd"] * np.clip(rng.standard_t(5), -10, 10)
            if name == "growth":
                shock_of_growth[t] = shock
            else:
                shock += truth["inflation_loading"] * shock_of_growth[t]
            gap = truth[f"{name}_phi"] * gap + shock
            path[t] = mean + gap
        series[name] = path
    return EconomyData(np.arange(1935, 1935 + n), series["growth"], series["inflation"], np.zeros(0), np.zeros(0))


@pytest.mark.slow
def test_the_economy_model_finds_a_known_economy_again() -> None:
    from forecaster_models.sampling import judge, sample_block
    from forecaster_models.settings import SamplingSettings

    truth = {
        "growth_mean": 0.02,
        "growth_sd": 0.02,
        "growth_phi": 0.1,
        "inflation_mean": 0.012,
        "inflation_sd": 0.01,
        "inflation_phi": 0.3,
        "inflation_loading": -0.2,
    }
    data = _simulated(np.random.default_rng(11), truth)
    short = SamplingSettings(draws=500, tune=400, chains=2, cores=1, target_accept=0.9)
    result = sample_block(economy_model(data, _priors("economy")), short, seed=3)
    assert judge(result).max_rhat < 1.05
    posterior = result["posterior"].dataset
    covered = 0
    for name, value in truth.items():
        low, high = np.quantile(posterior[f"economy_{name}"].values, [0.05, 0.95])
        covered += int(low <= value <= high)
    # Seven intervals of 90%: fewer than five covered would have a chance of about one in fifty were they honest.
    assert covered >= 5


@pytest.mark.parametrize("origin", [2013, 2015, 2020])
def test_an_earlier_valuation_date_knows_nothing_of_later_years(origin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from forecaster_models import fund_evidence

    before = fund_evidence.fund_data("twn", origin)
    observed = fund_evidence.load_observations("twn")
    table = observed.table.copy()
    budget = table["series"].isin(fund_evidence.BUDGETS) & (table["year"] == origin + 1)
    # The line of the tobacco surcharge is law up to 2014 and told with an average filed under 2014 and later.
    later = (table["year"] > origin) & ~budget & ~table["series"].str.startswith("tobacco")
    assert later.sum() > 50
    table.loc[later, "value"] *= 3.0
    changed = dataclasses.replace(observed, table=table)
    monkeypatch.setattr(fund_evidence, "load_observations", lambda place: changed)
    after = fund_evidence.fund_data("twn", origin)
    assert before.years[-1] == origin + 1
    assert before.n_income == origin - 1995
    for name in ("accounts", "budget", "supplementary"):
        for field in ("value", "error"):
            np.testing.assert_array_equal(getattr(getattr(before, name), field), getattr(getattr(after, name), field))
    assert before.facts == after.facts
    assert before.profile_bands == after.profile_bands
    assert before.item_amounts.equals(after.item_amounts)
    # Growth of the next year is a guess from the last five, with an error of its own.
    assert before.gdp_step[-1] == pytest.approx(before.gdp_step[-6:-1].mean())
    assert before.gdp_error[-1] > 0
    assert (before.gdp_error[:-1] == 0).all()


def test_valuation_dates_outside_the_law_or_the_accounts_are_refused() -> None:
    for year in (2012, 2026):
        with pytest.raises(ForecasterError, match=f"from a year of 2013 to 2025, not from {year}"):
            fund_data("twn", year)


@pytest.mark.parametrize("origin", [None, 2013, 2018])
def test_the_fund_models_density_has_the_slopes_it_says(origin: int | None) -> None:
    """At a point near the start, every quantity moved: no term of the evidence is at rest."""
    data = fund_data("twn", origin)
    arrays = fund_arrays(data)
    rng = np.random.default_rng(8)
    priors = {name: rng.normal(0.0, 0.1) for name in SCALARS}
    priors |= {
        "profile_step_sd": 0.4,
        "income_elasticity": 0.9,
        "cost_sd": 0.02,
        "base_sd": 0.015,
        "cost_drift_sd": 0.011,
        "base_drift_sd": 0.008,
        "correlation": 0.3,
        "supplementary_sd": 0.06,
        "log_size_median": 11.3,
        "size_spread": 2.0,
        "log_part_time_median": 9.8,
        "part_time_spread": 0.8,
        "miscellaneous": 4.0,
        "booking_sd": 0.01,
        "budget_wander_sd": 0.006,
    }
    path, _ = path_geometry(data)
    profile, _ = profile_geometry(data)
    mix, share = rng.dirichlet(np.full(len(data.categories), 20.0)), rng.dirichlet(np.full(len(data.items), 20.0))
    line = supplementary_line(data)
    open_years = arrays.revision.shape[1]
    point = np.concatenate(
        [
            [priors[name] for name in SCALARS],
            path + rng.normal(0.0, 0.01, len(path)),
            profile + rng.normal(0.0, 0.05, len(profile)),
            mix,
            share,
            rng.normal(size=data.n_income),
            line + rng.normal(0.0, 0.02, len(line)),
            rng.normal(0.0, 0.02, arrays.pandemic.shape[1]),
            rng.normal(size=open_years),
        ]
    )
    value, slope, *_ = density(point, arrays)
    assert np.isfinite(value)
    differences = approx_derivative(lambda x: density(x, arrays)[0], point, method="3-point").ravel()
    np.testing.assert_allclose(slope, differences, rtol=2e-5, atol=2e-5 * np.abs(slope).max())
    # Every quantity that the evidence of this valuation date speaks about moves the density.
    silent = {name for name, by in zip(SCALARS, slope, strict=False) if by == 0.0}
    later = {"restated_2015", "back_payment_2015", "back_payment_2016", "supplementary_drift", "supplementary_sd"}
    assert silent == (later if origin == 2013 else set())


@pytest.mark.parametrize("origin", [None, 2013])
def test_the_fund_model_starts_from_a_finite_density(origin: int | None) -> None:
    block = fund_block(_priors("fund"), "twn", origin)
    model = block.build()
    start = np.concatenate([np.ravel(value) for value in model.initial_point().values()])
    named = named_quantities(model, start[None])
    assert set(block.keep) <= set(named)
    assert all(np.isfinite(value).all() for value in named.values())


def test_flows_move_in_proportion_and_the_volume_says_by_how_much() -> None:
    """Against differences; near nothing lost they move one to one, and no change makes them negative."""
    from pytensor import tensor as pt
    from pytensor.compile.mode import Mode

    plain = Mode(linker="py", optimizer=None)

    def moved(values: np.ndarray) -> tuple[np.ndarray, float]:
        log_flow, volume = _in_proportion(pt.as_tensor(values))
        return log_flow.eval(mode=plain), float(volume.eval(mode=plain))

    at = np.array([-3.0, -0.9, -0.05, 0.0, 0.02, 1.0])
    slope = (moved(at + 1e-6)[0] - moved(at - 1e-6)[0]) / 2e-6
    assert (slope > 0).all()
    assert moved(at)[1] == pytest.approx(np.log(slope).sum(), abs=1e-6)
    near = np.array([-0.03, 0.0, 0.03])
    np.testing.assert_allclose(np.exp(moved(near)[0]) - 1.0, 0.98 * near, atol=3e-4)


@pytest.mark.parametrize(("origin", "kind", "threshold"), [(2015, "size", 2e4), (2013, "part_time", 19273.0)])
def test_a_premium_collected_under_old_thresholds_does_not_bend_with_the_sizes_of_payments(
    origin: int, kind: str, threshold: float
) -> None:
    """The base, measured under today's thresholds, falls by as much as the charged share of the old one rises."""
    model = fund_block(_priors("fund"), "twn", origin).build()
    start = model.initial_point()
    values = [np.ravel(start[variable.name]) for variable in model.value_vars]
    first = sum(map(len, values[: [variable.name for variable in model.value_vars].index("fund_units")]))
    units = len(start["fund_units"])
    points = np.tile(np.concatenate(values), (units, 1))
    points[:, first : first + units] -= 2.5 * np.eye(units)
    found = named_quantities(model, points)
    typical = np.median(found[f"fund_{kind}_median"])
    moved = (found[f"fund_{kind}_median"] != typical) | (np.arange(units) == 0)
    assert moved.sum() == 2
    sizes = PaymentSizes(found[f"fund_{kind}_median"], found[f"fund_{kind}_spread"])
    old, new = (
        charged_share(sizes, np.ones((1, units)), np.full(1, at), np.full(1, 1e7))[0] for at in (5e3, threshold)
    )
    items = np.isin(fund_data("twn", origin).items, THRESHOLD_ITEMS if kind == "size" else ("part_time",))
    log_more = np.log1p(found["fund_item_share"] @ items * (old / new - 1.0))
    assert np.ptp(log_more[moved]) > 0.2
    assert np.ptp((found["fund_log_supplementary_end"] + log_more)[moved]) < 0.05


def test_what_a_pandemic_took_comes_back_in_the_second_year_ahead() -> None:
    from forecaster.futures import _cost_and_base

    n = 3
    names = ("cost_sd", "base_sd", "correlation", "income_elasticity", "cost_drift_end", "base_drift_end")
    names += ("log_cost_end", "log_base_end", "cost_drift_sd", "base_drift_sd", "cost_surprise", "base_surprise")
    posterior = {f"fund_{name}": np.zeros(n) for name in (*names, "cost_drift", "base_drift")}
    flat = {name: np.zeros((4, n)) for name in ("need_step", "price", "per_head", "nominal", "surprise")}
    plain, _ = _cost_and_base(posterior, **flat, seed=1)
    outlay, base = _cost_and_base({**posterior, "fund_rebound": np.array([0.02, 0.0, -0.01])}, **flat, seed=1)
    assert (plain == 1.0).all()
    assert (base == 1.0).all()
    assert (outlay[0] == 1.0).all()
    for row in outlay[1:]:
        assert row == pytest.approx(np.exp([0.02, 0.0, -0.01]))


@pytest.mark.parametrize(("origin", "kept"), [(None, False), (2020, True), (2021, True), (2022, False)])
def test_a_rebound_is_left_where_the_evidence_ends_in_a_pandemic(origin: int | None, kept: bool) -> None:
    """The budget of the year after the origin is evidence too."""
    assert ("fund_rebound" in fund_block(_priors("fund"), "twn", origin).keep) == kept
