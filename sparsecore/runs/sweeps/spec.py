"""The grid of a sweep: one task with every method, density and seed; each cell is a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparsecore.engine.cards import methods, reference
from sparsecore.engine.config import PAPER_METHODS, ConfigError, RunConfig, every_parameter
from sparsecore.runs.store.run import Run

Status = Literal["missing", "queued", "running", "paused", "done", "collapsed", "failed", "stopped"]
ENDED: dict[str | None, Status] = {"collapsed": "collapsed", "diverged": "failed", "stopped": "stopped"}
FINISHED: tuple[Status, ...] = ("done", "collapsed")  # a cell with a result
FINAL: tuple[Status, ...] = (*FINISHED, "failed")  # a cell that is not trained any more
GRID = ("task", "method", "density", "seed")  # the parameters that the grid sets


class SweepSpec(BaseModel):
    """The grid of a sweep and the parameters that all its runs share.

    Density 1 means no constraint: such a cell is the dense run of its seed, trained once for all methods.

    >>> spec = SweepSpec(task="sinc", methods=("global", "layerwise"), densities=(1.0, 0.4), seeds=(0,))
    >>> [(config.method, config.density) for config in spec.configs()]
    [('dense', 1.0), ('global', 0.4), ('layerwise', 0.4)]
    >>> spec.size
    3
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    methods: tuple[str, ...] = Field(PAPER_METHODS, min_length=1)
    densities: tuple[float, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)

    def configs(self) -> list[RunConfig]:
        """The config of every cell once, by density, then method, then seed. Raises `ConfigError`."""
        return list(self.by_digest().values())

    @property
    def size(self) -> int:
        """The number of cells."""
        places = {_place(method, density) for method in self.methods for density in self.densities}
        return len(places) * len(set(self.seeds))

    def by_digest(self) -> dict[str, RunConfig]:
        """The configs by digest. Raises `ConfigError` for the first value that is not allowed."""
        for name in self.parameters:
            if name in GRID or name not in every_parameter():
                raise ConfigError(name, self.parameters[name], "a parameter that is not part of the grid")
        return dict(_by_digest(self))

    def is_alike(self, other: "SweepSpec") -> bool:
        """Whether another spec has the same cells, in any order."""
        mine, theirs = ((s.task, set(s.methods), set(s.densities), set(s.seeds)) for s in (self, other))
        return mine == theirs and self.parameters == other.parameters

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def config(self, method: str, density: float, seed: int) -> RunConfig:
        """The config of one cell."""
        method, density = _place(method, density)
        given = {"task": self.task, "method": method, "density": density, "seed": seed}
        return RunConfig.parse(self.parameters | given)


def _place(method: str, density: float) -> tuple[str, float]:
    """Method and density of a cell: a method without a density has one cell, and ρ = 1 is no constraint."""
    card = methods().get(method)
    if card is None:
        return method, density  # the config refuses it
    if "density" not in card.takes:
        return method, 1.0
    return (reference(), 1.0) if density == 1 else (method, density)


@lru_cache(maxsize=4)  # a page needs the same configs repeatedly, and thousands take a second
def _by_digest(spec: SweepSpec) -> dict[str, RunConfig]:
    cells = (
        spec.config(method, density, seed)
        for density in spec.densities
        for method in spec.methods
        for seed in spec.seeds
    )
    return {config.digest(): config for config in cells}


@dataclass(frozen=True)
class Cell:
    """One config of a sweep and its run; None if there is none yet."""

    config: RunConfig
    run: Run | None

    @cached_property
    def status(self) -> Status:
        run = self.run
        if run is None:
            return "missing"
        return run.state if run.state != "ended" else ENDED.get(run.reason, "done")

    @property
    def metric(self) -> tuple[str, float, float] | None:
        """The first metric of the task: its name, training and test value; None before the end."""
        metrics = ((self.run and self.run.result) or {}).get("metrics")
        if not metrics:
            return None
        name = next(iter(metrics["test"]))
        return name, metrics["train"][name], metrics["test"][name]


def count_ended(cells: Iterable[Cell]) -> int:
    """How many of these cells are not trained any more."""
    return sum(cell.status in FINAL for cell in cells)


def worth(state: str, reason: str | None) -> int:
    """How useful a run is to a sweep; 0 for a stopped or failed one, which is trained again."""
    if state == "ended":
        return 0 if reason == "stopped" else 3
    return {"queued": 2, "running": 2, "paused": 1}.get(state, 0)
