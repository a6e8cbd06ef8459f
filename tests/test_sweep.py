"""Many pools at once: the table against single projections, stopping and going on, a worker that is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster import sweep as room
from forecaster.basis import read_basis
from forecaster.cli import app
from forecaster.cli.sweep import pieces_of, summary
from forecaster.errors import ForecasterError
from forecaster.export import BASELINE, REFORM, forecast_table, probability_table, run_scenarios
from forecaster.fitted import load_fit
from forecaster.fund_stack import law_with_stack
from forecaster.policy import Policy, Reform
from forecaster.pools import find_pool
from forecaster.schemes import load_scheme
from forecaster.sweep import Piece, compute, piece_table, sweep
from sweep_cluster import cluster

RATE = "general_premium_rate=0.0557@2021-01-01"
OUTLOOK = "tw_nhi_committee_2020"


def outlooks(count: int) -> dict[str, object]:
    """A plan of so many pools that share one assumption set."""
    bases = [{"name": f"pool {i}", "law": "tw_nhi_2g", "file": OUTLOOK} for i in range(count)]
    return {"bases": bases, "scenarios": {"higher": [RATE]}}


def pieces(plan: dict[str, object], folder: Path = Path()) -> list[Piece]:
    return pieces_of(plan, folder)


def run(*words: object):
    return CliRunner().invoke(app, ["sweep", *map(str, words)])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# --- the table --------------------------------------------------------------------------------------------------------
def test_a_row_is_what_a_projection_of_that_pool_says():
    """Under a reform of a benefit layer, which the law of the pool alone does not know."""
    layer = "cn_serious_illness.deductible_income_share=0.25@2026-01-01"
    plan = {"pools": ["cn_urrbmi"], "horizon": 2028, "draws": 40, "seeds": [7], "scenarios": {"layer": [layer]}}
    (piece,) = pieces(plan)
    table = piece_table(piece)
    basis = load_fit("cn_urrbmi").basis(2028, 40, seed=7)
    law = law_with_stack(find_pool("cn_urrbmi").law)
    scenarios = run_scenarios(basis, Policy(law), Policy(law, Reform.parse([layer])))
    lines = forecast_table(scenarios).set_index(["scenario", "line", "year"]).sort_index()
    chances = probability_table(scenarios).set_index(["scenario", "year"]).sort_index()
    assert (table["seed"] == 7).all()
    assert (table["draws"] == 40).all()
    for name, theirs in (("law", BASELINE), ("layer", REFORM)):
        ours = table[table["scenario"] == name].set_index("year")
        for column, line, statistic in (
            ("income_mean", "total_income", "mean"),
            ("outgo_mean", "outgo", "mean"),
            ("reserve_q0.1", "reserve", "q0.1"),
            ("reserve_months_q0.9", "reserve_months", "q0.9"),
            ("pay_as_you_go_rate_q0.5", "pay_as_you_go_rate", "q0.5"),
        ):
            assert ours[column].to_numpy() == pytest.approx(lines.loc[(theirs, line), statistic].to_numpy(), rel=1e-12)
        for column in ("below_floor_by_year", "depleted_by_year", "deficit_by_year"):
            assert ours[column].tolist() == chances.loc[theirs, column].tolist()
    gap = table.loc[table["scenario"] == "layer", "reserve_less_law_mean"]
    assert gap.iloc[-1] < 0.0, "a lower deductible costs the fund"
    assert "distribution of spending" in dict(piece.inputs)
    assert load_fit("cn_urrbmi").basis(2028, 40, seed=8).hash != basis.hash


def test_a_scenario_is_held_against_the_law_on_the_same_draws():
    (piece,) = pieces(outlooks(1))
    law, higher = (part for _, part in piece_table(piece).groupby("scenario", sort=False))
    outlook, scheme = read_basis(OUTLOOK), load_scheme("tw_nhi_2g")
    # The assumption set already holds the government's money, so its own change of the law goes before the scenario's.
    taken = dict(piece.scenarios)["law"]
    both = run_scenarios(outlook, Policy(scheme, Reform.parse(taken)), Policy(scheme, Reform.parse([*taken, RATE])))
    gap = both[1].projection.closing[:, 0] - both[0].projection.closing[:, 0]
    assert taken
    assert law["reserve_less_law_mean"].tolist() == [0.0] * len(law)
    assert higher["reserve_less_law_mean"].to_numpy() == pytest.approx(gap)
    assert gap[-1] > 10.0
    assert law["seed"].isna().all()


def test_one_table_with_its_dictionary_comes_out(tmp_path):
    (tmp_path / "plan.toml").write_text(
        f"""
        [[bases]]
        name = "=outlook"
        law = "tw_nhi_2g"
        file = "{OUTLOOK}"
        [scenarios]
        higher = ["{RATE}"]
        late = ["general_premium_rate=0.06@2090-01-01"]
        """,
        encoding="utf-8",
    )
    shown = run(tmp_path / "plan.toml", "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "late leaves the reserve as under the law in: '=outlook" in shown.stdout
    assert "higher leaves" not in shown.stdout
    found = contents(tmp_path / "out")
    table, text = pd.read_parquet(tmp_path / "out/sweep.parquet"), pd.read_csv(tmp_path / "out/sweep.csv")
    assert len(table) == 3 * len(read_basis(OUTLOOK).years)
    assert text["reserve_mean"].tolist() == table["reserve_mean"].tolist()
    assert set(text["pool"]) == {"'=outlook"}, "no live formula"
    told = pd.read_csv(tmp_path / "out/columns.csv").set_index("column")["meaning"]
    assert {*table.columns, "warning"} == set(told.index)
    files = json.loads(found["manifest.json"])["files"]
    assert files == {name: room.sha256(found[name]) for name in files}
    again = run(tmp_path / "plan.toml", "--out", tmp_path / "out", "--json")
    assert json.loads(again.stdout)["found"] == 1
    assert contents(tmp_path / "out") == found


def test_the_summary_keeps_pools_apart_whose_years_follow_each_other():
    """The first pool's last year is the one before the second's first."""
    rows = [("a", None, "law", 2024, 0.1, 5.0), ("a", None, "law", 2025, 0.9, 1.0), ("b", None, "law", 2026, 0.2, 3.0)]
    table = pd.DataFrame(
        rows, columns=["pool", "seed", "scenario", "year", "below_floor_by_year", "reserve_months_q0.5"]
    )
    (told,) = summary(table.assign(reserve_less_law_mean=0.0))
    assert (told["pools"], told["below"], told["months"]) == (2, 1, 2.0)


# --- stopping and going on --------------------------------------------------------------------------------------------
def test_a_stopped_sweep_goes_on_and_gives_the_same_bytes_and_a_grown_plan_computes_only_what_is_new(tmp_path):
    plan = outlooks(4)
    made = pieces(plan)
    sweep(made, tmp_path / "whole", plan, threads=2)

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(made, tmp_path / "stopped", plan, threads=2, told=stop)
    assert contents(tmp_path / "stopped") == {}, "no half table"
    computed = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stopped/parts").glob("*.parquet")}
    assert len(computed) == 2
    swept = sweep(made, tmp_path / "stopped", plan, threads=1)
    assert (swept.computed, swept.found) == (2, 2)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stopped/parts").glob("*.parquet")}
    assert computed.items() <= kept.items(), "what was there was not computed again"
    swept = sweep(pieces(outlooks(5)), tmp_path / "stopped", outlooks(5))
    assert (swept.computed, swept.found) == (1, 4)
    other = {**plan, "scenarios": {"higher": [RATE.replace("557", "560")]}}
    assert not {piece.key for piece in pieces(other)} & {path.split(".")[0] for path in kept}, "all are new"


def test_a_killed_worker_loses_nothing(tmp_path):
    plan = outlooks(5)
    made = pieces(plan)
    sweep(made, tmp_path / "threads", plan)
    ended: list[int] = []
    with cluster() as (address, worker):

        def kill(done: int, of: int) -> None:
            if done == 1:
                worker.kill()
                ended.append(worker.wait())

        swept = sweep(made, tmp_path / "cluster", plan, scheduler=address, told=kill)
    assert ended == [-9], "it was at work until then"
    assert (swept.computed, swept.failed) == (5, {})
    assert contents(tmp_path / "cluster") == contents(tmp_path / "threads")


# --- what is refused --------------------------------------------------------------------------------------------------
def test_a_piece_that_fails_is_named_and_the_others_are_kept(tmp_path):
    plan = outlooks(3)
    good = pieces(plan)
    stale = Piece(**{**good[1].__dict__, "inputs": (("code", "0"), *good[1].inputs[:-1])})
    with pytest.raises(ForecasterError, match=r"pool 1: another code is seen here .* same installation"):
        compute(stale)
    swept = sweep([good[0], stale, good[2]], tmp_path / "out", plan)
    assert list(swept.failed) == ["pool 1"]
    assert contents(tmp_path / "out") == {}
    assert {path.stem for path in (tmp_path / "out/parts").glob("*.parquet")} == {good[0].key, good[2].key}


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("pool = []", "pool: found unknown key; allowed: pools, bases, scenarios, horizon, draws, seeds"),
        ("", "pools, bases: found neither"),
        ('pools = ["nowhere/*"]', "allowed: a shipped pool (cn_nrcms"),
        ('pools = ["cn_urrbmi"]\nhorizon = 2101', "horizon: found 2101; allowed: a whole number to 2100"),
        ('pools = ["cn_urrbmi"]\nhorizon = 2000', "horizon of 2000 lies before it"),
        ('pools = ["cn_nrcms"]', "cn_nrcms was law until 2018-12-31"),
        ('pools = ["cn_urrbmi"]\ndraws = 100000', "100000 draws wanted; the fit holds"),
        ('pools = ["cn_urrbmi"]\nseeds = [1, 1]', "different whole numbers above zero"),
        ('pools = ["tw_nhi"]\n[scenarios]\nlaw = ["x=1@2027-01-01"]', "the law itself comes always"),
        ('pools = ["tw_nhi"]\n[scenarios]\nmore = ["nothing_known"]', "no reform 'nothing_known'"),
        ('pools = ["tw_nhi"]\n[scenarios]\nmore = ["premium=0.1@2027-01-01"]', "scenario more: "),
        ('bases = [{ name = "a", law = "tw_nhi_2g" }]', "tables of name, law, file"),
        (f'bases = [{{ name = "a", law = "cn_urrbmi", file = "{OUTLOOK}" }}]', "found cn_urrbmi has no parameter"),
    ],
)
def test_a_faulty_plan_is_refused_before_any_work(tmp_path, plan, told):
    (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
    result = run(tmp_path / "plan.toml", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_two_pools_of_one_name_are_refused():
    plan = outlooks(1)
    with pytest.raises(ForecasterError, match="pool 0: found two pools of this name"):
        pieces({**plan, "bases": [*plan["bases"], *plan["bases"]]})  # type: ignore[misc]


def test_a_folder_with_other_things_and_a_silent_scheduler_are_refused(tmp_path, monkeypatch):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ForecasterError, match="holds other things and no earlier sweep"):
        sweep(pieces(outlooks(1)), tmp_path, {})
    (tmp_path / "busy").mkdir()

    def meanwhile(done: int, of: int) -> None:
        with pytest.raises(ForecasterError, match=r"another sweep is at work in .*busy; wait for its end"):
            sweep([], tmp_path / "busy", {})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(pieces(outlooks(1)), tmp_path / "busy", {}, told=meanwhile)
    monkeypatch.setattr(room, "CONNECT_S", 0.2)
    with pytest.raises(ForecasterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1.*dask scheduler"):
        sweep(pieces(outlooks(1)), tmp_path / "out", {}, scheduler="tcp://127.0.0.1:1")
