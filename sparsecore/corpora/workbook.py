"""Read the first sheet with rows of an Excel workbook, row by row."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml.common import DefusedXmlException
from openpyxl.utils.exceptions import InvalidFileException

from sparsecore.corpora.archive import read_chunks
from sparsecore.corpora.columns import table_records
from sparsecore.corpora.corpus import CorpusError, TextRecord, check_count
from sparsecore.corpora.source import MAX_RECORD_BYTES, PACKED_ERRORS, ReadContext

# Limit for a workbook part that is read whole; styles and names have a few dozen kB.
WHOLE_BYTES = 2 * 2**20
# Excel's own row limit; blank rows count, because a file can claim any number of them.
MAX_ROWS = 2**20
MAX_COLUMNS = 100

# The start of a row of a sheet or of an entry of the shared strings; the parser holds what lies between two.
ENTRY = re.compile(rb"<(?:\w+:)?(?:row|si)[ />]")
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")

# openpyxl would print one warning line per oddity; this module reports errors itself.
warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")

ERRORS = (
    *(InvalidFileException, ParseError, DefusedXmlException, *PACKED_ERRORS),
    *(KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError),
)


def read_workbook(archive: zipfile.ZipFile, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of the first sheet that has rows; its first row is the header."""
    for info in archive.infolist():
        if info.file_size > WHOLE_BYTES:
            _require_small_entries(archive, info)
    context.add_format("XLSX")
    rows = _rows(archive)
    names = next(rows, None)
    if names is None:
        raise CorpusError(
            "empty", "The workbook is empty; put a table with a header row into its first sheet."
        )
    yield from table_records(names, rows, context)


def _rows(archive: zipfile.ZipFile) -> Iterator[list[str]]:
    try:
        book = openpyxl.load_workbook(archive.fp, read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            found = False
            for number, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True)):
                check_count(number + 1, MAX_ROWS)
                cells = [_cell(value) for value in row]
                if any(cells):
                    found = True
                    yield _trimmed(cells)
            if found:
                return
    except CorpusError:
        raise
    except ERRORS as error:
        raise CorpusError(
            "bad_workbook", "The Excel workbook is damaged; save it again, or save its table as CSV."
        ) from error


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _cell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat()[:10] if isinstance(value, date) else str(value)


def _require_small_entries(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Refuse a part if its parser would hold more than one ordinary row at once."""
    held, tail = 0, b""
    for chunk in read_chunks(archive, info):
        if not held and chunk.startswith(PICTURES):
            return
        window = tail + chunk
        starts = [found.start() for found in ENTRY.finditer(window)]
        steps = [0, *starts, len(window)]
        gap = max(later - earlier for earlier, later in pairwise(steps))
        held = len(window) - starts[-1] if starts else held + len(chunk)
        if max(held, gap) > MAX_RECORD_BYTES or b"<!--" in window or b"<![CDATA[" in window:
            limit = MAX_RECORD_BYTES // 2**10
            raise CorpusError(
                "record_too_large",
                f"A record in the file is larger than {limit} KiB; a description should be a few sentences.",
                limit_kib=limit,
            )
        tail = window[-16:]
