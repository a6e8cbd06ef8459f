"""A fit that is killed goes on from its last finished block, and what it publishes is there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecaster.fitted import HISTORY_COLUMNS, Fit, load_fit
from forecaster.resources import data_dir
from small_fit import NAMES, SEED, draws_of

TESTS = Path(__file__).resolve().parent
POOL = "tw_nhi"


# --- killed between two blocks ----------------------------------------------------------------------------------------
@contextmanager
def running(out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The small fit in a process group of its own, which is killed whole at the end."""
    rooms = os.pathsep.join(str(TESTS.parent / room) for room in (".", "models", "tests"))
    with (out / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(TESTS / "small_fit.py"), str(out)],
            env=os.environ | {"PYTHONPATH": rooms},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def waiting(out: Path) -> set[str]:
    """Blocks whose result waits to be taken up."""
    return {path.stem for path in out.glob(".work/*/*.json")}


def sampled(out: Path) -> list[str]:
    return sorted((out / "sampled").read_text().split())


def test_a_killed_fit_keeps_its_finished_blocks_and_the_older_fit_and_its_workers_end(tmp_path):
    shutil.copytree(data_dir() / "fitted" / POOL, tmp_path / POOL)
    before = contents(tmp_path / POOL)
    with running(tmp_path) as process:
        for _ in range(15_000):
            if waiting(tmp_path) == {"first", "third"} and "second" in sampled(tmp_path):
                break
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        else:
            raise AssertionError((tmp_path / "log").read_text())
        workers = group_of(process.pid) - {process.pid}
        assert len(workers) >= 3  # two workers and the server of their messages
        process.kill()  # the program alone, not its group: the others have to end by themselves
        process.wait()
        deadline = time.monotonic() + 300
        while group_of(process.pid):
            assert time.monotonic() < deadline, group_of(process.pid)
            time.sleep(0.05)
    assert contents(tmp_path / POOL) == before
    assert {path.name for path in tmp_path.iterdir()} == {".work", "log", "sampled", POOL}
    assert sampled(tmp_path) == ["first", "second", "third"]

    (tmp_path / "go").touch()
    with running(tmp_path) as process:
        assert process.wait(600) == 0, (tmp_path / "log").read_text()
    # The two finished blocks were not sampled again; the one that was under way began anew.
    assert sampled(tmp_path) == ["first", "second", "second", "third"]
    fit = load_fit(POOL, tmp_path)
    for i, name in enumerate(NAMES):
        drawn = draws_of(name, SEED + i)[f"{name}_level"].reshape(-1).astype(np.float32)
        assert np.array_equal(fit.posterior[f"{name}_level"], drawn)
    assert list(fit.history.columns) == list(HISTORY_COLUMNS)
    assert list((tmp_path / ".work").iterdir()) == []
    assert not list(tmp_path.glob(f".{POOL}*"))


def group_of(leader: int) -> set[int]:
    """Processes of a group that still run."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {int(pid) for pid, group, state in rows if int(group) == leader and not state.startswith("Z")}


# --- stopped at any step of publishing --------------------------------------------------------------------------------
class Killed(BaseException):
    """The process ends here."""


def stop_before(monkeypatch: pytest.MonkeyPatch, call: int) -> list[str]:
    """Let the process end before its ``call``-th change of the file system; the changes made are listed."""
    made: list[str] = []

    def guarded(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def change(*args: object, **named: object) -> object:
            if len(made) == call:
                raise Killed
            made.append(name)
            return real(*args, **named)

        return change

    for owner, name in (
        (shutil, "rmtree"),
        (os, "replace"),
        (Path, "mkdir"),
        (Path, "write_text"),
        (xr.Dataset, "to_netcdf"),
        (pd.DataFrame, "to_csv"),
    ):
        monkeypatch.setattr(owner, name, guarded(name, getattr(owner, name)))
    return made


def publish(out: Path, level: float) -> None:
    from forecaster_models import fit

    manifest = {"accepted": True, "blocks": {}, "seed": 1, "level": level}
    history = pd.DataFrame({name: [level] for name in HISTORY_COLUMNS})
    fit._publish(out / POOL, xr.Dataset({"level": ("sample", np.full(5, level))}), {"history": history}, manifest, None)


def level_of(fit: Fit) -> float:
    """The level of a fit, after all of its parts have been found to agree."""
    assert fit.posterior["level"].tolist() == [fit.manifest["level"]] * 5
    assert fit.history["mean"].tolist() == [fit.manifest["level"]]
    return float(fit.manifest["level"])


def test_publishing_leaves_the_old_fit_or_the_new_one_wherever_it_is_stopped(tmp_path, monkeypatch):
    found, steps = [], 0
    for step in range(50):
        out = tmp_path / str(step)
        out.mkdir()
        publish(out, 1.0)
        with monkeypatch.context() as patched:
            made = stop_before(patched, step)
            try:
                publish(out, 2.0)
                steps = len(made)
            except Killed:
                assert len(made) == step
        found.append(level_of(load_fit(POOL, out)))
        # And the next one is published as if nothing had been.
        publish(out, 3.0)
        assert level_of(load_fit(POOL, out)) == 3.0
        assert [path.name for path in out.iterdir()] == [POOL]
        if steps:
            break
    assert steps >= 8
    assert found == sorted(found)
    assert set(found) == {1.0, 2.0}
    assert json.loads((out / POOL / "manifest.json").read_text())["level"] == 3.0
