"""Write a run as a Python script: the same config, commands and numbers."""

import json
import pprint
from typing import Any

from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.settings import variable

TEMPLATE = '''"""Run {run}, written out: the same config gives the same weights.

It needs sparsecore: `pip install .` in its folder, or run the script there. On a CPU of the same kind,
with the same versions, bit for bit; on a GPU up to rounding.{needs}
"""

import sparsecore as sc
import torch

torch.set_num_threads(1)  # as in the run: several threads round sums differently

config = sc.RunConfig(
{parameters}
)
# Live changes: (steps before it, new values).
changes = {changes}
stopped_after = {stopped}  # steps, if the run was stopped
recorded = {recorded}


def command(step):
    """Return the command before the next step; None to take it."""
    if changes and changes[0][0] <= step:
        return sc.events.Change(changes.pop(0)[1])
    if stopped_after is not None and step >= stopped_after:
        return sc.events.Stop()
    return None


training = sc.train(config{home})
event = next(training)
while not isinstance(event, sc.events.Ended):
    match event:
        case sc.events.Record(step, values) if "metrics" in values:
            print(step, values["metrics"])
    event = training.send(command(event.step) if isinstance(event, sc.events.Ready) else None)

print("ended:", event.reason, "after", event.step, "steps")
print("metrics:", event.result["metrics"])
print("as recorded:", event.result["metrics"] == recorded)
'''


class NoScript(ValueError):
    """The run has no result that a script could reproduce."""


def run_script(store: Store, run: Run) -> str:
    """The text of the script. Raises NoScript for a run without a result."""
    if run.state != "ended" or not run.result:
        raise NoScript(f"run {run.id} has no result; only a finished run has a script.")
    # The device used, not the one requested: `auto` may mean another one elsewhere.
    given = run.config.model_dump() | {"device": run.result["device"]}
    config = RunConfig.parse(given)
    changes = [(row.step, json.loads(row.payload)) for row in store.entries(run.id, ["change"])]
    used = config.used()
    for method in {values["method"] for _, values in changes if "method" in values}:
        used = config.model_copy(update={"method": method}).used() | used
    lines = (f"    {name}={value!r}," for name, value in used.items())
    return TEMPLATE.format(
        run=run.id,
        parameters="\n".join(lines),
        changes=_literal(changes),
        stopped=run.result["steps"] if run.reason == "stopped" else None,
        recorded=_literal(run.result["metrics"]),
        needs=_needs(run.config, [values for _, values in changes]),
        home=", sc.Store().home" if config.data else "",
    )


def _needs(config: RunConfig, changes: list[dict[str, Any]]) -> str:
    """A sentence for what is not in this package, if anything is."""
    names = {config.method, *(values["method"] for values in changes if "method" in values)}
    cards = [tasks()[config.task], *(methods()[name] for name in sorted(names))]
    found = ", ".join(f"the {card.kind} {card.name}" for card in cards if not card.is_built_in)
    return f"\n{variable('extensions')} must name a folder that has {found}." if found else ""


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=100, sort_dicts=False)
