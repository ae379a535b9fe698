"""Finished runs that this process has read: whoever looks at a large sweep reads each of them once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, select

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs

MOST = 20_000  # runs that are remembered of a store, of a few kilobytes each
CHUNK = 10_000  # ids in one query; SQLite takes 32,766 values
COLUMNS = tuple(column for column in runs.c if column is not runs.c.config)  # which whoever asks knows

_read: WeakKeyDictionary[Store, OrderedDict[str, Run]] = WeakKeyDictionary()
_turn = Lock()


def read(store: Store, connection: Connection, wanted: Mapping[str, RunConfig]) -> dict[str, Run]:
    """The runs of these ids, whose configs are known.

    What has ended never changes but for its name, note and pin, which are those of when it was first read.
    """
    with _turn:
        known = _read.setdefault(store, OrderedDict())
        found = {run_id: known[run_id] for run_id in wanted if run_id in known}
    fresh = {
        row.id: Run.of(row, wanted[row.id])
        for part in _parts([run_id for run_id in wanted if run_id not in found])
        for row in connection.execute(select(*COLUMNS).where(runs.c.id.in_(part)))
    }
    with _turn:
        known.update((run_id, run) for run_id, run in fresh.items() if run.state == "ended")
        while len(known) > MOST:
            known.popitem(last=False)
    return found | fresh


def _parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
