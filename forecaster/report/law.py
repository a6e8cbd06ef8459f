"""The law in words: provisions with their values as people read them, and what a reform changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

from forecaster.fund_stack import LawWithStack
from forecaster.language import ENGLISH, _, current, day, said, terms
from forecaster.parameters import Parameter
from forecaster.policy import Reform
from forecaster.report.blocks import Block, Paragraph, Table
from forecaster.report.texts import Texts
from forecaster.schemes import Scheme

_MOST = 40


def provisions(scheme: Scheme, at: dt.date, t: Texts) -> Iterator[Block]:
    """Table of the levers and rates in force on a day, each with article, source and how sure it is."""
    rows = []
    for name, parameter in scheme.parameters.items():
        held = [value for value in parameter.values if value.start <= at and value.status != "proposed"]
        if held and (parameter.lever or parameter.unit == "share"):
            value = held[-1]
            status = terms.statuses().get(value.status, value.status)
            shown = value_words(value.value, parameter.unit)
            rows.append(
                (provision_name(scheme, name), shown, said(parameter.article), terms.source(value.source), status)
            )
    header = (t("parameter"), t("value"), t("article"), t("source"), t("status"))
    yield Table(t("provisions", year=at.year), header, tuple(rows[:_MOST]), words=True)
    if len(rows) > _MOST:
        yield Paragraph(t("provisions_more", n=len(rows) - _MOST, scheme=scheme.id))


def change_words(scheme: Scheme, changes: Iterable[str]) -> list[str]:
    """Changes of the law, each as a sentence; ``changes`` as texts NAME=VALUE@DATE."""
    found = []
    for change in Reform.parse(changes).changes:
        value = value_words(change.value, scheme.parameter(change.name).unit)
        name = provision_name(scheme, change.name)
        found.append(_("{lever}: {value} from {day}", lever=name, value=value, day=day(change.start)))
    return found


def provision_name(scheme: Scheme, name: str) -> str:
    """A provision's label; with its layer where it is one's term, with its name where others have the same label."""
    parameter = scheme.parameters[name]
    label = said(parameter.label) or name
    layer, _dot, _term = name.partition(".")
    if isinstance(scheme, LawWithStack) and layer in scheme.stack.by_id:
        return f"{said(scheme.stack.by_id[layer].label)}{_(': ')}{label}"
    alike = sum(_same(parameter, other) for other in scheme.parameters.values())
    return label if alike < 2 else f"{label} ({name})"


def _same(parameter: Parameter, other: Parameter) -> bool:
    return parameter.label == other.label


def value_words(value: float | str, unit: str) -> str:
    """A value of the law as it is printed: shares in percent, thousands apart, money as the reader counts it."""
    if isinstance(value, str):
        return terms.choices().get(value, value)
    if unit == "share":
        return f"{100.0 * value:.10g}%"
    # Chinese writes no space between a number and what it counts.
    apart = " " if current() == ENGLISH else ""
    return f"{value * terms.data_scale(unit):,.10g}{apart}{terms.data_unit(unit)}"
