"""The page of the fund: chief levers, headline, fans of every line, what each lever does, chances by year."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import numpy as np
import streamlit as st

from forecaster_dashboards import charts, figures, frames, language, levers, service, state, words
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.language import _
from forecaster_dashboards.service import Reference
from forecaster_dashboards.view import View, fragment, table, view_of

NEAR_YEARS = 5


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)


@fragment
def _body(ref: Reference) -> None:
    """Everything that a lever changes; one rerun of this is one move of a lever."""
    with st.container(key="body"):
        left, right = st.columns([1, 2.4], gap="medium")
        with right:
            said, cards, fans, more = st.container(), st.container(), st.container(), st.container()
        # The state of the levers is known before they are drawn, so the charts go first: they are on their way to the
        # browser while the rest is still being made.
        with said:
            view = view_of(ref)
        with fans:
            figures.show(view, "reserve_months")
        with cards:
            _headline(view)
        with more:
            _tabs(view)
        with left, st.container(key="panel"):
            _panel(view)
    _provenance(view)


def _panel(view: View) -> None:
    levers.chief(view.ref)
    levers.span(view.ref)
    st.toggle(_("Show the whole past"), key=levers.LONG_PAST, persist_state="session")
    levers.buttons(view.ref)
    others = [c for c in view.reform.changes if c.name not in {state.GENERAL, state.SUPPLEMENTARY}]
    if others:
        st.caption(
            _("Also in your reform:") + "\n" + "\n".join(f"- {levers.change_words(view.ref, c)}" for c in others)
        )
    st.caption(_("More levers, known plans and comparisons stand on the page “Levers”."))


def _headline(view: View) -> None:
    st.html(meter(view))
    for column, (name, outcome) in zip(st.columns(2), (("today", view.today), ("reform", view.outcome)), strict=True):
        with column.container(border=True, key=f"card_{name}"):
            st.markdown(f"**{words.scenarios()[name]}**\n\n{headline(outcome)}")


def meter(view: View) -> str:
    """Chance that the reserve stays above the law's floor until two years, for both scenarios, as a small table."""
    years = [year for year in service.METER_YEARS if year <= view.ref.basis.years[-1]] or [view.levers.horizon]
    far = years[-1]
    both = (("today", service.baseline(view.ref, far)), ("reform", service.reformed(view.ref, far, view.reform)))
    floor = words.months(view.today.scenario.floor_months)
    head = "".join(f"<th scope='col'>{html.escape(_('until {year}', year=year))}</th>" for year in years)
    rows = ""
    for name, outcome in both:
        cells = ""
        for year in years:
            share = round(100 * frames.stays_above(outcome, year))
            bar = f"<span class='bar'><i style='width:{share}%;background:var(--{name})'></i></span>"
            cells += f"<td>{bar}<b>{share}%</b></td>"
        rows += f"<tr><th scope='row'>{html.escape(words.scenarios()[name])}</th>{cells}</tr>"
    title = html.escape(_("Chance that the reserve stays above {months} of outlay", months=floor))
    return f"<table class='meter'><caption>{title}</caption><tr><td></td>{head}</tr>{rows}</table>"


def headline(outcome: Outcome) -> str:
    """The few figures that matter, as sentences in frequencies."""
    years, draws, floor = outcome.years, outcome.basis.n_draws, outcome.scenario.floor_months
    last = int(years[-1])
    near = min(int(years[0]) + NEAR_YEARS - 1, last)
    below, gone = outcome.events["first_below_floor"], outcome.events["first_depletion"]
    soon = float(below.by_year[near - int(years[0])])
    months, amount = (float(outcome.median(line)[-1]) for line in ("reserve_months", "reserve"))
    end = _(".")
    return (
        f"{words.below_sentence(soon, draws, floor, near)}{_('; ')}"
        f"{words.depleted_sentence(float(gone.by_year[-1]), draws, last)}{end}\n\n"
        f"{words.median_sentence(months, amount, last, outcome.policy.scheme.money)}{_('; ')}"
        f"{words.first_year_sentence(gone.quantile(0.5), last)}{end}"
    )


def tab_names() -> dict[str, str]:
    """Tabs of the page."""
    return {
        "reserve": _("Reserve"),
        "balance": _("Balance"),
        "total_income": _("Income"),
        "outgo": _("Outgo"),
        "waterfall": _("What each lever does"),
        "risk": _("Risk by year"),
        "difference": _("Difference"),
        "table": _("As tables"),
    }


def _tabs(view: View) -> None:
    parts: dict[str, Callable[[View], None]] = {"risk": _risk, "difference": _difference, "table": _tables}
    names = tab_names()
    opened = st.tabs(list(names.values()), key="tab", on_change="rerun")
    for tab, name in zip(opened, names, strict=True):
        if tab.open:
            with tab:
                if name in parts:
                    parts[name](view)
                else:
                    figures.show(view, name)


def _risk(view: View) -> None:
    figures.show(view, "risk")
    figures.show(view, "depletion")
    columns = frames.risk_columns(view.today, view.outcome)
    wide: frames.Columns = {_("Year"): view.today.years}
    named = {"below": _("fell below, %"), "below_in_year": _("is below, %"), "depleted": _("ran out, %")}
    for event, title in named.items():
        for name, scenario in words.scenarios().items():
            wide[f"{scenario}: {title}"] = 100 * columns[event][columns["series"] == name]
    table(wide, digits=1)


def _difference(view: View) -> None:
    st.caption(
        _(
            "Both scenarios run on the same simulated futures, so the difference is the reform's alone: its mean, and "
            "the range that holds it in 80 of 100 futures. It need not equal the difference of the medians."
        )
    )
    frame = frames.difference_frame(view.today, view.outcome)
    named = {
        "year": _("Year"),
        "today": _("today's law, median"),
        "reform": _("your reform, median"),
        "difference": _("difference, mean"),
        "low80": _("10% are below"),
        "high80": _("90% are below"),
    }
    for line, (title, _unit, digits) in charts.fan_titles(view.ref.money).items():
        rows = frame[frame["line"] == line].drop(columns="line")
        figures_ = [name for name in named if name != "year"]
        rows = rows.assign(**{name: rows[name] * view.scale(line) for name in figures_})
        table(rows.rename(columns=named), caption=title, digits=digits)


def _tables(view: View) -> None:
    quantiles = words.quantiles()
    for line, (title, _unit, digits) in charts.fan_titles(view.ref.money).items():
        columns = view.fan(line)
        projected = np.isin(columns["series"], (frames.TODAY, frames.REFORMED))
        named = {quantiles.get(name, name): values[projected] for name, values in columns.items()}
        named["series"] = np.array([words.scenarios()[name] for name in named["series"]], dtype=object)
        table({_("Scenario"): named.pop("series"), _("Year"): named.pop("year"), **named}, caption=title, digits=digits)


def command(view: View) -> str:
    """The command line that gives the same figures."""
    settings = "".join(f" \\\n  --set {change}" for change in view.reform.changes)
    return f"forecaster project {view.ref.scheme.id} --horizon {view.levers.horizon}{settings} \\\n  --out my-forecast"


def link(view: View) -> str:
    """Address that restores the levers, in the language of whoever opens it."""
    token = state.to_link(view.ref.law, view.levers, view.ref.fit_hash)
    base = re.sub(r"[a-z]*$", "", (st.context.url or "").split("?", 1)[0].split("#", 1)[0])
    pool = "" if view.ref.pool == service.POOL else f"&{levers.POOL}={view.ref.pool}"
    return f"{base}?{levers.LINK}={token}{pool}"


def _provenance(view: View) -> None:
    """Where everything on the page comes from, the link to it, and the command that repeats it."""
    ref, basis = view.ref, view.today.basis
    st.divider()
    left, right = st.columns(2)
    with left:
        st.markdown(f"**{_('Link to this scenario')}**")
        st.code(link(view), language=None, wrap_lines=True)
    with right:
        st.markdown(f"**{_('The same figures from the command line')}**")
        st.code(command(view), language=None)
    sources = sorted({name for text in ref.history["source"].dropna() for name in str(text).split("+")} - {"fit"})
    assumptions = " ".join(f"{language.said(text).rstrip('.。')}{_('.')}" for text in basis.assumptions)
    st.caption(f"{_('Assumed, not learnt from figures')}{_(': ')}{assumptions}")
    st.caption(
        _(
            "Sources of the past shown: {sources}. Titles and links stand on the page “Evidence”.",
            sources=language.any_of(sources),
        )
    )
