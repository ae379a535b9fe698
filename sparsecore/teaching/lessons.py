"""The lessons: data files of `assets/lessons`, in both languages, checked when they are read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Len
from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from sparsecore.engine.config import PARAMETERS, RunConfig

FOLDER = Path(__file__).parents[2] / "assets" / "lessons"
PAGES = Path(__file__).parents[2] / "pages"
Figure = Literal["threshold", "nested", "descent", "subsets", "spirals", "storage", "retention"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z]\w*$")]
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Checked(BaseModel):
    """Data that never change, without a field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Checked):
    """One thing said in both languages; Markdown, formulas between dollars."""

    en: Words
    zh: Words

    def in_(self, language: str) -> str:
        return getattr(self, language)


class Shot(Checked):
    """A run that a lesson shows, under a name; `preset` are parameters of a `RunConfig`."""

    name: Text
    preset: dict[str, Any]

    @property
    def config(self) -> RunConfig:
        return RunConfig.parse(self.preset)

    @model_validator(mode="after")
    def _preset_is_a_config(self) -> Shot:
        _ = self.config
        return self


class Question(Checked):
    """What is asked before the run: of `choices`, `right` is the place of the right one."""

    ask: Text
    choices: Annotated[tuple[Text, ...], Len(2, 5)]
    right: Annotated[int, Ge(0)]
    why: Annotated[tuple[Text, ...], Len(1, 4)]

    @model_validator(mode="after")
    def _right_is_a_choice(self) -> Question:
        if self.right >= len(self.choices):
            raise ValueError(f"right is {self.right}, but there are {len(self.choices)} choices.")
        return self


class Onward(Checked):
    """What to try next: a page, with what its link says."""

    label: Text
    page: Name
    query: dict[str, str] = {}

    @field_validator("page")
    @classmethod
    def _the_page_exists(cls, page: str) -> str:
        if not (PAGES / f"{page}.py").is_file():
            raise ValueError(f"there is no page {page}.")
        return page

    @model_validator(mode="after")
    def _a_link_into_the_lab_is_a_config(self) -> Onward:
        if self.page == "lab":
            RunConfig.parse(self.query_values())
        return self

    def query_values(self) -> dict[str, Any]:
        """The query as values, as the Lab reads it from a link."""
        return {name: PARAMETERS[name].read(value) for name, value in self.query.items()}


class Lesson(Checked):
    """One lesson. It opens with its figure, or with the first of its runs; the rest comes once answered."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{1,31}$")]
    order: Annotated[int, Ge(1)]
    title: Text
    text: Annotated[tuple[Text, ...], Len(1, 5)]
    question: Question
    runs: tuple[Shot, ...] = ()
    figure: Figure | None = None
    onward: Annotated[tuple[Onward, ...], Len(1, 4)]

    @model_validator(mode="after")
    def _something_is_shown(self) -> Lesson:
        if not self.runs and self.figure is None:
            raise ValueError("a lesson shows runs, a figure, or both.")
        if self.figure == "retention" and not self.runs:
            raise ValueError("the figure retention is measured from a run.")
        return self


class LessonError(ValueError):
    """A file is no lesson; the message is a sentence that names it."""


def read(path: Path) -> Lesson:
    """The lesson of a file; raises `LessonError`."""
    try:
        return Lesson.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise LessonError(f"{path.name} is no lesson: {place}: {first['msg']}.") from error


@cache
def lessons(folder: Path = FOLDER) -> tuple[Lesson, ...]:
    """All lessons of a folder in their order; `LessonError` for what is none, or is there twice."""
    found = sorted((read(path) for path in folder.glob("*.json")), key=lambda lesson: lesson.order)
    for what in ("id", "order"):
        values = [getattr(lesson, what) for lesson in found]
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise LessonError(f"two lessons have the {what} {twice[0]}.")
    return tuple(found)
