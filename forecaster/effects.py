r"""Official yearly effects of changes of the law, held against what the projection says of the same change.

Ours is the mean over draws of the change's effect in the second projected year, brought to the incomes of the official
figure's year by the growth of nominal GDP between,

.. math::
    \bar e = \mathrm{mean}_d \left(e_d \, Y_a / Y_{t,d}\right)

with *Y* nominal GDP, *a* the official figure's year and *t* the projected one.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from forecaster.basis import Basis
from forecaster.engine import INCOME_LINES, FundProjection, project
from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.observations import load_observations
from forecaster.policy import Change, Policy, Reform
from forecaster.resources import data_dir
from forecaster.schemes import Scheme, pydantic_fault

Array = np.ndarray
# How far ours may lie from the official figure or range before a reason must be written beside it.
TOLERANCE = 0.3
NET = "net"
# Units of amounts of money that grow with incomes.
_MONEY = {"TWD", "TWD per month"}


class Effect(BaseModel):
    """An official figure with the change it is about; the keys are explained in ``data/effects``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    label: str
    year: int
    low: float
    high: float
    line: str
    source: str
    evidence: Literal["independent", "fitted", "set"]
    under: list[str] = []
    before: list[str] = []
    after: list[str] = []
    in_gdp: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Held:
    """An official effect beside ours, TWD bn a year at the incomes of the official figure's year.

    Attributes
    ----------
    ours, low, high
        Mean over draws and the middle 80%; None where no lever tells the change.
    """

    effect: Effect
    ours: float | None
    low: float | None = None
    high: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the middle of the official range."""
        return None if self.ours is None else self.ours / (0.5 * (self.effect.low + self.effect.high))

    @property
    def within(self) -> bool:
        """Whether ours lies within the tolerance of the official figure or range."""
        if self.ours is None:
            return False
        ends = sorted((abs(self.effect.low), abs(self.effect.high)))
        same_sign = self.ours * self.effect.low > 0.0
        return same_sign and (1.0 - TOLERANCE) * ends[0] <= abs(self.ours) <= (1.0 + TOLERANCE) * ends[1]


def has_effects(scheme: Scheme) -> bool:
    """Whether official effects are held for a scheme."""
    return _path(scheme).is_file()


def _path(scheme: Scheme) -> Path:
    return data_dir() / "effects" / f"{scheme.id}.toml"


def official_effects(scheme: Scheme) -> tuple[Effect, ...]:
    """Official effects of a scheme, from ``data/effects/<scheme>.toml``.

    Raises
    ------
    ForecasterError
        When there are none for this scheme.
    FaultyInput
        With every fault of the file.
    """
    path = _path(scheme)
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.toml")))
        raise ForecasterError(f"no official effects are known for {scheme.id}; there are some for: {known}")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    found: list[Effect] = []
    faults: list[Fault] = []
    for i, entry in enumerate(raw.get("effects", [])):
        try:
            effect = Effect.model_validate(entry)
        except ValidationError as error:
            faults += [pydantic_fault(item, "the head of the file") for item in error.errors()]
            continue
        where = f"effects[{i}]"
        if effect.line not in (NET, *INCOME_LINES):
            allowed = ", ".join((NET, *INCOME_LINES))
            faults.append(Fault(f"{where}.line", repr(effect.line), allowed, "use one of these words"))
        if not effect.after and not effect.reason:
            faults.append(Fault(where, "neither a change nor a reason", "one of them", "say why there is no lever"))
        found.append(effect)
    if faults:
        raise FaultyInput(f"effects/{path.name}", faults)
    return tuple(found)


def hold(basis: Basis, law: Policy, effect: Effect) -> Held:
    """What the projection says of the same change.

    Raises
    ------
    ForecasterError
        When the basis has no second year, or carries no GDP to compare years by.
    """
    if not effect.after:
        return Held(effect, None)
    if len(basis.years) < 2 or "gdp_nominal" not in basis.drivers:
        raise ForecasterError(
            f"basis {basis.label!r} has one year only or carries no gdp_nominal: official effects belong to other "
            "years and are compared in proportion to GDP; use the pool's fit"
        )
    short = basis.until(int(basis.years[1]))
    gdp = short.drivers["gdp_nominal"][1]
    then = float(nominal_gdp(short, law.scheme.place, np.array([effect.year]))[0])
    grown = float(gdp.mean()) / then if effect.in_gdp else 1.0
    day = dt.date(int(short.years[1]), 1, 1)
    flows = [
        _flow(project(short, law.reform(_dated([*effect.under, *side], day, law.scheme, grown))), effect.line)[1]
        for side in (effect.before, effect.after)
    ]
    ours = (flows[1] - flows[0]) * then / gdp
    low, high = np.quantile(ours, (0.1, 0.9))
    return Held(effect, float(ours.mean()), float(low), float(high))


def _dated(settings: list[str], day: dt.date, scheme: Scheme, grown: float) -> Reform:
    parsed = Reform.parse(f"{text}@{day.isoformat()}" for text in settings)
    changes = []
    for change in parsed.changes:
        value = change.value
        if not isinstance(value, str) and scheme.parameter(change.name).unit in _MONEY:
            value = value * grown
        changes.append(Change(change.name, change.start, value))
    return Reform(tuple(changes))


def _flow(result: FundProjection, line: str) -> Array:
    if line == NET:
        return result.total_income - result.income["investment_income"] - result.outgo
    return result.income[line]


def nominal_gdp(basis: Basis, place: str, years: Array) -> Array:
    """Nominal GDP of years up to the basis's last, TWD bn, flow, ``(year,)``.

    Published, or on a straight line of logs between published years and the means of the projected ones.
    """
    published = load_observations(place.lower()).series("gdp_nominal").set_index("year")["value"].sort_index()
    published = published[published.index < basis.years[0]]
    known = [*published.index, *basis.years.tolist()]
    levels = [*np.log(published), *np.log(basis.drivers["gdp_nominal"].mean(axis=1))]
    return np.exp(np.interp(years, known, levels))
