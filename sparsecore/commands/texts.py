"""Use a trained text network: `python -m sparsecore evaluate | predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from sparsecore.commands.data import reading, report_errors
from sparsecore.commands.terminal import JsonFlag, RunId, answer, refuse, with_options
from sparsecore.corpora.reading import read_corpus
from sparsecore.runs.store.store import Store

if TYPE_CHECKING:
    from sparsecore.engine.tasks.texts.grading import Grader, Prediction

app = typer.Typer()


@app.command()
@with_options(reading)
def evaluate(
    run: RunId,
    data: Annotated[
        Path, typer.Option(help="File of graded texts, in any format that `data inspect` reads.")
    ],
    as_json: JsonFlag = False,
    **options: Any,
) -> None:
    """Evaluate a run's network on the graded texts of a file."""
    grader = _grader(run)
    with report_errors():
        corpus = read_corpus(data, least=1, **reading(**options))
    found = grader.evaluate(corpus)
    scores = f"accuracy {found['accuracy']:.4f}   macro-F1 {found['macro_f1']:.4f}"
    table = Table("grade", "precision", "recall", "F1", "texts", box=None)
    for row in found["per_class"]:
        figures = (f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))
        table.add_row(row["grade"], *figures, f"{row['support']:,}")
    answer(found, as_json, Group(f"{scores}   on {found['rows']:,} texts\n", table))


@app.command()
def predict(
    run: RunId,
    text: Annotated[str, typer.Argument(help="Description to grade; - reads standard input.")],
    as_json: JsonFlag = False,
) -> None:
    """Grade one text and show its influential words: gradient × input, positive supports the grade."""
    grader = _grader(run)
    try:
        found = grader.predict(typer.get_text_stream("stdin").read() if text == "-" else text)
    except ValueError as error:  # an empty text
        refuse(str(error))
    answer(found.summary(), as_json, "\n".join(_lines(found)))


def _grader(run: str) -> Grader:
    from sparsecore.runs.insights.grader import grader  # imports torch

    return grader(Store(), run)


def _lines(found: Prediction) -> list[str]:
    probabilities: list[Any] = [f"{grade} {chance:.3f}" for grade, chance in found.probabilities.items()]
    by_weight = sorted(found.tokens, key=lambda each: -abs(each[1]))
    tokens = [f"  {weight:+.3f}  {word}" for word, weight in by_weight]
    return [f"grade      {found.grade}", f"confidence {'  '.join(probabilities)}", "words", *tokens]
