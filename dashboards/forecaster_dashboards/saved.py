"""Scenarios saved by name in the run store, where one is set up (docs/runs.md): runs such as the command line keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from forecaster import export
from forecaster.certificate import Record
from forecaster.errors import ForecasterError
from forecaster.export import Scenario, forecast_tables, table_files
from forecaster.manifest import manifest_bytes
from forecaster.policy import Policy, Reform
from forecaster.pools import Pool
from forecaster.replay import Request, record_projection
from forecaster.store import Run, Store, open_store, store_configured

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def store() -> Store | None:
    """The run store; None where none is set up or it does not answer."""
    if not store_configured():
        return None
    try:
        return open_store()
    except ForecasterError:
        return None


def names(held: Store, pool: str, law: str) -> dict[str, Run]:
    """Saved scenarios of a pool under a law, by name; those among them too whose record no longer says which law.

    Raises
    ------
    ForecasterError
        When the store does not answer.
    """
    by_id = {run.id: run for run in held.runs("scenario", pool) if _law_of(run) in (law, None)}
    return {name: by_id[held_by.run_id] for name, held_by in held.baselines().items() if held_by.run_id in by_id}


def save(
    held: Store,
    pool: Pool,
    both: tuple[Scenario, Scenario],
    manifest: Mapping[str, Any],
    name: str,
    why: str,
    record: Record | None = None,
) -> Run:
    """Keep baseline and reform as a run and give it a name.

    Raises
    ------
    ForecasterError
        When it cannot be written, or the name is none.
    """
    from forecaster.fitted import load_fit

    tables = table_files(forecast_tables(both), manifest["run_hash"], (manifest["backtest"] or {}).get("warnings", ()))
    hashes = {file: export.sha256(content) for file, content in sorted(tables.items())}
    files = {**tables, export.MARK: manifest_bytes({**manifest, "files": hashes})}
    reform, fit = both[1].policy, load_fit(pool.address)
    changes = tuple(map(str, reform.change.changes))
    request = Request(int(both[1].basis.years[-1]), changes, weighed=fit.weighting())
    law, kept = reform.scheme, (pool, fit.folder)
    run = record_projection(held, law, request, manifest, files, why=why, fit=kept, record=record)
    held.promote(run, name, why)
    return run


def _law_of(run: Run) -> object:
    scheme = run.manifest.get("scheme")
    return scheme.get("id") if isinstance(scheme, dict) else None


def reform_of(run: Run, law: Policy) -> Reform | None:
    """The reform of a saved scenario; None when its record is damaged or today's law has no such lever or value."""
    try:
        reform = Reform.parse(run.manifest["reform"]["changes"])
        law.reform(reform)
    except (ForecasterError, KeyError, TypeError, AttributeError):
        return None
    return reform
