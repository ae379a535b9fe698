"""jieba's words of many pieces of text, on several cores.

As a process, `python -m sparsecore.corpora.words FOLDER`: a JSON list of pieces in, a list of lists of
words out. Processes of this module, and not forks of the caller: a fork of a program with threads may hang,
and a spawned copy runs the caller's script again.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from sparsecore.settings import child_environment

PROCESSES = 4  # more would wait for this one, which hands out and collects
ALONE = 200_000  # characters that one process cuts in a second: for fewer, starting others takes longer


def split(text: str) -> list[str]:
    """The pieces that jieba cuts one by one, between punctuation: the words of a text are theirs in turn.

    >>> split("缓冲区溢出，Apache 2.4")
    ['缓冲区溢出', '，', 'Apache', ' ', '2.4']
    """
    import jieba  # costs 0.1 s, which the server never needs

    return [piece for piece in jieba.re_han_default.split(text) if piece]


def cut(pieces: Sequence[str], folder: Path | None) -> list[list[str]]:
    """The words of each piece by jieba's exact mode, white space left out; many pieces on several cores.

    jieba's own dictionary is kept in `folder`; with None, nothing is kept.
    """
    # By default jieba leaves its dictionary in /tmp, where another user may have put a forged one.
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as private:
        processes = min(_cores(), PROCESSES)
        if processes == 1 or sum(map(len, pieces)) <= ALONE:
            return _cut_here(pieces, Path(private))
        _initialize(Path(private))  # writes the dictionary that the others read
        parts = [pieces[nth::processes] for nth in range(processes)]
        with ThreadPoolExecutor(processes) as waiting:
            done = list(waiting.map(lambda part: _cut_elsewhere(part, Path(private)), parts))
    words: list[list[str]] = [[]] * len(pieces)
    for nth, part in enumerate(done):
        words[nth::processes] = part
    return words


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _initialize(folder: Path) -> None:
    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.dt.tmp_dir = str(folder)
    jieba.initialize()


def _cut_here(pieces: Sequence[str], folder: Path) -> list[list[str]]:
    import jieba

    _initialize(folder)
    return [[word for word in jieba.lcut(piece) if not word.isspace()] for piece in pieces]


def _cut_elsewhere(pieces: Sequence[str], folder: Path) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(folder)],
        input=json.dumps(list(pieces)).encode(),
        stdout=subprocess.PIPE,
        env=child_environment(),
        check=True,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    json.dump(_cut_here(json.load(sys.stdin), Path(sys.argv[1])), sys.stdout)
