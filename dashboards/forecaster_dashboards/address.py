"""The address as the memory of a session: what a reload or a copied link brings back.

Streamlit takes everything out of the address when the reader goes to another page, so each part is held here and put
back. A part is text that anyone can write; the page that it belongs to reads it as data and says what it does not take.
"""

from __future__ import annotations

import streamlit as st

# The levers' scenario, scenarios to compare, the question to solve, the terms of care, fund, language.
LINK, COMPARED, QUESTION, CARE, POOL, LANGUAGE = "s", "c", "q", "p", "pool", "lang"
# Parts of a scenario: what a copied link holds beside the fund.
SCENARIO = (LINK, COMPARED, QUESTION, CARE)
LONGEST = 2000
_HELD, _NEW = "address_held", "address_new"


def _held() -> dict[str, str]:
    return st.session_state.setdefault(_HELD, {})


def hold(name: str, text: str) -> None:
    """Keep a part, and the address in step with it; empty text takes it out."""
    _held()[name] = text
    if st.query_params.get(name, "") == text:
        return
    if text:
        st.query_params[name] = text
    else:
        # The browser's own part may arrive between the look and this line, without it.
        st.query_params.pop(name, None)


def held(name: str) -> str:
    """A part as it is kept now."""
    return _held().get(name, "")


def forget() -> None:
    """Drop every part of the scenario: another fund has been chosen."""
    for name in SCENARIO:
        hold(name, "")


def meet() -> None:
    """At the start of a run: note parts that the address has and the session not, put back those that it has lost."""
    for name in (QUESTION, CARE):
        asked = st.query_params.get(name)
        if asked is not None and asked != held(name):
            _held()[name] = asked
            st.session_state.setdefault(_NEW, {})[name] = asked[: LONGEST + 1]
        hold(name, held(name))


def arrived(name: str) -> str | None:
    """A part that came with the address and has not been read yet; the next call gives None."""
    return st.session_state.get(_NEW, {}).pop(name, None)
