"""Inspect the content of a file of texts without keeping it."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from sparsecore.corpora.cleaning import Cleaner
from sparsecore.corpora.corpus import GRADES, CorpusError
from sparsecore.corpora.reading import new_context, read_into
from sparsecore.corpora.source import ReadOptions

PERCENTILES = (5, 50, 95, 99)
SAMPLES = 3


@dataclass(frozen=True)
class Inspection:
    """The format of a file and its usable texts: `rows` of them, by grade, language and length.

    `skipped` counts skipped records by reason; `languages` are `zh` (texts with a Chinese character) and
    `en`; `lengths` are percentiles of the number of characters, `p5`, `p50`, `p95`, `p99` and `max`.
    """

    format: str
    rows: int
    labels: dict[str, int]
    skipped: dict[str, int]
    languages: dict[str, int]
    lengths: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """Return the inspection as plain values, ready for JSON."""
        return dict(vars(self))


def inspect(path: str | PathLike[str], **options: Unpack[ReadOptions]) -> Inspection:
    """Inspect a file in any format that `read_corpus` reads, without holding its texts in memory.

    Raises CorpusError as `read_corpus` does, but accepts a file with one to nineteen usable texts.
    """
    return preview(path, **options).inspection


@dataclass(frozen=True)
class Preview:
    """An inspection and the first `SAMPLES` usable texts, each with the index of its grade in `GRADES`.

    columns, sheets: of a table, those that can be chosen instead; also in the `details` of an error.
    """

    inspection: Inspection
    samples: list[tuple[str, int]]
    columns: list[str]
    sheets: list[str]


def preview(path: str | PathLike[str], **options: Unpack[ReadOptions]) -> Preview:
    """Inspect a file as `inspect` does, and return its first texts too."""
    path = Path(path)
    context = new_context(path, **options)
    try:
        cleaner = read_into(path, context, keep_texts=False)
        cleaner.check_usable(1)
    except CorpusError as error:
        for name in ("columns", "sheets"):
            error.details.setdefault(name, getattr(context, name))
        raise
    return Preview(
        describe(cleaner, context.format), cleaner.samples(SAMPLES), context.columns, context.sheets
    )


def describe(cleaner: Cleaner, name: str, skipped: dict[str, int] | None = None) -> Inspection:
    """Summarize the records in `cleaner`, read from a file of the format `name`.

    `skipped` replaces the cleaner's own counts if the texts were cleaned before.
    """
    usable = cleaner.usable
    lengths = np.asarray(cleaner.lengths)[usable]
    percentiles = np.percentile(lengths, PERCENTILES, method="lower")
    chinese = int(np.frombuffer(cleaner.chinese, dtype=np.uint8)[usable].sum())
    return Inspection(
        format=name,
        rows=len(usable),
        labels=dict(zip(GRADES, cleaner.counts, strict=True)),
        skipped=cleaner.skipped if skipped is None else skipped,
        languages={"zh": chinese, "en": len(usable) - chinese},
        lengths={f"p{p}": int(n) for p, n in zip(PERCENTILES, percentiles, strict=True)}
        | {"max": int(lengths.max())},
    )
