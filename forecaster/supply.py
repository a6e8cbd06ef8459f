r"""Rural capacity, beds and staff a head, as a driver of use and of unit cost: a prior and nothing else.

With capacity *k* against the forecast's own and elasticities :math:`\epsilon` of use and of the cost of a service, each
draw its own:

.. math::
    k_t = \prod_{s \le t} (1 + g_s), \qquad C'_t = C_t\, k_t^{\epsilon_{use} + \epsilon_{cost}}, \qquad
    \epsilon_{use} + \epsilon_{cost} \sim N(e_{use} + e_{cost},\; s^2)

More beds are filled, and care nearer home is a little cheaper. No figure that is held tells either.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

SEED = 20261122


def supply_factor(growth: Array, use: float, cost: float, spread: float, n_draws: int) -> Array:
    """What capacity makes of outlay, a factor, ``(year, draw)``; the same draws whatever the growth.

    Parameters
    ----------
    growth
        Growth of capacity a head beyond the forecast's, share a year, ``(year,)``.
    use, cost, spread
        Means of the elasticities of use and unit cost, and the standard deviation of their sum.
    """
    elasticity = use + cost + spread * np.random.default_rng(SEED).standard_normal(n_draws)
    capacity = np.cumprod(1.0 + growth)
    factor: Array = capacity[:, None] ** elasticity[None, :]
    return factor
