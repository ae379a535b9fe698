"""A run as one file: exported from one store, imported into another, the same frames and the same weights.

An archive holds the run's config, log, checkpoint and ending, and its labels: name, note and pin. The labels
do not identify the run: each store may have its own. `archive_file` has the format of the file,
`archive_checks` what it may contain. A damaged or hostile archive is refused whole: all of it is hashed and
checked before the first row is written, and the rows are written in one transaction. Nothing is unpacked, no
name in the file is ever a path, and no pickle is read.
"""

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
    ArchiveReader,
    ArchiveWriter,
    damaged,
)
from sparsecore.runs.files.archive_shapes import Manifest
from sparsecore.runs.store.run import ALPHABET, IMPORT
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints, log, runs

FORMAT, VERSION = "sparsecore run", 1
MAX_MANIFEST = 8 * checks.MB
ROWS_AT_ONCE = 8  # of the log, in memory between the store and the file
ID_LENGTH = 8
RUN_COLUMNS = ("config", "created", "started", "step")
ENDING = ("reason", "detail", "result", "ended")
LABELS = (runs.c.name, runs.c.note, runs.c.pinned.is_(True).label("pinned"))
ROW_COLUMNS = ("kind", "step", "nth", "stride", "size")

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class ImportedRun:
    """The run of an archive in this store; `new` is False if the store had it already."""

    run: str
    new: bool
    state: str
    renamed: bool


def export_run(store: Store, run_id: str, file: BinaryIO) -> None:
    """Write a run as it is now to an empty file that can be read and sought.

    Raises KeyError for an unknown run, ArchiveError for one that is too large.
    """
    writer = ArchiveWriter(file)
    with _snapshot(store.engine) as connection:
        manifest = _describe_run(connection, run_id, writer)
        if manifest is None:
            raise KeyError(run_id)
        labels = connection.execute(select(*LABELS).where(runs.c.id == run_id)).mappings().one()
    manifest["told"] = dict(labels)
    writer.begin(MANIFEST)
    writer.write(json.dumps(manifest, ensure_ascii=False, allow_nan=False).encode())
    writer.close()


def import_run(
    store: Store,
    file: BinaryIO,
    progress: Progress = lambda read, total: None,
    cancelled: Cancelled = lambda: False,
    owner: str | None = None,
) -> ImportedRun | None:
    """Import the run of an archive, or find it in the store; None if `cancelled`.

    The run keeps its id unless another run has it, and belongs to `owner`. A run that the store has already
    keeps its labels there. A run that had not ended is paused, and continues when it is resumed. Raises
    ArchiveError for a file that is refused; nothing has changed then.
    """
    reader = ArchiveReader(file)
    manifest, config = _read_manifest(reader)
    total = reader.size(LOG) + reader.size(CHECKPOINT)
    done = 0
    contents = checks.Contents(config)
    for place, (entry, payload) in enumerate(_rows(reader, manifest), 1):
        with _refuse_misfits(f"log {place}"):
            contents.row(entry, payload)
        done += len(payload)
        progress(done, total)
        if cancelled():
            return None
    if manifest.checkpoint is not None:
        with _refuse_misfits("checkpoint"):
            contents.checkpoint(_checkpoint(reader, manifest))
    progress(total, total)
    return None if cancelled() else _find_or_write(store, reader, manifest, config, owner)


# -- out --------------------------------------------------------------------------------------------------


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the store as it is now, without later writes."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _describe_run(
    connection: Connection, run_id: str, writer: ArchiveWriter | None = None
) -> dict[str, Any] | None:
    """The manifest of a stored run, None for an unknown one; writes its log and checkpoint on the way."""
    query = select(runs).where(runs.c.id == run_id, runs.c.deleted.is_(None))
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    ended = row["state"] == "ended"
    run = {name: row[name] for name in RUN_COLUMNS} | {name: row[name] if ended else None for name in ENDING}
    run |= {"id": run_id, "state": "ended" if ended else "paused"}
    run["config"] = RunConfig(**row["config"]).model_dump()
    manifest = {"format": FORMAT, "version": VERSION, "run": run}
    entries = _log_of(connection, run_id, writer)
    return manifest | {"log": entries, "checkpoint": _checkpoint_of(connection, run_id, writer)}


def _log_of(connection: Connection, run_id: str, writer: ArchiveWriter | None) -> list[dict[str, Any]]:
    if writer is not None:
        writer.begin(LOG)
    query = select(log).where(log.c.run_id == run_id).order_by(log.c.id)
    entries = []
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}).mappings():
        digest = hashlib.sha256(row["payload"]).hexdigest()
        entries.append({name: row[name] for name in ROW_COLUMNS} | {"sha256": digest})
        if writer is not None:
            writer.write(row["payload"])
    return entries


def _checkpoint_of(
    connection: Connection, run_id: str, writer: ArchiveWriter | None
) -> dict[str, Any] | None:
    if writer is not None:
        writer.begin(CHECKPOINT)
    row = connection.execute(select(checkpoints).where(checkpoints.c.run_id == run_id)).first()
    if row is None:
        return None
    if writer is not None:
        writer.write(row.payload)
    digest = hashlib.sha256(row.payload).hexdigest()
    return {"step": row.step, "size": len(row.payload), "sha256": digest}


# -- in ---------------------------------------------------------------------------------------------------


@contextmanager
def _refuse_misfits(where: str) -> Iterator[None]:
    """Refuse the file if a part of it does not fit; `where` names the part."""
    try:
        yield
    except (Misfit, ConfigError) as error:
        why = str(error).rstrip(".")
        sentence = f"The run file is rejected: {where}: {why}."
        raise ArchiveError("content", sentence, where=where, why=why) from error


def _read_manifest(reader: ArchiveReader) -> tuple[Manifest, RunConfig]:
    """The manifest and the config, if the sizes are those of the file."""
    if reader.size(MANIFEST) > MAX_MANIFEST:
        raise damaged()
    with _refuse_misfits("manifest"):
        given = checks.read(reader.read(MANIFEST))
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise Misfit("it does not belong to a run")
        if given.get("version") != VERSION:
            version = str(given.get("version"))[:20]
            raise ArchiveError(
                "version",
                f"The run file has format version {version!r}; this sparsecore reads version {VERSION}.",
                version=version,
                known=VERSION,
            )
        manifest, config = checks.manifest(given)
    size = 0 if manifest.checkpoint is None else manifest.checkpoint.size
    if sum(entry.size for entry in manifest.log) != reader.size(LOG) or size != reader.size(CHECKPOINT):
        raise damaged()
    return manifest, config


def _rows(reader: ArchiveReader, manifest: Manifest) -> Iterator[tuple[Any, bytes]]:
    """The rows of the log, one in memory at a time."""
    start = 0
    for entry in manifest.log:
        payload = reader.read(LOG, start, entry.size)
        if hashlib.sha256(payload).hexdigest() != entry.sha256:
            raise damaged()
        yield entry, payload
        start += entry.size


def _checkpoint(reader: ArchiveReader, manifest: Manifest) -> bytes:
    payload = reader.read(CHECKPOINT)
    if hashlib.sha256(payload).hexdigest() != manifest.checkpoint.sha256:
        raise damaged()
    return payload


def _find_or_write(
    store: Store, reader: ArchiveReader, manifest: Manifest, config: RunConfig, owner: str | None
) -> ImportedRun:
    """Write the run under the first of its ids that is free, or find it under one of them."""
    given = manifest.model_dump(exclude={"labels"})
    given["run"]["config"] = config.model_dump()
    for name in _ids(given):
        given["run"]["id"] = name
        found = ImportedRun(name, False, given["run"]["state"], name != manifest.run.id)
        with store.engine.connect() as connection:
            there = _describe_run(connection, name)
        if there is None and _write(store, reader, manifest, given, owner):
            return ImportedRun(name, True, found.state, found.renamed)
        if there is None:  # another import has written a run of this id meanwhile
            with store.engine.connect() as connection:
                there = _describe_run(connection, name)
        if json.loads(json.dumps(there)) == given:
            return found
    raise AssertionError("ids do not end")


def _ids(given: dict[str, Any]) -> Iterator[str]:
    """The run's own id, then ids derived from its content: the same archive finds the same run."""
    yield given["run"]["id"]
    of = json.dumps(given, sort_keys=True).encode()
    turn = 0
    while True:
        number = int.from_bytes(hashlib.sha256(of + turn.to_bytes(8, "little")).digest())
        yield "".join(ALPHABET[number // len(ALPHABET) ** i % len(ALPHABET)] for i in range(ID_LENGTH))
        turn += 1


def _write(
    store: Store, reader: ArchiveReader, manifest: Manifest, given: dict[str, Any], owner: str | None
) -> bool:
    """Write all rows in one transaction; False if the store has a run of this id by now."""
    row = {name: value for name, value in given["run"].items() if value is not None}
    row |= {"digest": RunConfig(**row["config"]).digest(), "origin": IMPORT, "owner": owner}
    row |= manifest.labels.model_dump()
    try:
        with store.engine.begin() as connection:
            connection.execute(insert(runs).values(row))
            for entry, payload in _rows(reader, manifest):
                values = entry.model_dump(exclude={"sha256"}) | {"run_id": row["id"], "payload": payload}
                connection.execute(insert(log).values(values))
            if manifest.checkpoint is not None:
                values = {"run_id": row["id"], "step": manifest.checkpoint.step}
                values["payload"] = _checkpoint(reader, manifest)
                connection.execute(insert(checkpoints).values(values))
    except IntegrityError:
        return False
    return True
