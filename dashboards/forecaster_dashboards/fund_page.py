"""The page of the fund: chief levers, headline, fans of every line, what each lever does, chances by year."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import quote

import numpy as np
import streamlit as st

from forecaster.policy import Reform
from forecaster_dashboards import (
    address,
    charts,
    figures,
    frames,
    language,
    levers,
    references,
    service,
    state,
    words,
)
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Reference
from forecaster_dashboards.view import View, fragment, sheet, table, view_of

NEAR_YEARS = 5
CHART = "chart"


def show(ref: Reference) -> None:
    """Draw the page."""
    _body(ref)
    # Here, for the chart is on its way to the browser while the run store's library is imported.
    from forecaster_dashboards import followed

    followed.show(ref)
    _background(ref)


@fragment
def _body(ref: Reference) -> None:
    """Everything that a lever changes; one rerun of this is one move of a lever.

    Every element is sent and drawn anew at each move, so there are few: what a lever does not change stands outside.
    """
    with st.container(key="body"):
        left, right = st.columns([1, 2.4], gap="medium")
        # The state of the levers is known before they are drawn, so the charts go first: they are on their way to the
        # browser while the rest is still being made.
        with right:
            # A place of its own, so that a sentence that comes or goes does not move the chart to another place.
            with st.container():
                view = view_of(ref)
            st.html(meter(view) + cards(view))
            _chosen(view)
            _share(view)
        with left, st.container(key="panel"):
            _panel(view)


def _panel(view: View) -> None:
    levers.chief(view.ref)
    levers.span(view.ref)
    st.toggle(_("Show the whole past"), key=levers.LONG_PAST, persist_state="session")
    levers.buttons(view.ref)
    others = [c for c in view.reform.changes if c.name not in {state.GENERAL, state.SUPPLEMENTARY}]
    lines = (
        [_("Also in your reform:"), *(f"- {levers.change_words(view.ref, c)}" for c in others), ""] if others else []
    )
    st.caption("\n".join([*lines, _("More levers, known plans and comparisons stand on the page “Levers”.")]))


def meter(view: View) -> str:
    """Chance that the reserve stays above the law's floor until two years, for both scenarios, as a small table."""
    last = view.levers.horizon
    both = {
        name: service.meter(view.ref, reform, last) for name, reform in (("today", Reform()), ("reform", view.reform))
    }
    floor = words.months(view.today.scenario.floor_months)
    head = "".join(f"<th scope='col'>{html.escape(_('until {year}', year=year))}</th>" for year in both["today"])
    rows = ""
    for name, chances in both.items():
        cells = ""
        for chance in chances.values():
            share = round(100 * chance)
            bar = f"<span class='bar'><i style='width:{share}%;background:var(--{name})'></i></span>"
            cells += f"<td>{bar}<b>{share}%</b></td>"
        rows += f"<tr><th scope='row'>{html.escape(words.scenarios()[name])}</th>{cells}</tr>"
    title = html.escape(_("Chance that the reserve stays above {months} of outlay", months=floor))
    return f"<table class='meter'><caption>{title}</caption><tr><td></td>{head}</tr>{rows}</table>"


def cards(view: View) -> str:
    """The headline figures of both scenarios side by side."""
    shown = ""
    for name, outcome in (("today", view.today), ("reform", view.outcome)):
        paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in headline(outcome))
        shown += f"<div class='card {name}'><b>{html.escape(words.scenarios()[name])}</b>{paragraphs}</div>"
    return f"<div class='cards'>{shown}</div>"


def headline(outcome: Outcome) -> tuple[str, str]:
    """The few figures that matter, as two sentences: how likely, and how much and when."""
    years, draws, floor = outcome.years, outcome.basis.n_draws, outcome.scenario.floor_months
    last = int(years[-1])
    near = min(int(years[0]) + NEAR_YEARS - 1, last)
    below, gone = outcome.events["first_below_floor"], outcome.events["first_depletion"]
    soon = float(below.by_year[near - int(years[0])])
    months, amount = (float(outcome.median(line)[-1]) for line in ("reserve_months", "reserve"))
    end = _(".")
    risk = words.below_sentence(soon, draws, floor, near), words.depleted_sentence(float(gone.by_year[-1]), draws, last)
    middle = (
        words.median_sentence(months, amount, last, outcome.policy.scheme.money),
        words.first_year_sentence(gone.quantile(0.5), last),
    )
    return tuple(_("; ").join(parts) + end for parts in (risk, middle))  # type: ignore[return-value]


def chart_names() -> dict[str, str]:
    """What the page shows under the headline, one at a time: charts of the accounts, risk, tables."""
    return {
        "reserve_months": _("Reserve in months"),
        "reserve": _("Reserve"),
        "balance": _("Balance"),
        "total_income": _("Income"),
        "outgo": _("Outgo"),
        "waterfall": _("What each lever does"),
        "risk": _("Risk by year"),
        "difference": _("Difference"),
        "table": _("As tables"),
    }


def _chosen(view: View) -> None:
    parts: dict[str, Callable[[View], None]] = {"risk": _risk, "difference": _difference, "table": _tables}
    names = chart_names()
    # One element in place of a tab for each: tabs are drawn anew at every move, open or not.
    st.session_state.setdefault(CHART, "reserve_months")
    name = st.segmented_control(
        _("Chart"), list(names), key=CHART, required=True, format_func=lambda n: names[n],
        label_visibility="collapsed", wrap=True, persist_state="session",
    )  # fmt: skip
    if name in parts:
        parts[name](view)
    else:
        figures.show(view, name or "reserve_months")


def _risk(view: View) -> None:
    figures.show(view, "risk")
    figures.show(view, "depletion")
    columns = frames.risk_columns(view.today, view.outcome)
    wide: frames.Columns = {_("Year"): view.today.years}
    named = {"below": _("fell below, %"), "below_in_year": _("is below, %"), "depleted": _("ran out, %")}
    for event, title in named.items():
        for name, scenario in words.scenarios().items():
            wide[f"{scenario}: {title}"] = 100 * columns[event][columns["series"] == name]
    sheet(wide)


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
    base = re.sub(r"[a-z]*$", "", (st.context.url or "").split("?", 1)[0].split("#", 1)[0])
    parts = {address.LINK: state.to_link(view.ref.law, view.levers, view.ref.fit_hash)}
    parts |= {name: address.held(name) for name in address.SCENARIO[1:]}
    parts[address.POOL] = "" if view.ref.pool == references.POOL else view.ref.pool
    return f"{base}?" + "&".join(f"{name}={quote(text, safe='~:@!,')}" for name, text in parts.items() if text)


def _share(view: View) -> None:
    """Link and command that repeat what the page shows; made when they are asked for."""
    with st.expander(
        _("Share and repeat: link and command line"), key="share", on_change="rerun", icon=":material/link:"
    ) as opened:
        if opened.open:
            share(view)


def share(view: View) -> None:
    """Link to the scenario, and the command line that gives the same figures."""
    st.markdown(f"**{_('Link to this scenario')}**")
    st.code(link(view), language=None, wrap_lines=True)
    st.markdown(f"**{_('The same figures from the command line')}**")
    st.code(command(view), language=None)


def _background(ref: Reference) -> None:
    """What stands behind every figure of the page, whatever the levers say."""
    sources = sorted({name for text in ref.history["source"].dropna() for name in str(text).split("+")} - {"fit"})
    assumptions = " ".join(f"{language.said(text).rstrip('.。')}{_('.')}" for text in ref.basis.assumptions)
    st.divider()
    st.caption(f"{_('Assumed, not learnt from figures')}{_(': ')}{assumptions}")
    st.caption(
        _(
            "Sources of the past shown: {sources}. Titles and links stand on the page “Evidence”.",
            sources=language.any_of(sources),
        )
    )
