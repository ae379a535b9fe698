"""Assumptions where the thesis is silent or misprinted, and our own choices: a list for each table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.points import SINC_REACH, best_accuracy
from sparsecore.paper.reasons import PRINTED_ANGLE_NOISE
from sparsecore.paper.reproduction import Reproduction
from sparsecore.paper.thesis import paper_table
from sparsecore.words import Say

_SHARED = (
    ("initial", "open"),
    ("layers", "open"),
    ("layer_budget", "misprint"),
    ("distance", "misprint"),
)
_SYNTHETIC = (("repeats", "open"), ("batch", "open"), ("limit", "open"), ("floors", "ours"))
ASSUMPTIONS: dict[str, tuple[tuple[str, Literal["open", "misprint", "ours"]], ...]] = {
    "3-1": (("range", "open"), ("test_points", "open"), ("rmse", "misprint"), *_SHARED, *_SYNTHETIC),
    "3-2": (
        ("angle_noise", "misprint"),
        ("loss", "open"),
        ("weights", "misprint"),
        ("figures", "misprint"),
        *_SHARED,
        *_SYNTHETIC,
    ),
    "3-4": (("texts", "open"), ("watch", "open"), ("network", "open"), ("text_rate", "open"), *_SHARED),
}


@dataclass(frozen=True)
class Assumption:
    """One assumption: the thesis leaves it open, misprints it, or it is our own choice."""

    name: str
    kind: Literal["open", "misprint", "ours"]
    values: dict[str, Any]

    def thesis(self, say: Say) -> str:
        """Return what the thesis says, in the reader's language."""
        return say(f"paper.setting.{self.name}", **self.values)

    def chosen(self, say: Say) -> str:
        """Return what these runs do."""
        return say(f"paper.setting.{self.name}.ours", **self.values)


def assumptions_of(reproduction: Reproduction) -> list[Assumption]:
    """Return the assumptions of a table, with the values of its runs."""
    task = paper_table(reproduction.table).task
    config = RunConfig.parse({"task": task, "size": reproduction.size} | reproduction.parameters)
    values = {
        "reach": f"{SINC_REACH:g}",
        "noise": f"{config.noise:g}",
        "ceiling": f"{100 * best_accuracy(PRINTED_ANGLE_NOISE):.1f}",
        "runs": len(reproduction.seeds),
        "seeds": ", ".join(map(str, reproduction.seeds)),
        "max_steps": "" if config.max_steps is None else f"{config.max_steps:,}",
        "theta": f"{config.theta:g}",
        "learning_rate": f"{config.learning_rate:g}",
        "neuron": reproduction.floors["keep_alive"],
        "layer": reproduction.floors["keep_alive_layer"],
    }
    return [Assumption(name, kind, values) for name, kind in ASSUMPTIONS[reproduction.table]]
