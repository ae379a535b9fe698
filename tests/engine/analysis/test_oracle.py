"""Iterative hard thresholding against other people's answers to ℓ₀ least squares: abess, and all supports."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
import torch
from abess.linear import LinearRegression
from torch import Tensor, nn

from sparsecore.engine.analysis.stationarity import Certificate, stationarity
from sparsecore.engine.methods.hard_threshold import HardThreshold

REST = 1e-12  # ‖Δw‖ of a step after which the iteration counts as over; weights are about 1
MOST_STEPS = 50_000  # far more than any of these problems takes: an end point that still moves fails


@dataclass(frozen=True)
class Problem:
    """minimise ½‖Aw − b‖² subject to ‖w‖₀ ≤ s."""

    a: np.ndarray
    b: np.ndarray
    budget: int
    truth: np.ndarray

    def objective(self, w: np.ndarray) -> float:
        return 0.5 * float(np.sum((self.a @ w - self.b) ** 2))

    @property
    def lipschitz(self) -> float:
        return float(np.linalg.eigvalsh(self.a.T @ self.a)[-1])


def problem(seed: int, rows: int, columns: int, budget: int, noise: float) -> Problem:
    """Standard normal rows; `budget` true weights of sizes 1 to 3; noise of this standard deviation."""
    source = np.random.default_rng(seed)
    a = source.standard_normal((rows, columns))
    truth = np.zeros(columns)
    places = source.choice(columns, budget, replace=False)
    truth[places] = source.uniform(1, 3, budget) * source.choice([-1, 1], budget)
    return Problem(a, a @ truth + noise * source.standard_normal(rows), budget, truth)


def linear(w: np.ndarray, given: Problem) -> tuple[nn.Linear, Callable[[], Tensor]]:
    """A layer with these weights, and the objective on it."""
    layer = nn.Linear(len(w), 1, bias=False, dtype=torch.float64)
    layer.weight.data[0] = torch.from_numpy(w)
    a, b = torch.from_numpy(given.a), torch.from_numpy(given.b)
    return layer, lambda: 0.5 * (layer(a)[:, 0] - b).square().sum()


def hard_thresholding(given: Problem) -> tuple[np.ndarray, Certificate]:
    """Our own: SGD of step 1/L from 0 with a global budget until it rests, and the certificate of its end."""
    layer, loss = linear(np.zeros(given.a.shape[1]), given)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1 / given.lipschitz)
    sparsifier = HardThreshold(given.budget / given.a.shape[1]).attach(layer, optimizer)
    for _ in range(MOST_STEPS):
        before = layer.weight.detach().clone()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if float((layer.weight.detach() - before).norm()) < REST:
            break
    found = stationarity(layer, loss, sparsifier, lipschitz=given.lipschitz, tolerance=1e-8)
    return layer.weight.detach().numpy()[0].copy(), found


def best_of_all_supports(given: Problem) -> np.ndarray:
    """The optimum itself: least squares on each of the C(n, s) supports."""
    best, least = np.zeros(given.a.shape[1]), np.inf
    for support in map(list, combinations(range(given.a.shape[1]), given.budget)):
        w = np.zeros_like(best)
        w[support] = np.linalg.lstsq(given.a[:, support], given.b)[0]
        if given.objective(w) < least:
            best, least = w, given.objective(w)
    return best


def abess(given: Problem) -> np.ndarray:
    model = LinearRegression(support_size=[given.budget], fit_intercept=False, thread=1)
    return model.fit(given.a, given.b).coef_


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rows", "columns", "budget"), [(200, 20, 3), (500, 50, 8)])
def test_support_and_coefficients_are_those_of_abess(seed: int, rows: int, columns: int, budget: int):
    given = problem(seed, rows, columns, budget, noise=0.05)
    ours, certificate = hard_thresholding(given)
    theirs = abess(given)
    assert np.flatnonzero(ours).tolist() == np.flatnonzero(theirs).tolist()
    assert np.flatnonzero(ours).tolist() == np.flatnonzero(given.truth).tolist()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    assert certificate.l_stationary


@pytest.mark.parametrize("seed", range(8))
def test_no_end_point_beats_the_best_of_all_supports_and_each_is_l_stationary(seed: int):
    given = problem(seed, rows=12, columns=10, budget=3, noise=1.0)  # noisy: local optima are to be expected
    ours, certificate = hard_thresholding(given)
    optimum = best_of_all_supports(given)
    assert np.count_nonzero(ours) == 3
    assert certificate.l_stationary
    assert certificate.smallest_lipschitz <= given.lipschitz
    assert given.objective(ours) >= given.objective(optimum) * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_all_supports_is_l_stationary_itself(seed: int):
    given = problem(seed, rows=12, columns=10, budget=3, noise=1.0)
    optimum = best_of_all_supports(given)
    layer, loss = linear(optimum, given)
    sparsifier = HardThreshold(0.3).attach(layer, torch.optim.SGD(layer.parameters()))
    found = stationarity(layer, loss, sparsifier, lipschitz=given.lipschitz, tolerance=1e-8)
    gradient = np.abs(given.a.T @ (given.a @ optimum - given.b))
    assert found.l_stationary
    off = gradient[optimum == 0].max() / np.abs(optimum[optimum != 0]).min()
    assert found.smallest_lipschitz == pytest.approx(off, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_where_all_is_clear_the_end_point_is_the_best_of_all_supports(seed: int):
    given = problem(seed, rows=200, columns=10, budget=3, noise=0.05)
    ours, _ = hard_thresholding(given)
    np.testing.assert_allclose(ours, best_of_all_supports(given), rtol=1e-9, atol=1e-12)
