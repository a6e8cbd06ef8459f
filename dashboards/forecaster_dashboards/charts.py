"""Charts as Vega-Lite dictionaries: pure functions from a table, no Streamlit.

All data of a chart stand in one place, ``spec["datasets"][ROWS]``, rounded for the eye; everything else in the
specification stays the same while a lever moves, so that the browser replaces the data and builds no new chart.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forecaster_dashboards import texts
from forecaster_dashboards.frames import BANDS, ESTIMATED, PUBLISHED, QUANTILE_NAMES, REFORMED, TODAY, Columns

Spec = dict[str, Any]
Row = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "Source Sans, Source Sans Pro, Noto Sans, DejaVu Sans, sans-serif"
INK, GREY, ORANGE, BLUE, BAND = "#31333f", "#70757f", "#b4470b", "#1c5fa8", "#2e8b57"
SERIES = (PUBLISHED, ESTIMATED, TODAY, REFORMED)
COLOURS = {PUBLISHED: INK, ESTIMATED: "#9a9da6", TODAY: ORANGE, REFORMED: BLUE}
LAW, LABEL = "law", "label"
ROWS = "rows"
FAN_TITLES = {
    "reserve_months": (texts.CHART_MONTHS, texts.UNIT_MONTHS),
    "reserve": (texts.CHART_RESERVE, texts.UNIT_MONEY),
}
DIGITS = {"reserve_months": 2, "reserve": 1}

NOTE: Spec = {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -2, "fontSize": 11}
CONFIG: Spec = {
    "font": FONT,
    "background": "#ffffff",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12, "titleFontSize": 12, "labelColor": INK, "titleColor": GREY, "titleFontWeight": "normal",
        "gridColor": "#e6e8ee", "domainColor": "#c5c8d0", "tickColor": "#c5c8d0",
    },
    "legend": {"labelFontSize": 12, "labelColor": INK, "symbolSize": 140, "symbolOpacity": 1, "labelLimit": 320,
        "columnPadding": 16,
    },
    "title": {"fontSize": 14, "color": INK, "anchor": "start", "fontWeight": 600},
}  # fmt: skip
# Letters a line of a warning in a picture.
WARNING_WIDTH = 110


def _number(digits: int) -> str:
    return f",.{digits}f"


def _records(columns: Columns, digits: int) -> list[Row]:
    """Rows as dictionaries, numbers but for years rounded."""
    # Adding zero turns a minus zero into zero.
    lists = [(np.round(v, digits) + 0.0 if v.dtype.kind == "f" else v).tolist() for v in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _data(values: list[Row]) -> Spec:
    return {"data": {"name": ROWS}, "datasets": {ROWS: values}}


def _words(field: str, names: Mapping[str, str]) -> str:
    """Expression that turns a code into the reader's words."""
    return " : ".join(f"{field} === '{code}' ? {json.dumps(name)}" for code, name in names.items()) + " : ''"


NAMED: Spec = {"calculate": _words("datum.series", texts.SERIES), "as": "name"}


def _named(series: str) -> Spec:
    return {"filter": f"datum.series === '{series}'"}


def _x() -> Spec:
    axis = {"format": "d", "tickMinStep": 1, "title": None, "labelOverlap": True, "grid": False, "labelFlush": True}
    return {"field": "year", "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": False}}


def _y(field: str, axis_format: str = ",~f", *, zero: bool = True) -> Spec:
    axis = {"title": None, "format": axis_format, "tickCount": 6}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": zero}}


def _colour(names: Sequence[str], *, symbol: str = "stroke") -> Spec:
    scale = {"domain": list(names), "range": [COLOURS[name] for name in names]}
    shown = {
        "title": None,
        "orient": "top",
        "columns": 2,
        "labelExpr": _words("datum.value", texts.SERIES),
        "symbolType": symbol,
        "symbolStrokeWidth": 3,
    }
    return {"field": "series", "type": "nominal", "scale": scale, "legend": shown}


def _labels(columns: Columns, digits: int) -> list[Row]:
    """Names of the bands, at the reform's last year, which stands last."""
    year = int(columns["year"][-1])
    return [
        {"series": LABEL, "year": year, "median": round(float(columns[high][-1]), digits), "text": f"{name}%"}
        for name, _, high in BANDS
    ]


def fan_chart(
    columns: Columns,
    *,
    title: str,
    digits: int,
    height: int = 300,
    band: tuple[float, float] | None = None,
) -> Spec:
    """History and both scenarios on the same axes: today's law as median and outline, the reform as filled bands.

    Parameters
    ----------
    columns
        :func:`forecaster_dashboards.frames.fan_columns`.
    digits
        To how many digits the data are rounded.
    band
        The law's band for this line, drawn behind everything.
    """
    first, last = int(columns["year"].min()), int(columns["year"].max())
    law: Row = {"series": LAW, "year": first, "until": last, "low95": 0.0, "high95": 0.0}
    subtitle = ""
    if band is not None and not np.isnan(band).any():
        law |= {"low95": band[0], "high95": band[1]}
        subtitle = texts.law_band(*band)
    both = {"x": _x(), "y": _y("median")}
    layers: list[Spec] = []
    if subtitle:
        layers += [
            {
                "transform": [_named(LAW)],
                "mark": {"type": "rect", "color": BAND, "opacity": 0.13},
                "encoding": {"x": _x(), "x2": {"field": "until"}, "y": _y("low95"), "y2": {"field": "high95"}},
            },
        ]
    layers.append(
        {
            "transform": [_named(LAW)],
            "mark": {"type": "rule", "color": INK, "strokeWidth": 1},
            "encoding": {"y": {"datum": 0.0, "type": "quantitative"}},
        }
    )
    layers.append(
        {
            "transform": [_named(ESTIMATED)],
            "mark": {"type": "rule", "color": COLOURS[ESTIMATED], "opacity": 0.4, "strokeWidth": 6},
            "encoding": {"x": _x(), "y": _y("low95"), "y2": {"field": "high95"}},
        }
    )
    layers += [
        _area(REFORMED, low, high, opacity) for (_, low, high), opacity in zip(BANDS, (0.16, 0.22, 0.30), strict=True)
    ]
    layers += [_outline(field) for field in ("low95", "high95")]
    layers += [
        _median(REFORMED, both, strokeWidth=3),
        _median(TODAY, both, strokeDash=[6, 4], strokeWidth=2.2),
        {
            "transform": [{"filter": "datum.series === 'published' || datum.series === 'estimated'"}],
            "mark": {"type": "line", "color": GREY, "strokeWidth": 1},
            "encoding": both,
        },
        _dots(ESTIMATED, both, filled=False, size=30, strokeWidth=1.2),
        _dots(PUBLISHED, both, filled=True, size=34),
        {
            "transform": [_named(LABEL)],
            "mark": {"type": "text", "align": "left", "dx": 5, "color": BLUE, "fontSize": 11},
            "encoding": both | {"text": {"field": "text"}},
        },
        _hover(both, digits),
    ]
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": subtitle, "subtitleColor": BAND, "subtitleFontSize": 12},
        "width": "container",
        "height": height,
        "padding": {"left": 4, "right": 34, "top": 4, "bottom": 4},
        **_data([*_records(columns, digits), *_labels(columns, digits), law]),
        "layer": layers,
        "config": CONFIG,
    }


def _area(series: str, low: str, high: str, opacity: float) -> Spec:
    return {
        "transform": [_named(series)],
        "mark": {"type": "area", "opacity": opacity, "color": COLOURS[series], "clip": True},
        "encoding": {"x": _x(), "y": _y(low), "y2": {"field": high}},
    }


def _outline(field: str) -> Spec:
    return {
        "transform": [_named(TODAY)],
        "mark": {"type": "line", "color": ORANGE, "strokeWidth": 1.2, "strokeDash": [2, 3]},
        "encoding": {"x": _x(), "y": _y(field)},
    }


def _median(series: str, both: Spec, **mark: Any) -> Spec:
    return {
        "transform": [_named(series)],
        "mark": {"type": "line", **mark},
        "encoding": both | {"color": _colour(SERIES)},
    }


def _dots(series: str, both: Spec, **mark: Any) -> Spec:
    return {
        "transform": [_named(series)],
        "mark": {"type": "point", "opacity": 1, **mark},
        "encoding": both | {"color": _colour(SERIES)},
    }


def _hover(both: Spec, digits: int) -> Spec:
    words = [{"field": "year", "title": texts.YEAR, "format": "d"}, {"field": "name", "title": texts.SERIES_TITLE}]
    words += [
        {"field": name, "title": texts.QUANTILES[name], "format": _number(digits)} for name in reversed(QUANTILE_NAMES)
    ]
    return {
        "transform": [
            {"filter": f"indexof({list(SERIES)}, datum.series) >= 0"},
            NAMED,
        ],
        "mark": {"type": "point", "filled": True, "opacity": 0, "size": 260},
        "encoding": both | {"tooltip": words},
    }


def account_chart(income: Columns, outgo: Columns, *, title: str, height: int = 280) -> Spec:
    """Income and outgo on the same axes: medians of both scenarios, the reform's 80% band, history."""
    kept = ("series", "year", "low80", "median", "high80")
    rows = [
        {"line": line, **row}
        for line, columns in (("income", income), ("outgo", outgo))
        for row in _records({name: columns[name] for name in kept}, 1)
    ]
    colour: Spec = {
        "field": "line",
        "type": "nominal",
        "scale": {"domain": ["income", "outgo"], "range": [BAND, "#a3195b"]},
        "legend": {
            "title": None, "orient": "top", "symbolType": "stroke", "symbolStrokeWidth": 3,
            "labelExpr": _words("datum.value", {name: texts.LINES[name] for name in ("income", "outgo")}),
        },
    }  # fmt: skip
    both = {"x": _x(), "y": _y("median", zero=False), "color": colour}
    tooltip = [
        {"field": "year", "title": texts.YEAR, "format": "d"},
        {"field": "what", "title": texts.LINE},
        {"field": "name", "title": texts.SERIES_TITLE},
        {"field": "median", "title": texts.QUANTILES["median"], "format": _number(1)},
        {"field": "low80", "title": texts.QUANTILES["low80"], "format": _number(1)},
        {"field": "high80", "title": texts.QUANTILES["high80"], "format": _number(1)},
    ]
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": height,
        **_data(rows),
        "transform": [NAMED, {"calculate": _words("datum.line", texts.LINES), "as": "what"}],
        "layer": [
            {
                "transform": [_named(REFORMED)],
                "mark": {"type": "area", "opacity": 0.2},
                "encoding": {**both, "y": _y("low80", zero=False), "y2": {"field": "high80"}},
            },
            {"transform": [_named(REFORMED)], "mark": {"type": "line", "strokeWidth": 2.5}, "encoding": both},
            {
                "transform": [_named(TODAY)],
                "mark": {"type": "line", "strokeWidth": 2, "strokeDash": [6, 4]},
                "encoding": both,
            },
            {"transform": [_named(PUBLISHED)], "mark": {"type": "point", "filled": True, "size": 30}, "encoding": both},
            {
                "transform": [_named(ESTIMATED)],
                "mark": {"type": "point", "filled": False, "size": 26, "strokeWidth": 1.1},
                "encoding": both,
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 0, "size": 200},
                "encoding": {"x": _x(), "y": _y("median", zero=False), "tooltip": tooltip},
            },
        ],
        "config": CONFIG,
    }


def risk_chart(columns: Columns, *, title: str, height: int = 260) -> Spec:
    """Chance by year that the reserve has fallen below the law's floor, and that it has run out, for both scenarios."""
    events = list(texts.EVENTS)
    rows = [
        {"series": row["series"], "year": row["year"], "event": event, "chance": row[event]}
        for event in events
        for row in _records(columns, 4)
    ]
    legend = {"title": None, "orient": "bottom", "labelExpr": _words("datum.value", texts.EVENTS), "columns": 1}
    both = {"x": _x(), "y": _y("chance", "%") | {"scale": {"domain": [0, 1]}}}
    dash = {"field": "event", "type": "nominal", "scale": {"domain": events, "range": [[1, 0], [3, 3]]}}
    tooltip = [
        {"field": "year", "title": texts.YEAR, "format": "d"},
        {"field": "name", "title": texts.SERIES_TITLE},
        {"field": "what", "title": texts.EVENT},
        {"field": "chance", "title": texts.CHANCE, "format": ".1%"},
    ]
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": height,
        **_data(rows),
        "transform": [NAMED, {"calculate": _words("datum.event", texts.EVENTS), "as": "what"}],
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": both | {"color": _colour((TODAY, REFORMED)), "strokeDash": dash | {"legend": legend}},
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 0, "size": 200},
                "encoding": both | {"tooltip": tooltip},
            },
        ],
        "config": CONFIG,
    }


def depletion_chart(columns: Columns, *, title: str, horizon: int, height: int = 240) -> Spec:
    """Share of the simulated futures by the year in which the reserve runs out; "not within the horizon" is a bar."""
    never = texts.not_by(horizon)
    years = [str(year) for year in sorted(set(columns["year"].tolist())) if year]
    rows = _records(columns, 4)
    for row in rows:
        row["when"] = str(row["year"]) if row["year"] else never
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": height,
        **_data(rows),
        "transform": [NAMED],
        "mark": {"type": "bar"},
        "encoding": {
            "x": {
                "field": "when",
                "type": "ordinal",
                "sort": [*years, never],
                "axis": {"title": None, "labelOverlap": True, "labelAngle": 0, "labelBound": False},
            },
            "xOffset": {"field": "series", "sort": [TODAY, REFORMED]},
            "y": _y("probability", "%"),
            "color": _colour((TODAY, REFORMED), symbol="square"),
            "tooltip": [
                {"field": "when", "title": texts.YEAR},
                {"field": "name", "title": texts.SERIES_TITLE},
                {"field": "probability", "title": texts.SHARE_OF_FUTURES, "format": ".1%"},
            ],
        },
        "config": CONFIG,
    }  # fmt: skip


def rate_chart(columns: Columns, *, title: str, limit: float, today: float, height: int = 240) -> Spec:
    """General rate that would balance each year, with the legal limit and today's rate as lines."""
    shown = {k: 100.0 * v if v.dtype.kind == "f" else v for k, v in columns.items()}
    words = [texts.rate_limit(limit), texts.rate_today(today)]
    first = int(columns["year"].min())
    marks = [
        {"series": LAW, "year": first, "median": round(100 * rate, 3), "text": text}
        for rate, text in zip((limit, today), words, strict=True)
    ]
    both = {"x": _x(), "y": _y("median", zero=False), "color": _colour((TODAY, REFORMED))}
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": "container",
        "height": height,
        **_data([*_records(shown, 3), *marks]),
        "transform": [NAMED],
        "layer": [
            {
                "transform": [_named(LAW)],
                "mark": {"type": "rule", "color": GREY, "strokeDash": [2, 2]},
                "encoding": {"y": _y("median", zero=False)},
            },
            {
                "transform": [_named(LAW)],
                "mark": {**NOTE, "color": GREY},
                "encoding": {"x": _x(), "y": _y("median", zero=False), "text": {"field": "text"}},
            },
            {
                "transform": [{"filter": "datum.series !== 'law'"}],
                "mark": {"type": "area", "opacity": 0.16},
                "encoding": {**both, "y": _y("low80", zero=False), "y2": {"field": "high80"}},
            },
            {
                "transform": [{"filter": "datum.series !== 'law'"}],
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": both
                | {
                    "tooltip": [
                        {"field": "year", "title": texts.YEAR, "format": "d"},
                        {"field": "name", "title": texts.SERIES_TITLE},
                        {"field": "median", "title": texts.PERCENT_RATE, "format": ".2f"},
                    ]
                },
            },
        ],
        "config": CONFIG,
    }  # fmt: skip


def title_of(spec: Spec) -> str:
    """A chart's title."""
    title = spec["title"]
    return title if isinstance(title, str) else str(title["text"])


def warned(spec: Spec, warnings: Sequence[str]) -> Spec:
    """The chart with the backtest's warnings under its title, for pictures that leave the page."""
    if not warnings:
        return spec
    title = spec["title"]
    lines = [title["subtitle"]] if title["subtitle"] else []
    lines += [line for warning in warnings for line in textwrap.wrap(warning, WARNING_WIDTH)]
    return {**spec, "title": {**title, "subtitle": lines}}


def png(spec: Spec, *, width: int = 900, scale: float = 2.0) -> bytes:
    """The chart as a PNG picture, made without browser and network."""
    import vl_convert

    fixed = {**spec, "width": width}
    return vl_convert.vegalite_to_png(fixed, scale=scale)
