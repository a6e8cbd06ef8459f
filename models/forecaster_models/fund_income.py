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
    borrowing,
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


@borrowing
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


@borrowing
def _charged(x, d, found):
    """Fill in charged shares of the cases with their slopes, ``(case, 3)``; the third and fourth are part-time."""
    for k in range(len(found)):
        part = k in (2, 3)
        median = x[PART_MEDIAN] if part else x[SIZE_MEDIAN] + (d.size_growth[0] if k >= 4 else 0.0)
        spread = x[PART_SPREAD] if part else x[SIZE_SPREAD]
        share, by_median, by_spread = charged_share(median, spread, d.case_threshold[k], d.case_ceiling[k])
        found[k, 0], found[k, 1], found[k, 2] = share, by_median, by_spread


@numba.njit(cache=True)
def premiums(x, q, d):
    """The law's formula of income, year by year."""
    n, m = len(d.people), len(d.rate)
    charged = np.empty((6, 3))
    _charged(x, d, charged)
    regained_2016, regained_2014 = charged[1, 0] / charged[0, 0], charged[3, 0] / charged[2, 0]
    items = np.array([q.share @ d.wide_items, q.share @ d.part_items, q.share @ d.employer_items])
    mixed = d.weights @ q.mix
    state_part = mixed[4 * m] / mixed[4 * m + 1]
    premium, more, state_premium, formula = np.zeros(m), np.empty(m), np.empty(m), np.empty(m)
    numerator, denominator, assessed = np.empty(m), np.empty(m), np.empty(m)
    early = m - len(q.level)
    for t in range(m):
        more[t] = 1.0 + items[WIDE] * (regained_2016 - 1.0) * d.wide_years[t]
        more[t] += items[PART] * (regained_2014 - 1.0) * d.part_years[t]
        if t >= early:
            premium[t] = d.supplementary_rate[t] * np.exp(q.level[t - early]) * more[t]
        state_premium[t] = items[BY_EMPLOYERS] * state_part * premium[t]
        booked = x[BOOKING_SD] * q.booking[t] + x[BACK_2015] * d.back_2015[t] + x[BACK_2016] * d.back_2016[t]
        formula[t] = np.exp(q.path[n + t] - booked)
        # Before 2013 there was no floor, and the government's own share came from the rate as everybody's did.
        rest = formula[t] - d.fixed_income[t] - x[MISCELLANEOUS] * d.late[t]
        numerator[t] = rest * (1.0 - d.floor[t]) - premium[t] + state_premium[t]
        insured, employer, government, state = mixed[t], mixed[m + t], mixed[2 * m + t], mixed[3 * m + t]
        denominator[t] = insured + employer + (1.0 - d.late[t]) * government - d.late[t] * state
        assessed[t] = numerator[t] / denominator[t]
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
        assessed,
    )


@borrowing
def premiums_back(x, q, d, p, income, by, at, slope):
    """Back through the formula of income; the log volume of its map from income to base is part of the density."""
    n, m = len(d.people), len(d.rate)
    early = m - len(q.level)
    by_state_part = by_regained_2016 = by_regained_2014 = 0.0
    for t in range(m):
        by_numerator = (by.base[t] - 1.0) / p.numerator[t] + by.assessed[t] / p.denominator[t]
        by_denominator = -(by.base[t] + by.assessed[t] * p.assessed[t]) / p.denominator[t]
        by.mixed[t] += by_denominator
        by.mixed[m + t] += by_denominator
        by.mixed[2 * m + t] += by_denominator * (1.0 - d.late[t])
        by.mixed[3 * m + t] -= by_denominator * d.late[t]
        by_rest = by_numerator * (1.0 - d.floor[t])
        slope[MISCELLANEOUS] -= by_rest * d.late[t]
        by_state = by.state_premium[t] + by_numerator
        by.items[BY_EMPLOYERS] += by_state * p.premium[t] * p.state_part
        by_state_part += by_state * p.premium[t] * p.items[BY_EMPLOYERS]
        log_pull = (by.formula[t] + 1.0 / p.formula[t] + by_rest) * p.formula[t]
        at.path[n + t] += log_pull + by.income[t] * income[t]
        slope[BOOKING_SD] -= log_pull * q.booking[t]
        at.booking[t] -= log_pull * x[BOOKING_SD]
        slope[BACK_2015] -= log_pull * d.back_2015[t]
        slope[BACK_2016] -= log_pull * d.back_2016[t]
        if t >= early:
            by_premium = by.premium[t] - by_numerator + by_state * p.items[BY_EMPLOYERS] * p.state_part
            at.level[t - early] += by_premium * p.premium[t]
            by_more = by_premium * p.premium[t] / p.more[t]
            by.items[WIDE] += by_more * d.wide_years[t] * (p.regained_2016 - 1.0)
            by.items[PART] += by_more * d.part_years[t] * (p.regained_2014 - 1.0)
            by_regained_2016 += by_more * d.wide_years[t] * p.items[WIDE]
            by_regained_2014 += by_more * d.part_years[t] * p.items[PART]
    _ratio_back(p.charged, 1, 0, by_regained_2016, SIZE_MEDIAN, SIZE_SPREAD, slope)
    _ratio_back(p.charged, 3, 2, by_regained_2014, PART_MEDIAN, PART_SPREAD, slope)
    by.mixed[4 * m] += by_state_part / p.mixed[4 * m + 1]
    by.mixed[4 * m + 1] -= by_state_part * p.state_part / p.mixed[4 * m + 1]
    for row in range(len(by.mixed)):
        for k in range(len(q.mix)):
            at.mix[k] += by.mixed[row] * d.weights[row, k]
    for k in range(len(q.share)):
        at.share[k] += by.items[WIDE] * d.wide_items[k] + by.items[PART] * d.part_items[k]
        at.share[k] += by.items[BY_EMPLOYERS] * d.employer_items[k]


@borrowing
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


@borrowing
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
            for g in range(len(q.profile)):
                at.profile[g] += pull * need_shares[t, g] * (d.old_groups[g] - expected)
            slope[TILT] += pull * d.tilt_years[t] * expected * (1.0 - expected)
        elif kind == DIVIDENDS:
            for k in range(len(q.share)):
                at.share[k] += pull * d.dividend_items[k]
        else:
            _fact_back(kind, t, expected, pull, p, by, slope)
    return density


@borrowing
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


@borrowing
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


@borrowing
def _effect_back(t, items, change, pull, p, by):
    """Slopes of the premium of items times a change of the share charged."""
    by.premium[t] += pull * p.items[items] * change
    by.items[items] += pull * p.premium[t] * change


@borrowing
def _general_back(t, pull, p, by):
    """Slopes of the year's general premium."""
    m = len(p.formula)
    for payer in range(3):
        by.assessed[t] += pull * p.mixed[payer * m + t]
        by.mixed[payer * m + t] += pull * p.assessed[t]


@borrowing
def _ratio_back(charged, top, bottom, pull, at_median, at_spread, slope):
    """Slope of ``charged[top] / charged[bottom]``."""
    ratio = charged[top, 0] / charged[bottom, 0]
    for part, at in ((1, at_median), (2, at_spread)):
        slope[at] += pull * (charged[top, part] - ratio * charged[bottom, part]) / charged[bottom, 0]
