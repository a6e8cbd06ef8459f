"""``forecaster pool population``: the people of a country whose tables are not shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from forecaster.cli.shared import Json, console, error_console, print_json
from forecaster.errors import ForecasterError

POPULATION = "population.nc"


def population(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pool's folder.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV or XLSX files of the UN, or your own (docs/pools.md).")
    ],
    last_estimate: Annotated[
        int | None,
        typer.Option("--last-estimate", metavar="YEAR", help="Last year that is no projection, of your own tables."),
    ] = None,
    json_: Json = False,
) -> None:
    """Import the population of the pool's country: the UN's files as downloaded, or tables of your own.

    Example: forecaster pool population my_fund WPP2024_*.csv.gz
    """
    from forecaster.demography.own import stored_bytes, tables_of
    from forecaster.demography.own_files import read_given
    from forecaster.export import write_file

    pool_file, country = _pool_file(Path(name))
    with error_console().status("reading the files ..."):
        given = read_given(files, country, last_estimate)
        tables, notes = tables_of(given)
    write_file(pool_file.with_name(POPULATION), stored_bytes(tables, given.name, given.sources, notes))
    write_file(pool_file, _naming(pool_file.read_text(encoding="utf-8")).encode())
    at = tables.last_estimate_year
    answer: dict[str, Any] = {
        "file": str(pool_file.with_name(POPULATION)),
        "country": given.name,
        "years": [int(tables.years[0]), int(tables.years[-1])],
        "last_estimate": at,
        "persons": float(tables.population_at(at).sum()),
        "life_expectancy": [float(value) for value in tables.e0[tables.years == at][0]],
        "children_per_woman": float(tables.tfr[tables.years == at][0]),
        "net_migrants": float(tables.net_migration[tables.years == at][0]),
        "sources": list(given.sources),
        "derived": list(notes),
    }
    if json_:
        print_json(answer)
        return
    screen = console()
    men, women = answer["life_expectancy"]
    screen.print(f"{given.name}, estimates of {tables.years[0]} to {at}, then a projection to {tables.years[-1]}:")
    screen.print(f"  people on 1 January {at}   {answer['persons'] / 1e6:.3f} million")
    screen.print(f"  life expectancy          {men:.1f} years of men, {women:.1f} of women")
    screen.print(f"  children per woman       {answer['children_per_woman']:.2f}")
    screen.print(f"  net migrants             {answer['net_migrants']:,.0f}")
    screen.print("Hold these against what you know. Derived:")
    for text in notes:
        screen.print(f"  - {text}", soft_wrap=True)
    screen.print(f"Written to {answer['file']}; next: forecaster pool check {name}", soft_wrap=True)


def _pool_file(folder: Path) -> tuple[Path, str]:
    """The pool's file and the country it names, in capitals."""
    import tomllib

    from forecaster.pools import POOL_FILE

    path = folder / POOL_FILE
    try:
        country = tomllib.loads(path.read_text(encoding="utf-8"))["country"]
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError):
        hint = f"forecaster pool new {folder} --country FRA"
        raise ForecasterError(f"{path} names no country; make a pool first: {hint}") from None
    return path, str(country).upper()


def _naming(text: str) -> str:
    """The pool's file, naming the imported tables below its country; comments and order stay."""
    import tomlkit

    content = tomlkit.parse(text)
    if content.get("population") == POPULATION:
        return text
    content.pop("population", None)
    line = f'population = "{POPULATION}"   # its people, imported by: forecaster pool population'
    lines = tomlkit.dumps(content).splitlines()
    at = next(i for i, found in enumerate(lines) if found.split("=")[0].strip() == "country")
    return "\n".join([*lines[: at + 1], line, *lines[at + 1 :]]) + "\n"
