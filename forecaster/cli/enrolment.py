"""``forecaster enrolment``: who joins a voluntary scheme at what premium, and whether the pool holds together."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, error_console, print_json
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    import numpy as np

    from forecaster.enrolment import Joining, TakeUp
    from forecaster.pools import Pool

PREMIUMS = (0.75, 1.0, 1.25, 1.5, 2.0)
SUBSIDIES = (0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
YEARS_AHEAD = (1, 5, 10)
RULES_AHEAD = 21


def enrolment(
    pool: Annotated[
        str, typer.Argument(metavar="POOL", help="A voluntary scheme with heads: cn_urrbmi.")
    ] = "cn_urrbmi",
    drive: Annotated[float, typer.Option("--drive", help="Enrolment drive: 0 as now, 1 a full campaign.")] = 0.0,
    counter: Annotated[
        float, typer.Option("--counter", min=0.0, max=1.0, help="Part of bills settled at the counter besides.")
    ] = 0.0,
    fit: Annotated[bool, typer.Option("--fit", help="Fit the model of take-up anew before.")] = False,
    json_: Json = False,
) -> None:
    """Take-up at other premiums, and where premium, take-up and cost rest when the subsidy is less.

    Example: forecaster enrolment cn_urrbmi --drive 1
    """
    if fit:
        from forecaster_models.enrolment import fit_enrolment

        with error_console().status("fitting take-up ..."):
            fit_enrolment()
    answer = findings(pool, drive, counter)
    if json_:
        print_json(answer)
    else:
        _print(answer)


def findings(pool: str, drive: float = 0.0, counter: float = 0.0) -> dict[str, Any]:
    """Fitted and observed take-up, the response to other premiums, and the rest at other subsidies.

    Raises
    ------
    ForecasterError
        When the pool is no voluntary scheme with counted heads.
    """
    from forecaster.enrolment import calibrated, fit_folder
    from forecaster.members import members_ahead
    from forecaster.pools import find_pool

    found = find_pool(pool)
    people = members_ahead(found, found.first_year - 1, found.first_year)
    if people is None or people.joining is None:
        raise ForecasterError(
            f"{found.name}: nobody chooses to join it, or its heads are not counted. Voluntary with both: cn_urrbmi"
        )
    start = people.joining
    resting = calibrated(start.takeup, start.state, start.share)
    with (fit_folder() / "fitted.csv").open(encoding="utf-8", newline="") as file:
        fitted = list(csv.DictReader(file))
    return {
        "pool": found.name,
        "year": int(people.years[0]),
        "state": {"benefit": start.state.benefit, "own_premium": start.state.own, "wage": start.state.wage},
        "take_up": start.share,
        "fitted": fitted,
        "at_premiums": [_at_premium(start, resting, times, drive, counter) for times in PREMIUMS],
        "at_subsidies": [_at_subsidy(start, resting, part) for part in SUBSIDIES],
        "rules": _rules(found, start, int(people.years[1])),
        "draws": resting.n_draws,
    }


def _rules(pool: Pool, start: Joining, first_year: int) -> list[dict[str, Any]]:
    """What rules on joining late and on staying come to, where the pool's law and stack have them."""
    import numpy as np

    from forecaster.continuity import rules_told
    from forecaster.fund_stack import law_with_stack, pool_stack
    from forecaster.policy import Policy

    stack = pool_stack(pool.name)
    if stack is None or "waiting_months_late" not in pool.law.parameters:
        return []
    told = rules_told(Policy(law_with_stack(pool.law)), stack, start, np.arange(first_year, first_year + RULES_AHEAD))
    return [row for i, row in enumerate(told) if i % 5 == 0]


def _at_premium(start: Joining, resting: TakeUp, times: float, drive: float, counter: float) -> dict[str, Any]:
    from dataclasses import replace

    from forecaster.enrolment import cost_ratio, course, wanted_by_third

    state = replace(start.state, own=start.state.own * times, drive=drive, counter=counter)
    found = course(resting, [state] * max(YEARS_AHEAD), start.share)
    law = cost_ratio(wanted_by_third(resting, start.state))
    return {
        "own_premium": start.state.own * times,
        "take_up": {year: _band(found.share[year - 1]) for year in YEARS_AHEAD},
        "cost_per_member": {year: _band(found.cost_ratio[year - 1] / law) for year in YEARS_AHEAD},
    }


def _band(values: np.ndarray) -> list[float]:
    import numpy as np

    return [round(float(q), 4) for q in np.quantile(values, (0.1, 0.5, 0.9))]


def _at_subsidy(start: Joining, resting: TakeUp, part: float) -> dict[str, Any]:
    from forecaster.enrolment import fixed_point

    subsidy = part * float(start.state.benefit)
    ends = fixed_point(resting, start.state, subsidy)
    at_rest = ends.outcome == "at rest"
    return {
        "subsidy": subsidy,
        "part_of_mean_cost": part,
        "outcomes": {name: int((ends.outcome == name).sum()) for name in ("at rest", "spiral", "no rest")},
        "take_up": _band(ends.share[at_rest]) if at_rest.any() else None,
        "own_premium": _band(ends.own[at_rest]) if at_rest.any() else None,
    }


def _print(answer: dict[str, Any]) -> None:
    from rich.table import Table

    screen, state = console(), answer["state"]
    screen.print(
        f"Take-up of {answer['pool']}, {answer['year']}: {answer['take_up']:.1%} of who may join", style="bold"
    )
    own, paid, wage = (f"{state[name]:,.0f}" for name in ("own_premium", "benefit", "wage"))
    screen.print(f"Own premium {own} yuan, paid per member {paid}, mean wage {wage}")
    table = Table("scheme", "year", "observed", "model, a year ahead (80% band)")
    for row in answer["fitted"]:
        middle, low, high = (float(row[name]) for name in ("fitted", "q10", "q90"))
        table.add_row(
            row["scheme"], row["year"], f"{float(row['observed']):.1%}", f"{middle:.1%} ({low:.1%} to {high:.1%})"
        )
    screen.print(table)
    screen.print("\nTake-up at another own premium from now on, all else growing alike", style="bold")
    table = Table(
        "own premium", *(f"after {year} year{'s' * (year > 1)}" for year in YEARS_AHEAD), "cost per member after 10"
    )
    for row in answer["at_premiums"]:
        cells = [_words(row["take_up"][year], "{:.1%}") for year in YEARS_AHEAD]
        table.add_row(f"{row['own_premium']:,.0f}", *cells, _words(row["cost_per_member"][10], "x{:.3f}"))
    screen.print(table)
    screen.print("\nWhere premium, take-up and cost rest when members pay all that the subsidy leaves", style="bold")
    table = Table("subsidy a head", "of mean cost", "take-up at rest", "own premium at rest", "comes apart")
    for row in answer["at_subsidies"]:
        apart = row["outcomes"]["spiral"] + row["outcomes"]["no rest"]
        table.add_row(
            f"{row['subsidy']:,.0f}",
            f"{row['part_of_mean_cost']:.0%}",
            _words(row["take_up"], "{:.1%}"),
            _words(row["own_premium"], "{:,.0f}"),
            f"{apart} of {answer['draws']}",
        )
    screen.print(table)
    if answer["rules"]:
        _print_rules(answer["rules"])
    screen.print(
        "Learnt from 14 yearly figures and one survey; the thirds' costs, the drive and the counter are assumed. Far "
        "from the premiums that were seen the answer rests on the model's form.",
        soft_wrap=True,
    )


def _print_rules(rules: list[dict[str, Any]]) -> None:
    from rich.table import Table

    screen = console()
    screen.print("\nWaiting for who joins late or after a gap, a higher ceiling for who stays", style="bold")
    heads = ("wait, months", "person-months covered", "ceiling higher by, mean", "members", "outlay")
    table = Table("year", *heads, caption="members and outlay against the law without these rules; median (80% band)")
    for row in rules:
        months, rise = f"{row['months_of_waiting']:.1f}", f"{row['rise_of_ceiling']:,.0f}"
        members, outlay = (_words(row[name], "x{:.3f}") for name in ("members", "outlay"))
        table.add_row(str(row["year"]), months, _words(row["covered_person_months"], "{:.1%}"), rise, members, outlay)
    screen.print(table)
    screen.print(
        "How many come and go, years missed and how much of later advantages counts are assumed: see docs/mainland.md.",
        soft_wrap=True,
    )


def _words(band: list[float] | None, form: str) -> str:
    if band is None:
        return "-"
    low, middle, high = (form.format(value) for value in band)
    return f"{middle} ({low} to {high})"
