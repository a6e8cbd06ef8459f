"""The page that solves: from a target to the value of a lever, what that costs whom, and what else would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.policy import Change, Reform
from forecaster.solve import RATE, Goal, Required, with_rate
from forecaster.solvency import quantiles
from forecaster_dashboards import address, charts, figures, frames, language, levers, service, state, words
from forecaster_dashboards.language import _, number, percent
from forecaster_dashboards.references import Reference
from forecaster_dashboards.state import GENERAL, SUPPLEMENTARY
from forecaster_dashboards.view import View, draw, fragment, notes, sheet, table, view_of

# Multiples of the law's least reserve: months where that is one, as in Taiwan.
TARGETS = (1.0, 1.5, 2.0, 2.5)
MULTIPLES = (1.0, 1.5, 2.0, 2.5, 3.0)
CHANCES = (0.5, 0.8, 0.9, 0.95)
COMMITTEE_CHANCES = (0.5, 0.8, 0.9)
COMMITTEE_YEARS = 4


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@fragment
def _body(ref: Reference) -> None:
    view = view_of(ref)
    first, last = view.levers.start.year, ref.last_start_year
    st.markdown(
        _(
            "One constant value of a lever from {day} on that keeps the reserve; all other levers as they stand.",
            day=language.day(view.levers.start),
        )
    )
    goal, lever = _question(view, first, last)
    try:
        answer = service.required(ref, view.reform, lever, goal)
    except ForecasterError:
        st.warning(_("This lever does not move the reserve in the years that count. Choose another."))
        return
    parameter = ref.scheme.parameters[lever]
    value = None if answer.rounded is None else words.lever_value(parameter, answer.rounded)
    limit = words.lever_value(parameter, answer.limit)
    exact = answer.exact if parameter.unit == "share" else float("inf")
    text = words.rate_answer(value, exact, limit, answer.limit_source, answer.reached)
    (st.success if value else st.warning)(f"{words.label(parameter, lever)}{_(': ')}{text}", icon=":material/target:")
    if value is not None:
        st.button(
            _("Put the lever there"), key="take_answer", on_click=language.bound(_take), args=(ref, lever, answer)
        )
    left, right = st.columns(2, gap="large")
    with left:
        _costs(view, lever, goal, answer)
    with right:
        if SUPPLEMENTARY in ref.levers:
            _frontier(view, goal)
    if lever == RATE:
        _committee(view)
        figures.show(view, "rates")


def least_months(ref: Reference) -> float:
    """The law's least reserve, months of outgo; one month where it has none."""
    floor, _ceiling = service.floor_and_ceiling(ref)
    return floor if floor > 0.0 else 1.0


def _question(view: View, first: int, last: int) -> tuple[Goal, str]:
    ref = view.ref
    numeric = [name for name in ref.levers if ref.scheme.parameters[name].bounds and name not in ref.layer_terms]
    years = list(range(first, last + 1))
    offered = tuple(least_months(ref) * times for times in MULTIPLES)
    year_key, months_key = f"solve_year.{first}.{last}", f"solve_months.{offered[0]:g}"
    asked = address.arrived(address.QUESTION)
    if asked:
        options = {"solve_lever": numeric, months_key: offered, year_key: years, "solve_chance": CHANCES}
        notes(take_question(asked, options))
    st.session_state.setdefault(year_key, years[min(8, len(years) - 1)])
    st.session_state.setdefault("solve_chance", CHANCES[2])
    one, two, three, four = st.columns([2, 1, 1, 1])
    lever = one.selectbox(
        _("Lever"), numeric, key="solve_lever", persist_state="session",
        format_func=lambda name: words.label(ref.scheme.parameters[name], name),
    )  # fmt: skip
    months = two.selectbox(
        _("keeps at least"), offered, format_func=words.months, key=months_key, persist_state="session"
    )
    year = three.selectbox(
        _("through the end of"), years, key=year_key,
        persist_state="session",
    )  # fmt: skip
    chance = four.selectbox(
        _("with a chance of"), CHANCES, format_func=percent, key="solve_chance", persist_state="session"
    )
    address.hold(address.QUESTION, f"{lever}~{months:g}~{year}~{chance:g}")
    return Goal(float(months), int(year), view.levers.start, float(chance), True), lever


def take_question(text: str, options: Mapping[str, Sequence[Any]]) -> list[str]:
    """Put the question of an address where the widgets find it.

    Parameters
    ----------
    options
        Widget to what it offers, in the order of the address's pieces.

    Returns
    -------
    list
        A sentence for every piece that is not taken.
    """
    pieces = text.split("~")
    if len(pieces) != len(options):
        return [state.dropped(text)]
    said = []
    for piece, (key, offered) in zip(pieces, options.items(), strict=True):
        found = next(
            (value for value in offered if (f"{value:g}" if isinstance(value, float) else str(value)) == piece), None
        )
        if found is None:
            said.append(state.dropped(piece))
        else:
            st.session_state[key] = found
    return said


def _take(ref: Reference, lever: str, answer: Required) -> None:
    if lever == SUPPLEMENTARY:
        st.session_state[levers.FOLLOWS] = False
    st.session_state[levers.DAYS].pop(lever, None)
    value = 0.0 if answer.rounded is None else answer.rounded
    st.session_state[levers.key(lever)] = state.shown(ref.scheme.parameters[lever], value)


def _costs(view: View, lever: str, goal: Goal, answer: Required) -> None:
    """What the answer costs whom, against today's law."""
    value = answer.limit if answer.rounded is None else answer.rounded
    kept = tuple(c for c in view.reform.changes if c.name != lever)
    horizon = max(goal.year, int(view.ref.horizons[0]))
    solved = service.reformed(view.ref, horizon, Reform((*kept, Change(lever, goal.start, value))))
    frame = frames.payer_frame(service.baseline(view.ref, horizon), solved, goal.start.year, goal.year)
    title = _("What it costs whom, {first} to {last} together", first=goal.start.year, last=goal.year)
    st.markdown(f"**{title}**")
    payer_table(view, frame)
    if answer.rounded is None:
        st.caption(_("At the limit, since no lawful value is enough."))


def payer_table(view: View, frame: pd.DataFrame) -> None:
    """Who pays under today's law and under a reform, in the reader's unit."""
    scale = language.money_scale(view.ref.money)
    # Who pays nothing in either scenario is left out.
    frame = frame[(frame["today"] != 0.0) | (frame["reform"] != 0.0) | (frame["payer"] == "total")]
    payers = words.payers(view.ref.place)
    shown = frame.assign(
        payer=[payers[name] for name in frame["payer"]],
        **{name: frame[name] * scale for name in ("today", "reform", "difference")},
    )
    named = {
        "payer": language.money_unit(view.ref.money),
        "today": _("today's law"),
        "reform": _("reform"),
        "difference": _("difference"),
    }
    table(shown.rename(columns=named), digits=1)


def _frontier(view: View, goal: Goal) -> None:
    """Which pairs of rates would do."""
    with st.spinner(_("Projecting a hundred pairs of rates ...")):
        found = service.frontier(view.ref, view.reform, goal)
    today = tuple(state.law_value(view.ref.law, name, goal.start) for name in (GENERAL, SUPPLEMENTARY))
    title = _("Chance of {months} through {year}, % of the futures", months=words.months(goal.months), year=goal.year)
    spec = charts.frontier_chart(
        found.general,
        found.supplementary,
        found.chance,
        title=title,
        today=(today[0], today[1]),
        wanted=goal.probability,
    )
    enough = [
        _("general {general} with supplementary {supplementary}", general=percent(g, 2), supplementary=percent(s, 2))
        for i, s in enumerate(found.supplementary)
        for j, g in enumerate(found.general)
        if found.chance[i, j] >= goal.probability and (j == 0 or found.chance[i, j - 1] < goal.probability)
    ]
    text = (
        _("The least general rate that is enough for each supplementary rate: {pairs}.", pairs=language.any_of(enough))
        if enough
        else _("No pair shown is enough.")
    )
    draw(spec, text)
    st.caption(
        _("Bold figures reach the chance that is wanted; the frame is today's law.")
        + " "
        + _("The two rates are moved apart here, although Article 33 ties them.")
    )


def committee(view: View, first: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reserve targets and the rates that meet them at the end of ``first``.

    Returns
    -------
    tuple
        The rates for an even and for better chances; and, at the rate for an even chance, the accounts of that year in
        the middle future, and months of reserve with the chance of standing at the target then and in the years after.
    """
    rates, accounts = [], []
    for times in TARGETS:
        target = least_months(view.ref) * times
        goals = {p: Goal(target, first, view.levers.start, p, False) for p in COMMITTEE_CHANCES}
        answers = {p: service.required(view.ref, view.reform, RATE, goal) for p, goal in goals.items()}
        told = {
            p: language.said(answer.words) if answer.rounded is None else percent(answer.rounded, 2)
            for p, answer in answers.items()
        }
        rates.append({_("target, months"): target} | {chance_column(p): told[p] for p in COMMITTEE_CHANCES})
        even = answers[COMMITTEE_CHANCES[0]]
        row = {_("target, months"): target, _("rate"): told[COMMITTEE_CHANCES[0]]}
        accounts.append(row | _accounts(view, even.limit if even.rounded is None else even.rounded, target, first))
    return pd.DataFrame(rates), pd.DataFrame(accounts)


def chance_column(chance: float) -> str:
    """Column of the rates for a chance."""
    return _("rate, chance {chance}", chance=percent(chance))


def months_column(year: int) -> str:
    """Column of the reserve at the end of a year."""
    return _("months {year} (chance)", year=year)


def _accounts(view: View, rate: float, target: float, first: int) -> dict[str, object]:
    policy = with_rate(view.outcome.policy, rate, view.levers.start)
    result = service.reformed(view.ref, max(view.levers.horizon, first), policy.change).projection
    at = int(first - result.years[0])
    named = {
        _("income"): result.total_income,
        _("outgo"): result.outgo,
        _("balance"): result.balance,
        _("reserve"): result.closing,
    }
    scale = language.money_scale(view.ref.money)
    row: dict[str, object] = {
        name: scale * float(quantiles(values[at : at + 1], (0.5,))[0, 0]) for name, values in named.items()
    }
    for i in range(at, min(at + COMMITTEE_YEARS, len(result.years))):
        months = result.reserve_months[i : i + 1]
        share = percent(float((months >= target).mean()))
        row[months_column(int(result.years[i]))] = f"{number(float(quantiles(months, (0.5,))[0, 0]), 2)} ({share})"
    return row


def _committee(view: View) -> None:
    if view.ref.place.upper() == "TWN":
        title = _("Rate for each reserve target, as the committee tabulates it")
        first = min(view.levers.start.year, view.levers.horizon)
    else:
        # Where years of outgo are in hand, nothing need be paid to stand at a target soon.
        title, first = _("Rate for each reserve target"), view.levers.horizon
    st.subheader(title, anchor=False)
    rates, accounts = committee(view, first)
    sheet(rates)
    st.caption(
        _(
            "The general rate with which the reserve stands at the target at the end of {year}, for three chances.",
            year=first,
        )
    )
    sheet(accounts)
    st.caption(
        _(
            "Under the rate for an even chance: accounts of {year} in {unit} and the reserve in months, medians of the "
            "simulated futures; in brackets the chance that the reserve is at the target or above it.",
            year=first,
            unit=language.money_unit(view.ref.money),
        )
    )
