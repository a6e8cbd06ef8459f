"""The scheme files: what they hold, and the words with which a broken one is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from forecaster.errors import FaultyInput, ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.resources import data_dir
from forecaster.schemes import PAYERS, load_scheme, scheme_ids, tied_value


@pytest.mark.parametrize("name", scheme_ids())
def test_every_share_of_every_category_sums_to_one(name: str) -> None:
    scheme = load_scheme(name)
    for category in scheme.categories:
        shares = [scheme.parameters[f"premium_share.{category}.{payer}"].in_force()[-1][1] for payer in PAYERS]
        assert sum(shares) == pytest.approx(1.0, abs=1e-12)


def test_the_general_rate_follows_its_history() -> None:
    first, second = Policy(load_scheme("tw_nhi_1g")), Policy(load_scheme("tw_nhi_2g"))
    whole = first.path("general_premium_rate", np.array([1996, 2003, 2011]))
    assert whole == pytest.approx([0.0425, 0.0455, 0.0517], abs=1e-15)
    # 243 days at 4.25% and 122 at 4.55%; 90 at 4.55% and 275 at 5.17%.
    expected = [(243 * 0.0425 + 122 * 0.0455) / 365, (90 * 0.0455 + 275 * 0.0517) / 365]
    assert first.path("general_premium_rate", np.array([2002, 2010])) == pytest.approx(expected, abs=1e-12)
    later = second.path("general_premium_rate", np.array([2015, 2016, 2020, 2021, 2030]))
    assert later == pytest.approx([0.0491, 0.0469, 0.0469, 0.0517, 0.0517], abs=1e-15)


def test_years_before_the_first_value_are_refused_and_not_filled() -> None:
    policy = Policy(load_scheme("tw_nhi_2g"))
    with pytest.raises(
        ForecasterError, match="general_premium_rate has no value in 2012; its first is from 2013-01-01"
    ):
        policy.path("general_premium_rate", np.array([2012, 2013]))


def test_article_33_ties_the_supplementary_rate_to_the_general_one() -> None:
    assert tied_value(0.02, 0.0491, 0.0469) == 0.0191
    assert tied_value(0.0191, 0.0469, 0.0517) == 0.0211
    policy = Policy(load_scheme("tw_nhi_2g"), Reform.parse(["general_premium_rate=0.0557@2027-01-01"]))
    assert policy.path("supplementary_premium_rate", np.array([2026, 2027])) == pytest.approx(
        [0.0211, 0.0227], abs=1e-15
    )


def test_an_own_supplementary_rate_wins_and_the_tie_goes_on_from_it() -> None:
    reform = Reform.parse(
        [
            "general_premium_rate=0.0557@2027-01-01",
            "supplementary_premium_rate=0.025@2027-01-01",
            "general_premium_rate=0.06@2030-01-01",
        ]
    )
    path = Policy(load_scheme("tw_nhi_2g"), reform).path("supplementary_premium_rate", np.array([2027, 2029, 2030]))
    assert path == pytest.approx([0.025, 0.025, round(0.025 * 0.06 / 0.0557, 4)], abs=1e-15)


def test_a_proposed_value_stays_out_of_the_path() -> None:
    policy = Policy(load_scheme("tw_nhi_2g"))
    assert "proposed" in {v.status for v in policy.scheme.parameters["supplementary_ceiling"].values}
    assert policy.path("supplementary_ceiling", np.array([2030])) == pytest.approx([1e7])


def _broken(tmp_path: Path, old: str, new: str) -> Path:
    text = (data_dir() / "schemes" / "tw_nhi_2g.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value = 0.0491", "value = 4.91", ["found 4.91", "allowed: 0.0 to 0.06", "Art. 18", "0.0517, not 5.17"]),
        ('source = "TW-S08"', 'source = " "', ["no source", "name the document"]),
        ("lever = true", "lever = true\nsurprise = 1", ["unknown key 'surprise'", "remove or rename"]),
        ("value = 0.0191", "value = 0.0195", ["found 0.0195", "0.0191 by Art. 33"]),
        ("from = 2016-01-01, value = 0.0469", "from = 2012-01-01, value = 0.0469", ["dates out of order", "sort"]),
        ("value = 0.35", "value = 0.36", ["shares sum to 1.01", "1 exactly"]),
        (
            'tied_to = "general_premium_rate"',
            'tied_to = "general_rate"',
            ["'general_rate'", "a parameter of this file"],
        ),
        (
            'amount = "average_premium_c6"',
            'amount = "average_c6"',
            ["categories.c61.amount", "a parameter of this file"],
        ),
        ('acts_with = ["grading_ceiling"]', 'acts_with = ["grading"]', [".acts_with: found 'grading'", "correct it"]),
        ('own_dependants = "alone"', 'own_dependants = "some"', ["own_dependants", "'none', 'beside' or 'alone'"]),
        ("choices = [income, outlay]", "choices = [income", ["TOML 1.0"]),
    ],
)
def test_a_broken_file_is_refused_in_plain_words(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    if old.startswith("choices"):
        old, new = 'choices = ["income", "outlay"]', 'choices = ["income"'
    with pytest.raises(FaultyInput) as caught:
        load_scheme(_broken(tmp_path, old, new))
    for word in words:
        assert word in str(caught.value)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    path = _broken(tmp_path, "value = 0.0491", "value = 4.91")
    path.write_text(path.read_text(encoding="utf-8").replace("value = 0.36,", "value = 0.9,"), encoding="utf-8")
    with pytest.raises(FaultyInput) as caught:
        load_scheme(path)
    places = {fault.where.split(".values")[0] for fault in caught.value.faults}
    assert {"parameters.general_premium_rate", "parameters.government_floor_share"} <= places


def test_an_unknown_scheme_gets_the_nearest_name() -> None:
    with pytest.raises(ForecasterError, match="Did you mean tw_nhi_2g"):
        load_scheme("tw_nhi_2")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("general_rate=0.05@2027-01-01", ["no parameter 'general_rate'", "general_premium_rate"]),
        ("general_premium_rate=5.57@2027-01-01", ["found 5.57", "0 to 0.06", "Art. 18", "0.0557, not 5.57"]),
        ("general_premium_rate=0.05", ["NAME=VALUE@YYYY-MM-DD"]),
        ("general_premium_rate=0.05@2027-13-01", ["a day of the calendar"]),
        ("general_premium_rate=nan@2027-01-01", ["found nan", "a number (share)"]),
        ("general_premium_rate=high@2027-01-01", ["'high'", "a number (share)"]),
        ("general_premium_rate=0.05@2012-01-01", ["2012-01-01", "from 2013-01-01 on"]),
        ("government_floor_basis=budget@2027-01-01", ["'budget'", "income, outlay"]),
    ],
)
def test_a_wrong_lever_is_refused_in_plain_words(setting: str, words: list[str]) -> None:
    policy = Policy(load_scheme("tw_nhi_2g"))
    with pytest.raises(ForecasterError) as caught:
        policy.reform(Reform.parse([setting]))
    for word in words:
        assert word in str(caught.value)


def test_a_day_set_twice_is_refused() -> None:
    setting = "general_premium_rate=0.05@2027-01-01"
    with pytest.raises(FaultyInput, match="twice at 2027-01-01"):
        Reform.parse([setting, setting])


def test_equal_reforms_have_equal_tokens_whatever_their_order() -> None:
    texts = ["general_premium_rate=0.05@2027-01-01", "average_dependants=0.5@2028-01-01"]
    assert Reform.parse(texts).token == Reform.parse(reversed(texts)).token
    assert Reform.parse(texts).changes[0].start == dt.date(2028, 1, 1)
