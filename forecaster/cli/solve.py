"""``forecaster solve``: the general premium rate that keeps a wanted reserve."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from forecaster.cli.shared import (
    LAST_HORIZON,
    BasisName,
    Draws,
    Fits,
    Json,
    ReformName,
    SchemeName,
    Settings,
    console,
    day_of,
    default_start,
    months_word,
    print_json,
    read_given,
    read_reform,
)
from forecaster.errors import ForecasterError


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
    json_: Json = False,
) -> None:
    """Solve for the general premium rate that the law requires.

    The rate is rounded up to a hundredth of a percent.

    Example: forecaster solve tw_nhi_2g --basis tw_nhi_committee_2020 --months 1 --months 1.5 --year 2021
    """
    from forecaster.export import RateQuestion, required_rate_table
    from forecaster.policy import Policy
    from forecaster.schemes import load_scheme
    from forecaster.solve import required_rate

    law = load_scheme(scheme)
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
    questions = [
        RateQuestion(
            name,
            wanted,
            year,
            day.isoformat(),
            probability,
            required_rate(
                given.basis,
                policy,
                months=wanted,
                year=year,
                start=day,
                probability=probability,
                throughout=throughout,
            ),
        )
        for wanted in months or [1.0]
    ]
    if json_:
        print_json(
            {
                "scheme": law.id,
                "basis": given.basis.label,
                "draws": given.basis.n_draws,
                "throughout": throughout,
                "reform": [str(change) for change in changes.changes],
                "limit_source": questions[0].answer.limit_source,
                "answers": required_rate_table(questions).to_dict("records"),
            }
        )
        return
    _print(questions, given.basis.label, given.basis.n_draws, throughout)


def _print(questions: list[Any], label: str, draws: int, throughout: bool) -> None:
    from rich.table import Table

    first = questions[0]
    when = "at every year end through" if throughout else "at the end of"
    chance = f", in {first.probability:.0%} of {draws:,} simulated futures" if draws > 1 else ""
    title = f"General premium rate from {first.start} on for a reserve {when} {first.through_year}{chance}"
    table = Table()
    for column in ("reserve wanted", "rate, rounded up", "exact", *(["reached"] if draws > 1 else [])):
        table.add_column(column, justify="right")
    for question in questions:
        reached = [f"{question.answer.reached:.1%}"] if draws > 1 else []
        table.add_row(months_word(question.months), question.words, f"{question.answer.exact:.4%}", *reached)
    screen = console()
    screen.print(f"Basis: {label}")
    screen.print(title, style="bold")
    screen.print(table)
    screen.print(f"Legal limit {100 * first.answer.limit:g}%: {first.answer.limit_source}")
