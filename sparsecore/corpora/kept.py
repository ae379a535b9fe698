"""Corpora kept on disk under a name made from their content."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

from sparsecore.corpora.corpus import Corpus, CorpusError
from sparsecore.corpora.packed import DamagedFile, read_packed, whole_file, write_packed

# 64 bits: a shelf of a million corpora has two with one id with a chance of 3 in 10⁸.
ID_LENGTH = 16
ID_PATTERN = re.compile(f"[0-9a-f]{{{ID_LENGTH}}}")


FIELDS = ("name", "generated", "skipped", "texts", "labels", "dates")
DIGESTED_AT_ONCE = 1_000  # texts: joined in one piece, a large corpus would be in memory three times


def corpus_id(corpus: Corpus) -> str:
    """The id of a corpus: 16 hexadecimal digits of the SHA-256 of its texts and labels, in order.

    Neither the name nor what was skipped on the way enters it: one content has one id, from any file.

    >>> corpus_id(Corpus("any name", ("甲",), (0,), {}, False))
    '4836d9b05e272a96'
    """
    return _digest(corpus.texts, corpus.labels)


def keep(corpus: Corpus, folder: Path) -> str:
    """Put a corpus on the shelf and return its id.

    The first name that a content came under stays; a damaged file is replaced; a content once known as
    generated remains so. Raises OSError when the disk refuses.
    """
    key = corpus_id(corpus)
    path = _path(key, folder)
    if path.exists() and not _outdated(path, key, corpus):
        return key
    write_packed(path, {field: getattr(corpus, field) for field in FIELDS})
    return key


def rename(key: str, name: str, folder: Path) -> None:
    """Give a kept corpus another name; raises CorpusError as `load` does."""
    corpus = replace(load(key, folder), name=name)
    write_packed(_path(key, folder), {field: getattr(corpus, field) for field in FIELDS})


def discard(key: str, folder: Path) -> None:
    """Take a corpus off the shelf, if it is there."""
    _path(key, folder).unlink(missing_ok=True)


def kept_since(key: str, folder: Path) -> float:
    """When a corpus was put on the shelf or renamed, in seconds since the epoch; 0 if it is not there."""
    path = _path(key, folder)
    return path.stat().st_mtime if path.exists() else 0.0


def load(corpus_id: str, folder: Path) -> Corpus:
    """The corpus with this id; raises CorpusError `bad_id`, `not_on_shelf`, or `damaged` for changed content.

    >>> load("../../etc/passwd", Path("."))
    Traceback (most recent call last):
    sparsecore.corpora.corpus.CorpusError: A corpus id is 16 digits of 0-9 and a-f, which this one is not.
    """
    if not isinstance(corpus_id, str) or not ID_PATTERN.fullmatch(corpus_id):
        raise CorpusError(
            "bad_id", f"A corpus id is {ID_LENGTH} digits of 0-9 and a-f, which this one is not."
        )
    path = _path(corpus_id, folder)
    try:
        return _read(path, corpus_id)
    except FileNotFoundError as error:
        raise CorpusError(
            "not_on_shelf", f"No corpus {corpus_id} is kept here; upload its file again.", id=corpus_id
        ) from error
    except DamagedFile as error:
        raise CorpusError(
            "damaged", f"The kept corpus {corpus_id} is damaged; upload its file again.", id=corpus_id
        ) from error


def packed(key: str, folder: Path) -> bytes:
    """A kept corpus as one blob, for another machine's shelf; raises CorpusError as `load` does."""
    load(key, folder)
    return _path(key, folder).read_bytes()


def put(key: str, blob: bytes, folder: Path) -> None:
    """Put a corpus on the shelf as `packed` gave it; whoever loads it finds out if it was damaged."""
    with whole_file(_path(key, folder)) as file:
        file.write(blob)


def _path(key: str, folder: Path) -> Path:
    return Path(folder) / f"{key}.json.gz"


def _digest(texts: tuple[str, ...], labels: tuple[int, ...]) -> str:
    """The SHA-256 of the JSON of [texts, labels], taken piece by piece."""
    digest = hashlib.sha256(b"[[")
    for start in range(0, len(texts), DIGESTED_AT_ONCE):
        part = json.dumps(texts[start : start + DIGESTED_AT_ONCE], ensure_ascii=False, separators=(",", ":"))
        digest.update((b"," if start else b"") + part[1:-1].encode())
    digest.update(f"],{json.dumps(labels, separators=(',', ':'))}]".encode())
    return digest.hexdigest()[:ID_LENGTH]


def _read(path: Path, key: str) -> Corpus:
    value = read_packed(path)
    try:
        texts, labels = tuple(value["texts"]), tuple(value["labels"])
        dates = tuple(value.get("dates", ()))
        corpus = Corpus(value["name"], texts, labels, dict(value["skipped"]), value["generated"], dates)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path.name} holds no corpus: {error!r}") from error
    if _digest(texts, labels) != key:
        raise DamagedFile(f"{path.name} holds another content than its name says")
    return corpus


def _outdated(path: Path, key: str, corpus: Corpus) -> bool:
    try:
        kept = _read(path, key)
    except DamagedFile:
        return True
    return corpus.generated and not kept.generated
