"""A scheme with a reform laid over it, read year by year.

A reform is a change to parameters: a lever on a page, ``--set`` on the command line, or a file in ``data/reforms``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.parameters import Parameter, yearly_means
from forecaster.schemes import PAYERS, Scheme, tied_value

_SETTING = re.compile(r"^(?P<name>[a-z0-9_.]+)=(?P<value>[^@]+)@(?P<date>\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True, order=True)
class Change:
    """From ``start`` on the parameter ``name`` has ``value``; whatever the law had later is overridden."""

    name: str
    start: dt.date
    value: float | str

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.10g}"
        return f"{self.name}={value}@{self.start.isoformat()}"


@dataclass(frozen=True)
class Reform:
    """A set of changes, in canonical order; the empty reform is today's law."""

    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=lambda c: (c.name, c.start))))

    @property
    def token(self) -> str:
        """Canonical text of the reform; equal reforms have equal tokens."""
        return ";".join(str(change) for change in self.changes)

    @classmethod
    def parse(cls, settings: Iterable[str]) -> Reform:
        """Reform from texts like ``general_premium_rate=0.0557@2027-01-01``.

        Raises
        ------
        FaultyInput
            Naming every text that is not of that form or is set twice for one day.
        """
        changes, faults, seen = [], [], set()
        for text in settings:
            match = _SETTING.match(text.strip())
            example = "general_premium_rate=0.0557@2027-01-01"
            if match is None:
                faults.append(Fault("--set", repr(text), "NAME=VALUE@YYYY-MM-DD", f"write for example {example}"))
                continue
            try:
                start = dt.date.fromisoformat(match["date"])
            except ValueError:
                faults.append(Fault("--set", repr(match["date"]), "a day of the calendar", "correct the date"))
                continue
            if (match["name"], start) in seen:
                faults.append(
                    Fault("--set", f"{match['name']} twice at {start}", "one value a day", "keep one of them")
                )
            seen.add((match["name"], start))
            changes.append(Change(match["name"], start, _number_or_word(match["value"].strip())))
        if faults:
            raise FaultyInput("the reform", faults)
        return cls(tuple(changes))

    @classmethod
    def read(cls, path: Path) -> Reform:
        """Reform from a TOML file with ``[[changes]]`` of ``parameter``, ``from`` and ``value``.

        Raises
        ------
        FaultyInput
            When the file cannot be read, with every unknown or missing key, wrong type and day that is set twice.
        """
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            fault = Fault("the file", error.strerror or str(error), "a TOML file that can be read", "correct the name")
            raise FaultyInput(path.name, [fault]) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the place named")
            raise FaultyInput(path.name, [fault]) from None
        faults = _unknown("the file", raw, _FILE_KEYS)
        entries = raw.get("changes")
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            faults.append(Fault("changes", "none", "[[changes]] with parameter, from and value", "see data/reforms"))
            raise FaultyInput(path.name, faults)
        for i, entry in enumerate(entries):
            faults += _unknown(f"changes[{i}]", entry, _CHANGE_KEYS)
            faults += _typed(f"changes[{i}]", entry)
        if faults:
            raise FaultyInput(path.name, faults)
        found = [(entry["parameter"], entry["from"]) for entry in entries]
        twice = sorted({f"{name} at {day}" for name, day in found if found.count((name, day)) > 1})
        if twice:
            raise FaultyInput(path.name, [Fault("changes", ", ".join(twice), "one value a day", "keep one of them")])
        return cls(
            tuple(
                Change(e["parameter"], e["from"], v if isinstance(v := e["value"], str) else float(v)) for e in entries
            )
        )


_FILE_KEYS = ("scheme", "label", "description", "source", "date", "status", "changes")
_CHANGE_KEYS = ("parameter", "from", "value", "source", "note")


def _unknown(where: str, entry: dict[str, object], allowed: tuple[str, ...]) -> list[Fault]:
    words = ", ".join(allowed)
    return [Fault(where, f"unknown key {key!r}", words, "remove or rename it") for key in entry if key not in allowed]


def _typed(where: str, entry: dict[str, object]) -> list[Fault]:
    name, day, value = (entry.get(key) for key in ("parameter", "from", "value"))
    faults = []
    if not isinstance(name, str):
        faults.append(Fault(f"{where}.parameter", repr(name), "the name of a parameter, quoted", "add or correct it"))
    if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
        faults.append(Fault(f"{where}.from", repr(day), "a date such as 2027-01-01, not quoted", "add or correct it"))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        faults.append(Fault(f"{where}.value", repr(value), "a number, or a word of a choice", "add or correct it"))
    return faults


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Policy:
    """The law that a projection obeys: a scheme and a reform.

    Raises
    ------
    ForecasterError
        When the reform names a parameter that the scheme lacks; the nearest names are given.
    FaultyInput
        When a value is out of its bounds (the bounds and their source are given), not a number, or dated before the
        scheme begins.
    """

    scheme: Scheme
    change: Reform = field(default_factory=Reform)
    reads: set[str] = field(default_factory=set, compare=False, repr=False)

    def __post_init__(self) -> None:
        faults = [fault for change in self.change.changes for fault in self._faults(change)]
        faults = faults or self._share_faults()
        if faults:
            raise FaultyInput("the reform", faults)

    def _faults(self, change: Change) -> list[Fault]:
        parameter = self.scheme.parameter(change.name)
        if change.start < self.scheme.start:
            allowed = f"a day from {self.scheme.start} on"
            return [Fault(change.name, str(change.start), allowed, "choose a later date or the earlier scheme")]
        if parameter.unit == "choice":
            if change.value in parameter.choices:
                return []
            return [Fault(change.name, repr(change.value), ", ".join(parameter.choices), "use one of these words")]
        if isinstance(change.value, str) or not np.isfinite(change.value):
            return [Fault(change.name, repr(change.value), f"a number ({parameter.unit})", "write it as in 0.0557")]
        low, high = parameter.bounds  # type: ignore[misc]  # loading requires bounds of every number
        if low <= change.value <= high:
            return []
        allowed = f"{low:g} to {high:g}, by {parameter.bounds_source}"
        hint = "a rate is a share: 0.0557, not 5.57" if parameter.unit == "share" else "stay within the bounds"
        return [Fault(change.name, f"{change.value:g}", allowed, hint)]

    def _share_faults(self) -> list[Fault]:
        """Categories whose payers' shares no longer sum to one on a day of change."""
        moved = {c.name.split(".")[1] for c in self.change.changes if c.name.startswith("premium_share.")}
        faults = []
        for category in sorted(moved):
            names = [f"premium_share.{category}.{payer}" for payer in PAYERS]
            paths = [_overlaid(self.scheme.parameters[n].in_force(), self._changes(n)) for n in names]
            for day in sorted({c.start for c in self.change.changes if c.name in names}):
                total = sum([value for start, value in path if start <= day][-1] for path in paths)
                if abs(total - 1.0) > 1e-9:
                    mend = f"set all of {', '.join(names)} on {day}"
                    faults.append(
                        Fault(f"premium_share.{category}", f"shares that sum to {total:g}", "1 exactly", mend)
                    )
        return faults

    def reform(self, change: Reform) -> Policy:
        """The same law with another reform instead."""
        return Policy(self.scheme, change)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the scheme file and the reform."""
        text = json.dumps([self.scheme.id, self.scheme.content_hash, self.change.token])
        return hashlib.sha256(text.encode()).hexdigest()

    def has(self, name: str) -> bool:
        """Whether the scheme knows the parameter."""
        return name in self.scheme.parameters

    def dated(self, name: str) -> tuple[tuple[dt.date, float], ...]:
        """Days and values of a number after the reform, ties of the law included."""
        parameter = self._read(name)
        if parameter.tied_to is not None:
            return self._tied(name, parameter)
        return _overlaid(parameter.in_force(), self._changes(name))

    def path(self, name: str, years: np.ndarray) -> np.ndarray:
        """Value for each calendar year, weighted by days where it changes within one.

        Parameters
        ----------
        name
            Parameter with a number as value.
        years
            Calendar years, shape ``(year,)``.

        Returns
        -------
        numpy.ndarray
            Shape ``(year,)``, in the parameter's unit.

        Raises
        ------
        ForecasterError
            When the scheme has no value for one of the years: nothing is filled in silently.
        """
        dated = self.dated(name)
        values = _means(dated, tuple(np.asarray(years).tolist()), self.scheme.parameters[name].interpolated)
        if np.isnan(values).any():
            first = int(np.asarray(years)[np.isnan(values)][0])
            raise ForecasterError(f"{self.scheme.id}: {name} has no value in {first}; its first is from {dated[0][0]}")
        return values

    def word(self, name: str, years: np.ndarray) -> tuple[str, ...]:
        """Choice in force on 1 January of each year (or at the first day the scheme has one)."""
        parameter = self._read(name)
        dated = [(v.start, str(v.value)) for v in parameter.values if v.status != "proposed"]
        for change in self._changes(name):
            dated = [entry for entry in dated if entry[0] < change.start] + [(change.start, str(change.value))]
        words = []
        for year in years:
            known = [word for start, word in dated if start <= dt.date(int(year), 1, 1)]
            words.append(known[-1] if known else dated[0][1])
        return tuple(words)

    def _read(self, name: str) -> Parameter:
        parameter = self.scheme.parameter(name)
        self.reads.add(name)
        return parameter

    def _changes(self, name: str) -> list[Change]:
        return [change for change in self.change.changes if change.name == name]

    def _tied(self, name: str, parameter: Parameter) -> tuple[tuple[dt.date, float], ...]:
        leader_name = str(parameter.tied_to)
        leader = self.dated(leader_name)
        led = self._changes(leader_name)
        law = dict(parameter.in_force())
        own = {change.start: float(change.value) for change in self._changes(name)}
        # From the first day on which the reform touches either rate, the law's own later values no longer apply.
        free = min([c.start for c in led] + list(own), default=dt.date.max)
        result: list[tuple[dt.date, float]] = []
        # Both rates when they last stood to each other in some proportion: after a rate of zero it holds again.
        together: tuple[float, float] | None = None
        for day in sorted({d for d in law if d < free} | {d for d, _ in leader} | set(own)):
            now = [value for start, value in leader if start <= day]
            current = now[-1] if now else None
            if day in own:
                result.append((day, own[day]))
            elif day in law and day < free:
                result.append((day, law[day]))
            elif day >= free and together is not None and current is not None:
                result.append((day, tied_value(*together, current)))
            if result and current:
                together = result[-1][1], current
            elif day in own:
                together = None
        return tuple(result)


def assumed_terms(policy: Policy) -> tuple[str, ...]:
    """What the levers that a policy moves rest on where no figure was found, told in words, for answers that use them.

    Of every term that acts with such a lever, or that it rests on, and whose latest value is assumed.
    """
    told = []
    for name in dict.fromkeys(change.name for change in policy.change.changes):
        beneath = policy.scheme.parameter(name).rests_on
        for term, parameter in policy.scheme.parameters.items():
            latest = [value for value in parameter.values if value.status != "proposed"][-1]
            behind = name in parameter.acts_with or term in beneath
            if behind and latest.status == "assumed" and parameter.unit != "choice":
                value = f"{policy.dated(term)[-1][1]:g}"
                told.append(f"{name} rests on {term} = {value}: {latest.note} ({latest.source}).")
    return tuple(told)


@lru_cache(maxsize=4096)
def _means(dated: tuple[tuple[dt.date, float], ...], years: tuple[int, ...], interpolated: bool) -> np.ndarray:
    values = yearly_means(dated, np.array(years), interpolated=interpolated)
    values.flags.writeable = False
    return values


def _overlaid(law: tuple[tuple[dt.date, float], ...], changes: list[Change]) -> tuple[tuple[dt.date, float], ...]:
    if not changes:
        return law
    kept = tuple(entry for entry in law if entry[0] < changes[0].start)
    return kept + tuple((change.start, float(change.value)) for change in changes)
