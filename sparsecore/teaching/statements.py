"""The statements of the Theory page: data in `assets/theory`, in both languages, validated when read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from sparsecore.settings import ASSETS
from sparsecore.teaching.lessons import BilingualText, LessonModel

FILE = ASSETS / "theory" / "statements.json"


class Statement(LessonModel):
    """A statement, its proof, and the misprint of its source, if any."""

    id: str
    title: BilingualText
    says: BilingualText
    why: BilingualText
    misprint: BilingualText | None = None


@cache
def statements(file: Path = FILE) -> tuple[Statement, ...]:
    """Return all statements in logical order; raise pydantic's `ValidationError` for an invalid file."""
    return TypeAdapter(tuple[Statement, ...]).validate_json(file.read_bytes())
