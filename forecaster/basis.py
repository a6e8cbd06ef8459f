"""The basis: everything uncertain that the law does not set, as draws, checked on construction.

A fitted model gives a basis with thousands of draws, an actuary's own assumptions one with a single draw. The engine
cannot tell them apart. Inside, arrays lie ``(year, draw)``, the layout the engine was measured to be fastest in;
:meth:`Basis.dataset` labels them ``(draw, year)`` for people.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.members import MemberPeople
from forecaster.resources import data_dir

if TYPE_CHECKING:
    import xarray as xr

Array = np.ndarray


def read_only(array: Array) -> Array:
    """The same array, not to be written to: compiled code tells the two apart and is compiled once for each."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class PaymentSizes:
    """Sizes of the payments of one supplementary item, lognormal when weighted by value.

    Parameters
    ----------
    median
        Value-weighted median payment, currency nominal of the reference year, shape ``(draw,)``.
    spread
        Standard deviation of the log size, shape ``(draw,)``.
    """

    median: Array
    spread: Array


@dataclass(frozen=True)
class Points:
    """Points that providers claim, against the part of the outlay whose points float.

    Parameters
    ----------
    claimed
        Points of the year, thousand millions, flow, shape ``(year, draw)``.
    floating_share
        Share of the outlay that is paid for them, shape ``(draw,)``: a point is worth outlay x share / points.
    """

    claimed: Array
    floating_share: Array


@dataclass(frozen=True)
class Basis:
    """Draws of everything the law does not set, from the first projected year on.

    Parameters
    ----------
    years
        Projected calendar years, shape ``(year,)``, without gaps.
    opening_reserve
        Reserve at the end of the year before, nominal money, stock, shape ``(draw,)``.
    general_base
        Amount on which the general premium of all categories and payers is charged, nominal money a year, flow, at
        ``reference_dependants``; shape ``(year, draw)``. Premium = rate x base.
    category_mix
        Share of each category in that amount, shape ``(category, draw)``; columns sum to 1.
    categories
        Names of the categories, in the order of ``category_mix``.
    reference_dependants
        Announced average number of dependants at which ``general_base`` is measured, persons.
    supplementary_base
        Item to the amount charged under the thresholds and ceiling of ``law_thresholds``, nominal money a year, flow,
        shape ``(year, draw)``.
    payment_sizes
        Item to its :class:`PaymentSizes`; items without an entry do not respond to thresholds.
    payment_size_index
        Growth of payment sizes since the reference year, 1 there, shape ``(year, draw)``.
    law_thresholds, law_ceiling
        Thresholds (item to shape ``(year,)``) and ceiling (shape ``(year,)``), in ones of the currency, under which
        ``supplementary_base`` holds.
    other_income
        Line (tobacco surcharge; other) to money nominal a year, flow, shape ``(year, draw)``.
    outlay
        Insurance cost on accrual basis, co-payments already deducted, nominal money a year, flow, ``(year, draw)``.
    investment_yield
        Yield of the reserve, nominal, a share a year, shape ``(year, draw)``.
    drivers
        Further series shown with the results and not read by the engine (population, need index, GDP), ``(year,
        draw)``.
    points
        Points of providers where a fund pays by points under a budget, see :class:`Points`.
    members
        Whom the members follow from, for levers on who pays and who retires (:mod:`forecaster.mainland`).
    money
        Unit of all its money, such as ``TWD bn`` or ``EUR m``; empty where a file of assumptions states none.
    label, assumptions
        What it is, and what in it is assumed rather than learnt; shown wherever results are.

    Raises
    ------
    FaultyInput
        Naming every array of wrong shape, with NaN or infinity, or of impossible sign.
    """

    label: str
    years: Array
    opening_reserve: Array
    general_base: Array
    category_mix: Array
    categories: tuple[str, ...]
    reference_dependants: float
    supplementary_base: Mapping[str, Array]
    other_income: Mapping[str, Array]
    outlay: Array
    investment_yield: Array
    payment_sizes: Mapping[str, PaymentSizes]
    payment_size_index: Array
    law_thresholds: Mapping[str, Array]
    law_ceiling: Array
    drivers: Mapping[str, Array]
    assumptions: tuple[str, ...] = ()
    money: str = ""
    points: Points | None = None
    members: MemberPeople | None = None

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise FaultyInput(f"basis {self.label!r}", faults)
        for array in self._arrays().values():
            array.flags.writeable = False

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.opening_reserve.shape[0])

    def _arrays(self) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                found[item.name] = value
            elif isinstance(value, Points):
                found["points.claimed"], found["points.floating_share"] = value.claimed, value.floating_share
            elif isinstance(value, Mapping):
                for key, inner in value.items():
                    if isinstance(inner, PaymentSizes):
                        found[f"{item.name}.{key}.median"] = inner.median
                        found[f"{item.name}.{key}.spread"] = inner.spread
                    else:
                        found[f"{item.name}.{key}"] = inner
        return found

    def _faults(self):  # type: ignore[no-untyped-def]
        n_years, n_draws = len(self.years), len(self.opening_reserve)
        special = {
            "years": (n_years,),
            "opening_reserve": (n_draws,),
            "category_mix": (len(self.categories), n_draws),
            "law_ceiling": (n_years,),
            "points.floating_share": (n_draws,),
        }
        for name, array in self._arrays().items():
            stem = name.split(".", maxsplit=1)[0]
            shape = special.get(name, (n_years, n_draws))
            if stem == "law_thresholds":
                shape = (n_years,)
            elif stem == "payment_sizes":
                shape = (n_draws,)
            if array.shape != shape:
                yield Fault(name, f"shape {array.shape}", f"shape {shape}", "give one value per year and draw")
            elif not np.isfinite(array).all():
                yield Fault(name, "NaN or infinity", "finite numbers", "fill or remove the gap where it arises")
            elif stem in {"general_base", "supplementary_base", "outlay", "payment_size_index"} and (array < 0).any():
                mend = f"check the sign and the unit ({self.money or 'money'} a year)"
                yield Fault(name, f"{array.min():g}", "zero or more", mend)
            elif stem == "points" and (array <= 0).any():
                yield Fault(name, f"{array.min():g}", "above zero", "leave the points out where a fund has none")
        if n_years and (np.diff(self.years) != 1).any():
            yield Fault("years", "a gap", "consecutive calendar years", "fill the missing years")
        if self.category_mix.ndim == 2 and not np.allclose(self.category_mix.sum(axis=0), 1.0, atol=1e-6):
            yield Fault("category_mix", "columns that do not sum to 1", "shares of all categories", "divide by the sum")

    @cached_property
    def other_income_total(self) -> Array:
        """Sum of the other income lines, nominal money a year, ``(year, draw)``."""
        return np.add.reduce([np.zeros_like(self.outlay), *self.other_income.values()])

    def supplementary_sum(self, items: tuple[str, ...]) -> Array:
        """Sum of some items' bases, nominal money a year, ``(year, draw)``; kept, since levers rarely change it."""

        def summed() -> Array:
            return np.add.reduce([np.zeros_like(self.outlay), *(self.supplementary_base[i] for i in items)])

        return self.kept(("supplementary sum", *items), summed)

    def kept(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """What ``make`` gives, computed once and kept as long as the basis lives: for what no lever changes."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def kept_last(self, key: Hashable, token: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, kept until it is asked for under another token: for what only some levers change."""
        found = self._kept.get(key)
        if not isinstance(found, tuple) or found[0] != token:
            found = (token, make())
            self._kept[key] = found
        return found[1]

    @cached_property
    def _kept(self) -> dict[Hashable, Any]:
        return {}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over names, shapes and bytes of all arrays."""
        digest = hashlib.sha256(self.label.encode())
        if self.members is not None:
            digest.update(self.members.persons.tobytes())
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
        return digest.hexdigest()

    def until(self, horizon: int) -> Basis:
        """The same basis cut after the year ``horizon``.

        Raises
        ------
        FaultyInput
            When the basis does not reach that year or begins after it.
        """
        if not self.years[0] <= horizon <= self.years[-1]:
            allowed = f"{self.years[0]} to {self.years[-1]}"
            fault = Fault("horizon", str(horizon), allowed, "choose a year that the basis covers")
            raise FaultyInput(f"basis {self.label!r}", [fault])
        n = int(horizon - self.years[0]) + 1
        by_year = {"years", "general_base", "outlay", "investment_yield", "payment_size_index", "law_ceiling"}
        maps = {"supplementary_base", "other_income", "law_thresholds", "drivers"}
        cut: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in by_year:
            cut[name] = cut[name][:n]
        for name in maps:
            cut[name] = {key: value[:n] for key, value in cut[name].items()}
        if self.points is not None:
            cut["points"] = Points(self.points.claimed[:n], self.points.floating_share)
        return Basis(**cut)

    def dataset(self) -> xr.Dataset:
        """The basis labelled for people: ``(draw, year)``, category and item as further axes, units as attributes."""
        import xarray as xr

        unit = self.money or "money"
        money = {"unit": f"{unit} per year", "kind": "flow", "prices": "nominal"}
        data = {
            "opening_reserve": ("draw", self.opening_reserve, {"unit": unit, "kind": "stock", "prices": "nominal"}),
            "general_base": (("draw", "year"), self.general_base.T, money),
            "outlay": (("draw", "year"), self.outlay.T, money),
            "investment_yield": (("draw", "year"), self.investment_yield.T, {"unit": "share"}),
            "category_mix": (("draw", "category"), self.category_mix.T, {"unit": "share"}),
        }
        for stem in ("supplementary_base", "other_income", "drivers"):
            for key, value in getattr(self, stem).items():
                data[f"{stem}.{key}"] = (("draw", "year"), value.T, money if stem != "drivers" else {})
        return xr.Dataset(
            data,
            coords={"year": self.years, "draw": np.arange(self.n_draws), "category": list(self.categories)},
            attrs={"label": self.label, "hash": self.hash, "assumptions": " | ".join(self.assumptions)},
        )


def read_basis(name: str | Path) -> Basis:
    """Deterministic basis from a TOML file: one draw, written by hand or from a published assumption set.

    Parameters
    ----------
    name
        Name of a shipped file in ``data/bases``, or a path.

    Raises
    ------
    FaultyInput
        When the file is not of the form shown in ``docs/bases.md``; each fault is named.
    """
    path = Path(name) if str(name).endswith(".toml") else data_dir() / "bases" / f"{name}.toml"
    subject = f"bases/{path.name}"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        shipped = ", ".join(sorted(p.stem for p in (data_dir() / "bases").glob("*.toml")))
        fault = Fault("the file", "nothing", f"a path, or a shipped one: {shipped}", "correct the name")
        raise FaultyInput(subject, [fault]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FaultyInput(
            subject, [Fault("the file", str(error), "TOML in UTF-8", "correct the place named")]
        ) from None
    required = {"label", "years", "opening_reserve", "general_base", "outlay", "category_mix", "reference_dependants"}
    optional = {
        "money",
        "points",
        "supplementary_base",
        "other_income",
        "investment_yield",
        "assumptions",
        "source",
        "reform",
    }
    faults = [Fault(key, "nothing", "a value is required", f"add {key!r}") for key in sorted(required - set(raw))]
    faults += [
        Fault(key, "unknown key", ", ".join(sorted(required | optional)), "remove or rename it")
        for key in sorted(set(raw) - required - optional)
    ]
    if faults:
        raise FaultyInput(subject, faults)
    try:
        return _basis_of(raw, subject)
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ForecasterError):
            raise
        fault = Fault("a value", str(error), "numbers, and tables of numbers, as in docs/bases.md", "correct the value")
        raise FaultyInput(subject, [fault]) from None


def _basis_of(raw: Mapping[str, Any], subject: str) -> Basis:
    years = np.array(raw["years"], dtype=int)

    def by_year(key: str, value: Any) -> Array:
        array = np.atleast_1d(np.array(value, dtype=float))
        if array.shape not in {(1,), years.shape}:
            fault = Fault(
                key, f"{array.size} values", f"one, or one for each of {years.size} years", "complete the list"
            )
            raise FaultyInput(subject, [fault])
        return np.broadcast_to(array, years.shape)[:, None].copy()

    return Basis(
        label=raw["label"],
        years=years,
        opening_reserve=np.array([float(raw["opening_reserve"])]),
        general_base=by_year("general_base", raw["general_base"]),
        category_mix=np.array(list(raw["category_mix"].values()), dtype=float)[:, None],
        categories=tuple(raw["category_mix"]),
        reference_dependants=float(raw["reference_dependants"]),
        supplementary_base={k: by_year(k, v) for k, v in raw.get("supplementary_base", {}).items()},
        other_income={k: by_year(k, v) for k, v in raw.get("other_income", {}).items()},
        outlay=by_year("outlay", raw["outlay"]),
        investment_yield=by_year("investment_yield", raw.get("investment_yield", 0.0)),
        payment_sizes={},
        payment_size_index=np.ones((years.size, 1)),
        law_thresholds={},
        law_ceiling=np.zeros(years.size),
        drivers={},
        assumptions=tuple(raw.get("assumptions", ())),
        money=raw.get("money", ""),
        points=_points_of(raw["points"], by_year, subject) if "points" in raw else None,
    )


def _points_of(raw: Mapping[str, Any], by_year: Callable[[str, Any], Array], subject: str) -> Points:
    keys = {"claimed", "floating_share"}
    if set(raw) != keys:
        fault = Fault("points", ", ".join(sorted(raw)) or "nothing", ", ".join(sorted(keys)), "give both and no other")
        raise FaultyInput(subject, [fault])
    return Points(by_year("points.claimed", raw["claimed"]), np.array([float(raw["floating_share"])]))
