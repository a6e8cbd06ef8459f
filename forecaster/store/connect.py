"""Connecting to a catalogue: SQLite in a folder, or PostgreSQL, brought to the newest form of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from forecaster.errors import ForecasterError

CATALOGUE = "catalogue.sqlite"
# The newest migration in `migrations/versions`.
NEWEST = "0001"
WAIT_S = 60.0
# Names this project's lock among those of other users of a PostgreSQL database.
_LOCK = 0x464F5245


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
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ForecasterError(f"cannot open the run store {shown(address)}: {reason}") from None
    except OSError as error:
        raise ForecasterError(f"cannot open the run store {shown(address)}: {error.strerror}") from None
    return engine


def _server(address: str) -> Engine:
    # One command, one connection: nothing is kept open for others to wait for.
    return create_engine(_server_url(address), poolclass=NullPool)


def _folder(root: Path) -> Engine:
    root.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        URL.create("sqlite", database=str(root / CATALOGUE)), poolclass=NullPool, connect_args={"timeout": WAIT_S}
    )

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        # The driver's own idea of transactions begins them too late; ours begin with the statement below.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


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
