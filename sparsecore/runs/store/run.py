"""One run as the store knows it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

from sqlalchemy.engine import Row

from sparsecore.engine.config import RunConfig

State = Literal["queued", "running", "paused", "ended", "failed"]
ACTIVE = ("queued", "running", "paused")
IMPORT = "import"  # the origin of a run that came in a file from elsewhere
WELCOME = "welcome"  # the origin of the run that greets everybody, and that nobody may stop
LESSON = "lesson"  # the origin of a run of a lesson: one for the whole class, nobody's to stop
FOR_ALL = (WELCOME, LESSON)
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # ids are read aloud in class: no look-alikes


def new_id() -> str:
    """The id of a new run or sweep: eight characters."""
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def new_row(config: RunConfig, origin: str, owner: str | None = None) -> dict[str, Any]:
    """A queued run that is to be in the store's table; `owner` is whose it is."""
    return {
        "id": new_id(),
        "config": config.model_dump(),
        "digest": config.digest(),
        "origin": origin,
        "state": "queued",
        "created": time.time(),
        "owner": owner,
    }


@dataclass(frozen=True)
class Run:
    """One run as the store knows it; times are seconds since the epoch."""

    id: str
    place: int
    config: RunConfig
    origin: str
    state: State
    worker: str | None
    created: float
    started: float | None
    ended: float | None
    heartbeat: float | None
    step: int
    reason: str | None
    detail: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    owner: str | None
    name: str | None = None
    note: str | None = None
    pinned: bool | None = None

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """What each layer of a finished run kept."""
        return layers_of(self.result["layers"])

    def summary(self) -> dict[str, Any]:
        """The run as the command line prints it."""
        config, result = self.config, dict(self.result or {})
        head = {"run": self.id, "task": config.task, "size": config.size, "method": config.method}
        tail = {
            "state": self.state,
            "stopped": self.reason,
            "detail": self.detail,
            "config": config.model_dump(),
        }
        told = {"name": self.name, "note": self.note, "pinned": self.pinned, "error": self.error}
        return head | result | tail | {key: value for key, value in told.items() if value}

    @classmethod
    def of(cls, row: Row, config: RunConfig | None = None) -> Run:
        """The run of a row of the store's table; its config is read again unless it is known."""
        fields = {name: getattr(row, name) for name in cls.__dataclass_fields__ if name != "config"}
        return cls(config=config or RunConfig(**row.config), **fields)


# -- What each layer of a finished run kept


UNCOUNTED = "embedding"  # a table of rows, not a weight matrix; nothing ever prunes it


@dataclass(frozen=True)
class Layer:
    """What one layer of a finished run kept; a block of a Transformer is one layer."""

    name: str
    nonzeros: int
    weights: int
    prunable: bool

    @property
    def density(self) -> float:
        return self.nonzeros / self.weights


def layers_of(rows: Sequence[dict[str, Any]]) -> tuple[Layer, ...]:
    """The layers of a result; the matrices of one Transformer block (`blocks.0.…`) together."""
    found: dict[str, Layer] = {}
    for row in rows:
        name = row["name"]
        if name == UNCOUNTED:
            continue
        if name.startswith("blocks."):
            name = ".".join(name.split(".")[:2])
        nonzeros, weights, prunable = row["nonzeros"], prod(row["shape"]), row["prunable"]
        if before := found.get(name):
            nonzeros, weights = nonzeros + before.nonzeros, weights + before.weights
            prunable = prunable or before.prunable
        found[name] = Layer(name, nonzeros, weights, prunable)
    return tuple(found.values())
