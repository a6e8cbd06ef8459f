"""Recording results in the run store, and unpacking a recorded one so that it can be computed again.

A projection is kept with its law and benefit stack, its basis or its fit (as its parent run), the user's own pool if it
is one, the certificate and the request that made it: only the program's own data and code are needed to make it anew.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forecaster.certificate import FILE as CERTIFICATE
from forecaster.certificate import Record, certificate_bytes
from forecaster.errors import ForecasterError
from forecaster.fund_stack import LawWithStack
from forecaster.layers import Stack, layer_path
from forecaster.pools import POOL_FILE, SCHEME_FILE, Pool
from forecaster.schemes import Scheme
from forecaster.store import Run, Store
from forecaster.theories import Weighting

REQUEST, BASIS, STACK = "request.json", "basis.toml", "stack.toml"
# What the files of a stack's layers are called.
_LAYER = "layer."
# What of a fit's folder makes it a fit.
_FIT_MARK = "posterior.nc"


@dataclass(frozen=True)
class Request:
    """What was asked of a projection.

    Attributes
    ----------
    horizon
        Last projected year.
    changes
        The reform, as texts NAME=VALUE@DATE.
    draws
        Number of draws of the fit; None for all, and for a basis file.
    first
        The policy compared with, as texts; None for the law of the basis.
    weighed
        Weights of the theories of cost growth; None where there are none, and in runs that were kept before weights
        were: those take today's. A theory alone has weight 1.
    options
        How spending follows ageing, as texts NAME=VALUE; see :class:`forecaster.need.SpendingOptions`.
    """

    horizon: int
    changes: tuple[str, ...] = ()
    draws: int | None = None
    first: tuple[str, ...] | None = None
    weighed: Weighting | None = None
    options: tuple[str, ...] = ()

    def as_file(self) -> bytes:
        """As its file holds it."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()

    @classmethod
    def read(cls, content: bytes) -> Request:
        """From its file."""
        raw = json.loads(content)
        first, weighed = raw.get("first"), raw.get("weighed")
        return cls(
            horizon=int(raw["horizon"]),
            changes=tuple(raw["changes"]),
            draws=raw.get("draws"),
            first=None if first is None else tuple(first),
            weighed=None if weighed is None else Weighting(**weighed),
            options=tuple(raw.get("options", ())),
        )


def record_fit(store: Store, pool: Pool, folder: Path, why: str) -> Run:
    """Keep a fit; one that is kept already is not kept twice.

    Parameters
    ----------
    folder
        Of the fit itself, with its manifest and posterior.
    """
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    manifest = json.loads(files["manifest.json"])
    known = store.newest("fit", manifest["hash"])
    if known is not None:
        return known
    return store.publish("fit", pool.name, manifest["hash"], manifest, {**files, **_own_files(pool)}, why=why)


def record_backtest(store: Store, pool: Pool, folder: Path, why: str) -> Run:
    """Keep a backtest's certificate and report; one that is kept already is not kept twice."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    certificate = json.loads(files[CERTIFICATE])
    known = store.newest("backtest", certificate["hash"])
    if known is not None:
        return known
    return store.publish("backtest", pool.name, certificate["hash"], certificate, files, why=why)


def record_projection(
    store: Store,
    law: Scheme,
    request: Request,
    manifest: Mapping[str, Any],
    files: Mapping[str, bytes],
    *,
    why: str,
    basis: Path | None = None,
    fit: tuple[Pool, Path] | None = None,
    record: Record | None = None,
) -> Run:
    """Keep a projection, and the fit that it was made from as its parent.

    Parameters
    ----------
    law
        The scheme that was projected under, with its stack if it has one.
    manifest, files
        Of the result, as written to its folder.
    basis
        File of the assumptions, when it was not made from a fit.
    fit
        Pool and folder of the fit, when it was made from one.
    record
        What the result says of its model's past forecasts; its certificate is kept with the run.
    """
    parent = None
    own: dict[str, bytes] = {SCHEME_FILE: law.path.read_bytes(), REQUEST: request.as_file()}
    if basis is not None:
        own[BASIS] = basis.read_bytes()
    if isinstance(law, LawWithStack):
        own |= stack_files(law.stack)
    if record is not None and record.content is not None:
        own[CERTIFICATE] = certificate_bytes(record.content)
    if fit is not None:
        pool, folder = fit
        parent = record_fit(store, pool, folder, why).id
        own |= _own_files(pool)
    reformed = manifest["reform"] is not None
    kind, pool_name = "scenario" if reformed else "projection", str(manifest["scheme"]["pool"])
    content = {**files, **own}
    return store.publish(kind, pool_name, str(manifest["run_hash"]), manifest, content, why=why, parent=parent)


def stack_files(stack: Stack) -> dict[str, bytes]:
    """A stack and its layers as files of a run.

    Raises
    ------
    ForecasterError
        When the stack's distribution of spending is a file of the user's own, which a run does not hold.
    """
    if stack.file.severity.endswith(".toml"):
        raise ForecasterError(
            f"stack {stack.id} and --save: its spending is the file {stack.file.severity}, which a kept run does not "
            "hold; name a shipped one in the stack, or leave --save out"
        )
    path = stack.law.path
    layers = {f"{_LAYER}{layer.id}.toml": layer_path(layer.id, path.parent).read_bytes() for layer in stack.layers}
    return {STACK: path.read_bytes(), **layers}


def _own_files(pool: Pool) -> dict[str, bytes]:
    if pool.folder is None:
        return {}
    paths = (*pool.files, pool.folder / SCHEME_FILE)
    return {path.name: path.read_bytes() for path in paths}


@dataclass(frozen=True)
class Unpacked:
    """A recorded projection laid out as files.

    Attributes
    ----------
    request
        What was asked.
    law
        What names the law: its file, or the folder of the user's own pool.
    stack
        File of the benefit stack, its layers beside it, or None.
    basis
        File of the assumptions, or None.
    fits
        Folder that holds the pool's fit, or None.
    record
        What the result said of its model's past forecasts.
    """

    request: Request
    law: str
    stack: str | None
    basis: str | None
    fits: Path | None
    record: Record | None


@contextmanager
def unpacked(store: Store, run: Run) -> Iterator[Unpacked]:
    """A recorded projection in a folder that is gone afterwards.

    Raises
    ------
    ForecasterError
        When the run is no projection, or a file of it or of its fit is missing or damaged.
    """
    if REQUEST not in run.files:
        raise ForecasterError(f"run {run.short} is a {run.kind}: only a projection or a scenario can be computed again")
    with tempfile.TemporaryDirectory(prefix="forecaster-") as made:
        root = Path(made)
        folder = root / run.pool
        folder.mkdir()
        store.write_files(run, folder)
        fits = None
        if run.parent is not None:
            fits = root / "fits"
            unpack_fit(store, store.find(run.parent), fits)
        basis = folder / BASIS
        yield Unpacked(
            request=Request.read(store.read(run, REQUEST)),
            law=str(folder if POOL_FILE in run.files else folder / SCHEME_FILE),
            stack=_unpack_stack(folder),
            basis=str(basis) if basis.is_file() else None,
            fits=fits,
            record=_record(run.manifest.get("backtest")),
        )


def _unpack_stack(folder: Path) -> str | None:
    """The stack among a run's files under the names that it was read by; None where there is none."""
    if not (folder / STACK).is_file():
        return None
    own = folder / "stack"
    own.mkdir()
    for path in folder.glob(f"{_LAYER}*.toml"):
        path.rename(own / path.name.removeprefix(_LAYER))
    return str((folder / STACK).rename(own / STACK))


def unpack_fit(store: Store, run: Run, fits: Path) -> Path:
    """A recorded fit as ``fits/POOL``, where :func:`forecaster.fitted.load_fit` finds it.

    Raises
    ------
    ForecasterError
        When the run is no fit, or a file of it is missing or damaged.
    """
    if _FIT_MARK not in run.files:
        raise ForecasterError(f"run {run.short} is a {run.kind}, not a fit")
    folder = fits / run.pool
    folder.mkdir(parents=True, exist_ok=True)
    store.write_files(run, folder)
    return folder


def _record(said: Mapping[str, Any] | None) -> Record | None:
    if said is None:
        return None
    content = None if said["certificate"] is None else {"hash": said["certificate"]}
    return Record(said["status"], tuple(said["warnings"]), tuple(said["record"]), content)
