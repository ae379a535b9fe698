"""Read records from the JSON of CNNVD, NVD, CVE and OSV, and rows from a JSON table."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.columns import HAZARD_GRADES, MAX_WORD_LENGTH, SAMPLE_ROWS, table_records
from sparsecore.corpora.corpus import CorpusError, TextRecord
from sparsecore.corpora.cvss import grade_of_vector
from sparsecore.corpora.encoding import detect_encoding, open_text
from sparsecore.corpora.json_stream import PlainNumbers, stream_objects
from sparsecore.corpora.source import ReadContext

# Version 3 first, as most records have it, then 4, and 2 where there is nothing else.
NVD_METRICS = ("cvssMetricV31", "cvssMetricV30", "cvssMetricV40", "cvssMetricV2")
CVE_METRICS = ("cvssV3_1", "cvssV3_0", "cvssV4_0", "cvssV2_0")
VECTORS = ("CVSS:3", "CVSS:4", "")

# Fields of a rating in `metrics[].other.content` of CVE 5, by vendor, and types that rate something else.
VENDOR_FIELDS = ("value", "text", "severity", "other", "rating", "level")
NO_SEVERITY = frozenset(("ssvc", "kev", "epss"))

# Each row repeats its keys; more distinct keys than this are data in the wrong place.
MAX_COLUMNS = 500


def read_json(open_member: OpenMember, head: bytes, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of a JSON file or of JSON lines; a first record of no known format starts a table.

    `head` holds the first bytes, as UTF-8.

    Raises CorpusError `not_json`, `too_deep`, `no_text_column`, `no_label_column`, `encoding`, or those of
    `Source`.
    """
    encoding = detect_encoding(open_member)
    with open_member() as source:
        values = stream_objects(source, PlainNumbers(open_text(source, encoding)), head)
        first = next(values, None)
        if first is None:
            raise CorpusError(
                "unknown_format",
                "The JSON contains no records; an export from NVD, CVE, OSV or CNNVD is needed.",
            )
        if _detect_format(first) is None:
            yield from _table(chain(_rows(first), values), context)
            return
        for value in chain([first], values):
            form = _detect_format(value)
            if form is None:
                yield TextRecord("", "")
                continue
            context.add_format(form[0])
            yield form[1](value)


def _table(values: Iterator[dict[str, Any]], context: ReadContext) -> Iterator[TextRecord]:
    sample = [value for value, _ in zip(values, range(SAMPLE_ROWS), strict=False)]
    names = list(dict.fromkeys(name for value in sample for name in value))[:MAX_COLUMNS]
    rows = ([_cell(value.get(name)) for name in names] for value in chain(sample, values))
    yield from table_records(names, rows, context, "JSON table")


def _rows(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of an object: itself, or those of a table by columns or by rows, or of its only list.

    >>> list(_rows({"text": {"0": "a", "1": "b"}, "label": {"0": "low", "1": "high"}}))
    [{'text': 'a', 'label': 'low'}, {'text': 'b', 'label': 'high'}]
    """
    cells = list(value.values())
    lists = [each for each in cells if isinstance(each, list) and each and isinstance(each[0], dict)]
    if cells and all(isinstance(each, dict) for each in cells):
        by_row = all(key.isdecimal() for key in value)
        yield from cells if by_row else _transposed(value)
    elif cells and all(isinstance(each, list) and len(each) == len(cells[0]) for each in cells) and not lists:
        yield from _transposed({name: dict(enumerate(each)) for name, each in value.items()})
    elif len(lists) == 1:
        yield from lists[0]
    else:
        yield value


def _transposed(columns: dict[str, dict[Any, Any]]) -> Iterator[dict[str, Any]]:
    for place in dict.fromkeys(place for column in columns.values() for place in column):
        yield {name: column.get(place) for name, column in columns.items()}


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""


def _detect_format(value: dict[str, Any]) -> tuple[str, Callable[[dict[str, Any]], TextRecord]] | None:
    """Return the format of a record and the function that reads it."""
    if get_path(value, "cve", "description") is not None:
        return "NVD JSON 1.1", _nvd_1
    cve = _map(value.get("cve", value))
    if "descriptions" in cve or ("cve" in value and "id" in cve):
        return "NVD JSON 2.0", _nvd_2
    if "containers" in value and "cveMetadata" in value:
        return "CVE 5.x", _cve_5
    if _detail(value) is not None:
        return "CNNVD API JSON", _cnnvd
    if (
        "id" in value
        and "modified" in value
        and value.keys() & {"details", "summary", "affected", "withdrawn"}
    ):
        return "OSV / GHSA", _osv
    return None


def get_path(value: Any, *path: str) -> Any:
    """Return the value at a path of keys, or None.

    >>> get_path({"a": {"b": 1}}, "a", "b"), get_path({"a": [1]}, "a", "b")
    (1, None)
    """
    for key in path:
        value = _map(value).get(key)
    return value


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[dict[str, Any]]:
    return [_map(each) for each in value] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _english(descriptions: Any) -> str:
    """Return the English description, else the first one."""
    found = _maps(descriptions)
    english = (each for each in found if _text(each.get("lang")).casefold().startswith("en"))
    return _text(next(chain(english, found), {}).get("value"))


def _grade(name: Any) -> str:
    """Return the grade name; CVSS's NONE is the score 0.0, which is no grade."""
    return "" if _text(name).upper() == "NONE" else _text(name)


def _grade_of(metric: Any) -> str:
    """Return the grade of CVSS data: its name, else that of its vector."""
    return _grade(get_path(metric, "baseSeverity")) or grade_of_vector(
        _text(get_path(metric, "vectorString"))
    )


def _nvd_1(value: dict[str, Any]) -> TextRecord:
    text = _english(get_path(value, "cve", "description", "description_data"))
    grade = _grade_of(get_path(value, "impact", "baseMetricV3", "cvssV3"))
    grade = grade or _grade(get_path(value, "impact", "baseMetricV2", "severity"))
    return TextRecord(text, grade, _text(value.get("publishedDate")))


def _nvd_2(value: dict[str, Any]) -> TextRecord:
    cve = _map(value.get("cve", value))
    rejected = "rejected" if _text(cve.get("vulnStatus")).casefold() == "rejected" else ""
    grades = (
        _grade_of(metric.get("cvssData")) or _grade(metric.get("baseSeverity"))
        for name in NVD_METRICS
        for metric in sorted(_maps(get_path(cve, "metrics", name)), key=lambda m: m.get("type") != "Primary")
    )
    return TextRecord(
        _english(cve.get("descriptions")),
        next(filter(None, grades), ""),
        _text(cve.get("published")),
        rejected,
    )


def _cve_5(value: dict[str, Any]) -> TextRecord:
    containers, metadata = _map(value["containers"]), _map(value["cveMetadata"])
    rejected = "rejected" if _text(metadata.get("state")).upper() == "REJECTED" else ""
    places = [_map(containers.get("cna")), *_maps(containers.get("adp"))]
    metrics = [_maps(place.get("metrics")) for place in places]
    official = (_grade_of(each.get(name)) for found in metrics for name in CVE_METRICS for each in found)
    vendors = (_vendor_grade(_map(each.get("other"))) for found in metrics for each in found)
    text = _english(get_path(containers, "cna", "descriptions"))
    grade = next(filter(None, chain(official, vendors)), "")
    return TextRecord(text, grade, _text(metadata.get("datePublished")), rejected)


def _vendor_grade(other: dict[str, Any]) -> str:
    """Return the severity in a vendor's own rating, as written where it is no known grade."""
    if _text(other.get("type")).strip().casefold() in NO_SEVERITY:
        return ""
    found = (_cell(get_path(other, "content", name)) for name in VENDOR_FIELDS)
    return next((_grade(word) for word in found if 0 < len(word) <= MAX_WORD_LENGTH), "")


def _osv(value: dict[str, Any]) -> TextRecord:
    withdrawn = "withdrawn" if value.get("withdrawn") else ""
    text = _text(value.get("details")) or _text(value.get("summary"))
    affected = _maps(value.get("affected"))
    grade = (
        _grade(get_path(value, "database_specific", "severity"))
        or _osv_severity(value.get("severity"))
        or _agreed(_osv_severity(each.get("severity")) for each in affected)
        or _agreed(_grade(get_path(each, "database_specific", "severity")) for each in affected)
        or _agreed(_grade(get_path(each, "ecosystem_specific", "severity")) for each in affected)
    )
    return TextRecord(text, grade, _text(value.get("published")), withdrawn)


def _osv_severity(found: Any) -> str:
    """Return the grade of OSV's severities: the publisher's own word, else a CVSS vector, v3 before v4."""
    severities = _maps(found)
    words = (
        _grade(each.get("score")) for each in severities if not _text(each.get("type")).startswith("CVSS")
    )
    vectors = (
        grade_of_vector(score)
        for start in VECTORS
        for score in (_text(each.get("score")) for each in severities)
        if score.startswith(start)
    )
    return next(filter(None, chain(words, vectors)), "")


def _agreed(grades: Iterable[str]) -> str:
    """Return the grade of all affected packages; "" if they have several."""
    found = {grade.upper() for grade in grades if grade}
    return found.pop() if len(found) == 1 else ""


def _detail(value: dict[str, Any]) -> dict[str, Any] | None:
    """Find CNNVD's record in its answer: `cnnvdDetail`, at the top or in `data`, or the bare record."""
    wrapped = (value.get("cnnvdDetail"), get_path(value, "data", "cnnvdDetail"))
    found = (each for each in map(_map, wrapped) if {"hazardLevel", "vulDesc"} & each.keys())
    return next(found, value if "vulDesc" in value else None)


def _cnnvd(value: dict[str, Any]) -> TextRecord:
    detail = _detail(value) or {}
    level = _cell(detail.get("hazardLevel"))
    grade = HAZARD_GRADES.get(level, level)
    return TextRecord(_text(detail.get("vulDesc")), grade, _text(detail.get("publishTime")))
