"""The views' scripts are ES modules: every import resolves, every export is used, nothing else is served."""

import re

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sparsecore.dashboard.server import components
from sparsecore.dashboard.server.components import ENTRIES, VIEWS, address, graph, imports, style, style_of

MODULES = sorted(file.relative_to(VIEWS).as_posix() for file in VIEWS.rglob("*.js"))
STYLES = sorted(file.relative_to(VIEWS).as_posix() for file in VIEWS.rglob("*.css"))
STATEMENT = re.compile(r'^import \{ ([\w, ]+) \} from "([^"]+)";$', re.MULTILINE)
EXPORTED = re.compile(r"^export (?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)
DEFAULT = re.compile(r"^export default ", re.MULTILINE)


def source(file: str) -> str:
    return (VIEWS / file).read_text(encoding="utf-8")


def statements(file: str) -> list[tuple[list[str], str]]:
    """What a module imports: the names, and the file that they come from."""
    found = STATEMENT.findall(source(file))
    return [(names.split(", "), each) for (names, _), each in zip(found, imports(file), strict=True)]


@pytest.mark.parametrize("file", MODULES)
def test_every_import_resolves_and_is_used(file: str):
    assert source(file).count("\nimport ") == len(statements(file))
    rest = STATEMENT.sub("", source(file))
    for names, imported in statements(file):
        assert imported in MODULES
        exported = EXPORTED.findall(source(imported))
        for name in names:
            assert name in exported, f"{imported} exports no {name}"
            assert re.search(rf"\b{name}\b", rest), f"{name} is imported and not used"


def test_every_export_is_used():
    used = {(each, name) for file in MODULES for names, each in statements(file) for name in names}
    exported = {(file, name) for file in MODULES for name in EXPORTED.findall(source(file))}
    assert exported - used == set()


def test_no_module_imports_itself_by_way_of_another():
    for file in MODULES:
        assert not [each for each in imports(file) if file in graph(each)]


def test_every_file_belongs_to_a_component():
    assert {file for entry in ENTRIES for file in graph(entry)} == set(MODULES)
    assert {file for entry in ENTRIES for file in graph(style_of(entry))} == set(STYLES)
    assert {file for file in MODULES if DEFAULT.search(source(file))} == set(ENTRIES)


def test_what_components_share_imports_nothing_of_one_of_them():
    for file in MODULES:
        assert {each.split("/")[0] for each in imports(file)} <= {"shared", file.split("/")[0]}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_style_holds_what_it_imports_and_no_import(entry: str):
    assert "@import" not in style(entry)
    for file in graph(style_of(entry)):
        assert source(file).splitlines()[-1] in style(entry)


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=[components.route()]))


@pytest.mark.parametrize("file", MODULES)
def test_a_module_comes_whole_and_is_kept_by_the_browser(client: TestClient, file: str):
    answer = client.get(address(file))
    assert answer.status_code == 200
    assert answer.text == source(file)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


def test_an_import_leads_to_the_address_of_the_module(client: TestClient):
    assert address("lab/view.js").rsplit("/", 2)[0] + "/shared/dom.js" == address("shared/dom.js")


@pytest.mark.parametrize(
    "file",
    [
        "",
        "lab/",
        "lab/view.css",
        "lab/none.js",
        "../app.py",
        "..%2F..%2Fapp.py",
        "%2e%2e/words/en.json",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(client: TestClient, file: str):
    assert client.get(f"/scripts/{components.digest()}/{file}").status_code == 404
    assert client.get("/scripts/0000000000000000/lab/view.js").status_code == 404


HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest.mark.parametrize(
    ("path", "headers", "linked"),
    [("/", HTML, True), ("/runs", HTML, False), ("/", {"accept": "*/*"}, False)],
)
def test_the_page_of_the_lab_and_no_other_names_its_scripts(path: str, headers: dict, linked: bool):
    route = Route("/{path:path}", lambda request: PlainTextResponse("a page"))
    app = Starlette(routes=[route], middleware=[Middleware(components.PreloadScripts)])
    links = TestClient(app).get(path, headers=headers).headers.get("link", "")
    assert re.findall(r"<([^>]+)>; rel=modulepreload", links) == (
        [f".{address(file)}" for file in graph("lab/view.js")] if linked else []
    )


def test_the_digest_follows_every_script(monkeypatch: pytest.MonkeyPatch):
    before = components.digest()
    changed = components._sources() | {"shared/dom.js": b"// another"}
    monkeypatch.setattr(components, "_sources", lambda: changed)
    components.digest.cache_clear()
    assert components.digest() != before
    components.digest.cache_clear()
