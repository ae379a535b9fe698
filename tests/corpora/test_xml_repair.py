import io
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.corpora import encoding
from sparsecore.corpora.xml_repair import RepairedXml

SIGNS = st.text(st.sampled_from("<>&;a/ #x1 \"'=!-[]漏"), max_size=60)


def repaired(text):
    return io.BufferedReader(RepairedXml(io.StringIO(text))).read().decode()


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("a < b", "a < b"),
        ("a && b", "a && b"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("&#20013;&#x4e2d;", "中中"),
        ("&#0;&#xFFFF;&#99999999;", "\ufffd\ufffd&#99999999;"),
        ("&nbsp;&copy", "&nbsp;&copy"),
        ("<b>x</b><br/>", "<b>x</b><br/>"),
        ("<!-- x --><!DOCTYPE y>", "<!-- x --><!DOCTYPE y>"),
        ("<![CDATA[<i>&amp;</i></name>]]>!", "<i>&amp;</i></name>!"),
        ("]]>", "]]>"),
        ("a\x0bb\x1f", "a b "),
    ],
)
def test_a_field_yields_the_intended_text(inside, text):
    root = ElementTree.fromstring(repaired(f"<entry><name>{inside}</name></entry>"))
    assert root.findtext("name") == text


def test_well_formed_xml_is_unchanged_except_its_declaration():
    text = '<cnnvd a="1"><!-- c --><entry x="&lt;"><name>n</name><b:c/></entry></cnnvd>'
    assert repaired('<?xml version="1.0" encoding="GBK"?>' + text) == text


def test_addresses_and_stray_signs_between_fields_become_text():
    assert repaired("<a>x <y@z.org> < 3 & 4</a>") == "<a>x &lt;y@z.org> &lt; 3 &amp; 4</a>"


def test_document_types_are_left_for_the_parser_to_refuse():
    text = '<!DOCTYPE v [<!ENTITY a "b">]><v>&amp;</v>'
    assert repaired(text) == text


@given(SIGNS, st.integers(1, 9))
def test_any_text_becomes_a_well_formed_field_at_any_chunk_size(inside, size):
    text = f"<entry><vuln-descript>{inside}</vuln-descript><severity>高</severity></entry>"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "CHUNK_BYTES", size)
        patch.setattr("sparsecore.corpora.xml_repair.HELD_BACK", 32)
        chunked = repaired(text)
    if "<![CDATA[" not in inside:
        assert ElementTree.fromstring(chunked).findtext("severity") == "高"
    assert chunked == repaired(text)
