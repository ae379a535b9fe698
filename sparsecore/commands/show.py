"""Show one run of the store: `python -m sparsecore show`."""

from __future__ import annotations

import json

import typer

from sparsecore.commands import terminal
from sparsecore.commands.terminal import JsonFlag, RunId, recovered_store, refuse
from sparsecore.runs.store.run import Run

app = typer.Typer()


@app.command()
def show(run: RunId, as_json: JsonFlag = False) -> None:
    """Show the settings and results of a run."""
    found = recovered_store().get(run)
    if found is None:
        refuse(f"there is no run {run!r}; list the runs with python -m sparsecore runs.")
    print_run(found, as_json)


def print_run(run: Run, as_json: bool) -> None:
    """Print a run for people, or as JSON."""
    if as_json:
        print(json.dumps(run.summary(), ensure_ascii=False))
        return
    config, result = run.config, run.result or {}
    lines = [
        f"run        {run.id}   {run.reason or run.state}{_why(run)}",
        *_labels(run),
        f"task       {config.task} ({config.size}), seed {config.seed}",
        f"method     {config.method}, ρ = {config.density:g}",
    ]
    if result:
        lines.append(
            f"non-zeros  {result['nonzeros']:,} of a budget of {result['budget']:,}"
            f" (density {result['density']:.4f}) after {result['steps']:,} steps, {result['seconds']:.1f} s"
        )
        if "weights" in result:
            counts = "  ".join(f"{name} {count:,}" for name, count in result["weights"].items())
            lines.append(f"weights    {counts}; padding waste {result['padding_waste']:.3f}")
        for part, figures in result["metrics"].items():
            lines.append(f"{part:<10} " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        for layer in result["layers"]:
            exempt = "" if layer["prunable"] else "  (not pruned)"
            shape = "×".join(str(side) for side in layer["shape"])
            lines.append(f"  {layer['name']:<20} {shape:>10}  {layer['density']:7.1%}{exempt}")
    terminal.show("\n".join(lines))


def _labels(run: Run) -> list[str]:
    note = (run.note or "").replace("\n", "\n           ")
    labels = {"name": run.name, "note": note, "pinned": "yes" if run.pinned else None}
    return [f"{key:<10} {value}" for key, value in labels.items() if value]


def _why(run: Run) -> str:
    detail = run.detail or {}
    if run.error:
        return f": {run.error}"
    if run.reason == "collapsed":
        what = f"layer {detail['layer']} is empty" if "layer" in detail else "the output ignores the input"
        return f": {what} from step {detail['step']:,}"
    if run.reason == "diverged":
        return f": the {detail['what']} became infinite or NaN at step {detail['step']:,}"
    return ""
