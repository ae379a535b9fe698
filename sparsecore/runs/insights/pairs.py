"""Choose two runs to compare, and configs that complete a pair."""

from collections.abc import Sequence

from sparsecore.engine.cards import methods, reference
from sparsecore.engine.config import PAPER_METHODS, RunConfig
from sparsecore.runs.store.run import Run


def closest_run(run: Run, others: Sequence[Run]) -> Run | None:
    """The run of the same task that differs from `run` in the fewest settings; of equal ones the first.

    Runs of another size come after those of the same size, and runs with equal settings last.
    """
    alike = [other for other in others if other.id != run.id and other.config.task == run.config.task]
    return min(
        (other for other in alike if has_started(other)),
        key=lambda other: _distance(run, other),
        default=None,
    )


def newest_pair(runs: Sequence[Run]) -> tuple[Run, Run] | None:
    """The newest run, of runs in this order, that has one of its size with other settings; that one first.

    Prefers runs that have trained over queued ones.
    """
    return _pair([run for run in runs if run.step]) or _pair([run for run in runs if has_started(run)])


def _pair(runs: Sequence[Run]) -> tuple[Run, Run] | None:
    for run in runs:
        other = closest_run(run, runs)
        if other is not None and other.config.size == run.config.size and other.config != run.config:
            return other, run
    return None


def missing_configs(run: Run | None) -> list[RunConfig]:
    """Return the configs to train for a pair that differs only in its method: both, or the missing one."""
    if run is None:
        return [RunConfig(method=method) for method in PAPER_METHODS]
    method = methods()[run.config.method].partner or reference()
    settings = run.config.model_dump() | {"method": method}
    if "layer_densities" not in methods()[method].takes:
        settings["layer_densities"] = None
    return [RunConfig.parse(settings)]


def has_started(run: Run) -> bool:
    """Whether the run has trained a step, or will soon."""
    return bool(run.step) or run.active


def _distance(run: Run, other: Run) -> tuple[bool, bool, int]:
    here, there = run.config.model_dump(), other.config.model_dump()
    differing = sum(here.get(name) != there.get(name) for name in here | there)
    return run.config.size != other.config.size, not differing, differing
