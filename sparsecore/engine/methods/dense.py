"""No sparsity at all, with the same counts and views as every other method."""

from collections.abc import Sequence

from sparsecore.engine.projection.project import Projection
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.sparsifier.layers import Layer


class Dense(Sparsifier):
    """No constraint: every weight stays. The budget is every prunable weight."""

    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        return ["all" if layer.prunable else None for layer in layers]

    def budgets(self) -> dict[str, int]:
        return {"all": self.constrained()}

    def select(self, group: str, places: Sequence[int], keep: int) -> Projection:
        for place in places:
            self._counts[place].add_(1)
        return Projection(tuple(self.kept[place] for place in places), 0.0, 0)
