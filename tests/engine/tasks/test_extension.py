"""A task of two files in a folder of its own is a task like the others: none other is touched."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sparsecore.engine.batch.grouping import fits
from sparsecore.engine.cards import CardError, tasks
from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.engine.training.blobs import decode
from sparsecore.engine.training.trainer import Training
from sparsecore.figures.sweep import metric_curve
from sparsecore.runs.files.archive import export_run, import_run
from sparsecore.runs.store.limits import needed
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Local
from sparsecore.runs.sweeps.results import points
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import speaker, words
from tests.extension import STAIRS, STAIRS_CARD, extended, write, write_all


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the task `stairs`, which this process finds."""
    made = write_all(tmp_path / "extension")
    with extended(made):
        yield made


def config(**parameters: object) -> RunConfig:
    given = {"task": "stairs", "density": 0.5, "max_steps": 40, "device": "cpu"}
    return RunConfig.parse(given | parameters)


def test_it_has_its_words_its_first_size_and_its_defaults(folder: Path):
    assert [words(language)["task.stairs"] for language in ("en", "zh")] == ["stairs", "阶梯"]
    assert [words(language)["size.tiny"] for language in ("en", "zh")] == ["tiny", "微型"]
    assert words("zh")["live.metric.error"] == "平均误差"
    assert list(tasks()) == ["sinc", "spirals", "vulnerabilities", "stairs"]
    found = RunConfig(task="stairs")
    assert (found.size, found.learning_rate, found.max_steps, found.theta) == ("tiny", 0.01, 500, 0.0)
    assert (found.stairs, found.noise) == (3, 0.0)
    assert needed(found) > 0


def test_its_sizes_and_its_parameters_are_its_own(folder: Path):
    with pytest.raises(ConfigError, match=r"^size must be one of tiny for stairs; got 'paper'"):
        config(size="paper")
    with pytest.raises(ConfigError, match=r"^size must be one of demo, paper for sinc; got 'tiny'"):
        RunConfig.parse({"size": "tiny"})
    with pytest.raises(ConfigError, match=r"^stairs must be a whole number, at least 1 and at most 20"):
        config(stairs=21)
    with pytest.raises(ConfigError, match=r"^noise must be 0: stairs has no noise"):
        config(noise=0.1)
    assert "stairs" not in RunConfig.parse({"stairs": 7}).model_dump()
    assert config(stairs=3).digest() == config().digest() != config(stairs=4).digest()
    assert not fits(config())


def test_it_goes_on_bit_for_bit(folder: Path):
    whole, first = Training(config()), Training(config())
    for step in range(40):
        whole.advance()
        if step < 20:
            first.advance()
    again = Training(config())
    again.restore(first.checkpoint())
    for _ in range(20):
        again.advance()
    here, there = whole.checkpoint().arrays, again.checkpoint().arrays
    assert all(np.array_equal(here[name], there[name]) for name in here)


def test_its_runs_are_exported_imported_and_replayed(folder: Path, store: Store, tmp_path: Path):
    run = store.create(config(), worker="w")
    Worker(store, store.get(run), "w").work()
    file = io.BytesIO()
    export_run(store, run, file)
    file.seek(0)
    elsewhere = Store(tmp_path / "elsewhere")
    copy = import_run(elsewhere, file).run
    scene = decode(elsewhere.entries(copy, ["scene"])[0].payload)[1]
    assert scene["kind"] == "staircase"
    assert len(decode(elsewhere.entries(copy, ["frame"])[-1].payload)[0]["picture.fit"]) == 50
    elsewhere.close()


def test_a_sweep_trains_it_and_its_metric_is_drawn(folder: Path, store: Store):
    spec = SweepSpec(task="stairs", densities=(1.0, 0.5), parameters={"max_steps": 30, "stairs": 2})
    assert stored.estimate(store, spec) > 0
    Local(store, workers=1).run(stored.begin(store, spec), lambda cells: None)
    found = points(stored.cells_of(store, spec))
    assert {(point.metric, point.method) for point in found} == {
        ("error", name) for name in ("dense", "global", "layerwise")
    }
    figure = metric_curve(found, metric="error", say=speaker("zh"))
    assert figure.layout.yaxis.title.text == "平均误差"
    assert figure.layout.yaxis.tickformat is None


def test_the_command_line_trains_it(folder: Path, home: Path):
    command = [sys.executable, "-m", "sparsecore", "train", "stairs"]
    asked = ["--stairs", "4", "--max-steps", "20", "--density", "0.5", "--json"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    assert (printed["task"], printed["size"], printed["config"]["stairs"]) == ("stairs", "tiny", 4)
    assert list(printed["metrics"]["test"]) == ["error"]


def test_a_parameter_of_a_method_and_a_task_cannot_share_a_name(folder: Path, tmp_path: Path):
    other = tmp_path / "other"
    card = STAIRS_CARD.replace("[parameters.stairs]", "[parameters.interval]")
    write(other, "tasks", "ladder", STAIRS, card.replace("stairs.Stairs", "ladder.Stairs"))
    with extended(folder, other), pytest.raises(CardError, match=r"interval .* of the method lottery"):
        RunConfig.parse({"task": "ladder", "method": "lottery"})
