"""Units of money as headings and titles state them: 億元, EUR bn, (100 million yen), (단위: 천만원), £000."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

# Words for multiples, longest first so that 十億 is not read as 億.
MULTIPLES: Mapping[str, int] = {
    "trillion": 10**12, "万亿": 10**12, "萬億": 10**12, "兆": 10**12, "조": 10**12,
    "billion": 10**9, "bn": 10**9, "mrd": 10**9, "milliarden": 10**9, "milliard": 10**9, "miljard": 10**9,
    "md": 10**9, "mld": 10**9, "mia": 10**9,
    "億": 10**8, "亿": 10**8, "억": 10**8,
    "crore": 10**7,
    "million": 10**6, "millionen": 10**6, "mn": 10**6, "mln": 10**6, "mio": 10**6, "mill": 10**6, "milj": 10**6,
    "m": 10**6,
    "lakh": 10**5,
    "萬": 10**4, "万": 10**4, "만": 10**4,
    "thousand": 10**3, "tsd": 10**3, "tis": 10**3, "tys": 10**3, "milliers": 10**3,
    "千": 10**3, "仟": 10**3, "천": 10**3,
    "one": 1, "元": 1, "円": 1, "원": 1,
}  # fmt: skip
# Words that multiply the multiple behind them and mean nothing alone: hundreds of millions, 百萬, 십억.
_BEFORE: Mapping[str, int] = {
    "ten": 10, "hundred": 100, "十": 10, "拾": 10, "百": 100, "佰": 100, "십": 10, "백": 100,
}  # fmt: skip
_ALL = {**MULTIPLES, **_BEFORE}
_NUMBER = r"(?:\d{1,3}(?:[,.'\u2019 ]\d{3})+|\d+)"
# "one" is a unit for --unit only: "in one table" states none.
_LATIN = "|".join(sorted((word for word in _ALL if word.isascii() and word != "one"), key=len, reverse=True))
_SIGNS = "".join(word for word in _ALL if not word.isascii() and len(word) == 1 and _ALL[word] > 1)
_UNIT = re.compile(
    rf"(?:(?<![\d.,])(?P<times>{_NUMBER})\s*)?"
    rf"(?:\b(?P<latin>(?:{_LATIN})s?(?:\s+(?:of\s+)?(?:{_LATIN})s?)*)\b|(?P<signs>[{_SIGNS}]+)|(?P<one>[元円원]))",
    re.IGNORECASE,
)
# What is counted behind a multiple and is no money: 千人, thousand persons.
_COUNTED = re.compile(
    r"\.?\s*(?:of\s+)?(?:[人名戶户件次床家世葉分명건세개가]|insured|persons?|people|members?|inhabitants|population|cases"
    r"|beneficiaries|enrol|households|days|personen|versicherte|mitglieder|einwohner|personnes|assurés|osób|osob)",
    re.IGNORECASE,
)
# Where a heading states its unit: in brackets, after a colon of 單位, or after "in".
_STATED = re.compile(
    r"[\[(]([^\])]*)[\])]|(?:單位|单位|単位|단위|einheit|unité|unit)\s*:?\s*(\S.*)|\b(?:in|en)\s+(.+)", re.IGNORECASE
)
# Or as a part of its own (EUR m), at the end with a currency (Einnahmen Mrd. EUR), or stuck to its sign (£m).
# Letters of a currency stand apart, for else Item were a million of a currency Ite.
_BEFORE_IT = r"(?:(?-i:[A-Z]{3})\s+|(?:EUR|USD|GBP|CHF|[$€£¥₩])\s*)"
_BEHIND_IT = r"(?:\s*(?:(?-i:[A-Z]{3})|[$€£¥₩]))"
_ALONE = re.compile(rf"{_BEFORE_IT}?({_LATIN})s?\.?{_BEHIND_IT}?", re.IGNORECASE)
_LAST = re.compile(rf"\b(?:{_BEFORE_IT}({_LATIN})s?\.?|({_LATIN})s?\.?{_BEHIND_IT})$", re.IGNORECASE)
# £000, £'000, '000s: a sign of its own, with no figures before or behind it.
_THOUSANDS_SIGN = re.compile(r"(?:^|[\s(\[])(?:[$€£¥₩]\s?['\u2019]?|['\u2019])000s?(?![\s\u00a0\u202f,.'\u2019]?\d)")
_STUCK = re.compile(rf"[$€£¥₩]\s?({_LATIN})s?(?![a-z])", re.IGNORECASE)
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(兆|조|億|亿|억|萬|万|만)")


@dataclass(frozen=True)
class Unit:
    """A unit of money: its words as printed, in lower case, and how many of the currency it is."""

    words: str
    ones: int


def plain(value: object) -> str:
    """Text of a cell with full-width signs made narrow and spaces trimmed."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return unicodedata.normalize("NFKC", str(value)).replace("−", "-").strip()


def stated_unit(text: str) -> Unit | None:
    """The unit that a heading or title states, such as 億 in 收入(億元); None where it states none, or two."""
    whole = plain(text)
    stated = {
        unit.ones: unit
        for match in _STATED.finditer(whole)
        for unit in _units(next(group for group in match.groups() if group is not None))
    }
    if stated:
        return next(iter(stated.values())) if len(stated) == 1 else None
    alone = [_ALONE.fullmatch(part.strip()) for part in re.split(" / |[,;]", whole)]
    found = next((match for match in (*alone, _LAST.search(whole), _STUCK.search(whole)) if match), None)
    if found is not None:
        word = next(group for group in found.groups() if group).lower()
        return Unit(word, MULTIPLES[word]) if word in MULTIPLES else None
    return Unit("thousand", 10**3) if says_thousands(whole) else None


def unit_of(words: str) -> Unit | None:
    """The unit that somebody names, such as bn, 億 or 100 million; None when there is anything else in the words."""
    text = plain(words).lower()
    if text in MULTIPLES:
        return Unit(text, MULTIPLES[text])
    return next(_units(text), None) if _UNIT.fullmatch(text) else None


def says_thousands(text: str) -> bool:
    """Whether a heading counts in thousands by a sign, £000."""
    return _THOUSANDS_SIGN.search(text) is not None


def in_words(text: str) -> Decimal | None:
    """A figure with its units within, in ones, such as 55조 6,195억 or 2兆8,521億円; None for any other."""
    sign = "-" if text[:1] in {"△", "▲", "-"} else ""
    bare = re.sub(r"[\s,]", "", text.lstrip("△▲- ")).rstrip("元円원")
    parts = _PARTS.findall(bare)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != bare:
        return None
    sizes = [MULTIPLES[unit] for _, unit in parts]
    if sizes != sorted(sizes, reverse=True) or len(set(sizes)) < len(sizes):
        return None
    total = sum((Decimal(number) * size for (number, _), size in zip(parts, sizes, strict=True)), Decimal(0))
    return -total if sign else total


def _units(text: str) -> Iterator[Unit]:
    """Units of money within a text; one that says only 元 gives way to what stands before it."""
    several = [match for match in _UNIT.finditer(text) if not _COUNTED.match(text, match.end())]
    sized = [match for match in several if not match["one"]] or several
    for match in sized:
        if match["one"]:
            yield Unit(match["one"], 1)
            continue
        words = _words(match)
        if all(word in _BEFORE for word in words):
            continue
        digits = re.sub(r"\D", "", match["times"] or "")
        times = int(digits) if re.fullmatch("10+", digits) else 1  # 100 million, but 2015 million is of a year
        shown = match[0] if times > 1 else match["latin"] or match["signs"]
        yield Unit(" ".join(shown.lower().split()), times * math.prod(_ALL[word] for word in words))


def _words(match: re.Match[str]) -> list[str]:
    """The words of a match that multiply."""
    if match["signs"]:
        return list(match["signs"])
    words = [word for word in match["latin"].lower().split() if word != "of"]
    return [word if word in _ALL else word.removesuffix("s") for word in words]
