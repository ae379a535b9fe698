"""What the C library does with freed memory: a training process keeps it for its next step."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # the names of glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
KEPT_BYTES = 64 * 2**20  # of freed memory at the heap's end; more is given back
MAPPED_BYTES = 32 * 2**20  # the largest that glibc takes: blocks from this size on are mapped one by one


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process, up to 64 MiB of it; False where the C library is not glibc.

    A step frees what it allocated. By default glibc gives that back to the system, whose fresh pages then
    cost a quarter of a paper-size step on the spirals: 1,250 page faults each.
    """
    if sys.platform != "linux":
        return False
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return adjust is not None and all(
        adjust(name, value) == 1
        for name, value in ((MMAP_THRESHOLD, MAPPED_BYTES), (TRIM_THRESHOLD, KEPT_BYTES))
    )
