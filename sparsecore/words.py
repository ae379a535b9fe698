"""The words of the screen in both languages, from `assets/words` and from the cards of methods and tasks."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from sparsecore.settings import ASSETS

LANGUAGES = {"en": "English", "zh": "中文"}
Say = Callable[..., str]  # a key and values → the text in one language, as `speaker` returns it
TAGS = {"en": "en", "zh": "zh-CN"}  # BCP 47: by them a browser picks its fonts, and a screen reader its voice


_sources: list[Callable[[str], dict[str, str]]] = []


def add(source: Callable[[str], dict[str, str]]) -> None:
    """Have words of another place too: those that `source` gives for a language, by their keys."""
    _sources.append(source)
    _all.cache_clear()


def words(language: str) -> dict[str, str]:
    """Every word of a language by its key. Raises `KeyError` for a language we do not speak."""
    if language not in LANGUAGES:
        raise KeyError(f"no words in {language!r}; there are {', '.join(LANGUAGES)}.")
    return _all(language)


@cache
def _all(language: str) -> dict[str, str]:
    found = json.loads((ASSETS / "words" / f"{language}.json").read_text(encoding="utf-8"))
    for source in _sources:
        found |= source(language)
    return found


def speaker(language: str) -> Say:
    """What says a word in a language, with values in its places.

    >>> speaker("en")("live.seed", seed=3)
    'seed 3'
    """

    def say(key: str, **values: Any) -> str:
        text = words(language)[key]
        return text.format(**values) if values else text

    return say


def best_language(locale: str | None) -> str:
    """The language of a browser's locale.

    >>> best_language("zh-CN"), best_language("fr"), best_language(None)
    ('zh', 'en', 'en')
    """
    return "zh" if (locale or "").lower().startswith("zh") else "en"
