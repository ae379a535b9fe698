"""What a run says while it trains, and what may be said to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SPREAD_BINS = 64  # of a frame's histograms of weights


@dataclass(frozen=True)
class Scene:
    """What the pictures show that never changes; comes first."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """Scalars at a step: loss, metrics, density and threshold a layer, support change, length of the step."""

    step: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Frame:
    """Pictures at a step, as arrays; `meta` tells how to read them."""

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


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
