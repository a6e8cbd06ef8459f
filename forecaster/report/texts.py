"""The report's own words in three languages: Taiwan's and the mainland's terms are written separately."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from forecaster.errors import ForecasterError

# Languages of a report with their catalogue, which holds the words of schemes, priors and certificates.
_CATALOGUES = {"en": "en", "zh-Hant": "zh_TW", "zh-Hans": "zh_CN"}
LANGUAGES = tuple(_CATALOGUES)


class Texts:
    """Words of one language by their key; a missing key is an error, never an empty place."""

    def __init__(self, language: str):
        if language not in LANGUAGES:
            raise ForecasterError(f"--lang {language}: there are {', '.join(LANGUAGES)}")
        self.language, self.catalogue = language, _CATALOGUES[language]
        self._words = read_texts(language)

    def __call__(self, key: str, **values: Any) -> str:
        """The words, with values in their places."""
        return self._words[key].format(**values)


@cache
def read_texts(language: str) -> dict[str, str]:
    """All words of a language."""
    path = Path(__file__).parent / "texts" / f"{language}.toml"
    return dict(tomllib.loads(path.read_text(encoding="utf-8")))
