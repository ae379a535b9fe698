"""Gradient and largest curvature of the objective at the present weights; training is left as it was."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

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


# -- curvature ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curvature:
    """The largest |eigenvalue| of the Hessian of the objective at the present weights; `float()` gives it.

    value: in units of the objective per squared unit of weight, at least 0, and neared from below.
    residual: ‖H²v − μv‖/μ for the last unit vector v but one, μ = ‖Hv‖²: some eigenvalue λ of H has λ² within
    residual·μ of μ (0 where H vanishes, infinite after a single iteration).
    settled: whether the residual came down to the tolerance. iterations: Hessian-vector products computed.
    """

    value: float
    residual: float
    settled: bool
    iterations: int

    def __float__(self) -> float:
        return self.value


def lipschitz(
    model: nn.Module,
    loss_closure: LossClosure,
    iterations: int = 100,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Curvature:
    """The largest |eigenvalue| of the Hessian at the present weights, by power iteration.

    For a quadratic objective this is L(f), the Lipschitz constant of ∇f; otherwise only the local one, a
    lower bound on it. ‖Hv‖ of the iterates never falls, so a pair of eigenvalues ±λ does no harm.

    loss_closure: as in `stationarity`; it is called once an iteration, always with the same random numbers
    and as a double backward pass per chunk. Scaled dot-product attention takes its plain form meanwhile,
    since the fused ones cannot be differentiated twice.
    iterations: the maximum of Hessian-vector products, at least 1. tolerance: relative, on the residual
    (see `Curvature`), at least 0. seed: of the first vector, which is random normal.

    The training is left as it was, see `untouched`. Raises `ValueError` for values outside
    these, a broken closure, and a product that is not finite. Pearlmutter (1994), "Fast exact
    multiplication by the Hessian".

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> rows = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    >>> found = lipschitz(layer, lambda: 0.5 * layer(rows).square().sum())
    >>> round(float(found), 3), found.settled
    (9.0, True)
    """
    _check(iterations, tolerance)
    chosen = variables(model)
    if not chosen:
        raise ValueError("there is no parameter that requires a gradient: the Hessian would be empty.")
    vector, previous = _first_vector(chosen, seed), None
    value, residual, done = 0.0, math.inf, 0
    while done < iterations and residual > tolerance:
        with untouched(model), sdpa_kernel(SDPBackend.MATH):
            product = _hessian_times(chosen, vector, loss_closure)
        done, before, value = done + 1, value, _norm(product)
        if value == 0:
            residual = 0.0
            break
        if previous is not None:
            # vector is Hu/σ for the u and σ = ‖Hu‖ of the round before, so this is ‖H²u − σ²u‖/σ².
            residual = _norm([h / before - u for h, u in zip(product, previous, strict=True)])
        previous, vector = vector, [h / value for h in product]
    return Curvature(value, residual, residual <= tolerance, done)


def _check(iterations: int, tolerance: float) -> None:
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
        raise ValueError(f"iterations must be a whole number of at least 1; got {iterations!r}.")
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be at least 0 and finite; got {tolerance!r}.")


def _first_vector(parameters: Mapping[str, Tensor], seed: int) -> list[Tensor]:
    # A generator of its own on the CPU: the same vector on every device, and torch's own is left alone.
    source = torch.Generator().manual_seed(seed)
    vector = [
        torch.randn(p.shape, generator=source, dtype=torch.float64).to(device=p.device, dtype=zeros(p).dtype)
        for p in parameters.values()
    ]
    length = _norm(vector)
    return [part / length for part in vector]


def _norm(parts: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(part.double().square().sum()) for part in parts))


def _hessian_times(
    parameters: Mapping[str, Tensor], vector: Sequence[Tensor], loss_closure: LossClosure
) -> list[Tensor]:
    """Hv, summed over the chunks."""
    leaves = list(parameters.values())
    totals = {name: zeros(parameter) for name, parameter in parameters.items()}
    for loss in losses(loss_closure):
        slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        # A gradient that does not depend on the weights (a linear term) adds nothing to the Hessian.
        pairs = zip(slopes, vector, strict=True)
        terms = [(g * v.to(g.dtype)).sum() for g, v in pairs if g is not None and g.requires_grad]
        parts = torch.autograd.grad(sum(terms), leaves, allow_unused=True) if terms else ()
        for total, part in zip(totals.values(), parts, strict=bool(terms)):
            if part is not None:
                total += part
    require_finite(totals, "Hessian-vector product")
    return list(totals.values())
