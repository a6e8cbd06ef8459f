"""Sampling one block with NUTS and judging the result: the gates of every fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import xarray as xr

MAX_RHAT = 1.01
MIN_ESS = 400
MIN_EBFMI = 0.3


@dataclass(frozen=True)
class SamplingSettings:
    """How many chains and draws; ``cores`` chains run side by side."""

    draws: int = 2000
    tune: int = 1500
    chains: int = 4
    cores: int = 2
    target_accept: float = 0.98


FULL = SamplingSettings()
QUICK = SamplingSettings(draws=1000, tune=800, target_accept=0.95)


@dataclass(frozen=True)
class Verdict:
    """Whether a block's draws may be used, with the figures that decide and, if not, the reasons in plain words."""

    accepted: bool
    reasons: tuple[str, ...]
    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    min_ebfmi: float

    def as_dict(self) -> dict[str, object]:
        """For the manifest."""
        return asdict(self)


def sample_block(
    model: pm.Model,
    settings: SamplingSettings,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> xr.DataTree:
    """Draw from a block's posterior with nutpie (NUTS, low-rank mass matrix).

    Parameters
    ----------
    progress
        Called now and then with the share of draws done, 0 to 1.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``.
    """

    def report(chains: list) -> None:  # type: ignore[type-arg]  # nutpie's progress records are untyped
        if progress is not None:
            progress(sum(c.finished_draws for c in chains) / max(1, sum(c.total_draws for c in chains)))

    with warnings.catch_warnings():
        # nutpie compiles through numba, which warns of its own cache on first use.
        warnings.simplefilter("ignore")
        return nutpie.sample(
            nutpie.compile_pymc_model(model),
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            seed=seed,
            save_warmup=False,
            progress_bar=False,
            progress_callback=report,
            progress_rate=200,
            adaptation="low_rank",
            target_accept=settings.target_accept,
        )


def judge(result: xr.DataTree) -> Verdict:
    """Apply the gates: r-hat at most 1.01, bulk and tail ESS at least 400, no divergence, E-BFMI above 0.3."""
    posterior, stats = result["posterior"].dataset, result["sample_stats"].dataset

    def extreme(summary: xr.Dataset, pick: Callable[..., float]) -> float:
        return float(pick([float(pick(np.asarray(summary[name]))) for name in summary.data_vars]))

    rhat = extreme(az.rhat(posterior), np.nanmax)
    bulk = extreme(az.ess(posterior, method="bulk"), np.nanmin)
    tail = extreme(az.ess(posterior, method="tail"), np.nanmin)
    divergences = int(stats["diverging"].sum())
    energy = np.asarray(stats["energy"])
    ebfmi = float((np.diff(energy, axis=1) ** 2).mean(axis=1).min() / energy.var(axis=1).max())
    reasons = []
    if not rhat <= MAX_RHAT:
        reasons.append(f"the chains disagree (r-hat {rhat:.3f}, at most {MAX_RHAT} wanted): more draws or tuning steps")
    if not min(bulk, tail) >= MIN_ESS:
        reasons.append(f"too few effective draws ({min(bulk, tail):.0f}, at least {MIN_ESS} wanted): more draws")
    if divergences:
        reasons.append(f"{divergences} divergent steps: raise target_accept, or tighten a prior that makes a funnel")
    if not ebfmi > MIN_EBFMI:
        reasons.append(
            f"energy moves too slowly (E-BFMI {ebfmi:.2f}, above {MIN_EBFMI} wanted): reparametrise the block"
        )
    return Verdict(not reasons, tuple(reasons), rhat, bulk, tail, divergences, ebfmi)
