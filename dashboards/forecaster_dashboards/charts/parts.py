"""What all charts are made of: fonts and colours, axes, rows, pictures."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forecaster_dashboards import language, words
from forecaster_dashboards.frames import ESTIMATED, PUBLISHED, REFORMED, TODAY, Columns
from forecaster_dashboards.language import _

Spec = dict[str, Any]
Row = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Orange and blue stay apart for every kind of colour blindness, and in grey print by dash and shape.
INK, GREY, ORANGE, BLUE, BAND, PLUM = "#31333f", "#666b75", "#b4470b", "#1c5fa8", "#27784c", "#a3195b"
GRID, AXIS, PAPER, HOLLOW = "#e6e8ee", "#c5c8d0", "#ffffff", "#868a94"
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


def number_format(digits: int) -> str:
    return f",.{digits}f"


def records(columns: Columns, digits: int) -> list[Row]:
    """Rows as dictionaries, numbers but for years rounded."""
    # Adding zero turns a minus zero into zero.
    lists = [(np.round(v, digits) + 0.0 if v.dtype.kind == "f" else v).tolist() for v in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def data_of(values: list[Row]) -> Spec:
    return {"data": {"name": ROWS}, "datasets": {ROWS: values}}


def worded(field: str, names: Mapping[str, str]) -> str:
    """Expression that turns a code into the reader's words."""
    return " : ".join(f"{field} === '{code}' ? {json.dumps(name)}" for code, name in names.items()) + " : ''"


def series_named() -> Spec:
    return {"calculate": worded("datum.series", words.series()), "as": "name"}


def only(series: str) -> Spec:
    return {"filter": f"datum.series === '{series}'"}


def year_axis() -> Spec:
    axis = {"format": "d", "tickMinStep": 1, "title": None, "labelOverlap": True, "grid": False, "labelFlush": True}
    axis["labelSeparation"] = 6
    return {"field": "year", "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": False}}


def value_axis(field: str, axis_format: str = ",~f", *, zero: bool = True) -> Spec:
    axis = {"title": None, "format": axis_format, "tickCount": 6}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": zero}}


def series_colour(names: Sequence[str], *, symbol: str = "stroke") -> Spec:
    scale = {"domain": list(names), "range": [COLOURS[name] for name in names]}
    shown = {
        "title": None,
        "orient": "top",
        "columns": 2,
        "labelExpr": worded("datum.value", words.series()),
        "symbolType": symbol,
        "symbolStrokeWidth": 3,
    }
    return {"field": "series", "type": "nominal", "scale": scale, "legend": shown}


def legend_of(names: Mapping[str, str]) -> Spec:
    labels = worded("datum.value", names)
    return {"title": None, "orient": "top", "columns": 2, "labelExpr": labels, "labelLimit": 420}


def chart(title: str, rows: list[Row], height: int, **rest: Any) -> Spec:
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": "", "subtitleFontSize": 12},
        "width": "container",
        "height": height,
        **data_of(rows),
        **rest,
        "config": config(),
    }


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
