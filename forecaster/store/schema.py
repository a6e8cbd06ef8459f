"""Tables of the catalogue. The migrations make them; a test holds the two against each other."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 over all the rest and the files
    Column("kind", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("result", String(64), nullable=False),  # the manifest's own hash: equal for equal inputs
    Column("why", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("created", Text, nullable=False),  # UTC, ISO 8601
    Column("parent", String(64), ForeignKey("runs.id")),
    Column("manifest", Text, nullable=False),  # canonical JSON
)
run_files = Table(
    "run_files",
    metadata,
    Column("run_id", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
)
promotions = Table(
    "promotions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # of the audit entry that records it
    Column("name", Text, nullable=False),
    Column("run_id", String(64), ForeignKey("runs.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("why", Text, nullable=False),
)
audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
# Contents of files where the catalogue has no folder beside it (PostgreSQL).
objects = Table(
    "objects",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
# Table, and what the database itself refuses in it: what was written is never changed; runs may be pruned, the log not.
GUARDED = (
    ("runs", "UPDATE"),
    ("run_files", "UPDATE"),
    ("promotions", "UPDATE"),
    ("promotions", "DELETE"),
    ("audit", "UPDATE"),
    ("audit", "DELETE"),
)
