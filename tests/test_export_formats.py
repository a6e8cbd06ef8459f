"""Workbook, NetCDF and JSON: typed, explained, with no live formula, and the same figures as the tables."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import load_workbook

from forecaster import export
from forecaster.errors import ForecasterError
from forecaster.export import workbook as workbook_room
from forecaster.export.workbook import CUT, LONGEST_TEXT
from forecaster.manifest import run_manifest
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from funds import random_basis

LAW = Policy(load_scheme("tw_nhi_2g"))
REFORM = LAW.reform(Reform.parse(["general_premium_rate=0.0557@2027-01-01"]))


@pytest.fixture(scope="module")
def result():
    basis = random_basis(60, 6)
    scenarios = export.run_scenarios(basis, LAW, REFORM)
    return scenarios, run_manifest(basis, LAW, REFORM)


@pytest.fixture(scope="module")
def workbook(result) -> bytes:
    scenarios, manifest = result
    record = {"status": "stale", "warnings": ["=STALE CERTIFICATE"], "record": ["a", "b"], "certificate": None}
    return export.projection_workbook(scenarios, [], {**manifest, "backtest": record})


def sheet(content: bytes, name: str) -> list[list[object]]:
    return load_workbook(io.BytesIO(content)).get_sheet_by_name(name).to_python()


def parts(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()}


def test_the_workbook_holds_the_tables_figures(result, workbook):
    scenarios, _ = result
    for name, table in export.forecast_tables(scenarios).items():
        header, *rows = sheet(workbook, name)
        assert header == [*table.columns, "warning"]
        for column in table.columns:
            cells = [row[header.index(column)] for row in rows]
            if pd.api.types.is_numeric_dtype(table[column]):
                np.testing.assert_allclose(np.array(cells, dtype=float), table[column].to_numpy(), rtol=1e-14, atol=0)
            else:
                assert cells == table[column].astype(str).tolist()


def test_the_workbook_explains_itself(result, workbook):
    _, manifest = result
    names = load_workbook(io.BytesIO(workbook)).sheet_names
    assert names[0] == "about"
    assert names[-3:] == ["columns", "lines", "manifest"]
    assert sheet(workbook, "about")[0] == ["Warning", "=STALE CERTIFICATE"]
    assert ["run_hash", manifest["run_hash"]] in sheet(workbook, "manifest")
    found = parts(workbook)
    frozen = [text for name, text in found.items() if name.startswith("xl/worksheets/sheet")]
    # Every sheet but the first holds its header in place.
    assert sum('state="frozen"' in text and 'topLeftCell="A2"' in text for text in frozen) == len(names) - 1
    notes = "".join(text for name, text in found.items() if name.startswith("xl/comments"))
    assert "share of draws, 0 to 1" in notes


def test_the_same_result_gives_the_same_bytes(result):
    scenarios, manifest = result
    assert export.projection_workbook(scenarios, [], manifest) == export.projection_workbook(scenarios, [], manifest)


@settings(max_examples=20)
@given(
    st.lists(st.one_of(st.text(max_size=30), st.sampled_from(["=1+1", "+1", "-1", "@A1", "\t=1", "=cmd|' /C x'!A0"])))
)
def test_no_text_is_ever_a_formula_or_a_link(texts):
    more = ["https://example.org", "1234", "TRUE", *texts]
    content = export.workbook_bytes({"t": pd.DataFrame({"text": more, "x": 1.5})}, about={}, dictionary=False)
    pages = "".join(text for name, text in parts(content).items() if name.startswith("xl/worksheets/sheet"))
    assert "<f>" not in pages
    assert "<hyperlink" not in pages
    # Every cell of the column is of a text type: a shared string.
    assert len(re.findall(r'<c r="A\d+"[^>]* t="s"', pages.partition("<c")[1] + pages.partition("<c")[2])) >= len(more)
    assert {row[1] for row in sheet(content, "t")[1:]} == {1.5}


def test_odd_numbers_and_long_texts():
    table = pd.DataFrame({"x": [np.nan, np.inf, -np.inf, 0.1 + 0.2], "text": ["a" * 40_000, "\x01", "", "b"]})
    rows = sheet(export.workbook_bytes({"t": table}, about={}, dictionary=False), "t")[1:]
    assert [row[0] for row in rows] == ["", "infinite", "-infinite", pytest.approx(0.1 + 0.2, rel=1e-15)]
    assert len(rows[0][1]) == LONGEST_TEXT
    assert rows[0][1].endswith(CUT)


def test_netcdf_holds_every_draw(result, tmp_path):
    scenarios, manifest = result
    path = tmp_path / "draws.nc"
    path.write_bytes(export.netcdf_bytes(scenarios, manifest))
    with xr.open_dataset(path, engine="scipy") as found:
        assert found["reserve"].dims == ("scenario", "draw", "year")
        np.testing.assert_array_equal(found["reserve"].sel(scenario="reform").values.T, scenarios[1].projection.closing)
        assert found["reserve"].attrs["unit"] == "TWD bn"
        assert found["outgo"].attrs["unit"] == "TWD bn per year"
        assert found.attrs["run_hash"] == manifest["run_hash"]
        assert "general_premium_rate=0.0557@2027-01-01" in found.attrs["policies"]


def test_zarr_holds_every_draw_in_one_file_of_fixed_bytes(result, tmp_path):
    scenarios, manifest = result
    path = tmp_path / "draws.zarr.zip"
    path.write_bytes(export.zarr_bytes(scenarios, manifest))
    expected = export.draws_dataset(scenarios, manifest)
    # As docs/python.md has it: the file's name, and that it is a ZIP file.
    with xr.open_zarr(f"zip::{path}") as found:
        xr.testing.assert_identical(found.load(), expected)
    assert export.zarr_bytes(scenarios, manifest) == path.read_bytes()


def test_a_table_that_no_sheet_can_hold_is_refused(monkeypatch):
    monkeypatch.setattr(workbook_room, "MOST_ROWS", 2)
    with pytest.raises(ForecasterError, match="table t has 3 rows, and a sheet holds 2; take CSV or Parquet"):
        export.workbook_bytes({"t": pd.DataFrame({"x": [1.0, 2.0, 3.0]})}, about={}, dictionary=False)


def test_json_is_strict_and_holds_the_tables(result):
    scenarios, manifest = result
    tables = {**export.forecast_tables(scenarios), "gap": pd.DataFrame({"x": [np.nan]})}
    found = json.loads(export.json_bytes(tables, manifest), parse_constant=pytest.fail)
    assert found["manifest"]["run_hash"] == manifest["run_hash"]
    assert found["tables"]["gap"] == [{"x": None}]
    first = found["tables"]["forecast"][0]
    assert first["mean"] == tables["forecast"]["mean"].iloc[0]
