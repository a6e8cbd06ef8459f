"""Words, signs and units of yearly accounts as authorities print them, in the languages of this reader."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal

YEAR, NOTE = "year", "note"
# What is added to the years of an era to get calendar years; those of the Republic of China also stand without a mark.
ROC_OFFSET = 1911
ERAS: Mapping[str, int] = {
    "民國": ROC_OFFSET, "民国": ROC_OFFSET,
    "昭和": 1925, "S": 1925, "平成": 1988, "H": 1988, "令和": 2018, "R": 2018,
}  # fmt: skip
# Words for multiples, longest first so that 十億 is not read as 億.
MULTIPLES: Mapping[str, int] = {
    "trillion": 10**12, "万亿": 10**12, "萬億": 10**12, "兆": 10**12, "조": 10**12,
    "billion": 10**9, "十億": 10**9, "十亿": 10**9, "십억": 10**9, "bn": 10**9,
    "mrd": 10**9, "milliarden": 10**9, "milliard": 10**9, "md": 10**9, "mld": 10**9,
    "億": 10**8, "亿": 10**8, "억": 10**8,
    "千萬": 10**7, "千万": 10**7,
    "million": 10**6, "millionen": 10**6, "百萬": 10**6, "百万": 10**6, "백만": 10**6,
    "mn": 10**6, "mln": 10**6, "mio": 10**6, "m": 10**6,
    "萬": 10**4, "万": 10**4, "만": 10**4,
    "thousand": 10**3, "tsd": 10**3, "千": 10**3, "仟": 10**3, "천": 10**3, "one": 1, "元": 1, "円": 1, "원": 1,
}  # fmt: skip
_LATIN = "|".join(word for word in MULTIPLES if word.isascii())
_CHINESE = "|".join(sorted((word for word in MULTIPLES if not word.isascii()), key=len, reverse=True))
_UNIT = re.compile(rf"(?:\b({_LATIN})s?\b)|({_CHINESE})", re.IGNORECASE)
# Where a heading states its unit: in brackets, after a colon of 單位, or after "in".
_STATED = re.compile(
    r"[\[(]([^\])]*)[\])]|(?:單位|单位|単位|단위|einheit|unité|unit)\s*:?\s*(\S.*)|\b(?:in|en)\s+(.+)", re.IGNORECASE
)
# Or as a part of its own (EUR m), or stuck to the sign of a currency (£m).
_ALONE = re.compile(rf"(?:[A-Z]{{3}}|[$€£¥₩])?\s*({_LATIN})s?\.?\s*(?:[A-Z]{{3}}|[$€£¥₩])?", re.IGNORECASE)
# £000, £'000, '000s: a sign of its own, with no figures before or behind it.
_THOUSANDS_SIGN = re.compile(r"(?:^|[\s(\[])(?:[$€£¥₩]\s?['\u2019]?|['\u2019])000s?(?![\s\u00a0\u202f,.'\u2019]?\d)")
_STUCK = re.compile(rf"[$€£¥₩]\s?({_LATIN})s?(?![a-z])", re.IGNORECASE)
# Words by which columns are known, wherever they stand in a heading; the first name that has one wins.
NAMES: Mapping[str, tuple[str, ...]] = {
    "reserve": (
        "closing reserve", "year-end balance", "reserve", "reserves", "fund balance", "balance at end",
        "balance, end", "assets at end", "assets, end", "fund at end",
        "累计结余", "累计结存", "累計結餘", "滚存结余", "安全準備", "期末结余", "期末結餘", "准备金", "準備金", "结存",
        "accumulated funds", "accumulated surplus", "積立金", "rücklage", "rücklagen", "finanzreserve",
        "finanzreserven", "mittelbestand", "réserve", "réserves", "누적적립금", "적립금", "준비금", "누적수지",
    ),
    "rate": (
        "premium rate", "contribution rate", "tax rate", "rate", "費率", "费率", "料率", "보험료율", "beitragssatz",
        "taux de cotisation",
    ),
    "income": (
        "total income", "total revenue", "income", "revenue", "revenues", "receipts", "基金收入", "保險收入",
        "收入合計", "收入合计", "總收入", "总收入", "收入", "収入", "수입", "einnahmen", "erträge",
        "recettes", "produits",
    ),
    "outgo": (
        "total expenditure", "outgo", "expenditure", "expenditures", "spending", "outlays", "基金支出", "保險成本",
        "支出合計", "支出合计", "總支出", "总支出", "支出", "지출", "expenses", "expense", "payments",
        "ausgaben", "aufwendungen", "dépenses", "charges",
    ),
    NOTE: ("note", "remark", "備註", "备注", "附註", "備考", "비고", "anmerkung", "remarque"),
}  # fmt: skip
# What stands beside the flows and is none of them: the year's surplus, what the fund held at the year's start.
_OTHER = (
    "收支差", "収支差", "収支", "收支", "当期结余", "當期結餘", "당기수지", "재정수지", "net change", "net increase",
    "surplus", "deficit", "beginning of year", "start of year", "überschuss", "defizit", "saldo", "solde",
)  # fmt: skip
_YEAR_HEADING = re.compile(
    r"(?:[a-z]+ )?years?(?: end(?:ed|ing)?.*)?|fy|period|(?:geschäfts|haushalts|rechnungs)?jahr|année|exercice"
    r"|.{0,6}(?:年度|年份|年別|年|연도|년도)(?:別|别|별)?",
)
# Words of a column that sums the others of its name.
_TOTAL = re.compile(
    r"(?<![a-zà-ÿ])(?:total|totals|all|insgesamt|insges\.?|gesamt|summe|ensemble)(?![a-zà-ÿ])"
    r"|合計|合计|總計|总计|総額|總額|总额|計$|计$|합계|총계|(?<![가-힣])계(?![가-힣])|총|總|总|計(?=\W|$)"
)
BLANK = {
    "", "-", "--", "–", "—", "―", "…", "...", "..", ".", "·", "/", ":", "x", "×", "na", "nan", "none", "null",
    "n/a", "n.a.", "n. a.", "n/d", "n.d.", "n. d.", "nd", "k.a.", "k. a.", "not available", "not applicable",
}  # fmt: skip
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[, '\u2019\u00a0\u202f]\d{3})+(?:\.\d+)?")
POINTED = re.compile(r"[+-]?\d{1,3}(?:[. '\u2019\u00a0\u202f]\d{3})*,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}")
# Points that part thousands, where commas are known to stand before decimals.
GROUPED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+")
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_YEAR = re.compile(rf"(?:FY\s*)?({'|'.join(ERAS)})?\s*(\d{{1,4}}|元)\s*(?:年度?|年底|年末|년도?)?")
_YEAR_END = re.compile(r"(\d{4})-12-31(?: 00:00:00)?|31[./]12[./](\d{4})")
_SPLIT = re.compile(r"(?:FY\s*)?(\d{4})\s*[-/–]\s*(\d{2}|\d{4})")
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(兆|조|億|亿|억|萬|万|만)")
_CURRENCY = re.compile(r"^([+-]?)\s*(?:US|NT|HK|A|C|S)?[$€£¥₩]\s*|\s*[€£]$")
# Marks of footnotes and of provisional figures behind a year or, after a space, behind a figure.
_YEAR_MARK = re.compile(
    r"(.*?(?:\d{4}|[年度년도]))\s*([*†‡#]+\)?|\d{0,2}\)|\([^()]{1,15}\)|[a-z]\)?|(?<=\s)\d|vorläufig)", re.IGNORECASE
)
_FIGURE_MARK = re.compile(r"\s*[*†‡#]+\)?$|\s+(?:\d{1,2}\)|[a-z]\))$|\s*\([a-z]{1,5}\.?\)$")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹ᵃᵇᶜᵉᵖʳ]+[⁾)]?$")


def plain(value: object) -> str:
    """Text of a cell with full-width signs made narrow and spaces trimmed."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return unicodedata.normalize("NFKC", str(value)).replace("−", "-").strip()


def heading_text(value: object) -> str:
    """Text of a heading: as :func:`plain`, without line breaks and the spaces that spread single signs (収　入)."""
    text = " ".join(plain(value).split())
    return text.replace(" ", "") if re.fullmatch(r"(?:[^\x00-\xff] )+[^\x00-\xff]", text) else text


def stated_unit(text: str) -> str | None:
    """Word of :data:`MULTIPLES` that a heading or title states, such as 億 in 收入(億元)."""
    for match in _STATED.finditer(plain(text)):
        part = next(group for group in match.groups() if group is not None)
        unit = _UNIT.search(part)
        if unit:
            return (unit[1] or unit[2]).lower()
    alone = [_ALONE.fullmatch(part.strip()) for part in plain(text).split(" / ")]
    found = next((match for match in (*alone, _STUCK.search(plain(text))) if match), None)
    if found is None and _THOUSANDS_SIGN.search(plain(text)):
        return "thousand"  # £000
    return found[1].lower() if found else None


def known_name(heading: str) -> str | None:
    """Our name of a heading; None for one that means nothing to us or something else than our columns."""
    text = heading_text(heading).lower()
    bare = re.sub(r"[\[(].*?[\])]", "", text).strip(" :：")
    if not any(_holds(text, word) for word in NAMES["reserve"]) and any(_holds(text, word) for word in _OTHER):
        return None
    for name, words in NAMES.items():
        if any(_holds(text, word) for word in words):
            return name
    return YEAR if any(_YEAR_HEADING.fullmatch(part.strip()) for part in (bare, *re.split("[/／]", bare))) else None


def group_name(heading: str) -> str | None:
    """Our name of the group that a heading stands for; None for a title with the words of several."""
    text = heading_text(heading).lower()
    names = [name for name, words in NAMES.items() if any(_holds(text, word) for word in words)]
    return names[0] if len(names) == 1 else None


def means_something_else(heading: str) -> bool:
    """Whether a heading names what is beside our columns, such as the year's surplus."""
    text = heading_text(heading).lower()
    return known_name(heading) is None and any(_holds(text, word) for word in _OTHER)


def is_total(heading: str) -> bool:
    """Whether a heading says that its column sums others."""
    return _TOTAL.search(re.sub(r"[\[(].*?[\])]", "", heading_text(heading).lower()).strip()) is not None


def is_bare(heading: str, name: str) -> bool:
    """Whether a heading is nothing but a word for that name, and perhaps its unit."""
    text = re.sub(r"[\[(].*?[\])]", "", heading_text(heading).lower()).strip(" :：")
    return text in NAMES.get(name, ())


def year_of(value: object) -> tuple[str, int, str] | None:
    """Era, number and mark of a cell that holds a year and nothing else; the mark of a footnote stands apart."""
    raised = _RAISED.search(str(value).strip()) if isinstance(value, str) else None
    text = plain(str(value).strip()[: raised.start()] if raised else value)
    mark = raised[0] if raised else ""
    if date := _YEAR_END.fullmatch(text):
        return "", int(date[1] or date[2]), ""
    if is_split(value):
        return "", int(text.removeprefix("FY").strip()[:4]), ""
    found = _YEAR.fullmatch(text)
    if found is None and (behind := _YEAR_MARK.fullmatch(text)):
        found, mark = _YEAR.fullmatch(behind[1]), behind[2]
    if found is None:
        return None
    return found[1] or "", 1 if found[2] == "元" else int(found[2]), mark


def is_split(value: object) -> bool:
    """Whether a cell holds a year that begins in one calendar year and ends in the next: 2010-11."""
    found = _SPLIT.fullmatch(plain(value))
    return found is not None and (int(found[1]) + 1) % 100 == int(found[2]) % 100


def unmarked(value: object) -> tuple[str, str]:
    """Text of a figure without the mark of a footnote behind it, and the mark."""
    if not isinstance(value, str):
        return plain(value), ""
    raised = _RAISED.search(value.strip())
    text = plain(value.strip()[: raised.start()] if raised else value)
    if raised:
        return text, raised[0]
    behind = _FIGURE_MARK.search(text)
    if behind and any(sign.isdigit() for sign in text[: behind.start()]):
        return text[: behind.start()].strip(), behind[0].strip()
    return text, ""


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


def without_currency(text: str) -> str:
    """A figure's text without the sign of a currency."""
    return _CURRENCY.sub(lambda found: found[1] or "", text)


def looks_like_a_figure(value: object) -> bool:
    """Whether a cell holds a number, however it is written."""
    if not isinstance(value, str):
        return not isinstance(value, bool)
    text = without_currency(unmarked(value)[0]).strip("△▲()%-+ ")
    if _THOUSANDS_SIGN.search(plain(value)):
        return False
    return bool(text) and all(sign.isdigit() or sign in ",. '\u2019\u00a0\u202f" for sign in text)


def _holds(text: str, word: str) -> bool:
    """Whether a heading holds a word: a Latin one whole, a Chinese one anywhere."""
    if word.isascii():
        return re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text) is not None
    return word in text
