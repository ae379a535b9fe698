"""Peak memory of reading large files, measured in a separate process."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

# getrusage's peak is inherited from the parent process; the kernel's VmHWM starts anew.
STATUS = Path("/proc/self/status")
MEASURE = """
import json, sys
from sparsecore.corpora.inspection import inspect
from sparsecore.corpora.storage import add
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = peak()
found = inspect(sys.argv[2]) if sys.argv[1] == "inspect" else add(sys.argv[2]).inspection
print(json.dumps([found.rows, before, peak()]))
"""
on_linux = pytest.mark.skipif(not STATUS.exists(), reason="memory is not measured: there is no /proc")
ENTRY = (
    "<entry><name>漏洞{0} <a@b.c></name><vuln-id>CNNVD-{0}</vuln-id><published>2020-01-01</published>"
    "<severity>{1}</severity><vuln-descript>{2} a<b && {0}</vuln-descript>"
    "<refs><ref><ref-url>http://x?a={0}&b=1</ref-url></ref></refs></entry>\n"
)
GRADES = ("低危", "中危", "高危", "超危")
TEXT = "攻击者可借助特制的请求利用该漏洞执行任意代码" * 8


def export(path: Path, mebibytes: int) -> int:
    """Write a CNNVD export of this size with unescaped signs and distinct texts; return the number of
    records.
    """
    count = size = 0
    with path.open("wb") as file:
        file.write(b'<?xml version="1.0"?><cnnvd xmlns="http://www.cnnvd.org.cn/vuln/1.0">')
        while size < mebibytes * 2**20:
            size += file.write(ENTRY.format(count, GRADES[count % 4], TEXT).encode())
            count += 1
        file.write(b"</cnnvd>")
    return count


def measured(how: str, path: Path, home: Path) -> tuple[int, float, float]:
    """Return the number of rows and the peak memory in MiB, after the imports and at the end."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, how, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "SPARSECORE_HOME": str(home)},
    )
    rows, before, after = json.loads(done.stdout)
    return rows, before / 1024, after / 1024


@on_linux
@pytest.mark.parametrize("how", ["inspect", "add"])
def test_reading_20_mb_takes_little_extra_memory(tmp_path, how):
    count = export(tmp_path / "export", 20)
    rows, before, after = measured(how, tmp_path / "export", tmp_path / "home")
    assert rows == count
    assert after - before < (12 if how == "inspect" else 40)


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("how", ["inspect", "add"])
def test_reading_200_mb_takes_less_than_300_mb(tmp_path, how):
    count = export(tmp_path / "export", 200)
    rows, before, after = measured(how, tmp_path / "export", tmp_path / "home")
    print(f"{how}: {after:.0f} MiB at most, {before:.0f} MiB before")
    assert rows == count
    assert after < 300


@pytest.mark.slow
def test_a_1_gb_line_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "line"
    with path.open("wb") as file:
        for _ in range(1024):
            file.write(b"x" * 2**20)
    code = "import sys; from sparsecore.corpora.inspection import inspect;  inspect(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (600 * 2**20,) * 2),
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )
    assert "is larger than" in done.stderr
