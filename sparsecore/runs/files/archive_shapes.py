"""What the JSON of a run must be like, so that every page and every worker can read it.

More may stand beside what is named here: nobody reads it. Numbers are finite and texts bounded before a
value comes here (`strict_json`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_ENTRY = 16_000_000  # bytes of one row: a frame has 0.7 MB at most, a scene as much
Reason = Literal["converged", "collapsed", "diverged", "max_steps", "stopped"]
Count = Annotated[int, Field(ge=0, le=2**48)]
Step = Annotated[int, Field(ge=0, le=10_000_000)]
Side = Annotated[int, Field(ge=1, le=10_000_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,64}$")]  # of a layer, a group, a metric: no markup
Share = Annotated[float, Field(ge=0, le=1)]
Number = float | None
Metrics = dict[Name, dict[Name, float]]
Time = Annotated[float, Field(ge=0, le=1e11)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Shape(BaseModel):
    """What must be there; more may stand beside it."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class Exact(BaseModel):
    """Nothing else may stand beside what is named."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Placed(Exact):
    """Where in a blob an array lies, in the words of safetensors."""

    dtype: Literal["F64", "F32", "I64", "I32", "I16", "U32", "U16", "U8", "BOOL"]
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=4)]
    data_offsets: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


class Described(Exact):
    """What in a blob's header is ours."""

    meta: str


class EndedLayer(Shape):
    """One weight matrix in a run's result."""

    name: Name
    shape: Annotated[list[Side], Field(min_length=2, max_length=2)]
    prunable: bool
    nonzeros: Count
    density: Share


class Layer(EndedLayer):
    """One weight matrix in a frame."""

    kept: Count
    group: Name | None
    block: Name


class Drawn(Shape):
    """Where in a frame a matrix is drawn."""

    layer: Annotated[int, Field(ge=0)]
    rows: Side
    cols: Side
    pool: Annotated[list[Side], Field(min_length=2, max_length=2)]


class Group(Shape):
    """One group of layers in a certificate."""

    threshold: Number


class Certificate(Shape):
    """How far a frame's weights are from stationary."""

    groups: dict[Name, Group]
    max_gradient_on: float
    max_gradient_off: float
    max_gradient_free: float
    smallest_lipschitz: Number


class Frame(Shape):
    """What stands beside a frame's arrays."""

    type: Literal["frame"]
    step: Step
    seconds: Time
    matrices: Annotated[list[Drawn], Field(max_length=200)]
    layers: Annotated[list[Layer], Field(max_length=200)]
    thresholds: dict[Name, Number]
    budget: Count
    constrained: Count
    nonzeros: Count
    metrics: Metrics
    loss: Number
    density: Share
    method: Literal["dense", "global", "layerwise"]
    frozen: bool
    still: Count
    certificate: Certificate | None
    relaxed: list[Name]
    learning_rate: float
    spread: Annotated[float, Field(gt=0, le=1e38)] | None = None


class Curve(Shape):
    """The scene of a regression."""

    type: Literal["scene"]
    kind: Literal["curve"]
    floor: float
    max_steps: Step


class Boundary(Shape):
    """The scene of two classes in the plane."""

    type: Literal["scene"]
    kind: Literal["boundary"]
    grid: Annotated[int, Field(ge=2, le=512)]
    edge: Annotated[float, Field(gt=0, le=1e6)]
    train: Count
    ceiling: float
    max_steps: Step


class Confusion(Shape):
    """The scene of texts. A grade is drawn by plotly, which reads some markup: there is none in it."""

    type: Literal["scene"]
    kind: Literal["confusion"]
    grades: Annotated[
        list[Annotated[str, Field(pattern=r"^[^<>&]{1,32}$")]], Field(min_length=2, max_length=16)
    ]
    sample: Annotated[list[list[Any]], Field(max_length=100)]
    texts: Count
    of: Count
    name: Annotated[str, Field(max_length=500)]
    generated: bool
    majority: Share
    steps_an_epoch: Annotated[int, Field(ge=1)]
    max_steps: Step


SCENES = {"sinc": Curve, "spirals": Boundary, "vulnerabilities": Confusion}


class CertifiedRecord(Shape):
    """The certificate's curves in a record."""

    max_gradient_on: Number
    max_gradient_off: Number
    smallest_lipschitz: Number


class Record(Shape):
    """The scalars of a step."""

    loss: Number
    update: Number
    seconds: Time
    density: list[Share]
    threshold: list[Number]
    churn: float
    jaccard: float
    frozen: bool
    certificate: CertifiedRecord | None = None
    metrics: Metrics = {}


class Result(Shape):
    """What an ended run reached."""

    density_target: Share
    budget: Count
    nonzeros: Count
    density: Share
    steps: Step
    metrics: Metrics
    layers: Annotated[list[EndedLayer], Field(max_length=200)]
    stationarity: Certificate | None
    frozen: bool
    seconds: Time
    device: Annotated[str, Field(pattern=r"^[a-z0-9:]{1,16}$")]


class TextResult(Result):
    """That of a run on texts."""

    weights: dict[Name, Count]
    padding_waste: float


class Theta(Shape):
    """The detail of a run whose last step was short."""

    what: Literal["theta"]
    update: float
    theta: float


class Patience(Shape):
    """That of one that was better no more."""

    what: Literal["patience"]
    times: Count
    best: float


class Empty(Shape):
    """That of one with an empty layer."""

    what: Literal["empty"]
    step: Step
    layer: Name


class Constant(Shape):
    """That of one whose output ignores the input."""

    what: Literal["constant"]
    step: Step


class Diverged(Shape):
    """That of one with numbers that are none."""

    what: Literal["loss", "weights"]
    step: Step
    layer: Name | None = None


class Nothing(Exact):
    """The detail of an ending that has none."""


DETAILS: dict[str, Any] = {
    "converged": Theta | Patience,
    "collapsed": Empty | Constant,
    "diverged": Diverged,
    "max_steps": Nothing,
    "stopped": Nothing,
}


class Endings(Shape):
    """What a checkpoint remembers of the endings."""

    best: Number
    stale: Count
    flat: Count
    empty_since: dict[Name, Step]


class Saved(Shape):
    """What stands beside a checkpoint's arrays."""

    seconds: Time
    measured: Metrics
    certificate: Certificate | None
    ending: list[Any] | None
    config: dict[str, Any]
    endings: Endings
    sparsifier: dict[str, Any]


class ArchivedEntry(Exact):
    """One row of the log, as the manifest lists it."""

    kind: Literal["scene", "frame", "record", "change"]
    step: Step
    nth: Annotated[int, Field(ge=0, le=100_000_000)]
    stride: Annotated[int, Field(ge=1, le=2**24)]
    size: Annotated[int, Field(ge=0, le=MAX_ENTRY)]
    sha256: Digest


class ArchivedCheckpoint(Exact):
    """The checkpoint, as the manifest lists it."""

    step: Step
    size: Annotated[int, Field(ge=0)]
    sha256: Digest


class ArchivedRun(Exact):
    """The run's own row; only one that has ended has an ending."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]{8}$")]
    config: dict[str, Any]
    state: Literal["ended", "paused"]
    step: Step
    created: Time
    started: Time | None
    ended: Time | None
    reason: Reason | None
    detail: dict[str, Any] | None
    result: dict[str, Any] | None


class Told(Exact):
    """What a person has said of the run."""

    name: str | None = None
    note: str | None = None
    pinned: bool = False


class Manifest(Exact):
    """What an archive says of itself."""

    format: Literal["sparsecore run"]
    version: Literal[1]
    run: ArchivedRun
    told: Told = Told()
    log: Annotated[list[ArchivedEntry], Field(max_length=20_000)]
    checkpoint: ArchivedCheckpoint | None
