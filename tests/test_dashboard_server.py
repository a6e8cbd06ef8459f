"""What stands between network and pages: headers of safety, what a page is told beforehand, files from memory."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from streamlit.file_util import get_static_dir

from forecaster_dashboards import assets, server

PAGE = b'<html><head><script type="module" src="./a.js"></script></head></html>'


def answered(
    path: str = "/levers", accept: str = "text/html,*/*", content: bytes = PAGE, *, compressed: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer that has passed the server's guard; behind it stands one for everything."""
    sent = []

    async def app(scope, receive, send):
        packed = compressed and b"accept-encoding" in dict(scope["headers"])
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(content)).encode())]
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": headers + [(b"content-encoding", b"gzip")] * packed,
            }
        )
        await send({"type": "http.response.body", "body": content[:5], "more_body": True})
        await send({"type": "http.response.body", "body": content[5:]})

    async def send(message):
        sent.append(message)

    path, _mark, query = path.partition("?")
    headers = [(b"accept", accept.encode()), (b"accept-encoding", b"gzip")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
    # In a thread of its own: a browser test that ran before in this process may have left its event loop running here.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, server.Guarded(app)(scope, None, send)).result()
    start, *bodies = sent
    found = {k.decode(): v.decode() for k, v in start["headers"]}
    return start["status"], found, b"".join(body["body"] for body in bodies)


def test_every_page_is_told_where_the_server_is_and_answers_carry_headers_of_safety():
    _status, headers, body = answered(compressed=True)
    start = b'<script type="module"'
    lines = server.root_line() + server.FOLD
    assert body == PAGE.replace(start, lines + start).replace(b"</head>", assets.hints() + b"</head>")
    assert headers["content-length"] == str(len(body))
    assert b'BACKEND_BASE_URL:location.origin+"/"' in body
    policy = headers["content-security-policy"]
    assert "'unsafe-eval'" not in policy
    # The websocket too goes to the own origin alone.
    assert "; connect-src 'self'; " in policy
    assert headers["x-content-type-options"] == "nosniff"
    # What is asked for compressed passes as it is.
    assert answered(accept="*/*", content=b"packed bytes", compressed=True)[2] == b"packed bytes"


def test_a_page_asks_beforehand_for_all_that_the_first_chart_is_made_of():
    asked = re.findall(r'href="\./static/(js/[^"]+)"', assets.hints().decode())
    names = [name.removeprefix("js/").partition(".")[0] for name in asked]
    assert {"ArrowVegaLiteChart", "embed", "Slider", "Html"} <= set(names)
    assert len(asked) == len(set(asked))
    # Every script that one of them imports is among them, and the large ones that no first page needs are not.
    for name in asked:
        text = assets.files()[name].read_text("utf-8")
        assert {f"js/{found}" for found in re.findall(r'from"\./([\w.-]+\.js)"', text)} <= set(asked)
    assert {"PlotlyChart", "DeckGlJsonChart", "DataFrame"}.isdisjoint(names)


def test_scripts_and_fonts_are_answered_from_memory_and_nothing_else_is():
    script = next(name for name in assets.scripts_of(("Slider",)) if name.startswith("js/Slider."))
    font = next(name for name in assets.files() if name.endswith(".woff2"))
    status, headers, body = answered(f"/static/{script}", "*/*")
    whole = assets.files()[script].read_bytes()
    assert (status, headers["content-encoding"], gzip.decompress(body)) == (200, "gzip", whole)
    assert "javascript" in headers["content-type"]
    assert "immutable" in headers["cache-control"]
    assert headers["content-security-policy"] == server.POLICY
    # A font is packed by itself.
    _status, headers, body = answered(f"/static/{font}", "*/*")
    assert "content-encoding" not in headers
    assert body == assets.files()[font].read_bytes()
    # Below a path that a proxy serves the dashboard under too; all else goes on to the application.
    assert gzip.decompress(answered(f"/fund/static/{script}", "*/*")[2]) == whole
    for path in ("/static/js/none.js", "/static/../index.html", "/static/js/../../index.html", "/static/"):
        assert answered(path, "*/*", b"from the application")[2] == b"from the application"
    assert all(str(path).startswith(get_static_dir()) for path in assets.files().values())


def test_the_first_page_is_found_by_its_name_too():
    status, headers, _body = answered("/fund?lang=zh_TW&s=2~x")
    assert (status, headers["location"]) == (307, "/?lang=zh_TW&s=2~x")
    assert answered("/tools/fund")[1]["location"] == "/tools/"
    # To no other host.
    assert answered("//evil.example/fund")[1]["location"] == "/evil.example/"
    assert answered("/levers")[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such loop on Windows")
def test_the_server_takes_the_loop_that_sends_each_message_at_once():
    """The standard loop would hold small ones back on the sockets that Streamlit binds itself."""
    factory = uvicorn.Config("forecaster_dashboards.server:Guarded").get_loop_factory()
    assert factory is not None
    with contextlib.closing(factory()) as loop:
        assert type(loop).__module__.startswith("uvloop")
