"""``forecaster solve``: the general premium rate, or any other lever, that keeps a wanted reserve."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from forecaster.cli.shared import (
    LAST_HORIZON,
    BasisName,
    Draws,
    Fits,
    Force,
    Json,
    Out,
    ReformName,
    SchemeName,
    Settings,
    console,
    day_of,
    default_start,
    months_word,
    print_json,
    read_given,
    read_law,
    read_reform,
)
from forecaster.errors import ForecasterError

_README = """\
required      the value that keeps the reserve of so many months, one row a question: exact, and rounded on the lever's
              grid (empty where even the limit is not enough), the share of draws that meet it, and the limit
path          with --every: the value of the lever from each day on
path_payment  with --every: what path and best constant value bring in, sums of yearly shares of the contribution base
manifest.json hashes of law, reform, basis, fit, data, code, and of the files here

Rates are shares: 0.0517 is 5.17%.
"""


def solve(
    scheme: SchemeName,
    year: Annotated[
        int, typer.Option("--year", max=LAST_HORIZON, help="Year through whose end the reserve is wanted.")
    ],
    months: Annotated[
        list[float] | None,
        typer.Option("--months", min=-120.0, max=120.0, help="Reserve wanted in months of outgo; may be repeated."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="DATE", help="Day from which the rate holds; the second projected year."),
    ] = None,
    lever: Annotated[
        str, typer.Option("--lever", metavar="NAME", help="Parameter to solve for.")
    ] = "general_premium_rate",
    every: Annotated[
        int | None,
        typer.Option("--every", min=1, metavar="YEARS", help="Solve for a path that may change once in so many years."),
    ] = None,
    probability: Annotated[
        float, typer.Option("--probability", min=0.0, max=1.0, help="Share of simulated futures that must meet it.")
    ] = 0.5,
    throughout: Annotated[
        bool,
        typer.Option("--throughout/--at-year", help="At every year end from the start on, or at that of the year."),
    ] = True,
    settings: Settings = None,
    reform: ReformName = None,
    basis: BasisName = None,
    draws: Draws = None,
    fits: Fits = None,
    out: Out = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Solve for the rate that the law requires, or for any other lever.

    The mildest value is given, a rate rounded up to a hundredth of a percent.

    Example: forecaster solve tw_nhi_2g --basis tw_nhi_committee_2020 --months 1 --months 1.5 --year 2021
    """
    from forecaster.export import RateQuestion, check_target, write_folder
    from forecaster.manifest import run_manifest
    from forecaster.policy import Policy
    from forecaster.rules import overridden_rates
    from forecaster.solve import Goal, required_value
    from forecaster.solve_path import required_path

    if out is not None:
        check_target(out, force=force)
    law = read_law(scheme)
    law.parameter(lever)  # a wrong name is told before the seconds that the basis takes
    changes = read_reform(settings, reform)
    Policy(law, changes)
    given = read_given(law, basis, None if basis is not None else year, draws, fits)
    first, last = int(given.basis.years[0]), int(given.basis.years[-1])
    if not first <= year <= last:
        raise ForecasterError(f"--year {year}: the basis covers {first} to {last}")
    day = default_start(given.basis) if start is None else day_of(start, "--start")
    if not law.start <= day or day.year > year:
        raise ForecasterError(f"--start {day}: allowed is a day from {law.start} on that is not after the year {year}")
    reformed = given.reformed(changes)
    name, policy = ("baseline", given.law) if reformed is None else ("reform", reformed)
    questions, paths = [], []
    for wanted in months or [1.0]:
        goal = Goal(wanted, year, day, probability, throughout)
        if every is None:
            answer = required_value(given.basis, policy, lever, goal)
        else:
            paths.append(required_path(given.basis, policy, lever, goal, every=every))
            answer = paths[-1].constant
        questions.append(RateQuestion(name, wanted, year, day.isoformat(), probability, answer))
    warnings = [] if given.record is None else list(given.record.warnings)
    warnings += [f"Note: {text}." for text in overridden_rates(policy, given.basis.years)]
    if out is not None:
        manifest = run_manifest(given.basis, given.law, reformed, given.fit, given.record)
        write_folder(out, _files(questions, paths, throughout, manifest), force=force)
    if json_:
        print_json(
            {
                "scheme": law.id,
                "basis": given.basis.label,
                "draws": given.basis.n_draws,
                "throughout": throughout,
                "reform": [str(change) for change in changes.changes],
                "lever": lever,
                "unit": law.parameter(lever).unit,
                "limit_source": questions[0].answer.limit_source,
                "answers": _rows(questions),
                "paths": [_path_row(question, path) for question, path in zip(questions, paths, strict=False)],
                "warnings": warnings,
            }
        )
        return
    label = law.parameter(lever).label
    _print(questions, label, given.basis.label, given.basis.n_draws, throughout)
    if every is not None:
        _print_paths(questions, paths, every)
    for warning in warnings:
        console().print(warning, soft_wrap=True)
    if out is not None:
        console().print(f"Tables written to {out}", soft_wrap=True)


def _files(questions: list[Any], paths: list[Any], throughout: bool, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Answers, and paths where there are any, as CSV and Parquet; readme and manifest."""
    import pandas as pd

    from forecaster import export
    from forecaster.manifest import manifest_bytes

    answer = questions[0].answer
    told = {"lever": answer.lever, "unit": answer.unit, "throughout": throughout}
    tables = {"required": pd.DataFrame(_rows(questions)).assign(**told)}
    if paths:
        rows = [
            {"months": question.months, "from": day.isoformat(), "value": value, "unit": answer.unit}
            for question, path in zip(questions, paths, strict=True)
            for day, value in (path.values or {}).items()
        ]
        tables["path"] = pd.DataFrame(rows, columns=["months", "from", "value", "unit"])
        pairs = zip(questions, paths, strict=True)
        tables["path_payment"] = pd.DataFrame([_path_row(q, p) for q, p in pairs]).drop(columns="values")
    files = export.table_files(tables, manifest["run_hash"], (manifest["backtest"] or {}).get("warnings", []))
    files["README.txt"] = _README.encode()
    hashes = {name: export.sha256(content) for name, content in sorted(files.items())}
    files[export.MARK] = manifest_bytes({**manifest, "files": hashes})
    return files


def _rows(questions: list[Any]) -> list[dict[str, Any]]:
    """Answers as in the exported table; for another lever than the general rate its columns are not called rates."""
    from forecaster.export import required_rate_table
    from forecaster.solve import RATE

    table = required_rate_table(questions)
    if questions[0].answer.lever != RATE:
        table = table.rename(columns={"exact_rate": "exact", "rounded_rate": "rounded", "legal_limit": "limit"})
    return table.to_dict("records")  # type: ignore[return-value]  # the columns' names are texts


def _path_row(question: Any, path: Any) -> dict[str, Any]:
    values = None if path.values is None else {day.isoformat(): value for day, value in path.values.items()}
    return {
        "months": question.months,
        "values": values,
        "reached": path.reached,
        "payment": path.payment,
        "constant_payment": path.constant_payment,
    }


def _print(questions: list[Any], label: str, basis: str, draws: int, throughout: bool) -> None:
    from rich.table import Table

    from forecaster.solve import RATE, in_unit

    first = questions[0]
    rate = first.answer.lever == RATE
    when = "at every year end through" if throughout else "at the end of"
    chance = f", in {first.probability:.0%} of {draws:,} simulated futures" if draws > 1 else ""
    title = f"{label} from {first.start} on for a reserve {when} {first.through_year}{chance}"
    table = Table()
    found = "rate, rounded up" if rate else "least that is enough" if first.answer.raises else "most that is kept"
    for column in ("reserve wanted", found, "exact", *(["reached"] if draws > 1 else [])):
        table.add_column(column, justify="right")
    for question in questions:
        answer = question.answer
        reached = [f"{answer.reached:.1%}"] if draws > 1 else []
        exact = f"{answer.exact:.4%}" if answer.unit == "share" else f"{answer.exact:,.2f}"
        shown = exact if math.isfinite(answer.exact) else "none"
        table.add_row(months_word(question.months), question.words, shown, *reached)
    screen = console()
    screen.print(f"Basis: {basis}")
    screen.print(title, style="bold")
    screen.print(table)
    limit = f"{100 * first.answer.limit:g}%" if rate else in_unit(first.answer.limit, first.answer.unit)
    legal = rate and not first.answer.limit_source.startswith("assumed")
    screen.print(f"{'Legal limit' if legal else 'Limit'} {limit}: {first.answer.limit_source}")
    if always := [months_word(question.months) for question in questions if question.answer.always]:
        screen.print(f"Every value of the lever that is allowed is enough for {', '.join(always)}.")


def _print_paths(questions: list[Any], paths: list[Any], every: int) -> None:
    from rich.table import Table

    from forecaster.solve import in_unit

    table = Table("from")
    for question in questions:
        table.add_column(months_word(question.months), justify="right")
    days = next((list(path.values) for path in paths if path.values), [])
    for day in days:
        table.add_row(day.isoformat(), *(in_unit(p.values[day], p.constant.unit) if p.values else "" for p in paths))
    table.add_row("reached", *(f"{path.reached:.1%}" if path.values else "out of reach" for path in paths))
    table.add_row("paid", *(f"{100 * path.payment:.2f}" if path.values else "" for path in paths))
    table.add_row("paid if constant", *(f"{100 * path.constant_payment:.2f}" if path.values else "" for path in paths))
    screen = console()
    span = "a year" if every == 1 else f"in {every} years"
    screen.print(f"\nPath with at most one change {span}, least total payment", style="bold")
    screen.print(table)
    screen.print("paid: sum over the years of what the lever brings in, in percent of each year's contribution base")
