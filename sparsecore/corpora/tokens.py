"""From texts to numbers: jieba's words, a vocabulary, and rows of indices."""

import hashlib
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sparsecore.corpora.packed import DamagedFile, read_packed, write_packed

PADDING, UNKNOWN = "<pad>", "<unk>"


def tokenize(texts: Sequence[str], cache_folder: Path | None) -> list[list[str]]:
    """The words of each text by jieba's exact mode, white space left out.

    With a `cache_folder` (made if need be; nobody else should be able to write there) the result and jieba's
    own dictionary are kept in it, and a damaged file is made anew. With None nothing is kept.

    >>> tokenize(["攻击者可执行任意代码"], None)
    [['攻击者', '可', '执行', '任意', '代码']]
    """
    if cache_folder is None:
        return _cut(texts, None)
    folder = Path(cache_folder)
    content = json.dumps([version("jieba"), list(texts)], ensure_ascii=False)
    path = folder / f"tokens-{hashlib.sha256(content.encode()).hexdigest()}.json.gz"
    tokens = _cached(path, texts)
    if tokens is None:
        folder.mkdir(parents=True, exist_ok=True)
        tokens = _cut(texts, folder)
        write_packed(path, tokens)
    return tokens


def build_vocabulary(token_lists: Sequence[Sequence[str]], limit: int, min_count: int = 1) -> dict[str, int]:
    """The index of each token: 0 padding, 1 unknown, then the most frequent first, ties by first appearance.

    At most `limit` entries (≥ 2, these two included), so `len` is the number of embeddings; tokens seen fewer
    than `min_count` times (≥ 1) are left out. Raises ValueError for a smaller `limit` or `min_count`.

    >>> build_vocabulary([["漏洞", "存在"], ["漏洞"]], limit=4)
    {'<pad>': 0, '<unk>': 1, '漏洞': 2, '存在': 3}
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2 (padding and unknown), got {limit}.")
    if min_count < 1:
        raise ValueError(f"min_count must be at least 1, got {min_count}.")
    counts = Counter(token for tokens in token_lists for token in tokens if token not in (PADDING, UNKNOWN))
    ranked = (token for token, count in counts.most_common(limit - 2) if count >= min_count)
    return {token: index for index, token in enumerate((PADDING, UNKNOWN, *ranked))}


def encode(token_lists: Sequence[Sequence[str]], vocabulary: dict[str, int], length: int) -> np.ndarray:
    """Indices of the tokens, int64 of shape (number of texts, length): cut at `length` (≥ 1), filled with 0.

    >>> encode([["漏洞", "新词"], []], {"<pad>": 0, "<unk>": 1, "漏洞": 2}, 3)
    array([[2, 1, 0],
           [0, 0, 0]])
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    unknown = vocabulary[UNKNOWN]
    rows = np.zeros((len(token_lists), length), dtype=np.int64)
    for row, tokens in zip(rows, token_lists, strict=True):
        indices = [vocabulary.get(token, unknown) for token in tokens[:length]]
        row[: len(indices)] = indices
    return rows


def _cut(texts: Sequence[str], folder: Path | None) -> list[list[str]]:
    # Imported here: it costs 0.1 s, and its dictionary 0.5 s more, which the server never needs.
    import jieba

    jieba.setLogLevel(logging.WARNING)
    # By default jieba leaves its dictionary in /tmp, where another user may have put a forged one.
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as private:
        jieba.dt.tmp_dir = str(private)
        jieba.initialize()
    return [[token for token in jieba.lcut(text) if not token.isspace()] for text in texts]


def _cached(path: Path, texts: Sequence[str]) -> list[list[str]] | None:
    """The kept tokens, or None where there are none or their words do not add up to the texts."""
    try:
        tokens = read_packed(path)
        whole = len(tokens) == len(texts) and all(
            "".join(words) == "".join(text.split()) for words, text in zip(tokens, texts, strict=True)
        )
    except (FileNotFoundError, DamagedFile, TypeError):
        return None
    return tokens if whole else None
