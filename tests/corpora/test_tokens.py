import subprocess
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from sparsecore.corpora import segmentation, tokens
from sparsecore.corpora.tokens import (
    Tokens,
    build_vocabulary,
    encode,
    pack_words,
    tokenize,
    unpack_words,
)

TEXTS = ["攻击者可利用该漏洞 执行任意代码。", "Apache 2.4.1版本\n存在SQL注入漏洞", ""]


def cache_file(folder):
    (path,) = folder.glob("tokens-*.safetensors")
    return path


def words_of(found):
    return [found[text] for text in range(len(found))]


def test_words_are_jiebas_without_white_space(tmp_path):
    found = tokenize(TEXTS, None)
    assert words_of(tokenize(TEXTS, tmp_path)) == words_of(found)
    assert "漏洞" in found[0]
    assert found[1][:2] == ["apache", "2.4"]
    assert found[2] == []
    assert len(tokenize([], None)) == 0


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40), max_size=3))
def test_the_words_add_up_to_the_text(texts):
    found = ["".join(words).lower() for words in words_of(tokenize(texts, None))]
    assert found == ["".join(letter.lower() for letter in "".join(text.split())) for text in texts]


def test_segmenting_blocks_equals_segmenting_the_whole_text():
    import jieba

    for text in [*TEXTS, "Windows 10、11 SSL/TLS（v1.2）100% 远程攻击者\r\n可提交特殊的请求,应用程序上下文"]:
        wanted = [word.lower() for word in jieba.lcut(text) if not word.isspace()]
        assert tokenize([text], None)[0] == wanted


def test_several_processes_give_the_same_words(monkeypatch):
    alone = words_of(tokenize(TEXTS, None))
    monkeypatch.setattr(segmentation, "MIN_PARALLEL_CHARACTERS", 0)
    monkeypatch.setattr(segmentation, "usable_cores", lambda: 2)
    assert words_of(tokenize(TEXTS, None)) == alone


def test_english_is_tokenized_too():
    found = tokenize(["A Buffer overflow in libfoo 1.2 allows remote attackers"], None)
    assert found[0] == ["a", "buffer", "overflow", "in", "libfoo", "1.2", "allows", "remote", "attackers"]


def test_a_repeated_block_is_segmented_once(monkeypatch):
    seen = []
    monkeypatch.setattr(
        segmentation, "segment", lambda blocks, folder: seen.extend(blocks) or [[b] for b in blocks]
    )
    assert words_of(tokenize(["漏洞，漏洞", "漏洞"], None)) == [["漏洞", "，", "漏洞"], ["漏洞"]]
    assert seen == ["漏洞", "，"]


def test_cached_texts_are_not_segmented_again(tmp_path, monkeypatch):
    first = tokenize(TEXTS, tmp_path)
    monkeypatch.setattr(tokens, "tokenize_uncached", lambda texts, folder: pytest.fail("cut again"))
    assert words_of(tokenize(TEXTS, tmp_path)) == words_of(first)


def test_other_texts_or_another_jieba_version_miss_the_cache(tmp_path, monkeypatch):
    tokenize(TEXTS, tmp_path)
    tokenize(TEXTS[:2], tmp_path)
    monkeypatch.setattr(tokens, "version", lambda package: "999")
    tokenize(TEXTS, tmp_path)
    assert len(list(tmp_path.glob("tokens-*.safetensors"))) == 3


@pytest.mark.parametrize("damage", ["empty", "pickle", "cut", "altered", "missing", "other texts"])
def test_a_damaged_cache_is_rebuilt(tmp_path, damage):
    wanted = tokenize(TEXTS, tmp_path)
    path = cache_file(tmp_path)
    good = path.read_bytes()
    broken = {
        "empty": b"",
        "pickle": b"\x80\x04\x95",
        "cut": good[:-5],
        "altered": good.replace("漏洞".encode(), "安全".encode()),
        "missing": save({"numbers": np.zeros(3, np.int32)}),
        "other texts": tokens._pack(tokenize(TEXTS[:1], None)),
    }[damage]
    assert broken != good
    path.write_bytes(broken)
    assert words_of(tokenize(TEXTS, tmp_path)) == words_of(wanted)
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


def vocabulary_of(lists, *limits):
    return build_vocabulary(Tokens.of(lists), np.arange(len(lists)), *limits)


def test_vocabulary_by_frequency_then_first_appearance():
    lists = [["乙", "甲", "丙"], ["丙", "甲", "丁"]]
    assert vocabulary_of(lists, 100) == {"<pad>": 0, "<unk>": 1, "甲": 2, "丙": 3, "乙": 4, "丁": 5}
    assert list(vocabulary_of(lists, 4)) == ["<pad>", "<unk>", "甲", "丙"]
    assert list(vocabulary_of(lists, 100, 2)) == ["<pad>", "<unk>", "甲", "丙"]
    assert list(vocabulary_of(lists, 2)) == ["<pad>", "<unk>"]


def test_the_vocabulary_comes_from_the_given_texts_only():
    found = Tokens.of([["甲", "甲"], ["乙", "丙"], ["丙"]])
    assert list(build_vocabulary(found, np.array([2, 1]), 10)) == ["<pad>", "<unk>", "丙", "乙"]


def test_a_token_spelt_like_a_special_token_does_not_replace_it():
    assert vocabulary_of([["<unk>", "甲", "<pad>", "<unk>"]], 10) == {"<pad>": 0, "<unk>": 1, "甲": 2}


def test_limits_below_the_minimum_are_refused():
    with pytest.raises(ValueError, match=r"limit must be at least 2.*got 1"):
        vocabulary_of([], 1)
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        vocabulary_of([], 5, 0)
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        encode(Tokens.of([]), {"<unk>": 1}, 0)


def test_encode_truncates_pads_and_marks_unknown_words():
    vocabulary = vocabulary_of([["甲", "甲", "乙"]], 10)
    rows = encode(Tokens.of([["乙", "甲", "戊", "甲"], ["甲"], []]), vocabulary, 3)
    assert rows.tolist() == [[3, 2, 1], [2, 0, 0], [0, 0, 0]]
    assert encode(Tokens.of([]), vocabulary, 3).shape == (0, 3)


@pytest.mark.parametrize("words", [(), ("甲",), ("<pad>", "<unk>", "漏洞", "2.4")])
def test_packed_words_unpack_unchanged(words):
    assert unpack_words(pack_words(words)) == words
