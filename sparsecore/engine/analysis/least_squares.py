"""Least squares under ‖w‖₀ ≤ s, small enough to see everything: every support, every start. Numpy only."""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

ROWS_PER_WEIGHT = 2  # more rows than weights, so that noise leaves a residual
MOST_SUPPORTS = 20_000  # this many small systems take well under 300 ms
STEPS = 400
STILL = 1e-8  # a step this short, in units of w, ends the iteration
NOT_ZERO = 1e-6  # an iterate at rest is off its end by some multiple of STILL
FAR = 1e6  # an iterate this long is on its way to infinity
TOLERANCE = 1e-9  # on gradients of a problem with L(f) = 1
N_WEIGHTS = 10  # of a regression on subsets
N_TRUE = 4  # of them matter
NEW_ROWS = 1_000


@dataclass(frozen=True)
class LeastSquares:
    """f(w) = ½‖Aw − b‖², with A of shape (m, n) and b of shape (m,)."""

    a: np.ndarray
    b: np.ndarray

    @property
    def n(self) -> int:
        return self.a.shape[1]

    @property
    def hessian(self) -> np.ndarray:
        """AᵀA, shape (n, n)."""
        return self.a.T @ self.a

    @property
    def lipschitz(self) -> float:
        """L(f), the largest eigenvalue of AᵀA."""
        return float(np.linalg.norm(self.a, 2) ** 2)

    def value(self, w: np.ndarray) -> np.ndarray:
        """f at each row of `w` (…, n).

        >>> LeastSquares(np.eye(2), np.array([3.0, 1.0])).value(np.array([3.0, 0.0]))
        np.float64(0.5)
        """
        return 0.5 * np.square(w @ self.a.T - self.b).sum(axis=-1)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """∇f = Aᵀ(Aw − b) at each row of `w` (…, n)."""
        return w @ self.hessian - self.a.T @ self.b


def drawn_problem(n: int, true_weights: int, condition: float, noise: float, seed: int) -> LeastSquares:
    """A random problem with L(f) = 1 and condition number κ(AᵀA) = `condition`, at least 1.

    The eigenvalues of AᵀA run geometrically from 1 to 1/κ. b = Aw + noise·ε, where w has `true_weights`
    entries of size 1 to 2 and either sign, ε is standard normal.
    """
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((ROWS_PER_WEIGHT * n, n)))[0]
    right = np.linalg.qr(rng.standard_normal((n, n)))[0]
    a = left * np.geomspace(1.0, condition**-0.5, n) @ right.T
    w = np.zeros(n)
    places = rng.permutation(n)[:true_weights]
    w[places] = rng.uniform(1.0, 2.0, true_weights) * rng.choice([-1.0, 1.0], true_weights)
    return LeastSquares(a, a @ w + noise * rng.standard_normal(len(a)))


@dataclass(frozen=True)
class Points:
    """The least-squares solution on each of the k supports of size s, by f.

    supports: (k, s) places. w: (k, n). value: f. threshold: M_s(w), the s-th largest |wᵢ|. off: the largest
    |∇ᵢf| where wᵢ = 0. smallest_lipschitz: the least L for which it is L-stationary, off / M_s; 0 where `off`
    is 0, infinite where only M_s is. basic_feasible: ∇f = 0 on the support, and everywhere if ‖w‖₀ < s.
    """

    supports: np.ndarray
    w: np.ndarray
    value: np.ndarray
    threshold: np.ndarray
    off: np.ndarray
    smallest_lipschitz: np.ndarray
    basic_feasible: np.ndarray

    def stationary(self, lipschitz: float) -> np.ndarray:
        """Which points are L-stationary for this L: basic feasible, and |∇ᵢf| ≤ L·M_s off the support."""
        return self.basic_feasible & (self.smallest_lipschitz <= lipschitz * (1 + TOLERANCE))


def every_point(problem: LeastSquares, s: int) -> Points:
    """All C(n, s) of them; every optimum under ‖w‖₀ ≤ s is among them (Beck & Eldar 2013, section 2).

    Raises `ValueError` for s outside 1 … n, and where there are more than MOST_SUPPORTS supports.

    >>> found = every_point(LeastSquares(np.eye(2), np.array([3.0, 1.0])), 1)
    >>> found.w.tolist(), [round(x, 3) for x in found.smallest_lipschitz.tolist()]
    ([[3.0, 0.0], [0.0, 1.0]], [0.333, 3.0])
    """
    if not 1 <= s <= problem.n:
        raise ValueError(f"s must be from 1 to {problem.n}; got {s}.")
    if comb(problem.n, s) > MOST_SUPPORTS:
        raise ValueError(
            f"there are {comb(problem.n, s):,} supports; at most {MOST_SUPPORTS:,} can be solved."
        )
    supports = np.array(list(combinations(range(problem.n), s)))
    hessian, slope = problem.hessian, problem.a.T @ problem.b
    blocks = hessian[supports[:, :, None], supports[:, None, :]]
    solved = np.linalg.solve(blocks, slope[supports][..., None])[..., 0]
    w = np.zeros((len(supports), problem.n))
    np.put_along_axis(w, supports, solved, axis=1)
    order = np.argsort(problem.value(w), kind="stable")
    return _points(problem, supports[order], w[order])


def _points(problem: LeastSquares, supports: np.ndarray, w: np.ndarray) -> Points:
    sizes = np.abs(problem.gradient(w))
    np.put_along_axis(sizes, supports, 0.0, axis=1)
    off = sizes.max(axis=1)
    threshold = np.abs(np.take_along_axis(w, supports, axis=1)).min(axis=1)
    off[off <= TOLERANCE] = 0.0
    smallest = np.divide(off, threshold, out=np.full_like(off, np.inf), where=threshold > 0)
    smallest[off == 0] = 0.0
    full = threshold > TOLERANCE
    return Points(supports, w, problem.value(w), threshold, off, smallest, full | (off == 0))


def hard_threshold(w: np.ndarray, s: int) -> np.ndarray:
    """H_s: of each row of `w` (k, n) the s largest |wᵢ| stay, of equal ones the first; the rest become 0.

    >>> hard_threshold(np.array([[1.0, -3.0, 1.0]]), 2)
    array([[ 1., -3.,  0.]])
    """
    sizes = np.abs(w)
    # In the plane the ends of thousands of starts are looked for; argmax is the first of equals, too.
    kept = sizes.argmax(axis=1)[:, None] if s == 1 else np.argsort(-sizes, axis=1, kind="stable")[:, :s]
    sparse = np.zeros_like(w)
    np.put_along_axis(sparse, kept, np.take_along_axis(w, kept, axis=1), axis=1)
    return sparse


def step(problem: LeastSquares, w: np.ndarray, s: int, lipschitz: float) -> np.ndarray:
    """One step of iterative hard thresholding, w ← H_s(w − ∇f(w)/L), for each row of `w` (k, n)."""
    return hard_threshold(w - problem.gradient(w) / lipschitz, s)


def path(problem: LeastSquares, start: np.ndarray, s: int, lipschitz: float, steps: int = 60) -> np.ndarray:
    """The start (n,) and the iterates after it, shape (at most steps + 1, n); cut once still or far."""
    found = [np.asarray(start, dtype=float)]
    for _ in range(steps):
        found.append(step(problem, found[-1][None], s, lipschitz)[0])
        if np.abs(found[-1] - found[-2]).max() < STILL or np.abs(found[-1]).max() > FAR:
            break
    return np.array(found)


@dataclass(frozen=True)
class Ends:
    """Where iterations from k starts end: w (k, n), and whether each came to rest within the steps."""

    w: np.ndarray
    still: np.ndarray


def ends(
    problem: LeastSquares,
    starts: np.ndarray,
    s: int,
    lipschitz: float,
    steps: int = STEPS,
    still: float = STILL,
) -> Ends:
    """Iterate from each row of `starts` (k, n) until it moves less than `still`, or flies past FAR."""
    w = np.array(starts, dtype=float)
    at_rest = np.zeros(len(w), dtype=bool)
    going = np.arange(len(w))
    for _ in range(steps):
        if not len(going):
            break
        moved = step(problem, w[going], s, lipschitz)
        rest = np.abs(moved - w[going]).max(axis=1) < still
        gone = np.abs(moved).max(axis=1) > FAR
        w[going] = moved
        at_rest[going[rest]] = True
        going = going[~(rest | gone)]
    return Ends(w, at_rest)


def support_of(found: Ends, points: Points) -> np.ndarray:
    """For each end the place of its support among `points`; −1 for one that came to no rest.

    An end with fewer than s non-zeros is that of the first point with the same non-zeros.
    """
    places: dict[bytes, int] = {}
    for place, code in enumerate(_codes(points.w)):
        places.setdefault(code, place)
    return np.array(
        [places.get(c, -1) if rest else -1 for c, rest in zip(_codes(found.w), found.still, strict=True)]
    )


def _codes(w: np.ndarray) -> list[bytes]:
    """The positions of the non-zeros of each row."""
    return [row.tobytes() for row in np.packbits(np.abs(w) > NOT_ZERO, axis=1)]


def grid(low: float, high: float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The places along each axis of a square, and its cells² starts (w₁, w₂), w₁ fastest."""
    along = np.linspace(low, high, cells)
    return along, np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


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
        for s in sizes:
            best = every_point(LeastSquares(a, b), int(s))
            train[draw, s - 1] = np.sqrt(2 * best.value[0] / rows)
            test[draw, s - 1] = np.sqrt(np.mean((new @ best.w[0] - target) ** 2) + noise**2)
    low, high = np.quantile(test, [0.25, 0.75], axis=0)
    return Errors(sizes, train.mean(axis=0), test.mean(axis=0), low, high, noise)
