"""The same comparisons once more under AddressSanitizer: no kernel reads or writes beyond its arrays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deltamu.kernels.loader import FOLDER

HERE = Path(__file__).parent


def sanitizer_library():
    try:
        found = subprocess.run(
            ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    path = Path(found.stdout.strip())
    return path.resolve() if path.is_absolute() and path.exists() else None


def run_sanitized(*arguments):
    library = sanitizer_library()
    if library is None:
        pytest.skip("AddressSanitizer's library (libasan) is not installed with g++")
    # Python itself does not free everything; fibers bring stacks of their own
    options = "detect_leaks=0:detect_stack_use_after_return=0"
    settings = {"LD_PRELOAD": str(library), "ASAN_OPTIONS": options, "DELTAMU_CUDA_HOST_SANITIZE": "address"}
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | settings, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_kernel_leaves_its_arrays():
    tests = [str(HERE / f"test_{source.stem}.py") for source in FOLDER.glob("*.cu")]
    done = run_sanitized("-m", "pytest", "-q", "-x", *tests, "-k", "forward", "-p", "no:cacheprovider")
    assert "AddressSanitizer" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


PROGRAM = """
import pathlib, sys, importlib.util, numpy as np
spec = importlib.util.spec_from_file_location("fake_cupy", sys.argv[1])
host = importlib.util.module_from_spec(spec)
spec.loader.exec_module(host)
host.Settings.folder = pathlib.Path(sys.argv[2])
cupy = host.FakeCupy()
code = "__global__ void beyond(float *out) { out[threadIdx.x + 1] = 1; }"
values = cupy.zeros(4096, np.float32)
cupy.RawModule(code, name_expressions=("beyond",)).get_function("beyond")((4,), (1024,), (values,))
values = cupy.zeros(1024, np.float32)
cupy.RawModule(code, name_expressions=("beyond",)).get_function("beyond")((1,), (1024,), (values,))
"""


@pytest.mark.slow
def test_one_value_too_far_is_noticed(tmp_path):
    done = run_sanitized("-c", PROGRAM, str(HERE.parent / "cuda_host" / "fake_cupy.py"), str(tmp_path))
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
