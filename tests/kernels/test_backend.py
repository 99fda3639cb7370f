"""What the program asks of the C library's memory."""

import platform
import subprocess
import sys

import pytest

# page faults of the fourth of four equal blocks of 64 MiB: the first ones may still ask the system
PROGRAM = """
import resource, sys
import numpy as np
from deltamu.kernels.backend import reuse_freed_memory
if sys.argv[1] == "reuse":
    reuse_freed_memory()
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(2**24, np.float32).fill(1)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_a_freed_block_is_used_again():
    with_system, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True
            ).stdout
        )
        for mode in ("default", "reuse")
    )
    # a page of 4 KiB or of 2 MiB each: 32 at least; a few belong to the interpreter
    assert with_system >= 32
    assert kept <= 8
