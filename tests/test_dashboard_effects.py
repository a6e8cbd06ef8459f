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
    monkeypatch.setattr(section, "table", lambda frame: None)

    class Given:
        effects_held = (Held(_effect(), 1.7 if within else 5.0, 1.0, 6.0),)
        money = "TWD bn"

    section.show(Given())  # type: ignore[arg-type]
    assert shown[0].startswith(f"{within} of 1 figures lie within 30%")
