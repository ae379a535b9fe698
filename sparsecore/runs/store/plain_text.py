"""Clean names and notes: no control characters, no marks that change the direction of text."""

from __future__ import annotations

import re
import unicodedata

# These would also reverse the text after a name, on pages and in terminals.
DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
CONTROL = ("Cc", "Cs")  # control characters, and lone surrogates, which no database accepts


def strip_control(text: str) -> str:
    """Remove control characters except line ends, and direction marks.

    >>> strip_control("a\\0b\\x1b[31m\\u202ec\\n")
    'ab[31mc\\n'
    """
    kept = "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) not in CONTROL)
    return DIRECTION_MARKS.sub("", kept)
