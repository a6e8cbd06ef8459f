"""A kept fit sampled again: what counts as the same, and what is told when it is not. The sampler is a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.cli.refit import compared
from forecaster.fitted import load_fit
from forecaster.replay import record_fit
from forecaster.store import Run, open_store


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Run:
    """The shipped fit of the mainland's residents, kept."""
    monkeypatch.setenv("FORECASTER_STORE", str(tmp_path / "kept"))
    fit = load_fit("cn_urrbmi")
    return record_fit(open_store(), fit.pool, fit.folder, "to be proved")


def verified(monkeypatch, run: Run, moved: float = 0.0, **manifest: object):
    """``runs verify --refit`` with a sampler that gives the same draws, one mean moved by so many deviations."""
    asked: dict[str, object] = {}

    def fit_pool(pool, *, out: Path, **settings: object):
        asked.update(settings, pool=pool.name)
        with xr.open_dataset(load_fit("cn_urrbmi").folder / "posterior.nc", engine="scipy") as stored:
            posterior = stored.load()
        growth = posterior["plain_growth"]
        if moved:
            posterior["plain_growth"] = growth + moved * growth.std()
        (out / pool.name).mkdir(parents=True)
        posterior.to_netcdf(out / pool.name / "posterior.nc", engine="scipy")
        return {**run.manifest, **manifest}

    monkeypatch.setattr("forecaster_models.fit.fit_pool", fit_pool)
    return CliRunner().invoke(app, ["runs", "verify", run.short, "--refit", "--json"]), asked


def test_the_same_draws_again_prove_a_fit(kept, monkeypatch):
    result, asked = verified(monkeypatch, kept)
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["recomputed"]["equal"] == found["recomputed"]["variables"] > 30
    assert "equal, draw by draw" in found["recomputed"]["words"]
    assert (asked["pool"], asked["seed"], asked["quick"], asked["priors"]) == (
        "cn_urrbmi",
        kept.manifest["seed"],
        False,
        None,
    )


def test_chance_is_told_apart_from_another_posterior(kept, monkeypatch):
    """Another machine's draws differ by Monte Carlo error: of 2,000 effective ones 0.03 sd; 0.5 is no chance."""
    result, _ = verified(monkeypatch, kept, moved=0.03)
    assert result.exit_code == 0
    assert "mean of plain_growth is furthest off, by 0.03 of its standard deviation" in result.stdout
    result, _ = verified(monkeypatch, kept, moved=0.5)
    assert result.exit_code == 1
    assert "sampled again from the same, another posterior came" in result.stdout


def test_other_inputs_today_are_named_and_are_no_fault(kept, monkeypatch):
    result, _ = verified(monkeypatch, kept, moved=0.5, inputs={**kept.manifest["inputs"], "models": "0" * 64})
    assert result.exit_code == 0
    assert "not from the same: inputs.models differ" in result.stdout


def test_monte_carlo_errors_by_hand():
    rng = np.random.default_rng(1)
    old = {"a": rng.normal(0.0, 2.0, 1000), "b": np.ones(1000), "c": np.zeros((1000, 2)), "gone": np.zeros(1000)}
    new = {"a": old["a"] + 0.5 * old["a"].std(), "b": np.ones(1000), "c": np.zeros((1000, 3))}
    found = compared(old, new, 400.0, 100.0)
    assert (found["variables"], found["equal"], found["variable"], found["lacking"]) == (2, 1, "a", ["c", "gone"])
    assert found["shift"] == pytest.approx(0.5)
    assert found["errors"] == pytest.approx(0.5 / np.sqrt(1 / 400 + 1 / 100))


def test_without_it_is_said_and_other_kinds_are_refused(kept):
    def told(*words: str):
        return CliRunner().invoke(app, ["runs", "verify", *words])

    assert "were not sampled again: --refit does that" in " ".join(told(kept.short).stdout.split())
    assert "name one, as in forecaster runs verify RUN --refit" in told("--refit").stderr
