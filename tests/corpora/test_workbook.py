import datetime
import io
import zipfile

import openpyxl
import pytest

from sparsecore.corpora import CorpusError, inspect, read_corpus

ROWS = [(f"漏洞{i} 可执行 <script>", "高危" if i % 2 else "中危") for i in range(20)]
SHEET = "xl/worksheets/sheet1.xml"


def workbook(rows=ROWS, header=("text", "label"), first=()):
    book = openpyxl.Workbook()
    for row in first:
        book.active.append(row)
    sheet = book.create_sheet("data") if first == () else book.active
    for row in (header, *rows):
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def altered(change, name=SHEET):
    """A good workbook with one part changed."""
    old, buffer = zipfile.ZipFile(io.BytesIO(workbook(first=[()]))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename == name else data)
    return buffer.getvalue()


def code_of(path):
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    return caught.value.code


def test_the_first_sheet_with_rows_is_read(file_with):
    path = file_with(workbook())
    corpus = read_corpus(path)
    assert corpus.texts == tuple(text for text, _ in ROWS)
    assert corpus.labels == (1, 2) * 10
    assert inspect(path).format == "XLSX"


def test_columns_of_any_name_blank_rows_numbers_and_days_are_borne(file_with):
    rows = [(None, text, i % 2, datetime.datetime(2020, 1, 2)) for i, (text, _) in enumerate(ROWS)]
    rows.insert(3, ())
    corpus = read_corpus(
        file_with(workbook(rows, ("x", "a", "b", "date"))), text_column="a", label_column="b"
    )
    assert corpus.labels == (0, 1) * 10
    assert set(corpus.dates) == {"2020-01-02"}


def test_an_empty_or_damaged_workbook_is_told(file_with):
    assert code_of(file_with(workbook(rows=(), header=()))) == "empty"
    assert code_of(file_with(altered(lambda data: data[:-40]))) == "bad_workbook"
    assert code_of(file_with(altered(lambda data: b"", "xl/workbook.xml"))) == "bad_workbook"
    inline, absent = b't="inlineStr"><is><t>text</t></is>', b't="s"><v>7</v>'
    assert code_of(file_with(altered(lambda data: data.replace(inline, absent)))) == "bad_workbook"


def test_entities_in_a_workbook_are_refused(file_with):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    path = file_with(altered(lambda data: data.replace(b"<worksheet", bomb + b"<worksheet", 1)))
    assert code_of(path) == "bad_workbook"


def test_a_row_of_any_claimed_number_ends(file_with):
    assert code_of(file_with(altered(lambda d: d.replace(b'<row r="5"', b'<row r="999999999999"')))) in (
        "too_many_records",
        "bad_workbook",
    )


def test_cells_far_to_the_right_cost_nothing(file_with):
    path = file_with(altered(lambda data: data.replace(b'r="B', b'r="XFD')))
    assert code_of(path) == "no_label_column"


@pytest.mark.parametrize("filling", [b"<c/>", b"<!-- <row > -->" * 8])
def test_one_endless_row_stops_before_it_is_parsed(file_with, filling):
    def swell(data):
        return data.replace(b"</row>", filling * (4 * 2**20 // len(filling)) + b"</row>", 1)

    assert code_of(file_with(altered(swell))) == "record_too_large"


def test_a_large_honest_workbook_is_read(file_with):
    rows = [(f"第{i}条" + "漏洞描述" * 30, "高危" if i % 2 else "低危") for i in range(8_000)]
    assert read_corpus(file_with(workbook(rows))).counts() == (4_000, 0, 4_000, 0)
