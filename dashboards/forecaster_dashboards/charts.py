"""Charts as Vega-Lite dictionaries: pure functions from a table, no Streamlit.

All data of a chart stand in one place, ``spec["datasets"][ROWS]``, rounded for the eye; everything else in the
specification stays the same while a lever moves, so that the browser replaces the data and builds no new chart.
Colours are those of the light theme; :func:`in_look` puts those of the dark one in their place.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forecaster_dashboards import language, words
from forecaster_dashboards.frames import BANDS, ESTIMATED, PUBLISHED, QUANTILE_NAMES, REFORMED, TODAY, Columns
from forecaster_dashboards.language import _

Spec = dict[str, Any]
Row = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Orange and blue stay apart for every kind of colour blindness, and in grey print by dash and shape.
INK, GREY, ORANGE, BLUE, BAND, PLUM = "#31333f", "#666b75", "#b4470b", "#1c5fa8", "#2e8b57", "#a3195b"
GRID, AXIS, PAPER, HOLLOW = "#e6e8ee", "#c5c8d0", "#ffffff", "#9a9da6"
# Okabe and Ito's colours, for parts of a whole.
PARTS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#117733", "#882255")
# The rest that nobody else bears.
REST = "#b9bdc6"
DARK = {
    INK: "#e8eaf0", GREY: "#a9afbd", ORANGE: "#f2a25c", BLUE: "#7fb6f2", BAND: "#63c295", PLUM: "#e889b9",
    GRID: "#2c3340", AXIS: "#4a5262", PAPER: "#12161d", HOLLOW: "#8d93a1",
}  # fmt: skip
OFFICIAL = "official"
SERIES = (PUBLISHED, ESTIMATED, TODAY, REFORMED)
COLOURS = {PUBLISHED: INK, ESTIMATED: HOLLOW, TODAY: ORANGE, REFORMED: BLUE}
LAW, LABEL = "law", "label"
ROWS = "rows"
# Letters a line of a warning in a picture.
WARNING_WIDTH = 110
NOTE: Spec = {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -2, "fontSize": 11}


def config() -> Spec:
    """Fonts and colours of all charts."""
    return {
        "font": language.FONTS[language.current()],
        "background": "transparent",
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": 12, "titleFontSize": 12, "labelColor": INK, "titleColor": GREY,
            "titleFontWeight": "normal", "gridColor": GRID, "domainColor": AXIS, "tickColor": AXIS,
        },
        "legend": {"labelFontSize": 12, "labelColor": INK, "titleColor": GREY, "symbolSize": 140, "symbolOpacity": 1,
            "labelLimit": 320, "columnPadding": 16,
        },
        "title": {"fontSize": 14, "color": INK, "subtitleColor": GREY, "anchor": "start", "fontWeight": 600},
        "header": {"labelColor": INK, "labelFontSize": 12},
    }  # fmt: skip


def in_look(spec: Spec, dark: bool) -> Spec:
    """The specification in the colours of the light or the dark theme; its data are shared, not copied."""
    return _recoloured(spec) if dark else spec


def _recoloured(piece: Any) -> Any:
    if isinstance(piece, dict):
        return {key: value if key == "datasets" else _recoloured(value) for key, value in piece.items()}
    if isinstance(piece, list):
        return [_recoloured(value) for value in piece]
    return DARK.get(piece, piece) if isinstance(piece, str) else piece


def fan_titles(money: str) -> dict[str, tuple[str, str, int]]:
    """Fan charts by line: title, unit, digits to which the data are rounded."""
    unit = language.money_unit(money)
    yearly = _("{unit} a year", unit=unit)
    return {
        "reserve_months": (_("Reserve at year end, months of outgo"), _("months"), 2),
        "reserve": (_("Reserve at year end, {unit}", unit=unit), unit, 1),
        "balance": (_("Balance, {unit}", unit=yearly), yearly, 1),
        "total_income": (_("Income, {unit}", unit=yearly), yearly, 1),
        "outgo": (_("Outgo, {unit}", unit=yearly), yearly, 1),
    }


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


def _series_named() -> Spec:
    return {"calculate": _words("datum.series", words.series()), "as": "name"}


def _named(series: str) -> Spec:
    return {"filter": f"datum.series === '{series}'"}


def _x() -> Spec:
    axis = {"format": "d", "tickMinStep": 1, "title": None, "labelOverlap": True, "grid": False, "labelFlush": True}
    return {"field": "year", "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": False}}


def _y(field: str, axis_format: str = ",~f", *, zero: bool = True) -> Spec:
    axis = {"title": None, "format": axis_format, "tickCount": 6}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": zero}}


def _between(low: str, high: str, zero: bool) -> Spec:
    return {"y": _y(low, zero=zero), "y2": {"field": high}}


def _colour(names: Sequence[str], *, symbol: str = "stroke") -> Spec:
    scale = {"domain": list(names), "range": [COLOURS[name] for name in names]}
    shown = {
        "title": None,
        "orient": "top",
        "columns": 2,
        "labelExpr": _words("datum.value", words.series()),
        "symbolType": symbol,
        "symbolStrokeWidth": 3,
    }
    return {"field": "series", "type": "nominal", "scale": scale, "legend": shown}


def _labels(columns: Columns, digits: int) -> list[Row]:
    """Names of the bands, at the reform's last year, which stands last."""
    year = int(columns["year"][-1])
    return [
        {"series": LABEL, "year": year, "median": round(float(columns[high][-1]), digits), "text": f"{name}%"}
        for name, _low, high in BANDS
    ]


def fan_chart(
    columns: Columns,
    *,
    title: str,
    digits: int,
    height: int = 300,
    band: tuple[float, float] | None = None,
    officials: Sequence[Row] = (),
    zero: bool = True,
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
    officials
        Officials' published forecasts: ``year`` (of which), ``median`` (the figure), ``made``, ``text``.
    zero
        Whether the axis begins at zero; a flow that is far from it is better seen without.
    """
    first, last = int(columns["year"].min()), int(columns["year"].max())
    law: Row = {"series": LAW, "year": first, "until": last, "low95": 0.0, "high95": 0.0}
    subtitle = ""
    if band is not None and not np.isnan(band).any():
        law |= {"low95": band[0], "high95": band[1]}
        subtitle = _("green: {low} to {high} months, as the law wants", low=f"{band[0]:g}", high=f"{band[1]:g}")
    both = {"x": _x(), "y": _y("median", zero=zero)}
    layers: list[Spec] = []
    if subtitle:
        layers += [
            {
                "transform": [_named(LAW)],
                "mark": {"type": "rect", "color": BAND, "opacity": 0.13},
                "encoding": {
                    "x": _x(),
                    "x2": {"field": "until"},
                    "y": _y("low95", zero=zero),
                    "y2": {"field": "high95"},
                },
            },
        ]
    if zero:
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
            "encoding": {"x": _x(), **_between("low95", "high95", zero)},
        }
    )
    layers += [
        _area(REFORMED, low, high, opacity, zero)
        for (_name, low, high), opacity in zip(BANDS, (0.16, 0.22, 0.30), strict=True)
    ]
    layers += [_outline(field, zero) for field in ("low95", "high95")]
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
    if officials:
        layers.append(_officials(both, digits))
    dots = [{"series": OFFICIAL, **row} for row in officials]
    return {
        "$schema": SCHEMA,
        "title": {
            "text": title,
            "subtitle": subtitle,
            "subtitleColor": BAND if subtitle else GREY,
            "subtitleFontSize": 12,
        },
        "width": "container",
        "height": height,
        "padding": {"left": 4, "right": 34, "top": 4, "bottom": 4},
        **_data([*_records(columns, digits), *_labels(columns, digits), *dots, law]),
        "layer": layers,
        "config": config(),
    }


def _area(series: str, low: str, high: str, opacity: float, zero: bool) -> Spec:
    return {
        "transform": [_named(series)],
        "mark": {"type": "area", "opacity": opacity, "color": COLOURS[series], "clip": True},
        "encoding": {"x": _x(), **_between(low, high, zero)},
    }


def _outline(field: str, zero: bool) -> Spec:
    return {
        "transform": [_named(TODAY)],
        "mark": {"type": "line", "color": ORANGE, "strokeWidth": 1.2, "strokeDash": [2, 3]},
        "encoding": {"x": _x(), "y": _y(field, zero=zero)},
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


def _officials(both: Spec, digits: int) -> Spec:
    """Diamonds of officials' forecasts, with what each said and when."""
    tooltip = [
        {"field": "year", "title": _("Year"), "format": "d"},
        {"field": "made", "title": _("Made")},
        {"field": "median", "title": _("Forecast"), "format": _number(digits)},
        {"field": "text", "title": _("Note")},
    ]
    return {
        "transform": [_named(OFFICIAL)],
        "mark": {"type": "point", "shape": "diamond", "size": 58, "filled": False, "strokeWidth": 1.6, "color": PLUM},
        "encoding": both | {"tooltip": tooltip},
    }


def _hover(both: Spec, digits: int) -> Spec:
    named = words.quantiles()
    tooltip = [{"field": "year", "title": _("Year"), "format": "d"}, {"field": "name", "title": _("Scenario")}]
    tooltip += [{"field": q, "title": named[q], "format": _number(digits)} for q in reversed(QUANTILE_NAMES)]
    return {
        "transform": [{"filter": f"indexof({list(SERIES)}, datum.series) >= 0"}, _series_named()],
        "mark": {"type": "point", "filled": True, "opacity": 0, "size": 260},
        "encoding": both | {"tooltip": tooltip},
    }


def _chart(title: str, rows: list[Row], height: int, **rest: Any) -> Spec:
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": "", "subtitleFontSize": 12},
        "width": "container",
        "height": height,
        **_data(rows),
        **rest,
        "config": config(),
    }


def risk_chart(columns: Columns, *, title: str, height: int = 260) -> Spec:
    """Chance by year that the reserve has fallen below the law's floor, and that it has run out, for both scenarios."""
    events = words.events()
    rows = [
        {"series": row["series"], "year": row["year"], "event": event, "chance": row[event]}
        for event in events
        for row in _records(columns, 4)
    ]
    legend = {"title": None, "orient": "bottom", "labelExpr": _words("datum.value", events), "columns": 1}
    both = {"x": _x(), "y": _y("chance", "%") | {"scale": {"domain": [0, 1]}}}
    dash = {"field": "event", "type": "nominal", "scale": {"domain": list(events), "range": [[1, 0], [3, 3]]}}
    tooltip = [
        {"field": "year", "title": _("Year"), "format": "d"},
        {"field": "name", "title": _("Scenario")},
        {"field": "what", "title": _("Event")},
        {"field": "chance", "title": _("Chance"), "format": ".1%"},
    ]
    layers = [
        {
            "mark": {"type": "line", "strokeWidth": 2.5},
            "encoding": both | {"color": _colour((TODAY, REFORMED)), "strokeDash": dash | {"legend": legend}},
        },
        {"mark": {"type": "point", "filled": True, "opacity": 0, "size": 200}, "encoding": both | {"tooltip": tooltip}},
    ]
    named = [_series_named(), {"calculate": _words("datum.event", events), "as": "what"}]
    return _chart(title, rows, height, transform=named, layer=layers)


def depletion_chart(columns: Columns, *, title: str, horizon: int, height: int = 240) -> Spec:
    """Share of the simulated futures by the year in which the reserve runs out; "not within the horizon" is a bar."""
    never = _("not by {year}", year=horizon)
    years = [str(year) for year in sorted(set(columns["year"].tolist())) if year]
    rows = _records(columns, 4)
    for row in rows:
        row["when"] = str(row["year"]) if row["year"] else never
    axis = {"title": None, "labelOverlap": True, "labelAngle": 0, "labelBound": False}
    encoding = {
        "x": {"field": "when", "type": "ordinal", "sort": [*years, never], "axis": axis},
        "xOffset": {"field": "series", "sort": [TODAY, REFORMED]},
        "y": _y("probability", "%"),
        "color": _colour((TODAY, REFORMED), symbol="square"),
        "tooltip": [
            {"field": "when", "title": _("Year")},
            {"field": "name", "title": _("Scenario")},
            {"field": "probability", "title": _("Share of futures"), "format": ".1%"},
        ],
    }
    return _chart(title, rows, height, transform=[_series_named()], mark={"type": "bar"}, encoding=encoding)


def rate_chart(columns: Columns, *, title: str, limit: float, today: float, height: int = 240) -> Spec:
    """General rate that would balance each year, with the legal limit and today's rate as lines."""
    shown = {k: 100.0 * v if v.dtype.kind == "f" else v for k, v in columns.items()}
    notes = [
        _("legal limit {rate}", rate=language.percent(limit, 2)),
        _("today's law {rate}", rate=language.percent(today, 2)),
    ]
    first = int(columns["year"].min())
    marks = [
        {"series": LAW, "year": first, "median": round(100 * rate, 3), "text": text}
        for rate, text in zip((limit, today), notes, strict=True)
    ]
    both = {"x": _x(), "y": _y("median", zero=False), "color": _colour((TODAY, REFORMED))}
    tooltip = [
        {"field": "year", "title": _("Year"), "format": "d"},
        {"field": "name", "title": _("Scenario")},
        {"field": "median", "title": _("% of the insured amounts"), "format": ".2f"},
    ]
    text = {"x": _x(), "y": _y("median", zero=False), "text": {"field": "text"}}
    band = {**both, "y": _y("low80", zero=False), "y2": {"field": "high80"}}
    projected = [{"filter": "datum.series !== 'law'"}]
    layers = [
        {
            "transform": [_named(LAW)],
            "mark": {"type": "rule", "color": GREY, "strokeDash": [2, 2]},
            "encoding": {"y": _y("median", zero=False)},
        },
        {"transform": [_named(LAW)], "mark": {**NOTE, "color": GREY}, "encoding": text},
        {"transform": projected, "mark": {"type": "area", "opacity": 0.16}, "encoding": band},
        {
            "transform": projected,
            "mark": {"type": "line", "strokeWidth": 2.5},
            "encoding": both | {"tooltip": tooltip},
        },
    ]
    return _chart(title, [*_records(shown, 3), *marks], height, transform=[_series_named()], layer=layers)


def waterfall_chart(steps: Sequence[tuple[str, float]], *, title: str, unit: str, start: tuple[str, float]) -> Spec:
    """From the one scenario to the other, one bar a lever; the bars sum exactly.

    Parameters
    ----------
    steps
        Name of a lever and what it adds.
    start
        Name and value of the scenario from which they start.
    """
    rows: list[Row] = []
    level = start[1]
    whole = [("", start[0], 0.0, level, "whole")]
    for name, part in steps:
        whole.append((name, name, level, level + part, "up" if part >= 0 else "down"))
        level += part
    whole.append(("", words.scenarios()["reform"], 0.0, level, "whole"))
    for i, (_key, name, low, high, kind) in enumerate(whole):
        shown = high if kind == "whole" else high - low
        sign = "+" if kind == "up" else ""
        rows.append(
            {"order": i, "name": name, "low": round(low, 4), "high": round(high, 4), "kind": kind,
             "value": round(shown, 4), "text": f"{sign}{language.number(shown, 2)}"}
        )  # fmt: skip
    y: Spec = {
        "field": "name", "type": "ordinal", "sort": {"field": "order"},
        "axis": {"title": None, "labelLimit": 230, "ticks": False, "domain": False},
    }  # fmt: skip
    colour: Spec = {
        "field": "kind", "type": "nominal", "legend": None,
        "scale": {"domain": ["whole", "up", "down"], "range": [GREY, BLUE, ORANGE]},
    }  # fmt: skip
    x = {"field": "low", "type": "quantitative", "axis": {"title": unit, "tickCount": 6}}
    tooltip = [{"field": "name", "title": _("Lever")}, {"field": "value", "title": unit, "format": ",.2f"}]
    layers = [
        {"mark": {"type": "bar", "height": {"band": 0.65}},
         "encoding": {"y": y, "x": x, "x2": {"field": "high"}, "color": colour, "tooltip": tooltip}},
        {"mark": {"type": "text", "align": "left", "dx": 5, "color": INK, "fontSize": 11},
         "encoding": {"y": y, "x": {"field": "end", "type": "quantitative"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    padding = {"left": 4, "right": 40, "top": 4, "bottom": 4}
    far = [{"calculate": "max(datum.low, datum.high)", "as": "end"}]
    return _chart(title, rows, 34 * len(rows) + 10, transform=far, layer=layers, padding=padding)


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
    light = {"condition": {"test": "datum.chance < 0.6", "value": "#ffffff"}, "value": "#1a1a1a"}
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
            "transform": [_named(LAW)],
            "mark": {"type": "rect", "filled": False, "stroke": "#e4572e", "strokeWidth": 3},
            "encoding": {"x": x, "y": y},
        },
    ]
    return _chart(title, rows, 30 * len(supplementary) + 20, layer=layers)


def _legend(names: Mapping[str, str]) -> Spec:
    labels = _words("datum.value", names)
    return {"title": None, "orient": "top", "columns": 2, "labelExpr": labels, "labelLimit": 420}


def lines_chart(rows: list[Row], names: Mapping[str, str], *, title: str, digits: int, height: int = 300) -> Spec:
    """Medians of several scenarios by year, told apart by colour and dash.

    Parameters
    ----------
    rows
        ``series`` (a key of ``names``), ``year``, ``median``.
    """
    keys = list(names)
    dashes: list[list[int]] = [[1, 0], [6, 4], [2, 2], [8, 3, 2, 3], [1, 3]]
    legend = {
        "title": None,
        "orient": "top",
        "columns": 2,
        "labelExpr": _words("datum.value", names),
        "labelLimit": 420,
    }
    encoding = {
        "x": _x(),
        "y": _y("median"),
        "color": {"field": "series", "type": "nominal", "legend": legend,
                  "scale": {"domain": keys, "range": [ORANGE, BLUE, BAND, PLUM, GREY][: len(keys)]}},
        "strokeDash": {"field": "series", "type": "nominal", "legend": None,
                       "scale": {"domain": keys, "range": dashes[: len(keys)]}},
        "tooltip": [
            {"field": "year", "title": _("Year"), "format": "d"},
            {"field": "name", "title": _("Scenario")},
            {"field": "median", "title": _("median"), "format": _number(digits)},
        ],
    }  # fmt: skip
    named = [{"calculate": _words("datum.series", names), "as": "name"}]
    shown = [{**row, "median": round(float(row["median"]), digits)} for row in rows]
    mark = {"type": "line", "strokeWidth": 2.6, "point": {"opacity": 0, "size": 160}}
    return _chart(title, shown, height, transform=named, mark=mark, encoding=encoding)


def stacked_chart(
    rows: list[Row], names: Mapping[str, str], *, title: str, unit: str, area: bool = False, height: int = 300,
    x_title: str | None = None, rest: str | None = None,
) -> Spec:  # fmt: skip
    """Parts of a whole by year, or by another number (``area`` with ``x_title``); colours for every kind of eye.

    Parameters
    ----------
    rows
        ``series`` (a key of ``names``), ``year``, ``value``.
    rest
        Key of the part that nobody else bears, in grey.
    """
    keys = list(names)
    colours = [REST if key == rest else PARTS[i % len(PARTS)] for i, key in enumerate(keys)]
    legend = _legend(names) | {"symbolType": "square"}
    x: Spec = _x() if area else {"field": "year", "type": "ordinal", "axis": {"title": None, "labelAngle": 0,
                                 "labelOverlap": True}}  # fmt: skip
    if x_title:
        x = {"field": "year", "type": "quantitative", "axis": {"title": x_title, "format": "~s"}}
    encoding = {
        "x": x,
        "y": {"field": "value", "type": "quantitative", "axis": {"title": unit, "tickCount": 6}, "stack": "zero"},
        "color": {"field": "series", "type": "nominal", "legend": legend, "sort": keys,
                  "scale": {"domain": keys, "range": list(colours)}},
        "order": {"field": "order", "type": "quantitative"},
        "tooltip": [
            {"field": "year", "title": x_title or _("Year"), "format": ",~f" if x_title else "d"},
            {"field": "name", "title": _("Part")},
            {"field": "value", "title": unit, "format": ",.2f"},
        ],
    }  # fmt: skip
    named = [{"calculate": _words("datum.series", names), "as": "name"}]
    shown = [{**row, "value": round(float(row["value"]), 4), "order": keys.index(row["series"])} for row in rows]
    return _chart(title, shown, height, transform=named, mark={"type": "area" if area else "bar"}, encoding=encoding)


def bars_chart(rows: list[Row], *, title: str, unit: str, form: str = ",.1f") -> Spec:
    """One bar a row: ``name``, ``value``, in the order given; from zero to either side."""
    shown = [{**row, "value": round(float(row["value"]), 4), "order": i} for i, row in enumerate(rows)]
    y = {"field": "name", "type": "ordinal", "sort": {"field": "order"},
         "axis": {"title": None, "labelLimit": 260, "ticks": False}}  # fmt: skip
    x = {"field": "value", "type": "quantitative", "axis": {"title": unit, "format": form, "tickCount": 6}}
    tooltip = [{"field": "name", "title": " "}, {"field": "value", "title": unit, "format": form}]
    colour = {"condition": {"test": "datum.value < 0", "value": ORANGE}, "value": BLUE}
    encoding = {"y": y, "x": x, "color": colour, "tooltip": tooltip}
    return _chart(title, shown, 30 * len(rows) + 20, mark={"type": "bar", "height": {"band": 0.65}}, encoding=encoding)


def pyramid_chart(rows: list[Row], *, title: str, years: tuple[int, int], height: int = 380) -> Spec:
    """Men to the left, women to the right, by age: a later year's middle and 80% range over the filled year of now.

    Parameters
    ----------
    rows
        ``age``, ``sex`` (m, f), ``now`` and ``low``, ``median``, ``high`` of the later year, thousands; men negative.
    """
    sign = {"axis": {"title": _("thousands of people"), "labelExpr": "format(abs(datum.value), ',')", "tickCount": 6}}

    def across(field: str) -> Spec:
        return {"field": field, "type": "quantitative", **sign}

    y = {"field": "age", "type": "quantitative", "axis": {"title": _("age"), "tickCount": 10}, "scale": {"nice": False}}
    names = {"now": str(years[0]), "later": str(years[1])}
    both: Spec = {"y": y}
    tooltip = [
        {"field": "age", "title": _("age"), "format": "d"},
        {"field": "who", "title": " "},
        {"field": "now_shown", "title": names["now"], "format": ",.0f"},
        {"field": "median_shown", "title": names["later"], "format": ",.0f"},
    ]
    side = {"field": "sex", "type": "nominal", "legend": {"title": None, "orient": "top",
            "labelExpr": _words("datum.value", {"m": _("men"), "f": _("women")})},
            "scale": {"domain": ["m", "f"], "range": [BLUE, PLUM]}}  # fmt: skip
    named = [
        {"calculate": _words("datum.sex", {"m": _("men"), "f": _("women")}), "as": "who"},
        {"calculate": "abs(datum.now)", "as": "now_shown"},
        {"calculate": "abs(datum.median)", "as": "median_shown"},
    ]
    layers = [
        {
            "mark": {"type": "bar", "opacity": 0.35, "height": 3, "orient": "horizontal"},
            "encoding": both | {"x": across("now") | {"stack": None}, "color": side, "tooltip": tooltip},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2.5, "opacity": 0.45, "color": INK},
            "encoding": both | {"x": across("low"), "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 9, "opacity": 1, "color": INK},
            "encoding": both | {"x": across("median"), "tooltip": tooltip},
        },
    ]
    return _chart(title, rows, height, transform=named, layer=layers)


def title_of(spec: Spec) -> str:
    """A chart's title."""
    return str(spec["title"]["text"])


def warned(spec: Spec, warnings: Sequence[str]) -> Spec:
    """The chart with the backtest's warnings under its title, for pictures that leave the page."""
    if not warnings:
        return spec
    title = spec["title"]
    lines = [title["subtitle"]] if title["subtitle"] else []
    lines += [line for warning in warnings for line in textwrap.wrap(warning, WARNING_WIDTH)]
    return {**spec, "title": {**title, "subtitle": lines}}


def _picture(spec: Spec, width: int) -> Spec:
    return {**spec, "width": width, "config": {**spec["config"], "background": PAPER}}


def png(spec: Spec, *, width: int = 900, scale: float = 2.0) -> bytes:
    """The chart as a PNG picture, made without browser and network."""
    import vl_convert

    return vl_convert.vegalite_to_png(_picture(spec, width), scale=scale)


def svg(spec: Spec, *, width: int = 900) -> bytes:
    """The chart as an SVG picture, made without browser and network."""
    import vl_convert

    return vl_convert.vegalite_to_svg(_picture(spec, width)).encode()
