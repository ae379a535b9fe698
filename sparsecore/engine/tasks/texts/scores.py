"""Scores of predicted grades, from a confusion matrix (true, predicted)."""

from typing import Any

import numpy as np

from sparsecore.corpora.corpus import GRADES

CLASSES = len(GRADES)


def confuse(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The confusion matrix, int32 of shape (4, 4): row the true grade, column the predicted one."""
    counts = np.bincount(true * CLASSES + predicted, minlength=CLASSES**2)
    return counts.reshape(CLASSES, CLASSES).astype(np.int32)


def scores(confusion: np.ndarray) -> dict[str, float]:
    """Accuracy, and F1 averaged over the grades that occur."""
    f1 = [row["f1"] for row in per_class(confusion) if row["support"]]
    return {
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "macro_f1": float(np.mean(f1)),
    }


def per_class(confusion: np.ndarray) -> list[dict[str, Any]]:
    """Of each grade its precision, recall and F1, 0 where nothing was so graded, and its number of texts."""
    rows = []
    for place, grade in enumerate(GRADES):
        hits, true, predicted = (
            int(confusion[place, place]),
            int(confusion[place].sum()),
            int(confusion[:, place].sum()),
        )
        rows.append(
            {
                "grade": grade,
                "precision": hits / predicted if predicted else 0.0,
                "recall": hits / true if true else 0.0,
                "f1": 2 * hits / (true + predicted) if true + predicted else 0.0,
                "support": true,
            }
        )
    return rows


def weights_of(labels: np.ndarray, power: float) -> np.ndarray:
    """The weight of each grade, (1/frequency) to a power, on average 1 over these texts; 1 where none is.

    >>> weights_of(np.array([0, 0, 0, 1]), 1.0).round(3).tolist()
    [0.667, 2.0, 1.0, 1.0]
    """
    counts = np.bincount(labels, minlength=CLASSES)
    weights = np.ones(CLASSES)
    weights[counts > 0] = counts[counts > 0] ** -float(power)
    weights[counts > 0] *= len(labels) / (weights * counts).sum()
    return weights
