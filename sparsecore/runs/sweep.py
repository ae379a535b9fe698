"""A sweep: one task trained with every method, density and seed of a grid; each cell is a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparsecore.config import PARAMETERS, ConfigError, Method, RunConfig, Task
from sparsecore.runs.run import Run

Status = Literal["missing", "queued", "running", "paused", "done", "collapsed", "failed", "stopped"]
GRID = ("task", "method", "density", "seed")  # what the grid itself decides


class SweepSpec(BaseModel):
    """The grid of a sweep, and the parameters that all its runs share.

    A density of 1 is no constraint: such a cell is the dense run of its seed, trained once for all methods.

    >>> spec = SweepSpec(task="sinc", methods=("global", "layerwise"), densities=(1.0, 0.4), seeds=(0,))
    >>> [(config.method, config.density) for config in spec.configs()]
    [('dense', 1.0), ('global', 0.4), ('layerwise', 0.4)]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    methods: tuple[Method, ...] = Field(("global", "layerwise"), min_length=1)
    densities: tuple[float, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)

    def configs(self) -> list[RunConfig]:
        """The config of every cell, each once: by density, then method, then seed; raises `ConfigError`."""
        return list(self.by_digest().values())

    def by_digest(self) -> dict[str, RunConfig]:
        """The same, each under its digest. A `ConfigError` names the first value that does not fit."""
        for name in self.parameters:
            if name in GRID or name not in PARAMETERS:
                raise ConfigError(
                    name, self.parameters[name], "a parameter of a run that the grid leaves open"
                )
        cells = (
            self.config(method, density, seed)
            for density in self.densities
            for method in self.methods
            for seed in self.seeds
        )
        return {config.digest(): config for config in cells}

    def config(self, method: Method, density: float, seed: int) -> RunConfig:
        """The config of one cell."""
        if density == 1 or method == "dense":
            method, density = "dense", 1.0
        given = {"task": self.task, "method": method, "density": density, "seed": seed}
        return RunConfig.parse(self.parameters | given)


@dataclass(frozen=True)
class Cell:
    """One config of a sweep, and the run that trained or trains it; None before there is one."""

    config: RunConfig
    run: Run | None

    @property
    def status(self) -> Status:
        run = self.run
        if run is None:
            return "missing"
        if run.state != "ended":
            return run.state
        return {"collapsed": "collapsed", "diverged": "failed", "stopped": "stopped"}.get(run.reason, "done")

    @property
    def metric(self) -> tuple[str, float, float] | None:
        """The task's first metric: its name, on the training and on the test part; None before the end."""
        metrics = ((self.run and self.run.result) or {}).get("metrics")
        if not metrics:
            return None
        name = next(iter(metrics["test"]))
        return name, metrics["train"][name], metrics["test"][name]


def cells(configs: Iterable[RunConfig], runs: Sequence[Run]) -> list[Cell]:
    """Each config with the best of these runs that has its digest: one that ended, else the newest."""
    found: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (worth(run.state, run.reason), run.place)):
        found[run.config.digest()] = run
    return [Cell(config, found.get(config.digest())) for config in configs]


def worth(state: str, reason: str | None) -> int:
    """How much a run is worth to a sweep; one that was stopped or failed (0) would be trained again."""
    if state == "ended":
        return 0 if reason == "stopped" else 3
    return {"queued": 2, "running": 2, "paused": 1}.get(state, 0)
