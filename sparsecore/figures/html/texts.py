"""Texts, grades and predictions as HTML; every text is escaped.

Styles are in `assets/page.css`. Every colour comes with a number, an underline or a title.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from sparsecore.corpora.corpus import GRADES
from sparsecore.words import Say

Table = tuple[Sequence[str], Sequence[Sequence[Any]]]  # header and rows

# Okabe–Ito, from low to critical.
GRADE_COLOURS = ("#56b4e9", "#0072b2", "#e69f00", "#d55e00")
FOR, AGAINST = "213 94 0", "0 114 178"  # vermilion and blue: positive and negative, as in every figure
STRONGEST = 0.7  # opacity of the token with the largest weight; its text stays readable
SAMPLE_CHARACTERS = 400  # characters shown of a sample text


def grade_name(grade: str, say: Say) -> str:
    """Return a grade in the reader's language; an unknown grade stays as it is."""
    return say(f"grade.{GRADES.index(grade)}") if grade in GRADES else grade


def grade_bar(labels: Mapping[str, int], say: Say) -> str:
    """Return a bar of the number of texts per grade, with a legend."""
    total = sum(labels.values()) or 1
    parts, legend = [], []
    for colour, (grade, count) in zip(GRADE_COLOURS, labels.items(), strict=False):
        name, share = escape(grade_name(grade, say)), count / total
        title = f"{name} {count:,} ({share:.1%})"
        if count:
            parts.append(f'<i style="flex:{count} 0 2px;background:{colour}" title="{title}"></i>')
        swatch = f'<i style="background:{colour}"></i>'
        legend.append(f"<li>{swatch}{name} <b>{count:,}</b> <small>{share:.1%}</small></li>")
    label = escape(say("data.labels"))
    return (
        f'<div class="sp-bar" role="img" aria-label="{label}">{"".join(parts)}</div>'
        f'<ul class="sp-legend">{"".join(legend)}</ul>'
    )


def grade_table(labels: Mapping[str, int], say: Say) -> Table:
    """Return the number and share of texts per grade as a table."""
    total = sum(labels.values()) or 1
    rows = [(grade_name(grade, say), count, count / total) for grade, count in labels.items()]
    return (say("save.grade"), say("save.texts"), say("save.part")), rows


def samples(texts: Iterable[tuple[str, int]], say: Say) -> str:
    """Return texts with their grades as a list."""
    rows = []
    for text, grade in texts:
        cut = text if len(text) <= SAMPLE_CHARACTERS else text[:SAMPLE_CHARACTERS] + "…"
        name = escape(grade_name(GRADES[grade], say))
        rows.append(f"<li><b>{name}</b> <bdi>{escape(cut)}</bdi></li>")
    return f'<ol class="sp-samples">{"".join(rows)}</ol>'


def probability_bars(probabilities: Mapping[str, float], chosen: str, say: Say) -> str:
    """Return a bar with its number for the probability of each grade; the chosen grade is bold."""
    rows = []
    for place, (grade, share) in enumerate(probabilities.items()):
        colour = GRADE_COLOURS[place % len(GRADE_COLOURS)]
        name, width = escape(grade_name(grade, say)), f"{100 * max(0.0, min(1.0, share)):.1f}%"
        mark = ' class="sp-chosen"' if grade == chosen else ""
        bar = f'<span><i style="width:{width};background:{colour}"></i></span>'
        rows.append(f"<li{mark}><b>{name}</b>{bar}<em>{width}</em></li>")
    return f'<ul class="sp-probabilities">{"".join(rows)}</ul>'


def probability_table(probabilities: Mapping[str, float], say: Say) -> Table:
    """Return the probability of each grade as a table."""
    rows = [(grade_name(grade, say), share) for grade, share in probabilities.items()]
    return (say("save.grade"), say("save.probability")), rows


def shaded_tokens(tokens: Sequence[tuple[str, float]], grade: str, say: Say) -> str:
    """Return a text's tokens shaded by their weight for or against a grade.

    Positive weights are vermilion with a solid line, negative ones blue with a dashed line. Shades are
    relative to the largest absolute weight. A title on each token and a label for screen readers give the
    same information in words.
    """
    largest = max((abs(weight) for _, weight in tokens), default=0.0) or 1.0
    marks = " ".join(_mark(token, weight, weight / largest, say) for token, weight in tokens)
    name = grade_name(grade, say)
    most = sorted((pair for pair in tokens if pair[1] > 0), key=lambda pair: -pair[1])[:5]
    label = say("predict.tokens.label", grade=name, tokens=", ".join(token for token, _ in most))
    legend = (
        f'<p class="sp-key"><mark class="sp-for" style="{_shade(FOR, 1)}">&nbsp;+&nbsp;</mark>'
        f" {escape(say('predict.for', grade=name))} "
        f'<mark class="sp-against" style="{_shade(AGAINST, 1)}">&nbsp;−&nbsp;</mark>'
        f" {escape(say('predict.against', grade=name))}</p>"
    )
    return f'<p class="sp-tokens" role="group" aria-label="{escape(label)}">{marks}</p>{legend}'


def token_table(tokens: Sequence[tuple[str, float]], grade: str, say: Say) -> Table:
    """Return each token with its contribution to the grade as a table."""
    return (say("save.token"), say("save.added", grade=grade_name(grade, say))), tokens


def _mark(token: str, weight: float, share: float, say: Say) -> str:
    side, colour = ("for", FOR) if weight >= 0 else ("against", AGAINST)
    title = escape(f"{token}: {weight:+.3g}")
    shade, text = _shade(colour, abs(share)), escape(token)
    return f'<mark class="sp-{side}" style="{shade}" title="{title}"><bdi>{text}</bdi></mark>'


def _shade(colour: str, share: float) -> str:
    return f"background:rgb({colour} / {share * STRONGEST:.2f})"
