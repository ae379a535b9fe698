"""How large the networks of the tasks are, by size; numbers only, so that a server can judge them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Pool = Literal["flat", "mean", "both"]

# Of the perceptrons' layers, input and output included (thesis, sections 3.1 and 3.2).
WIDTHS = {
    "sinc": {"demo": (1, 16, 16, 1), "paper": (1, 200, 300, 1)},
    "spirals": {"demo": (2, 16, 16, 2), "paper": (2, 200, 300, 2)},
}


@dataclass(frozen=True)
class TextSize:
    """The network, the amount of text and the plan of a size.

    texts: at most so many take part; None for all. generated: so many when no file is given.
    min_count: a rarer word is unknown. batch: texts of a step. evaluated: texts of a part that are scored
    while it trains. pool, scaled, even, pairs: of `TextClassifier`. epochs: the planned number, in which the
    learning rate rises over `warm_up` epochs and falls to 0 along a cosine; None for one rate and no plan.
    """

    texts: int | None
    generated: int
    vocabulary: int
    length: int
    width: int
    hidden: int
    blocks: int
    batch: int
    evaluated: int
    min_count: int = 1
    pool: Pool = "flat"
    scaled: bool = False
    even: bool = False
    pairs: int = 0
    epochs: int | None = None
    warm_up: float = 0.0


TEXT_SIZES = {
    "demo": TextSize(
        texts=2_000,
        generated=2_000,
        vocabulary=2_000,
        length=64,
        width=32,
        hidden=64,
        blocks=2,
        batch=64,
        evaluated=500,
    ),
    "laptop": TextSize(
        texts=None,
        generated=20_000,
        vocabulary=20_000,
        min_count=3,
        length=128,
        width=128,
        hidden=256,
        blocks=2,
        batch=128,
        evaluated=2_000,
        pool="both",
        scaled=True,
        even=True,
        pairs=32_768,
        epochs=3,
        warm_up=0.25,
    ),
    "paper": TextSize(
        texts=None,
        generated=20_000,
        vocabulary=8_000,
        length=256,
        width=256,
        hidden=512,
        blocks=4,
        batch=64,
        evaluated=500,  # a network of this size is slow on a CPU
    ),
}
