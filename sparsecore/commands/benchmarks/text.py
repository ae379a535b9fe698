"""The thesis's claim on texts at laptop size, compared with a linear model on the same split."""

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sparsecore.corpora.corpus import Corpus
from sparsecore.corpora.storage import save
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.texts.scores import confuse, scores
from sparsecore.engine.tasks.texts.shapes import Shape
from sparsecore.engine.tasks.vulnerabilities import Vulnerabilities, builtin_corpus
from sparsecore.engine.training.events import Ended, Ready, Scene
from sparsecore.engine.training.loop import train

BASELINE = "baseline"
# Parameters of each row; None for the linear model.
ROWS: dict[str, dict[str, Any] | None] = {
    BASELINE: None,
    "dense": {"method": "dense"},
    "layerwise-0.02": {"method": "layerwise", "density": 0.02},
    "layerwise-0.01": {"method": "layerwise", "density": 0.01},
    "global-0.1": {"method": "global", "density": 0.1},
    "global-0.05": {"method": "global", "density": 0.05},
    "global-0.05-alive": {"method": "global", "density": 0.05, "keep_alive": 1},
}
# Test accuracy on 146,514 unpublished texts (thesis, Table 3-4).
THESIS = {
    "dense": 0.6663,
    "layerwise-0.02": 0.6270,
    "layerwise-0.01": 0.5394,
    "global-0.1": 0.2881,
    "global-0.05": 0.3646,
}
# Of the linear model: rare characters carry no information, and more columns only cost memory.
LEAST_TEXTS, MOST_COLUMNS, REGULARISATION = 3, 200_000, 4.0
REPORT_EVERY = 10  # steps of a worker process

Progress = Callable[[str, int, int], None]  # name and seed of a row, steps done, total steps


def text(
    corpus: Corpus | None,
    home: Path,
    seeds: Sequence[int] = (0, 1, 2),
    rows: Sequence[str] = tuple(ROWS),
    progress: Progress = lambda what, done, total: None,
    workers: int = 1,
    **parameters: Any,
) -> dict[str, Any]:
    """Measure accuracy and macro-F1 on the test texts of each row: mean and standard deviation over seeds.

    Each seed has its own split, the same for every row. `corpus` None uses the built-in texts; `parameters`
    are those of a run (`size` is laptop by default). Each worker has one thread and, if there are several, a
    process of its own. Raises ConfigError, and ValueError for an unknown row.
    """
    unknown = [row for row in rows if row not in ROWS]
    if unknown or not rows or not seeds:
        raise ValueError(f"rows must be among {', '.join(ROWS)}, and seeds one or more; got {unknown}.")
    given = {"task": "vulnerabilities", "size": "laptop"} | parameters
    name = (corpus or builtin_corpus(Shape.of(RunConfig.parse(given)))).name
    if corpus is not None:
        given["data"] = save(corpus, home / "corpora")
    jobs = [_Job(row, _config(row, given, seed), home) for seed in seeds for row in rows]
    found = _here(jobs, progress) if workers == 1 else _side_by_side(jobs, progress, workers)
    by_row = {row: [run for job, run in zip(jobs, found, strict=True) if job.row == row] for row in rows}
    table = [_summary(row, runs) for row, runs in by_row.items()]
    return {"data": name, "size": given["size"], "seeds": " ".join(map(str, seeds)), "rows": table}


class _Job(NamedTuple):
    row: str
    config: RunConfig
    home: Path


def _config(row: str, given: dict[str, Any], seed: int) -> RunConfig:
    return RunConfig.parse(given | (ROWS[row] or {"method": "dense"}) | {"seed": seed})


def _here(jobs: Sequence[_Job], progress: Progress) -> list[dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_done(job, progress) for job in jobs]
    finally:
        torch.set_num_threads(threads)


def _side_by_side(jobs: Sequence[_Job], progress: Progress, workers: int) -> list[dict[str, Any]]:
    """Train in several processes, which report their progress through a queue."""
    spawning = multiprocessing.get_context("spawn")
    queue = spawning.Queue()
    listening = threading.Thread(target=lambda: [progress(*each) for each in iter(queue.get, None)])
    listening.start()
    try:
        with ProcessPoolExecutor(workers, spawning, _start, (queue,)) as pool:
            return list(pool.map(_done, jobs))
    finally:
        queue.put(None)
        listening.join()


_queue: Any = None  # of a process of `_side_by_side`, for its progress


def _start(queue: Any) -> None:
    """Prepare a process of the pool: its queue for progress, and one thread."""
    global _queue
    _queue = queue
    torch.set_num_threads(1)


def _report(what: str, done: int, total: int) -> None:
    if done % REPORT_EVERY == 0:
        _queue.put((what, done, total))


def _done(job: _Job, progress: Progress = _report) -> dict[str, Any]:
    began = time.perf_counter()
    work = _linear if job.row == BASELINE else _trained
    found = work(job.config, job.home, f"{job.row}, seed {job.config.seed}", progress)
    return found | {"seconds": time.perf_counter() - began}


def _summary(row: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "row": row,
        "accuracy": statistics.mean(run["accuracy"] for run in runs),
        "accuracy_sd": _spread([run["accuracy"] for run in runs]),
        "macro_f1": statistics.mean(run["macro_f1"] for run in runs),
        "macro_f1_sd": _spread([run["macro_f1"] for run in runs]),
        "thesis_accuracy": THESIS.get(row),
        "head_nonzeros": None if row == BASELINE else [run["head_nonzeros"] for run in runs],
        "seconds": statistics.mean(run["seconds"] for run in runs),
        "ended": ", ".join(dict.fromkeys(run["ended"] for run in runs)),
    }


def _spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation, None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def _trained(config: RunConfig, home: Path, what: str, progress: Progress) -> dict[str, Any]:
    total = 0
    for event in train(config, home):
        match event:
            case Ready(step):
                progress(what, step, total)
            case Ended(_, reason, _, result):
                head = result["layers"][-1]["nonzeros"]
                return result["metrics"]["test"] | {"ended": reason, "head_nonzeros": head}
            case Scene(_, meta):
                total = meta["max_steps"]
    raise AssertionError("a run always ends")


def _linear(config: RunConfig, home: Path, what: str, progress: Progress) -> dict[str, Any]:
    """Train logistic regression on TF-IDF of character 1–3-grams, also on the validation texts."""
    # Takes a second to import, and only this row needs it.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    progress(what, 0, 3)
    task = Vulnerabilities(config, torch.device("cpu"), home)
    texts = np.array([task.corpus.texts[i] for i in task.chosen], dtype=object)
    labels = task.labels.numpy()
    known, test = np.concatenate([task.parts["train"], task.parts["validation"]]), task.parts["test"]
    vectors = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, 3),
        min_df=LEAST_TEXTS,
        max_features=MOST_COLUMNS,
        sublinear_tf=True,
    )
    learned = vectors.fit_transform(texts[known])
    progress(what, 1, 3)
    model = LogisticRegression(C=REGULARISATION, max_iter=200, tol=1e-3).fit(learned, labels[known])
    progress(what, 2, 3)
    predicted = model.predict(vectors.transform(texts[test]))
    return scores(confuse(labels[test], predicted)) | {"ended": ""}
