"""The rows of the table of parameters: what a widget, a flag, a link and an error message need of each.

Those that all runs share come from the fields of `RunConfig`, the others from cards. Imports no torch.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, create_model

from sparsecore.engine.card_parts import Group, Rule
from sparsecore.engine.cards import Card, CardError, MethodCard, TaskCard

# What parameters that are text take, to stand after "must be".
TEXTUAL = {
    "device": "auto, cpu, mps, cuda or cuda:N",
    "layer_densities": "layers and their densities (greater than 0, at most 1), such as fc1=0.5,fc2=0.1",
}

KINDS = {"whole": int, "number": float}  # of the types of a card's parameters; the others are texts


class ConfigError(ValueError):
    """A parameter was given a value it does not take.

    `field` names it, `value` is what was given, `allowed` says in English what would be right, and `words` is
    the key of the same in the screen's words, where it has one.
    """

    def __init__(self, field: str, value: Any, allowed: str, words: str = "") -> None:
        self.field, self.value, self.allowed, self.words = field, value, allowed, words
        super().__init__(f"{field} must be {allowed}; got {value!r}.")


@dataclass(frozen=True)
class Parameter:
    """One row of the table of parameters.

    default: None where it is empty, or follows the task, its size or the method.
    offered: gives the choices, if it has any.
    pattern: a regular expression that a text must match; `text` says in English what that is.
    live: whether it may change while a run trains.
    step: by how much its widget moves it. group: its column on a page; None for no widget.
    is_kept: whether it names texts that are kept on this machine.
    words, help_words: the keys of its label and help, where they are not its own.
    """

    name: str
    kind: type
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    offered: Callable[[], tuple[str, ...]] = tuple
    pattern: str | None = None
    text: str = ""
    live: bool = False
    step: float | None = None
    group: Group | None = None
    is_kept: bool = False
    words: str = ""
    help_words: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        return self.offered()

    @property
    def label_key(self) -> str:
        return self.words or f"parameter.{self.name}"

    @property
    def help_key(self) -> str:
        return self.help_words or f"{self.label_key}.help"

    def choice_key(self, choice: str) -> str:
        """The key of the word for one of the choices."""
        return f"{self.words or self.name}.{choice}"

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def allowed(self) -> str:
        """The values it takes, in English, to stand after "must be"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.kind is str:
            return self.text
        number = "a whole number, " if self.kind is int else ""
        if self.minimum is None:
            return number + "a number"
        low = ("greater than" if self.exclusive_minimum else "at least") + f" {self.minimum:g}"
        return number + (low if self.maximum is None else f"{low} and at most {self.maximum:,.12g}")

    def read(self, text: str) -> Any:
        """The value that a URL's or a form's text means; a `ConfigError` if it means none."""
        try:
            return self.kind(text)
        except ValueError:
            raise ConfigError(self.name, text, self.allowed) from None

    @property
    def type(self) -> Any:
        """The type of its values for pydantic, bounds included."""
        if self.choices:
            return Literal[self.choices]
        if self.kind is str:
            return Annotated[str, Field(pattern=self.pattern)]
        low = {"gt" if self.exclusive_minimum else "ge": self.minimum}
        return Annotated[self.kind, Field(le=self.maximum, **low)]


def of_card(card: Card, name: str) -> Parameter:
    """The row of a parameter that a card defines."""
    found = card.parameters[name]
    follows = isinstance(card, TaskCard) and any(name in size.defaults for size in card.sizes.values())
    kind = KINDS.get(found.type, str)

    def number(value: float | None) -> float | int | None:
        return value if value is None else kind(value)

    return Parameter(
        name=name,
        kind=kind,
        default=None if follows else found.default,
        minimum=number(found.minimum if found.above is None else found.above),
        maximum=number(found.maximum),
        exclusive_minimum=found.above is not None,
        offered=lambda: tuple(found.choices),
        pattern=found.pattern,
        text="" if found.allowed is None else found.allowed.en,
        live=found.live,
        step=number(found.step),
        group=found.group or ("task" if isinstance(card, TaskCard) else "constraint"),
        is_kept=found.type == "kept",
        words=card.key(name),
    )


@dataclass(frozen=True)
class Table:
    """The parameters of the runs of one task and one method.

    rows: by name. brought: the names of those that the two cards define or narrow.
    narrowed: the shared ones of which a card says something anew.
    defaults: by size, of what is not the same for all runs.
    """

    task: str
    rows: dict[str, Parameter]
    brought: frozenset[str]
    narrowed: tuple[Parameter, ...]
    defaults: dict[str, dict[str, Any]]
    rules: tuple[tuple[Rule, str], ...]  # each with the key of its words

    @classmethod
    def of(
        cls, shared: dict[str, Parameter], usual: dict[str, Any], task: TaskCard, method: MethodCard
    ) -> "Table":
        """Put together what all runs share, of which `usual` are the defaults, and what two cards add."""
        rows, narrowed, defaults = dict(shared), [], dict(usual)
        for card in (task, method):
            for name, each in card.parameters.items():
                rows[name] = of_card(card, name) if each.type else _narrowed(shared[name], card)
                if not each.type:
                    narrowed.append(rows[name])
                if each.default is not None:
                    defaults[name] = each.default
        by_size = {
            name: defaults | ({"max_steps": None} if size.planned else {}) | size.defaults
            for name, size in task.sizes.items()
        }
        brought = frozenset(task.parameters.keys() | method.parameters.keys())
        rules = [
            (rule, card.key(f"rules.{place}"))
            for card in (task, method)
            for place, rule in enumerate(card.rules)
        ]
        return cls(task.name, rows, brought, tuple(narrowed), by_size, tuple(rules))

    @property
    def usual_size(self) -> str:
        return next(iter(self.defaults))

    def check(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with those of cards as their types; a `ConfigError` for the first that does not fit."""
        try:
            found = self._checked(**values)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
        else:
            return values | {name: value for name, value in found if name in values}
        # Not raised above: pydantic's error as its context holds what the garbage collector cannot see.
        raise ConfigError(name, values[name], self.rows[name].allowed)

    @cached_property
    def _checked(self) -> type[BaseModel]:
        """A model of the cards' parameters: checking all at once is many times faster than one by one."""
        fields = {name: (row.type, None) for name, row in self.rows.items() if row.words}
        return create_model("Checked", **fields)


def _narrowed(row: Parameter, card: Card) -> Parameter:
    """A shared row with what a card says of it anew."""
    found = card.parameters[row.name]
    bounds = {"minimum": found.minimum, "maximum": found.maximum, "step": found.step}
    return replace(
        row,
        **{name: value for name, value in bounds.items() if value is not None},
        help_words=f"{card.key(row.name)}.help" if found.help else "",
    )


def refuse_misnamed(card: Card, shared: dict[str, Parameter]) -> None:
    """Raise `CardError` if a card names an undefined parameter or redefines one."""
    named = {name for name, each in card.parameters.items() if each.type is None}
    if isinstance(card, MethodCard):
        named |= card.takes
    if isinstance(card, TaskCard):
        named |= {name for size in card.sizes.values() for name in size.defaults}
    for rule in card.rules:
        named |= rule.given.keys() | rule.needs.keys()
    for name in sorted(named - shared.keys() - card.own.keys()):
        raise CardError(f"{card.path}: there is no parameter {name}; a new parameter needs a type.")
    for name in sorted(name for name in card.own if name in shared and not shared[name].words):
        raise CardError(f"{card.path}: {name} is a parameter of every run; remove its type.")


def densities_of_layers(text: str) -> dict[str, float]:
    """The patterns of layer names in `layer_densities`, and their densities; a `ConfigError` for other text.

    >>> densities_of_layers("fc1=0.5, blocks.*=0.1")
    {'fc1': 0.5, 'blocks.*': 0.1}
    """
    found: dict[str, float] = {}
    for pair in text.split(","):
        name, _, density = (part.strip() for part in pair.partition("="))
        with contextlib.suppress(ValueError):
            found[name] = float(density)
        if not name or not 0 < found.get(name, 0) <= 1:
            raise ConfigError("layer_densities", text, TEXTUAL["layer_densities"])
    return found
