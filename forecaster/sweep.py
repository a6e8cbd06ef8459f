"""Many pools at once: every pool under every scenario, on Dask, into one table.

A piece of work is a pool with a seed: its draws are made once and every scenario is projected on them. Each finished
piece is a file of its own, named by the hash of all that decides it, so that a sweep that was stopped at any moment
goes on where it stood, and a plan that grew computes only what is new. The same pieces give the same table, byte for
byte, whoever computed them and in whatever order.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecaster.basis import Basis, read_basis
from forecaster.engine import project
from forecaster.errors import ForecasterError
from forecaster.export import Scenario, column_table, csv_bytes, events, parquet_bytes, write_file
from forecaster.fitted import load_fit
from forecaster.fund_stack import law_with_stack
from forecaster.hashing import digest, sha256
from forecaster.manifest import code_hash, data_hashes, library_versions, manifest_bytes, spending_hash
from forecaster.policy import Policy, Reform
from forecaster.pools import find_pool
from forecaster.schemes import Scheme, load_scheme
from forecaster.solvency import pay_as_you_go_rate, quantiles

if TYPE_CHECKING:
    from distributed import Client

LAW = "law"
PARTS, TABLE = "parts", "sweep"
BANDS = (0.1, 0.5, 0.9)
# Pieces under way for each thread of the workers: enough that none waits, few enough that results do not pile up.
AHEAD = 2
CONNECT_S = 30


@dataclass(frozen=True)
class Piece:
    """A pool with a seed, and the scenarios to project on its draws.

    Attributes
    ----------
    name
        What the table calls the pool.
    law
        Pool (its name or folder) or, beside a basis file, scheme whose law it is.
    basis
        Name or path of a basis file instead of the pool's fit.
    scenarios
        Name and changes of the law (texts NAME=VALUE@DATE) of each; the first is the law itself.
    horizon
        Last projected year; None for a basis file's own.
    draws
        So many draws of the fit; None for all, and for a basis file.
    seed
        From which the fit's futures are simulated; None for a basis file, which is one path.
    backtest
        Status of the pool's record, written beside the figures.
    inputs
        Hashes of law, fit or basis, data and code; what computes the piece must see the same.
    """

    name: str
    law: str
    basis: str | None
    scenarios: tuple[tuple[str, tuple[str, ...]], ...]
    horizon: int | None
    draws: int | None
    seed: int | None
    backtest: str
    inputs: tuple[tuple[str, str], ...]

    @cached_property
    def key(self) -> str:
        """SHA-256 over everything that decides the figures; where the files lie does not."""
        decides = (self.name, self.scenarios, self.horizon, self.draws, self.seed, self.backtest, self.inputs)
        return digest(decides)


@dataclass(frozen=True)
class Swept:
    """What a sweep left.

    Attributes
    ----------
    folder
        With ``sweep.parquet``, ``sweep.csv``, ``columns.csv`` and ``manifest.json``, unless pieces failed.
    computed, found
        Pieces that were computed now, and those that lay there from before.
    failed
        Name of a piece to what went wrong.
    """

    folder: Path
    computed: int
    found: int
    failed: Mapping[str, str]


def inputs_of(law: str, basis: str | None) -> tuple[tuple[str, str], ...]:
    """Hashes of all that a piece reads, by what it is, in order."""
    if basis is not None:
        own = {"basis": read_basis(basis).hash}
    else:
        pool = find_pool(law)
        fit = load_fit(pool)
        own = {"fit": str(fit.manifest["hash"])}
        weighed = fit.weighting()
        if weighed is not None:
            own["weights of its theories"] = digest([weighed.weights, weighed.remark])
        if pool.model == "plain":
            own["pool"] = digest([sha256(path.read_bytes()) for path in pool.files])
    scheme = law_of(law, basis)
    if (spending := spending_hash(scheme)) is not None:
        own["distribution of spending"] = spending
    shared = {
        "law": scheme.content_hash,
        "population or observed figures": _data(scheme.place),
        "code": _code(),
    }
    return tuple((own | shared).items())


# What a worker keeps of code and figures is what it has loaded, so their hashes are kept as long.
@cache
def _code() -> str:
    return code_hash()


@cache
def _data(place: str) -> str:
    return digest(data_hashes(place))


def law_of(law: str, basis: str | None) -> Scheme:
    """The law that a piece stands on: of a pool with the terms of its benefit layers, of a basis file the scheme's."""
    return load_scheme(law) if basis else law_with_stack(find_pool(law).law)


def compute(piece: Piece) -> bytes:
    """The piece's rows as Parquet; what a worker runs.

    Raises
    ------
    ForecasterError
        When the law, fit or code that is seen here is not the one that the plan was made with.
    """
    seen = dict(inputs_of(piece.law, piece.basis))
    apart = [name for name, value in piece.inputs if seen.get(name) != value]
    if apart:
        raise ForecasterError(
            f"{piece.name}: another {' and '.join(apart)} is seen here than where the sweep was started; give all "
            "workers the same installation and the same files at the same paths, and start them anew after a change"
        )
    return parquet_bytes(piece_table(piece), piece.key)


def piece_table(piece: Piece) -> pd.DataFrame:
    """Rows of all scenarios by year; the data dictionary (``columns.csv``) explains the columns."""
    scheme, basis = law_of(piece.law, piece.basis), _basis(piece)
    parts: list[pd.DataFrame] = []
    baseline: np.ndarray | None = None
    for name, changes in piece.scenarios:
        policy = Policy(scheme, Reform.parse(changes))
        scenario = Scenario(name, basis, policy, project(basis, policy))
        baseline = scenario.projection.closing if baseline is None else baseline
        columns = {
            "pool": piece.name,
            "seed": pd.array([piece.seed] * len(basis.years), dtype="Int64"),
            "scenario": name,
            "year": basis.years,
            "unit": scheme.money,
            "draws": basis.n_draws,
            **_measures(scenario, baseline),
            "backtest": piece.backtest,
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _measures(scenario: Scenario, baseline: np.ndarray) -> dict[str, np.ndarray]:
    result, happened = scenario.projection, events(scenario)
    payg = pay_as_you_go_rate(scenario.basis, scenario.policy, result)
    found = {
        "income_mean": result.total_income.mean(axis=1),
        "outgo_mean": result.outgo.mean(axis=1),
        "reserve_mean": result.closing.mean(axis=1),
        "reserve_less_law_mean": (result.closing - baseline).mean(axis=1),
        **_banded("reserve", result.closing),
        **_banded("reserve_months", result.reserve_months),
        "below_floor_by_year": happened["first_below_floor"].by_year,
        "depleted_by_year": happened["first_depletion"].by_year,
        "deficit_by_year": happened["first_deficit"].by_year,
        "general_premium_rate_mean": np.broadcast_to(result.premiums.rate, payg.shape).mean(axis=1),
        **_banded("pay_as_you_go_rate", payg),
    }
    return {name: values + 0.0 for name, values in found.items()}  # a minus zero would print as "-0.0"


def _banded(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_q{p:g}": row for p, row in zip(BANDS, quantiles(values, BANDS), strict=True)}


def _basis(piece: Piece) -> Basis:
    if piece.basis is not None:
        basis = read_basis(piece.basis)
        return basis if piece.horizon is None else basis.until(piece.horizon)
    assert piece.horizon is not None  # only a basis file has an end of its own
    return load_fit(find_pool(piece.law)).basis(piece.horizon, piece.draws, seed=piece.seed)


def sweep(
    pieces: Sequence[Piece],
    folder: Path,
    plan: Mapping[str, Any],
    *,
    scheduler: str | None = None,
    threads: int | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Swept:
    """Compute the pieces that are not there yet, then write the table of all.

    Parameters
    ----------
    pieces
        Their order is that of the table.
    folder
        Where the table shall stand; finished pieces lie in its folder ``parts``.
    plan
        What goes into the manifest beside the hashes.
    scheduler
        Address of a Dask scheduler (``tcp://host:8786``); by default threads of this process.
    threads
        How many of them; all processors by default.
    told
        Called with the number of finished pieces and of all, first for those that were there.

    Raises
    ------
    ForecasterError
        When the folder holds something else, cannot be written, or the scheduler cannot be reached or is lost. Finished
        pieces stay; the same sweep goes on from there.
    """
    with _alone(_prepared(folder)) as parts:
        return _swept(pieces, folder, parts, plan, scheduler, threads, told)


def _swept(
    pieces: Sequence[Piece],
    folder: Path,
    parts: Path,
    plan: Mapping[str, Any],
    scheduler: str | None,
    threads: int | None,
    told: Callable[[int, int], None],
) -> Swept:
    missing = [piece for piece in pieces if not _part(parts, piece).is_file()]
    done, failed = len(pieces) - len(missing), dict[str, str]()
    told(done, len(pieces))
    if missing:
        with _client(scheduler, threads) as client:
            for piece, content in _computed(client, missing):
                if isinstance(content, str):
                    failed[_title(piece)] = content
                else:
                    write_file(_part(parts, piece), content)
                done += 1
                told(done, len(pieces))
    if not failed:
        _write_table(folder, parts, pieces, plan)
    return Swept(folder, len(missing) - len(failed), len(pieces) - len(missing), failed)


def _title(piece: Piece) -> str:
    return piece.name if piece.seed is None else f"{piece.name}, seed {piece.seed}"


def _part(parts: Path, piece: Piece) -> Path:
    return parts / f"{piece.key}.parquet"


def _prepared(folder: Path) -> Path:
    parts = folder / PARTS
    try:
        if folder.exists() and not parts.is_dir() and any(folder.iterdir()):
            raise ForecasterError(f"{folder} holds other things and no earlier sweep; choose another folder")
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ForecasterError(f"cannot write {folder}: {error.strerror}") from None
    return parts


@contextmanager
def _alone(parts: Path) -> Iterator[Path]:
    """The folder of parts for this process alone; whoever dies leaves it free."""
    with ExitStack() as opened:
        try:
            stream = opened.enter_context((parts / ".lock").open("w"))
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ForecasterError(
                f"another sweep is at work in {parts.parent}; wait for its end, or choose another folder"
            ) from None
        except OSError as error:
            raise ForecasterError(f"cannot write {parts}: {error.strerror}") from None
        yield parts


@contextmanager
def _client(scheduler: str | None, threads: int | None) -> Iterator[Client]:
    """A client of the cluster, or of threads in this process, which open no port."""
    from dask import config
    from distributed import Client, LocalCluster
    from threadpoolctl import threadpool_limits

    if scheduler is None:
        count = threads or len(os.sched_getaffinity(0))
        quiet = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.gil.enabled": False}
        with (
            config.set(quiet),
            # The pieces run side by side already; more threads within one would only wait for each other.
            threadpool_limits(1),
            LocalCluster(
                n_workers=1, threads_per_worker=count, processes=False, dashboard_address=None, memory_limit=0
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    again = "finished pieces are kept; the same command goes on from them"
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise ForecasterError(
            f"no Dask scheduler answers at {scheduler}: {error}; start one with: dask scheduler"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError:
            raise ForecasterError(f"no worker at {scheduler}; start one with: dask worker {scheduler}") from None
        try:
            yield client
        except (OSError, RuntimeError) as error:
            raise ForecasterError(f"the scheduler at {scheduler} was lost ({error}); {again}") from None


def _computed(client: Client, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | str]]:
    """Each piece with its rows or with what went wrong, as they finish; only a few are under way at any time."""
    from distributed import CancelledError, KilledWorker, as_completed

    waiting, running = iter(pieces), as_completed()
    under_way: dict[str, Piece] = {}

    def top_up() -> None:
        # Workers may come and go; where the last has just gone, one piece waits for the next to come.
        room = max(1, AHEAD * sum(client.nthreads().values())) - len(under_way)
        for piece in islice(waiting, max(0, room)):
            future = client.submit(compute, piece, key=f"forecaster-{piece.key}", pure=False)
            under_way[str(future.key)] = piece
            running.add(future)

    top_up()
    for future in running:
        piece = under_way.pop(str(future.key))
        try:
            yield piece, future.result()
        except ForecasterError as error:
            yield piece, str(error)
        except KilledWorker:
            yield piece, "its workers died again and again; give them more memory, or take fewer draws"
        except CancelledError as error:
            raise RuntimeError(f"cancelled: {error}") from None
        except Exception as error:  # one piece's fault must not end the others
            if client.status != "running":
                raise
            yield piece, f"{type(error).__name__}: {error}"
        future.release()
        top_up()


def _write_table(folder: Path, parts: Path, pieces: Sequence[Piece], plan: Mapping[str, Any]) -> None:
    """All pieces as one table, read one at a time; first beside their names, so that a half table is never seen."""
    import pyarrow.parquet as pq

    names = [f"{TABLE}.parquet", f"{TABLE}.csv"]
    halves = [folder / f".{name}.part" for name in names]
    run = digest([plan, [piece.key for piece in pieces], library_versions()])
    try:
        with halves[1].open("wb") as text:
            writer = None
            for piece in pieces:
                table = pq.read_table(_part(parts, piece))
                if writer is None:
                    schema = table.schema.with_metadata({"run_hash": run})
                    writer = pq.ParquetWriter(halves[0], schema, compression="zstd")
                    text.write(csv_bytes(table.slice(0, 0).to_pandas()))
                writer.write_table(table.replace_schema_metadata({"run_hash": run}))
                text.write(csv_bytes(table.to_pandas()).split(b"\n", 1)[1])
            if writer is not None:
                writer.close()
        hashes = {name: _file_hash(half) for name, half in zip(names, halves, strict=True)}
        for name, half in zip(names, halves, strict=True):
            os.replace(half, folder / name)
    except OSError as error:
        for half in halves:
            with suppress(OSError):
                half.unlink(missing_ok=True)
        raise ForecasterError(f"cannot write {folder}: {error.strerror}; the finished pieces are kept") from None
    columns = column_table()
    write_file(folder / "columns.csv", csv_bytes(columns[columns["table"] == TABLE]))
    inputs = {_title(piece): {**dict(piece.inputs), "backtest": piece.backtest} for piece in pieces}
    content = {"run_hash": run, "plan": plan, "pools": inputs, "libraries": library_versions(), "files": hashes}
    write_file(folder / "manifest.json", manifest_bytes(content))


def _file_hash(path: Path) -> str:
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
