"""What a workbook's sheet shows beside its values: errors, formulas never computed, hidden rows, formats that scale.

The reader of values answers nothing for an error and for a formula without a stored value, and a figure for what is
shown in another unit; whoever looks at the sheet sees something else. Names of parts and attributes: ECMA-376, part 1,
18.2 (workbook), 18.3 (worksheets), 18.8.30 (number formats).
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

_ANY = "{*}"  # the strict and the usual form of a workbook differ in nothing but the names' addresses
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
# Text within a format, and codes in brackets or behind a sign, are no digits.
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_SCALED = re.compile(r"[0#?],+(?![0#?,])")
# Formats that every workbook knows without naming them: 0% and 0.00%.
_PERCENT_FORMATS = {9, 10}


@dataclass(frozen=True)
class Looks:
    """Cells by row and column, counted from one.

    Attributes
    ----------
    broken
        Cells with an error, or with a formula without its value, to what stands there.
    hidden
        Numbers of hidden rows.
    scaled
        Cells whose format shows thousands, millions or more of what they hold.
    percent
        Cells whose format shows a share in percent.
    """

    broken: Mapping[tuple[int, int], str]
    hidden: frozenset[int]
    scaled: frozenset[tuple[int, int]]
    percent: frozenset[tuple[int, int]]


def looks_of(content: bytes, sheet: str) -> Looks:
    """How a sheet of a workbook looks; the workbook has passed the guard of :mod:`forecaster.intake_files`.

    Raises
    ------
    KeyError, ElementTree.ParseError
        When the workbook is none.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        part = _part(archive, sheet)
        scaled, percent = _formats(archive)
        with archive.open(part) as stream:
            return _looks(ElementTree.parse(stream).getroot(), scaled, percent)


def _looks(root: ElementTree.Element, scaled: Sequence[bool], percent: Sequence[bool]) -> Looks:
    broken: dict[tuple[int, int], str] = {}
    hidden, scaled_cells, percent_cells = set(), set(), set()
    for row in root.iterfind(f".//{_ANY}row"):
        if row.get("hidden") in {"1", "true"} and row.get("r"):
            hidden.add(int(row.get("r", "0")))
        for cell in row.iterfind(f".//{_ANY}c"):
            at = _place(cell.get("r", ""))
            if at is None:
                continue
            value, formula = cell.findtext(f"{_ANY}v"), cell.find(f"{_ANY}f")
            if cell.get("t") == "e":
                broken[at] = value or "#ERROR"
            elif formula is not None and not value and cell.get("t") != "str":
                broken[at] = f"={formula.text or '...'}"
            style = int(cell.get("s", "0"))
            if value is not None and cell.get("t", "n") == "n" and style < len(scaled):
                scaled_cells |= {at} if scaled[style] else set()
                percent_cells |= {at} if percent[style] else set()
    return Looks(broken, frozenset(hidden), frozenset(scaled_cells), frozenset(percent_cells))


def _place(reference: str) -> tuple[int, int] | None:
    """Row and column of B3."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return None
    column = 0
    for letter in found[1]:
        column = 26 * column + ord(letter) - 64
    return int(found[2]), column


def _part(archive: zipfile.ZipFile, sheet: str) -> str:
    """Name of the part that holds a sheet; KeyError where there is none."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {node.get("Id"): node.get("Target", "") for node in links}
    ids = {
        node.get("name"): value
        for node in book.iterfind(f".//{_ANY}sheet")
        for key, value in node.items()
        if key[-3:] == "}id"
    }
    target = targets[ids[sheet]]
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")


def _formats(archive: zipfile.ZipFile) -> tuple[list[bool], list[bool]]:
    """Of every style of the workbook whether its format scales, and whether it shows percents."""
    if "xl/styles.xml" not in archive.namelist():
        return [], []
    root = ElementTree.fromstring(archive.read("xl/styles.xml"))
    codes = {
        int(node.get("numFmtId", "0")): _QUOTED.sub("", node.get("formatCode", "")).split(";")[0]
        for node in root.iterfind(f".//{_ANY}numFmt")
    }
    styles = root.find(f"{_ANY}cellXfs")
    used = [int(node.get("numFmtId", "0")) for node in styles] if styles is not None else []
    scaled = [_SCALED.search(codes.get(number, "")) is not None for number in used]
    return scaled, [number in _PERCENT_FORMATS or "%" in codes.get(number, "") for number in used]
