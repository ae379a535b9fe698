"""The text networks by size, and the plan by which they learn."""

from __future__ import annotations

import math
from dataclasses import fields

from sparsecore.corpora.corpus import GRADES
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.networks import TextClassifier
from sparsecore.engine.tasks.sizes import TEXT_SIZES, TextSize


class Shape(TextSize):
    """A size that can build its network."""

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


def _shape(size: TextSize) -> Shape:
    return Shape(**{field.name: getattr(size, field.name) for field in fields(size)})


SHAPES = {name: _shape(size) for name, size in TEXT_SIZES.items()}


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
