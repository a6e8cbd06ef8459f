"""How long a sweep takes: 300 pools x 20 scenarios x 1,000 draws x 40 years, beside one plain loop over the same work.

    python benchmarks/sweep.py [--pools 300] [--loop 30] [--threads 2]

The pools are folders of made-up accounts that share the draws of a shipped fit; each is read, simulated and projected
by itself, as pools with fits of their own would be. Efficiency is the loop's time for a pool, over threads x the
sweep's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from _timing import say_speed
from typer.testing import CliRunner

from forecaster.cli import app
from forecaster.cli.sweep import pieces_of
from forecaster.pools import find_pool
from forecaster.sweep import compute, sweep

SCENARIOS, DRAWS, FIRST, YEARS = 20, 1000, 2025, 40
FITTED = "cn_urrbmi"


def make_pools(folder: Path, count: int) -> None:
    """Pools of one's own, each with accounts of another size and a copy of the shipped fit."""
    fit = find_pool(FITTED).fits / FITTED
    manifest = json.loads((fit / "manifest.json").read_text(encoding="utf-8"))
    first = folder / "pool000"
    CliRunner().invoke(app, ["pool", "new", str(first), "--country", "CHN", "--unit", "bn"], catch_exceptions=False)
    for i in range(count):
        own = folder / f"pool{i:03}"
        if i:
            shutil.copytree(first, own, ignore=lambda *_: ["fits"])
            text = (first / "pool.toml").read_text(encoding="utf-8")
            (own / "pool.toml").write_text(text.replace("pool000", own.name), encoding="utf-8")
        rows = [f"{y},{(1.0 + i) * 1.05 ** (y - 2010):.3f},{(1.0 + i) * 1.05 ** (y - 2010):.3f},{1.0 + i:.3f},0.05"
                for y in range(2010, FIRST)]  # fmt: skip
        (own / "accounts.csv").write_text("year,income,outgo,reserve,rate\n" + "\n".join(rows) + "\n", encoding="utf-8")
        target = own / "fits" / own.name
        target.mkdir(parents=True)
        for name in ("posterior.nc", "history.csv"):
            shutil.copy(fit / name, target / name)
        (target / "manifest.json").write_text(json.dumps({**manifest, "pool": own.name, "seed": i}), encoding="utf-8")


def resident_mb() -> float:
    """Memory that this process holds, MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Watch:
    """Highest memory in each quarter of the work."""

    def __init__(self) -> None:
        self.peaks = [0.0] * 4
        self.quarter, self.stopped = 0, threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self.stopped.wait(0.1):
            self.peaks[self.quarter] = max(self.peaks[self.quarter], resident_mb())

    def told(self, done: int, of: int) -> None:
        """As the sweep tells its progress."""
        self.quarter = min(3, 4 * done // of)


def clock() -> tuple[float, float]:
    """Wall and processor time of this process."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", type=int, default=300)
    parser.add_argument("--loop", type=int, default=30, help="pools of the plain loop")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    say_speed()
    rates = {f"rate{i}": [f"general_premium_rate={0.05 + 0.0005 * i:.4f}@2027-01-01"] for i in range(1, SCENARIOS)}
    plan = {"pools": ["pool*"], "horizon": FIRST + YEARS - 1, "draws": DRAWS, "scenarios": rates}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_pools(folder, asked.pools)
        start = clock()
        pieces = pieces_of(plan, folder)
        read = [now - then for now, then in zip(clock(), start, strict=True)]
        compute(pieces[0])
        start = clock()
        for piece in pieces[: asked.loop]:
            compute(piece)
        loop = [(now - then) / len(pieces[: asked.loop]) for now, then in zip(clock(), start, strict=True)]
        watch, start = Watch(), clock()
        swept = sweep(pieces, folder / "out", plan, threads=asked.threads, told=watch.told)
        spent = [now - then for now, then in zip(clock(), start, strict=True)]
        watch.stopped.set()
    assert not swept.failed, swept.failed
    each = [value / len(pieces) for value in spent]
    print(f"{len(pieces)} pools x {SCENARIOS} scenarios x {DRAWS:,} draws x {YEARS} years, {asked.threads} threads")
    print(f"{'':22}   wall s     cpu s")
    print(f"{'reading the plan':22}{read[0]:9.1f} {read[1]:9.1f}")
    print(f"{'sweep, with its table':22}{spent[0]:9.1f} {spent[1]:9.1f}")
    print(f"{'a pool in the sweep':22}{each[0]:9.3f} {each[1]:9.3f}")
    print(f"{'a pool in a loop':22}{loop[0]:9.3f} {loop[1]:9.3f}")
    print(f"efficiency by wall {loop[0] / (asked.threads * each[0]):.0%}, by processor {loop[1] / each[1]:.0%}")
    print(f"highest memory by quarter, MB: {', '.join(f'{peak:.0f}' for peak in watch.peaks)}")


if __name__ == "__main__":
    main()
