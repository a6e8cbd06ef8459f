"""Figures as cells print them: separators, decimals, signs, percents; and what a reading tells of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from forecaster.errors import Fault
from forecaster.intake_files import Cell, Grid
from forecaster.intake_units import in_words, plain
from forecaster.intake_words import (
    BLANK,
    GROUPED,
    PER_MILLE,
    PERCENT,
    PLAIN,
    POINTED,
    THOUSANDS,
    unmarked,
    without_currency,
)
from forecaster.pool_accounts import FLOWS

_MOST_FAULTS = 50
# Rates further apart than this are not counted alike: 14.6 and 0.146.
_RATES_APART = 20


class Told:
    """What a reading has recognised, by a key that a user confirms, and the faults that it has met."""

    def __init__(self, grid: Grid):
        self.grid = grid
        self.faults: list[Fault] = []
        self.met: dict[str, str] = {}

    def fault(self, where: str, found: str, allowed: str, mend: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(where, found, allowed, mend))

    def cell_fault(self, cell: Cell, name: str, allowed: str, mend: str) -> None:
        where = self.grid.place(cell) + (f" ({name})" if name else "")
        self.fault(where, repr(str(cell.value)[:60]), allowed, mend)

    def mark(self, what: str, text: str) -> None:
        """Tell that a mark was left out."""
        told = self.met.get(f"marks of {what}", f"marks of footnotes left out of {what}:")
        if told.count("'") < 12:
            self.met[f"marks of {what}"] = f"{told} {text!r}"


class Figures:
    """How the figures of a table are written, found out once from all of them.

    Parameters
    ----------
    told
        Where it tells what it recognises and what it cannot read.
    columns
        Our name of a column to its cells.
    rate_heading
        Heading of the rates.
    decimal
        ``point`` or ``comma`` where the user says so.
    """

    def __init__(self, told: Told, columns: Mapping[str, Sequence[Cell]], rate_heading: str, decimal: str | None):
        self.told = told
        self.comma = self._comma([cell for cells in columns.values() for cell in cells], decimal)
        if not self.comma and decimal is None:
            self._points([cell for name in (*FLOWS, "reserve") for cell in columns.get(name, ())])
        self.rate_parts = self._rate_parts(columns.get("rate", ()), rate_heading)

    def _comma(self, cells: Iterable[Cell], decimal: str | None) -> bool:
        """Whether commas stand before decimals."""
        if decimal is not None:
            return decimal == "comma"
        texts = [without_currency(unmarked(cell.value)[0]) for cell in cells if isinstance(cell.value, str)]
        comma = any(POINTED.fullmatch(text) and not THOUSANDS.fullmatch(text) for text in texts)
        apart = next((text for text in texts if THOUSANDS.fullmatch(text)), None)
        if comma:
            self.told.met["decimal"] = "decimals with a comma, thousands with a point or a space"
        elif apart is not None:
            bare = "".join(sign for sign in apart if sign.isdigit() or sign == ".")
            self.told.met["separators"] = f"thousands set apart by comma, space or apostrophe: {apart!r} is {bare}"
        return comma

    def _points(self, cells: Iterable[Cell]) -> None:
        """Refuse points of which none can tell whether they stand before decimals or part thousands: 22.460."""
        pointed = [
            (cell, text)
            for cell in cells
            if isinstance(cell.value, str)
            and "." in (text := without_currency(unmarked(cell.value)[0]).strip("△▲()-+ "))
        ]
        if len(pointed) > 1 and all(GROUPED.fullmatch(text) and text[0] != "0" for _, text in pointed):
            cell, text = pointed[0]
            mend = "say which: --decimal point, or --decimal comma where points part thousands"
            words = f"three digits behind every point: {text} may be {text.replace('.', '')}"
            self.told.fault(self.told.grid.place(cell), words, "figures that tell", mend)

    def _rate_parts(self, cells: Iterable[Cell], heading: str) -> int:
        """Of how many parts a rate of one counts: 1, 100 for percents, 1000 for per mille."""
        texts = [(cell, unmarked(cell.value)[0]) for cell in cells]
        figures = [(cell, text.rstrip("%‰ ").replace(",", ".")) for cell, text in texts]
        sizes = [(cell, abs(float(text))) for cell, text in figures if PLAIN.fullmatch(text)]
        largest = max((size for _, size in sizes), default=0.0)
        for cell, size in sizes:
            if 0.0 < size < largest / _RATES_APART:
                allowed = f"rates counted alike; the largest is {largest:g}"
                self.told.cell_fault(cell, "rate", allowed, "write all of them as percents, or as shares")
        if PER_MILLE.search(plain(heading)) or any(text.endswith("‰") for _, text in texts):
            self.told.met["per mille"] = "rates in per mille"
            return 1000
        signed = any(text.endswith("%") for _, text in texts) or PERCENT.search(plain(heading)) is not None
        if signed or largest > 1.0:
            self.told.met["percent"] = "rates in percent" + ("" if signed else ", for some exceed 1")
            return 100
        return 1

    def number(self, cell: Cell, name: str) -> Decimal | None:
        """Figure of a cell; None where it is blank or faulty, or a sum of money with its units within."""
        allowed, mend = "a number, or nothing", "write the figure alone, without words beside it"
        told = self.told
        if isinstance(cell.value, bool):
            told.cell_fault(cell, name, allowed, mend)
            return None
        text, mark = unmarked(cell.value)
        if isinstance(cell.value, str) and plain(cell.value) != cell.value.strip() and not mark:
            told.met["full-width"] = "full-width signs read as narrow ones"
        if text.lower() in BLANK:
            return None
        if name == "rate":
            text = text.rstrip("%‰").strip()
        text, negative = self._unsigned(text)
        if (bare := without_currency(text)) != text:
            text = bare
            told.met["currency"] = "signs of a currency left out"
        if self._odd_point(cell, text):
            other = f"{text.replace('.', ',')} if its point stands before decimals, {text.replace('.', '')} if it parts"
            told.cell_fault(cell, name, "commas before decimals, as in other cells of the file", f"write {other}")
            return None
        if self.comma and (POINTED.fullmatch(text) or THOUSANDS.fullmatch(text) or PLAIN.fullmatch(text)):
            text = re.sub(r"[. '\u2019\u00a0\u202f]", "", text).replace(",", ".")
        elif THOUSANDS.fullmatch(text):
            text = re.sub(r"[, '\u2019\u00a0\u202f]", "", text)
        if not PLAIN.fullmatch(text):
            if name == "rate" or in_words(unmarked(cell.value)[0]) is None:
                told.cell_fault(cell, name, allowed, mend)
            return None
        if mark:
            told.mark("figures", plain(cell.value))
        try:
            value = Decimal(repr(cell.value)) if isinstance(cell.value, float) else Decimal(text)
        except InvalidOperation:
            told.cell_fault(cell, name, allowed, mend)
            return None
        if abs(value) >= Decimal(10) ** 18:
            told.cell_fault(cell, name, "less than 10^18", "check the figure")
            return None
        return -value if negative else value

    def _unsigned(self, text: str) -> tuple[str, bool]:
        """A figure's text without what makes it negative: brackets, a triangle, a long dash, a minus behind it."""
        if text[:1] in {"△", "▲"} or (text.startswith("(") and text.endswith(")")):
            self.told.met["negative"] = "figures in brackets or after a triangle are negative"
            return text.strip("△▲()").strip(), True
        if re.fullmatch(r"[–—]\s*\d.*|\d.*[-–]", text):
            self.told.met["minus"] = f"a long dash before a figure, or a dash behind it, is a minus: {text!r}"
            return text.strip("-–— "), True
        return text, False

    def _odd_point(self, cell: Cell, text: str) -> bool:
        """Whether a point stands where commas do before decimals elsewhere."""
        known = POINTED.fullmatch(text) or GROUPED.fullmatch(text)
        return self.comma and isinstance(cell.value, str) and "." in text and not known
