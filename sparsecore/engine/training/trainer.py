"""One run in progress, advanced one step at a time. It makes the events that `loop` yields."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsecore.engine.analysis.stationarity import stationarity
from sparsecore.engine.cards import methods
from sparsecore.engine.config import RunConfig, parameters_of
from sparsecore.engine.devices import resolve_device
from sparsecore.engine.sparsifier.base import NonFiniteWeights, Sparsifier, make
from sparsecore.engine.tasks.base import Metrics, build
from sparsecore.engine.training import checkpoint as checkpointing
from sparsecore.engine.training.before_step import BeforeStep, uncut
from sparsecore.engine.training.endings import Ending, Endings
from sparsecore.engine.training.events import Checkpoint, Frame, Record
from sparsecore.engine.training.frame import layers_now, matrices, spreads
from sparsecore.engine.training.frame_layout import PICTURE

REMEMBERED = ("seconds", "measured", "certificate", "ending")  # of a Training, by a checkpoint
PRINTED = ("name", "shape", "prunable", "nonzeros", "density")  # of a layer, in a run's result
CURVES = ("max_gradient_on", "max_gradient_off", "smallest_lipschitz")  # of a certificate, in a record
CERTIFY_RECORDS = 10  # records between two live certificates: each costs a pass over the training data


class Training:
    """One run in progress: the network, its optimiser and sparsifier, and the state that the endings need.

    rate: the learning rate of the step that made the present weights; None where none did since they were
    loaded, put back, or given to another method.
    """

    def __init__(self, config: RunConfig, home: Path | None = None) -> None:
        self.device = resolve_device(config.device)
        self.task = build(config, self.device, home)
        if self.task.planned_steps is not None:
            self.task.config = config = config.planned(self.task.planned_steps)
        self.config = config
        self.copies = True  # whether a checkpoint stays as it is when training goes on
        self.optimizer = torch.optim.Adam(self.task.model.parameters(), lr=config.learning_rate, fused=True)
        self.sparsifier = self._attach(config)
        self.before = BeforeStep(self.task.model)
        self.step = 0
        self.rate: float | None = None
        self.seconds = 0.0
        self.loss = self.update = math.nan
        self.measured: Metrics = {}
        self.ending: Ending | None = None
        self.endings = Endings(self.task, config.theta)
        self.certificate: dict[str, Any] | None = None
        self._recorded_masks = self._masks()

    def _masks(self) -> list[Tensor]:
        return [mask.clone() for mask in self.sparsifier.masks]

    def _attach(self, config: RunConfig) -> Sparsifier:
        sparsifier = make(config)
        return sparsifier.attach(self.task.model, self.optimizer, blocks=self.task.blocks)

    def advance(self) -> Ending | None:
        """One step of the optimiser and the projection; what ends the run, if anything does."""
        rate, self.rate = self._set_learning_rate(), None
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.task.loss(self.step) + self.sparsifier.penalty()
        self.loss = float(loss.detach())
        if not math.isfinite(self.loss):
            self.before.restore()
            return "diverged", {"step": self.step, "what": "loss", "value": str(self.loss)}
        loss.backward()
        self.before.save()
        try:
            self.optimizer.step()
        except NonFiniteWeights as error:
            self.before.restore()
            return "diverged", {"step": self.step + 1, "what": "weights", "layer": error.layer}
        self.update = self.before.moved()
        if not math.isfinite(self.update):
            layer = self.before.non_finite_layer()
            self.before.restore()
            return "diverged", {"step": self.step + 1, "what": "weights", "layer": layer}
        self.step, self.rate = self.step + 1, rate
        return self.endings.after_step(self.step, self.update, self.sparsifier)

    def _set_learning_rate(self) -> float:
        rate = self.config.learning_rate * self.task.pace(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    @property
    def is_recorded(self) -> bool:
        """Whether this step is one with a record."""
        due = not (self.step % self.task.record_every and self.step % self.task.measure_every)
        return due or self.step in self.task.early_measurements

    def record(self) -> tuple[Record, Ending | None]:
        """The scalars of this step, and the ending that only a measurement can find."""
        values: dict[str, Any] = {
            "loss": _finite(self.loss),
            "update": _finite(self.update),
            "seconds": self.seconds,
            "density": [kept / layer.weight.numel() for kept, layer in self._kept()],
            "threshold": [_finite(self.sparsifier.thresholds.get(layer.group)) for _, layer in self._kept()],
            "churn": self._churn(),
            "jaccard": self.sparsifier.jaccard,
            "frozen": self.sparsifier.frozen is not None,
        }
        if self.config.certificate == "live" and self.step % (CERTIFY_RECORDS * self.task.record_every) == 0:
            self.certificate = self.certify()
            values["certificate"] = {name: self.certificate[name] for name in CURVES}
        ending, due = None, self.step % self.task.measure_every == 0
        if due or self.step in self.task.early_measurements:
            self.measured = values["metrics"] = self.task.metrics()
        if due:
            ending = self.endings.after_measurement(self.step, self.measured, self.sparsifier)
        return Record(self.step, values), ending

    def after_step(self, ending: Ending | None) -> tuple[Record | None, Ending | None]:
        """The record that is due after a step, and what ends the run: the step itself, if it did, first."""
        record = None
        if self.is_recorded and ending is None:
            record, ending = self.record()
        if ending is None and self.step >= self.config.max_steps:
            ending = self.endings.collapse(self.step, self.sparsifier) or ("max_steps", {})
        return record, ending

    def certify(self) -> dict[str, Any]:
        """How far the present weights are from stationary, over all training data."""
        return stationarity(self.task.model, self.task.objective, self.sparsifier).summary()

    def _kept(self) -> list[tuple[int, Any]]:
        pairs = zip(self.sparsifier.kept, self.sparsifier.layers, strict=True)
        return [(kept, layer) for kept, layer in pairs if layer.prunable]

    def _churn(self) -> float:
        """The share of the kept weights that the support gained since the last record."""
        gained = sum(
            int((now & ~then).count_nonzero())
            for now, then in zip(self.sparsifier.masks, self._recorded_masks, strict=True)
        )
        self._recorded_masks = self._masks()
        return gained / max(1, sum(self.sparsifier.kept))

    def change(self, values: dict[str, Any]) -> None:
        """Set live parameters from the next step on; a `ConfigError` leaves everything as it was."""
        before, config = self.config, RunConfig.parse(self.config.model_dump() | values)
        self.config = config
        self._set_learning_rate()
        if config.method != before.method:
            self._change_method()
        else:
            self.sparsifier.follow(config, before)

    def _change_method(self) -> None:
        """Another sparsifier on the same network; the retention counts and the steps go on."""
        old, self.rate = self.sparsifier, None
        old.detach()
        self.sparsifier = self._attach(self.config)
        self.sparsifier.step = old.step
        for mine, theirs in zip(self.sparsifier.counts, old.counts, strict=True):
            mine.copy_(theirs)
        self._recorded_masks = self._masks()
        self.endings.empty_since.clear()

    def frame(self) -> Frame:
        """The picture of this step."""
        arrays, entries = matrices(self.sparsifier)
        spread, edge = spreads(self.sparsifier, self._uncut())
        drawn, more = self.task.picture()
        arrays |= spread | {PICTURE + name: array for name, array in drawn.items()}
        layers = layers_now(self.sparsifier)
        constrained = [row for row in layers if row["prunable"]]
        meta = {
            "step": self.step,
            "seconds": self.seconds,
            "matrices": entries,
            "layers": layers,
            "spread": edge,
            "thresholds": self._thresholds(),
            "budget": sum(self.sparsifier.budgets().values()),
            "constrained": self.sparsifier.constrained(),
            "nonzeros": sum(row["nonzeros"] for row in constrained),
            "metrics": self.measured,
            "loss": _finite(self.loss),
            "density": self._density(),
            "method": self.config.method,
            "frozen": self.sparsifier.frozen is not None,
            "still": self.sparsifier.still,
            "certificate": self.certificate,
            "relaxed": self.sparsifier.relaxed(),
            "learning_rate": self.config.learning_rate,
            **more,
        }
        return Frame(self.step, arrays, meta)

    def _uncut(self) -> list[Tensor | None] | None:
        """The weights before the last step's cut; None where there was none, or none is known."""
        if self.rate is None or self.sparsifier.frozen is not None:
            return None
        return uncut(self.sparsifier, self.before, self.optimizer, self.rate)

    def _density(self) -> float:
        """The density that is set for this step; of a method without one, that of the config."""
        takes = "density" in methods()[self.config.method].takes
        return self.sparsifier.density if takes else self.config.density

    def _thresholds(self) -> dict[str, float | None]:
        return {group: _finite(value) for group, value in self.sparsifier.thresholds.items()}

    def result(self) -> dict[str, Any]:
        """What the run reached, in the words of the command line."""
        self.certificate = None if self.config.certificate == "off" else self.certify()
        rows = layers_now(self.sparsifier)
        constrained = self.sparsifier.constrained()
        nonzeros = sum(row["nonzeros"] for row in rows if row["prunable"])
        return {
            "density_target": self.sparsifier.density,
            "budget": sum(self.sparsifier.budgets().values()),
            "nonzeros": nonzeros,
            "density": nonzeros / constrained,
            "steps": self.step,
            "metrics": self.task.metrics(final=True),
            "layers": [{name: row[name] for name in PRINTED} for row in rows],
            "stationarity": self.certificate,
            "frozen": self.sparsifier.frozen is not None,
            "seconds": self.seconds,
            "device": str(self.device),
            **self.task.facts(),
        }

    def checkpoint(self) -> Checkpoint:
        """The state of this step: weights, optimiser, counts, support, and what the endings remember."""
        parts = self.task.model, self.optimizer, self.sparsifier
        arrays = checkpointing.arrays(*parts, copies=self.copies)
        arrays |= {f"task.{name}": array for name, array in self.task.kept().items()}
        meta = {name: getattr(self, name) for name in REMEMBERED} | {
            "config": self.config.model_dump(),
            "endings": self.endings.state(),
            "sparsifier": checkpointing.scalars(self.sparsifier) | {"thresholds": self._thresholds()},
        }
        return Checkpoint(self.step, arrays, meta)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint of a run with the same fixed parameters."""
        live = RunConfig.parse(saved.meta["config"])
        rows = parameters_of(live.task, live.method)
        self.change({name: getattr(live, name) for name, row in rows.items() if row.live})
        rest = saved.meta["sparsifier"]
        checkpointing.load(saved.arrays, rest, self.task.model, self.optimizer, self.sparsifier)
        self.before.save()
        self._recorded_masks = self._masks()
        self.step, self.rate = saved.step, None
        self.endings.load(saved.meta["endings"])
        for name in REMEMBERED:
            setattr(self, name, saved.meta[name])
        self.task.metrics()  # what the task's picture shows of them


def _finite(value: float | None) -> float | None:
    """The value, or None where JSON has no number for it."""
    return value if value is not None and math.isfinite(value) else None
