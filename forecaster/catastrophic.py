r"""The catastrophically ill as a cohort of their own: how many members, and how much of the outgo, go with them.

Four years of published shares are all there is, and none after 2014 on the same footing. The logit of each share walks,

.. math::
    \operatorname{logit} s_t = \operatorname{logit} s_{t-1} + 0.933^{\,t - a}\, d + \sigma z_t

from the last published year *a*, with the mean *d* and the standard deviation :math:`\sigma` of the published yearly
steps; *d* has the error of that mean. Two or three steps say little, so the bands are wide and the walk is no model of
disease. The certificates carry no ages, so the cohort does not age: it divides what the fund model forecasts and
changes none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecaster.basis import Basis
from forecaster.errors import ForecasterError
from forecaster.observations import Observations

Array = np.ndarray

SERIES = {"people": "catastrophic_share_of_insured", "spending": "catastrophic_share_of_spending"}
# What is left of the drift a year later: a half-life of ten years, assumed, as of the tilt of the cost profile.
FADING = 0.933


@dataclass(frozen=True)
class CatastrophicCohort:
    """Shares of the cohort by year and draw.

    Attributes
    ----------
    years
        Projected years, ``(year,)``.
    people_share, spending_share
        Share of the members at the year's end and of the year's outlay, ``(year, draw)``.
    people, outlay
        Persons, and nominal money a year in the basis's unit (flow), ``(year, draw)``.
    last_published
        Year from which the shares walk.
    """

    years: Array
    people_share: Array
    spending_share: Array
    people: Array
    outlay: Array
    last_published: int


def catastrophic_cohort(basis: Basis, observed: Observations, seed: int) -> CatastrophicCohort:
    """Divide a basis into the catastrophically ill and all others.

    Parameters
    ----------
    basis
        Needs the driver ``population``; members are taken to be all of it.
    observed
        Tables of the place, with the series :data:`SERIES`.

    Raises
    ------
    ForecasterError
        When place or basis lack what is needed.
    """
    if "population" not in basis.drivers or not set(SERIES.values()) <= set(observed.names()):
        raise ForecasterError("the catastrophically ill are published for Taiwan's fund only, and need a fitted basis")
    shares, last = {}, 0
    for i, (name, series) in enumerate(SERIES.items()):
        known = observed.series(series).sort_values("year")
        last = int(known["year"].iloc[-1])
        rng = np.random.default_rng([seed, i, *b"catastrophic"])
        shares[name] = walked(known["value"].to_numpy(dtype=float), basis.years - last, basis.n_draws, rng)
    return CatastrophicCohort(
        years=basis.years,
        people_share=shares["people"],
        spending_share=shares["spending"],
        people=shares["people"] * basis.drivers["population"],
        outlay=shares["spending"] * basis.outlay,
        last_published=last,
    )


def walked(published: Array, ahead: Array, n_draws: int, rng: np.random.Generator) -> Array:
    """Share after so many years, ``(year, draw)``.

    Parameters
    ----------
    published
        Shares of consecutive years, at least three.
    ahead
        Years since the last of them, rising, ``(year,)``.
    """
    logit = np.log(published / (1.0 - published))
    steps = np.diff(logit)
    spread = float(steps.std(ddof=1))
    drift = steps.mean() + spread / np.sqrt(len(steps)) * rng.standard_normal(n_draws)
    since = np.arange(1, int(ahead[-1]) + 1)
    moves = FADING ** since[:, None] * drift + spread * rng.standard_normal((len(since), n_draws))
    path = logit[-1] + np.cumsum(moves, axis=0)
    share: Array = 1.0 / (1.0 + np.exp(-path[np.asarray(ahead) - 1]))
    return share
