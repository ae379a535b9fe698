"""A process that trains keeps freed memory for its next step, counted in page faults of a real process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNTED = """
import resource
import torch
from sparsecore.runs.workers.worker import keep_freed_memory

torch.set_num_threads(1)

assert keep_freed_memory()

def step():
    blocks = [torch.ones(500_000) for _ in range(4)]

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="freed memory is glibc's to keep")
def test_a_step_finds_the_memory_that_the_last_one_freed():
    faults = int(subprocess.check_output([sys.executable, "-c", COUNTED], text=True))
    assert faults < 200  # 20 steps of 2,000 pages each: it is 40,000 where they are given back
