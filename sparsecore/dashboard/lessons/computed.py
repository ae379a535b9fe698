"""What the Theory page and the lessons compute: by plain numbers, kept for all who ask the same."""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np

from sparsecore.engine.analysis import least_squares as ls
from sparsecore.engine.analysis import subset_regression
from sparsecore.engine.deploy import formats
from sparsecore.engine.tasks.points import best_accuracy, spiral_points

KEPT = 128  # answers of each kind
BASIN_CELLS = 61
PLANE_STEPS = 1_500  # a narrow valley takes so many
PLANE_STILL = 1e-6  # far below a pixel: which axis it is, is all that is drawn
STARTS = 200  # of the larger problem
MEASURED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # densities whose product is timed
SHAPE = (300, 200)  # of the matrix whose bytes are counted: the second layer of the thesis's network
DRAWS = 12
NOISES = np.linspace(0.0, 3.0, 121)
SPIRAL_POINTS = 500  # a class


@lru_cache(KEPT)
def problem(n: int, true_weights: int, condition: float, noise: float, seed: int) -> ls.LeastSquares:
    """See `drawn_problem`."""
    return ls.drawn_problem(n, true_weights, condition, noise, seed)


@lru_cache(KEPT)
def points(asked: tuple[int, int, float, float, int], s: int) -> ls.Points | None:
    """The points of every support of a problem; None where there are too many."""
    return ls.every_point(problem(*asked), s) if comb(asked[0], s) <= ls.MOST_SUPPORTS else None


@lru_cache(KEPT)
def basins(asked: tuple[int, int, float, float, int], lipschitz: float, side: float) -> np.ndarray:
    """Where a square of starts in the plane ends, (cells, cells); −1 for no end within the steps."""
    _, starts = ls.grid(-side, side, BASIN_CELLS)
    found = ls.ends(problem(*asked), starts, 1, lipschitz, PLANE_STEPS, PLANE_STILL)
    return ls.support_of(found, points(asked, 1)).reshape(BASIN_CELLS, BASIN_CELLS)


@lru_cache(KEPT)
def ends_of_starts(
    asked: tuple[int, int, float, float, int], s: int, lipschitz: float
) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    """f at each distinct end of STARTS random starts, how many end there, and how many came to no rest."""
    given = problem(*asked)
    starts = 2 * np.random.default_rng(0).standard_normal((STARTS, asked[0]))
    found = ls.ends(given, starts, s, lipschitz)
    still = np.round(found.w[found.still], 5)
    distinct, counts = np.unique(still, axis=0, return_counts=True)
    values = given.value(distinct) if len(distinct) else np.array([])
    return tuple(values.tolist()), tuple(counts.tolist()), int((~found.still).sum())


@lru_cache(KEPT)
def subsets(rows: int, noise: float, seed: int) -> subset_regression.Errors:
    """See `errors`; the mean over DRAWS data sets."""
    return subset_regression.errors(rows, noise, DRAWS, seed)


@lru_cache(1)
def best_accuracies() -> np.ndarray:
    """The spirals' ceiling at each of NOISES."""
    return np.array([best_accuracy(float(noise)) for noise in NOISES])


def drawn_spirals(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (k, 2) and classes of the two spirals, as the task draws them, with this noise of the angle."""
    return spiral_points(np.random.default_rng(0), noise, SPIRAL_POINTS)


def stored(densities: np.ndarray) -> dict[str, np.ndarray]:
    """Bytes of a matrix of SHAPE in each format at each density."""
    rows, cols = SHAPE
    sizes = [formats.stored_bytes(rows, cols, round(density * rows * cols)) for density in densities]
    return {name: np.array([size[name] for size in sizes]) for name in formats.FORMATS}


@lru_cache(2)
def product_times(batch: int) -> tuple[float, tuple[float, ...], float | None]:
    """Dense and CSR seconds at MEASURED on this machine, measured once, and where the two are equal."""
    dense, csr = formats.product_seconds(MEASURED, batch)
    return dense, tuple(csr), formats.break_even(MEASURED, dense, csr)
