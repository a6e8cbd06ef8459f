"""``forecaster dashboard``: the dashboard in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from forecaster.errors import ForecasterError

# The settings beside the script say the same; here they hold wherever the command is run from.
SETTINGS = {
    "runner.postScriptGC": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "browser.gatherUsageStats": "false",
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "server.maxUploadSize": "10",
    "logger.hideWelcomeMessage": "true",
}
# Every session runs in threads of its own, and glibc keeps freed memory apart for each: with two places for all, a
# session adds well under 1 MB in place of 3.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


def dashboard(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8501,
    address: Annotated[str, typer.Option("--address", help="Address to listen on; by default only this machine.")] = (
        "127.0.0.1"
    ),
    headless: Annotated[bool, typer.Option("--headless", help="Do not try to open a browser.")] = False,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", metavar="FOLDER", help="Show a pool of your own too; repeatable.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Read only: no page of downloads.")] = False,
) -> None:
    """Show the dashboard on the shipped fits and print its address."""
    script = dashboard_script()
    own = [argument for name in pool or () for argument in ("--pool", own_pool(name))]
    if public:
        os.environ["FORECASTER_PUBLIC"] = "1"
    check_port(address, port)
    host = f"[{address}]" if ":" in address else address
    shown = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    print(f"Dashboard: http://{shown}:{port} (stop it with Ctrl+C)", flush=True)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    command = streamlit_command(script, address, port, headless)
    os.execv(sys.executable, [*command, "--", *own] if own else command)


def own_pool(name: str) -> str:
    """Folder of a pool of one's own that has a fit, as an absolute path.

    Raises
    ------
    ForecasterError
        When it is no pool, or has not been fitted.
    """
    from forecaster.fitted import load_fit
    from forecaster.pools import find_pool

    pool = find_pool(name)
    load_fit(pool)
    return str(Path(pool.address).resolve()) if pool.folder else pool.name


def dashboard_script() -> Path:
    """The script that Streamlit runs: inside the installed package, else in the checkout beside it."""
    import forecaster_dashboards

    package = Path(str(forecaster_dashboards.__file__)).resolve().parent
    for candidate in (package / "script" / "app.py", package.parent / "app.py"):
        if candidate.is_file():
            return candidate
    raise ForecasterError("the dashboard's script app.py was not found; reinstall the package")


def streamlit_command(script: Path, address: str, port: int, headless: bool) -> list[str]:
    """Command line of the dashboard's process."""
    settings = SETTINGS | {
        "server.address": address,
        "server.port": str(port),
        "server.headless": "true" if headless else "false",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", str(script), *flags]


def check_port(address: str, port: int) -> None:
    """Refuse a port that cannot be listened on.

    Raises
    ------
    ForecasterError
        In one line, with a port that is free when there is one near.
    """
    reason = _refusal(address, port)
    if reason is None:
        return
    free = next((p for p in range(max(port, 1024) + 1, min(port + 50, 65536)) if _refusal(address, p) is None), None)
    if free is None:
        raise ForecasterError(f"cannot listen on {address}, port {port}: {reason}; choose with --address and --port")
    raise ForecasterError(
        f"port {port} of {address}: {reason}. Choose another: forecaster dashboard --port {free} (make run PORT={free})"
    )


def _refusal(address: str, port: int) -> str | None:
    """Why the port cannot be had; None when it is free."""
    import errno
    import socket

    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "already in use"
        return error.strerror or str(error)
    return None
