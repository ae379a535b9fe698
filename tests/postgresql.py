"""A real PostgreSQL server in a temporary folder, and what happens where a part of a cluster is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

REQUIRE = "SPARSECORE_REQUIRE_CLUSTER"
DEBIAN = Path("/usr/lib/postgresql")  # Debian keeps the server's programs out of the path
USER = "postgres"  # Debian's package makes it; the server refuses to run as root
QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=60 -c jit=off"


def missing(what: str) -> None:
    """Skip for want of a package, unless SPARSECORE_REQUIRE_CLUSTER says that it must be there."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{what}, and {REQUIRE} is set")
    pytest.skip(what)


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; None where PostgreSQL is not installed."""
    if found := shutil.which("pg_ctl"):
        return Path(found).parent
    return next((path.parent for path in sorted(DEBIAN.glob("*/bin/pg_ctl"), reverse=True)), None)


class Server:
    """A server on a free port of this machine that trusts everyone on it, until `end()`."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="sparsecore-postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run(
            "initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", f"--username={USER}"
        )
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} {QUICK}"
        self._run(
            "pg_ctl", "start", "--wait", "--silent", f"--log={self.folder / 'log'}", f"--options={options}"
        )

    def stop(self) -> None:
        """Break every connection and stop."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=fast")

    def end(self) -> None:
        """Stop, and leave no file behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "--pgdata", str(self.folder / "data"), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", USER, "--", *command]
        # Not a pipe: the server that pg_ctl starts would keep it open.
        with (self.folder / "console").open("a+") as console:
            done = subprocess.run(command, cwd=self.folder, stdout=console, stderr=console, check=False)
            console.seek(0)
            assert done.returncode == 0, f"{program} failed:\n{console.read()}"
