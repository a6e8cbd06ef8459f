"""Theories of cost growth: carried over from one fit, weighed by the backtest, averaged draw by draw."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.theories import (
    LEAST_OUTCOMES,
    OPEN,
    ROWS,
    UNWEIGHED,
    WEIGHED,
    assigned,
    averaged,
    distances,
    parted,
    stacked_weights,
    stored_theories,
    weighting,
)
from forecaster_models.priors import marginals
from forecaster_models.steps import drift_modes
from forecaster_models.theories import StepEvidence, carry_over, check_priors
from forecaster_models.weighing import Scales

STEPS = 25


@pytest.fixture(autouse=True)
def few_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the tests' bounds need; those of the shipped weights are in test_backtest."""
    monkeypatch.setattr("forecaster.theories.RESAMPLED", 60)


PRIORS = {
    "income_elasticity": {"distribution": "Normal", "mu": 0.8, "sigma": 0.2},
    "cost_surprise": {"distribution": "Normal", "mu": -0.3, "sigma": 0.3},
    "cost_drift": {"distribution": "Normal", "mu": 0.0, "sigma": 0.006},
    "cost_sd": {"distribution": "LogNormal", "mu": -3.8, "sigma": 0.35},
    "cost_drift_sd": {"distribution": "Gamma", "alpha": 4.0, "beta": 400.0},
}
TREND = {
    "income_elasticity": {"distribution": "Fixed", "value": 0.0},
    "cost_drift": {"distribution": "Normal", "mu": 0.015, "sigma": 0.01},
}
STILL = {"cost_drift_sd": {"distribution": "Fixed", "value": 0.0}}


def evidence(draws: int, seed: int = 4) -> StepEvidence:
    """Steps nearly the same in all draws, as well-known accounts leave them."""
    rng = np.random.default_rng(seed)
    growth, surprise = 0.03 + 0.02 * rng.standard_normal(STEPS), 0.02 * rng.standard_normal(STEPS)
    step = 0.7 * growth - 0.2 * surprise + 0.025 * rng.standard_normal(STEPS)
    apart = rng.standard_normal((4, draws))
    return StepEvidence(
        cost_step=step + 0.002 * rng.standard_normal((draws, STEPS)),
        growth=np.tile(growth, (draws, 1)),
        surprise=surprise,
        base_gap=0.02 * rng.standard_normal(STEPS) + 0.002 * rng.standard_normal((draws, STEPS)),
        base_sd=0.02 * np.exp(0.1 * apart[0]),
        base_drift_sd=0.01 * np.exp(0.2 * apart[1]),
        correlation=np.tanh(0.2 * apart[2]),
    )


def log_evidence_by_sampling(found: StepEvidence, draw: int, priors: dict, n: int = 4000) -> tuple[float, float]:
    """Mean density of a draw's steps of cost given those of the base over draws from the priors, and its error."""
    rng = np.random.default_rng(9)

    def drawn(name: str) -> np.ndarray:
        prior = priors[name]
        fixed = prior["distribution"] == "Fixed"
        return np.full(n, prior["value"]) if fixed else marginals(prior)[0].rvs(n, random_state=rng)

    values = {name: drawn(name) for name in PRIORS}
    modes, vectors = drift_modes(STEPS)
    remembered = vectors @ np.diag(modes) @ vectors.T
    one = np.eye(STEPS)
    base_cov = found.base_drift_sd[draw] ** 2 * remembered + found.base_sd[draw] ** 2 * one
    # A value of the priors a row: means (n, step), covariances (n, step, step).
    value = {name: drawn[:, None] for name, drawn in values.items()}
    own, wander = (values[name][:, None, None] for name in ("cost_sd", "cost_drift_sd"))
    across = found.correlation[draw] * own * found.base_sd[draw] * one
    weight = across @ np.linalg.inv(base_cov)
    mean = value["income_elasticity"] * found.growth[draw] + value["cost_surprise"] * found.surprise
    mean = mean + value["cost_drift"] + weight @ found.base_gap[draw]
    cov = wander**2 * remembered + own**2 * one - weight @ across
    off = (found.cost_step[draw] - mean)[:, :, None]
    square = (off * np.linalg.solve(cov, off)).sum(axis=(1, 2))
    density = -0.5 * (square + np.linalg.slogdet(cov).logabsdet + STEPS * np.log(2 * np.pi))
    mass = np.exp(density - density.max())
    return float(density.max() + np.log(mass.mean())), float(mass.std() / mass.mean() / np.sqrt(n))


@pytest.mark.parametrize("laid", [{}, TREND, STILL])
def test_the_evidence_of_a_theory_is_the_mean_density_over_its_priors(laid):
    from forecaster_models.theories import _explained

    found, priors = evidence(2), {**PRIORS, **laid}
    sampled, error = log_evidence_by_sampling(found, 1, priors)
    assert error < 0.1
    assert _explained(found, priors).evidence[1] == pytest.approx(sampled, abs=4 * error)


def test_carried_to_its_own_priors_a_fit_stays_itself():
    found = carry_over(evidence(1000), PRIORS, {"same": {}}, seed=1)["same"]
    assert found.worth == pytest.approx(1000.0)
    assert found.accepted
    assert found.draws[ROWS].tolist() == list(range(1000))


def test_draws_that_a_theory_explains_better_are_taken_more_often():
    """Half of the draws have steps that follow income, half have a trend: each theory takes its own."""
    from dataclasses import replace

    from forecaster_models.theories import _explained

    found = evidence(2000)
    steady = np.arange(2000) % 2 == 1
    less = 0.15 * (found.growth - found.growth.mean()) * steady[:, None]
    found = replace(found, cost_step=found.cost_step - less)
    carried = carry_over(found, PRIORS, {"trend": TREND}, seed=1)["trend"]
    exact = np.exp(_explained(found, {**PRIORS, **TREND}).evidence - _explained(found, PRIORS).evidence)
    assert exact[steady].mean() > 1.2 * exact[~steady].mean()
    taken = np.bincount(carried.draws[ROWS], minlength=2000)
    assert taken[steady].sum() / 2000 == pytest.approx(exact[steady].sum() / exact.sum(), abs=0.01)
    assert np.corrcoef(taken, exact)[0, 1] > 0.7


def test_a_theory_leaves_what_it_fixes_fixed_and_learns_the_rest():
    found = carry_over(evidence(1000), PRIORS, {"trend": TREND, "still": STILL}, seed=1)
    trend, still = found["trend"].draws, found["still"].draws
    assert not trend["fund_income_elasticity"].any()
    assert not still["fund_cost_drift_sd"].any()
    assert not still["fund_cost_drift_end"].any()
    # Real growth of cost was 2% a year: without income the trend has to be near it.
    assert trend["fund_cost_drift"].mean() == pytest.approx(0.02, abs=0.01)
    assert trend["fund_cost_sd"].mean() == pytest.approx(0.028, abs=0.006)
    assert np.isfinite(np.concatenate(list(trend.values()))).all()


def test_the_last_drift_keeps_to_its_law():
    """Against the joint normal law of steps and drifts written out whole."""
    found = evidence(1000)
    draws = carry_over(found, PRIORS, {"same": {}}, seed=2)["same"].draws
    modes, vectors = drift_modes(STEPS)
    remembered = vectors @ np.diag(modes) @ vectors.T
    one = np.eye(STEPS)
    expected = np.empty(1000)
    for d in range(0, 1000, 5):
        own, wander = float(draws["fund_cost_sd"][d]), float(draws["fund_cost_drift_sd"][d])
        across = found.correlation[d] * own * found.base_sd[d] * one
        cov = np.block(
            [
                [wander**2 * remembered + own**2 * one, across],
                [across, found.base_drift_sd[d] ** 2 * remembered + found.base_sd[d] ** 2 * one],
            ]
        )
        linear = [draws[f"fund_{name}"][d] for name in ("income_elasticity", "cost_surprise", "cost_drift")]
        gap = found.cost_step[d] - linear[0] * found.growth[d] - linear[1] * found.surprise - linear[2]
        toward = np.concatenate([wander**2 * remembered[-1], np.zeros(STEPS)])
        expected[d] = toward @ np.linalg.solve(cov, np.concatenate([gap, found.base_gap[d]]))
    error = (draws["fund_cost_drift_end"] - expected)[::5]
    assert error.std() > 0.002
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))


def test_priors_that_no_draws_can_be_carried_to_are_refused():
    check_priors({"fund": PRIORS, "theory_trend": TREND})
    with pytest.raises(FaultyInput, match=r"theory_trend.cost_drift: found Gamma; allowed: Normal, Fixed"):
        check_priors({"theory_trend": {"cost_drift": {"distribution": "Gamma", "alpha": 1.0, "beta": 1.0}}})


# --- averaging --------------------------------------------------------------------------------------------------------
def test_every_stretch_of_draws_holds_each_theory_in_proportion():
    whose = assigned({"a": 0.5, "b": 0.2, "c": 0.3}, 4000)
    for part in (whose, whose[:500], whose[3000:]):
        assert np.bincount(part, minlength=3) / len(part) == pytest.approx([0.5, 0.2, 0.3], abs=0.01)
    assert assigned({"a": 0.0, "b": 1.0}, 50).tolist() == [1] * 50


def test_averaged_draws_come_from_their_theorys_rows():
    posterior = {"x": np.arange(10.0), "y": 100.0 + np.arange(10.0)}
    theories = {"other": {ROWS: np.arange(10)[::-1], "y": np.full(10, -1.0)}}
    found = averaged(posterior, theories, {OPEN: 0.5, "other": 0.5})
    other = assigned({OPEN: 0.5, "other": 0.5}, 10) == 1
    assert 0 < other.sum() < 10
    assert found["x"].tolist() == np.where(other, np.arange(10)[::-1], np.arange(10)).tolist()
    assert found["y"].tolist() == np.where(other, -1.0, 100.0 + np.arange(10)).tolist()


def test_stored_and_read_again_theories_are_the_same():
    theories = {"a": {ROWS: np.arange(3), "fund_x": np.ones(3)}}
    stored = {"fund_y": np.zeros(3)} | {name: values for name, (_, values) in stored_theories(theories).items()}
    posterior, found = parted(stored)
    assert list(posterior) == ["fund_y"]
    assert found.keys() == theories.keys()
    assert found["a"][ROWS].tolist() == [0, 1, 2]


def test_stacking_finds_the_theory_that_is_right_and_averages_two_halves():
    rng = np.random.default_rng(3)
    outcomes = list(100.0 + 3.0 * rng.standard_normal(300))
    right = [100.0 + 3.0 * rng.standard_normal(400) for _ in outcomes]
    high = [draws + 20.0 for draws in right]
    years = list(range(300))
    weights = stacked_weights({"right": right, "high": high}, outcomes, years, years)
    assert weights["right"] > 0.97
    # Neither alone holds what comes half the time from each.
    both = [value + (20.0 if i % 2 else 0.0) for i, value in enumerate(outcomes)]
    weights = stacked_weights({"right": right, "high": high}, both, years, years)
    assert weights["right"] == pytest.approx(0.5, abs=0.06)
    assert sum(weights.values()) == pytest.approx(1.0)


def test_distances_are_those_of_all_pairs_but_a_draw_with_itself():
    one, other = np.array([1.0, 4.0, 2.0]), np.array([0.0, 1.0, 5.0])
    told = distances({"one": [one], "other": [other]}, [2.0])
    # Halves: 0.5, 2, 1 and 0, 0.5, 2.5, from 1.
    assert told.off[0] == pytest.approx([(0.5 + 1.0 + 0.0) / 3, (1.0 + 0.5 + 1.5) / 3])
    (apart,) = told.apart
    assert apart[0, 0] == pytest.approx((1.5 + 0.5 + 1.0) / 3)
    assert apart[1, 1] == pytest.approx((0.5 + 2.5 + 2.0) / 3)
    across = [abs(a - b) / 2.0 for i, a in enumerate(one) for j, b in enumerate(other) if i != j]
    assert apart[0, 1] == apart[1, 0] == pytest.approx(np.mean(across))
    assert told.crps({"one": 1.0}) == pytest.approx(0.5 - 0.5)
    assert told.crps({"one": 0.5, "other": 0.5}) == pytest.approx(
        0.75 - 0.125 * (apart[0, 0] + apart[1, 1] + 2 * apart[0, 1])
    )


def test_two_theories_of_one_law_are_no_better_than_one():
    """Were the distance of a draw to itself counted, mixing would seem to gain by it: with six draws, 8%."""
    rng = np.random.default_rng(5)
    outcomes = list(100.0 + rng.standard_normal(2000))
    one, other = ([100.0 + rng.standard_normal(6) for _ in outcomes] for _ in range(2))
    told = distances({"one": one, "other": other}, outcomes)
    assert told.crps({"one": 0.5, "other": 0.5}) == pytest.approx(told.crps({"one": 1.0}), rel=0.03)


def test_outcomes_that_overlap_do_not_settle_what_as_many_apart_would():
    """A theory a little nearer in every year: many years tell it, a few years seen from many origins do not."""
    rng = np.random.default_rng(8)

    def weighed(targets: list[int]) -> dict[str, float]:
        came = dict(zip(sorted(set(targets)), 100.0 + 3.0 * rng.standard_normal(len(set(targets))), strict=True))
        outcomes = [came[year] for year in targets]
        own = {name: [100.0 + shift + 3.0 * rng.standard_normal(200) for _ in targets]
               for name, shift in (("near", 0.0), ("off", 4.0))}  # fmt: skip
        return stacked_weights(own, outcomes, list(range(len(targets))), targets)

    assert weighed(list(range(60)))["near"] > 0.9
    shared = [weighed([year for year in range(3) for _ in range(20)])["near"] for _ in range(8)]
    assert np.mean(shared) < 0.9
    assert np.ptp(shared) > 0.2


def test_the_weights_are_those_of_the_least_crps_where_outcomes_are_many():
    rng = np.random.default_rng(9)
    outcomes = list(100.0 + 3.0 * rng.standard_normal(400))
    forecasts = {name: [100.0 + shift + 2.0 * rng.standard_normal(40) for _ in outcomes]
                 for name, shift in (("low", -3.0), ("high", 3.0), ("far", 9.0))}  # fmt: skip
    years = list(range(400))
    weights, told = stacked_weights(forecasts, outcomes, years, years), distances(forecasts, outcomes)
    grid = [{"low": a / 20, "high": b / 20, "far": (20 - a - b) / 20} for a in range(21) for b in range(21 - a)]
    assert told.crps(weights) <= min(map(told.crps, grid)) + 1e-5
    assert weights == stacked_weights(forecasts, outcomes, years, years)


def test_few_outcomes_weigh_nothing():
    draws = [np.full(5, 1.0)] * (LEAST_OUTCOMES - 1)
    years = list(range(LEAST_OUTCOMES - 1))
    assert stacked_weights({"a": draws, "b": draws}, [1.0] * len(years), years, years) == {"a": 0.5, "b": 0.5}


def test_weights_go_with_a_sentence():
    names = [OPEN, "theory_trend"]
    assert weighting(names, None).remark == UNWEIGHED
    few = weighting(names, {"weights": {"theory_trend": 1.0}, "outcomes": LEAST_OUTCOMES - 1})
    assert (few.remark, few.weights) == (UNWEIGHED, {OPEN: 0.5, "theory_trend": 0.5})
    judged = weighting(
        names, {"weights": {"theory_trend": 0.3, "theory_income": 0.4, OPEN: 0.3}, "outcomes": LEAST_OUTCOMES}
    )
    assert judged.remark == WEIGHED
    assert judged.weights == pytest.approx({OPEN: 0.5, "theory_trend": 0.5})
    alone = weighting(names, None, "theory_trend")
    assert alone.weights == {"theory_trend": 1.0}
    assert alone.remark.startswith("Growth of cost: a trend of its own")
    with pytest.raises(ForecasterError, match=r"theory 'trend' is not one of this fit's; it holds theory_open"):
        weighting(names, None, "trend")


def test_an_origin_is_weighed_by_outcomes_of_its_time_only():
    years = np.arange(2001, 2031)
    outcomes = pd.DataFrame({"line": "outgo", "year": years, "value": 100.0, "kind": "published"})
    scales, seen = Scales(outcomes), {}
    for origin in range(2000, 2015):
        lines = {
            name: {"outgo": np.full((10, 50), level) + np.linspace(-1, 1, 50), "income": np.full((10, 50), level)}
            for name, level in ((OPEN, 130.0), ("theory_trend", 100.0))
        }
        draws = {f"{question}.{name}": lines[name] for question in ("forecast", "model") for name in lines}
        found = scales.averaged(origin, draws | {"drift": {"outgo": np.ones((10, 50))}})
        assert set(found) == {"forecast", "model", "drift"}
        seen[origin] = found["forecast"]["outgo"].mean()
    # Ten outcomes are known at the end of 2004 (4 + 3 + 2 + 1): only then do the weights leave the middle.
    assert [seen[year] for year in range(2000, 2004)] == pytest.approx([115.0] * 4, abs=0.7)
    assert [seen[year] for year in range(2004, 2015)] == pytest.approx([100.0] * 11, abs=0.7)
    learnt = scales.learnt()
    assert learnt["weights"]["theory_trend"] == pytest.approx(1.0)
    assert learnt["outcomes"] == 150
    assert learnt["crps"]["theory_trend"] < learnt["crps"]["equal"] < learnt["crps"][OPEN]
    assert learnt["origins"]["2003"] == {"weights": {OPEN: 0.5, "theory_trend": 0.5}, "outcomes": 6}
    kept = scales.kept()
    assert list(kept) == ["origin", "target", "actual", OPEN, "theory_trend"]
    first = kept[(kept["origin"] == 2003) & (kept["target"] == 2005)]
    assert first["theory_trend"].to_numpy() == pytest.approx(100.0 + np.linspace(-1, 1, 50))
    assert Scales(outcomes).learnt() is None
    assert Scales(outcomes).kept().empty


def test_a_theory_that_is_missing_at_some_origins_is_weighed_by_the_others_and_one_seldom_told_weighs_nothing():
    outcomes = pd.DataFrame({"line": "outgo", "year": np.arange(2001, 2031), "value": 100.0, "kind": "published"})
    scales = Scales(outcomes)
    for origin in range(2000, 2012):
        levels = {OPEN: 130.0, "theory_trend": 100.0, "theory_income": 120.0}
        if origin == 2001:
            del levels["theory_trend"]
        if origin < 2010:
            del levels["theory_income"]
        draws = {f"{question}.{name}": {"outgo": np.full((5, 50), level) + np.linspace(-1, 1, 50)}
                 for question in ("forecast", "model") for name, level in levels.items()}  # fmt: skip
        scales.averaged(origin, draws)
    learnt = scales.learnt()
    assert learnt["weights"] == pytest.approx({OPEN: 0.0, "theory_trend": 1.0, "theory_income": 0.0})
    assert learnt["outcomes"] == 55
    assert set(learnt["crps"]) == {OPEN, "theory_trend", "averaged", "equal"}
    assert learnt["origins"]["2011"]["weights"]["theory_income"] == 0.0


def test_an_origin_whose_chains_disagree_weighs_nothing():
    scales = Scales(pd.DataFrame({"line": "outgo", "year": np.arange(2001, 2031), "value": 100.0, "kind": "published"}))
    lines = {"outgo": np.full((5, 50), 100.0)}
    for origin in (2000, 2001, 2002):
        scales.averaged(origin, {f"{question}.{OPEN}": lines for question in ("forecast", "model")}, agreed=False)
    assert scales.learnt()["outcomes"] == 0


# --- the command, on the shipped fit ----------------------------------------------------------------------------------
def run(*words: object):
    return CliRunner(env={"COLUMNS": "240"}).invoke(app, [str(word) for word in words])


def test_theories_are_shown_with_weights_and_the_fund_under_each():
    answer = json.loads(run("theories", "tw_nhi_2g", "--year", 2030, "--draws", 300, "--json").stdout)
    rows = {row["theory"]: row for row in answer["rows"]}
    together = rows.pop("averaged")
    assert sum(row["weight"] for row in rows.values()) == pytest.approx(1.0)
    outgo = [row["outgo"] for row in rows.values() if row["weight"] > 0.0]
    # Other draws of the same futures: a median of three hundred moves by about a percent.
    assert 0.98 * min(outgo) <= together["outgo"] <= 1.02 * max(outgo)
    assert len({row["outgo"] for row in rows.values()}) == len(rows) > 1


def test_one_theory_alone_is_what_the_result_says(tmp_path):
    told = run("project", "tw_nhi_2g", "--horizon", 2030, "--draws", 50, "--theory", "trend", "--out", tmp_path / "a")
    assert told.exit_code == 0, told.output
    assert "a trend of its own, whatever income does" in (tmp_path / "a" / "manifest.json").read_text()
    told = run("project", "tw_nhi_2g", "--horizon", 2030, "--draws", 50, "--theory", "trnd")
    answer = "theory 'theory_trnd' is not one of this fit's; it holds theory_open"
    assert (told.exit_code, answer in " ".join(told.stderr.split())) == (2, True), told.output
    plain = run("theories", "cn_nrcms")
    assert (plain.exit_code, "known by yearly accounts alone" in plain.stderr) == (2, True)
