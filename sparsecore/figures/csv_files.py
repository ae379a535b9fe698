"""Tables as CSV: every digit of a number, and texts that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any

# Of a file that people open by a click: Excel takes UTF-8 without this mark for the system's old code page
# and garbles Chinese; pandas, R's readr, LibreOffice and Numbers pass it over. What programs ask for on the
# command line is plain UTF-8.
FOR_PEOPLE = "utf-8-sig"
# How a formula begins, as OWASP lists it ("CSV Injection"), full-width signs among them.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """One table with its header; None and NaN are empty cells.

    >>> as_csv(("name", "ρ"), [("=1+1", 0.1), ("global", None)])
    "name,ρ\\n'=1+1,0.1\\nglobal,\\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([plain(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def plain(text: str) -> str:
    """A text as a spreadsheet shows it: after an apostrophe where it would be a formula, as OWASP advises.

    >>> plain("-2+cmd|' /C calc'!A0"), plain("ρ = 0.4")
    ("'-2+cmd|' /C calc'!A0", 'ρ = 0.4')
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    return None if isinstance(value, float) and isnan(value) else value
