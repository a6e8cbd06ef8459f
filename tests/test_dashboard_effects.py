"""Official effects of changes of the law on the page of evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import forecaster_dashboards.effects_section as section
import forecaster_dashboards.references as references
from forecaster.effects import Effect, Held, official_effects
from forecaster.language import speaking
from forecaster.schemes import load_scheme
from forecaster.studies import BesideStudy, HeldStudy, Ours, Study
from made_up_dashboard import made_up_reference


def _effect(**changed: Any) -> Effect:
    given: dict[str, Any] = {
        "id": "step", "label": "Highest step of the grading table 182,000 to 219,500", "year": 2022, "low": 1.7,
        "high": 1.7, "line": "net", "source": "TW-S111", "evidence": "set", "after": ["general_premium_rate=0.0527"],
    }  # fmt: skip
    return Effect(**{**given, **changed})


def test_a_row_has_theirs_and_ours_in_the_readers_unit_and_the_reason():
    near = Held(_effect(), 1.87, 1.5, 2.25)
    far = Held(_effect(low=-20.0, high=-10.0, evidence="independent", reason="because"), -3.0, -4.0, -2.0)
    none = Held(_effect(after=[], reason="no lever", evidence="independent"), None)
    frame = section.effects_frame((near, far, none), "TWD bn")
    assert frame["officials, TWD bn a year"].tolist() == ["1.70", "-20.0 – -10.0", "1.70"]
    assert frame["ours (middle 80%)"].tolist() == ["1.87 (1.50 – 2.25)", "-3.00 (-4.00 – -2.00)", ""]
    assert frame["ours over theirs"].tolist() == ["1.10", "0.20", ""]
    assert frame["remark"].tolist() == ["the lever is made from it", "", ""]
    assert section.reasons((near, far, none)) == [f"{_effect().label}: because", f"{_effect().label}: no lever"]
    with speaking("zh_TW"):
        told = section.effects_frame((near,), "TWD bn")
        # Two in a billion are twenty in a hundred million.
        assert told["官方，每年億元"].tolist() == ["17.0"]
        assert told["變動"].tolist() == ["投保金額分級表最高一級 182,000 元調至 219,500 元"]


def test_the_law_of_a_reference_is_held_against_official_effects_where_gdp_is_known(monkeypatch):
    ref = made_up_reference(n_draws=20)
    assert ref.effects_held == ()
    drivers = {**ref.basis.drivers, "gdp_nominal": np.full((len(ref.basis.years), 20), 30_000.0)}
    known = replace(ref, basis=replace(ref.basis, drivers=drivers))
    rates = tuple(one for one in official_effects(ref.scheme) if "rate" in one.label.split())
    monkeypatch.setattr(references, "official_effects", lambda scheme: rates)
    assert [one.effect for one in known.effects_held] == list(rates)
    assert all(one.ours is not None and one.ours > 0.0 for one in known.effects_held)


@pytest.mark.parametrize("within", [0, 1])
def test_the_caption_counts_those_within_the_tolerance(monkeypatch, within):
    shown: list[str] = []
    monkeypatch.setattr(section.st, "caption", shown.append)
    monkeypatch.setattr(section.st, "subheader", lambda *_args, **_named: None)
    monkeypatch.setattr(section.st, "markdown", shown.append)
    monkeypatch.setattr(section, "sheet", lambda frame: None)

    class Given:
        effects_held = (Held(_effect(), 1.7 if within else 5.0, 1.0, 6.0),)
        money = "TWD bn"
        scheme = load_scheme("tw_nhi_2g")

    section.show(Given())  # type: ignore[arg-type]
    assert shown[0].startswith(f"{within} of 1 figures lie within 30%")


def _study(**changed: Any) -> Study:
    given: dict[str, Any] = {
        "id": "years", "label": "The same, complete", "measure": "postponed", "low": 7.0, "high": 9.0, "before": [],
        "after": ["general_premium_rate=0.06"], "source": "CN-SUNLING2019",
        "reason": "published: the year does not move",
    }  # fmt: skip
    return Study(**{**given, **changed})


def test_a_study_stands_beside_ours_in_the_readers_words_and_units():
    years = HeldStudy(_study(), Ours(6.04, 4.0, 14.0), None)
    money = HeldStudy(_study(measure="reserve", at=2065, low=3.3, high=3.3), None, Ours(4.1, 1.9, 9.9))
    share = HeldStudy(_study(measure="deficit_cut", at=2035, low=0.33, high=0.33), Ours(0.34, 0.15, 1.21), None)
    frame = section.studies_frame((years, money, share), "CNY")
    names = [f"The same, complete, {unit}" for unit in ("years", "CNY trillion", "%")]
    assert frame["reform"].tolist() == names
    assert frame["published"].tolist() == ["7.0 – 9.0", "3.3", "33"]
    assert frame["ours (middle 80%)"].tolist() == ["6.0 (4.0 – 14.0)", "", "34 (15 – 121)"]
    assert frame["ours on the study's premise"].tolist() == ["", "4.1 (1.9 – 9.9)", ""]
    held = HeldStudy(_study(premise=["budget_growth_adjustment=-0.02"], premise_why="as for retirement"), None, None)
    assert section.remarks((held,)) == [
        "The same, complete: published: the year does not move; premise: as for retirement"
    ]
    with speaking("zh_CN"):
        assert section.studies_frame((money,), "CNY")["改革"].tolist() == ["同上，全部划入（万亿元）"]
        assert section.remarks((held,)) == ["同上，全部划入：原文：耗尽年份不变；前提：与延迟退休相同"]


def test_a_studys_projection_stands_beside_ours_and_what_came():
    rows = (
        BesideStudy(2030, "outgo", 2820.0, None, None),
        BesideStudy(2021, "income", 1067.0, Ours(989, 938, 1044), 972),
    )
    with speaking("zh_CN"):
        frame = section.beside_frame(rows, "CNY bn")
    # Income first, a thousand millions are ten hundred millions.
    assert frame.to_numpy().tolist() == [
        ["收入", 2021, "10,670", "9,890 (9,380 – 10,440)", "9,720"],
        ["支出", 2030, "28,200", "", ""],
    ]
