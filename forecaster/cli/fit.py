"""``forecaster fit``: fit the Bayesian models of a pool, block by block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, error_console, print_json

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

    from forecaster.pools import Pool

# Of the parameters that a refit moved, so many are printed.
_SHOWN = 8
# Share of the parameters that may lie outside the 90% interval of an earlier fit that was right.
_EXPECTED_OUTSIDE = 0.1


def fit(
    pool: Annotated[
        str, typer.Argument(metavar="POOL", help="Pool to fit: tw_nhi, or the folder of a pool of your own.")
    ],
    quick: Annotated[bool, typer.Option("--quick", help="Fewer draws, same gates; replaces no full fit.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder that holds a folder for each pool's fit."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of the sampler, another than the reference's.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew instead of resuming finished blocks.")] = False,
    priors: Annotated[
        Path | None, typer.Option("--priors", metavar="FILE", help="Priors of your own, laid over the defaults.")
    ] = None,
    json_: Json = False,
) -> None:
    """Fit a pool's Bayesian models.

    Finished blocks are kept, so that a stopped fit resumes. Exit code 1 when the gates on convergence reject the fit.
    A fit that stands in the same folder is the check of the new one: what moved beyond its 90% interval is told.
    """
    from forecaster.cli.recording import keep_if_configured
    from forecaster.pools import find_pool
    from forecaster.replay import record_fit
    from forecaster_models.fit import fit_pool

    found = find_pool(pool)
    folder = default_folder(found, quick) if out is None else out
    chosen: dict[str, Any] = {} if seed is None else {"seed": seed}
    chosen |= {} if priors is None else {"priors": priors}
    before = learnt_before(folder / found.name)
    with _Bars() as bars:
        manifest = fit_pool(found, out=folder, quick=quick, fresh=fresh, progress=bars, **chosen)
    moved = against_previous(before, folder / found.name)
    keep_if_configured(lambda store: record_fit(store, found, folder / found.name, "fitted"))
    if json_:
        print_json({**manifest, "against_previous": moved})
    else:
        _print(manifest, folder, found)
        if moved is not None:
            print_moved(moved)
    if not manifest["accepted"]:
        raise typer.Exit(1)


def default_folder(pool: Pool, quick: bool) -> Path:
    """Where a fit goes: a full one becomes the pool's reference, a quick one that of one's own pool without any."""
    return pool.fits if not quick or (pool.folder is not None and not _has_full_fit(pool)) else Path("fits")


def _has_full_fit(pool: Pool) -> bool:
    """Whether a fit of the full settings stands in the pool's folder; one that cannot be read is kept as such."""
    try:
        return not json.loads((pool.fits / pool.name / "manifest.json").read_text(encoding="utf-8"))["quick"]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True


def learnt_before(folder: Path) -> tuple[str, DataFrame] | None:
    """Hash, and table of priors and posteriors, of the accepted fit that stands in a folder; None where none does."""
    import json

    import pandas as pd

    from forecaster.reconcile import LEARNT

    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        table = pd.read_csv(folder / "priors.csv")
        # Of another version it may lack what is compared; the fit at hand must not end over that.
        whole = manifest["accepted"] and set(LEARNT) <= set(table)
        return (str(manifest["hash"]), table) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def against_previous(before: tuple[str, DataFrame] | None, folder: Path) -> dict[str, Any] | None:
    """What the fit in a folder has learnt otherwise than the one before it.

    Returns
    -------
    dict or None
        ``fit`` (hash of the one before), ``parameters`` (how many both have), ``outside``: those whose new median lies
        outside the earlier 90% interval, see :func:`forecaster.reconcile.learnt_otherwise`. None where there was no fit
        before, or the same one.
    """
    from forecaster.reconcile import learnt_otherwise

    after = learnt_before(folder)
    if before is None or after is None or before[0] == after[0]:
        return None
    table = learnt_otherwise(before[1], after[1])
    outside = table[table["outside"]].drop(columns="outside").to_dict("records")
    return {"fit": before[0], "parameters": len(table), "outside": outside}


class _Bars:
    """One line a block with its share done, its message and the time it took."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[message]}", markup=False),
        )
        self.progress = Progress(*columns, console=error_console())
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, block: str, share_done: float, message: str) -> None:
        if block not in self.tasks:
            self.tasks[block] = self.progress.add_task(block, total=1.0, message=message)
        self.progress.update(self.tasks[block], completed=min(max(share_done, 0.0), 1.0), message=message)


def apart_lines(blocks: dict[str, Any]) -> list[str]:
    """A line for every kind of figure of which years count for little in a fit, because they stand apart."""
    return [
        f"Counted for little, since it stands apart from the other years: {line} of {', '.join(map(str, years))}"
        for block in blocks.values()
        for line, years in block.get("apart", {}).items()
    ]


def _print(manifest: dict[str, Any], folder: Path, pool: Pool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    screen = console()
    table = Table(box=SIMPLE_HEAD)
    for name in ("block", "verdict", "r-hat", "ESS bulk", "ESS tail", "diverged", "E-BFMI", "seconds"):
        table.add_column(name, justify="left" if name in {"block", "verdict"} else "right", no_wrap=name == "verdict")
    for name, block in manifest["blocks"].items():
        verdict = "accepted" if block["accepted"] else "rejected"
        figures = [
            _cell(block, key, text)
            for key, text in (
                ("max_rhat", ".4f"),
                ("min_ess_bulk", ",.0f"),
                ("min_ess_tail", ",.0f"),
                ("divergences", "d"),
                ("min_ebfmi", ".2f"),
                ("seconds", ".1f"),
            )
        ]
        table.add_row(name, verdict, *figures)
    screen.print("Convergence by block", style="bold")
    screen.print(table)
    for name, block in manifest["blocks"].items():
        for reason in block.get("reasons", ()):
            screen.print(f"{name}: {reason}")
    for line in apart_lines(manifest["blocks"]):
        screen.print(line, soft_wrap=True)
    _print_learnt(screen, manifest, folder / manifest["pool"])
    if manifest["accepted"]:
        screen.print(f"Accepted; written to {folder / manifest['pool']}", soft_wrap=True)
        if pool.model == "plain":
            _print_plain(screen, pool, folder)
    else:
        screen.print("Rejected: no forecast can be made from this fit.", style="bold")


def _print_learnt(screen: Console, manifest: dict[str, Any], folder: Path) -> None:
    """Whether the priors alone make sense, and which of them the data contradict."""
    absurd = manifest.get("absurd_futures")
    if not absurd:
        return
    import pandas as pd

    from forecaster_models.checks import ABSURD_GROWTH, contradicted

    low, high = ABSURD_GROWTH
    screen.print(
        f"Futures in which outgo grows by less than {low:.0%} or more than {high:.0%} a year over ten years: "
        f"{absurd['prior']:.1%} under the priors alone, {absurd['posterior']:.1%} with the data",
        soft_wrap=True,
    )
    names = contradicted(pd.read_csv(folder / "priors.csv"))
    if names:
        screen.print(f"The data contradict the priors of: {', '.join(names)}", soft_wrap=True)
    screen.print(f"Every prior beside its posterior: {folder / 'priors.csv'}", soft_wrap=True)


def print_moved(moved: dict[str, Any]) -> None:
    """What :func:`against_previous` found, the farthest moved first."""
    screen = console()
    outside, n = moved["outside"], moved["parameters"]
    screen.print(
        f"Against the fit before ({moved['fit'][:12]}): {len(outside)} of {n} parameters lie outside its 90% interval. "
        "If that fit was right, new figures put fewer than one in ten there.",
        soft_wrap=True,
    )
    for row in outside[:_SHOWN]:
        name, far = f"{row['block']} {row['name']}", f"{row['moved']:+.1f} of its standard deviations"
        screen.print(f"- {name}: {row['before']:.3g} -> {row['after']:.3g} ({far})", soft_wrap=True)
    if len(outside) > _EXPECTED_OUTSIDE * n:
        screen.print(
            "That is more: the two fits disagree. Look at the figures that came since (forecaster pool check); declare "
            "what moved them, a loan or another perimeter (docs/pools.md); if true, the fit before was too sure.",
            soft_wrap=True,
        )
    screen.print("What it does to the result: forecaster reconcile, of two kept projections (docs/runs.md)")


def _print_plain(screen: Console, pool: Pool, folder: Path) -> None:
    """What a plain pool's forecast rests on, and what comes next."""
    from forecaster.fitted import load_fit

    basis = load_fit(pool, folder).basis(pool.first_year)
    screen.print(
        "\nLearnt from the accounts: yearly income, outgo, reserve, premium rate. On priors alone, or assumed:"
    )
    for text in basis.assumptions:
        screen.print(f"- {text}", soft_wrap=True)
    kept = "" if folder == pool.fits else f" --fits {folder}"
    screen.print(f"Next: forecaster project {pool.address}{kept}", soft_wrap=True)


def _cell(block: dict[str, Any], key: str, text: str) -> str:
    value = block.get(key)
    return "" if value is None else format(value, text)
