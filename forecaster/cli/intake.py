"""``forecaster pool import``: an authority's table, as printed, becomes a pool's accounts once all is confirmed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from forecaster.cli.shared import Json, console, print_json
from forecaster.errors import ForecasterError


def import_accounts(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pool's folder.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX with one row (or column) a year.")],
    sheet: Annotated[str | None, typer.Option("--sheet", metavar="NAME", help="Sheet of a workbook.")] = None,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", metavar="NAME", help="Of a CSV file: utf-8, big5, gb18030, shift_jis ..."),
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="FIRST-LAST", help="Read these rows of the sheet only, as 3-40.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=HEADING", help="Which column is year, income, outgo, reserve, rate."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="WORD", help="In which the file counts money: m, bn, 億, 萬 ...")
    ] = None,
    decimal: Annotated[str | None, typer.Option("--decimal", help="point or comma.")] = None,
    confirm: Annotated[
        list[str] | None, typer.Option("--confirm", metavar="WHAT", help="Confirm one thing that was recognised.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm all that was recognised.")] = False,
    add: Annotated[
        bool, typer.Option("--add", help="Add years, and figures in empty cells, to what accounts.csv holds already.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what accounts.csv holds; with --add, the figures that differ.")
    ] = False,
    json_: Json = False,
) -> None:
    """Import a table of yearly accounts into a pool of your own.

    What is recognised (columns, unit, ROC years, percents, encoding) is shown and taken only when you confirm it.
    Example: forecaster pool import my_fund printed.xlsx --sheet 收支 --unit 億 --yes
    """
    from forecaster.export import write_file
    from forecaster.intake import Wishes, accounts_csv, understand
    from forecaster.intake_files import between_rows, read_grid
    from forecaster.intake_merge import held_accounts, merged
    from forecaster.pool_accounts import COLUMNS

    folder, pool_unit = _target(Path(name), force or add)
    if decimal not in {None, "point", "comma"}:
        raise ForecasterError(f"--decimal {decimal}: there are point and comma")
    grid = read_grid(file, sheet, encoding)
    if rows is not None:
        grid = between_rows(grid, *_span(rows))
    intake = understand(grid, pool_unit, Wishes(_columns(column), unit, decimal))
    target = folder / "accounts.csv"
    earlier: list[str] = []
    _confirmed(str(file), intake, confirm or [], yes, asking=not json_)
    remarks = _remarks(file, grid.sheet, intake, unit, decimal)
    if add:
        held, notes, earlier = held_accounts(target)
        intake, replaced = merged(held, notes, intake, replacing=force)
        remarks += replaced
    write_file(target, accounts_csv(intake, [*earlier, *remarks]).encode())
    answer: dict[str, Any] = {
        "file": str(target),
        "years": sorted(intake.rows),
        "figures": sum(map(len, intake.rows.values())),
        "recognised": {item.key: item.words for item in intake.recognised},
        "missing": [name for name in COLUMNS if not any(name in row for row in intake.rows.values())],
    }
    if json_:
        print_json(answer)
        return
    years = answer["years"]
    console().print(f"{answer['figures']} figures of {years[0]} to {years[-1]} written to {target}", soft_wrap=True)
    if answer["missing"]:
        console().print(f"Not in the file: {', '.join(answer['missing'])}; write it into {target}", soft_wrap=True)
    console().print(f"Next: forecaster pool check {name}", soft_wrap=True)


def _target(folder: Path, force: bool) -> tuple[Path, str]:
    """The pool's folder and the unit of its money; its accounts must be empty, or may be replaced."""
    import tomllib

    from forecaster.pools import ACCOUNTS_FILE, POOL_FILE, UNITS

    try:
        unit = tomllib.loads((folder / POOL_FILE).read_text(encoding="utf-8")).get("unit")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        hint = f"forecaster pool new {folder} --country DEU"
        raise ForecasterError(f"{folder} holds no {POOL_FILE} that can be read; make a pool first: {hint}") from None
    if unit not in UNITS:
        raise ForecasterError(f"{folder / POOL_FILE}: unit {unit!r}; allowed: {', '.join(UNITS)}")
    path = folder / ACCOUNTS_FILE
    if path.is_file() and not force:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if len([line for line in lines if line.strip() and not line.startswith("#")]) > 1:
            raise ForecasterError(f"{path} holds figures already; add to them with --add, or replace them with --force")
    return folder, str(unit)


def _span(rows: str) -> tuple[int, int]:
    """First and last row that the user asks for."""
    first, mark, last = rows.partition("-")
    if not (mark and first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last)):
        raise ForecasterError(f"--rows {rows}: write the first and the last row as the sheet counts them, such as 3-40")
    return int(first), int(last)


def _columns(stated: list[str] | None) -> dict[str, str]:
    from forecaster.intake_words import NAMES, YEAR

    found = {}
    for text in stated or []:
        name, mark, heading = text.partition("=")
        if not mark or name not in {YEAR, *NAMES} or not heading.strip():
            raise ForecasterError(f"--column {text!r}: write NAME=HEADING with NAME one of {', '.join((YEAR, *NAMES))}")
        found[name] = heading
    return found


def _confirmed(file: str, intake: Any, confirm: list[str], yes: bool, *, asking: bool) -> None:
    """Nothing is left to confirm, or the user says so now; else a refusal that lists it."""
    from forecaster.intake import refuse_unconfirmed, unconfirmed

    waiting = [] if yes else unconfirmed(intake, confirm)
    if waiting and asking and sys.stdin.isatty():
        console().print(f"Recognised in {file}:", soft_wrap=True)
        for item in waiting:
            console().print(f"  {item.words}", soft_wrap=True)
        if typer.confirm("Is all of it right?"):
            return
    refuse_unconfirmed(file, waiting)


def _remarks(file: Path, sheet: str, intake: Any, unit: str | None, decimal: str | None) -> list[str]:
    from forecaster.hashing import sha256

    where = f", sheet {sheet}" if sheet else ""
    remarks = [f"Imported from {file.name}{where}, SHA-256 {sha256(file.read_bytes())}"]
    remarks += [f"confirmed: {item.words}" for item in intake.recognised]
    remarks += [f"stated: money in {unit}"] if unit else []
    return remarks + ([f"stated: a {decimal} before decimals"] if decimal else [])
