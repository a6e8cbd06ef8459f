"""The widgets of the levers, and their state within one session."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import streamlit as st

from forecaster.parameters import Parameter
from forecaster_dashboards import state, texts
from forecaster_dashboards.service import Reference
from forecaster_dashboards.state import GENERAL, SUPPLEMENTARY, Levers

START, HORIZON, FOLLOWS, LONG_PAST, READY, SAID = (
    "start",
    "horizon",
    "follows",
    "long_past",
    "levers_ready",
    "link_said",
)
LINK = "s"


def key(name: str) -> str:
    """Key of a lever's widget."""
    return f"lever.{name}"


def default_start(ref: Reference) -> dt.date:
    """First day of the second projected year: a rate is decided in the autumn before."""
    return dt.date(ref.first_year + 1, 1, 1)


def last_start_year(ref: Reference) -> int:
    """Last year in which a reform may start."""
    return int(ref.basis.years[-1])


def put(ref: Reference, levers: Levers) -> None:
    """Move the widgets there; only before they are drawn in a run."""
    st.session_state[START] = levers.start
    st.session_state[HORIZON] = levers.horizon
    st.session_state[FOLLOWS] = levers.tied
    for name, value in levers.values.items():
        st.session_state[key(name)] = state.shown(ref.scheme.parameters[name], value)


def reset(ref: Reference) -> None:
    """All levers back to today's law; start and horizon stay."""
    start = st.session_state.get(START, default_start(ref))
    put(ref, state.todays_law(ref.law, start, st.session_state.get(HORIZON, ref.horizons[0])))
    st.session_state[SAID] = []
    st.query_params.clear()


def prepare(ref: Reference) -> None:
    """Once in a session, and again for another link: put the levers where the link or the law has them."""
    link = st.query_params.get(LINK)
    if st.session_state.get(READY) == (link or ""):
        return
    if READY in st.session_state and link is None:
        return
    levers = state.todays_law(ref.law, default_start(ref), ref.horizons[0])
    said: list[str] = []
    if link is not None:
        years = (ref.first_year, last_start_year(ref))
        levers, said = state.from_link(link, ref.law, ref.fit_hash, years, ref.horizons, levers)
        said = said or [texts.LINK_RESTORED]
    put(ref, levers)
    st.session_state[SAID] = said
    st.session_state[READY] = link or ""


def _start_moved(ref: Reference, before: dt.date) -> None:
    """Levers that stood at the law of the old day stand at the law of the new one."""
    after = st.session_state[START]
    for name in state.lever_names(ref.scheme):
        parameter = ref.scheme.parameters[name]
        if st.session_state[key(name)] == state.shown(parameter, state.law_value(ref.law, name, before)):
            st.session_state[key(name)] = state.shown(parameter, state.law_value(ref.law, name, after))


def current(ref: Reference) -> Levers:
    """Where the levers of this session stand."""
    values = {
        name: state.meant(ref.scheme.parameters[name], float(st.session_state[key(name)]))
        for name in state.lever_names(ref.scheme)
    }
    levers = Levers(st.session_state[START], st.session_state[HORIZON], values, bool(st.session_state[FOLLOWS]))
    return state.with_tie(ref.law, levers)


def panel(ref: Reference) -> None:
    """Draw the levers."""
    _rates(ref)
    start = st.session_state[START]
    left, right = st.columns(2)
    left.date_input(
        texts.START,
        min_value=dt.date(ref.first_year, 1, 1),
        max_value=dt.date(last_start_year(ref), 12, 31),
        format="YYYY-MM-DD",
        key=START,
        on_change=_start_moved,
        args=(ref, start),
        persist_state="session",
    )
    right.selectbox(texts.HORIZON, ref.horizons, key=HORIZON, persist_state="session")
    st.toggle(texts.LONG_PAST, key=LONG_PAST, persist_state="session")
    with st.expander(texts.MORE_LEVERS, key="more_levers", on_change="rerun") as more:
        # Closed, it costs nothing; the levers in it keep their values.
        for name in state.lever_names(ref.scheme) if more.open else ():
            if name not in {GENERAL, SUPPLEMENTARY}:
                _secondary(ref, name)
    st.button(texts.RESET, key="reset", on_click=reset, args=(ref,), width="stretch")


def _rates(ref: Reference) -> None:
    with st.container(key="general"):
        _general(ref)
    day = st.session_state[START]
    parameter = ref.scheme.parameters[GENERAL]
    st.caption(texts.limit_note(_text(parameter, (parameter.bounds or (0, 0))[1]), parameter.bounds_source))
    if SUPPLEMENTARY not in state.lever_names(ref.scheme):
        return
    parameter = ref.scheme.parameters[SUPPLEMENTARY]
    if st.session_state[FOLLOWS]:
        general = state.meant(ref.scheme.parameters[GENERAL], st.session_state[key(GENERAL)])
        tied = state.tied_rate(ref.law, day, general)
        st.session_state[key(SUPPLEMENTARY)] = state.shown(parameter, tied)
    low, high = _bounds(parameter)
    st.slider(
        f"{parameter.label}, %", low, high, step=state.grid(parameter).step, format="%.2f", key=key(SUPPLEMENTARY),
        help=_help(parameter, day), disabled=bool(st.session_state[FOLLOWS]), persist_state="session",
    )  # fmt: skip
    st.toggle(texts.FOLLOWS, key=FOLLOWS, help=texts.FOLLOWS_HELP, persist_state="session")


def _general(ref: Reference) -> None:
    parameter = ref.scheme.parameters[GENERAL]
    day = st.session_state[START]
    low, high = _bounds(parameter)
    law = state.law_value(ref.law, GENERAL, day)
    since, source = _in_force(parameter, day)
    st.slider(
        f"{parameter.label}, %", low, high, step=state.grid(parameter).step, format="%.2f", key=key(GENERAL),
        help=_help(parameter, day), persist_state="session",
    )  # fmt: skip
    place = (state.shown(parameter, law) - low) / (high - low)
    st.html(_mark(place, texts.law_mark(_text(parameter, law), since, source)))


def _mark(place: float, words: str) -> str:
    """A mark under the slider at the share ``place`` of its width, its words on the side that has room."""
    side = "right:calc(100% - 0.45em)" if place > 0.5 else "left:-0.45em"
    shown = f"{words} ▲" if place > 0.5 else f"▲ {words}"
    inner = f'<span style="position:absolute;white-space:nowrap;{side}">{html.escape(shown)}</span>'
    return (
        '<div style="position:relative;height:1.2em;margin:-0.9rem 0.5rem 0;font-size:0.8rem;color:#b4470b">'
        f'<span style="position:absolute;left:{100 * place:.2f}%">{inner}</span></div>'
    )


def _secondary(ref: Reference, name: str) -> None:
    parameter, day = ref.scheme.parameters[name], st.session_state[START]
    steps = state.grid(parameter)
    low, high = _bounds(parameter)
    unit = texts.MILLIONS if steps.scale == 1e-6 else texts.SHOWN_UNITS[parameter.unit]
    label = f"{texts.SHORT_LABELS.get(name, parameter.label)}, {unit}"
    law = texts.law_note(_text(parameter, state.law_value(ref.law, name, day)))
    format_ = f"%.{steps.decimals}f"
    shared: dict[str, Any] = {
        "key": key(name),
        "help": _help(parameter, day),
        "persist_state": "session",
        "step": steps.step,
    }
    if parameter.unit in {"share", "persons"}:
        st.slider(f"{label} ({law})", low, high, format=format_, **shared)
    else:
        st.number_input(f"{label} ({law})", low, high, format=format_, **shared)


def _bounds(parameter: Parameter) -> tuple[float, float]:
    low, high = parameter.bounds or (0.0, 0.0)
    return state.shown(parameter, low), state.shown(parameter, high)


def _text(parameter: Parameter, value: float) -> str:
    steps = state.grid(parameter)
    number = f"{state.shown(parameter, value):,.{steps.decimals}f}"
    return f"{number}%" if parameter.unit == "share" else number


def _in_force(parameter: Parameter, day: dt.date) -> tuple[dt.date, str]:
    dated = [v for v in parameter.values if v.status != "proposed" and v.start <= day]
    return dated[-1].start, dated[-1].source


def _help(parameter: Parameter, day: dt.date) -> str:
    dated = [v for v in parameter.values if v.status != "proposed" and v.start <= day][-1]
    low, high = (f"{value:,g}" for value in _bounds(parameter))
    return texts.lever_help(
        parameter.label, parameter.article, f"{low} to {high}", parameter.bounds_source, dated.source, dated.status
    )
