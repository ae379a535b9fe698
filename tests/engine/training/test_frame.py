"""The pictures of weight matrices: bits, packed values, counts, and blocks of a large network."""

import numpy as np
import pytest
import torch
from torch import nn

from sparsecore.engine.methods.dense import Dense
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.tasks.networks import TextClassifier
from sparsecore.engine.training.frame import MAX_CELLS, layers_now, matrices


def one_matrix(weight: list[list[float]], density: float) -> Sparsifier:
    """A sparsifier that has projected one matrix once."""
    rows, cols = len(weight), len(weight[0])
    layer = nn.Linear(cols, rows, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
    sparsifier = HardThreshold(density).attach(layer, torch.optim.SGD(layer.parameters(), lr=1.0))
    sparsifier.project()
    return sparsifier


def unpack(arrays: dict[str, np.ndarray], entry: dict, index: int = 0) -> np.ndarray:
    """The matrix that a viewer draws: values at the mask's ones, NaN elsewhere."""
    size = entry["rows"] * entry["cols"]
    mask = np.unpackbits(arrays[f"mask.{index}"], count=size, bitorder="little").astype(bool)
    matrix = np.full(size, np.nan, dtype=np.float32)
    matrix[mask] = arrays[f"value.{index}"]
    return matrix.reshape(entry["rows"], entry["cols"])


def test_the_mask_is_a_bit_a_weight_lowest_first_and_the_values_are_the_kept_ones_in_order():
    arrays, entries = matrices(one_matrix([[0.1, -5.0, 0.2], [4.0, 0.3, 6.0]], 0.5))
    assert arrays["mask.0"].tolist() == [0b101010]
    assert arrays["value.0"].tolist() == [-5.0, 4.0, 6.0]
    assert arrays["count.0"].tolist() == [[0, 1, 0], [1, 0, 1]]
    assert entries == [{"layer": 0, "rows": 2, "cols": 3, "pool": [1, 1]}]


def test_a_ninth_weight_begins_a_second_byte():
    arrays, _ = matrices(one_matrix([[9.0, 1, 1, 1, 1, 1, 1, 1, 8.0]], 2 / 9))
    assert arrays["mask.0"].tolist() == [1, 1]


def test_a_kept_zero_has_a_value():
    arrays, entries = matrices(one_matrix([[0.0, 0.0], [7.0, 0.0]], 0.75))
    drawn = unpack(arrays, entries[0])
    assert np.array_equal(drawn, [[0.0, 0.0], [7.0, np.nan]], equal_nan=True)


def test_counts_fit_two_bytes_until_they_do_not():
    sparsifier = one_matrix([[1.0, 2.0]], 0.5)
    sparsifier.counts[0] += 65_534
    arrays, _ = matrices(sparsifier)
    assert (arrays["count.0"].dtype, arrays["count.0"].tolist()) == (np.uint16, [[65_534, 65_535]])
    sparsifier.counts[0] += 1
    arrays, _ = matrices(sparsifier)
    assert (arrays["count.0"].dtype, arrays["count.0"].tolist()) == (np.uint32, [[65_535, 65_536]])


def test_a_whole_network_can_be_drawn_from_its_frame():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 10), nn.Sigmoid(), nn.Linear(10, 7), nn.Sigmoid(), nn.Linear(7, 2))
    sparsifier = HardThreshold(0.3, scope="layer").attach(model, torch.optim.SGD(model.parameters()))
    sparsifier.project()
    arrays, entries = matrices(sparsifier)
    for index, place in enumerate((0, 2, 4)):
        weight = model[place].weight.detach().numpy()
        drawn = unpack(arrays, entries[index], index)
        assert np.array_equal(np.nan_to_num(drawn), weight)
        assert np.array_equal(~np.isnan(drawn), sparsifier.masks[index].numpy())


def test_what_a_neuron_adds_goes_with_its_row_of_the_matrix():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
    arrays, _ = matrices(Dense().attach(model, torch.optim.SGD(model.parameters())))
    assert arrays["bias.0"].tolist() == [0.5, -1.0, 2.0]
    assert "bias.1" not in arrays


def test_layers_tell_name_shape_and_density():
    rows = layers_now(one_matrix([[0.1, -5.0, 0.2], [4.0, 0.3, 6.0]], 0.5))
    assert rows == [
        {
            "name": "",
            "shape": [2, 3],
            "prunable": True,
            "nonzeros": 3,
            "density": 0.5,
            "kept": 3,
            "group": "global",
            "block": "",
        }
    ]


def test_embeddings_are_not_drawn():
    model = TextClassifier(vocabulary=9, length=4, width=8, hidden=16, blocks=1, classes=3)
    sparsifier = Dense().attach(model, torch.optim.SGD(model.parameters()))
    arrays, entries = matrices(sparsifier)
    assert [sparsifier.layers[entry["layer"]].name for entry in entries] == [
        "blocks.0.query",
        "blocks.0.key",
        "blocks.0.value",
        "blocks.0.expand",
        "blocks.0.contract",
        "head",
    ]
    assert arrays["mask.5"].size == 3 * 32 // 8


@pytest.mark.parametrize(("rows", "cols"), [(600, 500), (1, 140_001), (513, 300)])
def test_a_large_matrix_is_drawn_from_blocks(rows: int, cols: int):
    torch.manual_seed(0)
    layer = nn.Linear(cols, rows, bias=False)
    sparsifier = HardThreshold(0.3).attach(layer, torch.optim.SGD(layer.parameters()))
    sparsifier.project()
    sparsifier.counts[0].random_(0, 1_000)
    arrays, (entry,) = matrices(sparsifier)
    down, across = entry["pool"]
    assert (entry["rows"], entry["cols"]) == (rows, cols)
    shape = (-(-rows // down), -(-cols // across))
    assert shape[0] * shape[1] <= MAX_CELLS
    weight, mask = layer.weight.detach().numpy(), sparsifier.masks[0].numpy()
    for row, col in [(0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 3)]:
        block = np.s_[row * down : (row + 1) * down, col * across : (col + 1) * across]
        counted = sparsifier.counts[0].numpy()[block].mean()
        assert arrays["count.0"][row, col] == pytest.approx(counted, abs=0.501)
        assert arrays["mask.0"][row, col] == pytest.approx(255 * mask[block].mean(), abs=0.501)
        values = weight[block].ravel()
        assert arrays["value.0"][row, col] == values[np.abs(values).argmax()]
    assert [arrays[name].dtype for name in ("count.0", "mask.0", "value.0")] == ["uint16", "uint8", "float32"]
    assert arrays["value.0"].shape == shape


def test_the_frame_of_the_thesis_encoder_stays_under_a_megabyte():
    model = TextClassifier(vocabulary=8, length=256, width=256, hidden=512, blocks=4, classes=4)
    sparsifier = Dense().attach(model, torch.optim.SGD(model.parameters()))
    arrays, entries = matrices(sparsifier)
    assert len(entries) == 21
    assert sum(array.nbytes for array in arrays.values()) < 1_000_000
    assert sum(array.size for name, array in arrays.items() if name.startswith("count")) <= MAX_CELLS
