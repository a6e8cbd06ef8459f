"""Forecasts against what came: CRPS, error, bias, coverage and PIT, and how much independent evidence they hold.

Money is made comparable over years before it is scored: income and outgo as log ratios (0.01 is about 1%), balance and
reserve as shares of one year's outgo, the reserve in months of outgo as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray

# Line of the accounts to the measure in which it is scored.
MEASURES = {"income": "log", "outgo": "log", "balance": "outgo", "reserve": "outgo", "reserve_months": "months"}
# Lines that are pooled; the reserve in months is the same stock as the reserve.
POOLED = ("income", "outgo", "balance", "reserve")
# Both questions put to this program: which law it is told.
FORECAST, MODEL = "forecast", "model"
QUESTIONS = {FORECAST: "told only the law known at the origin", MODEL: "told the law as it later changed"}
# The naive rules.
RULE_LABELS = {
    "last_growth": "last growth goes on",
    "drift": "random walk with drift",
    "smoothing": "exponential smoothing",
    "gdp_share": "constant share of GDP",
}
BANDS = (50, 80, 95)
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
QUANTILE_COLUMNS = tuple(f"q{100 * p:g}" for p in QUANTILES)
PIT_QUARTERS = np.linspace(0.0, 1.0, 5)
# How an outcome is known.
PUBLISHED, DERIVED, NEAR, ESTIMATED = "published", "derived", "near the year's end", "own estimate, not scored"


def outcome_table(
    actuals: pd.DataFrame, near: pd.DataFrame | None = None, estimated: Collection[tuple[str, int]] = ()
) -> pd.DataFrame:
    """What came: published figures, and the balance and the months of reserve that follow from them.

    The balance is income less outgo where both are published, else the step between two published reserves.

    Parameters
    ----------
    actuals
        ``line`` (``income``, ``outgo``, ``reserve``), ``year``, ``value``, ``source``; money nominal, the reserve a
        stock at the end of the year, the others flows.
    near
        Reserves read shortly before the end of a year that has no other figure; same columns.
    estimated
        Line and year of figures that are derived by assumption and not published: what hangs on them is not scored.

    Returns
    -------
    pandas.DataFrame
        ``line`` (of :data:`MEASURES`), ``year``, ``value`` (money as given, or months), ``source``, ``kind``
        (:data:`PUBLISHED`, :data:`DERIVED`, :data:`NEAR` or :data:`ESTIMATED`) and ``scale``: the year's outgo,
        between published years on a straight line of logs, beyond them the nearest one; NaN when no outgo is published.
    """
    flows = {line: _by_year(actuals, line) for line in ("income", "outgo", "reserve")}

    def kind(otherwise: str, *figures: tuple[str, int]) -> str:
        return ESTIMATED if any(figure in estimated for figure in figures) else otherwise

    rows = [
        (line, year, *figure, kind(PUBLISHED, (line, year))) for line in flows for year, figure in flows[line].items()
    ]
    for year in sorted(set(flows["income"]) | set(flows["reserve"])):
        found = _balance(flows, year, estimated)
        if found is not None:
            rows.append(("balance", year, *found))
        if year in flows["reserve"] and year in flows["outgo"]:
            (stock, one), (outgo, other) = flows["reserve"][year], flows["outgo"][year]
            months = (12.0 * stock / outgo, _sources(one, other), kind(DERIVED, ("outgo", year)))
            rows.append(("reserve_months", year, *months))
    if near is not None:
        rows += [
            ("reserve", *_figure(r), NEAR) for r in near.to_dict("records") if int(r["year"]) not in flows["reserve"]
        ]
    table = pd.DataFrame(rows, columns=["line", "year", "value", "source", "kind"])
    table["scale"] = _scales(flows["outgo"], table["year"].to_numpy())
    return table.sort_values(["line", "year"], kind="stable").reset_index(drop=True)


def _by_year(actuals: pd.DataFrame, line: str) -> dict[int, tuple[float, str]]:
    figures = [_figure(row) for row in actuals[actuals["line"] == line].to_dict("records")]
    return {year: (value, source) for year, value, source in figures}


def _figure(row: Mapping[Any, Any]) -> tuple[int, float, str]:
    return int(row["year"]), float(row["value"]), str(row["source"])


def _balance(
    flows: Mapping[str, Mapping[int, tuple[float, str]]], year: int, estimated: Collection[tuple[str, int]]
) -> tuple[float, str, str] | None:
    """Value, source and kind: from published flows, else from reserves, else from estimated flows."""
    ways = [("income", "outgo", 0, DERIVED), ("reserve", "reserve", 1, DERIVED)]
    if {("income", year), ("outgo", year)} & set(estimated):
        ways = [ways[1], ("income", "outgo", 0, ESTIMATED)]
    for first, second, before, kind in ways:
        if year in flows[first] and year - before in flows[second]:
            (plus, one), (minus, other) = flows[first][year], flows[second][year - before]
            return plus - minus, _sources(one, other), kind
    return None


def _sources(*names: str) -> str:
    return "+".join(dict.fromkeys(part for name in names for part in name.split("+")))


def _scales(outgo: Mapping[int, tuple[float, str]], years: Array) -> Array:
    if not outgo:
        return np.full(len(years), np.nan)
    known = sorted(outgo)
    return np.exp(np.interp(years, known, np.log([outgo[year][0] for year in known])))


def measured(line: str, values: Array | float, scale: float) -> Array:
    """Values of a line in its measure: log, share of the year's outgo ``scale``, or months as they are."""
    values = np.asarray(values, dtype=float)
    kind = MEASURES[line]
    if kind == "log":
        return np.log(np.maximum(values, 1e-12))
    return values / scale if kind == "outgo" else values


def score(line: str, draws: Array, outcome: float, scale: float) -> dict[str, float]:
    """Scores of one forecast, in the line's measure.

    Parameters
    ----------
    draws
        Predictive draws, shape ``(draw,)``, in the outcome's unit.
    outcome
        What came.
    scale
        Outgo of the year, used for balance and reserve.

    Returns
    -------
    dict
        ``crps``, ``error`` (median less outcome: positive when the forecast was too high), ``pit`` (share of draws
        below the outcome, ties by half) and ``inside50``, ``inside80``, ``inside95`` (1 when the central band held it).
    """
    values, truth = measured(line, draws, scale), float(measured(line, outcome, scale))
    found = {
        "crps": crps(values, truth),
        "error": float(np.median(values)) - truth,
        "pit": float((values < truth).mean() + 0.5 * (values == truth).mean()),
    }
    for band in BANDS:
        tail = 0.5 - band / 200.0
        low, high = np.quantile(values, [tail, 1.0 - tail])
        found[f"inside{band}"] = float(low <= truth <= high)
    return found


def crps(draws: Array, outcome: float) -> float:
    """Continuous ranked probability score of draws, in their unit; smaller is better."""
    # Compiling on import takes seconds, so that only who scores pays for it.
    import scoringrules

    return float(scoringrules.crps_ensemble(outcome, draws, backend="numpy"))


def forecast_rows(
    rule: str, origin: int, draws: Mapping[str, Array], outcomes: pd.DataFrame
) -> list[dict[str, object]]:
    """Rows of a report: the forecasts of one rule from one origin, scored where an outcome is known.

    Parameters
    ----------
    rule
        One of :data:`QUESTIONS`, or the name of a naive rule.
    origin
        Last year whose figures the forecast has seen.
    draws
        Line to predictive draws, shape ``(horizon, draw)``, the first row for the year after the origin.
    outcomes
        Table of :func:`outcome_table`.
    """
    known = {(row["line"], row["year"]): row for row in outcomes.to_dict("records")}
    rows: list[dict[str, object]] = []
    for line, values in draws.items():
        for step, sample in enumerate(values, start=1):
            row: dict[str, object] = {"rule": rule, "line": line, "origin": origin, "target": origin + step}
            row |= {"horizon": step, "mean": sample.mean()}
            row |= dict(zip(QUANTILE_COLUMNS, np.quantile(sample, QUANTILES), strict=True))
            row["log_sd"] = np.std(measured(line, sample, 1.0)) if MEASURES[line] == "log" else np.nan
            came = known.get((line, origin + step))
            if came is not None and came["kind"] == ESTIMATED:
                row |= {"outcome": np.nan, "outcome_kind": ESTIMATED, "outcome_source": came["source"]}
            elif came is not None:
                row |= {"outcome": came["value"], "outcome_kind": came["kind"], "outcome_source": came["source"]}
                row |= {"scale": came["scale"], **score(line, sample, came["value"], came["scale"])}
            rows.append(row)
    return rows


def effective_number(origins: Array, horizons: Array) -> float:
    r"""How many independent forecasts a set of overlapping ones is worth.

    If errors gather year by year like a random walk, two forecasts share the part of their errors that arose in the
    years both span. With :math:`v_{ij}` the number of such years,

    .. math::
        n_{\mathrm{eff}} = n^2 \Big/ \sum_{i,j} \frac{v_{ij}}{\sqrt{h_i h_j}}

    which is *n* for one-year forecasts from different origins and about :math:`n / h` for many origins in a row, *h*
    years ahead. Parameters wrong in the same way at every origin make the true number smaller still.

    Parameters
    ----------
    origins, horizons
        Of every forecast, shape ``(forecast,)``; a pair that is given twice counts once.
    """
    pairs = np.unique(np.column_stack([origins, horizons]), axis=0).astype(float)
    if not len(pairs):
        return 0.0
    start, length = pairs.T
    end = start + length
    shared = np.minimum(end[:, None], end) - np.maximum(start[:, None], start)
    return float(len(pairs) ** 2 / (np.maximum(shared, 0.0) / np.sqrt(length[:, None] * length)).sum())


def record_of(rows: pd.DataFrame) -> dict[str, object]:
    """Record of a set of scored forecasts.

    Returns
    -------
    dict
        ``n``, ``n_effective``, ``held`` and ``coverage`` by band, ``pit_quarters`` (outcomes in each quarter of the
        forecast, lowest first), ``crps``, ``mae`` and ``bias`` (means, in the lines' measures).
    """
    scored = rows.dropna(subset=["outcome"])
    n = len(scored)
    quarters = np.histogram(scored["pit"], bins=PIT_QUARTERS)[0] if n else np.zeros(4, dtype=int)
    held = {str(band): int(scored[f"inside{band}"].sum()) for band in BANDS}
    return {
        "n": n,
        "n_effective": round(effective_number(scored["origin"].to_numpy(), scored["horizon"].to_numpy()), 2),
        "held": held,
        "coverage": {band: round(count / n, 4) if n else None for band, count in held.items()},
        "pit_quarters": [int(count) for count in quarters],
        "crps": _mean(scored["crps"]),
        "mae": _mean(scored["error"].abs()),
        "bias": _mean(scored["error"]),
    }


def _mean(values: pd.Series) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None


def summary_table(report: pd.DataFrame) -> pd.DataFrame:
    """Means and coverage by rule, line and horizon, with ``all`` for the pooled lines and spans of horizons."""
    parts = []
    lines = {"all": POOLED, **{line: (line,) for line in MEASURES}}
    last = int(report["horizon"].max())
    spans = {str(h): (h, h) for h in range(1, last + 1)}
    spans |= {f"{first}-{end}": (first, end) for first, end in ((1, min(5, last)), (1, last)) if end > first}
    for rule in report["rule"].unique():
        for line, members in lines.items():
            for span, (first, end) in spans.items():
                chosen = (report["rule"] == rule) & report["line"].isin(members)
                found = record_of(report[chosen & report["horizon"].between(first, end)])
                held: Any = found["held"]
                row = {"rule": rule, "line": line, "horizon": span, "n": found["n"]}
                row |= {"n_effective": found["n_effective"], **{f"held{band}": held[str(band)] for band in BANDS}}
                parts.append(row | {name: found[name] for name in ("crps", "mae", "bias")})
    table = pd.DataFrame(parts)
    return table[table["n"] > 0].reset_index(drop=True)


def comparison_table(report: pd.DataFrame, question: str) -> pd.DataFrame:
    """Mean CRPS of this program and of each naive rule, on the very same forecasts.

    Returns
    -------
    pandas.DataFrame
        ``line``, ``horizon``, ``rule``, ``n``, ``ours``, ``rival``; we lose where ``rival`` is smaller.
    """
    keys = ["line", "origin", "horizon"]
    scored = report.dropna(subset=["outcome"])
    ours = scored[scored["rule"] == question].set_index(keys)["crps"].rename("ours")
    rivals = scored[~scored["rule"].isin(list(QUESTIONS))]
    both = rivals.join(ours, on=keys, how="inner")
    grouped = both.groupby(["line", "horizon", "rule"], sort=True)
    table = grouped.agg(n=("ours", "size"), ours=("ours", "mean"), rival=("crps", "mean"))
    return table.reset_index()
