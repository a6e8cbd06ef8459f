"""Official effects against ours: a figure worked by hand, the shipped table, and what a fault of it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecaster import effects
from forecaster.basis import Basis
from forecaster.effects import Effect, Held, hold, official_effects
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.observations import load_observations
from forecaster.policy import Policy
from forecaster.schemes import load_scheme
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))


def effect(**changed: object) -> Effect:
    given = {
        "id": "made_up",
        "label": "made up",
        "year": 2021,
        "low": 10.0,
        "high": 12.0,
        "line": "general_premium",
        "source": "TW-S04",
        "evidence": "independent",
        "before": ["general_premium_rate=0.0507"],
        "after": ["general_premium_rate=0.0517"],
    }
    return Effect.model_validate({**given, **changed})


def fund(gdp: list[float]) -> Basis:
    """Three years, 10,000 bn of base, GDP as given."""
    basis = random_basis(2, 3)
    level = np.full((3, 2), 10000.0)
    one = np.zeros((len(basis.categories), 2))
    one[basis.categories.index("c14")] = 1.0
    drivers = {"gdp_nominal": np.repeat(np.array(gdp)[:, None], 2, axis=1)}
    return replace(basis, general_base=level, category_mix=one, drivers=drivers)


def test_an_effect_is_brought_to_the_incomes_of_its_year() -> None:
    # A tenth of a point on 10,000 bn is 10 bn in 2027; with a GDP twice that of 2021 it is 5 bn at the incomes of 2021.
    gdp = load_observations("twn").series("gdp_nominal").set_index("year")["value"]
    held = hold(fund([2.0 * gdp[2021]] * 3), LAW, effect())
    assert (held.ours, held.low, held.high) == pytest.approx((5.0, 5.0, 5.0))
    assert held.ratio == pytest.approx(5.0 / 11.0)
    assert not held.within
    # Beyond the published years the reference lies between the last of them and the projection's first, in logs.
    last = int(gdp.index.max())
    assert last == 2024
    held = hold(fund([4.0 * gdp[last]] * 3), LAW, effect(year=2025))
    assert held.ours == pytest.approx(10.0 / 2.0)


def test_amounts_of_money_grow_with_incomes_where_told() -> None:
    gdp = load_observations("twn").series("gdp_nominal").set_index("year")["value"]
    basis = replace(fund([2.0 * gdp[2021]] * 3), general_base=random_basis(2, 3).general_base)
    names = {"line": "supplementary_premium", "before": ["supplementary_threshold.rent=5000"]}
    told = hold(basis, LAW, effect(**names, after=["supplementary_threshold.rent=30000"], in_gdp=True))
    same = effect(
        line="supplementary_premium",
        before=["supplementary_threshold.rent=10000"],
        after=["supplementary_threshold.rent=60000"],
    )
    assert told.ours == pytest.approx(hold(basis, LAW, same).ours)
    assert told.ours is not None
    assert told.ours < 0.0


@pytest.mark.parametrize(
    ("ours", "within"), [(7.1, True), (6.9, False), (11.0, True), (15.5, True), (15.7, False), (-11.0, False)]
)
def test_within_is_thirty_percent_of_the_range_and_of_its_sign(ours: float, within: bool) -> None:
    assert Held(effect(), ours).within is within
    assert Held(effect(low=-12.0, high=-10.0), -ours).within is within


def test_the_shipped_effects_are_sourced_and_each_further_off_says_why() -> None:
    from forecaster.fitted import reference_basis

    official = official_effects(LAW.scheme)
    known = set(load_observations("twn").sources["id"])
    assert all(source in known for held in official for source in held.source.split(", "))
    assert len({held.id for held in official}) == len(official)
    basis = reference_basis("tw_nhi", 2027)
    found = {one.id: hold(basis, LAW, one) for one in official}
    silent = [name for name, held in found.items() if not held.within and not held.effect.reason]
    assert not silent, f"further off than 30% without a reason: {silent}"
    # What no lever was made from and no model saw must agree by itself.
    alone = [name for name, held in found.items() if held.effect.evidence == "independent" and held.ours is not None]
    assert len(alone) >= 9
    assert [name for name in alone if not found[name].within] == ["dividend_threshold_2015"]


def test_a_basis_without_gdp_and_a_scheme_without_effects_are_told() -> None:
    with pytest.raises(ForecasterError, match=r"carries no gdp_nominal.*use the pool's fit"):
        hold(random_basis(2, 3), LAW, effect())
    with pytest.raises(
        ForecasterError, match="no official effects are known for tw_nhi_1g; there are some for: tw_nhi_2g"
    ):
        official_effects(load_scheme("tw_nhi_1g"))
    assert hold(random_basis(2, 3), LAW, effect(after=[], reason="no lever")).ours is None


def test_every_fault_of_an_effects_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "effects"
    folder.mkdir()
    entry = 'id = "a"\nlabel = "a"\nyear = 2021\nlow = 1.0\nhigh = 1.0\nsource = "TW-S04"\nevidence = "independent"\n'
    text = f'[[effects]]\n{entry}line = "premiums"\n[[effects]]\n{entry}line = "net"\nodd = 1\nreason = "none"\n'
    (folder / "tw_nhi_2g.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(effects, "data_dir", lambda: tmp_path)
    with pytest.raises(FaultyInput) as caught:
        official_effects(LAW.scheme)
    words = str(caught.value)
    assert "3 faults" in words
    assert "effects[0].line: found 'premiums'" in words
    assert "neither a change nor a reason" in words
    assert "unknown key 'odd'" in words
