"""Check that a run could have logged what an archive holds: every config, number, array and size.

An imported run is the word of somebody else. What passes here can be shown, compared and resumed like a run
of this machine; the file cannot show whether its figures are true.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig, parameters_of
from sparsecore.engine.training.blobs import HEADER_BYTES, decode
from sparsecore.engine.training.frame_layout import saved_names
from sparsecore.engine.training.frame_reading import (
    Frame,
    Matrix,
    Misfit,
    Scene,
    check_frame,
    check_scene,
    fitting,
)
from sparsecore.runs.files import archive_shapes as shapes
from sparsecore.runs.files.strict_json import read
from sparsecore.runs.store.log import LIMITS, MB

MAX_HEADER = MB  # of a blob
SLACK = 2  # a log may have this many times what it is thinned to
FEW = {"scene": 1, "change": 10_000}  # rows of the kinds that are never thinned
RESERVED = {"kind", "step"}  # the live route puts these before a record's own names
SAVED = ("BOOL", "I32", "F32")  # dtypes of a layer's mask, counts and weights in a checkpoint


def manifest_values(data: bytes, form: str) -> dict[str, Any]:
    """The values of a manifest, whatever version of this format it is."""
    given = read(data)
    if not isinstance(given, dict) or given.get("format") != form:
        raise Misfit("it does not belong to a run")
    return given


def manifest(given: dict[str, Any]) -> tuple[shapes.Manifest, RunConfig]:
    """The archive's description, and the run's config. Raises Misfit or ConfigError."""
    found = fitting(shapes.Manifest, given)
    config = RunConfig.parse(found.run.config)
    _check_ending(found.run, config)
    _check_log(found)
    return found, config


def _check_ending(run: shapes.ArchivedRun, config: RunConfig) -> None:
    ended = run.state == "ended"
    if ended != (run.reason is not None) or ended != (run.ended is not None):
        raise Misfit("only a run that has ended can have a reason")
    if not ended and (run.detail is not None or run.result is not None):
        raise Misfit("only a run that has ended has a result")
    if ended:
        fitting(shapes.DETAILS[run.reason], run.detail)
    if run.result is not None:
        fitting(shapes.TextResult if "weights" in run.result else shapes.Result, run.result)


def _check_log(found: shapes.Manifest) -> None:
    """Rows of a kind are in order, numbered as they were logged, and no more than a log keeps."""
    for kind in ("scene", "frame", "record", "change"):
        rows = [row for row in found.log if row.kind == kind]
        limit = LIMITS.get(kind)
        most = FEW[kind] if limit is None else SLACK * limit.rows
        size = shapes.MAX_ENTRY if limit is None else SLACK * limit.size
        if len(rows) > most or sum(row.size for row in rows) > size:
            raise Misfit(f"it has more rows of kind {kind} than a log can have")
        if any(after.nth <= before.nth or after.step < before.step for before, after in pairwise(rows)):
            raise Misfit(f"the rows of kind {kind} are not in order")
    steps = [row.step for row in found.log] + ([found.checkpoint.step] if found.checkpoint else [])
    if max(steps, default=0) > found.run.step:
        raise Misfit("it has rows after its last step")
    if any(row.kind == "frame" for row in found.log) and found.log[0].kind != "scene":
        raise Misfit("it has frames before any scene")


class Contents:
    """Checks the rows of one archive's log, in order, and then its checkpoint. Raises Misfit."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.scene: Scene | None = None
        self.drawn: list[Matrix] = []  # of the last frame

    def row(self, entry: shapes.ArchivedEntry, payload: bytes) -> None:
        """One row of the log."""
        match entry.kind:
            case "scene":
                self.scene = Scene(*_decoded(payload))
                check_scene(self.scene, tasks()[self.config.task].picture)
            case "frame":
                arrays, meta = _decoded(payload)
                frame = Frame(entry.step, arrays, meta)
                check_frame(frame, self.scene)
                self.drawn = frame.matrices
            case "record":
                _check_record(read(payload))
            case "change":
                self._check_change(read(payload))

    def _check_change(self, values: Any) -> None:
        if not isinstance(values, dict) or not values:
            raise Misfit("it changes nothing")
        rows = parameters_of(self.config.task, str(values.get("method", self.config.method)))
        if any(name not in rows or not rows[name].live for name in values):
            raise Misfit("it changes a parameter that cannot change during training")
        RunConfig.parse(self.config.model_dump() | values)

    def checkpoint(self, payload: bytes) -> None:
        """The checkpoint; its arrays stay where they lie, without a copy."""
        places, meta = _opened(payload)
        saved = fitting(shapes.CheckpointMeta, meta)
        config = RunConfig.parse(saved.config)
        if (config.task, config.size) != (self.config.task, self.config.size):
            raise Misfit("its task or size differs from the run's")
        if saved.ending is not None:
            reason, detail = fitting(tuple[shapes.Reason, dict[str, Any]], tuple(saved.ending))
            fitting(shapes.DETAILS[reason], detail)
        for matrix in self.drawn:
            names = saved_names(matrix.place, matrix.layer["name"])
            for name, dtype in zip(names, SAVED, strict=True):
                found = places.get(name)
                if found is None or (found.dtype, tuple(found.shape)) != (dtype, matrix.shape):
                    raise Misfit("its weights differ from those of the frames")


def _check_record(values: Any) -> None:
    fitting(shapes.ArchivedRecord, values)
    if RESERVED & values.keys():
        raise Misfit("its name is invalid")


def _decoded(payload: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the description of a blob."""
    _, meta = _opened(payload)
    try:
        return decode(payload)[0], meta
    except ValueError as error:
        raise Misfit("its description is invalid") from error


def _opened(payload: bytes) -> tuple[dict[str, shapes.PlacedArray], dict[str, Any]]:
    """A blob's arrays, which must lie one after the other over all bytes after the header, and its meta."""
    length = int.from_bytes(payload[:HEADER_BYTES], "little")
    if len(payload) < HEADER_BYTES or length > min(MAX_HEADER, len(payload) - HEADER_BYTES):
        raise Misfit("it is not a blob of arrays")
    header = read(payload[HEADER_BYTES : HEADER_BYTES + length], MAX_HEADER)
    described = header.pop("__metadata__", None) if isinstance(header, dict) else None
    meta = read(fitting(dict[Literal["meta"], str], described).get("meta", "").encode())
    if not isinstance(meta, dict):
        raise Misfit("its description is invalid")
    places, at = fitting(dict[str, shapes.PlacedArray], header), 0
    for placed in sorted(places.values(), key=lambda placed: placed.data_offsets):
        if placed.data_offsets != [at, at + placed.size]:
            raise Misfit("its arrays are not contiguous")
        at += placed.size
    if HEADER_BYTES + length + at != len(payload):
        raise Misfit("its length differs from that of its arrays")
    return places, meta
