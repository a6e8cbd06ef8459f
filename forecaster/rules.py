r"""Rules that set the rate by themselves: the yearly review of the general rate from the state of the fund.

The law wants the rate of a year settled before it starts (Art. 24) and a reserve of one to three months (Art. 78), and
caps the rate at 6% (Art. 18). It leaves the decision to the government. The rule here is what a government would do
that keeps to the band mechanically; all its figures are parameters of the scheme, and it is off by default:

.. math::
    r_t = \left\lceil r_{t-1}\left(1 + \frac{D_{t-1} + (m^* - m_{t-1})\,C_{t-1}/12/n}{R_{t-1}}\right)\right\rceil
    \quad\text{if } m_{t-1} \notin [m_{low}, m_{high}], \qquad r_t = r_{t-1} \text{ otherwise}

with months *m*, outgo *C*, the year's deficit *D* before yield and injections, the income *R* that moves in proportion
to the rate, the target :math:`m^*` and *n* years to return to it. Below the band the rate is never lowered, above it
never raised; it is rounded up to a hundredth of a percent, which is also the least, and held within the law's limit.
The supplementary rate moves with it (Art. 33).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecaster.policy import Policy

Array = np.ndarray
# Rates that the review sets.
REVIEWED = ("general_premium_rate", "supplementary_premium_rate")
_NAMES = ("reserve_floor_months", "reserve_ceiling_months", "review_target_months", "review_return_years")


@dataclass(frozen=True)
class Review:
    """The yearly review as a policy has it; arrays have shape ``(year,)``.

    Attributes
    ----------
    on
        Whether the rate of the year is set by the rule; never that of the first projected year, whose past is not in a
        basis.
    low, high, target
        Band of the reserve and the months to return to.
    years
        Years over which to return.
    limit
        Highest general rate, a share.
    """

    on: Array
    low: Array
    high: Array
    target: Array
    years: Array
    limit: float


def overridden_rates(policy: Policy, years: Array) -> tuple[str, ...]:
    """Dated rates of the policy that count for nothing because the yearly review sets them, told in words."""
    review = yearly_review(policy, years)
    told = []
    for name in REVIEWED if review.on.any() else ():
        own = {change.start for change in policy.change.changes if change.name == name}
        own |= {start for start, _ in policy.scheme.parameter(name).in_force()}
        for start, value in policy.dated(name):
            if start in own and start.year in years[review.on]:
                told.append(f"{name}={value:g}@{start} counts for nothing: the yearly review sets the rate")
    return tuple(told)


def yearly_review(policy: Policy, years: Array) -> Review:
    """The review in each year; off throughout when the scheme has no such rule."""
    none = np.zeros(len(years))
    off = Review(none.astype(bool), none, none, none, none, 1.0)
    if not policy.has("yearly_review"):
        return off
    on = np.array([word == "on" for word in policy.word("yearly_review", years)])
    on[0] = False
    if not on.any():
        return off
    limit = policy.scheme.parameter("general_premium_rate").bounds[1]  # type: ignore[index]  # a number has bounds
    low, high, target, over = (policy.path(name, years) for name in _NAMES)
    return Review(on, low, high, target, over, limit)
