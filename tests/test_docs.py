"""The docs are true: their Python runs, their commands are ones that exist, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer.main

from forecaster.basis import Basis, read_basis
from forecaster.cli import app

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("README.md", "CHANGELOG.md", "docs/*.md", "models/README.md", "models/cards/*.md", "data/README.md")
    for path in REPOSITORY.glob(pattern)
)
COMMANDS = typer.main.get_command(app)
ACCOUNTS = "\n".join(
    ["year,income,outgo,reserve,rate,note"]
    + [f"{2000 + i},{100 * 1.03**i:.2f},{100 * 1.03**i:.2f},20.00,0.146," for i in range(24)]
)


# --- Python -----------------------------------------------------------------------------------------------------------
def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text("utf-8"), re.DOTALL)


def run(code: str) -> SimpleNamespace:
    found: dict[str, object] = {}
    exec(compile(code, "docs/python.md", "exec"), found)  # noqa: S102  # the page itself is what is tried
    return SimpleNamespace(**found)


@pytest.fixture
def own_pool(tmp_path, monkeypatch) -> Path:
    """The folder of a pool of one's own, filled in, in the working directory."""
    monkeypatch.chdir(tmp_path)
    COMMANDS.main(["pool", "new", "my_fund", "--country", "DEU", "--unit", "bn"], standalone_mode=False)
    (tmp_path / "my_fund" / "accounts.csv").write_text(ACCOUNTS, "utf-8")
    return tmp_path / "my_fund"


def holds_a_fan(found: SimpleNamespace) -> None:
    assert set(found.fans) == {"baseline", "reform"}
    law, reform = found.scenarios
    assert (reform.projection.closing[-1] > law.projection.closing[-1]).all()
    assert "<svg" in Path("fan.svg").read_text("utf-8")


def steady_basis(horizon: int) -> Basis:
    """One path in place of a fit's."""
    years = range(2024, horizon + 1)
    flows = "\n".join(
        f"{name} = {[level] * len(years)}" for name, level in (("general_base", 1370.0), ("outlay", 200.0))
    )
    text = f'label = "x"\nyears = {list(years)}\nopening_reserve = 20.0\nreference_dependants = 0.0\n{flows}\n'
    Path("steady.toml").write_text(f"{text}[category_mix]\nall = 1.0\n", "utf-8")
    return read_basis("steady.toml")


def test_the_example_of_a_pool_of_ones_own_draws_a_fan(own_pool, monkeypatch):
    """Everything but the sampling, which `test_the_same_with_its_fit` does."""
    fitted: list[Path] = []
    monkeypatch.setattr("forecaster_models.fit.fit_pool", lambda pool, quick: fitted.append(pool.folder))
    monkeypatch.setattr("forecaster.fitted.load_fit", lambda pool: SimpleNamespace(basis=steady_basis))
    found = run(examples("docs/python.md")[0])
    holds_a_fan(found)
    assert [path.resolve() for path in fitted] == [own_pool]
    # 1370 x (15% - 14.6%) more a year from 2027 on.
    law, reform = found.scenarios
    assert (reform.projection.closing - law.projection.closing)[3, 0] == pytest.approx(5.48)


@pytest.mark.slow
def test_the_same_with_its_fit(own_pool):
    found = run(examples("docs/python.md")[0])
    holds_a_fan(found)
    assert found.basis.years[-1] == 2045


def test_the_example_of_the_shipped_fit_says_what_its_comments_say():
    found = run(examples("docs/python.md")[1])
    years = found.fund.years
    assert found.fund.closing.shape == found.gain.shape == (len(years), 500)
    assert (found.gain[years < 2027] == 0.0).all()
    assert (found.gain[years >= 2027] > 0.0).all()
    assert found.rate.shape == years.shape
    assert 0.03 < np.min(found.rate) < 0.12


def test_the_example_of_a_goal_gives_the_published_rates():
    assert run(examples("docs/python.md")[2]).rates == {1.0: 0.0497, 1.5: 0.0519, 2.0: 0.0542, 2.5: 0.0565}


# --- commands ---------------------------------------------------------------------------------------------------------
def lines_of_code(text: str) -> Iterator[str]:
    """Lines of indented and fenced blocks, those that go on joined."""
    fenced, held = False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            fenced, held = not fenced, ""
        elif fenced or line.startswith("    "):
            held += line.strip()
            if held.endswith("\\"):
                held = held[:-1]
            else:
                yield held
                held = ""


def commands_of(page: str) -> list[list[str]]:
    found = []
    for line in lines_of_code((REPOSITORY / page).read_text("utf-8")):
        words = re.match(r"(?:\.venv/bin/)?forecaster\s+(\S.*)", line)
        if words:
            found.append(shlex.split(words[1], comments=True))
    return found


def is_understood(words: list[str]) -> None:
    """Options, their values and arguments are read as the command itself would; nothing is run."""
    command, context = COMMANDS, None
    rest = words
    while True:
        context = command.make_context(command.name, list(rest), parent=context)
        if not hasattr(command, "commands"):
            return
        rest = [*context._protected_args, *context.args]
        command = command.commands[rest[0]]
        rest = rest[1:]


@pytest.mark.parametrize("name", [page for page in PAGES if commands_of(page)])
def test_commands_of_the_docs_exist_with_their_options(name):
    for words in commands_of(name):
        if not {"COMMAND", "..."} & set(words):
            is_understood(words)


def test_a_command_that_does_not_exist_is_noticed():
    with pytest.raises(Exception, match=r"[Nn]o such option"):
        is_understood(["project", "tw_nhi_2g", "--horizn", "2040"])
    with pytest.raises(KeyError):
        is_understood(["predict"])


def test_every_command_has_its_section_and_its_row():
    page = (REPOSITORY / "docs" / "cli.md").read_text("utf-8")
    rows = "\n".join(re.findall(r"^\| `.*", page, re.MULTILINE))
    assert [name for name in COMMANDS.commands if f"`{name}" not in rows] == []


# --- links ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_lead_somewhere(name):
    page = REPOSITORY / name
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings], (
                anchor
            )


def test_every_page_is_in_the_table_of_contents():
    index = (REPOSITORY / "docs" / "index.md").read_text("utf-8")
    entries = {line for block in re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL) for line in block.split()}
    named = {(REPOSITORY / "docs" / f"{entry}.md").resolve() for entry in entries if not entry.startswith(":")}
    assert [page for page in PAGES if (REPOSITORY / page).resolve() not in named] == ["docs/index.md"]
