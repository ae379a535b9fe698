"""What a run may take of this machine: memory, and steps; one that takes more is refused before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.engine.tasks.memory import needed
from sparsecore.settings import SettingError, read_setting, size_text

# A container's own limit, and what it uses of it; of the second and of the first version of control groups.
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


class Beyond(ConfigError):
    """A run that this machine, or whoever set its limits, does not allow.

    `key` and `values` say why in the reader's language; the message does in English.
    """

    def __init__(self, field: str, value: object, sentence: str, key: str, values: dict[str, str]) -> None:
        super().__init__(field, value, "less")
        self.args = (sentence,)
        self.key, self.values = key, values


def require_fit(config: RunConfig, home: Path | None = None) -> None:
    """Raise `Beyond` for a run with too many steps, or with more memory than there is for it.

    A `ConfigError` when a limit itself cannot be read.
    """
    require_steps(config.max_steps)
    require_memory(config, needed(config, home))


def require_all(configs: Iterable[RunConfig], home: Path | None = None) -> None:
    """The same for many runs; of those alike in size, only the first is looked at."""
    alike = {(config.task, config.size, config.data, config.max_steps): config for config in configs}
    for config in alike.values():
        require_fit(config, home)


def require_steps(steps: int | None) -> None:
    """Raise `Beyond` for more steps than allowed; what is not known yet is looked at when it is."""
    most = _limit("max_steps")
    if most is not None and steps is not None and steps > most:
        sentence = (
            f"max_steps must be at most {most:,} on this machine (SPARSECORE_MAX_STEPS); got {steps:,}."
        )
        raise Beyond(
            "max_steps", steps, sentence, "limit.steps", {"steps": f"{steps:,}", "most": f"{most:,}"}
        )


def require_memory(config: RunConfig, wanted: int) -> None:
    """Raise `Beyond` for a run that wants more bytes than are free, or than one run may have."""
    most, free = _limit("max_memory"), free_memory()
    if most is not None and wanted > most:
        why, key = f"SPARSECORE_MAX_MEMORY allows {size_text(most)}", "limit.memory.allowed"
    elif wanted > free:
        why, key = f"{size_text(free)} is free now", "limit.memory.free"
    else:
        return
    sentence = (
        f"{config.task} at size {config.size} takes about {size_text(wanted)} of memory, and {why}: "
        "choose a smaller size or fewer texts, or wait until other runs have ended."
    )
    values = {"wanted": size_text(wanted), "most": size_text(free if most is None else min(most, free))}
    raise Beyond("size", config.size, sentence, key, values)


def free_memory() -> int:
    """Bytes that a new process can have: of the machine, or of the container that this runs in."""
    free = psutil.virtual_memory().available
    for limit, used in GROUPS:
        if Path(limit).is_file() and (text := Path(limit).read_text().strip()).isdecimal():
            free = min(free, max(0, int(text) - int(Path(used).read_text())))
    return free


def _limit(name: str) -> int | None:
    try:
        return read_setting(name)
    except SettingError as error:
        raise ConfigError(error.variable, error.given, error.expected) from error
