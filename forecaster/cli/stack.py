"""``forecaster stack``: who pays what of a person's spending, and what is left to households. ``forecaster spiral``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    Force,
    Json,
    Out,
    ReformName,
    Settings,
    console,
    error_console,
    print_json,
    read_reform,
)
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from rich.console import Console

    from forecaster.layers import Stack
    from forecaster.policy import Policy
    from forecaster.stack_report import StackScenario

_STAGES = {
    "before any payer": "before any payer",
    "basic": "after basic insurance",
    "serious_illness": "after serious-illness insurance",
    "employee_mutual": "after employees' mutual aid",
    "commercial": "after commercial cover",
    "assistance": "after medical assistance",
    "online_mutual": "after online mutual aid",
    "charity": "after charity",
    "account": "after personal accounts",
}
_SHORT = {
    "catastrophic_usual": "over 40%, usual",
    "catastrophic_recorded": "over 40%, recorded",
    "over_10_percent": "over 10%",
    "over_25_percent": "over 25%",
    "overshoot": "overshoot",
    "impoverished": "made poor",
    "forgone": "care forgone",
}


def stack(
    name: Annotated[str, typer.Argument(metavar="STACK", help="cn_residents, cn_employees, or a stack file.")],
    year: Annotated[int, typer.Option("--year", min=2018, max=2100, help="Year of all figures.")] = 2023,
    settings: Settings = None,
    reform: ReformName = None,
    order: Annotated[
        str | None,
        typer.Option("--order", metavar="A,B,...", help="Layers in another order of payment, commas between."),
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="People of the claims table; the last group.")] = None,
    covered: Annotated[
        list[str] | None,
        typer.Option("--covered", metavar="LAYER", help="A layer that also covers the person of the claims table."),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=1, max=20000, help="Draws of the severity; 1 is its best fit.")
    ] = 1,
    households: Annotated[
        int, typer.Option("--households", min=0, max=1_000_000, help="Households to simulate; 0 for none.")
    ] = 40000,
    terms: Annotated[bool, typer.Option("--terms", help="List every term with its source and status.")] = False,
    out: Out = None,
    force: Force = False,
    json_: Json = False,
) -> None:
    """Who pays what of a person's yearly spending, and which households it still ruins.

    Example: forecaster stack cn_residents --set cn_serious_illness.deductible_income_share=0.25@2023-01-01
    """
    from forecaster.export import check_target, write_folder
    from forecaster.fund_stack import stack_named
    from forecaster.household_people import read_households
    from forecaster.policy import Policy
    from forecaster.stack_report import refuse_idle, stack_files, stack_manifest, stack_tables

    if out is not None:
        check_target(out, force=force)
    found = stack_named(name)
    person = group or found.groups[-1]
    if person not in found.groups:
        raise ForecasterError(f"{found.id} has no group {person!r}. Its groups: {', '.join(found.groups)}")
    changes = read_reform(settings, reform)
    law = Policy(found.law)
    changed = law.reform(changes) if changes.changes else None
    wanted = None if order is None else [part.strip() for part in order.split(",") if part.strip()]
    with error_console().status("paying the claims ..."):
        if changed is not None:
            refuse_idle(found, changed, year)
        scenarios = _scenarios(found, law, changed, year, draws, wanted, households)
        homes = read_households() if scenarios[0].households else None
        tables = stack_tables(found, scenarios, year, (person, covered or ()))
        manifest = stack_manifest(found, scenarios, draws, homes, households)
        if out is not None:
            write_folder(out, stack_files(tables, manifest), force=force)
    answer = _summary(found, scenarios, tables, manifest, person, year)
    if json_:
        print_json(answer)
        return
    _print(answer, terms)
    if out is not None:
        console().print(f"Tables written to {out}", soft_wrap=True)


def _scenarios(
    found: Stack,
    law: Policy,
    changed: Policy | None,
    year: int,
    draws: int,
    order: list[str] | None,
    n_households: int,
) -> tuple[StackScenario, ...]:
    from dataclasses import replace

    from forecaster.household import household_measures, shipped_laws
    from forecaster.household_people import read_households
    from forecaster.stack_report import run_stack

    scenarios = run_stack(found, law, changed, [year], draws, order)
    file = read_households()
    if n_households == 0 or found.id not in file.stacks:
        return scenarios
    return tuple(
        replace(
            s,
            households=household_measures(
                file, shipped_laws(file, {found.id: (found, s.law)}), year, n_households, orders={found.id: s.order}
            ),
        )
        for s in scenarios
    )


def _summary(
    found: Stack,
    scenarios: tuple[StackScenario, ...],
    tables: dict[str, Any],
    manifest: dict[str, Any],
    group: str,
    year: int,
) -> dict[str, Any]:
    """The answer as plain data."""
    claims = tables["claims"]
    claims = claims[claims["group"] == group]
    last = scenarios[-1].name
    labels = {layer.id: layer.label for layer in found.layers} | {"out_of_pocket": "Out of pocket"}
    payments = tables["payments"]
    terms = tables["terms"]
    answer: dict[str, Any] = {
        "stack": found.id,
        "label": found.file.label,
        "year": year,
        "currency": found.file.currency,
        "group": found.file.groups[group].label,
        "changes": [str(change) for change in scenarios[-1].law.change.changes],
        "order": list(scenarios[-1].order),
        "legal_order": scenarios[-1].order == scenarios[0].order,
        "labels": labels,
        "claims": {
            payer: rows[["claim", "paid"]].to_dict("records")
            for payer, rows in claims[claims["scenario"] == last].groupby("payer", sort=False)
        },
        "payments": {
            scenario: {
                payer: dict(zip(part["band"], part["mean"], strict=True))
                for payer, part in rows.groupby("payer", sort=False)
            }
            for scenario, rows in payments.groupby("scenario", sort=False)
        },
        "terms_assumed": int((terms["status"] == "assumed").sum()),
        "terms": terms.to_dict("records"),
        "run_hash": manifest["run_hash"],
    }
    if scenarios[-1].households is not None:
        answer["households"] = tables["households"].to_dict("records")
        answer["left_behind"] = tables["left_behind"].to_dict("records")
        answer["targeting"] = {s.name: s.households.targeting for s in scenarios if s.households}
        answer["published"] = tables["published"].to_dict("records")
        answer["households_drawn"] = scenarios[-1].households.n_households
    return answer


def _print(answer: dict[str, Any], terms: bool) -> None:
    screen, labels = console(), answer["labels"]
    screen.print(f"{answer['label']}, {answer['year']}, {answer['currency']}, nominal", style="bold")
    if answer["changes"]:
        screen.print(f"Changes: {'; '.join(answer['changes'])}", soft_wrap=True)
    if not answer["legal_order"]:
        screen.print(f"Order, other than the legal one: {', '.join(answer['order'])}", soft_wrap=True)
    rows = {labels[payer]: [_money(row["paid"]) for row in rows] for payer, rows in answer["claims"].items()}
    heads = [_money(row["claim"]) for row in next(iter(answer["claims"].values()))]
    _table(screen, f"Who pays what of one person's spending in the year ({answer['group']})", heads, rows)
    for scenario, payers in answer["payments"].items():
        heads = list(next(iter(payers.values())))
        rows = {labels[payer]: [_money(value) for value in by_band.values()] for payer, by_band in payers.items()}
        if scenario != "difference":
            totals = [sum(by_band[head] for by_band in payers.values()) for head in heads]
            rows["Spending"] = [_money(value) for value in totals]
        title = "Mean payment per insured by age, everybody and every cover together"
        if len(answer["payments"]) > 1:
            title += f": {scenario if scenario != 'difference' else 'reform less baseline'}"
        _table(screen, title, heads, rows)
    if "households" in answer:
        _print_households(screen, answer)
    total = len(answer["terms"])
    listing = "" if terms else " (--terms lists them)"
    screen.print(f"{answer['terms_assumed']} of {total} terms are assumed, not enacted or published{listing}.")
    if terms:
        for row in answer["terms"]:
            words = f"  {row['parameter']} = {row['value']} {row['unit']}, {row['status']}, {row['source']}"
            screen.print(words + (f": {row['note']}" if row["note"] else ""), soft_wrap=True)
    screen.print(f"Run {answer['run_hash']}")


def _print_households(screen: Console, answer: dict[str, Any]) -> None:
    scenarios = list(dict.fromkeys(row["scenario"] for row in answer["households"]))
    values = {tuple(row[k] for k in ("scenario", "place", "stage", "measure")): row for row in answer["households"]}
    stages = list(dict.fromkeys(row["stage"] for row in answer["households"] if row["scenario"] == scenarios[-1]))
    worst = max(row["standard_error"] for row in answer["households"] if row["measure"] != "overshoot")
    for place in ("all", "urban", "rural"):
        rows = {
            _STAGES[stage]: [_share(values[scenarios[-1], place, stage, measure]["value"]) for measure in _SHORT]
            for stage in stages
        }
        title = f"Households of the whole nation in percent, {place}: {scenarios[-1]}"
        _table(screen, f"{title} (simulation error up to {100 * worst:.2f})", list(_SHORT.values()), rows)
    if len(scenarios) > 1:
        rows = {
            place: [
                f"{100 * (values[scenarios[1], place, stages[-1], m]['value'] - before['value']) + 0.0:+.2f}"
                for m in _SHORT
                for before in (_last(answer, place, m),)
            ]
            for place in ("all", "urban", "rural")
        }
        _table(screen, "After all payers, reform less baseline in percentage points", list(_SHORT.values()), rows)
    title = "Published, in percent: both readings of one survey stand side by side"
    _table(screen, title, ["", "source"], _published(answer))
    scenario = answer["left_behind"][-1]["scenario"]
    rows = {
        f"{row['by']} {row['group']}": [
            _share(row[key])
            for key in ("households", "catastrophic", "of_all_catastrophic", "registered_poor", "forgone")
        ]
        for row in answer["left_behind"]
        if row["scenario"] == scenario
    }
    heads = ["of all", "catastrophic", "of all catastrophic", "of these registered", "care forgone"]
    _table(screen, f"Who is left behind, in percent of households ({scenario})", heads, rows)
    targeting = answer["targeting"][scenario]
    screen.print(
        f"Registers miss {100 * targeting['poorest_missed']:.0f}% of the poorest; "
        f"{100 * targeting['burden_registered_before']:.0f}% of households that are catastrophic before assistance are "
        f"registered. Concentration of catastrophic spending by income: {targeting['concentration']:.2f}.",
        soft_wrap=True,
    )


def _last(answer: dict[str, Any], place: str, measure: str) -> dict[str, Any]:
    """The baseline's figure after all payers."""
    first = answer["households"][0]["scenario"]
    return [
        row
        for row in answer["households"]
        if row["scenario"] == first and row["place"] == place and row["measure"] == measure
    ][-1]


def _published(answer: dict[str, Any]) -> dict[str, list[str]]:
    """Published figures since 2016, under names of their own where two sources measure the same."""
    result: dict[str, list[str]] = {}
    for row in answer["published"]:
        if row["year"] < 2016:
            continue
        name, n = f"{row['measure']}, {row['place']}, {row['year']}", 1
        while name in result:
            n += 1
            name = f"{row['measure']}, {row['place']}, {row['year']} ({n})"
        result[name] = [_share(row["value"]), row["source"]]
    return result


def spiral(
    years: Annotated[
        int, typer.Option("--years", min=4, max=30, help="Years from October 2018 on; it was closed after 3.3.")
    ] = 8,
    json_: Json = False,
) -> None:
    """How an online mutual-aid plan with an equal levy after the event unravels: Xianghubao.

    Example: forecaster spiral --years 10
    """
    from forecaster.mutual import HIGHER_RISK, HIGHER_SHARE, MONTHS_TO_MATURE, fit_spiral

    fit = fit_spiral()
    run, seen = fit.run(12 * years), fit.seen
    shown = range(2, len(run.month), 6)
    rows = [
        {
            "month": f"{int(run.month[i])}-{1 + round(12 * (run.month[i] % 1)):02d}",
            "members": run.members[i],
            "higher_risk": run.higher[i],
            "levy": run.levy[i],
        }
        for i in shown
    ]
    answer = {
        "fitted": {"chance": fit.chance, "readiness": fit.readiness},
        "assumed": {"higher_share": HIGHER_SHARE, "higher_risk": HIGHER_RISK, "months_to_mature": MONTHS_TO_MATURE},
        "levy_by_year": {year: run.levy_of(year) for year in range(2019, int(run.month[-1]))},
        "published": {
            "members": [{"month": m, "millions": n} for m, n in seen.members],
            "levy_2019": seen.levy_2019,
            "levy_dated_2021": seen.levy_disputed,
            "payments_bn": seen.payments,
        },
        "payments_to_closure_bn": float(run.payments[:40].sum()),
        "path": rows,
    }
    if json_:
        print_json(answer)
        return
    _print_spiral(answer)


def _print_spiral(answer: dict[str, Any]) -> None:
    screen = console()
    cells = {
        row["month"]: [f"{row['members']:.1f}", f"{100 * row['higher_risk']:.0f}%", f"{row['levy']:.0f}"]
        for row in answer["path"]
    }
    _table(
        screen,
        "Run of the plan; after January 2022 as if it had not been closed",
        ["members, m", "higher risk", "levy a year"],
        cells,
    )
    levies, seen = answer["levy_by_year"], answer["published"]
    screen.print(
        f"Levy in 2019 {levies[2019]:.0f} CNY (published {seen['levy_2019']:g}), 2020 {levies[2020]:.0f}, "
        f"2021 {levies[2021]:.0f}; published {seen['levy_dated_2021']:g}, dated to 2021 by its source. "
        f"Payments to the closure {answer['payments_to_closure_bn']:.1f} bn CNY (published over "
        f"{seen['payments_bn']:g}); members at the end of 2021 {seen['members'][-1]['millions']:g} m published.",
        soft_wrap=True,
    )
    assumed = answer["assumed"]
    screen.print(
        f"Assumed: {100 * assumed['higher_share']:.0f}% of members of {assumed['higher_risk']:g} times the "
        f"risk, {assumed['months_to_mature']:g} months to mature. It shows the mechanism "
        "at its true scale; it is no forecast.",
        soft_wrap=True,
    )


def _money(value: float) -> str:
    # Adding zero after rounding turns "-0" into "0".
    return f"{round(value) + 0:,}"


def _share(value: float) -> str:
    return f"{100.0 * value:.1f}"


# Widest first column; longer names wrap.
_NAME_WIDTH = 32


def _table(screen: Console, title: str, heads: Iterable[str], rows: dict[str, list[str]]) -> None:
    """A table, in as many parts one below the other as its columns need on this screen."""
    from rich.box import SIMPLE
    from rich.table import Table

    heads = list(heads)
    screen.print(f"\n{title}", style="bold")
    names = min(_NAME_WIDTH, max(map(len, rows), default=0))
    widths = [max(len(word) for word in (head, *(cells[i] for cells in rows.values()))) for i, head in enumerate(heads)]
    first = 0
    while first < len(heads):
        last, room = first + 1, screen.width - names - 4 - widths[first] - 2
        while last < len(heads) and widths[last] + 2 <= room:
            room, last = room - widths[last] - 2, last + 1
        table = Table(box=SIMPLE, padding=(0, 1))
        table.add_column("", max_width=_NAME_WIDTH)
        for head in heads[first:last]:
            table.add_column(head, justify="right", no_wrap=True)
        for name, cells in rows.items():
            table.add_row(name, *cells[first:last])
        screen.print(table)
        first = last
