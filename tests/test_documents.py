"""README and the documents of `assets/docs` are right: links, paths, commands, labels and examples."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
from markdown_it import MarkdownIt
from markdown_it.token import Token
from torch import nn
from typer.main import get_command

import sparsecore as sc
from sparsecore.__main__ import app
from sparsecore.dashboard import documents
from sparsecore.engine.cards import Card, MethodCard, TaskCard
from sparsecore.settings import Settings, child_environment, variable
from sparsecore.words import words

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONTRIBUTING = documents.FOLDER / "contributing.md"
FILES = [README, *sorted(documents.FOLDER.glob("*.md"))]
COMMANDS = (
    "pip install -r requirements.txt && streamlit run app.py",
    "pip install -r requirements.txt -r tests/requirements.txt && python -m pytest",
)
COMMAND_LINE = get_command(app)
PLACEHOLDER = "NAME"  # in the path of a file that a reader makes

each_document = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def tokens(file: Path) -> Iterator[Token]:
    """All tokens of a document, those within a line too."""
    for token in MarkdownIt("commonmark").enable("table").parse(file.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def code(file: Path) -> list[str]:
    """Every piece of code: a line of a block, or code within a line."""
    found = [each.content for each in tokens(file) if each.type in ("fence", "code_inline")]
    return [line for text in found for line in text.splitlines()]


def test_readme_is_short_and_has_one_picture_and_both_commands():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert [each.attrGet("src") for each in tokens(README) if each.type == "image"] == ["assets/docs/lab.png"]
    assert set(COMMANDS) <= set(code(README))


def test_every_document_is_in_the_index_once():
    listed = [name for _, names in documents.menu() for name in names]
    assert sorted([*listed, documents.INDEX]) == sorted(documents.names())


@each_document
def test_links_and_pictures_lead_somewhere(file: Path):
    for token in tokens(file):
        address = token.attrGet("src" if token.type == "image" else "href")
        if address is None or "://" in address:
            continue
        path, _, anchor = address.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.is_file(), address
        if anchor:
            anchors = {heading.anchor for heading in documents.document(target.stem).headings}
            assert anchor in anchors, address


@each_document
def test_paths_and_modules_exist(file: Path):
    text = file.read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/.])(?:sparsecore|tests|assets|pages)/[\w./-]*\w/?", text):
        assert PLACEHOLDER in path or (ROOT / path).exists(), path
    for module in re.findall(r"\bsparsecore(?:\.[a-z_]+)+", text):
        assert importlib.util.find_spec(module), module


@each_document
def test_commands_and_their_options_exist(file: Path):
    for line in code(file):
        if line.startswith("python -m sparsecore ") and "COMMAND" not in line:
            arguments = shlex.split(line, comments=True)[3:]
            COMMAND_LINE.main([*arguments, "--help"], standalone_mode=False)  # raises for an unknown option


@each_document
def test_bold_words_are_labels_of_the_screen(file: Path):
    labels = set(words("en").values())
    for bold in re.findall(r"\*\*(.+?)\*\*", file.read_text(encoding="utf-8")):
        assert bold in labels, f"{bold!r} is not in assets/words/en.json"


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict]:
    """What the examples call by name, after a few steps of training."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 2))
    optimizer = torch.optim.Adam(model.parameters())
    batches = [(torch.randn(8, 20), torch.randn(8, 2)) for _ in range(3)]
    sparsifier = sc.HardThreshold(density=0.1).attach(model, optimizer)
    for x, y in batches:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/ranks", rank=0, world_size=1)
    yield {
        "sc": sc,
        "torch": torch,
        "nn": nn,
        "model": model,
        "optimizer": optimizer,
        "batches": batches,
        "loss": nn.functional.mse_loss,
        "x": x,
        "y": y,
        "sparsifier": sparsifier,
        "w1": torch.randn(30, 50),
        "w2": torch.randn(50),
        "shards": [torch.randn(30, 50)],
        **dict.fromkeys(("lightning", "transformers", "module", "arguments"), MagicMock()),
    }
    torch.distributed.destroy_process_group()


EXAMPLES = [
    pytest.param(token.content, id=f"{file.stem}-{place}")
    for file in FILES
    for place, token in enumerate(each for each in tokens(file) if each.info == "python")
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example: str, names: dict):
    exec(compile(example, "example", "exec"), names)
    if "optimizer.step()" in example:
        model, sparsifier = names["model"], names["sparsifier"]
        weights = [layer.weight for layer in sparsifier.layers]
        assert sum(int(weight.count_nonzero()) for weight in weights) == sum(sparsifier.budgets().values())
        assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_architecture_says_what_each_dependency_is_for():
    text = (documents.FOLDER / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    explained = {name for row in rows for name in re.sub(r" \((cluster|tests)\)", "", row).split(", ")}
    for file in ("requirements.txt", "requirements-cluster.txt", "tests/requirements.txt"):
        pinned = re.findall(r"^([\w-]+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert set(pinned) <= explained, file


def test_the_method_of_the_recipe_trains(tmp_path: Path):
    blocks = {each.info: each.content for each in tokens(CONTRIBUTING) if each.info}
    (tmp_path / "methods").mkdir()
    for kind, ending in (("python", "py"), ("toml", "toml")):
        (tmp_path / "methods" / f"no_regrowth.{ending}").write_text(blocks[kind], encoding="utf-8")
    environment = child_environment(tmp_path / "home") | {variable("extensions"): str(tmp_path)}
    (line,) = [each for each in code(CONTRIBUTING) if each.startswith("python") and "no_regrowth" in each]
    command = [sys.executable, *line.split()[1:], "--max-steps", "40", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["method"], result["nonzeros"]) == ("no_regrowth", result["budget"])


@pytest.mark.parametrize("card", [MethodCard, TaskCard])
def test_the_recipes_name_every_key_of_a_card(card: type[Card]):
    text = CONTRIBUTING.read_text(encoding="utf-8")
    keys = [field.alias or name for name, field in card.model_fields.items() if name != "path"]
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_every_setting_is_in_a_document():
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    assert [name for name in Settings.model_fields if f"`{variable(name)}`" not in text] == []


def test_readme_shows_the_library_in_six_lines():
    (example,) = [each.content for each in tokens(README) if each.info == "python"]
    assert len([line for line in example.splitlines() if line.strip()]) == 6
