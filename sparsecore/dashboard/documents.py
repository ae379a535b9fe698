"""The documents of the Help page: Markdown files of `assets/docs`, rendered as HTML.

GitHub shows the same files. Links, anchors and pictures are written for GitHub and translated here into
addresses of the app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from sparsecore.dashboard.server.static import under_base
from sparsecore.settings import ASSETS

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

FOLDER = ASSETS / "docs"
PICTURES = "/documents"  # the path under which the server sends the pictures
INDEX = "index"  # lists the documents in groups; the menu of the Help page follows it
QUERY = "doc"  # the document, in the page's address
LONG = 3  # sections from which a document has a list of contents
SHORT = 20  # characters of code that no line breaks
# The browser looks for the section of the address before the document is there.
SCROLL = (
    "<script>document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView()</script>"
)


@dataclass(frozen=True)
class Heading:
    """A heading of a document; `anchor` is the id that GitHub gives it."""

    level: int
    title: str
    anchor: str


@dataclass(frozen=True)
class Document:
    """A document: its name in the address, its HTML and its headings, the first of which is its title."""

    name: str
    html: str
    headings: tuple[Heading, ...]

    @property
    def title(self) -> str:
        return self.headings[0].title

    @property
    def contents(self) -> tuple[Heading, ...]:
        """The sections, for a list of contents; none for a short document and for the index, which is one."""
        sections = tuple(heading for heading in self.headings if heading.level == 2)
        return sections if len(sections) >= LONG and self.name != INDEX else ()


def route() -> Mount:
    """The route of the pictures."""
    return Mount(under_base(PICTURES), StaticFiles(directory=FOLDER))


def names() -> set[str]:
    """The names of all documents."""
    return {path.stem for path in FOLDER.glob("*.md")}


@cache
def document(name: str) -> Document:
    """The document of a name; raises `FileNotFoundError` for an unknown one."""
    markdown = _markdown()
    tokens = markdown.parse((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    headings = tuple(_headings(tokens))
    _translate_addresses(tokens)
    return Document(name, markdown.renderer.render(tokens, markdown.options, {}), headings)


@cache
def menu() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The groups of the index: the title of each section, and the names of the documents that it lists."""
    text = (FOLDER / f"{INDEX}.md").read_text(encoding="utf-8")
    sections = [part.partition("\n") for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]]
    listed = re.compile(r"^- \[.+?\]\((.+?)\.md\)", re.MULTILINE)
    return tuple((title, tuple(listed.findall(members))) for title, _, members in sections)


def page(name: str, others: Mapping[str, str], say: Callable[[str], str]) -> str:
    """The HTML of the Help page: the menu, and the document with its list of contents.

    others: what the address holds besides the document; links keep it. say: the words of the screen.
    """
    shown = document(name)
    entries, all_documents = _entries(shown), escape(say("help.documents"))
    html = (
        f'<section class="sp-help" lang="en"><nav aria-label="{all_documents}">{entries}</nav>'
        f"<details><summary>{all_documents}</summary>{entries}</details>"
        f"<article>{_contents(shown, say)}{shown.html}</article></section>{SCROLL}"
    )
    return html.replace(f'"?{QUERY}=', f'"?{escape(urlencode(others))}&amp;{QUERY}=')


def _contents(shown: Document, say: Callable[[str], str]) -> str:
    """The list of contents of a long document, which a phone shows; the menu has it otherwise."""
    if not shown.contents:
        return ""
    return f"<details><summary>{escape(say('help.contents'))}</summary>{_sections(shown)}</details>"


def _sections(shown: Document) -> str:
    return "".join(f'<a href="#{each.anchor}">{escape(each.title)}</a>' for each in shown.contents)


def _entries(shown: Document) -> str:
    """The menu: the index, then the documents in groups; the sections of the one that is shown below it."""
    parts = [_entry(INDEX, shown)]
    for title, members in menu():
        parts += [f"<b>{escape(title)}</b>", *(_entry(member, shown) for member in members)]
    return "".join(parts)


def _entry(name: str, shown: Document) -> str:
    if name != shown.name:
        return f'<a href="?{QUERY}={name}">{escape(document(name).title)}</a>'
    sections = f"<div>{_sections(shown)}</div>" if shown.contents else ""
    return f'<a href="?{QUERY}={name}" aria-current="page">{escape(shown.title)}</a>{sections}'


# -- Markdown ---------------------------------------------------------------------------------------------


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # here: the server starts without it

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    # What is wider than a phone scrolls by itself, also by keyboard.
    markdown.add_render_rule("table_open", lambda *_: '<div class="sp-wide" tabindex="0"><table>')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>")
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("code_inline", _code)
    return markdown


def _fence(renderer: RendererHTML, tokens: Sequence[Token], place: int, *_: object) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[place].content)}</code></pre>'


def _code(renderer: RendererHTML, tokens: Sequence[Token], place: int, *_: object) -> str:
    """Code within a line: a short one stays on it, a path may be broken after a slash."""
    code = escape(tokens[place].content)
    if len(code) <= SHORT:
        return f'<code class="sp-short">{code}</code>'
    return f"<code>{code.replace('/', '/<wbr>')}</code>"


def _headings(tokens: Sequence[Token]) -> Iterator[Heading]:
    """The headings, each of which gets its anchor as an id."""
    taken: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        title = "".join(child.content for child in tokens[place + 1].children or ())
        anchor = slug(title)
        again = taken[anchor] = taken.get(anchor, -1) + 1
        anchor = f"{anchor}-{again}" if again else anchor
        token.attrSet("id", anchor)
        yield Heading(int(token.tag[1]), title, anchor)


def slug(title: str) -> str:
    """The anchor that GitHub gives a heading.

    >>> slug("A run is an append-only log"), slug("Where is …?")
    ('a-run-is-an-append-only-log', 'where-is-')
    """
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _translate_addresses(tokens: Sequence[Token]) -> None:
    """Write the addresses of links and pictures as the app has them."""
    for child in (child for token in tokens for child in token.children or ()):
        if child.type == "image":
            child.attrSet("src", f".{PICTURES}/{child.attrGet('src')}")
        elif child.type == "link_open":
            address = str(child.attrGet("href"))
            if "://" in address:
                child.attrSet("target", "_blank")
                child.attrSet("rel", "noopener")
            else:
                child.attrSet("href", re.sub(r"^(.+)\.md", rf"?{QUERY}=\1", address))
