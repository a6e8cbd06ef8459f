"""The wheel is what gets installed: three packages, the data and the dashboard's script, and it works alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _run(*command: str, cwd: Path, **environment: str) -> str:
    # A user's pip settings, such as a target folder, must not steer these calls.
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PIP_TARGET", "PIP_USER"}}
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command[:4]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(REPOSITORY), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder with the installed wheel and nothing else of the project."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run(*pip, "install", "--no-compile", "--no-deps", "--no-index", "--target", str(folder), str(wheel), cwd=folder)
    return folder


def _run_installed(installed: Path, code: str, tmp_path: Path) -> str:
    # The test's own environment may hold an editable install: its folders are taken off the path first.
    own = f"p.startswith({str(REPOSITORY)!r}) and 'site-packages' not in p"
    only = f"import sys; sys.path = [p for p in sys.path if not ({own})]\n"
    return _run(sys.executable, "-c", only + code, cwd=tmp_path, PYTHONPATH=str(installed)).strip()


def test_wheel_holds_what_it_should_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"forecaster", "forecaster_models", "forecaster_dashboards"}
    assert {
        "forecaster/cli/__init__.py",
        "forecaster/py.typed",
        "forecaster_models/py.typed",
        "forecaster/data/schemes/tw_nhi_2g.toml",
        "forecaster_dashboards/script/app.py",
        "forecaster_dashboards/script/.streamlit/config.toml",
        "forecaster/language/locale/zh_TW.po",
        "forecaster/language/locale/zh_CN.po",
    } <= set(names)
    assert [name for name in names if "__pycache__" in name or name.endswith((".nbi", ".nbc"))] == []


def test_wheel_holds_every_data_file(wheel):
    data = REPOSITORY / "data"
    # A fit or backtest that is still running keeps its parts in hidden folders.
    files = [path.relative_to(data) for path in data.rglob("*") if path.is_file()]
    wanted = {f"forecaster/data/{path.as_posix()}" for path in files if not any(p.startswith(".") for p in path.parts)}
    assert len(wanted) > 2
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_wheel_names_its_version_and_command(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    (entries,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
    text = archive.read(metadata).decode()
    source = (REPOSITORY / "forecaster" / "__init__.py").read_text("utf-8")
    version = source.split('__version__ = "')[1].split('"')[0]
    assert "\nName: insurance-pool-forecaster\n" in text
    assert f"\nVersion: {version}\n" in text
    assert "forecaster = forecaster.cli:main" in archive.read(entries).decode()


def test_installed_packages_are_the_wheels(installed, tmp_path):
    names = ["forecaster", "forecaster_models", "forecaster_dashboards"]
    code = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    paths = _run_installed(installed, code, tmp_path).splitlines()
    assert [Path(path).is_relative_to(installed) for path in paths] == [True, True, True]


def test_data_are_found_inside_the_package(installed, tmp_path):
    found = _run_installed(installed, "from forecaster.resources import data_dir; print(data_dir())", tmp_path)
    assert Path(found) == installed / "forecaster" / "data"


def test_shipped_scheme_loads(installed, tmp_path):
    code = (
        "from forecaster.schemes import load_scheme, scheme_ids; print(load_scheme('tw_nhi_2g').id, len(scheme_ids()))"
    )
    name, count = _run_installed(installed, code, tmp_path).split()
    assert name == "tw_nhi_2g"
    assert int(count) >= 2


def test_help_works(installed, tmp_path):
    text = _run_installed(
        installed,
        "import runpy; sys.argv = ['forecaster', '--help']; runpy.run_module('forecaster', run_name='__main__')",
        tmp_path,
    )
    assert {"fit", "project", "check", "sources", "dashboard"} <= set(text.split())
