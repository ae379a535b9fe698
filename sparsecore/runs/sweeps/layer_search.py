"""Densities a layer, searched by Optuna for two ends: a good metric and few weights kept.

Imports torch and Optuna: a server asks for it in another process, `python -m sparsecore search TASK`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from sparsecore.engine.cards import lower_is_better, reference, taking
from sparsecore.engine.config import RunConfig
from sparsecore.engine.devices import resolve_device
from sparsecore.engine.sparsifier.constrained import Constrained
from sparsecore.engine.sparsifier.layers import group_sizes
from sparsecore.engine.tasks import registry
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.bisection import is_worse
from sparsecore.runs.sweeps.executors import Cancelled, Executor
from sparsecore.runs.sweeps.spec import FINAL, Cell, SweepSpec

ORIGIN = "search"
UNIFORM = (0.5, 0.2, 0.1, 0.05)  # the same density for all layers, tried first: what the front is to beat
LOWEST, HIGHEST = 0.005, 0.95
ONE_WEIGHT = 0.51  # rounds to a budget of 1: no layer is searched where it is empty
JUDGED_AT = 0.25  # the share of its steps after which a run may be hopeless,
MARGIN = 0.2  # namely by this share worse than one that keeps no more weights was at the same step
STARTUP_TRIALS = 10  # random ones, before the sampler has something to go by

Tell = Callable[[int, Sequence[Cell]], None]


@dataclass
class Trial:
    """One choice of densities, the cells that train it, and what came of it."""

    number: int
    densities: dict[str, float]
    kept: int
    spec: SweepSpec
    uniform: bool
    ended: str = "running"  # then finished, hopeless or failed
    test: float | None = None
    cells: list[Cell] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """What the command line prints of it."""
        names = ("number", "densities", "kept", "uniform", "ended", "test")
        return {name: getattr(self, name) for name in names} | {
            "runs": [cell.run.id for cell in self.cells if cell.run is not None]
        }


class Search:
    """A study over the densities of all layers of a task's network, first and last included.

    Every trial is ordinary runs, one a seed: what the store has is not trained again, and a search that is
    asked for again goes the same way. Optuna prunes by one objective only, so hopeless runs are stopped here:
    after a quarter of its steps a run is compared with the trials that keep no more weights.
    """

    def __init__(
        self, store: Store, executor: Executor, spec: SweepSpec, seed: int = 0, by: Person = HOST
    ) -> None:
        """spec: the task, seeds and parameters; its densities and methods are left aside."""
        self.store, self.executor, self.spec, self.by = store, executor, spec, by
        self.sizes = prunable(spec.config(reference(), 1.0, spec.seeds[0]), store.home)
        self.trials: list[Trial] = []
        self.metric: str | None = None
        self.curves: dict[str, dict[int, float]] = {}
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
        # The metric is turned so that less is better.
        self.study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self.space = {
            name: FloatDistribution(max(LOWEST, ONE_WEIGHT / size), HIGHEST, log=True)
            for name, size in self.sizes.items()
        }
        for density in UNIFORM:
            self.study.enqueue_trial(dict.fromkeys(self.sizes, density))

    def run(self, trials: int, together: int = 1, tell: Tell = lambda number, cells: None) -> None:
        """Try so many choices of densities, `together` at once."""
        while len(self.trials) < trials:
            asked = [self.study.ask(self.space) for _ in range(min(together, trials - len(self.trials)))]
            batch = [self._trial(trial) for trial in asked]
            self.trials += batch
            self._train(batch, tell)
            for trial, mine in zip(asked, batch, strict=True):
                self._judge(mine)
                if mine.ended == "finished":
                    sign = 1 if lower_is_better(self.metric) else -1
                    self.study.tell(trial, [sign * mine.test, mine.kept])
                else:
                    hopeless = mine.ended == "hopeless"
                    self.study.tell(trial, state=TrialState.PRUNED if hopeless else TrialState.FAIL)

    def front(self) -> list[Trial]:
        """The finished trials that no other beats in one end without losing in the other, by weights kept."""
        finished = [trial for trial in self.trials if trial.ended == "finished"]
        best = [trial for trial in finished if not any(self._beats(other, trial) for other in finished)]
        return sorted(best, key=lambda trial: trial.kept)

    def _beats(self, one: Trial, other: Trial) -> bool:
        no_worse = one.kept <= other.kept and not is_worse(self.metric, one.test, other.test)
        return no_worse and (one.kept < other.kept or one.test != other.test)

    def _trial(self, asked: optuna.Trial) -> Trial:
        densities = {name: float(f"{asked.params[name]:.2g}") for name in self.sizes}
        kept = sum(round(densities[name] * size) for name, size in self.sizes.items())
        text = ",".join(f"{name}={density:g}" for name, density in densities.items())
        overall = float(f"{kept / sum(self.sizes.values()):.3g}")  # every layer is named: only shown
        update = {
            "methods": tuple(taking("layer_densities")[:1]),
            "densities": (overall,),
            "parameters": self.spec.parameters | {"layer_densities": text},
        }
        uniform = len(set(densities.values())) == 1
        return Trial(asked.number, densities, kept, self.spec.model_copy(update=update), uniform)

    def _train(self, batch: Sequence[Trial], tell: Tell) -> None:
        unknown = [trial for trial in batch if not self._known(trial)]
        begun = [stored.begin(self.store, trial.spec, ORIGIN, self.by) for trial in unknown]

        def listen(_cells: Sequence[Cell]) -> None:
            for trial in batch:
                trial.cells = stored.cells_of(self.store, trial.spec)
                tell(trial.number, trial.cells)
                for cell in trial.cells:
                    if cell.status == "running" and self._is_ours(cell) and self._hopeless(trial, cell):
                        self.store.command(cell.run.id, "stop", by=self.by)

        try:
            if begun:
                self.executor.run(begun[0], listen, *begun[1:])
            listen(())
        except (Cancelled, KeyboardInterrupt):
            for sweep_id in begun:
                stored.stop(self.store, sweep_id, self.by)
            raise

    def _known(self, trial: Trial) -> bool:
        """Whether all its cells have ended, be it because an earlier search found them hopeless."""
        cells = stored.cells_of(self.store, trial.spec)
        return all(
            cell.status in FINAL or (cell.status == "stopped" and self._hopeless(trial, cell))
            for cell in cells
        )

    def _judge(self, trial: Trial) -> None:
        statuses = {cell.status for cell in trial.cells}
        metrics = [cell.metric for cell in trial.cells]
        if "stopped" in statuses:
            trial.ended = "hopeless"
        elif not statuses <= {"done", "collapsed"} or None in metrics:
            trial.ended = "failed"
        else:
            trial.ended, self.metric = "finished", metrics[0][0]
            trial.test = sum(metric[2] for metric in metrics) / len(metrics)

    # -- the rule for the hopeless ------------------------------------------------------------------------

    def _hopeless(self, trial: Trial, cell: Cell) -> bool:
        """Whether a run with no more weights and the same seed was better by the margin at the same step."""
        limit = cell.config.max_steps
        if self.metric is None or limit is None or cell.run.step < JUDGED_AT * limit:
            return False
        mine = self._early(cell)
        rivals = [
            other
            for rival in self.trials
            if rival.ended == "finished" and rival.kept <= trial.kept
            for other in rival.cells
            if other.config.seed == cell.config.seed
        ]
        return mine is not None and any(self._far_worse(mine, self._early(rival)) for rival in rivals)

    def _is_ours(self, cell: Cell) -> bool:
        """Whether its run may be stopped: one that another person asked for too may not."""
        return cell.run.owner == self.by.owner

    def _far_worse(self, value: float, rival: float | None) -> bool:
        if rival is None:
            return False
        margin = 1 + MARGIN if lower_is_better(self.metric) else 1 - MARGIN
        return is_worse(self.metric, value, rival * margin)

    def _early(self, cell: Cell) -> float | None:
        """The test metric at the last measurement before the share of the steps at which runs are judged."""
        limit = JUDGED_AT * cell.config.max_steps
        if cell.run.id not in self.curves:
            curve = {}
            for row in self.store.entries(cell.run.id, ["record"]):
                measured = json.loads(row.payload).get("metrics")
                if measured and row.step <= limit:
                    curve[row.step] = measured["test"][self.metric]
            self.curves[cell.run.id] = curve
        curve = self.curves[cell.run.id]
        return curve[max(curve)] if curve else None


def prunable(config: RunConfig, home: Path) -> dict[str, int]:
    """The layers that can have a density of their own, and how many weights each has."""
    task = registry.build(config, resolve_device("cpu"), home)
    optimizer = torch.optim.SGD(task.model.parameters(), lr=1.0)
    whole = Constrained(1.0, scope="layer", exempt=()).attach(task.model, optimizer, blocks=task.blocks)
    return group_sizes(whole.layers)
