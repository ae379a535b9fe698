"""Labels of runs, and the curves of a second run for the live view."""

from __future__ import annotations

import json
from typing import Any

from sparsecore.dashboard.controls import say
from sparsecore.engine.cards import methods
from sparsecore.engine.training.frame_reading import Scene
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

LISTED = 20  # runs to choose from
LOOKED_AT = 200  # of the newest runs of all tasks
POINTS = 400  # of the second curve; more are not visible


def comparable(store: Store, run: Run) -> list[dict[str, str]]:
    """Return id and name of the newest started runs of the same task."""
    others = [r for r in store.list(limit=LOOKED_AT) if r.config.task == run.config.task and r.step]
    return [{"id": r.id, "label": label(r)} for r in others if r.id != run.id][:LISTED]


def label(run: Run) -> str:
    """Describe a run: method, ρ, size, seed, id."""
    size, seed = say(f"size.{run.config.size}"), say("live.seed", seed=run.config.seed)
    return f"{short(run)} · {size} · {seed} · {run.id}"


def short(run: Run) -> str:
    """Describe a run for a legend: method and ρ."""
    method = say(f"method.{run.config.method}")
    takes = methods()[run.config.method].takes
    return method if "density" not in takes else f"{method} ρ {run.config.density:g}"


def curves(store: Store, run_id: str) -> dict[str, Any]:
    """Return a run's metrics so far: at most `POINTS` rows of step and metrics, and its steps per epoch."""
    run = store.get(run_id)
    records = [(row.step, json.loads(row.payload)) for row in store.entries(run_id, ["record"])]
    rows = [{"step": step, "metrics": values["metrics"]} for step, values in records if values.get("metrics")]
    stride = -(-len(rows) // POINTS) if rows else 1
    scene = next((Scene.read(row.payload).meta for row in store.entries(run_id, ["scene"])), {})
    return {
        "id": run_id,
        "label": label(run),
        "short": short(run),
        "method": run.config.method,
        "steps_an_epoch": scene.get("steps_an_epoch"),
        "rows": rows[::stride] + (rows[-1:] if (len(rows) - 1) % stride else []),
    }
