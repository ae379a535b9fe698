"""Batches of texts of nearly one length: a batch is computed as long as its longest text."""

from __future__ import annotations

import numpy as np

CHUNK = 50  # batches: so much is drawn at random before it is sorted, which keeps the batches of epochs apart


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
