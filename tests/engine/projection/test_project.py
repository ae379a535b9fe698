"""The projection onto ‖w‖₀ ≤ s, by hand and against a sort that is slow and obvious."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparsecore.engine.projection import cpu, device
from sparsecore.engine.projection import project as projection
from sparsecore.engine.projection import threshold as selection
from sparsecore.engine.projection.device import DeviceWeights
from sparsecore.engine.projection.project import NotANumber, Projection, Projector, project_

AWKWARD = [0.0, -0.0, 1.0, -1.0, 2.0, math.inf, -math.inf, 1e-45, -1e-45, 1e-40, 3.4e38, -3.4e38]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]

weights = st.lists(
    st.one_of(st.sampled_from(AWKWARD), st.floats(width=32, allow_nan=False)), min_size=1, max_size=60
)


def kept_by_sorting(tensors: list[Tensor], keep: int) -> list[bool]:
    """The reference: all positions by falling magnitude, then by index; the first `keep` of them."""
    magnitudes = [abs(x) for tensor in tensors for x in tensor.flatten().tolist()]
    order = sorted(range(len(magnitudes)), key=lambda i: (-magnitudes[i], i))
    chosen = set(order[:keep])
    return [i in chosen for i in range(len(magnitudes))]


@dataclass(frozen=True)
class Masked:
    """A projection together with the masks that it wrote."""

    masks: list[Tensor]
    kept: tuple[int, ...]
    threshold: float
    changed: int


def projected(tensors: list[Tensor], keep: int, **more: object) -> Masked:
    masks = [torch.ones(tensor.shape, dtype=torch.bool) for tensor in tensors]
    done = project_(tensors, keep, masks=masks, **more)
    return Masked(masks, done.kept, done.threshold, done.changed)


@pytest.fixture(params=["few", "compiled", "stepwise", "threads", "device"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the test once for every path: numpy, one compiled call, step by step, threads, a device."""
    threads = torch.get_num_threads()
    if request.param != "few":
        monkeypatch.setattr(projection, "FEW", 0)
    if request.param in ("stepwise", "threads"):
        monkeypatch.setattr(selection, "AT_ONCE", 0)
    if request.param == "threads":
        monkeypatch.setattr(cpu, "PART", 7)
        torch.set_num_threads(2)
    if request.param == "device":
        monkeypatch.setattr(device, "PIECE", 61)
        monkeypatch.setattr(projection, "_weights", lambda *held, alone: DeviceWeights(*held))
    yield
    torch.set_num_threads(threads)


on_every_path = pytest.mark.usefixtures("_way")


@on_every_path
def test_the_largest_magnitudes_stay_with_their_signs():
    w = torch.tensor([3.0, -1.0, 2.0, -2.5])
    done = projected([w], keep=2)
    assert w.tolist() == [3.0, 0.0, 0.0, -2.5]
    assert done.masks[0].tolist() == [True, False, False, True]
    assert done.kept == (2,)
    assert done.threshold == 2.5


@on_every_path
def test_exactly_s_weights_survive_a_tie_and_the_lower_index_wins():
    w = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert projected([w], keep=2).kept == (2,)
    assert w.tolist() == [1.0, -1.0, 0.0, 0.0]


def test_a_tie_is_broken_after_the_larger_ones_are_in():
    w = torch.tensor([1.0, 5.0, 1.0, 1.0])
    project_([w], keep=3)
    assert w.tolist() == [1.0, 5.0, 1.0, 0.0]


@on_every_path
def test_tensors_share_one_budget_and_ties_go_to_the_first():
    first, second = torch.tensor([[1.0, 4.0]]), torch.tensor([4.0, 1.0, -9.0])
    done = projected([first, second], keep=4)
    assert (first.tolist(), second.tolist()) == ([[1.0, 4.0]], [4.0, 0.0, -9.0])
    assert done.kept == (2, 2)
    assert [tuple(mask.shape) for mask in done.masks] == [(1, 2), (3,)]


@on_every_path
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_zero_still_keeps_exactly_s_positions(dtype: torch.dtype):
    w = torch.tensor([0.0, -0.0, 0.0, 0.0], dtype=dtype)
    done = projected([w], keep=3)
    assert done.masks[0].tolist() == [True, True, True, False]
    assert done.threshold == 0.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_fewer_non_zeros_than_the_budget_fill_it_up_with_the_first_zeros(dtype: torch.dtype):
    w = torch.tensor([0.0, 7.0, 0.0, 0.0], dtype=dtype)
    done = projected([w], keep=3)
    assert done.masks[0].tolist() == [True, True, True, False]
    assert done.threshold == 0.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_budget_of_0_empties_and_has_an_infinite_threshold(dtype: torch.dtype):
    w = torch.tensor([1.0, math.inf], dtype=dtype)
    done = projected([w], keep=0)
    assert w.tolist() == [0.0, 0.0]
    assert done.kept == (0,)
    assert done.threshold == math.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_budget_of_k_changes_nothing_and_has_the_smallest_magnitude_as_threshold(dtype: torch.dtype):
    w = torch.tensor([1.0, -0.5, math.inf], dtype=dtype)
    assert project_([w], keep=3).threshold == 0.5
    assert w.tolist() == [1.0, -0.5, math.inf]


def test_subnormal_weights_have_an_order():
    least = 2.0**-149  # the smallest positive float32
    w = torch.tensor([least, -3 * least, 0.0, 2 * least])
    assert project_([w], keep=2).threshold == 2 * least
    assert w.tolist() == [0.0, -3 * least, 0.0, 2 * least]


def test_infinities_are_the_largest():
    w = torch.tensor([3.4e38, -math.inf, 1.0, math.inf])
    assert project_([w], keep=2).threshold == math.inf
    assert w.tolist() == [0.0, -math.inf, 0.0, math.inf]


def test_one_element_is_kept_or_not():
    kept, dropped = torch.tensor([[2.0]]), torch.tensor([[2.0]])
    project_([kept], keep=1)
    project_([dropped], keep=0)
    assert (kept.item(), dropped.item()) == (2.0, 0.0)


def test_a_transposed_tensor_is_projected_in_place_in_its_own_order():
    base = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    done = projected([base.T], keep=3)  # row by row of the transpose: 1, 1, 2, 2
    assert base.tolist() == [[1.0, 2.0], [0.0, 2.0]]
    assert done.masks[0].tolist() == [[True, False], [True, True]]


def test_every_second_column_is_projected_and_its_neighbours_stay():
    base = torch.tensor([[1.0, 9.0, 3.0, 9.0]])
    project_([base[:, ::2]], keep=1)
    assert base.tolist() == [[0.0, 9.0, 3.0, 9.0]]


def test_a_parameter_that_needs_a_gradient_is_projected_without_recording_it():
    w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    project_([w], keep=1)
    assert w.tolist() == [0.0, 2.0]
    assert w.requires_grad
    assert w.grad_fn is None


@on_every_path
@pytest.mark.parametrize(
    ("dtype", "keep"), [*((dtype, 2) for dtype in DTYPES), (torch.float32, 0), (torch.float32, 5)]
)
def test_a_nan_is_refused_before_anything_is_changed(dtype: torch.dtype, keep: int):
    first = torch.tensor([1.0, 2.0], dtype=dtype)
    second = torch.tensor([3.0, math.nan, math.inf], dtype=dtype)
    with pytest.raises(NotANumber, match="tensor 1 contains a NaN") as refused:
        project_([first, second], keep=keep)
    assert refused.value.position == 1
    assert first.tolist() == [1.0, 2.0]
    assert second[0] == 3.0
    assert second[1].isnan()


@pytest.mark.parametrize("keep", [-1, 4])
def test_a_budget_outside_0_to_k_is_refused(keep: int):
    w = torch.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=f"keep must be from 0 to 3, the number of weights; got {keep}"):
        project_([w], keep=keep)
    assert w.tolist() == [1.0, 2.0, 3.0]


@on_every_path
@given(values=weights, data=st.data(), dtype=st.sampled_from(DTYPES))
def test_it_keeps_what_a_sort_keeps(values: list[float], data: st.DataObject, dtype: torch.dtype):
    cut = data.draw(st.integers(0, len(values)))
    keep = data.draw(st.integers(0, len(values)))
    before = torch.tensor(values, dtype=torch.float64).to(dtype)
    tensors = [before[:cut].clone(), before[cut:].clone()]
    expected = kept_by_sorting(tensors, keep)
    done = projected(tensors, keep)
    assert torch.cat(done.masks).tolist() == expected
    assert done.kept == (sum(expected[:cut]), sum(expected[cut:]))
    assert torch.cat(tensors).tolist() == [
        x if k else 0.0 for x, k in zip(before.tolist(), expected, strict=True)
    ]
    if keep:
        smallest = min(abs(x) for x, k in zip(before.tolist(), expected, strict=True) if k)
        assert done.threshold == smallest


@given(values=weights, data=st.data())
def test_projecting_twice_is_projecting_once(values: list[float], data: st.DataObject):
    keep = data.draw(st.integers(0, len(values)))
    w = torch.tensor(values)
    project_([w], keep)
    once = w.clone()
    project_([w], keep)
    assert torch.equal(w, once)


@on_every_path
@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), levels=st.integers(1, 5), keep=st.integers(0, 600))
def test_it_keeps_what_a_sort_keeps_among_many_equal_weights(seed: int, levels: int, keep: int):
    source = torch.Generator().manual_seed(seed)
    w = torch.randint(-levels, levels + 1, (20, 30), generator=source).float()
    expected = kept_by_sorting([w], keep)
    assert projected([w], keep).masks[0].flatten().tolist() == expected


@on_every_path
@settings(max_examples=60)
@given(values=weights, data=st.data(), dtype=st.sampled_from(DTYPES))
def test_guess_masks_counts_and_reserved(values: list[float], data: st.DataObject, dtype: torch.dtype):
    before = torch.tensor(values, dtype=torch.float64).to(dtype)
    reserved = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    keep = data.draw(st.integers(int(reserved.sum()), len(values)))
    last = data.draw(st.one_of(st.none(), st.floats(0, 1e30), st.sampled_from([math.inf, 1e-45])))
    magnitudes = [math.inf if r else abs(x) for x, r in zip(before.tolist(), reserved.tolist(), strict=True)]
    order = sorted(range(len(values)), key=lambda i: (not reserved[i], -magnitudes[i], i))
    expected = [i in set(order[:keep]) for i in range(len(values))]
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    then, counts, w = mask.clone(), torch.ones(len(values), dtype=torch.int32), before.clone()
    done = project_([w], keep, last=last, masks=[mask], counts=[counts], reserved=[reserved])
    assert mask.tolist() == expected
    assert done.changed == int((mask != then).sum())
    assert counts.tolist() == [1 + kept for kept in expected]
    assert w.tolist() == [x if kept else 0.0 for x, kept in zip(before.tolist(), expected, strict=True)]


def test_reserving_more_than_the_budget_is_refused():
    w = torch.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="reserved marks 2 positions, more than keep = 1"):
        project_([w], 1, reserved=[torch.tensor([True, True, False])])


@on_every_path
@pytest.mark.parametrize(("dtype", "count"), [*((dtype, 5_000) for dtype in DTYPES), (torch.float32, 70_000)])
def test_many_weights_keep_what_a_sort_keeps(dtype: torch.dtype, count: int):
    source = torch.Generator().manual_seed(count)
    w = torch.randn(count, generator=source).to(dtype)
    w[torch.randperm(count, generator=source)[: count // 3]] = 0.0
    last = None
    for keep in (count // 50, count // 2, count // 2 + 7, count - 3):
        expected = kept_by_sorting([w], keep)
        one = w.clone()
        done = projected([one], keep, last=last)
        last = done.threshold
        assert done.masks[0].tolist() == expected


def test_without_tensors_nothing_is_kept():
    assert project_([], 0) == Projection((), math.inf, None)
    assert project_([], 0, masks=[]) == Projection((), math.inf, 0)


def test_empty_tensors_among_others_are_left_out():
    none, w = torch.empty(0, 3), torch.tensor([2.0, 1.0])
    done = projected([none, w, none.clone()], keep=1)
    assert done.kept == (0, 1, 0)
    assert w.tolist() == [2.0, 0.0]


@on_every_path
def test_minus_zero_stays_minus_zero_where_it_is_kept_and_becomes_zero_where_it_is_not():
    w = torch.tensor([-0.0, -0.0])
    project_([w], keep=1)
    assert torch.signbit(w).tolist() == [True, False]


@on_every_path
def test_changed_counts_the_positions_that_the_masks_did_not_hold_before():
    w, mask = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True])
    assert project_([w], keep=2, masks=[mask]).changed == 2
    assert mask.tolist() == [False, True, True]
    assert project_([w], keep=2, masks=[mask]).changed == 0
    assert project_([w], keep=2).changed is None


def test_counts_go_up_by_one_where_a_weight_is_kept():
    w, counts = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([5, 5, 5], dtype=torch.int32)
    project_([w], keep=2, counts=[counts])
    project_([w], keep=1, counts=[counts])
    assert counts.tolist() == [5, 6, 7]


@on_every_path
def test_masks_counts_and_reserved_may_lie_across_the_memory():
    w = torch.tensor([[1.0, 4.0], [3.0, 2.0]])
    masks, counts = torch.zeros(2, 2, dtype=torch.bool).T, torch.zeros(2, 4, dtype=torch.int32)[:, ::2]
    project_([w], keep=2, masks=[masks], counts=[counts], reserved=[torch.tensor([[0, 1], [0, 1]]).bool().T])
    assert masks.tolist() == [[False, False], [True, True]]
    assert counts.tolist() == [[0, 0], [1, 1]]
    assert w.tolist() == [[0.0, 0.0], [3.0, 2.0]]


def test_with_reserved_the_threshold_is_what_the_others_had_to_reach():
    w, reserved = torch.tensor([1.0, 5.0, 3.0, 4.0]), [torch.tensor([True, False, False, False])]
    assert project_([w.clone()], keep=3, reserved=reserved).threshold == 4.0
    assert project_([w.clone()], keep=1, reserved=reserved).threshold == math.inf


@on_every_path
def test_a_nan_at_a_reserved_position_is_refused_too():
    w = torch.tensor([1.0, math.nan])
    for keep in (1, 2):
        with pytest.raises(NotANumber, match="tensor 0 contains a NaN"):
            project_([w], keep=keep, reserved=[torch.tensor([False, True])])


@on_every_path
def test_a_nan_leaves_masks_and_counts_as_they_were():
    w = torch.tensor([1.0, math.nan, 3.0])
    mask, counts = torch.tensor([True, False, True]), torch.tensor([1, 2, 3], dtype=torch.int32)
    with pytest.raises(NotANumber):
        project_([w], keep=1, masks=[mask], counts=[counts])
    assert (w[0], w[2]) == (1.0, 3.0)
    assert mask.tolist() == [True, False, True]
    assert counts.tolist() == [1, 2, 3]


@on_every_path
@pytest.mark.parametrize("contiguous", [True, False])
def test_a_projector_does_at_every_step_what_a_projection_does(contiguous: bool):
    source = torch.Generator().manual_seed(8)
    w = torch.randn(90, 70, generator=source) if contiguous else torch.randn(70, 90, generator=source).T
    mask, counts = torch.ones(90, 70, dtype=torch.bool), torch.zeros(90, 70, dtype=torch.int32)
    held, then, counted = w.clone(), mask.clone(), counts.clone()
    project = Projector(([w], [mask], [counts]))
    for keep in (3_000, 60, 0, 6_300):
        step = torch.randn(90, 70, generator=source)
        w += step
        held += step
        expected = project_([held], keep, masks=[then], counts=[counted])
        assert project([keep]) == [expected]
        assert torch.equal(w, held)
        assert torch.equal(mask, then)
        if keep != 60:  # otherwise two steps are pending
            project.settle()
            assert torch.equal(counts, counted)


@on_every_path
def test_a_projector_projects_every_group_to_its_own_budget_or_none_where_one_has_a_nan():
    source = torch.Generator().manual_seed(9)
    weights = [torch.randn(size, generator=source) for size in (5_000, 300, 7_000, 40)]
    masks = [torch.ones_like(each, dtype=torch.bool) for each in weights]
    counts = [torch.zeros_like(each, dtype=torch.int32) for each in weights]
    parts = ((0, 1), (2,), (3,))
    groups = [tuple([given[p] for p in part] for given in (weights, masks, counts)) for part in parts]
    project, budgets = Projector(*groups), [400, 7_000, 0]
    for _ in range(2):
        alone = [[weights[p].clone() for p in part] for part in parts]
        expected = [projected(tensors, keep) for tensors, keep in zip(alone, budgets, strict=True)]
        done = project(budgets)
        assert [(each.kept, each.threshold) for each in done] == [(e.kept, e.threshold) for e in expected]
        assert all(map(torch.equal, weights, [each for tensors in alone for each in tensors]))
        assert all(map(torch.equal, masks, [mask for each in expected for mask in each.masks]))
        for each in weights:
            each += torch.randn(each.shape, generator=source)
    project.settle()
    assert int(sum(each.sum() for each in counts)) == 2 * sum(budgets)
    weights[2][17] = math.nan
    before = [each.clone() for each in (*weights, *masks, *counts)]
    with pytest.raises(NotANumber) as refused:
        project(budgets)
    project.settle()
    assert refused.value.position == 2
    now = (*weights, *masks, *counts)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(now, before, strict=True))


def test_a_projector_follows_tensors_that_move_and_refuses_what_does_not_fit():
    w = torch.nn.Parameter(torch.arange(9_000.0))
    project = Projector(([w], [torch.ones(9_000, dtype=torch.bool)], [torch.zeros(9_000, dtype=torch.int32)]))
    project([8_000])
    w.data = torch.arange(9_000.0).flip(0)
    assert project([2])[0].kept == (2,)
    assert w.nonzero().flatten().tolist() == [0, 1]
    w.data[3] = math.nan
    with pytest.raises(NotANumber):
        project([2])
    with pytest.raises(ValueError, match="keep must be from 0 to 9,000"):
        project([9_001])
    with pytest.raises(ValueError, match="masks"):
        Projector(([w], [torch.ones(2, dtype=torch.bool)], [torch.zeros(9_000, dtype=torch.int32)]))([1])


@pytest.mark.parametrize("bits", [0x7F80_0001, 0x7FC0_0000, 0x7FFF_FFFF])
def test_every_pattern_of_nan_is_one_with_either_sign(bits: int):
    for pattern in (bits, bits - 2**31):
        w = torch.tensor([0x3F80_0000, pattern, 0x7F80_0000], dtype=torch.int32).view(torch.float32)
        with pytest.raises(NotANumber):
            project_([w], keep=1)


def test_tensors_of_two_dtypes_are_refused():
    with pytest.raises(ValueError, match=r"weights must be all float32.*got torch.float32, torch.float64"):
        project_([torch.ones(2), torch.ones(2, dtype=torch.float64)], keep=1)


def test_whole_numbers_are_refused():
    with pytest.raises(ValueError, match=r"weights must be all float32.*got torch.int64"):
        project_([torch.ones(2, dtype=torch.int64)], keep=1)


@pytest.mark.parametrize("name", ["masks", "counts", "reserved"])
def test_what_does_not_fit_the_weights_is_refused(name: str):
    w, dtype = torch.tensor([1.0, 2.0]), torch.int32 if name == "counts" else torch.bool
    wrong = [[torch.ones(2)], [torch.zeros(2, 1, dtype=dtype)], [], [torch.zeros(2, dtype=dtype)] * 2]
    for each in wrong:
        with pytest.raises(ValueError, match=f"^{name}"):
            project_([w], keep=1, **{name: each})
    assert w.tolist() == [1.0, 2.0]


def test_autograd_notices_that_a_saved_tensor_was_changed():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    project_([w], keep=1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@on_every_path
@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(0, 9_000), min_size=1, max_size=4),
    dtype=st.sampled_from(DTYPES),
    part=st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.99, 1.0]),
    kind=st.sampled_from(["distinct", "common", "few values", "mostly zero", "dead rows"]),
    guess=st.sampled_from([None, "right", "near", "zero", "absurd", "negative", "infinite", "nan"]),
    reserves=st.booleans(),
)
def test_large_tensors_keep_what_a_sort_keeps(seed, sizes, dtype, part, kind, guess, reserves):
    source = torch.Generator().manual_seed(seed)
    before = [_of_kind(kind, size, source).to(dtype) for size in sizes]
    reserved = [torch.rand(size, generator=source) < (0.005 if reserves else 0.0) for size in sizes]
    asked = sum(int(each.sum()) for each in reserved)
    keep = max(asked, round(part * sum(sizes)))
    expected, threshold = _kept_and_threshold(before, reserved, keep)
    guesses = {"right": threshold, "near": 1.01 * threshold, "zero": 0.0, "absurd": 1e300, "negative": -1.0}
    last = ({None: None, "infinite": math.inf, "nan": math.nan} | guesses)[guess]
    tensors, counts = [w.clone() for w in before], [torch.ones(size, dtype=torch.int32) for size in sizes]
    masks = [torch.rand(size, generator=source) < 0.5 for size in sizes]
    then = torch.cat(masks)
    done = project_(
        tensors, keep, last=last, masks=masks, counts=counts, reserved=reserved if reserves else None
    )
    assert torch.equal(torch.cat(masks), expected)
    assert torch.equal(torch.cat(counts), 1 + expected.int())
    assert torch.equal(torch.cat(tensors), torch.cat(before) * expected)
    assert done == Projection(
        tuple(int(each.sum()) for each in expected.split(sizes)), threshold, int((then ^ expected).sum())
    )


def _of_kind(kind: str, size: int, source: torch.Generator) -> Tensor:
    values = torch.randn(size, generator=source)
    chance = torch.rand(size, generator=source)
    if kind == "common":
        values[chance < 0.9] = 0.5
    if kind == "few values":
        values = (2 * values).round()
    if kind == "mostly zero":
        values[chance < 0.97] = 0.0
    if kind == "dead rows":
        values[(torch.arange(size) // 64) % 3 == 0] *= 1e-3
    return values


def _kept_and_threshold(tensors: list[Tensor], reserved: list[Tensor], keep: int) -> tuple[Tensor, float]:
    """The reference for many weights: a stable sort of all magnitudes, reserved ones before the others."""
    magnitudes, first = torch.cat(tensors).double().abs(), torch.cat(reserved)
    order = torch.argsort(magnitudes, descending=True, stable=True)
    order = order[torch.argsort((~first[order]).int(), stable=True)]
    expected = torch.zeros(len(order), dtype=torch.bool)
    expected[order[:keep]] = True
    competed = magnitudes[expected & ~first]
    return expected, float(competed.min()) if len(competed) else math.inf
