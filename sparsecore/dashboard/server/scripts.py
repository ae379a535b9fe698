"""The scripts of the views: the ES modules of `assets/views`, compressed once and cached by browsers forever.

Their address holds one digest of them all, so that a relative import finds the module of the same version.
The style of a component is the `.css` file beside its module; it travels with the component itself.
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
    """A file and all that it imports, each after those that it needs itself: the order they run in."""
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
    """The file beside a module that holds its style."""
    return entry.removesuffix(".js") + ".css"


@cache
def style(entry: str) -> str:
    """The style of a component, with the styles that it imports."""
    files = graph(style_of(entry))
    return "\n".join(IMPORTED.sub("", (VIEWS / file).read_text(encoding="utf-8")) for file in files)


@cache
def _sources() -> dict[str, bytes]:
    return {file: (VIEWS / file).read_bytes() for entry in ENTRIES for file in graph(entry)}


@cache
def digest() -> str:
    """The same for all scripts together, another when one of them changes."""
    named = (f"{file}\n".encode() + source for file, source in sorted(_sources().items()))
    return hashlib.sha256(b"\n".join(named)).hexdigest()[:16]


def address(file: str) -> str:
    """Where a module is served."""
    return f"/scripts/{digest()}/{file}"


@cache
def _packed() -> dict[str, bytes]:
    return {file: pack(source) for file, source in _sources().items()}


async def _script(request: Request) -> Response:
    asked = request.path_params
    body = _packed().get(asked["file"]) if asked["digest"] == digest() else None
    return PlainTextResponse("no such script", 404) if body is None else kept(body, KINDS[".js"])


def route() -> Route:
    """The route that serves the scripts, and nothing else."""
    return Route(PATH, _script)


class PreloadScripts:
    """Middleware by which a browser fetches the Lab's scripts together with Streamlit's own.

    The page asks for them only when its Python script has run: so many files would come too late then.
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
