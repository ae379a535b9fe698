"""Corpora kept on disk under a name made from their content."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from sparsecore.corpora.corpus import GRADES, Corpus, CorpusError, Record
from sparsecore.corpora.inspection import Inspection, describe
from sparsecore.corpora.intake import Asked
from sparsecore.corpora.packed import DamagedFile, read_packed, whole_file, write_packed
from sparsecore.corpora.reading import begin, sift
from sparsecore.corpora.sieve import Sieve
from sparsecore.settings import corpora_folder

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


# -- The texts a person keeps, by the names they gave them


LONGEST_NAME = 80
UNKNOWN_FORMAT = ""  # of texts kept before formats were noted


@dataclass(frozen=True)
class Kept:
    """Kept texts: the id that `RunConfig.data` takes, their name, and what they are."""

    id: str
    name: str
    inspection: Inspection

    def summary(self) -> dict[str, Any]:
        """All of it as plain values, ready for JSON."""
        return {"id": self.id, "name": self.name} | self.inspection.summary()


def add(
    path: str | PathLike[str],
    name: str | None = None,
    folder: Path | None = None,
    **asked: Unpack[Asked],
) -> Kept:
    """Read a file as `read_corpus` does and keep its texts, by default under the file's name.

    `folder` is the user's, if not given. Texts that are kept already take the new name, if one is given, and
    else stay as they are. Raises CorpusError `bad_name`, `name_taken`, or those of `read_corpus`; nothing is
    kept then.
    """
    folder, path = folder or corpora_folder(), Path(path)
    given = None if name is None else _clean(name)
    intake = begin(path, **asked)
    sieve = sift(path, intake, Sieve(hold=True))
    corpus = sieve.corpus(given or _clean(path.name))
    inspection = describe(sieve, intake.format)
    del sieve
    key = corpus_id(corpus)
    others = kept(folder)
    former = next((each for each in others if each.id == key), None)
    _require_free(corpus.name, key, others)
    if former and given and former.name != given:
        rename(key, given, folder)
    keep(corpus, folder)
    about = Kept(key, former.name if former and not given else corpus.name, inspection)
    write_packed(_about(key, folder), asdict(about))
    return about


def kept(folder: Path | None = None) -> list[Kept]:
    """All kept texts, in the order of their names; damaged ones are passed over."""
    folder = folder or corpora_folder()
    found = []
    for path in folder.glob("*.json.gz"):
        key = path.name.removesuffix(".json.gz")
        if ID_PATTERN.fullmatch(key):
            found.append(_look(key, folder))
    return sorted(filter(None, found), key=lambda each: (each.name, each.id))


def named(name: str, folder: Path | None = None) -> Kept | None:
    """The kept texts of this name or id, None where there are none."""
    return next((each for each in kept(folder) if name in (each.name, each.id)), None)


def find(name: str, folder: Path | None = None) -> Kept:
    """The kept texts of this name or id; raises CorpusError `no_such_name`."""
    if found := named(name, folder):
        return found
    raise CorpusError(
        "no_such_name",
        f"No texts named {_shown(name)} are kept; choose one of those listed.",
        name=_shown(name),
    )


def remove(name: str, folder: Path | None = None) -> Kept:
    """Take the texts of this name or id off the shelf and say which; raises CorpusError `no_such_name`."""
    folder = folder or corpora_folder()
    found = find(name, folder)
    discard(found.id, folder)
    _about(found.id, folder).unlink(missing_ok=True)
    return found


def _clean(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > LONGEST_NAME or not cleaned.isprintable():
        raise CorpusError(
            "bad_name", f"A name of texts has 1 to {LONGEST_NAME} printable characters.", longest=LONGEST_NAME
        )
    return cleaned


def _require_free(name: str, key: str, others: list[Kept]) -> None:
    if any(each.name == name and each.id != key for each in others):
        raise CorpusError(
            "name_taken",
            f"Other texts are already named {name}; choose another name, or remove them.",
            name=name,
        )


def _shown(name: str) -> str:
    return name if name.isprintable() and len(name) <= LONGEST_NAME else repr(name[:LONGEST_NAME])


def _about(key: str, folder: Path) -> Path:
    return folder / f"{key}.about.json.gz"


def _look(key: str, folder: Path) -> Kept | None:
    """What is known of kept texts; found out, and noted, for those that a page has kept."""
    path = _about(key, folder)
    try:
        value = read_packed(path)
        return Kept(key, value["name"], Inspection(**value["inspection"]))
    except (FileNotFoundError, DamagedFile, KeyError, TypeError):
        try:
            corpus = load(key, folder)
        except CorpusError:
            return None
    about = Kept(key, corpus.name, _described(corpus))
    write_packed(path, asdict(about))
    return about


def _described(corpus: Corpus) -> Inspection:
    sieve = Sieve(hold=False)
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        sieve.take(Record(text, GRADES[label]))
    return describe(sieve, UNKNOWN_FORMAT, corpus.skipped)
