"""The components of the views: place one on a page, and serve the ES modules of `assets/views` that it loads.

Streamlit sends a component's script again with every change of its data, which is 125 kB for the live view.
So the script here is only a few lines that load the modules, which a browser caches forever: their address
holds one digest of all of them, so that a relative import finds the module of the same version. The style of
a component is the `.css` file next to its module; it is sent with the component.
"""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparsecore.dashboard.server.static import KINDS, is_page, kept, pack, under_base
from sparsecore.settings import ASSETS
from sparsecore.words import speaker

VIEWS = ASSETS / "views"
ENTRIES = ("lab/view.js", "compare/view.js", "saving/save_buttons.js")  # each exports a component as default
PATH = "/scripts/{digest}/{file:path}"
IMPORTED = re.compile(r'^@?import (?:[^"]* from )?"(\.{1,2}/[^"]+)";\n', re.MULTILINE)

# All modules are fetched in parallel, not one after the other in the order of their imports. The entry is
# imported at every call: a browser that has it returns it at once, and a failed load is tried again.
LOADER = """
const streamlit = document.querySelector('script[src*="/static/js/"]'); // two folders below the app's root
const at = (path) => new URL(`../..${path}`, streamlit.src).href;
for (const href of %s.map(at)) {
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));
}
export default (component) => {
  const { parentElement: parent, data: [{ unloaded }] } = component;
  const { classList } = parent.host ?? parent; // an isolated component stands in a shadow root
  const notice = (parent.notice ??= Object.assign(document.createElement("p"), { role: "alert" }));
  let close = null;
  let closed = false;
  classList.toggle("sc-loading", !parent.loaded);
  import(at(%s)).then(({ default: show }) => {
    notice.remove();
    parent.loaded = true;
    classList.remove("sc-loading");
    if (!closed && parent.isConnected) close = show(component);
  }, (error) => {
    classList.remove("sc-loading");
    notice.textContent = `${unloaded} (${error.message})`;
    parent.append(notice);
  });
  return () => { closed = true; close?.(); };
};
"""


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
    return Route(under_base(PATH), _script)


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

        await self.app(
            scope, receive, linking if is_page(scope) and scope["path"] == under_base("/") else send
        )


@cache
def _links() -> bytes:
    return ", ".join(f"<.{address(file)}>; rel=modulepreload" for file in graph(ENTRIES[0])).encode()


# -- On a page


def place(entry: str, key: str, data: dict[str, Any], *, isolated: bool = False, **callbacks: Any) -> Any:
    """Place the component that a module of `assets/views` exports on the page, with its data.

    isolated: whether the component has a shadow root of its own, outside the styles of the page.
    """
    unloaded = speaker(st.session_state.get("lang", "en"))("live.unloaded")
    # In a list, because Streamlit searches a dictionary for tables and imports pandas for that.
    return _component(entry, isolated)(key=key, data=[data | {"unloaded": unloaded}], **callbacks)


@cache
def _component(entry: str, isolated: bool) -> Any:
    name = entry.removesuffix(".js").replace("/", "_")
    loader = LOADER % (json.dumps([address(file) for file in graph(entry)]), json.dumps(address(entry)))
    return st.components.v2.component(
        f"sparsecore_{name}", js=loader, css=style(entry), isolate_styles=isolated
    )
