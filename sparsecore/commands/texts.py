"""Use a trained text network: `python -m sparsecore evaluate | predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sparsecore.commands.data import report_errors
from sparsecore.commands.terminal import JsonFlag, RunId, refuse, show
from sparsecore.corpora.reading import read_corpus
from sparsecore.runs.store.store import Store

if TYPE_CHECKING:
    from sparsecore.engine.tasks.texts.grading import Grader, Prediction

app = typer.Typer()


@app.command()
def evaluate(
    run: RunId,
    data: Annotated[
        Path, typer.Option(help="File of graded texts, in any format that `data inspect` reads.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Evaluate a run's network on the graded texts of a file."""
    grader = _grader(run)
    with report_errors():
        corpus = read_corpus(data, least=1)
    found = grader.evaluate(corpus)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    show(
        f"accuracy {found['accuracy']:.4f}   macro-F1 {found['macro_f1']:.4f}   on {found['rows']:,} texts\n"
    )
    table = Table("grade", "precision", "recall", "F1", "texts", box=None)
    for row in found["per_class"]:
        figures = (f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))
        table.add_row(row["grade"], *figures, f"{row['support']:,}")
    show(table)


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
    except ValueError as error:
        refuse(str(error))
    if as_json:
        print(json.dumps(found.summary(), ensure_ascii=False))
    else:
        show("\n".join(_lines(found)))


def _grader(run: str) -> Grader:
    from sparsecore.runs.insights.grader import CannotGrade, grader  # imports torch

    try:
        return grader(Store(), run)
    except CannotGrade as error:
        refuse(str(error))


def _lines(found: Prediction) -> list[str]:
    probabilities: list[Any] = [f"{grade} {chance:.3f}" for grade, chance in found.probabilities.items()]
    by_weight = sorted(found.tokens, key=lambda each: -abs(each[1]))
    tokens = [f"  {weight:+.3f}  {word}" for word, weight in by_weight]
    return [f"grade      {found.grade}", f"confidence {'  '.join(probabilities)}", "words", *tokens]
