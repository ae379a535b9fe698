"""Executors train the runs of a sweep: on this machine, or by a server that runs already; see also `ray`."""

import time
from collections.abc import Callable, Sequence
from typing import Self

from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import Cell
from sparsecore.runs.workers.batching import Choice
from sparsecore.runs.workers.supervisor import Supervisor

POLL_SECONDS = 0.5  # between two reads of the cells;
POLL_SHARE = 0.02  # longer for a large sweep, so that reading takes no more than this share of the time,
MAX_POLL_SECONDS = 10.0  # but at most this: a slow read may come from a busy machine
PENDING = ("queued", "running")

OnCells = Callable[[Sequence[Cell]], None]


class Executor:
    """Trains the queued runs of a sweep: this one waits while the supervisor of a running server trains.

    As a context manager an executor keeps its processes between sweeps.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def run(self, sweep_id: str, on_cells: OnCells, *more: str) -> None:
        """Train until no cell is queued or running, or the sweep is stopped; report the cells.

        more: further sweeps to train at the same time.
        """
        watch(self.store, (sweep_id, *more), on_cells)


class Local(Executor):
    """Trains everything that is queued, in order, in `workers` processes of one thread on this machine.

    batching: whether small runs train as one batch, in one of the processes; `auto` if there is a GPU.
    """

    def __init__(self, store: Store, workers: int | None = None, batching: Choice = "auto") -> None:
        super().__init__(store)
        self.workers, self.batching = workers, batching
        self.supervisor: Supervisor | None = None

    def __enter__(self) -> Self:
        self.supervisor = Supervisor(self.store, self.workers, spare=False, batching=self.batching)
        self.supervisor.start()
        return self

    def __exit__(self, *error: object) -> None:
        supervisor, self.supervisor = self.supervisor, None
        supervisor.stop()

    def run(self, sweep_id: str, on_cells: OnCells, *more: str) -> None:
        """Train until no cell is queued or running, or the sweep is stopped.

        However it ends, no process is left, and running runs are saved and queued.
        """
        if self.supervisor is None:
            with self:
                return self.run(sweep_id, on_cells, *more)
        return super().run(sweep_id, on_cells, *more)


class Cancelled(Exception):
    """The user has cancelled the work."""


def watch(store: Store, sweep_ids: Sequence[str], on_cells: OnCells) -> None:
    """Report the cells until none is queued or running, except in stopped sweeps."""
    while True:
        began = time.monotonic()
        found = [stored.get(store, sweep_id) for sweep_id in sweep_ids]
        cells = {sweep.id: stored.cells_of(store, sweep.spec) for sweep in found}
        on_cells([cell for own in cells.values() for cell in own])
        took = time.monotonic() - began
        going = [cell for sweep in found if sweep.state != "stopped" for cell in cells[sweep.id]]
        if not any(cell.status in PENDING for cell in going):
            return
        time.sleep(min(max(POLL_SECONDS, took / POLL_SHARE), MAX_POLL_SECONDS))
