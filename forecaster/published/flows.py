"""From a table as read to what a valuation needs: flows in money, the yield of each year, the reserve to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forecaster.engine import MID_YEAR, Timing
from forecaster.errors import Fault, FaultyInput
from forecaster.published.table import PublishedTable

Array = np.ndarray
# How far a rate and the same as an amount over the payroll may lie apart: both are printed rounded.
APART = 2e-4


@dataclass(frozen=True)
class Flows:
    """What a valuation needs, from its first year on; arrays ``(year,)``, nominal money in the table's unit.

    Attributes
    ----------
    income, other_income
        Income without interest that moves with the contribution rate, and that does not; flows.
    cost, payroll
        Outgo, and what contributions are charged on; flows.
    interest
        Yield of the fund, a share a year.
    opening
        Reserve at the end of the year before.
    reserve, interest_income
        As the table prints them, to be held against ours; NaN where it does not.
    remarks
        What was filled, derived or left unread, in words.
    """

    years: Array
    income: Array
    other_income: Array
    cost: Array
    payroll: Array
    interest: Array
    opening: float
    reserve: Array
    interest_income: Array
    remarks: tuple[str, ...] = ()


def flows_of(
    table: PublishedTable,
    *,
    start: int | None = None,
    opening: float | None = None,
    interest: float | None = None,
    timing: Timing = MID_YEAR,
) -> Flows:
    r"""Flows of a valuation from ``start`` to the table's last year.

    The yield is the column ``interest_rate``; or :math:`f_t / f_{t-1} - 1` of the compound factor; or
    :math:`(1 + r_t)(1 + \pi_t) - 1` of a real yield and inflation; or what makes the printed interest of the fund; or
    the one rate given.

    Parameters
    ----------
    start
        First year of the valuation; when left out the first one in which the table has a cost, an income and a payroll.
    opening
        Reserve at the end of the year before; the table's own when left out.
    interest
        One yield for all years, a share.

    Raises
    ------
    FaultyInput
        Naming every column or year that is missing, and rates that do not agree with their amounts.
    """
    columns = table.columns
    faults: list[Fault] = []
    n = len(table.years)
    blank = np.full(n, np.nan)
    payroll = columns.get("payroll", blank)
    income = _either(columns, "income", payroll, table.years, faults)
    cost = _either(columns, "cost", payroll, table.years, faults)
    other = _either(columns, "other_income", payroll, table.years, faults)
    if other is None:
        other = np.zeros(n)
    for name, series in (("income", income), ("cost", cost)):
        if series is None:
            allowed = f"{name}_rate (of the payroll) or {name} (money)"
            mend = f"add one of them{_other_heading(table, name)}"
            faults.append(Fault("the header", f"neither {name}_rate nor {name}", allowed, mend))
    if "payroll" not in columns:
        mend = f"add the column payroll{_other_heading(table, 'payroll')}"
        faults.append(Fault("the header", "no payroll", "what contributions are charged on", mend))
    if faults:
        raise FaultyInput(table.name, faults)
    first = _first_year(table, start, np.isfinite(income) & np.isfinite(cost) & np.isfinite(payroll))  # type: ignore[arg-type]
    at = int(first - table.years[0])
    reserve = columns.get("reserve", blank)
    if opening is None and at > 0 and np.isfinite(reserve[at - 1]):
        opening = float(reserve[at - 1])
    if opening is None:
        mend = f"give --opening, or a row for {first - 1} with its reserve"
        faults.append(Fault("the opening reserve", "nothing", f"the reserve at the end of {first - 1}", mend))
    named = {"income": income, "other_income": other, "cost": cost, "payroll": payroll}
    for name, series in named.items():
        faults += _gap_faults(name, series[at:], table.years[at:])  # type: ignore[index]
    printed = columns.get("interest_income", blank)[at:]
    remarks = [*table.filled, *(f"column not read: {heading}" for heading in table.unread)]
    remarks += [f"left out, without figures: {'; '.join(table.left_out)}"] if table.left_out else []
    rate, way = _yield(columns, interest, at, table.years, faults)
    if faults:
        raise FaultyInput(table.name, faults)
    cut = {name: series[at:] for name, series in named.items()}  # type: ignore[index]
    if rate is None:
        rate = _implied(cut, float(opening), printed, timing, table)  # type: ignore[arg-type]
        way = "yield: what makes the printed interest of each year"
    return Flows(
        years=table.years[at:],
        interest=rate,
        opening=float(opening),  # type: ignore[arg-type]
        reserve=reserve[at:],
        interest_income=printed,
        remarks=(*remarks, way),
        **cut,
    )


def _other_heading(table: PublishedTable, name: str) -> str:
    """How to name a heading that was not read, where there are such."""
    if not table.unread:
        return ""
    return f", or name its heading: --column {name}=HEADING; not read: {', '.join(table.unread)}"


def _either(columns: Mapping[str, Array], name: str, payroll: Array, years: Array, faults: list[Fault]) -> Array | None:
    """An amount, or its rate times the payroll; where both are given they must agree."""
    amount, rate = columns.get(name), columns.get(f"{name}_rate")
    if amount is None:
        return None if rate is None else rate * payroll
    if rate is not None:
        apart = np.abs(amount / payroll - rate)
        if np.nanmax(apart, initial=0.0) > APART:
            at = int(np.nanargmax(apart))
            found = f"{rate[at]:.4%} in {years[at]}, and {name} over payroll is {amount[at] / payroll[at]:.4%}"
            mend = "correct the unit of one, or leave one of the columns out"
            faults.append(Fault(f"columns {name}_rate and {name}", found, f"equal to within {APART:.2%}", mend))
    return amount


def _first_year(table: PublishedTable, start: int | None, usable: Array) -> int:
    first, last = int(table.years[0]), int(table.years[-1])
    if start is not None:
        if not first <= start <= last:
            fault = Fault("--start", str(start), f"{first} to {last}", "choose a year of the table")
            raise FaultyInput(table.name, [fault])
        return start
    if not usable.any():
        fault = Fault("the rows", "no year with income, cost and payroll", "at least one", "fill the columns")
        raise FaultyInput(table.name, [fault])
    return int(table.years[usable.argmax()])


def _gap_faults(name: str, series: Array, years: Array) -> list[Fault]:
    missing = years[~np.isfinite(series)]
    if not missing.size:
        return []
    shown = ", ".join(map(str, missing[:5])) + (f" and {missing.size - 5} more" if missing.size > 5 else "")
    mend = "add them; --fill fills between known years, --start begins later"
    return [Fault(f"column {name}", f"nothing in {shown}", f"every year from {years[0]} to {years[-1]}", mend)]


def _yield(
    columns: Mapping[str, Array], one: float | None, at: int, years: Array, faults: list[Fault]
) -> tuple[Array | None, str]:
    """Yield of each year from ``at`` on and how it came about; None where it follows from the printed interest."""
    if one is not None:
        return np.full(len(years) - at, one), f"yield: {one:.4%} in every year, as given"
    if "interest_rate" in columns:
        series, way = columns["interest_rate"][at:], "yield: column interest_rate"
    elif "interest_factor" in columns:
        factor = columns["interest_factor"]
        before = np.concatenate([[factor[at - 1] if at else np.nan], factor[at:-1]])
        series, way = factor[at:] / before - 1.0, "yield: growth of the compound factor"
    elif "real_interest_rate" in columns and "inflation" in columns:
        series = (1.0 + columns["real_interest_rate"][at:]) * (1.0 + columns["inflation"][at:]) - 1.0
        way = "yield: real yield and inflation together"
    elif "interest_income" in columns:
        faults += _gap_faults("interest_income", columns["interest_income"][at:], years[at:])
        return None, ""
    else:
        allowed = "interest_rate, interest_factor, real_interest_rate with inflation, or interest_income"
        faults.append(Fault("the header", "no yield of the fund", allowed, "add one, or give --interest"))
        return None, ""
    faults += _gap_faults("the yield", series, years[at:])
    if (series <= -1.0).any():
        faults.append(Fault("the yield", f"{np.nanmin(series):g}", "above -1", "correct the unit"))
    return series, way


def _implied(cut: Mapping[str, Array], opening: float, printed: Array, timing: Timing, table: PublishedTable) -> Array:
    """Yield at which the ledger earns the printed interest in each year."""
    flow = cut["income"] + cut["other_income"] - cut["cost"]
    bearing = timing.premiums * cut["income"] + timing.other * cut["other_income"] - timing.outgo * cut["cost"]
    reserve = opening + np.concatenate([[0.0], np.cumsum(flow + printed)[:-1]])
    under = reserve + bearing
    small = np.abs(under) < 1e-3 * cut["cost"]
    if small.any():
        year = int(table.years[len(table.years) - len(flow) + int(small.argmax())])
        found = f"interest on next to nothing in {year}"
        raise FaultyInput(table.name, [Fault("the yield", found, "a reserve that earns it", "add interest_rate")])
    return printed / under
