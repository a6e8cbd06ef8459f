"""Words, signs and units of yearly accounts as authorities print them, in the languages of this reader."""

from __future__ import annotations

import re
from collections.abc import Mapping

from forecaster.intake_units import plain, says_thousands

YEAR, NOTE = "year", "note"
_MONEY = ("reserve", "income", "outgo")
# What is added to the years of an era to get calendar years; those of the Republic of China also stand without a mark.
ROC_OFFSET = 1911
ERAS: Mapping[str, int] = {
    "民國": ROC_OFFSET, "民国": ROC_OFFSET,
    "昭和": 1925, "S": 1925, "平成": 1988, "H": 1988, "令和": 2018, "R": 2018,
}  # fmt: skip
# Words by which columns are known, wherever they stand in a heading; the first name that has one wins.
NAMES: Mapping[str, tuple[str, ...]] = {
    "reserve": (
        "closing reserve", "year-end balance", "reserve", "reserves", "fund balance", "balance at end",
        "balance, end", "assets at end", "assets, end", "fund at end",
        "累计结余", "累计结存", "累計結餘", "滚存结余", "安全準備", "期末结余", "期末結餘", "准备金", "準備金", "结存",
        "accumulated funds", "accumulated surplus", "積立金", "reserven", "rücklage", "rücklagen", "finanzreserve",
        "finanzreserven", "mittelbestand", "réserve", "réserves", "누적적립금", "적립금", "준비금", "누적수지",
    ),
    "rate": (
        "premium rate", "premium rates", "contribution rate", "contribution rates", "tax rate", "levy rate",
        "payroll rate", "費率", "费率", "料率", "보험료율", "beitragssatz", "taux de cotisation",
    ),
    "income": (
        "total income", "total revenue", "income", "revenue", "revenues", "receipts", "基金收入", "保險收入",
        "收入合計", "收入合计", "總收入", "总收入", "收入", "収入", "수입", "einnahmen", "erträge",
        "ertrag", "recettes", "produits",
    ),
    "outgo": (
        "total expenditure", "outgo", "expenditure", "expenditures", "spending", "outlays", "基金支出", "保險成本",
        "支出合計", "支出合计", "總支出", "总支出", "支出", "지출", "expenses", "expense", "payments",
        "ausgaben", "aufwand", "aufwendungen", "dépenses", "charges",
    ),
    NOTE: ("note", "remark", "備註", "备注", "附註", "備考", "비고", "anmerkung", "remarque"),
}  # fmt: skip
# What stands beside the flows and is none of them: the year's surplus.
_OTHER = (
    "收支差", "収支差", "収支", "收支", "当期结余", "當期結餘", "당기수지", "재정수지", "net change", "net increase",
    "beginning of year", "start of year", "surplus", "deficit", "überschuss", "defizit", "saldo", "solde",
)  # fmt: skip
# What the fund held at the year's start, which is another year's reserve.
_OPENING = (
    "beginning of", "start of", "opening", "brought forward", "carried in", "1 january", "january 1", "jan. 1",
    "1. januar", "01.01.", "jahresbeginn", "jahresanfang", "vorjahr", "1er janvier", "début", "期首", "期初", "年初",
    "前年度末", "前期", "기초", "연초", "전년",
)  # fmt: skip
# Words by which a heading is of money's growth, or of money by something else, and no longer of money.
_RATIO = (
    "%", "ratio", "per capita", "per head", "per insured", "per member", "per person", "per enrollee", "months",
    "growth", "change", "per cent", "percent", "share of", "pro kopf", "je versicherten", "je mitglied", "monate",
    "veränderung", "anteil", "par habitant", "par assuré", "évolution", "part des",
    "率", "月数", "ヶ月", "か月", "月數", "人均", "一人当", "1人当", "每人", "人あたり", "伸び", "增长", "增幅",
    "增減", "增减", "前年比", "同比", "比重", "倍", "1인당", "증가", "증감", "비율", "개월",
)  # fmt: skip
# A word for rates alone says nothing of which: growth, interest and unemployment have rates too.
_BARE_RATE = re.compile(r"(?:total |general |average |combined )?rates?,?(?: in)?")
# Headings that say in what their rates count.
PERCENT = re.compile(
    r"%|\bper ?cent|\bpercent|\bpct\b|prozent|procent|\bv\. ?h\.|pour ?cent|百分|퍼센트", re.IGNORECASE
)
PER_MILLE = re.compile(r"‰|\bper ?mille?\b|promille|pour mille|千分|퍼밀|천분|\bper 1[ ,.]?000\b", re.IGNORECASE)
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
# Indian figures part hundreds after the first thousand: 1,23,456.
THOUSANDS = re.compile(r"[+-]?(?:\d{1,3}(?:[, '\u2019\u00a0\u202f]\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?:\.\d+)?")
# Commas before decimals, thousands parted or not, and points that can only part thousands.
POINTED = re.compile(r"[+-]?(?:\d{1,3}(?:[. '\u2019\u00a0\u202f]\d{3})*|\d{4,}),\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}")
# Points that part thousands, where commas are known to stand before decimals.
GROUPED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+")
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_YEAR = re.compile(rf"(?:FY\s*)?({'|'.join(ERAS)})?\s*(\d{{1,4}}|元)\s*(?:年度?|年底|年末|년도?)?")
_YEAR_END = re.compile(r"(\d{4})-12-31(?: 00:00:00)?|31[./]12[./](\d{4})")
_SPLIT = re.compile(r"(?:FY\s*)?(\d{4})\s*[-/–]\s*(\d{2}|\d{4})")
_CURRENCY = re.compile(r"^([+-]?)\s*(?:US|NT|HK|A|C|S)?[$€£¥₩]\s*|\s*[€£]$")
# A quarter, half or some months of a year; 3月期 is the end of a whole one.
_MONTHS = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zé]*\.?"
_PART_OF_YEAR = re.compile(
    rf"(?<![a-z])(?:q\s?[1-4]|[1-4]\s?q|h[12]|[12]h)(?![a-z0-9])|quarter|half|semest|trimest|quartal|halbjahr"
    rf"|monat|months|季|半年|上期|下期|分期|분기|반기|[月월](?![期末])|(?<![a-z]){_MONTHS}\s*(?:[-–/~]|to|bis|au)\s*{_MONTHS}"
    rf"|(?<![a-z])(?:to|until|bis)\s+{_MONTHS}",
    re.IGNORECASE,
)
# Marks of footnotes and of provisional figures behind a year or, after a space, behind a figure.
_YEAR_MARK = re.compile(
    r"(.*?(?:\d{4}|[年度년도]))\s*([*†‡#]+\)?|\d{0,2}\)|\([^()]{1,15}\)|[a-z]\)?|(?<=\s)\d|vorläufig)", re.IGNORECASE
)
_FIGURE_MARK = re.compile(r"\s*[*†‡#]+\)?$|\s+(?:\d{1,2}\)|[a-z]\))$|\s*\([a-z]{1,5}\.?\)$")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹ᵃᵇᶜᵉᵖʳ]+[⁾)]?$")


def heading_text(value: object) -> str:
    """Text of a heading: as :func:`plain`, without line breaks and the spaces that spread single signs (収　入)."""
    text = " ".join(plain(value).split())
    return text.replace(" ", "") if re.fullmatch(r"(?:[^\x00-\xff] )+[^\x00-\xff]", text) else text


def known_name(heading: str) -> str | None:
    """Our name of a heading; None for one that means nothing to us or something else than our columns."""
    text = heading_text(heading).lower()
    bare = re.sub(r"[\[(].*?[\])]", "", text).strip(" :：")
    if _is_beside(text):
        return None
    for name, words in NAMES.items():
        if any(_holds(text, word) for word in words):
            return None if name in _MONEY and any(_holds(text, word) for word in _RATIO) else name
    if _BARE_RATE.fullmatch(PER_MILLE.sub("", PERCENT.sub("", bare)).strip()):
        return "rate"
    return YEAR if any(_YEAR_HEADING.fullmatch(part.strip()) for part in (bare, *re.split("[/／]", bare))) else None


def group_name(heading: str) -> str | None:
    """Our name of the group that a heading stands for; None for a title with the words of several."""
    text = heading_text(heading).lower()
    names = [name for name, words in NAMES.items() if any(_holds(text, word) for word in words)]
    return names[0] if len(names) == 1 else None


def means_something_else(heading: str) -> bool:
    """Whether a heading names what is beside our columns, such as the year's surplus or growth."""
    text = heading_text(heading).lower()
    return known_name(heading) is None and (_is_beside(text) or any(_holds(text, word) for word in _RATIO))


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


def is_part_of_year(text: str) -> bool:
    """Whether a text names a quarter, a half or some months: 2022 Q1, 111年(1-6月)."""
    return _PART_OF_YEAR.search(text) is not None


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
    before = text[: behind.start()].strip() if behind else ""
    if behind and before and (before in BLANK or any(sign.isdigit() for sign in before)):
        return before, behind[0].strip()
    return text, ""


def without_currency(text: str) -> str:
    """A figure's text without the sign of a currency."""
    return _CURRENCY.sub(lambda found: found[1] or "", text)


def looks_like_a_figure(value: object) -> bool:
    """Whether a cell holds a number, however it is written."""
    if not isinstance(value, str):
        return not isinstance(value, bool)
    text = without_currency(unmarked(value)[0]).strip("△▲()%‰-–—+ ")
    if says_thousands(plain(value)):
        return False
    return bool(text) and all(sign.isdigit() or sign in ",. '\u2019\u00a0\u202f" for sign in text)


def _is_beside(text: str) -> bool:
    """Whether a heading is of the year's result, or of what was held at its start."""
    of_reserve = any(_holds(text, word) for word in NAMES["reserve"])
    return any(_holds(text, word) for word in (_OPENING if of_reserve else _OTHER))


def _holds(text: str, word: str) -> bool:
    """Whether a heading holds a word: a Latin one whole, a Chinese one anywhere."""
    if word.isascii():
        return re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text) is not None
    return word in text
