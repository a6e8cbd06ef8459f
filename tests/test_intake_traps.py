"""Tables in which a figure could be taken for ten, a hundred or a thousand times itself, or for something else."""

from __future__ import annotations

import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
import xlsxwriter

from forecaster.errors import FaultyInput
from forecaster.intake import Intake, Wishes, understand
from forecaster.intake_files import read_grid
from forecaster.intake_units import stated_unit, unit_of
from forecaster.intake_words import is_part_of_year, known_name

HEAD = "Year,Income,Expenditure,Reserve"
ROWS = "2015,1100.5,1098.2,222.6\n2016,1105.5,1103.2,224.9\n"
TITLE = "Accounts of the fund (EUR bn)\n"


def taken(folder: Path, text: str, wishes: Wishes | None = None) -> Intake:
    path = folder / "printed.csv"
    path.write_text(text, encoding="utf-8")
    return understand(read_grid(path), "bn", wishes)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(FaultyInput) as error:
        taken(folder, text)
    return str(error.value)


def words(intake: Intake) -> dict[str, str]:
    return {item.key: item.words for item in intake.recognised}


# --- units ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("title", "ones"),
    [
        ("(100 million yuan)", 10**8), ("Unit: 10 million won", 10**7), ("in thousand millions of euro", 10**9),
        ("(in 1 000 Millionen Euro)", 10**9), ("in hundreds of millions of yen", 10**8),
        ("Unit: NT$10 thousand", 10**4),        ("(Rs. in lakh crore)", 10**12),
        ("(in billions of 2015 dollars)", 10**9), ("(tis. Kč)", 10**3),
        ("单位：十万元", 10**5), ("单位：百亿元", 10**10), ("單位：10億元", 10**9), ("(단위: 천만원)", 10**7),
        ("(단위: 십억원)", 10**9), ("人民币 (万亿元)", 10**12),
        # People are counted in units, too.
        ("單位：千人；億元", 10**8), ("（単位：千人、億円）", 10**8), ("(단위: 천명, 억원)", 10**8),
        ("in thousand persons and million EUR", 10**6),
        ("Einnahmen Mrd. EUR", 10**9), ("Finanzen ab 2013, Mrd. EUR", 10**9), ("EURm", 10**6), ("M€", 10**6),
        # Neither a unit, nor one unit.
        ("Item", None), ("ITEM", None), ("Accounts in one table", None), ("單位：億元、萬元", None), ("(千分率)", None),
    ],
)  # fmt: skip
def test_a_unit_is_all_of_its_words_and_of_money(title: str, ones: int | None) -> None:
    found = stated_unit(title)
    assert (found.ones if found else None) == ones


def test_a_user_names_a_unit_in_one_word_or_several(tmp_path: Path) -> None:
    named = {text: found and found.ones for text in ("Mrd", "100 million", "百億") for found in [unit_of(text)]}
    assert named == {"Mrd": 10**9, "100 million": 10**8, "百億": 10**10}
    assert not any(map(unit_of, ("million yen", "100", "")))
    found = taken(tmp_path, f"{HEAD}\n{ROWS}", Wishes(unit="100 million"))
    assert found.rows[2015]["income"] == Decimal("110.05")


def test_the_corner_item_states_no_unit(tmp_path: Path) -> None:
    found = taken(tmp_path, f"{TITLE}Item,2015,2016\nIncome,1100.5,1105.5\nExpenditure,1098.2,1103.2\n")
    assert found.rows[2016] == {"income": Decimal("1105.5"), "outgo": Decimal("1103.2")}


def test_a_further_table_in_another_unit_is_not_read_on(tmp_path: Path) -> None:
    more = f"New basis (EUR m)\n{HEAD}\n2017,1110500,1108200,227200\n"
    found = taken(tmp_path, f"{TITLE}{HEAD}\n{ROWS}{more}")
    assert sorted(found.rows) == [2015, 2016]
    assert words(found)["second table"] == "a further table from row 5 on is left out; it is read by --rows 5-7"
    # A note that names another unit ends nothing where no year follows.
    assert "second table" not in words(taken(tmp_path, f"{TITLE}{HEAD}\n{ROWS}1) with a grant (EUR 3.5 m)\n"))


# --- figures ----------------------------------------------------------------------------------------------------------
def test_commas_that_parted_a_figure_are_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, f'{TITLE}{HEAD}\n2015,1,100.5,1,098.2,222.6\n2016,"1,105.5","1,103.2",224.9\n')
    assert "row 3, column E: found '098.2'; allowed: no more cells than the heading has" in told
    assert "into quotes" in told
    assert len(taken(tmp_path, f"{TITLE}{HEAD}\n2015,1,2,3,1)\n").rows) == 1  # a mark of a footnote


@pytest.mark.parametrize(
    ("cell", "value"), [("–3.5", "-3.5"), ("3.5-", "-3.5"), ("△3.5", "-3.5"), ('"1,23,456.5"', "123456.5")]
)
def test_signs_and_separators_of_other_countries(tmp_path: Path, cell: str, value: str) -> None:
    assert taken(tmp_path, f"{TITLE}{HEAD}\n{ROWS}2017,1,1,{cell}\n").rows[2017]["reserve"] == Decimal(value)


def test_decimal_commas_need_no_parted_thousands(tmp_path: Path) -> None:
    text = "Jahr;Einnahmen in Mio. €;Ausgaben in Mio. €\n2015;1960,54;251872,5\n2016;991,06;1.024,3\n"
    found = taken(tmp_path, text)
    assert found.rows[2015] == {"income": Decimal("1.96054"), "outgo": Decimal("251.8725")}
    assert found.rows[2016] == {"income": Decimal("0.99106"), "outgo": Decimal("1.0243")}


def test_a_dash_with_a_footnote_is_blank(tmp_path: Path) -> None:
    assert "reserve" not in taken(tmp_path, f"{TITLE}{HEAD}\n{ROWS}2017,1,1,- 1)\n").rows[2017]


@pytest.mark.parametrize(
    ("heading", "cell", "share"),
    [
        ("Contribution rate (percent)", "0.9", "0.009"), ("Rate in per cent", "0.9", "0.009"),
        ("Beitragssatz in v. H.", "0.9", "0.009"), ("費率（百分比）", "0.9", "0.009"),
        ("Contribution rate (‰)", "13", "0.013"), ("Contribution rate per mille", "13", "0.013"),
        ("料率（千分率）", "13", "0.013"), ("Contribution rate", "13‰", "0.013"), ("Contribution rate", "0.9", "0.9"),
    ],
)  # fmt: skip
def test_rates_say_in_words_too_of_how_many_parts_they_are(tmp_path: Path, heading: str, cell: str, share: str) -> None:
    found = taken(tmp_path, f"Year,Income (EUR m),{heading}\n2015,1,{cell}\n2016,2,{cell}\n")
    assert found.rows[2015]["rate"] == Decimal(share)


def test_shares_among_percents_are_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, "Year,Income (EUR m),Contribution rate\n2015,1,14.6\n2016,2,0.146\n")
    assert "row 3, column C (rate): found '0.146'; allowed: rates counted alike; the largest is 14.6" in told


# --- what is no such column -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Growth rate (%)", None), ("Interest rate", None), ("Unemployment rate", None),
        ("Rate (% of payroll)", "rate"),
        ("HI tax rate", "rate"), ("Opening reserve", None), ("期初累计结余", None), ("Reserve brought forward", None),
        ("Reserve ratio (%)", None), ("積立金月数", None), ("Expenditure per insured", None), ("人均支出", None),
        ("収入伸び率", None), ("Closing reserve", "reserve"), ("Ertrag", "income"), ("Aufwand", "outgo"),
    ],
)  # fmt: skip
def test_growth_ratios_and_what_the_year_began_with_are_not_taken(heading: str, name: str | None) -> None:
    assert known_name(heading) == name


# --- years ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("2022 (Q1-Q3)", True), ("2022 Q1", True), ("1. Halbjahr 2022", True), ("111年(1-6月)", True),
        ("2022년 3분기", True), ("2022 (Jan-Jun)", True), ("2012年3月期", False), ("2012 1)", False),
        ("2012年度", False), ("2012 (e)", False), ("H12", False), ("H1", True),
    ],
)  # fmt: skip
def test_parts_of_years_are_known(text: str, part: bool) -> None:
    assert is_part_of_year(text) == part


def test_parts_of_years_among_whole_ones_are_left_out_and_told(tmp_path: Path) -> None:
    parts = "2016 Q1,280,279,\n2017 (Q1-Q3),840,839,250\n"
    found = taken(tmp_path, f"{TITLE}{HEAD}\n{ROWS}{parts}")
    assert sorted(found.rows) == [2015, 2016]
    assert words(found)["parts of years"] == "quarters, halves or months left out, 2: '2016 Q1'; '2017 (Q1-Q3)'"


def test_notes_that_commas_spread_page_numbers_and_numbers_of_columns_are_no_years(tmp_path: Path) -> None:
    below = "Source: report of 2016, p. 57, table 3\n57\n"
    found = taken(tmp_path, f"{TITLE}{HEAD}\n(1),(2),(3),(4)\n{ROWS}{below}")
    assert sorted(found.rows) == [2015, 2016]
    assert words(found)["rows left out"] == "3 without a year: '(1)'; 'Source: report of 2016'; '57'"
    # Words above other figures are another heading, not a note.
    assert "(year): found 'Members'" in refused(tmp_path, f"{TITLE}{HEAD}\n{ROWS},Members,Staff\n2017,71,1,\n")


# --- workbooks --------------------------------------------------------------------------------------------------------
def test_a_workbook_is_read_as_it_looks(tmp_path: Path) -> None:
    path = tmp_path / "printed.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet, percent = book.add_worksheet("S"), book.add_format({"num_format": "0.0%"})
        sheet.write_row(0, 0, ["Year", "Income (EUR bn)", "Reserve (EUR bn)", "Contribution rate (%)"])
        for i, year in enumerate((2015, 2016, 2017), 1):
            sheet.write_row(i, 0, [year, 100.5, 20.5])
            sheet.write_number(i, 3, 0.146, percent)
        sheet.set_row(3, None, None, {"hidden": True})
    found = understand(read_grid(path), "bn")
    assert found.rows[2016]["rate"] == Decimal("0.146")
    assert words(found)["hidden rows"] == "rows that the sheet hides, and that are read: 4"


def test_errors_formulas_without_values_and_scaled_figures_are_no_gaps_and_no_figures(tmp_path: Path) -> None:
    path = tmp_path / "printed.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet, scaled = book.add_worksheet("S"), book.add_format({"num_format": '#,##0.0,,"m"'})
        sheet.write_row(0, 0, ["Year", "Income (EUR m)", "Expenditure (EUR m)", "Reserve (EUR m)"])
        for i, year in enumerate((2015, 2016), 1):
            sheet.write_row(i, 0, [year, 100.5, 98.2])
            sheet.write_number(i, 3, 2.2e7, scaled)
        sheet.write_formula(1, 1, "=B3-1", None, "")
        sheet.write_formula(2, 2, "=1/0", None, "#DIV/0!")
    with pytest.raises(FaultyInput) as error:
        understand(read_grid(path), "bn")
    told = str(error.value)
    assert "row 2, column B (income): found '=B3-1'" in told
    assert "row 3, column C (outgo): found '#DIV/0!'" in told
    assert "let it compute" in told
    assert "row 2, column D: found 22,000,000.0 in the cell, which the sheet shows in thousands" in told
    assert "--unit one" in told


def test_workbooks_of_another_kind_are_named(tmp_path: Path) -> None:
    path = tmp_path / "printed.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("content.xml", "<x/>")
    with pytest.raises(
        FaultyInput, match=r"such as ODS, XLSB or a ZIP; allowed: XLSX or CSV\. To mend: save it as XLSX"
    ):
        read_grid(path)
