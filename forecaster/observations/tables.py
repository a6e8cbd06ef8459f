"""The shapes of the observed tables, and what may stand in each cell.

Every check appends to a list of faults and raises nothing, so that a reader hears of everything wrong at once.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, ValidationError, create_model

from forecaster.errors import Fault

COLUMNS = (
    "series", "year", "period", "value", "qualifier", "unit", "basis", "quality", "source", "note", "made",
)  # fmt: skip
KEY = ["series", "period", "basis", "source", "made"]
_BACKTEST = (
    "made", "target", "series", "condition", "projected_low", "projected_high", "qualifier", "later", "unit",
    "projection_source", "later_source", "note",
)  # fmt: skip
_SCENARIOS = (
    "general_premium_rate", "revenue_2021_twd_bn", "cost_2021_twd_bn", "balance_2021_twd_bn", "reserve_end_2021_twd_bn",
    "reserve_months_2021", "reserve_months_2022", "reserve_months_2023", "reserve_months_2024", "made", "source",
)  # fmt: skip
SHAPES: dict[str, tuple[str, ...]] = {
    "sources.csv": ("id", "title", "publisher", "link", "date", "note"),
    "grades.csv": ("grade", "relative_error", "meaning"),
    "units.csv": ("unit", "meaning"),
    "facts.csv": ("series", "period", "text", "source", "note"),
    "identities.csv": ("identity", "kind", "result", "plus", "minus", "scope", "meaning"),
    "breaks.csv": ("identity", "period", "size", "unit", "reason", "source"),
    "projection_backtest.csv": _BACKTEST,
    "rate_scenarios_2020.csv": _SCENARIOS,
}
SHARED = ("sources.csv", "grades.csv", "units.csv")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SIDE = r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?"
_PERIOD = re.compile(rf"{_SIDE}|({_SIDE})?\.\.({_SIDE})?")
_PATTERNS = {
    "series": re.compile(r"[a-z][a-z0-9_]*(\|[A-Za-z0-9_.+%-]+)*"),
    "year": re.compile(r"[0-9]{4}"),
    "value": NUMBER,
    "qualifier": re.compile(r"(about|<|>)?"),
    "source": re.compile(r"[A-Z]+-[A-Za-z0-9_.]+(\+[A-Z]+-[A-Za-z0-9_.]+)*"),
    "made": re.compile(rf"({_SIDE})?"),
}
_WORDS = {
    "series": ("a snake_case name, sub-keys after '|', such as spending_per_person|65+", "rename the series"),
    "year": (
        "a calendar year in four digits",
        "write the last calendar year of the period; a year of the Republic plus 1911",
    ),
    "period": (
        "2014, 2025-11, 2022-05-01, 1995-03..1995-12, 2006..2012, ..2012 or 1998.., with real dates, start first",
        "write the period in one of these forms",
    ),
    "value": (
        "one plain decimal number in ASCII digits",
        "write the number, such as -6.335; leave a gap as no row at all",
    ),
    "qualifier": ("empty, 'about', '<' or '>'", "put other words into the note"),
    "unit": (
        "a unit of observed/units.csv",
        "convert the value to a listed unit, or add the unit there with its meaning",
    ),
    "basis": ("a text", "say on what basis the figure is: accrual, final accounts, press, derived"),
    "quality": ("a grade of observed/grades.csv", "grade the figure as data/README.md describes"),
    "source": ("ids such as TW-S01, several joined by '+'", "give the id of the source as observed/sources.csv has it"),
    "made": ("empty, or the date on which a projection was made", "write the date as 2020-11-26, 2020-11 or 2020"),
}


def period_months(period: str) -> int:
    """Months that a canonical period spans: 12 for ``2014``, 10 for ``1995-03..1995-12``; 0 for a date or open end."""
    first, dots, last = period.partition("..")
    if not dots:
        last = first
    if not first or not last or first.count("-") == 2:
        return 0
    begin = int(first[:4]) * 12 + (int(first[5:7]) if len(first) > 4 else 1)
    end = int(last[:4]) * 12 + (int(last[5:7]) if len(last) > 4 else 12)
    return end - begin + 1


def blank(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=[*SHAPES.get(name, COLUMNS), "file", "line"], dtype=str)


def read_table(path: Path, faults: list[Fault]) -> pd.DataFrame:
    """Cells of a CSV file as texts, with ``file`` and ``line``; an empty frame when the file itself is faulty."""
    shape = SHAPES.get(path.name, COLUMNS)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        faults.append(Fault(path.name, f"no readable file ({error.strerror})", "a CSV file", "put the file back"))
        return blank(path.name)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"byte 0x{error.object[error.start]:02x}, which is not UTF-8"
        faults.append(Fault(f"{path.name} line {line}", found, "UTF-8 text", "save the file again as UTF-8"))
        return blank(path.name)
    rows: list[tuple[str, ...]] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != shape:
            found = "columns " + _short(",".join(header) or "nothing")
            faults.append(
                Fault(f"{path.name} line 1", found, ",".join(shape), "write the header row exactly so, in this order")
            )
            return blank(path.name)
        for cells in reader:
            if len(cells) != len(shape):
                where, found = f"{path.name} line {reader.line_num}", f"{len(cells)} cells"
                faults.append(
                    Fault(where, found, f"{len(shape)} cells", "quote a text that holds a comma; fill empty cells")
                )
            else:
                rows.append((*cells, path.name, str(reader.line_num)))
    except csv.Error as error:
        faults.append(
            Fault(f"{path.name} line {reader.line_num}", f"broken CSV ({error})", "quoted CSV", "mend the quotes")
        )
    return pd.DataFrame(rows, columns=[*shape, "file", "line"], dtype=str)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries; as plain objects, for iterating pandas' own strings takes many times as long."""
    names = list(frame.columns)
    cells = frame.astype(object)
    return [dict(zip(names, row, strict=True)) for row in zip(*(cells[name] for name in names), strict=True)]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _at(row: dict[Any, Any], column: str) -> str:
    return f"{row['file']} line {row['line']}, column {column}"


def is_period(text: str) -> bool:
    if not _PERIOD.fullmatch(text) or text == "..":
        return False
    sides = [side for side in text.split("..") if side]
    try:
        days = [dt.date(int(s[:4]), int(s[5:7] or 1), int(s[8:10] or 1)) for s in sides]
    except ValueError:
        return False
    return days == sorted(days)


def cell_faults(tidy: pd.DataFrame, units: set[str], grades: set[str], faults: list[Fault]) -> None:
    """Every bad cell at once, in the order of rows and columns' names."""
    allowed: dict[str, Callable[[str], object]] = {name: pattern.fullmatch for name, pattern in _PATTERNS.items()}
    allowed |= {"period": is_period, "unit": units.__contains__, "quality": grades.__contains__, "basis": str.strip}
    cells: dict[str, Any] = {
        name: (Annotated[str, AfterValidator(_only(allowed[name]))], ...) for name in sorted(_WORDS)
    }
    sound = create_model("Row", **cells)
    for row in records(tidy):
        try:
            sound.model_validate(row)
        except ValidationError as error:
            faults.extend(_cell_fault(row, str(bad["loc"][0])) for bad in error.errors())


def _only(allowed: Callable[[str], object]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not allowed(text):
            raise ValueError
        return text

    return check


def _cell_fault(row: dict[str, Any], column: str) -> Fault:
    text, (allowed, mend) = row[column], _WORDS[column]
    if any("\uff10" <= sign <= "\uff19" for sign in text):
        mend = "retype the full-width digits as ASCII digits"
    elif column == "value" and text.strip().lower().lstrip("+-") in ("", "nan", "inf", "infinity", "na", "n/a"):
        mend = "delete the row: a gap has no row, and only finite numbers are figures"
    elif column == "value" and "," in text:
        mend = "leave out the thousands separators"
    return Fault(_at(row, column), _short(text), allowed, mend)


def row_faults(tidy: pd.DataFrame, faults: list[Fault]) -> None:
    """Faults between the cells of a row, and between rows."""
    seen: dict[tuple[str, ...], str] = {}
    for row in records(tidy):
        if is_period(row["period"]) and _PATTERNS["year"].fullmatch(row["year"]):
            last = row["period"].rpartition("..")[2] or row["period"].partition("..")[0]
            if last[:4] != row["year"]:
                found, mend = f"{row['year']} beside the period {row['period']}", "correct the year or the period"
                faults.append(Fault(_at(row, "year"), found, f"{last[:4]}, the last year of the period", mend))
        if (row["quality"] == "P") != bool(row["made"]):
            found = f"{row['made'] or 'no date'} beside grade {row['quality']}"
            faults.append(
                Fault(_at(row, "made"), found, "a date with grade P, and only with it", "add or delete the date")
            )
        key = tuple(row[column] for column in KEY)
        here = f"{row['file']} line {row['line']}"
        if key in seen:
            found = f"the key {' / '.join(part for part in key if part)} of {seen[key]} again"
            mend = "delete one row, or tell them apart by their basis"
            faults.append(Fault(here, found, f"one row for each of {', '.join(KEY)}", mend))
        seen.setdefault(key, here)


def citing_columns(frame: pd.DataFrame) -> list[str]:
    return [column for column in frame.columns if column == "source" or column.endswith("_source")]


def citation_faults(frame: pd.DataFrame, known: set[str], faults: list[Fault]) -> None:
    columns = citing_columns(frame)
    for row in records(frame) if columns else []:
        for column in columns:
            missing = [part for part in row[column].split("+") if part not in known]
            if missing and (row["file"] in SHAPES or _PATTERNS["source"].fullmatch(row[column])):
                mend = "add the source to observed/sources.csv, or correct the id"
                faults.append(Fault(_at(row, column), _short("+".join(missing)), "an id of observed/sources.csv", mend))


def source_list_faults(frame: pd.DataFrame, faults: list[Fault]) -> None:
    times = Counter(frame["id"])
    for row in records(frame):
        if not re.fullmatch(r"[A-Z]+-[A-Za-z0-9_.]+", row["id"]) or times[row["id"]] > 1:
            faults.append(
                Fault(_at(row, "id"), _short(row["id"]), "an id such as TW-S01, once", "give an id of its own")
            )
        if not row["title"].strip():
            faults.append(Fault(_at(row, "title"), "nothing", "the title of the source", "write the title"))
        if row["link"] and not re.match(r"https?://", row["link"]):
            faults.append(Fault(_at(row, "link"), _short(row["link"]), "empty or a web address", "write http(s)://..."))


def fact_faults(frame: pd.DataFrame, faults: list[Fault]) -> None:
    for row in records(frame):
        if not is_period(row["period"]):
            faults.append(Fault(_at(row, "period"), _short(row["period"]), *_WORDS["period"]))
        if not row["text"].strip():
            faults.append(Fault(_at(row, "text"), "nothing", "the fact in words", "write it, or delete the row"))


def grade_faults(frame: pd.DataFrame, faults: list[Fault]) -> None:
    for row in records(frame):
        if row["relative_error"] and not NUMBER.fullmatch(row["relative_error"]):
            found = _short(row["relative_error"])
            faults.append(
                Fault(_at(row, "relative_error"), found, "a share, or empty for projections", "write 0.01 for 1%")
            )


def numeric_columns(frame: pd.DataFrame) -> list[str]:
    numbers = re.compile(r"projected_|later$|general_premium_rate|revenue_|cost_|balance_|reserve_")
    return [column for column in frame.columns if numbers.match(column)]


def wide_faults(frame: pd.DataFrame, units: set[str], faults: list[Fault]) -> None:
    for row in records(frame):
        for column in numeric_columns(frame):
            if not NUMBER.fullmatch(row[column]):
                faults.append(Fault(_at(row, column), _short(row[column]), *_WORDS["value"]))
        if "unit" in row and row["unit"] not in units:
            faults.append(Fault(_at(row, "unit"), _short(row["unit"]), *_WORDS["unit"]))
