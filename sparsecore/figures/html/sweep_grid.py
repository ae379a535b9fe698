"""A sweep's cells as HTML: the state and result of each, causes of failure, and a progress bar.

Styles are in `assets/page.css`. Every colour comes with a sign or a number.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from sparsecore.engine.cards import in_percent, reference
from sparsecore.figures.style import layer_name
from sparsecore.runs.sweeps.spec import FINAL, FINISHED, Cell
from sparsecore.words import Say

MAX_CHIPS = 2_000  # with more cells, each grid place is one bar
NUMBERED_SEEDS, NUMBERED_DENSITIES = 5, 22  # with more of either, cells are small squares without numbers
MAX_LEVEL_LABELS = 16  # with more densities, their labels are vertical
MAX_LISTED = 6  # running cells or reasons listed in full
SIGNS = {"missing": "", "queued": "·", "paused": "‖", "stopped": "‖", "failed": "!"}


def grid_html(cells: Sequence[Cell], say: Say, language: str) -> str:
    """Return the grid: densities across and methods down (transposed on a phone), one chip per seed.

    With more than `MAX_CHIPS` cells each place is a progress bar.
    """
    places: dict[tuple[str, float], list[Cell]] = {}
    for cell in cells:
        places.setdefault((cell.config.method, cell.config.density), []).append(cell)
    densities = sorted({density for _, density in places}, reverse=True)
    baseline = reference()
    others = list(dict.fromkeys(method for method, _ in places if method != baseline))
    # If no other method has a cell at ρ = 1, the reference's cell spans all of them.
    spans_all = (baseline, 1.0) in places and not any((method, 1.0) in places for method in others)
    shown = others if others and (spans_all or (baseline, 1.0) not in places) else [*others, baseline]
    small = "" if _numbered(cells) else " sp-small"
    small += " sp-many" if len(densities) > MAX_LEVEL_LABELS else ""

    def draw(place: Sequence[Cell]) -> str:
        if len(cells) <= MAX_CHIPS:
            return "".join(_chip(cell, say, language) for cell in place)
        names = [f"{say(f'method.{cell.config.method}')} ρ {cell.config.density:g}" for cell in place[:1]]
        return "".join(progress_bar(place, say, name) for name in names)

    parts = ['<b class="sp-corner">ρ</b>', *(f"<b>{escape(say(f'method.{name}'))}</b>" for name in shown)]
    for density in densities:
        parts.append(f'<b class="sp-rho">{density:g}</b>')
        if spans_all and density == 1:
            drawn = draw(places[baseline, density])
            parts.append(f'<div class="sp-place sp-span" data-method="{baseline}">{drawn}</div>')
            continue
        for method in shown:
            drawn = draw(places.get((method, density), ()))
            parts.append(f'<div class="sp-place" data-method="{method}">{drawn}</div>')
    label = escape(say("sweep.alt.grid"))
    style = f"--methods:{len(shown)};--densities:{len(densities)}"
    head = f'<div class="sp-grid{small}" role="group" aria-label="{label}" style="{style}">'
    return f"{head}{''.join(parts)}</div>"


def _numbered(cells: Sequence[Cell]) -> bool:
    """Return whether every cell has room for a number."""
    if len(cells) > MAX_CHIPS:
        return False
    seeds, densities = ({getattr(cell.config, name) for cell in cells} for name in ("seed", "density"))
    return len(seeds) <= NUMBERED_SEEDS and len(densities) <= NUMBERED_DENSITIES


def _chip(cell: Cell, say: Say, language: str) -> str:
    status, run = cell.status, cell.run
    sign = SIGNS.get(status, "")
    fill = ""
    if status == "running":
        share = done_share(cell)
        sign, fill = (f"{share:.0%}", f' style="--done:{share:.4f}"') if share is not None else ("…", "")
    elif cell.metric is not None and status in FINISHED:
        sign = metric_text(cell)
    if status == "collapsed":
        sign = f"{sign} ✕"
    title = escape(f"{cell_name(cell, say)}: {_status_text(cell, say)}")
    text = f'<span class="sp-chip" data-status="{status}" title="{title}"{fill}>{escape(sign)}</span>'
    if run is None or run.state == "queued":
        return text
    link = f"./?run={run.id}&lang={language}"
    return f'<a href="{link}" target="_self" aria-label="{title}">{text}</a>'


def running_links(cells: Sequence[Cell], say: Say, language: str) -> str:
    """Return links to the running cells in the Lab; empty if none is running."""
    running = [cell for cell in cells if cell.status == "running"]
    if not running:
        return ""
    links = [
        f'<a href="./?run={cell.run.id}&lang={language}" target="_self">{escape(cell_name(cell, say))}</a>'
        for cell in running[:MAX_LISTED]
    ]
    if len(running) > MAX_LISTED:
        links.append(escape(say("sweep.training.more", n=len(running) - MAX_LISTED)))
    return f'<p class="sp-training">{escape(say("sweep.training"))} {" · ".join(links)}</p>'


def done_share(cell: Cell) -> float | None:
    """Return the share of completed steps of a running cell; None if the number of steps is unknown."""
    last = cell.config.max_steps
    return min(1.0, cell.run.step / last) if last and cell.run is not None else None


def metric_text(cell: Cell) -> str:
    """Format the test metric of a finished cell with three digits; an accuracy in percent."""
    metric, _, test = cell.metric
    return f"{100 * test:.3g}" if in_percent(metric) else f"{test:.3g}"


def cell_name(cell: Cell, say: Say) -> str:
    """Return a short name of a cell: method, ρ, seed."""
    method, seed = say(f"method.{cell.config.method}"), say("sweep.seed", seed=cell.config.seed)
    return f"{method} ρ {cell.config.density:g}, {seed}"


def legend_html(cells: Sequence[Cell], say: Say) -> str:
    """Return an explanation of the numbers in the cells; empty if there are none."""
    metric = next((cell.metric[0] for cell in cells if cell.metric is not None), None)
    if metric is None or not _numbered(cells):
        return ""
    key = "sweep.values.percent" if in_percent(metric) else "sweep.values"
    return f'<p class="sp-values">{escape(say(key, metric=say(f"live.metric.{metric}")))}</p>'


def _status_text(cell: Cell, say: Say) -> str:
    status = say(f"sweep.status.{cell.status}")
    if cell.metric is None:
        return status
    metric, train, test = cell.metric
    names = say(f"live.metric.{metric}"), say("figure.test"), say("figure.train")
    return f"{status}, {names[0]} {names[1]} {test:.6g}, {names[2]} {train:.6g}"


def progress_bar(cells: Sequence[Cell], say: Say, where: str = "") -> str:
    """Return the progress of the cells: finished ones by status, running ones by their completed steps."""
    statuses = Counter(cell.status for cell in cells)
    count = {status: statuses[status] for status in FINAL}
    running = sum(done_share(cell) or 0.0 for cell in cells if cell.status == "running")
    total = len(cells) or 1
    parts = [
        f'<i data-status="{status}" style="width:{100 * share / total:.2f}%"></i>'
        for status, share in (*count.items(), ("running", running))
        if share
    ]
    label = say("sweep.alt.progress", done=count["done"] + count["collapsed"], total=len(cells))
    attributes = f'aria-label="{escape(label)}"'
    if where:
        attributes = f'aria-label="{escape(f"{where}: {label}")}" title="{escape(f"{where}: {label}")}"'
    return f'<div class="sp-progress" role="img" {attributes}>{"".join(parts)}</div>'


def failure_notes(cells: Sequence[Cell], say: Say) -> str:
    """Return why cells collapsed or failed: one sentence per cause."""
    sentences = [
        (_reason(group, say), cell)
        for group in _causes([cell for cell in cells if cell.status in ("collapsed", "failed")])
        for cell in group[:1]
    ]
    if not sentences:
        return ""
    items = [f'<li data-status="{cell.status}">{escape(text)}</li>' for text, cell in sentences[:MAX_LISTED]]
    if len(sentences) > MAX_LISTED:
        items.append(f"<li>{escape(say('sweep.failed.more', n=len(sentences) - MAX_LISTED))}</li>")
    return f'<ul class="sp-notes">{"".join(items)}</ul>'


def _causes(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group cells of one method and density that ended for the same cause, over their seeds."""

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
    seeds = say("sweep.seed", seed=number_ranges(cell.config.seed for cell in group))
    cell = f"{say(f'method.{config.method}')} ρ {config.density:g}, {seeds}"
    step = f"{min((other.run.detail or {}).get('step', 0) for other in group):,}"
    if run.reason == "collapsed" and "layer" in detail:
        return say("sweep.note.collapsed", cell=cell, layer=layer_name(detail["layer"], say), step=step)
    if run.reason == "collapsed":
        return say("sweep.note.constant", cell=cell, step=step)
    if run.reason == "diverged":
        return say("sweep.note.diverged", cell=cell, step=step)
    return say("sweep.note.failed", cell=cell, reason=run.error or "")


def number_ranges(numbers: Iterable[int]) -> str:
    """Format sorted numbers; more than three consecutive ones as a range.

    >>> number_ranges([7, 0, 1, 2, 3, 9, 10])
    '0–3, 7, 9, 10'
    """
    rows: list[list[int]] = []
    for number in sorted(numbers):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return ", ".join(f"{row[0]}–{row[-1]}" if len(row) > 3 else ", ".join(map(str, row)) for row in rows)
