import gzip
import io
import struct
import zipfile

import pytest

from sparsecore.corpora import archive, source
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.reading import read_corpus

CSV = "text,label\n" + "".join(f"第{i}条,{'高危' if i % 2 else '低危'}\n" for i in range(20))
XML = "".join(
    f"<vulnerability><description>条{i}</description><serverity>中</serverity></vulnerability>"
    for i in range(5)
)
XML = f"<vulnerabilitys>{XML}</vulnerabilitys>"


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def code_of(path):
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    assert "\n" not in str(caught.value)
    return caught.value.code


def test_a_zip_is_read_without_unpacking_it(file_with, tmp_path):
    path = file_with(zipped({"folder/data": CSV}))
    assert read_corpus(path).counts() == (10, 0, 10, 0)
    assert list(tmp_path.iterdir()) == [path]


def test_the_files_of_a_zip_may_have_different_formats(file_with):
    files = {
        "a.csv": CSV.encode("gb18030"),
        "b.xml": XML,
        "c/": "",
        "empty": "",
        "__MACOSX/._a": b"\x00\x05",
        ".x": "z",
    }
    found = inspect(file_with(zipped(files)))
    assert found.format == "CSV + CNVD XML"
    assert found.rows == 25


@pytest.mark.parametrize(
    "inner",
    [
        zipped({"a": CSV}),
        gzip.compress(CSV.encode(), mtime=0),
        b"Rar!\x1a\x07",
        b"7z\xbc\xaf\x27\x1c",
        b"BZh91AY",
    ],
    ids=["zip", "gzip", "rar", "7z", "bzip2"],
)
def test_an_archive_in_an_archive_is_refused(file_with, inner):
    assert code_of(file_with(zipped({"data.csv": inner}))) == "nested"
    assert code_of(file_with(gzip.compress(inner))) == "nested"


def test_other_archive_formats_are_refused(file_with):
    assert code_of(file_with(b"Rar!\x1a\x07 and so on")) == "other_archive"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..\\x.csv", "C:\\x.csv"])
def test_a_name_that_points_out_of_the_archive_is_refused(file_with, tmp_path, name):
    path = file_with(zipped({"good.csv": CSV, name: CSV}))
    assert code_of(path) == "unsafe_name"
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_bomb_is_refused_by_stated_and_by_actual_size(file_with):
    assert code_of(file_with(zipped({"a": "text,label\n" + " " * (64 * 2**20)}))) == "too_dense"
    lying = bytearray(zipped({"a": "text,label\n" + "a,高\n" * 4_000_000}))
    at = lying.rindex(b"PK\x01\x02")
    lying[at + 24 : at + 28] = struct.pack("<I", 1_000)
    assert code_of(file_with(bytes(lying))) in ("bad_archive", "too_few", "encoding")


def test_the_size_limit_applies_to_all_files_together(file_with, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 3 * len(CSV))
    assert code_of(file_with(zipped(dict.fromkeys("abcd", CSV)))) == "too_large"


def test_too_many_files_are_refused(file_with, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    assert code_of(file_with(zipped(dict.fromkeys("abcd", CSV)))) == "too_many_files"


def test_a_huge_table_of_contents_is_refused(file_with):
    """A hundred thousand zip entries take a hundred megabytes before they can be counted."""
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFE, 0xFFFE, 6 * 2**20, 4, 0)
    assert code_of(file_with(b"PK\x03\x04" + bytes(6 * 2**20) + end)) == "too_many_files"


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04\x14\x00\x00\x00",
        zipped({"a": CSV})[:-10],
        zipped({"a": CSV}).replace(b"\x08\x00", b"\x0e\x00"),
        zipped({"a": CSV}, zipfile.ZIP_LZMA),
        zipped({"a": CSV}, zipfile.ZIP_STORED).replace("第3条".encode(), "第4条".encode()),
    ],
    ids=["only the head", "cut", "another method", "lzma", "wrong sum"],
)
def test_a_damaged_or_unsupported_zip_is_refused(file_with, content):
    assert code_of(file_with(content)) == "bad_archive"


def test_an_encrypted_zip_is_refused(file_with):
    content = bytearray(zipped({"a": CSV}))
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    assert code_of(file_with(bytes(content))) == "bad_archive"


def test_a_zip_without_data_is_empty(file_with):
    assert code_of(file_with(zipped({}))) == "empty"
    assert code_of(file_with(zipped({"a/": "", "b": ""}))) == "empty"


FOREIGN = {
    "说明.txt": "请先阅读\n本压缩包含有一周的漏洞。",
    "使用说明.pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00",
    "delta.json": '{"fetchTime": "2024-01-01", "numberOfChanges": 1, "new": [{"cveId": "CVE-2024-1"}]}',
    "page.html": "<html><body>x</body></html>",
    "latin.txt": "caf\xe9 cr\xe8me".encode("cp1252"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_is_no_export_is_passed_over_and_counted(file_with, name, first):
    files = {name: FOREIGN[name], "data.csv": CSV} if first else {"data.csv": CSV, name: FOREIGN[name]}
    found = inspect(file_with(zipped(files)))
    assert (found.format, found.rows, found.skipped) == ("CSV", 20, {"other_file": 1})


def test_without_any_export_a_file_is_named(file_with):
    with pytest.raises(CorpusError, match=r"说明\.txt in the archive: ") as caught:
        read_corpus(file_with(zipped({name: FOREIGN[name] for name in ("说明.txt", "Thumbs.db")})))
    assert caught.value.details["member"] == "说明.txt"


def test_a_table_with_unknown_columns_is_reported_before_a_read_me(file_with):
    table = CSV.replace("text,label", "a,b").replace("条", "条，" + "很长" * 9).replace("危", "x")
    with pytest.raises(CorpusError) as caught:
        read_corpus(file_with(zipped({"Thumbs.db": FOREIGN["Thumbs.db"], "t.csv": table})))
    assert caught.value.details["columns"] == ["a", "b"]


def test_a_damaged_export_among_others_is_an_error_that_names_it(file_with):
    with pytest.raises(CorpusError, match=r"b\.xml in the archive: The XML is not well-formed") as caught:
        read_corpus(file_with(zipped({"a.csv": CSV, "b.xml": XML[:-30]})))
    assert caught.value.code == "not_xml"
