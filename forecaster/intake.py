"""A table of yearly accounts as its authority prints it, turned into a pool's own.

Columns, unit, years of the Republic of China, percents, separators and legacy encodings are recognised and told;
nothing of it is taken until somebody confirms it. Every cell that cannot be understood is one fault with file, sheet,
row, column and rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.intake_files import Cell, Grid, column_letters
from forecaster.intake_headings import Column, Head, find_head
from forecaster.intake_words import (
    BLANK,
    ERAS,
    GROUPED,
    MULTIPLES,
    NOTE,
    PLAIN,
    POINTED,
    ROC_OFFSET,
    THOUSANDS,
    YEAR,
    in_words,
    is_split,
    is_total,
    known_name,
    plain,
    stated_unit,
    unmarked,
    without_currency,
    year_of,
)
from forecaster.pool_accounts import COLUMNS, FIRST_POSSIBLE, FLOWS, LAST_POSSIBLE

_SIZES = {"one": 1, "thousand": 10**3, "m": 10**6, "bn": 10**9}


@dataclass(frozen=True)
class Recognised:
    """Something concluded from the file that a user has to confirm: its key, and what it is in words."""

    key: str
    words: str


@dataclass(frozen=True)
class Intake:
    """A table understood.

    Attributes
    ----------
    rows
        Year to name of column to figure, in the pool's unit (money) or as a share (rate); what is blank is left out.
    notes
        Year to its note.
    recognised
        What must be confirmed, in the order in which it was met.
    """

    rows: Mapping[int, Mapping[str, Decimal]]
    notes: Mapping[int, str]
    recognised: tuple[Recognised, ...]


@dataclass(frozen=True)
class Wishes:
    """What the user states; whatever is left out is recognised and has to be confirmed.

    Attributes
    ----------
    columns
        Our name to the heading of the file.
    unit
        Word of :data:`MULTIPLES` for money in the file.
    decimal
        ``point`` or ``comma``.
    """

    columns: Mapping[str, str] | None = None
    unit: str | None = None
    decimal: str | None = None


def understand(grid: Grid, pool_unit: str, wishes: Wishes | None = None) -> Intake:
    """Find the table of accounts in a sheet and read it.

    Parameters
    ----------
    pool_unit
        Unit of the pool's money: bn, m, thousand or one.

    Raises
    ------
    FaultyInput
        Naming every cell that is not understood, or why there is no table.
    """
    reader = _Reader(grid, pool_unit, wishes or Wishes())
    return reader.read()


def accounts_csv(intake: Intake, remarks: Iterable[str]) -> str:
    """The pool's ``accounts.csv``; ``remarks`` stand as comments on top."""
    lines = [f"# {' '.join(remark.split())}" for remark in remarks]
    lines.append(",".join((YEAR, *COLUMNS, NOTE)))
    for year, figures in sorted(intake.rows.items()):
        cells = [format(figures[name], "f") if name in figures else "" for name in COLUMNS]
        note = " ".join(intake.notes.get(year, "").split()).replace('"', '""')
        lines.append(",".join((str(year), *cells, f'"{note}"' if note else "")))
    return "\n".join(lines) + "\n"


# The cell of a year, its era, its number, and the cells of its row by our names.
_Found = tuple[Cell, str, int, dict[str, Cell]]


class _Reader:
    def __init__(self, grid: Grid, pool_unit: str, wishes: Wishes):
        self.grid, self.wishes = grid, wishes
        self.size = _SIZES[pool_unit]
        self.faults: list[Fault] = []
        self.met: dict[str, str] = {}

    def read(self) -> Intake:
        if self.wishes.unit is not None and self.wishes.unit not in MULTIPLES:
            allowed = ", ".join(MULTIPLES)
            raise FaultyInput(self.grid.file, [Fault("--unit", repr(self.wishes.unit), allowed, "use one of these")])
        if self.grid.guessed:
            self.met["encoding"] = f"text in {self.grid.encoding}, concluded from its words"
        head = find_head(self.grid, self.wishes.columns or {})
        self._tell(head)
        money = self._money(head)
        rows, notes = self._rows(head, money)
        if not rows and not self.faults:
            self._fault("the table", "a heading and no years", "one row a year", "check the sheet")
        if self.faults:
            raise FaultyInput(self.grid.file, self.faults)
        return Intake(rows, notes, tuple(Recognised(key, words) for key, words in self.met.items()))

    def _tell(self, head: Head) -> None:
        """What the heading was understood as."""
        if head.turned:
            self.met["turned"] = "years run across the sheet, lines down"
        pairs = [
            f"{item.name} = {item.heading!r}" if item.heading else f"{item.name} = {head.place(item)} without a heading"
            for item in head.columns
            if plain(item.heading).lower() != item.name
        ]
        if pairs:
            self.met["columns"] = ", ".join(pairs)
        if head.left:
            self.met["left out"] = "columns not taken: " + ", ".join(map(repr, head.left[:20]))

    def _fault(self, where: str, found: str, allowed: str, mend: str) -> None:
        if len(self.faults) < 50:
            self.faults.append(Fault(where, found, allowed, mend))

    def _cell_fault(self, cell: Cell, name: str, allowed: str, mend: str) -> None:
        where = self.grid.place(cell) + (f" ({name})" if name else "")
        self._fault(where, repr(str(cell.value)[:60]), allowed, mend)

    # --- the unit -----------------------------------------------------------------------------------------------------
    def _money(self, head: Head) -> dict[str, Decimal]:
        """What a figure of each money column is worth in the pool's unit; a title above may state it for all."""
        stated = self.wishes.unit
        worth = {}
        for item in head.columns:
            if item.name in {YEAR, NOTE, "rate"}:
                continue
            word = stated or stated_unit(item.heading) or head.unit
            if word is None and self._all_in_words(head, item):
                continue
            if word is None:
                mend = "say in which unit the file counts: --unit m (or bn, thousand, one, 億, 萬 ...)"
                found = f"no unit in {plain(item.heading)!r} nor above"
                self._fault(self.grid.place(item.cell), found, "a unit of money", mend)
                continue
            if stated is None:
                told = f"{item.name} in {word} ({MULTIPLES[word]:,})"
                self.met["unit"] = f"{self.met['unit']}; {told}" if "unit" in self.met else told
            worth[item.name] = Decimal(MULTIPLES[word]) / self.size
        return worth

    def _all_in_words(self, head: Head, item: Column) -> bool:
        """Whether every figure of a column names its own unit."""
        cells = [cell for row in head.grid.rows[head.first :] for cell in row if head.along(cell) == item.along]
        texts = [unmarked(cell.value)[0] for cell in cells]
        texts = [text for text in texts if text.lower() not in BLANK]
        return bool(texts) and all(in_words(text) is not None for text in texts)

    # --- the rows -----------------------------------------------------------------------------------------------------
    def _rows(self, head: Head, money: Mapping[str, Decimal]) -> tuple[dict[int, dict[str, Decimal]], dict[int, str]]:
        found = self._found(head)
        years = self._years([(at, mark, number) for at, mark, number, _ in found])
        table: dict[int, dict[str, Decimal]] = {}
        notes: dict[int, str] = {}
        comma = self._comma(cell for *_, cells in found for name, cell in cells.items() if name in COLUMNS)
        if not comma and self.wishes.decimal is None:
            self._points(cell for *_, cells in found for name, cell in cells.items() if name in {*FLOWS, "reserve"})
        percent = self._percent(found, head)
        for (at, _, _, cells), year in zip(found, years, strict=True):
            if year in table:
                self._cell_fault(at, YEAR, "each year once", "keep one row")
                continue
            table[year] = {}
            for name in COLUMNS:
                value = self._number(cells[name], name, comma) if name in cells else None
                if value is not None:
                    factor = money.get(name, Decimal(1)) if name != "rate" else Decimal(1) / (100 if percent else 1)
                    table[year][name] = (value * factor).normalize()
                elif (
                    name in cells and name != "rate" and (ones := in_words(unmarked(cells[name].value)[0])) is not None
                ):
                    table[year][name] = (ones / self.size).normalize()
                    self.met.setdefault(
                        "units in cells",
                        f"units within the figures: {plain(cells[name].value)!r} is {ones:,} in ones",
                    )
            if NOTE in cells:
                notes[year] = plain(cells[NOTE].value)
        for name in FLOWS:
            self._unsigned(name, table)
        return {year: table[year] for year in sorted(table)}, notes

    def _unsigned(self, name: str, table: Mapping[int, dict[str, Decimal]]) -> None:
        """Take off the sign of a flow that is printed as what leaves the fund, throughout."""
        figures = [row[name] for row in table.values() if name in row]
        if figures and all(figure < 0 for figure in figures):
            self.met[f"sign of {name}"] = f"{name} is printed negative throughout; taken without its sign"
            for row in table.values():
                if name in row:
                    row[name] = -row[name]

    def _found(self, head: Head) -> list[_Found]:
        """Rows with a year; of the others those without figures are told, those with figures are faults."""
        names = {item.along: item.name for item in head.columns}
        found: list[_Found] = []
        left: list[str] = []
        parts: list[tuple[str, int]] = []
        for row in head.grid.rows[head.first :]:
            cells = {names[along]: cell for cell in row if (along := head.along(cell)) in names}
            figures = {name: cell for name, cell in cells.items() if name not in {YEAR, NOTE}}
            figures = {name: cell for name, cell in figures.items() if plain(cell.value).lower() not in BLANK}
            at = cells.get(YEAR)
            read = None if at is None else year_of(at.value)
            if found and at is not None and read is None and known_name(plain(at.value)) == YEAR:
                if all(plain(cell.value) == plain(head.cell(name).value) for name, cell in cells.items()):
                    continue  # the same heading again, on the next page
                self._second(head, at)
                break
            if at is not None and read is None and is_total(plain(at.value)):
                left.append(plain(at.value)[:40])
                continue
            if at is not None and read is not None:
                if read[2]:
                    self._mark("years", plain(at.value))
                if left and found and (not parts or parts[-1][0] != left[-1]):
                    parts.append((left[-1], read[1]))
                found.append((at, read[0], read[1], {**cells, **figures}))
            elif figures:
                first = at if at is not None else next(iter(figures.values()))
                mend = "write the year into every row (merged cells hold it once); take out sums and halves of years"
                self._cell_fault(first, YEAR, "a calendar year such as 2015, 民國104年 or 平成27年度", mend)
            elif row:
                left.append(plain(row[0].value)[:40])
        if left:
            self.met["rows left out"] = f"{len(left)} without a year: " + "; ".join(map(repr, left[:5]))
        if parts:
            told = "; ".join(f"{year} and later below {words!r}" for words, year in parts[:5])
            self.met["parts"] = f"a table of several parts, of which none may be a forecast: {told}"
        return found

    def _second(self, head: Head, at: Cell) -> None:
        """Tell that a further table stands below or beside the first."""
        where, mend = f"row {at.row}", f"it is read by --rows {at.row}-{self.grid.rows[-1][0].row}"
        if head.turned:
            where, mend = f"column {column_letters(at.column)}", "to read it, keep it alone"
        self.met["second table"] = f"a further table from {where} on is left out; {mend}"

    def _mark(self, what: str, text: str) -> None:
        """Tell that a mark was left out."""
        told = self.met.get(f"marks of {what}", f"marks of footnotes left out of {what}:")
        if told.count("'") < 12:
            self.met[f"marks of {what}"] = f"{told} {text!r}"

    def _years(self, found: Sequence[tuple[Cell, str, int]]) -> list[int]:
        """Calendar years; eras are known by their marks, that of the Republic also because all are below 200."""
        marks = {mark for _, mark, _ in found} - {""}
        roc = bool(found) and (bool(marks) or all(number < 200 for *_, number in found))
        split = {is_split(at.value) for at, *_ in found}
        japanese = any(ERAS[mark] != ROC_OFFSET for mark in marks)
        years = []
        for at, mark, number in found:
            year = number + ERAS[mark] if mark else number + ROC_OFFSET if roc and number < 200 else number
            if (roc and not mark and number >= 200) or (japanese and not mark) or len(split) > 1:
                self._cell_fault(at, YEAR, "one way of counting years", "write all of them alike")
            elif not FIRST_POSSIBLE <= year <= LAST_POSSIBLE:
                allowed = f"a calendar year from {FIRST_POSSIBLE} to {LAST_POSSIBLE}"
                self._cell_fault(at, YEAR, allowed, "write it in four digits")
            years.append(year)
        if japanese:
            first, last = (f"{plain(found[i][0].value)} is {years[i]}" for i in (0, -1))
            self.met["era-years"] = f"years of Japan's eras: {first}, {last}"
        elif roc:
            self.met["roc-years"] = f"years of the Republic of China: {found[0][2]} is {years[0]}"
        if split == {True}:
            first = plain(found[0][0].value)
            self.met["split-years"] = f"years across two calendar years, each taken as its first: {first} is {years[0]}"
        elif any(re.search("年度|FY", plain(at.value)) for at, *_ in found) and not (roc and not japanese):
            self.met["fiscal-years"] = "fiscal years, each taken as the calendar year that it is named for"
        return years

    def _comma(self, cells: Iterable[Cell]) -> bool:
        """Whether decimals are written with a comma."""
        if self.wishes.decimal is not None:
            return self.wishes.decimal == "comma"
        texts = [without_currency(unmarked(cell.value)[0]) for cell in cells if isinstance(cell.value, str)]
        comma = any(POINTED.fullmatch(text) and not THOUSANDS.fullmatch(text) for text in texts)
        apart = next((text for text in texts if THOUSANDS.fullmatch(text)), None)
        if comma:
            self.met["decimal"] = "decimals with a comma, thousands with a point or a space"
        elif apart is not None:
            bare = "".join(sign for sign in apart if sign.isdigit() or sign == ".")
            self.met["separators"] = f"thousands set apart by comma, space or apostrophe: {apart!r} is {bare}"
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
            self._fault(self.grid.place(cell), words, "figures that tell", mend)

    def _percent(self, found: Sequence[_Found], head: Head) -> bool:
        """Whether rates are percents."""
        heading = next((item.heading for item in head.columns if item.name == "rate"), "")
        texts = [unmarked(cells["rate"].value)[0] for *_, cells in found if "rate" in cells]
        signed = any(text.endswith("%") for text in texts) or "%" in plain(heading)
        beyond = any(PLAIN.fullmatch(number) and float(number) > 1.0 for number in (t.replace(",", ".") for t in texts))
        if signed or beyond:
            self.met["percent"] = "rates in percent" + ("" if signed else ", for some exceed 1")
        return signed or beyond

    def _number(self, cell: Cell, name: str, comma: bool) -> Decimal | None:
        """Figure of a cell; None where it is blank or faulty."""
        allowed, mend = "a number, or nothing", "write the figure alone, without words beside it"
        if isinstance(cell.value, bool):
            self._cell_fault(cell, name, allowed, mend)
            return None
        text, mark = unmarked(cell.value)
        if isinstance(cell.value, str) and plain(cell.value) != cell.value.strip() and not mark:
            self.met["full-width"] = "full-width signs read as narrow ones"
        if text.lower() in BLANK:
            return None
        if name == "rate":
            text = text.removesuffix("%").strip()
        negative = text[:1] in {"△", "▲"} or (text.startswith("(") and text.endswith(")"))
        if negative:
            text = text.strip("△▲()").strip()
            self.met["negative"] = "figures in brackets or after a triangle are negative"
        if (bare := without_currency(text)) != text:
            text = bare
            self.met["currency"] = "signs of a currency left out"
        if (
            comma
            and isinstance(cell.value, str)
            and "." in text
            and not (POINTED.fullmatch(text) or GROUPED.fullmatch(text))
        ):
            other = f"{text.replace('.', ',')} if its point stands before decimals, {text.replace('.', '')} if it parts"
            self._cell_fault(cell, name, "commas before decimals, as in other cells of the file", f"write {other}")
            return None
        if comma and (POINTED.fullmatch(text) or THOUSANDS.fullmatch(text) or PLAIN.fullmatch(text)):
            text = re.sub(r"[. '\u2019\u00a0\u202f]", "", text).replace(",", ".")
        elif THOUSANDS.fullmatch(text):
            text = re.sub(r"[, '\u2019\u00a0\u202f]", "", text)
        if not PLAIN.fullmatch(text):
            if name == "rate" or in_words(unmarked(cell.value)[0]) is None:
                self._cell_fault(cell, name, allowed, mend)
            return None
        if mark:
            self._mark("figures", plain(cell.value))
        try:
            value = Decimal(repr(cell.value)) if isinstance(cell.value, float) else Decimal(text)
        except InvalidOperation:
            self._cell_fault(cell, name, allowed, mend)
            return None
        if abs(value) >= Decimal(10) ** 18:
            self._cell_fault(cell, name, "less than 10^18", "check the figure")
            return None
        return -value if negative else value


def unconfirmed(intake: Intake, confirmed: Iterable[str]) -> list[Recognised]:
    """What was recognised and not yet confirmed."""
    sure = set(confirmed)
    return [item for item in intake.recognised if item.key not in sure]


def refuse_unconfirmed(file: str, open_: Sequence[Recognised]) -> None:
    """Raise when anything recognised still waits for a word of the user.

    Raises
    ------
    ForecasterError
        Listing it, with the option that confirms it.
    """
    if open_:
        listed = "\n".join(f"  - {item.key}: {item.words}" for item in open_)
        options = " ".join(f"--confirm {item.key!r}" if " " in item.key else f"--confirm {item.key}" for item in open_)
        raise ForecasterError(
            f"{file}: recognised, and to be confirmed before anything is written:\n{listed}\n"
            f"If all of it is right: --yes; one by one: {options}"
        )
