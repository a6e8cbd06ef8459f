"""Yearly accounts of a pool of the user's own, from a CSV file, read cell by cell.

Whether the figures can be true is asked by :mod:`forecaster.pool_doubts`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forecaster.errors import Fault, FaultyInput, ForecasterError

Array = np.ndarray

COLUMNS = ("income", "outgo", "reserve", "rate")
FLOWS = ("income", "outgo")
NOTE = "note"
FIRST_POSSIBLE, LAST_POSSIBLE = 1900, 2100
# Share of the year's outgo by which a reserve may differ from what its flows give: rounding and late bookings.
TOLERANCE = 0.01
_BLANK = {"", "na", "n/a", "nan", "-", ".."}
# How an empty column is mended.
_EMPTY = {
    "income": "fill it in; one missing figure follows from two reserves and the outgo",
    "outgo": "fill it in; one missing figure follows from two reserves and the income",
    "reserve": "write one reserve at least, of the last year if it is known",
    "rate": "write the premium rate of the years as a share, 0.146; a pool without one writes 1 once",
}
_MARKS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Accounts:
    """Accounts by calendar year without gaps in the years; what is not known is NaN.

    Attributes
    ----------
    years
        From the first to the last year with a figure of income, outgo or reserve, shape ``(year,)``.
    income, outgo
        Flows of the year, nominal, in the pool's money, ``(year,)``.
    reserve
        Stock at the end of the year, nominal, in the pool's money, ``(year,)``.
    rate
        Premium rate as its mean over the year, a share, ``(year,)``.
    adjustment
        What the user declares to have changed the reserve beside the flows, ``(year,)``; 0 where nothing.
    rates
        Year to rate of all rows, those after the last account too: announced rates.
    rows
        Year to the line of the file that it stands in.
    """

    years: Array
    income: Array
    outgo: Array
    reserve: Array
    rate: Array
    adjustment: Array
    rates: Mapping[int, float]
    rows: Mapping[int, int]

    def place(self, year: int, name: str) -> str:
        """Where a figure stands, for messages."""
        return f"row {self.rows[year]} ({year}), {name}"

    def until(self, last_year: int) -> Accounts:
        """The same as it was known at the end of ``last_year``."""
        keep = self.years <= last_year
        cut = {name: getattr(self, name)[keep] for name in ("years", *COLUMNS, "adjustment")}
        known = {year: rate for year, rate in self.rates.items() if year <= last_year}
        return Accounts(**cut, rates=known, rows=self.rows)

    @property
    def rate_filled(self) -> Array:
        """Rate of every year: where it is missing the last one known before, else the first one known after."""
        known = np.array(sorted(self.rates))
        at = np.clip(np.searchsorted(known, self.years, side="right") - 1, 0, None)
        return np.array([self.rates[int(year)] for year in known[at]])

    def derived(self, line: str) -> Array:
        """Income or outgo, where missing from the other and two reserves in a row, ``(year,)``."""
        own, other = (self.income, self.outgo) if line == "income" else (self.outgo, self.income)
        sign = 1.0 if line == "income" else -1.0
        grown = np.diff(self.reserve, prepend=np.nan) - self.adjustment
        return np.where(np.isnan(own), other + sign * grown, own)


def last_year_of(path: Path) -> int:
    """Last year with a figure of income, outgo or reserve."""
    return int(read_accounts(path).years[-1])


def read_accounts(path: Path, adjustments: Mapping[int, float] | None = None) -> Accounts:
    """Read a pool's ``accounts.csv``; whether the figures can be true is asked by
    :func:`forecaster.pool_doubts.doubts`.

    Parameters
    ----------
    adjustments
        Year to what changed the reserve beside the flows.

    Raises
    ------
    FaultyInput
        Naming every row and column that is no number, out of order, twice there or of impossible sign, and every
        column that is missing or empty.
    """
    rows, faults = _rows(path)
    if not faults:
        faults = _order_faults(rows)
    if not faults:
        faults = [
            Fault(f"column {name}", "no figure at all", "figures, with gaps where they are not known", _EMPTY[name])
            for name in COLUMNS
            if all(math.isnan(values[name]) for _, _, values in rows)
        ]
    if faults:
        raise FaultyInput(str(path), faults)
    with_money = [year for _, year, values in rows if not all(math.isnan(values[n]) for n in (*FLOWS, "reserve"))]
    years = np.arange(min(with_money), max(with_money) + 1)
    by_year = {year: values for _, year, values in rows}
    columns = {
        name: np.array([by_year[int(y)][name] if int(y) in by_year else np.nan for y in years]) for name in COLUMNS
    }
    known = adjustments or {}
    return Accounts(
        years=years,
        **columns,
        adjustment=np.array([known.get(int(y), 0.0) for y in years]),
        rates={year: values["rate"] for _, year, values in rows if not math.isnan(values["rate"])},
        rows={year: line for line, year, _ in rows},
    )


_Row = tuple[int, int, dict[str, float]]  # line of the file, year, figures


def _rows(path: Path) -> tuple[list[_Row], list[Fault]]:
    """Rows of the file and every fault of a cell."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ForecasterError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        mend = "save it as CSV UTF-8; Big5, GB18030 and XLSX are read by: forecaster pool import"
        fault = Fault("the file", f"bytes that are not UTF-8 ({error.reason})", "CSV in UTF-8", mend)
        raise FaultyInput(str(path), [fault]) from None
    numbered = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        fault = Fault("the file", "no rows", "year,income,outgo,reserve,rate and one row a year", "fill it in")
        return [], [fault]
    if other := next((mark for mark in (";", "\t") if numbered[0][1].count(mark) > numbered[0][1].count(",")), None):
        words = f"columns parted by {_MARKS[other]}"
        mend = "save it so, or keep it under another name and read it by: forecaster pool import POOL FILE"
        return [], [Fault(f"row {numbered[0][0]}, the header", words, "commas, and points for decimals", mend)]
    header = [name.strip().lower() for name in next(csv.reader([numbered[0][1]]))]
    faults = _header_faults(numbered[0][0], header)
    if faults:
        return [], faults
    rows: list[_Row] = []
    for line, content in numbered[1:]:
        cells = [cell.strip() for cell in next(csv.reader([content]))]
        if not any(cells):
            continue
        if len(cells) > len(header) and any(cells[len(header) :]):
            mend = "leave out thousands separators, and write decimals with a point"
            faults.append(Fault(f"row {line}", f"{len(cells)} cells", f"{len(header)}, as the header has", mend))
            continue
        named = dict(zip(header, [*cells, *[""] * len(header)], strict=False))
        year = _year(named["year"])
        if year is None:
            allowed = f"a calendar year from {FIRST_POSSIBLE} to {LAST_POSSIBLE}, such as 2015"
            faults.append(Fault(f"row {line}, year", repr(named["year"]), allowed, "write the year in four digits"))
            continue
        values = {}
        for name in COLUMNS:
            values[name], found = _figure(named[name], name, f"row {line} ({year}), {name}")
            faults += found
        rows.append((line, year, values))
    if not rows and not faults:
        faults = [Fault("the file", "a header and no rows", "one row a year", "fill in the accounts")]
    return rows, faults


def _header_faults(line: int, header: Sequence[str]) -> list[Fault]:
    wanted = ("year", *COLUMNS)
    where, allowed = f"row {line}, the header", ",".join((*wanted, NOTE)) + " (note may be left out)"
    faults = [
        Fault(where, f"no column {name!r}", allowed, "add it, and separate columns by commas")
        for name in wanted
        if name not in header
    ]
    faults += [
        Fault(where, f"column {name!r}", allowed, "rename or remove it")
        for name in header
        if name not in {*wanted, NOTE}
    ]
    faults += [
        Fault(where, f"column {name!r} twice", "each column once", "remove one of them")
        for name in sorted({name for name in header if header.count(name) > 1})
    ]
    return faults


def _year(cell: str) -> int | None:
    if not (cell.isascii() and cell.isdigit()):
        return None
    return int(cell) if FIRST_POSSIBLE <= int(cell) <= LAST_POSSIBLE else None


def _figure(cell: str, name: str, where: str) -> tuple[float, list[Fault]]:
    """A cell's number, NaN where it is blank, with its fault."""
    if cell.lower() in _BLANK:
        return math.nan, []
    try:
        value = float(cell) if "_" not in cell else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        mend = "write the figure alone, without separators and with a point for decimals, or leave the cell empty"
        return math.nan, [Fault(where, repr(cell), "a number, or nothing", mend)]
    if name in FLOWS and value <= 0.0:
        mend = "correct the sign; leave the cell empty where the figure is not known"
        return math.nan, [Fault(where, f"{value:g}", "more than zero", mend)]
    if name == "rate" and not 0.0 < value <= 1.0:
        mend = f"write {value / 100:g} for {value:g}%" if 1.0 < value <= 100.0 else "write the rate as a share"
        return math.nan, [Fault(where, f"{value:g}", "a share of more than 0 and at most 1, such as 0.0517", mend)]
    return value, []


def _order_faults(rows: Sequence[_Row]) -> list[Fault]:
    faults, seen = [], dict[int, int]()
    before = 0
    for line, year, _ in rows:
        where = f"row {line}"
        if year in seen:
            allowed = f"each year once; it stands in row {seen[year]}"
            faults.append(Fault(where, f"{year} again", allowed, "keep one row"))
        elif year < before:
            faults.append(Fault(where, f"{year} after {before}", "years in ascending order", "sort the rows by year"))
        seen.setdefault(year, line)
        before = year
    return faults
