"""Single-assumption sensitivities, sets of them, and stresses, on the same draws as the result itself.

The sizes are assumed, the same for every pool, and printed with the figures: they show what matters, not what is
likely.
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
# Share of futures that count as the tail.
TAIL = 0.1


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
