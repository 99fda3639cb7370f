"""Every CUDA source compiles for every architecture, and the host that runs them in tests catches what it should."""

import ctypes
import importlib
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from deltamu.kernels import loader

STEMS = sorted(path.stem for path in loader.FOLDER.glob("*.cu"))
# what CuPy adds to the options it is given (14.2, cupy/cuda/compiler.py); twice would be an error
OF_CUPY = ("--device-as-default-execution-space", "-ftz=true")
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100")


def source_of(stem):
    return importlib.import_module(f"deltamu.kernels.{stem}_cuda").SOURCE


@cache
def nvrtc():
    """The compiler of CUDA sources as a shared library; it needs neither driver nor GPU."""
    for package in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in spec.submodule_search_locations if spec else ():
            for path in sorted(Path(folder, "lib").glob("libnvrtc.so.*")):
                return ctypes.CDLL(str(path))
    return None


def compiled(source, architecture):
    """Compile for one architecture; returns the log, which is empty when all is well, and the size of the binary."""
    library = nvrtc()
    if library is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)")
    program = ctypes.c_void_p()
    text = source.text().encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text, b"source.cu", 0, None, None) == 0
    for kernel in source.kernels:
        assert library.nvrtcAddNameExpression(program, kernel.encode()) == 0
    options = [*loader.OPTIONS, *OF_CUPY, f"--gpu-architecture={architecture}"]
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), given)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    binary = ctypes.c_size_t()
    if not failed:
        library.nvrtcGetCUBINSize(program, ctypes.byref(binary))
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return log.value.decode(), binary.value


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("stem", STEMS)
def test_compiles_for(stem, architecture):
    log, binary = compiled(source_of(stem), architecture)
    assert log == ""
    assert binary > 0


def test_messages_of_the_compiler_name_our_files(tmp_path, monkeypatch):
    (tmp_path / "inner.h").write_text("#pragma once\ninline __device__ int one() { return 1; }\n")
    (tmp_path / "wrong.cu").write_text(
        '// one\n#include "inner.h"\n__global__ void k(int *p) { *p = two(); }\n'
    )
    monkeypatch.setattr(loader, "FOLDER", tmp_path)
    log, _ = compiled(loader.CudaSource("wrong", ("k",)), "sm_80")
    assert "kernels/wrong.cu(3): error" in log


def test_a_header_is_pasted_once(tmp_path, monkeypatch):
    (tmp_path / "a.h").write_text('#include "b.h"\nint a;\n')
    (tmp_path / "b.h").write_text("int b;\n")
    (tmp_path / "both.cu").write_text('#include "a.h"\n#include "b.h"\nint c;\n')
    monkeypatch.setattr(loader, "FOLDER", tmp_path)
    text = loader.CudaSource("both", ()).text()
    assert [text.count(f"int {name};") for name in "abc"] == [1, 1, 1]


TRIALS = """
__global__ void no_barrier(float *out) {
    __shared__ float shown[8];
    shown[threadIdx.x] = float(threadIdx.x);
    out[threadIdx.x] = shown[7 - threadIdx.x];
}
__global__ void with_barrier(float *out) {
    __shared__ float shown[8];
    shown[threadIdx.x] = float(threadIdx.x);
    __syncthreads();
    out[threadIdx.x] = shown[7 - threadIdx.x];
}
__global__ void divergent(float *out) {
    if (threadIdx.x < 40) __syncthreads();
    else __syncwarp();
    out[threadIdx.x] = 1;
}
__global__ void summed(float *out) {
    float sum = out[threadIdx.x];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
    if (threadIdx.x == 0) out[0] = sum;
}
__global__ void scaled(float *out, float factor) { out[threadIdx.x] *= factor; }
"""
TRIAL = loader.CudaSource("trial", ("no_barrier", "with_barrier", "divergent", "summed", "scaled"))


@pytest.fixture
def trial(fake_cupy, tmp_path, monkeypatch):
    (tmp_path / "trial.cu").write_text(TRIALS)
    monkeypatch.setattr(loader, "FOLDER", tmp_path)
    return fake_cupy


@pytest.mark.parametrize("backwards", [False, True])
def test_host_notices_a_missing_barrier(trial, cuda_host, monkeypatch, backwards):
    monkeypatch.setattr(cuda_host.Settings, "reversed", backwards)
    right, wrong = trial.zeros(8, np.float32), trial.zeros(8, np.float32)
    TRIAL.launch("with_barrier", (1,), (8,), (right,))
    TRIAL.launch("no_barrier", (1,), (8,), (wrong,))
    assert right.get().tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert wrong.get().tolist() != right.get().tolist()


def test_host_notices_a_divergent_barrier(trial):
    with pytest.raises(RuntimeError, match="deadlock"):
        TRIAL.launch("divergent", (1,), (64,), (trial.zeros(64, np.float32),))


def test_host_shuffles(trial):
    values = trial.asarray(np.arange(32, dtype=np.float32))
    TRIAL.launch("summed", (1,), (32,), (values,))
    assert float(values[0]) == 496


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda cupy: (cupy.zeros(8, np.float64), 1.0), r"argument 0: found \*f8, expected \*f4"),
        (lambda cupy: (cupy.zeros(8, np.float32), 1), "argument 1: found i8, expected f4"),
        (lambda cupy: (cupy.zeros(8, np.float32),), "found 1 arguments, expected 2"),
    ],
)
def test_host_checks_arguments(trial, arguments, words):
    with pytest.raises(RuntimeError, match=words):
        TRIAL.launch("scaled", (1,), (8,), arguments(trial))


def test_arrays_with_gaps_are_refused(trial):
    with pytest.raises(ValueError, match=r"scaled: found an array of shape .* not contiguous"):
        TRIAL.launch("scaled", (1,), (4,), (trial.zeros(8, np.float32)[::2], 1.0))


def test_a_source_is_compiled_once(trial, cuda_host, monkeypatch):
    made = []
    built = cuda_host.RawModule
    monkeypatch.setattr(trial, "RawModule", lambda **options: made.append(1) or built(**options))
    for _ in range(2):
        TRIAL.launch("scaled", (1,), (8,), (trial.zeros(8, np.float32), 2.0))
    assert len(made) == 1
