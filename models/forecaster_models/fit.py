"""Fitting a pool: block by block, resumable, judged, and stored with a manifest."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import shutil
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import forecaster
from forecaster.errors import ForecasterError
from forecaster.fitted import HISTORY_COLUMNS, POOLS, input_hashes, pool_of
from forecaster.observations import Observations, load_observations
from forecaster.resources import data_dir
from forecaster_models.blocks import Block
from forecaster_models.demography import demography_blocks
from forecaster_models.economy import economy_block
from forecaster_models.fund import HISTORY, fund_block
from forecaster_models.fund_evidence import FIRST_YEAR, LAST_INCOME_YEAR
from forecaster_models.priors import read_priors
from forecaster_models.sampling import FULL, QUICK, SamplingSettings, judge, sample_block

Progress = Callable[[str, float, str], None]

SCHEMES = ("tw_nhi_1g", "tw_nhi_2g")
LIBRARIES = ("numpy", "numba", "pymc", "pytensor", "nutpie", "arviz")
# Draws kept of all chains together.
KEPT_DRAWS = 4000
# Published series of the history's lines.
PUBLISHED = {"outgo": "cost", "income": "revenue", "reserve": "reserve_end"}
PROBABILITIES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


def code_files() -> list[Path]:
    """Source files that shape a fit: models and what of the engine they share; not this file, which only runs them."""
    engine = Path(forecaster.__file__).parent
    shared = [engine / "futures.py", engine / "revenue.py", *(engine / "demography").glob("*.py")]
    return [*(path for path in Path(__file__).parent.glob("*.py") if path.name != "fit.py"), *shared]


def current_inputs(pool: str) -> dict[str, str]:
    """Hashes of the inputs as they are now."""
    return input_hashes(POOLS[pool][0], SCHEMES, code_files())


def pool_blocks(pool: str) -> list[Block]:
    """Blocks of a pool, in the order in which they are fitted."""
    place = POOLS[pool][0]
    economy = read_priors(data_dir() / "priors" / "economy.toml", place)["economy"]
    fund = read_priors(data_dir() / "priors" / "fund.toml", place)["fund"]
    return [*demography_blocks(place), economy_block(place, economy), fund_block(fund, place)]


def fit_pool(
    pool: str,
    *,
    out: Path,
    quick: bool = False,
    seed: int = 20261122,
    fresh: bool = False,
    work: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit every block of a pool and store the result in ``out/<pool>``.

    Finished blocks wait in ``work`` under a key of all inputs and settings, so that an interrupted fit goes on where it
    stopped. The result replaces an older one only when it is whole.

    Parameters
    ----------
    pool
        Pool or scheme, for example ``tw_nhi``.
    out
        Folder that holds a folder per pool.
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
    pool = pool_of(pool)
    tell = progress or (lambda block, share, message: None)
    settings = QUICK if quick else FULL
    inputs = current_inputs(pool)
    key = _digest([pool, seed, inputs, settings.__dict__])[:16]
    folder = (work or out / ".work") / f"{pool}-{key}"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ForecasterError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from None
    _fit_blocks(pool, settings, seed, folder, tell)
    draws: dict[str, xr.DataArray] = {}
    verdicts: dict[str, dict[str, Any]] = {}
    history: dict[str, np.ndarray] = {}
    for block in pool_blocks(pool):
        with xr.open_dataset(folder / f"{block.name}.nc", engine="scipy") as stored:
            kept = stored.load()
        verdicts[block.name] = json.loads((folder / f"{block.name}.json").read_text())
        tell(block.name, 1.0, "accepted" if verdicts[block.name]["accepted"] else "rejected")
        draws.update({str(k): v for k, v in kept.data_vars.items() if k in block.keep})
        history.update({name: kept[name].values for name in HISTORY if name in kept})
    manifest = {
        "pool": pool,
        "seed": seed,
        "quick": quick,
        "settings": settings.__dict__,
        "inputs": inputs,
        "accepted": all(v["accepted"] for v in verdicts.values()),
        "blocks": verdicts,
        "versions": {"forecaster": forecaster.__version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    _publish(out, pool, xr.Dataset(draws), _history(history, load_observations(POOLS[pool][0])), manifest)
    shutil.rmtree(folder, ignore_errors=True)
    return manifest


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _fit_blocks(pool: str, settings: SamplingSettings, seed: int, folder: Path, tell: Progress) -> None:
    """Fit what is not finished yet, two blocks side by side: compiling, the longer part, uses one core only."""
    names = [block.name for block in pool_blocks(pool)]
    # The fund takes longest, so it starts first.
    missing = [name for name in reversed(names) if not (folder / f"{name}.json").exists()]
    if not missing:
        return
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(2, mp_context=context) as workers:
        reports = manager.Queue()
        jobs = {
            workers.submit(_fit_block, pool, name, settings, seed + names.index(name), folder, reports): name
            for name in missing
        }
        waiting = set(jobs)
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            while not reports.empty():
                tell(*reports.get())
            for job in done:
                job.result()


def _fit_block(pool: str, name: str, settings: SamplingSettings, seed: int, folder: Path, reports: Any) -> None:
    """Fit one block and store its draws and verdict; the verdict comes last and marks the block as finished."""
    reports.put((name, 0.0, "compiling"))
    block = next(block for block in pool_blocks(pool) if block.name == name)
    started = time.perf_counter()
    result = sample_block(block.build(), settings, seed, lambda share: reports.put((name, share, "sampling")))
    verdict = judge(result).as_dict() | {"seconds": round(time.perf_counter() - started, 1)}
    posterior = result["posterior"].dataset
    names = [*block.keep, *(line for line in HISTORY if line in posterior)]
    flat = xr.Dataset({name: _flattened(posterior[name]) for name in names})
    for target, write in (
        (folder / f"{name}.nc", lambda path: flat.to_netcdf(path, engine="scipy")),
        (folder / f"{name}.json", lambda path: path.write_text(json.dumps(verdict))),
    ):
        temporary = target.with_name(target.name + ".part")
        write(temporary)
        os.replace(temporary, target)


def _flattened(variable: xr.DataArray) -> xr.DataArray:
    """Chains one after the other, thinned evenly to what is kept, single precision, draw first."""
    values = variable.values.reshape(-1, *variable.shape[2:]).astype(np.float32)
    values = values[np.linspace(0, len(values) - 1, min(KEPT_DRAWS, len(values))).round().astype(int)]
    return xr.DataArray(values, dims=("sample", *(f"{variable.name}_{i}" for i in range(values.ndim - 1))))


def _history(paths: dict[str, np.ndarray], observed: Observations) -> pd.DataFrame:
    """Income, outgo and reserve by year: the published figure where there is one, else the posterior."""
    lines = {"outgo": paths["fund_cost"], "income": paths["fund_income"], "reserve": paths["fund_reserve"]}
    rows = []
    for line, draws in lines.items():
        best = observed.best(PUBLISHED[line])
        known = best[best["period"].str.fullmatch(r"\d{4}")].set_index("year")
        for year in range(FIRST_YEAR, LAST_INCOME_YEAR + 1):
            sample = draws[:, year - FIRST_YEAR].astype(float)
            if year in known.index:
                value = float(known.loc[year, "value"])
                figures = [value] * (1 + len(PROBABILITIES))
                kind, source = "published", str(known.loc[year, "source"])
            else:
                figures = [sample.mean(), *np.quantile(sample, PROBABILITIES)]
                kind, source = "estimated", "fit"
            rows.append((line, year, *(round(float(f), 3) for f in figures), "TWD bn", kind, source))
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))


def _publish(out: Path, pool: str, draws: xr.Dataset, history: pd.DataFrame, manifest: dict[str, Any]) -> None:
    """Write the fit beside its place and move it there whole."""
    fresh, final, old = out / f".{pool}.new", out / pool, out / f".{pool}.old"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    draws.to_netcdf(fresh / "posterior.nc", engine="scipy", format="NETCDF3_64BIT")
    history.to_csv(fresh / "history.csv", index=False)
    manifest["posterior_sha256"] = hashlib.sha256((fresh / "posterior.nc").read_bytes()).hexdigest()
    manifest["hash"] = _digest({k: v for k, v in manifest.items() if k != "blocks"})
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    os.replace(fresh, final)
    shutil.rmtree(old, ignore_errors=True)
