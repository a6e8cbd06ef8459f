"""Words from the catalogue of the language of now; texts of data files; sentences that other modules put together."""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ENGLISH = "en"
# Each language under its own name, in the order of a switch.
LANGUAGES = {ENGLISH: "English", "zh_TW": "繁體中文", "zh_CN": "简体中文"}
CATALOGUES = Path(__file__).resolve().parent / "locale"

_ARTICLE = r"(?:(?:Regulations|Rules) )?Art\. [\d(), -]+"
_ONE_ARTICLE = re.compile(r"(?:(?P<act>Regulations|Rules) )?Art\. (?P<numbers>[\d(), -]+)")
# References to articles and nothing else: these are put together and not translated one by one.
ARTICLES = re.compile(f"{_ARTICLE}(?:; {_ARTICLE})*")

# Sentences that other modules put together; what stands in them is translated by itself.
PUT_TOGETHER = (
    "{line} of {first} to {last} on another footing, off by about {size} give or take {spread}: {why}",
    "Premium rate of {years}: not given; the last known one is taken, or else the first.",
    "Income that the premium rate does not move: {share} of all, as pool.toml says.",
    "All income moves with the premium rate, since pool.toml states no other_income_share.",
    "Years without a figure, estimated: {lines}.",
    "Healthy ageing: costs from age {age} move up by {years} years for each year of life expectancy gained (assumed).",
    "Cost of the last year of life: {share} of spending follows deaths, not ages (assumed; 11.2% in Taiwan 2009-11 by "
    "French and others 2017).",
    "Growth of cost: {theory}; the other theories were set aside.",
    "{name} rests on {term} = {value}: {note} ({source}).",
    "above the legal limit of {limit}",
    "above {limit}, the highest rate that may be set here (assumed)",
)

_FIELD = re.compile(r"\\{(\w+)\\}")

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
    return tuple((s, re.compile(_FIELD.sub(_group, re.escape(s)))) for s in PUT_TOGETHER)


def _group(field: re.Match[str]) -> str:
    """Pattern of what stands in a field: as little as will do, but a note whole, with the brackets in it."""
    return f"(?P<{field[1]}>.+{'' if field[1] == 'note' else '?'})"


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


def any_of(names: Iterable[str]) -> str:
    """Several names as a list."""
    return "、".join(names) if current() != ENGLISH else ", ".join(names)
