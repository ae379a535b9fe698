"""The scripts of a component become one module: no name may stand in it twice, or nothing of it runs."""

import re
from collections import Counter
from pathlib import Path

import pytest

from sparsecore.dashboard import compare_view, figure_files, live_view
from sparsecore.dashboard.words import ASSETS

MODULES = {
    "live": [ASSETS / "live" / f"{name}.js" for name in live_view.SCRIPTS],
    "compare": [
        *(ASSETS / "live" / f"{name}.js" for name in compare_view.SHARED),
        *(ASSETS / "compare" / f"{name}.js" for name in compare_view.OWN),
    ],
    "save": [ASSETS / f"{name}.js" for name in figure_files.SCRIPTS],
}
DECLARED = re.compile(r"^(?:export default )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)


@pytest.mark.parametrize("files", MODULES.values(), ids=MODULES)
def test_every_name_is_declared_once(files: list[Path]):
    names = Counter(name for file in files for name in DECLARED.findall(file.read_text(encoding="utf-8")))
    assert names
    assert [name for name, times in names.items() if times > 1] == []


def test_every_script_belongs_to_a_component():
    shipped = {*(ASSETS / "live").glob("*.js"), *(ASSETS / "compare").glob("*.js"), *ASSETS.glob("*.js")}
    assert shipped == {file for files in MODULES.values() for file in files}
