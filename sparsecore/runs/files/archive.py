"""A run as one file: exported from one store, imported into another, the same frames and the same weights.

An archive holds the run's config, log, checkpoint and ending, and its name, note and pin (`archive_file` is
how, `archive_checks` what). The latter are no part of what run it is: each store may call it what it likes.
A damaged or hostile one is refused whole: all of it is hashed and checked before the first row is written,
and the rows are written in one transaction. Nothing is unpacked, no name in the file is ever a path, and no
pickle is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.engine.training.frame_reading import Misfit
from sparsecore.runs.files import archive_checks as checks
from sparsecore.runs.files.archive_file import (
    CHECKPOINT,
    LOG,
    MANIFEST,
    ArchiveError,
    Reading,
    Writing,
    damaged,
)
from sparsecore.runs.files.archive_shapes import Manifest
from sparsecore.runs.store.run import ALPHABET, IMPORT
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints, log, runs

FORMAT, VERSION = "sparsecore run", 1
MAX_MANIFEST = 8 * checks.MB
ROWS_AT_ONCE = 8  # of the log, on their way between the store and the file
ID_LENGTH = 8
KEPT = ("config", "created", "started", "step")
ENDING = ("reason", "detail", "result", "ended")
TOLD = (runs.c.name, runs.c.note, runs.c.pinned.is_(True).label("pinned"))
PLACED = ("kind", "step", "nth", "stride", "size")

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class Imported:
    """The run that an archive is in this store; `new` is False where it was there already."""

    run: str
    new: bool
    state: str
    renamed: bool


def export_run(store: Store, run_id: str, file: BinaryIO) -> None:
    """Write a run to an empty file that can be read and sought; one that still trains as it is now.

    Raises KeyError when there is no such run, ArchiveError when it is too large.
    """
    writing = Writing(file)
    with _snapshot(store.engine) as connection:
        manifest = _described(connection, run_id, writing)
        if manifest is None:
            raise KeyError(run_id)
        told = connection.execute(select(*TOLD).where(runs.c.id == run_id)).mappings().one()
    manifest["told"] = dict(told)
    writing.begin(MANIFEST)
    writing.write(json.dumps(manifest, ensure_ascii=False, allow_nan=False).encode())
    writing.close()


def import_run(
    store: Store,
    file: BinaryIO,
    progress: Progress = lambda read, total: None,
    cancelled: Cancelled = lambda: False,
    owner: str | None = None,
) -> Imported | None:
    """Take the run of an archive into the store, or find it there; None when it was `cancelled`.

    It keeps its id unless another run has that, and belongs to `owner` as if he had begun it; one that was
    here already keeps the name that it has here. One that had not ended is paused, and goes on when it is
    resumed. Raises ArchiveError for a file that is refused: nothing has changed then.
    """
    reading = Reading(file)
    manifest, config = _manifest(reading)
    total = reading.size(LOG) + reading.size(CHECKPOINT)
    done = 0
    contents = checks.Contents(config)
    for place, (entry, payload) in enumerate(_rows(reading, manifest), 1):
        with _refusing(f"log {place}"):
            contents.row(entry, payload)
        done += len(payload)
        progress(done, total)
        if cancelled():
            return None
    if manifest.checkpoint is not None:
        with _refusing("checkpoint"):
            contents.checkpoint(_checkpoint(reading, manifest))
    progress(total, total)
    return None if cancelled() else _enter(store, reading, manifest, config, owner)


# -- out --------------------------------------------------------------------------------------------------


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the store as it is now, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _described(connection: Connection, run_id: str, writing: Writing | None = None) -> dict[str, Any] | None:
    """The manifest of a stored run, whose log and checkpoint are written on the way; None without a run."""
    query = select(runs).where(runs.c.id == run_id, runs.c.deleted.is_(None))
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    ended = row["state"] == "ended"
    run = {name: row[name] for name in KEPT} | {name: row[name] if ended else None for name in ENDING}
    run |= {"id": run_id, "state": "ended" if ended else "paused"}
    run["config"] = RunConfig(**row["config"]).model_dump()
    manifest = {"format": FORMAT, "version": VERSION, "run": run}
    entries = _log_of(connection, run_id, writing)
    return manifest | {"log": entries, "checkpoint": _checkpoint_of(connection, run_id, writing)}


def _log_of(connection: Connection, run_id: str, writing: Writing | None) -> list[dict[str, Any]]:
    if writing is not None:
        writing.begin(LOG)
    query = select(log).where(log.c.run_id == run_id).order_by(log.c.id)
    entries = []
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}).mappings():
        digest = hashlib.sha256(row["payload"]).hexdigest()
        entries.append({name: row[name] for name in PLACED} | {"sha256": digest})
        if writing is not None:
            writing.write(row["payload"])
    return entries


def _checkpoint_of(connection: Connection, run_id: str, writing: Writing | None) -> dict[str, Any] | None:
    if writing is not None:
        writing.begin(CHECKPOINT)
    row = connection.execute(select(checkpoints).where(checkpoints.c.run_id == run_id)).first()
    if row is None:
        return None
    if writing is not None:
        writing.write(row.payload)
    digest = hashlib.sha256(row.payload).hexdigest()
    return {"step": row.step, "size": len(row.payload), "sha256": digest}


# -- in ---------------------------------------------------------------------------------------------------


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """What does not fit refuses the file; `where` says in which part of it."""
    try:
        yield
    except (Misfit, ConfigError) as error:
        why = str(error).rstrip(".")
        sentence = f"The run archive is refused: {where}: {why}."
        raise ArchiveError("content", sentence, where=where, why=why) from error


def _manifest(reading: Reading) -> tuple[Manifest, RunConfig]:
    """What the archive says of itself, once its sizes are those of the file."""
    if reading.size(MANIFEST) > MAX_MANIFEST:
        raise damaged()
    with _refusing("manifest"):
        given = checks.manifest_values(reading.read(MANIFEST), FORMAT)
        if given.get("version") != VERSION:
            version = str(given.get("version"))[:20]
            raise ArchiveError(
                "version",
                f"The run archive is of version {version!r}; this sparsecore reads version {VERSION}.",
                version=version,
                known=VERSION,
            )
        manifest, config = checks.manifest(given)
    size = 0 if manifest.checkpoint is None else manifest.checkpoint.size
    if sum(entry.size for entry in manifest.log) != reading.size(LOG) or size != reading.size(CHECKPOINT):
        raise damaged()
    return manifest, config


def _rows(reading: Reading, manifest: Manifest) -> Iterator[tuple[Any, bytes]]:
    """The rows of the log, one in memory at a time."""
    start = 0
    for entry in manifest.log:
        payload = reading.read(LOG, start, entry.size)
        if hashlib.sha256(payload).hexdigest() != entry.sha256:
            raise damaged()
        yield entry, payload
        start += entry.size


def _checkpoint(reading: Reading, manifest: Manifest) -> bytes:
    payload = reading.read(CHECKPOINT)
    if hashlib.sha256(payload).hexdigest() != manifest.checkpoint.sha256:
        raise damaged()
    return payload


def _enter(
    store: Store, reading: Reading, manifest: Manifest, config: RunConfig, owner: str | None
) -> Imported:
    """Write the run under the first of its ids that is free, or find it under one."""
    given = manifest.model_dump(exclude={"told"})
    given["run"]["config"] = config.model_dump()
    for name in _ids(given):
        given["run"]["id"] = name
        found = Imported(name, False, given["run"]["state"], name != manifest.run.id)
        with store.engine.connect() as connection:
            there = _described(connection, name)
        if there is None and _written(store, reading, manifest, given, owner):
            return Imported(name, True, found.state, found.renamed)
        if there is None:  # another import was quicker under this id
            with store.engine.connect() as connection:
                there = _described(connection, name)
        if json.loads(json.dumps(there)) == given:
            return found
    raise AssertionError("ids do not end")


def _ids(given: dict[str, Any]) -> Iterator[str]:
    """The run's own id, then others that follow from what it is: the same archive finds the same run."""
    yield given["run"]["id"]
    of = json.dumps(given, sort_keys=True).encode()
    turn = 0
    while True:
        number = int.from_bytes(hashlib.sha256(of + turn.to_bytes(8, "little")).digest())
        yield "".join(ALPHABET[number // len(ALPHABET) ** i % len(ALPHABET)] for i in range(ID_LENGTH))
        turn += 1


def _written(
    store: Store, reading: Reading, manifest: Manifest, given: dict[str, Any], owner: str | None
) -> bool:
    """Write all of it in one transaction; False when there is a run of this id by now."""
    row = {name: value for name, value in given["run"].items() if value is not None}
    row |= {"digest": RunConfig(**row["config"]).digest(), "origin": IMPORT, "owner": owner}
    row |= manifest.told.model_dump()
    try:
        with store.engine.begin() as connection:
            connection.execute(insert(runs).values(row))
            for entry, payload in _rows(reading, manifest):
                values = entry.model_dump(exclude={"sha256"}) | {"run_id": row["id"], "payload": payload}
                connection.execute(insert(log).values(values))
            if manifest.checkpoint is not None:
                values = {"run_id": row["id"], "step": manifest.checkpoint.step}
                values["payload"] = _checkpoint(reading, manifest)
                connection.execute(insert(checkpoints).values(values))
    except IntegrityError:
        return False
    return True
