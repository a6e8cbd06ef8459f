"""Priors against posteriors, and the futures of either: hand-worked quantiles, made-up models, the shipped fit."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.errors import ForecasterError
from forecaster.fitted import HISTORY_COLUMNS, load_fit
from forecaster.pools import find_pool
from forecaster_models import checks
from forecaster_models.blocks import Block
from forecaster_models.checks import check_table, growth_figures, marginals, prior_draws, prior_table, prior_words
from forecaster_models.fit import pool_blocks, pool_priors
from forecaster_models.priors import DISTRIBUTIONS, draw_prior

PRIORS = {
    "Normal": {"mu": 0.02, "sigma": 0.01},
    "TruncatedNormal": {"mu": 0.2, "sigma": 0.25, "lower": -0.1, "upper": 0.9},
    "HalfNormal": {"sigma": 0.03},
    "LogNormal": {"mu": -4.0, "sigma": 0.3},
    "Gamma": {"alpha": 3.0, "beta": 1000.0},
    "Beta": {"alpha": 3.0, "beta": 2.0},
    "Exponential": {"lam": 50.0},
    "Dirichlet": {"a": [2.0, 3.0, 5.0]},
    "LogisticNormal": {"share": [0.2, 0.3, 0.5], "sigma": [0.5, 0.2, 0.1]},
}


def prior_of(kind: str) -> dict[str, object]:
    return {"distribution": kind, "why": "a test", **PRIORS[kind]}


# --- prior against posterior ------------------------------------------------------------------------------------------
def test_quantiles_of_priors_by_hand():
    (normal,) = marginals(prior_of("Normal"))
    assert normal.ppf([0.05, 0.95]) == pytest.approx([0.02 - 0.0164485, 0.02 + 0.0164485], abs=1e-6)
    (log_normal,) = marginals(prior_of("LogNormal"))
    assert log_normal.ppf([0.5, 0.95]) == pytest.approx([math.exp(-4.0), math.exp(-4.0 + 0.3 * 1.64485)], rel=1e-5)
    (exponential,) = marginals(prior_of("Exponential"))
    assert exponential.ppf(0.5) == pytest.approx(math.log(2) / 50)
    (half,) = marginals(prior_of("HalfNormal"))
    assert half.ppf(0.5) == pytest.approx(0.6744898 * 0.03)
    assert [part.mean() for part in marginals(prior_of("Dirichlet"))] == pytest.approx([0.2, 0.3, 0.5])
    assert marginals({"distribution": "Fixed", "value": 1.0, "why": "a test"}) == []


@pytest.mark.parametrize("kind", [kind for kind in DISTRIBUTIONS if kind != "Fixed"])
def test_the_table_and_the_models_mean_the_same_distribution(kind):
    """Draws of PyMC's own distribution, cut by SciPy's quantiles, fall evenly between them."""
    with pm.Model() as model:
        draw_prior("block", "name", {"name": prior_of(kind)})
    drawn = np.asarray(pm.draw(model["block_name"], draws=2000, random_seed=1, mode="FAST_COMPILE")).reshape(2000, -1)
    for values, marginal in zip(drawn.T, marginals(prior_of(kind)), strict=True):
        shares = np.histogram(marginal.cdf(values), bins=10, range=(0, 1))[0] / 2000
        assert np.abs(shares - 0.1).max() < 4 * math.sqrt(0.1 * 0.9 / 2000)


def test_what_was_learnt_is_the_width_that_is_gone():
    rng = np.random.default_rng(2)
    draws = {
        "fund_same": 0.02 + 0.01 * rng.standard_normal(40_000),
        "fund_half": 0.02 + 0.005 * rng.standard_normal(40_000),
        "fund_moved": 0.045 + 0.001 * rng.standard_normal(40_000),
        "fund_parts": rng.dirichlet([2.0, 3.0, 5.0], 40_000),
    }
    own = {name.removeprefix("fund_"): prior_of("Normal") for name in draws} | {"parts": prior_of("Dirichlet")}
    own["unused"] = prior_of("Gamma")
    table = prior_table({"fund": own}, draws).set_index("name")
    assert list(table.index) == ["same", "half", "moved", "parts[0]", "parts[1]", "parts[2]"]
    assert table.loc["same", "learnt"] == pytest.approx(0.0, abs=0.03)
    assert table.loc["half", "learnt"] == pytest.approx(0.5, abs=0.03)
    assert checks.contradicted(table.reset_index()) == ["fund.moved"]
    assert table.loc["moved", "prior_below"] == pytest.approx(0.9938, abs=0.001)  # 2.5 standard deviations off
    assert table.loc["parts[2]", "posterior_q50"] == pytest.approx(table.loc["parts[2]", "prior_q50"], abs=0.01)
    assert table.loc["same", "prior"] == "Normal(mu=0.02, sigma=0.01)"
    assert prior_words(prior_of("Dirichlet")) == "Dirichlet(a=[2, 3, 5])"


# --- what the model would hand on without data ------------------------------------------------------------------------
def test_prior_draws_know_no_data_and_leave_flat_paths_out():
    priors = {"level": prior_of("Normal"), "rate": prior_of("Normal")}
    with pm.Model() as model:
        path = pm.Flat("fund_path", shape=3)
        level = draw_prior("fund", "level", priors)
        pm.Deterministic("fund_twice", 2.0 * level)
        pm.Deterministic("fund_end", path[-1] + level)
        pm.Deterministic("fund_rate", level * 0.0 + 7.0)  # as if the data had settled what is integrated out
        pm.Normal("seen", level, 0.0001, observed=np.full(50, 5.0))
    block = Block("fund", lambda: model, ("fund_level", "fund_twice", "fund_end", "fund_rate"), ("rate",))
    drawn = prior_draws(block, model, priors, seed=3, draws=800)
    assert set(drawn) == {"fund_level", "fund_twice", "fund_rate"}
    assert np.array_equal(drawn["fund_twice"], 2.0 * drawn["fund_level"])
    for name in ("fund_level", "fund_rate"):
        assert drawn[name].mean() == pytest.approx(0.02, abs=0.0015)
        assert drawn[name].std() == pytest.approx(0.01, abs=0.0012)
    again = prior_draws(block, model, priors, seed=3, draws=800)
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)


# --- futures ----------------------------------------------------------------------------------------------------------
def test_growth_figures_by_hand():
    flow = np.array([[100.0], [110.0], [121.0], [108.9]])
    up, down = math.log(1.1), math.log(0.9)
    found = {name: float(values[0]) for name, values in growth_figures(flow).items()}
    mean = (2 * up + down) / 3
    assert found["mean growth"] == pytest.approx(mean)
    assert found["largest growth"] == pytest.approx(up)
    assert found["smallest growth"] == pytest.approx(down)
    assert found["spread of growth"] == pytest.approx(math.sqrt((2 * (up - mean) ** 2 + (down - mean) ** 2) / 3))


def test_absurd_futures_are_counted_also_when_they_are_no_numbers():
    assert checks.absurd_share(np.array([0.05, -0.03, 0.25, np.nan])) == 0.75
    assert checks.absurd_share(np.array([0.0, 0.19])) == 0.0


def history_of(values: dict[int, float], filled: frozenset[int] = frozenset()) -> pd.DataFrame:
    rows = [
        {"line": line, "year": year, "mean": value, "kind": "estimated" if year in filled else "published"}
        for line in ("income", "outgo")
        for year, value in values.items()
    ]
    return pd.DataFrame(rows).reindex(columns=list(HISTORY_COLUMNS))


@pytest.fixture
def _simple_futures(monkeypatch):
    """In the place of the simulation: outgo and income grow as the draws of ``growth`` say."""

    def futures(pool: object, draws: dict[str, np.ndarray], seed: int) -> dict[tuple[str, str, str], np.ndarray]:
        if np.isnan(draws["growth"]).any():
            raise ForecasterError("no basis")
        years = np.arange(checks.STEPS + 1)[:, None]
        found = growth_figures(100.0 * np.exp(draws["growth"] * years))
        return {(name, line, "a year"): values for line in ("income", "outgo") for name, values in found.items()}

    monkeypatch.setattr(checks, "_futures", futures)


@pytest.mark.usefixtures("_simple_futures")
def test_the_past_counts_only_steps_between_published_figures():
    values = {2000 + i: 100.0 * 1.1**i for i in range(12)}
    values[2006] = 1.0
    draws = {"growth": np.linspace(0.0, 0.2, 101)}
    table, absurd = check_table(
        find_pool("tw_nhi"), draws, {"growth": 3.0 * draws["growth"]}, history_of(values, frozenset({2006})), 1
    )
    row = table.set_index(["quantity", "line"]).loc[("mean growth", "outgo")]
    assert row["past"] == pytest.approx(math.log(1.1), abs=1e-6)
    assert row["past_years"] == "9 steps, 2000-2011"
    assert row["posterior_q50"] == pytest.approx(0.1)
    assert row["prior_q50"] == pytest.approx(0.3)
    assert row["posterior_below_past"] == pytest.approx(48 / 101, abs=1e-6)
    assert absurd["posterior"] == 0.0
    assert absurd["prior"] == pytest.approx(67 / 101)
    few = history_of({year: value for year, value in values.items() if year < 2005})
    table, _ = check_table(find_pool("tw_nhi"), draws, draws, few, 1)
    assert table["past"].isna().all()


@pytest.mark.usefixtures("_simple_futures")
def test_priors_without_any_computable_fund_are_absurd_and_no_crash():
    draws = {"growth": np.full(20, 0.05)}
    table, absurd = check_table(find_pool("tw_nhi"), draws, {"growth": np.full(20, np.nan)}, history_of({}), 1)
    assert absurd == {"posterior": 0.0, "prior": 1.0}
    assert table["prior_q50"].isna().all()
    assert table["posterior_q50"].notna().all()


def test_the_priors_of_a_plain_pool_make_funds_that_can_be_computed(tmp_path):
    """The whole way of a pool that is known by its yearly accounts alone, without a sampler: priors to futures."""
    folder = tmp_path / "kasse"
    assert CliRunner().invoke(app, ["pool", "new", str(folder), "--country", "deu"]).exit_code == 0
    lines, reserve = ["year,income,outgo,reserve,rate,note"], 20.0
    for year in range(2005, 2020):
        income, outgo = 100.0 * 1.03 ** (year - 2005), 99.0 * 1.03 ** (year - 2005)
        reserve += income - outgo
        lines.append(f"{year},{income:.4f},{outgo:.4f},{reserve:.4f},0.146,")
    (folder / "accounts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pool = find_pool(folder)
    priors, drawn = pool_priors(pool), {}
    for block in pool_blocks(pool):
        drawn |= prior_draws(block, block.build(), priors[block.name], seed=5, draws=200)
    growth = priors["plain"]["growth"]
    # Integrated out by the model, yet its draws are the prior's own and not what the accounts say.
    assert drawn["plain_growth"].std() == pytest.approx(growth["sigma"], rel=0.2)
    values = {year: 100.0 * 1.03 ** (year - 2005) for year in range(2005, 2020)}
    table, absurd = check_table(pool, drawn, drawn, history_of(values), 1)
    found = table.set_index(["quantity", "line"])
    assert found.loc[("mean growth", "outgo"), "past"] == pytest.approx(math.log(1.03), abs=1e-6)
    assert (found["prior_q5"] <= found["prior_q50"]).all()
    assert 0.0 <= absurd["prior"] == absurd["posterior"] < 0.2


def test_the_shipped_fit_tells_what_it_learnt():
    fit = load_fit("tw_nhi")
    learnt, table = fit.table("priors"), fit.table("checks")
    assert learnt is not None
    assert table is not None
    assert tuple(learnt.columns) == checks.PRIOR_COLUMNS
    assert tuple(table.columns) == checks.CHECK_COLUMNS
    priors = pool_priors(fit.pool)
    assert set(learnt["block"]) == set(fit.manifest["blocks"])
    shown = set(zip(learnt["block"], learnt["name"].str.partition("[")[0], strict=True))
    assert all(name in priors[block] for block, name in shown)
    # What no data can inform keeps its prior.
    kept = learnt.set_index(["block", "name"])["learnt"]
    for block, name in (("mortality", "regime_shift"), ("fertility", "regime_shift"), ("migration", "policy_shift")):
        assert abs(kept[block, name]) < 0.1
    assert fit.manifest["absurd_futures"]["posterior"] < 0.02
    assert fit.manifest["absurd_futures"]["prior"] < 0.10
