"""``forecaster compare``: two policies on the same draws, and which lever makes what part of the difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.project import result_files, selected_years
from forecaster.cli.shared import (
    Also,
    BasisName,
    Draws,
    Fits,
    Force,
    Given,
    Horizon,
    Json,
    Out,
    Save,
    SchemeName,
    console,
    error_console,
    in_futures,
    print_json,
    read_given,
    read_law,
    read_reform,
    refuse_idle,
)
from forecaster.errors import Fault, FaultyInput

if TYPE_CHECKING:
    from rich.console import Console

    from forecaster.attribution import Attribution
    from forecaster.export import Scenario
    from forecaster.policy import Policy, Reform

_POLICY = "law, a shipped reform, a reform file, or NAME=VALUE@DATE; several joined by semicolons."


def compare(
    scheme: SchemeName,
    first: Annotated[str, typer.Argument(metavar="FIRST", help=_POLICY)],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="Compared with the first; written the same way.")],
    horizon: Horizon = None,
    basis: BasisName = None,
    draws: Draws = None,
    fits: Fits = None,
    out: Out = None,
    force: Force = False,
    also: Also = None,
    save: Save = None,
    json_: Json = False,
) -> None:
    """Compare two policies on the same simulated futures, lever by lever.

    Example: forecaster compare tw_nhi_2g law "general_premium_rate=0.0557@2027-01-01;average_dependants=0.5@2027-01-01"
    """
    from forecaster.attribution import attribute
    from forecaster.cli.recording import Asked, check_saving, further_files, save_projection
    from forecaster.export import attribution_table, check_target, run_scenarios, write_folder
    from forecaster.manifest import run_manifest
    from forecaster.policy import Policy

    if out is not None:
        check_target(out, force=force)
    check_saving(also, out, save)
    law = read_law(scheme)
    reforms = [_reform_of(text) for text in (first, second)]
    for reform in reforms:
        Policy(law, reform)  # a wrong name or value is told before the seconds that the basis takes
    with error_console().status("drawing the basis ..."):
        given = read_given(law, basis, horizon, draws, fits)
        before, after = (
            _policy(given, reform, name) for reform, name in zip(reforms, ("FIRST", "SECOND"), strict=True)
        )
        if before.change == after.change:
            fault = Fault("FIRST and SECOND", "the same policy twice", "two that differ", "change one of them")
            raise FaultyInput("the comparison", [fault])
        scenarios = run_scenarios(given.basis, before, after)
        found = attribute(given.basis, before, after)
        manifest = run_manifest(given.basis, before, after, given.fit, given.record)
        more = {"attribution": attribution_table(found, given.basis.years, law.money)}
        if out is not None:
            files = further_files(also, scenarios, [], manifest, more)
            write_folder(out, result_files(scenarios, [], manifest, more, also=files), force=force)
        if save is not None:
            asked = Asked(law, basis, draws, fits, after.change, before.change)
            saved = save_projection(asked, given, manifest, result_files(scenarios, [], manifest, more), save)
    answer = _summary(scenarios, found, manifest)
    if save is not None:
        answer["saved"] = saved.id
    if json_:
        print_json(answer)
    else:
        _print(answer, law.money, out)


def _reform_of(text: str) -> Reform:
    """A policy as it is written on the command line."""
    from forecaster.policy import Reform

    if text == "law":
        return Reform()
    if "=" in text:
        return Reform.parse(part for part in text.split(";") if part.strip())
    return read_reform(None, text)


def _policy(given: Given, reform: Reform, name: str) -> Policy:
    """The law of the basis with that reform, none of whose levers may be idle."""
    reformed = given.reformed(reform)
    refuse_idle(given.basis, given.law, reformed, name)
    return given.law if reformed is None else reformed


def _summary(scenarios: tuple[Scenario, ...], found: Attribution, manifest: dict[str, Any]) -> dict[str, Any]:
    """The answer as plain data; money as means over the draws, second less first."""
    from forecaster.rules import overridden_rates
    from forecaster.solvency import below_months, quantiles

    basis = scenarios[0].basis
    # The first year's law is settled; without it six years and a parameter's name stand side by side.
    years = selected_years(basis)[1:] or selected_years(basis)
    rows = [int(year - basis.years[0]) for year in years]
    before, after = (scenario.projection for scenario in scenarios)
    paid = [result.by_payer() for result in (before, after)]
    return {
        "basis": basis.label,
        "draws": basis.n_draws,
        "policies": [[str(change) for change in scenario.policy.change.changes] for scenario in scenarios],
        "floor_months": [scenario.floor_months for scenario in scenarios],
        "years": years,
        "reserve_months": [quantiles(r.reserve_months, (0.5,))[0][rows].tolist() for r in (before, after)],
        "below_floor_by_year": [below_months(s.projection, s.floor_months).by_year[rows].tolist() for s in scenarios],
        "paid": {payer: (paid[1][payer] - paid[0][payer]).mean(axis=1)[rows].tolist() for payer in paid[0]},
        "outgo": (after.outgo - before.outgo).mean(axis=1)[rows].tolist(),
        "reserve": {
            "all": (after.closing - before.closing).mean(axis=1)[rows].tolist(),
            **{lever: lines["reserve"].mean(axis=1)[rows].tolist() for lever, lines in found.parts.items()},
        },
        "order_free": found.order_free,
        "warnings": [
            *(manifest["backtest"] or {}).get("warnings", []),
            *(f"Note: {text}." for s in scenarios for text in overridden_rates(s.policy, basis.years)),
        ],
        "run_hash": manifest["run_hash"],
    }


def _print(answer: dict[str, Any], money: str, out: Path | None) -> None:
    screen, draws = console(), answer["draws"]
    for name, changes in zip(("First", "Second"), answer["policies"], strict=True):
        screen.print(f"{name}: {'; '.join(changes) or 'the law'}", soft_wrap=True)
    screen.print(f"Basis: {answer['basis']}, " + (f"{draws:,} simulated futures" if draws > 1 else "one path"))
    pair = ("first", "second")
    months = {name: [f"{m + 0.0:.2f}" for m in row] for name, row in zip(pair, answer["reserve_months"], strict=True)}
    _table(screen, "Reserve in months of outgo" + (", median" if draws > 1 else ""), answer["years"], months)
    chances = zip(pair, answer["below_floor_by_year"], strict=True)
    cells = {name: [in_futures(p, draws).removesuffix(" of 100") for p in row] for name, row in chances}
    where = " in so many of 100 simulated futures" if draws > 1 else ""
    _table(screen, f"Reserve below the law's least by the end of the year{where}", answer["years"], cells)
    mean = "mean, " if draws > 1 else ""
    unit = f"({mean}{money} nominal, second less first)"
    order = "" if answer["order_free"] else ", introduced in alphabetical order"
    spent = {**answer["paid"], "outgo of the fund": answer["outgo"]}
    for title, rows in (
        (f"Reserve by lever{order} {unit}", answer["reserve"]),
        (f"Paid more in the year, and the fund's outgo {unit}", spent),
    ):
        cells = {name: [_amount(value) for value in row] for name, row in rows.items()}
        _table(screen, title, answer["years"], cells)
    for warning in answer["warnings"]:
        screen.print(warning, soft_wrap=True)
    screen.print(f"Run {answer['run_hash']}")
    if "saved" in answer:
        screen.print(f"Kept as run {answer['saved'][:12]}; forecaster runs show {answer['saved'][:12]}")
    if out is not None:
        screen.print(f"Tables written to {out}", soft_wrap=True)


def _amount(value: float) -> str:
    # Adding zero after rounding turns "-0.0" into "0.0".
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{round(value, 1) + 0.0:.1f}"


def _table(screen: Console, title: str, years: list[int], rows: dict[str, list[str]]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    table.add_column("", no_wrap=True)
    for year in years:
        table.add_column(str(year), justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    screen.print(f"\n{title}", style="bold")
    screen.print(table)
