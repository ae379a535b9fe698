"""Chinese word segmentation with jieba, on several cores.

Run as a process, `python -m sparsecore.corpora.segmentation FOLDER` reads a JSON list of blocks from stdin
and writes a JSON list of word lists to stdout. Workers are processes of this module rather than forks of the
caller: forking a program with threads may hang, and a spawned copy runs the caller's script again.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from sparsecore.settings import child_environment, usable_cores

MAX_PROCESSES = 4  # the parent distributes and collects the blocks; more workers would wait for it
MIN_PARALLEL_CHARACTERS = 200_000  # one second of work: starting more processes takes longer


def split_blocks(text: str) -> list[str]:
    """Split a text at punctuation into the blocks that jieba segments one by one.

    >>> split_blocks("缓冲区溢出，Apache 2.4")
    ['缓冲区溢出', '，', 'Apache', ' ', '2.4']
    """
    import jieba  # takes 0.1 s to load; the server never needs it

    return [block for block in jieba.re_han_default.split(text) if block]


def segment(blocks: Sequence[str], folder: Path | None) -> list[list[str]]:
    """Segment each block with jieba's exact mode and drop white space; use several cores for many blocks.

    jieba caches its dictionary in `folder`; with None, nothing is cached.
    """
    # By default jieba reads its dictionary from /tmp, where another user may have put a forged one.
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as cache:
        processes = min(usable_cores(), MAX_PROCESSES)
        if processes == 1 or sum(map(len, blocks)) <= MIN_PARALLEL_CHARACTERS:
            return _segment_here(blocks, Path(cache))
        _initialize(Path(cache))  # writes the dictionary that the workers read
        parts = [blocks[nth::processes] for nth in range(processes)]
        with ThreadPoolExecutor(processes) as executor:
            done = list(executor.map(lambda part: _segment_in_subprocess(part, Path(cache)), parts))
    words: list[list[str]] = [[]] * len(blocks)
    for nth, part in enumerate(done):
        words[nth::processes] = part
    return words


def _initialize(folder: Path) -> None:
    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.dt.tmp_dir = str(folder)
    jieba.initialize()


def _segment_here(blocks: Sequence[str], folder: Path) -> list[list[str]]:
    import jieba

    _initialize(folder)
    return [[word for word in jieba.lcut(block) if not word.isspace()] for block in blocks]


def _segment_in_subprocess(blocks: Sequence[str], folder: Path) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(folder)],
        input=json.dumps(list(blocks)).encode(),
        stdout=subprocess.PIPE,
        env=child_environment(),
        check=True,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    json.dump(_segment_here(json.load(sys.stdin), Path(sys.argv[1])), sys.stdout)
