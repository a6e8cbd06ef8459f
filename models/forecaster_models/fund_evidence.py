"""Evidence of a Taiwan-type fund: which sourced figures speak about which latent quantity, and with what error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecaster.demography.vintages import load_vintage, vintage_at
from forecaster.errors import ForecasterError
from forecaster.futures import (
    PROFILE_YEAR,
    REFERENCE_DEPENDANTS,
    growth_surprise,
    in_age_groups,
    macro_steps,
    tobacco_surcharge,
)
from forecaster.observations import Observations, load_observations
from forecaster.policy import Policy
from forecaster.revenue import category_flags, payer_weights
from forecaster.schemes import PAYERS, load_scheme

Array = np.ndarray

FIRST_YEAR = 1996
# Last year of income that the tables hold, and the first valuation date whose law the model knows.
LAST_INCOME_YEAR = 2025
FIRST_ORIGIN = 2013
# Error of next year's growth, log, where no outlook of the time is read: growth of nominal GDP as in the last five
# years.
NEXT_GROWTH_ERROR = 0.025
# Series of budgets, agreed by the end of the year before the one they are for.
BUDGETS = ("global_budget_total", "budget_paid")
# Error of a stock or a balance, TWD bn, by grade: a balance is a difference of large flows, so a relative error would
# not do. The gap between preliminary and final balances (2015: 2.7, 2021: 2.0) sets B; A is rounding and small
# restatements.
STOCK_ERROR = {"A": 0.1, "B": 1.0, "C": 3.0}
# Error of a reserve read within a year, on top: flows are not even over the months (dividends, settlements).
WITHIN_YEAR_ERROR = 3.0


@dataclass(frozen=True)
class Measured:
    """Figures of one quantity: index of the year in the latent path, value and standard error; shape ``(row,)``."""

    index: Array
    value: Array
    error: Array


@dataclass(frozen=True)
class Accounts:
    """Published figures that are linear in the flows: ``matrix @ (cost by year, income by year) = value``.

    ``restated`` is 1 for rows that hold the restatement of the accounts of 2015. TWD bn nominal.
    """

    labels: tuple[str, ...]
    matrix: Array
    value: Array
    error: Array
    restated: Array


@dataclass(frozen=True)
class FundData:
    """Arrays that the fund model is conditioned on; money in TWD bn nominal.

    Attributes
    ----------
    years
        1996 to the last year whose budget is set; income years end one earlier.
    accounts
        Published costs, revenues, sums over years, balances and reserves, all linear in the yearly flows.
    opening_reserve
        Reserve at the end of 1995.
    budget
        Global budgets, log ratio is to cost.
    population_groups
        Persons on 1 July by age group, ``(year, group)``; ``population_2014`` by single age for the profile's bands.
    gdp_step, price_step, real_step, surprise
        Log change of nominal GDP, of the deflator and of real GDP per head, and growth against the five years before,
        ``(year,)``, from the first year on.
    gdp_error
        Error of the step where the year's GDP is still a projection, 0 elsewhere.
    weights
        Payer to ``(year, category)`` weights of the general premium; ``state_employer`` likewise.
    """

    years: Array
    accounts: Accounts
    opening_reserve: float
    budget: Measured
    population_groups: Array
    population_by_age: Array
    profile_bands: tuple[tuple[int, int, float], ...]
    gdp_step: Array
    price_step: Array
    real_step: Array
    surprise: Array
    gdp_error: Array
    rate: Array
    supplementary_rate: Array
    floor: Array
    injection: Array
    tobacco: Array
    weights: dict[str, Array]
    state_employer: Array
    state_flag: Array
    announced_flag: Array
    supplementary: Measured
    categories: tuple[str, ...]
    items: tuple[str, ...]
    item_amounts: pd.DataFrame
    facts: dict[str, tuple[float, float]]

    @property
    def n_income(self) -> int:
        """Number of years with income latents."""
        return len(self.years) - 1


def _measured(rows: pd.DataFrame, first: int, *, error: Array | None = None) -> Measured:
    sd = (rows["error"] * rows["value"].abs()).to_numpy() if error is None else error
    return Measured((rows["year"] - first).to_numpy(dtype=int), rows["value"].to_numpy(dtype=float), sd)


def _full_years(observed: Observations, name: str, last: int) -> pd.DataFrame:
    rows = observed.series(name)
    return rows[(rows["n_months"] == 12) & rows["year"].between(FIRST_YEAR, last)]


def _known(observed: Observations, name: str) -> pd.DataFrame:
    """Rows of a series, none where the valuation date lies before its first."""
    return observed.series(name) if name in observed.names() else observed.table.iloc[:0]


def known_by(observed: Observations, year: int) -> Observations:
    """The same tables without what tells of a later year; as they stand today, not as first published."""
    table = observed.table
    budget = table["series"].isin(BUDGETS)
    kept = table[(table["year"] <= year) | (budget & (table["year"] == year + 1))]
    return replace(observed, table=kept)


def _accounts(observed: Observations, opening: float, last_year: int) -> Accounts:
    """Every published figure on flows and reserves as one row of a linear system."""
    n_income = last_year - FIRST_YEAR + 1
    n_cost = n_income + 1
    labels, rows, values, errors = [], [], [], []

    def add(label: str, cost: Array, income: Array, value: float, error: float) -> None:
        labels.append(label)
        rows.append(np.concatenate([cost, income]))
        values.append(value)
        errors.append(error)

    def year(t: int, n: int, weight: float = 1.0) -> Array:
        return weight * (np.arange(n) == t)

    none = np.zeros(n_cost), np.zeros(n_income)
    for _, row in _full_years(observed, "cost", last_year).iterrows():
        add("cost", year(row["year"] - FIRST_YEAR, n_cost), none[1], row["value"], row["error"] * row["value"])
    for _, row in _full_years(observed, "revenue", last_year).iterrows():
        add("revenue", none[0], year(row["year"] - FIRST_YEAR, n_income), row["value"], row["error"] * row["value"])
    for _, row in _full_years(observed, "balance", last_year).iterrows():
        t = row["year"] - FIRST_YEAR
        add("balance", year(t, n_cost, -1.0), year(t, n_income), row["value"], STOCK_ERROR[row["quality"]])
    # Cumulative accounts less the known years: what remains uncertain is the rounding of the two derived years.
    first, last = 2006 - FIRST_YEAR, 2012 - FIRST_YEAR
    for name, position in (("cost_sum", 0), ("revenue_sum", 1)):
        total = float(observed.series(name).query("period == '2006..2012'")["value"].iloc[0])
        flows = list(none)
        span = np.arange(len(flows[position]))
        flows[position] = ((span >= first) & (span <= last)).astype(float)
        add(name, flows[0], flows[1], total, 0.5)
    for t, months, value, error in _reserves(observed):
        weight = (np.arange(n_cost) < t) + (months / 12.0) * (np.arange(n_cost) == t)
        add("reserve", -weight, weight[:n_income], value - opening, error)
    matrix = np.array(rows)
    # Only reserves at or after the end of 2015 hold the restatement of that year.
    restated = np.zeros(len(rows))
    if last_year >= 2015:
        after = matrix[:, n_cost + 2015 - FIRST_YEAR] == 1.0
        restated = (after & (np.array(labels) == "reserve")).astype(float)
    return Accounts(tuple(labels), matrix, np.array(values), np.array(errors), restated)


def _reserves(observed: Observations) -> Iterator[tuple[int, float, float, float]]:
    """Index of the year, months of it that have passed, reserve and its error."""
    rows = observed.series("reserve_end")
    for _, row in rows[(rows["year"] >= FIRST_YEAR) & (rows["period"].str.len() <= 7)].iterrows():
        months = 12.0 if len(row["period"]) == 4 else float(row["period"][5:7])
        error = STOCK_ERROR[row["quality"]] + (WITHIN_YEAR_ERROR if months < 12 else 0.0)
        yield row["year"] - FIRST_YEAR, months, row["value"], error
    # Made a month before the year's end, so almost an account.
    late = observed.series("reserve_end", projections=True).query("year == 2023 and made == '2023-11-30'")
    for value in late["value"]:
        yield 2023 - FIRST_YEAR, 12.0, float(value), WITHIN_YEAR_ERROR


def _economy_steps(place: str, years: Array, last_year: int) -> dict[str, Array]:
    """Steps of the economy; those after the last published year, or after an earlier valuation date, are guesses."""
    macro = macro_steps(place, vintage_at(last_year))
    keep = np.isin(macro.years, years)
    steps = {
        "gdp_step": macro.nominal[keep],
        "price_step": macro.price[keep],
        "real_step": macro.per_head[keep],
        "surprise": growth_surprise(macro.per_worker)[keep],
        "gdp_error": np.where(macro.observed[keep], 0.0, 0.015),
    }
    if last_year < LAST_INCOME_YEAR:
        # Of the next year nothing is known yet, the outlook of the time not being held.
        usual = {"gdp_step": 5, "price_step": 5, "real_step": 5}
        for name, span in usual.items():
            steps[name] = np.append(steps[name][:-1], steps[name][-1 - span : -1].mean())
        steps["surprise"] = np.append(steps["surprise"][:-1], 0.0)
        steps["gdp_error"] = np.append(np.zeros(len(years) - 1), NEXT_GROWTH_ERROR)
    return steps


def _law(years: Array) -> dict[str, object]:
    """Rates, weights and floor of both generations over the income years."""
    first, second = Policy(load_scheme("tw_nhi_1g")), Policy(load_scheme("tw_nhi_2g"))
    early, late = years[years < 2013], years[years >= 2013]
    categories = tuple(second.scheme.categories)

    def both(name: str, before: float | None = None) -> Array:
        old = first.path(name, early) if before is None else np.full(len(early), before)
        return np.concatenate([old, second.path(name, late)])

    def rows(policy: Policy, part: Array, payer: str) -> Array:
        weights = payer_weights(policy, categories, part, REFERENCE_DEPENDANTS, payer)
        return np.broadcast_to(weights, (len(part), len(categories)))

    weights = {payer: np.concatenate([rows(first, early, payer), rows(second, late, payer)]) for payer in PAYERS}
    state = category_flags(second, categories, "employer_is_government")
    return {
        "rate": both("general_premium_rate"),
        "supplementary_rate": both("supplementary_premium_rate", before=0.0),
        "floor": both("government_floor_share", before=0.0),
        "injection": both("government_injection", before=0.0),
        "weights": weights,
        "state_employer": weights["employer"] * state,
        "state_flag": state,
        "announced_flag": category_flags(second, categories, "announced_dependants"),
        "categories": categories,
        "items": tuple(second.scheme.supplementary_items),
    }


def _item_amounts(observed: Observations, items: tuple[str, ...]) -> pd.DataFrame:
    """Published amounts by supplementary item, TWD bn; employers in 2013 as the total less the six items."""
    names = {
        "bonus": "insured_high_bonus",
        "part_time": "insured_part_time_wages",
        "fees": "insured_professional_fees",
        "dividends": "insured_dividends",
        "interest": "insured_interest",
        "rent": "insured_rent",
    }
    total = observed.series("supplementary_premium").query("period == '2013' and quality == 'B'")["value"].iloc[0]
    six = observed.series("supplementary_premium|insured_six_items")["value"].iloc[0]
    amounts = {("employer", 2013): float(total - six)}
    for _, row in _known(observed, "supplementary_premium|employers").query("basis == 'derived'").iterrows():
        amounts["employer", int(row["year"])] = float(row["value"])
    for item, suffix in names.items():
        for _, row in _known(observed, f"supplementary_premium|{suffix}").iterrows():
            amounts[item, int(row["year"])] = float(row["value"])
    table = pd.Series(amounts).unstack().reindex(items)
    return table.loc[:, table.notna().sum() > 1]


# Published single facts: name in the model, series, period, factor on the value, error. The errors are assumed: shares
# printed to the percent may be off by a point; official estimates of effects by a seventh or more.
FACTS = (
    ("old_2010", "share_of_spending|65+", "2010", 1.0, 0.01),
    ("old_2020", "share_of_spending|65+", "2020", 1.0, 0.02),
    ("dividends_2025", "dividend_share_of_supplementary", "2025", 1.0, 0.02),
    ("threshold_2016", "revenue_effect|threshold_20000_supplementary", "2016", 1.0, 0.4),
    ("part_time_2014", "revenue_effect|part_time_threshold", "2014", 1.0, 0.15),
    ("ceiling_50m", "revenue_effect|ceiling_50m", "2025", 1.0, 0.2),
    ("government_2012", "government_share_of_nhi_expense", "2012", 1.0, 0.008),
    ("insured_2020", "share_of_income|insured", "2020", 1.0, 0.01),
    ("employers_2020", "share_of_income|employer", "2020", 1.0, 0.01),
    ("general_2024", "share_of_income|general_premium", "2024", 1.0, 0.01),
    ("supplementary_2024", "supplementary_share_of_income", "2024", 1.0, 0.005),
    # January to May of 2016, brought to a year.
    ("general_2016", "general_premium", "2016-01..2016-05", 12.0 / 5.0, 10.0),
)


def _facts(observed: Observations) -> dict[str, tuple[float, float]]:
    found = {}
    for name, series, period, factor, error in FACTS:
        rows = _known(observed, series)
        value = rows[rows["period"] == period]["value"]
        if not value.empty:
            found[name] = (float(value.iloc[0]) * factor, error)
    old, very_old = (observed.series(f"spending_total|{age}") for age in ("65+", "80+"))
    ratio = very_old.query("year == 2010")["value"].iloc[0] / old.query("year == 2010")["value"].iloc[0]
    return {**found, "very_old_2010": (float(ratio), 0.01)}


def _supplementary(observed: Observations, last_year: int) -> Measured:
    """Collected totals; where two sources contradict each other, half their distance is the least error."""
    rows = _full_years(observed, "supplementary_premium", last_year)
    spread = rows.groupby("year")["value"].transform(lambda v: (v.max() - v.min()) / 2)
    # A collected total is not the accrued one, so its error is at least that of an estimate.
    return _measured(rows, FIRST_YEAR, error=np.maximum(0.03 * rows["value"], spread).to_numpy(dtype=float))


def _profile_bands(observed: Observations) -> tuple[tuple[int, int, float], ...]:
    """Spending a head in 2014 by published age band, TWD a year: first age, last age, value."""
    bands = []
    for name in ("0-6", "7-18", "19-50", "51-64", "65+"):
        series = f"spending_per_person|{name}"
        if series not in observed.names():
            continue
        rows = observed.best(series)
        first = int(name.rstrip("+").split("-")[0])
        last = int(name.split("-")[1]) if "-" in name else 100
        bands.extend((first, last, float(value)) for value in rows[rows["year"] == PROFILE_YEAR]["value"])
    return tuple(bands)


def fund_data(place: str = "twn", last_year: int | None = None) -> FundData:
    """Collect the evidence for Taiwan's fund from the project's tables and scheme files.

    Parameters
    ----------
    last_year
        Valuation date: last year whose accounts are known, and with them the budget of the next. Figures are those
        that the tables hold today, not those first published; the population is the UN's of the time. None for all
        that is known.

    Raises
    ------
    ForecasterError
        When the valuation date lies before the second generation's first year or after the last accounts.
    """
    last = LAST_INCOME_YEAR if last_year is None else last_year
    if not FIRST_ORIGIN <= last <= LAST_INCOME_YEAR:
        raise ForecasterError(
            f"the fund model starts from a year of {FIRST_ORIGIN} to {LAST_INCOME_YEAR}, not from {last}: before it "
            "the law of the second generation was not in force, after it no accounts are held"
        )
    everything, tables = load_observations(place), load_vintage(place, vintage_at(last))
    observed = known_by(everything, last)
    if last == LAST_INCOME_YEAR and not (observed.series("reserve_end", projections=True)["year"] == 2023).any():
        raise ForecasterError("the official estimate of the 2023 reserve made on 2023-11-30 is missing from the tables")
    years = np.arange(FIRST_YEAR, last + 2)
    income_years = years[:-1]
    at = np.searchsorted(tables.years, years)
    by_age = tables.population_1july[at].sum(axis=1)
    budget = pd.concat([_full_years(observed, n, last + 1) for n in BUDGETS if n in observed.names()])
    opening = float(observed.series("reserve_end").query("year == 1995")["value"].iloc[0])
    return FundData(
        years=years,
        accounts=_accounts(observed, opening, last),
        opening_reserve=opening,
        budget=_measured(budget, FIRST_YEAR),
        population_groups=in_age_groups(by_age),
        population_by_age=by_age,
        profile_bands=_profile_bands(observed),
        tobacco=tobacco_surcharge(everything, income_years, last),
        supplementary=_supplementary(observed, last),
        facts=_facts(observed),
        item_amounts=_item_amounts(
            observed, ("employer", "bonus", "part_time", "fees", "dividends", "interest", "rent")
        ),
        **_economy_steps(place, years, last),
        **_law(income_years),  # type: ignore[arg-type]
    )
