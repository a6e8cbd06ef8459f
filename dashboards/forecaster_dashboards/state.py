"""The levers' positions, and the text in a link that restores them.

A link is text that anyone can write, so it is read as data: one pattern, known names, numbers within the law's bounds.
Whatever is not taken from it is said aloud.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from forecaster.errors import ForecasterError
from forecaster.parameters import Parameter
from forecaster.policy import Change, Policy, Reform
from forecaster.schemes import Scheme
from forecaster_dashboards import texts

# Raised when the meaning of a link's text changes; a link with another number is refused as a whole.
LINK_VERSION = 1
LONGEST_LINK = 2000
GENERAL, SUPPLEMENTARY = "general_premium_rate", "supplementary_premium_rate"
HASH_LETTERS = 12

_HEAD = re.compile(
    r"(?P<version>\d{1,3})~(?P<law>[a-z0-9_]{1,40})~(?P<fit>[0-9a-f]{1,64})~(?P<start>\d{4}-\d{2}-\d{2})~(?P<horizon>\d{4})"
    r"~(?P<tied>tied|free)"
)
_LEVER = re.compile(r"(?P<name>[a-z0-9_.]{1,80}):(?P<value>-?\d{1,13}(\.\d{1,12})?)")


@dataclass(frozen=True)
class Grid:
    """How a lever is shown: its values are ``scale`` times the parameter's, in steps of ``step`` (shown units)."""

    scale: float
    step: float
    decimals: int


def grid(parameter: Parameter) -> Grid:
    """Units and steps in which a parameter is moved: percent for a share, millions for large amounts."""
    low, high = parameter.bounds or (0.0, 0.0)
    if parameter.unit == "share":
        step = 0.01 if high - low <= 0.06 else 0.1 if high - low <= 0.2 else 0.5
        return Grid(100.0, step, 2 if step < 0.1 else 1)
    if parameter.unit == "persons":
        return Grid(1.0, 0.01, 2)
    if parameter.unit in {"TWD", "TWD per month"}:
        return Grid(1e-6, 1.0, 0) if high > 1e8 else Grid(1.0, 1000.0, 0)
    return Grid(1.0, 1.0, 1)


def shown(parameter: Parameter, value: float) -> float:
    """A parameter's value in the units in which its lever is shown."""
    return round(value * grid(parameter).scale, 6)


def meant(parameter: Parameter, value: float) -> float:
    """The parameter's value that a lever shows."""
    return round(value / grid(parameter).scale, 10)


def lever_names(scheme: Scheme) -> tuple[str, ...]:
    """Parameters that the scheme file offers as levers and that are numbers, in the file's order."""
    return tuple(k for k, p in scheme.parameters.items() if p.lever and p.unit != "choice" and p.bounds is not None)


@dataclass(frozen=True)
class Levers:
    """Position of every lever.

    Attributes
    ----------
    start
        Day from which the reform holds.
    horizon
        Last year shown.
    values
        Lever to its value in the parameter's own unit (a share, TWD, persons).
    tied
        Whether the supplementary rate follows the general one by Article 33; its value is then the tied one.
    """

    start: dt.date
    horizon: int
    values: Mapping[str, float]
    tied: bool = True


def law_value(law: Policy, name: str, day: dt.date) -> float:
    """What the law says on that day, in the parameter's unit."""
    return next(value for start, value in reversed(law.dated(name)) if start <= day)


def todays_law(law: Policy, start: dt.date, horizon: int) -> Levers:
    """Every lever where the law has it on that day."""
    values = {name: law_value(law, name, start) for name in lever_names(law.scheme)}
    return Levers(start, horizon, values)


def tied_rate(law: Policy, start: dt.date, general: float) -> float:
    """Supplementary rate that Article 33 gives when the general rate moves to this value on that day."""
    moved = law.reform(Reform((Change(GENERAL, start, general),)))
    return law_value(moved, SUPPLEMENTARY, start)


def with_tie(law: Policy, levers: Levers) -> Levers:
    """The levers with the supplementary rate where Article 33 puts it, if it follows the general one."""
    if not levers.tied or SUPPLEMENTARY not in levers.values:
        return levers
    value = tied_rate(law, levers.start, levers.values[GENERAL])
    return replace(levers, values={**levers.values, SUPPLEMENTARY: value})


def reform_of(law: Policy, levers: Levers) -> Reform:
    """The reform that the levers make; levers that stand where the law has them make none.

    The supplementary rate is left out while it follows the general one: the policy itself then moves it.
    """
    changes = []
    free_rate = not levers.tied
    for name, value in levers.values.items():
        if name == SUPPLEMENTARY:
            tied = tied_rate(law, levers.start, levers.values[GENERAL])
            moved = free_rate and abs(value - tied) > 1e-12
        else:
            moved = abs(value - law_value(law, name, levers.start)) > 1e-12
        if moved:
            changes.append(Change(name, levers.start, value))
    return Reform(tuple(changes))


def to_link(law: Policy, levers: Levers, fit_hash: str) -> str:
    """Text that restores the levers: version, law, fit and every lever as an absolute number."""
    head = [str(LINK_VERSION), law.scheme.id, fit_hash[:HASH_LETTERS], levers.start.isoformat(), str(levers.horizon)]
    head.append("tied" if levers.tied else "free")
    return "~".join([*head, *(f"{name}:{_plain(value)}" for name, value in levers.values.items())])


def _plain(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")


def from_link(
    text: str, law: Policy, fit_hash: str, years: tuple[int, int], horizons: tuple[int, ...], default: Levers
) -> tuple[Levers, list[str]]:
    """Levers from a link's text, and what the reader must be told about it.

    Parameters
    ----------
    years
        First and last year in which a reform may start.
    horizons
        Years that may be the last one shown.
    default
        Levers if the link as a whole cannot be used; its start and horizon also if the link's own are wrong.

    Returns
    -------
    tuple
        The levers, and one sentence for everything that was dropped, rounded or may differ.
    """
    parts = text.split("~")
    head = _HEAD.fullmatch("~".join(parts[:6])) if len(text) <= LONGEST_LINK else None
    if head is None:
        return default, [texts.LINK_UNREADABLE]
    if int(head["version"]) != LINK_VERSION or head["law"] != law.scheme.id:
        return default, [texts.LINK_OTHER_LAW]
    said = []
    if not fit_hash.startswith(head["fit"]):
        said.append(texts.link_other_fit(head["fit"], fit_hash[:HASH_LETTERS]))
    start, horizon = default.start, default.horizon
    try:
        start = dt.date.fromisoformat(head["start"])
    except ValueError:
        said.append(texts.link_dropped("start", head["start"]))
    if not years[0] <= start.year <= years[1]:
        said.append(texts.link_dropped("start", head["start"]))
        start = default.start
    if int(head["horizon"]) in horizons:
        horizon = int(head["horizon"])
    else:
        said.append(texts.link_dropped("horizon", head["horizon"]))
    values, taken, sentences = _lever_values(parts[6:], law, todays_law(law, start, horizon).values)
    levers = Levers(start, horizon, values, head["tied"] == "tied")
    tied = with_tie(law, levers)
    if levers.tied and SUPPLEMENTARY in taken and abs(tied.values[SUPPLEMENTARY] - values[SUPPLEMENTARY]) > 1e-9:
        sentences.append(texts.link_untied(values[SUPPLEMENTARY], tied.values[SUPPLEMENTARY]))
        tied = replace(levers, tied=False)
    return tied, said + sentences


def _lever_values(
    parts: list[str], law: Policy, default: Mapping[str, float]
) -> tuple[dict[str, float], set[str], list[str]]:
    values, said = dict(default), []
    seen: set[str] = set()
    taken: set[str] = set()
    for part in parts:
        match = _LEVER.fullmatch(part)
        if match is None or match["name"] not in default or match["name"] in seen:
            said.append(texts.link_dropped("lever", part))
            continue
        name = match["name"]
        seen.add(name)
        parameter, value = law.scheme.parameters[name], float(match["value"])
        try:
            Policy(law.scheme, Reform((Change(name, law.scheme.start, value),)))
        except ForecasterError as error:
            said.append(texts.link_refused(parameter.label, str(error)))
            continue
        taken.add(name)
        if abs(value - default[name]) <= 1e-10:
            continue
        steps = grid(parameter)
        on_grid = meant(parameter, round(round(shown(parameter, value) / steps.step) * steps.step, 6))
        if parameter.unit == "share" and abs(on_grid - value) > 1e-9:
            said.append(texts.link_rounded(parameter.label, value, on_grid))
            value = on_grid
        values[name] = value
    missing = [law.scheme.parameters[name].label for name in default if name not in seen]
    if missing:
        said.append(texts.link_missing(missing))
    return values, taken, said
