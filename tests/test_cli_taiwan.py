"""The commands ``effects``, ``who-pays`` and ``drivers``: what they print and write, and how they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.basis import Basis
from forecaster.certificate import Record
from forecaster.cli import app
from funds import random_basis

RECORD = Record("backtested", (), ("Refitted from earlier years.",), {"hash": "c" * 64})


def basis_of(horizon: int, draws: int | None = None, options: object = None, **others: object) -> Basis:
    """A random fund that knows its people."""
    n = 600 if draws is None else draws
    basis = random_basis(n, 12).until(horizon if horizon < 2037 else 2037)
    years, rng = len(basis.years), np.random.default_rng(4)
    grown = np.exp(np.cumsum(rng.normal(0.02, 0.01, (years, n)), axis=0))
    people = np.full((years, n), 2.3e7)
    known = {
        "population": people,
        "population_20_to_64": 0.6 * people / grown,
        "share_65_and_over": np.full((years, n), 0.2),
        "need_index": grown,
        "gdp_nominal": 28000.0 * grown**1.5,
    }
    return replace(basis, drivers=known)


@pytest.fixture(autouse=True)
def fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    fit = SimpleNamespace(
        manifest={"pool": "tw_nhi", "hash": "f" * 64, "seed": 7, "quick": False, "inputs": {"models": "m"}},
        priors=None,
        posterior={"fund_tilt": rng.normal(size=600), "fund_log_profile": rng.normal(size=(600, 18))},
        basis=basis_of,
        history=pd.DataFrame(
            [
                {"line": line, "year": year, "q50": 300.0 + year - 1996, "kind": "estimated"}
                for line in ("income", "outgo")
                for year in range(1996, 2026)
            ]
        ),
    )
    monkeypatch.setattr("forecaster.fitted.load_fit", lambda pool, root=None: fit)
    monkeypatch.setattr("forecaster.certificate.read_record", lambda *_: RECORD)


def run(*words: object) -> str:
    result = CliRunner(env={"COLUMNS": "240"}).invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def test_effects_print_official_ours_ratio_and_reason() -> None:
    # Points are not known to this fund, so the two guarantees are refused with the way out.
    assert "knows no points of providers" in refused("effects", "tw_nhi_2g")
    assert "no official effects are known for tw_nhi_1g" in refused("effects", "tw_nhi_1g")


def test_who_pays_tells_all_tables_and_writes_them(tmp_path: Path) -> None:
    reform = ("--set", "grading_ceiling=500000@2027-01-01")
    text = run("who-pays", "tw_nhi_2g", *reform, "--out", tmp_path / "out")
    for words in ("Under the law", "Under the reform", "Paid in 2027", "Income groups in 2027", "Kakwani", "(assumed)"):
        assert words in text, words
    told = json.loads(run("who-pays", "tw_nhi_2g", *reform, "--json"))
    names = ("categories", "groups", "progressivity", "lifetimes", "cohorts")
    assert [len(told[name]) > 0 for name in names] == [True] * 5
    lives = pd.DataFrame(told["lifetimes"]).query("scenario == 'reform' and line == 'net'").set_index("born")
    assert lives.loc[[1940, 2000, 2020], "first"].tolist() == [1995, 2000, 2020]
    assert lives.loc[[1940, 2000], "last"].tolist() == [2037, 2037]
    assert "from 1995 on, when the insurance began" in text
    assert "those of 30 of these 31 years were not found whole" in text
    groups = pd.DataFrame(told["groups"])
    top = groups[groups["group"] == "5 of 5"].set_index("scenario")["general"]
    assert top["reform"] > top["baseline"]
    written = pd.read_csv(tmp_path / "out" / "groups.csv")
    assert written["general"].tolist() == pytest.approx(groups["general"].tolist())
    assert "assumed" in (tmp_path / "out" / "README.txt").read_text("utf-8")
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_what_payers_pay_is_what_the_projection_has() -> None:
    told = pd.DataFrame(json.loads(run("who-pays", "tw_nhi_2g", "--json"))["categories"])
    from forecaster.engine import project
    from forecaster.policy import Policy
    from forecaster.schemes import load_scheme

    paid = project(basis_of(2037), Policy(load_scheme("tw_nhi_2g"))).by_payer()
    sums = told.groupby("payer")["mean"].sum()
    assert {payer: sums[payer] for payer in paid} == pytest.approx({k: v[1].mean() for k, v in paid.items()})


def test_who_pays_refuses_years_out_of_reach_and_idle_levers() -> None:
    assert "--year 2050: the basis covers 2026 to 2037" in refused("who-pays", "tw_nhi_2g", "--year", 2050)
    assert "changes nothing" in refused("who-pays", "tw_nhi_2g", "--set", "grading_top_share_trigger=0.02@2027-01-01")
    assert "not known for the pool cn_uebmi" in refused("who-pays", "cn_uebmi")


def test_drivers_rank_paths_and_quantities() -> None:
    text = run("drivers", "tw_nhi_2g", "--year", 2034, "--top", 1)
    assert "cost beyond need and GDP per head" in text
    assert "knowing everything" in text
    told = json.loads(run("drivers", "tw_nhi_2g", "--year", 2034, "--json"))
    assert len(told["posterior"]) == 2
    assert 0.9 < sum(row["share"] for row in told["paths"]) <= 1.0 + 1e-9
    alone = [row["alone"] for row in told["paths"]]
    assert max(row["worth"] for row in told["paths"]) <= told["worth_of_knowing_everything"]
    assert max(alone) == alone[0] or told["paths"][0]["share"] >= max(alone)
    # Random numbers that made no path have no part in it.
    assert max(row["alone"] for row in told["posterior"]) < 0.05
    assert 0.0 < sum(row["share_of_depletion"] for row in told["paths"]) <= 1.0 + 1e-9
    # Nobody is out of money in the first year: what never happens hangs on nothing.
    soon = json.loads(run("drivers", "tw_nhi_2g", "--year", 2026, "--json"))
    assert {row["share_of_depletion"] for row in soon["paths"]} == {None}
    assert "Below zero by 2026: in none of the futures" in run("drivers", "tw_nhi_2g", "--year", 2026)


def test_drivers_refuse_too_few_draws() -> None:
    assert "50 draws are too few" in refused("drivers", "tw_nhi_2g", "--year", 2034, "--draws", 50)
