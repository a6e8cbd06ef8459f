"""The part of the page of protection that meets the fund: layers' terms as levers, and who pays for members' care."""

from __future__ import annotations

import datetime as dt

import numpy as np
import streamlit as st

from forecaster.benefits import OUT_OF_POCKET
from forecaster.layers import Stack
from forecaster.policy import Change, Reform
from forecaster_dashboards import language, levers, service, state, words
from forecaster_dashboards.language import _, said
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import View, table, view_of


def show(ref: Reference, stack: Stack, moved: Reform) -> None:
    """Carry the page's terms into the fund's reform, and say who pays for the members' care there.

    Parameters
    ----------
    stack
        The layers that the page is about; nothing is shown unless they stand behind this fund.
    moved
        The terms that the page has moved.
    """
    if ref.stack is None or stack.id != ref.stack.id:
        return
    st.divider()
    st.subheader(_("In the fund's projection"), anchor=False)
    view = view_of(ref)
    held = [change for change in view.reform.changes if change.name in ref.layer_terms]
    terms = [in_fund(ref, change) for change in moved.changes if change.name in ref.layer_terms]
    row = st.container(horizontal=True)
    row.button(
        _("Put the terms above into the reform"), key="terms_in", on_click=language.bound(take), args=(ref, terms),
        disabled=not terms or set(terms) <= set(held), icon=":material/input:",
    )  # fmt: skip
    row.button(
        _("Take the layers' terms out of it"),
        key="terms_out",
        on_click=language.bound(put_back),
        args=(ref,),
        disabled=not held,
    )
    if held:
        st.markdown("\n".join(f"- {levers.change_words(ref, change)}" for change in held))
    else:
        st.caption(_("The reform moves no term of these layers yet; as its levers they act on every page."))
    with st.expander(_("Who pays for the members' care"), key="care_paid", on_change="rerun") as opened:
        if opened.open:
            _payers(view, stack)
    with st.expander(_("Households in need under the fund's reform"), key="in_need", on_change="rerun") as opened:
        if opened.open:
            _in_need(view)


def in_fund(ref: Reference, change: Change) -> Change:
    """The change from a day on which the fund is projected."""
    years = (ref.first_year, ref.last_start_year)
    return Change(change.name, dt.date(min(max(change.start.year, years[0]), years[1]), 1, 1), change.value)


def take(ref: Reference, terms: list[Change]) -> None:
    """Put the levers where these terms are, each from its own day on."""
    put_back(ref)
    for change in terms:
        st.session_state[levers.key(change.name)] = state.shown(ref.scheme.parameters[change.name], float(change.value))
        if change.start != st.session_state[levers.START]:
            st.session_state[levers.DAYS][change.name] = change.start


def put_back(ref: Reference) -> None:
    """Put every term of the layers back to today's law."""
    start = st.session_state[levers.START]
    for name in ref.layer_terms:
        law = state.law_value(ref.law, name, start)
        st.session_state[levers.key(name)] = state.shown(ref.scheme.parameters[name], law)
        st.session_state[levers.DAYS].pop(name, None)
    st.session_state[levers.LATER] = [c for c in st.session_state[levers.LATER] if c.name not in ref.layer_terms]


def _payers(view: View, stack: Stack) -> None:
    """Mean payments of a year by payer under both scenarios; they sum to what care costs."""
    ref, horizon = view.ref, view.levers.horizon
    year = _year(view, "care_year")
    with st.spinner(_("Finding who pays for the members' care ...")):
        both = [service.care(ref, horizon, reform) for reform in (Reform(), view.reform)]
    names = {layer.id: said(layer.label) for layer in stack.layers} | {OUT_OF_POCKET: _("Paid by the household")}
    scale, at = language.money_scale(ref.money), year - ref.first_year
    values = [np.array([scale * found[payer][at] for payer in names]) for found in both]
    whole = [np.append(paid, paid.sum()) for paid in values]
    unit = language.money_unit(ref.money)
    table(
        {
            words.with_note(_("payer"), unit): np.array(
                [*names.values(), words.payers(ref.place)["total"]], dtype=object
            ),
            words.scenarios()["today"]: whole[0],
            words.scenarios()["reform"]: whole[1],
            # Rounded, or a sum's last bit would show as a minus zero.
            _("difference"): np.round(whole[1] - whole[0], 9) + 0.0,
        }
    )
    st.caption(
        _(
            "Mean of the simulated futures, nominal. The layers that the fund pays sum to its outgo; people are not "
            "taken to use more care when it is paid better."
        )
    )


def _year(view: View, key: str) -> int:
    """The year that a table is about: two years into the reform, until the reader chooses another."""
    horizon = view.levers.horizon
    years = list(range(view.ref.first_year, horizon + 1))
    wanted = min(max(view.levers.start.year + 2, years[0]), horizon)
    return int(st.selectbox(_("Year"), years, index=years.index(wanted), key=f"{key}.{wanted}.{horizon}", width=200))


def _in_need(view: View) -> None:
    """Shares of households that care would ruin, after all payers, with their 80% range over the simulated futures."""
    ref, horizon = view.ref, view.levers.horizon
    year = _year(view, "need_year")
    with st.spinner(_("Drawing households ...")):
        both = [service.in_need(ref, horizon, reform, year) for reform in (Reform(), view.reform)]
    names = words.measures_of_need()
    columns = {_("share of households"): np.array([names[measure] for measure in both[0]], dtype=object)}
    for scenario, found in zip(words.scenarios().values(), both, strict=True):
        for place, quantile in enumerate(("low80", "median", "high80")):
            shares = np.array([100.0 * values[place] for values in found.values()])
            columns[f"{scenario}: {words.quantiles()[quantile]}"] = shares
    table(columns, digits=2)
    st.caption(
        _(
            "Of all households of mainland China after every payer. The layers' terms move these shares, and those of "
            "the fund's levers that change who is covered and how well; premiums are no payment for care. Many figures "
            "behind it are assumed: docs/stack.md."
        )
    )
