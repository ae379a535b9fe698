"""Where a sparsifier is called: after the outermost step of an optimiser, whatever wraps it."""

import functools
import inspect
import types
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sparsecore.engine.sparsifier.layers import Layer, unheld

STEP, RULE = "sparsifier_step", "sparsifier_rule"  # in the first parameter group of a saved optimiser
_WATCHED = 32  # steps after which every weight is looked at; then one in _SELDOM
_SELDOM = 101  # prime: it meets a wrapper's own period sooner or later


class NonFiniteWeights(ArithmeticError):
    """An optimiser step left a NaN in a weight; `layer` names the parameter. Nothing was projected."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        super().__init__(f"the weight {layer} has a NaN after the optimiser's step; nothing was changed.")


def refuse_nan(layers: Sequence[Layer]) -> None:
    """Raise `NonFiniteWeights` for a NaN in a constrained weight, before any of several groups is changed."""
    for layer in layers:
        # A sum carries a NaN along; infinities of both signs make one too, so look closer then.
        suspect = layer.group is not None and bool(layer.weight.sum().isnan())
        if suspect and bool(layer.weight.isnan().any()):
            raise NonFiniteWeights(layer.name)


def refuse_strangers(layers: Sequence[Layer], optimizer: torch.optim.Optimizer) -> None:
    """Raise `ValueError` when the optimiser does not hold a weight under the constraint."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    strangers = [layer.name for layer in layers if layer.group is not None and id(layer.weight) not in held]
    if strangers:
        raise ValueError(
            f"the optimiser does not update the weight of {', '.join(strangers)}: pass it the "
            "parameters of the same model, or exclude these layers."
        )


class Held(Protocol):
    """The part of a sparsifier that its hooks need."""

    layers: list[Layer]
    masks: list[Tensor]
    step: int

    def project(self) -> None: ...

    def budgets(self) -> dict[str, int]: ...

    def hold(self, place: int, weight: nn.Parameter) -> None: ...


def chain(optimizer: Any) -> list[Any]:
    """An optimiser and those that it wraps, the outermost first.

    Accelerate, Lightning and Lookahead call the wrapped one `optimizer`, SAM `base_optimizer`.
    """
    found = [optimizer]
    while True:
        inside = (getattr(found[-1], name, None) for name in ("optimizer", "base_optimizer"))
        inner = next((each for each in inside if isinstance(each, torch.optim.Optimizer)), None)
        if inner is None or any(inner is each for each in found):
            return found
        found.append(inner)


class Steps:
    """The hooks of a sparsifier on an optimiser.

    The innermost optimiser says that a step was taken; what wraps it is followed until its own method
    returns, and only then the sparsifier projects. Before a step it checks that nobody else moved the
    weights.
    """

    def __init__(self, sparsifier: Held, optimizer: Any) -> None:
        *self.wrappers, self.inner = chain(optimizer)
        self.sparsifier = sparsifier
        self.depth = 0  # of wrappers' methods that are running
        self.stepped = self.told = self.lost = False
        self._versions: list[int] = []
        # Not decorators: an optimiser has loaded torch's compiler already, which takes a second.
        uncompiled = torch.compiler.disable
        self._handles = [
            self.inner.register_step_pre_hook(uncompiled(self._before)),
            self.inner.register_step_post_hook(uncompiled(self._after)),
            self.inner.register_state_dict_post_hook(self._save),
            self.inner.register_load_state_dict_post_hook(self._loaded),
        ]
        self._followed = [each for wrapper in self.wrappers for each in self._follow(wrapper)]

    def _follow(self, wrapper: Any) -> Iterator[tuple[Any, str, Any]]:
        kind = type(wrapper)
        own = {name for name in dir(kind) if name[0] != "_" and inspect.isfunction(getattr(kind, name))}
        for name in ("step", *sorted(own - set(dir(torch.optim.Optimizer)))):
            before, method = vars(wrapper).get(name), getattr(wrapper, name)
            setattr(wrapper, name, types.MethodType(self._around(name, method), wrapper))
            yield wrapper, name, before

    def _around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @torch.compiler.disable
        @functools.wraps(method)
        def outer(_: Any, *args: Any, **kwargs: Any) -> Any:
            self.depth += 1
            try:
                return method(*args, **kwargs)
            finally:
                self.depth -= 1
                if not self.depth:
                    if not (self.stepped or self.told or name.endswith("step")):
                        self._check(f"after {name}", "project_copy(model) cuts them to the budget")
                    self._settle()

        return outer

    def _before(self, *_: Any) -> None:
        self._follow_parameters()
        rule, versions = self.sparsifier, self._versions_now()
        quiet = versions == self._versions and rule.step > _WATCHED and rule.step % _SELDOM
        if self._versions and not (self.depth or self.told or quiet):
            self._check(
                f"before step {rule.step + 1}",
                "something else than the optimiser's step moves the weights, such as a wrapper (Lookahead, "
                "SWA) or a loaded checkpoint. Attach to the outermost optimiser, or load the sparsifier's "
                "state too",
            )

    def _after(self, *_: Any) -> None:
        self.stepped = True
        if not self.depth:
            self._settle()

    def _settle(self) -> None:
        if self.stepped:
            self.stepped = False
            self.sparsifier.project()
        self.seen()

    def seen(self) -> None:
        """The weights are as they should be: what changes them from here on is somebody else."""
        self._versions = self._versions_now()

    def _versions_now(self) -> list[int]:
        return [layer.weight._version for layer in self.sparsifier.layers]

    def _check(self, when: str, advice: str) -> None:
        """Say once that weights outside the support were moved by something else than a step."""
        pairs = list(zip(self.sparsifier.layers, self.sparsifier.masks, strict=True))
        if not self.sparsifier.step:
            return
        with torch.no_grad():
            moved = sum(int((x.weight * ~mask).count_nonzero()) for x, mask in pairs if x.group is not None)
        if moved:
            self.told = True
            warnings.warn(
                f"{moved:,} weights outside the support were not zero {when}: {advice}.", stacklevel=2
            )

    def _follow_parameters(self) -> None:
        """Hold parameters that were put in the place of weights; say once which of them nothing trains."""
        lost = []
        for place, layer in enumerate(self.sparsifier.layers):
            now = layer.present
            if now is layer.weight:
                continue
            groups = () if now is None else self.inner.param_groups
            trained = any(each is now for group in groups for each in group["params"])
            if trained and now.shape == layer.weight.shape and not unheld(now):
                self.sparsifier.hold(place, now)
            elif layer.group is not None:
                lost.append(layer.name)
        if lost and not self.lost:
            self.lost = True
            warnings.warn(
                f"the model has another parameter in place of {', '.join(lost)}, such as after "
                "load_state_dict(…, assign=True); the optimiser goes on with the old one. Make the optimiser "
                "of the present parameters, then detach() and attach() again.",
                stacklevel=2,
            )

    # -- the step in the optimiser's own state: every trainer saves that -----------------------------------

    def _save(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        for group in state["param_groups"][:1]:
            group |= {STEP: self.sparsifier.step, RULE: fingerprint(self.sparsifier, self.sparsifier.step)}

    def _loaded(self, optimizer: torch.optim.Optimizer) -> None:
        step = self.saved_step()
        if step is not None:
            self.sparsifier.step = step
        self.seen()

    def saved_step(self) -> int | None:
        """The step at which this optimiser was saved under the same constraint; None where it was not."""
        group = self.inner.param_groups[0]
        step, rule = group.pop(STEP, None), group.pop(RULE, None)
        same = step is not None and rule == fingerprint(self.sparsifier, step)
        return step if same else None

    def remove(self) -> None:
        """Leave the optimisers as they were."""
        for handle in self._handles:
            handle.remove()
        for wrapper, name, before in self._followed:
            vars(wrapper).pop(name, None)
            if before is not None:
                setattr(wrapper, name, before)


def fingerprint(sparsifier: Held, at: int) -> int:
    """Return a number that is equal for constraints of one class with equal budgets at steps 0 and `at`."""
    now, found = sparsifier.step, []
    try:
        for step in (0, at):
            sparsifier.step = step
            found.append(sorted(sparsifier.budgets().items()))
    finally:
        sparsifier.step = now
    return zlib.crc32(repr((type(sparsifier).__name__, found)).encode())
