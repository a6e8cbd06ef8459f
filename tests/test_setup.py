"""The environment is made from any suitable interpreter, once, and every failure is one clear line.

Nothing is installed here: the interpreters are small scripts that answer bootstrap.sh's questions, their pip writes a
log.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = ("sh", "sed", "cat", "cksum", "cp", "dirname", "id", "ls", "mkdir", "mv", "rm", "env")

# How many pips share the lock.
PIPS = 4

# Runs the real interpreter with another version number; `-m venv` copies the script itself, `-m pip` writes a log.
FAKE = """#!/bin/sh
for last; do :; done
case "$*" in
    *"-m venv "*) mkdir -p "$last/bin" && cp "$0" "$last/bin/python"; exit ;;
    *"-m pip "*)
        [ ! -f "$last" ] || cat "$last" >>"{log}.asked"
        echo "$*" >>"{log}"
        [ ! -e "{log}.slow" ] || {{ echo $$ >>"{log}.slow"; exec "{real}" -I -c "import time; time.sleep(600)"; }}
        [ ! -e "{log}.broken" ]
        exit ;;
    *"-m compileall "*) echo "$*" >>"{log}.compiled"; exit 1 ;;
esac
exec "{real}" -I -c "import sys
sys.version_info = ({version}, 'final', 0)
sys.executable = sys.argv[2]
for name in '{lacks}'.split():
    sys.modules[name] = None
exec(sys.argv[1])" "$last" "$0"
"""
SHIM = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n"


class Machine:
    """A machine with the tools of a shell, no Python of its own, and a copy of what bootstrap.sh reads."""

    def __init__(self, root: Path):
        self.root = root
        self.project = root / "project"
        self.log = root / "pip.log"
        self.tools = root / "tools"
        self.path = [self.tools]
        self.environment = {"HOME": str(root / "home"), "HOMEBREW_PREFIX": str(root / "brew"), "LC_ALL": "C"}
        for folder in (self.project, self.tools, root / "home"):
            folder.mkdir()
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None, name
            (self.tools / name).symlink_to(found)
        for name in ("bootstrap.sh", "requirements.lock", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, self.project / name)

    def script(self, place: str, text: str) -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755)
        return path

    def python(self, place: str, version: str, lacks: str = "") -> Path:
        numbers = version.replace(".", ", ")
        return self.script(place, FAKE.format(log=self.log, real=sys.executable, version=numbers, lacks=lacks))

    def on_path(self, *folders: str) -> None:
        self.path += [self.root / folder for folder in folders]

    def bootstrap(self, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        environment = self.environment | {"PATH": os.pathsep.join(map(str, self.path))}
        return subprocess.run(
            [str(self.tools / "sh"), str(self.project / "bootstrap.sh"), *arguments],
            env=environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            **more,  # type: ignore[call-overload]
        )

    def found(self) -> str:
        done = self.bootstrap("--find-only")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refusal(self, *arguments: str, **more: object) -> str:
        """The one line that a failing set-up says."""
        done = self.bootstrap(*arguments, **more)
        assert done.returncode == 1, (done.stdout, done.stderr)
        (line,) = done.stderr.splitlines()
        assert line.startswith("set-up: ")
        return line

    def pip_calls(self) -> list[str]:
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


# --- finding an interpreter -------------------------------------------------------------------------------------------
def test_prefers_313_then_312_then_314(machine):
    machine.on_path("bin")
    newest = machine.python("bin/python3.14", "3.14.0")
    assert machine.found() == str(newest)
    machine.python("bin/python3", "3.11.9")
    older = machine.python("bin/python", "3.12.4")
    assert machine.found() == str(older)
    best = machine.python("bin/python3.13", "3.13.1")
    assert machine.found() == str(best)


def test_a_failing_shim_does_not_hide_what_comes_later_on_the_path(machine):
    machine.script("shims/python3.13", SHIM)
    real = machine.python("usr/python3.13", "3.13.2")
    machine.on_path("shims", "usr")
    assert machine.found() == str(real)


@pytest.mark.parametrize(
    ("variable", "folder", "place"),
    [
        ("", "", "home/.pyenv/versions/3.13.0/bin/python3"),
        ("PYENV_ROOT", "pyenv", "pyenv/versions/3.12.1/bin/python3"),
        ("", "", "home/.asdf/installs/python/3.13.0/bin/python3"),
        ("ASDF_DATA_DIR", "asdf", "asdf/installs/python/3.13.0/bin/python3"),
        ("", "", "home/.local/share/mise/installs/python/3.13/bin/python3"),
        ("MISE_DATA_DIR", "mise", "mise/installs/python/3.12/bin/python3"),
        ("", "", "home/.local/share/rtx/installs/python/3.13/bin/python3"),
        ("", "", "home/.local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin/python3"),
        ("UV_PYTHON_INSTALL_DIR", "uv", "uv/cpython-3.12.8-linux-x86_64-gnu/bin/python3"),
    ],
)
def test_finds_an_interpreter_that_only_a_version_manager_holds(machine, variable, folder, place):
    if variable:
        machine.environment[variable] = str(machine.root / folder)
    machine.script("shims/python3.13", SHIM)
    machine.on_path("shims")
    only = machine.python(place, "3.13.0" if "3.13" in place else "3.12.1")
    assert machine.found() == str(only)


def test_none_at_all_says_what_to_install(machine):
    line = machine.refusal()
    assert "no suitable Python was found: install Python 3.12, 3.13 or 3.14" in line
    assert "apt install python3 python3-venv" in line
    assert "Tried: nothing" in line
    assert not (machine.project / ".venv").exists()


def test_none_suitable_names_each_with_its_reason(machine):
    machine.script("shims/python3.13", SHIM)
    machine.python("usr/python3", "3.11.2")
    machine.python("usr/python", "2.7.18")
    machine.python("usr/python3.12", "3.12.3", lacks="ensurepip")
    machine.python("home/.pyenv/versions/3.15.0/bin/python3", "3.15.0")
    machine.on_path("shims", "usr")
    line = machine.refusal()
    assert "shims/python3.13 does not run (pyenv: python3.13: command not found)" in line
    assert "usr/python3 is Python 3.11.2, too old" in line
    assert "usr/python is Python 2.7.18, too old" in line
    assert "usr/python3.12 is Python 3.12.3 without ensurepip (Debian and Ubuntu: install python3.12-venv)" in line
    assert "is Python 3.15.0, newer than requirements.lock supports" in line


def test_override_is_used_though_a_better_one_exists(machine):
    machine.on_path("bin")
    machine.python("bin/python3.13", "3.13.1")
    named = machine.python("bin/python3.12", "3.12.1")
    machine.environment["FORECASTER_PYTHON"] = "python3.12"
    assert machine.found() == str(named)
    machine.environment["FORECASTER_PYTHON"] = str(named)
    assert machine.found() == str(named)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python9", "was not found"),
        ("/nowhere/python3", "was not found"),
        ("shim", "does not run (pyenv: python3.13: command not found)"),
        ("old", "is Python 3.9.1, too old"),
        ("echo", "is not a Python interpreter"),
        ("bare", "is Python 3.13.1 without venv+ensurepip"),
    ],
)
def test_bad_override_is_one_line_and_nothing_else_is_tried(machine, name, words):
    machine.on_path("bin")
    machine.python("bin/python3.13", "3.13.1")
    machine.script("bin/shim", SHIM)
    machine.python("bin/old", "3.9.1")
    machine.python("bin/bare", "3.13.1", lacks="venv ensurepip")
    machine.script("bin/echo", '#!/bin/sh\necho "$@"\n')
    machine.environment["FORECASTER_PYTHON"] = name
    line = machine.refusal()
    assert f"FORECASTER_PYTHON={name} {words}" in line
    assert "or unset it" in line


# --- making the environment -------------------------------------------------------------------------------------------
@pytest.fixture
def made(machine):
    """A machine on which the environment has just been made."""
    machine.on_path("bin")
    machine.python("bin/python3.13", "3.13.1")
    done = machine.bootstrap()
    assert done.returncode == 0, done.stderr
    assert "making .venv with Python 3.13.1" in done.stdout
    *packages, project = machine.pip_calls()
    assert len(packages) == PIPS
    assert all("--no-compile --no-deps --requirement" in call for call in packages)
    assert sorted(Path(f"{machine.log}.asked").read_text("utf-8").splitlines()) == sorted(LOCK.splitlines())
    assert "--no-deps --no-build-isolation --editable" in project
    # A file of the user's inside tells later whether the environment was kept or made from nothing.
    (machine.project / ".venv" / "kept").touch()
    return machine


def test_byte_code_is_made_on_all_cores_and_is_no_condition(made):
    (line,) = Path(f"{made.log}.compiled").read_text("utf-8").splitlines()
    # The stand-in's compilation fails, yet the set-up of `made` is done.
    folders = " ".join(str(made.project / name) for name in (".venv/lib", "forecaster", "models", "dashboards"))
    pattern = re.fullmatch(rf"-m compileall -qq -j 0 -x (\S+) {re.escape(folders)}", line)
    assert pattern is not None
    left_out = [
        path
        for path in ("numba/tests/x.py", "scipy/stats/tests/x.py", "numpy/testing/x.py", "streamlit/testing/v1/x.py")
        if re.search(pattern[1], f"{made.root}/tests/main/.venv/lib/python3.13/site-packages/{path}")
    ]
    assert left_out == ["numba/tests/x.py", "scipy/stats/tests/x.py"]


def _kept(machine: Machine) -> bool:
    return (machine.project / ".venv" / "kept").exists()


def test_again_does_nothing_and_looks_for_no_interpreter(made):
    made.path = [made.tools]
    done = made.bootstrap()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert made.pip_calls() == []
    assert _kept(made)


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_renews_the_environment_in_place(made, name):
    with (made.project / name).open("a") as file:
        file.write("# changed\n")
    done = made.bootstrap()
    assert "renewing .venv" in done.stdout
    assert len(made.pip_calls()) == PIPS + 1
    assert _kept(made)
    assert made.bootstrap().stdout == ""


def test_half_made_environment_is_made_from_nothing(made):
    (made.project / "requirements.lock").write_text("numpy==1\n")
    broken = Path(f"{made.log}.broken")
    broken.touch()
    line = made.refusal()
    assert "pip could not install requirements.lock" in line
    assert len(made.pip_calls()) == 1
    broken.unlink()
    done = made.bootstrap()
    assert "making .venv" in done.stdout
    assert len(made.pip_calls()) == 2
    assert not _kept(made)
    assert made.bootstrap().stdout == ""


def test_an_interrupted_set_up_leaves_no_pip_at_work(machine):
    machine.on_path("bin")
    machine.python("bin/python3.13", "3.13.1")
    slow = Path(f"{machine.log}.slow")
    slow.touch()
    environment = machine.environment | {"PATH": os.pathsep.join(map(str, machine.path))}
    command = [str(machine.tools / "sh"), str(machine.project / "bootstrap.sh")]
    set_up = subprocess.Popen(command, env=environment, cwd=machine.root, stdout=subprocess.DEVNULL)
    _wait_until(lambda: len(slow.read_text("utf-8").splitlines()) == PIPS)
    set_up.terminate()
    assert set_up.wait(60) == 130
    for pid in map(int, slow.read_text("utf-8").split()):
        _wait_until(lambda pid=pid: not _runs(pid))


def _wait_until(happened) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it has not happened")


def _runs(pid: int) -> bool:
    """Whether a process is there; one that has ended and that nobody has collected yet is not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return found.strip() != "" and not found.startswith("Z")


def test_killed_set_up_is_made_from_nothing(made):
    venv = made.project / ".venv"
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (venv / ".forecaster-making").write_bytes(ended.stdout)
    assert "making .venv" in made.bootstrap().stdout
    assert not _kept(made)


def test_a_set_up_under_way_is_left_alone(made):
    venv = made.project / ".venv"
    (venv / ".forecaster-making").write_text(f"{os.getpid()}\n")
    assert f"another set-up (process {os.getpid()}) is making .venv" in made.refusal()
    assert _kept(made)


def test_broken_interpreter_inside_is_made_from_nothing(made):
    (made.project / ".venv" / "bin" / "python").unlink()
    assert "making .venv" in made.bootstrap().stdout
    assert not _kept(made)


def test_moved_checkout_is_made_from_nothing(made):
    made.project = made.project.rename(made.root / "moved elsewhere")
    assert "making .venv" in made.bootstrap().stdout
    assert not _kept(made)
    assert made.bootstrap().stdout == ""


def test_another_interpreter_asked_for_is_made_from_nothing(made):
    made.python("bin/python3.12", "3.12.5")
    made.environment["FORECASTER_PYTHON"] = "python3.12"
    assert "making .venv with Python 3.12.5" in made.bootstrap().stdout
    assert not _kept(made)
    # Without the wish the environment stays what it is.
    del made.environment["FORECASTER_PYTHON"]
    assert made.bootstrap().stdout == ""


def test_foreign_environment_is_not_touched(machine):
    machine.on_path("bin")
    machine.python("bin/python3.13", "3.13.1")
    own = machine.project / ".venv" / "pyvenv.cfg"
    own.parent.mkdir()
    own.write_text("mine\n")
    assert ".venv was not made by this project; move it away or remove it" in machine.refusal()
    assert own.read_text() == "mine\n"
    shutil.rmtree(own.parent)
    (machine.project / ".venv").write_text("a file\n")
    assert ".venv is not a folder" in machine.refusal()


def test_no_write_permission_is_one_line():
    # Outside pytest's own folder, which only its owner may enter; as root the call is made by somebody without rights.
    somebody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        machine = Machine(Path(folder))
        machine.on_path("bin")
        # The real interpreter may lie where nobody else can enter, so this one answers by itself.
        answer = "#!/bin/sh\nprintf '\\nPROBE|3.13|3.13.1|cpython|64||%s\\n' \"$0\"\n"
        machine.script("bin/python3.13", answer)
        machine.project.chmod(0o555)
        try:
            line = machine.refusal(**somebody)
        finally:
            machine.project.chmod(0o755)
        assert f"no permission to write {machine.project.resolve()}; make it writable" in line
        assert not (machine.project / ".venv").exists()


def test_unknown_option_is_refused(machine):
    assert "unknown option --help; there is only --find-only" in machine.refusal("--help")


# --- what it is made from ---------------------------------------------------------------------------------------------
LOCK = (REPOSITORY / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
DIRECT = [Requirement(text) for text in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]]
DOCS_LOCK = (REPOSITORY / "docs" / "requirements.lock").read_text("utf-8")
FOR_DOCS = [Requirement(text) for text in PROJECT["dependency-groups"]["docs"]]


def test_lock_names_exact_versions_and_no_address():
    lines = [*LOCK.splitlines(), *DOCS_LOCK.splitlines()]
    odd = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.+]*( ; [\w .'!=<>()]+)?", line)]
    assert odd == []
    assert "://" not in LOCK + DOCS_LOCK
    assert len(lines) > 50


@pytest.mark.parametrize(("lock", "needs"), [(LOCK, DIRECT), (DOCS_LOCK, FOR_DOCS)], ids=["project", "docs"])
def test_lock_holds_every_direct_dependency_at_an_allowed_version(lock, needs):
    pins = {line.split("==")[0]: re.split(r"==| ;", line)[1] for line in lock.splitlines()}
    unmet = [str(need) for need in needs if not need.specifier.contains(pins.get(canonicalize_name(need.name), "0"))]
    assert unmet == []


def test_lock_holds_all_that_its_packages_need():
    """No pip looks for it: neither for what the packages need themselves nor for what an extra of theirs adds."""
    pins = {line.split("==")[0]: re.split(r"==| ;", line)[1] for line in LOCK.splitlines()}
    unmet, seen, todo = set(), set(), list(DIRECT)
    while todo:
        need = todo.pop()
        name = canonicalize_name(need.name)
        if not need.specifier.contains(pins.get(name, "0"), prereleases=True):
            unmet.add(str(need))
        elif (name, *need.extras) not in seen:
            seen.add((name, *need.extras))
            more = map(Requirement, metadata.requires(name) or ())
            extras = need.extras or {""}
            todo += [m for m in more if m.marker is None or any(m.marker.evaluate({"extra": e}) for e in extras)]
    assert unmet == set()
    assert len(seen) > 100


def test_the_docs_lock_adds_to_the_other_and_repeats_nothing():
    own, others = ({line.split("==")[0] for line in lock.splitlines()} for lock in (DOCS_LOCK, LOCK))
    assert own & others == set()


def test_every_direct_dependency_is_explained():
    page = (REPOSITORY / "docs" / "dependencies.md").read_text("utf-8")
    assert [need.name for need in DIRECT + FOR_DOCS if f"| {need.name} |" not in page] == []


def test_running_interpreter_has_the_locked_packages():
    pins = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", LOCK, flags=re.MULTILINE))
    names = [canonicalize_name(need.name) for need in DIRECT if need.marker is None or need.marker.evaluate()]
    assert {name: metadata.version(name) for name in names} == {name: pins[name] for name in names}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_lists_its_targets_and_they_are_real():
    done = subprocess.run(["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  ([a-z-]+) +\S", done.stdout, flags=re.MULTILINE)
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert sorted(listed) == sorted(phony.split())
    assert {"run", "test", "lint", "types", "test-slow", "bench", "fit", "clean"} <= set(listed)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "words"),
    [
        (["run", "PORT=9000"], ".venv/bin/forecaster dashboard --port 9000"),
        (["test"], ".venv/bin/python -m pytest"),
        (["lint"], ".venv/bin/ruff format --check ."),
        (["types"], ".venv/bin/mypy"),
        (["docs"], ".venv/bin/python -m sphinx"),
    ],
)
def test_make_sets_up_before_it_does_anything(target, words):
    done = subprocess.run(["make", "-n", *target], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "sh bootstrap.sh" in done.stdout
    assert done.stdout.index("sh bootstrap.sh") < done.stdout.index(words)
