"""``forecaster sweep``: many pools under many scenarios, on threads or on a Dask cluster, into one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import DEFAULT_HORIZON, LAST_HORIZON, Json, console, error_console, print_json
from forecaster.errors import Fault, FaultyInput, ForecasterError

if TYPE_CHECKING:
    from pandas import DataFrame

    from forecaster.policy import Reform
    from forecaster.schemes import Scheme
    from forecaster.sweep import Piece

_KEYS = ("pools", "bases", "scenarios", "horizon", "draws", "seeds")
_BASIS_KEYS = ("name", "law", "file")


def sweep(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="What to compute, a TOML file (docs/sweep.md).")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the table; an earlier sweep's goes on.")
    ],
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, tcp://host:8786, instead of threads."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads on this machine; all processors by default.")
    ] = None,
    json_: Json = False,
) -> None:
    """Project many pools under many scenarios and seeds; one table comes out.

    Stopped at any moment, the same command goes on where it stood.
    Example: forecaster sweep provinces.toml --out provinces
    """
    import pandas as pd
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from forecaster.sweep import TABLE
    from forecaster.sweep import sweep as run

    if scheduler is not None and threads is not None:
        raise ForecasterError("--scheduler and --threads: a cluster's workers have their own threads; give one of them")
    with error_console().status("reading pools and scenarios ..."):
        content = _read(plan)
        pieces = pieces_of(content, plan.resolve().parent)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console()) as progress:
        bar = progress.add_task("pools", total=len(pieces))
        swept = run(
            pieces,
            out,
            content,
            scheduler=scheduler,
            threads=threads,
            told=lambda done, of: progress.update(bar, completed=done, total=of),
        )
    answer: dict[str, Any] = {
        "computed": swept.computed,
        "found": swept.found,
        "failed": dict(swept.failed),
        "table": None if swept.failed else str(out / f"{TABLE}.parquet"),
    }
    if swept.failed:
        if json_:
            print_json(answer)
        lines = "\n".join(f"  - {name}: {text}" for name, text in swept.failed.items())
        raise ForecasterError(
            f"{len(swept.failed)} of {len(pieces)} failed, so no table was written; the others are kept\n{lines}"
        )
    table = pd.read_parquet(out / f"{TABLE}.parquet", columns=_SUMMARISED)
    answer["rows"], answer["scenarios"] = len(table), summary(table)
    if json_:
        print_json(answer)
    else:
        _print(answer, out)


_BLOCK = ["pool", "seed", "scenario"]
_SUMMARISED = [*_BLOCK, "year", "below_floor_by_year", "reserve_months_q0.5", "reserve_less_law_mean"]


def summary(table: DataFrame) -> list[dict[str, Any]]:
    """For each scenario, how many pools fall below their least reserve by their last year, and what is left there.

    Parameters
    ----------
    table
        Columns of a sweep's table as :data:`_SUMMARISED` lists them.

    Returns
    -------
    list
        ``scenario``; ``pools``, pools by seeds; ``below``, those that have fallen so with a chance above one half;
        ``months``, the middle one's median reserve in the last year, months of outgo; ``same``, the pools whose reserve
        is that under the law in every year.
    """
    from forecaster.sweep import LAW

    # A basis file has no seed; its rows are one group all the same.
    blocks = table.groupby(_BLOCK, sort=False, dropna=False)
    ends = blocks.last().assign(same=blocks["reserve_less_law_mean"].agg(lambda gap: bool((gap == 0.0).all())))
    ends = ends.reset_index()
    return [
        {
            "scenario": name,
            "pools": len(rows),
            "below": int((rows["below_floor_by_year"] > 0.5).sum()),
            "months": float(rows["reserve_months_q0.5"].median()),
            "same": [] if name == LAW else sorted(set(rows.loc[rows["same"], "pool"])),
        }
        for name, rows in ends.groupby("scenario", sort=False)
    ]


def _print(answer: dict[str, Any], out: Path) -> None:
    from rich.table import Table

    screen = console()
    table = Table("scenario", "pools by seeds")
    for heading in ("below least reserve", "median reserve, months"):
        table.add_column(heading, justify="right")
    for row in answer["scenarios"]:
        table.add_row(row["scenario"], str(row["pools"]), str(row["below"]), f"{row['months']:.1f}")
    screen.print("At each pool's last year; below: more likely than not by then", style="bold")
    screen.print(table)
    for row in answer["scenarios"]:
        if row["same"]:
            names = ", ".join(row["same"][:5]) + (" ..." if len(row["same"]) > 5 else "")
            screen.print(f"{row['scenario']} leaves the reserve as under the law in: {names}", soft_wrap=True)
    screen.print(f"{answer['computed']} computed, {answer['found']} found from before; {answer['rows']:,} rows")
    screen.print(f"Written to {out}", soft_wrap=True)


def _read(path: Path) -> dict[str, Any]:
    """The plan, of known keys and kinds."""
    import tomllib

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ForecasterError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(str(path), [fault]) from None
    faults = [
        Fault(key, "unknown key", ", ".join(_KEYS), "remove or rename it (docs/sweep.md)")
        for key in sorted(set(raw) - set(_KEYS))
    ]
    pools, bases, scenarios = raw.get("pools", []), raw.get("bases", []), raw.get("scenarios", {})
    if not _texts(pools):
        faults.append(Fault("pools", repr(pools)[:80], "a list of names and folders", 'write ["pools/*", "tw_nhi"]'))
    if not isinstance(bases, list) or not all(_is_basis(entry) for entry in bases):
        mend = "write the three texts, and no other"
        faults.append(Fault("bases", repr(bases)[:80], f"tables of {', '.join(_BASIS_KEYS)}", mend))
    if not isinstance(scenarios, dict) or not all(_texts(changes) and changes for changes in scenarios.values()):
        mend = 'write rate_16 = ["general_premium_rate=0.16@2027-01-01"]'
        faults.append(Fault("scenarios", repr(scenarios)[:80], "a name and its changes or reform files each", mend))
    elif "law" in scenarios:
        faults.append(Fault("scenarios.law", "a scenario", "the law itself comes always", "choose another name"))
    for key, last in (("horizon", LAST_HORIZON), ("draws", None)):
        if key in raw and not _counts([raw[key]], last):
            faults.append(Fault(key, repr(raw[key]), "a whole number" + (f" to {last}" if last else ""), "correct it"))
    seeds = raw.get("seeds", [])
    if not isinstance(seeds, list) or not _counts(seeds) or len(set(seeds)) < len(seeds):
        faults.append(Fault("seeds", repr(seeds)[:80], "different whole numbers above zero", "write seeds = [1, 2]"))
    if not pools and not bases:
        faults.append(Fault("pools, bases", "neither", "at least one of them", 'write pools = ["tw_nhi"]'))
    if faults:
        raise FaultyInput(str(path), faults)
    return raw


def _texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)


def _counts(found: list[Any], last: int | None = None) -> bool:
    return all(type(n) is int and 0 < n <= (last or n) for n in found)


def _is_basis(entry: Any) -> bool:
    return isinstance(entry, dict) and set(entry) == set(_BASIS_KEYS) and _texts(list(entry.values()))


def pieces_of(plan: dict[str, Any], folder: Path) -> list[Piece]:
    """Every pool with every seed, then every basis; whatever is wrong with any of them is told before anything runs.

    Parameters
    ----------
    plan
        Content of the plan's file.
    folder
        From which its relative paths start.

    Raises
    ------
    FaultyInput
        Naming each pool, basis and scenario that cannot be computed, and why.
    """
    faults: list[Fault] = []
    pieces: list[Piece] = []

    def tried(where: str, make: Any, mend: str) -> Any:
        try:
            return make()
        except ForecasterError as error:
            faults.append(Fault(where, str(error), "what can be projected", mend))
            return None

    reforms = {
        name: tried(f"scenarios.{name}", lambda changes=changes: _reform(changes, folder), "correct the scenario")
        for name, changes in plan.get("scenarios", {}).items()
    }
    if not faults:
        for name in _addresses(plan.get("pools", []), folder, faults):
            pieces += (
                tried(f"pool {name}", lambda name=name: _of_pool(name, plan, reforms), "mend or leave it out") or []
            )
        for entry in plan.get("bases", []):
            made = tried(f"basis {entry['name']}", lambda e=entry: _of_basis(e, plan, reforms, folder), "mend it")
            pieces += [made] if made else []
    titles = [(piece.name, piece.seed) for piece in pieces]
    twice = sorted({name for name, seed in titles if titles.count((name, seed)) > 1})
    faults += [Fault(name, "two pools of this name", "one name a pool", "rename one of them") for name in twice]
    if faults:
        raise FaultyInput("the plan of the sweep", faults)
    return pieces


def _reform(texts: list[str], folder: Path) -> Reform:
    """A scenario: changes NAME=VALUE@DATE, and reform files, shipped or of one's own."""
    from forecaster.cli.shared import reform_path
    from forecaster.policy import Reform

    changes = list(Reform.parse(text for text in texts if "=" in text).changes)
    for text in texts:
        if "=" not in text:
            path = reform_path(text)
            changes += Reform.read(folder / path).changes
    return Reform(tuple(changes))


def _addresses(names: list[str], folder: Path, faults: list[Fault]) -> list[str]:
    """Shipped pools by name, folders of one's own by their whole path; a pattern stands for all folders it meets."""
    from forecaster.pools import POOL_FILE, pool_names

    found = []
    for name in names:
        if name in pool_names():
            found.append(name)
            continue
        met = sorted(path for path in folder.glob(name) if (path / POOL_FILE).is_file())
        if not met:
            allowed = (
                f"a shipped pool ({', '.join(pool_names())}) or folders with {POOL_FILE}, from the plan's own folder"
            )
            faults.append(Fault("pools", repr(name), allowed, "correct the name or the pattern"))
        found += [str(path) for path in met]
    return list(dict.fromkeys(found))


def _of_pool(address: str, plan: dict[str, Any], reforms: dict[str, Reform]) -> list[Piece]:
    from forecaster.certificate import read_record
    from forecaster.fitted import load_fit
    from forecaster.pools import find_pool
    from forecaster.sweep import LAW, Piece, inputs_of, law_of

    pool = find_pool(address)
    fit, law = load_fit(pool), law_of(address, None)
    horizon, draws = plan.get("horizon", DEFAULT_HORIZON), plan.get("draws")
    if horizon < pool.first_year:
        raise ForecasterError(f"the forecast begins in {pool.first_year}; a horizon of {horizon} lies before it")
    _check_law(law, horizon)
    if draws is not None and draws > (held := len(next(iter(fit.posterior.values())))):
        raise ForecasterError(f"{draws} draws wanted; the fit holds {held}")
    record = read_record(pool, fit.manifest["inputs"])
    scenarios = {LAW: (), **{name: tuple(map(str, reform.changes)) for name, reform in reforms.items()}}
    _check_scenarios(law, scenarios)
    return [
        Piece(
            name=pool.name,
            law=address,
            basis=None,
            scenarios=tuple(scenarios.items()),
            horizon=horizon,
            draws=draws,
            seed=seed,
            backtest=record.status,
            inputs=inputs_of(address, None),
        )
        for seed in plan.get("seeds") or [int(fit.manifest["seed"])]
    ]


def _of_basis(entry: dict[str, str], plan: dict[str, Any], reforms: dict[str, Reform], folder: Path) -> Piece:
    from forecaster.cli.shared import read_given
    from forecaster.schemes import load_scheme
    from forecaster.sweep import LAW, Piece, inputs_of

    # Shipped ones stay names, so that a worker finds them in its own installation.
    scheme, file = (str(folder / text) if text.endswith(".toml") else text for text in (entry["law"], entry["file"]))
    given = read_given(load_scheme(scheme), file, plan.get("horizon"), None)
    taken = tuple(map(str, given.law.change.changes))
    reformed = {name: given.reformed(reform) or given.law for name, reform in reforms.items()}
    scenarios = {LAW: taken, **{name: tuple(map(str, policy.change.changes)) for name, policy in reformed.items()}}
    return Piece(
        name=entry["name"],
        law=scheme,
        basis=file,
        scenarios=tuple(scenarios.items()),
        horizon=plan.get("horizon"),
        draws=None,
        seed=None,
        backtest="no model",
        inputs=inputs_of(scheme, file),
    )


def _check_law(law: Scheme, horizon: int) -> None:
    if law.end is not None and horizon > law.end.year:
        raise ForecasterError(f"{law.id} was law until {law.end}; a horizon of {horizon} lies after it")


def _check_scenarios(law: Scheme, scenarios: dict[str, tuple[str, ...]]) -> None:
    from forecaster.policy import Policy, Reform

    for name, changes in scenarios.items():
        try:
            Policy(law, Reform.parse(changes))
        except ForecasterError as error:
            raise ForecasterError(f"scenario {name}: {error}") from None
