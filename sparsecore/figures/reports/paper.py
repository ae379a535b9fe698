"""The report of a reproduction: one HTML file with tables, reasons, assumptions and figures.

It opens offline and prints well. The other reports share its document and parts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from sparsecore.engine.config import every_parameter
from sparsecore.figures.html import paper_tables
from sparsecore.figures.paper import paper_curve, paper_figure, paper_title
from sparsecore.paper.comparison import Comparison, compare
from sparsecore.paper.pictures import Picture, figures_of
from sparsecore.paper.reproduction import Reproduction, pictures_of, plan_of
from sparsecore.settings import ASSETS
from sparsecore.words import LANGUAGES, Say, speaker

# The file is self-contained: this policy forbids any request.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
CONFIG = {"displayModeBar": False, "responsive": True, "plotlyServerURL": ""}
FONT = {"color": "#16202a", "family": "system-ui, sans-serif"}  # as in the text around a figure
# One language is shown at a time; figures drawn while hidden have no width yet.
SHOWN = "addEventListener('hashchange', () => dispatchEvent(new Event('resize')))"
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC",
  "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; max-width: 1120px; margin: 0 auto; padding: 24px 16px;
  color: #16202a; background: #fff; }
h1 { font-size: 26px; } h2 { font-size: 19px; margin-top: 32px; } h3 { font-size: 15px; }
nav a { margin-right: 16px; }
main:not(:first-of-type):not(:target), body:has(main:target) main:not(:target) { display: none; }
figure { margin: 16px 0 24px; background: #fff; }
.sp-facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 16px; }
.sp-facts dt { opacity: 0.7; } .sp-facts dd { margin: 0; overflow-wrap: anywhere; }
.sp-wide { overflow-x: auto; }
.sp-layers { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.sp-layers :is(th, td) { text-align: left; padding: 4px 24px 4px 0;
  border-bottom: 1px solid rgb(128 128 128 / 30%); }
@media (prefers-color-scheme: dark) { body { color: #e8edf2; background: #10161c; } a { color: #6db3f2; }
  figure { border-radius: 6px; padding: 8px; } figcaption { color: #16202a; } }
@media print { body { max-width: none; padding: 0; color: #000; background: #fff; } nav { display: none; }
  figure, tr { break-inside: avoid; } h2, h3, caption, figcaption { break-after: avoid; }
  .sp-wide { overflow: visible; font-size: 10px; } .sp-wide :is(th, td) { padding-right: 8px; }
  .sp-verdict { print-color-adjust: exact; } }
"""


def paper_report(
    reproduction: Reproduction, pictures: Mapping[str, Picture], languages: Sequence[str] = tuple(LANGUAGES)
) -> str:
    """Return the report, one section per language; plotly's script is included once."""
    comparison = compare(reproduction)
    return document(
        reproduction.table, lambda say, lang: _content(comparison, pictures, say, lang), languages
    )


def document(title: str, content: Callable[[Say, str], str], languages: Sequence[str]) -> str:
    """Return an HTML file that needs no network, with the content in each language as a `<main id="en">`."""
    links = "".join(f'<a href="#{name}">{escape(LANGUAGES[name])}</a>' for name in languages)
    parts = "".join(
        f'<main lang="{name}" id="{name}">{content(speaker(name), name)}</main>' for name in languages
    )
    title = escape(f"{title} · sparsecore")
    css = (ASSETS / "paper" / "paper.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="{languages[0]}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}{css}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><nav>{links if len(languages) > 1 else ''}</nav>{parts}<script>{SHOWN}</script></body></html>"
    )


def _content(comparison: Comparison, pictures: Mapping[str, Picture], say: Say, language: str) -> str:
    reproduction = comparison.reproduction
    provenance = paper_tables.provenance(reproduction, say)
    sections = (
        ("paper.figures.title", _figures(comparison, pictures, say, language)),
        ("paper.settings.title", paper_tables.assumptions_table(reproduction, say)),
    )
    return (
        f"<h1>{escape(say('paper.title'))}</h1>"
        f"<h2>{escape(say(f'paper.table.{reproduction.table}'))}</h2>"
        f"<p>{escape(say(f'paper.about.{reproduction.table}'))}</p>"
        f'<p class="sp-note">{escape(say("paper.thesis").replace("*", ""))}</p>{provenance}'
        f"<h2>{escape(say('paper.breaks.title'))}</h2>{paper_tables.breaking_points(comparison, say)}"
        f"{paper_tables.comparison_tables(comparison, say)}{sections_html(sections, say)}"
    )


def _figures(comparison: Comparison, pictures: Mapping[str, Picture], say: Say, language: str) -> str:
    """Return the curve against ρ, then the counterparts of the paper's figures that have runs."""
    reproduction = comparison.reproduction
    curve = paper_curve(reproduction, say)
    shown_figures = [figure_html(curve, say("paper.curve.title"), f"{language}-curve")]
    plan = plan_of(reproduction)
    for figure in figures_of(reproduction.table):
        shown = pictures_of(figure, plan, dict(pictures))
        if shown:
            name, title = f"{language}-{figure.number}", paper_title(figure, say)
            shown_figures.append(figure_html(paper_figure(figure, shown, say), title, name))
    return "".join(shown_figures)


def figure_html(figure: go.Figure, title: str, name: str) -> str:
    """Return a figure under its title; `name` is its id in the file."""
    figure.update_layout(font=FONT)
    html = to_html(figure, config=CONFIG, include_plotlyjs=False, full_html=False, div_id=name)
    return f"<figure><figcaption><h3>{escape(title)}</h3></figcaption>{html}</figure>"


def sections_html(sections: Iterable[tuple[str, str]], say: Say) -> str:
    """Return titled sections, each given by the word key of its title and its HTML; skip empty ones."""
    return "".join(f"<section><h2>{escape(say(key))}</h2>{html}</section>" for key, html in sections if html)


def fact_list(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and their values as a list."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="sp-facts">{items}</dl>'


def table_html(heads: Iterable[str], rows: Iterable[Sequence[str]], say: Say) -> str:
    """Return a table; the first cell of a row names it.

    A head that contains a dot is a word key, any other is literal.
    """
    head = "".join(f'<th scope="col">{escape(say(key) if "." in key else key)}</th>' for key in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td><bdi>{escape(text)}</bdi></td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    whole = f'<table class="sp-layers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="sp-wide">{whole}</div>'


def parameter_text(name: str, value: Any, say: Say) -> str:
    """Format a parameter's value for the reader."""
    row = every_parameter()[name]
    if row.choices:
        return say(row.choice_key(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
