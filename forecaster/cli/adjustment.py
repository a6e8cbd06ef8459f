"""``forecaster adjustment``: city pools under a provincial adjustment fund."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from forecaster.cli.shared import Json, console, print_json


def adjustment(
    cities: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="City pools, as docs/mainland.md shows; made-up ones ship.")
    ] = "three_cities",
    pay_in: Annotated[float, typer.Option("--pay-in", help="Part of the statutory premium paid in.")] = 0.1,
    by_gap: Annotated[float, typer.Option("--by-gap", help="Part given out by gaps, the rest by need.")] = 0.5,
    administration: Annotated[float, typer.Option("--administration", help="Part that the fund keeps.")] = 0.0,
    effort: Annotated[
        bool, typer.Option("--effort/--no-effort", help="Cities collect less and spend more the more is pooled.")
    ] = True,
    json_: Json = False,
) -> None:
    """Reserves of city pools without and with a provincial adjustment fund.

    Example: forecaster adjustment three_cities --pay-in 0.2 --by-gap 0.7
    """
    from forecaster.adjustment import AdjustmentRule, adjust, read_cities

    given = {} if effort else {"eta_income": 0.0, "eta_cost": 0.0}
    rule = AdjustmentRule(pay_in, by_gap, administration, **given)
    found = read_cities(cities)
    before, after = adjust(found, AdjustmentRule(0.0)), adjust(found, rule)
    rows: list[dict[str, Any]] = [
        {
            "city": name,
            "reserve_without": before.reserve[i, -1],
            "reserve_with": after.reserve[i, -1],
            "gained_from_fund": after.gained[i].sum(),
            "lost_to_effort": (before.income[i] - after.income[i] + after.cost[i] - before.cost[i]).sum(),
            "months_without": before.reserve[i, -1] / before.cost[i, -1] * 12.0,
            "months_with": after.reserve[i, -1] / after.cost[i, -1] * 12.0,
        }
        for i, name in enumerate(found.names)
    ]
    if json_:
        print_json({"years": found.years.tolist(), "rule": vars(rule), "cities": rows})
        return
    from rich.table import Table

    first, last = found.years[0], found.years[-1]
    screen = console()
    screen.print(f"{cities}: {len(rows)} city pools, {first} to {last}", style="bold")
    table = Table(
        "city", f"reserve {last} without", "with", "from the fund", "lost to effort", "months without", "with"
    )
    for row in rows:
        table.add_row(row["city"], *(f"{row[key]:,.1f}" for key in list(row)[1:]))
    screen.print(table)
    screen.print(
        f"Effort response at full pooling: income -{rule.eta_income:.1%}, cost +{rule.eta_cost:.1%} (LAW-CN15, one "
        "province's study, taken as linear in the part paid in).",
        soft_wrap=True,
    )
