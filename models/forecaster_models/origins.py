"""Origins of a backtest as independent jobs: two at a time, each stored whole or not at all, taken up again when there.

This module imports no Bayesian library, so that a worker starts quickly; what is judged brings its own.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from forecaster.errors import ForecasterError
from forecaster.scores import forecast_rows
from forecaster_models.rivals import rival_draws
from forecaster_models.weighing import Scales
from forecaster_models.workers import end_with_parent

Array = np.ndarray
Draws = dict[str, dict[str, Array]]
# Origin, share done, message.
Progress = Callable[[int, float, str], None]

WORKERS = 2


class Forecaster(Protocol):
    """What is judged: a callable that may be sent to another process."""

    def inputs(self) -> dict[str, Any]:
        """Everything that decides its draws, as plain data."""

    def __call__(self, origin: int, tell: Callable[[float, str], None]) -> tuple[Draws, dict[str, Any]]:
        """Draws from one origin and the verdict on the fit behind them.

        Returns
        -------
        tuple
            Question (:data:`forecaster.scores.QUESTIONS`) to line to draws, shape ``(horizon, draw)``, the first row
            for the year after the origin; with theories of cost growth ``question.theory`` to the same; and
            ``accepted`` with ``reasons``, and with theories ``agreed``: whether the chains agree well enough to weigh
            them.
        """


@dataclass(frozen=True)
class Job:
    """What a worker has to know to do any origin.

    Attributes
    ----------
    judged
        What makes the forecasts.
    horizon
        Years ahead.
    outcomes, gdp
        What the naive rules read, see :func:`forecaster_models.rivals.rival_draws`.
    work
        Folder of the finished origins.
    """

    judged: Forecaster
    horizon: int
    outcomes: pd.DataFrame
    gdp: Mapping[int, float] | None
    work: Path

    def file(self, origin: int) -> Path:
        """Where an origin's draws lie when it is finished."""
        return self.work / f"{origin}.npz"


def run_origins(job: Job, origins: Iterable[int], tell: Progress, executor: Executor | None = None) -> None:
    """Do what is not there yet, two origins at a time; ``executor`` may be any of the same interface.

    Raises
    ------
    ForecasterError
        When a worker died; what was finished stays.
    """
    todo = []
    for origin in origins:
        if job.file(origin).exists():
            tell(origin, 1.0, "kept")
        else:
            todo.append(origin)
    if not todo:
        return
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(end_with_parent)
    with manager:
        reports = manager.Queue()
        workers = executor or ProcessPoolExecutor(WORKERS, mp_context=context, initializer=end_with_parent)
        try:
            waiting: set[Future[None]] = {workers.submit(_do_origin, job, origin, reports) for origin in todo}
            while waiting:
                done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                while not reports.empty():
                    tell(*reports.get())
                for finished in done:
                    finished.result()
        except BrokenProcessPool:
            kept = sum(job.file(origin).exists() for origin in todo)
            raise ForecasterError(
                f"a worker of the backtest was killed, perhaps for want of memory; {kept} of {len(todo)} origins were "
                "finished and are kept. To mend: run the same command again, it goes on from there"
            ) from None
        except BaseException:
            # Ctrl-C or a fault: do not wait minutes for the other origin.
            if executor is None:
                workers.shutdown(wait=False, cancel_futures=True)
                for child in multiprocessing.active_children():
                    child.terminate()
            raise
        if executor is None:
            workers.shutdown()


def _do_origin(job: Job, origin: int, reports: Any) -> None:
    """One origin: draws of what is judged and of the naive rules, stored under a temporary name, then renamed."""

    def tell(share: float, message: str) -> None:
        # The last hundredth is the naive rules and the writing.
        reports.put((origin, 0.99 * share, message))

    tell(0.0, "starting")
    with threadpool_limits(1):
        draws, verdict = job.judged(origin, tell)
        tell(1.0, "naive rules")
        draws |= rival_draws(job.outcomes, origin, job.horizon, job.gdp)
    arrays = {
        f"{rule}/{line}": np.asarray(values, dtype=np.float32)
        for rule, lines in draws.items()
        for line, values in lines.items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, verdict=np.array(json.dumps(verdict)), **arrays)  # type: ignore[arg-type]
    temporary = job.work / f".{origin}.{os.getpid()}.part"
    with temporary.open("wb") as stream:
        stream.write(buffer.getvalue())
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, job.file(origin))
    reports.put((origin, 1.0, "done" if verdict["accepted"] else "done, fit rejected"))


def read_origin_files(
    work: Path, origins: Iterable[int], outcomes: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]], Scales]:
    """Report over all origins, scored; the verdicts on their fits by origin; and the scales of the theories.

    Where an origin holds a forecast for each theory of cost growth, what is scored is their average with the weights
    that the earlier origins' outcomes had earned by then, see :class:`forecaster_models.weighing.Scales`.
    """
    rows: list[dict[str, object]] = []
    verdicts = {}
    scales = Scales(outcomes)
    for origin in sorted(origins):
        with np.load(work / f"{origin}.npz", allow_pickle=False) as stored:
            verdicts[str(origin)] = json.loads(str(stored["verdict"]))
            draws: Draws = {}
            for name in stored.files:
                rule, _, line = name.partition("/")
                if line:
                    draws.setdefault(rule, {})[line] = stored[name].astype(float)
        for rule, lines in scales.averaged(origin, draws, agreed=verdicts[str(origin)].get("agreed", True)).items():
            rows += forecast_rows(rule, origin, lines, outcomes)
    return pd.DataFrame(rows), verdicts, scales
