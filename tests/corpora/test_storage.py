import gzip
import json
from dataclasses import replace

import pytest

from sparsecore.corpora.corpus import Corpus, CorpusError
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.storage import (
    add,
    corpus_id,
    delete,
    find,
    load,
    purge,
    remove,
    removed_corpora,
    restore,
    save,
    stored_corpora,
)

CORPUS = Corpus("week", ("甲 <b>", "乙"), (0, 3), {"duplicate": 2}, generated=False)
CSV = "text,label,date\n" + "".join(f"第{i}条,{'高危' if i % 2 else '低危'},2020-01-01\n" for i in range(20))


@pytest.fixture(autouse=True)
def _own_home(home):
    """Give each test its own data folder."""


def code_of(call, *arguments):
    with pytest.raises(CorpusError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_saved_corpus_loads_unchanged(tmp_path):
    key = save(CORPUS, tmp_path / "corpora")
    assert load(key, tmp_path / "corpora") == CORPUS
    assert [path.name for path in (tmp_path / "corpora").iterdir()] == [f"{key}.json.gz"]


def test_the_id_depends_on_the_content_alone():
    assert corpus_id(replace(CORPUS, name="other", skipped={}, generated=True)) == corpus_id(CORPUS)
    assert corpus_id(replace(CORPUS, labels=(3, 0))) != corpus_id(CORPUS)
    assert corpus_id(replace(CORPUS, texts=("乙", "甲 <b>"))) != corpus_id(CORPUS)
    assert corpus_id(Corpus("", ("a", "b"), (0, 1), {}, False)) != corpus_id(
        Corpus("", ('a","b',), (0,), {}, False)
    )


def test_one_content_from_xml_and_csv_has_one_id(tmp_path):
    rows = [(f"第{i}条<b>", "高中"[i % 2]) for i in range(20)]
    records = "".join(
        f"<vulnerability><description>{text.replace('<', '&lt;')}\r\n</description>"
        f"<serverity>{grade}</serverity></vulnerability>"
        for text, grade in rows
    )
    (tmp_path / "xml").write_text(f"<vulnerabilitys>{records}</vulnerabilitys>", encoding="utf-8")
    (tmp_path / "csv").write_bytes("\n".join(["text;等级", *map(";".join, rows)]).encode("gb18030"))
    assert save(read_corpus(tmp_path / "xml"), tmp_path) == save(read_corpus(tmp_path / "csv"), tmp_path)


def test_the_first_name_of_a_content_is_kept(tmp_path):
    key = save(CORPUS, tmp_path)
    save(replace(CORPUS, name="second"), tmp_path)
    assert load(key, tmp_path).name == "week"


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_generated_texts_stay_marked_as_generated(tmp_path, order):
    for generated in order:
        key = save(replace(CORPUS, generated=generated), tmp_path)
    assert load(key, tmp_path).generated


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "0" * 15, "0" * 17, "A" * 16, "0" * 16 + "\n", "０" * 16, None]
)
def test_an_invalid_id_never_becomes_a_path(tmp_path, key):
    assert code_of(load, key, tmp_path) == "bad_id"


def test_an_unknown_id_is_not_found(tmp_path):
    assert code_of(load, "0" * 16, tmp_path) == "not_on_shelf"


@pytest.mark.parametrize(
    "value",
    [
        {"name": "week", "texts": ["甲 <b>", "丙"], "labels": [0, 3], "skipped": {}, "generated": False},
        {"name": "week", "texts": ["甲 <b>", "乙"], "labels": [0], "skipped": {}, "generated": False},
        {"name": "week", "texts": ["甲 <b>", "乙"], "labels": [0, 3], "skipped": {}},
        ["甲 <b>"],
        None,
    ],
    ids=["another text", "a label less", "a field less", "a list", "null"],
)
def test_altered_content_is_damaged_until_saved_again(tmp_path, value):
    key = save(CORPUS, tmp_path)
    (tmp_path / f"{key}.json.gz").write_bytes(gzip.compress(json.dumps(value).encode()))
    assert code_of(load, key, tmp_path) == "damaged"
    assert save(CORPUS, tmp_path) == key
    assert load(key, tmp_path) == CORPUS


def test_a_truncated_file_is_damaged(tmp_path):
    key = save(CORPUS, tmp_path)
    path = tmp_path / f"{key}.json.gz"
    path.write_bytes(path.read_bytes()[:-10])
    assert code_of(load, key, tmp_path) == "damaged"


# -- Names that users give


def test_an_added_corpus_is_listed_found_and_loaded(file_with, home):
    path = file_with(CSV)
    added = add(path, "weeks")
    assert added.inspection == inspect(path)
    assert list(stored_corpora()) == [added] == [find("weeks")] == [find(added.id)]
    corpus = load(added.id, home / "corpora")
    assert corpus.name == "weeks"
    assert (corpus.texts, corpus.labels) == (read_corpus(path).texts, read_corpus(path).labels)
    assert set(corpus.dates) == {"2020-01-01"}


def test_the_name_defaults_to_the_file_name(file_with):
    assert add(file_with(CSV)).name == "upload"


def test_adding_the_same_content_again_renames_it(file_with, home):
    first = add(file_with(CSV), "a")
    assert add(file_with(CSV)).name == "a"
    again = add(file_with(CSV), "b")
    assert again.id == first.id
    assert [each.name for each in stored_corpora()] == ["b"]
    assert load(first.id, home / "corpora").name == "b"


def test_a_name_cannot_be_used_twice(file_with):
    add(file_with(CSV), "a")
    assert code_of(add, file_with(CSV.replace("条", "页")), "a") == "name_taken"
    assert len(list(stored_corpora())) == 1


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\x1bb", "\u202e"])
def test_a_name_is_short_and_printable(file_with, name):
    assert code_of(add, file_with(CSV), name) == "bad_name"
    assert list(stored_corpora()) == []


def test_remove_deletes_the_files(file_with, home):
    added = add(file_with(CSV), "a")
    assert remove("a").id == added.id
    delete(added.id, home / "corpora")
    assert list((home / "corpora").iterdir()) == []
    assert code_of(remove, "a") == code_of(find, "../a") == "no_such_name"


def test_a_corpus_saved_without_an_entry_is_listed(file_with, home):
    corpus = read_corpus(file_with(CSV + "第0条,低危,\n"))
    key = save(corpus, home / "corpora")
    (found,) = stored_corpora()
    assert (found.id, found.name, found.inspection.rows) == (key, "upload", 20)
    assert found.inspection.skipped == {"duplicate": 1}


def test_damaged_files_are_not_listed_and_can_be_replaced(file_with, home):
    added = add(file_with(CSV), "a")
    for path in (home / "corpora").iterdir():
        path.write_bytes(b"nothing")
    assert list(stored_corpora()) == []
    assert add(file_with(CSV), "a") == added


def test_a_refused_file_writes_nothing(file_with, home):
    assert code_of(add, file_with(CSV[:60]), "a") == "too_few"
    assert not home.exists()


def test_the_real_texts_are_added_and_loaded(real_file, home):
    path = real_file("vulnerabilities_zh4.csv.gz")
    added = add(path, "zh4")
    corpus = load(added.id, home / "corpora")
    assert corpus.counts() == (1_321, 23_191, 23_354, 8_289)


def names(folder) -> list[str]:
    return [each.name for each in stored_corpora(folder)]


def test_removed_texts_can_be_restored_until_they_are_erased(tmp_path):
    file, folder = tmp_path / "a.csv", tmp_path / "corpora"
    file.write_text(CSV, encoding="utf-8")
    added = add(file, "ours", folder, owner="ann")
    assert remove("ours", folder).id == added.id
    assert (names(folder), [each.owner for each in removed_corpora(folder)]) == ([], ["ann"])
    purge(folder, seconds=600.0)
    restore(added.id, folder)
    assert stored_corpora(folder) == [added]
    remove("ours", folder)
    purge(folder, seconds=0.0)
    assert list(folder.iterdir()) == []
    assert code_of(restore, added.id, folder) == "no_such_name"


def test_removed_texts_are_not_restored_under_a_name_that_is_taken(tmp_path):
    folder = tmp_path / "corpora"
    for part in ("first", "second"):
        (tmp_path / part).write_text(CSV.replace("第", part), encoding="utf-8")
    first = add(tmp_path / "first", "ours", folder)
    remove("ours", folder)
    add(tmp_path / "second", "ours", folder)
    assert code_of(restore, first.id, folder) == "name_taken"


def test_who_stores_the_same_texts_again_may_not_rename_those_of_others(tmp_path):
    file, folder = tmp_path / "a.csv", tmp_path / "corpora"
    file.write_text(CSV, encoding="utf-8")
    add(file, "ours", folder, owner="ann")
    again = add(file, "mine", folder, owner="bob", may_change=lambda owner: owner == "bob")
    assert (again.name, again.owner, names(folder)) == ("ours", "ann", ["ours"])
    assert add(file, "renamed", folder, owner="ann").name == "renamed"
