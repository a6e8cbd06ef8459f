"""``forecaster people``: how wide the population's bands are, and what came of earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.shared import Json, console, error_console, print_json

if TYPE_CHECKING:
    import pandas as pd

SHOWN_AHEAD = (5, 10, 25, 50)


def people(
    place: Annotated[
        str | None, typer.Argument(metavar="[PLACE]", help="Country whose bands are shown, such as TWN; all of them.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fit the seven places at every revision anew (some minutes) and store it.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show the population's bands beside the United Nations' own, and how often earlier ones held what came.

    Example: forecaster people TWN
    """
    import pandas as pd

    from forecaster.demography.tables import check_place
    from forecaster.errors import ForecasterError
    from forecaster.resources import data_dir

    folder = data_dir() / "backtests" / "demography"
    code = None if place is None else check_place(place)
    if again:
        from forecaster_models.demography_record import make_record

        with error_console().status("fitting ...") as status:
            make_record(folder, lambda share, name: status.update(f"{share:4.0%} {name}"))
    try:
        wide, judged = (pd.read_csv(folder / f"{name}.csv") for name in ("widths", "summary"))
    except OSError as error:
        raise ForecasterError(
            f"no record of the population's bands ({error.strerror}); make one with: forecaster people --again"
        ) from None
    if code is not None:
        wide = wide[wide["place"] == code]
    if json_:
        print_json({"widths": wide.to_dict("records"), "held": judged.to_dict("records")})
        return
    _print(wide, judged, code)


def _print(wide: pd.DataFrame, judged: pd.DataFrame, code: str | None) -> None:
    from rich.table import Table

    table = Table("quantity")
    for ahead in SHOWN_AHEAD:
        table.add_column(f"{ahead} years", justify="right")
    least = wide.pivot_table(index="quantity", columns="ahead", values="ratio80", aggfunc="min")
    for quantity, row in least.iterrows():
        table.add_row(str(quantity), *(f"{row[ahead]:.2f}" for ahead in SHOWN_AHEAD))
    screen = console()
    whose = code or "the narrowest of seven places"
    screen.print(f"Width of our 80% band over the United Nations' own (WPP 2024; 65+: WPP 2022), {whose}", style="bold")
    screen.print(table)
    table = Table("revisions", "quantity")
    for column in ("cases", "80% held", "UN's", "95% held", "UN's", "error", "UN's"):
        table.add_column(column, justify="right")
    for case in judged.to_dict("records"):
        shares = [case[name] for name in ("held80", "wpp_held80", "held95", "wpp_held95")]
        sizes = [case[name] for name in ("error", "wpp_error")]
        table.add_row(
            str(case["vintages"]),
            str(case["quantity"]),
            str(case["n"]),
            *(_told(value, f"{value:.0%}") for value in shares),
            *(_told(value, f"{value:.3f}") for value in sizes),
        )
    screen.print("\nBands made from what earlier revisions knew, held against WPP 2024, seven places", style="bold")
    screen.print(table)
    screen.print(
        "Errors are mean sizes of the median's, in logs (e0: years). The cases share years and shocks, and some priors "
        "were widened after a look at them: a check of width, no proof (models/cards)."
    )


def _told(value: Any, text: str) -> str:
    return "" if value != value else text
