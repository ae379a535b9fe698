"""An executor on Ray: trains the runs of a sweep on this machine or on a cluster, `ray://host:10001`.

A queued run becomes a Ray task, which trains it like a local worker process and writes to the same store, so
that every page shows it live. Ray decides where a process runs; owners, crashes and commands stay in the
store.
"""

import logging
import os
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import delete

from sparsecore.corpora import storage
from sparsecore.corpora.corpus import CorpusError
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.database import StoreError, clock, is_networked
from sparsecore.runs.store.errors import LostRun, Unusable
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import HEARTBEAT_SECONDS, MAX_CRASHES, Store
from sparsecore.runs.store.tables import commands
from sparsecore.runs.sweeps.executors import Executor, OnCells, watch
from sparsecore.runs.sweeps.spec import Cell
from sparsecore.runs.workers.lost import HeartbeatMonitor
from sparsecore.runs.workers.supervisor import STOP_SECONDS
from sparsecore.settings import PACKAGE, default_home, extensions, variable

GPUS_PER_RUN = 0.25  # a network of a few thousand weights leaves most of a GPU idle
OBJECT_STORE_BYTES = 80_000_000  # only imported texts go through it; Ray's default is 30 % of the memory

logger = logging.getLogger(__name__)


class ClusterError(Unusable):
    """Ray cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class RayTask:
    """A run given to Ray, with the name of the worker that will train it."""

    run_id: str
    name: str


class Ray(Executor):
    """Trains with Ray, one task of one thread per run; as a context manager it stays connected.

    address: None for this machine, else a cluster's, as `ray://host:10001`, which needs a store on
    PostgreSQL. An existing connection to Ray is used and left open.
    gpus_per_run: the share of a GPU for a run on `cuda`, or on `auto` if the cluster has GPUs.
    workers: how many runs at once on this machine; all cores if None. A cluster decides by itself.
    """

    def __init__(
        self,
        store: Store,
        address: str | None = None,
        gpus_per_run: float = GPUS_PER_RUN,
        workers: int | None = None,
    ) -> None:
        if address is not None and not is_networked(store.url):
            raise ClusterError(
                f"the store is a SQLite file, which the machines of {address} cannot reach: let "
                "SPARSECORE_STORE name a PostgreSQL database that all of them reach."
            )
        self.store, self.address = store, address
        self.gpus_per_run, self.workers = gpus_per_run, workers
        self.monitor = HeartbeatMonitor(store)
        self.ray = _ray()
        self.name = f"{queue.CLUSTER}{uuid.uuid4().hex[:8]}"
        self.tasks: dict[Any, RayTask] = {}
        self.texts: dict[str, Any] = {}
        self.false_starts: Counter[str] = Counter()
        self.given = 0
        self.kept_open = ExitStack()

    def __enter__(self) -> "Ray":
        """Connect. Raises ClusterError if Ray cannot be reached."""
        self.kept_open.enter_context(self._connected())
        return self

    def __exit__(self, *error: object) -> None:
        self.kept_open.close()

    def run(self, sweep_id: str, on_cells: OnCells, *more: str) -> None:
        """Train until no cell is queued or running, or the sweep is stopped.

        However it ends, running runs are saved and queued. Raises ClusterError if Ray cannot be reached.
        """
        with self._connected(), self._waiting():
            try:
                watch(self.store, (sweep_id, *more), partial(self._look, on_cells))
            finally:
                self._release()

    def _look(self, on_cells: OnCells, cells: Sequence[Cell]) -> None:
        self._settle()
        for run in self.monitor.lost():
            logger.warning("Run %s lost its worker %s.", run.id, run.worker)
            self.store.recover(run.id, run.worker, "its worker stopped responding.")
        self._give([cell.run for cell in cells if cell.status == "queued"])
        on_cells(cells)

    # -- to Ray -------------------------------------------------------------------------------------------

    def _give(self, queued: Sequence[Run]) -> None:
        """Give every queued run without a task to Ray, which keeps the order."""
        names = {task.run_id: task.name for task in self.tasks.values()}
        for run in queued:
            if run.worker is not None and run.worker == names.get(run.id):
                self.store.claim(run.id, run.worker)  # it was paused, and its process still holds it
        new = [run for run in queued if run.id not in names]
        if new:
            mine = [run.id for run in new if run.origin == queue.SWEEP]
            with self.store.engine.begin() as connection:
                queue.reserve(connection, mine, self.name, clock(self.store.engine))
        for run in new:
            try:
                self._start(run)
            except (CorpusError, ClusterError) as error:
                self.store.fail(run.id, str(error))

    def _start(self, run: Run) -> None:
        config, texts = run.config, self._texts(run.config)
        if config.device.startswith("cuda") and not self._has_gpus:
            raise ClusterError(f"it needs {config.device}, and the Ray cluster has no GPU.")
        wants_gpu = self._has_gpus and config.device not in ("cpu", "mps")
        gpus = self.gpus_per_run if wants_gpu else 0
        remote = self.ray.remote(_train).options(num_cpus=1, num_gpus=gpus, max_retries=0, name=run.id)
        self.given += 1
        name = f"{self.name}:{self.given}"
        home = str(self.store.home) if self.address is None else None
        url = self.store.url.render_as_string(hide_password=False) if is_networked(self.store.url) else None
        ref = remote.remote(home, url, run.id, name, config.data, texts)
        self.tasks[ref] = RayTask(run.id, name)

    def _texts(self, config: RunConfig) -> list[Any]:
        """The imported texts of a config in Ray's object store: other machines may lack them."""
        key = config.data
        if key is None or self.address is None:
            return []
        if key not in self.texts:
            self.texts[key] = self.ray.put(storage.read_blob(key, self.store.home / "corpora"))
        return [self.texts[key]]  # inside a list Ray passes the reference, not the content

    @cached_property
    def _has_gpus(self) -> bool:
        return self.ray.cluster_resources().get("GPU", 0) > 0

    # -- from Ray -----------------------------------------------------------------------------------------

    def _settle(self, seconds: float = 0) -> None:
        """Handle the tasks that have ended, after waiting at most this long for all of them."""
        refs = list(self.tasks)
        done = self.ray.wait(refs, num_returns=len(refs), timeout=seconds)[0] if refs else []
        for ref in done:
            task = self.tasks.pop(ref)
            try:
                self.ray.get(ref)
            except self.ray.exceptions.TaskCancelledError:
                continue
            except self.ray.exceptions.RayError as error:
                self._handle_failure(task, error)

    def _handle_failure(self, task: RayTask, error: Exception) -> None:
        """Queue a run again after its process died or could not start; fail it after several times.

        An error of the training itself is in the store already, and the run has no worker any more.
        """
        cause = getattr(error, "cause", None) or error
        why = f"its Ray task failed: {type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
        logger.warning("Run %s: %s", task.run_id, why)
        run = self.store.get(task.run_id)
        if run is not None and run.worker == task.name:
            self.store.recover(run.id, task.name, why)
        elif run is not None and run.state == "queued":
            self.false_starts[run.id] += 1
            if self.false_starts[run.id] >= MAX_CRASHES:
                self.store.fail(run.id, why)

    def _release(self) -> None:
        """Save and queue the running runs, cancel the tasks that have not started, and wait for all."""
        with self.store.engine.connect() as connection:
            held = queue.runs_of(connection, [task.name for task in self.tasks.values()])
        for ref, task in self.tasks.items():
            if task.name in held:
                self.store.command(task.run_id, "release")
            else:  # by force: a process that is interrupted while it imports torch cannot import it again
                self.ray.cancel(ref, force=True)
        left = dict(self.tasks)
        self._settle(STOP_SECONDS)
        for ref in self.tasks:
            self.ray.cancel(ref, force=True)
        self.tasks = {}
        for task in left.values():
            with suppress(LostRun):  # usually it was released or has ended
                self.store.release(task.run_id, task.name)
        pending = commands.c.run_id.in_([task.run_id for task in left.values()]), commands.c.kind == "release"
        with self.store.engine.begin() as connection:
            queue.unreserve(connection, self.name)
            connection.execute(delete(commands).where(*pending))

    # -- connection ---------------------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[None]:
        if self.ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self.address is None:
                own = {"num_cpus": self.workers, "include_dashboard": False}
                self.ray.init("local", object_store_memory=OBJECT_STORE_BYTES, **own, **quiet)
            else:  # the cluster's processes run this copy of the code; extensions are in the same folders
                folders = os.pathsep.join(map(str, extensions()))
                variables = {"env_vars": {variable("extensions"): folders}} if folders else {}
                code = {"py_modules": [str(PACKAGE)]} | variables
                self.ray.init(self.address, runtime_env=code, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            lines = [line.strip(" .:") for line in str(error).splitlines() if line.strip()] or [repr(error)]
            why = ": ".join(dict.fromkeys((lines[0], lines[-1])))  # the failure, and the server's last line
            place = self.address or "this machine"
            raise ClusterError(f"Ray cannot be reached at {place}: {why}.") from error
        try:
            yield
        finally:
            self.ray.shutdown()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Renew the reservation of the runs that wait for the cluster, so that no server trains them."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                # The database may be back at the next heartbeat; `run` raises the error otherwise.
                with suppress(StoreError), self.store.engine.begin() as connection:
                    queue.heartbeat(connection, self.name, clock(self.store.engine))

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            done.set()
            beating.join()


def _train(home: str | None, url: str | None, run_id: str, name: str, data: str | None, texts: list) -> None:
    """Train one run in a process of the cluster, with the home of its machine if none is given."""
    from sparsecore.runs.workers.worker import train_one  # imports torch, which the driver does not need

    folder = Path(home) if home else default_home()
    if texts and not storage.saved_at(data, folder / "corpora"):
        storage.write_blob(data, _ray().get(texts[0]), folder / "corpora")
    train_one(folder, run_id, name, url)


def _ray() -> ModuleType:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ClusterError("Ray is not installed: pip install -r requirements-cluster.txt.") from error
    return ray
