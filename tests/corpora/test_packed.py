import gzip
import os

import pytest

from sparsecore.corpora.packed import DamagedFile, read_packed, write_packed


def test_what_was_written_is_read_and_the_folder_made(tmp_path):
    path = tmp_path / "new" / "value.json.gz"
    write_packed(path, {"文": [1, "二"]})
    assert read_packed(path) == {"文": [1, "二"]}


def test_same_value_same_bytes(tmp_path):
    for name in "ab":
        write_packed(tmp_path / name, ["x"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    no_time = (tmp_path / "a").read_bytes()[4:8]
    assert no_time == bytes(4)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "value"
    write_packed(path, "old")

    def refuse(old, new):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_packed(path, "new")
    assert read_packed(path) == "old"
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
def test_anything_else_is_damaged(tmp_path, content):
    path = tmp_path / "value"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="value is no whole gzipped JSON file"):
        read_packed(path)


def test_no_file_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_packed(tmp_path / "none")
