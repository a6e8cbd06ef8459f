"""How long a forecast table of 100,000 rows takes in each format, and how large it gets.

python benchmarks/export.py [ROWS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from _timing import say_speed

from forecaster import export


def table_of(rows: int) -> pd.DataFrame:
    """A table of the form of ``forecast``, its figures random."""
    rng = np.random.default_rng(1)
    lines = [line.name for line in export.LINES]
    found = {
        "scenario": np.repeat(["baseline", "reform"], [rows // 2, rows - rows // 2]),
        "line": np.resize(lines, rows),
        "year": np.resize(np.arange(2026, 2101), rows),
        "unit": "TWD bn",
    }
    numbers = {name: rng.normal(1000.0, 300.0, rows) for name in ("mean", *export.QUANTILE_COLUMNS)}
    return pd.DataFrame({**found, **numbers})


def main() -> None:
    say_speed()
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    table = table_of(rows)
    manifest = {"run_hash": "0" * 64}
    makers: dict[str, Callable[[], bytes]] = {
        "parquet": lambda: export.parquet_bytes(table),
        "csv": lambda: export.csv_bytes(table),
        "json": lambda: export.json_bytes({"forecast": table}, manifest),
        "xlsx": lambda: export.workbook_bytes({"forecast": table}, about={}, manifest=manifest),
    }
    print(f"{rows:,} rows of {len(table.columns)} columns")
    for name, make in makers.items():
        wall, busy = time.perf_counter(), time.process_time()
        size = len(make())
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        print(f"{name:8} {wall:6.2f} s, {busy:6.2f} s of processor, {size / 1e6:6.1f} MB")


if __name__ == "__main__":
    main()
