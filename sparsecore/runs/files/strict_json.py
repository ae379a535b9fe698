"""JSON of somebody else's: finite numbers, whole texts, bounded nesting, and no name twice."""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEEPEST = 12  # a frame's certificate lies five deep
LONGEST_TEXT = 10_000  # characters; a text of a scene has a few hundred
LARGEST = 2**53  # beyond it a browser has no exact whole number
UNFIT = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps no null, and half a pair is no character


class NotStrict(ValueError):
    """JSON that cannot be taken; the message says why."""


def read(data: bytes, longest: int = LONGEST_TEXT) -> Any:
    """The value of UTF-8 JSON; NotStrict for what a store, a page or a browser could not take.

    longest: characters that one text may have.

    >>> read('{"loss": [0.5, null, "层"]}'.encode())
    {'loss': [0.5, None, '层']}
    >>> read(b'{"loss": 1e999}')
    Traceback (most recent call last):
    ...
    sparsecore.runs.files.strict_json.NotStrict: it has a number that is none
    """
    try:
        value = json.loads(data.decode(), parse_constant=_no_number, object_pairs_hook=_once)
    except RecursionError as error:
        raise NotStrict("it is nested too deeply") from error
    except NotStrict:
        raise
    except ValueError as error:  # broken UTF-8, broken JSON, a number of thousands of digits
        raise NotStrict("it is no JSON") from error
    _check(value, longest)
    return value


def _check(value: Any, longest: int, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise NotStrict("it is nested too deeply")
    if isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, longest)
            _check(item, longest, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, longest, depth + 1)
    elif isinstance(value, str):
        _check_text(value, longest)
    elif isinstance(value, float) and not math.isfinite(value):
        raise NotStrict("it has a number that is none")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise NotStrict("it has a number that is too large")


def _check_text(text: str, longest: int) -> None:
    if len(text) > longest:
        raise NotStrict("it has a text that is too long")
    if UNFIT.search(text):
        raise NotStrict("it has a text with signs that are none")


def _no_number(name: str) -> None:
    raise NotStrict(f"it has the number {name}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict("it has a name twice")
    return found
