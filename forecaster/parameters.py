"""Dated, sourced values of the law: the smallest piece of a scheme."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Status = Literal["enacted", "proposed", "assumed", "projected"]


class DatedValue(BaseModel):
    """A value that holds from a day on, with the source that says so.

    ``proposed`` values are kept for information and never enter a path; a reform brings them in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    start: dt.date = Field(alias="from")
    value: float | str
    source: str
    status: Status
    note: str = ""


class Parameter(BaseModel):
    """One number or choice of the law over time.

    Parameters
    ----------
    unit
        ``share`` (0.0517, never 5.17), ``persons``, ``TWD``, ``TWD per month``, ``TWD bn per year``, ``CNY``,
        ``CNY per person-year``, ``months``, ``days``, ``years`` (of age or of contributing), ``times`` or ``choice``.
    bounds
        Lowest and highest admissible value, both included; absent for a choice.
    bounds_source
        Where the bounds come from: an article of the law, or ``assumed`` with the reason.
    choices
        Admissible words when ``unit`` is ``choice``.
    lever
        Whether the dashboard offers it.
    tied_to
        Name of the parameter in whose proportion this one moves by law.
    interpolated
        Whether values between two dates lie on a straight line (used where only the end points are published).
    acts_with
        Parameters without a change of one of which this one changes nothing.
    rests_on
        Further parameters on whose values its effect rests, which move something by themselves.
    not_read
        Why no projection reads it, where none does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str
    unit: Literal[
        "share", "persons", "TWD", "TWD per month", "TWD bn per year", "CNY", "CNY per person-year", "months", "days",
        "years", "times", "choice",
    ]  # fmt: skip
    bounds: tuple[float, float] | None = None
    bounds_source: str = ""
    choices: tuple[str, ...] = ()
    lever: bool = False
    tied_to: str | None = None
    article: str = ""
    interpolated: bool = False
    acts_with: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()
    not_read: str = ""
    values: tuple[DatedValue, ...] = Field(min_length=1)

    @property
    def why_idle(self) -> str:
        """Why the parameter moves nothing by itself, in words; empty where nothing says so."""
        if self.not_read:
            return f"no projection reads it: {self.not_read}"
        if self.acts_with:
            return f"it acts only together with {' or '.join(self.acts_with)}"
        return ""

    def in_force(self) -> tuple[tuple[dt.date, float], ...]:
        """Dated numbers that count in a path, oldest first (proposed ones left out)."""
        return tuple((v.start, float(v.value)) for v in self.values if v.status != "proposed")


def yearly_means(
    dated: tuple[tuple[dt.date, float], ...], years: np.ndarray, *, interpolated: bool = False
) -> np.ndarray:
    """Mean of a step function over each calendar year, weighted by days.

    Parameters
    ----------
    dated
        Days and the value that holds from each of them, oldest first.
    years
        Calendar years, shape ``(year,)``.
    interpolated
        Join the dated values by straight lines; each year then takes the value at 1 July.

    Returns
    -------
    numpy.ndarray
        Shape ``(year,)``. A year that ends before the first day is NaN; in a year in which the first value starts, the
        mean is over the days from then on.
    """
    starts = np.array([day.toordinal() for day, _ in dated], dtype=float)
    values = np.array([value for _, value in dated], dtype=float)
    first = np.array([dt.date(int(y), 1, 1).toordinal() for y in years], dtype=float)
    last = np.array([dt.date(int(y) + 1, 1, 1).toordinal() for y in years], dtype=float)
    if interpolated:
        middle = (first + last) / 2
        return np.where(last <= starts[0], np.nan, np.interp(middle, starts, values))
    ends = np.append(starts[1:], np.inf)
    days = np.clip(np.minimum(last[:, None], ends) - np.maximum(first[:, None], starts), 0.0, None)
    covered = days.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(covered > 0, (days * values).sum(axis=1) / covered, np.nan)
