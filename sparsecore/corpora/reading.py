"""Graded texts from a file that somebody brings: its format is told by its content, not by its name."""

import codecs
import zipfile
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Unpack

from sparsecore.corpora.archive import Piece, pieces, refuse_nested
from sparsecore.corpora.corpus import Corpus, CorpusError, Record
from sparsecore.corpora.intake import Asked, Cancelled, Intake, Progress
from sparsecore.corpora.json_records import read_json
from sparsecore.corpora.sieve import MIN_RECORDS, Sieve
from sparsecore.corpora.source import Meter
from sparsecore.corpora.table import read_table
from sparsecore.corpora.xml_exports import read_xml

# Enough for a byte order mark, an XML declaration and the start of the data.
HEAD_BYTES = 4096

# Control characters that no text holds: all but tabs, line ends, and the end-of-file mark and escape of old
# editors. The second byte of a gb18030 character is never one of them.
BINARY_BYTES = bytes(set(range(32)) - set(b"\t\n\x0b\f\r\x1a\x1b"))

# Once for the encoding of the whole, once for the records.
PASSES = 2

WANTED = (
    "an XML or JSON export of CNVD, CNNVD, NVD, CVE or OSV, or a table (CSV, Excel, JSON) is needed, "
    "in UTF-8 or gb18030, plain, gzipped or zipped"
)


def read_corpus(path: str | PathLike[str], *, least: int = MIN_RECORDS, **asked: Unpack[Asked]) -> Corpus:
    """The graded texts of one file, in any format of `assets/docs/texts.md`; nothing is written.

    `asked` is what every reader takes: `text_column`, `label_column`, `progress`, `cancelled`. Fewer than
    `least` usable texts (≥ 1; 20 to train on) are refused. Raises CorpusError with one sentence and a `code`.

    >>> read_corpus("/no/such/file.csv")
    Traceback (most recent call last):
    sparsecore.corpora.corpus.CorpusError: There is no file file.csv; choose one that exists.
    """
    path = Path(path)
    intake = begin(path, **asked)
    return sift(path, intake, Sieve(hold=True)).corpus(path.name, least)


def begin(
    path: Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Intake:
    """The intake of a file; raises CorpusError `missing`, `directory` or `not_a_file`."""
    _require_file(path)
    meter = Meter(PASSES * path.stat().st_size, progress, cancelled)
    return Intake(meter, text_column, label_column)


def sift(path: Path, intake: Intake, sieve: Sieve) -> Sieve:
    """The sieve, through which every record of a file has gone; raises CorpusError for what is no export."""
    try:
        with pieces(path, intake.meter) as found:
            for record in _records(found, intake):
                sieve.take(record)
    except OSError as error:
        raise CorpusError(
            "unreadable",
            f"The file {path.name} cannot be read ({error.strerror}); check its permissions.",
            name=path.name,
            reason=error.strerror,
        ) from error
    intake.meter.finish()
    return sieve


def _require_file(path: Path) -> None:
    name = path.name
    if not path.exists():
        raise CorpusError("missing", f"There is no file {name}; choose one that exists.", name=name)
    if path.is_dir():
        raise CorpusError("directory", f"{name} is a folder; choose one file in it.", name=name)
    if not path.is_file():
        raise CorpusError("not_a_file", f"{name} is a device or a pipe; choose an ordinary file.", name=name)


def _records(found: list[Piece] | zipfile.ZipFile, intake: Intake) -> Iterator[Record]:
    if isinstance(found, zipfile.ZipFile):
        # Imported here: openpyxl costs 0.2 s, which only a workbook is worth.
        from sparsecore.corpora.workbook import read_workbook

        yield from read_workbook(found, intake)
        return
    for piece in found:
        yield from _piece(piece, intake)


def _piece(piece: Piece, intake: Intake) -> Iterator[Record]:
    with piece() as source:
        head = source.read(HEAD_BYTES).removeprefix(codecs.BOM_UTF8)
    refuse_nested(head)
    start = head.lstrip()[:1]
    if not start:
        raise CorpusError("empty", f"The file is empty; {WANTED}.")
    if head.translate(None, BINARY_BYTES) != head:
        raise CorpusError("unknown_format", f"The file is binary data of no known kind; {WANTED}.")
    if start == b"<":
        return read_xml(piece, head, intake)
    if start in b"{[":
        return read_json(piece, intake)
    return read_table(piece, intake)
