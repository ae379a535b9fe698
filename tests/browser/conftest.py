"""A real server on a store of its own, and a real Chromium to drive it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparsecore.runs.store.store import Store

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("SPARSECORE_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_SECONDS = 60  # two busy cores share a browser, a server and several workers


@dataclass
class Server:
    """A running dashboard: its address, its store, its process."""

    url: str
    home: Path
    process: subprocess.Popen

    def memory(self) -> int:
        """Resident bytes of the server process alone."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def start(home: Path, port: int | None = None) -> Server:
    """`streamlit run app.py` on a free port, up and answering."""
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
    environment = os.environ | {"SPARSECORE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    log = (home / "server.log").open("a")
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    server = Server(f"http://127.0.0.1:{port}", home, process)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=1).read()
            return server
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{(home / 'server.log').read_text()}")


def end(server: Server) -> None:
    """Ctrl-C, as a person ends it."""
    server.process.terminate()
    server.process.wait(20)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium; skipped without one, unless SPARSECORE_REQUIRE_BROWSER says that there must be one."""
    if not shutil.which(CHROMIUM):
        if os.environ.get("SPARSECORE_REQUIRE_BROWSER"):
            pytest.fail(f"no Chromium at {CHROMIUM}, and SPARSECORE_REQUIRE_BROWSER is set")
        pytest.skip(f"browser tests need Chromium at {CHROMIUM} (set SPARSECORE_CHROMIUM)")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One dashboard for the tests that do not kill it."""
    running = start(tmp_path_factory.mktemp("home"))
    yield running
    end(running)


@pytest.fixture
def another_server() -> Iterator:
    """Starts further servers, on a home given and, to come back after a kill, on a port given."""
    started: list[Server] = []

    def start_(home: Path, port: int | None = None) -> Server:
        started.append(start(home, port))
        return started[-1]

    yield start_
    for running in started:
        if running.process.poll() is None:
            end(running)


@pytest.fixture
def open_page(browser, server):
    """Open a path of the dashboard in a tab of its own; an error in a script of the page fails the test."""
    contexts, complaints = [], []

    def open_(path: str = "/", *, url: str = server.url, width: int = 1280, **options):
        options = {"color_scheme": "light", "locale": "en-US"} | options
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    store = Store(server.home)
    for run in store.list(states=["queued", "running", "paused"]):
        store.command(run.id, "stop")  # what a failed test left behind must not slow the next
    assert complaints == []


@pytest.fixture
def draws_offline(browser) -> Callable[[Path, str, int], None]:
    """A function that opens a file on a phone without a network, and waits for a figure of it.

    It asserts ten figures, no wider than the window, with no request and no complaint.
    """

    def draw(path: Path, figure: str, seconds: int) -> None:
        context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
        page = context.new_page()
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.set_default_timeout(seconds * 1000)
        page.goto(path.as_uri(), wait_until="commit")
        page.locator(f"{figure} .main-svg").first.wait_for(state="attached")  # one language is hidden
        assert page.locator(".js-plotly-plot").count() == 10
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert [address for address in asked if not address.startswith("blob:")] == [path.as_uri()]
        assert complaints == []
        context.close()

    return draw
