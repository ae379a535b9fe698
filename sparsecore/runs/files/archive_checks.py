"""Check that a run could have logged what an archive holds: every config, number, array and size.

An imported run is the word of somebody else. What passes here can be shown, compared and resumed like a run
of this machine; the file cannot show whether its figures are true.
"""

import json
import math
import re
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig, parameters_of
from sparsecore.engine.training.blobs import DTYPES, HEADER_BYTES
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
from sparsecore.runs.store.log import LIMITS, MB

MAX_HEADER = MB  # of a blob
SLACK = 2  # a log may have this many times what it is thinned to
FEW = {"scene": 1, "change": 10_000}  # rows of the kinds that are never thinned
RESERVED = {"kind", "step"}  # the live route puts these before a record's own names
SAVED = ("bool", "int32", "float32")  # dtypes of a layer's mask, counts and weights in a checkpoint


def manifest(given: dict[str, Any]) -> tuple[shapes.Manifest, RunConfig]:
    """The archive's description, and the run's config. Raises Misfit or ConfigError."""
    found = fitting(shapes.Manifest, given)
    config = RunConfig.parse(found.run.config)
    _check_ending(found.run)
    _check_log(found)
    return found, config


def _check_ending(run: shapes.ArchivedRun) -> None:
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
                self.scene = Scene(*_opened(payload))
                check_scene(self.scene, tasks()[self.config.task].picture)
            case "frame":
                frame = Frame(entry.step, *_opened(payload))
                check_frame(frame, self.scene)
                self.drawn = frame.matrices
            case "record":
                values = read(payload)
                fitting(shapes.ArchivedRecord, values)
                if RESERVED & values.keys():
                    raise Misfit("its name is invalid")
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
        """The checkpoint."""
        arrays, meta = _opened(payload)
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
                found = arrays.get(name)
                if found is None or (found.dtype.name, found.shape) != (dtype, matrix.shape):
                    raise Misfit("its weights differ from those of the frames")


def _opened(payload: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A blob's arrays and its description; nothing is copied, and no byte is outside header and arrays."""
    length = int.from_bytes(payload[:HEADER_BYTES], "little")
    if len(payload) < HEADER_BYTES or length > min(MAX_HEADER, len(payload) - HEADER_BYTES):
        raise Misfit("it is not a blob of arrays")
    at = HEADER_BYTES + length
    header = read(payload[HEADER_BYTES:at], MAX_HEADER)
    described = header.pop("__metadata__", None) if isinstance(header, dict) else None
    meta = read(fitting(dict[Literal["meta"], str], described).get("meta", "").encode())
    if not isinstance(meta, dict):
        raise Misfit("its description is invalid")
    arrays, end = {}, 0
    places = fitting(dict[str, shapes.PlacedArray], header)
    for name, placed in sorted(places.items(), key=lambda item: item[1].data_offsets):
        dtype, count, start = np.dtype(DTYPES[placed.dtype]), prod(placed.shape), end
        end += count * dtype.itemsize
        if placed.data_offsets != [start, end] or at + end > len(payload):
            raise Misfit("its arrays are not contiguous")
        arrays[name] = np.frombuffer(payload, dtype, count, at + start).reshape(placed.shape)
    if at + end != len(payload):
        raise Misfit("its length differs from that of its arrays")
    return arrays, meta


# -- JSON -----------------------------------------------------------------------------------------------
# pydantic's reader lets pass what a store, a page or a browser cannot take: the second value of a name, whole
# numbers beyond 2⁵³, null characters, and any nesting in a field that no model names.

DEEPEST = 12  # a frame's certificate lies five deep
LONGEST_TEXT = 10_000  # characters; a text of a scene has a few hundred
LARGEST = 2**53  # beyond it a browser has no exact whole number
UNFIT = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps no null, and half a pair is no character


def read(data: bytes, longest: int = LONGEST_TEXT) -> Any:
    """The value of UTF-8 JSON, no text of it with more than `longest` characters. Raises Misfit.

    >>> read('{"loss": [0.5, null, "层"]}'.encode())
    {'loss': [0.5, None, '层']}
    >>> read(b'{"loss": 1e999}')
    Traceback (most recent call last):
    ...
    sparsecore.engine.training.frame_reading.Misfit: it has a number that is not finite
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_once)
        _check(value, longest)
    except RecursionError as error:
        raise Misfit("it is nested too deeply") from error
    except Misfit:
        raise
    except ValueError as error:  # broken UTF-8, broken JSON, a number of thousands of digits
        raise Misfit("it is not valid JSON") from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Misfit("it has a duplicate key")
    return found


def _check(value: Any, longest: int, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise Misfit("it is nested too deeply")
    match value:
        case dict() | list():
            for item in [*value, *value.values()] if isinstance(value, dict) else value:
                _check(item, longest, depth + 1)
        case str() if len(value) > longest:
            raise Misfit("it has a text that is too long")
        case str() if UNFIT.search(value):
            raise Misfit("it has a text with invalid characters")
        case float() if not math.isfinite(value):
            raise Misfit("it has a number that is not finite")
        case int() if abs(value) > LARGEST:
            raise Misfit("it has a number that is too large")
