"""What a policy makes of a fund's outlay: the budget, what patients pay, what is recovered, what points add."""

from __future__ import annotations

import numpy as np

from forecaster.basis import Basis
from forecaster.copayments import copayment_parts
from forecaster.errors import ForecasterError
from forecaster.policy import Policy

Array = np.ndarray


def outlay_factor(basis: Basis, policy: Policy) -> Array:
    r"""What the policy makes of the basis's outlay, as a factor a year, shape ``(year,)``.

    .. math::
        C_t = C^0_t \prod_{s \le t} (1 + a_s)\, \left(1 - y_t / \bar C^0_{1} - \sum_h p_{h,t} - u_t\right)

    with *a* the addition to budget growth, *y* the co-payment yield at the level of the first projected year,
    :math:`\bar C^0_1` that year's mean outlay, :math:`p_h` what patients pay more than by law
    (:mod:`forecaster.copayments`) and *u* the improper claims recovered. What is paid or recovered is a share of the
    outlay that the budget leaves.

    Raises
    ------
    ForecasterError
        When patients and recoveries would leave nothing of the outlay.
    """
    years = basis.years
    left = np.ones(len(years))
    if policy.has("copayment_reform_yield"):
        left = left - policy.path("copayment_reform_yield", years) / basis.outlay[0].mean()
    for part in copayment_parts(basis, policy):
        left = left - part
    if policy.has("supervision_recovery"):
        left = left - policy.path("supervision_recovery", years)
    if (left <= 0.0).any():
        raise ForecasterError(
            f"co-payments and recoveries: {1.0 - left.min():.0%} of the outlay of {years[left.argmin()]}; allowed is "
            "less than all of it; to mend: lower the levers on co-payments, or the shares of cost they are taken of"
        )
    return budget_factor(basis, policy) * left


def budget_factor(basis: Basis, policy: Policy) -> Array:
    r"""What the policy makes of the global budget, a factor a year, ``(year,)``: :math:`\prod_{s \le t} (1 + a_s)`.

    Providers' payments of a year are agreed with the co-payments in them (Art. 2(4), 62), and recoveries come after it,
    so that neither moves what a point is worth.
    """
    if not policy.has("budget_growth_adjustment"):
        return np.ones(len(basis.years))
    return np.asarray(np.cumprod(1.0 + policy.path("budget_growth_adjustment", basis.years)))


def floating_share(basis: Basis, policy: Policy) -> Array:
    """Share of the outlay left for points when drugs above their target are taken out (Art. 62), ``(year or 1, draw)``.

    Only for a basis that knows points.
    """
    share = basis.points.floating_share[None, :]  # type: ignore[union-attr]  # asked for only where there are points
    if not policy.has("drug_overshoot"):
        return share
    return share - policy.path("drug_overshoot", basis.years)[:, None]


def guaranteed_outlay(basis: Basis, policy: Policy, factor: Array) -> Array:
    r"""Outlay before the policy's factor, with what a guaranteed value of points adds; ``(year, draw)``.

    With *f* the share of the outlay whose points float (less drugs above their target), *P* the points, *b* the factor
    of the budget (:func:`budget_factor`), *k* that of the outlay and the guarantee *g*:

    .. math::
        v_t = f b_t C^0_t / P_t, \qquad C_t = k_t C^0_t + \max(0, g_t - v_t) P_t

    Raises
    ------
    ForecasterError
        When a value is guaranteed and the basis knows no points.
    """
    if not policy.has("point_value_guarantee"):
        return basis.outlay
    guarantee = policy.path("point_value_guarantee", basis.years)
    if not guarantee.any():
        return basis.outlay
    if basis.points is None:
        raise ForecasterError(
            f"point_value_guarantee: the basis {basis.label!r} knows no points of providers, so that the cost of a "
            "guarantee cannot be told; use the pool's fit, or leave the guarantee out"
        )
    budget = budget_factor(basis, policy)[:, None] * basis.outlay
    added = np.maximum(0.0, guarantee[:, None] * basis.points.claimed - floating_share(basis, policy) * budget)
    return basis.outlay + added / factor[:, None]
