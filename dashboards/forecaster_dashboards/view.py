"""What one rerun shows, and the few ways of showing it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from forecaster.policy import Reform
from forecaster_dashboards import charts, frames, levers, service, texts
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.service import Reference
from forecaster_dashboards.state import Levers


@dataclass(frozen=True)
class View:
    """Levers, the reform they make, and both scenarios on the same draws."""

    ref: Reference
    levers: Levers
    reform: Reform
    today: Outcome
    outcome: Outcome

    @property
    def past_from(self) -> int | None:
        """First year of the past shown: as long as the future, fifteen years at least; None for all of it."""
        if st.session_state.get(levers.LONG_PAST):
            return None
        return self.ref.first_year - max(15, len(self.today.years))

    def fan(self, line: str) -> frames.Columns:
        """Table behind a fan chart."""
        return frames.fan_columns(service.past(self.ref, line), self.today, self.outcome, line, self.past_from)

    def fan_chart(self, line: str) -> charts.Spec:
        """Fan chart of the reserve, in months or money."""
        title, _ = charts.FAN_TITLES[line]
        band = service.floor_and_ceiling(self.ref) if line == "reserve_months" else None
        return charts.fan_chart(self.fan(line), title=title, digits=charts.DIGITS[line], band=band)

    def fan_words(self, line: str, title: str, unit: str) -> str:
        """What the fan chart says."""
        places = [frames.QUANTILE_NAMES.index(name) for name in ("low95", "median", "high95")]
        today, reform = (tuple(outcome.fan(line)[places, -1].tolist()) for outcome in (self.today, self.outcome))
        return texts.fan_words(title, self.levers.horizon, today, reform, unit)


def draw(spec: charts.Spec, words: str) -> None:
    """A chart as wide as its column, followed by what it says, for those who do not see it.

    The words are not handed over as the chart's own alternative text: Streamlit makes that a part of the specification,
    and when it changes the browser builds the chart anew instead of replacing its data.
    """
    records = spec["datasets"][charts.ROWS]
    columns = {name: [record.get(name) for record in records] for name in dict.fromkeys(k for r in records for k in r)}
    # As an Arrow table the rows reach the browser without a detour through a frame.
    shown = {**spec, "datasets": {charts.ROWS: pa.table(columns)}}
    st.vega_lite_chart(shown, width="stretch", theme=None, alt=f"{charts.title_of(spec)}. {texts.WORDS_BELOW}")
    st.html(f'<p class="unseen">{html.escape(words)}</p>')


def table(frame: pd.DataFrame | frames.Columns, *, caption: str | None = None, digits: int = 1) -> None:
    """A table that scrolls within itself; numbers in one format, years without a separator."""
    if caption:
        st.markdown(f"**{caption}**")
    shown = pa.table(frame) if isinstance(frame, dict) else frame
    names = shown.column_names if isinstance(shown, pa.Table) else list(shown.columns)
    columns: dict[str, Any] = {}
    for name in names:
        if name in {"year", texts.YEAR}:
            columns[name] = st.column_config.NumberColumn(texts.YEAR, format="%d")
        elif np.asarray(frame[name]).dtype.kind == "f":
            columns[name] = st.column_config.NumberColumn(format=f"%.{digits}f")
    st.dataframe(shown, hide_index=True, column_config=columns, width="stretch")
