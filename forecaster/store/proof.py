"""Whether a catalogue is as it was written: its log's chain, what the log says of runs and names, its own guards."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlalchemy import Connection, text

from forecaster.store.records import FIRST, AuditEntry, Promotion
from forecaster.store.schema import GUARDED

# PostgreSQL's `pg_trigger.tgtype`: for each row, before, and what it fires on.
_EACH_ROW_BEFORE, _FIRES_ON = 1 | 2, {"DELETE": 8, "UPDATE": 16}
_REFUSAL = "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END"


def log_faults(log: list[AuditEntry], present: set[str], promoted: Iterable[tuple[int, Promotion]]) -> list[str]:
    """Where the log's chain breaks, and where runs and names are not as it says.

    Parameters
    ----------
    log
        All of it, oldest first.
    present
        Ids of the runs that the catalogue has.
    promoted
        Every promotion with the number of its line in the log.
    """
    found, previous = [], FIRST
    for i, entry in enumerate(log, 1):
        if entry.seq != i or entry.previous != previous or entry.hash != entry.expected():
            found.append(f"audit log: line {entry.seq} was changed, or lines before it were removed")
            break
        previous = entry.hash
    published = {entry.subject for entry in log if entry.action == "publish"}
    pruned = {entry.subject for entry in log if entry.action == "prune"}
    found += [f"run {run[:12]}: not in the audit log" for run in sorted(present - published)]
    found += [f"run {run[:12]}: removed behind the store's back" for run in sorted(published - pruned - present)]
    said = {(entry.seq, _promotion(entry)) for entry in log if entry.action == "promote"}
    differing = sorted({promotion.name for _, promotion in said ^ set(promoted)})
    return found + [f"name {name}: its promotion is not as the audit log has it" for name in differing]


def _promotion(entry: AuditEntry) -> Promotion:
    """The promotion that a line of the log records; a damaged line records none that was ever made."""
    try:
        detail = json.loads(entry.detail)
        return Promotion(str(detail["name"]), entry.subject, entry.who, entry.at, str(detail["why"]))
    except (ValueError, KeyError, TypeError):
        return Promotion("(unreadable)", entry.subject, entry.who, entry.at, "")


def guard_faults(connection: Connection) -> list[str]:
    """Which of the database's own refusals to change what was written are gone or were altered."""
    sound = _sqlite_guards(connection) if connection.dialect.name == "sqlite" else _server_guards(connection)
    return [
        f"table {table}: its own guard against {action} is gone or was altered; restore the store from a copy"
        for table, action in GUARDED
        if (table, action) not in sound
    ]


def _sqlite_guards(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    found = {str(name): str(sql) for name, sql in rows}
    return {
        (table, action)
        for table, action in GUARDED
        if found.get(f"{table}_no_{action.lower()}")
        == f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    }


def _server_guards(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(
        text(
            "SELECT c.relname, t.tgname, t.tgtype FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_proc p ON p.oid = t.tgfoid WHERE c.relnamespace = current_schema()::regnamespace "
            "AND t.tgenabled = 'O' AND t.tgqual IS NULL AND btrim(p.prosrc) = :refusal"
        ),
        {"refusal": _REFUSAL},
    )
    found = {(str(table), str(name)): int(kind) for table, name, kind in rows}
    return {
        (table, action)
        for table, action in GUARDED
        if found.get((table, f"{table}_no_{action.lower()}")) == _EACH_ROW_BEFORE | _FIRES_ON[action]
    }
