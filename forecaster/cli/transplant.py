"""``forecaster transplant``: a rule of one scheme applied to another pool, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    Draws,
    Fits,
    Json,
    Settings,
    console,
    day_of,
    error_console,
    in_futures,
    print_json,
    refuse_idle,
)
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from forecaster.basis import Basis
    from forecaster.policy import Policy, Reform
    from forecaster.transplant import Transplanted

# Years in which households are simulated: the first with the rule, ten later, the last.
YEARS_AHEAD = 10
MEASURE_WORDS = {
    "catastrophic_usual": "over 40% of capacity to pay",
    "over_10_percent": "over 10% of consumption",
    "over_25_percent": "over 25% of consumption",
    "impoverished": "made poor",
    "forgone": "care forgone",
}
PREMIUMS_ALONE = ("government_floor", "yearly_review", "supplementary_premium")
PREMIUMS_NOTE = (
    "The rule moves premiums and the government's money alone, which are no payment for care: households in need stay "
    "as they are. What the insured pay more in premiums stands above; it is not taken from what they can pay for care."
)


def transplant(
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE",
            help="government_floor, yearly_review, supplementary_premium, global_budget or merge; or a parameter of "
            "both laws, or a layer of the donor's benefit stack (LAYER, or LAYER.TERM).",
        ),
    ],
    to: Annotated[str, typer.Option("--to", metavar="POOL", help="Pool that gets the rule.")] = "cn_uebmi",
    donor: Annotated[
        str, typer.Option("--from", metavar="SCHEME|POOL", help="Whose rule it is; for merge the pool that joins.")
    ] = "tw_nhi",
    start: Annotated[str, typer.Option("--start", metavar="DATE", help="Day from which it holds.")] = "2027-01-01",
    horizon: Annotated[int, typer.Option("--horizon", help="Last year.")] = 2050,
    settings: Settings = None,
    need: Annotated[
        bool,
        typer.Option(
            "--households/--no-households",
            help="Show households in need before and after; most of the time goes there.",
        ),
    ] = True,
    draws: Draws = 1000,
    fits: Fits = None,
    json_: Json = False,
) -> None:
    """What a rule of one scheme would do to another pool: to its fund, to who pays, and to households.

    Examples: forecaster transplant government_floor --to cn_uebmi;
    forecaster transplant merge --from cn_urrbmi --to cn_uebmi --set movers_to_towns=0.01@2027-01-01;
    forecaster transplant cn_basic_employees --from cn_uebmi --to cn_urrbmi
    """
    with error_console().status("drawing the bases ..."):
        case = made(rule, donor, to, start, horizon, draws, fits, settings or ())
        answer = summary_of(rule, donor, to, start, case.found)
        if need:
            answer["households"] = need_of(case)
    if json_:
        print_json(answer)
    else:
        _print(answer, case.found.basis.n_draws)


@dataclass(frozen=True)
class Case:
    """A rule laid over a pool, with the bases and laws that it was made from."""

    rule: str
    start: dt.date
    found: Transplanted
    own: tuple[Basis, Policy]
    joining: tuple[Basis, Policy] | None


def made(
    rule: str,
    donor: str,
    to: str,
    start: str,
    horizon: int,
    draws: int | None,
    fits: Path | None,
    settings: Sequence[str] = (),
) -> Case:
    """The pool with and without the rule, from the fits of both pools."""
    from functools import cache

    from forecaster.fitted import load_fit
    from forecaster.fund_stack import law_with_stack
    from forecaster.policy import Policy, Reform
    from forecaster.pools import find_pool
    from forecaster.transplant import RULES, transplant

    day, changes = day_of(start, "--start"), Reform.parse(settings)
    pool, giver = find_pool(to), find_pool(donor)
    target, gives = Policy(law_with_stack(pool.law)), Policy(law_with_stack(giver.law))
    if rule == "merge":
        target, gives = (_levers_of(policy, changes, (target, gives)) for policy in (target, gives))
    else:
        target = target.reform(changes)
    horizon = min(horizon, pool.law.end.year) if pool.law.end is not None else horizon
    if day.year > horizon:
        raise ForecasterError(
            f"--start {day}: nothing of {pool.law.id} is projected after {horizon}; choose an earlier day"
        )
    basis = load_fit(pool, fits).basis(horizon, draws)

    @cache
    def joining() -> Basis:
        return load_fit(giver, fits).basis(horizon, draws)

    found = transplant(rule, gives, target, basis, day, joining)
    if rule not in RULES:
        refuse_idle(basis, target, found.with_policy, rule)
    return Case(rule, day, found, (basis, target), (joining(), gives) if rule == "merge" else None)


def _levers_of(policy: Policy, changes: Reform, both: tuple[Policy, Policy]) -> Policy:
    """A pool of a merger with those of the levers that its law has."""
    from forecaster.mainland import EMPLOYEE_LEVERS, RESIDENT_LEVERS
    from forecaster.policy import Reform

    for change in changes.changes:
        if change.name not in {*EMPLOYEE_LEVERS, *RESIDENT_LEVERS} or not any(p.has(change.name) for p in both):
            raise ForecasterError(
                f"--set {change.name}: of a merger levers on members and their cover can be set, as project takes them "
                "for either pool; leave it out"
            )
    return policy.reform(Reform(tuple(change for change in changes.changes if policy.has(change.name))))


def need_of(case: Case) -> dict[str, Any]:
    """Households in need without and with the rule, or why that cannot be told."""
    import numpy as np

    from forecaster.transplant_need import households

    all_years = case.found.basis.years
    first, last = max(case.start.year, int(all_years[0])), int(all_years[-1])
    years = sorted({first, min(first + YEARS_AHEAD, last), last})
    try:
        found = households(case.rule, case.found, case.own, years, case.start.year, case.joining)
    except ForecasterError as error:
        return {"reason": str(error)}
    rows = [
        {
            "year": year,
            "measure": measure,
            **{name: np.quantile(of[year, place, measure], (0.5, 0.1, 0.9)).tolist() for name, of in found.items()},
        }
        for year, place, measure in found["without"]
    ]
    note = PREMIUMS_NOTE if case.rule in PREMIUMS_ALONE else ""
    return {"readings": [reading for reading in found if reading != "without"], "rows": rows, "note": note}


def summary_of(rule: str, donor: str, to: str, start: str, found: Transplanted) -> dict[str, Any]:
    """Fund and payers with and without the rule."""
    import numpy as np

    from forecaster.attribution import same_accounts
    from forecaster.engine import project
    from forecaster.solvency import quantiles
    from forecaster.transplant import RULES, idle_rule
    from forecaster.transplant_need import own_payments

    both = {
        "without": project(found.basis, found.policy),
        "with": project(found.with_basis, found.with_policy),
    }
    if same_accounts(both["without"], both["with"]) and rule in RULES:
        raise idle_rule(rule, found)
    years = found.basis.years
    shown = [int(year) for year in years if year % 5 == 0]
    at = np.searchsorted(years, shown)
    rows: dict[str, Any] = {}
    for name, result in both.items():
        months = quantiles(result.reserve_months, (0.1, 0.5, 0.9))[:, at]
        depleted = np.maximum.accumulate(result.closing < 0.0, axis=0).mean(axis=1)[at]
        payers = {payer: paid.mean(axis=1)[at].tolist() for payer, paid in result.by_payer().items()}
        rows[name] = {
            "months": months.T.tolist(),
            "depleted_by": depleted.tolist(),
            "payers": payers,
            "outgo": result.outgo.mean(axis=1)[at].tolist(),
        }
    change = own_payments(rule, found, both["without"].outgo, both["with"].outgo)
    return {
        "rule": rule,
        "from": donor,
        "to": to,
        "start": start,
        "money": found.basis.money,
        "years": shown,
        **rows,
        "out_of_pocket_change": None
        if change is None
        else {reading: (of.mean(axis=1)[at] + 0.0).tolist() for reading, of in change.items()},
        "assumptions": list(found.assumptions),
    }


def _print(answer: dict[str, Any], draws: int) -> None:
    from rich.table import Table

    screen = console()
    screen.print(f"{answer['rule']} of {answer['from']} in {answer['to']} from {answer['start']} on", style="bold")
    table = Table("year", "months without (80% band)", "with", "below zero by then without", "with")
    for i, year in enumerate(answer["years"]):
        cells = []
        for name in ("without", "with"):
            low, middle, high = answer[name]["months"][i]
            cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
        cells += [in_futures(answer[name]["depleted_by"][i], draws) for name in ("without", "with")]
        table.add_row(str(year), *cells)
    screen.print(table)
    told = f"Who pays more, and outgo: with less without, mean of all futures, {answer['money']}"
    screen.print(f"\n{told}", style="bold")
    before, after = answer["without"], answer["with"]
    payers = list(after["payers"])
    # Payers who have no part in it are left out: their names need the room.
    moved_by = {p: [a - b for a, b in zip(after["payers"][p], before["payers"][p], strict=True)] for p in payers}
    payers = [payer for payer in payers if any(abs(value) >= 0.5 for value in moved_by[payer])]
    own = answer["out_of_pocket_change"]
    table = Table("year", *payers, "outgo", *(f"patients' own payments{_reading(r)}" for r in own or ()))
    for i, year in enumerate(answer["years"]):
        moved = [moved_by[payer][i] for payer in payers]
        moved += [after["outgo"][i] - before["outgo"][i], *(of[i] for of in (own or {}).values())]
        table.add_row(str(year), *(f"{value:+,.0f}" for value in moved))
    screen.print(table)
    if "households" in answer:
        _print_need(answer["households"])
    for text in answer["assumptions"]:
        screen.print(f"- {text}", soft_wrap=True)


def _reading(name: str) -> str:
    return f": {name.partition(', ')[2]}" if "," in name else ""


def _print_need(need: dict[str, Any]) -> None:
    from rich.table import Table

    screen = console()
    if "reason" in need:
        screen.print(f"\n{need['reason']}", soft_wrap=True)
        return
    screen.print("\nHouseholds in need after all payers, % of all, median (80% band); with: less without", style="bold")
    table = Table("year", "own payments", "without", *need["readings"])
    for row in need["rows"]:
        middle, low, high = (f"{100.0 * value:.1f}" for value in row["without"])
        cells = [f"{100.0 * (row[reading][0] - row['without'][0]) + 0.0:+.2f}" for reading in need["readings"]]
        table.add_row(str(row["year"]), MEASURE_WORDS[row["measure"]], f"{middle} ({low} to {high})", *cells)
    screen.print(table)
    if need["note"]:
        screen.print(need["note"], soft_wrap=True)
