"""Random, mangled and hostile URLs: never a fault of the server, never a file that is not for everybody."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsecore.dashboard.documents import PICTURES
from sparsecore.dashboard.pages import pages
from sparsecore.dashboard.server.live_route import PLOTLY_PATH
from sparsecore.runs.store.store import Store
from tests.browser.conftest import Server
from tests.robustness.in_a_thread import in_a_thread
from tests.robustness.knocking import answer, complaints, healthy, serving, status

QUICK, LONG = 200, 2_000
AT_ONCE = 8
SECRET = b"known to this file only"
# What stands in files that a careless route would hand out.
INSIDE = (SECRET, b"SQLite format 3", b"root:x:0", b"from sparsecore", b"import streamlit", b"[project]")
METHODS = ("GET",) * 12 + (
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "BREW",
    "g\u0000t",
)
WAYS = (
    "/",
    "/live/",
    "/vendor/",
    f"{PICTURES}/",
    PLOTLY_PATH,
    "/static/",
    "/scripts/",
    "/app/static/",
    "/media/",
    "/component/",
    "/_stcore/",
)
WAYS += (
    "/_stcore/upload_file/",
    "/_stcore/bidi-components/",
    "/oauth2callback",
    "/auth/login",
    *(f"/{page.path}" for page in pages() if page.path),
)
WAYS += ("/_stcore/agent/interact", "/_stcore/agent/mcp", "/_stcore/metrics", "/~/+/", "/pages/", "/assets/")
UP = (
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "..\\",
    "..%5c",
    "%252e%252e%252f",
    "....//",
    "..;/",
    "%c0%ae%c0%ae/",
)
FILES = (
    "secret.txt",
    "store.sqlite3",
    "app.py",
    *(f"pages/{page.file.name}" for page in pages()),
    "pyproject.toml",
    "etc/passwd",
    "proc/self/environ",
)
ODD = (
    "%00",
    "%0d%0aSet-Cookie:%20x=1",
    "%ff",
    "%F0%9F%92%A9",
    "%zz",
    "%",
    "//",
    "///",
    "\\\\host\\share",
    "C:\\",
    "*",
)
ODD += (
    "x" * 3_000,
    "%41" * 500,
    "?" * 50,
    "#",
    ";",
    "~",
    "..",
    ".",
    "{run_id}",
    "$(id)",
    "' OR 1=1",
    "<script>",
    "%u0041",
)
# Kept: each was once answered with a fault of the server, or is one that others' servers fell for.
KEPT = ("GET //etc/passwd", "GET /%2e%2e/%2e%2e/etc/passwd", "GET /live/%00", "GET /static/..%5c..%5capp.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("urls")
    (home / "secret.txt").write_bytes(SECRET)
    with serving(home) as running:
        Store(home).setting("made", lambda: True)
        yield running
        assert complaints(running) == []


def random_target(choice: random.Random) -> str:
    """A way that exists, or none, then steps up, names of files, odd signs and arguments in any order."""
    target = choice.choice(WAYS)
    for _ in range(choice.randint(0, 4)):
        kind = choice.random()
        if kind < 0.4:
            target += choice.choice(UP) * choice.randint(1, 12)
        elif kind < 0.7:
            target += choice.choice(FILES)
        elif kind < 0.9:
            target += choice.choice(ODD)
        else:
            target += "".join(chr(choice.randrange(33, 127)) for _ in range(choice.randint(1, 40)))
    if choice.random() < 0.3:
        target += (
            "?" + choice.choice(("token=", "run=", "path=", "file=", "v=")) + choice.choice(UP + FILES + ODD)
        )
    return target.replace(" ", "%20")


def request(server: Server, method: str, target: str) -> bytes:
    host = server.url.removeprefix("http://")
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(
        "latin-1", "replace"
    )


async def ask_all(server: Server, requests: list[bytes]) -> Counter:
    """The statuses; what is a fault of the server, or says what it must not, fails with its request."""
    found: Counter = Counter()
    waiting = list(requests)

    async def asker() -> None:
        while waiting:
            asked = waiting.pop()
            answered = await answer(server, asked)
            assert status(answered) < 500 or status(answered) == 501, asked
            assert not [mark for mark in INSIDE if mark in answered], asked
            assert not re.search(rb"(?i)traceback|file \"/|^set-cookie: x=1", answered, re.MULTILINE), asked
            found[status(answered)] += 1

    await asyncio.gather(*(asker() for _ in range(AT_ONCE)))
    return found


@pytest.mark.parametrize("times", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_no_random_url_is_a_fault_or_reads_a_file(server: Server, times: int):
    choice = random.Random(20)
    requests = [
        request(server, choice.choice(METHODS), random_target(choice)) for _ in range(times - len(KEPT))
    ]
    requests += [request(server, *kept.split(" ")) for kept in KEPT]
    memory = server.memory()
    found = in_a_thread(ask_all(server, requests))
    assert sum(found.values()) == times
    assert len(found) > 3  # some are answered, some refused: the requests did arrive
    assert in_a_thread(healthy(server))
    assert server.memory() - memory < 60 * 2**20


def test_every_step_up_to_every_file_is_refused_on_every_way(server: Server):
    targets = [way + up * 6 + "secret.txt" for way in WAYS for up in UP]
    targets += [f"/{name}" for name in FILES] + [f"/live/{name}" for name in FILES]
    in_a_thread(ask_all(server, [request(server, "GET", target) for target in targets]))
