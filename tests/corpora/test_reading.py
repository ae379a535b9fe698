import gzip
import os
import subprocess
import sys

import pytest

from sparsecore.corpora import source
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.reading import read_corpus

CSV = "text,label\n" + "".join(f"第{i}条,{'高危' if i % 2 else '低危'}\n" for i in range(20))


def error_of(path):
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_format_is_detected_from_the_content_not_the_name(tmp_path):
    path = tmp_path / "export.xml"
    path.write_text(CSV, encoding="utf-8")
    corpus = read_corpus(str(path))
    assert corpus.name == "export.xml"
    assert corpus.counts() == (10, 0, 10, 0)


def test_missing_files_folders_and_pipes_have_different_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert error_of(tmp_path / "none").code == "missing"
    assert error_of(tmp_path).code == "directory"
    assert error_of(tmp_path / "pipe").code == "not_a_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="refused permissions are not tested: root may read every file")
def test_an_unreadable_file_is_reported(file_with):
    path = file_with(CSV)
    path.chmod(0)
    assert error_of(path).code == "unreadable"


def test_a_disk_error_is_reported(file_with, monkeypatch):
    def refuse(stream, size):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(source.Source, "readinto", refuse)
    error = error_of(file_with(CSV))
    assert error.code == "unreadable"
    assert "Input/output error" in str(error)


@pytest.mark.parametrize("content", [b"", b" \n\r\n\t", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(file_with, content):
    assert error_of(file_with(content)).code == "empty"


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        bytes(range(256)),
        CSV.encode("utf-16-le"),
        b"\x7fELF\x02\x01\x01\x00",
    ],
    ids=["png", "all bytes", "utf-16 without a mark", "program"],
)
def test_unknown_formats_are_refused_with_a_list_of_supported_ones(file_with, content):
    error = error_of(file_with(content))
    assert error.code == "unknown_format"
    assert "an XML or JSON export from CNVD, CNNVD, NVD, CVE or OSV, or a table" in str(error)


def test_a_gzip_bomb_is_stopped(file_with, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 2**20)
    xml = "<vulnerabilitys>" + "<vulnerability><description>a</description></vulnerability>" * 50_000
    for bomb in (xml, CSV + "a,高危\n" * 200_000):
        path = file_with(gzip.compress(bomb.encode()))
        assert path.stat().st_size < 20_000
        assert error_of(path).code == "too_large"


def test_a_failure_leaves_the_folder_as_it_was(file_with):
    path = file_with(gzip.compress(CSV.encode())[:-20])
    assert error_of(path).code == "bad_archive"
    assert list(path.parent.iterdir()) == [path]


def test_importing_needs_neither_torch_nor_streamlit_nor_jieba():
    names = ("reading", "storage", "tokens", "generator")
    code = (
        f"import sys; import {', '.join(f'sparsecore.corpora.{name}' for name in names)}; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "streamlit", "jieba", "pandas", "openpyxl"} & set(loaded)


def test_the_minimum_number_of_texts_can_be_lowered(file_with):
    few = "\n".join(CSV.split("\n")[:6])
    assert error_of(file_with(few)).code == "too_few"
    assert read_corpus(file_with(few), least=5).counts() == (3, 0, 2, 0)
