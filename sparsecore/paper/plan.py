"""The runs of a table: its grid, densities below the printed ones, and small networks for the pictures."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.config import PAPER_METHODS, ConfigError, RunConfig
from sparsecore.paper.pictures import PicturedRun, figures_of
from sparsecore.paper.thesis import PaperTable, paper_table
from sparsecore.runs.sweeps.spec import SweepSpec

FURTHER = (0.02, 0.01, 0.005)  # densities below the printed ones, to find where each method breaks
KEPT_ALIVE_AT = 0.05  # lowest printed ρ of Tables 3-1 and 3-2, where a global budget empties a layer
# One weight per neuron cuts no neuron off; this many per layer let the last layer still learn.
FLOORS = {"keep_alive": 1, "keep_alive_layer": 100}
PICTURED_SIZE = "demo"  # the paper's pictures of weights also show a small network

Column = Literal["dense", "global", "layerwise", "keep_alive"]


@dataclass(frozen=True)
class TablePlan:
    """The reproduction of a table with the given seeds and network size.

    further: also train the densities of `FURTHER`. parameters: settings of all runs, such as `max_steps` or
    `data`.

    >>> plan = TablePlan("3-1", seeds=(0, 1))
    >>> {name: len(spec.configs()) for name, spec in plan.specs().items()}
    {'grid': 42, 'kept_alive': 2, 'pictures': 1}
    """

    table: str
    seeds: tuple[int, ...] = (0, 1, 2)
    size: str = "paper"
    further: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)

    def specs(self) -> dict[str, SweepSpec]:
        """Return the sweeps of the table by name; raise `ConfigError` for a size that the task lacks."""
        task = self.paper.task
        sizes = tasks()[task].sizes
        if self.size not in sizes:
            raise ConfigError("size", self.size, f"one of {', '.join(sizes)} for {task}")
        further = tuple(rho for rho in FURTHER if self.further and rho not in self.paper.rows)
        shared = self._shared() | {"size": self.size}
        specs = {
            "grid": self._spec(PAPER_METHODS, (*self.paper.densities, *further), self.seeds, shared),
            "kept_alive": self._spec(("global",), (KEPT_ALIVE_AT, *further), self.seeds, shared | FLOORS),
        }
        for number, (method, density) in enumerate(self._pictured_runs()):
            small = self._shared() | {"size": PICTURED_SIZE}
            specs["pictures" if not number else f"pictures {number + 1}"] = self._spec(
                (method,), (density,), self.seeds[:1], small
            )
        return specs

    @property
    def paper(self) -> PaperTable:
        """The printed table."""
        return paper_table(self.table)

    def configs(self) -> list[RunConfig]:
        """Return all configs to train, without duplicates."""
        found = [config for spec in self.specs().values() for config in spec.configs()]
        return list({config.digest(): config for config in found}.values())

    def config_of(self, run: PicturedRun) -> RunConfig:
        """Return the config of a run shown in a figure."""
        parameters = self._shared() | {"size": run.size or self.size}
        return self._spec((run.method,), (run.density,), self.seeds[:1], parameters).configs()[0]

    def _shared(self) -> dict[str, Any]:
        # The thesis stops its text networks early on the test texts; the reproduction does the same.
        return ({"watch": "test"} if "watch" in tasks()[self.paper.task].parameters else {}) | self.parameters

    def _spec(
        self, methods: Iterable[str], densities: Iterable[float], seeds: Iterable[int], given: dict[str, Any]
    ) -> SweepSpec:
        return SweepSpec(
            task=self.paper.task,
            methods=tuple(methods),
            densities=tuple(densities),
            seeds=tuple(seeds),
            parameters=given,
        )

    def _pictured_runs(self) -> list[tuple[str, float]]:
        """Return method and density of the small networks shown in the table's figures."""
        wanted = [
            (run.method, run.density)
            for figure in figures_of(self.table)
            for run in figure.runs
            if run.size == PICTURED_SIZE
        ]
        return list(dict.fromkeys(wanted))


def column_of(config: RunConfig) -> Column:
    """Return the table column of a run."""
    floors = methods()[config.method].constrained and (config.keep_alive or config.keep_alive_layer)
    return "keep_alive" if floors else config.method
