"""How long a benefit stack takes: 8 age bands x 6 layers x 50 years x 2,000 draws, beside the machine's memory copy.

    python benchmarks/stack.py

A lever is a new deductible, evaluated with everything that hangs on it. With thresholds by draw each draw has an income
path of its own, so that every draw's layers are composed anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from _timing import say_speed, timed

from forecaster.benefits import cost_path, evaluate, fitted_severity, load_stack
from forecaster.layers import income_path
from forecaster.policy import Policy, Reform

DRAWS, YEARS = 2000, np.arange(2024, 2074)
# One kind of people whom all six layers cover, as against the shipped stack: two groups, some layers covering a part.
EVERYBODY = (
    "share.poor=0@2024-01-01",
    "cn_medical_assistance.coverage=1@2024-01-01",
    "commercial_supplement.coverage=1@2024-01-01",
    "online_mutual_aid.coverage=1@2024-01-01",
    "charity.coverage=1@2024-01-01",
)


def main() -> None:
    """Print the table."""
    stack = load_stack("cn_residents")
    law, severity = Policy(stack.law), fitted_severity(stack).draws(DRAWS, seed=1)
    rng = np.random.default_rng(0)
    walk = np.exp(np.cumsum(rng.normal(0.0, 0.02, (len(YEARS), DRAWS)), axis=0))
    cost = cost_path(stack, law, YEARS, severity.year) * walk
    income = income_path(law, YEARS) * walk[::-1]

    def lever(i: int, *settings: str, by_draw: bool = False) -> None:
        share = f"cn_serious_illness.deductible_income_share={0.3 + 1e-3 * i:.3f}@2024-01-01"
        changed = law.reform(Reform.parse([share, *settings]))
        evaluate(stack, changed, YEARS, severity, income=income if by_draw else None, cost_scale=cost)

    block = np.ones(8 * 7 * len(YEARS) * DRAWS)
    target = np.empty_like(block)

    def copy(_: int) -> None:
        target[:] = block

    cases: dict[str, Callable[[int], object]] = {
        f"copying {block.nbytes / 1e6:.0f} MB": copy,
        "six layers, one kind of people": lambda i: lever(i, *EVERYBODY),
        "the same, thresholds by draw": lambda i: lever(i, *EVERYBODY, by_draw=True),
        "shipped stack": lever,
        "the same, thresholds by draw ": lambda i: lever(i, by_draw=True),
    }
    for work in cases.values():
        work(0)
    times = {name: timed(work, 9, threads=True) for name, work in cases.items()}
    base = next(iter(times.values()))[1]
    print(f"8 age bands x 6 layers x {len(YEARS)} years x {DRAWS} draws, a lever on the serious-illness deductible")
    print(f"{'':32}wall ms   cpu ms   cpu / copy")
    for name, (wall, own) in times.items():
        print(f"{name:32}{wall:7.0f}  {own:7.0f}   {own / base:.1f}")


if __name__ == "__main__":
    say_speed()
    main()
