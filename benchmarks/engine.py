"""How long a lever takes: 4,000 draws x 50 years re-evaluated, with the machine's own memory-copy time beside it.

    python benchmarks/engine.py [--made-up]

One evaluation is a new reform, the whole ledger, quantiles of reserve and reserve months by year, and both chances by
year. The solver's lines find the mildest value of a lever that keeps one month of reserve for 15 years in four of five
draws, or find that none does.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path

import numpy as np
from _timing import say_speed, timed
from threadpoolctl import threadpool_limits

from forecaster.basis import Basis
from forecaster.engine import project
from forecaster.policy import Policy, Reform
from forecaster.schemes import load_scheme
from forecaster.solve import RATE, Goal, required_value
from forecaster.solve_path import required_path
from forecaster.solvency import below_months, depletion, quantiles

LAW = Policy(load_scheme("tw_nhi_2g"))
# Levers that the solver's lines find a value of: the reserve follows the first four in a straight line.
SOLVED = (
    RATE,
    "supplementary_premium_rate",
    "government_injection",
    "copayment_reform_yield",
    "budget_growth_adjustment",
    "supplementary_threshold.dividends",
    "supplementary_ceiling",
    "grading_ceiling",
    "copayment_inpatient.acute_30",
)
_CEILING = "supplementary_ceiling=50000000@2027-01-01"
_ITEMS = ("part_time", "fees", "dividends", "interest", "rent")
# What stands otherwise than by law while the two premium rates move; the last line moves all of it at once.
LEVERS: dict[str, tuple[str, ...]] = {
    "moving the rates": (),
    "and a threshold": ("supplementary_threshold.dividends=5000@2027-01-01",),
    "and the ceiling": (_CEILING,),
    "and all thresholds and ceiling": (
        _CEILING,
        *(f"supplementary_threshold.{item}={5000 + 100 * i}@2027-01-01" for i, item in enumerate(_ITEMS)),
    ),
}


def basis(made_up: bool) -> Basis:
    """The shipped fit's basis of 50 years, or a random one of the same shape."""
    if made_up:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
        from funds import random_basis

        return random_basis(4000, 50)
    from forecaster.fitted import reference_basis

    return reference_basis("tw_nhi", 2075)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made-up", action="store_true", help="a random basis instead of the shipped fit")
    fund = basis(parser.parse_args().made_up)
    say_speed()
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

    def everything(i: int) -> None:
        moved = (f"supplementary_threshold.{item}={5000 + 100 * k + i}@2027-01-01" for k, item in enumerate(_ITEMS))
        evaluate(i, f"supplementary_ceiling={50000000 + i}@2027-01-01", *moved)

    with threadpool_limits(1):
        for i in range(3):
            evaluate(i)
        base = timed(copy, 60)
        levers = {name: timed(lambda i, more=more: evaluate(i, *more), 60) for name, more in LEVERS.items()}
        levers["all of it moving"] = timed(everything, 60)
        goal = Goal(1.0, int(fund.years[0]) + 14, dt.date(int(fund.years[1]), 1, 1), 0.8)
        for lever in SOLVED:
            levers[f"solving: {lever}"] = timed(lambda i, lever=lever: required_value(fund, LAW, lever, goal), 5)
        path = timed(lambda i: required_path(fund, LAW, RATE, goal, every=3), 3)
        levers["solving: path of the rate, every 3 years"] = path
    print(f"basis: {fund.n_draws} draws x {len(fund.years)} years ({fund.label})")
    print(f"{'':45}wall ms   cpu ms   cpu / copy")
    for name, (wall, own) in {f"copying {block.nbytes / 1e6:.0f} MB": base, **levers}.items():
        print(f"{name:45}{wall:7.2f}  {own:7.2f}   {own / base[1]:.1f}")


if __name__ == "__main__":
    main()
