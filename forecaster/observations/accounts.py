"""Accounting identities that published figures must keep, within the rounding of their print.

An identity is a row of ``identities.csv``; three kinds exist, ``t`` being a calendar year::

    sum     result_t = sum of plus_t - sum of minus_t
    stock   result_t = result_(t-1) + sum of plus_t - sum of minus_t
    months  result_t = 12 * plus[0]_t / plus[1]_t        (printed rounded, or cut off towards zero)

With scope ``best`` the best-graded observed figure of each year is held to it; with scope ``source`` each source is
held to its own figures. Projections are always held to those of the same source and date. Sub-keys
(``balance|rate_0.0517``) must agree; figures with a qualifier and part-years that do not end in December are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecaster.errors import Fault
from forecaster.observations.tables import records

_Cells = dict[tuple[str, int], dict[Any, Any]]
_Groups = dict[tuple[str, ...], _Cells]


@dataclass(frozen=True)
class Gap:
    """An identity that can be checked: printed less computed result, and the band that print rounding allows."""

    identity: str
    period: str
    source: str
    size: float
    low: float
    high: float
    unit: str
    where: str
    found: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What a declaration in ``breaks.csv`` must name: identity with its sub-key, year, source of the result."""
        return self.identity, self.period, self.source

    @property
    def open(self) -> bool:
        """Whether rounding cannot explain the gap."""
        return not self.low <= self.size <= self.high


def check_accounts(
    table: pd.DataFrame, identities: pd.DataFrame, breaks: pd.DataFrame, faults: list[Fault]
) -> list[float]:
    """Append a fault for every undeclared break and for every declaration that does not fit the figures.

    Parameters
    ----------
    table
        Tidy rows with numeric ``value`` and ``year``, ``n_months`` and ``digits`` (decimals as printed).
    identities, breaks
        Rows of ``identities.csv`` and ``breaks.csv`` as texts.

    Returns
    -------
    list of float
        Gap found for each declared break, in the unit of its result; NaN where there is none to be found.
    """
    gaps = {gap.key: gap for gap in gaps_of(table, identities)}
    sizes = []
    for row in records(breaks):
        gap = gaps.pop((row["identity"], row["period"], row["source"]), None)
        sizes.append(float("nan") if gap is None else gap.size)
        faults.extend(_declaration_faults(row, gap))
    for gap in gaps.values():
        if gap.open:
            allowed = f"a gap of {gap.low:.3g} to {gap.high:.3g} {gap.unit} from rounding (identity {gap.identity})"
            mend = f"correct the figures; if the source itself breaks here, declare {gap.size:.4g} in breaks.csv"
            faults.append(Fault(gap.where, gap.found, allowed, mend))
    return sizes


def _declaration_faults(row: dict[Any, Any], gap: Gap | None) -> Iterator[Fault]:
    here, size = f"{row['file']} line {row['line']}", row["size"]
    if gap is None:
        found, mend = (
            "a break of figures that are not there",
            "delete the declaration, or correct identity, period, source",
        )
        yield Fault(here, found, "a break of an identity that is checked", mend)
    elif not gap.open:
        found = f"a declared break of {gap.identity} in {gap.period}, but the figures now agree"
        yield Fault(here, found, "breaks that exist", "delete the declaration")
    elif not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", size) or row["unit"] != gap.unit:
        yield Fault(f"{here}, column size", f"{size} {row['unit']}", f"a number in {gap.unit}", "correct size and unit")
    elif abs(float(size) - gap.size) > gap.high + 0.5 * 10.0 ** -len(size.partition(".")[2]):
        mend = "look at the figures again and correct the size"
        yield Fault(
            f"{here}, column size", f"{size} {row['unit']}", f"the gap in the figures, {gap.size:.4g} {gap.unit}", mend
        )


def gaps_of(table: pd.DataFrame, identities: pd.DataFrame) -> Iterator[Gap]:
    """Every place where an identity can be checked."""
    names = [
        "series",
        "year",
        "period",
        "value",
        "qualifier",
        "unit",
        "quality",
        "source",
        "made",
        "n_months",
        "digits",
    ]
    rows = records(table.sort_values("quality", kind="stable")[[*names, "file", "line"]])
    by_source: _Groups = {}
    by_grade: _Groups = {}
    for row in rows:
        last = row["period"].rpartition("..")[2]
        if not 1 <= row["n_months"] <= 12 or (len(last) > 4 and not last.endswith("-12")):
            continue
        stem, _, suffix = row["series"].partition("|")
        by_source.setdefault((suffix, row["source"], row["made"]), {}).setdefault((stem, row["year"]), row)
        if row["quality"] != "P":
            by_grade.setdefault((suffix,), {}).setdefault((stem, row["year"]), row)
    for identity in records(identities):
        for (_, _, made), cells in by_source.items():
            if made or identity["scope"] == "source":
                yield from _gaps_in(cells, identity)
        if identity["scope"] == "best":
            for cells in by_grade.values():
                yield from _gaps_in(cells, identity)


def _gaps_in(cells: _Cells, identity: dict[Any, str]) -> Iterator[Gap]:
    plus, minus = (identity[side].split("+") if identity[side] else [] for side in ("plus", "minus"))
    for (stem, year), cell in sorted(cells.items()):
        if stem != identity["result"]:
            continue
        terms = [(1.0, (name, year)) for name in plus] + [(-1.0, (name, year)) for name in minus]
        if identity["kind"] == "stock":
            terms.append((1.0, (stem, year - 1)))
        if any(key not in cells or cells[key]["qualifier"] for key in [(stem, year), *(key for _, key in terms)]):
            continue
        numbers = [cells[key]["value"] for _, key in terms]
        halves = [0.5 * 10.0 ** -cells[key]["digits"] for _, key in terms]
        ulp = 10.0 ** -cell["digits"]
        if identity["kind"] == "months":
            computed = 12.0 * numbers[0] / numbers[1]
            slack = (12.0 * halves[0] + abs(computed) * halves[1]) / abs(numbers[1])
            low = -(ulp if computed >= 0 else ulp / 2) - slack
            high = (ulp / 2 if computed >= 0 else ulp) + slack
        else:
            computed = sum(sign * number for (sign, _), number in zip(terms, numbers, strict=True))
            high = ulp / 2 + sum(halves)
            low = -high
        _, bar, suffix = cell["series"].partition("|")
        yield Gap(
            identity=identity["identity"] + bar + suffix,
            period=str(year),
            source=cell["source"],
            size=cell["value"] - computed,
            low=low - 1e-9,
            high=high + 1e-9,
            unit=cell["unit"],
            where=f"{cell['file']} line {cell['line']}, {cell['series']} {year}",
            found=f"{cell['value']:.10g} where the accounts give {computed:.6g}",
        )
