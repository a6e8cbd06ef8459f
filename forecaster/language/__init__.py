"""Languages of readers: words from a catalogue, numbers, money and dates as they write them, terms of the data files.

English stands in the code; every other language is a catalogue in ``locale`` (gettext ``.po``), compiled when it is
first asked for. ``python dashboards/translations.py`` brings the catalogues up to the code.
"""

from forecaster.language.catalogues import (
    ARTICLES,
    CATALOGUES,
    ENGLISH,
    LANGUAGES,
    PUT_TOGETHER,
    _,
    any_of,
    current,
    said,
    speak,
    speaking,
)
from forecaster.language.numbers import (
    currency_amount,
    day,
    money,
    money_scale,
    money_unit,
    number,
    percent,
    ten_thousand,
)

__all__ = [
    "ARTICLES",
    "CATALOGUES",
    "ENGLISH",
    "LANGUAGES",
    "PUT_TOGETHER",
    "_",
    "any_of",
    "currency_amount",
    "current",
    "day",
    "money",
    "money_scale",
    "money_unit",
    "number",
    "percent",
    "said",
    "speak",
    "speaking",
    "ten_thousand",
]
