"""Sampling a kept fit again and holding the draws against each other: the long part of ``forecaster runs verify``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.cli.shared import error_console
from forecaster.errors import ForecasterError

if TYPE_CHECKING:
    import numpy as np

    from forecaster.pools import Pool
    from forecaster.store import Run, Store

# A mean may be off by so many of its Monte Carlo errors before two samples are taken to be of different posteriors.
LARGEST_SHIFT = 6.0
# What of a fit's manifest decides its draws.
_DECIDES = ("seed", "quick", "settings", "inputs", "versions")


def refitted(store: Store, run: Run) -> dict[str, Any]:
    """Sample a kept fit again, from the same priors, settings and seed, and compare every variable of its posterior.

    Returns
    -------
    dict
        ``inputs`` that differ today (code, figures, versions); ``variables`` and of them ``equal`` draw by draw;
        ``shift``: the largest difference of two means, in standard deviations, and ``errors``: in Monte Carlo errors of
        that difference, ``variable``: whose; ``faults``: given when equal inputs gave another posterior; ``words``.

    Raises
    ------
    ForecasterError
        When the run is no fit, or its pool is neither kept with it nor shipped.
    """
    from forecaster.cli.runs import differing
    from forecaster_models.fit import fit_pool

    if run.kind != "fit":
        raise ForecasterError(f"run {run.short} is a {run.kind}; --refit samples a fit again: name the fit")
    with tempfile.TemporaryDirectory(prefix="forecaster-") as made:
        root = Path(made)
        pool, priors = _pool(store, run, root / run.pool)
        with error_console().status("sampling again, which takes minutes ..."):
            manifest = fit_pool(
                pool,
                out=root / "again",
                priors=priors,
                quick=bool(run.manifest["quick"]),
                seed=int(run.manifest["seed"]),
            )
        old = _posterior(store.read(run, "posterior.nc"))
        new = _posterior((root / "again" / pool.name / "posterior.nc").read_bytes())
    decided = ({key: content[key] for key in _DECIDES} for content in (run.manifest, manifest))
    found = compared(old, new, _least_ess(run.manifest), _least_ess(manifest))
    inputs = differing(*decided)
    return {"inputs": inputs, **found, **_judged(run.short, inputs, found)}


def _pool(store: Store, run: Run, folder: Path) -> tuple[Pool, Path | None]:
    """The pool as it was kept, or the shipped one, and the user's own priors if the fit had any."""
    from forecaster.fitted import OWN_PRIORS
    from forecaster.pools import POOL_FILE, find_pool, pool_names

    folder.mkdir()
    store.write_files(run, folder)
    priors = folder / OWN_PRIORS
    if POOL_FILE not in run.files and run.pool not in pool_names():
        raise ForecasterError(f"run {run.short}: its pool {run.pool} is neither kept with it nor shipped")
    pool = find_pool(folder if POOL_FILE in run.files else run.pool)
    return pool, priors if priors.is_file() else None


def _posterior(content: bytes) -> dict[str, np.ndarray]:
    import io

    import xarray as xr

    with xr.open_dataset(io.BytesIO(content), engine="scipy") as stored:
        return {str(name): variable.values for name, variable in stored.load().data_vars.items()}


def _least_ess(manifest: Mapping[str, Any]) -> float:
    return float(min(block["min_ess_bulk"] for block in manifest["blocks"].values()))


def compared(
    old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], old_ess: float, new_ess: float
) -> dict[str, Any]:
    """Two posteriors, draw first, variable by variable.

    Parameters
    ----------
    old_ess, new_ess
        Least effective sample size of any variable; a mean's Monte Carlo error is at most sd / sqrt(ess).
    """
    import numpy as np

    both = [name for name in old if name in new and old[name].shape[1:] == new[name].shape[1:]]
    equal = [name for name in both if np.array_equal(old[name], new[name])]
    largest, whose = 0.0, ""
    for name in set(both) - set(equal):
        spread = old[name].std(axis=0)
        gap = np.abs(new[name].mean(axis=0) - old[name].mean(axis=0))
        shift = float(
            np.max(np.where(spread > 0.0, gap / np.where(spread > 0.0, spread, 1.0), np.where(gap > 0, 1e9, 0)))
        )
        if shift > largest:
            largest, whose = shift, name
    return {
        "variables": len(both),
        "equal": len(equal),
        "lacking": sorted({*old, *new} - set(both)),
        "shift": largest,
        "errors": largest / float(np.sqrt(1.0 / old_ess + 1.0 / new_ess)),
        "variable": whose,
    }


def _judged(name: str, inputs: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    if not inputs and found["equal"] == found["variables"] and not found["lacking"]:
        words = f"Sampled again from the same: all {found['variables']} variables of the posterior equal, draw by draw."
        return {"faults": [], "words": words}
    told = (
        f"{found['equal']} of {found['variables']} variables equal draw by draw; the mean of {found['variable']} is "
        f"furthest off, by {found['shift']:.2g} of its standard deviation or {found['errors']:.1f} Monte Carlo errors"
    )
    if found["lacking"]:
        told += f"; only in one of both: {', '.join(found['lacking'])}"
    if inputs:
        return {
            "faults": [],
            "words": f"Sampled again, but not from the same: {', '.join(sorted(inputs))} differ. {told}.",
        }
    if found["errors"] > LARGEST_SHIFT or found["lacking"]:
        return {"faults": [f"run {name}: sampled again from the same, another posterior came. {told}"], "words": told}
    return {
        "faults": [],
        "words": f"Sampled again from the same, on another machine it seems: {told}, as chance has it.",
    }
