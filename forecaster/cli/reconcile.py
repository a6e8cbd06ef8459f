"""``forecaster reconcile``: what moved the result from one kept run to the next."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, error_console, print_json
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from forecaster.reconcile import Leg
    from forecaster.replay import Unpacked
    from forecaster.store import Run, Store

_PRINTED = {
    "reserve": "Mean reserve at the end of the year, {money} nominal",
    "reserve_months": "Median reserve, months of outgo",
    "below_floor_by_year": "Chance that the reserve has fallen below the law's least by the end of the year",
}


def reconcile(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Two kept projections or more, oldest first; by id or name."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New folder for table, waterfall and charts.")
    ] = None,
    json_: Json = False,
) -> None:
    """Split the difference of two kept projections into data, assumptions, law, model; the parts sum exactly.

    Where one refit changed several of these at once, it is one step; a run between the two splits it.
    Example: forecaster reconcile official 3f2a91 --out moved
    """
    from forecaster.export import check_target, write_folder
    from forecaster.store import existing_store

    if len(runs) < 2:
        raise ForecasterError("forecaster reconcile wants two runs or more, oldest first")
    if out is not None:
        check_target(out, force=False)
    store = existing_store()
    found = [store.find(name) for name in runs]
    pools = {run.pool for run in found}
    if len(pools) > 1:
        raise ForecasterError(f"the runs are of different pools: {', '.join(sorted(pools))}")
    with error_console().status("projecting what lies between ..."):
        answer = reconciliation(store, found)
    if out is not None:
        write_folder(out, _files(answer))
    if json_:
        print_json({**answer, "steps": answer["steps"].to_dict("records"), "came": answer["came"].to_dict("records")})
    else:
        _print(answer, out)


def reconciliation(store: Store, runs: list[Run]) -> dict[str, Any]:
    """Steps between the runs, what came of the first one's forecast, and the notes that a reader needs.

    Returns
    -------
    dict
        ``runs`` (ids), ``money``, ``steps`` (see :func:`forecaster.reconcile.reconcile`), ``came`` (see
        :func:`forecaster.reconcile.experience`), ``notes``.
    """
    from forecaster.reconcile import FIRST, SECOND, reconcile

    legs = [_leg(store, before, after) for before, after in pairwise(runs)]
    table = reconcile(legs)
    moved = table.groupby("step")["value"].transform(lambda values: values.abs().max()) > 0.0
    table = table[moved | table["step"].isin([FIRST, SECOND])].reset_index(drop=True)
    notes = [
        f"{step}: one refit changed these at once. A run with only the first of them changed, named between the two, "
        "splits the step."
        for step in dict.fromkeys(table["step"])
        if " + " in step
    ]
    money = _stored(store, runs[0], "forecast").query("line == 'reserve'")["unit"].iloc[0]
    came = _experience(store, runs[0], runs[-1])
    return {"runs": [run.id for run in runs], "money": money, "steps": table, "came": came, "notes": notes}


def _leg(store: Store, before: Run, after: Run) -> Leg:
    from forecaster.cli.shared import given_again
    from forecaster.reconcile import ASSUMPTIONS, LAW, MODEL, WEIGHTS, Leg, basis_step, projected_world, recorded_world
    from forecaster.replay import unpacked

    with unpacked(store, before) as old, unpacked(store, after) as new:
        (given, base, reform), (given_new, base_new, reform_new) = given_again(old), given_again(new)
        law, law_new = reform or base, reform_new or base_new
        worlds = [
            recorded_world(_stored(store, before, "forecast"), _stored(store, before, "probabilities")),
            projected_world(given.basis, law),
        ]
        steps = [MODEL]
        weighed = new.request.weighed if _reweighed(old, new) else None
        if weighed is not None:
            given = given_again(old, weighed)[0]
            worlds.append(projected_world(given.basis, law))
            steps.append(WEIGHTS)
        if old.request.options != new.request.options and old.fits and new.fits:
            given = given_again(old, weighed, new.request.options)[0]
            worlds.append(projected_world(given.basis, law))
            steps.append(ASSUMPTIONS)
        if given.basis.hash != given_new.basis.hash:
            worlds.append(projected_world(given_new.basis, law))
            steps.append(basis_step(given.fit, given_new.fit))
        if law.hash != law_new.hash:
            worlds.append(projected_world(given_new.basis, law_new))
            steps.append(LAW)
        worlds.append(recorded_world(_stored(store, after, "forecast"), _stored(store, after, "probabilities")))
        return Leg(tuple(worlds), (*steps, MODEL))


def _reweighed(old: Unpacked, new: Unpacked) -> bool:
    """Whether both were made with weights of the same theories, and other ones."""
    before, after = old.request.weighed, new.request.weighed
    return before is not None and after is not None and before != after and set(before.weights) == set(after.weights)


def _stored(store: Store, run: Run, table: str) -> DataFrame:
    import pandas as pd

    return pd.read_csv(io.BytesIO(store.read(run, f"{table}.csv")))


def _experience(store: Store, first: Run, last: Run) -> DataFrame:
    """The first run's bands beside what the last one's fit knows to have come."""
    import pandas as pd

    from forecaster.reconcile import experience

    published: list[tuple[str, int, float]] = []
    if last.parent is not None:
        history = pd.read_csv(io.BytesIO(store.read(store.find(last.parent), "history.csv")))
        known = history[history["kind"] == "published"]
        columns = (known[name].tolist() for name in ("line", "year", "mean"))
        published = [(str(line), int(year), float(mean)) for line, year, mean in zip(*columns, strict=True)]
    return experience(_stored(store, first, "forecast"), published)


def _files(answer: dict[str, Any]) -> dict[str, bytes]:
    """Table, bars and one picture a printed measure, for the last shared year."""
    import pandas as pd

    from forecaster import export
    from forecaster.manifest import manifest_bytes
    from forecaster.pictures import svg, waterfall_chart
    from forecaster.reconcile import waterfall

    steps = answer["steps"]
    year = int(steps["year"].max())
    bars = {measure: waterfall(steps, measure, year) for measure in _PRINTED}
    joined = pd.concat([frame.assign(measure=measure, year=year) for measure, frame in bars.items()])
    files = {
        "reconciliation.csv": export.csv_bytes(steps),
        "waterfall.csv": export.csv_bytes(joined),
        "came.csv": export.csv_bytes(answer["came"]),
        "columns.csv": export.csv_bytes(_dictionary()),
    }
    for measure, frame in bars.items():
        title = f"{_PRINTED[measure].format(money=answer['money'])}, {year}"
        files[f"{measure}.svg"] = svg(waterfall_chart(frame, title))
    files[export.MARK] = manifest_bytes({"runs": answer["runs"], "notes": answer["notes"]})
    return files


def _dictionary() -> DataFrame:
    from forecaster.export import column_table

    known = column_table()
    return known[known["table"].isin(["reconciliation", "waterfall", "came"]) & (known["column"] != "warning")]


def _print(answer: dict[str, Any], out: Path | None) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from forecaster.reconcile import largest_gap

    screen = console()
    steps = answer["steps"]
    years = _shown_years(sorted(set(steps["year"])))
    screen.print(f"From run {answer['runs'][0][:12]} to run {answer['runs'][-1][:12]}", style="bold")
    for measure, title in _PRINTED.items():
        wide = steps[steps["measure"] == measure].pivot(index="step", columns="year", values="value")
        table = Table(box=SIMPLE)
        table.add_column("", no_wrap=True)
        for year in years:
            table.add_column(str(year), justify="right", no_wrap=True)
        for step in dict.fromkeys(steps["step"]):
            table.add_row(step, *_figures(measure, [wide.loc[step, year] for year in years], wide.abs().max(axis=None)))
        screen.print(f"\n{title.format(money=answer['money'])}", style="bold", soft_wrap=True)
        screen.print(table)
    screen.print(f"The steps sum to the difference; largest rounding {largest_gap(steps):.1e}.")
    for note in answer["notes"]:
        screen.print(note, soft_wrap=True)
    came = answer["came"]
    if len(came):
        screen.print("\nWhat has come of the first run's forecast", style="bold")
        for row in came.to_dict("records"):
            inside = "within" if row["within"] else "OUTSIDE"
            screen.print(
                f"  {row['line']} {row['year']}: {row['came']:,.1f}, {inside} its 80% band "
                f"{row['q0.1']:,.1f} to {row['q0.9']:,.1f} (median {row['q0.5']:,.1f})"
            )
    if out is not None:
        screen.print(f"Tables and charts written to {out}", soft_wrap=True)


def _shown_years(years: list[int]) -> list[int]:
    """First and last year, and each fifth between."""
    return [year for year in years if year in {years[0], years[-1]} or year % 5 == 0]


def _figures(measure: str, values: Sequence[float], largest: float) -> list[str]:
    """A row as printed; large sums of money have no decimals, so that a row of them fits into a narrow screen."""
    digits = {"reserve": 1 if largest < 1e4 else 0, "reserve_months": 2}.get(measure, 3)
    # Adding zero after rounding turns "-0.0" into "0.0".
    return [f"{round(value, digits) + 0.0:,.{digits}f}" for value in values]
