import gzip
import json
from dataclasses import replace

import pytest

from sparsecore.corpora.corpus import Corpus, CorpusError
from sparsecore.corpora.kept import corpus_id, keep, load
from sparsecore.corpora.reading import read_corpus

CORPUS = Corpus("week", ("甲 <b>", "乙"), (0, 3), {"duplicate": 2}, generated=False)


def code_of(key, folder):
    with pytest.raises(CorpusError) as caught:
        load(key, folder)
    return caught.value.code


def test_what_was_kept_is_loaded_whole(tmp_path):
    key = keep(CORPUS, tmp_path / "shelf")
    assert load(key, tmp_path / "shelf") == CORPUS
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == [f"{key}.json.gz"]


def test_the_id_is_of_the_content_alone():
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
    assert keep(read_corpus(tmp_path / "xml"), tmp_path) == keep(read_corpus(tmp_path / "csv"), tmp_path)


def test_the_first_name_stays(tmp_path):
    key = keep(CORPUS, tmp_path)
    keep(replace(CORPUS, name="second"), tmp_path)
    assert load(key, tmp_path).name == "week"


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_generated_texts_remain_known_as_generated(tmp_path, order):
    for generated in order:
        key = keep(replace(CORPUS, generated=generated), tmp_path)
    assert load(key, tmp_path).generated


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "0" * 15, "0" * 17, "A" * 16, "0" * 16 + "\n", "０" * 16, None]
)
def test_what_is_no_id_never_becomes_a_path(tmp_path, key):
    assert code_of(key, tmp_path) == "bad_id"


def test_an_unknown_id_is_not_on_the_shelf(tmp_path):
    assert code_of("0" * 16, tmp_path) == "not_on_shelf"


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
def test_changed_content_is_damaged_until_kept_again(tmp_path, value):
    key = keep(CORPUS, tmp_path)
    (tmp_path / f"{key}.json.gz").write_bytes(gzip.compress(json.dumps(value).encode()))
    assert code_of(key, tmp_path) == "damaged"
    assert keep(CORPUS, tmp_path) == key
    assert load(key, tmp_path) == CORPUS


def test_a_file_cut_short_is_damaged(tmp_path):
    key = keep(CORPUS, tmp_path)
    path = tmp_path / f"{key}.json.gz"
    path.write_bytes(path.read_bytes()[:-10])
    assert code_of(key, tmp_path) == "damaged"
