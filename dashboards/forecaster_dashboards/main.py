"""The dashboard: pages and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType

import streamlit as st

from forecaster.certificate import coverage_warnings
from forecaster.errors import ForecasterError
from forecaster.language import terms
from forecaster_dashboards import access, address, language, levers, logs, look, references, server, view, words
from forecaster_dashboards.language import _
from forecaster_dashboards.references import Reference

POOL = "pool_chosen"


def page_titles() -> dict[str, str]:
    """Pages by the name of their module and their address, in the order of the menu."""
    return {
        "fund": _("Fund"),
        "levers": _("Levers"),
        "solve": _("Solve"),
        "payers": _("Who pays"),
        "drivers": _("Drivers"),
        "protection": _("Protection"),
        "schemes": _("Schemes"),
        "evidence": _("Evidence"),
        "export": _("Export"),
    }


def run(opened: str = "fund") -> None:
    """Draw the page that the reader has chosen; without a choice the one of the module ``opened``."""
    choose_language()
    _tell_anew()
    st.set_page_config(page_title=_("Insurance pool forecaster"), page_icon=look.ICON, layout="wide")
    look.dress(language.current())
    if not access.admitted():
        return
    pages = [
        st.Page(_page(name, title), title=title, url_path=name, default=name == opened)
        if access.may_open(name)
        else st.Page(_closed(name, title), title=title, url_path=name, visibility="hidden")
        for name, title in page_titles().items()
    ]
    st.navigation(pages, position="top").run()


def choose_language() -> None:
    """The language of the address, else the one of this session, else the browser's."""
    asked = st.query_params.get(address.LANGUAGE)
    if asked in language.LANGUAGES and st.session_state.get("language_asked") != asked:
        st.session_state[view.LANGUAGE] = asked
        st.session_state["language_asked"] = asked
    if st.session_state.get(view.LANGUAGE) not in language.LANGUAGES:
        st.session_state[view.LANGUAGE] = language.preferred(st.context.locale)
    language.speak(st.session_state[view.LANGUAGE])
    address.hold(address.LANGUAGE, st.session_state.get("language_asked", ""))


def _tell_anew() -> None:
    """Tell the browser again where the widgets stand that several pages share.

    After a change of page it draws them at their defaults, although it has just sent their values: the next move of any
    lever would carry those defaults into the reform.
    """
    shared = [name for name in st.session_state if levers.is_shared(str(name))]
    for name in (POOL, view.LANGUAGE, *shared):
        if name in st.session_state:
            st.session_state[name] = st.session_state[name]


def _language_chosen() -> None:
    chosen = st.session_state.get(view.LANGUAGE)
    if chosen not in language.LANGUAGES:
        # A widget that is being taken away says that it has no choice.
        return
    st.session_state["language_asked"] = chosen
    address.hold(address.LANGUAGE, chosen)
    # Sentences about a link were said in the other language.
    st.session_state[levers.NOTES] = []


def _pool_chosen() -> None:
    address.forget()
    _hold_pool()


def _hold_pool() -> None:
    chosen = st.session_state[POOL]
    address.hold(address.POOL, "" if chosen == references.POOL else chosen)


def page_of(name: str) -> ModuleType:
    """The module of a page, imported when it is first asked for."""
    return import_module(f"forecaster_dashboards.{name}_page")


def _closed(name: str, title: str) -> Callable[[], None]:
    """A page that this reader may not open: left out of the menu, and in words for who asks for it by its address."""

    def show() -> None:
        _header(title)
        st.info(_("This page is not open to you here. Sign in if you may have it, or choose another from the menu."))

    show.__name__ = name
    return show


def _page(name: str, title: str) -> Callable[[], None]:
    def show() -> None:
        with view.in_words(name):
            _header(title if name != "fund" else _("Will the fund last?"))
            ref = _reference(st.session_state[POOL])
            if ref is None:
                return
            _about(ref)
            levers.prepare(ref)
            levers.put_back()
            address.meet()
            logs.opened(name, ref.pool, language.current(), access.role())
            page_of(name).show(ref)
            view.source_note(ref)

    show.__name__ = name
    return show


def _reference(pool: str) -> Reference | None:
    """What the pages are about; None, with a sentence, where the fund has no fit that could be shown."""
    try:
        # A reader who need not wait is not told to: every element costs his browser time before the first chart.
        waiting = _("Loading the fit and drawing 4,000 futures from it ...")
        with nullcontext() if references.was_loaded(pool) else st.spinner(waiting):
            return references.reference(pool)
    except (ForecasterError, ImportError) as error:
        st.error(_("There is no fit of this fund that could be shown. Make one with: forecaster fit {pool}", pool=pool))
        view.detail(error)
        return None


def _header(title: str) -> None:
    """Title of the page, and the switches of pool and language."""
    pools = references.served_pools()
    asked = st.query_params.get(address.POOL, references.POOL)
    if st.session_state.get(POOL) not in pools:
        st.session_state[POOL] = asked if asked in pools else references.POOL
    with st.container(key="header", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(title, width="content", anchor=False)
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            if len(pools) > 1:
                st.selectbox(
                    _("Fund"), list(pools), key=POOL, on_change=_pool_chosen, persist_state="session",
                    format_func=lambda name: language.said(pools[name].label), label_visibility="collapsed", width=260,
                )  # fmt: skip
            st.segmented_control(
                "Language, 語言, 语言", list(language.LANGUAGES), key=view.LANGUAGE, required=True,
                format_func=lambda code: language.LANGUAGES[code], on_change=_language_chosen,
                label_visibility="collapsed", persist_state="session",
            )  # fmt: skip
            access.account()
    if st.query_params.pop(server.LOST, ""):
        st.info(_("There is no page of that name; choose one from the menu."))
    if asked not in pools:
        st.info(_("The address names a fund that is not shown here, so this is another one."))
    _hold_pool()


def _about(ref: Reference) -> None:
    """Which law and place the page is about, and the warnings that must stand on its face."""
    place = words.places().get(ref.place.upper(), ref.place.upper())
    st.markdown(
        _(
            "{law} · {place} · valuation at the end of {year}",
            law=language.said(ref.scheme.label),
            place=place,
            year=ref.first_year - 1,
        )
    )
    for text in warnings(ref):
        st.warning(text)


def warnings(ref: Reference) -> tuple[str, ...]:
    """What must stand on the face of every page, in the reader's language where the words are known beforehand."""
    known, record = terms.records(), ref.record
    if record is None or language.current() == language.ENGLISH:
        return ref.warnings
    said = [known[record.status]] if record.status in known else []
    return (*said, *(coverage_warnings(record.content, _) if record.content else ()))
