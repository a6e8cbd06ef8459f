"""Reforms as documents: the law as it first stood and every later act in turn give today's law."""

from __future__ import annotations

import datetime as dt
import tomllib

import numpy as np
import pandas as pd
import pytest

from forecaster.engine import project
from forecaster.parameters import Parameter
from forecaster.policy import Policy, Reform
from forecaster.resources import data_dir
from forecaster.schemes import Scheme, load_scheme
from funds import random_basis

FIRST = ("law_2002_rate", "law_2007_dependants", "law_2010_rate")
SECOND = (
    "law_2014_part_time_threshold",
    "law_2016_lower_rates",
    "law_2021_rate",
    "law_2022_to_2026",
    "law_2023_copayments",
)
FILES = sorted((data_dir() / "reforms").glob("*.toml"))


def read(name: str) -> Reform:
    return Reform.read(data_dir() / "reforms" / f"{name}.toml")


def together(names: tuple[str, ...]) -> Reform:
    return Reform(tuple(change for name in names for change in read(name).changes))


def as_first_enacted(scheme: Scheme) -> Scheme:
    """The scheme with the first value of every parameter alone: the law on its first day."""

    def first(parameter: Parameter) -> Parameter:
        return parameter.model_copy(update={"values": parameter.values[:1]})

    return scheme.model_copy(update={"parameters": {k: first(p) for k, p in scheme.parameters.items()}})


@pytest.mark.parametrize(
    ("scheme", "acts", "years"),
    [("tw_nhi_1g", FIRST, np.arange(1996, 2013)), ("tw_nhi_2g", SECOND, np.arange(2013, 2031))],
)
def test_the_first_law_and_each_act_in_turn_give_the_law(scheme, acts, years):
    law = load_scheme(scheme)
    rebuilt = Policy(as_first_enacted(law), together(acts))
    for name, parameter in law.parameters.items():
        if parameter.unit == "choice":
            assert rebuilt.word(name, years) == Policy(law).word(name, years), name
        else:
            assert rebuilt.dated(name) == Policy(law).dated(name), name


@pytest.mark.parametrize("left_out", SECOND)
def test_leaving_out_an_act_leaves_another_law(left_out):
    law = load_scheme("tw_nhi_2g")
    rebuilt = Policy(as_first_enacted(law), together(tuple(name for name in SECOND if name != left_out)))
    differing = {name for name, p in law.parameters.items() if p.unit != "choice"} & {
        name for name in law.parameters if name in {c.name for c in read(left_out).changes}
    }
    assert differing
    assert any(rebuilt.dated(name) != Policy(law).dated(name) for name in differing)


def test_the_second_generation_follows_the_first():
    """1995's law with every act up to 2013 has the second generation's rate, and what both laws hold is one history."""
    first, second = load_scheme("tw_nhi_1g"), load_scheme("tw_nhi_2g")
    changes = (*together(FIRST).changes, *read("law_2013_second_generation").changes)
    rebuilt = Policy(as_first_enacted(first).model_copy(update={"end": None}), Reform(changes))
    years = np.arange(1996, 2016)
    path = rebuilt.path("general_premium_rate", years)
    assert path[:17] == pytest.approx(Policy(first).path("general_premium_rate", years[:17]))
    assert path[17:] == pytest.approx(Policy(second).path("general_premium_rate", years[17:]))
    shared = [name for name in second.parameters if name.startswith("premium_share.") and name in first.parameters]
    assert len(shared) == 33
    for name in shared:
        assert first.parameters[name].in_force()[-1][1] == second.parameters[name].in_force()[0][1], name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_document_says_what_it_is(path):
    raw = tomllib.loads(path.read_text("utf-8"))
    assert raw["status"] in {"enacted", "proposed", "assumed"}
    assert len(raw["label"]) > 15
    # The day from which an act held, or of the document that proposes it; what is assumed is nobody's.
    assert isinstance(raw.get("date"), dt.date) == (raw["status"] != "assumed")
    if raw["status"] == "enacted":
        assert raw["date"] in {change["from"] for change in raw["changes"]}
    Policy(load_scheme(raw["scheme"]), Reform.read(path))
    known = set(pd.read_csv(data_dir() / "observed" / "sources.csv")["id"])
    for entry in (raw, *raw["changes"]):
        assert entry.get("source") in known or raw["status"] == "assumed", entry


@pytest.mark.parametrize("scheme", ["tw_nhi_1g", "tw_nhi_2g"])
def test_every_value_of_the_law_has_a_source_that_is_listed(scheme):
    known = set(pd.read_csv(data_dir() / "observed" / "sources.csv")["id"])
    cited = {value.source for parameter in load_scheme(scheme).parameters.values() for value in parameter.values}
    assert cited <= known, cited - known


@pytest.mark.parametrize("name", ["supplementary_plan_2025_low", "supplementary_plan_2025_high", "budget_growth_lower"])
def test_proposals_that_help_raise_every_reserve(name):
    basis, law = random_basis(30, 8), Policy(load_scheme("tw_nhi_2g"))
    assert (project(basis, law.reform(read(name))).closing[1:] > project(basis, law).closing[1:]).all()


def test_the_plan_of_2025_gains_what_the_ministry_said_and_the_ceiling():
    basis, law = random_basis(30, 4), Policy(load_scheme("tw_nhi_2g"))
    base = project(basis, law).income["supplementary_premium"].mean(axis=1)
    low, high = (
        project(basis, law.reform(read(f"supplementary_plan_2025_{end}"))).income["supplementary_premium"].mean(axis=1)
        for end in ("low", "high")
    )
    assert (low - base)[0] == 0.0
    grown = basis.supplementary_sum(tuple(k for k in basis.supplementary_base if k != "employer")).mean(axis=1)
    # The plans differ by 10 bn of yearly settlement at the first year's level; the higher ceiling adds to both.
    assert (high - low)[1] == pytest.approx(10.0 * grown[1] / grown[0], rel=0.1)
