"""A browser tab without a browser: a client of Streamlit's own protocol."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_SECONDS = 120.0
DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR)


class BrowserTabError(RuntimeError):
    """The page showed an error, or lacks a button."""


class Tab:
    """One tab with a cookie on a page of the server at `address` (host:port); by default the Lab."""

    def __init__(self, address: str, page: str = "", **query: object) -> None:
        self.address, self.page, self.query = address, page, urlencode(query)
        self.buttons: dict[str, str] = {}
        self.cookie: str | None = None
        self.socket: ClientConnection | None = None

    async def open(self) -> float:
        """Load the page as a browser does; the seconds until it stood there."""
        began = time.perf_counter()
        if self.cookie is None:
            self.cookie = await asyncio.to_thread(self._first_page)
        self.socket = await connect(
            f"ws://{self.address}/_stcore/stream",
            origin=f"http://{self.address}",
            subprotocols=["streamlit"],
            additional_headers={"Cookie": self.cookie},
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
        )
        await self.run()
        return time.perf_counter() - began

    def _first_page(self) -> str:
        request = Request(f"http://{self.address}/", headers={"Accept": "text/html"})
        with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # on this machine
            return answer.headers["Set-Cookie"].partition(";")[0]

    async def run(self, press: str | None = None) -> float:
        """Run the page once, by the press of a button where one is named; the seconds until its end.

        Raises BrowserTabError when the page shows an exception, or has no such button.
        """
        request = BackMsg()
        request.rerun_script.query_string = self.query
        request.rerun_script.page_name = self.page
        if press is not None:
            if press not in self.buttons:
                raise BrowserTabError(f"the page has no button {press!r}.")
            request.rerun_script.widget_states.widgets.add(id=self.buttons[press], trigger_value=True)
        began = time.perf_counter()
        await self.socket.send(request.SerializeToString())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._ends(ForwardMsg.FromString(await self.socket.recv())):
                pass
        return time.perf_counter() - began

    def _ends(self, message: ForwardMsg) -> bool:
        kind = message.WhichOneof("type")
        if kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        element = message.delta.new_element if kind == "delta" else None
        if element is not None and element.WhichOneof("type") == "exception":
            raise BrowserTabError(element.exception.message)
        if element is not None and element.WhichOneof("type") == "button":
            self.buttons[element.button.id.rpartition("-")[2]] = element.button.id
        return kind == "script_finished" and message.script_finished in DONE

    async def close(self) -> None:
        """Close the tab; who it was is kept."""
        if self.socket is not None:
            await self.socket.close()
