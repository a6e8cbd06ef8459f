"""The scheme file: a pool's law as dated, sourced parameters in TOML.

No statutory number stands in Python. Loading collects every fault of a file before it raises.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.parameters import Parameter
from forecaster.resources import data_dir

PAYERS = ("insured", "employer", "government")


class Category(BaseModel):
    """An insured category of the law.

    ``employer_is_government`` marks the one whose employer is the state; ``announced_dependants`` the ones whose
    employer and government shares are charged on the announced average number of dependants (Article 29).
    ``own_dependants`` says whether the insured pay for their own dependants up to a cap, ``beside`` themselves or
    ``alone`` (Article 18, 23). ``amount`` names the parameter that sets the category's insured amount or premium.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str
    article: str
    employer_is_government: bool = False
    announced_dependants: bool = False
    own_dependants: Literal["none", "beside", "alone"] = "none"
    amount: str = ""


class Item(BaseModel):
    """An item of income on which the supplementary premium is charged."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    label: str
    article: str
    payer: str


class Scheme(BaseModel):
    """A pool's law between two dates.

    Attributes
    ----------
    id, pool
        Name of this law and of the pool it belongs to, for example ``tw_nhi_2g`` and ``tw_nhi``.
    start, end
        First and last day on which it holds; ``end`` is absent for the law in force.
    unit
        In which its money is counted: thousand millions (``bn``), millions (``m``), thousands, or ones.
    parameters
        Name to :class:`~forecaster.parameters.Parameter`.
    content_hash, path
        SHA-256 of the file, and where it lies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    pool: str
    label: str
    place: str
    currency: str
    unit: Literal["bn", "m", "thousand", "one"] = "bn"
    start: dt.date = Field(alias="from")
    end: dt.date | None = Field(default=None, alias="to")
    description: str
    categories: Mapping[str, Category]
    supplementary_items: Mapping[str, Item] = Field(default_factory=dict)
    parameters: Mapping[str, Parameter]
    content_hash: str = ""
    path: Path = Path()

    @property
    def money(self) -> str:
        """Unit of all money, nominal, such as ``TWD bn``."""
        return self.currency if self.unit == "one" else f"{self.currency} {self.unit}"

    def parameter(self, name: str) -> Parameter:
        """Parameter of that name; a wrong name is answered with the nearest ones."""
        try:
            return self.parameters[name]
        except KeyError:
            near = difflib.get_close_matches(name, self.parameters, n=3, cutoff=0.3)
            hint = ", ".join(near) if near else "none is near"
            raise ForecasterError(
                f"{self.id} has no parameter {name!r}. Nearest names: {hint}. "
                f"To see all of them: forecaster check {self.id} --parameters"
            ) from None


def scheme_ids() -> tuple[str, ...]:
    """Names of the shipped schemes."""
    return tuple(sorted(path.stem for path in (data_dir() / "schemes").glob("*.toml")))


def scheme_path(name: str | Path) -> Path:
    """File of a shipped scheme's name, or the path itself."""
    return Path(name) if str(name).endswith(".toml") else data_dir() / "schemes" / f"{name}.toml"


def load_scheme(
    name: str | Path,
    given: Mapping[str, Any] | None = None,
    values: Mapping[str, list[dict[str, Any]]] | None = None,
) -> Scheme:
    """Read and check a scheme file.

    Parameters
    ----------
    name
        Name of a shipped scheme, or path of a TOML file.
    given
        Keys of the file that stand elsewhere and may not be stated twice.
    values
        Parameter to its dated values, where the file leaves them out.

    Raises
    ------
    FaultyInput
        With every fault of the file: unknown key, missing source, value out of bounds, dates out of order, shares that
        do not sum to one, a tied value that breaks its own rule.
    ForecasterError
        When there is no such scheme.
    """
    path = scheme_path(name)
    if not path.is_file():
        near = difflib.get_close_matches(str(name), scheme_ids(), n=3, cutoff=0.3)
        raise ForecasterError(
            f"no scheme {str(name)!r}. Shipped schemes: {', '.join(scheme_ids())}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
    content = path.read_bytes()
    subject = f"schemes/{path.name}"
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(subject, [fault]) from None
    twice = [
        Fault(key, repr(raw[key]), "nothing: it stands in pool.toml", f"remove {key!r}")
        for key in given or {}
        if key in raw
    ]
    if twice:
        raise FaultyInput(subject, twice)
    for key, dated in (values or {}).items():
        parameter = raw.get("parameters", {}).get(key, {})
        if isinstance(parameter, dict) and parameter and "values" not in parameter:
            parameter["values"] = dated
    raw |= given or {}
    if given or values:
        content += json.dumps([given, values], sort_keys=True, default=str).encode()
    try:
        own = {"content_hash": hashlib.sha256(content).hexdigest(), "path": path}
        scheme = Scheme.model_validate({**raw, **own}, strict=False)
    except ValidationError as error:
        raise FaultyInput(subject, [pydantic_fault(item) for item in error.errors()]) from None
    faults = [*value_faults(scheme.parameters), *_share_faults(scheme), *_tie_faults(scheme), *_name_faults(scheme)]
    if faults:
        raise FaultyInput(subject, faults)
    return scheme


def pydantic_fault(item: Any, guide: str = "docs/schemes.md") -> Fault:
    """A fault that pydantic found, in this project's words; ``guide`` names the page that lists the keys."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return Fault(where, f"unknown key {item['loc'][-1]!r}", f"the keys in {guide}", "remove or rename it")
    if item["type"] == "missing":
        return Fault(where, "nothing", "a value is required here", f"add {item['loc'][-1]!r}")
    return Fault(where, repr(item["input"])[:80], item["msg"], "correct the value")


def value_faults(parameters: Mapping[str, Parameter]) -> list[Fault]:
    """Values without bounds or source, out of their bounds, not a number or a word, or dated out of order."""
    faults = []
    for name, parameter in parameters.items():
        where = f"parameters.{name}"
        if parameter.unit == "choice":
            faults += [
                Fault(f"{where}.values[{i}]", repr(v.value), ", ".join(parameter.choices), "use one of these words")
                for i, v in enumerate(parameter.values)
                if v.value not in parameter.choices
            ]
            continue
        if parameter.bounds is None or not parameter.bounds_source:
            faults.append(
                Fault(where, "no bounds with bounds_source", "both are required", "state the bounds and their source")
            )
            continue
        low, high = parameter.bounds
        for i, dated in enumerate(parameter.values):
            at = f"{where}.values[{i}]"
            if not isinstance(dated.value, float | int) or not np.isfinite(dated.value):
                faults.append(Fault(at, repr(dated.value), "a finite number", "write the number in the stated unit"))
            elif not low <= dated.value <= high:
                allowed = f"{low} to {high} ({parameter.bounds_source})"
                faults.append(Fault(at, repr(dated.value), allowed, "check the unit; a share is 0.0517, not 5.17"))
            if not dated.source.strip():
                faults.append(Fault(at, "no source", "the id of a source", "name the document that says so"))
        days = [v.start for v in parameter.values]
        if any(b <= a for a, b in pairwise(days)):
            faults.append(Fault(where, "dates out of order", "each date later than the one before", "sort the values"))
    return faults


def _share_faults(scheme: Scheme) -> list[Fault]:
    faults = []
    for category in scheme.categories:
        names = [f"premium_share.{category}.{payer}" for payer in PAYERS]
        missing = [name for name in names if name not in scheme.parameters]
        if missing:
            faults.append(Fault(f"categories.{category}", "no " + ", ".join(missing), "all three shares", "add them"))
            continue
        total = sum(scheme.parameters[name].in_force()[-1][1] for name in names)
        if abs(total - 1.0) > 1e-9:
            faults.append(
                Fault(f"categories.{category}", f"shares sum to {total:g}", "1 exactly", "correct the payers' shares")
            )
    return faults


def _name_faults(scheme: Scheme) -> list[Fault]:
    """Parameters that the file names and does not have."""
    named = [(f"categories.{name}.amount", category.amount) for name, category in scheme.categories.items()]
    for name, parameter in scheme.parameters.items():
        named += [(f"parameters.{name}.acts_with", other) for other in parameter.acts_with]
        named += [(f"parameters.{name}.rests_on", other) for other in parameter.rests_on]
    return [
        Fault(where, repr(name), "a parameter of this file", "correct it")
        for where, name in named
        if name and name not in scheme.parameters
    ]


def _tie_faults(scheme: Scheme) -> list[Fault]:
    faults = []
    for name, parameter in scheme.parameters.items():
        if parameter.tied_to is None:
            continue
        if parameter.tied_to not in scheme.parameters:
            faults.append(
                Fault(f"parameters.{name}.tied_to", repr(parameter.tied_to), "a parameter of this file", "correct it")
            )
            continue
        leader = dict(scheme.parameters[parameter.tied_to].in_force())
        own = parameter.in_force()
        for (before_day, before), (day, value) in pairwise(own):
            if before_day in leader and day in leader:
                expected = tied_value(before, leader[before_day], leader[day])
                if abs(expected - value) > 1e-12:
                    allowed = f"{expected:.4f} by {parameter.article}"
                    faults.append(Fault(f"parameters.{name} at {day}", f"{value:.4f}", allowed, "correct one of them"))
    return faults


def tied_value(before: float, leader_before: float, leader_now: float) -> float:
    """Next value of a tied rate: it grows as its leader grows, rounded to a hundredth of a percent.

    NHI Act Article 33: ``q_t = q_{t-1} * r_t / r_{t-1}``.
    """
    return round(before * leader_now / leader_before, 4)
