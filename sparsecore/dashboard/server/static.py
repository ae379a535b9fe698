"""Streamlit's own scripts and styles, compressed once and kept: a first visit loads a quarter of the bytes.

Streamlit sends them plain, because compressing them for every visitor would cost a core each time. They never
change while a server runs, so that here each is compressed when it is first asked for.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir

KINDS = {".js": "text/javascript", ".css": "text/css"}
SMALLEST = 1_000  # bytes; below, the headers weigh as much
LEVEL = 6  # higher ones gain one per cent and take twice as long
FOREVER = "public, max-age=31536000, immutable"  # their names hold a digest of what is in them


class PackedScripts:
    """Answers for the scripts and styles of the page's frame, where the browser reads gzip."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = _asked(scope)
        if file is None:
            await self.app(scope, receive, send)
            return
        answer = kept(await anyio.to_thread.run_sync(packed, file), KINDS[file.suffix])
        answer.headers["Vary"] = "Accept-Encoding"  # who reads no gzip gets the file from Streamlit
        await answer(scope, receive, send)


def is_page(scope: Scope) -> bool:
    """Whether a browser asks for a page, not for what belongs to one."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def _asked(scope: Scope) -> Path | None:
    """The file that is asked for, if it is one of ours to answer for."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    headers = Headers(scope=scope)
    if "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return None
    return _files().get(scope["path"])


@cache
def _files() -> dict[str, Path]:
    """By path of the address: nothing else can be asked for."""
    static = Path(get_static_dir())
    return {
        f"/{file.relative_to(static).as_posix()}": file
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
    """The answer with compressed bytes that a browser keeps for ever: what changes has another address."""
    headers = {"Content-Encoding": "gzip", "Cache-Control": FOREVER}
    return Response(body, media_type=media_type, headers=headers)
