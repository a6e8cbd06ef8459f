"""From projections to the tables behind charts and pages: full precision, nothing rounded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.engine import FundProjection
from forecaster.export import Scenario, events
from forecaster.policy import Policy
from forecaster.solvency import YearDistribution, pay_as_you_go_rate, quantiles, share_below

Array = np.ndarray
# A table for a chart: column name to values. A frame would cost more than all the sums behind it.
Columns = dict[str, np.ndarray]

BANDS = (("95", "low95", "high95"), ("80", "low80", "high80"), ("50", "low50", "high50"))
QUANTILE_NAMES = ("low95", "low80", "low50", "median", "high50", "high80", "high95")
HISTORY_NAMES = ("q2.5", "q10", "q25", "q50", "q75", "q90", "q97.5")
PUBLISHED, ESTIMATED, TODAY, REFORMED = "published", "estimated", "today", "reform"
MEDIAN = QUANTILE_NAMES.index("median")
LINES = ("total_income", "outgo", "balance", "reserve", "reserve_months")


class Outcome:
    """A projected scenario and its summaries, each computed when first asked for and then kept."""

    def __init__(self, scenario: Scenario):
        self.scenario = scenario
        self._fans: dict[str, Array] = {}

    @property
    def basis(self) -> Basis:
        """Draws up to the horizon."""
        return self.scenario.basis

    @property
    def policy(self) -> Policy:
        """Law and reform."""
        return self.scenario.policy

    @property
    def projection(self) -> FundProjection:
        """The accounts."""
        return self.scenario.projection

    @property
    def years(self) -> Array:
        """Projected years, shape ``(year,)``."""
        return self.scenario.basis.years

    def values(self, line: str) -> Array:
        """Draws of a line of :data:`LINES`, shape ``(year, draw)``, TWD bn nominal or months."""
        result = self.projection
        if line == "reserve":
            return result.closing
        return getattr(result, line)

    def fan(self, line: str) -> Array:
        """Quantiles of a line, shape ``(quantile, year)`` in the order of :data:`QUANTILE_NAMES`."""
        if line not in self._fans:
            self._fans[line] = quantiles(self.values(line))
        return self._fans[line]

    def median(self, line: str) -> Array:
        """Median of a line, shape ``(year,)``."""
        return self.fan(line)[MEDIAN]

    @cached_property
    def events(self) -> dict[str, YearDistribution]:
        """First year of a deficit, of a reserve below the law's floor, of one below zero."""
        return events(self.scenario)

    @cached_property
    def below_in_year(self) -> Array:
        """Chance that the reserve stands below the law's floor at the end of each year itself, shape ``(year,)``."""
        return share_below(self.projection, self.scenario.floor_months)

    @cached_property
    def pay_as_you_go(self) -> Array:
        """10%, 50% and 90% quantile of the rate that would balance each year, shape ``(3, year)``."""
        return quantiles(pay_as_you_go_rate(self.basis, self.policy, self.projection), (0.1, 0.5, 0.9))


@dataclass(frozen=True)
class Past:
    """History of a line: kinds (published or estimated) and years ``(year,)``, values ``(year, quantile)``."""

    kinds: Array
    years: Array
    values: Array


def history_of(history: pd.DataFrame, line: str) -> Past:
    """Past of a line.

    ``line`` is one of the history's own, or ``reserve_months``: twelve times the reserve's quantiles over the median
    outgo of the year, published only where both figures are. (Outgo is known far better than a gap year's reserve.) The
    ``balance`` is income less outgo in the years in which both are published.
    """
    if line == "balance":
        income, outgo = history_of(history, "income"), history_of(history, "outgo")
        years, at, of = np.intersect1d(income.years, outgo.years, return_indices=True)
        both = (income.kinds[at] == PUBLISHED) & (outgo.kinds[of] == PUBLISHED)
        return Past(income.kinds[at][both], years[both], (income.values[at] - outgo.values[of])[both])
    if line != "reserve_months":
        rows = history[history["line"] == line].sort_values("year")
        kinds = rows["kind"].to_numpy(dtype=object)
        return Past(kinds, rows["year"].to_numpy(dtype=int), rows[list(HISTORY_NAMES)].to_numpy(dtype=float))
    reserve, outgo = history_of(history, "reserve"), history_of(history, "outgo")
    years, at, of = np.intersect1d(reserve.years, outgo.years, return_indices=True)
    both = (reserve.kinds[at] == PUBLISHED) & (outgo.kinds[of] == PUBLISHED)
    months = reserve.values[at] * 12.0 / outgo.values[of, MEDIAN][:, None]
    return Past(np.where(both, PUBLISHED, ESTIMATED).astype(object), years, months)


def fan_columns(past: Past, today: Outcome, reform: Outcome, line: str, first_year: int | None = None) -> Columns:
    """Past and both scenarios of a line in one long table, for one chart.

    Parameters
    ----------
    past
        :func:`history_of` that line.
    first_year
        First year of the past shown; all of it by default.

    Returns
    -------
    dict
        ``series`` (published, estimated, today, reform), ``year``, :data:`QUANTILE_NAMES`. Both scenarios begin with
        the last year of the past, so that lines and bands meet.
    """
    shown = (past.years < today.years[0]) & (past.years >= (first_year or 0))
    anchor = past.years == today.years[0] - 1
    parts = [(past.kinds[shown], past.years[shown], past.values[shown])]
    for name, outcome in ((TODAY, today), (REFORMED, reform)):
        years = np.concatenate([past.years[anchor], outcome.years])
        fan = np.concatenate([past.values[anchor], outcome.fan(line).T])
        parts.append((np.full(len(years), name, dtype=object), years, fan))
    series, years, fans = (np.concatenate(piece) for piece in zip(*parts, strict=True))
    return {"series": series, "year": years} | dict(zip(QUANTILE_NAMES, fans.T, strict=True))


def risk_columns(today: Outcome, reform: Outcome) -> Columns:
    """Chances by year: ``below`` and ``depleted`` that it happened by then, ``below_in_year`` that it is so then."""
    both = (today, reform)
    return {
        "series": np.repeat(np.array([TODAY, REFORMED], dtype=object), len(today.years)),
        "year": np.concatenate([o.years for o in both]),
        "below": np.concatenate([o.events["first_below_floor"].by_year for o in both]),
        "depleted": np.concatenate([o.events["first_depletion"].by_year for o in both]),
        "below_in_year": np.concatenate([o.below_in_year for o in both]),
    }


def depletion_columns(today: Outcome, reform: Outcome) -> Columns:
    """Distribution of the year in which the reserve runs out; the year 0 stands for "not within the horizon"."""
    found = [outcome.events["first_depletion"] for outcome in (today, reform)]
    chances = [np.append(f.probability, f.not_within_horizon) for f in found]
    return {
        "series": np.repeat(np.array([TODAY, REFORMED], dtype=object), len(chances[0])),
        "year": np.concatenate([np.append(f.years, 0) for f in found]),
        "probability": np.concatenate(chances),
    }


def pay_as_you_go_columns(today: Outcome, reform: Outcome) -> Columns:
    """General rate that would balance each year: ``series``, ``year``, ``low80``, ``median``, ``high80``; shares."""
    rates = np.concatenate([today.pay_as_you_go, reform.pay_as_you_go], axis=1)
    series = np.repeat(np.array([TODAY, REFORMED], dtype=object), len(today.years))
    years = np.concatenate([today.years, reform.years])
    return {"series": series, "year": years} | dict(zip(("low80", "median", "high80"), rates, strict=True))


def difference_frame(today: Outcome, reform: Outcome) -> pd.DataFrame:
    """By year and line: medians of both, mean and 80% range of the draws' differences, in the line's unit."""
    parts = []
    for line in LINES:
        change = reform.values(line) - today.values(line)
        low, high = quantiles(change, (0.1, 0.9))
        columns = {"line": line, "year": today.years, "today": today.median(line), "reform": reform.median(line)}
        columns |= {"difference": change.mean(axis=1), "low80": low, "high80": high}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def payer_frame(today: Outcome, reform: Outcome, first: int, last: int) -> pd.DataFrame:
    """Who pays: mean over the draws, sum of the years from ``first`` to ``last``, TWD bn nominal, one row a payer."""
    years = (today.years >= first) & (today.years <= last)
    sums = [
        {payer: float(values[years].mean(axis=1).sum()) for payer, values in outcome.projection.by_payer().items()}
        for outcome in (today, reform)
    ]
    frame = pd.DataFrame({"payer": list(sums[0]), "today": sums[0].values(), "reform": sums[1].values()})
    total = frame[["today", "reform"]].sum()
    frame = pd.concat([frame, pd.DataFrame([{"payer": "total", **total}])], ignore_index=True)
    return frame.assign(difference=frame["reform"] - frame["today"])


def scaled(columns: Columns, factor: float) -> Columns:
    """The table of a fan with its money in another unit."""
    if factor == 1.0:
        return columns
    return {name: values * factor if name in QUANTILE_NAMES else values for name, values in columns.items()}


def payers_by_year(outcome: Outcome) -> pd.DataFrame:
    """Who pays in each year: ``year``, ``payer``, ``value``; mean over the draws, nominal money a year."""
    parts = [
        pd.DataFrame({"year": outcome.years, "payer": payer, "value": values.mean(axis=1)})
        for payer, values in outcome.projection.by_payer().items()
    ]
    return pd.concat(parts, ignore_index=True)


def stays_above(outcome: Outcome, year: int) -> float:
    """Chance that the reserve has not fallen below the law's floor by the end of a year."""
    by_year = outcome.events["first_below_floor"].by_year
    return 1.0 - float(by_year[min(year, int(outcome.years[-1])) - int(outcome.years[0])])
