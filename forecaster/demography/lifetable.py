"""Period life tables at single ages, vectorised over leading axes.

Notation: ``m`` central death rate, ``a`` mean time lived in the age interval by those who die in it, ``l`` survivors of
one birth to exact age x, ``L`` person-years lived at age x, ``T`` person-years above age x.

    q(x) = m(x) / (1 + (1 - a(x)) m(x))         0 <= x <= 99, not above 1
    l(x+1) = l(x) (1 - q(x)),   l(0) = 1
    L(x) = l(x+1) + a(x) (l(x) - l(x+1))        T(100) = l(100) / m(100)
    e(0) = sum of L(0..99) + T(100)

with a(x) = 1/2 above age 0 and a(0) from Andreev and Kingkade (2015, Demographic Research 33), as tabled in the Human
Mortality Database's protocol, version 6.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecaster.errors import Fault, FaultyInput

Array = NDArray[np.float64]

# (upper bound of m(0), intercept, slope) by sex (m, f); the last piece is open
A0_PIECES: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((0.02300, 0.14929, -1.99545), (0.08307, 0.02832, 3.26021), (np.inf, 0.29915, 0.0)),
    ((0.01724, 0.14903, -2.05527), (0.06891, 0.04667, 3.88089), (np.inf, 0.31411, 0.0)),
)


class LifeTable(NamedTuple):
    """Columns of a period life table.

    ``survivors`` (l) and ``person_years`` (L, the last entry being T(100)) have the shape of the rates; ``e0`` lacks
    the age axis and is in years.
    """

    survivors: Array
    person_years: Array
    e0: Array


class Survival(NamedTuple):
    """Shares that survive to the end of a calendar year.

    Attributes
    ----------
    newborn
        Births of the year alive on 31 December, ``L(0) / l(0)``, shape of the rates without the age axis.
    ratio
        Persons aged x on 1 January alive on 31 December, shape of the rates: ``L(x+1) / L(x)`` for x to 98 and
        ``T(100) / (L(99) + T(100))`` for 99 and for the open group.
    """

    newborn: Array
    ratio: Array


def mean_infant_time(m0: ArrayLike) -> Array:
    """Mean time a(0) lived in the first year by those who die in it (Andreev and Kingkade 2015).

    Parameters
    ----------
    m0
        Central death rate at age 0, shape ``(..., 2)`` with the sexes ``(m, f)`` last.
    """
    rates = np.asarray(m0, dtype=np.float64)
    out = np.empty(rates.shape)
    for sex, pieces in enumerate(A0_PIECES):
        rate = rates[..., sex]
        (bound_1, cut_1, slope_1), (bound_2, cut_2, slope_2), (_, cut_3, _) = pieces
        out[..., sex] = np.where(
            rate < bound_1, cut_1 + slope_1 * rate, np.where(rate < bound_2, cut_2 + slope_2 * rate, cut_3)
        )
    return out


def life_table(mx: ArrayLike) -> LifeTable:
    """Life table of central death rates.

    Parameters
    ----------
    mx
        Central death rates per person-year, shape ``(..., 2, age)``: sexes ``(m, f)``, single ages, the last open.

    Raises
    ------
    FaultyInput
        When a rate is negative or not finite, the open group's rate is zero, or the shape is wrong.
    """
    rates = np.asarray(mx, dtype=np.float64)
    _check_rates(rates)
    time_lived = np.full(rates.shape, 0.5)
    time_lived[..., 0] = mean_infant_time(rates[..., 0])
    dying = np.minimum(rates / (1.0 + (1.0 - time_lived) * rates), 1.0)
    survivors = np.ones(rates.shape)
    np.cumprod(1.0 - dying[..., :-1], axis=-1, out=survivors[..., 1:])
    person_years = np.empty(rates.shape)
    deaths = survivors[..., :-1] - survivors[..., 1:]
    person_years[..., :-1] = survivors[..., 1:] + time_lived[..., :-1] * deaths
    person_years[..., -1] = survivors[..., -1] / rates[..., -1]
    return LifeTable(survivors, person_years, person_years.sum(axis=-1))


def survival(mx: ArrayLike) -> Survival:
    """Survival shares over a calendar year from central death rates; shapes as in :func:`life_table`."""
    table = life_table(mx)
    years = table.person_years
    ratio = np.empty(years.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio[..., :-2] = np.where(years[..., :-2] > 0, years[..., 1:-1] / years[..., :-2], 0.0)
        top = years[..., -2] + years[..., -1]
        ratio[..., -1] = np.where(top > 0, years[..., -1] / top, 0.0)
    ratio[..., -2] = ratio[..., -1]
    return Survival(years[..., 0] / table.survivors[..., 0], ratio)


def life_expectancy(mx: ArrayLike) -> Array:
    """Life expectancy at birth in years, shape of ``mx`` without the age axis (see :func:`life_table`)."""
    return life_table(mx).e0


def remaining_life(mx: ArrayLike) -> Array:
    """Remaining life expectancy at each exact age in years, ``T(x) / l(x)``, shape of ``mx``."""
    table = life_table(mx)
    above = np.flip(np.cumsum(np.flip(table.person_years, axis=-1), axis=-1), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(table.survivors > 0, above / table.survivors, 0.0)


def _check_rates(rates: NDArray[Any]) -> None:
    faults = []
    if rates.ndim < 2 or rates.shape[-2] != 2 or rates.shape[-1] < 3:
        faults.append(
            Fault("mx", f"shape {rates.shape}", "(..., 2, ages), sexes (m, f) first", "put the axes in that order")
        )
    elif rates.size:
        low = float(rates.min())
        if not (np.isfinite(low) and np.isfinite(rates.max()) and low >= 0):
            faults.append(
                Fault("mx", f"lowest value {low}", "finite rates not below zero", "remove gaps and negative rates")
            )
        elif float(rates[..., -1].min()) <= 0:
            faults.append(
                Fault(
                    "mx of the open age group",
                    "zero",
                    "above zero",
                    "give the open group a rate, it closes the life table",
                )
            )
    if faults:
        raise FaultyInput("death rates", faults)
