"""Serve the scripts of the views: the ES modules of `assets/views`, which browsers cache forever.

Their address holds one digest of all of them, so that a relative import finds the module of the same version.
The style of a component is the `.css` file next to its module; it is sent with the component.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparsecore.dashboard.server.static import KINDS, is_page, kept, pack
from sparsecore.settings import ASSETS

VIEWS = ASSETS / "views"
ENTRIES = ("lab/view.js", "compare/view.js", "saving/save_buttons.js")  # each exports a component as default
PATH = "/scripts/{digest}/{file:path}"
IMPORTED = re.compile(r'^@?import (?:[^"]* from )?"(\.{1,2}/[^"]+)";\n', re.MULTILINE)


def imports(file: str, folder: Path = VIEWS) -> list[str]:
    """The files that a module or a style imports, by their paths in the folder; none where it is missing."""
    source = (folder / file).read_text(encoding="utf-8") if (folder / file).is_file() else ""
    return [normpath(join(dirname(file), path)) for path in IMPORTED.findall(source)]


def graph(entry: str, folder: Path = VIEWS) -> list[str]:
    """A file and all of its imports, each after its own imports: the order in which modules run."""
    found: dict[str, None] = {}
    entered = set()

    def enter(file: str) -> None:
        if file not in entered:
            entered.add(file)
            for each in imports(file, folder):
                enter(each)
            found[file] = None

    enter(entry)
    return list(found)


def style_of(entry: str) -> str:
    """The file with the style of a component."""
    return entry.removesuffix(".js") + ".css"


@cache
def style(entry: str) -> str:
    """The style of a component, with its imports."""
    files = graph(style_of(entry))
    return "\n".join(IMPORTED.sub("", (VIEWS / file).read_text(encoding="utf-8")) for file in files)


@cache
def _sources() -> dict[str, bytes]:
    return {file: (VIEWS / file).read_bytes() for entry in ENTRIES for file in graph(entry)}


@cache
def digest() -> str:
    """One digest of all scripts together."""
    named = (f"{file}\n".encode() + source for file, source in sorted(_sources().items()))
    return hashlib.sha256(b"\n".join(named)).hexdigest()[:16]


def address(file: str) -> str:
    """The address of a module."""
    return f"/scripts/{digest()}/{file}"


@cache
def _packed() -> dict[str, bytes]:
    return {file: pack(source) for file, source in _sources().items()}


async def _script(request: Request) -> Response:
    path = request.path_params
    body = _packed().get(path["file"]) if path["digest"] == digest() else None
    return PlainTextResponse("no such script", 404) if body is None else kept(body, KINDS[".js"])


def route() -> Route:
    """The route that serves the scripts, and nothing else."""
    return Route(PATH, _script)


class PreloadScripts:
    """Middleware that lets a browser fetch the Lab's scripts together with Streamlit's own.

    The component loads them only after the page's Python script has run, which is late for thirty files.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def linking(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"link", _links())]
            await send(message)

        await self.app(scope, receive, linking if is_page(scope) and scope["path"] == "/" else send)


@cache
def _links() -> bytes:
    return ", ".join(f"<{address(file)}>; rel=modulepreload" for file in graph(ENTRIES[0])).encode()
