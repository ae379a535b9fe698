"""`RunConfig`: everything that decides a run, and the one table of its parameters.

The model's fields are the parameters that all runs share; `parameters_of` adds those that a task and a method
bring along on their cards. Widgets, the URL, validation and the command line's flags are all read from these
rows; a parameter is written down once. Nothing in this file imports torch.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Set
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from sparsecore.engine.card_parts import Group
from sparsecore.engine.cards import CardError, built_in_tasks, methods, tasks
from sparsecore.engine.parameters import (
    TEXTUAL,
    ConfigError,
    Parameter,
    Table,
    densities_of_layers,
    of_card,
    refuse_misnamed,
)
from sparsecore.settings import extensions

Schedule = Literal["constant", "linear", "cubic", "cosine", "cyclic"]
Mode = Literal["iht", "latent"]
Certificate = Literal["off", "end", "live"]

# The retention ratios of the thesis: Tables 3-1 and 3-2 stop at 0.05, Table 3-4 goes down to 0.01.
PAPER_DENSITIES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PAPER_METHODS = ("global", "layerwise")
TASK, METHOD = "sinc", "layerwise"  # where a config names none
WHOLE = TypeAdapter(int)  # reads what the fields read: 7, 7.0, "7", "0_7"
SCHEDULE_SHARE = 4  # the density settles after this part of a run: a quarter of its steps
# Every config has carried the parameters of this task since before there were cards; its JSON and its digest
# keep them.
CARRIED_FROM = "vulnerabilities"


def _field(
    default: Any,
    *,
    live: bool = False,
    usual: Any = None,
    step: float | None = None,
    group: Group | None = None,
    **bounds: Any,
) -> Any:
    """A shared parameter; `usual` is what it is where its default is None and no card says otherwise."""
    return Field(
        default, json_schema_extra={"live": live, "usual": usual, "step": step, "group": group}, **bounds
    )


def _carried(name: str) -> Any:
    """A parameter of the task that all configs carry."""
    card = built_in_tasks()[CARRIED_FROM]
    more = {"usual": card.parameters[name].default, "carried": True}
    return Field(of_card(card, name).default, json_schema_extra=more)


SCHEDULE = ("schedule_start", "schedule_steps")  # of no use to a constant density


class RunConfig(BaseModel):
    """Everything that decides a run: the same config on the same machine gives the same weights.

    What is left out takes the default of the method, the task and its size. `max_steps` and `schedule_steps`
    stay None where the size plans its steps: the task knows how many. Parameters of a method or a task are
    attributes too; those of others are left out, but for `data` to `precision`, which every config carries.
    `layer_densities` gives layers a density of their own, such as "fc1=0.5,fc2=0.1".

    >>> RunConfig(task="sinc", size="paper").learning_rate
    0.001
    >>> RunConfig.parse({"density": 1.5})
    Traceback (most recent call last):
    ...
    sparsecore.engine.parameters.ConfigError: density must be greater than 0 and at most 1; got 1.5.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    task: str = _field(TASK)
    size: str = _field("demo")
    method: str = _field(METHOD, live=True)
    density: float = _field(0.4, live=True, gt=0, le=1)
    seed: int = _field(0, ge=0, le=2**31 - 1, step=1, group="training")
    learning_rate: float = _field(None, usual=1e-3, live=True, gt=0, le=10, step=1e-3, group="training")
    noise: float = _field(None, usual=0.0, ge=0, step=0.01, group="training")
    theta: float = _field(None, usual=1e-3, ge=0, le=1e6, step=1e-4, group="training")
    max_steps: int | None = _field(None, usual=16_000, ge=1, le=10_000_000, step=1_000, group="training")
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$")] = _field(
        "auto", group="training"
    )
    schedule: Schedule = _field("constant", group="constraint")
    schedule_start: float = _field(1.0, gt=0, le=1, step=0.05, group="constraint")
    schedule_steps: int | None = _field(None, ge=1, le=10_000_000, step=500, group="constraint")
    mode: Mode = _field("iht", group="constraint")
    keep_alive: int = _field(0, live=True, ge=0, le=100_000, step=1, group="constraint")
    keep_alive_layer: int = _field(0, live=True, ge=0, le=10_000_000, step=10, group="constraint")
    freeze_at: int | None = _field(None, live=True, ge=1, le=10_000_000, step=100, group="constraint")
    freeze_settled: int = _field(0, ge=0, le=10_000_000, step=100, group="constraint")
    certificate: Certificate = _field(None, usual="live", group="training")
    data: Any = _carried("data")
    split: Any = _carried("split")
    watch: Any = _carried("watch")
    class_weights: Any = _carried("class_weights")
    label_smoothing: Any = _carried("label_smoothing")
    dropout: Any = _carried("dropout")
    word_dropout: Any = _carried("word_dropout")
    precision: Any = _carried("precision")
    layer_densities: str | None = _field(None)

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = {name: value for name, value in given.items() if value is not None}
        table = _table_for(given.get("task", TASK), given.get("method", METHOD))
        size = given.get("size", table.usual_size)
        if not isinstance(size, str) or size not in table.defaults:
            raise ConfigError("size", size, _sizes_allowed(size, table))
        if strangers := given.keys() - table.rows.keys():
            _refuse_unknown(strangers, given)
            given = {name: value for name, value in given.items() if name not in strangers}
        filled = table.check(table.defaults[size] | {"size": size} | given)
        if "schedule_steps" not in filled and filled["max_steps"] is not None:
            with contextlib.suppress(ValidationError):  # what is no number is refused as `max_steps`
                filled["schedule_steps"] = quarter(WHOLE.validate_python(filled["max_steps"]))
        return filled

    @model_validator(mode="after")
    def _check_together(self) -> "RunConfig":
        table = _table_for(self.task, self.method)
        for row in table.narrowed:
            value = getattr(self, row.name)
            if not row.minimum <= value <= row.maximum:
                raise ConfigError(row.name, value, f"from {row.minimum:g} to {row.maximum:g} for {self.task}")
        if self.noise > 0 and "noise" not in table.brought:
            raise ConfigError("noise", self.noise, f"0: {self.task} has no noise")
        if self.data is not None and "data" not in table.brought:
            raise ConfigError("data", self.data, f"omitted: {self.task} uses no texts")
        for rule, words in table.rules:
            if broken := rule.broken(self.__dict__ | self.model_extra):
                raise ConfigError(*broken, rule.otherwise.en, words)
        if self.layer_densities is not None:
            self._check_layer_densities(self.layer_densities)
        return self

    def _check_layer_densities(self, given: str) -> None:
        densities_of_layers(given)
        card = methods()[self.method]
        if card.constrained and "layer_densities" not in card.takes:
            allowed = f"omitted for the {self.method} method: it has one budget for all layers"
            raise ConfigError("layer_densities", given, allowed)
        if self.schedule != "constant":
            raise ConfigError(
                "layer_densities", given, "omitted with a schedule: it changes one density for all layers"
            )

    def planned(self, steps: int) -> "RunConfig":
        """The config with what it leaves to the size's plan of `steps` steps filled in."""
        last = self.max_steps or steps
        return self.model_copy(
            update={"max_steps": last, "schedule_steps": self.schedule_steps or quarter(last)}
        )

    @classmethod
    def parse(cls, given: dict[str, Any]) -> "RunConfig":
        """The config of these values; a `ConfigError` names the first one that does not fit."""
        try:
            return cls(**given)
        except ValidationError as error:
            refused = explain(error)
        # Not raised above: it would hold pydantic's error as its context, which holds it, and into which the
        # garbage collector cannot look. Each refusal would stay in memory for good.
        raise refused

    def used(self) -> dict[str, Any]:
        """The values that make a difference to this run, by name.

        >>> config = RunConfig(task="sinc", method="dense")
        >>> [name in config.used() for name in ("noise", "density", "dropout", "schedule_steps")]
        [True, False, False, False]
        """
        idle = {*(SCHEDULE if self.schedule == "constant" else ()), *(("noise",) if self.data else ())}
        names = used_parameters(self.task, self.method).keys() - idle
        return {name: value for name, value in self if name in names and value is not None}

    def digest(self) -> str:
        """A hash of the config (16 hex digits): equal exactly when every parameter is.

        What has its default is not hashed: a parameter that later versions add leaves old digests valid.
        """
        given = self.model_dump(exclude_defaults=True)
        for name, value in self.model_extra.items():
            if value == parameters_of(self.task, self.method)[name].default:
                del given[name]
        canonical = json.dumps(given, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def quarter(max_steps: int) -> int:
    """Return the steps within which a density schedule of a run of this length settles."""
    return max(1, max_steps // SCHEDULE_SHARE)


def explain(error: ValidationError) -> ConfigError:
    """The first thing wrong in a pydantic error, as one sentence in the project's words."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return cause
    name = str(first["loc"][0]) if first["loc"] else "config"
    if name not in PARAMETERS:
        return ConfigError(name, first["input"], f"one of {', '.join(PARAMETERS)}")
    return ConfigError(name, first["input"], PARAMETERS[name].allowed)


def sizes() -> dict[str, None]:
    """The names of all sizes, in the order of the tasks that have most of them."""
    cards = sorted(tasks().values(), key=lambda card: -len(card.sizes))
    return {size: None for card in cards for size in card.sizes}


CHOICES: dict[str, Callable[[], Any]] = {"task": tasks, "method": methods, "size": sizes}


def _table_for(task: Any, method: Any) -> Table:
    if isinstance(task, str) and isinstance(method, str):
        return _table(task, method, extensions())
    wrong, known = ("task", tasks()) if not isinstance(task, str) else ("method", methods())
    raise ConfigError(wrong, task if wrong == "task" else method, f"one of {', '.join(known)}")


def _sizes_allowed(size: Any, table: Table) -> str:
    mine = size in sizes() if isinstance(size, str) else False
    return f"one of {', '.join(table.defaults)} for {table.task}" if mine else f"one of {', '.join(sizes())}"


def _refuse_unknown(names: Set[str], given: dict[str, Any]) -> None:
    """Drop parameters of other tasks and methods; refuse unknown ones."""
    for name in given:
        if name in names and name not in every_parameter():
            raise ConfigError(name, given[name], f"one of {', '.join(every_parameter())}")


def _bare(annotation: Any) -> Any:
    """The type under `Annotated` and `| None`."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation


def _parameter(name: str, field: FieldInfo) -> Parameter:
    """The row of a shared parameter."""
    more = field.json_schema_extra
    if "carried" in more:
        return of_card(built_in_tasks()[CARRIED_FROM], name)
    bare = _bare(field.annotation)
    choices = get_args(bare) if get_origin(bare) is Literal else ()
    bounds = {type(mark): mark for mark in field.metadata}
    low = bounds.get(Gt) or bounds.get(Ge)
    return Parameter(
        name=name,
        kind=str if choices else bare,
        default=field.default,
        minimum=None if low is None else (low.gt if isinstance(low, Gt) else low.ge),
        maximum=bounds[Le].le if Le in bounds else None,
        exclusive_minimum=isinstance(low, Gt),
        offered=lambda: tuple(CHOICES[name]() if name in CHOICES else choices),
        text=TEXTUAL.get(name, ""),
        live=more["live"],
        step=more["step"],
        group=more["group"],
    )


PARAMETERS: dict[str, Parameter] = {
    name: _parameter(name, field) for name, field in RunConfig.model_fields.items()
}
_USUAL = {
    name: field.json_schema_extra["usual"]
    for name, field in RunConfig.model_fields.items()
    if field.json_schema_extra.get("usual") is not None
}
# What follows the task and its size, so that it has no one default.
FOLLOWING = (*(name for name in _USUAL if PARAMETERS[name].default is None), "schedule_steps")


def parameters_of(task: str, method: str) -> dict[str, Parameter]:
    """The parameters of the runs of a task and a method, by name."""
    return _table(task, method, extensions()).rows


@cache
def _table(task: str, method: str, folders: tuple[Path, ...]) -> Table:
    for name, value, known in (("task", task, tasks()), ("method", method, methods())):
        if value not in known:
            raise ConfigError(name, value, f"one of {', '.join(known)}")
        refuse_misnamed(known[value], PARAMETERS)
    cards = tasks()[task], methods()[method]
    for name in sorted(cards[0].own.keys() & cards[1].own.keys()):
        raise CardError(f"{cards[0].path}: {name} is a parameter of the method {method} too; rename one.")
    return Table.of(PARAMETERS, _USUAL, *cards)


@cache
def _used(task: str, method: str, folders: tuple[Path, ...]) -> dict[str, Parameter]:
    cards, takeable = (tasks()[task], methods()[method]), {n for m in methods().values() for n in m.takes}
    return {
        name: row
        for name, row in _table(task, method, folders).rows.items()
        if any(name in card.parameters for card in cards)
        or not (row.words or name == "noise" or name in takeable - cards[1].takes)
    }


def used_parameters(task: str, method: str) -> dict[str, Parameter]:
    """Those parameters that make a difference to the runs of a task and a method, by name."""
    return _used(task, method, extensions())


def every_parameter() -> dict[str, Parameter]:
    """All parameters that there are: those that all runs share, then those that cards bring, each once."""
    return _every(extensions())


@cache
def _every(folders: tuple[Path, ...]) -> dict[str, Parameter]:
    cards = (*tasks().values(), *methods().values())
    brought = {name: of_card(card, name) for card in cards for name in card.own}
    return PARAMETERS | {name: row for name, row in brought.items() if name not in PARAMETERS}
