"""Text classification: four severity grades of Chinese vulnerability descriptions (thesis, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sparsecore.config import RunConfig
from sparsecore.corpora import GRADES, Corpus
from sparsecore.corpora.generator import generate
from sparsecore.corpora.shelf import load
from sparsecore.corpora.tokens import build_vocabulary, encode, tokenize
from sparsecore.models import TextClassifier
from sparsecore.tasks.task import Arrays, Metrics, Task

TRAIN_SHARE = 0.8
VALIDATION_SHARE = 0.1  # of the training part: early stopping watches it, never the test texts
PATIENCE = 5  # epochs without a better validation accuracy (thesis, section 3.3.3)
LEAST_STEPS = 20  # between two measurements: an epoch of a few hundred texts is too short to judge by
EVALUATED = 500  # texts of a part that are scored while it trains: a paper-size network is slow on a CPU
FINALLY_EVALUATED = 2_000
GENERATED_SEED = 2024  # the built-in corpus is one fixed set of texts; the run's seed splits it


@dataclass(frozen=True)
class Shape:
    """The network and the amount of text of a size."""

    texts: int | None
    vocabulary: int
    length: int
    width: int
    hidden: int
    blocks: int
    batch: int


SHAPES = {
    "demo": Shape(texts=2_000, vocabulary=2_000, length=64, width=32, hidden=64, blocks=2, batch=64),
    "paper": Shape(texts=None, vocabulary=8_000, length=256, width=256, hidden=512, blocks=4, batch=64),
}
GENERATED_TEXTS = {"demo": 2_000, "paper": 20_000}


class Vulnerabilities(Task):
    """jieba tokens, a Transformer encoder, cross-entropy over four grades; accuracy and macro-F1.

    `data` of the config names kept texts in `home`; without it the built-in corpus is generated, with
    `noise` the share of its labels that is replaced.
    """

    blocks = ("blocks.*",)
    record_every = 5
    patience = PATIENCE

    def __init__(self, config: RunConfig, device: torch.device, home: Path | None = None) -> None:
        super().__init__(config, device, home)
        self.shape = SHAPES[config.size]
        self.corpus = self._corpus()
        chosen = self._choose()
        tokens = tokenize([self.corpus.texts[i] for i in chosen], self._cache())
        labels = np.array([self.corpus.labels[i] for i in chosen])
        self.parts = _split(labels, self.stream("split"))
        vocabulary = build_vocabulary([tokens[i] for i in self.parts["train"]], self.shape.vocabulary)
        self.tokens = self.tensor(encode(tokens, vocabulary, self.shape.length), torch.int64)
        self.labels = self.tensor(labels, torch.int64)
        self.sample = [(self.corpus.texts[chosen[i]], int(labels[i])) for i in self.parts["test"][:6]]
        self.steps_an_epoch = -(-len(self.parts["train"]) // self.shape.batch)
        self.measure_every = -(-LEAST_STEPS // self.steps_an_epoch) * self.steps_an_epoch
        self.model = self.initialise(lambda: self._network(len(vocabulary)))
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))
        self._confusion = np.zeros((len(GRADES),) * 2, dtype=np.int32)

    def _network(self, vocabulary: int) -> TextClassifier:
        shape = self.shape
        classes = len(GRADES)
        return TextClassifier(vocabulary, shape.length, shape.width, shape.hidden, shape.blocks, classes)

    def _corpus(self) -> Corpus:
        if self.config.data is None:
            return builtin_corpus(self.config.size, self.config.noise)
        if self.home is None:
            raise ValueError("texts of a file need a home folder to be read from.")
        return load(self.config.data, self.home / "corpora")

    def _cache(self) -> Path | None:
        return None if self.home is None else self.home / "cache"

    def _choose(self) -> np.ndarray:
        """Which texts take part: all, or as many as the size takes, drawn by the seed."""
        count = len(self.corpus.texts)
        if self.shape.texts is None or count <= self.shape.texts:
            return np.arange(count)
        return np.sort(self.stream("train").permutation(count)[: self.shape.texts])

    def loss(self, step: int) -> Tensor:
        rows = self._batch(step)
        return functional.cross_entropy(self.model(self.tokens[rows]), self.labels[rows])

    def _batch(self, step: int) -> np.ndarray:
        epoch, place = divmod(step, self.steps_an_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self.stream("batches", epoch).permutation(self.parts["train"]))
        return self._order[1][place * self.shape.batch : (place + 1) * self.shape.batch]

    def objective(self) -> Iterator[Tensor]:
        train = self.parts["train"]
        for rows in np.array_split(train, -(-len(train) // self.shape.batch)):
            logits = self.model(self.tokens[rows])
            yield functional.cross_entropy(logits, self.labels[rows], reduction="sum") / len(train)

    def metrics(self, *, final: bool = False) -> Metrics:
        """Scores on at most `EVALUATED` texts of a part; at the end on all test texts, and more others."""
        most = FINALLY_EVALUATED if final else EVALUATED
        self._confusion = self._confuse(self.parts["test"][: None if final else most])
        return {
            "train": _scores(self._confuse(self.parts["train"][:most])),
            "validation": _scores(self._confuse(self.parts["validation"][:most])),
            "test": _scores(self._confusion),
        }

    def watched(self, metrics: Metrics) -> float | None:
        return metrics["validation"]["accuracy"]

    def outputs(self) -> Tensor:
        return self._logits(self.parts["test"][:64])

    def scene(self) -> tuple[Arrays, dict[str, Any]]:
        counts = np.bincount(self.labels.cpu().numpy(), minlength=len(GRADES)).astype(np.int32)
        majority = np.bincount(self.labels[self.parts["test"]].cpu().numpy()).max() / len(self.parts["test"])
        meta = {
            "kind": "confusion",
            "grades": list(GRADES),
            "sample": self.sample,
            "texts": len(self.labels),
            "of": len(self.corpus.texts),
            "name": self.corpus.name,
            "generated": self.corpus.generated,
            "skipped": self.corpus.skipped,
            "majority": float(majority),
            "steps_an_epoch": self.steps_an_epoch,
        }
        return {"labels": counts}, meta

    def picture(self) -> tuple[Arrays, dict[str, Any]]:
        return {"confusion": self._confusion}, {}

    def _confuse(self, rows: np.ndarray) -> np.ndarray:
        """The confusion matrix, (true, predicted)."""
        predicted = self._logits(rows).argmax(dim=1).cpu().numpy()
        true = self.labels[rows].cpu().numpy()
        side = len(GRADES)
        return np.bincount(true * side + predicted, minlength=side**2).reshape(side, side).astype(np.int32)

    def _logits(self, rows: np.ndarray) -> Tensor:
        parts = np.array_split(rows, -(-len(rows) // 256))
        with torch.no_grad():
            return torch.cat([self.model(self.tokens[part]) for part in parts])


def builtin_corpus(size: str, noise: float = 0.0) -> Corpus:
    """The generated texts of a size, with this share of labels replaced."""
    return generate(GENERATED_TEXTS[size], GENERATED_SEED, noise)


def _split(labels: np.ndarray, stream: np.random.Generator) -> dict[str, np.ndarray]:
    """A stratified split: each grade is divided in the same proportions; rows in random order."""
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for grade in np.unique(labels):
        rows = stream.permutation(np.flatnonzero(labels == grade))
        test = max(1, round((1 - TRAIN_SHARE) * len(rows)))
        validation = max(1, round(VALIDATION_SHARE * (len(rows) - test)))
        for name, part in zip(
            ("test", "validation", "train"), np.split(rows, [test, test + validation]), strict=True
        ):
            parts[name].append(part)
    return {name: stream.permutation(np.concatenate(rows)) for name, rows in parts.items()}


def _scores(confusion: np.ndarray) -> dict[str, float]:
    """Accuracy, and F1 averaged over the grades that occur."""
    hits, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    occurring = true > 0
    f1 = 2 * hits[occurring] / (true + predicted)[occurring]
    return {"accuracy": float(hits.sum() / confusion.sum()), "macro_f1": float(f1.mean())}
