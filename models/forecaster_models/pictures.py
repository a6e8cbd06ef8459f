"""Pictures of a stored fit through ArviZ: chains, ranks, priors beside posteriors, and data made by the fit.

A stored fit keeps its chains one after the other, thinned evenly, so its draws are laid out as chains again. Scalars
that have a prior are shown. What the fit would have made of each past year from the year before it is shown for the
series that a block steps from year to year: total fertility, net migration and the gap of the sexes' mortality.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from forecaster.demography.patterns import fertility_history, migration_history, mortality_history
from forecaster.demography.tables import load_wpp
from forecaster.errors import ForecasterError
from forecaster.fitted import Fit
from forecaster_models.checks import marginals
from forecaster_models.fit import BLOCKS, pool_priors

Array = np.ndarray

# Draws of the prior beside the posterior's, and made-up histories drawn into one picture.
PRIOR_DRAWS, HISTORIES = 4000, 100
COLUMNS = 4


def draw_pictures(fit: Fit, folder: Path, progress: Callable[[float, str], None] | None = None) -> list[Path]:
    """Write PNG pictures of a fit, ``BLOCK_trace``, ``BLOCK_rank``, ``BLOCK_prior_posterior``, ``SERIES_predictive``.

    Parameters
    ----------
    folder
        Made if missing; pictures of the same names are replaced.
    progress
        Called with the share done and the name of the picture.

    Returns
    -------
    list
        The files, in the order in which they were written.

    Raises
    ------
    ForecasterError
        When the draws cannot be laid out as the chains that the manifest names.
    """
    import arviz as az
    import matplotlib

    # No window: pictures are files.
    matplotlib.use("Agg")
    from matplotlib import pyplot

    tree = {name: block_tree(fit, name) for name in BLOCKS[fit.pool.model]}
    jobs: list[tuple[str, Callable[..., Any], xr.DataTree]] = [
        (f"{name}_{kind}", plot, own)
        for name, own in tree.items()
        for kind, plot in (
            ("trace", az.plot_trace),
            ("rank", az.plot_rank),
            ("prior_posterior", az.plot_prior_posterior),
        )
    ]
    jobs += [(f"{name}_predictive", az.plot_ppc_dist, own) for name, own in predictive_trees(fit).items()]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for i, (name, plot, own) in enumerate(jobs):
        if progress is not None:
            progress(i / len(jobs), name)
        more = {"num_samples": HISTORIES} if plot is az.plot_ppc_dist else {}
        with warnings.catch_warnings(), matplotlib.rc_context({"figure.constrained_layout.use": True}):
            # The plotting libraries warn of one another's coming changes.
            warnings.simplefilter("ignore")
            picture = plot(own, backend="matplotlib", **sized(own), **more)
            picture.savefig(folder / f"{name}.png")
        pyplot.close("all")
        written.append(folder / f"{name}.png")
    return written


def block_tree(fit: Fit, block: str) -> xr.DataTree:
    """Scalars of a block that have a prior: groups ``posterior`` and ``prior``, both ``(chain, draw)``."""
    chains = int(fit.manifest["settings"]["chains"])
    rng = np.random.default_rng([int(fit.manifest["seed"]), *block.encode()])
    posterior, before = {}, {}
    for name, prior in pool_priors(fit.pool, fit.priors)[block].items():
        drawn = fit.posterior.get(f"{block}_{name}")
        own = marginals(prior)
        if drawn is None or drawn.ndim != 1 or len(own) != 1:
            continue
        posterior[name] = as_chains(drawn, chains, fit.pool.name)
        before[name] = as_chains(own[0].rvs(PRIOR_DRAWS, random_state=rng), chains, fit.pool.name)
    return xr.DataTree.from_dict({"posterior": xr.Dataset(posterior), "prior": xr.Dataset(before)})


def sized(tree: xr.DataTree) -> dict[str, Any]:
    """Layout of a picture: four variables a row, three inches high each, so that no title lies on another's axis."""
    rows = -(-len(next(iter(tree.children.values())).data_vars) // COLUMNS)
    return {"col_wrap": COLUMNS, "figure_kwargs": {"figsize": (4 * COLUMNS, 3 * rows), "figsize_units": "inches"}}


def as_chains(draws: Array, chains: int, pool: str) -> xr.DataArray:
    """Draws kept one chain after the other, as ``(chain, draw, ...)``."""
    if len(draws) % chains:
        raise ForecasterError(
            f"the fit of {pool} holds {len(draws)} draws, which are not {chains} chains of one length; fit again"
        )
    values = np.asarray(draws, dtype=float).reshape(chains, -1, *draws.shape[1:])
    axes = ("chain", "draw", *(f"step_{i}" for i in range(values.ndim - 2)))
    # Without labels the plots take every draw for a variable of its own.
    return xr.DataArray(values, dims=axes, coords={"chain": np.arange(chains), "draw": np.arange(values.shape[1])})


def predictive_trees(fit: Fit) -> dict[str, xr.DataTree]:
    """Past years as the fit would have made each from the year before, beside what was, by series."""
    tables = load_wpp(fit.pool.people)
    draws = {name: np.asarray(values, dtype=float) for name, values in fit.posterior.items() if values.ndim == 1}
    rng = np.random.default_rng([int(fit.manifest["seed"]), *b"predictive"])
    series = {
        "total_fertility": ("fertility", fertility_history(tables).log_tfr),
        "net_migration": ("migration", migration_history(tables).rate),
        "mortality_gap": ("mortality_gap", mortality_history(tables).gap),
    }
    chains = int(fit.manifest["settings"]["chains"])
    found = {}
    for name, (prefix, values) in series.items():
        made = one_step(draws, prefix, values, rng)
        tree = {"posterior_predictive": xr.Dataset({name: as_chains(made, chains, fit.pool.name)})}
        tree["observed_data"] = xr.Dataset({name: (("step_0",), values[1:])})
        found[name] = xr.DataTree.from_dict(tree)
    return found


def one_step(draws: Mapping[str, Array], prefix: str, values: Array, rng: np.random.Generator) -> Array:
    """AR(1) steps from every observed year to the next, ``(draw, year)``; heavy tails where the block has them."""
    mean, rho, sd = (draws[f"{prefix}_{name}"][:, None] for name in ("mean", "rho", "sd"))
    shape = (len(mean), len(values) - 1)
    nu = draws.get(f"{prefix}_nu")
    shocks = rng.standard_normal(shape) if nu is None else rng.standard_t(nu[:, None], shape)
    made: Array = mean + rho * (values[:-1] - mean) + sd * shocks
    return made
