"""``forecaster ageing``: what other readings of ageing do to outgo and to the rate that pays for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import (
    Draws,
    Fits,
    Json,
    SchemeName,
    console,
    error_console,
    print_json,
    read_given,
    read_law,
)

if TYPE_CHECKING:
    from forecaster.basis import Basis
    from forecaster.cli.shared import Given
    from forecaster.policy import Policy

# Options of each reading shown and what it is called; the cost of dying is what was measured in Taiwan.
READINGS: dict[tuple[str, ...], str] = {
    (): "as fitted",
    ("healthy_ageing=0.5",): "half of years gained healthy",
    ("healthy_ageing=1",): "all years gained healthy",
    ("last_year_of_life=0.112",): "11.2% spent in last year of life",
    ("healthy_ageing=0.5", "last_year_of_life=0.112"): "the second and the fourth",
}


def ageing(
    scheme: SchemeName,
    horizon: Annotated[int, typer.Option("--horizon", help="Last year of the forecast.")] = 2050,
    draws: Draws = None,
    fits: Fits = None,
    json_: Json = False,
) -> None:
    """Show how outgo and the rate that pays for it change when people age in better health, or cost more when dying.

    Every reading is drawn on the same futures. Example: forecaster ageing tw_nhi_2g
    """
    from forecaster.need import SpendingOptions

    law = read_law(scheme)
    rows: list[dict[str, Any]] = []
    ill: dict[str, Any] | None = None
    with error_console().status("drawing ..."):
        for texts, label in READINGS.items():
            given = read_given(law, None, horizon, draws, fits, SpendingOptions.parse(texts))
            ill = _cohort(given) if ill is None else ill
            rows.append({"reading": label, "options": list(texts), **_figures(given.basis, given.law)})
    if json_:
        print_json({"scheme": law.id, "horizon": horizon, "readings": rows, "catastrophic": ill})
        return
    from rich.table import Table

    table = Table("reading")
    for column in ("outgo", "change", "need", "rate", "80% of futures", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    first = rows[0]
    for row in rows:
        table.add_row(
            row["reading"],
            f"{row['outgo']:,.0f}",
            "" if row is first else f"{row['outgo'] / first['outgo'] - 1.0:+.1%}",
            f"{row['need_index']:.3f}",
            f"{row['rate']:.2%}",
            f"{row['rate_q10']:.2%} to {row['rate_q90']:.2%}",
            "" if row is first else f"{100.0 * (row['rate'] - first['rate']):+.2f} pp",
        )
    screen = console()
    screen.print(
        f"Medians of {horizon}: outgo ({law.money}, nominal), need by age ({given.basis.years[0]} is 1) and the "
        "general rate that would balance that year's income and outgo."
    )
    screen.print(table)
    screen.print("All readings but the first are assumptions (docs/cli.md); outgo follows need one to one.")
    if ill:
        screen.print(
            f"\nCatastrophically ill, {horizon}: {_band(ill['people_share'], '{:.1%}')} of members, "
            f"{_band(ill['spending_share'], '{:.0%}')} of outgo, {law.money} {_band(ill['outlay'], '{:,.0f}')} "
            f"(80% of futures). Published until {ill['last_published']} and without ages: they divide the outgo as "
            "fitted and change none of it."
        )


def _band(quantiles: list[float], form: str) -> str:
    return f"{form.format(quantiles[1])} ({form.format(quantiles[0])} to {form.format(quantiles[2])})"


def _cohort(given: Given) -> dict[str, Any]:
    """10%, 50% and 90% of the catastrophically ill in the last year; nothing for a pool that does not count them."""
    import numpy as np

    from forecaster.catastrophic import SERIES, catastrophic_cohort
    from forecaster.observations import load_observations
    from forecaster.pools import find_pool

    pool = find_pool(given.law.scheme.path)
    if pool.model != "nhi" or given.fit is None:
        return {}
    observed = load_observations(pool.place)
    if not set(SERIES.values()) <= set(observed.names()):
        return {}
    cohort = catastrophic_cohort(given.basis, observed, int(given.fit["seed"]))
    found = {name: getattr(cohort, name)[-1] for name in ("people_share", "spending_share", "people", "outlay")}
    told: dict[str, Any] = {name: [float(q) for q in np.quantile(v, (0.1, 0.5, 0.9))] for name, v in found.items()}
    return told | {"last_published": cohort.last_published}


def _figures(basis: Basis, law: Policy) -> dict[str, float]:
    """Medians of the last year, and the 80% band of the rate."""
    import numpy as np

    from forecaster.engine import project
    from forecaster.solvency import pay_as_you_go_rate

    accounts = project(basis, law)
    low, middle, high = np.quantile(pay_as_you_go_rate(basis, law, accounts)[-1], (0.1, 0.5, 0.9))
    return {
        "outgo": float(np.median(accounts.outgo[-1])),
        "need_index": float(np.median(basis.drivers["need_index"][-1])),
        "rate": float(middle),
        "rate_q10": float(low),
        "rate_q90": float(high),
    }
