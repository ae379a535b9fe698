"""Response times of the pages with thousands of finished runs: `python -m sparsecore bench store`."""

import asyncio
import math
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil
from sqlalchemy import insert
from sqlalchemy.engine import Row

from sparsecore.commands.benchmarks.server import Tab, own_home, server, server_process, wait_for
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.disk import usage
from sparsecore.runs.store.queue import SWEEP
from sparsecore.runs.store.run import WELCOME, Run, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import log, runs
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.settings import usable_cores

METHODS = ("global", "layerwise")
DENSITIES = tuple(round(0.02 * place - 0.01, 2) for place in range(1, 51))
MODEL_STEPS = 200  # of the run that is really trained
RECORDS = 10  # of its log that every run gets, in addition to the scene and the last frame
COLLAPSED_BELOW = 0.04  # a smaller global budget empties a layer of this network
AT_ONCE = 500  # runs per transaction
SEEDS = 3  # of an ordinary sweep: this many hundred of all cells

Tell = Callable[[str, int, int], None]


def store(cells: int, rounds: int, tell: Tell) -> dict[str, Any]:
    """Measure the milliseconds of each page in a store with about `cells` finished runs of one sweep.

    The Sweep page is measured twice: with a few hundred of these runs, and with all of them.

    Each page is opened (a new tab: the whole script and all messages) and rerun, `rounds` times each, on a
    real server that has shown it before. The browser's own work is not included; `cpu` is the server's
    processor time, which does not depend on other load.
    """
    with own_home() as home:
        filled = Store(home)
        began = time.perf_counter()
        sweep_id = fill(filled, cells, tell)
        seconds = time.perf_counter() - began
        usual = stored.begin(filled, grid(SEEDS * len(METHODS) * len(DENSITIES)))
        pages = {
            "lab": {"page": ""},
            "runs": {"page": "runs"},
            "sweep": {"page": "sweep", "sweep": usual},
            "sweep_of_all": {"page": "sweep", "sweep": sweep_id},
        }
        with server(home) as address:
            taken = asyncio.run(_pages(filled, address, pages, rounds, tell))
        found = {
            "cores": usable_cores(),
            "runs": len(stored.get(filled, sweep_id).spec.configs()),
            "sweep_cells": len(stored.get(filled, usual).spec.configs()),
            "store_MB": usage(filled).used / 1e6,
            "filled_in_seconds": seconds,
        }
        filled.close()
    return found | taken


def grid(cells: int) -> SweepSpec:
    """Build a sweep of both methods over many densities and seeds, with at least that number of cells."""
    seeds = -(-cells // (len(METHODS) * len(DENSITIES)))
    return SweepSpec(
        task="sinc", methods=METHODS, densities=DENSITIES, seeds=range(seeds), parameters={"size": "demo"}
    )


def fill(store: Store, cells: int, tell: Tell = lambda *_: None) -> str:
    """Fill a store with the finished runs of a sweep, with copies of one real log; return the sweep's id."""
    spec, model, logged = grid(cells), *_model(store)
    configs, chance = spec.configs(), random.Random(0)
    for start in range(0, len(configs), AT_ONCE):
        rows = [_finished(config, model, chance) for config in configs[start : start + AT_ONCE]]
        entries = [dict(entry, run_id=row["id"]) for row in rows for entry in logged]
        with store.engine.begin() as connection:
            connection.execute(insert(runs), rows)
            connection.execute(insert(log), entries)
        tell("runs", start + len(rows), len(configs))
    return stored.begin(store, spec)


def _model(store: Store) -> tuple[Run, list[dict[str, Any]]]:
    """Train a short run, return it with a part of its log, and remove it from the store."""
    from sparsecore.runs.workers.worker import Worker

    config = RunConfig.parse({"max_steps": MODEL_STEPS, "theta": 0.0})
    run_id = store.create(config, worker="bench")
    Worker(store, store.get(run_id), "bench").work()
    records = store.entries(run_id, ["record"])
    kept = [
        *store.entries(run_id, ["scene"]),
        *records[:: -(-len(records) // RECORDS)],
        *store.entries(run_id, ["frame"])[-1:],
    ]
    run = store.get(run_id)
    store.delete(run_id)
    return run, [_entry(place, row) for place, row in enumerate(kept)]


def _entry(place: int, row: Row) -> dict[str, Any]:
    values = {"kind": row.kind, "step": row.step, "payload": row.payload, "size": len(row.payload)}
    return values | {"nth": place, "stride": 1}


def _finished(config: RunConfig, model: Run, chance: random.Random) -> dict[str, Any]:
    """Build the row of a finished run of this config, with invented errors."""
    collapsed = config.method == "global" and config.density < COLLAPSED_BELOW
    error = 0.36 if collapsed else 0.07 + 0.1 * (1 - config.density) ** 12
    layers = [_layer(layer, config) for layer in model.result["layers"]]
    kept = sum(layer["nonzeros"] for layer in layers if layer["prunable"])
    result = model.result | {
        "density_target": config.density,
        "budget": kept,
        "nonzeros": kept,
        "metrics": {
            part: {name: error * chance.uniform(0.97, 1.03) for name in figures}
            for part, figures in model.result["metrics"].items()
        },
        "layers": layers,
        "seconds": chance.uniform(8, 12),
    }
    ending = {"reason": "collapsed", "detail": {"what": "empty", "layer": "fc3", "step": 49}}
    return (
        new_row(config, SWEEP)
        | {"state": "ended", "step": model.step, "started": model.started, "ended": model.ended}
        | {"result": result, "reason": "max_steps", "detail": {}}
        | (ending if collapsed else {})
    )


def _layer(layer: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """Return one layer of the model run's result with the density of another config."""
    if config.method != "global" and not layer["prunable"]:
        return layer
    size = math.prod(layer["shape"])
    kept = round(config.density * size)
    return layer | {"prunable": True, "nonzeros": kept, "density": kept / size}


async def _pages(
    store: Store, address: str, pages: dict[str, dict[str, str]], rounds: int, tell: Tell
) -> dict[str, float]:
    """Of each page how long the first who opens it waits, and the medians of it opened and run again."""
    await Tab(address).open()  # starts the welcome run, which is not measured
    for run in store.list(origin=WELCOME):
        store.command(run.id, "stop")
    wait_for(lambda: not store.list(states=["queued", "running"]), "the first run to stop")
    serving, found = server_process(address), {}
    for done, (name, place) in enumerate(pages.items()):
        opened, again, worked = [], [], []
        for turn in range(rounds + 1):
            tab = Tab(address, **place)
            opened.append(await tab.open())
            before = _worked(serving)
            again.append(await tab.run())
            worked.append(_worked(serving) - before)
            await tab.close()
            tell("pages", done * (rounds + 1) + turn + 1, len(pages) * (rounds + 1))
        found[f"{name}_first_ms"] = 1000 * opened[0]
        found[f"{name}_opened_ms"] = 1000 * statistics.median(opened[1:])
        found[f"{name}_again_ms"] = 1000 * statistics.median(again[1:])
        found[f"{name}_again_cpu_ms"] = 1000 * statistics.median(worked[1:])
    return found


def _worked(process: psutil.Process) -> float:
    """Return the processor time of a process in seconds."""
    times = process.cpu_times()
    return times.user + times.system
