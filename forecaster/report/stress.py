"""Single-assumption sensitivities, sets of them, stresses, and scenarios, on the same draws as the result itself.

The sizes of the tests are assumed, the same for every pool, and printed with the figures: they show what matters, not
what is likely. A scenario of people or economy is a group of the futures themselves: those in which there are most old
people, fewest of working age and so on, with everything that comes with it in the same futures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.policy import Policy
from forecaster.solvency import below_months

# A half point more growth a year, and one bad year of spending.
STEP, SHOCK = 0.005, 0.05
# Share of futures that count as the tail, and as a group that lies to one side.
TAIL, GROUP = 0.1, 0.2
# The fewest futures whose median is shown.
_LEAST = 20


@dataclass(frozen=True)
class Sensitivity:
    """One change of the basis: growth added to outgo and to the contribution base, a shock of outgo, the yield."""

    name: str
    outgo_growth: float = 0.0
    base_growth: float = 0.0
    outgo_shock: float = 0.0
    yield_change: float = 0.0


TESTS = (
    Sensitivity("as_projected"),
    Sensitivity("outgo_faster", outgo_growth=STEP),
    Sensitivity("outgo_slower", outgo_growth=-STEP),
    Sensitivity("base_faster", base_growth=STEP),
    Sensitivity("base_slower", base_growth=-STEP),
    Sensitivity("yield_higher", yield_change=0.01),
    Sensitivity("yield_lower", yield_change=-0.01),
    Sensitivity("optimistic", outgo_growth=-STEP, base_growth=STEP),
    Sensitivity("pessimistic", outgo_growth=STEP, base_growth=-STEP),
    Sensitivity("shock", outgo_shock=SHOCK),
)


def changed(basis: Basis, test: Sensitivity) -> Basis:
    """The basis with a test's change, beginning in the second projected year."""
    ahead = np.arange(len(basis.years), dtype=float)[:, None]
    base = (1.0 + test.base_growth) ** ahead
    outgo = (1.0 + test.outgo_growth) ** ahead
    if len(basis.years) > 1:
        outgo[1] *= 1.0 + test.outgo_shock
    return replace(
        basis,
        label=f"{basis.label}, {test.name}",
        general_base=basis.general_base * base,
        supplementary_base={name: values * base for name, values in basis.supplementary_base.items()},
        outlay=basis.outlay * outgo,
        investment_yield=basis.investment_yield + test.yield_change,
    )


def sensitivities(basis: Basis, policy: Policy, years: list[int], floor_months: float) -> pd.DataFrame:
    """Reserve and chance of shortfall under each test.

    Parameters
    ----------
    years
        Calendar years to show.
    floor_months
        Least reserve wanted, months of outgo.

    Returns
    -------
    pandas.DataFrame
        ``test``, ``year``, ``months`` (median reserve, months of outgo), ``below`` (chance that the reserve has fallen
        below the least by the end of the year), ``tail`` (mean reserve of the worst tenth of futures, money nominal).
    """
    rows = []
    for test in TESTS:
        result = project(changed(basis, test), policy)
        below = below_months(result, floor_months).by_year
        worst = max(1, int(TAIL * basis.n_draws))
        for year in years:
            at = int(year - basis.years[0])
            rows.append(
                {
                    "test": test.name,
                    "year": year,
                    "months": float(np.median(result.reserve_months[at])),
                    "below": float(below[at]),
                    "tail": float(np.sort(result.closing[at])[:worst].mean()),
                }
            )
    return pd.DataFrame(rows)


# Scenario to the series that tells its futures from the rest, and whether they are those with most of it.
GROUPS = (
    ("older", "share_65_and_over", True),
    ("younger", "share_65_and_over", False),
    ("fewer_workers", "population_20_to_64", False),
    ("more_workers", "population_20_to_64", True),
    ("base_weak", "base_growth", False),
    ("base_strong", "base_growth", True),
)


def groups(basis: Basis, policy: Policy, years: list[int], floor_months: float) -> pd.DataFrame:
    """Reserve and chance of shortfall within the fifth of futures that lies farthest to one side by the last year.

    Parameters
    ----------
    years, floor_months
        As :func:`sensitivities` takes them.

    Returns
    -------
    pandas.DataFrame
        ``group``, ``year``, ``months`` (median within it), ``below`` (share of the group whose reserve has fallen
        below the least by the end of the year). Empty for a basis of too few draws; without the groups of people where
        the basis says nothing of them.
    """
    size = int(GROUP * basis.n_draws)
    rows: list[dict[str, object]] = []
    if size >= _LEAST:
        result = project(basis, policy)
        fallen = np.maximum.accumulate(result.reserve_months < floor_months, axis=0)
        told = {**basis.drivers, "base_growth": basis.general_base / basis.general_base[0]}
        for name, series, most in (group for group in GROUPS if group[1] in told):
            order = np.argsort(told[series][-1], kind="stable")
            chosen = order[-size:] if most else order[:size]
            for year in years:
                at = int(year - basis.years[0])
                months = float(np.median(result.reserve_months[at, chosen]))
                rows.append({"group": name, "year": year, "months": months, "below": float(fallen[at, chosen].mean())})
    return pd.DataFrame(rows, columns=["group", "year", "months", "below"])
