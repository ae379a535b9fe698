"""The store: every run's config, log, checkpoint, commands and ending, in one database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, case, create_engine, delete, event, func, insert, select, update
from sqlalchemy.engine import Row

from sparsecore.config import PARAMETERS, ConfigError, RunConfig
from sparsecore.home import default_home
from sparsecore.runs import queue
from sparsecore.runs.log import Entry, append, rewind
from sparsecore.runs.run import ACTIVE, Run, State, new_row
from sparsecore.runs.tables import checkpoints, commands, log, metadata, runs, settings

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=33554432")
BUSY_SECONDS = 30  # how long a writer waits for another process's write
HEARTBEAT_SECONDS = 1.0
LOST_SECONDS = 10.0  # without a heartbeat for so long, a run's worker is taken for dead
MAX_CRASHES = 3  # a run whose worker died so often without a new checkpoint is given up


class LostRun(RuntimeError):
    """The run is no longer this worker's: someone took it over, or deleted it."""


class Store:
    """All runs in one database: SQLite in write-ahead mode, under `home`.

    Safe from any number of threads and processes. A run belongs to one worker at a time; what any other
    writes to it raises `LostRun`.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or default_home()
        self.home.mkdir(parents=True, exist_ok=True)

    @cached_property
    def engine(self) -> Engine:
        url = f"sqlite+pysqlite:///{self.home / 'store.sqlite3'}"
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # one process makes the tables of a new home
            metadata.create_all(connection)
            connection.commit()
        return engine

    def close(self) -> None:
        """Let go of the database's files."""
        self.engine.dispose()

    # -- runs ---------------------------------------------------------------------------------------------

    def create(self, config: RunConfig, origin: str = "page", worker: str | None = None) -> str:
        """A new run, queued; or, when a `worker` is named, begun by it. Gives its id."""
        row = new_row(config, origin, worker)
        with self.engine.begin() as connection:
            connection.execute(insert(runs).values(row))
        return row["id"]

    def get(self, run_id: str) -> Run | None:
        """The run, or None when there is none of this id."""
        with self.engine.connect() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
        return None if row is None else Run.of(row)

    def list(
        self, *, states: Sequence[str] = (), origin: str | None = None, limit: int | None = None
    ) -> list[Run]:
        """Runs, newest first."""
        query = select(runs).order_by(runs.c.place.desc()).limit(limit)
        if states:
            query = query.where(runs.c.state.in_(states))
        if origin:
            query = query.where(runs.c.origin == origin)
        with self.engine.connect() as connection:
            return [Run.of(row) for row in connection.execute(query)]

    def queue_place(self, run_id: str) -> int | None:
        """1 for the next to be trained; None when the run is not queued."""
        with self.engine.connect() as connection:
            return queue.place_of(connection, run_id)

    def delete(self, run_id: str) -> None:
        """Remove a run and all it logged."""
        with self.engine.begin() as connection:
            connection.execute(delete(runs).where(runs.c.id == run_id))

    # -- who trains it ------------------------------------------------------------------------------------

    def claim(self, run_id: str, worker: str, state: Literal["queued", "paused"] = "queued") -> bool:
        """Make the run this worker's if it is still in `state`; a queued one is running from then on."""
        now = time.time()
        values = {"worker": worker, "heartbeat": now, "started": func.coalesce(runs.c.started, now)}
        free = (runs.c.id == run_id, runs.c.state == state)
        if state == "queued":
            values["state"] = "running"
        else:
            free += (runs.c.worker.is_(None),)
        with self.engine.begin() as connection:
            return connection.execute(update(runs).where(*free).values(values)).rowcount == 1

    def beat(self, run_id: str, worker: str) -> None:
        """Say that the worker lives; `LostRun` when the run is no longer its own."""
        self._mine(run_id, worker, {"heartbeat": time.time()})

    def set_state(self, run_id: str, worker: str, state: State) -> None:
        """Move the worker's own run to `paused` or `running`."""
        self._mine(run_id, worker, {"state": state, "heartbeat": time.time()})

    def release(self, run_id: str, worker: str) -> None:
        """Let go of the run: one that was running is queued again, a paused one waits for a command."""
        state = case((runs.c.state == "running", "queued"), else_=runs.c.state)
        self._mine(run_id, worker, {"state": state, "worker": None})

    def finish(self, run_id: str, worker: str, step: int, reason: str, detail: dict, result: dict) -> None:
        """The run's ending."""
        ending = {"reason": reason, "detail": detail, "result": result, "step": step}
        self._mine(run_id, worker, ending | {"state": "ended", "worker": None, "ended": time.time()})

    def fail(self, run_id: str, error: str, worker: str | None = None) -> None:
        """The run cannot go on; `error` is the sentence to show. A `worker` may only fail its own run."""
        active = (runs.c.id == run_id, runs.c.state.in_(ACTIVE))
        if worker is not None:
            active += (runs.c.worker == worker,)
        values = {"state": "failed", "worker": None, "ended": time.time(), "error": error}
        with self.engine.begin() as connection:
            connection.execute(update(runs).where(*active).values(values))

    def recover(self, run_id: str, worker: str, what: str) -> None:
        """The worker is dead: queue its run again, or give it up after `MAX_CRASHES` in a row."""
        mine = (runs.c.id == run_id, runs.c.worker == worker, runs.c.state.in_(("running", "paused")))
        with self.engine.begin() as connection:
            row = connection.execute(select(runs.c.crashes, runs.c.state).where(*mine)).first()
            if row is None:
                return
            state = "queued" if row.state == "running" else "paused"
            values: dict[str, Any] = {"state": state, "worker": None, "crashes": row.crashes + 1}
            if row.crashes + 1 >= MAX_CRASHES:
                values |= {"state": "failed", "ended": time.time(), "error": what}
            connection.execute(update(runs).where(*mine).values(values))

    def lost(self) -> list[Run]:
        """Runs whose worker has not been heard of for `LOST_SECONDS`."""
        old = time.time() - LOST_SECONDS
        query = select(runs).where(runs.c.worker.is_not(None), runs.c.heartbeat < old)
        with self.engine.connect() as connection:
            return [Run.of(row) for row in connection.execute(query)]

    def _mine(self, run_id: str, worker: str, values: dict[str, Any]) -> None:
        with self.engine.begin() as connection:
            self._mine_in(connection, run_id, worker, values)

    def _mine_in(self, connection: Connection, run_id: str, worker: str, values: dict[str, Any]) -> None:
        query = update(runs).where(runs.c.id == run_id, runs.c.worker == worker).values(values)
        if connection.execute(query).rowcount == 0:
            raise LostRun(f"run {run_id} is no longer trained by {worker}.")

    # -- the log ------------------------------------------------------------------------------------------

    def write(
        self, run_id: str, worker: str, step: int, entries: Sequence[Entry], checkpoint: bytes | None = None
    ) -> None:
        """Append to the run's log, and replace its checkpoint, in one transaction."""
        values: dict[str, Any] = {"step": step, "heartbeat": time.time()}
        if checkpoint is not None:
            values["crashes"] = 0
        with self.engine.begin() as connection:
            self._mine_in(connection, run_id, worker, values)
            append(connection, run_id, entries)
            if checkpoint is not None:
                connection.execute(delete(checkpoints).where(checkpoints.c.run_id == run_id))
                row = {"run_id": run_id, "step": step, "payload": checkpoint}
                connection.execute(insert(checkpoints).values(row))

    def checkpoint(self, run_id: str) -> tuple[int, bytes] | None:
        """The step and the blob of the run's last checkpoint."""
        query = select(checkpoints.c.step, checkpoints.c.payload).where(checkpoints.c.run_id == run_id)
        with self.engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.step, row.payload)

    def rewind(self, run_id: str, worker: str, step: int) -> None:
        """Drop what was logged after `step`, before the run goes on from there."""
        with self.engine.begin() as connection:
            self._mine_in(connection, run_id, worker, {"step": step})
            rewind(connection, run_id, step)

    def entries(self, run_id: str, kinds: Sequence[str], after: int = 0) -> list[Row]:
        """Log rows (id, kind, step, payload) of these kinds past a row id, oldest first."""
        query = (
            select(log.c.id, log.c.kind, log.c.step, log.c.payload)
            .where(log.c.run_id == run_id, log.c.kind.in_(kinds), log.c.id > after)
            .order_by(log.c.id)
        )
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def changes(self, run_id: str) -> dict[str, Any]:
        """The live parameters as they were last set while the run trained."""
        changed: dict[str, Any] = {}
        for row in self.entries(run_id, ["change"]):
            changed |= json.loads(row.payload)
        return changed

    def last_record(self, run_id: str) -> dict[str, Any]:
        """The newest scalars of the run; empty before the first."""
        query = select(log.c.payload).where(log.c.run_id == run_id, log.c.kind == "record")
        with self.engine.connect() as connection:
            payload = connection.execute(query.order_by(log.c.id.desc()).limit(1)).scalar_one_or_none()
        return {} if payload is None else json.loads(payload)

    def frames(self, run_id: str) -> list[tuple[int, int]]:
        """(row id, step) of every kept frame, oldest first."""
        query = select(log.c.id, log.c.step).where(log.c.run_id == run_id, log.c.kind == "frame")
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(log.c.id))]

    def frame(self, run_id: str, row_id: int | None = None, newer_than: int = 0) -> Row | None:
        """One frame (id, step, payload): that of a row id, or the newest if it is newer than a row id."""
        query = select(log.c.id, log.c.step, log.c.payload).where(
            log.c.run_id == run_id, log.c.kind == "frame"
        )
        wanted = log.c.id > newer_than if row_id is None else log.c.id == row_id
        with self.engine.connect() as connection:
            return connection.execute(query.where(wanted).order_by(log.c.id.desc()).limit(1)).first()

    def last_row(self, run_id: str) -> int:
        """The newest row id of the run's log; 0 for an empty log."""
        query = select(func.coalesce(func.max(log.c.id), 0)).where(log.c.run_id == run_id)
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def log_bytes(self, run_id: str) -> int:
        """The size of the run's log."""
        query = select(func.coalesce(func.sum(log.c.size), 0)).where(log.c.run_id == run_id)
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    # -- commands -----------------------------------------------------------------------------------------

    def command(self, run_id: str, kind: str, values: dict[str, Any] | None = None) -> None:
        """Ask the run's worker for something: pause, step, stop, or change (live parameters).

        A `ConfigError` when a changed value does not fit; nothing is asked then.
        """
        if kind == "change":
            self._check_change(run_id, values or {})
        with self.engine.begin() as connection:
            if kind == "stop" and self._stop_unstarted(connection, run_id):
                return
            connection.execute(insert(commands).values(run_id=run_id, kind=kind, values=values or {}))

    def _check_change(self, run_id: str, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name not in PARAMETERS or not PARAMETERS[name].live:
                raise ConfigError(name, value, "left alone while it trains")
        run = self.get(run_id)
        if run is not None:
            RunConfig.parse(run.config.model_dump() | values)

    def _stop_unstarted(self, connection: Connection, run_id: str) -> bool:
        """A run that waits in the queue and has done nothing yet ends at once."""
        waiting = (runs.c.id == run_id, runs.c.state == "queued", runs.c.started.is_(None))
        values = {"state": "ended", "reason": "stopped", "detail": {}, "ended": time.time()}
        return connection.execute(update(runs).where(*waiting).values(values)).rowcount == 1

    def resume(self, run_id: str) -> None:
        """A paused run waits for its turn again; one that the command line holds goes on at once."""
        paused = (runs.c.id == run_id, runs.c.state == "paused")
        with self.engine.begin() as connection:
            held = update(runs).where(*paused, runs.c.worker.like("cli:%")).values(state="running")
            if connection.execute(held).rowcount == 0:
                connection.execute(update(runs).where(*paused).values(state="queued"))

    def take_commands(self, run_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The commands given since the last call, oldest first; they are gone from the store then."""
        query = select(commands).where(commands.c.run_id == run_id).order_by(commands.c.id)
        with self.engine.connect() as connection:
            rows = list(connection.execute(query))
        if rows:
            taken = delete(commands).where(commands.c.id.in_([row.id for row in rows]))
            with self.engine.begin() as connection:
                connection.execute(taken)
        return [(row.kind, row.values) for row in rows]

    def commanded(self) -> list[str]:
        """Paused runs without a worker that were given a command."""
        query = (
            select(runs.c.id)
            .where(runs.c.state == "paused", runs.c.worker.is_(None))
            .where(runs.c.id.in_(select(commands.c.run_id)))
        )
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    # -- settings -----------------------------------------------------------------------------------------

    def setting(self, name: str, default: Callable[[], Any]) -> Any:
        """A value kept for all processes; made by `default()` the first time anyone asks."""
        query = select(settings.c.value).where(settings.c.name == name)
        with self.engine.connect() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return found
        with self.engine.begin() as connection:
            row = insert(settings).prefix_with("OR IGNORE").values(name=name, value=default())
            connection.execute(row)
            return connection.execute(query).scalar_one()

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a value for all processes."""
        with self.engine.begin() as connection:
            connection.execute(delete(settings).where(settings.c.name == name))
            connection.execute(insert(settings).values(name=name, value=value))


def _prepare(connection: Any, _record: Any) -> None:
    """SQLite: readers never wait for the writer; a crash of the process loses nothing committed."""
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
