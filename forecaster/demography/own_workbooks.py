"""Workbooks on a country's people, brought to the columns of the CSV files: the UN's own layout, or one's own tables.

The UN lays its workbooks out so: a sheet of the estimates and one or more of each variant ("Estimates", "Medium
variant", "Medium 2022-2049"), titles above the table, one row with the headings, then a row for each place and year,
the ages across (people, fertility) or down (life tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecaster.demography.own_kinds import KINDS, Kind, kind_of
from forecaster.errors import ForecasterError

_CODE, _NAME, _YEAR = "ISO3 Alpha-code", "Region, subregion, country or area *", "Year"
_AGE, _DEATH_RATE = "Age (x)", "Central death rate m(x,n)"
_SEX_RATIO = "Sex Ratio at Birth (males per 100 female births)"
_SHEETS = ("estimates", "medium")
# The headings stand in row 17 of every revision so far.
_ROWS_ABOVE = 40
_PEOPLE, _LIFE_TABLE, _FERTILITY, _INDICATORS = KINDS[:4]
_PEOPLE_WORDS = re.compile(r"population[ _](by[ _])?single[ _]age")

Columns = dict[str, NDArray[Any]]


def read_workbook(path: Path, place: str) -> tuple[Kind, Columns]:
    """Kind of a workbook and its columns, named as in the UN's CSV files or one's own.

    Parameters
    ----------
    path
        XLSX file: of the UN one of ``POP_F01_2``, ``POP_F01_3`` (people by single age of one sex, 1 July, thousands),
        ``MORT_F06_2``, ``MORT_F06_3`` (life tables by single age of one sex), ``FERT_F01`` (births by single age per
        1,000 women), ``GEN_F01`` (indicators, of which the sex ratio at birth is read); of one's own a sheet that
        begins with the row of headings.
    place
        ISO 3166 three-letter code.

    Raises
    ------
    ForecasterError
        When it cannot be read, is of no known kind, holds both sexes together or nothing of the country.
    """
    parts: list[tuple[Kind, Columns]] = []
    first: list[str] = []
    for name, rows in _sheets(path):
        above, headings = _to_headings(rows)
        if headings is None:
            first = first or [str(cell) for cell in above[0]] if above else first
            continue
        if _CODE not in headings:
            kind = kind_of(headings)
            parts.append((kind, _as_csv(kind, headings, rows, place)))
        elif name.lower().startswith(_SHEETS):
            # The titles call the sex and the subject by name, as the file's own name does.
            words = " ".join([path.name, *(str(cell) for row in above for cell in row if cell != "")]).lower()
            parts.append(_of_the_un(headings, rows, place, words))
    if not parts:
        kind_of(first)  # tells which columns there should be
    kind = parts[0][0]
    if any(other != kind for other, _ in parts):
        raise ForecasterError("its sheets hold different tables; save each as a file")
    return kind, {key: np.concatenate([columns[key] for _, columns in parts]) for key in parts[0][1]}


def _sheets(path: Path) -> Iterator[tuple[str, Iterator[list[Any]]]]:
    """Every sheet's name and rows."""
    from python_calamine import load_workbook

    if not path.is_file():
        raise ForecasterError("there is no such file")
    try:
        with load_workbook(str(path)) as book:
            for name in book.sheet_names:
                yield name, book.get_sheet_by_name(name).iter_rows()
    except BaseException as error:  # the reader's own panics are no ordinary exceptions
        if isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit | MemoryError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ForecasterError(f"it cannot be read as a workbook: {reason}") from None


def _to_headings(rows: Iterator[list[Any]]) -> tuple[list[list[Any]], list[str] | None]:
    """Rows above the headings and the headings, ages as text; the rows stand at the first one of figures then."""
    above: list[list[Any]] = []
    for row in rows:
        titles = [_title(cell) for cell in row]
        if _CODE in titles or any(set(kind.columns) <= set(titles) for kind in KINDS):
            return above, titles
        above.append(row)
        if len(above) == _ROWS_ABOVE:
            break
    return above, None


def _title(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return " ".join(str(cell).split())


def _of_the_un(headings: Sequence[str], rows: Iterator[list[Any]], place: str, words: str) -> tuple[Kind, Columns]:
    """One sheet of the UN's, only the country's rows."""
    at = {title: i for i, title in reversed(list(enumerate(headings)))}
    if missing := [title for title in (_YEAR, _NAME) if title not in at]:
        raise ForecasterError(
            f"it lacks the column {missing[0]!r} of the UN's workbooks; keep the heading row as downloaded, or give a "
            "table of your own (docs/pools.md)"
        )
    code = at[_CODE]
    own = [row for row in rows if row[code] == place]
    years = np.array([_number(row[at[_YEAR]]) for row in own])
    ages = [title for title in headings if title.removesuffix("+").isdigit()]
    keys = {"Location": np.array([str(row[at[_NAME]]) for row in own], dtype=object)}
    if _SEX_RATIO in at:
        return _INDICATORS, keys | {"Time": years, "SRB": _column(own, at[_SEX_RATIO])}
    if _DEATH_RATE in at and _AGE in at:
        table = {"Time": years, "AgeGrpStart": _column(own, at[_AGE]), "mx": _column(own, at[_DEATH_RATE])}
        return _LIFE_TABLE, keys | table | {"Sex": np.full(len(own), _sex(words), dtype=object)}
    long = {
        "Location": np.repeat(keys["Location"], len(ages)),
        "Time": np.repeat(years, len(ages)),
        "AgeGrpStart": np.tile([float(title.removesuffix("+")) for title in ages], len(own)),
    }
    figures = np.array([[_number(row[at[title]]) for title in ages] for row in own]).ravel()
    if "fertility" in words and "rate" in words and "0" not in ages and ages:
        return _FERTILITY, long | {"ASFR": figures}
    if _PEOPLE_WORDS.search(words) and "0" in ages:
        nobody = np.full(figures.shape, np.nan)
        men = _sex(words) == "Male"
        return _PEOPLE, long | {"PopMale": figures if men else nobody, "PopFemale": nobody if men else figures}
    raise ForecasterError(
        "a workbook of the UN that is not needed: give people (POP_F01_2, POP_F01_3), life tables (MORT_F06_2, "
        "MORT_F06_3), fertility rates (FERT_F01) by single age, and the indicators (GEN_F01)"
    )


def _sex(words: str) -> str:
    if "female" in words:
        return "Female"
    if "both" in words or "male" not in words:
        raise ForecasterError("both sexes together: give the files of men and of women")
    return "Male"


def _as_csv(kind: Kind, headings: Sequence[str], rows: Iterator[list[Any]], place: str) -> Columns:
    """A table with the columns of a CSV file, without empty rows and other countries and variants."""
    at = {title: i for i, title in reversed(list(enumerate(headings)))}
    held = [row for row in rows if any(cell != "" for cell in row)]
    if kind.many:
        held = [row for row in held if row[at["ISO3_code"]] == place and row[at["Variant"]] == "Medium"]
    texts = {key: np.array([str(row[at[key]]) for row in held], dtype=object) for key in kind.texts}
    return {**texts, **{key: _column(held, at[key]) for key in kind.numbers}}


def _column(rows: Sequence[Sequence[Any]], at: int) -> NDArray[np.float64]:
    return np.array([_number(row[at]) for row in rows], dtype=np.float64)


def _number(cell: Any) -> float:
    """A figure; an empty cell and the UN's three dots are none."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return float(cell)
    text = str(cell).strip()
    if text in {"", "...", "…"}:
        return float("nan")
    try:
        return float(text.replace(" ", ""))
    except ValueError:
        raise ForecasterError(f"{text[:40]!r} is no figure") from None
