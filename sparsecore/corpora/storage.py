"""Corpora stored on disk; the file name of a corpus is a digest of its content."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from sparsecore.corpora.cleaning import Cleaner
from sparsecore.corpora.corpus import GRADES, Corpus, CorpusError, TextRecord
from sparsecore.corpora.gzip_json import DamagedFile, atomic_file, read_gzip_json, write_gzip_json
from sparsecore.corpora.inspection import Inspection, describe
from sparsecore.corpora.reading import new_context, read_into
from sparsecore.corpora.source import ReadOptions
from sparsecore.settings import corpora_folder

# 64 bits: among a million corpora the probability of a collision is 3 in 10⁸.
ID_LENGTH = 16
ID_PATTERN = re.compile(f"[0-9a-f]{{{ID_LENGTH}}}")


FIELDS = ("name", "generated", "skipped", "texts", "labels", "dates")
DIGEST_BATCH = 1_000  # texts; encoding a large corpus at once would hold it in memory three times


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
    if path.exists() and not _must_replace(path, key, corpus):
        return key
    write_gzip_json(path, {field: getattr(corpus, field) for field in FIELDS})
    return key


def rename(key: str, name: str, folder: Path) -> None:
    """Rename a stored corpus; raise CorpusError as `load` does."""
    corpus = replace(load(key, folder), name=name)
    write_gzip_json(_path(key, folder), {field: getattr(corpus, field) for field in FIELDS})


def delete(key: str, folder: Path) -> None:
    """Delete a stored corpus if it exists."""
    _path(key, folder).unlink(missing_ok=True)


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


def _path(key: str, folder: Path) -> Path:
    return Path(folder) / f"{key}.json.gz"


def _digest(texts: tuple[str, ...], labels: tuple[int, ...]) -> str:
    """Return the SHA-256 of the JSON of [texts, labels], computed in batches."""
    digest = hashlib.sha256(b"[[")
    for start in range(0, len(texts), DIGEST_BATCH):
        part = json.dumps(texts[start : start + DIGEST_BATCH], ensure_ascii=False, separators=(",", ":"))
        digest.update((b"," if start else b"") + part[1:-1].encode())
    digest.update(f"],{json.dumps(labels, separators=(',', ':'))}]".encode())
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
        stored_corpora = _read(path, key)
    except DamagedFile:
        return True
    return corpus.generated and not stored_corpora.generated


# -- Stored corpora by the names that users give them


MAX_NAME_LENGTH = 80
UNKNOWN_FORMAT = ""  # for corpora stored before formats were recorded


@dataclass(frozen=True)
class StoredCorpus:
    """A stored corpus: its id, as `RunConfig.data` takes it, its name, and its inspection."""

    id: str
    name: str
    inspection: Inspection

    def summary(self) -> dict[str, Any]:
        """Return all fields as plain values, ready for JSON."""
        return {"id": self.id, "name": self.name} | self.inspection.summary()


def add(
    path: str | PathLike[str],
    name: str | None = None,
    folder: Path | None = None,
    **options: Unpack[ReadOptions],
) -> StoredCorpus:
    """Read a file as `read_corpus` does and store its texts, by default under the file's name.

    `folder` defaults to the user's corpora folder. Texts that are already stored take the new name, if given,
    and otherwise stay unchanged. Raises CorpusError `bad_name`, `name_taken`, or those of `read_corpus`;
    nothing is stored then.
    """
    folder, path = folder or corpora_folder(), Path(path)
    given = None if name is None else _clean_name(name)
    context = new_context(path, **options)
    cleaner = read_into(path, context, Cleaner(keep_texts=True))
    corpus = cleaner.corpus(given or _clean_name(path.name))
    inspection = describe(cleaner, context.format)
    del cleaner
    key = corpus_id(corpus)
    others = stored_corpora(folder)
    former = next((each for each in others if each.id == key), None)
    _require_free(corpus.name, key, others)
    if former and given and former.name != given:
        rename(key, given, folder)
    save(corpus, folder)
    entry = StoredCorpus(key, former.name if former and not given else corpus.name, inspection)
    write_gzip_json(_entry_path(key, folder), asdict(entry))
    return entry


def stored_corpora(folder: Path | None = None) -> list[StoredCorpus]:
    """Return all stored corpora sorted by name; skip damaged ones."""
    folder = folder or corpora_folder()
    found = []
    for path in folder.glob("*.json.gz"):
        key = path.name.removesuffix(".json.gz")
        if ID_PATTERN.fullmatch(key):
            found.append(_load_entry(key, folder))
    return sorted(filter(None, found), key=lambda each: (each.name, each.id))


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
    """Delete the corpus with this name or id and return its entry; raise CorpusError `no_such_name`."""
    folder = folder or corpora_folder()
    found = find(name, folder)
    delete(found.id, folder)
    _entry_path(found.id, folder).unlink(missing_ok=True)
    return found


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
        return StoredCorpus(key, value["name"], Inspection(**value["inspection"]))
    except (FileNotFoundError, DamagedFile, KeyError, TypeError):
        try:
            corpus = load(key, folder)
        except CorpusError:
            return None
    entry = StoredCorpus(key, corpus.name, _inspect_corpus(corpus))
    write_gzip_json(path, asdict(entry))
    return entry


def _inspect_corpus(corpus: Corpus) -> Inspection:
    cleaner = Cleaner(keep_texts=False)
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        cleaner.add(TextRecord(text, GRADES[label]))
    return describe(cleaner, UNKNOWN_FORMAT, corpus.skipped)
