"""The text networks by size, and the plan by which they learn."""

import math
from dataclasses import dataclass

from sparsecore.corpora.corpus import GRADES
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.networks import Pool, TextClassifier


@dataclass(frozen=True)
class Shape:
    """The network, the amount of text and the plan of a size, as the task's card has them.

    texts: the most that take part; None for all. generated: how many are made where no file is given.
    min_count: a rarer word is unknown. batch: texts of a step. evaluated: texts of a part that are scored
    while it trains. pool, scaled, even, pairs: of `TextClassifier`. epochs: the planned number, in which the
    learning rate rises over `warm_up` epochs and falls to 0 along a cosine; None for one rate and no plan.
    """

    generated: int
    vocabulary: int
    length: int
    width: int
    hidden: int
    blocks: int
    batch: int
    evaluated: int
    texts: int | None = None
    min_count: int = 1
    pool: Pool = "flat"
    scaled: bool = False
    even: bool = False
    pairs: int = 0
    epochs: int | None = None
    warm_up: float = 0.0

    @classmethod
    def of(cls, config: RunConfig) -> "Shape":
        """The shape of a config's task and size."""
        return cls(**tasks()[config.task].sizes[config.size].network)

    def network(self, vocabulary: int, dropout: float) -> TextClassifier:
        """A network of this size for a vocabulary of this many words."""
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
