"""What moved a result: steps named for what changed, summing exactly, hand-worked where they can be."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.cli.fit import against_previous, learnt_before, print_moved
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.fitted import Fit, load_fit
from forecaster.pictures import waterfall_chart
from forecaster.policy import Policy
from forecaster.pools import find_pool
from forecaster.reconcile import (
    FIRST,
    MEASURES,
    SECOND,
    Leg,
    World,
    basis_step,
    experience,
    largest_gap,
    reconcile,
    waterfall,
)
from forecaster.resources import data_dir
from forecaster.theories import Weighting

YEARS = [2026, 2027]


def world(reserve: float, below: float = 0.1, years: list[int] | None = None) -> World:
    """A result whose reserve is that in the first year and twice that in the next."""
    years = years or YEARS
    lines = {line for line, _ in MEASURES.values() if line}
    forecast = pd.DataFrame(
        [
            {"line": line, "year": year, "mean": reserve * (i + 1), "q0.5": reserve * (i + 1)}
            for line in sorted(lines)
            for i, year in enumerate(years)
        ]
    )
    chances = pd.DataFrame({"year": years, "below_floor_by_year": below, "depleted_by_year": below / 2})
    return World(forecast, chances)


def values(table: pd.DataFrame, measure: str, year: int) -> dict[str, float]:
    found = table[(table["measure"] == measure) & (table["year"] == year)]
    return dict(zip(found["step"], found["value"], strict=True))


def test_steps_are_the_differences_between_neighbours():
    leg = Leg((world(100.0), world(101.0), world(90.0), world(95.0), world(96.0)), ("model", "data", "law", "model"))
    table = reconcile([leg])
    # The engine's change stands on both ends: 101 - 100 and 96 - 95.
    assert values(table, "reserve", 2026) == {FIRST: 100.0, "data": -11.0, "law": 5.0, "model": 2.0, SECOND: 96.0}
    assert values(table, "reserve", 2027)["data"] == -22.0
    assert list(values(table, "outgo", 2026)) == [FIRST, "data", "law", "model", SECOND]
    assert largest_gap(table) < 1e-12


def test_legs_are_joined_and_only_shared_years_shown():
    first = Leg((world(100.0), world(110.0)), ("assumptions",))
    second = Leg((world(110.0), world(107.0, years=[2027, 2028])), ("data",))
    table = reconcile([first, second])
    assert set(table["year"]) == {2027}
    assert values(table, "reserve", 2027) == {FIRST: 200.0, "data": -113.0, "assumptions": 20.0, SECOND: 107.0}
    with pytest.raises(ForecasterError, match="share no projected year"):
        reconcile([Leg((world(1.0), world(1.0, years=[2040])), ("data",))])


INPUTS = {"observations": "a", "demography": "a", "priors": "a", "own_priors": "a", "schemes": "a", "models": "a"}


@pytest.mark.parametrize(
    ("changed", "step"),
    [
        ((), "sampling"),
        (("observations",), "data"),
        (("demography",), "data"),
        (("own_priors",), "assumptions"),
        (("models",), "model"),
        (("schemes",), "law"),
        (("models", "priors", "observations"), "data + assumptions + model"),
    ],
)
def test_a_change_of_basis_is_named_for_what_the_fits_were_made_from(changed, step):
    after = {"inputs": {**INPUTS, **dict.fromkeys(changed, "b")}}
    assert basis_step({"inputs": INPUTS}, after) == step


def test_a_basis_written_by_hand_is_an_assumption():
    assert basis_step(None, {"inputs": INPUTS}) == "assumptions"


def test_bars_hang_together():
    leg = Leg((world(100.0), world(90.0), world(95.0)), ("data", "law"))
    bars = waterfall(reconcile([leg]), "reserve", 2026).to_dict("records")
    assert [(bar["step"], bar["start"], bar["end"]) for bar in bars] == [
        (FIRST, 0.0, 100.0),
        ("data", 100.0, 90.0),
        ("law", 90.0, 95.0),
        (SECOND, 0.0, 95.0),
    ]


def test_figures_of_bars_have_no_exponent():
    leg = Leg((world(-30749.0), world(-20055.3), world(1419.4)), ("data", "law"))
    chart = waterfall_chart(waterfall(reconcile([leg]), "reserve", 2026), "a title")
    assert [row["shown"] for row in chart["data"]["values"]] == ["-30,749", "+10,694", "+21,475", "1,419"]


def test_what_came_is_held_against_the_first_runs_band():
    forecast = pd.DataFrame(
        {
            "scenario": ["baseline", "baseline", "reform"],
            "line": ["outgo", "total_income", "outgo"],
            "year": [2026, 2026, 2026],
            "q0.1": [90.0, 80.0, 0.0],
            "q0.5": [100.0, 85.0, 0.0],
            "q0.9": [110.0, 90.0, 0.0],
        }
    )
    found = experience(forecast, [("outgo", 2026, 111.0), ("income", 2026, 90.0), ("outgo", 2025, 5.0)])
    assert found[["line", "came", "within"]].to_numpy().tolist() == [["outgo", 111.0, False], ["income", 90.0, True]]


def fitted(folder: Path, identity: str, medians: dict[str, float], accepted: bool = True) -> Path:
    """What of a fit's folder tells what it has learnt: an 90% interval of one either way."""
    folder.mkdir(exist_ok=True)
    rows = [("fund", name, m - 1.0, m, m + 1.0) for name, m in medians.items()]
    columns = ["block", "name", "posterior_q5", "posterior_q50", "posterior_q95"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "priors.csv", index=False)
    (folder / "manifest.json").write_text(json.dumps({"hash": identity, "accepted": accepted}))
    return folder


def test_the_fit_before_is_the_check_of_a_refit(tmp_path, capsys):
    assert learnt_before(tmp_path / "none") is None
    assert learnt_before(fitted(tmp_path / "rejected", "r", {"a": 0.0}, accepted=False)) is None
    before = learnt_before(fitted(tmp_path / "fit", "old", {"a": 0.0, "b": 5.0, "c": 1.0, "gone": 1.0}))
    after = fitted(tmp_path / "fit", "new", {"a": 0.9, "b": 3.0, "c": 2.5, "came": 1.0})
    found = against_previous(before, after)
    assert found is not None
    assert (found["fit"], found["parameters"]) == ("old", 3)
    # The interval of two is 3.29 standard deviations wide: b moved by 2, c by 1.5, a by 0.9 and stayed inside.
    assert [(row["name"], round(row["moved"], 2)) for row in found["outside"]] == [("b", -3.29), ("c", 2.47)]
    print_moved(found)
    told = capsys.readouterr().out
    assert "Against the fit before (old): 2 of 3 parameters lie outside its 90% interval." in told
    assert "That is more: the two fits disagree. Look at the figures that came since" in told
    assert "- fund b: 5 -> 3 (-3.3 of its standard deviations)" in told
    assert against_previous(learnt_before(after), after) is None, "the same fit"
    (after / "priors.csv").write_text("block,name\nfund,a\n")
    assert learnt_before(after) is None, "of another version"
    (after / "manifest.json").write_text("[]")
    assert learnt_before(after) is None


# --- the command ------------------------------------------------------------------------------------------------------
def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keeps a projection of the committee's basis; its id."""
    monkeypatch.setenv("FORECASTER_STORE", str(tmp_path / "kept"))

    def keep(*more: str) -> str:
        result = run("project", "tw_nhi_2g", *more, "--save", "a try", "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["saved"]

    return keep


def dearer_basis(folder: Path) -> Path:
    """The committee's basis with ten thousand millions more of outlay."""
    text = (data_dir() / "bases" / "tw_nhi_committee_2020.toml").read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("outlay"))
    amount = float(line.partition("=")[2].split("#")[0].strip(" []"))
    path = folder / "dearer.toml"
    path.write_text(text.replace(line, f"outlay = [{amount + 10.0}]"), "utf-8")
    return path


def test_assumptions_and_law_are_told_apart_to_the_last_digit(tmp_path, kept):
    first = kept("--basis", "tw_nhi_committee_2020")
    rate = "general_premium_rate=0.0557@2021-01-01"
    second = kept("--basis", str(dearer_basis(tmp_path)), "--set", rate)
    result = run("reconcile", first, second, "--json", "--out", tmp_path / "moved")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    steps = {(s["measure"], s["step"]): s["value"] for s in answer["steps"] if s["year"] == 2021}
    assert steps["outgo", "assumptions"] == pytest.approx(10.0, abs=1e-9)
    assert steps["outgo", "law"] == 0.0
    assert steps["total_income", "law"] > 30.0
    assert {step for _, step in steps} == {FIRST, "assumptions", "law", SECOND}
    for measure in MEASURES:
        parts = sum(steps[measure, step] for step in ("assumptions", "law"))
        assert steps[measure, FIRST] + parts == pytest.approx(steps[measure, SECOND], abs=1e-9)
    made = {path.name for path in (tmp_path / "moved").iterdir()}
    assert {"reconciliation.csv", "waterfall.csv", "reserve.svg", "manifest.json"} <= made
    told = pd.read_csv(tmp_path / "moved" / "columns.csv")
    for name in ("reconciliation", "waterfall", "came"):
        written = pd.read_csv(tmp_path / "moved" / f"{name}.csv")
        assert list(written.columns) == told.loc[told["table"] == name, "column"].tolist()
    assert "<svg" in (tmp_path / "moved" / "reserve.svg").read_text("utf-8")


def test_other_weights_of_theories_are_a_step_of_their_own(kept, monkeypatch):
    """The second run is kept after a backtest that believes in one theory alone, under another rate."""
    asked = ("--horizon", "2028", "--draws", "20")
    first = kept(*asked)
    held = load_fit("tw_nhi").weighting()
    alone = Weighting({name: float(name == "theory_trend") for name in held.weights}, "another record")
    monkeypatch.setattr(Fit, "weighting", lambda self, theory=None: alone)
    rate = "general_premium_rate=0.06@2027-01-01"
    second = kept(*asked, "--set", rate)
    result = run("reconcile", first, second, "--json")
    assert result.exit_code == 0, result.output
    steps = {(s["measure"], s["step"]): s["value"] for s in json.loads(result.stdout)["steps"] if s["year"] == 2028}
    assert {step for _, step in steps} == {FIRST, "weights of theories", "law", SECOND}
    law = Policy(find_pool("tw_nhi").law)
    before, after = (
        project(load_fit("tw_nhi").basis(2028, 20, weighed=w), law).outgo[-1].mean() for w in (held, alone)
    )
    assert steps["outgo", "weights of theories"] == pytest.approx(after - before, rel=1e-9)
    assert abs(after - before) > 0.01
    for measure in MEASURES:
        parts = steps[measure, "weights of theories"] + steps[measure, "law"]
        assert steps[measure, FIRST] + parts == pytest.approx(steps[measure, SECOND], abs=1e-9)
    # The first run still comes out as it was kept, though the backtest has changed.
    assert run("runs", "verify", first).exit_code == 0


def test_the_same_run_twice_moves_nothing(kept):
    saved = kept("--basis", "tw_nhi_committee_2020")
    result = run("reconcile", saved, saved)
    assert result.exit_code == 0
    assert "assumptions" not in result.stdout
    assert "largest rounding 0.0e+00" in result.stdout


def test_one_run_is_too_few(kept):
    saved = kept("--basis", "tw_nhi_committee_2020")
    result = run("reconcile", saved)
    assert result.exit_code == 2
    assert "wants two runs" in result.stderr
