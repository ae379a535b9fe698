"""What a method of sparse training decides; `Sparsifier` carries it out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from sparsecore.engine.cards import methods
from sparsecore.engine.config import RunConfig
from sparsecore.engine.sparsifier.layers import Layer

Wanted = tuple[list[Tensor] | None, list[Tensor] | None]  # scores and reserved weights of a group


class Method(ABC):
    """The independent parts of a method, which overrides those in which it differs.

    `groups`   which weights share a budget,
    `budgets`  the weights that each group keeps at the current `step` (budget and schedule),
    `scores`   the values compared in place of |w| (a neuron's norm in its whole row prunes neurons),
    `reserved` the weights that survive at any score,
    `due`      the steps at which the support is chosen anew; in between it is held,
    `penalty`  a term of the loss.
    """

    density: float = 1.0

    @classmethod
    def arguments(cls, config: RunConfig) -> dict[str, Any]:
        """Return constructor arguments for a run, in addition to those of the card."""
        return {}

    def follow(self, config: RunConfig, before: RunConfig) -> None:
        """Apply the live parameters of a run, which have changed since `before`."""
        for name, each in methods()[config.method].own.items():
            if each.live:
                setattr(self, name, getattr(config, name))

    @abstractmethod
    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        """Return the group of each layer, None for one that is not pruned."""

    @abstractmethod
    def budgets(self) -> dict[str, int]:
        """Return the exact number of weights that each group keeps at the current step."""

    def scores(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        """Return a score for each weight of these layers, the largest survive; None for |w|."""
        return None

    def reserved(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        """Masks of the weights of these layers that survive in any case, within the budget; None for none."""
        return None

    def relaxed(self) -> list[str]:
        """Return the groups with more reserved weights than budget, where the minimum is relaxed."""
        return []

    def before_cut(self, place: int) -> Tensor | None:
        """The iterate of a layer before the last cut, if the method keeps one apart from the weight."""
        return None

    def due(self) -> bool:
        """Whether the support is chosen anew at this step; held otherwise."""
        return True

    def penalty(self) -> Tensor | float:
        """What the method adds to the loss; the training loop adds it."""
        return 0.0
