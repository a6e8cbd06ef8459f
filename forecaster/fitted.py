"""Stored fits: the posterior that the models left, its manifest, and the basis made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.basis import Basis
from forecaster.certificate import read_record
from forecaster.demography.tables import VINTAGE, population_origin
from forecaster.errors import ForecasterError
from forecaster.futures import simulate_basis
from forecaster.members import members_ahead
from forecaster.need import SpendingOptions
from forecaster.observations import load_observations, observation_hash
from forecaster.plain_futures import plain_notes, simulate_plain_basis
from forecaster.policy import Policy
from forecaster.pools import ACCOUNTS_FILE, Pool, find_pool, known_accounts
from forecaster.resources import data_dir
from forecaster.schemes import scheme_path
from forecaster.theories import OPEN, Weighting, averaged, parted, weighting

if TYPE_CHECKING:
    import pandas as pd

HISTORY_COLUMNS = ("line", "year", "mean", "q2.5", "q10", "q25", "q50", "q75", "q90", "q97.5", "unit", "kind", "source")
# Files of default priors by model, and the name under which a fit keeps the user's own.
PRIOR_FILES = {"nhi": ("demography", "economy", "fund", "theories"), "plain": ("demography", "plain")}
OWN_PRIORS = "priors.toml"
# Published series of the history's lines.
PUBLISHED = {"outgo": "cost", "income": "revenue", "reserve": "reserve_end"}


@dataclass(frozen=True)
class Fit:
    """A fit as stored.

    Attributes
    ----------
    pool
        The pool.
    manifest
        What made it: hashes of data, schemes, priors and model code, seed, settings, versions, verdict by block,
        ``hash``.
    history
        Income, outgo and reserve by year, columns :data:`HISTORY_COLUMNS`, nominal, in the pool's money. Rows of kind
        ``published`` hold the sourced figure itself, rows of kind ``estimated`` the posterior of a year without one.
    folder
        Where it lies.
    """

    pool: Pool
    manifest: dict[str, Any]
    history: pd.DataFrame
    folder: Path

    @property
    def priors(self) -> Path | None:
        """The user's own priors that the fit was made with, if any."""
        path = self.folder / OWN_PRIORS
        return path if path.is_file() else None

    @property
    def place(self) -> str:
        """ISO 3166 three-letter code of the pool's country, in lower case."""
        return self.pool.place

    @property
    def posterior(self) -> dict[str, np.ndarray]:
        """Kept variables of all blocks, draw first; of the theories of cost growth the open one."""
        return self._stored[0]

    @property
    def theories(self) -> dict[str, dict[str, np.ndarray]]:
        """Draws under the other theories of cost growth, see :mod:`forecaster.theories`; empty where there are none."""
        return self._stored[1]

    @cached_property
    def _stored(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        # Alone, for the library of labelled arrays takes longer to import than all draws to read. Big-endian on disk.
        from scipy.io import netcdf_file

        with netcdf_file(self.folder / "posterior.nc", mmap=False) as stored:
            held = {name: v for name, v in stored.variables.items() if name not in stored.dimensions}
            return parted({name: v[...].astype(v.data.dtype.newbyteorder("=")) for name, v in held.items()})

    def weighting(self, theory: str | None = None) -> Weighting | None:
        """How the theories of cost growth are weighed, by the backtest if there is one; None where a pool has none.

        Parameters
        ----------
        theory
            The only one to follow, of :data:`forecaster.theories.THEORIES`.

        Raises
        ------
        ForecasterError
            When the fit has no such theory.
        """
        if theory is None and (self.pool.model == "plain" or not self.theories):
            return None
        record = read_record(self.pool, self.manifest["inputs"])
        judged = record.content if record.content is not None and record.status == "backtested" else {}
        return weighting([OPEN, *self.theories] if self.theories else [], judged.get("theories"), theory)

    def table(self, name: str) -> pd.DataFrame | None:
        """Table kept with the fit; None where an older fit has none.

        Parameters
        ----------
        name
            ``priors``: each prior against its posterior; ``checks``: futures under the priors alone and under the
            posterior beside the past. See :mod:`forecaster_models.checks` for the columns.
        """
        import pandas as pd

        path = self.folder / f"{name}.csv"
        return pd.read_csv(path) if path.is_file() else None

    def basis(
        self,
        horizon: int,
        draws: int | None = None,
        options: SpendingOptions | None = None,
        seed: int | None = None,
        theory: str | None = None,
        weighed: Weighting | None = None,
    ) -> Basis:
        """Basis simulated from the posterior: same fit, same horizon or a longer one, same draws.

        Theories of cost growth are averaged as :meth:`weighting` says.

        Parameters
        ----------
        theory
            The only one to follow, of :data:`forecaster.theories.THEORIES`.
        options
            Readings of ageing other than the fit's own; see :class:`forecaster.need.SpendingOptions`.
        seed
            Of the simulated futures; the fit's own when left out.
        weighed
            Weights of theories other than today's, such as those that a kept run was made with.
        """
        posterior, weighed = self.posterior, weighed or self.weighting(theory)
        if weighed is not None:
            posterior = averaged(posterior, self.theories, weighed.weights)
        if draws is not None:
            available = len(next(iter(posterior.values())))
            if not 1 <= draws <= available:
                raise ForecasterError(f"{draws} draws wanted; the fit of {self.pool.name} holds 1 to {available}")
            posterior = {name: value[:draws] for name, value in posterior.items()}
        basis = make_basis(
            self.pool,
            posterior,
            Policy(self.pool.law),
            last_year=None,
            horizon=horizon,
            seed=int(self.manifest["seed"]) if seed is None else seed,
            label=f"{self.pool.name}, fit {self.manifest['hash'][:12]}",
            options=options,
        )
        return basis if weighed is None else replace(basis, assumptions=(*basis.assumptions, weighed.remark))


def make_basis(
    pool: Pool,
    posterior: Mapping[str, np.ndarray],
    law: Policy,
    *,
    last_year: int | None,
    horizon: int,
    seed: int,
    label: str,
    vintage: str = VINTAGE,
    options: SpendingOptions | None = None,
) -> Basis:
    """Basis simulated from the draws of all blocks of a pool.

    Parameters
    ----------
    posterior
        Kept variables of the blocks, draw first.
    law
        Law under which the fit's evidence stands.
    last_year
        Origin: the last year whose evidence the draws have seen, so that the year after is the first projected one.
        None for a fit to everything that is known, whose first projected year is the pool's own.
    horizon
        Last projected year.
    vintage
        Revision of the UN's population that the draws have seen.
    options
        Readings of ageing other than the fit's own, for a pool whose fit knows the cost by age.

    Raises
    ------
    ForecasterError
        When there are options for a pool that is known by its yearly accounts alone.
    """
    first_year = pool.first_year if last_year is None else last_year + 1
    if pool.model == "plain":
        if options is not None and options != SpendingOptions():
            raise ForecasterError(f"{pool.name} is known by yearly accounts alone: its fit has no cost by age to move")
        accounts = known_accounts(pool, last_year)
        if "plain_reserve_end" not in posterior:
            n_draws = len(posterior["plain_growth"])
            posterior = {**posterior, "plain_reserve_end": np.full(n_draws, accounts.reserve[-1])}
        return simulate_plain_basis(
            posterior,
            pool.people,
            law,
            first_year=first_year,
            horizon=horizon,
            population_year=population_origin(pool.people, last_year),
            other_income_share=pool.other_income_share,
            category_mix=pool.category_mix,
            members=members_ahead(pool, first_year - 1, horizon),
            seed=seed,
            label=label,
            notes=plain_notes(accounts, pool),
        )
    known: dict[str, Any] = {} if last_year is None else {"last_year": last_year}
    return simulate_basis(
        posterior,
        pool.place,
        law,
        first_year=first_year,
        horizon=horizon,
        seed=seed,
        label=label,
        vintage=vintage,
        options=options or SpendingOptions(),
        **known,
    )


def actuals(pool: Pool) -> pd.DataFrame:
    """Published yearly income, outgo and reserve of a pool, one figure a line and year: the one of the best grade.

    Returns
    -------
    pandas.DataFrame
        ``line`` (``income``, ``outgo``, ``reserve``), ``year``, ``value`` (nominal, in the pool's money; the reserve a
        stock at year end, the others flows of the year) and ``source``, in order of line and year.
    """
    import pandas as pd

    if pool.model == "plain":
        accounts = known_accounts(pool)
        own = {line: getattr(accounts, line) for line in PUBLISHED}
        frames = [pd.DataFrame({"line": k, "year": accounts.years, "value": v}).dropna() for k, v in own.items()]
        known = pd.concat(frames, ignore_index=True)
        if pool.folder is not None:
            return known.assign(source=ACCOUNTS_FILE)
        observed = load_observations(pool.place)
        best = pd.concat([observed.best(f"pool_{line}|{pool.name}").assign(line=line) for line in PUBLISHED])
        return known.merge(best[["line", "year", "source"]], on=["line", "year"])
    observed = load_observations(pool.place)
    parts = []
    for line, series in PUBLISHED.items():
        best = observed.best(series)
        known = best[best["period"].str.fullmatch(r"\d{4}")]
        parts.append(known[["year", "value", "source"]].assign(line=line))
    return pd.concat(parts, ignore_index=True)[["line", "year", "value", "source"]]


def load_fit(pool: Pool | str, root: Path | None = None) -> Fit:
    """Read a stored fit.

    Parameters
    ----------
    pool
        The pool, or what :func:`forecaster.pools.find_pool` knows it by.
    root
        Folder that holds a folder per pool; the one of the reference fits by default.

    Raises
    ------
    ForecasterError
        When it is missing, damaged, or was rejected by the gates: a rejected fit is no baseline.
    """
    import pandas as pd

    pool = find_pool(pool) if isinstance(pool, str) else pool
    folder, again = (root or pool.fits) / pool.name, f"forecaster fit {pool.address}"
    if not folder.exists() and set_aside(folder).exists():
        folder = set_aside(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        content = (folder / "posterior.nc").read_bytes()
        history = pd.read_csv(folder / "history.csv", keep_default_na=False, na_values=[""])
    except (OSError, json.JSONDecodeError) as error:
        gone = "" if isinstance(error, FileNotFoundError) else f" ({type(error).__name__})"
        reason = f"no whole fit of {pool.name} in {folder}{gone}; make one with: {again}"
        raise ForecasterError(f"{reason} (or name the folder of another one, as of a quick fit: --fits fits)") from None
    if hashlib.sha256(content).hexdigest() != manifest["posterior_sha256"]:
        raise ForecasterError(f"the posterior of {pool.name} does not match its manifest; fit again: {again}")
    if not manifest["accepted"]:
        reasons = "; ".join(
            f"{name}: {', '.join(b['reasons'])}" for name, b in manifest["blocks"].items() if b["reasons"]
        )
        raise ForecasterError(
            f"the fit of {pool.name} was rejected and is no baseline ({reasons}); fit again, without --quick"
        )
    return Fit(pool, manifest, history, folder)


def set_aside(folder: Path) -> Path:
    """Where a fit lies while a newer one takes its place; it stays there if that is stopped between the two steps."""
    return folder.with_name(f".{folder.name}.old")


def reference_basis(
    pool: str, horizon: int = 2060, draws: int | None = None, options: SpendingOptions | None = None
) -> Basis:
    """Basis of the reference fit of a pool, from the first projected year to ``horizon``."""
    return load_fit(pool).basis(horizon, draws, options)


def input_hashes(pool: Pool, code: Iterable[Path], priors: Path | None = None) -> dict[str, str]:
    """Hashes of everything a fit depends on; a stored fit whose hashes differ is stale.

    Parameters
    ----------
    code
        Source files of the models.
    priors
        The user's priors over the defaults, if any.
    """
    folder = data_dir()

    def files(paths: Iterable[Path]) -> str:
        digest = hashlib.sha256()
        for path in sorted(paths, key=lambda p: p.name):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    return {
        "observations": observation_hash(pool.place) if pool.model == "nhi" else files(pool.files),
        "demography": files((folder / "demography").glob("*.parquet")),
        "priors": files(folder / "priors" / f"{name}.toml" for name in PRIOR_FILES[pool.model]),
        "own_priors": "none" if priors is None else hashlib.sha256(priors.read_bytes()).hexdigest(),
        "schemes": files(scheme_path(name) for name in pool.schemes),
        "models": files(code),
    }
