"""A run as a generator of events: what it says, what it obeys, how it ends, and going on bit for bit."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.engine.devices import resolve_device
from sparsecore.engine.tasks.sinc import Sinc
from sparsecore.engine.training.blobs import decode, encode
from sparsecore.engine.training.endings import COLLAPSE_STEPS, Ending
from sparsecore.engine.training.events import (
    Change,
    Checkpoint,
    Command,
    Ended,
    Event,
    Frame,
    Look,
    Ready,
    Record,
    Scene,
    Stop,
)
from sparsecore.engine.training.loop import due, train
from sparsecore.engine.training.trainer import Training


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def drive(
    config: RunConfig,
    commands: dict[int, list[Command]] | None = None,
    **options: Any,
) -> list[Event]:
    """All events of a run that is sent each command before the step after so many steps."""
    waiting = {step: list(given) for step, given in (commands or {}).items()}
    running, events, reply = train(config, **options), [], None
    while not (events and isinstance(events[-1], Ended)):
        event = running.send(reply)
        events.append(event)
        due = waiting.get(event.step) if isinstance(event, Ready) else None
        reply = due.pop(0) if due else None
    return events


def of(kind: type, events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def short(task: str = "sinc", **parameters: Any) -> RunConfig:
    return RunConfig(task=task, **({"max_steps": 50, "theta": 0.0} | parameters))


def checkpoint_at(step: int, config: RunConfig, home: Path | None = None) -> Checkpoint:
    """The checkpoint after so many steps, as it comes back from a blob."""
    events = drive(config, {step: [Look(), Stop()]}, home=home)
    found = of(Checkpoint, events)[0]
    return Checkpoint(found.step, *decode(encode(found.arrays, found.meta)))


def assert_same_state(one: Checkpoint, other: Checkpoint) -> None:
    assert one.step == other.step
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype, name
        assert np.array_equal(array, other.arrays[name]), name


# -- what it says -----------------------------------------------------------------------------------------


def test_a_scene_comes_first_then_a_frame_and_the_ending_last():
    events = drive(short())
    assert isinstance(events[0], Scene)
    assert isinstance(events[1], Frame)
    assert events[1].step == 0
    assert [type(event) for event in events[-3:]] == [Frame, Checkpoint, Ended]


def test_a_ready_comes_before_every_step():
    assert [event.step for event in of(Ready, drive(short(max_steps=4)))] == [0, 1, 2, 3]


def test_records_come_at_the_start_every_20_steps_and_at_the_end():
    records = of(Record, drive(short(max_steps=50)))
    assert [record.step for record in records] == [0, 20, 40, 50]
    assert records[1].values["metrics"].keys() == {"train", "test"}
    assert "metrics" not in records[3].values
    assert [record.values["density"] for record in records[:2]] == [[1.0] * 3, [1.0, 102 / 256, 1.0]]
    assert 0 <= records[2].values["churn"] <= 1


def test_frames_and_checkpoints_fall_due_by_the_clock():
    ticks = itertools.count()
    events = drive(short(max_steps=300), clock=lambda: next(ticks) * 0.01)
    steps = [event.step for event in of(Frame, events)]
    assert 10 < len(steps) < 100
    assert steps == sorted(steps)
    checkpoints = [event.step for event in of(Checkpoint, events)]
    assert len(checkpoints) > 3
    assert checkpoints[-1] == 300


def test_a_checkpoint_does_not_wait_for_a_long_step(monkeypatch: pytest.MonkeyPatch):
    """Steps of 0.9 s: one checkpoint after each, since the one after the next would come too late."""
    time, advance = [0.0], Training.advance

    def slow(training: Training) -> Ending | None:
        time[0] += 0.9
        return advance(training)

    monkeypatch.setattr(Training, "advance", slow)
    events = drive(short(max_steps=5), clock=lambda: time[0])
    assert [event.step for event in of(Checkpoint, events)] == [1, 2, 3, 4, 5]


def test_without_copies_a_checkpoint_is_that_of_its_step_until_the_next():
    """Written before another step, as a worker does, it is what a copy of it is."""
    copied = of(Checkpoint, drive(short(max_steps=40), clock=itertools.count().__next__))
    taken, seen = [], []
    for event in train(short(max_steps=40), clock=itertools.count().__next__, copies=False):
        if isinstance(event, Checkpoint):
            taken.append(event.arrays)
            seen.append({name: array.copy() for name, array in event.arrays.items()})
    assert len(seen) == len(copied) > 2
    for one, other in zip(seen, copied, strict=True):
        assert all(np.array_equal(one[name], other.arrays[name]) for name in other.arrays)
    assert any(not np.array_equal(taken[0][name], seen[0][name]) for name in seen[0])


def test_the_result_is_what_the_command_line_prints():
    result = of(Ended, drive(short(density=0.4, max_steps=3)))[0].result
    assert (result["density_target"], result["budget"], result["nonzeros"]) == (0.4, 102, 102)
    assert (result["density"], result["steps"]) == (102 / 256, 3)
    assert [(row["name"], row["shape"], row["prunable"]) for row in result["layers"]] == [
        ("fc1", [16, 1], False),
        ("fc2", [16, 16], True),
        ("fc3", [1, 16], False),
    ]
    assert [row["nonzeros"] for row in result["layers"]] == [16, 102, 16]


def test_a_dense_run_has_a_target_of_1_and_every_weight():
    result = of(Ended, drive(short(method="dense", density=0.4, max_steps=3)))[0].result
    assert (result["density_target"], result["budget"], result["nonzeros"]) == (1.0, 288, 288)


@pytest.mark.parametrize("task", ["sinc", "spirals"])
def test_the_same_config_gives_the_same_weights(task: str):
    one, other = (of(Checkpoint, drive(short(task, seed=5)))[-1] for _ in range(2))
    assert_same_state(one, other)


def test_another_seed_gives_other_weights():
    one, other = (of(Checkpoint, drive(short(seed=seed)))[-1] for seed in (0, 1))
    assert not np.array_equal(one.arrays["model.fc2.weight"], other.arrays["model.fc2.weight"])


def test_the_length_of_a_step_counts_all_parameters_after_the_projection():
    events = drive(short(max_steps=21), {20: [Look()]})
    before, after = (event.arrays for event in of(Checkpoint, events))
    squares = sum(
        float(((after[name].astype(np.float64) - before[name]) ** 2).sum())
        for name in before
        if name.startswith("model.")
    )
    assert of(Record, events)[-1].values["update"] == pytest.approx(math.sqrt(squares), rel=1e-5)


# -- how it ends ------------------------------------------------------------------------------------------


def test_it_ends_after_max_steps():
    ended = drive(short(max_steps=7))[-1]
    assert (ended.reason, ended.step, ended.detail) == ("max_steps", 7, {})


def test_it_converges_at_the_first_step_shorter_than_theta():
    reference = drive(short(max_steps=3), {step: [Look()] for step in (0, 1, 2)})
    arrays = [event.arrays for event in of(Checkpoint, reference)]
    lengths = [
        math.sqrt(sum(float(((b[n] - a[n]) ** 2).sum()) for n in a if n.startswith("model.")))
        for a, b in itertools.pairwise(arrays)
    ]
    assert lengths[0] > lengths[1] > lengths[2]  # the first projection is the longest step
    ended = drive(short(max_steps=50, theta=(lengths[1] + lengths[2]) / 2))[-1]
    assert (ended.reason, ended.step) == ("converged", 3)
    assert ended.detail["what"] == "theta"
    assert ended.detail["update"] == pytest.approx(lengths[2], rel=1e-4)


def test_a_theta_of_0_never_ends_a_run():
    assert drive(short(theta=0.0, max_steps=30))[-1].reason == "max_steps"


def test_global_at_5_percent_collapses_at_paper_size_and_names_the_emptied_layer():
    ended = drive(RunConfig(task="sinc", size="paper", method="global", density=0.05))[-1]
    assert ended.reason == "collapsed"
    assert ended.detail["layer"] == "fc3"
    assert ended.detail["what"] == "empty"
    assert 1 <= ended.detail["step"] <= ended.step <= COLLAPSE_STEPS + ended.detail["step"]
    by_name = {row["name"]: row["nonzeros"] for row in ended.result["layers"]}
    assert by_name["fc3"] == 0
    assert sum(by_name.values()) == ended.result["budget"] == 3_025


def test_an_empty_layer_is_dead_after_50_steps():
    ended = drive(short(density=0.001, max_steps=500))[-1]  # round(0.001 · 256) = 0
    assert (ended.reason, ended.detail) == ("collapsed", {"step": 1, "what": "empty", "layer": "fc2"})
    assert ended.step == 1 + COLLAPSE_STEPS


def test_a_transformer_lives_with_an_emptied_matrix_in_a_block_and_not_with_an_emptied_block():
    lives = drive(RunConfig(task="vulnerabilities", method="layerwise", density=0.02, max_steps=60, theta=0))[
        -1
    ]
    assert lives.reason == "max_steps"
    assert any(row["nonzeros"] == 0 for row in lives.result["layers"] if row["prunable"])
    dead = drive(RunConfig(task="vulnerabilities", method="layerwise", density=1e-6, max_steps=60, theta=0))[
        -1
    ]
    assert (dead.reason, dead.detail["layer"]) == ("collapsed", "blocks.0")


def test_a_layer_that_fills_again_in_time_is_not_dead():
    back = {30: [Change({"density": 0.5})]}
    ended = drive(short(density=0.001, max_steps=200), back)[-1]
    assert ended.reason == "max_steps"


def test_an_output_that_ignores_its_input_is_a_collapse(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Sinc, "outputs", lambda self: torch.full((300, 1), 0.25))
    ended = drive(short(max_steps=500))[-1]
    assert (ended.reason, ended.step, ended.detail) == ("collapsed", 40, {"step": 40, "what": "constant"})


def test_a_run_that_stands_still_on_a_constant_is_no_convergence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Sinc, "outputs", lambda self: torch.zeros(300, 1))
    ended = drive(short(theta=1e6))[-1]
    assert (ended.reason, ended.detail["what"]) == ("collapsed", "constant")


def spoil(monkeypatch: pytest.MonkeyPatch, at: int, how: Callable[[Sinc, Tensor], Tensor]) -> None:
    """Let the loss of the step after `at` steps be something else."""
    right = Sinc.loss
    monkeypatch.setattr(
        Sinc, "loss", lambda self, step: how(self, right(self, step)) if step == at else right(self, step)
    )


@pytest.mark.parametrize(("factor", "value"), [(math.inf, "inf"), (math.nan, "nan")])
def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_good_weights(
    factor: float, value: str, monkeypatch: pytest.MonkeyPatch
):
    good = of(Checkpoint, drive(short(), {6: [Look()]}))[0]
    spoil(monkeypatch, 7, lambda task, loss: loss * factor)
    events = drive(short())
    ended, kept = events[-1], events[-2]
    assert ended.reason == "diverged"
    assert ended.detail == {"step": 7, "what": "loss", "value": value}
    assert np.array_equal(kept.arrays["model.fc2.weight"], good.arrays["model.fc2.weight"])
    assert all(math.isfinite(x) for part in ended.result["metrics"].values() for x in part.values())


def not_a_number(weight: Tensor) -> Tensor:
    """Zero, with a gradient that is no number."""
    return (weight * 0).abs().sum().sqrt()


@pytest.mark.parametrize("at", [7, 19])  # after step 20 a record is due
@pytest.mark.parametrize("name", ["fc2.weight", "fc3.weight", "fc1.bias"])
def test_weights_that_are_not_finite_end_the_run_with_the_last_good_ones(
    name: str, at: int, monkeypatch: pytest.MonkeyPatch
):
    good = of(Checkpoint, drive(short(), {at: [Look()]}))[0]
    spoil(monkeypatch, at, lambda task, loss: loss + not_a_number(task.model.get_parameter(name)))
    events = drive(short())
    ended, kept = events[-1], events[-2]
    assert ended.reason == "diverged"
    assert ended.detail == {"step": at + 1, "what": "weights", "layer": name.partition(".")[0]}
    assert ended.step == at
    for weight in ("model.fc1.bias", "model.fc2.weight", "model.fc3.weight"):
        assert np.array_equal(kept.arrays[weight], good.arrays[weight])
    for event in of(Frame, events) + of(Checkpoint, events):
        encode(event.arrays, event.meta)  # which refuses what is no number


def test_a_dense_run_diverges_too(monkeypatch: pytest.MonkeyPatch):
    spoil(monkeypatch, 3, lambda task, loss: loss + not_a_number(task.model.fc2.weight))
    ended = drive(short(method="dense"))[-1]
    assert (ended.reason, ended.detail["layer"]) == ("diverged", "fc2")
    assert ended.result["nonzeros"] == 288


def test_a_run_that_diverges_right_after_it_went_on_keeps_the_checkpoints_weights(
    monkeypatch: pytest.MonkeyPatch,
):
    saved = checkpoint_at(12, short())
    spoil(monkeypatch, 12, lambda task, loss: loss * math.nan)
    events = drive(short(), resume=saved)
    assert events[-1].reason == "diverged"
    assert np.array_equal(events[-2].arrays["model.fc2.weight"], saved.arrays["model.fc2.weight"])


# -- what it obeys ----------------------------------------------------------------------------------------


def test_stop_ends_it_before_the_next_step():
    ended = drive(short(), {5: [Stop()]})[-1]
    assert (ended.reason, ended.step, ended.result["steps"]) == ("stopped", 5, 5)


def test_stop_before_the_first_step_keeps_the_initial_weights():
    events = drive(short(), {0: [Stop()]})
    assert events[-1].result["steps"] == 0
    initial = Training(short()).task.model.fc2.weight.detach().numpy()
    assert np.array_equal(events[-2].arrays["model.fc2.weight"], initial)


def test_a_look_gives_a_frame_and_a_checkpoint_and_takes_no_step():
    events = drive(short(), {5: [Look()]})
    place = next(i for i, event in enumerate(events) if isinstance(event, Ready) and event.step == 5)
    assert [type(event) for event in events[place : place + 4]] == [Ready, Frame, Checkpoint, Ready]
    assert {event.step for event in events[place : place + 4]} == {5}


def test_looking_changes_nothing():
    looked = drive(short(), {step: [Look()] for step in range(50)})
    assert_same_state(of(Checkpoint, looked)[-1], of(Checkpoint, drive(short()))[-1])


def test_a_new_density_holds_from_the_next_step():
    events = drive(short(), {10: [Change({"density": 0.1}), Look()], 11: [Look()]})
    before, after = of(Checkpoint, events)[:2]
    assert np.count_nonzero(before.arrays["model.fc2.weight"]) == 102
    assert np.count_nonzero(after.arrays["model.fc2.weight"]) == 26
    assert events[-1].result["density_target"] == 0.1
    assert events[-1].result["budget"] == events[-1].result["nonzeros"] == 26


def test_a_new_learning_rate_scales_the_next_step():
    events = drive(
        short(method="dense"), {10: [Look()], 11: [Look(), Change({"learning_rate": 1e-6})], 12: [Look()]}
    )
    ten, eleven, twelve = (event.arrays["model.fc2.weight"] for event in of(Checkpoint, events)[:3])
    assert np.abs(twelve - eleven).max() < 1e-3 * np.abs(eleven - ten).max()
    assert of(Frame, events)[-1].meta["learning_rate"] == 1e-6


def test_a_new_method_keeps_the_retention_counts_going():
    events = drive(short(max_steps=20), {10: [Change({"method": "global"})]})
    last = of(Checkpoint, events)[-1]
    counts = [last.arrays[f"sparsifier.counts.{place}"] for place in range(3)]
    assert events[-1].result["budget"] == events[-1].result["nonzeros"] == round(0.4 * 288)
    assert sum(count.sum() for count in counts) == 10 * (16 + 102 + 16) + 10 * 115


def test_dense_may_become_sparse_and_sparse_dense():
    sparse = drive(short(method="dense", density=0.2), {10: [Change({"method": "layerwise"})]})[-1]
    assert sparse.result["nonzeros"] == 51
    dense = drive(short(), {10: [Change({"method": "dense"})]})[-1]
    assert dense.result["nonzeros"] == dense.result["budget"] == 288


def test_a_change_that_does_not_fit_changes_nothing():
    training = Training(short())
    with pytest.raises(ConfigError, match="density"):
        training.change({"learning_rate": 0.5, "density": 1.5})
    assert training.config == short()
    assert training.optimizer.param_groups[0]["lr"] == short().learning_rate
    assert training.sparsifier.density == 0.4


def without_times(result: dict) -> dict:
    """A result but for how long it took."""
    return result | {"seconds": 0, "stationarity": result["stationarity"] | {"seconds": 0}}


# -- going on ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["sinc", "spirals"])
@pytest.mark.parametrize("method", ["layerwise", "global", "dense"])
@pytest.mark.parametrize("step", [0, 13, 40])
def test_going_on_from_a_checkpoint_gives_the_same_weights_bit_for_bit(task: str, method: str, step: int):
    config = short(task, method=method, density=0.6)
    whole = drive(config)
    resumed = drive(config, resume=checkpoint_at(step, config))
    assert_same_state(of(Checkpoint, whole)[-1], of(Checkpoint, resumed)[-1])
    assert without_times(resumed[-1].result) == without_times(whole[-1].result)


def test_the_text_task_goes_on_bit_for_bit_in_the_middle_of_an_epoch(tmp_path: Path):
    config = short("vulnerabilities", max_steps=27)
    whole = drive(config, home=tmp_path)
    second = whole[0].meta["steps_an_epoch"]
    assert second < 25
    resumed = drive(config, home=tmp_path, resume=checkpoint_at(second + 1, config, tmp_path))
    assert_same_state(of(Checkpoint, whole)[-1], of(Checkpoint, resumed)[-1])
    assert resumed[-1].result["metrics"] == whole[-1].result["metrics"]


def test_what_was_changed_is_remembered():
    commands = {10: [Change({"density": 0.1, "method": "global", "learning_rate": 0.003})]}
    whole = drive(short(), commands)
    events = drive(short(), {10: [commands[10][0], Look(), Stop()]})
    resumed = drive(short(), resume=of(Checkpoint, events)[0])
    assert_same_state(of(Checkpoint, whole)[-1], of(Checkpoint, resumed)[-1])
    assert resumed[-1].result["density_target"] == 0.1


def test_how_long_a_layer_has_been_empty_is_remembered():
    config = short(density=0.001, max_steps=500)
    resumed = drive(config, resume=checkpoint_at(30, config))
    assert (resumed[-1].reason, resumed[-1].step) == ("collapsed", 1 + COLLAPSE_STEPS)


@pytest.mark.parametrize("config", [short(max_steps=21), short(density=0.001), short(theta=1e6)])
def test_a_run_cut_off_between_its_last_checkpoint_and_its_ending_takes_no_step_more(config: RunConfig):
    whole = drive(config)
    resumed = drive(config, resume=of(Checkpoint, whole)[-1])
    assert not of(Ready, resumed)
    assert (resumed[-1].reason, resumed[-1].step) == (whole[-1].reason, whole[-1].step)
    assert_same_state(of(Checkpoint, whole)[-1], of(Checkpoint, resumed)[-1])


def test_the_seconds_go_on_counting():
    saved = checkpoint_at(20, short())
    assert saved.meta["seconds"] > 0
    assert drive(short(), resume=saved)[-1].result["seconds"] > saved.meta["seconds"]


# -- devices ----------------------------------------------------------------------------------------------


def test_the_cpu_is_always_there_and_a_missing_device_is_named():
    assert resolve_device("cpu") == torch.device("cpu")
    if torch.cuda.device_count() < 99:
        with pytest.raises(ValueError, match="this machine has no device cuda:98; device=auto"):
            resolve_device("cuda:98")


def test_large_checkpoints_are_rarer_than_small_ones():
    assert due(10.1, 10.0, 1.5, 0.1) == 11.6
    assert due(11.0, 10.0, 1.5, 0.1) == pytest.approx(20.0)
