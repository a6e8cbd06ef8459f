"""The ledger: a basis and a policy in, the fund's yearly accounts out. A pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from forecaster.basis import Basis, read_only
from forecaster.mainland import under_policy
from forecaster.outlay import budget_factor, floating_share, guaranteed_outlay, outlay_factor
from forecaster.policy import Policy, Reform
from forecaster.revenue import Premiums, late_fee_share, premium_terms
from forecaster.rules import yearly_review

Array = np.ndarray

INCOME_LINES = (
    "general_premium",
    "supplementary_premium",
    "government_top_up",
    "government_injection",
    "earmarked_and_other",
    "investment_income",
)


@dataclass(frozen=True)
class GovernmentMoney:
    r"""What the government owes by law, what it pays, and what is left; shape ``(year, draw)``, nominal money.

    Paying the part :math:`\lambda` of what it owes within the year, from no arrears at the start (assumed),

    .. math::
        P_t = \lambda_t (A_{t-1} + D_t), \qquad A_t = A_{t-1} + D_t - P_t

    The fund's accounts are on accrual basis and count what is owed; arrears bear no interest.

    Attributes
    ----------
    due
        Its premiums, as employer too, and the top-up owed for the year, flow.
    payable
        The same with the top-up that falls due in the year, as the accounts have it, flow.
    payment_share
        The part paid within the year, shape ``(year,)``.
    """

    due: Array
    payable: Array
    payment_share: Array

    @cached_property
    def paid(self) -> Array:
        """Money paid in the year, flow."""
        if (self.payment_share == 1.0).all():
            return self.payable
        paid, arrears = np.empty_like(self.payable), np.zeros(self.payable.shape[1])
        for t, part in enumerate(self.payment_share):
            paid[t] = part * (arrears + self.payable[t])
            arrears = arrears + self.payable[t] - paid[t]
        return paid

    @property
    def arrears(self) -> Array:
        """Payable and not paid at the end of the year, stock."""
        return np.cumsum(self.payable - self.paid, axis=0)


@dataclass(frozen=True)
class Timing:
    """Part of the year's yield that a flow of the year bears: 1/2 evenly over the year, 1 at its start, 0 at its end.

    Attributes
    ----------
    premiums
        Premiums with the top-up and injections.
    other
        Earmarked and other income.
    outgo
        Outgo.
    base
        Contribution base; no money of the fund, it counts in present values only (:mod:`forecaster.measures`).
    """

    premiums: float = 0.5
    other: float = 0.5
    outgo: float = 0.5
    base: float = 0.5


MID_YEAR = Timing()


@dataclass(frozen=True)
class FundProjection:
    """Yearly accounts of the fund; arrays have shape ``(year, draw)``, TWD bn nominal.

    Attributes
    ----------
    income
        Line to flow of the year; the lines are :data:`INCOME_LINES`.
    outgo
        Insurance cost of the year, flow.
    opening, closing
        Reserve at the start and end of the year, stock; negative when the fund borrows.
    premiums
        Premium income by payer, with the rates in force.
    top_up_owed
        Government top-up owed for the year, flow; what is paid in the year is the income line ``government_top_up``.
    limit_binds
        Whether the yearly review wanted a higher rate than the law allows; all false when there is no review.
    budget_factor
        What the policy makes of the global budget, see :func:`forecaster.outlay.budget_factor`; shape ``(year,)``.
    payment_share
        Part that the government pays within the year of what it then owes, shape ``(year,)``.
    floating_share
        Share of the outlay left for points, ``(year or 1, draw)``; None where the basis knows none.
    timing
        When in the year its flows fall.
    """

    years: Array
    income: dict[str, Array]
    outgo: Array
    opening: Array
    closing: Array
    premiums: Premiums
    top_up_owed: Array
    limit_binds: Array
    budget_factor: Array
    payment_share: Array
    floating_share: Array | None = None
    timing: Timing = MID_YEAR

    @cached_property
    def government(self) -> GovernmentMoney:
        """What the government owes by law and what it pays."""
        premiums = self.premiums.government
        payable = premiums + self.income["government_top_up"]
        return GovernmentMoney(premiums + self.top_up_owed, payable, self.payment_share)

    @cached_property
    def point_value(self) -> Array | None:
        """Money per point of providers before any guarantee; None where the basis knows no points."""
        basis = self.premiums.basis
        if basis.points is None or self.floating_share is None:
            return None
        return basis.outlay * self.budget_factor[:, None] * self.floating_share / basis.points.claimed

    @property
    def top_up_receivable(self) -> Array:
        """Top-up owed by the government and not yet paid at the end of the year, stock."""
        return np.cumsum(self.top_up_owed - self.income["government_top_up"], axis=0)

    @cached_property
    def total_income(self) -> Array:
        """Sum of the income lines, flow."""
        return sum(self.income.values())  # type: ignore[return-value]

    @property
    def cash_reserve(self) -> Array:
        """Closing reserve less what the government has not paid yet, stock."""
        return self.closing - self.government.arrears

    @property
    def balance(self) -> Array:
        """Income less outgo, flow."""
        return self.closing - self.opening

    @cached_property
    def reserve_months(self) -> Array:
        """Closing reserve in months of the year's outgo (Art. 78), stock."""
        return self.closing / self.outgo * 12.0

    def by_payer(self) -> dict[str, Array]:
        """Income by who pays it: insured, employers, government, others, the fund's own yield; flow.

        The state as employer counts as government.
        """
        paid = self.premiums
        return {
            "insured": paid.general["insured"] + paid.supplementary["insured"],
            "employers": paid.general["employer"] + paid.supplementary["employer"] - paid.government_as_employer,
            "government": paid.government + self.income["government_top_up"] + self.income["government_injection"],
            "earmarked_and_other": self.income["earmarked_and_other"],
            "investment": self.income["investment_income"],
        }


def other_income_lines(basis: Basis, policy: Policy) -> Mapping[str, Array]:
    """Earmarked and other income by line, nominal money a year, ``(year, draw)``.

    The tobacco surcharge and lottery money move in proportion to the share of them that goes to the fund, late fees to
    what is charged on the premiums that are late (:func:`forecaster.revenue.late_fee_share`).
    """
    law, years = policy.reform(Reform()), basis.years
    # Line to a parameter without which the law says nothing of it, and to what the line is in proportion to.
    ways: dict[str, tuple[str, Callable[[Policy], Array]]] = {
        "tobacco_surcharge": ("tobacco_share", lambda under: under.path("tobacco_share", years)),
        "lottery": ("lottery_share", lambda under: under.path("lottery_share", years)),
        "late_fees": ("late_payment_share", lambda under: late_fee_share(under, years)),
    }
    moved = {}
    for line, (needed, way) in ways.items():
        if line not in basis.other_income or not policy.has(needed):
            continue
        now, before = way(policy), way(law)
        if not np.array_equal(now, before):
            moved[line] = basis.other_income[line] * (now / before)[:, None]
    return {**basis.other_income, **moved} if moved else basis.other_income


def project(basis: Basis, policy: Policy, timing: Timing = MID_YEAR) -> FundProjection:
    r"""Project the fund, draw by draw, year by year.

    .. math::
        F_t &= F_{t-1} + G_t + S_t + T_t + J_t + O_t + Y_t - C_t \\
        Y_t &= y_t \left(F_{t-1} + \tau_G (G_t + S_t + T_t + J_t) + \tau_O O_t - \tau_C C_t\right)

    Premiums *G* and *S* (see :class:`~forecaster.revenue.PremiumTerms`), government top-up *T*, injection *J*,
    earmarked and other income *O*, yield *y*, outlay *C*; :math:`\tau = \tfrac12` each unless the timing says so.
    A negative reserve bears the same yield as cost of borrowing.

    The top-up owed keeps the government at its floor of the insurance budget *B* less statutory income *O* (Art. 3):

    .. math::
        T_t = \max\left(0,\; \varphi_t (B_t - O_t) - G^{gov}_t\right)

    It is booked in the year it is owed for, or, with ``government_top_up_payment`` at ``year_after``, paid after the
    year's settlement: the income of *t* then holds :math:`T_{t-1}`, that of the first year its own *T* in place of the
    one before, which no basis knows.

    Under the basis ``income`` the budget is all income of the year, so that :math:`B - O = G + S + T` and
    :math:`T = (\varphi (G + S) - G^{gov}) / (1 - \varphi)`; under ``outlay`` it is the outlay, with nothing set aside.

    The rates are the policy's, or those of the yearly review (:mod:`forecaster.rules`), which differ by draw. Where the
    basis knows its members, levers on them move base and outlay first (:mod:`forecaster.mainland`).

    Parameters
    ----------
    basis
        Draws of everything the law does not set.
    policy
        The law, with or without a reform.
    timing
        When in the year the flows fall.

    Returns
    -------
    FundProjection
        ``opening + total_income - outgo == closing`` for every draw and year.
    """
    basis = under_policy(basis, policy)
    years, shape = basis.years, basis.outlay.shape
    terms = premium_terms(basis, policy)
    floor, on_income = np.zeros(len(years)), np.ones(len(years), dtype=bool)
    if policy.has("government_floor_share"):
        floor = policy.path("government_floor_share", years)
        on_income = np.array([word == "income" for word in policy.word("government_floor_basis", years)])
    injection = np.zeros(len(years))
    if policy.has("government_injection"):
        injection = policy.path("government_injection", years)
    paid_later = np.zeros(len(years), dtype=bool)
    if policy.has("government_top_up_payment"):
        paid_later = np.array([word == "year_after" for word in policy.word("government_top_up_payment", years)])
    payment_share = np.ones(len(years))
    if policy.has("government_payment_share"):
        payment_share = policy.path("government_payment_share", years)
    lines = other_income_lines(basis, policy)
    # The basis keeps the sum of its own lines.
    other = basis.other_income_total if lines is basis.other_income else np.add.reduce(list(lines.values()))
    review = yearly_review(policy, years)
    factor = outlay_factor(basis, policy)
    # One column serves all draws unless a review gives each its own rate.
    width = shape[1] if review.on.any() else 1
    rate, q = (np.repeat(path[:, None], width, axis=1) for path in (terms.rate, terms.supplementary_rate))
    binds = np.zeros(rate.shape, dtype=bool)
    general, supplementary, owed, earned, outgo = np.empty((5, *shape))
    reserves = np.empty((shape[0] + 1, shape[1]))
    reserves[0] = basis.opening_reserve
    top_up = np.empty(shape) if paid_later.any() else owed
    _ledger(
        rate,
        read_only(basis.general_base),
        read_only(sum(terms.weights.values())),  # type: ignore[arg-type]  # there are payers
        read_only(terms.weights["government"] + terms.state_employer),
        q,
        read_only(terms.charged["insured"]),
        read_only(terms.charged["employer"]),
        read_only(terms.state_part),
        read_only(floor),
        read_only(on_income),
        read_only(paid_later),
        read_only(other),
        read_only(injection),
        read_only(guaranteed_outlay(basis, policy, factor)),
        read_only(factor),
        read_only(basis.investment_yield),
        timing.premiums,
        timing.other,
        timing.outgo,
        read_only(review.on),
        read_only(review.low),
        read_only(review.high),
        read_only(review.target),
        read_only(review.years),
        review.limit,
        general,
        supplementary,
        owed,
        top_up,
        earned,
        outgo,
        reserves,
        binds,
    )
    injected = np.broadcast_to(injection[:, None], shape)
    flows = (general, supplementary, top_up, injected, other, earned)
    income: dict[str, Array] = dict(zip(INCOME_LINES, flows, strict=True))
    premiums = Premiums(basis, terms, rate, q)
    binding = np.broadcast_to(binds, shape)
    share = None if basis.points is None else floating_share(basis, policy)
    return FundProjection(
        years,
        income,
        outgo,
        reserves[:-1],
        reserves[1:],
        premiums,
        owed,
        binding,
        budget_factor(basis, policy),
        payment_share,
        share,
        timing,
    )


@numba.njit(cache=True, error_model="numpy")
def _reviewed_rate(rate, months, outgo, deficit, responding, low, high, target, years):  # type: ignore[no-untyped-def]
    """Rate of the next year before the legal limit, from last year's rate and state of the fund; all scalars."""
    if low <= months <= high or responding <= 0.0:
        return rate
    wanted = rate * (1.0 + (deficit + (target - months) * outgo / 12.0 / years) / responding)
    wanted = np.ceil(wanted / 1e-4 - 1e-9) * 1e-4
    # Never lowered to nothing: from a rate of zero no need could be told in proportion, and it would stay there.
    return max(wanted, rate) if months < low else min(rate, max(wanted, 1e-4))


@numba.njit(cache=True, error_model="numpy")
def _ledger(  # type: ignore[no-untyped-def]  # one pass; every argument is an array of the equation above
    rate, base, weight, weight_government, q, charged_insured, charged_employer, state_part, floor, on_income,
    paid_later, other, injection, outlay, factor, investment_yield, tau_premiums, tau_other, tau_outgo,
    review, low, high, target, return_years, limit,
    general, supplementary, owed, top_up, earned, outgo, reserves, binds,
):  # fmt: skip
    n_years, n_draws = outlay.shape
    by_draw = rate.shape[1] > 1
    for t in range(n_years):
        w, v = min(t, weight.shape[0] - 1), min(t, weight_government.shape[0] - 1)
        z = min(t, charged_insured.shape[0] - 1)
        if review[t]:
            for d in range(n_draws):
                before = rate[t - 1, d]
                premium = general[t - 1, d] + supplementary[t - 1, d]
                deficit = outgo[t - 1, d] - premium - owed[t - 1, d] - other[t - 1, d]
                responding = premium
                if owed[t - 1, d] > 0.0:
                    # The top-up grows with premiums; measured on outlay it shrinks by what the government pays more.
                    responding = premium + owed[t - 1, d]
                    if not on_income[t - 1]:
                        responding = premium + owed[t - 1, d] - floor[t - 1] * (outgo[t - 1, d] - other[t - 1, d])
                months = reserves[t, d] / outgo[t - 1, d] * 12.0
                wanted = _reviewed_rate(
                    before, months, outgo[t - 1, d], deficit, responding, low[t], high[t], target[t], return_years[t]
                )
                binds[t, d] = wanted > limit + 1e-12
                rate[t, d] = min(wanted, limit)
                q[t, d] = q[t - 1, d] if before == 0.0 else np.round(q[t - 1, d] * rate[t, d] / before * 1e4) / 1e4
        for d in range(n_draws):
            r = rate[t, d if by_draw else 0]
            s = q[t, d if by_draw else 0]
            assessed = r * base[t, d]
            by_employer = s * charged_employer[z, d]
            general[t, d] = assessed * weight[w, d]
            supplementary[t, d] = s * charged_insured[z, d] + by_employer
            outgo[t, d] = outlay[t, d] * factor[t]
            premium = general[t, d] + supplementary[t, d]
            government = assessed * weight_government[v, d] + by_employer * state_part[d]
            if on_income[t]:
                gap = (floor[t] * premium - government) / (1.0 - floor[t])
            else:
                gap = floor[t] * (outgo[t, d] - other[t, d]) - government
            owed[t, d] = max(0.0, gap)
            top_up[t, d] = owed[max(0, t - 1), d] if paid_later[t] else owed[t, d]
            paid = premium + top_up[t, d] + injection[t]
            bearing = tau_premiums * paid + tau_other * other[t, d] - tau_outgo * outgo[t, d]
            earned[t, d] = investment_yield[t, d] * (reserves[t, d] + bearing)
            reserves[t + 1, d] = reserves[t, d] + (paid + other[t, d] - outgo[t, d]) + earned[t, d]
