import gzip
import os

import pytest

from sparsecore.corpora.gzip_json import DamagedFile, read_gzip_json, write_gzip_json


def test_write_creates_the_folder_and_read_returns_the_value(tmp_path):
    path = tmp_path / "new" / "value.json.gz"
    write_gzip_json(path, {"文": [1, "二"]})
    assert read_gzip_json(path) == {"文": [1, "二"]}


def test_the_same_value_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_gzip_json(tmp_path / name, ["x"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    no_time = (tmp_path / "a").read_bytes()[4:8]
    assert no_time == bytes(4)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "value"
    write_gzip_json(path, "old")

    def refuse(old, new):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_gzip_json(path, "new")
    assert read_gzip_json(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        gzip.compress(b"[1, 2]", mtime=0)[:-5],
        gzip.compress(b"[1, ", mtime=0),
        gzip.compress(b"\xff", mtime=0),
    ],
)
def test_any_other_file_is_damaged(tmp_path, content):
    path = tmp_path / "value"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="value is not a complete gzipped JSON file"):
        read_gzip_json(path)


def test_a_missing_file_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_gzip_json(tmp_path / "none")
