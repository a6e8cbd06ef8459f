"""A yearly table as valuations of social insurance funds print it, read cell by cell.

Trustees' reports give income and cost as percentages of the payroll that contributions are charged on, beside that
payroll and the yield of the fund; others print amounts. Either is read. Nothing is guessed: percentages are told by the
heading, by a percent sign in the cell or by the reader, and a gap is an error unless it is to be filled.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forecaster.errors import Fault, FaultyInput
from forecaster.intake_files import Cell, Grid, read_grid

Array = np.ndarray
RATES = ("income_rate", "other_income_rate", "cost_rate", "interest_rate", "real_interest_rate", "inflation")
AMOUNTS = ("income", "other_income", "cost", "payroll", "reserve", "interest_income", "interest_factor")
COLUMNS = ("year", *RATES, *AMOUNTS)
PERCENT = "_percent"
# What reports call the columns, beside our own names.
ALIASES = {
    **dict.fromkeys(("calendar_year", "fiscal_year", "valuation_year"), "year"),
    **dict.fromkeys(
        ("taxable_payroll", "covered_payroll", "contribution_base", "contributory_earnings", "covered_earnings"),
        "payroll",
    ),
    **dict.fromkeys(
        (
            "outgo",
            "expenditure",
            "expenditures",
            "total_cost",
            "total_expenditure",
            "total_expenditures",
            "disbursements",
            "total_disbursements",
        ),
        "cost",
    ),
    **dict.fromkeys(("outgo_rate", "expenditure_rate", "pay_as_you_go_rate"), "cost_rate"),
    **dict.fromkeys(
        (
            "contributions",
            "income_excluding_interest",
            "total_income_excluding_interest",
            "noninterest_income",
            "non_interest_income",
        ),
        "income",
    ),
    "contribution_rate": "income_rate",
    **dict.fromkeys(
        (
            "annual_interest_rate",
            "effective_interest_rate",
            "nominal_interest_rate",
            "effective_yield",
            "nominal_yield",
            "discount_rate",
            "yield",
        ),
        "interest_rate",
    ),
    "compound_interest_factor": "interest_factor",
    **dict.fromkeys(("real_yield", "real_rate", "real_discount_rate"), "real_interest_rate"),
    **dict.fromkeys(("cpi_change", "cpi_increase", "price_inflation", "inflation_rate"), "inflation"),
    **dict.fromkeys(
        (
            "fund",
            "assets",
            "reserves",
            "fund_balance",
            "fund_at_end_of_year",
            "assets_at_end_of_year",
            "balance_at_end_of_year",
            "trust_fund_at_end_of_year",
        ),
        "reserve",
    ),
    "interest_earned": "interest_income",
}
# Letters of the funds of one report, which may stand before any heading.
FUNDS = ("hi", "oasdi", "oasi", "di")
# Rows above the headings that are searched for them.
MOST_TITLES = 30
# Units that a heading may state, and what they are short for; amounts must not differ in them.
_UNITS = re.compile(r"\b(thousand|million|billion|trillion|bn|mn|m)s?\b")
_SHORT = {"bn": "billion", "mn": "million", "m": "million"}


@dataclass(frozen=True)
class PublishedTable:
    """A table as read; arrays have shape ``(year,)`` and NaN where a cell is empty.

    Attributes
    ----------
    name
        Name of the file.
    years
        From its first year to its last, without gaps.
    columns
        Our name of a column to its figures: rates as shares a year, amounts nominal (flows; ``reserve`` a stock at year
        end; ``interest_factor`` an index).
    unread
        Headings that mean nothing to us.
    filled
        What was filled in, in words.
    left_out
        Rows without a year and without figures (titles, notes), in words.
    """

    name: str
    years: Array
    columns: Mapping[str, Array]
    unread: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_published_table(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
    thousands: bool = False,
    fill: bool = False,
    sheet: str | None = None,
) -> PublishedTable:
    """Read a table with one row a year from CSV, XLSX or Parquet.

    Parameters
    ----------
    columns
        Our name of a column to its heading in the file, where the two differ.
    percent
        All rates of the file are percentages (15.37), not shares (0.1537). Without it a heading that ends in
        ``_percent``, ``(%)`` or ``percent`` says so for its column, and a percent sign for its cell.
    thousands
        Commas within figures part thousands.
    fill
        Fill empty cells between known ones: rates by straight lines, amounts by even growth.
    sheet
        Of a workbook with several.

    Raises
    ------
    FaultyInput
        With every fault: no such column, cells that are no figures, a year twice, percentages told as shares.
    ForecasterError
        When the file cannot be opened.
    """
    grid = _parquet(path) if path.suffix == ".parquet" else read_grid(path, sheet)
    if not grid.rows:
        raise _faulty(path, [Fault("the file", "no rows", "a header and one row a year", "fill it in")])
    at = _header_row(grid, columns or {})
    header, *rows = grid.rows[at:]
    found, in_percent, unread, faults = _recognised(header, columns or {}, percent)
    if faults:
        raise _faulty(path, faults)
    cells, notes, faults = _figures(grid, rows, found, in_percent, thousands)
    faults = _gathered(faults) + _share_faults(cells, in_percent, percent)
    if not cells["year"] and not faults:
        faults = [Fault("the file", "a header and no rows", "one row a year", "fill in the years")]
    if faults:
        raise _faulty(path, faults)
    years = np.arange(min(cells["year"]), max(cells["year"]) + 1)
    table = {name: _aligned(values, years) for name, values in cells.items() if name != "year"}
    filled = tuple(text for name in table if fill for text in _fill(name, table[name], years))
    titles = [f"row {row[0].row} (above the headings)" for row in grid.rows[:at] if row]
    return PublishedTable(path.name, years, table, unread, filled, (*titles, *notes))


def _faulty(path: Path, faults: list[Fault]) -> FaultyInput:
    return FaultyInput(str(path), faults)


def _parquet(path: Path) -> Grid:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise _faulty(
            path, [Fault("the file", reason, "a Parquet table", "correct the name or save it again")]
        ) from None
    rows = [frame.columns, *(frame.iloc[i] for i in range(len(frame)))]
    cells = (
        tuple(Cell(i, j, value.item() if hasattr(value, "item") else value) for j, value in enumerate(row, 1))
        for i, row in enumerate(rows, 1)
    )
    return Grid(path.name, "", tuple(cells))


def _header_row(grid: Grid, given: Mapping[str, str]) -> int:
    """Place of the row that holds the headings: the first that has one for the year; the first row where none has."""

    def names_years(row: tuple[Cell, ...]) -> bool:
        headings = [str(cell.value).strip() for cell in row if cell.value not in (None, "")]
        return any(_name_of(heading)[0] == "year" or heading == given.get("year") for heading in headings)

    return next((at for at, row in enumerate(grid.rows[:MOST_TITLES]) if names_years(row)), 0)


def _name_of(heading: str) -> tuple[str, bool]:
    """A heading as a name of ours would be written, and whether it says percent.

    What stands in brackets, the fund's letters before it and words such as "of taxable payroll" after it do not count.
    """
    text = heading.strip().lower().replace("_", " ")
    says_percent = re.search(r"%|\bper ?cent(age)?\b|\bpct\b", text) is not None
    bare = re.sub(r"\([^)]*\)|%|\b(as a )?(per ?cent(age)?|pct)( of (taxable |covered )?payroll)?\b", " ", text)
    words = [word for word in re.split(r"[^a-z0-9]+", bare) if word]
    words = words[1:] if len(words) > 1 and words[0] in FUNDS else words
    name = "_".join(words)
    return ALIASES.get(name, name), says_percent


def _recognised(
    header: tuple[Cell, ...], given: Mapping[str, str], percent: bool
) -> tuple[dict[str, int], set[str], tuple[str, ...], list[Fault]]:
    """Our names to columns, which of them are percentages, headings not read, and faults."""
    headings = {str(cell.value).strip(): cell.column for cell in header if cell.value not in (None, "")}
    found: dict[str, int] = {}
    in_percent: set[str] = set()
    faults: list[Fault] = []
    asked = {heading: name for name, heading in given.items()}
    for name, heading in given.items():
        if name not in COLUMNS:
            faults.append(Fault(f"--column {name}", "no such column", ", ".join(COLUMNS), "correct the name"))
        elif heading not in headings:
            nearest = difflib.get_close_matches(heading, headings, n=3, cutoff=0.3) or headings
            there = ", ".join(nearest)
            faults.append(Fault(f"--column {name}", f"no heading {heading!r}", there, "copy the heading as it stands"))
    unread = []
    for heading, column in headings.items():
        plain, says_percent = _name_of(heading)
        name = asked.get(heading, plain)
        if name not in COLUMNS or (heading not in asked and name in given):
            near = difflib.get_close_matches(plain, COLUMNS, n=1, cutoff=0.75)
            unread.append(f"{heading} (meant {near[0]}?)" if near and near[0] not in found else heading)
            continue
        if name in found:
            mend = f"say which by --column {name}=HEADING"
            faults.append(Fault(f"heading {heading!r}", f"{name} a second time", "each column once", mend))
            continue
        found[name] = column
        if name in RATES and (percent or says_percent):
            in_percent.add(name)
    by_column = {column: heading for heading, column in headings.items()}
    faults += _unit_faults([by_column[column] for name, column in found.items() if name in AMOUNTS])
    if "year" not in found and not faults:
        allowed = f"a column year, and of: {', '.join(COLUMNS[1:])}"
        faults.append(
            Fault("the header", ", ".join(headings), allowed, "name the columns, or use --column year=HEADING")
        )
    return found, in_percent, tuple(unread), faults


def _unit_faults(headings: list[str]) -> list[Fault]:
    """Headings of amounts that state different units."""
    stated: dict[str, list[str]] = {}
    for heading in headings:
        unit = _UNITS.search(heading.lower())
        if unit is not None:
            stated.setdefault(_SHORT.get(unit[1], unit[1]), []).append(heading)
    if len(stated) < 2:
        return []
    found = "; ".join(", ".join(names) for names in stated.values())
    return [Fault("the header", found, "all amounts in one unit", "bring the columns to one unit")]


def _figures(
    grid: Grid, rows: list[tuple[Cell, ...]], found: Mapping[str, int], in_percent: set[str], thousands: bool
) -> tuple[dict[str, dict[int, float]], list[str], list[Fault]]:
    """Name to year to figure, blanks left out; ``year`` to year to row; and rows that hold words alone, told."""
    cells: dict[str, dict[int, float]] = {name: {} for name in found}
    notes: list[str] = []
    faults: list[Fault] = []
    for row in rows:
        values = {cell.column: cell.value for cell in row}
        place = f"row {row[0].row}" if row else "a row"
        raw = values.get(found["year"])
        others = [values.get(column) for name, column in found.items() if name != "year"]
        if raw in (None, "") and all(value in (None, "") for value in others):
            continue
        year = _year(str(raw))
        # A row of words, units or numbers of columns in brackets is a note; one with a figure lacks its year.
        if year is None and not any(map(_is_figure, others)):
            words = next(str(value) for value in (raw, *others) if value not in (None, ""))
            notes.append(f"{place} ({words.strip()[:40]!r})")
            continue
        if year is None:
            faults.append(
                Fault(
                    f"{place}, year",
                    "nothing" if raw in (None, "") else repr(raw),
                    "a calendar year in four digits",
                    "correct or remove the row",
                )
            )
            continue
        if year in cells["year"]:
            first = f"it stands in row {cells['year'][year]:g}"
            faults.append(Fault(f"{place}, year", f"{year} again", f"each year once; {first}", "keep one row"))
            continue
        cells["year"][year] = row[0].row
        for name, column in found.items():
            if name == "year":
                continue
            value, fault = _figure(values.get(column), name, f"{place} ({year}), {name}", name in in_percent, thousands)
            if fault is not None:
                faults.append(fault)
            elif np.isfinite(value):
                cells[name][year] = value
    return cells, notes, faults


def _gathered(faults: list[Fault]) -> list[Fault]:
    """Faults of rows that are mended alike, told once with their number where there are more than three."""
    alike: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        alike.setdefault((fault.where.rpartition(", ")[2], fault.allowed, fault.mend), []).append(fault)
    told = []
    for group in alike.values():
        first, more = group[0], len(group) - 1
        told += group if more < 3 else [replace(first, where=f"{first.where} and {more} more rows alike")]
    return told


def _year(text: str) -> int | None:
    """Calendar year, or the first one of a fiscal year (2026-27, 2026/2027); a footnote's mark may follow it."""
    mark = r"\s*(?:[a-z*\u2020\u2021\u00b9\u00b2\u00b3]|\s\d{1,2}/|\([a-z0-9]{1,3}\.?\))"
    found = re.fullmatch(rf"([12]\d{{3}})(\.0)?(?:[-/\u2013]\d{{2}}(?:\d{{2}})?)?(?:{mark})?", text.strip())
    return int(found[1]) if found else None


def _is_figure(raw: object) -> bool:
    try:
        return bool(np.isfinite(float(str(raw).strip().strip("$%").replace(",", ""))))
    except ValueError:
        return False


def _figure(raw: object, name: str, where: str, percent: bool, thousands: bool) -> tuple[float, Fault | None]:
    """A cell's figure, NaN where it is blank, with its fault."""
    text = str(raw if raw is not None else "").strip().replace("\u2212", "-")
    if text.lower() in {"", "-", "nan", "<na>", "na", "n/a", "..", "none"}:
        return np.nan, None
    signed = text.endswith("%")
    plain = text.removesuffix("%").strip().lstrip("$")
    if thousands:
        plain = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", plain)
    try:
        value = float(plain)
    except ValueError:
        mend = (
            "write it with a point for decimals; give --thousands where commas part thousands"
            if "," in plain
            else ("write the figure alone, or leave the cell empty")
        )
        return np.nan, Fault(where, repr(raw), "a figure, or nothing", mend)
    if signed and name not in RATES:
        return np.nan, Fault(where, repr(raw), "an amount of money", f"give it as {name}_rate if it is a rate")
    low = {"payroll": 0.0, "interest_factor": 0.0}.get(name)
    if low is not None and value <= low:
        return np.nan, Fault(where, f"{value:g}", "more than zero", "correct the sign or the unit")
    if name in {"cost", "cost_rate"} and value < 0.0:
        return np.nan, Fault(where, f"{value:g}", "zero or more", "give cost as a positive figure")
    return (value / 100.0 if signed or percent else value), None


def _share_faults(cells: Mapping[str, Mapping[int, float]], in_percent: set[str], percent: bool) -> list[Fault]:
    """Percentages that stand for shares, and shares that are said to be percentages."""
    faults = []
    for name in RATES:
        over = [(year, value) for year, value in cells.get(name, {}).items() if abs(value) > 1.0]
        if over and name not in in_percent:
            year, value = over[0]
            allowed = f"a share, such as {value / 100:g} for {value:g}%"
            mend = f"head the column {name}{PERCENT}, or give --percent when all rates of the file are percentages"
            faults.append(Fault(f"column {name}", f"{value:g} in {year}", allowed, mend))
    costs = list(cells.get("cost_rate", {}).values())
    if "cost_rate" in in_percent and costs and max(costs) < 0.005:
        found = f"percentages of at most {100 * max(costs):g}"
        mend = "leave --percent out" if percent else "head the column cost_rate"
        faults.append(Fault("column cost_rate", found, "percentages, such as 15.37", f"{mend} if they are shares"))
    return faults


def _aligned(values: Mapping[int, float], years: Array) -> Array:
    return np.array([values.get(int(year), np.nan) for year in years])


def _fill(name: str, series: Array, years: Array) -> list[str]:
    """Fill a series between its known values, in place, and say so."""
    known = np.isfinite(series)
    between = ~known & (years > years[known].min(initial=9999)) & (years < years[known].max(initial=0))
    if name in {"reserve", "interest_income"} or not between.any():
        return []
    even = name in AMOUNTS and (series[known] > 0.0).all()
    values = np.log(series[known]) if even else series[known]
    filled = np.interp(years[between], years[known], values)
    series[between] = np.exp(filled) if even else filled
    way = "even growth" if even else "straight lines"
    return [f"{name} filled by {way} in {between.sum()} of {len(years)} years"]
