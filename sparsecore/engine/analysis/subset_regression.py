"""What the best s of n coefficients predict on new data, for every s. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsecore.engine.analysis.least_squares import LeastSquares, every_point

N_WEIGHTS = 10
N_TRUE = 4  # of them matter
NEW_ROWS = 1_000


@dataclass(frozen=True)
class Errors:
    """Root mean squared errors over draws of the data, one entry for each s = 1 … n.

    train, test: means. low, high: the middle half of the tests' draws. noise: no model is better on new data.
    """

    sizes: np.ndarray
    train: np.ndarray
    test: np.ndarray
    low: np.ndarray
    high: np.ndarray
    noise: float


def errors(rows: int, noise: float, draws: int, seed: int = 0) -> Errors:
    """For each s the optimum under ‖w‖₀ ≤ s, found among all C(n, s) supports, on `draws` data sets.

    rows: training rows, at least n. noise: standard deviation added to y. The true coefficients are ±1.
    """
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, N_WEIGHTS + 1)
    train, test = np.zeros((draws, N_WEIGHTS)), np.zeros((draws, N_WEIGHTS))
    for draw in range(draws):
        truth = np.zeros(N_WEIGHTS)
        truth[rng.permutation(N_WEIGHTS)[:N_TRUE]] = rng.choice([-1.0, 1.0], N_TRUE)
        a, new = rng.standard_normal((rows, N_WEIGHTS)), rng.standard_normal((NEW_ROWS, N_WEIGHTS))
        b, target = a @ truth + noise * rng.standard_normal(rows), new @ truth
        problem = LeastSquares(a, b)
        for s in sizes:
            best = every_point(problem, int(s))
            train[draw, s - 1] = np.sqrt(2 * best.value[0] / rows)
            test[draw, s - 1] = np.sqrt(np.mean((new @ best.w[0] - target) ** 2) + noise**2)
    low, high = np.quantile(test, [0.25, 0.75], axis=0)
    return Errors(sizes, train.mean(axis=0), test.mean(axis=0), low, high, noise)
