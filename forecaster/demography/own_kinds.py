"""Kinds of files on a country's people, told apart by their columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forecaster.errors import ForecasterError

_UN_KEYS = ("ISO3_code", "Location", "Variant")


@dataclass(frozen=True)
class Kind:
    """A kind of file: the columns that make it, those of text, and whether it holds many countries."""

    name: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    many: bool  # the country and the variant stand in columns; else the file is of one country

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.texts, *self.numbers)


KINDS = (
    Kind("UN population by single age", ("Time", "AgeGrpStart", "PopMale", "PopFemale"), _UN_KEYS, True),
    Kind("UN complete life table", ("Time", "AgeGrpStart", "mx"), (*_UN_KEYS, "Sex"), True),
    Kind("UN fertility by single age", ("Time", "AgeGrpStart", "ASFR"), _UN_KEYS, True),
    Kind("UN demographic indicators", ("Time", "SRB"), _UN_KEYS, True),
    Kind("own table by age", ("year", "age", "population", "mx", "asfr"), ("sex",), False),
    Kind("own table by year", ("year", "srb"), (), False),
)


def kind_of(titles: Iterable[str]) -> Kind:
    """The kind that all its columns are among the titles of.

    Raises
    ------
    ForecasterError
        When there is none; naming the columns of every kind.
    """
    found = set(titles)
    kind = next((kind for kind in KINDS if set(kind.columns) <= found), None)
    if kind is None:
        known = "; ".join(f"{kind.name}: {', '.join(kind.columns)}" for kind in KINDS)
        raise ForecasterError(f"its columns are of no known kind ({known})")
    return kind
