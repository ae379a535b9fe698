"""Sweeps in the store: begin, stop and resume them, and read their cells.

A sweep queues its missing cells as ordinary runs and finds existing ones by the digest of their config.
Killing the process that trains them loses nothing: like all runs they are queued again, and a sweep that is
begun again queues only what is missing.
"""

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
from sparsecore.runs.sweeps.estimates import finished_like, remaining
from sparsecore.runs.sweeps.spec import Cell, SweepSpec, worth

AUTOMATIC = ("smallest", "search")  # the origins of the small sweeps of bisections and layer searches
LOCK_SETTING = "sweeps"  # a writer updates this setting first: two sweeps begun at once queue no run twice
LISTED = tuple(column for column in sweeps.c if column is not sweeps.c.cells)  # without thousands of digests
STATE_COLUMNS = (runs.c.id, runs.c.digest, runs.c.state, runs.c.reason)
QUERY_VALUES = 10_000  # in one query; SQLite allows 32,766


@dataclass(frozen=True)
class Sweep:
    """A sweep of the store; `created` is in seconds since the epoch."""

    id: str
    spec: SweepSpec
    state: Literal["running", "stopped"]
    created: float
    origin: str
    owner: str | None

    @classmethod
    def of(cls, row: Row) -> "Sweep":
        """The sweep of a table row."""
        return cls(row.id, SweepSpec(**row.spec), row.state, row.created, row.origin, row.owner)


def begin(store: Store, spec: SweepSpec, origin: str = "page", by: Person = HOST) -> str:
    """Create or find the sweep and queue every cell without a usable run; returns the sweep's id.

    A run that was stopped or failed is trained again, one that ended by itself never. Every user has a sweep
    of their own over the same cells; it shares the runs, but resumes no paused run of another user.
    Raises `ConfigError`, and its subclass `LimitExceeded` for runs that are too large for this machine.
    """
    configs = spec.by_digest()
    require_all_fit(configs.values(), store.home)
    with _exclusive(store) as connection:
        sweep_id = _find_or_insert(connection, spec, list(configs), origin, by)
        _enqueue(connection, configs, by)
    return sweep_id


def resume(store: Store, sweep_id: str, by: Person = HOST) -> None:
    """Resume a stopped sweep, if the store has it. Raises `NotYours`."""
    found = get(store, sweep_id)
    if found is None:
        return
    by.require(found.owner, found.origin, f"sweep {sweep_id}")
    with _exclusive(store) as connection:
        connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(state="running"))
        _enqueue(connection, found.spec.by_digest(), Person(found.owner, by.teacher, by.alone))


def stop(store: Store, sweep_id: str, by: Person = HOST) -> None:
    """Withdraw the queued runs of a sweep and pause the running ones, until it is resumed.

    Leaves alone runs that another running sweep needs, or that a user began. Raises `NotYours`.
    """
    found = get(store, sweep_id)
    if found is None:
        return
    by.require(found.owner, found.origin, f"sweep {sweep_id}")
    with _exclusive(store) as connection:
        mine = connection.execute(select(sweeps.c.cells).where(sweeps.c.id == sweep_id)).scalar_one()
        going = select(sweeps.c.cells).where(sweeps.c.state == "running", sweeps.c.id != sweep_id)
        wanted = {digest for cells in connection.execute(going).scalars() for digest in cells}
        for part in _chunks([digest for digest in mine if digest not in wanted]):
            _withdraw(connection, part)
        connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(state="stopped"))


def get(store: Store, sweep_id: str) -> Sweep | None:
    """The sweep; None if there is none with this id."""
    with store.engine.connect() as connection:
        row = connection.execute(select(*LISTED).where(sweeps.c.id == sweep_id)).first()
    return None if row is None else Sweep.of(row)


def recent(store: Store, limit: int = 20, origin: str | None = None) -> list[Sweep]:
    """The sweeps that users began, or those of one origin, newest first."""
    wanted = sweeps.c.origin == origin if origin else sweeps.c.origin.not_in(AUTOMATIC)
    query = select(*LISTED).where(wanted).order_by(sweeps.c.place.desc()).limit(limit)
    with store.engine.connect() as connection:
        return [Sweep.of(row) for row in connection.execute(query)]


def cells_of(store: Store, spec: SweepSpec) -> list[Cell]:
    """Every cell of the grid with its most useful run, in the order of the spec."""
    configs = spec.by_digest()
    with store.engine.connect() as connection:
        best = {digest: row.id for digest, row in _best(connection, list(configs), STATE_COLUMNS).items()}
        found = read_finished(store, connection, {run_id: configs[digest] for digest, run_id in best.items()})
    return [Cell(config, found.get(best.get(digest, ""))) for digest, config in configs.items()]


def estimate(store: Store, spec: SweepSpec, workers: int = 1, cells: Sequence[Cell] | None = None) -> float:
    """The seconds that `workers` need for the unfinished cells; `cells` as `cells_of` returns them."""
    cells = cells or cells_of(store, spec)
    return remaining(cells, workers, finished_like(store, cells[0].config))


# -- in a transaction -------------------------------------------------------------------------------------


@contextmanager
def _exclusive(store: Store) -> Iterator[Connection]:
    """A transaction during which no other process begins or stops a sweep."""
    store.setting(LOCK_SETTING, lambda: 0)
    with store.engine.begin() as connection:
        connection.execute(update(settings).where(settings.c.name == LOCK_SETTING).values(value=0))
        yield connection


def _find_or_insert(
    connection: Connection, spec: SweepSpec, digests: list[str], origin: str, by: Person
) -> str:
    owners = dict.fromkeys((by.owner, None) if by.may(None) else (by.owner,))
    # The user's own sweep, else one without an owner if they may change it.
    keys = {_key(digests, owner): owner for owner in owners}
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
    """A digest of the cells and their owner, in any order of the cells."""
    together = "".join([*sorted(digests), owner or ""])
    return hashlib.sha256(together.encode()).hexdigest()[:16]


def _enqueue(connection: Connection, configs: dict[str, RunConfig], by: Person) -> None:
    best = _best(connection, list(configs), (*STATE_COLUMNS, runs.c.origin, runs.c.owner))
    ours = [row for row in best.values() if row.origin == SWEEP and by.may(row.owner, row.origin)]
    held = [row.id for row in ours if row.state in ACTIVE]
    for part in _chunks(held):
        connection.execute(delete(commands).where(commands.c.run_id.in_(part), commands.c.kind == "pause"))
        paused = (runs.c.id.in_(part), runs.c.state == "paused")
        connection.execute(update(runs).where(*paused).values(state="queued"))
    kept = {digest for digest, row in best.items() if row.id in set(held) or worth(row.state, row.reason) > 1}
    missing = [new_row(config, SWEEP, by.owner) for digest, config in configs.items() if digest not in kept]
    if missing:
        connection.execute(insert(runs), missing)


def _best(connection: Connection, digests: Sequence[str], columns: tuple[Column, ...]) -> dict[str, Row]:
    """The most useful run of each digest, and the newest of equally useful ones.

    Skips runs with changed live parameters, which no longer fit their config, and imported ones, which cannot
    be verified.
    """
    best: dict[str, Row] = {}
    for part in _chunks(digests):
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


def _withdraw(connection: Connection, digests: Sequence[str]) -> None:
    cell = (runs.c.digest.in_(digests), runs.c.origin == SWEEP)
    queued = (*cell, runs.c.state == "queued")
    connection.execute(delete(runs).where(*queued, runs.c.started.is_(None)))
    connection.execute(update(runs).where(*queued).values(state="paused"))
    training = select(runs.c.id).where(*cell, runs.c.state == "running")
    pauses = [
        {"run_id": run_id, "kind": "pause", "values": {}} for run_id in connection.execute(training).scalars()
    ]
    if pauses:
        connection.execute(insert(commands), pauses)


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    values = list(values)
    for start in range(0, len(values), QUERY_VALUES):
        yield values[start : start + QUERY_VALUES]


# -- A cache of finished runs: a large sweep reads each of them once per process


MAX_CACHED = 20_000  # runs per store, of a few kilobytes each
RUN_COLUMNS = tuple(column for column in runs.c if column is not runs.c.config)  # which the caller knows

_cache: WeakKeyDictionary[Store, OrderedDict[str, Run]] = WeakKeyDictionary()
_cache_lock = Lock()


def read_finished(store: Store, connection: Connection, wanted: Mapping[str, RunConfig]) -> dict[str, Run]:
    """The runs with these ids and known configs.

    Finished runs come from the cache: only their name, note and pin may have changed since.
    """
    with _cache_lock:
        known = _cache.setdefault(store, OrderedDict())
        found = {run_id: known[run_id] for run_id in wanted if run_id in known}
    fresh = {
        row.id: Run.of(row, wanted[row.id])
        for part in _chunks([run_id for run_id in wanted if run_id not in found])
        for row in connection.execute(select(*RUN_COLUMNS).where(runs.c.id.in_(part)))
    }
    with _cache_lock:
        known.update((run_id, run) for run_id, run in fresh.items() if run.state == "ended")
        while len(known) > MAX_CACHED:
            known.popitem(last=False)
    return found | fresh
