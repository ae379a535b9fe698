"""Points: the same seed gives the same data and initial weights; floors and ceilings."""

import numpy as np
import pytest
import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks import base
from sparsecore.engine.tasks.base import Task
from sparsecore.engine.tasks.points import sinc
from sparsecore.engine.tasks.sinc import Sinc
from sparsecore.engine.tasks.spirals import Spirals, best_accuracy

CPU = torch.device("cpu")


def build(task: str, **parameters: object) -> Task:
    return base.build(RunConfig(task=task, **parameters), CPU)


def weights(task: Task) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])


@pytest.mark.parametrize("name", ["sinc", "spirals"])
def test_a_seed_decides_data_and_initial_weights(name: str):
    one, same, other = build(name, seed=3), build(name, seed=3), build(name, seed=4)
    assert torch.equal(one.x, same.x)
    assert torch.equal(weights(one), weights(same))
    assert not torch.equal(one.x, other.x)
    assert not torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("name", ["sinc", "spirals"])
def test_building_a_task_does_not_touch_the_callers_random_numbers(name: str):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    build(name, seed=5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", ["sinc", "spirals"])
def test_the_callers_random_numbers_do_not_touch_a_task(name: str):
    torch.manual_seed(1)
    one = build(name)
    torch.manual_seed(2)
    assert torch.equal(weights(one), weights(build(name)))


@pytest.mark.parametrize("name", ["sinc", "spirals"])
def test_density_and_method_change_neither_data_nor_initial_weights(name: str):
    one, other = build(name, density=0.05, method="global"), build(name, density=1.0, method="dense")
    assert torch.equal(one.x, other.x)
    assert torch.equal(weights(one), weights(other))


def test_streams_are_independent_of_each_other():
    task = build("sinc")
    first = task.stream("test").random(4)
    task.stream("train").random(1_000)
    assert np.array_equal(task.stream("test").random(4), first)
    assert not np.array_equal(task.stream("train").random(4), first)
    assert not np.array_equal(task.stream("batches", 0).random(4), task.stream("batches", 1).random(4))


# -- sinc -------------------------------------------------------------------------------------------------


def test_sinc_is_sin_x_over_x():
    assert np.allclose(sinc(np.array([0.0, np.pi / 2, np.pi, 5.0])), [1, 2 / np.pi, 0, np.sin(5) / 5])


@pytest.mark.parametrize("size", ["demo", "paper"])
def test_sinc_has_300_training_and_300_fresh_test_points(size: str):
    task = build("sinc", size=size)
    assert task.x.shape == task.test_x.shape == (300, 1)
    assert not torch.equal(task.x, task.test_x)
    assert task.x.abs().max() <= 10


def test_the_noise_of_sinc_is_a_variance_and_its_root_is_the_floor():
    errors = []
    for seed in range(20):
        task = build("sinc", seed=seed)
        errors.append(task.test[1] - sinc(task.test[0].astype(np.float64)))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.0707, abs=0.002)
    assert build("sinc").scene()[1]["floor"] == pytest.approx(0.0707, abs=1e-4)


def test_a_perfect_sinc_scores_the_noise_and_nothing_against_the_truth(monkeypatch: pytest.MonkeyPatch):
    task = build("sinc")
    monkeypatch.setattr(Sinc, "_predict", lambda self, x: sinc(x[:, 0].numpy()).astype(np.float32))
    scores = task.metrics()["test"]
    assert scores["rmse"] == pytest.approx(0.0707, abs=0.008)
    assert scores["rmse_clean"] < 1e-6


def test_sinc_without_noise_is_the_curve():
    task = build("sinc", noise=0.0)
    assert np.allclose(task.train[1], sinc(task.train[0].astype(np.float64)), atol=1e-6)


# -- spirals ----------------------------------------------------------------------------------------------


def test_spirals_have_1000_points_a_class_split_80_to_20():
    task = build("spirals")
    assert (len(task.x), len(task.test_x)) == (1_600, 400)
    assert np.bincount(task.labels).tolist() == [1_000, 1_000]
    assert 160 < int(task.test_y.sum()) < 240


def test_without_noise_the_radius_tells_the_angle():
    task = build("spirals", noise=0.0)
    radius = np.hypot(*task.points.T)
    angle = 2 * np.pi * radius + np.pi * task.labels
    expected = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    assert np.allclose(task.points, expected, atol=1e-5)


@pytest.mark.parametrize(("noise", "ceiling"), [(0.0, 1.0), (0.1, 1.0), (1.0, 0.884), (3.0, 0.507)])
def test_the_ceiling_of_the_spirals(noise: float, ceiling: float):
    assert best_accuracy(noise) == pytest.approx(ceiling, abs=5e-4)
    assert build("spirals", noise=noise).scene()[1]["ceiling"] == best_accuracy(noise)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0, 3.0])
def test_the_ceiling_is_what_the_true_spirals_score(noise: float):
    own = np.cos(np.random.default_rng(0).normal(0, noise, 400_000)) > 0
    assert own.mean() == pytest.approx(best_accuracy(noise), abs=0.004)


def test_the_decision_boundary_is_drawn_from_the_lowest_left_corner():
    task = build("spirals")
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()
        task.model.fc1.weight[0, 1] = 10.0  # class 1 above, class 0 below
        task.model.fc2.weight[0, 0] = 10.0
        task.model.fc3.weight[1, 0] = 10.0
    chance = task.picture()[0]["chance"].reshape(64, 64)
    assert isinstance(task, Spirals)
    assert chance.dtype == np.uint8
    assert (chance[0] == chance[0, 0]).all()
    assert chance[0, 0] < chance[-1, 0]
