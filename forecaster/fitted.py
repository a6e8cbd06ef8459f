"""Stored fits: the posterior that the models left, its manifest, and the basis made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.basis import Basis
from forecaster.errors import ForecasterError
from forecaster.futures import simulate_basis
from forecaster.observations import observation_hash
from forecaster.policy import Policy
from forecaster.resources import data_dir
from forecaster.schemes import load_scheme

if TYPE_CHECKING:
    import pandas as pd

# Pools that can be fitted: place, scheme of the forecast, first projected year.
POOLS: dict[str, tuple[str, str, int]] = {"tw_nhi": ("twn", "tw_nhi_2g", 2026)}
HISTORY_COLUMNS = ("line", "year", "mean", "q2.5", "q10", "q25", "q50", "q75", "q90", "q97.5", "unit", "kind", "source")


@dataclass(frozen=True)
class Fit:
    """A fit as stored.

    Attributes
    ----------
    pool, place
        Name of the pool and of its place.
    manifest
        What made it: hashes of data, schemes, priors and model code, seed, settings, versions, verdict by block,
        ``hash``.
    history
        Income, outgo and reserve by year, columns :data:`HISTORY_COLUMNS`, TWD bn nominal. Rows of kind ``published``
        hold the sourced figure itself, rows of kind ``estimated`` the posterior of a year without one.
    folder
        Where it lies.
    """

    pool: str
    place: str
    manifest: dict[str, Any]
    history: pd.DataFrame
    folder: Path

    @cached_property
    def posterior(self) -> dict[str, np.ndarray]:
        """Kept variables of all blocks, draw first."""
        import xarray as xr

        with xr.open_dataset(self.folder / "posterior.nc", engine="scipy") as stored:
            return {str(name): variable.values for name, variable in stored.load().data_vars.items()}

    def basis(self, horizon: int, draws: int | None = None) -> Basis:
        """Basis simulated from the posterior: same fit, same horizon or a longer one, same draws."""
        _, scheme, first_year = POOLS[self.pool]
        posterior = self.posterior
        if draws is not None:
            available = len(posterior["fund_reserve_end"])
            if not 1 <= draws <= available:
                raise ForecasterError(f"{draws} draws wanted; the fit of {self.pool} holds 1 to {available}")
            posterior = {name: value[:draws] for name, value in posterior.items()}
        return simulate_basis(
            posterior,
            self.place,
            Policy(load_scheme(scheme)),
            first_year=first_year,
            horizon=horizon,
            seed=int(self.manifest["seed"]),
            label=f"{self.pool}, fit {self.manifest['hash'][:12]}",
        )


def pool_of(name: str) -> str:
    """Pool of a pool's or a scheme's name.

    Raises
    ------
    ForecasterError
        When there is no such pool or scheme.
    """
    pool = name if name in POOLS else load_scheme(name).pool
    if pool not in POOLS:
        raise ForecasterError(f"no pool {pool!r} can be fitted; there are: {', '.join(POOLS)}")
    return pool


def load_fit(pool: str, root: Path | None = None) -> Fit:
    """Read a stored fit.

    Parameters
    ----------
    pool
        Name of the pool.
    root
        Folder that holds a folder per pool; the shipped one by default.

    Raises
    ------
    ForecasterError
        When it is missing, damaged, or was rejected by the gates: a rejected fit is no baseline.
    """
    import pandas as pd

    folder = (root or data_dir() / "fitted") / pool
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        content = (folder / "posterior.nc").read_bytes()
        history = pd.read_csv(folder / "history.csv", keep_default_na=False, na_values=[""])
    except (OSError, json.JSONDecodeError) as error:
        reason = (
            f"no whole fit of {pool} in {folder.name}: {type(error).__name__}; make one with: forecaster fit {pool}"
        )
        raise ForecasterError(reason) from None
    if hashlib.sha256(content).hexdigest() != manifest["posterior_sha256"]:
        raise ForecasterError(f"the posterior of {pool} does not match its manifest; fit again: forecaster fit {pool}")
    if not manifest["accepted"]:
        reasons = "; ".join(
            f"{name}: {', '.join(b['reasons'])}" for name, b in manifest["blocks"].items() if b["reasons"]
        )
        raise ForecasterError(
            f"the fit of {pool} was rejected and is no baseline ({reasons}); fit again, without --quick"
        )
    return Fit(pool, POOLS[pool][0], manifest, history, folder)


def reference_basis(pool: str, horizon: int = 2060, draws: int | None = None) -> Basis:
    """Basis of the shipped fit of a pool, from the first projected year to ``horizon``."""
    return load_fit(pool).basis(horizon, draws)


def input_hashes(place: str, scheme_ids: Iterable[str], code: Iterable[Path]) -> dict[str, str]:
    """Hashes of everything a fit depends on; a stored fit whose hashes differ is stale.

    Parameters
    ----------
    place
        Place of the observed tables.
    scheme_ids
        Schemes whose law the fit read.
    code
        Source files of the models.
    """
    folder = data_dir()

    def files(paths: Iterable[Path]) -> str:
        digest = hashlib.sha256()
        for path in sorted(paths, key=lambda p: p.name):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    return {
        "observations": observation_hash(place),
        "demography": files((folder / "demography").glob("*.parquet")),
        "priors": files((folder / "priors").glob("*.toml")),
        "schemes": files(folder / "schemes" / f"{name}.toml" for name in scheme_ids),
        "models": files(code),
    }
