"""What one run shows, the few ways of showing it, and what all pages share."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.policy import Reform
from forecaster_dashboards import charts, frames, language, levers, logs, service, state, words
from forecaster_dashboards.frames import Outcome
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Reference
from forecaster_dashboards.state import Levers

LANGUAGE = "language"
# Rows up to which a table stands whole on the page, and on paper; a longer one scrolls within itself.
LONGEST_WHOLE = 24
# Letters of a column's name, and of a cell of words, that stay on one line at least, however narrow the screen.
NARROW, WIDE = 9, 20
# Last letter before those of East Asia, which are twice as wide.
LAST_NARROW = 0x2E7F


@dataclass(frozen=True)
class View:
    """Levers, the reform they make, and both scenarios on the same draws.

    Attributes
    ----------
    long_past
        Whether the charts show the whole past; held here, since pictures are made where no session is known.
    """

    ref: Reference
    levers: Levers
    reform: Reform
    today: Outcome
    outcome: Outcome
    long_past: bool = False

    @property
    def past_from(self) -> int | None:
        """First year of the past shown: as long as the future, fifteen years at least; None for all of it."""
        if self.long_past:
            return None
        return self.ref.first_year - max(15, len(self.today.years))

    def scale(self, line: str) -> float:
        """Factor from the figures' unit to the reader's."""
        return 1.0 if line == "reserve_months" else language.money_scale(self.ref.money)

    def fan(self, line: str) -> frames.Columns:
        """Table behind a fan chart, in the reader's unit."""
        columns = frames.fan_columns(service.past(self.ref, line), self.today, self.outcome, line, self.past_from)
        return frames.scaled(columns, self.scale(line))

    def fan_chart(self, line: str) -> charts.Spec:
        """Fan chart of a line of the accounts, with officials' forecasts where there are any."""
        title, _unit, digits = charts.fan_titles(self.ref.money)[line]
        band = service.floor_and_ceiling(self.ref) if line == "reserve_months" else None
        first, scale = self.past_from or 0, self.scale(line)
        dots = [
            {**row, "median": row["median"] * scale}
            for row in service.officials(self.ref, line)
            if first <= row["year"] <= self.levers.horizon
        ]
        flow = line in {"total_income", "outgo"}
        return charts.fan_chart(self.fan(line), title=title, digits=digits, band=band, officials=dots, zero=not flow)

    def fan_words(self, line: str) -> str:
        """What the fan chart says."""
        title, unit, digits = charts.fan_titles(self.ref.money)[line]
        places = [frames.QUANTILE_NAMES.index(name) for name in ("low95", "median", "high95")]
        scale = self.scale(line)
        today, reform = (tuple((o.fan(line)[places, -1] * scale).tolist()) for o in (self.today, self.outcome))
        return words.fan_words(title, self.levers.horizon, today, reform, unit, digits)


def detail(error: Exception) -> None:
    """What the engine says about a fault, under a sentence in the reader's language: its own words are English."""
    if language.current() == language.ENGLISH:
        st.caption(_("In the engine's words: {text}", text=str(error)))
        return
    with st.expander(_("Details for whoever runs this dashboard, in English")):
        st.text(str(error))


@contextmanager
def in_words(where: str) -> Iterator[None]:
    """A sentence in the reader's language for an error that nobody foresaw; its traceback goes to the log."""
    try:
        yield
    # Whatever it is: Streamlit would show an English box in its place. What ends a run on purpose is no Exception.
    except Exception:  # noqa: BLE001
        logs.failed(where)
        st.error(
            _(
                "This part of the page could not be made; nothing was changed. Load the page again, or go back to "
                "today's law with an address without “?”. If that does not help, tell whoever runs this dashboard: its "
                "log says what went wrong."
            )
        )


def fragment(body: Callable[..., None]) -> Callable[..., None]:
    """A part of a page that reruns alone, in the session's language."""

    @st.fragment
    def run(*args: Any) -> None:
        language.speak(st.session_state[LANGUAGE])
        with in_words(body.__module__.rpartition(".")[2]):
            body(*args)

    return run


def view_of(ref: Reference) -> View:
    """What the levers of this session make; today's law with a sentence where the engine refuses them."""
    chosen = levers.current(ref)
    today = service.baseline(ref, chosen.horizon)
    try:
        reform = state.reform_of(ref.law, chosen)
        outcome = service.reformed(ref, chosen.horizon, reform)
    except ForecasterError:
        st.error(refusal(ref, chosen))
        chosen = state.todays_law(ref.law, ref.levers, chosen.start, chosen.horizon)
        reform, outcome = Reform(), today
    levers.remember(ref, chosen)
    notes(st.session_state[levers.NOTES])
    if chosen.start.year > chosen.horizon:
        st.info(_("The reform starts after the last year shown, so both scenarios are equal there."))
    return View(ref, chosen, reform, today, outcome, bool(st.session_state.get(levers.LONG_PAST)))


def notes(sentences: Iterable[str]) -> None:
    """What is to be said of a link; what it quotes anyone can have written, so nothing of it is taken as markup."""
    for sentence in sentences:
        st.info(re.sub(r"([\\`*~\[\]$])", r"\\\1", sentence), icon=":material/link:")


def refusal(ref: Reference, chosen: Levers) -> str:
    """Which lever cannot be projected, what is allowed, and what the page shows instead."""
    parts = []
    for name, value in chosen.values.items():
        parameter = ref.scheme.parameters[name]
        low, high = parameter.bounds or (value, value)
        if not low <= value <= high:
            parts.append(state.refused(parameter, value))
    return " ".join([_("These levers cannot be projected, so the page shows today's law."), *parts])


def is_dark() -> bool:
    """Whether the reader sees the dark theme."""
    return st.context.theme.type == "dark"


def draw(spec: charts.Spec, text: str, note: str = "") -> None:
    """A chart as wide as its column, followed by what it says, for those who do not see it, and by a note for all.

    The words are not handed over as the chart's own alternative text: Streamlit makes that a part of the specification,
    and when it changes the browser builds the chart anew instead of replacing its data.
    """
    records = spec["datasets"][charts.ROWS]
    columns = {name: [record.get(name) for record in records] for name in dict.fromkeys(k for r in records for k in r)}
    # As an Arrow table the rows reach the browser without a detour through a frame.
    shown = {**charts.in_look(spec, is_dark()), "datasets": {charts.ROWS: pa.table(columns)}}
    alt = f"{charts.title_of(spec)}. {_('Its figures in words follow.')}"
    st.vega_lite_chart(shown, width="stretch", theme=None, alt=alt)
    below = f'<p class="unseen">{html.escape(text)}</p>'
    st.html(f'<div class="below">{below}<p class="note">{html.escape(note)}</p></div>' if note else below)


def table(frame: pd.DataFrame | frames.Columns, *, caption: str | None = None, digits: int = 1) -> None:
    """A table that scrolls within itself; numbers in one format, years without a separator."""
    if caption:
        st.markdown(f"**{caption}**")
    shown = pa.table(frame) if isinstance(frame, dict) else frame
    names = shown.column_names if isinstance(shown, pa.Table) else list(shown.columns)
    columns: dict[str, Any] = {}
    for name in names:
        kind = np.asarray(frame[name]).dtype.kind
        if name in {"year", _("Year")} and kind in "iu":
            columns[name] = st.column_config.NumberColumn(_("Year"), format="%d")
        elif kind == "f":
            values = np.asarray(frame[name])
            # Separators of thousands come at the price of trailing zeros, so only where there are thousands.
            if values.size > 0 and bool(np.nanmax(np.abs(values), initial=0.0) >= 1e4):
                columns[name] = st.column_config.NumberColumn(format="localized")
                shown = _rounded(shown, name, values)
            else:
                columns[name] = st.column_config.NumberColumn(format=f"%.{digits}f")
    height: Literal["content", "auto"] = "content" if len(shown) <= LONGEST_WHOLE else "auto"
    st.dataframe(
        shown, hide_index=True, column_config=columns, width="stretch", height=height, placeholder="–",
    )  # fmt: skip


def sheet(frame: pd.DataFrame | frames.Columns, *, caption: str = "", digits: int = 1) -> None:
    """A table whose words wrap, so that it is read whole on a screen, a telephone, on paper and aloud."""
    head, cells = "", []
    for i, name in enumerate(frame):
        values = np.asarray(frame[name])
        texts = [_cell(value, digits) for value in values]
        figure = " class='figure'" if i > 0 and values.dtype.kind in "iuf" else ""
        look = figure or f" style='min-width:{_least_width(str(name), texts):g}em'"
        head += f"<th scope='col'{look}>{html.escape(str(name))}</th>"
        tag = "td" if i > 0 else "th scope='row'"
        cells.append([f"<{tag}{figure}>{html.escape(text)}</{tag[:2]}>" for text in texts])
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    st.html(f"<div class='sheet'><table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")


def _cell(value: object, digits: int) -> str:
    """A cell's text; a number in the reader's format, a year without separators, nothing where nothing is known."""
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else language.number(float(value), digits)
    return str(value)


def _least_width(name: str, texts: list[str]) -> float:
    """How narrow a column of words may become, ems: short cells are not broken; letters of East Asia count twice."""

    def letters(text: str) -> int:
        return sum(2 if ord(letter) > LAST_NARROW else 1 for letter in text)

    longest = max(min(letters(name), NARROW), *(letters(text) for text in texts), 0)
    return 0.58 * min(longest, WIDE) + 0.9


def _rounded(shown: pd.DataFrame | pa.Table, name: str, values: np.ndarray) -> pd.DataFrame | pa.Table:
    """The table with a column of large numbers in whole ones: the reader's format shows every digit there is."""
    if isinstance(shown, pd.DataFrame):
        return shown.assign(**{name: values.round()})
    return shown.set_column(shown.column_names.index(name), name, pa.array(values.round()))


def source_note(ref: Reference) -> None:
    """Under every page: fit, law, number of futures, unit of money."""
    st.caption(
        _(
            "Fit {fit} · law {law} ({law_hash}) · {draws} simulated futures from the end of {year} on · money in "
            "{unit}, nominal.",
            fit=ref.fit_hash[:12],
            law=ref.scheme.id,
            law_hash=ref.scheme.content_hash[:12],
            draws=language.number(ref.basis.n_draws),
            year=ref.first_year - 1,
            unit=language.money_unit(ref.money),
        )
    )
