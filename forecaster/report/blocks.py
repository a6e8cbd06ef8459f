"""What a report is made of, before it becomes PDF, HTML or Word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is one of the thirteen sections."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Paragraph:
    """Text; ``warning`` stands in a frame, ``note`` in small letters."""

    text: str
    style: Literal["normal", "warning", "note"] = "normal"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Cells as they are printed; the first column is to the left, the others too if they are ``words``."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: bool = False


@dataclass(frozen=True)
class Picture:
    """A chart as a Vega-Lite specification, with the words for those who cannot see it."""

    spec: dict[str, Any]
    caption: str
    alternative: str


@dataclass(frozen=True)
class Blank:
    """Lines to be filled in by hand, each with what belongs there."""

    items: tuple[str, ...]


Block = Heading | Paragraph | Bullets | Table | Picture | Blank
