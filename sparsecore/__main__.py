"""Train, compare and export sparse networks; the dashboard shows the same runs.

With `--json`, standard output is one JSON value. Progress and messages go to standard error.
"""

import sys

try:
    import typer

    from sparsecore.commands.loading import Program
except ModuleNotFoundError as error:
    from sparsecore.settings import INSTALL

    sys.exit(f"Error: the command line needs {error.name}: {INSTALL.format(extra='dashboard')}.")

app = typer.Typer(cls=Program, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback(help=__doc__)
def program() -> None: ...


if __name__ == "__main__":
    app(prog_name="python -m sparsecore")
