"""What a file of texts holds, without keeping any of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from sparsecore.corpora.corpus import GRADES
from sparsecore.corpora.intake import Asked
from sparsecore.corpora.reading import begin, sift
from sparsecore.corpora.sieve import Sieve

PERCENTILES = (5, 50, 95, 99)
SAMPLES = 3


@dataclass(frozen=True)
class Inspection:
    """A file's format and its usable texts: `rows` of them, by grade, language and length.

    `skipped` counts the records left out by reason; `languages` are `zh` (a text with a Chinese character)
    and `en`; `lengths` are percentiles of the number of characters, `p5`, `p50`, `p95`, `p99` and `max`.
    """

    format: str
    rows: int
    labels: dict[str, int]
    skipped: dict[str, int]
    languages: dict[str, int]
    lengths: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """The inspection as plain values, ready for JSON."""
        return dict(vars(self))


def inspect(path: str | PathLike[str], **asked: Unpack[Asked]) -> Inspection:
    """Look at a file in any format that `read_corpus` reads; its texts pass by and are not held in memory.

    Raises CorpusError as `read_corpus` does, but not for a file of one to nineteen usable texts.
    """
    return preview(path, **asked).inspection


@dataclass(frozen=True)
class Preview:
    """An inspection and the first `SAMPLES` usable texts with the index of their grade in `GRADES`."""

    inspection: Inspection
    samples: list[tuple[str, int]]


def preview(path: str | PathLike[str], **asked: Unpack[Asked]) -> Preview:
    """Look at a file as `inspect` does, and take its first texts along."""
    path = Path(path)
    intake = begin(path, **asked)
    sieve = sift(path, intake, Sieve(hold=False))
    sieve.require(1)
    return Preview(describe(sieve, intake.format), sieve.samples(SAMPLES))


def describe(sieve: Sieve, name: str, skipped: dict[str, int] | None = None) -> Inspection:
    """The inspection of what went through a sieve, as a file of the format `name`.

    `skipped` replaces the sieve's own counts, for texts that were sorted out before.
    """
    usable = sieve.usable
    lengths = np.asarray(sieve.lengths)[usable]
    chinese = int(np.frombuffer(sieve.chinese, dtype=np.uint8)[usable].sum())
    return Inspection(
        format=name,
        rows=len(usable),
        labels=dict(zip(GRADES, sieve.counts, strict=True)),
        skipped=sieve.skipped if skipped is None else skipped,
        languages={"zh": chinese, "en": len(usable) - chinese},
        lengths=dict(_lengths(lengths)),
    )


def _lengths(lengths: np.ndarray) -> Iterator[tuple[str, int]]:
    for percent in PERCENTILES:
        yield f"p{percent}", int(np.percentile(lengths, percent, method="lower"))
    yield "max", int(lengths.max())
