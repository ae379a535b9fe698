"""Read records from the JSON of CNNVD, NVD, CVE and OSV, and rows from a JSON table."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.columns import SAMPLE_ROWS, table_records
from sparsecore.corpora.corpus import GRADES, CorpusError, TextRecord
from sparsecore.corpora.cvss import grade_of_vector
from sparsecore.corpora.encoding import Utf8Stream, detect_encoding, open_text
from sparsecore.corpora.json_stream import stream_objects
from sparsecore.corpora.source import ReadContext

# CNNVD's hazardLevel runs from 1, the most severe, so it is GRADES in reverse.
HAZARD_GRADES = {str(level): grade for level, grade in enumerate(reversed(GRADES), start=1)}
NVD_METRICS = ("cvssMetricV31", "cvssMetricV30")
CVE_METRICS = ("cvssV3_1", "cvssV3_0", "cvssV4_0")

# Each row repeats its keys; more distinct keys than this are data in the wrong place.
MAX_COLUMNS = 500


def read_json(open_member: OpenMember, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of a JSON file or of JSON lines; a first record of no known format starts a table.

    Raises CorpusError `not_json`, `too_deep`, `no_text_column`, `no_label_column`, `encoding`, or those of
    `Source`.
    """
    encoding = detect_encoding(open_member)
    with open_member() as source:
        values = stream_objects(source, Utf8Stream(open_text(source, encoding)))
        first = next(values, None)
        if first is None:
            raise CorpusError(
                "unknown_format",
                "The JSON contains no records; an export from NVD, CVE, OSV or CNNVD is needed.",
            )
        if _detect_format(first) is None:
            context.add_format("JSON table")
            yield from _table(chain([first], values), context)
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
    yield from table_records(names, rows, context)


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""


def _detect_format(value: dict[str, Any]) -> tuple[str, Callable[[dict[str, Any]], TextRecord]] | None:
    """Return the format of a record and the function that reads it."""
    if get_path(value, "cve", "description") is not None:
        return "NVD JSON 1.1", _nvd_1
    if get_path(value, "cve", "descriptions") is not None or "id" in _map(value.get("cve")):
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


def _nvd_1(value: dict[str, Any]) -> TextRecord:
    text = _english(get_path(value, "cve", "description", "description_data"))
    grade = _grade(get_path(value, "impact", "baseMetricV3", "cvssV3", "baseSeverity"))
    return TextRecord(text, grade, _text(value.get("publishedDate")))


def _nvd_2(value: dict[str, Any]) -> TextRecord:
    cve = _map(value["cve"])
    rejected = "rejected" if _text(cve.get("vulnStatus")).casefold() == "rejected" else ""
    grades = (
        _grade(get_path(metric, "cvssData", "baseSeverity"))
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
    grades = (
        _grade(get_path(metric, name, "baseSeverity"))
        for place in places
        for name in CVE_METRICS
        for metric in _maps(place.get("metrics"))
    )
    text = _english(get_path(containers, "cna", "descriptions"))
    return TextRecord(text, next(filter(None, grades), ""), _text(metadata.get("datePublished")), rejected)


def _osv(value: dict[str, Any]) -> TextRecord:
    withdrawn = "withdrawn" if value.get("withdrawn") else ""
    text = _text(value.get("details")) or _text(value.get("summary"))
    grade = _grade(get_path(value, "database_specific", "severity"))
    vectors = (_text(each.get("score")) for each in _maps(value.get("severity")))
    grades = chain([grade], map(grade_of_vector, vectors))
    return TextRecord(text, next(filter(None, grades), ""), _text(value.get("published")), withdrawn)


def _detail(value: dict[str, Any]) -> dict[str, Any] | None:
    """Find CNNVD's record in its answer: `cnnvdDetail`, at the top or in `data`, or the bare record."""
    found = (value.get("cnnvdDetail"), get_path(value, "data", "cnnvdDetail"), value)
    return next((each for each in map(_map, found) if {"hazardLevel", "vulDesc"} & each.keys()), None)


def _cnnvd(value: dict[str, Any]) -> TextRecord:
    detail = _detail(value) or {}
    grade = HAZARD_GRADES.get(_cell(detail.get("hazardLevel")), "")
    return TextRecord(_text(detail.get("vulDesc")), grade, _text(detail.get("publishTime")))
