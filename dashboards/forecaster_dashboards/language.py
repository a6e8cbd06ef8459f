"""Languages: which one a reader has chosen, words from its catalogue, numbers, money and dates as it writes them.

English stands in the code; every other language is a catalogue in ``locale`` (gettext ``.po``), compiled when it is
first asked for. ``python dashboards/translations.py`` brings the catalogues up to the code.
"""

from __future__ import annotations

import datetime as dt
import gettext
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import get_currency_name

ENGLISH = "en"
# Each language under its own name, in the order of the switch.
LANGUAGES = {ENGLISH: "English", "zh_TW": "繁體中文", "zh_CN": "简体中文"}
# What the browser and pictures are told: BCP 47 tag, and fonts that hold the language's own shapes of its letters.
TAGS = {ENGLISH: "en", "zh_TW": "zh-Hant-TW", "zh_CN": "zh-Hans-CN"}
FONTS = {
    ENGLISH: "Source Sans, Source Sans Pro, Noto Sans, DejaVu Sans, Noto Sans CJK TC, sans-serif",
    "zh_TW": "Source Sans, Noto Sans CJK TC, Noto Sans TC, PingFang TC, Microsoft JhengHei, sans-serif",
    "zh_CN": "Source Sans, Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif",
}
CATALOGUES = Path(__file__).resolve().parent / "locale"
# Currency whose amounts a language writes without naming it.
_AT_HOME = {"zh_TW": "TWD", "zh_CN": "CNY"}
_SCALES = {"bn": 1e9, "m": 1e6, "thousand": 1e3, "": 1.0}

_ARTICLE = r"(?:(?:Regulations|Rules) )?Art\. [\d(), -]+"
_ONE_ARTICLE = re.compile(r"(?:(?P<act>Regulations|Rules) )?Art\. (?P<numbers>[\d(), -]+)")
# References to articles and nothing else: these are put together and not translated one by one.
ARTICLES = re.compile(f"{_ARTICLE}(?:; {_ARTICLE})*")

# Sentences that the engine puts together (forecaster.plain_futures); what stands in them is translated by itself.
PUT_TOGETHER = (
    "{line} of {first} to {last} on another footing, off by about {size} give or take {spread}: {why}",
    "Premium rate of {years}: not given; the last known one is taken, or else the first.",
    "Income that the premium rate does not move: {share} of all, as pool.toml says.",
    "All income moves with the premium rate, since pool.toml states no other_income_share.",
    "Years without a figure, estimated: {lines}.",
)

_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """Language of this run."""
    return _current.get()


def speak(language: str) -> None:
    """Use a language from here on in this run; English for one that is not known."""
    _current.set(language if language in LANGUAGES else ENGLISH)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Use a language for a while."""
    token = _current.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _current.reset(token)


def bound[**P, R](made: Callable[P, R]) -> Callable[P, R]:
    """The function with the language of now, for a call that comes later and from another thread."""
    language = current()

    @wraps(made)
    def later(*args: P.args, **kwargs: P.kwargs) -> R:
        with speaking(language):
            return made(*args, **kwargs)

    return later


def preferred(tag: str | None) -> str:
    """The catalogue that suits a browser's own language, such as ``zh-HK`` or ``de``."""
    parts = (tag or "").replace("_", "-").lower().split("-")
    if parts[0] != "zh":
        return ENGLISH
    return "zh_TW" if {"tw", "hk", "mo", "hant"} & set(parts) else "zh_CN"


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == ENGLISH:
        return gettext.NullTranslations()
    with (CATALOGUES / f"{language}.po").open("rb") as stream:
        catalogue = read_po(stream, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _(message: str, **values: object) -> str:
    """The message in the reader's language, its ``{names}`` filled in."""
    text = _catalogue(current()).gettext(message)
    return text.format(**values) if values else text


def said(text: str) -> str:
    """Text of a data file in the reader's language; as the file has it where there is no translation."""
    if not text:
        return ""
    found = _catalogue(current()).gettext(text)
    if found != text or current() == ENGLISH:
        return found
    return _articles(text) if ARTICLES.fullmatch(text) else _put_together(text)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The sentences of :data:`PUT_TOGETHER`, each with the pattern that finds what has been put into it."""
    return tuple((s, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(s)))) for s in PUT_TOGETHER)


def _put_together(text: str) -> str:
    """A sentence of :data:`PUT_TOGETHER` in the reader's language; another as it is."""
    for sentence, pattern in _patterns():
        if match := pattern.fullmatch(text):
            return _(sentence, **{name: said(piece) for name, piece in match.groupdict().items()})
    # A list of lines and counts: "income 3, outgo 5".
    pieces = [piece.rpartition(" ") for piece in text.split(", ")]
    if all(count.isdigit() and name.isalpha() for name, _space, count in pieces):
        return any_of(f"{said(name)} {count}" for name, _space, count in pieces)
    return text


def _articles(text: str) -> str:
    """Numbers of articles as the authorities write them."""
    acts = {"Regulations": _("Regulations on the Supplementary Premium"), "Rules": _("Enforcement Rules"), None: ""}
    pieces = []
    for piece in text.split("; "):
        match = _ONE_ARTICLE.fullmatch(piece)
        numbers = match["numbers"].replace(", ", "、") if match else piece
        act = acts[match["act"]] if match else ""
        pieces.append(_("{act}Article {numbers}", act=act, numbers=numbers))
    return "；".join(pieces)


# ---- numbers
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


def date_pattern() -> str:
    """Format of the widget that asks for a date."""
    return "YYYY-MM-DD" if current() == ENGLISH else "YYYY/MM/DD"


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


def any_of(names: Any) -> str:
    """Several names as a list."""
    return "、".join(names) if current() != ENGLISH else ", ".join(names)
