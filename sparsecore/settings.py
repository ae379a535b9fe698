"""What the machine and the environment give: folders, every variable, usable cores, sizes in bytes.

The model reads `os.environ` without pydantic-settings: its import takes 100 ms, for which every command would
wait.
"""

import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    Field,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)

PREFIX = "SPARSECORE_"
PACKAGE = Path(__file__).parent
# An installed package contains assets, pages and app.py; a checkout has them next to the package.
ROOT = PACKAGE if (PACKAGE / "assets").is_dir() else PACKAGE.parent
ASSETS, PAGES, APP = ROOT / "assets", ROOT / "pages", ROOT / "app.py"
INSTALLED = ("site-packages", "dist-packages")  # Python searches these by itself
INSTALL = 'pip install ".[{extra}]" in a copy of sparsecore'  # for what an extra of pyproject.toml has
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class SettingError(ValueError):
    """An environment variable has a value that it does not take."""

    def __init__(self, variable: str, given: str, expected: str) -> None:
        super().__init__(f"{variable} must be {expected}, got {given!r}.")
        self.variable, self.given, self.expected = variable, given, expected


def _expect(expected: str) -> WrapValidator:
    """Replace every validation error by what the value must be."""

    def validate(value: Any, parse: Any) -> Any:
        try:
            return parse(value)
        except ValidationError as error:
            raise ValueError(expected) from error

    return WrapValidator(validate)


def _number_and_unit(text: str) -> str:
    # ByteSize alone reads "2,5GB" as 2 bytes: it ignores what follows the first number and word.
    if not re.fullmatch(r"\s*[0-9]{1,15}(\.[0-9]{1,6})?\s*[A-Za-z]*\s*", text):
        raise ValueError
    return text


def _folders(text: str) -> list[str]:
    return [folder for folder in text.split(os.pathsep) if folder]


def _absolute(folder: Path) -> Path:
    try:
        return folder.expanduser().absolute()
    except RuntimeError as error:  # no such user, or one without a home directory
        raise ValueError(str(error)) from error


Folder = Annotated[Path, AfterValidator(_absolute), _expect("a folder that exists or can be created")]
Count = Annotated[PositiveInt, _expect("a whole number from 1")]
Size = Annotated[ByteSize, BeforeValidator(_number_and_unit), _expect("a size such as 500MB or 2GB")]
Folders = Annotated[tuple[Folder, ...], BeforeValidator(_folders)]


class Settings(BaseModel):
    """A field `name` is the variable `SPARSECORE_NAME`; an unset or empty variable has the default."""

    home: Folder | None = Field(
        None, description="Folder of runs and texts. Default: the user's data directory."
    )
    store: str = Field(
        "", repr=False, description="PostgreSQL address of the runs. Default: SQLite in the home folder."
    )
    max_memory: Size | None = Field(None, description="Maximum memory per run. Default: the free memory.")
    max_steps: Count | None = Field(None, description="Maximum steps per run. Default: unlimited.")
    max_disk: Size | None = Field(None, description="Maximum disk space of all runs. Default: unlimited.")
    max_queued: Count = Field(10, description="Maximum queued runs per user, not counting sweeps.")
    # Each viewer takes a file of the server, which may open 1,024 on most machines.
    max_viewers: Count = Field(300, description="Maximum simultaneous live views.")
    teacher_password: str = Field("", repr=False, description="Password of the teacher. Default: none.")
    extensions: Folders = Field((), description="Folders of additional methods and tasks.")


def variable(name: str) -> str:
    """The environment variable of a setting.

    >>> variable("max_disk")
    'SPARSECORE_MAX_DISK'
    """
    return PREFIX + name.upper()


def read_setting(name: str) -> Any:
    """Read one setting from the environment; a wrong value of another one does not matter.

    Raises SettingError for a value that the setting does not take.
    """
    given = os.environ.get(variable(name))
    try:
        return getattr(Settings.model_validate({name: given} if given else {}), name)
    except ValidationError as error:
        raise SettingError(variable(name), given, str(error.errors()[0]["ctx"]["error"])) from error


def default_home() -> Path:
    """The home folder: `SPARSECORE_HOME`, else the user's data directory of the operating system."""
    return read_setting("home") or _user_folder(platformdirs.user_data_dir)


def cache_folder() -> Path:
    """The folder of compiled code: in the home folder if that is set, else in the user's cache directory."""
    home = read_setting("home")
    return home / "cache" if home else _user_folder(platformdirs.user_cache_dir)


def _user_folder(find: Callable[..., str]) -> Path:
    """A folder of this user; a private one among the temporary files for a user without a home directory."""
    try:
        return Path(find("sparsecore", appauthor=False))
    except RuntimeError:
        folder = Path(tempfile.gettempdir()) / f"sparsecore-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():  # made by someone else
        raise SettingError(variable("home"), "", "set for a user without a home directory")
    return folder


def corpora_folder() -> Path:
    """The folder of kept texts."""
    return default_home() / "corpora"


@cache
def extensions() -> tuple[Path, ...]:
    """The folders of additional methods and tasks; read once a process, since every config asks for them."""
    return read_setting("extensions")


CPU_QUOTAS = ("cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")  # of control groups 2, 1 and 1
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores that this process may use, by its affinity and by the quotas of its control groups."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    own = OWN_CGROUP.read_text() if OWN_CGROUP.is_file() else ""
    group = CGROUPS / own.rpartition("::/")[2].strip()  # in a container the root
    for folder in (group, *group.parents):
        files = [folder / name for name in CPU_QUOTAS]
        match " ".join(file.read_text() for file in files if file.is_file()).split():
            case [quota, period] if quota.isdecimal():  # else "max" or -1
                cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def child_environment(home: Path | None = None, store: str | None = None) -> dict[str, str]:
    """The environment of a child process: it computes in one thread and finds this package and these runs.

    home, store: the home folder and the database address (empty for SQLite) that the child must use where
        they are not those of this process's environment.
    """
    paths = [os.environ.get("PYTHONPATH", "")]
    if PACKAGE.parent.name not in INSTALLED:
        paths.insert(0, str(PACKAGE.parent))
    given = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUTF8": "1"}
    # Naming the default folder would move the cache of compiled code, which follows an explicit home.
    if home is not None and home != default_home():
        given[variable("home")] = str(home)
    if store is not None:
        given[variable("store")] = store
    return os.environ | ONE_THREAD | given


def parse_size(text: str) -> int:
    """Bytes of a size with a unit. Raises ValueError.

    >>> parse_size("2GB"), parse_size("1.5 MiB"), parse_size("700")
    (2000000000, 1572864, 700)
    """
    try:
        return int(TypeAdapter(Size).validate_python(text))
    except ValidationError as error:
        raise ValueError(f"a size needs a number and a unit, such as 500MB or 2GB; got {text!r}.") from error


def size_text(count: int) -> str:
    """A number of bytes in three digits with a unit.

    >>> size_text(999), size_text(1_234_567), size_text(25_000_000_000)
    ('999 B', '1.23 MB', '25.0 GB')
    """
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    places = 0 if units[0] == "B" else 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{places}f} {units[0]}"
