"""`data inspect | add | list | remove`: what is printed where, and how it exits."""

import gzip
import json
import zipfile
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner, Result

from sparsecore.__main__ import app
from sparsecore.corpora import storage

FAILED, WRONG = 1, 2
CSV = "text,label\n" + "".join(f"第{i}条 [bold]<b>,{'高危' if i % 2 else '低危'}\n" for i in range(20))
KEYS = ["format", "rows", "labels", "skipped", "languages", "lengths"]


def call(*arguments: str | Path) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def printed(*arguments: str | Path) -> object:
    """The JSON value of a command that succeeds."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


@pytest.fixture
def table(tmp_path: Path, home: Path) -> Path:
    """Twenty texts in a CSV."""
    path = tmp_path / "week [1].csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_inspect_prints_one_object_with_exactly_the_documented_keys(table: Path, home: Path):
    found = printed("inspect", table)
    assert list(found) == KEYS
    assert found["labels"] == {"低危": 10, "中危": 0, "高危": 10, "超高危": 0}
    assert list(found["lengths"]) == ["p5", "p50", "p95", "p99", "max"]
    assert not home.exists()


def test_inspect_for_eyes_says_the_same(table: Path):
    said = call("inspect", table).stdout
    assert "CSV" in said
    assert "低危 10 · 中危 0 · 高危 10 · 超高危 0" in said


def test_columns_are_named_on_the_command_line(tmp_path: Path):
    path = tmp_path / "odd.csv"
    path.write_text(CSV.replace("text,label", "p,q"), encoding="utf-8")
    assert printed("inspect", path, "--text-column", "p", "--label-column", "q")["rows"] == 20
    wrong = call("inspect", path, "--text-column", "nix", "--json")
    assert (wrong.exit_code, wrong.stdout) == (WRONG, "")
    assert "p, q" in " ".join(wrong.stderr.split())


def test_add_list_train_remove(table: Path):
    assert printed("list") == []
    assert "data add FILE" in call("list").stdout
    added = printed("add", table, "--name", "mine [x]")
    assert (added["name"], added["rows"]) == ("mine [x]", 20)
    assert printed("list") == [added]
    assert "mine [x]" in call("list").stdout
    train = ["train", "vulnerabilities", "--data", "mine [x]", "--max-steps", "2", "--json"]
    run = CliRunner().invoke(app, train)
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["config"]["data"] == added["id"]
    assert printed("remove", "mine [x]") == {"id": added["id"], "name": "mine [x]"}
    assert printed("list") == []


def test_unknown_grades_are_refused_until_a_scale_or_a_mapping_is_given(tmp_path: Path, home: Path):
    path = tmp_path / "scanner.csv"
    path.write_text("text,label\n" + "".join(f"第{i}条,{i % 5}\n" for i in range(40)), encoding="utf-8")
    for command in ("inspect", "add"):
        refused = call(command, path, "--json")
        assert (refused.exit_code, refused.stdout) == (FAILED, "")
        assert "0 × 8, 1 × 8, 2 × 8, 3 × 8, 4 × 8" in " ".join(refused.stderr.split())
        half = call(command, path, "--scale", "1-4")
        assert (half.exit_code, "(0 × 8)" in half.stderr) == (FAILED, True)
    assert printed("list") == []
    asked = printed("inspect", path, "--scale", "1-4", "--grade", "0=none")
    assert (list(asked["labels"].values()), asked["skipped"]) == ([8, 8, 8, 8], {"unknown_grade": 8})
    reverse = printed("add", path, "--scale", "4-1", "--grade", "0=critical")
    assert list(reverse["labels"].values()) == [8, 8, 8, 16]


@pytest.mark.parametrize("option", [("--scale", "0-9"), ("--grade", "x"), ("--sheet", "no")])
def test_a_wrong_scale_mapping_or_sheet_exits_with_2(tmp_path: Path, home: Path, option):
    book = openpyxl.Workbook()
    for row in (("text", "label"), *((f"第{i}条", ("高", "低")[i % 2]) for i in range(20))):
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    assert printed("inspect", tmp_path / "book.xlsx", "--sheet", "Sheet", "--header-row", "1")["rows"] == 20
    assert call("inspect", tmp_path / "book.xlsx", *option).exit_code == WRONG


READERS = (
    *(["train", "vulnerabilities"], ["sweep", "vulnerabilities"], ["smallest", "vulnerabilities"]),
    *(["search", "vulnerabilities"], ["reproduce", "3-4"], ["bench", "text"]),
)


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_every_command_that_reads_a_file_takes_its_mapping(tmp_path: Path, home: Path, command):
    path = tmp_path / "levels.csv"
    path.write_text(CSV.replace("高危", "P1"), encoding="utf-8")
    call = [*command, "--data", str(path)]
    refused = " ".join(CliRunner().invoke(app, call).stderr.split())
    assert "(p1 × 10)" in refused
    assert "--grade important=high" in refused
    wrong = CliRunner().invoke(app, [*call, "--grade", "p1=nix"])
    assert (wrong.exit_code, wrong.stdout) == (WRONG, "")
    assert "is not WORD=GRADE" in " ".join(wrong.stderr.split())
    assert not home.exists()


def test_a_mapped_file_is_trained_on_at_once(tmp_path: Path, home: Path):
    path = tmp_path / "levels.csv"
    path.write_text(CSV.replace("高危", "P1"), encoding="utf-8")
    call = ["train", "vulnerabilities", "--data", str(path), "--max-steps", "1", "--json"]
    run = CliRunner().invoke(app, [*call, "--grade", "P1=critical"])
    assert run.exit_code == 0, run.output
    stored = storage.load(json.loads(run.stdout)["config"]["data"], home / "corpora")
    assert stored.counts() == (10, 0, 0, 10)
    again = CliRunner().invoke(app, ["train", "vulnerabilities", "--grade", "P1=critical"])
    assert (again.exit_code, again.stdout) == (WRONG, "")
    assert "give it with --data" in " ".join(again.stderr.split())


def test_wrong_arguments_exit_with_2(table: Path, tmp_path: Path):
    call("add", table, "--name", "a")
    other = tmp_path / "other.csv"
    other.write_text(CSV.replace("条", "页"), encoding="utf-8")
    for arguments in (
        ["inspect", tmp_path / "none"],
        ["inspect", tmp_path],
        ["add", other, "--name", "a"],
        ["add", other, "--name", " "],
        ["remove", "none"],
        ["inspect"],
        ["nonsense"],
    ):
        assert call(*arguments).exit_code == WRONG, arguments


@pytest.mark.parametrize("command", ["inspect", "add"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(range(256)) * 99,
        CSV[:40].encode() + b"\0" + CSV[40:].encode(),
        b"text,label\n" + b"x" * 3 * 2**20,
        gzip.compress(b"text,label\n" + bytes(64 * 2**20)),
        gzip.compress(gzip.compress(CSV.encode())),
        b'<!DOCTYPE v [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><vulnerabilitys>&b;</vulnerabilitys>',
        b"<vulnerabilitys>" + b"<a>" * 100_000,
        b"[" * 100_000,
        b'{"a": ' + b"9" * 900_000 + b"}",
        CSV.replace("低危", "高危").encode(),
    ],
    ids=[
        "empty",
        "junk",
        "null",
        "line",
        "bomb",
        "nested",
        "entities",
        "xml-depth",
        "json-depth",
        "number",
        "one-class",
    ],
)
def test_a_hostile_file_is_one_sentence_and_exit_code_1(tmp_path: Path, home: Path, command, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    result = call(command, path, "--json")
    assert (result.exit_code, result.stdout) == (FAILED, "")
    said = " ".join(result.stderr.split())
    assert said.startswith("Error: ")
    assert said.endswith(".")
    assert "Traceback" not in said
    assert len(said) < 400
    assert not home.exists()


def test_a_zip_with_a_path_that_leads_out_is_refused(tmp_path: Path, home: Path):
    with zipfile.ZipFile(tmp_path / "file", "w") as packed:
        packed.writestr("../evil.csv", CSV)
    assert call("add", tmp_path / "file").exit_code == FAILED
    assert not (tmp_path / "evil.csv").exists()
    assert not (tmp_path.parent / "evil.csv").exists()
    assert not home.exists()
