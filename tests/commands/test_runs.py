"""The commands on the runs of the store: search, name, pin, delete and undo, make room."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import disk
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store


def call(*arguments: str, **more) -> Result:
    return CliRunner().invoke(app, list(arguments), **more)


def ended(store: Store, **config) -> str:
    run = store.create(RunConfig(**config), worker="w")
    store.write(run, "w", 7, [LogEntry("frame", 7, bytes(200_000))])
    store.finish(run, "w", 7, "max_steps", {}, {})
    return run


def listed(*arguments: str) -> list[str]:
    return [run["run"] for run in json.loads(call("runs", *arguments, "--json").stdout)]


def test_a_named_run_is_found_by_its_words_and_by_filters(store: Store):
    one, two = ended(store), ended(store, task="spirals", method="global")
    assert call("name", one, "[b]Best[/b]", "--note", "of the week").exit_code == 0
    assert listed("--search", "week best") == [one]
    assert listed("--task", "spirals") == listed("--method", "global") == [two]
    assert listed("--state", "queued") == []
    assert call("pin", one).exit_code == 0
    assert listed() == [one, two]
    assert listed("--pinned") == [one]
    assert call("pin", one, "--off").exit_code == 0
    assert listed() == [two, one]
    assert "[b]Best[/b]" in call("runs").stdout
    assert "of the week" in call("show", one).stdout
    assert json.loads(call("show", one, "--json").stdout)["name"] == "[b]Best[/b]"


def test_a_deleted_run_is_restored_once(store: Store):
    run = ended(store)
    assert f"restore {run}" in call("delete", run).stderr
    assert (listed(), call("show", run).exit_code) == ([], 2)
    assert call("restore", run).exit_code == 0
    assert listed() == [run]
    assert "no deleted run" in call("restore", run).stderr


@pytest.mark.parametrize("command", [("name", "x"), ("pin",), ("delete",), ("restore",)])
def test_a_run_that_is_not_there_is_one_sentence(store: Store, command: tuple[str, ...]):
    result = call(command[0], "nothere", *command[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no run 'nothere'" in result.stderr or "no deleted run 'nothere'" in result.stderr


def test_a_filter_that_is_none_and_a_name_too_long_are_refused(store: Store):
    assert "one of queued, running" in call("runs", "--state", "dead").stderr
    assert "at most 80 characters" in call("name", ended(store), "x" * 81).stderr


def test_prune_names_the_runs_asks_and_removes_them(store: Store):
    first, second = ended(store), ended(store)
    keep = ended(store)
    call("pin", first)
    target = str(disk.usage(store).occupied - 100_000)
    refused = call("prune", "--to", target, input="n\n")
    assert refused.exit_code == 1
    assert second in refused.stderr
    assert first not in refused.stderr
    assert len(listed()) == 3
    done = call("prune", "--to", target, "--yes", "--json")
    told = json.loads(done.stdout)
    assert (told["removed"], told["count"], listed()) == ([second], 1, [first, keep])
    assert told["after"] <= int(target) < told["before"]
    assert Path(store.url.database).stat().st_size <= int(target)


def test_prune_without_a_size_is_refused_and_takes_it_from_the_environment(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SPARSECORE_MAX_DISK", raising=False)
    assert "--to 2GB" in call("prune").stderr
    assert "500MB or 2GB" in call("prune", "--to", "lots").stderr
    monkeypatch.setenv("SPARSECORE_MAX_DISK", "1GB")
    assert json.loads(call("prune", "--yes", "--json").stdout)["removed"] == []
