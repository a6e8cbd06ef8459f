"""Forecast tables of a baseline and a reform: pure functions of projections.

Every line is summarised over the draws by its mean and the quantiles of :data:`forecaster.solvency.QUANTILES`. Since
the mean is linear, the means of a scenario keep the account: opening + total income - outgo = closing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecaster.attribution import LINES as ATTRIBUTED
from forecaster.attribution import SPENDING_DRIVERS, Attribution, spending_growth
from forecaster.basis import Basis
from forecaster.engine import INCOME_LINES, FundProjection, other_income_lines, project
from forecaster.measures import Valuation, expected_shortfall, fund_ratio, periods, valuation
from forecaster.policy import Policy
from forecaster.solve import Required
from forecaster.solvency import (
    QUANTILES,
    YearDistribution,
    below_months,
    depletion,
    first_deficit,
    limit_binds,
    limit_falls_short,
    pay_as_you_go_rate,
    quantiles,
    share_below,
)

Array = np.ndarray

BASELINE, REFORM, DIFFERENCE = "baseline", "reform", "difference"
NOT_WITHIN = "not within the horizon"
QUANTILE_COLUMNS = tuple(f"q{p:g}" for p in QUANTILES)
FLOW, STOCK = "flow of the year", "stock at the end of the year"


@dataclass(frozen=True)
class Line:
    """A line of the forecast table; ``unit`` is ``money``, ``months`` or ``share``."""

    name: str
    label: str
    unit: str = "money"
    kind: str = FLOW

    def unit_text(self, money: str) -> str:
        """Unit as written in the tables, money nominal in the unit of the scheme, such as ``TWD bn``."""
        if self.unit != "money":
            return self.unit
        return f"{money} per year" if self.kind == FLOW else money


_INCOME_LABELS = {
    "general_premium": "General premium of all payers",
    "supplementary_premium": "Supplementary premium of all payers",
    "government_top_up": "Government money up to its least share of the budget",
    "government_injection": "Government money beyond the law's shares",
    "earmarked_and_other": "Tobacco surcharge, lottery and other income",
    "investment_income": "Yield of the reserve; a cost when the reserve is negative",
}
# Lines of other income that a basis may tell apart.
_OTHER_LABELS = {
    "tobacco_surcharge": "tobacco surcharge",
    "lottery": "lottery",
    "late_fees": "late fees",
    "miscellaneous": "the rest",
}
_PAYER_LABELS = {
    "insured": "Paid by the insured",
    "employers": "Paid by employers other than the state",
    "government": "Paid by the government, as employer too",
    "earmarked_and_other": "Earmarked and other income, paid by others",
    "investment": "The fund's own yield",
}
LINES = (
    Line("opening_reserve", "Reserve at the start of the year", kind="stock at the start of the year"),
    *(Line(name, _INCOME_LABELS[name]) for name in INCOME_LINES),
    Line("total_income", "Income, sum of the six lines above"),
    *(Line(name, f"Of earmarked and other income: {label}") for name, label in _OTHER_LABELS.items()),
    Line("outgo", "Insurance cost, co-payments deducted"),
    Line("balance", "Income less outgo"),
    Line("reserve", "Reserve at the end of the year", kind=STOCK),
    Line("reserve_months", "Reserve in months of the year's outgo", "months", STOCK),
    Line(
        "fund_ratio",
        "Reserve at the start of the year over the year's outgo",
        "share",
        "stock at the start of the year",
    ),
    *(Line(f"paid_by.{payer}", label) for payer, label in _PAYER_LABELS.items()),
    Line("government_due", "Owed by the government for the year: its premiums and its top-up"),
    Line("government_paid", "Paid by the government on what falls due in the year and on arrears"),
    Line("government_arrears", "Due from the government and not paid", kind=STOCK),
    Line("government_share_due", "Owed by the government, in the premiums and top-up owed for the year", "share"),
    Line("government_share_paid", "Paid by the government, in the same", "share"),
    Line("cash_reserve", "Reserve less what the government has not paid", kind=STOCK),
    Line("point_value", "Money per point of providers before any guarantee", "share"),
    Line("general_premium_rate", "General premium rate in force, mean over the year", "share"),
    Line("supplementary_premium_rate", "Supplementary premium rate in force, mean over the year", "share"),
    Line("pay_as_you_go_rate", "General rate that would balance the year's income and outgo", "share"),
)


@dataclass(frozen=True)
class Scenario:
    """A policy and what the fund does under it; ``name`` is ``baseline`` or ``reform``."""

    name: str
    basis: Basis
    policy: Policy
    projection: FundProjection

    @property
    def floor_months(self) -> float:
        """Least reserve that the law wants in the first projected year, months of outgo; 0 where it wants none."""
        name = "reserve_floor_months"
        return float(self.policy.path(name, self.basis.years[:1])[0]) if self.policy.has(name) else 0.0


def run_scenarios(basis: Basis, law: Policy, reform: Policy | None = None) -> tuple[Scenario, ...]:
    """Project the law, and the reform if there is one, on the same draws."""
    policies = [(BASELINE, law)] + ([(REFORM, reform)] if reform is not None else [])
    return tuple(Scenario(name, basis, policy, project(basis, policy)) for name, policy in policies)


def line_values(scenario: Scenario) -> dict[str, Array]:
    """Every line of :data:`LINES` that this fund has, as draws, shape ``(year, draw)``, in the line's unit."""
    result, basis, policy = scenario.projection, scenario.basis, scenario.policy
    shape, premiums = result.outgo.shape, result.premiums
    optional = {}
    if policy.has("government_payment_share"):
        optional = {
            "government_due": result.government.due,
            "government_paid": result.government.paid,
            "government_arrears": result.government.arrears,
            "government_share_due": result.government.due / np.maximum(premiums.total + result.top_up_owed, 1e-12),
            "government_share_paid": result.government.paid / np.maximum(premiums.total + result.top_up_owed, 1e-12),
            "cash_reserve": result.cash_reserve,
        }
    if result.point_value is not None:
        optional["point_value"] = result.point_value
    other = other_income_lines(basis, policy)
    return {
        "opening_reserve": result.opening,
        **result.income,
        "total_income": result.total_income,
        **{name: other[name] for name in _OTHER_LABELS if name in other},
        "outgo": result.outgo,
        "balance": result.balance,
        "reserve": result.closing,
        "reserve_months": result.reserve_months,
        "fund_ratio": fund_ratio(result),
        **{f"paid_by.{payer}": values for payer, values in result.by_payer().items()},
        **optional,
        "general_premium_rate": np.broadcast_to(premiums.rate, shape),
        "supplementary_premium_rate": np.broadcast_to(premiums.supplementary_rate, shape),
        "pay_as_you_go_rate": pay_as_you_go_rate(basis, policy, result),
    }


def forecast_table(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Long table of all lines; with two scenarios also their difference, draw by draw.

    Returns
    -------
    pandas.DataFrame
        ``scenario`` (``baseline``, ``reform``, ``difference`` = reform less baseline), ``line``, ``year``, ``unit``,
        ``mean`` and one column for each quantile. Quantiles of a difference are those of the draws' differences.
    """
    draws = {scenario.name: line_values(scenario) for scenario in scenarios}
    if BASELINE in draws and REFORM in draws:
        draws[DIFFERENCE] = {name: draws[REFORM][name] - values for name, values in draws[BASELINE].items()}
    years, money = scenarios[0].basis.years, scenarios[0].policy.scheme.money
    parts = []
    for name, values in draws.items():
        for line in (line for line in LINES if line.name in values):
            part = {"scenario": name, "line": line.name, "year": years, "unit": line.unit_text(money)}
            part |= {"mean": values[line.name].mean(axis=1) + 0.0}
            # Adding zero turns a minus zero, which would print as "-0.0", into zero.
            part |= dict(zip(QUANTILE_COLUMNS, quantiles(values[line.name]) + 0.0, strict=True))
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def events(scenario: Scenario) -> dict[str, YearDistribution]:
    """First year of a deficit, of a reserve below the law's floor, and of a reserve below zero."""
    result = scenario.projection
    return {
        "first_deficit": first_deficit(result),
        "first_below_floor": below_months(result, scenario.floor_months),
        "first_depletion": depletion(result),
    }


# Share of the draws whose mean reserve is shown as the bad case of a year.
WORST = 0.1


def probability_table(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Chances by year as shares of draws: ``_by_year`` it has happened by then, ``_in_year`` it is so in that year."""
    parts = []
    for scenario in scenarios:
        result, first = scenario.projection, events(scenario)
        short = limit_falls_short(scenario.basis, scenario.policy, result)
        columns = {
            "scenario": scenario.name,
            "year": result.years,
            "floor_months": scenario.floor_months,
            "below_floor_by_year": first["first_below_floor"].by_year,
            "below_floor_in_year": share_below(result, scenario.floor_months),
            "depleted_by_year": first["first_depletion"].by_year,
            "depleted_in_year": share_below(result, 0.0),
            "deficit_by_year": first["first_deficit"].by_year,
            "deficit_in_year": (result.balance < 0.0).mean(axis=1),
            "rate_limit_by_year": limit_binds(result).by_year,
            "rate_limit_in_year": result.limit_binds.mean(axis=1),
            "limit_short_by_year": np.nan if short is None else short.by_year,
            "limit_short_in_year": np.nan if short is None else short.in_year,
            "reserve_worst_tenth": expected_shortfall(result.closing, WORST),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def first_year_table(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Distribution of each event's first year; with the row ``not within the horizon`` the shares sum to one."""
    parts = []
    for scenario in scenarios:
        for event, found in events(scenario).items():
            years = [*(str(year) for year in found.years), NOT_WITHIN]
            shares = np.append(found.probability, found.not_within_horizon)
            parts.append(
                pd.DataFrame({"scenario": scenario.name, "event": event, "year": years, "probability": shares})
            )
    return pd.concat(parts, ignore_index=True)


VALUATION_MEASURES = ("income_rate", "cost_rate", "balance", "level_rate", "unfunded_obligation")


def valuation_table(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Summarised measures of each usual valuation period, see :mod:`forecaster.measures`; quantiles over draws."""
    rows = []
    for scenario in scenarios:
        for years in periods(scenario.basis):
            found = valuation(scenario.basis, scenario.policy, scenario.projection, years)
            rows += [_valuation_row(scenario, found, measure) for measure in VALUATION_MEASURES]
    return pd.DataFrame(rows)


def _valuation_row(scenario: Scenario, found: Valuation, measure: str) -> dict[str, object]:
    values = np.asarray(getattr(found, measure))[None, :]
    spread = quantiles(values)[:, 0] + 0.0
    return {
        "scenario": scenario.name,
        "period": found.years,
        "measure": measure,
        "unit": scenario.policy.scheme.money if measure == "unfunded_obligation" else "share",
        "mean": float(values.mean()) + 0.0,
        **dict(zip(QUANTILE_COLUMNS, spread, strict=True)),
    }


def spending_table(scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Growth of outgo since the first year by driver, see :func:`forecaster.attribution.spending_growth`; ``all`` sums.

    Empty where the basis does not know its people.
    """
    parts = []
    for scenario in (s for s in scenarios if set(SPENDING_DRIVERS) <= set(s.basis.drivers)):
        grown = spending_growth(scenario.basis, scenario.policy)
        for driver, values in {**grown, "all": np.add.reduce(list(grown.values()))}.items():
            part = {"scenario": scenario.name, "driver": driver, "year": scenario.basis.years}
            part |= {"unit": f"{scenario.policy.scheme.money} per year", "mean": values.mean(axis=1) + 0.0}
            part |= dict(zip(QUANTILE_COLUMNS, quantiles(values) + 0.0, strict=True))
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def attribution_table(found: Attribution, years: Array, money: str) -> pd.DataFrame:
    """Each lever's part of a difference, and the whole as lever ``all``, by line and year."""
    whole = {line: np.add.reduce([part[line] for part in found.parts.values()]) for line in ATTRIBUTED}
    units = {line.name: line.unit_text(money) for line in LINES}
    parts = []
    for lever, lines in {**found.parts, "all": whole}.items():
        for line, values in lines.items():
            part = {"lever": lever, "line": line, "year": years, "unit": units[line]}
            part |= {"mean": values.mean(axis=1) + 0.0}
            part |= dict(zip(QUANTILE_COLUMNS, quantiles(values) + 0.0, strict=True))
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class RateQuestion:
    """A question to the solver and its answer."""

    scenario: str
    months: float
    through_year: int
    start: str
    probability: float
    answer: Required

    @property
    def words(self) -> str:
        """The answer as a reader wants it."""
        return self.answer.words


def required_rate_table(questions: Iterable[RateQuestion]) -> pd.DataFrame:
    """One row a question; rates are shares, ``rounded_rate`` is empty where the legal limit is exceeded."""
    rows = [
        {
            "scenario": q.scenario,
            "months": q.months,
            "through_year": q.through_year,
            "start": q.start,
            "probability": q.probability,
            "exact_rate": q.answer.exact,
            "rounded_rate": np.nan if q.answer.rounded is None else q.answer.rounded,
            "legal_limit": q.answer.limit,
            "reached": q.answer.reached,
            "answer": q.words,
        }
        for q in questions
    ]
    return pd.DataFrame(rows)


def forecast_tables(
    scenarios: Sequence[Scenario], questions: Iterable[RateQuestion] | None = None
) -> dict[str, pd.DataFrame]:
    """All tables by name: forecast, probabilities, first_years, valuation; spending where the basis knows its people;
    required_rates when questions were put.
    """
    tables = {
        "forecast": forecast_table(scenarios),
        "probabilities": probability_table(scenarios),
        "first_years": first_year_table(scenarios),
        "valuation": valuation_table(scenarios),
    }
    if not (spending := spending_table(scenarios)).empty:
        tables["spending"] = spending
    return {**tables, "required_rates": required_rate_table(questions)} if questions else tables
