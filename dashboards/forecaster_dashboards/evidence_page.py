"""The page of sources and evidence: what the figures rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from forecaster.errors import ForecasterError
from forecaster.schemes import Scheme
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
