"""The texts a person keeps, by the names they gave them."""

from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from sparsecore.corpora import kept as shelf
from sparsecore.corpora.corpus import GRADES, Corpus, CorpusError, Record
from sparsecore.corpora.inspection import Inspection, describe
from sparsecore.corpora.intake import Asked
from sparsecore.corpora.packed import DamagedFile, read_packed, write_packed
from sparsecore.corpora.reading import begin, sift
from sparsecore.corpora.sieve import Sieve
from sparsecore.settings import corpora_folder

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
    key = shelf.corpus_id(corpus)
    others = kept(folder)
    former = next((each for each in others if each.id == key), None)
    _require_free(corpus.name, key, others)
    if former and given and former.name != given:
        shelf.rename(key, given, folder)
    shelf.keep(corpus, folder)
    about = Kept(key, former.name if former and not given else corpus.name, inspection)
    write_packed(_about(key, folder), asdict(about))
    return about


def kept(folder: Path | None = None) -> list[Kept]:
    """All kept texts, in the order of their names; damaged ones are passed over."""
    folder = folder or corpora_folder()
    found = []
    for path in folder.glob("*.json.gz"):
        key = path.name.removesuffix(".json.gz")
        if shelf.ID_PATTERN.fullmatch(key):
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
    shelf.discard(found.id, folder)
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
            corpus = shelf.load(key, folder)
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
