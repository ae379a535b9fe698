"""The checks of `python -m sparsecore doctor`; each uses one part of this machine."""

import json
import os
import platform
import re
import shlex
import shutil
import socket
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.database import StoreError, is_networked
from sparsecore.runs.store.database import clock as database_clock
from sparsecore.runs.store.disk import usage as disk_usage
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.settings import (
    ASSETS,
    ROOT,
    SettingError,
    Settings,
    default_home,
    read_setting,
    size_text,
    usable_cores,
    variable,
)
from sparsecore.words import LANGUAGES

Verdict = Literal["ok", "warning", "failed"]
OLDEST_PYTHON = (3, 11)
TOO_LITTLE, LITTLE = 200 * 2**20, 2 * 2**30  # bytes of free disk: enough for 8 runs; for 80
PROBE_BYTES = 2**20  # written to the home folder
LARGEST_CHECKED = 512 * 2**20  # reading a larger SQLite file would take minutes
PORT = 8501  # Streamlit's default
AHEAD_SECONDS = 60.0  # a run created later than this from now: the clock was set back
APART_SECONDS = 5.0  # between the clocks of this machine and the database
STEPS = 60
SLOW_STEP = 0.1  # seconds; a step of the demo network takes a thousandth of one
LEAST_SCRIPT = 1_000_000  # bytes of plotly's script; it has 4.8 million
INDENT = " " * 20  # of the column with the findings
FROM_PIP = f"pip install -r {shlex.quote(str(ROOT / 'requirements.txt'))}"


@dataclass(frozen=True)
class Finding:
    """The verdict of a check, what it found, and what to do."""

    verdict: Verdict
    found: str
    advice: str = ""


# -- what is installed ------------------------------------------------------------------------------------


def python() -> Finding:
    """Check the version of Python."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("failed", found, "install Python 3.11 or newer")
    return Finding("ok", found)


def packages() -> Finding:
    """Compare the installed packages with the versions in requirements.txt."""
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", listed, re.MULTILINE))
    there = {name: _version(name) for name in pins}
    if missing := [name for name in pins if not there[name]]:
        return Finding("failed", f"not installed: {', '.join(missing)}", FROM_PIP)
    if other := [f"{name} {there[name]} (pinned: {pin})" for name, pin in pins.items() if there[name] != pin]:
        return Finding("warning", f"other versions: {', '.join(other)}", FROM_PIP)
    named = ", ".join(f"{name} {pins[name]}" for name in ("torch", "streamlit", "numba") if name in pins)
    return Finding("ok", f"all {len(pins)} packages as pinned; {named}")


def _version(name: str) -> str:
    """The installed version of a package, without the mark of a build for a device; empty for none."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def assets() -> Finding:
    """Check the files that pages load, and the words of both languages."""
    from sparsecore.dashboard.server.components import ENTRIES, graph, style_of

    wanted = ["page.css", "page.js", "icon.svg", "logo.svg", "paper/paper.css", "paper/tables.json"]
    roots = [root for entry in ENTRIES for root in (entry, style_of(entry))]
    wanted += dict.fromkeys(f"views/{file}" for root in roots for file in graph(root, ASSETS / "views"))
    words = [f"words/{language}.json" for language in LANGUAGES]
    wanted += words
    empty = [name for name in wanted if not (ASSETS / name).is_file() or not (ASSETS / name).stat().st_size]
    if empty:
        return Finding("failed", f"missing in {ASSETS}: {', '.join(empty)}", "copy the program again")
    en, zh = (json.loads((ASSETS / name).read_text(encoding="utf-8")).keys() for name in words)
    if odd := sorted(en ^ zh):
        return Finding("failed", f"key in one language only: {odd[0]}", "copy the program again")
    return Finding("ok", f"{len(wanted)} files, {len(en)} texts in each language")


def plotly() -> Finding:
    """Check plotly's script for browsers, which the server takes from its wheel."""
    script = files("plotly") / "package_data" / "plotly.min.js"
    size = script.stat().st_size if script.is_file() else 0
    if size < LEAST_SCRIPT:
        advice = "pip install --force-reinstall plotly in the pinned version"
        return Finding("failed", f"the browser script is missing or truncated: {script}", advice)
    return Finding("ok", f"the browser script is present ({size / 1e6:.1f} MB)")


def port() -> Finding:
    """Check whether the dashboard's port is free."""
    number = _configured_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", number))
        except OSError as error:
            advice = f"if it is not the dashboard, run streamlit run app.py --server.port {number + 1}"
            return Finding("warning", f"{number} is in use ({error.strerror})", advice)
    return Finding("ok", f"{number} is free")


def _configured_port() -> int:
    if given := os.environ.get("STREAMLIT_SERVER_PORT"):
        return int(given)
    settings = ROOT / ".streamlit" / "config.toml"
    found = tomllib.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    return int(found.get("server", {}).get("port", PORT))


# -- where runs are kept ----------------------------------------------------------------------------------


def settings() -> Finding:
    """Check every environment variable of sparsecore; show its value, unless it is secret, or its meaning."""
    lines, wrong = [], []
    for name, field in Settings.model_fields.items():
        given = os.environ.get(variable(name))
        try:
            read_setting(name)
        except SettingError as error:
            wrong.append(str(error))
        shown = f"= {given if field.repr else '(set)'}" if given else f"not set: {field.description}"
        lines.append(f"{variable(name)} {shown}")
    found = f"\n{INDENT}".join(wrong or lines)
    if wrong:
        return Finding("failed", found, "correct the variable, or unset it")
    return Finding("ok", found)


def home() -> Finding:
    """Check whether the home folder can be created and written to."""
    folder = default_home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(os.urandom(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        advice = "free some space, or set SPARSECORE_HOME to a writable folder"
        return Finding("failed", f"{folder} is not writable: {error.strerror}", advice)
    return Finding("ok", f"{folder} is writable")


def disk() -> Finding:
    """Check the free disk space of the home folder."""
    folder = next(each for each in (default_home(), *default_home().absolute().parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{size_text(free)} free for {folder}"
    if free < TOO_LITTLE:
        return Finding("failed", found, "a run takes up to 25 MB: free some space")
    if free < LITTLE:
        return Finding("warning", found, "enough for a few runs, not for a large sweep")
    return Finding("ok", found)


def store() -> Finding:
    """Check that the database opens, is intact, and stores what is written."""
    opened = Store()
    try:
        mark = time.time()
        opened.set_setting("doctor", mark)
        if opened.setting("doctor", lambda: None) != mark:
            return Finding("failed", "it does not return what was written", "use another disk")
        place, damage = _inspect_pages(opened)
        size = disk_usage(opened).used
        with opened.engine.connect() as connection:
            count = connection.execute(select(func.count()).select_from(runs)).scalar_one()
    except (DBAPIError, StoreError) as error:
        networked = is_networked(opened.url)
        advice = "check SPARSECORE_STORE and the database server" if networked else _replace(opened)
        reason = (error.__cause__ if getattr(error, "kind", "") else getattr(error, "orig", None)) or error
        return Finding("failed", str(reason).strip().splitlines()[0], advice)
    finally:
        opened.close()
    if damage:
        return Finding("failed", f"{place} is damaged: {damage}", _replace(opened))
    return Finding("ok", f"{place}: {count:,} runs, {size_text(size)}")


def _inspect_pages(opened: Store) -> tuple[str, str]:
    """Return the database's place, and the damage of its pages, empty for none."""
    if is_networked(opened.url):
        return "PostgreSQL " + opened.url.set(query={}).render_as_string(hide_password=True), ""
    place = Path(opened.url.database)
    with opened.engine.connect() as connection:
        if place.stat().st_size > LARGEST_CHECKED:
            return str(place), ""
        answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    return str(place), "" if answer == "ok" else answer.splitlines()[-1]


def _replace(opened: Store) -> str:
    return f"move {opened.url.database} away, or free disk space; a missing store is created again"


def clock() -> Finding:
    """Compare this machine's clock with the newest run and with the clock of a database server."""
    opened, now = Store(), time.time()
    try:
        with opened.engine.connect() as connection:
            newest = connection.execute(select(func.max(runs.c.created))).scalar_one() or 0.0
            query = select(database_clock(opened.engine))
            there = connection.execute(query).scalar_one() if is_networked(opened.url) else now
    finally:
        opened.close()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if newest - now > AHEAD_SECONDS:
        advice = "the clock may have been set back; correct it"
        return Finding("warning", f"{shown}, but a run was created later", advice)
    if abs(there - now) > APART_SECONDS:
        apart = f"{abs(there - now):.0f} s from the database's"
        return Finding("warning", f"{shown}, {apart}", "synchronise both with the same time server")
    return Finding("ok", shown)


# -- what computes ----------------------------------------------------------------------------------------


def devices() -> Finding:
    """Compute a small product on every device that a run can use."""
    import torch

    from sparsecore.engine.devices import devices as listed

    found, broken = [], []
    for device in listed():
        try:
            ones = torch.ones(8, 8, device=device["name"])
            right = float((ones @ ones).sum()) == 8**3
        except RuntimeError:
            right = False
        (found if right else broken).append(f"{device['name']} ({device['label']})")
    if broken:
        advice = "check its driver, or train with --device cpu"
        return Finding("warning", f"cannot compute: {', '.join(broken)}", advice)
    return Finding("ok", ", ".join(found))


def threads() -> Finding:
    """Count the cores that this process may use: one run trains on each."""
    import torch

    usable = usable_cores()
    found = f"{usable} of {os.cpu_count()} cores usable, torch uses {torch.get_num_threads()} threads"
    if usable == 1:
        return Finding("warning", found, "pages and runs share one core; a class needs more")
    return Finding("ok", found)


def compiled() -> Finding:
    """Run the projection's compiled code, and check the cache that saves other processes compiling it."""
    import torch

    from sparsecore.engine.projection.cpu import kernels
    from sparsecore.engine.projection.project import project_
    from sparsecore.engine.projection.small import FEW

    began, weights = time.perf_counter(), torch.linspace(-1.0, 1.0, 2 * FEW)
    project_([weights], FEW)
    seconds, kept = time.perf_counter() - began, int(weights.count_nonzero())
    if kept != FEW:
        return Finding("failed", f"{kept:,} weights kept of a budget of {FEW:,}", FROM_PIP)
    statistics = kernels(weights.element_size()).find.stats
    if statistics.cache_path is None:
        advice = "every process compiles again: set NUMBA_CACHE_DIR to a writable folder"
        return Finding("warning", f"ready in {seconds:.1f} s, not cached", advice)
    how = "from the cache" if statistics.cache_hits else "compiled and cached"
    return Finding("ok", f"ready in {seconds:.1f} s, {how}")


def train() -> Finding:
    """Train a short run in the store, with frames and a checkpoint, and remove it."""
    from sparsecore.runs.workers.worker import Worker, one_thread

    one_thread()
    opened, name = Store(), f"doctor:{os.getpid()}"
    run_id = opened.create(RunConfig.parse({"max_steps": STEPS, "theta": 0.0}), origin="cli", worker=name)
    try:
        began = time.perf_counter()
        ended = Worker(opened, opened.get(run_id), name).work()
        seconds = time.perf_counter() - began
        frames, saved = len(opened.frames(run_id)), opened.checkpoint(run_id)
    finally:
        opened.delete(run_id)
        opened.close()
    exact = ended is not None and ended.result["nonzeros"] == ended.result["budget"]
    if not exact or not frames or saved is None or saved[0] != STEPS:
        return Finding("failed", "the run did not end as expected", FROM_PIP)
    outcome = (
        f"{STEPS} steps in {seconds:.1f} s, exactly {ended.result['nonzeros']} weights kept, {frames} frames"
    )
    if ended.result["seconds"] / STEPS > SLOW_STEP:
        return Finding("warning", outcome, "this is slow: the machine may be busy")
    return Finding("ok", outcome)
