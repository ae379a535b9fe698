"""Which weights of a model a method sees: found by module type, by glob pattern or by a function."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import UninitializedTensorMixin
from torch.nn.utils.parametrizations import _SpectralNorm, _WeightNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim.swa_utils import AveragedModel
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from sparsecore.engine.projection.threshold import LAYOUTS

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_SEVERAL = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)  # hold matrices under names of their own
_LOOKUPS = (nn.Embedding, nn.EmbeddingBag)
Chooses = Callable[[str, nn.Module], bool]
Rule = str | type | Chooses
Selection = Rule | Sequence[Rule]


@dataclass(frozen=True)
class Layer:
    """One weight tensor of the network.

    name: of the module that holds it, with the parameter's own name unless that is "weight".
    module: that module. home: where the parameter stands, a module's parameters and the name in them.
    block: the layer it belongs to for a layerwise budget: itself, or a whole block of modules.
    prunable: whether the method's selection takes it; embeddings are listed but not taken by default.
    group: the budget it shares; None when it is exempt.
    floors: the weights that a layer and a row must keep, since their norm divides them.
    last: whether it is used, tied or not, at the output side of the network.
    """

    name: str
    module: nn.Module
    weight: nn.Parameter
    home: tuple[dict[str, nn.Parameter | None], str]
    block: str
    prunable: bool
    group: str | None = None
    floors: tuple[int, int] = (0, 0)
    last: bool = False

    @property
    def present(self) -> nn.Parameter | None:
        """The parameter that stands there now: another than `weight` where somebody has replaced it."""
        parameters, name = self.home
        return parameters.get(name)


@dataclass(frozen=True)
class Matrix:
    """A parameter of two dimensions or more: the module it serves, and whether that is a linear map.

    refused: why a sparsifier cannot hold it; empty where it can.
    """

    name: str
    path: str
    module: nn.Module
    weight: nn.Parameter
    home: tuple[dict[str, nn.Parameter | None], str]
    is_map: bool
    floors: tuple[int, int] = (0, 0)
    refused: str = ""


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, DistributedDataParallel, DataParallel and AveragedModel."""
    while True:
        if isinstance(model, DataParallel | DistributedDataParallel | AveragedModel):
            model = model.module
        elif "_orig_mod" in model._modules:  # torch.compile's wrapper keeps the model under this name
            model = model._orig_mod
        else:
            return model


def matrices(model: nn.Module) -> Iterator[Matrix]:
    """Every parameter of two dimensions or more, in the network's order; a tied one once for each module."""
    for path, module in unwrapped(model).named_modules(remove_duplicate=True):
        if isinstance(module, ParametrizationList):
            continue  # belongs to the module that it computes a weight for
        for name, weight in module._parameters.items():
            if weight is None:
                continue
            if isinstance(weight, UninitializedTensorMixin):
                raise ValueError(f"{path}.{name} has no shape yet: run one batch through the model first.")
            lengths = name.endswith("_g") and f"{name[:-2]}_v" in module._parameters  # of weight_norm
            if weight.ndim >= 2 and not lengths:
                yield _matrix(path, module, name, weight)
        for name, held in getattr(module, "parametrizations", {}).items():
            yield from _parametrized(path, module, name, held)
        if type(module).__module__.startswith("torch.ao.nn.quantized") and hasattr(module, "weight"):
            yield _matrix(path, module, "weight", module.weight())  # packed: no parameter


def _matrix(path: str, module: nn.Module, name: str, weight: nn.Parameter) -> Matrix:
    stem, floors, refused = name, (0, 0), ""
    for hook in module._forward_pre_hooks.values():  # older forms of weight_norm, spectral_norm and pruning
        if isinstance(hook, WeightNorm) and name == f"{hook.name}_v":
            stem, (floors, refused) = hook.name, _weight_norm(hook.dim)
        elif isinstance(hook, SpectralNorm) and name == f"{hook.name}_orig":
            stem, floors = hook.name, (1, 0)
        elif isinstance(hook, BasePruningMethod) and name == f"{hook._tensor_name}_orig":
            stem = hook._tensor_name
            refused = f"torch.nn.utils.prune holds it: call prune.remove(module, {stem!r}) first"
    full = path if stem == "weight" else f"{path}.{stem}".lstrip(".")
    home = module._parameters, name
    return Matrix(full, path, module, weight, home, _is_map(module, stem, weight), floors, refused)


def _parametrized(path: str, module: nn.Module, name: str, held: ParametrizationList) -> Iterator[Matrix]:
    kinds = [type(each) for each in held]
    own, floors, refused = "original" if "original" in held._parameters else "original0", (0, 0), ""
    if kinds == [_WeightNorm]:
        own, (floors, refused) = "original1", _weight_norm(held[0].dim)
    elif kinds == [_SpectralNorm]:
        floors = (1, 0)
    else:
        refused = f"it is computed by {', '.join(kind.__name__ for kind in kinds)}, which may undo zeros"
    weight = held._parameters.get(own)
    if weight is not None and weight.ndim >= 2:
        full = path if name == "weight" else f"{path}.{name}".lstrip(".")
        home = held._parameters, own
        yield Matrix(full, path, module, weight, home, _is_map(module, name, weight), floors, refused)


def _weight_norm(dim: int) -> tuple[tuple[int, int], str]:
    """v/‖v‖ has the zeros of v, but a row without a weight would be 0/0."""
    if dim in (0, -1):
        return ((1, 1) if dim == 0 else (1, 0)), ""
    return (0, 0), f"weight_norm with dim={dim} divides what is no row of it by its norm"


def _is_map(module: nn.Module, name: str, weight: Tensor) -> bool:
    if isinstance(module, (nn.Linear, *_CONVOLUTIONS)) or type(module).__name__ == "Conv1D":
        return name == "weight"
    if isinstance(module, _SEVERAL):
        return "weight" in name
    # Experts stacked in one tensor: transformers names them gate_up_proj and down_proj.
    own = not type(module).__module__.startswith("torch.nn.")
    return own and weight.ndim == 3 and name.endswith(("proj", "weight"))


def find_layers(model: nn.Module, selection: Selection | None, blocks: Sequence[str]) -> list[Layer]:
    """Every weight that can be held, once, in the network's order; a tied one where first seen.

    selection: what is pruned: glob patterns on names of modules or parameters, module types, functions (name,
    module) → bool, or a list of these; None for linear maps: linear and convolution layers, the matrices of
    recurrent layers, attention and stacked experts. A tied weight is pruned if any of the modules that hold
    it is chosen, unless None was given: then the first decides. Weights without gradient are not taken.

    Raises `ValueError` for a rule that chooses nothing and for a chosen weight that cannot be held.
    """
    single = isinstance(selection, str | type) or callable(selection)
    rules: Sequence[Rule] = [selection] if single else selection or ()
    found: dict[int, Layer] = {}
    used: set[int] = set()
    refused: list[str] = []
    last = 0
    for each in matrices(model):
        chosen = {i for i, rule in enumerate(rules) if _matches(rule, each)}
        used |= chosen
        wanted = each.is_map if selection is None else bool(chosen)
        taken, strange = wanted and each.weight.requires_grad, unheld(each.weight)
        if (taken and (each.refused or strange)) or (wanted and strange and selection is not None):
            refused.append(f"{each.name or 'the weight'} ({each.refused or strange})")
        if strange or not (taken or each.is_map or each.name == each.path):
            continue  # frozen weights of a quantised base under adapters, say
        first = found.get(id(each.weight))
        last = id(each.weight)
        if first is None:
            block = _block_of(each.name, blocks)
            layer = Layer(each.name, each.module, each.weight, each.home, block, taken, floors=each.floors)
            found[id(each.weight)] = layer
        elif taken and selection is not None and not first.prunable:
            found[id(each.weight)] = replace(first, prunable=True)
    if refused:
        raise ValueError(f"these weights cannot be constrained: {'; '.join(refused)}.")
    if unused := [rule for i, rule in enumerate(rules) if i not in used]:
        rule = unused[0]
        by = f"the pattern {rule!r}" if isinstance(rule, str) else getattr(rule, "__name__", rule)
        raise ValueError(f"no module with a weight matrix is chosen by {by}.")
    return [replace(layer, last=place == last) for place, layer in found.items()]


def unheld(weight: Tensor) -> str:
    """Return why no projection can hold a tensor (dtype, layout, memory); empty where one can."""
    if weight.is_quantized:
        return f"it is quantised to {weight.dtype}; constrain the network before it is quantised"
    if is_traceable_wrapper_subclass(weight):  # DTensor of FSDP2, quantised ones of torchao
        shards = "; project_(…, group=…) takes its local shards" if type(weight).__name__ == "DTensor" else ""
        return f"a {type(weight).__name__} has no plain numbers in memory of its own{shards}"
    if weight.dtype not in LAYOUTS:
        return f"its dtype is {weight.dtype}; float32, float64, bfloat16 and float16 are possible"
    if weight.layout is not torch.strided:
        return f"its layout is {weight.layout}; strided is possible"
    if weight.is_meta:
        return "it is on the meta device, without memory: materialise the model first"
    return "" if weight.numel() else "it is empty here: sharded by FSDP or ZeRO, it must be gathered"


def _matches(rule: Rule, each: Matrix) -> bool:
    if isinstance(rule, str):
        return fnmatchcase(each.path, rule) or fnmatchcase(each.name, rule)
    return isinstance(each.module, rule) if isinstance(rule, type) else bool(rule(each.path, each.module))


def spared(layers: Sequence[Layer], exempt: Sequence[str]) -> set[str]:
    """The blocks that `exempt` names: the network's "first" and "last", or those that glob patterns match.

    A pattern after a "!" takes back what those before it have named.

    Raises `ValueError` for a pattern that matches nothing.
    """
    blocks = list(dict.fromkeys(layer.block for layer in layers))
    outputs = [layer.block for layer in layers if layer.last]
    ends = {"first": blocks[:1], "last": outputs or blocks[-1:]}
    found: set[str] = set()
    for rule in exempt:
        pattern = rule.removeprefix("!")
        named = {x.block for x in layers if fnmatchcase(x.name, pattern) or fnmatchcase(x.block, pattern)}
        if rule not in ends and not named:
            raise ValueError(
                f'exempt takes "first", "last" and patterns of module names; {rule!r} matches none.'
            )
        found = found - named if rule.startswith("!") else found | set(ends.get(rule, ())) | named
    return found


def group_members(layers: Sequence[Layer]) -> dict[str, list[int]]:
    """The places of the layers that share each budget."""
    members: dict[str, list[int]] = {}
    for place, layer in enumerate(layers):
        if layer.group is not None:
            members.setdefault(layer.group, []).append(place)
    return members


def group_shapes(layers: Sequence[Layer]) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the weights that share each budget."""
    members = group_members(layers)
    return {group: [tuple(layers[place].weight.shape) for place in members[group]] for group in members}


def group_sizes(layers: Sequence[Layer]) -> dict[str, int]:
    """How many weights share each budget."""
    return {group: sum(map(math.prod, shapes)) for group, shapes in group_shapes(layers).items()}


def _block_of(name: str, patterns: Sequence[str]) -> str:
    """The outermost module around `name` that a pattern matches, else the module itself."""
    for prefix in accumulate(name.split("."), "{}.{}".format):
        # fnmatch lets * cross dots; a pattern means modules at its own depth only.
        if any(p.count(".") == prefix.count(".") and fnmatchcase(prefix, p) for p in patterns):
            return prefix
    return name
