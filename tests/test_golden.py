"""Published figures that the engine and the solver must give: G1 rates of 2020, G2 Article 33, G3 reserve months."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from forecaster.basis import Basis, read_basis
from forecaster.cli import app
from forecaster.cli.shared import basis_reform
from forecaster.engine import project
from forecaster.observations import load_observations, load_table
from forecaster.policy import Change, Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solve import required_rate

COMMITTEE = "tw_nhi_committee_2020"
PUBLISHED = {1.0: 0.0497, 1.5: 0.0519, 2.0: 0.0542, 2.5: 0.0565}
EXACT = {1.0: 0.049614, 1.5: 0.051894, 2.0: 0.054175, 2.5: 0.056456}


def committee_law() -> Policy:
    return Policy(load_scheme("tw_nhi_2g"), Reform.parse(basis_reform(COMMITTEE)))


@pytest.mark.parametrize("months", PUBLISHED)
def test_g1_required_rates_are_the_committees(months):
    found = required_rate(read_basis(COMMITTEE), committee_law(), months=months, year=2021, start=dt.date(2021, 1, 1))
    assert found.rounded == PUBLISHED[months]
    assert found.exact == pytest.approx(EXACT[months], abs=2e-6)
    assert found.reached == 1.0


def test_g1_through_the_command_line():
    words = ["solve", "tw_nhi_2g", "--basis", COMMITTEE, "--year", "2021", "--start", "2021-01-01", "--json"]
    for months in PUBLISHED:
        words += ["--months", str(months)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)["answers"]
    assert {row["months"]: row["rounded_rate"] for row in answers} == PUBLISHED
    assert [row["answer"] for row in answers] == ["4.97%", "5.19%", "5.42%", "5.65%"]


def test_g1_the_committees_whole_table_of_2021():
    """Revenue, balance, reserve and months of all eight rates, within the rounding of the print and the fitted line."""
    basis, law = read_basis(COMMITTEE), committee_law()
    for row in load_table("twn", "rate_scenarios_2020").to_dict("records"):
        change = Change("general_premium_rate", dt.date(2021, 1, 1), row["general_premium_rate"])
        result = project(basis, law.reform(Reform((*law.change.changes, change))))
        assert result.total_income.item() == pytest.approx(row["revenue_2021_twd_bn"], abs=0.25)
        assert result.balance.item() == pytest.approx(row["balance_2021_twd_bn"], abs=0.3)
        assert result.closing.item() == pytest.approx(row["reserve_end_2021_twd_bn"], abs=0.3)
        assert result.reserve_months.item() == pytest.approx(row["reserve_months_2021"], abs=0.0101)


def test_g2_the_law_itself_has_the_announced_supplementary_rates():
    path = Policy(load_scheme("tw_nhi_2g")).path("supplementary_premium_rate", np.arange(2013, 2027))
    assert path[0] == 0.02
    assert path[3] == 0.0191
    assert path[8] == 0.0211
    assert path[-1] == 0.0211


def test_g2_article_33_gives_them_from_the_general_rates_alone():
    general = ["general_premium_rate=0.0469@2016-01-01", "general_premium_rate=0.0517@2021-01-01"]
    policy = Policy(load_scheme("tw_nhi_2g"), Reform.parse(general))
    assert policy.dated("supplementary_premium_rate") == (
        (dt.date(2013, 1, 1), 0.02),
        (dt.date(2016, 1, 1), 0.0191),
        (dt.date(2021, 1, 1), 0.0211),
    )


def history() -> dict[str, np.ndarray]:
    observed = load_observations("twn")

    def series(name: str) -> np.ndarray:
        rows = observed.best(name)
        rows = rows[rows["year"].between(1995, 2005) & (rows["n_months"] <= 12)]
        assert rows["year"].tolist() == list(range(1995, 2006)), name
        return rows["value"].to_numpy()

    return {name: series(name) for name in ("revenue", "cost", "reserve_end", "reserve_months")}


def as_basis(revenue: np.ndarray, cost: np.ndarray) -> Basis:
    """The accounts as a basis of one draw: all income is other income, so that only the ledger works."""
    shape = (len(cost), 1)
    return Basis(
        label="Taiwan 1995-2005 as published",
        years=np.arange(1995, 2006),
        opening_reserve=np.zeros(1),
        general_base=np.zeros(shape),
        category_mix=np.ones((1, 1)),
        categories=("c12",),
        reference_dependants=0.7,
        supplementary_base={},
        other_income={"all": revenue.reshape(shape)},
        outlay=cost.reshape(shape),
        investment_yield=np.zeros(shape),
        payment_sizes={},
        payment_size_index=np.ones(shape),
        law_thresholds={},
        law_ceiling=np.zeros(len(cost)),
        drivers={},
    )


@pytest.fixture(scope="module")
def accounts():
    figures = history()
    law = Policy(load_scheme("tw_nhi_1g"))
    return figures, project(as_basis(figures["revenue"], figures["cost"]), law)


def test_g3_the_chain_of_accounts_gives_every_published_reserve(accounts):
    """Opening + revenue - cost, year after year from nothing; 0.006 is the rounding of eleven printed pairs."""
    figures, result = accounts
    np.testing.assert_allclose(result.closing[:, 0], figures["reserve_end"], atol=0.006)


def test_g3_reserve_months_of_1995_to_2005_as_printed(accounts):
    """The published table cuts off after two decimals."""
    figures, result = accounts
    cut = [math.trunc(100 * months + 1e-9) / 100 for months in result.reserve_months[:, 0]]
    assert cut == figures["reserve_months"].tolist()
    assert (cut[0], cut[3], cut[7], cut[10]) == (2.84, 2.74, 0.32, 0.04)
