r"""Co-payments as levers: what patients pay at hospitals, for tests and for stays, and whom the law exempts.

All of it lowers the outlay; what is done for patients stays as it is.

**Shares.** The share that patients pay of a cost :math:`k_h` (a share of the outlay) rises over the law by
:math:`\Delta_h`; the outlay falls by :math:`k_h \Delta_h`. So for hospitals of a level and for tests (Art. 43), for
days of a stay by ward and length (Art. 47), and for those whom Art. 48 exempts: catastrophic illness, childbirth,
remote places.

Fixed sums of outpatient care are set from the rates :math:`r_h` of Art. 43 (its third paragraph), so that another rate
moves what patients pay, :math:`s_h`, in proportion: :math:`\Delta_h = s_h r_h / r_h^{law} - s_h^{law}`.

**Ceilings** (Art. 47; Rules Art. 62). What people owe for a stay, and in a year, has a ceiling, near and above which it
is taken to have a Pareto tail with exponent *a*: with *N* people at the ceiling :math:`c_0`,

.. math::
    N(x) = N \left(\frac{x}{c_0}\right)^{-a}, \qquad
    I(x, y) = \int_x^y N = \frac{N c_0}{a - 1} \left(\left(\frac{x}{c_0}\right)^{1 - a}
    - \left(\frac{y}{c_0}\right)^{1 - a}\right)

Under the law's ceilings *c* people pay *A* for the days that have them. Owing *f* times as much under ceilings
:math:`c'` they pay as much as *f* times what they would pay, owing what they do, under :math:`c' / f`:

.. math::
    f \left(A + \sum I(c, c' / f)\right) - A

more, over both ceilings, at the level of the first projected year; it grows with the outlay, as if cost of stays and
ceilings rose alike. The official estimate of one rise concerned both; how many of its people reach the ceiling of a
year and not that of a stay is assumed. Those whom the law exempts are not among the *N*. Days 1 to 30 in acute wards
alone are held to the ceilings here; chronic stays up to 180 days have them too, at a hundredth of the cost.
"""

from __future__ import annotations

import numpy as np

from forecaster.basis import Basis
from forecaster.policy import Policy, Reform

Array = np.ndarray
# Days of a stay whose co-payment is held to the ceiling, and those that have none or hardly reach it.
CAPPED_DAYS = "acute_30"
OTHER_DAYS = ("acute_60", "acute_long", "chronic_30", "chronic_90", "chronic_180", "chronic_long")
# Where outpatients pay fixed sums in proportion to a rate of the law.
PLACES = ("clinic", "district", "regional", "centre")
# Share that patients pay to the share of the outlay that it is taken of.
COPAYMENTS = {
    **{f"copayment_share.{of}": f"copayment_cost_share.{of}" for of in (*PLACES, "tests")},
    "copayment_rate.home": "copayment_cost_share.home",
    **{f"copayment_inpatient.{days}": f"copayment_stay_cost.{days}" for days in OTHER_DAYS},
    "copayment_catastrophic": "catastrophic_cost_share",
    "copayment_childbirth": "childbirth_cost_share",
    "copayment_remote": "remote_cost_share",
}
# Ceilings with the level at which the people who reach them are known, and their number.
CEILINGS = (
    ("copayment_cap_stay", "copayment_cap_known", "copayment_cap_persons"),
    ("copayment_cap_year", "copayment_cap_year_known", "copayment_cap_year_persons"),
)
# Ones of the currency in the unit that a scheme's money is counted in.
_ONES = {"bn": 1e9, "m": 1e6, "thousand": 1e3, "one": 1.0}


def copayment_parts(basis: Basis, policy: Policy) -> list[Array]:
    """What each lever on co-payments takes off the outlay, shares of it, each ``(year,)``; zero under the law."""
    law = policy.reform(Reform())
    parts = []
    for share, cost in COPAYMENTS.items():
        # A law kept by an earlier run may hold the one without the other.
        if policy.has(share) and policy.has(cost):
            rise = _paid(policy, law, share, basis.years) - law.path(share, basis.years)
            parts.append(policy.path(cost, basis.years) * rise)
    if policy.has("copayment_cap_tail"):
        parts.append(stay_gain(basis, policy) / basis.outlay[0].mean())
    return parts


def _paid(policy: Policy, law: Policy, share: str, years: Array) -> Array:
    """What patients pay of a cost, the rate of the law that fixed sums are set from counted in; ``(year,)``."""
    paid = policy.path(share, years)
    rate = share.replace("copayment_share.", "copayment_rate.")
    if rate == share or not policy.has(rate):
        return paid
    return paid * policy.path(rate, years) / law.path(rate, years)


def stay_gain(basis: Basis, policy: Policy) -> Array:
    """Co-payments gained over the law for the days of stays that have a ceiling, by their rate and by the ceiling.

    Returns
    -------
    numpy.ndarray
        Money nominal a year, flow, at the level of the first projected year, ``(year,)``; negative where less is paid.
    """
    law = policy.reform(Reform())
    rate = by_law = cost = np.zeros(len(basis.years))
    times = np.ones(len(basis.years))
    if policy.has(f"copayment_stay_cost.{CAPPED_DAYS}"):
        rate, by_law = (p.path(f"copayment_inpatient.{CAPPED_DAYS}", basis.years) for p in (policy, law))
        cost = policy.path(f"copayment_stay_cost.{CAPPED_DAYS}", basis.years) * basis.outlay[0].mean()
        # Where the law takes nothing its ceiling tells nothing of what people would owe.
        times = np.divide(rate, by_law, out=np.ones_like(rate), where=by_law > 0.0)
    tail = policy.path("copayment_cap_tail", basis.years)
    beyond = np.zeros(len(basis.years))
    # A law kept by an earlier run may know the ceiling of a stay alone.
    for ceiling, known, number in (names for names in CEILINGS if policy.has(names[2])):
        now, before = (p.path(ceiling, basis.years) for p in (policy, law))
        at, persons = (policy.path(name, basis.years) for name in (known, number))
        everyone = persons * at / (tail - 1.0) / _ONES[policy.scheme.unit]
        # Nobody who owes nothing reaches a ceiling, however it lies.
        reached = now / np.maximum(times, 1e-12)
        beyond += everyone * ((before / at) ** (1.0 - tail) - (reached / at) ** (1.0 - tail))
    return times * (by_law * cost + beyond) - by_law * cost
