"""The benefit stack inside a fund's projection: exact at the law, by hand, conserving; what studies say of reforms."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.benefits import evaluate, load_stack
from forecaster.cli import app
from forecaster.engine import project
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.fund_need import HOUSEHOLD_MEASURES
from forecaster.fund_stack import CarePaid, idle_terms, law_with_stack
from forecaster.layers import stack_terms
from forecaster.mainland import care_payers, cohort_factors, employee_factors, households_in_need
from forecaster.members import employee_heads, law_ages
from forecaster.parameters import Parameter
from forecaster.policy import Policy, Reform
from forecaster.resources import data_dir
from forecaster.schemes import load_scheme
from forecaster.solve import STEPS
from forecaster.studies import Ours, Study, _gone_at, _measured, published_studies
from funds import few_households
from funds import mainland_basis as basis_of

EMPLOYEES, RESIDENTS = "cn_uebmi", "cn_urrbmi"
YEARS = np.arange(2025, 2061)
LATER = "@2030-01-01"


@pytest.fixture(scope="module", params=[RESIDENTS, EMPLOYEES])
def pool(request):
    """Name of a pool, its law with its stack, and a basis of three draws with its members."""
    scheme = law_with_stack(load_scheme(request.param))
    return request.param, scheme, basis_of(request.param, YEARS[:12])


@pytest.fixture(scope="module", autouse=True)
def small():
    with few_households():
        yield


@pytest.fixture(scope="module")
def residents():
    return law_with_stack(load_scheme(RESIDENTS)), basis_of(RESIDENTS, YEARS[:12])


def paid(basis, scheme, *settings: str) -> tuple[np.ndarray, CarePaid]:
    """Outgo, and who pays for care, under a reform."""
    policy = Policy(scheme, Reform.parse(settings))
    outgo = project(basis, policy).outgo
    found = care_payers(basis, policy, outgo)
    assert found is not None
    return outgo, found


def test_without_a_lever_the_projection_is_what_it_was(pool):
    name, scheme, basis = pool
    plain, joined = (project(basis, Policy(s)) for s in (load_scheme(name), scheme))
    np.testing.assert_array_equal(joined.closing, plain.closing)
    outgo, found = paid(basis, scheme)
    np.testing.assert_array_equal(outgo, basis.outlay)
    np.testing.assert_allclose(found.amounts[found.of_fund].sum(axis=0), outgo, rtol=1e-12)
    assert (found.amounts >= 0.0).all()


def test_the_cost_scale_makes_the_funds_layers_pay_its_outgo(pool):
    """One draw, so that the severity is its best fit: payments a member times members, ages counted by hand."""
    name, scheme, _ = pool
    basis = basis_of(name, YEARS[:3], n_draws=1)
    _, found = paid(basis, scheme)
    people = basis.members
    if name == EMPLOYEES:
        by_age = employee_heads(people, law_ages(Policy(scheme), people.years)).by_age[1:].sum(axis=1)
    else:
        by_age = people.persons[1:].sum(axis=1) * people.workers / people.persons[0].sum()
    np.testing.assert_allclose(found.members, by_age.sum(axis=1))
    ends = [0, 15, 30, 40, 50, 60, 70, 80, 101]
    bands = np.stack([by_age[:, a:b].sum(axis=1) for a, b in pairwise(ends)], axis=1) / by_age.sum(axis=1)[:, None]
    each = evaluate(scheme.stack, Policy(scheme), basis.years, cost_scale=found.cost).per_head(bands)
    # Yuan a member over millions of members, in thousand millions.
    told = each[np.flatnonzero(found.of_fund)].sum(axis=0) * found.members[:, None] / 1000.0
    np.testing.assert_allclose(told, basis.outlay, rtol=2e-5)


def test_a_reform_moves_fund_and_household_and_no_yuan_is_lost(pool):
    name, scheme, basis = pool
    basic = "cn_basic_residents" if name == RESIDENTS else "cn_basic_employees"
    before, law = paid(basis, scheme)
    after, reform = paid(basis, scheme, f"{basic}.tranche.1.rate=0.95{LATER}")
    np.testing.assert_array_equal(after[:5], before[:5])
    assert (after[5:] > 1.02 * before[5:]).all()
    np.testing.assert_allclose(reform.spending, law.spending, rtol=1e-9)
    np.testing.assert_allclose(reform.amounts[reform.of_fund].sum(axis=0), after, rtol=1e-12)
    assert (reform.amounts[-1, 5:] < law.amounts[-1, 5:]).all()


def test_a_layer_the_fund_does_not_pay_moves_the_household_alone(residents):
    scheme, basis = residents
    before, law = paid(basis, scheme)
    setting = f"cn_medical_assistance.rate=0.9{LATER}"
    after, reform = paid(basis, scheme, setting)
    np.testing.assert_array_equal(after, before)
    more = (
        reform.amounts[reform.payers.index("cn_medical_assistance")]
        - law.amounts[law.payers.index("cn_medical_assistance")]
    )
    assert (more[5:] > 0.0).all()
    np.testing.assert_allclose((law.amounts - reform.amounts)[-2:].sum(axis=0), more, rtol=1e-6, atol=1e-9)
    policy = Policy(scheme, Reform.parse([setting, f"commercial_supplement.premium=50{LATER}"]))
    names = ("cn_medical_assistance.rate", "commercial_supplement.premium", "general_premium_rate")
    assert idle_terms(basis, policy, names) == ("commercial_supplement.premium",)
    # With nothing in the catalogue the fund would pay nothing, and no reserve could be told in months of that.
    with pytest.raises(ForecasterError, match="cn_serious_illness: under the reform the fund pays for nothing in 20"):
        project(basis, Policy(scheme, Reform.parse([f"catalogue_share=0{LATER}"])))


def test_better_outpatient_care_is_taken_from_the_household():
    scheme, basis = law_with_stack(load_scheme(EMPLOYEES)), basis_of(EMPLOYEES, YEARS[:12])
    before, law = paid(basis, scheme)
    after, reform = paid(basis, scheme, f"outpatient_reimbursement=0.6{LATER}")
    np.testing.assert_allclose(reform.spending, law.spending, rtol=1e-9)
    np.testing.assert_allclose(law.amounts[-1] - reform.amounts[-1], after - before, rtol=1e-6, atol=1e-9)
    # A later retirement moves care and all who pay for it alike.
    later = [f"retirement_age_{who}=65{LATER}" for who in ("men", "women_workers", "women_staff")]
    outgo, moved = paid(basis, scheme, *later)
    np.testing.assert_allclose(
        moved.amounts / law.amounts.clip(1e-9), (outgo / before)[None] * (law.amounts > 0), rtol=1e-6
    )


# --- a stack of one's own, worked by hand -----------------------------------------------------------------------------
def own_stack(folder: Path, pool: str = RESIDENTS, pays: str = '["half"]') -> str:
    """One layer that pays half of everything, and spending of 1,000 a head."""
    severity = (data_dir() / "severity" / "cn_residents.toml").read_text("utf-8")
    head, mean, *_, top, tail = severity.split("[[targets]]")  # no target about a layer
    (folder / "spending.toml").write_text("[[targets]]".join([head, mean, top, tail]), "utf-8")
    stack = (data_dir() / "stacks" / "cn_residents.toml").read_text("utf-8")
    start, end = stack.index("order = ["), stack.index("order_source")
    stack = stack[:start] + 'order = ["half"]\n' + stack[end:]
    stack = stack.replace('severity = "cn_residents"', f'severity = "{folder / "spending.toml"}"')
    stack = stack.replace('pool = "cn_urrbmi"', f'pool = "{pool}"')
    stack = stack.replace('pays = ["cn_basic_residents", "cn_serious_illness"]', f"pays = {pays}")
    stack = stack.replace('id = "cn_residents"', 'id = "mine"')
    (folder / "mine.toml").write_text(stack, "utf-8")
    layer = (data_dir() / "layers" / "cn_personal_account.toml").read_text("utf-8").split("[parameters.ceiling]")[0]
    layer = layer.replace('id = "cn_personal_account"', 'id = "half"').replace("value = 0.934", "value = 1.0")
    layer = layer.replace('kind = "account"', 'kind = "basic"').replace(
        'value = 1.0, source = "assumed", status = "assumed", note = "whatever',
        'value = 0.5, source = "assumed", status = "assumed", note = "whatever',
    )
    (folder / "half.toml").write_text(layer, "utf-8")
    return str(folder / "mine.toml")


def test_half_of_everything_by_hand(tmp_path):
    """The fund pays half, so spending is twice its outgo; at 60% it pays a fifth more, the household a fifth less."""
    basis = basis_of(RESIDENTS, YEARS[:12])
    scheme = law_with_stack(load_scheme(RESIDENTS), load_stack(own_stack(tmp_path)))
    outgo, law = paid(basis, scheme)
    np.testing.assert_allclose(law.amounts, [outgo, outgo], rtol=1e-12)
    after, reform = paid(basis, scheme, f"half.rate=0.6{LATER}")
    np.testing.assert_allclose(after[5:], 1.2 * outgo[5:], rtol=1e-9)
    np.testing.assert_allclose(reform.amounts[1, 5:], 0.8 * outgo[5:], rtol=1e-9)
    np.testing.assert_array_equal(after[:5], outgo[:5])
    # Fund levers beside it: a point less growth a year of all that is paid.
    both, halved = paid(basis, scheme, f"half.rate=0.6{LATER}", f"budget_growth_adjustment=-0.01{LATER}")
    np.testing.assert_allclose(both[5], 0.99 * after[5], rtol=1e-9)
    np.testing.assert_allclose(halved.amounts[:, 5], 0.99 * reform.amounts[:, 5], rtol=1e-9)


def test_stacks_of_other_funds_are_told(tmp_path):
    other = load_stack(own_stack(tmp_path, pool=EMPLOYEES))
    with pytest.raises(ForecasterError, match=r"stack mine belongs to the fund cn_uebmi, not to cn_urrbmi"):
        law_with_stack(load_scheme(RESIDENTS), other)
    with pytest.raises(FaultyInput, match=r"stacks/mine.toml.*\n.*fund.pays: found 'whole'; allowed: half"):
        load_stack(own_stack(tmp_path, pays='["whole"]'))
    taiwan = load_scheme("tw_nhi_2g")
    assert law_with_stack(taiwan) is taiwan


def test_a_basis_without_members_projects_and_refuses_levers_of_the_stack(residents):
    scheme, basis = residents
    alone = replace(basis, members=None)
    project(alone, Policy(scheme))
    assert care_payers(alone, Policy(scheme), alone.outlay) is None
    with pytest.raises(ForecasterError, match="knows no members, so that spending a head"):
        project(alone, Policy(scheme, Reform.parse([f"cn_basic_residents.deductible=1000{LATER}"])))


def test_amounts_rise_from_the_year_they_date_from():
    stack = load_stack("cn_residents")
    law = Policy(stack.law, Reform.parse([f"cn_basic_residents.deductible=2000{LATER}"]))
    terms = stack_terms(stack, law, np.array([2024, 2025, 2029, 2030, 2031]), "other")
    wanted = [3200.0, 3200.0 * 1.05, 3200.0 * 1.05**5, 2000.0, 2000.0 * 1.05]
    np.testing.assert_allclose(terms.deductible[0, :, 0], wanted)


def test_dearer_care_puts_more_households_in_need_and_better_cover_fewer(residents):
    scheme, basis = residents
    law, better = (
        households_in_need(basis, Policy(scheme, Reform.parse(settings)), [2030])
        for settings in ((), (f"cn_basic_residents.tranche.1.rate=0.95{LATER}",))
    )
    assert set(law) == {(2030, "all", measure) for measure in HOUSEHOLD_MEASURES}
    for key, shares in law.items():
        assert (np.diff(shares) > 0.0).all(), key  # draws of rising outlay
        assert (better[key] < shares).all(), key
    mine = replace(scheme.stack, file=scheme.stack.file.model_copy(update={"id": "mine"}))
    other = Policy(law_with_stack(load_scheme(RESIDENTS), mine))
    with pytest.raises(ForecasterError, match=r"households/chn.toml does not know the stack mine"):
        households_in_need(basis, other, [2030])


# --- births -----------------------------------------------------------------------------------------------------------
def test_more_births_by_hand():
    """Twice the births from the second year on: nobody else changes, until the children have children."""
    factors = cohort_factors(np.array([1.0] + [2.0] * 39))
    np.testing.assert_array_equal(factors[0], 1.0)
    np.testing.assert_array_equal(factors[3, :4], [2.0, 2.0, 2.0, 1.0])
    # Mothers are 29 give or take 5: in the year in which the oldest of the many are 29 half of all births are theirs.
    assert factors[30, 0] == pytest.approx(2.0 * (1.0 + 0.54), abs=0.01)
    assert factors[30, 40] == 1.0


def test_births_bring_contributors_twenty_years_later():
    basis = basis_of(EMPLOYEES)
    policy = Policy(load_scheme(EMPLOYEES), Reform.parse(["births_factor=1.25@2026-01-01"]))
    paying, costing = employee_factors(basis.members, policy, YEARS)
    np.testing.assert_array_equal(paying[:21], 1.0)
    assert (np.diff(paying[21:]) > 0.0).all()
    assert (costing[25:] < paying[25:]).all()  # the young cost less than they pay
    children = project(
        basis_of(RESIDENTS), Policy(load_scheme(RESIDENTS), Reform.parse(["births_factor=1.25@2026-01-01"]))
    )
    law = project(basis_of(RESIDENTS), Policy(load_scheme(RESIDENTS)))
    np.testing.assert_allclose(children.outgo[0], law.outgo[0], rtol=1e-12)
    assert (children.income["general_premium"][3] > law.income["general_premium"][3]).all()
    gained, cost = (
        a[3] / b[3] - 1.0 for a, b in ((children.total_income, law.total_income), (children.outgo, law.outgo))
    )
    assert (cost < gained).all()


# --- what studies say -------------------------------------------------------------------------------------------------
def study(**keys: object) -> Study:
    return Study.model_validate(
        {"id": "x", "label": "x", "low": 1.0, "high": 2.0, "before": [], "after": ["x"], "source": "x", "reason": "x"}
        | keys
    )


def test_measures_of_studies_by_hand():
    basis = basis_of(RESIDENTS, YEARS[:3], n_draws=1)
    made = project(basis, Policy(load_scheme(RESIDENTS)))

    def fund(closing: list[float], outgo: list[float]) -> object:
        income = {"general_premium": np.full((3, 1), 100.0)}
        reserves = np.array([[100.0], *[[x] for x in closing]])
        return replace(made, opening=reserves[:-1], closing=reserves[1:], outgo=np.array(outgo)[:, None], income=income)

    without = fund([50.0, -50.0, -200.0], [150.0, 200.0, 250.0])
    with_it = fund([80.0, 20.0, -60.0], [120.0, 160.0, 180.0])
    assert _gone_at(without)[0] == pytest.approx(2026.5)
    assert _gone_at(with_it)[0] == pytest.approx(2027.25)
    assert _gone_at(fund([80.0, 20.0, 10.0], [1.0, 1.0, 1.0]))[0] == 2028.0  # the horizon's end
    assert _measured(without, with_it, study(measure="postponed"))[0] == pytest.approx(0.75)
    assert _measured(without, with_it, study(measure="ratio_postponed"))[0] == 1.0
    thrifty = fund([110.0, 100.0, 20.0], [90.0, 110.0, 180.0])
    assert _measured(without, thrifty, study(measure="deficit_postponed"))[0] == 1.0
    assert _measured(thrifty, fund([110.0, 120.0, 130.0], [90.0] * 3), study(measure="deficit_postponed"))[0] == 2.0
    assert _measured(without, with_it, study(measure="reserve", at=2027))[0] == pytest.approx(0.14)
    assert _measured(without, with_it, study(measure="deficit_cut", at=2027))[0] == pytest.approx(1.0 - 80.0 / 150.0)


def test_what_counts_as_near():
    assert Ours(2.5, 0.0, 9.0).near(study(measure="reserve", at=2065))
    assert not Ours(2.7, 0.0, 9.0).near(study(measure="reserve", at=2065))
    assert Ours(0.0, 0.0, 0.0).near(study(measure="postponed", low=0.0, high=0.0))
    assert not Ours(0.1, 0.0, 1.0).near(study(measure="postponed", low=1.0, high=1.0))


def test_faults_of_a_studies_file_are_told(tmp_path, monkeypatch):
    import forecaster.studies as room

    path = tmp_path / "cn_uebmi.toml"
    text = (data_dir() / "studies" / "cn_uebmi.toml").read_text("utf-8")
    path.write_text(text.replace("\npremise_why =", "\npremise_for =", 1), "utf-8")
    monkeypatch.setattr(room, "_path", lambda _: path)
    with pytest.raises(FaultyInput) as caught:
        published_studies(load_scheme(EMPLOYEES))
    assert "unknown key 'premise_for'" in str(caught.value)
    path.write_text(text.replace("at = 2065\n", "", 1), "utf-8")
    with pytest.raises(FaultyInput, match=r"studies\[0\].at: found None; allowed: a year, with measures 'reserve'"):
        published_studies(load_scheme(EMPLOYEES))


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})


def test_reforms_go_the_way_that_studies_say():
    done = run("effects", EMPLOYEES, "--draws", "40", "--json")
    assert done.exit_code == 0, done.output
    rows = {row["id"]: row for row in json.loads(done.stdout)["studies"]}
    # Some years in some draws, far from the study's five, as docs/mainland.md says.
    assert rows["sun_2019_migration"]["ours"]["high"] > 0.0
    assert rows["sun_2019_migration"]["ours"]["middle"] >= 0.0
    assert not rows["sun_2019_migration"]["ours"]["near"]
    for name, row in rows.items():
        if row["low"] > 0.0 and name != "sun_2019_migration":
            assert row["ours"]["middle"] > 0.0, name
    for name in ("zeng_2017_retirement_money", "zeng_2017_births_money", "zeng_2017_births_years"):
        assert rows[name]["ours"]["near"], name


# --- the command ------------------------------------------------------------------------------------------------------
def test_the_command_shows_who_pays_and_writes_it(tmp_path):
    settings = ("--set", f"cn_serious_illness.deductible_income_share=0.2{LATER}")
    done = run("project", RESIDENTS, "--draws", "20", "--horizon", "2032", *settings, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    for words in (
        "Who pays for the members' care of 2030, CNY bn",
        "Serious-illness insurance *",
        "households made poor, %",
    ):
        assert words in done.output, words
    care, need = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("care", "need"))
    forecast = pd.read_csv(tmp_path / "out" / "forecast.csv")
    mean = care.set_index(["scenario", "year", "payer"])["mean"].sort_index()
    fund = ["cn_basic_residents", "cn_serious_illness"]
    for scenario in ("baseline", "reform"):
        outgo = forecast[(forecast.line == "outgo") & (forecast.scenario == scenario)].set_index("year")["mean"]
        for year in (2025, 2030, 2032):
            assert mean[scenario, year][fund].sum() == pytest.approx(outgo[year])
            assert mean[scenario, year].drop("all").sum() == pytest.approx(mean[scenario, year]["all"])
    assert mean["difference", 2030]["all"] == pytest.approx(0.0, abs=1e-6)
    assert (need[(need.scenario == "difference") & (need.place == "all")]["mean"] <= 0.0).all()
    told = pd.read_csv(tmp_path / "out" / "columns.csv")
    for name, table in (("care", care), ("need", need)):
        assert set(table.columns) == set(told[told.table == name].column) - {"warning"}


def test_a_stack_of_ones_own_stands_behind_the_fund(tmp_path):
    arguments = ("--draws", "3", "--horizon", "2031", "--stack", own_stack(tmp_path), "--set", f"half.rate=0.6{LATER}")
    done = run("project", RESIDENTS, *arguments, "--json")
    assert done.exit_code == 0, done.output + done.stderr
    care = json.loads(done.stdout)["care"]
    assert (care["stack"], care["of_fund"], care["households"]) == ("mine", ["half"], [])
    shown = {(row["scenario"], row["payer"]): row["q0.5"] for row in care["payers"] if row["year"] == 2030}
    assert shown["reform", "half"] == pytest.approx(1.2 * shown["baseline", "half"])
    assert shown["reform", "out_of_pocket"] == pytest.approx(0.8 * shown["baseline", "half"])


def test_a_deductible_can_be_solved_for():
    done = run(
        "solve", RESIDENTS, "--lever", "cn_basic_residents.deductible", "--year", "2030", "--draws", "5", "--json"
    )
    assert done.exit_code == 0, done.output
    assert "CNY" in done.stdout
    # Every unit that a parameter of a file may have can be asked for.
    assert set(get_args(Parameter.model_fields["unit"].annotation)) - {"choice"} == set(STEPS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", f"commercial_supplement.premium=50{LATER}"), "which changes nothing through 2031"),
        (("--set", f"cn_serious_illness.ceiling=100{LATER}"), "layers/cn_serious_illness.toml"),
        (("--stack", "cn_employees"), "stack cn_employees belongs to the fund cn_uebmi, not to cn_urrbmi"),
    ],
)
def test_what_a_user_can_mend_is_told(arguments, words):
    done = run("project", RESIDENTS, "--draws", "3", "--horizon", "2031", *arguments)
    assert done.exit_code == 2
    assert words in done.output + done.stderr
    assert "Traceback" not in done.output
