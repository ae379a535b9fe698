"""Least squares under ‖w‖₀ ≤ s: hand-computed cases first, then what theory says of every problem."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.engine.analysis.least_squares import (
    MOST_SUPPORTS,
    N_TRUE,
    LeastSquares,
    drawn_problem,
    ends,
    errors,
    every_point,
    grid,
    hard_threshold,
    path,
    support_of,
)

# f(w) = ½(w₁ − 3)² + ½(w₂ − 1)²: on the first axis (3, 0), ∇ = (0, −1); on the second (0, 1), ∇ = (−3, 0).
ROUND = LeastSquares(np.eye(2), np.array([3.0, 1.0]))
# f(w) = ½·4(w₁ − 1)² + ½(w₂ − 1)²; L(f) = 4.
STEEP = LeastSquares(np.diag([2.0, 1.0]), np.array([2.0, 1.0]))

PROBLEMS = st.builds(
    drawn_problem,
    n=st.integers(2, 7),
    true_weights=st.integers(1, 2),
    condition=st.floats(1, 50),
    noise=st.floats(0, 1),
    seed=st.integers(0, 10_000),
)


def test_the_points_of_a_round_problem_are_the_feet_of_its_axes():
    found = every_point(ROUND, 1)
    assert found.w.tolist() == [[3, 0], [0, 1]]
    assert found.value.tolist() == [0.5, 4.5]
    assert found.off.tolist() == [1, 3]
    assert found.threshold.tolist() == [3, 1]
    np.testing.assert_allclose(found.smallest_lipschitz, [1 / 3, 3])
    assert found.basic_feasible.all()


def test_the_worse_axis_is_stationary_from_l_3_on_and_the_better_one_from_a_third():
    found = every_point(ROUND, 1)
    assert found.stationary(0.3).tolist() == [False, False]
    assert found.stationary(2.9).tolist() == [True, False]
    assert found.stationary(3.0).tolist() == [True, True]


def test_a_support_too_large_for_what_is_needed_is_not_basic_feasible_unless_the_gradient_vanishes():
    problem = LeastSquares(np.eye(3), np.array([2.0, 0.0, 1.0]))
    found = every_point(problem, 2)
    by_support = {tuple(s): ok for s, ok in zip(found.supports.tolist(), found.basic_feasible, strict=True)}
    # On {1, 2} the solution is (2, 0, 0): fewer than s non-zeros, and the third derivative is −1, not 0.
    assert by_support == {(0, 2): True, (0, 1): False, (1, 2): False}


def test_one_step_by_hand():
    # From 0 with L = 4: w − ∇f/4 = (1, ¼); the first stays. It is the foot of its axis.
    iterates = path(STEEP, np.zeros(2), 1, 4.0)
    assert iterates.tolist() == [[0, 0], [1, 0], [1, 0]]
    assert STEEP.lipschitz == pytest.approx(4)


def test_equal_sizes_are_settled_by_index():
    assert hard_threshold(np.array([[1.0, -1.0, 1.0]]), 2).tolist() == [[1, -1, 0]]


def test_a_step_too_long_comes_to_no_rest():
    found = ends(STEEP, np.array([[5.0, 0.0]]), 1, 1.9)  # along w₁ the factor is 1 − 4/1.9 < −1
    assert not found.still.any()
    assert support_of(found, every_point(STEEP, 1)).tolist() == [-1]


def test_the_ends_of_a_grid_are_named_by_their_supports():
    along, starts = grid(-4.0, 4.0, 9)
    assert starts[:2].tolist() == [[-4, -4], [-3, -4]]
    assert len(along) == 9
    found = ends(ROUND, starts, 1, 4.0)
    assert found.still.all()
    named = support_of(found, every_point(ROUND, 1))
    assert set(named.tolist()) == {0, 1}
    best = named == 0
    np.testing.assert_allclose(found.w[best], np.tile([3.0, 0.0], (best.sum(), 1)), atol=1e-6)


@pytest.mark.parametrize("s", [0, 3])
def test_a_budget_outside_the_weights_is_refused(s: int):
    with pytest.raises(ValueError, match=f"s must be from 1 to 2; got {s}"):
        every_point(ROUND, s)


def test_too_many_supports_are_refused_with_their_number():
    assert comb(50, 4) > MOST_SUPPORTS
    with pytest.raises(ValueError, match="230,300 supports"):
        every_point(drawn_problem(50, 2, 10, 0.1, 0), 4)


@given(PROBLEMS, st.data())
@settings(max_examples=30)
def test_the_optimum_is_stationary_for_every_l_above_the_curvature(problem: LeastSquares, data):
    s = data.draw(st.integers(1, problem.n))
    found = every_point(problem, s)
    assert len(found.value) == comb(problem.n, s)
    assert problem.lipschitz == pytest.approx(1)
    assert found.stationary(1.0 + 1e-9)[0]
    # Optimal ⊂ L-stationary ⊂ basic feasible, and a larger L never asks for more.
    assert (found.stationary(1.1) <= found.stationary(2.0)).all()
    assert (found.stationary(2.0) <= found.basic_feasible).all()


@given(PROBLEMS, st.data())
@settings(max_examples=20)
def test_every_point_solves_its_support_and_no_other_solution_of_it_is_lower(problem: LeastSquares, data):
    s = data.draw(st.integers(1, problem.n))
    found = every_point(problem, s)
    assert sorted(map(tuple, found.supports.tolist())) == list(combinations(range(problem.n), s))
    gradients = np.take_along_axis(problem.gradient(found.w), found.supports, axis=1)
    np.testing.assert_allclose(gradients, 0, atol=1e-9)
    shaken = np.zeros_like(found.w)
    np.put_along_axis(shaken, found.supports, 0.1, axis=1)
    assert (problem.value(found.w + shaken) >= found.value - 1e-12).all()


@given(PROBLEMS, st.floats(1.001, 5), st.integers(0, 99))
@settings(max_examples=30)
def test_above_the_curvature_each_feasible_step_lowers_f_by_what_the_lemma_says(problem, lipschitz, seed):
    s = 1 + seed % problem.n
    start = hard_threshold(np.random.default_rng(seed).normal(size=(1, problem.n)), s)[0]
    iterates = path(problem, start, s, lipschitz)
    values, moved = problem.value(iterates), np.square(np.diff(iterates, axis=0)).sum(axis=1)
    assert (values[:-1] - values[1:] >= (lipschitz - problem.lipschitz) / 2 * moved - 1e-9).all()
    assert (np.count_nonzero(iterates[1:], axis=1) <= s).all()


@given(PROBLEMS, st.integers(0, 99))
@settings(max_examples=15)
def test_wherever_iht_rests_the_point_is_l_stationary(problem: LeastSquares, seed: int):
    s = 1 + seed % (problem.n - 1)
    points = every_point(problem, s)
    starts = np.random.default_rng(seed).normal(size=(20, problem.n))
    found = ends(problem, starts, s, 1.2, steps=5_000)
    places = support_of(found, points)
    assert (places[found.still] >= 0).all()
    # Just above L: what rests there to 1e-9 may miss the bound by as little.
    assert points.stationary(1.2 * (1 + 1e-5))[places[found.still]].all()


def test_the_training_error_only_falls_and_the_test_error_is_least_at_the_true_number():
    found = errors(rows=40, noise=0.5, draws=6)
    assert (np.diff(found.train) <= 1e-12).all()
    assert found.sizes[found.test.argmin()] == N_TRUE
    assert found.test.min() >= found.noise  # nothing is better than the noise on new data
