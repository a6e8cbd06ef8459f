"""The commands that keep, list, prove, promote and prune runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.cli.runs import differing
from forecaster.cli.shared import read_law
from forecaster.errors import ForecasterError
from forecaster.replay import Request, record_projection, stack_files, unpacked
from forecaster.resources import data_dir
from forecaster.store import open_store

COMMITTEE = ("--basis", "tw_nhi_committee_2020")
RATE = ("--set", "general_premium_rate=0.0557@2021-01-01")


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words: object):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def told(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FORECASTER_STORE", str(tmp_path / "kept"))
    monkeypatch.setenv("FORECASTER_WHO", "an actuary")
    return tmp_path / "kept"


def project(why: str, *more: str) -> str:
    return answer("project", "tw_nhi_2g", *COMMITTEE, "--save", why, *more)["saved"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """A store with one kept projection of the law, made once, and its id."""
    folder = tmp_path_factory.mktemp("made") / "kept"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORECASTER_STORE", str(folder))
        patch.setenv("FORECASTER_WHO", "a colleague")
        return folder, project("the law")


@pytest.fixture
def law(made, store) -> str:
    """The id of that projection, in a store of the test's own."""
    shutil.copytree(made[0], store)
    return made[1]


def test_who_only_looks_makes_no_store(store):
    listed = run("runs", "list")
    assert listed.exit_code == 0
    assert "No runs in" in listed.stdout
    assert answer("runs", "list") == []
    for words in (("runs", "verify"), ("runs", "log"), ("report", "official"), ("reconcile", "aaaa", "bbbb")):
        said = " ".join(told(*words).split())
        assert "nothing has been kept in" in said
        assert "--save WHY keeps a run" in said
    assert not store.exists()


def test_from_a_projection_to_a_promoted_baseline(law, tmp_path):
    reform = project("a rise", *RATE)
    listed = answer("runs", "list")
    assert [(r["id"], r["kind"], r["why"], r["who"]) for r in listed] == [
        (reform, "scenario", "a rise", "an actuary"),
        (law, "projection", "the law", "a colleague"),
    ]
    assert run("runs", "promote", law[:10], "official", "--why", "as decided").exit_code == 0
    assert answer("runs", "show", "official")["id"] == law
    assert answer("runs", "list", "--kind", "projection")[0]["names"] == ["official"]
    found = answer("runs", "diff", "official", reform)
    assert found["inputs"]["reform.changes"] == [
        None,
        ["general_premium_rate=0.0557@2021-01-01", "government_floor_share=0@2021-01-01"],
    ]
    assert "forecast.csv" in found["files"]
    shown = run("runs", "show", "official", "--out", tmp_path / "files")
    assert "the law" in shown.stdout
    assert (tmp_path / "files" / "forecast.csv").read_bytes() == open_store().read(
        open_store().find(law), "forecast.csv"
    )
    pruned = run("runs", "prune", "--older-than", "0", "--yes")
    assert "1 runs removed" in pruned.stdout
    assert [r["id"] for r in answer("runs", "list")] == [law]
    assert [entry["action"] for entry in answer("runs", "log")] == ["publish", "publish", "promote", "prune"]
    last = answer("runs", "log")[-1]["hash"]
    proved = run("runs", "verify", "--noted", last).stdout
    assert "all as it was written" in proved
    assert last in proved
    cut = run("runs", "verify", "--noted", "f" * 64)
    assert cut.exit_code == 1
    assert "no line has the hash that was noted: lines at its end were removed" in cut.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("project", "tw_nhi_2g", *COMMITTEE, *RATE),
        (
            "compare",
            "tw_nhi_2g",
            "general_premium_rate=0.05@2021-01-01",
            "general_premium_rate=0.06@2021-01-01",
            *COMMITTEE,
        ),
    ],
    ids=["project", "compare"],
)
def test_what_was_kept_is_computed_again_to_the_same_bytes(words):
    saved = answer(*words, "--save", "to be proved")["saved"]
    found = answer("runs", "verify", saved)
    assert found["faults"] == []
    assert found["recomputed"]["inputs"] == {}
    assert found["recomputed"]["files"] == []
    assert found["recomputed"]["largest"] == 0.0


def test_a_stack_of_ones_own_is_kept_and_unpacked_as_it_was(tmp_path):
    """The stack and its layers, changed ones and shipped ones, without the files that they came from."""
    (tmp_path / "mine").mkdir()
    stack = tmp_path / "mine" / "own_stack.toml"
    shutil.copy(data_dir() / "stacks" / "cn_residents.toml", stack)
    changed = (data_dir() / "layers" / "charity.toml").read_text("utf-8").replace('label = "', 'label = "My own: ', 1)
    (tmp_path / "mine" / "charity.toml").write_text(changed, "utf-8")
    law = read_law("cn_urrbmi", str(stack))
    manifest = {"run_hash": "a", "scheme": {"pool": "cn_urrbmi"}, "reform": None, "backtest": None}
    kept = record_projection(open_store(), law, Request(2030), manifest, {}, why="a test")
    shutil.rmtree(tmp_path / "mine")
    with unpacked(open_store(), kept) as found:
        again = read_law(found.law, found.stack)
    assert again.content_hash == law.content_hash
    assert again.content_hash != read_law("cn_urrbmi").content_hash
    own = replace(law.stack, file=law.stack.file.model_copy(update={"severity": "mine.toml"}))
    with pytest.raises(ForecasterError, match=r"its spending is the file mine\.toml, which a kept run does not hold"):
        stack_files(own)


def test_a_run_without_dictionaries_is_verified_by_its_tables(law):
    """As the dashboard keeps them."""
    store = open_store()
    kept = store.find(law)
    files = {name: store.read(kept, name) for name in kept.files if name not in {"columns.csv", "lines.csv"}}
    bare = store.publish("projection", kept.pool, kept.result, kept.manifest, files, why="of a page")
    found = answer("runs", "verify", bare.short)
    assert (found["faults"], found["recomputed"]["files"]) == ([], [])
    assert "5 of 5 tables equal" in found["recomputed"]["words"]


def test_figures_that_no_longer_come_out_are_a_fault(law):
    store = open_store()
    kept = store.find(law)
    files = {name: store.read(kept, name) for name in kept.files}
    files["forecast.csv"] = files["forecast.csv"].replace(
        b"baseline,reserve,2021,TWD bn,", b"baseline,reserve,2021,TWD bn,9"
    )
    forged = store.publish("projection", kept.pool, kept.result, kept.manifest, files, why="forged")
    result = run("runs", "verify", forged.short)
    assert result.exit_code == 1
    assert "computed again from the same, forecast.csv differ" in result.stdout


def test_other_code_than_then_is_named_and_measured(law, monkeypatch):
    monkeypatch.setattr("forecaster.manifest.code_hash", lambda: "0" * 64)
    result = run("runs", "verify", law)
    assert result.exit_code == 0
    assert "not from the same: code.sha256 differ today. Largest difference of a figure: 0 of" in result.stdout


def test_a_damaged_run_is_neither_verified_nor_promoted(law, store):
    damaged = open_store().find(law).files["forecast.csv"].sha256
    (store / "objects" / damaged[:2] / damaged).write_bytes(b"")
    for words in (("runs", "verify"), ("runs", "verify", law)):
        result = run(*words)
        assert result.exit_code == 1
        assert "forecast.csv is damaged" in result.stdout
    assert "not promoted: run" in told("runs", "promote", law, "official", "--why", "none")


def test_what_cannot_be_is_told(tmp_path):
    open_store()
    assert "no run 'official'" in told("runs", "show", "official")
    assert "there are fit, backtest" in told("runs", "list", "--kind", "guess")
    assert "--save wants a reason" in told("project", "tw_nhi_2g", *COMMITTEE, "--save", " ")
    assert "xlsx, netcdf, zarr, json" in told(
        "project", "tw_nhi_2g", *COMMITTEE, "--also", "pdf", "--out", tmp_path / "x"
    )
    assert "add --out DIR" in told("project", "tw_nhi_2g", *COMMITTEE, "--also", "xlsx")


def test_an_empty_store_says_how_to_fill_it():
    assert "--save WHY keeps one" in run("runs", "list").stdout


def test_manifests_are_compared_entry_by_entry():
    assert differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": None}) == {"a.c": (2, 3)}
