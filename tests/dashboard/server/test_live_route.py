"""The live route: who is let in, and what a viewer is sent."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from streamlit import config
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from sparsecore.dashboard.server import identity, live_route
from sparsecore.dashboard.server.identity import account_owner
from sparsecore.dashboard.server.live_route import (
    FORBIDDEN,
    PLOTLY_PATH,
    WRONG_ORIGIN,
    LiveRoute,
    WatchTokens,
    status_of,
    tokens,
)
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode, decode_meta, encode
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

HERE = {"origin": "http://testserver"}
PATIENCE_SECONDS = 15.0


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=LiveRoute(store).routes())) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> str:
    """A run in training that has logged a scene, a record and two frames."""
    made = store.create(RunConfig(), worker="w")
    entries = [
        LogEntry("scene", 0, b"the scene"),
        LogEntry("frame", 0, b"frame 0"),
        LogEntry("record", 20, b'{"loss":0.5}'),
        LogEntry("frame", 20, b"frame 20"),
    ]
    store.write(made, "w", 20, entries)
    return made


class View:
    """What one viewer was sent: the messages in `told`, the binary blobs in `seen`."""

    def __init__(self, socket: WebSocketTestSession) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self.seen: list[bytes] = []

    def until(self, condition: Callable[[], Any]) -> Any:
        """Receive until the condition gives something."""
        while not (found := condition()):
            message = self.socket.portal.call(self._receive)
            assert message["type"] == "websocket.send", message
            if message.get("bytes") is not None:
                self.seen.append(message["bytes"])
            else:
                self.told.append(json.loads(message["text"]))
        return found

    async def _receive(self) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE_SECONDS):
            return await self.socket._send_rx.receive()

    def message(self, kind: str, **values: Any) -> dict[str, Any]:
        """The first message of this kind with these values."""

        def fits(told: dict[str, Any]) -> bool:
            return told["type"] == kind and values.items() <= told.items()

        return self.until(lambda: next(filter(fits, self.told), None))

    def blob(self, blob: bytes) -> None:
        """Wait for this blob."""
        self.until(lambda: blob in self.seen)

    def say(self, said: dict[str, Any]) -> None:
        self.socket.send_json(said)


@contextmanager
def watch(client: TestClient, store: Store, run: str, token: str | None = None) -> Iterator[View]:
    """Watch a run with its token, from our own page."""
    path = f"/live/{run}?token={token or tokens(store).issue(run)}"
    # The test client cancels the route as it leaves, which a server does not.
    with suppress(CancelledError), client.websocket_connect(path, headers=HERE) as socket:
        yield View(socket)


def refusal(client: TestClient, path: str, headers: dict[str, str]) -> int:
    """The code with which a connection is refused."""
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect(path, headers=headers) as socket,
    ):
        socket.receive_text()
    return refused.value.code


# -- who is let in ----------------------------------------------------------------------------------------


def signed_in(
    monkeypatch: pytest.MonkeyPatch, subject: str = "7", origin: str = HERE["origin"]
) -> dict[str, str]:
    """The headers of a browser that has signed in, as Streamlit's sign-in leaves its cookie."""
    claims = {"iss": "https://id.example", "sub": subject, "is_logged_in": True, "origin": origin}
    monkeypatch.setattr(identity, "get_cookie_secret", lambda: "of this server")
    value = create_signed_value("of this server", USER_COOKIE_NAME, json.dumps(claims)).decode()
    return HERE | {"cookie": f"{USER_COOKIE_NAME}={value}"}


ANN = account_owner({"iss": "https://id.example", "sub": "7"})


def test_the_token_of_an_account_is_good_with_its_sign_in(
    client: TestClient, store: Store, run: str, monkeypatch: pytest.MonkeyPatch
):
    path = f"/live/{run}?token={tokens(store).issue(run, ANN)}"
    with suppress(CancelledError), client.websocket_connect(path, headers=signed_in(monkeypatch)) as socket:
        assert View(socket).message("hello")["run"] == run


def test_the_token_of_an_account_is_refused_without_it(
    client: TestClient, store: Store, run: str, monkeypatch: pytest.MonkeyPatch
):
    path = f"/live/{run}?token={tokens(store).issue(run, ANN)}"
    assert refusal(client, path, HERE) == FORBIDDEN  # signed out
    assert refusal(client, path, signed_in(monkeypatch, subject="8")) == FORBIDDEN
    assert refusal(client, path, signed_in(monkeypatch, origin="http://elsewhere")) == FORBIDDEN
    forged = signed_in(monkeypatch)
    monkeypatch.setattr(identity, "get_cookie_secret", lambda: "another")
    assert refusal(client, path, forged) == FORBIDDEN
    assert refusal(client, path, HERE | {"cookie": f"{USER_COOKIE_NAME}=junk"}) == FORBIDDEN


def test_a_queued_run_is_told_its_place_and_wait(client: TestClient, store: Store, run: str):
    for person in ("ann", "ann", "bob"):
        store.create(RunConfig(), by=Person(person))
    last, first = (each.id for each in store.list(states=["queued"])[:2])
    assert status_of(store, last)["place"] == 2  # bob's comes before ann's second
    assert status_of(store, first)["place"] == 3
    assert status_of(store, first)["wait"] >= status_of(store, last)["wait"]
    with watch(client, store, last) as view:
        assert view.message("hello", state="queued")["place"] == 2


def test_no_token_is_refused(client: TestClient, run: str):
    assert refusal(client, f"/live/{run}", HERE) == FORBIDDEN


@pytest.mark.parametrize("token", ["", "junk", "a.b.c", "%00", "x" * 5_000])
def test_a_junk_token_is_refused(token: str, client: TestClient, run: str):
    assert refusal(client, f"/live/{run}?token={token}", HERE) == FORBIDDEN


def test_the_token_of_another_run_is_refused(client: TestClient, store: Store, run: str):
    other = store.create(RunConfig())
    assert refusal(client, f"/live/{run}?token={tokens(store).issue(other)}", HERE) == FORBIDDEN


def test_a_token_of_another_server_is_refused(client: TestClient, run: str):
    assert refusal(client, f"/live/{run}?token={WatchTokens('guessed').issue(run)}", HERE) == FORBIDDEN


def test_an_expired_token_is_refused(
    client: TestClient, store: Store, run: str, monkeypatch: pytest.MonkeyPatch
):
    token = tokens(store).issue(run)
    monkeypatch.setattr(live_route, "TOKEN_SECONDS", -1)
    assert refusal(client, f"/live/{run}?token={token}", HERE) == FORBIDDEN


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "http://testserver:8502"},
        {"origin": "testserver"},
    ],
)
def test_another_origin_or_none_is_refused(
    headers: dict[str, str], client: TestClient, store: Store, run: str
):
    assert refusal(client, f"/live/{run}?token={tokens(store).issue(run)}", headers) == WRONG_ORIGIN


@pytest.mark.parametrize(
    ("option", "value", "origin", "allowed"),
    [
        ("server.corsAllowedOrigins", ["https://lab.example"], "https://lab.example", True),
        ("server.corsAllowedOrigins", ["https://lab.example"], "https://lab.example:8443", False),
        ("server.corsAllowedOrigins", ["https://lab.example"], "http://lab.example", False),
        ("server.enableCORS", False, "https://elsewhere.example", True),
    ],
)
def test_streamlits_settings_allow_origins(
    option: str, value: object, origin: str, allowed: bool, client: TestClient, store: Store, run: str
):
    path, before = f"/live/{run}?token={tokens(store).issue(run)}", config.get_option(option)
    config.set_option(option, value)
    try:
        if allowed:
            with (
                suppress(CancelledError),
                client.websocket_connect(path, headers={"origin": origin}) as socket,
            ):
                assert View(socket).message("hello")["run"] == run
        else:
            assert refusal(client, path, {"origin": origin}) == WRONG_ORIGIN
    finally:
        config.set_option(option, before)


def test_an_unknown_run_is_refused_even_with_its_token(client: TestClient, store: Store):
    token = tokens(store).issue("nothere")
    assert refusal(client, f"/live/nothere?token={token}", HERE) == FORBIDDEN


def test_a_token_is_good_on_every_server_of_the_store(client: TestClient, store: Store, run: str):
    again = Store(store.home)
    with watch(client, store, run, token=tokens(again).issue(run)) as view:
        assert view.message("hello")["run"] == run
    again.close()


# -- what a viewer is sent --------------------------------------------------------------------------------


def test_a_viewer_gets_hello_first_and_the_scene_before_the_newest_frame(
    client: TestClient, store: Store, run: str
):
    with watch(client, store, run) as view:
        view.blob(b"frame 20")
        hello = view.told[0]
    assert view.seen == [b"the scene", b"frame 20"]
    assert (hello["type"], hello["run"], hello["state"], hello["active"]) == ("hello", run, "running", True)
    assert hello["config"]["density"] == 0.4
    assert [step for _, step in hello["frames"]] == [0, 20]
    assert hello["rows"] == [{"kind": "record", "step": 20, "loss": 0.5}]


def test_a_later_frame_comes_with_its_number_and_once(client: TestClient, store: Store, run: str):
    with watch(client, store, run) as view:
        view.blob(b"frame 20")
        for step in (40, 60):
            blob = f"frame {step}".encode()
            store.write(run, "w", step, [LogEntry("frame", step, blob)])
            told = view.message("frame", step=step)
            view.blob(blob)
            assert store.frame(run, told["id"]).payload == blob
        time.sleep(4 * live_route.POLL_SECONDS)
        store.write(run, "w", 80, [LogEntry("record", 80, b"{}")])
        view.message("records", rows=[{"kind": "record", "step": 80}])
        time.sleep(2 * live_route.POLL_SECONDS)
        store.write(run, "w", 90, [LogEntry("record", 90, b"{}")])
        view.message("records", rows=[{"kind": "record", "step": 90}])
    assert view.seen == [b"the scene", b"frame 20", b"frame 40", b"frame 60"]
    assert [told["step"] for told in view.told if told["type"] == "frame"] == [40, 60]


def test_records_and_changes_come_as_they_are_logged(client: TestClient, store: Store, run: str):
    with watch(client, store, run) as view:
        view.message("hello")
        entries = [LogEntry("record", 40, b'{"loss":0.25}'), LogEntry("change", 40, b'{"density":0.1}')]
        store.write(run, "w", 40, entries)
        rows = [
            {"kind": "record", "step": 40, "loss": 0.25},
            {"kind": "change", "step": 40, "density": 0.1},
        ]
        view.message("records", rows=rows)


def test_the_ending_is_told(client: TestClient, store: Store, run: str):
    with watch(client, store, run) as view:
        view.message("hello")
        store.finish(run, "w", 20, "collapsed", {"layer": "fc3"}, {"seconds": 1.5})
        told = view.message("status", active=False)
    assert (told["state"], told["reason"], told["seconds"]) == ("ended", "collapsed", 1.5)
    assert told["detail"] == {"layer": "fc3"}


def test_a_deleted_run_is_told(client: TestClient, store: Store, run: str):
    with watch(client, store, run) as view:
        view.message("hello")
        store.delete(run)
        assert view.message("status", state="deleted")["active"] is False


def test_a_queued_run_tells_its_place(client: TestClient, store: Store):
    first, second = store.create(RunConfig()), store.create(RunConfig())
    with watch(client, store, second) as view:
        hello = view.message("hello")
        assert (hello["state"], hello["place"], hello["frames"], hello["rows"]) == ("queued", 2, [], [])
        store.claim(first, "w")
        view.message("status", place=1)


def test_the_scene_of_a_run_that_begins_while_it_is_watched_comes_before_its_frame(
    client: TestClient, store: Store
):
    run = store.create(RunConfig())
    with watch(client, store, run) as view:
        view.message("hello", state="queued")
        store.claim(run, "w")
        store.write(run, "w", 0, [LogEntry("scene", 0, b"the scene"), LogEntry("frame", 0, b"frame 0")])
        view.blob(b"frame 0")
    assert view.seen == [b"the scene", b"frame 0"]


def test_a_seek_returns_that_frame_and_newer_ones_are_only_announced(
    client: TestClient, store: Store, run: str
):
    with watch(client, store, run) as view:
        (first, _), _ = view.message("hello")["frames"]
        view.say({"frame": first})
        view.blob(b"frame 0")
        store.write(run, "w", 40, [LogEntry("frame", 40, b"frame 40")])
        view.message("frame", step=40)
        view.say({"frame": first})
        view.until(lambda: view.seen.count(b"frame 0") == 2)
        assert b"frame 40" not in view.seen
        view.say({"follow": True})
        view.blob(b"frame 40")


def test_frames_saved_between_two_looks_are_all_announced_and_the_newest_is_sent(
    client: TestClient, store: Store, run: str
):
    with watch(client, store, run) as view:
        view.blob(b"frame 20")
        store.write(run, "w", 60, [LogEntry("frame", step, b"frame %d" % step) for step in (40, 60)])
        view.blob(b"frame 60")
    assert [told["step"] for told in view.told if told["type"] == "frame"] == [40, 60]
    assert b"frame 40" not in view.seen


def test_a_viewer_that_asks_for_a_frame_that_the_log_no_longer_has_is_told(
    client: TestClient, store: Store, run: str
):
    with watch(client, store, run) as view:
        (first, _), (second, _) = view.message("hello")["frames"]
        view.say({"frame": second + 100})
        view.message("gone", id=second + 100)
        view.say({"frame": first})
        view.blob(b"frame 0")


def test_a_frame_of_another_run_cannot_be_fetched(client: TestClient, store: Store, run: str):
    other = store.create(RunConfig(), worker="v")
    store.write(other, "v", 1, [LogEntry("frame", 1, b"secret")])
    ((theirs, _),) = store.frames(other)
    with watch(client, store, run) as view:
        (first, _), _ = view.message("hello")["frames"]
        view.say({"frame": theirs})
        view.say({"frame": first})
        view.blob(b"frame 0")
    assert b"secret" not in view.seen


def test_a_whole_matrix_comes_to_the_viewer_who_asks(client: TestClient, store: Store):
    run = store.create(RunConfig(), worker="w")
    layer = {"name": "head", "shape": [1, 2], "kept": 1}
    entry = {"layer": 0, "rows": 1, "cols": 2, "pool": [1, 2]}
    frame = encode({}, {"type": "frame", "step": 1, "matrices": [entry], "layers": [layer]})
    saved = {
        "model.head.weight": np.array([[0, 2]], dtype=np.float32),
        "sparsifier.masks.0": np.array([[False, True]]),
        "sparsifier.counts.0": np.array([[1, 5]], dtype=np.int32),
    }
    store.write(run, "w", 5, [LogEntry("frame", 5, frame)], encode(saved, {}))
    with watch(client, store, run) as asking, watch(client, store, run) as other:
        asking.say({"matrix": 7})
        asking.say({"matrix": 0})
        asking.until(lambda: [blob for blob in asking.seen if decode_meta(blob)["type"] == "matrix"])
        other.blob(frame)
    assert decode(asking.seen[-1])[0]["value.0"].tolist() == [2.0]
    assert [decode_meta(blob)["type"] for blob in other.seen] == ["frame"]


@pytest.mark.parametrize("said", ["", "no json", "[]", "7", '{"frame": "x"}', json.dumps({"frame": 10**30})])
def test_junk_from_a_viewer_harms_no_other_viewer(said: str, client: TestClient, store: Store, run: str):
    with watch(client, store, run) as rude, watch(client, store, run) as polite:
        rude.message("hello")
        polite.message("hello")
        rude.socket.send_text(said)
        store.write(run, "w", 40, [LogEntry("frame", 40, b"frame 40")])
        polite.blob(b"frame 40")


def test_two_viewers_share_one_reader_and_it_ends_with_them(store: Store, run: str):
    route = LiveRoute(store)
    with TestClient(Starlette(routes=route.routes())) as client:
        with watch(client, store, run) as one, watch(client, store, run) as two:
            one.message("hello")
            two.message("hello")
            assert list(route.broadcasts) == [run]
            assert len(route.broadcasts[run].viewers) == 2
        deadline = time.monotonic() + PATIENCE_SECONDS
        while route.broadcasts and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not route.broadcasts


def test_nothing_logged_while_a_viewer_comes_in_is_missed(
    client: TestClient, store: Store, run: str, monkeypatch: pytest.MonkeyPatch
):
    right = Store.frames

    def slow(self: Store, run_id: str, newer_than: int = 0) -> list[tuple[int, int]]:
        if not newer_than:  # while hello is put together
            store.write(run, "w", 40, [LogEntry("record", 40, b"{}")])
            time.sleep(4 * live_route.POLL_SECONDS)
        return right(self, run_id, newer_than)

    monkeypatch.setattr(Store, "frames", slow)
    with watch(client, store, run) as view:
        view.until(
            lambda: {row["step"] for told in view.told for row in told.get("rows", [])} >= {20, 40},
        )


def test_a_run_in_training_is_watched_to_its_end(client: TestClient, store: Store):
    run = store.create(RunConfig(max_steps=200, theta=0.0), worker="w")
    thread = threading.Thread(target=Worker(store, store.get(run), "w").work)
    with watch(client, store, run) as view:
        view.message("hello")
        thread.start()
        view.message("status", state="ended")
        view.blob(store.frame(run).payload)
    thread.join()
    steps = [row["step"] for told in view.told for row in told.get("rows", []) if row["kind"] == "record"]
    assert steps == list(range(0, 201, 20))
    first, *frames = (decode_meta(blob) for blob in view.seen)
    assert (first["type"], first["kind"]) == ("scene", "curve")
    shown = [frame["step"] for frame in frames]
    assert shown == sorted(set(shown))
    assert shown[-1] == 200


def test_plotly_is_served_from_its_wheel(client: TestClient):
    answer = client.get(PLOTLY_PATH)
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert "javascript" in answer.headers["content-type"]
    assert "plotly" in answer.text[:300].lower()
