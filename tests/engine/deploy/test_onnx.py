"""ONNX files give in onnxruntime what the networks give in PyTorch, and keep every zero."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from sparsecore.engine.deploy.onnx_file import OUTPUT, exported, outputs
from sparsecore.engine.tasks.base import Task
from sparsecore.engine.tasks.networks import Perceptron, TextClassifier
from sparsecore.engine.tasks.vulnerabilities import Vulnerabilities

TEXTS = {
    "flat": {"pool": "flat"},
    "mean": {"pool": "mean", "scaled": True},
    "both": {"pool": "both", "scaled": True, "pairs": 97},
}


def weights_of(network: torch.nn.Module, density: float = 0.3) -> dict[str, np.ndarray]:
    """The network's parameters, after most of its weights were set to zero."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim == 2 and not name.startswith(("embedding", "pairs")):
                weight.mul_(torch.rand_like(weight) < density)
    return {name: value.numpy() for name, value in network.state_dict().items()}


def export(network: torch.nn.Module) -> tuple[bytes, np.ndarray]:
    """The file of a network, and inputs to compare it on."""
    task = Vulnerabilities if isinstance(network, TextClassifier) else Task
    given = task.trial_inputs(network, 64)
    return exported(network, torch.from_numpy(given[:2])), given


def text_network(**more) -> TextClassifier:
    torch.manual_seed(3)
    return TextClassifier(50, 12, 16, 24, 2, 4, **more).eval()


@pytest.mark.parametrize("widths", [(1, 16, 16, 1), (2, 200, 300, 2), (3, 4)])
def test_a_perceptron_gives_the_same(widths: tuple[int, ...]):
    torch.manual_seed(2)
    network = Perceptron(widths)
    weights_of(network)
    model, given = export(network)
    found = outputs(model, given)
    assert found.shape == (len(given), widths[-1])
    torch.testing.assert_close(torch.from_numpy(found), network(torch.from_numpy(given)).detach())


@pytest.mark.parametrize("shape", TEXTS)
def test_a_text_classifier_gives_the_same_for_texts_of_every_length(shape: str):
    network = text_network(**TEXTS[shape])
    weights_of(network)
    model, given = export(network)
    assert set((given != 0).sum(axis=1)) == set(range(13))
    wanted = network(torch.from_numpy(given)).detach()
    found = torch.from_numpy(outputs(model, given))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    alone = torch.from_numpy(outputs(model, given[5:6]))
    torch.testing.assert_close(alone, wanted[5:6], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [Perceptron((2, 30, 2)), text_network(pool="both", pairs=97)])
def test_every_weight_of_the_file_is_the_weight_of_the_network(network: torch.nn.Module):
    weights = weights_of(network)
    graph = onnx.load_from_string(export(network)[0]).graph
    kept = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    assert set(weights) <= set(kept)
    for name, array in weights.items():
        assert (kept[name] == array).all()
    assert sum(int((array == 0).sum()) for array in weights.values()) > 20


def test_the_inputs_and_outputs_have_names_and_shapes():
    graph = onnx.load_from_string(export(text_network())[0]).graph
    (given,), (result,) = graph.input, graph.output
    assert (given.name, result.name) == ("tokens", OUTPUT)
    assert given.type.tensor_type.shape.dim[1].dim_value == 12
    assert result.type.tensor_type.shape.dim[1].dim_value == 4


def test_the_file_names_no_folder_of_this_machine():
    model, _ = export(Perceptron((2, 3, 2)))
    assert b".py" not in model
