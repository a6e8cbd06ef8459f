"""The page of sources and evidence: what the figures rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from forecaster.certificate import NO_FIT
from forecaster.errors import ForecasterError
from forecaster.schemes import Scheme
from forecaster.scores import MODEL
from forecaster_dashboards import service, texts
from forecaster_dashboards.fund_page import STYLE
from forecaster_dashboards.service import Reference
from forecaster_dashboards.view import table


def show(ref: Reference) -> None:
    """Draw the page."""
    st.html(STYLE)
    st.title(texts.PAGE_EVIDENCE)
    st.markdown(texts.EVIDENCE_INTRO)
    _verdict(ref)
    _record(ref)
    _learnt(ref)
    _past(ref)
    parameters = parameter_frame(ref.scheme)
    st.subheader(texts.ASSUMED)
    table(parameters[parameters["status"] == "assumed"].drop(columns="status"))
    with st.expander(texts.PARAMETERS):
        table(parameters)
    st.subheader(texts.ASSUMPTIONS)
    st.markdown("\n".join(f"- {text}" for text in ref.basis.assumptions))
    st.subheader(texts.LIMITS)
    st.markdown("\n".join(f"- {text}" for text in texts.LIMITS_TEXT))
    _sources(ref)
    with st.expander(texts.MANIFEST):
        st.json(dict(ref.manifest), expanded=1)


def parameter_frame(scheme: Scheme) -> pd.DataFrame:
    """Every dated value of the scheme, one row each, with its article, unit, status, source and note."""
    rows = [
        {
            "parameter": name,
            "label": parameter.label,
            "article": parameter.article,
            "from": value.start.isoformat(),
            "value": value.value if isinstance(value.value, str) else f"{value.value:.10g}",
            "unit": parameter.unit,
            "status": value.status,
            "source": value.source,
            "note": value.note,
        }
        for name, parameter in scheme.parameters.items()
        for value in parameter.values
    ]
    return pd.DataFrame(rows)


def verdict_frame(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The checks of each block of the fit: verdict, disagreement of chains, effective draws, divergences."""
    rows = []
    for name, block in manifest.get("blocks", {}).items():
        row: dict[str, object] = {texts.VERDICT_BLOCK: name}
        for key, (column, digits) in texts.VERDICT_COLUMNS.items():
            found = block.get(key)
            row[column] = f"{found:.{digits}f}" if isinstance(found, float) else str(found)
        rows.append(row)
    return pd.DataFrame(rows)


def _verdict(ref: Reference) -> None:
    st.subheader(texts.VERDICT)
    if not ref.manifest:
        st.warning(texts.NO_MANIFEST)
        return
    accepted = bool(ref.manifest.get("accepted"))
    (st.success if accepted else st.error)(texts.verdict(accepted, ref.fit_hash[:12]))
    checks = verdict_frame(ref.manifest)
    if len(checks):
        table(checks)
        st.caption(texts.VERDICT_NOTE)


def record_frame(content: Mapping[str, Any]) -> pd.DataFrame:
    """How many outcomes the 80% bands held, by line, under both questions of the backtest."""
    rows = []
    for line, label in texts.RECORD_LINES.items():
        row: dict[str, object] = {texts.RECORD_LINE: label}
        for question, column in texts.RECORD_QUESTIONS.items():
            record = content["questions"][question]["lines"][line]
            row[column] = texts.held(record["held"]["80"], record["n"])
        rows.append(row)
    return pd.DataFrame(rows)


def lost_frame(content: Mapping[str, Any]) -> pd.DataFrame:
    """Lines and horizons at which a naive rule scored better, with both mean scores."""
    rows = [
        (
            texts.RECORD_LINES[row["line"]],
            row["horizon"],
            row["label"],
            row["n"],
            f"{row['ours']:.4f}",
            f"{row['rival']:.4f}",
        )
        for row in content["comparisons"][MODEL]["lost"]
    ]
    return pd.DataFrame(rows, columns=list(texts.LOST_COLUMNS))


def _record(ref: Reference) -> None:
    """How forecasts of earlier years did, in plain words."""
    st.subheader(texts.RECORD)
    if ref.record is None:
        st.caption(NO_FIT)
        return
    for text in ref.record.warnings:
        st.warning(text)
    content = ref.record.content
    if content is None:
        return
    st.markdown("\n".join(f"- {text}" for text in ref.record.lines))
    table(record_frame(content))
    st.caption(texts.RECORD_NOTE)
    lost = lost_frame(content)
    if len(lost):
        with st.expander(texts.LOST):
            table(lost)
            st.caption(texts.LOST_NOTE)


def learnt_frame(learnt: pd.DataFrame) -> pd.DataFrame:
    """Each prior beside its posterior, figures to four significant digits, those that the data taught most first."""
    shown = learnt.sort_values("learnt", ascending=False, kind="stable")
    cells: dict[str, list[str]] = {}
    for side in ("prior", "posterior"):
        low, mid, high = (shown[f"{side}_{q}"] for q in ("q5", "q50", "q95"))
        cells[f"{side}_q50"] = [f"{value:.4g}" for value in mid]
        cells[f"{side}_range"] = [f"{one:.4g} to {other:.4g}" for one, other in zip(low, high, strict=True)]
    share = [f"{100 * value:.0f}%" for value in shown["learnt"].clip(lower=0.0)]
    return shown.assign(**cells, learnt=share)[list(texts.LEARNT_COLUMNS)].rename(columns=texts.LEARNT_COLUMNS)


def check_frame(checks: pd.DataFrame) -> pd.DataFrame:
    """Futures under the priors alone and with the data, beside the past."""
    return checks.rename(columns=texts.CHECK_COLUMNS)[list(texts.CHECK_COLUMNS.values())]


def _learnt(ref: Reference) -> None:
    """What the data made of the priors."""
    if ref.learnt is None or ref.checks is None:
        return
    st.subheader(texts.LEARNT)
    absurd = ref.manifest.get("absurd_futures")
    if absurd:
        st.markdown(texts.absurd_futures(absurd["prior"], absurd["posterior"]))
    table(check_frame(ref.checks), digits=3)
    st.caption(texts.CHECK_NOTE)
    with st.expander(texts.LEARNT_TABLE):
        table(learnt_frame(ref.learnt))
        st.caption(texts.LEARNT_NOTE)


def _past(ref: Reference) -> None:
    st.subheader(texts.PAST)
    st.caption(texts.PAST_NOTE)
    columns = ["line", "year", "kind", "q2.5", "q50", "q97.5", "unit", "source"]
    past = ref.history[columns].sort_values(["line", "year"])
    table(past.assign(line=past["line"].map(texts.PAST_LINES)).rename(columns=texts.PAST_COLUMNS), digits=2)
    try:
        breaks = service.observations(ref.place).breaks
    except ForecasterError as error:
        st.error(str(error))
        return
    st.subheader(texts.BREAKS)
    st.caption(texts.BREAKS_NOTE)
    table(breaks.drop(columns=[c for c in ("file", "line") if c in breaks.columns]), digits=3)


def _sources(ref: Reference) -> None:
    st.subheader(texts.SOURCES)
    try:
        sources = service.observations(ref.place).sources
    except ForecasterError as error:
        st.error(str(error))
        return
    wanted = st.text_input(texts.FILTER_SOURCES, key="source_filter", max_chars=100)
    cells = sources[["id", "title", "publisher", "note"]].fillna("").agg(" ".join, axis=1)
    kept = sources[cells.str.contains(wanted, case=False, regex=False)] if wanted else sources
    st.caption(texts.sources_shown(len(kept), len(sources)))
    shown = kept[["id", "title", "publisher", "date", "link", "note"]]
    st.dataframe(
        shown,
        hide_index=True,
        width="stretch",
        column_config={"link": st.column_config.LinkColumn(display_text=texts.OPEN)},
    )
