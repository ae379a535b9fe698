"""Group runs that can train as one batch. Imports no torch: the server process calls it too."""

from collections.abc import Sequence

from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.config import RunConfig

LARGEST = 64  # models; a larger batch does not fill a GPU better and loses more when it is killed
LOOKED_THROUGH = 20 * LARGEST  # queued runs that are searched for the members of a batch
NOTHING_TAKEN = 3  # the exit code of a batch process that found no run to take
ANYWHERE = "--anywhere"  # the flag that lets it take the runs of every device


def fits(config: RunConfig) -> bool:
    """Whether a run of this config can be one of a batch.

    The cards of the task and the method decide, for any density, schedule, seed, noise, learning rate, θ and
    number of steps. Excluded are the latent mode (a second copy of the weights), minimum counts
    (`keep_alive`, `keep_alive_layer`) and supports that freeze.
    """
    free = config.keep_alive == config.keep_alive_layer == config.freeze_settled == 0
    both = tasks()[config.task].batches and methods()[config.method].batches is not None
    return both and config.mode == "iht" and free and config.freeze_at is None


def batchable(configs: Sequence[RunConfig], largest: int = LARGEST) -> list[list[int]]:
    """Partition the indices of `configs` into groups that can each train as one batch.

    A group shares task, size and device and has at most `largest` members; a config that `fits` refuses is
    a group of its own. Groups are ordered by their first member, members by the order given.

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
