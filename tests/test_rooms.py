"""Who may import whom, read off the syntax trees; and that the light entrances stay light."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("forecaster", "forecaster_models", "forecaster_dashboards")

# Within `forecaster` a module imports only what stands before it here. A new module is entered at its place.
ORDER = (
    "errors",
    "hashing",
    "resources",
    "language",
    "normal",
    "parameters",
    "schemes",
    "policy",
    "observations",
    "pool_accounts",
    "pool_reserves",
    "pool_doubts",
    "intake_sheets",
    "intake_files",
    "intake_units",
    "intake_words",
    "intake_headings",
    "intake_figures",
    "intake",
    "intake_merge",
    "pools",
    "demography",
    "enrolment",
    "members",
    "severity",
    "layers",
    "stack_kernels",
    "benefits",
    "mutual",
    "cover",
    "household_people",
    "household",
    "continuity",
    "basis",
    "fund_stack",
    "fund_need",
    "points",
    "catastrophic",
    "need",
    "charged_payments",
    "revenue",
    "futures",
    "plain_futures",
    "rules",
    "copayments",
    "outlay",
    "adjustment",
    "supply",
    "passing",
    "mainland",
    "transplant",
    "transplant_need",
    "engine",
    "effects",
    "studies",
    "solvency",
    "measures",
    "published",
    "who_pays",
    "lifetimes",
    "attribution",
    "solve",
    "solve_path",
    "drivers",
    "theories",
    "scores",
    "officials",
    "certificate",
    "fitted",
    "export",
    "manifest",
    "stack_report",
    "store",
    "replay",
    "reconcile",
    "sweep",
    "pictures",
    "report",
    "cli",
)
# What `cli` may import before a command is chosen.
LIGHT = {"errors", "resources"}
BAYES = {"pymc", "pymc_extras", "arviz", "arviz_base", "arviz_stats", "arviz_plots", "pytensor", "nutpie"}
MODELS, DASHBOARDS = "forecaster_models", "forecaster_dashboards"


class Import(NamedTuple):
    line: int
    module: str  # dotted, absolute
    deferred: bool  # inside a function
    typing_only: bool  # under `if TYPE_CHECKING`


def _is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(source: str, package: str) -> list[Import]:
    """Every import in a module's source, by statement or by name; `package` resolves relative ones."""
    found: list[Import] = []

    def visit(node: ast.AST, deferred: bool, typing_only: bool) -> None:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rsplit(".", 1)[-1]
            named = node.args[0].value
            if called in {"import_module", "__import__", "find_spec", "run_module"} and isinstance(named, str):
                names = [named]
        found.extend(Import(node.lineno, name, deferred, typing_only) for name in names)  # type: ignore[attr-defined]
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = typing_only or _is_typing_guard(node)
        for child in ast.iter_child_nodes(node):
            visit(child, inside, guarded)

    visit(ast.parse(source), False, False)
    return found


def faults_of(source: str, package: str, part: str = "") -> list[str]:
    """What a module of `package` imports against the house rules; `part` is its name in ORDER if it has one."""
    room = package.split(".")[0]
    faults = []
    for line, module, deferred, typing_only in imports_of(source, package):
        top, _, rest = module.partition(".")
        inner = rest.split(".")[0]
        command = part == "cli" and deferred
        if top in BAYES and room != MODELS:
            faults.append(f"line {line}: {module}: only {MODELS} imports the Bayesian libraries")
        if top == "streamlit" and room != DASHBOARDS:
            faults.append(f"line {line}: {module}: only {DASHBOARDS} imports streamlit")
        if top == MODELS and room != MODELS and not command:
            faults.append(f"line {line}: {module}: only {MODELS} itself and a command function of cli import it")
        if top == DASHBOARDS and room != DASHBOARDS and not command:
            faults.append(f"line {line}: {module}: only {DASHBOARDS} itself and a command function of cli import it")
        if top == "forecaster" and inner == "cli" and part not in {"cli", "__main__"}:
            faults.append(f"line {line}: {module}: only __main__ imports cli")
        if top == "forecaster" and room == "forecaster" and inner in ORDER and inner != part and part != "__main__":
            if ORDER.index(inner) > ORDER.index(part):
                faults.append(f"line {line}: {module}: {inner} stands after {part}")
            if part == "cli" and inner not in LIGHT and not deferred and not typing_only:
                faults.append(f"line {line}: {module}: cli imports it only inside a command function")
    return faults


def _python_files(folder: str) -> Iterator[Path]:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    return (path for path in files if "__pycache__" not in path.parts)


def _package(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).parent.parts)


def _part(path: Path) -> str:
    parts = path.relative_to(REPOSITORY / "forecaster").with_suffix("").parts
    return parts[0]


ENGINE_FILES = [path for path in _python_files("forecaster") if path != REPOSITORY / "forecaster" / "__init__.py"]


def test_every_engine_module_has_its_place_in_the_order():
    parts = {_part(path) for path in ENGINE_FILES} - {"__main__"}
    assert parts <= set(ORDER), f"enter {sorted(parts - set(ORDER))} at its place in ORDER"
    assert {"errors", "engine", "cli"} <= parts


@pytest.mark.parametrize("path", ENGINE_FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_engine_imports_only_what_stands_before(path):
    assert faults_of(path.read_text("utf-8"), _package(path, REPOSITORY), _part(path)) == []


@pytest.mark.parametrize("folder", ["models", "dashboards"])
def test_the_other_rooms_keep_to_themselves(folder):
    files = list(_python_files(folder))
    room = {"models": MODELS, "dashboards": DASHBOARDS}[folder]
    # The script beside the package belongs to the room as well.
    faults = {
        str(path.relative_to(REPOSITORY)): found
        for path in files
        if (found := faults_of(path.read_text("utf-8"), _package(path, REPOSITORY / folder) or room))
    }
    assert len(files) > 1
    assert faults == {}


def test_benchmarks_import_what_there_is():
    for path in sorted((REPOSITORY / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ROOMS:
                names = vars(importlib.import_module(str(node.module)))
                missing = [a.name for a in node.names if a.name not in names and not is_module(node.module, a.name)]
                assert not missing, f"{path.name}: {node.module} has no {', '.join(missing)}"


def is_module(package: str | None, name: str) -> bool:
    """Whether a package has a module of that name."""
    try:
        return importlib.util.find_spec(f"{package}.{name}") is not None
    except ModuleNotFoundError:
        # It is no package itself.
        return False


def test_the_package_itself_imports_nothing():
    source = (REPOSITORY / "forecaster" / "__init__.py").read_text("utf-8")
    assert [
        found.module for found in imports_of(source, "forecaster") if not found.module.startswith("__future__")
    ] == []


@pytest.mark.parametrize(
    ("source", "package", "part", "words"),
    [
        ("import pymc as pm", "forecaster", "engine", "Bayesian"),
        ("def f():\n    import arviz.stats", "forecaster", "cli", "Bayesian"),
        ("from importlib import import_module\nimport_module('nutpie')", DASHBOARDS, "", "Bayesian"),
        ("import streamlit as st", "forecaster", "export", "streamlit"),
        ("from forecaster.solve import required_rate", "forecaster", "engine", "solve stands after engine"),
        ("def f():\n    from forecaster import solve", "forecaster", "engine", "solve stands after engine"),
        ("from .solvency import depletion", "forecaster", "revenue", "solvency stands after revenue"),
        ("from ..basis import Basis", "forecaster.demography", "demography", "basis stands after demography"),
        ("from forecaster.engine import project", "forecaster", "cli", "only inside a command function"),
        ("import forecaster_models.fit", "forecaster", "cli", "command function of cli"),
        ("import forecaster_models", DASHBOARDS, "", "only forecaster_models itself"),
        ("from forecaster.cli import main", MODELS, "", "only __main__ imports cli"),
    ],
)
def test_the_rule_catches(source, package, part, words):
    faults = faults_of(source, package, part)
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("source", "package", "part"),
    [
        ("def fit():\n    from forecaster_models import run", "forecaster", "cli"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from forecaster.basis import Basis",
            "forecaster",
            "cli",
        ),
        ("from forecaster.demography.kernels import step_year", "forecaster.demography", "demography"),
        ("from forecaster.errors import Fault", "forecaster", "engine"),
        ("import pymc\nfrom forecaster.basis import Basis", MODELS, ""),
        ("import streamlit\nfrom forecaster import engine", DASHBOARDS, ""),
    ],
)
def test_the_rule_lets_pass(source, package, part):
    assert faults_of(source, package, part) == []


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light():
    assert _modules_after("import forecaster") & {"numpy", "pandas", "scipy", "xarray", "numba", "pydantic"} == set()


def test_importing_the_command_line_is_light():
    heavy = {
        "pymc",
        "arviz",
        "pytensor",
        "nutpie",
        "streamlit",
        "pandas",
        "xarray",
        "scipy",
        "numba",
        "pyarrow",
        "dask",
        "distributed",
    }
    assert _modules_after("import forecaster.cli") & heavy == set()


def test_the_dashboards_server_answers_before_the_heavy_libraries_are_there():
    """And what its first page and fund are made of needs no more of them than it must."""
    statement = (
        "import sys, forecaster_dashboards.server\n"
        "assert {'numpy', 'pandas', 'scipy', 'numba', 'pyarrow'}.isdisjoint(sys.modules)\n"
        "import forecaster.fitted, forecaster_dashboards.fund_page"
    )
    assert _modules_after(statement) & {"scipy.stats", "xarray", "sqlalchemy", "altair"} == set()
