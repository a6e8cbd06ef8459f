"""Compiled loops of the benefit stack: composing layers to piecewise-linear payments, and their means over severities.

The mathematics stands in :mod:`forecaster.benefits`. A *table* has a row for each kink of the claim; its columns are
claim, allowed spending left, outside spending left, then each layer's payment. *Rays* are the slopes beyond the last
kink. The state after each layer is kept, so that people who share the first layers' terms share their composition.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from forecaster.normal import normal

Array = np.ndarray
MOST_KINKS = 160


class Workspace(NamedTuple):
    """Room for the states before each layer and after the last.

    Attributes
    ----------
    tables
        ``(table, kink, column)``: the first holds the claim itself, then two for each layer.
    place, counts
        Which table holds a state, and its number of kinks, ``(layer + 1,)``.
    rays
        Slopes beyond the last kink, ``(layer + 1, column)``.
    work
        Knots of one layer's payoff: where, what is paid there, slope after.
    """

    tables: Array
    place: Array
    counts: Array
    rays: Array
    work: Array


@numba.njit(cache=True)
def workspace(n_layers):  # type: ignore[no-untyped-def]
    """An empty :class:`Workspace`."""
    return Workspace(
        np.zeros((2 * n_layers + 1, MOST_KINKS + 1, 3 + n_layers)),
        np.zeros(n_layers + 1, dtype=np.int64),
        np.ones(n_layers + 1, dtype=np.int64),
        np.zeros((n_layers + 1, 3 + n_layers)),
        np.empty((3, MOST_KINKS + 1)),
    )


@numba.njit(cache=True, error_model="numpy")
def _looked_at(tables, t, k, base):  # type: ignore[no-untyped-def]
    if base == 0:
        return tables[t, k, 1]
    if base == 1:
        return tables[t, k, 2]
    return tables[t, k, 1] + tables[t, k, 2]


@numba.njit(cache=True, error_model="numpy")
def _refine(tables, old, new, count, n_rows, base, ray, all_rays, r_at, work, n_knots):  # type: ignore[no-untyped-def]
    """Copy a table and insert a kink where what is looked at crosses a knot; the new count, -1 when full.

    ``base`` 3 looks at allowed spending less the payment in the last column so far. Knots rise, in ``work[0]``.
    """
    own, m = n_rows - 1, 0
    there = tables[old, 0, 1] - tables[old, 0, own] if base == 3 else _looked_at(tables, old, 0, base)
    for k in range(count):
        if m >= MOST_KINKS - n_knots:
            return -1
        for r in range(n_rows):
            tables[new, m, r] = tables[old, k, r]
        m += 1
        here, inner = there, k + 1 < count
        if not inner:
            there = here + ray
        elif base == 3:
            there = tables[old, k + 1, 1] - tables[old, k + 1, own]
        else:
            there = _looked_at(tables, old, k + 1, base)
        if there == here:
            continue
        rising = there > here
        for step in range(n_knots):
            knot = work[0, step if rising else n_knots - 1 - step]
            if inner:
                if knot <= here or knot >= there if rising else knot >= here or knot <= there:
                    continue
                part = (knot - here) / (there - here)
                for r in range(n_rows):
                    tables[new, m, r] = tables[old, k, r] + part * (tables[old, k + 1, r] - tables[old, k, r])
            else:
                if knot <= here if rising else knot >= here:
                    continue
                # Beyond the last kink the slope itself: a difference of near numbers would place the kink badly.
                part = (knot - here) / ray
                if np.isinf(part):
                    continue
                for r in range(n_rows):
                    tables[new, m, r] = tables[old, k, r] + part * all_rays[r_at, r]
            # Kinks that rounding cannot tell apart are one kink.
            if tables[new, m, 0] > tables[new, m - 1, 0] and not (inner and tables[new, m, 0] >= tables[old, k + 1, 0]):
                m += 1
    return m


@numba.njit(cache=True, error_model="numpy")
def _knots_of(deductible, ceiling, edges, rates, y, g, i, work):  # type: ignore[no-untyped-def]
    """Knots of a layer's payoff in what it looks at: where, what is paid there, slope after, as rows of ``work``."""
    n, low, amount = 0, 0.0, 0.0
    for j in range(edges.shape[3]):
        rate, high = rates[y, g, i, j], edges[y, g, i, j]
        work[0, n], work[1, n], work[2, n] = deductible + low, amount, rate
        n += 1
        next_amount = amount + rate * (high - low) if rate > 0.0 else amount
        if np.isfinite(ceiling) and rate > 0.0 and next_amount >= ceiling:
            work[0, n] = deductible + low + (ceiling - amount) / rate
            work[1, n], work[2, n] = ceiling, 0.0
            return n + 1
        if np.isinf(high):
            return n
        amount, low = next_amount, high
    work[0, n], work[1, n], work[2, n] = deductible + low, amount, 0.0
    return n + 1


@numba.njit(cache=True, error_model="numpy")
def compose_from(  # type: ignore[no-untyped-def]
    start, base, deductible, ceiling, edges, rates, allowed, on, d, y, g, p, space
):
    """Lay the layers from ``start`` on over the state before them; False when a table is full.

    The states before ``start`` must be those of the same terms; the last state of ``space`` is that of the whole stack.

    Parameters
    ----------
    deductible, ceiling
        ``(draw, year, group, layer)``, of which ``d``, ``y``, ``g`` are meant; ``edges`` and ``rates`` are ``(year,
        group, layer, tranche)``, ``allowed`` is ``(year,)``. Indices instead of parts: a part costs more than a layer.
    on
        Whether a layer covers the people, ``(profile, layer)``, of which ``p`` is meant.
    """
    tables, place, counts, rays, work = space
    n_layers = len(base)
    if start == 0:
        place[0], counts[0] = 0, 1
        for r in range(3 + n_layers):
            rays[0, r], tables[0, 0, r] = 0.0, 0.0
        rays[0, 0], rays[0, 1], rays[0, 2] = 1.0, allowed[y], 1.0 - allowed[y]
    for i in range(start, n_layers):
        own, old, count, now = 3 + i, place[i], counts[i], i + 1
        for r in range(own):
            rays[now, r] = rays[i, r]
        rays[now, own] = 0.0
        if not on[p, i]:
            for k in range(count):
                tables[old, k, own] = 0.0
            place[now], counts[now] = old, count
            continue
        n = _knots_of(deductible[d, y, g, i], ceiling[d, y, g, i], edges, rates, y, g, i, work)
        ray = rays[now, 1] if base[i] == 0 else rays[now, 2] if base[i] == 1 else rays[now, 1] + rays[now, 2]
        new = 1 + 2 * i
        count = _refine(tables, old, new, count, own, base[i], ray, rays, now, work, n)
        if count < 0:
            return False
        for k in range(count):
            amount, j = _looked_at(tables, new, k, base[i]), 0
            while j < n and work[0, j] <= amount:
                j += 1
            tables[new, k, own] = 0.0 if j == 0 else work[1, j - 1] + work[2, j - 1] * (amount - work[0, j - 1])
        # Beyond the last kink what it looks at has passed every knot, or moves no more.
        rays[now, own] = work[2, n - 1] * ray if ray > 0.0 else 0.0
        place[now], counts[now] = new, count
        if base[i] < 2:
            side = 1 + base[i]
            for k in range(count):
                tables[new, k, side] -= tables[new, k, own]
            rays[now, side] -= rays[now, own]
            continue
        # Taken from allowed spending first; where that is used up the split has a kink of its own. Its base of 3 and
        # its one knot are told by the layer's base of 2: with numbers written out the function would be compiled twice.
        margin = rays[now, 1] - rays[now, own]
        work[0, 0] = 0.0
        split = 2 + 2 * i
        count = _refine(tables, new, split, count, own + 1, base[i] + 1, margin, rays, now, work, base[i] - 1)
        if count < 0:
            return False
        last = tables[split, count - 1, 1]
        spare, nothing = last - tables[split, count - 1, own], 1e-9 * (1.0 + last)
        for k in range(count):
            from_allowed = min(tables[split, k, own], tables[split, k, 1])
            tables[split, k, 1] -= from_allowed
            tables[split, k, 2] -= tables[split, k, own] - from_allowed
        if spare < -nothing or (spare <= nothing and margin < 0.0):
            rays[now, 2] -= rays[now, own] - rays[now, 1]
            rays[now, 1] = 0.0
        else:
            rays[now, 1] = margin
        place[now], counts[now] = split, count
    return True


# Table of the standard size's limited expected value by the logarithm of the size, on equal steps: from 8 spreads below
# the median to a factor of exp(12) beyond the start of the tail, which is a node.
_BODY_STEPS, _BODY_REACH, _TAIL_REACH = 128, 8.0, 12.0


@numba.njit(cache=True, error_model="numpy")
def _tabulate(spread, index, z, tail, values, table):  # type: ignore[no-untyped-def]
    """Fill a draw's table with polynomials through values and two derivatives; steps, tail scale, mean size."""
    root = np.sqrt(2.0 * np.pi)
    to_mean, start = np.exp(0.5 * spread * spread), np.exp(spread * z)
    scale = tail * spread * start * root * np.exp(0.5 * z * z)
    step = (z + _BODY_REACH) * spread / _BODY_STEPS
    n_steps = _BODY_STEPS + int(np.ceil(_TAIL_REACH / step))
    to_start = to_mean * normal(z - spread) + start * tail
    for k in range(n_steps + 1):
        log_size = k * step - _BODY_REACH * spread
        size = np.exp(log_size)
        if k <= _BODY_STEPS:
            t = log_size / spread
            above, density = normal(-t), np.exp(-0.5 * t * t) / (root * spread)
            values[k, 0] = to_mean * normal(t - spread) + size * above
        else:
            over = 1.0 + index * (size - start) / scale
            above = tail * over ** (-1.0 / index)
            density = size * above / (over * scale)
            values[k, 0] = to_start + scale * (tail - above * over) / (1.0 - index)
        values[k, 1] = step * size * above
        values[k, 2] = step * step * size * (above - density)
    for k in range(n_steps):
        a, b, c = values[k, 0], values[k, 1], 0.5 * values[k, 2]
        p, q, r = values[k + 1, 0] - a - b - c, values[k + 1, 1] - b - 2.0 * c, 0.5 * values[k + 1, 2] - c
        table[k, 0], table[k, 1], table[k, 2] = a, b, c
        table[k, 3] = 10.0 * p - 4.0 * q + r
        table[k, 4] = -15.0 * p + 7.0 * q - 2.0 * r
        table[k, 5] = 6.0 * p - 3.0 * q + r
    return n_steps, step, scale, to_start + tail * scale / (1.0 - index)


@numba.njit(cache=True, error_model="numpy")
def _add_profile(space, n_layers, weight, kinks, changes, slopes, total):  # type: ignore[no-untyped-def]
    """Add one profile's weighted changes of slope to a list of kinks; its new length, -1 when full.

    ``changes`` is ``(kink, payer)``; ``slopes`` is work: a row for the stretch before a kink and one for that after.
    """
    tables, rays = space.tables, space.rays
    t, count = space.place[n_layers], space.counts[n_layers]
    for i in range(n_layers + 1):
        slopes[1, i] = 0.0
    j = 0
    for k in range(count):
        kink = tables[t, k, 0]
        # Profiles share kinks in the same order: the next one is most often where the last one was found.
        looked = 0
        while looked < total and kinks[j] != kink:
            j = j + 1 if j + 1 < total else 0
            looked += 1
        if looked == total:
            if total == MOST_KINKS:
                return -1
            j = total
            kinks[j] = kink
            for i in range(n_layers + 1):
                changes[j, i] = 0.0
            total += 1
        before, after = (k + 1) % 2, k % 2
        if k + 1 < count:
            per = weight / (tables[t, k + 1, 0] - kink)
            for i in range(n_layers):
                slopes[after, i] = per * (tables[t, k + 1, 3 + i] - tables[t, k, 3 + i])
            left = tables[t, k, 1] + tables[t, k, 2]
            slopes[after, n_layers] = per * (tables[t, k + 1, 1] + tables[t, k + 1, 2] - left)
        else:
            for i in range(n_layers):
                slopes[after, i] = weight * rays[n_layers, 3 + i]
            slopes[after, n_layers] = weight * (rays[n_layers, 1] + rays[n_layers, 2])
        for i in range(n_layers + 1):
            changes[j, i] += slopes[after, i] - slopes[before, i]
        j = j + 1 if j + 1 < total else 0
    return total


@numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _band_means(  # type: ignore[no-untyped-def]
    users, log_size, count, kinks, logs, changes, y, table, n_steps, per_step, low, mean, scale, index, log_start, tail,
    rest, out, d, b,
):  # fmt: skip
    """Mean payments of one band in one year and draw, from the kinks and changes of slope of the year."""
    size = np.exp(log_size)
    for k in range(count):
        position = (logs[y, k] - log_size - low) * per_step
        if position < 0.0:
            rest[k] = mean - kinks[y, k] / size
        elif position < n_steps:
            j = int(position)
            h = position - j
            upper = table[j, 3] + h * (table[j, 4] + h * table[j, 5])
            rest[k] = mean - (table[j, 0] + h * (table[j, 1] + h * (table[j, 2] + h * upper)))
        else:
            over = 1.0 + index * (kinks[y, k] / size - np.exp(log_start)) / scale
            rest[k] = tail * scale / (1.0 - index) * over ** (1.0 - 1.0 / index)
    for i in range(changes.shape[1]):
        total = 0.0
        for k in range(count):
            total += changes[y, i, k] * rest[k]
        out[d, y, b, i] = users * size * total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def expect(  # type: ignore[no-untyped-def]
    first, last, base, deductible, ceiling, edges, rates, allowed, of, on, weight, shared, users, log_scale, cost,
    spread, tail_index, z, tail, out,
):  # fmt: skip
    """Mean payments, weighted over profiles, into ``out`` ``(draw, year, band, payer)``, of the draws from ``first`` to
    before ``last``; False when a table is full.

    The terms have an axis of groups in front, ``of`` is the group of each profile, ``shared`` how many first layers a
    profile has in common with the one before. A payment with slope changes *q* at kinks *x* has the mean sum of
    q (E[X] - E[min(X, x)]), and profiles add their slope changes, weighted, to one list.
    """
    n_profiles, n_years = weight.shape
    n_layers, n_bands = base.shape[0], len(users)
    n_payers = n_layers + 1
    by_draw = deductible.shape[0] > 1
    space = workspace(n_layers)
    # A year's list of kinks serves every draw when thresholds have no draws.
    counts = np.zeros(n_years, dtype=np.int64)
    kinks, logs = np.empty((n_years, MOST_KINKS)), np.empty((n_years, MOST_KINKS))
    changes = np.empty((n_years, n_payers, MOST_KINKS))
    found, added, slopes = np.empty(MOST_KINKS), np.empty((MOST_KINKS, n_payers)), np.empty((2, n_payers))
    least = (z + _BODY_REACH) * np.min(spread[first:last]) / _BODY_STEPS
    n_nodes = _BODY_STEPS + int(np.ceil(_TAIL_REACH / least)) + 2
    values, table, rest = np.empty((n_nodes, 3)), np.empty((n_nodes, 6)), np.empty(MOST_KINKS)
    for d in range(first, last):
        n_steps, step, scale, mean = _tabulate(spread[d], tail_index[d], z, tail, values, table)
        low, per_step = -_BODY_REACH * spread[d], 1.0 / step
        for y in range(n_years):
            if by_draw or d == first:
                counts[y] = 0
                total, common = counts[y], counts[y]
                for p in range(n_profiles):
                    # A profile that nobody has is passed over, with what the next one would have shared with it.
                    common = min(common, shared[p])
                    if weight[p, y] == 0.0:
                        continue
                    at = d if by_draw else 0
                    if not compose_from(
                        common, base, deductible, ceiling, edges, rates, allowed, on, at, y, of[p], p, space
                    ):
                        return False
                    total = _add_profile(space, n_layers, weight[p, y], found, added, slopes, total)
                    if total < 0:
                        return False
                    common = n_layers
                counts[y] = total
                for k in range(total):
                    kinks[y, k], logs[y, k] = found[k], np.log(found[k])
                    for i in range(n_payers):
                        changes[y, i, k] = added[k, i]
            log_cost = np.log(cost[y, d if cost.shape[1] > 1 else 0])
            for b in range(n_bands):
                _band_means(
                    users[b], log_scale[b, d] + log_cost, counts[y], kinks, logs, changes, y, table, n_steps, per_step,
                    low, mean, scale, tail_index[d], z * spread[d], tail, rest, out, d, b,
                )  # fmt: skip
    return True
