"""Names, notes and texts that try to be more than words: in the terminal, in figures, in the store.

On pages they are tried in a browser: tests/browser/test_hostile_words.py.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.commands import terminal
from sparsecore.commands.terminal import CONTROLS, escape_controls
from sparsecore.engine.config import RunConfig
from sparsecore.figures.reports.run import run_report
from sparsecore.figures.teaching import leaderboard_figure
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.catalogue import strip_control
from sparsecore.runs.store.log import LogEntry as Row
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.workers.worker import Worker
from sparsecore.teaching.challenge import challenges
from sparsecore.teaching.leaderboard import MAX_NAME_LENGTH, Entry
from sparsecore.words import speaker

ESCAPES = "\x1b[31m\x1b]8;;http://evil\x07link\x1b[2J\x9b2J\x7f\b\r"
TURNS = "\u202eevil\u2066\u200f\u2028 up"
MARKUP = "<b>x</b><a href='javascript:1'>[red]r[/red] :warning: [link=http://evil]l[/link]"
HOSTILE = f"{MARKUP} {TURNS} {ESCAPES}\0"
SHORT = "[red]r[/red] :warning: \x1b[31m\x9b2J\r\b \u202eevil\u2066"
PLOTLY = "<b>bold</b> <a href='http://evil'>link</a><br>%{y} $x^2$"


def named_by_an_older_version(store: Store, name: str) -> str:
    """A run whose name nobody has looked at before it was kept."""
    run = store.create(RunConfig(), worker="w")
    values = {"name": name, "note": name, "state": "failed", "error": name, "worker": None}
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run).values(values))
    return run


def told(*arguments: str) -> str:
    """What a command prints, on standard output or standard error."""
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "2000"})
    assert not done.exception or isinstance(done.exception, SystemExit)
    return done.output


# -- in the terminal --------------------------------------------------------------------------------------


def test_a_terminal_is_given_no_orders_by_a_name(store: Store):
    run = named_by_an_older_version(store, SHORT)
    for output in (told("runs"), told("show", run), told("prune", "--to", "1B", "--yes")):
        assert "[red]r[/red]" in output
        assert ":warning:" in output
        assert not CONTROLS.search(output)
    assert "\\x1b[31m" in output
    assert "\\u202eevil" in output


def test_nor_by_a_word_of_a_text_that_was_graded(capsys: pytest.CaptureFixture[str]):
    terminal.show(f"words\n  +0.5  {HOSTILE}")
    output = capsys.readouterr().out
    assert output.startswith("words\n")
    assert "\\x1b[31m" in output
    assert not CONTROLS.search(output)


def test_nor_by_the_name_of_a_file_that_is_refused(tmp_path: Path):
    output = told("data", "inspect", str(tmp_path / f"{TURNS}\x1b[31m.csv"))
    assert "There is no file" in output
    assert not CONTROLS.search(output)
    assert "\\x1b[31m" in output


def test_colours_of_our_own_are_left_to_a_terminal():
    file = io.StringIO()
    console = terminal.Terminal(file=file, force_terminal=True, color_system="standard")
    console.print(f"[red]Error:[/red] {terminal.escape(HOSTILE)}")
    assert file.getvalue().startswith("\x1b[31mError:\x1b[0m ")
    assert not CONTROLS.search(re.sub("\x1b\\[[0-9;]*m", "", file.getvalue()))


def test_other_scripts_and_emoji_are_seen_as_they_are():
    for text in ("漏洞 – naïve ρ ≤ ½", "שלום", "مرحبا", "👩\u200d🔬", "line\n\ttab"):
        assert escape_controls(text) == text
        assert strip_control(text.replace("\t", "")) == text.replace("\t", "")


# -- kept -------------------------------------------------------------------------------------------------


def test_names_and_notes_are_kept_without_what_is_obeyed_and_not_seen(store: Store):
    run = store.create(RunConfig())
    catalogue.describe(store, run, name=f"{TURNS}\x1b[31m\0", note=HOSTILE)
    kept = store.get(run)
    assert kept.name == "evil\u200f up[31m"
    assert kept.note.startswith(MARKUP)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", kept.name + kept.note)


# -- in figures and reports -------------------------------------------------------------------------------


def test_no_name_is_in_a_figure_where_plotly_would_read_markup(store: Store):
    run = store.create(RunConfig.parse({"max_steps": 40, "theta": 0.0}), worker="w")
    Worker(store, store.get(run), "w").work()
    catalogue.describe(store, run, name=PLOTLY, note=PLOTLY)
    page = run_report(store, store.get(run))
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    scripts = page.removeprefix(text)
    assert text.count("&lt;b&gt;bold&lt;/b&gt;") == 5  # the title of the file; in each language name and note
    assert "<b>bold" not in text
    for script in re.findall(r"Plotly\.newPlot\(.*?</script>", scripts, flags=re.DOTALL):
        assert "evil" not in script
    for task, challenge in challenges().items():
        found = [Entry(1, store.get(run), PLOTLY[:MAX_NAME_LENGTH], "ann", 100, 0.99)]
        figure = leaderboard_figure(found, challenge, say=speaker("en")).to_json()
        assert "evil" not in figure
        assert "bold" not in figure, task


def test_a_run_that_failed_tells_why_in_words(store: Store):
    run = store.create(RunConfig.parse({"max_steps": 3, "theta": 0.0}), worker="w", by=Person("ann"))
    store.write(run, "w", 0, [Row("record", 0, b'{"loss": 1.0, "density": [1.0]}')])
    store.fail(run, f"{MARKUP}</main><script>owned=1</script>")
    page = run_report(store, store.get(run))
    assert "<script>owned" not in page
    assert "&lt;script&gt;owned=1" in page
