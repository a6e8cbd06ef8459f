"""The page of what drives the fund: people, cost, and what the uncertainty comes from."""

from __future__ import annotations

import numpy as np
import streamlit as st

from forecaster.language import terms
from forecaster_dashboards import charts, figures, language, service
from forecaster_dashboards.language import _, number
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import View, draw, fragment, sheet, view_of

NEED = "need_index"


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@fragment
def _body(ref: Reference) -> None:
    view = view_of(ref)
    if NEED not in view.today.basis.drivers:
        st.info(_("This fund is forecast from its yearly accounts alone: its model knows neither ages nor an economy."))
    else:
        left, right = st.columns(2, gap="large")
        with left:
            _pyramid(view)
        with right:
            if figures.FIGURES["growth"].fits(view):
                figures.show(view, "growth")
            else:
                st.info(
                    _(
                        "What drives the growth of outgo is not told apart for this fund: its model knows the people "
                        "by age, but no economy."
                    )
                )
            _people(view)
    figures.show(view, "spread")


def _pyramid(view: View) -> None:
    found = service.pyramids(view.ref, view.levers.horizon)
    if found is None:
        st.info(_("The fit holds no population by age."))
        return
    now, later = found
    years = (view.ref.first_year, view.levers.horizon)
    rows = []
    for sex, sign in ((0, -1), (1, 1)):
        for age in range(now.shape[-1]):
            low, mid, high = (sign * float(later[q, sex, age]) / 1e3 for q in range(3))
            rows.append(
                {"sex": "mf"[sex], "age": age, "now": round(sign * float(now[sex, age]) / 1e3, 1),
                 "low": round(low, 1), "median": round(mid, 1), "high": round(high, 1)}
            )  # fmt: skip
    title = _("People by age")
    old = [float(people[..., 65:].sum() / people.sum()) for people in (now, later[1])]
    text = _(
        "People of 65 and over: {now} of all in {first}, {later} in {last}.",
        now=language.percent(old[0]), later=language.percent(old[1]), first=years[0], last=years[1],
    )  # fmt: skip
    draw(charts.pyramid_chart(rows, title=title, years=years), text)
    st.caption(text + " " + _("From 100 on all ages stand together."))


def _people(view: View) -> None:
    """Middle and 80% range of what the basis knows of people and economy, at three years."""
    drivers = view.outcome.basis.drivers
    years = view.outcome.years
    counted = terms.data_scale("million persons")
    people = _("people, {unit}", unit=terms.data_unit("million persons"))
    named = {
        "population": (people, 1e-6 * counted, 2 if counted == 1.0 else 0),
        "share_65_and_over": (_("share of 65 and over, %"), 100.0, 1),
        NEED: (_("need, first year is 100"), None, 1),
    }
    rows = []
    for name, (title, scale, digits) in named.items():
        if name not in drivers:
            continue
        values = drivers[name]
        factor = 100.0 / values[0].mean() if scale is None else scale
        row: dict[str, object] = {_("quantity"): title}
        for at in sorted({0, len(years) // 2, len(years) - 1}):
            low, mid, high = np.quantile(values[at] * factor, (0.1, 0.5, 0.9))
            row[str(years[at])] = f"{number(mid, digits)} ({number(low, digits)} – {number(high, digits)})"
        rows.append(row)
    sheet({name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]})
    st.caption(_("Median, in brackets the range that holds 80 of 100 simulated futures."))
