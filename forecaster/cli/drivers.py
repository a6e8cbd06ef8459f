"""``forecaster drivers``: which uncertainty the required rate and the reserve hang on, and what knowing it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    LAST_HORIZON,
    Draws,
    Fits,
    Json,
    ReformName,
    SchemeName,
    Settings,
    console,
    day_of,
    default_start,
    error_console,
    months_word,
    print_json,
    read_given,
    read_law,
    read_reform,
    refuse_idle,
)
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from forecaster.drivers import Importance

LEAST_DRAWS = 500


def drivers(
    scheme: SchemeName,
    year: Annotated[int, typer.Option("--year", max=LAST_HORIZON, help="Year through whose end a reserve is wanted.")],
    months: Annotated[
        float, typer.Option("--months", min=-120.0, max=120.0, help="Reserve wanted in months of outgo.")
    ] = 1.0,
    probability: Annotated[
        float,
        typer.Option("--probability", min=0.01, max=0.99, help="Chance with which the rate is to be enough."),
    ] = 0.8,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="DATE", help="Day from which the rate holds; the second projected year."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="So many of the posterior's quantities are shown.")] = 10,
    settings: Settings = None,
    reform: ReformName = None,
    draws: Draws = None,
    fits: Fits = None,
    json_: Json = False,
) -> None:
    """Rank what the required rate hangs on: shares of variance, and what knowing it would be worth.

    Example: forecaster drivers tw_nhi_2g --year 2035 --months 1 --probability 0.8
    """
    from forecaster.drivers import expected_loss, importance, path_groups, posterior_groups
    from forecaster.engine import project
    from forecaster.fitted import load_fit
    from forecaster.policy import Policy
    from forecaster.pools import find_pool
    from forecaster.solve import RATE, Goal, required_by_draw

    law = read_law(scheme)
    changes = read_reform(settings, reform)
    Policy(law, changes)
    with error_console().status("drawing the basis ..."):
        given = read_given(law, None, year, draws, fits)
        basis = given.basis
        if basis.n_draws < LEAST_DRAWS:
            raise ForecasterError(
                f"{basis.n_draws} draws are too few to tell drivers apart; take {LEAST_DRAWS} or more with --draws"
            )
        reformed = given.reformed(changes)
        refuse_idle(basis, given.law, reformed)
        policy = reformed or given.law
        day = default_start(basis) if start is None else day_of(start, "--start")
        if not int(basis.years[0]) <= day.year <= year:
            raise ForecasterError(f"--start {day}: allowed is a day of {basis.years[0]} to {year}")
        needs = required_by_draw(basis, policy, RATE, Goal(months, year, day, probability))
        reserve = project(basis, policy).closing
        known = load_fit(find_pool(law.path), fits).posterior
        paths = importance(path_groups(basis, year), reserve[-1], needs, probability)
        ever = (reserve < 0.0).any(axis=0).astype(float)
        # What happens in no draw, or in all, hangs on nothing.
        depleted = importance(path_groups(basis, year), ever, needs, probability) if ever.std() > 0.0 else None
        named = posterior_groups({name: values[: basis.n_draws] for name, values in known.items()})
        learnt = importance(named, reserve[-1], needs, probability, split=False)
        everything = expected_loss(needs, probability)
    answer = {
        "scheme": law.id,
        "basis": basis.label,
        "year": year,
        "months": months,
        "probability": probability,
        "worth_of_knowing_everything": everything,
        "paths": [
            {**_row(name, found), "share": found.share, "share_of_depletion": depleted and depleted[name].share}
            for name, found in paths.items()
        ],
        "posterior": [_row(name, found) for name, found in list(learnt.items())[:top]],
    }
    if json_:
        print_json(answer)
    else:
        _print(answer)


def _row(name: str, found: Importance) -> dict[str, Any]:
    return {"name": name, "alone": found.alone, "worth": found.worth}


def _print(answer: dict[str, Any]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    screen = console()
    screen.print(f"Basis: {answer['basis']}")
    screen.print(
        f"What the reserve at the end of {answer['year']} hangs on, and the rate that keeps "
        f"{months_word(answer['months'])} through it in {answer['probability']:.0%} of futures",
        style="bold",
    )
    table = Table("paths of the future", box=SIMPLE)
    for column in ("alone", "share of variance", "share for depletion", "worth of knowing"):
        table.add_column(column, justify="right")
    told = answer["paths"][0]["share_of_depletion"] is not None
    for row in answer["paths"]:
        of_depletion = f"{row['share_of_depletion']:.1%}" if told else "-"
        table.add_row(row["name"], f"{row['alone']:.1%}", f"{row['share']:.1%}", of_depletion, _points(row["worth"]))
    keys = ("share", "share_of_depletion") if told else ("share",)
    rest = [f"{1.0 - sum(row[key] for row in answer['paths']):.1%}" for key in keys]
    table.add_row("not explained", "", *rest, *([] if told else ["-"]), "")
    table.add_row("knowing everything", "", "", "", _points(answer["worth_of_knowing_everything"]))
    screen.print(table)
    if not told:
        screen.print(f"Below zero by {answer['year']}: in none of the futures, or in all, so that it hangs on nothing.")
    table = Table("quantities of the posterior", box=SIMPLE)
    for column in ("alone", "worth of knowing"):
        table.add_column(column, justify="right")
    for row in answer["posterior"]:
        table.add_row(row["name"], f"{row['alone']:.1%}", _points(row["worth"]))
    screen.print(table)
    chance = answer["probability"]
    screen.print(
        "alone: share of the reserve's variance that the group explains by itself. share: its part with all groups "
        "credited in every order, for the reserve and for whether it ever falls below zero. worth of knowing: "
        "expected loss spared in choosing the rate, in points of the rate, when a point too little costs "
        f"{chance:g} and one too much {1.0 - chance:g}.",
        soft_wrap=True,
    )


def _points(worth: float) -> str:
    return f"{100.0 * worth:.3f}"
