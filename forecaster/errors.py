"""Faults in what a user brings, told so that the user can mend them.

Every public entry point that reads a file, a lever or a table raises one of these. The text is part of the product:
tests check its words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong: where it stands, what was found, what is allowed and how to mend it."""

    where: str
    found: str
    allowed: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}; allowed: {self.allowed}. To mend: {self.mend}"


class ForecasterError(ValueError):
    """Base of all errors that are the user's to mend; the command line prints them without a traceback."""


class FaultyInput(ForecasterError):
    """All faults of one input, collected before anything is raised.

    Parameters
    ----------
    subject
        What was being read, for example ``"data/schemes/tw_nhi_2g.toml"``.
    faults
        Every fault found in it; at least one.
    """

    def __init__(self, subject: str, faults: Iterable[Fault]):
        self.subject = subject
        self.faults = tuple(faults)
        count = len(self.faults)
        noun = "fault" if count == 1 else "faults"
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        super().__init__(f"{subject}: {count} {noun}\n{lines}")
