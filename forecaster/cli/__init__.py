"""The command line: ``forecaster project | compare | solve | check | sources | fit | backtest | dashboard``.

At the top of these modules stands only what ``--help`` needs; every room is imported inside the command that uses it.
What a user can mend is told in plain words on standard error with exit code 2, never as a traceback.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from forecaster.cli import (
    adjustment,
    ageing,
    backtest,
    check,
    compare,
    dashboard,
    diagnose,
    drivers,
    effects,
    enrolment,
    fit,
    people,
    pool,
    project,
    reconcile,
    report,
    runs,
    solve,
    sources,
    stack,
    sweep,
    theories,
    transplant,
    valuation,
    who_pays,
)
from forecaster.errors import ForecasterError


class _Plain(TyperGroup):
    """Tells a user's error as what it is."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ForecasterError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(2) from None


app = typer.Typer(
    name="forecaster",
    cls=_Plain,
    help="Forecast the fund of a medical insurance pool under its law and under reforms, with probabilities.",
    epilog="A rate is a share: 5.57% is written 0.0557. docs/cli.md explains every command with examples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the plain help needs a third of the time
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    project.project,
    compare.compare,
    solve.solve,
    check.check,
    effects.effects,
    enrolment.enrolment,
    adjustment.adjustment,
    transplant.transplant,
    who_pays.who_pays,
    drivers.drivers,
    valuation.valuation,
    stack.stack,
    stack.spiral,
    sweep.sweep,
    sources.sources,
    fit.fit,
    backtest.backtest,
    diagnose.diagnose,
    people.people,
    ageing.ageing,
    theories.theories,
    reconcile.reconcile,
    report.report,
    dashboard.dashboard,
):
    app.command()(_command)
app.add_typer(pool.pool, name="pool")
app.add_typer(runs.runs, name="runs")


def _version(wanted: bool) -> None:
    if wanted:
        from forecaster import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the ``forecaster`` command."""
    app()
