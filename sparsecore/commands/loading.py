"""Find the commands by reading the files of this folder, and import a file when its command is called.

A command file has an `app`. Functions under `@app.command()` become commands of the program; an app with a
`name`, such as `typer.Typer(name="data")`, becomes a group of commands under that name.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

FOLDER = Path(__file__).parent


class LazyCommand(TyperCommand):
    """The name and help of a command; its file is imported when it gets its arguments."""

    def __init__(self, name: str, file: Path, help_text: str) -> None:
        super().__init__(name, help=help_text, rich_markup_mode=None)
        self.file = file

    def make_context(self, info_name: str | None, args: list[str], **extra: Any) -> typer.Context:
        module = import_module(f"{__package__}.{self.file.stem}")
        program = typer.Typer(rich_markup_mode=None)
        program.add_typer(module.app)
        command = typer.main.get_command(program).commands[self.name]
        return command.make_context(info_name, args, **extra)


class FoundCommands(Mapping[str, TyperCommand]):
    """The commands of the files of this folder, by name."""

    def __getitem__(self, name: str) -> LazyCommand:
        # Most files are named after their command: look there first.
        for file in sorted(command_files(), key=lambda file: file.stem != name):
            if name in (described := commands_in(file)):
                return LazyCommand(name, file, described[name])
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for file in command_files() for name in commands_in(file)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Program(TyperGroup):
    """The group of all commands.

    An error of this package ends a command with its sentence; a character that the terminal lacks does not.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"commands": FoundCommands()})

    def main(self, *args: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # where its encoding lacks a character
        return super().main(*args, **options)

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (RuntimeError, ValueError) as error:
            if not type(error).__module__.startswith("sparsecore."):
                raise
            from sparsecore.commands.terminal import FAILED, WRONG_ARGUMENTS, refuse

            refuse(str(error), WRONG_ARGUMENTS if isinstance(error, ValueError) else FAILED)


@cache
def command_files() -> list[Path]:
    """The files of this folder that may have commands."""
    return sorted(file for file in FOLDER.glob("*.py") if file != Path(__file__))


@cache
def commands_in(file: Path) -> dict[str, str]:
    """Each command of a file and its help, read from the source."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    found = {}
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name("app")], value=ast.Call(keywords=keywords)):
                for keyword in keywords:
                    if keyword.arg == "name":
                        return {ast.literal_eval(keyword.value): ast.get_docstring(module) or ""}
            case ast.FunctionDef(
                decorator_list=[ast.Call(ast.Attribute(ast.Name("app"), "command"), given), *_]
            ):
                name = ast.literal_eval(given[0]) if given else node.name.replace("_", "-")
                found[name] = ast.get_docstring(node) or ""
    return found
