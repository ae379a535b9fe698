"""A dashboard server for one measurement: its home, its process, and browser tabs without a browser."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as connect_now

from sparsecore.settings import APP, child_environment, variable

START_SECONDS = 60.0
PATIENCE_SECONDS = 120.0
DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR)


@contextmanager
def own_home() -> Iterator[Path]:
    """Set a new empty home folder without a shared database, for this process and its children."""
    shared = os.environ.pop(variable("store"), None)
    try:
        with tempfile.TemporaryDirectory(prefix="sparsecore-bench-") as folder:
            yield Path(folder)
    finally:
        if shared is not None:
            os.environ[variable("store")] = shared


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Run the dashboard on a free port with its own store; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "streamlit", "run", str(APP)]
    command += ["--server.port", address.rpartition(":")[2]]
    environment = child_environment(home, store="")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **quiet) as process:
        try:
            wait_for(lambda: _answers(address), "the server to start")
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        with connect_now(f"ws://{address}/live/none", open_timeout=1):
            return True
    except WebSocketException:
        return True  # it refuses this connection, so it is running
    except OSError:
        return False


def server_process(address: str) -> psutil.Process:
    """Return the child process that serves the address."""
    port = address.rpartition(":")[2]
    return next(child for child in psutil.Process().children() if port in child.cmdline())


def wait_for(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {START_SECONDS:.0f} s for {what}.")
        time.sleep(0.1)


# -- a client of Streamlit's own protocol ------------------------------------------------------------------


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
