"""The backtest's machinery with a made-up forecaster: origins, law of the day, resumption, words of errors, command."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from backtest_double import Double
from forecaster import certificate, scores
from forecaster.cli import app
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.fitted import load_fit
from forecaster.officials import official_table
from forecaster.policy import Policy
from forecaster.pools import find_pool
from forecaster.schemes import load_scheme
from forecaster.scores import FORECAST, MODEL
from forecaster.theories import stacked_weights
from forecaster_models import backtest, origins
from funds import random_basis

LAW = load_scheme("tw_nhi_2g")
ORIGINS = "2014,2015,2019"


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> backtest.Backtest:
    """One whole backtest of three origins, two years ahead."""
    told: list[tuple[int, float, str]] = []
    result = backtest.backtest_pool(
        "tw_nhi",
        origins=ORIGINS,
        horizon=2,
        out=tmp_path_factory.mktemp("backtest"),
        judged=Double(2, rejected=(2015,)),
        progress=lambda *args: told.append(args),
    )
    assert {(origin, share) for origin, share, _ in told} >= {
        (origin, s) for origin in (2014, 2015, 2019) for s in (0, 1)
    }
    return result


# --- what was known ---------------------------------------------------------------------------------------------------
def test_the_law_of_the_day_knows_no_later_value():
    known = backtest.law_known_at(LAW, dt.date(2016, 1, 1))
    values = [v.value for v in known.parameters["general_premium_rate"].values]
    assert values == [0.0491, 0.0469]
    assert [
        v.value for v in backtest.law_known_at(LAW, dt.date(2015, 12, 31)).parameters["general_premium_rate"].values
    ] == [0.0491]
    assert known.content_hash != LAW.content_hash
    assert all(value.start <= dt.date(2016, 1, 1) for p in known.parameters.values() for value in p.values)


def test_a_parameter_without_a_value_by_then_is_unknown():
    late = {name for name, p in LAW.parameters.items() if p.values[0].start > dt.date(2014, 1, 1)}
    assert late
    assert late.isdisjoint(backtest.law_known_at(LAW, dt.date(2014, 1, 1)).parameters)


def test_every_origin_is_projected_under_the_law_of_its_day():
    """Parameters that the law got later are unknown then, and nothing may ask for them."""
    for origin in range(2013, 2025):
        basis = random_basis(2, 10, first_year=origin + 1)
        known = Policy(backtest.law_known_at(LAW, dt.date(origin + 1, 1, 1)))
        assert np.isfinite(project(basis, known).closing).all()


def test_origins_have_the_law_in_force_and_an_outcome_to_come():
    pool = find_pool("tw_nhi")
    outcomes = backtest.pool_outcomes(pool)
    possible = backtest.possible_origins(pool, outcomes)
    assert possible == list(range(2013, 2025))
    last = outcomes[outcomes["year"] == 2025]
    assert last[["line", "value", "kind"]].values.tolist() == [["reserve", 188.2, "near the year's end"]]


@pytest.mark.parametrize(("text", "years"), [("2013:2015", [2013, 2014, 2015]), ("2019, 2014", [2014, 2019])])
def test_origins_are_a_span_or_a_list(text, years):
    assert backtest.read_origins(text, list(range(2013, 2025))) == years


# --- errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2013-2015", "write it as 2013:2024 or as 2013,2016,2019"),
        ("2012:2014", "found 2012; allowed: years from 2013 to 2024"),
        ("2015:2013", "found no year"),
    ],
)
def test_wrong_origins_are_told(text, words):
    with pytest.raises(ForecasterError, match=words):
        backtest.read_origins(text, list(range(2013, 2025)))


def test_too_few_years_are_told():
    table = pd.DataFrame({"line": "outgo", "year": range(2010, 2016), "value": 1.0})
    with pytest.raises(ForecasterError, match=r"tw_nhi has 6 years.*too few.*To mend: add earlier years"):
        backtest.possible_origins(find_pool("tw_nhi"), table)
    early = pd.DataFrame({"line": "outgo", "year": range(2000, 2012), "value": 1.0})
    with pytest.raises(ForecasterError, match=r"no year that could be an origin.*begins on 2013-01-01.*of 2011"):
        backtest.possible_origins(find_pool("tw_nhi"), early)


def test_a_plain_pool_starts_from_a_reserve_known_by_then():
    pool = find_pool("cn_nrcms")
    flows = pd.DataFrame({"line": "outgo", "year": range(2003, 2014), "value": 1.0})
    reserve = pd.DataFrame({"line": "reserve", "year": [2011], "value": 1.0})
    assert backtest.possible_origins(pool, pd.concat([flows, reserve])) == [2011, 2012]
    with pytest.raises(ForecasterError, match="cn_nrcms has no published reserve"):
        backtest.possible_origins(pool, flows)


def test_a_horizon_of_no_year_is_told(tmp_path):
    with pytest.raises(ForecasterError, match=r"--horizon 0: found fewer than 1 year"):
        backtest.backtest_pool("tw_nhi", horizon=0, out=tmp_path)


def test_forecasts_without_any_outcome_are_told_before_anything_is_fitted(tmp_path):
    with pytest.raises(ForecasterError, match=r"no outcome is known 1 year\(s\) or less after 2021.*longer --horizon"):
        backtest.backtest_pool("tw_nhi", origins="2021", horizon=1, out=tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForecasterError, match=r"cannot write to .*--out"):
        backtest.backtest_pool("tw_nhi", origins="2014", horizon=1, out=tmp_path / "file", judged=Double(1))


# --- the result -------------------------------------------------------------------------------------------------------
def test_the_report_holds_all_rules_and_the_doubles_own_quantiles(done):
    assert set(done.report["rule"]) == {FORECAST, MODEL, "last_growth", "drift", "smoothing", "gdp_share"}
    draws, _ = Double(2)(2014, lambda *_: None)
    row = done.report.query("rule == 'forecast' and line == 'outgo' and origin == 2014 and horizon == 2").iloc[0]
    assert row["q50"] == pytest.approx(np.median(draws[FORECAST]["outgo"][1]), rel=1e-6)
    assert row["outcome"] == pytest.approx(568.389)
    assert row["error"] == pytest.approx(np.log(row["q50"] / 568.389), abs=1e-3)


def test_the_files_are_whole_and_named_by_their_hashes(done):
    names = {path.name for path in done.folder.iterdir()}
    assert names == {
        "report.parquet",
        "summary.csv",
        "officials.csv",
        "certificate.json",
        "certificate.txt",
        "manifest.json",
    }
    manifest = json.loads((done.folder / "manifest.json").read_text())
    for name, digest in manifest["files"].items():
        assert backtest.sha256((done.folder / name).read_bytes()) == digest
    assert list((done.folder.parent / ".work").iterdir()) == []
    stored = pd.read_parquet(done.folder / "report.parquet")
    assert len(stored) == len(done.report)


def test_the_certificate_agrees_with_the_report(done):
    content = json.loads((done.folder / "certificate.json").read_text())
    rows = done.report[(done.report["rule"] == MODEL) & done.report["outcome"].notna()]
    pooled = rows[rows["line"] != "reserve_months"]
    record = content["questions"][MODEL]["all"]
    assert record["n"] == len(pooled)
    assert record["held"]["80"] == int(
        ((pooled["q10"] <= pooled["outcome"]) & (pooled["outcome"] <= pooled["q90"])).sum()
    )
    assert content["rejected"] == [2015]
    lost = content["comparisons"][MODEL]["lost"]
    cells = {(row["line"], row["horizon"]) for row in lost}
    assert len(cells) == len(lost) <= content["comparisons"][MODEL]["n"]
    text = (done.folder / "certificate.txt").read_text()
    assert f"80% band {record['held']['80']} of {record['n']}" in text
    assert "2015 did not pass the gates" in text


# --- resumption -------------------------------------------------------------------------------------------------------
def test_a_killed_worker_is_told_and_the_next_run_ends_with_the_same_result(done, tmp_path, monkeypatch):
    # One at a time, after the two of `done`: each takes seconds to import what it scores with.
    monkeypatch.setattr(origins, "WORKERS", 1)
    killed = Double(2, rejected=(2015,), kill_at=2019, marker=tmp_path / "killed")
    settings = {"origins": ORIGINS, "horizon": 2, "out": tmp_path / "out", "judged": killed}
    with pytest.raises(ForecasterError, match=r"was killed.*2 of 3 origins.*run the same command again"):
        backtest.backtest_pool("tw_nhi", **settings)
    assert killed.marker.exists()
    assert not (tmp_path / "out" / "tw_nhi").exists()
    (work,) = (tmp_path / "out" / ".work").iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("2*.npz")}
    assert before
    told: list[tuple[int, float, str]] = []
    resumed = backtest.backtest_pool("tw_nhi", **settings, progress=lambda *args: told.append(args))
    assert {origin for origin, _, message in told if message == "kept"} == {int(name[:4]) for name in before}
    for name in ("report.parquet", "summary.csv", "certificate.json", "manifest.json"):
        assert (resumed.folder / name).read_bytes() == (done.folder / name).read_bytes(), name


def test_other_settings_take_up_nothing(monkeypatch, tmp_path):
    """A key of all inputs stands between runs: origins of one forecaster never count for another."""
    found = []

    def stopped(job, *_):
        found.append(job.work)
        raise ForecasterError("stopped")

    monkeypatch.setattr(backtest, "run_origins", stopped)
    for spread in (0.05, 0.06, 0.05):
        with pytest.raises(ForecasterError, match="stopped"):
            backtest.backtest_pool("tw_nhi", origins="2014", horizon=1, out=tmp_path, judged=Double(1, spread=spread))
    assert len(set(found)) == 2
    assert found[0] == found[2]
    assert all(folder.is_dir() for folder in found)


# --- the command ------------------------------------------------------------------------------------------------------
@pytest.fixture
def double_for_real(monkeypatch):
    """The command with the double in the place of real fits."""
    monkeypatch.setattr(backtest, "Refit", lambda pool, horizon, settings, seed: Double(horizon))


def test_the_command_prints_bands_rules_officials_and_the_certificate(double_for_real, monkeypatch, tmp_path):
    # Worker processes are not what is tried here.
    monkeypatch.setattr(backtest, "run_origins", partial(origins.run_origins, executor=ThreadPoolExecutor(1)))
    arguments = ["backtest", "tw_nhi", "--origins", "2016,2019", "--horizon", "2", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert found.exit_code == 0, found.output
    for words in (
        "Share of outcomes that the bands held",
        "Mean CRPS",
        "random walk with drift",
        "Officials' forecasts",
        "2020-06",
        "Calibration certificate",
        "refitted at the end of 2016, 2019",
    ):
        assert words in found.stdout, words
    assert (tmp_path / "tw_nhi" / certificate.FILE).is_file()


def test_the_command_answers_in_json(monkeypatch, done):
    monkeypatch.setattr(backtest, "backtest_pool", lambda *_, **__: done)
    found = CliRunner().invoke(app, ["backtest", "tw_nhi", "--json"])
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert answer["origins"] == [2014, 2015, 2019]
    assert answer["folder"] == str(done.folder)


def test_the_command_tells_faults_and_stops_in_words(monkeypatch, tmp_path):
    found = CliRunner().invoke(app, ["backtest", "tw_nhi", "--origins", "1990", "--out", str(tmp_path)])
    assert (found.exit_code, "allowed: years from 2013 to 2024" in found.stderr) == (2, True)

    def stopped(*_, progress, **__):
        progress(2013, 1.0, "done")
        raise KeyboardInterrupt

    monkeypatch.setattr(backtest, "backtest_pool", stopped)
    found = CliRunner().invoke(app, ["backtest", "tw_nhi"])
    assert found.exit_code == 130
    assert "Stopped. 1 finished origins are kept; the same command goes on from there." in found.stderr


def test_the_parent_is_watched_only_in_a_worker():
    assert origins.end_with_parent() is None


def test_a_users_pool_keeps_its_backtest_in_its_own_folder(tmp_path):
    from dataclasses import replace

    own = replace(find_pool("tw_nhi"), folder=Path(tmp_path))
    assert certificate.backtests_folder(own) == tmp_path / "backtests"


# --- what ships -------------------------------------------------------------------------------------------------------
def test_the_shipped_certificate_is_of_the_shipped_fit_and_its_report_gives_the_same_figures():
    pool = find_pool("tw_nhi")
    folder = certificate.backtests_folder(pool) / pool.name
    found = certificate.read_record(pool, load_fit(pool).manifest["inputs"])
    assert found.status == "backtested", found.headline
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, digest in manifest["files"].items():
        assert backtest.sha256((folder / name).read_bytes()) == digest, name
    assert manifest["origins"] == list(range(2013, 2025))
    assert manifest["judged"]["inputs"] == found.content["inputs"]
    report = pd.read_parquet(folder / "report.parquet")
    again = certificate.certificate_of(
        pool,
        report,
        official_table(pool, report),
        manifest["verdicts"],
        manifest["horizon"],
        manifest["quick"],
        found.content["inputs"],
        found.content.get("theories"),
    )
    assert json.loads(certificate.certificate_bytes(again)) == found.content
    weighed = pd.read_parquet(folder / backtest.THEORIES_FILE)
    cases = [rows for _, rows in weighed.groupby(["origin", "target"])]
    came, origins_, targets = ([rows[name].iloc[0] for rows in cases] for name in ("actual", "origin", "target"))
    told = found.content["theories"]
    forecasts = {name: [rows[name].to_numpy() for rows in cases] for name in told["weights"]}
    assert len(cases) == told["outcomes"]
    assert stacked_weights(forecasts, came, origins_, targets) == pytest.approx(told["weights"], abs=2e-4)
    # What is scored is what is published, to the last digit.
    outcomes = backtest.pool_outcomes(pool).set_index(["line", "year"])["value"]
    scored = report.dropna(subset=["outcome"])
    assert np.array_equal(outcomes.loc[list(zip(scored["line"], scored["target"], strict=True))], scored["outcome"])


# --- processes --------------------------------------------------------------------------------------------------------
def test_any_executor_of_the_same_interface_will_do(tmp_path):
    told: list[tuple[int, float, str]] = []
    outcomes = backtest.pool_outcomes(find_pool("tw_nhi"))
    job = origins.Job(Double(1), 1, outcomes, None, tmp_path)
    with ThreadPoolExecutor(1) as threads:
        origins.run_origins(job, [2014], lambda *args: told.append(args), threads)
    assert [path.name for path in tmp_path.iterdir()] == ["2014.npz"]
    report, verdicts, scales = origins.read_origin_files(tmp_path, [2014], outcomes)
    assert scales.learnt() is None
    assert set(report["rule"]) == {FORECAST, MODEL, "last_growth", "drift", "smoothing"}
    assert verdicts == {"2014": {"accepted": True, "reasons": []}}


KILLED_PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from backtest_double import Sleeper
from forecaster_models import backtest
if __name__ == "__main__":
    judged = Sleeper(1, marker=Path({pids!r}))
    backtest.backtest_pool("tw_nhi", origins="2014", horizon=1, out=Path({out!r}), judged=judged)
"""


def test_workers_end_with_the_program_that_started_them(tmp_path, repository):
    program = tmp_path / "program.py"
    pids = tmp_path / "pid"
    program.write_text(
        KILLED_PROGRAM.format(tests=str(repository / "tests"), out=str(tmp_path / "out"), pids=str(pids)), "utf-8"
    )
    started = subprocess.Popen([sys.executable, str(program)], cwd=repository, stderr=subprocess.DEVNULL)
    try:
        assert _comes_true(lambda: pids.exists() and pids.read_text() != "")
        worker = int(pids.read_text())
        assert _alive(worker)
    finally:
        started.kill()
        started.wait()
    assert _comes_true(lambda: not _alive(worker)), f"process {worker} works on for nobody"


def _comes_true(happened) -> bool:
    """Whether something happens while we wait; the limit only ends a test that has failed."""
    for _ in range(3000):
        if happened():
            return True
        time.sleep(0.2)
    return False


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not collected yet does not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False


# --- scores by hand: here, for their library takes seconds to import and the backtests above need it too --------------
def test_score_in_months_by_hand():
    # E|X - y| = (1.5 + .5 + .5 + 1.5) / 4 = 1; E|X - X'| = 20 / 16; so CRPS = 1 - 0.625.
    found = scores.score("reserve_months", np.array([4.0, 1.0, 3.0, 2.0]), 2.5, 999.0)
    assert found["crps"] == pytest.approx(0.375)
    assert found["error"] == pytest.approx(0.0)
    assert found["pit"] == pytest.approx(0.5)
    assert [found[f"inside{band}"] for band in scores.BANDS] == [1.0, 1.0, 1.0]


def test_score_far_above_all_draws_by_hand():
    found = scores.score("reserve_months", np.array([1.0, 2.0, 3.0, 4.0]), 5.0, 1.0)
    assert found["crps"] == pytest.approx(2.5 - 0.625)
    assert found["error"] == pytest.approx(-2.5)
    assert found["pit"] == 1.0
    assert [found[f"inside{band}"] for band in scores.BANDS] == [0.0, 0.0, 0.0]


def test_each_band_has_its_own_edges():
    draws = np.arange(101.0)
    inside = {
        y: [scores.score("reserve_months", draws, y, 1.0)[f"inside{b}"] for b in scores.BANDS] for y in (24, 9, 2)
    }
    # The central bands of 0..100 are 25 to 75, 10 to 90 and 2.5 to 97.5.
    assert inside == {24: [0.0, 1.0, 1.0], 9: [0.0, 0.0, 1.0], 2: [0.0, 0.0, 0.0]}
    assert scores.score("reserve_months", draws, 10.0, 1.0)["inside80"] == 1.0


def test_balance_is_scored_in_shares_of_outgo_and_flows_in_logs():
    found = scores.score("balance", np.array([-10.0, 0.0, 10.0]), 20.0, 100.0)
    # Shares -0.1, 0, 0.1 against 0.2: E|X - y| = 0.2, half of E|X - X'| = 0.8 / 9 / 2.
    assert found["crps"] == pytest.approx(0.2 - 0.4 / 9)
    assert found["error"] == pytest.approx(-0.2)
    flows = scores.score("outgo", np.exp([1.0, 2.0, 3.0]), float(np.exp(2.5)), 100.0)
    assert flows["error"] == pytest.approx(-0.5)
    assert flows["pit"] == pytest.approx(2 / 3)


def test_ties_count_by_half_in_the_pit():
    assert scores.score("reserve_months", np.array([1.0, 2.0, 2.0, 3.0]), 2.0, 1.0)["pit"] == pytest.approx(0.5)


def made_up_report() -> pd.DataFrame:
    """Two origins, one line, two years ahead; draws 0..100, outcomes 50 and 95."""
    table = pd.DataFrame(
        [("reserve_months", year, value, "S", "published", 1.0) for year, value in ((2001, 50.0), (2002, 95.0))],
        columns=["line", "year", "value", "source", "kind", "scale"],
    )
    draws = {"reserve_months": np.tile(np.arange(101.0), (2, 1))}
    rows = [row for origin in (2000, 2001) for row in scores.forecast_rows("model", origin, draws, table)]
    rows += scores.forecast_rows("drift", 2000, {"reserve_months": draws["reserve_months"] + 45.0}, table)
    return pd.DataFrame(rows)


def test_a_report_holds_every_forecast_and_scores_those_with_an_outcome():
    report = made_up_report()
    ours = report[report["rule"] == "model"]
    assert ours[["origin", "target", "horizon"]].values.tolist() == [
        [2000, 2001, 1],
        [2000, 2002, 2],
        [2001, 2002, 1],
        [2001, 2003, 2],
    ]
    assert ours["outcome"].isna().tolist() == [False, False, False, True]
    assert ours["q10"].tolist() == [10.0] * 4


def test_the_record_counts_what_the_bands_held():
    report = made_up_report()
    found = scores.record_of(report[report["rule"] == "model"])
    assert found["n"] == 3
    # 50 is within all bands; 95 (twice) only within 2.5 to 97.5.
    assert found["held"] == {"50": 1, "80": 1, "95": 3}
    assert found["coverage"]["80"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["pit_quarters"] == [0, 0, 1, 2]
    assert found["bias"] == pytest.approx(-30.0)
    assert found["mae"] == pytest.approx(30.0)


def test_rules_are_compared_on_the_same_forecasts_only():
    table = scores.comparison_table(made_up_report(), "model")
    assert table[["horizon", "rule", "n"]].values.tolist() == [[1, "drift", 1], [2, "drift", 1]]
    nearer, farther = table["rival"] - table["ours"]
    # The rule's median is 95: worse one year ahead (50 came), better two years ahead (95 came).
    assert nearer > 0 > farther


def test_the_summary_pools_lines_and_horizons():
    report = made_up_report().assign(line="reserve")
    table = scores.summary_table(report).set_index(["rule", "line", "horizon"])
    assert table.loc[("model", "reserve", "1"), "n"] == 2
    assert table.loc[("model", "all", "1-2"), "n"] == 3
    assert table.loc[("model", "all", "1-2"), "held80"] == 1
    assert ("model", "reserve_months", "1") not in table.index
