"""How long a page takes to open in Chromium, told by the page's own clock with nobody listening to its requests.

A test's driver listens to every request of a page, which on a small machine slows the page that asks for many. Here the
browser is told to open the page and is asked when the awaited element was there; nothing else is watched.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NOTE = """(() => {
  const look = () => {
    if (document.querySelector(%s)) window.seenAfter = performance.now(); else requestAnimationFrame(look);
  };
  look();
})()"""
PATIENCE = 120.0
# Seconds in which a new window has drawn itself: Chromium reads 400 files of its own for the address bar then.
SETTLED = 4.0


class Chromium:
    """A headless Chromium that opens pages and is otherwise left alone."""

    def __init__(self, connection: ClientConnection):
        self._connection = connection
        self._asked = 0

    def _call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        self._asked += 1
        message: dict[str, object] = {"id": self._asked, "method": method, "params": parameters}
        self._connection.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            found = json.loads(self._connection.recv(timeout=PATIENCE))
            if found.get("id") == self._asked:
                if "error" in found:
                    raise SystemExit(f"Chromium refused {method}: {found['error']['message']}")
                return dict(found["result"])

    def visitor(self) -> str:
        """Somebody who has never been here: a context with empty caches."""
        return str(self._call("Target.createBrowserContext")["browserContextId"])

    def tab(self, visitor: str) -> str:
        """An empty tab of the visitor's, at rest: a reader has his window open before he types an address."""
        tab = self._call("Target.createTarget", url="about:blank", browserContextId=visitor)["targetId"]
        session = self._call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        self._call("Page.enable", session)
        time.sleep(SETTLED)
        return str(session)

    def opening(self, tab: str, url: str, selector: str) -> float:
        """Seconds from the address to the first frame with an element, in a tab."""
        self._call("Page.addScriptToEvaluateOnNewDocument", tab, source=NOTE % json.dumps(selector))
        self._call("Page.navigate", tab, url=url)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            time.sleep(0.1)
            seen = self._call("Runtime.evaluate", tab, expression="window.seenAfter || 0")["result"].get("value", 0)
            if seen:
                # The tab stays open, as a reader's does: a visitor without a tab would lose what is kept.
                return float(seen) / 1000.0
        raise SystemExit(f"{url} showed no {selector} in {PATIENCE:.0f} s")


@contextmanager
def chromium_alone(program: str) -> Iterator[Chromium]:
    """A Chromium with a profile of its own; ended afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        process = subprocess.Popen(
            [program, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with connect(_debugger(Path(profile) / "DevToolsActivePort"), max_size=None) as connection:
                yield Chromium(connection)
        finally:
            process.terminate()
            process.wait(20)


def _debugger(announced: Path) -> str:
    """Address at which the browser takes commands, once it has written down its port."""
    for _ in range(100):
        if announced.is_file() and (lines := announced.read_text().splitlines()):
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/version", timeout=10) as answer:
                return str(json.load(answer)["webSocketDebuggerUrl"])
        time.sleep(0.1)
    raise SystemExit("Chromium did not start")
