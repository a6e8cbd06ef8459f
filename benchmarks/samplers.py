"""Which sampler is quickest: compiling, sampling, and least effective draws a second, on blocks of Taiwan's fit.

    python benchmarks/samplers.py [--blocks economy fund] [--samplers nutpie pymc] [--draws 500] [--tune 500] [--cold]

Every line is a process of its own. ``--cold`` compiles into an empty folder, as on a machine that never fitted; without
it what is compiled is kept and used as ``make fit`` keeps it. A sampler whose library is not installed is skipped. The
fund block takes PyMC's own sampler many minutes, so it is measured only when asked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from _timing import say_speed

REPOSITORY = Path(__file__).resolve().parent.parent
SEED = 1
# Name, library that it needs beside PyMC, and what it is.
SAMPLERS = {
    "fits": ("nutpie", "the fits' own: nutpie in whitened coordinates"),
    "nutpie": ("nutpie", "nutpie on Numba, low-rank mass matrix"),
    "nutpie-diagonal": ("nutpie", "nutpie on Numba, diagonal mass matrix"),
    "nutpie-jax": ("jax", "nutpie on JAX"),
    "pymc": ("pymc", "PyMC's own NUTS"),
    "numpyro": ("numpyro", "NumPyro"),
}


def environment(folder: str) -> dict[str, str]:
    """One thread for linear algebra, compiled code in a folder."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    caches = {"NUMBA_CACHE_DIR": f"{folder}/numba", "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor"}
    rooms = os.pathsep.join(str(REPOSITORY / room) for room in (".", "models"))
    return os.environ | threads | caches | {"PYTHONPATH": rooms}


def run(sampler: str, block_name: str, draws: int, tune: int) -> dict[str, Any]:
    """Seconds of compiling and of sampling, and the convergence of the variables that the block hands on."""
    import arviz as az
    import numpy as np
    import nutpie
    import pymc as pm

    from forecaster.pools import find_pool
    from forecaster_models.fit import pool_blocks
    from forecaster_models.sampling import log_density, sample_block
    from forecaster_models.settings import SamplingSettings

    block = next(block for block in pool_blocks(find_pool("tw_nhi")) if block.name == block_name)
    model = block.build()
    many = {"draws": draws, "tune": tune, "chains": 4, "cores": 2, "target_accept": 0.95}
    started = time.perf_counter()
    if sampler == "fits":
        log_density(model)
        compiling = time.perf_counter() - started
        log_density(model)
        again = time.perf_counter() - started - compiling
        result = sample_block(model, block.tuned(SamplingSettings(draws=draws, tune=tune)), SEED)
        # It prepares the density once more.
        sampling = time.perf_counter() - started - compiling - 2 * again
    elif sampler.startswith("nutpie"):
        backend = "jax" if sampler == "nutpie-jax" else "numba"
        compiled = nutpie.compile_pymc_model(model, backend=backend)
        compiling = time.perf_counter() - started
        adaptation = "diag" if sampler == "nutpie-diagonal" else "low_rank"
        result = nutpie.sample(compiled, seed=SEED, progress_bar=False, adaptation=adaptation, **many)
        sampling = time.perf_counter() - started - compiling
    else:
        with model:
            result = pm.sample(nuts_sampler=sampler, random_seed=SEED, progressbar=False, **many)
        sampling = float(result["posterior"].attrs["sampling_time"])
        compiling = time.perf_counter() - started - sampling
    posterior = result["posterior"].dataset[list(block.keep)]
    ess, rhat = az.ess(posterior, method="bulk"), az.rhat(posterior)
    least = min(float(np.min(ess[name])) for name in ess.data_vars)
    return {
        "compiling": compiling,
        "sampling": sampling,
        "ess": least,
        "rhat": max(float(np.max(rhat[name])) for name in rhat.data_vars),
        "divergences": int(result["sample_stats"]["diverging"].sum()),
    }


def measured(sampler: str, block: str, options: argparse.Namespace) -> str:
    """The line of one sampler on one block."""
    needed, label = SAMPLERS[sampler]
    if importlib.util.find_spec(needed) is None:
        return f"{block:<9} {label:<58} skipped: {needed} is not installed"
    command = [
        sys.executable,
        __file__,
        "--one",
        sampler,
        block,
        "--draws",
        str(options.draws),
        "--tune",
        str(options.tune),
    ]
    with tempfile.TemporaryDirectory() as empty:
        folder = empty if options.cold else str(REPOSITORY / ".cache")
        done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{block:<9} {label:<58} failed: {done.stderr.strip().splitlines()[-1]}"
    found = json.loads(done.stdout.splitlines()[-1])
    return (
        f"{block:<9} {label:<58} {found['compiling']:9.1f} {found['sampling']:9.1f} {found['ess']:8.0f} "
        f"{found['ess'] / found['sampling']:10.1f} {found['rhat']:7.3f} {found['divergences']:5d}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", nargs="+", default=["economy"])
    parser.add_argument("--samplers", nargs="+", choices=list(SAMPLERS), default=list(SAMPLERS))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--tune", type=int, default=500)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        with warnings.catch_warnings():
            # Libraries warn of each other's first use; what counts here are the figures.
            warnings.simplefilter("ignore")
            print(json.dumps(run(*chosen.one, chosen.draws, chosen.tune)))
    else:
        say_speed()
        print(
            f"4 chains of {chosen.tune} + {chosen.draws} steps, two at a time; seconds, least bulk ESS of what is kept"
        )
        print(f"{'block':<9} {'sampler':<58} {'compiling':>9} {'sampling':>9} {'min ESS':>8} {'ESS a sec':>10}", end="")
        print(f" {'r-hat':>7} {'div.':>5}")
        for block_name in chosen.blocks:
            for sampler_name in chosen.samplers:
                print(measured(sampler_name, block_name, chosen), flush=True)
