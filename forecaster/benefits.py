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

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from scipy.special import ndtri

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.layers import Stack, Terms, group_shares, load_stack, stack_terms
from forecaster.policy import Policy
from forecaster.severity import Severity, SeverityFit, Target, fit_severity, read_severity
from forecaster.stack_kernels import MOST_KINKS, compose_from, expect, workspace

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
_DRAWS_WORTH_A_THREAD = 500
# What of a layer's terms decides its payment to those whom it covers.
_PAYMENT_TERMS = ("deductible", "ceiling", "edges", "rates")
_TOO_MANY = (
    f"{{}} composes to more than {MOST_KINKS} kinks; merge tranches, or let fewer layers cover a part of the people"
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
    space, at = workspace(n), min(draw, terms.deductible.shape[2] - 1)
    one = (terms.deductible[:, year, at], terms.ceiling[:, year, at], terms.edges[:, :, year], terms.rates[:, :, year])
    thresholds = [np.array(row)[None, None, None] for row in one[:2]]
    tranches = [np.array(row)[None, None] for row in one[2:]]
    allowed = terms.allowed[year : year + 1].copy()
    if not compose_from(0, terms.base, *thresholds, *tranches, allowed, on[None, :], 0, 0, 0, 0, space):  # type: ignore[call-arg]
        raise ForecasterError(_TOO_MANY.format("the stack"))
    table, rays = space.tables[space.place[n], : space.counts[n]], space.rays[n]
    steps = np.diff(table, axis=0)
    slopes = np.vstack([steps / steps[:, :1], rays]).T
    rows = table.T
    left, rest = rows[1] + rows[2], slopes[1] + slopes[2]
    return Composition(rows[0].copy(), np.vstack([rows[3:], left[None, :]]), np.vstack([slopes[3:], rest[None, :]]))


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
    terms = [stack_terms(stack, law, years, group, income, wage, order) for group in stack.groups]
    cases = [
        (g, on, weight * share)
        for g, share in enumerate(shares)
        for on, weight in _profiles(terms[g].coverage)
        if (weight * share).any()
    ]
    thresholds, tranches = _for_kernel(terms)
    of, on = np.array([g for g, _, _ in cases]), np.stack([on for _, on, _ in cases])
    profiles = (of, on, np.stack([weight for _, _, weight in cases]), _shared_layers(terms, of, on))
    out = np.empty((n_draws, len(years), len(severity.bands), len(stack.layers) + 1))
    tail = float(-ndtri(severity.tail_share)), severity.tail_share
    shape = (severity.users, log_scale, cost, spread, tail_index, *tail, out)
    if not _in_parts(n_draws, (terms[0].base, *thresholds, *tranches, terms[0].allowed.copy(), *profiles, *shape)):
        raise ForecasterError(_TOO_MANY.format(stack.id))
    payers = (*(layer.id for layer in stack.ordered(order)), OUT_OF_POCKET)
    expected = np.moveaxis(out, (3, 1, 2, 0), (0, 1, 2, 3))
    return StackResult(payers, years, severity.bands, severity.people, severity.currency, expected)


def _for_kernel(terms: Sequence[Terms]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Terms of groups as the kernel reads them, which goes through years within a draw; copies all, so that one
    compilation serves what can be written to and what cannot.

    Returns
    -------
    tuple
        Deductible and ceiling, ``(draw, year, group, layer)``; ends and rates of tranches, ``(year, group, layer,
        tranche)``.
    """

    def together(name: str, *axes: int) -> Array:
        return np.ascontiguousarray(np.stack([getattr(t, name) for t in terms]).transpose(axes))

    thresholds = together("deductible", 3, 2, 0, 1), together("ceiling", 3, 2, 0, 1)
    return thresholds, (together("edges", 3, 0, 1, 2), together("rates", 3, 0, 1, 2))


def _shared_layers(terms: Sequence[Terms], of: Array, on: Array) -> Array:
    """How many first layers each profile has in common with the one before it, ``(profile,)``."""
    shared = np.zeros(len(of), dtype=np.int64)
    for p in range(1, len(of)):
        a, b = terms[of[p - 1]], terms[of[p]]
        for i in range(on.shape[1]):
            same = a is b or all(np.array_equal(getattr(a, n)[i], getattr(b, n)[i]) for n in _PAYMENT_TERMS)
            if on[p, i] != on[p - 1, i] or not same:
                break
            shared[p] += 1
    return shared


def _in_parts(n_draws: int, arguments: tuple[Array | float, ...]) -> bool:
    """Run the kernel over all draws, on as many threads as there are processors; False when a table is full."""
    n_parts = min(os.cpu_count() or 1, max(1, n_draws // _DRAWS_WORTH_A_THREAD))
    ends = np.linspace(0, n_draws, n_parts + 1).astype(int).tolist()
    if n_parts == 1:
        return bool(expect(0, n_draws, *arguments))
    with ThreadPoolExecutor(n_parts) as pool:
        return all(pool.map(lambda part: expect(*part, *arguments), pairwise(ends)))


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


def _severity_name(stack: Stack) -> str:
    """Name of a stack's severity; of a file that lies beside the stack its whole path."""
    name = stack.file.severity
    beside = stack.law.path.parent / name
    return str(beside) if name.endswith(".toml") and beside.is_file() else name


@lru_cache(maxsize=8)
def fitted_severity(stack: Stack) -> SeverityFit:
    """The severity of a stack's insured, fitted under the law of its year; kept once made."""
    file = read_severity(_severity_name(stack))
    unknown = sorted({target.layer for target in file.targets if target.layer} - set(stack.by_id))
    if unknown:
        mend = "name a layer of the stack, or give the stack a severity file of its own (docs/stack.md, section 5)"
        fault = Fault("targets[*].layer", ", ".join(unknown), ", ".join(stack.by_id), mend)
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
