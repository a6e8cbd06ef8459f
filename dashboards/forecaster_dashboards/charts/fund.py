"""Charts of the fund's page: fans, risk, the year of running out, what each lever does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecaster_dashboards import language, words
from forecaster_dashboards.charts.parts import (
    BAND,
    BLUE,
    COLOURS,
    GREY,
    INK,
    LABEL,
    LAW,
    OFFICIAL,
    ORANGE,
    PLUM,
    SCHEMA,
    SERIES,
    Row,
    Spec,
    chart,
    config,
    data_of,
    number_format,
    only,
    records,
    series_colour,
    series_named,
    value_axis,
    worded,
    year_axis,
)
from forecaster_dashboards.frames import BANDS, ESTIMATED, PUBLISHED, QUANTILE_NAMES, REFORMED, TODAY, Columns
from forecaster_dashboards.language import _


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
    both = {"x": year_axis(), "y": value_axis("median", zero=zero)}
    layers: list[Spec] = []
    if subtitle:
        layers += [
            {
                "transform": [only(LAW)],
                "mark": {"type": "rect", "color": BAND, "opacity": 0.13},
                "encoding": {
                    "x": year_axis(),
                    "x2": {"field": "until"},
                    "y": value_axis("low95", zero=zero),
                    "y2": {"field": "high95"},
                },
            },
        ]
    if zero:
        layers.append(
            {
                "transform": [only(LAW)],
                "mark": {"type": "rule", "color": INK, "strokeWidth": 1},
                "encoding": {"y": {"datum": 0.0, "type": "quantitative"}},
            }
        )
    layers.append(
        {
            "transform": [only(ESTIMATED)],
            "mark": {"type": "rule", "color": COLOURS[ESTIMATED], "opacity": 0.4, "strokeWidth": 6},
            "encoding": {"x": year_axis(), **_between("low95", "high95", zero)},
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
            "transform": [only(LABEL)],
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
        **data_of([*records(columns, digits), *_labels(columns, digits), *dots, law]),
        "layer": layers,
        "config": config(),
    }


def _labels(columns: Columns, digits: int) -> list[Row]:
    """Names of the bands, at the reform's last year, which stands last."""
    year = int(columns["year"][-1])
    return [
        {"series": LABEL, "year": year, "median": round(float(columns[high][-1]), digits), "text": f"{name}%"}
        for name, _low, high in BANDS
    ]


def _area(series: str, low: str, high: str, opacity: float, zero: bool) -> Spec:
    return {
        "transform": [only(series)],
        "mark": {"type": "area", "opacity": opacity, "color": COLOURS[series], "clip": True},
        "encoding": {"x": year_axis(), **_between(low, high, zero)},
    }


def _outline(field: str, zero: bool) -> Spec:
    return {
        "transform": [only(TODAY)],
        "mark": {"type": "line", "color": ORANGE, "strokeWidth": 1.2, "strokeDash": [2, 3]},
        "encoding": {"x": year_axis(), "y": value_axis(field, zero=zero)},
    }


def _median(series: str, both: Spec, **mark: Any) -> Spec:
    return {
        "transform": [only(series)],
        "mark": {"type": "line", **mark},
        "encoding": both | {"color": series_colour(SERIES)},
    }


def _dots(series: str, both: Spec, **mark: Any) -> Spec:
    return {
        "transform": [only(series)],
        "mark": {"type": "point", "opacity": 1, **mark},
        "encoding": both | {"color": series_colour(SERIES)},
    }


def _officials(both: Spec, digits: int) -> Spec:
    """Diamonds of officials' forecasts, with what each said and when."""
    tooltip = [
        {"field": "year", "title": _("Year"), "format": "d"},
        {"field": "made", "title": _("Made")},
        {"field": "median", "title": _("Forecast"), "format": number_format(digits)},
        {"field": "text", "title": _("Note")},
    ]
    return {
        "transform": [only(OFFICIAL)],
        "mark": {"type": "point", "shape": "diamond", "size": 58, "filled": False, "strokeWidth": 1.6, "color": PLUM},
        "encoding": both | {"tooltip": tooltip},
    }


def _hover(both: Spec, digits: int) -> Spec:
    named = words.quantiles()
    tooltip = [{"field": "year", "title": _("Year"), "format": "d"}, {"field": "name", "title": _("Scenario")}]
    tooltip += [{"field": q, "title": named[q], "format": number_format(digits)} for q in reversed(QUANTILE_NAMES)]
    return {
        "transform": [{"filter": f"indexof({list(SERIES)}, datum.series) >= 0"}, series_named()],
        "mark": {"type": "point", "filled": True, "opacity": 0, "size": 260},
        "encoding": both | {"tooltip": tooltip},
    }


def _between(low: str, high: str, zero: bool) -> Spec:
    return {"y": value_axis(low, zero=zero), "y2": {"field": high}}


def risk_chart(columns: Columns, *, title: str, height: int = 260) -> Spec:
    """Chance by year that the reserve has fallen below the law's floor, and that it has run out, for both scenarios."""
    events = words.events()
    rows = [
        {"series": row["series"], "year": row["year"], "event": event, "chance": row[event]}
        for event in events
        for row in records(columns, 4)
    ]
    legend = {"title": None, "orient": "bottom", "labelExpr": worded("datum.value", events), "columns": 1}
    both = {"x": year_axis(), "y": value_axis("chance", "%") | {"scale": {"domain": [0, 1]}}}
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
            "encoding": both | {"color": series_colour((TODAY, REFORMED)), "strokeDash": dash | {"legend": legend}},
        },
        {"mark": {"type": "point", "filled": True, "opacity": 0, "size": 200}, "encoding": both | {"tooltip": tooltip}},
    ]
    named = [series_named(), {"calculate": worded("datum.event", events), "as": "what"}]
    return chart(title, rows, height, transform=named, layer=layers)


def depletion_chart(columns: Columns, *, title: str, horizon: int, height: int = 240) -> Spec:
    """Share of the simulated futures by the year in which the reserve runs out; "not within the horizon" is a bar."""
    never = _("not by {year}", year=horizon)
    years = [str(year) for year in sorted(set(columns["year"].tolist())) if year]
    rows = records(columns, 4)
    for row in rows:
        row["when"] = str(row["year"]) if row["year"] else never
    axis = {"title": None, "labelOverlap": True, "labelAngle": 0, "labelBound": False}
    encoding = {
        "x": {"field": "when", "type": "ordinal", "sort": [*years, never], "axis": axis},
        "xOffset": {"field": "series", "sort": [TODAY, REFORMED]},
        "y": value_axis("probability", "%"),
        "color": series_colour((TODAY, REFORMED), symbol="square"),
        "tooltip": [
            {"field": "when", "title": _("Year")},
            {"field": "name", "title": _("Scenario")},
            {"field": "probability", "title": _("Share of futures"), "format": ".1%"},
        ],
    }
    return chart(title, rows, height, transform=[series_named()], mark={"type": "bar"}, encoding=encoding)


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
    return chart(title, rows, 34 * len(rows) + 10, transform=far, layer=layers, padding=padding)
