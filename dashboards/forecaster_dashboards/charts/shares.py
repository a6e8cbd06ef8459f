"""Charts that several pages share: medians by year, parts of a whole, bars, people by age."""

from __future__ import annotations

from collections.abc import Mapping

from forecaster_dashboards import language
from forecaster_dashboards.charts.parts import (
    BAND,
    BLUE,
    GREY,
    INK,
    ORANGE,
    PARTS,
    PLUM,
    REST,
    Row,
    Spec,
    chart,
    legend_of,
    number_format,
    value_axis,
    worded,
    year_axis,
)
from forecaster_dashboards.language import _


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
        "labelExpr": worded("datum.value", names),
        "labelLimit": 420,
    }
    encoding = {
        "x": year_axis(),
        "y": value_axis("median"),
        "color": {"field": "series", "type": "nominal", "legend": legend,
                  "scale": {"domain": keys, "range": [ORANGE, BLUE, BAND, PLUM, GREY][: len(keys)]}},
        "strokeDash": {"field": "series", "type": "nominal", "legend": None,
                       "scale": {"domain": keys, "range": dashes[: len(keys)]}},
        "tooltip": [
            {"field": "year", "title": _("Year"), "format": "d"},
            {"field": "name", "title": _("Scenario")},
            {"field": "median", "title": _("median"), "format": number_format(digits)},
        ],
    }  # fmt: skip
    named = [{"calculate": worded("datum.series", names), "as": "name"}]
    shown = [{**row, "median": round(float(row["median"]), digits)} for row in rows]
    mark = {"type": "line", "strokeWidth": 2.6, "point": {"opacity": 0, "size": 160}}
    return chart(title, shown, height, transform=named, mark=mark, encoding=encoding)


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
    legend = legend_of(names) | {"symbolType": "square"}
    x: Spec = year_axis() if area else {"field": "year", "type": "ordinal", "axis": {"title": None, "labelAngle": 0,
                                 "labelOverlap": True}}  # fmt: skip
    if x_title:
        x = {"field": "year", "type": "quantitative", "axis": {"title": x_title, **_large()}}
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
    named = [{"calculate": worded("datum.series", names), "as": "name"}]
    shown = [{**row, "value": round(float(row["value"]), 4), "order": keys.index(row["series"])} for row in rows]
    return chart(title, shown, height, transform=named, mark={"type": "area" if area else "bar"}, encoding=encoding)


def _large() -> Spec:
    """Large amounts along an axis as the reader counts them: 200k, 20萬."""
    if language.current() == language.ENGLISH:
        return {"format": "~s"}
    label = f"datum.value ? format(datum.value / 10000, ',~f') + '{language.ten_thousand()}' : '0'"
    return {"labelExpr": label}


def bars_chart(rows: list[Row], *, title: str, unit: str, form: str = ",.1f") -> Spec:
    """One bar a row: ``name``, ``value``, in the order given; from zero to either side."""
    shown = [{**row, "value": round(float(row["value"]), 4), "order": i} for i, row in enumerate(rows)]
    y = {"field": "name", "type": "ordinal", "sort": {"field": "order"},
         "axis": {"title": None, "labelLimit": 260, "ticks": False}}  # fmt: skip
    x = {"field": "value", "type": "quantitative", "axis": {"title": unit, "format": form, "tickCount": 6}}
    tooltip = [{"field": "name", "title": " "}, {"field": "value", "title": unit, "format": form}]
    colour = {"condition": {"test": "datum.value < 0", "value": ORANGE}, "value": BLUE}
    encoding = {"y": y, "x": x, "color": colour, "tooltip": tooltip}
    return chart(title, shown, 30 * len(rows) + 50, mark={"type": "bar", "height": {"band": 0.65}}, encoding=encoding)


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
            "labelExpr": worded("datum.value", {"m": _("men"), "f": _("women")})},
            "scale": {"domain": ["m", "f"], "range": [BLUE, PLUM]}}  # fmt: skip
    named = [
        {"calculate": worded("datum.sex", {"m": _("men"), "f": _("women")}), "as": "who"},
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
    shown = chart(title, rows, height, transform=named, layer=layers)
    # Beneath the title, which a narrow screen would cut.
    shown["title"]["subtitle"] = _("{first} filled, {last} as dots with 80% range", first=years[0], last=years[1])
    return shown
