"""The layout of a frame: what a run makes is what it declares; what it does not declare is refused."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training import frame as frame_module
from sparsecore.engine.training.blobs import encode
from sparsecore.engine.training.frame_layout import (
    BLOCKS,
    EXACT,
    LAYER,
    PICTURES,
    VERSION,
    FrameMeta,
    exact_matrix,
    indexed,
    matrix_entry,
)
from sparsecore.engine.training.frame_reading import Frame, Misfit, Scene, check_frame, check_scene
from sparsecore.engine.training.loop import train

TASKS = {name: card.picture for name, card in tasks().items()}


def trained(task: str, **settings: object) -> tuple[Scene, Frame]:
    """The scene and the last frame of a run of one step."""
    events = list(train(RunConfig(task=task, max_steps=1, theta=0, **settings)))
    scenes, frames = ([e for e in events if isinstance(e, kind)] for kind in (Scene, Frame))
    return Scene.read(scenes[0].blob()), Frame.read(frames[-1].blob())


@pytest.fixture(scope="module")
def spirals() -> tuple[Scene, Frame]:
    return trained("spirals")


@pytest.mark.parametrize("task", TASKS)
def test_a_run_makes_the_arrays_and_the_fields_that_the_layout_declares(task: str):
    scene, frame = trained(task)
    kind = PICTURES[TASKS[task]]
    assert frame.meta.keys() == FrameMeta.model_fields.keys()
    assert scene.meta.keys() >= kind.meta.model_fields.keys()
    assert scene.arrays.keys() == {array.name for array in kind.scene}
    names = {array.name for array in (*EXACT, *BLOCKS, *LAYER)}
    drawn = {name for name in frame.arrays if name.rsplit(".", 1)[0] in names}
    assert frame.arrays.keys() - drawn == {array.name for array in kind.drawn}
    check_scene(scene, TASKS[task])
    check_frame(frame, scene)


def test_a_frame_of_blocks_passes_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame_module, "MAX_CELLS", 5_000)
    scene, frame = trained("sinc", size="paper")
    assert not frame.matrices[1].exact
    check_frame(frame, scene)


def test_a_frame_without_a_version_is_of_the_first(spirals: tuple[Scene, Frame]):
    scene, frame = spirals
    assert frame.meta["version"] == VERSION == 2
    older = {name: value for name, value in frame.meta.items() if name not in ("version", "spread")}
    arrays = {name: array for name, array in frame.arrays.items() if not name.startswith("spread.")}
    read = Frame.read(encode(arrays, older))
    assert read.meta["version"] == 1
    check_frame(read, scene)


@pytest.mark.parametrize("version", [0, VERSION + 1, "2", None])
def test_a_frame_of_an_unknown_version_is_refused(spirals: tuple[Scene, Frame], version: object):
    scene, frame = spirals
    with pytest.raises(ValueError, match=f"has version {version}; this sparsecore reads versions up to 2"):
        Frame.read(encode(frame.arrays, frame.meta | {"version": version}))
    with pytest.raises(Misfit, match="version"):
        check_frame(Frame(frame.step, frame.arrays, frame.meta | {"version": version}), scene)


LIES: dict[str, Callable[[dict], dict]] = {
    "no mask": lambda arrays: {name: array for name, array in arrays.items() if name != "mask.0"},
    "a wide mask": lambda arrays: arrays | {"mask.0": arrays["mask.0"].astype(np.uint16)},
    "a long mask": lambda arrays: arrays | {"mask.0": np.zeros(999, np.uint8)},
    "flat counts": lambda arrays: arrays | {"count.1": arrays["count.1"].ravel()},
    "too many biases": lambda arrays: arrays | {"bias.1": np.zeros(17, np.float32)},
    "another number of bins": lambda arrays: arrays | {"spread.kept.1": np.zeros(9, np.uint16)},
    "a small picture": lambda arrays: arrays | {"picture.chance": np.zeros(9, np.uint8)},
    "numbers that no browser has": lambda arrays: arrays | {"more": np.zeros(9, np.int64)},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_arrays_that_the_layout_does_not_have_are_refused(spirals: tuple[Scene, Frame], lie: Callable):
    scene, frame = spirals
    with pytest.raises(Misfit):
        check_frame(Frame(frame.step, lie(frame.arrays), frame.meta), scene)


def test_bits_past_the_last_weight_are_refused(spirals: tuple[Scene, Frame]):
    scene, frame = spirals
    meta = deepcopy(frame.meta)
    meta["layers"][0]["shape"], meta["matrices"][0] = [1, 9], matrix_entry(0, (1, 9))
    nine = exact_matrix(np.ones((1, 9), bool), np.ones((1, 9), np.int32), np.ones((1, 9), np.float32))
    arrays = frame.arrays | indexed(0, nine | {"bias": np.zeros(1, np.float32)})
    check_frame(Frame(frame.step, arrays, meta), scene)
    arrays |= {"mask.0": arrays["mask.0"] | np.uint8(2), "value.0": np.ones(10, np.float32)}
    with pytest.raises(Misfit, match="past the last weight"):
        check_frame(Frame(frame.step, arrays, meta), scene)


def test_a_scene_of_another_kind_is_refused(spirals: tuple[Scene, Frame]):
    with pytest.raises(Misfit, match="kind"):
        check_scene(spirals[0], "curve")
