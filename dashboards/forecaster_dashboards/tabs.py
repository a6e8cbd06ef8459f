"""Behind the headline: one tab is computed and sent at a time, the open one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.export import (
    REFORM,
    Scenario,
    csv_bytes,
    forecast_table,
    marked,
    probability_table,
)
from forecaster.manifest import run_manifest
from forecaster.solve import with_rate
from forecaster.solvency import quantiles
from forecaster_dashboards import charts, frames, levers, service, state, texts
from forecaster_dashboards.view import View, draw, table

TARGETS = (1.0, 1.5, 2.0, 2.5)
MONTHS = (1.0, 1.5, 2.0, 2.5, 3.0)
CHANCES = (0.5, 0.8, 0.9)
COMMITTEE_YEARS = 4


def show(view: View) -> None:
    """The tabs."""
    drawn: dict[str, Callable[[View], None]] = {
        "risk": _risk,
        "account": _account,
        "rates": _rates,
        "difference": _difference,
        "payers": _payers,
        "download": _downloads,
    }
    opened = st.tabs([texts.TABS[name] for name in drawn], key="tab", on_change="rerun")
    for tab, part in zip(opened, drawn.values(), strict=True):
        if tab.open:
            with tab:
                part(view)


def _risk(view: View) -> None:
    columns = frames.risk_columns(view.today, view.outcome)
    today, reform = (
        (float(o.events["first_below_floor"].by_year[-1]), float(o.events["first_depletion"].by_year[-1]))
        for o in (view.today, view.outcome)
    )
    words = texts.risk_words(view.levers.horizon, today, reform)
    draw(charts.risk_chart(columns, title=texts.CHART_RISK), words=words)
    st.caption(texts.RISK_NOTE)
    spread = frames.depletion_columns(view.today, view.outcome)
    draw(charts.depletion_chart(spread, title=texts.CHART_DEPLETION, horizon=view.levers.horizon), words=words)
    with st.expander(texts.AS_TABLE, key="risk_table", on_change="rerun") as opened:
        if opened.open:
            wide: frames.Columns = {"year": view.today.years}
            for event, column in texts.RISK_COLUMNS.items():
                for name, scenario in texts.SCENARIOS.items():
                    wide[f"{scenario}: {column}"] = 100 * columns[event][columns["series"] == name]
            table(wide, digits=1)


def _account(view: View) -> None:
    income, outgo = (view.fan(line) for line in ("total_income", "outgo"))
    draw(
        charts.account_chart(income, outgo, title=texts.CHART_ACCOUNT),
        words=view.fan_words("outgo", texts.LINES["outgo"], texts.UNIT_FLOW),
    )
    st.caption(texts.ACCOUNT_NOTE)


def _rates(view: View) -> None:
    start, last = view.levers.start, view.levers.horizon
    if start.year > last:
        return
    st.markdown(texts.RATES_INTRO)
    columns = st.columns(3)
    years = list(range(start.year, last + 1))
    months = columns[0].selectbox(
        texts.RATE_MONTHS, MONTHS, format_func=texts.months_words, key="rate_months", persist_state="page"
    )
    year = columns[1].selectbox(
        texts.RATE_YEAR, years, index=min(4, len(years) - 1), key=f"rate_year.{years[0]}.{last}"
    )
    chance = columns[2].selectbox(
        texts.RATE_CHANCE, CHANCES, format_func=lambda p: f"{p:.0%}", key="rate_chance", persist_state="page"
    )
    try:
        answer = service.rate_for(view.ref, view.reform, start, months=months, year=year, probability=chance)
        st.success(
            texts.rate_answer(answer.rounded, answer.exact, answer.limit, answer.limit_source, answer.reached),
            icon=":material/percent:",
        )
        st.markdown(f"**{texts.COMMITTEE_TITLE}**")
        first = min(start.year, last)
        rates, accounts = committee(view, first)
        table(rates)
        st.caption(texts.committee_note(first))
        table(accounts)
        st.caption(texts.committee_accounts_note(first))
    except ForecasterError as error:
        st.error(str(error))
    limit = (view.ref.scheme.parameters[state.GENERAL].bounds or (0.0, 0.0))[1]
    rate_words = texts.rate_words(last, *(float(o.pay_as_you_go[1, -1]) for o in (view.today, view.outcome)))
    draw(
        charts.rate_chart(
            frames.pay_as_you_go_columns(view.today, view.outcome),
            title=texts.CHART_RATE,
            limit=limit,
            today=state.law_value(view.ref.law, state.GENERAL, start),
        ),
        words=rate_words,
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
    for target in TARGETS:
        answers = {
            p: service.rate_for(
                view.ref, view.reform, view.levers.start, months=target, year=first, probability=p, throughout=False
            )
            for p in CHANCES
        }
        words = {
            p: texts.above(answer.limit) if answer.rounded is None else f"{100 * answer.rounded:.2f}%"
            for p, answer in answers.items()
        }
        rates.append({texts.COMMITTEE_TARGET: target} | {texts.committee_rate(p): words[p] for p in CHANCES})
        even = answers[CHANCES[0]]
        row = {texts.COMMITTEE_TARGET: target, texts.COMMITTEE_EVEN: words[CHANCES[0]]}
        accounts.append(row | _accounts(view, even.limit if even.rounded is None else even.rounded, target, first))
    return pd.DataFrame(rates), pd.DataFrame(accounts)


def _accounts(view: View, rate: float, target: float, first: int) -> dict[str, object]:
    policy = with_rate(view.outcome.policy, rate, view.levers.start)
    result = service.reformed(view.ref, view.levers.horizon, policy.change).projection
    at = int(first - result.years[0])
    lines = (result.total_income, result.outgo, result.balance, result.closing)
    row: dict[str, object] = {
        name: float(quantiles(values[at : at + 1], (0.5,))[0, 0])
        for name, values in zip(texts.COMMITTEE_MONEY, lines, strict=True)
    }
    for i in range(at, min(at + COMMITTEE_YEARS, len(result.years))):
        months = result.reserve_months[i : i + 1]
        year = int(result.years[i])
        row[texts.committee_months(year)] = f"{quantiles(months, (0.5,))[0, 0]:.2f} ({(months >= target).mean():.0%})"
    return row


def _difference(view: View) -> None:
    frame = frames.difference_frame(view.today, view.outcome)
    st.caption(texts.DIFFERENCE_NOTE)
    for line in ("reserve", "reserve_months", "total_income", "outgo", "balance"):
        rows = frame[frame["line"] == line].drop(columns="line").rename(columns=texts.DIFFERENCE_COLUMNS)
        unit = texts.UNIT_MONTHS if line == "reserve_months" else texts.UNIT_MONEY
        table(rows, caption=f"{texts.LINES[line]}, {unit}", digits=charts.DIGITS.get(line, 1))


def _payers(view: View) -> None:
    first, last = view.ref.first_year, view.levers.horizon
    years = list(range(first, last + 1))
    begin = min(max(view.levers.start.year, first), last)
    year = st.selectbox(texts.YEAR, years, index=years.index(begin), key=f"payer_year.{begin}.{last}")
    for one, other, caption in (
        (year, year, texts.payers_in(year)),
        (begin, last, texts.payers_between(begin, last)),
    ):
        frame = frames.payer_frame(view.today, view.outcome, one, other)
        frame["payer"] = frame["payer"].map(texts.PAYERS)
        table(frame.rename(columns=texts.PAYER_COLUMNS), caption=caption)
    st.caption(texts.PAYERS_NOTE)


def scenarios(view: View) -> tuple[Scenario, ...]:
    """What the downloaded tables hold: the baseline, and the reform if there is one."""
    both = (view.today.scenario, view.outcome.scenario)
    return both if both[1].name == REFORM else both[:1]


def manifest(view: View) -> dict[str, Any]:
    """What the downloaded tables were made from."""
    basis = view.today.basis
    reform = view.outcome.policy if view.outcome.scenario.name == REFORM else None
    return run_manifest(basis, view.ref.law, reform, view.ref.manifest or None, view.ref.record)


def _downloads(view: View) -> None:
    st.markdown(texts.DOWNLOAD_INTRO)
    both, stem, warnings = scenarios(view), f"{view.ref.scheme.id}-{view.levers.horizon}", view.ref.warnings
    specs = {line: charts.warned(view.fan_chart(line), warnings) for line in charts.FAN_TITLES}
    files: dict[str, tuple[Callable[[], bytes], str, str]] = {
        "forecast": (lambda: csv_bytes(marked(forecast_table(both), warnings)), "forecast.csv", "text/csv"),
        "probabilities": (
            lambda: csv_bytes(marked(probability_table(both), warnings)),
            "probabilities.csv",
            "text/csv",
        ),
        "manifest": (
            lambda: json.dumps(manifest(view), indent=2, ensure_ascii=False).encode(),
            "manifest.json",
            "application/json",
        ),
        "months": (lambda: charts.png(specs["reserve_months"]), "reserve-months.png", "image/png"),
        "reserve": (lambda: charts.png(specs["reserve"]), "reserve.png", "image/png"),
    }
    for name, (made, file, mime) in files.items():
        st.download_button(
            texts.DOWNLOADS[name],
            made,
            f"{stem}-{file}",
            mime,
            key=f"download.{name}",
            on_click="ignore",
            width="stretch",
        )


def command(view: View) -> str:
    """The command line that gives the same figures."""
    settings = "".join(f" \\\n  --set {change}" for change in view.reform.changes)
    return f"forecaster project {view.ref.scheme.id} --horizon {view.levers.horizon}{settings} \\\n  --out my-forecast"


def link(view: View) -> str:
    """Address that restores the levers."""
    token = state.to_link(view.ref.law, view.levers, view.ref.fit_hash)
    base = (st.context.url or "").split("?", 1)[0].split("#", 1)[0]
    return f"{base}?{levers.LINK}={token}"


def provenance(view: View) -> None:
    """Where everything on the page comes from, the link to it, and the command that repeats it."""
    ref, basis = view.ref, view.today.basis
    st.divider()
    left, right = st.columns(2)
    with left:
        st.markdown(f"**{texts.LINK_TITLE}**")
        st.code(link(view), language=None)
    with right:
        st.markdown(f"**{texts.COMMAND_TITLE}**")
        st.code(command(view), language=None)
    sources = sorted({name for text in ref.history["source"].dropna() for name in str(text).split("+")} - {"fit"})
    st.caption(
        texts.caption(ref.fit_hash[:12], ref.scheme.id, ref.scheme.content_hash[:12], basis.n_draws, ref.first_year - 1)
    )
    assumptions = " ".join(f"{text.rstrip('.')}." for text in basis.assumptions)
    st.caption(f"{texts.ASSUMPTIONS}: {assumptions}")
    st.caption(f"{texts.PAST_SOURCES}: {', '.join(sources)}. {texts.SEE_EVIDENCE}")
