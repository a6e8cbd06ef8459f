r"""Co-payments as levers: what patients pay at hospitals, for tests and for stays, and whom the law exempts.

All of it lowers the outlay; what is done for patients stays as it is.

**Shares.** The share that patients pay of a cost :math:`k_h` (a share of the outlay) rises over the law by
:math:`\Delta_h`; the outlay falls by :math:`k_h \Delta_h`. So for hospitals of a level and for tests (Art. 43), for
days of a stay by ward and length (Art. 47), and for those whom Art. 48 exempts: catastrophic illness, childbirth,
remote places.

**Ceilings** (Art. 47; Rules Art. 62). What people owe for a stay has a ceiling, near and above which it is taken to
have a Pareto tail with exponent *a*: with *N* people at the ceiling :math:`c_0`,

.. math::
    N(x) = N \left(\frac{x}{c_0}\right)^{-a}, \qquad
    I(x, y) = \int_x^y N = \frac{N c_0}{a - 1} \left(\left(\frac{x}{c_0}\right)^{1 - a}
    - \left(\frac{y}{c_0}\right)^{1 - a}\right)

Under the law's ceiling *c* people pay *A* for the days that have it. Owing *f* times as much under a ceiling :math:`c'`
they pay as much as *f* times what they would pay, owing what they do, under :math:`c' / f`:

.. math::
    f \left(A + I(c, c' / f)\right) - A

more, at the level of the first projected year; it grows with the outlay, as if cost of stays and ceilings rose
alike. The ceiling of a year moves with that of a stay, since both are set as parts of the income per head. The figures
are official estimates of one rise, which concerned both. Those whom the law exempts are not among the *N*. Days 1 to 30
in acute wards alone are held to the ceiling here; chronic stays up to 180 days have it too, at a hundredth of the cost.
"""

from __future__ import annotations

import numpy as np

from forecaster.basis import Basis
from forecaster.policy import Policy, Reform

Array = np.ndarray
# Days of a stay whose co-payment is held to the ceiling, and those that have none or hardly reach it.
CAPPED_DAYS = "acute_30"
OTHER_DAYS = ("acute_60", "acute_long", "chronic_30", "chronic_90", "chronic_180", "chronic_long")
# Share that patients pay to the share of the outlay that it is taken of.
COPAYMENTS = {
    **{f"copayment_share.{of}": f"copayment_cost_share.{of}" for of in ("district", "regional", "centre", "tests")},
    **{f"copayment_inpatient.{days}": f"copayment_stay_cost.{days}" for days in OTHER_DAYS},
    "copayment_catastrophic": "catastrophic_cost_share",
    "copayment_childbirth": "childbirth_cost_share",
    "copayment_remote": "remote_cost_share",
}
# Ones of the currency in the unit that a scheme's money is counted in.
_ONES = {"bn": 1e9, "m": 1e6, "thousand": 1e3, "one": 1.0}


def copayment_parts(basis: Basis, policy: Policy) -> list[Array]:
    """What each lever on co-payments takes off the outlay, shares of it, each ``(year,)``; zero under the law."""
    law = policy.reform(Reform())
    parts = []
    for share, cost in COPAYMENTS.items():
        # A law kept by an earlier run may hold the one without the other.
        if policy.has(share) and policy.has(cost):
            rise = policy.path(share, basis.years) - law.path(share, basis.years)
            parts.append(policy.path(cost, basis.years) * rise)
    if policy.has("copayment_cap_tail"):
        parts.append(stay_gain(basis, policy) / basis.outlay[0].mean())
    return parts


def assumed_costs(policy: Policy) -> tuple[str, ...]:
    """What the policy's co-payments are taken of where no figure was found, told in words, for answers that use it."""
    costs = {**COPAYMENTS, f"copayment_inpatient.{CAPPED_DAYS}": f"copayment_stay_cost.{CAPPED_DAYS}"}
    told = []
    for name in dict.fromkeys(change.name for change in policy.change.changes if change.name in costs):
        if not policy.has(costs[name]):
            continue
        latest = policy.scheme.parameter(costs[name]).values[-1]
        if latest.status == "assumed":
            share = f"{policy.dated(costs[name])[-1][1]:.2%}"
            told.append(f"{name} is taken of {share} of the outlay ({costs[name]}): {latest.note} ({latest.source}).")
    return tuple(told)


def stay_gain(basis: Basis, policy: Policy) -> Array:
    """Co-payments gained over the law for the days of stays that have a ceiling, by their rate and by the ceiling.

    Returns
    -------
    numpy.ndarray
        Money nominal a year, flow, at the level of the first projected year, ``(year,)``; negative where less is paid.
    """
    law = policy.reform(Reform())
    now, before = (p.path("copayment_cap_stay", basis.years) for p in (policy, law))
    rate = by_law = cost = np.zeros(len(basis.years))
    times = np.ones(len(basis.years))
    if policy.has(f"copayment_stay_cost.{CAPPED_DAYS}"):
        rate, by_law = (p.path(f"copayment_inpatient.{CAPPED_DAYS}", basis.years) for p in (policy, law))
        cost = policy.path(f"copayment_stay_cost.{CAPPED_DAYS}", basis.years) * basis.outlay[0].mean()
        # Where the law takes nothing its ceiling tells nothing of what people would owe.
        times = np.divide(rate, by_law, out=np.ones_like(rate), where=by_law > 0.0)
    at, persons, tail = (policy.path(f"copayment_cap_{name}", basis.years) for name in ("known", "persons", "tail"))
    everyone = persons * at / (tail - 1.0) / _ONES[policy.scheme.unit]
    # Nobody who owes nothing reaches a ceiling, however it lies.
    reached = now / np.maximum(times, 1e-12)
    beyond = everyone * ((before / at) ** (1.0 - tail) - (reached / at) ** (1.0 - tail))
    return times * (by_law * cost + beyond) - by_law * cost
