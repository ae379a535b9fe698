"""Numbers that whoever runs a server sets in its environment."""

from __future__ import annotations

import os


def whole_number(variable: str, usual: int) -> int:
    """The number of an environment variable, else the usual one; a `ValueError` for no number from 1."""
    given = os.environ.get(variable) or str(usual)
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"{variable} must be a whole number from 1, got {given!r}.")
    return int(given)
