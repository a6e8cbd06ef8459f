"""The command line: what it says, what it writes, how it refuses, and that it stays light."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.certificate import Record
from forecaster.cli import app
from forecaster.cli import dashboard as dashboard_module
from forecaster.cli.check import probe_basis, read_parameters
from forecaster.cli.dashboard import SETTINGS, check_port, dashboard_script, streamlit_command
from forecaster.cli.shared import in_futures
from forecaster.errors import ForecasterError
from forecaster.observations import list_sources
from forecaster.resources import data_dir
from forecaster.schemes import load_scheme
from funds import random_basis
from ports import free_port

RATES = [
    "--set",
    "general_premium_rate=0.0557@2027-01-01",
    "--set",
    "supplementary_premium_rate=0.025@2027-01-01",
]
TABLES = ("forecast", "probabilities", "first_years", "valuation", "required_rates")
COMMITTEE = ["--basis", "tw_nhi_committee_2020"]
BASIS = """
label = "three years of our own"
years = [2026, 2027, 2028]
opening_reserve = 180.0
general_base = [13600.0, 14000.0, 14400.0]
outlay = [930.0, 975.0, 1020.0]
reference_dependants = 0.56
assumptions = ["wages grow by 3% a year"]

[category_mix]
c12 = 0.7
c62 = 0.3

[supplementary_base]
dividends = [420.0, 440.0, 460.0]

[other_income]
all = 20.0
"""


RECORD = Record("backtested", (), ("Refitted from earlier years.", "80% band 8 of 10 (80%)."), {"hash": "c" * 64})


class Fit:
    """Stands for a stored fit: the basis is the tests' random fund."""

    def __init__(self):
        self.priors = None
        self.manifest = {"pool": "tw_nhi", "hash": "f" * 64, "seed": 7, "quick": False, "inputs": {"models": "m"}}

    def basis(self, horizon, draws=None, options=None, theory=None, weighed=None):
        return random_basis(100 if draws is None else draws, 35).until(horizon)


@pytest.fixture
def fitted(monkeypatch):
    monkeypatch.setattr("forecaster.fitted.load_fit", lambda pool, root=None: Fit())
    monkeypatch.setattr("forecaster.certificate.read_record", lambda *_: RECORD)


@pytest.fixture
def own_basis(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(BASIS, "utf-8")
    return path


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def told(*words: object) -> str:
    """What a refused command says: plain words on standard error, nothing on standard output, exit code 2."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def answer(*words: object):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- help -------------------------------------------------------------------------------------------------------------
def test_help_lists_the_commands_and_loads_nothing_heavy(repository):
    code = (
        "import sys\n"
        "sys.argv = ['forecaster', '--help']\n"
        "from forecaster.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert {"project", "solve", "check", "sources", "fit", "backtest", "dashboard"} <= set(done.stdout.split())
    loaded = set(done.stderr.split())
    assert "forecaster.cli" in loaded
    heavy = {"numpy", "pandas", "scipy", "xarray", "numba", "pyarrow", "pydantic", "pymc", "arviz", "streamlit", "rich"}
    assert loaded & heavy == set()


@pytest.mark.parametrize("command", ["project", "compare", "solve", "check", "sources", "fit", "backtest", "dashboard"])
def test_every_command_has_help(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_version():
    import forecaster

    assert run("--version").stdout.strip() == forecaster.__version__


def test_an_unknown_command_is_answered_with_the_nearest():
    assert "'project'" in told("projet")


# --- project ----------------------------------------------------------------------------------------------------------
def test_project_writes_the_tables_and_the_manifest(fitted, tmp_path):
    out = tmp_path / "result"
    result = run("project", "tw_nhi_2g", "--horizon", 2040, *RATES, "--out", out)
    assert result.exit_code == 0, result.output
    files = contents(out)
    expected = {f"{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")}
    assert set(files) == expected | {"columns.csv", "lines.csv", "README.txt", "manifest.json"}
    forecast = pd.read_csv(out / "forecast.csv")
    assert set(forecast["scenario"]) == {"baseline", "reform", "difference"}
    assert forecast["year"].agg(["min", "max"]).tolist() == [2026, 2040]
    manifest = json.loads(files["manifest.json"])
    assert manifest["fit"] == {"sha256": "f" * 64, "seed": 7, "quick": False}
    assert manifest["reform"]["changes"] == [RATES[1], RATES[3]]
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    assert manifest["run_hash"] in result.stdout
    assert manifest["run_hash"] in files["README.txt"].decode()
    assert os.listdir(tmp_path) == ["result"]


def test_the_summary_speaks_in_frequencies(fitted):
    result = run("project", "tw_nhi_2g", *RATES)
    words = " ".join(result.stdout.split())
    assert "100 simulated futures" in words
    assert "Under the law the reserve falls below one month by 2060 in" in words
    assert "Under the reform the reserve" in words
    assert "of 100" in words
    assert "80% band" in words
    assert "everything in it is made up" in words
    assert "General premium rate: required from 2027-01-01 on" in words


@pytest.mark.parametrize(
    ("share", "draws", "words"),
    [
        (0.0, 4000, "0 of 100"),
        (0.001, 4000, "under 1 of 100"),
        (0.17, 4000, "17 of 100"),
        (0.999, 4000, "over 99 of 100"),
        (1.0, 4000, "100 of 100"),
        (1.0, 1, "yes"),
        (0.0, 1, "no"),
    ],
)
def test_chances_are_not_rounded_to_certainty(share, draws, words):
    assert in_futures(share, draws) == words


def test_json_and_tables_say_the_same(fitted, tmp_path):
    found = answer("project", "tw_nhi_2g", *RATES, "--out", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "forecast.csv").set_index(["scenario", "line", "year"])
    chances = pd.read_csv(tmp_path / "out" / "probabilities.csv").set_index(["scenario", "year"])
    for scenario in ("baseline", "reform"):
        months = [table.loc[(scenario, "reserve_months", year), "q0.1"] for year in found["years"]]
        np.testing.assert_allclose(found["reserve_months"][scenario]["q0.1"], months, rtol=1e-12)
        depleted = [chances.loc[(scenario, year), "depleted_by_year"] for year in found["years"]]
        np.testing.assert_allclose(found["probabilities"][scenario]["depleted_by_year"], depleted)
    assert found["years"][0] == 2026
    assert found["years"][-1] == 2060
    assert {row["through_year"] for row in found["required_rates"]} == {2030, 2035}


def test_without_a_reform_only_the_law_is_projected(fitted, tmp_path):
    found = answer("project", "tw_nhi_2g", "--out", tmp_path / "out")
    assert set(found["probabilities"]) == {"baseline"}
    assert set(pd.read_csv(tmp_path / "out" / "forecast.csv")["scenario"]) == {"baseline"}


def test_quiet_prints_nothing(fitted, tmp_path):
    result = run("project", "tw_nhi_2g", "--quiet", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert result.output == ""


def test_fewer_draws(fitted):
    assert answer("project", "tw_nhi_2g", "--draws", 30)["draws"] == 30
    assert "basis file is one path" in told("project", "tw_nhi_2g", *COMMITTEE, "--draws", 30)


def test_two_processes_with_other_hash_seeds_write_the_same_bytes(own_basis, tmp_path, repository):
    words = ["project", "tw_nhi_2g", "--basis", own_basis, *RATES, "--quiet", "--out"]
    assert run(*words, tmp_path / "here").exit_code == 0
    subprocess.run(
        [sys.executable, "-m", "forecaster", *map(str, words), str(tmp_path / "there")],
        cwd=repository,
        env=os.environ | {"PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"},
        check=True,
    )
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert len(contents(tmp_path / "here")) == 14


def test_a_folder_that_exists_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("forecaster.fitted.load_fit", lambda *_: pytest.fail("computed in vain"))
    assert "exists already" in told("project", "tw_nhi_2g", "--out", tmp_path / "out")


def test_force_replaces_an_earlier_result_and_nothing_else(own_basis, tmp_path):
    words = ("project", "tw_nhi_2g", "--basis", own_basis, "--quiet", "--out", tmp_path / "out")
    assert run(*words).exit_code == 0
    before = contents(tmp_path / "out")
    assert run(*words, *RATES, "--force").exit_code == 0
    assert contents(tmp_path / "out")["manifest.json"] != before["manifest.json"]
    (tmp_path / "out" / "thesis.docx").write_bytes(b"mine")
    assert "thesis.docx" in told(*words, "--force")


def test_an_exception_while_writing_leaves_nothing(own_basis, tmp_path, monkeypatch):
    calls = []

    def flush(handle):
        calls.append(handle)
        if len(calls) > 3:
            raise RuntimeError("power cut")

    monkeypatch.setattr(os, "fsync", flush)
    result = run("project", "tw_nhi_2g", "--basis", own_basis, "--out", tmp_path / "deep" / "out")
    assert isinstance(result.exception, RuntimeError)
    assert os.listdir(tmp_path) == ["own.toml"]


# --- the words of refusals --------------------------------------------------------------------------------------------
def test_a_wrong_parameter_name_is_answered_with_the_nearest():
    words = told("project", "tw_nhi_2g", "--set", "general_premium_rat=0.0557@2027-01-01")
    assert "no parameter 'general_premium_rat'" in words
    assert "Nearest names: general_premium_rate" in words
    assert "forecaster check tw_nhi_2g --parameters" in words


def test_a_value_out_of_bounds_is_answered_with_bounds_and_source():
    words = told("project", "tw_nhi_2g", "--set", "general_premium_rate=5.57@2027-01-01")
    assert "found 5.57" in words
    assert "0 to 0.06, by NHI Act Art. 18" in words
    assert "0.0557, not 5.57" in words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["project", "tw_nhi_3g"],
            "no scheme 'tw_nhi_3g'. Shipped schemes: cn_nrcms, cn_uebmi, cn_urbmi, cn_urrbmi, tw_nhi_1g, tw_nhi_2g",
        ),
        (["project", "tw_nhi_2g", "--set", "general_premium_rate=0.055"], "NAME=VALUE@YYYY-MM-DD"),
        (["project", "tw_nhi_2g", "--set", "general_premium_rate=0.055@2027-02-30"], "a day of the calendar"),
        (["project", "tw_nhi_2g", "--set", "general_premium_rate=nan@2027-01-01"], "a number (share)"),
        (["project", "tw_nhi_2g", "--set", "government_floor_basis=both@2027-01-01"], "income, outlay"),
        (["project", "tw_nhi_2g", "--set", "general_premium_rate=0.05@2001-01-01"], "from 2013-01-01 on"),
        (["project", "tw_nhi_2g", "--reform", "nonsense"], "committee_2020_option_1, committee_2020_option_2"),
        (["project", "tw_nhi_2g", "--reform", "nowhere.toml"], "No such file"),
        (["project", "tw_nhi_2g", "--basis", "nonsense"], "cn_urbmi_2011, cn_urrbmi_study_2021, tw_nhi_committee"),
        (["project", "tw_nhi_2g", "--horizon", "2050", *COMMITTEE], "2021 to 2021"),
        (["project", "tw_nhi_2g", "--horizon", "2020"], "begins in 2026"),
        (["project", "tw_nhi_1g"], "was law until 2012-12-31"),
        (["solve", "tw_nhi_2g", "--year", "2030", *COMMITTEE], "the basis covers 2021 to 2021"),
        (["solve", "tw_nhi_2g", "--year", "2021", "--start", "2021", *COMMITTEE], "write it as 2027-01-01"),
        (["solve", "tw_nhi_2g", "--year", "2021", "--start", "2022-01-01", *COMMITTEE], "not after the year 2021"),
        (["sources", "atlantis"], "no observations of 'atlantis'"),
        (["project", "tw_nhi_2g", "--basis", "tw_nhi_committee_2020", "--fits", "x"], "give one of them"),
    ],
)
@pytest.mark.usefixtures("fitted")
def test_what_cannot_be_done_is_told_in_plain_words(words, expected):
    assert expected in told(*words)


REFORM = '[[changes]]\nparameter = "general_premium_rate"\nfrom = 2027-01-01\nvalue = 0.0557\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REFORM + REFORM.replace("from", "to"), "changes[1].from: found None"),
        ("[[changes]\n", "TOML 1.0"),
        ("label = 'x'\n", "[[changes]] with parameter, from and value"),
        ("changes = [1]\n", "[[changes]] with parameter, from and value"),
        (REFORM + "valu = 1\n", "unknown key 'valu'"),
        (REFORM.replace("2027-01-01", "'2027-01-01'"), "not quoted"),
        (REFORM.replace("0.0557", "true"), "a number, or a word"),
        (REFORM.replace("0.0557", "5.57"), "0 to 0.06"),
        (REFORM + REFORM, "general_premium_rate at 2027-01-01"),
    ],
)
def test_a_faulty_reform_file_is_told_with_its_place(tmp_path, text, expected):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    assert expected in told("project", "tw_nhi_2g", "--reform", path)


def test_a_reform_file_and_a_setting_must_not_contradict(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(REFORM, "utf-8")
    assert "both change general_premium_rate at 2027-01-01" in told("project", "tw_nhi_2g", "--reform", path, *RATES)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("opening_reserve = 180.0", "opening_reserve = 'much'", "could not convert string to float"),
        ("opening_reserve = 180.0", "reserve = 180.0", "unknown key"),
        ("outlay = [930.0, 975.0, 1020.0]", "outlay = [930.0, 975.0]", "2 values"),
        ("c62 = 0.3", "c99 = 0.3", "use the names of tw_nhi_2g"),
        ("c62 = 0.3", "c62 = 0.4", "do not sum to 1"),
        ("years = [2026, 2027, 2028]", "years = [2026, 2027, 2029]", "consecutive"),
        ("label =", "reform = 'x'\nlabel =", "a list of texts NAME=VALUE@DATE"),
    ],
)
def test_a_faulty_basis_file_is_told_with_its_place(own_basis, old, new, expected):
    assert old in BASIS
    own_basis.write_text(BASIS.replace(old, new), "utf-8")
    assert expected in told("project", "tw_nhi_2g", "--basis", own_basis)


def test_the_changes_a_basis_needs_hold_for_law_and_reform(tmp_path):
    out = tmp_path / "out"
    found = answer("project", "tw_nhi_2g", *COMMITTEE, "--reform", "committee_2020_option_1", "--out", out)
    assert found["law_changes_of_the_basis"] == ["government_floor_share=0@2021-01-01"]
    assert found["reserve_months"]["baseline"]["q0.5"] == [pytest.approx(1.46, abs=0.01)]
    assert found["reserve_months"]["reform"]["q0.5"] == [pytest.approx(1.02, abs=0.01)]
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert "government_floor_share=0@2021-01-01" in manifest["reform"]["changes"]


# --- compare ----------------------------------------------------------------------------------------------------------
TWO = "general_premium_rate=0.0557@2027-01-01;government_injection=20@2028-01-01"


def test_compare_splits_the_difference_by_lever_and_by_payer(fitted):
    found = answer("compare", "tw_nhi_2g", "law", TWO, "--horizon", 2036)
    assert found["policies"] == [[], TWO.split(";")]
    parts = {name: np.array(row) for name, row in found["reserve"].items()}
    assert set(parts) == {"all", "general_premium_rate", "government_injection"}
    np.testing.assert_allclose(parts["general_premium_rate"] + parts["government_injection"], parts["all"])
    assert (parts["government_injection"] > 0).all()
    paid = {name: np.array(row) for name, row in found["paid"].items()}
    assert (paid["government"] > 20).all()
    assert (paid["earmarked_and_other"] == 0).all()
    # Turned round, everything changes its sign.
    back = answer("compare", "tw_nhi_2g", TWO, "law", "--horizon", 2036)
    np.testing.assert_allclose(back["reserve"]["all"], -parts["all"])


def test_compare_agrees_with_project(fitted):
    first = answer("compare", "tw_nhi_2g", "law", TWO, "--horizon", 2036)
    words = [word for setting in TWO.split(";") for word in ("--set", setting)]
    second = answer("project", "tw_nhi_2g", "--horizon", 2036, *words)
    rows = [second["years"].index(year) for year in first["years"]]
    for i, name in enumerate(("baseline", "reform")):
        months = np.array(second["reserve_months"][name]["q0.5"])[rows]
        np.testing.assert_allclose(first["reserve_months"][i], months)
    assert first["run_hash"] == second["run_hash"]


def test_compare_takes_shipped_reforms_and_writes_the_tables(fitted, tmp_path):
    out = tmp_path / "out"
    result = run("compare", "tw_nhi_2g", "supplementary_ceiling_50m", TWO, "--horizon", 2033, "--out", out)
    assert result.exit_code == 0, result.output
    assert "supplementary_ceiling" in result.stdout
    table = pd.read_csv(out / "attribution.csv")
    whole = table[table["lever"] == "all"].set_index(["line", "year"])["mean"]
    parts = table[table["lever"] != "all"].groupby(["line", "year"])["mean"].sum()
    pd.testing.assert_series_equal(parts, whole.sort_index(), rtol=1e-9, atol=1e-9)
    forecast = pd.read_csv(out / "forecast.csv").set_index(["scenario", "line", "year"])["mean"]
    for year in (2027, 2033):
        assert forecast["difference", "reserve", year] == pytest.approx(whole["reserve", year])
    assert not (out / "required_rates.csv").exists()
    assert "Baseline: supplementary_ceiling=50000000@2027-01-01" in (out / "README.txt").read_text("utf-8")
    assert set(pd.read_csv(out / "columns.csv").query("table == 'attribution'")["column"]) <= {
        *table.columns,
        "warning",
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["law", "law"], "the same policy twice"),
        (["law", "own_dependants_shape=2@2027-01-01"], "SECOND: 1 fault"),
        (["grading_top_share_trigger=0.02@2027-01-01", "law"], "changes nothing through 2033"),
        (["law", "own_dependants_shape=2@2027-01-01"], "it acts only together with charged_dependants_cap"),
        (
            ["law", "supplementary_threshold_vulnerable=9000@2027-01-01"],
            "leave it out; no projection reads it: no figure",
        ),
        (["law", "supplementary_ceiling=50000000@2050-01-01"], "choose an earlier day or a later horizon"),
        (["law", "general_premium_rate=0.0517@2027-01-01"], "leave it out if the law says so already"),
        (["law", "no_such_reform"], "supplementary_ceiling_50m"),
        (["law", "general_premium=0.05@2027-01-01"], "general_premium_rate"),
    ],
)
def test_compare_refuses_what_says_nothing(fitted, words, expected):
    assert expected in told("compare", "tw_nhi_2g", *words, "--horizon", 2033)


def test_project_refuses_an_idle_lever_too(fitted):
    words = ["--set", "general_premium_rate=0.0557@2027-01-01", "--set", "review_target_months=3@2027-01-01"]
    message = told("project", "tw_nhi_2g", "--horizon", 2033, *words)
    assert "review_target_months=3@2027-01-01, which changes nothing through 2033" in message
    assert "general_premium_rate" not in message


# --- solve ------------------------------------------------------------------------------------------------------------
def test_solve_names_the_legal_limit_when_it_is_exceeded():
    result = run("solve", "tw_nhi_2g", *COMMITTEE, "--year", 2021, "--months", 1, "--months", 4)
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "4.97%" in words
    assert "above the legal limit of 6%" in words
    assert "NHI Act Art. 18" in words


def test_solve_takes_any_lever_and_words_it_in_its_unit():
    result = run("solve", "tw_nhi_2g", *COMMITTEE, "--year", 2021, "--months", 1, "--lever", "budget_growth_adjustment")
    assert result.exit_code == 0, result.stderr
    assert "most that is kept" in result.stdout
    found = run("solve", "tw_nhi_2g", *COMMITTEE, "--year", 2021, "--lever", "budget_growth_adjustment", "--json")
    answer = json.loads(found.stdout)["answers"][0]
    # At 5.17% the reserve ends 2021 with 87.7 bn; a month is 60.3: outgo may grow by 27.4 / (13/12 x 723.1) = 3.5%.
    assert answer["rounded"] == pytest.approx(0.035, abs=0.001)
    assert "rounded_rate" not in answer


def test_solve_gives_a_path_and_its_payment(tmp_path):
    out = tmp_path / "solved"
    words = ("--year", 2021, "--months", 1, "--months", 9, "--every", 2, "--out", out)
    result = run("solve", "tw_nhi_2g", *COMMITTEE, *words)
    assert result.exit_code == 0, result.stderr
    for name in ("required", "path", "path_payment"):
        pd.testing.assert_frame_equal(pd.read_csv(out / f"{name}.csv"), pd.read_parquet(out / f"{name}.parquet"))
    required, path = pd.read_csv(out / "required.csv"), pd.read_csv(out / "path.csv")
    assert required["lever"].tolist() == ["general_premium_rate"] * 2
    assert required["rounded_rate"].isna().tolist() == [False, True]
    assert path[["months", "from", "value"]].to_numpy().tolist() == [[1.0, "2021-01-01", 0.0497]]
    assert "at most one change in 2 years" in result.stdout
    assert "out of reach" in result.stdout
    found = run("solve", "tw_nhi_2g", *COMMITTEE, "--year", 2021, "--months", 1, "--every", 2, "--json")
    path = json.loads(found.stdout)["paths"][0]
    assert path["values"] == {"2021-01-01": 0.0497}
    assert path["payment"] == path["constant_payment"]


def test_solve_refuses_a_lever_that_does_nothing():
    result = run("solve", "tw_nhi_2g", *COMMITTEE, "--year", 2021, "--lever", "late_fee_daily")
    assert result.exit_code == 2
    assert "late_fee_daily does not move the reserve through 2021" in result.stderr


def test_solve_at_the_year_and_throughout_differ(fitted):
    words = ["solve", "tw_nhi_2g", "--months", -24, "--year", 2034, "--probability", 0.8]
    through, at = answer(*words), answer(*words, "--at-year")
    assert through["throughout"]
    assert at["answers"][0]["exact_rate"] <= through["answers"][0]["exact_rate"]
    assert through["answers"][0]["reached"] >= 0.8


def test_a_higher_chance_needs_a_higher_rate(fitted):
    words = ["solve", "tw_nhi_2g", "--months", -24, "--year", 2034, "--probability"]
    assert answer(*words, 0.9)["answers"][0]["exact_rate"] > answer(*words, 0.5)["answers"][0]["exact_rate"]


# --- check ------------------------------------------------------------------------------------------------------------
def test_check_lists_what_no_projection_reads():
    found = answer("check", "tw_nhi_2g")
    # Each with its reason; what a rule that is off by default reads, or another lever, is not among them.
    unread = found["unread"]["tw_nhi_2g"]
    assert set(unread) == {"grading_top_share_trigger", "supplementary_threshold_vulnerable"}
    assert all("no figure was found" in why or "not modelled" in why for why in unread.values())
    assert "supplementary_threshold_vulnerable: no figure was found" in run("check", "tw_nhi_2g").stdout


@pytest.mark.parametrize("name", ["tw_nhi_1g", "tw_nhi_2g"])
def test_a_law_says_why_nothing_reads_a_parameter_and_what_it_acts_with(name):
    scheme = load_scheme(name)
    read = read_parameters(scheme)
    for key, parameter in scheme.parameters.items():
        assert bool(parameter.not_read) == (key not in read), key
        assert set(parameter.acts_with) <= set(scheme.parameters) - {key}, key


def test_the_probe_reads_every_lever():
    scheme = load_scheme("tw_nhi_2g")
    levers = {name for name, parameter in scheme.parameters.items() if parameter.lever}
    assert len(levers) > 8
    assert levers <= read_parameters(scheme)
    assert probe_basis(load_scheme("tw_nhi_1g")).years[-1] == 2012


def test_check_lists_parameters_with_bounds_and_source():
    result = run("check", "tw_nhi_2g", "--parameters")
    assert "general_premium_rate = 0.0517 share from 2021-01-01" in result.stdout
    assert "allowed 0 to 0.06 (NHI Act Art. 18: 6% is the upper limit)" in result.stdout
    assert "grading_top_share_trigger *" in result.stdout


def test_check_of_a_faulty_scheme_fails_and_names_the_fault(tmp_path, repository):
    text = (repository / "data" / "schemes" / "tw_nhi_2g.toml").read_text("utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("value = 0.0491", "value = 4.91", 1), "utf-8")
    result = run("check", path)
    assert result.exit_code == 1
    assert "FAULTY" in result.stdout
    assert "a share is 0.0517, not 5.17" in result.stdout


def current_models(monkeypatch, models: str) -> None:
    """The models' code as it would be now; the stored fit was made with ``m``."""
    stand_in = types.ModuleType("forecaster_models.fit")
    stand_in.current_inputs = lambda pool, priors: {"models": models}
    monkeypatch.setitem(sys.modules, "forecaster_models.fit", stand_in)


def test_check_of_everything(fitted, monkeypatch):
    current_models(monkeypatch, "m")
    result = run("check")
    assert result.exit_code == 0, result.output
    for words in (
        "scheme tw_nhi_1g",
        "observed figures of twn",
        "basis tw_nhi_committee_2020",
        "twn reserve_roll 2015",
        "backtest of tw_nhi: 80% band 8 of 10 (80%).",
    ):
        assert words in result.stdout
    assert "models changed since" not in result.stdout
    assert result.stdout.count("sound   reform ") == len(list((data_dir() / "reforms").glob("*.toml")))


def test_check_of_a_stale_fit_and_of_one_that_nobody_backtested_fails(fitted, monkeypatch):
    # What a projection reads is no matter here and takes the longest to find out.
    monkeypatch.setattr("forecaster.cli.check.read_parameters", lambda scheme: set())
    current_models(monkeypatch, "other")
    result = run("check")
    assert result.exit_code == 1
    assert "models changed since; make it anew: forecaster fit tw_nhi" in result.stdout
    current_models(monkeypatch, "m")
    monkeypatch.setattr("forecaster.certificate.read_record", lambda *_: Record("not backtested", ("NOT BACKTESTED",)))
    result = run("check")
    assert result.exit_code == 1
    assert "NOT BACKTESTED" in result.stdout


def test_project_prints_the_record_and_its_warnings(fitted, monkeypatch):
    shown = run("project", "tw_nhi_2g", "--horizon", "2030").stdout
    assert "Backtest: 80% band 8 of 10 (80%)." in shown
    bad = Record("backtested", ("WARNING: far too narrow",), RECORD.lines, RECORD.content)
    monkeypatch.setattr("forecaster.certificate.read_record", lambda *_: bad)
    assert run("project", "tw_nhi_2g", "--horizon", "2030").stdout.startswith("WARNING: far too narrow")
    assert answer("project", "tw_nhi_2g", "--horizon", "2030")["backtest"]["warnings"] == ["WARNING: far too narrow"]
    solved = ["solve", "tw_nhi_2g", "--months", "1", "--year", "2027"]
    assert answer(*solved)["warnings"] == ["WARNING: far too narrow"]
    assert "WARNING: far too narrow" in run(*solved).stdout


# --- sources ----------------------------------------------------------------------------------------------------------
def test_sources_of_a_place_and_of_all():
    assert [row["id"] for row in answer("sources", "twn")] == list_sources("twn")["id"].tolist()
    everything = {row["id"] for row in answer("sources")}
    assert {"TW-S04", "wpp2024"} <= everything
    assert "World Population Prospects" in run("sources", "demography").stdout


# --- fit --------------------------------------------------------------------------------------------------------------
def verdict(accepted: bool) -> dict:
    return {
        "accepted": accepted,
        "reasons": [] if accepted else ["r-hat 1.2 of k"],
        "max_rhat": 1.003,
        "min_ess_bulk": 1234.5,
        "min_ess_tail": 999.0,
        "divergences": 0,
        "min_ebfmi": 0.8,
        "seconds": 12.3,
    }


@pytest.fixture
def fit_calls(monkeypatch):
    calls: list[dict] = []
    stand_in = types.ModuleType("forecaster_models.fit")

    def fit_pool(pool, *, progress, **options):
        pool = pool.name
        calls.append({"pool": pool, **options})
        accepted = options.get("seed") != 666
        for share in (0.0, 0.5, 1.0):
            progress("economy", share, "sampling")
        return {"pool": pool, "accepted": accepted, "blocks": {"economy": verdict(accepted)}}

    stand_in.fit_pool = fit_pool
    monkeypatch.setitem(sys.modules, "forecaster_models.fit", stand_in)
    return calls


def test_fit_shows_the_verdict_and_where_it_lies(fit_calls, tmp_path):
    result = run("fit", "tw_nhi", "--out", tmp_path, "--seed", 5, "--fresh")
    assert result.exit_code == 0, result.output
    assert fit_calls == [{"pool": "tw_nhi", "out": tmp_path, "quick": False, "fresh": True, "seed": 5}]
    for words in ("economy", "accepted", "1.0030", "1,234", "12.3", f"written to {tmp_path / 'tw_nhi'}"):
        assert words in result.stdout
    assert "economy" in result.stderr


def test_a_rejected_fit_says_why_and_fails(fit_calls, tmp_path):
    result = run("fit", "tw_nhi", "--out", tmp_path, "--seed", 666)
    assert result.exit_code == 1
    assert "economy: r-hat 1.2 of k" in result.stdout
    assert "no forecast can be made" in result.stdout


def test_a_quick_fit_never_replaces_the_reference(fit_calls, repository):
    run("fit", "tw_nhi", "--quick")
    run("fit", "tw_nhi")
    assert [call["out"] for call in fit_calls] == [Path("fits"), repository / "data" / "fitted"]
    assert all("seed" not in call for call in fit_calls)


# --- dashboard --------------------------------------------------------------------------------------------------------
@pytest.fixture
def taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_port_in_use_is_one_line_that_names_another(taken, monkeypatch):
    monkeypatch.setattr(dashboard_module, "dashboard_script", lambda: Path("app.py"))
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("started on a port in use"))
    words = told("dashboard", "--port", taken)
    assert len(words.splitlines()) == 1
    assert f"port {taken} of 127.0.0.1: already in use" in words
    assert "forecaster dashboard --port " in words


def test_an_address_that_is_not_ours_is_refused():
    with pytest.raises(ForecasterError, match=r"cannot listen on 203\.0\.113\.1, port 8501"):
        check_port("203.0.113.1", 8501)


def test_the_dashboard_prints_its_address_and_starts(monkeypatch):
    started: list[list[str]] = []
    monkeypatch.setattr(dashboard_module, "dashboard_script", lambda: Path("place/app.py"))
    monkeypatch.setattr(os, "execv", lambda program, command: started.append(command))
    free = free_port()
    result = run("dashboard", "--port", free, "--headless")
    assert result.exit_code == 0, result.output
    assert f"http://127.0.0.1:{free}" in result.stdout
    assert started[0][:5] == [sys.executable, "-m", "streamlit", "run", "place/app.py"]
    assert {f"--server.port={free}", "--server.headless=true", "--runner.postScriptGC=false"} <= set(started[0])


def test_streamlit_knows_every_setting():
    from streamlit import config

    known = set(config.get_config_options())
    flags = {word[2:].partition("=")[0] for word in streamlit_command(Path("app.py"), "::1", 8501, True)[5:]}
    assert set(SETTINGS) < flags
    assert flags <= known


def test_the_script_is_found_in_the_wheel_and_in_the_checkout(tmp_path, monkeypatch):
    package = types.ModuleType("forecaster_dashboards")
    package.__file__ = str(tmp_path / "forecaster_dashboards" / "__init__.py")
    monkeypatch.setitem(sys.modules, "forecaster_dashboards", package)
    with pytest.raises(ForecasterError, match=r"app\.py was not found"):
        dashboard_script()
    (tmp_path / "app.py").touch()
    assert dashboard_script() == tmp_path / "app.py"
    (tmp_path / "forecaster_dashboards" / "script").mkdir(parents=True)
    (tmp_path / "forecaster_dashboards" / "script" / "app.py").touch()
    assert dashboard_script() == tmp_path / "forecaster_dashboards" / "script" / "app.py"
