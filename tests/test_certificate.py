"""The certificate: both sides of its warning, staleness, damage, and its place in exports, command and pages."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from forecaster import certificate, export
from forecaster.cli.project import result_files, summary_of
from forecaster.manifest import run_manifest
from forecaster.policy import Policy, Reform
from forecaster.pools import find_pool
from forecaster.schemes import load_scheme
from forecaster.scores import MEASURES, QUESTIONS
from funds import random_basis

POOL = find_pool("tw_nhi")
LAW = Policy(load_scheme("tw_nhi_2g"))
INPUTS = {"models": "m", "observations": "o", "priors": "p", "own_priors": "none", "schemes": "s", "demography": "d"}
FIT = {"hash": "a", "seed": 1, "quick": False}


def record(held: int, n: int = 100) -> dict:
    return {
        "n": n,
        "n_effective": 9.0,
        "held": {"50": 50, "80": held, "95": 95},
        "pit_quarters": [25, 25, 25, 25],
        "bias": 0.01,
        "mae": 0.02,
        "crps": 0.03,
    }


def content(held: int = 80, other: int | None = None, **changes) -> dict:
    """A certificate whose 80% bands held so many of a hundred under the two questions."""
    found = {"model": record(held), "forecast": record(held if other is None else other) | {"bias": 0.02}}
    spread = {"1": 0.0123, "5": 0.1, "10": 0.2}
    lines = {q: dict.fromkeys(MEASURES, found[q]) for q in QUESTIONS}
    questions = {q: {"all": found[q], "lines": lines[q], "outgo_log_sd": spread} for q in QUESTIONS}
    lost = [{"line": "balance", "horizon": 1, "label": "random walk with drift", "n": 4, "ours": 0.05, "rival": 0.04}]
    whole = {
        "label": "A fund",
        "origins": [2013, 2014, 2015],
        "horizon": 10,
        "rejected": [2014],
        "near_outcomes": 2,
        "estimated_outcomes": 7,
        "questions": questions,
        "comparisons": {q: {"n": 40, "lost": lost} for q in QUESTIONS},
        "officials": {"n": 5, "closer": 2},
        "inputs": INPUTS,
    }
    return whole | changes


def stored(root, made: dict):
    folder = root / POOL.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / certificate.FILE).write_bytes(certificate.certificate_bytes(made))
    return root


# --- the warning ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("held", "words"), [(59, "bands far too narrow"), (60, None), (80, None), (97, None), (98, "bands far too wide")]
)
def test_the_warning_stands_under_60_and_over_97_of_100(tmp_path, held, words):
    found = certificate.read_record(POOL, INPUTS, stored(tmp_path, content(held)))
    assert found.status == "backtested"
    if words is None:
        assert found.warnings == ()
        assert found.headline == found.lines[1]
        return
    assert len(found.warnings) == 2
    assert f"WARNING: {words}: in the backtest the 80% band held {held} of 100 outcomes" in found.headline


def test_one_question_is_enough_for_a_warning_and_is_named(tmp_path):
    (warning,) = certificate.read_record(POOL, INPUTS, stored(tmp_path, content(80, other=50))).warnings
    assert "held 50 of 100 outcomes (50%), told only the law known at the origin" in warning


# --- none, stale, damaged ---------------------------------------------------------------------------------------------
def test_no_certificate_is_told_with_the_command(tmp_path):
    found = certificate.read_record(POOL, INPUTS, tmp_path)
    assert found.status == "not backtested"
    assert found.content is None
    assert found.headline.startswith("NOT BACKTESTED")
    assert found.headline.endswith("forecaster backtest tw_nhi")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("models", "model code"),
        ("observations", "observed figures"),
        ("own_priors", "priors of the user's own"),
        ("schemes", "law"),
    ],
)
def test_a_certificate_of_another_model_is_stale(tmp_path, key, words):
    found = certificate.read_record(POOL, INPUTS | {key: "other"}, stored(tmp_path, content()))
    assert found.status == "stale"
    assert found.warnings == (
        f"STALE CERTIFICATE: backtested with other {words} than this fit; again: forecaster backtest tw_nhi",
    )
    assert found.lines


def test_a_stale_certificate_still_warns_of_its_bands(tmp_path):
    found = certificate.read_record(POOL, INPUTS | {"models": "x"}, stored(tmp_path, content(10)))
    assert [text.split(":")[0] for text in found.warnings] == ["STALE CERTIFICATE", "WARNING", "WARNING"]


@pytest.mark.parametrize("spoil", [lambda t: t.replace('"80": 80', '"80": 81'), lambda t: t[:50], lambda t: "[]"])
def test_a_changed_or_cut_certificate_says_nothing(tmp_path, spoil):
    path = stored(tmp_path, content()) / POOL.name / certificate.FILE
    spoiled = spoil(path.read_text())
    assert spoiled != path.read_text()
    path.write_text(spoiled)
    found = certificate.read_record(POOL, INPUTS, tmp_path)
    assert (found.status, found.lines) == ("damaged", ())
    assert found.headline.startswith("DAMAGED CERTIFICATE")


# --- words ------------------------------------------------------------------------------------------------------------
def test_the_certificate_in_plain_words():
    lines = certificate.certificate_lines(content())
    assert lines[0].startswith("A fund: refitted at the end of 3 years, 2013 to 2015, on the figures of up to then")
    assert "hindsight" in lines[1]
    assert "50% band 50 of 100 (50%), 80% band 80 of 100 (80%), 95% band 95 of 100 (95%)" in lines[2]
    # 1.64 * sqrt(0.8 * 0.2 / 9) = 0.219 on either side of 80%.
    assert "worth about 9.0 independent ones, so that a true 80% band would hold 58% to 100%" in lines[2]
    assert lines[4].endswith("1.2% 1 year ahead, 10.0% 5 years ahead, 20.0% 10 years ahead.")
    text = " ".join(lines)
    assert (
        "a naive rule scored better in 1 of 40 lines and horizons: balance 1 year ahead (random walk with drift)"
        in text
    )
    assert "closer in 2 of 5 cases" in text
    assert "The short fits of 2014 did not pass the gates" in text
    assert "In 2 forecasts the outcome is a reserve read a month before" in text
    assert "Not scored are 7 forecasts of years whose figure is an estimate of our own" in text


def test_where_no_law_changed_one_line_tells_both_answers():
    found = content(59)
    found["questions"]["forecast"] = found["questions"]["model"]
    told = [line for line in certificate.certificate_lines(found) if "80% band 59 of 100" in line]
    assert len(told) == 1
    assert told[0].startswith("Told the law known at the origin or as it later changed, with the same result: 50% band")
    assert len(certificate.coverage_warnings(found)) == 1


def test_where_nothing_is_lost_or_compared_it_says_so():
    none_lost = {q: {"n": 40, "lost": []} for q in QUESTIONS}
    text = " ".join(certificate.certificate_lines(content(comparisons=none_lost, rejected=[], near_outcomes=0)))
    assert "No naive rule scored better in any of the 40 lines and horizons" in text
    assert "gates" not in text
    nothing = {q: {"n": 0, "lost": []} for q in QUESTIONS}
    assert "No naive rule could be compared." in certificate.certificate_lines(content(comparisons=nothing))


# --- in an export -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def scenarios():
    return export.run_scenarios(random_basis(40, 5), LAW)


def exported(scenarios, found) -> tuple[dict, dict[str, bytes]]:
    basis = scenarios[0].basis
    manifest = run_manifest(basis, LAW, None, FIT if found else None, found)
    return manifest, result_files(scenarios, [], manifest)


@pytest.mark.parametrize("held", [59, 98])
def test_an_export_with_bad_bands_carries_the_warning_on_its_face(scenarios, tmp_path, held):
    found = certificate.read_record(POOL, INPUTS, stored(tmp_path, content(held)))
    manifest, files = exported(scenarios, found)
    assert files["README.txt"].decode().startswith("WARNING: bands far too")
    for name in ("forecast", "probabilities", "first_years"):
        table = pd.read_csv(pd.io.common.BytesIO(files[f"{name}.csv"]))
        assert set(table["warning"]) == {" ".join(found.warnings)}, name
    assert json.loads(files["manifest.json"])["backtest"]["warnings"] == list(found.warnings)
    summary = summary_of(scenarios, [], manifest, Reform())
    assert summary["backtest"]["status"] == "backtested"


def test_an_export_with_good_bands_carries_the_record_and_no_warning(scenarios, tmp_path):
    found = certificate.read_record(POOL, INPUTS, stored(tmp_path, content(80)))
    manifest, files = exported(scenarios, found)
    readme = files["README.txt"].decode()
    assert readme.startswith("Forecast of")
    assert all(f"- {line}" in readme for line in found.lines)
    assert b"warning" not in files["forecast.csv"].splitlines()[0]
    assert manifest["backtest"]["certificate"] == certificate.certificate_hash(content(80))


def test_an_export_without_certificate_says_not_backtested(scenarios, tmp_path):
    _, files = exported(scenarios, certificate.read_record(POOL, INPUTS, tmp_path))
    assert files["README.txt"].decode().startswith("NOT BACKTESTED")
    assert "NOT BACKTESTED" in files["forecast.csv"].decode()


def test_a_basis_written_by_hand_has_no_model_to_judge(scenarios):
    manifest, files = exported(scenarios, None)
    assert manifest["backtest"] is None
    assert certificate.NO_FIT in files["README.txt"].decode()
    assert b"warning" not in files["forecast.csv"].splitlines()[0]


def test_the_record_decides_no_figure(scenarios, tmp_path):
    basis = scenarios[0].basis
    bare = run_manifest(basis, LAW, None, FIT)
    judged = run_manifest(basis, LAW, None, FIT, certificate.read_record(POOL, INPUTS, tmp_path))
    assert bare["run_hash"] == judged["run_hash"]


# --- on the pages -----------------------------------------------------------------------------------------------------
def test_the_evidence_page_tells_the_record_and_both_pages_the_warning(tmp_path):
    from forecaster_dashboards import evidence_page

    made = content(59)
    frame = evidence_page.record_frame(made)
    assert frame.iloc[0].tolist() == ["Income", "59 of 100 (59%)", "59 of 100 (59%)"]
    lost = evidence_page.lost_frame(made)
    assert lost.iloc[0].tolist() == ["Balance", 1, "random walk with drift", 4, "0.0500", "0.0400"]


def test_a_picture_carries_the_warning_under_its_title():
    from forecaster_dashboards.charts import parts as charts

    bare = {"title": {"text": "Reserve", "subtitle": "the law's band"}, "mark": "line"}
    warning = "WARNING: bands far too narrow: " + "words " * 30
    title = charts.warned(bare, [warning])["title"]
    assert title["subtitle"][0] == "the law's band"
    assert " ".join(title["subtitle"][1:]) == warning.strip()
    assert max(map(len, title["subtitle"])) <= charts.WARNING_WIDTH
    assert charts.warned(bare, []) is bare


@pytest.mark.usefixtures("packages_scanned_once")
@pytest.mark.parametrize("name", ["fund", "evidence"])
def test_pages_show_warnings_and_record(tmp_path, name, monkeypatch):
    from streamlit.testing.v1 import AppTest

    from forecaster_dashboards import references
    from made_up_dashboard import made_up_reference

    def script(page: str) -> None:
        from forecaster_dashboards import main

        main.run(opened=page)

    stored(tmp_path, content(59, other=80))
    record = certificate.read_record(POOL, INPUTS, tmp_path)
    monkeypatch.setattr(references, "served_pools", lambda: {"tw_nhi": find_pool("tw_nhi")})
    monkeypatch.setattr(references, "reference", lambda pool: replace(made_up_reference(n_draws=20), record=record))
    at = AppTest.from_function(script, kwargs={"page": name}, default_timeout=600).run()
    assert not at.exception
    assert any("far too narrow" in warning.value for warning in at.warning)
    if name == "evidence":
        assert any("refitted at the end of 3 earlier years" in text.value for text in at.markdown)


def test_a_certificate_is_bound_to_its_pool(tmp_path):
    stored(tmp_path, content())
    assert certificate.read_record(replace(POOL, name="other"), INPUTS, tmp_path).status == "not backtested"


def test_the_line_on_theories_says_what_they_were_weighed_by():
    weights = {"theory_open": 0.25, "theory_trend": 0.75}
    (line,) = [
        text
        for text in certificate.certificate_lines(content(theories={"weights": weights, "outcomes": 27}))
        if text.startswith("Theories")
    ]
    assert "weighed by 27 forecasts" in line
    assert line.index("75% a trend of its own") < line.index("25% income, an excess and a drift")
    few = certificate.certificate_lines(content(theories={"weights": weights, "outcomes": 9}))
    assert any("equal weights: 9 forecasts of outgo are too few" in text for text in few)
    assert not any(text.startswith("Theories") for text in certificate.certificate_lines(content()))
