"""A method and a task of two files each, as somebody else would add them in a folder of their own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparsecore import words
from sparsecore.settings import extensions, variable

LOTTERY = '''
"""Keep random weights, drawn anew every few steps: what any method must beat."""

import torch

from sparsecore.engine.sparsifier.constrained import Constrained


class Lottery(Constrained):
    """The kept weights are drawn at random, every `interval` steps."""

    def __init__(self, density, *arguments, interval=5, seed=0, **options):
        super().__init__(density, *arguments, **options)
        self.interval = interval
        self.random = torch.Generator().manual_seed(seed)

    @classmethod
    def arguments(cls, config):
        return super().arguments(config) | {"seed": config.seed}

    def due(self):
        return (self.step - 1) % self.interval == 0

    def scores(self, group, places, keep):
        shapes = [self.layers[place].weight.shape for place in places]
        return [torch.rand(shape, generator=self.random) for shape in shapes]

    def state_dict(self):
        return super().state_dict() | {"random": self.random.get_state()}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.random.set_state(state["random"])
'''

LOTTERY_CARD = """
class = "lottery.Lottery"
title = { en = "lottery", zh = "抽签" }
family = { en = "random", zh = "随机" }
about = { en = "Keeps weights drawn at random.", zh = "保留随机抽取的权重。" }
formula = "w ← w ⊙ m, m random"
source = "a test"
colour = "#cc79a7"
second_colour = "#f0e442"
partner = "layerwise"
takes = ["density", "schedule", "schedule_start", "schedule_steps", "freeze_at"]

[arguments]
scope = "layer"

[answers]
score = { en = "random", zh = "随机" }
structure = { en = "weight", zh = "单个权重" }
allocation = { en = "a budget for each layer", zh = "每层一个预算" }
timing = { en = "every few steps", zh = "每隔几步" }
return = { en = "at random", zh = "随机" }
penalty = { en = "nothing", zh = "无" }

[parameters.interval]
type = "whole"
default = 5
minimum = 1
maximum = 1_000
step = 1
live = true
label = { en = "Steps between two draws", zh = "两次抽取之间的步数" }
help = { en = "How many steps the drawn weights are held.", zh = "抽到的权重保持多少步。" }
"""

STAIRS = '''
"""Fit a staircase."""

import numpy as np
import torch
from torch.nn import functional

from sparsecore.engine.tasks.base import Task
from sparsecore.engine.tasks.networks import Perceptron


class Stairs(Task):
    """y = ⌊stairs · x⌋ / stairs on [0, 1], mean absolute error."""

    criterion = staticmethod(functional.l1_loss)

    def __init__(self, config, device, home=None):
        super().__init__(config, device, home)
        x = np.linspace(0, 1, 50, dtype=np.float32)
        self.x = self.tensor(x[:, None])
        self.y = torch.floor(self.x * config.stairs) / config.stairs
        self.model = self.initialise(lambda: Perceptron(self.size.network["widths"]))

    def loss(self, step):
        return self.criterion(self.model(self.x), self.y)

    def metrics(self, *, final=False):
        with torch.no_grad():
            error = {"error": float(self.loss(0))}
        return {"train": error, "test": error}

    def outputs(self):
        with torch.no_grad():
            return self.model(self.x)

    def scene(self):
        return {"steps.x": self.x[:, 0].numpy(), "steps.y": self.y[:, 0].numpy()}, {"kind": "staircase"}

    def picture(self):
        return {"fit": self.outputs()[:, 0].numpy()}, {}
'''

STAIRS_CARD = """
class = "stairs.Stairs"
title = { en = "stairs", zh = "阶梯" }
about = { en = "Fit a staircase.", zh = "拟合阶梯。" }
source = "a test"
picture = "staircase"

[metric]
name = "error"
better = "lower"
title = { en = "mean error", zh = "平均误差" }
question = { en = "How far off is it with fewer weights?", zh = "权重减少后偏差多大？" }

[parameters.stairs]
type = "whole"
default = 3
minimum = 1
maximum = 20
step = 1
label = { en = "Stairs", zh = "级数" }
help = { en = "How many stairs there are.", zh = "有多少级。" }

[sizes.tiny]
title = { en = "tiny", zh = "微型" }
weights = 97
activations = 10_000
seconds = 0.001
record_every = 10
network = { widths = [1, 8, 8, 1] }
defaults = { learning_rate = 0.01, max_steps = 500, theta = 0.0 }
"""


def write(folder: Path, kind: str, name: str, code: str, card: str) -> Path:
    """Write the two files of a method or a task; gives the card."""
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / f"{name}.py").write_text(code, encoding="utf-8")
    path = folder / kind / f"{name}.toml"
    path.write_text(card, encoding="utf-8")
    return path


def write_all(folder: Path) -> Path:
    """Write the method `lottery` and the task `stairs`; gives the folder."""
    write(folder, "methods", "lottery", LOTTERY, LOTTERY_CARD)
    write(folder, "tasks", "stairs", STAIRS, STAIRS_CARD)
    return folder


@contextmanager
def extended(*folders: Path) -> Iterator[None]:
    """This process and those that it starts find the methods and tasks of these folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable("extensions"), ":".join(map(str, folders)))
        _forget()
        try:
            yield
        finally:
            for name, module in list(sys.modules.items()):
                if getattr(module, "__file__", None) and Path(module.__file__).parent.parent in folders:
                    del sys.modules[name]
            for package in ("methods", "tasks"):
                found = sys.modules[f"sparsecore.engine.{package}"].__path__ if _imported(package) else []
                for folder in folders:
                    if str(folder / package) in found:
                        found.remove(str(folder / package))
    _forget()


def _imported(package: str) -> bool:
    return f"sparsecore.engine.{package}" in sys.modules


def _forget() -> None:
    extensions.cache_clear()
    words._all.cache_clear()
