"""The network that a run on texts has trained, from the store alone: its texts may be gone.

Imports torch, so a server runs it in another process: `python -m sparsecore predict RUN TEXT --json`.
"""

from __future__ import annotations

from sparsecore.engine.cards import tasks
from sparsecore.engine.tasks.texts.grading import Grader, Prediction
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.store.store import Store


class NotTrained(ValueError):
    """A run whose network cannot grade texts; the message is one sentence."""


def grader(store: Store, run_id: str) -> Grader:
    """What a run's last checkpoint holds; raises NotTrained where that cannot grade.

    Of a run that still trains it is the network as it was a moment ago.
    """
    run = store.get(run_id)
    if run is None:
        raise NotTrained(f"there is no run {run_id!r}; list the runs with python -m sparsecore runs.")
    if not tasks()[run.config.task].reads_texts:
        raise NotTrained(f"run {run_id} is on {run.config.task}; only a run on texts can grade.")
    found = store.checkpoint(run_id)
    if found is None:
        raise NotTrained(f"run {run_id} has no checkpoint yet; wait until one is saved.")
    cache = store.home / "cache"
    cache.mkdir(exist_ok=True)
    try:
        return Grader.of(run.config, decode(found[1])[0], cache)
    except (ValueError, RuntimeError) as error:  # the second: an imported checkpoint of another network
        raise NotTrained(f"run {run_id} cannot grade: {error}") from error


def predict(store: Store, run_id: str, text: str) -> Prediction:
    """The grade that a run's network gives a text, and which words carried it; raises NotTrained."""
    return grader(store, run_id).predict(text)
