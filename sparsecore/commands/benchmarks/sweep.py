"""Compare a sweep with a plain script, two workers with one, a store with none: `bench sweep`."""

import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import Progress

from sparsecore.commands.benchmarks.server import own_home
from sparsecore.commands.benchmarks.watching import Tell, mean_ratio
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.trainer import Training
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored as sweeps
from sparsecore.runs.sweeps.executors import Local
from sparsecore.runs.sweeps.spec import FINISHED, SweepSpec
from sparsecore.runs.workers.worker import Worker, one_thread
from sparsecore.settings import usable_cores

DENSITIES = (0.9, 0.5, 0.2, 0.1, 0.05)
METHODS = ("global", "layerwise")
THETA = 1e-3  # of the paper
COST_STEPS = 1_500  # of each half of a pair; a few seconds
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)  # unset for the plain script, which runs with torch's defaults


def sweep(steps: int, repeats: int, pairs: int, tell: Tell) -> dict[str, Any]:
    """Measure the seconds of the same grid three ways, alternating; then training with and without a store.

    Each way includes the start of its processes, which a longer sweep pays only once: with few `steps` it
    counts more against the sweep than against the script.
    """
    ways = {
        "plain": lambda: plain(steps),
        "one_worker": lambda: ours(steps, 1),
        "two_workers": lambda: ours(steps, 2),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    ended: dict[str, list[int]] = {}
    for repeat in range(repeats):
        for name in [*ways, *ways][repeat % 3 : repeat % 3 + 3]:
            began = time.perf_counter()
            ended[name] = ways[name]()
            taken[name].append(time.perf_counter() - began)
            tell("sweeps", sum(map(len, taken.values())), 3 * repeats)
    runs = len(METHODS) * len(DENSITIES)
    hourly = {name: 3600 * runs / statistics.median(seconds) for name, seconds in taken.items()}
    return {
        "cores": usable_cores(),
        "runs": runs,
        "steps_at_most": steps,
        "steps_taken": {name: sum(each) for name, each in ended.items()},
        "seconds": taken,
        "runs_an_hour": hourly,
        "over_plain": hourly["two_workers"] / hourly["plain"],
        "two_workers_over_one": hourly["two_workers"] / hourly["one_worker"],
        **cost(pairs, tell),
    }


def plain(steps: int) -> list[int]:
    """Train the grid with the plain script in a process; return the steps of each run."""
    cells = [f"{method}:{density}:0" for density in DENSITIES for method in METHODS]
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    command = [
        sys.executable,
        "-m",
        "sparsecore.commands.benchmarks.plain_sweep",
        str(steps),
        str(THETA),
        *cells,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line)["steps"] for line in done.stdout.splitlines()]


def ours(steps: int, workers: int) -> list[int]:
    """Train the grid as a sweep on a new store; return the steps of each run."""
    with own_home() as home:
        store = Store(home)
        parameters = {"size": "paper", "max_steps": steps}
        spec = SweepSpec(task="sinc", methods=METHODS, densities=DENSITIES, parameters=parameters)
        Local(store, workers).run(sweeps.begin(store, spec), lambda cells: None)
        cells = sweeps.cells_of(store, spec)
        store.close()
    unfinished = [cell for cell in cells if cell.status not in FINISHED]
    if unfinished:
        raise RuntimeError(f"{len(unfinished)} runs of the sweep did not end: {unfinished[0].status}.")
    return [cell.run.step for cell in cells]


def cost(pairs: int, tell: Tell) -> dict[str, Any]:
    """Compare training with store, frames, checkpoints and progress bar with bare training, in pairs."""
    one_thread()
    config = RunConfig(task="sinc", size="paper", theta=0.0, max_steps=COST_STEPS)
    wall, processor = [], []
    with own_home() as home:
        store = Store(home)  # opened once for all runs, as by a sweep's worker
        ways = {"bare": bare, "stored": partial(stored, store)}
        for way in ways.values():  # load and compile before the measurement
            way(config.model_copy(update={"max_steps": 20}))
        for pair in range(pairs):
            seconds = {}
            for name in ("bare", "stored") if pair % 2 else ("stored", "bare"):
                began = time.perf_counter(), time.process_time()
                ways[name](config)
                seconds[name] = time.perf_counter() - began[0], time.process_time() - began[1]
            wall.append(seconds["stored"][0] / seconds["bare"][0])
            processor.append(seconds["stored"][1] / seconds["bare"][1])
            tell("store and frames", pair + 1, pairs)
        store.close()
    return mean_ratio("stored_over_bare", wall) | {
        "stored_over_bare_processor": statistics.geometric_mean(processor)
    }


def bare(config: RunConfig) -> None:
    """Train with the metrics, but store and show nothing."""
    training = Training(config)
    training.record()
    while training.step < config.max_steps:
        training.advance()
        if training.is_recorded:
            training.record()
    training.result()


def stored(store: Store, config: RunConfig) -> None:
    """Train the same run with a worker, a store and a progress bar."""
    with Progress(console=Console(file=sys.stderr, quiet=True)) as bar:
        shown = bar.add_task("run", total=config.max_steps)
        run = store.get(store.create(config, worker="bench"))

        def listen(event: Any) -> None:
            bar.update(shown, completed=getattr(event, "step", 0))

        Worker(store, run, "bench", on_event=listen).work()
