"""How soon the pages answer beside thousands of finished runs: `python -m sparsecore bench store`."""

from __future__ import annotations

import asyncio
import math
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil
from sqlalchemy import insert
from sqlalchemy.engine import Row

from sparsecore.commands.benchmarks.browser_tab import Tab
from sparsecore.commands.benchmarks.classroom import server_process
from sparsecore.commands.benchmarks.own_home import own_home
from sparsecore.commands.benchmarks.watching import server, wait_for
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.disk import usage
from sparsecore.runs.store.queue import SWEEP
from sparsecore.runs.store.run import WELCOME, Run, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import log, runs
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec

METHODS = ("global", "layerwise")
DENSITIES = tuple(round(0.02 * place - 0.01, 2) for place in range(1, 51))
MODEL_STEPS = 200  # of the one run that is really trained
RECORDS = 10  # of its log, beside its scene and its last frame, that every run has
COLLAPSED_BELOW = 0.04  # a global budget smaller than this kills a layer here
AT_ONCE = 500  # runs in one transaction
SEEDS = 3  # of a sweep as a person has one: this many hundred cells of all that are there

Tell = Callable[[str, int, int], None]


def store(cells: int, rounds: int, tell: Tell) -> dict[str, Any]:
    """Milliseconds that each page takes beside the finished runs of one sweep of about so many cells.

    The Sweep page twice: of a few hundred of those cells, and of all of them.

    A page is opened (a new tab: its whole script, and all that is sent of it) and run again, `rounds` times
    each, on a real server that has shown it once. The browser's own work is not in it; `cpu` is what the
    server had of the cores, whatever else the machine does.
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
            "cores": os.cpu_count(),
            "runs": len(stored.get(filled, sweep_id).spec.configs()),
            "sweep_cells": len(stored.get(filled, usual).spec.configs()),
            "store_MB": usage(filled).used / 1e6,
            "filled_in_seconds": seconds,
        }
        filled.close()
    return found | taken


def grid(cells: int) -> SweepSpec:
    """A sweep of both methods over many densities and seeds, of at least so many cells."""
    seeds = -(-cells // (len(METHODS) * len(DENSITIES)))
    return SweepSpec(
        task="sinc", methods=METHODS, densities=DENSITIES, seeds=range(seeds), parameters={"size": "demo"}
    )


def fill(store: Store, cells: int, tell: Tell = lambda *_: None) -> str:
    """Finished runs of a sweep, each with the log of one that was really trained; gives the sweep's id."""
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
    """A short run that is trained here, and what is kept of its log; it is not left in the store."""
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
    told = {"kind": row.kind, "step": row.step, "payload": row.payload, "size": len(row.payload)}
    return told | {"nth": place, "stride": 1}


def _finished(config: RunConfig, model: Run, chance: random.Random) -> dict[str, Any]:
    """A run of this config that has ended as such a run does, with errors that are made up."""
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
    """One layer of the model's result, cut to the density of another config."""
    if config.method != "global" and not layer["prunable"]:
        return layer
    size = math.prod(layer["shape"])
    kept = round(config.density * size)
    return layer | {"prunable": True, "nonzeros": kept, "density": kept / size}


async def _pages(
    store: Store, address: str, pages: dict[str, dict[str, str]], rounds: int, tell: Tell
) -> dict[str, float]:
    """Of each page how long the first who opens it waits, and the medians of it opened and run again."""
    await Tab(address).open()  # begins the run that greets everybody, which is not what is measured
    for run in store.list(origin=WELCOME):
        store.command(run.id, "stop")
    wait_for(lambda: not store.list(states=["queued", "running"]), "the first run to stop")
    serving, found = psutil.Process(server_process(address)), {}
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
    """Seconds that a process has had of the cores."""
    times = process.cpu_times()
    return times.user + times.system
