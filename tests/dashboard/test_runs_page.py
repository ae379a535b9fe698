"""The Runs page: a run is saved as a file and brought from one; what is refused is told in both languages."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.config import RunConfig
from sparsecore.dashboard import run_archives, session
from sparsecore.dashboard.words import words
from sparsecore.runs.archive_file import ArchiveError
from sparsecore.runs.run_archive import export_run
from sparsecore.runs.store import Store

PAGE = str(Path(__file__).parents[2] / "pages" / "runs.py")
CODES = ("not_archive", "damaged", "version", "too_large", "content")


@pytest.fixture(autouse=True)
def the_store(store: Store) -> Iterator[Store]:
    """The pages' store is this test's."""
    session.the_store.cache_clear()
    yield store
    session.the_store.cache_clear()


@pytest.fixture
def file(store: Store) -> tuple[str, bytes]:
    """A run that this store no longer has, as a file."""
    run, written = store.create(RunConfig(density=0.3)), io.BytesIO()
    export_run(store, run, written)
    store.delete(run)
    return run, written.getvalue()


def opened(language: str = "en") -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = language
    return app.run()


def brought(app: AppTest, data: bytes) -> AppTest:
    app.file_uploader[0].set_value(("../../run.zip", data, "application/zip")).run()
    assert not app.exception
    return app


def test_a_run_is_chosen_and_saved(store: Store):
    run = store.create(RunConfig(density=0.3))
    app = opened()
    (button,) = app.get("download_button")
    assert button.proto.disabled
    app.selectbox(key="archive_run").set_value(run).run()
    assert not app.exception
    assert not app.get("download_button")[0].proto.disabled
    assert run_archives._exported(run).startswith(b"PK")


def test_a_run_that_is_brought_stands_in_the_list_and_can_be_opened(store: Store, file: tuple[str, bytes]):
    app = brought(opened(), file[1])
    assert f"Run {file[0]} is here" in app.success[0].value
    assert f"/?run={file[0]}" in app.success[0].value
    assert list(app.dataframe[0].value["run"]) == [file[0]]
    assert list(app.dataframe[0].value["origin"]) == ["import"]
    assert "was here already" in brought(app, file[1]).success[0].value
    assert len(store.list()) == 1


@pytest.mark.parametrize(("language", "told"), [("en", "damaged or incomplete"), ("zh", "已损坏或不完整")])
def test_a_damaged_file_is_refused_in_the_readers_language(store: Store, file, language: str, told: str):
    data = bytearray(file[1])
    data[len(data) // 2] ^= 1
    app = brought(opened(language), bytes(data))
    assert told in app.error[0].value
    assert store.list() == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_refusal_has_its_words(language: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_archives.st, "session_state", {"lang": language})
    details = {"where": "log 3 <b>", "why": "x", "version": "9", "known": 1, "mib": 1024}
    for code in CODES:
        told = run_archives.refused(ArchiveError(code, "", **details))
        assert not re.search(r"[{}]|(?<!\\)<", told)
        assert f"archive.{code}" in words(language)
