"""Serve Streamlit's own scripts and styles compressed: a first visit loads a quarter of the bytes.

Streamlit sends them uncompressed, because compression for every visitor would cost a core each time. They
never change while a server runs, so each is compressed once, at the first request for it.
"""

import gzip
from functools import cache
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config
from streamlit.file_util import get_static_dir

KINDS = {".js": "text/javascript", ".css": "text/css"}
SMALLEST = 1_000  # bytes; below, the headers weigh as much
LEVEL = 6  # higher ones gain one per cent and take twice as long
FOREVER = "public, max-age=31536000, immutable"  # each address holds a digest of the content


class PackedScripts:
    """Middleware that answers requests for Streamlit's scripts and styles, where the browser accepts gzip."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = _requested(scope)
        if file is None:
            await self.app(scope, receive, send)
            return
        answer = kept(await anyio.to_thread.run_sync(packed, file), KINDS[file.suffix])
        answer.headers["Vary"] = "Accept-Encoding"  # without gzip Streamlit answers
        await answer(scope, receive, send)


def under_base(path: str) -> str:
    """The path at which this server serves its own `path`: below Streamlit's `server.baseUrlPath`."""
    base = config.get_option("server.baseUrlPath").strip("/")
    return f"/{base}{path}" if base else path


def is_page(scope: Scope) -> bool:
    """Whether this is a request for a page, not for one of its parts."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def _requested(scope: Scope) -> Path | None:
    """The file that this request is for, if it is one of ours."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    headers = Headers(scope=scope)
    if "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return None
    return _files().get(scope["path"])


@cache
def _files() -> dict[str, Path]:
    """All files to serve, by the path of their address."""
    static = Path(get_static_dir())
    return {
        under_base(f"/{file.relative_to(static).as_posix()}"): file
        for file in (static / "static").rglob("*")
        if file.suffix in KINDS and file.stat().st_size >= SMALLEST
    }


@cache
def packed(file: Path) -> bytes:
    """The file's bytes, compressed."""
    return pack(file.read_bytes())


def pack(body: bytes) -> bytes:
    """These bytes, compressed."""
    return gzip.compress(body, LEVEL)


def kept(body: bytes, media_type: str) -> Response:
    """A response with compressed bytes that a browser caches forever: changed content has another address."""
    headers = {"Content-Encoding": "gzip", "Cache-Control": FOREVER}
    return Response(body, media_type=media_type, headers=headers)
