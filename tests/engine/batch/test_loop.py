"""Many models at once: each trains as it does alone, says the same, obeys the same and ends the same."""

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.engine.batch import stack as stack_module
from sparsecore.engine.batch.grouping import batchable, fits
from sparsecore.engine.batch.loop import Leave, train_many
from sparsecore.engine.batch.stack import Stack
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.base import Task
from sparsecore.engine.training.blobs import decode, encode
from sparsecore.engine.training.events import (
    Change,
    Checkpoint,
    Ended,
    Event,
    Frame,
    Look,
    Ready,
    Record,
    Scene,
    Stop,
)
from sparsecore.engine.training.loop import train
from sparsecore.engine.training.trainer import Training

# Method, density, seed.
GRID = [
    ("layerwise", 0.4, 0),
    ("global", 0.3, 1),
    ("dense", 1.0, 2),
    ("layerwise", 0.05, 1),
    ("global", 1.0, 0),
    ("global", 0.1, 7),
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def _double(monkeypatch: pytest.MonkeyPatch):
    """Networks and data in float64, where rounding decides nothing."""
    monkeypatch.setattr(
        Task,
        "tensor",
        lambda self, values, dtype=torch.float64: torch.as_tensor(values, dtype=dtype, device=self.device),
    )
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def grid(task: str = "sinc", **parameters: Any) -> list[RunConfig]:
    shared = {"task": task, "device": "cpu", "max_steps": 40, "theta": 0.0} | parameters
    return [RunConfig(**{"method": m, "density": d, "seed": s} | shared) for m, d, s in GRID]


def one(**parameters: Any) -> RunConfig:
    return RunConfig(**{"task": "sinc", "device": "cpu", "max_steps": 60, "theta": 0.0} | parameters)


Commands = dict[tuple[int, int], list[Any]]  # by place and step


def together(
    configs: Sequence[RunConfig], given: Commands | None = None, **options: Any
) -> list[list[Event]]:
    """The events of each run of a batch that is sent commands before steps."""
    waiting = {key: list(commands) for key, commands in (given or {}).items()}
    events: list[list[Event]] = [[] for _ in configs]
    running, reply = train_many(configs, **options), None
    while True:
        try:
            place, event = running.send(reply)
        except StopIteration:
            return events
        events[place].append(event)
        due = waiting.get((place, event.step)) if isinstance(event, Ready) else None
        reply = due.pop(0) if due else None


def alone(config: RunConfig, given: dict[int, list[Any]] | None = None, **options: Any) -> list[Event]:
    """The events of the same run by itself."""
    waiting = {step: list(commands) for step, commands in (given or {}).items()}
    events: list[Event] = []
    running, reply = train(config, **options), None
    while not (events and isinstance(events[-1], Ended)):
        events.append(running.send(reply))
        due = waiting.get(events[-1].step) if isinstance(events[-1], Ready) else None
        reply = due.pop(0) if due else None
    return events


def advanced(config: RunConfig, steps: int) -> Training:
    """A training by itself, after so many steps."""
    training = Training(config)
    for _ in range(steps):
        training.advance()
    return training


def of(kind: type, events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def last(events: list[Event]) -> Checkpoint:
    return of(Checkpoint, events)[-1]


def assert_same_state(one: Checkpoint, other: Checkpoint, tolerance: float) -> None:
    """Weights and Adam's averages to a tolerance, supports, counts and steps exactly."""
    assert one.step == other.step
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype, name
        assert array.shape == other.arrays[name].shape, name
        exact = name.startswith("sparsifier") or name.endswith(".step")
        np.testing.assert_allclose(
            other.arrays[name], array, rtol=0, atol=0 if exact else tolerance, err_msg=name
        )
    ours, theirs = (saved.meta["sparsifier"] for saved in (one, other))
    assert {k: v for k, v in ours.items() if k != "thresholds"} == {
        k: v for k, v in theirs.items() if k != "thresholds"
    }


def assert_same_records(one: list[Record], other: list[Record], tolerance: float) -> None:
    assert [record.step for record in one] == [record.step for record in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine.values.keys() == theirs.values.keys()
        for name in mine.values.keys() - {"seconds"}:
            assert flat(theirs.values[name]) == pytest.approx(flat(mine.values[name]), abs=tolerance), name


def flat(value: Any) -> list[float]:
    """The numbers of a record's value; those that are none as -1."""
    if isinstance(value, dict):
        return [number for name in sorted(value) for number in flat(value[name])]
    if isinstance(value, list):
        return [number for each in value for number in flat(each)]
    return [-1.0 if value is None else float(value)]


# -- the same training ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("task", ["sinc", "spirals"])
def test_in_float64_each_model_of_a_batch_is_the_model_alone(task: str):
    configs = grid(task)
    for config, events in zip(configs, together(configs), strict=True):
        expected = alone(config)
        assert_same_state(last(expected), last(events), 1e-10)
        assert_same_records(of(Record, expected), of(Record, events), 1e-8)
        mine, theirs = expected[-1], events[-1]
        assert (theirs.step, theirs.reason, theirs.detail) == (mine.step, mine.reason, mine.detail)
        assert theirs.result.keys() == mine.result.keys()
        for name in ("budget", "nonzeros", "density", "density_target", "layers", "steps", "device"):
            assert theirs.result[name] == mine.result[name], name


@pytest.mark.parametrize("task", ["sinc", "spirals"])
def test_in_float32_they_agree_to_rounding(task: str):
    configs = grid(task, max_steps=60)[:4]
    for config, events in zip(configs, together(configs), strict=True):
        mine, theirs = last(alone(config)), last(events)
        moved = differing = 0
        for name, array in mine.arrays.items():
            if name.startswith("model"):
                assert np.abs(array - theirs.arrays[name]).max() < 1e-3, name
            if name.startswith("sparsifier.masks"):
                differing += np.count_nonzero(array != theirs.arrays[name])
                moved += array.size
        assert differing <= 0.01 * moved


@pytest.mark.usefixtures("_double")
@given(
    task=st.sampled_from(["sinc", "spirals"]),
    models=st.lists(
        st.tuples(
            st.sampled_from(["dense", "global", "layerwise"]),
            st.one_of(st.sampled_from([0.001, 0.5, 1.0]), st.floats(0.01, 1.0)),
            st.integers(0, 5),
            st.sampled_from([0.001, 0.01, 0.1]),
        ),
        min_size=1,
        max_size=5,
    ),
    steps=st.integers(1, 8),
)
@settings(max_examples=15)
def test_after_any_steps_of_any_mixture_every_model_is_where_it_is_alone(
    task: str, models: list[tuple[str, float, int, float]], steps: int
):
    configs = [
        one(task=task, method=method, density=density, seed=seed, learning_rate=rate)
        for method, density, seed, rate in models
    ]
    stack = Stack({place: Training(config) for place, config in enumerate(configs)})
    found = {}
    for _ in range(steps):
        found = stack.advance()
    for place, config in enumerate(configs):
        mine, theirs = advanced(config, steps), stack.trainings[stack.keys.index(place)]
        assert_same_state(mine.checkpoint(), theirs.checkpoint(), 1e-10)
        assert found[place] is None
        assert theirs.update == pytest.approx(mine.update, abs=1e-10)
        ours, others = mine.sparsifier, theirs.sparsifier
        assert (ours.kept, ours.changed, ours.still) == (others.kept, others.changed, others.still)
        assert others.jaccard == ours.jaccard
        assert others.thresholds == pytest.approx(ours.thresholds, abs=1e-10)


@pytest.mark.usefixtures("_double")
def test_at_paper_size_too():
    configs = [
        one(size="paper", max_steps=8, method=m, density=0.1, seed=s)
        for m, s in (("global", 0), ("layerwise", 1), ("layerwise", 0))
    ]
    for config, events in zip(configs, together(configs), strict=True):
        assert_same_state(last(alone(config)), last(events), 1e-10)


@pytest.mark.usefixtures("_double")
def test_each_has_its_own_learning_rate_noise_and_schedule():
    configs = [
        one(learning_rate=0.003),
        one(learning_rate=0.03, noise=0.05, seed=3),
        one(density=0.1, schedule="cubic", schedule_steps=40),
        one(method="global", density=0.2, schedule="linear", schedule_steps=20, seed=4),
    ]
    for config, events in zip(configs, together(configs), strict=True):
        assert_same_state(last(alone(config)), last(events), 1e-10)


def test_a_batch_of_one_is_that_one():
    config = one(max_steps=30)
    assert_same_state(last(alone(config)), last(together([config])[0]), 1e-5)


def test_a_batch_takes_one_step_of_adam_for_all_that_are_at_one_step_with_one_learning_rate():
    stack = Stack({place: Training(config) for place, config in enumerate(grid())})
    assert len(stack.blocks) == 1
    mixed = [one(), one(seed=1, learning_rate=0.5), one(seed=2)]
    assert len(Stack({place: Training(config) for place, config in enumerate(mixed)}).blocks) == 2


# -- what it says -----------------------------------------------------------------------------------------


def test_each_tells_what_it_tells_alone():
    configs = grid(max_steps=45)
    for config, events in zip(configs, together(configs), strict=True):
        expected = alone(config)
        quiet = [type(event) for event in events if not isinstance(event, Frame | Checkpoint)]
        assert quiet == [type(event) for event in expected if not isinstance(event, Frame | Checkpoint)]
        assert isinstance(events[0], Scene)
        assert [type(event) for event in events[-3:]] == [Frame, Checkpoint, Ended]
        assert [event.step for event in of(Ready, events)] == list(range(45))
        mine, theirs = of(Scene, expected)[0], of(Scene, events)[0]
        assert theirs.meta == mine.meta
        assert all(np.array_equal(theirs.arrays[name], array) for name, array in mine.arrays.items())
        assert of(Frame, events)[-1].meta.keys() == of(Frame, expected)[-1].meta.keys()
        for event in of(Frame, events) + of(Checkpoint, events):
            encode(event.arrays, event.meta)  # which refuses what is no number


def test_frames_take_turns_and_checkpoints_come_together():
    ticks = itertools.count()
    configs = grid(max_steps=300)[:3]
    events = together(configs, clock=lambda: next(ticks) * 0.01)
    frames = [[event.step for event in of(Frame, each)] for each in events]
    assert all(len(steps) > 4 for steps in frames)
    assert not set(frames[0][1:-1]) & set(frames[1][1:-1])  # the first and the last are everyone's
    checkpoints = [[event.step for event in of(Checkpoint, each)] for each in events]
    assert len(checkpoints[0]) > 2
    assert checkpoints[0] == checkpoints[1] == checkpoints[2]


def test_the_seconds_of_the_runs_are_shares_of_the_batchs():
    ticks = itertools.count()
    results = [each[-1].result for each in together(grid(max_steps=10)[:4], clock=lambda: float(next(ticks)))]
    assert sum(result["seconds"] for result in results) == pytest.approx(10)  # a tick a step
    assert len({result["seconds"] for result in results}) == 1


# -- how they end -----------------------------------------------------------------------------------------


def test_global_at_5_percent_collapses_at_the_same_step_and_the_others_go_on():
    configs = [one(method="global", density=0.05, max_steps=80), *grid(max_steps=80)[:2]]
    events = together(configs)
    expected = alone(configs[0])[-1]
    assert (expected.reason, events[0][-1].reason) == ("collapsed", "collapsed")
    assert events[0][-1].step == expected.step < 80
    assert events[0][-1].detail == expected.detail
    assert [each[-1].reason for each in events[1:]] == ["max_steps", "max_steps"]
    for config, each in zip(configs[1:], events[1:], strict=True):
        assert_same_state(last(alone(config)), last(each), 1e-4)


@pytest.mark.usefixtures("_double")
def test_theta_and_max_steps_are_each_models_own():
    configs = [one(theta=0.15), one(seed=1, theta=0.2), one(seed=2, max_steps=17), one(seed=3)]
    ends = [each[-1] for each in together(configs)]
    expected = [alone(config)[-1] for config in configs]
    assert [(end.reason, end.step) for end in ends] == [(end.reason, end.step) for end in expected]
    assert [end.reason for end in ends] == ["converged", "converged", "max_steps", "max_steps"]


@pytest.mark.usefixtures("_double")
def test_patience_is_each_models_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Task, "patience", 1)
    monkeypatch.setattr(Task, "watched", lambda self, metrics: -metrics["test"]["rmse"])
    configs = [one(seed=seed, max_steps=200, learning_rate=rate) for seed, rate in ((0, 0.01), (1, 1.0))]
    ends = [each[-1] for each in together(configs)]
    expected = [alone(config)[-1] for config in configs]
    assert [(end.reason, end.step) for end in ends] == [(end.reason, end.step) for end in expected]
    assert ends[1].detail["what"] == "patience"


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_one_model_with_its_last_good_weights(value: float):
    configs = [one(seed=seed) for seed in range(3)]
    stack = Stack({place: advanced(config, 7) for place, config in enumerate(configs)})
    assert stack.advance() == {0: None, 1: None, 2: None}
    stack.y[1, 0] = value
    assert list(stack.advance()) == [1]
    good = advanced(configs[1], 7)
    lost = stack.trainings[1]
    assert (lost.step, lost.sparsifier.step) == (8, 8)
    for mine, theirs in zip(good.task.model.parameters(), lost.task.model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize(
    ("place", "method", "layer"),
    [("fc2.weight", "layerwise", "fc2"), ("fc3.weight", "layerwise", "fc3"), ("fc1.bias", "global", "fc1")],
)
def test_weights_that_are_not_finite_end_one_model_and_spare_the_others(
    place: str, method: str, layer: str, monkeypatch: pytest.MonkeyPatch
):
    configs = [one(seed=seed, method=method) for seed in range(3)]
    stack = Stack({key: advanced(config, 4) for key, config in enumerate(configs)})
    stack.advance()
    spoilt = stack.trainings[1]
    good = {name: value.clone() for name, value in spoilt.task.model.state_dict().items()}
    rule = spoilt.sparsifier
    masks, count = [mask.clone() for mask in rule.masks], rule.counts[1].clone()
    # What a gradient without bounds makes of Adam's average.
    spoilt.optimizer.state[spoilt.task.model.get_parameter(place)]["exp_avg"].view(-1)[0] = math.nan
    found = stack.advance()
    assert found[1] == ("diverged", {"step": 6, "what": "weights", "layer": layer})
    assert (found[0], found[2]) == (None, None)
    assert spoilt.step == 5
    for name, value in spoilt.task.model.state_dict().items():
        assert torch.equal(value, good[name]), name
    if layer == "fc2":  # of a NaN under the constraint the projection keeps its hands
        assert all(torch.equal(a, b) for a, b in zip(masks, rule.masks, strict=True))
        assert torch.equal(rule.counts[1], count)
    for key in (0, 2):
        other = advanced(configs[key], 6)
        for mine, theirs in zip(
            other.task.model.parameters(), stack.trainings[key].task.model.parameters(), strict=True
        ):
            assert torch.allclose(mine, theirs, rtol=0, atol=1e-10)


def test_a_model_that_diverged_is_told_to_its_end_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch):
    right = stack_module.Stack._differentiate

    def spoilt(self: Stack) -> tuple[torch.Tensor, torch.Tensor]:
        losses, gradients = right(self)
        if 1 in self.keys and self.trainings[self.keys.index(1)].step == 5:
            losses[self.keys.index(1)] = math.nan
        return losses, gradients

    monkeypatch.setattr(stack_module.Stack, "_differentiate", spoilt)
    events = together([one(seed=seed, max_steps=20) for seed in range(3)])
    assert [(each[-1].reason, each[-1].step) for each in events] == [
        ("max_steps", 20),
        ("diverged", 5),
        ("max_steps", 20),
    ]
    assert events[1][-1].detail == {"step": 5, "what": "loss", "value": "nan"}


# -- what they obey ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize(
    "change",
    [{"density": 0.1}, {"learning_rate": 0.03}, {"method": "global"}, {"method": "dense"}, {"keep_alive": 1}],
)
def test_a_change_of_one_holds_from_the_next_step_and_leaves_the_others(change: dict[str, Any]):
    configs = [one(seed=0), one(seed=1), one(seed=2, method="global")]
    events = together(configs, {(1, 25): [Change(change), Look()]})
    assert_same_state(last(alone(configs[1], {25: [Change(change), Look()]})), last(events[1]), 1e-10)
    for place in (0, 2):
        assert_same_state(last(alone(configs[place])), last(events[place]), 1e-10)


@pytest.mark.usefixtures("_double")
def test_a_run_that_went_its_own_way_comes_back_when_it_fits_again():
    configs = [one(seed=0), one(seed=1)]
    commands = {10: [Change({"freeze_at": 12})], 30: [Change({"freeze_at": None})]}
    events = together(configs, {(1, step): given for step, given in commands.items()})
    assert_same_state(last(alone(configs[1], commands)), last(events[1]), 1e-10)
    assert_same_state(last(alone(configs[0])), last(events[0]), 1e-10)


def test_stop_ends_one_and_leave_takes_one_out_without_an_ending():
    events = together([one(seed=seed) for seed in range(3)], {(0, 5): [Stop()], (2, 9): [Look(), Leave()]})
    assert (events[0][-1].reason, events[0][-1].step) == ("stopped", 5)
    assert events[1][-1].reason == "max_steps"
    assert not of(Ended, events[2])
    assert (events[2][-1], last(events[2]).step) == (Ready(9), 9)


def test_a_batch_that_all_leave_is_over():
    events = together([one(seed=seed) for seed in range(2)], {(0, 3): [Leave()], (1, 3): [Leave()]})
    assert [each[-1] for each in events] == [Ready(3), Ready(3)]


# -- going on ---------------------------------------------------------------------------------------------


def saved(event: Checkpoint) -> Checkpoint:
    """A checkpoint as it comes back from a blob."""
    return Checkpoint(event.step, *decode(encode(event.arrays, event.meta)))


@pytest.mark.usefixtures("_double")
def test_each_goes_on_from_its_own_step_in_any_company():
    configs = grid()[:4]
    halfway = [
        saved(of(Checkpoint, alone(configs[0], {20: [Look(), Stop()]}))[0]),
        None,
        *(
            saved(of(Checkpoint, each)[0])
            for each in together(configs[2:], {(0, 33): [Look(), Leave()], (1, 20): [Look(), Leave()]})
        ),
    ]
    for config, events in zip(configs, together(configs, resume=halfway), strict=True):
        assert_same_state(last(alone(config)), last(events), 1e-10)
        assert events[-1].result["steps"] == 40


@pytest.mark.usefixtures("_double")
def test_a_single_worker_goes_on_from_a_batchs_checkpoint():
    configs = grid()[:3]
    events = together(configs, {(place, 30): [Look(), Leave()] for place in range(3)})
    for config, each in zip(configs, events, strict=True):
        resumed = alone(config, resume=saved(last(each)))
        assert_same_state(last(alone(config)), last(resumed), 1e-10)


def test_a_run_that_had_ended_before_its_batch_was_killed_ends_again():
    configs = [one(seed=seed, max_steps=10) for seed in range(2)]
    done = saved(last(alone(configs[0])))
    events = together(configs, resume=[done, None])
    assert [each[-1].reason for each in events] == ["max_steps", "max_steps"]
    assert not of(Ready, events[0])


# -- which go together ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "apart",
    [
        {"mode": "latent"},
        {"keep_alive": 1},
        {"keep_alive_layer": 3},
        {"freeze_at": 5},
        {"freeze_settled": 5},
        {"task": "vulnerabilities"},
    ],
)
def test_what_a_batch_cannot_do_is_a_group_of_its_own(apart: dict[str, Any]):
    configs = [RunConfig(**apart), RunConfig(), RunConfig(**apart | {"seed": 1}), RunConfig(seed=1)]
    assert batchable(configs) == [[0], [1, 3], [2]]
    assert [fits(config) for config in configs] == [False, True, False, True]


def test_task_size_and_device_are_shared_and_a_batch_is_not_endless():
    configs = [
        RunConfig(task=task, size=size, seed=seed, device=device)
        for task, size, device in (
            ("sinc", "demo", "cpu"),
            ("sinc", "paper", "cpu"),
            ("spirals", "demo", "auto"),
        )
        for seed in range(3)
    ]
    assert batchable(configs) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert batchable(configs, largest=2) == [[0, 1], [2], [3, 4], [5], [6, 7], [8]]
    assert batchable([]) == []


def test_the_server_may_group_runs_without_torch():
    code = "import json, sys, sparsecore.engine.batch.grouping; print(json.dumps('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
