"""The points of the two small experiments (thesis, sections 3.1 and 3.2). Imports no torch."""

from math import erf, pi, sqrt

import numpy as np

SINC_REACH = 10.0  # x ~ U(−10, 10): the thesis names no range
SPIRAL_POINTS = 1000  # a class (thesis)
JUDGED_SINC_POINTS, JUDGED_SPIRALS = 4_000, 4


def sinc(x: np.ndarray) -> np.ndarray:
    """sin(x)/x, 1 at 0; numpy's own sinc is sin(πx)/(πx)."""
    return np.sinc(x / np.pi)


def sinc_points(stream: np.random.Generator, count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """x ~ U(−10, 10) and y = sin(x)/x + N(0, `noise`), `noise` a variance; float32, (count,) each."""
    x = stream.uniform(-SINC_REACH, SINC_REACH, count)
    y = sinc(x) + stream.normal(0.0, np.sqrt(noise), count)
    return x.astype(np.float32), y.astype(np.float32)


def spiral_points(
    stream: np.random.Generator, noise: float, count: int = SPIRAL_POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """rₙ = n/N, αₙ = 2πn/N (+π for class 1) + N(0, noise²), N = `count` a class, `noise` in radians.

    Gives the points, float32 (2N, 2), and their classes, 0 or 1, (2N,).
    """
    n = np.tile(np.arange(1, count + 1), 2)
    labels = np.repeat([0, 1], count)
    angle = 2 * pi * n / count + pi * labels + noise * stream.normal(0.0, 1.0, 2 * count)
    radius = n / count
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1).astype(np.float32), labels


# -- what the judge of the challenge takes ----------------------------------------------------------------


def sinc_challenge(stream: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, 1) and targets (N,): as many as give an RMSE near 0.08 a standard error under 0.001."""
    x, y = sinc_points(stream, JUDGED_SINC_POINTS, noise)
    return x[:, None], y


def spirals_challenge(stream: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, 2) and classes (N,): as many as give an accuracy near 99 % one of 0.11 points."""
    draws = [spiral_points(stream, noise) for _ in range(JUDGED_SPIRALS)]
    points, labels = zip(*draws, strict=True)
    return np.concatenate(points), np.concatenate(labels)


# -- what no network can beat, and what one scores that ignores its input ---------------------------------

_CELLS = 100_001  # of the sum that stands for an integral: exact to far more digits than are printed


def best_accuracy(angle_noise: float) -> float:
    """What a perfect classifier of the spirals scores when the angle has noise of this standard deviation.

    P(|τZ| < π/2) mod 2π: noise past a quarter turn lands on the other spiral, past three quarters back.

    >>> round(best_accuracy(1.0), 3)
    0.884
    """
    if angle_noise == 0:
        return 1.0

    def below(angle: float) -> float:
        return erf(angle / angle_noise / sqrt(2))

    turns = int(6 * angle_noise / (2 * pi)) + 1
    own = below(pi / 2)
    return own + sum(below(2 * pi * t + pi / 2) - below(2 * pi * t - pi / 2) for t in range(1, turns + 1))


def constant_rmse(noise: float) -> float:
    """The RMSE on sinc of the best constant output, with noise of this variance.

    >>> round(constant_rmse(0.005), 2)
    0.36
    """
    values = sinc(np.linspace(-SINC_REACH, SINC_REACH, _CELLS))
    return sqrt(float(values.var()) + noise)
