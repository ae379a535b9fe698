"""`python -m sparsecore.runs.sweeps.layer_search_process HOME` runs one layer search for a server.

Its question is the first line of standard input, `{"spec": …, "trials": 30, "together": 2, "by": …}`. On
standard output it prints its progress, a line of JSON at every change, and at the end `result` or the
sentence of a `problem`. It trains nothing: the server's supervisor does. When standard input closes, it takes
back what is queued and ends.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.executors import Cancelled, ServerExecutor
from sparsecore.runs.sweeps.layer_search import DensityTrial, LayerSearch
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from sparsecore.runs.workers.assignments import end_with_server
from sparsecore.runs.workers.worker import error_sentence

PENDING = ("missing", "queued", "running", "paused")


class ProgressPrinter:
    """Prints the progress of a search when it has changed; raises `Cancelled` once `gone` is set."""

    def __init__(self, search: LayerSearch, total: int, gone: threading.Event) -> None:
        self.search, self.total, self.gone = search, total, gone
        self.printed: dict[str, Any] | None = None

    def __call__(self, _number: int = 0, _cells: Sequence[Cell] = ()) -> None:
        if self.gone.is_set():
            raise Cancelled
        trials = self.search.trials
        now = {
            "done": sum(_is_over(trial) for trial in trials),
            "total": self.total,
            "hopeless": sum(trial.ended == "hopeless" for trial in trials),
            "failed": sum(trial.ended == "failed" for trial in trials),
            "front": len(self.search.front()),
        }
        if now != self.printed:
            self.printed = now
            _print(now)


def _is_over(trial: DensityTrial) -> bool:
    return bool(trial.cells) and not any(cell.status in PENDING for cell in trial.cells)


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main(home: Path) -> None:
    """Run the search that standard input describes; print an error that ends it as its `problem`."""
    question, gone = json.loads(sys.stdin.readline()), threading.Event()
    end_with_server(gone)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store = Store(home)
    try:
        by = Person(**question["by"])
        search = LayerSearch(store, ServerExecutor(store), SweepSpec(**question["spec"]), by=by)
        report = ProgressPrinter(search, question["trials"], gone)
        report()
        search.run(question["trials"], question["together"], report)
        report()
        _print({"result": None})
    except Cancelled:
        return
    except Exception as error:
        _print({"problem": error_sentence(error)})
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
