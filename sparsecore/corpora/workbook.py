"""Read a table of an Excel workbook, row by row; its sheet and header row are found or chosen."""

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice, pairwise
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml.common import DefusedXmlException
from openpyxl.utils import column_index_from_string, range_boundaries
from openpyxl.utils.exceptions import InvalidFileException

from sparsecore.corpora.archive import read_chunks
from sparsecore.corpora.columns import choose_columns, have_known_names, table_records
from sparsecore.corpora.corpus import CorpusError, TextRecord, check_count, quote
from sparsecore.corpora.source import MAX_RECORD_BYTES, PACKED_ERRORS, ReadContext

# Limit for a workbook part that is read whole; styles and names have a few dozen kB.
WHOLE_BYTES = 2 * 2**20
# Excel's own row limit; blank rows count, because a file can claim any number of them.
MAX_ROWS = 2**20
MAX_COLUMNS = 100

# Published tables have a title, a note and a date above the header.
HEADER_ROWS = 20
SAMPLE_BELOW = 50  # rows below it that tell what a column holds
SHOWN_SHEETS = 20
MAX_MERGED = 200_000  # merged ranges; a table with more is no table
# A merged range, and a formula without a calculated value: its column.
MERGED = re.compile(rb'<(?:\w+:)?mergeCell [^>]*ref="([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})"')
EMPTY_FORMULA = re.compile(
    rb'<(?:\w+:)?c [^>]*\br="([A-Z]{1,3})[0-9]+"[^>]*>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^<]*</(?:\w+:)?f>)'
    rb"\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)

# The start of a row of a sheet or of an entry of the shared strings; the parser holds what lies between two.
ENTRY = re.compile(rb"<(?:\w+:)?(?:row|si)[ />]")
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")

# openpyxl would print one warning line per oddity; this module reports errors itself.
warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")

ERRORS = (
    *(InvalidFileException, ParseError, DefusedXmlException, *PACKED_ERRORS),
    *(KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError),
)


@dataclass(frozen=True)
class _Table:
    """A sheet with its header row, counted from 0 among its rows, and the name of its format."""

    form: str
    sheet: Any
    header: int
    facts: "_Facts"


@dataclass(frozen=True)
class _Facts:
    """What a sheet's XML says and openpyxl does not, when it streams.

    merged: first and last row, first and last column of each range, from 1, by its first row.
    formulas: columns, from 1, with formulas that have no calculated value.
    """

    merged: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    formulas: set[int] = field(default_factory=set)


def read_workbook(archive: zipfile.ZipFile, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of the first visible sheet with a table, below its header row.

    Raises CorpusError `empty`, `no_sheet`, `formulas`, `bad_workbook`, or those of `choose_columns`, whose
    `details` hold the sheets.
    """
    for info in archive.infolist():
        if info.file_size > WHOLE_BYTES:
            _require_small_entries(archive, info)
    try:
        book = openpyxl.load_workbook(archive.fp, read_only=True, data_only=True, keep_links=False)
        sheets = _sheets(book, context)
        context.sheets = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
        table = _find_table(archive, sheets, context)
        rows = islice(_rows(table.sheet, table.facts), table.header, None)
        yield from table_records(next(rows), rows, context, table.form)
    except CorpusError:
        raise
    except ERRORS as error:
        raise CorpusError(
            "bad_workbook", "The Excel workbook is damaged; save it again, or save its table as CSV."
        ) from error


def _sheets(book: Any, context: ReadContext) -> list[Any]:
    """Return the visible sheets, or the one that the user named, visible or not."""
    if context.sheet is None:
        return [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    named = [sheet for sheet in book.worksheets if sheet.title == context.sheet]
    if not named:
        titles = [sheet.title for sheet in book.worksheets]
        raise CorpusError(
            "no_sheet",
            f"The workbook has no sheet {quote([context.sheet])[0]!r} (its first sheets are: "
            f"{', '.join(quote(titles))}); choose one of them.",
            found=quote(titles),
            sheets=titles[:SHOWN_SHEETS],
        )
    return named


def _find_table(archive: zipfile.ZipFile, sheets: list[Any], context: ReadContext) -> _Table:
    """Return the first table with columns of known names, else the first whose content tells its columns."""
    starts = []
    for sheet in sheets:
        facts = _read_facts(archive, sheet)
        rows = list(islice(_rows(sheet, facts), HEADER_ROWS + SAMPLE_BELOW))
        if any(map(any, rows)):
            starts.append((sheet, facts, rows))
    if not starts:
        raise CorpusError(
            "empty", "The workbook is empty; put a table with a header row into a visible sheet."
        )
    failed: CorpusError | None = None
    for by_name in (True, False):
        for sheet, facts, rows in starts:
            for header in _headers(rows, context, by_name):
                try:
                    columns = choose_columns(rows[header], rows[header + 1 :], context)
                except CorpusError as error:
                    failed = failed or error
                    continue
                if facts.formulas & {columns.text + 1, columns.label + 1}:
                    raise CorpusError(
                        "formulas",
                        "The texts or grades of the workbook are formulas without calculated values; open "
                        "it in a spreadsheet program, save it, and use that file.",
                    )
                form = "XLSX" if len(starts) == 1 else f"XLSX, {sheet.title}"
                return _Table(form, sheet, header, facts)
    raise failed or _no_row(context)


def _headers(rows: list[list[str]], context: ReadContext, by_name: bool) -> Iterable[int]:
    """Return the rows that may be the header, from 0: with known names, or the first of several cells."""
    if context.header_row is not None:
        return range(context.header_row - 1, context.header_row) if context.header_row <= len(rows) else ()
    first = range(min(HEADER_ROWS, len(rows)))
    if by_name:
        return [row for row in first if have_known_names(rows[row], context)]
    several = [row for row in first if len({cell for cell in rows[row] if cell}) > 1]
    return several[:1] or [row for row in first if any(rows[row])][:1]


def _no_row(context: ReadContext) -> CorpusError:
    return CorpusError(
        "no_header",
        f"The sheet has no row {context.header_row} among its first {HEADER_ROWS + SAMPLE_BELOW}; "
        "choose the row with the names of the columns, counted from 1.",
        row=context.header_row,
    )


def _read_facts(archive: zipfile.ZipFile, sheet: Any) -> _Facts:
    """Read merged ranges and formulas without values from the XML of a sheet."""
    facts, held, count = _Facts(), b"", 0
    for chunk in read_chunks(archive, archive.getinfo(sheet._worksheet_path)):
        window = held + chunk
        for found in MERGED.finditer(window):
            check_count(count := count + 1, MAX_MERGED)
            left, top, right, bottom = range_boundaries(found[1].decode())
            facts.merged.setdefault(top, []).append((bottom, left, min(right, MAX_COLUMNS)))
        facts.formulas.update(
            column_index_from_string(found[1].decode()) for found in EMPTY_FORMULA.finditer(window)
        )
        # A cell or a range may go on in the next chunk.
        begun = max(window.rfind(b"<c "), window.rfind(b"mergeCell "), window.rfind(b":c "))
        held = window[max(begun, len(window) - MAX_RECORD_BYTES) :] if begun >= 0 else b""
    return facts


def _rows(sheet: Any, facts: _Facts) -> Iterator[list[str]]:
    """Yield all rows, blank ones too, with merged cells filled."""
    sheet.reset_dimensions()
    open_: list[tuple[int, int, int, str]] = []  # last row, first and last column, value
    for number, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True), start=1):
        check_count(number, MAX_ROWS)
        cells = [_cell(value) for value in row]
        for bottom, left, right in facts.merged.get(number, ()):
            if left <= len(cells):
                open_.append((bottom, left, right, cells[left - 1]))
        open_ = [merged for merged in open_ if merged[0] >= number]
        if len(open_) > MAX_COLUMNS:
            raise ValueError("merged ranges overlap")
        for _, left, right, value in open_:
            cells += [""] * (right - len(cells))
            cells[left - 1 : right] = [value] * (right - left + 1)
        while cells and not cells[-1]:
            cells.pop()
        yield cells


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
