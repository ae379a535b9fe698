"""Advance networks of one shape together: one forward pass, one Adam, one projection for all.

Each model occupies one row of a few large tensors: parameters, Adam's two averages, the copy from before the
step, masks and retention counts. The tensors of its own `Training` become views of that row, so its records,
frames, checkpoints and endings are made as when it trains alone.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sparsecore.engine.batch.projection import Held, Supports
from sparsecore.engine.cards import methods
from sparsecore.engine.training.endings import Ending
from sparsecore.engine.training.trainer import Training


class Stack:
    """Trainings of one task, size and device, by any keys, that advance together.

    `grouping.fits` must hold for their configs. Their tensors become views of the stack's; `part` gives a
    training its own tensors back. To remove or change one, build a new stack of the others.
    """

    def __init__(self, trainings: Mapping[int, Training]) -> None:
        self.keys = sorted(trainings, key=lambda key: (_rule(trainings[key]), _pace(trainings[key])))
        self.trainings = [trainings[key] for key in self.keys]
        first = self.trainings[0]
        self.x = torch.stack([training.task.x for training in self.trainings])
        self.y = torch.stack([training.task.y for training in self.trainings])
        self.criterion = torch.vmap(first.task.criterion)
        names = {id(parameter): name for name, parameter in first.task.model.named_parameters()}
        parameters = _parameters(first)
        self.names = [names[id(parameter)] for parameter in parameters]
        self.shapes = [parameter.shape for parameter in parameters]
        self.sizes = [parameter.numel() for parameter in parameters]
        self._take_over()

    @torch.no_grad()
    def _take_over(self) -> None:
        given = self.trainings
        states = [[_state(training, p) for p in _parameters(training)] for training in given]
        self.averages = _side_by_side([[state["exp_avg"] for state in row] for row in states])
        self.squares = _side_by_side([[state["exp_avg_sq"] for state in row] for row in states])
        self.before = _side_by_side([_before(training) for training in given])
        self.weights = _side_by_side([_parameters(training) for training in given])
        self.adam = self._one_adam([row[0]["step"].clone() for row in states])
        ends = list(accumulate(self.sizes, initial=0))
        self.supports = Supports(
            [training.sparsifier for training in given],
            [methods()[training.config.method].batches == "largest" for training in given],
            [slice(*ends) for ends in pairwise(ends)][: len(given[0].sparsifier.layers)],
            _side_by_side([training.sparsifier.masks for training in given]),
            _side_by_side([training.sparsifier.counts for training in given]),
            is_steady=all(training.config.schedule == "constant" for training in given),
        )

    def _one_adam(self, steps: list[Tensor]) -> torch.optim.Adam:
        """Apply Adam to blocks of rows with equal learning rate and step count: usually one block."""
        self.blocks: list[tuple[slice, nn.Parameter]] = []
        states: dict[nn.Parameter, dict[str, Tensor]] = {}
        groups: list[dict[str, Any]] = []
        for (rate, _), rows in groupby(range(len(steps)), key=lambda row: _pace(self.trainings[row])):
            together = list(rows)
            place = slice(together[0], together[-1] + 1)
            block = nn.Parameter(self.weights[place])
            averages = {"exp_avg": self.averages[place], "exp_avg_sq": self.squares[place]}
            states[block] = {"step": steps[together[0]]} | averages
            for row in together:  # the step is counted once, for all of them
                self.trainings[row].optimizer.zero_grad(set_to_none=True)
                for state in self.trainings[row].optimizer.state.values():
                    state["step"] = steps[together[0]]
            self.blocks.append((place, block))
            groups.append({"params": [block], "lr": rate})
        adam = torch.optim.Adam(groups, fused=True)
        adam.state.update(states)
        return adam

    def advance(self) -> dict[int, Ending | None]:
        """Take one step of every model; returns the ending of each by key, None for a model that goes on.

        If losses are not finite, the result holds only those models, each with its ending, and no model has
        taken a step: the others take it in a stack without them.
        """
        losses, gradients = self._differentiate()
        values = losses.tolist()
        lost = [row for row, value in enumerate(values) if not math.isfinite(value)]
        if lost:
            return {self.keys[row]: _lose(self.trainings[row], values[row]) for row in lost}
        held, moved = self._step(gradients)
        rows = zip(self.keys, self.trainings, values, held, moved, strict=True)
        return {key: _after_step(training, loss, *done) for key, training, loss, *done in rows}

    def _differentiate(self) -> tuple[Tensor, Tensor]:
        """Return the loss of each model, (N,), and its gradient, one row each."""
        leaf = self.weights.detach().requires_grad_()
        parts = zip(self.names, self.shapes, leaf.split(self.sizes, dim=1), strict=True)
        outputs = perceptrons({name: part.view(-1, *shape) for name, shape, part in parts}, self.x)
        losses = self.criterion(outputs, self.y)
        # A model's loss depends only on its row, so the gradient of the sum holds the gradient of each.
        return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]

    @torch.no_grad()
    def _step(self, gradients: Tensor) -> tuple[list[Held], list[float]]:
        """Apply Adam and the projection; returns each model's projection and ‖Δw‖, in one transfer."""
        self.before.copy_(self.weights)
        for place, block in self.blocks:
            block.grad = gradients[place]
        self.adam.step()
        figures = self.supports.project_(self.weights)
        moved = torch.linalg.vector_norm(self.weights - self.before, dim=1)
        numbers = torch.cat([figures, moved]).tolist()
        return self.supports.read(numbers[: len(figures)]), numbers[len(figures) :]


def perceptrons(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Apply N `engine.tasks.networks.Perceptron` networks, each to its own inputs; (N, points, outputs).

    parameters: `fc1.weight` (N, out, in), `fc1.bias` (N, out), and so on. x: (N, points, inputs).
    """
    depth = sum(name.endswith(".weight") for name in parameters)
    for place in range(1, depth + 1):
        weight, bias = parameters[f"fc{place}.weight"], parameters[f"fc{place}.bias"]
        x = torch.baddbmm(bias[:, None], x, weight.mT)
        if place < depth:
            x = torch.sigmoid(x)
    return x


@torch.no_grad()
def part(training: Training) -> None:
    """Give a training of a stack its own tensors back."""
    states = training.optimizer.state
    tensors = [*states, *training.before.saved, *training.sparsifier.masks, *training.sparsifier.counts]
    for tensor in tensors:
        tensor.data = tensor.data.clone()
    for parameter, state in states.items():
        states[parameter] = {name: tensor.clone() for name, tensor in state.items()}


def _rule(training: Training) -> tuple[str, str]:
    """Return a key that is equal for models projected in the same columns."""
    return training.config.method, str(training.sparsifier.members())


def _pace(training: Training) -> tuple[float, int]:
    return training.config.learning_rate, training.step


def _parameters(training: Training) -> list[nn.Parameter]:
    """List parameters in the order of a row: the sparsifier's weight matrices, then all others."""
    weights = [layer.weight for layer in training.sparsifier.layers]
    first = {id(weight) for weight in weights}
    return weights + [p for p in training.task.model.parameters() if id(p) not in first]


def _before(training: Training) -> list[Tensor]:
    saved = zip(training.before.parameters, training.before.saved, strict=True)
    by_parameter = {id(parameter): copy for parameter, copy in saved}
    return [by_parameter[id(parameter)] for parameter in _parameters(training)]


def _state(training: Training, parameter: nn.Parameter) -> dict[str, Tensor]:
    """Return Adam's state of a parameter; before the first step, its initial state."""
    state = training.optimizer.state[parameter]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    return state


def _side_by_side(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Copy the tensors of each model into its row; the tensors become views of it."""
    stacked = torch.stack([torch.cat([tensor.detach().flatten() for tensor in row]) for row in rows])
    for tensors, row in zip(rows, stacked, strict=True):
        for tensor, piece in zip(tensors, row.split([t.numel() for t in tensors]), strict=True):
            tensor.data = piece.view(tensor.shape)
    return stacked


def _lose(training: Training, loss: float) -> Ending:
    """End a model that has a non-finite loss; it keeps its last finite weights."""
    training.loss, training.rate = loss, None
    training.before.restore()
    return "diverged", {"step": training.step, "what": "loss", "value": str(loss)}


def _after_step(training: Training, loss: float, held: Held, moved: float) -> Ending | None:
    """Do what `Training.advance` does after the optimiser step."""
    training.loss = loss
    rule = training.sparsifier
    if not held.sound:
        broken = (layer.name for layer in rule.layers if layer.group and layer.weight.isnan().any())
        return _undo(training, next(broken))
    rule.note(held.kept, held.thresholds, held.changed)
    rule.still = 0 if held.changed else rule.still + 1
    training.update = moved
    if not math.isfinite(moved):
        return _undo(training, training.before.non_finite_layer())
    training.step, training.rate = training.step + 1, training.config.learning_rate
    return training.endings.after_step(training.step, moved, rule)


def _undo(training: Training, layer: str) -> Ending:
    training.rate = None
    training.before.restore()
    return "diverged", {"step": training.step + 1, "what": "weights", "layer": layer}
