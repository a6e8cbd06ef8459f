"""Connecting to a catalogue: SQLite in a folder, or PostgreSQL, brought to the newest form of its tables."""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from forecaster.errors import ForecasterError

CATALOGUE = "catalogue.sqlite"
# The newest migration in `migrations/versions`.
NEWEST = "0001"
WAIT_S = 60.0
# Names this project's lock among those of other users of a PostgreSQL database.
_LOCK = 0x464F5245
# Where SQLite cannot make or write the files beside the catalogue: a full disk, a folder that may only be read.
_CANNOT_WRITE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
_DAMAGED = re.compile(r"malformed|not a database|could not decode|no such (column|table)", re.I)
# With less than this free a disk counts as full: SQLite then tells of input and output only.
_NO_ROOM_BYTES = 100_000


def is_server(address: str) -> bool:
    """Whether an address means a PostgreSQL database and not a folder."""
    return address.startswith(("postgresql:", "postgres:", "postgresql+"))


def shown(address: str) -> str:
    """The address without its password."""
    return _server_url(address).render_as_string(hide_password=True) if is_server(address) else address


def _server_url(address: str) -> URL:
    try:
        url = make_url(address.replace("postgres:", "postgresql:", 1) if address.startswith("postgres:") else address)
    except (ArgumentError, ValueError):
        raise ForecasterError(
            "the address of the run store cannot be read; write a folder, or "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None
    return url.set(drivername="postgresql+psycopg")


def connect(address: str) -> Engine:
    """Engine of the catalogue at an address, its tables made or brought up to date.

    Raises
    ------
    ForecasterError
        When it cannot be reached, written, or was made by a newer version.
    """
    try:
        engine = _server(address) if is_server(address) else _folder(Path(address))
        _bring_up_to_date(engine)
    except (SQLAlchemyError, OSError, UnicodeDecodeError) as error:
        raise ForecasterError(f"cannot open the run store {shown(address)}: {reason(error, address)}") from None
    return engine


def reason(error: Exception, address: str, needed: int = 0) -> str:
    """Why disk or database refused, in words a user can act on; ``needed`` bytes were to be written."""
    if isinstance(error, OSError):
        full, only_read = error.errno in {errno.ENOSPC, errno.EDQUOT}, error.errno == errno.EROFS
        words = error.strerror or type(error).__name__
    else:
        words = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        full = isinstance(error, OperationalError) and bool(re.search(r"is full|no space left", words, re.I))
        full |= "disk I/O error" in words and not is_server(address) and _free(address) < _NO_ROOM_BYTES
        only_read = "readonly database" in words
    if full:
        size = f", {needed / 1e6:,.1f} MB needed" if needed else ""
        free = "" if is_server(address) else f", {_free(address) / 1e6:,.1f} MB free"
        return f"no room on its disk{size}{free}; nothing was changed. Make room first: runs prune needs some, too"
    if isinstance(error, UnicodeDecodeError) or _DAMAGED.search(words):
        return f"its catalogue is damaged ({words}); restore the store from a copy"
    if only_read:
        return "it can only be read: write access to its folder is needed"
    return words


def _free(address: str) -> int:
    """Bytes free where a folder is or would be."""
    at = next(path for path in (Path(address).absolute(), *Path(address).absolute().parents) if path.exists())
    return shutil.disk_usage(at).free


def _server(address: str) -> Engine:
    # One command, one connection: nothing is kept open for others to wait for.
    return create_engine(_server_url(address), poolclass=NullPool)


def _folder(root: Path) -> Engine:
    root.mkdir(parents=True, exist_ok=True)
    path = root / CATALOGUE
    if not _bytes(path) and next((root / "objects").glob("??/*"), None) is not None:
        raise ForecasterError(
            f"run store {root}: {CATALOGUE} is gone, its runs' files are there; restore it from a copy"
        )
    # One connection at a time, and nothing kept open for others to wait for.
    engine = create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, creator=lambda: _sqlite_connection(path)
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _sqlite_connection(path: Path) -> sqlite3.Connection:
    """A connection to a catalogue; where nothing can be written beside it, one that reads it all the same.

    SQLite reads a catalogue through two files that it makes beside it. On a full disk it cannot, and reads with the
    catalogue locked for others instead; in a folder that may only be read, as a file that nobody is changing, which
    holds unless a writer was killed and left changes beside it.
    """
    exclusive, unchanging = "PRAGMA locking_mode = EXCLUSIVE", f"{path.absolute().as_uri()}?immutable=1"
    first: sqlite3.OperationalError | None = None
    for address, settings in ((str(path), ()), (str(path), (exclusive,)), (unchanging, ())):
        beside = path.with_name(f"{path.name}-wal")
        if address == unchanging and (not _bytes(path) or _bytes(beside)):
            break
        connection = sqlite3.connect(address, timeout=WAIT_S, uri=address == unchanging)
        # The driver's own idea of transactions begins them too late; ours begin with the engine's own statement.
        connection.isolation_level = None
        try:
            for setting in (*settings, "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"):
                connection.execute(setting).close()
            if address != unchanging:
                connection.execute("PRAGMA journal_mode = WAL").close()
            with closing(connection.execute("SELECT count(*) FROM sqlite_master")) as cursor:
                cursor.fetchone()
            return connection
        except BaseException as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError) or error.sqlite_errorcode & 0xFF not in _CANNOT_WRITE:
                raise
            first = first or error
    assert first is not None
    raise first


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is the only one to write until it ends, all or nothing."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield connection


def _bring_up_to_date(engine: Engine) -> None:
    with engine.connect() as connection:
        version = _version(connection)
    if version == NEWEST:
        return
    with writing(engine) as connection:
        version = _version(connection)  # another process may have been first
        if version == NEWEST:
            return
        if version is not None and version > NEWEST:
            raise ForecasterError(
                f"the run store was made by a newer version (its tables are {version}, this one knows {NEWEST}); "
                "upgrade the forecaster"
            )
        _upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
