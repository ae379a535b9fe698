"""Background jobs of the pages: run in a thread or a child process, report progress, can be cancelled.

The server has no torch: work that needs it is done by a child process, which the job's thread reads.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Hashable
from contextlib import nullcontext, suppress
from tempfile import TemporaryDirectory
from typing import Any, Literal

from sparsecore.runs.store.database import store_environment
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.executors import Cancelled

QUICK_SECONDS = 0.5  # a job that takes no longer needs no progress bar
ONE_LINE = "10000"  # columns: the command line must not break the sentence of a refusal

logger = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled"]


class JobError(Exception):
    """The work cannot be done; the message is one sentence for the user."""


class Job:
    """One piece of work for a page.

    state: `queued` until its pool has room, then `running`; at the end `done`, `failed` or `cancelled`.
    done, total, facts: the progress as the work last reported it.
    error: the exception that ended the work. folder: the files that belong to the result.

    >>> job = Pool("example").start(lambda job: job.report(1, 2, place="here"))
    >>> job.result(), job.state, job.share, job.facts
    (None, 'done', 0.5, {'place': 'here'})
    """

    def __init__(self, work: "Callable[[Job], Any]", name: str, by: Person) -> None:
        self.name, self.by = name, by
        self.state: State = "queued"
        self.done = self.total = 0
        self.facts: dict[str, Any] = {}
        self.error: Exception | None = None
        self.is_cancelled = False
        self.process: subprocess.Popen | None = None
        self.folder: TemporaryDirectory | None = None
        self._work: Callable[[Job], Any] | None = work
        self._result: Any = None
        self._over = threading.Event()

    # -- for the page -------------------------------------------------------------------------------------

    @property
    def share(self) -> float:
        """The done share of the work, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def is_over(self) -> bool:
        """Whether the job has a result or an error."""
        return self._over.is_set()

    @property
    def problem(self) -> str:
        """Why the job failed, in one sentence; empty unless it did."""
        if self.state != "failed":
            return ""
        said = str(self.error)
        return said if isinstance(self.error, JobError) else f"{type(self.error).__name__}: {said}"

    def wait(self, seconds: float | None = QUICK_SECONDS) -> bool:
        """Wait for the end, at most this long; whether the job is over."""
        return self._over.wait(seconds)

    def result(self) -> Any:
        """Wait for the end; the result of the work, or the exception that ended it."""
        self._over.wait()
        if self.error is not None:
            raise self.error
        return self._result

    def cancel(self, by: Person = HOST) -> None:
        """Ask the work to end; work in the queue never starts. Raises NotYours for another user's job."""
        by.require(self.by.owner, self.name, f"this {self.name}")
        self.is_cancelled = True
        if self.process is not None:
            self.process.stdin.close()

    # -- for the work -------------------------------------------------------------------------------------

    def report(self, done: int, total: int, **facts: Any) -> None:
        """Set the progress, and facts that the page shows with it."""
        self.done, self.total = done, total
        self.facts |= facts

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled once the user has cancelled the job."""
        if self.is_cancelled:
            raise Cancelled

    def run_child(self, module: str, store: Store, question: dict[str, Any]) -> Any:
        """Run a module in a child process that opens the same store; its result. Raises JobError.

        The module reads the question, a line of JSON, from standard input, and ends when that is closed. It
        prints lines of JSON: `done`, `total` and facts, at the end `result`, or the sentence of a `problem`.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(store.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=store_environment(store.home, store.url),
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C in the server's terminal is the server's
        )
        last: dict[str, Any] = {}
        with process:
            with suppress(BrokenPipeError):  # it died at once: its exit code says so
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
            self.process = process
            if self.is_cancelled:
                process.stdin.close()
            for line in process.stdout:
                last = json.loads(line)
                if "done" in last:
                    self.report(**last)
            code = process.wait()
        if "result" in last:
            return last["result"]
        died = f"its process ended with code {code}; see the server's console for details."
        raise JobError(last.get("problem", died))

    def run(self) -> None:
        """Do the work in the calling thread."""
        state: State = "done"
        work, self._work = self._work, None  # it may hold the bytes of an upload
        try:
            self.stop_if_cancelled()
            self.state = "running"
            self._result = work(self)
        except Exception as error:  # noqa: BLE001 - `result` raises it, and `problem` says it
            self.error, state = error, "cancelled" if self.is_cancelled else "failed"
        self.state = state
        self._over.set()


class Pool:
    """Jobs of one kind; two users who ask for the same share one job.

    at_once: how many run at the same time, of all users together; all if None.
    kept: how many shared jobs are remembered after their end, the newest.
    """

    def __init__(self, name: str, at_once: int | None = None, kept: int = 100) -> None:
        self.name, self.kept = name, kept
        self._room = threading.BoundedSemaphore(at_once) if at_once else nullcontext()
        self._jobs: dict[Hashable, Job] = {}
        self._turn = threading.Lock()

    def find(self, key: Hashable) -> Job | None:
        """Return the job of this key, started by any user."""
        return self._jobs.get(key)

    def share(self, key: Hashable, work: Callable[[Job], Any], by: Person = HOST) -> Job:
        """The job of this key; a new one if there is none, or if it failed or was cancelled."""
        with self._turn:
            found = self.find(key)
            if found is not None and found.state not in ("failed", "cancelled"):
                return found
            self._forget(key)
            job = self._jobs[key] = self._started(Job(work, self.name, by), shared=True)
            over = [other for other, each in self._jobs.items() if each.is_over and each is not job]
            for other in over[: max(0, len(self._jobs) - self.kept)]:
                self._forget(other)
            return job

    def start(self, work: Callable[[Job], Any], by: Person = HOST) -> Job:
        """A new job that is not shared."""
        return self._started(Job(work, self.name, by), shared=False)

    def _started(self, job: Job, *, shared: bool) -> Job:
        def run() -> None:
            with self._room:
                job.run()
            if shared and job.state == "failed" and not isinstance(job.error, JobError):
                logger.error("A %s failed.", self.name, exc_info=job.error)  # the page shows one sentence

        threading.Thread(target=run, name=self.name, daemon=True).start()
        return job

    def _forget(self, key: Hashable) -> None:
        job = self._jobs.pop(key, None)
        if job is not None and job.folder is not None:
            job.folder.cleanup()


# Uploads, removals, predictions: of all sessions together, a class of thirty must not stop its pages.
SHORT_JOBS = Pool("job", at_once=2)


def in_background(work: Callable[..., Any]) -> Job:
    """Start `work(progress=…, cancelled=…)`, which calls `progress(done, total)` and checks `cancelled()`."""
    return SHORT_JOBS.start(lambda job: work(progress=job.report, cancelled=lambda: job.is_cancelled))


def run_command(*arguments: str, store: Store, seconds: float, text: str | None = None) -> Any:
    """The JSON that a command of `python -m sparsecore` prints on this store.

    text: its standard input. Raises JobError with the command's last line, or TimeoutExpired.
    """
    done = subprocess.run(
        [sys.executable, "-m", "sparsecore", *arguments, "--json"],
        env=store_environment(store.home, store.url) | {"COLUMNS": ONE_LINE},
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise JobError(said[-1].strip().removeprefix("Error: ") if said else f"exit {done.returncode}")
    return json.loads(done.stdout)
