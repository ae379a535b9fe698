"""What the tests of the doors knock with: a server of their own, and clients that keep to no rule."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.conftest import Server, end, start

PATIENCE_SECONDS = 120.0
KEY = base64.b64encode(bytes(16)).decode()
FILES = 15_000  # of a process: ten thousand connections and some


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[Server]:
    """A server on this home, with these variables in its environment and files enough for the whole test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            running = start(home)
        try:
            yield running
        finally:
            end(running)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def files_of(server: Server) -> int:
    """How many files the server's process holds open, connections among them."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def complaints(server: Server) -> list[str]:
    """What the server's log says that no person should have made it say."""
    log = (server.home / "server.log").read_text(encoding="utf-8", errors="replace")
    return re.findall(r"^(?:Traceback|.*Exception in ASGI|.*Task exception was never).*$", log, re.MULTILINE)


def upgrade(server: Server, path: str, origin: str | None, more: str = "") -> bytes:
    """The request of a WebSocket, written by hand."""
    said = f"Origin: {origin}\r\n" if origin else ""
    host = server.url.removeprefix("http://")
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{said}{more}\r\n"
    ).encode()


async def answer(server: Server, request: bytes, most: int = 2**22) -> bytes:
    """All that the server answers to these bytes until it closes, or has answered one request."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
            chunked = b"transfer-encoding: chunked" in head.lower()
            if request.startswith(b"HEAD"):
                return head
            if b" 101 " in head[:16]:
                return head + await reader.readexactly(4)  # of a first frame: all of one that closes
            if length:
                return head + await reader.readexactly(min(int(length.group(1)), most))
            return head + (await reader.readuntil(b"0\r\n\r\n") if chunked else await reader.read(most))
        except (asyncio.IncompleteReadError, ConnectionError) as cut:
            return getattr(cut, "partial", b"")
        finally:
            writer.close()


def status(answered: bytes) -> int:
    """The status of an answer; 0 when the connection was closed without one."""
    found = re.match(rb"HTTP/1\.1 (\d{3})", answered)
    return int(found.group(1)) if found else 0


async def knock(server: Server, path: str, origin: str | None, more: str = "") -> int:
    """What a WebSocket is answered with: the status, 101 lets it in; or the code that closes it at once."""
    answered = await answer(server, upgrade(server, path, origin, more))
    frame = answered.partition(b"\r\n\r\n")[2] if status(answered) == 101 else b""
    return int.from_bytes(frame[2:4]) if frame[:1] == b"\x88" else status(answered)


async def healthy(server: Server) -> bool:
    """Whether the server answers at all."""
    host = server.url.removeprefix("http://")
    request = f"GET /_stcore/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    return status(await answer(server, request)) == 200
