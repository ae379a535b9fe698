"""From texts to numbers: jieba's words, a vocabulary, and rows of indices."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sparsecore.corpora import words as cutting
from sparsecore.corpora.packed import whole_file

PADDING, UNKNOWN = "<pad>", "<unk>"
KIND = "2"  # of what is kept; another one is made anew


@dataclass(frozen=True)
class Tokens:
    """The words of many texts, each different word once.

    words: in the order of their first appearance. numbers: int32, places in `words`, of all texts one after
    the other. starts: int64, (texts + 1,), where each text's begin, and the end.

    >>> tokens = Tokens.of([["漏洞", "存在"], [], ["漏洞"]])
    >>> tokens.words, tokens.numbers.tolist(), tokens.starts.tolist(), tokens[2]
    (('漏洞', '存在'), [0, 1, 0], [0, 2, 2, 3], ['漏洞'])
    """

    words: tuple[str, ...]
    numbers: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Tokens":
        """Those of lists of words."""
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
        """The number of words of each text."""
        return np.diff(self.starts)


def tokenize(texts: Sequence[str], cache_folder: Path | None) -> Tokens:
    """The words of each text by jieba's exact mode, in lower case, white space left out.

    With a `cache_folder` (made if need be; nobody else should be able to write there) the result and jieba's
    own dictionary are kept in it, and a damaged file is made anew. With None nothing is kept.

    >>> tokenize(["攻击者可执行任意代码"], None)[0]
    ['攻击者', '可', '执行', '任意', '代码']
    """
    if cache_folder is None:
        return words_of(texts, None)
    folder = Path(cache_folder)
    path = folder / f"tokens-{_digest(texts)}.safetensors"
    tokens = _kept(path, len(texts))
    if tokens is None:
        folder.mkdir(parents=True, exist_ok=True)
        tokens = words_of(texts, folder)
        with whole_file(path) as file:
            file.write(_pack(tokens))
    return tokens


def build_vocabulary(tokens: Tokens, rows: np.ndarray, limit: int, min_count: int = 1) -> dict[str, int]:
    """The index of each word of some texts: 0 padding, 1 unknown, then the most frequent first.

    Ties go by first appearance. At most `limit` entries (≥ 2, these two included), so `len` is the number of
    embeddings; words seen fewer than `min_count` times (≥ 1) are left out. Raises ValueError for a smaller
    `limit` or `min_count`.

    >>> build_vocabulary(Tokens.of([["漏洞", "存在"], ["漏洞"]]), np.array([0, 1]), limit=4)
    {'<pad>': 0, '<unk>': 1, '漏洞': 2, '存在': 3}
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2 (padding and unknown), got {limit}.")
    if min_count < 1:
        raise ValueError(f"min_count must be at least 1, got {min_count}.")
    taking_part = np.zeros(len(tokens), bool)
    taking_part[rows] = True
    numbers = tokens.numbers[np.repeat(taking_part, tokens.lengths())]
    counts = np.bincount(numbers, minlength=len(tokens.words))
    first = np.full(len(tokens.words), len(numbers))
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # of several values for one place the last stays
    ranked = (tokens.words[place] for place in np.lexsort((first, -counts)) if counts[place] >= min_count)
    frequent = [word for word in ranked if word not in (PADDING, UNKNOWN)][: limit - 2]
    return {word: index for index, word in enumerate((PADDING, UNKNOWN, *frequent))}


def encode(tokens: Tokens, vocabulary: dict[str, int], length: int) -> np.ndarray:
    """Indices of the words, int32 of shape (number of texts, length): cut at `length` (≥ 1), filled with 0.

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
    """Words without line ends as one array of bytes, and back with `unpack_words`."""
    return np.frombuffer("\n".join(words).encode("utf-8", "surrogatepass"), np.uint8)


def unpack_words(packed: np.ndarray) -> tuple[str, ...]:
    """The words of `pack_words`."""
    text = packed.tobytes().decode("utf-8", "surrogatepass")
    return tuple(text.split("\n")) if text else ()


def words_of(texts: Sequence[str], folder: Path | None) -> Tokens:
    """What `tokenize` gives, of which nothing is kept; jieba's dictionary is in `folder`, which exists.

    Each different piece between punctuation is cut once: in real texts most of them repeat.
    """
    places: dict[str, int] = {}
    pieces = [[places.setdefault(piece, len(places)) for piece in cutting.split(text)] for text in texts]
    words = [[word.lower() for word in found] for found in cutting.cut(list(places), folder)]
    return Tokens.of([word for piece in text for word in words[piece]] for text in pieces)


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256(f"{KIND} {version('jieba')} {len(texts)}\n".encode())
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


def _kept(path: Path, texts: int) -> Tokens | None:
    """The kept tokens of so many texts; None where there are none, or the file is damaged."""
    try:
        arrays = load(path.read_bytes())
        whole = np.array_equal(arrays.pop("checksum"), _checksum(arrays))
        tokens = Tokens(unpack_words(arrays["words"]), arrays["numbers"], arrays["starts"])
    except (FileNotFoundError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    return tokens if whole and len(tokens) == texts else None
