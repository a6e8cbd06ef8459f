"""What a result was made from, as hashes: law, reform, basis, fit, data, code, libraries.

A manifest holds no time, no machine and no path, so that two runs from the same inputs have equal bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import forecaster
from forecaster.basis import Basis
from forecaster.certificate import Record
from forecaster.fund_stack import LawWithStack
from forecaster.hashing import digest
from forecaster.observations import list_places, observation_hash
from forecaster.policy import Policy
from forecaster.resources import data_dir
from forecaster.schemes import Scheme
from forecaster.severity import read_severity

LIBRARIES = ("numba", "numpy", "pandas", "pyarrow", "scipy")


def file_hash(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 over names (relative to ``root``) and bytes of files, in order of their names."""
    result = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        content = path.read_bytes()
        result.update(f"{name}\0{len(content)}\0".encode())
        result.update(content)
    return result.hexdigest()


def code_hash() -> str:
    """SHA-256 over the source files of the engine's package."""
    root = Path(forecaster.__file__).resolve().parent
    return file_hash(root.rglob("*.py"), root)


def data_hashes(place: str) -> dict[str, str | None]:
    """Hashes of a place's observed figures (None where there are none) and of the demographic tables."""
    root, folder = data_dir() / "demography", place.lower()
    return {
        "observed": observation_hash(folder) if folder in list_places() else None,
        "demography": file_hash((path for path in root.iterdir() if path.is_file()), root),
    }


def spending_hash(scheme: Scheme) -> str | None:
    """Hash of the distribution of spending behind a law's benefit layers; None where the law has none."""
    return read_severity(scheme.stack.file.severity).content_hash if isinstance(scheme, LawWithStack) else None


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can move a figure, and of Python."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return found | {"python": platform.python_version()}


def run_manifest(
    basis: Basis,
    law: Policy,
    reform: Policy | None = None,
    fit: Mapping[str, Any] | None = None,
    record: Record | None = None,
) -> dict[str, Any]:
    """Everything that decides the figures of a projection.

    Parameters
    ----------
    basis
        The draws.
    law, reform
        Baseline and reform; no reform when only the law was projected.
    fit
        Manifest of the fit that the basis was drawn from; None for a basis that was written by hand.
    record
        How the fit's model did in its backtest; None for a basis that was written by hand.

    Returns
    -------
    dict
        With ``run_hash``, the SHA-256 over all the rest but ``backtest``: what a backtest decides, the weights of
        theories, stands in the basis.
    """
    scheme = law.scheme
    content: dict[str, Any] = {
        "scheme": {"id": scheme.id, "pool": scheme.pool, "sha256": scheme.content_hash},
        "law": {"changes": [str(change) for change in law.change.changes], "sha256": law.hash},
        "reform": None,
        "basis": {
            "label": basis.label,
            "sha256": basis.hash,
            "draws": basis.n_draws,
            "first_year": int(basis.years[0]),
            "last_year": int(basis.years[-1]),
            "assumptions": list(basis.assumptions),
        },
        "fit": None,
        "data": data_hashes(scheme.place),
        "code": {"version": forecaster.__version__, "sha256": code_hash()},
        "libraries": library_versions(),
    }
    if (spending := spending_hash(scheme)) is not None:
        content["data"]["severity"] = spending
    if reform is not None:
        content["reform"] = {"changes": [str(change) for change in reform.change.changes], "sha256": reform.hash}
    if fit is not None:
        content["fit"] = {"sha256": fit["hash"], "seed": fit["seed"], "quick": fit["quick"]}
    return {"run_hash": digest(content), **content, "backtest": None if record is None else record.as_dict()}


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as it is written to a file."""
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
