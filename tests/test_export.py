"""Exported tables agree with the projections, are the same bytes each time, and are written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster import export
from forecaster.attribution import SPENDING_DRIVERS, attribute
from forecaster.engine import INCOME_LINES
from forecaster.errors import ForecasterError
from forecaster.export import folder
from forecaster.hashing import canonical
from forecaster.manifest import code_hash, manifest_bytes, run_manifest
from forecaster.measures import valuation
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solve import Required
from funds import random_basis

# Every lever is off its neutral value, so that no line of the account is zero unseen.
LEVERS = (
    "general_premium_rate=0.0557@2027-01-01",
    "supplementary_premium_rate=0.025@2027-07-01",
    "supplementary_ceiling=50000000@2028-01-01",
    "supplementary_threshold.dividends=10000@2028-01-01",
    "government_injection=20@2027-01-01",
    "government_floor_share=0.45@2027-01-01",
    "average_dependants=0.7@2027-01-01",
    "budget_growth_adjustment=-0.005@2028-01-01",
    "copayment_reform_yield=5@2027-01-01",
)
LAW = Policy(load_scheme("tw_nhi_2g"))
FIT = {"hash": "a", "seed": 1, "quick": False}
FILES = {"manifest.json": b"{}", "a.csv": b"x\n1\n"}


@pytest.fixture(scope="module")
def scenarios():
    return export.run_scenarios(random_basis(120, 12), LAW, LAW.reform(Reform.parse(LEVERS)))


@pytest.fixture(scope="module")
def forecast(scenarios):
    return export.forecast_table(scenarios)


def line(forecast: pd.DataFrame, scenario: str, name: str, column: str = "mean") -> np.ndarray:
    rows = forecast[(forecast["scenario"] == scenario) & (forecast["line"] == name)]
    assert rows["year"].tolist() == list(range(2026, 2038))
    return rows[column].to_numpy()


# --- the tables -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scenario", ["baseline", "reform", "difference"])
def test_means_keep_the_account(forecast, scenario):
    def mean(name):
        return line(forecast, scenario, name)

    np.testing.assert_allclose(mean("total_income"), sum(mean(name) for name in INCOME_LINES), rtol=0, atol=1e-9)
    closing = mean("opening_reserve") + mean("total_income") - mean("outgo")
    np.testing.assert_allclose(mean("reserve"), closing, rtol=0, atol=1e-8)
    np.testing.assert_allclose(mean("balance"), mean("total_income") - mean("outgo"), rtol=0, atol=1e-8)
    np.testing.assert_allclose(mean("reserve")[:-1], mean("opening_reserve")[1:], rtol=0, atol=1e-9)
    payers = [name for name in forecast["line"].unique() if name.startswith("paid_by.")]
    assert len(payers) == 5
    np.testing.assert_allclose(sum(mean(name) for name in payers), mean("total_income"), rtol=0, atol=1e-8)
    if scenario != "baseline":
        assert all(np.abs(mean(name)[2:]).min() > 1e-6 for name in INCOME_LINES if name != "earmarked_and_other")


def test_the_difference_is_taken_draw_by_draw_and_begins_with_the_reform(scenarios, forecast):
    law, reform = (scenario.projection.closing for scenario in scenarios)
    expected = np.quantile(reform - law, 0.9, axis=1)
    np.testing.assert_allclose(line(forecast, "difference", "reserve", "q0.9"), expected, rtol=1e-12, atol=1e-9)
    first = forecast[(forecast["scenario"] == "difference") & (forecast["year"] == 2026)]
    # Zero to the last bits: a year more or less in a matrix product changes the order of its sums.
    np.testing.assert_allclose(first[["mean", *export.QUANTILE_COLUMNS]].to_numpy(), 0.0, atol=1e-11)


def test_quantiles_are_named_for_what_they_are_and_do_not_cross(scenarios, forecast):
    assert export.QUANTILE_COLUMNS == ("q0.025", "q0.1", "q0.25", "q0.5", "q0.75", "q0.9", "q0.975")
    assert list(forecast.columns) == ["scenario", "line", "year", "unit", "mean", *export.QUANTILE_COLUMNS]
    assert (np.diff(forecast[list(export.QUANTILE_COLUMNS)].to_numpy(), axis=1) >= 0.0).all()
    months = scenarios[0].projection.reserve_months
    np.testing.assert_allclose(
        line(forecast, "baseline", "reserve_months", "q0.025"), np.quantile(months, 0.025, axis=1)
    )


def test_rates_in_the_table_are_the_policys(forecast):
    assert line(forecast, "baseline", "general_premium_rate")[0] == pytest.approx(0.0517)
    assert line(forecast, "reform", "general_premium_rate")[1] == pytest.approx(0.0557)
    assert line(forecast, "reform", "supplementary_premium_rate")[2] == pytest.approx(0.025)


def test_fund_ratio_worst_tenth_and_the_parts_of_other_income(scenarios, forecast):
    result = scenarios[0].projection
    ratio = line(forecast, "baseline", "fund_ratio")
    np.testing.assert_allclose(ratio, (result.opening / result.outgo).mean(axis=1))
    worst = export.probability_table(scenarios[:1])["reserve_worst_tenth"]
    count = result.closing.shape[1] // 10
    np.testing.assert_allclose(worst, np.sort(result.closing, axis=1)[:, :count].mean(axis=1))
    assert "tobacco_surcharge" not in set(forecast["line"])
    told = replace(
        scenarios[0].basis,
        other_income=dict(
            zip(("tobacco_surcharge", "miscellaneous"), scenarios[0].basis.other_income.values(), strict=True)
        ),
    )
    values = export.line_values(replace(scenarios[0], basis=told))
    np.testing.assert_allclose(values["tobacco_surcharge"] + values["miscellaneous"], values["earmarked_and_other"])


def test_units_tell_flow_from_stock(forecast):
    units = forecast.drop_duplicates("line").set_index("line")["unit"]
    assert units["outgo"] == "TWD bn per year"
    assert units["reserve"] == "TWD bn"
    assert units["reserve_months"] == "months"
    assert units["pay_as_you_go_rate"] == "share"


def test_probabilities_count_draws(scenarios):
    table = export.probability_table(scenarios)
    reform = table[table["scenario"] == "reform"]
    result = scenarios[1].projection
    below = result.reserve_months < 1.0
    np.testing.assert_array_equal(reform["below_floor_in_year"], below.mean(axis=1))
    np.testing.assert_allclose(reform["below_floor_by_year"], np.maximum.accumulate(below, axis=0).mean(axis=1))
    np.testing.assert_array_equal(reform["depleted_in_year"], (result.closing < 0.0).mean(axis=1))
    assert (reform["floor_months"] == 1.0).all()
    assert (reform["below_floor_by_year"] >= reform["depleted_by_year"]).all()


def test_the_chance_that_the_limit_binds_counts_draws_of_a_review():
    reviewed = LAW.reform(Reform.parse(["yearly_review=on@2026-01-01"]))
    law, reform = export.run_scenarios(random_basis(200, 25, seed=3), LAW, reviewed)
    table = export.probability_table([law, reform]).set_index("scenario")
    assert (table.loc["baseline", ["rate_limit_by_year", "rate_limit_in_year"]] == 0.0).all(axis=None)
    binds = reform.projection.limit_binds
    np.testing.assert_array_equal(table.loc["reform", "rate_limit_in_year"], binds.mean(axis=1))
    ever = np.maximum.accumulate(binds, axis=0).mean(axis=1)
    np.testing.assert_allclose(table.loc["reform", "rate_limit_by_year"], ever)
    assert ever[-1] > 0.0


def test_the_valuation_table_holds_every_measure_of_every_period():
    scenarios = export.run_scenarios(random_basis(60, 51, seed=2), LAW, LAW)
    table = export.valuation_table(scenarios)
    assert list(table["period"].unique()) == [25, 50]
    found = valuation(scenarios[0].basis, LAW, scenarios[0].projection, 50)
    rows = table[(table["scenario"] == "baseline") & (table["period"] == 50)].set_index("measure")
    assert rows.loc["balance", "mean"] == pytest.approx(found.balance.mean())
    assert rows.loc["balance", "mean"] == pytest.approx(rows.loc["income_rate", "mean"] - rows.loc["cost_rate", "mean"])
    assert rows.loc["level_rate", "q0.9"] == pytest.approx(np.quantile(found.level_rate, 0.9))
    assert rows.loc["unfunded_obligation", "unit"] == "TWD bn"


def test_the_spending_table_sums_to_the_growth_of_outgo():
    basis = random_basis(40, 6)
    assert export.spending_table(export.run_scenarios(basis, LAW)).empty
    assert "spending" not in export.forecast_tables(export.run_scenarios(basis, LAW))
    ones = np.ones_like(basis.outlay)
    known = replace(basis, drivers={"population": ones, "need_index": ones, "gdp_nominal": basis.drivers["gdp"]})
    scenarios = export.run_scenarios(known, LAW)
    table = export.forecast_tables(scenarios)["spending"].set_index(["driver", "year"])["mean"]
    outgo = scenarios[0].projection.outgo
    np.testing.assert_allclose(table["all"], (outgo - outgo[0]).mean(axis=1), atol=1e-9)
    assert table["ageing"].abs().max() == 0.0
    assert table["income"].iloc[-1] + table["excess"].iloc[-1] == pytest.approx(table["all"].iloc[-1])


def test_the_floor_is_the_laws_not_the_codes():
    reform = LAW.reform(Reform.parse(["reserve_floor_months=2@2026-01-01"]))
    (scenario,) = export.run_scenarios(random_basis(50, 4), reform)
    table = export.probability_table([scenario])
    assert (table["floor_months"] == 2.0).all()
    share = (scenario.projection.reserve_months[0] < 2.0).mean()
    assert table["below_floor_in_year"].iloc[0] == share


def test_first_years_sum_to_one_with_those_not_within_the_horizon(scenarios):
    table = export.first_year_table(scenarios)
    sums = table.groupby(["scenario", "event"])["probability"].sum()
    assert len(sums) == 6
    np.testing.assert_allclose(sums, 1.0)
    assert (table["year"] == export.NOT_WITHIN).sum() == 6


def test_required_rates_above_the_limit_say_so():
    within = Required(0.05416, 0.0542, 0.06, "Art. 18", 0.5)
    above = Required(0.0712, None, 0.06, "Art. 18", 0.1)
    questions = [export.RateQuestion("baseline", 1.0, 2030, "2027-01-01", 0.5, answer) for answer in (within, above)]
    table = export.required_rate_table(questions)
    assert table["answer"].tolist() == ["5.42%", "above the legal limit of 6%"]
    assert table["rounded_rate"].isna().tolist() == [False, True]


def test_the_data_dictionary_names_every_column_and_line(scenarios, forecast):
    answer = Required(0.05, 0.05, 0.06, "Art. 18", 0.5)
    tables = export.forecast_tables(scenarios, [export.RateQuestion("baseline", 1.0, 2030, "2027-01-01", 0.5, answer)])
    known = replace(
        scenarios[0].basis, drivers=dict.fromkeys(SPENDING_DRIVERS, np.ones_like(scenarios[0].basis.outlay))
    )
    tables["spending"] = export.spending_table(export.run_scenarios(known, LAW))
    parts = attribute(scenarios[0].basis, LAW, scenarios[1].policy)
    tables["attribution"] = export.attribution_table(parts, scenarios[0].basis.years, "TWD")
    written = {(name, column) for name, table in tables.items() for column in export.marked(table, ["why"]).columns}
    entries = export.column_table()
    entries = entries[entries["table"].isin(tables)]  # the other tables stand in tests of their own
    assert set(tables) <= set(entries["table"])
    assert set(zip(entries["table"], entries["column"], strict=True)) == written
    assert (entries["meaning"] != "").all()
    unknown = {"point_value", "tobacco_surcharge", "lottery", "late_fees"}  # which this fund has not
    known = [line for line in export.line_table("TWD")["line"] if line not in unknown]
    assert known == forecast["line"].drop_duplicates().tolist()


# --- bytes ------------------------------------------------------------------------------------------------------------
def test_csv_and_parquet_hold_the_same_cells_in_full_precision(forecast):
    from_csv = pd.read_csv(io.BytesIO(export.csv_bytes(forecast)))
    parquet = pq.read_table(io.BytesIO(export.parquet_bytes(forecast, "abc")))
    pd.testing.assert_frame_equal(from_csv, forecast, check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(parquet.to_pandas(), forecast, check_exact=True, check_dtype=False)
    assert parquet.schema.metadata[b"run_hash"] == b"abc"


def test_the_same_inputs_give_the_same_bytes():
    def run():
        basis = random_basis(60, 6, seed=3)
        found = export.run_scenarios(basis, LAW, LAW.reform(Reform.parse(LEVERS)))
        manifest = run_manifest(basis, LAW, found[1].policy, {**FIT, "seed": 3})
        return export.table_files(export.forecast_tables(found), manifest["run_hash"]), manifest_bytes(manifest)

    assert run() == run()


@given(st.text(max_size=30))
def test_no_text_becomes_a_formula(text):
    safe = export.neutralised(text)
    assert safe.lstrip()[:1] not in {"=", "+", "-", "@"}
    assert safe in {text, f"'{text}"}


def test_formulas_are_neutralised_in_both_forms_and_numbers_are_not_touched():
    table = pd.DataFrame({"text": ["=1+1", "@cmd", "fine", " -2", "a=b"], "number": [-1.5, 0.0, 2.0, -3.0, 1e-20]})
    rows = export.csv_bytes(table).decode().splitlines()
    assert rows == ["text,number", "'=1+1,-1.5", "'@cmd,0.0", "fine,2.0", "' -2,-3.0", "a=b,1e-20"]
    assert pq.read_table(io.BytesIO(export.parquet_bytes(table)))["text"][0].as_py() == "'=1+1"


# --- the manifest -----------------------------------------------------------------------------------------------------
def test_the_manifest_moves_with_every_input():
    basis, reform = random_basis(20, 3), LAW.reform(Reform.parse(LEVERS[:1]))
    hashes = [
        run_manifest(basis, LAW)["run_hash"],
        run_manifest(basis, LAW, reform)["run_hash"],
        run_manifest(random_basis(20, 3, seed=1), LAW)["run_hash"],
        run_manifest(basis, reform)["run_hash"],
        run_manifest(basis, LAW, None, FIT)["run_hash"],
        run_manifest(basis, LAW, None, {**FIT, "hash": "b"})["run_hash"],
    ]
    assert len(set(hashes)) == len(hashes)
    assert run_manifest(random_basis(20, 3), LAW)["run_hash"] == hashes[0]


def test_the_manifest_names_no_machine(repository):
    text = manifest_bytes(run_manifest(random_basis(20, 3), LAW, None, FIT)).decode()
    assert str(repository) not in text
    assert str(Path.home()) not in text
    assert f'"sha256": "{code_hash()}"' in text
    assert canonical({"b": 1, "a": "ä"}) == '{"a":"ä","b":1}'.encode()


# --- the folder -------------------------------------------------------------------------------------------------------
def left_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_writes_all_files_and_makes_missing_parents(tmp_path):
    export.write_folder(tmp_path / "a" / "b", FILES)
    assert {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").iterdir()} == FILES
    assert left_in(tmp_path / "a") == ["b"]
    assert (tmp_path / "a" / "b").stat().st_mode & 0o055 == 0o055 & ~folder._umask()


def test_refuses_what_exists_and_replaces_an_earlier_result_by_force(tmp_path):
    target = tmp_path / "out"
    export.write_folder(target, FILES)
    with pytest.raises(ForecasterError, match=r"exists already.*--force"):
        export.write_folder(target, FILES)
    export.write_folder(target, {"manifest.json": b"{1}"}, force=True)
    assert left_in(target) == ["manifest.json"]
    assert left_in(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("name", "words"), [("letter.txt", "no manifest.json"), ("manifest.json/x", "none of the tables")]
)
def test_force_never_replaces_a_folder_that_holds_something_else(tmp_path, name, words):
    target = tmp_path / "out"
    (target / name).parent.mkdir(parents=True)
    (target / name).write_text("mine", "utf-8")
    with pytest.raises(ForecasterError, match=words):
        export.write_folder(target, FILES, force=True)
    assert (target / name).read_text("utf-8") == "mine"


def test_force_does_not_replace_a_file(tmp_path):
    (tmp_path / "out").write_text("mine", "utf-8")
    with pytest.raises(ForecasterError, match="is no folder"):
        export.write_folder(tmp_path / "out", FILES, force=True)


class Broken(Exception):
    pass


@pytest.mark.parametrize("broken", [Broken(), KeyboardInterrupt()], ids=["error", "stopped"])
@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("at", range(4))
def test_a_break_while_writing_leaves_the_old_state(tmp_path, monkeypatch, broken, earlier, at):
    """Broken at each flush to disk: of the first file, the second, the folder, and of nothing more."""
    target = tmp_path / "new" / "out"
    if earlier:
        export.write_folder(target, {"manifest.json": b"old"})
    calls, real = [], os.fsync

    def flush(handle):
        calls.append(handle)
        if len(calls) == at + 1 and at < 3:
            raise broken
        real(handle)

    monkeypatch.setattr(os, "fsync", flush)
    if at < 3:
        with pytest.raises(type(broken)):
            export.write_folder(target, FILES, force=True)
        expected = ["out"] if earlier else []
        assert (left_in(target.parent) if earlier else left_in(tmp_path)) == expected
        assert not earlier or (target / "manifest.json").read_bytes() == b"old"
    else:
        export.write_folder(target, FILES, force=True)
        assert left_in(target) == sorted(FILES)
        assert left_in(target.parent) == ["out"]


def test_a_failing_last_rename_puts_the_earlier_result_back(tmp_path, monkeypatch):
    target = tmp_path / "out"
    export.write_folder(target, {"manifest.json": b"old"})
    real = Path.rename

    def rename(self, goal):
        if self.suffix == ".part":
            raise OSError(errno.EIO, "Input/output error")
        return real(self, goal)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ForecasterError, match="Input/output error"):
        export.write_folder(target, FILES, force=True)
    assert (target / "manifest.json").read_bytes() == b"old"
    assert left_in(tmp_path) == ["out"]


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.ENOSPC, "No space left on device")]
)
def test_what_the_disk_refuses_is_one_line(tmp_path, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(folder.tempfile, "mkdtemp", refuse)
    with pytest.raises(ForecasterError) as told:
        export.write_folder(tmp_path / "out", FILES)
    assert str(told.value) == f"cannot write {tmp_path / 'out'}: {error.strerror}; nothing was left there"
    assert left_in(tmp_path) == []


def test_a_file_in_the_place_of_a_parent_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(ForecasterError, match="cannot write"):
        export.write_folder(tmp_path / "file" / "out", FILES)
    assert left_in(tmp_path) == ["file"]
