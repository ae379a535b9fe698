"""The values that a run archive must have outside its frames: manifest, records, result, checkpoint.

Every page and every worker can read a run of such values. Frames and scenes are described in `frame_layout`.
Numbers are finite and texts bounded before a value comes here (`archive_checks.read`).
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, create_model

from sparsecore.engine.training.blobs import DTYPES
from sparsecore.engine.training.frame_layout import (
    MOST_LAYERS,
    Certificate,
    Count,
    Described,
    LayerResult,
    Metrics,
    Name,
    Number,
    Share,
    Step,
    Time,
)
from sparsecore.runs.store.catalogue import clean_name, clean_note

MAX_ENTRY = 16_000_000  # bytes of one row: a frame has 0.7 MB at most, a scene as much
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0)]


class Exact(Described):
    """No field but those named."""

    model_config = ConfigDict(extra="forbid")


def _detail(*what: str, **fields: Any) -> type[Described]:
    """The detail of an ending; a field is a type, or a type and its default."""
    found = {name: each if isinstance(each, tuple) else (each, ...) for name, each in fields.items()}
    return create_model("Detail", __base__=Described, what=(Literal[what], ...), **found)


class NoDetail(Exact):
    """The detail of an ending that has none."""


DETAILS: dict[str, Any] = {
    "converged": _detail("theta", update=float, theta=float) | _detail("patience", times=Count, best=float),
    "collapsed": _detail("empty", step=Step, layer=Name) | _detail("constant", step=Step),
    "diverged": _detail("loss", "weights", step=Step, layer=(Name | None, None)),
    "max_steps": NoDetail,
    "stopped": NoDetail,
}
Reason = Literal[tuple(DETAILS)]

# -- records, results and checkpoints -------------------------------------------------------------------


class CertificateCurves(Described):
    """The certificate in a record."""

    max_gradient_on: Number
    max_gradient_off: Number
    smallest_lipschitz: Number


class ArchivedRecord(Described):
    """The scalars of a step."""

    loss: Number
    update: Number
    seconds: Time
    density: list[Share]
    threshold: list[Number]
    churn: float
    jaccard: float
    frozen: bool
    certificate: CertificateCurves | None = None
    metrics: Metrics = Field(default_factory=dict)


class Result(Described):
    """What an ended run reached."""

    density_target: Share
    budget: Count
    nonzeros: Count
    density: Share
    steps: Step
    metrics: Metrics
    layers: Annotated[list[LayerResult], Field(max_length=MOST_LAYERS)]
    stationarity: Certificate | None
    frozen: bool
    seconds: Time
    device: Annotated[str, Field(pattern=r"^[a-z0-9:]{1,16}$")]


class TextResult(Result):
    """What an ended run on texts reached."""

    weights: dict[Name, Count]
    padding_waste: float


class ArchivedEndings(Described):
    """What a checkpoint remembers for the endings."""

    best: Number
    stale: Count
    flat: Count
    empty_since: dict[Name, Step]


class CheckpointMeta(Described):
    """The description of a checkpoint."""

    seconds: Time
    measured: Metrics
    certificate: Certificate | None
    ending: list[Any] | None
    config: dict[str, Any]
    endings: ArchivedEndings
    sparsifier: dict[str, Any]


# -- the header of a blob -------------------------------------------------------------------------------


class PlacedArray(Exact):
    """Where in a blob an array lies, in the words of safetensors."""

    dtype: Literal[tuple(DTYPES)]
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=4)]
    data_offsets: Annotated[list[Size], Field(min_length=2, max_length=2)]


# -- the manifest ---------------------------------------------------------------------------------------


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
    size: Size
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


def _unchanged_by(clean: Callable[[str], str | None], text: str) -> str:
    if clean(text) != text:
        raise ValueError("no run can have this value")
    return text


class Labels(Exact):
    """The name, note and pin that a user gave the run, as a store would keep them."""

    name: Annotated[str, AfterValidator(partial(_unchanged_by, clean_name))] | None = None
    note: Annotated[str, AfterValidator(partial(_unchanged_by, clean_note))] | None = None
    pinned: bool = False


class Manifest(Exact):
    """What an archive says of itself."""

    format: Literal["sparsecore run"]
    version: Literal[1]
    run: ArchivedRun
    labels: Annotated[Labels, Field(alias="told")] = Labels()
    log: Annotated[list[ArchivedEntry], Field(max_length=20_000)]
    checkpoint: ArchivedCheckpoint | None
