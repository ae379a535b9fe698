"""The components that views are placed with: each loads the modules of its script, which a browser keeps.

Streamlit sends a component's script again with all of its data whenever any of that changes: 125 kB for the
live view. What it sends here is only the few lines that load the modules.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import streamlit as st

from sparsecore.dashboard.server.scripts import address, graph, style

# The modules are fetched side by side, not one after the other as their imports name them. The entry is
# imported at every call: a browser that has it answers at once, and one that failed tries again.
LOADER = """
const at = (path) => new URL(path, location.origin).href;
for (const href of %s.map(at)) {
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));
}
export default (component) => {
  let close = null;
  let closed = false;
  import(at(%s)).then(({ default: show }) => {
    if (!closed && component.parentElement.isConnected) close = show(component);
  });
  return () => { closed = true; close?.(); };
};
"""


def place(entry: str, key: str, data: dict[str, Any], *, isolated: bool = False, **callbacks: Any) -> Any:
    """Place the component that a module of `assets/views` exports on the page, and send it its data.

    isolated: whether in a shadow root of its own, which no style of the page reaches into.
    """
    # In a list: in a dictionary Streamlit looks for tables, and imports pandas for it.
    return _component(entry, isolated)(key=key, data=[data], **callbacks)


@cache
def _component(entry: str, isolated: bool) -> Any:
    name = entry.removesuffix(".js").replace("/", "_")
    loader = LOADER % (json.dumps([address(file) for file in graph(entry)]), json.dumps(address(entry)))
    return st.components.v2.component(
        f"sparsecore_{name}", js=loader, css=style(entry), isolate_styles=isolated
    )
