"""Published valuations: a three-year table by hand, 75 years in closed form, a real report, and how faults are told."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.engine import Timing, project
from forecaster.errors import FaultyInput, ForecasterError
from forecaster.measures import valuation
from forecaster.policy import Policy
from forecaster.published import (
    Flows,
    flows_of,
    hold,
    read_document,
    read_published_table,
    shipped_documents,
    value,
    value_document,
)
from forecaster.published.document import When
from forecaster.schemes import load_scheme
from forecaster.solve import RATE, Goal, required_value
from funds import random_basis

# Premiums of 50, 55 and 60 and other income of 5 against a cost of 60, 70 and 90; yield 10%, 20 in reserve.
BY_HAND = """\
# three years by hand
Calendar year,Income rate (%),other_income,Cost,Taxable payroll,interest_rate,GDP
2026,5,5,60,1000,10%,9
2027,5,5,70,1100,10%,9
2028,5,5,90,1200,10%,9
"""


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def flows(folder: Path, text: str, **how: object) -> Flows:
    reading = {key: how.pop(key) for key in ("percent", "thousands", "fill", "columns") if key in how}
    return flows_of(read_published_table(written(folder, text), **reading), **how)  # type: ignore[arg-type]


def run(*words: object, code: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["valuation", *map(str, words)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_three_years_by_hand(tmp_path: Path) -> None:
    found = value(flows(tmp_path, BY_HAND, opening=20.0), target_year="last")
    row = found.summary_table().iloc[0]
    v = (1 / 1.1, 1 / 1.21, 1 / 1.331)
    base = 1.05 * (1000 * v[0] + 1100 * v[1] + 1200 * v[2])
    income = 1.05 * (55 * v[0] + 60 * v[1] + 65 * v[2])
    cost = 1.05 * (60 * v[0] + 70 * v[1] + 90 * v[2])
    assert row["income_rate"] == pytest.approx((20 + income) / base) == pytest.approx(0.061575, abs=1e-6)
    assert row["cost_rate"] == pytest.approx((cost + 90 * v[2]) / base) == pytest.approx(0.089866, abs=1e-6)
    assert row["balance"] == pytest.approx(row["income_rate"] - row["cost_rate"])
    assert row["income_rate_without_opening"] == pytest.approx(income / base)
    assert row["cost_rate_without_target"] == pytest.approx(cost / base)
    assert row["unfunded_obligation"] == pytest.approx(cost - income - 20) == pytest.approx(13.1724, abs=1e-4)
    assert row["unfunded_rate"] == pytest.approx((cost - income - 20) / base)
    # 20 + 55 - 60 + 10% of 17.5; then 6.75 less 10; then -4.0... : by the ledger.
    first = 20 - 5 + 0.1 * (20 - 2.5)
    second = first - 10 + 0.1 * (first - 5)
    third = second - 25 + 0.1 * (second - 12.5)
    years = found.years_table()
    assert years["reserve"].tolist() == pytest.approx([first, second, third])
    assert years["fund_ratio"].tolist() == pytest.approx([20 / 60, first / 70, second / 90])
    assert (first, second, third) == pytest.approx((16.75, 7.925, -17.5325))
    assert (found.depletion_year, found.first_deficit_year, found.first_fall_year) == (2028, 2026, 2026)
    assert "column not read: GDP" in found.remarks


def test_the_target_of_the_next_year_and_flows_at_the_start_of_the_year(tmp_path: Path) -> None:
    given = flows(tmp_path, BY_HAND, opening=20.0)
    # Of two years the next one's cost is 90; of all three it is 90 x 90/70, grown as it last grew.
    found = value(given, lengths=(2, 3)).summary_table()
    base = [1.05 * (1000 / 1.1 + 1100 / 1.21), 1.05 * (1000 / 1.1 + 1100 / 1.21 + 1200 / 1.331)]
    assert found["target_rate"].tolist() == pytest.approx([90 / 1.21 / base[0], 90 * 90 / 70 / 1.331 / base[1]])
    # At the start of the year every flow bears the year's yield in full, so that nothing but the years discounts it.
    early = value(given, timing=Timing(1.0, 1.0, 1.0, 1.0), target_year="last")
    row = early.summary_table().iloc[0]
    base, cost = 1000 + 1000 + 1200 / 1.21, 60 + 70 / 1.1 + 90 / 1.21
    assert row["cost_rate"] == pytest.approx((cost + 90 / 1.331) / base)
    assert row["income_rate"] == pytest.approx((20 + 55 + 60 / 1.1 + 65 / 1.21) / base)
    assert early.projection.closing[0, 0] == pytest.approx((20 + 55 - 60) * 1.1)


@pytest.mark.parametrize("start_of_year", [False, True])
def test_seventy_five_years_in_closed_form(start_of_year: bool) -> None:
    r, g, income, cost, opening = 0.05, 0.04, 0.10, 0.12, 50.0
    n, growth = 75, 1.04 ** np.arange(75)
    blank = np.full(n, np.nan)
    table = Flows(
        np.arange(2001, 2076), 100 * income * growth, 0 * growth, 100 * cost * growth, 100 * growth, np.full(n, r),
        opening, blank, blank,
    )  # fmt: skip
    part = 1.0 if start_of_year else 0.5
    found = value(table, timing=Timing(part, part, part, part))
    q = (1 + g) / (1 + r)
    rows = found.summary_table().set_index("years")
    for years in (25, 50, 75):
        worth = 100 * (1 + part * r) * (1 - q**years) / (r - g)  # a geometric sum
        assert rows.loc[years, "payroll_present_value"] == pytest.approx(worth, rel=1e-12)
        assert rows.loc[years, "income_rate"] == pytest.approx(income + opening / worth, rel=1e-12)
        assert rows.loc[years, "cost_rate"] == pytest.approx(cost * (1 + 100 * q**years / worth), rel=1e-12)
        assert rows.loc[years, "unfunded_obligation"] == pytest.approx((cost - income) * worth - opening, rel=1e-10)
        assert rows.loc[years, "level_rate"] == pytest.approx(cost * (1 + 100 * q**years / worth) - opening / worth)
    # The reserve runs out when the deficits' worth passes it: 1 - q^t > x.
    x = opening * (r - g) / ((cost - income) * 100 * (1 + part * r))
    assert found.depletion_year == 2000 + math.ceil(math.log(1 - x) / math.log(q))


@settings(max_examples=10)
@given(st.tuples(*[st.floats(0.0, 1.0)] * 4), st.integers(0, 100))
def test_at_the_funds_own_yield_the_ledger_and_the_present_values_agree(parts: tuple[float, ...], seed: int) -> None:
    basis, law, timing = random_basis(3, 30, seed), Policy(load_scheme("tw_nhi_2g")), Timing(*parts)
    result = project(basis, law, timing)
    found = valuation(basis, law, result, 30)
    end = np.prod(1.0 / (1.0 + basis.investment_yield), axis=0) * result.closing[-1]
    assert -found.unfunded_obligation == pytest.approx(end, rel=1e-9, abs=1e-6)


# --- a real report ----------------------------------------------------------------------------------------------------


def test_the_shipped_report_is_met() -> None:
    text = run("us_oasdi_2026")
    assert "balance over 75 years -4.420%, ours -4.431%" in text
    assert "runs out in 2034, ours in 2034: held" in text
    assert "NOT held" not in text
    # Every flow at mid-year, which the report does not do, still comes within 0.03 points.
    assert "ours -4.446%" in run("us_oasdi_2026", "--timing", "0.5")
    assert "NOT held" in run("us_oasdi_2026", "--target-months", "0", code=1)
    # The documents' own rates of these tables, read off the report's other pages: highest cost rate, and the last ones.
    document = read_document("us_oasdi_2026")
    table = read_published_table(document.path.parent / document.table)
    costs = pd.Series(table.columns["cost_rate"], table.years)
    income = pd.Series(table.columns["income_rate"] + table.columns["other_income_rate"], table.years)
    assert costs[[2026, 2085, 2100]].tolist() == pytest.approx([0.1537, 0.2045, 0.2002])
    assert income[[2026, 2100]].tolist() == pytest.approx([0.1291, 0.1345])
    assert len(table.years) == 75


def test_a_published_table_takes_the_solver() -> None:
    found = value_document(read_document("us_oasdi_2026").model_copy(update={"timing": When()}))
    answer = required_value(found.basis, found.policy, RATE, Goal(0.0, 2100, dt.date(2026, 1, 1)))
    # The constant rate that leaves nothing and owes nothing at the end closes the unfunded obligation.
    row = found.summary_table().set_index("years").loc[75]
    assert answer.rounded == pytest.approx(row["level_rate"] - row["target_rate"], abs=1.01e-4)


def test_every_shipped_valuation_is_held() -> None:
    for name in shipped_documents():
        document = read_document(name)
        assert document.source
        assert len(hold(value_document(document), document)["within"]) > 1
        assert hold(value_document(document), document)["within"].all()


# --- other forms of the same table ------------------------------------------------------------------------------------


def test_amounts_percents_workbooks_and_parquet_are_one_table(tmp_path: Path) -> None:
    expected = value(flows(tmp_path, BY_HAND, opening=20.0)).summary_table()
    amounts = (
        "year;reserve;income;other_income;cost;payroll;interest_factor\n2025;20;;;;;1\n2026;;50;5;60;1,000;1.1\n"
        "2027;;55;5;70;1,100;1.21\n2028;;60;5;90;1,200;1.331\n"
    )
    frame = pd.DataFrame(
        {
            "year": [2026, 2027, 2028],
            "cost": [60.0, 70.0, 90.0],
            "income_rate": [0.05] * 3,
            "other_income": [5] * 3,
            "payroll": [1000, 1100, 1200],
            "real_interest_rate": [1.1 / 1.03 - 1] * 3,
            "inflation": [0.03] * 3,
        }
    )
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    tables = [
        flows(tmp_path, amounts, thousands=True),
        *(flows_of(read_published_table(tmp_path / f"t.{end}"), opening=20.0) for end in ("xlsx", "parquet")),
        flows(tmp_path, BY_HAND.replace("10%", ""), opening=20.0, interest=0.1),
        flows(
            tmp_path,
            BY_HAND.replace("Cost", "paid out").replace("10%", "10").replace("Income rate (%)", "income_rate"),
            columns={"cost": "paid out"},
            percent=True,
            opening=20.0,
        ),
    ]
    for table in tables:
        pd.testing.assert_frame_equal(value(table).summary_table(), expected)


def test_the_yield_follows_from_the_printed_interest(tmp_path: Path) -> None:
    timing = Timing(0.6, 0.4, 0.5, 0.5)
    first = value(flows(tmp_path, BY_HAND, opening=20.0), timing=timing)
    table = first.years_table()
    text = "fiscal_year,income_rate,other_income,cost,payroll,interest_earned,assets\n"
    for i, row in table.iterrows():
        text += f"{row['year']:.0f},0.05,5,{row['cost']},{row['payroll']},"
        text += f"{row['interest']:.17g},{row['reserve'] + i:.17g}\n"
    again = flows(tmp_path, text, opening=20.0, timing=timing)
    assert again.interest == pytest.approx([0.1] * 3)
    # Printed reserves are held against ours: they were put 0, 1 and 2 too high.
    checked = value(again, timing=timing).years_table()
    assert checked["reserve_less_published"].tolist() == pytest.approx([0.0, -1.0, -2.0])
    assert checked["interest_less_published"].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_years_left_out_are_filled_only_when_asked(tmp_path: Path) -> None:
    text = "year,income_rate,cost_rate,payroll,interest_rate\n2026,0.1,0.12,100,0.04\n2031,0.1,0.17,200,0.04\n"
    with pytest.raises(FaultyInput, match=r"column cost: found nothing in 2027, 2028, 2029, 2030.*--fill"):
        flows(tmp_path, text, opening=1.0)
    filled = flows(tmp_path, text, opening=1.0, fill=True)
    assert filled.payroll == pytest.approx(100 * 2 ** (np.arange(6) / 5))
    assert filled.cost / filled.payroll == pytest.approx(np.linspace(0.12, 0.17, 6))
    assert "cost_rate filled by straight lines in 4 of 6 years" in filled.remarks


# --- faults -----------------------------------------------------------------------------------------------------------

HEAD = "year,income_rate,cost_rate,payroll,interest_rate\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "2026,0.1,15.37,100,0.04\n", r"column cost_rate: found 15.37 in 2026.*0.1537 for 15.37%.*--percent"),
        (HEAD + "2026,0.1,0.1,0,0.04\n", r"row 2 \(2026\), payroll: found 0; allowed: more than zero"),
        (HEAD + "2026,0.1,0.1,100,0.04\n2026,0.1,0.1,100,0.04\n", r"2026 again; allowed: each year once.*row 2"),
        (HEAD + '2026,0.1,0.1,"11,043",0.04\n', r"found '11,043'; allowed: a figure.*--thousands"),
        (HEAD + "twenty,0.1,0.1,100,0.04\n", r"row 2, year: found 'twenty'"),
        (
            HEAD + "2026,0.1,,100,0.04\n2027,0.1,0.1,100,0.04\n2028,0.1,,100,0.04\n",
            r"column cost: found nothing in 2028",
        ),
        (HEAD, "a header and no rows"),
        ("year,income_rate,payroll,interest_rate\n2026,0.1,100,0.04\n", "neither cost_rate nor cost"),
        ("year,income_rate,cost_rate,payroll\n2026,0.1,0.1,100\n", "no yield of the fund.*--interest"),
        (
            HEAD.replace("interest_rate", "interest") + "2026,0.1,0.1,100,0.04\n",
            r"no yield of the fund.*interest_rate",  # whether it is a rate or money is not guessed
        ),
        ("a,b\n1,2\n", r"the header: found a, b; allowed: a column year"),
        (
            "year,cost_rate,cost,income,payroll,interest_rate\n2026,0.12,13,10,100,0.04\n",
            r"12\.0000% in 2026, and cost over payroll is 13\.0000%",
        ),
        (HEAD.replace("payroll", "payroll,taxable payroll") + "2026,0.1,0.1,1,1,0.04\n", "payroll a second time"),
    ],
)
def test_faults_say_where_what_and_how_to_mend(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(FaultyInput, match=words):
        flows(tmp_path, text, opening=1.0)


def test_faults_of_what_is_asked(tmp_path: Path) -> None:
    good = HEAD + "2026,0.1,0.1,100,0.04\n2027,0.1,0.1,100,0.04\n"
    with pytest.raises(FaultyInput, match=r"the opening reserve: found nothing.*end of 2025.*give --opening"):
        flows(tmp_path, good)
    with pytest.raises(FaultyInput, match=r"--start: found 2030; allowed: 2026 to 2027"):
        flows(tmp_path, good, opening=1.0, start=2030)
    with pytest.raises(FaultyInput, match=r"--column cost: found no heading 'Costs'; allowed: cost_rate"):
        flows(tmp_path, good, opening=1.0, columns={"cost": "Costs"})
    with pytest.raises(FaultyInput, match=r"percentages of at most 0\.1.*leave --percent out"):
        flows(tmp_path, good, opening=1.0, percent=True)
    with pytest.raises(ForecasterError, match=r"a valuation period of 3 years"):
        value(flows(tmp_path, good, opening=1.0), lengths=(3,))
    with pytest.raises(ForecasterError, match=r"income in 2026 is 120\.00% of the payroll.*other_income"):
        value(flows(tmp_path, good.replace("_rate,cost", ",cost").replace("0.1,0.1", "120,0.1"), opening=1.0))
    with pytest.raises(ForecasterError, match=r"no valuation 'nothing'.*us_oasdi_2026"):
        read_document("nothing")
    with pytest.raises(FaultyInput, match=r"unknown key 'openning'.*docs/valuations\.md"):
        read_document(written(tmp_path, 'label="a"\nsource="b"\ntable="c.csv"\nopenning=1\n', "a.toml"))
    assert "write NAME=HEADING" in run(written(tmp_path, good), "--column", "cost", code=2)


def test_fiscal_years_and_footnotes_are_years(tmp_path: Path) -> None:
    rows = "2026-27,0.1,0.1,100,0.04\n2027/2028,0.1,0.1,100,0.04\n2028c,0.1,0.1,100,0.04\n2029.0,0.1,0.1,100,0.04\n"
    assert flows(tmp_path, HEAD + rows, opening=1.0).years.tolist() == [2026, 2027, 2028, 2029]

    marked = "2026 1/,0.1,0.1,100,0.04\n2027*,0.1,0.1,100,0.04\n2028 (a),0.1,0.1,100,0.04\n"
    assert flows(tmp_path, HEAD + marked, opening=1.0).years.tolist() == [2026, 2027, 2028]


def test_a_table_as_a_report_prints_it(tmp_path: Path) -> None:
    # Title, headings with units and the fund's letters, a heading among the rows, percent signs, commas, footnotes.
    printed = (
        "Table III.B1. Income and cost rates\n"
        "Calendar year,HI income rate,HI cost rate,Taxable payroll (in billions),Annual interest rate (%)\n"
        ",(percent),(percent),(billions),(3)\n"
        "Historical:,,,,\n"
        '2024 1/,3.41%,3.30%,"11,000",2.9\n'
        "Intermediate:,,,,\n"
        '2025,3.45%,3.60%,"11,490",3.0\n'
        "1/ Estimated.\n"
    )
    found = flows(tmp_path, printed, opening=20.0, thousands=True, start=2025)
    plain = flows(tmp_path, HEAD + "2025,0.0345,0.036,11490,0.03\n", opening=20.0)
    for name in ("income", "cost", "payroll", "interest"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name))
    left = next(text for text in found.remarks if text.startswith("left out, without figures"))
    assert all(
        words in left
        for words in ("row 1 (above", "row 3 ('(percent)')", "row 4 ('Historical:')", "row 8 ('1/ Estimated.')")
    )
    # In money; a row that has figures but no year is a fault still.
    money = "Year,Income excluding interest,Total expenditures,Taxable payroll,Interest rate (%)\n"
    row = "2025,396.405,413.64,11490,3.0\n"
    assert flows(tmp_path, money + row, opening=20.0).cost == pytest.approx(plain.cost)
    with pytest.raises(FaultyInput, match=r"row 3, year: found 'Total'; allowed: a calendar year"):
        flows(tmp_path, money + row + "Total,396.405,413.64,11490,\n", opening=20.0)
    with pytest.raises(FaultyInput, match=r"row 3, year: found nothing; allowed: a calendar year"):
        flows(tmp_path, money + row + ",396.405,413.64,11490,\n", opening=20.0)
    alike = money.replace("payroll", "payroll (billions)").replace("penditures", "penditures (bn)")
    assert flows(tmp_path, alike + row, opening=20.0).cost == pytest.approx(plain.cost)
    apart = money.replace("Taxable payroll", "Taxable payroll (billions)").replace(
        "penditures", "penditures (millions)"
    )
    with pytest.raises(FaultyInput, match=r"Total expenditures \(millions\); Taxable payroll.*all amounts in one unit"):
        flows(tmp_path, apart + row, opening=20.0)


def test_many_rows_of_one_fault_are_told_once_and_headings_not_read_are_named(tmp_path: Path) -> None:
    rows = "".join(f'{year},0.1,0.1,"11,{year % 1000:03d}",0.04\n' for year in range(2026, 2060))
    with pytest.raises(FaultyInput, match=r"1 fault\n.*row 2 \(2026\), payroll and 33 more rows alike: found '11,026'"):
        flows(tmp_path, HEAD + rows, opening=1.0)
    with pytest.raises(FaultyInput, match=r"--column payroll=HEADING; not read: insured wages"):
        flows(tmp_path, HEAD.replace("payroll", "insured wages") + "2026,0.1,0.1,100,0.04\n", opening=1.0)


def test_a_misspelt_heading_is_named(tmp_path: Path) -> None:
    found = flows(tmp_path, HEAD.replace("\n", ",reserv\n") + "2026,0.1,0.1,100,0.04,5\n", opening=1.0)
    assert "column not read: reserv (meant reserve?)" in found.remarks


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_tables_go_out_and_come_back(tmp_path: Path) -> None:
    table = written(tmp_path, BY_HAND)
    out = tmp_path / "result"
    words = (table, "--opening", "20", "--target-year", "last", "--money", "EUR m", "--out", out)
    assert "Tables written to" in run(*words)
    for name in ("years", "periods"):
        pd.testing.assert_frame_equal(pd.read_csv(out / f"{name}.csv"), pd.read_parquet(out / f"{name}.parquet"))
    assert pd.read_csv(out / "periods.csv")["balance"].iloc[0] == pytest.approx(0.061575 - 0.089866, abs=2e-6)
    told = json.loads((out / "valuation.json").read_text())
    assert told["depletion_year"] == 2028
    assert told["money"] == "EUR m"
    assert "exists already" in run(*words, code=2)
    answer = json.loads(run(table, "--opening", "20", "--years", "2", "--years", "3", "--income-timing", "1", "--json"))
    assert [row["years"] for row in answer["periods"]] == [2, 3]
    assert answer["timing"] == {"premiums": 1.0, "other": 0.5, "outgo": 0.5, "base": 0.5}
