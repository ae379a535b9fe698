"""What no network can beat on a task, and what one scores that ignores its input. Imports no torch."""

from __future__ import annotations

from math import erf, pi, sqrt

import numpy as np

from sparsecore.engine.tasks.points import SINC_REACH, sinc

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
