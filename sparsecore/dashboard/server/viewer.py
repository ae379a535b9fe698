"""One who watches a run: what waits to be sent to him, and how long he may take over it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket

MAX_WAITING = 2_000  # messages; a viewer further behind has gone and is dropped
TAKE_SECONDS = 30.0  # what is sent must be taken within this time, as a message of an open page is at once
ALIVE_SECONDS = 20.0  # where nothing happens, something is sent so often: who is gone is found out by it


class Viewer:
    """One connection: messages in order, and of frames, and of each kind of answer, only the newest."""

    def __init__(self, socket: WebSocket, who: str | None = None) -> None:
        self.socket, self.who = socket, who
        self.messages: list[str] = []
        self.blobs: list[bytes] = []
        self.frame: bytes | None = None
        self.answers: dict[str, bytes] = {}
        self.follows = True
        self.wake = asyncio.Event()
        self.leave = asyncio.Event()

    def tell(self, message: dict[str, Any]) -> None:
        """Queue a message; a viewer who does not take them is let go."""
        self.messages.append(json.dumps(message, ensure_ascii=False))
        self.wake.set()
        if len(self.messages) > MAX_WAITING:
            self.leave.set()

    def show(self, frame: bytes) -> None:
        """Make this the frame to send next, unless the viewer looks at another step."""
        if self.follows:
            self.frame = frame
            self.wake.set()

    def answer(self, kind: str, blob: bytes | None) -> None:
        """Make this the answer to send to what the viewer asked for last; None is none."""
        if blob is not None:
            self.answers[kind] = blob
            self.wake.set()

    async def send(self) -> None:
        """Send what there is, until the viewer is gone or takes no more."""
        while True:
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    await self.wake.wait()
            except TimeoutError:
                self.tell({"type": "alive"})
            self.wake.clear()
            try:
                async with asyncio.timeout(TAKE_SECONDS):
                    await self._send_what_waits()
            except TimeoutError:
                return

    async def _send_what_waits(self) -> None:
        messages, self.messages = self.messages, []
        for message in messages:
            await self.socket.send_text(message)
        blobs, self.blobs = self.blobs, []
        for blob in blobs:
            await self.socket.send_bytes(blob)
        frame, self.frame = self.frame, None
        answers, self.answers = self.answers, {}
        for blob in (frame, *answers.values()):
            if blob is not None:
                await self.socket.send_bytes(blob)
