"""Sweeps in the store: begun, stopped and resumed from anywhere, and the cells that they have by now.

A sweep enqueues what it lacks as ordinary runs, found by the digest of their config. Killing whatever
trains them loses nothing: they are queued again by the rules of all runs; and a sweep that is begun again
asks only for what is missing.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Literal
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Connection, Select, delete, exists, insert, select, update
from sqlalchemy.engine import Row

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.limits import require_all_fit
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.queue import SWEEP
from sparsecore.runs.store.run import ACTIVE, IMPORT, Run, new_id, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import commands, log, runs, settings, sweeps
from sparsecore.runs.sweeps.estimates import Progress, finished_like, progress, remaining
from sparsecore.runs.sweeps.spec import Cell, SweepSpec, worth

AUTOMATIC = ("smallest", "search")  # origins of the small sweeps that a search takes step by step
TURN = "sweeps"  # the setting whose row a writer holds: two who begin at once enqueue no run twice
TOLD = tuple(column for column in sweeps.c if column is not sweeps.c.cells)  # those may be thousands
JUDGED = (runs.c.id, runs.c.digest, runs.c.state, runs.c.reason)
CHUNK = 10_000  # digests or ids in one query; SQLite takes 32,766 values


@dataclass(frozen=True)
class Sweep:
    """A sweep as the store knows it; `created` is seconds since the epoch."""

    id: str
    spec: SweepSpec
    state: Literal["running", "stopped"]
    created: float
    origin: str
    owner: str | None

    @classmethod
    def of(cls, row: Row) -> Sweep:
        """The sweep of a row of the store's table."""
        return cls(row.id, SweepSpec(**row.spec), row.state, row.created, row.origin, row.owner)


def begin(store: Store, spec: SweepSpec, origin: str = "page", by: Person = HOST) -> str:
    """Create the sweep, or find it, and enqueue every cell that has no run worth keeping; gives its id.

    A run that was stopped or failed is trained again, one that ended by itself never. Who asks for the cells
    of another's sweep has a sweep of his own, which shares its runs but goes on with none that is paused.
    Raises `ConfigError`, and of its kind `Beyond` for runs that take too much of this machine.
    """
    configs = spec.by_digest()
    require_all_fit(configs.values(), store.home)
    with _turn(store) as connection:
        sweep_id = _enter(connection, spec, list(configs), origin, by)
        _enqueue(connection, configs, by)
    return sweep_id


def resume(store: Store, sweep_id: str, by: Person = HOST) -> None:
    """Go on with a stopped sweep; nothing for one that the store does not have. Raises `NotYours`."""
    found = get(store, sweep_id)
    if found is None:
        return
    by.require(found.owner, found.origin, f"sweep {sweep_id}")
    with _turn(store) as connection:
        connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(state="running"))
        _enqueue(connection, found.spec.by_digest(), Person(found.owner, by.teacher, by.alone))


def stop(store: Store, sweep_id: str, by: Person = HOST) -> None:
    """Take back what is queued, and pause what trains, which goes on from there when the sweep is resumed.

    What another running sweep asks for too, and what a person began, is left alone. Raises `NotYours`.
    """
    found = get(store, sweep_id)
    if found is None:
        return
    by.require(found.owner, found.origin, f"sweep {sweep_id}")
    with _turn(store) as connection:
        mine = connection.execute(select(sweeps.c.cells).where(sweeps.c.id == sweep_id)).scalar_one()
        going = select(sweeps.c.cells).where(sweeps.c.state == "running", sweeps.c.id != sweep_id)
        wanted = {digest for cells in connection.execute(going).scalars() for digest in cells}
        for part in _parts([digest for digest in mine if digest not in wanted]):
            _take_back(connection, part)
        connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(state="stopped"))


def get(store: Store, sweep_id: str) -> Sweep | None:
    """The sweep, or None when there is none of this id."""
    with store.engine.connect() as connection:
        row = connection.execute(select(*TOLD).where(sweeps.c.id == sweep_id)).first()
    return None if row is None else Sweep.of(row)


def recent(store: Store, limit: int = 20, origin: str | None = None) -> list[Sweep]:
    """Sweeps that a person asked for, or those of one origin, newest first."""
    wanted = sweeps.c.origin == origin if origin else sweeps.c.origin.not_in(AUTOMATIC)
    query = select(*TOLD).where(wanted).order_by(sweeps.c.place.desc()).limit(limit)
    with store.engine.connect() as connection:
        return [Sweep.of(row) for row in connection.execute(query)]


def cells_of(store: Store, spec: SweepSpec) -> list[Cell]:
    """Every cell of the grid with the best of the runs that have its config, in the spec's order.

    Reads no other run of the store.
    """
    configs = spec.by_digest()
    with store.engine.connect() as connection:
        best = {digest: row.id for digest, row in _best(connection, list(configs), JUDGED).items()}
        found = read_finished(store, connection, {run_id: configs[digest] for digest, run_id in best.items()})
    return [Cell(config, found.get(best.get(digest, ""))) for digest, config in configs.items()]


def estimate(store: Store, spec: SweepSpec, workers: int = 1, cells: Sequence[Cell] | None = None) -> float:
    """The seconds that so many workers need for the cells that no finished run spares them.

    cells: as `cells_of` has just given them.
    """
    cells = cells or cells_of(store, spec)
    return remaining(cells, workers, finished_like(store, cells[0].config))


# -- in a transaction -------------------------------------------------------------------------------------


@contextmanager
def _turn(store: Store) -> Iterator[Connection]:
    """A transaction in which nobody else begins or stops a sweep."""
    store.setting(TURN, lambda: 0)
    with store.engine.begin() as connection:
        connection.execute(update(settings).where(settings.c.name == TURN).values(value=0))
        yield connection


def _enter(connection: Connection, spec: SweepSpec, digests: list[str], origin: str, by: Person) -> str:
    owners = dict.fromkeys((by.owner, None) if by.may(None) else (by.owner,))
    keys = {_key(digests, owner): owner for owner in owners}  # his own, or nobody's where that is his too
    known = {
        row.digest: row.id for row in connection.execute(select(sweeps).where(sweeps.c.digest.in_(keys)))
    }
    found = next((known[key] for key in keys if key in known), None)
    if found is not None:
        connection.execute(update(sweeps).where(sweeps.c.id == found).values(state="running"))
        return found
    row = {"id": new_id(), "digest": next(iter(keys)), "spec": spec.model_dump(mode="json"), "cells": digests}
    row |= {"state": "running", "origin": origin, "created": time.time(), "owner": by.owner}
    connection.execute(insert(sweeps).values(row))
    return row["id"]


def _key(digests: list[str], owner: str | None) -> str:
    """The same for the same cells of the same person, however asked for."""
    together = "".join([*sorted(digests), owner or ""])
    return hashlib.sha256(together.encode()).hexdigest()[:16]


def _enqueue(connection: Connection, configs: dict[str, RunConfig], by: Person) -> None:
    best = _best(connection, list(configs), (*JUDGED, runs.c.origin, runs.c.owner))
    ours = [row for row in best.values() if row.origin == SWEEP and by.may(row.owner, row.origin)]
    held = [row.id for row in ours if row.state in ACTIVE]
    for part in _parts(held):
        connection.execute(delete(commands).where(commands.c.run_id.in_(part), commands.c.kind == "pause"))
        paused = (runs.c.id.in_(part), runs.c.state == "paused")
        connection.execute(update(runs).where(*paused).values(state="queued"))
    kept = {digest for digest, row in best.items() if row.id in set(held) or worth(row.state, row.reason) > 1}
    missing = [new_row(config, SWEEP, by.owner) for digest, config in configs.items() if digest not in kept]
    if missing:
        connection.execute(insert(runs), missing)


def _best(connection: Connection, digests: Sequence[str], columns: tuple[Column, ...]) -> dict[str, Row]:
    """Of the runs with each digest, the one that is worth most to a sweep, and of equals the newest.

    A run whose parameters were changed while it trained is not a run of its config, and the figures of an
    imported one are somebody else's word.
    """
    best: dict[str, Row] = {}
    for part in _parts(digests):
        for row in connection.execute(_with_digests(part, columns)):
            digest = row.digest
            other = best.get(digest)
            if other is None or worth(row.state, row.reason) >= worth(other.state, other.reason):
                best[digest] = row
    return best


def _with_digests(digests: Sequence[str], columns: tuple[Column, ...]) -> Select:
    changed = exists().where(log.c.run_id == runs.c.id, log.c.kind == "change")
    query = select(*columns)
    own = (runs.c.origin != IMPORT, runs.c.deleted.is_(None))
    return query.where(runs.c.digest.in_(digests), ~changed, *own).order_by(runs.c.place)


def _take_back(connection: Connection, digests: Sequence[str]) -> None:
    cell = (runs.c.digest.in_(digests), runs.c.origin == SWEEP)
    queued = (*cell, runs.c.state == "queued")
    connection.execute(delete(runs).where(*queued, runs.c.started.is_(None)))
    connection.execute(update(runs).where(*queued).values(state="paused"))
    training = select(runs.c.id).where(*cell, runs.c.state == "running")
    asked = [
        {"run_id": run_id, "kind": "pause", "values": {}} for run_id in connection.execute(training).scalars()
    ]
    if asked:
        connection.execute(insert(commands), asked)


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    values = list(values)
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


# -- Finished runs that this process has read: whoever looks at a large sweep reads each of them once


MOST = 20_000  # runs that are remembered of a store, of a few kilobytes each
COLUMNS = tuple(column for column in runs.c if column is not runs.c.config)  # which whoever asks knows

_read: WeakKeyDictionary[Store, OrderedDict[str, Run]] = WeakKeyDictionary()
_reading = Lock()


def read_finished(store: Store, connection: Connection, wanted: Mapping[str, RunConfig]) -> dict[str, Run]:
    """The runs of these ids, whose configs are known.

    What has ended never changes but for its name, note and pin, which are those of when it was first read.
    """
    with _reading:
        known = _read.setdefault(store, OrderedDict())
        found = {run_id: known[run_id] for run_id in wanted if run_id in known}
    fresh = {
        row.id: Run.of(row, wanted[row.id])
        for part in _parts([run_id for run_id in wanted if run_id not in found])
        for row in connection.execute(select(*COLUMNS).where(runs.c.id.in_(part)))
    }
    with _reading:
        known.update((run_id, run) for run_id, run in fresh.items() if run.state == "ended")
        while len(known) > MOST:
            known.popitem(last=False)
    return found | fresh


__all__ = [
    "Progress",
    "Sweep",
    "begin",
    "cells_of",
    "estimate",
    "get",
    "progress",
    "recent",
    "resume",
    "stop",
]
