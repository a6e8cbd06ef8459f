"""What stands between the network and the pages: headers of safety, and what the browser is told beforehand.

Streamlit's page looks for its server under its own address first (``/levers/_stcore/health``) and logs an error for
every miss. The line that is put into the page tells it the root, which is where the server is. Scripts, styles and
fonts are answered here (:mod:`forecaster_dashboards.assets`).
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config
from streamlit.starlette import App

from forecaster.errors import ForecasterError
from forecaster_dashboards import assets

# The script that Streamlit runs for every page.
PAGE = Path(__file__).resolve().with_name("page.py")
# Inline are the two lines below, the one that sets the page's language, and Streamlit's own; nothing is evaluated.
# The own origin is what the browser's address says, behind a proxy too, and takes in its websocket.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
# On a telephone the menu lies over the page; Streamlit leaves it open when a page has been chosen.
FOLD = (
    b"<script>addEventListener('click',e=>{if(innerWidth<768&&e.target.closest('[data-testid=stSidebarNavLink]'))"
    b"setTimeout(()=>document.querySelector('[data-testid=stSidebarCollapseButton] button')?.click(),150)})</script>"
)
FIRST = "fund"
# First parts of every path that is answered: pages but the first, and what Streamlit itself answers.
PAGES = ("levers", "solve", "payers", "drivers", "protection", "schemes", "evidence", "export")
ANSWERED = ("", FIRST, *PAGES, "_stcore", "auth", "oauth2callback", "media", "component", "static", "app")
# What is added to the address of a reader who has asked for a page that there is not.
LOST = "lost"
# Seconds after which a thread gives way to another while the first fund is being loaded; five milliseconds otherwise.
TURN = 0.0005
_BEFORE, _END = b'<script type="module"', b"</head>"


def root_path() -> str:
    """The path that a proxy serves the dashboard under, with a slash at both ends."""
    base = str(config.get_option("server.baseUrlPath")).strip("/")
    return f"/{base}/" if base else "/"


def is_lost(path: str) -> bool:
    """Whether a path leads to no page and to nothing else that is answered."""
    first, _slash, rest = path.removeprefix(root_path().rstrip("/")).strip("/").partition("/")
    return first not in ANSWERED or bool(rest and first in PAGES)


def root_line() -> bytes:
    """The line of the page that names the root."""
    path = json.dumps(root_path())
    return f"<script>window.__streamlit={{BACKEND_BASE_URL:location.origin+{path}}}</script>".encode()


def told(page: bytes) -> bytes:
    """The page with :func:`root_line` and :data:`FOLD`, and in its head the scripts that the browser will need next."""
    return page.replace(_BEFORE, root_line() + FOLD + _BEFORE, 1).replace(_END, assets.hints() + _END, 1)


class Guarded:
    """The application with the headers of :data:`HEADERS` on every answer, and every page told what it will need."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; pages are asked for uncompressed, so that the line can be put in."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["path"].endswith(f"/{FIRST}") and "text/html" in headers.get("accept", ""):
            # Streamlit knows its first page by the root alone and calls its name an unknown page.
            query = scope.get("query_string", b"").decode("latin-1")
            # One slash in front: of two a browser makes the name of another host.
            root = "/" + scope["path"].removesuffix(FIRST).lstrip("/") + (f"?{query}" if query else "")
            await RedirectResponse(root, status_code=307)(scope, receive, _Answer(send))
            return
        if is_lost(scope["path"]) and "text/html" in headers.get("accept", ""):
            # Streamlit would say so in English, whatever the reader's language.
            await RedirectResponse(f"{root_path()}?{LOST}=1", status_code=307)(scope, receive, _Answer(send))
            return
        _before, static, name = scope["path"].partition("/static/")
        if static and scope["method"] == "GET" and (held := assets.answer(name, headers.get("accept-encoding", ""))):
            await held(scope, receive, _Answer(send))
            return
        if "text/html" in headers.get("accept", ""):
            plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            scope = {**scope, "headers": plain}
        await self.app(scope, receive, _Answer(send))


class _Answer:
    """Sends on what the application answers; a page is held back until it is whole."""

    def __init__(self, send: Send):
        self.send = send
        self.page: dict[str, Any] | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers:
                self.page = dict(message)
                return
        elif self.page is not None and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = told(self.body) if self.body else b""
            if body:
                MutableHeaders(raw=self.page["headers"])["content-length"] = str(len(body))
            await self.send(self.page)
            message = {"type": "http.response.body", "body": body}
            self.page = None
        await self.send(message)


def load() -> None:
    """Import the first page and load the first fund; what is wrong with it the page says, in the reader's words.

    By the door by which a reader's run comes in, so that one of the two waits for the other at every import.
    """
    before = sys.getswitchinterval()
    # His browser asks for its files meanwhile; each of a hundred would wait this long for its turn.
    sys.setswitchinterval(TURN)
    # All that is made here stays: no search for garbage among it, now or ever after.
    gc.disable()
    try:
        with suppress(ForecasterError, ImportError):
            from forecaster_dashboards import main, references

            main.page_of(FIRST)
            references.reference(references.POOL)
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(before)


@asynccontextmanager
async def started(app: App) -> AsyncIterator[None]:
    """Load the first fund and page while the reader's browser is still on its way, and answer it meanwhile."""
    threading.Thread(target=load, daemon=True).start()
    yield


def middleware() -> list[Middleware]:
    """What :class:`streamlit.starlette.App` is given."""
    return [Middleware(Guarded)]
