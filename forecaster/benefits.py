r"""The benefit stack: piecewise-linear layers, each paying on what those before it have left.

Of a year's spending *x* the share *c* is in the catalogue: :math:`A_0 = c\,x` and :math:`Z_0 = (1 - c)\,x`. Layer *l*
looks at :math:`B = A_{l-1}`, :math:`Z_{l-1}` or their sum and pays

.. math::
    P_l = \min\!\left(M_l,\ \sum_j k_{lj}\,\bigl(\min(B - d_l,\ e_{lj}) - e_{l,j-1}\bigr)_+\right)

with deductible *d*, tranches ending at *e* above it, their rates *k* and the ceiling *M*. The payment is taken from
what it looked at, out of both from *A* first. What is left after the last layer is the household's:

.. math::
    \sum_l P_l + \mathrm{OOP} = x

Piecewise-linear functions composed stay piecewise-linear, so every :math:`P_l` is one in *x*, with kinks
:math:`x_0 = 0 < x_1 < \dots` and slopes :math:`s_{lk}`, and its mean over the severity is exact:

.. math::
    \mathrm{E}[P_l] = \sum_k s_{lk}\,\bigl(\mathrm{E}[\min(X, x_{k+1})] - \mathrm{E}[\min(X, x_k)]\bigr)

A rate applied to mean spending would be wrong, since a deductible bites on the small claims and a ceiling on the large.
Layers that cover a part of a group cover it independently of each other; means run over all combinations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numba
import numpy as np
from scipy.special import ndtri

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.layers import Stack, Terms, group_shares, load_stack, stack_terms
from forecaster.normal import normal
from forecaster.policy import Policy
from forecaster.severity import Severity, SeverityFit, Target, fit_severity, read_severity

__all__ = [
    "OUT_OF_POCKET",
    "Composition",
    "StackResult",
    "compose",
    "composition",
    "cost_path",
    "evaluate",
    "fitted_severity",
    "load_stack",
    "pay_claims",
    "settle",
]

Array = np.ndarray
OUT_OF_POCKET = "out_of_pocket"
_MOST_KINKS = 160
_TOO_MANY = (
    f"{{}} composes to more than {_MOST_KINKS} kinks; merge tranches, or let fewer layers cover a part of the people"
)


def settle(terms: Terms, claims: Array, year: int = 0, covered: Array | None = None, draw: int = 0) -> Array:
    """Pay claims one layer after the other, as the rules are written.

    Parameters
    ----------
    terms
        Terms of a group.
    claims
        Spending of the year, not negative, ``(claim,)``.
    year, draw
        Indices into the terms.
    covered
        Whether a layer covers the claimant, ``(layer,)`` or ``(layer, claim)``; all of them by default.

    Returns
    -------
    numpy.ndarray
        Payments, ``(layer + 1, claim)``, the last row out of pocket.
    """
    claims = np.asarray(claims, dtype=float)
    left = [terms.allowed[year] * claims, (1.0 - terms.allowed[year]) * claims]
    paid = np.empty((len(terms.base) + 1, len(claims)))
    for i, base in enumerate(terms.base):
        looked_at = left[0] + left[1] if base == 2 else left[base]
        amount = _payoff(terms, i, looked_at, year, draw)
        if covered is not None:
            amount = amount * covered[i]
        first = 1 if base == 1 else 0
        from_first = np.minimum(amount, left[first])
        left[first] = left[first] - from_first
        if base == 2:
            left[1] = left[1] - (amount - from_first)
        paid[i] = amount
    paid[-1] = left[0] + left[1]
    return paid


def _payoff(terms: Terms, i: int, looked_at: Array, year: int, draw: int) -> Array:
    over = looked_at - terms.deductible[i, year, min(draw, terms.deductible.shape[2] - 1)]
    amount, low = np.zeros_like(looked_at), 0.0
    for high, rate in zip(terms.edges[i, :, year], terms.rates[i, :, year], strict=True):
        amount += rate * np.maximum(np.minimum(over, high) - low, 0.0)
        if np.isinf(high):
            break
        low = high
    return np.minimum(amount, terms.ceiling[i, year, min(draw, terms.ceiling.shape[2] - 1)])


@dataclass(frozen=True)
class Composition:
    """Who pays what as piecewise-linear functions of a claim.

    Attributes
    ----------
    kinks
        Claims at which a slope changes, rising from 0, ``(kink,)``.
    payments
        At each kink, ``(payer, kink)``; the last payer is the household.
    slopes
        From each kink to the next, beyond the last one too, ``(payer, kink)``.
    """

    kinks: Array
    payments: Array
    slopes: Array

    def pay(self, claims: Array) -> Array:
        """Payments of claims, ``(payer, claim)``."""
        claims = np.asarray(claims, dtype=float)
        at = np.searchsorted(self.kinks, claims, side="right") - 1
        return self.payments[:, at] + self.slopes[:, at] * (claims - self.kinks[at])

    def expected(self, severity: Severity) -> Array:
        """Mean payment per insured, ``(payer, band, draw)``, exact."""
        limited = severity.limited(np.append(self.kinks, np.inf))
        return np.einsum("pk,kbd->pbd", self.slopes, np.diff(limited, axis=0))

    def first_paid(self, payer: int) -> float:
        """Claim above which the payer begins to pay; ``inf`` if never."""
        paying = np.flatnonzero(self.slopes[payer] > 0.0)
        return float(self.kinks[paying[0]]) if len(paying) else np.inf


def compose(terms: Terms, year: int = 0, covered: Array | None = None, draw: int = 0) -> Composition:
    """The layers' payments as functions of the claim; arguments as in :func:`settle`, ``covered`` by layer only."""
    n = len(terms.base)
    on = np.ones(n, dtype=np.bool_) if covered is None else np.asarray(covered, dtype=np.bool_)
    scratch = _scratch(n)
    at = (year, min(draw, terms.deductible.shape[2] - 1))
    count, in_second = _compose(*_kernel_terms(terms), on, *at, *scratch)  # type: ignore[call-arg]
    if count < 0:
        raise ForecasterError(_TOO_MANY.format("the stack"))
    rows, slopes = scratch[int(in_second)][:count].T, scratch[2][:count].T
    left, rest = rows[1] + rows[2], slopes[1] + slopes[2]
    return Composition(rows[0].copy(), np.vstack([rows[3:], left[None, :]]), np.vstack([slopes[3:], rest[None, :]]))


def _kernel_terms(terms: Terms) -> tuple[Array, ...]:
    return terms.base, terms.deductible, terms.ceiling, terms.edges, terms.rates, terms.allowed


def _scratch(n_layers: int) -> tuple[Array, ...]:
    """Room for :func:`_compose`: two tables of rows at the kinks, slopes, those beyond the last kink, and work."""
    return (
        *(np.empty((_MOST_KINKS + 1, 3 + n_layers)) for _ in range(3)),
        np.empty(3 + n_layers),
        np.empty((3, _MOST_KINKS + 1)),
    )


@numba.njit(cache=True, error_model="numpy")
def _looked_at(rows, k, base):  # type: ignore[no-untyped-def]
    if base == 0:
        return rows[k, 1]
    if base == 1:
        return rows[k, 2]
    return rows[k, 1] + rows[k, 2]


@numba.njit(cache=True, error_model="numpy")
def _refine(old, new, count, n_rows, base, ray, rays, work, n_knots):  # type: ignore[no-untyped-def]
    """Copy a table of rows and insert a kink where what is looked at crosses a knot; the new count, -1 when full.

    ``base`` 3 looks at allowed spending less the payment in the last column so far. Knots rise, in ``work[0]``.
    """
    own, m = n_rows - 1, 0
    there = old[0, 1] - old[0, own] if base == 3 else _looked_at(old, 0, base)
    for k in range(count):
        if m >= _MOST_KINKS - n_knots:
            return -1
        for r in range(n_rows):
            new[m, r] = old[k, r]
        m += 1
        here, inner = there, k + 1 < count
        if not inner:
            there = here + ray
        elif base == 3:
            there = old[k + 1, 1] - old[k + 1, own]
        else:
            there = _looked_at(old, k + 1, base)
        if there == here:
            continue
        rising = there > here
        for step in range(n_knots):
            knot = work[0, step if rising else n_knots - 1 - step]
            passed = knot > here if rising else knot < here
            if not passed or (inner and (knot >= there if rising else knot <= there)):
                continue
            # Beyond the last kink the slope itself: a difference of near numbers would place the kink badly.
            part = (knot - here) / ((there - here) if inner else ray)
            if np.isinf(part):
                continue
            for r in range(n_rows):
                new[m, r] = old[k, r] + part * ((old[k + 1, r] - old[k, r]) if inner else rays[r])
            # Kinks that rounding cannot tell apart are one kink.
            if new[m, 0] > new[m - 1, 0] and not (inner and new[m, 0] >= old[k + 1, 0]):
                m += 1
    return m


@numba.njit(cache=True, error_model="numpy")
def _knots_of(deductible, ceiling, edges, rates, i, y, work):  # type: ignore[no-untyped-def]
    """Knots of a layer's payoff in what it looks at: where, what is paid there, slope after, as rows of ``work``."""
    n, low, amount = 0, 0.0, 0.0
    for j in range(edges.shape[1]):
        work[0, n], work[1, n], work[2, n] = deductible + low, amount, rates[i, j, y]
        n += 1
        high = edges[i, j, y]
        next_amount = amount + rates[i, j, y] * (high - low) if rates[i, j, y] > 0.0 else amount
        if np.isfinite(ceiling) and rates[i, j, y] > 0.0 and next_amount >= ceiling:
            work[0, n] = deductible + low + (ceiling - amount) / rates[i, j, y]
            work[1, n], work[2, n] = ceiling, 0.0
            return n + 1
        if np.isinf(high):
            return n
        amount, low = next_amount, high
    work[0, n], work[1, n], work[2, n] = deductible + low, amount, 0.0
    return n + 1


@numba.njit(cache=True, error_model="numpy")
def _compose(  # type: ignore[no-untyped-def]
    base, deductible, ceiling, edges, rates, allowed, on, y, d, first, second, slopes, rays, work
):
    """Kinks of the whole stack for one year and draw: their number, and whether the second table holds them.

    A table's columns are claim, allowed left, outside left, then the layers' payments; ``slopes`` gets theirs.
    """
    n_layers = len(base)
    old, new, in_second, count = first, second, False, 1
    for r in range(3 + n_layers):
        rays[r], old[0, r] = 0.0, 0.0
    rays[0], rays[1], rays[2] = 1.0, allowed[y], 1.0 - allowed[y]
    for i in range(n_layers):
        own = 3 + i
        if not on[i]:
            for k in range(count):
                old[k, own] = 0.0
            continue
        n = _knots_of(deductible[i, y, d], ceiling[i, y, d], edges, rates, i, y, work)
        ray = rays[1] if base[i] == 0 else rays[2] if base[i] == 1 else rays[1] + rays[2]
        count = _refine(old, new, count, own, base[i], ray, rays, work, n)
        if count < 0:
            return -1, in_second
        old, new, in_second = new, old, not in_second
        for k in range(count):
            amount, j = _looked_at(old, k, base[i]), 0
            while j < n and work[0, j] <= amount:
                j += 1
            old[k, own] = 0.0 if j == 0 else work[1, j - 1] + work[2, j - 1] * (amount - work[0, j - 1])
        # Beyond the last kink what it looks at has passed every knot, or moves no more.
        rays[own] = work[2, n - 1] * ray if ray > 0.0 else 0.0
        if base[i] < 2:
            side = 1 + base[i]
            for k in range(count):
                old[k, side] -= old[k, own]
            rays[side] -= rays[own]
            continue
        # Taken from allowed spending first; where that is used up the split has a kink of its own.
        margin = rays[1] - rays[own]
        work[0, 0] = 0.0
        count = _refine(old, new, count, own + 1, 3, margin, rays, work, 1)
        if count < 0:
            return -1, in_second
        old, new, in_second = new, old, not in_second
        spare, nothing = old[count - 1, 1] - old[count - 1, own], 1e-9 * (1.0 + old[count - 1, 1])
        for k in range(count):
            from_allowed = min(old[k, own], old[k, 1])
            old[k, 1] -= from_allowed
            old[k, 2] -= old[k, own] - from_allowed
        if spare < -nothing or (spare <= nothing and margin < 0.0):
            rays[2] -= rays[own] - rays[1]
            rays[1] = 0.0
        else:
            rays[1] = margin
    for k in range(count - 1):
        for r in range(3 + n_layers):
            slopes[k, r] = (old[k + 1, r] - old[k, r]) / (old[k + 1, 0] - old[k, 0])
    for r in range(3 + n_layers):
        slopes[count - 1, r] = rays[r]
    return count, in_second


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


@numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _expect(  # type: ignore[no-untyped-def]
    base,
    deductible,
    ceiling,
    edges,
    rates,
    allowed,
    on,
    weight,
    users,
    log_scale,
    cost,
    spread,
    tail_index,
    z,
    tail,
    out,
):
    """Mean payments, weighted over profiles, into ``out`` ``(draw, year, band, payer)``; False when a table is full.

    The terms have a profile axis in front. A payment with slope changes *q* at kinks *x* has the mean
    sum of q (E[X] - E[min(X, x)]), and profiles add their slope changes, weighted, to one list.
    """
    n_profiles, n_years = weight.shape
    n_layers, n_draws, n_bands = base.shape[0], len(spread), len(users)
    n_payers = n_layers + 1
    by_draw = deductible.shape[3] > 1
    first, second = np.empty((_MOST_KINKS + 1, 3 + n_layers)), np.empty((_MOST_KINKS + 1, 3 + n_layers))
    slopes, rays, work = np.empty_like(first), np.empty(3 + n_layers), np.empty((3, _MOST_KINKS + 1))
    # A year's list of kinks serves every draw when thresholds have no draws.
    counts = np.zeros(n_years, dtype=np.int64)
    kinks, logs = np.empty((n_years, _MOST_KINKS)), np.empty((n_years, _MOST_KINKS))
    changes = np.empty((n_years, n_payers, _MOST_KINKS))
    least = (z + _BODY_REACH) * np.min(spread) / _BODY_STEPS
    n_nodes = _BODY_STEPS + int(np.ceil(_TAIL_REACH / least)) + 2
    values, table, rest = np.empty((n_nodes, 3)), np.empty((n_nodes, 6)), np.empty(_MOST_KINKS)
    for d in range(n_draws):
        n_steps, step, scale, mean = _tabulate(spread[d], tail_index[d], z, tail, values, table)
        low, per_step = -_BODY_REACH * spread[d], 1.0 / step
        for y in range(n_years):
            if by_draw or d == 0:
                total = 0
                for p in range(n_profiles):
                    if weight[p, y] == 0.0:
                        continue
                    count, in_second = _compose(
                        base, deductible[p], ceiling[p], edges[p], rates[p], allowed, on[p], y, d if by_draw else 0,
                        first, second, slopes, rays, work,
                    )  # fmt: skip
                    if count < 0:
                        return False
                    for k in range(count):
                        kink, j = second[k, 0] if in_second else first[k, 0], 0
                        while j < total and kinks[y, j] != kink:
                            j += 1
                        if j == total:
                            if total == _MOST_KINKS:
                                return False
                            kinks[y, j], logs[y, j] = kink, np.log(kink)
                            for i in range(n_payers):
                                changes[y, i, j] = 0.0
                            total += 1
                        for i in range(n_layers):
                            before = slopes[k - 1, 3 + i] if k > 0 else 0.0
                            changes[y, i, j] += weight[p, y] * (slopes[k, 3 + i] - before)
                        before = slopes[k - 1, 1] + slopes[k - 1, 2] if k > 0 else 0.0
                        changes[y, n_layers, j] += weight[p, y] * (slopes[k, 1] + slopes[k, 2] - before)
                counts[y] = total
            log_cost = np.log(cost[y, d if cost.shape[1] > 1 else 0])
            for b in range(n_bands):
                log_size = log_scale[b, d] + log_cost
                size = np.exp(log_size)
                for k in range(counts[y]):
                    position = (logs[y, k] - log_size - low) * per_step
                    if position < 0.0:
                        rest[k] = mean - kinks[y, k] / size
                    elif position < n_steps:
                        j = int(position)
                        h = position - j
                        upper = table[j, 3] + h * (table[j, 4] + h * table[j, 5])
                        rest[k] = mean - (table[j, 0] + h * (table[j, 1] + h * (table[j, 2] + h * upper)))
                    else:
                        over = 1.0 + tail_index[d] * (kinks[y, k] / size - np.exp(z * spread[d])) / scale
                        rest[k] = tail * scale / (1.0 - tail_index[d]) * over ** (1.0 - 1.0 / tail_index[d])
                for i in range(n_payers):
                    total_mean = 0.0
                    for k in range(counts[y]):
                        total_mean += changes[y, i, k] * rest[k]
                    out[d, y, b, i] = users[b] * size * total_mean
    return True


@dataclass(frozen=True)
class StackResult:
    """What each payer pays per insured and year.

    Attributes
    ----------
    payers
        Layers in order of payment, then ``out_of_pocket``.
    years, bands
        Calendar years and labels of the age bands.
    people
        Share of the insured in each band, ``(band,)``.
    expected
        Mean payment per insured, ``(payer, year, band, draw)``, nominal money of the year.
    """

    payers: tuple[str, ...]
    years: Array
    bands: tuple[str, ...]
    people: Array
    currency: str
    expected: Array

    @property
    def spending(self) -> Array:
        """Mean spending per insured, ``(year, band, draw)``: the sum over the payers."""
        return self.expected.sum(axis=0)

    def per_head(self, people: Array | None = None) -> Array:
        """Mean payment per insured over all ages, ``(payer, year, draw)``.

        Parameters
        ----------
        people
            Share of the insured in each band, ``(band,)`` or ``(year, band)``; the severity's own by default.
        """
        weights = self.people if people is None else np.asarray(people)
        weights = np.broadcast_to(weights, (len(self.years), len(self.bands)))
        return np.einsum("pybd,yb->pyd", self.expected, weights)


def evaluate(
    stack: Stack,
    law: Policy,
    years: Array,
    severity: Severity | None = None,
    income: Array | None = None,
    wage: Array | None = None,
    cost_scale: Array | None = None,
    order: Sequence[str] | None = None,
) -> StackResult:
    """Mean payments of all payers by year, age band and draw.

    Parameters
    ----------
    law
        Policy over ``stack.law``.
    years
        Calendar years, ``(year,)``.
    severity
        Spending of the insured in money of its own year; the stack's fitted one (one draw) by default.
    income, wage
        Last year's disposable income per head and average wage, ``(year, draw)``; the stack's own paths by default.
    cost_scale
        Spending per head over that of the severity's year at unchanged ages, ``(year, draw)``; the stack's assumed
        growth by default.
    order
        Layers in another order of payment.

    Returns
    -------
    StackResult
        With the largest number of draws among the arguments.

    Raises
    ------
    FaultyInput
        When terms contradict each other under the law, see :func:`forecaster.layers.stack_terms`.
    ForecasterError
        When draws do not fit each other.
    """
    years = np.asarray(years)
    severity = fitted_severity(stack).best if severity is None else severity
    cost = cost_path(stack, law, years, severity.year) if cost_scale is None else np.asarray(cost_scale, dtype=float)
    given = [array for array in (income, wage, cost) if array is not None]
    n_draws = _common_draws([severity.n_draws, *(array.shape[1] for array in given)])
    spread, tail_index = (np.broadcast_to(a, n_draws).copy() for a in (severity.spread, severity.tail_index))
    log_scale = np.log(np.broadcast_to(severity.scale, (len(severity.bands), n_draws)))
    shares = group_shares(stack, law, years)
    cases = [
        (terms, on, weight * share)
        for group, share in zip(stack.groups, shares, strict=True)
        for terms in (stack_terms(stack, law, years, group, income, wage, order),)
        for on, weight in _profiles(terms.coverage)
        if (weight * share).any()
    ]
    first = cases[0][0]
    terms_of = [
        np.stack([getattr(terms, name) for terms, _, _ in cases])
        for name in ("deductible", "ceiling", "edges", "rates")
    ]
    profiles = (np.stack([on for _, on, _ in cases]), np.stack([weight for _, _, weight in cases]))
    out = np.empty((n_draws, len(years), len(severity.bands), len(stack.layers) + 1))
    tail = float(-ndtri(severity.tail_share)), severity.tail_share
    shape = (severity.users, log_scale, cost, spread, tail_index, *tail, out)
    if not _expect(first.base, *terms_of, first.allowed, *profiles, *shape):  # type: ignore[call-arg]
        raise ForecasterError(_TOO_MANY.format(stack.id))
    payers = (*(layer.id for layer in stack.ordered(order)), OUT_OF_POCKET)
    expected = np.moveaxis(out, (3, 1, 2, 0), (0, 1, 2, 3))
    return StackResult(payers, years, severity.bands, severity.people, severity.currency, expected)


def _common_draws(counts: Iterable[int]) -> int:
    several = sorted({count for count in counts if count > 1})
    if len(several) > 1:
        raise ForecasterError(f"draws do not fit each other: {several}; give arrays of one number of draws")
    return several[0] if several else 1


def _profiles(coverage: Array) -> list[tuple[Array, Array]]:
    """Combinations of covered layers with their share of the group in each year; ``coverage`` is ``(layer, year)``."""
    choices = [(True,) if (row == 1.0).all() else (False,) if (row == 0.0).all() else (True, False) for row in coverage]
    profiles = []
    for combination in product(*choices):
        on = np.array(combination, dtype=np.bool_)
        weight = np.prod(np.where(on[:, None], coverage, 1.0 - coverage), axis=0)
        if weight.any():
            profiles.append((on, weight))
    return profiles


def cost_path(stack: Stack, law: Policy, years: Array, base_year: int) -> Array:
    """Assumed growth of spending per head at unchanged ages since the severity's year, ``(year, 1)``."""
    years = np.asarray(years)
    span = np.arange(min(years.min(), base_year), max(years.max(), base_year) + 1)
    began = np.maximum(span, stack.file.start.year + 1)
    index = np.cumprod(1.0 + law.path("cost_growth", began))
    return (index[years - span[0]] / index[base_year - span[0]])[:, None]


def composition(
    stack: Stack,
    law: Policy,
    year: int,
    group: str | None = None,
    covered: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
) -> Composition:
    """Who pays what as functions of a claim, for one person.

    Parameters
    ----------
    group
        The last group (the rest) by default.
    covered
        Layers that cover the person beside those that cover everybody in the group.

    Raises
    ------
    FaultyInput
        When ``covered`` names a layer that the stack does not have or that covers nobody in the group.
    """
    terms, on = _one_person(stack, law, year, group, covered, order)
    return compose(terms, covered=on)


def pay_claims(
    stack: Stack,
    law: Policy,
    year: int,
    claims: Array,
    group: str | None = None,
    covered: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
) -> Array:
    """Who pays what of each claim, ``(payer, claim)``; arguments as in :func:`composition`."""
    terms, on = _one_person(stack, law, year, group, covered, order)
    return settle(terms, np.asarray(claims, dtype=float), covered=on)


def _one_person(
    stack: Stack,
    law: Policy,
    year: int,
    group: str | None,
    covered: Sequence[str] | None,
    order: Sequence[str] | None,
) -> tuple[Terms, Array]:
    group = stack.groups[-1] if group is None else group
    terms = stack_terms(stack, law, np.array([year]), group, order=order)
    names = [layer.id for layer in stack.ordered(order)]
    on = terms.coverage[:, 0] == 1.0
    for name in covered or ():
        if name not in names or terms.coverage[names.index(name), 0] == 0.0:
            able = [n for n, share in zip(names, terms.coverage[:, 0], strict=True) if 0.0 < share < 1.0]
            fault = Fault("covered", repr(name), ", ".join(able) or "none", f"name a layer that covers some of {group}")
            raise FaultyInput(f"{stack.id} in {year}", [fault])
        on[names.index(name)] = True
    return terms, on


@lru_cache(maxsize=8)
def fitted_severity(stack: Stack) -> SeverityFit:
    """The severity of a stack's insured, fitted under the law of its year; kept once made."""
    file = read_severity(stack.file.severity)
    unknown = sorted({target.layer for target in file.targets if target.layer} - set(stack.by_id))
    if unknown:
        fault = Fault("targets[*].layer", ", ".join(unknown), ", ".join(stack.by_id), "name a layer of the stack")
        raise FaultyInput(f"severity/{file.id}.toml", [fault])
    law, years = Policy(stack.law), np.array([file.year])
    shares = group_shares(stack, law, years)[:, 0]
    cases: list[tuple[float, Composition]] = []
    for group, share in zip(stack.groups, shares, strict=True):
        terms = stack_terms(stack, law, years, group)
        cases += [(share * weight[0], compose(terms, covered=on)) for on, weight in _profiles(terms.coverage)]
    places = {layer.id: i for i, layer in enumerate(stack.layers)}

    def predict(severity: Severity, target: Target) -> float:
        row = places[str(target.layer)]
        figure = 0.0
        for weight, case in cases:
            if target.kind == "layer_mean":
                one = replace(case, payments=case.payments[[row]], slopes=case.slopes[[row]])
                by_band = one.expected(severity)[0, :, 0]
            else:
                by_band = severity.above(case.first_paid(row))[:, 0]
            figure += weight * float(severity.people @ by_band)
        return figure

    return fit_severity(file, predict)
