"""The paper's figures: the runs that each shows, and the arrays of those runs needed to draw it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sparsecore.engine.cards import tasks
from sparsecore.engine.training.blobs import decode, encode
from sparsecore.engine.training.frame_layout import PICTURES, indexed
from sparsecore.engine.training.frame_reading import Frame, Matrix, Scene, of_known_version
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

Kind = Literal["counts", "mask", "fit", "points", "boundary", "epochs"]


@dataclass(frozen=True)
class PicturedRun:
    """A run shown in a figure; `size` None means the size of the table's runs."""

    method: str
    density: float
    size: str | None = None


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper: its table, its kind, and the runs it shows."""

    number: str
    table: str
    kind: Kind
    runs: tuple[PicturedRun, ...]


_DENSE = PicturedRun("dense", 1.0)
FIGURES = {
    figure.number: figure
    for figure in (
        PaperFigure("3-2", "3-1", "counts", (PicturedRun("global", 0.4, "demo"),)),
        PaperFigure("3-3", "3-1", "mask", (PicturedRun("global", 0.4, "demo"),)),
        PaperFigure("3-4", "3-1", "fit", (_DENSE, PicturedRun("global", 0.5))),
        PaperFigure("3-5", "3-1", "fit", (_DENSE, PicturedRun("layerwise", 0.4))),
        PaperFigure("3-7", "3-2", "points", (_DENSE,)),
        # The text says global, both captions say layerwise; drawn as captioned.
        PaperFigure("3-8", "3-2", "counts", (PicturedRun("layerwise", 0.2, "demo"),)),
        PaperFigure("3-9", "3-2", "mask", (PicturedRun("layerwise", 0.2, "demo"),)),
        PaperFigure("3-10", "3-2", "boundary", (_DENSE, PicturedRun("global", 0.4))),
        PaperFigure("3-11", "3-2", "boundary", (_DENSE, PicturedRun("layerwise", 0.2))),
        PaperFigure("3-14", "3-4", "epochs", (PicturedRun("global", 0.1), PicturedRun("layerwise", 0.1))),
    )
}
# Arrays kept of the scene and the last frame. Counts and masks are kept for small networks only, which are
# drawn weight by weight.
SHOWN = [PICTURES[kind] for kind in ("curve", "boundary")]
KEPT_ARRAYS = {array.name for shown in SHOWN for array in (*shown.scene, *shown.drawn)} - {"test.x", "test.y"}
KEPT_META = ("step", "matrices", "layers", "edge", "grid", "train", "steps_an_epoch", "budget", "nonzeros")
KEPT_META += ("version",)


@dataclass(frozen=True)
class Picture:
    """The data that a figure needs of one run: arrays and their description."""

    run: str
    method: str
    density: float
    size: str
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    @property
    def frame(self) -> Frame:
        """The stored part of the run's last frame."""
        return Frame(self.meta["step"], self.arrays, of_known_version(self.meta))

    @property
    def scene(self) -> Scene:
        """The stored part of the run's scene."""
        return Scene(self.arrays, self.meta)

    @property
    def matrices(self) -> list[Matrix]:
        """The weight matrices of a small network; empty if counts and masks are not stored."""
        return [matrix for matrix in self.frame.matrices if matrix.array("count") is not None]


def picture_of(store: Store, run: Run) -> Picture | None:
    """Return the current picture of a run; None before its first frame."""
    scenes, frame = store.entries(run.id, ["scene"]), store.frame(run.id)
    if not scenes or frame is None:
        return None
    scene, last = Scene.read(scenes[0].payload), Frame.read(frame.payload)
    arrays = {name: array for name, array in (scene.arrays | last.arrays).items() if name in KEPT_ARRAYS}
    exact = all(matrix.exact for matrix in last.matrices)
    if exact and run.config.size == "demo" and not tasks()[run.config.task].reads_texts:
        for matrix in last.matrices:
            arrays |= indexed(matrix.index, {name: matrix.array(name) for name in ("count", "mask")})
    arrays |= _epochs(store, run)
    described = {name: value for name, value in (scene.meta | last.meta).items() if name in KEPT_META}
    config = run.config
    return Picture(run.id, config.method, config.density, config.size, arrays, described)


def _epochs(store: Store, run: Run) -> dict[str, np.ndarray]:
    """Return the test accuracy of a text run at each measurement."""
    if not tasks()[run.config.task].reads_texts:
        return {}
    rows = [(row.step, json.loads(row.payload).get("metrics")) for row in store.entries(run.id, ["record"])]
    measured = [(step, metrics["test"]["accuracy"]) for step, metrics in rows if metrics]
    steps, accuracies = zip(*measured, strict=True) if measured else ((), ())
    return {
        "epochs.step": np.array(steps, dtype=np.int64),
        "epochs.test": np.array(accuracies, dtype=np.float64),
    }


def write_pictures(pictures: dict[str, Picture], path: Path) -> None:
    """Write pictures by digest to one safetensors file."""
    arrays = {
        f"{digest}/{name}": array
        for digest, picture in pictures.items()
        for name, array in picture.arrays.items()
    }
    meta = {
        digest: {name: getattr(picture, name) for name in ("run", "method", "density", "size", "meta")}
        for digest, picture in pictures.items()
    }
    path.write_bytes(encode(arrays, meta))


def read_pictures(path: Path) -> dict[str, Picture]:
    """Read pictures by digest; return none if the file is missing."""
    if not path.exists():
        return {}
    arrays, meta = decode(path.read_bytes())
    return {digest: Picture(arrays=_under(arrays, digest), **described) for digest, described in meta.items()}


def _under(arrays: dict[str, np.ndarray], digest: str) -> dict[str, np.ndarray]:
    prefix = f"{digest}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def figures_of(table: str) -> Iterable[PaperFigure]:
    """Return the figures that show runs of a table, in the paper's order."""
    return [figure for figure in FIGURES.values() if figure.table == table]
