"""Charts of rates: what would balance each year, and which pairs of rates meet a target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecaster_dashboards import language
from forecaster_dashboards.charts.parts import (
    GREY,
    LAW,
    NOTE,
    Row,
    Spec,
    chart,
    only,
    records,
    series_colour,
    series_named,
    value_axis,
    year_axis,
)
from forecaster_dashboards.frames import REFORMED, TODAY, Columns
from forecaster_dashboards.language import _


def rate_chart(
    columns: Columns, *, title: str, limit: float, today: float, legal: bool = True, height: int = 240
) -> Spec:
    """General rate that would balance each year, with today's rate and the limit, legal or assumed, as lines."""
    shown = {k: 100.0 * v if v.dtype.kind == "f" else v for k, v in columns.items()}
    most = language.percent(limit, 2)
    notes = [
        _("legal limit {rate}", rate=most) if legal else _("assumed limit {rate}", rate=most),
        _("today's law {rate}", rate=language.percent(today, 2)),
    ]
    first = int(columns["year"].min())
    marks = [
        {"series": LAW, "year": first, "median": round(100 * rate, 3), "text": text}
        for rate, text in zip((limit, today), notes, strict=True)
    ]
    both = {"x": year_axis(), "y": value_axis("median", zero=False), "color": series_colour((TODAY, REFORMED))}
    tooltip = [
        {"field": "year", "title": _("Year"), "format": "d"},
        {"field": "name", "title": _("Scenario")},
        {"field": "median", "title": _("% of the insured amounts"), "format": ".2f"},
    ]
    text = {"x": year_axis(), "y": value_axis("median", zero=False), "text": {"field": "text"}}
    band = {**both, "y": value_axis("low80", zero=False), "y2": {"field": "high80"}}
    projected = [{"filter": "datum.series !== 'law'"}]
    layers = [
        {
            "transform": [only(LAW)],
            "mark": {"type": "rule", "color": GREY, "strokeDash": [2, 2]},
            "encoding": {"y": value_axis("median", zero=False)},
        },
        {"transform": [only(LAW)], "mark": {**NOTE, "color": GREY}, "encoding": text},
        {"transform": projected, "mark": {"type": "area", "opacity": 0.16}, "encoding": band},
        {
            "transform": projected,
            "mark": {"type": "line", "strokeWidth": 2.5},
            "encoding": both | {"tooltip": tooltip},
        },
    ]
    return chart(title, [*records(shown, 3), *marks], height, transform=[series_named()], layer=layers)


def frontier_chart(
    general: Sequence[float],
    supplementary: Sequence[float],
    chance: np.ndarray,
    *,
    title: str,
    today: tuple[float, float],
    wanted: float,
) -> Spec:
    """Chance of meeting a target for pairs of rates as a heat map, with today's law and where the chance suffices.

    Parameters
    ----------
    general, supplementary
        Rates of the columns and rows, shares.
    chance
        Share of the draws that meet the target, ``(supplementary, general)``.
    """
    rows: list[Row] = [
        {"general": round(100 * g, 2), "supplementary": round(100 * s, 2), "chance": round(float(chance[i, j]), 4),
         "text": f"{100 * chance[i, j]:.0f}", "enough": bool(chance[i, j] >= wanted), "series": "cell"}
        for i, s in enumerate(supplementary)
        for j, g in enumerate(general)
    ]  # fmt: skip
    nearest = (min(general, key=lambda g: abs(g - today[0])), min(supplementary, key=lambda s: abs(s - today[1])))
    rows.append({"general": round(100 * nearest[0], 2), "supplementary": round(100 * nearest[1], 2), "series": LAW})
    x = {"field": "general", "type": "ordinal", "axis": {"title": _("General premium rate, %"), "labelAngle": 0,
         "format": ".2f", "labelOverlap": True}}  # fmt: skip
    y = {"field": "supplementary", "type": "ordinal", "sort": "descending",
         "axis": {"title": _("Supplementary premium rate, %"), "format": ".2f"}}  # fmt: skip
    colour = {
        "field": "chance", "type": "quantitative",
        "scale": {"domain": [0, 1], "scheme": "viridis"},
        "legend": {"title": _("Chance"), "format": ".0%", "orient": "top", "gradientLength": 220},
    }  # fmt: skip
    tooltip = [
        {"field": "general", "title": _("General premium rate, %"), "format": ".2f"},
        {"field": "supplementary", "title": _("Supplementary premium rate, %"), "format": ".2f"},
        {"field": "chance", "title": _("Chance"), "format": ".1%"},
    ]
    cell = [{"filter": "datum.series === 'cell'"}]
    # Not the colour of paper, which the dark theme would turn dark.
    light = {"condition": {"test": "datum.chance < 0.6", "value": "#fefefe"}, "value": "#1a1a1a"}
    text = {"x": x, "y": y, "text": {"field": "text"}, "color": light}
    layers = [
        {"transform": cell, "mark": "rect", "encoding": {"x": x, "y": y, "color": colour, "tooltip": tooltip}},
        {
            "transform": [{"filter": "datum.series === 'cell' && !datum.enough"}],
            "mark": {"type": "text", "fontSize": 11},
            "encoding": text,
        },
        {
            "transform": [{"filter": "datum.series === 'cell' && datum.enough"}],
            "mark": {"type": "text", "fontSize": 12, "fontWeight": 800},
            "encoding": text,
        },
        {
            "transform": [only(LAW)],
            "mark": {"type": "rect", "filled": False, "stroke": "#e4572e", "strokeWidth": 3},
            "encoding": {"x": x, "y": y},
        },
    ]
    return chart(title, rows, 30 * len(supplementary) + 20, layer=layers)
