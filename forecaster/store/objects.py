"""Contents of files, named by their SHA-256: in a folder beside an SQLite catalogue, in a table of PostgreSQL."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, delete, insert, select

from forecaster.errors import ForecasterError
from forecaster.hashing import sha256
from forecaster.store import schema

_HASH = re.compile(r"[0-9a-f]{64}")
# A staged file older than this belongs to a writer that was killed.
ABANDONED_AFTER_S = 3600.0


class Objects(Protocol):
    """Where contents lie. ``stage`` works before the catalogue is locked, the rest within the transaction."""

    def stage(self, contents: Mapping[str, bytes]) -> object: ...

    def settle(self, staged: object, connection: Connection) -> None: ...

    def discard(self, staged: object) -> None: ...

    def read(self, sha: str, connection: Connection) -> bytes | None: ...

    def names(self, connection: Connection) -> Iterable[str]: ...

    def remove(self, sha: str, connection: Connection) -> None: ...


class FolderObjects:
    """Files ``objects/ab/abcd...``; written under another name, flushed, then renamed."""

    def __init__(self, root: Path):
        self.objects, self.staging = root / "objects", root / "staging"

    def stage(self, contents: Mapping[str, bytes]) -> Path:
        """Write the contents, by hash, into a folder of their own that nobody else looks at."""
        folder = self.staging / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            folder.mkdir(parents=True)
            for sha, content in contents.items():
                with (folder / sha).open("xb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
        except BaseException:
            self.discard(folder)
            raise
        return folder

    def settle(self, staged: object, connection: Connection) -> None:
        """Move what was staged to its place; a content that is there already is replaced, which mends it."""
        folder = Path(str(staged))
        parents = set()
        for path in folder.iterdir():
            target = self._path(path.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            parents.add(target.parent)
        for parent in parents:
            _flush(parent)
        _flush(self.objects)
        with suppress(OSError):
            folder.rmdir()

    def discard(self, staged: object) -> None:
        """Remove what was staged."""
        shutil.rmtree(Path(str(staged)), ignore_errors=True)

    def read(self, sha: str, connection: Connection) -> bytes | None:
        """Content of that hash as it lies there; None where there is none."""
        try:
            return self._path(sha).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, connection: Connection) -> Iterator[str]:
        """Hashes of all contents."""
        return (path.name for path in self.objects.glob("??/*") if _HASH.fullmatch(path.name))

    def remove(self, sha: str, connection: Connection) -> None:
        """Remove a content, and on the way what killed writers left behind."""
        self._path(sha).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what writers that were killed have staged; how many."""
        count = 0
        for folder in self.staging.glob("*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S:
                    self.discard(folder)
                    count += 1
        return count

    def _path(self, sha: str) -> Path:
        if not _HASH.fullmatch(sha):
            raise ForecasterError(f"the catalogue names a file {sha[:80]!r}, which is no SHA-256: it was tampered with")
        return self.objects / sha[:2] / sha


class TableObjects:
    """Rows of the table ``objects``."""

    def stage(self, contents: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Nothing to do: the transaction itself writes all or nothing."""
        return contents

    def settle(self, staged: object, connection: Connection) -> None:
        """Insert what is not there yet; mend what is there and damaged."""
        table = schema.objects
        for sha, content in dict(staged).items():  # type: ignore[call-overload]  # as given by `stage`
            known = self.read(sha, connection)
            if known is not None and sha256(known) == sha:
                continue
            connection.execute(delete(table).where(table.c.sha256 == sha))
            connection.execute(insert(table).values(sha256=sha, content=content))

    def discard(self, staged: object) -> None:
        """Nothing was written."""

    def read(self, sha: str, connection: Connection) -> bytes | None:
        """Content of that hash; None where there is none."""
        table = schema.objects
        found = connection.execute(select(table.c.content).where(table.c.sha256 == sha)).scalar_one_or_none()
        return None if found is None else bytes(found)

    def names(self, connection: Connection) -> list[str]:
        """Hashes of all contents."""
        return list(connection.execute(select(schema.objects.c.sha256)).scalars())

    def remove(self, sha: str, connection: Connection) -> None:
        """Remove a content."""
        connection.execute(delete(schema.objects).where(schema.objects.c.sha256 == sha))


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
