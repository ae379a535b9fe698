"""A comparison as HTML for the page and the report; every text is escaped.

Styles are in `assets/paper/paper.css`. Every colour comes with an arrow and a word.
"""

from collections.abc import Callable
from html import escape
from typing import Any

from sparsecore.engine.config import PAPER_METHODS
from sparsecore.figures.style import colour
from sparsecore.paper.comparison import (
    ACCURACY_HOLDS,
    COLUMNS,
    RMSE_HOLDS,
    ComparedCell,
    Comparison,
    MeanInterval,
    Side,
)
from sparsecore.paper.reasons import assumptions_of, reasons
from sparsecore.paper.reproduction import ReproducedRun, Reproduction
from sparsecore.paper.thesis import PaperTable
from sparsecore.words import Say

Link = Callable[[ReproducedRun], str | None]
ARROWS = {"better": "▲", "worse": "▼", "even": "="}
MISSING = "–"
# Sentence by whether the lowest ρ that holds and the first that breaks are known.
BREAK_KEYS = {(True, True): "at", (False, True): "first", (True, False): "never", (False, False): "unknown"}
COLUMN_HEADS = ("density", "train", "test_paper", "test_ours", "difference", "state", "why")


def comparison_tables(comparison: Comparison, say: Say, link: Link | None = None) -> str:
    """Return one HTML table per column: a row per density with printed value, ours, and the reasons."""
    widths = "<colgroup>" + "".join(f'<col class="sp-col-{head}">' for head in COLUMN_HEADS) + "</colgroup>"
    heads = "".join(f'<th scope="col">{escape(say(f"paper.head.{head}"))}</th>' for head in COLUMN_HEADS)
    floors, parts = comparison.reproduction.floors, ""
    for column in filter(comparison.column, COLUMNS):
        help_ = ""
        if column == "keep_alive":
            least = {"neuron": floors["keep_alive"], "layer": floors["keep_alive_layer"]}
            help_ = say("paper.column.keep_alive.help", **least)
        rows = "".join(_row(cell, comparison, say, link) for cell in comparison.column(column))
        caption = f"<b>{escape(say(f'paper.column.{column}'))}</b> <small>{escape(help_)}</small>"
        parts += (
            f'<table class="sp-paper sp-{column}" style="--tint: {colour(column)}">'
            f"<caption>{caption}</caption>"
            f"{widths}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        )
    return parts + f'<p class="sp-note">{escape(say("paper.interval"))}</p>'


def _row(cell: ComparedCell, comparison: Comparison, say: Say, link: Link | None) -> str:
    table, test = cell.table, cell.test
    why = [reason for reason in reasons(cell, comparison) if reason.key != "missing"]  # its state says so
    sentences = " ".join(reason.sentence(say) for reason in why)
    values = {
        "train": f"{_paper(table, cell.train)} / {_mean(table, cell.train.ours)}",
        "test_paper": _paper(table, test),
        "test_ours": f"<b>{_mean(table, test.ours)}</b>",
        "difference": _difference(table, test, say),
        "state": _state(cell, say, link),
        "why": escape(sentences),
    }
    fields = "".join(
        f'<td class="sp-{name}" data-label="{escape(say(f"paper.head.{name}"))}">{value}</td>'
        for name, value in values.items()
    )
    return f'<tr><th scope="row">{cell.density:g}</th>{fields}</tr>'


def _paper(table: PaperTable, side: Side) -> str:
    return MISSING if side.paper is None else table.format_value(side.paper)


def _mean(table: PaperTable, mean: MeanInterval | None) -> str:
    """Format a mean with its interval."""
    if mean is None:
        return MISSING
    interval = "" if mean.half is None else f" <small>± {table.format_value(mean.half)}</small>"
    return table.format_value(mean.mean) + interval


def _difference(table: PaperTable, side: Side, say: Say) -> str:
    if side.verdict is None:
        return MISSING
    word = escape(say(f"paper.verdict.{side.verdict}"))
    value = table.format_value(side.difference, signed=True)
    return f'<span class="sp-verdict sp-{side.verdict}">{ARROWS[side.verdict]} {value} {word}</span>'


def _state(cell: ComparedCell, say: Say, link: Link | None) -> str:
    counted = {"collapsed": len(cell.collapsed), "failed": len(cell.failed)}
    count = counted.get(cell.status, cell.finished)
    status = escape(say(f"paper.status.{cell.status}", count=count, total=len(cell.trials)))
    links = [
        f'<a href="{escape(address)}" target="_self">{escape(say("live.seed", seed=trial.seed))}</a>'
        for trial in cell.trials
        if link and (address := link(trial)) is not None
    ]
    return f'<span class="sp-state sp-is-{cell.status}">{status}</span> <small>{" · ".join(links)}</small>'


def breaking_points(comparison: Comparison, say: Say) -> str:
    """Return a list of the lowest ρ at which each method holds, and the rule."""
    rows = "".join(f"<li>{escape(text)}</li>" for text in breaking_sentences(comparison, say))
    lower = comparison.table.lower_is_better
    limit = f"{RMSE_HOLDS:g}" if lower else f"{ACCURACY_HOLDS:g}"
    rule = say(f"paper.breaks.rule.{'lower' if lower else 'higher'}", limit=limit)
    return f'<ul class="sp-breaks">{rows}</ul><p class="sp-note">{escape(rule)}</p>'


def breaking_sentences(comparison: Comparison, say: Say) -> list[str]:
    """Return one sentence per column: the lowest ρ at which it holds, and where it breaks."""
    sentences = []
    for column in filter(comparison.column, COLUMNS):
        low, at = comparison.breaks(column)
        key = BREAK_KEYS[low is not None, at is not None]
        values = {"method": say(f"paper.column.{column}"), "low": _rho(low), "at": _rho(at)}
        sentences.append(say(f"paper.breaks.{key}", **values))
    return sentences


def _rho(density: float | None) -> str:
    return "" if density is None else f"{density:g}"


def assumptions_table(reproduction: Reproduction, say: Say) -> str:
    """Return a table of what the thesis leaves open or misprints and what these runs do instead."""
    rows = "".join(
        f'<tr><td data-label="{escape(say("paper.settings.thesis"))}">'
        f'<span class="sp-kind">{escape(say(f"paper.kind.{assumption.kind}"))}</span> '
        f"{escape(assumption.thesis(say))}</td>"
        f'<td data-label="{escape(say("paper.settings.ours"))}">{escape(assumption.chosen(say))}</td></tr>'
        for assumption in assumptions_of(reproduction)
    )
    heads = "".join(f"<th>{escape(say(f'paper.settings.{side}'))}</th>" for side in ("thesis", "ours"))
    return f'<table class="sp-paper sp-settings"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def provenance(reproduction: Reproduction, say: Say) -> str:
    """Return the command, commit, versions, devices and number of runs of a reproduction."""
    trials = reproduction.trials
    counts = {status: sum(t.status == status for t in trials) for status in ("done", "collapsed", "failed")}
    counts |= {"total": len(trials), "open": sum(not trial.finished for trial in trials)}
    rows = {
        "paper.provenance": f"<code>{escape(reproduction.command)}</code>",
        "paper.provenance.commit": escape(reproduction.commit or say("paper.provenance.none")),
        "paper.provenance.created": escape(reproduction.created),
        "paper.provenance.versions": escape(", ".join(f"{n} {v}" for n, v in reproduction.versions.items())),
        "paper.provenance.devices": escape(", ".join(reproduction.devices)),
        "paper.provenance.runs": escape(say("paper.provenance.counted", **counts)),
    }
    terms = "".join(f"<dt>{escape(say(key))}</dt><dd>{value}</dd>" for key, value in rows.items() if value)
    return f'<dl class="sp-facts">{terms}</dl>'


def sorting_table(measured: dict[str, Any], say: Say) -> str:
    """Return Table 3-5: the thesis's seconds, and each method measured here with its ratio to ours."""
    paper = {"way": "paper"} | measured["paper"]
    rows = "".join(_sorting_row(row, say) for row in (paper, *measured["rows"]))
    layerwise = say("paper.sorting.layerwise", blocks=measured["blocks"])
    heads = (say("paper.sorting.way"), say("paper.sorting.global"), layerwise)
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    return f'<table class="sp-paper sp-sorting"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _sorting_row(row: dict[str, Any], say: Say) -> str:
    cells = []
    for scope in PAPER_METHODS:
        ratio = row.get(f"{scope}_over_ours")
        over = "" if ratio is None else f" <small>{_three(ratio)} {escape(say('paper.sorting.over'))}</small>"
        label = escape(say(f"paper.column.{scope}"))
        value = f"{row[scope]:g}" if row["way"] == "paper" else _three(row[scope])  # as printed
        seconds = f"{value} {escape(say('paper.sorting.seconds'))}"
        cells.append(f'<td data-label="{label}">{seconds}{over}</td>')
    return f'<tr><th scope="row">{escape(say("paper.sorting." + row["way"]))}</th>{"".join(cells)}</tr>'


def sorting_sentences(measured: dict[str, Any], say: Say) -> list[str]:
    """Return the thesis's extrapolation to 7 billion weights, and that of the measurements here."""
    theirs, ours = measured["paper"]["extrapolated_7B"], measured["extrapolation"]
    days, hours = theirs["global_days"], theirs["layerwise_32_parallel_hours"]
    heap = _three(ours["heap_global_days"]), _three(ours["heap_layerwise_32_parallel_hours"])
    return [
        say("paper.sorting.large.paper", days=f"{days:g}", hours=f"{hours:g}"),
        say("paper.sorting.large.heap", days=heap[0], hours=heap[1]),
        say("paper.sorting.large.ours", seconds=_three(ours["ours_global_seconds"])),
    ]


def _three(value: float) -> str:
    """Format three significant digits; large numbers keep all integer digits.

    >>> _three(0.00123456), _three(4155.4), _three(12.345)
    ('0.00123', '4,155', '12.3')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
