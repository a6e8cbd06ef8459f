"""``forecaster runs ...``: what was computed, by whom and why; proof that it still stands; names that others follow."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, print_json
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecaster.store import Run, Store

runs = typer.Typer(
    help="Runs that were kept: list, show, compare, verify, promote, prune. FORECASTER_STORE says where they are.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id (its beginning suffices) or a promoted name.")
]
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only these: fit, backtest, projection or scenario.")
]


@runs.command("list")
def list_(
    kind: Kind = None,
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Only of this pool.")] = None,
    json_: Json = False,
) -> None:
    """List the runs that were kept, newest first, with the names they hold."""
    from forecaster.store import store_address, store_exists

    kind = _kind(kind)
    # Looking makes no store: where one is, fits and backtests are recorded without being asked to.
    store = _store() if store_exists() else None
    held: dict[str, list[str]] = {}
    for name, promotion in (store.baselines() if store else {}).items():
        held.setdefault(promotion.run_id, []).append(name)
    found = store.runs(kind, pool) if store else []
    if json_:
        print_json([{**_record(run), "names": held.get(run.id, [])} for run in found])
        return
    screen = console()
    if not found:
        where = store.label if store else store_address()
        screen.print(f"No runs in {where}. forecaster project ... --save WHY keeps one.", soft_wrap=True)
        return
    table = _table("run", "kind", "pool", "when (UTC)", "who", "names", "why")
    for run in found:
        names = ", ".join(held.get(run.id, ()))
        table.add_row(run.short, run.kind, run.pool, _minute(run.created), run.who, names, run.why)
    screen.print(table)


@runs.command()
def show(
    run: RunName,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write the run's files to this new folder.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show a run: who made it, when, why, from what, and its files."""
    from forecaster.export import write_folder

    store = _store()
    found = store.find(run)
    if out is not None:
        write_folder(out, {name: store.read(found, name) for name in found.files})
    if json_:
        print_json({**_record(found), "manifest": found.manifest})
        return
    screen = console()
    screen.print(f"Run {found.id}", style="bold", soft_wrap=True)
    for title, text in (
        ("kind", found.kind),
        ("pool", found.pool),
        ("made", f"{_minute(found.created)} UTC by {found.who}"),
        ("why", found.why),
        ("parent", found.parent[:12] if found.parent else "none"),
        ("result", found.result),
    ):
        screen.print(f"{title:8}{text}", soft_wrap=True)
    screen.print("\nMade from", style="bold")
    for key, value in _flat(found.manifest).items():
        screen.print(f"  {key}: {value}", soft_wrap=True)
    screen.print("\nFiles", style="bold")
    for name, file in sorted(found.files.items()):
        screen.print(f"  {name:28}{file.size:>12,}  {file.sha256[:12]}")
    if out is not None:
        screen.print(f"Written to {out}", soft_wrap=True)


@runs.command()
def diff(first: RunName, second: RunName, json_: Json = False) -> None:
    """What two runs were made from differently, and which of their files differ."""
    store = _store()
    before, after = store.find(first), store.find(second)
    inputs = differing(before.manifest, after.manifest)
    names = sorted({*before.files, *after.files})
    files = [name for name in names if before.files.get(name) != after.files.get(name)]
    if json_:
        print_json({"first": before.id, "second": after.id, "inputs": inputs, "files": files})
        return
    screen = console()
    screen.print(f"{before.short} ({before.why}) against {after.short} ({after.why})", style="bold", soft_wrap=True)
    if not inputs:
        screen.print("Made from the same.")
    for key, (old, new) in inputs.items():
        screen.print(f"  {key}: {_brief(old)} -> {_brief(new)}", soft_wrap=True)
    screen.print(f"Files that differ: {', '.join(files) or 'none'}", soft_wrap=True)
    if {before.kind, after.kind} <= {"projection", "scenario"}:
        screen.print(f"What moved the figures: forecaster reconcile {before.short} {after.short}")


@runs.command()
def verify(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run; the whole store when left out.")] = None,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Of a fit: sample it again (minutes) and compare every draw of its posterior."),
    ] = False,
    noted: Annotated[
        str | None,
        typer.Option("--noted", metavar="HASH", help="Last hash of the log as noted earlier: it must still be there."),
    ] = None,
    json_: Json = False,
) -> None:
    """Prove that nothing was changed: hashes, log, and for a projection its figures computed anew.

    Of a fit and a backtest hashes are compared; --refit samples a fit again. A log cut off at its end is still a chain:
    note its last hash, which this command prints, outside the store, and give it with --noted the next time.
    Exit code 1 when something is missing, damaged or not as it was.
    """
    store = _store()
    if noted is not None and run is not None:
        raise ForecasterError("--noted is about the whole store's log: leave the run out")
    if refit and run is None:
        raise ForecasterError("--refit takes minutes for each fit: name one, as in forecaster runs verify RUN --refit")
    if run is None:
        log = store.audit_log()
        answer: dict[str, Any] = {"runs": len(store.runs()), "log": len(log), "faults": store.faults()}
        said = f"{answer['runs']} runs, {answer['log']} lines of the log: all as it was written."
        if log:
            answer["last_hash"] = log[-1].hash
            said += f" The log's last hash is {log[-1].hash}."
        if noted is not None and noted not in {entry.hash for entry in log}:
            cut = "no line has the hash that was noted: lines at its end were removed, or it was written anew"
            answer["faults"].append(f"audit log: {cut}")
    else:
        found = store.find(run)
        answer = {"run": found.id, "faults": store.faults_of(found)}
        said = f"Run {found.short}: its record and {len(found.files)} files are as they were written."
        if found.parent is not None:
            answer["faults"] += store.faults_of(store.find(found.parent))
        if not answer["faults"] and found.kind in {"projection", "scenario"}:
            answer["recomputed"] = _recomputed(store, found)
            answer["faults"] += answer["recomputed"]["faults"]
        elif not answer["faults"] and refit:
            from forecaster.cli.refit import refitted

            answer["recomputed"] = refitted(store, found)
            answer["faults"] += answer["recomputed"]["faults"]
        elif found.kind == "fit":
            said += " Its draws were not sampled again: --refit does that, in minutes."
        elif found.kind == "backtest":
            said += " Its refits are not computed again: forecaster backtest does that."
    if json_:
        print_json(answer)
    else:
        screen = console()
        for fault in answer["faults"]:
            screen.print(fault, style="bold", soft_wrap=True)
        if not answer["faults"]:
            screen.print(said, soft_wrap=True)
        if "recomputed" in answer:
            screen.print(answer["recomputed"]["words"], soft_wrap=True)
    if answer["faults"]:
        raise typer.Exit(1)


@runs.command()
def promote(
    run: RunName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name that others follow, such as official.")],
    why: Annotated[str, typer.Option("--why", metavar="WHY", help="Why this run is the one.")],
) -> None:
    """Give a run a name; whoever follows the name sees this run from now on."""
    store = _store()
    found = store.find(run)
    earlier = store.baselines().get(name)
    faults = store.faults_of(found)
    if faults:
        raise ForecasterError("not promoted: " + "; ".join(faults))
    store.promote(found, name, why)
    was = f" (was {earlier.run_id[:12]})" if earlier else ""
    console().print(f"{name} is now run {found.short}{was}.", soft_wrap=True)


@runs.command()
def prune(
    older_than: Annotated[int, typer.Option("--older-than", min=0, metavar="DAYS", help="Only runs this old.")],
    kind: Kind = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; else only list what would go.")] = False,
) -> None:
    """Remove old runs. Those ever promoted stay, and so does what a run that stays was made from."""
    from forecaster.store import KINDS

    store = _store()
    before = (dt.datetime.now(dt.UTC) - dt.timedelta(days=older_than)).isoformat(timespec="microseconds")
    chosen = _kind(kind)
    gone = store.prune(before, kinds=KINDS if chosen is None else (chosen,), really=yes)
    screen = console()
    for run in gone:
        screen.print(f"{run.short}  {run.kind}  {_minute(run.created)}  {run.why}", soft_wrap=True)
    screen.print(f"{len(gone)} runs removed." if yes else f"{len(gone)} runs would be removed; --yes removes them.")


@runs.command()
def log(json_: Json = False) -> None:
    """The audit log: every publication, promotion and removal, each line chained to the one before by its hash."""
    entries = _store().audit_log()
    if json_:
        print_json([entry.__dict__ for entry in entries])
        return
    table = _table("line", "when (UTC)", "who", "what", "run", "hash")
    for entry in entries:
        table.add_row(str(entry.seq), _minute(entry.at), entry.who, entry.action, entry.subject[:12], entry.hash[:12])
    console().print(table)


def _store() -> Store:
    from forecaster.store import existing_store

    return existing_store()


def _kind(kind: str | None) -> str | None:
    from forecaster.store import KINDS

    if kind is not None and kind not in KINDS:
        raise ForecasterError(f"--kind {kind}: there are {', '.join(KINDS)}")
    return kind


def _record(run: Run) -> dict[str, Any]:
    files = {name: {"sha256": file.sha256, "size": file.size} for name, file in run.files.items()}
    return {"id": run.id, **{key: value for key, value in run.content().items() if key != "manifest"}, "files": files}


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Entries of two manifests that differ, by their path; what one of them lacks is None."""
    old, new = _flat(before), _flat(after)
    return {
        key: (old.get(key), new.get(key))
        for key in [*old, *(k for k in new if k not in old)]
        if old.get(key) != new.get(key)
    }


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(content, dict):
        found: dict[str, Any] = {}
        for key, value in content.items():
            found |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix: content}


def _recomputed(store: Store, run: Run) -> dict[str, Any]:
    """Compute a projection again from what was kept of it and compare.

    Returns
    -------
    dict
        ``inputs`` that differ today (code, data, versions), ``files`` whose bytes differ, ``largest``: the largest
        difference of a mean or quantile of the forecast, relative to the line's largest value; ``faults``: given when
        equal inputs did not give equal bytes; ``words``.
    """
    again, manifest = compute_again(store, run)
    inputs = differing(
        {key: value for key, value in run.manifest.items() if key not in {"run_hash", "files"}},
        {key: value for key, value in manifest.items() if key not in {"run_hash", "files"}},
    )
    # The dashboard keeps the tables alone; the command line their dictionaries too.
    tables = [name for name in again if name.endswith(".csv") and name in run.files]
    files = [name for name in tables if again[name] != store.read(run, name)] if not inputs else []
    largest = _largest_difference(store.read(run, "forecast.csv"), again["forecast.csv"])
    if not inputs:
        faults = [f"run {run.short}: computed again from the same, {', '.join(files)} differ"] if files else []
        words = f"Computed again from the same code and data: {len(tables) - len(files)} of {len(tables)} tables equal."
    else:
        faults = []
        words = (
            f"Computed again, but not from the same: {', '.join(sorted(inputs))} differ today. "
            f"Largest difference of a figure: {largest:.2g} of its line's largest."
        )
    return {"inputs": inputs, "files": files, "largest": largest, "faults": faults, "words": words}


def compute_again(store: Store, run: Run) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files and manifest of a recorded projection, computed anew with today's program."""
    from forecaster.attribution import attribute
    from forecaster.cli.care import care_tables
    from forecaster.cli.project import questions_of, result_files
    from forecaster.cli.shared import given_again
    from forecaster.export import attribution_table, run_scenarios
    from forecaster.manifest import run_manifest
    from forecaster.replay import unpacked

    with unpacked(store, run) as kept:
        given, before, after = given_again(kept)
        scenarios = run_scenarios(given.basis, before, after)
        manifest = run_manifest(given.basis, before, after, given.fit, kept.record)
        if kept.request.first is None or after is None:
            return result_files(scenarios, questions_of(scenarios), manifest, care_tables(scenarios)), manifest
        found = attribute(given.basis, before, after)
        more = {"attribution": attribution_table(found, given.basis.years, before.scheme.money)}
        return result_files(scenarios, [], manifest, more), manifest


def _largest_difference(stored: bytes, again: bytes) -> float:
    import io

    import numpy as np
    import pandas as pd

    keys = ["scenario", "line", "year"]
    old, new = (pd.read_csv(io.BytesIO(content)).set_index(keys) for content in (stored, again))
    columns = [name for name in old.columns if name == "mean" or name.startswith("q")]
    both = old.index.intersection(new.index)
    apart = (old.loc[both, columns] - new.loc[both, columns]).abs().max(axis=1)
    size = old.loc[both, columns].abs().max(axis=1).groupby(level=["scenario", "line"]).transform("max")
    shares = (apart / size.where(size > 0.0, 1.0)).to_numpy()
    return float(np.nanmax(shares)) if len(shares) else float("nan")


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _brief(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if len(text) == 64 and " " not in text else text


def _table(*columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=name in {"run", "kind", "hash"}, overflow="fold")
    return table
