"""What moved a result from one run to the next: data, assumptions, weights, law, model; steps that sum exactly.

Between two recorded projections stand results that neither of them is: the first one's law on the second one's basis.
Each step is the difference of two neighbours, so that the steps sum to the whole whatever their size:

    first as recorded -> first with today's engine -> first fit, second weights of theories
    -> second basis, first law -> second basis, second law -> second as recorded

The first and the last of these steps are the engine's own change and are shown together as ``model``. The change of
basis is named for what the two fits were made from differently. Where that is several things at once, one refit moved
them together and the step says so; a run between the two splits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import BASELINE, REFORM, Scenario, forecast_table, probability_table
from forecaster.policy import Policy

DATA, ASSUMPTIONS, LAW, MODEL, SAMPLING = "data", "assumptions", "law", "model", "sampling"
# How theories of cost growth are weighed, which a backtest decides.
WEIGHTS = "weights of theories"
# The order in which steps are shown.
ORDER = (DATA, ASSUMPTIONS, WEIGHTS, LAW, MODEL, SAMPLING)
FIRST, SECOND = "first run", "second run"
# Inputs of a fit by what they are; see `forecaster.fitted.input_hashes`.
_INPUTS = {
    "observations": DATA,
    "demography": DATA,
    "priors": ASSUMPTIONS,
    "own_priors": ASSUMPTIONS,
    "schemes": LAW,
    "models": MODEL,
}
# Measure to its line and column in the forecast table, or None and its column in the table of probabilities.
MEASURES: Mapping[str, tuple[str | None, str]] = {
    "reserve": ("reserve", "mean"),
    "total_income": ("total_income", "mean"),
    "outgo": ("outgo", "mean"),
    "reserve_months": ("reserve_months", "q0.5"),
    "below_floor_by_year": (None, "below_floor_by_year"),
    "depleted_by_year": (None, "depleted_by_year"),
}


@dataclass(frozen=True)
class World:
    """A projection as tables, of one policy.

    Attributes
    ----------
    forecast, probabilities
        Tables of that name, see :mod:`forecaster.export.tables`, rows of one scenario.
    """

    forecast: pd.DataFrame
    probabilities: pd.DataFrame

    def values(self) -> pd.DataFrame:
        """The measures of :data:`MEASURES` by year: money nominal in the pool's unit, months, shares."""
        columns = {}
        for measure, (line, column) in MEASURES.items():
            table = self.probabilities if line is None else self.forecast[self.forecast["line"] == line]
            columns[measure] = table.set_index("year")[column].astype(float)
        return pd.DataFrame(columns)


def recorded_world(forecast: pd.DataFrame, probabilities: pd.DataFrame) -> World:
    """The result that a run recorded: its reform where it has one, else the law."""
    name = REFORM if (forecast["scenario"] == REFORM).any() else BASELINE
    return World(*(table[table["scenario"] == name] for table in (forecast, probabilities)))


def projected_world(basis: Basis, policy: Policy) -> World:
    """A policy on a basis, computed now."""
    scenarios = [Scenario(BASELINE, basis, policy, project(basis, policy))]
    return World(forecast_table(scenarios), probability_table(scenarios))


def basis_step(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Name of the step from one basis to another, from the manifests of their fits.

    Parameters
    ----------
    before, after
        Manifests; None for a basis of a user's own assumptions.

    Returns
    -------
    str
        One of :data:`ORDER`, or several joined by `` + `` where one refit changed them together.
    """
    if before is None or after is None:
        return ASSUMPTIONS
    changed = {group for key, group in _INPUTS.items() if before["inputs"].get(key) != after["inputs"].get(key)}
    return " + ".join(name for name in ORDER if name in changed) or SAMPLING


@dataclass(frozen=True)
class Leg:
    """The results between two recorded runs, in order, with the name of the step that leads to each.

    Attributes
    ----------
    worlds
        The first as recorded, then each after one more change; the last is the second as recorded.
    steps
        One fewer than the worlds.
    """

    worlds: tuple[World, ...]
    steps: tuple[str, ...]


def reconcile(legs: Sequence[Leg]) -> pd.DataFrame:
    """Steps from the first run to the last.

    Returns
    -------
    pandas.DataFrame
        ``measure``, ``year`` (those that all runs share), ``step``, ``value``: the first run, each step's part, the
        last run. The parts of a measure and year sum to the last less the first, to rounding of the last bit.

    Raises
    ------
    ForecasterError
        When the runs share no year.
    """
    values = [[world.values() for world in leg.worlds] for leg in legs]
    years = values[0][0].index
    for frame in (frame for frames in values for frame in frames):
        years = years.intersection(frame.index)
    if not len(years):
        raise ForecasterError("the runs share no projected year: there is nothing to reconcile")
    parts: dict[str, pd.DataFrame] = {}
    for leg, frames in zip(legs, values, strict=True):
        for step, (old, new) in zip(leg.steps, pairwise(frames), strict=True):
            part = new.loc[years] - old.loc[years]
            parts[step] = parts[step] + part if step in parts else part
    shown = {FIRST: values[0][0].loc[years]}
    shown |= {step: parts[step] for step in sorted(parts, key=_place)}
    shown[SECOND] = values[-1][-1].loc[years]
    rows = [
        pd.DataFrame({"measure": measure, "year": years, "step": step, "value": frame[measure].to_numpy()})
        for measure in MEASURES
        for step, frame in shown.items()
    ]
    return pd.concat(rows, ignore_index=True)


def _place(step: str) -> tuple[int, int]:
    names = step.split(" + ")
    return ORDER.index(names[0]), len(names)


def waterfall(table: pd.DataFrame, measure: str, year: int) -> pd.DataFrame:
    """Bars of one measure and year: ``step``, ``start``, ``end``, ``value``; the runs' own bars begin at zero."""
    found = table[(table["measure"] == measure) & (table["year"] == year)]
    rows, level = [], 0.0
    for step, value in zip(found["step"], found["value"], strict=True):
        start = 0.0 if step in {FIRST, SECOND} else level
        level = value if step in {FIRST, SECOND} else level + value
        rows.append({"step": step, "start": start, "end": level, "value": value})
    return pd.DataFrame(rows)


def experience(forecast: pd.DataFrame, published: Iterable[tuple[str, int, float]]) -> pd.DataFrame:
    """The first run's bands against what has come since.

    Parameters
    ----------
    forecast
        Rows of the recorded baseline.
    published
        Line (``income``, ``outgo``, ``reserve``), year and figure known to the later run.

    Returns
    -------
    pandas.DataFrame
        ``line``, ``year``, ``q0.1``, ``q0.5``, ``q0.9`` of the earlier run, ``came``, and ``within`` its 80% band.
    """
    names = {"income": "total_income", "outgo": "outgo", "reserve": "reserve"}
    known = forecast[forecast["scenario"] == BASELINE].set_index(["line", "year"])
    bands = [known[name].astype(float).to_dict() for name in ("q0.1", "q0.5", "q0.9")]
    rows = []
    for line, year, came in published:
        at = names[line], year
        if at in bands[0]:
            low, middle, high = (band[at] for band in bands)
            row = {"line": line, "year": int(year), "q0.1": low, "q0.5": middle, "q0.9": high, "came": float(came)}
            rows.append({**row, "within": bool(low <= came <= high)})
    return pd.DataFrame(rows, columns=["line", "year", "q0.1", "q0.5", "q0.9", "came", "within"])


def largest_gap(table: pd.DataFrame) -> float:
    """By how much the steps miss the whole at worst; rounding of the last bits."""
    wide = table.pivot_table(index=["measure", "year"], columns="step", values="value", sort=False)
    steps = wide.drop(columns=[FIRST, SECOND]).sum(axis=1)
    return float(np.abs(wide[FIRST] + steps - wide[SECOND]).max())


# Standard deviations between the 5% and the 95% quantile of a normal distribution.
_SDS_OF_90 = 3.2897


# What two fits are compared by, see :func:`learnt_otherwise`.
LEARNT = ["block", "name", "posterior_q5", "posterior_q50", "posterior_q95"]


def learnt_otherwise(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """What a refit has learnt otherwise than the fit before it.

    Parameters
    ----------
    before, after
        Tables of priors and posteriors kept with the fits (``priors.csv``): ``block``, ``name``, ``posterior_q5``,
        ``posterior_q50``, ``posterior_q95``.

    Returns
    -------
    pandas.DataFrame
        For each parameter of both, the farthest moved first: ``block``, ``name``, ``before``, ``after`` (medians),
        ``moved`` in standard deviations of the earlier posterior, ``outside``: whether the new median lies outside the
        earlier 90% interval.
    """
    both = before[LEARNT].merge(after[LEARNT], on=["block", "name"], suffixes=("", "_new"))
    spread = (both["posterior_q95"] - both["posterior_q5"]) / _SDS_OF_90
    new = both["posterior_q50_new"]
    found = both[["block", "name"]].assign(before=both["posterior_q50"], after=new)
    found["moved"] = (new - both["posterior_q50"]) / spread.where(spread > 0.0)
    found["outside"] = (new < both["posterior_q5"]) | (new > both["posterior_q95"])
    return found.loc[found["moved"].abs().sort_values(ascending=False, kind="stable").index].reset_index(drop=True)
