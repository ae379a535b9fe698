"""The scripts of the page's own components: a module each, which a browser loads once and keeps.

Streamlit sends a component's script again with all that it is told, whenever any of that changes: 125 kB for
the live view. So what it sends here is only the few lines that load the module.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sparsecore.dashboard.server.static import KINDS, kept, pack
from sparsecore.settings import ASSETS

PATH = "/scripts/{file}"
# What the views of the Lab and of Compare share, and what each has of its own, in the order of the module.
_SHARED = (
    "dom",
    "pacing",
    "plotly",
    "mounting",
    "figure_saving",
    "blobs",
    "matrix_picture",
    "charts",
    "metric_chart",
    "captions",
    "connection",
    "replay_bar",
    "reserved_keys",
    "save_menu",
    "matrix_saving",
)
_LIVE = (
    "full_matrix",
    "data_panel",
    "layer_choice",
    "neuron_card",
    "thumbnails",
    "graph",
    "weights_panel",
    "histogram",
    "replay",
    "keys",
    "view",
)
_COMPARE = (
    "side",
    "difference",
    "mask_panel",
    "curves",
    "card",
    "saving",
    "seeking",
    "replay",
    "view",
)
MODULES = {
    "live": (
        *(f"views/shared/{name}.js" for name in _SHARED),
        *(f"views/lab/{name}.js" for name in _LIVE),
    ),
    "compare": (
        *(f"views/shared/{name}.js" for name in _SHARED),
        *(f"views/compare/{name}.js" for name in _COMPARE),
    ),
    "save": (
        "views/shared/plotly.js",
        "views/shared/figure_saving.js",
        "views/saving/html_picture.js",
        "views/saving/save_buttons.js",
    ),
}
STYLES = {
    "live": ("views/lab/lab.css",),
    "compare": ("views/lab/lab.css", "views/compare/compare.css"),
    "save": ("views/saving/save_buttons.css",),
}
# Asked anew at every call: a browser that has the module has it at once, and one that failed tries again.
LOADER = """
const address = new URL("%s", location.origin).href;
export default (component) => {
  let close = null;
  let closed = false;
  import(address).then(({ default: show }) => {
    if (!closed && component.parentElement.isConnected) close = show(component);
  });
  return () => { closed = true; close?.(); };
};
"""


def place(name: str, key: str, told: dict[str, Any], *, isolated: bool = False, **callbacks: Any) -> Any:
    """Place the component of a module of `MODULES` on the page, and tell it what it shows.

    isolated: whether in a shadow root of its own, which no style of the page reaches into.
    """
    # In a list: in a dictionary Streamlit looks for tables, and imports pandas for it.
    return _component(name, isolated)(key=key, data=[told], **callbacks)


@cache
def _component(name: str, isolated: bool) -> Any:
    loader = LOADER % PATH.format(file=file_of(name))
    style = _together(STYLES[name])
    return st.components.v2.component(f"sparsecore_{name}", js=loader, css=style, isolate_styles=isolated)


@cache
def _together(files: tuple[str, ...]) -> str:
    return "\n".join((ASSETS / file).read_text(encoding="utf-8") for file in files)


@cache
def file_of(name: str) -> str:
    """The name of a module's file, with a digest of what is in it."""
    return f"{name}-{hashlib.sha256(_together(MODULES[name]).encode()).hexdigest()[:16]}.js"


@cache
def _packed() -> dict[str, bytes]:
    return {file_of(name): pack(_together(files).encode()) for name, files in MODULES.items()}


def _script(request: Request) -> Response:
    body = _packed().get(request.path_params["file"])
    return PlainTextResponse("no such script", 404) if body is None else kept(body, KINDS[".js"])


def route() -> Route:
    """The route that the modules come by."""
    return Route(PATH, _script)
