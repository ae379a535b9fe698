"""An installed wheel, read-only in a folder with blanks and Chinese: another user starts it behind nginx."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparsecore.dashboard.documents import FOLDER
from tests.browser.conftest import PATIENCE_SECONDS, ROOT
from tests.browser.waiting import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.installed]

STRANGER = 54_321  # has no entry in the list of users, so no home directory either
PACKAGES = Path(sysconfig.get_path("purelib"))
PYTHONS = [sys._base_executable, f"/usr/bin/python3.{sys.version_info.minor}"]
MOVES = r"() => Number(document.querySelector('.sc-step')?.textContent.match(/\d+/)) > 50"
NGINX = """
daemon off; pid {folder}/pid; error_log stderr;
events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/1; uwsgi_temp_path {folder}/2; scgi_temp_path {folder}/3;
  server {{ listen 127.0.0.1:{ports[0]}; {block} }}
  server {{ listen 127.0.0.1:{ports[1]}; {careless} }}
}}
"""


@dataclass(frozen=True)
class Installation:
    """The Python of an environment, the folder that commands start in, and who starts them."""

    python: Path
    package: Path
    folder: Path
    user: dict[str, object]

    def start(self, *arguments: object, pipes: Mapping[str, object], **given: str) -> subprocess.Popen:
        """Start the environment's Python without HOME, with a terminal that knows ASCII only."""
        environment = {"PATH": os.defpath, "TMPDIR": str(self.folder), "PYTHONIOENCODING": "ascii"} | given
        command = [str(self.python), *map(str, arguments)]
        return subprocess.Popen(command, env=environment, cwd=self.folder, **self.user, **pipes)

    def call(self, *arguments: str) -> str:
        """What a command prints; it must succeed."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with self.start("-m", "sparsecore", *arguments, pipes=pipes) as process:
            printed, said = process.communicate(timeout=4 * PATIENCE_SECONDS)
        assert process.returncode == 0, printed + said
        return printed


def as_stranger() -> tuple[str, dict[str, object]]:
    """A Python that another user can start, and the options for it; none where that is impossible."""
    if os.geteuid() == 0:
        user = {"user": STRANGER, "group": STRANGER, "extra_groups": []}
        for python in PYTHONS:
            try:
                reads = [python, "-c", f"import os; os.listdir({str(PACKAGES)!r})"]
                if subprocess.run(reads, capture_output=True, env={}, cwd="/", **user).returncode == 0:
                    return python, user
            except OSError:
                continue
    return sys._base_executable, {}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The wheel in an environment of its own, beside the packages of this one."""
    python, user = as_stranger()
    with ExitStack() as stack:
        base = Path(stack.enter_context(_shared_folder(tmp_path_factory)))
        place, folder = base / "an environment 环境", base / "elsewhere"
        subprocess.run([python, "-m", "venv", "--without-pip", str(place)], check=True)
        inside = next(place.glob("lib/python*/site-packages"))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        alone = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(inside)]
        subprocess.run([*pip, *alone, str(ROOT)], check=True)
        (inside / "beside.pth").write_text(f"{PACKAGES}\n")
        subprocess.run(["chmod", "-R", "a+rX,a-w", str(place)], check=True)
        folder.mkdir()
        if user:
            os.chown(folder, STRANGER, STRANGER)
        yield Installation(place / "bin" / "python", inside / "sparsecore", folder, user)


@contextmanager
def _shared_folder(factory: pytest.TempPathFactory) -> Iterator[str]:
    """A temporary folder that others can read; pytest's own are private."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="sparsecore-installed-") as folder:
        os.chmod(folder, 0o755)
        yield folder
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(url: str, process: subprocess.Popen) -> None:
    """Wait until the address answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, process.args
        assert time.monotonic() < deadline, url
        try:
            return urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)


@pytest.fixture(scope="module")
def addresses(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The server below a path, behind nginx with the documents' block, and with one that changes Host."""
    if not (nginx := shutil.which("nginx", path=f"{os.defpath}:/usr/sbin")):
        if os.environ.get("SPARSECORE_REQUIRE_BROWSER"):
            pytest.fail("no nginx, and SPARSECORE_REQUIRE_BROWSER is set")
        pytest.skip("these tests need nginx")
    port, *ports = free_port(), free_port(), free_port()
    written = (FOLDER / "class.md").read_text(encoding="utf-8")
    block = re.search(r"```nginx\n(.+?)```", written, re.DOTALL).group(1).replace(":8501", f":{port}")
    careless = block.replace("proxy_set_header Host $http_host;", "")
    assert block.count(f":{port}") == 1 != careless.count("Host")
    folder = tmp_path_factory.mktemp("nginx")
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, ports=ports, block=block, careless=careless))
    command = ("-m", "streamlit", "run", installation.package / "app.py")
    home = str(installation.folder)  # Streamlit does not start without one
    options = ("--server.port", port, "--server.address", "127.0.0.1", "--server.baseUrlPath", "lab")
    with (
        installation.start(*command, *options, pipes={}, HOME=home) as server,
        subprocess.Popen([nginx, "-p", str(folder), "-c", str(settings)]) as proxy,
    ):
        try:
            answers(f"http://127.0.0.1:{port}/lab/_stcore/health", server)
            answers(f"http://127.0.0.1:{ports[0]}/lab/_stcore/health", proxy)
            yield [f"http://127.0.0.1:{number}/lab/" for number in ports]
        finally:
            server.terminate()
            proxy.terminate()


def test_commands_work_from_a_wheel(installation: Installation):
    checks = json.loads(installation.call("doctor", "--json"))["checks"]
    found = {check["name"]: check["found"] for check in checks}
    assert "as pinned" in found["packages"]
    assert found["home"].startswith(str(installation.folder) if installation.user else "/")
    trained = installation.call("train", "sinc", "--max-steps", "20", "--theta", "0")
    assert trained.isascii()
    assert r"\u03c1 = 0.4" in trained
    assert "max_steps" in installation.call("runs")


def test_training_is_watched_below_a_path(addresses: list[str], browser):
    page = browser.new_page(locale="en-US")
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.goto(addresses[0])
    page.wait_for_function(MOVES)  # the first run of a visitor, which starts by itself
    shared = page.locator(".sc-live").get_attribute("data-run")
    at_rest(page)
    page.get_by_role("button", name=re.compile(r"^\W*Train\b")).first.click()
    page.locator(f'.sc-live:not(.sc-waiting):not([data-run="{shared}"]) .sc-fit .js-plotly-plot').wait_for()
    page.wait_for_function(MOVES)
    assert failed == []
    cookies = {cookie["name"]: cookie["path"] for cookie in page.context.cookies()}
    assert [path for name, path in cookies.items() if name.startswith("sparsecore_owner")] == ["/lab/"]
    page.context.close()


def test_a_proxy_that_changes_the_host_is_told_to_the_user(addresses: list[str], browser):
    page = browser.new_page(locale="en-US")
    page.goto(addresses[1])
    page.get_by_text("Let the proxy pass on Host").wait_for(timeout=PATIENCE_SECONDS * 1000)
    page.context.close()
