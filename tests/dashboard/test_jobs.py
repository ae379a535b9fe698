"""Background jobs: state, progress, cancelling, ownership, sharing, and the lines of a child process."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sparsecore.corpora.corpus import CorpusError
from sparsecore.dashboard import jobs
from sparsecore.dashboard.jobs import Job, JobError, Pool, in_background, run_command
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.people import HOST, NotYours, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.executors import Cancelled

PATIENCE_SECONDS = 60.0
ANN, BOB = Person("ann"), Person("bob")


@pytest.fixture
def pool() -> Pool:
    return Pool("test")


class Gate:
    """Work that begins, and ends when it is let through."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> str:
        self.begun.set()
        assert self.opened.wait(PATIENCE_SECONDS)
        return "through"


def over(job: Job) -> Job:
    assert job.wait(PATIENCE_SECONDS)
    return job


# -- one job ----------------------------------------------------------------------------------------------


def test_the_result_is_that_of_the_work(pool: Pool):
    job = over(pool.start(lambda job: 7))
    assert (job.result(), job.state, job.problem) == (7, "done", "")


def test_the_share_follows_the_reports_and_is_never_above_one(pool: Pool):
    gate = Gate()

    def work(job: Job) -> None:
        job.report(1, 4, form="csr")
        gate(job)
        job.report(9, 4)

    job = pool.start(work)
    assert gate.begun.wait(PATIENCE_SECONDS)
    assert (job.state, job.is_over, job.share, job.facts) == ("running", False, 0.25, {"form": "csr"})
    gate.opened.set()
    job.result()
    assert job.share == 1.0


def test_a_job_waits_in_the_queue_until_its_pool_has_room():
    pool, gate = Pool("test", at_once=1), Gate()
    first = pool.start(gate)
    assert gate.begun.wait(PATIENCE_SECONDS)
    second = pool.start(lambda job: "second")
    assert (second.state, second.wait(0.05)) == ("queued", False)
    gate.opened.set()
    assert (first.result(), second.result()) == ("through", "second")


def test_a_job_cancelled_in_the_queue_never_starts():
    pool, gate, started = Pool("test", at_once=1), Gate(), []
    pool.start(gate)
    assert gate.begun.wait(PATIENCE_SECONDS)
    job = pool.start(started.append)
    job.cancel()
    gate.opened.set()
    with pytest.raises(Cancelled):
        job.result()
    assert (job.state, started) == ("cancelled", [])


def test_cancelled_work_ends_when_it_next_asks():
    begun, waiting = threading.Event(), threading.Event()

    def work(progress, cancelled):
        begun.set()
        while not cancelled():
            waiting.wait(0.01)
        raise CorpusError("cancelled", "Reading was cancelled; nothing was saved.")

    job = in_background(work)
    assert begun.wait(PATIENCE_SECONDS)
    job.cancel()
    with pytest.raises(CorpusError, match="cancelled"):
        job.result()
    assert job.state == "cancelled"


def test_a_failure_is_raised_by_the_result_and_said_in_a_sentence(pool: Pool):
    def fail(job: Job) -> None:
        raise OSError("disk full")

    def refuse(job: Job) -> None:
        raise JobError("the run no longer exists.")

    failed = over(pool.start(fail))
    with pytest.raises(OSError, match="disk full"):
        failed.result()
    assert (failed.state, failed.problem) == ("failed", "OSError: disk full")
    assert over(pool.start(refuse)).problem == "the run no longer exists."


def test_only_its_owner_and_the_teacher_may_cancel_a_job(pool: Pool):
    gate = Gate()
    job = pool.start(gate, by=ANN)
    with pytest.raises(NotYours, match="this test belongs to another user"):
        job.cancel(BOB)
    assert not job.is_cancelled
    job.cancel(ANN)
    job.cancel(HOST)
    assert job.is_cancelled
    gate.opened.set()


# -- shared jobs ------------------------------------------------------------------------------------------


def test_two_who_ask_the_same_share_the_job_and_its_result(pool: Pool):
    gate = Gate()
    job = pool.share("key", gate, ANN)
    assert pool.share("key", gate, BOB) is job
    assert pool.find("key") is job
    gate.opened.set()
    over(job)
    assert pool.share("key", gate, BOB) is job
    assert pool.find("another") is None


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_failed_or_cancelled_job_is_started_again(pool: Pool, cancelled: bool):
    def fail(job: Job) -> None:
        job.is_cancelled = cancelled
        raise JobError("no.")

    job = over(pool.share("key", fail))
    assert pool.find("key") is job  # its problem stays on the page until somebody asks again
    assert pool.share("key", lambda job: 1) is not job


def test_the_oldest_finished_jobs_and_their_files_are_forgotten():
    pool = Pool("test", kept=2)

    def work(job: Job) -> str:
        job.folder = TemporaryDirectory()
        return job.folder.name

    folders = [Path(over(pool.share(key, work)).result()) for key in range(3)]
    assert [pool.find(key) is not None for key in range(3)] == [False, True, True]
    assert [folder.exists() for folder in folders] == [False, True, True]


# -- child processes --------------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module that a child process can run, and gives its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(code: str) -> str:
        (tmp_path / "child_of_a_job.py").write_text(f"import json, sys\n{code}")
        return "child_of_a_job"

    return write


def test_a_child_reports_its_progress_and_its_result(pool: Pool, store: Store, module: Callable[[str], str]):
    name = module(
        "question = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'done': 1, 'total': 2, 'form': 'csr'}))\n"
        "print(json.dumps({'result': [question['n'], sys.argv[1]]}))"
    )
    job = over(pool.start(lambda job: job.run_child(name, store, {"n": 3})))
    assert (job.problem, job.result()) == ("", [3, str(store.home)])
    assert (job.done, job.total, job.facts) == (1, 2, {"form": "csr"})


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("print(json.dumps({'problem': 'no disk.'})); sys.exit(1)", "no disk."),
        ("sys.exit(3)", "its process ended with code 3; see the server's console for details."),
    ],
)
def test_what_ends_a_child_is_the_problem(
    pool: Pool, store: Store, module: Callable[[str], str], code: str, problem: str
):
    name = module(code)
    assert over(pool.start(lambda job: job.run_child(name, store, {}))).problem == problem


def test_cancelling_closes_the_childs_standard_input(pool: Pool, store: Store, module: Callable[[str], str]):
    name = module(
        "sys.stdin.readline(); print(json.dumps({'done': 0, 'total': 1}), flush=True); sys.stdin.read()"
    )
    reported = threading.Event()

    def work(job: Job) -> None:
        report, job.report = job.report, lambda *given, **facts: (report(*given, **facts), reported.set())
        job.run_child(name, store, {})

    job = pool.start(work)
    assert reported.wait(PATIENCE_SECONDS)
    job.cancel()
    assert over(job).state == "cancelled"
    assert job.process.returncode == 0


# -- commands ---------------------------------------------------------------------------------------------


def test_a_command_gives_its_json(store: Store, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 0, json.dumps({"grade": "高危"}, ensure_ascii=False), "")

    monkeypatch.setattr(jobs.subprocess, "run", run)
    found = run_command("predict", "abc", "-", store=store, seconds=5, text="SQL 注入。")
    assert found == {"grade": "高危"}
    ((command, options),) = calls
    assert command == [sys.executable, "-m", "sparsecore", "predict", "abc", "-", "--json"]
    assert (options["input"], options["timeout"], options.get("shell")) == ("SQL 注入。", 5, None)


def test_a_command_runs_on_the_store_it_is_given(tmp_path: Path, home: Path):
    store = Store(tmp_path / "another home")
    run = store.create(RunConfig())
    found = run_command("runs", store=store, seconds=PATIENCE_SECONDS)
    assert [each["run"] for each in found] == [run]
    store.close()


def test_the_last_line_of_a_refusal_is_its_sentence(store: Store, monkeypatch: pytest.MonkeyPatch):
    refused = subprocess.CompletedProcess([], 1, "", "loading\nError: Run abc has no checkpoint yet.\n")
    monkeypatch.setattr(jobs.subprocess, "run", lambda *_, **__: refused)
    with pytest.raises(JobError, match=r"^Run abc has no checkpoint yet\.$"):
        run_command("predict", store=store, seconds=5)
