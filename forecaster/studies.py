r"""Effects of reforms that published studies report, held against what the projection says of the same reform.

Draw by draw, with *F* the reserve, *E* income and *C* outgo without the reform and with it (primes):

* ``postponed``: :math:`T' - T`, *T* the time at which the reserve falls below zero, straight between year ends; a
  reserve that lasts to the horizon counts as gone there, so that the figure is a least one,
* ``ratio_postponed``: years until :math:`C'/E'` reaches the :math:`C/E` of the first year,
* ``reserve``: :math:`F'_t - F_t`, in thousands of the pool's unit of money,
* ``deficit_cut``: :math:`1 - (E' - C')_t / (E - C)_t`, over the draws in which the year ends in deficit without it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecaster.basis import Basis, read_basis
from forecaster.engine import FundProjection, project
from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.policy import Policy, Reform
from forecaster.resources import data_dir
from forecaster.schemes import Scheme, pydantic_fault

Array = np.ndarray
# How far ours may lie from the published figure or range and still be called near.
TOLERANCE = 0.3
# Last year of our projections that are held against the studies'.
HORIZON = 2065
UNITS = dict.fromkeys(("postponed", "deficit_postponed", "ratio_postponed"), "years")
UNITS |= {"deficit_cut": "share", "reserve": "tn"}


class Study(BaseModel):
    """A published effect with the reform it is about; the keys are explained in ``data/studies/cn_uebmi.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    label: str
    measure: Literal["postponed", "deficit_postponed", "ratio_postponed", "reserve", "deficit_cut"]
    at: int | None = None
    low: float
    high: float
    before: list[str]
    after: list[str]
    reform_after: str = ""
    premise: list[str] = []
    premise_why: str = ""
    source: str = Field(min_length=1)
    reason: str = Field(min_length=1)

    @property
    def has_lever(self) -> bool:
        """Whether a reform of ours tells the change."""
        return bool(self.before or self.after or self.reform_after)


@dataclass(frozen=True)
class Ours:
    """Middle and ends of the middle 80% of the draws, in the study's unit."""

    middle: float
    low: float
    high: float

    def near(self, study: Study) -> bool:
        """Whether the middle lies within the published range, or within :data:`TOLERANCE` of an end of it.

        Of years, half a year more is taken for the same.
        """
        slack = 0.5 if UNITS[study.measure] == "years" else 0.0
        low, high = study.low * (1.0 - TOLERANCE) - slack, study.high * (1.0 + TOLERANCE) + slack
        return low <= self.middle <= high


@dataclass(frozen=True)
class HeldStudy:
    """A published effect beside ours, and beside ours under the study's premise; None where no lever tells it."""

    study: Study
    ours: Ours | None
    on_premise: Ours | None


def has_studies(scheme: Scheme) -> bool:
    """Whether effects that studies report are held for a scheme."""
    return _path(scheme).is_file()


def _path(scheme: Scheme) -> Path:
    return data_dir() / "studies" / f"{scheme.id}.toml"


def published_studies(scheme: Scheme) -> tuple[Study, ...]:
    """Effects that studies of a scheme's fund report, from ``data/studies/<scheme>.toml``.

    Raises
    ------
    FaultyInput
        With every fault of the file.
    """
    path = _path(scheme)
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    found: list[Study] = []
    faults: list[Fault] = []
    for i, entry in enumerate(raw.get("studies", [])):
        try:
            study = Study.model_validate(entry)
        except ValidationError as error:
            faults += [pydantic_fault(item, "the head of the file") for item in error.errors()]
            continue
        where = f"studies[{i}]"
        if (study.measure in {"reserve", "deficit_cut"}) != (study.at is not None):
            allowed = "a year, with measures 'reserve' and 'deficit_cut' only"
            faults.append(Fault(f"{where}.at", repr(study.at), allowed, "correct it"))
        if bool(study.premise) != bool(study.premise_why):
            faults.append(Fault(f"{where}.premise", "one of two", "premise and premise_why", "say what it is for"))
        found.append(study)
    if faults:
        raise FaultyInput(f"studies/{path.name}", faults)
    return tuple(found)


class StudyProjection(BaseModel):
    """A study's whole projection: a shipped basis and the years that the study prints."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    basis: str
    label: str
    years: list[int]
    source: str


@dataclass(frozen=True)
class BesideStudy:
    """A line of a study's projection in a year beside ours; money of the year.

    Attributes
    ----------
    line
        ``income`` (contributions and subsidies), ``outgo`` or ``reserve`` (at the year's end).
    ours
        Middle and ends of the middle 80%; of years that are over, the refit's at the end of the year before the study's
        first one, else today's. None where neither reaches the year.
    came
        What came; None where it is not known yet.
    """

    year: int
    line: str
    study: float
    ours: Ours | None
    came: float | None


def study_projection(scheme: Scheme) -> StudyProjection | None:
    """The projection of a study that is held whole for a scheme, if there is one."""
    raw = tomllib.loads(_path(scheme).read_text(encoding="utf-8"))
    return StudyProjection.model_validate(raw["projection"]) if "projection" in raw else None


def beside_study(
    told: StudyProjection, basis: Basis, law: Policy, past: Sequence[Mapping[str, Any]]
) -> tuple[BesideStudy, ...]:
    """A study's projection year by year beside ours and what came.

    Parameters
    ----------
    past
        Rows of the years that are over, as the record of our backtest has them: ``target``, ``line``, ``ours``,
        ``q10``, ``q90`` and ``later``.
    """
    theirs, ours = project(read_basis(told.basis), law.reform(Reform())), project(basis, law)
    over = {(int(row["target"]), str(row["line"])): row for row in past}
    found = []
    for year in told.years:
        for line, of_study, of_ours in (
            ("income", theirs.income["general_premium"], ours.total_income),
            ("outgo", theirs.outgo, ours.outgo),
            ("reserve", theirs.closing, ours.closing),
        ):
            row, mine = over.get((year, line)), None
            if row is not None:
                mine = Ours(float(row["ours"]), float(row["q10"]), float(row["q90"]))
            elif year in ours.years:
                values = np.quantile(of_ours[int(year - ours.years[0])], (0.5, 0.1, 0.9))
                mine = Ours(*(float(value) for value in values))
            printed = float(of_study[int(year - theirs.years[0]), 0])
            found.append(BesideStudy(year, line, printed, mine, None if row is None else float(row["later"])))
    return tuple(found)


def hold_study(basis: Basis, law: Policy, study: Study) -> HeldStudy:
    """What the projection says of the reform of a study.

    Raises
    ------
    ForecasterError
        When the basis does not reach the study's year.
    """
    if not study.has_lever:
        return HeldStudy(study, None, None)
    if study.at is not None and study.at not in basis.years:
        raise ForecasterError(
            f"{study.id} is about {study.at}; the basis ends in {basis.years[-1]}: use a later horizon"
        )
    filed = Reform.read(data_dir() / "reforms" / f"{study.reform_after}.toml").changes if study.reform_after else ()

    def ours(premise: Sequence[str]) -> Ours:
        sides = [Reform.parse([*premise, *side]).changes for side in (study.before, study.after)]
        without, with_it = (project(basis, law.reform(Reform(changes))) for changes in (sides[0], (*sides[1], *filed)))
        middle, low, high = np.quantile(_measured(without, with_it, study), (0.5, 0.1, 0.9))
        return Ours(float(middle), float(low), float(high))

    return HeldStudy(study, ours(()), ours(study.premise) if study.premise else None)


def _measured(without: FundProjection, with_it: FundProjection, study: Study) -> Array:
    """The study's measure, draw by draw."""
    if study.measure == "postponed":
        return _gone_at(with_it) - _gone_at(without)
    if study.measure == "deficit_postponed":
        first, later = (_first_deficit(result) for result in (without, with_it))
        return later - first
    if study.measure == "ratio_postponed":
        reached = with_it.outgo / with_it.total_income >= without.outgo[0] / without.total_income[0]
        return np.where(reached.any(axis=0), reached.argmax(axis=0), len(reached)).astype(float)
    t = int(np.flatnonzero(without.years == study.at)[0])
    if study.measure == "reserve":
        return (with_it.closing[t] - without.closing[t]) / 1000.0
    short = without.balance[t] < 0.0
    cut: Array = 1.0 - with_it.balance[t, short] / without.balance[t, short]
    return cut


def _first_deficit(result: FundProjection) -> Array:
    """Years until the first one in which outgo exceeds income, ``(draw,)``; the horizon's end at most."""
    short = result.balance < 0.0
    return np.where(short.any(axis=0), short.argmax(axis=0), len(short)).astype(float)


def _gone_at(result: FundProjection) -> Array:
    """Time at which the reserve falls below zero, calendar years with parts, ``(draw,)``; the horizon's end at most."""
    path = np.vstack([result.opening[:1], result.closing])
    below = path < 0.0
    t = np.where(below.any(axis=0), below.argmax(axis=0), len(path) - 1)
    draws = np.arange(path.shape[1])
    before, after = path[np.maximum(t - 1, 0), draws], path[t, draws]
    part = np.where((t > 0) & (after < 0.0), before / np.where(before > after, before - after, 1.0), 1.0)
    return float(result.years[0]) + np.maximum(t - 1, 0) + part
