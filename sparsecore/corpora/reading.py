"""A corpus from a file that somebody brings: its format is told by its content, not by its name."""

import codecs
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from sparsecore.corpora.cnvd import read_cnvd
from sparsecore.corpora.corpus import Corpus, CorpusError, gather
from sparsecore.corpora.source import Source
from sparsecore.corpora.table import read_table

# Enough for a byte order mark, an XML declaration and the start of the data.
HEAD_BYTES = 4096

# Control characters that no text holds: all but tabs, line ends, and the end-of-file mark and escape of old
# editors. The second byte of a gb18030 character is never one of them.
BINARY_BYTES = bytes(set(range(32)) - set(b"\t\n\x0b\f\r\x1a\x1b"))

WANTED = "a CNVD XML export or a CSV table in UTF-8 or gb18030 is needed, gzipped or not"


def read_corpus(path: str | PathLike[str]) -> Corpus:
    """The graded texts of one file: a CNVD XML export or a table (CSV, TSV), either gzipped or not.

    Nothing is written. Raises CorpusError with one sentence and a `code`: `missing`, `directory`,
    `not_a_file`, `unreadable`, `empty`, `unknown_format`, `bad_gzip`, `too_large`, `record_too_large`,
    `encoding`, `not_xml`, `dtd`, `other_xml`, `not_csv`, `no_text_column`, `no_label_column`,
    `unknown_grades`, `too_few`, `one_class`.

    >>> read_corpus("/no/such/file.csv")
    Traceback (most recent call last):
    sparsecore.corpora.corpus.CorpusError: There is no file file.csv; choose one that exists.
    """
    path = Path(path)
    _require_file(path)
    try:
        return gather(_records(path), path.name)
    except OSError as error:
        raise CorpusError(
            "unreadable",
            f"The file {path.name} cannot be read ({error.strerror}); check its permissions.",
            name=path.name,
            reason=error.strerror,
        ) from error


def _require_file(path: Path) -> None:
    name = path.name
    if not path.exists():
        raise CorpusError("missing", f"There is no file {name}; choose one that exists.", name=name)
    if path.is_dir():
        raise CorpusError("directory", f"{name} is a folder; choose one file in it.", name=name)
    if not path.is_file():
        raise CorpusError("not_a_file", f"{name} is a device or a pipe; choose an ordinary file.", name=name)


def _records(path: Path) -> Iterator[tuple[str, str]]:
    with Source(path) as source:
        head = source.read(HEAD_BYTES).removeprefix(codecs.BOM_UTF8)
    start = head.lstrip()[:1]
    if not start:
        raise CorpusError("empty", f"The file is empty; {WANTED}.")
    if head.translate(None, BINARY_BYTES) != head:
        raise CorpusError("unknown_format", f"The file is binary data of no known kind; {WANTED}.")
    if start in b"{[":
        raise CorpusError("unknown_format", f"The file looks like JSON, which is not read yet; {WANTED}.")
    return read_cnvd(path, head) if start == b"<" else read_table(path)
