"""Tables as authorities print them: recognised aloud, taken only when confirmed, refused with place and rule."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.intake import Wishes, understand
from forecaster.intake_files import between_rows, column_letters, read_grid
from forecaster.intake_units import in_words, stated_unit
from forecaster.intake_words import known_name, year_of
from forecaster.pool_accounts import read_accounts

PRINTED = """健保收支表
單位：新臺幣億元
年度,保險收入,保險成本,安全準備餘額,費率(%),人數
104年,"5,701.5","5,410",2300,4.91,23
１０５年,"５,692","5,693",△299,4.69,23
106年,…,"(5,893)",2196,4.69,23
資料來源：健保署,,,,,
"""


def write(folder: Path, text: str | bytes, name: str = "printed.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def workbook(folder: Path, rows: list[list[object]], sheet: str = "收支", more: tuple[str, ...] = ()) -> Path:
    path = folder / "printed.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet(sheet)
        for i, row in enumerate(rows):
            page.write_row(i, 0, row)
        for name in more:
            book.add_worksheet(name)
    return path


def taken(path: Path, unit: str = "bn", wishes: Wishes | None = None, **reading):
    return understand(read_grid(path, **reading), unit, wishes)


def figures(intake) -> dict[int, dict[str, float]]:
    return {year: {name: float(value) for name, value in row.items()} for year, row in intake.rows.items()}


def faults(path: Path, unit: str = "bn", **reading) -> str:
    with pytest.raises(FaultyInput) as error:
        taken(path, unit, **reading)
    return str(error.value)


EXPECTED = {
    2015: {"income": 570.15, "outgo": 541.0, "reserve": 230.0, "rate": 0.0491},
    2016: {"income": 569.2, "outgo": 569.3, "reserve": -29.9, "rate": 0.0469},
    2017: {"outgo": -589.3, "reserve": 219.6, "rate": 0.0469},
}


# --- what is recognised -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("encoding", "mark", "guessed"),
    [("utf-8", b"", False), ("utf-8", b"\xef\xbb\xbf", False), ("utf-16", b"", False), ("cp950", b"", True)],
)
def test_a_printed_table_is_read_in_any_of_its_encodings(tmp_path, encoding, mark, guessed):
    text = PRINTED.replace("１０５", "105").replace("５,692", "5,692") if encoding == "cp950" else PRINTED
    found = taken(write(tmp_path, mark + text.encode(encoding)))
    assert figures(found) == EXPECTED
    assert ("encoding" in {item.key for item in found.recognised}) == guessed


def test_simplified_characters_are_told_from_traditional_ones(tmp_path):
    text = "年份,基金收入（亿元）,基金支出（亿元）,累计结余（亿元）\n2015,100,90,10\n2016,110,95,25\n"
    found = taken(write(tmp_path, text.encode("gb18030")))
    assert figures(found)[2016] == {"income": 11.0, "outgo": 9.5, "reserve": 2.5}
    assert found.recognised[0].words == "text in gb18030, concluded from its words"


JAPANESE = """第３表　協会会計の収支,,,,
（単位：億円）,,,,
年度,収入計,支出計,準備金残高,保険料率
平成２９年度,"９９,４８５","94,998","22,573",10.00%
平成30年度,"103,461","97,513","28,521",10.00%
令和元年度,"108,697","103,298","33,920",10.00%
令和２年度,"107,650","101,467","40,103",10.00%
（注）端数整理のため合計が一致しない,,,,
"""
KOREAN = """건강보험 재정현황
(단위: 억원)
연도,총수입,총지출,당기수지,누적적립금,보험료율
2018년,"621,159","622,937","△1,778","205,955",6.24%
2019년,"680,643","708,886","△28,243","177,712",6.46%
2020년,"734,185","737,716","△3,531","174,181",6.67%
"""
GERMAN = """Gesetzliche Krankenversicherung, Einnahmen und Ausgaben in Mrd. Euro
Jahr;Einnahmen;Ausgaben;Überschuss;Rücklage der Kassen;Beitragssatz in %
2019;251,87;252,47;-0,60;19,90;15,5
2020;260,73;262,60;-1,87;16,70;15,7
2021;278,65;283,88;-5,23;10,10;15,9
"""


@pytest.mark.parametrize(
    ("text", "encoding", "unit", "told", "year", "row"),
    [
        (JAPANESE, "utf-8", "bn", "era-years", 2019, (10869.7, 10329.8, 3392.0, 0.10)),
        (JAPANESE, "cp932", "bn", "shift_jis", 2017, (9948.5, 9499.8, 2257.3, 0.10)),
        (KOREAN, "utf-8-sig", "bn", "억", 2019, (68064.3, 70888.6, 17771.2, 0.0646)),
        (KOREAN, "cp949", "bn", "euc-kr", 2020, (73418.5, 73771.6, 17418.1, 0.0667)),
        (GERMAN, "utf-8", "m", "mrd", 2021, (278650.0, 283880.0, 10100.0, 0.159)),
        (GERMAN, "cp1252", "bn", "windows-1252", 2020, (260.73, 262.60, 16.70, 0.157)),
    ],
)
def test_tables_of_other_authorities(tmp_path, text, encoding, unit, told, year, row):
    found = taken(write(tmp_path, text.encode(encoding)), unit)
    assert figures(found)[year] == dict(zip(("income", "outgo", "reserve", "rate"), row, strict=True))
    assert told in " ".join(f"{item.key} {item.words}" for item in found.recognised)


def test_a_footnote_below_years_that_run_across_is_no_heading(tmp_path):
    rows = [line.split(",") for line in JAPANESE.replace('"', "").splitlines()]
    across = [
        ["（単位：億円）"],
        ["項目／年度", "平成30年度", "令和元年度"],
        ["収入", "100", "110"],
        ["支出", "90", "95"],
        rows[-1],
    ]
    found = taken(write(tmp_path, "\n".join(",".join(row) for row in across)))
    assert figures(found) == {2018: {"income": 10.0, "outgo": 9.0}, 2019: {"income": 11.0, "outgo": 9.5}}
    assert "端数整理" in {item.key: item.words for item in found.recognised}["left out"]


def test_years_of_eras_are_counted_one_way(tmp_path):
    words = {item.key: item.words for item in taken(write(tmp_path, JAPANESE)).recognised}
    assert words["era-years"] == "years of Japan's eras: 平成29年度 is 2017, 令和2年度 is 2020"
    assert "fiscal years" in words["fiscal-years"]
    assert "one way of counting years" in faults(write(tmp_path, JAPANESE.replace("令和元年度", "31年度")))
    assert "one way of counting years" in faults(write(tmp_path, JAPANESE.replace("令和元年度", "2019年度")))


def test_everything_recognised_is_told(tmp_path):
    found = {item.key: item.words for item in taken(write(tmp_path, PRINTED)).recognised}
    assert set(found) == {
        "columns", "left out", "unit", "rows left out", "roc-years", "separators", "percent", "full-width", "negative",
    }  # fmt: skip
    assert "income in 億 (100,000,000)" in found["unit"]
    assert found["roc-years"] == "years of the Republic of China: 104 is 2015"
    assert "'人數'" in found["left out"]
    assert "資料來源" in found["rows left out"]


def test_a_year_within_another_heading_is_not_the_year(tmp_path):
    text = "年度,全年收入(億元),年底安全準備(億元)\n2015,100,10\n"
    assert figures(taken(write(tmp_path, text))) == {2015: {"income": 10.0, "reserve": 1.0}}


def test_years_may_run_across(tmp_path):
    text = "unit: EUR m,,\nYear,2015,2016\nRevenue,100.5,110\nExpenditure,90,95.25\n"
    found = taken(write(tmp_path, text), "m")
    assert figures(found) == {2015: {"income": 100.5, "outgo": 90.0}, 2016: {"income": 110.0, "outgo": 95.25}}
    assert found.recognised[0].key == "turned"


def test_a_point_among_decimal_commas_is_asked_about_and_no_figure_grows_tenfold(tmp_path):
    path = write(tmp_path, "Jahr;Einnahmen (Mio);Ausgaben (Mio)\n2015;1.234,5;12.5\n2016;1.300,5;1.200\n")
    told = faults(path, "m")
    assert "'12.5'" in told
    assert "commas before decimals" in told
    assert "write 12,5 if its point stands before decimals, 125 if it parts" in told


def test_points_that_may_part_thousands_or_decimals_are_asked_about(tmp_path):
    path = write(tmp_path, "year,income (m),outgo (m),rate\n2015,22.460,(23.100),0.146\n2016,24.010,,0.146\n")
    told = faults(path, "m")
    assert "row 2, column B: found three digits behind every point: 22.460 may be 22460" in told
    assert "--decimal point, or --decimal comma" in told
    assert figures(taken(path, "m", Wishes(decimal="comma")))[2015]["income"] == 22460.0
    assert figures(taken(path, "m", Wishes(decimal="point")))[2015]["income"] == 22.46
    path = write(tmp_path, "year,income (m),outgo (m)\n2015,22.460,23.1\n")
    assert figures(taken(path, "m")) == {2015: {"income": 22.46, "outgo": 23.1}}


def test_figures_may_name_their_units_themselves(tmp_path):
    text = '연도,수입,지출,누적적립금\n2017년,"57조 9,990억",57조 2913억,△1조\n2018년,62조,-,20조 5955억원\n'
    found = taken(write(tmp_path, text))
    assert figures(found) == {
        2017: {"income": 57999.0, "outgo": 57291.3, "reserve": -1000.0},
        2018: {"income": 62000.0, "reserve": 20595.5},
    }
    assert (
        "'57조 9,990억' is 57,999,000,000,000 in ones" in {i.key: i.words for i in found.recognised}["units in cells"]
    )
    text = "年度,収入（億円）,支出（億円）\n令和元年度,10兆8697億円,103298\n"
    assert figures(taken(write(tmp_path, text))) == {2019: {"income": 10869.7, "outgo": 10329.8}}
    for odd in ("5억 3조", "3조 3조", "3조 많음", "조"):
        assert in_words(odd) is None
        assert "a number, or nothing" in faults(write(tmp_path, text.replace("10兆8697億円", odd)))


@pytest.mark.parametrize("mark", ["\t", ";"])
def test_commas_within_figures_do_not_part_cells_that_something_else_parts(tmp_path, mark):
    rows = ["年度", "收入(万元)", "支出(万元)"], ["2018年", "1,234,567.89", "1,100,000.12"]
    found = taken(write(tmp_path, "\n".join(mark.join(row) for row in rows)), "m")
    assert figures(found) == {2018: {"income": 12345.6789, "outgo": 11000.0012}}


def test_decimal_commas(tmp_path):
    text = "Jahr;Einnahmen (Mio);Ausgaben (Mio)\n2015;1.234,5;1 100,25\n2016;1.300;1.200\n"
    found = taken(write(tmp_path, text), "m")
    assert figures(found)[2015] == {"income": 1234.5, "outgo": 1100.25}
    assert figures(found)[2016] == {"income": 1300.0, "outgo": 1200.0}
    assert "decimal" in {item.key for item in found.recognised}


def test_stated_wishes_need_no_recognition(tmp_path):
    path = write(tmp_path, "Y,in,out\n2015,100,90\n")
    wishes = Wishes({"year": "Y", "income": "in", "outgo": "out"}, unit="thousand")
    found = taken(path, "m", wishes)
    assert figures(found) == {2015: {"income": 0.1, "outgo": 0.09}}
    assert [item.key for item in found.recognised] == ["columns"]


AMERICAN = """Table III.B4.—Operations of the HI Trust Fund,,,,,,
[In billions],,,,,,
,Income,,Expenditures,,Reserve,
Calendar year,Payroll taxes,Total,Benefit payments,Total,Net change,Balance at end of year
Historical data:,,,,,,
1970,$4.9,$6.0,$5.1,$5.3,$0.7,$3.2
1975,11.5,13.0,11.3,11.6,1.4,10.5
Intermediate estimates:,,,,,,
2025,400.0,470.1,440.0,455.2,14.9,252.4
1 Totals do not necessarily equal the sums of rounded components.,,,,,,
"""
BELOW = """Jahr;Einnahmen;;Ausgaben;;Mittelbestand
;Beiträge;insgesamt;Leistungen;insgesamt;
;Mrd. Euro;(Mrd. Euro);Mrd. Euro;(Mrd. Euro);(Mrd. Euro)
2007;17,8;18,02;17,4;18,34;3,18
2008;19,5;19,77;18,2;19,14;3,81
"""


def test_headings_of_several_rows_are_joined(tmp_path):
    found = taken(write(tmp_path, AMERICAN))
    assert figures(found)[1975] == {"income": 13.0, "outgo": 11.6, "reserve": 10.5}
    words = {item.key: item.words for item in found.recognised}
    assert words["columns"] == (
        "year = 'Calendar year', income = 'Income / Total', outgo = 'Expenditures / Total', "
        "reserve = 'Reserve / Balance at end of year'"
    )
    assert words["left out"] == (
        "columns not taken: 'Reserve / Net change', 'Income / Payroll taxes', 'Expenditures / Benefit payments'"
    )
    assert words["currency"] == "signs of a currency left out"
    assert "2025 and later below 'Intermediate estimates:'" in words["parts"]
    below = taken(write(tmp_path, BELOW.encode("cp1252")))
    assert figures(below)[2007] == {"income": 18.02, "outgo": 18.34, "reserve": 3.18}
    assert "income = 'Einnahmen / insgesamt / (Mrd. Euro)'" in {i.key: i.words for i in below.recognised}["columns"]


@pytest.mark.parametrize(
    "head",
    [
        "Year,Income,Outgo,Members\n,EUR m,EUR m,million\n",
        "Income and expenditure of the fund,,(EUR m),\nYear,Income,Outgo,Members\n",
    ],
)
def test_a_row_of_units_and_a_title_of_several_cells_are_no_names(tmp_path, head):
    found = taken(write(tmp_path, head + "2015,100,90,5\n2016,110,95,6\n"), "m")
    assert figures(found)[2016] == {"income": 110.0, "outgo": 95.0}


def test_a_heading_of_several_rows_swallows_no_row_of_figures(tmp_path):
    assert "row 2, column B (year): found '1'" in faults(write(tmp_path, HEAD + ",1,2\n2015,3,4\n"))


def test_years_are_known_without_a_heading(tmp_path):
    years = list(range(2001, 2007))
    rows = [
        ["연도별 건강보험 재정현황"],
        ["", "", "", "(단위 : 억원)"],
        ["구 분", *(f"{year}년" for year in years[:-1]), "2006(예상)"],
        ["수 입", *(1000.0 + 10 * i for i in range(6))],
        ["지 출", *(990.0 + 10 * i for i in range(6))],
        ["당기수지", *[10.0] * 6],
        ["누적수지", *(100.0 + 10 * i for i in range(6))],
    ]
    found = taken(workbook(tmp_path, rows))
    assert figures(found)[2006] == {"income": 105.0, "outgo": 104.0, "reserve": 15.0}
    words = {item.key: item.words for item in found.recognised}
    assert words["columns"] == "year = '구분', income = '수입', outgo = '지출', reserve = '누적수지'"
    assert "'당기수지'" in words["left out"]
    assert words["marks of years"] == "marks of footnotes left out of years: '2006(예상)'"
    plainly = "unit: EUR m\n,Income,Spending\n" + "".join(f"{year},{year},5\n" for year in years)
    found = taken(write(tmp_path, plainly), "m")
    assert figures(found)[2003] == {"income": 2003.0, "outgo": 5.0}
    assert found.recognised[0].words == "year = column A without a heading, outgo = 'Spending'"


PAGES = """The fund (EUR m),,
Year,Total revenue,Total expenses
2015,100,(90)
2016,110,(95)
Total,210,(185)
Year,Total revenue,Total expenses
2017 3,120,(101)
Members,,
Year,Insured,Pensioners
2015,5,6
"""


def test_pages_sums_and_further_tables_of_one_sheet_are_told_apart(tmp_path):
    path = write(tmp_path, PAGES)
    found = taken(path, "m")
    expected = {
        2015: {"income": 100.0, "outgo": 90.0},
        2016: {"income": 110.0, "outgo": 95.0},
        2017: {"income": 120.0, "outgo": 101.0},
    }
    assert figures(found) == expected
    words = {item.key: item.words for item in found.recognised}
    assert words["second table"] == "a further table from row 9 on is left out; it is read by --rows 9-10"
    assert "'Total'; 'Members'" in words["rows left out"]
    assert words["sign of outgo"] == "outgo is printed negative throughout; taken without its sign"
    assert "'2017 3'" in words["marks of years"]
    members = between_rows(read_grid(path), 9, 10)
    wishes = Wishes({"income": "Insured"}, unit="m")
    assert figures(understand(members, "m", wishes)) == {2015: {"income": 5.0}}
    with pytest.raises(FaultyInput, match=r"--rows: found no cell .* in rows 30 to 40; allowed: rows 1 to 10"):
        between_rows(read_grid(path), 30, 40)


def test_a_row_of_units_below_the_years_states_them(tmp_path):
    rows = ",2008-09,2009-10,2010-11,2011-12\nMembers in million,12 000,12 000,13 000,13 000\n,£000,£000,£000,£000\n"
    path = write(tmp_path, rows + "Receipts,5,6,7,8\nPayments,(4),(4),(4),(4)\n")
    assert figures(taken(path, "m"))[2011] == {"income": 0.008, "outgo": 0.004}
    path = write(tmp_path, "Year,Receipts,Payments\n,£'000,£'000\n2008,1 000,2\n")
    assert figures(taken(path, "m")) == {2008: {"income": 1.0, "outgo": 0.002}}


def test_the_corner_of_a_table_may_state_its_unit(tmp_path):
    path = write(tmp_path, "$m,2008/09,2009/10,2010/11,2011/12\nIncome,5,6,7,8\nOutgo,n.a.,:,n/d,4\n")
    assert figures(taken(path, "m"))[2011] == {"income": 8.0, "outgo": 4.0}
    path = write(tmp_path, "Année;Produits, en millions de francs;Charges, en millions de francs\n2008;1'005;1'002\n")
    assert figures(taken(path, "bn")) == {2008: {"income": 1.005, "outgo": 1.002}}


def test_two_years_without_a_heading_suffice_where_nothing_else_stands_with_them(tmp_path):
    few = ";2024;2025 *)\nEinnahmen (Mrd. Euro);320,5;349,1\nAusgaben (Mrd. Euro);327,4;345,6\n"
    assert figures(taken(write(tmp_path, few)))[2025] == {"income": 349.1, "outgo": 345.6}
    assert "the heading: found none" in faults(write(tmp_path, few.replace("2025 *)", "2027")))
    assert "the heading: found none" in faults(write(tmp_path, few.replace("\nE", ";17\nE")))


def test_columns_may_be_named_by_their_letter(tmp_path):
    path = write(tmp_path, "year,income (m),income (m),spending (m)\n2015,1,2,3\n")
    assert "2 columns for income: 'income (m)' (column B), 'income (m)' (column C)" in faults(path)
    assert figures(taken(path, "m", Wishes({"income": "column C"}))) == {2015: {"income": 2.0, "outgo": 3.0}}
    path = write(tmp_path, "year,2015,2016\nincome (m),1,2\nmore,3,4\n")
    assert figures(taken(path, "m", Wishes({"outgo": "row 3"}, unit="m")))[2016] == {"income": 2.0, "outgo": 4.0}
    with pytest.raises(FaultyInput, match="no column 'column z'"):
        taken(path, "m", Wishes({"outgo": "column Z"}))


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("単年度収支差", None), ("当期收支", None), ("Net change", None), ("Balance at beginning of year", None),
        ("Balance at end of year", "reserve"), ("年底安全準備", "reserve"), ("累计结余", "reserve"),
        ("會計年度", "year"), ("項目／年度", "year"), ("Fiscal year", "year"), ("Geschäftsjahr", "year"),
        ("Number of members at end of year", None), ("年度平均人數", None), ("収　入", "income"),
    ],
)  # fmt: skip
def test_headings_say_what_they_are(heading, name):
    assert known_name(heading) == name


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("20091)", ("", 2009, "1)")), ("2009 1)", ("", 2009, "1)")), ("2009¹", ("", 2009, "¹")),
        ("2020*", ("", 2020, "*")), ("2024 p", ("", 2024, "p")), ("平成30年度(注)", ("平成", 30, "(注)")),
        ("2012-12-31", ("", 2012, "")), ("31.12.2012", ("", 2012, "")), (2015.0, ("", 2015, "")),
        ("2015/16", ("", 2015, "")),
        ("FY 1999-2000", ("", 1999, "")),
        ("2015/17", None), ("1) note", None), ("Total 2015", None),
    ],
)  # fmt: skip
def test_years_with_marks(cell, read):
    assert year_of(cell) == read


def test_years_across_two_calendar_years_are_their_first_and_told(tmp_path):
    found = taken(write(tmp_path, HEAD + "2015-16,1,2\n2016–17,3,4\n"), "m")
    assert figures(found) == {2015: {"income": 1.0, "outgo": 2.0}, 2016: {"income": 3.0, "outgo": 4.0}}
    told = {item.key: item.words for item in found.recognised}["split-years"]
    assert told == "years across two calendar years, each taken as its first: 2015-16 is 2015"


def test_marks_beside_figures_are_told_and_left_out(tmp_path):
    found = taken(write(tmp_path, 'year,income (m),outgo (m)\n2015,5.3*,"1,269.3 p)"\n2016,5²,(6)\n'), "m")
    assert figures(found) == {2015: {"income": 5.3, "outgo": 1269.3}, 2016: {"income": 5.0, "outgo": -6.0}}
    told = {item.key: item.words for item in found.recognised}["marks of figures"]
    assert told == "marks of footnotes left out of figures: '5.3*' '1,269.3 p)' '52'"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("收入(億元)", "億"), ("收入（十亿元）", "十亿"), ("單位：百萬元", "百萬"), ("单位：万元", "万"),
        ("income [EUR m]", "m"), ("revenue (in millions)", "millions"), ("revenue in billion yen", "billion"),
        ("income", None), ("(元)", "元"),
        ("members (persons)", None), ("£000", "thousand"), ("Receipts £'000", "thousand"), ("1,000 members", None),
        ("Plan for 10 000 members", None), ("Income, in 1 000 000 EUR", None), ("£000,000", None), ("£'000 000", None),
        ("Outgo (€'000s)", "thousand"),
        ("Receipts £m", "m"), ("Outgo / EUR m", "m"), ("Outgo / EUR", None),
    ],
)  # fmt: skip
def test_units_are_read_only_where_they_are_stated(text, unit):
    found = stated_unit(text)
    assert (found and found.words) == unit


def test_a_workbook_is_read_cell_by_cell(tmp_path):
    rows = [["單位：億元"], ["年度", "收入", "支出"], [2015, 100.1, "90"], ["2016", 110, None]]
    found = taken(workbook(tmp_path, rows))
    assert figures(found) == {2015: {"income": 10.01, "outgo": 9.0}, 2016: {"income": 11.0}}
    assert str(found.rows[2015]["income"]) == "10.01"  # no noise of binary fractions


# --- what is refused --------------------------------------------------------------------------------------------------
HEAD = "year,income (m),outgo (m)\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "2015,12a,9\n", "row 2, column B (income): found '12a'; allowed: a number, or nothing"),
        (HEAD + "2015,1,2\n2015,3,4\n", "row 3, column A (year): found '2015'; allowed: each year once"),
        (HEAD + ",1,2\n", "merged cells"),
        (HEAD + "2015 half,1,2\n", "no years, but quarters, halves or months left out, 1: '2015 half'"),
        (HEAD + "2015/17,1,2\n", "found '2015/17'"),
        (HEAD + "2015,1,2\n2016-17,3,4\n", "one way of counting years"),
        (HEAD + "3015,1,2\n", "a calendar year from 1900 to 2100"),
        (HEAD + "2015,1e400,2\n", "less than 10^18"),
        (HEAD + "2015,inf,2\n", "found 'inf'"),
        (HEAD + "104,1,2\n2016,3,4\n民國106,5,6\n", "one way of counting years"),
        (HEAD, "a heading and no years"),
        ("a,b\n1,2\n", "the heading: found none that is understood among 'a', 'b'"),
        ("", "no cell with anything in it"),
        ("year,income,outgo\n2015,1,2\n", "row 1, column B: found no unit in 'income' nor above"),
        ("year,gross income (m),net income (m)\n2015,1,2\n", "2 columns for income"),
        ('year,income (m)\n2015,"1\n', "CSV with quotes in pairs"),
        ("year,income\0(m)\n", "bytes of value zero"),
        (",".join(["year"] * 600) + "\n", "600 columns"),
        (HEAD + "2015,1,2\n" * 6000, "6,001 rows"),
    ],
)
def test_a_malformed_file_is_refused_with_place_and_rule(tmp_path, text, told):
    words = faults(write(tmp_path, text))
    assert told in words
    assert "printed.csv" in words
    assert "To mend:" in words


def test_a_wrong_encoding_is_told(tmp_path):
    path = write(tmp_path, b"year,income\n2015,\x81\n")
    assert "bytes of no encoding that is known here" in faults(path)
    assert "that are not big5" in faults(path, encoding="big5")
    with pytest.raises(
        ForecasterError, match="there are utf-8, utf-16, big5, gb18030, shift_jis, euc-jp, euc-kr, windows-1250, w"
    ):
        read_grid(path, encoding="ebcdic")


def test_faults_of_a_workbook_name_the_sheet(tmp_path):
    path = workbook(tmp_path, [["year", "income (m)"], [2015, "much"], [2016, True]])
    words = faults(path)
    assert "sheet '收支', row 2, column B (income): found 'much'" in words
    assert "sheet '收支', row 3, column B (income): found 'True'" in words
    path = workbook(tmp_path, [["year"]], more=("two",))
    assert "say which: --sheet NAME" in faults(path)
    assert "no sheet 'three'" in faults(path, sheet="three")


def _archive(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_archive_and_entity_bombs_are_refused_before_they_unpack(tmp_path, monkeypatch):
    monkeypatch.setattr("forecaster.intake_files.LARGEST_UNPACKED", 3_000_000)
    bomb = _archive({"xl/worksheets/sheet1.xml": bytes(3_000_001)})
    assert len(bomb) < 10_000
    # The stated sizes are those of a small file: only unpacking shows the truth.
    stated = (3_000_001).to_bytes(4, "little")
    liar = bomb.replace(stated, (1000).to_bytes(4, "little"))
    entity = _archive({"xl/workbook.xml": b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'})
    many = _archive({str(i): b"" for i in range(600)})
    for content, told in (
        (bomb, "unpack to too much"),
        (liar, "XLSX"),
        (entity, "entities declared"),
        (many, "600 parts"),
        (bomb[:200], "archive"),
        (_archive({"xl/workbook.xml": b"b"}), "a workbook that cannot be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an old Excel file"),
    ):
        assert told in faults(write(tmp_path, content, "bomb.xlsx"))


_cell = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "2015",
            "104年",
            "民國105",
            "1,234",
            "1.234,5",
            "５６",
            "-",
            "(3)",
            "△4",
            "5%",
            "inf",
            "nan",
            "1e999",
            "億",
        ]
    ),
    st.floats().map(repr),
)


def _taken_or_told(path: Path):
    """What was understood, or the words of the refusal; any other end is the test's failure."""
    try:
        return taken(path), None
    except FaultyInput as error:
        return None, str(error)


@settings(max_examples=50)
@given(
    st.lists(st.lists(_cell, max_size=5), max_size=6),
    st.sampled_from(
        [
            "year,income (m),outgo (m),rate\n",
            "年度;收入(億元);支出(億元)\n",
            "Jahr;Einnahmen (Mio);;Ausgaben (Mio)\n;Beiträge;insgesamt;\n",
            "in m,income,outgo\n" + "".join(f"{year},1,2\n" for year in range(2001, 2006)),
            "",
        ]
    ),
    st.sampled_from(["utf-8", "utf-16", "gb18030"]),
)
def test_no_table_however_odd_ends_in_anything_but_figures_or_a_told_fault(tmp_path_factory, rows, head, encoding):
    folder = tmp_path_factory.mktemp("odd")
    mark = ";" if ";" in head else ","
    text = head + "\n".join(mark.join(row) for row in rows)
    path = write(folder, text.encode(encoding, "surrogatepass" if encoding == "utf-8" else "ignore"))
    found, said = _taken_or_told(path)
    assert said is None or ("printed.csv" in said and "To mend:" in said)
    assert found is None or all(value.is_finite() for row in found.rows.values() for value in row.values())


_sound_workbook: list[bytes] = []


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_a_damaged_workbook_is_read_or_refused(tmp_path_factory, place, byte, cut):
    folder = tmp_path_factory.mktemp("damaged")
    if not _sound_workbook:
        rows = [["year", "income (m)"], [2015, 1.5], [2016, 2.5]]
        _sound_workbook.append(workbook(folder, rows).read_bytes())
    content = bytearray(_sound_workbook[0])
    place %= len(content)
    content[place] = byte
    path = write(folder, bytes(content[:place] if cut else content), "damaged.xlsx")
    _, said = _taken_or_told(path)
    assert said is None or "damaged.xlsx" in said


def test_columns_are_lettered_as_spreadsheets_do():
    assert [column_letters(n) for n in (1, 26, 27, 702, 703)] == ["A", "Z", "AA", "ZZ", "AAA"]


# --- the command ------------------------------------------------------------------------------------------------------
def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def pool(tmp_path) -> Path:
    assert run("pool", "new", tmp_path / "fund", "--country", "TWN", "--unit", "bn").exit_code == 0
    return tmp_path / "fund"


def test_nothing_is_written_before_all_is_confirmed(tmp_path, pool):
    path = write(tmp_path, PRINTED.replace("(5,893)", "5,893"))
    before = (pool / "accounts.csv").read_bytes()
    result = run("pool", "import", pool, path)
    assert result.exit_code == 2
    assert "unit: income in 億 (100,000,000)" in result.stderr
    assert "--yes" in result.stderr
    result = run("pool", "import", pool, path, "--confirm", "unit", "--confirm", "columns")
    assert "unit:" not in result.stderr
    assert "roc-years:" in result.stderr
    assert (pool / "accounts.csv").read_bytes() == before
    assert run("pool", "import", pool, path, "--yes").exit_code == 0
    accounts = read_accounts(pool / "accounts.csv")
    assert accounts.years.tolist() == [2015, 2016, 2017]
    assert accounts.outgo.tolist()[:2] == [541.0, 569.3]
    comments = (pool / "accounts.csv").read_text().splitlines()
    assert comments[0].startswith("# Imported from printed.csv, SHA-256 ")
    assert "# confirmed: rates in percent" in comments


def test_figures_are_replaced_only_by_force(tmp_path, pool):
    path = write(tmp_path, "year,income,outgo,reserve,rate\n2015,1,2,3,0.05\n")
    assert run("pool", "import", pool, path, "--unit", "bn").exit_code == 0
    result = run("pool", "import", pool, path, "--unit", "bn")
    assert result.exit_code == 2
    assert "replace them with --force" in result.stderr
    write(tmp_path, "year,income,outgo\n2015,1,2\n")
    result = run("pool", "import", pool, path, "--unit", "bn", "--force")
    assert result.exit_code == 0
    assert "Not in the file: reserve, rate; write it into" in result.stdout


def test_a_further_table_adds_years_and_columns_and_contradicts_nothing(tmp_path, pool):
    first = write(tmp_path, "year,income,outgo,note\n2014,1,2,partial\n2015,3,4,\n", "first.csv")
    assert run("pool", "import", pool, first, "--unit", "bn").exit_code == 0
    second = write(tmp_path, "year,income,outgo,reserve,rate\n2015,3,4.0,7,0.05\n2016,5,6,8,\n", "second.csv")
    result = run("pool", "import", pool, second, "--unit", "bn", "--add")
    assert result.exit_code == 0, result.stderr
    lines = (pool / "accounts.csv").read_text().splitlines()
    assert lines[-3:] == ['2014,1,2,,,"partial"', "2015,3,4,7,0.05,", "2016,5,6,8,,"]
    assert [line.split(",")[0] for line in lines if "Imported from" in line] == [
        "# Imported from first.csv", "# Imported from second.csv",
    ]  # fmt: skip
    third = write(tmp_path, "year,outgo\n2015,4.1\n2017,7\n", "third.csv")
    result = run("pool", "import", pool, third, "--unit", "bn", "--add")
    assert result.exit_code == 2
    assert "outgo of 2015: found 4.1; allowed: 4, which the pool holds" in result.stderr
    assert (pool / "accounts.csv").read_text().splitlines() == lines
    assert run("pool", "import", pool, third, "--unit", "bn", "--add", "--force").exit_code == 0
    assert (pool / "accounts.csv").read_text().splitlines()[-3:] == ["2015,3,4.1,7,0.05,", "2016,5,6,8,,", "2017,,7,,,"]
    assert "# replaced: outgo of 2015, 4 before" in (pool / "accounts.csv").read_text().splitlines()
    (pool / "accounts.csv").write_text("year,income,outgo,reserve,rate\n2014,much,2,,\n")
    assert (
        "row of 2014: found a cell that is no number"
        in run("pool", "import", pool, third, "--add", "--unit", "bn").stderr
    )


def test_the_pools_own_workbook_is_a_template(pool):
    result = run("pool", "import", pool, pool / "accounts.xlsx", "--yes")
    assert result.exit_code == 2
    assert "a heading and no years" in result.stderr
    with xlsxwriter.Workbook(pool / "accounts.xlsx") as book:
        page = book.add_worksheet("accounts")
        page.write_row(0, 0, ["year", "income [TWD bn]", "outgo [TWD bn]", "reserve [TWD bn]", "rate", "note"])
        page.write_row(1, 0, [2015, 570.15, 541, 230, 0.0491, "=1+1 of notes"])
    assert run("pool", "import", pool, pool / "accounts.xlsx", "--yes").exit_code == 0
    assert read_accounts(pool / "accounts.csv").income.tolist() == [570.15]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--column", "income"), "write NAME=HEADING"),
        (("--unit", "dozen"), "use one of these"),
        (("--decimal", "dot"), "there are point and comma"),
        (("--sheet", "x"), "a CSV file has no sheets"),
        (("--rows", "9"), "write the first and the last row"),
        (("--column", "income=nowhere"), "no column 'nowhere'"),
    ],
)
def test_wrong_wishes_are_told(tmp_path, pool, more, told):
    result = run("pool", "import", pool, write(tmp_path, PRINTED.encode()), *more)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_folder_without_a_pool_is_told(tmp_path):
    result = run("pool", "import", tmp_path, write(tmp_path, PRINTED.encode()))
    assert result.exit_code == 2
    assert "make a pool first" in result.stderr
