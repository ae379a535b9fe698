"""Who keeps how many."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.engine.sparsifier.budgets import check_density, erk, mapping, uniform


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


# -- Erdős–Rényi-Kernel -----------------------------------------------------------------------------------


def test_erk_gives_each_matrix_its_score_times_one_factor():
    # (4, 6): 24 weights, 10 dimensions in all. (10, 10): 100 and 20. Of 124 · 0.25 = 31 weights a third and
    # two thirds: 10.33 and 20.67, rounded down 10 and 20, and the larger fraction gets the one left.
    assert erk(0.25, {"a": [(4, 6)], "b": [(10, 10)]}) == {"a": 10, "b": 21}


def test_a_densities_ratio_is_that_of_the_raw_scores():
    shapes = {"a": [(200, 1_000)], "b": [(300, 3_000)]}
    budgets = erk(0.01, shapes)
    densities = budgets["a"] / 200_000, budgets["b"] / 900_000
    scores = 1_200 / 200_000, 3_300 / 900_000
    assert densities[0] / densities[1] == pytest.approx(scores[0] / scores[1], rel=1e-3)


def test_a_kernels_width_and_height_count_as_dimensions():
    # (2, 2, 3, 3): 36 weights and 10 dimensions; (6, 4): 24 and 10: equal shares of 60 / 2 = 30, 15 each.
    assert erk(0.5, {"conv": [(2, 2, 3, 3)], "linear": [(6, 4)]}) == {"conv": 15, "linear": 15}


def test_a_layer_that_would_be_overfull_is_kept_whole_and_the_others_take_the_surplus():
    # 6 + 2·100 = 206 weights, 103 to keep. Dimensions 5, 20, 20: the factor 103/45 gives the first 11.4 of
    # its 6. It keeps 6, and 97 are left for two equals: the first of them gets the odd one.
    assert erk(0.5, {"a": [(3, 2)], "b": [(10, 10)], "c": [(10, 10)]}) == {"a": 6, "b": 49, "c": 48}


def test_surplus_may_fill_one_layer_after_another():
    # 1 + 4 + 400 = 405 weights, 40 to keep. Factor 40/46: the first would keep 1.74 of 1; then 39/44 gives
    # the second 3.55 of 4, not full. With 60 to keep (factor 59/44) it would keep 5.4 of 4: full as well.
    shapes = {"a": [(1, 1)], "b": [(2, 2)], "c": [(20, 20)]}
    assert erk(40 / 405, shapes) == {"a": 1, "b": 4, "c": 35}  # 3.55 and 35.45: the larger fraction gets it
    assert erk(60 / 405, shapes) == {"a": 1, "b": 4, "c": 55}


def test_a_block_of_matrices_gets_the_sum_of_what_its_matrices_would_get():
    # The block's dimensions: (2+2) + (2+4) = 10 of 12 weights, the other's 8 of 16; 28 · 0.5 = 14 to keep.
    # 14 · 10/18 = 7.78 and 6.22.
    assert erk(0.5, {"block": [(2, 2), (2, 4)], "head": [(4, 4)]}) == {"block": 8, "head": 6}


def test_equal_fractions_go_to_the_first():
    shapes = {"a": [(4, 4)], "b": [(4, 4)], "c": [(4, 4)]}
    assert erk(10 / 48, shapes) == {"a": 4, "b": 3, "c": 3}
    assert erk(11 / 48, shapes) == {"a": 4, "b": 4, "c": 3}


def test_erk_of_one_group_is_uniform():
    assert erk(0.3, {"global": [(200, 1), (300, 200), (1, 300)]}) == uniform(0.3, {"global": 60_500})


def test_a_group_without_tensors_keeps_nothing():
    assert erk(0.5, {"a": [], "b": [(2, 5)]}) == {"a": 0, "b": 5}
    assert erk(0.5, {}) == {}


def test_erk_refuses_a_density_outside_0_to_1():
    with pytest.raises(ValueError, match=r"greater than 0 and at most 1; got 1\.5"):
        erk(1.5, {"fc1": [(2, 2)]})


shapes = st.lists(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
).map(lambda tensors: {str(place): group for place, group in enumerate(tensors)})


def size(group: list[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in group)


def span(group: list[tuple[int, ...]]) -> int:
    return sum(sum(shape) for shape in group)


@given(density=st.floats(0, 1, exclude_min=True), shapes=shapes)
def test_erk_keeps_exactly_the_whole_budget_and_no_group_more_than_it_has(density: float, shapes: dict):
    budgets = erk(density, shapes)
    assert budgets.keys() == shapes.keys()
    assert sum(budgets.values()) == round(density * sum(size(group) for group in shapes.values()))
    assert all(0 <= budget <= size(shapes[group]) for group, budget in budgets.items())


@given(density=st.floats(0, 1, exclude_min=True), shapes=shapes)
def test_groups_that_are_not_full_share_in_proportion_to_their_dimensions(density: float, shapes: dict):
    budgets = erk(density, shapes)
    # Undo the rounding: each budget is within one of its share, and shares are one factor times the span.
    factors = [
        (Fraction(budget - 1, span(shapes[group])), Fraction(budget + 1, span(shapes[group])))
        for group, budget in budgets.items()
        if budget < size(shapes[group])
    ]
    assert all(low < high for low, _ in factors for _, high in factors)
    for group in shapes:
        if budgets[group] == size(shapes[group]):
            full = Fraction(size(shapes[group]), span(shapes[group]))
            assert all(full < high + Fraction(1, span(shapes[group])) for _, high in factors)


@given(density=st.floats(0, 1, exclude_min=True), shapes=shapes)
def test_of_two_groups_of_equal_shapes_the_first_keeps_as_much_or_one_more(density: float, shapes: dict):
    doubled = {f"{group}{half}": tensors for group, tensors in shapes.items() for half in "ab"}
    budgets = list(erk(density, doubled).values())
    assert all(first - second in (0, 1) for first, second in list(pairwise(budgets))[::2])


# -- a density for each pattern ---------------------------------------------------------------------------


def test_the_first_pattern_that_matches_wins():
    weights = {"blocks.0": 1_000, "blocks.1": 1_000, "head": 50}
    assert mapping({"blocks.0": 0.5, "*": 0.1}, weights) == {"blocks.0": 500, "blocks.1": 100, "head": 5}
    assert mapping({"*": 0.1, "blocks.0": 0.5}, weights) == {"blocks.0": 100, "blocks.1": 100, "head": 5}
    assert mapping({"blocks.[01]": 0.2, "h*": 1}, weights) == {"blocks.0": 200, "blocks.1": 200, "head": 50}


def test_a_group_that_no_pattern_matches_is_named():
    with pytest.raises(ValueError, match=r"no pattern matches the group head; the patterns are blocks\.\*"):
        mapping({"blocks.*": 0.5}, {"blocks.0": 10, "head": 10})


def test_a_pattern_that_matches_nothing_is_named_with_the_groups_there_are():
    with pytest.raises(ValueError, match=r"'fc\*' matches no group; the groups are blocks\.0, head"):
        mapping({"fc*": 0.5, "*": 0.1}, {"blocks.0": 10, "head": 10})


def test_the_case_of_a_name_counts():
    with pytest.raises(ValueError, match="matches no group"):
        mapping({"FC1": 0.5}, {"fc1": 10})


def test_mapping_refuses_a_density_outside_0_to_1():
    with pytest.raises(ValueError, match="greater than 0 and at most 1; got 2"):
        mapping({"*": 2}, {"fc1": 10})


@given(density=st.floats(0, 1, exclude_min=True), counts=st.lists(st.integers(0, 10**9), min_size=1))
def test_one_pattern_for_all_is_uniform(density: float, counts: list[int]):
    groups = {str(place): count for place, count in enumerate(counts)}
    assert mapping({"*": density}, groups) == uniform(density, groups)
