"""Which runs can train as one batch. Nothing here imports torch: the server process asks it too."""

from __future__ import annotations

from collections.abc import Sequence

from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.config import RunConfig

LARGEST = 64  # models: past that a GPU is busy, and a batch has more to lose
LOOKED_THROUGH = 20 * LARGEST  # queued runs among which a batch is put together
NOTHING_TAKEN = 3  # the exit code of a batch process that found no run to take
ANYWHERE = "--anywhere"  # the flag that lets it take the runs of every device


def fits(config: RunConfig) -> bool:
    """Whether a run of this config can be one of a batch.

    The cards of its task and its method say so, with any density, schedule of it, seed, noise, learning rate,
    θ and number of steps. Apart stay the latent mode (a second copy of the weights), floors under the budget
    (`keep_alive`, `keep_alive_layer`) and supports that freeze.
    """
    free = config.keep_alive == config.keep_alive_layer == config.freeze_settled == 0
    both = tasks()[config.task].batches and methods()[config.method].batches is not None
    return both and config.mode == "iht" and free and config.freeze_at is None


def batchable(configs: Sequence[RunConfig], largest: int = LARGEST) -> list[list[int]]:
    """The places of `configs` in groups that can each train as one batch, every place once.

    A group shares task, size and device and holds at most `largest`; what `fits` refuses is a group of its
    own. Groups come in the order of their first, and hold theirs in the order given.

    >>> given = [{"seed": 0}, {"mode": "latent"}, {"seed": 1, "density": 0.1}, {"task": "spirals"}]
    >>> batchable([RunConfig(**each) for each in given])
    [[0, 2], [1], [3]]
    """
    groups: list[list[int]] = []
    open_groups: dict[tuple[str, str, str], list[int]] = {}
    for place, config in enumerate(configs):
        key = (config.task, config.size, config.device)
        group = open_groups.get(key) if fits(config) else None
        if group is None or len(group) >= largest:
            group = []
            groups.append(group)
            if fits(config):
                open_groups[key] = group
        group.append(place)
    return groups
