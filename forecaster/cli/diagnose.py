"""``forecaster diagnose``: the verdict on a fit and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecaster.cli.shared import Fits, Json, console, error_console, print_json


def diagnose(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Pool whose fit is looked at, such as tw_nhi.")],
    fits: Fits = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for pictures (PNG).")] = None,
    json_: Json = False,
) -> None:
    """Show how the chains of a fit did and draw them: traces, ranks, priors beside posteriors, predicted past.

    Example: forecaster diagnose tw_nhi --out pictures
    """
    from forecaster.cli.fit import apart_lines
    from forecaster.fitted import load_fit

    fit = load_fit(pool, fits)
    written: list[Path] = []
    if out is not None:
        from forecaster_models.pictures import draw_pictures

        with error_console().status("drawing ...") as status:
            written = draw_pictures(fit, out, lambda share, name: status.update(f"{share:4.0%} {name}"))
    if json_:
        pictures = [str(path) for path in written]
        print_json({"pool": fit.pool.name, "blocks": fit.manifest["blocks"], "pictures": pictures})
        return
    from rich.table import Table

    table = Table("block")
    for column in ("accepted", "r-hat", "bulk ESS", "tail ESS", "divergences", "E-BFMI", "seconds"):
        table.add_column(column, justify="right")
    for name, verdict in fit.manifest["blocks"].items():
        table.add_row(
            name,
            "yes" if verdict["accepted"] else "no",
            f"{verdict['max_rhat']:.3f}",
            f"{verdict['min_ess_bulk']:.0f}",
            f"{verdict['min_ess_tail']:.0f}",
            str(verdict["divergences"]),
            f"{verdict['min_ebfmi']:.2f}",
            f"{verdict.get('seconds', float('nan')):.0f}",
        )
    screen = console()
    screen.print(f"Fit of {fit.pool.name}, {fit.manifest['hash'][:12]}")
    screen.print(table)
    screen.print("Wanted: r-hat at most 1.01, both ESS at least 400, no divergences, E-BFMI above 0.3.")
    for line in apart_lines(fit.manifest["blocks"]):
        screen.print(line, soft_wrap=True)
    if written:
        screen.print(f"{len(written)} pictures in {out}", soft_wrap=True)
    else:
        screen.print("--out DIR draws the chains, their ranks, priors beside posteriors, and the predicted past.")
