"""Read a frame or a scene, and check one of somebody else against the layout. Imports no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from sparsecore.engine.training.blobs import decode, decode_meta, encode
from sparsecore.engine.training.frame_layout import (
    BLOCKS,
    EXACT,
    LAYER,
    PICTURES,
    READABLE,
    VERSION,
    Array,
    FrameMeta,
    picture_kind,
)

Shape = TypeVar("Shape")


@dataclass(frozen=True)
class Matrix:
    """One drawn matrix of a frame: the matrix number `index`, of the layer at `place` among all layers.

    layer: the description of the layer. shape: its weights. pool: (rows, cols) of weights in one drawn cell.
    """

    index: int
    place: int
    layer: Mapping[str, Any]
    shape: tuple[int, int]
    pool: tuple[int, int]
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    @property
    def exact(self) -> bool:
        """Whether every weight is drawn."""
        return self.pool == (1, 1)

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of drawn cells."""
        (rows, cols), (down, across) = self.shape, self.pool
        return -(-rows // down), -(-cols // across)

    def array(self, name: str) -> np.ndarray | None:
        """An array of `EXACT`, `BLOCKS` or `LAYER`; None where the frame has none."""
        return self.arrays.get(f"{name}.{self.index}")

    @property
    def mask(self) -> np.ndarray:
        """Which weights are kept, of the matrix's shape; for an exact matrix."""
        bits = np.unpackbits(self.array("mask"), count=self.shape[0] * self.shape[1], bitorder="little")
        return bits.astype(bool).reshape(self.shape)


@dataclass(frozen=True)
class Frame:
    """Pictures at a step, as arrays; `meta` describes them, as `FrameMeta` says."""

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    @classmethod
    def read(cls, blob: bytes, *, arrays: bool = True) -> "Frame":
        """The frame of a blob, without its arrays if need be. Raises ValueError for what is none."""
        found, meta = decode(blob) if arrays else ({}, decode_meta(blob))
        return cls(meta["step"], found, of_known_version(meta))

    def blob(self) -> bytes:
        """The frame as the store keeps it."""
        return encode(self.arrays, {"version": VERSION} | self.meta | {"type": "frame"})

    @property
    def matrices(self) -> list[Matrix]:
        """The drawn matrices, in order."""
        return [
            Matrix(
                index,
                entry["layer"],
                self.meta["layers"][entry["layer"]],
                (entry["rows"], entry["cols"]),
                tuple(entry["pool"]),
                self.arrays,
            )
            for index, entry in enumerate(self.meta["matrices"])
        ]

    def picture(self, kind: str) -> np.ndarray | None:
        """What the network computes, over a scene of this kind; None where the frame has no such picture."""
        return self.arrays.get(PICTURES[kind].drawn[0].name)


@dataclass(frozen=True)
class Scene:
    """The part of the network's picture that never changes; comes first."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    @classmethod
    def read(cls, blob: bytes) -> "Scene":
        """The scene of a blob. Raises ValueError for what is none."""
        return cls(*decode(blob))

    def blob(self) -> bytes:
        """The scene as the store keeps it."""
        return encode(self.arrays, self.meta | {"type": "scene"})

    def curve(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """The points x and y of a curve's part: `train`, `test`, or `grid`, the true function."""
        return self.arrays[f"{part}.x"], self.arrays[f"{part}.y"]

    @property
    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """The points (n, 2) of a plane, and the class of each."""
        return self.arrays["points"], self.arrays["labels"]


def of_known_version(meta: dict[str, Any]) -> dict[str, Any]:
    """A frame's description with its version. Raises ValueError for one that only a newer program reads."""
    version = meta.get("version", 1)
    if version not in range(1, VERSION + 1):
        raise ValueError(f"this frame has version {version}; this sparsecore reads versions up to {VERSION}.")
    return meta | {"version": version}


# -- checks --------------------------------------------------------------------------------------------


class Misfit(ValueError):
    """Data that no run could have logged; the message says what is wrong with it."""


def fitting(shape: type[Shape], given: Any) -> Shape:
    """The value as one of this shape. Raises Misfit with the first place that does not fit."""
    try:
        return TypeAdapter(shape).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise Misfit(f"{where or 'it'}: {first['msg'].removeprefix('Value error, ').lower()}") from None


def check_scene(scene: Scene, kind: str) -> None:
    """Check a scene of this kind of picture. Raises Misfit."""
    _check_readable(scene.arrays)
    layout = picture_kind(kind)
    meta = fitting(layout.meta, scene.meta)
    if meta.kind != kind:
        raise Misfit("it is a picture of another kind than its task has")
    _check_arrays(scene.arrays, layout.scene, meta.sides())


def check_frame(frame: Frame, scene: Scene) -> None:
    """Check a frame, and its picture against the checked scene of its run. Raises Misfit."""
    _check_readable(frame.arrays)
    meta = fitting(FrameMeta, frame.meta)
    if frame.step != meta.step:
        raise Misfit("its step is not the one stated")
    for entry in meta.matrices:
        is_there = entry.layer < len(meta.layers)
        if not is_there or meta.layers[entry.layer].shape != [entry.rows, entry.cols]:
            raise Misfit("it draws a matrix that belongs to no layer")
    for matrix in frame.matrices:
        _check_matrix(matrix)
    picture = picture_kind(scene.meta["kind"])
    sides = fitting(picture.meta, scene.meta).sides()
    _check_arrays(scene.arrays, picture.scene, sides)
    _check_arrays(frame.arrays, picture.drawn, sides)


def _check_readable(arrays: Mapping[str, np.ndarray]) -> None:
    if any(array.dtype.name not in READABLE for array in arrays.values()):
        raise Misfit("it has an array of a type that browsers lack")


def _check_matrix(matrix: Matrix) -> None:
    rows, cols = matrix.cells
    sides = {"rows": rows, "cols": cols, "bytes": -(-rows * cols // 8), "neurons": matrix.shape[0]}
    mask, *others = EXACT if matrix.exact else BLOCKS
    _check_arrays(matrix.arrays, [mask], sides, matrix.index)
    if matrix.exact:
        sides["kept"] = int(np.bitwise_count(matrix.array("mask")).sum())
        if sides["kept"] != matrix.mask.sum():
            raise Misfit("its mask has bits past the last weight")
    _check_arrays(matrix.arrays, [*others, *LAYER], sides, matrix.index)


def _check_arrays(
    arrays: Mapping[str, np.ndarray],
    layout: Iterable[Array],
    sides: dict[str, int],
    index: int | None = None,
) -> None:
    """Check arrays against their rows of the layout; a side of unknown length takes that of the first."""
    for row in layout:
        name = row.name if index is None else f"{row.name}.{index}"
        found = arrays.get(name)
        if found is None and not row.needed:
            continue
        if found is None or found.dtype.name not in row.dtypes or found.ndim != len(row.sides):
            raise Misfit(f"its array {name} is missing or has the wrong type or shape")
        for side, length in zip(row.sides, found.shape, strict=True):
            if length != (side if isinstance(side, int) else sides.setdefault(side, length)):
                raise Misfit(f"the size of its array {name} is not the one stated")
