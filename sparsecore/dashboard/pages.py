"""The pages of the app: each file of `pages/` is one, and states its icon and its place in the menu.

The file's name is the page's name: `sweep.py` answers at `/sweep` under the title `page.sweep` of the words.
The first page of the menu answers at `/`.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sparsecore.settings import PAGES

STATED = {"ICON": str, "ORDER": int}


@dataclass(frozen=True)
class Page:
    """A page: `path` is its URL path, empty for the first of the menu."""

    file: Path
    icon: str
    order: int
    path: str

    @property
    def name(self) -> str:
        return self.file.stem


class PageError(ValueError):
    """A file of `pages/` does not state what the menu needs; the message names the file."""


def pages(folder: Path = PAGES) -> list[Page]:
    """Every page of a folder in the order of the menu; files with a leading underscore are none."""
    files = [file for file in folder.glob("*.py") if not file.name.startswith("_")]
    stated = {file: _stated(file, file.stat().st_mtime_ns) for file in files}
    files.sort(key=lambda file: (stated[file]["ORDER"], file.name))
    return [
        Page(file, stated[file]["ICON"], stated[file]["ORDER"], file.stem if place else "")
        for place, file in enumerate(files)
    ]


def page_file(name: str) -> Path:
    """The file of the page with this name, for a link to it."""
    return PAGES / f"{name}.py"


@cache
def _stated(file: Path, _changed: int) -> dict[str, str | int]:
    """The constants of a page, read from its source: running it would draw it."""
    found = {}
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in STATED and isinstance(node.value, ast.Constant):
                found[name] = node.value.value
    for name, kind in STATED.items():
        if type(found.get(name)) is not kind:
            raise PageError(f"pages/{file.name} must state {name} = … ({kind.__name__}) at its top level.")
    return found
