"""The thesis's results at the thesis's size: minutes, not seconds. `pytest -m slow tests/acceptance -s`."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.events import Ended, Scene, Stop
from sparsecore.engine.training.loop import train

pytestmark = pytest.mark.slow

TEXT_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def ending(**parameters: Any) -> Ended:
    """How the run ends, printed for the report."""
    *_, ended = train(RunConfig.parse(parameters))
    print(
        f"\n{parameters}: {ended.reason} {ended.detail} after {ended.step:,} steps, {ended.result['metrics']}"
    )
    return ended


def test_sinc_layerwise_at_40_percent_fits_to_the_noise():
    ended = ending(task="sinc", size="paper", method="layerwise", density=0.4, max_steps=4_000)
    assert ended.result["nonzeros"] == ended.result["budget"] == 24_000
    assert ended.result["metrics"]["test"]["rmse"] <= 0.09


def test_spirals_layerwise_at_20_percent_are_told_apart():
    ended = ending(task="spirals", size="paper", method="layerwise", density=0.2, max_steps=4_000)
    assert ended.result["nonzeros"] == ended.result["budget"] == 12_000
    assert ended.result["metrics"]["test"]["accuracy"] >= 0.99


def test_sinc_global_at_5_percent_collapses():
    ended = ending(task="sinc", size="paper", method="global", density=0.05)
    assert (ended.reason, ended.detail["layer"]) == ("collapsed", "fc3")


def test_texts_at_demo_size_beat_the_majority_by_10_points_in_60_seconds(tmp_path: Path):
    began = time.monotonic()
    running = train(RunConfig(task="vulnerabilities"), tmp_path)
    event, majority = next(running), 1.0
    while not isinstance(event, Ended):
        if isinstance(event, Scene):
            majority = event.meta["majority"]
        late = time.monotonic() - began > TEXT_SECONDS
        event = running.send(Stop() if late and type(event).__name__ == "Ready" else None)
    accuracy = event.result["metrics"]["test"]["accuracy"]
    seconds = time.monotonic() - began
    print(f"\ntexts: {event.reason}, accuracy {accuracy:.3f}, majority {majority:.3f}, {seconds:.0f} s")
    assert accuracy >= majority + 0.10
