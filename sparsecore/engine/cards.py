"""The cards: what every method and every task says of itself, read from the files next to their classes.

A method is `engine/methods/NAME.py` with `NAME.toml`, a task `engine/tasks/NAME.py` with `NAME.toml`; folders
that `SPARSECORE_EXTENSIONS` names hold more of both, as `methods/` and `tasks/`. Imports no torch.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError

from sparsecore import words
from sparsecore.engine.card_parts import (
    Answers,
    Challenge,
    Colour,
    Data,
    Metric,
    ParameterCard,
    Rule,
    Size,
    Text,
    Value,
)
from sparsecore.settings import INSTALL, extensions, variable

ROOM = Path(__file__).parent
NAMES = re.compile(r"[a-z][a-z0-9_]{0,31}")  # names stand in addresses, flags and files
C = TypeVar("C", bound="Card")


class CardError(RuntimeError):
    """A method or a task that cannot be used; the message is one sentence that names its file.

    No ValueError: what validates a config must let it pass.
    """


class Card(Data):
    """What methods and tasks have in common.

    class_: the module next to the card and the class in it, such as "sinc.Sinc". place: its rank in lists;
    equal ones stand by name. title: its name on the screen. about: one sentence.
    rules: combinations of parameters that it refuses.
    """

    kind: ClassVar[str]

    path: Path
    class_: str = Field(alias="class", pattern=r"^[a-z_][a-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$")
    place: int = 100
    title: Text
    about: Text
    source: Text
    parameters: dict[str, ParameterCard] = Field({})
    rules: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with this package."""
        return self.path.parent.parent == ROOM

    @property
    def own(self) -> dict[str, ParameterCard]:
        """The parameters that it defines; the others of `parameters` say something anew of shared ones."""
        return {name: each for name, each in self.parameters.items() if each.type is not None}

    def key(self, parameter: str) -> str:
        """The key of a parameter's label as this card words it."""
        return f"card.{self.kind}.{self.name}.{parameter}"

    def words(self, language: str) -> dict[str, str]:
        """Everything that it says, by the keys of the screen's words."""
        said = {f"{self.kind}.{self.name}": self.title, f"card.{self.kind}.{self.name}.about": self.about}
        found = {key: getattr(text, language) for key, text in said.items()}
        for name, each in self.parameters.items():
            found |= each.said(self.key(name), language)
        for place, rule in enumerate(self.rules):
            found[self.key(f"rules.{place}")] = getattr(rule.otherwise, language)
        for name, each in self.own.items():  # where no method and no task is at hand
            found |= each.said(f"parameter.{name}", language)
        return found

    def load(self, base: type) -> type:
        """Import its class, which must be a `base`; raises `CardError`."""
        found = self.find(self.class_)
        if not (isinstance(found, type) and issubclass(found, base)):
            raise CardError(f"{self.path} names {self.class_}, which is not a {base.__name__}.")
        return found

    def find(self, named: str) -> Any:
        """Import what it names, as a module next to it and a name in that; raises `CardError`."""
        module, _, name = named.partition(".")
        package = import_module(f"sparsecore.engine.{self.kind}s")
        if str(self.path.parent) not in package.__path__:
            package.__path__.append(str(self.path.parent))
            invalidate_caches()
        try:
            found = import_module(f"{package.__name__}.{module}")
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and self.path.is_relative_to(ROOM):
                needs = f"the {self.kind} {self.name} needs {error.name}"
                raise CardError(f"{needs}: {INSTALL.format(extra='texts')}.") from error
            raise CardError(f"{self.path} names {named}, which cannot be imported: {error}") from error
        if Path(found.__file__).parent != self.path.parent:
            raise CardError(f"{self.path} names {named}, but {found.__file__} has that name; choose another.")
        if not hasattr(found, name):
            raise CardError(f"{self.path} names {named}, which is not in {found.__file__}.")
        return getattr(found, name)


class MethodCard(Card):
    """A method.

    arguments: of its class, where several cards name one. takes: the shared parameters that it has a use for.
    constrained: False where it removes no weight, so that the others are compared with it.
    colour: everywhere; second_colour: of the second of two runs of it.
    batches: how networks of one batch are cut by it: "largest", the largest |w| of each group; "none", not at
      all; left out, its runs train one by one.
    partner: the method that a pair with it is made of. cure: the one to try when a layer dies.
    """

    kind: ClassVar[str] = "method"

    arguments: dict[str, Value] = Field({})
    takes: frozenset[str] = frozenset()
    constrained: bool = True
    family: Text
    formula: str
    answers: Answers
    colour: Colour
    second_colour: Colour
    batches: Literal["largest", "none"] | None = None
    partner: str | None = None
    cure: str | None = None


class TaskCard(Card):
    """A task; its first size is the usual one.

    picture: the kind of its scene. memory: bytes that its process holds in addition to network and data.
    batches: whether its networks can train as one: perceptrons, on all data at every step.
    warm_up: whether an idle worker makes ready for it.
    """

    kind: ClassVar[str] = "task"

    picture: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    metric: Metric
    sizes: dict[str, Size] = Field(min_length=1)
    memory: int = Field(0, ge=0)
    batches: bool = False
    warm_up: bool = False
    challenge: Challenge | None = None

    @property
    def reads_texts(self) -> bool:
        """Whether it learns from texts, which may be kept ones."""
        return any(each.type == "kept" for each in self.parameters.values())

    def words(self, language: str) -> dict[str, str]:
        metric = self.metric
        said = {f"live.metric.{metric.name}": metric.title, f"figure.metric.{metric.name}": metric.question}
        if self.challenge is not None:
            said[f"challenge.about.{self.name}"] = self.challenge.about
        said |= {f"size.{name}": size.title for name, size in self.sizes.items() if size.title is not None}
        return super().words(language) | {key: getattr(text, language) for key, text in said.items()}


def methods() -> dict[str, MethodCard]:
    """The card of every method, by name, in the order of lists; raises `CardError`."""
    return _cards(MethodCard, extensions())


def tasks() -> dict[str, TaskCard]:
    """The card of every task, by name, in the order of lists; raises `CardError`."""
    return _cards(TaskCard, extensions())


def built_in_tasks() -> dict[str, TaskCard]:
    """The tasks of this package alone."""
    return _cards(TaskCard, ())


def reference() -> str:
    """The method that the others are compared with: the first without a constraint."""
    return next(name for name, card in methods().items() if not card.constrained)


@cache
def _cards(shape: type[C], folders: Sequence[Path]) -> dict[str, C]:
    found: dict[str, C] = {}
    for folder in (ROOM, *folders):
        if not folder.is_dir():
            raise CardError(f"{variable('extensions')} names {folder}, which is not a folder.")
        for path in sorted((folder / f"{shape.kind}s").glob("*.toml")):
            card = _read(shape, path)
            if card.name in found:
                raise CardError(
                    f"{path}: the {shape.kind} {card.name} already exists in {found[card.name].path}."
                )
            found[card.name] = card
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[0])))


def _read(shape: type[C], path: Path) -> C:
    if not NAMES.fullmatch(path.stem):
        raise CardError(
            f"{path}: a name must start with a letter and have at most 32 lower-case letters, digits and _."
        )
    try:
        return shape.model_validate(tomllib.loads(path.read_text(encoding="utf-8")) | {"path": path})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CardError(f"{path}: {where or 'it'}: {first['msg']}.") from None
    except (OSError, ValueError) as error:
        raise CardError(f"{path} cannot be read: {error}.") from None


def taking(parameter: str) -> list[str]:
    """The methods that have a use for a shared parameter, in the order of lists."""
    return [name for name, card in methods().items() if parameter in card.takes]


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of a task's metric is the better one.

    >>> lower_is_better("rmse"), lower_is_better("accuracy")
    (True, False)
    """
    return any(card.metric.name == metric and card.metric.lower for card in tasks().values())


def in_percent(metric: str) -> bool:
    """Whether a task's metric is a share of 1, and is written in percent."""
    return any(card.metric.name == metric and card.metric.percent for card in tasks().values())


def _words(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for card in (*methods().values(), *tasks().values()):
        found = card.words(language) | found  # of two cards that word the same, the first is heard
    for kind, cards in (("method", methods()), ("task", tasks())):
        about = {name: found[f"card.{kind}.{name}.about"] for name in cards}
        found[f"parameter.{kind}.help"] = _listed(about, kind, found)
    noise = {name: found.get(f"{card.key('noise')}.help") for name, card in tasks().items()}
    return found | {"parameter.noise.help": _listed(noise, "task", found)}


def _listed(texts: dict[str, str | None], kind: str, words: dict[str, str]) -> str:
    """Join one text per method or task, each after its title."""
    return " ".join(f"{words[f'{kind}.{name}']}: {text}" for name, text in texts.items() if text)


words.add(_words)
