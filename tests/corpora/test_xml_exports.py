import gzip
import tracemalloc

import pytest

from sparsecore.corpora import xml_exports
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.source import MAX_RECORD_BYTES


def record(text, grade):
    return f"<vulnerability><serverity>{grade}</serverity><description>{text}</description></vulnerability>"


RECORDS = "".join(record(f"第{i}条", "高中低"[i % 3]) for i in range(21))
DECLARATION = '<?xml version="1.0" encoding="{}"?>\n'
EXPORT = DECLARATION.format("UTF-8") + f"<vulnerabilitys>{RECORDS}</vulnerabilitys>"


def code_of(path):
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    return caught.value.code


def test_a_small_export_is_read_in_order(file_with):
    corpus = read_corpus(file_with(EXPORT))
    assert corpus.texts[:3] == ("第0条", "第1条", "第2条")
    assert corpus.labels[:3] == (2, 1, 0)
    assert corpus.skipped == {}
    assert not corpus.generated


# Expected counts come from regular expressions over the published files, not from this program.
def test_all_records_of_the_first_real_export_are_used(real_file):
    corpus = read_corpus(real_file("exports/cnvd-304.xml"))
    assert corpus.counts() == (1, 22, 10, 0)
    assert corpus.skipped == {}
    assert corpus.texts[0].startswith("Cisco Small Business 500 Device是美国思科公司的500系列")


def test_the_second_real_export_has_duplicates_and_conflicts(real_file):
    corpus = read_corpus(real_file("exports/cnvd-956.xml.gz"))
    assert corpus.counts() == (21, 131, 60, 0)
    assert corpus.skipped == {"duplicate": 23, "conflicting": 3}


def test_escaped_markup_and_cdata_stay_plain_text(file_with):
    script = "<script>alert(1)</script>"
    escaped = record("&lt;script&gt;alert(1)&lt;/script&gt;一", "高") + record(
        f"<![CDATA[{script}]]>二", "高"
    )
    corpus = read_corpus(file_with(EXPORT.replace("<vulnerabilitys>", "<vulnerabilitys>" + escaped)))
    assert corpus.texts[:2] == (script + "一", script + "二")


def test_a_record_without_text_or_grade_is_counted(file_with):
    odd = (
        "<vulnerability/>"
        + record("", "高")
        + record("无等级", "")
        + "<vulnerability><description>无</description></vulnerability>"
    )
    corpus = read_corpus(file_with(EXPORT.replace("<vulnerabilitys>", "<vulnerabilitys>" + odd)))
    assert corpus.skipped == {"empty_text": 2, "ungraded": 2}


def test_a_description_outside_a_record_is_ignored(file_with):
    nested = "<note><description>别处</description><serverity>高</serverity></note>"
    corpus = read_corpus(file_with(EXPORT.replace("<vulnerabilitys>", "<vulnerabilitys>" + nested)))
    assert "别处" not in corpus.texts


def test_other_declared_encodings_are_read(file_with):
    written = EXPORT.replace("第", "弱點").replace("条", "則")
    texts = read_corpus(file_with(written)).texts
    assert read_corpus(file_with(written.replace("UTF-8", "Big5").encode("big5"))).texts == texts
    assert read_corpus(file_with(written.replace("UTF-8", "UTF-16").encode("utf-16"))).texts == texts


@pytest.mark.parametrize("declared", ["gb18030", "GBK", "gb2312"])
def test_chinese_encodings_are_read(file_with, declared):
    content = EXPORT.replace("UTF-8", declared).encode("gb18030")
    assert read_corpus(file_with(content)).texts == read_corpus(file_with(EXPORT)).texts


def test_a_byte_order_mark_and_gzip_change_nothing(file_with):
    texts = read_corpus(file_with(EXPORT)).texts
    assert read_corpus(file_with("\ufeff" + EXPORT)).texts == texts
    assert read_corpus(file_with(gzip.compress(EXPORT.encode()))).texts == texts


def test_unsupported_encodings_are_named_and_refused(file_with):
    with pytest.raises(CorpusError, match="encoded in koi8-r, which is not supported") as caught:
        read_corpus(file_with(EXPORT.replace("UTF-8", "KOI8-R")))
    assert caught.value.code == "encoding"
    assert code_of(file_with(EXPORT.replace("UTF-8", "gbk").encode("gb18030") + b"\xff\xff")) == "encoding"


def test_malformed_xml_is_refused_with_its_position(file_with):
    with pytest.raises(CorpusError, match="not well-formed at line 2, column") as caught:
        read_corpus(file_with(EXPORT.replace("</vulnerability>", "</vulnerabilty>", 1)))
    assert caught.value.code == "not_xml"
    assert caught.value.details["line"] == 2
    assert code_of(file_with(EXPORT[:-30])) == "not_xml"


def test_unescaped_signs_in_a_text_are_repaired(file_with):
    corpus = read_corpus(file_with(EXPORT.replace("第3条", "a < b && <script>x</script> <c@d.org> &lt;&#0;")))
    assert corpus.texts[3] == "a < b && <script>x</script> <c@d.org> <\N{REPLACEMENT CHARACTER}"


def test_document_types_and_entities_are_refused(file_with):
    bomb = '<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    outside = '<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    for declaration in (bomb, outside, "<!DOCTYPE html>"):
        assert code_of(file_with(declaration + "<vulnerabilitys>&b;</vulnerabilitys>")) == "dtd"


def test_an_unknown_root_element_is_refused(file_with):
    with pytest.raises(
        CorpusError, match="root element is <rss>; an export from CNVD with the root <vulnerabilitys>"
    ):
        read_corpus(file_with("<rss><channel/></rss>"))


CNNVD = '<cnnvd xmlns="http://www.cnnvd.org.cn/vuln/1.0">{}</cnnvd>'
OLD = (
    "<entry><name>名</name><published>2000-01-0{}</published><severity>{}</severity>"
    "<vuln-descript>{}</vuln-descript></entry>"
)
NEW = (
    "<cnnvd_items><published>2000-01-0{}</published>"
    "<severity><cvss>9</cvss><overallseverity>{}</overallseverity></severity>"
    "<vuln_descript>{}</vuln_descript></cnnvd_items>"
)


@pytest.mark.parametrize("entry", [OLD, NEW], ids=["old", "new"])
def test_both_formats_of_cnnvd_are_read(file_with, entry):
    grades = ("超危", "高危", "中危", "低危")
    records = [entry.format(1 + i % 9, grades[i % 4], f"第{i}条 a<b") for i in range(20)]
    corpus = read_corpus(file_with(CNNVD.format("".join([*records, entry.format(1, "", "未定级")]))))
    assert corpus.texts[:2] == ("第0条 a<b", "第1条 a<b")
    assert corpus.labels[:4] == (3, 2, 1, 0)
    assert corpus.dates[:2] == ("2000-01-01", "2000-01-02")
    assert corpus.skipped == {"ungraded": 1}


# Expected counts come from regular expressions over the published files, not from this program.
def test_all_records_of_the_real_cnnvd_export_are_used(real_file):
    corpus = read_corpus(real_file("exports/cnnvd-2000-part.xml"))
    assert corpus.counts() == (19, 78, 78, 22)
    assert corpus.skipped == {"duplicate": 3}


def test_the_real_export_with_unescaped_signs_is_repaired(real_file):
    corpus = read_corpus(real_file("exports/cnnvd-unescaped.xml"))
    assert corpus.counts() == (1, 5, 9, 5)
    assert corpus.skipped == {}


def test_many_records_are_streamed(file_with):
    repeated = record("同样的文字" * 20, "高") * 20_000
    path = file_with(EXPORT.replace("<vulnerabilitys>", "<vulnerabilitys>" + repeated))
    assert path.stat().st_size > 5 * MAX_RECORD_BYTES
    tracemalloc.start()
    corpus = read_corpus(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert corpus.skipped == {"duplicate": 19_999}
    assert peak < 4 * 2**20


def test_deep_nesting_stops_early(file_with):
    assert code_of(file_with("<vulnerabilitys><vulnerability>" + "<a>" * 200_000)) == "too_deep"


@pytest.mark.parametrize("filling", ["<a/>", "\n", "<!-- -->", "<description>x", "&lt;"])
def test_an_endless_record_stops_early(file_with, filling):
    endless = "<vulnerabilitys><vulnerability>" + filling * (2 * MAX_RECORD_BYTES // len(filling))
    assert code_of(file_with(endless)) == "record_too_large"


def test_the_number_of_elements_is_limited(file_with, monkeypatch):
    monkeypatch.setattr(xml_exports, "MAX_EVENTS", 1_000)
    assert code_of(file_with("<vulnerabilitys>" + "<a/>" * 600 + "</vulnerabilitys>")) == "too_many_records"
