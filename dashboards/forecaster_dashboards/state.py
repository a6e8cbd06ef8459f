"""The levers' positions, and the short text in a link that restores them.

A link is text that anyone can write, so it is read as data: one pattern, known names, numbers within the law's bounds.
Whatever is not taken from it is said aloud. Levers that a link leaves out stand at today's law; it names the law file
and the fit that it was made with, and the page says when they are others.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from forecaster.errors import ForecasterError
from forecaster.parameters import Parameter
from forecaster.policy import Change, Policy, Reform
from forecaster.schemes import Scheme
from forecaster_dashboards import language, words
from forecaster_dashboards.language import _

# Raised when the meaning of a link's text changes; a link with another number is refused as a whole.
LINK_VERSION = 2
LONGEST_LINK = 2000
MOST_PIECES = 60
GENERAL, SUPPLEMENTARY = "general_premium_rate", "supplementary_premium_rate"
HASH_LETTERS = 8
# Parameters that only act together with another one, and are offered beside it.
COMPANIONS = {"yearly_review": ("review_target_months", "review_return_years")}

_HEAD = re.compile(
    r"(?P<version>\d{1,3})~(?P<law>[A-Za-z0-9_-]{1,60})~(?P<law_hash>[0-9a-f]{1,64})~(?P<fit>[0-9a-f]{1,64})"
    r"~(?P<start>\d{4}-\d{2}-\d{2})~(?P<horizon>\d{4})~(?P<tied>tied|free)"
)
_PIECE = re.compile(
    r"(?P<name>[a-z0-9_.]{1,80}):(?P<value>-?\d{1,13}(\.\d{1,12})?|[a-z_]{1,40})(@(?P<day>\d{4}-\d{2}-\d{2}))?"
)


@dataclass(frozen=True)
class Grid:
    """How a lever is shown: its values are ``scale`` times the parameter's, in steps of ``step`` (shown units)."""

    scale: float
    step: float
    decimals: int


def grid(parameter: Parameter) -> Grid:
    """Units and steps in which a parameter is moved: percent for a share, and money as the reader counts it.

    Large amounts are counted in thousand millions and millions in English, in 億 and 萬 in Chinese.
    """
    low, high = parameter.bounds or (0.0, 0.0)
    if parameter.unit == "share":
        span, known = high - low, [1000.0 * v.value for v in parameter.values if isinstance(v.value, float)]
        # As fine as the law's own values, or the lever would not show them as they are.
        fine = span <= 0.06 or (span <= 0.2 and any(abs(value - round(value)) > 1e-9 for value in known))
        step = 0.01 if fine else 0.1 if span <= 0.2 else 0.5
        return Grid(100.0, step, 2 if step < 0.1 else 1)
    if parameter.unit == "persons":
        return Grid(1.0, 0.01, 2)
    if parameter.unit.split(" ")[0] in {"TWD", "CNY"} and "bn" not in parameter.unit:
        if high > 1e8 and parameter.unit.startswith("TWD"):
            return Grid(1e-6, 1.0, 0) if language.current() == language.ENGLISH else Grid(1e-4, 100.0, 0)
        return Grid(1.0, 1000.0 if high >= 1e5 else 10.0, 0)
    if "bn" in parameter.unit and (scale := language.money_scale("TWD bn")) != 1.0:
        return Grid(scale, 1.0 if high - low <= 20.0 else scale, 0)
    return Grid(1.0, 0.1 if high - low <= 20.0 else 1.0, 1)


def shown(parameter: Parameter, value: float) -> float:
    """A parameter's value in the units in which its lever is shown."""
    return round(value * grid(parameter).scale, 6)


def meant(parameter: Parameter, value: float) -> float:
    """The parameter's value that a lever shows."""
    return round(value / grid(parameter).scale, 10)


def lever_names(scheme: Scheme, presets: tuple[Reform, ...] = ()) -> tuple[str, ...]:
    """Parameters that are offered as levers, in the scheme file's order.

    Those that the file itself offers, those that a known plan moves, and those that act only together with one of them;
    numbers with bounds, and choices.
    """
    planned = {change.name for reform in presets for change in reform.changes}
    wanted = {name for name, p in scheme.parameters.items() if p.lever or name in planned}
    wanted |= {other for name in tuple(wanted) for other in COMPANIONS.get(name, ())}
    return tuple(name for name, p in scheme.parameters.items() if name in wanted and (p.bounds or p.choices))


@dataclass(frozen=True)
class Levers:
    """Position of every lever.

    Attributes
    ----------
    start
        Day from which the reform holds, but for the levers in ``days``.
    horizon
        Last year shown.
    values
        Lever to its value in the parameter's own unit (a share, TWD, persons).
    tied
        Whether the supplementary rate follows the general one by Article 33; its value is then the tied one.
    choices
        Lever that is a choice of words to the word chosen.
    days
        Lever to its own first day, where that is another than ``start``.
    later
        Further changes after a lever's first day: the steps of a reform that comes in stages.
    """

    start: dt.date
    horizon: int
    values: Mapping[str, float]
    tied: bool = True
    choices: Mapping[str, str] = field(default_factory=dict)
    days: Mapping[str, dt.date] = field(default_factory=dict)
    later: tuple[Change, ...] = ()

    def day(self, name: str) -> dt.date:
        """First day of a lever."""
        return self.days.get(name, self.start)


def law_value(law: Policy, name: str, day: dt.date) -> float:
    """What the law says on that day, in the parameter's unit; its first value before it has one."""
    dated = law.dated(name)
    return next((value for start, value in reversed(dated) if start <= day), dated[0][1])


def law_word(law: Policy, name: str, day: dt.date) -> str:
    """The word that the law has chosen on that day."""
    dated = [v for v in law.scheme.parameters[name].values if v.status != "proposed"]
    return str(next((v.value for v in reversed(dated) if v.start <= day), dated[0].value))


def todays_law(law: Policy, names: tuple[str, ...], start: dt.date, horizon: int) -> Levers:
    """Every lever where the law has it on that day."""
    parameters = law.scheme.parameters
    values = {name: law_value(law, name, start) for name in names if parameters[name].bounds}
    choices = {name: law_word(law, name, start) for name in names if not parameters[name].bounds}
    return Levers(start, horizon, values, SUPPLEMENTARY in values, choices)


def tied_rate(law: Policy, start: dt.date, general: float) -> float:
    """Supplementary rate that Article 33 gives when the general rate moves to this value on that day."""
    moved = law.reform(Reform((Change(GENERAL, start, general),)))
    return law_value(moved, SUPPLEMENTARY, start)


def with_tie(law: Policy, levers: Levers) -> Levers:
    """The levers with the supplementary rate where Article 33 puts it, if it follows the general one."""
    if not levers.tied or SUPPLEMENTARY not in levers.values:
        return levers
    value = tied_rate(law, levers.day(GENERAL), levers.values[GENERAL])
    return replace(levers, values={**levers.values, SUPPLEMENTARY: value})


def is_moved(law: Policy, levers: Levers, name: str) -> bool:
    """Whether a lever stands elsewhere than the law has it on its first day."""
    start = levers.day(name)
    if name in levers.choices:
        return levers.choices[name] != law_word(law, name, start)
    value = levers.values[name]
    if name == SUPPLEMENTARY:
        if levers.tied:
            return False
        return abs(value - tied_rate(law, levers.day(GENERAL), levers.values[GENERAL])) > 1e-12
    return abs(value - law_value(law, name, start)) > 1e-12


def reform_of(law: Policy, levers: Levers) -> Reform:
    """The reform that the levers make; levers that stand where the law has them make none.

    The supplementary rate is left out while it follows the general one: the policy itself then moves it.
    """
    changes = [
        Change(name, levers.day(name), value)
        for name, value in (*levers.values.items(), *levers.choices.items())
        if is_moved(law, levers, name)
    ]
    known = {(change.name, change.start) for change in changes}
    changes += [change for change in levers.later if (change.name, change.start) not in known]
    return Reform(tuple(changes))


def levers_of(law: Policy, names: tuple[str, ...], reform: Reform, start: dt.date, horizon: int) -> Levers:
    """Levers that make a reform; of several changes of one lever the first is its value, the others its later steps."""
    levers = todays_law(law, names, start, horizon)
    values, choices, days = dict(levers.values), dict(levers.choices), {}
    later: list[Change] = []
    seen: set[str] = set()
    for change in reform.changes:
        if change.name not in names:
            continue
        if change.name in seen:
            later.append(change)
            continue
        seen.add(change.name)
        (choices if isinstance(change.value, str) else values)[change.name] = change.value  # type: ignore[assignment]
        if change.start != start:
            days[change.name] = change.start
    tied = SUPPLEMENTARY in values and SUPPLEMENTARY not in seen
    return with_tie(law, Levers(start, horizon, values, tied, choices, days, tuple(later)))


def to_link(law: Policy, levers: Levers, fit_hash: str) -> str:
    """Text that restores the levers: version, law and its hash, fit, start, horizon, and every change of the reform."""
    head = [str(LINK_VERSION), law.scheme.id, law.scheme.content_hash[:HASH_LETTERS], fit_hash[:HASH_LETTERS]]
    head += [levers.start.isoformat(), str(levers.horizon), "tied" if levers.tied else "free"]
    return "~".join([*head, *(_piece(change, levers.start) for change in reform_of(law, levers).changes)])


def _piece(change: Change, start: dt.date) -> str:
    value = change.value if isinstance(change.value, str) else _plain(change.value)
    return f"{change.name}:{value}" + ("" if change.start == start else f"@{change.start.isoformat()}")


def _plain(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")


def from_link(
    text: str,
    law: Policy,
    names: tuple[str, ...],
    fit_hash: str,
    years: tuple[int, int],
    horizons: tuple[int, ...],
    default: Levers,
) -> tuple[Levers, list[str]]:
    """Levers from a link's text, and what the reader must be told about it.

    Parameters
    ----------
    names
        Levers that are offered.
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
    head = _HEAD.fullmatch("~".join(parts[:7])) if len(text) <= LONGEST_LINK else None
    if head is None or len(parts) > 7 + MOST_PIECES:
        return default, [_("The link's scenario could not be read, so all levers stand at today's law.")]
    if int(head["version"]) != LINK_VERSION or head["law"] != law.scheme.id:
        return default, [
            _("The link was made for another law or version of this page, so all levers stand at today's law.")
        ]
    notes = []
    if not fit_hash.startswith(head["fit"]):
        notes.append(
            _(
                "The link was made with the fit {found}; the figures here come from the fit {here} and can differ.",
                found=head["fit"],
                here=fit_hash[:HASH_LETTERS],
            )
        )
    if not law.scheme.content_hash.startswith(head["law_hash"]):
        notes.append(
            _("The law's file has changed since the link was made; levers that it does not name follow today's file.")
        )
    start = _date(head["start"], years)
    if start is None:
        notes.append(dropped(head["start"]))
        start = default.start
    horizon = int(head["horizon"])
    if horizon not in horizons:
        notes.append(dropped(head["horizon"]))
        horizon = default.horizon
    changes, sentences = _changes(parts[7:], law, names, start, years)
    levers = levers_of(law, names, Reform(tuple(changes)), start, horizon)
    if head["tied"] == "free" and SUPPLEMENTARY in levers.values:
        levers = replace(levers, tied=False)
    return levers, notes + sentences


def _date(text: str, years: tuple[int, int]) -> dt.date | None:
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return found if years[0] <= found.year <= years[1] else None


def dropped(text: str) -> str:
    """A piece of the link that was not used."""
    return _("Not taken from the link: “{text}”.", text=text[:60])


def refused(parameter: Parameter, value: float) -> str:
    """A value beyond the bounds, and where they come from."""
    low, high = parameter.bounds or (0.0, 0.0)
    return _(
        "{label}: {value} lies outside {low} to {high} ({source}).",
        label=words.label(parameter),
        value=words.lever_value(parameter, value),
        low=words.lever_value(parameter, low),
        high=words.lever_value(parameter, high),
        source=language.said(parameter.bounds_source),
    )


def _changes(
    parts: list[str], law: Policy, names: tuple[str, ...], start: dt.date, years: tuple[int, int]
) -> tuple[list[Change], list[str]]:
    found: dict[tuple[str, dt.date], Change] = {}
    notes = []
    for part in parts:
        match = _PIECE.fullmatch(part)
        since = None if match is None else start if match["day"] is None else _date(match["day"], years)
        if match is None or since is None or match["name"] not in names or (match["name"], since) in found:
            notes.append(dropped(part))
            continue
        value, note = _value(law.scheme.parameters[match["name"]], match["value"])
        if note:
            notes.append(note)
        if value is not None:
            found[match["name"], since] = Change(match["name"], since, value)
    try:
        Policy(law.scheme, Reform(tuple(found.values())))
    except ForecasterError:
        return [], [*notes, _("The link's levers do not fit together, so all of them stand at today's law.")]
    return list(found.values()), notes


def _value(parameter: Parameter, text: str) -> tuple[float | str | None, str]:
    """The value that a piece means, None when it is refused, and what is to be said about it."""
    if parameter.choices:
        return (text, "") if text in parameter.choices else (None, dropped(text))
    try:
        value = float(text)
    except ValueError:
        return None, dropped(text)
    low, high = parameter.bounds or (0.0, 0.0)
    if not math.isfinite(value):
        return None, dropped(text)
    if not low <= value <= high:
        return None, _("Not taken from the link: {reason}", reason=refused(parameter, value))
    steps = grid(parameter)
    on_grid = meant(parameter, round(round(shown(parameter, value) / steps.step) * steps.step, 6))
    if parameter.unit == "share" and abs(on_grid - value) > 1e-9:
        note = _(
            "{label}: the link has {found}, the lever's nearest step {used} is used.",
            label=words.label(parameter),
            found=f"{100 * value:g}%",
            used=words.lever_value(parameter, on_grid),
        )
        return on_grid, note
    return value, ""
