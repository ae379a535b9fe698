"""The package that `pip install .` makes: it contains what it reads, and it names what it imports."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sparsecore

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

USE = """
import sparsecore as sc, torch
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
sparsifier = sc.HardThreshold(density=0.25).attach(model, optimizer)
model(torch.ones(2, 3)).sum().backward()
optimizer.step()
print(sum(int(layer.weight.count_nonzero()) for layer in (model[0], model[2])))
*_, last = sc.train(sc.RunConfig.parse({"task": TASK, "max_steps": 3, "theta": 0}))
print(type(last).__name__, last.result["steps"])
print([name for name in sc.__all__ if not hasattr(sc, name)])
"""
READ = """
from sparsecore.paper.thesis import paper_table
from sparsecore.settings import APP, PACKAGE, PAGES
from sparsecore.words import speaker
print(paper_table("3-1").task, speaker("en")("live.seed", seed=3))
print(APP.is_file() and APP.parent == PACKAGE and (PAGES / "lab.py").is_file())
"""
USED = ["4", "Ended 3", "[]"]
WITHOUT = """
import runpy
for act in (lambda: TRAIN("vulnerabilities"), lambda: sc.Store, lambda: runpy.run_module("sparsecore")):
    try:
        act()
    except (ImportError, RuntimeError, SystemExit) as error:
        print(error)
"""


def printed(code: str, folder: Path, path: Path) -> list[str]:
    """What a fresh interpreter prints that runs in `folder` and finds the package in `path`."""
    environment = os.environ | {"PYTHONPATH": str(path), "SPARSECORE_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as a wheel installs it, without its dependencies."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    alone = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(folder)]
    subprocess.run([*pip, *alone, str(ROOT)], check=True)
    return folder


def test_an_installed_package_trains_from_any_folder(installed: Path, tmp_path: Path):
    assert printed('TASK = "sinc"' + USE, tmp_path, installed) == USED


def test_an_installed_package_contains_its_assets_and_pages(installed: Path, tmp_path: Path):
    assert printed(READ, tmp_path, installed) == ["sinc seed 3", "True"]


def test_the_library_needs_none_of_the_extras(tmp_path: Path):
    names = {Requirement(line).name for lines in EXTRAS.values() for line in lines} - {"sparsecore"}
    needed = {Requirement(line).name for name in ("torch", "numba") for line in requires(name) or []}
    modules = {"scikit-learn": "sklearn", "markdown-it-py": "markdown_it"}
    absent = [modules.get(name, name.lower().replace("-", "_")) for name in sorted(names - needed)]
    # An import that is set to None raises as one that is not installed does.
    without = f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
    use = USE.replace("in sc.__all__ if", "in sc.__all__ if name != 'Store' and")
    train = "TRAIN = lambda task: list(sc.train(sc.RunConfig.parse({'task': task, 'max_steps': 1})))\n"
    *used, texts, store, commands = printed(without + 'TASK = "sinc"' + use + train + WITHOUT, tmp_path, ROOT)
    assert used == USED
    assert (texts, store, commands) == (
        'the task vulnerabilities needs cvss: pip install ".[texts]" in a copy of sparsecore.',
        'Store needs sqlalchemy: pip install ".[dashboard]" in a copy of sparsecore.',
        'Error: the command line needs typer: pip install ".[dashboard]" in a copy of sparsecore.',
    )


def test_the_project_and_the_requirements_name_the_same_packages():
    for file, lines in (
        ("requirements.txt", PROJECT["dependencies"] + EXTRAS["texts"] + EXTRAS["dashboard"]),
        ("requirements-cluster.txt", EXTRAS["cluster"]),
    ):
        pinned = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", (ROOT / file).read_text(), re.MULTILINE))
        needed = {each.name: each.specifier for each in map(Requirement, lines)}
        needed.pop("sparsecore", None)
        assert needed.keys() == pinned.keys()
        assert [name for name in needed if pinned[name] not in needed[name]] == []


def test_the_project_has_the_version_of_the_package():
    assert PROJECT["version"] == sparsecore.__version__
