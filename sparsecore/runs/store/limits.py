"""The memory of a run, estimated from its config, and the limits of memory and steps for it."""

from collections.abc import Iterable
from pathlib import Path

import psutil

from sparsecore.engine.card_parts import Size
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.settings import SettingError, read_setting, size_text

# The memory limit and usage of a container, in versions 2 and 1 of control groups.
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


MB = 1_000_000
FLOAT = 4  # bytes
PROCESS = 420 * MB  # Python, torch and numba before there is a network; measured
FREED = 80 * MB  # what steps have freed and the C library keeps, of every size; measured
COMPILED = 110 * MB  # numba's compiler, wherever a network has more than few weights; measured
FEW = 4_096  # weights; below, nothing is compiled
# In float32 values for each weight: weight, gradient, two of Adam, the state before a step, the count, masks
# (7); while it is saved a copy of what is kept, the blob of that, and SQLite's copy of the blob (13).
COPIES = 20
PACKED = 4  # a kept corpus is this many times smaller than its texts
PACKED_TEXT = 300  # bytes of a text in UTF-8, about


class LimitExceeded(ConfigError):
    """The run needs more memory or steps than this machine allows.

    The message says why in English; `key` and `values` say it in the words of the pages.
    """

    def __init__(self, field: str, value: object, sentence: str, key: str, values: dict[str, str]) -> None:
        super().__init__(field, value, "less")
        self.args = (sentence,)
        self.key, self.values = key, values


def require_fit(config: RunConfig, home: Path | None = None) -> None:
    """Raise `LimitExceeded` for a run with too many steps or too little memory left for it.

    Raises `ConfigError` if a limit itself is not valid.
    """
    require_steps(config.max_steps)
    require_memory(config, needed(config, home))


def require_all_fit(configs: Iterable[RunConfig], home: Path | None = None) -> None:
    """The same for many runs; of runs of the same size only one is checked."""
    alike = {(config.task, config.size, config.data, config.max_steps): config for config in configs}
    for config in alike.values():
        require_fit(config, home)


def require_steps(steps: int | None) -> None:
    """Raise `LimitExceeded` for more steps than allowed; None, for steps not known yet, passes."""
    most = _limit("max_steps")
    if most is not None and steps is not None and steps > most:
        sentence = (
            f"max_steps must be at most {most:,} on this machine (SPARSECORE_MAX_STEPS); got {steps:,}."
        )
        raise LimitExceeded(
            "max_steps", steps, sentence, "limit.steps", {"steps": f"{steps:,}", "most": f"{most:,}"}
        )


def require_memory(config: RunConfig, wanted: int) -> None:
    """Raise `LimitExceeded` for a run that needs more bytes than are free, or than one run may use."""
    most, free = _limit("max_memory"), free_memory()
    if most is not None and wanted > most:
        why, key = (
            f"SPARSECORE_MAX_MEMORY allows {size_text(most)} per run",
            "limit.memory.allowed",
        )
    elif wanted > free:
        why, key = f"only {size_text(free)} is free now", "limit.memory.free"
    else:
        return
    sentence = (
        f"{config.task} at size {config.size} needs about {size_text(wanted)} of memory, but {why}: "
        "choose a smaller size or fewer texts, or wait until other runs have ended."
    )
    values = {"wanted": size_text(wanted), "most": size_text(free if most is None else min(most, free))}
    raise LimitExceeded("size", config.size, sentence, key, values)


def needed(config: RunConfig, home: Path | None = None) -> int:
    """Return the bytes that a process takes at most to train this run; `home` holds the texts it may name.

    Nothing is built: the card counts network and step exactly, with as many words as the size allows and
    texts of full length. Most texts are shorter, so a run takes less than this rather than more.
    """
    card = tasks()[config.task]
    size = card.sizes[config.size]
    total = PROCESS + FREED + card.memory + (COMPILED if size.weights > FEW else 0)
    total += (size.weights * COPIES + size.activations) * FLOAT
    return total + _examples(config, size, home) * size.example_bytes


def _examples(config: RunConfig, size: Size, home: Path | None) -> int:
    """How many examples there are; of kept texts judged by their file."""
    if config.data is not None and home is not None:
        file = Path(home) / "corpora" / f"{config.data}.json.gz"
        if file.is_file():
            return file.stat().st_size * PACKED // PACKED_TEXT
    return size.examples


def free_memory() -> int:
    """Bytes of memory free for a new process, on this machine or in this container."""
    free = psutil.virtual_memory().available
    for limit, used in CGROUPS:
        if Path(limit).is_file() and (text := Path(limit).read_text().strip()).isdecimal():
            free = min(free, max(0, int(text) - int(Path(used).read_text())))
    return free


def _limit(name: str) -> int | None:
    try:
        return read_setting(name)
    except SettingError as error:
        raise ConfigError(error.variable, error.given, error.expected) from error
