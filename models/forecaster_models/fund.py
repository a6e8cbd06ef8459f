"""The fund: income, outgo and reserve of a Taiwan-type pool as one small model, gaps latent and accounts kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from forecaster.demography.patterns import PANDEMIC_YEARS
from forecaster.need import AGE_GROUPS
from forecaster_models.blocks import Block
from forecaster_models.fund_arrays import (
    SCALARS,
    VECTORS,
    FundArrays,
    band_sums,
    band_value,
    fund_arrays,
    growth_loadings,
)
from forecaster_models.fund_density import FundDensity
from forecaster_models.fund_evidence import FundData, fund_data
from forecaster_models.priors import Priors, draw_prior, draw_scalars
from forecaster_models.steps import StepScales, name_drift_ends
from forecaster_models.theories import Carried, StepEvidence, carry_over, check_priors

Array = np.ndarray

# Acceptance that NUTS aims at: in these coordinates the posterior is near enough to a normal one for long steps.
TARGET_ACCEPT = 0.85
# How far from zero the latent flows and costs bend away from it.
BEND = 0.04

KEEP = (
    "fund_log_cost_end",
    "fund_log_base_end",
    "fund_log_supplementary_end",
    "fund_reserve_end",
    "fund_log_profile",
    "fund_tilt",
    "fund_income_elasticity",
    "fund_cost_surprise",
    "fund_base_surprise",
    "fund_cost_drift",
    "fund_base_drift",
    "fund_supplementary_drift",
    "fund_cost_sd",
    "fund_base_sd",
    "fund_supplementary_sd",
    "fund_correlation",
    "fund_cost_drift_sd",
    "fund_base_drift_sd",
    "fund_cost_drift_end",
    "fund_base_drift_end",
    "fund_category_mix",
    "fund_item_share",
    "fund_size_median",
    "fund_size_spread",
    "fund_part_time_median",
    "fund_part_time_spread",
    "fund_miscellaneous",
    "fund_booking_sd",
)
# What theories of cost growth read of the posterior.
READS = (
    "fund_cost_step",
    "fund_growth_revision",
    "fund_base_gap",
    "fund_base_sd",
    "fund_base_drift_sd",
    "fund_correlation",
)


def fund_model(data: FundData, priors: Priors) -> pm.Model:
    r"""Joint model of cost, contribution base and supplementary base.

    Steps of the latent paths, with *D* the age-weighted need, *p* the deflator, *h* real GDP per head, *Y* nominal GDP
    and *s* the growth surprise:

    .. math::
        \Delta \log C_t &= \Delta \log D_t + \Delta p_t + \eta\,\Delta h_t + \lambda_C s_t + \Delta z_t + d^C_t
            + e^C_t \\
        \Delta \log B_t &= \Delta \log Y_t + \lambda_B s_t + d^B_t + e^B_t

    A pandemic is shock and rebound, not trend: *z* is zero but in its years. Where the evidence ends within them,
    ``fund_rebound`` is what comes back in the year after.

    The drifts are AR(1) with persistence 0.9 around their long-run levels; the innovations *e* of cost and base are
    correlated. Income of a year is the law's formula on the bases, times a booking factor (arrears and top-ups booked
    in another year). Revenue, cost, balances, reserves at any month, sums over years and global budgets are
    all evidence about the same paths.

    With the floor measured on income and binding, as it has been since 2013 (:func:`forecaster.engine.project`),

    .. math::
        F = \frac{r B (w - g) + S - S^{state}}{1 - \varphi} + O + J

    is solved for the base *B*; before 2013 :math:`F = r B w`. The density is in terms of *B*, so the change of
    variables adds :math:`\sum \log (\partial \log B / \partial \log F)`.

    The latent paths, profile and supplementary level are sampled around a smoother's estimate of them. Flows and cost
    by age move in proportion to it, not in logs: sums of them are known closely, and a sum is straight in these
    coordinates where it bends in logs; the change of variables is part of the density. The density of the evidence
    and of the steps is one compiled operation, :func:`forecaster_models.fund_density.density`.
    """
    n, m = len(data.years), data.n_income
    start, scale = path_geometry(data)
    profile_start, profile_scale = profile_geometry(data)
    groups = len(profile_start)
    line = supplementary_line(data)
    open_years = int((data.gdp_error[1:] > 0).sum())
    # Bounds are kept by the transforms; checking them again would double the graph that has to be compiled.
    with pm.Model(check_bounds=False) as model:
        drawn = draw_scalars("fund", priors)
        change = pt.dot(scale, pm.Flat("fund_path", shape=n + m, initval=np.zeros(n + m)))
        path_moved, path_volume = _in_proportion(change)
        path = start + path_moved
        profile_change = pt.dot(profile_scale, pm.Flat("fund_profile_path", shape=groups, initval=np.zeros(groups)))
        profile_moved, profile_volume = _in_proportion(profile_change)
        profile = profile_start + profile_moved
        share = pm.Dirichlet("fund_item_share", np.ones(len(data.items)))
        premium_change = 0.05 * pm.Flat("fund_supplementary_path", shape=len(line), initval=np.zeros(len(line)))
        arrays = fund_arrays(data)
        level = line + premium_change - _log_regained(arrays, drawn, share)[-len(line) :]
        apart = drawn["pandemic_sd"] * pm.Normal("fund_pandemic_unit", 0.0, 1.0, shape=len(PANDEMIC_YEARS))
        scalars = drawn | {
            "correlation": pm.Uniform("fund_correlation", -0.9, 0.9),
            # The accounts of 2014 and 2016 do not meet: about 2.7 bn was restated in between (declared break of 2015).
            "restated_2015": pm.Normal("fund_restated_2015", 0.0, 3.0),
            # Cost is known a year longer than income, through the budget: the base of that year is latent.
            "base_following": pm.Flat("fund_base_following", initval=0.0),
        }
        vectors = {
            "path": path,
            "profile": profile,
            "mix": draw_prior("fund", "category_mix", priors),
            "share": share,
            "booking": pm.Normal("fund_booking", 0.0, 1.0, shape=m),
            "supplementary_level": level,
            "apart": apart,
            # A year whose GDP is not final has a growth of its own to be learnt, common to cost and base.
            "growth_revision": pm.Normal("fund_growth_revision", 0.0, 1.0, shape=open_years),
        }
        quantities = pt.concatenate([pt.stack([scalars[name] for name in SCALARS]), *(vectors[k] for k in VECTORS)])
        density, _, log_base, cost_gap, base_gap = FundDensity()(quantities, *arrays)
        pm.Potential("evidence", density + path_volume + profile_volume)
        scales = StepScales(**{name: scalars[name] for name in StepScales.__dataclass_fields__})
        gaps = [pt.specify_shape(gap, n - 1) for gap in (cost_gap, base_gap)]
        name_drift_ends("fund", *gaps, scales, ends=(-1, -2))
        # The steps of cost that theories of its growth have to explain, and what they explain them by.
        growth = data.real_step[1:] + pt.dot(arrays.revision, vectors["growth_revision"])
        explained = scalars["income_elasticity"] * growth + scalars["cost_surprise"] * data.surprise[1:]
        pm.Deterministic("fund_cost_step", gaps[0] + explained + scalars["cost_drift"])
        pm.Deterministic("fund_base_gap", gaps[1])
        if data.years[-1] in PANDEMIC_YEARS:
            pm.Deterministic("fund_rebound", -apart[PANDEMIC_YEARS.index(int(data.years[-1]))])
        cost = pm.Deterministic("fund_cost", pt.exp(path[:n]))
        income = pm.Deterministic("fund_income", pt.exp(path[n:]))
        step = income - cost[:m] + scalars["restated_2015"] * (data.years[:m] == 2015)
        reserve = pm.Deterministic("fund_reserve", data.opening_reserve + pt.cumsum(step))
        for name, value in (
            ("log_profile", profile),
            ("log_cost_end", path[n - 1]),
            ("log_base_end", log_base[-1]),
            ("log_supplementary_end", level[-1]),
            ("reserve_end", reserve[-1]),
            ("size_median", pt.exp(drawn["log_size_median"])),
            ("part_time_median", pt.exp(drawn["log_part_time_median"])),
        ):
            pm.Deterministic(f"fund_{name}", value)
    return model


def _in_proportion(change: Any) -> tuple[Any, Any]:
    """Log of positive flows that move in proportion to ``change``, zero at zero, and the log volume of that map.

    A flow is near ``1 + change``, and bends away from zero only where the change takes nearly all of it.
    """
    grown = 1.0 + change
    root = pt.sqrt(grown**2 + BEND)
    return pt.log(grown + root) - np.log(1.0 + np.sqrt(1.0 + BEND)), -pt.log(root).sum()


def _log_regained(arrays: FundArrays, drawn: Mapping[str, Any], share: Any) -> Any:
    """About how much larger, in logs, the supplementary base was under the thresholds of its year, by year.

    The base is measured under today's thresholds, but what was collected under the old ones is what is known. At first
    nothing tells sizes of payments, and the base would bend with them steeply; the premium does not. So the premium is
    what is sampled. Any such shift leaves the density as it is: a rough share above a threshold will do.
    """

    def regained(kind: str, items: Array, years: Array, case: int) -> Any:
        now, before = (
            _log_normal_share((drawn[f"log_{kind}_median"] - threshold) / drawn[f"{kind}_spread"])
            for threshold in arrays.case_threshold[case : case + 2]
        )
        return pt.dot(share, items) * years * pt.expm1(before - now)

    return pt.log1p(
        regained("size", arrays.wide_items, arrays.wide_years, 0)
        + regained("part_time", arrays.part_items, arrays.part_years, 2)
    )


def _log_normal_share(deviation: Any) -> Any:
    """Log of the standard normal probability below a deviation, to a hundredth or two (Bowling and others, 2009)."""
    return -pt.softplus(-1.5976 * deviation - 0.070565966 * deviation**3)


def supplementary_line(data: FundData) -> Array:
    """Line that the log supplementary base is measured from: 2,000 bn in 2013 growing by 5% a year."""
    return np.log(2000.0) + 0.05 * np.arange(int((data.years[: data.n_income] >= 2013).sum()))


def path_geometry(data: FundData) -> tuple[Array, Array]:
    """Centre and scale of the latent log paths of cost and income: where the sampler starts and how it steps.

    A Gaussian smoother of the accounts alone (rough steps, flows linearised, iterated) gives them. It shapes the
    coordinates in which NUTS moves and leaves the model itself as it is.

    Returns
    -------
    tuple
        Centre, shape ``(cost years + income years,)``, and lower-triangular scale.
    """
    n, m = len(data.years), data.n_income
    growth = np.concatenate([data.gdp_step[1:], data.gdp_step[1:m] + np.diff(np.log(data.rate))])
    step = np.zeros((n + m - 2, n + m))
    for i in range(n - 1):
        step[i, i : i + 2] = -1.0, 1.0
    for i in range(m - 1):
        step[n - 1 + i, n + i : n + i + 2] = -1.0, 1.0
    first = np.zeros((2, n + m))
    first[0, 0] = first[1, n] = 1.0
    budget = np.zeros((len(data.budget.index), n + m))
    budget[np.arange(len(budget)), data.budget.index] = 1.0
    centre = np.concatenate([np.log(230.0) + 0.045 * np.arange(n), np.log(240.0) + 0.045 * np.arange(m)])
    for _ in range(20):
        flows = np.exp(centre)
        linear = data.accounts.matrix * flows
        rows = np.vstack([step, first, budget, linear])
        target = np.concatenate(
            [
                growth,
                np.log([230.0, 240.0]),
                np.log(data.budget.value) - 0.08,
                data.accounts.value - data.accounts.matrix @ flows + linear @ centre,
            ]
        )
        error = np.concatenate(
            [np.full(len(growth), 0.04), [0.1, 0.1], np.full(len(budget), 0.01), np.hypot(data.accounts.error, 0.3)]
        )
        precision = rows.T @ (rows / error[:, None] ** 2)
        centre = np.linalg.solve(precision, rows.T @ (target / error**2))
    return centre, np.linalg.cholesky(np.linalg.inv(precision))


def profile_geometry(data: FundData) -> tuple[Array, Array]:
    """Centre and scale of the log cost profile's coordinates, as :func:`path_geometry` for the paths."""
    n = len(AGE_GROUPS)
    sums = band_sums(data)
    values = np.array([band_value(data, name) for name in sums])
    steps = np.diff(np.eye(n), axis=0)
    centre = np.zeros(n)
    for _ in range(50):
        cost = np.exp(centre)
        rows, fitted = [], []
        for top, bottom in sums.values():
            fitted.append(np.log(top @ cost / (bottom @ cost)))
            rows.append(top * cost / (top @ cost) - bottom * cost / (bottom @ cost))
        system = np.vstack([steps / 0.35, np.full((1, n), 1.0 / n / 0.1), np.array(rows) / values[:, 1:]])
        target = np.concatenate([np.zeros(n), (values[:, 0] - fitted + np.array(rows) @ centre) / values[:, 1]])
        precision = system.T @ system
        centre = 0.5 * centre + 0.5 * np.linalg.solve(precision, system.T @ target)
    return centre, np.linalg.cholesky(np.linalg.inv(precision))


def fund_block(
    priors: Priors,
    place: str = "twn",
    last_year: int | None = None,
    theories: Mapping[str, Priors] | None = None,
) -> Block:
    """The block, data as known at the end of ``last_year``, priors and theories of cost growth bound."""
    data, others = fund_data(place, last_year), theories or {}
    check_priors({"fund": priors, **others})
    within = data.years[-1] in PANDEMIC_YEARS

    def under_theories(draws: Mapping[str, Array], seed: int) -> dict[str, Carried]:
        return carry_over(step_evidence(data, draws), priors, others, seed)

    return Block(
        "fund",
        lambda: fund_model(data, priors),
        (*KEEP, "fund_rebound") if within else KEEP,
        theories=under_theories if others else None,
        reads=READS,
        target_accept=TARGET_ACCEPT,
    )


def step_evidence(data: FundData, draws: Mapping[str, Array]) -> StepEvidence:
    """What a theory of cost growth has to explain, from draws of the posterior, draw first."""
    found = {name: np.asarray(draws[name], dtype=float) for name in READS}
    return StepEvidence(
        cost_step=found["fund_cost_step"],
        growth=data.real_step[1:] + found["fund_growth_revision"] @ growth_loadings(data).T,
        surprise=data.surprise[1:],
        base_gap=found["fund_base_gap"],
        base_sd=found["fund_base_sd"],
        base_drift_sd=found["fund_base_drift_sd"],
        correlation=found["fund_correlation"],
    )
