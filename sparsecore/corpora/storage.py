"""Corpora stored on disk; the file name of a corpus is a digest of its content."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from sparsecore.corpora.cleaning import Cleaner
from sparsecore.corpora.corpus import GRADES, Corpus, CorpusError, TextRecord
from sparsecore.corpora.gzip_json import (
    DamagedFile,
    atomic_file,
    json_pieces,
    read_gzip_json,
    write_gzip_json,
)
from sparsecore.corpora.inspection import Inspection, describe
from sparsecore.corpora.reading import new_context, read_into
from sparsecore.corpora.source import ReadOptions
from sparsecore.settings import corpora_folder

# 64 bits: among a million corpora the probability of a collision is 3 in 10⁸.
ID_LENGTH = 16
ID_PATTERN = re.compile(f"[0-9a-f]{{{ID_LENGTH}}}")


FIELDS = ("name", "generated", "skipped", "texts", "labels", "dates")


def corpus_id(corpus: Corpus) -> str:
    """Return the id of a corpus: 16 hexadecimal digits of the SHA-256 of its texts and labels, in order.

    The name and the skip counts do not affect the id: the same content has the same id, from any file.

    >>> corpus_id(Corpus("any name", ("甲",), (0,), {}, False))
    '4836d9b05e272a96'
    """
    return _digest(corpus.texts, corpus.labels)


def save(corpus: Corpus, folder: Path) -> str:
    """Store a corpus and return its id.

    The first name of a content is kept; a damaged file is replaced; a content stored as generated stays
    generated. Raises OSError if the file cannot be written.
    """
    key = corpus_id(corpus)
    path = _path(key, folder)
    if not path.exists() or _must_replace(path, key, corpus):
        _write(path, corpus)
    return key


def rename(key: str, name: str, folder: Path) -> None:
    """Rename a stored corpus; raise CorpusError as `load` does."""
    _write(_path(key, folder), replace(load(key, folder), name=name))


def delete(key: str, folder: Path) -> None:
    """Erase a stored corpus if it exists."""
    for path in (_path(key, folder), _entry_path(key, folder)):
        path.unlink(missing_ok=True)


def saved_at(key: str, folder: Path) -> float:
    """Return when a corpus was stored or renamed, in seconds since the epoch; 0 if it is not stored."""
    path = _path(key, folder)
    return path.stat().st_mtime if path.exists() else 0.0


def load(corpus_id: str, folder: Path) -> Corpus:
    """Load the corpus with this id.

    Raises CorpusError `bad_id`, `not_on_shelf`, or `damaged` if the content was changed.

    >>> load("../../etc/passwd", Path("."))
    Traceback (most recent call last):
    sparsecore.corpora.corpus.CorpusError: A data set id has 16 hexadecimal digits (0-9, a-f).
    """
    if not isinstance(corpus_id, str) or not ID_PATTERN.fullmatch(corpus_id):
        raise CorpusError("bad_id", f"A data set id has {ID_LENGTH} hexadecimal digits (0-9, a-f).")
    path = _path(corpus_id, folder)
    try:
        return _read(path, corpus_id)
    except FileNotFoundError as error:
        raise CorpusError(
            "not_on_shelf", f"There is no data set {corpus_id} here; add its file again.", id=corpus_id
        ) from error
    except DamagedFile as error:
        raise CorpusError(
            "damaged", f"The data set {corpus_id} is damaged; add its file again.", id=corpus_id
        ) from error


def read_blob(key: str, folder: Path) -> bytes:
    """Return a stored corpus as bytes, to copy it to another machine; raise CorpusError as `load` does."""
    load(key, folder)
    return _path(key, folder).read_bytes()


def write_blob(key: str, blob: bytes, folder: Path) -> None:
    """Store the bytes that `read_blob` returned; `load` detects damage."""
    with atomic_file(_path(key, folder)) as file:
        file.write(blob)


def _write(path: Path, corpus: Corpus) -> None:
    write_gzip_json(path, {field: getattr(corpus, field) for field in FIELDS})


def _path(key: str, folder: Path) -> Path:
    return Path(folder) / f"{key}.json.gz"


def _digest(texts: tuple[str, ...], labels: tuple[int, ...]) -> str:
    """Return the SHA-256 of the JSON of [texts, labels]."""
    digest = hashlib.sha256()
    for piece in chain("[", json_pieces(texts), ",", json_pieces(labels), "]"):
        digest.update(piece.encode())
    return digest.hexdigest()[:ID_LENGTH]


def _read(path: Path, key: str) -> Corpus:
    value = read_gzip_json(path)
    try:
        texts, labels = tuple(value["texts"]), tuple(value["labels"])
        dates = tuple(value.get("dates", ()))
        corpus = Corpus(value["name"], texts, labels, dict(value["skipped"]), value["generated"], dates)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path.name} is not a stored data set: {error!r}") from error
    if _digest(texts, labels) != key:
        raise DamagedFile(f"{path.name} does not contain what its name says")
    return corpus


def _must_replace(path: Path, key: str, corpus: Corpus) -> bool:
    try:
        return not _read(path, key).generated and corpus.generated
    except DamagedFile:
        return True


# -- Stored corpora by the names that users give them


MAX_NAME_LENGTH = 80
UNKNOWN_FORMAT = ""  # for corpora stored before formats were recorded


@dataclass(frozen=True)
class StoredCorpus:
    """A stored corpus: its id, as `RunConfig.data` takes it, its name, and its inspection.

    owner: the user who stored it first; None from the command line. removed: when it was removed, if it was.
    """

    id: str
    name: str
    inspection: Inspection
    owner: str | None = None
    removed: float | None = None

    def summary(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return {"id": self.id, "name": self.name} | self.inspection.summary()


def add(
    path: str | PathLike[str],
    name: str | None = None,
    folder: Path | None = None,
    owner: str | None = None,
    may_change: Callable[[str | None], bool] = lambda owner: True,
    **options: Unpack[ReadOptions],
) -> StoredCorpus:
    """Read a file as `read_corpus` does and store its texts, by default under the file's name.

    `folder` defaults to the user's corpora folder. Texts that are already stored keep their owner; they take
    the new name, if given, where `may_change` of their owner allows it. Raises CorpusError `bad_name`,
    `name_taken`, or those of `read_corpus`; nothing is stored then.
    """
    folder, path = folder or corpora_folder(), Path(path)
    given = None if name is None else _clean_name(name)
    context = new_context(path, **options)
    cleaner = read_into(path, context, keep_texts=True)
    corpus = cleaner.corpus(given or _clean_name(path.name))
    inspection = describe(cleaner, context.format)
    del cleaner
    key = corpus_id(corpus)
    others = stored_corpora(folder)
    former = next((each for each in others if each.id == key), None)
    if former and not (given and may_change(former.owner)):
        corpus = replace(corpus, name=former.name)
    _require_free(corpus.name, key, others)
    if former and former.name != corpus.name:
        rename(key, corpus.name, folder)
    save(corpus, folder)
    return _write_entry(StoredCorpus(key, corpus.name, inspection, former.owner if former else owner), folder)


def stored_corpora(folder: Path | None = None) -> list[StoredCorpus]:
    """Return all stored corpora sorted by name; skip damaged and removed ones."""
    return sorted(
        (each for each in _entries(folder or corpora_folder()) if each.removed is None),
        key=lambda each: (each.name, each.id),
    )


def _entries(folder: Path) -> Iterator[StoredCorpus]:
    for path in folder.glob("*.json.gz"):
        key = path.name.removesuffix(".json.gz")
        if ID_PATTERN.fullmatch(key) and (entry := _load_entry(key, folder)):
            yield entry


def lookup(name: str, folder: Path | None = None) -> StoredCorpus | None:
    """Return the stored corpus with this name or id, or None."""
    return next((each for each in stored_corpora(folder) if name in (each.name, each.id)), None)


def find(name: str, folder: Path | None = None) -> StoredCorpus:
    """Return the stored corpus with this name or id; raise CorpusError `no_such_name`."""
    if found := lookup(name, folder):
        return found
    raise CorpusError(
        "no_such_name",
        f"There is no data set named {_quoted(name)}; choose one from the list.",
        name=_quoted(name),
    )


def remove(name: str, folder: Path | None = None) -> StoredCorpus:
    """Remove the corpus with this name or id, so that `restore` can undo it, and return its entry.

    Nothing lists it any more; runs on it can still read it until `purge` erases it. Raises CorpusError
    `no_such_name`.
    """
    folder = folder or corpora_folder()
    return _write_entry(replace(find(name, folder), removed=time.time()), folder)


def restore(key: str, folder: Path) -> None:
    """Undo the removal of a corpus; raise CorpusError `no_such_name` if it is erased, or `name_taken`."""
    entry = _load_entry(key, folder) or find(key, folder)
    _require_free(entry.name, key, stored_corpora(folder))
    _write_entry(replace(entry, removed=None), folder)


def removed_corpora(folder: Path) -> list[StoredCorpus]:
    """Return the corpora that `restore` can bring back, the last removed first."""
    return sorted((each for each in _entries(folder) if each.removed), key=lambda each: -each.removed)


def purge(folder: Path, seconds: float) -> None:
    """Erase the corpora that were removed at least this long ago."""
    for each in removed_corpora(folder):
        if each.removed <= time.time() - seconds:
            delete(each.id, folder)


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > MAX_NAME_LENGTH or not cleaned.isprintable():
        raise CorpusError(
            "bad_name",
            f"A data set name must have 1 to {MAX_NAME_LENGTH} printable characters.",
            longest=MAX_NAME_LENGTH,
        )
    return cleaned


def _require_free(name: str, key: str, others: list[StoredCorpus]) -> None:
    if any(each.name == name and each.id != key for each in others):
        raise CorpusError(
            "name_taken",
            f"Another data set is already named {name}; choose another name, or remove it.",
            name=name,
        )


def _quoted(name: str) -> str:
    return name if name.isprintable() and len(name) <= MAX_NAME_LENGTH else repr(name[:MAX_NAME_LENGTH])


def _entry_path(key: str, folder: Path) -> Path:
    return folder / f"{key}.about.json.gz"


def _load_entry(key: str, folder: Path) -> StoredCorpus | None:
    """Load the entry of a stored corpus; create and save it if it is missing."""
    path = _entry_path(key, folder)
    try:
        value = read_gzip_json(path)
        inspection, more = Inspection(**value["inspection"]), (value.get("owner"), value.get("removed"))
        return StoredCorpus(key, value["name"], inspection, *more)
    except (FileNotFoundError, DamagedFile, KeyError, TypeError):
        try:
            corpus = load(key, folder)
        except CorpusError:
            return None
    return _write_entry(StoredCorpus(key, corpus.name, _inspect_corpus(corpus)), folder)


def _write_entry(entry: StoredCorpus, folder: Path) -> StoredCorpus:
    write_gzip_json(_entry_path(entry.id, folder), asdict(entry))
    return entry


def _inspect_corpus(corpus: Corpus) -> Inspection:
    cleaner = Cleaner(keep_texts=False)
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        cleaner.add(TextRecord(text, GRADES[label]))
    return describe(cleaner, UNKNOWN_FORMAT, corpus.skipped)
