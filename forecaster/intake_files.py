"""Files as people have them, read into cells that know where they stood: CSV in several encodings, and XLSX.

What is dangerous or no table is refused in one clear message before any library unpacks it.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.intake_sheets import Looks, looks_of

LARGEST_FILE = 10_000_000  # bytes, as it lies on disk
LARGEST_UNPACKED = 60_000_000  # bytes, all parts of a workbook
MOST_PARTS = 500
MOST_ROWS, MOST_COLUMNS = 5_000, 500
# Legacy encodings by the name that Python's decoder has; the last decodes nearly any bytes.
_LEGACY = {
    "big5": "cp950", "gb18030": "gb18030", "shift_jis": "cp932", "euc-jp": "euc_jp", "euc-kr": "cp949",
    "windows-1250": "cp1250", "windows-1252": "cp1252",
}  # fmt: skip
ENCODINGS = ("utf-8", "utf-16", *_LEGACY)
# Words of yearly accounts by which one legacy encoding is told from the others; most decode nearly any bytes.
_TELLING = (
    "年", "收入", "支出", "費", "费", "餘", "余", "合計", "合计", "單位", "单位", "億", "亿", "萬", "万", "元",
    "収入", "単位", "残高", "保険", "円", "연도", "수입", "지출", "적립금", "보험", "억", "단위",
    "Rücklage", "Überschuss", "für", "année", "dépenses", "réserve", "€",
    "zł", "ogółem", "Kč", "příjmy", "výdaje", "kiadás",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A value and where it stood, counted from one; ``value`` is text, a number, or None."""

    row: int
    column: int
    value: Any


@dataclass(frozen=True)
class Grid:
    """A sheet.

    Attributes
    ----------
    file, sheet
        Name of the file, and of its sheet (empty for CSV).
    rows
        Cells that are not empty, row by row.
    encoding
        In which the text was read.
    guessed
        Whether that was concluded from the text and not stated or marked in the file.
    sheets
        Names of all sheets.
    broken
        Row and column of cells of a workbook that hold an error, or a formula without its value, to what it is.
    hidden
        Numbers of its rows that are hidden.
    scaled
        Row and column of cells that are shown in thousands, millions or more of what they hold.
    """

    file: str
    sheet: str
    rows: tuple[tuple[Cell, ...], ...]
    encoding: str = ""
    guessed: bool = False
    sheets: tuple[str, ...] = ()
    broken: Mapping[tuple[int, int], str] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()
    scaled: frozenset[tuple[int, int]] = frozenset()

    def place(self, cell: Cell) -> str:
        """Where a cell stands, for messages."""
        return f"{self.sheet_word}row {cell.row}, column {column_letters(cell.column)}"

    @property
    def sheet_word(self) -> str:
        """The sheet, for messages; nothing for CSV."""
        return f"sheet {self.sheet!r}, " if self.sheet else ""

    @property
    def turned(self) -> Grid:
        """Rows for columns; every cell still knows where it stood."""
        columns: dict[int, list[Cell]] = {}
        for row in self.rows:
            for cell in row:
                columns.setdefault(cell.column, []).append(cell)
        rows = tuple(tuple(columns[number]) for number in sorted(columns))
        return replace(self, rows=rows)


def between_rows(grid: Grid, first: int, last: int) -> Grid:
    """The rows of a sheet with these numbers, first and last included.

    Raises
    ------
    FaultyInput
        When nothing stands there.
    """
    rows = tuple(row for row in grid.rows if first <= row[0].row <= last)
    if not rows:
        found = f"no cell with anything in it in rows {first} to {last}"
        allowed = f"rows {grid.rows[0][0].row} to {grid.rows[-1][0].row}"
        raise FaultyInput(grid.file, [Fault(f"{grid.sheet_word}--rows", found, allowed, "correct --rows")])
    return replace(grid, rows=rows)


def column_letters(number: int) -> str:
    """1 is A, 27 is AA."""
    text = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


def read_grid(path: Path, sheet: str | None = None, encoding: str | None = None) -> Grid:
    """Read a CSV or XLSX file.

    Parameters
    ----------
    sheet
        Of a workbook; needed where it has several.
    encoding
        Of a CSV file, one of :data:`ENCODINGS`; where it is left out it is UTF-8, what the file's mark says, or
        concluded from the words and then marked as guessed.

    Raises
    ------
    FaultyInput
        When it is too large, no table, packed like a bomb, or unreadable; naming the rule.
    ForecasterError
        When it cannot be opened.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LARGEST_FILE else b""
    except OSError as error:
        raise ForecasterError(f"cannot read {path}: {error.strerror}") from None
    if size > LARGEST_FILE:
        found = f"{size / 1e6:,.1f} MB"
        raise _refused(path, found, f"at most {LARGEST_FILE / 1e6:g} MB", "keep only the sheet with the accounts")
    if content[:4] == b"PK\x03\x04":
        return _read_workbook(path, content, sheet)
    if content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise _refused(path, "an old Excel file, or one with a password", "XLSX or CSV", "save it as XLSX, unprotected")
    if sheet is not None:
        raise ForecasterError(f"{path}: a CSV file has no sheets; leave --sheet out")
    return _read_csv(path, content, encoding)


def _refused(path: Path, found: str, allowed: str, mend: str, where: str = "the file") -> FaultyInput:
    return FaultyInput(str(path), [Fault(where, found, allowed, mend)])


# --- CSV --------------------------------------------------------------------------------------------------------------
def _read_csv(path: Path, content: bytes, encoding: str | None) -> Grid:
    text, used, guessed = _decoded(path, content, encoding)
    if "\0" in text:
        raise _refused(path, "bytes of value zero", "a table as text", "save it as CSV UTF-8 or XLSX")
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text[:5_000]), strict=True)
    while True:
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            where = f"row {reader.line_num}"
            raise _refused(path, str(error), "CSV with quotes in pairs", "correct the row", where) from None
        if values and values[0].lstrip().startswith("#"):
            continue
        rows.append(_row(path, reader.line_num, values))
    return Grid(path.name, "", _limited(path, rows), used, guessed)


def _delimiter(sample: str) -> str:
    """What parts the cells: a tab, semicolon or stroke on half of the lines, for commas also stand within figures."""
    lines = [line for line in sample.splitlines() if line.strip()]
    for mark in "\t;|":
        if 2 * sum(mark in line for line in lines) >= len(lines) > 0:
            return mark
    return max(",;\t|", key=lambda mark: (sample.count(mark), mark == ","))


def _decoded(path: Path, content: bytes, encoding: str | None) -> tuple[str, str, bool]:
    if encoding is not None:
        if encoding not in ENCODINGS:
            raise ForecasterError(f"--encoding {encoding}: there are {', '.join(ENCODINGS)}")
        name = {**_LEGACY, "utf-8": "utf-8-sig"}.get(encoding, encoding)
        try:
            return content.decode(name), encoding, False
        except UnicodeDecodeError as error:
            found = f"bytes at {error.start} that are not {encoding}"
            raise _refused(path, found, encoding, f"name another encoding: {', '.join(ENCODINGS)}") from None
    for mark, name, label in (
        (b"\xef\xbb\xbf", "utf-8-sig", "utf-8"),
        (b"\xff\xfe", "utf-16", "utf-16"),
        (b"\xfe\xff", "utf-16", "utf-16"),
    ):
        if content.startswith(mark):
            try:
                return content.decode(name), label, False
            except UnicodeDecodeError as error:
                raise _refused(path, f"{error.reason} at byte {error.start}", label, "save it again") from None
    try:
        return content.decode("utf-8"), "utf-8", False
    except UnicodeDecodeError:
        pass
    texts: dict[str, str] = {}
    for legacy, name in _LEGACY.items():
        try:
            texts[legacy] = content.decode(name)
        except UnicodeDecodeError:
            continue
    if not texts:
        words = "bytes of no encoding that is known here"
        raise _refused(path, words, ", ".join(ENCODINGS), "save it as CSV UTF-8")
    told = {name: sum(text.count(word) for word in _TELLING) for name, text in texts.items()}
    likely = max(told, key=lambda name: (told[name], name == "windows-1252"))
    return texts[likely], likely, True


# --- XLSX -------------------------------------------------------------------------------------------------------------
def _read_workbook(path: Path, content: bytes, sheet: str | None) -> Grid:
    from python_calamine import load_workbook

    _guard(path, content)
    try:
        book = load_workbook(io.BytesIO(content))
        names = tuple(book.sheet_names)
        chosen = _chosen_sheet(path, names, sheet)
        found = book.get_sheet_by_name(chosen)
        if found.total_height > MOST_ROWS or found.total_width > MOST_COLUMNS:
            words = f"{found.total_height:,} rows and {found.total_width:,} columns"
            raise _refused(path, words, _LIMITS, "keep only the table of the accounts", f"sheet {chosen!r}")
        values = found.to_python(skip_empty_area=False)
        looks = looks_of(content, chosen)
    except ForecasterError:
        raise
    except BaseException as error:  # the reader's own panics are no ordinary exceptions
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise _refused(path, f"a workbook that cannot be read ({reason})", "XLSX", "save it again as XLSX") from None
    _as_shown(values, looks)
    rows = [_row(path, i, cells) for i, cells in enumerate(values, 1)]
    return Grid(
        path.name, chosen, _limited(path, rows), sheets=names, broken=looks.broken, hidden=looks.hidden,
        scaled=looks.scaled,
    )  # fmt: skip


def _as_shown(values: list[list[Any]], looks: Looks) -> None:
    """Write shares that the sheet shows as percents, errors, and formulas without values, as a reader sees them."""

    def there(at: tuple[int, int]) -> bool:
        return at[0] <= len(values) and at[1] <= len(values[at[0] - 1])

    for row, column in filter(there, looks.percent):
        value = values[row - 1][column - 1]
        if isinstance(value, float):
            values[row - 1][column - 1] = f"{Decimal(repr(value)) * 100:f}%"
    for row, column in filter(there, looks.broken):
        values[row - 1][column - 1] = looks.broken[row, column]


def _guard(path: Path, content: bytes) -> None:
    """Refuse archive and entity bombs: every part is unpacked once, counted, and nothing is kept."""
    mend = "save the accounts alone as XLSX or CSV"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS:
                raise _refused(path, f"{len(parts):,} parts", f"at most {MOST_PARTS}", mend)
            if sum(part.file_size for part in parts) > LARGEST_UNPACKED:
                raise _refused(path, "parts that unpack to too much", f"{LARGEST_UNPACKED / 1e6:g} MB in all", mend)
            left = LARGEST_UNPACKED
            for part in parts:
                with archive.open(part) as stream:
                    head = stream.read(4096)
                    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                        raise _refused(path, f"entities declared in {part.filename[:80]!r}", "none", mend)
                    left -= len(head)
                    while left >= 0 and (piece := stream.read(1 << 20)):
                        left -= len(piece)
                if left < 0:
                    raise _refused(path, "parts that unpack to too much", f"{LARGEST_UNPACKED / 1e6:g} MB in all", mend)
            if parts and "xl/workbook.xml" not in archive.namelist():
                words = "an archive without a workbook of Excel's own kind, such as ODS, XLSB or a ZIP"
                raise _refused(path, words, "XLSX or CSV", "save it as XLSX")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise _refused(
            path, f"a damaged or protected archive ({reason})", "XLSX", "save it again, unprotected"
        ) from None
    except Exception as error:
        if isinstance(error, ForecasterError):
            raise
        # Damaged compressed data show as many kinds of error.
        words = f"a damaged archive ({type(error).__name__})"
        raise _refused(path, words, "XLSX", "save it again as XLSX") from None


def _chosen_sheet(path: Path, names: Sequence[str], sheet: str | None) -> str:
    shown = ", ".join(map(repr, names[:20]))
    if not names:
        raise _refused(path, "no sheet", "one with the accounts", "add one")
    if sheet is not None:
        if sheet not in names:
            raise _refused(path, f"no sheet {sheet!r}", shown, "correct --sheet")
        return sheet
    if "accounts" in names:
        return "accounts"
    if len(names) > 1:
        raise _refused(path, f"{len(names)} sheets: {shown}", "one, or a named one", "say which: --sheet NAME")
    return names[0]


_LIMITS = f"at most {MOST_ROWS:,} rows and {MOST_COLUMNS} columns"


def _row(path: Path, number: int, values: Sequence[Any]) -> tuple[Cell, ...]:
    if len(values) > MOST_COLUMNS:
        raise _refused(
            path, f"{len(values):,} columns", _LIMITS, "keep only the table of the accounts", f"row {number}"
        )
    return tuple(_cells(number, values))


def _cells(number: int, values: Sequence[Any]) -> Iterator[Cell]:
    for column, value in enumerate(values, 1):
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        yield Cell(number, column, value)


def _limited(path: Path, rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    full = tuple(row for row in rows if row)
    if len(full) > MOST_ROWS:
        raise _refused(path, f"{len(full):,} rows", _LIMITS, "keep only the table of the accounts")
    if not full:
        raise _refused(path, "no cell with anything in it", "a table of yearly accounts", "check the file")
    return full
