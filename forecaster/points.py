r"""Need against money: the points that providers claim, and what a point is worth under the global budget.

Providers claim points for what they do; the budget is settled beforehand, so a point is worth the budget over the
points (NHI Act Art. 60-62). The fund's risk is the budget, the risk of access and of providers is the point. Points
grow with the age-weighted need and with what is done per unit of need,

.. math::
    P_t = P_a \exp\Bigl(n_t - n_a + \sum_{a < s \le t} (d + \sigma z_s)\Bigr)

with the year *a* of the last evidence, log need *n*, and the drift *d* beyond need. Its draws follow from the growth of
the reviewed points between the published years less that of need; two intervals of three years say little, so its error
is wide. Nothing feeds back from the value of a point to what providers do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecaster.basis import Points
from forecaster.observations import Observations

Array = np.ndarray
# What the two published costs of a guarantee guarantee: the values of a point, by their series' names.
GUARANTEES = {"low": 0.95, "high": 1.0}


@dataclass(frozen=True)
class PointFacts:
    """Published points and budgets.

    Attributes
    ----------
    years, reviewed
        Years of the published points and the points reviewed, bn, shape ``(year,)``.
    anchor
        Year of the last evidence.
    anchor_points, anchor_budget
        Points and money of the part of the budget whose points float, bn and nominal TWD bn, in that year. Derived: the
        cost of guaranteeing a value of 1 less that of 0.95 is 0.05 of the points, and the points less the first cost
        are the budget.
    budgets
        Global budget agreed by year, TWD bn nominal.
    """

    years: Array
    reviewed: Array
    anchor: int
    anchor_points: float
    anchor_budget: float
    budgets: dict[int, float]


def point_facts(observed: Observations) -> PointFacts:
    """The figures of a place that publishes points, see ``data/observed/twn/budget.csv``."""
    reviewed = observed.series("points_reviewed").sort_values("year")
    costs = {key: observed.series(f"point_value_guarantee_cost|{key}").iloc[0] for key in GUARANTEES}
    rise = GUARANTEES["high"] - GUARANTEES["low"]
    points = (float(costs["high"]["value"]) - float(costs["low"]["value"])) / rise
    budgets = observed.series("global_budget_total")
    return PointFacts(
        years=reviewed["year"].to_numpy(dtype=int),
        reviewed=reviewed["value"].to_numpy(dtype=float),
        anchor=int(costs["high"]["year"]),
        anchor_points=points,
        anchor_budget=GUARANTEES["high"] * points - float(costs["high"]["value"]),
        budgets=dict(zip(budgets["year"].astype(int), budgets["value"].astype(float), strict=True)),
    )


def drift_beyond_need(facts: PointFacts, log_need: Array) -> tuple[Array, Array]:
    """Yearly growth of points beyond need between the published years: mean and standard deviation of a year.

    Parameters
    ----------
    log_need
        Log need in the published years, ``(year, draw)``.

    Returns
    -------
    tuple
        Both of shape ``(draw,)``. Growth over *k* years is taken to vary as the mean of *k* single years does.
    """
    span = np.diff(facts.years)[:, None]
    growth = (np.diff(np.log(facts.reviewed))[:, None] - np.diff(log_need, axis=0)) / span
    return growth.mean(axis=0), growth.std(axis=0, ddof=1) * np.sqrt(span.mean())


def simulate_points(
    facts: PointFacts, past_need: Array, need: Array, years: Array, outlay: Array, rng: np.random.Generator
) -> Points:
    """Points claimed and the floating share of the outlay, draw by draw.

    Parameters
    ----------
    past_need
        Log need in the published years and, last, in the anchor's, ``(year, draw)``.
    need
        Log need in the projected years, ``(year, draw)``.
    years
        Projected years; the budget of the first must have been agreed.
    outlay
        Outlay of the basis, nominal money a year, ``(year, draw)``.
    """
    mean, sd = drift_beyond_need(facts, past_need[:-1])
    seen = int(facts.years[-1] - facts.years[0])
    drift = mean + sd / np.sqrt(seen) * rng.standard_normal(outlay.shape[1])
    ahead = int(years[0]) - facts.anchor
    shocks = sd * rng.standard_normal((ahead + len(years) - 1, outlay.shape[1]))
    beyond = np.cumsum(drift + shocks, axis=0)[ahead - 1 :]
    claimed = facts.anchor_points * np.exp(need - past_need[-1] + beyond)
    floating = facts.anchor_budget * facts.budgets[int(years[0])] / facts.budgets[facts.anchor]
    return Points(claimed, floating / outlay[0])
