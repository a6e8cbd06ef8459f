"""A table of yearly accounts as its authority prints it, turned into a pool's own.

Columns, unit, years of the Republic of China, percents, separators and legacy encodings are recognised and told;
nothing of it is taken until somebody confirms it. Every cell that cannot be understood is one fault with file, sheet,
row, column and rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.intake_figures import Figures, Told
from forecaster.intake_files import Cell, Grid, column_letters
from forecaster.intake_headings import Column, Head, find_head
from forecaster.intake_units import MULTIPLES, Unit, in_words, plain, stated_unit, unit_of
from forecaster.intake_words import (
    BLANK,
    ERAS,
    NOTE,
    ROC_OFFSET,
    YEAR,
    is_part_of_year,
    is_split,
    is_total,
    known_name,
    looks_like_a_figure,
    unmarked,
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
        In what the file counts money: a word such as bn or 億, or several, 100 million.
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
        self.told = Told(grid)
        self.met = self.told.met

    def read(self) -> Intake:
        stated = None if self.wishes.unit is None else unit_of(self.wishes.unit)
        if self.wishes.unit is not None and stated is None:
            allowed = f"one of {', '.join(MULTIPLES)}, or several such as 100 million"
            raise FaultyInput(self.grid.file, [Fault("--unit", repr(self.wishes.unit), allowed, "use one of these")])
        if self.grid.guessed:
            self.met["encoding"] = f"text in {self.grid.encoding}, concluded from its words"
        head = find_head(self.grid, self.wishes.columns or {})
        self._tell(head)
        units = self._units(head, stated)
        rows, notes = self._rows(head, units)
        if not rows and not self.told.faults:
            parts = self.met.get("parts of years")
            found = f"a heading and no years{f', but {parts}' if parts else ''}"
            mend = "add the parts up to whole years first" if parts else "check the sheet"
            self.told.fault("the table", found, "one row a year", mend)
        if self.told.faults:
            raise FaultyInput(self.grid.file, self.told.faults)
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

    # --- the unit -----------------------------------------------------------------------------------------------------
    def _units(self, head: Head, stated: Unit | None) -> dict[str, Unit]:
        """Unit of each money column, as the user, its heading, or a title above states it."""
        units: dict[str, Unit] = {}
        for item in head.columns:
            if item.name in {YEAR, NOTE, "rate"}:
                continue
            unit = stated or stated_unit(item.heading) or head.unit
            if unit is None and self._all_in_words(head, item):
                continue
            if unit is None:
                mend = "say in which unit the file counts: --unit m (or bn, thousand, one, 億, 萬, 100 million ...)"
                found = f"no unit in {plain(item.heading)!r} nor above"
                self.told.fault(self.grid.place(item.cell), found, "a unit of money", mend)
                continue
            if stated is None:
                told = f"{item.name} in {unit.words} ({unit.ones:,})"
                self.met["unit"] = f"{self.met['unit']}; {told}" if "unit" in self.met else told
            units[item.name] = unit
        return units

    def _all_in_words(self, head: Head, item: Column) -> bool:
        """Whether every figure of a column names its own unit."""
        cells = [cell for row in head.grid.rows[head.first :] for cell in row if head.along(cell) == item.along]
        texts = [unmarked(cell.value)[0] for cell in cells]
        texts = [text for text in texts if text.lower() not in BLANK]
        return bool(texts) and all(in_words(text) is not None for text in texts)

    # --- the rows -----------------------------------------------------------------------------------------------------
    def _rows(self, head: Head, units: Mapping[str, Unit]) -> tuple[dict[int, dict[str, Decimal]], dict[int, str]]:
        found = self._found(head, {unit.ones for unit in units.values()})
        self._look(found)
        years = self._years([(at, mark, number) for at, mark, number, _ in found])
        by_name = {name: [cells[name] for *_, cells in found if name in cells] for name in COLUMNS}
        heading = next((item.heading for item in head.columns if item.name == "rate"), "")
        figures = Figures(self.told, by_name, heading, self.wishes.decimal)
        worth = {name: Decimal(unit.ones) / self.size for name, unit in units.items()}
        worth["rate"] = Decimal(1) / figures.rate_parts
        table: dict[int, dict[str, Decimal]] = {}
        notes: dict[int, str] = {}
        for (at, _, _, cells), year in zip(found, years, strict=True):
            if year in table:
                mend = "keep one row; where another table begins here, leave it out by --rows"
                self.told.cell_fault(at, YEAR, "each year once", mend)
                continue
            table[year] = {}
            for name in COLUMNS:
                if name not in cells:
                    continue
                if (cells[name].row, cells[name].column) in self.grid.broken:
                    continue
                value = figures.number(cells[name], name)
                ones = None if name == "rate" else in_words(unmarked(cells[name].value)[0])
                if value is not None:
                    table[year][name] = (value * worth.get(name, Decimal(1))).normalize()
                elif ones is not None:
                    table[year][name] = (ones / self.size).normalize()
                    words = f"units within the figures: {plain(cells[name].value)!r} is {ones:,} in ones"
                    self.met.setdefault("units in cells", words)
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

    def _found(self, head: Head, sizes: set[int]) -> list[_Found]:
        """Rows with a year; of the others those without figures are told, those with figures are faults."""
        names = {item.along: item.name for item in head.columns}
        found: list[_Found] = []
        left: list[str] = []
        parts: list[tuple[str, int]] = []
        part_years: list[str] = []
        between = ""  # words below the last year
        rows = head.grid.rows[head.first :]
        for i, row in enumerate(rows):
            cells = {names[along]: cell for cell in row if (along := head.along(cell)) in names}
            at = cells.get(YEAR)
            read = None if at is None else year_of(at.value)
            if found and at is not None and read is None and known_name(plain(at.value)) == YEAR:
                if all(plain(cell.value) == plain(head.cell(name).value) for name, cell in cells.items()):
                    continue  # the same heading again, on the next page
                self._second(head, at)
                break
            if at is not None and self._is_part(at, read):
                part_years.append(plain(at.value))
            elif at is not None and read is None and is_total(plain(at.value)):
                left.append(between := plain(at.value)[:40])
            elif at is not None and read is not None and not self._is_page(cells, read):
                if read[2]:
                    self.told.mark("years", plain(at.value))
                if between and found:
                    parts.append((between, read[1]))
                between = ""
                self._overflow(head, row)
                found.append((at, read[0], read[1], cells))
            elif self._is_bare_of_figures(cells) or (not found and _counts_columns(row)):
                if found and self._changes_unit(row, sizes) and any(year_of(later[0].value) for later in rows[i + 1 :]):
                    self._second(head, row[0])
                    break
                left.append(between := plain(row[0].value)[:40])
            else:
                self._without_year(at, cells)
        if left:
            self.met["rows left out"] = f"{len(left)} without a year: " + "; ".join(map(repr, left[:5]))
        if part_years:
            shown = "; ".join(map(repr, part_years[:5]))
            self.met["parts of years"] = f"quarters, halves or months left out, {len(part_years)}: {shown}"
        if parts:
            told = "; ".join(f"{year} and later below {words!r}" for words, year in parts[:5])
            self.met["parts"] = f"a table of several parts, of which none may be a forecast: {told}"
        return found

    def _is_part(self, at: Cell, read: tuple[str, int, str] | None) -> bool:
        """Whether the cell of a year names a quarter, a half or some months of it."""
        return isinstance(at.value, str) and is_part_of_year(plain(at.value) if read is None else plain(read[2]))

    def _is_page(self, cells: Mapping[str, Cell], read: tuple[str, int, str]) -> bool:
        """Whether a number that can be no calendar year stands alone, as that of a page below the table."""
        return not read[0] and read[1] < FIRST_POSSIBLE and set(cells) == {YEAR}

    def _is_bare_of_figures(self, cells: Mapping[str, Cell]) -> bool:
        """Whether a row holds words alone, such as a note that its commas have spread over several columns."""
        texts = [unmarked(cell.value)[0] for name, cell in cells.items() if name not in {YEAR, NOTE}]
        said = [text for text in texts if text.lower() not in BLANK]
        return not said or (
            YEAR in cells and not any(looks_like_a_figure(text) or in_words(text) is not None for text in said)
        )

    def _changes_unit(self, row: Sequence[Cell], sizes: set[int]) -> bool:
        """Whether a row of words states another unit than that of the table."""
        unit = stated_unit(" ".join(plain(cell.value) for cell in row))
        return unit is not None and unit.ones not in sizes

    def _overflow(self, head: Head, row: Sequence[Cell]) -> None:
        """Refuse a row of text with figures behind its last heading: commas within figures have parted them."""
        further = [cell for cell in row if head.along(cell) > head.end and looks_like_a_figure(cell.value)]
        beyond = [cell for cell in further if not re.fullmatch(r"\d{1,2}\)", plain(cell.value))]  # a footnote's mark
        if beyond and not self.grid.sheet and not head.turned:
            mend = "put figures that hold commas into quotes, or save the file with semicolons"
            self.told.cell_fault(beyond[0], "", "no more cells than the heading has", mend)

    def _without_year(self, at: Cell | None, cells: Mapping[str, Cell]) -> None:
        first = at if at is not None else next(cell for name, cell in cells.items() if name not in {YEAR, NOTE})
        mend = "write the year into every row (merged cells hold it once); take out sums and changes over the year"
        if at is not None and re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", plain(at.value)):
            mend = "a date other than 31 December may close another year: write the year as a number, 2015"
        self.told.cell_fault(first, YEAR, "a calendar year such as 2015, 民國104年 or 平成27年度", mend)

    def _look(self, found: Sequence[_Found]) -> None:
        """What the sheet shows and its values do not say: errors, formulas never computed, hidden rows, scales."""
        for at, _, _, cells in found:
            for name, cell in cells.items():
                words = self.grid.broken.get((cell.row, cell.column))
                if words is not None and name != NOTE:
                    mend = "open the workbook, let it compute, and save it again; or write the figure itself"
                    self.told.fault(f"{self.grid.place(cell)} ({name})", repr(words[:60]), "a number, or nothing", mend)
            if at.row in self.grid.hidden:
                told = self.met.get("hidden rows", "rows that the sheet hides, and that are read:")
                self.met["hidden rows"] = f"{told} {at.row}"
        money = [cell for *_, cells in found for name, cell in cells.items() if name in {*FLOWS, "reserve"}]
        if self.wishes.unit is None and (scaled := [c for c in money if (c.row, c.column) in self.grid.scaled]):
            found_words = f"{scaled[0].value:,} in the cell, which the sheet shows in thousands, millions or more"
            mend = "say in which unit the cells themselves are, which is often --unit one"
            self.told.fault(self.grid.place(scaled[0]), found_words, "figures as they are shown", mend)

    def _second(self, head: Head, at: Cell) -> None:
        """Tell that a further table stands below or beside the first."""
        where, mend = f"row {at.row}", f"it is read by --rows {at.row}-{self.grid.rows[-1][0].row}"
        if head.turned:
            where, mend = f"column {column_letters(at.column)}", "to read it, keep it alone"
        self.met["second table"] = f"a further table from {where} on is left out; {mend}"

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
                self.told.cell_fault(at, YEAR, "one way of counting years", "write all of them alike")
            elif not FIRST_POSSIBLE <= year <= LAST_POSSIBLE:
                allowed = f"a calendar year from {FIRST_POSSIBLE} to {LAST_POSSIBLE}"
                mend = "write it in four digits" if year < FIRST_POSSIBLE else "Thailand's 2558 is 2015, for one"
                self.told.cell_fault(at, YEAR, allowed, mend)
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


def _counts_columns(row: Sequence[Cell]) -> bool:
    """Whether a row below the heading numbers the columns: (1), (2), (3)."""
    numbers = [plain(cell.value).strip("()[]") for cell in row]
    first = int(numbers[0]) if numbers[0].isdecimal() else 0
    return len(row) > 2 and first in {1, 2} and numbers == [str(first + i) for i in range(len(numbers))]


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
