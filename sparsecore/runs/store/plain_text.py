"""What people call their runs and themselves, without signs that are obeyed and not seen."""

from __future__ import annotations

import re
import unicodedata

# They turn the direction of what stands behind a name too, on pages and in terminals.
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
UNSEEN = ("Cc", "Cs")  # control characters, and halves of pairs, which no database takes


def plain_words(text: str) -> str:
    """The text without control characters but line ends, and without signs that turn its direction.

    >>> plain_words("a\\0b\\x1b[31m\\u202ec\\n")
    'ab[31mc\\n'
    """
    kept = "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) not in UNSEEN)
    return TURNING.sub("", kept)
