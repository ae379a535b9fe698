"""Iterative hard thresholding: after each step, keep the s largest magnitudes (thesis, section 2.2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparsecore.engine.config import RunConfig
from sparsecore.engine.sparsifier.constrained import Constrained, KeepAlive, one_of
from sparsecore.engine.sparsifier.copies import project_others
from sparsecore.engine.sparsifier.layers import Selection
from sparsecore.engine.sparsifier.schedules import Schedule


class HardThreshold(Constrained):
    """w ← H_s(w − γ∇h(w)): exactly s = round(ρ·K) weights survive every step; pruned ones may return.

    mode: "iht" projects the iterate. "latent" projects a copy for the forward and backward pass and keeps the
    dense iterate for the optimiser (straight-through); a pruned weight then keeps its magnitude.
    The other arguments are those of `Constrained`.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 2))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> sparsifier = HardThreshold(density=0.25).attach(model, optimizer)
    >>> model(torch.ones(1, 4)).sum().backward(); optimizer.step()
    >>> sum(int(layer.weight.count_nonzero()) for layer in sparsifier.layers)
    12
    """

    def __init__(
        self,
        density: float | Schedule | Mapping[str, float],
        scope: Literal["global", "layer"] = "global",
        exempt: Sequence[str] | None = None,
        *,
        layers: Selection | None = None,
        distribution: Literal["uniform", "erk"] = "uniform",
        mode: Literal["iht", "latent"] = "iht",
        keep_alive: KeepAlive | int = 0,
        freeze_at: int | None = None,
        freeze_settled: int | None = None,
    ) -> None:
        one_of("mode", mode, ("iht", "latent"))
        super().__init__(
            density,
            scope,
            exempt,
            layers=layers,
            distribution=distribution,
            keep_alive=keep_alive,
            freeze_at=freeze_at,
            freeze_settled=freeze_settled,
        )
        self.mode = mode
        self._dense: dict[int, Tensor] = {}  # place in `layers` → the iterate that the optimiser moves

    @classmethod
    def arguments(cls, config: RunConfig) -> dict[str, Any]:
        return super().arguments(config) | {"mode": config.mode}

    # -- the dense iterate of the latent mode -------------------------------------------------------------

    def _hook(self, optimizer: torch.optim.Optimizer) -> None:
        super()._hook(optimizer)
        if self.mode == "latent":
            self._handles.append(self.optimizer.register_step_pre_hook(self._before_step))

    @torch.no_grad()
    def _before_step(
        self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The optimiser moves the dense iterate; a closure that it calls sees the projected one."""
        if self.frozen is not None:
            return None
        for place, dense in self._dense.items():
            self.layers[place].weight.copy_(dense)
        itself, *rest = args
        wrapped = [self._seeing_projection(value) if callable(value) else value for value in rest]
        named = {k: self._seeing_projection(v) if callable(v) else v for k, v in kwargs.items()}
        return (itself, *wrapped), named

    def _seeing_projection(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def evaluate() -> Any:
            places = [place for group in self.members().values() for place in group]
            dense = {place: self.layers[place].weight.detach().clone() for place in places}
            with torch.no_grad():
                project_others(self, [layer.weight for layer in self.layers])
            result = closure()
            with torch.no_grad():
                for place, iterate in dense.items():
                    self.layers[place].weight.copy_(iterate)
            return result

        return evaluate

    @torch.no_grad()
    def project(self) -> None:
        if self.mode == "latent" and self.frozen is None:
            for places in self.members().values():
                for place in places:
                    self._dense[place] = self.layers[place].weight.detach().clone()
        super().project()

    def before_cut(self, place: int) -> Tensor | None:
        return self._dense.get(place)

    def hold(self, place: int, weight: nn.Parameter) -> None:
        super().hold(place, weight)
        self._dense.pop(place, None)

    def freeze(self) -> None:
        super().freeze()
        self._dense.clear()  # from here on the weights are the iterate

    def detach(self) -> None:
        super().detach()
        self._dense.clear()

    def state_dict(self) -> dict[str, Any]:
        dense = {place: weight.clone() for place, weight in self._dense.items()}
        return super().state_dict() | ({"dense": dense} if dense else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._dense = {
            place: dense.to(self.layers[place].weight, copy=True)
            for place, dense in state.get("dense", {}).items()
        }
