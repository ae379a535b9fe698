import gzip
import json
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.corpora import tokens
from sparsecore.corpora.tokens import build_vocabulary, encode, tokenize

TEXTS = ["攻击者可利用该漏洞 执行任意代码。", "Apache 2.4.1版本\n存在SQL注入漏洞", ""]


def cache_file(folder):
    (path,) = folder.glob("tokens-*.json.gz")
    return path


def test_words_by_jieba_without_white_space(tmp_path):
    assert tokenize(TEXTS, tmp_path) == tokenize(TEXTS, None)
    assert "漏洞" in tokenize(TEXTS, None)[0]
    assert tokenize([], None) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=3))
def test_the_words_add_up_to_the_text(texts):
    assert ["".join(words) for words in tokenize(texts, None)] == ["".join(text.split()) for text in texts]


def test_the_second_time_jieba_is_not_asked(tmp_path, monkeypatch):
    first = tokenize(TEXTS, tmp_path)
    monkeypatch.setattr(tokens, "_cut", lambda texts, folder: pytest.fail("cut again"))
    assert tokenize(TEXTS, tmp_path) == first


def test_other_texts_or_another_jieba_are_cut_anew(tmp_path, monkeypatch):
    tokenize(TEXTS, tmp_path)
    tokenize(TEXTS[:2], tmp_path)
    monkeypatch.setattr(tokens, "version", lambda package: "999")
    tokenize(TEXTS, tmp_path)
    assert len(list(tmp_path.glob("tokens-*.json.gz"))) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95",
        gzip.compress(b"[[]]"),
        gzip.compress(b"null"),
        gzip.compress(b"[1, 2, 3]"),
        gzip.compress(json.dumps([["forged"], ["words"], []]).encode()),
        gzip.compress(json.dumps([[["攻"]], [1], []]).encode()),
    ],
)
def test_a_damaged_or_forged_cache_is_rebuilt(tmp_path, content):
    wanted = tokenize(TEXTS, tmp_path)
    path = cache_file(tmp_path)
    good = path.read_bytes()
    path.write_bytes(content)
    assert tokenize(TEXTS, tmp_path) == wanted
    assert path.read_bytes() == good


def test_nothing_is_left_in_the_shared_temporary_folder(tmp_path, monkeypatch):
    import jieba

    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    for folder in (None, tmp_path / "own"):
        monkeypatch.setattr(jieba, "dt", jieba.Tokenizer())
        monkeypatch.setattr(jieba, "initialize", jieba.dt.initialize)
        monkeypatch.setattr(jieba, "lcut", jieba.dt.lcut)
        tokenize(["漏洞"], folder)
    assert list(shared.iterdir()) == []
    assert (tmp_path / "own" / "jieba.cache").exists()


def test_jieba_is_silent():
    code = "from sparsecore.corpora.tokens import tokenize; tokenize(['漏洞'], None)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_vocabulary_by_frequency_then_first_appearance():
    lists = [["乙", "甲", "丙"], ["丙", "甲", "丁"]]
    assert build_vocabulary(lists, 100) == {"<pad>": 0, "<unk>": 1, "甲": 2, "丙": 3, "乙": 4, "丁": 5}
    assert list(build_vocabulary(lists, 4)) == ["<pad>", "<unk>", "甲", "丙"]
    assert list(build_vocabulary(lists, 100, min_count=2)) == ["<pad>", "<unk>", "甲", "丙"]
    assert list(build_vocabulary(lists, 2)) == ["<pad>", "<unk>"]


def test_a_token_spelt_like_a_mark_does_not_move_it():
    assert build_vocabulary([["<unk>", "甲", "<pad>", "<unk>"]], 10) == {"<pad>": 0, "<unk>": 1, "甲": 2}


def test_limits_below_the_smallest_are_refused():
    with pytest.raises(ValueError, match=r"limit must be at least 2.*got 1"):
        build_vocabulary([], 1)
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        build_vocabulary([], 5, 0)
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        encode([], {"<unk>": 1}, 0)


def test_encoding_cuts_fills_and_marks_the_unknown():
    vocabulary = build_vocabulary([["甲", "甲", "乙"]], 10)
    rows = encode([["乙", "甲", "戊", "甲"], ["甲"], []], vocabulary, 3)
    assert rows.dtype == np.int64
    assert rows.tolist() == [[3, 2, 1], [2, 0, 0], [0, 0, 0]]
    assert encode([], vocabulary, 3).shape == (0, 3)
