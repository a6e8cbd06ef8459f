"""``forecaster backtest``: refit on what was known in earlier years and hold the forecasts against what came."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, error_console, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from forecaster.certificate import Backtest

STOPPED = 130
# Horizons of the printed tables; the files hold all.
SHOWN = ("1", "3", "5", "10")
LABELS = {"reserve_months": "months"}


def backtest(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Pool whose models are judged, such as tw_nhi.")],
    origins: Annotated[
        str | None,
        typer.Option("--origins", metavar="YEARS", help="2013:2024 or 2013,2016; the last twelve when left out."),
    ] = None,
    horizon: Annotated[int, typer.Option("--horizon", help="Years ahead from every origin.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder that holds a folder for each pool's backtest."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick/--full", help="Settings of a quick fit (the default), or of a full one.")
    ] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew instead of resuming finished origins.")] = False,
    json_: Json = False,
) -> None:
    """Backtest a pool's models: refit at the end of each origin year, forecast, score, certify.

    Finished origins are kept, so that a stopped backtest resumes.
    """
    from forecaster.cli.recording import keep_if_configured
    from forecaster.pools import find_pool
    from forecaster.replay import record_backtest
    from forecaster_models.backtest import backtest_pool

    with _Bar() as bar:
        try:
            result = backtest_pool(
                pool, origins=origins, horizon=horizon, out=out, quick=quick, fresh=fresh, progress=bar
            )
        except KeyboardInterrupt:
            stopped = True
        else:
            stopped = False
    if stopped:
        error_console().print(
            f"Stopped. {bar.finished} finished origins are kept; the same command goes on from there.", soft_wrap=True
        )
        raise typer.Exit(STOPPED)
    keep_if_configured(lambda store: record_backtest(store, find_pool(pool), result.folder, "backtested"))
    if json_:
        print_json({**result.certificate, "folder": str(result.folder)})
    else:
        _print(result)


class _Bar:
    """One bar over all origins with the time left; what each of the two running ones does stands beside it."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[message]}", markup=False),
            console=error_console(),
            speed_estimate_period=900,
        )
        self.task = self.progress.add_task("origins", total=1.0, message="")
        self.shares: dict[int, float] = {}
        self.messages: dict[int, str] = {}

    def __enter__(self) -> _Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    @property
    def finished(self) -> int:
        """Origins that are done."""
        return sum(share >= 1.0 for share in self.shares.values())

    def __call__(self, origin: int, share_done: float, message: str) -> None:
        self.shares[origin] = share_done
        self.messages[origin] = message
        running = [year for year, share in sorted(self.shares.items()) if 0.0 < share < 1.0]
        text = ", ".join(f"{year}: {self.messages[year]}" for year in running)
        # Every origin is told of once before the first begins, so that the whole is known.
        whole = float(len(self.shares))
        self.progress.update(self.task, total=whole, completed=sum(self.shares.values()), message=text)


def _print(result: Backtest) -> None:
    from forecaster.certificate import certificate_lines, coverage_warnings
    from forecaster.scores import MODEL, QUESTIONS

    screen = console()
    for text in coverage_warnings(result.certificate):
        screen.print(text, style="bold")
    for question, words in QUESTIONS.items():
        _print_bands(screen, result, question, words)
    _print_rivals(screen, result, MODEL)
    _print_officials(screen, result)
    screen.print("\nCalibration certificate", style="bold")
    for line in certificate_lines(result.certificate):
        screen.print(f"- {line}")
    screen.print(f"Report and certificate written to {result.folder}", soft_wrap=True)


def _print_bands(screen: Console, result: Backtest, question: str, words: str) -> None:
    from forecaster.scores import MEASURES

    table = _table("line", "outcomes", "worth", "50% band", "80% band", "95% band", "bias", "error")
    found = result.certificate["questions"][question]
    records = {"all": found["all"], "1-5 years": found["one_to_five_years"]}
    records |= {line: found["lines"][line] for line in MEASURES}
    for line, record in records.items():
        n = record["n"]
        if not n:
            continue
        held = [f"{count / n:.0%}" for count in record["held"].values()]
        errors = (
            ["", ""] if line not in MEASURES else [_error(line, record["bias"], "+"), _error(line, record["mae"], "")]
        )
        table.add_row(LABELS.get(line, line), str(n), f"{record['n_effective']:.1f}", *held, *errors)
    screen.print(f"\nShare of outcomes that the bands held, {words}", style="bold")
    screen.print(table)


def _error(line: str, value: float, sign: str) -> str:
    """An error in its line's measure: about percent, percent of the year's outgo, or months."""
    return f"{value:{sign}.2f} mo." if line == "reserve_months" else f"{100 * value:{sign}.1f}%"


def _print_rivals(screen: Console, result: Backtest, question: str) -> None:
    from forecaster.scores import QUESTIONS, RULE_LABELS, comparison_table

    found = comparison_table(result.report, question)
    rules = [rule for rule in RULE_LABELS if rule in set(found["rule"])]
    if not rules:
        return
    table = _table("line", "ahead", "n", "ours", *(rule.replace("_", " ") for rule in rules))
    cells: dict[Any, dict[Any, dict[Any, Any]]] = {}
    for row in found[found["horizon"].astype(str).isin(SHOWN)].to_dict("records"):
        cells.setdefault((row["line"], row["horizon"]), {})[row["rule"]] = row
    for (line, ahead), rows in cells.items():
        first = next(iter(rows.values()))
        figures = [_rival(rows[rule]) if rule in rows else "" for rule in rules]
        table.add_row(LABELS.get(line, line), str(ahead), str(first["n"]), f"{first['ours']:.4f}", *figures)
    screen.print(f"\nMean CRPS, smaller is better, {QUESTIONS[question]}; * marks a rule that did better", style="bold")
    screen.print(table)
    screen.print("; ".join(f"{rule.replace('_', ' ')}: {RULE_LABELS[rule]}" for rule in rules))


def _rival(row: dict[Any, Any]) -> str:
    return f"{row['rival']:.4f}{'*' if row['rival'] < row['ours'] else ' '}"


def _print_officials(screen: Console, result: Backtest) -> None:
    if not len(result.officials):
        return
    table = _table("made", "for", "line", "official", "ours", "80% band", "later", "closer")
    for row in result.officials.to_dict("records"):
        closer = "ours" if abs(row["our_error"]) < abs(row["official_error"]) else "theirs"
        form = ".2f" if row["unit"] == "months" else ".1f"
        figures = (format(row[name], form) for name in ("official", "ours"))
        band, later = f"{row['q10']:{form}} to {row['q90']:{form}}", format(row["later"], form)
        table.add_row(
            str(row["made"])[:7],
            str(row["target"]),
            LABELS.get(row["line"], row["line"]),
            *figures,
            band,
            later,
            closer,
        )
    screen.print("\nOfficials' forecasts, and ours from the end of the year before theirs was made", style="bold")
    screen.print(table)


def _table(*columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(columns):
        left = i == 0 or name in {"line", "closer"}
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    return table
