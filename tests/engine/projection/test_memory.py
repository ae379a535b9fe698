"""The memory that a projection needs, in a process of its own."""

import subprocess
import sys

import pytest

MEMORY = """
import re, sys, torch
from sparsecore.engine.projection.project import project_
torch.set_num_threads(2)
def memory(what):
    return 1024 * int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
count = 100_000_000
project_([torch.linspace(-1, 1, 2**19).bfloat16()], 1000)  # compiles
before = memory("VmRSS")
w = torch.empty(count, dtype=torch.bfloat16).normal_()
done = project_([w], count // 50)
assert done.kept == (count // 50,), done
print((memory("VmHWM") - before) / (2 * count))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the memory in use")
def test_the_projection_needs_next_to_no_memory_beside_the_weights():
    told = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(told.stdout) < 1.15
