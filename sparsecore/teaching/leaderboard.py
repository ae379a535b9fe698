"""The challenge's leaderboard: finished runs, judged by the server from their own weights."""

import time
from dataclasses import dataclass

from sqlalchemy import delete, select

from sparsecore.engine.training.blobs import decode
from sparsecore.runs.store.catalogue import strip_control
from sparsecore.runs.store.database import upsert
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import NOT_DELETED, Store
from sparsecore.runs.store.tables import entries, runs
from sparsecore.teaching.challenge import Judgement, NotJudged, challenges, judge

MAX_NAME_LENGTH = 40  # maximum number of characters


@dataclass(frozen=True)
class Entry:
    """A run on the leaderboard. `value` is the judge's metric; `rank` counts from 1, ties share a rank."""

    rank: int
    run: Run
    name: str
    owner: str | None
    nonzeros: int
    value: float


def judge_run(store: Store, run: Run) -> Judgement:
    """Judge a run by the weights of its last checkpoint; raise `NotJudged` if it has no result yet."""
    if run.config.task not in challenges():
        raise NotJudged(f"there is no challenge on {run.config.task}.")
    kept = store.checkpoint(run.id)
    if run.state != "ended" or kept is None:
        raise NotJudged("only a run that has ended can be judged.")
    arrays, _meta = decode(kept[1])
    return judge(run.config.task, arrays)


def enter(store: Store, run_id: str, name: str, by: Person = HOST) -> Judgement:
    """Judge a person's own run and put it on the leaderboard under `name` if it passes.

    Entering again judges the run again and updates the name. Raises `NotJudged`, also for an unknown run, and
    `NotYours`.
    """
    run = store.get(run_id)
    if run is None:
        raise NotJudged(f"there is no run {run_id}.")
    by.require(run.owner, run.origin, f"run {run_id}")
    judgement = judge_run(store, run)
    if judgement.passes:
        facts = {
            "name": " ".join(strip_control(name).split())[:MAX_NAME_LENGTH] or run_id,
            "nonzeros": judgement.nonzeros,
        }
        facts |= {"value": judgement.value, "created": time.time()}
        row = {"run_id": run_id, "task": run.config.task, "owner": run.owner or by.owner} | facts
        with store.engine.begin() as connection:
            entered = upsert(connection, entries).values(row)
            connection.execute(entered.on_conflict_do_update(index_elements=["run_id"], set_=facts))
    return judgement


def withdraw(store: Store, run_id: str, by: Person = HOST) -> None:
    """Remove a run from the leaderboard, if it is on it; raise `NotYours`."""
    with store.engine.begin() as connection:
        row = connection.execute(select(entries.c.owner).where(entries.c.run_id == run_id)).first()
        if row is not None:
            by.require(row.owner, "page", f"the entry of run {run_id}")
            connection.execute(delete(entries).where(entries.c.run_id == run_id))


def leaderboard(store: Store, task: str) -> list[Entry]:
    """Return each person's best entry on a task: fewest weights, then better metric, then earlier entry."""
    better = entries.c.value if challenges()[task].metric.lower else -entries.c.value
    own = (entries.c.name.label("entrant_name"), entries.c.owner.label("entrant"))
    query = (
        select(*own, entries.c.nonzeros, entries.c.value, runs)
        .join(runs, runs.c.id == entries.c.run_id)
        .where(entries.c.task == task, NOT_DELETED)
        .order_by(entries.c.nonzeros, better, entries.c.created)
    )
    with store.engine.connect() as connection:
        rows = list(connection.execute(query))
    board: list[Entry] = []
    seen: set[str] = set()
    for row in rows:
        # Runs without an owner, from the command line, count individually.
        if row.entrant is not None and row.entrant in seen:
            continue
        seen |= {row.entrant} if row.entrant is not None else set()
        level = board[-1].rank if board and board[-1].nonzeros == row.nonzeros else len(board) + 1
        board.append(Entry(level, Run.of(row), row.entrant_name, row.entrant, row.nonzeros, row.value))
    return board
