"""What a collapsed run is offered: it is trained, and the layer that died lives."""

import pytest

from sparsecore.dashboard.lab.cures import DYING, cures
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.loop import train


def ended(config: RunConfig):
    """How a run ends that is trained to its end, or to its 300th step."""
    for event in train(config.model_copy(update={"max_steps": 300})):
        last = event
    return last


@pytest.mark.parametrize("density", [DYING["density"], 0.05])
def test_the_cures_of_a_collapse_keep_every_layer_alive(density):
    dying = RunConfig.parse(DYING | {"density": density})
    assert ended(dying).reason == "collapsed"
    for change in cures(dying).values():
        lives = ended(RunConfig.parse(dying.model_dump() | change))
        assert lives.reason == "max_steps"
        assert min(layer["nonzeros"] for layer in lives.result["layers"]) > 0


def test_a_run_that_has_a_floor_and_a_budget_a_layer_is_offered_more_weights():
    config = RunConfig(task="spirals", density=0.9, keep_alive_layer=4)
    assert cures(config) == {"density": {"density": 1.0}}
    assert cures(RunConfig(density=1.0, keep_alive=1)) == {}
