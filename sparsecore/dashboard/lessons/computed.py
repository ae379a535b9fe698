"""Cached computations of the Theory page and the lessons, keyed by plain numbers."""

from functools import lru_cache
from math import comb

import numpy as np

from sparsecore.engine.analysis import least_squares as ls
from sparsecore.engine.deploy import sparse_formats as formats
from sparsecore.engine.tasks.points import best_accuracy, spiral_points

KEPT = 128  # answers of each kind
BASIN_CELLS = 61
PLANE_STEPS = 1_500  # enough for a narrow valley
PLANE_STILL = 1e-6  # far below a pixel: which axis it is, is all that is drawn
STARTS = 200  # of the larger problem
MEASURED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # densities at which products are timed
SHAPE = (300, 200)  # of the matrix for the byte counts: the second layer of the thesis's network
DRAWS = 12
NOISES = np.linspace(0.0, 3.0, 121)
SPIRAL_POINTS = 500  # a class


problem = lru_cache(KEPT)(ls.drawn_problem)


@lru_cache(KEPT)
def points(key: tuple[int, int, float, float, int], s: int) -> ls.Points | None:
    """Return the points of every support of a problem; None if there are too many."""
    return ls.every_point(problem(*key), s) if comb(key[0], s) <= ls.MOST_SUPPORTS else None


@lru_cache(KEPT)
def basins(key: tuple[int, int, float, float, int], lipschitz: float, side: float) -> np.ndarray:
    """Return the end of every start of a square in the plane, (cells, cells); −1 without convergence."""
    _, starts = ls.grid(-side, side, BASIN_CELLS)
    found = ls.ends(problem(*key), starts, 1, lipschitz, PLANE_STEPS, PLANE_STILL)
    return ls.support_of(found, points(key, 1)).reshape(BASIN_CELLS, BASIN_CELLS)


@lru_cache(KEPT)
def ends_of_starts(
    key: tuple[int, int, float, float, int], s: int, lipschitz: float
) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    """Return f at each distinct end of STARTS random starts, starts per end, and those not converged."""
    given = problem(*key)
    starts = 2 * np.random.default_rng(0).standard_normal((STARTS, key[0]))
    found = ls.ends(given, starts, s, lipschitz)
    still = np.round(found.w[found.still], 5)
    distinct, counts = np.unique(still, axis=0, return_counts=True)
    values = given.value(distinct) if len(distinct) else np.array([])
    return tuple(values.tolist()), tuple(counts.tolist()), int((~found.still).sum())


@lru_cache(KEPT)
def subsets(rows: int, noise: float, seed: int) -> ls.Errors:
    """See `errors`; the mean over DRAWS data sets."""
    return ls.errors(rows, noise, DRAWS, seed)


@lru_cache(1)
def best_accuracies() -> np.ndarray:
    """The spirals' ceiling at each of NOISES."""
    return np.array([best_accuracy(float(noise)) for noise in NOISES])


def drawn_spirals(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points (k, 2) and classes of the two spirals at this angle noise, drawn like the task."""
    return spiral_points(np.random.default_rng(0), noise, SPIRAL_POINTS)


def stored(densities: np.ndarray) -> dict[str, np.ndarray]:
    """Return the bytes of a matrix of SHAPE in each format at each density."""
    rows, cols = SHAPE
    sizes = [formats.stored_bytes(rows, cols, round(density * rows * cols)) for density in densities]
    return {name: np.array([size[name] for size in sizes]) for name in formats.FORMATS}


@lru_cache(2)
def product_times(batch: int) -> tuple[float, tuple[float, ...], float | None]:
    """Measure once the seconds of dense and CSR products at MEASURED, and find their break-even."""
    dense, csr = formats.product_seconds(MEASURED, batch)
    return dense, tuple(csr), formats.break_even(MEASURED, dense, csr)
