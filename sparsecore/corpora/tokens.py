"""Tokenization: jieba's words, a vocabulary, and rows of token indices."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sparsecore.corpora import segmentation
from sparsecore.corpora.gzip_json import atomic_file

PADDING, UNKNOWN = "<pad>", "<unk>"
CACHE_VERSION = "2"  # version of the cache files; files of another version are rebuilt


@dataclass(frozen=True)
class Tokens:
    """The words of many texts; each distinct word is stored once.

    words: distinct words in order of first appearance. numbers: int32, indices into `words`, all texts
    concatenated. starts: int64, (texts + 1,), the offset of each text in `numbers`, then the end.

    >>> tokens = Tokens.of([["漏洞", "存在"], [], ["漏洞"]])
    >>> tokens.words, tokens.numbers.tolist(), tokens.starts.tolist(), tokens[2]
    (('漏洞', '存在'), [0, 1, 0], [0, 2, 2, 3], ['漏洞'])
    """

    words: tuple[str, ...]
    numbers: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Tokens":
        """Build tokens from one list of words per text."""
        places: dict[str, int] = {}
        numbers: list[int] = []
        starts = [0]
        for text in texts:
            numbers.extend([places.setdefault(word, len(places)) for word in text])
            starts.append(len(numbers))
        return cls(tuple(places), np.array(numbers, np.int32), np.array(starts, np.int64))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, text: int) -> list[str]:
        return [self.words[number] for number in self.numbers[self.starts[text] : self.starts[text + 1]]]

    def lengths(self) -> np.ndarray:
        """Return the number of words of each text."""
        return np.diff(self.starts)


def tokenize(texts: Sequence[str], cache_folder: Path | None) -> Tokens:
    """Split each text into lower-case words with jieba's exact mode; drop white space.

    The words and jieba's dictionary are cached in `cache_folder`, which is created if needed and must not be
    writable by other users; a damaged cache is rebuilt. With None nothing is cached.

    >>> tokenize(["攻击者可执行任意代码"], None)[0]
    ['攻击者', '可', '执行', '任意', '代码']
    """
    if cache_folder is None:
        return tokenize_uncached(texts, None)
    folder = Path(cache_folder)
    path = folder / f"tokens-{_digest(texts)}.safetensors"
    tokens = _load_cached(path, len(texts))
    if tokens is None:
        folder.mkdir(parents=True, exist_ok=True)
        tokens = tokenize_uncached(texts, folder)
        with atomic_file(path) as file:
            file.write(_pack(tokens))
    return tokens


def build_vocabulary(tokens: Tokens, rows: np.ndarray, limit: int, min_count: int = 1) -> dict[str, int]:
    """Map words of the texts `rows` to indices: 0 padding, 1 unknown, then the most frequent words first.

    Ties are broken by first appearance. The vocabulary has at most `limit` entries (≥ 2, including padding
    and unknown), so `len` is the number of embeddings; words that occur fewer than `min_count` times (≥ 1)
    are left out. Raises ValueError for a smaller `limit` or `min_count`.

    >>> build_vocabulary(Tokens.of([["漏洞", "存在"], ["漏洞"]]), np.array([0, 1]), limit=4)
    {'<pad>': 0, '<unk>': 1, '漏洞': 2, '存在': 3}
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2 (padding and unknown), got {limit}.")
    if min_count < 1:
        raise ValueError(f"min_count must be at least 1, got {min_count}.")
    included = np.zeros(len(tokens), bool)
    included[rows] = True
    numbers = tokens.numbers[np.repeat(included, tokens.lengths())]
    counts = np.bincount(numbers, minlength=len(tokens.words))
    first = np.full(len(tokens.words), len(numbers))
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # repeated indices: the last assignment wins
    ranked = (tokens.words[place] for place in np.lexsort((first, -counts)) if counts[place] >= min_count)
    frequent = [word for word in ranked if word not in (PADDING, UNKNOWN)][: limit - 2]
    return {word: index for index, word in enumerate((PADDING, UNKNOWN, *frequent))}


def encode(tokens: Tokens, vocabulary: dict[str, int], length: int) -> np.ndarray:
    """Return word indices, int32, (number of texts, length): truncated at `length` (≥ 1), padded with 0.

    >>> encode(Tokens.of([["漏洞", "新词"], []]), {"<pad>": 0, "<unk>": 1, "漏洞": 2}, 3)
    array([[2, 1, 0],
           [0, 0, 0]], dtype=int32)
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    unknown = vocabulary[UNKNOWN]
    index_of = np.array([vocabulary.get(word, unknown) for word in tokens.words], np.int32)
    lengths = tokens.lengths()
    place = np.arange(len(tokens.numbers)) - np.repeat(tokens.starts[:-1], lengths)
    text = np.repeat(np.arange(len(tokens)), lengths)
    fits = place < length
    rows = np.zeros((len(tokens), length), np.int32)
    rows[text[fits], place[fits]] = index_of[tokens.numbers[fits]]
    return rows


def pack_words(words: Iterable[str]) -> np.ndarray:
    """Pack words without line breaks into one byte array; `unpack_words` is the inverse."""
    return np.frombuffer("\n".join(words).encode("utf-8", "surrogatepass"), np.uint8)


def unpack_words(packed: np.ndarray) -> tuple[str, ...]:
    """Unpack the words packed by `pack_words`."""
    text = packed.tobytes().decode("utf-8", "surrogatepass")
    return tuple(text.split("\n")) if text else ()


def tokenize_uncached(texts: Sequence[str], folder: Path | None) -> Tokens:
    """Tokenize as `tokenize` does, without a cache; jieba caches its dictionary in the existing `folder`.

    Each distinct block between punctuation is segmented once: in real texts most blocks repeat.
    """
    numbers: dict[str, int] = {}
    blocks = [
        [numbers.setdefault(block, len(numbers)) for block in segmentation.split_blocks(text)]
        for text in texts
    ]
    words = [[word.lower() for word in found] for found in segmentation.segment(list(numbers), folder)]
    return Tokens.of([word for block in text for word in words[block]] for text in blocks)


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256(f"{CACHE_VERSION} {version('jieba')} {len(texts)}\n".encode())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(content)} ".encode() + content)
    return digest.hexdigest()


def _pack(tokens: Tokens) -> bytes:
    arrays = {"numbers": tokens.numbers, "starts": tokens.starts, "words": pack_words(tokens.words)}
    return save(arrays | {"checksum": _checksum(arrays)})


def _checksum(arrays: dict[str, np.ndarray]) -> np.ndarray:
    digest = hashlib.sha256()
    for name in ("numbers", "starts", "words"):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return np.frombuffer(digest.digest(), np.uint8)


def _load_cached(path: Path, texts: int) -> Tokens | None:
    """Load cached tokens; return None if the file is missing, damaged, or holds another number of texts."""
    try:
        arrays = load(path.read_bytes())
        whole = np.array_equal(arrays.pop("checksum"), _checksum(arrays))
        tokens = Tokens(unpack_words(arrays["words"]), arrays["numbers"], arrays["starts"])
    except (FileNotFoundError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    return tokens if whole and len(tokens) == texts else None
