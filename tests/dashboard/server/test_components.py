"""The scripts of a component become one module: no name may stand in it twice, or nothing of it runs."""

import re
from collections import Counter
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sparsecore.dashboard.server import components
from sparsecore.settings import ASSETS

MODULES = {name: [ASSETS / file for file in files] for name, files in components.MODULES.items()}
DECLARED = re.compile(r"^(?:export default )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)


@pytest.mark.parametrize("files", MODULES.values(), ids=MODULES)
def test_every_name_is_declared_once(files: list[Path]):
    names = Counter(name for file in files for name in DECLARED.findall(file.read_text(encoding="utf-8")))
    assert names
    assert [name for name, times in names.items() if times > 1] == []


def test_every_script_belongs_to_a_component():
    shipped = set((ASSETS / "views").rglob("*.js"))
    assert shipped == {file for files in MODULES.values() for file in files}


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=[components.route()]))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_comes_whole_and_is_kept_by_the_browser(client, name: str):
    file = components.file_of(name)
    answer = client.get(components.PATH.format(file=file))
    assert answer.status_code == 200
    assert answer.text == "\n".join(path.read_text(encoding="utf-8") for path in MODULES[name])
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("file", ["live.js", "live-0000000000000000.js", "..%2Fapp.py", "view_scripts.py"])
def test_nothing_else_is_given(client, file: str):
    assert client.get(components.PATH.format(file=file)).status_code == 404
