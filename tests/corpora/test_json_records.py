import gzip
import json

import pytest

from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.json_stream import MAX_DEPTH, RECORD_BYTES
from sparsecore.corpora.reading import read_corpus

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")


def vector(level):
    impact = {"LOW": "N", "MEDIUM": "L", "HIGH": "H", "CRITICAL": "H"}[level]
    others = "H" if level == "CRITICAL" else "N"
    reach = "P" if level == "LOW" else "N"
    low = "L" if level == "LOW" else others
    return f"CVSS:3.1/AV:{reach}/AC:L/PR:N/UI:N/S:U/C:{impact}/I:{low}/A:{others}"


def nvd_1(text, level):
    return {
        "cve": {
            "description": {
                "description_data": [{"lang": "es", "value": "no"}, {"lang": "en", "value": text}]
            }
        },
        "impact": {"baseMetricV3": {"cvssV3": {"baseSeverity": level}}} if level else {},
        "publishedDate": "2018-01-10T22:29Z",
    }


def nvd_2(text, level, **more):
    secondary = {"type": "Secondary", "cvssData": {"baseSeverity": "NONE"}}
    primary = {"type": "Primary", "cvssData": {"baseSeverity": level}}
    return {
        "cve": {
            "id": "CVE-2018-1",
            "published": "2018-01-10T22:29:00.000",
            "descriptions": [{"lang": "fr", "value": "non"}, {"lang": "en", "value": text}],
            "metrics": {"cvssMetricV30": [secondary, primary]} if level else {},
            **more,
        }
    }


def cve_5(text, level, state="PUBLISHED", container="cna", version="cvssV3_1"):
    metrics = [{"other": {}}, {version: {"baseSeverity": level}}] if level else []
    return {
        "cveMetadata": {"state": state, "datePublished": "2018-01-10T00:00:00Z"},
        "containers": {
            "cna": {
                "descriptions": [{"lang": "en-US", "value": text}],
                "metrics": metrics if container == "cna" else [],
            },
            "adp": [{"title": "x"}, {"metrics": metrics if container == "adp" else []}],
        },
    }


def osv(text, level, **more):
    named = {"LOW": "LOW", "MEDIUM": "MODERATE"}.get(level, level)
    return {
        "id": "GHSA-1",
        "modified": "2020-01-01T00:00:00Z",
        "published": "2018-01-10T00:00:00Z",
        "details": text,
        "database_specific": {"severity": named},
        **more,
    }


def cnnvd(text, level):
    hazard = 4 - LEVELS.index(level) if level else None
    detail = {"vulDesc": text, "hazardLevel": hazard, "publishTime": "2018-01-10 00:00:00"}
    return {"code": 200, "data": {"cnnvdDetail": detail, "receviceVulDetail": None}}


MAKERS = {
    "NVD JSON 1.1": nvd_1,
    "NVD JSON 2.0": nvd_2,
    "CVE 5.x": cve_5,
    "OSV / GHSA": osv,
    "CNNVD API JSON": cnnvd,
}
ENVELOPE = {"NVD JSON 1.1": "CVE_Items", "NVD JSON 2.0": "vulnerabilities", "OSV / GHSA": "vulns"}


def lines(values):
    return "\n".join(json.dumps(value) for value in values)


def twenty(maker):
    return [maker(f"Text {i}", LEVELS[i % 4]) for i in range(20)]


def code_of(path):
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    assert "\n" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("layout", ["list", "lines", "envelope", "indented lines"])
@pytest.mark.parametrize("name", MAKERS)
def test_every_publisher_format_is_read_in_every_layout(file_with, name, layout):
    values = twenty(MAKERS[name])
    content = {
        "list": json.dumps(values),
        "lines": lines(values),
        "envelope": json.dumps({"format": "x", "n": 20, ENVELOPE.get(name, "data"): values, "end": [{}]}),
        "indented lines": "\n".join(json.dumps(value, indent=1) for value in values),
    }[layout]
    path = file_with(content)
    corpus = read_corpus(path)
    assert corpus.texts[:2] == ("Text 0", "Text 1")
    assert corpus.labels == (0, 1, 2, 3) * 5
    assert set(corpus.dates) == {"2018-01-10"}
    assert inspect(path).format == name


@pytest.mark.parametrize("name", MAKERS)
def test_a_single_record_can_be_inspected(file_with, name):
    found = inspect(file_with(json.dumps(MAKERS[name]("Text", "HIGH"), indent=2)))
    assert (found.format, found.rows, found.labels["高危"]) == (name, 1, 1)


@pytest.mark.parametrize("name", MAKERS)
def test_ungraded_and_empty_records_are_counted(file_with, name):
    maker = MAKERS[name]
    path = file_with(lines([*twenty(maker), maker("no grade", None), maker("", "HIGH")]))
    assert read_corpus(path).skipped == {"ungraded": 1, "empty_text": 1}


def test_rejected_and_withdrawn_records_are_counted(file_with):
    two = [*twenty(nvd_2), nvd_2("x", "HIGH", vulnStatus="Rejected"), nvd_2("Rejected reason: y", None)]
    assert read_corpus(file_with(lines(two))).skipped == {"rejected": 2}
    one = [*twenty(nvd_1), nvd_1("** REJECT ** z", None)]
    assert read_corpus(file_with(lines(one))).skipped == {"rejected": 1}
    five = [*twenty(cve_5), cve_5("x", "HIGH", state="REJECTED")]
    assert read_corpus(file_with(lines(five))).skipped == {"rejected": 1}
    withdrawn = [*twenty(osv), osv("x", "HIGH", withdrawn="2021-01-01T00:00:00Z")]
    assert read_corpus(file_with(lines(withdrawn))).skipped == {"withdrawn": 1}


@pytest.mark.parametrize("container", ["cna", "adp"])
@pytest.mark.parametrize("version", ["cvssV3_1", "cvssV3_0", "cvssV4_0"])
def test_cve_grades_are_found_in_any_container_and_version(file_with, container, version):
    path = file_with(json.dumps(cve_5("Text", "CRITICAL", container=container, version=version)))
    assert inspect(path).labels["超高危"] == 1


def test_the_cna_grade_takes_precedence_and_v3_over_v4(file_with):
    value = cve_5("Text", "LOW", container="adp")
    metrics = [{"cvssV4_0": {"baseSeverity": "HIGH"}}, {"cvssV3_0": {"baseSeverity": "MEDIUM"}}]
    value["containers"]["cna"]["metrics"] = metrics
    assert inspect(file_with(json.dumps(value))).labels["中危"] == 1


def test_osv_without_a_named_grade_is_graded_by_its_vector(file_with):
    values = [
        osv(f"Text {i}", "", severity=[{"type": "CVSS_V3", "score": vector(LEVELS[i % 4])}]) for i in range(4)
    ]
    v4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
    values += [osv("v4", "", severity=[{"type": "CVSS_V4", "score": v4}])]
    values += [osv("none", "", severity=[{"type": "CVSS_V2", "score": "AV:N/AC:L"}])]
    found = inspect(file_with(lines(values)))
    assert found.labels == {"低危": 1, "中危": 1, "高危": 1, "超高危": 2}
    assert found.skipped == {"ungraded": 1}


def test_osv_without_details_falls_back_to_the_summary(file_with):
    values = [osv("", level, summary=f"short {level}") for level in LEVELS]
    assert inspect(file_with(lines(values))).rows == 4


def test_chinese_json_in_gb18030_and_gzip_is_read(file_with):
    values = [cnnvd(f"第{i}条", LEVELS[i % 2]) for i in range(20)]
    packed = gzip.compress(json.dumps(values, ensure_ascii=False).encode("gb18030"))
    assert read_corpus(file_with(packed)).texts[0] == "第0条"
    assert read_corpus(file_with("\ufeff" + lines(values))).texts[0] == "第0条"


def test_json_rows_are_read_as_a_table(file_with):
    rows = [{"id": i, "描述": f"第{i}条", "等级": "高" if i % 2 else "低", "x": {"y": 1}} for i in range(20)]
    assert read_corpus(file_with(lines(rows))).labels == (0, 2) * 10
    odd = [{"a": f"a text long enough {i}", "b": float(i % 2), "c": i} for i in range(20)]
    corpus = read_corpus(
        file_with(json.dumps(odd)), text_column="a", label_column="b", grades={"0": "low", "1": "medium"}
    )
    assert corpus.labels == (0, 1) * 10
    assert code_of(file_with(lines([{"c": i} for i in range(30)]))) == "no_text_column"


@pytest.mark.parametrize(
    ("name", "form", "counts"),
    [
        ("nvdcve-1.1-part.json.gz", "NVD JSON 1.1", (2, 68, 53, 20)),
        ("cve5-records.jsonl", "CVE 5.x", (1, 6, 0, 1)),
        ("cve5-one-record.json", "CVE 5.x", (0, 1, 0, 0)),
    ],
)
def test_the_real_exports_are_read(real_file, name, form, counts):
    found = inspect(real_file(f"exports/{name}"))
    assert (found.format, tuple(found.labels.values())) == (form, counts)
    assert found.languages == {"zh": 0, "en": found.rows}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"a": ', "not_json"),
        ('[{"a": 1}, nonsense]', "not_json"),
        ('{"a": ' + "9" * 5_000 + "}", "no_label_column"),
        ('{"a": 1e999999}', "no_text_column"),
        ('{"a": ' + "9" * 500_000 + "}", "not_json"),
        ("[" * 1_000_000, "too_deep"),
        ('{"a":' * 1_000_000, "too_deep"),
        ('{"a": "' + "x" * (2 * RECORD_BYTES) + '"}', "record_too_large"),
        ("[" + "1," * RECORD_BYTES, "record_too_large"),
        ('{"CVE_Items": [' + " " * (2 * RECORD_BYTES), "record_too_large"),
        ("[]", "unknown_format"),
        ("{}", "no_text_column"),
        ("[1, 2]", "unknown_format"),
        ('{"cve": 1}', "no_text_column"),
    ],
    ids=lambda value: value[:12],
)
def test_hostile_json_is_refused_in_one_sentence(file_with, content, code):
    assert code_of(file_with(content)) == code


def test_nesting_up_to_the_limit_is_read(file_with):
    depth = MAX_DEPTH - 3
    values = twenty(cve_5)
    values[0]["deep"] = json.loads("[" * depth + "]" * depth)
    assert len(read_corpus(file_with(json.dumps(values))).texts) == 20


@pytest.mark.parametrize("name", MAKERS)
def test_a_value_of_any_type_at_any_key_is_tolerated(file_with, name):
    """Each key of a record holds a value of another type in turn; the record is then read or skipped."""
    odd = []

    def spoil(value, put):
        for wrong in (None, 1, "x", [], {}, [[]], [None], {"a": 1}):
            put(wrong)
            odd.append(json.loads(json.dumps(root)))
        put(value)
        inside = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, member in list(inside):
            spoil(member, lambda new, key=key: value.__setitem__(key, new))

    root = MAKERS[name]("Text", "HIGH")
    for key in list(root):
        spoil(root[key], lambda new, key=key: root.__setitem__(key, new))
    values = twenty(MAKERS[name])
    assert len(read_corpus(file_with(lines([*values, *odd])), grades={"x": "none"}).texts) >= 20


def test_control_characters_and_lone_surrogates_become_spaces(file_with):
    values = twenty(nvd_1)
    values[0] = nvd_1("a\x00b\x1b[31m \ud800", "HIGH")
    corpus = read_corpus(file_with(lines(values).replace("\ud800", "\\ud800").encode()))
    assert corpus.texts[0].startswith("a b [31m")
    corpus.texts[0].encode()


V2, V3 = "AV:N/AC:L/Au:N/C:C/I:C/A:C", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = {"baseSeverity": "LOW"}
V4 = "CVSS:4.0/AV:L/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("found", "label"),
    [
        ({"severity": [{"type": "CVSS_V2", "score": V2}]}, 2),
        ({"severity": [{"type": "CVSS_V4", "score": V4}, {"type": "CVSS_V3", "score": V3}]}, 3),
        ({"severity": [{"type": "CVSS_V2", "score": V2}, {"type": "CVSS_V4", "score": V4}]}, 0),
        ({"severity": [{"type": "Ubuntu", "score": "medium"}]}, 1),
        ({"affected": [{"severity": [{"type": "CVSS_V3", "score": V3}]}]}, 3),
        ({"affected": [{"database_specific": {"severity": "HIGH"}}]}, 2),
        ({"affected": [{"ecosystem_specific": {"severity": "Moderate"}}]}, 1),
        ({"affected": [{"ecosystem_specific": {"severity": name}} for name in ("LOW", "HIGH")]}, None),
    ],
    ids=["v2", "v3 before v4", "v4 before v2", "ubuntu", "affected", "database", "ecosystem", "they differ"],
)
def test_osv_severities_are_read_in_every_place_of_the_schema(file_with, found, label):
    bare = {name: each for name, each in osv("This one", "").items() if name != "database_specific"}
    corpus = read_corpus(file_with(lines([*twenty(osv), bare | found])))
    assert dict(zip(corpus.texts, corpus.labels, strict=True)).get("This one") == label


@pytest.mark.parametrize(
    ("metrics", "label"),
    [
        ({"cvssMetricV40": [{"type": "Secondary", "cvssData": {"baseSeverity": "CRITICAL"}}]}, 3),
        ({"cvssMetricV2": [{"baseSeverity": "MEDIUM", "cvssData": {"baseScore": 5}}]}, 1),
        (
            {
                f"cvssMetricV{n}": [{"cvssData": {"baseSeverity": s}}]
                for n, s in (("2", "HIGH"), ("31", "LOW"))
            },
            0,
        ),
        ({"cvssMetricV31": [{"cvssData": {"vectorString": V3}}]}, 3),
    ],
    ids=["v4", "v2", "v3 before v2", "vector"],
)
@pytest.mark.parametrize("bare", [False, True])
def test_nvd_records_of_every_version_are_read_bare_or_wrapped(file_with, metrics, label, bare):
    cve = {"id": "CVE-1", "descriptions": [{"lang": "en", "value": "This one"}], "metrics": metrics}
    corpus = read_corpus(file_with(lines([*twenty(nvd_2), cve if bare else {"cve": cve}])))
    assert dict(zip(corpus.texts, corpus.labels, strict=True))["This one"] == label


def test_a_mirrors_year_is_an_envelope(file_with):
    year = {"feed_name": "CVE-2025", "cve_items": [value["cve"] for value in twenty(nvd_2)]}
    assert read_corpus(file_with(json.dumps(year))).labels == (0, 1, 2, 3) * 5


def test_an_unknown_hazard_level_of_cnnvd_is_asked_about(file_with):
    odd = cnnvd("This one", "LOW")
    odd["data"]["cnnvdDetail"]["hazardLevel"] = 7
    with pytest.raises(CorpusError) as caught:
        read_corpus(file_with(lines([*twenty(cnnvd), odd])))
    assert caught.value.details["unknown"] == {"7": 1}


def cve_5_with_other(text, kind, content, level=None):
    value = cve_5(text, level)
    value["containers"]["cna"]["metrics"].insert(0, {"other": {"type": kind, "content": content}})
    return value


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("Red Hat severity rating", "value"),
        ("Textual description of severity", "text"),
        ("unknown", "other"),
    ],
)
def test_a_vendors_own_rating_grades_a_cve_without_cvss(file_with, kind, field):
    words = ["Low", "Moderate", "Important", "Critical"] * 5
    values = [cve_5_with_other(f"Text {i}", kind, {field: word}) for i, word in enumerate(words)]
    assert read_corpus(file_with(json.dumps(values))).labels == (0, 1, 2, 3) * 5


def test_cvss_goes_before_a_vendors_rating(file_with):
    values = [cve_5_with_other(f"Text {i}", "unknown", {"text": "low"}, LEVELS[i % 4]) for i in range(20)]
    assert read_corpus(file_with(json.dumps(values))).labels == (0, 1, 2, 3) * 5


def test_ssvc_is_no_grade(file_with):
    ssvc = {"id": "CVE-1", "options": [{"Exploitation": "active"}], "value": "high"}
    values = [cve_5(f"Text {i}", LEVELS[i % 4]) for i in range(20)]
    values.append(cve_5_with_other("Another one", "SSVC", ssvc))
    values.append(cve_5_with_other("One more", "kev", {"dateAdded": "2024-01-01", "value": "low"}))
    assert inspect(file_with(json.dumps(values))).skipped == {"ungraded": 2}


def test_a_vendors_unknown_rating_is_asked_about(file_with):
    values = [cve_5(f"Text {i}", LEVELS[i % 4]) for i in range(20)]
    values += [cve_5_with_other(f"Other {i}", "Own severity", {"value": "P1"}) for i in range(3)]
    with pytest.raises(CorpusError) as caught:
        read_corpus(file_with(json.dumps(values)))
    assert caught.value.details["unknown"] == {"p1": 3}
    assert read_corpus(file_with(json.dumps(values)), grades={"P1": "critical"}).counts() == (5, 5, 5, 8)
