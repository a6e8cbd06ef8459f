"""Time of the cohort projection: 2,000 draws x 75 years x 101 ages x 2 sexes, beside this machine's memory copy.

Run from the checkout: ``python benchmarks/cohort.py``. Prints seconds (best and median of the repeats after a warm-up)
and the ratio to copying as many bytes as the projection reads and writes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from _timing import say_speed

from forecaster.demography.cohort import project_population
from forecaster.demography.tables import load_wpp


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Best and median seconds of ``repeats`` calls after one that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    say_speed()
    tables = load_wpp("TWN")
    span = tables.year_slice(2024, 2098)
    rng = np.random.default_rng(1)
    mx = tables.mx[span] * np.exp(0.1 * rng.standard_normal((chosen.draws, 1, 1, 1)))
    asfr = tables.asfr[span] * np.exp(0.1 * rng.standard_normal((chosen.draws, 1, 1)))
    migration = tables.migration_between(2024, 2098) * rng.standard_normal((chosen.draws, 1, 1, 1))

    def project() -> object:
        return project_population(
            tables.population_at(2024), mx, asfr, tables.srb[span], migration, start_year=2024
        ).population

    best, median = timed(project, chosen.repeats)
    moved = [mx, asfr, migration, np.empty((chosen.draws, 76, 2, 101))]
    copy_best, copy_median = timed(lambda: [values.copy() for values in moved], chosen.repeats)
    size = sum(values.nbytes for values in moved)
    print(f"draws {chosen.draws}, years 75, ages 101, sexes 2; {size / 1e6:.0f} MB read and written")
    print(f"projection   best {best:.3f} s   median {median:.3f} s")
    print(f"memory copy  best {copy_best:.3f} s   median {copy_median:.3f} s")
    print(f"ratio        best {best / copy_best:.2f}      median {median / copy_median:.2f}")


if __name__ == "__main__":
    main()
