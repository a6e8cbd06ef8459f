"""Economy: real growth per person of working age and inflation, mean-reverting around slowly moving means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from forecaster.demography.patterns import PANDEMIC_YEARS
from forecaster.demography.tables import VINTAGE
from forecaster.futures import ECONOMY_NU, MEAN_PERSISTENCE, macro_steps
from forecaster_models.blocks import Block
from forecaster_models.priors import Priors, draw_prior

Array = np.ndarray

FIRST_YEAR = 1995


@dataclass(frozen=True)
class EconomyData:
    """Yearly log changes.

    Attributes
    ----------
    years
        Observed years, then the years of the published outlook.
    growth
        Real GDP per person aged 20-64, log change a year, shape ``(n_observed,)``.
    inflation
        GDP deflator, log change a year, ``(n_observed,)``.
    outlook_growth, outlook_inflation
        The same from the IMF's outlook of October 2025, ``(n_outlook,)``; empty when it is switched off.
    """

    years: Array
    growth: Array
    inflation: Array
    outlook_growth: Array
    outlook_inflation: Array


def economy_data(place: str, *, last_year: int = 2024, outlook: bool = True, vintage: str = VINTAGE) -> EconomyData:
    """Real growth per person of working age and deflator inflation from the place's tables."""
    macro = macro_steps(place, vintage)
    seen = (macro.years >= FIRST_YEAR) & (macro.years <= last_year)
    ahead = (macro.years > last_year) & outlook
    return EconomyData(
        years=macro.years[seen | ahead],
        growth=macro.per_worker[seen],
        inflation=macro.price[seen],
        outlook_growth=macro.per_worker[ahead],
        outlook_inflation=macro.price[ahead],
    )


def economy_model(data: EconomyData, priors: Priors) -> pm.Model:
    r"""Two series, each around a mean that itself returns slowly to a long-run level.

    .. math::
        \mu_t &= m + \rho\,(\mu_{t-1} - m) + \tau\,\eta_t, \quad \rho = 0.95 \\
        g_t - \mu_t &= \phi\,(g_{t-1} - \mu_{t-1}) + \sigma\,\epsilon_t, \quad \epsilon_t \sim t_5

    Inflation likewise, its shock also loading on growth's. The published outlook is read as a noisy measurement of the
    mean of its year.

    A pandemic is shock and rebound, not trend: in its years output stands off its course by a share of its own,

    .. math::
        g_t = \text{observed growth}_t - (s_t - s_{t-1}), \quad s_t \sim N(0, \sigma_s) \text{ in 2020-2022, else } 0

    so what is lost in one year comes back in another. Where the data end within them, ``economy_rebound`` is what
    comes back in the first year ahead.
    """
    n_seen = len(data.years) - len(data.outlook_growth)
    pandemic = np.flatnonzero(np.isin(data.years[:n_seen], PANDEMIC_YEARS))
    with pm.Model(check_bounds=False) as model:
        means, shocks, gaps = {}, {}, {}
        growth = data.growth
        if len(pandemic):
            apart = draw_prior("economy", "pandemic_sd", priors) * pm.Normal(
                "economy_pandemic_unit", 0.0, 1.0, shape=len(pandemic)
            )
            level = np.eye(n_seen)[:, pandemic]
            growth = growth - pt.dot(np.diff(level, axis=0, prepend=np.zeros((1, len(pandemic)))), apart)
            if pandemic[-1] == n_seen - 1:
                pm.Deterministic("economy_rebound", -apart[-1])
        for name, series in (("growth", growth), ("inflation", data.inflation)):
            own = {key.removeprefix(f"{name}_"): value for key, value in priors.items() if key.startswith(f"{name}_")}
            long_run, mean_sd, sd, phi = (
                draw_prior(f"economy_{name}", k, own) for k in ("mean", "mean_sd", "sd", "phi")
            )
            start = draw_prior(f"economy_{name}", "start", own)
            steps = pm.Normal(f"economy_{name}_steps", 0.0, 1.0, shape=len(data.years) - 1)
            mean = _returning(start, long_run, mean_sd * steps)
            means[name] = pm.Deterministic(f"economy_{name}_path", mean)
            gap = gaps[name] = series - mean[:n_seen]
            shocks[name] = (gap[1:] - phi * gap[:-1], sd)
        loading = draw_prior("economy", "inflation_loading", priors)
        growth_shock, growth_sd = shocks["growth"]
        inflation_shock, inflation_sd = shocks["inflation"]
        zeros = np.zeros(n_seen - 1)
        pm.StudentT("growth_seen", nu=ECONOMY_NU, mu=growth_shock, sigma=growth_sd, observed=zeros)
        pm.StudentT(
            "inflation_seen",
            nu=ECONOMY_NU,
            mu=inflation_shock - loading * growth_shock,
            sigma=inflation_sd,
            observed=zeros,
        )
        if len(data.outlook_growth):
            error = draw_prior("economy", "outlook_error", priors)
            for name, series in (("growth", data.outlook_growth), ("inflation", data.outlook_inflation)):
                pm.Normal(f"{name}_outlook", means[name][n_seen:], error, observed=series)
        for name in ("growth", "inflation"):
            pm.Deterministic(f"economy_{name}_last_gap", gaps[name][-1])
            pm.Deterministic(f"economy_{name}_ahead", means[name][n_seen - 1 :])
    return model


def _returning(start: pt.TensorVariable, long_run: pt.TensorVariable, steps: pt.TensorVariable) -> pt.TensorVariable:
    """Path of an AR(1) mean as one matrix product: ``m + rho^k (start - m) + sum of rho^(k-j) steps``."""
    n = int(steps.type.shape[0])
    lag = np.arange(n + 1)[:, None] - np.arange(1, n + 1)[None, :]
    powers = np.where(lag >= 0, MEAN_PERSISTENCE ** np.maximum(lag, 0), 0.0)
    decay = MEAN_PERSISTENCE ** np.arange(n + 1)
    return long_run + decay * (start - long_run) + pt.dot(powers, steps)


KEEP = (
    *(f"economy_{name}_{item}" for name in ("growth", "inflation") for item in ("mean", "mean_sd", "sd", "phi")),
    *(f"economy_{name}_{item}" for name in ("growth", "inflation") for item in ("last_gap", "ahead")),
    "economy_inflation_loading",
)


def economy_block(
    place: str, priors: Priors, *, last_year: int = 2024, outlook: bool = True, vintage: str = VINTAGE
) -> Block:
    """The block for a place, data and priors bound."""
    data = economy_data(place, last_year=last_year, outlook=outlook, vintage=vintage)
    within = last_year in PANDEMIC_YEARS
    return Block("economy", lambda: economy_model(data, priors), (*KEEP, "economy_rebound") if within else KEEP)
