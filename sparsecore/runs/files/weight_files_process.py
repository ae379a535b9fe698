"""`python -m sparsecore.runs.files.weight_files_process HOME` exports the weights of one run for the server.

Its question is the first line of standard input, `{"run": …, "folder": …}`. On standard output it prints a
line of JSON per file, and at the end the `result` or the sentence of a `problem`. It ends with its server.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from sparsecore.runs.files.weight_files import NotFinished, OutputsDiffer, write_weight_files
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.assignments import end_with_server
from sparsecore.runs.workers.worker import error_sentence, one_thread


def _print(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def main(home: Path) -> None:
    """Make the files that standard input requests."""
    question, gone = json.loads(sys.stdin.readline()), threading.Event()
    end_with_server(gone)
    one_thread()
    store = Store(home)

    def report(done: int, total: int, form: str) -> None:
        if gone.is_set():
            os._exit(1)
        _print(done=done, total=total, form=form)

    try:
        files = write_weight_files(store, question["run"], Path(question["folder"]), report)
    except KeyError:
        _print(problem="the run no longer exists.")
    except (NotFinished, OutputsDiffer) as error:
        _print(problem=str(error))
    except Exception as error:
        _print(problem=error_sentence(error))
        raise
    else:
        _print(result=files.summary())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
