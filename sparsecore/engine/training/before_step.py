"""The parameters as they were before a step: how far it went, and the way back when it went wrong."""

import math

import torch
from torch import Tensor, nn

from sparsecore.engine.sparsifier.base import Sparsifier


class BeforeStep:
    """Copies of all parameters of a model, saved before a step."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parameters = list(model.parameters())
        self.saved = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def save(self) -> None:
        """Remember the present parameters."""
        for saved, parameter in zip(self.saved, self.parameters, strict=True):
            saved.copy_(parameter)

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to what was saved."""
        for saved, parameter in zip(self.saved, self.parameters, strict=True):
            parameter.copy_(saved)

    def moved(self) -> float:
        """‖wᵏ⁺¹ − wᵏ‖ over all parameters, after the projection."""
        pairs = zip(self.parameters, self.saved, strict=True)
        return float(torch.nn.utils.get_total_norm([now.detach() - saved for now, saved in pairs]))

    def non_finite_layer(self) -> str:
        """The first module with a NaN or an infinite weight or bias."""
        named = self.model.named_parameters()
        return next((name.rpartition(".")[0] for name, p in named if not p.isfinite().all()), "")


# -- the weights of the last step before the projection, z = w − γ∇h(w): recomputed when a frame needs them


@torch.no_grad()
def uncut(
    sparsifier: Sparsifier, before: BeforeStep, optimizer: torch.optim.Adam, rate: float
) -> list[Tensor | None]:
    """Of each layer under the constraint what the last step cut from: z of its shape; None for the others.

    z of a weight that was cut is that of the step up to rounding; one that was kept has it as its value.
    rate: the learning rate of that step; it may have been changed since. In the latent mode z is the dense
    iterate itself.
    """
    saved = {id(now): copy for now, copy in zip(before.parameters, before.saved, strict=True)}
    found: list[Tensor | None] = []
    for place, layer in enumerate(sparsifier.layers):
        if layer.group is None or sparsifier.kept[place] == layer.weight.numel():
            found.append(None)
            continue
        z = sparsifier.before_cut(place)
        if z is None:
            z = adam_moved(saved[id(layer.weight)], optimizer.state[layer.weight], optimizer.defaults, rate)
        found.append(z)
    return found


def adam_moved(start: Tensor, state: dict[str, Tensor], constants: dict, rate: float) -> Tensor:
    """Where the Adam step that left this state moved `start` to (Kingma & Ba, 2015, algorithm 1).

    constants: its `betas` and `eps`; there is no weight decay and no AMSGrad.

    >>> state = {"exp_avg": torch.tensor([0.1]), "exp_avg_sq": torch.tensor([1e-3])}
    >>> state["step"] = torch.tensor(1.0)
    >>> adam_moved(torch.tensor([1.0]), state, {"betas": (0.9, 0.999), "eps": 1e-8}, rate=0.25)
    tensor([0.7500])
    """
    step, (first, second) = float(state["step"]), constants["betas"]
    deviation = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - second**step)).add_(constants["eps"])
    return start.addcdiv(state["exp_avg"], deviation, value=-rate / (1 - first**step))
