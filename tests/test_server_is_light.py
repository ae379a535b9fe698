"""The server process never imports torch, jieba or optuna: it starts quickly and stays small."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

from sparsecore import corpora, dashboard

ROOT = Path(__file__).parents[1]
SERVED = [
    *(f"sparsecore.dashboard.{module.name}" for module in pkgutil.iter_modules(dashboard.__path__)),
    *(f"sparsecore.corpora.{module.name}" for module in pkgutil.iter_modules(corpora.__path__)),
    "sparsecore.config",
    "sparsecore.figures",
    "sparsecore.least_squares",
    "sparsecore.storage",
    "sparsecore.subset_regression",
    "sparsecore.lessons",
    "sparsecore.theory",
    "sparsecore.runs.for_all",
    "sparsecore.runs.guesses",
    "sparsecore.runs.retention",
    "sparsecore.runs.store",
    "sparsecore.runs.supervisor",
    "sparsecore.runs.curves",
    "sparsecore.runs.executors",
    "sparsecore.runs.automatic",
    "sparsecore.summary",
    "sparsecore.runs.frames",
    "sparsecore.runs.saved_arrays",
    "sparsecore.runs.run_archive",
    "sparsecore.__main__",
]
HEAVY = ("torch", "jieba", "optuna")


def heavy_after(*statements: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after these statements."""
    ask = f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    code = "\n".join(["import json, sys", *statements, ask])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_nothing_that_the_server_imports_brings_what_is_heavy():
    assert heavy_after(*(f"import {module}" for module in SERVED)) == []


def test_the_package_hands_its_names_on_lazily():
    assert heavy_after("import sparsecore", "sparsecore.RunConfig, sparsecore.Store, dir(sparsecore)") == []
    assert heavy_after("import sparsecore", "sparsecore.train") == ["torch"]
