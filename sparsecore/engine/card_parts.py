"""The parts of a card: texts in both languages, parameters and rules, a task's metric and sizes."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Value = bool | int | float | str
Group = Literal["training", "constraint", "task"]  # the columns of a page in which parameters stand


class Data(BaseModel):
    """Data without behaviour; a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Texts(Data):
    """A text in both languages."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


def _in_both(text: Any) -> Any:
    return {"en": text, "zh": text} if isinstance(text, str) else text


Text = Annotated[Texts, BeforeValidator(_in_both)]  # a bare string reads the same in both languages


class ParameterCard(Data):
    """A parameter that comes with a method or a task, or what it says anew of a shared one.

    type: "whole" and "number" have bounds, "choice" has `choices`, "text" a `pattern`; "kept" is a text that
      names kept texts. above: an exclusive minimum. allowed: in words, what a text must be.
    """

    type: Literal["whole", "number", "choice", "text", "kept"] | None = None
    default: Value | None = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    choices: dict[str, Text] = Field({})
    pattern: str | None = None
    allowed: Text | None = None
    live: bool = False
    step: float | None = None
    group: Group | None = None
    label: Text | None = None
    help: Text | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.type is None:  # it adds to a shared parameter, which has the rest
            return self
        if self.label is None or self.help is None:
            raise ValueError("a parameter needs a label and a help")
        if (self.type == "choice") != bool(self.choices):
            raise ValueError('a parameter has choices exactly when its type is "choice"')
        if self.type in ("text", "kept") and (self.pattern is None or self.allowed is None):
            raise ValueError("a text needs a pattern, and `allowed`, which says what that is")
        return self

    def said(self, key: str, language: str) -> Iterator[tuple[str, str]]:
        """Its words by their keys, which begin with `key`."""
        texts = {"": self.label, ".help": self.help, ".allowed": self.allowed}
        for end, text in (texts | {f".{name}": text for name, text in self.choices.items()}).items():
            if text is not None:
                yield f"{key}{end}", getattr(text, language)


class Rule(Data):
    """A combination that is refused: when parameters are as in `given`, another must be as in `needs`.

    given: values by name; true and false for any value and none. otherwise: what would be right, to stand
      after "must be".
    """

    given: dict[str, Value]
    needs: dict[str, Value] = Field(min_length=1, max_length=1)
    otherwise: Text = Field(alias="else")

    def broken(self, values: dict[str, Any]) -> tuple[str, Any] | None:
        """The parameter that does not fit and its value; None while all is well."""
        for name, value in self.given.items():
            found = values.get(name)
            if (found is not None) != value if isinstance(value, bool) else found != value:
                return None
        ((name, wanted),) = self.needs.items()
        return None if values.get(name) == wanted else (name, values.get(name))


class Answers(Data):
    """What a method answers to the six questions that define one (DESIGN, the anatomy of a method)."""

    score: Text
    structure: Text
    allocation: Text
    timing: Text
    returns: Text = Field(alias="return")
    penalty: Text


class Metric(Data):
    """A task's first metric, by which its runs are compared; percent: a share of 1.

    title: its name. question: the title of its figure against ρ.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    better: Literal["lower", "higher"]
    percent: bool = False
    title: Text
    question: Text

    @property
    def lower(self) -> bool:
        return self.better == "lower"


class Size(Data):
    """One size of a task.

    defaults: of parameters, where they follow the size. planned: about how many steps the task plans, where
      it does, for estimates.
    weights: all numbers that the network learns. activations: numbers that a step holds, forwards and
      backwards. examples: of the data, each of `example_bytes` in memory.
    seconds: of a step, with records, on one of two cores: layerwise, ρ = 0.4.
    record_every: steps between two records. network: what the task's class builds the network from.
    """

    title: Text | None = None
    defaults: dict[str, Value] = Field({})
    planned: int | None = Field(None, ge=1)
    weights: int = Field(ge=1)
    activations: int = Field(ge=0)
    examples: int = Field(0, ge=0)
    example_bytes: int = Field(0, ge=0)
    seconds: float = Field(gt=0)
    record_every: int = Field(20, ge=1)
    network: dict[str, Any] = Field({})


class Challenge(Data):
    """What a network has to reach to enter the challenge, and where its judge takes points from.

    place: its rank among the challenges. points: a module next to the card and a function in it, from a
      generator and the task's usual noise to inputs and targets. about: what to do, with a place for {limit}.
    """

    place: int = 100
    limit: float
    points: str = Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")
    about: Text
