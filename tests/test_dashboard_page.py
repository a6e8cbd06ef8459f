"""The pages without a browser: levers move the figures, links restore them, and every figure is the engine's."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from forecaster.engine import project
from forecaster.export import Scenario
from forecaster.policy import Reform
from forecaster.solve import required_rate, with_rate
from forecaster_dashboards import charts, evidence_page, fund_page, service, state, tabs, texts
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.view import View
from made_up_dashboard import made_up_reference

SCRIPT = Path(__file__).resolve().parent / "made_up_dashboard.py"
GENERAL = "lever.general_premium_rate"
SUPPLEMENTARY = "lever.supplementary_premium_rate"


@pytest.fixture(autouse=True)
def _service_as_shipped(monkeypatch):
    """What the tests' script and the tests put in the fit's place is taken out again after each test."""
    monkeypatch.setattr(service, "obtain", service.obtain)


@pytest.fixture
def _no_reference_kept():
    service.reference.clear()
    yield
    service.reference.clear()


@pytest.fixture(scope="module")
def ref():
    return made_up_reference()


@pytest.fixture
def app():
    return AppTest.from_file(str(SCRIPT), default_timeout=60).run()


def headlines(app: AppTest) -> dict[str, str]:
    """Text of the two cards."""
    found = {}
    for name in texts.SCENARIOS.values():
        (found[name],) = [m.value for m in app.markdown if m.value.startswith(f"**{name}**")]
    return found


def command(app: AppTest) -> str:
    return next(c.value for c in app.code if c.value.startswith("forecaster"))


def link(app: AppTest) -> str:
    return next(c.value for c in app.code if "?s=" in c.value).split("?s=", 1)[1]


def with_link(text: str) -> AppTest:
    app = AppTest.from_file(str(SCRIPT), default_timeout=60)
    app.query_params["s"] = text
    return app.run()


def outcome(ref, horizon: int, *settings: str) -> Outcome:
    basis, policy = ref.basis.until(horizon), ref.law.reform(Reform.parse(settings))
    return Outcome(Scenario("reform" if settings else "baseline", basis, policy, project(basis, policy)))


def test_page_opens_at_todays_law_with_both_scenarios_equal(app, ref):
    assert not app.exception
    assert not app.error
    cards = headlines(app)
    expected = fund_page.headline(outcome(ref, 2035))
    assert cards == {name: f"**{name}**\n\n{expected}" for name in texts.SCENARIOS.values()}
    assert app.slider(key=GENERAL).value == 5.17
    assert app.slider(key=SUPPLEMENTARY).value == 2.11
    assert app.slider(key=SUPPLEMENTARY).disabled
    assert command(app) == "forecaster project tw_nhi_2g --horizon 2035 \\\n  --out my-forecast"


def test_headline_says_the_engines_chances(ref):
    today = outcome(ref, 2035)
    below = (today.projection.closing / today.projection.outgo * 12 < 1)[:5].any(axis=0).mean()
    gone = (today.projection.closing < 0).any(axis=0).mean()
    words = fund_page.headline(today)
    assert (
        f"In {round(100 * below)} of 100 simulated futures the reserve falls below one month of outlay by 2030" in words
    )
    assert f"in {round(100 * gone)} of 100 simulated futures it has run out by 2035" in words


def test_slider_moves_the_reform_and_only_the_reform(app, ref):
    before = headlines(app)
    app.slider(key=GENERAL).set_value(5.57).run()
    after = headlines(app)
    assert after["Today's law"] == before["Today's law"]
    expected = fund_page.headline(outcome(ref, 2035, "general_premium_rate=0.0557@2027-01-01"))
    assert after["Your reform"] == f"**Your reform**\n\n{expected}" != before["Your reform"]
    assert app.slider(key=SUPPLEMENTARY).value == 2.27
    assert "--set general_premium_rate=0.0557@2027-01-01" in command(app)


def test_unlocked_supplementary_rate_stays_where_it_is_put(app):
    app.toggle(key="follows").set_value(False).run()
    app.slider(key=SUPPLEMENTARY).set_value(2.5).run()
    app.slider(key=GENERAL).set_value(5.3).run()
    assert app.slider(key=SUPPLEMENTARY).value == 2.5
    assert "--set supplementary_premium_rate=0.025@2027-01-01" in command(app)
    app.toggle(key="follows").set_value(True).run()
    assert app.slider(key=SUPPLEMENTARY).value == 2.16
    assert "supplementary" not in command(app)


def test_secondary_levers_act_and_keep_their_place_when_folded_away(app, ref):
    assert "lever.supplementary_ceiling" not in {w.key for w in app.number_input}
    app.session_state["more_levers"] = True
    app.run()
    app.number_input(key="lever.supplementary_ceiling").set_value(50.0).run()
    app.slider(key="lever.budget_growth_adjustment").set_value(-0.2).run()
    app.session_state["more_levers"] = False
    app.run()
    settings = ("supplementary_ceiling=50000000@2027-01-01", "budget_growth_adjustment=-0.002@2027-01-01")
    assert all(f"--set {setting}" in command(app) for setting in settings)
    assert fund_page.headline(outcome(ref, 2035, *settings)) in headlines(app)["Your reform"]


def test_every_lever_of_the_scheme_has_a_widget(app, ref):
    app.session_state["more_levers"] = True
    app.run()
    drawn = {w.key for w in (*app.slider, *app.number_input)}
    assert drawn == {f"lever.{name}" for name in state.lever_names(ref.scheme)}


def test_reset_goes_back_to_todays_law(app):
    before = headlines(app)
    app.slider(key=GENERAL).set_value(5.9).run()
    assert headlines(app) != before
    app.button(key="reset").click().run()
    assert headlines(app) == before
    assert app.slider(key=GENERAL).value == 5.17


def test_start_and_horizon(app, ref):
    app.slider(key=GENERAL).set_value(5.57).run()
    app.date_input(key="start").set_value(dt.date(2030, 7, 1)).run()
    app.selectbox(key="horizon").set_value(2045).run()
    expected = fund_page.headline(outcome(ref, 2045, "general_premium_rate=0.0557@2030-07-01"))
    assert expected in headlines(app)["Your reform"]
    app.date_input(key="start").set_value(dt.date(2050, 1, 1)).run()
    assert texts.STARTS_LATE in [i.value for i in app.info]


def test_link_restores_the_scenario_in_another_session(app):
    app.slider(key=GENERAL).set_value(5.57).run()
    app.selectbox(key="horizon").set_value(2045).run()
    other = with_link(link(app))
    assert headlines(other) == headlines(app)
    assert other.slider(key=GENERAL).value == 5.57
    assert [i.value for i in other.info] == [texts.LINK_RESTORED]
    assert link(other) == link(app)


def test_bad_link_says_what_was_dropped(app):
    other = with_link(link(app).replace("general_premium_rate:0.0517", "general_premium_rate:0.0717"))
    (said,) = [i.value for i in other.info]
    assert "Not taken from the link: General premium rate" in said
    assert "0 to 0.06, by NHI Act Art. 18" in said
    assert other.slider(key=GENERAL).value == 5.17


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "gASVKAAAAAAAAACMBXBvc2l4lIwGc3lz", "~" * 5000, "１~２"])
def test_hostile_link_leaves_todays_law(text):
    other = with_link(text)
    assert not other.exception
    assert [i.value for i in other.info] == [texts.LINK_UNREADABLE]
    assert other.slider(key=GENERAL).value == 5.17


def test_two_sessions_do_not_see_each_others_levers(app):
    other = AppTest.from_file(str(SCRIPT), default_timeout=60).run()
    before = headlines(other)
    app.slider(key=GENERAL).set_value(5.9).run()
    other.run()
    assert headlines(other) == before
    assert other.slider(key=GENERAL).value == 5.17
    assert headlines(app) != before


@pytest.mark.parametrize("name", list(texts.TABS))
def test_each_tab_opens_without_a_fault(app, name):
    app.slider(key=GENERAL).set_value(5.4).run()
    app.session_state["tab"] = texts.TABS[name]
    app.run()
    assert not app.exception
    assert not app.error
    opened = [tab.label for tab in app.tabs if len(tab.children)]
    assert opened == [texts.TABS[name]]


def view(ref, horizon: int, general: float) -> View:
    levers = state.todays_law(ref.law, dt.date(2027, 1, 1), horizon)
    levers = state.with_tie(ref.law, state.Levers(levers.start, horizon, {**levers.values, state.GENERAL: general}))
    reform = state.reform_of(ref.law, levers)
    return View(ref, levers, reform, service.baseline(ref, horizon), service.reformed(ref, horizon, reform))


def test_committee_table_is_the_solvers_and_the_engines(ref):
    shown = view(ref, 2035, 0.0557)
    rates, accounts = tabs.committee(shown, 2027)
    assert rates[texts.COMMITTEE_TARGET].tolist() == [1.0, 1.5, 2.0, 2.5]
    for i, target in enumerate(tabs.TARGETS):
        for chance in tabs.CHANCES:
            answer = required_rate(
                ref.basis,
                ref.law,
                months=target,
                year=2027,
                start=dt.date(2027, 1, 1),
                probability=chance,
                throughout=False,
            )
            found = rates[texts.committee_rate(chance)][i]
            wanted = "above the legal limit of 6%" if answer.rounded is None else f"{100 * answer.rounded:.2f}%"
            assert found == wanted
            if chance == 0.5:
                rate = answer.limit if answer.rounded is None else answer.rounded
        policy = with_rate(ref.law, rate, dt.date(2027, 1, 1))
        result = project(ref.basis.until(2035), policy)
        assert accounts["reserve"][i] == pytest.approx(np.median(result.closing[1]), abs=1e-9)
        months = result.reserve_months[2]
        assert accounts[texts.committee_months(2028)][i] == f"{np.median(months):.2f} ({(months >= target).mean():.0%})"


def test_infeasible_rate_names_the_legal_limit(ref):
    answer = service.rate_for(ref, Reform(), dt.date(2027, 1, 1), months=40.0, year=2035, probability=0.9)
    words = texts.rate_answer(answer.rounded, answer.exact, answer.limit, answer.limit_source, answer.reached)
    assert "above the legal limit of 6%" in words
    assert "NHI Act Art. 18" in words


def test_rate_does_not_hang_on_the_general_lever(ref):
    question = {"months": 1.0, "year": 2030, "probability": 0.5}
    start = dt.date(2027, 1, 1)
    moved = Reform.parse(["general_premium_rate=0.058@2027-01-01"])
    assert service.rate_for(ref, moved, start, **question) == service.rate_for(ref, Reform(), start, **question)


def test_shared_arrays_cannot_be_written(ref):
    result = service.baseline(ref, 2035).projection
    with pytest.raises(ValueError, match="read-only"):
        result.closing[0] = 0.0


def test_engine_refusal_is_shown_and_the_page_lives_on(app):
    app.session_state["lever.general_premium_rate"] = 5.5
    app.session_state["lever.supplementary_threshold.rent"] = -5000.0
    app.run()
    assert not app.exception
    (said,) = [e.value for e in app.error]
    assert "supplementary_threshold.rent: found -5000; allowed: 0 to 1e+06" in said
    assert headlines(app)["Your reform"].replace("Your reform", "") == headlines(app)["Today's law"].replace(
        "Today's law", ""
    )


def test_caption_names_fit_law_assumptions_and_sources(app, ref):
    words = " ".join(c.value for c in app.caption)
    assert ref.fit_hash[:12] in words
    assert ref.scheme.content_hash[:12] in words
    assert "everything in it is made up." in words
    assert "TW-S01" in words


def test_evidence_page_shows_sources_breaks_and_what_is_assumed(ref):
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "from made_up_dashboard import made_up_reference\n"
        "from forecaster_dashboards import evidence_page\n"
        "evidence_page.show(made_up_reference())\n"
    )
    app = AppTest.from_string(code, default_timeout=60).run()
    assert not app.exception
    assert not app.error
    frames = [d.value for d in app.dataframe]
    assumed = next(f for f in frames if "article" in f.columns)
    enacted = {n for n, p in ref.scheme.parameters.items() if all(v.status != "assumed" for v in p.values)}
    assert set(assumed["parameter"]).isdisjoint(enacted)
    assert "government_floor_basis" in set(assumed["parameter"])
    sources = next(f for f in frames if "publisher" in f.columns)
    total = len(sources)
    app.text_input(key="source_filter").set_value("TW-S41").run()
    found = next(f for f in (d.value for d in app.dataframe) if "publisher" in f.columns)
    assert 0 < len(found) < total
    assert texts.sources_shown(len(found), total) in [c.value for c in app.caption]


LEARNT = pd.DataFrame(
    [
        ("fund", "tilt", "Normal(mu=0, sigma=1)", -1.645, 0.0, 1.645, -1.7, 0.1, 1.75, -0.05, 0.54, "no data"),
        ("fund", "cost_sd", "HalfNormal(sigma=1)", 0.063, 0.674, 1.96, 0.5, 0.6, 0.7, 0.8946, 0.45, "shocks"),
    ],
    columns=[
        *("block", "name", "prior", "prior_q5", "prior_q50", "prior_q95", "posterior_q5", "posterior_q50"),
        *("posterior_q95", "learnt", "prior_below", "why"),
    ],
)


def test_what_the_data_taught_stands_first_where_they_taught_most():
    shown = evidence_page.learnt_frame(LEARNT)
    assert shown["parameter"].tolist() == ["cost_sd", "tilt"]
    assert shown["learnt"].tolist() == ["89%", "0%"]
    assert shown["prior, 90% range"].tolist() == ["0.063 to 1.96", "-1.645 to 1.645"]
    assert shown["with the data, median"].tolist() == ["0.6", "0.1"]


def test_evidence_page_shows_what_the_data_taught():
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "import dataclasses, io, pandas as pd\n"
        "from made_up_dashboard import made_up_reference\n"
        "from forecaster_dashboards import evidence_page, texts\n"
        f"learnt = pd.read_csv(io.StringIO({LEARNT.to_csv(index=False)!r}))\n"
        "checks = pd.DataFrame([[*('abc' * 4)]], columns=list(texts.CHECK_COLUMNS) + ['posterior_below_past'])\n"
        "ref = made_up_reference()\n"
        "absurd = {'absurd_futures': {'prior': 0.021, 'posterior': 0.0}}\n"
        "manifest = {**ref.manifest, **absurd}\n"
        "evidence_page.show(dataclasses.replace(ref, learnt=learnt, checks=checks, manifest=manifest))\n"
    )
    app = AppTest.from_string(code, default_timeout=60).run()
    assert not app.exception
    assert texts.LEARNT in [heading.value for heading in app.subheader]
    assert any(
        "the model makes 2.1 of 100 futures" in m.value and "with the data 0.0." in m.value for m in app.markdown
    )
    assert ["cost_sd", "tilt"] in [list(d.value["parameter"]) for d in app.dataframe if "learnt" in d.value.columns]


@pytest.mark.usefixtures("_no_reference_kept")
def test_no_fit_is_one_sentence():
    code = (
        "from forecaster.errors import ForecasterError\n"
        "from forecaster_dashboards import main, service\n"
        "def none(pool): raise ForecasterError('no whole fit; make one with: forecaster fit ' + pool)\n"
        "service.obtain = none\n"
        "main.run()\n"
    )
    app = AppTest.from_string(code, default_timeout=60).run()
    assert not app.exception
    (said,) = [e.value for e in app.error]
    assert said == f"{texts.NO_FIT} no whole fit; make one with: forecaster fit tw_nhi"


def test_bayesian_libraries_stay_out_of_the_process():
    code = (
        "import json, sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(SCRIPT)!r}, default_timeout=60).run()\n"
        "assert not app.exception, app.exception\n"
        "heavy = {'pymc', 'arviz', 'pytensor', 'nutpie', 'altair', 'forecaster_models'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert json.loads(done.stdout) == []


def _environment() -> dict[str, str]:
    import os

    rooms = SCRIPT.parent.parent
    path = os.pathsep.join(str(p) for p in (rooms, rooms / "models", rooms / "dashboards", SCRIPT.parent))
    return os.environ | {"PYTHONPATH": path}


def test_downloads_are_the_command_lines_tables(ref):
    from forecaster.export import csv_bytes, forecast_table, run_scenarios

    shown = view(ref, 2035, 0.0557)
    policy = ref.law.reform(Reform.parse(["general_premium_rate=0.0557@2027-01-01"]))
    wanted = csv_bytes(forecast_table(run_scenarios(ref.basis.until(2035), ref.law, policy)))
    assert csv_bytes(forecast_table(tabs.scenarios(shown))) == wanted
    assert tabs.manifest(shown)["reform"]["changes"] == ["general_premium_rate=0.0557@2027-01-01"]
    assert charts.FAN_TITLES.keys() == {"reserve_months", "reserve"}


@pytest.mark.usefixtures("_no_reference_kept")
def test_shipped_script_shows_the_shipped_fit():
    from forecaster.fitted import load_fit

    fit = load_fit("tw_nhi")
    app = AppTest.from_file(str(SCRIPT.parent.parent / "dashboards" / "app.py"), default_timeout=120).run()
    assert not app.exception
    assert not app.error
    law = service.law_in_force("tw_nhi")
    basis = fit.basis(service.LAST_YEAR).until(2035)
    expected = fund_page.headline(Outcome(Scenario("baseline", basis, law, project(basis, law))))
    assert expected in headlines(app)["Today's law"]
    assert fit.manifest["hash"][:12] in " ".join(c.value for c in app.caption)
