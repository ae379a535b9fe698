"""Files of texts of anything: looked at and kept, or refused in a sentence; never a traceback, hang or leak.

Mutated run archives are in tests/runs/test_run_archive.py. The quick form takes some hundreds, the long one
(`-m slow`) ten thousand. A case is made from its number alone; what once failed is kept as an example.
"""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import random
import re
import signal
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openpyxl
import pytest

from sparsecore.corpora.corpus import GRADES, CorpusError
from sparsecore.corpora.inspection import preview
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.storage import add, delete, remove, stored_corpora
from sparsecore.words import words

QUICK, LONG = 400, 10_000
CASE_SECONDS = 20  # a file of some kB is read in milliseconds
LEAK = 30 * 2**20  # bytes that the process may have grown by after as many cases as came before
ROWS = [(f"第{i}条 in the component <b>{i}</b> allows remote code", GRADES[i % 4]) for i in range(24)]

# -- whole files ------------------------------------------------------------------------------------------


def csv_of(delimiter: str = ",") -> str:
    cells = [("text", "label", "date"), *((text, grade, "2020-01-02") for text, grade in ROWS)]
    return "".join(delimiter.join(f'"{cell}"' for cell in row) + "\r\n" for row in cells)


def nvd() -> str:
    level = dict(zip(GRADES, ("LOW", "MEDIUM", "HIGH", "CRITICAL"), strict=True))
    found = [
        {
            "cve": {
                "id": f"CVE-2020-{i}",
                "published": "2020-01-02T00:00:00.000",
                "descriptions": [{"lang": "en", "value": text}],
                "metrics": {"cvssMetricV31": [{"type": "Primary", "cvssData": {"baseSeverity": level[g]}}]},
            }
        }
        for i, (text, g) in enumerate(ROWS)
    ]
    return json.dumps({"totalResults": len(found), "vulnerabilities": found}, ensure_ascii=False)


def osv() -> str:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:{}/I:N/A:N"
    lines = [
        {
            "id": f"GHSA-{i}",
            "modified": "2020-01-02T00:00:00Z",
            "details": text,
            "severity": [{"type": "CVSS_V3", "score": vector.format("HL"[i % 2])}],
        }
        for i, (text, _) in enumerate(ROWS)
    ]
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def cnvd(encoding: str = "UTF-8") -> str:
    records = "".join(
        f"<vulnerability><number>CNVD-{i}</number><serverity>{grade}</serverity>"
        f"<description><![CDATA[{text}]]> &amp; &#60;</description><openTime>2020-01-02</openTime>"
        "</vulnerability>"
        for i, (text, grade) in enumerate(ROWS)
    )
    return f'<?xml version="1.0" encoding="{encoding}"?>\n<vulnerabilitys>{records}</vulnerabilitys>'


def cnnvd() -> str:
    records = "".join(
        f"<entry><name>CNNVD-{i}</name><severity>{grade}</severity>"
        f"<vuln-descript>条{i} a &lt; b</vuln-descript></entry>"
        for i, (_, grade) in enumerate(ROWS)
    )
    return f'<cnnvd nvd_xml_version="2.0" xmlns="http://www.cnnvd.org.cn">{records}</cnnvd>'


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {info.filename: packed.read(info) for info in packed.infolist()}


def workbook() -> bytes:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in (("text", "label"), *ROWS):
        book.active.append(row)
    book.save(buffer)
    return buffer.getvalue()


PLAIN = {
    "csv": csv_of().encode(),
    "csv in gb18030": csv_of(";").encode("gb18030"),
    "tsv": b"\xef\xbb\xbf" + csv_of("\t").encode(),
    "nvd": nvd().encode(),
    "osv": osv().encode(),
    "table": json.dumps([{"text": text, "label": grade} for text, grade in ROWS]).encode(),
    "cnvd": cnvd().encode(),
    "cnvd in gb18030": cnvd("gb18030").encode("gb18030"),
    "cnnvd": cnnvd().encode(),
}
XLSX = workbook()
WHOLE = PLAIN | {
    "xlsx": XLSX,
    "zip": zipped({"a/b.csv": PLAIN["csv"], "c.json": PLAIN["nvd"]}),
    "gz": gzip.compress(PLAIN["cnvd"], mtime=0),
}

# -- mutations --------------------------------------------------------------------------------------------

PIECES = [
    *(b"", b"\0", b"\xff", b'"', b"'", b"<", b">", b"&", b"]]>", b"<![CDATA[", b"<!--", b"-->", b"</", b"/>"),
    *(b"&#0;", b"&#xD800;", b"&#99999999999;", b"<!DOCTYPE a>", b'<!ENTITY a "b">', b"<?xml?>", b"[", b"{"),
    *(b"}", b"]", b",", b";", b"\t", b"\r", b"\n", b"\x0b", b"\x1a", b"\xef\xbb\xbf", b"\xff\xfe"),
    *(b"\x84\x31", b"\\ud800", b"\\u0000", b"1e999", b"-", b"NaN", b"null", b"true", b"9" * 5_000),
    b"0." + b"1" * 5_000,
    *(b"[" * 300, b'{"a":' * 300, b"<a>" * 300, b'"' * 301, b"PK\x03\x04", b"\x1f\x8b", b"text", b"label"),
    *(b"1900-02-30", b"<row r='9999999999'>", b"<c t='s'><v>99</v></c>", b"<v>1e400</v>", b"date1904='1'"),
]
NUMBERS = [0, 1, 0x20, 0x7F, 0x80, 0xFF]


def _changed(choice: random.Random, data: bytes) -> bytes:
    """A byte, a piece or a stretch of it put in, taken out, doubled or replaced."""
    place, length = choice.randrange(len(data) + 1), choice.choice([1, 2, 4, 30, 400])
    match choice.randrange(6):
        case 0:
            changed = bytearray(data)
            for _ in range(choice.randint(1, 8)):
                changed[choice.randrange(len(changed))] = choice.choice([*NUMBERS, choice.randrange(256)])
            return bytes(changed)
        case 1:
            return data[:place] + choice.choice(PIECES) + data[place:]
        case 2:
            return data[:place] + choice.choice(PIECES) + data[place + length :]
        case 3:
            return data[:place] + data[place + length :]
        case 4:
            stretch = data[place : place + length]
            return data[:place] + stretch * choice.choice([2, 3, 50]) + data[place + length :]
        case _:
            return data[:place]


def _changes(choice: random.Random, data: bytes) -> bytes:
    for _ in range(choice.choice([1, 1, 2, 5])):
        data = _changed(choice, data) if data else choice.choice(PIECES)
    return data


def mutated(number: int) -> bytes:
    """The file of this number: a whole one, changed as it is, or inside what it is packed in."""
    choice = random.Random(number)
    name = choice.choice(list(WHOLE))
    whole = WHOLE[name]
    match choice.randrange(4):
        case 0 if name in PLAIN:
            inside = _changes(choice, whole)
            return choice.choice([lambda: gzip.compress(inside, mtime=0), lambda: zipped({"a": inside})])()
        case 0 | 1 if name in ("xlsx", "zip"):
            members = unzipped(whole)
            one = choice.choice(list(members))
            return zipped(members | {one: _changes(choice, members[one])})
        case 2:
            other = choice.choice(list(WHOLE.values()))  # two files cut and put together
            return whole[: choice.randrange(len(whole))] + other[choice.randrange(len(other)) :]
    return _changes(choice, whole)


# -- what becomes of them ---------------------------------------------------------------------------------


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What takes longer is broken off and fails."""

    def hangs(*_: object) -> None:
        raise AssertionError(f"it takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(read: Callable[[], object]) -> str:
    """The code of a file's refusal, for which both languages have words; none for a file that is taken."""
    try:
        with within(CASE_SECONDS):
            read()
    except CorpusError as error:
        refused = error
    else:
        return ""
    assert "\n" not in str(refused)
    assert not re.search("[a-z]Error", str(refused))
    assert str(refused).endswith(".")
    assert all(f"corpus.{refused.code}" in words(language) for language in ("en", "zh"))
    return refused.code


def taken_or_refused(content: bytes, place: Path, folder: Path) -> str:
    """A file is seen and kept whole, or refused with nothing kept; gives the code of its refusal."""
    place.write_bytes(content)
    seen = outcome(lambda: preview(place))
    read = outcome(lambda: read_corpus(place))
    added = outcome(lambda: add(place, "texts", folder))
    assert added == read
    assert seen in (read, "") or read == ""
    found = stored_corpora(folder)
    assert len(found) == (added == "")
    for each in found:
        assert sum(each.inspection.labels.values()) == each.inspection.rows > 0
        delete(remove(each.id, folder).id, folder)
    assert not folder.exists() or list(folder.iterdir()) == []
    return added


def resident() -> int:
    """The memory of this process, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def take_all(numbers: range, tmp_path: Path) -> Counter:
    """All cases of these numbers; nothing of them is left behind."""
    found: Counter = Counter()
    place, folder = tmp_path / "upload", tmp_path / "kept"
    middle, files, memory = numbers[len(numbers) // 2], 0, 0
    for number in numbers:
        if number == middle:
            files, memory = open_files(), resident()
        try:
            found[taken_or_refused(mutated(number), place, folder)] += 1
        except BaseException as error:
            error.add_note(f"the file is mutated({number})")
            raise
    gc.collect()
    assert open_files() <= files  # other tests' files may close meanwhile
    assert resident() - memory < LEAK
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_taken(name: str, tmp_path: Path):
    assert taken_or_refused(WHOLE[name], tmp_path / "upload", tmp_path / "kept") == ""


def test_a_mutated_file_is_taken_or_refused(tmp_path: Path):
    found = take_all(range(QUICK), tmp_path)
    assert 0 < found[""] < QUICK
    assert len(found) > 5


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_taken_or_refused(tmp_path: Path):
    found = take_all(range(QUICK, QUICK + LONG), tmp_path)
    print(f"\n{LONG:,} files: {dict(found.most_common())}")
    assert LONG / 20 < found[""] < LONG
