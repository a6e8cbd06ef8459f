"""The actuarial report: its thirteen sections in three languages, honest on its face, unsigned."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import altair as alt
import docx
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster import pictures
from forecaster.cli import app
from forecaster.cli.pool import _SCHEME
from forecaster.cli.reconcile import reconciliation
from forecaster.cli.report import material_of
from forecaster.cli.shared import read_law
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.language import speaking
from forecaster.policy import Policy
from forecaster.pools import OPEN_START, Adjustment, find_pool
from forecaster.replay import Request
from forecaster.report import (
    LANGUAGES,
    Blank,
    Bullets,
    Heading,
    Paragraph,
    Picture,
    Table,
    Texts,
    render,
    report_blocks,
)
from forecaster.report.care import who_pays
from forecaster.report.content import _purpose, balances, title_of
from forecaster.report.rendering import _installed
from forecaster.report.stress import TESTS, Sensitivity, changed, groups, sensitivities
from forecaster.report.texts import read_texts
from forecaster.schemes import load_scheme
from forecaster.store import open_store
from funds import random_basis

COMMITTEE = ("--basis", "tw_nhi_committee_2020")
RATE = ("--set", "general_premium_rate=0.0557@2021-01-01")


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A store with a projection and a scenario; their runs."""
    address = str(tmp_path_factory.mktemp("kept") / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORECASTER_STORE", address)
        saved = []
        for more in ((), RATE):
            result = run(
                "project", "tw_nhi_2g", *COMMITTEE, *more, "--save", "<script>alert(1)</script> #set", "--json"
            )
            assert result.exit_code == 0, result.output
            saved.append(json.loads(result.stdout)["saved"])
    store = open_store(address)
    return store, *(store.find(name) for name in saved)


@pytest.fixture(scope="module")
def material(kept):
    store, first, second = kept
    return material_of(store, second, first)


@pytest.fixture(scope="module", autouse=True)
def _charts_once():
    """Each kind of chart is drawn once for all files."""
    drawn: dict[str, bytes] = {}

    def png(spec: dict) -> bytes:
        key = json.dumps([layer["mark"] for layer in spec["layer"]], sort_keys=True)
        if key not in drawn:
            drawn[key] = pictures.png(spec, scale=1.0)
        return drawn[key]

    def svg(spec: dict) -> bytes:
        if "svg" not in drawn:
            drawn["svg"] = pictures.svg(spec)
        return drawn["svg"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forecaster.report.rendering.png", png)
        patch.setattr("forecaster.report.rendering.svg", svg)
        yield


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A store with a reform kept on Taiwan's fit under one theory of cost growth, the run, its report's material."""
    address = str(tmp_path_factory.mktemp("fitted") / "runs")
    words = ("project", "tw_nhi_2g", "--draws", 40, "--horizon", 2030, "--theory", "trend")
    more = ("--option", "healthy_ageing=0.5", "--set", "general_premium_rate=0.0557@2027-01-01")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORECASTER_STORE", address)
        result = run(*words, *more, "--save", "預算會議", "--json")
    assert result.exit_code == 0, result.output
    store = open_store(address)
    found = store.find(json.loads(result.stdout)["saved"])
    return store, found, material_of(store, found)


def headings(blocks) -> list[str]:
    return [block.text for block in blocks if isinstance(block, Heading) and block.level == 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_thirteen_sections_stand_in_order(material, language):
    texts = Texts(language)
    found = [text for text in headings(report_blocks(material, texts)) if text[0].isdigit()]
    assert [int(text.split()[0]) for text in found] == list(range(1, 14))
    assert found == [texts(f"s{i}") for i in range(1, 14)]


def test_all_languages_say_the_same_things():
    words = {language: read_texts(language) for language in LANGUAGES}
    for language in LANGUAGES[1:]:
        assert set(words[language]) == set(words["en"])
        for key, text in words[language].items():
            places = [set(re.findall(r"{\w+}", t)) for t in (text, words["en"][key])]
            assert places[0] == places[1], (language, key)
            assert text.strip()
    assert words["zh-Hant"]["reserve"] != words["zh-Hans"]["reserve"]
    with pytest.raises(ForecasterError, match="there are en, zh-Hant, zh-Hans"):
        Texts("fr")


def shown(blocks) -> list[str]:
    """Every text of a report that a reader meets, each cell and label by itself."""
    found: list[str] = []
    for block in blocks:
        if isinstance(block, Heading | Paragraph):
            found.append(block.text)
        elif isinstance(block, Bullets | Blank):
            found += block.items
        elif isinstance(block, Table):
            found += [block.caption, *block.header, *(cell for row in block.rows for cell in row)]
        elif isinstance(block, Picture):
            found += [block.caption, block.alternative, *re.findall(r"[^\"]+", json.dumps(block.spec["title"]))]
    return found


# Two words of four letters or more that stand side by side and are no names, hashes or versions.
PROSE = re.compile(r"\b[A-Za-z]{4,} (?:[a-z]{1,3} )*[a-z]{4,}\b")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_chinese_report_holds_no_english_prose(fitted, language):
    material = fitted[2]
    quoted = {row[key] for row in material.sources for key in ("title", "publisher", "date")}
    blocks = report_blocks(material, Texts(language))
    assert title_of(material, Texts(language)) == {"zh-Hant": "全民健康保險（第二代）精算報告"}.get(
        language, "全民健康保险（第二代）精算报告"
    )
    tables = {block.header: block for block in blocks if isinstance(block, Table)}
    made_from = next(
        table for header, table in tables.items() if header == (Texts(language)("key"), Texts(language)("value"))
    )
    texts = [text for text in shown(blocks) if text not in quoted and text not in {row[1] for row in made_from.rows}]
    assert len(texts) > 500
    assert [text for text in texts if PROSE.search(re.sub(r"`.*`", "", text))] == []
    assert PROSE.search("of Art. 18, the reserve falls"), "the test can fail"
    # The certificate, the theory, the option and the reform are there, and money is counted as Chinese counts it.
    whole = "\n".join(texts)
    for words in {
        "zh-Hant": ("健康老化", "其他理論不採用", "一般保險費率：自2027年1月1日起 5.57%", "億元"),
        "zh-Hans": ("健康老龄化", "其他理论不采用", "自2027年1月1日起 5.57%", "亿元新台币"),
    }[language]:
        assert words in whole
    flows = next(
        b
        for b in blocks
        if isinstance(b, Table)
        and b.caption == Texts(language)("results_flows", money="億元" if language == "zh-Hant" else "亿元新台币")
    )
    assert flows.rows[0][2] == f"{10 * material.line('outgo')['mean'][2026]:,.1f}"


def test_a_run_under_one_theory_and_an_option_is_computed_again(fitted, monkeypatch):
    store, kept, _ = fitted
    monkeypatch.setenv("FORECASTER_STORE", store.address)
    found = json.loads(run("runs", "verify", kept.short, "--json").stdout)
    assert (found["faults"], found["recomputed"]["inputs"], found["recomputed"]["files"]) == ([], {}, [])


def test_an_option_of_spending_is_told_as_an_assumption(fitted):
    """The same run as if it had been kept without the option: what lies between is the option's part alone."""
    store, kept, _ = fitted
    files = {name: store.read(kept, name) for name in kept.files}
    files["request.json"] = replace(Request.read(files["request.json"]), options=()).as_file()
    plain = store.publish("scenario", kept.pool, "0" * 64, kept.manifest, files, why="without", parent=kept.parent)
    steps = reconciliation(store, [plain, kept])["steps"]
    found = steps[(steps["measure"] == "reserve") & (steps["year"] == 2030)].set_index("step")["value"]
    assert list(found.index) == ["first run", "assumptions", "model", "second run"]
    # The option makes ageing cheaper; both runs recorded the same, so what is not the option's is taken back by it.
    assert found["assumptions"] > 1.0
    assert found["model"] == pytest.approx(-found["assumptions"])


def test_who_pays_for_care_is_told_where_layers_stand_behind_the_fund(material):
    law = read_law("cn_urrbmi")
    payers = (*(layer.id for layer in law.stack.layers), "out_of_pocket", "all")
    years = material.key_years
    care = pd.DataFrame([(payer, year, 10.0 * i) for i, payer in enumerate(payers) for year in years])
    care.columns = pd.Index(["payer", "year", "mean"])
    need = pd.DataFrame({"place": ["all", "rural"], "measure": "forgone", "year": 2030, "q0.1": 0.01, "q0.5": 0.02})
    both = {"care": care, "need": need}
    tables = {name: t.assign(**{"scenario": material.scenario, "q0.9": 0.03}) for name, t in both.items()}
    asked = replace(material, scheme=law, tables={**material.tables, **tables})
    with speaking("zh_CN"):
        paid, needy, note = who_pays(asked, Texts("zh-Hans"))
    # The first payer pays nothing and is left out; bn count tenfold as 亿; * marks what the fund pays.
    named = [row[0] for row in paid.rows]
    assert named[:3] == ["大病保险 *", "城市定制型商业医疗保险（惠民保）", "医疗救助"]
    assert named[-2:] == ["家庭自付", "合计"]
    assert paid.rows[0][1] == "100.0"
    assert needy.rows == (("放弃就医", "2.00% (1.00% ... 3.00%)"),)
    assert note.style == "note"
    assert list(who_pays(material, Texts("en"))) == []


def test_the_opinion_is_blank_and_nothing_claims_compliance(material):
    blocks = report_blocks(material, Texts("en"))
    start = next(i for i, b in enumerate(blocks) if isinstance(b, Heading) and b.text.startswith("12 "))
    end = next(i for i, b in enumerate(blocks) if isinstance(b, Heading) and b.text.startswith("13 "))
    note, blank = blocks[start + 1 : end]
    assert isinstance(note, Paragraph)
    assert "does not sign" in note.text
    assert isinstance(blank, Blank)
    assert len(blank.items) == 6


def test_the_tables_are_the_runs_own(material):
    blocks = report_blocks(material, Texts("en"))
    flows = next(b for b in blocks if isinstance(b, Table) and b.caption.startswith("Flows and reserve"))
    mean = material.line("outgo")["mean"][2021]
    assert flows.rows[0][0] == "2021"
    assert flows.rows[0][2] == f"{mean:,.1f}"
    moved = next(b for b in blocks if isinstance(b, Table) and b.caption.startswith("What moved"))
    assert [row[0] for row in moved.rows] == ["previous run", "law", "this run"]
    assert sum(isinstance(b, Picture) for b in blocks) == 3


def test_provisions_are_printed_as_people_read_them(material):
    blocks = report_blocks(material, Texts("en"))
    at = next(i for i, b in enumerate(blocks) if isinstance(b, Table) and b.caption.startswith("Provisions"))
    printed = {row[0]: row[1] for row in blocks[at].rows}
    assert printed["General premium rate"] == "4.69%"
    assert "10,000,000 TWD" in printed.values()
    assert "further provisions stand in the scheme tw_nhi_2g" in blocks[at + 1].text


def test_a_law_whose_file_names_no_first_day_is_not_said_to_be_of_1900(material):
    assert "in force since 2013-01-01" in str(list(_purpose(material, Texts("en"))))
    template = replace(material, scheme=material.scheme.model_copy(update={"start": OPEN_START}))
    for language in LANGUAGES:
        assert "1900" not in str(list(_purpose(template, Texts(language))))
    assert f"from = {OPEN_START}  " in _SCHEME


def test_charts_are_sound_vega_lite(material):
    for block in report_blocks(material, Texts("zh-Hans")):
        if isinstance(block, Picture):
            alt.Chart.from_dict(block.spec, validate=True)
            assert block.alternative


def test_warnings_and_other_inputs_stand_on_the_face(kept, monkeypatch):
    store, _, second = kept
    monkeypatch.setattr("forecaster.manifest.code_hash", lambda: "0" * 64)
    material = material_of(store, second)
    record = {"status": "x", "warnings": ["WARNING: bands far too narrow"], "record": ["a", "b"], "certificate": None}
    material.run.manifest["backtest"] = record
    try:
        face = [block.text for block in report_blocks(material, Texts("en"))[:3] if isinstance(block, Paragraph)]
        # A run from before certificates were kept: better its own words than none.
        chinese = [
            block.text for block in report_blocks(material, Texts("zh-Hant"))[:3] if isinstance(block, Paragraph)
        ]
    finally:
        material.run.manifest["backtest"] = None
    assert face[1] == chinese[1] == "WARNING: bands far too narrow"
    assert "code.sha256" in face[2]


# --- as files ---------------------------------------------------------------------------------------------------------
def test_html_escapes_what_people_write(material):
    texts = Texts("en")
    content = render(report_blocks(material, texts), title_of(material, texts), "en", "html").decode()
    assert "<script>" not in content
    assert "&lt;script&gt;alert(1)&lt;/script&gt; #set" in content
    assert content.count("<svg") == 3
    assert content.count("<h2>") == 14


def test_word_opens_with_all_headings(material):
    texts = Texts("zh-Hant")
    content = render(report_blocks(material, texts), title_of(material, texts), "zh-Hant", "docx")
    document = docx.Document(io.BytesIO(content))
    assert [p.text for p in document.paragraphs if p.style.name == "Heading 1"][1:] == [
        texts(f"s{i}") for i in range(1, 14)
    ]
    assert len(document.inline_shapes) == 3
    page = document.sections[0]
    room = page.page_width - page.left_margin - page.right_margin
    for table in document.tables:
        assert sum(column.width for column in table.columns) == pytest.approx(room, rel=1e-3)
        assert "w:tblHeader" in table.rows[0]._tr.xml, "the header stands on every page"
    # A wide column of words gets the room, not each the same.
    first = document.tables[0]
    assert first.columns[0].width > 1.5 * first.columns[4].width


def test_the_pdf_is_the_same_each_time_and_tagged(material):
    texts = Texts("en")
    first, second = (render(report_blocks(material, texts), "A title", "en", "pdf", "run") for _ in range(2))
    assert first.startswith(b"%PDF-")
    assert first == second
    assert b"/StructTreeRoot" in first or b"/ObjStm" in first


def test_a_missing_font_is_told():
    with pytest.raises(ForecasterError, match="fonts-noto-cjk"):
        _installed(["DejaVu Sans"], "zh-Hant")
    assert _installed(["Noto Sans CJK TC", "DejaVu Sans"], "en") == ["DejaVu Sans", "Noto Sans CJK TC"]


def test_the_command_writes_and_never_overwrites(kept, tmp_path, monkeypatch):
    store, _, second = kept
    monkeypatch.setenv("FORECASTER_STORE", store.address)
    target = tmp_path / "report.docx"
    words = ("report", second.short, "--format", "docx", "--lang", "zh-Hant", "--out", target)
    assert run(*words).exit_code == 0
    assert "12 精算意見" in [paragraph.text for paragraph in docx.Document(target).paragraphs]
    refused = run(*words)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    assert "there are pdf, html, docx" in run("report", second.short, "--format", "odt").stderr


# --- what is computed for it ------------------------------------------------------------------------------------------
def test_a_test_changes_what_it_says_and_nothing_in_the_first_year():
    basis = random_basis(20, 4)
    found = changed(basis, Sensitivity("x", outgo_growth=0.01, base_growth=-0.02, outgo_shock=0.5, yield_change=0.003))
    np.testing.assert_array_equal(found.outlay[0], basis.outlay[0])
    np.testing.assert_allclose(found.outlay[1] / basis.outlay[1], 1.01 * 1.5)
    np.testing.assert_allclose(found.outlay[3] / basis.outlay[3], 1.01**3)
    np.testing.assert_allclose(found.general_base[2] / basis.general_base[2], 0.98**2)
    np.testing.assert_allclose(found.supplementary_base["fees"][2] / basis.supplementary_base["fees"][2], 0.98**2)
    np.testing.assert_allclose(found.investment_yield, basis.investment_yield + 0.003)


def test_sensitivities_lie_on_the_right_side():
    basis = random_basis(60, 8)
    table = sensitivities(basis, Policy(load_scheme("tw_nhi_2g")), [2026, 2033], 1.0)
    assert set(table["test"]) == {test.name for test in TESTS}
    months = table[table["year"] == 2033].set_index("test")["months"]
    assert months["pessimistic"] < months["outgo_faster"] < months["as_projected"] < months["base_faster"]
    assert months["base_faster"] < months["optimistic"]
    assert months["shock"] < months["as_projected"]
    below = table[table["year"] == 2033].set_index("test")["below"]
    assert below["optimistic"] <= below["as_projected"] <= below["pessimistic"]


def test_a_group_is_the_fifth_of_the_futures_that_lies_farthest_to_one_side():
    basis, policy = random_basis(100, 6), Policy(load_scheme("tw_nhi_2g"))
    # The dearer a future, the older its people.
    basis = replace(basis, drivers={"share_65_and_over": basis.outlay / 1e4})
    table = groups(basis, policy, [2026, 2031], 1.0).set_index(["group", "year"])
    assert set(table.index.get_level_values("group")) == {"older", "younger", "base_weak", "base_strong"}
    months = project(basis, policy).reserve_months
    dearest = sorted(range(100), key=lambda draw: basis.outlay[-1, draw])[-20:]
    assert table.loc[("older", 2031), "months"] == pytest.approx(np.median(months[-1, dearest]))
    fallen = sum((months[:, draw] < 1.0).any() for draw in dearest)
    assert table.loc[("older", 2031), "below"] == fallen / 20
    assert table.loc[("older", 2031), "months"] < table.loc[("younger", 2031), "months"]
    assert table.loc[("base_weak", 2031), "months"] < table.loc[("base_strong", 2031), "months"]
    assert not len(groups(random_basis(99, 4), policy, [2026], 1.0)), "no median of nineteen futures"


def test_what_moves_the_fund_stands_before_what_moves_people_and_declarations_in_the_data(material):
    priors = pd.DataFrame(
        [("mortality", "drift"), ("fund", "category_mix[0]"), ("economy", "growth"), ("fund", "cost_drift")],
        columns=["block", "name"],
    ).assign(why="because", **{f"{kind}_{q}": 0.5 for kind in ("prior", "posterior") for q in ("q5", "q50", "q95")})
    pool = replace(
        find_pool("cn_urrbmi"),
        adjustments=(Adjustment(year=2012, amount=-350.0, reason="loan repaid"),),
        breaks=(),
        confirmed=("outgo 2009",),
    )
    history = pd.DataFrame([("outgo", 2019, 9.0, "published")], columns=["line", "year", "mean", "kind"])
    more = {
        "priors": priors,
        "pool": pool,
        "history": history,
        "fit": {"hash": "a", "seed": 1, "versions": {}, "blocks": {}},
    }
    blocks = report_blocks(replace(material, **more), Texts("en"))
    table = next(block for block in blocks if isinstance(block, Table) and block.caption.startswith("Main prior"))
    assert [row[0] for row in table.rows] == [
        "fund cost_drift",
        "economy growth",
        "mortality drift",
        "fund category_mix[0]",
    ]
    told = [item for block in blocks if isinstance(block, Bullets) for item in block.items]
    assert "2012: the reserve moved by -350 TWD bn beyond the flows: loan repaid" in told
    assert "outgo 2009: looks odd, and was confirmed" in told


def test_reserves_are_held_against_their_flows():
    history = pd.DataFrame(
        [(line, year, value, "published") for year, row in {
            2019: (100.0, 90.0, 50.0), 2020: (100.0, 95.0, 55.0), 2021: (100.0, 100.0, 60.0)
        }.items() for line, value in zip(("income", "outgo", "reserve"), row, strict=True)],
        columns=["line", "year", "mean", "kind"],
    )  # fmt: skip
    # 50 + 100 - 95 = 55 holds; 55 + 100 - 100 = 55 and not 60.
    assert balances(history) == (2, [2021])
    history.loc[(history["line"] == "reserve") & (history["year"] == 2020), "kind"] = "estimated"
    assert balances(history) == (0, [])
