"""The product of a batch with a matrix of fixed support, for autograd; only non-zeros get a gradient."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional

_ROUNDS = 7  # of a measurement; their median varies by a few per cent
_TILE = 64  # rows of a batch, as the kernels' LANES


class Kernels(NamedTuple):
    """The functions of `sparse_kernels`."""

    forward: Callable[..., int]
    backward: Callable[..., int]
    take: Callable[..., None]
    put: Callable[..., None]


@functools.cache
def kernels() -> Kernels:
    """Not before they are needed: numba takes half a second to import, and more to compile at first."""
    from sparsecore.engine.compiled import compiled
    from sparsecore.engine.frozen import kernels as sparse_kernels

    return Kernels(*compiled(sparse_kernels, Kernels._fields, "float32"))


class Support:
    """The True places of a matrix, row by row and column by column.

    places: where they are in the flat matrix, int32, ascending.
    """

    def __init__(self, mask: Tensor) -> None:
        held = mask.cpu().numpy()
        rows, columns = np.nonzero(held)
        self.shape = height, width = held.shape
        self.mask = mask
        self.columns = columns.astype(np.int32)
        self.places = (rows * width + columns).astype(np.int32)
        self.starts = np.searchsorted(rows, np.arange(height + 1)).astype(np.int64)
        order = np.argsort(columns, kind="stable")
        self.rows = rows[order].astype(np.int32)
        self.places_by_column = self.places[order]
        self.starts_by_column = np.searchsorted(columns[order], np.arange(width + 1)).astype(np.int64)
        self.sampled: int | None = None  # the address of a gradient that has only non-zeros of the support


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, support: Support) -> Tensor:
        (batch, width), height = x.shape, support.shape[0]
        rows = x.contiguous()
        y = x.new_empty(batch, height)
        tiles = x.new_empty(-(-batch // _TILE) * _TILE * width)
        kernels().forward(
            *(support.starts, support.columns, support.places, weight.data_ptr()),
            *(0 if bias is None else bias.data_ptr(), rows.data_ptr(), tiles.data_ptr(), y.data_ptr()),
            *(batch, width),
        )
        ctx.save_for_backward(x, weight, tiles)
        ctx.support = support
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None]:
        x, weight, tiles = ctx.saved_tensors
        support: Support = ctx.support
        needs_x, _, needs_bias, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():  # the gradient will be differentiated itself
            dweight = (dy.t() @ x) * support.mask
            return dy @ weight if needs_x else None, dweight, dy.sum(0) if needs_bias else None, None
        batch, height = dy.shape
        dy = dy.contiguous()
        dx = torch.empty_like(x, memory_format=torch.contiguous_format) if needs_x else None
        dweight, dbias = torch.zeros_like(weight), dy.new_empty(height) if needs_bias else None
        kernels().backward(
            *(support.starts_by_column, support.rows, support.places_by_column, weight.data_ptr()),
            *(tiles.data_ptr(), dy.data_ptr(), 0 if dx is None else dx.data_ptr(), dweight.data_ptr()),
            *(0 if dbias is None else dbias.data_ptr(), batch, height),
        )
        support.sampled = dweight.data_ptr()
        return dx, dweight, dbias, None


def sparse_linear(x: Tensor, weight: Tensor, bias: Tensor | None, support: Support) -> Tensor:
    """x Wᵀ + b for x (..., width) and a contiguous W (height, width), read on its support alone."""
    support.sampled = None
    if x.dim() == 2:
        return _Product.apply(x, weight, bias, support)
    rows = x.reshape(-1, x.shape[-1])
    return _Product.apply(rows, weight, bias, support).view(*x.shape[:-1], support.shape[0])


def supported(x: Tensor, weight: Tensor) -> bool:
    """Whether `sparse_linear` can take this step; what it cannot do stays dense."""
    return (
        not torch.compiler.is_compiling()
        and (type(x) is Tensor or type(x) is torch.nn.Parameter)
        and torch.is_grad_enabled()
        and weight.requires_grad
        and simple(x)
        and x.numel() > 0
        and x.shape[-1] == weight.shape[1]
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
        and not torch._C._get_tracing_state()
    )


def simple(tensor: Tensor) -> bool:
    """Whether the kernels can read it, made contiguous if need be."""
    return tensor.dtype is torch.float32 and tensor.is_cpu and tensor.layout is torch.strided


def measure(x: Tensor, weight: Tensor, bias: Tensor | None, support: Support) -> dict[str, float]:
    """Milliseconds of forward and backward of this layer alone, with CSR products and dense masked."""
    x = x.detach().requires_grad_(x.requires_grad)
    parameters = [each.detach().requires_grad_() for each in (weight, bias) if each is not None]
    given = [x, *parameters] if x.requires_grad else parameters
    ways: dict[str, Callable[..., Tensor]] = {
        "csr": lambda *parts: sparse_linear(x, parts[0], parts[1] if parts[1:] else None, support),
        "dense": lambda *parts: functional.linear(x, *parts),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(_ROUNDS + 1):
        for way, product in ways.items():
            began = time.perf_counter()
            y = product(*parameters)
            found = torch.autograd.grad(y, given, y.detach())
            if way == "dense":
                _ = found[len(given) - len(parameters)] * support.mask
            times[way].append(time.perf_counter() - began)
    support.sampled = None
    return {way: 1e3 * float(np.median(each[1:])) for way, each in times.items()}  # the first one compiles
