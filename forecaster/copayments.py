r"""Co-payments as levers: what patients pay of the cost at hospitals, and the ceilings of what they pay for stays.

All of it lowers the outlay; what is done for patients stays as it is.

**Shares.** The share that patients pay of a cost :math:`k_h` (a share of the outlay), at hospitals of a level or of
catastrophic illness, rises over the law by :math:`\Delta_h`; the outlay falls by :math:`k_h \Delta_h`.

**Ceilings** (Art. 47; Rules Art. 62). Above the ceiling of a stay what people would owe is taken to have a Pareto tail
with exponent *a*. With *N* people at the ceiling :math:`c_0`, a move from *c* to :math:`c'` makes them pay

.. math::
    \int_c^{c'} N(x)\,dx = \frac{N c_0}{a - 1}
    \left(\left(\frac{c}{c_0}\right)^{1 - a} - \left(\frac{c'}{c_0}\right)^{1 - a}\right), \qquad
    N(x) = N \left(\frac{x}{c_0}\right)^{-a}

more, at the level of the first projected year; it grows with the outlay, as if cost of stays and ceilings rose
alike. The ceiling of a year moves with that of a stay, since both are set as parts of the income per head. The figures
are official estimates of one rise, which concerned both. Those whom the law exempts are not among the *N*.
"""

from __future__ import annotations

import numpy as np

from forecaster.basis import Basis
from forecaster.policy import Policy, Reform

Array = np.ndarray
# Share that patients pay to the share of the outlay that it is taken of.
COPAYMENTS = {
    **{f"copayment_share.{level}": f"copayment_cost_share.{level}" for level in ("district", "regional", "centre")},
    "copayment_catastrophic": "catastrophic_cost_share",
}
# Ones of the currency in the unit that a scheme's money is counted in.
_ONES = {"bn": 1e9, "m": 1e6, "thousand": 1e3, "one": 1.0}


def copayment_parts(basis: Basis, policy: Policy) -> list[Array]:
    """What each lever on co-payments takes off the outlay, shares of it, each ``(year,)``; zero under the law."""
    law = policy.reform(Reform())
    parts = []
    for share, cost in COPAYMENTS.items():
        if policy.has(share):
            rise = policy.path(share, basis.years) - law.path(share, basis.years)
            parts.append(policy.path(cost, basis.years) * rise)
    if policy.has("copayment_cap_tail"):
        parts.append(ceiling_gain(basis, policy) / basis.outlay[0].mean())
    return parts


def ceiling_gain(basis: Basis, policy: Policy) -> Array:
    """Co-payments gained by the policy's ceilings of stays over the law's, ``(year,)``.

    Money nominal a year, flow, at the level of the first projected year; negative where the ceiling is lowered.
    """
    now, before = (p.path("copayment_cap_stay", basis.years) for p in (policy, policy.reform(Reform())))
    at, persons, tail = (policy.path(f"copayment_cap_{name}", basis.years) for name in ("known", "persons", "tail"))
    everyone = persons * at / (tail - 1.0) / _ONES[policy.scheme.unit]
    return everyone * ((before / at) ** (1.0 - tail) - (now / at) ** (1.0 - tail))
