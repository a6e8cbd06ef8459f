"""Fitting a pool: block by block, resumable, judged, and stored with a manifest.

The models are imported by the functions that need them: PyMC takes seconds to import, and the process that waits for
its workers needs none of it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

import forecaster
from forecaster.demography.tables import VINTAGE, population_origin
from forecaster.demography.vintages import load_vintage, vintage_at
from forecaster.errors import ForecasterError
from forecaster.fitted import HISTORY_COLUMNS, OWN_PRIORS, PRIOR_FILES, actuals, input_hashes, set_aside
from forecaster.members import past_members
from forecaster.pools import Pool, find_pool, known_accounts
from forecaster.resources import data_dir
from forecaster.theories import THEORIES, parted, stored_theories
from forecaster_models.priors import laid_over, read_priors
from forecaster_models.settings import FULL, QUICK, SamplingSettings
from forecaster_models.workers import end_with_parent

if TYPE_CHECKING:
    from forecaster_models.blocks import Block

Progress = Callable[[str, float, str], None]

LIBRARIES = ("numpy", "numba", "pymc", "pytensor", "nutpie", "arviz")
# Draws kept of all chains together.
KEPT_DRAWS = 4000
PROBABILITIES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


# Blocks by model, in the order in which they are stored.
BLOCKS = {
    "nhi": ("mortality", "fertility", "migration", "economy", "fund"),
    "plain": ("mortality", "fertility", "migration", "plain"),
}
# Paths of the past by line of the history: those of a plain pool hold only the years without a figure.
HISTORY = {
    "nhi": {"outgo": "fund_cost", "income": "fund_income", "reserve": "fund_reserve"},
    "plain": {"outgo": "plain_outgo", "income": "plain_income", "reserve": "plain_reserve"},
}
# Source files that shape a fit: models and what of the engine they share; not this file, which only runs them.
_SHARED = ("blocks", "demography", "priors", "sampling")
MODEL_FILES = {
    "nhi": (
        *_SHARED,
        "economy",
        "fund",
        "fund_arrays",
        "fund_density",
        "fund_evidence",
        "fund_income",
        "steps",
        "theories",
    ),
    "plain": (*_SHARED, "plain", "plain_paths", "plain_weights"),
}
ENGINE_FILES = {
    "nhi": ("futures", "need", "points", "revenue", "theories"),
    "plain": ("plain_futures", "pool_accounts", "members"),
}


def code_files(pool: Pool) -> list[Path]:
    """Source files whose change makes a fit of the pool stale."""
    own, engine = Path(__file__).parent, Path(forecaster.__file__).parent
    return [
        *(own / f"{name}.py" for name in MODEL_FILES[pool.model]),
        *(engine / f"{name}.py" for name in ENGINE_FILES[pool.model]),
        *(engine / "demography").glob("*.py"),
    ]


def current_inputs(pool: Pool | str, priors: Path | None = None) -> dict[str, str]:
    """Hashes of the inputs as they are now; ``priors`` are the user's own, if the fit has any."""
    pool = find_pool(pool) if isinstance(pool, str) else pool
    return input_hashes(pool, code_files(pool), priors)


def pool_blocks(pool: Pool, last_year: int | None = None, priors: Path | None = None) -> list[Block]:
    """Blocks of a pool, in the order in which they are fitted.

    Parameters
    ----------
    last_year
        Origin: evidence of later years is left out, estimates of the population already from this year on, since they
        come a year late, and no outlook of others is read. None for all that is known. The population is that of
        :func:`population_vintage`.
    priors
        TOML file of priors laid over the defaults.
    """
    from forecaster_models.demography import demography_blocks

    own = pool_priors(pool, priors)
    vintage = population_vintage(pool, last_year)
    origin = min(population_origin(pool.people, last_year), load_vintage(pool.people, vintage).last_estimate_year)
    people = demography_blocks(pool.people, last_year=origin, priors=own, vintage=vintage)
    if pool.model == "plain":
        from forecaster_models.plain import plain_block

        accounts = known_accounts(pool, last_year)
        heads = past_members(pool, accounts.years)
        breaks = tuple(item for item in pool.breaks if item.first <= accounts.years[-1])
        return [*people, plain_block(accounts, pool.people, own["plain"], pool.other_income_share, heads, breaks)]
    from forecaster_models.economy import economy_block
    from forecaster_models.fund import fund_block

    if last_year is None:
        economy: dict[str, Any] = {}
        fund: dict[str, Any] = {}
    else:
        economy = {"last_year": last_year, "outlook": False, "vintage": vintage}
        fund = {"last_year": last_year}
    return [
        *people,
        economy_block(pool.place, own["economy"], **economy),
        fund_block(own["fund"], pool.place, theories=_theories(own), **fund),
    ]


def _theories(priors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: own for name, own in priors.items() if name in THEORIES}


def population_vintage(pool: Pool, last_year: int | None) -> str:
    """Revision of the UN's population that a fit reads: the latest published by the end of its origin.

    A plain pool's model reads today's whatever the origin.
    """
    return VINTAGE if last_year is None or pool.model == "plain" else vintage_at(last_year)


def pool_priors(pool: Pool, own: Path | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Priors of all blocks of a pool by block and name, the user's file laid over the defaults.

    Raises
    ------
    FaultyInput
        Naming every prior that the pool does not have, whose distribution is unknown or whose parameters are wrong.
    """
    folder = data_dir() / "priors"
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in PRIOR_FILES[pool.model]:
        found |= read_priors(folder / f"{name}.toml", pool.place)
    return found if own is None else laid_over(found, own)


def fit_pool(
    pool: Pool | str,
    *,
    out: Path | None = None,
    priors: Path | None = None,
    quick: bool = False,
    seed: int = 20261122,
    fresh: bool = False,
    work: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit every block of a pool and store the result in the folder of its name in ``out``.

    Finished blocks wait in ``work`` under a key of all inputs and settings, so that an interrupted fit goes on where it
    stopped. The result replaces an older one only when it is whole.

    Parameters
    ----------
    pool
        The pool, or what :func:`forecaster.pools.find_pool` knows it by, for example ``tw_nhi``.
    out
        Folder that holds a folder per pool; the one of the pool's reference fit when left out.
    priors
        TOML file of priors laid over the defaults; its text is kept with the fit.
    quick
        Fewer draws, same gates.
    fresh
        Do not take up finished blocks of an earlier run.
    progress
        Called with block, share done and a message.

    Returns
    -------
    dict
        The manifest. A rejected fit is stored too, marked as such; :func:`forecaster.fitted.load_fit` refuses it.
    """
    from forecaster_models.checks import check_table

    pool = find_pool(pool) if isinstance(pool, str) else pool
    out = pool.fits if out is None else out
    tell = progress or (lambda block, share, message: None)
    settings = QUICK if quick else FULL
    inputs = current_inputs(pool, priors)
    # What is wrong with priors or accounts shows before any work.
    pool_priors(pool, priors)
    if pool.model == "plain":
        known_accounts(pool)
    key = _digest([pool.name, seed, inputs, settings.__dict__])[:16]
    folder = (work or out / ".work") / f"{pool.name}-{key}"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ForecasterError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from None
    _fit_blocks(_Job(pool, priors, settings, seed, folder), tell)
    draws: dict[str, xr.DataArray] = {}
    verdicts: dict[str, dict[str, Any]] = {}
    paths_of_past: dict[str, np.ndarray] = {}
    unlearnt: dict[str, np.ndarray] = {}
    for name in BLOCKS[pool.model]:
        kept = _read_draws(folder / f"{name}.nc")
        unlearnt.update({str(k): v.values for k, v in _read_draws(folder / f"{name}.prior.nc").data_vars.items()})
        verdicts[name] = json.loads((folder / f"{name}.json").read_text())
        tell(name, 1.0, "accepted" if verdicts[name]["accepted"] else "rejected")
        paths = HISTORY[pool.model]
        paths_of_past.update({line: kept[path].values for line, path in paths.items() if path in kept})
        draws.update({str(k): v for k, v in kept.data_vars.items() if k not in paths.values()})
    history = _history(paths_of_past, pool)
    learnt = [pd.read_csv(folder / f"{name}.priors.csv") for name in BLOCKS[pool.model]]
    posterior, _ = parted({name: values.values for name, values in draws.items()})
    checks, absurd = check_table(pool, posterior, unlearnt, history, seed)
    tables = {"history": history, "priors": pd.concat(learnt, ignore_index=True), "checks": checks}
    manifest = {
        "pool": pool.name,
        "seed": seed,
        "quick": quick,
        "settings": settings.__dict__,
        "inputs": inputs,
        "accepted": all(v["accepted"] for v in verdicts.values()),
        "blocks": verdicts,
        "absurd_futures": absurd,
        "versions": {"forecaster": forecaster.__version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    _publish(out / pool.name, xr.Dataset(draws), tables, manifest, priors)
    shutil.rmtree(folder, ignore_errors=True)
    return manifest


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Job(NamedTuple):
    """What a worker has to know to fit any block."""

    pool: Pool
    priors: Path | None
    settings: SamplingSettings
    seed: int
    folder: Path


def _fit_blocks(job: _Job, tell: Progress) -> None:
    """Fit what is not finished yet, two blocks side by side: compiling, the longer part, uses one core only."""
    names = BLOCKS[job.pool.model]
    # The fund takes longest, so it starts first.
    missing = [name for name in reversed(names) if not (job.folder / f"{name}.json").exists()]
    if not missing:
        return
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(end_with_parent)
    with (
        _one_thread_each(),
        manager,
        ProcessPoolExecutor(min(2, len(missing)), mp_context=context, initializer=end_with_parent) as workers,
    ):
        reports = manager.Queue()
        waiting = {
            workers.submit(_fit_block, job._replace(seed=job.seed + names.index(name)), name, reports)
            for name in missing
        }
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            while not reports.empty():
                tell(*reports.get())
            for finished in done:
                finished.result()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Linear algebra of the processes started within runs on one thread: the chains already fill the cores."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _fit_block(job: _Job, name: str, reports: Any) -> None:
    """Fit one block and store its draws and verdict; the verdict comes last and marks the block as finished."""
    from forecaster_models.checks import prior_draws, prior_table
    from forecaster_models.sampling import judge, sample_block

    reports.put((name, 0.0, "compiling"))
    block = next(block for block in pool_blocks(job.pool, priors=job.priors) if block.name == name)
    started = time.perf_counter()
    model, priors = block.build(), pool_priors(job.pool, job.priors)[name]
    result = sample_block(
        model, block.tuned(job.settings), job.seed, lambda share: reports.put((name, share, "sampling"))
    )
    verdict = judge(result).as_dict() | {"seconds": round(time.perf_counter() - started, 1)}
    posterior = result["posterior"].dataset
    names = [*block.keep, *(name for name in HISTORY[job.pool.model].values() if name in posterior)]
    flat = xr.Dataset({name: _flattened(posterior[name]) for name in names})
    unlearnt = xr.Dataset(
        {
            variable: ((f"{variable}_draw", *(f"{variable}_{i}" for i in range(values.ndim - 1))), values)
            for variable, values in prior_draws(block, model, priors, job.seed).items()
        }
    )
    given = {f"{name}_{prior}" for prior in priors} & {str(variable) for variable in posterior}
    learnt = prior_table({name: priors}, {variable: _flattened(posterior[variable]).values for variable in given})
    if block.apart:
        verdict["apart"] = dict(block.apart)
    if block.theories is not None:
        carried = block.theories({name: _flattened(posterior[name]).values for name in block.reads}, job.seed)
        verdict["theories"] = {name: found.as_dict() for name, found in carried.items()}
        flat = flat.assign(stored_theories({name: found.draws for name, found in carried.items() if found.accepted}))
    for target, write in (
        (job.folder / f"{name}.nc", lambda path: flat.to_netcdf(path, engine="scipy")),
        (job.folder / f"{name}.prior.nc", lambda path: unlearnt.to_netcdf(path, engine="scipy")),
        (job.folder / f"{name}.priors.csv", lambda path: learnt.to_csv(path, index=False)),
        (job.folder / f"{name}.json", lambda path: path.write_text(json.dumps(verdict))),
    ):
        temporary = target.with_name(target.name + ".part")
        write(temporary)
        os.replace(temporary, target)


def _read_draws(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="scipy") as stored:
        return stored.load()


def _flattened(variable: xr.DataArray) -> xr.DataArray:
    """Chains one after the other, thinned evenly to what is kept, single precision, draw first."""
    values = variable.values.reshape(-1, *variable.shape[2:]).astype(np.float32)
    values = values[np.linspace(0, len(values) - 1, min(KEPT_DRAWS, len(values))).round().astype(int)]
    return xr.DataArray(values, dims=("sample", *(f"{variable.name}_{i}" for i in range(values.ndim - 1))))


def _history(paths: dict[str, np.ndarray], pool: Pool) -> pd.DataFrame:
    """Income, outgo and reserve by year: the published figure where there is one, else the posterior."""
    published = {(row.line, row.year): (row.value, row.source) for row in actuals(pool).itertuples()}
    estimated = _estimated(paths, pool)
    rows = []
    for line in HISTORY[pool.model]:
        for year in sorted({year for _, year in estimated} | {year for own, year in published if own == line}):
            if (line, year) in published:
                value, source = published[line, year]
                figures, kind = [float(value)] * (1 + len(PROBABILITIES)), "published"
            elif (line, year) in estimated:
                sample = estimated[line, year].astype(float)
                figures, kind, source = [sample.mean(), *np.quantile(sample, PROBABILITIES)], "estimated", "fit"
            else:
                continue
            rows.append((line, year, *(round(float(f), 3) for f in figures), pool.money, kind, source))
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))


def _estimated(paths: dict[str, np.ndarray], pool: Pool) -> dict[tuple[str, int], np.ndarray]:
    """Draws of the past by line and year."""
    found = {}
    for line, draws in paths.items():
        if pool.model == "plain":
            accounts = known_accounts(pool)
            years = accounts.years[np.isnan(getattr(accounts, line))].tolist()
        else:
            years = list(range(pool.first_year - paths["income"].shape[1], pool.first_year))
        found.update({(line, year): draws[:, i] for i, year in enumerate(years)})
    return found


def _publish(
    final: Path,
    draws: xr.Dataset,
    tables: dict[str, pd.DataFrame],
    manifest: dict[str, Any],
    priors: Path | None,
) -> None:
    """Write the fit beside its place and move it there whole."""
    fresh, old = final.with_name(f".{final.name}.new"), set_aside(final)
    if old.exists() and not final.exists():
        os.replace(old, final)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    draws.to_netcdf(fresh / "posterior.nc", engine="scipy", format="NETCDF3_64BIT")
    for name, table in tables.items():
        table.to_csv(fresh / f"{name}.csv", index=False)
    if priors is not None:
        shutil.copyfile(priors, fresh / OWN_PRIORS)
    manifest["posterior_sha256"] = hashlib.sha256((fresh / "posterior.nc").read_bytes()).hexdigest()
    manifest["hash"] = _digest({k: v for k, v in manifest.items() if k != "blocks"})
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    os.replace(fresh, final)
    shutil.rmtree(old, ignore_errors=True)
