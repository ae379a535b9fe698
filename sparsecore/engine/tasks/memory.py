"""How much memory a run will take, judged by its config alone: nothing is built, torch is not imported.

Network and optimiser are counted exactly, with as many words as the size allows. What a step holds is counted
for texts of full length; most are shorter, so a run takes less than this says rather than more.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from sparsecore.engine.config import TEXTS, RunConfig
from sparsecore.engine.tasks.sizes import TEXT_SIZES, WIDTHS, TextSize

MB = 1_000_000
FLOAT = 4  # bytes
PROCESS = 420 * MB  # Python, torch and numba before there is a network; measured
FREED = 80 * MB  # what steps have freed and the C library keeps (see freed_memory), of every size; measured
COMPILED = 110 * MB  # numba's compiler, wherever a network has more than few weights; measured
FEW = 4_096  # weights; below, nothing is compiled
TOKENISER = 100 * MB  # jieba's dictionary and its cutting; measured
# In float32 values for each weight: weight, gradient, two of Adam, the state before a step, the count, masks
# (7); while it is saved a copy of what is kept, the blob of that, and SQLite's copy of the blob (13).
COPIES = 20
HEADS = CLASSES = 4
# Values that training keeps for each token and block, in widths: the three projections, what attention gives,
# two sums and two norms, dropout's; and of the feed-forward pair in hidden widths.
KEPT_WIDTHS, KEPT_HIDDEN = 14, 3
PERCEPTRON_POINTS = 2_000  # that go through at once, each with its activations and their gradients
TEXT_BYTES = 3_000  # of a text: the string, its words, its grade and their places
PACKED = 4  # a kept corpus is so many times smaller than its texts
PACKED_TEXT = 300  # bytes of a text in UTF-8, about


def parameters(config: RunConfig) -> int:
    """All numbers that the network learns, biases and norms included; of words as many as the size allows.

    >>> parameters(RunConfig(task="sinc", size="paper"))
    61001
    """
    if config.task != TEXTS:
        widths = WIDTHS[config.task][config.size]
        return sum((before + 1) * after for before, after in pairwise(widths))
    size = TEXT_SIZES[config.size]
    block = 3 * size.width * (size.width + 1) + 2 * size.width * size.hidden + size.hidden + 5 * size.width
    read = {"flat": size.length * size.width, "mean": size.width, "both": 2 * size.width}[size.pool]
    return (size.vocabulary + size.pairs) * size.width + size.blocks * block + (read + 1) * CLASSES


def needed(config: RunConfig, home: Path | None = None) -> int:
    """Bytes that a process takes at most to train this run; `home` holds the texts that it may name."""
    learned = parameters(config)
    total = PROCESS + FREED + learned * COPIES * FLOAT + (COMPILED if learned > FEW else 0)
    if config.task != TEXTS:
        return total + PERCEPTRON_POINTS * sum(WIDTHS[config.task][config.size]) * 4 * FLOAT
    size = TEXT_SIZES[config.size]
    return total + TOKENISER + _step(size) + _texts(config, size, home)


def _step(size: TextSize) -> int:
    """What a step on a batch of full length holds, forwards and backwards."""
    tokens = size.batch * size.length
    block = tokens * (KEPT_WIDTHS * size.width + KEPT_HIDDEN * size.hidden)
    return FLOAT * (size.blocks * block + size.batch * HEADS * size.length**2)


def _texts(config: RunConfig, size: TextSize, home: Path | None) -> int:
    count = size.generated
    if config.data is not None and home is not None:
        file = Path(home) / "corpora" / f"{config.data}.json.gz"
        count = file.stat().st_size * PACKED // PACKED_TEXT if file.is_file() else count
    encoded = min(count, size.texts or count) * size.length * FLOAT * 2  # as an array and as a tensor
    return count * TEXT_BYTES + encoded
