"""What a run takes of a machine is judged before it begins, rightly, and refused in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.dashboard import session
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.engine.tasks.texts.shapes import Shape
from sparsecore.runs.store import limits
from sparsecore.runs.store.limits import LimitExceeded, needed
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import words

ROOT = Path(__file__).parents[2]
EVERY = [RunConfig(task=task, size=size) for task, card in tasks().items() for size in card.sizes]
LARGEST = RunConfig(task="vulnerabilities", size="paper")
TOO_FAR_OFF = 3.0  # times what a run really takes: then people would be refused for nothing
# The whole life of a run in a worker of its own, which tells the most memory that it ever had.
LIVE = """
import json, re, sys
from pathlib import Path
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import train_one

store = Store()
run = store.create(RunConfig(**json.loads(sys.argv[1])))
assert train_one(store.home, run, "w")
assert store.get(run).reason == "max_steps"
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(int(peak) * 1024)
"""


def peak(config: RunConfig) -> int:
    """Bytes that a process had at most that trained this run and nothing else (Linux)."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    given = [sys.executable, "-c", LIVE, json.dumps(config.model_dump(exclude_defaults=True))]
    done = subprocess.run(given, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def ended_by(store: Store, config: RunConfig, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> Run:
    """The run of a limit that is set only after the run was asked for."""
    run = store.create(config, worker="w")
    monkeypatch.setenv(name, value)
    with pytest.raises(LimitExceeded):
        Worker(store, store.get(run), "w").work()
    return store.get(run)


@pytest.mark.parametrize("config", EVERY, ids=lambda config: f"{config.task}-{config.size}")
def test_the_weights_of_the_card_are_those_of_the_real_network(config: RunConfig):
    from sparsecore.engine.tasks.networks import Perceptron

    size = tasks()[config.task].sizes[config.size]
    with torch.device("meta"):
        if "widths" in size.network:
            network = Perceptron(size.network["widths"])
        else:
            network = Shape.of(config).network(size.network["vocabulary"], 0.0)
    assert size.weights == sum(weights.numel() for weights in network.parameters())


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in other units elsewhere")
@pytest.mark.parametrize(
    "given",
    [
        {"size": "demo", "max_steps": 40},
        pytest.param({"size": "paper", "max_steps": 20}, marks=pytest.mark.slow),
        pytest.param({"task": "spirals", "size": "paper", "max_steps": 40}, marks=pytest.mark.slow),
        pytest.param({"task": "vulnerabilities", "max_steps": 20}, marks=pytest.mark.slow),
        pytest.param({"task": "vulnerabilities", "size": "laptop", "max_steps": 4}, marks=pytest.mark.slow),
        pytest.param({"task": "vulnerabilities", "size": "paper", "max_steps": 2}, marks=pytest.mark.slow),
    ],
    ids=lambda given: f"{given.get('task', 'sinc')}-{given.get('size', 'demo')}",
)
def test_a_run_takes_what_was_said_and_not_much_less(home: Path, given: dict):
    config = RunConfig.parse({"theta": 0.0} | given)
    measured, said = peak(config), needed(config)
    print(f"\n{config.task} {config.size}: {measured / 1e6:,.0f} MB, judged {said / 1e6:,.0f} MB")
    assert measured <= said * 1.1
    assert said <= TOO_FAR_OFF * measured


def test_a_run_that_does_not_fit_into_free_memory_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch):
    least = needed(LARGEST) - 1
    monkeypatch.setattr(limits, "free_memory", lambda: least)
    with pytest.raises(LimitExceeded, match=r"size paper needs about .* of memory, but only .* is free now"):
        store.create(LARGEST)
    assert store.list() == []
    assert store.create(RunConfig())


def test_free_memory_is_that_of_this_machine():
    assert 0 < limits.free_memory() <= psutil.virtual_memory().total


@pytest.mark.parametrize("given", ["1GB", "1000 MB", "1g", "1000000000", "0.001e3"])
def test_a_limit_is_read_in_the_usual_units_or_refused(given: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_MEMORY", given)
    expected = "must be a size such as" if "e" in given else "allows 1.00 GB"
    with pytest.raises(ConfigError, match=expected):
        limits.require_fit(LARGEST)


def test_a_run_of_too_many_steps_is_refused_and_one_of_just_as_many_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", "500")
    with pytest.raises(LimitExceeded, match="max_steps must be at most 500"):
        store.create(RunConfig(max_steps=501))
    assert store.create(RunConfig(max_steps=500))
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", "many")
    with pytest.raises(ConfigError, match="SPARSECORE_MAX_STEPS must be a whole number from 1"):
        store.create(RunConfig(max_steps=5))


def test_a_sweep_with_one_run_that_is_too_large_is_refused_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", "500")
    spec = SweepSpec(task="sinc", densities=(0.4, 0.1), parameters={"max_steps": 501})
    with pytest.raises(LimitExceeded):
        stored.begin(store, spec)
    assert store.list() == []


def test_a_worker_looks_again_before_it_trains(store: Store, monkeypatch: pytest.MonkeyPatch):
    run = ended_by(store, RunConfig(max_steps=600), monkeypatch, "SPARSECORE_MAX_MEMORY", "1MB")
    assert run.state == "failed"
    assert "SPARSECORE_MAX_MEMORY allows" in run.error
    monkeypatch.delenv("SPARSECORE_MAX_MEMORY")
    run = ended_by(store, RunConfig(max_steps=600), monkeypatch, "SPARSECORE_MAX_STEPS", "500")
    assert run.error == "max_steps must be at most 500 on this machine (SPARSECORE_MAX_STEPS); got 600."


@pytest.mark.parametrize("command", [("train", "sinc"), ("sweep", "sinc", "--densities", "0.4")])
def test_the_command_line_refuses_in_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    for name, value, expected in (
        ("SPARSECORE_MAX_STEPS", "500", "max_steps must be at most 500"),
        ("SPARSECORE_MAX_MEMORY", "100MB", "SPARSECORE_MAX_MEMORY allows 100 MB"),
    ):
        monkeypatch.setenv(name, value)
        done = CliRunner().invoke(app, [*command, "--max-steps", "501"])
        monkeypatch.delenv(name)
        assert done.exit_code == 2
        assert expected in " ".join(done.output.split())
        assert "Traceback" not in done.output


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_lab_refuses_in_the_readers_language_and_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, language: str
):
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", "500")
    session.the_store.cache_clear()
    page = AppTest.from_file(str(ROOT / "pages" / "_navigation.py"), default_timeout=300)
    page.query_params["lang"] = language
    page.run()
    page.button(key="do_train").click().run()
    session.the_store.cache_clear()
    assert not page.exception
    expected = words(language)["limit.steps"].format(steps="20,000", most="500")
    assert [error.value for error in page.error] == [expected]
