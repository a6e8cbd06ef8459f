"""The reader's language in the browser: which one a page speaks, tag and fonts; words are of `forecaster.language`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from forecaster.language import (
    CATALOGUES,
    ENGLISH,
    LANGUAGES,
    _,
    any_of,
    currency_amount,
    current,
    day,
    money,
    money_scale,
    money_unit,
    number,
    percent,
    said,
    speak,
    speaking,
    ten_thousand,
)

__all__ = [
    "CATALOGUES",
    "ENGLISH",
    "FONTS",
    "LANGUAGES",
    "TAGS",
    "_",
    "any_of",
    "bound",
    "currency_amount",
    "current",
    "date_pattern",
    "day",
    "money",
    "money_scale",
    "money_unit",
    "number",
    "percent",
    "preferred",
    "said",
    "speak",
    "speaking",
    "ten_thousand",
]

# What the browser and pictures are told: BCP 47 tag, and fonts that hold the language's own shapes of its letters.
TAGS = {ENGLISH: "en", "zh_TW": "zh-Hant-TW", "zh_CN": "zh-Hans-CN"}
FONTS = {
    ENGLISH: "Source Sans, Source Sans Pro, Noto Sans, DejaVu Sans, Noto Sans CJK TC, sans-serif",
    "zh_TW": "Source Sans, Noto Sans CJK TC, Noto Sans TC, PingFang TC, Microsoft JhengHei, sans-serif",
    "zh_CN": "Source Sans, Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif",
}


def bound[**P, R](made: Callable[P, R]) -> Callable[P, R]:
    """The function with the language of now, for a call that comes later and from another thread.

    Callbacks of widgets are such calls: Streamlit makes them before the page says which language it speaks, and the
    levers' amounts of money are counted as the reader counts them.
    """
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


def date_pattern() -> str:
    """Format of the widget that asks for a date."""
    return "YYYY-MM-DD" if current() == ENGLISH else "YYYY/MM/DD"
