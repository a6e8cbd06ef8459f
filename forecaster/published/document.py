"""A published valuation as a document: where its table lies, how it is to be read, and what it says the answers are."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecaster.engine import Timing
from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.resources import data_dir
from forecaster.schemes import pydantic_fault

GUIDE = "docs/valuations.md"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class When(_Strict):
    """The keys of ``[timing]``, see :class:`forecaster.engine.Timing`."""

    premiums: float = Field(default=0.5, ge=0.0, le=1.0)
    other: float = Field(default=0.5, ge=0.0, le=1.0)
    outgo: float = Field(default=0.5, ge=0.0, le=1.0)
    base: float = Field(default=0.5, ge=0.0, le=1.0)
    source: str = ""


class Target(_Strict):
    """The keys of ``[target]``: months of the outgo of the ``next`` year, or of the period's ``last``."""

    months: float = Field(default=12.0, ge=0.0)
    year: Literal["next", "last"] = "next"


class Answer(_Strict):
    """What the report says of a period, shares of the payroll."""

    years: int = Field(gt=0)
    income_rate: float | None = None
    cost_rate: float | None = None
    balance: float | None = None
    unfunded_rate: float | None = None


class Document(_Strict):
    """A published valuation.

    Attributes
    ----------
    table
        File with the yearly figures, beside the document.
    money
        Unit of its money, nominal.
    opening
        Reserve at the end of the year before the first.
    published, depletion
        What the report answers, to be held against ours; ``depletion`` is the year in which the reserve runs out.
    notes
        What is assumed or rounded, shown with the results.
    """

    label: str
    source: str
    table: str
    money: str = ""
    percent: bool = False
    thousands: bool = False
    fill: bool = False
    sheet: str | None = None
    start: int | None = None
    opening: float | None = None
    interest: float | None = None
    columns: Mapping[str, str] = Field(default_factory=dict)
    timing: When = When()
    target: Target = Target()
    published: tuple[Answer, ...] = ()
    depletion: int | None = None
    notes: tuple[str, ...] = ()
    path: Path = Path()

    @property
    def when(self) -> Timing:
        """When in the year its flows fall."""
        return Timing(self.timing.premiums, self.timing.other, self.timing.outgo, self.timing.base)


def shipped_documents() -> tuple[str, ...]:
    """Names of the shipped published valuations."""
    return tuple(sorted(path.stem for path in (data_dir() / "valuations").glob("*.toml")))


def read_document(name: str | Path) -> Document:
    """Read a published valuation.

    Parameters
    ----------
    name
        Name of a shipped one, or path of a TOML file.

    Raises
    ------
    FaultyInput
        With every fault of the file.
    ForecasterError
        When there is no such document.
    """
    path = Path(name) if str(name).endswith(".toml") else data_dir() / "valuations" / f"{name}.toml"
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        shipped = ", ".join(shipped_documents())
        raise ForecasterError(
            f"no valuation {str(name)!r}. Give a table (.csv, .xlsx, .parquet), a document (.toml), or a shipped one: "
            f"{shipped}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(str(path), [fault]) from None
    for key in ("published", "notes"):
        if isinstance(raw.get(key), list):
            raw[key] = tuple(raw[key])
    try:
        return Document.model_validate({**raw, "path": path})
    except ValidationError as error:
        raise FaultyInput(str(path), [pydantic_fault(item, GUIDE) for item in error.errors()]) from None
