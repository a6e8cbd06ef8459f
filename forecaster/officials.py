"""Officials' own published forecasts beside ours, held against the same later figures."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from forecaster.observations import load_table
from forecaster.policy import Policy
from forecaster.pools import Pool
from forecaster.resources import data_dir
from forecaster.scores import FORECAST, MODEL, QUESTIONS

TABLE = "projection_backtest"
# Series of the officials' own forecasts to the line they are about.
OFFICIAL_LINES = {
    "revenue": "income",
    "cost": "outgo",
    "balance": "balance",
    "reserve_end": "reserve",
    "reserve_months": "reserve_months",
}
# The same where a country has several schemes, which the series names: ``fund_income|urrbmi``.
SCHEME_LINES = {
    "fund_income": "income",
    "fund_expenditure": "outgo",
    "current_balance": "balance",
    "cumulative_balance": "reserve",
}
OFFICIAL_COLUMNS = (
    "made", "target", "line", "condition", "question", "origin", "official", "ours", "q10", "q90", "later", "unit",
    "official_error", "our_error", "projection_source", "later_source", "note",
)  # fmt: skip


def official_table(pool: Pool, report: pd.DataFrame) -> pd.DataFrame:
    """Officials' published forecasts beside ours, columns :data:`OFFICIAL_COLUMNS`.

    Ours is the median from the end of the year before theirs was made, so that it never knew more. It was told the law
    as it later became where theirs assumes the general rate that later held, else only the law of its origin. Errors
    are forecast less later figure.
    """
    rows: list[tuple[object, ...]] = []
    path = data_dir() / "observed" / pool.place / f"{TABLE}.csv"
    published = load_table(pool.place, TABLE).to_dict("records") if pool.folder is None and path.is_file() else []
    ours = {
        (row["rule"], row["line"], row["origin"], row["target"]): row
        for row in report[report["rule"].isin(list(QUESTIONS))].to_dict("records")
    }
    for row in published:
        line, target = _line_of(pool, str(row["series"])), str(row["target"])
        if line is None or not target.isdigit() or str(row["qualifier"]) not in {"", "nan"}:
            continue
        if row["unit"] not in {pool.money, "months"}:
            continue
        question = _question_of(pool, str(row["condition"]), int(target))
        origin = int(str(row["made"])[:4]) - 1
        found = ours.get((question, line, origin, int(target)))
        if found is None:
            continue
        official = (float(row["projected_low"]) + float(row["projected_high"])) / 2.0
        later = float(row["later"])
        condition = "" if str(row["condition"]) == "nan" else str(row["condition"])
        figures = (official, found["q50"], found["q10"], found["q90"], later, row["unit"])
        errors = (official - later, found["q50"] - later)
        sources = (row["projection_source"], row["later_source"], "" if row["note"] != row["note"] else row["note"])
        rows.append((row["made"], int(target), line, condition, question, origin, *figures, *errors, *sources))
    return pd.DataFrame(rows, columns=list(OFFICIAL_COLUMNS))


def _line_of(pool: Pool, series: str) -> str | None:
    """Line of the accounts that a published series is about; None where it is not about this pool."""
    stem, _, scheme = series.partition("|")
    if not scheme:
        return OFFICIAL_LINES.get(stem)
    return SCHEME_LINES.get(stem) if pool.name.endswith(f"_{scheme}") else None


def _question_of(pool: Pool, condition: str, target: int) -> str:
    """Which question the officials' condition on the general rate puts; without one, the law of the day."""
    rate = re.search(r"general rate ([0-9.]+)%", condition)
    if rate is None:
        return FORECAST
    law = float(Policy(pool.law).path("general_premium_rate", np.array([target]))[0])
    return MODEL if abs(law - float(rate[1]) / 100.0) < 1e-9 else FORECAST
