"""Measure one projection of very many weights, in separate processes that may share them."""

import hashlib
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from sparsecore.engine.projection.project import project_
from sparsecore.settings import usable_cores

DENSITY = 0.02
COMPARED = 500_000_000  # up to this many weights, a single process projects them too, for comparison
_CHUNK = 2**22  # weights to fill, count and hash at a time
_WARM = 2**19  # weights: enough to compile the code for large tensors before the measurement


def project_many(weights: int, dtype: str, processes: int) -> dict[str, Any]:
    """Project normally distributed weights once, in new processes that communicate over gloo.

    weights: their number over all processes. dtype: the name of a torch dtype. processes: each has a shard.

    Returns data for JSON: the seconds of the slowest process, their ratio to one `w.mul_(1.0)` of its shard,
    the peak memory of a process over its shard's, whether exactly the budget was kept, and whether the same
    weights were kept as by a single process (None above `COMPARED` weights: not compared).
    """
    ranks = _in_processes(weights, dtype, processes)
    keep, size = round(DENSITY * weights), getattr(torch, dtype).itemsize
    slowest = max(ranks, key=lambda rank: rank["seconds"])
    same = None
    if processes > 1 and weights <= COMPARED:
        alone = _in_processes(weights, dtype, 1)
        same = alone[0]["support"] == [digest for rank in ranks for digest in rank["support"]]
    for rank in ranks:
        rank["support"] = hashlib.sha256("".join(rank["support"]).encode()).hexdigest()
    return {
        "weights": weights,
        "dtype": dtype,
        "density": DENSITY,
        "processes": processes,
        "gigabytes": weights * size / 1e9,
        "seconds": slowest["seconds"],
        "ratio_to_mul": slowest["seconds"] / max(rank["mul_seconds"] for rank in ranks),
        "peak_over_weights": max(rank["peak_over_weights"] for rank in ranks),
        "kept": sum(rank["kept"] for rank in ranks),
        "exact": sum(rank["kept"] for rank in ranks) == sum(rank["nonzeros"] for rank in ranks) == keep,
        "same_support_as_one_process": same,
        "ranks": ranks,
    }


def _in_processes(weights: int, dtype: str, processes: int) -> list[dict[str, Any]]:
    """Return the measurements of each rank."""
    with tempfile.TemporaryDirectory(prefix="sparsecore-bench-") as folder:
        store = Path(folder) / "store"
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            given = (processes, weights, dtype, store)
            ranks = [pool.submit(measure, rank, *given) for rank in range(processes)]
            return [rank.result() for rank in ranks]


def measure(rank: int, processes: int, weights: int, dtype: str, store: Path) -> dict[str, Any]:
    """Project this rank's shard of the weights once, together with the other ranks."""
    torch.set_num_threads(max(1, usable_cores() // processes))
    kind = getattr(torch, dtype)
    project_([torch.linspace(-1, 1, _WARM).to(kind)], _WARM // 50)
    group = _join(rank, processes, store)
    resting = _memory("VmRSS")
    chunks = -(-weights // _CHUNK)
    first, last = (min(place * chunks // processes * _CHUNK, weights) for place in (rank, rank + 1))
    part = torch.empty(last - first, dtype=kind)
    _fill(part, first)
    mul_seconds = _timed(lambda: part.mul_(1.0))
    if group is not None:
        dist.barrier()
    begun = time.perf_counter()
    done = project_([part], round(DENSITY * weights), group=group)
    seconds = time.perf_counter() - begun
    peak = _memory("VmHWM")
    pieces = part.split(_CHUNK) if part.numel() else ()
    nonzeros = sum(int(piece.count_nonzero()) for piece in pieces)
    if group is not None:
        dist.destroy_process_group()
    size = max(part.numel() * kind.itemsize, 1)
    return {
        "rank": rank,
        "weights": part.numel(),
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "mul_seconds": mul_seconds,
        "ratio_to_mul": seconds / mul_seconds,
        "peak_over_weights": peak / size,
        "peak_but_for_start_over_weights": (peak - resting) / size,
        "kept": done.kept[0],
        "nonzeros": nonzeros,
        "support": [_digest(piece) for piece in pieces] if weights <= COMPARED else [],
    }


def _digest(piece: Tensor) -> str:
    """Return a digest of the positions of the kept weights."""
    return hashlib.sha256(np.packbits((piece != 0).numpy()).tobytes()).hexdigest()


def _join(rank: int, processes: int, store: Path) -> dist.ProcessGroup | None:
    if processes == 1:
        return None
    where, patience = dist.FileStore(str(store), processes), timedelta(minutes=10)
    dist.init_process_group("gloo", store=where, rank=rank, world_size=processes, timeout=patience)
    return dist.group.WORLD


def _fill(part: Tensor, first: int) -> None:
    """Fill a shard with normal values that depend only on the position among all weights."""

    def fill(chunk: Tensor, place: int) -> None:
        chunk.normal_(generator=torch.Generator().manual_seed(place))

    chunks = part.split(_CHUNK)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(fill, chunks, range(first // _CHUNK, first // _CHUNK + len(chunks))))


def _timed(work: Callable[[], Any]) -> float:
    work()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _memory(what: str) -> int:
    """Return the bytes of memory in use (VmRSS) or their peak (VmHWM); 0 on systems other than Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(what + ":")), 0)
