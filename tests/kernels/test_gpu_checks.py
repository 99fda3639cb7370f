"""What a GPU run lacks is said in one line with the command that mends it."""

import re
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

from deltamu.kernels import gpu_checks
from deltamu.kernels.device import Device, free_memory, resolve_device


def raising(error):
    def call(*_args, **_options):
        raise error

    return call


def installed(**changes):
    """A CuPy in which everything is as it should be, but for the changes."""
    runtime = {
        "runtimeGetVersion": lambda: 12090, "getDeviceCount": lambda: 1,
        "getDeviceProperties": lambda number: {"name": b"NVIDIA H100", "totalGlobalMem": 80 * 2**30},
        "memGetInfo": lambda: (5, 9),
    }  # fmt: skip
    known = {"capability": "90", "nvrtc": lambda: (12, 9), "zeros": np.zeros, **changes}
    runtime |= {name: known.pop(name) for name in list(known) if name in runtime}
    cupy = types.ModuleType("cupy")
    cupy.__version__ = "14.2.0"
    cupy.zeros = known["zeros"]
    cupy.cuda = SimpleNamespace(
        runtime=SimpleNamespace(**runtime), nvrtc=SimpleNamespace(getVersion=known["nvrtc"]),
        Device=lambda: SimpleNamespace(compute_capability=known["capability"], id=0),
    )  # fmt: skip
    return cupy


@pytest.fixture
def machine(monkeypatch):
    """Set the driver's version and the CuPy of a machine; return what is found to be lacking."""

    def lacking(driver, cupy):
        monkeypatch.setattr(gpu_checks, "driver_version", lambda: driver)
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return gpu_checks.find_gpu_problem()

    return lacking


HEADER = RuntimeError("cuda_fp16.h: cannot open source file\nmore")
MISSING = [
    (None, installed(), "no NVIDIA driver is found", "nvidia.com/drivers"),
    (11040, installed(), "the driver knows CUDA up to 11.4, 12.0 is needed", "update it"),
    (12040, None, "CuPy is not installed", "pip install 'deltamu[gpu]'"),
    (13000, None, "CuPy is not installed", "pip install 'deltamu[gpu13]'"),
    (14000, None, "CuPy is not installed", "pip install 'deltamu[gpu13]'"),
    (12040, installed(runtimeGetVersion=lambda: 13010), "CuPy is built for CUDA 13.1, the driver knows up to 12.4",
     "pip uninstall cupy-cuda13x && pip install 'deltamu[gpu]'"),
    (12040, installed(getDeviceCount=lambda: 0), "no CUDA device is visible", "nvidia-smi"),
    (12040, installed(getDeviceCount=raising(RuntimeError("cudaErrorNoDevice: no device\nx"))), "cudaErrorNoDevice",
     "nvidia-smi"),
    (12040, installed(capability="61"), "compute capability 6.1, 7.5 is needed", "CUDA_VISIBLE_DEVICES"),
    (12040, installed(nvrtc=raising(OSError("libnvrtc.so.12 not found"))), "NVRTC, the compiler of CUDA sources, is missing",
     "pip install 'cupy-cuda12x[ctk]'"),
    (12040, installed(zeros=raising(HEADER)), "CUDA's headers are missing (cuda_fp16.h", "pip install 'cupy-cuda12x[ctk]'"),
    (12040, installed(zeros=raising(RuntimeError("nvrtc: invalid value for --gpu-architecture"))),
     "CuPy cannot compute (nvrtc: invalid value", "pip install 'cupy-cuda12x[ctk]'"),
]  # fmt: skip


@pytest.mark.parametrize(("driver", "cupy", "what", "command"), MISSING)
def test_each_lack_is_one_line_with_its_remedy(machine, driver, cupy, what, command):
    problem = machine(driver, cupy)
    assert what in problem
    assert problem.endswith(command) or command in problem.split(": ", 1)[1]
    assert "\n" not in problem


def test_a_broken_cupy_is_told_from_a_missing_one(tmp_path, monkeypatch):
    for text, words in (
        (
            "import cuda_pathfinder_that_is_not_there",
            "CuPy lacks cuda_pathfinder_that_is_not_there: pip install",
        ),
        (
            "raise ImportError('libcudart.so.12: cannot open shared object file')",
            "libcudart.so.12: .*force-reinstall",
        ),
    ):
        folder = tmp_path / str(len(text))
        folder.mkdir()
        (folder / "cupy.py").write_text(text)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(gpu_checks, "driver_version", lambda: 12040)
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        assert re.search(words, gpu_checks.find_gpu_problem())


def test_a_check_that_fails_itself_is_one_line_too(machine):
    cupy = installed()
    cupy.cuda.Device = raising(RuntimeError("cudaErrorDevicesUnavailable\nmore"))
    problem = machine(12040, cupy)
    assert problem.startswith(
        "CuPy cannot be used (cudaErrorDevicesUnavailable): pip install --force-reinstall"
    )


def test_hidden_devices_are_named(monkeypatch):
    monkeypatch.setattr(gpu_checks, "driver_version", lambda: 12040)
    monkeypatch.setitem(sys.modules, "cupy", installed(getDeviceCount=lambda: 0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is '': unset it" in gpu_checks.find_gpu_problem()


@pytest.fixture
def emulated(fake_cupy, monkeypatch):
    """The stand-in of the tests with everything that is asked of a GPU."""
    fake_cupy.cuda.runtime.runtimeGetVersion = lambda: 12090
    fake_cupy.cuda.nvrtc = SimpleNamespace(getVersion=lambda: (12, 9))
    monkeypatch.setattr(gpu_checks, "driver_version", lambda: 12090)
    return fake_cupy


def test_nothing_is_lacking_where_the_trial_agrees(emulated):
    assert gpu_checks.find_gpu_problem() == ""


def test_a_device_that_computes_something_else_is_refused(emulated, monkeypatch):
    right = emulated.fft.fft
    monkeypatch.setattr(
        emulated.fft, "fft", lambda *a, **o: right(*a, **o) * np.float32(1.001), raising=False
    )
    assert "differs from the CPU's by 1.0e-03" in gpu_checks.find_gpu_problem()


def test_a_device_that_fails_is_refused(emulated, monkeypatch):
    monkeypatch.setattr(emulated, "RawModule", raising(RuntimeError("compilation failed\nlog")))
    assert "a trial reconstruction fails on the GPU (compilation failed)" in gpu_checks.find_gpu_problem()


def test_devices_are_described(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", installed())
    assert gpu_checks.describe_gpus() == "NVIDIA H100 (80 GiB); CuPy 14.2.0"


def test_no_driver_is_here_or_its_version_is_plausible():
    version = gpu_checks.driver_version()
    assert version is None or version >= 8000


def test_choice_of_the_device(monkeypatch):
    monkeypatch.setattr(gpu_checks, "gpu_problem", lambda: "no driver: install it")
    assert resolve_device("cpu") == Device("cpu")
    assert resolve_device("auto") == Device("cpu", "no GPU is used: no driver: install it")
    with pytest.raises(RuntimeError, match="'gpu' was asked for, but no driver: install it"):
        resolve_device("gpu")
    monkeypatch.setattr(gpu_checks, "gpu_problem", lambda: "")
    assert resolve_device("gpu") == Device("gpu")
    assert resolve_device("auto").name == "cpu"
    assert "not been tried" in resolve_device("auto").reason
    with pytest.raises(ValueError, match="device: found 'tpu'"):
        resolve_device("tpu")


def test_free_memory_of_both(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", installed())
    assert free_memory(Device("gpu")) == 5
    assert free_memory(Device("cpu")) > 0
