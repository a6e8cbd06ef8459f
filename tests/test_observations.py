"""The sourced figures: every shipped file loads, every kind of fault is told, the accounts hold."""

from __future__ import annotations

import csv
import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from forecaster.errors import FaultyInput, ForecasterError
from forecaster.observations import (
    grade_error,
    list_places,
    list_sources,
    load_observations,
    load_table,
    observation_hash,
    period_months,
)
from forecaster.observations.accounts import gaps_of
from forecaster.observations.tables import COLUMNS, SHAPES
from forecaster.resources import data_dir

OBSERVED = data_dir() / "observed"
PLACES = ("chn", "twn")


@pytest.fixture(scope="module")
def taiwan():
    return load_observations("twn")


@pytest.fixture(scope="module")
def mainland():
    return load_observations("chn")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the observed tables that a test may break."""
    shutil.copytree(OBSERVED, tmp_path / "observed")
    return tmp_path


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def edit(root: Path, name: str, line: int, column: str, text: str) -> None:
    """Put a text into one cell; `line` counts the file's lines from 1, the header being the first."""
    path = root / "observed" / name
    rows = read(path)
    rows[line - 1][rows[0].index(column)] = text
    write(path, rows)


def line_of(root: Path, name: str, **wanted: str) -> int:
    rows = read(root / "observed" / name)
    at = {rows[0].index(column): text for column, text in wanted.items()}
    return next(i + 1 for i, row in enumerate(rows) if all(row[j] == text for j, text in at.items()))


def faults_of(root: Path, place: str = "twn") -> list[str]:
    with pytest.raises(FaultyInput) as caught:
        load_observations(place, root)
    return [str(fault) for fault in caught.value.faults]


def only_fault(root: Path, place: str = "twn") -> str:
    faults = faults_of(root, place)
    assert len(faults) == 1, faults
    return faults[0]


# --- what is shipped ------------------------------------------------------------------------------------------------


def test_the_places():
    assert list_places() == PLACES


@pytest.mark.parametrize(("place", "rows"), [("twn", 913), ("chn", 1450)])
def test_every_shipped_row_is_loaded(place, rows):
    files = [path for path in (OBSERVED / place).glob("*.csv") if path.name not in SHAPES]
    table = load_observations(place).table
    assert len(table) == sum(len(read(path)) - 1 for path in files) == rows
    assert set(table["file"]) == {path.name for path in files}
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert table["value"].map(math.isfinite).all()


def test_the_line_is_the_line_of_the_file(taiwan):
    for row in taiwan.table.sample(20, random_state=1).to_dict("records"):
        cells = read(OBSERVED / "twn" / row["file"])[row["line"] - 1]
        assert (cells[0], cells[2], float(cells[3])) == (row["series"], row["period"], row["value"])


@pytest.mark.parametrize("place", PLACES)
def test_no_source_is_missing_and_none_is_idle(place):
    used = load_observations(place)
    cited = {part for text in used.table["source"] for part in text.split("+")}
    assert cited <= set(used.sources["id"])
    everywhere = set(list_sources("twn")["id"]) | set(list_sources("chn")["id"])
    idle = set(list_sources()["id"]) - everywhere
    laws = "".join(path.read_text(encoding="utf-8") for path in (data_dir() / "schemes").glob("*.toml"))
    idle = {name for name in idle if name not in laws}
    assert all(name.startswith("LAW-") for name in idle), idle
    assert {"LAW-L1", "LAW-L2", "LAW-TW1"} <= set(list_sources()["id"])


@pytest.mark.parametrize("place", PLACES)
def test_values_keep_to_their_units(place):
    table = load_observations(place).table
    shares = table[table["unit"] == "share"]
    rates = shares[shares["series"].str.contains("rate|share")]
    assert len(rates) > 50
    assert rates["value"].abs().max() <= 1.0
    assert table.loc[table["unit"] == "year", "value"].between(1990, 2100).all()


@pytest.mark.parametrize("place", PLACES)
def test_projections_have_a_date_and_no_error(place):
    table = load_observations(place).table
    projected = table["quality"] == "P"
    assert (table.loc[projected, "made"] != "").all()
    assert table.loc[projected, "error"].isna().all()
    assert (table.loc[~projected, "made"] == "").all()
    assert set(table.loc[~projected, "error"]) == {0.001, 0.01, 0.03}


def test_derived_rows_show_their_arithmetic(taiwan):
    derived = taiwan.table[taiwan.table["basis"] == "derived"]
    assert len(derived) > 30
    assert derived["note"].str.startswith("arithmetic: ").all()


# --- golden figures -------------------------------------------------------------------------------------------------


def test_revenue_and_cost_1995_to_2005(taiwan):
    revenue, cost = (taiwan.best(name).query("year <= 2005") for name in ("revenue", "cost"))
    assert list(revenue["year"]) == list(cost["year"]) == list(range(1995, 2006))
    assert round(revenue["value"].sum(), 3) == 3133.351
    assert round(cost["value"].sum(), 3) == 3131.836
    assert round(revenue["value"].sum() - cost["value"].sum(), 3) == 1.515
    assert taiwan.best("reserve_end").query("year == 2005")["value"].item() == 1.515
    assert set(revenue["quality"]) == {"A"}


def test_the_sums_of_2006_to_2012_follow_from_the_whole(taiwan):
    for name, whole in (("revenue", "7934.287"), ("cost", "7705.416")):
        sums = taiwan.series(f"{name}_sum").set_index("period")["value"]
        known = taiwan.best(name).query("year <= 2005 or 2013 <= year <= 2015")["value"].sum()
        assert sums["1995-03..2015-12"] == float(whole)
        assert sums["2006..2012"] == pytest.approx(float(whole) - known, abs=0.0015)


def test_the_first_year_has_ten_months(taiwan):
    first = taiwan.series("revenue").iloc[0]
    assert (first["period"], first["n_months"], first["value"]) == ("1995-03..1995-12", 10, 193.991)


def test_reserve_months_1995_to_2005_are_cut_off_not_rounded(taiwan):
    best = {name: taiwan.best(name).set_index("year")["value"] for name in ("reserve_end", "cost", "reserve_months")}
    printed, cut, rounded = [], [], []
    for year in range(1995, 2006):
        months = Decimal(str(best["reserve_end"][year])) * 12 / Decimal(str(best["cost"][year]))
        printed.append(Decimal(str(best["reserve_months"][year])))
        cut.append(months.quantize(Decimal("0.01"), rounding=ROUND_DOWN))
        rounded.append(round(months, 2))
    assert printed == cut
    assert printed != rounded


def test_the_eight_rates_of_november_2020(taiwan):
    table = load_table("twn", "rate_scenarios_2020")
    assert list(table["general_premium_rate"]) == [0.0469, 0.0491, 0.0495, 0.0497, 0.0517, 0.0519, 0.0542, 0.0565]
    assert list(table["revenue_2021_twd_bn"]) == [637.9, 667.0, 672.4, 674.7, 701.5, 703.8, 734.4, 764.7]
    assert set(table["cost_2021_twd_bn"]) == {723.1}
    names = {"revenue": "revenue_2021_twd_bn", "reserve_end": "reserve_end_2021_twd_bn"}
    for row in table.to_dict("records"):
        for name, column in names.items():
            tidy = taiwan.series(f"{name}|rate_{row['general_premium_rate']}", projections=True)
            assert tidy.query("year == 2021 and made == '2020-11-26'")["value"].item() == row[column]


def test_article_33_ties_the_rates(taiwan):
    names = ("general_premium_rate", "supplementary_premium_rate")
    general, supplementary = (taiwan.best(name).set_index("period")["value"] for name in names)
    assert supplementary["2013-01-01"] == 0.02
    rate = 0.02 * general["2016-01-01"] / general["2013-01-01"]
    assert round(rate, 4) == supplementary["2016-01-01"] == 0.0191
    assert round(rate * general["2021-01-01"] / general["2016-01-01"], 4) == supplementary["2021-01-01"] == 0.0211


def test_macro_is_actual_to_2024_and_projected_after(taiwan):
    seen = taiwan.series("gdp_nominal")
    ahead = taiwan.series("gdp_nominal", projections=True)
    assert list(seen["year"]) == list(range(1994, 2025))
    assert list(ahead["year"]) == list(range(2025, 2031))
    assert set(ahead["made"]) == {"2025-10"}


def test_contradictions_stand_side_by_side(taiwan):
    reserves = taiwan.series("reserve_end").query("period == '2021'")
    assert set(reserves["value"]) == {91.6, 93.6}
    assert set(taiwan.series("supplementary_premium").query("period == '2013'")["value"]) == {33.1, 40.2}
    assert taiwan.best("reserve_end").query("period == '2021'")["value"].item() == 93.6


def test_the_mainland_panel(mainland):
    income = mainland.best("fund_income|urrbmi").query("n_months == 12").set_index("year")["value"]
    assert income[2021] == 972.448
    back = load_table("chn", "projection_backtest").set_index(["series", "target"])
    assert back.loc[("fund_income|urrbmi", "2021"), "projected_low"].item() == 1067.362
    assert back.loc[("fund_income|urrbmi", "2021"), "later"].item() == income[2021]


def test_the_projections_beside_what_came_later():
    table = load_table("twn", "projection_backtest")
    assert len(table) == 23
    assert (table["projected_low"] <= table["projected_high"]).all()
    row = table.query("series == 'reserve_end'").iloc[0]
    assert (row["made"], row["projected_low"], row["later"]) == ("2020-11-26", 88.0, 93.6)


# --- the frame ------------------------------------------------------------------------------------------------------


def test_projections_come_only_when_asked_for(taiwan):
    assert "P" not in set(taiwan.series("reserve_months")["quality"])
    assert set(taiwan.series("reserve_months", projections=True)["quality"]) == {"P"}


def test_a_basis_can_be_asked_for(taiwan):
    rows = taiwan.series("balance", basis="press")
    assert len(rows) < len(taiwan.series("balance"))
    assert set(rows["basis"]) == {"press"}


def test_an_unknown_series_is_answered_with_the_nearest(taiwan):
    with pytest.raises(ForecasterError) as caught:
        taiwan.series("reserve_month")
    assert "twn has no series 'reserve_month'" in str(caught.value)
    assert "reserve_months" in str(caught.value)


def test_best_takes_the_better_grade(taiwan):
    rows = taiwan.series("balance").query("period == '2016'")
    assert set(rows["value"]) >= {18.539, 18.6}
    assert taiwan.best("balance").query("period == '2016'")["value"].item() == 18.539
    assert taiwan.best("balance")["period"].is_unique


def test_an_unknown_place_or_table():
    with pytest.raises(ForecasterError) as caught:
        load_observations("twm")
    assert "no observations of 'twm'; there are those of chn, twn" in str(caught.value)
    with pytest.raises(ForecasterError) as caught:
        load_table("chn", "rate_scenarios_2020")
    assert "chn has no table 'rate_scenarios_2020'" in str(caught.value)


def test_grade_errors():
    assert [grade_error(grade) for grade in "ABC"] == [0.001, 0.01, 0.03]
    with pytest.raises(ForecasterError) as caught:
        grade_error("P")
    assert "projections, not observations" in str(caught.value)
    with pytest.raises(ForecasterError) as caught:
        grade_error("D")
    assert "no quality grade 'D'; there are A, B, C, P" in str(caught.value)


@pytest.mark.parametrize(
    ("period", "months"),
    [("2014", 12), ("1995-03..1995-12", 10), ("2006..2012", 84), ("2025-11", 1), ("2022-05-01", 0), ("..2012", 0),
     ("1998..", 0), ("2023-07..2024-06", 12), ("1995-03..2015-12", 250)],
)  # fmt: skip
def test_months_of_a_period(period, months):
    assert period_months(period) == months


def test_the_hash_is_of_the_content(root, taiwan):
    assert observation_hash("twn", root) == taiwan.content_hash == observation_hash("twn")
    path = root / "observed" / "twn" / "finance.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(read(OBSERVED / "twn" / "finance.csv"))
    assert hashlib.sha256(path.read_bytes()) != hashlib.sha256((OBSERVED / "twn" / "finance.csv").read_bytes())
    assert observation_hash("twn", root) == taiwan.content_hash
    edit(root, "twn/finance.csv", 2, "note", "another note")
    assert observation_hash("twn", root) != taiwan.content_hash
    assert observation_hash("chn", root) == observation_hash("chn")


# --- cells that are wrong -------------------------------------------------------------------------------------------


WRONG = [
    ("series", "Total Revenue", ["'Total Revenue'", "snake_case"]),
    ("year", "85", ["'85'", "four digits", "Republic plus 1911"]),
    ("period", "1996/97", ["'1996/97'", "2006..2012", "one of these forms"]),
    ("period", "1996-13", ["'1996-13'", "real dates"]),
    ("period", "1997..1996", ["'1997..1996'", "start first"]),
    ("value", "", ["''", "delete the row", "a gap has no row"]),
    ("value", "NaN", ["'NaN'", "finite"]),
    ("value", "-inf", ["'-inf'", "finite"]),
    ("value", "1,018.389", ["thousands separators"]),
    ("value", "\uff11\uff18.389", ["full-width digits", "ASCII"]),
    ("value", "1.8e1", ["'1.8e1'", "plain decimal number"]),
    ("value", "=18.389", ["'=18.389'", "plain decimal number"]),
    ("qualifier", "roughly", ["'roughly'", "'about'", "note"]),
    ("unit", "NT$ billion", ["'NT$ billion'", "observed/units.csv", "convert"]),
    ("basis", " ", ["a text", "accrual"]),
    ("quality", "AA", ["'AA'", "observed/grades.csv", "data/README.md"]),
    ("source", "", ["''", "observed/sources.csv"]),
    ("source", "TW-S01, TW-S02", ["joined by '+'"]),
    ("source", "TW-S999", ["'TW-S999'", "add the source to observed/sources.csv"]),
    ("source", "TW-S01+TW-S999", ["'TW-S999'", "an id of observed/sources.csv"]),
    ("made", "2020-11-26", ["beside grade A", "with grade P, and only with it"]),
]


@pytest.fixture(scope="module")
def wrong_cells(tmp_path_factory) -> list[tuple[str, str]]:
    """Each text of WRONG put into a row of its own: where its fault is, and what one reading says of that line."""
    root = tmp_path_factory.mktemp("wrong")
    shutil.copytree(OBSERVED, root / "observed")
    first = line_of(root, "twn/finance.csv", series="balance", period="1996")
    lines = range(first, first + len(WRONG))
    for line, (column, text, _) in zip(lines, WRONG, strict=True):
        edit(root, "twn/finance.csv", line, column, text)
    faults = faults_of(root)
    assert len(faults) == len(WRONG), faults
    told = [next(fault for fault in faults if fault.startswith(f"finance.csv line {line}, ")) for line in lines]
    return [(f"finance.csv line {line}, column ", fault) for line, fault in zip(lines, told, strict=True)]


@pytest.mark.parametrize("n", range(len(WRONG)), ids=[f"{column}-{text}" for column, text, _ in WRONG])
def test_a_wrong_cell_is_told(wrong_cells, n):
    column, _, words = WRONG[n]
    where, fault = wrong_cells[n]
    assert fault.startswith(f"{where}{column}: found ")
    assert "allowed: " in fault
    assert "To mend: " in fault
    for word in words:
        assert word in fault


def test_the_year_must_be_the_last_of_the_period(root):
    line = line_of(root, "twn/finance.csv", series="revenue_sum", period="2006..2012")
    edit(root, "twn/finance.csv", line, "year", "2006")
    fault = only_fault(root)
    assert f"finance.csv line {line}, column year: found 2006 beside the period 2006..2012" in fault
    assert "2012, the last year of the period" in fault


def test_a_projection_without_its_date(root):
    line = line_of(root, "twn/official_projections.csv", series="balance", period="2018")
    edit(root, "twn/official_projections.csv", line, "made", "")
    fault = only_fault(root)
    assert f"official_projections.csv line {line}, column made: found no date beside grade P" in fault


def test_a_row_given_twice(root):
    path = root / "observed" / "twn" / "premium_rates.csv"
    rows = read(path)
    again = list(rows[3])
    again[rows[0].index("value")] = "0.05"
    write(path, [*rows, again])
    fault = only_fault(root)
    assert f"premium_rates.csv line {len(rows) + 1}: found the key general_premium_rate" in fault
    assert "of premium_rates.csv line 4 again" in fault
    assert "tell them apart by their basis" in fault


def test_a_row_given_twice_in_two_files(root):
    rows = read(root / "observed" / "twn" / "finance.csv")
    path = root / "observed" / "twn" / "funding.csv"
    write(path, [*read(path), rows[1]])
    assert any("again" in fault and "funding.csv" in fault for fault in faults_of(root))


@pytest.mark.parametrize("change", [lambda row: row[:-1], lambda row: [*row[:-1], "when"], lambda row: row[::-1]])
def test_wrong_columns(root, change):
    path = root / "observed" / "twn" / "budget.csv"
    rows = read(path)
    write(path, [change(rows[0]), *rows[1:]])
    fault = only_fault(root)
    assert fault.startswith("budget.csv line 1: found columns ")
    assert ",".join(COLUMNS) in fault


def test_a_row_of_the_wrong_width(root):
    path = root / "observed" / "twn" / "budget.csv"
    rows = read(path)
    rows[4] = [*rows[4], "more"]
    write(path, rows)
    assert "budget.csv line 5: found 12 cells; allowed: 11 cells" in only_fault(root)


def test_an_empty_file(root):
    (root / "observed" / "twn" / "budget.csv").write_text("")
    assert "budget.csv line 1: found columns 'nothing'" in only_fault(root)


@pytest.mark.parametrize("encoding", ["utf-16", "cp950", "gb18030"])
def test_another_encoding(root, encoding):
    path = root / "observed" / "sources.csv"
    text = path.read_text("utf-8").encode(encoding, errors="replace")
    path.write_bytes(text)
    fault = only_fault(root)
    assert fault.startswith("sources.csv line ")
    assert "not UTF-8" in fault
    assert "save the file again as UTF-8" in fault


def test_a_byte_order_mark_is_no_column(root):
    path = root / "observed" / "twn" / "budget.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert "budget.csv line 1: found columns" in only_fault(root)


def test_broken_quotes(root):
    path = root / "observed" / "twn" / "budget.csv"
    with path.open("a", encoding="utf-8") as file:
        file.write('x,"never closed')
    assert "found broken CSV" in only_fault(root)


def test_a_lost_file(root):
    (root / "observed" / "units.csv").unlink()
    assert "units.csv: found no readable file" in only_fault(root)


def test_all_faults_are_told_at_once(root):
    edit(root, "twn/finance.csv", 3, "value", "nan")
    edit(root, "twn/finance.csv", 5, "unit", "dollars")
    edit(root, "twn/macro.csv", 9, "quality", "Z")
    edit(root, "twn/facts.csv", 2, "source", "TW-S888")
    edit(root, "twn/facts.csv", 3, "period", "once")
    edit(root, "twn/projection_backtest.csv", 2, "later", "many")
    edit(root, "sources.csv", 2, "link", "www.example.org")
    faults = faults_of(root)
    assert len(faults) == 7
    for where in (
        "finance.csv line 3, column value",
        "finance.csv line 5, column unit",
        "macro.csv line 9, column quality",
        "facts.csv line 2, column source",
        "facts.csv line 3, column period",
        "projection_backtest.csv line 2, column later",
        "sources.csv line 2, column link",
    ):
        assert sum(fault.startswith(where) for fault in faults) == 1, where


def test_very_many_faults_are_counted(root):
    path = root / "observed" / "twn" / "macro.csv"
    rows = read(path)
    at = rows[0].index("unit")
    write(path, [rows[0], *([*row[:at], "hogsheads", *row[at + 1 :]] for row in rows[1:])])
    faults = faults_of(root)
    assert len(faults) == 101
    assert faults[-1].startswith(f"the rest: found {len(rows) - 1 - 100} more faults")


def test_a_source_without_a_title_or_twice(root):
    path = root / "observed" / "sources.csv"
    rows = read(path)
    rows[1][1] = ""
    write(path, [*rows, rows[5]])
    faults = faults_of(root)
    assert any("column title: found nothing" in fault for fault in faults)
    assert sum("an id such as TW-S01, once" in fault for fault in faults) == 2


def test_a_grade_whose_error_is_no_number(root):
    edit(root, "grades.csv", 2, "relative_error", "0.1%")
    assert "grades.csv line 2, column relative_error: found '0.1%'" in faults_of(root)[0]


def test_a_wide_table_is_checked_by_itself(root):
    edit(root, "twn/rate_scenarios_2020.csv", 2, "cost_2021_twd_bn", "inf")
    with pytest.raises(FaultyInput) as caught:
        load_table("twn", "rate_scenarios_2020", root)
    assert "rate_scenarios_2020.csv line 2, column cost_2021_twd_bn: found 'inf'" in str(caught.value)


# --- accounts -------------------------------------------------------------------------------------------------------


def test_the_declared_breaks_are_reported(taiwan, mainland):
    found = {(row.identity, row.period): row.gap for row in taiwan.breaks.itertuples()}
    assert set(found) == {("reserve_roll", "2015"), ("reserve_roll", "2021"), ("reserve_months", "2014")}
    assert found["reserve_roll", "2015"] == pytest.approx(228.871 - 123.306 - 102.9, abs=1e-9)
    assert found["reserve_months", "2014"] == pytest.approx(2.85 - 12 * 123.306 / 522.601, abs=1e-9)
    assert set(mainland.breaks["identity"]) == {"balance|all_bmi_mohrss", "insured|uebmi"}


def test_a_reserve_that_does_not_follow_from_the_balance(root):
    line = line_of(root, "twn/finance.csv", series="reserve_end", period="2002")
    edit(root, "twn/finance.csv", line, "value", "9.663")
    faults = faults_of(root)
    assert any(
        fault.startswith(f"finance.csv line {line}, reserve_end 2002: found 9.663 where the accounts give 8.663")
        and "identity reserve_roll" in fault
        and "declare 1 in breaks.csv" in fault
        for fault in faults
    )
    assert {fault.split(", ")[1].split(":")[0] for fault in faults} == {
        "reserve_end 2002", "reserve_end 2003", "reserve_months 2002",
    }  # fmt: skip


def test_a_balance_that_is_not_revenue_less_cost(root):
    line = line_of(root, "twn/finance.csv", series="revenue", period="2001")
    edit(root, "twn/finance.csv", line, "value", "286.147")  # three figures, each rounded by 0.0005, may do this
    assert len(load_observations("twn", root).breaks) == 3
    edit(root, "twn/finance.csv", line, "value", "286.156")
    assert "balance 2001: found -15.642 where the accounts give -15.632" in only_fault(root)


def test_months_may_be_rounded_or_cut_off_but_no_more(root):
    line = line_of(root, "twn/finance.csv", series="reserve_months", period="1998")
    for text in ("2.74", "2.75"):
        edit(root, "twn/finance.csv", line, "value", text)
        assert load_observations("twn", root).place == "twn"
    for text in ("2.73", "2.76"):
        edit(root, "twn/finance.csv", line, "value", text)
        assert f"reserve_months 1998: found {text} where the accounts give 2.74767" in only_fault(root)


def test_projections_are_held_to_their_own_accounts(root):
    line = line_of(root, "twn/official_projections.csv", series="revenue|rate_0.0517", period="2021")
    edit(root, "twn/official_projections.csv", line, "value", "711.5")
    assert "balance|rate_0.0517 2021: found -21.6 where the accounts give -11.6" in only_fault(root)


def test_an_undeclared_break_is_refused(root):
    path = root / "observed" / "twn" / "breaks.csv"
    rows = read(path)
    write(path, [row for row in rows if row[1] != "2015"])
    fault = only_fault(root)
    assert "reserve_end 2015: found 228.871 where the accounts give 226.206" in fault
    assert "declare 2.665 in breaks.csv" in fault


def test_a_declared_break_that_is_gone_is_refused(root):
    line = line_of(root, "twn/finance.csv", series="reserve_months", period="2014")
    edit(root, "twn/finance.csv", line, "value", "2.83")
    fault = only_fault(root)
    assert "found a declared break of reserve_months in 2014, but the figures now agree" in fault
    assert "delete the declaration" in fault


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("size", "1.5", "the gap in the figures, 2.665 TWD bn"),
        ("size", "much", "a number in TWD bn"),
        ("unit", "months", "a number in TWD bn"),
        ("identity", "reserve", "a break of figures that are not there"),
        ("period", "2003", "but the figures now agree"),
        ("source", "TW-S01", "a break of figures that are not there"),
    ],
)
def test_a_declaration_must_fit(root, column, text, words):
    line = line_of(root, "twn/breaks.csv", identity="reserve_roll", period="2015")
    edit(root, "twn/breaks.csv", line, column, text)
    if column == "period":
        edit(root, "twn/breaks.csv", line, "source", "TW-S01")
    assert any(f"breaks.csv line {line}" in fault and words in fault for fault in faults_of(root))


def test_the_mainland_is_held_to_its_accounts(root):
    line = line_of(root, "chn/uebmi.csv", series="insured_active|uebmi", period="2003")
    edit(root, "chn/uebmi.csv", line, "value", "80.749")
    assert "insured_total|uebmi 2003: found 109.017 where the accounts give 110.017" in only_fault(root, "chn")


# --- any cell -------------------------------------------------------------------------------------------------------

BROKEN: dict[str, Callable[[str], str]] = {
    "series": lambda text: text.upper(),
    "year": lambda text: str(int(text) + 1),
    "period": lambda text: text.replace("2", "\uff12") if "2" in text else text + "-00",
    "value": lambda text: text + "%",
    "qualifier": lambda text: text + "?",
    "unit": lambda text: text + "s of old",
    "basis": lambda text: "",
    "quality": lambda text: text.lower(),
    "source": lambda text: text.replace("-", "-Z"),
    "made": lambda text: "" if text else "2020",
}
CELLS = [
    (f"{place}/{path.name}", line, column)
    for place in PLACES
    for path in sorted((OBSERVED / place).glob("*.csv"))
    if path.name not in SHAPES
    for line in range(2, len(read(path)) + 1)
    for column in BROKEN
]


# Not shrunk: the message names the cell, and every try reads the tables anew.
@settings(max_examples=3, phases=(Phase.reuse, Phase.generate), suppress_health_check=[HealthCheck.too_slow])
@given(cells=st.lists(st.sampled_from(CELLS), min_size=20, max_size=30, unique_by=lambda cell: cell[:2]))
def test_any_broken_cell_is_found(cells):
    """Cells of many rows broken at once: the fault of each is told at its place, whatever the others are."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(OBSERVED, root / "observed")
        texts = {name: read(root / "observed" / name) for name, _, _ in cells}
        for name, line, column in cells:
            rows = texts[name]
            at = rows[0].index(column)
            rows[line - 1][at] = BROKEN[column](rows[line - 1][at])
        for name, rows in texts.items():
            write(root / "observed" / name, rows)
        told = [fault for place in {name[:3] for name in texts} for fault in faults_of(root, place)]
    for name, line, column in cells:
        start = f"{name[4:]} line {line}, column {column}: found "
        assert any(fault.startswith(start) for fault in told), (start, told)


def test_every_number_of_the_accrual_table_is_guarded(taiwan):
    """Shift each figure of 1996-2004 by ten units of its last place: an identity must notice every one."""
    names = ("revenue", "cost", "balance", "reserve_end", "reserve_months")
    identities = pd.read_csv(OBSERVED / "twn" / "identities.csv", dtype=str, keep_default_na=False)
    table = taiwan.table[taiwan.table["source"] == "TW-S01"].copy()
    table["digits"] = [2 if name == "reserve_months" else 3 for name in table["series"]]
    rows = table[table["series"].isin(names) & table["year"].between(1996, 2004)]
    assert len(rows) == 45
    assert not any(gap.open for gap in gaps_of(table, identities))
    unnoticed = []
    for index, row in rows.iterrows():
        shifted = table.copy()
        shifted.loc[index, "value"] = row["value"] + 10.0 ** (1 - row["digits"])
        if not any(gap.open for gap in gaps_of(shifted, identities)):
            unnoticed.append((row["series"], row["year"]))
    assert unnoticed == []


def test_frames_are_texts_and_numbers(taiwan):
    assert pd.api.types.is_integer_dtype(taiwan.table["year"])
    assert pd.api.types.is_float_dtype(taiwan.table["value"])
    assert pd.api.types.is_integer_dtype(taiwan.table["n_months"])


def test_a_changed_file_is_read_anew_and_a_changed_frame_stays_the_callers(root):
    first = load_observations("twn", root)
    first.table.loc[:, "value"] = 0.0
    line = line_of(root, "twn/finance.csv", series="reserve_months", period="1998")
    found = []
    for text in ("2.74", "2.75"):
        edit(root, "twn/finance.csv", line, "value", text)
        found.append(load_observations("twn", root).best("reserve_months").set_index("period").loc["1998", "value"])
    assert found == [2.74, 2.75]
