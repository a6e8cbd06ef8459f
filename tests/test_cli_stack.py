"""``forecaster stack`` and ``forecaster spiral``: what they print and write."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.hashing import sha256

WIDE = {"COLUMNS": "200"}
REFORM = "cn_serious_illness.deductible_income_share=0.25@2023-01-01"


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env=WIDE)


def test_tables_of_a_reform_are_printed_and_written(tmp_path):
    done = run("stack", "cn_residents", "--set", REFORM, "--households", "4000", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    for words in (
        "Who pays what of one person's spending",
        "reform less baseline",
        "Households of the whole nation in percent, rural: reform",
        "both readings of one survey",
        "CN-HER2022_URBRUR",
        "Who is left behind",
        "terms are assumed, not enacted or published",
    ):
        assert words in done.output, words
    folder = tmp_path / "out"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    for name, wanted in manifest["files"].items():
        assert sha256((folder / name).read_bytes()) == wanted
    assert manifest["policies"][1]["changes"] == [REFORM]
    payments = pd.read_csv(folder / "payments.csv")
    sums = payments[payments["band"] == "all ages"].groupby("scenario")["mean"].sum()
    assert sums["baseline"] == pytest.approx(sums["reform"])
    assert sums["difference"] == pytest.approx(0.0, abs=1e-6)
    claims = pd.read_csv(folder / "claims.csv")
    by_claim = claims.groupby(["scenario", "group", "claim"])["paid"].sum().reset_index()
    assert (by_claim["paid"] - by_claim["claim"]).abs().max() < 1e-6
    columns = pd.read_csv(folder / "columns.csv")
    for path in folder.glob("*.csv"):
        if path.stem != "columns":
            told = set(columns[columns["table"] == path.stem]["column"])
            assert set(pd.read_csv(path).columns) == told, path.name


def test_the_same_run_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        assert run("stack", "cn_employees", "--households", "1000", "--out", str(tmp_path / name)).exit_code == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_the_answer_as_json_and_another_order():
    order = (
        "cn_basic_residents,cn_serious_illness,cn_medical_assistance,commercial_supplement,online_mutual_aid,charity"
    )
    arguments = ("--order", order, "--group", "poor", "--covered", "charity", "--households", "0", "--json")
    done = run("stack", "cn_residents", *arguments)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.output)
    assert not answer["legal_order"]
    assert answer["order"][2] == "cn_medical_assistance"
    assert "households" not in answer
    assert answer["claims"]["cn_medical_assistance"][4]["paid"] > 0.0
    assert set(answer["payments"]) == {"baseline", "reform", "difference"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cn_resident",), "Did you mean cn_residents?"),
        (("cn_residents", "--order", "charity"), "name every layer once"),
        (("cn_residents", "--set", "cn_serious_illness.deductible=1@2023-01-01"), "Nearest names: "),
        (
            ("cn_residents", "--set", "share.poor=0.2@2030-01-01"),
            "which changes no payment of 2023",
        ),
        (
            ("cn_residents", "--set", "commercial_supplement.premium=50@2022-01-01"),
            "premiums and administration are",
        ),
        (("cn_residents", "--group", "rich"), "no group 'rich'. Its groups: poor, other"),
        (("cn_residents", "--covered", "cn_medical_assistance"), "name a layer that covers some of"),
        (("cn_residents", "--set", "cn_serious_illness.ceiling=100@2020-01-01"), "layers/cn_serious_illness.toml"),
    ],
)
def test_what_a_user_can_mend_is_told(arguments, words):
    done = run("stack", *arguments, "--households", "0")
    assert done.exit_code == 2
    assert words in done.output + done.stderr
    assert "Traceback" not in done.output


def test_the_spiral_is_told_with_its_published_figures():
    done = run("spiral")
    assert done.exit_code == 0, done.output
    for words in ("published 29.17", "published 91, dated to 2021 by its source", "it is no forecast"):
        assert words in done.output.replace("\n", " ")
    answer = json.loads(run("spiral", "--json").output)
    assert answer["published"]["payments_bn"] == 27.0
    assert answer["path"][-1]["levy"] > answer["path"][0]["levy"]
