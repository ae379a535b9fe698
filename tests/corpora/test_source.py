import gzip
import tomllib
from pathlib import Path

import pytest

from sparsecore.corpora import source
from sparsecore.corpora.archive import open_members
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.source import MAX_BYTES, Meter, Source


def open_source(path) -> Source:
    with open_members(path, Meter(0)) as found:
        return found[0][1]()


def read_all(path):
    with open_source(path) as stream:
        return stream.read()


def length_read(path):
    """Return the number of bytes read in chunks of 64 KiB, each a record."""
    length = 0
    with open_source(path) as stream:
        while chunk := stream.read(2**16):
            stream.new_record()
            length += len(chunk)
    return length


def test_plain_bytes_are_unchanged(file_with):
    assert read_all(file_with(b"abc")) == b"abc"


def test_gzip_is_detected_by_content_and_members_are_concatenated(file_with):
    assert read_all(file_with(gzip.compress(b"abc") + gzip.compress(b"def"))) == b"abcdef"


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: packed[:12],
        lambda packed: packed[:-1] + bytes([packed[-1] ^ 1]),
        lambda packed: packed[:20] + b"\xff\xff" + packed[22:],
        lambda packed: b"\x1f\x8b no gzip at all",
        lambda packed: packed + b"and something else",
    ],
    ids=[
        "cut in the end mark",
        "cut in the head",
        "lies about its length",
        "spoilt inside",
        "only the magic",
        "something behind",
    ],
)
def test_damaged_gzip_is_refused_in_one_sentence(file_with, damage):
    with pytest.raises(CorpusError, match="looks like gzip or zip but cannot be unpacked") as caught:
        read_all(file_with(damage(gzip.compress(bytes(range(256)) * 50))))
    assert caught.value.code == "bad_archive"


def test_a_gzip_bomb_stops_at_the_size_limit(file_with, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 3 * 2**20)
    with pytest.raises(CorpusError, match="larger than 3 MiB") as caught:
        length_read(file_with(gzip.compress(b" " * (64 * 2**20))))
    assert caught.value.code == "too_large"


def test_the_limit_itself_is_allowed(file_with, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 2**20)
    assert length_read(file_with(b"x" * 2**20)) == 2**20


def test_an_endless_record_is_refused(file_with):
    with pytest.raises(CorpusError, match="1024 KiB") as caught:
        read_all(file_with(b"x" * (2**20 + 1)))
    assert caught.value.code == "record_too_large"


def test_many_records_are_allowed(file_with):
    assert length_read(file_with(b"x" * (3 * 2**20))) == 3 * 2**20


def test_closing_the_source_closes_the_file(file_with):
    stream = open_source(file_with(gzip.compress(b"abc")))
    file = stream._stream._compressed
    stream.close()
    assert file.closed


def test_an_implausible_expansion_stops_before_the_size_limit(file_with):
    with pytest.raises(CorpusError, match="expands more than 200-fold") as caught:
        length_read(file_with(gzip.compress(b" " * (17 * 2**20))))
    assert caught.value.code == "too_dense"


def test_the_meter_reports_progress_and_stops_if_cancelled():
    calls = []
    meter = Meter(10, lambda read, total: calls.append((read, total)), lambda: len(calls) > 2)
    meter.add(4)
    meter.finish()
    assert calls == [(4, 10), (10, 10)]
    with pytest.raises(CorpusError, match="cancelled"):
        meter.add(1)


def test_the_upload_limit_is_within_the_size_limit():
    config = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text("utf-8"))
    assert 0 < config["server"]["maxUploadSize"] * 2**20 <= MAX_BYTES
