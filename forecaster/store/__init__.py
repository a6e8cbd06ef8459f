"""The run store: every fit, backtest, projection and scenario kept as it was made, and who promoted which.

A folder with an SQLite catalogue and files named by their hash, or a PostgreSQL database; docs/runs.md.
"""

from forecaster.store.catalogue import (
    Store,
    existing_store,
    open_store,
    person,
    store_address,
    store_configured,
    store_exists,
)
from forecaster.store.records import KINDS, AuditEntry, Promotion, Run, StoredFile

__all__ = [
    "KINDS",
    "AuditEntry",
    "Promotion",
    "Run",
    "Store",
    "StoredFile",
    "existing_store",
    "open_store",
    "person",
    "store_address",
    "store_configured",
    "store_exists",
]
