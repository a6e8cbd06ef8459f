"""Tables as one Excel workbook: typed cells, fixed header rows, units and notes at every column, the manifest inside.

Text is written as text and never as a formula or a link, whatever it begins with; numbers keep all their digits and are
only shown rounded.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecaster.certificate import NO_FIT
from forecaster.errors import ForecasterError
from forecaster.export.files import column_table, line_table, marked, neutralised
from forecaster.export.tables import RateQuestion, Scenario, forecast_tables

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

LONGEST_TEXT = 32_767  # characters that a cell can hold
MOST_ROWS = 1_048_575  # of a sheet, below its header
CUT = " [cut: a cell holds no more]"
_WIDEST = 60
# How numbers are shown, by the unit of the row or of the column; the cells hold more.
_SHOWN = {"share": "0.0000", "months": "0.00", "calendar year": "0", "years": "0", "date": "@"}
_MONEY = "#,##0.0"
# The same bytes for the same tables: no clock in the file.
_CREATED = dt.datetime(2000, 1, 1)


def projection_workbook(
    scenarios: Sequence[Scenario],
    questions: Sequence[RateQuestion],
    manifest: Mapping[str, Any],
    more: Mapping[str, pd.DataFrame] | None = None,
) -> bytes:
    """A projection as one workbook.

    Parameters
    ----------
    scenarios
        Baseline and, if there is one, reform.
    questions
        Answers of the solver; may be empty.
    manifest
        Of the run (:func:`forecaster.manifest.run_manifest`); its warnings stand on the face of every sheet.
    more
        Further tables by name.

    Returns
    -------
    bytes
        An XLSX file: a sheet ``about``, one sheet a table, ``columns`` and ``lines`` (the data dictionary) and
        ``manifest``. Money is nominal in the unit of the scheme, rates are shares.
    """
    policy, basis = scenarios[0].policy, scenarios[0].basis
    record = manifest["backtest"] or {"warnings": [], "record": [NO_FIT]}
    about = {
        "Forecast of": f"{policy.scheme.label} ({policy.scheme.id})",
        "Years": f"{basis.years[0]} to {basis.years[-1]}",
        "Money": f"{policy.scheme.money}, nominal",
        "Basis": f"{basis.label}, {basis.n_draws} draws",
        "Baseline": policy.change.token or "the law",
        "Reform": (scenarios[1].policy.change.token or "the law") if len(scenarios) > 1 else "none",
        "Run": str(manifest["run_hash"]),
    }
    return workbook_bytes(
        {**forecast_tables(scenarios, questions), **(more or {})},
        about=about,
        warnings=record["warnings"],
        notes={"Assumed, not learnt": basis.assumptions, "How forecasts of earlier years did": record["record"]},
        money=policy.scheme.money,
        manifest=manifest,
    )


def workbook_bytes(
    tables: Mapping[str, pd.DataFrame],
    *,
    about: Mapping[str, str],
    warnings: Sequence[str] = (),
    notes: Mapping[str, Sequence[str]] | None = None,
    money: str = "",
    manifest: Mapping[str, Any] | None = None,
    dictionary: bool = True,
) -> bytes:
    """Tables as an XLSX file.

    Parameters
    ----------
    tables
        Name to table; columns that the data dictionary knows get its unit and meaning as a note at their header.
    about
        What the first sheet says, by heading.
    warnings
        Stand in red on top of the first sheet and in a column of every table.
    notes
        Headings with sentences below, on the first sheet.
    money
        Unit of money; with it the lines of the account are explained on a sheet of their own.
    manifest
        Written out key by key on the last sheet.
    dictionary
        Whether the meanings of all columns go along on a sheet of their own.
    """
    from xlsxwriter import Workbook  # a tenth of a second that no other command needs

    buffer = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with Workbook(buffer, options) as book:
        book.set_properties({"title": about.get("Forecast of", ""), "created": _CREATED})
        writer = _Writer(book)
        writer.about(about, warnings, notes or {})
        known = column_table()
        for name, table in tables.items():
            writer.table(name, marked(table, warnings), known[known["table"] == name])
        if dictionary:
            writer.table("columns", known)
        if money:
            writer.table("lines", line_table(money))
        if manifest is not None:
            rows = [(key, str(value)) for key, value in _flat(manifest)]
            writer.table("manifest", pd.DataFrame(rows, columns=["key", "value"]))
    return buffer.getvalue()


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(content, list | tuple):
        for i, value in enumerate(content):
            yield from _flat(value, f"{prefix}[{i}]")
    else:
        yield prefix, "" if content is None else content


@lru_cache(maxsize=4096)
def _writable(text: str) -> tuple[str, bool]:
    """The text as a cell can hold it, and whether it looks like a formula."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    if len(clean) > LONGEST_TEXT:
        clean = clean[: LONGEST_TEXT - len(CUT)] + CUT
    return clean, neutralised(clean) != clean


def _for_paper(sheet: Worksheet) -> None:
    """Printed on A4 across, as wide as one page."""
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


class _Writer:
    """Writes sheets; formats are made once."""

    def __init__(self, book: Workbook):
        self.book = book
        self.head = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E8EDF3", "valign": "top"})
        self.alarm = book.add_format({"bold": True, "font_color": "#B00020", "text_wrap": True, "valign": "top"})
        self.title = book.add_format({"bold": True})
        self.wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        # Marks a text that looks like a formula, so that it stays a text when somebody edits the cell.
        self.quoted = book.add_format({"quote_prefix": True})
        self.shown: dict[str, Format] = {}

    def text(self, sheet: Worksheet, row: int, column: int, text: str, form: Format | None = None) -> None:
        """Write a text, whatever it begins with and however long it is."""
        clean, quoted = _writable(text)
        sheet.write_string(row, column, clean, self.quoted if quoted and form is None else form)

    def number_format(self, unit: str) -> Format:
        """Format of a unit's numbers; share columns may carry words beside the unit."""
        if unit not in self.shown:
            pattern = next((shown for key, shown in _SHOWN.items() if unit.startswith(key)), _MONEY)
            self.shown[unit] = self.book.add_format({"num_format": pattern})
        return self.shown[unit]

    def about(self, about: Mapping[str, str], warnings: Sequence[str], notes: Mapping[str, Sequence[str]]) -> None:
        """The first sheet."""
        sheet = self.book.add_worksheet("about")
        _for_paper(sheet)
        sheet.set_column(0, 0, 22)
        sheet.set_column(1, 1, 100)
        row = 0
        for warning in warnings:
            self.text(sheet, row, 0, "Warning", self.alarm)
            self.text(sheet, row, 1, warning, self.alarm)
            row += 1
        for key, value in about.items():
            self.text(sheet, row, 0, key, self.title)
            self.text(sheet, row, 1, value, self.wrapped)
            row += 1
        for heading, sentences in notes.items():
            self.text(sheet, row + 1, 0, heading, self.title)
            for i, sentence in enumerate(sentences or ("none stated",)):
                self.text(sheet, row + 2 + i, 1, sentence, self.wrapped)
            row += 2 + max(1, len(sentences))

    def table(self, name: str, table: pd.DataFrame, meanings: pd.DataFrame | None = None) -> None:
        """One table: header in the first row, held in place, filters on; a note at each column that is explained."""
        if len(table) > MOST_ROWS:
            raise ForecasterError(
                f"table {name} has {len(table):,} rows, and a sheet holds {MOST_ROWS:,}; take CSV or Parquet"
            )
        from forecaster.export.bulk_sheet import TableSheet

        sheet = self.book.add_worksheet(name, worksheet_class=TableSheet)
        sheet.freeze_panes(1, 0)
        _for_paper(sheet)
        sheet.repeat_rows(0)
        told = {}
        if meanings is not None:
            told = {str(row["column"]): (str(row["unit"]), str(row["meaning"])) for row in meanings.to_dict("records")}
        units = table["unit"].tolist() if "unit" in table.columns else None
        for column, title in enumerate(map(str, table.columns)):
            unit, meaning = told.get(title, ("", ""))
            self.text(sheet, 0, column, title, self.head)
            if meaning:
                sheet.write_comment(0, column, f"{meaning}\nunit: {unit}" if unit else meaning, {"x_scale": 2})
            cells = table.iloc[:, column]
            if pd.api.types.is_numeric_dtype(cells):
                sheet.add_column(self._numbers(cells, unit or title, units))
                sheet.set_column(column, column, max(12, len(title) + 3))
            else:
                texts = ["" if cell is None else str(cell) for cell in cells.tolist()]
                sheet.add_column(self._texts(texts))
                longest = max(map(len, texts[:200]), default=0)
                sheet.set_column(column, column, min(_WIDEST, max(longest, len(title) + 3) + 1))
        if len(table) and len(table.columns):
            sheet.autofilter(0, 0, len(table), len(table.columns) - 1)

    def _numbers(self, cells: pd.Series, unit: str, units: list[Any] | None) -> list[tuple[str | float, Format | None]]:
        """A column of numbers; ``see unit`` takes each row's own unit. What is not known stays empty."""
        values = cells.to_numpy(dtype=float, na_value=np.nan).tolist()
        if unit == "see unit" and units is not None:
            forms = [self.number_format(str(own)) for own in units]
        else:
            forms = [self.number_format("calendar year" if unit == "year" else unit)] * len(values)
        endless = {math.inf: ("infinite", None), -math.inf: ("-infinite", self.quoted)}
        return [endless.get(cell, (cell, form)) for cell, form in zip(values, forms, strict=True)]

    def _texts(self, texts: list[str]) -> list[tuple[str | float, Format | None]]:
        """A column of texts, none of them live."""
        known = {text: _writable(text) for text in dict.fromkeys(texts)}
        formed = {text: (clean, self.quoted if quoted else None) for text, (clean, quoted) in known.items()}
        return [formed[text] for text in texts]
