"""A viewer of a run: its outgoing messages, and the time limit for taking them."""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket

MAX_WAITING = 2_000  # messages; a viewer further behind has gone and is dropped
TAKE_SECONDS = 30.0  # what is sent must be taken within this time, as a message of an open page is at once
ALIVE_SECONDS = 20.0  # where nothing happens, something is sent so often: who is gone is found out by it


class Viewer:
    """One connection: messages in order; only the newest frame and the newest answer of each kind."""

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
        """Queue a message; a viewer that does not read is disconnected."""
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
        """Make this the answer to the viewer's last request; None for no answer."""
        if blob is not None:
            self.answers[kind] = blob
            self.wake.set()

    async def send(self) -> None:
        """Send messages until the viewer disconnects or stops reading."""
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
