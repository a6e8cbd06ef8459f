"""The sourced figures the models learn from: read, checked cell by cell, held to their own accounts.

A place is a folder ``observed/<place>/`` of tidy tables; beside it stand one list of sources, the quality grades and
the units. Everything wrong is collected before anything is raised. Accounting identities are data too
(``identities.csv``); a break that the source itself has is declared in ``breaks.csv`` with its size and is reported,
never smoothed away.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.observations.accounts import check_accounts
from forecaster.observations.tables import (
    COLUMNS,
    NUMBER,
    SHAPES,
    SHARED,
    blank,
    cell_faults,
    citation_faults,
    citing_columns,
    fact_faults,
    grade_faults,
    numeric_columns,
    period_months,
    read_table,
    records,
    row_faults,
    source_list_faults,
    wide_faults,
)
from forecaster.resources import data_dir

_MOST_FAULTS = 100


@dataclass(frozen=True)
class Observations:
    """Everything that is observed of one place.

    Attributes
    ----------
    place
        Folder name, an ISO 3166 code in lower case: ``twn``, ``chn``.
    table
        One row a figure, all files together, columns ``COLUMNS`` and four more: ``n_months`` (months that the period
        spans; 0 for a date from which a rule holds and for open periods), ``error`` (relative standard deviation of
        the grade; NaN for projections), ``file`` and ``line``. ``value`` is in the row's own ``unit``, nominal unless
        the series is named real; a stock stands at the end of its period, everything else is the period's flow.
    sources, breaks, facts
        Frames: the sources that the place cites; the declared breaks, with the gap found; facts that are words.
    content_hash
        SHA-256 of the canonical content (see :func:`observation_hash`).
    """

    place: str
    table: pd.DataFrame
    sources: pd.DataFrame
    breaks: pd.DataFrame
    facts: pd.DataFrame
    content_hash: str

    def names(self) -> tuple[str, ...]:
        """Names of all series, sorted."""
        return tuple(sorted(self.table["series"].unique()))

    def series(self, name: str, basis: str | None = None, *, projections: bool = False) -> pd.DataFrame:
        """Rows of one series in order of time, contradictions side by side.

        Parameters
        ----------
        name
            Exact name, sub-key included: ``revenue``, ``spending_per_person|65+``.
        basis
            Keep only rows of this basis.
        projections
            Return the projections (grade P) instead of the observed figures.

        Raises
        ------
        ForecasterError
            When the place has no series of that name; the message gives the nearest names.
        """
        rows = self.table[self.table["series"] == name]
        if rows.empty:
            near = difflib.get_close_matches(name, self.names(), n=4, cutoff=0.4)
            hint = ", ".join(near) if near else "none is near"
            raise ForecasterError(f"{self.place} has no series {name!r}. Nearest names: {hint}")
        rows = rows[(rows["quality"] == "P") == projections]
        if basis is not None:
            rows = rows[rows["basis"] == basis]
        return rows.sort_values(["year", "period"], kind="stable").reset_index(drop=True)

    def best(self, name: str) -> pd.DataFrame:
        """One observed row a period: the best grade, then the row that stands first in its file."""
        rows = self.series(name).sort_values(["year", "period", "quality"], kind="stable")
        return rows.drop_duplicates("period").reset_index(drop=True)


def load_observations(place: str, root: Path | None = None) -> Observations:
    """Read a place's tables, check every cell and every identity, and hand them out as one frame.

    Parameters
    ----------
    place
        ``twn`` or ``chn``.
    root
        Data folder that holds ``observed/``; by default the project's own.

    Raises
    ------
    FaultyInput
        With *all* faults: wrong columns, bad encoding, full-width digits, unknown unit or grade, missing source,
        duplicate key, a value that is no number, a year that does not fit its period; and, once the cells are sound,
        an identity broken without a declaration, a declared break that is not there. Each fault names file, line,
        column, what was found and how to mend it.
    ForecasterError
        When there is no such place.
    """
    base = (root or data_dir()) / "observed"
    files = (*sorted(_folder(base, place).glob("*.csv")), *(base / name for name in SHARED))
    states = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in files if path.is_file())
    found = _load(place, base, tuple(path.name for path in files), states)
    # The caller's to change: frames that share their cells until one of them is written to.
    frames = {name: getattr(found, name).copy(deep=False) for name in ("table", "sources", "breaks", "facts")}
    return replace(found, **frames)


@lru_cache(maxsize=4)
def _load(place: str, base: Path, names: tuple[str, ...], states: tuple[tuple[int, int], ...]) -> Observations:
    """The reading itself, once for the files as they are: a forecast asks for the same figures several times."""
    folder = base / place
    faults: list[Fault] = []
    shared = {name: read_table(base / name, faults) for name in SHARED}
    _raise(faults, base)  # without the lists nothing else can be judged
    own = {path.name: read_table(path, faults) for path in sorted(folder.glob("*.csv"))}
    grade_faults(shared["grades.csv"], faults)
    errors = _grade_errors(shared["grades.csv"])
    for name in ("facts.csv", "identities.csv", "breaks.csv"):
        if name not in own:
            own[name] = blank(name)
    tables = [frame for name, frame in own.items() if name not in SHAPES]
    tidy = pd.concat(tables or [blank("tidy")], ignore_index=True)
    known = set(shared["sources.csv"]["id"])
    source_list_faults(shared["sources.csv"], faults)
    cell_faults(tidy, set(shared["units.csv"]["unit"]), set(errors), faults)
    row_faults(tidy, faults)
    for frame in (tidy, *(own[name] for name in own if name in SHAPES)):
        citation_faults(frame, known, faults)
    fact_faults(own["facts.csv"], faults)
    for name in ("projection_backtest.csv", "rate_scenarios_2020.csv"):
        if name in own:
            wide_faults(own[name], set(shared["units.csv"]["unit"]), faults)
    _raise(faults, folder)

    tidy["digits"] = [len(text.partition(".")[2]) for text in tidy["value"]]
    tidy["year"] = tidy["year"].astype(int)
    tidy["line"] = tidy["line"].astype(int)
    tidy["value"] = tidy["value"].astype(float)
    tidy["n_months"] = [period_months(text) for text in tidy["period"]]
    tidy["error"] = [errors[grade] for grade in tidy["quality"]]
    breaks = own["breaks.csv"].copy()
    breaks["gap"] = check_accounts(tidy, own["identities.csv"], breaks, faults)
    _raise(faults, folder)

    cells = (text for frame in own.values() for column in citing_columns(frame) for text in frame[column])
    cited = {part for text in cells for part in text.split("+")}
    sources = shared["sources.csv"]
    return Observations(
        place=place,
        table=tidy[[*COLUMNS, "n_months", "error", "file", "line"]],
        sources=sources[sources["id"].isin(cited)].drop(columns=["file", "line"]).reset_index(drop=True),
        breaks=breaks.drop(columns=["file", "line"]),
        facts=own["facts.csv"].drop(columns=["file", "line"]),
        content_hash=observation_hash(place, base.parent),
    )


def load_table(place: str, name: str, root: Path | None = None) -> pd.DataFrame:
    """One of the tables with columns of their own, numbers as numbers.

    Parameters
    ----------
    place, root
        As in :func:`load_observations`.
    name
        ``projection_backtest`` (a projection beside what came later) or ``rate_scenarios_2020`` (the committee's table
        of eight general rates of November 2020: amounts in TWD bn, nominal, flows of 2021; reserve at year end).

    Raises
    ------
    ForecasterError, FaultyInput
        When the place has no such table, or the table is faulty.
    """
    base = (root or data_dir()) / "observed"
    path = _folder(base, place) / f"{name}.csv"
    if path.name not in SHAPES or not path.is_file():
        raise ForecasterError(f"{place} has no table {name!r}; there are projection_backtest and rate_scenarios_2020")
    faults: list[Fault] = []
    frame = read_table(path, faults)
    wide_faults(frame, set(read_table(base / "units.csv", faults)["unit"]), faults)
    _raise(faults, path)
    numbers = {column: frame[column].astype(float) for column in numeric_columns(frame)}
    return frame.assign(**numbers).drop(columns=["file", "line"])


def list_places(root: Path | None = None) -> tuple[str, ...]:
    """Places that have observations, sorted."""
    return tuple(sorted(path.name for path in ((root or data_dir()) / "observed").iterdir() if path.is_dir()))


def list_sources(place: str | None = None, root: Path | None = None) -> pd.DataFrame:
    """Sources with ``id, title, publisher, link, date, note``: those that a place cites, or all of them."""
    if place is not None:
        return load_observations(place, root).sources
    faults: list[Fault] = []
    frame = read_table((root or data_dir()) / "observed" / "sources.csv", faults)
    _raise(faults, Path("sources.csv"))
    return frame.drop(columns=["file", "line"])


def observation_hash(place: str, root: Path | None = None) -> str:
    """SHA-256 over the cells of the place's files and of the grades: quoting and line ends do not count, order does."""
    base = (root or data_dir()) / "observed"
    digest = hashlib.sha256()
    for path in (*sorted(_folder(base, place).glob("*.csv")), base / "grades.csv"):
        digest.update(path.name.encode() + b"\x1e")
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"), newline="")):
            digest.update("\x1f".join(row).encode() + b"\x1e")
    return digest.hexdigest()


def grade_error(grade: str) -> float:
    """Relative standard deviation that a figure of this grade carries in a model (A 0.001, B 0.01, C 0.03).

    Raises
    ------
    ForecasterError
        For an unknown grade, and for P: a projection is no measurement.
    """
    errors = _shipped_grades()
    if grade not in errors:
        raise ForecasterError(f"no quality grade {grade!r}; there are {', '.join(sorted(errors))}")
    if np.isnan(errors[grade]):
        raise ForecasterError(f"grade {grade} has no measurement error: its figures are projections, not observations")
    return errors[grade]


@cache
def _shipped_grades() -> dict[str, float]:
    faults: list[Fault] = []
    frame = read_table(data_dir() / "observed" / "grades.csv", faults)
    grade_faults(frame, faults)
    _raise(faults, Path("grades.csv"))
    return _grade_errors(frame)


def _grade_errors(frame: pd.DataFrame) -> dict[str, float]:
    rows = [row for row in records(frame) if NUMBER.fullmatch(row["relative_error"] or "0")]
    return {row["grade"]: float(row["relative_error"] or "nan") for row in rows}


def _folder(base: Path, place: str) -> Path:
    places = [path.name for path in sorted(base.iterdir()) if path.is_dir()] if base.is_dir() else []
    if place not in places:
        raise ForecasterError(f"no observations of {place!r}; there are those of {', '.join(places) or 'no place'}")
    return base / place


def _raise(faults: list[Fault], subject: Path) -> None:
    if faults:
        if len(faults) > _MOST_FAULTS:
            found = f"{len(faults) - _MOST_FAULTS} more faults"
            more = Fault("the rest", found, "none", "mend these first and load again")
            faults = [*faults[:_MOST_FAULTS], more]
        raise FaultyInput("/".join(subject.parts[-3:]), faults)
