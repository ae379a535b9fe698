"""The base of every method: finds the weights, hooks the optimiser, counts retention."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from sparsecore.engine.config import RunConfig
from sparsecore.engine.frozen.layers import FrozenLayers
from sparsecore.engine.projection.project import NotANumber, Projection, Projector, project_
from sparsecore.engine.sparsifier.layers import Layer, Selection, find_layers, innermost, refuse_strangers


class NonFiniteWeights(ArithmeticError):
    """An optimiser step left a NaN in a weight; `layer` names the parameter. Nothing was projected."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        super().__init__(f"the weight {layer} has a NaN after the optimiser's step; nothing was changed.")


class Sparsifier(ABC):
    """Holds the weights to a constraint after every step of any `torch.optim` optimiser.

    After `attach`, a hook projects after each `optimizer.step()`; the training loop stays as it is.
    A method has independent parts and overrides those in which it differs:
      `groups`   which weights share a budget,
      `budgets`  the weights that each group keeps at the current `step` (budget and schedule),
      `scores`   the values compared in place of |w| (a neuron's norm in its whole row prunes neurons),
      `reserved` the weights that survive at any score,
      `select`   the support itself, for methods that drop and regrow,
      `due`      the steps at which the support is chosen anew; in between it is held,
      `penalty`  a term of the loss.

    layers: every weight tensor in the order of the network, embeddings included.
    counts: the retention count of every weight of `layers`, int32: the steps after which it was kept.
    masks: the support after the last projection; all True for a layer that is not pruned.
    kept: the kept weights per layer. thresholds: the smallest kept magnitude of each group.
    step: optimiser steps since `attach`. still: steps since the support last changed.
    changed: positions that entered or left the support at the last step.
    jaccard: overlap of the supports of the last two steps, |A∩B| / |A∪B|; 1 without a change.
    freeze_at, freeze_settled: freeze automatically at this step, or after this many steps without a change.
    frozen: the layers with a fixed support; None while it may change. density: ρ now; 1 without a constraint.
    """

    density: float = 1.0

    def __init__(self, layers: Selection | None = None) -> None:
        self.selection = layers
        self.layers: list[Layer] = []
        self.masks: list[Tensor] = []
        self.kept: list[int] = []
        self.thresholds: dict[str, float] = {}
        self.step = self.changed = self.still = 0
        self.jaccard = 1.0
        self.freeze_at: int | None = None
        self.freeze_settled: int | None = None
        self.frozen: FrozenLayers | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self._handles: list[Any] = []
        self._projectors: dict[str, Projector] = {}
        self._counts: list[Tensor] = []
        self._held = self._exempt = 0  # steps not yet added to the counts of held and of exempt weights

    @property
    def counts(self) -> list[Tensor]:
        for layer, count, mask in zip(self.layers, self._counts, self.masks, strict=True):
            if layer.group is None:
                count.add_(self._exempt)
            elif self._held:
                count.add_(mask, alpha=self._held)
        self._held = self._exempt = 0
        return self._counts

    # -- what a method overrides --------------------------------------------------------------------------

    @classmethod
    def arguments(cls, config: RunConfig) -> dict[str, Any]:
        """Return constructor arguments for a run, in addition to those of the card."""
        return {}

    def follow(self, config: RunConfig, before: RunConfig, own: Sequence[str] = ()) -> None:
        """Apply live parameters that have changed since `before`; own: those of its card."""
        for name in own:
            setattr(self, name, getattr(config, name))

    @abstractmethod
    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        """Return the group of each layer, None for one that is not pruned."""

    @abstractmethod
    def budgets(self) -> dict[str, int]:
        """Return the exact number of weights that each group keeps at the current step."""

    def scores(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        """Return a score for each weight of these layers, the largest survive; None for |w|."""
        return None

    def reserved(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        """Masks of the weights of these layers that survive in any case, within the budget; None for none."""
        return None

    def relaxed(self) -> list[str]:
        """Return the groups with more reserved weights than budget, where the minimum is relaxed."""
        return []

    def before_cut(self, place: int) -> Tensor | None:
        """The iterate of a layer before the last cut, if the method keeps one apart from the weight."""
        return None

    def due(self) -> bool:
        """Whether the support is chosen anew at this step; held otherwise."""
        return True

    def penalty(self) -> Tensor | float:
        """What the method adds to the loss; the training loop adds it."""
        return 0.0

    def select(self, group: str, places: Sequence[int], keep: int) -> Projection:
        """Choose the support of a group: overwrite its `masks` and set all other weights to zero.

        Also adds one to the `counts` of what is kept. The default keeps the `keep` largest scores.
        """
        scores, reserved = self.scores(group, places, keep), self.reserved(group, places, keep)
        last = self.thresholds.get(group)
        if scores is None and reserved is None:
            return self._projector(group, places)(keep, last)
        weights = [self.layers[p].weight for p in places]
        shared = {"masks": [self.masks[p] for p in places], "counts": [self._counts[p] for p in places]}
        shared |= {"reserved": reserved, "last": last}
        if scores is None:
            return project_(weights, keep, **shared)
        done = project_([score.detach().clone() for score in scores], keep, **shared)
        for weight, mask in zip(weights, shared["masks"], strict=True):
            weight.masked_fill_(~mask, 0.0)
        return done

    def _projector(self, group: str, places: Sequence[int]) -> Projector:
        if group not in self._projectors:
            weights = [self.layers[p].weight for p in places]
            masks, counts = [self.masks[p] for p in places], [self._counts[p] for p in places]
            self._projectors[group] = Projector(weights, masks, counts)
        return self._projectors[group]

    # -- attaching ----------------------------------------------------------------------------------------

    @property
    def attached(self) -> bool:
        """Whether steps are projected."""
        return self.optimizer is not None

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer, blocks: Sequence[str] = ()) -> Self:
        """Hook the optimiser; `blocks` are glob patterns of modules that each count as one layer.

        Nothing is pruned before the first step. Models inside `torch.compile` or DistributedDataParallel,
        and optimisers inside the wrappers of Lightning and Accelerate, are looked into.

        Raises `ValueError` when attached already, when the model has no weight to prune, or when the
        optimiser does not hold a weight that is to be pruned.
        """
        if self.attached:
            raise ValueError("this sparsifier is already attached; call detach() first.")
        optimizer = innermost(optimizer)
        found = find_layers(model, self.selection, blocks)
        if not any(layer.prunable for layer in found):
            raise ValueError("the model has no weights to prune: no linear or convolution layer was chosen.")
        layers = [replace(layer, group=group) for layer, group in zip(found, self.groups(found), strict=True)]
        refuse_strangers(layers, optimizer)
        self.layers = layers
        self._counts = [torch.zeros_like(layer.weight, dtype=torch.int32) for layer in self.layers]
        self.masks = [torch.ones_like(layer.weight, dtype=torch.bool) for layer in self.layers]
        self.kept = [layer.weight.numel() for layer in self.layers]
        self.thresholds, self.jaccard, self._projectors = {}, 1.0, {}
        self.step = self.changed = self.still = self._held = self._exempt = 0
        self._hook(optimizer)
        return self

    def _hook(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self._handles = [optimizer.register_step_post_hook(lambda *_: self.project())]

    def detach(self) -> None:
        """Leave ordinary parameters: no step is projected any more. The zeros stay where they are."""
        if self.frozen is not None:
            self.unfreeze()
        for handle in self._handles:
            handle.remove()
        self._handles, self.optimizer = [], None

    def members(self) -> dict[str, list[int]]:
        """The places in `layers` of each group's weights."""
        members: dict[str, list[int]] = {}
        for place, layer in enumerate(self.layers):
            if layer.group is not None:
                members.setdefault(layer.group, []).append(place)
        return members

    def constrained(self) -> int:
        """K: the number of weights under the constraint."""
        return sum(layer.weight.numel() for layer in self.layers if layer.group is not None)

    # -- a step -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def project(self) -> None:
        """Apply the constraint, then count. The step hook calls it; callers need not."""
        self.step += 1
        self._exempt += 1
        if self.frozen is not None:
            self.frozen.after_step(self.optimizer)
            self.changed, self.jaccard = 0, 1.0
            self._held += 1
        elif self.due():
            self._choose_support()
        else:
            self._hold()
        self.still = 0 if self.changed else self.still + 1
        if self.frozen is None and self._ready_to_freeze():
            self.freeze()

    def _choose_support(self) -> None:
        if self._held:
            _ = self.counts  # what was held is counted with the masks of then
        budgets, members = self.budgets(), self.members()
        if len(members) > 1:
            self._refuse_nan()
        changed, all_kept, thresholds = 0, list(self.kept), {}
        for group, places in members.items():
            try:
                done = self.select(group, places, budgets[group])
            except NotANumber as error:
                raise NonFiniteWeights(self.layers[places[error.position]].name) from error
            thresholds[group] = done.threshold
            changed += done.changed or 0
            for place, kept in zip(places, done.kept, strict=True):
                all_kept[place] = kept
        self.note(all_kept, thresholds, changed)

    def _refuse_nan(self) -> None:
        """Before the first of several groups is changed; a single group is looked at by the projection."""
        for layer in self.layers:
            # A sum carries a NaN along; infinities of both signs make one too, so look closer then.
            suspect = layer.group is not None and bool(layer.weight.sum().isnan())
            if suspect and bool(layer.weight.isnan().any()):
                raise NonFiniteWeights(layer.name)

    def _hold(self) -> None:
        for layer, mask in zip(self.layers, self.masks, strict=True):
            if layer.group is not None:
                layer.weight.masked_fill_(~mask, 0.0)
        self._note_change(0, self.constrained_kept())
        self._held += 1

    def note(self, kept: Sequence[int], thresholds: dict[str, float], changed: int) -> None:
        """Take over what a projection did: how many each layer keeps, each group's threshold, what moved."""
        before = self.constrained_kept()
        self.kept = list(kept)
        self.thresholds |= thresholds
        self._note_change(changed, before)

    def _note_change(self, changed: int, before: int) -> None:
        """Jaccard of the last two supports, from their sizes and how many positions differ."""
        both = before + self.constrained_kept()
        self.changed = changed
        self.jaccard = 1.0 if both + changed == 0 else (both - changed) / (both + changed)

    def constrained_kept(self) -> int:
        """How many weights under the constraint are in the support."""
        pairs = zip(self.kept, self.layers, strict=True)
        return sum(kept for kept, layer in pairs if layer.group is not None)

    def _ready_to_freeze(self) -> bool:
        on_time = self.freeze_at is not None and self.step >= self.freeze_at
        return on_time or bool(self.freeze_settled and self.still >= self.freeze_settled)

    # -- freezing -----------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Fix the support as it is: pruned weights get no gradient and stay zero.

        A step computes only what is left, where that is measured faster: see `FrozenLayers.report`.
        Before the first projection there is no support to fix: a `ValueError`, as when nothing is attached.
        """
        if not self.attached or not self.step:
            raise ValueError("there is no support to freeze yet: attach() and take a step first.")
        if self.frozen is None:
            chosen = [
                (layer.module, layer.weight, mask)
                for layer, mask in zip(self.layers, self.masks, strict=True)
                if layer.group is not None
            ]
            self.frozen = FrozenLayers(chosen, self.optimizer)

    def unfreeze(self) -> None:
        """Let the support move again from the next step on."""
        if self.frozen is not None:
            self.frozen.release()
            self.frozen, self.still = None, 0

    # -- saving -------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model's and the optimiser's own state: support, counts, thresholds, steps."""
        return {
            "step": self.step,
            "still": self.still,
            "thresholds": dict(self.thresholds),
            "masks": [mask.clone() for mask in self.masks],
            "counts": [count.clone() for count in self.counts],
            "frozen": self.frozen is not None,
            "frozen_layers": [] if self.frozen is None else self.frozen.report(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`, attached to a model of the same layers, after its weights were loaded.

        Raises `ValueError` when the layers do not fit.
        """
        shapes = [tuple(mask.shape) for mask in state["masks"]]
        if shapes != [tuple(mask.shape) for mask in self.masks]:
            raise ValueError(f"this state is of layers of the shapes {shapes}, not of the attached ones.")
        self.unfreeze()
        for mine, theirs in ((self.masks, state["masks"]), (self.counts, state["counts"])):
            for old, new in zip(mine, theirs, strict=True):
                old.copy_(new)
        self.kept = [int(mask.count_nonzero()) for mask in self.masks]
        self.step, self.still = state["step"], state["still"]
        self.thresholds = dict(state["thresholds"])
        if state["frozen"]:
            self.freeze()
            if computed := state.get("frozen_layers"):  # states saved before there was a choice have none
                self.frozen.choose(computed)

    def __getstate__(self) -> dict[str, Any]:  # a copy hooks the optimiser that was copied with it
        return self.__dict__ | {"_handles": [], "_projectors": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.optimizer is not None:
            self._hook(self.optimizer)
