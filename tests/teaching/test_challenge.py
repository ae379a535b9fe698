"""The challenge's judge counts weights in the matrices and measures on points of its own."""

import numpy as np
import pytest
import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.points import sinc, spiral_points
from sparsecore.engine.training.trainer import Training
from sparsecore.teaching.challenge import NotJudged, challenges, judge, passes


def network(*layers: tuple[list[list[float]], list[float]]) -> dict[str, np.ndarray]:
    arrays = {}
    for place, (weight, bias) in enumerate(layers, 1):
        arrays[f"model.fc{place}.weight"] = np.array(weight, dtype=np.float32)
        arrays[f"model.fc{place}.bias"] = np.array(bias, dtype=np.float32)
    return arrays


def test_zeros_and_biases_are_not_counted():
    found = judge("sinc", network(([[0.0], [2.0]], [1.0, 1.0]), ([[0.0, 0.0]], [0.5])))
    assert found.nonzeros == 1
    assert not found.passes


def test_the_best_constant_has_the_theoretical_rmse():
    values = sinc(np.linspace(-10, 10, 100_001))
    found = judge("sinc", network(([[0.0]], [0.0]), ([[0.0]], [float(values.mean())])))
    assert found.nonzeros == 0
    assert found.value == pytest.approx(np.sqrt(values.var() + 0.005), rel=0.02)


def test_predicting_one_class_has_accuracy_one_half():
    assert judge("spirals", network(([[0.0, 0.0], [0.0, 0.0]], [1.0, 0.0]))).value == 0.5


@pytest.mark.parametrize("task", challenges())
def test_the_judge_agrees_with_the_network(task: str):
    training = Training(RunConfig.parse({"task": task, "method": "global", "density": 0.3}))
    for _ in range(300):
        training.advance()
    arrays = {f"model.{name}": value.numpy() for name, value in training.task.model.state_dict().items()}
    found = judge(task, arrays)
    assert found.nonzeros == sum(int(mask.sum()) for mask in training.sparsifier.masks)
    if task == "spirals":
        stream = np.random.default_rng(20_261_122)
        draws = [spiral_points(stream, 0.1) for _ in range(4)]
        x, y = (np.concatenate(part) for part in zip(*draws, strict=True))
        model = training.task.model.double()
        with torch.no_grad():
            right = model(torch.as_tensor(x, dtype=torch.float64)).argmax(dim=1).numpy() == y
        assert found.value == pytest.approx(right.mean(), abs=1e-9)
    else:
        own = training.task.metrics()["test"]["rmse"]
        assert found.value == pytest.approx(own, rel=0.15)  # other points of the same kind


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "no layer fc1"),
        ({"model.fc1.weight": np.zeros((2, 1))}, "but no matching bias"),
        (network(([[float("nan")]], [0.0])), "not finite"),
        (network(([[1.0, 1.0]], [0.0])), "takes 2 inputs but receives 1"),
    ],
)
def test_arrays_that_are_no_network_of_the_task_are_refused(arrays: dict[str, np.ndarray], said: str):
    with pytest.raises(NotJudged, match=said):
        judge("sinc", arrays)


def test_equality_passes_the_limit():
    assert passes(challenges()["sinc"], 0.08)
    assert not passes(challenges()["sinc"], 0.0801)
    assert passes(challenges()["spirals"], 0.99)
    assert not passes(challenges()["spirals"], 0.9899)
