"""Who keeps how many."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.budgets import check_density, uniform


def test_a_budget_is_the_rounded_share_of_each_group():
    assert uniform(0.4, {"fc2": 60_000}) == {"fc2": 24_000}
    assert uniform(0.05, {"global": 60_500}) == {"global": 3_025}
    assert uniform(0.1, {"a": 7, "b": 16}) == {"a": 1, "b": 2}


def test_a_density_of_1_keeps_everything():
    assert uniform(1.0, {"a": 3, "b": 1}) == {"a": 3, "b": 1}


def test_a_tiny_group_may_keep_nothing():
    assert uniform(0.01, {"a": 20}) == {"a": 0}


@pytest.mark.parametrize("density", [0, 0.0, -1, 1.01, math.nan, math.inf])
def test_a_density_outside_0_to_1_is_refused(density: float):
    with pytest.raises(ValueError, match="greater than 0 and at most 1"):
        check_density(density)
    with pytest.raises(ValueError, match="greater than 0 and at most 1"):
        uniform(density, {"a": 10})


@given(density=st.floats(0, 1, exclude_min=True), counts=st.lists(st.integers(0, 10**9), max_size=5))
def test_a_budget_is_a_whole_number_within_its_group_and_within_half_of_its_share(
    density: float, counts: list[int]
):
    groups = {str(place): count for place, count in enumerate(counts)}
    budgets = uniform(density, groups)
    assert budgets.keys() == groups.keys()
    for group, budget in budgets.items():
        assert isinstance(budget, int)
        assert 0 <= budget <= groups[group]
        assert abs(budget - density * groups[group]) <= 0.5


@given(
    first=st.floats(0, 1, exclude_min=True), second=st.floats(0, 1, exclude_min=True), k=st.integers(0, 10**6)
)
def test_more_density_never_keeps_less(first: float, second: float, k: int):
    low, high = sorted((first, second))
    assert uniform(low, {"a": k})["a"] <= uniform(high, {"a": k})["a"]
