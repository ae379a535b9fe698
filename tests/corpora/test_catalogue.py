import pytest

from sparsecore.corpora import kept as shelf
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.kept import add, find, kept, remove
from sparsecore.corpora.reading import read_corpus

CSV = "text,label,date\n" + "".join(f"第{i}条,{'高危' if i % 2 else '低危'},2020-01-01\n" for i in range(20))


@pytest.fixture(autouse=True)
def _own_home(home):
    """Each test has a data folder of its own."""


def code_of(call, *arguments):
    with pytest.raises(CorpusError) as caught:
        call(*arguments)
    return caught.value.code


def test_what_was_added_is_listed_found_and_loaded(file_with, home):
    path = file_with(CSV)
    added = add(path, "weeks")
    assert added.inspection == inspect(path)
    assert list(kept()) == [added] == [find("weeks")] == [find(added.id)]
    corpus = shelf.load(added.id, home / "corpora")
    assert corpus.name == "weeks"
    assert (corpus.texts, corpus.labels) == (read_corpus(path).texts, read_corpus(path).labels)
    assert set(corpus.dates) == {"2020-01-01"}


def test_the_files_name_is_the_name_where_none_is_given(file_with):
    assert add(file_with(CSV)).name == "upload"


def test_one_content_is_kept_once_and_takes_a_new_name(file_with, home):
    first = add(file_with(CSV), "a")
    assert add(file_with(CSV)).name == "a"
    again = add(file_with(CSV), "b")
    assert again.id == first.id
    assert [each.name for each in kept()] == ["b"]
    assert shelf.load(first.id, home / "corpora").name == "b"


def test_two_contents_cannot_have_one_name(file_with):
    add(file_with(CSV), "a")
    assert code_of(add, file_with(CSV.replace("条", "页")), "a") == "name_taken"
    assert len(list(kept())) == 1


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\x1bb", "\u202e"])
def test_a_name_is_short_and_printable(file_with, name):
    assert code_of(add, file_with(CSV), name) == "bad_name"
    assert list(kept()) == []


def test_what_is_removed_is_gone_from_the_disk(file_with, home):
    added = add(file_with(CSV), "a")
    assert remove("a") == added
    assert list((home / "corpora").iterdir()) == []
    assert code_of(remove, "a") == code_of(find, "../a") == "no_such_name"


def test_texts_that_a_page_kept_are_listed(file_with, home):
    corpus = read_corpus(file_with(CSV + "第0条,低危,\n"))
    key = shelf.keep(corpus, home / "corpora")
    (found,) = kept()
    assert (found.id, found.name, found.inspection.rows) == (key, "upload", 20)
    assert found.inspection.skipped == {"duplicate": 1}


def test_damaged_texts_are_not_listed_and_do_no_harm(file_with, home):
    added = add(file_with(CSV), "a")
    for path in (home / "corpora").iterdir():
        path.write_bytes(b"nothing")
    assert list(kept()) == []
    assert add(file_with(CSV), "a") == added


def test_a_refused_file_leaves_nothing(file_with, home):
    assert code_of(add, file_with(CSV[:60]), "a") == "too_few"
    assert not home.exists()


def test_the_real_texts_are_added_and_loaded(real_file, home):
    path = real_file("vulnerabilities_zh4.csv.gz")
    added = add(path, "zh4")
    corpus = shelf.load(added.id, home / "corpora")
    assert corpus.counts() == (1_321, 23_191, 23_354, 8_289)
