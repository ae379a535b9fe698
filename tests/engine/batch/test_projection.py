"""The projection of many models at once: of each what `project_` does, whatever the values."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparsecore.engine.batch.projection import NotANumberInModel, project_many_
from sparsecore.engine.projection.project import NotANumber, Projection, project_

AWKWARD = [0.0, -0.0, 1.0, -1.0, 2.0, math.inf, -math.inf, 1e-45, -1e-45, 1e-40, 3.4e38, -3.4e38]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]

values = st.one_of(st.sampled_from(AWKWARD), st.floats(width=32, allow_nan=False))


@st.composite
def models(draw: st.DrawFn) -> tuple[list[list[float]], list[int], dict[str, int]]:
    """Rows of weights, a budget each, and the tensors that lie side by side in a row."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    total = sum(sizes)
    rows = draw(st.lists(st.lists(values, min_size=total, max_size=total), min_size=1, max_size=4))
    edges = st.one_of(st.sampled_from([0, 1, total]), st.integers(0, total))
    keep = draw(st.lists(edges, min_size=len(rows), max_size=len(rows)))
    return rows, keep, {f"fc{place + 1}": size for place, size in enumerate(sizes)}


def one_by_one(
    weights: Tensor, keep: list[int], parts: dict[str, int], masks: Tensor, counts: Tensor
) -> list[Projection]:
    """The reference: `project_` of the tensors of each row."""
    done = []
    for row, budget in enumerate(keep):
        cut = [list(each[row].split(list(parts.values()))) for each in (weights, masks, counts)]
        done.append(project_(cut[0], budget, masks=cut[1], counts=cut[2]))
    return done


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal, and zeros of the same sign."""
    return torch.equal(one, other) and torch.equal(one.signbit(), other.signbit())


@pytest.mark.parametrize("dtype", DTYPES)
@given(given_models=models(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_each_model_is_cut_as_it_is_alone(
    dtype: torch.dtype, given_models: tuple[list[list[float]], list[int], dict[str, int]], seed: int
):
    rows, keep, parts = given_models
    weights = torch.tensor(rows, dtype=torch.float64).to(dtype)
    masks = torch.rand(weights.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    counts = torch.arange(weights.numel(), dtype=torch.int32).view(weights.shape)
    alone = [each.clone() for each in (weights, masks, counts)]
    expected = one_by_one(alone[0], keep, parts, *alone[1:])
    assert project_many_(weights, keep, parts, masks=masks, counts=counts) == expected
    assert same_bits(weights, alone[0])
    assert torch.equal(masks, alone[1])
    assert torch.equal(counts, alone[2])


def test_columns_of_a_larger_tensor_are_cut_in_place_and_the_others_stay():
    whole = torch.tensor([[9.0, 1.0, 2.0, 8.0], [7.0, -4.0, 3.0, 6.0]])
    done = project_many_(whole[:, 1:3], [1, 1], {"fc2": 2})
    assert whole.tolist() == [[9.0, 0.0, 2.0, 8.0], [7.0, -4.0, 0.0, 6.0]]
    assert [each.threshold for each in done] == [2.0, 4.0]


def test_ties_go_to_the_lower_index_in_every_model():
    weights = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 2.0, 1.0, 1.0]])
    project_many_(weights, [2, 3], {"fc1": 4})
    assert weights.tolist() == [[1.0, -1.0, 0.0, 0.0], [1.0, 2.0, 1.0, 0.0]]


@given(row=st.integers(0, 2), place=st.integers(0, 4), sign=st.sampled_from([1, -1]), keep=st.integers(0, 5))
@settings(max_examples=40)
def test_a_nan_is_refused_by_model_and_parameter_and_nothing_is_changed(
    row: int, place: int, sign: int, keep: int
):
    weights = torch.arange(15.0).view(3, 5)
    weights[row, place] = math.copysign(math.nan, sign)
    masks, counts = torch.ones(3, 5, dtype=torch.bool), torch.zeros(3, 5, dtype=torch.int32)
    before, parameter = weights.clone(), "fc2" if place >= 2 else "fc1"
    with pytest.raises(NotANumberInModel, match=f"{parameter} of model {row} contains a NaN") as caught:
        project_many_(weights, [keep] * 3, {"fc1": 2, "fc2": 3}, masks=masks, counts=counts)
    assert (caught.value.model, caught.value.parameter) == (row, parameter)
    assert isinstance(caught.value, NotANumber)
    assert torch.equal(weights.nan_to_num(99.0), before.nan_to_num(99.0))
    assert bool(masks.all())
    assert not bool(counts.any())


def test_no_models_and_no_weights_are_nothing_to_do():
    assert project_many_(torch.zeros(0, 3), [], {"fc1": 3}) == []
    assert project_many_(torch.zeros(2, 0), [0, 0], {"fc1": 0}) == [Projection((0,), math.inf, None)] * 2


@pytest.mark.parametrize(
    ("keep", "parts", "masks", "message"),
    [
        ([1], {"fc1": 3}, None, "keep must have one entry per model \(2\); got 1"),
        ([1, 4], {"fc1": 3}, None, "keep must be from 0 to 3; model 1 was given 4"),
        ([-1, 1], {"fc1": 3}, None, "keep must be from 0 to 3; model 0 was given -1"),
        ([1, 1], {"fc1": 2}, None, "parts must sum to the 3 weights of a row"),
        ([1, 1], {"fc1": 3}, torch.ones(2, 3), "masks must be torch.bool"),
        ([1, 1], {"fc1": 3}, torch.ones(3, 2, dtype=torch.bool), r"of shape \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    keep: list[int], parts: dict[str, int], masks: Tensor | None, message: str
):
    with pytest.raises(ValueError, match=message):
        project_many_(torch.ones(2, 3), keep, parts, masks=masks)


def test_weights_are_rows_of_floating_point_numbers():
    for wrong in (torch.ones(3), torch.ones(2, 3, dtype=torch.int32)):
        with pytest.raises(ValueError, match="weights must be"):
            project_many_(wrong, [1, 1], {"fc1": 3})
