"""A run as one file: the same run elsewhere, bit for bit; every other file refused, with nothing changed."""

import hashlib
import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode, encode
from sparsecore.engine.training.events import Checkpoint
from sparsecore.engine.training.loop import train
from sparsecore.runs.files.archive import ImportedRun, export_run, import_run
from sparsecore.runs.files.archive_file import (
    CHECKPOINT,
    DIGEST_BYTES,
    LOG,
    MANIFEST,
    NAMES,
    TAIL_BYTES,
    ArchiveError,
    ArchiveReader,
    ArchiveWriter,
    file_digest,
)
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import metadata
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.batch_worker import BatchWorker, claim_batch
from sparsecore.runs.workers.worker import Worker

KINDS = ("scene", "record", "frame", "change")
QUICK, LONG = 150, 10_000
FEW = settings(max_examples=QUICK)
MANY = settings(FEW, max_examples=LONG)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def config(**parameters: Any) -> RunConfig:
    return RunConfig.parse({"max_steps": 40, "theta": 0.0} | parameters)


def trained(store: Store, **parameters: Any) -> str:
    run = store.create(config(**parameters), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def exported(store: Store, run: str) -> bytes:
    file = io.BytesIO()
    export_run(store, run, file)
    return file.getvalue()


def imported(store: Store, data: bytes) -> ImportedRun:
    return import_run(store, io.BytesIO(data))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store of another machine, on SQLite."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SPARSECORE_STORE", raising=False)
        opened = Store(tmp_path_factory.mktemp("elsewhere"))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def archive(elsewhere: Store) -> bytes:
    """An ended run of the other machine, as a file."""
    return exported(elsewhere, trained(elsewhere, task="spirals"))


class Parts(dict):
    """Members by name; shown in few words when an example fails."""

    def __repr__(self) -> str:
        return f"Parts({', '.join(self)})"


@pytest.fixture(scope="module")
def parts(archive: bytes) -> Parts:
    """Its members."""
    reading = ArchiveReader(io.BytesIO(archive))
    return Parts({name: reading.read(name) for name in NAMES})


def packed(parts: dict[str, bytes]) -> bytes:
    """Members as an archive whose hashes are right."""
    writing = ArchiveWriter(io.BytesIO())
    for name in NAMES:
        writing.begin(name)
        writing.write(parts[name])
    writing.close()
    return writing.file.getvalue()


def rewritten(parts: dict[str, bytes], change: Callable[[dict, list[bytes], list[bytes]], None]) -> bytes:
    """The archive after a change of its manifest, its rows or its checkpoint, with all hashes made right."""
    manifest, rows, at = json.loads(parts[MANIFEST]), [], 0
    for entry in manifest["log"]:
        rows.append(parts[LOG][at : at + entry["size"]])
        at += entry["size"]
    saved = [parts[CHECKPOINT]]
    change(manifest, rows, saved)
    for entry, row in zip(manifest["log"], rows, strict=True):
        entry.update(size=len(row), sha256=hashlib.sha256(row).hexdigest())
    if isinstance(manifest["checkpoint"], dict):
        manifest["checkpoint"].update(size=len(saved[0]), sha256=hashlib.sha256(saved[0]).hexdigest())
    written = json.dumps(manifest).encode()
    return packed({LOG: b"".join(rows), CHECKPOINT: saved[0], MANIFEST: written})


def everything(store: Store) -> list[tuple[str, int]]:
    """How many rows each table has."""
    with store.engine.connect() as connection:
        tables = metadata.sorted_tables
        return [
            (t.name, connection.execute(select(func.count()).select_from(t)).scalar_one()) for t in tables
        ]


def refusal(store: Store, data: bytes) -> ArchiveError:
    """Why it is refused; nothing has changed, and it is one sentence."""
    before = everything(store)
    with pytest.raises(ArchiveError) as caught:
        imported(store, data)
    assert everything(store) == before
    said = str(caught.value)
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) < 400
    return caught.value


def weights(store: Store, run: str) -> dict[str, np.ndarray]:
    return decode(store.checkpoint(run)[1])[0]


def rows_of(store: Store, run: str) -> list[tuple]:
    return [tuple(row)[1:] for row in store.entries(run, KINDS)]


# -- there and back ---------------------------------------------------------------------------------------


@pytest.mark.dialect
@pytest.mark.usefixtures("either_database")
def test_an_imported_run_has_the_same_config_log_checkpoint_and_ending(
    store: Store, elsewhere: Store, archive: bytes
):
    found = imported(store, archive)
    there, here = elsewhere.get(found.run), store.get(found.run)
    assert (found.new, found.renamed, here.origin) == (True, False, "import")
    for name in ("config", "state", "step", "reason", "detail", "result", "created", "started", "ended"):
        assert getattr(here, name) == getattr(there, name), name
    assert rows_of(store, found.run) == rows_of(elsewhere, found.run)
    assert store.checkpoint(found.run) == elsewhere.checkpoint(found.run)
    assert exported(store, found.run) == archive


@pytest.mark.usefixtures("either_database")
def test_a_run_that_had_not_ended_is_paused_and_goes_on_to_the_same_weights(store: Store, elsewhere: Store):
    class Crash(BaseException):
        pass

    def crash(event: Any) -> None:
        if isinstance(event, Checkpoint):
            steps.append(event.step)
        if getattr(event, "step", 0) == 25:
            raise Crash

    steps: list[int] = []
    run = elsewhere.create(config(max_steps=60), worker="w")
    worker = Worker(elsewhere, elsewhere.get(run), "w", on_event=crash)
    elsewhere.command(run, "change", {"density": 0.2})  # saves a checkpoint
    with pytest.raises(Crash):
        worker.work()
    assert elsewhere.checkpoint(run)[0] < 25
    found = imported(store, exported(elsewhere, run))
    assert (found.state, store.get(run).state, store.get(run).worker) == ("paused", "paused", None)
    store.resume(run)
    assert store.claim(run, "here")
    Worker(store, store.get(run), "here").work()
    straight = [e for e in train(config(max_steps=60, density=0.2)) if isinstance(e, Checkpoint)][-1].arrays
    assert weights(store, run).keys() == straight.keys()
    assert all(np.array_equal(weights(store, run)[name], straight[name]) for name in straight)


@pytest.mark.parametrize(
    "parameters",
    [
        {"method": "dense"},
        {"method": "global", "density": 0.02, "certificate": "off"},
        {"mode": "latent", "keep_alive": 1, "schedule": "cubic"},
        {"size": "paper", "max_steps": 3},
        {"task": "vulnerabilities", "max_steps": 2},
        {"learning_rate": 10.0, "task": "spirals", "freeze_at": 10},
    ],
    ids=["dense", "global", "latent", "paper", "texts", "frozen"],
)
def test_every_kind_of_run_passes_its_own_checks(store: Store, elsewhere: Store, parameters: dict):
    run = trained(elsewhere, **parameters)
    assert imported(store, exported(elsewhere, run)).new
    assert rows_of(store, run) == rows_of(elsewhere, run)


def test_a_run_that_was_trained_in_a_batch_passes_too(store: Store, elsewhere: Store):
    ids = [elsewhere.create(config(seed=seed), origin="sweep") for seed in (1, 2)]
    BatchWorker(elsewhere, claim_batch(elsewhere, "b", anywhere=True), "b").work()
    for run in ids:
        assert imported(store, exported(elsewhere, run)).state == "ended"


def test_a_run_that_never_began_comes_paused(store: Store, elsewhere: Store):
    run = elsewhere.create(config())
    assert imported(store, exported(elsewhere, run)).state == "paused"
    assert store.checkpoint(run) is None


def test_the_same_run_is_found_again_and_not_doubled(store: Store, archive: bytes):
    first, again = imported(store, archive), imported(store, archive)
    assert (first.run, first.new, again.run, again.new) == (first.run, True, first.run, False)
    assert len(store.list()) == 1


def test_a_run_whose_id_is_another_runs_gets_its_own_and_is_found_under_it(
    store: Store, elsewhere: Store, parts: dict[str, bytes]
):
    other = trained(elsewhere, task="sinc")
    imported(store, exported(elsewhere, other))

    def rename(manifest: dict, rows: list, saved: list) -> None:
        manifest["run"]["id"] = other

    data = rewritten(parts, rename)
    first, again = imported(store, data), imported(store, data)
    assert (first.renamed, first.new, again.new, again.run) == (True, True, False, first.run)
    assert first.run != other
    assert store.get(other).config.task == "sinc"
    assert len(store.list()) == 2


@pytest.mark.usefixtures("either_database")
def test_its_name_note_and_pin_come_along_and_stay_as_they_are_here(store: Store, elsewhere: Store):
    run = elsewhere.create(config())
    catalogue.describe(elsewhere, run, name="the best 层", note="two\nlines")
    catalogue.pin(elsewhere, run)
    data = exported(elsewhere, run)
    assert imported(store, data).new
    here = store.get(run)
    assert (here.name, here.note, here.pinned) == ("the best 层", "two\nlines", True)
    catalogue.describe(store, run, name="mine")
    catalogue.pin(store, run, pinned=False)
    assert imported(store, data).new is False
    assert (store.get(run).name, store.get(run).pinned, len(store.list())) == ("mine", False, 1)


def test_an_archive_from_before_runs_had_names_is_read(store: Store, parts: dict[str, bytes]):
    found = imported(store, rewritten(parts, lambda manifest, *_: manifest.pop("told")))
    assert (store.get(found.run).name, store.get(found.run).pinned) == (None, False)


def test_an_imported_run_is_no_cell_of_a_sweep(store: Store, elsewhere: Store):
    spec = SweepSpec(
        task="sinc", densities=(0.4,), seeds=(0,), methods=("global",), parameters={"max_steps": 40}
    )
    run = elsewhere.create(spec.configs()[0], worker="w")
    Worker(elsewhere, elsewhere.get(run), "w").work()
    assert imported(store, exported(elsewhere, run)).new
    assert [cell.run for cell in stored.cells_of(store, spec)] == [None]


def test_an_imported_run_belongs_to_whoever_brought_it(store: Store, archive: bytes):
    brought = import_run(store, io.BytesIO(archive), owner="ann")
    assert store.get(brought.run).owner == "ann"
    assert not import_run(store, io.BytesIO(archive), owner="bob").new
    assert store.get(brought.run).owner == "ann"


def test_an_archive_is_a_zip_that_any_program_reads(archive: bytes, parts: dict[str, bytes]):
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert tuple(opened.namelist()) == NAMES
        assert opened.read(CHECKPOINT) == parts[CHECKPOINT]


def test_an_import_that_is_given_up_changes_nothing(store: Store, archive: bytes):
    before, told = everything(store), []
    found = import_run(store, io.BytesIO(archive), lambda read, total: told.append(read), lambda: bool(told))
    assert (found, len(told), everything(store)) == (None, 1, before)


def test_a_log_streams_through_in_little_memory(store: Store, elsewhere: Store, parts: dict[str, bytes]):
    run, reading = imported(elsewhere, packed(parts)).run, json.loads(parts[MANIFEST])
    payload = next(row.payload for row in elsewhere.entries(run, ["frame"]))
    arrays, meta = decode(payload)
    large = LogEntry("frame", 0, encode(arrays | {"more": np.zeros(500_000, np.uint8)}, meta | {"step": 0}))
    copy = elsewhere.create(RunConfig(**reading["run"]["config"]), worker="w")
    scene = LogEntry("scene", 0, elsewhere.entries(run, ["scene"])[0].payload)
    elsewhere.write(copy, "w", 0, [scene, *[large] * 34])
    file = io.BytesIO()
    export_run(elsewhere, copy, file)
    assert len(file.getvalue()) > 17_000_000
    tracemalloc.start()
    export_run(elsewhere, copy, io.BytesIO(bytearray(len(file.getvalue()))))
    import_run(store, file)
    peak = tracemalloc.get_traced_memory()[1] - len(file.getvalue()) * 2
    tracemalloc.stop()
    assert peak < 12_000_000
    assert len(store.frames(copy)) == 34


# -- damage -----------------------------------------------------------------------------------------------


def flipped(archive: bytes, place: int, mask: int) -> bytes:
    data = bytearray(archive)
    data[place % len(data)] ^= mask
    return bytes(data)


def no_byte_may_differ(store: Store, archive: bytes, place: int, mask: int) -> None:
    assert refusal(store, flipped(archive, place, mask)).code in ("damaged", "not_archive")


@FEW
@given(place=st.integers(0, 10**9), mask=st.integers(1, 255))
def test_any_flipped_byte_is_refused(store: Store, archive: bytes, place: int, mask: int):
    no_byte_may_differ(store, archive, place, mask)


@pytest.mark.slow
@MANY
@given(place=st.integers(0, 10**9), mask=st.integers(1, 255))
def test_any_of_ten_thousand_flipped_bytes_is_refused(store: Store, archive: bytes, place: int, mask: int):
    no_byte_may_differ(store, archive, place, mask)


def test_every_byte_of_the_headers_counts(store: Store, archive: bytes):
    for place in (*range(40), *range(len(archive) - TAIL_BYTES, len(archive))):
        no_byte_may_differ(store, archive, place, 0x20)


@FEW
@given(length=st.integers(0, 10**9))
def test_any_truncation_is_refused(store: Store, archive: bytes, length: int):
    assert refusal(store, archive[: length % len(archive)]).code in ("damaged", "not_archive")


def test_what_stands_before_or_behind_is_refused(store: Store, archive: bytes):
    assert refusal(store, b"x" + archive).code == "not_archive"
    assert refusal(store, archive + b"x").code == "damaged"
    assert refusal(store, archive + archive).code == "damaged"


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", b"junk" * 999, b"PK\x05\x06" + bytes(18)]
)
def test_what_is_no_archive_is_refused(store: Store, data: bytes):
    assert refusal(store, data).code in ("damaged", "not_archive")


# -- other zips -------------------------------------------------------------------------------------------


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip by another program's hand, with the digest as its comment."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
        archive.comment = bytes(DIGEST_BYTES)
    size = len(file.getvalue())
    return file.getvalue()[:-DIGEST_BYTES] + file_digest(file, size)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "change",
    [
        lambda m: [*m, ("more.bin", b"x")],
        lambda m: [*m, m[0]],
        lambda m: m[:2],
        lambda m: [m[1], m[0], m[2]],
        lambda m: [("../../log.bin", m[0][1]), *m[1:]],
        lambda m: [("/etc/cron.d/x", m[0][1]), *m[1:]],
        lambda m: [(CHECKPOINT, m[0][1]), (LOG, m[1][1]), m[2]],
    ],
    ids=["added", "twice", "missing", "swapped", "path", "absolute", "names-swapped"],
)
def test_a_zip_with_other_members_is_refused(store: Store, parts: dict[str, bytes], change, tmp_path: Path):
    assert refusal(store, zipped(change(list(parts.items())))).code == "damaged"
    assert not list(tmp_path.rglob("x"))


def test_a_bomb_is_refused_without_being_unpacked(store: Store, parts: dict[str, bytes]):
    bomb = zipped([(LOG, bytes(50_000_000)), *list(parts.items())[1:]], zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    assert refusal(store, bomb).code == "damaged"
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_sizes_that_are_declared_too_large_are_refused(store: Store, archive: bytes):
    data = bytearray(archive)
    struct.pack_into("<2I", data, len(data) - TAIL_BYTES + 20, 2**32 - 1, 2**32 - 1)
    digest = file_digest(io.BytesIO(data), len(data))
    assert refusal(store, bytes(data[:-DIGEST_BYTES]) + digest).code == "damaged"


def test_members_swapped_under_right_hashes_are_refused(store: Store, parts: dict[str, bytes]):
    swapped = parts | {LOG: parts[CHECKPOINT], CHECKPOINT: parts[LOG]}
    assert refusal(store, packed(swapped)).code == "damaged"


# -- an archive that lies ---------------------------------------------------------------------------------


def to(*path: Any, value: Any) -> Callable:
    """A change that puts a value somewhere into the manifest."""

    def change(manifest: dict, rows: list[bytes], saved: list[bytes]) -> None:
        at = manifest
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


def payload(kind: str, data: bytes) -> Callable:
    """A change of the last row of a kind."""

    def change(manifest: dict, rows: list[bytes], saved: list[bytes]) -> None:
        place = max(i for i, entry in enumerate(manifest["log"]) if entry["kind"] == kind)
        rows[place] = data

    return change


def described(of: str, name: str | None = None, array: Any = None, **meta: Any) -> Callable:
    """A change of the description, or of an array, of the last blob of a kind, or of the checkpoint."""

    def change(manifest: dict, rows: list[bytes], saved: list[bytes]) -> None:
        kinds = [entry["kind"] for entry in manifest["log"]]
        where, place = (saved, 0) if of == "checkpoint" else (rows, len(kinds) - 1 - kinds[::-1].index(of))
        arrays, old = decode(where[place])
        where[place] = encode(arrays | ({name: np.asarray(array)} if name else {}), old | meta)

    return change


RECORD = {"loss": 0.5, "update": None, "seconds": 1.0, "density": [1.0], "threshold": [None], "churn": 0.0}
RECORD |= {"jaccard": 1.0, "frozen": False}
LIES = {
    "version": to("version", value=2),
    "format": to("format", value="run"),
    "config": to("run", "config", "density", value=1.5),
    "config-name": to("run", "config", "hook", value="os.system"),
    "config-steps": to("run", "config", "max_steps", value=10**9),
    "id": to("run", "id", value="../../x"),
    "state": to("run", "state", value="running"),
    "reason": to("run", "reason", value="won"),
    "detail": to("run", "detail", value={"what": "theta"}),
    "no-ending": to("run", "ended", value=None),
    "metric": to("run", "result", "metrics", value={"test": {"accuracy": "<b>1</b>"}}),
    "metric-name": to("run", "result", "metrics", value={"test": {"<script>": 1.0}}),
    "layer-name": to("run", "result", "layers", 0, "name", value="<img src=x>"),
    "nan": to("run", "result", "seconds", value=float("nan")),
    "infinite": to("run", "created", value=float("inf")),
    "null": to("run", "result", "note", value="\0"),
    "surrogate": to("run", "result", "note", value="\ud800"),
    "long": to("run", "result", "note", value="😀" * 100_000),
    "deep": to("run", "result", "note", value=json.loads("[" * 50 + "]" * 50)),
    "step": to("log", -1, "step", value=10**7),
    "negative": to("log", 0, "step", value=-1),
    "kind": to("log", 0, "kind", value="pickle"),
    "order": to("log", 3, "nth", value=0),
    "stride": to("log", 3, "stride", value=2**40),
    "more": to("more", value=1),
    "checkpoint-step": to("checkpoint", "step", value=41),
    "record": payload("record", b"[]"),
    "record-nan": payload("record", json.dumps(RECORD | {"loss": float("nan")}).encode()),
    "record-1e999": payload("record", json.dumps(RECORD).replace("0.5", "1e999").encode()),
    "record-kind": payload("record", json.dumps(RECORD | {"kind": "hello"}).encode()),
    "record-twice": payload("record", json.dumps(RECORD)[:-1].encode() + b', "loss": 1}'),
    "record-deep": payload("record", b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "record-number": payload("record", b'{"loss": ' + b"9" * 9_000 + b"}"),
    "record-utf": payload("record", b'{"\xff": 1}'),
    "frame-junk": payload("frame", b"junk"),
    "frame-header": payload("frame", (2**62).to_bytes(8, "little") + b"{}"),
    "frame-empty": payload("frame", b""),
    "frame-step": described("frame", step=3),
    "frame-layers": described("frame", layers=[]),
    "frame-nothing": described("frame", matrices=None),
    "frame-relaxed": described("frame", relaxed=["<b>"]),
    "frame-mask": described("frame", "mask.1", np.zeros(3, np.uint8)),
    "frame-value": described("frame", "value.1", np.zeros(3, np.float32)),
    "frame-count": described("frame", "count.1", np.zeros((16, 16), np.int64)),
    "frame-picture": described("frame", "picture.chance", np.zeros(9, np.uint8)),
    "frame-bias": described("frame", "bias.1", np.zeros(3, np.float32)),
    "frame-spread": described("frame", "spread.cut.1", np.zeros(9, np.uint16)),
    "frame-edge": described("frame", spread=0.0),
    "frame-wide": described("frame", "more", np.zeros(9, np.int64)),
    "frame-large": described("frame", "more", np.zeros(17_000_000, np.uint8)),
    "scene-kind": described("scene", kind="curve"),
    "scene-grid": described("scene", grid=10**9),
    "scene-points": described("scene", "points", np.zeros((3, 2), np.float32)),
    "saved-config": described("checkpoint", config={"density": 7}),
    "saved-task": described("checkpoint", config={"task": "sinc"}),
    "saved-ending": described("checkpoint", ending=["won", {}]),
    "saved-weights": described("checkpoint", "model.fc2.weight", np.zeros(3, np.float32)),
    "told-long": to("told", "name", value="x" * 81),
    "told-lines": to("told", "name", value="one\ntwo"),
    "told-empty": to("told", "name", value=""),
    "told-control": to("told", "note", value="\x1b[31mred"),
    "told-pinned": to("told", "pinned", value="yes"),
    "told-more": to("told", "owner", value="me"),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES.keys())
def test_a_lie_under_right_hashes_is_refused(store: Store, parts: dict[str, bytes], change: Callable):
    assert refusal(store, rewritten(parts, change)).code in ("content", "version")


def test_texts_with_grades_that_are_none_are_refused(store: Store, elsewhere: Store):
    run = trained(elsewhere, task="vulnerabilities", max_steps=1)
    reading = ArchiveReader(io.BytesIO(exported(elsewhere, run)))
    whole = {name: reading.read(name) for name in NAMES}
    for lie in (
        {"sample": [["text", 4]]},
        {"sample": [["text", "1"]]},
        {"sample": [[1, 1]]},
        {"sample": [["text"]]},
        {"sample": "text"},
        {"grades": ["<b>low</b>", "b", "c", "d"]},
        {"grades": ["a"]},
        {"majority": 2.0},
    ):
        assert refusal(store, rewritten(whole, described("scene", **lie))).code == "content", lie


def test_a_change_that_no_run_lets_change_is_refused(store: Store, elsewhere: Store):
    run = elsewhere.create(config(), worker="w")
    for values in ({"seed": 1}, {"density": 2}, {"nothing": 1}, {}, []):
        elsewhere.rewind(run, "w", -1)
        elsewhere.write(run, "w", 0, [LogEntry("change", 0, json.dumps(values).encode())])
        assert refusal(store, exported(elsewhere, run)).code == "content"


def test_another_version_says_which_one_is_read(store: Store, parts: dict[str, bytes]):
    error = refusal(store, rewritten(parts, to("version", value=2)))
    assert str(error) == "The run file has format version '2'; this sparsecore reads version 1."


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths to all that a JSON value holds."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in [(*path, key), *places(item, (*path, key))]]


def refused_or_fit(store: Store, data: bytes) -> None:
    """Refused with nothing changed, or a run that can be listed, shown and exported; gone again then."""
    before = everything(store)
    try:
        found = imported(store, data)
    except ArchiveError:
        assert everything(store) == before
        return
    json.dumps(store.get(found.run).summary(), allow_nan=False)
    assert exported(store, found.run)
    for row in store.entries(found.run, ["scene", "frame"]):
        decode(row.payload)
    if store.checkpoint(found.run) is not None:
        decode(store.checkpoint(found.run)[1])
    store.delete(found.run)


def mutate_manifest(store: Store, parts: dict[str, bytes], data: Any) -> None:
    paths = places(json.loads(parts[MANIFEST]))
    head = [path for path in paths if path[0] != "log"]
    change = to(*data.draw(st.sampled_from(head) | st.sampled_from(paths)), value=data.draw(ANYTHING))
    manifest = json.loads(parts[MANIFEST])
    change(manifest, [], [])
    refused_or_fit(store, packed(parts | {MANIFEST: json.dumps(manifest).encode()}))


def mutate_payload(store: Store, parts: dict[str, bytes], data: Any) -> None:
    def change(manifest: dict, rows: list[bytes], saved: list[bytes]) -> None:
        where, place = (
            (rows, data.draw(st.integers(0, len(rows) - 1))) if data.draw(st.booleans()) else (saved, 0)
        )
        most = data.draw(st.sampled_from([16, 4_000, 10**6]))  # the headers come first
        at = data.draw(st.integers(0, min(most, len(where[place]) - 1)))
        where[place] = (
            where[place][:at] + data.draw(st.binary(min_size=1, max_size=4)) + where[place][at + 1 :]
        )

    refused_or_fit(store, rewritten(deepcopy(parts), change))


@FEW
@given(data=st.data())
def test_a_manifest_of_anything_is_refused_or_fit(store: Store, parts: dict[str, bytes], data):
    mutate_manifest(store, parts, data)


@FEW
@given(data=st.data())
def test_a_payload_of_anything_is_refused_or_fit(store: Store, parts: dict[str, bytes], data):
    mutate_payload(store, parts, data)


@pytest.mark.slow
@MANY
@given(data=st.data())
def test_ten_thousand_archives_that_lie_are_refused_or_fit(store: Store, parts: dict[str, bytes], data):
    mutate = data.draw(st.sampled_from([mutate_manifest, mutate_payload]))
    mutate(store, parts, data)
