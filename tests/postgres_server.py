"""A PostgreSQL server of the tests' own: made in a temporary folder, on this machine only, gone with the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port

PLACES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
UNPRIVILEGED = "nobody"  # the server refuses to run as root


def find_server() -> Path | None:
    """Folder with ``initdb`` and ``postgres``, if they are installed."""
    folders = [folder for place in PLACES for folder in sorted(Path(place).glob("*/bin"), reverse=True)]
    named = shutil.which("initdb")
    folders += [Path(named).resolve().parent] if named else []
    return next((f for f in folders if all((f / name).exists() for name in ("initdb", "postgres", "pg_ctl"))), None)


@contextmanager
def running_server() -> Iterator[str]:
    """Address of the server, ``postgresql://postgres@127.0.0.1:PORT``."""
    programs = find_server()
    assert programs is not None
    # Not below pytest's own folder, which another user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="forecaster-postgres-"))
    as_user = {"user": UNPRIVILEGED} if os.getuid() == 0 else {}
    if as_user:
        shutil.chown(folder, UNPRIVILEGED)
    data = folder / "data"

    def run(*words: str) -> None:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **as_user
        )
        assert done.returncode == 0, done.stderr

    try:
        run(str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        port = free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control, log = str(programs / "pg_ctl"), str(folder / "log")
        run(control, "-D", str(data), "-w", "-t", "300", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            run(control, "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
