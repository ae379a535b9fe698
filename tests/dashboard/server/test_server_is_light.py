"""The server imports no torch, and pandas only for tables: it starts quickly and stays small."""

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparsecore import commands, corpora, dashboard

ROOT = Path(__file__).parents[3]
SERVED = [
    *(module.name for module in pkgutil.walk_packages(dashboard.__path__, "sparsecore.dashboard.")),
    *(module.name for module in pkgutil.walk_packages(corpora.__path__, "sparsecore.corpora.")),
    "sparsecore.engine.config",
    "sparsecore.figures.sweep",
    "sparsecore.engine.analysis.least_squares",
    "sparsecore.engine.deploy.sparse_formats",
    "sparsecore.teaching.classroom",
    "sparsecore.teaching.lessons",
    "sparsecore.runs.insights.masks",
    "sparsecore.runs.store.store",
    "sparsecore.runs.workers.supervisor",
    "sparsecore.runs.sweeps.results",
    "sparsecore.runs.sweeps.executors",
    "sparsecore.runs.sweeps.bisection",
    "sparsecore.engine.training.blobs",
    "sparsecore.runs.store.saved_state",
    "sparsecore.runs.files.archive",
    *(module.name for module in pkgutil.iter_modules(commands.__path__, "sparsecore.commands.")),
]
HEAVY = ("torch", "jieba", "optuna")
TABLES = ("pandas", "pyarrow")  # 60 MB and half a second, which Streamlit spends on the first table


# A page in a process of its own, as the first visitor of a server opens it.
OPENED = "from tests.dashboard.opening import opened; opened({page!r})"


def loaded_after(names: tuple[str, ...], *statements: str, home: Path | None = None) -> list[str]:
    """Which of these packages a fresh interpreter has loaded after these statements."""
    ask = f"print(json.dumps([name for name in {names!r} if name in sys.modules]))"
    code = "\n".join(["import json, sys", *statements, ask])
    known = os.environ | ({} if home is None else {"SPARSECORE_HOME": str(home)})
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=known, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def heavy_after(*statements: str) -> list[str]:
    """See `loaded_after`."""
    return loaded_after(HEAVY, *statements)


def test_nothing_that_the_server_imports_brings_what_is_heavy():
    assert heavy_after(*(f"import {module}" for module in SERVED)) == []


def test_the_package_hands_its_names_on_lazily():
    assert heavy_after("import sparsecore", "sparsecore.RunConfig, sparsecore.Store, dir(sparsecore)") == []
    assert heavy_after("import sparsecore", "sparsecore.train") == ["torch"]


@pytest.mark.parametrize("page", ["lab.py", "compare.py", "lessons.py"])
def test_pages_without_a_table_bring_no_pandas(page, tmp_path):
    assert loaded_after(TABLES, OPENED.format(page=page), home=tmp_path) == []


def test_a_page_with_a_table_would_be_seen(tmp_path):
    drawn = "import streamlit as st; st.dataframe([{'a': 1}])"
    assert loaded_after(TABLES, drawn, home=tmp_path) == list(TABLES)
