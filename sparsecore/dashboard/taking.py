"""The files of runs for other programs, made in processes beside this server, which has no torch."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from sparsecore.runs.store.database import environment
from sparsecore.runs.store.store import Store

AT_ONCE = 2  # processes for all sessions together: each holds torch
KEPT = 8  # runs whose files are kept for those who come next
_slots = threading.BoundedSemaphore(AT_ONCE)


class Taking(threading.Thread):
    """The files of one run: `done` of `total` are made, the next one is `form`.

    taken: at the end, the forms with their bytes and files (see `runs.takeaway.Taken`). problem: the
    sentence that says why there is none.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        super().__init__(name="taking", daemon=True)
        self.store, self.run_id = store, run_id
        self.folder = tempfile.TemporaryDirectory(prefix="sparsecore-", ignore_cleanup_errors=True)
        self.done, self.total, self.form = 0, 0, ""
        self.taken: dict[str, Any] | None = None
        self.problem = ""

    def run(self) -> None:
        with _slots:
            process = subprocess.Popen(
                [sys.executable, "-m", "sparsecore.runs.files.takeaway_process", str(self.store.home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(self.store.home, self.store.url),
                text=True,
                start_new_session=True,  # Ctrl-C in the server's terminal is the server's
            )
            process.stdin.write(json.dumps({"run": self.run_id, "folder": self.folder.name}) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                for name, value in json.loads(line).items():
                    setattr(self, name, value)
            code = process.wait()
            process.stdin.close()
        if self.taken is None and not self.problem:
            self.problem = f"its process ended with code {code}; the server's console says why."

    @property
    def is_over(self) -> bool:
        """Whether there are files, or a problem."""
        return self.taken is not None or bool(self.problem)

    def read(self, form: str) -> bytes:
        """One of the files."""
        return (Path(self.folder.name) / self.taken["forms"][form]["file"]).read_bytes()


_takings: dict[tuple[str, str], Taking] = {}
_turn = threading.Lock()


def taking(store: Store, run_id: str) -> Taking | None:
    """The files of this run, if anybody on this server has asked for them."""
    return _takings.get((str(store.home), run_id))


def take(store: Store, run_id: str) -> Taking:
    """Have them made, unless they are there or on their way; the oldest of too many are given up."""
    with _turn:
        found = taking(store, run_id)
        if found is None or found.problem:
            found = _takings[str(store.home), run_id] = Taking(store, run_id)
            found.start()
        over = [key for key, other in _takings.items() if other.is_over and other is not found]
        for key in over[: max(0, len(_takings) - KEPT)]:
            _takings.pop(key).folder.cleanup()
        return found
