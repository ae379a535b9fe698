"""`RunConfig`: everything that decides a run, and the one table of its parameters.

The model's fields are the table. Widgets, the URL, validation and the command line's flags are all read
from `PARAMETERS`; a parameter is written down once, here. Nothing in this file imports torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

Task = Literal["sinc", "spirals", "vulnerabilities"]
Size = Literal["demo", "laptop", "paper"]
Method = Literal["dense", "global", "layerwise"]
Schedule = Literal["constant", "linear", "cubic", "cosine", "cyclic"]
Mode = Literal["iht", "latent"]
Certificate = Literal["off", "end", "live"]
Split = Literal["random", "time"]
Watch = Literal["validation", "test"]
Precision = Literal["auto", "float32"]

TEXTS = "vulnerabilities"
# The middle size is for real texts on two cores; the other tasks' networks train in a minute at any size.
SIZES: dict[str, tuple[str, ...]] = {
    "sinc": ("demo", "paper"),
    "spirals": ("demo", "paper"),
    TEXTS: ("demo", "laptop", "paper"),
}

# The retention ratios of the thesis: Tables 3-1 and 3-2 stop at 0.05, Table 3-4 goes down to 0.01.
PAPER_DENSITIES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Noise:
    """What `noise` means for a task: its default and its largest sensible value."""

    default: float
    maximum: float


NOISE: dict[str, Noise] = {
    "sinc": Noise(0.005, 1.0),  # variance of the Gaussian on y (thesis, section 3.1)
    "spirals": Noise(0.1, 3.0),  # standard deviation of the angle, in radians
    "vulnerabilities": Noise(0.0, 0.9),  # share of labels replaced by another grade
}

# A small network learns in seconds only with a larger step than the thesis's 1e-3.
LEARNING_RATE = {
    ("sinc", "demo"): 1e-2,
    ("spirals", "demo"): 1e-2,
    (TEXTS, "demo"): 3e-3,
    (TEXTS, "laptop"): 1e-3,
    (TEXTS, "paper"): 1e-4,
}
PAPER_LEARNING_RATE = 1e-3
MAX_STEPS = {
    ("sinc", "demo"): 20_000,
    ("spirals", "demo"): 20_000,
    (TEXTS, "demo"): 2_000,
    (TEXTS, "laptop"): None,  # so many epochs as the size plans
    (TEXTS, "paper"): 20_000,
}
PAPER_MAX_STEPS = 16_000
# ‖Δw‖ grows with the number of weights: the thesis's 1e-3 would end a network of 300 within two seconds.
# Where the learning rate falls to 0 by plan, a small step says nothing.
THETA = {"demo": 1e-5, "laptop": 0.0}
PAPER_THETA = 1e-3
WHOLE = TypeAdapter(int)  # reads what the fields read: 7, 7.0, "7", "0_7"
SCHEDULE_SHARE = 4  # the density settles after this part of a run: a quarter of its steps
# A certificate costs one pass over all training data: nothing beside a full-batch step, an epoch elsewhere.
CERTIFICATE = {(TEXTS, "demo"): "end", (TEXTS, "laptop"): "off", (TEXTS, "paper"): "off"}
FULL_BATCH_CERTIFICATE = "live"
# Of tens of thousands of real texts a network soon knows each by its rare words.
WORD_DROPOUT = {(TEXTS, "laptop"): 0.1}
DROPOUT = {(TEXTS, "laptop"): 0.2}
USUAL_DROPOUT = 0.1


# What parameters that are text take, to stand after "must be".
TEXTUAL = {
    "device": "auto, cpu, mps, cuda or cuda:N",
    "data": "the name of a kept data set (16 hexadecimal digits)",
    "layer_densities": "layers with densities greater than 0 and at most 1, such as fc1=0.5,fc2=0.1",
}


class ConfigError(ValueError):
    """A parameter was given a value it does not take.

    `field` names it, `value` is what was given, `allowed` says in English what would be right.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field} must be {allowed}; got {value!r}.")


def _field(default: Any, *, live: bool = False, **bounds: Any) -> Any:
    return Field(default, json_schema_extra={"live": live}, **bounds)


class RunConfig(BaseModel):
    """Everything that decides a run: the same config on the same machine gives the same weights.

    `noise`, `learning_rate`, `theta`, `max_steps`, `schedule_steps`, `certificate`, `dropout` and
    `word_dropout` left out take the default of the task and size. `max_steps` and `schedule_steps` stay None
    where the size plans a number of epochs: the task knows their steps. `split` to `precision` are for
    texts; the other tasks ignore them. `layer_densities` gives layers a density of their own, such as
    "fc1=0.5,fc2=0.1".

    >>> RunConfig(task="sinc", size="paper").learning_rate
    0.001
    >>> RunConfig.parse({"density": 1.5})
    Traceback (most recent call last):
    ...
    sparsecore.engine.config.ConfigError: density must be greater than 0 and at most 1; got 1.5.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task = _field("sinc")
    size: Size = _field("demo")
    method: Method = _field("layerwise", live=True)
    density: float = _field(0.4, live=True, gt=0, le=1)
    seed: int = _field(0, ge=0, le=2**31 - 1)
    learning_rate: float = _field(None, live=True, gt=0, le=10)
    noise: float = _field(None, ge=0)
    theta: float = _field(None, ge=0, le=1e6)
    max_steps: int | None = _field(None, ge=1, le=10_000_000)
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$")] = _field("auto")
    schedule: Schedule = _field("constant")
    schedule_start: float = _field(1.0, gt=0, le=1)
    schedule_steps: int | None = _field(None, ge=1, le=10_000_000)
    mode: Mode = _field("iht")
    keep_alive: int = _field(0, live=True, ge=0, le=100_000)
    keep_alive_layer: int = _field(0, live=True, ge=0, le=10_000_000)
    freeze_at: int | None = _field(None, live=True, ge=1, le=10_000_000)
    freeze_settled: int = _field(0, ge=0, le=10_000_000)
    certificate: Certificate = _field(None)
    data: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = _field(None)
    split: Split = _field("random")
    watch: Watch = _field("validation")
    class_weights: float = _field(0.1, ge=0, le=1)
    label_smoothing: float = _field(0.05, ge=0, le=0.5)
    dropout: float = _field(None, ge=0, le=0.9)
    word_dropout: float = _field(None, ge=0, le=0.9)
    precision: Precision = _field("auto")
    layer_densities: str | None = _field(None)

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = {name: value for name, value in given.items() if value is not None}
        task, size = given.get("task", "sinc"), given.get("size", "demo")
        if not (isinstance(task, str) and isinstance(size, str)):
            return given  # nothing has a default then; pydantic says what is wrong
        filled = {
            "learning_rate": LEARNING_RATE.get((task, size), PAPER_LEARNING_RATE),
            "max_steps": MAX_STEPS.get((task, size), PAPER_MAX_STEPS),
            "theta": THETA.get(size, PAPER_THETA),
            "noise": NOISE[task].default if task in NOISE else 0.0,
            "certificate": CERTIFICATE.get((task, size), FULL_BATCH_CERTIFICATE),
            "dropout": DROPOUT.get((task, size), USUAL_DROPOUT),
            "word_dropout": WORD_DROPOUT.get((task, size), 0.0),
        }
        filled |= given
        if "schedule_steps" not in filled and filled["max_steps"] is not None:
            with contextlib.suppress(ValidationError):  # what is no number is told of max_steps itself
                filled["schedule_steps"] = quarter(WHOLE.validate_python(filled["max_steps"]))
        return filled

    @model_validator(mode="after")
    def _check_together(self) -> RunConfig:
        if self.size not in SIZES[self.task]:
            raise ConfigError("size", self.size, f"one of {', '.join(SIZES[self.task])} for {self.task}")
        if self.noise > NOISE[self.task].maximum:
            raise ConfigError("noise", self.noise, f"from 0 to {NOISE[self.task].maximum:g} for {self.task}")
        if self.data is not None and self.task != TEXTS:
            raise ConfigError("data", self.data, f"left out: {self.task} reads no texts")
        if self.data is not None and self.noise > 0:
            raise ConfigError("noise", self.noise, "0 with a file: label noise is for the built-in corpus")
        if self.split == "time" and self.task == TEXTS and self.data is None:
            raise ConfigError("split", self.split, "random without a file: generated texts have no dates")
        if self.layer_densities is not None:
            self._check_layer_densities(self.layer_densities)
        return self

    def _check_layer_densities(self, given: str) -> None:
        densities_of_layers(given)
        if self.method == "global":
            raise ConfigError("layer_densities", given, "left out: a global budget is one for all layers")
        if self.schedule != "constant":
            raise ConfigError("layer_densities", given, "left out: a schedule moves one density for all")

    def planned(self, steps: int) -> RunConfig:
        """The config with what it leaves to the size's plan of `steps` steps filled in."""
        last = self.max_steps or steps
        return self.model_copy(
            update={"max_steps": last, "schedule_steps": self.schedule_steps or quarter(last)}
        )

    @classmethod
    def parse(cls, given: dict[str, Any]) -> RunConfig:
        """The config of these values; a `ConfigError` names the first one that does not fit."""
        try:
            return cls(**given)
        except ValidationError as error:
            refused = explain(error)
        # Not raised above: it would hold pydantic's error as its context, which holds it, and into which the
        # garbage collector cannot look. Each refusal would stay in memory for good.
        raise refused

    def digest(self) -> str:
        """A hash of the config (16 hex digits): equal exactly when every parameter is.

        What has its default is not hashed: a parameter that later versions add leaves old digests valid.
        """
        canonical = json.dumps(self.model_dump(exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


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


def quarter(max_steps: int) -> int:
    """The steps in which a schedule of the density settles, of so many."""
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


@dataclass(frozen=True)
class Parameter:
    """One row of the table: what a widget, a flag and an error message need to know of a parameter."""

    name: str
    kind: type
    default: Any
    minimum: float | None
    maximum: float | None
    exclusive_minimum: bool
    choices: tuple[str, ...]
    live: bool

    @property
    def label_key(self) -> str:
        return f"parameter.{self.name}"

    @property
    def help_key(self) -> str:
        return f"parameter.{self.name}.help"

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def allowed(self) -> str:
        """What values it takes, in English, to stand after "must be"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.kind is str:
            return TEXTUAL[self.name]
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


def _bare(annotation: Any) -> Any:
    """The type under `Annotated` and `| None`."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation


def _parameter(name: str, field: FieldInfo) -> Parameter:
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
        choices=choices,
        live=field.json_schema_extra["live"],
    )


PARAMETERS: dict[str, Parameter] = {
    name: _parameter(name, field) for name, field in RunConfig.model_fields.items()
}
