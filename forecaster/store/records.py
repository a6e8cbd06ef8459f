"""What the store keeps: runs with their files, names given to them, lines of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecaster.hashing import digest

KINDS = ("fit", "backtest", "projection", "scenario")
# What the first line of the audit log has for the hash of the line before.
FIRST = "0" * 64


@dataclass(frozen=True)
class StoredFile:
    """A file of a run: SHA-256 of its content, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Run:
    """What the catalogue knows of a run.

    Attributes
    ----------
    id
        SHA-256 over all that follows.
    kind
        One of :data:`KINDS`; a scenario is a projection with a reform.
    pool, result
        Name of the pool; hash of the manifest that decides the figures, equal for equal inputs.
    why, who, created
        As given, the user's name, and the time in UTC.
    parent
        Run that it was made from: a projection's fit, a backtest's fit.
    manifest
        What the result was made from.
    files
        Name to :class:`StoredFile`.
    """

    id: str
    kind: str
    pool: str
    result: str
    why: str
    who: str
    created: str
    parent: str | None
    manifest: Mapping[str, Any]
    files: Mapping[str, StoredFile]

    @property
    def short(self) -> str:
        """First characters of the id, as commands print it."""
        return self.id[:12]

    def content(self) -> dict[str, Any]:
        """What the id is the hash of."""
        return {
            "kind": self.kind,
            "pool": self.pool,
            "result": self.result,
            "why": self.why,
            "who": self.who,
            "created": self.created,
            "parent": self.parent,
            "manifest": self.manifest,
            "files": {name: [file.sha256, file.size] for name, file in sorted(self.files.items())},
        }


@dataclass(frozen=True)
class Promotion:
    """A run given a name: who did it, when and why."""

    name: str
    run_id: str
    who: str
    at: str
    why: str


@dataclass(frozen=True)
class AuditEntry:
    """A line of the audit log; ``hash`` covers the line and the hash of the one before."""

    seq: int
    at: str
    who: str
    action: str
    subject: str
    detail: str
    previous: str
    hash: str

    def expected(self) -> str:
        """The hash that the line must have."""
        return digest([self.seq, self.at, self.who, self.action, self.subject, self.detail, self.previous])
