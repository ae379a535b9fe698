import gzip
import tomllib
from pathlib import Path

import pytest

from sparsecore.corpora import source
from sparsecore.corpora.archive import pieces
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.source import MAX_BYTES, Meter, Source


def open_source(path) -> Source:
    with pieces(path, Meter(0)) as found:
        return found[0]()


def read_all(path):
    with open_source(path) as stream:
        return stream.read()


def length_read(path):
    """The number of bytes read in pieces of 64 KiB, each a record."""
    length = 0
    with open_source(path) as stream:
        while piece := stream.read(2**16):
            stream.new_record()
            length += len(piece)
    return length


def test_plain_bytes_pass_unchanged(file_with):
    assert read_all(file_with(b"abc")) == b"abc"


def test_gzip_is_told_by_content_and_members_are_joined(file_with):
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
def test_damaged_gzip_is_told_in_one_sentence(file_with, damage):
    with pytest.raises(CorpusError, match="starts like gzip or zip but cannot be unpacked") as caught:
        read_all(file_with(damage(gzip.compress(bytes(range(256)) * 50))))
    assert caught.value.code == "bad_archive"


def test_a_gzip_bomb_ends_at_the_limit_not_at_its_size(file_with, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 3 * 2**20)
    with pytest.raises(CorpusError, match="larger than 3 MiB") as caught:
        length_read(file_with(gzip.compress(b" " * (64 * 2**20))))
    assert caught.value.code == "too_large"


def test_the_limit_itself_is_allowed(file_with, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 2**20)
    assert length_read(file_with(b"x" * 2**20)) == 2**20


def test_a_record_without_end_stops_the_reading(file_with):
    with pytest.raises(CorpusError, match="1024 KiB") as caught:
        read_all(file_with(b"x" * (2**20 + 1)))
    assert caught.value.code == "record_too_large"


def test_records_may_be_many(file_with):
    assert length_read(file_with(b"x" * (3 * 2**20))) == 3 * 2**20


def test_the_file_is_closed(file_with):
    stream = open_source(file_with(gzip.compress(b"abc")))
    file = stream._stream._under
    stream.close()
    assert file.closed


def test_what_grows_more_than_exports_do_is_stopped_before_the_limit(file_with):
    with pytest.raises(CorpusError, match="grows more than 200-fold") as caught:
        length_read(file_with(gzip.compress(b" " * (17 * 2**20))))
    assert caught.value.code == "too_dense"


def test_progress_goes_up_to_the_total_and_cancelling_stops():
    told = []
    meter = Meter(10, lambda read, total: told.append((read, total)), lambda: len(told) > 2)
    meter.add(4)
    meter.finish()
    assert told == [(4, 10), (10, 10)]
    with pytest.raises(CorpusError, match="cancelled"):
        meter.add(1)


def test_a_plain_file_as_large_as_may_be_uploaded_is_within_what_is_unpacked():
    config = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text("utf-8"))
    assert 0 < config["server"]["maxUploadSize"] * 2**20 <= MAX_BYTES
