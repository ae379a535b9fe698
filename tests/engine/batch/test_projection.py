"""The projection of many models at once: of each what `project_` does, whatever the values."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparsecore.engine.batch.projection import Cuts, cut_rows_, kept_of_parts, with_nan
from sparsecore.engine.projection.project import Projection, project_

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


def cut_all(weights: Tensor, keep: list[int], masks: Tensor, counts: Tensor) -> Cuts:
    """Cut every row without a NaN."""
    sound = ~with_nan(weights)
    return cut_rows_(weights, torch.tensor(keep), masks, counts, sound)


def fresh(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Full masks, and counts of 0."""
    return torch.ones_like(weights, dtype=torch.bool), torch.zeros_like(weights, dtype=torch.int32)


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
    cuts = cut_all(weights, keep, masks, counts)
    kept = kept_of_parts(cuts.stay, list(parts.values())).tolist()
    figures = zip(map(tuple, kept), cuts.threshold.tolist(), cuts.changed.tolist(), strict=True)
    assert [Projection(*figure) for figure in figures] == expected
    assert same_bits(weights, alone[0])
    assert torch.equal(masks, alone[1])
    assert torch.equal(counts, alone[2])


def test_columns_of_a_larger_tensor_are_cut_in_place_and_the_others_stay():
    whole = torch.tensor([[9.0, 1.0, 2.0, 8.0], [7.0, -4.0, 3.0, 6.0]])
    cuts = cut_all(whole[:, 1:3], [1, 1], *fresh(whole[:, 1:3]))
    assert whole.tolist() == [[9.0, 0.0, 2.0, 8.0], [7.0, -4.0, 0.0, 6.0]]
    assert cuts.threshold.tolist() == [2.0, 4.0]


def test_ties_go_to_the_lower_index_in_every_model():
    weights = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 2.0, 1.0, 1.0]])
    cut_all(weights, [2, 3], *fresh(weights))
    assert weights.tolist() == [[1.0, -1.0, 0.0, 0.0], [1.0, 2.0, 1.0, 0.0]]


@given(row=st.integers(0, 2), place=st.integers(0, 4), sign=st.sampled_from([1, -1]), keep=st.integers(0, 5))
@settings(max_examples=40)
def test_a_model_with_a_nan_is_left_as_it_is_and_the_others_are_cut(
    row: int, place: int, sign: int, keep: int
):
    weights = torch.arange(15.0).view(3, 5) + 1
    weights[row, place] = math.copysign(math.nan, sign)
    masks, counts = fresh(weights)
    before = weights.clone()
    cuts = cut_all(weights, [keep] * 3, masks, counts)
    assert torch.equal(weights[row].nan_to_num(99.0), before[row].nan_to_num(99.0))
    assert bool(masks[row].all())
    assert not bool(counts[row].any())
    others = [other for other in range(3) if other != row]
    assert counts[others].sum(dim=1).tolist() == weights[others].count_nonzero(dim=1).tolist() == [keep] * 2
    assert cuts.changed.tolist() == [0 if each == row else 5 - keep for each in range(3)]
