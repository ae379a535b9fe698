import pytest

from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.reading import read_corpus

ROWS = [(f"第{i}条", "高危") if i % 4 else (f"Entry {i:02}", "critical") for i in range(20)]


def table(rows):
    return "text,label\n" + "".join(f"{text},{grade}\n" for text, grade in rows)


def test_inspect_counts_rows_grades_skips_languages_and_lengths(file_with):
    found = inspect(file_with(table([*ROWS, ROWS[0], ("", "高"), ("a", "低"), ("a", "中"), ("b", "")])))
    assert found.summary() == {
        "format": "CSV",
        "rows": 20,
        "labels": {"低危": 0, "中危": 0, "高危": 15, "超高危": 5},
        "skipped": {"empty_text": 1, "ungraded": 1, "duplicate": 1, "conflicting": 2},
        "languages": {"zh": 15, "en": 5},
        "lengths": {"p5": 3, "p50": 4, "p95": 8, "p99": 8, "max": 8},
    }


def test_inspect_and_read_corpus_agree(real_file):
    path = real_file("exports/cnvd-956.xml.gz")
    found, corpus = inspect(path), read_corpus(path)
    assert tuple(found.labels.values()) == corpus.counts()
    assert found.skipped == corpus.skipped


def test_inspect_needs_at_least_one_usable_text(file_with):
    assert inspect(file_with(table(ROWS[:1]))).rows == 1
    for content in (table([]), table([("", "高")])):
        with pytest.raises(CorpusError, match="0 usable records") as caught:
            inspect(file_with(content))
        assert caught.value.code == "too_few"


def test_a_file_of_one_class_is_refused(file_with):
    with pytest.raises(CorpusError, match="the grade 高危") as caught:
        inspect(file_with(table([(f"第{i}条", "高危") for i in range(20)])))
    assert caught.value.code == "one_class"


def test_progress_rises_to_the_total_of_two_passes(file_with):
    path = file_with(table(ROWS * 10_000))
    calls = []
    inspect(path, progress=lambda read, total: calls.append((read, total)))
    assert calls == sorted(calls)
    assert len(calls) > 10
    assert calls[-1] == (2 * path.stat().st_size,) * 2


def test_inspect_can_be_cancelled(file_with):
    seen = []
    with pytest.raises(CorpusError) as caught:
        inspect(
            file_with(table(ROWS * 10_000)),
            progress=lambda read, total: seen.append(read),
            cancelled=lambda: len(seen) > 2,
        )
    assert caught.value.code == "cancelled"
    assert len(seen) == 3
