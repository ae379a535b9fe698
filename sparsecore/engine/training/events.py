"""What a run says while it trains, and what may be said to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsecore.engine.training.frame_reading import Frame, Scene


@dataclass(frozen=True)
class Record:
    """Scalars at a step: loss, metrics, density and threshold a layer, support change, length of the step."""

    step: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to go on from a step, bit for bit."""

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Ready:
    """Another step follows: the moment to send a command."""

    step: int


@dataclass(frozen=True)
class Ended:
    """Why training ended and what it reached; comes last.

    reason: converged, collapsed, diverged, max_steps or stopped.
    """

    step: int
    reason: str
    detail: dict[str, Any]
    result: dict[str, Any]


@dataclass(frozen=True)
class Change:
    """Set live parameters: density, learning_rate or method."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Look:
    """Give a frame and a checkpoint now (before a pause)."""


@dataclass(frozen=True)
class Stop:
    """End here."""


Event = Scene | Record | Frame | Checkpoint | Ready | Ended
Command = Change | Look | Stop
