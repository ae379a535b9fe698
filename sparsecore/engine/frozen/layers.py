"""Layers with a fixed support: pruned weights get no gradient, keep no optimiser state, and stay zero."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsecore.engine.frozen.linear import Support, measure, simple, sparse_linear, supported
from sparsecore.engine.frozen.step import CompactStep

Path = Literal["csr", "dense"]
# Outside these no CSR product is faster, and none is compiled to find out.
_SMALLEST = 4096  # weights
_DENSEST = 0.3


class FrozenLayer:
    """A module's weight with a fixed support; `forward` is the module's forward.

    path: how a training step computes it; None until that was measured. milliseconds: of both ways, then.
    A copy of the module alone is an ordinary module: only `FrozenLayers` makes its layers act.
    """

    def __init__(self, module: nn.Module, weight: nn.Parameter, mask: Tensor) -> None:
        self.module, self.weight, self.mask = module, weight, mask.clone()
        self.path: Path | None = None if self._sparse_enough() else "dense"
        self.milliseconds: dict[str, float] = {}
        self.acting = self.lifting = False
        self._support: Support | None = None
        self._read: tuple[int, int] | None = None  # where weight and bias are that can be read
        self.step: CompactStep | None = None
        self._handle: Any = None
        self._batch: tuple[torch.Size, bool] | None = None  # of the first training batch, till it is measured

    def _sparse_enough(self) -> bool:
        forward = self.module.__dict__.get("forward")
        mine = getattr(forward, "__self__", None)
        ordinary = forward is None or (isinstance(mine, FrozenLayer) and not mine.acting)
        size = self.weight.numel()
        return (
            isinstance(self.module, nn.Linear)
            and type(self.module).forward is nn.Linear.forward
            and ordinary
            and self.module._parameters.get("weight") is self.weight
            and self.weight.dtype is torch.float32
            and self.weight.is_cpu
            and _SMALLEST <= size < 2**31
            and int(self.mask.count_nonzero()) <= _DENSEST * size
        )

    def begin(self) -> None:
        """Act on the module and on the gradient of its weight."""
        self.acting = True
        self._handle = self.weight.register_hook(self._masked)
        self._install()

    def _install(self) -> None:
        """The module's own forward where it computes densely, this one elsewhere."""
        forward = self.module.__dict__.get("forward")
        if self.acting and self.path != "dense":
            self.module.forward = self.forward
        elif isinstance(getattr(forward, "__self__", None), FrozenLayer):
            del self.module.forward

    def end(self) -> None:
        """An ordinary module again."""
        self.acting = False
        if self._handle is not None:
            self._handle.remove()
        self._handle = self.step = None
        self._install()

    def choose(self, path: Path | None, milliseconds: dict[str, float]) -> None:
        """Compute this way from here on."""
        self.path, self.milliseconds = path, dict(milliseconds)
        self.step = CompactStep(self.weight, self.support) if path == "csr" else None
        self._install()

    @property
    def support(self) -> Support:
        if self._support is None:
            self._support = Support(self.mask)
        return self._support

    def forward(self, input: Tensor) -> Tensor:
        """The module's forward."""
        if torch.jit.is_scripting():  # compiled as the module's own method, so that `self` is the module
            return functional.linear(input, self.weight, self.bias)
        else:  # noqa: RET505 - the compiler reads only one of the branches
            return self._computed(input)

    def _computed(self, input: Tensor) -> Tensor:
        module = self.module
        if (
            self.acting
            and not self.lifting
            and module.training
            and module.weight is self.weight
            and supported(input, self.weight)
            and self._readable(module.bias)
        ):
            if self.path == "csr":
                return sparse_linear(input, self.weight, module.bias, self.support)
            if self.path is None:
                self._batch = input.shape, input.requires_grad
        return type(module).forward(module, input)

    def measured(self) -> None:
        """Choose the faster way for a batch like the last one.

        Between steps: what is computed inside a forward pass would be seen by activation checkpointing.
        """
        if self.path is None and self._batch is not None:
            shape, needs_gradient = self._batch
            with torch.enable_grad():
                x = torch.ones(shape, requires_grad=needs_gradient)
                times = measure(x, self.weight, self.module.bias, self.support)
            self.choose("csr" if times["csr"] < times["dense"] else "dense", times)

    def _readable(self, bias: Tensor | None) -> bool:
        """Whether weight and bias are such that the kernels can read them."""
        now = self.weight.data_ptr(), 0 if bias is None else bias.data_ptr()
        if now != self._read:  # another memory: by .to(), say
            held = [each for each in (self.weight, bias) if each is not None]
            self._read = now if all(simple(each) and each.is_contiguous() for each in held) else None
        return now == self._read

    def _masked(self, gradient: Tensor) -> Tensor:
        if self.lifting:
            return gradient
        if self._support is not None:
            sampled, self._support.sampled = self._support.sampled, None
            if sampled == gradient.data_ptr() and gradient._version == 0:
                return gradient  # of the non-zeros alone already; a sum with another would have a version
        return gradient * self.mask

    def __getstate__(self) -> dict[str, Any]:
        gone = dict.fromkeys(("_handle", "_support", "_read", "_batch", "step"))
        return self.__dict__ | gone | {"acting": False}


class FrozenLayers:
    """The layers of a model with a fixed support.

    modules: of each layer the module, its weight, and a boolean mask of the weight's shape, True where it is
    in the support. Pruned weights, their gradients and what `optimizer` remembers of them are zero from here
    on. A linear layer is computed with CSR products, and stepped by its non-zeros alone, where its first
    training batch shows that to be faster. A copy or a pickle stays frozen together with its weights.
    """

    def __init__(
        self, modules: Sequence[tuple[nn.Module, nn.Parameter, Tensor]], optimizer: torch.optim.Optimizer
    ) -> None:
        self.layers = [FrozenLayer(*each) for each in modules]
        self.optimizer = optimizer
        self._handle: Any = None
        for layer in self.layers:
            layer.weight.detach().masked_fill_(~layer.mask, 0.0)
            mask_optimizer_state(optimizer, layer.weight, layer.mask)
        self._hook()

    def _hook(self) -> None:
        for layer in self.layers:
            layer.begin()
        self._handle = self.optimizer.register_step_pre_hook(partial(_before_step, self.layers))

    @torch.no_grad()
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make pruned weights exactly 0 again: weight decay of some optimisers moves them."""
        for layer in self.layers:
            if layer.step is not None and layer.step.taken:
                layer.step.put_back(optimizer)
            else:
                layer.weight.masked_fill_(~layer.mask, 0.0)
            layer.measured()

    @torch.no_grad()
    def hold(self, old: nn.Parameter, new: nn.Parameter) -> None:
        """Act on the parameter that has taken the place of another."""
        for layer in self.layers:
            if layer.weight is old:
                layer.end()
                layer.weight, layer.mask, layer._support = new, layer.mask.to(new.device), None
                if new.grad is not None:
                    new.grad.masked_fill_(~layer.mask, 0.0)
                layer.choose(layer.path, layer.milliseconds)
                layer.begin()

    def report(self) -> list[dict[str, Any]]:
        """Of each layer how it is computed, "csr" or "dense", None while that is open, and why.

        milliseconds: of forward and backward both ways, empty where nothing was measured; ratio: CSR over
        dense, None then.
        """
        found = []
        for layer in self.layers:
            times = dict(layer.milliseconds)
            ratio = times["csr"] / times["dense"] if times else None
            found.append({"path": layer.path, "milliseconds": times, "ratio": ratio})
        return found

    def choose(self, report: Sequence[dict[str, Any]]) -> None:
        """Go on as a `report` of the same layers says, without measuring again."""
        for layer, row in zip(self.layers, report, strict=True):
            layer.choose(row["path"], row["milliseconds"])

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """For a while, gradients of pruned weights are computed as if nothing were frozen."""
        for layer in self.layers:
            layer.lifting = True
        try:
            yield
        finally:
            for layer in self.layers:
                layer.lifting = False

    def release(self) -> None:
        """Back to ordinary layers."""
        self._handle.remove()
        for layer in self.layers:
            layer.end()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for layer in self.layers:
            layer.choose(layer.path, layer.milliseconds)
        self._hook()


@torch.no_grad()
def _before_step(
    layers: Sequence[FrozenLayer],
    optimizer: torch.optim.Optimizer,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    steps = [layer.step for layer in layers if layer.step is not None]
    for step in steps:
        if step.taken:  # an error ended the step before
            step.put_back(optimizer)
    if any(callable(each) for each in (*args[1:], *kwargs.values())):
        return  # a closure computes gradients of the weights themselves
    for step in steps:
        step.take(optimizer)


@torch.no_grad()
def mask_optimizer_state(optimizer: torch.optim.Optimizer, weight: nn.Parameter, mask: Tensor) -> None:
    """Zero what the optimiser remembers of pruned weights: every state tensor of the weight's shape."""
    for state in optimizer.state.get(weight, {}).values():
        if isinstance(state, Tensor) and state.shape == weight.shape:
            state.masked_fill_(~mask, 0.0)
