"""The comparison of a batch with the same models one by one."""

import json

import pytest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.commands.benchmarks.batch import batch


def test_both_ways_are_timed_on_the_same_device():
    found = batch(models=3, size="demo", device="cpu", steps=4, rounds=2)
    assert (found["device"], found["models"], found["steps"], found["rounds"]) == ("cpu", 3, 4, 2)
    assert found["seconds_one_by_one"] > 0
    assert found["seconds_batch"] > 0
    assert found["ratio"] > 0


def test_the_command_prints_one_json_value():
    given = "bench batch --models 2 --size demo --task spirals --device cpu --steps 2 --rounds 1 --json"
    done = CliRunner().invoke(app, given.split())
    assert done.exit_code == 0
    assert json.loads(done.stdout)["task"] == "spirals"


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str):
    done = CliRunner().invoke(app, ["bench", "batch", "--device", device])
    assert done.exit_code == 2
    assert device in done.stderr
