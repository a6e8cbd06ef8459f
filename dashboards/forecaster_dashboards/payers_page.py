"""The page of who pays: payers by year, categories of the insured, groups of income, birth cohorts."""

from __future__ import annotations

import numpy as np
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.policy import Reform
from forecaster.who_pays import GROUPS
from forecaster_dashboards import charts, figures, frames, language, service, words
from forecaster_dashboards.language import _, number, said
from forecaster_dashboards.references import Reference
from forecaster_dashboards.solve_page import payer_table
from forecaster_dashboards.view import View, draw, fragment, table, view_of

BORN = tuple(range(1950, 2021, 10))


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@fragment
def _body(ref: Reference) -> None:
    view = view_of(ref)
    first, last = ref.first_year, view.levers.horizon
    years = list(range(first, last + 1))
    begin = min(max(view.levers.start.year, first), last)
    year = st.selectbox(_("Year"), years, index=years.index(begin), key=f"payer_year.{begin}.{last}", width=200)
    figures.show(view, "payers")
    _tables(view, year, begin)
    if service.incidence(ref.pool) is None:
        return
    _categories(view, year)
    _incomes(view, year)
    _cohorts(view)


def _tables(view: View, year: int, begin: int) -> None:
    last = view.levers.horizon
    left, right = st.columns(2, gap="large")
    for column, one, other, title in (
        (left, year, year, _("Who pays in {year}", year=year)),
        (right, begin, last, _("Who pays from {first} to {last} together", first=begin, last=last)),
    ):
        with column:
            st.markdown(f"**{title}**")
            payer_table(view, frames.payer_frame(view.today, view.outcome, one, other))


def _categories(view: View, year: int) -> None:
    """General premium by category and payer, mean of the futures."""
    st.markdown(f"**{_('General premium by category in {year}', year=year)}**")
    found = service.categories(view.outcome, year)
    scale = language.money_scale(view.ref.money)
    payers = words.payers(view.ref.place)
    known = [payer for payer in payers if any(key[1] == payer for key in found)]
    labels = {name: said(category.label) for name, category in view.ref.scheme.categories.items()}
    columns: dict[str, np.ndarray] = {
        language.money_unit(view.ref.money): np.array(list(labels.values()), dtype=object)
    }
    for payer in known:
        columns[payers[payer]] = np.array([scale * found.get((name, payer), 0.0) for name in labels])
    table(columns)
    st.caption(_("Under your reform. How the base splits over categories is assumed, see “Evidence”."))


def _incomes(view: View, year: int) -> None:
    """Own payments of five groups of income, and how progressive they are."""
    st.markdown(f"**{_('Five groups of income in {year}, from the lowest', year=year)}**")
    try:
        both = [service.incomes(view.ref, view.levers.horizon, reform, year) for reform in (Reform(), view.reform)]
    except ForecasterError:
        st.caption(_("This law has no table of insured amounts, so payments cannot be told by income."))
        return
    frames_ = [found.table() for found in both]
    unit = language.money_unit(view.ref.scheme.currency)
    now, after = frames_
    table(
        {
            _("group"): np.array([_("{n} of {total}", n=i + 1, total=GROUPS) for i in range(GROUPS)], dtype=object),
            _("income a month, {unit}", unit=unit): after["income"].to_numpy(),
            _("own premiums a month, {unit}", unit=unit): (after["general"] + after["supplementary"]).to_numpy(),
            _("% of income, today's law"): 100 * now["own_share_of_income"].to_numpy(),
            _("% of income, your reform"): 100 * after["own_share_of_income"].to_numpy(),
        },
        digits=2,
    )
    today, reform = (found.progressivity()["own"] for found in both)
    st.caption(
        _(
            "Kakwani's index of the insured's own premiums: {today} under today's law, {reform} under your reform; "
            "above zero the better-off pay more than in proportion. Incomes are assumed lognormal, fitted to "
            "published counts.",
            today=number(today, 3),
            reform=number(reform, 3),
        )
    )


def _cohorts(view: View) -> None:
    """What cohorts still pay and receive."""
    with st.expander(
        _("Birth cohorts: what each pays and receives in a life"), key="cohorts", on_change="rerun"
    ) as opened:
        if not opened.open:
            return
        births = tuple(birth for birth in BORN if birth <= view.ref.first_year)
        try:
            found = service.cohorts(view.ref, view.reform, births)
        except ForecasterError:
            st.caption(_("This fund's model knows neither ages nor an economy, so there are no cohorts."))
            return
        rows = [
            {"name": str(birth), "value": float(net) / 1e3}
            for birth, net in zip(found.births, np.median(found.net, axis=1), strict=True)
        ]
        unit = _("thousand {currency} a person", currency=language.money_unit(view.ref.scheme.currency))
        first, last = int(found.first.min()), int(found.last.max())
        title = _("Benefits less payments by year of birth, {first} to {last}", first=first, last=last)
        text = " ".join(f"{row['name']}: {number(float(str(row['value'])))} {unit}." for row in rows)
        draw(charts.bars_chart(rows, title=title, unit=unit), text)
        st.caption(
            _(
                "Median of the futures, for a person alive in the first year counted (that of birth, or {first}): each "
                "year's money carried there by the growth of GDP per head, in money of {year}. Counted to {last}: the "
                "young still have benefits to come after it. Payments of employers and government count for those "
                "insured.",
                first=first,
                year=view.ref.first_year,
                last=last,
            )
        )
