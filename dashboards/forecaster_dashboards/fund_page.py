"""The page of the fund: levers, headline, reserve, and the tabs with everything behind it."""

from __future__ import annotations

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from forecaster.errors import ForecasterError
from forecaster_dashboards import charts, frames, levers, service, state, tabs, texts
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.service import Reference
from forecaster_dashboards.view import View, draw, table

NEAR_YEARS = 5

STYLE = """<style>
.unseen {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;}
[data-testid="stElementContainer"]:has(.unseen) {position: absolute; width: 1px; height: 1px; overflow: hidden;}
.block-container {padding-top: 3.5rem; padding-bottom: 2rem; max-width: 1400px;}
.st-key-panel [data-testid="stSlider"] {padding-bottom: 0;}
@media (max-width: 640px) {
  .unseen {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;}
[data-testid="stElementContainer"]:has(.unseen) {position: absolute; width: 1px; height: 1px; overflow: hidden;}
.block-container {padding-left: 1rem; padding-right: 1rem;}
  h1 {font-size: 1.7rem !important;}
  /* The general rate stays in sight above the charts: what wraps it gives up its own box, so it sticks to the page. */
  .st-key-body > div > [data-testid="stHorizontalBlock"] :has(.st-key-general) {display: contents;}
  .st-key-panel > *, .st-key-general {flex: 1 1 100%; max-width: 100%;}
  .st-key-general {position: sticky; top: 3.4rem; z-index: 5; background: #fff; padding-bottom: 0.4rem;}
}
@media (min-width: 641px) {
  [data-testid="stColumn"]:has(.st-key-panel) > div {height: 100%;}
  [data-testid="stLayoutWrapper"]:has(> .st-key-panel) {position: sticky; top: 4.2rem;}
}
</style>"""


def show(ref: Reference) -> None:
    """Draw the page."""
    st.html(STYLE)
    st.title(texts.TITLE)
    place = texts.PLACES.get(ref.place.upper(), ref.place)
    st.markdown(texts.heading(ref.scheme.label, place, ref.first_year - 1))
    for text in ref.warnings:
        st.warning(text)
    levers.prepare(ref)
    _body(ref)


@st.fragment
def _body(ref: Reference) -> None:
    """Everything that a lever changes; one rerun of this is one move of a lever."""
    for sentence in st.session_state[levers.SAID]:
        st.info(sentence, icon=":material/link:")
    with st.container(key="body"):
        left, right = st.columns([1, 2.4], gap="medium")
        with right:
            cards, fans, more = st.container(), st.container(), st.container()
        # The state of the levers is known before they are drawn, so the charts go first: they are on their way to the
        # browser while the rest is still being made.
        view = _view(ref, levers.current(ref), cards)
        with fans:
            _fans(view)
        with cards:
            _headline(view)
        with more:
            tabs.show(view)
        with left, st.container(key="panel"):
            levers.panel(ref)
    tabs.provenance(view)


def _view(ref: Reference, chosen: state.Levers, said: DeltaGenerator) -> View:
    today = service.baseline(ref, chosen.horizon)
    reform = state.reform_of(ref.law, chosen)
    try:
        scenario = service.reformed(ref, chosen.horizon, reform)
    except ForecasterError as error:
        said.error(f"{texts.REFUSED} {error}")
        chosen = state.todays_law(ref.law, chosen.start, chosen.horizon)
        reform, scenario = state.reform_of(ref.law, chosen), today
    if chosen.start.year > chosen.horizon:
        said.info(texts.STARTS_LATE)
    return View(ref, chosen, reform, today, scenario)


def _headline(view: View) -> None:
    for column, (name, scenario) in zip(st.columns(2), (("today", view.today), ("reform", view.outcome)), strict=True):
        with column.container(border=True):
            st.markdown(f"**{texts.SCENARIOS[name]}**\n\n{headline(scenario)}")


def headline(outcome: Outcome) -> str:
    """The few figures that matter, as sentences in frequencies."""
    years, draws, floor = outcome.years, outcome.basis.n_draws, outcome.scenario.floor_months
    last = int(years[-1])
    near = min(int(years[0]) + NEAR_YEARS - 1, last)
    below, gone = outcome.events["first_below_floor"], outcome.events["first_depletion"]
    soon = float(below.by_year[near - int(years[0])])
    months, money = (float(outcome.median(line)[-1]) for line in ("reserve_months", "reserve"))
    currency = outcome.policy.scheme.currency
    return (
        f"{texts.below_sentence(soon, draws, floor, near)}; "
        f"{texts.depleted_sentence(float(gone.by_year[-1]), draws, last)}.\n\n"
        f"{texts.median_sentence(months, money, last, currency)}; "
        f"{texts.first_year_sentence(gone.quantile(0.5), last)}."
    )


def _fans(view: View) -> None:
    for line, (title, unit) in charts.FAN_TITLES.items():
        draw(view.fan_chart(line), words=view.fan_words(line, title, unit))
        if line == "reserve_months":
            st.caption(texts.BANDS_NOTE)
    with st.expander(texts.AS_TABLE, key="as_table", on_change="rerun") as opened:
        if opened.open:
            for line, (title, _) in charts.FAN_TITLES.items():
                columns = view.fan(line)
                projected = np.isin(columns["series"], (frames.TODAY, frames.REFORMED))
                named = {texts.QUANTILES.get(name, name): values[projected] for name, values in columns.items()}
                named["series"] = np.array([texts.SCENARIOS[name] for name in named["series"]], dtype=object)
                table(named, caption=title, digits=charts.DIGITS[line])
