"""Every chart of the projection by name: what makes it, what it says in words, and the note under it.

Pages draw them, the page of exports turns the same ones into pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from forecaster.attribution import SPENDING_DRIVERS, spending_growth
from forecaster_dashboards import charts, frames, language, levers, service, state, words
from forecaster_dashboards.charts import Spec
from forecaster_dashboards.language import _, number
from forecaster_dashboards.view import View, draw

Drawn = tuple[Spec, str, str]


@dataclass(frozen=True)
class Figure:
    """A chart: ``title`` for menus, ``made`` gives specification, words for those who do not see it, and a note.

    ``fits`` says whether there is anything to draw.
    """

    title: Callable[[], str]
    made: Callable[[View], Drawn]
    fits: Callable[[View], bool] = lambda view: True


def show(view: View, name: str) -> None:
    """Draw a chart with its note, or say why there is none."""
    figure = FIGURES[name]
    if not figure.fits(view):
        st.info(_("There is nothing to draw here: move a lever first, or choose a fund whose model knows its people."))
        return
    spec, text, note = figure.made(view)
    draw(spec, text, note)


def _fan(line: str) -> Figure:
    def title() -> str:
        return words.lines()[line]

    def made(view: View) -> Drawn:
        note = _(
            "Your reform: the line is the median, the darkest band holds 50 of 100 simulated futures, the next 80, the "
            "lightest 95; one future in twenty lies outside them all. Today's law: dashed median, dotted outline of "
            "its 95. Hollow dots: no figure is published, the fit gives a range."
        )
        if service.officials(view.ref, line):
            note += " " + _("Diamonds: what officials forecast at the time; point at one to see who and when.")
        return view.fan_chart(line), view.fan_words(line), note

    return Figure(title, made)


def _risk(view: View) -> Drawn:
    spec = charts.risk_chart(
        frames.risk_columns(view.today, view.outcome), title=_("Chance that by the end of the year the reserve ...")
    )
    note = _(
        "“Fell below” and “ran out” count every future in which it happened in this year or earlier, even if the "
        "reserve recovered later; “is below” counts the futures that stand so at the end of the year itself."
    )
    return spec, risk_words(view), note


def risk_words(view: View) -> str:
    """What the charts of risk say."""
    parts = []
    for name, outcome in (("today", view.today), ("reform", view.outcome)):
        below, gone = (float(outcome.events[e].by_year[-1]) for e in ("first_below_floor", "first_depletion"))
        parts.append(
            _(
                "{scenario}: by {year} the reserve has fallen below the law's least in {below} of 100 futures and "
                "has run out in {gone}.",
                scenario=words.scenarios()[name],
                year=view.levers.horizon,
                below=number(100 * below),
                gone=number(100 * gone),
            )
        )
    return " ".join(parts)


def _depletion(view: View) -> Drawn:
    columns = frames.depletion_columns(view.today, view.outcome)
    title = _("Year in which the reserve runs out, share of futures")
    return charts.depletion_chart(columns, title=title, horizon=view.levers.horizon), risk_words(view), ""


def _rates(view: View) -> Drawn:
    general = view.ref.scheme.parameters[state.GENERAL]
    limit, legal = (general.bounds or (0.0, 0.0))[1], not general.bounds_source.startswith("assumed")
    today = state.law_value(view.ref.law, state.GENERAL, view.levers.start)
    columns = frames.pay_as_you_go_columns(view.today, view.outcome)
    title = _("General rate that would balance each year, %")
    spec = charts.rate_chart(columns, title=title, limit=limit, today=today, legal=legal)
    text = _(
        "Median of {year}: {today} under today's law, {reform} under your reform.",
        year=view.levers.horizon,
        today=language.percent(float(view.today.pay_as_you_go[1, -1]), 2),
        reform=language.percent(float(view.outcome.pay_as_you_go[1, -1]), 2),
    )
    return spec, text, _("Line: median. Band: 80 of 100 simulated futures.")


def _waterfall(view: View) -> Drawn:
    found = service.attribution(view.ref, view.levers.horizon, view.reform)
    parts = [(lever_name(view, name), float(lines["reserve_months"][-1].mean())) for name, lines in found.parts.items()]
    base = float(view.today.values("reserve_months")[-1].mean())
    year = view.levers.horizon
    spec = charts.waterfall_chart(
        parts,
        title=_("What each lever does to the reserve at the end of {year}", year=year),
        unit=_("months of outgo, mean of the simulated futures"),
        start=(words.scenarios()["today"], base),
    )
    text = " ".join(f"{name}: {number(part, 2)}." for name, part in parts)
    note = (
        _("Each lever's mean effect over all orders in which they could be introduced; the parts sum exactly.")
        if found.order_free
        else _("More than six levers: introduced one after the other in alphabetical order; the parts sum exactly.")
    )
    return spec, text, note


def lever_name(view: View, name: str) -> str:
    """A lever's name from a reform's parameter or category of shares."""
    return levers.title(view.ref, name) if name in view.ref.scheme.parameters else name


def _payers(view: View) -> Drawn:
    found = frames.payers_by_year(view.outcome)
    # Who pays nothing in any year has no place in the legend.
    found = found[found.groupby("payer")["value"].transform(lambda paid: paid.abs().max()) > 0.0]
    scale = language.money_scale(view.ref.money)
    rows = [
        {"series": row["payer"], "year": row["year"], "value": row["value"] * scale} for row in found.to_dict("records")
    ]
    names = {name: text for name, text in words.payers(view.ref.place).items() if name in set(found["payer"])}
    unit = _("{unit} a year", unit=language.money_unit(view.ref.money))
    spec = charts.stacked_chart(rows, names, title=_("Who pays, under your reform"), unit=unit)
    last = {row["series"]: row["value"] for row in rows if row["year"] == view.levers.horizon}
    text = " ".join(f"{names[name]}: {number(value)} {unit}." for name, value in last.items())
    note = _("Nominal, mean of the simulated futures.")
    if view.ref.place.upper() == "TWN":
        note += " " + _("The state as employer counts as government.")
    return spec, text, note


def _growth(view: View) -> Drawn:
    found = spending_growth(view.outcome.basis, view.outcome.policy)
    scale = language.money_scale(view.ref.money)
    names = {
        "people": _("number of people"),
        "ageing": _("ageing"),
        "income": _("income per head, prices in"),
        "excess": _("cost growth beyond income"),
        "policy": _("budget and co-payments"),
    }
    rows = [
        {"series": driver, "year": int(year), "value": float(value) * scale}
        for driver, values in found.items()
        for year, value in zip(view.outcome.years, values.mean(axis=1), strict=True)
    ]
    unit = _("{unit} a year", unit=language.money_unit(view.ref.money))
    title = _("Growth of outgo since {year} by what drives it", year=view.ref.first_year)
    spec = charts.stacked_chart(rows, names, title=title, unit=unit)
    last = {row["series"]: row["value"] for row in rows if row["year"] == view.levers.horizon}
    text = " ".join(f"{names[name]}: {number(value)} {unit}." for name, value in last.items())
    note = _(
        "Mean of the simulated futures; the parts sum exactly. Ageing is what people of each age cost today, with "
        "more of them old; cost growth beyond income is what a unit of need costs more than income per head."
    )
    return spec, text, note


def driver_names() -> dict[str, str]:
    """Groups of :func:`forecaster.drivers.path_groups` in the reader's words."""
    return {
        "people: need and working age": _("People and ageing"),
        "economy: GDP per person of working age": _("Growth of the economy and prices"),
        "cost beyond need and GDP per head": _("Cost growth beyond income"),
        "contribution base against GDP": _("Contribution base beyond the economy"),
        "cost": _("Growth of outlay"),
        "contribution base": _("Growth of the contribution base"),
        "supplementary base against GDP": _("Income under the supplementary premium"),
        "opening reserve, other income, yield": _("Reserve at the start, other income, yield"),
        "rest": _("What these do not explain"),
    }


def _spread(view: View) -> Drawn:
    year = view.levers.horizon
    shares = service.spread_shares(view.ref, year, view.reform)
    ordered = sorted(shares.items(), key=lambda item: (item[0] == "rest", -item[1]))
    names = driver_names()
    rows = [{"name": names.get(name, name), "value": 100 * share} for name, share in ordered]
    title = _("What the uncertainty of the reserve in {year} comes from", year=year)
    spec = charts.bars_chart(rows, title=title, unit=_("% of the variance of the reserve in months"))
    text = " ".join(f"{row['name']}: {number(float(str(row['value'])))}%." for row in rows)
    note = _(
        "Shares of the variance over the simulated futures, credited to each driver as its mean gain over all orders. "
        "What nobody has put into the model is not in it."
    )
    return spec, text, note


def _has_people(view: View) -> bool:
    return set(SPENDING_DRIVERS) <= set(view.today.basis.drivers)


FIGURES: dict[str, Figure] = {
    "reserve_months": _fan("reserve_months"),
    "reserve": _fan("reserve"),
    "balance": _fan("balance"),
    "total_income": _fan("total_income"),
    "outgo": _fan("outgo"),
    "risk": Figure(lambda: _("Risk by year"), _risk),
    "depletion": Figure(lambda: _("Year in which the reserve runs out"), _depletion),
    "waterfall": Figure(
        lambda: _("What each lever does"),
        _waterfall,
        lambda view: bool(view.reform.changes),
    ),
    "rates": Figure(lambda: _("Balancing rate"), _rates),
    "payers": Figure(lambda: _("Who pays"), _payers),
    "growth": Figure(lambda: _("Growth of outgo by driver"), _growth, _has_people),
    "spread": Figure(lambda: _("Sources of uncertainty"), _spread, lambda view: view.ref.basis.n_draws >= 50),
}


def fitting(view: View) -> tuple[str, ...]:
    """Names of the charts that can be drawn now."""
    return tuple(name for name, figure in FIGURES.items() if figure.fits(view))
