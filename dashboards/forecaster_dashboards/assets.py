"""Streamlit's own scripts, styles and fonts: answered from memory, and those of the first page asked for at once.

The browser learns what the first chart needs when it meets the chart: some eighty files more. Named in the page's head
they come while the rest is still being read, and answered from memory, packed, they take a third of the processor time.
"""

from __future__ import annotations

import gzip
import mimetypes
import re
from functools import cache
from pathlib import Path

from starlette.responses import Response
from streamlit.file_util import get_static_dir

# Components that the fund's page shows, by the name of their file before its hash.
FIRST_PAGE = (
    *("Html", "ArrowVegaLiteChart", "Slider", "Selectbox", "ButtonGroup", "Checkbox", "DateInput", "Button", "Spinner"),
)
# By what is always there first, the look back after it: ten times as quick as the other way round.
_IMPORTED = re.compile(rb'"\./(?<=(?:from|port)"\./)([\w.-]+\.js)"')
# Below this much a packed answer saves nothing.
_WORTH_PACKING = 1000
_HELD = "public, immutable, max-age=31536000"


@cache
def files() -> dict[str, Path]:
    """Every file below ``/static/`` by its address there; their names hold a hash, so that they never change."""
    root = Path(get_static_dir()) / "static"
    return {path.relative_to(root).as_posix(): path for path in root.glob("*/*") if path.is_file()}


@cache
def scripts_of(components: tuple[str, ...]) -> tuple[str, ...]:
    """Scripts that components are made of, with all that they import; a component that is not there is left out."""
    wanted = [name for name in files() if name.startswith("js/") and name[3:].partition(".")[0] in components]
    found: dict[str, None] = {}
    while wanted:
        name = wanted.pop()
        if name in found or name not in files():
            continue
        found[name] = None
        wanted += [f"js/{other.decode()}" for other in _IMPORTED.findall(files()[name].read_bytes())]
    return tuple(found)


@cache
def hints() -> bytes:
    """Lines of a page's head that ask for the first page's scripts."""
    lines = [
        f'<link rel="modulepreload" fetchpriority="low" crossorigin href="./static/{name}">'
        for name in scripts_of(FIRST_PAGE)
    ]
    return "".join(lines).encode()


def answer(name: str, encodings: str) -> Response | None:
    """The answer to who asks for a file; None where there is no such file."""
    if name not in files():
        return None
    packed = _packed(name) if "gzip" in encodings else None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"cache-control": _HELD, "vary": "accept-encoding"}
    if packed is None:
        return Response(files()[name].read_bytes(), media_type=kind, headers=headers)
    return Response(packed, media_type=kind, headers=headers | {"content-encoding": "gzip"})


@cache
def _packed(name: str) -> bytes | None:
    """A script or style packed, kept for all; None for what is packed by itself."""
    content = files()[name].read_bytes() if name.endswith((".js", ".css")) else b""
    return gzip.compress(content, 6, mtime=0) if len(content) > _WORTH_PACKING else None
