"""Pools: which fund is meant, in which country, under which law, in which unit of money.

A shipped pool is a file of ``data/pools``; the accounts of a plain one stand in ``data/observed``. A pool of the user's
own is a folder with ``pool.toml``, ``scheme.toml`` and ``accounts.csv``, made by ``forecaster pool new``
(docs/pools.md).
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.policy import Policy
from forecaster.pool_accounts import FLOWS, Accounts, last_year_of, read_accounts
from forecaster.pool_doubts import doubts
from forecaster.resources import data_dir
from forecaster.schemes import Scheme, load_scheme, pydantic_fault, scheme_ids

POOL_FILE, SCHEME_FILE, ACCOUNTS_FILE = "pool.toml", "scheme.toml", "accounts.csv"
UNITS = ("bn", "m", "thousand", "one")
# First day of the law in the template of a scheme file: nobody has said since when it has been in force.
OPEN_START = dt.date(1900, 1, 1)


class Adjustment(BaseModel):
    """A year whose reserve does not follow from its flows, as the user declares it, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    year: int
    amount: float
    reason: str


class Break(BaseModel):
    """Years whose figures stand on another footing than the later ones, all off by one unknown factor.

    Attributes
    ----------
    line
        ``income`` or ``outgo``.
    first, last
        Years with such figures.
    size, spread
        Expected log of the figures over those on today's footing, and its standard deviation.
    kind
        ``perimeter``: other things were within the accounts, the reserve too; ``estimate``: the figures were derived
        and may be off, the reserve follows what was true.
    reason, source
        Why, and who says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    line: Literal["income", "outgo"]
    first: int
    last: int
    size: float = 0.0
    spread: float = Field(gt=0.0, le=1.0)
    kind: Literal["perimeter", "estimate"]
    reason: str
    source: str


class Members(BaseModel):
    """Whose heads the accounts cover, where a series of them is observed; else the country's population stands in.

    Attributes
    ----------
    kind
        ``employees`` (contributors and pensioners who pay nothing), ``residents`` (everyone else), or ``country``
        (counted heads that go on as the country's people do).
    total, workers
        Series of the insured and, of employees, of the contributors; million persons, stock at year end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["employees", "residents", "country"]
    total: str
    workers: str | None = None


class _PoolFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    label: str = ""
    country: str = Field(pattern=r"^[A-Za-z]{3}$")
    population: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+\.nc$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    unit: Literal["bn", "m", "thousand", "one"]
    model: Literal["nhi", "plain"] = "plain"
    schemes: tuple[str, ...] = ()
    first_year: int | None = None
    adjustments: tuple[Adjustment, ...] = ()
    confirmed: tuple[str, ...] = ()
    other_income_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    breaks: tuple[Break, ...] = ()
    members: Members | None = None
    category_mix: dict[str, float] | None = None

    @field_validator("schemes", "adjustments", "confirmed", "breaks", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Pool:
    """A fund that can be fitted and projected.

    Attributes
    ----------
    name, label
        Short name, and what people call it.
    place
        ISO 3166 three-letter code of its country, in lower case.
    schemes
        Laws that the fit reads: names of shipped ones or paths.
    scheme
        Law of the forecast, one of them.
    first_year
        First projected year of a fit that uses everything that is known.
    model
        ``nhi``: ages, categories and supplementary premiums; ``plain``: yearly accounts only.
    folder
        Where a pool of the user's own lies; None for a shipped one.
    money
        Unit of all its money, nominal, such as ``TWD bn`` or ``EUR m``.
    adjustments
        Years whose reserve does not follow from the flows, as declared in ``pool.toml``.
    confirmed
        Figures that look odd and that the user has confirmed, as ``outgo 2009``.
    other_income_share
        Share of the income that the premium rate does not move.
    breaks
        Years whose figures stand on another footing, as declared in ``pool.toml``.
    members
        Whose heads the accounts cover; None where the country's population stands in.
    category_mix
        Category of the law to its share in the contribution base; None for equal shares.
    population
        File of imported tables of its country's people (``forecaster pool population``); None where they are shipped.
    """

    name: str
    label: str
    place: str
    schemes: tuple[str, ...]
    scheme: str
    first_year: int
    model: Literal["nhi", "plain"]
    folder: Path | None
    money: str
    adjustments: tuple[Adjustment, ...] = ()
    confirmed: tuple[str, ...] = ()
    other_income_share: float = 0.0
    breaks: tuple[Break, ...] = ()
    members: Members | None = None
    category_mix: Mapping[str, float] | None = None
    population: Path | None = None

    @property
    def people(self) -> str:
        """Whose people stand behind it, as :func:`forecaster.demography.tables.load_wpp` takes it."""
        return self.place if self.population is None else str(self.population)

    @property
    def law(self) -> Scheme:
        """The law of the forecast: its file, for a pool of one's own with name, money and rates from the others."""
        if self.folder is None:
            return load_scheme(self.scheme)
        currency, _, unit = self.money.partition(" ")
        rates = sorted(known_accounts(self, checked=False).rates.items())
        values = [
            {"from": dt.date(year, 1, 1), "value": rate, "source": ACCOUNTS_FILE, "status": "enacted"}
            for i, (year, rate) in enumerate(rates)
            if i == 0 or rate != rates[i - 1][1]
        ]
        given = {
            "id": self.name,
            "pool": self.name,
            "label": self.label,
            "place": self.place.upper(),
            "currency": currency,
            "unit": unit or "one",
        }
        return load_scheme(self.scheme, given, {"general_premium_rate": values})

    @property
    def fits(self) -> Path:
        """Folder in which the reference fit lies, in a folder of the pool's name."""
        return data_dir() / "fitted" if self.folder is None else self.folder / "fits"

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that a fit of a plain pool reads beside the law."""
        if self.folder is not None:
            people = () if self.population is None else (self.population,)
            return self.folder / POOL_FILE, self.folder / ACCOUNTS_FILE, *people
        observed = data_dir() / "observed" / self.place
        series = ("pool_accounts", *((own_table(self.members.total),) if self.members else ()))
        return data_dir() / "pools" / f"{self.name}.toml", *(observed / f"{name}.csv" for name in dict.fromkeys(series))

    @property
    def address(self) -> str:
        """How a command names the pool: a shipped one by its name, the user's own by its folder."""
        return self.name if self.folder is None else str(self.folder)


def pool_names() -> tuple[str, ...]:
    """Names of the shipped pools."""
    return tuple(sorted(path.stem for path in (data_dir() / "pools").glob("*.toml")))


def find_pool(name: str | Path) -> Pool:
    """The pool that is meant.

    Parameters
    ----------
    name
        Name of a shipped pool or of one of its schemes, the folder of a pool of one's own, or the path of a scheme
        file, which belongs to the pool in whose folder it lies, else to the one that it names.

    Raises
    ------
    ForecasterError
        When there is no such pool or scheme.
    FaultyInput
        Naming every fault of the pool's file.
    """
    text, path = str(name), Path(name)
    if text in pool_names():
        return _shipped(text)
    if path.name == POOL_FILE and path.is_file():
        return _own(path.parent)
    if (path / POOL_FILE).is_file():
        return _own(path)
    if path.suffix == ".toml" and path.is_file() and (path.parent / POOL_FILE).is_file():
        return _own(path.parent)
    if text in scheme_ids() or path.suffix == ".toml":
        return find_shipped_pool(load_scheme(name).pool)
    hint = f"{path} holds no {POOL_FILE}; " if path.is_dir() else ""
    raise ForecasterError(
        f"no pool {text!r}: {hint}shipped pools: {', '.join(pool_names())}; a pool of your own is a folder, "
        f"made by: forecaster pool new {path.name or 'NAME'} --country DEU"
    )


def find_shipped_pool(name: str) -> Pool:
    """The shipped pool of that name.

    Raises
    ------
    ForecasterError
        When no pool of that name is shipped.
    """
    if name not in pool_names():
        lawful = _of_a_law_without_a_fund(name) if name in scheme_ids() else ""
        raise ForecasterError(f"no pool {name!r} can be fitted; there are: {', '.join(pool_names())}{lawful}")
    return _shipped(name)


def _of_a_law_without_a_fund(name: str) -> str:
    """What can be done with a shipped law that no pool has."""
    told = f"; {name} is a law without a fund, see: forecaster check {name}"
    bases = sorted(path.stem for path in (data_dir() / "bases").glob(f"{name}_*.toml"))
    by_hand = f"; it can be projected on figures set by hand: forecaster project {name} --basis"
    return told + (f"{by_hand} {bases[0]}" if bases else "")


def _shipped(name: str) -> Pool:
    path = data_dir() / "pools" / f"{name}.toml"
    content = _read(path)
    if not content.schemes or content.first_year is None:
        fault = Fault("schemes, first_year", "nothing", "both are required of a shipped pool", "add them")
        raise FaultyInput(f"pools/{path.name}", [fault])
    return _pool(content, content.schemes, content.first_year, None)


def _own(folder: Path) -> Pool:
    path = folder / POOL_FILE
    content = _read(path)
    faults = [
        Fault(key, repr(getattr(content, key)), "nothing: a folder has one law and its accounts", f"remove {key!r}")
        for key in ("schemes", "first_year")
        if key in content.model_fields_set
    ]
    if content.model != "plain":
        faults.append(Fault("model", repr(content.model), "plain", "remove it, or write plain"))
    if faults:
        raise FaultyInput(str(path), faults)
    scheme = str(folder / SCHEME_FILE)
    return _pool(content, (scheme,), last_year_of(folder / ACCOUNTS_FILE) + 1, folder)


def _pool(content: _PoolFile, schemes: tuple[str, ...], first_year: int, folder: Path | None) -> Pool:
    unit = "" if content.unit == "one" else f" {content.unit}"
    return Pool(
        name=content.name,
        label=content.label or content.name,
        place=content.country.lower(),
        schemes=schemes,
        scheme=schemes[-1],
        first_year=first_year,
        model=content.model,
        folder=folder,
        money=f"{content.currency}{unit}",
        adjustments=content.adjustments,
        confirmed=content.confirmed,
        other_income_share=content.other_income_share,
        breaks=content.breaks,
        members=content.members,
        category_mix=content.category_mix,
        population=folder / content.population if folder is not None and content.population else None,
    )


def own_table(series: str) -> str:
    """Table of observed figures in which a series of a pool's accounts or members stands."""
    stem, _, scheme = series.partition("|")
    return "pool_accounts" if stem.startswith("pool_") else scheme


def observed_series(place: str, series: str) -> dict[int, float]:
    """Year to the best observed figure of a series, whole calendar years or their ends only.

    Raises
    ------
    ForecasterError
        When the series is not observed.
    """
    from forecaster.observations import load_observations

    observed = load_observations(place)
    if series not in observed.names():
        raise ForecasterError(f"no series {series!r} among the observed figures of {place}; see data/observed/{place}")
    best = observed.best(series)
    best = best[best["period"].str.fullmatch(r"\d{4}")]
    return {int(year): float(value) for year, value in zip(best["year"], best["value"], strict=True)}


def _observed_accounts(pool: Pool) -> Accounts:
    """Accounts of a shipped plain pool: ``pool_income``, ``pool_outgo`` and ``pool_reserve`` of its place."""
    if pool.model != "plain":
        raise ForecasterError(f"{pool.name} is a shipped pool of ages and categories: it has no plain accounts")
    figures = {name: observed_series(pool.place, f"pool_{name}|{pool.name}") for name in (*FLOWS, "reserve")}
    known = {year for series in figures.values() for year in series}
    years = np.arange(min(known), max(known) + 1)
    rates = Policy(pool.law).path("general_premium_rate", years)
    adjusted = {item.year: item.amount for item in pool.adjustments}
    columns = {name: np.array([series.get(int(y), np.nan) for y in years]) for name, series in figures.items()}
    return Accounts(
        years=years,
        **columns,
        rate=rates,
        adjustment=np.array([adjusted.get(int(y), 0.0) for y in years]),
        rates=dict(zip(years.tolist(), rates.tolist(), strict=True)),
        rows=dict.fromkeys(years.tolist(), 0),
    )


def known_accounts(pool: Pool, last_year: int | None = None, *, checked: bool = True) -> Accounts:
    """Accounts of a plain pool: of one's own from its file, of a shipped one from the observed figures.

    Parameters
    ----------
    last_year
        As they were known at its end.
    checked
        Refuse figures that cannot be true.

    Raises
    ------
    FaultyInput
        Naming every fault of the file or, if checked, every doubt about its figures and every idle declaration.
    """
    if pool.folder is None:
        path = Path("observed") / pool.place / "pool_accounts.csv"
        accounts = _observed_accounts(pool)
    else:
        path = pool.folder / ACCOUNTS_FILE
        accounts = read_accounts(path, {item.year: item.amount for item in pool.adjustments})
    if last_year is not None:
        if last_year <= accounts.years[0]:
            raise ForecasterError(f"{path}: no accounts by {last_year}; the first are of {accounts.years[0]}")
        accounts = accounts.until(last_year)
    elif checked and (idle := _idle_declarations(pool, accounts)):
        raise FaultyInput(str(pool.files[0]), idle)
    found = doubts(accounts, pool.confirmed) if checked else []
    if found:
        raise FaultyInput(str(path), found)
    return accounts


def _idle_declarations(pool: Pool, accounts: Accounts) -> list[Fault]:
    """Adjustments and breaks that act on no year of the accounts: a slip of the year, which nothing else would tell."""
    first, last = int(accounts.years[0]), int(accounts.years[-1])
    # An adjustment may be known before the accounts of its year are.
    spans = [("adjustments", item.year, item.year) for item in pool.adjustments if item.year != last + 1]
    spans += [(f"breaks, {item.line}", item.first, item.last) for item in pool.breaks]
    allowed, mend = f"years of the accounts, {first} to {last}, in order", "correct the year, or take the entry out"
    return [
        Fault(what, f"{begin}" if begin == end else f"{begin} to {end}", allowed, mend)
        for what, begin, end in spans
        if begin > end or end < first or begin > last
    ]


def _read(path: Path) -> _PoolFile:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ForecasterError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = Fault("the file", str(error), "TOML 1.0 in UTF-8", "correct the file at the place named")
        raise FaultyInput(str(path), [fault]) from None
    try:
        return _PoolFile.model_validate(raw)
    except ValidationError as error:
        raise FaultyInput(str(path), [pydantic_fault(item, "docs/pools.md") for item in error.errors()]) from None
