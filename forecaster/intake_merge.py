"""A further table beside the accounts that a pool holds already: a new year, or a column that stands elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from forecaster.errors import Fault, FaultyInput
from forecaster.intake import Intake
from forecaster.intake_words import NOTE, YEAR
from forecaster.pool_accounts import COLUMNS

_Rows = Mapping[int, Mapping[str, Decimal]]


def held_accounts(path: Path) -> tuple[dict[int, dict[str, Decimal]], dict[int, str], list[str]]:
    """Figures, notes and comments of a pool's ``accounts.csv``, complete or not.

    Raises
    ------
    FaultyInput
        Naming each cell that is no year or no number.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    comments = [line.lstrip("# ").rstrip() for line in lines if line.startswith("#")]
    rows: dict[int, dict[str, Decimal]] = {}
    notes: dict[int, str] = {}
    faults = []
    for cells in csv.DictReader(line for line in lines if line.strip() and not line.startswith("#")):
        try:
            year = int(cells[YEAR])
            rows[year] = {name: Decimal(text) for name in COLUMNS if (text := (cells.get(name) or "").strip())}
        except (KeyError, ValueError, TypeError, InvalidOperation):
            where = f"row of {cells.get(YEAR) or 'no year'}"
            faults.append(Fault(where, "a cell that is no number", "sound accounts", "see: forecaster pool check"))
        else:
            notes |= {year: cells[NOTE]} if cells.get(NOTE) else {}
    if faults:
        raise FaultyInput(str(path), faults)
    return rows, notes, comments


def merged(
    held: _Rows, notes: Mapping[int, str], new: Intake, *, replacing: bool = False
) -> tuple[Intake, tuple[str, ...]]:
    """What is held, with the new table's years and what fills an empty cell; and what was replaced, in words.

    Parameters
    ----------
    replacing
        Whether a new figure takes the place of one that differs.

    Raises
    ------
    FaultyInput
        Naming each figure that differs from the one held, unless ``replacing``.
    """
    faults, replaced = [], []
    rows = {year: dict(figures) for year, figures in held.items()}
    for year, figures in new.rows.items():
        for name, figure in figures.items():
            stands = rows.setdefault(year, {}).get(name)
            if stands is not None and stands != figure:
                mend = "correct the one that is wrong; if the new ones are right, all of them: --force"
                faults.append(Fault(f"{name} of {year}", f"{figure:f}", f"{stands:f}, which the pool holds", mend))
                replaced.append(f"replaced: {name} of {year}, {stands:f} before")
            rows[year][name] = figure
    if faults and not replacing:
        raise FaultyInput("the new table beside accounts.csv", faults)
    return replace(new, rows=rows, notes={**notes, **new.notes}), tuple(replaced)
