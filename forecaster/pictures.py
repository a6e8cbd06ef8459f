"""Charts for reports and exports as Vega-Lite dictionaries, and as SVG or PNG without a browser or the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
INK, GREY, BLUE, ORANGE, GREEN = "#31333f", "#666b75", "#1c5fa8", "#b4470b", "#2e8b57"
# Fonts that cover Latin and both Chinese scripts; the first that is installed is taken.
FONTS = "Noto Sans, Noto Sans CJK TC, Noto Sans CJK SC, DejaVu Sans, sans-serif"
WIDTH, HEIGHT = 560, 260


# Labels stand below their ticks, the first and the last too, and as many as find room.
_YEARS: Spec = {
    "field": "year",
    "type": "quantitative",
    "title": None,
    "scale": {"nice": False, "zero": False},
    "axis": {"format": "d", "tickMinStep": 1, "tickCount": 8, "labelFlush": False},
}


def _config(font: str) -> Spec:
    words = {"labelColor": INK, "titleColor": GREY, "labelFontSize": 12, "titleFontSize": 12}
    return {
        "font": font,
        "background": "white",
        "view": {"stroke": None},
        "axis": {**words, "titleFontWeight": "normal", "gridColor": "#e6e8ee", "domainColor": "#c5c8d0"},
        "title": {"fontSize": 14, "color": INK, "anchor": "start"},
        "legend": {**words, "orient": "bottom", "title": None},
    }


def _chart(title: str, rows: list[dict[str, Any]], layers: list[Spec], font: str, **rest: Any) -> Spec:
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "config": _config(font),
        "data": {"values": rows},
        "layer": layers,
        **rest,
    }


def waterfall_chart(bars: pd.DataFrame, title: str, font: str = FONTS) -> Spec:
    """Bars from one result to another.

    Parameters
    ----------
    bars
        See :func:`forecaster.reconcile.waterfall`: ``step``, ``start``, ``end``, ``value``.
    """
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(bars.to_dict("records")):
        total = i in {0, len(bars) - 1}
        kind = "total" if total else ("rise" if row["value"] >= 0 else "fall")
        rows.append(
            {
                **{str(k): v for k, v in row.items()},
                "kind": kind,
                "shown": _figure(row["value"], "" if total else "+"),
            }
        )
    x = {"field": "step", "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": 0, "labelLimit": 150}}
    colours = {"domain": ["total", "rise", "fall"], "range": [GREY, BLUE, ORANGE]}
    y = {"field": "start", "type": "quantitative", "title": None}
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "size": 46},
            "encoding": {
                "x": x,
                "y": y,
                "y2": {"field": "end"},
                "color": {"field": "kind", "scale": colours, "legend": None},
            },
        },
        {
            "mark": {"type": "text", "dy": -8, "color": INK, "fontSize": 12},
            "transform": [{"calculate": "max(datum.start, datum.end)", "as": "top"}],
            "encoding": {"x": x, "y": {"field": "top", "type": "quantitative"}, "text": {"field": "shown"}},
        },
    ]
    return _chart(title, rows, layers, font)


def _figure(value: float, sign: str) -> str:
    """A bar's figure: whole from a thousand on, never with an exponent."""
    digits = 0 if abs(value) >= 1000.0 else 1 if abs(value) >= 10.0 else 3
    # Adding zero after rounding turns "-0.0" into "0.0".
    return f"{round(value, digits) + 0.0:{sign},.{digits}f}"


def fan_chart(
    series: Mapping[str, pd.DataFrame], title: str, unit: str, past: pd.DataFrame | None = None, font: str = FONTS
) -> Spec:
    """Median and bands by year, the first series as bands, further ones as median and outline of the 80% band.

    Parameters
    ----------
    series
        Name to a table with ``year``, ``q0.025``, ``q0.1``, ``q0.25``, ``q0.5``, ``q0.75``, ``q0.9``, ``q0.975``.
    past
        ``year`` and ``value`` of published figures, if any.
    """
    rows: list[dict[str, Any]] = []
    for name, table in series.items():
        for row in table.to_dict("records"):
            # A point in a field's name would be read as a path.
            found = {str(key).replace(".", "_"): value for key, value in row.items() if str(key).startswith("q")}
            rows.append({"series": name, "year": int(row["year"]), **found})
    names = list(series)
    for row in [] if past is None else past.to_dict("records"):
        rows.append({"series": "past", "year": int(row["year"]), "value": row["value"]})
    x = _YEARS
    scale = {"domain": names, "range": [BLUE, ORANGE, GREEN][: len(names)]}
    colour = {"field": "series", "type": "nominal", "scale": scale, "legend": None if len(names) == 1 else {}}

    def y(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "title": unit}

    first = [{"filter": {"field": "series", "equal": names[0]}}]
    layers: list[Spec] = [
        {
            "transform": first,
            "mark": {"type": "area", "opacity": opacity},
            "encoding": {"x": x, "y": y(low), "y2": {"field": high}, "color": colour},
        }
        for low, high, opacity in (
            ("q0_025", "q0_975", 0.15),
            ("q0_1", "q0_9", 0.2),
            ("q0_25", "q0_75", 0.25),
        )
    ]
    others = [{"filter": {"field": "series", "oneOf": names[1:]}}]
    for field in ("q0_1", "q0_9") if len(names) > 1 else ():
        layers.append(
            {
                "transform": others,
                "mark": {"type": "line", "strokeDash": [4, 3]},
                "encoding": {"x": x, "y": y(field), "color": colour},
            }
        )
    layers.append(
        {
            "transform": [{"filter": {"field": "series", "oneOf": names}}],
            "mark": {"type": "line", "strokeWidth": 2.5},
            "encoding": {"x": x, "y": y("q0_5"), "color": colour},
        }
    )
    if past is not None and len(past):
        layers.append(
            {
                "transform": [{"filter": {"field": "series", "equal": "past"}}],
                "mark": {"type": "point", "filled": True, "color": INK, "size": 36},
                "encoding": {"x": x, "y": y("value")},
            }
        )
    layers.append({"mark": {"type": "rule", "color": GREY}, "encoding": {"y": {"datum": 0}}})
    return _chart(title, rows, layers, font)


def line_chart(columns: Mapping[str, Sequence[float]], years: Sequence[int], title: str, font: str = FONTS) -> Spec:
    """Shares of futures by year, one line a series, from 0 to 1."""
    rows = [
        {"series": name, "year": int(year), "share": float(value)}
        for name, values in columns.items()
        for year, value in zip(years, values, strict=True)
    ]
    scale = {"domain": list(columns), "range": [BLUE, ORANGE, GREEN, GREY][: len(columns)]}
    layer = {
        "mark": {"type": "line", "strokeWidth": 2.5},
        "encoding": {
            "x": _YEARS,
            "y": {
                "field": "share",
                "type": "quantitative",
                "title": None,
                "scale": {"domain": [0, 1]},
                "axis": {"format": ".0%"},
            },
            "color": {"field": "series", "type": "nominal", "scale": scale},
        },
    }
    return _chart(title, rows, [layer], font)


def svg(spec: Spec) -> bytes:
    """The chart as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec)).encode()


def png(spec: Spec, scale: float = 2.0) -> bytes:
    """The chart as PNG."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec, scale=scale))
