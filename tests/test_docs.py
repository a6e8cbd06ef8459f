"""The examples that the docs give do run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def examples(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def test_the_python_example_draws_a_fan(repository, tmp_path, monkeypatch):
    (code,) = examples(repository / "docs" / "python.md")
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(compile(code, "docs/python.md", "exec"), found)  # noqa: S102  # the page itself is what is tried
    assert "<svg" in (tmp_path / "fan.svg").read_text("utf-8")
    assert set(found["fans"]) == {"baseline", "reform"}
    law, reform = found["scenarios"]
    assert (reform.projection.closing[-1] > law.projection.closing[-1]).all()


@pytest.mark.parametrize("page", ["docs/runs.md", "docs/report.md", "docs/pools.md", "docs/cli.md", "docs/python.md"])
def test_links_between_pages_lead_somewhere(repository, page):
    folder = (repository / page).parent
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (repository / page).read_text("utf-8"))
    assert [link for link in links if not (folder / link).exists()] == []
