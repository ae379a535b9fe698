"""An optimiser's step over the non-zeros of a weight alone, in place of the whole matrix."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn, optim

from sparsecore.engine.frozen.linear import Support, kernels, simple

# Each moves a weight by its own gradient and state, whatever its neighbours and its shape.
_ELEMENTWISE = {
    *(optim.SGD, optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.Adamax),
    *(optim.RMSprop, optim.Adagrad, optim.Adadelta),
}


class CompactStep:
    """Puts a vector of a weight's non-zeros in its place for the time of a step.

    Between steps the weight and the optimiser's state of it are as they would be without: the vectors are
    read before a step and written back after it. touched: somebody else wrote to the weight in between.
    """

    def __init__(self, weight: nn.Parameter, support: Support) -> None:
        self.weight, self.support = weight, support
        self.taken = False
        self.touched = False
        self._dense: dict[str | None, Tensor] = {}  # the weight, and the states of its shape
        self._compact: dict[str, Tensor] = {}
        self._versions: list[int] = []  # of the dense tensors, when a step left them
        self._numbers = torch.empty(0)  # one row each: gradient, weight, states
        self._values = nn.Parameter(torch.empty(0))
        self._group: dict[str, Any] = {}
        self._place = -1

    def take(self, optimizer: optim.Optimizer) -> None:
        """Put the vector into its place, where the optimiser, the gradient and the states allow it."""
        gradient = self.weight.grad
        if type(optimizer) not in _ELEMENTWISE or gradient is None or not self._find(optimizer):
            return
        state = optimizer.state.get(self.weight, {})
        plain = type(optimizer) is optim.SGD and not self._group["momentum"]
        if self._group.get("differentiable") or not (state or plain):
            return  # the optimiser makes its own state at the first step
        if not _simple(gradient) or not (self._known(state) or self._learn(state)):
            return
        self._read(gradient)
        optimizer.state[self._values] = {**state, **self._compact}
        self._group["params"][self._place] = self._values
        self.taken = True

    def _find(self, optimizer: optim.Optimizer) -> bool:
        held = self._group.get("params", ())
        if self._place < len(held) and self._place >= 0 and held[self._place] is self.weight:
            return any(group is self._group for group in optimizer.param_groups)
        for group in optimizer.param_groups:
            for place, each in enumerate(group["params"]):
                if each is self.weight:
                    self._group, self._place = group, place
                    return True
        return False

    def _known(self, state: dict[str, Any]) -> bool:
        """Whether weight and state are the tensors that the last step left."""
        for place, (name, each) in enumerate(self._dense.items(), 1):
            if each.data_ptr() != self._addresses[place] or (
                name is not None and state.get(name) is not each
            ):
                return False
        return bool(self._dense)

    def _learn(self, state: dict[str, Any]) -> bool:
        shape, self._versions = self.weight.shape, []
        moving = {name: v for name, v in state.items() if isinstance(v, Tensor) and v.shape == shape}
        self._dense = {None: self.weight, **moving}
        if not all(_simple(each) for each in self._dense.values()):
            self._dense = {}
            return False
        self._numbers = torch.empty(1 + len(self._dense), self.support.places.size)
        self._array = self._numbers.numpy()
        self._addresses = np.array([0, *(each.data_ptr() for each in self._dense.values())])
        self._compact = dict(zip(moving, self._numbers[2:], strict=True))
        self._values = nn.Parameter(self._numbers[1])
        self._values.grad = self._numbers[0]
        return True

    def _read(self, gradient: Tensor) -> None:
        versions = [each._version for each in self._dense.values()]
        self.touched = versions[:1] != self._versions[:1]
        # The weight is read even so: what is written through `.data` has no version.
        count = 2 if versions == self._versions else len(self._addresses)
        self._addresses[0] = gradient.data_ptr()
        kernels().take(self._addresses[:count], self.weight.numel(), self.support.places, self._array)

    def put_back(self, optimizer: optim.Optimizer) -> None:
        """Weight and states as the step left them, in the weight's own tensors."""
        self.taken = False
        self._group["params"][self._place] = self.weight
        stepped = optimizer.state.pop(self._values, {})
        for name, mine in self._compact.items():
            if (moved := stepped.pop(name)) is not mine:
                mine.copy_(moved)
        if stepped:
            optimizer.state[self.weight].update(stepped)
        kernels().put(self._addresses[1:], self.weight.numel(), self.support.places, self._array[1:])
        torch.autograd.graph.increment_version(self._dense.values())
        if self.touched:
            self.weight.masked_fill_(~self.support.mask, 0.0)
        self._versions = [each._version for each in self._dense.values()]


def _simple(tensor: Tensor) -> bool:
    return simple(tensor) and tensor.is_contiguous()
