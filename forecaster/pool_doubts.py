"""What cannot be true of a pool's accounts, or is so unlikely that the user has to confirm it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from forecaster.errors import Fault
from forecaster.pool_accounts import FLOWS, Accounts, Array
from forecaster.pool_reserves import reserve_faults

# Years whose income and outgo must be known, or follow from the reserve, before anything can be learnt.
LEAST_YEARS = 6
# A yearly step beyond the series' own middle one by more than this factor is doubted: no fund known moves so.
LARGEST_STEP = 4.0
# Income against outgo, and reserve against outgo, beyond which they cannot be in one unit.
LARGEST_RATIO, LARGEST_RESERVE = 5.0, 30.0
_ONE_DIGIT = (10.0, 0.1)


def doubts(accounts: Accounts, confirmed: Iterable[str] = ()) -> list[Fault]:
    """What cannot be true of the accounts, or is so unlikely that the user has to confirm it.

    Parameters
    ----------
    confirmed
        Figures that the user has confirmed, as ``outgo 2009``; they are not doubted.

    Returns
    -------
    list
        A fault for too few years, for a jump as a wrong unit makes it, for columns that cannot be in one unit, and for
        every reserve that does not follow from its flows and is not declared.
    """
    sure = set(confirmed)
    faults = _too_few(accounts)
    jumps = [fault for name in (*FLOWS, "rate") for fault in _jumps(accounts, name, sure)]
    faults += jumps
    units = [] if jumps else _units(accounts, sure)
    if not jumps and not units:
        faults += reserve_faults(accounts, sure)
    return faults + units


def _too_few(accounts: Accounts) -> list[Fault]:
    faults = []
    for name in FLOWS:
        known = int(np.isfinite(accounts.derived(name)).sum())
        if known < LEAST_YEARS:
            mend = "add earlier years, or reserves from which they follow"
            allowed = f"at least {LEAST_YEARS} years, given or following from the reserve"
            faults.append(Fault(f"column {name}", f"{known} years", allowed, mend))
    return faults


def _jumps(accounts: Accounts, name: str, sure: set[str]) -> list[Fault]:
    """Figures that stand apart from their neighbours by a factor, as another unit or a slipped digit makes them."""
    known = accounts.rates if name == "rate" else _given(accounts.years, getattr(accounts, name))
    if len(known) < (2 if name == "rate" else 3):
        return []
    years, series = np.array(sorted(known)), np.array([known[year] for year in sorted(known)])
    apart, steps = np.diff(years), np.diff(np.log(series))
    usual = 0.0 if name == "rate" else np.median(steps / apart)
    beyond = steps - usual * apart
    bad = np.flatnonzero(np.abs(beyond) > math.log(LARGEST_STEP))
    faults = []
    done: set[int] = set()
    for i in bad.tolist():
        if i in done:
            continue
        back = i + 1 < len(steps) and i + 1 in bad and beyond[i] * beyond[i + 1] < 0.0
        # A first figure that stands alone shows as one jump; so does a series that changes its unit for good.
        odd = i if i == 0 and not back else i + 1
        if back:
            done.add(i + 1)
        if f"{name} {years[odd]}" in sure:
            continue
        neighbours = [j for j in (odd - 1, odd + 1) if 0 <= j < len(years)]
        factor = math.exp(abs(beyond[i]))
        more = "more" if (beyond[i] > 0) != (odd == i) else "less"
        beside = ", ".join(f"{years[j]}: {series[j]:g}" for j in neighbours)
        found = f"{series[odd]:g}, about {factor:.3g} times {more} than its neighbours lead one to expect ({beside})"
        mend = f"correct the digit or the unit{_unit_hint(factor)}; if the figure is true, write in pool.toml: "
        faults.append(
            Fault(
                accounts.place(int(years[odd]), name),
                found,
                f"steps within a factor of {LARGEST_STEP:g} of the usual one",
                mend + f'confirmed = ["{name} {years[odd]}"]',
            )
        )
    return faults


def _given(years: Array, series: Array) -> dict[int, float]:
    known = np.isfinite(series)
    return dict(zip(years[known].tolist(), series[known].tolist(), strict=True))


def _unit_hint(factor: float) -> str:
    for power in (10, 100, 1000, 10**6):
        if abs(math.log(factor / power)) < math.log(1.5):
            return f" (a factor near {power:,})"
    return ""


def _units(accounts: Accounts, sure: set[str]) -> list[Fault]:
    faults = []
    ratio = np.log(accounts.income / accounts.outgo)
    ratio = ratio[np.isfinite(ratio)]
    if ratio.size and abs(np.median(ratio)) > math.log(LARGEST_RATIO) and "units" not in sure:
        found = f"income {math.exp(np.median(ratio)):.3g} times outgo"
        mend = 'state both in the unit that pool.toml names; if it is true, write there: confirmed = ["units"]'
        faults.append(Fault("columns income and outgo", found, f"within a factor of {LARGEST_RATIO:g}", mend))
    months = np.abs(accounts.reserve) / accounts.outgo
    months = months[np.isfinite(months)]
    if months.size and np.median(months) > LARGEST_RESERVE and "units" not in sure:
        found = f"a reserve of {np.median(months):.3g} years of outgo"
        mend = 'state both in the unit that pool.toml names; if it is true, write there: confirmed = ["units"]'
        faults.append(Fault("columns reserve and outgo", found, f"at most {LARGEST_RESERVE:g} years", mend))
    return faults


def unguarded(accounts: Accounts, confirmed: Iterable[str] = ()) -> dict[str, list[int]]:
    """Figures that nothing beside them holds: ten times as much or a tenth, :func:`doubts` would pass them.

    Returns
    -------
    dict
        Name of the column to its years, such as reserves with no known flow on either side.
    """
    found: dict[str, list[int]] = {}
    sure = tuple(confirmed)
    for name in (*FLOWS, "reserve", "rate"):
        series = getattr(accounts, name)
        if name == "rate" and set(accounts.rates.values()) == {1.0}:
            continue  # a pool without a rate
        for k in np.flatnonzero(np.isfinite(series) & (series != 0.0)).tolist():
            if not all(doubts(_moved(accounts, name, k, factor), sure) for factor in _ONE_DIGIT):
                found.setdefault(name, []).append(int(accounts.years[k]))
    return found


def _moved(accounts: Accounts, name: str, k: int, factor: float) -> Accounts:
    """The same with one figure times a factor."""
    series = getattr(accounts, name).copy()
    series[k] *= factor
    rates = accounts.rates if name != "rate" else {**accounts.rates, int(accounts.years[k]): float(series[k])}
    return replace(accounts, **{name: series}, rates=rates)
