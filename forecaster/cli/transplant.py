"""``forecaster transplant``: a rule of one scheme applied to another pool, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Draws, Fits, Json, console, day_of, error_console, in_futures, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from forecaster.transplant import Transplanted


def transplant(
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE", help="government_floor, yearly_review, supplementary_premium, global_budget or merge."
        ),
    ],
    to: Annotated[str, typer.Option("--to", metavar="POOL", help="Pool that gets the rule.")] = "cn_uebmi",
    donor: Annotated[
        str, typer.Option("--from", metavar="SCHEME|POOL", help="Whose rule it is; for merge the pool that joins.")
    ] = "tw_nhi",
    start: Annotated[str, typer.Option("--start", metavar="DATE", help="Day from which it holds.")] = "2027-01-01",
    horizon: Annotated[int, typer.Option("--horizon", help="Last year.")] = 2050,
    draws: Draws = 1000,
    fits: Fits = None,
    json_: Json = False,
) -> None:
    """What a rule of one scheme would do to another pool: to its fund, and to who pays.

    Examples: forecaster transplant government_floor --to cn_uebmi;
    forecaster transplant merge --from cn_urrbmi --to cn_uebmi
    """
    with error_console().status("drawing the bases ..."):
        found = made(rule, donor, to, start, horizon, draws, fits)
    answer = summary_of(rule, donor, to, start, found)
    if json_:
        print_json(answer)
    else:
        _print(answer, found.basis.n_draws)


def made(
    rule: str, donor: str, to: str, start: str, horizon: int, draws: int | None, fits: Path | None
) -> Transplanted:
    """The pool with and without the rule, from the fits of both pools."""
    from forecaster.errors import ForecasterError
    from forecaster.fitted import load_fit
    from forecaster.fund_stack import law_with_stack
    from forecaster.policy import Policy
    from forecaster.pools import find_pool
    from forecaster.transplant import RULES, transplant

    if rule not in RULES:
        raise ForecasterError(f"no rule {rule!r} that can be transplanted; there are: {', '.join(RULES)}")
    pool, giver = find_pool(to), find_pool(donor)
    basis = load_fit(pool, fits).basis(horizon, draws)
    return transplant(
        rule,
        Policy(giver.law),
        Policy(law_with_stack(pool.law)),
        basis,
        day_of(start, "--start"),
        lambda: load_fit(giver, fits).basis(horizon, draws),
    )


def summary_of(rule: str, donor: str, to: str, start: str, found: Transplanted) -> dict[str, Any]:
    """Fund and payers with and without the rule."""
    import numpy as np

    from forecaster.engine import project
    from forecaster.solvency import quantiles
    from forecaster.transplant import out_of_pocket_change

    both = {
        "without": project(found.basis, found.policy),
        "with": project(found.with_basis, found.with_policy),
    }
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
    change = out_of_pocket_change(rule, found, both["without"].outgo, both["with"].outgo)
    return {
        "rule": rule,
        "from": donor,
        "to": to,
        "start": start,
        "money": found.basis.money,
        "years": shown,
        **rows,
        "out_of_pocket_change": None if change is None else (change.mean(axis=1)[at] + 0.0).tolist(),
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
    table = Table("year", *payers, "outgo", *(["patients' own payments"] if own is not None else []))
    for i, year in enumerate(answer["years"]):
        moved = [moved_by[payer][i] for payer in payers]
        moved += [after["outgo"][i] - before["outgo"][i], *([own[i]] if own is not None else [])]
        table.add_row(str(year), *(f"{value:+,.0f}" for value in moved))
    screen.print(table)
    for text in answer["assumptions"]:
        screen.print(f"- {text}", soft_wrap=True)
