"""Birth cohorts: worked by hand over three years, whole and remaining lives, and what an even fund must give."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from forecaster.basis import Basis
from forecaster.demography.tables import N_AGES, load_wpp
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.lifetimes import PastAccounts, birth_cohorts, past_accounts
from forecaster.observations import load_observations
from forecaster.policy import Policy
from forecaster.schemes import load_scheme
from forecaster.who_pays import incidence_of
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
GIVEN = incidence_of("tw_nhi")
PAST = PastAccounts(np.array([2024, 2025]), np.array([800.0, 850.0]), np.array([780.0, 860.0]), np.array([True, False]))


def fund(n_years: int = 2, growth: float = 0.03, n_draws: int = 20) -> Basis:
    """A random fund of the UN's people in all draws, whose GDP per head grows evenly."""
    basis = random_basis(n_draws, n_years)
    people = people_of(2026, 2025 + n_years)
    by_draw = {
        "population": people.sum(axis=1),
        "population_20_to_64": people[:, 20:65].sum(axis=1),
        "share_65_and_over": people[:, 65:].sum(axis=1) / people.sum(axis=1),
    }
    drivers = {name: np.repeat(values[:, None], n_draws, axis=1) for name, values in by_draw.items()}
    per_head = 1.2e-3 * (1.0 + growth) ** np.arange(n_years)
    return replace(basis, drivers={**drivers, "gdp_nominal": drivers["population"] * per_head[:, None]})


def people_of(first: int, last: int) -> np.ndarray:
    wpp = load_wpp("twn")
    return wpp.population_1july[wpp.year_slice(first, last)].sum(axis=1)


def test_what_remains_of_a_life_by_hand() -> None:
    # Those born in 1996 are 30 in 2026 and 31 in 2027. Of the insured's payments a head of 20 to 64 bears 1 part and
    # one of 65 and over 0.29; the second year's money is worth 1/1.03 of its amount, 1/1.02 of that at 2% of discount.
    basis = fund()
    result = project(basis, LAW)
    people = people_of(2026, 2027)
    heads = people[:, 20:65].sum(axis=1) + 0.29 * people[:, 65:].sum(axis=1)
    paid = result.by_payer()["insured"].mean(axis=1) * 1e9
    expected = paid[0] / heads[0] + paid[1] / heads[1] / 1.03 / 1.02 * people[1, 31] / people[0, 30]
    found = birth_cohorts(basis, result, GIVEN, [1996], "twn", discount=0.02)
    assert found.payments["insured"].mean() == pytest.approx(expected)
    assert found.net == pytest.approx(found.benefits - sum(found.payments.values()))
    assert (found.first.tolist(), found.last.tolist()) == ([2026], [2027])


def test_three_years_of_a_life_by_hand() -> None:
    # Born in 2025: 0 in that year, 1 in 2026, the one projected year. What the fund spends on a child of up to six is
    # 16,537.8 parts; the cohort pays nothing. Money of 2025 is carried to 2026 by GDP per head.
    basis = fund(1)
    result = project(basis, LAW)
    people = people_of(2024, 2026)
    heads = people @ GIVEN.benefits
    gdp = dict(zip(*load_observations("twn").series("gdp_nominal")[["year", "value"]].to_numpy().T, strict=True))
    # 2025 lies half way, in logs, between the last published year and the first projected one.
    gdp[2025] = np.sqrt(gdp[2024] * basis.drivers["gdp_nominal"][0, 0])
    then, now = gdp[2025] / people[1].sum(), 1.2e-3
    spent = 860.0 * 1e9 / heads[1] * 16537.8 * now / then
    expected = spent + result.outgo[0] * 1e9 / heads[2] * 16537.8 * people[2, 1] / people[1, 0] / 1.01
    found = birth_cohorts(basis, result, GIVEN, [2025, 1990], "twn", discount=0.01, past=PAST)
    assert found.benefits[0] == pytest.approx(expected)
    assert (found.payments["insured"][0] == 0.0).all()
    # Born in 1990: counted from 2024 at 34 on. Employers bore 30% of income, on the heads of 20 to 64.
    workers = people[:, 20:65].sum(axis=1)
    worth = [now / (gdp[year] / row.sum()) for year, row in zip((2024, 2025), people, strict=False)]
    paid = 0.30 * np.array([800.0, 850.0]) * 1e9 / workers[:2] * worth
    last = result.by_payer()["employers"][0] * 1e9 / workers[2] * people[2, 36] / people[0, 34] / 1.01**2
    expected = paid[0] + paid[1] * people[1, 35] / people[0, 34] / 1.01 + last
    assert found.payments["employers"][1] == pytest.approx(expected)
    assert found.first.tolist() == [2025, 2024]


def test_a_life_is_what_was_and_what_remains() -> None:
    basis = fund(3)
    result = project(basis, LAW)
    births = [1950, 1980, 2024]
    whole, rest = (birth_cohorts(basis, result, GIVEN, births, "twn", past=past) for past in (PAST, None))
    before = birth_cohorts(basis.until(2026), project(basis.until(2026), LAW), GIVEN, births, "twn", past=PAST)
    first = birth_cohorts(basis.until(2026), project(basis.until(2026), LAW), GIVEN, births, "twn")
    people = people_of(2024, 2026)
    alive = np.array([people[2, 2026 - birth] / people[0, max(2024 - birth, 0)] for birth in births])[:, None]
    assert whole.benefits - before.benefits == pytest.approx(alive * (rest.benefits - first.benefits))
    # Who is 99 in the first year is followed through it and no further.
    assert birth_cohorts(basis, result, GIVEN, [1927, 1928], "twn").last.tolist() == [2026, 2027]


def test_all_cohorts_together_pay_what_the_payers_paid() -> None:
    basis = fund(1)
    result = project(basis, LAW)
    births = range(1927, 2027)  # ages 0 to 99; the open group of 100 and over is followed no further
    found = birth_cohorts(basis, result, GIVEN, births, "twn")
    alive = people_of(2026, 2026)[0]
    of_the_oldest = GIVEN.benefits[100] * alive[100] / (GIVEN.benefits @ alive)
    total = alive[np.array([2026 - birth for birth in births])] @ found.benefits
    assert total == pytest.approx(result.outgo[0] * 1e9 * (1.0 - of_the_oldest))


def test_an_even_balanced_fund_of_an_even_people_gives_as_much_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    # As many of each age in every year, none after 99; every year the fund spends what it takes, a part of GDP that
    # grows by 2%. A life from birth to 99 then gets what it pays at the growth of GDP per head, and less beyond it.
    even = np.append(np.linspace(3e5, 1e3, N_AGES - 1), 0.0)
    monkeypatch.setattr(
        "forecaster.lifetimes.load_wpp",
        lambda place: SimpleNamespace(
            population_1july=np.tile(even / 2, (150, 2, 1)), year_slice=lambda a, b: slice(b - a + 1)
        ),
    )
    n_years = 102
    grown = 1.02 ** np.arange(n_years)[:, None]
    shares = {"population": 1.0, "population_20_to_64": even[20:65].sum() / even.sum()}
    drivers = {name: np.full((n_years, 1), share * even.sum()) for name, share in shares.items()}
    drivers |= {"share_65_and_over": np.full((n_years, 1), even[65:].sum() / even.sum()), "gdp_nominal": 3e4 * grown}
    basis = SimpleNamespace(label="even", years=np.arange(2026, 2026 + n_years), n_draws=1, drivers=drivers)
    paid = {"insured": 300.0, "employers": 250.0, "government": 400.0, "earmarked_and_other": 50.0}
    result = SimpleNamespace(by_payer=lambda: {k: v * grown for k, v in paid.items()}, outgo=1000.0 * grown)
    found, less = (birth_cohorts(basis, result, GIVEN, [2026], "twn", discount=d) for d in (0.0, 0.02))
    assert found.net == pytest.approx(0.0, abs=1e-6 * found.benefits.item())
    assert found.benefits.item() == pytest.approx(1000.0 * 1e9 / even[0])
    assert less.net.item() < 0.0  # payments come before the cost of old age


def test_people_of_a_draw_bear_the_years_total() -> None:
    # With twice the people of working age in a draw, a head of them bears half of what employers pay.
    basis = fund()
    people = {name: values.copy() for name, values in basis.drivers.items()}
    extra = people["population_20_to_64"][:, 0]
    old = people["share_65_and_over"][:, 0] * people["population"][:, 0]
    people["population"][:, 0] += extra
    people["population_20_to_64"][:, 0] += extra
    people["share_65_and_over"][:, 0] = old / people["population"][:, 0]
    people["gdp_nominal"][:, 0] *= people["population"][:, 0] / basis.drivers["population"][:, 0]
    result = project(basis, LAW)
    before, after = (
        birth_cohorts(b, result, GIVEN, [1990], "twn").payments["employers"][0]
        for b in (basis, replace(basis, drivers=people))
    )
    assert after[0] == pytest.approx(before[0] / 2.0)
    assert after[1:] == pytest.approx(before[1:])


def test_the_past_is_the_published_accounts_from_the_first_months_on() -> None:
    published = load_observations("twn")
    rows = []
    for line, series in (("income", "revenue"), ("outgo", "cost")):
        known = published.best(series).set_index("period")["value"]
        rows += [{"line": line, "year": y, "q50": known[str(y)], "kind": "published"} for y in range(1996, 2001)]
        rows.append({"line": line, "year": 2001, "q50": 300.0, "kind": "estimated"})
    past = past_accounts("TWN", pd.DataFrame(rows))
    assert past.years.tolist() == list(range(1995, 2002))
    # March to December 1995: 193.991 and 156.847 bn.
    assert (past.income[0], past.outgo[0]) == (193.991, 156.847)
    assert past.published.tolist() == [True] * 6 + [False]
    with pytest.raises(ForecasterError, match="lack income or outgo of 1998; fit the pool anew"):
        past_accounts("TWN", pd.DataFrame([row for row in rows if row["year"] != 1998]))


def test_cohorts_out_of_reach_and_a_basis_without_people_are_refused() -> None:
    basis = fund()
    result = project(basis, LAW)
    with pytest.raises(ForecasterError, match=r"cohort 2030: allowed is 1927 \(aged 99 in 2026\) up to 2026"):
        birth_cohorts(basis, result, GIVEN, [1990, 2030], "twn")
    with pytest.raises(ForecasterError, match=r"cohort 1924: allowed is 1925 \(aged 99 in 2024\) up to 2026"):
        birth_cohorts(basis, result, GIVEN, [1924], "twn", past=PAST)
    later = replace(basis, years=basis.years + 1)
    with pytest.raises(ForecasterError, match="the accounts of the past end in 2025; allowed is 2026, the year before"):
        birth_cohorts(later, result, GIVEN, [1990], "twn", past=PAST)
    bare = random_basis(5, 2)
    with pytest.raises(
        ForecasterError, match="cohorts need gdp_nominal, population, population_20_to_64, share_65_and"
    ):
        birth_cohorts(bare, project(bare, LAW), GIVEN, [1990], "twn")
