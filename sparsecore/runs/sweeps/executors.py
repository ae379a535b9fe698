"""What trains a sweep's runs: this machine's cores here; a cluster in `ray_executor`, a file of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import Cell
from sparsecore.runs.workers.batching import Choice
from sparsecore.runs.workers.supervisor import Supervisor

LOOK_SECONDS = 0.5  # between two looks at the cells,
LOOK_SHARE = 0.02  # longer where reading a large sweep's takes more than this share of the time,
LONGEST_SECONDS = 10.0  # but no longer than this: a machine that is busy for a moment is not a large sweep
PENDING = ("queued", "running")

Listen = Callable[[Sequence[Cell]], None]


class Executor(Protocol):
    """Trains what a sweep has queued; as a context it keeps what it has begun from one sweep to the next."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def run(self, sweep_id: str, listen: Listen, *more: str) -> None:
        """Train until no cell is queued or running, or the sweep is stopped; tell how the cells are.

        more: further sweeps, which are trained at the same time.
        """


class Local:
    """Trains with so many worker processes on this machine, one thread each; all that is queued, in order.

    As a context it keeps its processes from one sweep to the next.

    batching: whether small runs train as one batch, which is one of the processes; `auto` is where there is a
    GPU.
    """

    def __init__(self, store: Store, workers: int | None = None, batching: Choice = "auto") -> None:
        self.store, self.workers, self.batching = store, workers, batching
        self.supervisor: Supervisor | None = None

    def __enter__(self) -> Local:
        """Keep the processes from one sweep to the next."""
        self.supervisor = Supervisor(self.store, self.workers, spare=False, batching=self.batching)
        self.supervisor.start()
        return self

    def __exit__(self, *error: object) -> None:
        supervisor, self.supervisor = self.supervisor, None
        supervisor.stop()

    @staticmethod
    def cores() -> int:
        """As many runs at once as this machine trains when nobody says how many."""
        return os.cpu_count() or 1

    def run(self, sweep_id: str, listen: Listen, *more: str) -> None:
        """Train until no cell is queued or running, or the sweep is stopped.

        However it ends, no process is left, and what was training is saved and queued.
        """
        if self.supervisor is None:
            with self:
                return self.run(sweep_id, listen, *more)
        return watch(self.store, (sweep_id, *more), listen)


class Cancelled(Exception):
    """Whoever asked for a sweep wants no more of it."""


class Elsewhere:
    """Trains nothing itself: a server's supervisor does, and this waits for it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Elsewhere:
        """Nothing is begun here."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nor ended."""

    def run(self, sweep_id: str, listen: Listen, *more: str) -> None:
        """Wait until the sweep's cells have ended, or somebody stops it."""
        watch(self.store, (sweep_id, *more), listen)


def watch(store: Store, sweep_ids: Sequence[str], listen: Listen) -> None:
    """Tell how the cells are, until none of a sweep that is not stopped is queued or running."""
    while True:
        began = time.monotonic()
        found = [stored.get(store, sweep_id) for sweep_id in sweep_ids]
        cells = {sweep.id: stored.cells_of(store, sweep.spec) for sweep in found}
        listen([cell for own in cells.values() for cell in own])
        took = time.monotonic() - began
        going = [cell for sweep in found if sweep.state != "stopped" for cell in cells[sweep.id]]
        if not any(cell.status in PENDING for cell in going):
            return
        time.sleep(min(max(LOOK_SECONDS, took / LOOK_SHARE), LONGEST_SECONDS))
