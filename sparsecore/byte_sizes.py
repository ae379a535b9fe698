"""Sizes in bytes, as people write and read them."""

from __future__ import annotations

import re

UNITS = {"": 1, "b": 1}
UNITS |= {f"{letter}{b}": 1000 ** (place + 1) for place, letter in enumerate("kmgt") for b in ("", "b")}
UNITS |= {f"{letter}ib": 1024 ** (place + 1) for place, letter in enumerate("kmgt")}


def parse_size(text: str) -> int:
    """Bytes of a size as people write it. Raises ValueError.

    >>> parse_size("2GB"), parse_size("1.5 MiB"), parse_size("700")
    (2000000000, 1572864, 700)
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in UNITS:
        raise ValueError(f"a size is a number and a unit such as 500MB or 2GB; got {text!r}.")
    return int(float(found[1]) * UNITS[found[2]])


def size_text(count: int) -> str:
    """Bytes for people, in three digits.

    >>> size_text(999), size_text(1_234_567), size_text(25_000_000_000)
    ('999 B', '1.23 MB', '25.0 GB')
    """
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    places = 0 if units[0] == "B" else 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{places}f} {units[0]}"
