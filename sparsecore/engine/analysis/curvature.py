"""How fast the gradient turns at the present weights: the largest curvature, a local Lipschitz constant."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sparsecore.engine.analysis.gradient import (
    LossClosure,
    losses,
    require_finite,
    untouched,
    variables,
    zeros,
)


@dataclass(frozen=True)
class Curvature:
    """The largest |eigenvalue| of the Hessian of the objective at the present weights; `float()` gives it.

    value: in units of the objective per squared unit of weight, at least 0, and neared from below.
    residual: ‖H²v − μv‖/μ for the last unit vector v but one, μ = ‖Hv‖²: some eigenvalue λ of H has λ² within
    residual·μ of μ (0 where H vanishes, infinite after a single iteration).
    settled: whether the residual came down to the tolerance. iterations: Hessian-vector products computed.
    chunks: losses differentiated twice, in all. seconds: of wall time.
    """

    value: float
    residual: float
    settled: bool
    iterations: int
    chunks: int
    seconds: float

    def __float__(self) -> float:
        return self.value


def lipschitz(
    model: nn.Module,
    loss_closure: LossClosure,
    parameters: Iterable[Tensor] | None = None,
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
    parameters: the variables; by default every parameter of the model that requires a gradient.
    iterations: the maximum of Hessian-vector products, at least 1. tolerance: relative, on the residual
    (see `Curvature`), at least 0. seed: of the first vector, which is random normal.

    The training is left as it was, see `gradient.untouched`. Raises `ValueError` for
    values outside these, a broken closure, and a product that is not finite. Pearlmutter (1994), "Fast exact
    multiplication by the Hessian".

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> rows = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    >>> found = lipschitz(layer, lambda: 0.5 * layer(rows).square().sum())
    >>> round(float(found), 3), found.settled
    (9.0, True)
    """
    _check(iterations, tolerance)
    chosen = _named(model, parameters)
    began = time.perf_counter()
    vector, previous = _first_vector(chosen, seed), None
    value, residual, chunks, done = 0.0, math.inf, 0, 0
    while done < iterations and residual > tolerance:
        with untouched(model), sdpa_kernel(SDPBackend.MATH):
            product, count = _hessian_times(chosen, vector, loss_closure)
        done, chunks, before, value = done + 1, chunks + count, value, _norm(product)
        if value == 0:
            residual = 0.0
            break
        if previous is not None:
            # vector is Hu/σ for the u and σ = ‖Hu‖ of the round before, so this is ‖H²u − σ²u‖/σ².
            residual = _norm([h / before - u for h, u in zip(product, previous, strict=True)])
        previous, vector = vector, [h / value for h in product]
    seconds = time.perf_counter() - began
    return Curvature(value, residual, residual <= tolerance, done, chunks, seconds)


def _check(iterations: int, tolerance: float) -> None:
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
        raise ValueError(f"iterations must be a whole number of at least 1; got {iterations!r}.")
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be at least 0 and finite; got {tolerance!r}.")


def _named(model: nn.Module, parameters: Iterable[Tensor] | None) -> dict[str, Tensor]:
    if parameters is None:
        chosen = dict(variables(model))
    else:
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        chosen = {names.get(id(p), f"parameter {place}"): p for place, p in enumerate(parameters)}
    if not chosen:
        raise ValueError("there is no parameter that requires a gradient: the Hessian would be empty.")
    for name, parameter in chosen.items():
        if not parameter.requires_grad:
            raise ValueError(f"{name} does not require a gradient, so it cannot be a variable.")
    return chosen


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
) -> tuple[list[Tensor], int]:
    """Hv, summed over the chunks, and their number."""
    leaves = list(parameters.values())
    totals = {name: zeros(parameter) for name, parameter in parameters.items()}
    chunks = 0
    for loss in losses(loss_closure):
        slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        # A gradient that does not depend on the weights (a linear term) adds nothing to the Hessian.
        pairs = zip(slopes, vector, strict=True)
        terms = [(g * v.to(g.dtype)).sum() for g, v in pairs if g is not None and g.requires_grad]
        parts = torch.autograd.grad(sum(terms), leaves, allow_unused=True) if terms else ()
        for total, part in zip(totals.values(), parts, strict=bool(terms)):
            if part is not None:
                total += part
        chunks += 1
    require_finite(totals, "Hessian-vector product")
    return list(totals.values()), chunks
