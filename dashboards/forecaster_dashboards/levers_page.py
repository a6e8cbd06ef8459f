"""The page of all levers: known plans, levers grouped as the law groups them, timing, comparison of scenarios."""

from __future__ import annotations

import datetime as dt
import html

import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.language import terms
from forecaster.policy import Change
from forecaster.store import open_store, store_configured
from forecaster_dashboards import (
    access,
    charts,
    export_page,
    figures,
    frames,
    language,
    levers,
    references,
    saved,
    service,
    state,
    words,
)
from forecaster_dashboards.language import _, number
from forecaster_dashboards.references import Reference
from forecaster_dashboards.state import GENERAL, SUPPLEMENTARY
from forecaster_dashboards.view import View, detail, draw, fragment, table, view_of

PRESET = "preset"
MOST_STEPS = 20


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@fragment
def _body(ref: Reference) -> None:
    said = st.container()
    with said:
        view = view_of(ref)
    st.html(_strip(view))
    left, right = st.columns([1.25, 1], gap="large")
    with left:
        if ref.presets:
            _presets(ref)
        _groups(ref)
    with right, st.container(key="outcome"):
        _now(view)
        figures.show(view, "reserve_months")
        _timing(view)
    st.divider()
    _compare(view)
    _saved(view)


def _strip(view: View) -> str:
    """The headline in a line that stays in sight above the levers of a telephone, whose outcome stands far below."""
    last, floor = view.levers.horizon, words.months(view.today.scenario.floor_months)
    title = _("Chance that the reserve stays above {months} of outlay", months=floor)
    now, after = (language.percent(frames.stays_above(outcome, last)) for outcome in (view.today, view.outcome))
    until = _("until {year}", year=last)
    return (
        f"<div class='strip'>{html.escape(words.with_note(title, until))}{_(': ')}"
        f"<b class='today'>{now}</b> → <b class='reform'>{after}</b></div>"
    )


def _presets(ref: Reference) -> None:
    st.subheader(_("Known plans"), anchor=False)
    by_name = {preset.name: preset for preset in ref.presets}

    def taken() -> None:
        chosen = st.session_state[PRESET]
        if chosen:
            levers.take(ref, by_name[chosen])
            st.session_state[PRESET] = None

    st.selectbox(
        _("Put the levers where a plan has them"), list(by_name), index=None, key=PRESET,
        on_change=language.bound(taken),
        format_func=lambda name: language.said(by_name[name].label), placeholder=_("choose a plan"),
    )  # fmt: skip
    with st.expander(_("What the plans are and where they come from")):
        for preset in ref.presets:
            status = terms.statuses().get(preset.status, preset.status)
            source = _("no source: made to show the lever")
            if preset.source:
                source = _("source {id}", id=service.linked(ref.place, preset.source))
            st.markdown(
                words.with_note(f"**{language.said(preset.label)}**", f"{status}{_('; ')}{source}")
                + f"  \n{language.said(preset.description)}"
            )


def _groups(ref: Reference) -> None:
    st.subheader(_("Levers"), anchor=False)
    levers.span(ref)
    levers.buttons(ref)
    for group, title in words.group_names(ref.place).items():
        names = [name for name in ref.levers if words.group_of(name) == group and name not in ref.layer_terms]
        if not names:
            continue
        with st.container(border=True):
            st.markdown(f"**{title}**")
            for name in names:
                if name == SUPPLEMENTARY:
                    levers.supplementary(ref)
                else:
                    levers.widget(ref, name, marked=name == GENERAL)


def _now(view: View) -> None:
    """The reform in words, and what it does."""
    st.subheader(_("Your reform"), anchor=False)
    if not view.reform.changes:
        st.caption(_("All levers stand at today's law."))
    else:
        st.markdown("\n".join(f"- {levers.change_words(view.ref, change)}" for change in view.reform.changes))
    rows = []
    for name, outcome in (("today", view.today), ("reform", view.outcome)):
        rows.append(_summary(view, words.scenarios()[name], outcome))
    _summary_table(rows)


def _summary(view: View, name: str, outcome: frames.Outcome) -> dict[str, str]:
    last = view.levers.horizon
    gone = outcome.events["first_depletion"]
    months, amount = (float(outcome.median(line)[-1]) for line in ("reserve_months", "reserve"))
    even = gone.quantile(0.5)
    return {
        _("Scenario"): name,
        _("stays above {months}", months=words.months(outcome.scenario.floor_months)): language.percent(
            frames.stays_above(outcome, last)
        ),
        _("runs out by {year}", year=last): language.percent(float(gone.by_year[-1])),
        _("runs out in the middle future"): _("not by {year}", year=last) if even is None else str(even),
        _("months at the end"): number(months, 1),
        _("reserve at the end"): language.money(amount, view.ref.money),
    }


def _summary_table(rows: list[dict[str, str]]) -> None:
    """The scenarios side by side: figures as rows, so that it fits a telephone."""
    keys = list(rows[0])
    lines = ["| " + " | ".join(["", *(f"**{_cell(row[keys[0]])}**" for row in rows)]) + " |"]
    lines.append("|" + "---|" * (len(rows) + 1))
    lines += ["| " + " | ".join([key, *(_cell(row[key]) for row in rows)]) + " |" for key in keys[1:]]
    st.markdown("\n".join(lines))


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _timing(view: View) -> None:
    """Own first day of each moved lever, and further steps."""
    ref = view.ref
    st.subheader(_("Timing"), anchor=False)
    moved = [name for name in ref.levers if state.is_moved(ref.law, view.levers, name)]
    if not moved:
        st.caption(_("Move a lever, and its first day can be set here."))
    earliest, latest = dt.date(ref.first_year, 1, 1), dt.date(ref.last_start_year, 12, 31)
    for name in moved:
        widget_key = f"day.{name}"
        st.session_state[widget_key] = view.levers.day(name)
        st.date_input(
            _("{lever} from", lever=levers.title(ref, name)),
            min_value=earliest, max_value=latest,
            format=language.date_pattern(), key=widget_key, on_change=_day_moved, args=(name,),
        )  # fmt: skip
    for i, change in enumerate(view.levers.later):
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.markdown(levers.change_words(ref, change))
        button.button("✕", key=f"drop_step.{i}", on_click=_drop_step, args=(i,), help=_("Take this step out"))
    with st.expander(_("Add a later step")):
        _later_step(view, earliest, latest)


def _day_moved(name: str) -> None:
    day = st.session_state[f"day.{name}"]
    if day == st.session_state[levers.START]:
        st.session_state[levers.DAYS].pop(name, None)
    else:
        st.session_state[levers.DAYS][name] = day


def _drop_step(i: int) -> None:
    del st.session_state[levers.LATER][i]


def _later_step(view: View, earliest: dt.date, latest: dt.date) -> None:
    ref = view.ref
    numeric = [name for name in ref.levers if ref.scheme.parameters[name].bounds]
    name = st.selectbox(_("Lever"), numeric, key="step_lever", format_func=lambda n: levers.title(ref, n))
    parameter = ref.scheme.parameters[name]
    steps = state.grid(parameter)
    low, high = (state.shown(parameter, bound) for bound in parameter.bounds or (0.0, 0.0))
    left, right = st.columns(2)
    default = min(max(dt.date(view.levers.day(name).year + 3, 1, 1), earliest), latest)
    day = left.date_input(
        _("from"), value=default, min_value=earliest, max_value=latest, format=language.date_pattern(),
        key=f"step_day.{name}",
    )  # fmt: skip
    value = right.number_input(
        words.unit(parameter, steps.scale), low, high, value=state.shown(parameter, view.levers.values[name]),
        step=steps.step, format=f"%.{steps.decimals}f", key=f"step_value.{name}",
    )  # fmt: skip
    later = st.session_state[levers.LATER]
    taken = any(change.name == name and change.start == day for change in later) or day <= view.levers.day(name)
    if taken:
        st.caption(_("A step lies after the lever's first day, and on a day of its own."))

    def add() -> None:
        later.append(Change(name, day, state.meant(parameter, float(value))))
        later.sort()

    st.button(_("Add"), key="add_step", on_click=language.bound(add), disabled=taken or len(later) >= MOST_STEPS)


def _keep(ref: Reference, token: str) -> None:
    kept = st.session_state[levers.KEPT]
    if token not in kept and len(kept) < levers.MOST_KEPT:
        kept.append(token)


def _drop(i: int) -> None:
    del st.session_state[levers.KEPT][i]


def _bring_back(ref: Reference, token: str) -> None:
    levers.put(ref, levers.read(ref, token)[0])


def _compare(view: View) -> None:
    """Today's law, the levers' own scenario and up to three kept ones: four reforms at most beside the law."""
    ref = view.ref
    st.subheader(_("Compare"), anchor=False)
    kept: list[str] = st.session_state[levers.KEPT]
    token = state.to_link(ref.law, view.levers, ref.fit_hash)
    st.button(
        _("Keep this scenario for comparison"), key="keep", on_click=_keep, args=(ref, token),
        disabled=not view.reform.changes or token in kept or len(kept) >= levers.MOST_KEPT, icon=":material/add:",
    )  # fmt: skip
    if not kept:
        st.caption(_("Keep up to three scenarios; they stand beside the one of the levers, and in the address."))
        return
    shown: dict[str, frames.Outcome] = {"today": view.today}
    names = {"today": words.scenarios()["today"]}
    for i, text in enumerate(kept):
        held, _notes = levers.read(ref, text)
        name = chr(ord("A") + i)
        reform = state.reform_of(ref.law, held)
        shown[name], names[name] = service.reformed(ref, view.levers.horizon, reform), name
        column, back, out = st.columns([6, 1.4, 0.6], vertical_alignment="center")
        column.markdown(f"**{name}**: " + _("; ").join(levers.change_words(ref, change) for change in reform.changes))
        back.button(_("To the levers"), key=f"bring_back.{i}", on_click=language.bound(_bring_back), args=(ref, text))
        out.button("✕", key=f"drop.{i}", on_click=_drop, args=(i,), help=_("Take this scenario out"))
    if token not in kept and view.reform.changes:
        shown["reform"], names["reform"] = view.outcome, words.scenarios()["reform"]
    title = charts.fan_titles(ref.money)["reserve_months"][0]
    rows = [
        {"series": name, "year": int(year), "median": float(value)}
        for name, outcome in shown.items()
        for year, value in zip(outcome.years, outcome.median("reserve_months"), strict=True)
    ]
    ends = " ".join(f"{names[name]}: {number(o.median('reserve_months')[-1], 1)}." for name, o in shown.items())
    draw(charts.lines_chart(rows, names, title=_("{title}: medians", title=title), digits=2), ends)
    _summary_table([_summary(view, names[name], outcome) for name, outcome in shown.items()])
    with st.expander(_("Chance of standing above the law's least, by year")):
        wide: frames.Columns = {_("Year"): view.today.years}
        for name, outcome in shown.items():
            wide[f"{names[name]}, %"] = 100 * (1 - outcome.events["first_below_floor"].by_year)
        table(wide)


def _saved(view: View) -> None:
    """Scenarios by name in the run store, for those who may write there."""
    ref = view.ref
    if not access.may_save() or not store_configured():
        return
    st.subheader(_("Saved scenarios"), anchor=False)
    try:
        held = open_store()
        known = saved.names(held, ref.scheme.pool, ref.scheme.id)
    except ForecasterError as error:
        st.error(_("The run store does not answer, so saved scenarios cannot be brought back now."))
        detail(error)
        return
    plans = {name: plan for name, run in known.items() if (plan := saved.reform_of(run, ref.law)) is not None}
    if damaged := [name for name in known if name not in plans]:
        st.warning(
            _(
                "These saved scenarios are damaged or today's law does not take their values, so they cannot be "
                "brought back: {names}. Set the levers anew and save them under another name.",
                names=language.any_of(damaged),
            )
        )

    def bring_back() -> None:
        chosen = st.session_state["saved"]
        if chosen:
            start, horizon = st.session_state[levers.START], st.session_state[levers.HORIZON]
            levers.put(ref, state.levers_of(ref.law, ref.levers, plans[chosen], start, horizon))
            left_out = {change.name for change in plans[chosen].changes} - set(ref.levers)
            said = _("Not taken from the saved scenario: {names}.", names=language.any_of(sorted(left_out)))
            st.session_state[levers.NOTES] = [said] if left_out else []
            st.session_state["saved"] = None

    left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
    left.selectbox(
        _("Bring back"), list(plans), index=None, key="saved", on_change=language.bound(bring_back),
        format_func=lambda name: f"{name} ({known[name].created[:10]})", placeholder=_("choose a scenario"),
    )  # fmt: skip
    name = middle.text_input(_("Save as"), key="save_as", max_chars=64, placeholder=_("letters, digits, - and _"))
    fit_to_save = bool(saved.NAME.fullmatch(name)) and bool(view.reform.changes)
    if right.button(_("Save"), key="save", disabled=not fit_to_save, width="stretch"):
        try:
            with st.spinner(_("Saving ...")):
                both = (view.today.scenario, view.outcome.scenario)
                pool = references.served_pools()[ref.pool]
                made = export_page.manifest(view)
                run = saved.save(held, pool, both, made, name, f"dashboard: {name}", ref.record)
        except ForecasterError as error:
            st.error(_("It could not be saved; nothing was changed."))
            detail(error)
        else:
            st.success(_("Saved as {name}, run {run}.", name=name, run=run.short))
