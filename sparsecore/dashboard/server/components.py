"""Place the components of the views on a page.

Streamlit sends a component's script again with every change of its data, which is 125 kB for the live view.
So the script here is only a few lines that load the modules, which a browser caches.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import streamlit as st

from sparsecore.dashboard.server.scripts import address, graph, style

# All modules are fetched in parallel, not one after the other in the order of their imports. The entry is
# imported at every call: a browser that has it returns it at once, and a failed load is tried again.
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
    """Place the component that a module of `assets/views` exports on the page, with its data.

    isolated: whether the component has a shadow root of its own, outside the styles of the page.
    """
    # In a list, because Streamlit searches a dictionary for tables and imports pandas for that.
    return _component(entry, isolated)(key=key, data=[data], **callbacks)


@cache
def _component(entry: str, isolated: bool) -> Any:
    name = entry.removesuffix(".js").replace("/", "_")
    loader = LOADER % (json.dumps([address(file) for file in graph(entry)]), json.dumps(address(entry)))
    return st.components.v2.component(
        f"sparsecore_{name}", js=loader, css=style(entry), isolate_styles=isolated
    )
