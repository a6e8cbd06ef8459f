"""Terms of data files in the reader's language: units, choices of the law, how sure a value is, blocks of a model."""

from __future__ import annotations

from forecaster.language.catalogues import ENGLISH, _, current
from forecaster.language.numbers import money_scale, money_unit


def choices() -> dict[str, str]:
    """Words of the law's choices."""
    return {
        "on": _("on"),
        "off": _("off"),
        "income": _("all income"),
        "outlay": _("outlay"),
        "in_year": _("in the year it is owed for"),
        "year_after": _("a year later"),
    }


def statuses() -> dict[str, str]:
    """How sure a value of the law is."""
    return {
        "enacted": _("enacted"),
        "proposed": _("proposed"),
        "assumed": _("assumed"),
        "projected": _("projected"),
    }


def source(text: str) -> str:
    """A value's source: the words of one that has none, else its name as it stands."""
    known = {
        "none": _("none"),
        "assumed": _("assumed"),
        "background knowledge": _("background knowledge"),
        "template": _("template"),
    }
    return known.get(text, text)


def records() -> dict[str, str]:
    """What must be said of a record of past forecasts that cannot be relied on, by its status."""
    return {
        "not backtested": _("Not backtested: these bands have never been held against what came."),
        "stale": _("The backtest belongs to another model or other figures than this fit."),
        "damaged": _("The record of the backtest is damaged and cannot be trusted."),
    }


def blocks() -> dict[str, str]:
    """Blocks of the model."""
    return {
        "economy": _("economy"),
        "fertility": _("fertility"),
        "fund": _("fund"),
        "migration": _("migration"),
        "mortality": _("mortality"),
        "plain": _("accounts alone"),
    }


def data_unit(unit: str) -> str:
    """A unit as the data files write it: money, a share, persons."""
    currency, _sep, rest = unit.partition(" ")
    if currency.isupper() and len(currency) == 3:
        known = {
            "": "{currency}",
            "bn": money_unit(f"{currency} bn"),
            "bn per year": _("{currency} a year", currency=money_unit(f"{currency} bn")),
            "per month": _("{currency} a month"),
            "per person-year": _("{currency} a head and year"),
        }
        return known[rest].format(currency=money_unit(currency)) if rest in known else unit
    plain = {
        "share": _("share"),
        "days": _("days"),
        "months": _("months"),
        "years": _("years"),
        "persons": _("persons"),
        "million persons": _("million people"),
        "times": _("times"),
        "choice": _("choice"),
    }
    return plain.get(unit, unit)


def data_scale(unit: str) -> float:
    """Factor from a figure of the data files to the unit that :func:`data_unit` names."""
    if unit == "million persons":
        return 1.0 if current() == ENGLISH else 100.0  # the catalogues of Chinese say 萬人 here
    return money_scale(unit.removesuffix(" per year"))
