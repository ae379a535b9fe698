"""The statements of the Theory page: data of `assets/theory`, in both languages, checked when read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from sparsecore.teaching.lessons import Checked, Text

FILE = Path(__file__).parents[2] / "assets" / "theory" / "statements.json"


class Statement(Checked):
    """What holds, why, and what the source misprints of it, if it does."""

    id: str
    title: Text
    says: Text
    why: Text
    misprint: Text | None = None


@cache
def statements(file: Path = FILE) -> tuple[Statement, ...]:
    """All statements in the order of the argument; pydantic's `ValidationError` for a file that is none."""
    return TypeAdapter(tuple[Statement, ...]).validate_json(file.read_bytes())
