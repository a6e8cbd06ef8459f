"""``forecaster sources``: where every figure comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from forecaster.cli.shared import Json, console, print_json

COLUMNS = ("id", "title", "publisher", "date", "link", "note")


def sources(
    place: Annotated[
        str | None,
        typer.Argument(metavar="[PLACE]", help="Only those of one place: twn, chn; demography for the population."),
    ] = None,
    json_: Json = False,
) -> None:
    """List the sources with title, publisher, date and link."""
    rows = source_rows(place)
    if json_:
        print_json(rows)
        return
    from rich.table import Table

    table = Table(show_lines=False)
    table.add_column("id", no_wrap=True)
    table.add_column("date")
    table.add_column("source", overflow="fold", ratio=1)
    for row in rows:
        table.add_row(row["id"], row["date"], "\n".join(x for x in (row["title"], row["publisher"], row["link"]) if x))
    screen = console()
    screen.print(table)
    screen.print(f"{len(rows)} sources")


def source_rows(place: str | None) -> list[dict[str, str]]:
    """Sources as dictionaries with the keys of :data:`COLUMNS`; all of them when no place is named."""
    import csv

    from forecaster.observations import list_sources
    from forecaster.resources import data_dir

    rows: list[dict[str, str]] = []
    if place != "demography":
        frame = list_sources(None if place is None else place.lower())
        rows += [{key: str(row[key]) for key in COLUMNS} for row in frame.to_dict("records")]
    if place in {None, "demography"}:
        with (data_dir() / "demography" / "sources.csv").open(encoding="utf-8", newline="") as stream:
            rows += [
                {key: row.get(key, "") for key in COLUMNS} | {"note": row["words"]} for row in csv.DictReader(stream)
            ]
    return rows
