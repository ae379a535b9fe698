"""What a sparsifier holds of a model, what it does not, and why."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from sparsecore.engine.sparsifier.layers import _LOOKUPS, Layer, Matrix, matrices, unheld


@dataclass(frozen=True)
class Row:
    """One matrix. group: the budget that it shares; None where it is not constrained, and `why` not."""

    name: str
    shape: tuple[int, ...]
    weights: int
    group: str | None
    why: str


@dataclass(frozen=True)
class Summary:
    """Every matrix of a model; `print` shows a table.

    constrained: weights under the constraint. matrices: weights of all rows. parameters: of the whole model.
    resumed: the step with which a loaded optimiser went on; 0 for a new start.
    """

    rows: tuple[Row, ...]
    constrained: int
    matrices: int
    parameters: int
    resumed: int = 0

    @property
    def share(self) -> float:
        """The share of all parameters under the constraint, from 0 to 1."""
        return self.constrained / self.parameters

    def __str__(self) -> str:
        wide = max(len(row.name) for row in self.rows)
        lines = [
            f"{row.name:{wide}}  {row.weights:>13,}  {row.why or f'budget {row.group!r}'}"
            for row in self.rows
        ]
        first = f"{self.constrained:,} of {self.parameters:,} parameters ({self.share:.1%}) are constrained."
        return "\n".join([first, *lines])


def summarise(model: nn.Module, layers: Sequence[Layer], resumed: int) -> Summary:
    """Hold the layers of a sparsifier against all matrices of the model."""
    held = {id(layer.weight): layer for layer in layers}
    found = {id(each.weight): each for each in reversed(list(matrices(model)))}
    rows = []
    for key, each in reversed(found.items()):
        layer = held.get(key)
        group = None if layer is None else layer.group
        shape, size = tuple(each.weight.shape), each.weight.numel()
        rows.append(
            Row(each.name or "(model)", shape, size, group, "" if group is not None else _why(each, layer))
        )
    constrained = sum(row.weights for row in rows if row.group is not None)
    every = sum(parameter.numel() for parameter in model.parameters())
    return Summary(tuple(rows), constrained, sum(row.weights for row in rows), every, resumed)


def reasons(model: nn.Module) -> str:
    """Why none of a model's matrices is constrained, the first few by name."""
    return _first([f"{each.name or '(model)'} ({_why(each, None)})" for each in matrices(model)])


def _first(found: list[str]) -> str:
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ", ".join(found[:5]) + more or "it has no matrix"


def _why(each: Matrix, layer: Layer | None) -> str:
    if strange := unheld(each.weight):
        return strange
    if not each.weight.requires_grad:
        return "requires no gradient"
    if layer is not None and layer.prunable:
        return "exempt"
    if isinstance(each.module, _LOOKUPS):
        return "a table of rows (embedding)"
    return "not chosen" if each.is_map else f"no known linear map ({type(each.module).__name__})"


def tell_left_out(summary: Summary) -> None:
    """Warn of matrices that are outside without having been exempted: nobody may have noticed."""
    known = ("exempt", "requires no gradient", "a table of rows (embedding)")
    outside = [row for row in summary.rows if row.group is None and row.why not in known]
    if outside:
        named = _first([f"{row.name} ({row.why})" for row in outside])
        share = sum(row.weights for row in outside) / summary.matrices
        warnings.warn(
            f"{share:.1%} of the weights in matrices are under no constraint: {named}. "
            "sparsifier.summary() lists all; layers=… chooses.",
            stacklevel=3,
        )
