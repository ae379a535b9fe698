"""How far the present weights are from what an optimum under ‖w‖₀ ≤ s must satisfy."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparsecore.engine.analysis.derivatives import (
    Gradient,
    LossClosure,
    gradient,
    require_finite,
    untouched,
    variables,
)
from sparsecore.engine.analysis.derivatives import lipschitz as estimate_lipschitz
from sparsecore.engine.sparsifier.base import Sparsifier

# The rounding of a float32 gradient of a mean loss is about 1e-7; a hundred times that is no longer rounding.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class GroupCertificate:
    """The optimality conditions of the weights w under one budget ‖w‖₀ ≤ s.

    Gradients are in units of the objective per unit of weight, `smallest_lipschitz` per squared unit.

    weights: K. budget: s. nonzeros: ‖w‖₀, counted in the weights themselves.
    max_gradient_on: the largest |∇ᵢf| where wᵢ ≠ 0. max_gradient_off: where wᵢ = 0, be it that the mask keeps
    the zero. With s = K nothing is constrained, and every position counts as on the support.
    threshold: M_s(w), the s-th largest |wᵢ|; 0 when ‖w‖₀ < s, infinite for s = 0.
    smallest_lipschitz: the least L for which |∇ᵢf| ≤ L·M_s off the support: max_gradient_off / M_s; 0 when
    max_gradient_off is 0, infinite when only M_s is 0 or when ‖w‖₀ > s.
    lipschitz_bound: L·M_s for the L given, None without. within_bound: max_gradient_off ≤ lipschitz_bound.
    residual: the largest |∇ᵢf| among those that vanish at a basic feasible point: on the support, and off it
    too when ‖w‖₀ < s.
    feasible: ‖w‖₀ ≤ s. basic_feasible: feasible, and residual ≤ tolerance.
    """

    weights: int
    budget: int
    nonzeros: int
    max_gradient_on: float
    max_gradient_off: float
    threshold: float
    smallest_lipschitz: float
    lipschitz_bound: float | None
    within_bound: bool | None
    residual: float
    feasible: bool
    basic_feasible: bool


@dataclass(frozen=True)
class Certificate:
    """What `stationarity` found: the conditions of each group, and of all together.

    groups: by the name of the budget. max_gradient_on, max_gradient_off, smallest_lipschitz: the largest over
    the groups; the feasible set is the product of the groups', so each condition holds for all if it holds
    for each. max_gradient_free: the largest |∇ᵢf| of the parameters under no constraint (biases, norms,
    exempt layers), which vanishes at a stationary point; 0 without such.
    residual: the largest of the groups' residuals and max_gradient_free. relative_residual: it divided by the
    largest |∇ᵢf| of all, from 0 to 1, without unit: 1 says that what must vanish is as large as anything.
    tolerance: on the residual, absolute. lipschitz: the L given or estimated, None without.
    feasible: every group is. basic_feasible: feasible, and residual ≤ tolerance.
    l_stationary: basic feasible, and |∇ᵢf| ≤ L·M_s + tolerance off every support; None without L.
    objective: f. chunks: the scalars it came in. seconds: of wall time, an estimate of L included.
    """

    groups: dict[str, GroupCertificate]
    max_gradient_on: float
    max_gradient_off: float
    max_gradient_free: float
    smallest_lipschitz: float
    residual: float
    relative_residual: float
    tolerance: float
    lipschitz: float | None
    feasible: bool
    basic_feasible: bool
    l_stationary: bool | None
    objective: float
    chunks: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """All of it as plain values for JSON; None for an infinite number."""
        return _plain(asdict(self))


def stationarity(
    model: nn.Module,
    loss_closure: LossClosure,
    sparsifier: Sparsifier,
    *,
    tolerance: float = TOLERANCE,
    lipschitz: float | Literal["estimate"] | None = None,
) -> Certificate:
    """Evaluate ∇f at the present weights and hold it against the conditions of Beck & Eldar (2013).

    A basic feasible point (section 2.1) has ∇ᵢf = 0 on its support, and everywhere when ‖w‖₀ < s. An
    L-stationary point (section 2.2) is a fixed point of w ← H_s(w − ∇f/L): |∇ᵢf| ≤ L·M_s(w) off the support
    and 0 on it. An optimum is L-stationary for every L > L(f). The support is where w is not 0; the
    sparsifier's masks are not read, so that zeros which a mask keeps count as the definition has them.

    loss_closure: called without arguments; returns the objective over all data as a scalar tensor, or an
    iterable (a generator) of scalar tensors that sum to it. Each is differentiated at once: memory is that
    of one chunk. In training mode dropout and BatchNorm act as they do in training.
    sparsifier: attached to this model; any `Sparsifier`. tolerance: at least 0, absolute, in units of the
    objective per unit of weight. lipschitz: L, positive; "estimate" takes the largest |eigenvalue| of the
    Hessian at these weights (`sparsecore.engine.analysis.derivatives.lipschitz`), a local value.

    The training is left as it was, see `untouched`. Raises `ValueError` for values outside these, a
    sparsifier that is attached to nothing or to another model, weights that require no gradient, a broken
    closure, and a gradient or weight that is not finite, which it names. A frozen support is lifted
    meanwhile, so that gradients off it are seen.

    >>> from sparsecore.engine.methods.hard_threshold import HardThreshold
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> sparsifier = HardThreshold(0.5).attach(layer, torch.optim.SGD(layer.parameters()))
    >>> nn.init.zeros_(layer.weight).data[0, 0] = 3.0
    >>> target = torch.tensor([[3.0, 2.0]])
    >>> found = stationarity(layer, lambda: 0.5 * (layer.weight - target).square().sum(), sparsifier)
    >>> found.basic_feasible, found.max_gradient_off, round(found.smallest_lipschitz, 3)
    (True, 2.0, 0.667)
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be at least 0 and finite; got {tolerance!r}.")
    known = lipschitz is None or lipschitz == "estimate"
    if not known and (isinstance(lipschitz, str) or not 0 < lipschitz < math.inf):
        raise ValueError(f"lipschitz must be positive and finite, 'estimate' or None; got {lipschitz!r}.")
    trained = variables(model)
    members = _constrained(trained, sparsifier)
    began = time.perf_counter()
    if lipschitz == "estimate":
        lipschitz = float(estimate_lipschitz(model, loss_closure))
    frozen = sparsifier.frozen
    with untouched(model), nullcontext() if frozen is None else frozen.lifted():
        evaluated = gradient(trained, loss_closure)
    budgets = sparsifier.budgets()
    groups = {
        group: _group_certificate(
            [trained[name].detach() for name in names],
            [evaluated.of[name] for name in names],
            budgets[group],
            tolerance,
            lipschitz,
        )
        for group, names in members.items()
    }
    held = {name for names in members.values() for name in names}
    slopes = [slope.abs() for name, slope in evaluated.of.items() if name not in held]
    free = max(map(_largest, slopes), default=0.0)
    return _overall(groups, free, evaluated, tolerance, lipschitz, began)


def _constrained(trained: Mapping[str, Tensor], sparsifier: Sparsifier) -> dict[str, list[str]]:
    """The names of the parameters under each budget."""
    if not sparsifier.layers:
        raise ValueError("the sparsifier is not attached: call attach() with the model first.")
    names = {id(parameter): name for name, parameter in trained.items()}
    for layer in sparsifier.layers:
        if layer.group is not None and id(layer.weight) not in names:
            raise ValueError(
                f"the weight of {layer.name} is not a trained parameter of this model: the sparsifier is "
                "attached to another model, or the weight requires no gradient."
            )
    require_finite(trained, "weight")
    return {
        group: [names[id(sparsifier.layers[place].weight)] for place in places]
        for group, places in sparsifier.members().items()
    }


def _group_certificate(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    budget: int,
    tolerance: float,
    lipschitz: float | None,
) -> GroupCertificate:
    count = sum(weight.numel() for weight in weights)
    supports = [
        weight != 0 if budget < count else torch.ones_like(weight, dtype=torch.bool) for weight in weights
    ]
    sizes = [g.abs() for g in gradients]
    # Zeros in place of what is left out: cheaper than to gather the rest, and the maximum is the same.
    on = max(_largest(g.masked_fill(~support, 0.0)) for g, support in zip(sizes, supports, strict=True))
    off = max(_largest(g.masked_fill(support, 0.0)) for g, support in zip(sizes, supports, strict=True))
    nonzeros = sum(int(weight.count_nonzero()) for weight in weights)
    threshold = _nth_largest(weights, nonzeros, budget)
    feasible = nonzeros <= budget
    residual = max(on, off) if nonzeros < budget else on
    bound = None
    if lipschitz is not None:
        bound = lipschitz * threshold if budget else math.inf
    return GroupCertificate(
        weights=count,
        budget=budget,
        nonzeros=nonzeros,
        max_gradient_on=on,
        max_gradient_off=off,
        threshold=threshold,
        smallest_lipschitz=_ratio(off, threshold) if feasible else math.inf,
        lipschitz_bound=bound,
        within_bound=None if bound is None else off <= bound,
        residual=residual,
        feasible=feasible,
        basic_feasible=feasible and residual <= tolerance,
    )


def _largest(sizes: Tensor) -> float:
    return float(sizes.max()) if sizes.numel() else 0.0


def _ratio(gradient: float, threshold: float) -> float:
    if gradient == 0:
        return 0.0
    return gradient / threshold if threshold else math.inf


def _nth_largest(weights: Sequence[Tensor], nonzeros: int, budget: int) -> float:
    """M_s(w)."""
    if budget == 0:
        return math.inf
    if nonzeros < budget:
        return 0.0
    if nonzeros == budget:
        return min(float(w.abs().masked_fill(w == 0, math.inf).min()) for w in weights if w.numel())
    magnitudes = torch.cat([weight[weight != 0].abs().double().cpu() for weight in weights])
    return float(magnitudes.topk(budget, sorted=False).values.min())


def _overall(
    groups: dict[str, GroupCertificate],
    free: float,
    evaluated: Gradient,
    tolerance: float,
    lipschitz: float | None,
    began: float,
) -> Certificate:
    worst = {
        name: max(getattr(group, name) for group in groups.values())
        for name in ("max_gradient_on", "max_gradient_off", "smallest_lipschitz", "residual")
    }
    largest = max(free, worst["max_gradient_on"], worst["max_gradient_off"])
    worst["residual"] = residual = max(free, worst["residual"])
    feasible = all(g.feasible for g in groups.values())
    basic_feasible = feasible and residual <= tolerance
    stationary = None
    if lipschitz is not None:
        bounds = (g.max_gradient_off <= g.lipschitz_bound + tolerance for g in groups.values())
        stationary = basic_feasible and all(bounds)
    return Certificate(
        **worst,
        groups=groups,
        max_gradient_free=free,
        relative_residual=residual / largest if largest else 0.0,
        tolerance=tolerance,
        lipschitz=lipschitz,
        feasible=feasible,
        basic_feasible=basic_feasible,
        l_stationary=stationary,
        objective=evaluated.objective,
        chunks=evaluated.chunks,
        seconds=time.perf_counter() - began,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
