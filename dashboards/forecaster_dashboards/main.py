"""The dashboard: pages and what all of them share."""

from __future__ import annotations

import streamlit as st

from forecaster.errors import ForecasterError
from forecaster_dashboards import evidence_page, fund_page, service, texts

# Drawn here: a named icon would be fetched from elsewhere.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M4 10 L14 14 L28 4 V28 L14 18 L4 12 Z" '
    'fill="#1c5fa8" opacity="0.45"/><path d="M4 11 L14 16 L28 15" fill="none" stroke="#1c5fa8" stroke-width="3"/></svg>'
)


def run() -> None:
    """Draw the page that the reader has chosen."""
    st.set_page_config(page_title=texts.APP_NAME, page_icon=ICON, layout="wide")
    pages = [
        st.Page(_fund, title=texts.PAGE_FUND, url_path="fund", default=True),
        st.Page(_evidence, title=texts.PAGE_EVIDENCE, url_path="evidence"),
    ]
    st.navigation(pages, position="top").run()


def _fund() -> None:
    _with_reference(fund_page.show)


def _evidence() -> None:
    _with_reference(evidence_page.show)


def _with_reference(show) -> None:  # type: ignore[no-untyped-def]  # a page: Reference -> None
    try:
        with st.spinner(texts.LOADING):
            ref = service.reference(service.POOL)
    except (ForecasterError, ImportError) as error:
        st.error(f"{texts.NO_FIT} {error}")
        return
    show(ref)
