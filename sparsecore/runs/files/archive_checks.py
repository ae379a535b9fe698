"""Whether what an archive holds could have been logged by a run: every config, number, array and size.

An imported run is somebody else's word. What passes here can be shown, compared and gone on with like a run
of this machine; whether its figures are true, nobody can tell from the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from sparsecore.engine.config import PARAMETERS, TEXTS, RunConfig
from sparsecore.engine.training.events import SPREAD_BINS
from sparsecore.runs.files import archive_shapes as shapes
from sparsecore.runs.files.strict_json import LONGEST_TEXT, NotStrict, read
from sparsecore.runs.store.blobs import HEADER_BYTES, array_places, decode
from sparsecore.runs.store.catalogue import TooLong, clean_name, clean_note
from sparsecore.runs.store.log import LIMITS, MB

MAX_HEADER = MB  # of a blob
SLACK = 2  # a log may have as many times what it is thinned to
FEW = {"scene": 1, "change": 10_000}  # rows of the kinds that are never thinned
SHOWN = {"<f8", "<f4", "<i4", "<u4", "<u2", "u1"}  # what the live view has arrays for
RESERVED = {"kind", "step"}  # the live route puts these before a record's own names
SAVED = ("sparsifier.masks.{place}", "sparsifier.counts.{place}", "model.{name}.weight")


class Misfit(ValueError):
    """A part of an archive that no run could have logged; the message says what is wrong with it."""


def manifest_values(data: bytes, form: str) -> dict[str, Any]:
    """The values of a manifest, whatever version of this format it is."""
    given = _read(data)
    if not isinstance(given, dict) or given.get("format") != form:
        raise Misfit("it is not that of a run")
    return given


def manifest(given: dict[str, Any]) -> tuple[shapes.Manifest, RunConfig]:
    """The archive's description, and the run's config; raises Misfit or ConfigError."""
    found = fitting(shapes.Manifest, given)
    config = RunConfig.parse(found.run.config)
    _ending(found.run, config)
    _told(found.told)
    _log(found)
    return found, config


def fitting(shape: Any, given: Any) -> Any:
    """The value as one of this shape; raises Misfit with the first place that does not fit."""
    try:
        return TypeAdapter(shape).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise Misfit(f"{where or 'it'}: {first['msg'].lower()}") from None


def _read(data: bytes, longest: int = LONGEST_TEXT) -> Any:
    try:
        return read(data, longest)
    except NotStrict as error:
        raise Misfit(str(error)) from error


def _ending(run: shapes.ArchivedRun, config: RunConfig) -> None:
    ended = run.state == "ended"
    if ended != (run.reason is not None) or ended != (run.ended is not None):
        raise Misfit("only a run that has ended has an ending")
    if not ended and (run.detail is not None or run.result is not None):
        raise Misfit("only a run that has ended has a result")
    if ended:
        fitting(shapes.DETAILS[run.reason], run.detail)
    if run.result is not None:
        fitting(shapes.TextResult if config.task == TEXTS else shapes.Result, run.result)


def _told(told: shapes.Told) -> None:
    """A name and a note are as this store would keep them."""
    for text, clean in ((told.name, clean_name), (told.note, clean_note)):
        try:
            fits = text is None or text == clean(text)
        except TooLong as error:
            raise Misfit(str(error)) from error
        if not fits:
            raise Misfit("its name or its note is none that a run can have")


def _log(found: shapes.Manifest) -> None:
    """Rows of a kind are in order, numbered as they were logged, and no more than a log keeps."""
    for kind in ("scene", "frame", "record", "change"):
        rows = [row for row in found.log if row.kind == kind]
        limit = LIMITS.get(kind)
        most = FEW[kind] if limit is None else SLACK * limit.rows
        size = shapes.MAX_ENTRY if limit is None else SLACK * limit.size
        if len(rows) > most or sum(row.size for row in rows) > size:
            raise Misfit(f"there are more rows of kind {kind} than a log keeps")
        for before, after in pairwise(rows):
            if after.nth <= before.nth or after.step < before.step:
                raise Misfit(f"the rows of kind {kind} are not in order")
    steps = [row.step for row in found.log] + ([found.checkpoint.step] if found.checkpoint else [])
    if max(steps, default=0) > found.run.step:
        raise Misfit("something was logged past its last step")
    if any(row.kind == "frame" for row in found.log) and found.log[0].kind != "scene":
        raise Misfit("there are frames without a scene before them")


class Contents:
    """Checks the rows of one archive's log, in order, and then its checkpoint; raises Misfit."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.scene: dict[str, np.ndarray] = {}
        self.described: dict[str, Any] = {}
        self.layers: list[shapes.Layer] = []
        self.drawn: list[int] = []  # of the last frame: the layers that can be looked at whole

    def row(self, entry: shapes.ArchivedEntry, payload: bytes) -> None:
        """One row of the log."""
        check: dict[str, Callable[[int, bytes], None]] = {
            "scene": self._scene,
            "frame": self._frame,
            "record": self._record,
            "change": self._change,
        }
        check[entry.kind](entry.step, payload)

    def _scene(self, step: int, payload: bytes) -> None:
        arrays, meta = _decoded(payload)
        fitting(shapes.SCENES[self.config.task], meta)
        self.scene, self.described = arrays, meta
        {"curve": self._curve, "boundary": self._boundary, "confusion": self._confusion}[meta["kind"]]()

    def _curve(self) -> None:
        for part in ("train", "test", "grid"):
            if _floats(self.scene, f"{part}.x").shape != _floats(self.scene, f"{part}.y").shape:
                raise Misfit("its curve has more of one axis than of the other")

    def _boundary(self) -> None:
        points, labels = _floats(self.scene, "points", 2), _array(self.scene, "labels", "u", 1)
        if points.shape != (len(labels), 2):
            raise Misfit("it has more points than classes of points")

    def _confusion(self) -> None:
        grades, sample = self.described["grades"], self.described["sample"]
        if len(_array(self.scene, "labels", "iu", 1)) != len(grades):
            raise Misfit("it does not count each grade")
        for text in sample:
            match text:
                case [str(), int(grade)] if 0 <= grade < len(grades):
                    continue
            raise Misfit("a text has a grade that there is not")

    def _record(self, step: int, payload: bytes) -> None:
        values = _read(payload)
        fitting(shapes.Record, values)
        if RESERVED & values.keys():
            raise Misfit("it has a name that is not its own")

    def _change(self, step: int, payload: bytes) -> None:
        values = _read(payload)
        if not isinstance(values, dict) or not values:
            raise Misfit("it changes nothing")
        if any(name not in PARAMETERS or not PARAMETERS[name].live for name in values):
            raise Misfit("it changes what no run lets change")
        RunConfig.parse(self.config.model_dump() | values)

    def _frame(self, step: int, payload: bytes) -> None:
        arrays, meta = _decoded(payload)
        frame = fitting(shapes.Frame, meta)
        if frame.step != step:
            raise Misfit("it is of another step than it says")
        for index, entry in enumerate(frame.matrices):
            if entry.layer >= len(frame.layers) or frame.layers[entry.layer].shape != [
                entry.rows,
                entry.cols,
            ]:
                raise Misfit("it draws a matrix of no layer")
            _matrix(arrays, index, entry)
            _beside(arrays, index, entry)
        self._picture(arrays)
        self.layers, self.drawn = frame.layers, [entry.layer for entry in frame.matrices]

    def _picture(self, arrays: dict[str, np.ndarray]) -> None:
        """What the network computes has the size of what it is drawn over."""
        match self.described["kind"]:
            case "curve":
                fits = len(_floats(arrays, "picture.fit")) == len(self.scene["grid.x"])
            case "boundary":
                fits = len(_array(arrays, "picture.chance", "u", 1)) == self.described["grid"] ** 2
            case _:
                side = len(self.described["grades"])
                fits = _array(arrays, "picture.confusion", "iu", 2).shape == (side, side)
        if not fits:
            raise Misfit("its picture does not fit its scene")

    def checkpoint(self, payload: bytes) -> None:
        """The checkpoint; its arrays are looked at where they lie, without a copy."""
        header, places = _header(payload)
        saved = fitting(shapes.Saved, _meta(header))
        config = RunConfig.parse(saved.config)
        if (config.task, config.size) != (self.config.task, self.config.size):
            raise Misfit("it is of another task or size than the run")
        if saved.ending is not None:
            reason, detail = fitting(tuple[shapes.Reason, dict[str, Any]], tuple(saved.ending))
            fitting(shapes.DETAILS[reason], detail)
        for place in self.drawn:
            layer = self.layers[place]
            for name, dtype in zip(SAVED, ("?", "<i4", "<f4"), strict=True):
                found = places.get(name.format(place=place, name=layer.name))
                if found is None or found[0] != dtype or found[2] != _bytes(layer.shape, dtype):
                    raise Misfit("it has not the weights of the frames")


def _matrix(arrays: dict[str, np.ndarray], index: int, entry: shapes.Drawn) -> None:
    """One drawn matrix of a frame: its counts, its mask and its values, as `snapshot.matrices` has them."""
    down, across = entry.pool
    rows, cols = -(-entry.rows // down), -(-entry.cols // across)
    count = _array(arrays, f"count.{index}", "u", 2)
    mask, value = _array(arrays, f"mask.{index}", "u"), _floats(arrays, f"value.{index}", None)
    fits = count.shape == (rows, cols) and mask.dtype == np.uint8
    if down * across == 1:
        fits = fits and mask.shape == (-(-rows * cols // 8),)
        fits = fits and value.shape == (np.unpackbits(mask, count=rows * cols, bitorder="little").sum(),)
    else:
        fits = fits and mask.shape == value.shape == (rows, cols)
    if not fits:
        raise Misfit("it draws a matrix of another size than it says")


def _beside(arrays: dict[str, np.ndarray], index: int, entry: shapes.Drawn) -> None:
    """What may stand beside a drawn matrix: its layer's biases, and how its weights are spread."""
    if f"bias.{index}" in arrays and _floats(arrays, f"bias.{index}").shape != (entry.rows,):
        raise Misfit("a layer has more or fewer biases than neurons")
    for part in ("kept", "cut"):
        name = f"spread.{part}.{index}"
        if name in arrays and _array(arrays, name, "u").shape != (SPREAD_BINS,):
            raise Misfit("it spreads weights over another number of bins")


def _floats(arrays: dict[str, np.ndarray], name: str, sides: int | None = 1) -> np.ndarray:
    return _array(arrays, name, "f", sides)


def _array(arrays: dict[str, np.ndarray], name: str, kinds: str, sides: int | None = None) -> np.ndarray:
    """An array of one of these kinds of numbers, with so many sides."""
    found = arrays.get(name)
    if found is None or found.dtype.kind not in kinds or sides not in (None, found.ndim):
        raise Misfit(f"it has no array {name} as it must be")
    return found


def _decoded(payload: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the description of a blob that a browser reads."""
    header, places = _header(payload)
    if any(dtype not in SHOWN for dtype, _, _ in places.values()):
        raise Misfit("it has an array of numbers that a browser has not")
    try:
        arrays, _ = decode(payload)
    except ValueError as error:
        raise Misfit("its description is none") from error
    return arrays, _meta(header)


def _meta(header: dict[str, Any]) -> dict[str, Any]:
    found = _read(header["__metadata__"]["meta"].encode())
    if not isinstance(found, dict):
        raise Misfit("its description is none")
    return found


def _header(payload: bytes) -> tuple[dict[str, Any], dict[str, tuple[str, int, int]]]:
    """A blob's header, and where its arrays lie: one after the other, over all bytes that follow."""
    length = int.from_bytes(payload[:HEADER_BYTES], "little")
    if len(payload) < HEADER_BYTES or length > min(MAX_HEADER, len(payload) - HEADER_BYTES):
        raise Misfit("it is no blob of arrays")
    raw = payload[HEADER_BYTES : HEADER_BYTES + length]
    header = fitting(dict[str, shapes.Described | shapes.Placed], _read(raw, MAX_HEADER))
    if not isinstance(header.pop("__metadata__", None), shapes.Described):
        raise Misfit("its header is not ours")
    if not all(isinstance(entry, shapes.Placed) for entry in header.values()):
        raise Misfit("its header is not ours")
    places, at = array_places(raw), 0
    for name, (dtype, start, size) in sorted(places.items(), key=lambda item: item[1][1:]):
        if start != at or size != _bytes(header[name].shape, dtype):
            raise Misfit("its arrays do not lie one after the other")
        at += size
    if HEADER_BYTES + length + at != len(payload):
        raise Misfit("it is longer or shorter than its arrays")
    return json.loads(raw), places


def _bytes(shape: list[int], dtype: str) -> int:
    return prod(shape) * np.dtype(dtype).itemsize
