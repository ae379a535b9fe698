"""A table's runs in the store: begun as sweeps, found again, and the pictures of those that figures show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sparsecore.engine.config import RunConfig
from sparsecore.paper.pictures import PaperFigure, Picture, Shot, figures_of, load, picture_of
from sparsecore.paper.plan import Plan
from sparsecore.paper.record import Reproduction, pictures_path, reproduction
from sparsecore.paper.thesis import FOLDER
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import FINAL, Cell

ORIGIN = "paper"
RECENT = 200  # of the newest sweeps of a store; a plan that is older is not stopped from its page any more


def begin(store: Store, plan: Plan, by: Person = HOST) -> list[str]:
    """Enqueue what the plan's table lacks; gives the ids of its sweeps, the largest last.

    The small networks come first: they take seconds, and the page has pictures at once.
    """
    return [stored.begin(store, spec, ORIGIN, by) for spec in reversed(plan.specs().values())]


def begun(store: Store, plan: Plan) -> list[stored.Sweep]:
    """The sweeps of the plan that the store has."""
    specs = list(plan.specs().values())
    return [sweep for sweep in stored.recent(store, RECENT) if sweep.spec in specs]


def found(store: Store, plan: Plan) -> Reproduction:
    """The plan's table as far as the store has it."""
    specs = plan.specs()
    cells = [cell for name in ("grid", "kept_alive") for cell in stored.cells_of(store, specs[name])]
    return reproduction(plan, cells)


def cells_of(store: Store, plan: Plan) -> list[Cell]:
    """Every run that the plan needs, those of the pictures too, each once."""
    cells = (cell for spec in plan.specs().values() for cell in stored.cells_of(store, spec))
    return list({cell.config.digest(): cell for cell in cells}.values())


def pictures(store: Store, plan: Plan) -> dict[str, Picture]:
    """What the figures of the plan's table show, by digest, as far as it has been trained."""
    shown = {}
    configs = {
        config.digest(): config
        for figure in figures_of(plan.table)
        for config in (config_of(plan, shot) for shot in figure.shots)
    }
    runs = {cell.config.digest(): cell.run for cell in cells_of(store, plan)}
    for digest in configs:
        run = runs.get(digest)
        picture = None if run is None else picture_of(store, run)
        if picture is not None:
            shown[digest] = picture
    return shown


def config_of(plan: Plan, shot: Shot) -> RunConfig:
    """The config of the run that a figure shows."""
    return plan.pictured(shot.method, shot.density, shot.size)


def plan_of(made: Reproduction) -> Plan:
    """The plan that a reproduction was made by."""
    further = bool(set(made.densities) - set(Plan(made.table).paper.rows))
    return Plan(made.table, made.seeds, made.size, further, made.parameters)


def shown_in(figure: PaperFigure, plan: Plan, all_: dict[str, Picture]) -> list[Picture]:
    """The pictures of a figure in its order; empty when one of them is not there."""
    wanted = [config_of(plan, shot).digest() for shot in figure.shots]
    return [all_[digest] for digest in wanted] if all(digest in all_ for digest in wanted) else []


def shipped_pictures(table: str, folder: Path = FOLDER) -> dict[str, Picture]:
    """The pictures that came with a shipped reproduction."""
    return load(pictures_path(table, folder))


def unfinished(cells: Iterable[Cell]) -> int:
    """How many runs have not ended by themselves."""
    return sum(cell.status not in FINAL for cell in cells)
