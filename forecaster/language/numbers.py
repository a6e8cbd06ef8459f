"""Numbers, money and dates as the reader's language writes them."""

from __future__ import annotations

import datetime as dt

from babel import Locale
from babel.dates import format_date
from babel.numbers import get_currency_name

from forecaster.language.catalogues import ENGLISH, _, current

# Currency whose amounts a language writes without naming it.
_AT_HOME = {"zh_TW": "TWD", "zh_CN": "CNY"}


def number(value: float, digits: int = 0) -> str:
    """A number with the reader's separators; never a minus zero."""
    # What Babel's format_decimal gives in these three languages, a hundred times faster; a test holds them together.
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """A share as percent: 0.0517 is ``5.17%`` with two digits."""
    return f"{number(100.0 * share, digits)}%"


def day(date: dt.date) -> str:
    """A date as the reader writes it."""
    return format_date(date, format="long", locale=current())


def money_scale(unit: str) -> float:
    """Factor from money as the figures have it (``TWD bn``) to the unit in which the reader counts it."""
    _name, _sep, scale = unit.partition(" ")
    return 10.0 if scale == "bn" and current() != ENGLISH else 1.0


def money_unit(unit: str) -> str:
    """Name of the unit in which the reader counts money: ``TWD bn``, 億元, 亿元新台币."""
    currency, _sep, scale = unit.partition(" ")
    language = current()
    if language == ENGLISH:
        return unit
    hundred_million = "億" if language == "zh_TW" else "亿"
    amount = {"bn": hundred_million, "m": _("million"), "thousand": _("thousand"), "": ""}[scale]
    if _AT_HOME[language] == currency:
        return f"{amount}元"
    name = get_currency_name(currency, locale=Locale.parse(language))
    return (
        f"{amount}{name}"
        if name.endswith("元")
        else f"{amount}元{name}"
        if currency in {"CNY", "TWD"}
        else amount + name
    )


def money(value: float, unit: str, digits: int = 0) -> str:
    """An amount with its unit: ``TWD 700 bn``, ``7,000億元``."""
    shown = number(value * money_scale(unit), digits)
    if current() == ENGLISH:
        currency, _sep, scale = unit.partition(" ")
        return f"{currency} {shown}{f' {scale}' if scale else ''}"
    return f"{shown}{money_unit(unit)}"


def ten_thousand() -> str:
    """The unit in which Chinese counts large numbers."""
    return "萬" if current() == "zh_TW" else "万"


def currency_amount(value: float, currency: str) -> str:
    """An amount in ones of a currency, as a lever's law has it: ``TWD 20,000``, ``20,000元``, ``5,000萬元``."""
    if current() == ENGLISH:
        return f"{currency} {number(value)}"
    whole = value >= 1e6 and value % 1e4 == 0
    shown = f"{number(value / 1e4)}{ten_thousand()}" if whole else number(value)
    return f"{shown}{money_unit(currency)}"
