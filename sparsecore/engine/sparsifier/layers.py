"""Which weights of a model a method sees: found by module type, by glob pattern or by a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

PRUNED_TYPES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
Chooses = Callable[[str, nn.Module], bool]
Selection = str | type | Chooses | Sequence[str | type | Chooses]


@dataclass(frozen=True)
class Layer:
    """One weight tensor of the network.

    name: of the module that holds it; module: that module.
    block: the layer it belongs to for a layerwise budget: itself, or a whole block of modules.
    prunable: whether the method's selection takes it; embeddings are listed but not taken by default.
    group: the budget it shares; None when it is exempt.
    """

    name: str
    module: nn.Module
    weight: nn.Parameter
    block: str
    prunable: bool
    group: str | None = None


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, DistributedDataParallel and DataParallel."""
    while True:
        if isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        elif "_orig_mod" in model._modules:  # torch.compile's wrapper keeps the model under this name
            model = model._orig_mod
        else:
            return model


def find_layers(model: nn.Module, selection: Selection | None, blocks: Sequence[str]) -> list[Layer]:
    """Every weight of two dimensions or more once, in the network's order; a tied one where first seen.

    selection: what is pruned: glob patterns on module names, module types, functions (name, module) → bool,
    or a list of these; None for linear and convolution layers. A tied weight is pruned if any of the modules
    that hold it is chosen by name, type or function, unless None was given: then the first decides.
    """
    rules = _rules(selection)
    found: dict[int, Layer] = {}
    used: set[int] = set()
    for name, module in unwrapped(model).named_modules(remove_duplicate=True):
        weight = module._parameters.get("weight")
        chosen = {i for i, rule in enumerate(rules) if _matches(rule, name, module)}
        if weight is None or weight.ndim < 2:
            continue
        used |= chosen
        first = found.get(id(weight))
        if first is None:
            found[id(weight)] = Layer(name, module, weight, _block_of(name, blocks), bool(chosen))
        elif chosen and selection is not None and not first.prunable:
            found[id(weight)] = Layer(first.name, first.module, weight, first.block, True)
    if selection is not None:
        _refuse_unused([rule for i, rule in enumerate(rules) if i not in used])
    return list(found.values())


def _rules(selection: Selection | None) -> list[str | type | Chooses]:
    if selection is None:
        return list(PRUNED_TYPES)
    if isinstance(selection, str | type) or callable(selection):
        return [selection]
    return list(selection)


def _matches(rule: str | type | Chooses, name: str, module: nn.Module) -> bool:
    if isinstance(rule, str):
        return fnmatchcase(name, rule)
    return isinstance(module, rule) if isinstance(rule, type) else bool(rule(name, module))


def _refuse_unused(rules: Sequence[str | type | Chooses]) -> None:
    for rule in rules:
        if isinstance(rule, str):
            raise ValueError(f"no module with a weight matrix has a name that matches {rule!r}.")


def spared(layers: Sequence[Layer], exempt: Sequence[str]) -> set[str]:
    """The blocks that `exempt` names: the network's "first" and "last", or those that glob patterns match.

    A pattern after a "!" takes back what those before it have named.

    Raises `ValueError` for a pattern that matches nothing.
    """
    blocks = list(dict.fromkeys(layer.block for layer in layers))
    ends = {"first": blocks[:1], "last": blocks[-1:]}
    found: set[str] = set()
    for rule in exempt:
        named = {layer.block for layer in layers if _named(rule.removeprefix("!"), layer)}
        if rule not in ends and not named:
            raise ValueError(
                f'exempt takes "first", "last" and patterns of module names; {rule!r} matches none.'
            )
        found = found - named if rule.startswith("!") else found | set(ends.get(rule, ())) | named
    return found


def _named(rule: str, layer: Layer) -> bool:
    return fnmatchcase(layer.name, rule) or fnmatchcase(layer.block, rule)


def group_shapes(layers: Sequence[Layer]) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the weights that share each budget."""
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for layer in layers:
        if layer.group is not None:
            shapes.setdefault(layer.group, []).append(tuple(layer.weight.shape))
    return shapes


def group_sizes(layers: Sequence[Layer]) -> dict[str, int]:
    """How many weights share each budget."""
    sizes: dict[str, int] = {}
    for layer in layers:
        if layer.group is not None:
            sizes[layer.group] = sizes.get(layer.group, 0) + layer.weight.numel()
    return sizes


def _block_of(name: str, patterns: Sequence[str]) -> str:
    """The outermost module around `name` that a pattern matches, else the module itself."""
    for prefix in _prefixes(name):
        # fnmatch lets * cross dots; a pattern means modules at its own depth only.
        if any(p.count(".") == prefix.count(".") and fnmatchcase(prefix, p) for p in patterns):
            return prefix
    return name


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        yield ".".join(parts[:depth])


def innermost(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser that runs step hooks: Accelerate and Lightning wrap it as `.optimizer`."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    return optimizer


def refuse_strangers(layers: Sequence[Layer], optimizer: torch.optim.Optimizer) -> None:
    """Raise `ValueError` when the optimiser does not hold a weight under the constraint."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    strangers = [layer.name for layer in layers if layer.group is not None and id(layer.weight) not in held]
    if strangers:
        raise ValueError(
            f"the optimiser does not update the weight of {', '.join(strangers)}: pass it the "
            "parameters of the same model, or exclude these layers."
        )
