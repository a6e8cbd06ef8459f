"""Income in the fund's density: the law's formula, what was published of it, and the slopes back through both.

Names are those of :mod:`forecaster_models.fund_density`.
"""

# mypy: disable-error-code="no-untyped-def"
# Compiled functions: their argument types are Numba's.

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from forecaster.normal import normal
from forecaster_models.fund_arrays import (
    BACK_2015,
    BACK_2016,
    BOOKING_SD,
    CEILING,
    DIVIDENDS,
    EMPLOYERS,
    GENERAL,
    GENERAL_TOTAL,
    GOVERNMENT,
    INSURED,
    MISCELLANEOUS,
    OLD,
    PART_MEDIAN,
    PART_SPREAD,
    PART_TIME,
    SIZE_MEDIAN,
    SIZE_SPREAD,
    SUPPLEMENTARY,
    THRESHOLD,
    TILT,
)

# Sums over items of the supplementary premium whose slopes are gathered: charged above the common threshold, part-time
# wages, paid by employers.
WIDE, PART, BY_EMPLOYERS = range(3)


class Premiums(NamedTuple):
    """What the law's formula of income makes of the quantities; *m* income years.

    Attributes
    ----------
    charged
        Charged shares of the evidence's cases with their slopes, ``(case, 3)``.
    items
        Sums over items, see :data:`WIDE`, ``(3,)``.
    regained_2016, regained_2014, wider
        Ratios of charged shares: thresholds of 2016 and of part-time wages in 2014 after and before, higher ceiling.
    mixed
        Category weights times mix, see ``weights`` of the arrays, ``(4 m + 2,)``.
    state_part
        Share of the state among employers.
    premium, more
        Supplementary premium, and the factor of the year's thresholds on it, ``(m,)``.
    state_premium
        Supplementary premium that the state pays as employer, ``(m,)``.
    formula
        Income by the formula, ``(m,)``.
    numerator, denominator, assessed
        The base is the numerator by rate and denominator; ``assessed`` is the general premium per category weight,
        ``(m,)`` each.
    """

    charged: Any
    items: Any
    regained_2016: Any
    regained_2014: Any
    wider: Any
    mixed: Any
    state_part: Any
    premium: Any
    more: Any
    state_premium: Any
    formula: Any
    numerator: Any
    denominator: Any
    assessed: Any


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
def premiums(x, q, d):
    """The law's formula of income, year by year."""
    n, m = len(d.people), len(d.rate)
    charged = _charged(x, d)
    regained_2016, regained_2014 = charged[1, 0] / charged[0, 0], charged[3, 0] / charged[2, 0]
    items = np.array([q.share @ d.wide_items, q.share @ d.part_items, q.share @ d.employer_items])
    mixed = d.weights @ q.mix
    state_part = mixed[4 * m] / mixed[4 * m + 1]
    early = m - len(q.level)
    more = 1.0 + items[WIDE] * (regained_2016 - 1.0) * d.wide_years + items[PART] * (regained_2014 - 1.0) * d.part_years
    premium = np.zeros(m)
    premium[early:] = d.supplementary_rate[early:] * np.exp(q.level) * more[early:]
    state_premium = items[BY_EMPLOYERS] * state_part * premium
    formula = np.exp(q.path[n:] - x[BOOKING_SD] * q.booking - x[BACK_2015] * d.back_2015 - x[BACK_2016] * d.back_2016)
    # Before 2013 there was no floor, and the government's own share came from the rate as everybody's did.
    rest = formula - d.fixed_income - x[MISCELLANEOUS] * d.late
    numerator = rest * (1.0 - d.floor) - premium + state_premium
    insured, employer, government, state = mixed[:m], mixed[m : 2 * m], mixed[2 * m : 3 * m], mixed[3 * m : 4 * m]
    denominator = insured + employer + (1.0 - d.late) * government - d.late * state
    return Premiums(
        charged,
        items,
        regained_2016,
        regained_2014,
        charged[4, 0] / charged[5, 0],
        mixed,
        state_part,
        premium,
        more,
        state_premium,
        formula,
        numerator,
        denominator,
        numerator / denominator,
    )


@numba.njit(cache=True)
def premiums_back(x, q, d, p, income, by, at, slope):
    """Back through the formula of income; the log volume of its map from income to base is part of the density."""
    n, m = len(d.people), len(d.rate)
    early = m - len(q.level)
    by_numerator = (by.base - 1.0) / p.numerator + by.assessed / p.denominator
    by_denominator = -(by.base + by.assessed * p.assessed) / p.denominator
    by_rest = by_numerator * (1.0 - d.floor)
    slope[MISCELLANEOUS] -= by_rest @ d.late
    by_state = by.state_premium + by_numerator
    by_premium = by.premium - by_numerator + by_state * p.items[BY_EMPLOYERS] * p.state_part
    by.items[BY_EMPLOYERS] += by_state @ p.premium * p.state_part
    by_state_part = by_state @ p.premium * p.items[BY_EMPLOYERS]
    by.mixed[:m] += by_denominator
    by.mixed[m : 2 * m] += by_denominator
    by.mixed[2 * m : 3 * m] += by_denominator * (1.0 - d.late)
    by.mixed[3 * m : 4 * m] -= by_denominator * d.late
    log_pull = (by.formula + 1.0 / p.formula + by_rest) * p.formula
    at.path[n:] += log_pull + by.income * income
    slope[BOOKING_SD] -= log_pull @ q.booking
    at.booking[:] -= log_pull * x[BOOKING_SD]
    slope[BACK_2015] -= log_pull @ d.back_2015
    slope[BACK_2016] -= log_pull @ d.back_2016
    log_premium = by_premium * p.premium
    at.level[:] += log_premium[early:]
    widened, parted = log_premium / p.more @ d.wide_years, log_premium / p.more @ d.part_years
    by.items[WIDE] += widened * (p.regained_2016 - 1.0)
    by.items[PART] += parted * (p.regained_2014 - 1.0)
    by_regained_2016, by_regained_2014 = widened * p.items[WIDE], parted * p.items[PART]
    _ratio_back(p.charged, 1, 0, by_regained_2016, SIZE_MEDIAN, SIZE_SPREAD, slope)
    _ratio_back(p.charged, 3, 2, by_regained_2014, PART_MEDIAN, PART_SPREAD, slope)
    by.mixed[4 * m] += by_state_part / p.mixed[4 * m + 1]
    by.mixed[4 * m + 1] -= by_state_part * p.state_part / p.mixed[4 * m + 1]
    at.mix[:] += by.mixed @ d.weights
    at.share[:] += by.items[WIDE] * d.wide_items + by.items[PART] * d.part_items
    at.share[:] += by.items[BY_EMPLOYERS] * d.employer_items


@numba.njit(cache=True)
def supplementary_density(q, d, p, by, at):
    """Supplementary premiums collected, and the items' shares of them."""
    density = 0.0
    for i in range(len(d.collected_index)):
        t = d.collected_index[i]
        off = (d.collected_value[i] - p.premium[t]) / d.collected_error[i]
        density -= 0.5 * off * off
        by.premium[t] += off / d.collected_error[i]
    for i in range(len(d.item_index)):
        k = d.item_index[i]
        off = (d.item_log[i] - np.log(q.share[k])) / d.item_error[i]
        density -= 0.5 * off * off
        at.share[k] += off / d.item_error[i] / q.share[k]
    return density


@numba.njit(cache=True)
def facts_density(q, d, p, need_shares, by, at, slope):
    """Single facts: shares of the old and of dividends, effects of thresholds, who paid how much."""
    density = 0.0
    for i in range(len(d.fact_kind)):
        kind, t = d.fact_kind[i], d.fact_year[i]
        if kind == OLD:
            expected = need_shares[t] @ d.old_groups
        elif kind == DIVIDENDS:
            expected = q.share @ d.dividend_items
        else:
            expected = _fact(kind, t, p)
        off = (d.fact_value[i] - expected) / d.fact_error[i]
        density -= 0.5 * off * off
        pull = off / d.fact_error[i]
        if kind == OLD:
            at.profile[:] += pull * need_shares[t] * (d.old_groups - expected)
            slope[TILT] += pull * d.tilt_years[t] * expected * (1.0 - expected)
        elif kind == DIVIDENDS:
            at.share[:] += pull * d.dividend_items
        else:
            _fact_back(kind, t, expected, pull, p, by, slope)
    return density


@numba.njit(cache=True)
def _fact(kind, t, p):
    """What a single fact of premiums is expected to be; effects of a threshold or ceiling are shares of the premium."""
    m = len(p.formula)
    if kind == THRESHOLD:
        return p.premium[t] * p.items[WIDE] * (1.0 / p.regained_2016 - 1.0)
    if kind == PART_TIME:
        return p.premium[t] * p.items[PART] * (1.0 / p.regained_2014 - 1.0)
    if kind == CEILING:
        return p.premium[t] * p.items[WIDE] * (p.wider - 1.0)
    insured, employer, government, state = p.mixed[t], p.mixed[m + t], p.mixed[2 * m + t], p.mixed[3 * m + t]
    general = p.assessed[t] * (insured + employer + government)
    if kind == GOVERNMENT:
        return (p.assessed[t] * (government + state) + p.state_premium[t]) / general
    if kind == INSURED:
        return (p.assessed[t] * insured + p.premium[t] * (1.0 - p.items[BY_EMPLOYERS])) / p.formula[t]
    if kind == EMPLOYERS:
        by_employers = p.premium[t] * p.items[BY_EMPLOYERS] - p.state_premium[t]
        return (p.assessed[t] * (employer - state) + by_employers) / p.formula[t]
    if kind == GENERAL:
        return general / p.formula[t]
    if kind == SUPPLEMENTARY:
        return p.premium[t] / p.formula[t]
    return general


@numba.njit(cache=True)
def _fact_back(kind, t, expected, pull, p, by, slope):
    """Slopes of ``pull`` times what :func:`_fact` expects."""
    m = len(p.formula)
    if kind == THRESHOLD:
        _effect_back(t, WIDE, 1.0 / p.regained_2016 - 1.0, pull, p, by)
        _ratio_back(p.charged, 0, 1, pull * p.premium[t] * p.items[WIDE], SIZE_MEDIAN, SIZE_SPREAD, slope)
    elif kind == PART_TIME:
        _effect_back(t, PART, 1.0 / p.regained_2014 - 1.0, pull, p, by)
        _ratio_back(p.charged, 2, 3, pull * p.premium[t] * p.items[PART], PART_MEDIAN, PART_SPREAD, slope)
    elif kind == CEILING:
        _effect_back(t, WIDE, p.wider - 1.0, pull, p, by)
        _ratio_back(p.charged, 4, 5, pull * p.premium[t] * p.items[WIDE], SIZE_MEDIAN, SIZE_SPREAD, slope)
    elif kind == GOVERNMENT:
        all_weight = p.mixed[t] + p.mixed[m + t] + p.mixed[2 * m + t]
        whole = p.assessed[t] * all_weight
        by.state_premium[t] += pull / whole
        by.assessed[t] += pull * ((p.mixed[2 * m + t] + p.mixed[3 * m + t]) / whole - expected / p.assessed[t])
        by.mixed[2 * m + t] += pull * p.assessed[t] / whole
        by.mixed[3 * m + t] += pull * p.assessed[t] / whole
        for payer in range(3):
            by.mixed[payer * m + t] -= pull * expected / all_weight
    elif kind == GENERAL_TOTAL:
        _general_back(t, pull, p, by)
    else:
        # Shares of the year's income.
        per = pull / p.formula[t]
        by.formula[t] -= per * expected
        if kind == INSURED:
            by.assessed[t] += per * p.mixed[t]
            by.mixed[t] += per * p.assessed[t]
            by.premium[t] += per * (1.0 - p.items[BY_EMPLOYERS])
            by.items[BY_EMPLOYERS] -= per * p.premium[t]
        elif kind == EMPLOYERS:
            by.assessed[t] += per * (p.mixed[m + t] - p.mixed[3 * m + t])
            by.mixed[m + t] += per * p.assessed[t]
            by.mixed[3 * m + t] -= per * p.assessed[t]
            by.premium[t] += per * p.items[BY_EMPLOYERS]
            by.items[BY_EMPLOYERS] += per * p.premium[t]
            by.state_premium[t] -= per
        elif kind == GENERAL:
            _general_back(t, per, p, by)
        else:
            by.premium[t] += per


@numba.njit(cache=True)
def _effect_back(t, items, change, pull, p, by):
    """Slopes of the premium of items times a change of the share charged."""
    by.premium[t] += pull * p.items[items] * change
    by.items[items] += pull * p.premium[t] * change


@numba.njit(cache=True)
def _general_back(t, pull, p, by):
    """Slopes of the year's general premium."""
    m = len(p.formula)
    for payer in range(3):
        by.assessed[t] += pull * p.mixed[payer * m + t]
        by.mixed[payer * m + t] += pull * p.assessed[t]


@numba.njit(cache=True)
def _ratio_back(charged, top, bottom, pull, at_median, at_spread, slope):
    """Slope of ``charged[top] / charged[bottom]``."""
    ratio = charged[top, 0] / charged[bottom, 0]
    for part, at in ((1, at_median), (2, at_spread)):
        slope[at] += pull * (charged[top, part] - ratio * charged[bottom, part]) / charged[bottom, 0]
