"""The command line starts quickly: it imports a command's file only when that command is called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.commands.loading import FoundCommands, command_files, commands_in

ROOT = Path(__file__).parents[2]
HEAVY = {"numpy", "pydantic", "rich", "sqlalchemy", "streamlit", "torch"}


def imported_by(home: Path, *arguments: str) -> set[str]:
    """The modules that a command has imported in a process of its own, the program's commands as well."""
    code = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['sparsecore', *{arguments!r}]\n"
        "from sparsecore.__main__ import app\n"
        "app()"
    )
    environment = os.environ | {"SPARSECORE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr))


def test_the_help_imports_nothing_heavy_and_no_command(tmp_path: Path):
    modules = imported_by(tmp_path, "--help")
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("sparsecore.")} == {
        "sparsecore.__main__",
        "sparsecore.commands",
        "sparsecore.commands.loading",
    }


def test_runs_imports_what_a_list_needs(tmp_path: Path):
    modules = imported_by(tmp_path, "runs")
    assert modules & {"torch", "streamlit", "plotly", "scipy", "jieba", "rich.progress"} == set()
    assert "sqlalchemy.dialects.postgresql" not in modules
    assert "sparsecore.commands.runs" in modules
    assert "sparsecore.commands.sweep" not in modules


def test_every_command_is_found_by_its_name():
    assert {"train", "runs", "show", "sweep", "import", "export", "data", "bench"} <= set(FoundCommands())
    names = [name for file in command_files() for name in commands_in(file)]
    assert len(names) == len(set(names)) == len(FoundCommands())


@pytest.mark.parametrize("name", list(FoundCommands()))
def test_the_overview_and_a_commands_own_help_say_the_same(name: str):
    own = " ".join(CliRunner().invoke(app, [name, "--help"]).stdout.split())
    first = FoundCommands()[name].help.splitlines()[0]
    assert first
    assert first in own


def test_a_mistyped_command_is_answered_with_a_like_one():
    done = CliRunner().invoke(app, ["trian"])
    assert done.exit_code == 2
    assert "No such command 'trian'. Did you mean 'train'" in " ".join(done.stderr.split())
