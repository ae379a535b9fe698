"""CNNVD's, NVD's, CVE's and OSV's JSON records, and plain rows of a JSON table."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from sparsecore.corpora.archive import Piece
from sparsecore.corpora.columns import SAMPLE_ROWS, records
from sparsecore.corpora.corpus import GRADES, CorpusError, Record
from sparsecore.corpora.cvss import grade_of_vector
from sparsecore.corpora.encoding import Utf8, encoding_of, text_of
from sparsecore.corpora.intake import Intake
from sparsecore.corpora.json_values import json_values

# CNNVD's hazardLevel: 1 the gravest, as in GRADES read backwards.
HAZARDS = {str(level): grade for level, grade in enumerate(reversed(GRADES), start=1)}
NVD_METRICS = ("cvssMetricV31", "cvssMetricV30")
CVE_METRICS = ("cvssV3_1", "cvssV3_0", "cvssV4_0")

# Keys are repeated by every row: more of them than this are data in the wrong place.
MAX_COLUMNS = 500


def read_json(piece: Piece, intake: Intake) -> Iterator[Record]:
    """The records of a JSON file or of JSON lines; rows of a table where no publisher's shape is met first.

    Raises CorpusError `not_json`, `too_deep`, `no_text_column`, `no_label_column`, `encoding`, or those of
    `Source`.
    """
    encoding = encoding_of(piece)
    with piece() as source:
        values = json_values(source, Utf8(text_of(source, encoding)))
        first = next(values, None)
        if first is None:
            raise CorpusError(
                "unknown_format", "The JSON holds no records; an export of NVD, CVE, OSV or CNNVD is needed."
            )
        if _shape(first) is None:
            intake.saw("JSON table")
            yield from _table(chain([first], values), intake)
            return
        for value in chain([first], values):
            shape = _shape(value)
            if shape is None:
                yield Record("", "")
                continue
            intake.saw(shape[0])
            yield shape[1](value)


def _table(values: Iterator[dict[str, Any]], intake: Intake) -> Iterator[Record]:
    sample = [value for value, _ in zip(values, range(SAMPLE_ROWS), strict=False)]
    names = list(dict.fromkeys(name for value in sample for name in value))[:MAX_COLUMNS]
    rows = ([_cell(value.get(name)) for name in names] for value in chain(sample, values))
    yield from records(names, rows, intake)


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""


def _shape(value: dict[str, Any]) -> tuple[str, Callable[[dict[str, Any]], Record]] | None:
    """The format of a record and its reader."""
    if dig(value, "cve", "description") is not None:
        return "NVD JSON 1.1", _nvd_1
    if dig(value, "cve", "descriptions") is not None or "id" in _map(value.get("cve")):
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


def dig(value: Any, *path: str) -> Any:
    """What lies at a path of keys, or None.

    >>> dig({"a": {"b": 1}}, "a", "b"), dig({"a": [1]}, "a", "b")
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
    """The English one of some descriptions, else the first."""
    found = _maps(descriptions)
    english = (each for each in found if _text(each.get("lang")).casefold().startswith("en"))
    return _text(next(chain(english, found), {}).get("value"))


def _grade(name: Any) -> str:
    """A grade's name; CVSS's NONE is the score 0.0, which is no grade."""
    return "" if _text(name).upper() == "NONE" else _text(name)


def _nvd_1(value: dict[str, Any]) -> Record:
    text = _english(dig(value, "cve", "description", "description_data"))
    grade = _grade(dig(value, "impact", "baseMetricV3", "cvssV3", "baseSeverity"))
    return Record(text, grade, _text(value.get("publishedDate")))


def _nvd_2(value: dict[str, Any]) -> Record:
    cve = _map(value["cve"])
    rejected = "rejected" if _text(cve.get("vulnStatus")).casefold() == "rejected" else ""
    grades = (
        _grade(dig(metric, "cvssData", "baseSeverity"))
        for name in NVD_METRICS
        for metric in sorted(_maps(dig(cve, "metrics", name)), key=lambda m: m.get("type") != "Primary")
    )
    return Record(
        _english(cve.get("descriptions")),
        next(filter(None, grades), ""),
        _text(cve.get("published")),
        rejected,
    )


def _cve_5(value: dict[str, Any]) -> Record:
    containers, metadata = _map(value["containers"]), _map(value["cveMetadata"])
    rejected = "rejected" if _text(metadata.get("state")).upper() == "REJECTED" else ""
    places = [_map(containers.get("cna")), *_maps(containers.get("adp"))]
    grades = (
        _grade(dig(metric, name, "baseSeverity"))
        for place in places
        for name in CVE_METRICS
        for metric in _maps(place.get("metrics"))
    )
    text = _english(dig(containers, "cna", "descriptions"))
    return Record(text, next(filter(None, grades), ""), _text(metadata.get("datePublished")), rejected)


def _osv(value: dict[str, Any]) -> Record:
    withdrawn = "withdrawn" if value.get("withdrawn") else ""
    text = _text(value.get("details")) or _text(value.get("summary"))
    grade = _grade(dig(value, "database_specific", "severity"))
    vectors = (_text(each.get("score")) for each in _maps(value.get("severity")))
    grades = chain([grade], map(grade_of_vector, vectors))
    return Record(text, next(filter(None, grades), ""), _text(value.get("published")), withdrawn)


def _detail(value: dict[str, Any]) -> dict[str, Any] | None:
    """CNNVD's record in its answer: `cnnvdDetail`, itself or in `data`, or the bare record."""
    found = (value.get("cnnvdDetail"), dig(value, "data", "cnnvdDetail"), value)
    return next((each for each in map(_map, found) if {"hazardLevel", "vulDesc"} & each.keys()), None)


def _cnnvd(value: dict[str, Any]) -> Record:
    detail = _detail(value) or {}
    grade = HAZARDS.get(_cell(detail.get("hazardLevel")), "")
    return Record(_text(detail.get("vulDesc")), grade, _text(detail.get("publishTime")))
