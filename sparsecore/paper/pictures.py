"""The paper's figures: the runs that each shows, and the arrays of those runs needed to draw it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sparsecore.runs.store.blobs import decode, encode
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
    """A figure of the paper: its table, what it draws, and the runs it shows."""

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
# Arrays kept of the scene and the last frame. count.i and mask.i are kept for small networks only, which are
# drawn weight by weight.
KEPT_ARRAYS = ("train.x", "train.y", "grid.x", "grid.y", "points", "labels", "picture.fit", "picture.chance")
KEPT_META = ("step", "matrices", "layers", "edge", "grid", "train", "steps_an_epoch", "budget", "nonzeros")


@dataclass(frozen=True)
class Picture:
    """The data that a figure needs of one run: arrays and their description."""

    run: str
    method: str
    density: float
    size: str
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    def matrices(self) -> list[dict[str, Any]]:
        """Return the name, retention counts and mask of each drawn weight matrix of a small network."""
        found = []
        for index, entry in enumerate(self.meta["matrices"]):
            if f"count.{index}" not in self.arrays:
                continue
            shape = entry["rows"], entry["cols"]
            bits = np.unpackbits(self.arrays[f"mask.{index}"], count=shape[0] * shape[1], bitorder="little")
            found.append(
                {
                    "name": self.meta["layers"][entry["layer"]]["name"],
                    "count": self.arrays[f"count.{index}"].reshape(shape),
                    "mask": bits.reshape(shape).astype(bool),
                }
            )
        return found


def picture_of(store: Store, run: Run) -> Picture | None:
    """Return the current picture of a run; None before its first frame."""
    scenes, frame = store.entries(run.id, ["scene"]), store.frame(run.id)
    if not scenes or frame is None:
        return None
    scene, scene_meta = decode(scenes[0].payload)
    drawn, meta = decode(frame.payload)
    arrays = {name: array for name, array in (scene | drawn).items() if name in KEPT_ARRAYS}
    exact = all(entry["pool"] == [1, 1] for entry in meta["matrices"])
    if exact and run.config.size == "demo" and run.config.task != "vulnerabilities":
        arrays |= {name: array for name, array in drawn.items() if name.startswith(("count.", "mask."))}
    arrays |= _epochs(store, run)
    described = {name: value for name, value in (scene_meta | meta).items() if name in KEPT_META}
    config = run.config
    return Picture(run.id, config.method, config.density, config.size, arrays, described)


def _epochs(store: Store, run: Run) -> dict[str, np.ndarray]:
    """Return the test accuracy of a text run at each measurement."""
    if run.config.task != "vulnerabilities":
        return {}
    rows = [(row.step, json.loads(row.payload).get("metrics")) for row in store.entries(run.id, ["record"])]
    measured = [(step, metrics["test"]["accuracy"]) for step, metrics in rows if metrics]
    steps, accuracies = zip(*measured, strict=True) if measured else ((), ())
    return {
        "epochs.step": np.array(steps, dtype=np.int64),
        "epochs.test": np.array(accuracies, dtype=np.float64),
    }


def save(pictures: dict[str, Picture], path: Path) -> None:
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


def load(path: Path) -> dict[str, Picture]:
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
