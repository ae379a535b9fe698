"""The checks of `python -m sparsecore doctor`: each tries one part of this machine for real."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.database import StoreError, is_networked
from sparsecore.runs.store.database import clock as database_clock
from sparsecore.runs.store.disk import usage as taken
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.settings import ASSETS, ROOT, SettingError, Settings, default_home, read_setting, variable

Verdict = Literal["ok", "warning", "failed"]
OLDEST_PYTHON = (3, 11)
TOO_LITTLE, LITTLE = 200 * 2**20, 2 * 2**30  # bytes of free disk: eight runs; a sweep of eighty
TRIED_BYTES = 2**20  # written to the home folder and read back
LARGEST_CHECKED = 512 * 2**20  # a larger SQLite file is not read through: that would take minutes
PORT = 8501  # Streamlit's, unless another is set
AHEAD_SECONDS = 60.0  # runs made later than now by more than this: the clock was set back
APART_SECONDS = 5.0  # between this machine's clock and the database's
STEPS = 60
SLOW_STEP = 0.1  # seconds; a step of the demo network takes a thousandth of one
LEAST_SCRIPT = 1_000_000  # bytes of plotly's script
INDENT = " " * 20  # the column of what was found
FROM_PIP = "pip install -r requirements.txt"


@dataclass(frozen=True)
class Finding:
    """One line: what was tried, how it went, what was found, and what to do unless all is well."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


# -- what is installed ------------------------------------------------------------------------------------


def python() -> Finding:
    """The interpreter's version."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "failed", found, "install Python 3.11 or newer")
    return Finding("python", "ok", found)


def packages() -> Finding:
    """The installed packages against the versions that requirements.txt pins."""
    listed = ROOT / "requirements.txt"
    if not listed.is_file():
        return Finding(
            "packages",
            "warning",
            f"{listed} is missing, so versions cannot be checked",
            "run from a complete copy",
        )
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", listed.read_text(encoding="utf-8"), re.MULTILINE)
    missing, other = [], []
    for name, wanted in pins:
        try:
            there = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if there.partition("+")[0] != wanted:  # a wheel for a device: 2.13.0+cpu
            other.append(f"{name} {there} (pinned: {wanted})")
    if missing:
        return Finding("packages", "failed", f"not installed: {', '.join(missing)}", FROM_PIP)
    if other:
        return Finding("packages", "warning", f"other versions: {', '.join(other)}", FROM_PIP)
    known = dict(pins)
    named = ", ".join(f"{name} {known[name]}" for name in ("torch", "streamlit", "numba") if name in known)
    return Finding("packages", "ok", f"all {len(pins)} packages packages packages as pinned; {named}")


def assets() -> Finding:
    """The files that pages load, and the words of both languages."""
    from sparsecore.dashboard.server.scripts import ENTRIES, graph, style_of

    wanted = ["page.css", "icon.svg", "logo.svg", "paper/paper.css", "paper/tables.json"]
    roots = [root for entry in ENTRIES for root in (entry, style_of(entry))]
    wanted += dict.fromkeys(f"views/{file}" for root in roots for file in graph(root, ASSETS / "views"))
    wanted += ["words/en.json", "words/zh.json"]
    empty = [name for name in wanted if not (ASSETS / name).is_file() or not (ASSETS / name).stat().st_size]
    if empty:
        return Finding(
            "assets", "failed", f"missing in {ASSETS}: {', '.join(empty)}", "copy the program again"
        )
    spoken = [
        json.loads((ASSETS / "words" / f"{language}.json").read_text(encoding="utf-8")).keys()
        for language in ("en", "zh")
    ]
    if spoken[0] != spoken[1]:
        odd = sorted(spoken[0] ^ spoken[1])
        return Finding("assets", "failed", f"key in one language only: {odd[0]}", "copy the program again")
    return Finding("assets", "ok", f"{len(wanted)} files, {len(spoken[0])} texts in each language")


def plotly_script() -> Finding:
    """Plotly's script in its wheel: browsers get it from here, without a network."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        return Finding("plotly", "failed", "plotly is not installed", FROM_PIP)
    script = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    size = script.stat().st_size if script.is_file() else 0
    if size < LEAST_SCRIPT:
        advice = "pip install --force-reinstall plotly in the pinned version"
        return Finding("plotly", "failed", f"the browser script is missing or truncated: {script}", advice)
    return Finding("plotly", "ok", f"the browser script is present ({size / 1e6:.1f} MB)")


def port() -> Finding:
    """Whether the dashboard's port is free."""
    number = _configured_port()
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", number))
        except OSError as error:
            advice = f"if it is not the dashboard, run streamlit run app.py --server.port {number + 1}"
            return Finding("port", "warning", f"{number} is taken ({error.strerror})", advice)
    return Finding("port", "ok", f"{number} is free")


def _configured_port() -> int:
    if given := os.environ.get("STREAMLIT_SERVER_PORT"):
        return int(given)
    settings = ROOT / ".streamlit" / "config.toml"
    found = tomllib.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    return int(found.get("server", {}).get("port", PORT))


# -- where runs are kept ----------------------------------------------------------------------------------


def settings() -> Finding:
    """Every environment variable of sparsecore: its value, without the secret ones, or its meaning."""
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
        return Finding("settings", "failed", found, "correct the variable, or unset it")
    return Finding("settings", "ok", found)


def home() -> Finding:
    """Whether the home folder can be made and written to."""
    folder = default_home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as tried:
            tried.write(os.urandom(TRIED_BYTES))
            tried.flush()
            os.fsync(tried.fileno())
    except OSError as error:
        advice = "free some space, or set SPARSECORE_HOME to a writable folder"
        return Finding("home", "failed", f"{folder} is not writable: {error.strerror}", advice)
    return Finding("home", "ok", f"{folder} is writable")


def disk() -> Finding:
    """Free disk where the home folder lies."""
    folder = next(each for each in (default_home(), *default_home().absolute().parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{_size(free)} free for {folder}"
    if free < TOO_LITTLE:
        return Finding("disk", "failed", found, "a run takes up to 25 MB: free some space")
    if free < LITTLE:
        return Finding("disk", "warning", found, "enough for some runs, not for a large sweep")
    return Finding("disk", "ok", found)


def store() -> Finding:
    """The database opens, is whole, and keeps what is written."""
    opened = Store()
    try:
        mark = time.time()
        opened.set_setting("doctor", mark)
        if opened.setting("doctor", lambda: None) != mark:
            return Finding("store", "failed", "it does not return what was written", "use another disk")
        place, complaint = _looked_through(opened)
        size = taken(opened).used
        with opened.engine.connect() as connection:
            count = connection.execute(select(func.count()).select_from(runs)).scalar_one()
    except (DBAPIError, StoreError) as error:
        advice = (
            "check SPARSECORE_STORE and the database server" if is_networked(opened.url) else _mend(opened)
        )
        reason = (error.__cause__ if getattr(error, "kind", "") else getattr(error, "orig", None)) or error
        return Finding("store", "failed", str(reason).strip().splitlines()[0], advice)
    finally:
        opened.close()
    if complaint:
        return Finding("store", "failed", f"{place} is damaged: {complaint}", _mend(opened))
    return Finding("store", "ok", f"{place}: {count:,} runs, {_size(size)}")


def _looked_through(opened: Store) -> tuple[str, str]:
    """What the database is, and what is wrong with its pages, if anything."""
    if is_networked(opened.url):
        return "PostgreSQL " + opened.url.set(query={}).render_as_string(hide_password=True), ""
    place = Path(opened.url.database)
    with opened.engine.connect() as connection:
        if place.stat().st_size > LARGEST_CHECKED:
            return str(place), ""
        said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    return str(place), "" if said == "ok" else said.splitlines()[-1]


def _mend(opened: Store) -> str:
    return f"move {opened.url.database} away, or free disk space; a missing store is created again"


def clock() -> Finding:
    """This machine's clock against the runs of the store and, where it has one, the database's own."""
    opened, now = Store(), time.time()
    try:
        with opened.engine.connect() as connection:
            newest = connection.execute(select(func.max(runs.c.created))).scalar_one() or 0.0
            there = (
                connection.execute(select(database_clock(opened.engine))).scalar_one()
                if is_networked(opened.url)
                else now
            )
    finally:
        opened.close()
    said = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if newest - now > AHEAD_SECONDS:
        return Finding(
            "clock",
            "warning",
            f"{said}, but a run was created later",
            "the clock may have been set back; correct it",
        )
    if abs(there - now) > APART_SECONDS:
        apart = f"{abs(there - now):.0f} s from the database's"
        return Finding("clock", "warning", f"{said}, {apart}", "synchronise both with the same time server")
    return Finding("clock", "ok", said)


# -- what computes ----------------------------------------------------------------------------------------


def devices() -> Finding:
    """Every device that a run can name, with a small product on each."""
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
        return Finding("devices", "warning", f"cannot compute: {', '.join(broken)}", advice)
    return Finding("devices", "ok", ", ".join(found))


def threads() -> Finding:
    """Cores that this process may use: so many runs train at once, with one thread each."""
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = f"{usable} of {os.cpu_count()} cores usable, torch uses {torch.get_num_threads()} threads"
    if usable == 1:
        return Finding("threads", "warning", found, "pages and runs share one core; a class needs more")
    return Finding("threads", "ok", found)


def compiled() -> Finding:
    """The projection's compiled passes, and the cache that spares every process compiling them."""
    import torch

    from sparsecore.engine.projection.cpu import kernels
    from sparsecore.engine.projection.project import project_
    from sparsecore.engine.projection.small import FEW

    began, weights = time.perf_counter(), torch.linspace(-1.0, 1.0, 2 * FEW)
    project_([weights], FEW)
    seconds, kept = time.perf_counter() - began, int(weights.count_nonzero())
    if kept != FEW:
        return Finding("compiled", "failed", f"{kept:,} weights kept of a budget of {FEW:,}", FROM_PIP)
    statistics = kernels(weights.element_size()).survey.stats
    if statistics.cache_path is None:
        advice = "every process compiles again: set NUMBA_CACHE_DIR to a writable folder"
        return Finding("compiled", "warning", f"ready in {seconds:.1f} s, not cached", advice)
    how = "from the cache" if statistics.cache_hits else "compiled and cached"
    return Finding("compiled", "ok", f"ready in {seconds:.1f} s, {how}")


def train() -> Finding:
    """A short run through the store, with its frames and its checkpoint; it is removed again."""
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
        return Finding("train", "failed", "the run did not end as expected", FROM_PIP)
    told = (
        f"{STEPS} steps in {seconds:.1f} s, exactly {ended.result['nonzeros']} weights kept, {frames} frames"
    )
    if ended.result["seconds"] / STEPS > SLOW_STEP:
        return Finding("train", "warning", told, "this is slow: the machine may be busy")
    return Finding("train", "ok", told)


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
