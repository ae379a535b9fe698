import datetime
import io
import zipfile
from xml.sax.saxutils import escape

import openpyxl
import pytest

from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.reading import read_corpus

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
    """Return a valid workbook with one part changed."""
    old, buffer = zipfile.ZipFile(io.BytesIO(workbook(first=[()]))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename == name else data)
    return buffer.getvalue()


def damaged_inside(name):
    """Return a valid workbook with one part that cannot be unpacked."""
    data = bytearray(workbook())
    info = zipfile.ZipFile(io.BytesIO(data)).getinfo(name)
    start = info.header_offset + 30 + len(name)
    data[start : start + 2] = b"\xff\xff"  # an invalid deflate block type
    return bytes(data)


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


@pytest.mark.parametrize("name", ["xl/workbook.xml", "xl/theme/theme1.xml", "xl/styles.xml", SHEET])
def test_a_damaged_part_is_refused(file_with, name):
    assert code_of(file_with(damaged_inside(name))) == "bad_workbook"


def test_named_columns_blank_rows_numbers_and_dates_are_read(file_with):
    rows = [(None, text, i % 2, datetime.datetime(2020, 1, 2)) for i, (text, _) in enumerate(ROWS)]
    rows.insert(3, ())
    known = {"text_column": "a", "label_column": "b", "grades": {"0": "low", "1": "medium"}}
    corpus = read_corpus(file_with(workbook(rows, ("x", "a", "b", "date"))), **known)
    assert corpus.labels == (0, 1) * 10
    assert set(corpus.dates) == {"2020-01-02"}


def with_shared_texts(texts=ROWS):
    """Return a workbook as Excel writes it: texts in the shared strings, referenced by index."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    words = ["text", "label", "高危", "中危", *(escape(text) for text, _ in texts)]
    strings = f"<sst {space}>" + "".join(f"<si><r><t>{word}</t></r></si>" for word in words) + "</sst>"
    cell = '<c r="{}{}" t="s"><v>{}</v></c>'
    pairs = [(0, 1), *((i + 4, words.index(grade)) for i, (_, grade) in enumerate(texts))]
    rows = [
        f'<row r="{n}">{cell.format("A", n, text)}{cell.format("B", n, grade)}</row>'
        for n, (text, grade) in enumerate(pairs, start=1)
    ]
    sheet = f"<worksheet {space}><sheetData>{''.join(rows)}</sheetData></worksheet>"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    old, buffer = zipfile.ZipFile(io.BytesIO(workbook(first=[()]))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = sheet.encode() if name == SHEET else old.read(name)
            if name == "[Content_Types].xml" and kind.encode() not in data:
                data = data.replace(b"</Types>", override.encode())
            if name != "xl/sharedStrings.xml":
                new.writestr(name, data)
        new.writestr("xl/sharedStrings.xml", strings)
    return buffer.getvalue()


def test_shared_strings_are_read(file_with):
    corpus = read_corpus(file_with(with_shared_texts()))
    assert (corpus.texts, corpus.labels) == (tuple(text for text, _ in ROWS), (1, 2) * 10)


def test_many_shared_strings_are_read_and_an_endless_one_is_refused(file_with):
    many = [(f"第{i}条" + "漏洞描述" * 40, "高危" if i % 2 else "中危") for i in range(6_000)]
    assert read_corpus(file_with(with_shared_texts(many))).counts() == (0, 3_000, 3_000, 0)
    assert code_of(file_with(with_shared_texts([*ROWS, ("长" * 2**20, "高危")]))) == "record_too_large"


def test_an_empty_or_damaged_workbook_is_refused(file_with):
    assert code_of(file_with(workbook(rows=(), header=()))) == "empty"
    assert code_of(file_with(altered(lambda data: data[:-40]))) == "bad_workbook"
    assert code_of(file_with(altered(lambda data: b"", "xl/workbook.xml"))) == "bad_workbook"
    inline, absent = b't="inlineStr"><is><t>text</t></is>', b't="s"><v>7</v>'
    assert code_of(file_with(altered(lambda data: data.replace(inline, absent)))) == "bad_workbook"


def test_entities_in_a_workbook_are_refused(file_with):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    path = file_with(altered(lambda data: data.replace(b"<worksheet", bomb + b"<worksheet", 1)))
    assert code_of(path) == "bad_workbook"


def test_a_huge_row_number_is_refused(file_with):
    assert code_of(file_with(altered(lambda d: d.replace(b'<row r="5"', b'<row r="999999999999"')))) in (
        "too_many_records",
        "bad_workbook",
    )


def test_cells_beyond_the_column_limit_are_ignored(file_with):
    path = file_with(altered(lambda data: data.replace(b'r="B', b'r="XFD')))
    assert code_of(path) == "no_label_column"


@pytest.mark.parametrize("filling", [b"<c/>", b"<!-- <row > -->" * 8])
def test_an_endless_row_is_refused_before_parsing(file_with, filling):
    def swell(data):
        return data.replace(b"</row>", filling * (4 * 2**20 // len(filling)) + b"</row>", 1)

    assert code_of(file_with(altered(swell))) == "record_too_large"


def test_a_large_workbook_is_read(file_with):
    rows = [(f"第{i}条" + "漏洞描述" * 30, "高危" if i % 2 else "低危") for i in range(8_000)]
    assert read_corpus(file_with(workbook(rows))).counts() == (4_000, 0, 4_000, 0)


def book_of(**sheets):
    """Return a workbook of these sheets, each a list of rows, after a change of it."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def saved(book):
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


TITLE = [("漏洞周报（示例单位）",), ("2024年第3周",), ()]
TABLE = [("编号", "漏洞描述", "危害等级"), *((i, *row) for i, row in enumerate(ROWS))]


def test_the_header_is_found_below_a_title_and_behind_a_cover_sheet(file_with):
    book = book_of(说明=[("本表由示例系统导出",)], 数据=[*TITLE, *TABLE])
    book["数据"].merge_cells("A1:C1")
    path = file_with(saved(book))
    assert read_corpus(path).texts == tuple(text for text, _ in ROWS)
    assert inspect(path).format == "XLSX, 数据"


def test_a_hidden_sheet_is_read_only_if_the_user_names_it(file_with):
    other = [("text", "label"), *((f"别的{i}", "低危" if i % 2 else "高危") for i in range(20))]
    book = book_of(old=other, 数据=TABLE)
    book["old"].sheet_state = "hidden"
    path = file_with(saved(book))
    assert read_corpus(path).texts[0] == ROWS[0][0]
    assert read_corpus(path, sheet="old").texts[0] == "别的0"
    with pytest.raises(CorpusError, match="no sheet 'x'") as caught:
        read_corpus(path, sheet="x")
    assert caught.value.details["sheets"] == ["old", "数据"]


def test_sheet_and_header_row_can_be_chosen(file_with):
    wide = [
        ("a", "b"),
        ("text", "label"),
        *((f"别的文字 {i}", "低危" if i % 2 else "高危") for i in range(20)),
    ]
    path = file_with(saved(book_of(first=TABLE, second=wide)))
    assert read_corpus(path).texts[0] == ROWS[0][0]
    known = {"text_column": "a", "label_column": "b"}
    assert read_corpus(path, sheet="second").texts[0] == "别的文字 0"
    assert (
        read_corpus(path, sheet="second", header_row=1, **known, grades={"label": "none"}).counts()[0] == 10
    )
    with pytest.raises(CorpusError, match="no row 99"):
        read_corpus(path, header_row=99)


def test_merged_cells_are_filled(file_with):
    book = book_of(data=[("漏洞描述", "等级"), *((text, None) for text, _ in ROWS)])
    sheet = book["data"]
    sheet["B2"], sheet["B12"] = "高危", "低危"
    sheet.merge_cells("B2:B11")
    sheet.merge_cells("B12:B21")
    assert read_corpus(file_with(saved(book))).labels == (2,) * 10 + (0,) * 10


@pytest.mark.parametrize("column", ["A", "B", "C"])
def test_formulas_without_values_are_reported_where_they_matter(file_with, column):
    book = book_of(data=TABLE)
    book["data"][f"{column}5"] = '=CONCAT("高","危")'
    path = file_with(saved(book))
    if column == "A":
        assert len(read_corpus(path).texts) == 20
    else:
        assert code_of(path) == "formulas"
