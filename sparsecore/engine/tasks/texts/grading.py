"""A trained network grades texts: their logits, and why it chose a grade."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsecore.corpora.corpus import GRADES, Corpus
from sparsecore.corpora.tokens import Tokens, encode, tokenize, tokenize_uncached, unpack_words
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.networks import TextClassifier
from sparsecore.engine.tasks.texts.scores import confuse, per_class, scores
from sparsecore.engine.tasks.texts.shapes import Shape

VOCABULARY = "vocabulary"  # among the arrays that a task keeps in a checkpoint
AT_ONCE = 256  # texts


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Without dropout for a while."""
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(before)


@torch.no_grad()
def logits_of(model: TextClassifier, tokens: Tensor, lengths: np.ndarray, rows: np.ndarray) -> Tensor:
    """The outputs for some rows of `tokens`, float32 of shape (rows, 4); texts of one length go together."""
    order = np.argsort(lengths[rows], kind="stable")
    with evaluating(model):
        found = [
            model(tokens[:, : max(1, lengths[rows[part]].max())][rows[part]]).float()
            for part in np.array_split(order, -(-len(rows) // AT_ONCE))
        ]
    return torch.cat(found)[np.argsort(order, kind="stable")]


@dataclass(frozen=True)
class Prediction:
    """What a network says of one text.

    probabilities: of each grade, by name. tokens: the words that it read, in order, and what each added to
    the logit of the predicted grade to first order: the gradient of that logit with respect to the word's
    vector, times the vector (gradient × input); above 0 for the grade, below 0 against it.
    """

    grade: str
    probabilities: dict[str, float]
    tokens: list[tuple[str, float]]

    def summary(self) -> dict[str, Any]:
        """All of it as plain values, ready for JSON."""
        tokens = [{"token": word, "weight": weight} for word, weight in self.tokens]
        return {"grade": self.grade, "probabilities": self.probabilities, "tokens": tokens}


@dataclass(frozen=True)
class Grader:
    """A trained network with the vocabulary that it was trained with; nothing else is needed to grade.

    cache: where words of files and jieba's dictionary are kept, an existing folder; None to keep nothing.
    """

    model: TextClassifier
    vocabulary: dict[str, int]
    shape: Shape
    cache: Path | None = None

    @classmethod
    def of(cls, config: RunConfig, arrays: dict[str, np.ndarray], cache: Path | None = None) -> "Grader":
        """The network of a run's config and of the arrays of its checkpoint.

        Raises ValueError where they hold no vocabulary, as those of other tasks.
        """
        if f"task.{VOCABULARY}" not in arrays:
            raise ValueError(
                "the run has no saved vocabulary: only runs on texts by a recent version can grade."
            )
        words = unpack_words(arrays[f"task.{VOCABULARY}"])
        shape = Shape.of(config)
        model = shape.network(len(words), dropout=0.0)
        weights = {name.removeprefix("model."): a for name, a in arrays.items() if name.startswith("model.")}
        model.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in weights.items()})
        return cls(model.eval(), {word: place for place, word in enumerate(words)}, shape, cache)

    def evaluate(self, corpus: Corpus) -> dict[str, Any]:
        """`accuracy, macro_f1, rows, per_class` on graded texts."""
        rows = self._rows(tokenize(corpus.texts, self.cache))
        lengths = (rows != 0).sum(axis=1)
        logits = logits_of(self.model, torch.from_numpy(rows), lengths, np.arange(len(rows)))
        confusion = confuse(np.array(corpus.labels), logits.argmax(dim=1).numpy())
        return scores(confusion) | {"rows": len(rows), "per_class": per_class(confusion)}

    def predict(self, text: str) -> Prediction:
        """The grade of one text and what carried it; raises ValueError for one without words."""
        tokens = tokenize_uncached([text], self.cache)
        words = tokens[0][: self.shape.length]
        if not words:
            raise ValueError("the text has no words; write a description to grade.")
        numbers = torch.from_numpy(self._rows(tokens)[:, : len(words)])
        vectors = self.model.embedded(numbers).detach().requires_grad_()
        logits = self.model.classify(vectors, numbers == 0)[0]
        best = int(logits.argmax())
        (slope,) = torch.autograd.grad(logits[best], vectors)
        return Prediction(
            grade=GRADES[best],
            probabilities=dict(zip(GRADES, torch.softmax(logits.detach(), dim=0).tolist(), strict=True)),
            tokens=list(zip(words, (slope * vectors.detach()).sum(dim=2)[0].tolist(), strict=True)),
        )

    def _rows(self, tokens: Tokens) -> np.ndarray:
        return encode(tokens, self.vocabulary, self.shape.length)
