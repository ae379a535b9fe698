"""No pickle is ever loaded, and nothing that somebody brings is run: by the code, and by trying."""

from __future__ import annotations

import ast
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from sparsecore.engine.training.blobs import decode, decode_meta, encode
from sparsecore.runs.files.archive import ArchiveError, import_run
from sparsecore.runs.store.store import Store

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "sparsecore").rglob("*.py")]
# Modules that make objects, or code, of bytes.
UNSAFE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}


def findings(source: str) -> list[str]:
    """Every way in this source by which bytes could become code.

    >>> findings("import torch\\ntorch.load(path)")
    ['2: load of torch']
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [f"{node.lineno}: {n.name}" for n in names if n.name.split(".")[0] in UNSAFE]
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] in UNSAFE or (
                    module == "torch" and "load" in {n.name for n in names}
                ):
                    found.append(f"{node.lineno}: {module}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load" as name), keywords=how):
                if not any(ast.unparse(each) == "weights_only=True" for each in how):  # tensors and numbers
                    found.append(f"{node.lineno}: {name} of torch")
            case ast.Call(func=ast.Attribute(attr="loads" | "load" as name, value=ast.Name(id=str(of)))):
                if of in UNSAFE:
                    found.append(f"{node.lineno}: {name} of {of}")
            case ast.Call(func=ast.Name(id=str(name))) if name in CALLS:
                found.append(f"{node.lineno}: {name}")
            case ast.keyword(arg="allow_pickle", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    found.append(f"{value.lineno}: allow_pickle")
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                found.append(f"{node.value.lineno}: shell")
    return found


def test_no_source_loads_a_pickle_or_runs_what_it_reads():
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): findings(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "import torch\ntorch.load(x)",
        "from torch import load",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=flag)",
        "eval(x)",
        "exec(x)",
        "__import__(x)",
        "subprocess.run(x, shell=True)",
    ],
)
def test_the_audit_finds_what_it_looks_for(source: str):
    assert findings(source)


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def pickles(path: Path) -> dict[str, bytes]:
    """The bomb in every wrapping that a library is known to unpack."""
    saved, array = io.BytesIO(), io.BytesIO()
    torch.save(Bomb(path), saved)
    np.save(array, np.array([Bomb(path)], dtype=object), allow_pickle=True)
    raw = pickle.dumps(Bomb(path))
    return {
        "pickle": raw,
        "torch": saved.getvalue(),
        "numpy": array.getvalue(),
        "old": pickle.dumps(Bomb(path), 0),
    }


def test_the_bombs_go_off_when_they_are_unpickled(tmp_path: Path):
    for name, data in pickles(tmp_path / "made").items():
        if name in ("pickle", "old"):
            pickle.loads(data)  # noqa: S301 - our own: to know that the test could fail
            assert (tmp_path / "made").exists()
            (tmp_path / "made").unlink()


@pytest.mark.parametrize("wrapping", ["pickle", "torch", "numpy", "old"])
def test_a_bomb_is_refused_as_a_frame_and_as_an_import(wrapping: str, store: Store, tmp_path: Path):
    made = tmp_path / "made"
    data = pickles(made)[wrapping]
    for read in (decode, decode_meta):
        with pytest.raises(ValueError, match="not a frame"):
            read(data)
    file = tmp_path / "run.zip"
    for members in ({"": data}, {"manifest.json": data, "log": data, "checkpoint": data}):
        if "" in members:
            file.write_bytes(data)
        else:
            with zipfile.ZipFile(file, "w") as archive:
                for name, content in members.items():
                    archive.writestr(name, content)
        with file.open("rb") as opened, pytest.raises(ArchiveError):
            import_run(store, opened)
    assert not made.exists()
    assert store.list() == []


def test_an_array_of_objects_cannot_be_written_into_a_frame():
    with pytest.raises(SafetensorError, match="object"):
        encode({"x": np.array([{}], dtype=object)}, {})
