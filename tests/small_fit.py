"""A fit of three blocks that samples nothing: what the tests of stopping and resuming run, kill and run again.

    python small_fit.py OUT

Each block appends its name to ``OUT/sampled`` when it begins to sample; the second one then waits for ``OUT/go``.
Workers, waiting room and publication are the real ones; sampler, gates and checks are stand-ins.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

NAMES = ("first", "second", "third")
SEED, DRAWS, CHAINS = 100, 1000, 4
OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()


def draws_of(name: str, seed: int) -> dict[str, np.ndarray]:
    """What the stand-in draws for a block, arrays ``(chain, draw, ...)``; the third block also makes the past."""
    rng = np.random.default_rng(seed)
    found = {f"{name}_level": rng.standard_normal((CHAINS, DRAWS))}
    if name == "third":
        from forecaster.pools import find_pool
        from forecaster_models.fund_evidence import FIRST_YEAR

        shape = (CHAINS, DRAWS, find_pool("tw_nhi").first_year - FIRST_YEAR)
        found |= {f"fund_{line}": 100.0 + rng.standard_normal(shape) for line in ("cost", "income", "reserve")}
    return found


def sample_block(name: str, settings: object, seed: int, progress: object) -> dict[str, object]:
    """In the place of the sampler; the model is only its block's name."""
    with (OUT / "sampled").open("a") as log:
        log.write(f"{name}\n")
    while name == "second" and not (OUT / "go").exists():
        time.sleep(0.02)
    variables = {
        key: (("chain", "draw", *(f"{key}_{i}" for i in range(value.ndim - 2))), value)
        for key, value in draws_of(name, seed).items()
    }
    return {"posterior": SimpleNamespace(dataset=xr.Dataset(variables))}


def judge(result: object) -> SimpleNamespace:
    """In the place of the gates."""
    return SimpleNamespace(as_dict=lambda: {"accepted": True, "reasons": []})


def small_blocks(pool: object, last_year: int | None = None, priors: Path | None = None) -> list[object]:
    """In the place of ``pool_blocks``."""
    from forecaster_models.blocks import Block

    return [Block(name, partial(str, name), (f"{name}_level",)) for name in NAMES]


# The workers run this file as their main module too. The server of their messages does likewise and needs no models; a
# test that only reads the names above must not put stand-ins into its own process.
if __name__ in {"__main__", "__mp_main__"} and not multiprocessing.current_process().name.startswith("SyncManager"):
    import pandas as pd

    from forecaster_models import checks, fit

    # Without the sampler's module none of the libraries behind it is imported, which would take most of the time.
    sampling: Any = ModuleType("forecaster_models.sampling")
    sampling.sample_block, sampling.judge = sample_block, judge
    sys.modules[sampling.__name__] = sampling
    fit.BLOCKS = {"nhi": NAMES}  # type: ignore[dict-item]
    fit.pool_blocks = small_blocks  # type: ignore[assignment]
    fit.pool_priors = lambda pool, own=None: {name: {} for name in NAMES}  # type: ignore[assignment]
    checks.prior_draws = lambda block, model, priors, seed: {}  # type: ignore[assignment]
    checks.check_table = lambda *given: (pd.DataFrame(columns=list(checks.CHECK_COLUMNS)), {})  # type: ignore[assignment]
    # Somebody may be editing data or models while the tests run; that would rightly begin the fit anew.
    fit.current_inputs = lambda pool, priors: {"models": "as they are"}  # type: ignore[assignment]

if __name__ == "__main__":
    fit.fit_pool("tw_nhi", out=OUT, seed=SEED)
