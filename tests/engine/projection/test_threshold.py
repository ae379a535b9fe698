"""The search for the cut: where samples mislead, room runs out, ties go on for long."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparsecore.engine.projection import cpu, threshold
from sparsecore.engine.projection.cpu import HostWeights, kernels
from sparsecore.engine.projection.device import DeviceWeights
from sparsecore.engine.projection.project import Projector, project_
from sparsecore.engine.projection.threshold import (
    LAYOUTS,
    Cut,
    Digit,
    NotANumber,
    find_cut,
    first_digit,
    nth_from_top,
    to_bits,
    to_magnitude,
)

DTYPES = list(LAYOUTS)
KINDS = [HostWeights, DeviceWeights]


def cut_by_sorting(weights: Tensor, keep: int) -> Cut:
    """The reference: the `keep`-th of all by falling magnitude, then by index."""
    order = torch.argsort(weights.double().abs(), descending=True, stable=True)
    last = int(order[keep - 1])
    return Cut(to_bits(abs(weights[last].item()), weights.dtype), last + 1)


def same(found: Cut, expected: Cut, weights: Tensor) -> bool:
    """Whether two cuts keep the same: `until` may be anywhere before the next equal."""
    equal = weights.abs() == to_magnitude(expected.bits, weights.dtype)
    return found.bits == expected.bits and int(equal[: found.until].sum()) == int(
        equal[: expected.until].sum()
    )


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "AT_ONCE", 0)


def held(kind: type, weights: Tensor, reserved: Tensor | None = None) -> HostWeights | DeviceWeights:
    return kind([weights], None, None, None if reserved is None else [reserved])


# -- bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(value=st.floats(0, allow_nan=False, allow_subnormal=True))
def test_magnitudes_and_bits_are_those_of_torch(dtype: torch.dtype, value: float):
    one = torch.tensor(value, dtype=torch.float64).to(dtype)
    assert to_magnitude(int(one.view(LAYOUTS[dtype].integer)), dtype) == one.item()
    assert to_bits(one.item(), dtype) == int(one.view(LAYOUTS[dtype].integer))


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinity_is_the_largest_and_what_is_too_large_is_infinity(dtype: torch.dtype):
    infinity = torch.tensor(float("inf"), dtype=dtype).view(LAYOUTS[dtype].integer)
    assert LAYOUTS[dtype].infinity == int(infinity)
    assert to_bits(1e308, torch.float32) == LAYOUTS[torch.float32].infinity
    assert to_bits(70_000.0, torch.float16) == LAYOUTS[torch.float16].infinity


def test_digits_go_through_all_bits_of_a_magnitude_but_once():
    for dtype, count in ((torch.float32, 2), (torch.float64, 4), (torch.bfloat16, 1), (torch.float16, 1)):
        digits = [first_digit(dtype)]
        while digits[-1].next(0).over:
            digits.append(digits[-1].next(0))
        assert len(digits) == count
        assert [digit.shift for digit in digits[:-1]] == [digit.over for digit in digits[1:]]
        assert digits[-1].shift == 0


def test_the_next_digit_goes_on_with_what_was_found():
    assert Digit(16, 31, 0).next(5) == Digit(0, 16, 5)
    assert Digit(0, 16, 5).next(7).prefix == 5 * 2**16 + 7


def test_the_nth_from_the_top_of_a_histogram():
    bins = np.array([4, 0, 3, 2])
    assert [nth_from_top(bins, nth) for nth in (1, 2, 3, 5, 6, 9)] == [
        (3, 1), (3, 2), (2, 1), (2, 3), (0, 1), (0, 4),
    ]  # fmt: skip


# -- the search ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", [0.001, 0.3, 0.9])
def test_histograms_alone_find_the_cut(
    kind: type, dtype: torch.dtype, part: float, stepwise: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threshold, "_brackets", lambda weights, keep: iter(()))
    w = torch.randn(20_000, generator=torch.Generator().manual_seed(1)).to(dtype)
    keep = round(part * len(w))
    assert same(find_cut(held(kind, w), keep), cut_by_sorting(w, keep), w)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bracket_that_holds_too_much_to_collect_is_left_to_histograms(
    kind: type, dtype: torch.dtype, stepwise: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threshold, "_brackets", lambda weights, keep: iter([(0, LAYOUTS[dtype].infinity)]))
    w = torch.randn(100_000, generator=torch.Generator().manual_seed(2)).to(dtype)
    weights = held(kind, w)
    assert weights.survey(0, LAYOUTS[dtype].infinity).values is None
    assert same(find_cut(weights, 30_000), cut_by_sorting(w, 30_000), w)


@pytest.mark.parametrize("at_once", [0, 2**18])
@pytest.mark.parametrize("keep", [1, 5_000, 50_000, 99_000, 100_000])
def test_a_sample_that_misleads_does_no_harm(
    kind: type, at_once: int, keep: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threshold, "AT_ONCE", at_once)
    w = torch.rand(100_000, generator=torch.Generator().manual_seed(3)) + 1.0
    for drawn in (4096, round(len(w) ** (2 / 3))):
        marked = torch.zeros(len(w))
        marked[:] = torch.arange(len(w), dtype=torch.float32) + 1
        places = np.sort(HostWeights([marked], None, None, None).sample(drawn)).view(np.float32) - 1
        w[torch.from_numpy(places.astype(np.int64))] = 1e-3  # all that is drawn is small
    assert same(find_cut(held(kind, w), keep), cut_by_sorting(w, keep), w)


@pytest.mark.parametrize("at_once", [0, 2**18])
@pytest.mark.parametrize("keep", [9_900, 10_000, 10_001, 10_100, 60_000])
def test_the_budget_ends_about_where_a_value_that_most_have_begins(
    kind: type, at_once: int, keep: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threshold, "AT_ONCE", at_once)
    w = torch.full((100_000,), 0.5)
    w[torch.randperm(100_000, generator=torch.Generator().manual_seed(4))[:10_000]] = 1 + torch.rand(10_000)
    assert same(find_cut(held(kind, w), keep), cut_by_sorting(w, keep), w)


def test_a_sample_does_not_follow_the_rows_and_columns_of_the_weights():
    w = torch.ones(300, 200)
    w[:, :60] = 2.0  # three in ten columns
    for drawn in (500, 3_000, 4_096, 6_000):
        sample = held(HostWeights, w).sample(drawn).view(np.float32)
        assert abs(float((sample == 2.0).mean()) - 0.3) < 0.05


def test_what_is_reserved_is_neither_counted_nor_collected(kind: type):
    w = torch.tensor([1.0, 2.0, 3.0, 4.0])
    weights = held(kind, w, torch.tensor([False, True, False, True]))
    low, high = to_bits(1.0, torch.float32), to_bits(2.5, torch.float32)
    found = weights.survey(low, high)
    assert (found.above, sum(found.inside)) == (1, 1)
    assert found.places.tolist() == [0]
    assert found.top == to_bits(4.0, torch.float32)
    assert weights.competing == 2


@settings(max_examples=60)
@given(
    values=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=50),
    data=st.data(),
    bits=st.sampled_from([16, 32, 64]),
)
def test_the_nth_largest_is_that_of_a_sort(values: list[int], data: st.DataObject, bits: int):
    given_values = np.array([value >> (16 if bits == 16 else 0) for value in values], dtype=f"int{bits}")
    nth = data.draw(st.integers(1, len(values)))
    found = kernels(bits // 8).nth_largest(given_values, nth, 0, 2 ** (bits - 1) - 1)
    assert found == np.sort(given_values)[-nth]


def test_a_nan_in_any_part_is_found(kind: type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cpu, "PART", 1_000)
    parts = [torch.ones(3_000), torch.ones(10), torch.ones(3_000)]
    parts[2][2_500] = -float("nan")
    with pytest.raises(NotANumber) as refused:
        find_cut(kind(parts, None, None, None), 100)
    assert refused.value.position == 2


def test_after_preparing_no_projection_compiles(monkeypatch: pytest.MonkeyPatch):
    fresh = cpu.kernels.__wrapped__(4)  # other tests have compiled the shared ones
    monkeypatch.setattr(cpu, "kernels", lambda size: fresh)

    def compiled() -> dict[str, int]:
        return {name: len(each.signatures) for name, each in fresh._asdict().items()}

    assert set(compiled().values()) == {0}
    cpu.prepare()
    ready = compiled()
    assert set(ready.values()) == {1}
    equal = torch.full((9_000,), 0.5)
    for at_once in (threshold.AT_ONCE, 0):
        monkeypatch.setattr(threshold, "AT_ONCE", at_once)
        for w in (torch.randn(9_000), equal):
            mask, counts = torch.ones(9_000, dtype=torch.bool), torch.zeros(9_000, dtype=torch.int32)
            assert Projector(([w.clone()], [mask], [counts]))([4_000])[0].kept == (4_000,)
            assert project_([w.clone()], 4_000, reserved=[torch.arange(9_000) < 9]).kept == (4_000,)
    assert compiled() == ready
