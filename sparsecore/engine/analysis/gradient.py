"""The gradient of the whole objective at the present weights, with the training left as it was."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

LossClosure = Callable[[], Tensor | Iterable[Tensor]]
"""No argument; the objective as one scalar tensor, or an iterable of scalar tensors that sum to it."""


@dataclass(frozen=True)
class Gradient:
    """∇f at the present weights.

    of: the gradient of each parameter by name, of its shape; zero where the objective does not use it.
    objective: f, in the units of the loss. chunks: how many scalars it came in.
    """

    of: dict[str, Tensor]
    objective: float
    chunks: int


def gradient(parameters: Mapping[str, Tensor], loss_closure: LossClosure) -> Gradient:
    """∇f over all chunks of the closure; each chunk's graph is freed before the next one.

    parameters: leaf tensors that require a gradient, by name. The sum is taken in float32 or wider. No
    `.grad` is written and no accumulation hook runs; hooks of `Tensor.register_hook` act as in training.

    Raises `ValueError` when the closure gives no chunk, one that is no scalar tensor or depends on no
    parameter, and when a gradient is not finite (the parameter is named).

    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> gradient({"w": w}, lambda: (w[i] ** 2 for i in range(2))).of["w"]
    tensor([2., 4.])
    """
    totals = {name: zeros(parameter) for name, parameter in parameters.items()}
    objective, chunks = 0.0, 0
    for loss in losses(loss_closure):
        parts = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for total, part in zip(totals.values(), parts, strict=True):
            if part is not None:
                total += part
        objective, chunks = objective + loss.item(), chunks + 1
    require_finite(totals, "gradient")
    return Gradient(totals, objective, chunks)


def losses(loss_closure: LossClosure) -> Iterator[Tensor]:
    """The closure's scalars one at a time, whether it returns one or yields many; see `gradient`."""
    given = loss_closure()
    count = 0
    for loss in [given] if isinstance(given, Tensor) else given:
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"loss_closure must return scalar tensors; chunk {count} is {shape}.")
        if not loss.requires_grad:
            raise ValueError(
                f"chunk {count} of loss_closure depends on no parameter: was it detached, or computed "
                "outside the closure under torch.no_grad?"
            )
        yield loss
        count += 1
    if count == 0:
        raise ValueError("loss_closure returned no loss: the objective needs at least one chunk.")


def variables(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name: frozen ones (requires_grad False) are constants."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def zeros(parameter: Tensor) -> Tensor:
    """Zeros of the parameter's shape in which many chunks can be summed: half precision would lose them."""
    return torch.zeros_like(
        parameter, dtype=torch.promote_types(parameter.dtype, torch.float32), requires_grad=False
    )


def require_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """A `ValueError` that names the first tensor with a NaN or an infinity."""
    for name, tensor in tensors.items():
        broken = tensor.numel() - int(torch.isfinite(tensor).sum())
        if broken:
            raise ValueError(
                f"the {what} of {name} is not finite in {broken:,} of {tensor.numel():,} entries."
            )


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluate the model as it is, gradients on, and leave no trace: the training is as if it had not been.

    On leaving, also by an error, these are what they were, bit for bit: buffers (BatchNorm's running
    statistics), training or evaluation mode of each module, which tensor each `.grad` is, and the random
    states of torch (CPU and the devices that the model is on), numpy and Python.
    """
    with ExitStack() as stack:
        for restore in _snapshots(model):
            stack.callback(restore)
        # Inside a caller's inference_mode, enable_grad alone records nothing.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        yield


def _snapshots(model: nn.Module) -> Iterator[Callable[[], None]]:
    """One function for each thing to put back."""
    for module in model.modules():
        yield partial(setattr, module, "training", module.training)
        for name, buffer in module.named_buffers(recurse=False):
            yield partial(_put_back, module, name, buffer, buffer.detach().clone())
    for parameter in model.parameters():
        yield partial(setattr, parameter, "grad", parameter.grad)
    yield partial(random.setstate, random.getstate())
    yield partial(np.random.set_state, np.random.get_state())
    yield partial(torch.set_rng_state, torch.get_rng_state())
    for device in {parameter.device for parameter in model.parameters()}:
        if device.type == "cuda":
            yield partial(torch.cuda.set_rng_state, torch.cuda.get_rng_state(device), device)
        elif device.type == "mps":
            yield partial(torch.mps.set_rng_state, torch.mps.get_rng_state())


def _put_back(module: nn.Module, name: str, buffer: Tensor, content: Tensor) -> None:
    # A forward pass may have written into the buffer or put another in its place.
    with torch.no_grad():
        buffer.copy_(content)
    setattr(module, name, buffer)
