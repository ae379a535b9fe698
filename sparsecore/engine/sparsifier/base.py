"""The base of every method: finds the weights, hooks the optimiser, counts retention."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from sparsecore.engine.cards import methods
from sparsecore.engine.config import RunConfig
from sparsecore.engine.frozen.layers import FrozenLayers
from sparsecore.engine.projection.project import NotANumber, Projection, Projector, project_
from sparsecore.engine.sparsifier.copies import project_copy
from sparsecore.engine.sparsifier.layers import Layer, Selection, find_layers, group_members, unwrapped
from sparsecore.engine.sparsifier.method import Method, Wanted
from sparsecore.engine.sparsifier.steps import NonFiniteWeights, Steps, chain, refuse_nan, refuse_strangers
from sparsecore.engine.sparsifier.summary import Summary, reasons, summarise, tell_left_out


class Sparsifier(Method):
    """Holds the weights to a constraint after every step of any `torch.optim` optimiser.

    After `attach`, a hook projects after each `optimizer.step()`; the training loop stays as it is.
    `Method` has the parts that a method overrides; one that drops and regrows overrides `select` too.

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
        self._steps: Steps | None = None
        self._summary: Summary | None = None
        self._projector: Projector | None = None
        self._members: dict[str, list[int]] = {}
        self._places: list[int] = []  # the members of all groups, one group after the other
        self._counts: list[Tensor] = []
        self._held = self._exempt = 0  # steps not yet added to the counts of held and of exempt weights

    @property
    def counts(self) -> list[Tensor]:
        if self._projector is not None:
            self._projector.settle()
        for layer, count, mask in zip(self.layers, self._counts, self.masks, strict=True):
            if layer.group is None:
                count.add_(self._exempt)
            elif self._held:
                count.add_(mask, alpha=self._held)
        self._held = self._exempt = 0
        return self._counts

    def select(self, group: str, places: Sequence[int], keep: int) -> Projection:
        """Choose the support of a group: overwrite its `masks` and set all other weights to zero.

        Also adds one to the `counts` of what is kept. The default keeps the `keep` largest scores.
        """
        return self._select(group, places, keep, self._wanted(group, places, keep))

    def _wanted(self, group: str, places: Sequence[int], keep: int) -> Wanted:
        return self.scores(group, places, keep), self.reserved(group, places, keep)

    def _select(self, group: str, places: Sequence[int], keep: int, wanted: Wanted) -> Projection:
        scores, reserved = wanted
        weights, masks, counts = self._tensors(places)
        shared = {"masks": masks, "counts": counts, "reserved": reserved, "last": self.thresholds.get(group)}
        if scores is None:
            return project_(weights, keep, **shared)
        done = project_([score.detach().clone() for score in scores], keep, **shared)
        for weight, mask in zip(weights, masks, strict=True):
            weight.masked_fill_(~mask, 0.0)
        return done

    def _tensors(self, places: Sequence[int]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        weights = [self.layers[place].weight for place in places]
        return weights, [self.masks[place] for place in places], [self._counts[place] for place in places]

    def _select_all(self, members: dict[str, list[int]], budgets: dict[str, int]) -> list[Projection]:
        """Choose the support of every group: by one call where all compare magnitudes alone."""
        asked: dict[str, Wanted] = {}
        if type(self).select is Sparsifier.select:
            for group, places in members.items():
                asked[group] = self._wanted(group, places, budgets[group])
                if asked[group] != (None, None):
                    break
            else:
                if self._projector is None:
                    self._projector = Projector(*map(self._tensors, members.values()))
                return self._projector([budgets[group] for group in members])
        if self._projector is not None:
            self._projector.settle()  # with the masks of then
        if len(members) > 1:
            refuse_nan(self.layers)
        return [
            self._select(group, places, budgets[group], asked.pop(group))
            if group in asked
            else self.select(group, places, budgets[group])
            for group, places in members.items()
        ]

    # -- attaching ----------------------------------------------------------------------------------------

    @property
    def attached(self) -> bool:
        """Whether steps are projected."""
        return self.optimizer is not None

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer, blocks: Sequence[str] = ()) -> Self:
        """Hook the optimiser; `blocks` are glob patterns of modules that each count as one layer.

        Nothing is pruned before the first step. Models inside `torch.compile` or DistributedDataParallel
        are looked into. Of an optimiser in wrappers (Accelerate, Lightning, Lookahead, SAM) give the
        outermost: the constraint holds after its step. An optimiser that was loaded from a checkpoint of the
        same constraint goes on with the step it was saved at. `summary` reports what is constrained.

        Raises `ValueError` when attached already, when the model has no weight to prune, when a chosen weight
        cannot be held (dtype, memory, layout), or when the optimiser does not hold one.
        """
        if self.attached:
            raise ValueError("this sparsifier is already attached; call detach() first.")
        found = find_layers(model, self.selection, blocks)
        if not any(layer.prunable for layer in found):
            raise ValueError(f"the model has no weights to prune: {reasons(model)}.")
        layers = [replace(layer, group=group) for layer, group in zip(found, self.groups(found), strict=True)]
        refuse_strangers(layers, chain(optimizer)[-1])
        self.layers, self._members = layers, group_members(layers)
        self._places = [place for group in self._members.values() for place in group]
        self._counts = [torch.zeros_like(layer.weight, dtype=torch.int32) for layer in self.layers]
        self.masks = [torch.ones_like(layer.weight, dtype=torch.bool) for layer in self.layers]
        self.kept = [layer.weight.numel() for layer in self.layers]
        self.thresholds, self.jaccard, self._projector = {}, 1.0, None
        self.step = self.changed = self.still = self._held = self._exempt = 0
        self._hook(optimizer)
        self._resume(self._steps.saved_step() or 0)
        self._summary = summarise(unwrapped(model), self.layers, self.step)
        tell_left_out(self._summary)
        return self

    def _hook(self, optimizer: torch.optim.Optimizer) -> None:
        self._steps, self._handles = Steps(self, optimizer), []
        self.optimizer = self._steps.inner

    def _resume(self, step: int) -> None:
        """Go on at the step of a loaded optimiser, with the support of the loaded weights."""
        self.step = step
        for place, (layer, mask) in enumerate(zip(self.layers, self.masks, strict=True)):
            if step and layer.group is not None:
                self.kept[place] = int(mask.copy_(layer.weight.detach() != 0).count_nonzero())
        if step and self._ready_to_freeze():
            self.freeze()

    def hold(self, place: int, weight: nn.Parameter) -> None:
        """Hold another parameter in place of a layer's weight."""
        _, self._projector = self.counts, None  # settled with the masks and counts of then
        if self.frozen is not None:
            self.frozen.hold(self.layers[place].weight, weight)
        self.layers[place] = replace(self.layers[place], weight=weight)
        for given in (self.masks, self._counts):
            given[place] = given[place].to(weight.device)

    def summary(self) -> Summary:
        """Report which weights are constrained, which are not and why, and their share of all."""
        if self._summary is None:
            raise ValueError("there is nothing to report yet: call attach() first.")
        return self._summary

    def project_copy(self, model: nn.Module) -> nn.Module:
        """Apply the present budgets to a copy of the model, such as an average of its weights, in place.

        The copy may be an `AveragedModel`. Raises `ValueError` where it lacks a weight of the attached model.
        """
        project_copy(self, model)
        return model

    def detach(self) -> None:
        """Leave ordinary parameters: no step is projected any more. The zeros stay where they are."""
        if self.frozen is not None:
            self.unfreeze()
        for handle in (*self._handles, *([self._steps] if self._steps is not None else [])):
            handle.remove()
        self._handles, self._steps, self.optimizer = [], None, None

    def members(self) -> dict[str, list[int]]:
        """The places in `layers` of each group's weights."""
        return self._members

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
        try:
            done = self._select_all(self._members, self.budgets())
        except NotANumber as error:
            raise NonFiniteWeights(self.layers[self._places[error.position]].name) from error
        kept = list(self.kept)
        for place, left in zip(self._places, (left for each in done for left in each.kept), strict=True):
            kept[place] = left
        thresholds = [each.threshold for each in done]
        self.note(
            kept, dict(zip(self._members, thresholds, strict=True)), sum(each.changed or 0 for each in done)
        )

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
        return sum([self.kept[place] for place in self._places])

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
        self._steps.seen()
        if state["frozen"]:
            self.freeze()
            if computed := state.get("frozen_layers"):  # states saved before there was a choice have none
                self.frozen.choose(computed)

    def __getstate__(self) -> dict[str, Any]:  # a copy hooks the optimiser that was copied with it
        _ = self.counts  # settled by the projector, which is not copied
        return self.__dict__ | {"_handles": [], "_projector": None, "_steps": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.optimizer is not None:
            self._hook(self.optimizer)


def make(config: RunConfig) -> Sparsifier:
    """The sparsifier of a config's method, made with the arguments and the parameters of its card.

    A `CardError` where its class cannot be used.
    """
    card = methods()[config.method]
    found = card.load(Sparsifier)
    own = {name: getattr(config, name) for name in card.own}
    return found(**found.arguments(config) | card.arguments | own)
