"""The store: config, log, checkpoint, commands and result of every run, in one database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.engine import Row

from sparsecore.engine.config import ConfigError, RunConfig, every_parameter
from sparsecore.runs.store import queue
from sparsecore.runs.store.database import StoreDatabase, lock_tables, set_value, upsert
from sparsecore.runs.store.errors import LostRun
from sparsecore.runs.store.limits import require_fit
from sparsecore.runs.store.log import LogEntry, append, rewind
from sparsecore.runs.store.people import HOST, Person, require_room
from sparsecore.runs.store.run import ACTIVE, WELCOME, Run, State, new_row
from sparsecore.runs.store.tables import checkpoints, commands, log, runs, settings

HEARTBEAT_SECONDS = 1.0
LOST_SECONDS = 10.0  # without a heartbeat for this long, a worker counts as dead
NOT_DELETED = runs.c.deleted.is_(None)
# Every worker runs this twenty times a second; building the statement takes longer than running it.
WAITING = select(commands.c.id).where(commands.c.run_id == bindparam("run"))
MAX_CRASHES = 3  # in a row without a new checkpoint; then the run fails


class Store(StoreDatabase):
    """All runs in one database: that of `url` or of `SPARSECORE_STORE`, else SQLite under `home`.

    Safe to use from any number of threads and processes, and with PostgreSQL from several machines. One
    worker at a time holds a run; writes of any other raise `LostRun`. Every call raises `StoreError` if the
    database cannot be reached. Heartbeats use the database's clock. `by` names the user behind a command (see
    `people`): a command to another user's run raises `NotYours`.
    """

    # -- runs ---------------------------------------------------------------------------------------------

    def create(
        self, config: RunConfig, origin: str = "page", worker: str | None = None, by: Person = HOST
    ) -> str:
        """Create a queued run, or a running one that `worker` holds; returns its id.

        Raises `QueueFull`, and `Beyond` for a run that is too large for this machine.
        """
        if origin != WELCOME:  # it is small, and every page needs it
            require_fit(config, self.home)
        row = new_row(config, origin, by.owner)
        if worker:
            now = self._now()
            row |= {"state": "running", "worker": worker, "started": now, "heartbeat": now}
        with self.engine.begin() as connection:
            if by is not HOST:
                lock_tables(connection)  # two tabs of one user must not both take the last place
                require_room(connection, by)
            connection.execute(insert(runs).values(row))
        return row["id"]

    def get(self, run_id: str) -> Run | None:
        """The run; None if there is none with this id, or it was deleted."""
        row = self.first(select(runs).where(runs.c.id == run_id, NOT_DELETED))
        return None if row is None else Run.of(row)

    def list(
        self, *, states: Sequence[str] = (), origin: str | None = None, limit: int | None = None
    ) -> list[Run]:
        """The runs, newest first."""
        query = select(runs).where(NOT_DELETED).order_by(runs.c.place.desc()).limit(limit)
        if states:
            query = query.where(runs.c.state.in_(states))
        if origin:
            query = query.where(runs.c.origin == origin)
        return [Run.of(row) for row in self.rows(query)]

    def delete(self, run_id: str, by: Person = HOST) -> None:
        """Erase a run with its log for good; `catalogue.remove` can be undone."""
        self._require(run_id, by)
        self.change(delete(runs).where(runs.c.id == run_id))

    # -- workers ------------------------------------------------------------------------------------------

    def claim(self, run_id: str, worker: str, state: Literal["queued", "paused"] = "queued") -> bool:
        """Let this worker hold the run if it is still in `state`; a queued run becomes a running one."""
        now = self._now()
        values = {"worker": worker, "heartbeat": now, "started": func.coalesce(runs.c.started, now)}
        free = (runs.c.id == run_id, runs.c.state == state, NOT_DELETED)
        if state == "queued":
            values["state"] = "running"
        else:
            free += (runs.c.worker.is_(None),)
        with self.engine.begin() as connection:
            claimed = connection.execute(update(runs).where(*free).values(values)).rowcount == 1
            if claimed and state == "queued":
                queue.note_turn(connection, run_id, now)
            return claimed

    def heartbeat(self, run_id: str, worker: str) -> None:
        """Renew the worker's heartbeat. Raises `LostRun`."""
        self._update_own(run_id, worker, {"heartbeat": self._now()})

    def set_state(self, run_id: str, worker: str, state: State) -> None:
        """Set the worker's run to `paused` or `running`."""
        self._update_own(run_id, worker, {"state": state, "heartbeat": self._now()})

    def release(self, run_id: str, worker: str) -> None:
        """Release the run: it is queued again, or paused if it was, or if a pause is pending."""
        with self.engine.begin() as connection:
            self._update_own_in(connection, run_id, worker, {"state": queue.AFTER_RELEASE, "worker": None})
            queue.drop_fulfilled_pause(connection, run_id)

    def finish(self, run_id: str, worker: str, step: int, reason: str, detail: dict, result: dict) -> None:
        """End the run with its result."""
        ending = {"reason": reason, "detail": detail, "result": result, "step": step}
        self._update_own(run_id, worker, ending | {"state": "ended", "worker": None, "ended": self._now()})

    def fail(self, run_id: str, error: str, worker: str | None = None) -> None:
        """End the run with an error, one sentence; with a `worker`, only if that holds it."""
        active = (runs.c.id == run_id, runs.c.state.in_(ACTIVE))
        if worker is not None:
            active += (runs.c.worker == worker,)
        values = {"state": "failed", "worker": None, "ended": self._now(), "error": error}
        self.change(update(runs).where(*active).values(values))

    def recover(self, run_id: str, worker: str, what: str) -> None:
        """Release the run of a dead worker; fail it after `MAX_CRASHES` in a row."""
        mine = (runs.c.id == run_id, runs.c.worker == worker, runs.c.state.in_(ACTIVE))
        with self.engine.begin() as connection:
            row = connection.execute(select(runs.c.crashes, runs.c.state).where(*mine)).first()
            if row is None:
                return
            crashes = row.crashes + (row.state != "queued")  # a queued run has not crashed
            values: dict[str, Any] = {"state": queue.AFTER_RELEASE, "worker": None, "crashes": crashes}
            if crashes >= MAX_CRASHES:
                values |= {"state": "failed", "ended": self._now(), "error": what}
            connection.execute(update(runs).where(*mine).values(values))
            queue.drop_fulfilled_pause(connection, run_id)

    def lost(self) -> list[Run]:
        """Runs without a heartbeat for `LOST_SECONDS`, or with one in the future (the clock was set back)."""
        now = self._now()
        odd = or_(runs.c.heartbeat < now - LOST_SECONDS, runs.c.heartbeat > now + LOST_SECONDS)
        return [Run.of(row) for row in self.rows(select(runs).where(runs.c.worker.is_not(None), odd))]

    def heartbeats(self) -> dict[str, tuple[str, float]]:
        """The worker and the last heartbeat of every run that a worker holds."""
        query = select(runs.c.id, runs.c.worker, runs.c.heartbeat).where(runs.c.worker.is_not(None))
        return {row.id: (row.worker, row.heartbeat) for row in self.rows(query)}

    def _update_own(self, run_id: str, worker: str, values: dict[str, Any]) -> None:
        with self.engine.begin() as connection:
            self._update_own_in(connection, run_id, worker, values)

    def _update_own_in(
        self, connection: Connection, run_id: str, worker: str, values: dict[str, Any]
    ) -> None:
        query = update(runs).where(runs.c.id == run_id, runs.c.worker == worker).values(values)
        if connection.execute(query).rowcount == 0:
            raise LostRun(f"run {run_id} is no longer trained by {worker}.")

    # -- the log ------------------------------------------------------------------------------------------

    def write(
        self,
        run_id: str,
        worker: str,
        step: int,
        entries: Sequence[LogEntry],
        checkpoint: bytes | None = None,
        *,
        saved_in_file: bool = False,
    ) -> None:
        """Append to the log and replace the checkpoint, in one transaction.

        saved_in_file: a file has a newer checkpoint, so the worker has made progress.
        """
        values: dict[str, Any] = {"step": step, "heartbeat": self._now()}
        if saved_in_file or checkpoint is not None:
            values["crashes"] = 0
        with self.engine.begin() as connection:
            self._update_own_in(connection, run_id, worker, values)
            append(connection, run_id, entries)
            if checkpoint is not None:
                # Updated in place: freeing the pages of a large one and taking new ones takes twice as long.
                row = {"step": step, "payload": checkpoint}
                there = update(checkpoints).where(checkpoints.c.run_id == run_id)
                if connection.execute(there.values(row)).rowcount == 0:
                    connection.execute(insert(checkpoints).values(run_id=run_id, **row))

    def checkpoint(self, run_id: str) -> tuple[int, bytes] | None:
        """The step and the blob of the run's last checkpoint."""
        query = select(checkpoints.c.step, checkpoints.c.payload).where(checkpoints.c.run_id == run_id)
        row = self.first(query)
        return None if row is None else (row.step, row.payload)

    def rewind(self, run_id: str, worker: str, step: int) -> None:
        """Drop the log after `step`, before the run continues from there."""
        with self.engine.begin() as connection:
            self._update_own_in(connection, run_id, worker, {"step": step})
            rewind(connection, run_id, step)

    def entries(self, run_id: str, kinds: Sequence[str], after: int = 0) -> list[Row]:
        """Log rows (id, kind, step, payload) of these kinds after a row id, oldest first."""
        query = (
            select(log.c.id, log.c.kind, log.c.step, log.c.payload)
            .where(log.c.run_id == run_id, log.c.kind.in_(kinds), log.c.id > after)
            .order_by(log.c.id)
        )
        return self.rows(query)

    def changes(self, run_id: str) -> dict[str, Any]:
        """The live parameters that were changed while the run trained, with their last values."""
        changed: dict[str, Any] = {}
        for row in self.entries(run_id, ["change"]):
            changed |= json.loads(row.payload)
        return changed

    def last_record(self, run_id: str) -> dict[str, Any]:
        """The newest record of the run; empty before the first."""
        query = select(log.c.payload).where(log.c.run_id == run_id, log.c.kind == "record")
        row = self.first(query.order_by(log.c.id.desc()).limit(1))
        return {} if row is None else json.loads(row.payload)

    def frames(self, run_id: str, newer_than: int = 0) -> list[tuple[int, int]]:
        """(row id, step) of every kept frame after the row `newer_than`, oldest first."""
        wanted = (log.c.run_id == run_id, log.c.kind == "frame", log.c.id > newer_than)
        query = select(log.c.id, log.c.step).where(*wanted).order_by(log.c.id)
        return [tuple(row) for row in self.rows(query)]

    def frame(self, run_id: str, row_id: int | None = None, newer_than: int = 0) -> Row | None:
        """One frame (id, step, payload): with this row id, or else the newest one after `newer_than`."""
        query = select(log.c.id, log.c.step, log.c.payload).where(
            log.c.run_id == run_id, log.c.kind == "frame"
        )
        wanted = log.c.id > newer_than if row_id is None else log.c.id == row_id
        return self.first(query.where(wanted).order_by(log.c.id.desc()).limit(1))

    def last_row(self, run_id: str) -> int:
        """The last row id of the run's log; 0 for an empty log."""
        return self.first(select(func.coalesce(func.max(log.c.id), 0)).where(log.c.run_id == run_id))[0]

    # -- commands -----------------------------------------------------------------------------------------

    def command(
        self, run_id: str, kind: str, values: dict[str, Any] | None = None, by: Person = HOST
    ) -> None:
        """Send the run's worker a command: pause, step, stop, release, or change (live parameters).

        Raises `ConfigError` for a changed value that is not allowed; then no command is sent.
        """
        self._require(run_id, by)
        if kind == "change":
            self._check_change(run_id, values or {})
        with self.engine.begin() as connection:
            if kind != "stop" or not self._stop_unstarted(connection, run_id):
                connection.execute(insert(commands).values(run_id=run_id, kind=kind, values=values or {}))

    def _require(self, run_id: str, by: Person) -> None:
        run = None if by is HOST else self.get(run_id)
        if run is not None:
            by.require(run.owner, run.origin, f"run {run_id}")

    def _check_change(self, run_id: str, values: dict[str, Any]) -> None:
        known = every_parameter()
        for name, value in values.items():
            if name not in known or not known[name].live:
                raise ConfigError(name, value, "omitted during training")
        run = self.get(run_id)
        if run is not None:
            RunConfig.parse(run.config.model_dump() | values)

    def _stop_unstarted(self, connection: Connection, run_id: str) -> bool:
        """End a queued run that has not started yet; returns whether it was one."""
        waiting = (runs.c.id == run_id, runs.c.state == "queued", runs.c.started.is_(None))
        values = {"state": "ended", "reason": "stopped", "detail": {}, "ended": self._now(), "worker": None}
        return connection.execute(update(runs).where(*waiting).values(values)).rowcount == 1

    def resume(self, run_id: str, by: Person = HOST) -> None:
        """Queue a paused run again; one that the command line holds continues at once."""
        self._require(run_id, by)
        paused = (runs.c.id == run_id, runs.c.state == "paused", NOT_DELETED)
        with self.engine.begin() as connection:
            held = update(runs).where(*paused, runs.c.worker.like("cli:%")).values(state="running")
            if connection.execute(held).rowcount == 0:
                connection.execute(update(runs).where(*paused).values(state="queued"))

    def take_commands(self, run_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Take the commands since the last call out of the store, oldest first."""
        with self.engine.connect() as connection:
            ids = list(connection.execute(WAITING, {"run": run_id}).scalars())
        if not ids:
            return []  # called many times a second: no write without a command
        taken = delete(commands).where(commands.c.id.in_(ids)).returning(commands)
        with self.engine.begin() as connection:
            rows = list(connection.execute(taken))  # without those that another process took meanwhile
        return [(row.kind, row.values) for row in sorted(rows, key=lambda row: row.id)]

    def paused_with_commands(self) -> list[str]:
        """Paused runs without a worker that have a command."""
        waiting = runs.c.id.in_(select(commands.c.run_id))
        query = select(runs.c.id).where(
            runs.c.state == "paused", runs.c.worker.is_(None), NOT_DELETED, waiting
        )
        return self.scalars(query)

    # -- settings -----------------------------------------------------------------------------------------

    def setting(self, name: str, default: Callable[[], Any]) -> Any:
        """A value shared by all processes; made by `default()` at the first call."""
        query = select(settings.c.value).where(settings.c.name == name)
        if (found := self.first(query)) is not None:
            return found.value
        with self.engine.begin() as connection:
            row = upsert(self.engine, settings).values(name=name, value=default())
            connection.execute(row.on_conflict_do_nothing())
            return connection.execute(query).scalar_one()

    def set_setting(self, name: str, value: Any) -> None:
        """Set a value for all processes."""
        self.change(set_value(self.engine, name, value))
