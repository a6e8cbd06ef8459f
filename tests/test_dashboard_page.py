"""The pages without a browser: levers move the figures, links restore them, and every figure is the engine's."""

from __future__ import annotations

import datetime as dt
import html
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from forecaster.cli.dashboard import own_pool
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import Scenario, csv_bytes, forecast_table, run_scenarios
from forecaster.mainland import care_payers
from forecaster.policy import Policy, Reform
from forecaster.pools import find_pool
from forecaster.solve import Goal, required_rate, with_rate
from forecaster.transplant_need import WITH, WITHOUT
from forecaster_dashboards import (
    access,
    downloads,
    evidence_page,
    export_page,
    figures,
    followed,
    fund_page,
    language,
    main,
    protection_page,
    references,
    saved,
    schemes_page,
    server,
    service,
    solve_page,
    state,
    words,
)
from forecaster_dashboards import view as view_module
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.view import View
from made_up_dashboard import made_up_reference, residents_reference

pytestmark = pytest.mark.usefixtures("packages_scanned_once")
SCRIPT = Path(__file__).resolve().parent / "made_up_dashboard.py"
GENERAL = "lever.general_premium_rate"
SUPPLEMENTARY = "lever.supplementary_premium_rate"
# Seconds: the first page waits until Numba has compiled the engine, and no test is about time.
PATIENCE_S = 600
START = dt.date(2027, 1, 1)


@pytest.fixture(autouse=True)
def _service_as_shipped(monkeypatch):
    """What the tests' script and the tests put in the fit's place is taken out again after each test."""
    monkeypatch.setattr(references, "obtain", references.obtain)
    monkeypatch.setattr(references, "served_pools", references.served_pools)


@pytest.fixture(autouse=True)
def _no_part_of_a_page_fails(caplog):
    """A page says that a part of it failed and goes on; in the tests that is a failure, unless a test clears it."""
    yield
    assert [record.exc_text for record in caplog.records if record.name == "forecaster.dashboard"] == []


@pytest.fixture
def _no_reference_kept():
    references.reference.cache_clear()
    yield
    references.reference.cache_clear()


@pytest.fixture(scope="module")
def ref():
    return made_up_reference()


def opened(page: str = "fund", **address: str) -> AppTest:
    """A page in a session of its own; pages other than the fund's through a script of one line."""
    app = AppTest.from_file(str(SCRIPT), default_timeout=PATIENCE_S)
    app.session_state["page"] = page
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def headlines(app: AppTest) -> dict[str, str]:
    """Text of the two cards by scenario, ``today`` and ``reform``."""
    (body,) = [e.proto.body for e in app.get("html") if "class='cards'" in e.proto.body]
    return dict(re.findall(r"<div class='card (\w+)'><b>[^<]*</b>(.*?)</div>", body))


def card(outcome: Outcome) -> str:
    """What the card of that outcome holds."""
    return "".join(f"<p>{html.escape(text)}</p>" for text in fund_page.headline(outcome))


def command(app: AppTest) -> str:
    return next(c.value for c in app.code if c.value.startswith("forecaster"))


def link(app: AppTest) -> str:
    return next(c.value for c in app.code if "?s=" in c.value).split("?s=", 1)[1]


def sharing() -> AppTest:
    """The fund's page with link and command shown."""
    app = opened()
    app.session_state["share"] = True
    return app.run()


def address(app: AppTest, name: str) -> str:
    """A parameter of the address, whether the test or the page has set it."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def outcome(ref, horizon: int, *settings: str) -> Outcome:
    basis, policy = ref.basis.until(horizon), ref.law.reform(Reform.parse(settings))
    return Outcome(Scenario("reform" if settings else "baseline", basis, policy, project(basis, policy)))


def test_page_opens_at_todays_law_and_names_what_it_rests_on(ref):
    app = sharing()
    assert not app.exception
    assert not app.error
    expected = card(outcome(ref, 2035))
    assert headlines(app) == {"today": expected, "reform": expected}
    assert app.slider(key=GENERAL).value == 5.17
    assert app.slider(key=SUPPLEMENTARY).value == 2.11
    assert app.slider(key=SUPPLEMENTARY).disabled
    assert command(app) == "forecaster project tw_nhi_2g --horizon 2035 \\\n  --out my-forecast"
    assert "s" not in app.query_params
    text = " ".join(c.value for c in app.caption)
    assert ref.fit_hash[:12] in text
    assert ref.scheme.content_hash[:12] in text
    assert "everything in it is made up." in text
    assert "TW-S01" in text


def test_headline_says_the_engines_chances(ref):
    today = outcome(ref, 2035)
    below = (today.projection.closing / today.projection.outgo * 12 < 1)[:5].any(axis=0).mean()
    gone = (today.projection.closing < 0).any(axis=0).mean()
    text = " ".join(fund_page.headline(today))
    assert (
        f"In {round(100 * below)} of 100 simulated futures the reserve falls below one month of outlay by 2030" in text
    )
    assert f"in {round(100 * gone)} of 100 simulated futures it has run out by 2035" in text


def test_meter_is_the_engines_chance_for_both_years(ref):
    shown = fund_page.meter(view(ref, 2035, 0.0557))
    for setting, name in (((), "today"), (("general_premium_rate=0.0557@2027-01-01",), "reform")):
        months = outcome(ref, 2045, *setting).projection.reserve_months
        for last in (2035, 2045):
            share = round(100 * (months[: last - 2025] >= 1.0).all(axis=0).mean())
            assert f"width:{share}%;background:var(--{name})'></i></span><b>{share}%</b>" in shown


def test_slider_moves_the_reform_alone_the_address_follows_and_undo_goes_back(ref):
    app, other = sharing(), opened()
    first = headlines(app)
    app.slider(key=GENERAL).set_value(5.57).run()
    second = headlines(app)
    assert second["today"] == first["today"]
    assert second["reform"] == card(outcome(ref, 2035, "general_premium_rate=0.0557@2027-01-01")) != first["reform"]
    assert app.slider(key=SUPPLEMENTARY).value == 2.27
    assert "--set general_premium_rate=0.0557@2027-01-01" in command(app)
    assert address(app, "s") == link(app)
    # Another session sees nothing of it.
    other.run()
    assert headlines(other) == first
    assert other.slider(key=GENERAL).value == 5.17
    app.slider(key=GENERAL).set_value(5.8).run()
    app.button(key="undo").click().run()
    assert headlines(app) == second
    app.selectbox(key="horizon").set_value(2045).run()
    again = opened(s=address(app, "s"))
    assert headlines(again) == headlines(app)
    assert again.slider(key=GENERAL).value == 5.57
    assert [i.value for i in again.info] == ["The levers stand as the link has them."]
    app.button(key="undo").click().run()
    app.button(key="undo").click().run()
    assert headlines(app) == first
    assert app.slider(key=GENERAL).value == 5.17
    assert "s" not in app.query_params


def test_untied_rate_stays_reset_goes_back_and_the_reform_has_a_start(ref):
    app = sharing()
    before = headlines(app)
    app.toggle(key="follows").set_value(False).run()
    app.slider(key=SUPPLEMENTARY).set_value(2.5).run()
    app.slider(key=GENERAL).set_value(5.3).run()
    assert app.slider(key=SUPPLEMENTARY).value == 2.5
    assert "--set supplementary_premium_rate=0.025@2027-01-01" in command(app)
    app.toggle(key="follows").set_value(True).run()
    assert app.slider(key=SUPPLEMENTARY).value == 2.16
    assert "supplementary" not in command(app)
    assert headlines(app) != before
    app.button(key="reset").click().run()
    assert headlines(app) == before
    assert "s" not in app.query_params
    app.slider(key=GENERAL).set_value(5.57).run()
    app.date_input(key="start").set_value(dt.date(2030, 7, 1)).run()
    app.selectbox(key="horizon").set_value(2045).run()
    assert headlines(app)["reform"] == card(outcome(ref, 2045, "general_premium_rate=0.0557@2030-07-01"))
    app.date_input(key="start").set_value(dt.date(2050, 1, 1)).run()
    assert any("starts after the last year shown" in i.value for i in app.info)


def test_every_lever_has_a_widget_and_acts(ref):
    app = opened("levers")
    drawn = {w.key for w in (*app.slider, *app.number_input, *app.selectbox) if str(w.key).startswith("lever.")}
    assert drawn == {f"lever.{name}" for name in ref.levers}
    app.number_input(key="lever.supplementary_ceiling").set_value(50.0).run()
    app.slider(key="lever.budget_growth_adjustment").set_value(-0.2).run()
    app.selectbox(key="lever.yearly_review").set_value("on").run()
    text = address(app, "s")
    assert text.endswith("~budget_growth_adjustment:-0.002~supplementary_ceiling:50000000~yearly_review:on")
    assert not app.exception


def test_a_known_plan_puts_the_levers_and_keeps_its_own_days(ref):
    app = opened("levers")
    app.selectbox(key="preset").set_value("supplementary_plan_2025_high").run()
    assert app.number_input(key="lever.supplementary_settlement_yield").value == 20.0
    assert app.number_input(key="lever.supplementary_ceiling").value == 50.0
    app.date_input(key="day.supplementary_ceiling").set_value(dt.date(2029, 1, 1)).run()
    text = address(app, "s")
    assert "~supplementary_ceiling:50000000@2029-01-01" in text
    app.button(key="keep").click().run()
    assert address(app, "c") == text
    app.button(key="reset").click().run()
    assert any(m.value.startswith("**A**: ") for m in app.markdown)


def test_a_later_step_of_a_lever_is_added_and_taken_out(ref):
    app = opened("levers", s=link_of(ref, "general_premium_rate=0.0547@2027-01-01"))
    app.number_input(key=f"step_value.{state.GENERAL}").set_value(5.87).run()
    app.button(key="add_step").click().run()
    text = address(app, "s")
    assert text.endswith("~general_premium_rate:0.0547~general_premium_rate:0.0587@2030-01-01")
    app.button(key="drop_step.0").click().run()
    assert address(app, "s") == link_of(ref, "general_premium_rate=0.0547@2027-01-01")


def link_of(ref, *settings: str, horizon: int = 2035) -> str:
    levers = state.levers_of(ref.law, ref.levers, Reform.parse(settings), START, horizon)
    return state.to_link(ref.law, levers, ref.fit_hash)


def test_money_is_counted_as_the_reader_counts_it_and_stays_the_same_money(ref):
    text = link_of(ref, "government_injection=24.7@2027-01-01", "supplementary_ceiling=20000000@2027-01-01")
    with language.speaking("zh_TW"):
        app = opened("levers", lang="zh_TW", s=text)
        injection, ceiling = (
            app.number_input(key=f"lever.{n}") for n in ("government_injection", "supplementary_ceiling")
        )
        assert (injection.value, ceiling.value) == (247.0, 2000.0)
        assert "億元／年" in injection.label
        assert "萬元" in ceiling.label
        app.query_params["lang"] = "en"
        app.run()
    injection, ceiling = (app.number_input(key=f"lever.{n}") for n in ("government_injection", "supplementary_ceiling"))
    assert (injection.value, ceiling.value) == (24.7, 20.0)
    assert address(app, "s") == text


def test_bad_link_says_what_was_dropped(ref):
    text = link_of(ref, "general_premium_rate=0.0557@2027-01-01").replace(":0.0557", ":0.0717")
    app = opened(s=text)
    (said,) = [i.value for i in app.info]
    assert "Not taken from the link: General premium rate: 7.17% lies outside 0.00% to 6.00%" in said
    assert "NHI Act Art. 18" in said
    assert app.slider(key=GENERAL).value == 5.17


def test_hostile_address_leaves_todays_law():
    texts = ("<script>alert(1)</script>", "gASVKAAAAAAAAACMBXBvc2l4lIwGc3lz", "１~２", "~" * 5000)
    app = opened(c=texts[0], pool=texts[0], lang=texts[0])
    assert any("names a fund that is not shown here" in i.value for i in app.info)
    for text in texts:
        app.query_params["s"] = text
        app.run()
        assert not app.exception
        assert any("could not be read" in i.value for i in app.info), text
        assert app.slider(key=GENERAL).value == 5.17
    for page in ("solve", "protection"):
        app = opened(page, q=texts[0], p=texts[0])
        assert not app.exception
        assert f"Not taken from the link: “{texts[0]}”." in [i.value for i in app.info]


@pytest.mark.parametrize("name", list(main.page_titles()))
def test_each_page_opens_in_chinese_without_a_raw_message(ref, name):
    """On a page in Chinese no sentence of the catalogue is left in English."""
    sentences = [text for text in language_messages() if len(text) > 25 and "{" not in text]
    text = link_of(ref, "general_premium_rate=0.054@2027-01-01")
    for tongue in ("zh_TW", "zh_CN"):
        app = opened(name, lang=tongue, s=text)
        assert not app.exception, (tongue, app.exception)
        assert not app.error, (tongue, app.error)
        shown = " ".join(
            str(part.value) for part in (*app.markdown, *app.caption, *app.info, *app.subheader, *app.title)
        )
        assert [sentence for sentence in sentences if sentence in shown] == [], tongue
        assert len(re.findall("[\u4e00-\u9fff]", shown)) > 40, tongue


def language_messages() -> list[str]:
    from babel.messages.pofile import read_po

    with (language.CATALOGUES / "zh_TW.po").open("rb") as stream:
        return [str(message.id) for message in read_po(stream) if message.id and message.string != message.id]


def test_each_chart_opens_without_a_fault(ref):
    app = opened(s=link_of(ref, "general_premium_rate=0.054@2027-01-01"))
    drawn = {}
    for name in fund_page.chart_names():
        app.session_state["chart"] = name
        app.run()
        assert not app.exception, name
        assert not app.error, name
        drawn[name] = [spec["title"]["text"] for spec in specs(app)] + [list(d.value.columns) for d in app.dataframe]
    assert all(drawn.values())
    assert len({str(shown) for shown in drawn.values()}) == len(drawn)


def specs(app: AppTest) -> list[dict]:
    """Specifications of the charts of a page."""
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def view(ref, horizon: int, general: float) -> View:
    setting = f"general_premium_rate={general}@2027-01-01"
    reform = Reform() if general == 0.0517 else Reform.parse([setting])
    levers = state.levers_of(ref.law, ref.levers, reform, START, horizon)
    assert state.reform_of(ref.law, levers) == reform
    return View(ref, levers, reform, service.baseline(ref, horizon), service.reformed(ref, horizon, reform))


def test_waterfall_parts_sum_to_the_whole_difference(ref):
    settings = ("general_premium_rate=0.0557@2027-01-01", "supplementary_ceiling=50000000@2028-01-01")
    reform = Reform.parse(settings)
    levers = state.levers_of(ref.law, ref.levers, reform, START, 2035)
    shown = View(ref, levers, reform, service.baseline(ref, 2035), service.reformed(ref, 2035, reform))
    rows = figures.FIGURES["waterfall"].made(shown)[0]["datasets"]["rows"]
    law, after = (float(o.projection.reserve_months[-1].mean()) for o in (shown.today, shown.outcome))
    assert [row["name"] for row in rows[1:3]] == ["General premium rate", "Ceiling of one payment"]
    assert rows[0]["high"] == pytest.approx(law, abs=1e-4)
    assert rows[-1]["high"] == pytest.approx(after, abs=3e-4)


def test_committee_table_is_the_solvers_and_the_engines(ref):
    rates, accounts = solve_page.committee(view(ref, 2035, 0.0557), 2027)
    assert rates["target, months"].tolist() == [1.0, 1.5, 2.0, 2.5]
    for i, target in enumerate(solve_page.TARGETS):
        for chance in solve_page.COMMITTEE_CHANCES:
            asked = {"months": target, "year": 2027, "start": START, "probability": chance, "throughout": False}
            answer = required_rate(ref.basis, ref.law, **asked)
            wanted = "above the legal limit of 6%" if answer.rounded is None else f"{100 * answer.rounded:.2f}%"
            assert rates[solve_page.chance_column(chance)][i] == wanted
            if chance == 0.5:
                rate = answer.limit if answer.rounded is None else answer.rounded
        result = project(ref.basis.until(2035), with_rate(ref.law, rate, START))
        assert accounts["reserve"][i] == pytest.approx(np.median(result.closing[1]), abs=1e-9)
        months = result.reserve_months[2]
        cell = accounts[solve_page.months_column(2028)][i]
        assert cell == f"{np.median(months):.2f} ({(months >= target).mean():.0%})"


def test_targets_are_multiples_of_the_laws_least_reserve():
    """Of the mainland's funds, whose least is six months, one month would be an answer to nobody's question."""
    ref = residents_reference()
    assert solve_page.least_months(ref) == 6.0
    rates, _accounts = solve_page.committee(view(ref, 2035, 1.1), 2035)
    assert rates["target, months"].tolist() == [6.0, 9.0, 12.0, 15.0]
    chance = solve_page.chance_column(0.5)
    goal = Goal(9.0, 2035, START, 0.5, False)
    assert rates[chance][1] == f"{100 * service.required(ref, Reform(), state.GENERAL, goal).rounded:.2f}%"


def test_infeasible_rate_names_the_legal_limit(ref):
    answer = service.required(ref, Reform(), state.GENERAL, Goal(40.0, 2035, START, 0.9))
    text = words.rate_answer(None, answer.exact, "6.00%", answer.limit_source, answer.reached)
    assert answer.rounded is None
    assert "beyond the limit of 6.00%" in text
    assert "NHI Act Art. 18" in text


def test_answer_does_not_hang_on_the_lever_that_is_solved_for(ref):
    moved, goal = Reform.parse(["general_premium_rate=0.058@2027-01-01"]), Goal(1.0, 2030, START, 0.5)
    one, other = (service.required(ref, reform, state.GENERAL, goal) for reform in (moved, Reform()))
    assert one == other


def test_frontier_is_the_engines(ref):
    goal = Goal(1.0, 2030, START, 0.9)
    found = service.frontier(ref, Reform(), goal)
    i, j = 2, len(found.general) - 2
    settings = [f"general_premium_rate={found.general[j]}@2027-01-01"]
    settings += [f"supplementary_premium_rate={found.supplementary[i]}@2027-01-01"]
    months = project(ref.basis.until(2030), ref.law.reform(Reform.parse(settings))).reserve_months
    assert found.chance[i, j] == (months[1:] >= 1.0).all(axis=0).mean()
    assert 0.0517 in found.general
    assert 0.0211 in found.supplementary
    assert (np.diff(found.chance, axis=0) >= 0).all()
    assert (np.diff(found.chance, axis=1) >= 0).all()


def test_question_and_answer_stand_in_the_address():
    """The question comes back from it, a piece that is none is named, and the answer is put on the lever."""
    app = opened("solve", q="supplementary_premium_rate~2~2030~0.8")
    shown = [app.selectbox(key=f"solve_{name}").value for name in ("lever", "months.1", "chance")]
    assert shown == ["supplementary_premium_rate", 2.0, 0.8]
    assert app.selectbox(key="solve_year.2027.2060").value == 2030
    app = opened("solve", q="general_premium_rate~1~1830~0.9")
    assert [i.value for i in app.info] == ["Not taken from the link: “1830”."]
    app.selectbox(key="solve_months.1").set_value(1.5).run()
    app.button(key="take_answer").click().run()
    text = address(app, "s")
    assert "~general_premium_rate:" in text
    assert address(app, "q") == "general_premium_rate~1.5~2035~0.9"
    (said,) = [s.value for s in app.success]
    assert f"{100 * float(text.rsplit(':', 1)[1]):.2f}%" in said


def test_terms_of_care_stand_in_the_address():
    """Stack, year, group, its further layers and changed terms come back; what is none of them is named."""
    app = opened("protection")
    first = address(app, "p")
    stack, year, largest, group, _covered = first.split("~")
    layer = app.multiselect(key=f"covered.{stack}.{group}").options
    name = app.multiselect(key=f"terms.{stack}").options
    assert layer
    assert name
    known = protection_page.stacks()[stack]
    term = protection_page._offered(known)[0]
    low, high = (state.shown(known.law.parameters[term], bound) for bound in known.law.parameters[term].bounds)
    wanted = f"{stack}~{year}~{largest}~{known.groups[0]}~~{term}:{round((low + high) / 2):g}"
    again = opened("protection", p=f"{wanted}~{term}:{high + 1:g}~nothing:1")
    assert not again.exception
    assert not again.error
    assert address(again, "p") == wanted
    assert [i.value for i in again.info] == [state.dropped(f"{term}:{high + 1:g}"), state.dropped("nothing:1")]


def residents_page() -> AppTest:
    """The page of protection beside the residents' fund, three draws of it, with the layers behind it."""
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "import streamlit as st\n"
        "from made_up_dashboard import residents_reference\n"
        "from forecaster_dashboards import levers, protection_page, view\n"
        "st.session_state[view.LANGUAGE] = 'en'\n"
        "ref = residents_reference()\n"
        "levers.prepare(ref)\n"
        "protection_page.show(ref)\n"
    )
    return AppTest.from_string(code, default_timeout=PATIENCE_S).run()


def _made_up_need(basis, policy, years):
    """Shares from 0 to 10%, half as large under any reform."""
    shares = np.linspace(0.0, 0.1, 11) / (2.0 if policy.change.changes else 1.0)
    return {(year, "all", "impoverished"): shares for year in years}


def test_terms_of_layers_become_levers_of_the_fund_and_go_back(monkeypatch):
    # Households are drawn and tested with the engine; here it is what the page asks for and makes of the answer.
    monkeypatch.setattr(service, "households_in_need", _made_up_need)
    app, ref = residents_page(), residents_reference()
    assert not app.exception
    stack, year = app.selectbox(key="stack").value, app.selectbox(key="stack_year").value
    assert stack == "cn_residents"
    assert app.button(key="terms_in").disabled
    term = "cn_serious_illness.deductible_income_share"
    app.multiselect(key=f"terms.{stack}").set_value([term]).run()
    app.number_input(key=f"term.{stack}.{term}.{year}").set_value(10.0).run()
    app.button(key="terms_in").click().run()
    assert not app.exception
    assert re.search(rf"~{re.escape(term)}:0.1(@|~|$)", address(app, "s"))
    assert any("Serious-illness" in m.value and "10.0%" in m.value for m in app.markdown)
    # Who pays is the engine's: what the fund's layers pay is its outgo under the reform.
    reform = Reform.parse([f"{term}=0.1@{year}-01-01"])
    app.session_state["care_paid"] = True
    app.run()
    (shown,) = [d.value for d in app.dataframe if str(d.value.columns[0]).startswith("payer (")]
    horizon = ref.horizons[0]
    at = next(s.value for s in app.selectbox if str(s.key).startswith("care_year")) - ref.first_year
    basis, policy = ref.basis.until(horizon), ref.law.reform(reform)
    outgo = project(basis, policy).outgo
    found = care_payers(basis, policy, outgo)
    np.testing.assert_allclose(shown["Your reform"][:-1], found.amounts[:, at].mean(axis=1), rtol=1e-9)
    assert shown["difference"].abs().max() > 1.0
    assert outgo[at].mean() > project(basis, ref.law).outgo[at].mean()
    app.session_state["in_need"] = True
    app.run()
    (need,) = [d.value for d in app.dataframe if str(d.value.columns[0]) == "share of households"]
    assert list(need["share of households"]) == [words.measures_of_need()["impoverished"]]
    assert list(need.iloc[0, 1:]) == pytest.approx([1.0, 5.0, 9.0, 0.5, 2.5, 4.5])
    app.button(key="terms_out").click().run()
    # The address holds no scenario any more.
    assert "s" not in app.query_params


def _made_up_households(rule, found, own, years, first_year, joining=None):
    """A tenth of households in need without the rule, a twentieth with it."""
    measures = (*words.measures_of_need(), "over_10_percent")
    shares = {WITHOUT: 0.1, WITH: 0.05}
    return {
        name: {(years[0], "all", measure): np.full(3, share) for measure in measures} for name, share in shares.items()
    }


@pytest.mark.usefixtures("_no_reference_kept")
def test_a_rule_of_another_law_tells_the_reserve_and_the_households(monkeypatch):
    monkeypatch.setattr(service, "households", _made_up_households)
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "import streamlit as st\n"
        "from forecaster.pools import find_pool\n"
        "from made_up_dashboard import made_up_reference, residents_reference\n"
        "from forecaster_dashboards import levers, references, schemes_page, view\n"
        "made = {'tw_nhi': made_up_reference, 'cn_urrbmi': residents_reference}\n"
        "references.obtain = lambda pool: made[pool]()\n"
        "references.served_pools = lambda: {name: find_pool(name) for name in made}\n"
        "st.session_state[view.LANGUAGE] = 'en'\n"
        "ref = references.reference('cn_urrbmi')\n"
        "levers.prepare(ref)\n"
        "schemes_page.show(ref)\n"
    )
    app = AppTest.from_string(code, default_timeout=PATIENCE_S).run()
    app.selectbox(key="rule.cn_urrbmi.tw_nhi").set_value("global_budget").run()
    assert not app.exception
    assert any("with the rule: stays above" in m.value for m in app.markdown)
    app.session_state["rule_need"] = True
    app.run()
    (need,) = [d.value for d in app.dataframe if str(d.value.columns[0]).startswith("share of households (")]
    assert list(need.iloc[:, 0]) == list(words.measures_of_need().values())
    assert need["Today's law"].tolist() == pytest.approx([10.0] * 3)
    assert need["with the rule"].tolist() == pytest.approx([5.0] * 3)


def test_shared_arrays_cannot_be_written(ref):
    result = service.baseline(ref, 2035).projection
    with pytest.raises(ValueError, match="read-only"):
        result.closing[0] = 0.0


def test_absurd_lever_is_refused_in_a_sentence_and_the_page_lives_on():
    app = opened()
    app.session_state["lever.supplementary_threshold.rent"] = -5000.0
    app.run()
    assert not app.exception
    (said,) = [e.value for e in app.error]
    assert "the page shows today's law" in said
    assert "lies outside TWD 0 to TWD 1,000,000" in said
    one, other = headlines(app).values()
    assert one == other


def test_laws_side_by_side_hold_each_files_values():
    found = schemes_page.schemes()
    frames = schemes_page.compared([found["tw_nhi_1g"], found["tw_nhi_2g"]], dt.date(2026, 1, 1))
    rates = frames["premium"].set_index("parameter").loc["General premium rate"]
    assert rates.tolist() == ["5.17%", "5.17%"]
    extra = frames["supplementary"].set_index("parameter").loc["Supplementary premium rate"]
    assert extra.tolist() == ["", "2.11%"]
    differing = schemes_page.compared([found["tw_nhi_2g"]] * 2, dt.date(2026, 1, 1), only_different=True)
    assert differing == {}


def test_scenario_file_is_read_back_as_the_same_reform(ref, tmp_path):
    settings = ["general_premium_rate=0.0557@2027-01-01", "yearly_review=on@2030-01-01"]
    reform = Reform.parse(settings)
    path = tmp_path / "reform.toml"
    path.write_text(export_page.reform_file(ref.law, reform, ref.fit_hash), encoding="utf-8")
    assert Reform.read(path) == reform
    assert tomllib.loads(path.read_text("utf-8"))["scheme"] == "tw_nhi_2g"


def test_downloads_are_the_command_lines_tables(ref):
    shown = view(ref, 2035, 0.0557)
    policy = ref.law.reform(Reform.parse(["general_premium_rate=0.0557@2027-01-01"]))
    wanted = csv_bytes(forecast_table(run_scenarios(ref.basis.until(2035), ref.law, policy)))
    assert csv_bytes(forecast_table(export_page.scenarios(shown))) == wanted
    assert export_page.manifest(shown)["reform"]["changes"] == ["general_premium_rate=0.0557@2027-01-01"]


def test_a_saved_scenario_comes_back_by_its_name(ref, tmp_path, monkeypatch):
    """A run like the command line's: its tables are the engine's, its reform is the levers'."""
    fit = tmp_path / "fit"
    fit.mkdir()
    (fit / "manifest.json").write_text('{"hash": "ab"}', encoding="utf-8")
    monkeypatch.setenv("FORECASTER_STORE", str(tmp_path / "runs"))
    monkeypatch.setattr(
        "forecaster.fitted.load_fit", lambda address: SimpleNamespace(folder=fit, weighting=lambda: None)
    )
    shown, held = view(ref, 2035, 0.0557), saved.store()
    both = (shown.today.scenario, shown.outcome.scenario)
    run = saved.save(held, find_pool("tw_nhi"), both, export_page.manifest(shown), "my_plan", "a test")
    (name, found), *others = saved.names(held, "tw_nhi", "tw_nhi_2g").items()
    assert (name, found.id, others) == ("my_plan", run.id, [])
    assert saved.reform_of(found, ref.law) == shown.reform
    assert held.read(found, "forecast.csv") == csv_bytes(forecast_table(both))
    with pytest.raises(ForecasterError):
        saved.save(held, find_pool("tw_nhi"), both, export_page.manifest(shown), "no name!", "a test")
    # The page follows whichever run holds the name, and shows what that run recorded.
    assert followed.followed(held, ref) is None
    held.promote(run, "official", "adopted")
    baseline = followed.followed(held, ref)
    assert baseline.run.id == run.id
    words_ = followed.origin(ref, baseline, named=True)
    assert words_[0].startswith(f"Run {run.short}, promoted on ")
    assert words_[0].endswith(": adopted")
    assert "General premium rate: 5.57% from January 1, 2027" in words_[1]
    assert followed.origin(ref, baseline, named=False)[0] == f"Run {run.short}, promoted on {run.created[:10]}"
    columns = followed.figures_of(baseline.world)
    months = both[1].projection.reserve_months
    np.testing.assert_allclose(columns["Reserve in months: median"][[0, -1]], np.median(months, axis=1)[[0, -1]])
    assert list(columns["Year"]) == [2026, 2030, 2035]
    monkeypatch.setenv("FORECASTER_BASELINE", "budget")
    assert followed.followed(held, ref) is None
    held.promote(run, f"budget-{ref.pool}", "of this pool alone")
    assert followed.followed(held, ref).promotion.name == f"budget-{ref.pool}"


def test_roles_come_from_claims_or_verified_addresses_only():
    settings = {"role_claim": "roles", "analysts": ["A@example.org"], "actuaries": ["b@example.org"]}
    assert access.role_of({"roles": ["actuary"]}, settings) == access.ACTUARY
    assert access.role_of({"email": "a@example.org", "email_verified": True}, settings) == access.ANALYST
    assert access.role_of({"email": "b@example.org", "email_verified": False}, settings) == access.VIEWER
    assert access.role_of({"email": "b@example.org"}, settings) == access.VIEWER
    assert access.role_of({"roles": "root"}, settings) == access.VIEWER
    assert access.role_of({}, {}) == access.VIEWER


def test_public_mode_is_read_only(monkeypatch):
    monkeypatch.setenv(access.PUBLIC, "1")
    assert access.role() == access.VIEWER
    assert not access.may_open("export")
    assert access.may_open("fund")
    monkeypatch.delenv(access.PUBLIC)
    assert access.may_open("export")


def test_own_pools_are_named_when_the_dashboard_is_started():
    assert references.own_pools(["--pool", "a", "--other", "1", "--pool=b"]) == ("a", "b")
    assert references.own_pools([]) == ()


def test_a_folder_that_is_no_pool_is_refused_before_the_dashboard_starts(tmp_path):
    with pytest.raises(ForecasterError, match="no pool"):
        own_pool(str(tmp_path))
    assert own_pool("tw_nhi") == "tw_nhi"


def page_script(name: str, *lines: str) -> AppTest:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "from made_up_dashboard import made_up_reference\n"
        f"from forecaster_dashboards import {name}\n"
        "import dataclasses, io, pandas as pd\n"
        "ref = made_up_reference()\n" + "".join(f"{line}\n" for line in lines) + f"{name}.show(ref)\n"
    )
    return AppTest.from_string(code, default_timeout=PATIENCE_S).run()


def sheets(app: AppTest) -> list[str]:
    """Tables of words of a page."""
    return [element.proto.body for element in app.get("html") if "class='sheet'" in element.proto.body]


def test_evidence_page_shows_sources_breaks_and_what_is_assumed(ref):
    app = page_script("evidence_page")
    assert not app.exception
    assert not app.error
    frames = [d.value for d in app.dataframe]
    (assumed,) = [text for text in sheets(app) if "article</th>" in text]
    enacted = {p.label for p in ref.scheme.parameters.values() if all(v.status != "assumed" for v in p.values)}
    told = set(re.findall(r"<th scope='row'>([^<]*)</th>", assumed))
    assert told.isdisjoint(html.escape(label) for label in enacted)
    assert ref.scheme.parameters["government_floor_basis"].label in told
    # The notes of why they are assumed stand in the table too, in full.
    assert html.escape(ref.scheme.parameters["grading_tail_exponent"].values[0].note) in assumed
    total = len(next(f for f in frames if "publisher" in f.columns))
    app.text_input(key="source_filter").set_value("TW-S41").run()
    found = next(f for f in (d.value for d in app.dataframe) if "publisher" in f.columns)
    assert 0 < len(found) < total
    assert f"{len(found)} of {total} sources" in [c.value for c in app.caption]


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
    assert shown["prior, 90% range"].tolist() == ["0.063 – 1.96", "-1.645 – 1.645"]
    assert shown["with the data, median"].tolist() == ["0.6", "0.1"]


def test_evidence_page_shows_what_the_data_taught():
    app = page_script(
        "evidence_page",
        f"learnt = pd.read_csv(io.StringIO({LEARNT.to_csv(index=False)!r}))",
        "told = dict(quantity='mean growth', line='outgo', unit='a year', past=0.05, past_years='9 steps, 2010-2024')",
        "told |= dict(prior_q5=-0.01, prior_q50=0.02, prior_q95=0.07)",
        "told |= dict(posterior_q5=0.0, posterior_q50=0.04, posterior_q95=0.08)",
        "checks = pd.DataFrame([told, told | dict(past=float('nan'), past_years=float('nan'))])",
        "manifest = {**ref.manifest, 'absurd_futures': {'prior': 0.021, 'posterior': 0.0}}",
        "ref = dataclasses.replace(ref, learnt=learnt, checks=checks, manifest=manifest)",
    )
    assert not app.exception
    assert "What the data taught" in [heading.value for heading in app.subheader]
    assert any(
        "the model makes 2.1 of 100 futures" in m.value and "with the data 0.0." in m.value for m in app.markdown
    )
    (checked,) = [text for text in sheets(app) if "ten years ahead</th>" in text]
    rows = [re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", row) for row in checked.split("<tr>")[2:]]
    row = ["mean growth", "Outgo", "a year", "0.020 (-0.010 – 0.070)", "0.040 (0.000 – 0.080)"]
    assert rows == [[*row, "0.050 (9 steps, 2010 to 2024)"], [*row, ""]]
    assert ["cost_sd", "tilt"] in [list(d.value["parameter"]) for d in app.dataframe if "learnt" in d.value.columns]


@pytest.mark.usefixtures("_no_reference_kept")
def test_no_fit_is_one_sentence():
    code = (
        "from forecaster.errors import ForecasterError\n"
        "from forecaster_dashboards import main, references\n"
        "def none(pool): raise ForecasterError('no whole fit')\n"
        "references.obtain = none\n"
        "main.run()\n"
    )
    app = AppTest.from_string(code, default_timeout=PATIENCE_S)
    app.query_params["lang"] = "zh_CN"
    app.run()
    assert not app.exception
    assert [e.value for e in app.error] == ["该基金尚无可显示的模型估计。请执行：forecaster fit tw_nhi"]
    # The engine's own words are English: behind a line that says so.
    assert [e.label for e in app.expander] == ["给系统管理员的细节（英文）"]
    assert [t.value for t in app.text] == ["no whole fit"]


@pytest.mark.parametrize("tongue", language.LANGUAGES)
def test_a_damaged_scenario_and_an_unforeseen_error_are_sentences_in_the_readers_language(
    ref, tongue, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("FORECASTER_STORE", str(tmp_path / "runs"))
    held, law = saved.open_store(), {"scheme": {"id": ref.scheme.id}}
    records = {
        "good": law | {"reform": {"changes": ["general_premium_rate=0.0557@2027-01-01"]}},
        "absurd": law | {"reform": {"changes": ["general_premium_rate=9@2027-01-01"]}},
        "garbled": law | {"reform": {"changes": ["no change at all"]}},
        "empty": {},
    }
    for name, record in records.items():
        run = held.publish("scenario", ref.scheme.pool, name, record, {"forecast.csv": b"year"}, why="a test")
        held.promote(run, name, "a test")
    # The test's own library reads the widgets' words in the language of this thread.
    with language.speaking(tongue):
        app = opened("levers", lang=tongue)
        (said,) = [w.value for w in app.warning]
        assert all(name in said for name in ("absurd", "garbled", "empty"))
        assert app.selectbox(key="saved").options == [f"good ({run.created[:10]})"]
        app.selectbox(key="saved").set_value("good").run()
        assert app.slider(key=GENERAL).value == 5.57
        monkeypatch.setattr(saved, "names", lambda *given: 1 / 0)
        app.run()
    (failed,) = [e.value for e in app.error]
    assert not app.exception
    assert [record.exc_info[0] for record in caplog.records if record.levelname == "ERROR"] == [ZeroDivisionError]
    # The log's error was wanted here.
    caplog.clear()
    for sentence in (said, failed):
        assert bool(re.search("[\u4e00-\u9fff]", sentence)) == (tongue != language.ENGLISH), sentence
        assert "cannot be brought back" not in sentence or tongue == language.ENGLISH


def test_bayesian_libraries_stay_out_of_the_process():
    code = (
        "import json, sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(SCRIPT)!r}, default_timeout={PATIENCE_S}).run()\n"
        "assert not app.exception, app.exception\n"
        "heavy = {'pymc', 'arviz', 'pytensor', 'nutpie', 'altair', 'forecaster_models'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    rooms = SCRIPT.parent.parent
    path = os.pathsep.join(str(p) for p in (rooms, rooms / "models", rooms / "dashboards", SCRIPT.parent))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout) == []


@pytest.mark.usefixtures("_no_reference_kept")
def test_shipped_script_shows_the_shipped_fit():
    from forecaster.fitted import load_fit

    fit = load_fit("tw_nhi")
    app = AppTest.from_file(str(server.PAGE), default_timeout=PATIENCE_S).run()
    assert not app.exception
    assert not app.error
    law = Policy(find_pool("tw_nhi").law)
    basis = fit.basis(references.LAST_YEAR).until(2035)
    assert headlines(app)["today"] == card(Outcome(Scenario("baseline", basis, law, project(basis, law))))
    assert fit.manifest["hash"][:12] in " ".join(c.value for c in app.caption)


def test_a_path_that_leads_nowhere_is_known():
    assert {server.FIRST, *server.PAGES} == set(main.page_titles())
    for path in ("/", "/fund", "/levers", "/_stcore/health", "/oauth2callback", "/auth/login", "/media/0.csv"):
        assert not server.is_lost(path), path
    assert server.is_lost("/nonsense")
    assert server.is_lost("/Levers")
    assert server.is_lost("/levers/more")


def test_words_of_a_table_wrap_and_none_of_them_is_markup(monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(view_module.st, "html", told.append)
    nothing = float("nan")
    frame = {"a": np.array(["<b>", "short"], dtype=object), "b & c": np.array([1234.56, nothing]), "year": [2030, 2031]}
    view_module.sheet(frame, caption="x < y")
    (table,) = told
    assert "<caption>x &lt; y</caption>" in table
    assert "&lt;b&gt;</th><td class='figure'>1,234.6</td><td class='figure'>2030</td></tr>" in table
    assert "short</th><td class='figure'>–</td>" in table
    # Five letters stay on a line; of a sentence no more than twenty, those of Chinese counted twice.
    assert "<th scope='col' style='min-width:3.8em'>a</th>" in table
    assert view_module._least_width("", ["字" * 50]) == view_module._least_width("", ["l" * 20]) == 12.5


def test_what_a_link_quotes_is_no_markup(monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(view_module.st, "info", lambda text, icon: told.append(text))
    view_module.notes(["Not taken: “[x](http://y)~1~*2*”."])
    assert told == [r"Not taken: “\[x\](http://y)\~1\~\*2\*”."]


def test_files_made_on_demand_are_not_cleared_at_every_run(monkeypatch):
    cleared: list[object] = []
    monkeypatch.setattr(downloads.MediaFileManager, "remove_orphaned_files", cleared.append)
    now = iter([0.0, 1.0, downloads.SPARED - 1.0, downloads.SPARED, downloads.SPARED])
    monkeypatch.setattr(downloads.time, "monotonic", lambda: next(now))
    downloads.spare.__wrapped__()
    manager = downloads.MediaFileManager.__new__(downloads.MediaFileManager)
    for wanted in (0, 0, 1):
        manager.remove_orphaned_files()
        assert len(cleared) == wanted
