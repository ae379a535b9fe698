"""JSON of somebody else: finite numbers, whole texts, bounded nesting, and no name twice.

pydantic's reader lets pass what a store, a page or a browser cannot take: the second value of a name, whole
numbers beyond 2⁵³, null characters, and any nesting in a field that no model names.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from sparsecore.engine.training.frame_reading import Misfit

DEEPEST = 12  # a frame's certificate lies five deep
LONGEST_TEXT = 10_000  # characters; a text of a scene has a few hundred
LARGEST = 2**53  # beyond it a browser has no exact whole number
UNFIT = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps no null, and half a pair is no character


def read(data: bytes, longest: int = LONGEST_TEXT) -> Any:
    """The value of UTF-8 JSON, no text of it with more than `longest` characters. Raises Misfit.

    >>> read('{"loss": [0.5, null, "层"]}'.encode())
    {'loss': [0.5, None, '层']}
    >>> read(b'{"loss": 1e999}')
    Traceback (most recent call last):
    ...
    sparsecore.engine.training.frame_reading.Misfit: it has a number that is not finite
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_once)
        _check(value, longest)
    except RecursionError as error:
        raise Misfit("it is nested too deeply") from error
    except Misfit:
        raise
    except ValueError as error:  # broken UTF-8, broken JSON, a number of thousands of digits
        raise Misfit("it is not valid JSON") from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Misfit("it has a duplicate key")
    return found


def _check(value: Any, longest: int, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise Misfit("it is nested too deeply")
    match value:
        case dict() | list():
            for item in [*value, *value.values()] if isinstance(value, dict) else value:
                _check(item, longest, depth + 1)
        case str() if len(value) > longest:
            raise Misfit("it has a text that is too long")
        case str() if UNFIT.search(value):
            raise Misfit("it has a text with invalid characters")
        case float() if not math.isfinite(value):
            raise Misfit("it has a number that is not finite")
        case int() if abs(value) > LARGEST:
            raise Misfit("it has a number that is too large")
