"""``forecaster theories``: how spending may grow by several theories, their weights and what each would mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    LAST_HORIZON,
    THEORY,
    Draws,
    Fits,
    Json,
    SchemeName,
    console,
    error_console,
    months_word,
    print_json,
    read_given,
    read_law,
)
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from forecaster.cli.shared import Given

AVERAGED = "averaged"


def theories(
    scheme: SchemeName,
    year: Annotated[
        int, typer.Option("--year", max=LAST_HORIZON, help="Year whose outgo and reserve are shown.")
    ] = 2035,
    draws: Draws = None,
    fits: Fits = None,
    json_: Json = False,
) -> None:
    """Show the theories of cost growth: their weights, their record in the backtest and the fund under each.

    Every theory is drawn on the same futures. Example: forecaster theories tw_nhi_2g
    """
    from forecaster.fitted import load_fit
    from forecaster.pools import find_pool
    from forecaster.theories import THEORIES

    law = read_law(scheme)
    fit = load_fit(find_pool(law.path), fits)
    weighed = fit.weighting()
    if weighed is None:
        raise ForecasterError(
            f"{fit.pool.name} is known by yearly accounts alone: its fit has one theory of cost growth"
        )
    rows: list[dict[str, Any]] = []
    with error_console().status("drawing ..."):
        for name in (*weighed.weights, AVERAGED):
            alone = None if name == AVERAGED else name
            given = read_given(law, None, year, draws, fits, theory=alone)
            carried = fit.manifest["blocks"]["fund"].get("theories", {}).get(name, {})
            judged = (given.record.content or {}).get("theories", {}) if given.record else {}
            rows.append(
                {
                    "theory": name,
                    "meaning": THEORIES.get(name, "by the weights above"),
                    "weight": weighed.weights.get(name, 1.0),
                    "crps": judged.get("crps", {}).get(name),
                    "pareto_shape": carried.get("pareto_shape"),
                    **_figures(given),
                }
            )
    answer = {
        "scheme": law.id,
        "year": year,
        "remark": weighed.remark,
        "outcomes": judged.get("outcomes"),
        "rows": rows,
    }
    if json_:
        print_json(answer)
    else:
        _print(answer, law.money)


def _figures(given: Given) -> dict[str, float]:
    """Outgo of the last year, 10%, 50% and 90%, and the chance of a reserve below the law's least by then."""
    import numpy as np

    from forecaster.export import run_scenarios

    (scenario,) = run_scenarios(given.basis, given.law)
    accounts = scenario.projection
    low, middle, high = np.quantile(accounts.outgo[-1], (0.1, 0.5, 0.9))
    below = (accounts.reserve_months < scenario.floor_months).any(axis=0).mean()
    return {
        "outgo": float(middle),
        "outgo_q10": float(low),
        "outgo_q90": float(high),
        "floor_months": scenario.floor_months,
        "below_floor": float(below),
    }


def _print(answer: dict[str, Any], money: str) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    floor = months_word(answer["rows"][0]["floor_months"])
    table = Table("theory", box=SIMPLE)
    for column in ("weight", "CRPS", f"outgo {answer['year']}", "80% of futures", f"below {floor}"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in answer["rows"]:
        table.add_row(
            row["theory"].removeprefix(THEORY),
            f"{row['weight']:.0%}",
            "" if row["crps"] is None else f"{row['crps']:.2%}",
            f"{row['outgo']:,.0f}",
            f"{row['outgo_q10']:,.0f} to {row['outgo_q90']:,.0f}",
            f"{row['below_floor']:.0%}",
        )
    screen = console()
    screen.print(answer["remark"])
    screen.print(table)
    screen.print("What makes cost grow beyond age and prices:")
    for row in answer["rows"]:
        if row["theory"] != AVERAGED:
            screen.print(f"  {row['theory'].removeprefix(THEORY)}: {row['meaning']}", highlight=False)
    judged = answer["outcomes"]
    if judged:
        screen.print(
            f"CRPS: mean over {judged} forecasts of outgo in the backtest, share of what came; smaller is better. The "
            "weights were chosen on these very outcomes, which flatters the average; each "
            "origin of the backtest was judged with the weights known by then."
        )
    screen.print(
        f"Outgo is the year's, {money}, nominal; the last column is the chance until the end of {answer['year']}."
    )
