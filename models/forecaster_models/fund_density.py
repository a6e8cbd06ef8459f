"""Log density of the fund's evidence and its slope, compiled by hand.

Written out as a graph the same density takes half a minute to compile before every fit and is several times slower to
evaluate. Every section below adds to the density and, walking back, to the slope; the names are those of
:mod:`forecaster_models.fund`, which says what they mean. A test holds the slope against differences of the density.
"""

# mypy: disable-error-code="no-untyped-def"
# Compiled functions: their argument types are Numba's.

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key

from forecaster.normal import normal
from forecaster_models.steps import steps_density

Array = np.ndarray

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


@numba.njit(cache=True)
def charged_share(median, spread, low, high):
    """Share of value charged between a threshold and a ceiling, with its slopes by log median and by spread.

    The formula of :func:`forecaster.revenue.charged_share`; ``low`` and ``high`` are logs.
    """
    above_low, above_high = (median - low) / spread, (median - high) / spread
    capped = above_high - spread
    root = 1.0 / np.sqrt(2.0 * np.pi)
    at_low = root * np.exp(-0.5 * above_low * above_low)
    at_high = root * np.exp(-0.5 * above_high * above_high)
    at_cap = root * np.exp(-0.5 * capped * capped)
    weight = np.exp(high - median + 0.5 * spread * spread)
    tail = normal(capped)
    share = normal(above_low) - normal(above_high) + weight * tail
    by_median = (at_low - at_high + weight * at_cap) / spread - weight * tail
    by_spread = (at_high * above_high - at_low * above_low) / spread + weight * spread * tail
    by_spread += weight * at_cap * (-above_high / spread - 1.0)
    return share, by_median, by_spread


@numba.njit(cache=True)
def _accounts(x, d, cost, income, slope_cost, slope_income, slope):
    """Flows, sums, balances and reserves; slopes are by the flows themselves."""
    n = len(cost)
    expected = d.accounts_matrix @ np.concatenate((cost, income)) + x[RESTATED] * d.accounts_restated
    off = (d.accounts_value - expected) / d.accounts_error
    pull = off / d.accounts_error
    slope[RESTATED] += pull @ d.accounts_restated
    by_flow = pull @ d.accounts_matrix
    slope_cost += by_flow[:n]
    slope_income += by_flow[n:]
    return -0.5 * (off @ off)


@numba.njit(cache=True)
def _budget(x, d, log_cost, slope_log_cost, slope):
    """Global budgets: the log ratio of cost to budget wanders."""
    count = len(d.budget_index)
    sd = x[BUDGET_WANDER_SD]
    gap = np.empty(count)
    for i in range(count):
        gap[i] = log_cost[d.budget_index[i]] - d.budget_log[i] - x[BUDGET_RATIO]
    white = d.budget_unmix @ gap / sd
    pull = -(white @ d.budget_unmix) / sd
    for i in range(count):
        slope_log_cost[d.budget_index[i]] += pull[i]
    slope[BUDGET_RATIO] -= pull.sum()
    square = white @ white
    slope[BUDGET_WANDER_SD] += (square - count) / sd
    return -0.5 * square - count * np.log(sd)


@numba.njit(cache=True)
def _profile(x, d, profile, slope_profile, slope):
    """Steps and level of the profile, and published ratios of its bands."""
    groups = len(profile)
    sd = x[PROFILE_STEP_SD]
    square = 0.0
    for g in range(groups - 1):
        step = profile[g + 1] - profile[g]
        square += step * step
        slope_profile[g] += step / (sd * sd)
        slope_profile[g + 1] -= step / (sd * sd)
    slope[PROFILE_STEP_SD] += square / sd**3 - (groups - 1) / sd
    level = profile.mean()
    slope_profile -= level / 0.01 / groups
    density = -0.5 * square / (sd * sd) - (groups - 1) * np.log(sd) - 0.5 * level * level / 0.01
    cost = np.exp(profile)
    for i in range(len(d.ratio_value)):
        top, bottom = d.ratio_top[i] @ cost, d.ratio_bottom[i] @ cost
        off = (d.ratio_value[i] - np.log(top / bottom)) / d.ratio_error[i]
        density -= 0.5 * off * off
        pull = off / d.ratio_error[i]
        for g in range(groups):
            slope_profile[g] += pull * cost[g] * (d.ratio_top[i, g] / top - d.ratio_bottom[i, g] / bottom)
    return density


@numba.njit(cache=True)
def _need(x, d, profile):
    """Log need by year and the groups' shares of it, ``(n,)`` and ``(n, group)``."""
    n, groups = d.people.shape
    shares, log_need = np.empty((n, groups)), np.empty(n)
    young = np.exp(profile)
    for t in range(n):
        older = np.exp(x[TILT] * d.tilt_years[t])
        total = 0.0
        for g in range(groups):
            shares[t, g] = d.people[t, g] * young[g] * (older if d.old_groups[g] else 1.0)
            total += shares[t, g]
        shares[t] /= total
        log_need[t] = np.log(total)
    return log_need, shares


@numba.njit(cache=True)
def _need_back(d, shares, slope_need, slope_profile, slope):
    for t in range(len(slope_need)):
        old = 0.0
        for g in range(shares.shape[1]):
            slope_profile[g] += slope_need[t] * shares[t, g]
            if d.old_groups[g]:
                old += shares[t, g]
        slope[TILT] += slope_need[t] * d.tilt_years[t] * old


@numba.njit(cache=True)
def _charged(x, d):
    """Charged shares of the cases with their slopes, ``(case, 3)``; cases three and four are part-time wages."""
    found = np.empty((6, 3))
    for k in range(6):
        part = k in (2, 3)
        median = x[PART_MEDIAN] if part else x[SIZE_MEDIAN] + (d.size_growth[0] if k >= 4 else 0.0)
        spread = x[PART_SPREAD] if part else x[SIZE_SPREAD]
        found[k] = charged_share(median, spread, d.case_threshold[k], d.case_ceiling[k])
    return found


@numba.njit(cache=True)
def _ratio_back(charged, top, bottom, pull, at_median, at_spread, slope):
    """Slope of ``charged[top] / charged[bottom]``."""
    ratio = charged[top, 0] / charged[bottom, 0]
    for part, at in ((1, at_median), (2, at_spread)):
        slope[at] += pull * (charged[top, part] - ratio * charged[bottom, part]) / charged[bottom, 0]


@numba.njit(cache=True)
def _level(x, d, level, slope_level, slope):
    """Steps of the supplementary base."""
    sd = x[SUPPLEMENTARY_SD]
    count = len(level) - 1
    square = 0.0
    for t in range(count):
        off = level[t + 1] - level[t] - d.supplementary_step[t] - x[SUPPLEMENTARY_DRIFT]
        square += off * off
        slope_level[t + 1] -= off / (sd * sd)
        slope_level[t] += off / (sd * sd)
        slope[SUPPLEMENTARY_DRIFT] += off / (sd * sd)
    slope[SUPPLEMENTARY_SD] += square / sd**3 - count / sd
    return -0.5 * square / (sd * sd) - count * np.log(sd)


@numba.njit(cache=True)
def density(x, d):
    """Log density, its slope by ``x``, log base ``(m,)`` and both gaps ``(n - 1,)``.

    Parameters
    ----------
    x
        :data:`SCALARS`, then :data:`VECTORS`.
    d
        :class:`FundArrays`.
    """
    n, groups = d.people.shape
    m = len(d.rate)
    categories, items, levels = d.weights.shape[1], len(d.wide_items), len(d.supplementary_step) + 1
    slope = np.zeros_like(x)
    starts = np.cumsum(np.array([len(SCALARS), n + m, groups, categories, items, m, levels, d.pandemic.shape[1]]))
    path, slope_path = x[starts[0] : starts[1]], slope[starts[0] : starts[1]]
    profile, slope_profile = x[starts[1] : starts[2]], slope[starts[1] : starts[2]]
    mix, slope_mix = x[starts[2] : starts[3]], slope[starts[2] : starts[3]]
    share, slope_share = x[starts[3] : starts[4]], slope[starts[3] : starts[4]]
    booking, slope_booking = x[starts[4] : starts[5]], slope[starts[4] : starts[5]]
    level, slope_level = x[starts[5] : starts[6]], slope[starts[5] : starts[6]]
    apart, slope_apart = x[starts[6] : starts[7]], slope[starts[6] : starts[7]]
    revision, slope_revision = x[starts[7] :], slope[starts[7] :]

    # What is expected.
    cost, income = np.exp(path[:n]), np.exp(path[n:])
    log_need, need_shares = _need(x, d, profile)
    charged = _charged(x, d)
    regained_2016, regained_2014 = charged[1, 0] / charged[0, 0], charged[3, 0] / charged[2, 0]
    wider = charged[4, 0] / charged[5, 0]
    wide, part, by_employers = share @ d.wide_items, share @ d.part_items, share @ d.employer_items
    mixed = d.weights @ mix
    state_part = mixed[4 * m] / mixed[4 * m + 1]
    early = m - levels
    premium, more, formula = np.zeros(m), np.ones(m), np.empty(m)
    numerator, denominator, state_premium, log_base = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    change = 0.0
    for t in range(m):
        more[t] += wide * d.wide_years[t] * (regained_2016 - 1.0) + part * d.part_years[t] * (regained_2014 - 1.0)
        if t >= early:
            premium[t] = d.supplementary_rate[t] * np.exp(level[t - early]) * more[t]
        booked = x[BOOKING_SD] * booking[t] + x[BACK_2015] * d.back_2015[t] + x[BACK_2016] * d.back_2016[t]
        formula[t] = np.exp(path[n + t] - booked)
        state_premium[t] = premium[t] * by_employers * state_part
        rest = formula[t] - d.fixed_income[t] - x[MISCELLANEOUS] * d.late[t]
        insured, employer, government, state = (
            mixed[t],
            mixed[m + t],
            mixed[2 * m + t],
            mixed[3 * m + t],
        )
        if d.late[t] > 0.0:
            numerator[t] = rest * (1.0 - d.floor[t]) - premium[t] + state_premium[t]
            denominator[t] = insured + employer - state
        else:
            numerator[t] = rest
            denominator[t] = insured + employer + government
        change += np.log(formula[t] * (1.0 - d.floor[t]) / numerator[t])
        log_base[t] = np.log(numerator[t] / (d.rate[t] * denominator[t]))
    cost_gap, base_gap = np.empty(n - 1), np.empty(n - 1)
    for t in range(n - 1):
        grown = 0.0
        for k in range(len(revision)):
            grown += d.revision[t, k] * revision[k]
        step = log_base[t + 1] - log_base[t] if t + 1 < m else d.gdp[n - 2] + FOLLOWING_SCALE * x[FOLLOWING]
        cost_gap[t] = path[t + 1] - path[t] - (log_need[t + 1] - log_need[t]) - d.price[t]
        cost_gap[t] -= x[ELASTICITY] * (d.real[t] + grown) + x[COST_SURPRISE] * d.surprise[t] + x[COST_DRIFT]
        for k in range(len(apart)):
            cost_gap[t] -= d.pandemic[t, k] * apart[k]
        base_gap[t] = step - d.gdp[t] - grown - x[BASE_SURPRISE] * d.surprise[t] - x[BASE_DRIFT]
        base_gap[t] -= x[REDEFINED] * d.redefined[t]

    # Density, and slopes by what was expected.
    slope_cost, slope_income = np.zeros(n), np.zeros(m)
    slope_need, slope_base, slope_premium = np.zeros(n), np.zeros(m), np.zeros(m)
    slope_formula, slope_state = np.zeros(m), np.zeros(m)
    slope_mixed = np.zeros(len(mixed))
    slope_assessed = np.zeros(m)
    slope_wide = slope_part = slope_employers = 0.0
    total = change + _accounts(x, d, cost, income, slope_cost, slope_income, slope)
    total += _budget(x, d, path[:n], slope_path, slope)
    total += _profile(x, d, profile, slope_profile, slope)
    total += _level(x, d, level, slope_level, slope)
    for i in range(len(d.collected_index)):
        t = d.collected_index[i]
        off = (d.collected_value[i] - premium[t]) / d.collected_error[i]
        total -= 0.5 * off * off
        slope_premium[t] += off / d.collected_error[i]
    for i in range(len(d.item_index)):
        k = d.item_index[i]
        off = (d.item_log[i] - np.log(share[k])) / d.item_error[i]
        total -= 0.5 * off * off
        slope_share[k] += off / d.item_error[i] / share[k]
    assessed = numerator / denominator
    for i in range(len(d.fact_kind)):
        kind, t = d.fact_kind[i], d.fact_year[i]
        all_weight = mixed[t] + mixed[m + t] + mixed[2 * m + t] if t < m else 0.0
        # The effects of a threshold or ceiling are told as a share of the premium.
        if kind == OLD:
            expected = need_shares[t] @ d.old_groups
        elif kind == DIVIDENDS:
            expected = share @ d.dividend_items
        elif kind == THRESHOLD:
            expected = premium[t] * wide * (1.0 / regained_2016 - 1.0)
        elif kind == PART_TIME:
            expected = premium[t] * part * (1.0 / regained_2014 - 1.0)
        elif kind == CEILING:
            expected = premium[t] * wide * (wider - 1.0)
        elif kind == GOVERNMENT:
            paid = assessed[t] * (mixed[2 * m + t] + mixed[3 * m + t]) + state_premium[t]
            expected = paid / (assessed[t] * all_weight)
        elif kind == INSURED:
            paid = assessed[t] * mixed[t] + premium[t] * (1.0 - by_employers)
            expected = paid / formula[t]
        elif kind == EMPLOYERS:
            paid = assessed[t] * (mixed[m + t] - mixed[3 * m + t]) + premium[t] * by_employers - state_premium[t]
            expected = paid / formula[t]
        elif kind == GENERAL:
            expected = assessed[t] * all_weight / formula[t]
        elif kind == SUPPLEMENTARY:
            expected = premium[t] / formula[t]
        else:
            expected = assessed[t] * all_weight
        off = (d.fact_value[i] - expected) / d.fact_error[i]
        total -= 0.5 * off * off
        pull = off / d.fact_error[i]
        if kind == OLD:
            for g in range(groups):
                slope_profile[g] += pull * need_shares[t, g] * (d.old_groups[g] - expected)
            slope[TILT] += pull * d.tilt_years[t] * expected * (1.0 - expected)
        elif kind == DIVIDENDS:
            slope_share += pull * d.dividend_items
        elif kind == THRESHOLD:
            slope_premium[t] += pull * wide * (1.0 / regained_2016 - 1.0)
            slope_wide += pull * premium[t] * (1.0 / regained_2016 - 1.0)
            _ratio_back(charged, 0, 1, pull * premium[t] * wide, SIZE_MEDIAN, SIZE_SPREAD, slope)
        elif kind == PART_TIME:
            slope_premium[t] += pull * part * (1.0 / regained_2014 - 1.0)
            slope_part += pull * premium[t] * (1.0 / regained_2014 - 1.0)
            _ratio_back(charged, 2, 3, pull * premium[t] * part, PART_MEDIAN, PART_SPREAD, slope)
        elif kind == CEILING:
            slope_premium[t] += pull * wide * (wider - 1.0)
            slope_wide += pull * premium[t] * (wider - 1.0)
            _ratio_back(charged, 4, 5, pull * premium[t] * wide, SIZE_MEDIAN, SIZE_SPREAD, slope)
        elif kind == GOVERNMENT:
            whole = assessed[t] * all_weight
            slope_state[t] += pull / whole
            slope_assessed[t] += pull * ((mixed[2 * m + t] + mixed[3 * m + t]) / whole - expected / assessed[t])
            slope_mixed[2 * m + t] += pull * assessed[t] / whole
            slope_mixed[3 * m + t] += pull * assessed[t] / whole
            for payer in range(3):
                slope_mixed[payer * m + t] -= pull * expected / all_weight
        elif kind == INSURED:
            slope_assessed[t] += pull * mixed[t] / formula[t]
            slope_mixed[t] += pull * assessed[t] / formula[t]
            slope_premium[t] += pull * (1.0 - by_employers) / formula[t]
            slope_employers -= pull * premium[t] / formula[t]
            slope_formula[t] -= pull * expected / formula[t]
        elif kind == EMPLOYERS:
            slope_assessed[t] += pull * (mixed[m + t] - mixed[3 * m + t]) / formula[t]
            slope_mixed[m + t] += pull * assessed[t] / formula[t]
            slope_mixed[3 * m + t] -= pull * assessed[t] / formula[t]
            slope_premium[t] += pull * by_employers / formula[t]
            slope_employers += pull * premium[t] / formula[t]
            slope_state[t] -= pull / formula[t]
            slope_formula[t] -= pull * expected / formula[t]
        elif kind in (GENERAL, GENERAL_TOTAL):
            per = pull / formula[t] if kind == GENERAL else pull
            slope_assessed[t] += per * all_weight
            for payer in range(3):
                slope_mixed[payer * m + t] += per * assessed[t]
            if kind == GENERAL:
                slope_formula[t] -= pull * expected / formula[t]
        else:
            slope_premium[t] += pull / formula[t]
            slope_formula[t] -= pull * expected / formula[t]
    stepped, slope_cost_gap, slope_base_gap, by_scale = steps_density(
        cost_gap,
        base_gap,
        x[COST_SD],
        x[BASE_SD],
        x[COST_DRIFT_SD],
        x[BASE_DRIFT_SD],
        x[CORRELATION],
        d.memory_value,
        d.memory_vector,
    )
    total += stepped
    slope[COST_SD : CORRELATION + 1] += by_scale

    # Back through the steps.
    for t in range(n - 1):
        grown = 0.0
        for k in range(len(revision)):
            grown += d.revision[t, k] * revision[k]
            pulled = slope_cost_gap[t] * x[ELASTICITY] + slope_base_gap[t]
            slope_revision[k] -= d.revision[t, k] * pulled
        for k in range(len(apart)):
            slope_apart[k] -= d.pandemic[t, k] * slope_cost_gap[t]
        slope_path[t + 1] += slope_cost_gap[t]
        slope_path[t] -= slope_cost_gap[t]
        slope_need[t + 1] -= slope_cost_gap[t]
        slope_need[t] += slope_cost_gap[t]
        slope[ELASTICITY] -= slope_cost_gap[t] * (d.real[t] + grown)
        slope[COST_SURPRISE] -= slope_cost_gap[t] * d.surprise[t]
        slope[COST_DRIFT] -= slope_cost_gap[t]
        if t + 1 < m:
            slope_base[t + 1] += slope_base_gap[t]
            slope_base[t] -= slope_base_gap[t]
        else:
            slope[FOLLOWING] += FOLLOWING_SCALE * slope_base_gap[t]
        slope[BASE_SURPRISE] -= slope_base_gap[t] * d.surprise[t]
        slope[BASE_DRIFT] -= slope_base_gap[t]
        slope[REDEFINED] -= slope_base_gap[t] * d.redefined[t]
    _need_back(d, need_shares, slope_need, slope_profile, slope)

    # Back through the premiums.
    slope_state_part = 0.0
    slope_regained_2016 = slope_regained_2014 = 0.0
    for t in range(m):
        by_numerator = (slope_base[t] - 1.0) / numerator[t] + slope_assessed[t] / denominator[t]
        by_denominator = -(slope_base[t] + slope_assessed[t] * assessed[t]) / denominator[t]
        by_formula = slope_formula[t] + 1.0 / formula[t]
        slope_mixed[t] += by_denominator
        slope_mixed[m + t] += by_denominator
        if d.late[t] > 0.0:
            by_rest = by_numerator * (1.0 - d.floor[t])
            slope_premium[t] -= by_numerator
            slope_state[t] += by_numerator
            slope_mixed[3 * m + t] -= by_denominator
        else:
            by_rest = by_numerator
            slope_mixed[2 * m + t] += by_denominator
        by_formula += by_rest
        slope[MISCELLANEOUS] -= by_rest * d.late[t]
        slope_premium[t] += slope_state[t] * by_employers * state_part
        slope_employers += slope_state[t] * premium[t] * state_part
        slope_state_part += slope_state[t] * premium[t] * by_employers
        log_pull = by_formula * formula[t]
        slope_path[n + t] += log_pull + slope_income[t] * income[t]
        slope[BOOKING_SD] -= log_pull * booking[t]
        slope_booking[t] -= log_pull * x[BOOKING_SD]
        slope[BACK_2015] -= log_pull * d.back_2015[t]
        slope[BACK_2016] -= log_pull * d.back_2016[t]
        if t >= early:
            slope_level[t - early] += slope_premium[t] * premium[t]
            by_more = slope_premium[t] * premium[t] / more[t]
            slope_wide += by_more * d.wide_years[t] * (regained_2016 - 1.0)
            slope_part += by_more * d.part_years[t] * (regained_2014 - 1.0)
            slope_regained_2016 += by_more * wide * d.wide_years[t]
            slope_regained_2014 += by_more * part * d.part_years[t]
    for t in range(n):
        slope_path[t] += slope_cost[t] * cost[t]
    _ratio_back(charged, 1, 0, slope_regained_2016, SIZE_MEDIAN, SIZE_SPREAD, slope)
    _ratio_back(charged, 3, 2, slope_regained_2014, PART_MEDIAN, PART_SPREAD, slope)
    slope_mixed[4 * m] += slope_state_part / mixed[4 * m + 1]
    slope_mixed[4 * m + 1] -= slope_state_part * state_part / mixed[4 * m + 1]
    slope_mix += slope_mixed @ d.weights
    slope_share += slope_wide * d.wide_items + slope_part * d.part_items + slope_employers * d.employer_items
    return total, slope, log_base, cost_gap, base_gap


def read_only(array: Array) -> Array:
    """The array in rows, not to be written to, as a compiled graph holds its constants.

    Numba compiles a function anew, for a minute here, for every layout that it meets.
    """
    whole = np.issubdtype(np.asarray(array).dtype, np.integer)
    found = np.ascontiguousarray(array, dtype=int if whole else float).view()
    found.flags.writeable = False
    return found


class FundDensity(Op):
    """:func:`density` as an operation of the model: density, slope, log base, gaps of cost and base."""

    __props__ = ()

    def make_node(self, x: Any, *arrays: Any) -> Apply:
        inputs = [pt.as_tensor(x), *map(pt.as_tensor, arrays)]
        return Apply(self, inputs, [pt.dscalar(), *(pt.dvector() for _ in range(4))])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        found = density(np.array(inputs[0]), FundArrays(*map(read_only, inputs[1:])))
        for storage, value in zip(output_storage, found, strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        # Only the density is ever differentiated; the rest is read off the draws.
        return [cotangents[0] * outputs[1], *(pt.zeros_like(array, dtype="float64") for array in inputs[1:])]


@register_funcify_and_cache_key(FundDensity)
def _compiled(op: FundDensity, node: Apply, **options: Any) -> tuple[Any, str]:
    @numba.njit
    def fund_density(x, *arrays):
        total, slope, log_base, cost_gap, base_gap = density(x, FundArrays(*arrays))
        return np.asarray(total), slope, log_base, cost_gap, base_gap

    sources = b"".join((Path(__file__).parent / name).read_bytes() for name in ("fund_density.py", "steps.py"))
    return fund_density, hashlib.sha256(sources).hexdigest()
