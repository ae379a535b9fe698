"""The text networks by size: how large they are, how much text they learn from, and by which plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparsecore.config import RunConfig
from sparsecore.corpora import GRADES
from sparsecore.models import Pool, TextClassifier


@dataclass(frozen=True)
class Shape:
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

    def network(self, vocabulary: int, dropout: float) -> TextClassifier:
        """A network of this size for so many words."""
        return TextClassifier(
            vocabulary,
            self.length,
            self.width,
            self.hidden,
            self.blocks,
            len(GRADES),
            dropout=dropout,
            pool=self.pool,
            scaled=self.scaled,
            even=self.even,
            pairs=self.pairs,
        )


SHAPES = {
    "demo": Shape(
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
    "laptop": Shape(
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
    "paper": Shape(
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


def pace(shape: Shape, config: RunConfig, steps_an_epoch: int, step: int) -> float:
    """What the learning rate is multiplied with at the step after `step` steps; 1 for a size without a plan.

    The plan ends at the config's last step: fewer steps are the same curve, faster.
    """
    if shape.epochs is None:
        return 1.0
    planned = shape.epochs * steps_an_epoch
    last = config.max_steps or planned
    rising = shape.warm_up * steps_an_epoch * last / planned
    falling = 0.5 * (1 + math.cos(math.pi * min(step / last, 1.0)))
    return min(1.0, (step + 1) / max(1.0, rising)) * falling
