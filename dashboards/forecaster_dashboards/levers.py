"""The widgets of the levers, and their state within one session."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import streamlit as st

from forecaster.language import terms
from forecaster.parameters import Parameter
from forecaster.policy import Change, Reform
from forecaster_dashboards import address, language, service, state, words
from forecaster_dashboards.kept import kept
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Preset, Reference
from forecaster_dashboards.state import GENERAL, SUPPLEMENTARY, Levers

START, HORIZON, FOLLOWS, LONG_PAST = "start", "horizon", "follows", "long_past"
DAYS, LATER, HISTORY, NOTES, READY, KEPT = "days", "later", "history", "link_notes", "levers_ready", "kept"
COUNTED = "levers_counted"
MOST_KEPT, MOST_STEPS_BACK = 3, 50


def key(name: str) -> str:
    """Key of a lever's widget."""
    return f"lever.{name}"


def is_shared(name: str) -> bool:
    """Whether a key belongs to a widget of the levers, which stand on several pages."""
    return name.startswith(key("")) or name in {START, HORIZON, FOLLOWS, LONG_PAST}


def default_start(ref: Reference) -> dt.date:
    """First day of the second projected year: a rate is decided in the autumn before."""
    return dt.date(ref.first_year + 1, 1, 1)


def unmoved(ref: Reference) -> Levers:
    """Today's law at the first day and horizon that a page opens with."""
    return state.todays_law(ref.law, ref.levers, default_start(ref), ref.horizons[0])


@kept(16)
def _unmoved_token(ref: Reference) -> str:
    return state.to_link(ref.law, unmoved(ref), ref.fit_hash)


def put(ref: Reference, levers: Levers) -> None:
    """Move the widgets there; only before they are drawn in a run."""
    st.session_state[START] = levers.start
    st.session_state[HORIZON] = levers.horizon
    st.session_state[FOLLOWS] = levers.tied
    st.session_state[DAYS] = dict(levers.days)
    st.session_state[LATER] = list(levers.later)
    for name, value in levers.values.items():
        st.session_state[key(name)] = state.shown(ref.scheme.parameters[name], value)
    for name, word in levers.choices.items():
        st.session_state[key(name)] = word


def current(ref: Reference) -> Levers:
    """Where the levers of this session stand."""
    parameters = ref.scheme.parameters
    values = {
        name: state.meant(parameters[name], float(st.session_state[key(name)]))
        for name in ref.levers
        if parameters[name].bounds
    }
    choices = {name: str(st.session_state[key(name)]) for name in ref.levers if not parameters[name].bounds}
    start = st.session_state[START]
    days = {name: day for name, day in st.session_state[DAYS].items() if day != start}
    levers = Levers(
        start,
        int(st.session_state[HORIZON]),
        values,
        bool(st.session_state[FOLLOWS]),
        choices,
        days,
        tuple(st.session_state[LATER]),
    )
    return state.with_tie(ref.law, levers)


def read(ref: Reference, text: str) -> tuple[Levers, list[str]]:
    """Levers of a link's text, and what is to be said about it."""
    years = (ref.first_year, ref.last_start_year)
    return state.from_link(text, ref.law, ref.levers, ref.fit_hash, years, ref.horizons, unmoved(ref))


def _count_anew(ref: Reference) -> None:
    """Amounts of money stand in the widgets as the reader counts them: in 億 where they stood in thousand millions."""
    before, now = st.session_state.get(COUNTED, language.current()), language.current()
    st.session_state[COUNTED] = now
    if before == now:
        return
    for name in ref.levers:
        parameter = ref.scheme.parameters[name]
        if parameter.bounds and key(name) in st.session_state:
            with language.speaking(before):
                value = state.meant(parameter, float(st.session_state[key(name)]))
            st.session_state[key(name)] = state.shown(parameter, value)


def prepare(ref: Reference) -> None:
    """Put the levers where the address or the law has them: once in a session, and for every other address or pool."""
    _count_anew(ref)
    link = st.query_params.get(address.LINK, "")
    known = st.session_state.get(READY)
    if known == (ref.pool, link) or (known is not None and known[0] == ref.pool and not link):
        return
    notes: list[str] = []
    levers = unmoved(ref)
    if link:
        levers, notes = read(ref, link)
        notes = notes or [_("The levers stand as the link has them.")]
    put(ref, levers)
    notes += _keep_compared(ref)
    st.session_state[HISTORY] = [state.to_link(ref.law, levers, ref.fit_hash)]
    st.session_state[NOTES] = notes
    st.session_state[READY] = (ref.pool, link)


def _keep_compared(ref: Reference) -> list[str]:
    """Keep the scenarios that the address has for comparison; a sentence for each that is left out."""
    found, said = [], []
    texts = [text for text in st.query_params.get(address.COMPARED, "").split("!") if text]
    for text in texts[:MOST_KEPT]:
        levers, _notes = read(ref, text)
        if state.reform_of(ref.law, levers).changes:
            found.append(state.to_link(ref.law, levers, ref.fit_hash))
        else:
            said.append(state.dropped(text))
    st.session_state[KEPT] = found
    return said + [state.dropped(text) for text in texts[MOST_KEPT:][:1]]


def remember(ref: Reference, levers: Levers) -> None:
    """Note the levers for undoing, and keep the address in step with them, so that nothing is lost on a reload."""
    token = state.to_link(ref.law, levers, ref.fit_hash)
    history = st.session_state[HISTORY]
    if history[-1] != token:
        history.append(token)
        del history[:-MOST_STEPS_BACK]
    plain = token == _unmoved_token(ref)
    st.session_state[READY] = (ref.pool, "" if plain else token)
    address.hold(address.LINK, "" if plain else token)
    address.hold(address.COMPARED, "!".join(st.session_state[KEPT]))


def put_back() -> None:
    """The scenario into the address again, which forgets it when the reader goes to another page."""
    address.hold(address.LINK, st.session_state[READY][1])
    address.hold(address.COMPARED, "!".join(st.session_state[KEPT]))


def _undo(ref: Reference) -> None:
    history = st.session_state[HISTORY]
    if len(history) > 1:
        history.pop()
        put(ref, read(ref, history[-1])[0])


def _reset(ref: Reference) -> None:
    """All levers back to today's law; start and horizon stay."""
    put(ref, state.todays_law(ref.law, ref.levers, st.session_state[START], st.session_state[HORIZON]))
    st.session_state[NOTES] = []


def take(ref: Reference, preset: Preset) -> None:
    """Put the levers where a known plan has them, the others at today's law."""
    start = min((change.start for change in preset.reform.changes), default=default_start(ref))
    start = max(start, dt.date(ref.first_year, 1, 1))
    moved = tuple(Change(c.name, max(c.start, start), c.value) for c in preset.reform.changes)
    put(ref, state.levers_of(ref.law, ref.levers, Reform(moved), start, st.session_state[HORIZON]))
    st.session_state[NOTES] = []


def _start_moved(ref: Reference, before: dt.date) -> None:
    """Levers that stood at the law of the old day stand at the law of the new one."""
    after = st.session_state[START]
    for name in ref.levers:
        parameter = ref.scheme.parameters[name]
        if not parameter.bounds or name in st.session_state[DAYS]:
            continue
        if st.session_state[key(name)] == state.shown(parameter, state.law_value(ref.law, name, before)):
            st.session_state[key(name)] = state.shown(parameter, state.law_value(ref.law, name, after))


def buttons(ref: Reference) -> None:
    """Undo and reset."""
    row = st.container(horizontal=True)
    row.button(
        _("Undo"), key="undo", on_click=language.bound(_undo), args=(ref,), width="stretch", icon=":material/undo:",
        disabled=len(st.session_state[HISTORY]) < 2,
    )  # fmt: skip
    row.button(_("Today's law"), key="reset", on_click=language.bound(_reset), args=(ref,), width="stretch")


def span(ref: Reference) -> None:
    """First day of the reform and last year shown."""
    row = st.container(horizontal=True)
    earliest, latest = dt.date(ref.first_year, 1, 1), dt.date(ref.last_start_year, 12, 31)
    row.date_input(
        _("The reform starts on"), min_value=earliest, max_value=latest,
        format=language.date_pattern(), key=START, on_change=language.bound(_start_moved),
        args=(ref, st.session_state[START]), persist_state="session",
    )  # fmt: skip
    row.selectbox(_("Show until"), ref.horizons, key=HORIZON, persist_state="session")


def chief(ref: Reference) -> None:
    """The general rate, and the supplementary one if the law has it."""
    with st.container(key="general"):
        widget(ref, GENERAL, marked=True)
    if SUPPLEMENTARY in ref.levers:
        supplementary(ref)


def supplementary(ref: Reference) -> None:
    """The supplementary rate, and the switch that ties it to the general one."""
    if st.session_state[FOLLOWS]:
        parameter, other = ref.scheme.parameters[SUPPLEMENTARY], ref.scheme.parameters[GENERAL]
        general = state.meant(other, st.session_state[key(GENERAL)])
        day = st.session_state[DAYS].get(GENERAL, st.session_state[START])
        st.session_state[key(SUPPLEMENTARY)] = state.shown(parameter, state.tied_rate(ref.law, day, general))
    widget(ref, SUPPLEMENTARY, disabled=bool(st.session_state[FOLLOWS]))
    st.toggle(
        _("Follows the general rate, as Article 33 has it"),
        key=FOLLOWS,
        help=_(
            "The law moves this rate in proportion to the general rate, rounded to a hundredth of a percent. "
            "Switch off to set it yourself."
        ),
        persist_state="session",
    )


def widget(ref: Reference, name: str, *, marked: bool = False, disabled: bool = False) -> None:
    """The widget of one lever, with today's law at it and the bounds explained behind its question mark."""
    parameter = ref.scheme.parameters[name]
    day = st.session_state[DAYS].get(name, st.session_state[START])
    shared: dict[str, Any] = {"key": key(name), "help": explained(ref, name, day), "persist_state": "session"}
    title = words.label(parameter, name)
    if not parameter.bounds:
        law = terms.choices().get(state.law_word(ref.law, name, day), "")
        st.selectbox(
            words.with_note(title, _("today: {value}", value=law)), parameter.choices,
            format_func=lambda word: terms.choices().get(word, word), **shared,
        )  # fmt: skip
        return
    steps = state.grid(parameter)
    low, high = (state.shown(parameter, value) for value in parameter.bounds)
    law_value = state.law_value(ref.law, name, day)
    unit = words.unit(parameter, steps.scale)
    label = _("{label}, {unit}", label=title, unit=unit) if unit else title
    if not marked:
        shown = language.number(state.shown(parameter, law_value), steps.decimals)
        label = words.with_note(label, _("today: {value}", value=shown))
    shared |= {"step": steps.step, "format": f"%.{steps.decimals}f", "disabled": disabled}
    if parameter.unit in {"share", "persons", "months", "times"}:
        st.slider(label, low, high, **shared)
    else:
        st.number_input(label, low, high, **shared)
    if marked:
        text = _("today's law {value}", value=words.lever_value(parameter, law_value))
        st.html(_mark((state.shown(parameter, law_value) - low) / (high - low), text))


def _mark(place: float, text: str) -> str:
    """A mark under the slider at the share ``place`` of its width, its words on the side that has room."""
    side = "right:calc(100% - 0.45em)" if place > 0.5 else "left:-0.45em"
    shown = f"{text} ▲" if place > 0.5 else f"▲ {text}"
    inner = f'<span style="position:absolute;white-space:nowrap;{side}">{html.escape(shown)}</span>'
    return (
        '<div class="law-mark" style="position:relative;height:1.2em;margin:-0.9rem 0.5rem 0;font-size:0.8rem">'
        f'<span style="position:absolute;left:{100 * place:.2f}%">{inner}</span></div>'
    )


def in_force(parameter: Parameter, day: dt.date) -> tuple[dt.date, str, str]:
    """Since when today's value holds, its source and its status."""
    dated = [v for v in parameter.values if v.status != "proposed"]
    found = next((v for v in reversed(dated) if v.start <= day), dated[0])
    return found.start, found.source, found.status


def explained(ref: Reference, name: str, day: dt.date) -> str:
    """What stands behind a lever's question mark: article, bounds and who says so, today's value and its source."""
    parameter = ref.scheme.parameters[name]
    since, source, status = in_force(parameter, day)
    text = (
        _("{label} ({article}).", label=language.said(parameter.label), article=language.said(parameter.article)) + " "
    )
    if parameter.bounds:
        low, high = (words.lever_value(parameter, value) for value in parameter.bounds)
        text += _("From {low} to {high}: {source}. ", low=low, high=high, source=language.said(parameter.bounds_source))
    return text + _(
        "Today's value holds since {day}; source {source}, {status}.",
        day=language.day(since),
        source=service.linked(ref.place, terms.source(source)),
        status=terms.statuses().get(status, status),
    )


def title(ref: Reference, name: str) -> str:
    """A lever's name, that of a layer's term with the layer before it."""
    label = words.label(ref.scheme.parameters[name], name)
    layer = ref.stack.by_id.get(name.partition(".")[0]) if ref.stack else None
    return label if layer is None else f"{language.said(layer.label)}{_(': ')}{label}"


def change_words(ref: Reference, change: Change) -> str:
    """One change of a reform as a sentence."""
    parameter = ref.scheme.parameters[change.name]
    return _(
        "{lever}: {value} from {day}",
        lever=title(ref, change.name),
        value=words.lever_value(parameter, change.value),
        day=language.day(change.start),
    )
