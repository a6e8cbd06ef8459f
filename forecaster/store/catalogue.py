"""The store itself: publish, find, promote, prune, and prove that nothing was changed.

A run is published in one transaction after its files are safely on disk, so that whoever looks sees the whole run or
none of it. Writers wait for one another. A run's id is the SHA-256 over everything that was recorded of it, files
included; the audit log is a chain of hashes that begins with zeros.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from forecaster.errors import Fault, FaultyInput, ForecasterError
from forecaster.hashing import canonical, digest, sha256
from forecaster.store import schema
from forecaster.store.connect import CATALOGUE, connect, is_server, reason, shown, writing
from forecaster.store.objects import FolderObjects, Objects, TableObjects
from forecaster.store.proof import guard_faults, log_faults
from forecaster.store.records import FIRST, KINDS, AuditEntry, Promotion, Run, StoredFile

VARIABLE, DEFAULT = "FORECASTER_STORE", "runs"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_ID = re.compile(r"[0-9a-f]{4,64}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def store_address() -> str:
    """Where runs are kept: the folder or the PostgreSQL address of ``FORECASTER_STORE``, else the folder ``runs``."""
    return os.environ.get(VARIABLE) or DEFAULT


def store_exists() -> bool:
    """Whether anything was ever kept at :func:`store_address`; nothing is made by asking."""
    address = store_address()
    return is_server(address) or any((Path(address) / name).exists() for name in (CATALOGUE, "objects"))


def existing_store() -> Store:
    """The store at :func:`store_address` for who only reads: none is made, for runs are recorded where a store is.

    Raises
    ------
    ForecasterError
        When there is none, or it cannot be opened.
    """
    if not store_exists():
        raise ForecasterError(
            f"nothing has been kept in {shown(store_address())} yet: forecaster project ... --save WHY keeps a run; if "
            f"yours are elsewhere, name that folder or database in {VARIABLE}"
        )
    return open_store()


def store_configured() -> bool:
    """Whether runs shall be recorded without being asked for: an address is set, or the folder ``runs`` is a store."""
    return bool(os.environ.get(VARIABLE)) or (Path(DEFAULT) / CATALOGUE).is_file()


def open_store(address: str | None = None) -> Store:
    """The store at an address, made when it is not there yet; :func:`store_address` when left out.

    Raises
    ------
    ForecasterError
        When it cannot be opened; a password is never shown.
    """
    address = address or store_address()
    engine = connect(address)
    return Store(engine, TableObjects() if is_server(address) else FolderObjects(Path(address)), address)


def person() -> str:
    """Who is at work: ``FORECASTER_WHO``, else the user's name on this machine."""
    try:
        return os.environ.get("FORECASTER_WHO") or getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


class Store:
    """An open store; methods are safe to call from several processes at once."""

    def __init__(self, engine: Engine, objects: Objects, address: str):
        self.engine, self.objects, self.address = engine, objects, address

    @property
    def label(self) -> str:
        """The address without a password."""
        return shown(self.address)

    # --- writing ------------------------------------------------------------------------------------------------------
    def publish(
        self,
        kind: str,
        pool: str,
        result: str,
        manifest: Mapping[str, Any],
        files: Mapping[str, bytes],
        *,
        why: str,
        parent: str | None = None,
    ) -> Run:
        """Keep a run for good.

        Parameters
        ----------
        kind, pool, result, manifest, why, parent
            See :class:`Run`.
        files
            Name to content.

        Raises
        ------
        ForecasterError
            When there is no room or it cannot be written; then the store is as it was before.
        """
        faults = [
            Fault(f"file {name[:80]!r}", "no plain name", "letters, digits, point, _ and -", "rename it")
            for name in files
            if not _FILE.fullmatch(name)
        ]
        if kind not in KINDS:
            faults.append(Fault("kind", repr(kind), ", ".join(KINDS), "use one of these"))
        if not why.strip():
            faults.append(Fault("why", "nothing", "a few words", "say what the run is for"))
        if faults:
            raise FaultyInput("the run", faults)
        contents = {sha256(content): content for content in files.values()}
        known = {name: StoredFile(sha256(content), len(content)) for name, content in files.items()}
        manifest = json.loads(canonical(manifest))  # as it will be read again
        draft = Run("", kind, pool, result, why.strip(), person(), _now(), parent, manifest, known)
        run = Run(**{**draft.__dict__, "id": digest(draft.content())})
        with self._told(sum(map(len, contents.values()))):
            staged = self.objects.stage(contents)
            try:
                with writing(self.engine) as connection:
                    self.objects.settle(staged, connection)
                    row = {name: getattr(run, name) for name in _RUN_COLUMNS}
                    connection.execute(insert(schema.runs).values(**row, manifest=canonical(manifest).decode()))
                    rows = [{"run_id": run.id, "name": n, "sha256": f.sha256, "size": f.size} for n, f in known.items()]
                    if rows:
                        connection.execute(insert(schema.run_files), rows)
                    _note(connection, run.who, run.created, "publish", run.id, {"kind": kind, "result": result})
            finally:
                self.objects.discard(staged)
        return run

    def promote(self, run: Run, name: str, why: str) -> Promotion:
        """Give a run a name that others follow; the earlier holder of the name stays in the log.

        Raises
        ------
        ForecasterError
            When the name cannot be one, or no reason is given.
        """
        if not NAME.fullmatch(name) or _ID.fullmatch(name):
            allowed = "a letter, then letters, digits, _ and -, and not only the letters a to f"
            raise FaultyInput("the promotion", [Fault("the name", repr(name[:80]), allowed, "choose another name")])
        if not why.strip():
            raise FaultyInput("the promotion", [Fault("why", "nothing", "a few words", "say why this run is the one")])
        given = Promotion(name, run.id, person(), _now(), why.strip())
        with self._told(), writing(self.engine) as connection:
            if not connection.execute(select(schema.runs.c.id).where(schema.runs.c.id == run.id)).first():
                raise ForecasterError(f"run {run.short} has been pruned meanwhile")
            seq = _note(connection, given.who, given.at, "promote", run.id, {"name": name, "why": given.why})
            connection.execute(insert(schema.promotions).values(seq=seq, **given.__dict__))
        return given

    def prune(self, before: str, *, kinds: tuple[str, ...] = KINDS, really: bool) -> list[Run]:
        """Remove runs older than a moment that nothing hangs on, and contents that no run has.

        Runs that were ever promoted stay, and so do runs that one that stays was made from.

        Parameters
        ----------
        before
            UTC, ISO 8601.
        really
            Remove them; else only tell which.
        """
        with self._told(), writing(self.engine) as connection:
            everything = {run.id: run for run in self._runs(connection)}
            kept = {run.id for run in everything.values() if run.created >= before or run.kind not in kinds}
            kept |= set(connection.execute(select(schema.promotions.c.run_id)).scalars())
            for identity in tuple(kept):
                at = everything.get(identity)
                while at is not None and at.parent is not None:
                    kept.add(at.parent)
                    at = everything.get(at.parent)
            gone = [run for run in everything.values() if run.id not in kept]
            if not really:
                return gone
            for run in _children_first(gone):
                connection.execute(delete(schema.run_files).where(schema.run_files.c.run_id == run.id))
                connection.execute(delete(schema.runs).where(schema.runs.c.id == run.id))
                _note(connection, person(), _now(), "prune", run.id, {"kind": run.kind, "why": run.why})
        self._collect()
        return gone

    def _collect(self) -> None:
        """Remove contents that no run has; nobody can publish meanwhile."""
        with self._told(), writing(self.engine) as connection:
            used = set(connection.execute(select(schema.run_files.c.sha256)).scalars())
            for sha in [name for name in self.objects.names(connection) if name not in used]:
                self.objects.remove(sha, connection)
        if isinstance(self.objects, FolderObjects):
            self.objects.sweep()

    # --- reading ------------------------------------------------------------------------------------------------------
    def runs(self, kind: str | None = None, pool: str | None = None) -> list[Run]:
        """Runs, newest first."""
        with self._told(), self.engine.connect() as connection:
            found = self._runs(connection)
        return [r for r in found if (kind is None or r.kind == kind) and (pool is None or r.pool == pool)]

    def find(self, name: str) -> Run:
        """The run with that id (four characters or more of its beginning suffice), or that holds that name.

        Raises
        ------
        ForecasterError
            When there is none, or several.
        """
        if _ID.fullmatch(name):
            found = [run for run in self.runs() if run.id.startswith(name)]
            if len(found) == 1:
                return found[0]
            if found:
                several = ", ".join(run.short for run in found[:5])
                raise ForecasterError(f"{name} may be {several}; write more of the run's id")
        elif NAME.fullmatch(name):
            holders = self.baselines()
            if name in holders:
                return self.find(holders[name].run_id)
        raise ForecasterError(f"no run {name[:80]!r} in {self.label}; forecaster runs list shows all, and their names")

    def newest(self, kind: str, result: str) -> Run | None:
        """The newest run of a kind with that result."""
        return next((run for run in self.runs(kind) if run.result == result), None)

    def baselines(self) -> dict[str, Promotion]:
        """Every name with its present holder."""
        table = schema.promotions
        with self._told(), self.engine.connect() as connection:
            rows = connection.execute(select(table).order_by(table.c.seq)).mappings().all()
        return {row["name"]: _promotion(row) for row in rows}

    def read(self, run: Run, name: str) -> bytes:
        """Content of a run's file, checked against its hash.

        Raises
        ------
        ForecasterError
            When the run has no such file, or it is missing or damaged.
        """
        if name not in run.files:
            raise ForecasterError(f"run {run.short} has no file {name[:80]!r}; it has {', '.join(sorted(run.files))}")
        with self._told(), self.engine.connect() as connection:
            fault = self._file_fault(run, name, connection)
            content = self.objects.read(run.files[name].sha256, connection)
        if fault is not None or content is None:
            raise ForecasterError(f"{fault}; restore the store from a copy")
        return content

    def write_files(self, run: Run, folder: Path) -> None:
        """All files of a run into an existing folder."""
        for name in run.files:
            (folder / name).write_bytes(self.read(run, name))

    def audit_log(self) -> list[AuditEntry]:
        """The log, oldest first."""
        with self._told(), self.engine.connect() as connection:
            return _log(connection)

    # --- proof --------------------------------------------------------------------------------------------------------
    def faults_of(self, run: Run) -> list[str]:
        """What is wrong with one run: its record does not give its id, a file is missing or damaged."""
        with self._told(), self.engine.connect() as connection:
            return self._faults_of(run, connection)

    def faults(self) -> list[str]:
        """What is wrong with the store: runs, files, names, log, catalogue. Empty when all is as it was written."""
        with self._told(), self.engine.connect() as connection:
            found = []
            if self.engine.dialect.name == "sqlite":
                said = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
                found += [f"the catalogue is damaged: {line}" for line in said if line != "ok"]
            known = self._runs(connection)
            for run in known:
                found += self._faults_of(run, connection)
            log = _log(connection)
            rows = connection.execute(select(schema.promotions)).mappings().all()
            found += guard_faults(connection)
        return found + log_faults(log, {run.id for run in known}, [(row["seq"], _promotion(row)) for row in rows])

    def _faults_of(self, run: Run, connection: Connection) -> list[str]:
        found = [] if digest(run.content()) == run.id else [f"run {run.short}: its record was changed"]
        return found + [fault for name in run.files if (fault := self._file_fault(run, name, connection))]

    def _file_fault(self, run: Run, name: str, connection: Connection) -> str | None:
        content = self.objects.read(run.files[name].sha256, connection)
        if content is None:
            return f"run {run.short}: {name} is missing"
        if sha256(content) != run.files[name].sha256:
            return f"run {run.short}: {name} is damaged, its content does not match its hash"
        return None

    def _runs(self, connection: Connection) -> list[Run]:
        files: dict[str, dict[str, StoredFile]] = {}
        for row in connection.execute(select(schema.run_files)).mappings():
            files.setdefault(row["run_id"], {})[row["name"]] = StoredFile(row["sha256"], row["size"])
        table = schema.runs
        ordered = select(table).order_by(table.c.created.desc(), table.c.id)
        return [
            Run(
                **{name: row[name] for name in _RUN_COLUMNS},
                manifest=_read_manifest(row["manifest"]),
                files=files.get(row["id"], {}),
            )
            for row in connection.execute(ordered).mappings()
        ]

    @contextmanager
    def _told(self, needed: int = 0) -> Iterator[None]:
        """Faults of disk and database in words a user can act on."""
        try:
            yield
        except ForecasterError:
            raise
        except (OSError, SQLAlchemyError) as error:
            raise ForecasterError(f"run store {self.label}: {reason(error, self.address, needed)}") from None


_RUN_COLUMNS = ("id", "kind", "pool", "result", "why", "who", "created", "parent")


def _promotion(row: RowMapping) -> Promotion:
    return Promotion(**{name: row[name] for name in ("name", "run_id", "who", "at", "why")})


def _children_first(runs: list[Run]) -> list[Run]:
    """Each run before the one it was made from, whatever the clock said when they were made."""
    among = {run.id: run for run in runs}

    def ancestors(run: Run) -> int:
        parent = among.get(run.parent or "")
        return 0 if parent is None else 1 + ancestors(parent)

    return sorted(runs, key=ancestors, reverse=True)


def _read_manifest(content: str) -> Mapping[str, Any]:
    """The manifest of a row; a damaged one is kept as it is, so that its run is found to be changed."""
    try:
        found = json.loads(content)
    except ValueError:
        return {"damaged": content}
    return found if isinstance(found, dict) else {"damaged": content}


def _note(connection: Connection, who: str, at: str, action: str, subject: str, detail: Mapping[str, Any]) -> int:
    """Add a line to the log; only within a transaction that is the only one to write."""
    table = schema.audit
    last = connection.execute(select(func.max(table.c.seq))).scalar_one_or_none()
    previous = FIRST
    if last is not None:
        previous = connection.execute(select(table.c.hash).where(table.c.seq == last)).scalar_one()
    draft = AuditEntry((last or 0) + 1, at, who, action, subject, canonical(detail).decode(), previous, "")
    connection.execute(insert(table).values(**{**draft.__dict__, "hash": draft.expected()}))
    return draft.seq


def _log(connection: Connection) -> list[AuditEntry]:
    table = schema.audit
    return [AuditEntry(**row) for row in connection.execute(select(table).order_by(table.c.seq)).mappings()]
