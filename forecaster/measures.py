r"""Actuarial measures over a valuation period: summarised rates and balance, level rate, unfunded obligation.

All present values are at the start of the first year. With the yield :math:`y_t` of a year,
:math:`v_t = \prod_{s \le t} 1 / (1 + y_s)`, and flows that fall in the middle of their year, as the ledger has them
(:func:`forecaster.engine.project`),

.. math::
    PV(X) = \sum_{t \le N} X_t\,(1 + \tfrac12 y_t)\,v_t , \qquad PV(F_N) = v_N F_N

(or at the fraction :math:`\tau` of the year's yield of :class:`forecaster.engine.Timing` instead of :math:`\tfrac12`),
so that discounting at the fund's own yield turns the ledger into :math:`F_0 + PV(I) - PV(C) = v_N F_N` exactly. With
opening reserve :math:`F_0`, income without yield *I*, outgo *C*, contribution base *B* and the target :math:`A_N`, a
number of months of the outgo of the year after the period (of its last year where the projection ends with it):

.. math::
    \text{income rate} = \frac{F_0 + PV(I)}{PV(B)}, \quad \text{cost rate} = \frac{PV(C) + v_N A_N}{PV(B)}, \quad
    \text{balance} = \text{income rate} - \text{cost rate}

These are the definitions of long-range valuations of social insurance funds, where the target is one year's outgo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis
from forecaster.engine import FundProjection
from forecaster.errors import ForecasterError
from forecaster.policy import Policy
from forecaster.solvency import premiums_per_rate

Array = np.ndarray
PERIODS = (25, 50, 75)


@dataclass(frozen=True)
class Valuation:
    """Summarised measures of one valuation period; arrays have shape ``(draw,)``.

    Attributes
    ----------
    years
        Length of the period from the first projected year.
    income_rate, cost_rate, balance
        Summarised rates and their difference, shares of the contribution base.
    level_rate
        Constant general premium rate over the period that would make the balance zero, a share; the supplementary rate
        moves with it.
    unfunded_obligation
        Present value of outgo less that of income less the opening reserve, no target counted; TWD bn of the start of
        the first year; negative when the period is more than funded.
    base
        Present value of the contribution base, TWD bn.
    opening_rate, target_rate
        The part of ``income_rate`` that is the opening reserve, and that of ``cost_rate`` that is the target.
    """

    years: int
    income_rate: Array
    cost_rate: Array
    level_rate: Array
    unfunded_obligation: Array
    base: Array
    opening_rate: Array
    target_rate: Array

    @property
    def balance(self) -> Array:
        """Actuarial balance: summarised income rate less summarised cost rate, a share of the contribution base."""
        return self.income_rate - self.cost_rate


def valuation(
    basis: Basis,
    policy: Policy,
    projection: FundProjection,
    years: int,
    *,
    target_months: float = 12.0,
    target_outgo: Array | None = None,
    discount: Array | None = None,
) -> Valuation:
    """Summarise the first ``years`` years of a projection.

    Parameters
    ----------
    basis, policy, projection
        The projection of that basis under that policy.
    target_months
        Reserve wanted at the end of the period, months of outgo.
    target_outgo
        Outgo of a year that these months are of, ``(draw,)``; of the year after the period, or of the last one where
        the projection ends with it, when left out.
    discount
        Yearly rate of discount, shape ``(year, draw)`` or ``(year, 1)``; the reserve's own yield when left out.

    Raises
    ------
    ForecasterError
        When the projection is shorter than the period.
    """
    if not 1 <= years <= len(basis.years):
        raise ForecasterError(
            f"a valuation period of {years} years: the projection of {basis.label!r} has {len(basis.years)}; "
            "choose a shorter period or a later horizon"
        )
    rate = basis.investment_yield if discount is None else np.broadcast_to(discount, basis.outlay.shape)
    factor = np.cumprod(1.0 / (1.0 + rate[:years]), axis=0)
    timing = projection.timing

    def worth(flow: Array, part: float) -> Array:
        return (flow[:years] * (factor * (1.0 + part * rate[:years]))).sum(axis=0)

    # What other income is worth beyond its worth if it came when premiums do; nothing unless told.
    other = projection.income["earmarked_and_other"]
    beyond = (other[:years] * (factor * ((timing.other - timing.premiums) * rate[:years]))).sum(axis=0)
    income = projection.total_income - projection.income["investment_income"]
    base, cost = worth(basis.general_base, timing.base), worth(projection.outgo, timing.outgo)
    received = worth(income, timing.premiums) + beyond
    if target_outgo is None:
        target_outgo = projection.outgo[min(years, len(basis.years) - 1)]
    target = factor[-1] * target_months / 12.0 * target_outgo
    per_rate = _responding_per_rate(basis, policy, projection)
    opening = projection.opening[0]
    fixed = worth(income - per_rate * projection.premiums.rate, timing.premiums) + beyond
    level = (cost + target - opening - fixed) / worth(per_rate, timing.premiums)
    return Valuation(
        years=years,
        income_rate=(opening + received) / base,
        cost_rate=(cost + target) / base,
        level_rate=level,
        unfunded_obligation=cost - received - opening,
        base=base,
        opening_rate=opening / base,
        target_rate=target / base,
    )


def _responding_per_rate(basis: Basis, policy: Policy, projection: FundProjection) -> Array:
    """Income that moves in proportion to the general rate, per unit of it, the supplementary rate with it (Art. 33).

    That is all premiums, and the top-up where it is measured on income. Where it is measured on outlay and is owed, the
    government's part is fixed, so that only what the others pay moves. Shape ``(year, draw)``.
    """
    total, government = premiums_per_rate(policy, projection)
    if not policy.has("government_floor_share"):
        return total
    floor = policy.path("government_floor_share", basis.years)[:, None]
    on_outlay = np.array([word == "outlay" for word in policy.word("government_floor_basis", basis.years)])[:, None]
    others = np.where(projection.top_up_owed > 0.0, total - government, total)
    return np.where(on_outlay, others, total + np.maximum(0.0, floor * total - government) / (1.0 - floor))


def periods(basis: Basis) -> tuple[int, ...]:
    """The usual periods of 25, 50 and 75 years that a basis covers; its own length when it covers none."""
    covered = tuple(years for years in PERIODS if years <= len(basis.years))
    return covered or (len(basis.years),)


def fund_ratio(projection: FundProjection) -> Array:
    """Reserve at the start of the year over the year's outgo, ``(year, draw)``."""
    return projection.opening / projection.outgo


def expected_shortfall(values: Array, share: float) -> Array:
    """Mean over the worst draws: the lowest ``share`` of them in each year, the last one counted in part.

    Parameters
    ----------
    values
        Something of which less is worse, such as a reserve, ``(year, draw)``.
    share
        Share of the draws that counts as worst, above 0 up to 1.

    Returns
    -------
    numpy.ndarray
        Shape ``(year,)``.

    Raises
    ------
    ForecasterError
        When the share is not within its bounds.
    """
    if not 0.0 < share <= 1.0:
        raise ForecasterError(f"a share of {share:g} of the draws: allowed is above 0 up to 1")
    ordered = np.sort(values, axis=1)
    counted = np.clip(share * values.shape[1] - np.arange(values.shape[1]), 0.0, 1.0)
    return ordered @ counted / counted.sum()
