"""The record of the population's bands: what it claims, and that it was made from what stands here."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.demography.tables import PLACES, load_wpp
from forecaster.resources import data_dir
from forecaster_models.demography_record import CASE_COLUMNS, record_inputs, summary

FOLDER = data_dir() / "backtests" / "demography"


def stored(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv")


def test_the_record_was_made_from_these_figures_priors_and_models() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["inputs"] == record_inputs(), "make it again: forecaster people --again"
    assert manifest["worst_rhat"] <= 1.01


def test_at_25_years_no_band_is_narrower_than_the_united_nations_own() -> None:
    wide = stored("widths")
    ruled = wide[(wide["ahead"] == 25) & wide["quantity"].isin(["tfr", "e0 m", "e0 f", "people"])]
    assert len(ruled) == 4 * len(PLACES)
    assert ruled["ratio80"].min() >= 1.0
    taiwan = ruled[(ruled["place"] == "TWN") & (ruled["quantity"] == "people")].iloc[0]
    ratio = (taiwan["high80"] - taiwan["low80"]) / (taiwan["wpp_high80"] - taiwan["wpp_low80"])
    assert ratio == pytest.approx(taiwan["ratio80"], rel=1e-4)


def test_bands_from_earlier_revisions_did_better_on_fertility_than_those_revisions() -> None:
    found = summary(stored("cases")).set_index(["vintages", "quantity"])
    pd.testing.assert_frame_equal(found.reset_index(), stored("summary"), rtol=1e-3)
    tfr = found.loc[("2012-2019", "tfr")]
    assert (tfr["n"], round(tfr["wpp_held80"], 2), round(tfr["wpp_held95"], 2)) == (56, 0.38, 0.52)
    assert tfr["held80"] > tfr["wpp_held80"] + 0.2
    assert tfr["held95"] > tfr["wpp_held95"] + 0.2


def test_what_came_is_what_the_tables_say() -> None:
    cases = stored("cases")
    row = cases[(cases["place"] == "JPN") & (cases["quantity"] == "people 65+") & (cases["time"] == "2020")].iloc[0]
    tables = load_wpp("JPN")
    assert row["came"] == pytest.approx(
        tables.population_1july[tables.year_slice(2020, 2020)][0][:, 65:].sum(), rel=1e-4
    )
    assert not cases.duplicated(["vintage", "place", "quantity", "time"]).any()


def test_held_counts_both_ends_and_leaves_out_what_is_not_published() -> None:
    bands = {"low80": 1.0, "high80": 2.0, "low95": 0.5, "high95": 3.0}
    nothing = {name: np.nan for name in CASE_COLUMNS if name.startswith("wpp_")}
    rows = [
        {"vintage": "WPP2012", "quantity": "tfr", "came": came, "median": 1.5, **bands, **nothing}
        for came in (1.0, 2.0, 2.5, 4.0)
    ]
    found = summary(pd.DataFrame(rows)).iloc[0]
    assert (found["n"], found["held80"], found["held95"]) == (4, 0.5, 0.75)
    assert np.isnan(found["wpp_held80"])
    assert found["error"] == pytest.approx(np.abs(np.log(1.5 / np.array([1.0, 2.0, 2.5, 4.0]))).mean())


def test_the_command_shows_it() -> None:
    answer = CliRunner().invoke(app, ["people", "twn", "--json"])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.output)
    assert {row["place"] for row in told["widths"]} == {"TWN"}
    assert {row["vintages"] for row in told["held"]} == {"2012-2019", "2022"}
    plain = CliRunner().invoke(app, ["people"])
    assert "the narrowest of seven places" in plain.output
