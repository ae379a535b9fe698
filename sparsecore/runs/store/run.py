"""One run of the store: its row as a frozen dataclass."""

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
IMPORT = "import"  # the origin of a run that was imported from a file
WELCOME = "welcome"  # the origin of the run that every visitor sees first; nobody may stop it
LESSON = "lesson"  # the origin of a lesson's run: one for the whole class; nobody may stop it
SHARED_ORIGINS = (WELCOME, LESSON)
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # ids are read aloud in class, so no look-alikes


def new_id() -> str:
    """Draw the id of a new run or sweep: eight characters."""
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def new_row(config: RunConfig, origin: str, owner: str | None = None) -> dict[str, Any]:
    """The table row of a new queued run."""
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
    """One run of the store; times are seconds since the epoch."""

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
    def layers(self) -> "tuple[KeptLayer, ...]":
        """The kept weights of each layer of a finished run."""
        return layers_of(self.result["layers"])

    @property
    def nonzeros(self) -> int | None:
        """The non-zeros of all matrices, exempt ones included and embeddings not; None before the end."""
        known = "layers" in (self.result or {})
        return sum(layer.nonzeros for layer in self.layers) if known else None

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
        described = {"name": self.name, "note": self.note, "pinned": self.pinned, "error": self.error}
        return head | result | tail | {key: value for key, value in described.items() if value}

    @classmethod
    def of(cls, row: Row, config: RunConfig | None = None) -> "Run":
        """The run of a table row; its config is parsed unless it is given."""
        fields = {name: getattr(row, name) for name in cls.__dataclass_fields__ if name != "config"}
        return cls(config=config or RunConfig(**row.config), **fields)


# -- The kept weights of each layer


EMBEDDING = "embedding"  # the name of the embedding layer: a lookup table, never pruned and never counted


@dataclass(frozen=True)
class KeptLayer:
    """The kept weights of one layer of a finished run; a Transformer block is one layer."""

    name: str
    nonzeros: int
    weights: int
    prunable: bool

    @property
    def density(self) -> float:
        return self.nonzeros / self.weights


def layers_of(rows: Sequence[dict[str, Any]]) -> tuple[KeptLayer, ...]:
    """The layers of a result; the matrices of a Transformer block (`blocks.0.…`) are added up."""
    found: dict[str, KeptLayer] = {}
    for row in rows:
        name = row["name"]
        if name == EMBEDDING:
            continue
        if name.startswith("blocks."):
            name = ".".join(name.split(".")[:2])
        nonzeros, weights, prunable = row["nonzeros"], prod(row["shape"]), row["prunable"]
        if before := found.get(name):
            nonzeros, weights = nonzeros + before.nonzeros, weights + before.weights
            prunable = prunable or before.prunable
        found[name] = KeptLayer(name, nonzeros, weights, prunable)
    return tuple(found.values())
