"""A reproduction: the runs of a table and their results, live from the store or from a shipped file."""

import json
import math
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sparsecore.paper.pictures import PaperFigure, Picture, figures_of, picture_of, read_pictures
from sparsecore.paper.plan import FLOORS, Column, TablePlan, column_of
from sparsecore.paper.thesis import FOLDER, TABLES
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.results import KeptLayer, Point
from sparsecore.runs.sweeps.spec import FINAL, FINISHED, Cell, Status
from sparsecore.settings import PACKAGE, ROOT

ORIGIN = "paper"
RECENT = 200  # newest sweeps searched; the page cannot stop an older plan
PACKAGES = ("torch", "numpy")  # packages that affect the results
# Changes to the program only: shipped data may be newer than the commit that produced them.
CHANGED = ("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)assets/paper")


class ReproductionModel(BaseModel):
    """Base of the models read from shipped files; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrialLayer(ReproductionModel):
    """One weight matrix at the end of a run and its number of non-zeros."""

    name: str
    shape: tuple[int, ...]
    nonzeros: int
    prunable: bool

    @property
    def weights(self) -> int:
        return math.prod(self.shape)


class ReproducedRun(ReproductionModel):
    """One run of a reproduction. `digest` is that of its config; results are None until it has ended.

    train, test: the task's first metric. reason: why it ended; step: the current or last step.
    """

    digest: str
    run: str | None = None
    column: Column
    density: float
    seed: int
    status: Status
    reason: str | None = None
    detail: dict[str, Any] = {}
    step: int = 0
    metric: str | None = None
    train: float | None = None
    test: float | None = None
    budget: int | None = None
    nonzeros: int | None = None
    layers: tuple[TrialLayer, ...] = ()
    seconds: float | None = None
    device: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the run reached a final status."""
        return self.status in FINAL

    @classmethod
    def of(cls, cell: Cell) -> "ReproducedRun":
        """Build the trial from the current state of a cell."""
        config, run = cell.config, cell.run
        fields: dict[str, Any] = {
            "digest": config.digest(),
            "column": column_of(config),
            "density": config.density,
            "seed": config.seed,
            "status": cell.status,
        }
        if run is None:
            return cls(**fields)
        reason = f"failed: {run.error}" if run.state == "failed" else run.reason
        fields |= {"run": run.id, "reason": reason, "detail": run.detail or {}, "step": run.step}
        if cell.metric is not None and cell.status in FINISHED:
            result, (name, train, test) = run.result, cell.metric
            fields |= {"metric": name, "train": train, "test": test}
            fields |= {name: result[name] for name in ("budget", "nonzeros", "seconds", "device")}
            fields["layers"] = tuple(
                TrialLayer(**{name: layer[name] for name in TrialLayer.model_fields})
                for layer in result["layers"]
            )
        return cls(**fields)

    def point(self) -> Point | None:
        """Return the trial as a point of the curves; None without a result."""
        if self.test is None or self.train is None:
            return None
        return Point(
            run=self.run or "",
            method=self.column,
            density=self.density,
            seed=self.seed,
            collapsed=self.status == "collapsed",
            reason=self.reason or "",
            metric=self.metric or "",
            train=self.train,
            test=self.test,
            steps=self.step,
            seconds=self.seconds or 0.0,
            kept=self.nonzeros or 0,
            budget=self.budget or 0,
            nonzeros=sum(layer.nonzeros for layer in self.layers),
            weights=sum(layer.weights for layer in self.layers),
            layers=tuple(
                KeptLayer(each.name, each.nonzeros, each.weights, each.prunable) for each in self.layers
            ),
        )


class Reproduction(ReproductionModel):
    """The runs of one table, how they were made, and their provenance.

    floors: the minimum counts of the `keep_alive` rows. commit: that of the program; None outside a
    repository.
    """

    table: Literal["3-1", "3-2", "3-4"]
    size: str
    seeds: tuple[int, ...]
    parameters: dict[str, Any]
    command: str
    commit: str | None
    versions: dict[str, str]
    created: str
    floors: dict[str, int]
    trials: tuple[ReproducedRun, ...]

    @property
    def finished(self) -> bool:
        """Whether every run has a final status."""
        return all(trial.finished for trial in self.trials)

    def of(self, column: Column, density: float) -> tuple[ReproducedRun, ...]:
        """Return the trials of one cell; at density 1 every column shows the dense runs."""
        wanted = "dense" if density == 1 else column
        return tuple(t for t in self.trials if t.column == wanted and t.density == density)

    def points(self) -> list[Point]:
        """Return the trials with a result as points of the curves."""
        return [point for trial in self.trials if (point := trial.point()) is not None]

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices of the runs, such as cpu and cuda."""
        return tuple(sorted({trial.device for trial in self.trials if trial.device is not None}))

    @property
    def densities(self) -> tuple[float, ...]:
        """All densities with a trial, from 1 down."""
        return tuple(sorted({trial.density for trial in self.trials}, reverse=True))


def command_for(plan: TablePlan) -> str:
    """Return the command that repeats a reproduction.

    >>> command_for(TablePlan("3-1", seeds=(0, 1), further=True, parameters={"max_steps": 500}))
    'python -m sparsecore reproduce 3-1 --seeds 0,1 --size paper --further --max-steps 500'
    """
    given = [f"--{name.replace('_', '-')} {value}" for name, value in plan.parameters.items()]
    parts = [
        f"python -m sparsecore reproduce {plan.table}",
        f"--seeds {','.join(map(str, plan.seeds))}",
        f"--size {plan.size}",
        *(["--further"] if plan.further else []),
        *given,
    ]
    return " ".join(parts)


@cache
def commit() -> str | None:
    """Return the commit of this program, with `+changes` if files differ; None outside a checkout."""
    if ROOT == PACKAGE:  # installed: a repository around it is not this program's
        return None
    try:
        head, changed = _git("rev-parse", "HEAD"), _git(*CHANGED)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the results."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


# -- stored -------------------------------------------------------------------------------------------


def enqueue(store: Store, plan: TablePlan, by: Person = HOST) -> list[str]:
    """Enqueue the missing runs of the plan; return the ids of its sweeps, the largest last.

    The small networks come first: they train in seconds and give the page pictures early.
    """
    return [stored.begin(store, spec, ORIGIN, by) for spec in reversed(plan.specs().values())]


def enqueued_sweeps(store: Store, plan: TablePlan) -> list[stored.Sweep]:
    """Return the plan's sweeps found in the store."""
    specs = list(plan.specs().values())
    return [sweep for sweep in stored.recent(store, RECENT) if sweep.spec in specs]


def load_reproduction(store: Store, plan: TablePlan) -> Reproduction:
    """Return the reproduction of the plan's table from the runs finished so far."""
    specs = plan.specs()
    cells = (cell for name in ("grid", "kept_alive") for cell in stored.cells_of(store, specs[name]))
    return Reproduction(
        table=plan.table,
        size=plan.size,
        seeds=plan.seeds,
        parameters=plan.parameters,
        command=command_for(plan),
        commit=commit(),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        floors=FLOORS,
        trials=tuple(ReproducedRun.of(cell) for cell in cells),
    )


def all_cells(store: Store, plan: TablePlan) -> list[Cell]:
    """Return all cells of the plan, including those for pictures, without duplicates."""
    cells = (cell for spec in plan.specs().values() for cell in stored.cells_of(store, spec))
    return list({cell.config.digest(): cell for cell in cells}.values())


def load_pictures(store: Store, plan: TablePlan) -> dict[str, Picture]:
    """Return the pictures for the table's figures by config digest, for the runs that have a frame."""
    runs = {cell.config.digest(): cell.run for cell in all_cells(store, plan)}
    digests = (plan.config_of(each).digest() for figure in figures_of(plan.table) for each in figure.runs)
    pictures = {
        digest: picture_of(store, runs[digest]) for digest in dict.fromkeys(digests) if runs.get(digest)
    }
    return {digest: picture for digest, picture in pictures.items() if picture is not None}


def plan_of(made: Reproduction) -> TablePlan:
    """Return the plan that produced a reproduction."""
    further = bool(set(made.densities) - set(TablePlan(made.table).paper.rows))
    return TablePlan(made.table, made.seeds, made.size, further, made.parameters)


def pictures_of(figure: PaperFigure, plan: TablePlan, pictures: dict[str, Picture]) -> list[Picture]:
    """Return the pictures of a figure in its order; empty if one is missing."""
    digests = [plan.config_of(each).digest() for each in figure.runs]
    return [pictures[digest] for digest in digests] if all(digest in pictures for digest in digests) else []


# -- shipped ----------------------------------------------------------------------------------------------


def write_shipped(reproduction: Reproduction, folder: Path = FOLDER) -> Path:
    """Write a finished reproduction to a folder.

    Raises `ValueError` if runs are unfinished or the commit is unknown.
    """
    open_ = sum(not trial.finished for trial in reproduction.trials)
    if open_:
        raise ValueError(f"{open_} of {len(reproduction.trials)} runs have not ended: nothing was written.")
    if reproduction.commit is None:
        raise ValueError(
            "a shipped reproduction records its commit, but this copy is not in a git repository."
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{reproduction.table}.json"
    rows = reproduction.model_dump(mode="json", exclude_defaults=True)
    head = {name: value for name, value in rows.items() if name != "trials"}
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows["trials"])
    text = json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")
    path.write_text(f'{text},\n "trials": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    return path


def load_shipped(table: str, folder: Path = FOLDER) -> Reproduction | None:
    """Load the shipped reproduction of a table; None if there is none."""
    path = folder / f"{table}.json"
    if table not in TABLES or not path.exists():
        return None
    return Reproduction.model_validate_json(path.read_text(encoding="utf-8"))


def pictures_path(table: str, folder: Path = FOLDER) -> Path:
    """Return the path of the pictures of a shipped reproduction."""
    return folder / f"{table}.safetensors"


def load_shipped_pictures(table: str, folder: Path = FOLDER) -> dict[str, Picture]:
    """Return the pictures of a shipped reproduction."""
    return read_pictures(pictures_path(table, folder))
