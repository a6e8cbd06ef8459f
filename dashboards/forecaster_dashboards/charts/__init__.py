"""Charts as Vega-Lite dictionaries: pure functions from a table, no Streamlit.

All data of a chart stand in one place, ``spec["datasets"][ROWS]``, rounded for the eye; everything else in the
specification stays the same while a lever moves, so that the browser replaces the data and builds no new chart.
Colours are those of the light theme; :func:`in_look` puts those of the dark one in their place.
"""

from forecaster_dashboards.charts.fund import depletion_chart, fan_chart, risk_chart, waterfall_chart
from forecaster_dashboards.charts.parts import DARK, PAPER, ROWS, Spec, fan_titles, in_look, png, svg, title_of, warned
from forecaster_dashboards.charts.rates import frontier_chart, rate_chart
from forecaster_dashboards.charts.shares import bars_chart, lines_chart, pyramid_chart, stacked_chart

__all__ = [
    "DARK",
    "PAPER",
    "ROWS",
    "Spec",
    "bars_chart",
    "depletion_chart",
    "fan_chart",
    "fan_titles",
    "frontier_chart",
    "in_look",
    "lines_chart",
    "png",
    "pyramid_chart",
    "rate_chart",
    "risk_chart",
    "stacked_chart",
    "svg",
    "title_of",
    "warned",
    "waterfall_chart",
]
