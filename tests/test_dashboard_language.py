"""Three languages: no message is missing or stale, numbers and units are each reader's own."""

from __future__ import annotations

import datetime as dt
import importlib.util
import re
import threading
from pathlib import Path

import pytest
from babel.numbers import format_decimal

from forecaster_dashboards import language, words

REPOSITORY = Path(__file__).resolve().parent.parent
OTHERS = [name for name in language.LANGUAGES if name != language.ENGLISH]
FIELD = re.compile(r"\{[a-z_]+\}")


@pytest.fixture(scope="module")
def translations():
    """The script that brings the catalogues up to the code."""
    spec = importlib.util.spec_from_file_location("translations", REPOSITORY / "dashboards" / "translations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", OTHERS)
def test_every_message_is_translated_and_none_is_stale(translations, name):
    wanted = set(translations.messages())
    found = {message.id: message for message in translations.catalogue(name) if message.id}
    mend = "run python dashboards/translations.py and write what it lists"
    assert len(wanted) > 400
    assert sorted(wanted - set(found)) == [], mend
    assert sorted(set(found) - wanted) == [], mend
    assert [text for text, message in found.items() if not message.string or message.fuzzy] == [], mend


@pytest.mark.parametrize("name", OTHERS)
def test_translations_keep_the_fields_and_the_mark_up(translations, name):
    for message in translations.catalogue(name):
        if message.id:
            assert sorted(FIELD.findall(message.string)) == sorted(FIELD.findall(message.id)), message.id
            assert message.string.count("**") == message.id.count("**"), message.id


def test_taiwan_and_mainland_terms_are_their_own():
    """The authorities' words, not one text in two kinds of characters."""
    with language.speaking("zh_TW"):
        taiwan = [language._(text) for text in ("Reserve", "Balance", "Insured people", "Insurance pool forecaster")]
    with language.speaking("zh_CN"):
        mainland = [language._(text) for text in ("Reserve", "Balance", "Insured people", "Insurance pool forecaster")]
    assert taiwan == ["安全準備", "收支餘絀", "被保險人", "健保基金預測"]
    assert mainland == ["累计结存", "当期结余", "参保人", "医保基金预测"]


@pytest.mark.parametrize(
    ("name", "amount", "unit", "day"),
    [
        ("en", "TWD 1,234 bn", "TWD bn", "January 1, 2027"),
        ("zh_TW", "12,340億元", "億元", "2027年1月1日"),
        ("zh_CN", "12,340亿元新台币", "亿元新台币", "2027年1月1日"),
    ],
)
def test_money_and_dates_are_the_readers_own(name, amount, unit, day):
    with language.speaking(name):
        assert language.money(1234.0, "TWD bn") == amount
        assert language.money_unit("TWD bn") == unit
        assert language.day(dt.date(2027, 1, 1)) == day
        assert language.number(-0.0001, 2) == "0.00"
        assert language.percent(0.0517, 2) == "5.17%"


@pytest.mark.parametrize("name", list(language.LANGUAGES))
def test_numbers_are_those_of_babel(name):
    with language.speaking(name):
        for value in (0.0, -0.4, 1234.5678, -98765.4321, 1e9, 0.005):
            for digits in (0, 1, 3):
                pattern = "#,##0" + ("." + "0" * digits if digits else "")
                rounded = round(value, digits) + 0.0
                assert language.number(value, digits) == format_decimal(rounded, format=pattern, locale=name)


def test_money_of_other_currencies_and_ones():
    with language.speaking("zh_CN"):
        assert language.money(1.0, "CNY bn") == "10亿元"
        assert language.money_unit("EUR m") == "百万欧元"
        assert language.currency_amount(5e7, "CNY") == "5,000万元"
    with language.speaking("zh_TW"):
        assert language.currency_amount(20000.0, "TWD") == "20,000元"
        assert language.money_unit("CNY bn") == "億元人民幣"


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [("zh-TW", "zh_TW"), ("zh-HK", "zh_TW"), ("zh-Hant", "zh_TW"), ("zh-CN", "zh_CN"), ("zh", "zh_CN"),
     ("de-DE", "en"), (None, "en"), ("", "en")],
)  # fmt: skip
def test_language_of_the_browser(tag, wanted):
    assert language.preferred(tag) == wanted


def test_articles_are_put_together_as_the_authorities_write_them():
    with language.speaking("zh_TW"):
        assert language.said("Art. 18, 24") == "第 18、24 條"
        assert language.said("Art. 3; Rules Art. 45") == "第 3 條；施行細則第 45 條"
        assert language.said("a text that nobody has translated") == "a text that nobody has translated"
    assert language.said("Art. 18, 24") == "Art. 18, 24"


def test_a_sentence_put_together_is_translated_piece_by_piece_with_the_brackets_of_a_note():
    note = "no figure was found"
    with language.speaking("zh_TW"):
        whole = language.said(f"a_lever rests on a_term = 0.1: {note} (TW-S88).")
        assert whole == f"a_lever 取決於 a_term = 0.1：{language.said(note)}（TW-S88）。"
        assert language.said(note) != note
        told = language.said("a_lever rests on a_term = 0.1: of 988.3 (less 23.6) bn (TW-S88).")
        assert told == "a_lever 取決於 a_term = 0.1：of 988.3 (less 23.6) bn（TW-S88）。"


def test_a_later_call_from_another_thread_keeps_the_language():
    with language.speaking("zh_CN"):
        later = language.bound(lambda: words.payers()["employers"])
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(later()))
    thread.start()
    thread.join()
    assert found == ["用人单位"]
    assert words.payers()["employers"] == "Employers"


def test_frequencies_in_chinese():
    with language.speaking("zh_TW"):
        assert words.frequency(0.17, 4000) == "100 次模擬中有 17 次"
        assert words.months(1.0) == "一個月"
