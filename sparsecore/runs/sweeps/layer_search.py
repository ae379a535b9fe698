"""Search per-layer densities with Optuna for two objectives: a good metric and few kept weights.

Imports torch and Optuna, so a server runs it as a child process (`Job.run_child`) with the question
`{"spec": …, "trials": 30, "together": 2, "by": …}`. It trains nothing: the server's supervisor does. When
standard input closes, it takes back what is queued and ends.
"""

import json
import sys
import threading
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
from sparsecore.engine.tasks.base import build
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.bisection import is_worse
from sparsecore.runs.sweeps.executors import Cancelled, Executor
from sparsecore.runs.sweeps.spec import FINAL, Cell, SweepSpec
from sparsecore.runs.workers.assignments import end_with_server
from sparsecore.runs.workers.worker import error_sentence

ORIGIN = "search"
PENDING = ("missing", "queued", "running", "paused")
UNIFORM = (0.5, 0.2, 0.1, 0.05)  # the same density for all layers, tried first: the baseline of the front
LOWEST, HIGHEST = 0.005, 0.95
ONE_WEIGHT = 0.51  # rounds to a budget of 1, so that no layer is empty
COMPARED_AT = 0.25  # the share of its steps after which a run is compared with others;
MARGIN = 0.2  # it is hopeless if it is worse by this share than one with no more weights at the same step
STARTUP_TRIALS = 10  # random, before the sampler has data

OnProgress = Callable[[int, Sequence[Cell]], None]


@dataclass
class DensityTrial:
    """One choice of densities, its cells and its outcome."""

    number: int
    densities: dict[str, float]
    kept: int
    spec: SweepSpec
    uniform: bool
    ended: str = "running"  # then finished, hopeless or failed
    test: float | None = None
    cells: list[Cell] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether none of its runs is queued or training any more."""
        return bool(self.cells) and not any(cell.status in PENDING for cell in self.cells)

    def summary(self) -> dict[str, Any]:
        """The trial as the command line prints it."""
        names = ("number", "densities", "kept", "uniform", "ended", "test")
        return {name: getattr(self, name) for name in names} | {
            "runs": [cell.run.id for cell in self.cells if cell.run is not None]
        }


class LayerSearch:
    """An Optuna study over the densities of all layers of a task's network, first and last included.

    Every trial consists of ordinary runs, one per seed: finished runs are reused, and the same search again
    takes the same path. Optuna cannot stop trials of a multi-objective study early, so hopeless runs are
    stopped here: after a quarter of its steps a run is compared with the trials that keep no more weights.
    """

    def __init__(
        self, store: Store, executor: Executor, spec: SweepSpec, seed: int = 0, by: Person = HOST
    ) -> None:
        """spec: the task, seeds and parameters; its densities and methods are ignored."""
        self.store, self.executor, self.spec, self.by = store, executor, spec, by
        self.sizes = prunable_layers(spec.config(reference(), 1.0, spec.seeds[0]), store.home)
        self.trials: list[DensityTrial] = []
        self.metric: str | None = None
        self.curves: dict[str, dict[int, float]] = {}
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
        # The sign of the metric is chosen so that less is better.
        self.study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self.space = {
            name: FloatDistribution(max(LOWEST, ONE_WEIGHT / size), HIGHEST, log=True)
            for name, size in self.sizes.items()
        }
        for density in UNIFORM:
            self.study.enqueue_trial(dict.fromkeys(self.sizes, density))

    def run(
        self, trials: int, together: int = 1, on_progress: OnProgress = lambda number, cells: None
    ) -> None:
        """Try this many choices of densities, `together` at once."""
        while len(self.trials) < trials:
            proposals = [self.study.ask(self.space) for _ in range(min(together, trials - len(self.trials)))]
            batch = [self._trial(trial) for trial in proposals]
            self.trials += batch
            self._train(batch, on_progress)
            for trial, mine in zip(proposals, batch, strict=True):
                self._settle(mine)
                if mine.ended == "finished":
                    sign = 1 if lower_is_better(self.metric) else -1
                    self.study.tell(trial, [sign * mine.test, mine.kept])
                else:
                    hopeless = mine.ended == "hopeless"
                    self.study.tell(trial, state=TrialState.PRUNED if hopeless else TrialState.FAIL)

    def front(self) -> list[DensityTrial]:
        """The Pareto front of the finished trials, by kept weights."""
        finished = [trial for trial in self.trials if trial.ended == "finished"]
        best = [trial for trial in finished if not any(self._beats(other, trial) for other in finished)]
        return sorted(best, key=lambda trial: trial.kept)

    def _beats(self, one: DensityTrial, other: DensityTrial) -> bool:
        no_worse = one.kept <= other.kept and not is_worse(self.metric, one.test, other.test)
        return no_worse and (one.kept < other.kept or one.test != other.test)

    def _trial(self, optuna_trial: optuna.Trial) -> DensityTrial:
        densities = {name: float(f"{optuna_trial.params[name]:.2g}") for name in self.sizes}
        kept = sum(round(densities[name] * size) for name, size in self.sizes.items())
        text = ",".join(f"{name}={density:g}" for name, density in densities.items())
        overall = float(f"{kept / sum(self.sizes.values()):.3g}")  # for display: every layer has its own
        update = {
            "methods": tuple(taking("layer_densities")[:1]),
            "densities": (overall,),
            "parameters": self.spec.parameters | {"layer_densities": text},
        }
        uniform = len(set(densities.values())) == 1
        return DensityTrial(
            optuna_trial.number, densities, kept, self.spec.model_copy(update=update), uniform
        )

    def _train(self, batch: Sequence[DensityTrial], on_progress: OnProgress) -> None:
        open_trials = [trial for trial in batch if not self._is_settled(trial)]
        sweep_ids = [stored.begin(self.store, trial.spec, ORIGIN, self.by) for trial in open_trials]

        def listen(_cells: Sequence[Cell]) -> None:
            for trial in batch:
                trial.cells = stored.cells_of(self.store, trial.spec)
                on_progress(trial.number, trial.cells)
                for cell in trial.cells:
                    mine = cell.status == "running" and cell.run.owner == self.by.owner
                    if mine and self._hopeless(trial, cell):
                        self.store.command(cell.run.id, "stop", by=self.by)

        try:
            if sweep_ids:
                self.executor.run(sweep_ids[0], listen, *sweep_ids[1:])
            listen(())
        except (Cancelled, KeyboardInterrupt):
            for sweep_id in sweep_ids:
                stored.stop(self.store, sweep_id, self.by)
            raise

    def _is_settled(self, trial: DensityTrial) -> bool:
        """Whether all cells have ended, or were stopped as hopeless by an earlier search."""
        cells = stored.cells_of(self.store, trial.spec)
        return all(
            cell.status in FINAL or (cell.status == "stopped" and self._hopeless(trial, cell))
            for cell in cells
        )

    def _settle(self, trial: DensityTrial) -> None:
        statuses = {cell.status for cell in trial.cells}
        metrics = [cell.metric for cell in trial.cells]
        if "stopped" in statuses:
            trial.ended = "hopeless"
        elif not statuses <= {"done", "collapsed"} or None in metrics:
            trial.ended = "failed"
        else:
            trial.ended, self.metric = "finished", metrics[0][0]
            trial.test = sum(metric[2] for metric in metrics) / len(metrics)

    # -- hopeless runs ------------------------------------------------------------------------------------

    def _hopeless(self, trial: DensityTrial, cell: Cell) -> bool:
        """Whether a run with no more weights and the same seed was better by the margin at this step."""
        limit = cell.config.max_steps
        if self.metric is None or limit is None or cell.run.step < COMPARED_AT * limit:
            return False
        mine = self._early_metric(cell)
        rivals = [
            other
            for rival in self.trials
            if rival.ended == "finished" and rival.kept <= trial.kept
            for other in rival.cells
            if other.config.seed == cell.config.seed
        ]
        return mine is not None and any(self._far_worse(mine, self._early_metric(rival)) for rival in rivals)

    def _far_worse(self, value: float, rival: float | None) -> bool:
        if rival is None:
            return False
        margin = 1 + MARGIN if lower_is_better(self.metric) else 1 - MARGIN
        return is_worse(self.metric, value, rival * margin)

    def _early_metric(self, cell: Cell) -> float | None:
        """The test metric at the last measurement up to the step of comparison."""
        limit = COMPARED_AT * cell.config.max_steps
        if cell.run.id not in self.curves:
            curve = {}
            for row in self.store.entries(cell.run.id, ["record"]):
                measured = json.loads(row.payload).get("metrics")
                if measured and row.step <= limit:
                    curve[row.step] = measured["test"][self.metric]
            self.curves[cell.run.id] = curve
        curve = self.curves[cell.run.id]
        return curve[max(curve)] if curve else None


def prunable_layers(config: RunConfig, home: Path) -> dict[str, int]:
    """The prunable layers of a network with their numbers of weights."""
    task = build(config, resolve_device("cpu"), home)
    optimizer = torch.optim.SGD(task.model.parameters(), lr=1.0)
    whole = Constrained(1.0, scope="layer", exempt=()).attach(task.model, optimizer, blocks=task.blocks)
    return group_sizes(whole.layers)


# -- as the child process of a server --------------------------------------------------------------------


class ProgressPrinter:
    """Prints the progress of a search when it has changed; raises `Cancelled` once `gone` is set."""

    def __init__(self, search: LayerSearch, total: int, gone: threading.Event) -> None:
        self.search, self.total, self.gone = search, total, gone
        self.printed: dict[str, Any] | None = None

    def __call__(self, _number: int = 0, _cells: Sequence[Cell] = ()) -> None:
        if self.gone.is_set():
            raise Cancelled
        trials = self.search.trials
        now = {
            "done": sum(trial.is_over for trial in trials),
            "total": self.total,
            "hopeless": sum(trial.ended == "hopeless" for trial in trials),
            "failed": sum(trial.ended == "failed" for trial in trials),
            "front": len(self.search.front()),
        }
        if now != self.printed:
            self.printed = now
            print(json.dumps(now), flush=True)


def main(home: Path) -> None:
    """Run the search that standard input describes; print an error that ends it as its `problem`."""
    question, gone = json.loads(sys.stdin.readline()), threading.Event()
    end_with_server(gone)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store = Store(home)
    try:
        by = Person(**question["by"])
        search = LayerSearch(store, Executor(store), SweepSpec(**question["spec"]), by=by)
        report = ProgressPrinter(search, question["trials"], gone)
        report()
        search.run(question["trials"], question["together"], report)
        report()
        print(json.dumps({"result": None}))
    except Cancelled:
        return
    except Exception as error:
        print(json.dumps({"problem": error_sentence(error)}))
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
