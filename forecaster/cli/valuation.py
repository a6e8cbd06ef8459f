"""``forecaster valuation``: a published yearly table through our ledger and actuarial balance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    Force,
    Json,
    console,
    print_json,
)
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.published import Document, PublishedValuation

_PART = "Part of a year's interest that it bears: 0.5 mid-year, 1 start, 0 end of the year."


def valuation(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="CSV, XLSX or Parquet with one row a year; a document (.toml); or a shipped one."
        ),
    ],
    opening: Annotated[
        float | None, typer.Option("--opening", help="Reserve at the end of the year before; else the table's own.")
    ] = None,
    start: Annotated[
        int | None, typer.Option("--start", help="First year; the first complete row when left out.")
    ] = None,
    years: Annotated[
        list[int] | None, typer.Option("--years", min=1, help="Length of a period; 25, 50 and 75; may be repeated.")
    ] = None,
    percent: Annotated[bool, typer.Option("--percent", help="All rates of the file are percentages.")] = False,
    thousands: Annotated[bool, typer.Option("--thousands", help="Commas part thousands.")] = False,
    fill: Annotated[bool, typer.Option("--fill", help="Fill gaps between known years, and say so.")] = False,
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="NAME=HEADING", help="Heading of a column; may be repeated.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook.")] = None,
    interest: Annotated[float | None, typer.Option("--interest", help="One yield for all years, a share.")] = None,
    timing: Annotated[float | None, typer.Option("--timing", min=0, max=1, help=f"All flows. {_PART}")] = None,
    income_timing: Annotated[
        float | None, typer.Option("--income-timing", min=0, max=1, help="Income with the rate.")
    ] = None,
    other_timing: Annotated[float | None, typer.Option("--other-timing", min=0, max=1, help="Other income.")] = None,
    cost_timing: Annotated[float | None, typer.Option("--cost-timing", min=0, max=1, help="Cost.")] = None,
    payroll_timing: Annotated[float | None, typer.Option("--payroll-timing", min=0, max=1, help="Payroll.")] = None,
    target_months: Annotated[
        float | None, typer.Option("--target-months", min=0, help="Reserve wanted at the end, months of cost; 12.")
    ] = None,
    target_year: Annotated[
        str | None,
        typer.Option("--target-year", metavar="next|last", help="Cost of the year after the period, or its last."),
    ] = None,
    money: Annotated[str | None, typer.Option("--money", help="Unit of the table's money, such as 'USD bn'.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="New folder for the tables.")] = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Run a published valuation's yearly table through the ledger and the actuarial balance.

    Columns: year; income_rate or income; cost_rate or cost; payroll; interest_rate (docs/valuations.md has the others).
    Example: forecaster valuation us_oasdi_2026
    Example: forecaster valuation table.csv --percent --opening 2561.3 --money "USD bn"
    """
    from forecaster.export import check_target, write_folder
    from forecaster.published import Document, hold, read_document, value_document

    if out is not None:
        check_target(out, force=force)
    suffix = Path(table).suffix.lower()
    if suffix in {".csv", ".tsv", ".txt", ".xlsx", ".parquet"}:
        document = Document(label=Path(table).name, source=table, table=Path(table).name, path=Path(table))
    else:
        document = read_document(table)
    asked = {
        "opening": opening,
        "start": start,
        "interest": interest,
        "sheet": sheet,
        "money": money,
        "percent": percent or None,
        "thousands": thousands or None,
        "fill": fill or None,
        "columns": {**document.columns, **_columns(column)},
        "timing": _timing(document, timing, income_timing, other_timing, cost_timing, payroll_timing),
        "target": _target(document, target_months, target_year),
    }
    document = document.model_copy(update={key: given for key, given in asked.items() if given is not None})
    found = value_document(document, sorted(set(years)) if years else None)
    held = hold(found, document)
    answer = _answer(found, document, held)
    if out is not None:
        write_folder(out, _files(found, held, answer), force=force)
    if json_:
        print_json(answer)
    else:
        _print(found, document, held, out)
    if not held["within"].all():
        raise typer.Exit(1)


def _columns(given: list[str] | None) -> dict[str, str]:
    columns = {}
    for text in given or ():
        name, sign, heading = text.partition("=")
        if not sign or not heading.strip():
            raise ForecasterError(f"--column {text!r}: write NAME=HEADING, such as cost_rate='OASDI cost rate'")
        columns[name.strip()] = heading.strip()
    return columns


def _timing(document: Document, every: float | None, *own: float | None) -> Any:
    """The document's timing with what was asked for, one option for all flows and one for each."""
    names = ("premiums", "other", "outgo", "base")
    told = {name: value for name, value in zip(names, own, strict=True) if value is not None}
    if every is not None:
        told = {**dict.fromkeys(names, every), **told}
    return document.timing.model_copy(update=told)


def _target(document: Document, months: float | None, year: str | None) -> Any:
    given = {key: value for key, value in {"months": months, "year": year}.items() if value is not None}
    return document.target.model_copy(update=given)


def _answer(found: PublishedValuation, document: Document, held: pd.DataFrame) -> dict[str, Any]:
    when = found.projection.timing
    return {
        "label": found.label,
        "source": document.source,
        "money": found.money,
        "first_year": int(found.flows.years[0]),
        "last_year": int(found.flows.years[-1]),
        "opening_reserve": found.flows.opening,
        "timing": {"premiums": when.premiums, "other": when.other, "outgo": when.outgo, "base": when.base},
        "target": {"months": document.target.months, "year": document.target.year},
        "depletion_year": found.depletion_year,
        "first_deficit_year": found.first_deficit_year,
        "first_fall_year": found.first_fall_year,
        "periods": found.summary_table().to_dict("records"),
        "published": held.to_dict("records"),
        "remarks": list(found.remarks),
        "basis_hash": found.basis.hash,
    }


def _files(found: PublishedValuation, held: pd.DataFrame, answer: dict[str, Any]) -> dict[str, bytes]:
    from forecaster import export
    from forecaster.manifest import code_hash, manifest_bytes

    tables = {"years": found.years_table(), "periods": found.summary_table()}
    if len(held):
        tables["published"] = held
    files = export.table_files(tables, found.basis.hash)
    files["valuation.json"] = manifest_bytes(answer)
    files["README.txt"] = _readme(found, answer).encode()
    hashes = {name: export.sha256(content) for name, content in sorted(files.items())}
    files[export.MARK] = manifest_bytes({"basis_hash": found.basis.hash, "code": code_hash(), "files": hashes})
    return files


def _readme(found: PublishedValuation, answer: dict[str, Any]) -> str:
    remarks = "\n".join(f"- {text}" for text in found.remarks)
    return f"""\
{found.label}
Source: {answer["source"]}

years      one row a year: rates are shares of the payroll, flows nominal {found.money}, reserve at year end,
           fund_ratio the reserve at the start of the year over its cost, discount_factor at the end of the year
periods    summarised rates and balance with opening reserve and target, and without, present values at the start of the
           first year; level_rate is the constant contribution rate of a balance of zero
published  what the report says beside ours, where a document states it

{remarks}
"""


def _print(found: PublishedValuation, document: Document, held: pd.DataFrame, out: Path | None) -> None:
    from rich.table import Table

    screen, flows = console(), found.flows
    screen.print(found.label, style="bold")
    money = f" {found.money}" if found.money else ""
    screen.print(f"{flows.years[0]} to {flows.years[-1]}; reserve before it {flows.opening:,.6g}{money}")
    when = found.projection.timing
    screen.print(
        f"Part of a year's interest borne by income {when.premiums:g}, other income {when.other:g}, "
        f"cost {when.outgo:g}, payroll {when.base:g}; target: {document.target.months:g} months of the "
        f"{document.target.year} year's cost"
    )
    summary = found.summary_table()
    table = Table("% of payroll, present values")
    for _, row in summary.iterrows():
        table.add_column(f"{row['years']:.0f} years to {row['last_year']:.0f}", justify="right")
    for key, words in (
        ("income_rate", "Summarised income rate, opening reserve in"),
        ("cost_rate", "Summarised cost rate, target in"),
        ("balance", "Actuarial balance"),
        ("income_rate_without_opening", "Income rate without opening reserve"),
        ("cost_rate_without_target", "Cost rate without target"),
        ("unfunded_rate", "Unfunded obligation"),
        ("level_rate", "Level contribution rate of a balance of zero"),
    ):
        table.add_row(words, *(f"{100 * rate:.3f}" for rate in summary[key]))
    table.add_row(f"Unfunded obligation,{money or ' money'}", *(f"{x:,.1f}" for x in summary["unfunded_obligation"]))
    screen.print(table)
    for words, year in (
        ("Cost exceeds income without interest first in", found.first_deficit_year),
        ("Reserve falls first in", found.first_fall_year),
        ("Reserve runs out in", found.depletion_year),
    ):
        screen.print(f"{words}: {year or f'no year through {flows.years[-1]}'}")
    _print_checks(found, held)
    for text in found.remarks:
        screen.print(f"- {text}", style="dim", soft_wrap=True)
    screen.print(f"Source: {document.source}", style="dim", soft_wrap=True)
    if out is not None:
        screen.print(f"Tables written to {out}", soft_wrap=True)


def _print_checks(found: PublishedValuation, held: pd.DataFrame) -> None:
    """What the report says beside ours, and how far its printed reserve and interest lie from ours."""
    import numpy as np

    screen, table = console(), found.years_table()
    for _, row in held.iterrows():
        if row["measure"] == "depletion":
            told = f"runs out in {row['published']:.0f}, ours in {found.depletion_year or 'no year'}"
        else:
            name = row["measure"].replace("_", " ")
            theirs, ours, apart = (f"{100 * row[key]:.3f}" for key in ("published", "ours", "difference"))
            told = f"{name} over {row['years']} years {theirs}%, ours {ours}%, {apart} points apart"
        verdict = "held" if row["within"] else "NOT held (rates within 0.03 points, the year exactly)"
        screen.print(f"The report: {told}: {verdict}", style="bold")
    for column, words in (("reserve_less_published", "reserve"), ("interest_less_published", "interest")):
        off = table[column].to_numpy()
        if np.isfinite(off).any():
            at = int(np.nanargmax(np.abs(off)))
            screen.print(f"Printed {words}: ours is furthest off in {found.flows.years[at]}, by {off[at]:+,.4g}")
