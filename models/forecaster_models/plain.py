"""A plain pool: yearly income, outgo, reserve and rate, nothing else. Gaps are latent, the reserve is evidence.

All paths are Gaussian given seven scales and correlations, so they are integrated out: NUTS moves in seven dimensions,
and the states that the future starts from are drawn from their conditional law.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from forecaster.pool_accounts import TOLERANCE, Accounts
from forecaster.pools import Break
from forecaster_models.blocks import Block
from forecaster_models.plain_paths import (
    LASTING,
    LINEAR,
    LinearSystem,
    PlainData,
    Weights,
    break_states,
    coefficients,
    evidence,
    linear_system,
    plain_data,
    prior_of,
    reserve_terms,
    state_names,
)
from forecaster_models.plain_weights import robust_weights, standing_apart
from forecaster_models.priors import Priors, draw_scalars

Array = np.ndarray

KEEP = (
    "plain_log_cost_end",
    "plain_log_base_end",
    "plain_cost_drift_end",
    "plain_base_drift_end",
    *(f"plain_{name}" for name in LASTING),
    "plain_cost_drift_sd",
    "plain_base_drift_sd",
    "plain_drift_correlation",
    "plain_correlation",
    "plain_cost_sd",
    "plain_base_sd",
    "plain_noise_sd",
)


def plain_model(data: PlainData, priors: Priors, weights: Weights) -> pm.Model:
    r"""Joint model of outgo and contribution base.

    .. math::
        \Delta \log C_t &= \Delta \log P_t + a\,\Delta \log (D_t / P_t) + g + c + u_t + \sigma_C\,\epsilon_t \\
        \Delta \log B_t &= \Delta \log W_t + g + b + v_t + \sigma_B\,\zeta_t \\
        u_t &= \rho^t u_0 + \tau_C\,z_t, \qquad v_t = \rho^t v_0 + \tau_B\,z'_t, \qquad \rho = 0.9

    *P* persons, *W* persons of 20 to 64, *D* persons by the cost of their age (assumed profile); *z* and *z'*
    stationary AR(1) of unit variance; :math:`\epsilon` and :math:`\zeta`, *z* and *z'* correlated. A booked flow is its
    path times :math:`e^{\nu}`. Shocks and :math:`\nu` are heavy-tailed: normal with the variance divided by a weight of
    the year, small where it stands apart (:func:`forecaster_models.plain_weights.robust_weights`). Income is rate times
    base. Where a flow is missing, the change of the reserve is evidence of it.
    """
    prior, seen = prior_of(data, priors, weights), evidence(data, weights)
    wanted = _wanted(data)
    with pm.Model(check_bounds=False) as model:
        drawn = draw_scalars("plain", {name: value for name, value in priors.items() if name not in LINEAR})
        scales = drawn | {"correlation": pm.Deterministic("plain_correlation", 2.0 * drawn["shock_correlation"] - 1.0)}
        by_scale = pt.stack([*coefficients(scales), drawn["noise_sd"] ** 2])
        system = linear_system(prior, seen, _wanted(data))
        pm.Potential("figures", _LogDensity(system)(by_scale)[0])
        unit = pm.Normal("plain_state_units", 0.0, 1.0, shape=len(wanted))
        states = _States(system)(by_scale, unit)
        at = {int(state): i for i, state in enumerate(wanted)}
        for name, state in _handed_on(data).items():
            pm.Deterministic(f"plain_{name}", states[at[state]])
        _missing(data, states, at)
    return model


class _LogDensity(Op):
    """Log density of the figures and its slope by every coefficient.

    An operation of its own, in NumPy: written out as a graph its factorisations compile for minutes.
    """

    __props__ = ()

    def __init__(self, system: LinearSystem):
        self.system = system

    def make_node(self, by_scale: Any) -> Apply:
        return Apply(self, [pt.as_tensor(by_scale)], [pt.dscalar(), pt.dvector()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        density, slope = self.system.log_density(inputs[0])
        output_storage[0][0], output_storage[1][0] = np.asarray(density), slope

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        return [cotangents[0] * outputs[1]]


class _States(Op):
    """The states that are handed on, from their law given the figures and independent standard normals."""

    __props__ = ()

    def __init__(self, system: LinearSystem):
        self.system = system

    def make_node(self, by_scale: Any, unit: Any) -> Apply:
        return Apply(self, [pt.as_tensor(by_scale), pt.as_tensor(unit)], [pt.dvector()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        output_storage[0][0] = self.system.states(inputs[0], inputs[1])


def _handed_on(data: PlainData) -> dict[str, int]:
    """States that the future starts from, by name."""
    cost, base, cost_drift, base_drift, lasting = state_names(data)
    ends = {"log_cost_end": cost, "log_base_end": base, "cost_drift_end": cost_drift, "base_drift_end": base_drift}
    return {name: rows.stop - 1 for name, rows in ends.items()} | lasting


def _wanted(data: PlainData) -> Array:
    """States that are drawn: what is handed on, the paths where no flow is known as it was, and the breaks."""
    breaks = break_states(data)
    handed = [*_handed_on(data).values(), *range(breaks.start, breaks.stop)]
    return np.union1d(_unknown(data), handed).astype(int)


def _unknown(data: PlainData) -> Array:
    """Flows, outgo first, of which no figure is known or only an estimate that may be off."""
    estimated = (data.footing != data.reserve_footing).any(axis=0)
    return np.flatnonzero(np.isnan(data.log_flows) | estimated)


def _missing(data: PlainData, states: Any, at: Mapping[int, int]) -> None:
    """Flows and reserves of the years without one; such a reserve follows from the nearest known one."""
    accounts, n = data.accounts, len(data.accounts.years)
    per_base = np.concatenate([np.zeros(n), data.log_per_base])
    gaps = _unknown(data)
    flows: Any = np.exp(np.nan_to_num(data.log_flows) + per_base)
    if gaps.size:
        breaks = break_states(data)
        drawn = states[[at[int(gap)] for gap in gaps]]
        if data.breaks:
            drawn = drawn + pt.dot(
                data.reserve_footing.T[gaps], states[[at[i] for i in range(breaks.start, breaks.stop)]]
            )
        drawn = pt.exp(drawn + per_base[gaps])
        keep = np.ones(2 * n)
        keep[gaps] = 0.0
        flows = keep * flows + pt.dot(np.eye(2 * n)[:, gaps], drawn)
        missing = np.isnan(data.log_flows)[gaps]
        for name, rows in (("outgo", missing & (gaps < n)), ("income", missing & (gaps >= n))):
            if rows.any():
                pm.Deterministic(f"plain_{name}", drawn[np.flatnonzero(rows)])
    open_years = np.flatnonzero(np.isnan(accounts.reserve))
    if not open_years.size:
        return
    constant, matrix = reserve_terms(accounts.reserve, accounts.adjustment)
    error = TOLERANCE * np.nanmedian(accounts.outgo) * np.sqrt(np.abs(matrix[open_years]).sum(axis=1))
    unit = pm.Normal("plain_reserve_units", 0.0, 1.0, shape=len(open_years))
    reserve = constant[open_years] + pt.dot(matrix[open_years], flows[n:] - flows[:n]) + error * unit
    pm.Deterministic("plain_reserve", reserve)
    if open_years[-1] == n - 1:
        pm.Deterministic("plain_reserve_end", reserve[-1])


def plain_block(
    accounts: Accounts,
    place: str,
    priors: Priors,
    other_income_share: float = 0.0,
    people: Array | None = None,
    breaks: tuple[Break, ...] = (),
) -> Block:
    """The block, data and priors bound; arguments as in :func:`forecaster_models.plain_paths.plain_data`."""
    data = plain_data(accounts, place, other_income_share, people, breaks)
    weights = robust_weights(data, priors)
    keep = KEEP if np.isfinite(accounts.reserve[-1]) else (*KEEP, "plain_reserve_end")
    return Block(
        "plain", partial(plain_model, data, priors, weights), keep, LINEAR, apart=standing_apart(data, weights)
    )
