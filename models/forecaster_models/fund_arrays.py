"""What the fund's density reads, as plain arrays: how quantities follow each other, evidence and law.

:func:`fund_arrays` makes them of the evidence; :mod:`forecaster_models.fund_density` reads them compiled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from forecaster.demography.patterns import PANDEMIC_YEARS
from forecaster.need import AGE_GROUPS, OLD_GROUPS, PROFILE_YEAR
from forecaster.schemes import PAYERS
from forecaster_models.fund_evidence import FIRST_YEAR, FundData
from forecaster_models.steps import drift_modes

Array = np.ndarray

# Compiles a function that neither allocates nor returns an array: it only borrows those in its arguments. Counting
# references to each of them at every call took half of the density's time. Numba's own functions of strings do so.
borrowing = numba.njit(cache=True, _nrt=False)

# Scalars in the order in which they lead the vector of quantities.
SCALARS = (
    "tilt",
    "profile_step_sd",
    "income_elasticity",
    "cost_surprise",
    "base_surprise",
    "cost_drift",
    "base_drift",
    "base_redefined_2013",
    "cost_sd",
    "base_sd",
    "cost_drift_sd",
    "base_drift_sd",
    "correlation",
    "supplementary_drift",
    "supplementary_sd",
    "log_size_median",
    "size_spread",
    "log_part_time_median",
    "part_time_spread",
    "miscellaneous",
    "booking_sd",
    "back_payment_2015",
    "back_payment_2016",
    "budget_ratio",
    "budget_wander_sd",
    "restated_2015",
    "base_following",
)
(
    TILT,
    PROFILE_STEP_SD,
    ELASTICITY,
    COST_SURPRISE,
    BASE_SURPRISE,
    COST_DRIFT,
    BASE_DRIFT,
    REDEFINED,
    COST_SD,
    BASE_SD,
    COST_DRIFT_SD,
    BASE_DRIFT_SD,
    CORRELATION,
    SUPPLEMENTARY_DRIFT,
    SUPPLEMENTARY_SD,
    SIZE_MEDIAN,
    SIZE_SPREAD,
    PART_MEDIAN,
    PART_SPREAD,
    MISCELLANEOUS,
    BOOKING_SD,
    BACK_2015,
    BACK_2016,
    BUDGET_RATIO,
    BUDGET_WANDER_SD,
    RESTATED,
    FOLLOWING,
) = range(len(SCALARS))
# Vectors that follow them.
VECTORS = ("path", "profile", "mix", "share", "booking", "supplementary_level", "apart", "growth_revision")
# Scale of the latent base of the year after the last accounts, log.
FOLLOWING_SCALE = 0.03
# Facts by the expectation that they are held against.
FACT_KINDS = (
    "old",
    "dividends",
    "threshold",
    "part_time",
    "ceiling",
    "government",
    "insured",
    "employers",
    "general",
    "supplementary",
    "general_total",
)
(
    OLD,
    DIVIDENDS,
    THRESHOLD,
    PART_TIME,
    CEILING,
    GOVERNMENT,
    INSURED,
    EMPLOYERS,
    GENERAL,
    SUPPLEMENTARY,
    GENERAL_TOTAL,
) = range(len(FACT_KINDS))


class Vectors(NamedTuple):
    """Views of what follows the scalars, in the order of :data:`~forecaster_models.fund_arrays.VECTORS`."""

    path: Any
    profile: Any
    mix: Any
    share: Any
    booking: Any
    level: Any
    apart: Any
    revision: Any


class FundArrays(NamedTuple):
    """Evidence and law as plain arrays; *n* cost years, *m* income years.

    Attributes
    ----------
    accounts_matrix, accounts_value, accounts_error, accounts_restated
        Figures linear in cost and income, ``(row, n + m)`` and ``(row,)``.
    budget_index, budget_log, budget_unmix
        Year and log of each global budget, and the inverse Cholesky factor of the wandering ratio.
    people, old_groups, tilt_years
        Persons, million, ``(n, group)``; 1 for groups of 65 and over; years from the profile's.
    ratio_top, ratio_bottom, ratio_value, ratio_error
        Log ratios of sums over the profile.
    price, real, surprise, gdp, redefined
        Steps ``(n - 1,)``; ``revision`` their loadings on the open years' growth, ``(n - 1, open year)``.
    pandemic
        Into a pandemic year 1, out of it -1, ``(n - 1, pandemic year)``.
    memory_value, memory_vector
        Eigenvalues and eigenvectors of the drifts' correlation over the steps.
    rate, supplementary_rate, floor, fixed_income, late
        Law and income from elsewhere by income year; ``late`` is 1 from 2013 on.
    weights
        Rows of category weights: insured, employer, government, state as employer, each ``(m, category)``, then the
        flags of the state as employer and of announced dependants.
    wide_items, part_items, employer_items, dividend_items
        1 for the supplementary items meant, ``(item,)``.
    wide_years, part_years, back_2015, back_2016
        By income year: what the changes of threshold move, and where payments of the floor were held back.
    case_threshold, case_ceiling, size_growth
        Log thresholds and ceilings whose charged shares the evidence compares; log growth of payments to the
        last two, ``(1,)``.
    supplementary_step
        GDP's steps from the second year of the supplementary premium on.
    collected_index, collected_value, collected_error
        Supplementary premiums collected.
    item_index, item_log, item_error
        Published shares of items.
    fact_kind, fact_year, fact_value, fact_error
        Single facts; years as indices.
    """

    accounts_matrix: Any
    accounts_value: Any
    accounts_error: Any
    accounts_restated: Any
    budget_index: Any
    budget_log: Any
    budget_unmix: Any
    people: Any
    old_groups: Any
    tilt_years: Any
    ratio_top: Any
    ratio_bottom: Any
    ratio_value: Any
    ratio_error: Any
    price: Any
    real: Any
    surprise: Any
    gdp: Any
    redefined: Any
    revision: Any
    pandemic: Any
    memory_value: Any
    memory_vector: Any
    rate: Any
    supplementary_rate: Any
    floor: Any
    fixed_income: Any
    late: Any
    weights: Any
    wide_items: Any
    part_items: Any
    employer_items: Any
    dividend_items: Any
    wide_years: Any
    part_years: Any
    back_2015: Any
    back_2016: Any
    case_threshold: Any
    case_ceiling: Any
    size_growth: Any
    supplementary_step: Any
    collected_index: Any
    collected_value: Any
    collected_error: Any
    item_index: Any
    item_log: Any
    item_error: Any
    fact_kind: Any
    fact_year: Any
    fact_value: Any
    fact_error: Any


# Items whose payments are charged above one common threshold; part-time wages have their own.
THRESHOLD_ITEMS = ("fees", "dividends", "interest", "rent")
# Thresholds and ceilings (TWD) whose charged shares the evidence compares: 2016 after and before, part-time wages of
# 2014 after and before, ceiling of 50 million against 10 million.
CASES = np.array([[2e4, 1e7], [5e3, 1e7], [19273.0, 1e7], [5e3, 1e7], [2e4, 5e7], [2e4, 1e7]])

# Years whose accounts hold back payments of the government's floor (notes to TW-S02): their booking is out of the
# ordinary.
BACK_PAYMENTS = (2015, 2016)

# Single facts: kind of expectation and year. Effects are of the year before a threshold changed; what is told of a
# share in general has no year of its own.
FACTS_MEANT = {
    "old_2010": ("old", 2010),
    "old_2020": ("old", 2020),
    "dividends_2025": ("dividends", 2025),
    "threshold_2016": ("threshold", 2015),
    "part_time_2014": ("part_time", 2013),
    "ceiling_50m": ("ceiling", 2025),
    "government_2012": ("government", 2012),
    "insured_2020": ("insured", 2020),
    "employers_2020": ("employers", 2020),
    "general_2024": ("general", 2024),
    "supplementary_2024": ("supplementary", 2024),
    "general_2016": ("general_total", 2016),
}


class Slopes(NamedTuple):
    """Slopes by what is expected: ``(n,)`` by cost and log need, ``(m,)`` by flows of income."""

    cost: Any
    need: Any
    income: Any
    base: Any
    premium: Any
    state_premium: Any
    formula: Any
    assessed: Any
    mixed: Any
    items: Any


def fund_arrays(data: FundData) -> FundArrays:
    """Evidence and law as :func:`forecaster_models.fund_density.density` takes them."""
    years, m = data.years, data.n_income
    income_years = years[:m]
    late = (income_years >= 2013).astype(float)
    budget_year = years[data.budget.index] - 2012
    # The budget's ratio wanders, its own error a third of the yearly step.
    wander = np.linalg.cholesky(np.minimum(budget_year[:, None], budget_year[None, :]) + np.eye(len(budget_year)) / 9.0)
    bands = band_sums(data)
    top, bottom = (np.array([sums[i] for sums in bands.values()]) for i in (0, 1))
    ratio_value, ratio_error = np.array([band_value(data, name) for name in bands]).T
    memory_value, memory_vector = drift_modes(len(years) - 1)
    items = np.array(data.items)
    part_years = np.where(income_years == 2013, 1.0, np.where(income_years == 2014, 8.0 / 12.0, 0.0))
    shares = _item_shares(data)
    facts = [(FACTS_MEANT[name], *data.facts[name]) for name in FACTS_MEANT if name in data.facts]
    found = FundArrays(
        accounts_matrix=data.accounts.matrix,
        accounts_value=data.accounts.value,
        accounts_error=data.accounts.error,
        accounts_restated=data.accounts.restated,
        budget_index=data.budget.index,
        budget_log=np.log(data.budget.value),
        budget_unmix=np.linalg.inv(wander),
        people=data.population_groups / 1e6,
        old_groups=OLD_GROUPS.astype(float),
        tilt_years=(years - PROFILE_YEAR).astype(float),
        ratio_top=top,
        ratio_bottom=bottom,
        ratio_value=ratio_value,
        ratio_error=ratio_error,
        price=data.price_step[1:],
        real=data.real_step[1:],
        surprise=data.surprise[1:],
        gdp=data.gdp_step[1:],
        redefined=(years[1:] == 2013).astype(float),
        pandemic=np.diff((years[:, None] == np.array(PANDEMIC_YEARS)).astype(float), axis=0),
        revision=growth_loadings(data),
        memory_value=memory_value,
        memory_vector=memory_vector,
        rate=data.rate,
        supplementary_rate=data.supplementary_rate,
        floor=data.floor,
        fixed_income=data.tobacco + data.injection,
        late=late,
        weights=np.concatenate(
            [*(data.weights[payer] for payer in PAYERS), data.state_employer, [data.state_flag, data.announced_flag]]
        ),
        wide_items=np.isin(items, THRESHOLD_ITEMS).astype(float),
        part_items=(items == "part_time").astype(float),
        employer_items=(items == "employer").astype(float),
        dividend_items=(items == "dividends").astype(float),
        wide_years=(income_years <= 2015).astype(float),
        part_years=part_years,
        back_2015=(income_years == BACK_PAYMENTS[0]).astype(float),
        back_2016=(income_years == BACK_PAYMENTS[1]).astype(float),
        case_threshold=np.log(CASES[:, 0]),
        case_ceiling=np.log(CASES[:, 1]),
        size_growth=np.array([_size_growth(data)]),
        supplementary_step=data.gdp_step[int(np.argmax(late)) + 1 : m],
        collected_index=data.supplementary.index,
        collected_value=data.supplementary.value,
        collected_error=data.supplementary.error,
        item_index=shares[0].astype(int),
        item_log=shares[1],
        item_error=np.full(len(shares[1]), 0.10),
        fact_kind=np.array([FACT_KINDS.index(meant[0]) for meant, _, _ in facts]),
        fact_year=np.array([meant[1] - FIRST_YEAR for meant, _, _ in facts]),
        fact_value=np.array([value for _, value, _ in facts]),
        fact_error=np.array([error for _, _, error in facts]),
    )
    return FundArrays(*map(read_only, found))


def _item_shares(data: FundData) -> tuple[Array, Array]:
    """Index of the item and log of its published share of the year's supplementary premium, ``(figure,)`` each."""
    index, log_share = [], []
    for year, amounts in data.item_amounts.items():
        total = float(data.supplementary.value[data.supplementary.index == int(year) - FIRST_YEAR][0])
        for i, item in enumerate(data.items):
            if np.isfinite(amounts[item]):
                index.append(i)
                log_share.append(np.log(float(amounts[item]) / total))
    return np.array(index), np.array(log_share)


def band_sums(data: FundData) -> dict[str, tuple[Array, Array]]:
    """Weights whose log ratio of sums over the profile was published: bands against all ages, 80+ against 65+."""
    group_of_age = np.searchsorted(AGE_GROUPS, np.arange(101), side="right") - 1
    people = data.population_by_age[PROFILE_YEAR - FIRST_YEAR]

    def mean_of(first: int, last: int) -> Array:
        weights = np.zeros(len(AGE_GROUPS))
        np.add.at(weights, group_of_age[first : last + 1], people[first : last + 1])
        return weights / weights.sum()

    sums = {f"band_{first}": (mean_of(first, last), mean_of(0, 100)) for first, last, _ in data.profile_bands}
    old = data.population_groups[2010 - FIRST_YEAR] / 1e6
    return {**sums, "very_old_2010": (old * (AGE_GROUPS >= 80), old * OLD_GROUPS)}


def band_value(data: FundData, name: str) -> tuple[float, float]:
    """Published log ratio and its error."""
    if name in data.facts:
        value, error = data.facts[name]
        return float(np.log(value)), error / value
    bands = {f"band_{first}": value for first, _, value in data.profile_bands}
    return float(np.log(bands[name] / _overall(data))), 0.01


def _overall(data: FundData) -> float:
    people = data.population_by_age[2014 - FIRST_YEAR]
    total = sum(value * people[first : last + 1].sum() for first, last, value in data.profile_bands)
    return float(total / people.sum())


def _size_growth(data: FundData) -> float:
    """Log growth of payment sizes from 2015 to 2025: with nominal GDP."""
    return float(data.gdp_step[2016 - FIRST_YEAR : 2026 - FIRST_YEAR].sum())


def growth_loadings(data: FundData) -> Array:
    """Loadings of the yearly steps on the unknown growth of years whose GDP is not final, ``(step, open year)``."""
    open_years = np.flatnonzero(data.gdp_error[1:])
    return np.eye(len(data.years) - 1)[:, open_years] * data.gdp_error[1:][open_years]


def read_only(array: Array) -> Array:
    """The array in rows, not to be written to, as a compiled graph holds its constants.

    Numba compiles a function anew, for a minute here, for every layout that it meets.
    """
    whole = np.issubdtype(np.asarray(array).dtype, np.integer)
    found = np.ascontiguousarray(array, dtype=int if whole else float).view()
    found.flags.writeable = False
    return found
