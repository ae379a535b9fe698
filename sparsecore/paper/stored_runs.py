"""The runs of a table in the store: enqueued as sweeps, read back as a reproduction with pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sparsecore.paper.pictures import PaperFigure, Picture, figures_of, picture_of, read_pictures
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import Reproduction, build_reproduction, pictures_path
from sparsecore.paper.thesis import FOLDER
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import FINAL, Cell

ORIGIN = "paper"
RECENT = 200  # newest sweeps searched; the page cannot stop an older plan


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
    cells = [cell for name in ("grid", "kept_alive") for cell in stored.cells_of(store, specs[name])]
    return build_reproduction(plan, cells)


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


def load_shipped_pictures(table: str, folder: Path = FOLDER) -> dict[str, Picture]:
    """Return the pictures of a shipped reproduction."""
    return read_pictures(pictures_path(table, folder))


def count_unfinished(cells: Iterable[Cell]) -> int:
    """Count the cells without a final status."""
    return sum(cell.status not in FINAL for cell in cells)
