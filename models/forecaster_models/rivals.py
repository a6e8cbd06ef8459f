"""Naive rules that the models must beat: each with its own bands, from published figures up to the origin only.

All are structural time-series models of statsmodels, estimated by maximum likelihood with the Kalman filter, so that
years without a figure are no obstacle. Income and outgo are taken in logs; balance and reserve as shares of the rule's
normaliser (outgo, or GDP), times the rule's own median forecast of that normaliser.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

Array = np.ndarray
Series = Mapping[int, float]

# Name of the rule to the level specification of the library.
RULES = {
    "last_growth": "rtrend",  # the last growth goes on: a trend without noise of its own whose slope is a random walk
    "drift": "rwdrift",  # random walk with drift
    "smoothing": "lltrend",  # local linear trend, whose mean forecast is Holt's exponential smoothing
    "gdp_share": "rwalk",  # share of GDP as last seen; GDP itself a random walk with drift
}
MIN_FIGURES = 4
N_DRAWS = 999
GRID = (np.arange(N_DRAWS) + 0.5) / N_DRAWS


def rival_draws(
    outcomes: pd.DataFrame, origin: int, horizon: int, gdp: Series | None = None
) -> dict[str, dict[str, Array]]:
    """Predictive draws of every rule for every line that has figures enough.

    Parameters
    ----------
    outcomes
        Table of :func:`forecaster.scores.outcome_table`; only years up to the origin are read.
    origin
        Last year seen.
    horizon
        Years ahead.
    gdp
        Nominal GDP by year; years after the origin are not read. None where it is not known: then the rule of a
        constant share of GDP is left out.

    Returns
    -------
    dict
        Rule to line to evenly spread quantiles of its predictive distribution, shape ``(horizon, N_DRAWS)``, in the
        outcomes' units. The months of reserve are the draws of the reserve over the median of outgo.
    """
    seen = outcomes[(outcomes["year"] <= origin) & (outcomes["kind"] != "near the year's end")]
    lines = {str(line): dict(zip(rows["year"], rows["value"], strict=True)) for line, rows in seen.groupby("line")}
    result: dict[str, dict[str, Array]] = {}
    for rule, level in RULES.items():
        size = {y: v for y, v in gdp.items() if y <= origin} if rule == "gdp_share" and gdp else lines.get("outgo", {})
        if (rule == "gdp_share" and not gdp) or len(size) < MIN_FIGURES:
            continue
        size_level = "rwdrift" if rule == "gdp_share" else level
        middle, spread = _paths({y: float(np.log(v)) for y, v in size.items()}, size_level, origin, horizon)
        result[rule] = _by_line(lines, _without_gaps(size, origin), middle, spread, rule, origin, horizon)
    return result


def _without_gaps(size: Series, origin: int) -> dict[int, float]:
    """A normaliser for every year up to the origin, so that no published figure of another line goes unused.

    Gaps lie on a straight line of logs, years after the last figure on the line from the first to the last.
    """
    known = sorted(size)
    logs = np.log([size[year] for year in known])
    slope = (logs[-1] - logs[0]) / (known[-1] - known[0])
    years = np.arange(known[0], origin + 1)
    filled = np.interp(years, known, logs) + slope * np.maximum(years - known[-1], 0)
    return dict(zip(years.tolist(), np.exp(filled).tolist(), strict=True))


def _by_line(
    lines: Mapping[str, Series], size: Series, middle: Array, spread: Array, rule: str, origin: int, horizon: int
) -> dict[str, Array]:
    level, scores = RULES[rule], norm.ppf(GRID)
    share_of_size = rule == "gdp_share"
    found: dict[str, Array] = {}
    for line in ("income", "outgo"):
        figures = {y: float(np.log(v)) for y, v in lines.get(line, {}).items()}
        if share_of_size:
            figures = {y: v - float(np.log(size[y])) for y, v in figures.items() if y in size}
        if len(figures) < MIN_FIGURES:
            continue
        mean, sd = _paths(figures, level, origin, horizon)
        if share_of_size:
            mean, sd = mean + middle, np.hypot(sd, spread)
        found[line] = np.exp(mean[:, None] + sd[:, None] * scores)
    for line in ("balance", "reserve"):
        figures = {y: v / size[y] for y, v in lines.get(line, {}).items() if y in size}
        if len(figures) < MIN_FIGURES:
            continue
        mean, sd = _paths(figures, level, origin, horizon)
        found[line] = np.exp(middle)[:, None] * (mean[:, None] + sd[:, None] * scores)
    if "reserve" in found and "outgo" in found:
        found["reserve_months"] = 12.0 * found["reserve"] / np.median(found["outgo"], axis=1)[:, None]
    return found


def _paths(figures: Series, level: str, origin: int, horizon: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the years after the origin, shape ``(horizon,)``; gaps are latent."""
    # The library takes seconds to import; who only waits for the workers needs none of it.
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    years = np.arange(min(figures), origin + 1)
    series = np.array([figures.get(int(year), np.nan) for year in years])
    with warnings.catch_warnings():
        # With few figures the likelihood is flat and the optimiser says so; the naive rule stays what it is.
        warnings.simplefilter("ignore")
        fitted = UnobservedComponents(series, level=level).fit(disp=0)
        ahead = fitted.get_forecast(horizon)
    return np.asarray(ahead.predicted_mean), np.asarray(ahead.se_mean)
