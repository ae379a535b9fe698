"""Grade texts with the network of a run, from the store alone: the training texts may be gone.

Imports torch, so a server runs it in another process: `python -m sparsecore predict RUN TEXT --json`.
"""

from sparsecore.engine.cards import tasks
from sparsecore.engine.tasks.texts.grading import Grader
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.store.store import Store


class CannotGrade(ValueError):
    """The network of the run cannot grade texts; the message is one sentence."""


def grader(store: Store, run_id: str) -> Grader:
    """The network of a run's last checkpoint. Raises CannotGrade."""
    run = store.get(run_id)
    if run is None:
        raise CannotGrade(f"there is no run {run_id!r}; list the runs with python -m sparsecore runs.")
    if not tasks()[run.config.task].reads_texts:
        raise CannotGrade(f"run {run_id} is on {run.config.task}; only a run on texts can grade.")
    found = store.checkpoint(run_id)
    if found is None:
        raise CannotGrade(f"run {run_id} has no checkpoint yet; wait until one is saved.")
    cache = store.home / "cache"
    cache.mkdir(exist_ok=True)
    try:
        return Grader.of(run.config, decode(found[1])[0], cache)
    except (ValueError, RuntimeError) as error:  # the second: an imported checkpoint of another network
        raise CannotGrade(f"run {run_id} cannot grade: {error}") from error
