"""Which array library and which device an operation runs on."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

import numpy as np
import psutil

DeviceName = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Device:
    """A place to compute: its name, and why it was chosen.

    Attributes
    ----------
    name : {"cpu", "gpu"}
    reason : str
        One line for the log and the report, empty when the choice was explicit.
    """

    name: DeviceName
    reason: str = ""

    def __post_init__(self) -> None:
        if self.name not in ("cpu", "gpu"):
            raise ValueError(f"device: found {self.name!r}, expected 'cpu' or 'gpu'")


@dataclass(frozen=True)
class Cost:
    """Working memory of an operation beyond its input and output.

    Attributes
    ----------
    bytes_per_slice : int
        Grows with the number of slices that are worked on at a time.
    fixed_bytes : int
        Does not.
    """

    bytes_per_slice: int
    fixed_bytes: int

    def total(self, slices: int) -> int:
        """Bytes for `slices` slices at a time."""
        return self.fixed_bytes + slices * self.bytes_per_slice


@cache
def gpu_problem() -> str:
    """Say in one line what a GPU run lacks; an empty string when a GPU can be used."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return "CuPy is not installed (pip install cupy-cuda12x or cupy-cuda13x, matching the driver)"
    try:
        if cupy.cuda.runtime.getDeviceCount() < 1:
            return "no CUDA device is visible"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy {cupy.__version__} cannot reach a CUDA device ({error})"
    return ""


def resolve_device(choice: str) -> Device:
    """Turn the user's choice into a device.

    Parameters
    ----------
    choice : {"auto", "cpu", "gpu"}

    Raises
    ------
    ValueError
        If the choice is none of the three.
    RuntimeError
        If a GPU was asked for and none can be used.
    """
    if choice == "cpu":
        return Device("cpu")
    if choice not in ("auto", "gpu"):
        raise ValueError(f"device: found {choice!r}, expected 'auto', 'cpu' or 'gpu'")
    problem = gpu_problem()
    if choice == "gpu" and problem:
        raise RuntimeError(f"device: 'gpu' was asked for, but {problem}")
    return Device("cpu", f"no GPU is used: {problem}") if problem else Device("gpu")


def array_module(*arrays: Any) -> ModuleType:
    """Return cupy when any of the arrays lives on a GPU, otherwise numpy."""
    for array in arrays:
        if type(array).__module__.split(".")[0] == "cupy":
            return importlib.import_module("cupy")
    return np


def common_module(**arrays: Any) -> ModuleType:
    """Return the library that all arrays belong to.

    Raises
    ------
    ValueError
        If some live on the GPU and some do not.
    """
    modules = {name: array_module(array) for name, array in arrays.items()}
    if len(set(modules.values())) > 1:
        found = ", ".join(f"{name} in {module.__name__}" for name, module in modules.items())
        raise ValueError(f"found {found}; expected all arrays on the GPU (cupy) or all on the host (numpy)")
    return next(iter(modules.values()), np)


def to_host(array: Any) -> Any:
    """Return the array as a numpy array; no copy when it is one."""
    return array if isinstance(array, np.ndarray) else array.get()


def thread_count() -> int:
    """Threads that the CPU kernels use: OMP_NUM_THREADS, or the processors this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory(device: Device) -> int:
    """Bytes that can be allocated on the device now."""
    if device.name == "cpu":
        return int(psutil.virtual_memory().available)
    query: Callable[[], tuple[int, int]] = importlib.import_module("cupy").cuda.runtime.memGetInfo
    return int(query()[0])
