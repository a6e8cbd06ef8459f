"""``forecaster pool new | check``: a pool of the user's own, from an empty folder to figures that can be fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecaster.cli.intake import import_accounts
from forecaster.cli.population import population
from forecaster.cli.shared import Json, console, print_json
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    from forecaster.pools import Pool

pool = typer.Typer(
    help="Make, fill and check a pool of your own: yearly income, outgo, reserve and premium rate.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

pool.command("import")(import_accounts)
pool.command()(population)


@pool.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Folder to make; its last part names the pool.")],
    country: Annotated[str, typer.Option("--country", metavar="ISO3", help="Three-letter code, such as DEU.")],
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="ISO", help="Such as EUR; the country's own when left out.")
    ] = None,
    unit: Annotated[
        str, typer.Option("--unit", help="In which the money is counted: bn (thousand millions), m, thousand, one.")
    ] = "m",
) -> None:
    """Make a folder with a commented pool.toml, scheme.toml and an accounts.csv to be filled in.

    Example: forecaster pool new my_fund --country DEU --unit bn
    """
    folder = Path(name)
    written = make_folder(folder, country, currency, unit)
    screen = console()
    screen.print(f"Made {folder}:")
    for path, what in written.items():
        screen.print(f"  {path.name:14}{what}")
    screen.print(f"Fill in accounts.csv, then: forecaster pool check {folder}", soft_wrap=True)
    screen.print(f"Or fill in a workbook, then: forecaster pool import {folder} {folder / WORKBOOK}", soft_wrap=True)


def make_folder(folder: Path, country: str, currency: str | None, unit: str) -> dict[Path, str]:
    """Write the three files.

    Returns
    -------
    dict
        Path to what it is for.

    Raises
    ------
    ForecasterError
        When the folder exists, the name is taken or cannot be one, or country, currency or unit are unknown.
    """
    import re

    from forecaster.pools import ACCOUNTS_FILE, POOL_FILE, SCHEME_FILE, UNITS, pool_names

    code, usual = _country(country)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", folder.name):
        raise ForecasterError(f"{folder.name!r} is no name of a pool: letters, digits, _ and - only")
    if folder.name in pool_names():
        raise ForecasterError(f"{folder.name} is the name of a shipped pool; choose another")
    if folder.exists():
        raise ForecasterError(f"{folder} exists already; choose another name")
    if unit not in UNITS:
        raise ForecasterError(f"--unit {unit}: allowed are {', '.join(UNITS)}")
    money = currency or usual
    if not re.fullmatch(r"[A-Z]{3}", money):
        raise ForecasterError(f"--currency {money}: write its three capital letters, such as EUR")
    filled = {"@NAME@": folder.name, "@COUNTRY@": code, "@CURRENCY@": money, "@UNIT@": unit}
    files = {
        POOL_FILE: (_POOL, "name, country, currency and unit; declarations about odd years"),
        SCHEME_FILE: (_SCHEME, "the law: premium rate, who pays it, wanted reserve"),
        ACCOUNTS_FILE: (_ACCOUNTS, "to be filled in: one row a year"),
    }
    try:
        folder.mkdir(parents=True)
        for file, (text, _) in files.items():
            for mark, value in filled.items():
                text = text.replace(mark, value)
            (folder / file).write_text(text, encoding="utf-8")
        (folder / WORKBOOK).write_bytes(_workbook(f"{money} {unit}"))
    except OSError as error:
        raise ForecasterError(f"cannot write {folder}: {error.strerror}") from None
    told = {folder / file: what for file, (_, what) in files.items()}
    return {**told, folder / WORKBOOK: "the same as a workbook, for those who prefer one"}


def _country(country: str) -> tuple[str, str]:
    """Three-letter code of a country and its currency today."""
    from babel.core import get_global
    from babel.numbers import get_territory_currencies

    code = country.upper()
    short = list(get_global("territory_aliases").get(code, [])) if len(code) == 3 and code.isalpha() else []
    money = get_territory_currencies(short[0]) if len(short) == 1 else []
    if not money:
        raise ForecasterError(f"--country {country}: no country of this three-letter code (ISO 3166), such as DEU")
    return code, str(money[-1])


def _workbook(money: str) -> bytes:
    """The accounts to be filled in as a workbook: one sheet for the figures, one that explains the columns."""
    import pandas as pd

    from forecaster.export import workbook_bytes

    headings = [f"{name} [{money}]" if name in {"income", "outgo", "reserve"} else name for name in _COLUMN_NOTES]
    empty = pd.DataFrame({heading: pd.Series(dtype=float) for heading in headings})
    explained = pd.DataFrame(list(_COLUMN_NOTES.items()), columns=["column", "meaning"])
    about = {
        "What this is": "yearly accounts of a fund; fill in the sheet `accounts`, one row a year",
        "Money": f"{money}, nominal, as pool.toml has it; another unit is stated in the headings, such as [EUR bn]",
        "Unknown figures": "leave the cell empty; it is estimated",
        "Then": "forecaster pool import POOL FILE",
    }
    return workbook_bytes({"accounts": empty, "explained": explained}, about=about, dictionary=False)


@pool.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pool's folder.")],
    json_: Json = False,
) -> None:
    """Check a pool's files before anything is fitted: every fault with its row and how to mend it."""
    found = findings(name)
    if json_:
        print_json(found)
        return
    screen = console()
    screen.print(f"{found['label']}: sound. Money in {found['money']}, nominal.", style="bold")
    first, last = found["years"]
    screen.print(f"Accounts of {first} to {last}; the forecast begins in {last + 1}.")
    for line, years in found["missing"].items():
        if years:
            then = "the last one before is taken, or else the first" if line == "rate" else "estimated in the fit"
            screen.print(f"  {line}: no figure for {_spans(years)}; {then}", soft_wrap=True)
    for line, years in found["unguarded"].items():
        words = "nothing beside it would show a slipped digit, compare it with the source"
        screen.print(f"  {line} of {_spans(years)}: {words}", soft_wrap=True)
    for item in found["adjustments"]:
        screen.print(f"  declared: {item['year']} {item['amount']:+g} {found['money']}, {item['reason']}")
    for item in found["breaks"]:
        years = _spans(list(range(item["first"], item["last"] + 1)))
        screen.print(f"  declared: {item['line']} of {years} on another footing ({item['kind']}), {item['reason']}")
    screen.print(f"Premium rate in force: {found['rate']:.4%}")
    screen.print(f"Next: forecaster fit {name}", soft_wrap=True)


def _spans(years: list[int]) -> str:
    """Years as people write them: 2001-2004, 2007."""
    runs: list[list[int]] = []
    for year in years:
        if runs and year == runs[-1][-1] + 1:
            runs[-1].append(year)
        else:
            runs.append([year])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def findings(name: str) -> dict[str, Any]:
    """What a sound pool holds.

    Raises
    ------
    FaultyInput
        With the faults of the first file that has any.
    """
    import numpy as np

    from forecaster.pool_accounts import COLUMNS
    from forecaster.pool_doubts import unguarded
    from forecaster.pools import find_pool, known_accounts

    own = find_pool(name)
    _check_people(own)
    accounts, law = known_accounts(own), own.law
    return {
        "pool": own.name,
        "label": own.label,
        "money": own.money,
        "years": [int(accounts.years[0]), int(accounts.years[-1])],
        "missing": {line: accounts.years[np.isnan(getattr(accounts, line))].tolist() for line in COLUMNS},
        "unguarded": unguarded(accounts, own.confirmed),
        "adjustments": [item.model_dump() for item in own.adjustments],
        "breaks": [item.model_dump() for item in own.breaks],
        "rate": law.parameter("general_premium_rate").in_force()[-1][1],
        "scheme": law.content_hash,
    }


def _check_people(own: Pool) -> None:
    """The tables of the country's people are there, shipped or imported.

    Raises
    ------
    ForecasterError
        When they are not, or are of another country.
    """
    from forecaster.demography.tables import PLACES, load_wpp
    from forecaster.pools import POOL_FILE

    code = own.place.upper()
    if own.population is None and code not in PLACES:
        raise ForecasterError(
            f"{own.folder}/{POOL_FILE}: country {code}: its population is not shipped, as {', '.join(PLACES)} are; "
            f"import it: forecaster pool population {own.folder} FILE... (docs/pools.md says which files)"
        )
    if (held := load_wpp(own.people).place) != code:
        raise ForecasterError(f"{own.population} holds the people of {held}, but {POOL_FILE} says {code}; import again")


WORKBOOK = "accounts.xlsx"
_COLUMN_NOTES = {
    "year": "calendar year, four digits",
    "income": "all income of the year",
    "outgo": "all spending of the year",
    "reserve": "what the fund holds at the end of the year; negative when it owes",
    "rate": "premium rate of the year as a share (0.146, not 14.6), the mean if it changed; without one write 1 once",
    "note": "free text; may be left out",
}

_POOL = """\
# A pool of your own. Next to it: accounts.csv (figures) and scheme.toml (law).
name = "@NAME@"
label = "@NAME@"            # what people call it; shown with results
country = "@COUNTRY@"              # people shipped: TWN CHN JPN KOR DEU SGP USA; others: forecaster pool population
currency = "@CURRENCY@"
unit = "@UNIT@"                   # of all money in accounts.csv: bn (thousand millions), m (millions), thousand, one

# Share of the income that the premium rate does not move (taxes, subsidies, yields). All of it moves when left out.
# other_income_share = 0.1

# Figures that look odd to `forecaster pool check` and that are true all the same:
# confirmed = ["outgo 2009"]

# Years whose reserve is not the one before + income - outgo, because something else moved it:
# [[adjustments]]
# year = 2012
# amount = -350.0              # what it added to the reserve
# reason = "loan repaid to the state"
"""

_SCHEME = """\
# The law of the pool. Name, country and money stand in pool.toml.
from = 1900-01-01             # the first day on which this law held
description = "Premiums by one rate on one base, shared by insured and employers."

[categories.all]
label = "All insured"
article = "-"

# The premium rate of every year is taken from the column `rate` of accounts.csv. A rate that is decided for a year to
# come goes there too, in a row with nothing else. Or list the law here, then the column explains the past only:
#   values = [ { from = 2015-01-01, value = 0.146, source = "act of ...", status = "enacted" } ]
[parameters.general_premium_rate]
label = "Premium rate"
unit = "share"
bounds = [0.0, 1.0]
bounds_source = "assumed: a share; write the law's own limit"
article = "-"
lever = true

# Who pays the premium; the three sum to 1.
[parameters."premium_share.all.insured"]
label = "Share of the insured"
unit = "share"
bounds = [0.0, 1.0]
bounds_source = "a share"
article = "-"
values = [ { from = 1900-01-01, value = 0.5, source = "template", status = "assumed" } ]

[parameters."premium_share.all.employer"]
label = "Share of employers"
unit = "share"
bounds = [0.0, 1.0]
bounds_source = "a share"
article = "-"
values = [ { from = 1900-01-01, value = 0.5, source = "template", status = "assumed" } ]

[parameters."premium_share.all.government"]
label = "Share of the government"
unit = "share"
bounds = [0.0, 1.0]
bounds_source = "a share"
article = "-"
values = [ { from = 1900-01-01, value = 0.0, source = "template", status = "assumed" } ]

# The least reserve that is wanted, in months of outgo.
[parameters.reserve_floor_months]
label = "Least reserve"
unit = "months"
bounds = [0.0, 24.0]
bounds_source = "assumed"
article = "-"
lever = true
values = [ { from = 1900-01-01, value = 1.0, source = "template", status = "assumed" } ]
"""

_ACCOUNTS = """\
# One row a calendar year, in order. Money in @CURRENCY@ @UNIT@, nominal. A figure that is not known: an empty cell.
# year     calendar year, four digits
# income   all income of the year
# outgo    all spending of the year
# reserve  what the fund holds at the end of the year; negative when it owes
# rate     premium rate of the year as a share: 0.146, not 14.6; the mean if it changed within the year. A pool
#          without a premium rate writes 1 once
# note     free text; may be left out
year,income,outgo,reserve,rate,note
"""
