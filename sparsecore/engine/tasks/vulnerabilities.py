"""Text classification: four severity grades of vulnerability descriptions (thesis, section 3.3)."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sparsecore.corpora.corpus import GRADES, Corpus
from sparsecore.corpora.generator import BUILT_IN_SEED, generate
from sparsecore.corpora.storage import load
from sparsecore.corpora.tokens import UNKNOWN, build_vocabulary, encode, pack_words, tokenize
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.base import Arrays, Metrics, Task
from sparsecore.engine.tasks.networks import TextClassifier
from sparsecore.engine.tasks.texts.grading import VOCABULARY, evaluating, logits_of
from sparsecore.engine.tasks.texts.scores import confuse, scores, weights_of
from sparsecore.engine.tasks.texts.shapes import Shape, pace
from sparsecore.engine.tasks.texts.splits import Parts, by_length, random_split, time_split, waste

PATIENCE = 5  # measurements without a better accuracy (thesis, section 3.3.3: epochs)
EARLY_PARTS = (16, 8, 4, 2)  # of the first interval between two measurements, for further ones
LEAST_STEPS = 100  # between two measurements: an epoch of a few hundred texts is too short to judge by
FINALLY_EVALUATED = 2_000


class Vulnerabilities(Task):
    """jieba tokens, a Transformer encoder, cross-entropy over four grades; accuracy and macro-F1.

    `data` of the config names kept texts in `home`; without it the built-in corpus is generated, with
    `noise` the share of its labels that is replaced.
    """

    blocks = ("blocks.*",)
    patience = PATIENCE
    model: TextClassifier

    def __init__(self, config: RunConfig, device: torch.device, home: Path | None = None) -> None:
        super().__init__(config, device, home)
        self.shape = Shape.of(config)
        self.corpus = self._corpus()
        self.chosen = self._choose()
        labels = np.array([self.corpus.labels[i] for i in self.chosen])
        self.parts = self._split(labels)
        self._encode()
        self.labels = self.tensor(labels, torch.int64)
        self.class_weights = self.tensor(weights_of(labels[self.parts["train"]], config.class_weights))
        self.steps_an_epoch = -(-len(self.parts["train"]) // self.shape.batch)
        self.measure_every = -(-LEAST_STEPS // self.steps_an_epoch) * self.steps_an_epoch
        # Most is learned before the first of them.
        self.early_measurements = [self.measure_every // part for part in EARLY_PARTS]
        if self.shape.epochs is not None:
            self.planned_steps = self.shape.epochs * self.steps_an_epoch
        self.model = self.initialise(lambda: self.shape.network(len(self.vocabulary), config.dropout))
        self.half = config.precision == "auto" and device.type == "cuda"
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])
        self._confusion = np.zeros((len(GRADES),) * 2, dtype=np.int32)

    @classmethod
    def network_of(cls, config: RunConfig, weights: Mapping[str, np.ndarray]) -> TextClassifier:
        model = Shape.of(config).network(len(weights["embedding.weight"]), dropout=0.0)
        model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        return model.eval()

    @staticmethod
    def trial_inputs(network: TextClassifier, count: int) -> np.ndarray:
        """Return texts of every length, from no word to the most that the network reads."""
        tokens = np.random.default_rng(0).integers(
            1, network.embedding.num_embeddings, (count, network.length)
        )
        lengths = np.linspace(0, network.length, count).astype(int)
        return np.where(np.arange(network.length) < lengths[:, None], tokens, 0)

    def _corpus(self) -> Corpus:
        if self.config.data is None:
            return builtin_corpus(self.shape, self.config.noise)
        if self.home is None:
            raise ValueError("texts of a file are read from a home folder: give one.")
        return load(self.config.data, self.home / "corpora")

    def _choose(self) -> np.ndarray:
        """Which texts take part: all, or as many as the size takes, drawn by the seed."""
        count = len(self.corpus.texts)
        if self.shape.texts is None or count <= self.shape.texts:
            return np.arange(count)
        return np.sort(self.stream("train").permutation(count)[: self.shape.texts])

    def _split(self, labels: np.ndarray) -> Parts:
        if self.config.split == "time":
            return time_split(self.corpus, self.chosen, self.stream("split"))
        return random_split([self.corpus.texts[i] for i in self.chosen], labels, self.stream("split"))

    def _encode(self) -> None:
        """The words as numbers of a vocabulary that knows the training texts only."""
        cache = None if self.home is None else self.home / "cache"
        tokens = tokenize([self.corpus.texts[i] for i in self.chosen], cache)
        shape = self.shape
        self.vocabulary = build_vocabulary(tokens, self.parts["train"], shape.vocabulary, shape.min_count)
        rows = encode(tokens, self.vocabulary, shape.length)
        self.lengths = (rows != 0).sum(axis=1)
        self.tokens = self.tensor(rows, torch.int32)

    def loss(self, step: int) -> Tensor:
        rows = self.batch(step)
        with self._randomness(step), self._precision():
            logits = self.model(self._hidden(self.tokens[:, : max(1, self.lengths[rows].max())][rows]))
        return self._entropy(logits.float(), rows) / len(rows)

    def _entropy(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """The weighted cross-entropy, summed over rows."""
        return functional.cross_entropy(
            logits,
            self.labels[rows],
            weight=self.class_weights,
            label_smoothing=self.config.label_smoothing,
            reduction="sum",
        )

    def batch(self, step: int) -> np.ndarray:
        """The texts of the step after `step` steps; a function of the seed and the step alone."""
        epoch, place = divmod(step, self.steps_an_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._batches(epoch))
        return self._epoch[1][place]

    def _batches(self, epoch: int) -> list[np.ndarray]:
        return by_length(self.parts["train"], self.lengths, self.shape.batch, self.stream("batches", epoch))

    def _hidden(self, tokens: Tensor) -> Tensor:
        """The same words but for some that a training step reads as unknown."""
        share = self.config.word_dropout
        if share == 0:
            return tokens
        chosen = torch.rand(tokens.shape, device=tokens.device) < share
        return torch.where(chosen & (tokens != 0), self.vocabulary[UNKNOWN], tokens)

    def _randomness(self, step: int) -> AbstractContextManager[None]:
        drawn = self.config.dropout or self.config.word_dropout
        return self.drawing("dropout", step) if drawn else nullcontext()

    def _precision(self) -> AbstractContextManager[None]:
        return torch.autocast("cuda", torch.bfloat16, enabled=self.half)

    def objective(self) -> Iterator[Tensor]:
        """Without dropout, which no certificate could repeat, and in full precision."""
        train = self.parts["train"]
        for rows in np.array_split(train, self.steps_an_epoch):
            with evaluating(self.model):
                logits = self.model(self.tokens[rows])
            yield self._entropy(logits, rows) / len(train)

    def pace(self, step: int) -> float:
        return pace(self.shape, self.config, self.steps_an_epoch, step)

    def metrics(self, *, final: bool = False) -> Metrics:
        """Scores on at most `evaluated` texts of a part; at the end on all test texts, and more others."""
        most = FINALLY_EVALUATED if final else self.shape.evaluated
        self._confusion = self._confuse(self.parts["test"][: None if final else most])
        return {
            "train": scores(self._confuse(self.parts["train"][:most])),
            "validation": scores(self._confuse(self.parts["validation"][:most])),
            "test": scores(self._confusion),
        }

    def watched(self, metrics: Metrics) -> float | None:
        return metrics[self.config.watch]["accuracy"]

    def outputs(self) -> Tensor:
        return self._logits(self.parts["test"][:64])

    def facts(self) -> dict[str, Any]:
        model = self.model
        return {
            "weights": {
                "encoder": sum(p.numel() for p in model.blocks.parameters() if p.ndim == 2),
                "head": model.head.weight.numel(),
                "embedding": model.embedding.weight.numel(),
            },
            "padding_waste": waste(self._batches(0), self.lengths),
            "steps_an_epoch": self.steps_an_epoch,
            "parts": {name: len(rows) for name, rows in self.parts.items()},
        }

    def scene(self) -> tuple[Arrays, dict[str, Any]]:
        labels, test = self.labels.cpu().numpy(), self.parts["test"]
        counts = np.bincount(labels, minlength=len(GRADES)).astype(np.int32)
        meta = {
            "kind": "confusion",
            "grades": list(GRADES),
            "sample": [(self.corpus.texts[self.chosen[i]], int(labels[i])) for i in test[:6]],
            "texts": len(labels),
            "of": len(self.corpus.texts),
            "name": self.corpus.name,
            "generated": self.corpus.generated,
            "skipped": self.corpus.skipped,
            "majority": float(np.bincount(labels[test]).max() / len(test)),
        }
        return {"labels": counts}, meta | self.facts()

    def picture(self) -> tuple[Arrays, dict[str, Any]]:
        return {"confusion": self._confusion}, {}

    def kept(self) -> Arrays:
        return {VOCABULARY: pack_words(self.vocabulary)}

    def _confuse(self, rows: np.ndarray) -> np.ndarray:
        predicted = self._logits(rows).argmax(dim=1).cpu().numpy()
        return confuse(self.labels[rows].cpu().numpy(), predicted)

    def _logits(self, rows: np.ndarray) -> Tensor:
        with self._precision():
            return logits_of(self.model, self.tokens, self.lengths, rows)


def builtin_corpus(shape: Shape, noise: float = 0.0) -> Corpus:
    """The generated texts of a size, with this share of labels replaced."""
    return generate(shape.generated, BUILT_IN_SEED, noise)
