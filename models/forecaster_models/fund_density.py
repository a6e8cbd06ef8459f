"""Log density of the fund's evidence and its slope, compiled by hand.

Written out as a graph the same density takes half a minute to compile before every fit and is several times slower to
evaluate. First what the quantities lead one to expect, then the density of what was found, each part adding its slopes
by what was expected, then back through the expectations to the quantities. The names are those of
:mod:`forecaster_models.fund`, which says what they mean. A test holds the slope against differences of the density.

Everywhere ``x`` are the quantities in one vector, ``d`` the :class:`~forecaster_models.fund_arrays.FundArrays`, ``q``
the vectors among the quantities, ``slope`` the slopes by ``x``, ``at`` those by ``q`` and ``by`` those by
what is expected.
"""

# mypy: disable-error-code="no-untyped-def"
# Compiled functions: their argument types are Numba's.

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key

from forecaster_models.fund_arrays import (
    BASE_DRIFT,
    BASE_DRIFT_SD,
    BASE_SD,
    BASE_SURPRISE,
    BUDGET_RATIO,
    BUDGET_WANDER_SD,
    CORRELATION,
    COST_DRIFT,
    COST_DRIFT_SD,
    COST_SD,
    COST_SURPRISE,
    ELASTICITY,
    FOLLOWING,
    FOLLOWING_SCALE,
    PROFILE_STEP_SD,
    REDEFINED,
    RESTATED,
    SCALARS,
    SUPPLEMENTARY_DRIFT,
    SUPPLEMENTARY_SD,
    TILT,
    FundArrays,
    Slopes,
    Vectors,
    borrowing,
    read_only,
)
from forecaster_models.fund_income import facts_density, premiums, premiums_back, supplementary_density
from forecaster_models.steps import steps_density

# Modules whose change makes a compiled density another one.
COMPILED = ("fund_density", "fund_income", "fund_arrays", "steps")


@numba.njit(cache=True)
def _accounts(x, d, cost, income, slope_cost, slope_income, slope):
    """Flows, sums, balances and reserves; slopes are by the flows themselves."""
    n = len(cost)
    expected = d.accounts_matrix @ np.concatenate((cost, income)) + x[RESTATED] * d.accounts_restated
    off = (d.accounts_value - expected) / d.accounts_error
    pull = off / d.accounts_error
    slope[RESTATED] += pull @ d.accounts_restated
    by_flow = pull @ d.accounts_matrix
    for t in range(n):
        slope_cost[t] += by_flow[t]
    for t in range(len(income)):
        slope_income[t] += by_flow[n + t]
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


@borrowing
def _profile(x, d, profile, cost, slope_profile, slope):
    """Steps and level of the profile, and published ratios of its bands; ``cost`` is the profile out of logs."""
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
    for g in range(groups):
        slope_profile[g] -= level / 0.01 / groups
    density = -0.5 * square / (sd * sd) - (groups - 1) * np.log(sd) - 0.5 * level * level / 0.01
    for i in range(len(d.ratio_value)):
        top, bottom = d.ratio_top[i] @ cost, d.ratio_bottom[i] @ cost
        off = (d.ratio_value[i] - np.log(top / bottom)) / d.ratio_error[i]
        density -= 0.5 * off * off
        pull = off / d.ratio_error[i]
        for g in range(groups):
            slope_profile[g] += pull * cost[g] * (d.ratio_top[i, g] / top - d.ratio_bottom[i, g] / bottom)
    return density


@borrowing
def _need(x, d, cost, log_need, shares):
    """Fill in log need by year and the groups' shares of it, ``(n,)`` and ``(n, group)``."""
    n, groups = d.people.shape
    for t in range(n):
        older = np.exp(x[TILT] * d.tilt_years[t])
        total = 0.0
        for g in range(groups):
            shares[t, g] = d.people[t, g] * cost[g] * (older if d.old_groups[g] else 1.0)
            total += shares[t, g]
        for g in range(groups):
            shares[t, g] /= total
        log_need[t] = np.log(total)


@borrowing
def _need_back(d, shares, slope_need, slope_profile, slope):
    for t in range(len(slope_need)):
        old = 0.0
        for g in range(shares.shape[1]):
            slope_profile[g] += slope_need[t] * shares[t, g]
            if d.old_groups[g]:
                old += shares[t, g]
        slope[TILT] += slope_need[t] * d.tilt_years[t] * old


@borrowing
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


@borrowing
def _gaps(x, q, d, log_need, log_base, cost_gap, base_gap):
    """Fill in steps of cost and base less what need, prices, growth, breaks and pandemics explain, ``(n - 1,)``."""
    n, m = len(log_need), len(log_base)
    for t in range(n - 1):
        grown = _grown(q, d, t)
        step = log_base[t + 1] - log_base[t] if t + 1 < m else d.gdp[n - 2] + FOLLOWING_SCALE * x[FOLLOWING]
        base_gap[t] = step - d.gdp[t] - grown - x[BASE_SURPRISE] * d.surprise[t] - x[BASE_DRIFT]
        base_gap[t] -= x[REDEFINED] * d.redefined[t]
        cost_gap[t] = q.path[t + 1] - q.path[t] - (log_need[t + 1] - log_need[t]) - d.price[t]
        cost_gap[t] -= x[ELASTICITY] * (d.real[t] + grown) + x[COST_SURPRISE] * d.surprise[t] + x[COST_DRIFT]
        for k in range(len(q.apart)):
            cost_gap[t] -= d.pandemic[t, k] * q.apart[k]


@borrowing
def _grown(q, d, t):
    """What is not yet known of the growth of step ``t``."""
    grown = 0.0
    for k in range(len(q.revision)):
        grown += d.revision[t, k] * q.revision[k]
    return grown


@borrowing
def _gaps_back(x, q, d, by_cost_gap, by_base_gap, by, at, slope):
    m = len(by.base)
    for t in range(len(by_cost_gap)):
        by_cost, by_step = by_cost_gap[t], by_base_gap[t]
        for k in range(len(q.revision)):
            at.revision[k] -= d.revision[t, k] * (by_cost * x[ELASTICITY] + by_step)
        for k in range(len(q.apart)):
            at.apart[k] -= d.pandemic[t, k] * by_cost
        at.path[t + 1] += by_cost
        at.path[t] -= by_cost
        by.need[t + 1] -= by_cost
        by.need[t] += by_cost
        if t + 1 < m:
            by.base[t + 1] += by_step
            by.base[t] -= by_step
        else:
            slope[FOLLOWING] += FOLLOWING_SCALE * by_step
        slope[ELASTICITY] -= by_cost * (d.real[t] + _grown(q, d, t))
        slope[COST_SURPRISE] -= by_cost * d.surprise[t]
        slope[COST_DRIFT] -= by_cost
        slope[BASE_SURPRISE] -= by_step * d.surprise[t]
        slope[BASE_DRIFT] -= by_step
        slope[REDEFINED] -= by_step * d.redefined[t]


@numba.njit(cache=True)
def _vectors(x, d):
    """Views of the vectors that follow the scalars in ``x``."""
    n, groups = d.people.shape
    m = len(d.rate)
    categories, items, levels = d.weights.shape[1], len(d.wide_items), len(d.supplementary_step) + 1
    path = len(SCALARS)
    profile = path + n + m
    mix = profile + groups
    share = mix + categories
    booking = share + items
    level = booking + m
    apart = level + levels
    revision = apart + d.pandemic.shape[1]
    return Vectors(
        x[path:profile],
        x[profile:mix],
        x[mix:share],
        x[share:booking],
        x[booking:level],
        x[level:apart],
        x[apart:revision],
        x[revision:],
    )


@numba.njit(cache=True)
def density(x, d):
    """Log density, its slope by ``x``, log base ``(m,)`` and both gaps ``(n - 1,)``.

    Parameters
    ----------
    x
        :data:`~forecaster_models.fund_arrays.SCALARS`, then :data:`~forecaster_models.fund_arrays.VECTORS`.
    d
        :class:`~forecaster_models.fund_arrays.FundArrays`.
    """
    n, m = len(d.people), len(d.rate)
    slope = np.zeros_like(x)
    q, at = _vectors(x, d), _vectors(slope, d)

    cost, income = np.exp(q.path[:n]), np.exp(q.path[n:])
    cost_by_age = np.exp(q.profile)
    log_need, need_shares = np.empty(n), np.empty(d.people.shape)
    _need(x, d, cost_by_age, log_need, need_shares)
    p = premiums(x, q, d)
    log_base = np.log(p.assessed / d.rate)
    cost_gap, base_gap = np.empty(n - 1), np.empty(n - 1)
    _gaps(x, q, d, log_need, log_base, cost_gap, base_gap)

    by = Slopes(
        np.zeros(n),
        np.zeros(n),
        np.zeros(m),
        np.zeros(m),
        np.zeros(m),
        np.zeros(m),
        np.zeros(m),
        np.zeros(m),
        np.zeros(len(p.mixed)),
        np.zeros(3),
    )
    total = np.log(p.formula * (1.0 - d.floor) / p.numerator).sum()
    total += _accounts(x, d, cost, income, by.cost, by.income, slope)
    total += _budget(x, d, q.path[:n], at.path, slope)
    total += _profile(x, d, q.profile, cost_by_age, at.profile, slope)
    total += _level(x, d, q.level, at.level, slope)
    total += supplementary_density(q, d, p, by, at)
    total += facts_density(q, d, p, need_shares, by, at, slope)
    stepped, by_cost_gap, by_base_gap, by_scale = steps_density(
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

    _gaps_back(x, q, d, by_cost_gap, by_base_gap, by, at, slope)
    _need_back(d, need_shares, by.need, at.profile, slope)
    for t in range(n):
        at.path[t] += by.cost[t] * cost[t]
    premiums_back(x, q, d, p, income, by, at, slope)
    return total, slope, log_base, cost_gap, base_gap


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

    sources = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in COMPILED)
    return fund_density, hashlib.sha256(sources).hexdigest()
