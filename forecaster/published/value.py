r"""A published table run through the deterministic basis, the ledger and the actuarial balance.

The table becomes a basis of one draw: the payroll is the contribution base, the cost the outlay, and income without
interest over payroll the contribution rate of each year. From there on nothing is special to it:
:func:`forecaster.engine.project` keeps the fund's accounts, :func:`forecaster.measures.valuation` summarises them, and
levers and solver work on it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.engine import MID_YEAR, FundProjection, Timing, project
from forecaster.errors import ForecasterError
from forecaster.measures import Valuation, fund_ratio, periods, valuation
from forecaster.policy import Policy
from forecaster.published.document import Answer, Document
from forecaster.published.flows import Flows, flows_of
from forecaster.published.table import read_published_table
from forecaster.schemes import Scheme
from forecaster.solvency import depletion

Array = np.ndarray
TARGETS = ("next", "last")
# How far a summarised rate may lie from the published one: rates are printed to a hundredth of a point.
TOLERANCE = 3e-4
# Rates above the payroll itself are no contribution rates.
_HIGHEST_RATE = 1.0


@dataclass(frozen=True)
class PublishedValuation:
    """A published table with our accounts and measures of it.

    Attributes
    ----------
    label, money
        What it is, and the unit of its money.
    flows
        The table's figures.
    basis, policy, projection
        Basis of one draw, the rates as a law, and the accounts.
    measures
        Summarised measures by period.
    remarks
        How the table was read and what was assumed, in words.
    """

    label: str
    money: str
    flows: Flows
    basis: Basis
    policy: Policy
    projection: FundProjection
    measures: tuple[Valuation, ...]
    remarks: tuple[str, ...]

    @property
    def depletion_year(self) -> int | None:
        """First year that ends with a reserve below zero; None when there is none."""
        return depletion(self.projection).quantile(0.5)

    @property
    def first_deficit_year(self) -> int | None:
        """First year whose cost exceeds its income without interest."""
        return _first(self.flows.cost > self.flows.income + self.flows.other_income, self.flows.years)

    @property
    def first_fall_year(self) -> int | None:
        """First year in which the reserve falls, interest counted."""
        return _first(self.projection.balance[:, 0] < 0.0, self.flows.years)

    def years_table(self) -> pd.DataFrame:
        """One row a year: rates as shares of the payroll, money nominal, stocks at year end; printed ones beside."""
        flows, result = self.flows, self.projection
        income = flows.income + flows.other_income
        ours = {"reserve": result.closing[:, 0], "interest": result.income["investment_income"][:, 0]}
        factor = np.cumprod(1.0 / (1.0 + flows.interest))
        return pd.DataFrame(
            {
                "year": flows.years,
                "payroll": flows.payroll,
                "income_rate": income / flows.payroll,
                "cost_rate": flows.cost / flows.payroll,
                "balance_rate": (income - flows.cost) / flows.payroll,
                "income": income,
                "cost": flows.cost,
                "interest_rate": flows.interest,
                "interest": ours["interest"],
                "reserve": ours["reserve"],
                "fund_ratio": fund_ratio(result)[:, 0],
                "discount_factor": factor,
                "published_reserve": flows.reserve,
                "reserve_less_published": ours["reserve"] - flows.reserve,
                "interest_less_published": ours["interest"] - flows.interest_income,
            }
        )

    def summary_table(self) -> pd.DataFrame:
        """One row a period: summarised rates with and without opening reserve and target, shares of the payroll."""
        return pd.DataFrame([self._summary(found) for found in self.measures])

    def _summary(self, found: Valuation) -> dict[str, Any]:
        first = int(self.flows.years[0])
        return {
            "years": found.years,
            "first_year": first,
            "last_year": first + found.years - 1,
            "income_rate": float(found.income_rate[0]),
            "cost_rate": float(found.cost_rate[0]),
            "balance": float(found.balance[0]),
            "income_rate_without_opening": float(found.income_rate[0] - found.opening_rate[0]),
            "cost_rate_without_target": float(found.cost_rate[0] - found.target_rate[0]),
            "opening_rate": float(found.opening_rate[0]),
            "target_rate": float(found.target_rate[0]),
            "unfunded_rate": float(found.unfunded_obligation[0] / found.base[0]),
            "unfunded_obligation": float(found.unfunded_obligation[0]),
            "level_rate": float(found.level_rate[0]),
            "payroll_present_value": float(found.base[0]),
        }


def _first(condition: Array, years: Array) -> int | None:
    return int(years[condition.argmax()]) if condition.any() else None


def law_of(flows: Flows, label: str, money: str = "") -> Policy:
    """The table's yearly contribution rates as a law of one category whose members pay all.

    Raises
    ------
    ForecasterError
        When a rate is below zero or above the payroll itself.
    """
    rates = flows.income / flows.payroll
    if ((rates < 0.0) | (rates > _HIGHEST_RATE)).any():
        at = int(((rates < 0.0) | (rates > _HIGHEST_RATE)).argmax())
        raise ForecasterError(
            f"{label}: income in {flows.years[at]} is {rates[at]:.2%} of the payroll; allowed: 0 to "
            f"{_HIGHEST_RATE:.0%}. Check that both are in one unit; what is no contribution stands in other_income"
        )

    def parameter(words: str, highest: float, dated: Iterable[tuple[int, float]]) -> dict[str, Any]:
        values = [
            {"from": dt.date(int(year), 1, 1), "value": float(value), "source": label, "status": "projected"}
            for year, value in dated
        ]
        source = "a share of the payroll"
        return {
            "label": words,
            "unit": "share",
            "bounds": (0.0, highest),
            "bounds_source": source,
            "values": tuple(values),
        }

    first = int(flows.years[0])
    shares = {
        f"premium_share.all.{payer}": parameter(f"Share paid by {payer}", 1.0, [(first, float(payer == "insured"))])
        for payer in ("insured", "employer", "government")
    }
    rate = parameter(
        "Income that moves with the rate, over payroll", _HIGHEST_RATE, zip(flows.years, rates, strict=True)
    )
    return Policy(
        Scheme.model_validate(
            {
                "id": "published_table",
                "pool": "published_table",
                "label": label,
                "place": "none",
                "currency": money or "money",
                "unit": "one",
                "from": dt.date(first, 1, 1),
                "description": "rates of a published table",
                "categories": {"all": {"label": "all who pay", "article": "none"}},
                "parameters": {"general_premium_rate": rate, **shares},
            }
        )
    )


def basis_of(flows: Flows, label: str, money: str = "") -> Basis:
    """The table's figures as a basis of one draw."""
    n = len(flows.years)

    def column(series: Array) -> Array:
        return np.array(series, dtype=float)[:, None]

    return Basis(
        label=label,
        years=flows.years.copy(),
        opening_reserve=np.array([flows.opening]),
        general_base=column(flows.payroll),
        category_mix=np.ones((1, 1)),
        categories=("all",),
        reference_dependants=0.0,
        supplementary_base={},
        other_income={"other": column(flows.other_income)},
        outlay=column(flows.cost),
        investment_yield=column(flows.interest),
        payment_sizes={},
        payment_size_index=np.ones((n, 1)),
        law_thresholds={},
        law_ceiling=np.zeros(n),
        drivers={},
        assumptions=flows.remarks,
        money=money,
    )


def value(
    flows: Flows,
    *,
    label: str = "published table",
    money: str = "",
    timing: Timing = MID_YEAR,
    target_months: float = 12.0,
    target_year: str = "next",
    lengths: Sequence[int] | None = None,
    notes: Sequence[str] = (),
) -> PublishedValuation:
    """Run a table's flows through ledger and measures.

    Parameters
    ----------
    timing
        When in the year the flows fall.
    target_months, target_year
        Reserve wanted at the end of each period, months of the cost of the ``next`` year or of the period's ``last``.
        Where the table ends with the period, the next year's cost is the last one grown once more as it last grew.
    lengths
        Periods in years; 25, 50 and 75 as far as the table reaches when left out.

    Raises
    ------
    ForecasterError
        When a period is longer than the table, or the target's year is none of the two.
    """
    if target_year not in TARGETS:
        raise ForecasterError(f"target of the {target_year!r} year: there are {' and '.join(TARGETS)}")
    if not target_months >= 0.0:
        raise ForecasterError(f"a target of {target_months:g} months: allowed is zero or more")
    policy, basis = law_of(flows, label, money), basis_of(flows, label, money)
    result = project(basis, policy, timing)
    cost, n = flows.cost, len(flows.years)
    after = cost[-1] * cost[-1] / cost[-2] if n > 1 and cost[-2] > 0.0 else cost[-1]
    following = np.append(cost[1:], after)
    wanted = following if target_year == "next" else cost
    chosen = tuple(lengths) if lengths is not None else periods(basis)
    measures = tuple(
        valuation(
            basis,
            policy,
            result,
            length,
            target_months=target_months,
            target_outgo=wanted[min(length, n) - 1 : min(length, n)],
        )
        for length in chosen
    )
    remarks = [*notes, *flows.remarks]
    if target_year == "next" and n in chosen:
        last = int(flows.years[-1])
        remarks.append(f"cost of {last + 1} for the target: {after:,.6g}, that of {last} grown as it last grew")
    return PublishedValuation(label, money, flows, basis, policy, result, measures, tuple(remarks))


def value_document(document: Document, lengths: Sequence[int] | None = None) -> PublishedValuation:
    """Read a document's table and value it as the document says.

    Raises
    ------
    ForecasterError
        As :func:`~forecaster.published.table.read_published_table`, :func:`~forecaster.published.flows.flows_of` and
        :func:`value`.
    """
    table = read_published_table(
        document.path.parent / document.table,
        columns=document.columns,
        percent=document.percent,
        thousands=document.thousands,
        fill=document.fill,
        sheet=document.sheet,
    )
    flows = flows_of(
        table, start=document.start, opening=document.opening, interest=document.interest, timing=document.when
    )
    return value(
        flows,
        label=document.label,
        money=document.money,
        timing=document.when,
        target_months=document.target.months,
        target_year=document.target.year,
        lengths=lengths,
        notes=document.notes,
    )


def hold(found: PublishedValuation, document: Document) -> pd.DataFrame:
    """What the report says beside ours: ``years``, ``measure``, ``published``, ``ours``, ``difference``, ``within``.

    Rates are shares; ``within`` tells a difference of at most 0.03 points, and of a year that it is the same.

    Raises
    ------
    ForecasterError
        When the report speaks of a period that was not valued.
    """
    ours = {row["years"]: row for row in found.summary_table().to_dict("records")}
    rows: list[dict[str, Any]] = []
    for answer in document.published:
        if answer.years not in ours:
            raise ForecasterError(f"{document.label}: it answers for {answer.years} years, which were not valued")
        for measure in sorted(set(Answer.model_fields) - {"years"}):
            published = getattr(answer, measure)
            if published is None:
                continue
            own = float(ours[answer.years][measure])
            near = abs(own - published) <= TOLERANCE
            rows.append(_held(answer.years, measure, published, own, near))
    if document.depletion is not None:
        year = found.depletion_year
        own = float("nan") if year is None else float(year)
        rows.append(
            _held(len(found.flows.years), "depletion", float(document.depletion), own, year == document.depletion)
        )
    return pd.DataFrame(rows, columns=["years", "measure", "published", "ours", "difference", "within"])


def _held(years: int, measure: str, published: float, ours: float, within: bool) -> dict[str, Any]:
    row = {"years": years, "measure": measure, "published": published, "ours": ours}
    return {**row, "difference": ours - published, "within": within}
