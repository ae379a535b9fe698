"""The live route: a WebSocket that tails one run's log for everyone who watches it.

A watched run has one reader for any number of viewers. A viewer gets the newest frame that it has time for: a
slow one gets fewer frames and delays no one.
"""

import asyncio
import json
import logging
import math
import secrets
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import plotly
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.engine import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.web.server.server_util import allow_all_cross_origin_requests, is_allowed_origin

from sparsecore.dashboard.server.identity import account
from sparsecore.dashboard.server.matrices import full_matrix, last_masks, overlap_of
from sparsecore.dashboard.server.static import KINDS, kept, packed, under_base
from sparsecore.dashboard.server.viewer import Viewer
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.estimates import QueueWaits
from sparsecore.settings import read_setting
from sparsecore.teaching.classroom import teacher_view

POLL_SECONDS = 0.08
QUEUED_POLL_SECONDS = 0.25  # nothing moves but the place
IDLE_POLL_SECONDS = 1.0  # a run that has ended may still be deleted or seen to by hand
TOKEN_SECONDS = 12 * 3600
MAX_POINTS = 1_500  # of a curve at first; a screen shows no more
FORBIDDEN, WRONG_ORIGIN, CROWDED = 4403, 4421, 4429  # shared/connection.js has the page's words for them
NO_TOKEN = "no valid token for this run"
ANSWERED = ("matrix", "masks", "overlap")  # what a viewer may ask for besides frames
PLOTLY_PATH = "/vendor/plotly.min.js"

logger = logging.getLogger(__name__)


class WatchTokens:
    """Signed permission to watch one run, issued by a page and checked by the route.

    For a signed-in user it is bound to the account, so that it ends with the sign-in.
    """

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="live")

    def issue(self, run_id: str, account: str | None = None) -> str:
        """A token for this run, good for `TOKEN_SECONDS`."""
        return self._serializer.dumps([run_id, account])

    def allows(self, token: str, run_id: str, account: str | None = None) -> bool:
        """Whether the token is valid, not expired, for this run and this account."""
        try:
            signed = self._serializer.loads(token, max_age=TOKEN_SECONDS)
        except BadSignature:
            return False
        return signed in ([run_id, None], [run_id, account])


class Broadcast:
    """The one reader of a watched run: passes new log entries on to its viewers."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.viewers: set[Viewer] = set()
        self.seen = self.sent = self.listed = self.shown = store.last_row(run_id)
        self.status: dict[str, Any] = {}
        self.task: asyncio.Task | None = None

    def start(self) -> None:
        """Begin to read; if reading fails, viewers are let go and come again."""
        self.task = asyncio.create_task(self._watch())
        self.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        if not task.cancelled() and task.exception() is not None:
            logger.error("Run %s could not be read.", self.run_id, exc_info=task.exception())
        for viewer in self.viewers:
            viewer.leave.set()

    async def _watch(self) -> None:
        while True:
            status, rows, saved, frame = await anyio.to_thread.run_sync(self._read)
            logged = [_row(row) for row in rows if row.kind != "scene"]
            for viewer in self.viewers:
                viewer.blobs += [row.payload for row in rows if row.kind == "scene"]
                if logged:
                    viewer.tell({"type": "records", "rows": logged})
                for row_id, step in saved:  # all of them, for the replay; only the newest is sent
                    viewer.tell({"type": "frame", "id": row_id, "step": step})
                if frame is not None:
                    viewer.show(frame.payload)
                if status != self.status:
                    viewer.tell({"type": "status", **status})
            self.status = status
            every = QUEUED_POLL_SECONDS if status["state"] == "queued" else POLL_SECONDS
            await asyncio.sleep(every if status["active"] else IDLE_POLL_SECONDS)

    def _read(self) -> tuple[dict[str, Any], list[Row], list[tuple[int, int]], Row | None]:
        status = status_of(self.store, self.run_id)
        newest = self.store.last_row(self.run_id)
        if newest <= self.seen:
            return status, [], [], None
        # More may be logged between these readings: each goes on from what it has read itself.
        rows = self.store.entries(self.run_id, ["scene", "record", "change"], self.sent)
        saved = self.store.frames(self.run_id, newer_than=self.listed)
        frame = self.store.frame(self.run_id, newer_than=self.shown)
        self.seen = newest
        self.sent = rows[-1].id if rows else self.sent
        self.listed = saved[-1][0] if saved else self.listed
        self.shown = frame.id if frame else self.shown
        return status, rows, saved, frame


class LiveRoute:
    """All watched runs of a server, and the route of their viewers, up to a limit."""

    def __init__(self, store: Store, most: int | None = None) -> None:
        self.store, self.most = store, most or read_setting("max_viewers")
        self.broadcasts: dict[str, Broadcast] = {}
        self.viewers: set[Viewer] = set()

    def routes(self) -> list[BaseRoute]:
        """What `st.App` needs."""
        return [
            WebSocketRoute(under_base("/live/{run_id}"), self.live),
            Route(under_base(PLOTLY_PATH), plotly_script),
        ]

    async def live(self, socket: WebSocket) -> None:
        """Accept a viewer with the run's token from our own page; then send and listen."""
        run_id = socket.path_params["run_id"]
        token = socket.query_params.get("token", "")
        who = account(socket.cookies, socket.headers.get("origin", ""))
        if not is_allowed(socket):
            return await _refuse(socket, WRONG_ORIGIN, "this origin is not allowed")
        if not tokens(self.store).allows(token, run_id, who):
            return await _refuse(socket, FORBIDDEN, NO_TOKEN)
        if len(self.viewers) >= self.most:
            reason = f"the limit of {self.most} viewers is reached; try again later"
            return await _refuse(socket, CROWDED, reason)
        viewer = Viewer(socket, who)
        self.viewers.add(viewer)
        try:
            await self._watch(run_id, viewer)
        finally:
            self.viewers.discard(viewer)

    async def _watch(self, run_id: str, viewer: Viewer) -> None:
        broadcast = await self._join(run_id, viewer)
        try:
            await self._serve(viewer, run_id)
        finally:
            self._leave(broadcast, viewer)

    async def _serve(self, viewer: Viewer, run_id: str) -> None:
        """Send the history, then what was queued since: a row may repeat, but none is missing."""
        hello = await anyio.to_thread.run_sync(_hello, self.store, run_id)
        if hello is None:
            return await _refuse(viewer.socket, FORBIDDEN, NO_TOKEN)
        message, scene, frame = hello
        viewer.messages.insert(0, json.dumps(message, ensure_ascii=False))
        viewer.blobs += scene
        viewer.frame = viewer.frame or frame
        viewer.wake.set()
        await viewer.socket.accept()
        sending = asyncio.create_task(viewer.send())
        listening = asyncio.create_task(self._listen(viewer, run_id))
        leaving = asyncio.create_task(viewer.leave.wait())
        tasks = (sending, listening, leaving)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, run_id: str, viewer: Viewer) -> Broadcast:
        if run_id not in self.broadcasts:
            made = await anyio.to_thread.run_sync(Broadcast, self.store, run_id)
            self.broadcasts.setdefault(run_id, made)
        broadcast = self.broadcasts[run_id]
        broadcast.viewers.add(viewer)
        if broadcast.task is None:
            broadcast.start()
        return broadcast

    def _leave(self, broadcast: Broadcast, viewer: Viewer) -> None:
        broadcast.viewers.discard(viewer)
        if not broadcast.viewers or broadcast.task is None or broadcast.task.done():
            self.broadcasts.pop(broadcast.run_id, None)
            if broadcast.task is not None:
                broadcast.task.cancel()

    async def _listen(self, viewer: Viewer, run_id: str) -> None:
        """Handle a message of a viewer: a request for a frame or answer, or to follow the newest frame."""
        try:
            while True:
                said = _parse(await viewer.socket.receive_text())
                if kind := next(filter(said.__contains__, ANSWERED), None):
                    call = (self._answer, viewer, run_id, kind, said[kind])
                    viewer.answer(kind, await anyio.to_thread.run_sync(*call))
                    continue
                viewer.follows = said.get("follow") is True
                wanted = said["frame"] if isinstance(said.get("frame"), int) else None
                row = await anyio.to_thread.run_sync(self.store.frame, run_id, wanted)
                if row is None and wanted is not None:  # the log was thinned
                    viewer.tell({"type": "gone", "id": wanted})
                if row is not None:
                    viewer.frame = row.payload
                    viewer.wake.set()
        except WebSocketDisconnect:
            return

    def _answer(self, viewer: Viewer, run_id: str, kind: str, wanted: Any) -> bytes | None:
        """Return a whole matrix, all saved masks, or the overlap with another run; None if invalid."""
        match kind, wanted:
            case "matrix", int(place):
                return full_matrix(self.store, run_id, place)
            case "masks", True:
                return last_masks(self.store, run_id)
            case "overlap", {"run": str(other), "token": str(token)}:
                allowed = tokens(self.store).allows(token, other, viewer.who)
                return overlap_of(self.store, run_id, other) if allowed else None
        return None


def status_of(store: Store, run_id: str) -> dict[str, Any]:
    """State, ending, place in the queue and wait, as the live view shows them; `lead`, the class's step."""
    run = store.get(run_id)
    if run is None:
        return {"active": False, "state": "deleted"}
    led = teacher_view(store)
    wait = waits(store).of(run_id) if run.state == "queued" else None
    return {
        "active": run.active,
        "state": run.state,
        "reason": run.reason,
        "detail": run.detail,
        "error": run.error,
        "trouble": store.trouble and store.trouble.details,
        "seconds": (run.result or {}).get("seconds"),
        "place": wait and wait.place,
        "wait": wait and told_wait(wait.seconds),
        "lead": led.step if led and led.run == run_id else None,
    }


def _hello(store: Store, run_id: str) -> tuple[dict[str, Any], list[bytes], bytes | None] | None:
    """Return what a new viewer needs: the history as a message, the scene, the newest frame."""
    run = store.get(run_id)
    if run is None:
        return None
    rows = store.entries(run_id, ["record", "change"])
    points = [row for row in rows if row.kind == "record"]
    stride = -(-len(points) // MAX_POINTS) if points else 1
    shown = {row.id for row in points[::stride] + points[-1:]}
    message = {
        "type": "hello",
        "run": run_id,
        "config": run.config.model_dump(),
        "frames": store.frames(run_id),
        "rows": [_row(row) for row in rows if row.kind == "change" or row.id in shown],
        **status_of(store, run_id),
    }
    newest = store.frame(run_id)
    scene = [row.payload for row in store.entries(run_id, ["scene"])]
    return message, scene, newest.payload if newest else None


def _row(row: Row) -> dict[str, Any]:
    return {"kind": row.kind, "step": row.step, **json.loads(row.payload)}


def _parse(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


async def _refuse(socket: WebSocket, code: int, reason: str) -> None:
    await socket.accept()  # a browser sees the code only after this
    await socket.close(code, reason)


def is_allowed(socket: WebSocket) -> bool:
    """Whether a connection is from a page of this server or of an origin that Streamlit's settings allow.

    Unlike Streamlit, which lets every port of this machine in, this compares whole origins.
    """
    origin = socket.headers.get("origin", "")
    if allow_all_cross_origin_requests() or is_allowed_origin(origin):
        return True
    try:
        here = urlsplit(origin).netloc
    except ValueError:  # such as a bracket that is not closed
        return False
    return here != "" and here == socket.headers.get("host")


def told_wait(seconds: float | None) -> int | None:
    """Round a wait in seconds, coarser the longer it is, so that it is not sent every second.

    >>> told_wait(3.2), told_wait(44.0), told_wait(1000.0)
    (4, 50, 1020)
    """
    if seconds is None:
        return None
    unit = 1 if seconds < 10 else 10 if seconds < 100 else 60
    return math.ceil(seconds / unit) * unit


@cache
def waits(store: Store) -> QueueWaits:
    """The waits of a store's queue, shared by all viewers."""
    return QueueWaits(store)


@cache
def tokens(store: Store) -> WatchTokens:
    """The tokens of a store: any server on it reads what another has signed."""
    return WatchTokens(store.setting("live_secret", lambda: secrets.token_hex(32)))


async def plotly_script(request: Request) -> Response:
    """Serve Plotly's script from its wheel, so that the live view needs no network."""
    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return kept(await anyio.to_thread.run_sync(packed, script), KINDS[script.suffix])
