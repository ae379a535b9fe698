"""Read graded texts from a user's file; the format is detected from the content, not from the name."""

import codecs
import zipfile
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from sparsecore.corpora.archive import Member, OpenMember, open_members, refuse_nested
from sparsecore.corpora.cleaning import MIN_TEXTS, Cleaner
from sparsecore.corpora.corpus import Corpus, CorpusError, TextRecord, quote
from sparsecore.corpora.encoding import mark_of
from sparsecore.corpora.json_records import read_json
from sparsecore.corpora.source import Cancelled, Meter, Progress, ReadContext, ReadOptions
from sparsecore.corpora.table import read_table
from sparsecore.corpora.xml_exports import read_xml

# Room for a byte order mark, an XML declaration and the start of the data.
HEAD_BYTES = 4096

# Control characters that mark a binary file. Tabs, line ends, and the end-of-file and escape characters of
# old editors occur in texts. The second byte of a gb18030 character is never a control character.
BINARY_BYTES = bytes(set(range(32)) - set(b"\t\n\x0b\f\r\x1a\x1b"))

# A file is read twice: first to detect the encoding, then for the records.
PASSES = 2

EXPECTED = (
    "an XML or JSON export from CNVD, CNNVD, NVD, CVE or OSV, or a table (CSV, Excel, JSON) is needed, "
    "as text in UTF-8, plain, gzipped or zipped"
)

# A file of an archive with one of these errors is a read-me, a picture, a list of changes: passed over.
FOREIGN_CODES = frozenset(
    (
        *("unknown_format", "no_text_column", "no_label_column", "other_xml", "empty"),
        *("encoding", "not_csv", "not_xml"),
    )
)


def read_corpus(
    path: str | PathLike[str], *, least: int = MIN_TEXTS, **options: Unpack[ReadOptions]
) -> Corpus:
    """Read the graded texts of one file in any format of `assets/docs/texts.md`; write nothing.

    `options` are those of `ReadOptions`. A file with fewer than `least` usable texts (≥ 1; training needs 20)
    is refused, and so is one with grades of unknown meaning until `grades` maps them. Raises CorpusError with
    a one-sentence message and a `code`.

    >>> read_corpus("/no/such/file.csv")
    Traceback (most recent call last):
    sparsecore.corpora.corpus.CorpusError: There is no file file.csv.
    """
    path = Path(path)
    context = new_context(path, **options)
    return read_into(path, context, keep_texts=True).corpus(path.name, least)


def new_context(
    path: Path,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    **options: Any,
) -> ReadContext:
    """Create the read context of a file; raise CorpusError `missing`, `directory` or `not_a_file`."""
    _require_file(path)
    return ReadContext(Meter(PASSES * path.stat().st_size, progress, cancelled), **options)


def read_into(path: Path, context: ReadContext, keep_texts: bool) -> Cleaner:
    """Return a cleaner with every record of a file; raise CorpusError for an unreadable file."""
    cleaner = Cleaner(keep_texts, context.grades)
    try:
        with open_members(path, context.meter) as found:
            for record in _records(found, context, cleaner):
                cleaner.add(record)
    except OSError as error:
        raise CorpusError(
            "unreadable",
            f"The file {path.name} cannot be read ({error.strerror}); check its permissions.",
            name=path.name,
            reason=error.strerror,
        ) from error
    context.meter.finish()
    return cleaner


def _require_file(path: Path) -> None:
    name = path.name
    if not path.exists():
        raise CorpusError("missing", f"There is no file {name}.", name=name)
    if path.is_dir():
        raise CorpusError("directory", f"{name} is a folder; choose a file in it.", name=name)
    if not path.is_file():
        raise CorpusError("not_a_file", f"{name} is a device or a pipe; choose a regular file.", name=name)


def _records(
    found: list[Member] | zipfile.ZipFile, context: ReadContext, cleaner: Cleaner
) -> Iterator[TextRecord]:
    if isinstance(found, zipfile.ZipFile):
        # Imported here: openpyxl takes 0.2 s to load and only workbooks need it.
        from sparsecore.corpora.workbook import read_workbook

        yield from read_workbook(found, context)
        return
    foreign: list[CorpusError] = []
    for name, open_member in found:
        try:
            yield from _whole_member(name, open_member, context)
        except _NoExport as error:
            foreign.append(error.reason)
            cleaner.skip("other_file")
    if len(foreign) == len(found):
        # A table whose columns the user can choose says more than a read-me.
        raise next((error for error in foreign if "columns" in error.details), foreign[0])


class _NoExport(Exception):
    """A file of an archive is no export, as nothing of it could be read."""

    def __init__(self, reason: CorpusError) -> None:
        self.reason = reason


def _whole_member(name: str, open_member: OpenMember, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of a member; errors name it. Raises _NoExport before the first one."""
    started = False
    try:
        for record in _member_records(open_member, context):
            started = True
            yield record
    except CorpusError as error:
        if not name:
            raise
        shown = quote([name])[0]
        named = CorpusError(
            error.code, f"{shown} in the archive: {error}", **error.details | {"member": shown}
        )
        if started or error.code not in FOREIGN_CODES:
            raise named from error
        raise _NoExport(named) from error


def _member_records(open_member: OpenMember, context: ReadContext) -> Iterator[TextRecord]:
    with open_member() as source:
        head = source.read(HEAD_BYTES)
    refuse_nested(head)
    if encoding := mark_of(head):
        head = codecs.getincrementaldecoder(encoding)("replace").decode(head).encode()
    start = head.lstrip()[:1]
    if not start:
        raise CorpusError("empty", f"The file is empty; {EXPECTED}.")
    if head.translate(None, BINARY_BYTES) != head:
        raise CorpusError("unknown_format", f"The file is binary data in an unknown format; {EXPECTED}.")
    if start == b"<":
        return read_xml(open_member, head, context)
    if start in b"{[":
        return read_json(open_member, head, context)
    return read_table(open_member, context)
