"""Streamlit's own scripts come compressed, whole, and for good."""

import gzip
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.file_util import get_static_dir

from sparsecore.dashboard.server.static import PackedScripts

STATIC = Path(get_static_dir())
SCRIPT = max(STATIC.rglob("index.*.js"), key=lambda file: file.stat().st_size)
ADDRESS = f"/{SCRIPT.relative_to(STATIC).as_posix()}"


@pytest.fixture
def client() -> TestClient:
    """An app that answers everything in plain words, behind what compresses scripts."""
    routes = [Route("/{path:path}", lambda request: PlainTextResponse("passed on"))]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(PackedScripts)]))


def test_a_script_is_sent_compressed_and_may_be_kept_for_good(client: TestClient):
    with client.stream("GET", ADDRESS, headers={"Accept-Encoding": "gzip, br"}) as answer:
        body = b"".join(answer.iter_raw())
    assert gzip.decompress(body) == SCRIPT.read_bytes()
    assert len(body) < SCRIPT.stat().st_size / 2
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        (ADDRESS, {"Accept-Encoding": "identity"}),
        (ADDRESS, {"Accept-Encoding": "gzip", "Range": "bytes=0-9"}),
        ("/static/js/none.js", {}),
        ("/static/../index.html", {}),
        ("/", {}),
    ],
)
def test_all_else_is_passed_on(client: TestClient, address: str, headers: dict[str, str]):
    assert client.get(address, headers=headers).text == "passed on"
