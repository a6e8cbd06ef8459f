"""A table of yearly accounts as its authority prints it, turned into a pool's own.

Columns, unit, years of the Republic of China, percents, separators and legacy encodings are recognised and told;
nothing of it is taken until somebody confirms it. Every cell that cannot be understood is one fault with file, sheet,
row, column and rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.intake_files import Cell, Grid
from forecaster.pool_accounts import COLUMNS, FIRST_POSSIBLE, LAST_POSSIBLE

YEAR, NOTE = "year", "note"
# What is added to the years of an era to get calendar years; those of the Republic of China also stand without a mark.
ROC_OFFSET = 1911
ERAS: Mapping[str, int] = {
    "民國": ROC_OFFSET, "民国": ROC_OFFSET,
    "昭和": 1925, "S": 1925, "平成": 1988, "H": 1988, "令和": 2018, "R": 2018,
}  # fmt: skip
_SIZES = {"one": 1, "thousand": 10**3, "m": 10**6, "bn": 10**9}
# Words for multiples, longest first so that 十億 is not read as 億.
MULTIPLES: Mapping[str, int] = {
    "trillion": 10**12, "万亿": 10**12, "萬億": 10**12, "兆": 10**12, "조": 10**12,
    "billion": 10**9, "十億": 10**9, "十亿": 10**9, "십억": 10**9, "bn": 10**9,
    "mrd": 10**9, "milliarden": 10**9, "milliard": 10**9, "md": 10**9,
    "億": 10**8, "亿": 10**8, "억": 10**8,
    "千萬": 10**7, "千万": 10**7,
    "million": 10**6, "millionen": 10**6, "百萬": 10**6, "百万": 10**6, "백만": 10**6,
    "mn": 10**6, "mio": 10**6, "m": 10**6,
    "萬": 10**4, "万": 10**4, "만": 10**4,
    "thousand": 10**3, "tsd": 10**3, "千": 10**3, "仟": 10**3, "천": 10**3, "one": 1, "元": 1, "円": 1, "원": 1,
}  # fmt: skip
_LATIN = "|".join(word for word in MULTIPLES if word.isascii())
_CHINESE = "|".join(sorted((word for word in MULTIPLES if not word.isascii()), key=len, reverse=True))
_UNIT = re.compile(rf"(?:\b({_LATIN})s?\b)|({_CHINESE})", re.IGNORECASE)
# Where a heading states its unit: in brackets, after a colon of 單位, or after "in".
_STATED = re.compile(
    r"[\[(]([^\])]*)[\])]|(?:單位|单位|単位|단위|einheit|unité|unit)\s*:?\s*(\S.*)|\bin\s+(.+)", re.IGNORECASE
)
# Words by which columns are known, wherever they stand in a heading; the first name that has one wins.
NAMES: Mapping[str, tuple[str, ...]] = {
    "reserve": (
        "closing reserve", "year-end balance", "reserve", "fund balance", "累计结余", "累计结存", "累計結餘",
        "滚存结余", "安全準備", "期末结余", "期末結餘", "准备金", "準備金", "结存", "積立金", "rücklage",
        "finanzreserven", "réserve", "누적적립금", "적립금", "준비금",
    ),
    "rate": (
        "premium rate", "contribution rate", "rate", "費率", "费率", "料率", "보험료율", "beitragssatz",
        "taux de cotisation",
    ),
    "income": (
        "total income", "total revenue", "income", "revenue", "receipts", "基金收入", "保險收入", "收入合計",
        "收入合计", "總收入", "总收入", "收入", "収入", "수입", "einnahmen", "recettes",
    ),
    "outgo": (
        "total expenditure", "outgo", "expenditure", "spending", "outlays", "基金支出", "保險成本", "支出合計",
        "支出合计", "總支出", "总支出", "支出", "지출", "ausgaben", "dépenses",
    ),
    # After the others: 年底安全準備 is a reserve.
    YEAR: (
        "calendar year", "fiscal year", "year", "年度", "年份", "年別", "年", "연도", "년도", "jahr", "année",
        "exercice",
    ),
    NOTE: ("note", "remark", "備註", "备注", "附註", "備考", "비고", "anmerkung", "remarque"),
}  # fmt: skip
_BLANK = {"", "k.a.", "k. a.", "-", "--", "–", "—", "…", "...", "..", "n/a", "na", "nan", "none", "null", "x"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[, '\u2019\u00a0\u202f]\d{3})+(?:\.\d+)?")
_POINTED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})*,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_YEAR = re.compile(rf"(?:FY\s*)?({'|'.join(ERAS)})?\s*(\d{{1,4}}|元)\s*(?:年度?|年底|年末|년도?)?")
# Rows above the heading that are searched for it.
_MOST_TITLES = 30


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


def plain(value: object) -> str:
    """Text of a cell with full-width signs made narrow and spaces trimmed."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return unicodedata.normalize("NFKC", str(value)).replace("−", "-").strip()


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
        grid, head = self._heading()
        columns = self._columns(grid.rows[head], {self._along(cell) for row in grid.rows[head + 1 :] for cell in row})
        money = self._money(columns)
        rows, notes = self._rows(grid.rows[head + 1 :], columns, money)
        if not rows and not self.faults:
            self._fault("the table", "a heading and no years", "one row a year", "check the sheet")
        if self.faults:
            raise FaultyInput(self.grid.file, self.faults)
        return Intake(rows, notes, tuple(Recognised(key, words) for key, words in self.met.items()))

    def _fault(self, where: str, found: str, allowed: str, mend: str) -> None:
        if len(self.faults) < 50:
            self.faults.append(Fault(where, found, allowed, mend))

    def _cell_fault(self, cell: Cell, name: str, allowed: str, mend: str) -> None:
        where = self.grid.place(cell) + (f" ({name})" if name else "")
        self._fault(where, repr(str(cell.value)[:60]), allowed, mend)

    # --- the heading --------------------------------------------------------------------------------------------------
    def _heading(self) -> tuple[Grid, int]:
        """The sheet, turned if years run across it, and the place of its heading."""
        for grid in (self.grid, self.grid.turned):
            for i, row in enumerate(grid.rows[:_MOST_TITLES]):
                names = {self._name_of(plain(cell.value)) for cell in row if isinstance(cell.value, str)}
                if YEAR in names and len(names - {None, YEAR, NOTE}) >= 1:
                    if grid is not self.grid:
                        self.met["turned"] = "years run across the sheet, lines down"
                    return grid, i
        mend = "name the columns: --column year=HEADING --column income=HEADING ..."
        allowed = "a row with a column for the year and at least one of income, outgo, reserve, rate"
        raise FaultyInput(self.grid.file, [Fault(f"{self.grid.sheet_word}the heading", "none", allowed, mend)])

    def _name_of(self, heading: str) -> str | None:
        """Our name of a heading; None for one that means nothing to us."""
        text = heading.lower()
        for name, stated in (self.wishes.columns or {}).items():
            if plain(stated).lower() == text:
                return name
        for name, words in NAMES.items():
            if name in (self.wishes.columns or {}):
                continue
            if any(_holds(text, word) for word in words):
                return name
        return None

    def _columns(self, row: Sequence[Cell], filled: set[int]) -> dict[int, tuple[str, Cell]]:
        """Column (or row, in a turned sheet) to our name and its heading; ``filled`` are those with anything below."""
        found: dict[str, list[Cell]] = {}
        left = []
        for cell in row:
            name = self._name_of(plain(cell.value))
            if name is None:
                left.append(plain(cell.value))
            else:
                found.setdefault(name, []).append(cell)
        # A footnote below a sheet whose years run across stands where headings do.
        for name, cells in found.items():
            if len(cells) > 1 and (held := [cell for cell in cells if self._along(cell) in filled]):
                left += [plain(cell.value) for cell in cells if cell not in held]
                found[name] = held
        for name in dict.fromkeys((YEAR, *(self.wishes.columns or {}))):
            if name not in found:
                stated = (self.wishes.columns or {}).get(name, name)
                shown = ", ".join(repr(plain(cell.value)) for cell in row[:20])
                self._fault(f"{self.grid.sheet_word}the heading", f"no column {stated!r}", shown, "correct --column")
        for name, cells in found.items():
            if len(cells) > 1:
                shown = ", ".join(repr(plain(cell.value)) for cell in cells[:6])
                mend = f"say which: --column {name}=HEADING"
                self._fault(self.grid.place(cells[1]), f"{len(cells)} columns for {name}: {shown}", "one", mend)
        if self.faults:
            raise FaultyInput(self.grid.file, self.faults)
        chosen = {name: cells[0] for name, cells in found.items()}
        pairs = [
            f"{name} = {plain(cell.value)!r}" for name, cell in chosen.items() if plain(cell.value).lower() != name
        ]
        if pairs:
            self.met["columns"] = ", ".join(pairs)
        if left:
            self.met["left out"] = "columns not taken: " + ", ".join(map(repr, left[:20]))
        return {self._along(cell): (name, cell) for name, cell in chosen.items()}

    def _along(self, cell: Cell) -> int:
        return cell.row if "turned" in self.met else cell.column

    # --- the unit -----------------------------------------------------------------------------------------------------
    def _money(self, columns: Mapping[int, tuple[str, Cell]]) -> dict[str, Decimal]:
        """What a figure of each money column is worth in the pool's unit; a title above may state it for all."""
        stated = self.wishes.unit
        first = min(cell.row for _, cell in columns.values())
        above = (cell for row in self.grid.rows for cell in row if cell.row < first and isinstance(cell.value, str))
        titles = [plain(cell.value) for cell in above]
        general = [unit for text in titles if (unit := stated_unit(text))]
        worth = {}
        for name, cell in columns.values():
            if name in {YEAR, NOTE, "rate"}:
                continue
            word = stated or stated_unit(plain(cell.value)) or (general[-1] if general else None)
            if word is None:
                mend = "say in which unit the file counts: --unit m (or bn, thousand, one, 億, 萬 ...)"
                self._fault(
                    self.grid.place(cell), f"no unit in {plain(cell.value)!r} nor above", "a unit of money", mend
                )
                continue
            if stated is None:
                told = f"{name} in {word} ({MULTIPLES[word]:,})"
                self.met["unit"] = f"{self.met['unit']}; {told}" if "unit" in self.met else told
            worth[name] = Decimal(MULTIPLES[word]) / self.size
        return worth

    # --- the rows -----------------------------------------------------------------------------------------------------
    def _rows(
        self, rows: Sequence[Sequence[Cell]], columns: Mapping[int, tuple[str, Cell]], money: Mapping[str, Decimal]
    ) -> tuple[dict[int, dict[str, Decimal]], dict[int, str]]:
        found: list[tuple[Cell, str, int, dict[str, Cell]]] = []
        left = []
        for row in rows:
            cells = {columns[self._along(cell)][0]: cell for cell in row if self._along(cell) in columns}
            figures = {name: cell for name, cell in cells.items() if name not in {YEAR, NOTE}}
            figures = {name: cell for name, cell in figures.items() if plain(cell.value).lower() not in _BLANK}
            at = cells.get(YEAR)
            match = None if at is None else _YEAR.fullmatch(plain(at.value))
            if at is not None and match is not None:
                number = 1 if match[2] == "元" else int(match[2])  # the first year of an era has a word of its own
                found.append((at, match[1] or "", number, {**cells, **figures}))
            elif figures:
                first = at if at is not None else next(iter(figures.values()))
                mend = (
                    "write the year into every row without marks (merged cells hold it once); take out sums and halves"
                )
                self._cell_fault(first, YEAR, "a calendar year such as 2015, 民國104年 or 平成27年度", mend)
            elif row:
                left.append(plain(row[0].value)[:40])
        if left:
            self.met["rows left out"] = f"{len(left)} without figures: " + "; ".join(map(repr, left[:5]))
        years = self._years([(at, mark, number) for at, mark, number, _ in found])
        table: dict[int, dict[str, Decimal]] = {}
        notes: dict[int, str] = {}
        comma = self._comma(cell for *_, cells in found for name, cell in cells.items() if name in COLUMNS)
        percent = self._percent(found, columns)
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
            if NOTE in cells:
                notes[year] = plain(cells[NOTE].value)
        return {year: table[year] for year in sorted(table)}, notes

    def _years(self, found: Sequence[tuple[Cell, str, int]]) -> list[int]:
        """Calendar years; eras are known by their marks, that of the Republic also because all are below 200."""
        marks = {mark for _, mark, _ in found} - {""}
        roc = bool(found) and (bool(marks) or all(number < 200 for *_, number in found))
        japanese = any(ERAS[mark] != ROC_OFFSET for mark in marks)
        years = []
        for at, mark, number in found:
            year = number + ERAS[mark] if mark else number + ROC_OFFSET if roc and number < 200 else number
            if (roc and not mark and number >= 200) or (japanese and not mark):
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
        if any(re.search("年度|FY", plain(at.value)) for at, *_ in found) and not (roc and not japanese):
            self.met["fiscal-years"] = "fiscal years, each taken as the calendar year that it is named for"
        return years

    def _comma(self, cells: Iterable[Cell]) -> bool:
        """Whether decimals are written with a comma."""
        if self.wishes.decimal is not None:
            return self.wishes.decimal == "comma"
        texts = [plain(cell.value) for cell in cells if isinstance(cell.value, str)]
        comma = any(_POINTED.fullmatch(text) and not _THOUSANDS.fullmatch(text) for text in texts)
        if comma:
            self.met["decimal"] = "decimals with a comma, thousands with a point"
        elif any(_THOUSANDS.fullmatch(text) for text in texts):
            self.met["separators"] = "thousands set apart by comma, space or apostrophe"
        return comma

    def _percent(self, found: Sequence[tuple[Cell, str, int, dict[str, Cell]]], columns: object) -> bool:
        """Whether rates are percents."""
        heading = next((cell for name, cell in dict(columns).values() if name == "rate"), None)  # type: ignore[call-overload]
        texts = [plain(cells["rate"].value) for *_, cells in found if "rate" in cells]
        signed = any(text.endswith("%") for text in texts) or (heading is not None and "%" in plain(heading.value))
        beyond = any(_PLAIN.fullmatch(text) and float(text) > 1.0 for text in texts)
        if signed or beyond:
            self.met["percent"] = "rates in percent" + ("" if signed else ", for some exceed 1")
        return signed or beyond

    def _number(self, cell: Cell, name: str, comma: bool) -> Decimal | None:
        """Figure of a cell; None where it is blank or faulty."""
        allowed, mend = "a number, or nothing", "write the figure alone, without marks or footnotes"
        if isinstance(cell.value, bool):
            self._cell_fault(cell, name, allowed, mend)
            return None
        text = plain(cell.value)
        if isinstance(cell.value, str) and text != cell.value.strip():
            self.met["full-width"] = "full-width signs read as narrow ones"
        if text.lower() in _BLANK:
            return None
        if name == "rate":
            text = text.removesuffix("%").strip()
        negative = text[:1] in {"△", "▲"} or (text.startswith("(") and text.endswith(")"))
        if negative:
            text = text.strip("△▲()").strip()
            self.met["negative"] = "figures in brackets or after a triangle are negative"
        if comma:
            text = text.replace(".", "").replace(",", ".")
        elif _THOUSANDS.fullmatch(text):
            text = re.sub(r"[, '\u2019\u00a0\u202f]", "", text)
        if not _PLAIN.fullmatch(text):
            self._cell_fault(cell, name, allowed, mend)
            return None
        try:
            value = Decimal(repr(cell.value)) if isinstance(cell.value, float) else Decimal(text)
        except InvalidOperation:
            self._cell_fault(cell, name, allowed, mend)
            return None
        if abs(value) >= Decimal(10) ** 18:
            self._cell_fault(cell, name, "less than 10^18", "check the figure")
            return None
        return -value if negative else value


def stated_unit(text: str) -> str | None:
    """Word of :data:`MULTIPLES` that a heading or title states, such as 億 in 收入(億元)."""
    for match in _STATED.finditer(plain(text)):
        part = next(group for group in match.groups() if group is not None)
        unit = _UNIT.search(part)
        if unit:
            return (unit[1] or unit[2]).lower()
    return None


def _holds(text: str, word: str) -> bool:
    """Whether a heading holds a word: a Latin one whole, a Chinese one anywhere."""
    if word.isascii():
        return re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text) is not None
    return word in text


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
