"""Bring the catalogues up to the code: ``python dashboards/translations.py`` says what is missing and writes the files.

Collected are the messages of the code of dashboard and report and the words of the data files they show: names of
laws, levers, plans, layers of benefits, what a basis assumes. A message that no longer occurs is taken out; one whose
English has changed is a new one and stays untranslated until somebody writes it.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po, write_po

from forecaster import language, plain_futures
from forecaster.certificate import EITHER
from forecaster.observations import load_observations
from forecaster.scores import MEASURES, QUESTIONS, RULE_LABELS
from forecaster.theories import THEORIES, UNWEIGHED, WEIGHED

ROOT = Path(__file__).resolve().parent
DATA = ROOT.parent / "data"
# Code whose messages are said by `_`.
ENGINE = ROOT.parent / "forecaster"
SPEAKING = (ROOT / "forecaster_dashboards", ENGINE / "language", ENGINE / "report")
CERTIFICATE = ENGINE / "certificate.py"
# Keys of a data file's parameter that a page shows in the reader's language; of a scheme's values the notes too.
SHOWN = ("label", "article", "bounds_source")
# Modules of the engine whose ASSUMPTIONS stand under every result.
ASSUMING = ("futures", "plain_futures", "points", "transplant")
# Files of priors whose reasons a page shows.
PRIORS = ("demography", "economy", "fund", "plain", "theories")


def code_messages() -> dict[str, list[tuple[str, int]]]:
    """Messages of the code with the places where they stand."""
    found: dict[str, list[tuple[str, int]]] = {}
    for folder in SPEAKING:
        rows = extract_from_dir(str(folder), [("**.py", "python")], keywords={"_": None}, options_map={})
        for name, line, message, _comments, _context in rows:
            text = message if isinstance(message, str) else message[0]
            found.setdefault(text, []).append((f"{folder.name}/{name}", line))
    # The certificate's sentences, which it hands to whoever speaks the reader's language.
    for line, message, _comments, _context in extract_from_file("python", str(CERTIFICATE), keywords={"say": None}):
        found.setdefault(str(message), []).append(("forecaster/certificate.py", line))
    return found


def _of_parameters(raw: dict[str, Any]) -> Iterator[str]:
    for parameter in raw.get("parameters", {}).values():
        yield from (parameter.get(key, "") for key in SHOWN)


def _values_of(key: str, raw: Any) -> Iterator[str]:
    """Every text that stands under the key, at whatever depth."""
    if isinstance(raw, list):
        for one in raw:
            yield from _values_of(key, one)
    elif isinstance(raw, dict):
        if isinstance(raw.get(key), str):
            yield raw[key]
        for one in raw.values():
            yield from _values_of(key, one)


def data_messages() -> dict[str, list[tuple[str, int]]]:
    """Words of data files that pages show, with the file."""
    found: dict[str, list[tuple[str, int]]] = {}

    def add(path: Path, *texts: str) -> None:
        for text in texts:
            if text.strip("- ") and not language.ARTICLES.fullmatch(text):
                found.setdefault(text, [(f"data/{path.relative_to(DATA).as_posix()}", 1)])

    for folder in ("schemes", "layers", "stacks", "reforms", "pools", "bases"):
        for path in sorted((DATA / folder).glob("*.toml")):
            raw = tomllib.loads(path.read_text("utf-8"))
            if folder == "reforms" and raw.get("status") == "enacted":
                continue
            add(path, raw.get("label", ""), raw.get("description", "") if folder == "reforms" else "")
            if folder in {"schemes", "layers", "stacks"}:
                add(path, *_of_parameters(raw))
            if folder == "schemes":
                add(path, *_values_of("note", raw))
            add(path, *(raw.get("assumptions", ()) if folder == "bases" else ()))
            add(path, *(group["label"] for group in raw.get("groups", {}).values()))
            add(path, *(category["label"] for category in raw.get("categories", {}).values()))
    # The law of a pool of one's own, as `forecaster pool new` writes it.
    source = (ENGINE / "cli" / "pool.py").read_text("utf-8")
    own = tomllib.loads(source.partition('_SCHEME = """\\\n')[2].partition('"""')[0])
    for text in (*(one["label"] for one in own["categories"].values()), *_of_parameters(own)):
        if text.strip("- "):
            found.setdefault(text, [("forecaster/cli/pool.py", 1)])
    for place in ("twn", "chn"):
        for reason in load_observations(place).breaks["reason"]:
            found.setdefault(str(reason), [(f"data/observed/{place}", 1)])
    for path in sorted((DATA / "effects").glob("*.toml")):
        effects = tomllib.loads(path.read_text("utf-8"))
        add(path, *_values_of("label", effects), *_values_of("reason", effects))
    for path in sorted((DATA / "studies").glob("*.toml")):
        studies = tomllib.loads(path.read_text("utf-8"))
        add(path, *(text for key in ("label", "reason", "premise_why") for text in _values_of(key, studies)))
    for path in sorted((DATA / "pools").glob("*.toml")):
        add(path, *_values_of("reason", tomllib.loads(path.read_text("utf-8"))))
    for text in (*language.PUT_TOGETHER, plain_futures._COUNTRY, plain_futures._EMPLOYEES, plain_futures._RESIDENTS):
        found.setdefault(text, [("forecaster/plain_futures.py", 1)])
    for name in ASSUMING:
        for text in getattr(import_module(f"forecaster.{name}"), "ASSUMPTIONS", ()):
            found.setdefault(text, [(f"forecaster/{name}.py", 1)])
    for text in (WEIGHED, UNWEIGHED, *THEORIES.values()):
        found.setdefault(text, [("forecaster/theories.py", 1)])
    for text in (*QUESTIONS.values(), *RULE_LABELS.values(), *(line.replace("_", " ") for line in MEASURES)):
        found.setdefault(text, [("forecaster/scores.py", 1)])
    found.setdefault(EITHER, [("forecaster/certificate.py", 1)])
    for name in PRIORS:
        path = DATA / "priors" / f"{name}.toml"
        add(path, *_values_of("why", tomllib.loads(path.read_text("utf-8"))))
    return found


def messages() -> dict[str, list[tuple[str, int]]]:
    """All messages."""
    return {**data_messages(), **code_messages()}


def catalogue(tongue: str) -> Catalog:
    """The catalogue of a language as it lies in its folder."""
    with (language.CATALOGUES / f"{tongue}.po").open("rb") as stream:
        return read_po(stream, locale=tongue)


def updated(tongue: str) -> Catalog:
    """The catalogue with exactly the messages of now; translations that exist are kept."""
    path = language.CATALOGUES / f"{tongue}.po"
    known = {m.id: m.string for m in catalogue(tongue) if m.id} if path.is_file() else {}
    fresh = Catalog(locale=tongue, project="insurance-pool-forecaster", charset="utf-8", fuzzy=False)
    for text, places in sorted(messages().items(), key=lambda item: (item[1][0][0], item[1][0][1], item[0])):
        fresh.add(text, known.get(text) or "", locations=[(name, 0) for name, _line in places[:1]])
    return fresh


def main() -> int:
    """Write the catalogues; the exit code is 1 while something is untranslated."""
    missing = 0
    for path in sorted(language.CATALOGUES.glob("*.po")):
        fresh = updated(path.stem)
        with path.open("wb") as stream:
            write_po(stream, fresh, width=0, omit_header=False, include_lineno=False, sort_output=False)
        lacking = [str(m.id) for m in fresh if m.id and not m.string]
        missing += len(lacking)
        print(f"{path.stem}: {len(fresh)} messages, {len(lacking)} without translation")
        for text in lacking:
            print(f"  {text!r}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
