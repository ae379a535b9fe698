import csv
import gzip
import io
from itertools import cycle, islice

import pytest

from sparsecore.corpora import table as tables
from sparsecore.corpora.columns import GRADE_COLUMN_NAMES, TEXT_NAMES
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.reading import read_corpus

ROWS = [(f'漏洞{i}，可执行任意代码；"严重"\n第二行\t{i}', "高危" if i % 2 else "中危") for i in range(20)]
TEXTS = tuple(" ".join(text.split()) for text, _ in ROWS)


def table(rows=ROWS, header=("text", "label"), delimiter=","):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows([header, *rows])
    return buffer.getvalue()


def error_of(path):
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    return caught.value


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8"), ("\t", "utf-8-sig"), (";", "gb18030"), (",", "gb18030")]
)
def test_delimiter_and_encoding_do_not_change_the_corpus(file_with, delimiter, encoding):
    corpus = read_corpus(file_with(table(delimiter=delimiter).encode(encoding)))
    assert corpus.texts == TEXTS
    assert corpus.labels == (1, 2) * 10


def test_gzip_changes_nothing(file_with):
    assert read_corpus(file_with(gzip.compress(table().encode()))).texts == TEXTS


PAIRS = max(len(TEXT_NAMES), len(GRADE_COLUMN_NAMES))  # every name of either column at least once


@pytest.mark.parametrize(
    ("text_name", "grade_name"),
    list(islice(zip(cycle(TEXT_NAMES), cycle(GRADE_COLUMN_NAMES), strict=False), PAIRS)),
)
def test_columns_are_found_by_any_known_name_in_any_place(file_with, text_name, grade_name):
    rows = [("1", grade, "x", text) for text, grade in ROWS]
    header = ("id", f" {grade_name.upper()} ", "date", text_name.title())
    assert read_corpus(file_with(table(rows, header))).texts == TEXTS


def test_of_two_text_columns_the_one_listed_first_wins(file_with):
    rows = [("简", text, grade) for text, grade in ROWS]
    assert read_corpus(file_with(table(rows, ("简介", "描述", "等级")))).texts == TEXTS


def test_the_real_table_keeps_its_four_grades(real_file):
    corpus = read_corpus(real_file("vulnerabilities_zh4_small.csv.gz"))
    assert corpus.counts() == (41, 704, 714, 246)
    assert corpus.skipped == {}


@pytest.mark.parametrize("numbers", [range(4), range(1, 5), range(5), ("P1", "P2", "P3", "P4")])
def test_numbers_are_no_grades_until_the_user_names_their_scale(file_with, numbers):
    path = file_with(table([(text, numbers[i % len(numbers)]) for i, (text, _) in enumerate(ROWS)]))
    error = error_of(path)
    assert error.code == "unknown_grades"
    assert list(error.details["unknown"]) == [str(number).lower() for number in numbers]
    mapping = dict(zip(map(str, numbers), ["low", "medium", "high", "critical", "none"], strict=False))
    assert set(read_corpus(path, least=1, grades=mapping).labels) == {0, 1, 2, 3}


def test_a_counter_is_no_grade_column_even_if_its_name_says_so(file_with):
    rows = [(text, i) for i, (text, _) in enumerate(ROWS * 3)]
    assert error_of(file_with(table(rows, ("text", "level")))).code == "no_label_column"


def test_words_in_another_column_are_taken_before_numbers_only_under_a_known_name(file_with):
    named = [(text, i % 5, grade) for i, (text, grade) in enumerate(ROWS)]
    assert read_corpus(file_with(table(named, ("text", "Severity", "Risk")))).labels == (1, 2) * 10
    complexity = [(text, i % 5, "low" if i % 2 else "high") for i, (text, _) in enumerate(ROWS)]
    for name in ("Attack Complexity", "x"):
        error = error_of(file_with(table(complexity, ("text", "Severity", name))))
        assert error.code == "unknown_grades"
    assert error_of(file_with(table(complexity, ("text", "n", "confidence")))).code == "no_label_column"


def test_cnnvds_hazard_level_is_read_by_its_name_in_a_table(file_with):
    rows = [(text, i % 4 + 1) for i, (text, _) in enumerate(ROWS)]
    assert read_corpus(file_with(table(rows, ("vulDesc", "hazardLevel")))).labels == (3, 2, 1, 0) * 5


def test_a_tsv_may_have_no_quotes_at_all(file_with):
    texts = [f'"start" of text number {i}' if i % 3 else f'" only {i}' for i in range(20)]
    rows = zip(texts, [grade for _, grade in ROWS], strict=True)
    corpus = read_corpus(file_with("text\tlabel\n" + "".join(f"{text}\t{grade}\n" for text, grade in rows)))
    assert corpus.texts == tuple(texts)
    assert corpus.labels == (1, 2) * 10


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_quotes_may_be_escaped_by_backslashes(file_with, delimiter):
    rows = [(f'a "{i}", b', grade) for i, (_, grade) in enumerate(ROWS)]
    escaped = [(text.replace('"', '\\"'), grade) for text, grade in rows]
    lines = delimiter.join(("text", "label")) + "\n"
    lines += "".join(f'"{text}"{delimiter}"{grade}"\n' for text, grade in escaped)
    assert read_corpus(file_with(lines)).texts == tuple(text for text, _ in rows)


def test_a_cell_that_ends_in_a_backslash_is_not_an_escape(file_with):
    rows = [(f"in the folder C:\\data {i}\\", grade) for i, (_, grade) in enumerate(ROWS)]
    quoted = "text,label\n" + "".join(f'"{text}","{grade}"\n' for text, grade in rows)
    assert read_corpus(file_with(quoted)).texts == tuple(text for text, _ in rows)


def test_a_header_cell_may_have_two_lines_and_brackets(file_with):
    corpus = read_corpus(file_with(table(header=("漏洞描述\n(中文)", "危害\n等级"))))
    assert corpus.texts == TEXTS


@pytest.mark.parametrize(
    ("encoding", "sentence"),
    [
        ("utf-16", "长度未经检查，远程攻击者可读取内存"),
        ("utf-16-le", "\ufeffThe length isn’t checked"),
        ("utf-32", "长度未经检查"),
        ("big5", "此漏洞存在於解析器，遠端攻擊者可利用此漏洞執行任意程式碼"),
        ("cp932", "この脆弱性により、リモートの攻撃者が任意のコードを実行する可能性があります"),
        ("cp1252", "The server doesn’t check “lengths” – remote attackers may read memory"),
        ("cp1252", "La vulnérabilité permet à un attaquant distant d’exécuter du code à l’été"),
        ("gb18030", "此漏洞源于解析模块未检查长度，远程攻击者可利用该漏洞执行任意代码"),
    ],
)
def test_older_encodings_are_told_by_the_text_they_yield(file_with, encoding, sentence):
    mark, body = ("\ufeff", sentence[1:]) if sentence[0] == "\ufeff" else ("", sentence)
    rows = [(f"{body} {i}", "high" if i % 2 else "low") for i in range(20)]
    corpus = read_corpus(file_with((mark + table(rows)).encode(encoding)))
    assert corpus.texts[0] == f"{body} 0"
    assert corpus.labels == (0, 2) * 10


def test_blank_lines_and_short_rows_are_tolerated(file_with):
    corpus = read_corpus(file_with("\n\n" + table() + "\n\n只有文本\n"))
    assert corpus.texts == TEXTS
    assert corpus.skipped == {"ungraded": 1}


def test_a_missing_text_column_names_the_columns_found_and_accepted(file_with):
    rows = [(f"短{i}", grade) for i, (_, grade) in enumerate(ROWS)]
    error = error_of(file_with(table(rows, header=("标题", "label"))))
    assert error.code == "no_text_column"
    columns = ["标题", "label"]
    assert error.details == {"found": columns, "accepted": list(TEXT_NAMES), "columns": columns}
    assert "its first columns are: 标题, label" in str(error)
    assert "漏洞描述" in str(error)


def test_a_missing_label_column_names_the_columns_found_and_accepted(file_with):
    rows = [(text, i + 5) for i, (text, _) in enumerate(ROWS)]
    error = error_of(file_with(table(rows, header=("描述", "分数"), delimiter=";")))
    assert error.code == "no_label_column"
    assert error.details["found"] == ["描述", "分数"]
    assert "危害等级" in str(error)


def test_columns_of_unknown_names_are_found_by_their_content(file_with):
    rows = [("1", grade, "x", text, "2020-01-01") for text, grade in ROWS]
    corpus = read_corpus(file_with(table(rows, ("a", "b", "c", "d", "e"))))
    assert corpus.texts == TEXTS
    assert corpus.labels == (1, 2) * 10


def test_two_grade_columns_are_ambiguous(file_with):
    rows = [(text, grade, grade) for text, grade in ROWS]
    assert error_of(file_with(table(rows, ("a", "b", "c")))).code == "no_label_column"


def test_columns_named_by_the_user_are_used(file_with):
    rows = [("别的文字" * 9, text, "低危", grade) for text, grade in ROWS]
    path = file_with(table(rows, ("text", "mine", "label", "Level 2")))
    corpus = read_corpus(path, text_column="Mine", label_column="level 2")
    assert (corpus.texts, corpus.labels) == (TEXTS, (1, 2) * 10)
    with pytest.raises(
        CorpusError, match=r"no column 'no' for the texts \(its first columns are: text, mine"
    ):
        read_corpus(path, text_column="no")
    with pytest.raises(CorpusError, match="no column 'no' for the labels"):
        read_corpus(path, label_column="no")


def test_text_and_label_column_must_differ(file_with):
    path = file_with(table())
    with pytest.raises(CorpusError):
        read_corpus(path, text_column="label", label_column="label")


def test_publication_dates_are_kept(file_with):
    rows = [(text, grade, "2021/03/04 10:00") for text, grade in ROWS]
    assert set(read_corpus(file_with(table(rows, ("text", "label", "日期")))).dates) == {"2021-03-04"}
    assert read_corpus(file_with(table())).dates == ()


def test_plain_prose_has_no_text_column(file_with):
    assert error_of(file_with("只是一段话。\n" * 30)).code == "no_text_column"


def test_a_header_without_rows_has_too_few_records(file_with):
    assert error_of(file_with("text,label")).code == "too_few"


def test_an_unclosed_quote_is_an_error(file_with):
    error = error_of(file_with(table() + '"没有关上的引号,高危\n下一条,中危\n'))
    assert error.code == "not_csv"
    assert "must be quoted" in str(error)


def test_a_cell_over_the_csv_field_limit_is_refused(file_with):
    assert error_of(file_with(table([*ROWS, ("长" * 200_000, "高")]))).code == "not_csv"


def test_an_endless_row_stops_early(file_with):
    assert error_of(file_with("text,label\n" + "," * 3 * 2**20)).code == "record_too_large"
    assert error_of(file_with("text,label," + "x" * 3 * 2**20)).code == "record_too_large"


def test_a_long_header_is_truncated_in_the_message(file_with):
    error = error_of(file_with("x" * 200_000 + "\n1\n"))
    assert error.code == "not_csv"
    assert len(str(error)) < 300


def test_neither_utf8_nor_gb18030_is_refused(file_with):
    assert error_of(file_with(table().encode() + b"\xff\xff\xff,\xe4\n")).code == "encoding"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_file_truncated_within_a_character_is_refused(file_with, encoding):
    error = error_of(file_with((table() + "最后一条").encode(encoding)[:-1]))
    assert error.code == "encoding"
    assert "ends in the middle of a character" in str(error)


def test_nul_bytes_after_a_valid_start_are_refused(file_with):
    assert error_of(file_with(table() * 20 + "\0\0")).code == "unknown_format"


def test_endless_blank_lines_are_refused(file_with, monkeypatch):
    monkeypatch.setattr(tables, "MAX_RECORDS", 1_000)
    assert error_of(file_with(table() + "\n" * 2_000)).code == "too_many_records"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_an_escaped_quote_may_end_a_cell(file_with, encoding):
    rows = [(f'the monitor of {i} in "漏洞"', grade) for i, (_, grade) in enumerate(ROWS)]
    lines = "text,label\n" + "".join(
        f'"{text}","{grade}"\n'.replace('"漏洞"', '\\"漏洞\\"') for text, grade in rows
    )
    assert read_corpus(file_with(lines.encode(encoding))).texts == tuple(text for text, _ in rows)
    only = "text,label\n" + "".join(f'"{grade}","漏洞的屏幕是 {i}\\""\n' for i, (_, grade) in enumerate(ROWS))
    corpus = read_corpus(file_with(only.encode(encoding)), text_column="label", label_column="text")
    assert corpus.texts[0] == '漏洞的屏幕是 0"'


def test_a_doubled_quote_after_a_backslash_takes_no_second_reading(file_with, monkeypatch):
    rows = [(f'the folder C:\\data\\"{i}" is open', grade) for i, (_, grade) in enumerate(ROWS)]
    monkeypatch.delattr(tables, "_fit")
    assert read_corpus(file_with(table(rows))).texts == tuple(text for text, _ in rows)
