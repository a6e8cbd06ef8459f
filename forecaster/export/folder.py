"""A folder of files, or one file, that is either whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from forecaster.errors import ForecasterError

MARK = "manifest.json"
_SUFFIXES = {".csv", ".parquet", ".json", ".txt", ".xlsx", ".nc", ".svg", ".zip"}


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse a folder that exists, unless ``force`` is given and all that it holds is an earlier result.

    Raises
    ------
    ForecasterError
        Naming what stands in the way.
    """
    if not os.path.lexists(folder):
        return
    if not force:
        raise ForecasterError(f"{folder} exists already; choose another folder, or replace it with --force")
    if not folder.is_dir():
        raise ForecasterError(f"{folder} is no folder; choose another name")
    names = sorted(path.name for path in _listed(folder))
    if names and MARK not in names:
        raise ForecasterError(
            f"{folder} holds {names[0]} and no {MARK}, so it is no earlier result; --force replaces only those"
        )
    foreign = [path.name for path in _listed(folder) if path.is_dir() or path.suffix not in _SUFFIXES]
    if foreign:
        raise ForecasterError(
            f"{folder} also holds {min(foreign)}, which is none of the tables; take it out, then use --force"
        )


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ForecasterError(f"cannot read {folder}: {error.strerror}") from None


def write_folder(folder: Path, files: Mapping[str, bytes], *, force: bool = False) -> None:
    """Write all files or none: into a hidden folder beside the target, flushed to disk, then renamed.

    Parameters
    ----------
    folder
        Where the files shall stand; missing parents are made.
    files
        Name to content.
    force
        Replace an earlier result that stands there.

    Raises
    ------
    ForecasterError
        When the folder exists and may not be replaced, or cannot be written (no permission, disk full); then nothing is
        left behind and an earlier result is intact.
    """
    check_target(folder, force=force)
    target = folder.resolve()
    made = _missing(target.parent)
    part: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        part.chmod(0o755 & ~_umask())
        for name, content in files.items():
            with (part / name).open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        _flush(part)
        _put(part, target)
        _flush(target.parent)
        part, made = None, []
    except OSError as error:
        reason = error.strerror or str(error)
        raise ForecasterError(f"cannot write {folder}: {reason}; nothing was left there") from None
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def write_file(path: Path, content: bytes) -> None:
    """Write one file whole or not at all: under another name, flushed to disk, then renamed over what stood there.

    Raises
    ------
    ForecasterError
        When it cannot be written (no permission, disk full); then the file is as it was before.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ForecasterError(f"cannot write {path}: {error.strerror}; it is as it was before") from None


def _missing(folder: Path) -> list[Path]:
    """Folders that do not exist yet, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _put(part: Path, target: Path) -> None:
    """Rename the finished folder to its place; an earlier one is moved aside, and back if that fails."""
    if not target.exists():
        part.rename(target)
        return
    aside = part.with_suffix(".old")
    target.rename(aside)
    try:
        part.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
