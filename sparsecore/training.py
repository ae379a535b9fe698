"""`train(config)`: one run as a generator of events. It reads no file but kept texts and writes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import torch

from sparsecore import checkpointing, sparsifiers, tasks
from sparsecore.config import RunConfig
from sparsecore.devices import resolve_device
from sparsecore.events import (
    Change,
    Checkpoint,
    Command,
    Ended,
    Event,
    Frame,
    Look,
    Ready,
    Record,
    Scene,
    Stop,
)
from sparsecore.snapshot import layers_now, matrices
from sparsecore.sparsifiers import HardThreshold, NonFiniteWeights, Sparsifier

FRAME_SECONDS = 0.1  # at most ten frames a second
FRAME_SHARE = 0.1  # and frames never take more than this share of the time
CHECKPOINT_SECONDS = 1.5  # a crash loses at most 2 s of training, writing included
COLLAPSE_STEPS = 50  # a layer may empty for a moment and come back; after this many steps it is dead
# Of a Training, by a checkpoint.
REMEMBERED = ("seconds", "best", "stale", "flat", "empty_since", "measured", "ending")
PRINTED = ("name", "shape", "prunable", "nonzeros", "density")  # of a layer, in a run's result
FLAT_RECORDS = 3  # records in a row with one and the same output for every input


Ending = tuple[str, dict[str, Any]]


class Training:
    """One run in progress: the network, its optimiser and sparsifier, and the state that the endings need."""

    def __init__(self, config: RunConfig, home: Path | None = None) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.task = tasks.build(config, self.device, home)
        self.optimizer = torch.optim.Adam(self.task.model.parameters(), lr=config.learning_rate, fused=True)
        self.sparsifier = self._attach(config)
        self.parameters = list(self.task.model.parameters())
        self.previous = [p.detach().clone() for p in self.parameters]
        self.step = 0
        self.seconds = 0.0
        self.loss = self.update = math.nan
        self.measured: tasks.Metrics = {}
        self.ending: Ending | None = None
        self.best: float | None = None
        self.stale = self.flat = 0
        self.empty_since: dict[str, int] = {}
        self._recorded_masks = list(self.sparsifier.masks)

    def _attach(self, config: RunConfig) -> Sparsifier:
        sparsifier = sparsifiers.make(config.method, config.density)
        return sparsifier.attach(self.task.model, self.optimizer, blocks=self.task.blocks)

    def advance(self) -> Ending | None:
        """One step of the optimiser and the projection; what ends the run, if anything does."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.task.loss(self.step)
        self.loss = float(loss.detach())
        if not math.isfinite(self.loss):
            self._restore_previous()
            return "diverged", {"step": self.step, "what": "loss", "value": str(self.loss)}
        loss.backward()
        for saved, weight in zip(self.previous, self.parameters, strict=True):
            saved.copy_(weight.detach())
        try:
            self.optimizer.step()
        except NonFiniteWeights as error:
            self._restore_previous()
            return "diverged", {"step": self.step + 1, "what": "weights", "layer": error.layer}
        self.update = self._update_length()
        if not math.isfinite(self.update):
            layer = self._non_finite_layer()
            self._restore_previous()
            return "diverged", {"step": self.step + 1, "what": "weights", "layer": layer}
        self.step += 1
        return self._ending()

    def _non_finite_layer(self) -> str:
        """The first module with a NaN or an infinite weight or bias."""
        named = self.task.model.named_parameters()
        return next((name.rpartition(".")[0] for name, p in named if not p.isfinite().all()), "")

    def _restore_previous(self) -> None:
        with torch.no_grad():
            for saved, weight in zip(self.previous, self.parameters, strict=True):
                weight.copy_(saved)

    def _update_length(self) -> float:
        """‖wᵏ⁺¹ − wᵏ‖ over all parameters, after the projection."""
        pairs = zip(self.parameters, self.previous, strict=True)
        return float(torch.nn.utils.get_total_norm([weight.detach() - saved for weight, saved in pairs]))

    def _ending(self) -> Ending | None:
        dead = self._dead_layer()
        small = self.update < self.config.theta
        if dead and (small or self.step - self.empty_since[dead] >= COLLAPSE_STEPS):
            return self.collapse()
        if small and self._is_flat():
            return "collapsed", {"step": self.step, "what": "constant"}
        if small:
            return "converged", {"what": "theta", "update": self.update, "theta": self.config.theta}
        return None

    def _dead_layer(self) -> str | None:
        """The layer under the constraint that has been without a weight for longest; None if all live."""
        for layer, kept in zip(self.sparsifier.layers, self.sparsifier.kept, strict=True):
            if layer.group is None or kept:
                self.empty_since.pop(layer.name, None)
            else:
                self.empty_since.setdefault(layer.name, self.step)
        return min(self.empty_since, key=self.empty_since.__getitem__, default=None)

    def collapse(self) -> Ending | None:
        """The ending of a network with an empty layer; None while every layer lives."""
        dead = self._dead_layer()
        return (
            None
            if dead is None
            else ("collapsed", {"step": self.empty_since[dead], "what": "empty", "layer": dead})
        )

    def _is_flat(self) -> bool:
        outputs = self.task.outputs()
        return bool((outputs == outputs[:1]).all())

    def record(self) -> tuple[Record, Ending | None]:
        """The scalars of this step, and the ending that only a measurement can find."""
        values: dict[str, Any] = {
            "loss": _finite(self.loss),
            "update": _finite(self.update),
            "seconds": self.seconds,
            "density": [kept / layer.weight.numel() for kept, layer in self._kept()],
            "threshold": [_finite(self.sparsifier.thresholds.get(layer.group)) for _, layer in self._kept()],
            "churn": self._churn(),
        }
        ending = None
        if self.step % self.task.measure_every == 0:
            self.measured = values["metrics"] = self.task.metrics()
            self.flat = self.flat + 1 if self._is_flat() else 0
            ending = self._measured_ending()
        return Record(self.step, values), ending

    def _kept(self) -> list[tuple[int, Any]]:
        pairs = zip(self.sparsifier.kept, self.sparsifier.layers, strict=True)
        return [(kept, layer) for kept, layer in pairs if layer.prunable]

    def _churn(self) -> float:
        """The share of the kept weights that the support gained since the last record."""
        gained = sum(
            int((now & ~then).count_nonzero())
            for now, then in zip(self.sparsifier.masks, self._recorded_masks, strict=True)
        )
        self._recorded_masks = list(self.sparsifier.masks)
        return gained / max(1, sum(self.sparsifier.kept))

    def _measured_ending(self) -> Ending | None:
        if self.flat >= FLAT_RECORDS:
            return self.collapse() or ("collapsed", {"step": self.step, "what": "constant"})
        watched = self.task.watched(self.measured)
        if watched is None or self.task.patience is None:
            return None
        better = self.best is None or watched > self.best
        self.best, self.stale = (watched, 0) if better else (self.best, self.stale + 1)
        if self.stale >= self.task.patience:
            found = {"what": "patience", "times": self.stale, "best": self.best}
            return self.collapse() or ("converged", found)
        return None

    def change(self, values: dict[str, Any]) -> None:
        """Set live parameters from the next step on; a `ConfigError` leaves everything as it was."""
        config = RunConfig.parse(self.config.model_dump() | values)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate
        if config.method != self.config.method:
            counts = self.sparsifier.counts
            self.sparsifier.detach()
            self.config, self.sparsifier = config, self._attach(config)
            self.sparsifier.counts = counts
            self._recorded_masks = list(self.sparsifier.masks)
            self.empty_since.clear()
        elif isinstance(self.sparsifier, HardThreshold):
            self.sparsifier.density = config.density
        self.config = config

    def frame(self) -> Frame:
        """The picture of this step."""
        arrays, entries = matrices(self.sparsifier)
        drawn, more = self.task.picture()
        arrays |= {f"picture.{name}": array for name, array in drawn.items()}
        layers = layers_now(self.sparsifier)
        constrained = [row for row in layers if row["prunable"]]
        meta = {
            "step": self.step,
            "seconds": self.seconds,
            "matrices": entries,
            "layers": layers,
            "thresholds": self._thresholds(),
            "budget": sum(self.sparsifier.budgets().values()),
            "constrained": self.sparsifier.constrained(),
            "nonzeros": sum(row["nonzeros"] for row in constrained),
            "metrics": self.measured,
            "loss": _finite(self.loss),
            "density": self.config.density,
            "method": self.config.method,
            "learning_rate": self.config.learning_rate,
            **more,
        }
        return Frame(self.step, arrays, meta)

    def _thresholds(self) -> dict[str, float | None]:
        return {group: _finite(value) for group, value in self.sparsifier.thresholds.items()}

    def result(self) -> dict[str, Any]:
        """What the run reached, in the words of the command line."""
        rows = layers_now(self.sparsifier)
        constrained = self.sparsifier.constrained()
        nonzeros = sum(row["nonzeros"] for row in rows if row["prunable"])
        return {
            "density_target": 1.0 if self.config.method == "dense" else self.config.density,
            "budget": sum(self.sparsifier.budgets().values()),
            "nonzeros": nonzeros,
            "density": nonzeros / constrained,
            "steps": self.step,
            "metrics": self.task.metrics(final=True),
            "layers": [{name: row[name] for name in PRINTED} for row in rows],
            "seconds": self.seconds,
            "device": str(self.device),
        }

    def checkpoint(self) -> Checkpoint:
        """The state of this step: weights, optimiser, counts, support, and what the endings remember."""
        arrays = checkpointing.arrays(self.task.model, self.optimizer, self.sparsifier)
        meta = {name: getattr(self, name) for name in REMEMBERED} | {
            "config": self.config.model_dump(),
            "thresholds": self._thresholds(),
        }
        return Checkpoint(self.step, arrays, meta)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint of a run with the same fixed parameters."""
        live = RunConfig.parse(saved.meta["config"])
        self.change({"density": live.density, "learning_rate": live.learning_rate, "method": live.method})
        checkpointing.load(saved.arrays, self.task.model, self.optimizer, self.sparsifier)
        self.previous = [p.detach().clone() for p in self.parameters]
        self.sparsifier.thresholds = dict(saved.meta["thresholds"])
        self._recorded_masks = list(self.sparsifier.masks)
        self.step = saved.step
        for name in REMEMBERED:
            setattr(self, name, saved.meta[name])
        self.task.metrics()  # what the task's picture shows of them


def _finite(value: float | None) -> float | None:
    """The value, or None where JSON has no number for it."""
    return value if value is not None and math.isfinite(value) else None


def train(
    config: RunConfig,
    home: Path | None = None,
    resume: Checkpoint | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[Event, Command | None, None]:
    """Train and tell: a scene, then records, frames and checkpoints as they fall due, then the end.

    Not calling it is a pause. A command may be sent in reply to a `Ready`, which comes before every step;
    what it causes (a frame, a checkpoint) follows, and then another `Ready` for the next command.

    >>> events = list(train(RunConfig(task="sinc", max_steps=3)))
    >>> events[-1].reason, events[-1].result["steps"]
    ('max_steps', 3)
    """
    training = Training(config, home)
    if resume is not None:
        training.restore(resume)
    yield Scene(*training.task.scene())
    yield training.frame()
    if resume is None:
        yield training.record()[0]
    yield from _loop(training, clock)


def _loop(training: Training, clock: Callable[[], float]) -> Generator[Event, Command | None, None]:
    next_frame, next_checkpoint = clock() + FRAME_SECONDS, clock() + CHECKPOINT_SECONDS
    # A run that was cut off after its last checkpoint has its ending already.
    while (ending := training.ending or (yield from _obey(training))) is None:
        started = clock()
        ending = training.advance()
        if training.step % training.task.record_every == 0 and ending is None:
            record, ending = training.record()
            yield record
        if ending is None and training.step >= training.config.max_steps:
            ending = training.collapse() or ("max_steps", {})
        now = clock()
        training.seconds += now - started
        if ending is not None:
            break
        if now >= next_frame:
            yield training.frame()
            next_frame = clock() + max(FRAME_SECONDS, (clock() - now) * (1 / FRAME_SHARE - 1))
        if now >= next_checkpoint:
            yield training.checkpoint()
            next_checkpoint = clock() + CHECKPOINT_SECONDS
    yield from _finish(training, ending)


def _obey(training: Training) -> Generator[Event, Command | None, Ending | None]:
    """Carry out commands until there are none; the ending if one of them was to stop."""
    while (command := (yield Ready(training.step))) is not None:
        match command:
            case Stop():
                return "stopped", {}
            case Change(values):
                training.change(values)
            case Look():
                yield training.frame()
                yield training.checkpoint()
    return None


def _finish(training: Training, ending: Ending) -> Generator[Event, Command | None, None]:
    if training.step % training.task.record_every:
        yield training.record()[0]
    result = training.result()
    training.measured, training.ending = result["metrics"], ending
    yield training.frame()
    yield training.checkpoint()
    reason, detail = ending
    yield Ended(training.step, reason, detail, result)
