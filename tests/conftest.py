"""What all tests share: pinned threads, kept compile caches, a hypothesis profile, Chromium for the browser tests."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache"
_MAIN = sys.modules["__main__"]

# Before anything imports NumPy or PyTensor: one thread for linear algebra (a busy small machine is many times slower
# with more), and compiled code kept in the checkout, where the Makefile keeps it too.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_variable] = "1"
os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))
os.environ.setdefault("PYTENSOR_FLAGS", f"base_compiledir={CACHE / 'pytensor'}")
os.environ.setdefault("MPLCONFIGDIR", str(CACHE / "matplotlib"))
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(CACHE / "hypothesis"))
os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")

import pytest  # noqa: E402
import typer.testing  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from postgres_server import find_server, running_server  # noqa: E402

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
BROWSER_REQUIRED = CI or os.environ.get("FORECASTER_REQUIRE_BROWSER", "") not in {"", "0"}
POSTGRES_REQUIRED = CI or os.environ.get("FORECASTER_REQUIRE_POSTGRES", "") not in {"", "0"}

# A shared machine is sometimes slow, so no deadline; in CI the examples are the same every time.
settings.register_profile(
    "forecaster", deadline=None, derandomize=CI, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("forecaster")

# One tree of commands for all runs of the command line: to make it takes as long as most runs.
typer.testing._get_command = functools.cache(typer.testing._get_command)

# The files that take longest come first, so that no worker is left alone with one at the end.
LONGEST = (
    "test_dashboard_browser.py",
    # Early, so that other files find the fund's density compiled.
    "test_models_fund.py",
    "test_backtest.py",
    "test_dashboard_page.py",
    "test_models_demography.py",
    "test_models_plain.py",
    "test_theories.py",
    "test_dashboard_signin.py",
    "test_fit_resume.py",
    "test_cli.py",
)

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_PLACES = (
    "/usr/bin/chromium",
    "/usr/lib/chromium/chromium",
    "/snap/bin/chromium",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
_skipped = pytest.StashKey[list[str]]()


def find_chromium() -> str | None:
    """Path of the Chromium (or Chrome) to test with: ``FORECASTER_CHROMIUM`` when set, else the first one installed."""
    named = os.environ.get("FORECASTER_CHROMIUM")
    if named is not None:
        return shutil.which(named)
    candidates = (*CHROMIUM_NAMES, *CHROMIUM_PLACES)
    return next((found for found in map(shutil.which, candidates) if found), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first. Without Chromium or PostgreSQL: skip the tests that need it, stop in CI."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    config.stash[_skipped] = []
    for mark, what, found, required in (
        ("browser", "Chromium", find_chromium(), BROWSER_REQUIRED),
        ("postgres", "PostgreSQL", find_server(), POSTGRES_REQUIRED),
    ):
        wanting = [item for item in items if item.get_closest_marker(mark)]
        if not wanting or found:
            continue
        if required:
            install = {"browser": "chromium", "postgres": "postgresql"}[mark]
            raise pytest.UsageError(f"{len(wanting)} {mark} tests need {what} and none was found; install {install}")
        config.stash[_skipped].append(f"{len(wanting)} {mark} tests, for no {what} was found")
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason=f"no {what} found"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say aloud what was not tested."""
    for text in config.stash.get(_skipped, []):
        terminalreporter.write_line(f"NOT TESTED: {text}; docs/setup.md says how to have it", yellow=True)


@pytest.fixture(scope="module")
def postgres_address() -> Iterator[str]:
    """Address of a PostgreSQL server that runs as long as the module's tests."""
    with running_server() as address:
        yield address


@pytest.fixture(scope="session")
def packages_scanned_once() -> Iterator[None]:
    """Each page that Streamlit's test runner opens reads the metadata of all packages, as long as most pages take."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of the Chromium that the browser tests use."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found; mark the test with `browser`")
    return path


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Launch arguments of pytest-playwright: the installed Chromium, calling nobody by itself."""
    path = find_chromium()
    own: dict[str, Any] = {"args": [*browser_type_launch_args.get("args", []), *CHROMIUM_FLAGS]}
    if path is not None:
        own["executable_path"] = path
    return {**browser_type_launch_args, **own}


@pytest.fixture(autouse=True)
def _main_stays_pytests() -> None:
    """Streamlit's test runner leaves its script as ``__main__``, which a process spawned later would run again."""
    sys.modules["__main__"] = _MAIN


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY
