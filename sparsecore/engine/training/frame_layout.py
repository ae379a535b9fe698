"""The layout of a frame, once: its version, its arrays and its description. Imports no torch.

A frame is the state of a run at a step, as one blob (`blobs`): arrays and a JSON description. A scene is the
fixed part of the network's picture, once a run. `frame.py` and the tasks make them; `frame_reading.py` reads
and checks them by this layout, and in the browser `assets/views/shared/frame.js` reads them.

Version 1 does not state its version, and its oldest frames have no histograms (`spread`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sparsecore.engine.cards import methods

VERSION = 2
SPREAD_BINS = 64
FULL = 255  # of a share or a probability: 1

# -- arrays ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Array:
    """One array of the layout: the dtypes it may have, and its sides, by name or by length."""

    name: str
    dtypes: tuple[str, ...]
    sides: tuple[str | int, ...]
    needed: bool = True


FLOATS, WHOLE = ("float32", "float64"), ("uint8", "uint16", "uint32")
READABLE = (*FLOATS, *WHOLE, "int32")  # dtypes that a browser has arrays for
COUNTS = ("uint16", "uint32")
# Of each drawn matrix i, as NAME.i. A small network shows every weight, a large one blocks of weights.
EXACT = (
    Array("mask", ("uint8",), ("bytes",)),  # one bit a weight, row by row, lowest bit first
    Array("count", COUNTS, ("rows", "cols")),  # the number of steps after which the weight was kept
    Array("value", ("float32",), ("kept",)),  # of the kept weights only, in order
)
BLOCKS = (
    Array("mask", ("uint8",), ("rows", "cols")),  # the share of kept weights, in 255ths
    Array("count", COUNTS, ("rows", "cols")),  # the mean, rounded
    Array("value", ("float32",), ("rows", "cols")),  # the one of largest magnitude
)
LAYER = (
    Array("bias", ("float32",), ("neurons",), needed=False),
    # Histograms in the bins of `frame.counted`: kept weights by value, others by their value before the cut.
    Array("spread.kept", COUNTS, (SPREAD_BINS,), needed=False),
    Array("spread.cut", COUNTS, (SPREAD_BINS,), needed=False),
)


def indexed(index: int, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of the drawn matrix `index` under their names in the frame.

    >>> list(indexed(2, {"mask": np.zeros(1), "spread.cut": np.zeros(1)}))
    ['mask.2', 'spread.cut.2']
    """
    return {f"{name}.{index}": array for name, array in arrays.items()}


def exact_matrix(mask: np.ndarray, count: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of `EXACT` for one matrix; all three of its shape."""
    return {"count": whole(count), "mask": packed(mask), "value": weight[mask]}


def matrix_entry(place: int, shape: Sequence[int], pool: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """The description of a drawn matrix: that of the layer at `place`, in blocks of `pool` (rows, cols)."""
    return {"layer": place, "rows": shape[0], "cols": shape[1], "pool": list(pool)}


def packed(mask: np.ndarray) -> np.ndarray:
    """A mask as bits, row by row, lowest bit first; the bits past the last weight are 0.

    >>> packed(np.array([[True, False], [True, True]])).tolist()
    [13]
    """
    return np.packbits(mask.ravel(), bitorder="little")


def whole(counts: np.ndarray) -> np.ndarray:
    """Counts in as few bytes as hold them."""
    small = counts.max(initial=0) <= np.iinfo(np.uint16).max
    return counts.astype(np.uint16 if small else np.uint32)


def saved_names(place: int, layer: str) -> tuple[str, str, str]:
    """The names of a layer's mask, counts and weights among the arrays of a checkpoint."""
    return f"sparsifier.masks.{place}", f"sparsifier.counts.{place}", f"model.{layer}.weight"


# -- descriptions ---------------------------------------------------------------------------------------

Count = Annotated[int, Field(ge=0, le=2**48)]
Step = Annotated[int, Field(ge=0, le=10_000_000)]
Side = Annotated[int, Field(ge=1, le=10_000_000)]
Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,64}$")]  # of a layer, a group, a metric: no markup
Grade = Annotated[str, Field(pattern=r"^[^<>&]{1,32}$")]  # drawn by plotly, which reads some markup
Share = Annotated[float, Field(ge=0, le=1)]
Time = Annotated[float, Field(ge=0, le=1e11)]
Number = float | None  # None where the value is no finite number
Metrics = dict[Name, dict[Name, float]]
MOST_LAYERS = 200


def _known_method(name: str) -> str:
    if name not in methods():
        raise ValueError("there is no such method here")
    return name


Method = Annotated[str, AfterValidator(_known_method)]


class Described(BaseModel):
    """The required fields; others may follow and are ignored."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class LayerResult(Described):
    """One weight matrix in a run's result."""

    name: Name
    shape: Sides
    prunable: bool
    nonzeros: Count
    density: Share


class FrameLayer(LayerResult):
    """One weight matrix in a frame, drawn or not."""

    kept: Count
    group: Name | None
    block: Name


class FrameMatrix(Described):
    """One drawn matrix, as `matrix_entry` describes it."""

    layer: Annotated[int, Field(ge=0)]
    rows: Side
    cols: Side
    pool: Sides


class CertificateGroup(Described):
    """One group of layers in a certificate."""

    threshold: Number


class Certificate(Described):
    """How far the weights are from stationary."""

    groups: dict[Name, CertificateGroup]
    max_gradient_on: float
    max_gradient_off: float
    max_gradient_free: float
    smallest_lipschitz: Number


class FrameMeta(Described):
    """The description of a frame."""

    type: Literal["frame"]
    version: Annotated[int, Field(ge=1, le=VERSION)] = 1
    step: Step
    seconds: Time
    matrices: Annotated[list[FrameMatrix], Field(max_length=MOST_LAYERS)]
    layers: Annotated[list[FrameLayer], Field(max_length=MOST_LAYERS)]
    spread: Annotated[float, Field(gt=0, le=1e38)] | None = None  # the edge of the histograms
    thresholds: dict[Name, Number]  # by group of layers
    budget: Count
    constrained: Count
    nonzeros: Count
    metrics: Metrics
    loss: Number
    density: Share
    method: Method
    frozen: bool
    still: Count  # steps since the support last changed
    certificate: Certificate | None
    relaxed: list[Name]  # groups in which a floor keeps more than the budget
    learning_rate: float


class SceneMeta(Described):
    """The description of a scene of any kind."""

    type: Literal["scene"]
    kind: Name
    max_steps: Step

    def sides(self) -> dict[str, int]:
        """The sides of the picture's arrays that the description fixes."""
        return {}


class Curve(SceneMeta):
    """A regression: points, the true function, and the fitted curve over the grid."""

    kind: Literal["curve"]
    floor: float


class Boundary(SceneMeta):
    """Two classes in the plane, and the probability of class 1 in grid × grid cells, in 255ths."""

    kind: Literal["boundary"]
    grid: Annotated[int, Field(ge=2, le=512)]
    edge: Annotated[float, Field(gt=0, le=1e6)]
    train: Count
    ceiling: float

    def sides(self) -> dict[str, int]:
        return {"cells": self.grid**2}


class Confusion(SceneMeta):
    """Graded texts: how many have each grade, and how many of each grade were given which."""

    kind: Literal["confusion"]
    grades: Annotated[list[Grade], Field(min_length=2, max_length=16)]
    sample: Annotated[list[Annotated[tuple[str, Count], Field(strict=False)]], Field(max_length=100)]
    texts: Count
    of: Count
    name: Annotated[str, Field(max_length=500)]
    generated: bool
    majority: Share
    steps_an_epoch: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _check_sample(self) -> "Confusion":
        if any(grade >= len(self.grades) for _, grade in self.sample):
            raise ValueError("a text has an unknown grade")
        return self

    def sides(self) -> dict[str, int]:
        return {"grades": len(self.grades)}


class PictureKind(NamedTuple):
    """A kind of picture: its scene's description and arrays, and the arrays that a frame draws over it."""

    meta: type[SceneMeta]
    scene: tuple[Array, ...]
    drawn: tuple[Array, ...]


def picture_kind(kind: str) -> PictureKind:
    """The layout of a kind of picture; of one that only its task knows, no more than that it has a scene."""
    return PICTURES.get(kind, PictureKind(SceneMeta, (), ()))


PICTURE = "picture."  # how the names of the arrays that a task draws in each frame begin
CURVES = ("train", "test", "grid")  # the last is the true function
PICTURES = {
    "curve": PictureKind(
        Curve,
        tuple(
            Array(f"{part}.{axis}", FLOATS, (part,)) for part in ("train", "test", "grid") for axis in "xy"
        ),
        (Array(f"{PICTURE}fit", FLOATS, ("grid",)),),
    ),
    "boundary": PictureKind(
        Boundary,
        (Array("points", FLOATS, ("points", 2)), Array("labels", WHOLE, ("points",))),
        (Array(f"{PICTURE}chance", WHOLE, ("cells",)),),
    ),
    "confusion": PictureKind(
        Confusion,
        (Array("labels", (*WHOLE, "int32"), ("grades",)),),
        (Array(f"{PICTURE}confusion", (*WHOLE, "int32"), ("grades", "grades")),),
    ),
}
