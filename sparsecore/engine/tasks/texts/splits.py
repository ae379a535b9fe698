"""Which texts train, stop and test a network, at random or by time, and in which batches they train."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from sparsecore.corpora.corpus import Corpus

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1  # of the rest: early stopping watches it
VALIDATION_MOST = 1_000  # texts: they tell accuracy to 1.5 points, and more are missed in training
LEAST_DATED = 0.5  # of the texts: of fewer, the newest fifth of all is anybody's guess

CHUNK = 50  # batches: so much is drawn at random before it is sorted, which keeps the batches of epochs apart

Parts = dict[str, np.ndarray]


def canonical(text: str) -> str:
    """What two texts share that say the same: width, case and white space do not count.

    Digits do: advisories of one product differ by no more than a version or a number, and are two texts.

    >>> canonical("Ａpache ２.4") == canonical("apache 2.4\\n")
    True
    """
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def groups_of(texts: Sequence[str]) -> np.ndarray:
    """The number of the group of each text; duplicates share one, numbered by first appearance."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(canonical(text), len(seen)) for text in texts], dtype=np.int64)


def random_split(texts: Sequence[str], labels: np.ndarray, stream: np.random.Generator) -> Parts:
    """Train, validation and test rows in random order, each grade divided in the same proportions.

    Duplicates go to one part together, as a text of the first one's grade.
    """
    groups = groups_of(texts)
    _, first = np.unique(groups, return_index=True)
    share = _validation_share((1 - TEST_SHARE) * len(first))
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for grade in np.unique(labels[first]):
        order = stream.permutation(np.flatnonzero(labels[first] == grade))
        test = max(1, round(TEST_SHARE * len(order)))
        validation = max(1, round(share * (len(order) - test)))
        cut = np.split(order, [test, test + validation])
        for name, part in zip(("test", "validation", "train"), cut, strict=True):
            parts[name].append(part)
    return {name: stream.permutation(_members(groups, np.concatenate(each))) for name, each in parts.items()}


def time_split(corpus: Corpus, chosen: np.ndarray, stream: np.random.Generator) -> Parts:
    """The newest texts test, the newest of the others validate, the rest train; rows in random order.

    `chosen` are the texts that take part; rows are places in it. Duplicates go with the newest of them, a
    text without a date with the oldest. Raises ValueError when most texts have no date.
    """
    dates = np.array([corpus.dates[i] if corpus.dates else "" for i in chosen])
    dated = int((dates != "").sum())
    if dated < LEAST_DATED * len(dates):
        raise ValueError(
            f"a split by time needs dates for most texts, but only {dated:,} of {len(dates):,} have one; "
            "use split=random."
        )
    groups = groups_of([corpus.texts[i] for i in chosen])
    newest = np.full(groups.max() + 1, "", dtype=dates.dtype)
    for group, date in zip(groups, dates, strict=True):
        newest[group] = max(newest[group], date)
    order = np.argsort(newest, kind="stable")
    test = max(1, round(TEST_SHARE * len(order)))
    validation = max(1, round(_validation_share(len(order) - test) * (len(order) - test)))
    cut = np.split(order, [len(order) - test - validation, len(order) - test])
    names = ("train", "validation", "test")
    return {n: stream.permutation(_members(groups, part)) for n, part in zip(names, cut, strict=True)}


def _validation_share(count: float) -> float:
    """Return the validation count for this number of texts outside the test set."""
    return min(VALIDATION_SHARE, VALIDATION_MOST / max(1.0, count))


def _members(groups: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isin(groups, wanted))


# -- batches: computed as long as their longest text, so each holds texts of nearly one length


def by_length(
    rows: np.ndarray, lengths: np.ndarray, batch: int, stream: np.random.Generator
) -> list[np.ndarray]:
    """An epoch: all rows once, in ⌈rows / batch⌉ batches of similar length, in random order.

    `lengths` are those of all texts, by row.
    """
    shuffled = stream.permutation(rows)
    batches: list[np.ndarray] = []
    for start in range(0, len(shuffled), CHUNK * batch):
        chunk = shuffled[start : start + CHUNK * batch]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += [chunk[place : place + batch] for place in range(0, len(chunk), batch)]
    return [batches[place] for place in stream.permutation(len(batches))]


def waste(batches: list[np.ndarray], lengths: np.ndarray) -> float:
    """Computed tokens over real ones, at least 1; an empty text counts as one token.

    >>> waste([np.array([0, 1]), np.array([2])], np.array([4, 2, 10]))
    1.125
    """
    computed = sum(len(rows) * max(1, int(lengths[rows].max())) for rows in batches)
    return computed / sum(int(np.maximum(lengths[rows], 1).sum()) for rows in batches)
