"""Tables as bytes, and the data dictionary that goes with them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecaster.export.tables import LINES, NOT_WITHIN, QUANTILE_COLUMNS
from forecaster.solvency import QUANTILES

WARNING = "warning"
_WARNING_MEANING = "there only when the backtest gives cause: the bands failed, or were never or differently tested"
_SHARE = "share of draws, 0 to 1"


def _quantile_rows(table: str, note: str = "") -> tuple[tuple[str, str, str, str], ...]:
    """Rows of the dictionary for a table's quantile columns."""
    pairs = zip(QUANTILE_COLUMNS, QUANTILES, strict=True)
    return tuple((table, name, "see unit", f"{p:g} quantile over the draws{note}") for name, p in pairs)


def _sweep_rows(name: str, unit: str, what: str) -> tuple[tuple[str, str, str, str], ...]:
    """Rows of the dictionary for one measure of a sweep, which has three quantiles."""
    return tuple(("sweep", f"{name}_q{p:g}", unit, f"{p:g} quantile over the draws of {what}") for p in (0.1, 0.5, 0.9))


_COLUMNS = (
    (
        "forecast",
        "scenario",
        "",
        "baseline = the law; reform = the law with the changes; difference = reform less baseline",
    ),
    ("forecast", "line", "", "line of the account, explained in lines.csv"),
    (
        "forecast",
        "year",
        "calendar year",
        "year of the flow; the stock stands at its end unless lines.csv says otherwise",
    ),
    ("forecast", "unit", "", "unit of mean and quantiles; money is nominal, bn = thousand millions, m = millions"),
    ("forecast", "mean", "see unit", "mean over the draws"),
    *_quantile_rows("forecast", ", each year and line by itself"),
    ("probabilities", "scenario", "", "baseline or reform"),
    ("probabilities", "year", "calendar year", "the chance is that at the end of this year"),
    ("probabilities", "floor_months", "months", "least reserve wanted by the law, in months of the year's outgo"),
    (
        "probabilities",
        "below_floor_by_year",
        _SHARE,
        "the reserve has ended this year or an earlier one below the floor",
    ),
    ("probabilities", "below_floor_in_year", _SHARE, "the reserve ends this very year below the floor"),
    ("probabilities", "depleted_by_year", _SHARE, "the reserve has ended this year or an earlier one below zero"),
    ("probabilities", "depleted_in_year", _SHARE, "the reserve ends this very year below zero"),
    ("probabilities", "deficit_by_year", _SHARE, "outgo has exceeded income in this year or an earlier one"),
    ("probabilities", "deficit_in_year", _SHARE, "outgo exceeds income in this very year"),
    (
        "probabilities",
        "rate_limit_by_year",
        _SHARE,
        "the yearly review has wanted a higher general rate than the law allows in this year or an earlier one",
    ),
    ("probabilities", "rate_limit_in_year", _SHARE, "the yearly review wants a higher rate in this very year"),
    (
        "probabilities",
        "limit_short_by_year",
        _SHARE,
        "the highest general rate of the law would not have covered the year's outgo in this year or an earlier one; "
        "empty where the law has no highest rate",
    ),
    ("probabilities", "limit_short_in_year", _SHARE, "the highest rate of the law would not cover this year's outgo"),
    ("probabilities", "reserve_worst_tenth", "money", "mean reserve at the year's end over the worst tenth of draws"),
    ("first_years", "scenario", "", "baseline or reform"),
    ("first_years", "event", "", "first_deficit, first_below_floor or first_depletion"),
    ("first_years", "year", "calendar year", f"first year of the event, or {NOT_WITHIN!r}"),
    ("first_years", "probability", _SHARE, "sums to 1 over the rows of a scenario and event"),
    ("valuation", "scenario", "", "baseline or reform"),
    ("valuation", "period", "years", "length of the valuation period from the first projected year"),
    (
        "valuation",
        "measure",
        "",
        "summarised income rate (opening reserve in), cost rate (a year's outgo as last reserve in) and balance, "
        "shares of the contribution base at present value; the level general rate that would balance them; the "
        "unfunded obligation",
    ),
    ("valuation", "unit", "", "unit of the values in this row"),
    ("valuation", "mean", "see unit", "mean over the draws"),
    *_quantile_rows("valuation"),
    ("spending", "scenario", "", "baseline or reform"),
    (
        "spending",
        "driver",
        "",
        "what outgo grew by since the first year: people = inhabitants; ageing = need per head at each age's cost; "
        "income = nominal GDP per head; excess = beyond these; policy = budget growth and co-payments; all = their sum",
    ),
    ("spending", "year", "calendar year", "year of the flow"),
    ("spending", "unit", "", "unit of mean and quantiles"),
    ("spending", "mean", "see unit", "mean over the draws"),
    *_quantile_rows("spending"),
    ("care", "scenario", "", "baseline, reform or difference, as in forecast"),
    ("care", "payer", "", "who pays for the members' care: a benefit layer, or out_of_pocket; all = their sum"),
    ("care", "year", "calendar year", "year of the flow"),
    ("care", "unit", "", "unit of mean and quantiles, nominal"),
    ("care", "mean", "see unit", "mean over the draws"),
    *_quantile_rows("care"),
    ("need", "scenario", "", "baseline, reform or difference, as in forecast"),
    ("need", "year", "calendar year", "year of the payments"),
    ("need", "place", "", "all, urban or rural households of the nation"),
    (
        "need",
        "measure",
        "",
        "after all payers: catastrophic_usual = own payments above 40% of what a usual year leaves beyond subsistence; "
        "impoverished = made poor; forgone = care beyond the household's reach",
    ),
    ("need", "mean", "share", "share of households, mean over the draws"),
    *(
        ("need", name, "share", f"{p:g} quantile over the draws")
        for name, p in zip(QUANTILE_COLUMNS, QUANTILES, strict=True)
    ),
    ("attribution", "lever", "", "parameter whose part of the difference it is; `all` is the whole difference"),
    ("attribution", "line", "", "line of the account, explained in lines.csv"),
    ("attribution", "year", "calendar year", "year of the flow; the stock stands at its end"),
    ("attribution", "unit", "", "unit of mean and quantiles"),
    (
        "attribution",
        "mean",
        "see unit",
        "mean over the draws of second less first; the levers' means sum to that of `all`",
    ),
    *_quantile_rows("attribution"),
    ("reconciliation", "measure", "", "a line of the account (mean, reserve_months: median) or a chance by that year"),
    ("reconciliation", "year", "calendar year", "those that all runs share"),
    ("reconciliation", "step", "", "first run; what was changed: data, assumptions, law, model, sampling; second run"),
    ("reconciliation", "value", "money, months or share", "of a run; of a step its part, summing to second less first"),
    ("waterfall", "step", "", "as in reconciliation"),
    ("waterfall", "start", "money, months or share", "foot of the bar"),
    ("waterfall", "end", "money, months or share", "head of the bar"),
    ("waterfall", "value", "money, months or share", "end less start"),
    ("waterfall", "measure", "", "as in reconciliation"),
    ("waterfall", "year", "calendar year", "the last shared one"),
    ("came", "line", "", "income, outgo or reserve"),
    ("came", "year", "calendar year", "projected by the first run, published by the second"),
    *(("came", f"q{p}", "money", f"{p} quantile of the first run") for p in (0.1, 0.5, 0.9)),
    ("came", "came", "money", "the published figure"),
    ("came", "within", "", "whether it lies within the first run's 80% band"),
    ("required_rates", "scenario", "", "law that the question is put to: baseline or reform"),
    ("required_rates", "months", "months", "reserve wanted, in months of outgo"),
    ("required_rates", "through_year", "calendar year", "wanted at the end of every year from start to this one"),
    ("required_rates", "start", "date", "day from which the rate holds"),
    ("required_rates", "probability", "share", "share of draws that must meet it"),
    ("required_rates", "exact_rate", "share", "general premium rate before rounding; may lie above the limit"),
    ("required_rates", "rounded_rate", "share", "rounded up to 0.0001; empty above the limit"),
    ("required_rates", "legal_limit", "share", "highest general premium rate the law allows"),
    ("required_rates", "reached", _SHARE, "draws that meet it at the rounded rate, or at the limit"),
    ("required_rates", "answer", "", "the answer in words"),
    ("sweep", "pool", "", "pool or basis, as the plan names it"),
    ("sweep", "seed", "", "from which the futures were simulated; empty for a basis file, which is one path"),
    ("sweep", "scenario", "", "law, or a scenario of the plan"),
    ("sweep", "year", "calendar year", "year of the flow; the stock stands at its end"),
    ("sweep", "unit", "", "unit of this row's money, nominal: bn = thousand millions, m = millions"),
    ("sweep", "draws", "", "simulated futures behind the row"),
    ("sweep", "income_mean", "money per year", "mean over the draws of all income"),
    ("sweep", "outgo_mean", "money per year", "mean over the draws of the insurance cost, co-payments deducted"),
    ("sweep", "reserve_mean", "money", "mean over the draws of the reserve"),
    ("sweep", "reserve_less_law_mean", "money", "mean over the draws of reserve less that under the law, same draws"),
    *_sweep_rows("reserve", "money", "the reserve"),
    *_sweep_rows("reserve_months", "months", "the reserve in months of the year's outgo"),
    ("sweep", "below_floor_by_year", _SHARE, "reserve this year or an earlier one below the law's least"),
    ("sweep", "depleted_by_year", _SHARE, "reserve this year or an earlier one below zero"),
    ("sweep", "deficit_by_year", _SHARE, "outgo above income in this year or an earlier one"),
    ("sweep", "general_premium_rate_mean", "share", "general premium rate in force, mean over year and draws"),
    *_sweep_rows("pay_as_you_go_rate", "share", "the general rate that would balance the year's income and outgo"),
    ("sweep", "backtest", "", "record of the pool's model: backtested, not backtested, stale, damaged or no model"),
)


def column_table() -> pd.DataFrame:
    """Data dictionary: ``table``, ``column``, ``unit``, ``meaning``."""
    tables = dict.fromkeys(entry[0] for entry in _COLUMNS)
    rows = [*_COLUMNS, *((table, WARNING, "", _WARNING_MEANING) for table in tables)]
    return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"])


def line_table(money: str) -> pd.DataFrame:
    """Lines of the forecast table: ``line``, ``unit``, ``kind``, ``meaning``."""
    rows = [(line.name, line.unit_text(money), line.kind, line.label) for line in LINES]
    return pd.DataFrame(rows, columns=["line", "unit", "kind", "meaning"])


def neutralised(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.lstrip()[:1] in {"=", "+", "-", "@"} or text[:1] in {"\t", "\r", "\n"} else text


def _safe(table: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: [neutralised(str(cell)) for cell in table[name]] for name in texts})


def csv_bytes(table: pd.DataFrame) -> bytes:
    """CSV in UTF-8, numbers in full precision, no live formula in any cell."""
    return _safe(table).to_csv(index=False, lineterminator="\n").encode("utf-8")


def parquet_bytes(table: pd.DataFrame, run_hash: str = "") -> bytes:
    """The same cells as Parquet; the hash of the run stands in the metadata of the schema."""
    arrow = pa.Table.from_pandas(_safe(table), preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata({"run_hash": run_hash}), buffer, compression="zstd")
    return buffer.getvalue()


def marked(table: pd.DataFrame, warnings: Sequence[str]) -> pd.DataFrame:
    """The table with the backtest's warnings in a column of its own, so that no row leaves without them."""
    return table.assign(**{WARNING: " ".join(warnings)}) if warnings else table


def table_files(tables: Mapping[str, pd.DataFrame], run_hash: str, warnings: Sequence[str] = ()) -> dict[str, bytes]:
    """Each table as ``NAME.csv`` and ``NAME.parquet``; ``warnings`` of the backtest stand in every row."""
    files: dict[str, bytes] = {}
    for name, unmarked in tables.items():
        table = marked(unmarked, warnings)
        files[f"{name}.csv"] = csv_bytes(table)
        files[f"{name}.parquet"] = parquet_bytes(table, run_hash)
    return files
