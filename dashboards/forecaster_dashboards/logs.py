"""Log lines as JSON for whoever runs the dashboard on a server: ``FORECASTER_LOG=json``; no page is logged without it.

A line holds which page was opened, of which fund, in which language and role; no address, no name, no lever. Errors
that nobody foresaw are written always, with their traceback, which may show a lever's value.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys

LOGGER = logging.getLogger("forecaster.dashboard")
SWITCH = "FORECASTER_LOG"


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, and what the event says."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        told = getattr(record, "told", {})
        now = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": record.levelname.lower(), "event": record.getMessage(), **told}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def begin() -> None:
    """Write JSON lines to standard output, if the environment asks for them; once per process."""
    if os.environ.get(SWITCH) != "json" or LOGGER.handlers:
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def opened(page: str, pool: str, language: str, role: str) -> None:
    """A page was opened."""
    begin()
    LOGGER.info("page", extra={"told": {"page": page, "pool": pool, "language": language, "role": role}})


def failed(where: str) -> None:
    """A page or a part of one could not be made; called where the error is caught, whose traceback is written."""
    begin()
    LOGGER.exception("failed", extra={"told": {"where": where}})
