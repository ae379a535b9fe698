"""How much memory a run will take, judged by its config alone: nothing is built, torch is not imported.

The cards count network and step exactly, with as many words as the size allows and texts of full length; most
are shorter, so a run takes less than this says rather than more.
"""

from __future__ import annotations

from pathlib import Path

from sparsecore.engine.card_parts import Size
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig

MB = 1_000_000
FLOAT = 4  # bytes
PROCESS = 420 * MB  # Python, torch and numba before there is a network; measured
FREED = 80 * MB  # what steps have freed and the C library keeps, of every size; measured
COMPILED = 110 * MB  # numba's compiler, wherever a network has more than few weights; measured
FEW = 4_096  # weights; below, nothing is compiled
# In float32 values for each weight: weight, gradient, two of Adam, the state before a step, the count, masks
# (7); while it is saved a copy of what is kept, the blob of that, and SQLite's copy of the blob (13).
COPIES = 20
PACKED = 4  # a kept corpus is this many times smaller than its texts
PACKED_TEXT = 300  # bytes of a text in UTF-8, about


def needed(config: RunConfig, home: Path | None = None) -> int:
    """Bytes that a process takes at most to train this run; `home` holds the texts that it may name."""
    card = tasks()[config.task]
    size = card.sizes[config.size]
    total = PROCESS + FREED + card.memory + (COMPILED if size.weights > FEW else 0)
    total += (size.weights * COPIES + size.activations) * FLOAT
    return total + _examples(config, size, home) * size.example_bytes


def _examples(config: RunConfig, size: Size, home: Path | None) -> int:
    """How many examples there are; of kept texts judged by their file."""
    if config.data is not None and home is not None:
        file = Path(home) / "corpora" / f"{config.data}.json.gz"
        if file.is_file():
            return file.stat().st_size * PACKED // PACKED_TEXT
    return size.examples
