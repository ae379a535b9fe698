"""A sweep's cells as HTML: what waits, trains, ended, collapsed or failed, and why; a bar of the whole.

Pure functions; styles are in `assets/page.css`. Colour never stands alone: every cell has a sign or a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby

from sparsecore.figures.layers import layer_name
from sparsecore.runs.sweep import Cell

Say = Callable[..., str]
NUMBERED = 5  # with more seeds than this a cell is a row of small squares, without numbers
TOLD = 6  # reasons in full below the grid
SIGNS = {"missing": "", "queued": "·", "paused": "‖", "stopped": "‖", "failed": "!"}


def grid(cells: Sequence[Cell], say: Say, language: str) -> str:
    """Densities across and methods down (on a phone the other way round), in each place its seeds."""
    densities = sorted({cell.config.density for cell in cells}, reverse=True)
    methods = list(dict.fromkeys(c.config.method for c in cells if c.config.method != "dense")) or ["dense"]
    dense = any(cell.config.method == "dense" for cell in cells)
    small = " sp-small" if len({cell.config.seed for cell in cells}) > NUMBERED else ""
    parts = ['<b class="sp-corner">ρ</b>', *(f"<b>{escape(say(f'method.{name}'))}</b>" for name in methods)]
    for density in densities:
        own = [cell for cell in cells if cell.config.density == density]
        parts.append(f"<b>{density:g}</b>")
        if dense and density == 1:
            chips = "".join(_chip(cell, say, language) for cell in own if cell.config.method == "dense")
            parts.append(f'<div class="sp-place sp-span" data-method="dense">{chips}</div>')
            continue
        for method in methods:
            chips = "".join(_chip(cell, say, language) for cell in own if cell.config.method == method)
            parts.append(f'<div class="sp-place" data-method="{method}">{chips}</div>')
    label = escape(say("sweep.alt.grid"))
    style = f"--methods:{len(methods)};--densities:{len(densities)}"
    head = f'<div class="sp-grid{small}" role="group" aria-label="{label}" style="{style}">'
    return f"{head}{''.join(parts)}</div>"


def _chip(cell: Cell, say: Say, language: str) -> str:
    status, run = cell.status, cell.run
    sign = SIGNS.get(status, "")
    fill = ""
    if status == "running":
        share = done_share(cell)
        sign, fill = (f"{share:.0%}", f' style="--done:{share:.4f}"') if share is not None else ("…", "")
    elif cell.metric is not None and status in ("done", "collapsed"):
        sign = value(cell)
    if status == "collapsed":
        sign = f"{sign} ✕"
    title = escape(f"{name(cell, say)}: {_told(cell, say)}")
    text = f'<span class="sp-chip" data-status="{status}" title="{title}"{fill}>{escape(sign)}</span>'
    if run is None or run.state == "queued":
        return text
    link = f"/?run={run.id}&lang={language}"
    return f'<a href="{link}" target="_self" aria-label="{title}">{text}</a>'


def training(cells: Sequence[Cell], say: Say, language: str) -> str:
    """The runs that train now, each a link to see it live in the Lab; empty when none does."""
    running = [cell for cell in cells if cell.status == "running"]
    if not running:
        return ""
    links = [
        f'<a href="/?run={cell.run.id}&lang={language}" target="_self">{escape(name(cell, say))}</a>'
        for cell in running[:TOLD]
    ]
    if len(running) > TOLD:
        links.append(escape(say("sweep.training.more", n=len(running) - TOLD)))
    return f'<p class="sp-training">{escape(say("sweep.training"))} {" · ".join(links)}</p>'


def done_share(cell: Cell) -> float | None:
    """How much of its steps a running cell has done; None where nobody knows how many there will be."""
    last = cell.config.max_steps
    return min(1.0, cell.run.step / last) if last and cell.run is not None else None


def value(cell: Cell) -> str:
    """The test metric of a finished cell in three digits; an accuracy in percent."""
    metric, _, test = cell.metric
    return f"{test:.3g}" if metric == "rmse" else f"{100 * test:.3g}"


def name(cell: Cell, say: Say) -> str:
    """A cell in a few words: method, ρ, seed."""
    method, seed = say(f"method.{cell.config.method}"), say("sweep.seed", seed=cell.config.seed)
    return f"{method} ρ {cell.config.density:g}, {seed}"


def legend(cells: Sequence[Cell], say: Say) -> str:
    """What the numbers in the cells are; empty before the first."""
    metric = next((cell.metric[0] for cell in cells if cell.metric is not None), None)
    if metric is None:
        return ""
    key = "sweep.values" if metric == "rmse" else "sweep.values.percent"
    return f'<p class="sp-values">{escape(say(key, metric=say(f"live.metric.{metric}")))}</p>'


def _told(cell: Cell, say: Say) -> str:
    told = say(f"sweep.status.{cell.status}")
    if cell.metric is None:
        return told
    metric, train, test = cell.metric
    names = say(f"live.metric.{metric}"), say("figure.test"), say("figure.train")
    return f"{told}, {names[0]} {names[1]} {test:.6g}, {names[2]} {train:.6g}"


def progress_bar(cells: Sequence[Cell], say: Say) -> str:
    """The share of the sweep that is done: ended cells in parts, running ones by what they have done."""
    count = {
        status: sum(cell.status == status for cell in cells) for status in ("done", "collapsed", "failed")
    }
    running = sum(done_share(cell) or 0.0 for cell in cells if cell.status == "running")
    total = len(cells) or 1
    parts = [
        f'<i data-status="{status}" style="width:{100 * share / total:.2f}%"></i>'
        for status, share in (*count.items(), ("running", running))
        if share
    ]
    label = escape(say("sweep.alt.progress", done=count["done"] + count["collapsed"], total=len(cells)))
    return f'<div class="sp-progress" role="img" aria-label="{label}">{"".join(parts)}</div>'


def notes(cells: Sequence[Cell], say: Say) -> str:
    """Why cells collapsed or failed: a sentence for every cause, the first of them."""
    sentences = [
        (_reason(group, say), cell)
        for group in _causes([cell for cell in cells if cell.status in ("collapsed", "failed")])
        for cell in group[:1]
    ]
    if not sentences:
        return ""
    told = [f'<li data-status="{cell.status}">{escape(text)}</li>' for text, cell in sentences[:TOLD]]
    if len(sentences) > TOLD:
        told.append(f"<li>{escape(say('sweep.failed.more', n=len(sentences) - TOLD))}</li>")
    return f'<ul class="sp-notes">{"".join(told)}</ul>'


def _causes(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one method and density that ended for the same cause, whatever their seed."""

    def cause(cell: Cell) -> tuple:
        config, run = cell.config, cell.run
        return (
            config.method,
            -config.density,
            run.reason or "",
            (run.detail or {}).get("layer", ""),
            run.error or "",
        )

    return [list(group) for _, group in groupby(sorted(cells, key=cause), key=cause)]


def _reason(group: Sequence[Cell], say: Say) -> str:
    config, run = group[0].config, group[0].run
    detail = run.detail or {}
    seeds = ", ".join(str(seed) for seed in sorted(cell.config.seed for cell in group))
    cell = f"{say(f'method.{config.method}')} ρ {config.density:g}, {say('sweep.seed', seed=seeds)}"
    step = f"{min((other.run.detail or {}).get('step', 0) for other in group):,}"
    if run.reason == "collapsed" and "layer" in detail:
        return say("sweep.note.collapsed", cell=cell, layer=layer_name(detail["layer"], say), step=step)
    if run.reason == "collapsed":
        return say("sweep.note.constant", cell=cell, step=step)
    if run.reason == "diverged":
        return say("sweep.note.diverged", cell=cell, step=step)
    return say("sweep.note.failed", cell=cell, reason=run.error or "")
