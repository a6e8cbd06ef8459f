"""Sampling one block with NUTS and judging the result: the gates of every fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph

from forecaster_models.settings import SamplingSettings

MAX_RHAT = 1.01
MIN_ESS = 400
MIN_EBFMI = 0.3


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
        Groups ``posterior``, every named quantity of the model, and ``sample_stats``.
    """

    def report(chains: list) -> None:  # type: ignore[type-arg]  # nutpie's progress records are untyped
        if progress is not None:
            progress(sum(c.finished_draws for c in chains) / max(1, sum(c.total_draws for c in chains)))

    with warnings.catch_warnings():
        # nutpie compiles through numba, which warns of its own cache on first use.
        warnings.simplefilter("ignore")
        # Only the density is compiled; what else the model names is evaluated from the draws.
        drawn = nutpie.sample(
            nutpie.compile_pymc_model(model, var_names=[]),
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            seed=seed,
            save_warmup=False,
            store_unconstrained=True,
            progress_bar=False,
            progress_callback=report,
            progress_rate=200,
            adaptation="low_rank",
            target_accept=settings.target_accept,
        )
    stats = drawn["sample_stats"].dataset
    values = named_quantities(model, stats["unconstrained_draw"].values)
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim - 2))), value)
            for name, value in values.items()
        }
    )
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats.drop_vars("unconstrained_draw")})


def named_quantities(model: pm.Model, points: np.ndarray) -> dict[str, np.ndarray]:
    """Free variables and deterministic quantities of a model at many points.

    One evaluation in NumPy over all points: nothing is compiled, and thousands of points take a fraction of a second.

    Parameters
    ----------
    points
        Unconstrained values in the order of ``model.free_RVs``, each variable's values in a row; shape
        ``(..., value)``.

    Returns
    -------
    dict
        Name to array of shape ``(..., *shape of the quantity)``.
    """
    variables = [model.rvs_to_values[variable] for variable in model.free_RVs]
    shapes = [tuple(np.shape(start)) for start in map(model.initial_point().__getitem__, (v.name for v in variables))]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    flat = points.reshape(-1, points.shape[-1])
    parts = np.split(flat, ends[:-1], axis=1)
    batches = [part.reshape(len(flat), *shape) for part, shape in zip(parts, shapes, strict=True)]
    wanted = [v for v in model.unobserved_value_vars if v not in set(variables) or v.name in model.named_vars]
    inputs = [
        pt.tensor(v.name, dtype=v.dtype, shape=(None, *shape)) for v, shape in zip(variables, shapes, strict=True)
    ]
    outputs = vectorize_graph(wanted, dict(zip(variables, inputs, strict=True)))
    evaluate = pytensor.function(inputs, outputs, mode=Mode(linker="py", optimizer=None), on_unused_input="ignore")
    found = zip(wanted, evaluate(*batches), strict=True)
    return {v.name: np.asarray(value).reshape(*points.shape[:-1], *np.shape(value)[1:]) for v, value in found}


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
