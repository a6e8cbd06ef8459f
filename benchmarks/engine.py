"""How long a lever takes: 4,000 draws x 50 years re-evaluated, with the machine's own memory-copy time beside it.

    python benchmarks/engine.py [--made-up]

One evaluation is a new reform, the whole ledger, quantiles of reserve and reserve months by year, and both chances by
year.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solvency import below_months, depletion, quantiles

LAW = Policy(load_scheme("tw_nhi_2g"))


def basis(made_up: bool) -> Basis:
    """The shipped fit's basis of 50 years, or a random one of the same shape."""
    if made_up:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
        from funds import random_basis

        return random_basis(4000, 50)
    from forecaster.fitted import reference_basis

    return reference_basis("tw_nhi", 2075)


def timed(work: Callable[[int], object], repeats: int = 60) -> float:
    """Median wall time in milliseconds."""
    times = []
    for i in range(repeats):
        start = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made-up", action="store_true", help="a random basis instead of the shipped fit")
    fund = basis(parser.parse_args().made_up)
    block = np.ones(fund.outlay.size * 10)
    target = np.empty_like(block)

    def copy(_: int) -> None:
        target[:] = block

    def evaluate(i: int, *settings: str) -> None:
        reform = Reform.parse([f"general_premium_rate={0.05 + 1e-5 * i:.5f}@2027-01-01", *settings])
        result = project(fund, LAW.reform(reform))
        quantiles(result.closing)
        quantiles(result.reserve_months)
        below_months(result, 1.0)
        depletion(result)

    with threadpool_limits(1):
        for i in range(3):
            evaluate(i)
        base = timed(copy)
        rates = timed(evaluate)
        thresholds = timed(lambda i: evaluate(i, "supplementary_threshold.dividends=5000@2027-01-01"))
    print(f"basis: {fund.n_draws} draws x {len(fund.years)} years ({fund.label})")
    print(f"copying {block.nbytes / 1e6:.0f} MB         {base:7.2f} ms   1.0")
    print(f"moving the rates          {rates:7.2f} ms   {rates / base:.1f}")
    print(f"and a threshold           {thresholds:7.2f} ms   {thresholds / base:.1f}")


if __name__ == "__main__":
    main()
