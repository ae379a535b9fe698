"""Who a visitor of the pages is, what he may press, and what the teacher may."""

import ast
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from sparsecore.corpora import storage
from sparsecore.corpora.generator import generate
from sparsecore.corpora.storage import save, stored_corpora
from sparsecore.dashboard import visitor
from sparsecore.dashboard.server.identity import GiveOwner, OwnerCookies, account_owner, owner_cookies
from sparsecore.dashboard.visitor import TRIES, TRIES_OF_ALL, WITHIN_SECONDS, Door
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.words import words
from tests.dashboard.opening import opened

EN = words("en")
ROOT = Path(__file__).parents[2]
PAGES = {"accept": "text/html,*/*"}
ASKING = ("do_pause", "do_step", "do_freeze", "do_stop")
SPEC = SweepSpec(task="sinc", densities=(0.4, 0.1), seeds=(0,))


@pytest.fixture
def with_teacher(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server with a teacher's password."""
    monkeypatch.setenv("SPARSECORE_TEACHER_PASSWORD", "open sesame")
    visitor.door.cache_clear()
    yield
    visitor.door.cache_clear()


def running(store: Store, app: AppTest) -> str:
    """Press Train in a session, and let a worker take the run; gives its id."""
    app.button(key="do_train").click().run()
    run = store.list(origin="page", limit=1)[0].id
    store.claim(run, "w")
    app.run()
    return run


def disabled(app: AppTest) -> list[str]:
    return [key for key in ASKING if app.button(key=key).disabled]


def press_all_the_same(app: AppTest, key: str) -> None:
    """A browser that was tampered with may send the press of a button that cannot be pressed."""
    app.button(key=key).proto.disabled = False
    app.button(key=key).click().run()


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


# -- on the pages -----------------------------------------------------------------------------------------


def test_the_second_may_watch_the_first_ones_run_and_press_nothing(served: Store):
    first = opened("lab.py")
    run = running(served, first)
    assert disabled(first) == ["do_step"]  # it is not paused
    second = opened("lab.py", run=run)
    assert disabled(second) == list(ASKING)
    assert "belongs to another user" in second.button(key="do_pause").proto.help
    assert "belongs to another user" in captions(second)
    assert "another user" not in captions(first)


def test_a_press_on_a_page_that_is_out_of_date_is_refused_and_told(served: Store):
    run = served.create(RunConfig(), origin="cli", worker="cli:1")
    first = opened("lab.py", run=run)
    opened("lab.py")  # another comes, and the first one's page does not know yet
    first.button(key="do_pause").click().run()
    assert "only its owner or the teacher" in first.error[0].value
    assert not first.exception
    assert served.take_commands(run) == []
    assert not first.run().error


def test_the_second_ones_slider_does_not_change_the_first_ones_run(served: Store):
    first = opened("lab.py")
    run = running(served, first)
    second = opened("lab.py", run=run)
    second.select_slider(key="density").set_value(0.2).run()
    assert served.take_commands(run) == []
    assert "Settings changed" in captions(second)
    first.select_slider(key="density").set_value(0.1).run()
    assert served.take_commands(run) == [("change", {"density": 0.1})]


def test_the_second_begins_a_run_of_his_own_and_the_first_ones_goes_on(served: Store):
    run = running(served, opened("lab.py"))
    second = opened("lab.py", run=run)
    second.button(key="do_train").click().run()
    his = served.list(origin="page", limit=1)[0]
    assert his.id != run
    assert his.owner not in (None, served.get(run).owner)
    assert served.take_commands(run) == []


def test_a_single_visitor_commands_the_runs_of_the_command_line_until_another_comes(served: Store):
    run = served.create(RunConfig(), origin="cli", worker="cli:1")
    first = opened("lab.py", run=run)
    assert "do_pause" not in disabled(first)
    second = opened("lab.py", run=run)
    for app in (first.run(), second):
        assert disabled(app) == list(ASKING)
        assert "This run was started from the command line" in captions(app)


def test_one_who_has_ten_runs_waiting_is_told_so_and_loses_nothing(
    served: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_MAX_QUEUED", "1")
    app = opened("lab.py")
    app.button(key="do_train").click().run()
    app.button(key="do_train").click().run()
    assert "You have 1 queued runs" in app.error[0].value
    assert [run.state for run in served.list(origin="page")] == ["queued"]


def test_the_second_cannot_stop_the_first_ones_sweep(served: Store):
    first = opened("sweep.py")
    first.button(key="sweep_start").click().run()
    (sweep,) = stored.recent(served)
    second = opened("sweep.py", sweep=sweep.id)
    stop = second.button(key="sweep_do_stop")
    assert stop.disabled
    assert "another user" in stop.proto.help
    assert any("another user's: you can watch it" in text.value for text in second.markdown)
    press_all_the_same(second, "sweep_do_stop")
    assert stored.get(served, sweep.id).state == "running"
    first.button(key="sweep_do_stop").click().run()
    assert stored.get(served, sweep.id).state == "stopped"


def test_without_a_password_in_the_environment_nobody_is_asked_for_one(served: Store):
    assert not [field for field in opened("lab.py").text_input if field.key == visitor.PASSWORD]


@pytest.mark.usefixtures("with_teacher")
def test_the_teacher_commands_every_run_until_he_drops_the_right(served: Store):
    run = running(served, opened("lab.py"))
    second = opened("lab.py", run=run)
    second.text_input(key=visitor.PASSWORD).set_value("open barley").run()
    assert "not correct" in second.error[0].value
    assert disabled(second) == list(ASKING)
    second.text_input(key=visitor.PASSWORD).set_value("open sesame").run()
    assert disabled(second) == ["do_step"]
    assert second.session_state[visitor.PASSWORD] == ""
    second.button(key="do_pause").click().run()
    assert served.take_commands(run) == [("pause", {})]
    second.button(key="teacher_drop").click().run()
    assert disabled(second) == list(ASKING)


def test_no_page_commands_the_store_without_saying_who_asks():
    """Whatever a page forgets here would be the command line's, which may do everything."""
    asked = {"command", "resume", "delete", "create", "begin", "stop"}
    of = {"store", "the_store()", "sweeps", "gather", "stored"}
    jobs = {"find_smallest", "start_search"}
    for path in [*(ROOT / "pages").glob("*.py"), *(ROOT / "sparsecore" / "dashboard").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            of_store = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in of
            if (of_store and call.func.attr in asked) or ast.unparse(call.func) in jobs:
                told = ast.unparse(call)
                greets = "origin=WELCOME" in told  # belongs to nobody
                assert greets or "by=" in told or "visitor()" in told or "self.by" in told, f"{path}: {told}"


# -- the cookie -------------------------------------------------------------------------------------------


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    async def page(request):
        return HTMLResponse("<p>here</p>")

    app = Starlette(routes=[Route("/{path:path}", page)], middleware=[Middleware(GiveOwner, store=store)])
    with TestClient(app) as opened:
        yield opened


def test_the_first_page_brings_a_cookie_that_no_script_and_no_other_site_gets(
    client: TestClient, store: Store
):
    given = client.get("/", headers=PAGES).headers["set-cookie"]
    assert given.startswith(owner_cookies(store).name + "=")
    for word in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="):
        assert word in given
    assert "Secure" not in given
    another = TestClient(client.app)
    assert "Secure" in another.get("https://testserver/", headers=PAGES).headers["set-cookie"]


def test_who_has_a_cookie_keeps_it(client: TestClient, store: Store):
    client.get("/", headers=PAGES)
    owner = owner_cookies(store).owner(client.cookies)
    assert owner
    assert "set-cookie" not in client.get("/runs", headers=PAGES).headers
    assert owner_cookies(store).owner(client.cookies) == owner


def test_a_script_or_a_picture_brings_no_cookie(client: TestClient):
    assert "set-cookie" not in client.get("/static/main.js", headers={"accept": "*/*"}).headers
    assert "set-cookie" not in client.post("/", headers=PAGES).headers


@pytest.mark.parametrize("junk", ["", "junk", "a.b", "💥".encode().decode("latin-1"), "x" * 4000])
def test_a_cookie_that_is_not_ours_is_nobody_and_is_replaced(client: TestClient, store: Store, junk: str):
    name = owner_cookies(store).name
    assert owner_cookies(store).owner({name: junk}) is None
    headers = PAGES | {"cookie": f"{name}={junk}".encode("latin-1")}
    assert "set-cookie" in client.get("/", headers=headers).headers


def test_a_cookie_of_another_store_is_nobody_here():
    ours, theirs = OwnerCookies("ours"), OwnerCookies("theirs")
    assert ours.owner({ours.name: theirs.fresh()}) is None
    assert ours.name != theirs.name


def test_the_store_never_sees_the_token(store: Store):
    cookies = owner_cookies(store)
    value = cookies.fresh()
    store.create(RunConfig(), by=Person(cookies.owner({cookies.name: value})))
    token = cookies._serializer.loads(value)
    store.close()
    kept = b"".join(path.read_bytes() for path in store.home.glob("store.sqlite3*"))
    assert token.encode() not in kept


def test_an_account_is_told_by_provider_and_subject_not_by_address():
    claims = {"iss": "https://id.example", "sub": "7", "email": "ann@example.org"}
    same = account_owner(claims | {"email": "new@example.org"})
    assert account_owner(claims) == same
    assert account_owner(claims | {"iss": "https://other.example"}) != same
    assert account_owner(claims | {"sub": "8"}) != same


def test_the_one_who_reads_the_servers_terminal_becomes_the_teacher(served: Store):
    visitor.door.cache_clear()
    first, second = opened("lab.py"), opened("lab.py")
    assert "the code that the server printed" in captions(second)
    second.text_input(key="teacher_password").set_value(visitor.door().code).run()
    assert second.toggle(key="leads")
    first.run()  # the first is no longer alone
    assert "the code that the server printed" in captions(first)


@pytest.mark.usefixtures("with_teacher")
@pytest.mark.parametrize("link", [{"follow": "1"}, {"controls": "0"}])
def test_students_are_not_shown_the_teachers_password(served: Store, link: dict[str, str]):
    assert opened("lab.py").text_input(key="teacher_password")
    assert "teacher_password" not in {field.key for field in opened("lab.py", **link).text_input}


def test_who_follows_is_not_sent_to_a_button_that_is_not_there(served: Store):
    run = running(served, opened("lab.py"))
    student = opened("lab.py", run=run, follow="1")
    assert "do_train" not in {button.key for button in student.button}
    assert EN["action.train"] not in captions(student)


def test_the_button_says_unfreeze_at_once(served: Store):
    first = opened("lab.py")
    running(served, first)
    first.button(key="do_freeze").click().run()
    assert first.button(key="do_thaw").label == EN["action.thaw"]
    first.button(key="do_thaw").click().run()
    assert first.button(key="do_freeze").label == EN["action.freeze"]


# -- the teacher's door -----------------------------------------------------------------------------------


def test_the_door_opens_to_the_password_alone():
    door = Door("密码")
    assert [door.knock("ann", word) for word in ("", "密", "密码")] == ["wrong", "wrong", "right"]


def test_a_server_without_a_password_opens_to_the_code_that_it_prints():
    door = Door("")
    assert not door.has_password
    assert [door.knock("ann", word) for word in ("", Door("").code, door.code)] == ["wrong", "wrong", "right"]
    assert not Door("password").code


def test_after_five_wrong_ones_even_the_right_one_waits_a_minute(monkeypatch: pytest.MonkeyPatch):
    door = Door("right")
    assert [door.knock("ann", "no") for _ in range(TRIES)] == ["wrong"] * TRIES
    assert door.knock("ann", "right") == "wait"
    assert door.knock("bob", "right") == "right"
    later = time.monotonic() + WITHIN_SECONDS + 1
    monkeypatch.setattr(visitor.time, "monotonic", lambda: later)
    assert door.knock("ann", "right") == "right"


def test_a_new_cookie_for_every_try_does_not_help():
    door = Door("right")
    answers = [door.knock(f"new {n}", "no") for n in range(TRIES_OF_ALL + 1)]
    assert answers[-2:] == ["wrong", "wait"]


def kept_texts(store: Store, owner: str | None) -> str:
    """The id of texts that this user has saved."""
    folder = store.home / "corpora"
    key = save(generate(8, 3), folder)
    (entry,) = stored_corpora(folder)
    storage._write_entry(replace(entry, owner=owner), folder)
    return key


def test_a_visitor_cannot_remove_the_texts_of_others(served: Store):
    key = kept_texts(served, "somebody")
    assert opened("data.py").button(key=f"remove_{key}").disabled


def test_texts_without_an_owner_are_removed_by_nobody_in_a_class(served: Store):
    key = kept_texts(served, None)
    app = opened("data.py")
    assert opened("data.py").button(key=f"remove_{key}").disabled  # which the first page does not know
    app.button(key=f"remove_{key}").click().run()
    assert [error.value for error in app.error] == [EN["owner.refused"]]
    assert [each.id for each in stored_corpora(served.home / "corpora")] == [key]


def test_who_saved_texts_removes_them_and_undoes_it(served: Store):
    key = kept_texts(served, None)
    app = opened("data.py")
    person = visitor.digest(app.session_state[visitor.WITHOUT_COOKIE])
    folder = served.home / "corpora"
    storage._write_entry(replace(stored_corpora(folder)[0], owner=person), folder)
    stranger = opened("data.py")
    app.run()
    app.button(key=f"remove_{key}").click().run()
    assert stored_corpora(folder) == []
    assert f"undo_{key}_button" not in {button.key for button in stranger.run().button}
    app.button(key=f"undo_{key}_button").click().run()
    assert [each.id for each in stored_corpora(folder)] == [key]
