"""Everything a report is made of, and how its figures are worded in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecaster.export import BASELINE, REFORM
from forecaster.language import money_scale, money_unit, number
from forecaster.pools import Pool
from forecaster.report.texts import Texts
from forecaster.schemes import Scheme
from forecaster.store import Run

# Lines of the fit's history by the words for them.
PAST = {"income": "line_income", "outgo": "line_outgo", "reserve": "line_reserve"}


@dataclass(frozen=True)
class Material:
    """Everything a report is made of.

    Attributes
    ----------
    run
        The run.
    tables
        Its tables by name, as recorded: forecast, probabilities, first_years, valuation, required_rates.
    scheme
        The law it was projected under.
    tests
        See :func:`forecaster.report.stress.sensitivities`; computed today.
    groups
        See :func:`forecaster.report.stress.groups`; computed today.
    assumed
        What the basis and the levers assume, in English.
    certificate
        Content of the certificate that the result carries; None where there is none.
    differing
        Inputs that are not today as they were when the run was made.
    history, priors
        Tables of its fit; None for a basis written by hand.
    fit
        Manifest of its fit.
    pool
        What its fund's own file declares.
    sources
        Rows of the sources that the history names: ``id``, ``title``, ``publisher``, ``date``, ``link``.
    previous
        Earlier run, if one was named.
    moved, came
        Reconciliation with it, see :mod:`forecaster.reconcile`.
    """

    run: Run
    tables: Mapping[str, pd.DataFrame]
    scheme: Scheme
    tests: pd.DataFrame
    groups: pd.DataFrame
    assumed: Sequence[str] = ()
    certificate: Mapping[str, Any] | None = None
    differing: Sequence[str] = ()
    history: pd.DataFrame | None = None
    priors: pd.DataFrame | None = None
    fit: Mapping[str, Any] | None = None
    pool: Pool | None = None
    sources: Sequence[Mapping[str, str]] = ()
    previous: Run | None = None
    moved: pd.DataFrame | None = None
    came: pd.DataFrame | None = None

    @property
    def scenario(self) -> str:
        """The scenario that is reported: the reform where there is one."""
        return REFORM if self.run.manifest["reform"] is not None else BASELINE

    def table(self, name: str) -> pd.DataFrame:
        """Rows of a table that belong to the scenario; empty where the run has no such table."""
        found = self.tables.get(name)
        if found is None:
            return pd.DataFrame()
        return found[found["scenario"] == self.scenario]

    def line(self, name: str) -> pd.DataFrame:
        """Rows of one line of the forecast, indexed by year."""
        forecast = self.table("forecast")
        return forecast[forecast["line"] == name].set_index("year")

    @property
    def money(self) -> str:
        """Unit of money, as the reader counts it."""
        return money_unit(self.scheme.money)

    @property
    def money_scale(self) -> float:
        """Factor from the tables' money to the unit that the reader counts in."""
        return money_scale(self.scheme.money)

    def amount(self, value: float, digits: int = 1) -> str:
        """Money of the tables in the reader's unit."""
        return number(float(value) * self.money_scale, digits)

    @property
    def years(self) -> list[int]:
        """Projected years."""
        return [int(year) for year in self.line("reserve").index]

    @property
    def floor(self) -> float:
        """Least reserve of the law, months."""
        return float(self.table("probabilities")["floor_months"].iloc[0])

    @property
    def key_years(self) -> list[int]:
        """First and last year and each fifth between."""
        years = self.years
        return [year for year in years if year in {years[0], years[-1]} or year % 5 == 0]

    def below(self, year: int, column: str = "below_floor_by_year") -> float:
        """A chance of the table of probabilities in a year."""
        table = self.table("probabilities")
        return float(table.loc[table["year"] == year, column].iloc[0])


def as_share(value: float) -> str:
    """A share as percent that is never rounded to certainty."""
    if 0.0 < value < 0.005:
        return "< 1%"
    if 0.995 <= value < 1.0:
        return "> 99%"
    return f"{value:.0%}"


def as_months(months: float, t: Texts) -> str:
    """So many months, in words."""
    return t("month_one") if months == 1.0 else t("months_n", n=f"{months:g}")
