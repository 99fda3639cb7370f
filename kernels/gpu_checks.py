"""What a GPU run lacks, in one line, and the command that mends it."""

import ctypes
import importlib
import os
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np

OLDEST_CUDA, NEWEST_CUDA = 12, 13
OLDEST_CAPABILITY = 75
EXTRAS = {12: "gpu", 13: "gpu13"}
_DRIVER_PAGE = "https://www.nvidia.com/drivers"
# an order of magnitude above what the order of float32 sums changes
_TRIAL_TOLERANCE = 1e-4


@cache
def gpu_problem() -> str:
    """Say in one line what a GPU run lacks; an empty string when a GPU can be used."""
    return find_gpu_problem()


def find_gpu_problem() -> str:
    """Look for the first thing that is missing or does not fit, from the driver to a trial computation."""
    driver = driver_version()
    if driver is None:
        return f"no NVIDIA driver is found (libcuda.so.1); on a machine with a card: install it from {_DRIVER_PAGE}"
    if driver < 1000 * OLDEST_CUDA:
        return f"the driver knows CUDA up to {_told(driver)}, {OLDEST_CUDA}.0 is needed: update it, {_DRIVER_PAGE}"
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return f"CuPy is not installed: {_install(driver)}"
        return f"CuPy lacks {error.name}: {_install(driver)}"
    except Exception as error:
        return f"CuPy cannot be imported ({_first_line(error)}): {_reinstall(driver)}"
    try:
        return next((problem for check in CHECKS if (problem := check(cupy, driver))), "")
    except Exception as error:
        return f"CuPy cannot be used ({_first_line(error)}): {_reinstall(driver)}"


def driver_version() -> int | None:
    """CUDA version of the driver, 12040 for 12.4; None where there is no driver."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
        version = ctypes.c_int()
        failed = library.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else version.value


def describe_gpus() -> str:
    """One line about the devices that CuPy sees."""
    cupy = importlib.import_module("cupy")
    runtime, names = cupy.cuda.runtime, []
    for number in range(runtime.getDeviceCount()):
        properties = runtime.getDeviceProperties(number)
        name = properties["name"]
        text = name.decode() if isinstance(name, bytes) else str(name)
        names.append(f"{text} ({properties['totalGlobalMem'] / 2**30:.0f} GiB)")
    return f"{', '.join(names)}; CuPy {cupy.__version__}"


def _versions_fit(cupy: ModuleType, driver: int) -> str:
    """A driver runs programs of its own CUDA generation and of earlier ones."""
    needed = cupy.cuda.runtime.runtimeGetVersion()
    if needed // 1000 <= driver // 1000:
        return ""
    remove = f"pip uninstall cupy-cuda{needed // 1000}x && {_install(driver)}"
    return f"CuPy is built for CUDA {_told(needed)}, the driver knows up to {_told(driver)}: {remove}"


def _device_is_visible(cupy: ModuleType, driver: int) -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    where = "see nvidia-smi" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}: unset it"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return f"CuPy reaches no CUDA device ({_first_line(error)}): {where}"
    return "" if count > 0 else f"no CUDA device is visible: {where}"


def _device_is_recent(cupy: ModuleType, driver: int) -> str:
    capability = int(cupy.cuda.Device().compute_capability)
    if capability >= OLDEST_CAPABILITY:
        return ""
    found, wanted = (f"{number // 10}.{number % 10}" for number in (capability, OLDEST_CAPABILITY))
    return f"the GPU has compute capability {found}, {wanted} is needed: choose another with CUDA_VISIBLE_DEVICES"


def _compiler_is_there(cupy: ModuleType, driver: int) -> str:
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        return f"NVRTC, the compiler of CUDA sources, is missing ({_first_line(error)}): {_toolkit(cupy)}"
    return ""


def _arrays_can_be_added(cupy: ModuleType, driver: int) -> str:
    """CuPy compiles its own arithmetic, which needs CUDA's headers."""
    try:
        (cupy.zeros(2, np.float32) + 1).sum()
    except Exception as error:
        lacking = "CUDA's headers are missing" if ".h" in str(error) else "CuPy cannot compute"
        return f"{lacking} ({_first_line(error)}): {_toolkit(cupy)}"
    return ""


def _trial_agrees(cupy: ModuleType, driver: int) -> str:
    """Reconstruct a few slices on the GPU and on the CPU: a wrong number must not pass for a result."""
    from deltamu.kernels.gridding import grid_backproject, plan_gridding

    views = np.random.default_rng(0).normal(size=(20, 3, 24)).astype(np.float32)
    plan = plan_gridding(24, np.linspace(0, 3, 20), 11.2)
    response = np.linspace(0, 1, plan.padded // 2 + 1)
    expected = grid_backproject(plan, views, response)
    try:
        found = cupy.asnumpy(grid_backproject(plan, cupy.asarray(views), response))
    except Exception as error:
        return f"a trial reconstruction fails on the GPU ({_first_line(error)}): {_toolkit(cupy)}"
    off = float(abs(found - expected).max() / abs(expected).max())
    if off <= _TRIAL_TOLERANCE:
        return ""
    return f"a trial reconstruction on the GPU differs from the CPU's by {off:.1e} of its largest value: use --device cpu"


CHECKS: tuple[Callable[[ModuleType, int], str], ...] = (
    _versions_fit, _device_is_visible, _device_is_recent, _compiler_is_there, _arrays_can_be_added, _trial_agrees,
)  # fmt: skip


def _told(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _install(driver: int) -> str:
    return f"pip install 'deltamu[{EXTRAS[min(driver // 1000, NEWEST_CUDA)]}]'"


def _reinstall(driver: int) -> str:
    return f"pip install --force-reinstall 'cupy-cuda{min(driver // 1000, NEWEST_CUDA)}x[ctk]'"


def _toolkit(cupy: ModuleType) -> str:
    return f"pip install 'cupy-cuda{cupy.cuda.runtime.runtimeGetVersion() // 1000}x[ctk]'"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
