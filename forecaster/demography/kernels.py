"""Compiled loops of the cohort-component step, for one year of one draw and for whole sets of futures.

Every compiled function of the demography stands here because the compiler's disk cache notices changes within a file
only. Where no folder can be written for that cache (an installed, read-only package without a user cache) the functions
compile in memory instead. Arrays come in the order (draw, year, sex, age) with ages contiguous; a draw axis of length 1
serves all draws. Arrays are copied cell by cell: the words about slices of other shapes would take the compiler longer
than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# At most this share of those alive at the end of a year may leave in it, as in the United Nations' projections.
LARGEST_LEAVING_SHARE = 0.8
# Central death rates of simulated futures are held below this; at 2 everybody would die within the year.
LARGEST_RATE = 1.9
FIRST_FERTILE_AGE = 10


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock, keeping the machine code on disk where a folder can be written for it."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    compiler: Any = numba.njit
    try:
        result: Callable[..., Any] = compiler(cache=True, **options)(function)
    except RuntimeError:
        result = compiler(**options)(function)
    return result


@compiled
def survival_row(mx, sex, dying, years, ratio):  # type: ignore[no-untyped-def]
    """Fill ``ratio`` with survival shares of one sex; return the newborns' share and life expectancy at birth.

    ``lifetable.survival`` is the readable form. ``dying`` and ``years`` are work space of one value per age.
    """
    n = mx.shape[0]
    m0 = mx[0]
    if sex == 0:
        if m0 < 0.02300:
            a0 = 0.14929 - 1.99545 * m0
        elif m0 < 0.08307:
            a0 = 0.02832 + 3.26021 * m0
        else:
            a0 = 0.29915
    else:
        if m0 < 0.01724:
            a0 = 0.14903 - 2.05527 * m0
        elif m0 < 0.06891:
            a0 = 0.04667 + 3.88089 * m0
        else:
            a0 = 0.31411
    for x in range(n - 1):
        dying[x] = min(mx[x] / (1.0 + 0.5 * mx[x]), 1.0)
    dying[0] = min(m0 / (1.0 + (1.0 - a0) * m0), 1.0)
    alive = 1.0
    e0 = 0.0
    for x in range(n - 1):
        share = 0.5 if x > 0 else a0
        lost = alive * dying[x]
        alive -= lost
        lived = alive + share * lost
        years[x] = lived
        e0 += lived
    years[n - 1] = alive / mx[n - 1]
    e0 += years[n - 1]
    for x in range(n - 2):
        ratio[x] = years[x + 1] / years[x] if years[x] > 0.0 else 0.0
    top = years[n - 2] + years[n - 1]
    ratio[n - 2] = years[n - 1] / top if top > 0.0 else 0.0
    ratio[n - 1] = ratio[n - 2]
    return years[0], e0


@compiled
def step_year(start, mx, asfr, srb, migration, end, flows, dying, years, ratio):  # type: ignore[no-untyped-def]
    """Carry one population through a calendar year.

    ``start``, ``mx``, ``migration`` and ``end`` are (sex, age); ``asfr`` holds the fertile ages from 10; ``flows``
    (3, sex) receives births, deaths and the net migrants that were applied. Returns life expectancy of men and women.
    """
    n = start.shape[1]
    newborn_m, e0_m = survival_row(mx[0], 0, dying, years, ratio)
    for x in range(n - 2):
        end[0, x + 1] = start[0, x] * ratio[x]
    end[0, n - 1] = (start[0, n - 2] + start[0, n - 1]) * ratio[n - 1]
    newborn_f, e0_f = survival_row(mx[1], 1, dying, years, ratio)
    for x in range(n - 2):
        end[1, x + 1] = start[1, x] * ratio[x]
    end[1, n - 1] = (start[1, n - 2] + start[1, n - 1]) * ratio[n - 1]

    births = 0.0
    for i in range(asfr.shape[0]):
        x = i + FIRST_FERTILE_AGE
        births += asfr[i] * 0.5 * (start[1, x] + end[1, x])
    flows[0, 0] = births * srb / (1.0 + srb)
    flows[0, 1] = births / (1.0 + srb)
    end[0, 0] = flows[0, 0] * newborn_m
    end[1, 0] = flows[0, 1] * newborn_f

    for sex in range(2):
        opening = 0.0
        alive = 0.0
        for x in range(n):
            opening += start[sex, x]
            alive += end[sex, x]
        flows[1, sex] = opening + flows[0, sex] - alive
        moved = 0.0
        for x in range(n):
            coming = max(migration[sex, x], -LARGEST_LEAVING_SHARE * end[sex, x])
            end[sex, x] += coming
            moved += coming
        flows[2, sex] = moved
    return e0_m, e0_f


@compiled
def project_draws(start, mx, asfr, srb, migration, population, births, deaths, moved):  # type: ignore[no-untyped-def]
    """Project every draw; inputs whose draw axis has length 1 are shared. Results are written into the last four."""
    n_draws, n_stocks, _, n_ages = population.shape
    dying = np.empty(n_ages)
    years = np.empty(n_ages)
    ratio = np.empty(n_ages)
    flows = np.empty((3, 2))
    for d in range(n_draws):
        d_start = d if start.shape[0] > 1 else 0
        d_mx = d if mx.shape[0] > 1 else 0
        d_asfr = d if asfr.shape[0] > 1 else 0
        d_srb = d if srb.shape[0] > 1 else 0
        d_migration = d if migration.shape[0] > 1 else 0
        for sex in range(2):
            for x in range(n_ages):
                population[d, 0, sex, x] = start[d_start, sex, x]
        for t in range(n_stocks - 1):
            step_year(
                population[d, t],
                mx[d_mx, t],
                asfr[d_asfr, t],
                srb[d_srb, t],
                migration[d_migration, t],
                population[d, t + 1],
                flows,
                dying,
                years,
                ratio,
            )
            for sex in range(2):
                births[d, t, sex] = flows[0, sex]
                deaths[d, t, sex] = flows[1, sex]
                moved[d, t, sex] = flows[2, sex]


@compiled
def simulate_draws(  # type: ignore[no-untyped-def]
    start,  # (draw, sex, age) persons on 1 January of the first year
    log_rates,  # (sex, age) log death rates at the jump-off
    slopes,  # (sex, age) change of the log rates per unit of the index
    index,  # (draw, year, sex) change of the mortality index since the jump-off
    shape,  # (45,) share of total fertility by age at the jump-off, ages 10..54
    tfr,  # (draw, year) children per woman
    shift,  # (draw, year) years by which childbearing is later than at the jump-off
    srb,  # (year,) boys per girl
    rate,  # (draw, year) net migrants per person alive on 1 January; where negative, with the ages of the first year
    profile,  # (sex, age) share of the net migrants, summing to 1
    churn,  # (year, sex, age) further migrants by age, summing to 0, persons per person of the start population
    population,  # out (draw, year + 1, sex, age)
    births,  # out (draw, year)
    deaths,  # out (draw, year)
    moved,  # out (draw, year)
    e0,  # out (draw, year, sex)
):
    """Simulate every draw from its paths of mortality, fertility and migration; see ``futures``."""
    n_draws, n_stocks, _, n_ages = population.shape
    n_fertile = shape.shape[0]
    dying = np.empty(n_ages)
    years = np.empty(n_ages)
    ratio = np.empty(n_ages)
    flows = np.empty((3, 2))
    mx = np.empty((2, n_ages))
    asfr = np.empty(n_fertile)
    migration = np.empty((2, n_ages))
    for d in range(n_draws):
        for sex in range(2):
            for x in range(n_ages):
                population[d, 0, sex, x] = start[d, sex, x]
        # Who comes is as many as there are people to come to; who leaves is one of an age, so that an age which grows
        # scarce is not emptied by a rate that was measured when it was not.
        first = population[d, 0]
        people_first = first.sum()
        for t in range(n_stocks - 1):
            now = population[d, t]
            for sex in range(2):
                move = index[d, t, sex]
                for x in range(n_ages):
                    mx[sex, x] = min(np.exp(log_rates[sex, x] + slopes[sex, x] * move), LARGEST_RATE)
            total_shape = 0.0
            for i in range(n_fertile):
                place = i - shift[d, t]
                below = int(np.floor(place))
                part = place - below
                value = 0.0
                if 0 <= below < n_fertile:
                    value += (1.0 - part) * shape[below]
                if 0 <= below + 1 < n_fertile:
                    value += part * shape[below + 1]
                asfr[i] = value
                total_shape += value
            for i in range(n_fertile):
                asfr[i] *= tfr[d, t] / total_shape
            people = now.sum()
            for sex in range(2):
                for x in range(n_ages):
                    coming = people
                    if rate[d, t] < 0.0 and first[sex, x] > 0.0:
                        coming = people_first * now[sex, x] / first[sex, x]
                    migration[sex, x] = coming * rate[d, t] * profile[sex, x] + people * churn[t, sex, x]
            e0_m, e0_f = step_year(now, mx, asfr, srb[t], migration, population[d, t + 1], flows, dying, years, ratio)
            e0[d, t, 0] = e0_m
            e0[d, t, 1] = e0_f
            births[d, t] = flows[0, 0] + flows[0, 1]
            deaths[d, t] = flows[1, 0] + flows[1, 1]
            moved[d, t] = flows[2, 0] + flows[2, 1]
