"""The lessons and the statements of the Theory page: data files in both languages, validated when read."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Len
from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from sparsecore.engine.config import RunConfig, every_parameter
from sparsecore.settings import ASSETS, PAGES

FOLDER = ASSETS / "lessons"
STATEMENTS = ASSETS / "theory" / "statements.json"
FigureName = Literal["threshold", "nested", "descent", "subsets", "spirals", "storage", "retention"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z]\w*$")]
NonEmptyText = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class LessonModel(BaseModel):
    """Base of the lesson models: immutable; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BilingualText(LessonModel):
    """A text in both languages; Markdown, formulas between dollar signs."""

    en: NonEmptyText
    zh: NonEmptyText

    def get(self, language: str) -> str:
        return getattr(self, language)


class LessonRun(LessonModel):
    """A named run shown in a lesson; `preset` holds parameters of a `RunConfig`."""

    name: BilingualText
    preset: dict[str, Any]

    @property
    def config(self) -> RunConfig:
        return RunConfig.parse(self.preset)

    @model_validator(mode="after")
    def _preset_is_a_config(self) -> "LessonRun":
        _ = self.config
        return self


class Question(LessonModel):
    """The question before the run; `right` is the index of the right answer in `choices`."""

    ask: BilingualText
    choices: Annotated[tuple[BilingualText, ...], Len(2, 5)]
    right: Annotated[int, Ge(0)]
    why: Annotated[tuple[BilingualText, ...], Len(1, 4)]

    @model_validator(mode="after")
    def _right_is_a_choice(self) -> "Question":
        if self.right >= len(self.choices):
            raise ValueError(f"right is {self.right}, but there are {len(self.choices)} choices.")
        return self


class NextStep(LessonModel):
    """A suggested next step: a page with a link label and query."""

    label: BilingualText
    page: Name
    query: dict[str, str] = {}

    @field_validator("page")
    @classmethod
    def _the_page_exists(cls, page: str) -> str:
        if not (PAGES / f"{page}.py").is_file():
            raise ValueError(f"there is no page {page}.")
        return page

    @model_validator(mode="after")
    def _a_link_into_the_lab_is_a_config(self) -> "NextStep":
        if self.page == "lab":
            RunConfig.parse(self.query_values())
        return self

    def query_values(self) -> dict[str, Any]:
        """Return the query as values, as the Lab reads them from a link."""
        return {name: every_parameter()[name].read(value) for name, value in self.query.items()}


class Lesson(LessonModel):
    """One lesson: it opens with its figure or the first of its runs, and shows the rest after the answer."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{1,31}$")]
    order: Annotated[int, Ge(1)]
    title: BilingualText
    text: Annotated[tuple[BilingualText, ...], Len(1, 5)]
    question: Question
    runs: tuple[LessonRun, ...] = ()
    figure: FigureName | None = None
    onward: Annotated[tuple[NextStep, ...], Len(1, 4)]

    @model_validator(mode="after")
    def _something_is_shown(self) -> "Lesson":
        if not self.runs and self.figure is None:
            raise ValueError("a lesson shows runs, a figure, or both.")
        if self.figure == "retention" and not self.runs:
            raise ValueError("the figure retention needs a run.")
        return self


class LessonError(ValueError):
    """A file is not a valid lesson; the message names it."""


def read_lesson(path: Path) -> Lesson:
    """Read a lesson file; raise `LessonError`."""
    try:
        return Lesson.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise LessonError(f"{path.name} is not a valid lesson: {place}: {first['msg']}.") from error


@cache
def lessons(folder: Path = FOLDER) -> tuple[Lesson, ...]:
    """Return all lessons of a folder in order; raise `LessonError` for an invalid or duplicate one."""
    found = sorted((read_lesson(path) for path in folder.glob("*.json")), key=lambda lesson: lesson.order)
    for what in ("id", "order"):
        values = [getattr(lesson, what) for lesson in found]
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise LessonError(f"two lessons have the {what} {twice[0]}.")
    return tuple(found)


class Statement(LessonModel):
    """A statement, its proof, and the misprint of its source, if any."""

    id: str
    title: BilingualText
    says: BilingualText
    why: BilingualText
    misprint: BilingualText | None = None


@cache
def statements(file: Path = STATEMENTS) -> tuple[Statement, ...]:
    """Return all statements in logical order; raise pydantic's `ValidationError` for an invalid file."""
    return TypeAdapter(tuple[Statement, ...]).validate_json(file.read_bytes())
