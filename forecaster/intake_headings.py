"""Where the table of a sheet begins, and which of its columns is which: headings of one row or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from forecaster.errors import Fault, FaultyInput
from forecaster.intake_files import Cell, Grid, column_letters
from forecaster.intake_units import Unit, plain, stated_unit
from forecaster.intake_words import (
    NOTE,
    YEAR,
    group_name,
    heading_text,
    is_bare,
    is_total,
    known_name,
    looks_like_a_figure,
    means_something_else,
    year_of,
)

# Rows above the heading that are searched for it.
MOST_TITLES = 30
# Years by which a column without a heading is known for that of the years; fewer where nothing else stands in it.
_LEAST_YEARS = 4


@dataclass(frozen=True)
class Column:
    """A column of the sheet, a row of it where years run across.

    Attributes
    ----------
    name
        ``year``, ``income``, ``outgo``, ``reserve``, ``rate`` or ``note``.
    along
        Its number in the sheet.
    cell
        Cell of its heading, or the first year where it has none.
    heading
        Its heading, those of its groups before it, parted by a stroke: ``Income / Total``; empty where there is none.
    """

    name: str
    along: int
    cell: Cell
    heading: str


@dataclass(frozen=True)
class Head:
    """The heading of a table.

    Attributes
    ----------
    grid
        The sheet, turned where years run across it.
    turned
        Whether it is.
    first
        Place of the first row with figures among the grid's.
    columns
        The columns that are taken.
    left
        Headings of the others.
    unit
        Unit of money that a title states for all columns.
    end
        Number of the last column that has a heading.
    """

    grid: Grid
    turned: bool
    first: int
    columns: tuple[Column, ...]
    left: tuple[str, ...]
    unit: Unit | None
    end: int

    def along(self, cell: Cell) -> int:
        """Number of a cell's column, of its row where years run across."""
        return cell.row if self.turned else cell.column

    def cell(self, name: str) -> Cell:
        """Cell of the heading of one of our names."""
        return next(item.cell for item in self.columns if item.name == name)

    def place(self, item: Column) -> str:
        """How a user names a column by its place."""
        return _place(item.along, self.turned)


def find_head(grid: Grid, stated: Mapping[str, str]) -> Head:
    """The heading of the sheet's table: a row with a word for the year, else the rows above a column of years.

    Parameters
    ----------
    stated
        Our name to the heading that the user names, or ``column C`` (``row 5`` where years run across).

    Raises
    ------
    FaultyInput
        When there is none, when a stated column is not there, or when several columns bear one name.
    """
    sides = tuple(_Side(sheet, turned, stated) for sheet, turned in ((grid, False), (grid.turned, True)))
    for find in (_Side.by_word, _Side.by_years):
        for side in sides:
            found = find(side)
            if found is not None:
                return side.head(*found)
    allowed = "a row with a column for the year and at least one of income, outgo, reserve, rate"
    mend = (
        "name the columns: --column year=HEADING --column income=HEADING, or by their places: "
        "--column 'income=column C', where years run across --column 'year=row 2'"
    )
    if grid.guessed:
        mend += f"; if these are no words, the file is not in {grid.encoding}: --encoding"
    raise FaultyInput(grid.file, [Fault(f"{grid.sheet_word}the heading", _seen(grid), allowed, mend)])


def _seen(grid: Grid) -> str:
    """Words of the row that is most like a heading."""
    rows = [*grid.rows[:MOST_TITLES], *grid.turned.rows[:MOST_TITLES]]
    words = [[plain(cell.value) for cell in row if isinstance(cell.value, str)] for row in rows]
    words = [[text for text in row if not looks_like_a_figure(text)] for row in words]
    longest = max(words, key=len, default=[])
    return f"none that is understood among {', '.join(map(repr, longest[:12]))}" if len(longest) > 1 else "none"


def _place(along: int, turned: bool) -> str:
    """How a user may name a column without a heading, or one of several with the same."""
    return f"row {along}" if turned else f"column {column_letters(along)}"


def _counts(cell: Cell) -> bool:
    """Whether a cell holds a figure that is no year."""
    return looks_like_a_figure(cell.value) and year_of(cell.value) is None


class _Side:
    """The sheet as it stands, or turned."""

    def __init__(self, grid: Grid, turned: bool, stated: Mapping[str, str]):
        self.grid, self.turned = grid, turned
        self.stated = {name: heading_text(text).lower() for name, text in stated.items()}
        self.rows = [{self.along(cell): cell for cell in row} for row in grid.rows]

    def along(self, cell: Cell) -> int:
        return cell.row if self.turned else cell.column

    def place(self, along: int) -> str:
        return _place(along, self.turned)

    # --- which rows are the heading -----------------------------------------------------------------------------------
    def by_word(self) -> tuple[list[int], int, int] | None:
        """Rows of the heading, place of the first row with figures, and column of the year, known by its heading."""
        for i, row in enumerate(self.rows[:MOST_TITLES]):
            for along, cell in row.items():
                if isinstance(cell.value, str) and self._name(along, [heading_text(cell.value)]) == YEAR:
                    found = self._block(i, along)
                    if self._names(found) - {None, YEAR, NOTE}:
                        return found
        return None

    def by_years(self) -> tuple[list[int], int, int] | None:
        """The same where years without a heading follow one another."""
        best: tuple[int, int, int] | None = None
        for along in sorted({along for row in self.rows for along in row}):
            years, others = [], False
            for i, row in enumerate(self.rows):
                found = year_of(row[along].value) if along in row else None
                if found is not None and (found[0] or 1900 <= found[1] <= 2100):
                    years.append((i, found[1]))
                else:
                    others = others or (along in row and looks_like_a_figure(row[along].value))
            steps = [later - earlier for (_, earlier), (_, later) in pairwise(years)]
            many = len(years) >= _LEAST_YEARS and len({step > 0 for step in steps}) == 1
            few = not others and steps in ([1], [1, 1], [-1], [-1, -1])
            if (many or few) and (best is None or len(years) > best[0]):
                best = len(years), along, years[0][0]
        if best is None:
            return None
        _, along, first = best
        for i in range(first - 1, max(-1, first - MOST_TITLES), -1):
            block = self._block(i, along)
            if self._names(block) - {None, YEAR, NOTE}:
                return block
        return None

    def _block(self, main: int, year: int) -> tuple[list[int], int, int]:
        """All rows of the heading around one of them: groups above it, parts of groups below it."""
        first, below = main + 1, []
        for i in range(main + 1, len(self.rows)):
            row = self.rows[i]
            first = i
            if year in row and year_of(row[year].value):
                break
            if any(looks_like_a_figure(cell.value) for along, cell in row.items() if along != year):
                break
            if self._is_heading(i):
                below.append(i)
        else:
            first, below = main + 1, []
        above = []
        for i in range(main - 1, -1, -1):
            if not self._is_heading(i):
                break
            above.append(i)
        return [*reversed(above), main, *below], first, year

    def _is_heading(self, i: int) -> bool:
        """Whether a row holds two words or more and no figure: one alone is a title or a remark."""
        cells = self.rows[i].values()
        return (
            len(cells) > 1
            and all(isinstance(cell.value, str) for cell in cells)
            and not any(looks_like_a_figure(cell.value) for cell in cells)
        )

    def _names(self, block: tuple[list[int], int, int]) -> set[str | None]:
        rows, _, year = block
        return {self._name(along, texts) for along, (_, texts) in self._texts(rows, year).items()} - {YEAR}

    # --- which column is which ----------------------------------------------------------------------------------------
    def _texts(self, rows: Sequence[int], year: int) -> dict[int, tuple[Cell, list[str]]]:
        """Column to the cell of its heading and its words, those of its groups first."""
        found: dict[int, tuple[Cell, list[str]]] = {}
        for at, i in enumerate(rows):
            for along, cell in self.rows[i].items():
                groups = []
                for above in rows[:at] if along != year else []:
                    # A group's word stands over its first column only.
                    over = [there for there in self.rows[above] if there <= along]
                    if over and max(over) != year:
                        groups.append(heading_text(self.rows[above][max(over)].value))
                found[along] = cell, [*dict.fromkeys(groups), heading_text(cell.value)]
        return found

    def _name(self, along: int, texts: Sequence[str]) -> str | None:
        """Our name of a column: what the user says, else by its own words, else by those of its groups."""
        own, joined = texts[-1], " / ".join(texts)
        for stated, wanted in self.stated.items():
            if wanted in {own.lower(), joined.lower(), self.place(along).lower()}:
                return stated
        name = known_name(own)
        if name is None and len(texts) > 1 and not means_something_else(own):
            name = next((found for text in reversed(texts[:-1]) if (found := group_name(text))), None)
        return None if name in self.stated or (name == YEAR and len(texts) > 1) else name

    def head(self, rows: list[int], first: int, year: int) -> Head:
        """The heading with every column that is taken.

        Raises
        ------
        FaultyInput
            When a stated column is not there, or several bear one name.
        """
        named: dict[str, list[Column]] = {}
        left, shown = [], []
        texts = self._texts(rows, year)
        for along in sorted({*texts, year, *(key for row in self.rows[first:] for key in row if self._placed(key))}):
            cell, words = texts[along] if along in texts else (self._first_cell(along, first), [""])
            found = YEAR if along == year else self._name(along, words)
            heading = " / ".join(words)
            shown.append(heading)
            if found is None:
                left.append(heading)
            else:
                named.setdefault(found, []).append(Column(found, along, cell, heading))
        faults = self._missing(named, shown)
        columns = []
        for name, several in named.items():
            chosen = self._chosen(name, several, first)
            if len(chosen) > 1:
                choice = ", ".join(f"{item.heading!r} ({self.place(item.along)})" for item in chosen[:6])
                mend = f"say which: --column {name}=HEADING, or 'column C' for HEADING"
                where = self.grid.place(chosen[1].cell)
                faults.append(Fault(where, f"{len(chosen)} columns for {name}: {choice}", "one", mend))
            left += [item.heading for item in several if item not in chosen]
            columns.append(chosen[0])
        if faults:
            raise FaultyInput(self.grid.file, faults)
        unit = self._unit(texts, columns, first)
        return Head(self.grid, self.turned, first, tuple(columns), tuple(left), unit, max((year, *texts)))

    def _placed(self, along: int) -> bool:
        return self.place(along).lower() in self.stated.values()

    def _first_cell(self, along: int, first: int) -> Cell:
        return next(row[along] for row in self.rows[first:] if along in row)

    def _missing(self, named: Mapping[str, object], shown: Sequence[str]) -> list[Fault]:
        """Columns that the user has named and that are not there."""
        listed = ", ".join(map(repr, shown[:20]))
        where, mend = f"{self.grid.sheet_word}the heading", "correct --column"
        return [
            Fault(where, f"no column {text!r}", listed, mend) for name, text in self.stated.items() if name not in named
        ]

    def _chosen(self, name: str, several: Sequence[Column], first: int) -> list[Column]:
        """Of several columns of one name the one that has figures, sums the others or has that name alone."""
        if name == YEAR or len(several) == 1:
            return list(several[:1])
        filled = {along for row in self.rows[first:] for along in row}
        kept = [item for item in several if item.along in filled] or list(several)
        if len(kept) == 1:
            return kept
        words = {item: item.heading.split(" / ") for item in kept}
        # The group's own word does not make its parts a total: Total income / Premiums.
        totals = [item for item in kept if any(map(is_total, words[item][1:] or words[item]))]
        bare = [item for item in kept if is_bare(words[item][-1], name)]
        return next((best for best in (totals, bare) if len(best) == 1), kept)

    def _unit(
        self, texts: Mapping[int, tuple[Cell, Sequence[str]]], columns: Sequence[Column], first: int
    ) -> Unit | None:
        """Unit that the heading of the years or else a title above the figures states, the lowest one; a column's own
        words speak for it alone."""
        heading = set() if self.turned else {cell for cell, _ in texts.values()}
        top = min(item.cell.row for item in columns if item.name != YEAR)
        told = {cell.row for row in self.grid.rows for cell in row if _counts(cell)} if self.turned else set()
        titles = [
            plain(cell.value)
            for row in self.grid.rows
            for cell in row
            if isinstance(cell.value, str)
            and self._above(cell, top, first)
            and cell not in heading
            and cell.row not in told
        ]
        corner = next(item.heading for item in columns if item.name == YEAR)
        found = [unit for text in (*titles, corner) if (unit := stated_unit(text))]
        return found[-1] if found else None

    def _above(self, cell: Cell, top: int, first: int) -> bool:
        """Whether a cell stands above the figures."""
        if self.turned:
            return cell.row < top
        return first < len(self.grid.rows) and cell.row < self.grid.rows[first][0].row
