"""Batching policy: which queued runs are reserved for a batch process, and when one is started.

The process itself, `sparsecore.runs.workers.batch_worker`, claims its runs from the queue. Nothing here
imports torch: the server runs this several times a second.
"""

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Literal

from sqlalchemy import select
from sqlalchemy.engine import Row

from sparsecore.engine.batch.grouping import ANYWHERE, LOOKED_THROUGH, NOTHING_TAKEN, batchable, fits
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs

Choice = Literal["auto", "off", "always"]
SMALLEST_BATCH = 2  # a single run goes to an ordinary worker
DEVICES_SECONDS = 5.0  # between two checks for a GPU, until a worker has found one
BACKOFF_SECONDS = 60.0  # without batches after a process that could not start or claimed nothing

logger = logging.getLogger(__name__)


class Batching:
    """The one batch process of a supervisor, and the runs reserved for it.

    choice: `auto` batches runs on a GPU if a worker has found one, `always` runs on any device (for tests: on
    a CPU one worker per core is faster), `off` none. start: starts a process of a module with these
    arguments.
    """

    def __init__(
        self, store: Store, choice: Choice, prefix: str, start: Callable[..., subprocess.Popen]
    ) -> None:
        self.store, self.choice, self.prefix, self._start = store, choice, prefix, start
        self.process: subprocess.Popen | None = None
        self.name = ""
        self.started = 0
        self.disabled_until = self.next_look = 0.0
        self._has_cuda = False
        self._known: dict[str, RunConfig] = {}  # by run id, of the queued runs

    @property
    def lookahead(self) -> int:
        """How many queued runs `reserved` must see beyond those that are assigned next."""
        return LOOKED_THROUGH if self._is_on() else 0

    def reserved(self, waiting: Sequence[Row]) -> set[str]:
        """The ids of the queued runs that ordinary workers must not take."""
        if not self._is_on():
            return set()
        self._read([row.id for row in waiting if row.for_batch])
        taken = [run_id for run_id, config in self._known.items() if self._takes(config)]
        if self.process is None:
            groups = batchable([self._known[run_id] for run_id in taken])
            if max(map(len, groups), default=0) < SMALLEST_BATCH:
                return set()
        return set(taken)

    def start(self) -> bool:
        """Start the process unless it runs; returns whether it was started."""
        if self.process is not None:
            return False
        self.started += 1
        self.name = f"{self.prefix}:batch:{self.started}"
        anywhere = [ANYWHERE] if self.choice == "always" else []
        module = "sparsecore.runs.workers.batch_worker"
        self.process = self._start(module, str(self.store.home), "--name", self.name, *anywhere)
        return True

    def reap(self) -> None:
        """After the end of the process queue the runs that it still held again, for ordinary workers."""
        if self.process is None or (code := self.process.poll()) is None:
            return
        self.process.stdin.close()
        with self.store.engine.connect() as connection:
            held = queue.run_ids_of(connection, self.name)
        for run_id in held:
            what = f"its batch process ended with code {code} several times."
            self.store.recover(run_id, self.name, what)
        if held:
            logger.warning(
                "A batch process ended with code %s; its %s runs continue separately.", code, len(held)
            )
        elif code != 0:
            self.disabled_until = time.monotonic() + BACKOFF_SECONDS
            if code != NOTHING_TAKEN:
                logger.error("A batch process could not start (exit %s).", code)
        self.process = None

    def _is_on(self) -> bool:
        if self.choice == "off" or (self.process is None and time.monotonic() < self.disabled_until):
            return False
        return self.choice == "always" or self._finds_cuda()

    def _finds_cuda(self) -> bool:
        """Whether a worker of this store has found a CUDA device."""
        if not self._has_cuda and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + DEVICES_SECONDS
            found = self.store.setting("devices", list)
            self._has_cuda = any(device["name"].startswith("cuda") for device in found)
        return self._has_cuda

    def _takes(self, config: RunConfig) -> bool:
        """As `batch_worker.is_batchable_here` on a machine with a GPU."""
        on_gpu = config.device == "auto" or config.device.startswith("cuda")
        return fits(config) and (on_gpu or self.choice == "always")

    def _read(self, ids: Sequence[str]) -> None:
        """Read the configs of these runs and forget all others."""
        new = [run_id for run_id in ids if run_id not in self._known]
        self._known = {run_id: self._known[run_id] for run_id in ids if run_id in self._known}
        if new:
            rows = self.store.rows(select(runs.c.id, runs.c.config).where(runs.c.id.in_(new)))
            self._known |= {row.id: RunConfig(**row.config) for row in rows}
