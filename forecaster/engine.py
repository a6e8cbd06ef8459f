"""The ledger: a basis and a policy in, the fund's yearly accounts out. A pure function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from forecaster.basis import Basis
from forecaster.policy import Policy
from forecaster.revenue import Premiums, premium_terms

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
        Premium income by payer.
    """

    years: Array
    income: dict[str, Array]
    outgo: Array
    opening: Array
    closing: Array
    premiums: Premiums

    @cached_property
    def total_income(self) -> Array:
        """Sum of the income lines, flow."""
        return sum(self.income.values())  # type: ignore[return-value]

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


def outlay_factor(basis: Basis, policy: Policy) -> Array:
    r"""What the policy makes of the basis's outlay, as a factor a year, shape ``(year,)``.

    .. math::
        C_t = C^0_t \left(\prod_{s \le t} (1 + a_s) - y_t / \bar C^0_{1}\right)

    with *a* the addition to budget growth, *y* the co-payment yield at the level of the first projected year and
    :math:`\bar C^0_1` that year's mean outlay.
    """
    factor = np.ones(len(basis.years))
    if policy.has("budget_growth_adjustment"):
        factor = np.cumprod(1.0 + policy.path("budget_growth_adjustment", basis.years))
    if policy.has("copayment_reform_yield"):
        factor = factor - policy.path("copayment_reform_yield", basis.years) / basis.outlay[0].mean()
    return factor


def project(basis: Basis, policy: Policy) -> FundProjection:
    r"""Project the fund, draw by draw, year by year.

    .. math::
        F_t &= F_{t-1} + G_t + S_t + T_t + J_t + O_t + Y_t - C_t \\
        Y_t &= y_t \left(F_{t-1} + \tfrac12 (G_t + S_t + T_t + J_t + O_t - C_t)\right)

    Premiums *G* and *S* (see :class:`~forecaster.revenue.PremiumTerms`), government top-up *T*, injection *J*,
    earmarked and other income *O*, yield *y*, outlay *C*. A negative reserve bears the same yield as cost of borrowing.

    The top-up keeps the government at its floor of the insurance budget *B* less statutory income *O* (Art. 3) and is
    accrued in the year it is owed for:

    .. math::
        T_t = \max\left(0,\; \varphi_t (B_t - O_t) - G^{gov}_t\right)

    Under the basis ``income`` the budget is all income of the year, so that :math:`B - O = G + S + T` and
    :math:`T = (\varphi (G + S) - G^{gov}) / (1 - \varphi)`; under ``outlay`` it is the outlay, with nothing set aside.

    Parameters
    ----------
    basis
        Draws of everything the law does not set.
    policy
        The law, with or without a reform.

    Returns
    -------
    FundProjection
        ``opening + total_income - outgo == closing`` for every draw and year.
    """
    years, shape = basis.years, basis.outlay.shape
    terms = premium_terms(basis, policy)
    floor, on_income = np.zeros(len(years)), np.ones(len(years), dtype=bool)
    if policy.has("government_floor_share"):
        floor = policy.path("government_floor_share", years)
        on_income = np.array([word == "income" for word in policy.word("government_floor_basis", years)])
    injection = np.zeros(len(years))
    if policy.has("government_injection"):
        injection = policy.path("government_injection", years)
    general, supplementary, top_up, earned, outgo = np.empty((5, *shape))
    reserves = np.empty((shape[0] + 1, shape[1]))
    reserves[0] = basis.opening_reserve
    _ledger(
        terms.rate,
        basis.general_base,
        sum(terms.weights.values()),
        terms.weights["government"] + terms.state_employer,
        terms.supplementary_rate,
        terms.charged["insured"],
        terms.charged["employer"],
        terms.state_part,
        floor,
        on_income,
        basis.other_income_total,
        injection,
        basis.outlay,
        outlay_factor(basis, policy),
        basis.investment_yield,
        general,
        supplementary,
        top_up,
        earned,
        outgo,
        reserves,
    )
    injected = np.broadcast_to(injection[:, None], shape)
    lines = (general, supplementary, top_up, injected, basis.other_income_total, earned)
    income: dict[str, Array] = dict(zip(INCOME_LINES, lines, strict=True))
    return FundProjection(years, income, outgo, reserves[:-1], reserves[1:], Premiums(basis, terms))


@numba.njit(cache=True, error_model="numpy")
def _ledger(  # type: ignore[no-untyped-def]  # one pass; every argument is an array of the equation above
    rate, base, weight, weight_government, q, charged_insured, charged_employer, state_part, floor, on_income,
    other, injection, outlay, factor, investment_yield, general, supplementary, top_up, earned, outgo, reserves,
):  # fmt: skip
    n_years, n_draws = outlay.shape
    for t in range(n_years):
        w, v = min(t, weight.shape[0] - 1), min(t, weight_government.shape[0] - 1)
        z = min(t, charged_insured.shape[0] - 1)
        for d in range(n_draws):
            assessed = rate[t] * base[t, d]
            by_employer = q[t] * charged_employer[z, d]
            general[t, d] = assessed * weight[w, d]
            supplementary[t, d] = q[t] * charged_insured[z, d] + by_employer
            outgo[t, d] = outlay[t, d] * factor[t]
            premium = general[t, d] + supplementary[t, d]
            government = assessed * weight_government[v, d] + by_employer * state_part[d]
            if on_income[t]:
                gap = (floor[t] * premium - government) / (1.0 - floor[t])
            else:
                gap = floor[t] * (outgo[t, d] - other[t, d]) - government
            top_up[t, d] = max(0.0, gap)
            flow = premium + top_up[t, d] + injection[t] + other[t, d] - outgo[t, d]
            earned[t, d] = investment_yield[t, d] * (reserves[t, d] + 0.5 * flow)
            reserves[t + 1, d] = reserves[t, d] + flow + earned[t, d]
