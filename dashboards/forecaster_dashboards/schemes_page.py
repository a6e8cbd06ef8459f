"""The page of laws side by side: shipped schemes, parameter by parameter."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.parameters import Parameter
from forecaster.schemes import Scheme, load_scheme, scheme_ids
from forecaster.transplant import CARRIED
from forecaster.transplant_need import BORNE, CUT, WITH, WITHOUT
from forecaster_dashboards import charts, frames, language, references, service, words
from forecaster_dashboards.kept import kept
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import detail, draw, fragment, sheet, table

# Laws side by side: at first, of those in force, and at most.
AT_FIRST, MOST = 3, 4


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@kept(1)
def schemes() -> dict[str, Scheme]:
    """Every shipped law by name; one that cannot be read is left out here, `forecaster check` names its faults."""
    found = {}
    for name in scheme_ids():
        try:
            found[name] = load_scheme(name)
        except ForecasterError:
            continue
    return found


@fragment
def _body(ref: Reference) -> None:
    known = dict(schemes())
    known.setdefault(ref.scheme.id, ref.scheme)
    st.markdown(_("What each law says, side by side: the value on a day, or on the law's last day where it has ended."))
    ordered = sorted(known, key=lambda name: (name != ref.scheme.id, known[name].end is not None))
    chosen = st.multiselect(
        _("Laws"), list(known), default=ordered[:AT_FIRST], max_selections=MOST,
        key=f"laws.{ref.pool}", format_func=lambda name: _title(known[name]), select_all=False,
    )  # fmt: skip
    day = st.date_input(
        _("Day"), value=dt.date(ref.first_year, 1, 1), min_value=dt.date(1990, 1, 1), max_value=dt.date(2100, 12, 31),
        format=language.date_pattern(), key="law_day",
    )  # fmt: skip
    if not chosen:
        st.info(_("Choose at least one law."))
        return
    only = st.toggle(_("Only what differs"), key="only_different")
    laws = [known[name] for name in chosen]
    place = laws[0].place if len({law.place for law in laws}) == 1 else ""
    for group, frame in compared(laws, day, only_different=only).items():
        sheet(frame, caption=words.group_names(place)[group])
    st.caption(
        _("Empty: the law has no such parameter. Articles, sources and every dated value stand on the page “Evidence”.")
    )
    _transplant(ref)


def rules() -> dict[str, str]:
    """Rules that can be laid over another fund, see :mod:`forecaster.transplant`."""
    return {
        "government_floor": _("the government's least share"),
        "yearly_review": _("the yearly review of the rate"),
        "supplementary_premium": _("the supplementary premium"),
        "global_budget": _("a global budget: outlay grows no faster than the contribution base"),
        "merge": _("both funds merged"),
    }


def _transplant(ref: Reference) -> None:
    """A rule of another fund's law laid over this one."""
    others = {name: pool for name, pool in references.served_pools().items() if name != ref.pool and not pool.folder}
    if not others:
        return
    st.subheader(_("A rule of another law in this fund"), anchor=False)
    one, two = st.columns(2)
    donor = one.selectbox(
        _("from"), list(others), key=f"donor.{ref.pool}", format_func=lambda name: language.said(others[name].label)
    )
    held = set(others[donor].law.parameters)
    offered = [name for name in rules() if set(CARRIED[name]) <= held]
    rule = two.selectbox(
        _("rule"), offered, index=None, key=f"rule.{ref.pool}.{donor}", format_func=lambda name: rules()[name],
        placeholder=_("choose a rule"),
    )  # fmt: skip
    if rule is None:
        return
    year = ref.horizons[min(1, len(ref.horizons) - 1)]
    try:
        with st.spinner(_("Loading the fit and drawing 4,000 futures from it ...")):
            before, after, assumptions = service.transplanted(ref, donor, rule, year)
    except ForecasterError as error:
        st.info(_("This rule cannot be laid over this fund."))
        detail(error)
        return
    names = {"today": words.scenarios()["today"], "rule": _("with the rule")}
    rows = [
        {"series": name, "year": int(at), "median": float(value)}
        for name, outcome in (("today", before), ("rule", after))
        for at, value in zip(outcome.years, outcome.median("reserve_months"), strict=True)
    ]
    told = [
        _(
            "{scenario}: stays above {months} until {year} in {n} of 100 futures.",
            scenario=names[name],
            months=words.months(outcome.scenario.floor_months),
            year=year,
            n=round(100 * frames.stays_above(outcome, year)),
        )
        for name, outcome in (("today", before), ("rule", after))
    ]
    title = _("Reserve at year end, months of outgo")
    draw(charts.lines_chart(rows, names, title=_("{title}: medians", title=title), digits=2), " ".join(told))
    st.markdown("  \n".join(told))
    st.caption(" ".join(language.said(text) for text in assumptions))
    with st.expander(_("Households in need, without and with the rule"), key="rule_need", on_change="rerun") as opened:
        if opened.open:
            _need(ref, donor, rule, year)


def _need(ref: Reference, donor: str, rule: str, year: int) -> None:
    """Shares of households that care would ruin, or why nothing tells them."""
    try:
        with st.spinner(_("Drawing households ...")):
            found = service.transplanted_need(ref, donor, rule, year)
    except ForecasterError as error:
        st.info(_("What the rule does to households cannot be told here."))
        detail(error)
        return
    readings = {
        WITHOUT: words.scenarios()["today"],
        WITH: _("with the rule"),
        BORNE: _("with the rule, patients bear the rest"),
        CUT: _("with the rule, care is cut"),
    }
    measures = words.measures_of_need()
    columns = {words.with_note(_("share of households"), str(year)): np.array(list(measures.values()), dtype=object)}
    for reading, shares in found.items():
        columns[readings[reading]] = np.array([100.0 * shares[measure] for measure in measures])
    table(columns, digits=2)
    st.caption(_("Medians of the simulated futures, of all households of mainland China after every payer."))


def _title(scheme: Scheme) -> str:
    until = "" if scheme.end is None else _(", ") + _("until {day}", day=language.day(scheme.end))
    place = words.places().get(scheme.place.upper(), scheme.place)
    return words.with_note(language.said(scheme.label), f"{place}{until}")


def value_on(parameter: Parameter, day: dt.date) -> str:
    """What a parameter says on that day, empty before its first value."""
    held = [v for v in parameter.values if v.status != "proposed" and v.start <= day]
    return words.lever_value(parameter, held[-1].value) if held else ""


def compared(laws: list[Scheme], day: dt.date, *, only_different: bool = False) -> dict[str, pd.DataFrame]:
    """Parameters of several laws by group of levers: one row a parameter, one column a law."""
    columns = [_title(law) for law in laws]
    groups: dict[str, list[list[str]]] = {}
    names = dict.fromkeys(name for law in laws for name in law.parameters)
    for name in names:
        held = []
        for law in laws:
            parameter = law.parameters.get(name)
            at = min(day, law.end) if law.end else day
            held.append("" if parameter is None else value_on(parameter, at))
        if only_different and len(set(held)) == 1:
            continue
        label = " / ".join(
            dict.fromkeys(words.label(law.parameters[name], name) for law in laws if name in law.parameters)
        )
        groups.setdefault(words.group_of(name), []).append([label, *held])
    ordered = [group for group in words.group_names() if group in groups]
    return {group: pd.DataFrame(groups[group], columns=[_("parameter"), *columns]) for group in ordered}
